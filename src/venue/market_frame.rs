//! Binance's public market messages as text, read into the house's words. Captures and the live stream share this reader.
//!
//! Source: Binance web-socket-streams.md (`@depth`, `@trade`, `@bookTicker`, combined `{"stream","data"}`) and the REST depth answer.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::depth_frame::{DepthFrame, read_depth};
use crate::domain::{BookSnapshot, DepthDiff, Level, MarketData, Price, PublicTrade, Qty, Quote, Symbol, Timestamp, TradeId};

/// The streams of depth updates, at every speed.
pub(super) const DEPTH_STREAMS: [&str; 3] = ["depth@100ms", "depth", "depth@1000ms"];

/// What one public message says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    Update {
        symbol: Symbol,
        exchange_time: Option<Timestamp>,
        data: MarketData,
    },
    /// A depth snapshot, which does not name its market.
    Snapshot(BookSnapshot),
    /// The venue is about to close the connection.
    Shutdown,
    /// The answer to a request that the venue did not take.
    Refused {
        code: i64,
        message: String,
    },
    /// Well-formed, but none of ours: another stream, or an answer to a request.
    Other,
}

/// Reads one JSON message.
pub(super) fn read_frame(json: &str) -> Result<Frame, serde_json::Error> {
    match read_depth(json) {
        Some(DepthFrame { symbol, time, diff }) => {
            Ok(Frame::Update { symbol, exchange_time: Some(venue_time(time)), data: MarketData::Depth(diff) })
        }
        None => read_general(json),
    }
}

/// The same, whatever the order of keys and the form of numbers.
pub(super) fn read_general(json: &str) -> Result<Frame, serde_json::Error> {
    match stream_name(json)? {
        Some(name) => read_stream(&name, json),
        None => read_bare(json),
    }
}

fn read_stream(name: &str, json: &str) -> Result<Frame, serde_json::Error> {
    let kind = name.split_once('@').map_or(name, |(_, kind)| kind);
    match kind {
        kind if DEPTH_STREAMS.contains(&kind) => Ok(serde_json::from_str::<Wrapped<DepthWire>>(json)?.data.into_frame()),
        "trade" => Ok(serde_json::from_str::<Wrapped<TradeWire>>(json)?.data.into_frame()),
        "bookTicker" => Ok(serde_json::from_str::<Wrapped<QuoteWire>>(json)?.data.into_frame()),
        "interrupted" => Ok(serde_json::from_str::<Wrapped<InterruptedWire>>(json)?.data.into_frame()),
        "!serverShutdown" => Ok(Frame::Shutdown),
        _ => serde_json::from_str::<IgnoredAny>(json).map(|_| Frame::Other),
    }
}

fn read_bare(json: &str) -> Result<Frame, serde_json::Error> {
    let bare: BareWire = serde_json::from_str(json)?;
    match bare {
        BareWire { e: Some(kind), .. } if kind == "serverShutdown" => Ok(Frame::Shutdown),
        BareWire { last_update_id: Some(last_update_id), bids: Some(bids), asks: Some(asks), .. } => {
            Ok(Frame::Snapshot(BookSnapshot { last_update_id, bids: levels(bids), asks: levels(asks) }))
        }
        BareWire { last_update_id: Some(_), .. } => Err(de::Error::custom("a snapshot without both sides")),
        BareWire { error: Some(RefusalWire { code, msg }), .. } => Ok(Frame::Refused { code, message: msg.into_owned() }),
        _ => Ok(Frame::Other),
    }
}

/// The stream's name. Nearly always the first key; otherwise the whole message is searched.
fn stream_name(json: &str) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    if let Some((name, _)) = json.strip_prefix("{\"stream\":\"").and_then(|rest| rest.split_once('"'))
        && !name.contains('\\')
    {
        return Ok(Some(Cow::Borrowed(name)));
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        stream: Option<Cow<'a, str>>,
    }
    Ok(serde_json::from_str::<Named>(json)?.stream)
}

/// A venue time: milliseconds, or microseconds (values from 1e15 on).
pub(super) fn venue_time(value: i64) -> Timestamp {
    if value >= 1_000_000_000_000_000 { Timestamp::from_nanos(value.saturating_mul(1_000)) } else { Timestamp::from_millis(value) }
}

#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

#[derive(Deserialize)]
struct BareWire<'a> {
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<u64>,
    bids: Option<Vec<LevelWire>>,
    asks: Option<Vec<LevelWire>>,
    #[serde(borrow)]
    error: Option<RefusalWire<'a>>,
}

#[derive(Deserialize)]
struct RefusalWire<'a> {
    code: i64,
    #[serde(borrow)]
    msg: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DepthWire {
    #[serde(rename = "E")]
    time: i64,
    #[serde(rename = "s")]
    symbol: Text<Symbol>,
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    #[serde(rename = "b")]
    bids: Vec<LevelWire>,
    #[serde(rename = "a")]
    asks: Vec<LevelWire>,
}

impl DepthWire {
    fn into_frame(self) -> Frame {
        let diff = DepthDiff { first_update_id: self.first, last_update_id: self.last, bids: levels(self.bids), asks: levels(self.asks) };
        Frame::Update { symbol: self.symbol.0, exchange_time: Some(venue_time(self.time)), data: MarketData::Depth(diff) }
    }
}

#[derive(Deserialize)]
struct TradeWire {
    #[serde(rename = "s")]
    symbol: Text<Symbol>,
    #[serde(rename = "t")]
    id: u64,
    #[serde(rename = "p")]
    price: Text<Price>,
    #[serde(rename = "q")]
    qty: Text<Qty>,
    /// The trade's own time: candles are built by it.
    #[serde(rename = "T")]
    time: i64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

impl TradeWire {
    fn into_frame(self) -> Frame {
        let trade = PublicTrade { id: TradeId(self.id), price: self.price.0, qty: self.qty.0, buyer_is_maker: self.buyer_is_maker };
        Frame::Update { symbol: self.symbol.0, exchange_time: Some(venue_time(self.time)), data: MarketData::Trade(trade) }
    }
}

#[derive(Deserialize)]
struct QuoteWire {
    u: u64,
    s: Text<Symbol>,
    b: Text<Price>,
    #[serde(rename = "B")]
    bid_qty: Text<Qty>,
    a: Text<Price>,
    #[serde(rename = "A")]
    ask_qty: Text<Qty>,
}

impl QuoteWire {
    fn into_frame(self) -> Frame {
        let bid = Level { price: self.b.0, qty: self.bid_qty.0 };
        let ask = Level { price: self.a.0, qty: self.ask_qty.0 };
        let data = MarketData::Quote(Quote { update_id: self.u, bid, ask });
        Frame::Update { symbol: self.s.0, exchange_time: None, data }
    }
}

/// Not the venue's: our own captures keep where a stream broke.
#[derive(Deserialize)]
struct InterruptedWire {
    s: Text<Symbol>,
}

impl InterruptedWire {
    fn into_frame(self) -> Frame {
        Frame::Update { symbol: self.s.0, exchange_time: None, data: MarketData::Interrupted }
    }
}

pub(super) fn levels(wire: Vec<LevelWire>) -> Vec<Level> {
    wire.into_iter().map(|l| l.0).collect()
}

/// `["price", "qty"]`; further elements are ignored.
#[derive(Debug)]
pub(super) struct LevelWire(pub Level);

impl<'de> Deserialize<'de> for LevelWire {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = LevelWire;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[\"price\", \"qty\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LevelWire, A::Error> {
                let short = || de::Error::custom("a price level without both numbers");
                let price: Text<Price> = seq.next_element()?.ok_or_else(short)?;
                let qty: Text<Qty> = seq.next_element()?.ok_or_else(short)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                if !price.0.is_positive() || qty.0 < Qty::ZERO {
                    return Err(de::Error::custom("a price level out of range"));
                }
                Ok(LevelWire(Level { price: price.0, qty: qty.0 }))
            }
        }
        input.deserialize_seq(Pair)
    }
}

/// A value written as a JSON string, parsed in place (the types' own `Deserialize` copies the text first, which costs half the speed).
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct InPlace<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for InPlace<T> {
            type Value = Text<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }
        input.deserialize_str(InPlace(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_streams_and_the_snapshot_are_read() {
        let depth = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":5,"u":7,"b":[["61737.63000000","0.00000000"]],"a":[]}}"#;
        let Ok(Frame::Update { symbol, exchange_time, data: MarketData::Depth(diff) }) = read_frame(depth) else { panic!() };
        assert_eq!((symbol.as_str(), exchange_time), ("BTCUSDT", Some(Timestamp::from_millis(1_723_161_255_208))));
        assert_eq!((diff.first_update_id, diff.last_update_id, diff.bids.len()), (5, 7, 1));

        let trade = r#"{"data":{"e":"trade","E":2,"s":"BTCUSDT","t":9,"p":"61837.63","q":"0.02","T":1,"m":true,"M":true},"stream":"btcusdt@trade"}"#;
        let Ok(Frame::Update { exchange_time, data: MarketData::Trade(trade), .. }) = read_frame(trade) else { panic!() };
        assert_eq!((trade.id, exchange_time), (TradeId(9), Some(Timestamp::from_millis(1))));

        let quote = r#"{"stream":"x@bookTicker","data":{"u":4,"s":"X","b":"1","B":"2","a":"3","A":"4"}}"#;
        let Ok(Frame::Update { exchange_time: None, data: MarketData::Quote(quote), .. }) = read_frame(quote) else { panic!() };
        assert_eq!(quote.ask.price.to_string(), "3");

        let snapshot = r#"{"lastUpdateId":50,"bids":[["1.5","2"]],"asks":[["1.6","2"]]}"#;
        assert!(matches!(read_frame(snapshot), Ok(Frame::Snapshot(s)) if s.last_update_id == 50 && s.asks.len() == 1));
    }

    #[test]
    fn foreign_messages_are_no_errors_and_damaged_ones_are() {
        for other in [
            r#"{"stream":"btcusdt@aggTrade","data":{"a":1,"p":"1"}}"#,
            r#"{"stream":"btcusdt@depth20","data":{"lastUpdateId":1,"bids":[],"asks":[]}}"#,
            r#"{"stream":"!ticker@arr","data":[{"a":1}]}"#,
            r#"{"result":null,"id":1}"#,
        ] {
            assert!(matches!(read_frame(other), Ok(Frame::Other)), "{other}");
        }
        for shutdown in [r#"{"e":"serverShutdown","E":1}"#, r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#] {
            assert!(matches!(read_frame(shutdown), Ok(Frame::Shutdown)), "{shutdown}");
        }
        let refused = read_frame(r#"{"error":{"code":2,"msg":"Invalid request: unknown stream"},"id":4}"#);
        assert!(matches!(refused, Ok(Frame::Refused { code: 2, message }) if message.starts_with("Invalid")));
        for bad in [
            "",
            "null",
            "<html>",
            r#"{"stream":"btcusdt@trade","data":{"s":"BTCUSDT"}}"#,
            r#"{"stream":"btcusdt@trade","data":null}"#,
            r#"{"stream":"btcusdt@aggTrade","data":{"a":"#,
            r#"{"stream":"x@bookTicker","data":{"u":4,"s":"X","b":"1e5","B":"2","a":"3","A":"4"}}"#,
            r#"{"lastUpdateId":50,"bids":[["-1","2"]],"asks":[]}"#,
        ] {
            assert!(read_frame(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn microsecond_times_are_recognised() {
        assert_eq!(venue_time(1_735_689_600_000_000), venue_time(1_735_689_600_000));
    }
}
