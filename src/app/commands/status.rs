//! How the running box stands, as text: state, halt, limits, positions, orders.

use crate::app::output::table;
use crate::domain::{Money, Qty, Span};
use crate::protocol::{HaltView, LimitView, TradingState, View};

/// What `huracan status` prints.
#[must_use]
pub fn status_text(view: &View) -> String {
    let money = |amount: Option<Money>| amount.map_or_else(|| "unknown".to_owned(), |m| m.to_string());
    let trading = match &view.trading {
        TradingState::Halted { reason } => format!("HALTED: {reason}"),
        TradingState::Reducing { reason } => format!("REDUCING: {reason}"),
        other => format!("{other:?}").to_lowercase(),
    };
    let mut lines = vec![
        format!("{} on {}: {trading}; health {}", view.mode, view.venue, view.health.verdict),
        format!(
            "equity {} {}, net {}, today {}, fees {}",
            money(view.equity),
            view.quote_asset,
            money(view.net_pnl),
            money(view.day_pnl),
            view.fees
        ),
    ];
    lines.extend(super::ladder::line(view));
    lines.extend(view.account.as_ref().map(super::report::account_line));
    lines.extend(view.health.reasons.iter().map(|reason| format!("  {reason}")));
    lines.extend(view.halt.as_ref().map(halt_text));
    if !view.positions.is_empty() {
        let mut rows = vec![["position", "quantity", "entry", "mark", "unrealised"].map(str::to_owned).to_vec()];
        rows.extend(view.positions.iter().map(|p| {
            let mark = p.mark.map_or_else(|| "unknown".to_owned(), |m| m.to_string());
            vec![p.symbol.to_string(), p.qty.to_string(), p.entry_price.to_string(), mark, money(p.unrealised)]
        }));
        lines.push(table(&rows));
    }
    if view.exposed.longest > Span::ZERO {
        let (now, longest) = (view.exposed.now, view.exposed.longest.millis());
        lines.push(format!("without a stop at the exchange: {now:.2} now, at most {longest} ms in a row since the start"));
    }
    // Less than a hundredth of the quote coin is not worth a line.
    let cent = Money::from_quote(Qty::from_raw(1_000_000));
    if let Some(dust) = view.dust.filter(|dust| *dust >= cent) {
        lines.push(format!("dust {dust:.2} {}: too little to sell", view.quote_asset));
    }
    if !view.orders.is_empty() {
        let mut rows = vec![["order", "symbol", "side", "quantity", "price", "filled", "state"].map(str::to_owned).to_vec()];
        rows.extend(view.orders.iter().map(|o| {
            let price = o.price.map_or_else(|| "market".to_owned(), |p| p.to_string());
            let state = format!("{:?}", o.state).to_lowercase();
            vec![o.purpose.clone(), o.symbol.to_string(), o.side.to_string(), o.qty.to_string(), price, o.filled.to_string(), state]
        }));
        lines.push(table(&rows));
    }
    if !view.limits.is_empty() {
        lines.push(limits_text(&view.limits));
    }
    lines.join("\n")
}

/// Every limit as a row, with what waits to become looser below.
#[must_use]
pub fn limits_text(limits: &[LimitView]) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![["limit", "set to", "now", "used", "state", "action", "tripped", "last"].map(str::to_owned).to_vec()];
    rows.extend(limits.iter().map(|limit| {
        vec![
            limit.name.to_string(),
            text(&limit.limit),
            text(&limit.value),
            limit.used_percent.map_or_else(|| "-".to_owned(), |used| format!("{used:.0} %")),
            limit.state.to_string(),
            limit.action.to_string(),
            limit.times.to_string(),
            limit.last_tripped.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        ]
    }));
    let waiting =
        limits.iter().filter_map(|limit| limit.pending.as_ref().map(|(value, due)| format!("{} will be {value} at {due}", limit.name)));
    [table(&rows)].into_iter().chain(waiting).collect::<Vec<_>>().join("\n")
}

/// How far a halt has come, in one line.
fn halt_text(halt: &HaltView) -> String {
    let ack = halt.last_ack.map(|at| at.since(halt.asked).millis());
    let entries = if halt.cancelled == 1 { "1 entry".to_owned() } else { format!("{} entries", halt.cancelled) };
    let ended = match (halt.outstanding, ack) {
        (0, Some(ms)) => format!("{entries} ended, the venue's last word came after {ms} ms"),
        (0, None) => "no entry was open".to_owned(),
        (left, _) => format!("{entries} ended, {left} still open at the venue"),
    };
    format!("halted since {}: {ended}", halt.asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::protocol::{Action, LimitName, LimitState};

    fn limit() -> LimitView {
        LimitView {
            name: LimitName::MaxExposure,
            limit: Some("3000.00 USDT".to_owned()),
            value: Some("2700.00 USDT".to_owned()),
            used_percent: Some(90.0),
            state: LimitState::Near,
            action: Action::Reduce,
            last_tripped: None,
            times: 0,
            pending: Some(("4000.00 USDT".to_owned(), Timestamp::EPOCH)),
        }
    }

    #[test]
    fn limits_are_rows_and_what_waits_is_said() {
        let text = limits_text(&[limit()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "max_exposure  3000.00 USDT  2700.00 USDT  90 %  near   reduce  0        -");
        assert!(lines[2].starts_with("max_exposure will be 4000.00 USDT at "), "{text}");
    }

    #[test]
    fn a_halt_says_how_far_it_has_come() {
        let mut halt = HaltView { reason: "x".into(), asked: Timestamp::EPOCH, cancelled: 0, outstanding: 2, last_ack: None };
        assert!(halt_text(&halt).ends_with("0 entries ended, 2 still open at the venue"));
        halt = HaltView { cancelled: 2, outstanding: 0, last_ack: Some(Timestamp::from_millis(340)), ..halt };
        assert!(halt_text(&halt).ends_with("2 entries ended, the venue's last word came after 340 ms"));
        halt = HaltView { cancelled: 0, outstanding: 0, last_ack: None, ..halt };
        assert!(halt_text(&halt).ends_with(": no entry was open"));
    }

    #[test]
    fn what_is_too_little_to_sell_is_named() {
        let said = |dust: Option<&str>| {
            let dust = dust.map(|amount| amount.parse().unwrap());
            status_text(&View { dust, quote_asset: "USDT".into(), ..View::default() })
        };
        assert!(said(Some("1.9")).lines().any(|line| line == "dust 1.90 USDT: too little to sell"));
        assert!(!said(Some("0.009")).contains("dust") && !said(None).contains("dust"));
    }
}
