//! Where stored candles came from, and what is missing of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Candle, Gap, Interval, Symbol, Timestamp};

/// What gave candles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandleSource {
    /// The venue's REST interface.
    Rest,
    /// The venue's second address for public data.
    Mirror,
    /// The venue's files of finished days and months.
    Archive,
    /// Another exchange: other trades, other prices.
    Kraken,
    Coinbase,
    /// Folded here from the venue's recorded trades.
    Trades,
    /// A file that was imported.
    Import,
}

impl CandleSource {
    /// Another exchange's market under the same name.
    #[must_use]
    pub const fn is_elsewhere(self) -> bool {
        matches!(self, Self::Kraken | Self::Coinbase)
    }
}

impl fmt::Display for CandleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rest => "rest",
            Self::Mirror => "mirror",
            Self::Archive => "archive",
            Self::Kraken => "kraken",
            Self::Coinbase => "coinbase",
            Self::Trades => "trades",
            Self::Import => "import",
        })
    }
}

/// A stretch `[start, end)` of open times of one series, all that one source had of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySpan {
    pub start: Timestamp,
    pub end: Timestamp,
    pub source: CandleSource,
    /// The host or the file.
    pub place: String,
    /// When it was last told.
    pub at: Timestamp,
}

/// Candles of one series from one source, with the stretch that they are all of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    pub symbol: Symbol,
    pub interval: Interval,
    pub candles: Vec<Candle>,
    pub span: HistorySpan,
    /// What was stored of the stretch came from another exchange and goes.
    pub replace: bool,
}

/// A hole on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    pub symbol: Symbol,
    pub interval: Interval,
    pub gap: Gap,
    pub found: Timestamp,
    pub reason: GapReason,
    pub state: GapState,
    /// Whoever was asked for it, oldest first.
    pub witnesses: Vec<Witness>,
}

/// Why candles are missing, as far as the file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Nobody was asked for all of it.
    NotFetched,
    /// A source was asked and had none, or none that could be kept.
    NotAtSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapState {
    Found,
    /// The candles came.
    Repaired {
        at: Timestamp,
        source: Option<CandleSource>,
    },
    /// Two independent records of the venue have none.
    ProvenAbsent {
        at: Timestamp,
    },
}

impl GapState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Repaired { .. } => "repaired",
            Self::ProvenAbsent { .. } => "proven_absent",
        }
    }
}

/// What one source said of a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub source: CandleSource,
    pub place: String,
    pub at: Timestamp,
    pub answer: Testimony,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Testimony {
    /// It answered, and has none of these candles.
    Absent,
    /// It has no file of these days.
    NoFile,
    /// It has rows that cannot be true.
    BadRows,
    /// It had some of them, which were kept.
    Some,
    Unreachable,
}
