//! One request budget for all REST calls of this program: the venue counts per address, so we do.
//!
//! Source: Binance limits.md: fixed calendar minutes, `X-MBX-USED-WEIGHT-1M` on every answer, `Retry-After` seconds on 429 and 418.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// Until the venue states its limit.
const DEFAULT_WEIGHT_PER_MINUTE: u32 = 6_000;
/// Other programs on this address share the budget, so a fifth is left.
const BUDGET_PERCENT: u32 = 80;

/// How a call stands towards the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Waits for its turn.
    Read,
    /// An opening order is worth nothing later: it is refused instead of delayed.
    Opening,
    /// A cancel or a reduce: only a ban stops it, and then it waits.
    Protective,
}

/// What the limiter says to a call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Go,
    Wait(Duration),
    Refused(Duration),
}

#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u32,
    /// The calendar minute of the venue that `used` belongs to.
    minute: i64,
    used: u32,
    blocked_until: Option<Instant>,
    /// The account's order limit was hit: opening orders alone wait.
    opening_until: Option<Instant>,
}

impl Limiter {
    pub fn new() -> Self {
        let state = State { limit: DEFAULT_WEIGHT_PER_MINUTE, minute: 0, used: 0, blocked_until: None, opening_until: None };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to spend `weight` at venue time `at`; the weight is booked when the answer is `Go`.
    pub fn admit(&self, weight: u32, urgency: Urgency, at: Timestamp) -> Admission {
        let mut state = self.state();
        state.roll(at);
        let now = Instant::now();
        let left = |until: Option<Instant>| until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let banned = left(state.blocked_until);
        let over = state.used.saturating_add(weight) > state.limit / 100 * BUDGET_PERCENT && state.used > 0;
        let next_minute = Duration::from_millis(60_000 - at.millis().rem_euclid(60_000).unsigned_abs() + 50);
        let delay = match urgency {
            Urgency::Protective => banned,
            Urgency::Opening if left(state.opening_until) > banned => left(state.opening_until),
            _ if over => banned.max(next_minute),
            _ => banned,
        };
        if delay.is_zero() {
            state.used = state.used.saturating_add(weight);
            Admission::Go
        } else if urgency == Urgency::Opening {
            Admission::Refused(delay)
        } else {
            Admission::Wait(delay)
        }
    }

    /// The venue's own count, from an answer's header.
    pub fn venue_counts(&self, used: u32, at: Timestamp) {
        let mut state = self.state();
        state.roll(at);
        state.used = used;
    }

    pub fn set_limit(&self, weight_per_minute: u32) {
        self.state().limit = weight_per_minute.max(100);
    }

    /// Nothing leaves for this long; a longer ban that already runs stays.
    pub fn block(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.blocked_until = Some(state.blocked_until.map_or(until, |old| old.max(until)));
    }

    /// No opening order leaves for this long; everything else does.
    pub fn block_opening(&self, pause: Duration) {
        self.state().opening_until = Some(Instant::now() + pause);
    }
}

impl State {
    fn roll(&mut self, at: Timestamp) {
        let minute = at.millis().div_euclid(60_000);
        if minute != self.minute {
            self.minute = minute;
            self.used = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(120_000);

    #[test]
    fn reads_stay_under_four_fifths_of_the_limit_and_cancels_do_not_wait() {
        let limiter = Limiter::new();
        limiter.set_limit(1_000);
        limiter.venue_counts(790, AT);
        assert_eq!(limiter.admit(5, Urgency::Read, AT), Admission::Go);
        assert_eq!(limiter.admit(20, Urgency::Read, AT), Admission::Wait(Duration::from_millis(60_050)));
        assert!(matches!(limiter.admit(20, Urgency::Opening, AT), Admission::Refused(_)));
        assert_eq!(limiter.admit(20, Urgency::Protective, AT), Admission::Go);
        let next_minute = Timestamp::from_millis(180_000);
        assert_eq!(limiter.admit(20, Urgency::Read, next_minute), Admission::Go);
    }

    #[test]
    fn a_ban_stops_everything() {
        let limiter = Limiter::new();
        limiter.block(Duration::from_secs(30));
        limiter.block(Duration::from_secs(1));
        for urgency in [Urgency::Read, Urgency::Protective] {
            assert!(matches!(limiter.admit(1, urgency, AT), Admission::Wait(d) if d > Duration::from_secs(20)));
        }
        assert!(matches!(limiter.admit(1, Urgency::Opening, AT), Admission::Refused(_)));
    }

    #[test]
    fn the_order_limit_stops_opening_orders_alone() {
        let limiter = Limiter::new();
        limiter.block_opening(Duration::from_secs(10));
        assert!(matches!(limiter.admit(1, Urgency::Opening, AT), Admission::Refused(_)));
        assert_eq!(limiter.admit(1, Urgency::Protective, AT), Admission::Go);
        assert_eq!(limiter.admit(1, Urgency::Read, AT), Admission::Go);
    }
}
