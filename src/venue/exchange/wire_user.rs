//! User data events: `executionReport` and `outboundAccountPosition`, with every documented key of a plain order.

use serde::Serialize;

use super::wire::{Fixed, order_type, side, status, time_in_force};
use crate::domain::{Balance, Money, Price, Qty, Role, Timestamp};
use crate::matching::{Execution, Report, ReportKind};

/// A change of one order. `c` is the id of the request that caused it, `C` the order's own id where that differs (a cancel).
#[derive(Serialize)]
pub(super) struct ExecutionReport<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    c: &'a str,
    #[serde(rename = "S")]
    side: &'static str,
    o: &'static str,
    f: &'static str,
    q: Fixed<Qty>,
    p: Fixed<Price>,
    #[serde(rename = "P")]
    stop_price: Fixed<Price>,
    #[serde(rename = "F")]
    iceberg_qty: Fixed<Qty>,
    g: i64,
    #[serde(rename = "C")]
    original_id: &'a str,
    x: &'static str,
    #[serde(rename = "X")]
    status: &'static str,
    r: &'static str,
    i: u64,
    l: Fixed<Qty>,
    z: Fixed<Qty>,
    #[serde(rename = "L")]
    last_price: Fixed<Price>,
    n: Fixed<Qty>,
    #[serde(rename = "N")]
    fee_asset: Option<&'a str>,
    #[serde(rename = "T")]
    transaction_time: i64,
    t: i64,
    #[serde(rename = "I")]
    execution_id: u64,
    w: bool,
    m: bool,
    #[serde(rename = "M")]
    best_match: bool,
    #[serde(rename = "O")]
    created: i64,
    #[serde(rename = "Z")]
    filled_quote: Fixed<Money>,
    #[serde(rename = "Y")]
    last_quote: Fixed<Money>,
    #[serde(rename = "Q")]
    quote_order_qty: Fixed<Money>,
    #[serde(rename = "W")]
    working_time: i64,
    #[serde(rename = "V")]
    self_trade_prevention: &'static str,
}

impl<'a> ExecutionReport<'a> {
    /// `request_id`: the client id of the cancel request, when this report is its result.
    pub fn of(report: &'a Report, execution_id: u64, request_id: Option<&'a str>, now: Timestamp) -> Self {
        let order = &report.order;
        let fill = match &report.kind {
            ReportKind::Fill(execution) => Some(execution),
            ReportKind::Accepted | ReportKind::Rejected(_) | ReportKind::Canceled | ReportKind::Expired(_) => None,
        };
        let (kind, state) = match &report.kind {
            ReportKind::Accepted => ("NEW", "NEW"),
            ReportKind::Rejected(_) => ("REJECTED", "REJECTED"),
            ReportKind::Fill(execution) if execution.cumulative_qty >= order.qty => ("TRADE", "FILLED"),
            ReportKind::Fill(_) => ("TRADE", "PARTIALLY_FILLED"),
            ReportKind::Canceled => ("CANCELED", "CANCELED"),
            ReportKind::Expired(_) => ("EXPIRED", status(order.status)),
        };
        let canceled = report.kind == ReportKind::Canceled;
        let (filled, filled_quote) = match (fill, &report.kind) {
            (Some(execution), _) => (execution.cumulative_qty, execution.cumulative_quote),
            (None, ReportKind::Accepted) => (Qty::ZERO, Money::ZERO),
            (None, _) => (order.filled, order.filled_quote),
        };
        Self {
            e: "executionReport",
            event_time: now.millis(),
            s: report.symbol.as_str(),
            c: request_id.unwrap_or(&report.client_id),
            side: side(order.side),
            o: order_type(order.kind),
            f: time_in_force(order.kind),
            q: Fixed(order.qty),
            p: Fixed(order.kind.price().unwrap_or(Price::ZERO)),
            stop_price: Fixed(Price::ZERO),
            iceberg_qty: Fixed(Qty::ZERO),
            g: -1,
            original_id: if canceled { &report.client_id } else { "" },
            x: kind,
            status: state,
            r: "NONE",
            i: report.order_id.0,
            l: Fixed(fill.map_or(Qty::ZERO, |f| f.qty)),
            z: Fixed(filled),
            last_price: Fixed(fill.map_or(Price::ZERO, |f| f.price)),
            n: Fixed(fill.map_or(Qty::ZERO, |f| f.fee)),
            fee_asset: fill.map(|f| f.fee_asset.as_str()),
            transaction_time: report.at.millis(),
            t: fill.map_or(-1, trade_number),
            execution_id,
            w: matches!(state, "NEW" | "PARTIALLY_FILLED"),
            m: fill.is_some_and(|f| f.role == Role::Maker),
            best_match: fill.is_some(),
            created: order.created_at.millis(),
            filled_quote: Fixed(filled_quote),
            last_quote: Fixed(fill.and_then(|f| f.price.notional(f.qty)).unwrap_or(Money::ZERO)),
            quote_order_qty: Fixed(Money::ZERO),
            working_time: order.created_at.millis(),
            self_trade_prevention: "NONE",
        }
    }
}

fn trade_number(execution: &Execution) -> i64 {
    i64::try_from(execution.trade_id.0).unwrap_or(i64::MAX)
}

/// Absolute balances of the assets that an order may have changed.
#[derive(Serialize)]
pub(super) struct AccountPosition<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    u: i64,
    #[serde(rename = "B")]
    balances: Vec<Held<'a>>,
}

#[derive(Serialize)]
struct Held<'a> {
    a: &'a str,
    f: Fixed<Qty>,
    l: Fixed<Qty>,
}

impl<'a> AccountPosition<'a> {
    pub fn of(balances: &'a [Balance], changed: Timestamp, now: Timestamp) -> Self {
        let balances = balances.iter().map(|b| Held { a: b.asset.as_str(), f: Fixed(b.free), l: Fixed(b.locked) }).collect();
        Self { e: "outboundAccountPosition", event_time: now.millis(), u: changed.millis(), balances }
    }
}
