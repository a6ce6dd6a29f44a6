//! Gaps as objects: found by walking over a series, asked for again, and closed by candles or by the word of two records of the venue.

use std::collections::BTreeMap;

use super::download::{Download, Fetched, HistoryFault};
use super::stored::{Stretch, without};
use crate::app::clock;
use crate::domain::{Gap, Interval, Span, Symbol, Timestamp};
use crate::protocol::{CandleSource, GapReason, GapRecord, GapState, HistorySpan, Testimony, Witness};

/// From this age on a day without a file has no candles in the archive.
const ARCHIVE_IS_DUE: Span = Span::from_secs(7 * 86_400);

/// The gaps on record brought up to date with the holes there are now. What is no hole any more is repaired and stays on record; what is
/// left of a gap keeps what is known of it.
pub fn reconciled(
    (symbol, interval): (Symbol, Interval),
    records: &[GapRecord],
    holes: &[Gap],
    spans: &[HistorySpan],
    now: Timestamp,
) -> Vec<GapRecord> {
    let length = interval.span();
    let open: Vec<Stretch> = holes.iter().map(|hole| (hole.start, hole.end)).collect();
    let mut all: BTreeMap<Timestamp, GapRecord> = BTreeMap::new();
    for record in records {
        if matches!(record.state, GapState::Repaired { .. }) {
            all.insert(record.gap.start, record.clone());
            continue;
        }
        for (start, end) in without(&[(record.gap.start, record.gap.end)], &open) {
            let missing = u64::try_from(end.since(start).nanos() / length.nanos()).unwrap_or(0);
            if missing > 0 {
                let source = spans.iter().find(|span| span.start <= start && start < span.end).map(|span| span.source);
                let state = GapState::Repaired { at: now, source };
                all.insert(start, GapRecord { gap: Gap { start, end, missing }, state, ..record.clone() });
            }
        }
    }
    let told: Vec<Stretch> = spans.iter().filter(|s| s.source != CandleSource::Import).map(|span| (span.start, span.end)).collect();
    for hole in holes {
        let known = records.iter().find(|record| {
            !matches!(record.state, GapState::Repaired { .. }) && record.gap.start <= hole.start && hole.end <= record.gap.end
        });
        let asked = without(&[(hole.start, hole.end)], &told).iter().all(|(from, until)| until.since(*from) < length);
        let reason = if asked { GapReason::NotAtSource } else { GapReason::NotFetched };
        let new = GapRecord { symbol, interval, gap: *hole, found: now, reason, state: GapState::Found, witnesses: Vec::new() };
        let record = known.map_or(new, |known| GapRecord { gap: *hole, reason, ..known.clone() });
        all.insert(hole.start, record);
    }
    all.into_values().collect()
}

/// Asks the venue's own records for a gap, keeps what comes, and writes down who said what. With a `named` source only that one is asked.
/// The state becomes `ProvenAbsent` when the venue's interface and its archive both have none.
pub async fn repair(
    download: &Download<'_>,
    record: &mut GapRecord,
    named: Option<CandleSource>,
    fetched: &mut Fetched,
) -> Result<(), HistoryFault> {
    let chain: Vec<CandleSource> = match named {
        Some(source) => vec![source],
        None => vec![CandleSource::Rest, CandleSource::Mirror, CandleSource::Archive],
    };
    for source in chain.into_iter().filter(|source| download.sources.has(*source)) {
        // The mirror tells what the interface tells: it only stands in for it.
        let answered = |w: &&Witness| w.source == CandleSource::Rest && w.answer != Testimony::Unreachable;
        if source == CandleSource::Mirror && record.witnesses.iter().rev().take(1).any(|w| answered(&w)) {
            continue;
        }
        let answer = testimony(download, record, source, fetched).await?;
        let place = download.sources.place(source).unwrap_or("").to_owned();
        record.witnesses.push(Witness { source, place, at: clock::now(), answer });
        if answer_ends(record) {
            break;
        }
    }
    let none = |sources: &[CandleSource]| {
        let latest = record.witnesses.iter().rev().find(|w| sources.contains(&w.source) && w.answer != Testimony::Unreachable);
        latest.is_some_and(|w| matches!(w.answer, Testimony::Absent | Testimony::NoFile))
    };
    if none(&[CandleSource::Rest, CandleSource::Mirror]) && none(&[CandleSource::Archive]) {
        record.state = GapState::ProvenAbsent { at: clock::now() };
    }
    Ok(())
}

/// The candles came: nobody else needs to be asked.
fn answer_ends(record: &GapRecord) -> bool {
    record.witnesses.last().is_some_and(|witness| witness.answer == Testimony::Some)
}

async fn testimony(
    download: &Download<'_>,
    record: &GapRecord,
    source: CandleSource,
    fetched: &mut Fetched,
) -> Result<Testimony, HistoryFault> {
    let (rows, bad) = (fetched.new_rows, fetched.bad.len());
    let stretch = (record.gap.start, record.gap.end);
    let blocks = match download.ask_for(source, (record.symbol, record.interval), stretch, fetched).await {
        Ok(blocks) => blocks,
        Err(HistoryFault::Source { error, .. }) => {
            tracing::warn!(symbol = %record.symbol, %source, %error, "no answer about a gap");
            return Ok(Testimony::Unreachable);
        }
        Err(other) => return Err(other),
    };
    let inside = |bad: &super::BadHistory| bad.open_time.is_none_or(|at| stretch.0 <= at && at < stretch.1);
    if fetched.new_rows > rows {
        return Ok(Testimony::Some);
    }
    if fetched.bad[bad..].iter().any(inside) {
        return Ok(Testimony::BadRows);
    }
    let untold: Vec<&Stretch> = blocks.iter().filter(|(_, told)| !told).map(|(stretch, _)| stretch).collect();
    let due = untold.iter().all(|(_, until)| clock::now().since(*until) > ARCHIVE_IS_DUE);
    let covered: Vec<Stretch> = blocks.iter().map(|(stretch, _)| *stretch).collect();
    let whole = without(&[stretch], &covered).iter().all(|(from, until)| until.since(*from) < record.interval.span());
    Ok(match (untold.is_empty(), due && whole) {
        (true, _) if whole => Testimony::Absent,
        (false, true) => Testimony::NoFile,
        _ => Testimony::Unreachable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn hole(start: i64, end: i64) -> Gap {
        Gap { start: at(start), end: at(end), missing: (end - start) as u64 }
    }

    fn span(start: i64, end: i64) -> HistorySpan {
        HistorySpan { start: at(start), end: at(end), source: CandleSource::Rest, place: "x".to_owned(), at: at(0) }
    }

    fn update(records: &[GapRecord], holes: &[Gap], spans: &[HistorySpan], now: i64) -> Vec<GapRecord> {
        reconciled(("BTCUSDT".parse().unwrap(), Interval::MINUTE), records, holes, spans, at(now))
    }

    #[test]
    fn a_gap_that_fills_in_part_is_two_gaps_of_which_one_is_repaired() {
        let found = update(&[], &[hole(10, 20)], &[], 100);
        assert_eq!((found[0].state, found[0].reason, found[0].found), (GapState::Found, GapReason::NotFetched, at(100)));
        let part = update(&found, &[hole(10, 13), hole(18, 20)], &[span(0, 30)], 200);
        let states: Vec<(i64, u64, &str)> = part.iter().map(|r| (r.gap.start.millis() / 60_000, r.gap.missing, r.state.name())).collect();
        assert_eq!(states, [(10, 3, "found"), (13, 5, "repaired"), (18, 2, "found")]);
        assert_eq!((part[0].found, part[0].reason), (at(100), GapReason::NotAtSource));
        assert_eq!(part[1].state, GapState::Repaired { at: at(200), source: Some(CandleSource::Rest) });
        let whole = update(&part, &[], &[span(0, 30)], 300);
        assert!(whole.iter().all(|r| r.state.name() == "repaired") && whole.len() == 3);
        assert_eq!(update(&whole, &[], &[span(0, 30)], 400), whole);
    }

    #[test]
    fn what_was_proven_absent_stays_so() {
        let mut records = update(&[], &[hole(5, 8)], &[span(0, 30)], 100);
        records[0].state = GapState::ProvenAbsent { at: at(150) };
        assert_eq!(update(&records, &[hole(5, 8)], &[span(0, 30)], 200), records);
    }
}
