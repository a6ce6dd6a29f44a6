//! Where the market comes from: the seeded synthetic market, or a recording.

use super::replay::Replay;
use crate::domain::{Candle, Interval, MarketData, MarketUpdate, Span, Symbol, Timestamp};
use crate::matching::flow::Flow;

/// A pause longer than this is not played through: the exchange was away, and opens anew.
const LONGEST_PAUSE: Span = Span::from_secs(60);

pub(super) enum Supply {
    Synthetic { flow: Box<Flow>, symbols: Vec<Symbol> },
    Replay(Replay),
}

impl Supply {
    /// Appends the books as they stand at `now`; a recording brings its own.
    pub fn open(&mut self, now: Timestamp, out: &mut Vec<MarketUpdate>) {
        if let Self::Synthetic { flow, symbols } = self {
            for symbol in symbols.iter() {
                if let Some(snapshot) = flow.snapshot(*symbol, now) {
                    out.push(MarketUpdate {
                        symbol: *symbol,
                        exchange_time: Some(now),
                        local_time: now,
                        data: MarketData::Snapshot(snapshot),
                    });
                }
            }
        }
    }

    /// What happened in the minute that runs at `now`, before `now`.
    pub fn running_minute(&mut self, now: Timestamp) -> Vec<MarketUpdate> {
        match self {
            Self::Synthetic { flow, symbols } => flow.updates(symbols, now.floor_to(Interval::MINUTE), now),
            Self::Replay(_) => Vec::new(),
        }
    }

    /// Appends what happens in `[from, to)`. After a long pause (the computer slept) only the books as they stand now.
    pub fn advance(&mut self, from: Timestamp, to: Timestamp, out: &mut Vec<MarketUpdate>) {
        match self {
            Self::Replay(replay) => replay.advance(to, out),
            Self::Synthetic { flow, symbols } if to.since(from) <= LONGEST_PAUSE => out.extend(flow.updates(symbols, from, to)),
            Self::Synthetic { .. } => {
                self.open(to, out);
                out.extend(self.running_minute(to).into_iter().filter(|update| matches!(update.data, MarketData::Trade(_))));
            }
        }
    }

    /// Finished candles that open in `[from, to)`; `None` where only what was seen is known.
    pub fn candles(&mut self, symbol: Symbol, interval: Interval, from: Timestamp, to: Timestamp) -> Option<Vec<Candle>> {
        match self {
            Self::Synthetic { flow, .. } => Some(flow.candles(symbol, interval, from, to)),
            Self::Replay(_) => None,
        }
    }

    /// The first moment with candles, where candles do not depend on what was seen.
    pub fn history_start(&self) -> Option<Timestamp> {
        match self {
            Self::Synthetic { flow, .. } => Some(flow.origin()),
            Self::Replay(_) => None,
        }
    }
}
