//! Rate limits in fixed calendar windows: request weight, requests and connections per address, orders per 10 seconds and per day.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::refusal::ApiError;
use crate::domain::{Role, Span, Timestamp};

pub(super) const WEIGHT_PER_MINUTE: u32 = 6_000;
pub(super) const ORDERS_PER_10_SECONDS: u32 = 100;
pub(super) const ORDERS_PER_DAY: u32 = 200_000;

pub(super) const REQUESTS_PER_5_MINUTES: u32 = 300_000;
pub(super) const CONNECTIONS_PER_5_MINUTES: u32 = 300;
const MESSAGES_PER_SECOND: usize = 5;
/// Requests of a minute that are answered 429 before a ban.
const TOLERATED: u32 = 10;
const LONGEST_BAN: Span = Span::from_secs(3 * 86_400);

const MINUTE_MS: i64 = 60_000;
const FIVE_MINUTES_MS: i64 = 300_000;
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

/// What one address did.
#[derive(Debug)]
struct Caller {
    weight: Window,
    requests: Window,
    connections: [Window; 2],
    /// Requests refused with 429 in the running minute.
    refused: Window,
    /// No answer until then.
    banned_until: Timestamp,
    bans: u32,
}

impl Caller {
    const fn new() -> Self {
        Self {
            weight: Window::new(MINUTE_MS),
            requests: Window::new(FIVE_MINUTES_MS),
            connections: [Window::new(FIVE_MINUTES_MS); 2],
            refused: Window::new(MINUTE_MS),
            banned_until: Timestamp::EPOCH,
            bans: 0,
        }
    }
}

/// Which kind of connection is counted: market streams and the WebSocket API each on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Streams,
    Api,
}

/// What each address may still ask. Who goes on after 429 is banned, each time for twice as long.
#[derive(Debug)]
pub(super) struct Callers {
    first_ban: Span,
    known: BTreeMap<IpAddr, Caller>,
}

impl Callers {
    pub const fn new(first_ban: Span) -> Self {
        Self { first_ban, known: BTreeMap::new() }
    }

    /// Counts the request; refuses it when it or `weight` would exceed a limit. A refused one uses no weight.
    pub fn admit(&mut self, from: IpAddr, weight: u32, now: Timestamp) -> Result<(), ApiError> {
        let first_ban = self.first_ban;
        let caller = self.caller(from);
        caller.check_ban(now)?;
        let (retry_after_secs, retry_at_ms) = caller.weight.retry(now);
        if caller.requests.add(now, 1) > REQUESTS_PER_5_MINUTES {
            let (retry_after_secs, retry_at_ms) = caller.requests.retry(now);
            return Err(ApiError::Requests { limit: REQUESTS_PER_5_MINUTES, retry_after_secs, retry_at_ms });
        }
        if caller.weight.used(now).saturating_add(weight) <= WEIGHT_PER_MINUTE {
            return Ok(());
        }
        if caller.refused.add(now, 1) > TOLERATED {
            let ban = first_ban.times(1 << caller.bans.min(20)).min(LONGEST_BAN);
            caller.bans += 1;
            caller.refused = Window::new(MINUTE_MS);
            caller.banned_until = now + ban;
            caller.check_ban(now)?;
        }
        Err(ApiError::Weight { limit: WEIGHT_PER_MINUTE, retry_after_secs, retry_at_ms })
    }

    /// Counts a connection; refuses it beyond the limit.
    pub fn connect(&mut self, from: IpAddr, line: Line, now: Timestamp) -> Result<(), ApiError> {
        let caller = self.caller(from);
        caller.check_ban(now)?;
        let window = &mut caller.connections[line as usize];
        if window.add(now, 1) > CONNECTIONS_PER_5_MINUTES {
            let (retry_after_secs, retry_at_ms) = window.retry(now);
            return Err(ApiError::Requests { limit: CONNECTIONS_PER_5_MINUTES, retry_after_secs, retry_at_ms });
        }
        Ok(())
    }

    pub fn ban(&mut self, from: IpAddr, until: Timestamp) {
        self.caller(from).banned_until = until;
    }

    /// Ends every ban.
    pub fn pardon(&mut self) {
        self.known.values_mut().for_each(|caller| caller.banned_until = Timestamp::EPOCH);
    }

    /// Counts `weight` and gives the sum of the minute.
    pub fn add(&mut self, from: IpAddr, weight: u32, now: Timestamp) -> u32 {
        self.caller(from).weight.add(now, weight)
    }

    fn caller(&mut self, from: IpAddr) -> &mut Caller {
        self.known.entry(from).or_insert_with(Caller::new)
    }
}

impl Caller {
    fn check_ban(&self, now: Timestamp) -> Result<(), ApiError> {
        if self.banned_until <= now {
            return Ok(());
        }
        let left_ms = self.banned_until.since(now).millis();
        let retry_after_secs = u64::try_from((left_ms + 999) / 1_000).unwrap_or(1).max(1);
        Err(ApiError::Banned { retry_after_secs, retry_at_ms: self.banned_until.millis() })
    }
}

/// Messages that a market stream connection sends us: five in any second, no more.
#[derive(Debug, Default)]
pub(super) struct Pace {
    heard: VecDeque<Instant>,
}

impl Pace {
    /// False when this message is one too many.
    pub fn admit(&mut self, now: Instant) -> bool {
        while self.heard.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
            self.heard.pop_front();
        }
        self.heard.push_back(now);
        self.heard.len() <= MESSAGES_PER_SECOND
    }
}

/// Orders accepted from the account, less what first fills give back: it is unfilled orders that are limited.
#[derive(Debug)]
pub(super) struct OrderCount {
    short: Window,
    day: Window,
    limits: (u32, u32),
}

impl OrderCount {
    pub const fn new() -> Self {
        Self::limited(ORDERS_PER_10_SECONDS, ORDERS_PER_DAY)
    }

    pub const fn limited(per_10_seconds: u32, per_day: u32) -> Self {
        Self { short: Window::new(TEN_SECONDS_MS), day: Window::new(DAY_MS), limits: (per_10_seconds, per_day) }
    }

    pub fn admit(&mut self, now: Timestamp) -> Result<(), ApiError> {
        let windows = [(&mut self.short, self.limits.0, "10 SECOND"), (&mut self.day, self.limits.1, "1 DAY")];
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
        let mut weights = Callers::new(Span::from_secs(120));
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
    fn who_goes_on_after_429_is_banned_each_time_for_twice_as_long() {
        let mut callers = Callers::new(Span::from_secs(120));
        let mut at = 1_000;
        for (ban_secs, name) in [(120, "two minutes"), (240, "four"), (480, "eight")] {
            let now = Timestamp::from_millis(at);
            callers.add(HOME, 6_000, now);
            for _ in 0..TOLERATED {
                assert_eq!(callers.admit(HOME, 1, now).unwrap_err().status(), 429);
            }
            let banned = callers.admit(HOME, 1, now).unwrap_err();
            assert_eq!(
                (banned.status(), banned.code(), banned.retry()),
                (418, -1003, Some((ban_secs, at + ban_secs as i64 * 1_000))),
                "{name}"
            );
            assert_eq!(callers.connect(HOME, Line::Api, now), Err(banned.clone()), "the WebSocket API too");
            at += ban_secs as i64 * 1_000;
            assert_eq!(callers.admit(HOME, 1, Timestamp::from_millis(at - 1)).unwrap_err().status(), 418);
            assert_eq!(callers.admit(HOME, 1, Timestamp::from_millis(at)), Ok(()));
            at += 60_000;
        }
    }

    #[test]
    fn requests_and_connections_have_five_minutes() {
        let mut callers = Callers::new(Span::from_secs(120));
        let now = Timestamp::from_millis(299_000);
        for _ in 0..REQUESTS_PER_5_MINUTES {
            assert_eq!(callers.admit(HOME, 0, now), Ok(()));
        }
        assert_eq!(callers.admit(HOME, 0, now).unwrap_err().retry(), Some((1, 300_000)));
        for _ in 0..CONNECTIONS_PER_5_MINUTES {
            assert_eq!(callers.connect(HOME, Line::Streams, now), Ok(()));
        }
        assert_eq!(callers.connect(HOME, Line::Streams, now).unwrap_err().status(), 429);
        assert_eq!(callers.connect(HOME, Line::Api, now), Ok(()));
        assert_eq!(callers.connect(HOME, Line::Streams, Timestamp::from_millis(300_000)), Ok(()));
    }

    #[test]
    fn the_sixth_message_of_a_second_is_one_too_many() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert!((0..5).all(|n| pace.admit(start + Duration::from_millis(n * 10))));
        assert!(pace.admit(start + Duration::from_millis(1_001)), "the first has been forgotten");
        assert!(!pace.admit(start + Duration::from_millis(1_002)));
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
