//! A stored series as a whole, read a part at a time: how much there is, what is missing in it, what was never asked for.

use crate::app::failure::Outcome;
use crate::domain::{Candle, Gap, Interval, Span, Symbol, Timestamp, find_gaps};
use crate::protocol::{CandleSource, HistorySpan};
use crate::store::Store;
use crate::venue::history::grid_floor;

/// Candles in memory at a time, unless a day has more.
const CHUNK: i64 = 50_000;
const DAY: Span = Span::from_secs(86_400);

/// A stretch of open times `[from, until)`.
pub type Stretch = (Timestamp, Timestamp);

/// What walking over a series tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    pub rows: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Holes between the first and the last candle.
    pub gaps: Vec<Gap>,
    /// Candles whose prices are not positive and ordered.
    pub unsound: u64,
    /// Candles that do not open on a multiple of their interval.
    pub off_grid: u64,
}

impl Stored {
    pub fn of(store: &Store, symbol: Symbol, interval: Interval, (from, until): Stretch) -> Outcome<Self> {
        let mut told = Self::default();
        let mut before: Vec<Candle> = Vec::new();
        each_chunk(store, symbol, interval, (from, until), |chunk| {
            told.rows += chunk.len() as u64;
            told.unsound += chunk.iter().filter(|candle| !candle.is_sound()).count() as u64;
            told.off_grid += chunk.iter().filter(|candle| grid_floor(candle.open_time, interval) != candle.open_time).count() as u64;
            if let (Some(first), Some(last)) = (chunk.first(), chunk.last()) {
                before.push(*first);
                told.gaps.extend(find_gaps(&before, interval));
                told.gaps.extend(find_gaps(chunk, interval));
                told.first.get_or_insert(first.open_time);
                told.last = Some(last.open_time);
                before = vec![*last];
            }
            Ok(())
        })?;
        Ok(told)
    }
}

/// Hands the candles of a stretch to `each`, oldest first, in parts small enough for any box.
pub fn each_chunk(
    store: &Store,
    symbol: Symbol,
    interval: Interval,
    (from, until): Stretch,
    mut each: impl FnMut(&[Candle]) -> Outcome,
) -> Outcome {
    // The store keeps whole days: a step of less would unpack them twice.
    let step = Span::from_nanos(interval.span().times(CHUNK).nanos().max(DAY.nanos()));
    let mut at = from;
    while at < until {
        let end = (at + step).min(until);
        let chunk = store.candles(symbol, interval, at, end)?;
        if !chunk.is_empty() {
            each(&chunk)?;
        }
        at = end;
    }
    Ok(())
}

/// What of `[since, until)` is neither stored nor known not to exist. `elsewhere`: candles of another exchange would do; without it they
/// count as missing, because the venue's own are better.
///
/// What an imported file has not is missing: the file does not speak for the venue.
pub fn missing(store: &Store, symbol: Symbol, interval: Interval, (since, until): Stretch, elsewhere: bool) -> Outcome<Vec<Stretch>> {
    let spans = store.history_spans(symbol, interval)?;
    let counts = |span: &&HistorySpan| span.source != CandleSource::Import && (elsewhere || !span.source.is_elsewhere());
    let told: Vec<Stretch> = spans.iter().filter(counts).map(|span| (span.start, span.end)).collect();
    let foreign: Vec<Stretch> = spans.iter().filter(|s| !elsewhere && s.source.is_elsewhere()).map(|span| (span.start, span.end)).collect();
    let length = interval.span();
    let mut found = Vec::new();
    for (from, to) in without(&[(since, until)], &told) {
        let mut at = from;
        let mut keep = |at: Timestamp, to: Timestamp| {
            if to.since(at) >= length {
                // A start within the first step is that of the stretch, so that what is told joins on.
                found.push((if at.since(from) < length { from } else { at }, to));
            }
        };
        // A candle that opened just before may reach into the stretch.
        each_chunk(store, symbol, interval, (from - length, to), |chunk| {
            for candle in chunk.iter().filter(|c| !foreign.iter().any(|(start, end)| *start <= c.open_time && c.open_time < *end)) {
                if candle.open_time > at {
                    keep(at, candle.open_time);
                }
                at = at.max(candle.open_time + length);
            }
            Ok(())
        })?;
        keep(at, to);
    }
    Ok(found)
}

/// The parts of `whole` that lie in none of `cuts`; both sorted and free of overlaps.
pub fn without(whole: &[Stretch], cuts: &[Stretch]) -> Vec<Stretch> {
    let mut left = Vec::new();
    for (from, until) in whole {
        let mut at = *from;
        for (start, end) in cuts.iter().filter(|(start, end)| *end > *from && start < until) {
            if *start > at {
                left.push((at, *start));
            }
            at = at.max(*end);
        }
        if at < *until {
            left.push((at, *until));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Qty};
    use crate::protocol::{HistoryPage, Mode};
    use crate::store::{FileKind, Identity, Scope};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn held(minutes: &[i64]) -> Vec<Candle> {
        let price = Price::from_raw(1);
        let at = |minute: &i64| Candle {
            open_time: at(*minute),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
            taker_buy_volume: None,
            trades: 0,
        };
        minutes.iter().map(at).collect()
    }

    fn store(dir: &tempfile::TempDir) -> Store {
        let scope = Scope { mode: Mode::Backtest, venue: String::new(), account: String::new() };
        Store::open(&dir.path().join("x.redb"), &Identity { kind: FileKind::Real, scope }).unwrap()
    }

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    fn tell(store: &Store, minutes: &[i64], (start, end): (i64, i64), source: CandleSource) {
        let span = HistorySpan { start: at(start), end: at(end), source, place: "x".to_owned(), at: at(0) };
        let page = HistoryPage { symbol: symbol(), interval: Interval::MINUTE, candles: held(minutes), span, replace: false };
        store.keep_history(&page).unwrap();
    }

    fn ranges(store: &Store, elsewhere: bool) -> Vec<(i64, i64)> {
        let found = missing(store, symbol(), Interval::MINUTE, (at(0), at(10)), elsewhere).unwrap();
        found.iter().map(|(from, to)| (from.millis() / 60_000, to.millis() / 60_000)).collect()
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        for (minutes, wanted) in [
            (vec![], vec![(0, 10)]),
            (vec![2, 3, 6], vec![(0, 2), (4, 6), (7, 10)]),
            (vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9], vec![]),
            (vec![-1, 9], vec![(0, 9)]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            store.put_candles(symbol(), Interval::MINUTE, &held(&minutes)).unwrap();
            assert_eq!(ranges(&store, true), wanted);
        }
    }

    #[test]
    fn what_was_told_is_not_asked_again_even_where_it_has_holes() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        tell(&store, &[1, 2, 5], (0, 6), CandleSource::Rest);
        assert_eq!(ranges(&store, true), [(6, 10)]);
        // A file's holes are asked for: the file does not speak for the venue.
        tell(&store, &[7, 9], (7, 10), CandleSource::Import);
        assert_eq!(ranges(&store, true), [(6, 7), (8, 9)]);
    }

    #[test]
    fn another_exchange_counts_only_where_nothing_better_answers() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        tell(&store, &[0, 1, 2], (0, 3), CandleSource::Rest);
        tell(&store, &[3, 4, 5, 6], (3, 7), CandleSource::Kraken);
        assert_eq!(ranges(&store, true), [(7, 10)]);
        assert_eq!(ranges(&store, false), [(3, 10)]);
    }

    #[test]
    fn a_series_is_counted_over_its_parts() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let minutes: Vec<i64> = (0..120_000).filter(|m| ![49_999, 50_000, 99_000].contains(m)).collect();
        store.put_candles(symbol(), Interval::MINUTE, &held(&minutes)).unwrap();
        let told = Stored::of(&store, symbol(), Interval::MINUTE, (at(0), at(120_000))).unwrap();
        assert_eq!((told.rows, told.first, told.last), (119_997, Some(at(0)), Some(at(119_999))));
        let gaps: Vec<(i64, u64)> = told.gaps.iter().map(|gap| (gap.start.millis() / 60_000, gap.missing)).collect();
        assert_eq!(gaps, [(49_999, 2), (99_000, 1)]);
    }
}
