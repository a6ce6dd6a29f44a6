//! What a trade cost: every term a difference of recorded prices, so the parts always sum to the whole.
//!
//! For a fill at `p` of an order decided at mid `m`, whose side of the book showed `t` at the decision and `s` when the order was sent,
//! a buyer pays `p - m = (t - m) + (s - t) + (p - s)` per unit: **spread**, **slippage** (the market moved while we waited) and **impact**
//! (we traded beyond what was shown). A seller pays the negative. Makers have a negative spread: they earn it.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, FeeRates, Money, Price, Qty, Side};

/// The prices an order is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reference {
    /// Mid at the decision.
    pub mid: Price,
    /// The touch this order would trade at, at the decision: own side for a maker, other side for a taker.
    pub touch: Price,
    /// The same touch when the order was sent.
    pub sent_touch: Price,
}

/// One side of a trade, summed over its fills. `qty` is net of commissions taken in the base asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leg {
    /// What was ordered and filled, before base commissions.
    pub filled: Qty,
    pub qty: Qty,
    /// Sum of price x qty.
    pub value: Money,
    /// Sum of decision mid x qty.
    pub at_mid: Money,
    /// Sum of touch x qty.
    pub at_touch: Money,
    /// Sum of sent touch x qty.
    pub at_sent_touch: Money,
    /// Commissions of this side in quote money (base commissions valued at their fill's price).
    pub fees: Money,
}

impl Leg {
    /// Adds a fill; `base_fee` is the part of `filled` that the venue kept.
    pub fn add(&mut self, price: Price, filled: Qty, base_fee: Qty, quote_fee: Money, reference: Reference) {
        let qty = filled - base_fee;
        let worth = |p: Price, q: Qty| p.notional(q).unwrap_or(Money::ZERO);
        self.filled += filled;
        self.qty += qty;
        self.value += worth(price, qty);
        self.at_mid += worth(reference.mid, qty);
        self.at_touch += worth(reference.touch, qty);
        self.at_sent_touch += worth(reference.sent_touch, qty);
        self.fees += worth(price, base_fee) + quote_fee;
    }

    /// The part of this leg that belongs to `part` of its quantity; fees stay whole (they were paid for the trade).
    #[must_use]
    pub fn share(&self, part: Qty) -> Self {
        let of = |money: Money| money.share(part, self.qty);
        Self {
            filled: self.filled,
            qty: part,
            value: of(self.value),
            at_mid: of(self.at_mid),
            at_touch: of(self.at_touch),
            at_sent_touch: of(self.at_sent_touch),
            fees: self.fees,
        }
    }

    /// Average price, rounded down to 1e-8; zero without fills.
    #[must_use]
    pub fn average_price(&self) -> Price {
        if self.qty.is_zero() {
            return Price::ZERO;
        }
        let raw = self.value.raw() / self.qty.raw();
        Price::from_raw(i64::try_from(raw).unwrap_or(i64::MAX))
    }
}

/// The result of a round trip and where it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Breakdown {
    /// P&L at decision mids.
    pub gross: Money,
    pub fees: Money,
    pub spread: Money,
    pub slippage: Money,
    pub impact: Money,
    pub net: Money,
}

/// Splits a long round trip; `entry` must be the share of what `exit` sold.
#[must_use]
pub fn breakdown(entry: &Leg, exit: &Leg) -> Breakdown {
    Breakdown {
        gross: exit.at_mid - entry.at_mid,
        fees: entry.fees + exit.fees,
        spread: (entry.at_touch - entry.at_mid) + (exit.at_mid - exit.at_touch),
        slippage: (entry.at_sent_touch - entry.at_touch) + (exit.at_touch - exit.at_sent_touch),
        impact: (entry.value - entry.at_sent_touch) + (exit.at_sent_touch - exit.value),
        net: exit.value - entry.value - entry.fees - exit.fees,
    }
}

/// The touch an order of this kind trades at: a maker waits on its own side, a taker crosses.
#[must_use]
pub fn touch_for(side: Side, taker: bool, bid: Price, ask: Price) -> Price {
    match (side, taker) {
        (Side::Buy, false) | (Side::Sell, true) => bid,
        (Side::Buy, true) | (Side::Sell, false) => ask,
    }
}

/// Expected costs of a round trip in bps: entry as maker, exit as taker half of the time, and half the spread per taker side.
#[must_use]
pub fn expected_round_trip_bps(fees: FeeRates, spread: Bps) -> f64 {
    let half_spread = spread.to_f64() / 2.0;
    let entry = fees.maker.to_f64();
    let exit = 0.5 * fees.maker.to_f64() + 0.5 * (fees.taker.to_f64() + half_spread);
    entry + exit
}

/// Share of winning trades at which a bracket of `target` and `stop` breaks even after `cost` (all in bps).
#[must_use]
pub fn break_even_win_rate(target_bps: f64, stop_bps: f64, cost_bps: f64) -> f64 {
    (stop_bps + cost_bps) / (target_bps + stop_bps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn a_maker_entry_earns_the_spread_and_a_taker_exit_pays_it() {
        let mut entry = Leg::default();
        let qty: Qty = "2".parse().unwrap();
        let maker = Reference { mid: price("100"), touch: price("99.5"), sent_touch: price("99.5") };
        entry.add(price("99.5"), qty, Qty::ZERO, "0.1".parse().unwrap(), maker);
        let mut exit = Leg::default();
        let taker = Reference { mid: price("102"), touch: price("101.5"), sent_touch: price("101.25") };
        exit.add(price("101"), qty, Qty::ZERO, "0.2".parse().unwrap(), taker);
        let b = breakdown(&entry, &exit);
        let show = |m: Money| m.to_string();
        assert_eq!([show(b.gross), show(b.fees), show(b.spread)], ["4", "0.3", "0"]);
        assert_eq!([show(b.slippage), show(b.impact), show(b.net)], ["0.5", "0.5", "2.7"]);
    }

    #[test]
    fn the_original_bracket_needs_71_percent_winners() {
        // 20 bps target, 15 bps stop, 10 bps costs: the Python system's own numbers.
        assert!((break_even_win_rate(20.0, 15.0, 10.0) - 0.714).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn the_identity_holds_to_the_last_unit(
            entry_fills in prop::collection::vec((1_i64..10_i64.pow(12), 1_i128..10_i128.pow(12), 1_i64..10_i64.pow(12), 0_i64..1000), 1..5),
            exit_price in 1_i64..10_i64.pow(12), sold_share in 1_i128..100,
        ) {
            let mut entry = Leg::default();
            for (p, q, mid, fee) in entry_fills {
                let reference = Reference { mid: Price::from_raw(mid), touch: Price::from_raw(mid / 2 + 1), sent_touch: Price::from_raw(p / 3 + 1) };
                entry.add(Price::from_raw(p), Qty::from_raw(q), Qty::from_raw(q / 1000), Money::from_raw(i128::from(fee)), reference);
            }
            let sold = Qty::from_raw(entry.qty.raw() * sold_share / 100);
            let mut exit = Leg::default();
            let reference = Reference { mid: Price::from_raw(exit_price + 5), touch: Price::from_raw(exit_price + 2), sent_touch: Price::from_raw(exit_price) };
            exit.add(Price::from_raw(exit_price), sold, Qty::ZERO, Money::from_raw(7), reference);
            let b = breakdown(&entry.share(sold), &exit);
            prop_assert_eq!(b.gross - b.fees - b.spread - b.slippage - b.impact, b.net);
        }
    }
}
