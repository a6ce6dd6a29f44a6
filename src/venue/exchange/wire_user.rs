//! User data events: `executionReport` and `outboundAccountPosition`, with every documented key of the orders that are served.

use serde::Serialize;

use super::wire::{Fixed, expiry_reason, list_number, order_type, self_trade, side, status, time_in_force};
use crate::domain::{Balance, Money, Price, Qty, Role, Timestamp};
use crate::matching::{Execution, Phase, Prevention, Reject, Report, ReportKind};

/// A change of one order. `c` is the id of the request that caused it, `C` the order's own id where that
/// differs (a cancel) or its former one (an amend).
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
    #[serde(rename = "W", skip_serializing_if = "Option::is_none")]
    working_time: Option<i64>,
    #[serde(rename = "V")]
    self_trade_prevention: &'static str,
    #[serde(rename = "j", skip_serializing_if = "Option::is_none")]
    strategy_id: Option<u64>,
    #[serde(rename = "J", skip_serializing_if = "Option::is_none")]
    strategy_type: Option<u32>,
    #[serde(rename = "eR", skip_serializing_if = "Option::is_none")]
    expiry_reason: Option<&'static str>,
    #[serde(flatten)]
    prevention: Option<Prevented<'a>>,
}

/// A trade with oneself that did not happen. `u` is the trade group: the account.
#[derive(Serialize)]
struct Prevented<'a> {
    v: u64,
    #[serde(rename = "A")]
    prevented: Fixed<Qty>,
    #[serde(rename = "B")]
    last_prevented: Fixed<Qty>,
    u: u64,
    #[serde(rename = "U")]
    counter_order: u64,
    #[serde(rename = "Cs")]
    counter_symbol: &'a str,
    pl: Fixed<Qty>,
    #[serde(rename = "pL")]
    price: Fixed<Price>,
    #[serde(rename = "pY")]
    quote: Fixed<Money>,
}

impl<'a> ExecutionReport<'a> {
    /// `request_id`: the client id of the cancel request, when this report is its result.
    pub fn of(report: &'a Report, request_id: Option<&'a str>, now: Timestamp) -> Self {
        let order = &report.order;
        let (kind, fill, rejected, original_id) = match &report.kind {
            ReportKind::Accepted | ReportKind::Entered | ReportKind::List(_) => ("NEW", None, "NONE", ""),
            ReportKind::Rejected(reject) => ("REJECTED", None, reject_reason(*reject), ""),
            ReportKind::Fill(execution) => ("TRADE", Some(execution), "NONE", ""),
            ReportKind::Amended { old_client_id } => ("REPLACED", None, "NONE", &**old_client_id),
            ReportKind::Canceled => ("CANCELED", None, "NONE", &*report.client_id),
            ReportKind::Expired(_) => ("EXPIRED", None, "NONE", ""),
            ReportKind::Prevented(_) => ("TRADE_PREVENTION", None, "NONE", ""),
        };
        Self {
            e: "executionReport",
            event_time: now.millis(),
            s: report.symbol.as_str(),
            c: request_id.filter(|_| report.kind == ReportKind::Canceled).unwrap_or(&report.client_id),
            side: side(order.side),
            o: order_type(order.kind),
            f: time_in_force(order.kind),
            q: Fixed(order.qty),
            p: Fixed(order.kind.price().unwrap_or(Price::ZERO)),
            stop_price: Fixed(order.kind.stop().unwrap_or(Price::ZERO)),
            iceberg_qty: Fixed(Qty::ZERO),
            g: list_number(order.list_id),
            original_id,
            x: kind,
            status: status(order),
            r: rejected,
            i: report.order_id.0,
            l: Fixed(fill.map_or(Qty::ZERO, |f| f.qty)),
            z: Fixed(order.filled),
            last_price: Fixed(fill.map_or(Price::ZERO, |f| f.price)),
            n: Fixed(fill.map_or(Qty::ZERO, |f| f.fee)),
            fee_asset: fill.map(|f| f.fee_asset.as_str()),
            transaction_time: report.at.millis(),
            t: fill.map_or(-1, trade_number),
            execution_id: report.number,
            w: order.phase == Phase::Working && !order.status.is_final(),
            m: fill.is_some_and(|f| f.role == Role::Maker),
            best_match: fill.is_some(),
            created: order.created_at.millis(),
            filled_quote: Fixed(order.filled_quote),
            last_quote: Fixed(fill.and_then(|f| f.price.notional(f.qty)).unwrap_or(Money::ZERO)),
            quote_order_qty: Fixed(order.terms.quote_qty.unwrap_or(Money::ZERO)),
            working_time: order.working_at.map(Timestamp::millis),
            self_trade_prevention: self_trade(order.self_trade),
            strategy_id: order.terms.strategy_id,
            strategy_type: order.terms.strategy_type,
            expiry_reason: expiry_reason(order),
            prevention: match &report.kind {
                ReportKind::Prevented(prevention) => Some(Prevented::of(report, prevention)),
                _ => None,
            },
        }
    }
}

impl<'a> Prevented<'a> {
    fn of(report: &'a Report, prevention: &Prevention) -> Self {
        Self {
            v: prevention.match_id,
            prevented: Fixed(report.order.prevented),
            last_prevented: Fixed(prevention.qty),
            u: u64::from(report.account.0),
            counter_order: prevention.counter_order.0,
            counter_symbol: report.symbol.as_str(),
            pl: Fixed(prevention.qty),
            price: Fixed(prevention.price),
            quote: Fixed(prevention.price.notional(prevention.qty).unwrap_or(Money::ZERO)),
        }
    }
}

/// Refusals that the user data stream names; any other is `NONE`.
const fn reject_reason(reject: Reject) -> &'static str {
    match reject {
        Reject::InsufficientBalance => "INSUFFICIENT_BALANCES",
        Reject::WouldTrigger => "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
        Reject::WouldTake => "WOULD_MATCH_IMMEDIATELY",
        Reject::OcoPrices => "OCO_BAD_PRICES",
        _ => "NONE",
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
