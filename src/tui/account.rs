//! The money at a glance: a row of figures, never cut in the middle, and the line that says on what terms is traded.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::format;
use super::text;
use super::theme::Theme;
use crate::domain::Money;
use crate::protocol::View;

/// Rows of the figures: labels over values.
pub const ROWS: u16 = 2;

struct Figure {
    label: &'static str,
    value: String,
    style: Style,
}

fn figures(view: &View, theme: &Theme) -> Vec<Figure> {
    let unknown = || format::UNKNOWN.to_owned();
    let result = |label, amount: Option<Money>| Figure {
        label,
        value: amount.map_or_else(unknown, format::pnl),
        style: amount.map_or(theme.dim, |m| theme.signed(m.cmp(&Money::ZERO)).patch(theme.strong)),
    };
    let plain = |label, value: String| Figure { label, value, style: theme.strong };
    let equity = view.equity.map_or_else(unknown, |m| format!("{} {}", format::money(m), text::clean(&view.quote_asset)));
    let counters = &view.counters;
    let own = view.account.as_ref().map(|account| {
        let amount = account.equity.map_or_else(unknown, format::money);
        let age = account.age.map_or_else(String::new, |age| format!(" ({} s)", age.millis() / 1_000));
        plain("Account", format!("{amount} {}{age}", text::clean(account.currency.as_str())))
    });
    let first = std::iter::once(plain("Equity", equity)).chain(own);
    let rest = [
        result("Day P&L", view.day_pnl),
        result("Net P&L", view.net_pnl),
        plain("Fees", format::money(view.fees)),
        plain("Drawdown", view.drawdown.map_or_else(unknown, |d| format::percent(d, false))),
        plain("Won this run", format!("{} of {}", format::count(counters.trades_won), format::count(counters.trades_closed))),
        plain("Fills this run", format!("{} ({} maker)", format::count(counters.fills), format::count(counters.maker_fills))),
    ];
    first.chain(rest).collect()
}

/// As many whole figures as fit, spread over the width.
pub fn draw(view: &View, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let all = figures(view, theme);
    let need = |f: &Figure| text::width(&f.value).max(f.label.len());
    let width = usize::from(area.width);
    let mut used = 0;
    let kept = all.iter().take_while(|f| {
        used += need(f) + if used == 0 { 0 } else { 3 };
        used <= width
    });
    let kept: Vec<&Figure> = kept.collect();
    if kept.is_empty() {
        // Wider than the screen: the value is marked as cut rather than shown short.
        let value = all.first().map_or_else(String::new, |f| text::fit(&f.value, width));
        text::put_all(buf, area, [Line::styled("Equity", theme.dim), Line::styled(value, theme.strong)]);
        return;
    }
    let total: usize = kept.iter().map(|f| need(f)).sum();
    let gap = ((width - total) / kept.len()).clamp(3, 9);
    let row = |cell: &dyn Fn(&Figure) -> (String, Style)| {
        let spans = kept.iter().map(|f| {
            let (content, style) = cell(f);
            Span::styled(text::left(&content, need(f) + gap), style)
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    text::put_all(buf, area, [row(&|f| (f.label.to_owned(), theme.dim)), row(&|f| (f.value.clone(), f.style))]);
}

/// Rung of the ladder or exploration allowance, and time scale, in one line; what limits the money comes first.
#[must_use]
pub fn terms(view: &View, theme: &Theme, width: usize) -> Line<'static> {
    let exploration = view.exploration_percent.map(|p| format!("exploration \u{2264} {} of equity", format::percent_value(p)));
    let rung = view.ladder.as_ref().map(|ladder| format!("ladder at {}: {}", ladder.rung, ladder.rung.meaning()));
    let label = rung.or(exploration).map_or_else(String::new, |e| text::fit(&e, width));
    let mut scale = text::clean(&view.time_scale);
    if scale.is_empty() {
        scale = view.bar.map_or_else(String::new, |b| format!("{b} bars"));
    }
    let gap = if label.is_empty() || scale.is_empty() { "" } else { "  \u{b7}  " };
    let rest = width.saturating_sub(text::width(&label) + text::width(gap));
    Line::from(vec![Span::styled(label, theme.accent), Span::styled(gap, theme.rule), Span::styled(text::fit(&scale, rest), theme.dim)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_do_not_fit_are_left_out_whole() {
        let view = View { equity: Some("10012.34".parse().unwrap()), quote_asset: "USDT".into(), ..View::default() };
        for width in 0..120 {
            let area = Rect::new(0, 0, width, 2);
            let mut buf = Buffer::empty(area);
            draw(&view, &Theme::new(false), area, &mut buf);
            let text = super::super::buffer_text(&buf);
            let value = text.lines().nth(1).unwrap_or("");
            let first = value.split("  ").next().unwrap_or("");
            assert!(first == "10,012.34 USDT" || first.ends_with('\u{2026}') || first.is_empty(), "{first:?} at {width}");
        }
    }

    #[test]
    fn the_account_s_own_currency_is_shown_with_the_age_of_its_rate_or_as_unknown() {
        let shown = |equity: Option<&str>| {
            let (net_pnl, day_pnl, fees, mark) = (None, None, None, None);
            let age = Some(crate::domain::Span::from_secs(12));
            let equity = equity.and_then(|text| text.parse().ok());
            let account = crate::protocol::AccountView { currency: "GBP".parse().unwrap(), mark, age, equity, day_pnl, net_pnl, fees };
            let view = View { account: Some(account), ..View::default() };
            figures(&view, &Theme::new(false)).into_iter().find(|f| f.label == "Account").map(|f| f.value)
        };
        assert_eq!(shown(Some("7884.12")).as_deref(), Some("7,884.12 GBP (12 s)"));
        assert_eq!(shown(None), Some(format!("{} GBP (12 s)", format::UNKNOWN)));
    }

    #[test]
    fn the_exploration_label_is_shown_in_the_demo_only() {
        let theme = Theme::new(false);
        let demo = View { exploration_percent: Some(1.0), time_scale: "5s bars".into(), ..View::default() };
        assert_eq!(terms(&demo, &theme, 80).to_string(), "exploration ≤ 1 % of equity  ·  5s bars");
        assert_eq!(terms(&View { exploration_percent: None, ..demo }, &theme, 80).to_string(), "5s bars");
    }
}
