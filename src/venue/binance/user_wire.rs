//! The user stream's messages as Binance writes them, and their translation.
//!
//! Source: Binance user-data-stream.md. On a cancel `c` is the id of the cancel request and `C` the order's own id. A trade prevented by the
//! self-trade rule (`TRADE_PREVENTION`, `l` = 0) is no fill. `balanceUpdate` states a change, never a balance: the account is asked for.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rest_wire::{BalanceWire, SideWire, balances, order_status};
use super::user_news::Identity;
use crate::domain::{Asset, ClientOrderId, OrderId, Price, Qty, Role, Symbol, TradeId};
use crate::protocol::{VenueEvent, VenueFill, VenueOrder, VenueRefusal};
use crate::venue::market_frame::{Text, venue_time};

/// One message, and what makes it the same as another one.
#[derive(Debug, PartialEq)]
pub(super) struct UserNews {
    /// `None` for what is not an event of the account.
    pub identity: Option<Identity>,
    pub message: UserMessage,
}

/// What one user message means.
#[derive(Debug, PartialEq)]
pub(super) enum UserMessage {
    /// In the order in which they must be told.
    Events(Vec<VenueEvent>),
    /// An order of another program.
    Foreign,
    /// A deposit, withdrawal or lock, or a refused order list: the account must be asked for, the message does not state it.
    CompareAccount(&'static str),
    /// The venue ends this stream, at once or soon.
    Ending { still_feeding: bool },
    /// The answer to our subscription: `Err` with code and text when refused.
    Answer(Result<(), (i64, String)>),
    /// The state of an order list; its orders are reported one by one.
    List,
    /// A kind of message that is not known here.
    Unknown(String),
}

/// The quote asset of each market: what a commission of nothing is counted in.
pub(super) type QuoteAssets = BTreeMap<Symbol, Asset>;

pub(super) fn read_user_message(json: &str, quotes: &QuoteAssets) -> Result<UserNews, serde_json::Error> {
    let envelope: EnvelopeWire = serde_json::from_str(json)?;
    let Some(event) = envelope.event else {
        let message = match (envelope.status, envelope.error) {
            (_, Some(error)) => UserMessage::Answer(Err((error.code, error.msg))),
            (Some(200), None) => UserMessage::Answer(Ok(())),
            (Some(status), None) => UserMessage::Answer(Err((status, "no reason given".to_owned()))),
            (None, None) => UserMessage::Unknown("a message without an event".to_owned()),
        };
        return Ok(UserNews { identity: None, message });
    };
    let mut identity = Some(Identity::Text(hash_of(event.get())));
    let kind: KindWire = serde_json::from_str(event.get())?;
    let message = match kind.e.as_str() {
        "executionReport" => {
            let report: ReportWire = serde_json::from_str(event.get())?;
            identity = report.identity().or(identity);
            report.message(quotes)
        }
        "outboundAccountPosition" => {
            let position: PositionWire = serde_json::from_str(event.get())?;
            let at = venue_time(position.changed.unwrap_or(position.time));
            UserMessage::Events(vec![VenueEvent::Balances { at, balances: balances(&position.balances) }])
        }
        "balanceUpdate" => UserMessage::CompareAccount("a transfer"),
        "externalLockUpdate" => UserMessage::CompareAccount("an external lock"),
        "listStatus" => match serde_json::from_str::<ListWire>(event.get())?.status.as_str() {
            "REJECT" => UserMessage::CompareAccount("a refused order list"),
            _ => UserMessage::List,
        },
        "eventStreamTerminated" => UserMessage::Ending { still_feeding: false },
        "serverShutdown" => UserMessage::Ending { still_feeding: true },
        _ => UserMessage::Unknown(kind.e.chars().take(40).collect()),
    };
    if matches!(message, UserMessage::Ending { .. }) {
        // Each connection is told for itself.
        identity = None;
    }
    Ok(UserNews { identity, message })
}

/// The same text gives the same number within one run, which is all that is asked of it.
fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[derive(Deserialize)]
struct EnvelopeWire<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    status: Option<i64>,
    error: Option<ErrorWire>,
}

#[derive(Deserialize)]
struct KindWire {
    e: String,
}

#[derive(Deserialize)]
struct ErrorWire {
    code: i64,
    msg: String,
}

#[derive(Deserialize)]
struct ListWire {
    /// RESPONSE, EXEC_STARTED, UPDATED, ALL_DONE, REJECT.
    #[serde(rename = "l")]
    status: String,
}

#[derive(Deserialize)]
struct PositionWire {
    #[serde(rename = "E")]
    time: i64,
    /// When the account changed.
    #[serde(rename = "u", default)]
    changed: Option<i64>,
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
    /// -1 for an order that never came to be.
    #[serde(rename = "i")]
    order_id: i64,
    /// NONE, or why the order was refused.
    #[serde(rename = "r", default)]
    reason: Option<String>,
    #[serde(rename = "I", default)]
    execution_id: Option<u64>,
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

    fn identity(&self) -> Option<Identity> {
        let order = OrderId(u64::try_from(self.order_id).ok()?);
        let rest = hash_of((&self.execution, &self.status, self.trade_id, self.filled.0.raw()));
        Some(Identity::Execution(self.symbol.0, self.execution_id?, order, rest))
    }

    fn message(&self, quotes: &QuoteAssets) -> UserMessage {
        let Some(id) = self.our_id() else { return UserMessage::Foreign };
        let Ok(order_id) = u64::try_from(self.order_id) else {
            let (reason, message) = self.refusal();
            return UserMessage::Events(vec![VenueEvent::Refused { id, reason, message }]);
        };
        let order = VenueOrder {
            id,
            order_id: OrderId(order_id),
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

    fn refusal(&self) -> (VenueRefusal, String) {
        let told = self.reason.as_deref().unwrap_or("NONE");
        let reason = match told {
            "INSUFFICIENT_BALANCE" | "INSUFFICIENT_BALANCES" => VenueRefusal::InsufficientBalance,
            "WOULD_MATCH_IMMEDIATELY" => VenueRefusal::WouldTake,
            _ => VenueRefusal::Other,
        };
        (reason, format!("refused by the venue: {told}"))
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
        match read_user_message(json, &quotes).unwrap().message {
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
        assert_eq!(read_user_message(&theirs, &none).unwrap().message, UserMessage::Foreign);
    }

    #[test]
    fn balances_are_absolute_and_changes_are_asked_for() {
        let position = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,
            "B":[{"a":"ETH","f":"10000.000000","l":"1.5"}]}}"#;
        assert!(matches!(&events(position)[..], [VenueEvent::Balances { balances, .. }] if balances[0].total().to_string() == "10001.5"));
        assert!(matches!(&events(position)[..], [VenueEvent::Balances { at, .. }] if at.nanos() == 1_564_034_571_073 * 1_000_000));
        for change in [
            r#"{"e":"balanceUpdate","E":1,"a":"BTC","d":"100.0","T":1}"#,
            r#"{"e":"externalLockUpdate","E":1,"a":"BTC","d":"-1.0","T":1}"#,
            r#"{"e":"listStatus","E":1,"s":"BTCUSDT","g":2,"c":"OCO","l":"REJECT","L":"REJECT","r":"NONE","C":"x","T":1,"O":[]}"#,
        ] {
            assert!(matches!(read(&wrapped(change)), UserMessage::CompareAccount(_)), "{change}");
        }
    }

    fn wrapped(event: &str) -> String {
        format!(r#"{{"subscriptionId":0,"event":{event}}}"#)
    }

    fn read(text: &str) -> UserMessage {
        read_user_message(text, &QuoteAssets::new()).unwrap().message
    }

    #[test]
    fn the_streams_own_messages_are_told_apart_and_unknown_ones_are_named() {
        assert_eq!(read(r#"{"event":{"e":"serverShutdown","E":1}}"#), UserMessage::Ending { still_feeding: true });
        assert_eq!(read(&wrapped(r#"{"e":"eventStreamTerminated","E":1}"#)), UserMessage::Ending { still_feeding: false });
        assert_eq!(read(&wrapped(r#"{"e":"listStatus","s":"X","l":"EXEC_STARTED"}"#)), UserMessage::List);
        assert_eq!(read(&wrapped(r#"{"e":"somethingNew","x":{"y":[1]}}"#)), UserMessage::Unknown("somethingNew".to_owned()));
        assert_eq!(read(r#"{"id":"1","status":200,"result":{"subscriptionId":0}}"#), UserMessage::Answer(Ok(())));
        let refused = r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#;
        assert_eq!(read(refused), UserMessage::Answer(Err((-2015, "Invalid API-key".to_owned()))));
        assert!(read_user_message(&wrapped(r#"{"e":"executionReport"}"#), &QuoteAssets::new()).is_err());
    }

    #[test]
    fn an_order_that_never_came_to_be_is_refused_with_its_reason() {
        let told = report(OURS, "", "REJECTED", "REJECTED", "0.0", -1, "null")
            .replace("4293153", "-1")
            .replace(r#""NONE","i""#, r#""WOULD_MATCH_IMMEDIATELY","i""#);
        assert!(matches!(&events(&told)[..], [VenueEvent::Refused { reason: VenueRefusal::WouldTake, .. }]), "{told}");
    }

    #[test]
    fn an_amended_order_keeps_its_name_and_states_its_new_quantity() {
        let told = report("web_amend", OURS, "REPLACED", "NEW", "0.0", -1, "null");
        assert!(matches!(&events(&told)[..], [VenueEvent::Order(o)] if o.status == OrderStatus::Open && o.id.sequence == 0x2a));
    }

    #[test]
    fn the_same_event_of_two_subscriptions_is_the_same() {
        let of = |text: &str| read_user_message(text, &QuoteAssets::new()).unwrap().identity;
        let first = report(OURS, "", "TRADE", "PARTIALLY_FILLED", "0.25", 77, "\"ETH\"");
        let second = first.replace("\"subscriptionId\":0", "\"subscriptionId\":5").replace("\"E\":1499405658658", "\"E\":1499405658659");
        assert!(of(&first).is_some() && of(&first) == of(&second));
        assert_ne!(of(&first), of(&first.replace("\"I\":8641984", "\"I\":8641985")));
        let position = wrapped(r#"{"e":"outboundAccountPosition","E":1,"u":1,"B":[]}"#);
        assert_eq!(of(&position), of(&position.replace("\"subscriptionId\":0", "\"subscriptionId\":1")));
        assert_eq!(of(r#"{"event":{"e":"serverShutdown","E":1}}"#), None, "each connection is told for itself");
    }
}
