//! Holes in a series of candles.

use serde::{Deserialize, Serialize};

use super::{Candle, Interval, Timestamp};

/// Candles that should be there and are not: open times `start, start + interval, ...` before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Open time of the first missing candle.
    pub start: Timestamp,
    /// Open time of the next candle that exists.
    pub end: Timestamp,
    pub missing: u64,
}

/// The gaps of candles sorted by open time. A candle counts as missing only when a whole interval of it fits into the hole, so that a
/// series whose open times once shifted by a part of an interval is not called broken there.
#[must_use]
pub fn find_gaps(candles: &[Candle], interval: Interval) -> Vec<Gap> {
    let length = interval.span();
    let hole = |pair: &[Candle]| {
        let (from, to) = (pair[0].open_time, pair[1].open_time);
        let missing = to.since(from).nanos() / length.nanos() - 1;
        u64::try_from(missing).ok().filter(|m| *m > 0).map(|missing| Gap { start: from + length, end: to, missing })
    };
    candles.windows(2).filter_map(hole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Qty};

    fn at(secs: i64) -> Candle {
        let price = Price::from_raw(1);
        let open_time = Timestamp::from_millis(secs * 1000);
        Candle { open_time, open: price, high: price, low: price, close: price, volume: Qty::ZERO, taker_buy_volume: None, trades: 0 }
    }

    #[test]
    fn a_gap_names_its_first_missing_candle_and_how_many_are_missing() {
        let candles = [at(0), at(60), at(240), at(300)];
        let gaps = find_gaps(&candles, Interval::MINUTE);
        assert_eq!(gaps, [Gap { start: Timestamp::from_millis(120_000), end: Timestamp::from_millis(240_000), missing: 2 }]);
        assert!(find_gaps(&candles[..2], Interval::MINUTE).is_empty());
        assert!(find_gaps(&[], Interval::MINUTE).is_empty());
    }

    #[test]
    fn a_shift_by_part_of_an_interval_is_not_a_gap() {
        assert!(find_gaps(&[at(0), at(74), at(134)], Interval::MINUTE).is_empty());
    }
}
