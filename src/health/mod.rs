//! Evidence about the box itself becomes a verdict with reasons.
//!
//! *Takes / gives*: feed ages, gaps, clock samples, refusals, failures and store reports as they happen; HEALTHY, DEGRADED or CRITICAL out.
//!
//! Invariants
//! 1. Every rule has evidence that fires it and evidence that keeps it quiet (`rules::tests::every_rule_fires_and_stays_quiet`).
//! 2. Old trouble is forgotten after its window (`tests::trouble_is_forgotten_after_its_window`).
//!
//! *Never*: reads a clock or the system: time and evidence are arguments.

mod rules;

use std::collections::{BTreeMap, VecDeque};

pub use rules::HealthLimits;

use crate::domain::{Span, Symbol, Timestamp};
use crate::protocol::{FailureKind, HealthVerdict, Stream};

/// How long trouble counts.
pub const WINDOW: Span = Span::from_secs(300);
/// Occurrences remembered per kind; the totals are kept beside them.
const REMEMBERED: usize = 64;

/// Occurrences of one kind of trouble: a total, and the recent times.
#[derive(Debug, Clone, Default)]
pub struct Occurrences {
    pub total: u64,
    recent: VecDeque<Timestamp>,
}

impl Occurrences {
    pub fn add(&mut self, at: Timestamp) {
        self.total += 1;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }

    /// How many happened in the window before `now` (at most the remembered number).
    #[must_use]
    pub fn recent(&self, now: Timestamp, window: Span) -> usize {
        self.recent.iter().rev().take_while(|at| now.since(**at) <= window).count()
    }
}

/// A stream's state as last reported; `None` before the first report.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link {
    pub up: bool,
    pub since: Option<Timestamp>,
}

/// Everything health knows.
#[derive(Debug, Clone, Default)]
pub struct Health {
    limits: HealthLimits,
    feeds: BTreeMap<Symbol, Timestamp>,
    links: BTreeMap<Stream, Link>,
    failures: BTreeMap<FailureKind, Occurrences>,
    gaps: Occurrences,
    venue_refusals: Occurrences,
    unreadable: Occurrences,
    clock_first: Option<Span>,
    clock_last: Option<(Timestamp, Span, Span)>,
    store_pending: u32,
    store_failed: bool,
}

impl Health {
    #[must_use]
    pub fn new(limits: HealthLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub fn on_market(&mut self, symbol: Symbol, at: Timestamp) {
        self.feeds.insert(symbol, at);
    }

    pub fn on_gap(&mut self, at: Timestamp) {
        self.gaps.add(at);
    }

    pub fn on_link(&mut self, stream: Stream, up: bool, at: Timestamp) {
        self.links.insert(stream, Link { up, since: Some(at) });
    }

    pub fn on_failure(&mut self, kind: FailureKind, at: Timestamp) {
        self.failures.entry(kind).or_default().add(at);
    }

    pub fn on_venue_refusal(&mut self, at: Timestamp) {
        self.venue_refusals.add(at);
    }

    pub fn on_unreadable(&mut self, lines: u32, at: Timestamp) {
        for _ in 0..lines {
            self.unreadable.add(at);
        }
    }

    pub fn on_clock(&mut self, offset: Span, round_trip: Span, at: Timestamp) {
        self.clock_first.get_or_insert(offset);
        self.clock_last = Some((at, offset, round_trip));
    }

    /// A better way to measure the clock begins: drift counts from its first sample.
    pub fn forget_clock(&mut self) {
        (self.clock_first, self.clock_last) = (None, None);
    }

    pub fn on_store(&mut self, pending: u32, healthy: bool) {
        self.store_pending = pending;
        self.store_failed |= !healthy;
    }

    /// Ours less the venue's clock, and the round trip that measured it.
    #[must_use]
    pub fn clock(&self) -> Option<(Span, Span)> {
        self.clock_last.map(|(_, offset, round_trip)| (offset, round_trip))
    }

    /// Change of the offset since it was first measured; `None` before that.
    #[must_use]
    pub fn clock_drift(&self) -> Option<Span> {
        Some(self.clock_last?.1 - self.clock_first?)
    }

    #[must_use]
    pub fn is_up(&self, stream: Stream) -> bool {
        self.links.get(&stream).is_some_and(|link| link.up)
    }

    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps.total
    }

    #[must_use]
    pub fn venue_refusals(&self) -> u64 {
        self.venue_refusals.total
    }

    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable.total
    }

    #[must_use]
    pub fn store_pending(&self) -> u32 {
        self.store_pending
    }

    /// Failures by kind, most frequent first.
    #[must_use]
    pub fn failures(&self) -> Vec<(FailureKind, u64)> {
        let mut counts: Vec<_> = self.failures.iter().map(|(kind, seen)| (*kind, seen.total)).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// The verdict now, with a sentence per rule that fired, worst first.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> (HealthVerdict, Vec<String>) {
        let mut fired: Vec<(HealthVerdict, String)> = rules::RULES.iter().filter_map(|rule| rule(self, now)).collect();
        fired.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        let verdict = fired.first().map_or(HealthVerdict::Healthy, |(verdict, _)| *verdict);
        (verdict, fired.into_iter().map(|(_, reason)| reason).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_forgotten_after_its_window() {
        let mut gaps = Occurrences::default();
        for second in 0..200 {
            gaps.add(Timestamp::from_millis(second * 1_000));
        }
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!((gaps.total, gaps.recent(at(199), Span::from_secs(10))), (200, 11));
        assert_eq!(gaps.recent(at(600), WINDOW), 0);
    }
}
