//! The public market's answers as Binance writes them, and their translation. Nothing here leaves the room.
//!
//! Source: Binance rest-api.md (2026-07).

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::number::Num;
use super::rest_market::{AggTrade, AveragePrice, Ticker24h};
use crate::domain::{Candle, Level, Money, Price, PublicTrade, Qty, Quote, Symbol, Timestamp, TradeId};
use crate::venue::market_frame::venue_time;

/// `[open time, open, high, low, close, volume, close time, quote volume, trades, taker base, taker quote, unused]`.
#[derive(Deserialize)]
pub(super) struct KlineWire(
    i64,
    Num<Price>,
    Num<Price>,
    Num<Price>,
    Num<Price>,
    Num<Qty>,
    i64,
    IgnoredAny,
    u32,
    Num<Qty>,
    IgnoredAny,
    IgnoredAny,
);

impl KlineWire {
    pub fn close_time(&self) -> Timestamp {
        venue_time(self.6)
    }

    pub fn candle(&self) -> Candle {
        Candle {
            open_time: venue_time(self.0),
            open: self.1.0,
            high: self.2.0,
            low: self.3.0,
            close: self.4.0,
            volume: self.5.0,
            taker_buy_volume: Some(self.9.0),
            trades: self.8,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct DepthSnapshotWire {
    #[serde(rename = "lastUpdateId")]
    pub last_update_id: u64,
    pub bids: Vec<LevelWire>,
    pub asks: Vec<LevelWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicTradeWire {
    id: u64,
    price: Num<Price>,
    qty: Num<Qty>,
    time: i64,
    is_buyer_maker: bool,
}

impl PublicTradeWire {
    pub fn trade(&self) -> (Timestamp, PublicTrade) {
        let trade = PublicTrade { id: TradeId(self.id), price: self.price.0, qty: self.qty.0, buyer_is_maker: self.is_buyer_maker };
        (venue_time(self.time), trade)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookTickerWire {
    symbol: Symbol,
    bid_price: Num<Price>,
    bid_qty: Num<Qty>,
    ask_price: Num<Price>,
    ask_qty: Num<Qty>,
}

impl BookTickerWire {
    /// REST quotes carry no update id: it is 0.
    pub fn quote(&self) -> (Symbol, Quote) {
        let bid = Level { price: self.bid_price.0, qty: self.bid_qty.0 };
        let ask = Level { price: self.ask_price.0, qty: self.ask_qty.0 };
        (self.symbol, Quote { update_id: 0, bid, ask })
    }
}

/// `["price", "qty"]`; further elements are ignored.
pub(super) struct LevelWire(pub Level);

impl<'de> Deserialize<'de> for LevelWire {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = LevelWire;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("[\"price\", \"qty\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LevelWire, A::Error> {
                let short = || de::Error::custom("a price level without both numbers");
                let price: Num<Price> = seq.next_element()?.ok_or_else(short)?;
                let qty: Num<Qty> = seq.next_element()?.ok_or_else(short)?;
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

pub(super) fn levels(wire: Vec<LevelWire>) -> Vec<Level> {
    wire.into_iter().map(|l| l.0).collect()
}

#[derive(Deserialize)]
pub(super) struct TimeWire {
    #[serde(rename = "serverTime")]
    server_time: i64,
}

impl TimeWire {
    pub fn time(&self) -> Timestamp {
        venue_time(self.server_time)
    }
}

#[derive(Deserialize)]
pub(super) struct AggTradeWire {
    a: u64,
    p: Num<Price>,
    q: Num<Qty>,
    f: i64,
    l: i64,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
}

impl AggTradeWire {
    pub fn trade(&self) -> AggTrade {
        // Some very old ones name no trades: -1.
        let id = |id: i64| u64::try_from(id).ok().map(TradeId);
        AggTrade {
            id: self.a,
            price: self.p.0,
            qty: self.q.0,
            trades: id(self.f).zip(id(self.l)),
            at: venue_time(self.time),
            buyer_is_maker: self.m,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AveragePriceWire {
    mins: u32,
    price: Num<Price>,
    #[serde(default)]
    close_time: Option<i64>,
}

impl AveragePriceWire {
    pub fn average(&self) -> AveragePrice {
        AveragePrice { minutes: self.mins, price: self.price.0, close_time: self.close_time.map(venue_time) }
    }
}

#[derive(Deserialize)]
pub(super) struct PriceWire {
    pub symbol: Symbol,
    pub price: Num<Price>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticker24hWire {
    symbol: Symbol,
    weighted_avg_price: Num<Price>,
    last_price: Num<Price>,
    bid_price: Num<Price>,
    bid_qty: Num<Qty>,
    ask_price: Num<Price>,
    ask_qty: Num<Qty>,
    open_price: Num<Price>,
    high_price: Num<Price>,
    low_price: Num<Price>,
    volume: Num<Qty>,
    quote_volume: Num<Money>,
    open_time: i64,
    close_time: i64,
    count: u64,
}

impl Ticker24hWire {
    pub fn ticker(&self) -> Ticker24h {
        Ticker24h {
            symbol: self.symbol,
            open: self.open_price.0,
            high: self.high_price.0,
            low: self.low_price.0,
            last: self.last_price.0,
            weighted_average: self.weighted_avg_price.0,
            bid: Level { price: self.bid_price.0, qty: self.bid_qty.0 },
            ask: Level { price: self.ask_price.0, qty: self.ask_qty.0 },
            volume: self.volume.0,
            quote_volume: self.quote_volume.0,
            open_time: venue_time(self.open_time),
            close_time: venue_time(self.close_time),
            trades: self.count,
        }
    }
}
