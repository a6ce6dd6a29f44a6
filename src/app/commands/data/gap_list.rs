//! The gaps of a series as commands show them, and their bookkeeping.

use serde::Serialize;

use crate::app::clock;
use crate::app::failure::Outcome;
use crate::app::history::{Stored, reconciled};
use crate::domain::{Interval, Symbol, Timestamp};
use crate::protocol::{CandleSource, GapReason, GapRecord, GapState, Testimony};
use crate::store::Store;

/// One gap. `start`, `end` and `missing` say where; the rest what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedGap {
    pub start: Timestamp,
    pub end: Timestamp,
    pub missing: u64,
    pub state: &'static str,
    pub reason: GapReason,
    pub found_time: Timestamp,
    /// When it was repaired or proven absent.
    pub settled_time: Option<Timestamp>,
    pub repaired_by: Option<CandleSource>,
    pub witnesses: Vec<ListedWitness>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedWitness {
    source: CandleSource,
    place: String,
    time: Timestamp,
    answer: Testimony,
}

impl ListedGap {
    pub fn of(record: &GapRecord) -> Self {
        let (settled_time, repaired_by) = match record.state {
            GapState::Found => (None, None),
            GapState::Repaired { at, source } => (Some(at), source),
            GapState::ProvenAbsent { at } => (Some(at), None),
        };
        let witness =
            |w: &crate::protocol::Witness| ListedWitness { source: w.source, place: w.place.clone(), time: w.at, answer: w.answer.clone() };
        Self {
            start: record.gap.start,
            end: record.gap.end,
            missing: record.gap.missing,
            state: record.state.name(),
            reason: record.reason,
            found_time: record.found,
            settled_time,
            repaired_by,
            witnesses: record.witnesses.iter().map(witness).collect(),
        }
    }
}

/// Brings the gaps on record of a series up to date with its candles.
pub fn keep_gaps(store: &Store, symbol: Symbol, interval: Interval) -> Outcome<Vec<ListedGap>> {
    let (gaps, changed) = current_gaps(store, symbol, interval)?;
    if changed {
        store.put_gaps(symbol, interval, &gaps)?;
    }
    Ok(gaps.iter().map(ListedGap::of).collect())
}

/// The gaps as they are now, and whether the record says something else.
pub fn current_gaps(store: &Store, symbol: Symbol, interval: Interval) -> Outcome<(Vec<GapRecord>, bool)> {
    let stored = match store.candle_series()?.iter().find(|s| s.symbol == symbol && s.interval == interval) {
        Some(series) => Stored::of(store, symbol, interval, (series.first, series.last + interval.span()))?,
        None => Stored::default(),
    };
    known_gaps(store, symbol, interval, &stored)
}

/// The same over a series that was walked already.
pub fn known_gaps(store: &Store, symbol: Symbol, interval: Interval, stored: &Stored) -> Outcome<(Vec<GapRecord>, bool)> {
    let records = store.gaps(symbol, interval)?;
    let spans = store.history_spans(symbol, interval)?;
    let now = reconciled((symbol, interval), &records, &stored.gaps, &spans, clock::now());
    let changed = now != records;
    Ok((now, changed))
}
