//! One request budget for all calls of this program, over REST and the WebSocket API: the venue counts per address, so we do.
//!
//! Source: Binance limits.md: fixed calendar windows, counts in headers (`X-MBX-USED-WEIGHT-1M`, `X-MBX-ORDER-COUNT-10S`) or `rateLimits`,
//! `Retry-After` seconds on 429 and 418. The windows and limits are those of `exchangeInfo`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::domain::{Span, Timestamp};

/// Until the venue states its limits.
const DEFAULT_WEIGHT_PER_MINUTE: u32 = 6_000;
/// Other programs on this address share the budget, and cancels must always pass: so much is for reads and opening orders.
const BUDGET_PERCENT: u32 = 80;
/// Downloads are large and can wait: so much is for them, and the account's own questions never queue behind them.
const BULK_PERCENT: u32 = 60;
/// Of the account's order count, so much is for opening orders: exits need some too.
const OPENING_PERCENT: u32 = 90;
/// No ban is longer. A box whose clock is wrong must not wait for years.
const LONGEST_BAN: Duration = Duration::from_secs(3 * 24 * 3_600);
/// So long after a ban a refused key may still be the ban's echo.
const ECHO: Duration = Duration::from_secs(60);

/// How a call stands towards the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Market data that is downloaded: waits while others need the budget.
    Bulk,
    /// Waits for its turn.
    Read,
    /// An opening order is worth nothing later: it is refused instead of delayed.
    Opening,
    /// A cancel or a reduce: may use the reserve.
    Protective,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitKind {
    RequestWeight,
    RawRequests,
    /// Unfilled orders of the account.
    Orders,
    /// Connections to the WebSocket API, and whatever the venue thinks of next.
    Other,
}

/// A limit as the venue states it, with its count where that was stated too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    pub kind: LimitKind,
    pub window_secs: u32,
    pub limit: u32,
    pub used: Option<u32>,
}

/// What the venue counted for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub kind: LimitKind,
    pub window_secs: u32,
    pub used: u32,
}

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub weight: u32,
    pub orders: u32,
    pub urgency: Urgency,
}

impl Cost {
    const fn of(self, kind: LimitKind) -> u32 {
        match kind {
            LimitKind::RequestWeight => self.weight,
            LimitKind::RawRequests => 1,
            LimitKind::Orders => self.orders,
            LimitKind::Other => 0,
        }
    }

    /// The share of a window that such a call may fill.
    const fn percent(self, kind: LimitKind) -> u32 {
        match (kind, self.urgency) {
            (_, Urgency::Protective) => 100,
            (LimitKind::Orders, _) => OPENING_PERCENT,
            (_, Urgency::Bulk) => BULK_PERCENT,
            _ => BUDGET_PERCENT,
        }
    }
}

/// What the limiter says to a call now.
#[derive(Debug)]
pub(super) enum Admission<'a> {
    Go(Booking<'a>),
    Wait(Duration),
    Refused(Duration),
}

/// A call under way: what it costs is held until its answer says what was counted.
#[derive(Debug)]
pub(super) struct Booking<'a> {
    limiter: &'a Limiter,
    cost: Cost,
    /// The venue's time at admission.
    admitted: Timestamp,
}

impl Booking<'_> {
    /// The venue's own counts replace ours.
    pub fn answered(&self, counts: &[Count], at: Timestamp) {
        let mut state = self.limiter.state();
        for window in &mut state.windows {
            window.roll(at);
            // What was counted for the last window says nothing of this one.
            if window.slot != window.slot_of(self.admitted) {
                continue;
            }
            if let Some(told) = counts.iter().find(|c| c.kind == window.kind && c.window_secs == window.secs) {
                // What this booking adds at its end is in the count already.
                window.used = told.used.saturating_sub(self.cost.of(window.kind));
            }
        }
    }
}

impl Drop for Booking<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        for window in &mut state.windows {
            let amount = self.cost.of(window.kind);
            window.under_way = window.under_way.saturating_sub(amount);
            window.used = window.used.saturating_add(amount);
        }
    }
}

#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
    /// The end of the present ban in the venue's time, for whoever must remember it.
    ban: watch::Sender<Option<Timestamp>>,
}

#[derive(Debug)]
struct State {
    windows: Vec<Window>,
    blocked_until: Option<Instant>,
    /// The account's order limit was hit: opening orders alone wait.
    opening_until: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    kind: LimitKind,
    secs: u32,
    limit: u32,
    /// The calendar window of the venue that `used` belongs to.
    slot: i64,
    used: u32,
    under_way: u32,
}

impl Window {
    const fn new(kind: LimitKind, secs: u32, limit: u32) -> Self {
        Self { kind, secs, limit, slot: 0, used: 0, under_way: 0 }
    }

    fn millis(&self) -> i64 {
        i64::from(self.secs) * 1_000
    }

    fn slot_of(&self, at: Timestamp) -> i64 {
        at.millis().div_euclid(self.millis())
    }

    fn roll(&mut self, at: Timestamp) {
        let slot = self.slot_of(at);
        if slot != self.slot {
            self.slot = slot;
            self.used = 0;
        }
    }

    /// How long until `cost` fits; zero when it fits now. A call that is larger than the whole share passes when nothing else is counted.
    fn delay(&self, cost: Cost, at: Timestamp) -> Duration {
        let amount = cost.of(self.kind);
        let counted = self.used.saturating_add(self.under_way);
        let share = u64::from(self.limit) * u64::from(cost.percent(self.kind)) / 100;
        if amount == 0 || counted == 0 || u64::from(counted) + u64::from(amount) <= share {
            return Duration::ZERO;
        }
        Duration::from_millis((self.millis() - at.millis().rem_euclid(self.millis()) + 50).unsigned_abs())
    }
}

impl Limiter {
    /// `banned_until`: a ban that an earlier start was told, in the venue's time; `at`: the venue's time now.
    pub fn new(banned_until: Option<Timestamp>, at: Timestamp) -> Self {
        let windows = vec![Window::new(LimitKind::RequestWeight, 60, DEFAULT_WEIGHT_PER_MINUTE)];
        let state = State { windows, blocked_until: None, opening_until: None };
        let limiter = Self { state: Mutex::new(state), ban: watch::Sender::new(None) };
        let left = banned_until.map(|until| until.since(at)).filter(|left| left.millis() > 0);
        if let Some(left) = left {
            limiter.block(Duration::from_millis(left.millis().unsigned_abs()), at);
        }
        limiter
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to make a call at venue time `at`; it is booked when the answer is `Go`.
    pub fn admit(&self, cost: Cost, at: Timestamp) -> Admission<'_> {
        let mut state = self.state();
        let now = Instant::now();
        let left = |until: Option<Instant>| until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let mut delay = left(state.blocked_until);
        if delay.is_zero() && self.ban.borrow().is_some() {
            self.ban.send_replace(None);
        }
        if cost.urgency == Urgency::Opening {
            delay = delay.max(left(state.opening_until));
        }
        for window in &mut state.windows {
            window.roll(at);
            delay = delay.max(window.delay(cost, at));
        }
        if delay.is_zero() {
            for window in &mut state.windows {
                window.under_way = window.under_way.saturating_add(cost.of(window.kind));
            }
            Admission::Go(Booking { limiter: self, cost, admitted: at })
        } else if cost.urgency == Urgency::Opening {
            Admission::Refused(delay)
        } else {
            Admission::Wait(delay)
        }
    }

    /// The limits of `exchangeInfo`, or counts asked for. Counts of windows that stay are kept.
    pub fn learn(&self, limits: &[RateLimit], at: Timestamp) {
        let mut state = self.state();
        for limit in limits.iter().filter(|l| l.kind != LimitKind::Other && l.window_secs > 0 && l.limit > 0) {
            let known = state.windows.iter().position(|w| w.kind == limit.kind && w.secs == limit.window_secs);
            let place = known.unwrap_or_else(|| {
                state.windows.push(Window::new(limit.kind, limit.window_secs, limit.limit));
                state.windows.len() - 1
            });
            let window = &mut state.windows[place];
            window.limit = limit.limit;
            window.roll(at);
            if let Some(used) = limit.used {
                window.used = used;
            }
        }
    }

    /// Nothing leaves for this long; a longer ban that already runs stays. `at`: the venue's time now.
    pub fn block(&self, pause: Duration, at: Timestamp) {
        let pause = pause.min(LONGEST_BAN);
        let until = Instant::now() + pause;
        let mut state = self.state();
        if state.blocked_until.is_none_or(|old| old < until) {
            state.blocked_until = Some(until);
            let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            self.ban.send_replace(Some(at + Span::from_millis(millis)));
        }
    }

    /// No opening order leaves for this long; everything else does.
    pub fn block_opening(&self, pause: Duration) {
        self.state().opening_until = Some(Instant::now() + pause.min(LONGEST_BAN));
    }

    /// True during a ban and shortly after: the venue then refuses good keys too.
    pub fn echoes_ban(&self) -> bool {
        self.state().blocked_until.is_some_and(|until| Instant::now() < until + ECHO)
    }

    /// The end of the present ban in the venue's time; `None` when there is none. Changes are told.
    pub fn bans(&self) -> watch::Receiver<Option<Timestamp>> {
        self.ban.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(120_000);

    fn limiter(limits: &[(LimitKind, u32, u32, u32)]) -> Limiter {
        let limiter = Limiter::new(None, AT);
        let told = limits.iter().map(|(kind, window_secs, limit, used)| RateLimit {
            kind: *kind,
            window_secs: *window_secs,
            limit: *limit,
            used: Some(*used),
        });
        limiter.learn(&told.collect::<Vec<_>>(), AT);
        limiter
    }

    const fn call(weight: u32, urgency: Urgency) -> Cost {
        Cost { weight, orders: 0, urgency }
    }

    const fn order(urgency: Urgency) -> Cost {
        Cost { weight: 1, orders: 1, urgency }
    }

    #[test]
    fn reads_stay_under_four_fifths_of_the_limit_and_cancels_use_the_reserve() {
        let limiter = limiter(&[(LimitKind::RequestWeight, 60, 1_000, 790)]);
        assert!(matches!(limiter.admit(call(5, Urgency::Read), AT), Admission::Go(_)));
        assert!(matches!(limiter.admit(call(20, Urgency::Read), AT), Admission::Wait(d) if d == Duration::from_millis(60_050)));
        assert!(matches!(limiter.admit(call(20, Urgency::Opening), AT), Admission::Refused(_)));
        assert!(matches!(limiter.admit(call(20, Urgency::Protective), AT), Admission::Go(_)));
        let next_minute = Timestamp::from_millis(180_000);
        assert!(matches!(limiter.admit(call(20, Urgency::Read), next_minute), Admission::Go(_)));
    }

    #[test]
    fn downloads_leave_room_for_the_accounts_own_questions() {
        let limiter = limiter(&[(LimitKind::RequestWeight, 60, 6_000, 3_500)]);
        assert!(matches!(limiter.admit(call(100, Urgency::Bulk), AT), Admission::Go(_)), "under three fifths of the limit");
        assert!(matches!(limiter.admit(call(250, Urgency::Bulk), AT), Admission::Wait(d) if d == Duration::from_millis(60_050)));
        assert!(matches!(limiter.admit(call(20, Urgency::Read), AT), Admission::Go(_)), "the account is asked meanwhile");
    }

    #[test]
    fn calls_under_way_count_until_the_venue_has_counted_them() {
        let limiter = limiter(&[(LimitKind::RequestWeight, 60, 1_000, 0)]);
        let Admission::Go(first) = limiter.admit(call(500, Urgency::Read), AT) else { panic!() };
        let Admission::Go(second) = limiter.admit(call(300, Urgency::Read), AT) else { panic!() };
        assert!(matches!(limiter.admit(call(1, Urgency::Read), AT), Admission::Wait(_)));
        // The first answer states only what was counted by then.
        first.answered(&[Count { kind: LimitKind::RequestWeight, window_secs: 60, used: 500 }], AT);
        drop(first);
        assert!(matches!(limiter.admit(call(1, Urgency::Read), AT), Admission::Wait(_)));
        // A call that turned out to be free gives its share back.
        second.answered(&[Count { kind: LimitKind::RequestWeight, window_secs: 60, used: 500 }], AT);
        drop(second);
        assert!(matches!(limiter.admit(call(300, Urgency::Read), AT), Admission::Go(_)));
    }

    #[test]
    fn raw_requests_have_their_own_reserve_for_cancels() {
        let limiter = limiter(&[(LimitKind::RawRequests, 300, 10, 8)]);
        assert!(matches!(limiter.admit(call(1, Urgency::Read), AT), Admission::Wait(_)));
        for _ in 0..2 {
            assert!(matches!(limiter.admit(call(1, Urgency::Protective), AT), Admission::Go(_)));
        }
        assert!(matches!(limiter.admit(call(1, Urgency::Protective), AT), Admission::Wait(_)));
    }

    #[test]
    fn order_windows_are_respected_and_leave_room_for_exits() {
        let limiter = limiter(&[(LimitKind::Orders, 10, 10, 0), (LimitKind::Orders, 86_400, 1_000, 0)]);
        let opened = (0..20).filter(|_| matches!(limiter.admit(order(Urgency::Opening), AT), Admission::Go(_))).count();
        assert_eq!(opened, 9);
        assert!(matches!(limiter.admit(order(Urgency::Protective), AT), Admission::Go(_)));
        assert!(matches!(limiter.admit(order(Urgency::Protective), AT), Admission::Wait(d) if d == Duration::from_millis(10_050)));
        assert!(matches!(limiter.admit(call(1, Urgency::Protective), AT), Admission::Go(_)), "a cancel counts no order");
        assert!(matches!(limiter.admit(order(Urgency::Opening), Timestamp::from_millis(130_000)), Admission::Go(_)));
    }

    #[test]
    fn a_ban_stops_everything_and_is_told() {
        let limiter = Limiter::new(None, AT);
        let bans = limiter.bans();
        limiter.block(Duration::from_secs(30), AT);
        limiter.block(Duration::from_secs(1), AT);
        for urgency in [Urgency::Read, Urgency::Protective] {
            assert!(matches!(limiter.admit(call(1, urgency), AT), Admission::Wait(d) if d > Duration::from_secs(20)));
        }
        assert!(matches!(limiter.admit(call(1, Urgency::Opening), AT), Admission::Refused(_)));
        assert_eq!(*bans.borrow(), Some(Timestamp::from_millis(150_000)));
        assert!(limiter.echoes_ban());
    }

    #[test]
    fn a_ban_outlives_a_restart_and_its_end_is_told() {
        let limiter = Limiter::new(Some(Timestamp::from_millis(150_000)), AT);
        assert!(matches!(limiter.admit(call(1, Urgency::Protective), AT), Admission::Wait(d) if d > Duration::from_secs(20)));
        assert_eq!(*limiter.bans().borrow(), Some(Timestamp::from_millis(150_000)));
        let over = Limiter::new(Some(Timestamp::from_millis(119_999)), AT);
        assert!(matches!(over.admit(call(1, Urgency::Read), AT), Admission::Go(_)));
        let far = Limiter::new(Some(Timestamp::MAX), AT);
        assert!(matches!(far.admit(call(1, Urgency::Read), AT), Admission::Wait(d) if d <= LONGEST_BAN));
        let short = Limiter::new(Some(Timestamp::from_millis(120_001)), AT);
        std::thread::sleep(Duration::from_millis(5));
        assert!(matches!(short.admit(call(1, Urgency::Read), AT), Admission::Go(_)));
        assert_eq!(*short.bans().borrow(), None);
    }

    #[test]
    fn the_order_limit_stops_opening_orders_alone() {
        let limiter = Limiter::new(None, AT);
        limiter.block_opening(Duration::from_secs(10));
        assert!(matches!(limiter.admit(order(Urgency::Opening), AT), Admission::Refused(_)));
        assert!(matches!(limiter.admit(order(Urgency::Protective), AT), Admission::Go(_)));
        assert!(matches!(limiter.admit(call(1, Urgency::Read), AT), Admission::Go(_)));
    }
}
