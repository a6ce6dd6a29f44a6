//! The venue's clock as seen from here.
//!
//! The local clock is injected and must be monotonic (a step of the system time must not jump request timestamps). The offset is taken
//! from the quickest of several round trips: its error is at most half of that round trip.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Timestamp};

/// Tells the box's time; never goes back.
pub type LocalClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Requests are dated this much early: the venue refuses timestamps from its future far more strictly than late ones.
const BIAS: Span = Span::from_millis(150);

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
    latest: Mutex<Option<ClockSample>>,
}

impl VenueClock {
    pub fn new(local: LocalClock) -> Self {
        Self { local, latest: Mutex::new(None) }
    }

    pub fn local_now(&self) -> Timestamp {
        (self.local)()
    }

    pub fn latest(&self) -> Option<ClockSample> {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn adopt(&self, sample: ClockSample) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
    }

    /// The venue's time now, as well as we know it.
    pub fn venue_now(&self) -> Timestamp {
        self.local_now() - self.latest().map_or(Span::ZERO, |s| s.offset)
    }

    /// The time to sign a request with, in milliseconds.
    pub fn request_millis(&self) -> i64 {
        (self.venue_now() - BIAS).millis()
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
    fn requests_are_dated_in_the_venues_time_and_a_little_early() {
        let clock = VenueClock::new(Arc::new(|| Timestamp::from_millis(10_000)));
        assert_eq!(clock.request_millis(), 9_850);
        clock.adopt(ClockSample { offset: Span::from_millis(-500), round_trip: Span::ZERO });
        assert_eq!(clock.request_millis(), 10_350);
        assert_eq!(clock.venue_now(), Timestamp::from_millis(10_500));
    }
}
