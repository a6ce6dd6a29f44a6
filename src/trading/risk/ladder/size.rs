//! How large an order may be on a rung.

use super::Ladder;
use crate::domain::{Bps, Instrument, Money, Price, Qty};
use crate::protocol::{Refusal, Rung};

/// The smallest order over the venue's minimum, in tenths: an exit after a fall must still be above it.
const SMALLEST_TENTHS: i128 = 12;

/// How the size of an order is bounded by the rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeCap {
    /// Nothing is placed.
    Nothing,
    /// Every order has the smallest size; all positions together stay within `capital`.
    Smallest { order: Money, capital: Money },
    /// Orders are sized as if `capital` were the account, but not below `smallest`; all positions together stay within `capital`.
    Share { capital: Money, smallest: Money },
}

impl Ladder {
    /// How the rung bounds orders of `instrument` at `price`.
    #[must_use]
    pub fn size_cap(&self, instrument: &Instrument, price: Price, allocated: Money) -> SizeCap {
        let smallest = smallest(instrument, price);
        let share = |percent: i64| SizeCap::Share { capital: allocated.at_rate(Bps::from_bps(percent * 100)), smallest };
        match self.rung {
            Rung::DataOnly => SizeCap::Nothing,
            // Rehearsed at the size that it leads to.
            Rung::Paper | Rung::DryRun | Rung::Full => share(100),
            Rung::Smallest => SizeCap::Smallest { order: smallest, capital: allocated },
            Rung::Tenth => share(10),
            Rung::Half => share(50),
        }
    }
}

/// The least notional that the venue takes at `price`, with room for a fall before the exit: whole steps.
fn smallest(instrument: &Instrument, price: Price) -> Money {
    let wanted = Money::from_raw(instrument.min_notional.raw() / 10 * SMALLEST_TENTHS);
    let step = instrument.step.raw().max(1);
    let qty = wanted.buys_at(price).max(instrument.min_qty).raw();
    let whole = Qty::from_raw((qty + step).div_euclid(step) * step);
    price.notional(whole).unwrap_or(wanted)
}

impl SizeCap {
    /// What orders of an account of `equity` are sized by.
    #[must_use]
    pub fn basis(self, equity: Money) -> Money {
        match self {
            Self::Nothing => equity,
            Self::Smallest { capital, .. } | Self::Share { capital, .. } => equity.min(capital),
        }
    }

    /// What an order that would be `wanted`, sized by `basis`, becomes with `exposure` open already.
    ///
    /// # Errors
    /// When nothing may be placed, or the allocated capital is in use.
    pub fn size(self, rung: Rung, wanted: Money, exposure: Money) -> Result<Money, Refusal> {
        let (order, capital) = match self {
            Self::Nothing => return Err(Refusal::Rung { rung }),
            Self::Smallest { order, capital } => (order, capital),
            Self::Share { capital, smallest } => (wanted.max(smallest), capital),
        };
        let would_be = exposure + order;
        if would_be > capital { Err(Refusal::Allocated { would_be, limit: capital }) } else { Ok(order) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::btcusdt;
    use crate::trading::risk::ladder::tests::standing_on;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn each_rung_has_its_size() {
        let (btc, price, allocated) = (btcusdt(), "100".parse().unwrap(), money("1000"));
        // A tenth of what it is sized by is wanted.
        let sized = |rung, equity: &str| {
            let cap = standing_on(rung).size_cap(&btc, price, allocated);
            cap.size(rung, cap.basis(money(equity)).at_rate(Bps::from_bps(1_000)), Money::ZERO)
        };
        assert_eq!(sized(Rung::DataOnly, "10000"), Err(Refusal::Rung { rung: Rung::DataOnly }));
        // A tenth of an account of 10,000 is a tenth of the allocated 1,000.
        for rung in [Rung::Paper, Rung::DryRun, Rung::Full] {
            assert_eq!(sized(rung, "10000"), Ok(money("100")), "{rung}");
        }
        assert_eq!(sized(Rung::Half, "10000"), Ok(money("50")));
        assert_eq!(sized(Rung::Tenth, "10000"), Ok(money("10")));
        assert_eq!(sized(Rung::Full, "500"), Ok(money("50")), "a smaller account is sized by itself");
        let full = standing_on(Rung::Full).size_cap(&btc, price, allocated);
        assert_eq!(full.size(Rung::Full, money("19.9"), Money::ZERO), Ok(money("19.9")), "what was sized is made no smaller");
    }

    #[test]
    fn the_smallest_size_is_a_fifth_over_the_minimum_in_whole_steps() {
        let btc = btcusdt();
        let order = |price: &str| smallest(&btc, price.parse().unwrap());
        for price in ["0.5", "100", "61837.63", "99999.99"] {
            let notional = order(price);
            let minimum = money("1.2").share(btc.min_notional.to_quote(), money("1").to_quote());
            assert!(notional >= minimum, "{price}: {notional} of {minimum}");
            let bought = btc.tradable(notional.buys_at(price.parse().unwrap()), price.parse().unwrap());
            assert_eq!(price.parse::<Price>().unwrap().notional(bought), Some(notional), "what is sized is what is bought");
        }
        let rung = Rung::Smallest;
        let cap = standing_on(rung).size_cap(&btc, "100".parse().unwrap(), money("1000"));
        assert_eq!(cap.size(rung, money("900"), Money::ZERO), Ok(order("100")), "whatever was wanted");
        let tenth = standing_on(Rung::Tenth).size_cap(&btc, "100".parse().unwrap(), money("100"));
        assert_eq!(tenth.size(Rung::Tenth, money("1"), Money::ZERO), Ok(order("100")), "never below the smallest");
    }

    #[test]
    fn the_allocated_capital_bounds_all_positions_together() {
        let full = standing_on(Rung::Full).size_cap(&btcusdt(), "100".parse().unwrap(), money("1000"));
        let sized = |exposure: &str| full.size(Rung::Full, money("100"), money(exposure));
        assert_eq!(sized("900"), Ok(money("100")));
        assert_eq!(sized("900.01"), Err(Refusal::Allocated { would_be: money("1000.01"), limit: money("1000") }));
    }
}
