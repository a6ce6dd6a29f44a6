//! The volume-weighted average price of the newest minutes that had trades.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::{Price, Qty, Timestamp};

const MINUTE_MS: i64 = 60_000;

/// Sums of each minute. Minutes leave when a newer trade comes, so that a quiet market keeps its last average.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Average {
    /// Minute since the epoch, notional (1e-16 quote units), quantity (1e-8 base units).
    minutes: VecDeque<(i64, i128, i128)>,
    price: Option<Price>,
}

impl Average {
    pub(super) fn add(&mut self, at: Timestamp, price: Price, qty: Qty, kept_minutes: u32) {
        let minute = at.millis().div_euclid(MINUTE_MS);
        let (quote, base) = (i128::from(price.raw()).saturating_mul(qty.raw()), qty.raw());
        match self.minutes.back_mut().filter(|last| last.0 >= minute) {
            Some(last) => {
                last.1 = last.1.saturating_add(quote);
                last.2 = last.2.saturating_add(base);
            }
            None => {
                self.minutes.push_back((minute, quote, base));
                while self.minutes.front().is_some_and(|first| first.0 <= minute - i64::from(kept_minutes)) {
                    self.minutes.pop_front();
                }
            }
        }
        self.price = self.quotient();
    }

    pub(super) const fn price(&self) -> Option<Price> {
        self.price
    }

    fn quotient(&self) -> Option<Price> {
        let (quote, base) = self.minutes.iter().fold((0_i128, 0_i128), |sum, m| (sum.0.saturating_add(m.1), sum.1.saturating_add(m.2)));
        let raw = quote.checked_div(base)?;
        i64::try_from(raw).ok().filter(|raw| *raw > 0).map(Price::from_raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_weighs_by_quantity_and_forgets_old_minutes() {
        let mut average = Average::default();
        let mut trade = |minute: i64, price: &str, qty: &str| {
            average.add(Timestamp::from_millis(minute * MINUTE_MS), price.parse().unwrap(), qty.parse().unwrap(), 5);
            average.price().unwrap().to_string()
        };
        assert_eq!(trade(0, "100", "1"), "100");
        assert_eq!(trade(0, "104", "3"), "103");
        assert_eq!(trade(4, "107", "4"), "105");
        assert_eq!(trade(5, "107", "1"), "107", "minute 0 is gone");
        assert_eq!(Average::default().price(), None);
    }
}
