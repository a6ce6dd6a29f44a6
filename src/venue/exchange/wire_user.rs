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

#[cfg(test)]
mod tests {
    use super::super::wire::json;
    use super::super::wire_list::ListStatusEvent;
    use super::*;
    use crate::domain::{
        BookSnapshot, Bps, FeeRates, Instrument, Level, MarketData, MarketUpdate, OrderKind, PublicTrade, Side, TimeInForce, TradeId,
    };
    use crate::matching::{AccountId, Exchange, ExchangeConfig, Leg, ListRequest, ListShape, OrderRef, OrderRequest, SelfTradeMode, Terms};

    const US: AccountId = AccountId(1);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// A book of 1 at 100 and 1 at 101, last trade at 100.50, 1,000 USDT and 10 BTC.
    fn venue() -> Exchange {
        let btc = Instrument {
            symbol: "BTCUSDT".parse().unwrap(),
            base: "BTC".parse().unwrap(),
            quote: "USDT".parse().unwrap(),
            trading: true,
            tick: "0.01".parse().unwrap(),
            step: "0.001".parse().unwrap(),
            min_qty: "0.001".parse().unwrap(),
            max_qty: Qty::ZERO,
            min_notional: Money::ZERO,
            max_notional: Money::ZERO,
            fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
        };
        let balances = [(btc.quote, "1000".parse().unwrap()), (btc.base, "10".parse().unwrap())];
        let mut exchange = Exchange::new(ExchangeConfig::new(vec![btc]));
        exchange.open_account(US, &balances);
        let level = |price: &str| Level { price: price.parse().unwrap(), qty: "1".parse().unwrap() };
        let book = BookSnapshot { last_update_id: 1, bids: vec![level("100")], asks: vec![level("101")] };
        exchange.on_market(&update(MarketData::Snapshot(book)), &mut Vec::new());
        trade(&mut exchange, "100.50", &mut Vec::new());
        exchange
    }

    fn update(data: MarketData) -> MarketUpdate {
        MarketUpdate { symbol: "BTCUSDT".parse().unwrap(), exchange_time: None, local_time: at(7), data }
    }

    fn trade(exchange: &mut Exchange, price: &str, reports: &mut Vec<Report>) {
        let trade = PublicTrade { id: TradeId(1), price: price.parse().unwrap(), qty: "5".parse().unwrap(), buyer_is_maker: true };
        exchange.on_market(&update(MarketData::Trade(trade)), reports);
    }

    fn request(client_id: &str, side: Side, qty: &str, kind: OrderKind) -> OrderRequest {
        OrderRequest { client_id: client_id.into(), symbol: "BTCUSDT".parse().unwrap(), side, qty: qty.parse().unwrap(), kind }
    }

    /// `c x X` of each event, `(on the book)`, its expiry reason; a list's `l`.
    fn told(reports: &[Report]) -> Vec<String> {
        let line = |report: &Report| {
            if let ReportKind::List(news) = &report.kind {
                let event: serde_json::Value = serde_json::from_str(&json(&ListStatusEvent::of(news, at(9)))).unwrap();
                return format!("list {} {}", event["l"].as_str().unwrap(), event["L"].as_str().unwrap());
            }
            let event: serde_json::Value = serde_json::from_str(&json(&ExecutionReport::of(report, Some("undo"), at(9)))).unwrap();
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let book = if event["w"] == true { " (on the book)" } else { "" };
            format!("{} {} {}{book} {}", text("c"), text("x"), text("X"), text("eR")).trim_end().to_owned()
        };
        reports.iter().map(line).collect()
    }

    #[test]
    fn a_market_order_that_exhausts_the_book_is_new_trades_and_expires() {
        let (mut exchange, mut reports) = (venue(), Vec::new());
        exchange.submit(at(5), US, &request("m", Side::Sell, "3", OrderKind::Market), &mut reports).unwrap();
        assert_eq!(
            told(&reports),
            ["m NEW NEW (on the book)", "m TRADE PARTIALLY_FILLED (on the book)", "m EXPIRED EXPIRED INSUFFICIENT_LIQUIDITY"]
        );
        assert_eq!(
            json(&ExecutionReport::of(&reports[1], None, at(9))),
            "{\"e\":\"executionReport\",\"E\":9,\"s\":\"BTCUSDT\",\"c\":\"m\",\"S\":\"SELL\",\"o\":\"MARKET\",\"f\":\"GTC\",\
             \"q\":\"3.00000000\",\"p\":\"0.00000000\",\"P\":\"0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"\",\"x\":\"TRADE\",\
             \"X\":\"PARTIALLY_FILLED\",\"r\":\"NONE\",\"i\":1,\"l\":\"1.00000000\",\"z\":\"1.00000000\",\"L\":\"100.00000000\",\
             \"n\":\"0.10000000\",\"N\":\"USDT\",\"T\":5,\"t\":1,\"I\":2,\"w\":true,\"m\":false,\"M\":true,\"O\":5,\"Z\":\"100.00000000\",\
             \"Y\":\"100.00000000\",\"Q\":\"0.00000000\",\"W\":5,\"V\":\"EXPIRE_MAKER\"}"
        );
    }

    #[test]
    fn an_oco_that_fills_tells_of_both_orders_and_the_list() {
        let (mut exchange, mut reports) = (venue(), Vec::new());
        let leg = |id: &str, kind| Leg { request: request(id, Side::Buy, "1", kind), terms: Terms::default() };
        let price = |text: &str| text.parse().unwrap();
        let above = leg("up", OrderKind::StopLossLimit { stop: price("103"), price: price("104"), time_in_force: TimeInForce::Gtc });
        let list = ListRequest {
            client_id: "pair".into(),
            shape: ListShape::Oco { above, below: leg("down", OrderKind::LimitMaker { price: price("99") }) },
        };
        exchange.submit_list(at(5), US, &list, &mut reports).unwrap();
        trade(&mut exchange, "98.90", &mut reports);
        assert_eq!(
            told(&reports),
            [
                "list EXEC_STARTED EXECUTING",
                "up NEW NEW",
                "down NEW NEW (on the book)",
                "up EXPIRED EXPIRED OCO_TRIGGER",
                "down TRADE FILLED",
                "list ALL_DONE ALL_DONE",
            ]
        );
        let ReportKind::List(news) = &reports[0].kind else { panic!("{reports:?}") };
        assert_eq!(
            json(&ListStatusEvent::of(news, at(9))),
            "{\"e\":\"listStatus\",\"E\":9,\"s\":\"BTCUSDT\",\"g\":1,\"c\":\"OCO\",\"l\":\"EXEC_STARTED\",\"L\":\"EXECUTING\",\
             \"r\":\"NONE\",\"C\":\"pair\",\"T\":5,\"O\":[{\"s\":\"BTCUSDT\",\"i\":1,\"c\":\"up\"},{\"s\":\"BTCUSDT\",\"i\":2,\"c\":\"down\"}]}"
        );
    }

    #[test]
    fn an_otoco_is_pending_then_new_then_done() {
        let (mut exchange, mut reports) = (venue(), Vec::new());
        let leg = |id: &str, side, kind| Leg { request: request(id, side, "1", kind), terms: Terms::default() };
        let price = |text: &str| text.parse().unwrap();
        let shape = ListShape::Otoco {
            working: leg("w", Side::Buy, OrderKind::Limit { price: price("100.40"), time_in_force: TimeInForce::Gtc }),
            above: leg("up", Side::Sell, OrderKind::LimitMaker { price: price("104") }),
            below: leg("down", Side::Sell, OrderKind::StopLoss { stop: price("99") }),
        };
        exchange.submit_list(at(5), US, &ListRequest { client_id: "b".into(), shape }, &mut reports).unwrap();
        trade(&mut exchange, "100.30", &mut reports);
        trade(&mut exchange, "99", &mut reports);
        assert_eq!(
            told(&reports),
            [
                "list EXEC_STARTED EXECUTING",
                "w NEW NEW (on the book)",
                "up NEW PENDING_NEW",
                "down NEW PENDING_NEW",
                "w TRADE FILLED",
                "up NEW NEW (on the book)",
                "down NEW NEW",
                "up EXPIRED EXPIRED OCO_TRIGGER",
                "down NEW NEW (on the book)",
                "down TRADE FILLED",
                "list ALL_DONE ALL_DONE",
            ]
        );
    }

    #[test]
    fn a_prevented_match_a_cancel_and_an_amend_name_both_ids() {
        let (mut exchange, mut reports) = (venue(), Vec::new());
        let maker = |price: &str| OrderKind::LimitMaker { price: price.parse().unwrap() };
        exchange.submit(at(5), US, &request("old", Side::Sell, "2", maker("100.80")), &mut reports).unwrap();
        let symbol = "BTCUSDT".parse().unwrap();
        exchange.amend(at(5), US, symbol, OrderRef::Client("old"), "1".parse().unwrap(), Some("new"), &mut reports).unwrap();
        let terms = Terms { self_trade: Some(SelfTradeMode::ExpireMaker), ..Terms::default() };
        let limit = OrderKind::Limit { price: "100.90".parse().unwrap(), time_in_force: TimeInForce::Gtc };
        exchange.place(at(6), US, &request("t", Side::Buy, "1", limit), terms, &mut reports).unwrap();
        exchange.cancel(at(7), US, symbol, OrderRef::Client("t"), &mut reports).unwrap();
        assert_eq!(
            told(&reports),
            [
                "old NEW NEW (on the book)",
                "new REPLACED NEW (on the book)",
                "t NEW NEW (on the book)",
                "new TRADE_PREVENTION EXPIRED_IN_MATCH",
                "undo CANCELED CANCELED",
            ]
        );
        let event: serde_json::Value = serde_json::from_str(&json(&ExecutionReport::of(&reports[3], None, at(9)))).unwrap();
        assert_eq!(
            (&event["v"], &event["U"], &event["pl"], &event["pL"]),
            (&1.into(), &2.into(), &"1.00000000".into(), &"100.80000000".into())
        );
        assert_eq!((&event["l"], &event["L"], &event["Y"]), (&"0.00000000".into(), &"0.00000000".into(), &"0.00000000".into()));
    }
}
