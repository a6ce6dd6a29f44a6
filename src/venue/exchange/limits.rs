//! Rate limits in fixed calendar windows: request weight per address and minute, orders per 10 seconds and per day.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::refusal::ApiError;
use crate::domain::{Role, Timestamp};

pub(super) const WEIGHT_PER_MINUTE: u32 = 6_000;
pub(super) const ORDERS_PER_10_SECONDS: u32 = 100;
pub(super) const ORDERS_PER_DAY: u32 = 200_000;

const MINUTE_MS: i64 = 60_000;
const TEN_SECONDS_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;

/// A counter that starts again at each multiple of its length.
#[derive(Debug, Clone, Copy)]
struct Window {
    length_ms: i64,
    index: i64,
    used: u32,
}

impl Window {
    const fn new(length_ms: i64) -> Self {
        Self { length_ms, index: i64::MIN, used: 0 }
    }

    fn used(&mut self, now: Timestamp) -> u32 {
        let index = now.millis().div_euclid(self.length_ms);
        if index != self.index {
            (self.index, self.used) = (index, 0);
        }
        self.used
    }

    fn add(&mut self, now: Timestamp, count: u32) -> u32 {
        let used = self.used(now).saturating_add(count);
        self.used = used;
        used
    }

    /// (seconds until the window ends, rounded up; the moment in epoch milliseconds)
    fn retry(&self, now: Timestamp) -> (u64, i64) {
        let end = (now.millis().div_euclid(self.length_ms) + 1) * self.length_ms;
        (u64::try_from((end - now.millis() + 999) / 1_000).unwrap_or(1), end)
    }
}

/// Request weight used by each address in the running minute.
#[derive(Debug, Default)]
pub(super) struct Weights {
    minute: i64,
    used: BTreeMap<IpAddr, u32>,
    /// Addresses that get no answer, each until its moment.
    bans: BTreeMap<IpAddr, Timestamp>,
}

impl Weights {
    /// Refuses when `weight` more would exceed the limit; nothing is counted then.
    pub fn admit(&mut self, from: IpAddr, weight: u32, now: Timestamp) -> Result<(), ApiError> {
        if let Some(until) = self.bans.get(&from).copied().filter(|until| *until > now) {
            let retry_after_secs = u64::try_from(until.since(now).millis() / 1_000 + 1).unwrap_or(1);
            return Err(ApiError::Banned { retry_after_secs, retry_at_ms: until.millis() });
        }
        if self.used(from, now).saturating_add(weight) <= WEIGHT_PER_MINUTE {
            return Ok(());
        }
        let (retry_after_secs, retry_at_ms) = Window::new(MINUTE_MS).retry(now);
        Err(ApiError::Weight { limit: WEIGHT_PER_MINUTE, retry_after_secs, retry_at_ms })
    }

    pub fn ban(&mut self, from: IpAddr, until: Timestamp) {
        self.bans.insert(from, until);
    }

    /// Ends every ban.
    pub fn pardon(&mut self) {
        self.bans.clear();
    }

    pub fn used(&mut self, from: IpAddr, now: Timestamp) -> u32 {
        let minute = now.millis().div_euclid(MINUTE_MS);
        if minute != self.minute {
            self.minute = minute;
            self.used.clear();
        }
        self.used.get(&from).copied().unwrap_or(0)
    }

    /// Counts `weight` and gives the sum of the minute.
    pub fn add(&mut self, from: IpAddr, weight: u32, now: Timestamp) -> u32 {
        let used = self.used(from, now).saturating_add(weight);
        self.used.insert(from, used);
        used
    }
}

/// Orders accepted from the account, less what first fills give back: it is unfilled orders that are limited.
#[derive(Debug)]
pub(super) struct OrderCount {
    short: Window,
    day: Window,
}

impl OrderCount {
    pub const fn new() -> Self {
        Self { short: Window::new(TEN_SECONDS_MS), day: Window::new(DAY_MS) }
    }

    pub fn admit(&mut self, now: Timestamp) -> Result<(), ApiError> {
        let windows = [(&mut self.short, ORDERS_PER_10_SECONDS, "10 SECOND"), (&mut self.day, ORDERS_PER_DAY, "1 DAY")];
        for (window, limit, name) in windows {
            if window.used(now) >= limit {
                let (retry_after_secs, retry_at_ms) = window.retry(now);
                return Err(ApiError::OrderCount { limit, window: name, retry_after_secs, retry_at_ms });
            }
        }
        Ok(())
    }

    /// Counts one accepted order; gives the counts of the 10 seconds and of the day.
    pub fn add(&mut self, now: Timestamp) -> (u32, u32) {
        (self.short.add(now, 1), self.day.add(now, 1))
    }

    /// The counts of the running 10 seconds and of the day.
    pub fn used(&mut self, now: Timestamp) -> (u32, u32) {
        (self.short.used(now), self.day.used(now))
    }

    /// An order filled for the first time: as a taker it no longer counts, as a maker it earns room for more (Binance's sample values).
    pub fn first_fill(&mut self, role: Role, now: Timestamp) {
        let back = match role {
            Role::Taker => 1,
            Role::Maker => 5,
        };
        for window in [&mut self.short, &mut self.day] {
            window.used = window.used(now).saturating_sub(back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn weight_is_refused_at_the_limit_and_free_again_at_the_next_full_minute() {
        let mut weights = Weights::default();
        let now = Timestamp::from_millis(59_500);
        assert_eq!(weights.add(HOME, 5_999, now), 5_999);
        assert_eq!(weights.admit(HOME, 1, now), Ok(()));
        let refused = weights.admit(HOME, 2, now).unwrap_err();
        assert_eq!((refused.code(), refused.status(), refused.retry()), (-1003, 429, Some((1, 60_000))));
        assert_eq!(weights.admit(HOME, 2, Timestamp::from_millis(60_000)), Ok(()));
        let other = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(weights.admit(other, 6_000, now), Ok(()));
    }

    #[test]
    fn the_hundred_and_first_order_of_ten_seconds_waits() {
        let mut orders = OrderCount::new();
        let now = Timestamp::from_millis(1_000);
        for n in 1..=100 {
            assert_eq!(orders.admit(now), Ok(()));
            assert_eq!(orders.add(now), (n, n));
        }
        let refused = orders.admit(now).unwrap_err();
        assert_eq!((refused.code(), refused.status(), refused.retry()), (-1015, 429, Some((9, 10_000))));
        assert_eq!(orders.admit(Timestamp::from_millis(10_000)), Ok(()));
        assert_eq!(orders.add(Timestamp::from_millis(10_000)), (1, 101));
        orders.first_fill(Role::Maker, Timestamp::from_millis(10_001));
        assert_eq!(orders.add(Timestamp::from_millis(10_002)), (1, 97), "never below zero");
    }
}
