//! Loss stops: marks in, a latched halt out. The day is UTC; the peak is of marked equity. What a loss counts from is proven like the loss
//! itself: the peak must hold for a second, the equity of a minute and of the day's start are each the middle of three marks.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::sample::Sample;
use crate::domain::{Bps, Money, Span, Timestamp};

const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3_600);
/// More errors than any limit counts.
const ERRORS_REMEMBERED: usize = 1_024;

/// Why trading halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    #[error("halted by hand")]
    Hand,
    #[error("flattened by hand")]
    Flatten,
    #[error("daily loss {loss:.2} reached its limit {limit:.2}")]
    DailyLoss { loss: Money, limit: Money },
    #[error("drawdown {drawdown} bps reached its limit {limit} bps")]
    Drawdown { drawdown: Bps, limit: Bps },
    #[error("the venue's balance of {asset} is {venue}, the books say {books}")]
    BalanceMismatch { asset: crate::domain::Asset, venue: crate::domain::Qty, books: crate::domain::Qty },
    #[error("order {id} was filled beyond its quantity")]
    Overfill { id: crate::domain::ClientOrderId },
    #[error("the data file can not be written")]
    StoreFailed,
    #[error("{spent:.2} of money x seconds stood without protection, limit {limit:.2}")]
    Unprotected { spent: Money, limit: Money },
}

/// Equity marks and the stops that hang on them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Breakers {
    /// The highest marked equity.
    peak: Option<Money>,
    /// Since when the equity stands above the peak, and the lowest of it since.
    #[serde(default)]
    rise: Option<(Timestamp, Money)>,
    day: Option<i64>,
    day_start: Option<Money>,
    /// The day's start while it is being sampled: until then the lowest mark stands for it.
    #[serde(default)]
    day_sample: Option<Sample>,
    /// What today's loss counts from: the day's start, or the equity at which a daily-loss halt was lifted.
    loss_base: Option<Money>,
    equity: Option<Money>,
    /// A breach must hold for two marks at least a second apart: one bad tick halts nobody.
    breach_since: Option<Timestamp>,
    halted: Option<HaltReason>,
    /// Equity at the beginning of each of the last sixty minutes, oldest first.
    #[serde(default)]
    minutes: VecDeque<(Timestamp, Money)>,
    /// The next of them while it is being sampled.
    #[serde(default)]
    minute_sample: Option<Sample>,
    /// The last mark, and the equity before a time without marks in which a new day began.
    #[serde(default)]
    marked: Option<Timestamp>,
    #[serde(default)]
    unseen_from: Option<Money>,
    /// Trades lost in a row, and when the last one was.
    #[serde(default)]
    losing_streak: u32,
    #[serde(default)]
    last_loss: Option<Timestamp>,
    /// A trade ended since the last mark: what it made is no opinion of a mark.
    #[serde(default)]
    traded: bool,
    /// Errors of the venue within the last minute, oldest first.
    #[serde(default)]
    venue_errors: VecDeque<Timestamp>,
    #[serde(default)]
    unprotected: Unprotected,
    /// Capital that a drawdown is a share of, where not the whole account is at work.
    #[serde(skip)]
    measure: Option<Money>,
}

/// Money in the market without protection at the exchange, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Unprotected {
    /// Now, and since when it was counted.
    open: Option<(Timestamp, Money)>,
    /// Money x seconds since everything was protected last.
    spent: Money,
    /// Money x seconds since the books were opened.
    total: Money,
}

impl Breakers {
    /// Takes a mark of equity (`None`: unknown). Returns a halt that this mark caused.
    pub fn on_mark(&mut self, at: Timestamp, equity: Option<Money>, limits: &Limits) -> Option<HaltReason> {
        self.pass_unprotected(at);
        while self.venue_errors.front().is_some_and(|error| at.since(*error) >= MINUTE) {
            self.venue_errors.pop_front();
        }
        self.equity = equity;
        if let Some(limit) = limits.max_unprotected.filter(|limit| self.halted.is_none() && self.unprotected.spent >= *limit) {
            // Time has passed already: it needs no second mark.
            let reason = HaltReason::Unprotected { spent: self.unprotected.spent, limit };
            self.halt(reason.clone());
            return Some(reason);
        }
        let equity = equity?;
        self.sample_day(at, equity);
        self.marked = Some(at);
        // A halt may be lifted while the equity is unknown: its limit begins again here.
        self.loss_base.get_or_insert(equity);
        self.raise_peak(at, equity);
        self.sample_minute(at, equity);
        let traded = std::mem::take(&mut self.traded);
        if self.halted.is_some() {
            return None;
        }
        let Some(reason) = self.breach(limits) else {
            self.breach_since = None;
            return None;
        };
        match self.breach_since {
            None if !traded => {
                self.breach_since = Some(at);
                None
            }
            Some(since) if !traded && at.since(since).millis() < 1_000 => None,
            _ => {
                self.halt(reason.clone());
                Some(reason)
            }
        }
    }

    fn sample_day(&mut self, at: Timestamp, equity: Money) {
        // Days only pass: a clock that is set back renews no limit.
        if self.day.is_none_or(|day| at.day() > day) {
            // What was lost while nobody looked belongs to the day in which it is seen.
            let blind = self.marked.is_some_and(|marked| at.since(marked) > MINUTE);
            self.unseen_from = self.minutes.back().map(|(_, equity)| *equity).filter(|_| blind);
            self.day = Some(at.day());
            self.day_sample = Some(Sample::default());
        }
        let Some(sample) = self.day_sample.as_mut() else { return };
        let whole = sample.take(at, equity);
        self.day_start = whole.map(|(_, start)| start).or_else(|| sample.lowest().map(|lowest| lowest.min(equity)));
        self.day_start = self.day_start.map(|start| start.max(self.unseen_from.unwrap_or(start)));
        self.loss_base = self.day_start;
        if whole.is_some() {
            self.day_sample = None;
        }
    }

    fn sample_minute(&mut self, at: Timestamp, equity: Money) {
        while self.minutes.front().is_some_and(|(minute, _)| at.since(*minute) > HOUR) {
            self.minutes.pop_front();
        }
        if self.minute_sample.is_none() && self.minutes.back().is_none_or(|(minute, _)| at.since(*minute) >= MINUTE) {
            self.minute_sample = Some(Sample::default());
        }
        if let Some(minute) = self.minute_sample.as_mut().and_then(|sample| sample.take(at, equity)) {
            self.minutes.push_back(minute);
            self.minute_sample = None;
        }
    }

    /// One good tick is no peak, as one bad one is no breach: the level must hold for a second.
    fn raise_peak(&mut self, at: Timestamp, equity: Money) {
        let Some(peak) = self.peak else {
            self.peak = Some(equity);
            return;
        };
        self.rise = match self.rise {
            _ if equity <= peak => None,
            None => Some((at, equity)),
            Some((since, lowest)) if at.since(since).millis() < 1_000 => Some((since, lowest.min(equity))),
            Some((_, lowest)) => {
                self.peak = Some(lowest.min(equity));
                Some((at, equity))
            }
        };
    }

    /// A run begins: drawdowns are shares of this capital, and nobody knows what was protected while nobody looked.
    pub fn begin(&mut self, measure: Option<Money>) {
        self.measure = measure;
        self.unprotected.open = None;
    }

    /// A trade ended with `net`: a breach at the next mark needs no second one.
    pub fn on_trade(&mut self, at: Timestamp, net: Money) {
        self.traded = true;
        if net < Money::ZERO {
            self.losing_streak = self.losing_streak.saturating_add(1);
            self.last_loss = Some(at);
        } else {
            self.losing_streak = 0;
        }
    }

    /// The venue refused what it should not have, did not answer, or failed.
    pub fn on_venue_error(&mut self, at: Timestamp) {
        if self.venue_errors.len() == ERRORS_REMEMBERED {
            self.venue_errors.pop_front();
        }
        self.venue_errors.push_back(at);
    }

    /// Errors of the venue within the last minute.
    #[must_use]
    pub fn venue_errors(&self, now: Timestamp) -> u32 {
        let recent = self.venue_errors.iter().rev().take_while(|error| now.since(**error) < MINUTE).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    /// From now on `value` of what is held has no protection at the exchange; zero: everything has.
    pub fn on_unprotected(&mut self, at: Timestamp, value: Money) {
        self.pass_unprotected(at);
        if value.is_positive() {
            self.unprotected.open = Some((at, value));
        } else {
            (self.unprotected.open, self.unprotected.spent) = (None, Money::ZERO);
        }
    }

    /// Money x seconds without protection: since everything was protected last, and in all.
    #[must_use]
    pub fn unprotected(&self) -> (Money, Money) {
        (self.unprotected.spent, self.unprotected.total)
    }

    fn pass_unprotected(&mut self, at: Timestamp) {
        let Some((since, value)) = self.unprotected.open.as_mut() else { return };
        let spent = value.raw().saturating_mul(i128::from(at.since(*since).nanos().max(0))) / 1_000_000_000;
        *since = at.max(*since);
        for sum in [&mut self.unprotected.spent, &mut self.unprotected.total] {
            *sum = Money::from_raw(sum.raw().saturating_add(spent));
        }
    }

    pub fn halt(&mut self, reason: HaltReason) {
        self.breach_since = None;
        self.halted.get_or_insert(reason);
    }

    /// A person re-arms. Only the limit that halted begins again at the present equity: halting by hand must not widen any.
    pub fn resume(&mut self) {
        match self.halted.take() {
            Some(HaltReason::DailyLoss { .. }) => self.loss_base = self.equity,
            Some(HaltReason::Drawdown { .. }) => self.peak = self.equity,
            Some(HaltReason::Unprotected { .. }) => self.unprotected.spent = Money::ZERO,
            _ => {}
        }
        self.breach_since = None;
    }

    /// Money came from outside (negative: it left): neither a profit nor a loss.
    pub fn shift(&mut self, amount: Money) {
        self.rise = None;
        for reference in [&mut self.peak, &mut self.day_start, &mut self.unseen_from, &mut self.loss_base, &mut self.equity] {
            *reference = reference.map(|held| held + amount);
        }
        self.minutes.iter_mut().for_each(|(_, held)| *held += amount);
        self.day_sample.iter_mut().chain(&mut self.minute_sample).for_each(|sample| sample.shift(amount));
    }

    #[must_use]
    pub fn halted(&self) -> Option<&HaltReason> {
        self.halted.as_ref()
    }

    /// Today's P&L; `None` before the first mark.
    #[must_use]
    pub fn day_pnl(&self) -> Option<Money> {
        Some(self.equity? - self.day_start?)
    }

    #[must_use]
    pub fn daily_loss(&self) -> Option<Money> {
        Some((self.loss_base? - self.equity?).max(Money::ZERO))
    }

    /// The fall from the highest of the last hour's minutes, zero until the first of them is proven; `None` while the equity is unknown.
    #[must_use]
    pub fn hourly_loss(&self) -> Option<Money> {
        let equity = self.equity?;
        let highest = self.minutes.iter().map(|(_, equity)| *equity).max().unwrap_or(equity);
        Some((highest - equity).max(Money::ZERO))
    }

    /// Losing trades in a row, and when the last one ended.
    #[must_use]
    pub fn losing_streak(&self) -> (u32, Option<Timestamp>) {
        (self.losing_streak, self.last_loss)
    }

    /// The fall from the peak, as a share of it, or of the capital at work where that is less.
    #[must_use]
    pub fn drawdown(&self) -> Option<Bps> {
        let peak = self.peak?;
        Some((peak - self.equity?).ratio_bps(self.measure.map_or(peak, |capital| capital.min(peak))))
    }

    #[must_use]
    pub fn equity(&self) -> Option<Money> {
        self.equity
    }

    fn breach(&self, limits: &Limits) -> Option<HaltReason> {
        if let Some(loss) = self.daily_loss().filter(|loss| *loss >= limits.max_daily_loss) {
            return Some(HaltReason::DailyLoss { loss, limit: limits.max_daily_loss });
        }
        let drawdown = self.drawdown()?;
        (drawdown >= limits.max_drawdown_bps).then_some(HaltReason::Drawdown { drawdown, limit: limits.max_drawdown_bps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let big: Money = "1000000".parse().unwrap();
        Limits {
            max_order_notional: big,
            max_position_notional: big,
            max_exposure: big,
            max_daily_loss: "100".parse().unwrap(),
            max_drawdown_bps: Bps::from_bps(500),
            max_data_age_ms: 1,
            max_open_orders: 1,
            max_spread_bps: Bps::ZERO,
            cool_down_ms: 0,
            max_clock_drift_ms: 0,
            ..Limits::default()
        }
    }

    fn mark(breakers: &mut Breakers, seconds: i64, equity: &str) -> Option<String> {
        breakers.on_mark(Timestamp::from_millis(seconds * 1_000), equity.parse().ok(), &limits()).map(|halt| halt.to_string())
    }

    /// The first mark holds for three seconds, so that the day has its start.
    fn run(marks: &[(i64, &str)]) -> (Breakers, Vec<String>) {
        let mut breakers = Breakers::default();
        let start = [0, 1, 2].map(|later| (marks[0].0 + later, marks[0].1));
        let halts = start.iter().chain(&marks[1..]).filter_map(|(seconds, equity)| mark(&mut breakers, *seconds, equity)).collect();
        (breakers, halts)
    }

    #[test]
    fn the_daily_loss_halts_once_and_stays() {
        let (breakers, halts) = run(&[(0, "10000"), (10, "9901"), (11, "9900"), (12, "9899"), (13, "12000")]);
        assert_eq!(halts, ["daily loss 101.00 reached its limit 100.00"]);
        assert!(breakers.halted().is_some(), "a profit does not re-arm");
    }

    #[test]
    fn a_halt_lifted_while_the_equity_is_unknown_leaves_both_limits_on() {
        let (mut breakers, _) = run(&[(0, "10000"), (10, "9900"), (12, "9900")]);
        let mut mark = |seconds: i64, equity: Option<&str>| {
            let equity = equity.and_then(|text| text.parse().ok());
            breakers.on_mark(Timestamp::from_millis(seconds * 1_000), equity, &limits()).map(|h| h.to_string())
        };
        assert_eq!(mark(13, None), None);
        breakers.resume();
        let mut mark = |seconds: i64, equity: &str| {
            breakers.on_mark(Timestamp::from_millis(seconds * 1_000), equity.parse().ok(), &limits()).map(|h| h.to_string())
        };
        assert_eq!(mark(14, "9900"), None, "the day's loss begins again");
        assert_eq!(mark(15, "9801"), None);
        assert_eq!(mark(16, "9800"), None);
        assert_eq!(mark(17, "9800").as_deref(), Some("daily loss 100.00 reached its limit 100.00"));
    }

    #[test]
    fn what_was_lost_over_midnight_while_nobody_looked_counts_today() {
        let evening = 86_400 - 7_200;
        let (breakers, halts) = run(&[(evening, "10000"), (evening + 1, "10000"), (evening + 2, "10000"), (86_400 + 3_600, "9950")]);
        assert_eq!((breakers.day_pnl(), halts.len()), ("-50".parse().ok(), 0));
        let (_, halts) = run(&[(evening, "10000"), (evening + 1, "10000"), (evening + 2, "10000"), (90_000, "9900"), (90_002, "9900")]);
        assert_eq!(halts, ["daily loss 100.00 reached its limit 100.00"]);
        let seen: Vec<(i64, &str)> = (86_390..86_400).map(|s| (s, "10000")).chain((86_400..86_410).map(|s| (s, "9950"))).collect();
        assert_eq!(run(&seen).0.day_pnl(), Some(Money::ZERO), "a day that was watched begins where it begins");
    }

    #[test]
    fn one_bad_mark_halts_nobody() {
        let (_, halts) = run(&[(0, "10000"), (10, "5000"), (11, "10000"), (12, "5000"), (13, "10000")]);
        assert!(halts.is_empty());
    }

    #[test]
    fn one_good_mark_is_no_peak() {
        let (spike, halts) = run(&[(0, "10000"), (10, "20000"), (11, "10000"), (12, "9990"), (14, "9990")]);
        assert!(halts.is_empty());
        assert_eq!(spike.drawdown(), Some(Bps::from_bps(10)));
        let (risen, _) = run(&[(0, "10000"), (10, "10200"), (11, "10100"), (12, "10000")]);
        assert_eq!(risen.drawdown(), Some(Money::from_raw(100).ratio_bps(Money::from_raw(10_100))));
    }

    #[test]
    fn the_drawdown_counts_from_the_peak_across_days() {
        let day = 86_400;
        let (_, halts) = run(&[(0, "10000"), (day, "9950"), (2 * day, "9900"), (3 * day, "9499"), (3 * day + 2, "9499")]);
        assert_eq!(halts, ["drawdown 501 bps reached its limit 500 bps"]);
        let (_, quiet) = run(&[(0, "10000"), (day, "9950"), (2 * day, "9900"), (3 * day, "9850"), (4 * day, "9800")]);
        assert!(quiet.is_empty());
    }

    #[test]
    fn a_transfer_is_neither_profit_nor_loss() {
        let (mut breakers, _) = run(&[(0, "10000"), (10, "9950")]);
        breakers.shift("-5000".parse().unwrap());
        assert_eq!((breakers.daily_loss(), breakers.day_pnl()), ("50".parse().ok(), "-50".parse().ok()));
        assert_eq!(breakers.on_mark(Timestamp::from_millis(20_000), "4950".parse().ok(), &limits()), None);
    }

    /// Each level holds for three marks.
    fn held(levels: &[(i64, &str)]) -> Breakers {
        let mut breakers = Breakers::default();
        for (seconds, equity) in levels {
            (0..3).for_each(|later| drop(mark(&mut breakers, seconds + later, equity)));
        }
        breakers
    }

    #[test]
    fn the_loss_of_the_hour_is_forgotten_after_an_hour() {
        let mut breakers = held(&[(0, "10000"), (60, "10050"), (120, "9990"), (3_600, "9990")]);
        assert_eq!(breakers.hourly_loss(), "60".parse().ok());
        breakers.shift("-1000".parse().unwrap());
        assert_eq!(breakers.hourly_loss(), "60".parse().ok(), "a transfer is no loss");
        breakers.on_mark(Timestamp::from_millis(3_661_000), "8990".parse().ok(), &limits());
        assert_eq!(breakers.hourly_loss(), Some(Money::ZERO));
        assert_eq!(held(&[(0, "10000"), (60, "10050")]).hourly_loss(), Some(Money::ZERO), "a profit is no loss");
        assert_eq!(Breakers::default().hourly_loss(), None, "nothing is known");
    }

    #[test]
    fn one_odd_mark_makes_no_loss_and_hides_none() {
        // The first mark of a minute is odd.
        for (odd, loss) in [("20000", "0"), ("1", "0"), ("9999", "0")] {
            let mut breakers = held(&[(0, "10000")]);
            let halts = [(60, odd), (61, "10000"), (62, "10000"), (63, "10000")].map(|(at, equity)| mark(&mut breakers, at, equity));
            assert_eq!(halts, [const { None }; 4]);
            assert_eq!(breakers.hourly_loss(), loss.parse().ok(), "{odd}");
        }
        let mut risen = held(&[(0, "10000")]);
        for (at, equity) in [(60, "1"), (61, "10050"), (62, "10050"), (63, "9990")] {
            mark(&mut risen, at, equity);
        }
        assert_eq!(risen.hourly_loss(), "60".parse().ok(), "an odd low one hides no height");
        // The first mark of a day is odd.
        let day = 86_400;
        for odd in ["20000", "5000"] {
            let mut breakers = held(&[(0, "10000"), (day - 9, "10000")]);
            let halts = [(day, odd), (day + 1, "10000"), (day + 2, "10000"), (day + 3, "9950"), (day + 4, "9950")];
            assert_eq!(halts.map(|(at, equity)| mark(&mut breakers, at, equity)), [const { None }; 5], "{odd}");
            assert_eq!((breakers.daily_loss(), breakers.day_pnl()), ("50".parse().ok(), "-50".parse().ok()), "{odd}");
            assert!(mark(&mut breakers, day + 5, "9899").is_none() && mark(&mut breakers, day + 6, "9899").is_some(), "{odd}");
        }
    }

    #[test]
    fn a_day_that_is_being_sampled_outlives_a_restart() {
        let mut breakers = Breakers::default();
        for (at, equity) in [(0, "20000"), (1, "10000")] {
            mark(&mut breakers, at, equity);
        }
        breakers.shift("500".parse().unwrap());
        let mut kept: Breakers = serde_json::from_str(&serde_json::to_string(&breakers).unwrap()).unwrap();
        assert_eq!(kept, breakers);
        mark(&mut kept, 2, "10490");
        assert_eq!(kept.day_pnl(), "-10".parse().ok());
        let mut old = serde_json::to_value(&kept).unwrap();
        let fields = old.as_object_mut().unwrap();
        for name in ["day_sample", "minute_sample"] {
            assert!(fields.remove(name).is_some(), "{name} is kept");
        }
        assert_eq!(serde_json::from_value::<Breakers>(old).unwrap(), kept, "a state without them reads");
    }

    #[test]
    fn a_trade_without_a_loss_ends_the_streak() {
        let mut breakers = Breakers::default();
        let at = Timestamp::from_millis;
        for (ms, net) in [(1, "-1"), (2, "-0.0001")] {
            breakers.on_trade(at(ms), net.parse().unwrap());
        }
        assert_eq!(breakers.losing_streak(), (2, Some(at(2))));
        breakers.on_trade(at(3), Money::ZERO);
        assert_eq!(breakers.losing_streak(), (0, Some(at(2))));
    }

    #[test]
    fn a_loss_that_a_trade_made_needs_no_second_mark() {
        let (mut breakers, _) = run(&[(0, "10000")]);
        breakers.on_trade(Timestamp::from_millis(4_000), "-150".parse().unwrap());
        let halt = breakers.on_mark(Timestamp::from_millis(4_000), "9850".parse().ok(), &limits());
        assert!(matches!(halt, Some(HaltReason::DailyLoss { .. })));
    }

    #[test]
    fn money_without_protection_is_counted_by_the_second() {
        let limits = Limits { max_unprotected: "300".parse().ok(), ..limits() };
        let (mut breakers, at) = (Breakers::default(), |ms| Timestamp::from_millis(ms));
        breakers.on_unprotected(at(0), "100".parse().unwrap());
        assert_eq!(breakers.on_mark(at(2_999), None, &limits), None);
        breakers.on_unprotected(at(2_999), Money::ZERO);
        breakers.on_unprotected(at(5_000), "50".parse().unwrap());
        assert_eq!(breakers.on_mark(at(10_998), None, &limits), None, "protected in between: it begins again");
        assert_eq!(breakers.unprotected(), ("299.9".parse().unwrap(), "599.8".parse().unwrap()));
        assert!(matches!(breakers.on_mark(at(11_000), None, &limits), Some(HaltReason::Unprotected { .. })));
        breakers.resume();
        assert_eq!(breakers.on_mark(at(16_999), None, &limits), None);
        assert!(breakers.on_mark(at(17_000), None, &limits).is_some(), "still open: resumed, it has as long again");
    }

    #[test]
    fn errors_of_the_venue_are_forgotten_after_a_minute() {
        let mut breakers = Breakers::default();
        let at = |s: i64| Timestamp::from_millis(s * 1_000);
        (0..3).for_each(|n| breakers.on_venue_error(at(n * 20)));
        assert_eq!([at(59), at(60), at(79), at(100)].map(|now| breakers.venue_errors(now)), [3, 2, 2, 0]);
    }

    proptest::proptest! {
        #[test]
        fn profit_never_trips_a_loss_limit(steps in proptest::collection::vec((1_i64..40_000, 0_i64..500_000_000), 1..200)) {
            let (mut breakers, mut now, mut equity) = (Breakers::default(), 0, Money::from_quote(crate::domain::Qty::from_raw(10_000)));
            let tight = Limits { max_daily_loss: Money::from_raw(1), max_drawdown_bps: Bps::from_raw(1), ..limits() };
            for (ms, gain) in steps {
                now += ms;
                equity += Money::from_raw(i128::from(gain));
                breakers.on_trade(Timestamp::from_millis(now), Money::from_raw(1));
                proptest::prop_assert_eq!(breakers.on_mark(Timestamp::from_millis(now), Some(equity), &tight), None);
                proptest::prop_assert_eq!(breakers.hourly_loss(), Some(Money::ZERO));
                proptest::prop_assert!(breakers.losing_streak().0 == 0);
            }
        }
    }

    #[test]
    fn halting_by_hand_widens_no_limit() {
        let (mut breakers, _) = run(&[(0, "10000"), (10, "9950")]);
        breakers.halt(HaltReason::Hand);
        breakers.resume();
        assert_eq!((breakers.daily_loss(), breakers.day_pnl()), ("50".parse().ok(), "-50".parse().ok()));
    }

    #[test]
    fn resume_starts_the_limit_that_halted_again() {
        let (mut breakers, _) = run(&[(0, "10000"), (10, "9800"), (12, "9800")]);
        breakers.resume();
        assert_eq!(breakers.day_pnl(), "-200".parse().ok(), "the day stays what it was");
        assert_eq!(breakers.daily_loss(), Some(Money::ZERO));
        assert_eq!(breakers.on_mark(Timestamp::from_millis(20_000), "9750".parse().ok(), &limits()), None);
    }
}
