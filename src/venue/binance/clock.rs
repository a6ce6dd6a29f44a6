//! The venue's clock as seen from here.
//!
//! The local clock is injected and must be monotonic (a step of the system time must not jump request timestamps). The offset is taken
//! from the quickest of several round trips: its error is at most half of that round trip.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Timestamp};

/// Tells the box's time; never goes back.
pub type LocalClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Requests are dated early by what the offset may be wrong, within these bounds: the venue refuses timestamps from its future far more
/// strictly than late ones.
const LEAST_BIAS: Span = Span::from_millis(100);
const MOST_BIAS: Span = Span::from_millis(300);
/// How fast two clocks may run apart, in parts per million.
const DRIFT_PPM: i64 = 50;

/// One measurement: ours minus the venue's clock, and the round trip that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSample {
    pub offset: Span,
    pub round_trip: Span,
}

impl ClockSample {
    /// `sent` and `received` by our clock, `venue` in between by the venue's.
    #[must_use]
    pub fn from_round_trip(sent: Timestamp, venue: Timestamp, received: Timestamp) -> Self {
        let round_trip = received.since(sent);
        let middle = sent + Span::from_nanos(round_trip.nanos() / 2);
        Self { offset: middle.since(venue), round_trip }
    }

    /// How far the offset may be from the truth at `now`; `at`: when it was measured.
    fn doubt(&self, at: Timestamp, now: Timestamp) -> Span {
        Span::from_nanos(self.round_trip.nanos() / 2 + now.since(at).nanos().max(0) / 1_000_000 * DRIFT_PPM)
    }
}

/// The system time at the first call, carried on by the monotonic clock.
#[must_use]
pub fn monotonic_clock() -> LocalClock {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (start, anchor) = (Timestamp::from_nanos(since_epoch.as_nanos() as i64), Instant::now());
    Arc::new(move || start + Span::from_nanos(anchor.elapsed().as_nanos() as i64))
}

pub(super) struct VenueClock {
    local: LocalClock,
    held: Mutex<Option<Held>>,
}

/// The sample in use and when it was taken.
#[derive(Debug, Clone, Copy)]
struct Held {
    sample: ClockSample,
    at: Timestamp,
    /// The venue refused a time that was made of it: it serves until there is another one, whatever that one is.
    doubted: bool,
}

impl Held {
    fn doubt(&self, now: Timestamp) -> Span {
        if self.doubted { MOST_BIAS } else { self.sample.doubt(self.at, now) }
    }
}

impl VenueClock {
    pub fn new(local: LocalClock) -> Self {
        Self { local, held: Mutex::new(None) }
    }

    pub fn local_now(&self) -> Timestamp {
        (self.local)()
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn latest(&self) -> Option<ClockSample> {
        self.held().map(|held| held.sample)
    }

    /// Takes a new sample unless the one in use is still the surer one and both agree. Two that cannot both be true mean that a clock
    /// was moved (or the box slept): then the new one counts.
    pub fn adopt(&self, sample: ClockSample) {
        let now = self.local_now();
        let mut held = self.held();
        let keep = held.is_some_and(|old| {
            let (old_doubt, new_doubt) = (old.doubt(now), sample.doubt(now, now));
            !old.doubted && old_doubt < new_doubt && (old.sample.offset - sample.offset).abs() <= old_doubt + new_doubt
        });
        if !keep {
            *held = Some(Held { sample, at: now, doubted: false });
        }
    }

    /// The venue refused our time: any new sample is better than the one in use, which still is better than none. A single request that
    /// was held up on its way is refused too.
    pub fn distrust(&self) {
        if let Some(held) = self.held().as_mut() {
            held.doubted = true;
        }
    }

    /// The venue's time now, as well as we know it.
    pub fn venue_now(&self) -> Timestamp {
        self.local_now() - self.latest().map_or(Span::ZERO, |s| s.offset)
    }

    /// The time to sign a request with, in milliseconds.
    pub fn request_millis(&self) -> i64 {
        let now = self.local_now();
        let (offset, doubt) = self.held().map_or((Span::ZERO, LEAST_BIAS), |held| (held.sample.offset, held.doubt(now)));
        (now - offset - doubt.clamp(LEAST_BIAS, MOST_BIAS)).millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_ours_minus_the_venues_at_the_middle_of_the_round_trip() {
        let at = Timestamp::from_millis;
        let sample = ClockSample::from_round_trip(at(1_000), at(2_300), at(1_100));
        assert_eq!(sample, ClockSample { offset: Span::from_millis(-1_250), round_trip: Span::from_millis(100) });
    }

    #[test]
    fn requests_are_dated_in_the_venues_time_and_early_by_what_it_may_be_wrong() {
        let clock = VenueClock::new(Arc::new(|| Timestamp::from_millis(10_000)));
        assert_eq!(clock.request_millis(), 9_900);
        clock.adopt(ClockSample { offset: Span::from_millis(-500), round_trip: Span::ZERO });
        assert_eq!((clock.request_millis(), clock.venue_now()), (10_400, Timestamp::from_millis(10_500)));
        clock.distrust();
        clock.adopt(ClockSample { offset: Span::from_millis(-500), round_trip: Span::from_millis(400) });
        assert_eq!(clock.request_millis(), 10_300);
        clock.distrust();
        clock.adopt(ClockSample { offset: Span::ZERO, round_trip: Span::from_secs(9) });
        assert_eq!(clock.request_millis(), 9_700);
    }

    #[test]
    fn a_doubted_sample_serves_until_any_new_one_is_there() {
        let clock = VenueClock::new(Arc::new(|| Timestamp::from_millis(10_000)));
        let sample = |offset, round_trip| ClockSample { offset: Span::from_millis(offset), round_trip: Span::from_millis(round_trip) };
        clock.adopt(sample(-4_000, 20));
        assert_eq!(clock.request_millis(), 13_900);
        clock.distrust();
        assert_eq!((clock.latest(), clock.venue_now()), (Some(sample(-4_000, 20)), Timestamp::from_millis(14_000)));
        assert_eq!(clock.request_millis(), 13_700, "dated as early as is allowed");
        // A slower sample that agrees would not replace one that is believed.
        clock.adopt(sample(-4_050, 400));
        assert_eq!((clock.latest(), clock.request_millis()), (Some(sample(-4_050, 400)), 13_850));
    }

    #[test]
    fn a_slow_sample_does_not_replace_a_quick_one_unless_they_contradict() {
        let now = Arc::new(std::sync::atomic::AtomicI64::new(0));
        let told = now.clone();
        let clock = VenueClock::new(Arc::new(move || Timestamp::from_millis(told.load(std::sync::atomic::Ordering::SeqCst))));
        let sample = |offset, round_trip| ClockSample { offset: Span::from_millis(offset), round_trip: Span::from_millis(round_trip) };
        clock.adopt(sample(-500, 20));
        clock.adopt(sample(-450, 200));
        assert_eq!(clock.latest(), Some(sample(-500, 20)));
        // A moved clock: both cannot be true.
        clock.adopt(sample(-9_000, 200));
        assert_eq!(clock.latest(), Some(sample(-9_000, 200)));
        clock.adopt(sample(-8_990, 20));
        // An hour later the clocks may have run 180 ms apart.
        now.store(3_600_000, std::sync::atomic::Ordering::SeqCst);
        clock.adopt(sample(-8_900, 200));
        assert_eq!(clock.latest(), Some(sample(-8_900, 200)));
    }
}
