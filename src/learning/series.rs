//! The candles of one market as learning takes them: checked, cut at gaps, and identified by their content.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::error::LearningError;
use crate::domain::{Candle, Instrument, Interval, Symbol, Timestamp};

/// History of one market: finished candles, oldest first.
#[derive(Debug, Clone)]
pub struct SymbolSeries {
    pub symbol: Symbol,
    pub instrument: Instrument,
    pub interval: Interval,
    pub candles: Vec<Candle>,
}

/// Prices of a series as floats, by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    pub interval: Interval,
    pub open_time: Vec<Timestamp>,
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
}

impl Bars {
    #[must_use]
    pub fn of(series: &SymbolSeries) -> Self {
        let candles = &series.candles;
        Self {
            interval: series.interval,
            open_time: candles.iter().map(|c| c.open_time).collect(),
            open: candles.iter().map(|c| c.open.to_f64()).collect(),
            high: candles.iter().map(|c| c.high.to_f64()).collect(),
            low: candles.iter().map(|c| c.low.to_f64()).collect(),
            close: candles.iter().map(|c| c.close.to_f64()).collect(),
        }
    }
    #[must_use]
    pub fn len(&self) -> usize {
        self.close.len()
    }
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.close.is_empty()
    }
    /// When bar `index` was finished and everything in it known.
    #[must_use]
    pub fn close_time(&self, index: usize) -> Timestamp {
        self.open_time[index] + self.interval.span()
    }
}

impl SymbolSeries {
    /// Every candle must be sound, on its interval's grid and later than the one before.
    pub fn check(&self) -> Result<(), LearningError> {
        let mut last = None;
        for (index, candle) in self.candles.iter().enumerate() {
            let ordered = last.is_none_or(|l| candle.open_time > l);
            let whole = last.is_none_or(|l| candle.open_time.since(l).nanos() % self.interval.span().nanos() == 0);
            if !(ordered && whole && candle.is_sound()) {
                return Err(LearningError::UnsoundCandle { symbol: self.symbol, index, at: candle.open_time });
            }
            last = Some(candle.open_time);
        }
        Ok(())
    }

    /// Index ranges without a missing candle, in order. Features start anew in each, and no label crosses from one to the next.
    #[must_use]
    pub fn stretches(&self) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        let mut start = 0;
        for next in 1..=self.candles.len() {
            let whole =
                next < self.candles.len() && self.candles[next].open_time.since(self.candles[next - 1].open_time) == self.interval.span();
            if !whole {
                out.push(start..next);
                start = next;
            }
        }
        out
    }
}

/// SHA-256 (hex) over symbols, intervals and all candles: the same data has the same id.
#[must_use]
pub fn data_id(series: &[SymbolSeries]) -> String {
    let mut hash = Sha256::new();
    for one in series {
        let name = one.symbol.as_str().as_bytes();
        hash.update([name.len() as u8]);
        hash.update(name);
        hash.update(one.interval.secs().to_le_bytes());
        hash.update((one.candles.len() as u64).to_le_bytes());
        for c in &one.candles {
            hash.update(c.open_time.nanos().to_le_bytes());
            for price in [c.open, c.high, c.low, c.close] {
                hash.update(price.raw().to_le_bytes());
            }
            hash.update(c.volume.raw().to_le_bytes());
            hash.update([u8::from(c.taker_buy_volume.is_some())]);
            hash.update(c.taker_buy_volume.unwrap_or_default().raw().to_le_bytes());
            hash.update(c.trades.to_le_bytes());
        }
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::domain::Price;

    #[test]
    fn a_missing_candle_cuts_the_series() {
        let mut series = fixture::noise(10, 1);
        series.candles.remove(4);
        assert_eq!(series.stretches(), [0..4, 4..9]);
        assert_eq!(fixture::noise(3, 1).stretches(), vec![0..3]);
        assert!(SymbolSeries { candles: Vec::new(), ..series }.stretches().is_empty());
    }

    #[test]
    fn unsound_and_unordered_candles_are_named() {
        let good = fixture::noise(10, 1);
        assert!(good.check().is_ok());
        let mut swapped = good.clone();
        swapped.candles.swap(3, 4);
        assert!(matches!(swapped.check(), Err(LearningError::UnsoundCandle { index: 4, .. })));
        let mut broken = good;
        broken.candles[7].high = Price::ZERO;
        assert!(matches!(broken.check(), Err(LearningError::UnsoundCandle { index: 7, .. })));
    }

    #[test]
    fn the_data_id_follows_the_content() {
        let series = fixture::noise(50, 1);
        let id = data_id(std::slice::from_ref(&series));
        let same = series.clone();
        assert_eq!(id, data_id(&[same]));
        assert_eq!(id.len(), 64);
        let mut changed = series;
        changed.candles[20].trades += 1;
        assert_ne!(id, data_id(&[changed]));
    }
}
