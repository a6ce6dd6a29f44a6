//! Which limits are at their end: a breach that lasts trips, what it refused is remembered.

use serde::{Deserialize, Serialize};

use crate::domain::{Span, Timestamp};
use crate::protocol::LimitName;

/// A breach must hold for two marks this far apart: one bad tick trips nothing.
const LASTING: Span = Span::from_secs(1);
/// A refusal shows for this long.
const SHOWN: Span = Span::from_secs(60);

/// One limit over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watch {
    since: Option<Timestamp>,
    tripped: bool,
    pub last_tripped: Option<Timestamp>,
    pub times: u32,
}

impl Watch {
    /// True while the breach lasts, and for a minute after a refusal.
    #[must_use]
    pub fn is_tripped(&self, now: Timestamp) -> bool {
        self.tripped || self.last_tripped.is_some_and(|at| now.since(at) < SHOWN)
    }

    /// True while the breach lasts.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tripped
    }
}

/// All limits; those that never tripped are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watches(Vec<(LimitName, Watch)>);

impl Watches {
    #[must_use]
    pub fn of(&self, name: LimitName) -> Watch {
        self.0.iter().find(|(held, _)| *held == name).map_or_else(Watch::default, |(_, watch)| *watch)
    }

    /// The present measure; `at_once`: a trade proves it, no second mark is needed. True when the limit trips by it.
    #[must_use]
    pub fn observe(&mut self, name: LimitName, now: Timestamp, breached: bool, at_once: bool) -> bool {
        if !breached && !self.0.iter().any(|(held, _)| *held == name) {
            return false;
        }
        let watch = self.entry(name);
        if !breached {
            (watch.since, watch.tripped) = (None, false);
            return false;
        }
        let since = *watch.since.get_or_insert(now);
        if watch.tripped || !(at_once || now.since(since) >= LASTING) {
            return false;
        }
        self.trip(name, now)
    }

    /// The limit acts now. False when it did already.
    pub fn trip(&mut self, name: LimitName, now: Timestamp) -> bool {
        let watch = self.entry(name);
        let first = !watch.tripped;
        if first {
            watch.times = watch.times.saturating_add(1);
            (watch.tripped, watch.last_tripped) = (true, Some(now));
        }
        first
    }

    /// The limit refused an order.
    pub fn refuse(&mut self, name: LimitName, now: Timestamp) {
        let watch = self.entry(name);
        if !watch.tripped {
            watch.times = watch.times.saturating_add(1);
        }
        watch.last_tripped = Some(now);
    }

    fn entry(&mut self, name: LimitName) -> &mut Watch {
        let place = self.0.iter().position(|(held, _)| *held == name).unwrap_or_else(|| {
            self.0.push((name, Watch::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: LimitName = LimitName::MaxExposure;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_breach_trips_once_at_its_second_mark() {
        let mut watches = Watches::default();
        let marks = [(0, true), (999, true), (1_000, true), (2_000, true), (2_100, false), (2_200, true), (3_199, true), (3_200, true)];
        let trips: Vec<i64> =
            marks.iter().filter(|(ms, breached)| watches.observe(NAME, at(*ms), *breached, false)).map(|(ms, _)| *ms).collect();
        assert_eq!(trips, [1_000, 3_200]);
        assert_eq!(watches.of(NAME).times, 2);
        assert!(!watches.observe(LimitName::MaxHeatBps, at(0), false, false));
        assert_eq!(watches.of(LimitName::MaxHeatBps), Watch::default());
    }

    #[test]
    fn a_trade_proves_it_at_once() {
        let mut watches = Watches::default();
        assert!(watches.observe(NAME, at(0), true, true));
        assert!(!watches.observe(NAME, at(1), true, true), "once");
    }

    #[test]
    fn a_refusal_shows_for_a_minute() {
        let mut watches = Watches::default();
        watches.refuse(NAME, at(0));
        let watch = watches.of(NAME);
        assert!(watch.is_tripped(at(59_999)) && !watch.is_tripped(at(60_000)) && !watch.holds());
    }
}
