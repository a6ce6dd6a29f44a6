//! The visible book against a quantity: what taking it would cost, and how to cut what is too large for it. Money is exact.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, Level, Money, Price, Qty, Side, Span};
use crate::protocol::TakerCounterfactual;

/// What a taker would get from the visible levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// All that was asked for.
    pub qty: Qty,
    /// Of all of it; what the visible levels do not hold is counted at the worst of them.
    pub value: Money,
    /// Rounded down to 1e-8.
    pub vwap: Price,
    pub best: Price,
    pub worst: Price,
    /// The visible levels hold it all.
    pub complete: bool,
}

impl Walk {
    /// How far beyond the best price the average lies, against the taker; positive.
    #[must_use]
    pub fn impact(&self) -> Bps {
        let moved = self.vwap.distance_bps(self.best);
        if moved < Bps::ZERO { -moved } else { moved }
    }
}

/// Takes `qty` from `levels`, best first; `None` without a quantity or a sound level.
#[must_use]
pub fn walk(levels: &[Level], qty: Qty) -> Option<Walk> {
    let best = levels.first()?.price;
    let (mut left, mut value, mut worst) = (qty, Money::ZERO, best);
    for level in levels.iter().filter(|level| level.qty.is_positive()) {
        if !left.is_positive() {
            break;
        }
        let taken = left.min(level.qty);
        value += level.price.notional(taken)?;
        worst = level.price;
        left -= taken;
    }
    let complete = !left.is_positive();
    value += worst.notional(left)?;
    let raw = value.raw().checked_div(qty.raw()).filter(|_| qty.is_positive() && best.is_positive())?;
    Some(Walk { qty, value, vwap: Price::from_raw(i64::try_from(raw).ok()?), best, worst, complete })
}

/// What taking `qty` of the other side's `levels` costs against `mid`, fee included.
#[must_use]
pub fn taker_cost(side: Side, levels: &[Level], qty: Qty, mid: Price, fee: Bps) -> Option<TakerCounterfactual> {
    let walked = walk(levels, qty)?;
    let at_mid = mid.notional(qty)?;
    let fee = walked.value.at_rate(fee);
    let paid = match side {
        Side::Buy => walked.value - at_mid,
        Side::Sell => at_mid - walked.value,
    };
    Some(TakerCounterfactual { vwap: walked.vwap, worst: walked.worst, fee, cost: paid + fee, complete: walked.complete })
}

/// The other side of the book at a decision, as far as the wanted quantity reaches: what taking any part of it would have cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakerBook {
    side: Side,
    mid: Price,
    fee: Bps,
    levels: Vec<Level>,
}

impl TakerBook {
    /// Keeps those `levels`, best first, that taking `qty` would touch; `None` when there is nothing to walk.
    #[must_use]
    pub fn new(side: Side, levels: &[Level], qty: Qty, mid: Price, fee: Bps) -> Option<Self> {
        walk(levels, qty)?;
        let mut before = Qty::ZERO;
        let reached = levels.iter().take_while(|level| {
            let touched = before < qty;
            before += level.qty;
            touched
        });
        Some(Self { side, mid, fee, levels: reached.copied().collect() })
    }

    /// Taking `qty` at once: the cheapest levels first, so a part costs at most its share of the whole.
    #[must_use]
    pub fn cost(&self, qty: Qty) -> Option<TakerCounterfactual> {
        taker_cost(self.side, &self.levels, qty, self.mid, self.fee)
    }
}

/// The part of `qty` that is at most `share` percent of the `visible` quantity; all of it when nothing is known of the book.
#[must_use]
pub fn slice(qty: Qty, visible: Qty, share_percent: f64) -> Qty {
    if !visible.is_positive() || !share_percent.is_finite() || share_percent <= 0.0 {
        return qty;
    }
    qty.min(visible.at_rate(Bps::from_f64(share_percent * 100.0)))
}

/// One child of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// From the beginning.
    pub after: Span,
    pub qty: Qty,
}

/// `total` in at most `parts` equal children (whole `step`s, the larger ones first) at equal distances within `span`; they sum to `total`.
#[must_use]
pub fn slices(total: Qty, parts: u32, span: Span, step: Qty) -> Vec<Slice> {
    if !total.is_positive() {
        return Vec::new();
    }
    let step = step.raw().max(1);
    let steps = total.raw() / step;
    let parts = i128::from(parts.max(1)).min(steps.max(1));
    let (each, larger) = (steps / parts, steps % parts);
    let dust = total.raw() - steps * step;
    let pause = span.nanos() / parts as i64;
    let child = |n: i128| {
        let grains = (each + i128::from(n < larger)) * step;
        Slice { after: Span::from_nanos(pause.saturating_mul(n as i64)), qty: Qty::from_raw(if n == 0 { grains + dust } else { grains }) }
    };
    (0..parts).map(child).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(price: &str, qty: &str) -> Level {
        Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
    }

    fn asks() -> [Level; 3] {
        [level("100", "1"), level("101", "2"), level("103", "1")]
    }

    #[test]
    fn a_walk_takes_level_after_level() {
        let walked = walk(&asks(), "2".parse().unwrap()).unwrap();
        assert_eq!(
            (walked.value.to_string(), walked.vwap.to_string(), walked.worst.to_string()),
            ("201".into(), "100.5".into(), "101".into())
        );
        assert_eq!((walked.impact(), walked.complete), (Bps::from_bps(50), true));
        let all = walk(&asks(), "5".parse().unwrap()).unwrap();
        assert_eq!((all.value.to_string(), all.complete), ("508".to_owned(), false), "100 + 202 + 103 + one more at 103");
        assert_eq!((walk(&[], "1".parse().unwrap()), walk(&asks(), Qty::ZERO)), (None, None));
    }

    #[test]
    fn a_takers_cost_is_against_the_mid_and_signed_by_side() {
        let mid: Price = "99.5".parse().unwrap();
        let buy = taker_cost(Side::Buy, &asks(), "2".parse().unwrap(), mid, Bps::from_bps(10)).unwrap();
        assert_eq!((buy.fee.to_string(), buy.cost.to_string()), ("0.201".to_owned(), "2.201".to_owned()));
        let bids = [level("99", "1"), level("98", "5")];
        let sell = taker_cost(Side::Sell, &bids, "2".parse().unwrap(), mid, Bps::from_bps(-1)).unwrap();
        // 199 at the mid less 197, and a rebate of 0.0197.
        assert_eq!((sell.fee.to_string(), sell.cost.to_string()), ("-0.0197".to_owned(), "1.9803".to_owned()));
    }

    #[test]
    fn a_kept_book_prices_every_part_as_the_whole_one_did() {
        let (mid, fee) = ("99.5".parse().unwrap(), Bps::from_bps(10));
        let kept = TakerBook::new(Side::Buy, &asks(), "3".parse().unwrap(), mid, fee).unwrap();
        assert_eq!(kept.levels, asks()[..2], "the third level is not needed");
        for part in ["0.5", "1", "1.7", "3"] {
            assert_eq!(kept.cost(part.parse().unwrap()), taker_cost(Side::Buy, &asks(), part.parse().unwrap(), mid, fee), "{part}");
        }
        assert_eq!(TakerBook::new(Side::Buy, &[], "3".parse().unwrap(), mid, fee), None);
        assert_eq!(TakerBook::new(Side::Buy, &asks(), Qty::ZERO, mid, fee), None);
    }

    #[test]
    fn a_child_is_at_most_a_share_of_the_book() {
        let qty = |text: &str| text.parse::<Qty>().unwrap();
        assert_eq!(slice(qty("10"), qty("20"), 25.0), qty("5"));
        assert_eq!(slice(qty("3"), qty("20"), 25.0), qty("3"));
        assert_eq!(slice(qty("3"), Qty::ZERO, 25.0), qty("3"), "an unknown book cuts nothing");
    }

    proptest! {
        #[test]
        fn a_schedule_sums_to_its_total(total in 1_i128..10_i128.pow(12), parts in 0_u32..40, step in 1_i128..10_000, secs in 0_i64..4_000) {
            let made = slices(Qty::from_raw(total), parts, Span::from_secs(secs), Qty::from_raw(step));
            prop_assert_eq!(made.iter().map(|s| s.qty).sum::<Qty>(), Qty::from_raw(total));
            prop_assert!(made.len() <= parts.max(1) as usize && made.iter().all(|s| s.qty.is_positive()));
            prop_assert!(made.iter().skip(1).all(|s| s.qty.raw() % step == 0), "only the first carries what is no whole step");
            prop_assert!(made.windows(2).all(|w| w[0].after <= w[1].after) && made.iter().all(|s| s.after <= Span::from_secs(secs)));
        }
    }
}
