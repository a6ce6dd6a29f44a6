//! Market data as streams and REST print it.

use serde::Serialize;

use super::bar::Bar;
use super::grid::Grid;
use super::tape::Traded;
use super::wire::{Fixed, Pair, pairs};
use crate::domain::{BookSnapshot, DepthDiff, Level, Money, Price, Qty, Symbol, Timestamp};

#[derive(Serialize)]
pub(super) struct TradeEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    t: u64,
    p: Fixed<Price>,
    q: Fixed<Qty>,
    #[serde(rename = "T")]
    trade_time: i64,
    m: bool,
    #[serde(rename = "M")]
    ignore: bool,
}

impl<'a> TradeEvent<'a> {
    pub fn of(symbol: &'a Symbol, traded: &Traded, now: Timestamp) -> Self {
        Self {
            e: "trade",
            event_time: now.millis(),
            s: symbol.as_str(),
            t: traded.trade.id.0,
            p: Fixed(traded.trade.price),
            q: Fixed(traded.trade.qty),
            trade_time: traded.at.millis(),
            m: traded.trade.buyer_is_maker,
            ignore: true,
        }
    }
}

#[derive(Serialize)]
pub(super) struct AggTradeEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    #[serde(flatten)]
    trade: AggTrade,
}

impl<'a> AggTradeEvent<'a> {
    pub fn of(symbol: &'a Symbol, traded: &Traded, now: Timestamp) -> Self {
        Self { e: "aggTrade", event_time: now.millis(), s: symbol.as_str(), trade: AggTrade::of(traded) }
    }
}

/// Each trade is its own aggregate.
#[derive(Serialize)]
pub(super) struct AggTrade {
    a: u64,
    p: Fixed<Price>,
    q: Fixed<Qty>,
    f: u64,
    l: u64,
    #[serde(rename = "T")]
    trade_time: i64,
    m: bool,
    #[serde(rename = "M")]
    best_match: bool,
}

impl AggTrade {
    pub fn of(traded: &Traded) -> Self {
        let id = traded.trade.id.0;
        Self {
            a: id,
            p: Fixed(traded.trade.price),
            q: Fixed(traded.trade.qty),
            f: id,
            l: id,
            trade_time: traded.at.millis(),
            m: traded.trade.buyer_is_maker,
            best_match: true,
        }
    }
}

/// A row of `/trades`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TradeRow {
    id: u64,
    price: Fixed<Price>,
    qty: Fixed<Qty>,
    quote_qty: Fixed<Money>,
    time: i64,
    is_buyer_maker: bool,
    is_best_match: bool,
}

impl TradeRow {
    pub fn of(traded: &Traded) -> Self {
        Self {
            id: traded.trade.id.0,
            price: Fixed(traded.trade.price),
            qty: Fixed(traded.trade.qty),
            quote_qty: Fixed(traded.trade.price.notional(traded.trade.qty).unwrap_or(Money::ZERO)),
            time: traded.at.millis(),
            is_buyer_maker: traded.trade.buyer_is_maker,
            is_best_match: true,
        }
    }
}

/// The `bookTicker` stream: no event type and no time, as on the real one.
#[derive(Serialize)]
pub(super) struct BookTickerEvent<'a> {
    u: u64,
    s: &'a str,
    b: Fixed<Price>,
    #[serde(rename = "B")]
    bid_qty: Fixed<Qty>,
    a: Fixed<Price>,
    #[serde(rename = "A")]
    ask_qty: Fixed<Qty>,
}

impl<'a> BookTickerEvent<'a> {
    pub fn of(symbol: &'a Symbol, (update_id, bid, ask): (u64, Level, Level)) -> Self {
        Self {
            u: update_id,
            s: symbol.as_str(),
            b: Fixed(bid.price),
            bid_qty: Fixed(bid.qty),
            a: Fixed(ask.price),
            ask_qty: Fixed(ask.qty),
        }
    }
}

/// A row of `/ticker/bookTicker`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookTickerRow<'a> {
    symbol: &'a str,
    bid_price: Fixed<Price>,
    bid_qty: Fixed<Qty>,
    ask_price: Fixed<Price>,
    ask_qty: Fixed<Qty>,
}

impl<'a> BookTickerRow<'a> {
    pub fn of(symbol: &'a Symbol, (_, bid, ask): (u64, Level, Level)) -> Self {
        Self {
            symbol: symbol.as_str(),
            bid_price: Fixed(bid.price),
            bid_qty: Fixed(bid.qty),
            ask_price: Fixed(ask.price),
            ask_qty: Fixed(ask.qty),
        }
    }
}

#[derive(Serialize)]
pub(super) struct DepthEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    #[serde(rename = "U")]
    first_update_id: u64,
    u: u64,
    b: Vec<Pair>,
    a: Vec<Pair>,
}

impl<'a> DepthEvent<'a> {
    pub fn of(symbol: &'a Symbol, diff: &DepthDiff, now: Timestamp) -> Self {
        Self {
            e: "depthUpdate",
            event_time: now.millis(),
            s: symbol.as_str(),
            first_update_id: diff.first_update_id,
            u: diff.last_update_id,
            b: pairs(&diff.bids),
            a: pairs(&diff.asks),
        }
    }
}

/// The answer of `/depth`, and the partial depth streams.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DepthSnapshot {
    last_update_id: u64,
    bids: Vec<Pair>,
    asks: Vec<Pair>,
}

impl DepthSnapshot {
    pub fn of(book: &BookSnapshot) -> Self {
        Self { last_update_id: book.last_update_id, bids: pairs(&book.bids), asks: pairs(&book.asks) }
    }
}

#[derive(Serialize)]
pub(super) struct KlineEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    k: Kline<'a>,
}

#[derive(Serialize)]
struct Kline<'a> {
    t: i64,
    #[serde(rename = "T")]
    close_time: i64,
    s: &'a str,
    i: String,
    /// Ids of the first and last trade are not kept with bars: -1, as the exchange writes for none.
    f: i64,
    #[serde(rename = "L")]
    last_trade: i64,
    o: Fixed<Price>,
    c: Fixed<Price>,
    h: Fixed<Price>,
    l: Fixed<Price>,
    v: Fixed<Qty>,
    n: u32,
    x: bool,
    q: Fixed<Money>,
    #[serde(rename = "V")]
    taker_buy_volume: Fixed<Qty>,
    #[serde(rename = "Q")]
    taker_buy_quote: Fixed<Money>,
    #[serde(rename = "B")]
    ignore: &'static str,
}

impl<'a> KlineEvent<'a> {
    pub fn of(symbol: &'a Symbol, grid: Grid, bar: &Bar, closed: bool, now: Timestamp) -> Self {
        let kline = Kline {
            t: bar.open_time.millis(),
            close_time: grid.close_ms(bar.open_time),
            s: symbol.as_str(),
            i: grid.name(),
            f: -1,
            last_trade: -1,
            o: Fixed(bar.open),
            c: Fixed(bar.close),
            h: Fixed(bar.high),
            l: Fixed(bar.low),
            v: Fixed(bar.volume),
            n: bar.trades,
            x: closed,
            q: Fixed(bar.quote_volume),
            taker_buy_volume: Fixed(bar.taker_buy_volume),
            taker_buy_quote: Fixed(bar.taker_buy_quote),
            ignore: "0",
        };
        Self { e: "kline", event_time: now.millis(), s: symbol.as_str(), k: kline }
    }
}
