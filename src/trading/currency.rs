//! Quote money in the account's own currency, by a marked rate; never by a guess.

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Money, Price, Span, Symbol, Timestamp};
use crate::protocol::FxMark;

/// Days of which the last rate is remembered.
const DAYS_KEPT: usize = 400;
const RATE_ONE: i128 = 100_000_000;

/// What the account counts in, and where its rate comes from; configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCurrency {
    pub currency: Asset,
    pub pair: Symbol,
    /// False: the pair's price is quote money for one unit of the account's currency (GBPUSDT). True: the other way round.
    pub invert: bool,
    /// A rate older than this is no rate, milliseconds.
    pub max_age_ms: u32,
}

impl AccountCurrency {
    /// Quote money at `rate`, rounded towards zero to 1e-16; `None` for a rate that is not positive or a result out of range.
    #[must_use]
    pub fn convert(&self, amount: Money, rate: Price) -> Option<Money> {
        if !rate.is_positive() {
            return None;
        }
        let (from, to) = if self.invert { (RATE_ONE, i128::from(rate.raw())) } else { (i128::from(rate.raw()), RATE_ONE) };
        // In two parts, so that only a result out of range overflows.
        let (whole, rest) = (amount.raw() / from, amount.raw() % from);
        whole.checked_mul(to)?.checked_add(rest.checked_mul(to)? / from).map(Money::from_raw)
    }
}

/// The last rate of each UTC day, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FxMarks(Vec<FxMark>);

impl FxMarks {
    /// Takes a newer rate; false when it is no rate, or not a newer one.
    pub fn take(&mut self, mark: FxMark) -> bool {
        if !mark.rate.is_positive() || self.0.last().is_some_and(|last| last.at > mark.at) {
            return false;
        }
        // Another pair than before says nothing about the same currency.
        self.0.retain(|kept| kept.pair == mark.pair);
        match self.0.last_mut() {
            Some(last) if last.at.day() == mark.at.day() => *last = mark,
            _ => self.0.push(mark),
        }
        if self.0.len() > DAYS_KEPT {
            self.0.remove(0);
        }
        true
    }

    /// The newest rate of `pair`.
    #[must_use]
    pub fn newest(&self, pair: Symbol) -> Option<&FxMark> {
        self.0.last().filter(|mark| mark.pair == pair)
    }

    /// The rate of `pair` that is good at `now`.
    #[must_use]
    pub fn fresh(&self, account: &AccountCurrency, now: Timestamp) -> Option<&FxMark> {
        let limit = Span::from_millis(i64::from(account.max_age_ms));
        self.newest(account.pair).filter(|mark| now.since(mark.at) <= limit)
    }

    /// The last rate of a UTC day.
    #[must_use]
    pub fn of_day(&self, pair: Symbol, day: i64) -> Option<&FxMark> {
        self.0.iter().find(|mark| mark.pair == pair && mark.at.day() == day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn pounds(invert: bool) -> AccountCurrency {
        AccountCurrency { currency: "GBP".parse().unwrap(), pair: "GBPUSDT".parse().unwrap(), invert, max_age_ms: 300_000 }
    }

    fn mark(ms: i64, rate: &str) -> FxMark {
        FxMark { pair: "GBPUSDT".parse().unwrap(), rate: rate.parse().unwrap(), source: "here".into(), at: Timestamp::from_millis(ms) }
    }

    #[test]
    fn money_goes_over_by_the_rate_or_its_inverse() {
        let convert = |invert, amount: &str, rate: &str| pounds(invert).convert(amount.parse().unwrap(), rate.parse().unwrap());
        assert_eq!(convert(false, "127", "1.27"), "100".parse().ok());
        assert_eq!(convert(true, "100", "0.8"), "80".parse().ok());
        assert_eq!(convert(false, "-1", "3"), "-0.3333333333333333".parse().ok());
        assert_eq!(convert(false, "1", "0"), None, "no rate is no one-to-one");
        assert_eq!(convert(false, "-1", "-2"), None);
        let much = Money::from_raw(i128::MAX / 2);
        assert_eq!(pounds(false).convert(much, "0.00000001".parse().unwrap()), None);
        assert!(pounds(false).convert(much, "1.27".parse().unwrap()).is_some());
    }

    #[test]
    fn an_old_or_missing_rate_is_none() {
        let mut marks = FxMarks::default();
        let fresh = |marks: &FxMarks, ms| marks.fresh(&pounds(false), Timestamp::from_millis(ms)).map(|m| m.rate.to_string());
        assert_eq!(fresh(&marks, 0), None);
        assert!(marks.take(mark(1_000, "1.27")) && !marks.take(mark(2_000, "0")) && !marks.take(mark(500, "1.3")));
        assert_eq!((fresh(&marks, 301_000), fresh(&marks, 301_001)), (Some("1.27".into()), None));
        let other = AccountCurrency { pair: "EURUSDT".parse().unwrap(), ..pounds(false) };
        assert!(marks.fresh(&other, Timestamp::from_millis(1_000)).is_none());
    }

    #[test]
    fn each_day_keeps_its_last_rate() {
        let mut marks = FxMarks::default();
        for day in 0..500 {
            marks.take(mark(day * DAY_MS, "1.2"));
            marks.take(mark(day * DAY_MS + 1, "1.3"));
        }
        let of = |day| marks.of_day("GBPUSDT".parse().unwrap(), day).map(|m| m.rate.to_string());
        assert_eq!((marks.0.len(), of(499), of(99)), (DAYS_KEPT, Some("1.3".into()), None));
    }
}
