//! The user stream's messages as Binance writes them, and their translation.
//!
//! Source: Binance user-data-stream.md. On a cancel `c` is the id of the cancel request and `C` the order's own id.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::rest_wire::{BalanceWire, SideWire, balances, order_status};
use crate::domain::{Asset, ClientOrderId, OrderId, Price, Qty, Role, Symbol, TradeId};
use crate::protocol::{VenueEvent, VenueFill, VenueOrder};
use crate::venue::market_frame::{Text, venue_time};

/// What one user message means.
#[derive(Debug, PartialEq)]
pub(super) enum UserMessage {
    /// In the order in which they must be told.
    Events(Vec<VenueEvent>),
    /// An order of another program.
    Foreign,
    /// A deposit, withdrawal or lock: balances must be asked for, the message states only a change.
    BalancesChanged,
    /// The venue ends this stream.
    Ending,
    /// The answer to our subscription: `Err` with code and text when refused.
    Answer(Result<(), (i64, String)>),
    Other,
}

/// The quote asset of each market: what a commission of nothing is counted in.
pub(super) type QuoteAssets = BTreeMap<Symbol, Asset>;

pub(super) fn read_user_message(json: &str, quotes: &QuoteAssets) -> Result<UserMessage, serde_json::Error> {
    let envelope: EnvelopeWire = serde_json::from_str(json)?;
    let Some(event) = envelope.event else {
        return Ok(match (envelope.status, envelope.error) {
            (_, Some(error)) => UserMessage::Answer(Err((error.code, error.msg))),
            (Some(200), None) => UserMessage::Answer(Ok(())),
            (Some(status), None) => UserMessage::Answer(Err((status, "no reason given".to_owned()))),
            (None, None) => UserMessage::Other,
        });
    };
    Ok(match event {
        EventWire::Report(report) => report.message(quotes),
        EventWire::Position(position) => {
            let at = venue_time(position.time);
            UserMessage::Events(vec![VenueEvent::Balances { at, balances: balances(&position.balances) }])
        }
        EventWire::BalanceUpdate | EventWire::ExternalLock => UserMessage::BalancesChanged,
        EventWire::Terminated | EventWire::Shutdown => UserMessage::Ending,
        EventWire::Other => UserMessage::Other,
    })
}

#[derive(Deserialize)]
struct EnvelopeWire {
    event: Option<EventWire>,
    status: Option<i64>,
    error: Option<ErrorWire>,
}

#[derive(Deserialize)]
struct ErrorWire {
    code: i64,
    msg: String,
}

#[derive(Deserialize)]
#[serde(tag = "e")]
enum EventWire {
    #[serde(rename = "executionReport")]
    Report(Box<ReportWire>),
    #[serde(rename = "outboundAccountPosition")]
    Position(PositionWire),
    #[serde(rename = "balanceUpdate")]
    BalanceUpdate,
    #[serde(rename = "externalLockUpdate")]
    ExternalLock,
    #[serde(rename = "eventStreamTerminated")]
    Terminated,
    #[serde(rename = "serverShutdown")]
    Shutdown,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct PositionWire {
    #[serde(rename = "E")]
    time: i64,
    #[serde(rename = "B")]
    balances: Vec<BalanceWire>,
}

#[derive(Deserialize)]
struct ReportWire {
    #[serde(rename = "s")]
    symbol: Text<Symbol>,
    #[serde(rename = "c")]
    client_id: String,
    #[serde(rename = "C", default)]
    original_id: Option<String>,
    #[serde(rename = "S")]
    side: SideWire,
    #[serde(rename = "q")]
    qty: Text<Qty>,
    #[serde(rename = "x")]
    execution: String,
    #[serde(rename = "X")]
    status: String,
    #[serde(rename = "i")]
    order_id: u64,
    #[serde(rename = "l")]
    last_qty: Text<Qty>,
    #[serde(rename = "z")]
    filled: Text<Qty>,
    #[serde(rename = "L")]
    last_price: Text<Price>,
    #[serde(rename = "n", default)]
    fee: Option<Text<Qty>>,
    #[serde(rename = "N", default)]
    fee_asset: Option<Text<Asset>>,
    #[serde(rename = "T")]
    time: i64,
    /// -1 without a trade.
    #[serde(rename = "t")]
    trade_id: i64,
    #[serde(rename = "m")]
    is_maker: bool,
}

impl ReportWire {
    fn our_id(&self) -> Option<ClientOrderId> {
        let original = self.original_id.as_deref().filter(|id| !id.is_empty());
        original.unwrap_or(&self.client_id).parse().ok()
    }

    fn message(&self, quotes: &QuoteAssets) -> UserMessage {
        let Some(id) = self.our_id() else { return UserMessage::Foreign };
        let order = VenueOrder {
            id,
            order_id: OrderId(self.order_id),
            symbol: self.symbol.0,
            side: self.side.into(),
            status: order_status(&self.status, self.filled.0),
            qty: self.qty.0,
            filled: self.filled.0,
            at: venue_time(self.time),
        };
        let mut events: Vec<VenueEvent> = self.fill(&order, quotes).map(VenueEvent::Fill).into_iter().collect();
        events.push(VenueEvent::Order(order));
        UserMessage::Events(events)
    }

    /// A trade of nothing, or one without an id, is no fill.
    fn fill(&self, order: &VenueOrder, quotes: &QuoteAssets) -> Option<VenueFill> {
        let trade_id = u64::try_from(self.trade_id).ok().map(TradeId)?;
        if self.execution != "TRADE" || !self.last_qty.0.is_positive() {
            return None;
        }
        let fee = self.fee.map_or(Qty::ZERO, |f| f.0);
        let fee_asset = self.fee_asset.map(|a| a.0).or_else(|| quotes.get(&order.symbol).copied())?;
        Some(VenueFill {
            id: order.id,
            order_id: order.order_id,
            trade_id,
            symbol: order.symbol,
            side: order.side,
            price: self.last_price.0,
            qty: self.last_qty.0,
            role: if self.is_maker { Role::Maker } else { Role::Taker },
            fee,
            fee_asset,
            at: order.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderStatus, RunId, Side};

    const OURS: &str = "h000000000000001f-2a";

    fn report(c: &str, original: &str, x: &str, status: &str, last: &str, trade: i64, commission: &str) -> String {
        format!(
            r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":1499405658658,"s":"ETHBTC","c":"{c}","S":"BUY","o":"LIMIT","f":"GTC",
            "q":"1.00000000","p":"0.10264410","P":"0.0","F":"0.0","g":-1,"C":"{original}","x":"{x}","X":"{status}","r":"NONE","i":4293153,
            "l":"{last}","z":"{last}","L":"0.10264410","n":"0.0001","N":{commission},"T":1499405658657,"t":{trade},"v":3,"I":8641984,
            "w":true,"m":false,"M":false,"O":1499405658657,"Z":"0.0","Y":"0.0","Q":"0.0","W":1499405658657,"V":"NONE"}}}}"#
        )
    }

    fn events(json: &str) -> Vec<VenueEvent> {
        let quotes = QuoteAssets::from([("ETHBTC".parse().unwrap(), "BTC".parse().unwrap())]);
        match read_user_message(json, &quotes).unwrap() {
            UserMessage::Events(events) => events,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_canceled_order_is_known_by_its_original_id() {
        let told = events(&report("web_cancel_1", OURS, "CANCELED", "CANCELED", "0.0", -1, "null"));
        let [VenueEvent::Order(order)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((order.id, order.status), (ClientOrderId { run: RunId(0x1f), sequence: 0x2a }, OrderStatus::Canceled));
    }

    #[test]
    fn a_trade_is_a_fill_before_the_order_it_belongs_to() {
        let told = events(&report(OURS, "", "TRADE", "PARTIALLY_FILLED", "0.25", 77, "\"ETH\""));
        let [VenueEvent::Fill(fill), VenueEvent::Order(order)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((fill.trade_id, fill.qty.to_string().as_str(), fill.fee_asset.as_str()), (TradeId(77), "0.25", "ETH"));
        assert_eq!((fill.side, fill.role, order.status), (Side::Buy, Role::Taker, OrderStatus::PartiallyFilled));
    }

    #[test]
    fn a_trade_of_nothing_is_no_fill_and_a_fee_without_asset_is_in_quote() {
        assert_eq!(events(&report(OURS, "", "TRADE", "NEW", "0.00000000", 77, "null")).len(), 1);
        let told = events(&report(OURS, "", "TRADE", "FILLED", "1.0", 78, "null"));
        assert!(matches!(&told[0], VenueEvent::Fill(f) if f.fee_asset.as_str() == "BTC"));
        let prevented = events(&report(OURS, "", "TRADE_PREVENTION", "EXPIRED_IN_MATCH", "0.0", -1, "null"));
        assert!(matches!(&prevented[..], [VenueEvent::Order(o)] if o.status == OrderStatus::Expired));
    }

    #[test]
    fn other_programs_orders_are_foreign() {
        let none = QuoteAssets::new();
        let theirs = report("x-TKT5PX2F", "", "NEW", "NEW", "0.0", -1, "null");
        assert_eq!(read_user_message(&theirs, &none).unwrap(), UserMessage::Foreign);
    }

    #[test]
    fn balances_are_absolute_and_changes_are_asked_for() {
        let position = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,
            "B":[{"a":"ETH","f":"10000.000000","l":"1.5"}]}}"#;
        assert!(matches!(&events(position)[..], [VenueEvent::Balances { balances, .. }] if balances[0].total().to_string() == "10001.5"));
        let none = QuoteAssets::new();
        let read = |text| read_user_message(text, &none).unwrap();
        let change = r#"{"subscriptionId":0,"event":{"e":"balanceUpdate","E":1,"a":"BTC","d":"100.0","T":1}}"#;
        assert_eq!(read(change), UserMessage::BalancesChanged);
        assert_eq!(read(r#"{"event":{"e":"serverShutdown","E":1}}"#), UserMessage::Ending);
        assert_eq!(read(r#"{"subscriptionId":0,"event":{"e":"listStatus","s":"X"}}"#), UserMessage::Other);
        assert_eq!(read(r#"{"id":"1","status":200,"result":{"subscriptionId":0}}"#), UserMessage::Answer(Ok(())));
        let refused = r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#;
        assert_eq!(read(refused), UserMessage::Answer(Err((-2015, "Invalid API-key".to_owned()))));
    }
}
