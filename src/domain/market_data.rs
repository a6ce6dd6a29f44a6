//! What a market says: book snapshots and diffs, quotes, public trades, finished candles.

use serde::{Deserialize, Serialize};

use super::{Candle, Interval, Price, Qty, Symbol, Timestamp, TradeId};

/// One message about one market. Both times are kept: the venue's and ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarketUpdate {
    pub symbol: Symbol,
    /// The venue's time; `None` where the message carries none (snapshots, quotes).
    pub exchange_time: Option<Timestamp>,
    /// When the message arrived here.
    pub local_time: Timestamp,
    pub data: MarketData,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MarketData {
    Snapshot(BookSnapshot),
    Depth(DepthDiff),
    Quote(Quote),
    Trade(PublicTrade),
    /// A finished candle from history or a recorded data set.
    Candle {
        interval: Interval,
        candle: Candle,
    },
    /// The stream broke: the book is unknown until the next snapshot.
    Interrupted,
}

/// A price level. In a diff, `qty` zero removes the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub price: Price,
    pub qty: Qty,
}

/// The book at `last_update_id`: bids from high to low, asks from low to high.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookSnapshot {
    pub last_update_id: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// Absolute quantities of the levels that changed in updates `first..=last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthDiff {
    pub first_update_id: u64,
    pub last_update_id: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// The best bid and ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub update_id: u64,
    pub bid: Level,
    pub ask: Level,
}

/// A public trade; the taker sold when the buyer was the maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicTrade {
    pub id: TradeId,
    pub price: Price,
    pub qty: Qty,
    pub buyer_is_maker: bool,
}
