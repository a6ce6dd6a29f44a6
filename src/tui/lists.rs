//! The lists of the overview: positions, working orders, decisions with reasons, alerts.

use ratatui::text::{Line, Span};

use super::format;
use super::table::{self, Align, Cell, Column};
use super::text;
use super::theme::Theme;
use crate::domain::{Price, Symbol};
use crate::protocol::{Alert, DecisionView, OrderState, Severity, Verdict, View};

const fn left(title: &'static str, rank: u8) -> Column {
    Column { title, align: Align::Left, rank }
}

const fn right(title: &'static str, rank: u8) -> Column {
    Column { title, align: Align::Right, rank }
}

const POSITION_COLUMNS: [Column; 10] = [
    left("Symbol", 0),
    right("Qty", 3),
    right("Entry", 4),
    right("Mark", 4),
    right("P&L", 1),
    right("bps", 2),
    right("Stop", 3),
    right("Target", 3),
    right("Held", 4),
    left("", 6),
];

const ORDER_COLUMNS: [Column; 9] = [
    left("Symbol", 0),
    left("Side", 1),
    left("For", 2),
    right("Price", 1),
    right("Qty", 2),
    right("Filled", 3),
    left("State", 2),
    right("Age", 3),
    left("Id", 6),
];

/// The decimals of a symbol's market: enough for every price seen of it.
#[must_use]
pub fn decimals(view: &View, symbol: Symbol) -> u32 {
    let Some(market) = view.symbols.iter().find(|s| s.symbol == symbol) else {
        return Price::DECIMALS;
    };
    let candles = market.candles.iter().flat_map(|c| [c.open, c.high, c.low, c.close]);
    let levels = market.book.bids.iter().chain(&market.book.asks).map(|l| l.price);
    let quotes = [market.last, market.bid, market.ask];
    format::natural_decimals(candles.chain(levels).chain(quotes.into_iter().flatten()))
}

pub fn positions(view: &View, width: u16, rows: usize, theme: &Theme) -> Vec<Line<'static>> {
    let data: Vec<Vec<Cell>> = view
        .positions
        .iter()
        .map(|p| {
            let places = if view.symbols.iter().any(|s| s.symbol == p.symbol) {
                decimals(view, p.symbol)
            } else {
                format::natural_decimals([Some(p.entry_price), p.mark, p.stop, p.target].into_iter().flatten())
            };
            let price = |price: Option<Price>| price.map_or_else(|| format::UNKNOWN.to_owned(), |v| format::price(v, places));
            let result = p.unrealised.map_or(theme.dim, |m| theme.signed(m.raw().cmp(&0)).patch(theme.strong));
            vec![
                (text::clean(p.symbol.as_str()), theme.strong),
                (format::qty(p.qty), theme.plain),
                (price(Some(p.entry_price)), theme.plain),
                (price(p.mark), theme.plain),
                (p.unrealised.map_or_else(|| format::UNKNOWN.to_owned(), format::pnl), result),
                (p.unrealised_bps.map_or_else(|| format::UNKNOWN.to_owned(), format::bps), result),
                (price(p.stop), if p.stop.is_some() { theme.plain } else { theme.warn }),
                (price(p.target), theme.plain),
                (format::age(p.held), theme.plain),
                (if p.exploration { "exploration".to_owned() } else { String::new() }, theme.accent),
            ]
        })
        .collect();
    table::lines(&POSITION_COLUMNS, &data, width, rows, theme)
}

pub fn orders(view: &View, width: u16, rows: usize, theme: &Theme) -> Vec<Line<'static>> {
    let data: Vec<Vec<Cell>> = view
        .orders
        .iter()
        .map(|o| {
            let known = view.symbols.iter().any(|s| s.symbol == o.symbol);
            let price = o.price.map_or_else(
                || "market".to_owned(),
                |p| format::price(p, if known { decimals(view, o.symbol).max(format::decimals_of(p)) } else { format::decimals_of(p) }),
            );
            let side = if o.side == crate::domain::Side::Buy { theme.up } else { theme.down };
            vec![
                (text::clean(o.symbol.as_str()), theme.strong),
                (o.side.to_string(), side),
                (text::fit(&o.purpose, 12), theme.plain),
                (price, theme.plain),
                (format::qty(o.qty), theme.plain),
                (format::qty(o.filled), theme.plain),
                (state_words(o.state).to_owned(), if o.state == OrderState::Unknown { theme.warn } else { theme.plain }),
                (format::age(o.age), theme.plain),
                (o.id.to_string(), theme.dim),
            ]
        })
        .collect();
    table::lines(&ORDER_COLUMNS, &data, width, rows, theme)
}

const fn state_words(state: OrderState) -> &'static str {
    match state {
        OrderState::Submitted => "sent",
        OrderState::Open => "open",
        OrderState::PartiallyFilled => "part filled",
        OrderState::CancelSent => "cancelling",
        OrderState::Unknown => "unknown",
        OrderState::Filled => "filled",
        OrderState::Canceled => "cancelled",
        OrderState::Rejected => "rejected",
        OrderState::Expired => "expired",
    }
}

/// The verdict as a word, or two.
#[must_use]
pub fn verdict_words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Enter => "ENTER".to_owned(),
        Verdict::Hold => "HOLD".to_owned(),
        Verdict::Exit(reason) => format!("EXIT {reason}"),
        Verdict::StandAside => "ASIDE".to_owned(),
        Verdict::Refused(_) => "REFUSED".to_owned(),
    }
}

/// Reasons in one text: the refusal first, then what the decision said.
#[must_use]
pub fn reasons(decision: &DecisionView) -> String {
    let mut parts = Vec::new();
    if let Verdict::Refused(refusal) = decision.verdict {
        parts.push(refusal.to_string());
    }
    parts.extend(
        decision.reasons.iter().filter(|r| !r.is_empty()).map(|r| text::clean(r)).filter(|r| parts.first() != Some(r)).collect::<Vec<_>>(),
    );
    parts.join("; ")
}

/// Newest first; the newest may take more lines for its reasons than the others, and all of them fewer when room is short.
pub fn decisions(view: &View, width: u16, rows: usize, theme: &Theme) -> Vec<Line<'static>> {
    let shown = &view.decisions[..view.decisions.len().min(rows)];
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let symbol_width = widest(&mut shown.iter().map(|d| text::width(d.symbol.as_str()))).min(14);
    let verdict_width = widest(&mut shown.iter().map(|d| verdict_words(d.verdict).len()));
    let forecasts: Vec<String> =
        shown.iter().map(|d| d.forecast_net_bps.map_or_else(String::new, |f| format!("{} bps", format::forecast(f)))).collect();
    let forecast_width = widest(&mut forecasts.iter().map(|f| f.len()));
    let indent = 8 + 2 + symbol_width + 2 + verdict_width + 2 + forecast_width + if forecast_width > 0 { 2 } else { 0 };
    let total = usize::from(width);
    let side_by_side = total >= indent + 20;
    let (first_lines, other_lines) = if rows < 6 { (2, 1) } else { (3, 2) };
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (i, (decision, forecast)) in shown.iter().zip(&forecasts).enumerate() {
        let style = verdict_style(decision.verdict, theme);
        let mut head = vec![
            Span::styled(format!("{}  ", format::clock(decision.at)), theme.dim),
            Span::raw(format!("{}  ", text::left(decision.symbol.as_str(), symbol_width))),
            Span::styled(format!("{}  ", text::left(&verdict_words(decision.verdict), verdict_width)), style),
        ];
        if forecast_width > 0 {
            head.push(Span::raw(format!("{}  ", text::right(forecast, forecast_width))));
        }
        let mut words = reasons(decision);
        if decision.exploration {
            words = format!("exploration: {words}");
        }
        let room = if side_by_side { total - indent } else { total.saturating_sub(2) };
        let mut wrapped = text::wrap(&words, room, if i == 0 { first_lines } else { other_lines }).into_iter();
        if side_by_side {
            head.extend(wrapped.next().map(|w| Span::styled(w, theme.plain)));
        }
        lines.push(Line::from(head));
        let margin = " ".repeat(if side_by_side { indent } else { 2 });
        lines.extend(wrapped.map(|w| Line::styled(format!("{margin}{w}"), theme.plain)));
        if lines.len() >= rows {
            break;
        }
    }
    lines.truncate(rows);
    lines
}

fn verdict_style(verdict: Verdict, theme: &Theme) -> ratatui::style::Style {
    match verdict {
        Verdict::Enter => theme.up.patch(theme.strong),
        Verdict::Exit(_) => theme.accent.patch(theme.strong),
        Verdict::Hold => theme.plain,
        Verdict::StandAside => theme.dim,
        Verdict::Refused(_) => theme.warn,
    }
}

/// Newest first, each with its time and level; `rows_each` lines at most for one. What was said several times in a row is said once, with
/// its last time and how often.
pub fn alerts(alerts: &[Alert], width: u16, rows: usize, rows_each: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for same in alerts.chunk_by(|a, b| a.severity == b.severity && a.text == b.text).take(rows) {
        let Some(alert) = same.first() else { continue };
        let times = if same.len() > 1 { format!("x{} ", same.len()) } else { String::new() };
        let word = severity_word(alert.severity);
        let indent = 8 + 1 + 4 + 1;
        let mut wrapped = text::wrap(&format!("{times}{}", alert.text), usize::from(width).saturating_sub(indent), rows_each).into_iter();
        lines.push(Line::from(vec![
            Span::styled(format!("{} ", format::clock(alert.at)), theme.dim),
            Span::styled(format!("{word} "), theme.severity(alert.severity)),
            Span::raw(wrapped.next().unwrap_or_default()),
        ]));
        lines.extend(wrapped.map(|w| Line::raw(format!("{}{w}", " ".repeat(indent)))));
    }
    lines.truncate(rows);
    lines
}

/// Four letters, so that logs line up.
#[must_use]
pub const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "WARN",
        Severity::Critical => "CRIT",
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::protocol::Refusal;

    #[test]
    fn a_refusal_names_its_numbers_before_other_reasons() {
        let mut decision = fixture::trading().decisions[0].clone();
        decision.verdict = Verdict::Refused(Refusal::WarmingUp { have: 20, need: 60 });
        decision.reasons = vec!["features are not ready: 20 of 60 candles".into(), "regime unknown".into()];
        assert_eq!(reasons(&decision), "features are not ready: 20 of 60 candles; regime unknown");
    }

    #[test]
    fn what_is_said_again_and_again_takes_one_line() {
        let first = fixture::trading().alerts[0].clone();
        let other = Alert { text: "connection refused".into(), ..first.clone() };
        let said = [vec![other; 19], vec![first]].concat();
        let lines: Vec<String> = alerts(&said, 80, 9, 1, &Theme::new(false)).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["23:54:01 WARN x19 connection refused", "23:54:01 WARN ETHUSDT: two updates missing, book fetched again"]);
    }

    #[test]
    fn long_reasons_wrap_under_themselves() {
        let view = fixture::trading();
        let lines: Vec<String> = decisions(&view, 80, 6, &Theme::new(false)).iter().map(ToString::to_string).collect();
        assert!(lines[0].starts_with("23:54:10  BTCUSDT  "), "{lines:?}");
        assert!(lines.iter().all(|l| text::width(l) <= 80));
        assert!(lines.len() <= 6);
    }
}
