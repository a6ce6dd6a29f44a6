//! One rule for the rows of every source: what may be kept, and why not.

use std::collections::BTreeMap;

use crate::domain::{Candle, Interval, Qty, Span, Timestamp};

/// A row that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub candle: Candle,
    /// The last moment of the candle, as the source tells it.
    pub close_time: Timestamp,
}

/// A row, or what of it could not be read.
pub type ReadRow = Result<Row, String>;

/// A row that is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// `None` when not even that could be read.
    pub open_time: Option<Timestamp>,
    pub fault: RowFault,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    #[error("not readable: {0}")]
    Unreadable(String),
    #[error("prices are not positive and ordered, or a volume is negative")]
    Unsound,
    #[error("takers bought more than was traded")]
    TakerVolume,
    #[error("the open time was there before, with other values; the first is kept")]
    Duplicate,
    #[error("older than the row before it")]
    Order,
}

/// What is asked of a source: open times in `[from, until)`, closed before a moment of the venue's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub interval: Interval,
    pub from: Timestamp,
    pub until: Timestamp,
    /// A candle that closes at or after this moment is still forming.
    pub now: Timestamp,
}

/// The rows of a window, sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sifted {
    /// Oldest first, one per open time.
    pub candles: Vec<Candle>,
    pub bad: Vec<BadRow>,
    /// Kept candles that do not open on a multiple of the interval (the venue's clock was off for days in 2018).
    pub off_grid: u64,
    /// The open time of the first candle that is still forming: nothing from there on is known.
    pub forming: Option<Timestamp>,
}

/// The venue's weeks begin on Mondays; the epoch was a Thursday.
const MONDAY: Span = Span::from_secs(4 * 86_400);
const WEEK_SECS: i64 = 604_800;

/// The start of the candle that contains `at`, as the venue cuts time.
#[must_use]
pub fn grid_floor(at: Timestamp, interval: Interval) -> Timestamp {
    if interval.secs() % WEEK_SECS == 0 { (at - MONDAY).floor_to(interval) + MONDAY } else { at.floor_to(interval) }
}

/// Sorts rows in the order they came.
#[must_use]
pub fn sift(rows: impl IntoIterator<Item = ReadRow>, window: Window) -> Sifted {
    let mut sifted = Sifted::default();
    let mut kept: BTreeMap<Timestamp, Candle> = BTreeMap::new();
    let mut latest = None;
    for row in rows {
        let Row { candle, close_time } = match row {
            Ok(row) => row,
            Err(text) => {
                sifted.bad.push(BadRow { open_time: None, fault: RowFault::Unreadable(text) });
                continue;
            }
        };
        let open_time = candle.open_time;
        if open_time < window.from || window.until <= open_time {
            continue;
        }
        if close_time >= window.now {
            sifted.forming = Some(sifted.forming.map_or(open_time, |first: Timestamp| first.min(open_time)));
            continue;
        }
        let fault = match kept.get(&open_time) {
            Some(held) if *held == candle => continue,
            Some(_) => Some(RowFault::Duplicate),
            None => fault(&candle).or_else(|| latest.is_some_and(|latest| open_time < latest).then_some(RowFault::Order)),
        };
        latest = latest.max(Some(open_time));
        match fault {
            Some(fault) => sifted.bad.push(BadRow { open_time: Some(open_time), fault }),
            None => {
                sifted.off_grid += u64::from(grid_floor(open_time, window.interval) != open_time);
                kept.insert(open_time, candle);
            }
        }
    }
    sifted.candles = kept.into_values().collect();
    sifted
}

fn fault(candle: &Candle) -> Option<RowFault> {
    if !candle.is_sound() {
        return Some(RowFault::Unsound);
    }
    candle.taker_buy_volume.filter(|taker| *taker < Qty::ZERO || *taker > candle.volume).map(|_| RowFault::TakerVolume)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(millis: i64, prices: [&str; 4]) -> Row {
        let [open, high, low, close] = prices.map(|p| p.parse().unwrap());
        let open_time = Timestamp::from_millis(millis);
        let (volume, taker) = ("2".parse().unwrap(), Some("1".parse::<Qty>().unwrap()));
        let candle = Candle { open_time, open, high, low, close, volume, taker_buy_volume: taker, trades: 1 };
        Row { candle, close_time: Timestamp::from_millis(millis + 59_999) }
    }

    fn good(minute: i64) -> Row {
        row(minute * 60_000, ["10", "12", "9", "11"])
    }

    fn window(from: i64, until: i64, now_ms: i64) -> Window {
        let minute = |m: i64| Timestamp::from_millis(m * 60_000);
        Window { interval: Interval::MINUTE, from: minute(from), until: minute(until), now: Timestamp::from_millis(now_ms) }
    }

    fn minutes(sifted: &Sifted) -> Vec<i64> {
        sifted.candles.iter().map(|c| c.open_time.millis() / 60_000).collect()
    }

    #[test]
    fn bad_rows_are_named_and_the_others_kept() {
        let mut other = good(2);
        other.candle.trades = 9;
        let mut taken = good(7);
        taken.candle.taker_buy_volume = Some("3".parse().unwrap());
        let rows = [
            Ok(good(1)),
            Ok(good(2)),
            Ok(good(2)),
            Ok(other),
            Err("column 3".to_owned()),
            Ok(row(4 * 60_000, ["10", "9", "9", "9"])),
            Ok(row(5 * 60_000, ["0", "12", "0", "11"])),
            Ok(good(6)),
            Ok(good(3)),
            Ok(taken),
        ];
        let sifted = sift(rows, window(0, 100, 100 * 60_000));
        assert_eq!(minutes(&sifted), [1, 2, 6]);
        let faults: Vec<&RowFault> = sifted.bad.iter().map(|bad| &bad.fault).collect();
        use RowFault::*;
        assert_eq!(faults, [&Duplicate, &Unreadable("column 3".to_owned()), &Unsound, &Unsound, &Order, &TakerVolume]);
        assert_eq!(sifted.bad[2].open_time, Some(Timestamp::from_millis(240_000)));
    }

    #[test]
    fn a_candle_is_closed_when_the_venues_clock_says_so() {
        let at = |now_ms| sift([Ok(good(1)), Ok(good(2))], window(0, 100, now_ms));
        assert_eq!((minutes(&at(180_000)), at(180_000).forming), (vec![1, 2], None));
        assert_eq!((minutes(&at(179_999)), at(179_999).forming), (vec![1], Some(Timestamp::from_millis(120_000))));
    }

    #[test]
    fn rows_off_the_grid_are_kept_and_counted() {
        // 2018-02-09 09:28:14.789 UTC, and the first regular bar after, which comes early.
        let shifted = 1_518_168_494_789;
        let rows = [shifted, shifted + 60_000, 1_518_168_600_000].map(|millis| Ok(row(millis, ["10", "12", "9", "11"])));
        let from = Timestamp::from_millis(shifted - 86_400_000);
        let sifted = sift(rows, Window { from, until: Timestamp::MAX, ..window(0, 1, i64::MAX / 2_000_000) });
        assert_eq!((sifted.candles.len(), sifted.off_grid, sifted.bad.len()), (3, 2, 0));
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let week: Interval = "1w".parse().unwrap();
        let wednesday: i64 = 1_704_240_000_000;
        assert_eq!(grid_floor(Timestamp::from_millis(wednesday), week).millis(), 1_704_067_200_000);
        assert_eq!(grid_floor(Timestamp::from_millis(59_999), Interval::MINUTE), Timestamp::EPOCH);
    }

    #[test]
    fn what_was_not_asked_for_is_left_out_in_silence() {
        let sifted = sift([Ok(good(1)), Ok(good(2)), Ok(good(3))], window(2, 3, 100 * 60_000));
        assert_eq!((minutes(&sifted), sifted.bad.len()), (vec![2], 0));
    }
}
