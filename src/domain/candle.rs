//! A finished candle.

use serde::{Deserialize, Serialize};

use super::{Price, Qty, Timestamp};

/// Prices and volumes of one interval `[open_time, open_time + interval)`; always finished, never forming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candle {
    pub open_time: Timestamp,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// Base units (as the source gives them; one of our data sets counts quote units and says so).
    pub volume: Qty,
    /// The part of `volume` bought by takers; `None` where the source does not tell.
    pub taker_buy_volume: Option<Qty>,
    pub trades: u32,
}

impl Candle {
    /// True when the four prices are positive and ordered: low ≤ open, close ≤ high.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let inside = |p: Price| self.low <= p && p <= self.high;
        self.low.is_positive() && inside(self.open) && inside(self.close) && self.volume >= Qty::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_below_the_close_is_unsound() {
        let price = |n: i64| Price::from_raw(n);
        let candle = Candle {
            open_time: Timestamp::EPOCH,
            open: price(10),
            high: price(12),
            low: price(9),
            close: price(11),
            volume: Qty::ZERO,
            taker_buy_volume: None,
            trades: 0,
        };
        assert!(candle.is_sound());
        assert!(!Candle { close: price(13), ..candle }.is_sound());
        assert!(!Candle { low: price(0), ..candle }.is_sound());
    }
}
