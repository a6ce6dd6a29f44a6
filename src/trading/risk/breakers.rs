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

    /// Money came from outside (negative: it left): neither a profit nor a loss. The losses of the day and the hour stay what they are in
    /// money, the drawdown what it is as a share.
    pub fn shift(&mut self, amount: Money) {
        self.rise = None;
        self.peak = self.peak.map(|peak| self.peak_after(peak, amount));
        for reference in [&mut self.day_start, &mut self.unseen_from, &mut self.loss_base, &mut self.equity] {
            *reference = reference.map(|held| held + amount);
        }
        self.minutes.iter_mut().for_each(|(_, held)| *held += amount);
        self.day_sample.iter_mut().chain(&mut self.minute_sample).for_each(|sample| sample.shift(amount));
    }

    /// The peak from which the equity that a transfer leaves has fallen by the same share; moved by the money where there is no such share.
    fn peak_after(&self, peak: Money, amount: Money) -> Money {
        let moved = peak + amount;
        let Some(equity) = self.equity.filter(|equity| equity.is_positive() && (*equity + amount).is_positive()) else { return moved };
        let (fall, left) = (peak - equity, equity + amount);
        let base = self.measured_by(peak);
        if let Some(capital) = self.measure {
            let of_capital = left + fall.share(capital.to_quote(), base.to_quote());
            if of_capital >= capital {
                return of_capital;
            }
        }
        let rest = base - fall;
        if rest.is_positive() { left.share(base.to_quote(), rest.to_quote()) } else { moved }
    }

    /// What a fall from the peak is a share of.
    fn measured_by(&self, peak: Money) -> Money {
        self.measure.map_or(peak, |capital| capital.min(peak))
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
        Some((peak - self.equity?).ratio_bps(self.measured_by(peak)))
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
mod tests;
