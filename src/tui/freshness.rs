//! Whether the picture moves: compares the views' own time with the terminal's clock.

use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// A picture that stands still this long is called stale.
pub const LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    shown: Timestamp,
    since: Instant,
}

impl Freshness {
    #[must_use]
    pub fn new(at: Timestamp, now: Instant) -> Self {
        Self { shown: at, since: now }
    }

    /// Takes note of the view's time; how long it has stood still, once `LIMIT` is reached.
    pub fn observe(&mut self, at: Timestamp, now: Instant) -> Option<Duration> {
        if at != self.shown {
            *self = Self::new(at, now);
        }
        Some(now.saturating_duration_since(self.since)).filter(|age| *age >= LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_stands_still_is_stale() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let at = Timestamp::from_millis;
        let mut freshness = Freshness::new(at(0), start);
        assert_eq!(freshness.observe(at(0), after(2_999)), None);
        assert_eq!(freshness.observe(at(0), after(7_000)), Some(Duration::from_secs(7)));
        assert_eq!(freshness.observe(at(1), after(7_100)), None);
        assert_eq!(freshness.observe(at(1), after(10_100)), Some(LIMIT));
    }
}
