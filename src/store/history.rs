//! What was downloaded from whom, and what is missing: the spans of a series, which never overlap, and its gaps.
//!
//! A page of candles and the span that says where it came from are one transaction, so a download that is cut anywhere goes on where
//! the last page ended.

use redb::WriteTransaction;

use super::candles::{self, PackedDay};
use super::error::StoreError;
use super::file::Store;
use super::schema::{Key, Table};
use crate::domain::{Interval, Symbol};
use crate::protocol::{GapRecord, HistoryPage, HistorySpan};

impl Store {
    /// Keeps a page of a download, candles and span together; durable when this returns.
    pub fn keep_history(&self, page: &HistoryPage) -> Result<(), StoreError> {
        let days = candles::packed(&page.candles, page.interval);
        self.write(|txn| keep_page(txn, page, &days))
    }

    /// Who told what of a series, by start.
    pub fn history_spans(&self, symbol: Symbol, interval: Interval) -> Result<Vec<HistorySpan>, StoreError> {
        self.read(|txn| Table::FetchProgress.all(txn, &series_key(symbol, interval)))
    }

    /// The gaps on record of a series, by start.
    pub fn gaps(&self, symbol: Symbol, interval: Interval) -> Result<Vec<GapRecord>, StoreError> {
        self.read(|txn| Table::Gaps.all(txn, &series_key(symbol, interval)))
    }

    /// Replaces the gaps on record of a series.
    pub fn put_gaps(&self, symbol: Symbol, interval: Interval, gaps: &[GapRecord]) -> Result<(), StoreError> {
        let prefix = series_key(symbol, interval);
        self.write(|txn| {
            for (key, _) in Table::Gaps.held_between(txn, prefix.as_slice(), &prefix.after_all())? {
                Table::Gaps.remove(txn, &key)?;
            }
            gaps.iter().try_for_each(|record| Table::Gaps.put(txn, &prefix.clone().time(record.gap.start), record))
        })
    }
}

/// `days`: the page's candles, packed.
pub(super) fn keep_page(txn: &WriteTransaction, page: &HistoryPage, days: &[PackedDay]) -> Result<(), StoreError> {
    let HistoryPage { symbol, interval, span, replace, .. } = page;
    if *replace {
        candles::remove_between(txn, *symbol, *interval, span.start, span.end)?;
    }
    candles::merge_days(txn, *symbol, *interval, days)?;
    let prefix = series_key(*symbol, *interval);
    let mut held = Vec::new();
    for (key, row) in Table::FetchProgress.held_between(txn, prefix.as_slice(), &prefix.after_all())? {
        held.push(Table::FetchProgress.decoded::<HistorySpan>(key.as_slice(), &row)?);
    }
    let (gone, new) = laid_over(&held, span);
    for span in gone {
        Table::FetchProgress.remove(txn, &prefix.clone().time(span.start))?;
    }
    new.iter().try_for_each(|span| Table::FetchProgress.put(txn, &prefix.clone().time(span.start), span))
}

/// The spans that `new` takes the place of, and those that stand there then: `new`, joined with what continues it, and what is left
/// of the others.
fn laid_over(held: &[HistorySpan], new: &HistorySpan) -> (Vec<HistorySpan>, Vec<HistorySpan>) {
    let (mut gone, mut stand) = (Vec::new(), Vec::new());
    let mut joined = new.clone();
    for old in held.iter().filter(|old| old.start <= new.end && new.start <= old.end) {
        if old.source == new.source && old.place == new.place {
            joined.start = joined.start.min(old.start);
            joined.end = joined.end.max(old.end);
            gone.push(old.clone());
        } else if old.start < new.end && new.start < old.end {
            gone.push(old.clone());
            let before = HistorySpan { end: new.start, ..old.clone() };
            let after = HistorySpan { start: new.end, ..old.clone() };
            stand.extend([before, after].into_iter().filter(|part| part.start < part.end));
        }
    }
    if joined.start < joined.end {
        stand.push(joined);
    }
    (gone, stand)
}

fn series_key(symbol: Symbol, interval: Interval) -> Key {
    Key::new().text(symbol.as_str()).signed(interval.secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Gap, Timestamp};
    use crate::protocol::{CandleSource, GapReason, GapState};
    use crate::store::samples;
    use proptest::prelude::*;

    const SOURCES: [CandleSource; 3] = [CandleSource::Rest, CandleSource::Archive, CandleSource::Kraken];

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn span(start: i64, end: i64, source: CandleSource) -> HistorySpan {
        HistorySpan { start: at(start), end: at(end), source, place: "host".to_owned(), at: at(99) }
    }

    fn store() -> Store {
        Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap()
    }

    fn page(candles: &[crate::domain::Candle], span: HistorySpan, replace: bool) -> HistoryPage {
        HistoryPage { symbol: samples::symbol(), interval: Interval::MINUTE, candles: candles.to_vec(), span, replace }
    }

    #[test]
    fn pages_of_one_source_join_and_others_are_cut() {
        let store = store();
        let keep = |span| store.keep_history(&page(&[], span, false)).unwrap();
        for (start, end) in [(0, 10), (10, 20), (25, 30), (20, 25)] {
            keep(span(start, end, CandleSource::Rest));
        }
        let spans = || store.history_spans(samples::symbol(), Interval::MINUTE).unwrap();
        assert_eq!(spans(), [span(0, 30, CandleSource::Rest)]);
        keep(span(5, 7, CandleSource::Kraken));
        let rest = |start, end| span(start, end, CandleSource::Rest);
        assert_eq!(spans(), [rest(0, 5), span(5, 7, CandleSource::Kraken), rest(7, 30)]);
        keep(rest(4, 8));
        assert_eq!(spans(), [rest(0, 30)]);
    }

    #[test]
    fn another_exchange_gives_way_with_all_its_candles() {
        let store = store();
        let all = samples::candles(100);
        let (from, to) = (all[0].open_time, all[99].open_time + Interval::MINUTE.span());
        let whole = |source| HistorySpan { start: from, end: to, source, place: "host".to_owned(), at: at(0) };
        store.keep_history(&page(&all, whole(CandleSource::Kraken), false)).unwrap();
        store.keep_history(&page(&all[..60], whole(CandleSource::Rest), true)).unwrap();
        assert_eq!(store.candles(samples::symbol(), Interval::MINUTE, Timestamp::EPOCH, Timestamp::MAX).unwrap(), all[..60]);
        assert_eq!(store.history_spans(samples::symbol(), Interval::MINUTE).unwrap(), [whole(CandleSource::Rest)]);
    }

    #[test]
    fn gaps_are_replaced_by_series() {
        let store = store();
        let record = |interval, start| GapRecord {
            symbol: samples::symbol(),
            interval,
            gap: Gap { start: at(start), end: at(start + 2), missing: 2 },
            found: at(100),
            reason: GapReason::NotFetched,
            state: GapState::Found,
            witnesses: Vec::new(),
        };
        let five: Interval = "5m".parse().unwrap();
        store.put_gaps(samples::symbol(), five, &[record(five, 5)]).unwrap();
        store.put_gaps(samples::symbol(), Interval::MINUTE, &[record(Interval::MINUTE, 1), record(Interval::MINUTE, 9)]).unwrap();
        store.put_gaps(samples::symbol(), Interval::MINUTE, &[record(Interval::MINUTE, 9)]).unwrap();
        assert_eq!(store.gaps(samples::symbol(), Interval::MINUTE).unwrap(), [record(Interval::MINUTE, 9)]);
        assert_eq!(store.gaps(samples::symbol(), five).unwrap(), [record(five, 5)]);
    }

    proptest! {
        #[test]
        fn spans_say_what_a_list_of_minutes_would_say(laid in prop::collection::vec((0_i64..40, 1_i64..12, 0_usize..3), 1..25)) {
            let mut spans: Vec<HistorySpan> = Vec::new();
            let mut minutes = [None; 60];
            for (start, length, source) in laid {
                let new = span(start, start + length, SOURCES[source]);
                let (gone, stand) = laid_over(&spans, &new);
                spans.retain(|s| !gone.contains(s));
                spans.extend(stand);
                minutes[start as usize..(start + length) as usize].fill(Some(SOURCES[source]));
            }
            for (minute, wanted) in minutes.iter().enumerate() {
                let here: Vec<CandleSource> =
                    spans.iter().filter(|s| s.start <= at(minute as i64) && at(minute as i64) < s.end).map(|s| s.source).collect();
                prop_assert_eq!(here, wanted.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
