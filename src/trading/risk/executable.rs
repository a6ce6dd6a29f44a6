//! What a holding is worth: the price at which the whole of it could be sold into the bids that are shown.

use crate::domain::{Level, Money, Price, Qty};

/// Average price of selling `qty` into `bids` (best first), rounded down. What the shown bids do not take is counted at the last of them:
/// a book never shows less than nothing, and a price below it would be invented. `None` without a bid or a quantity.
#[must_use]
pub fn executable_price(bids: impl Iterator<Item = Level>, qty: Qty) -> Option<Price> {
    if !qty.is_positive() {
        return None;
    }
    let (mut left, mut value, mut last) = (qty, Money::ZERO, None);
    for level in bids.filter(|level| level.price.is_positive() && level.qty.is_positive()) {
        let taken = left.min(level.qty);
        value += level.price.notional(taken)?;
        left -= taken;
        last = Some(level.price);
        if left.is_zero() {
            break;
        }
    }
    value += last?.notional(left)?;
    Price::from_raw(i64::try_from(value.raw() / qty.raw()).ok()?).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bids(levels: &[(&str, &str)]) -> Vec<Level> {
        levels.iter().map(|(price, qty)| Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }).collect()
    }

    fn price(levels: &[(&str, &str)], qty: &str) -> Option<String> {
        executable_price(bids(levels).into_iter(), qty.parse().unwrap()).map(|price| price.to_string())
    }

    #[test]
    fn a_large_holding_is_worth_less_than_the_best_bid() {
        let book = [("100", "1"), ("99", "1"), ("95", "2")];
        assert_eq!(price(&book, "0.5").as_deref(), Some("100"));
        assert_eq!(price(&book, "2").as_deref(), Some("99.5"));
        assert_eq!(price(&book, "4").as_deref(), Some("97.25"));
    }

    #[test]
    fn beyond_the_shown_bids_the_last_one_counts() {
        assert_eq!(price(&[("100", "1"), ("90", "1")], "4").as_deref(), Some("92.5"));
        assert_eq!((price(&[], "4"), price(&[("100", "1")], "0")), (None, None));
    }

    proptest! {
        #[test]
        fn it_is_what_selling_one_by_one_would_bring(levels in prop::collection::vec((1_i64..500, 1_i128..20), 1..12), qty in 1_i128..300) {
            let mut sorted = levels;
            sorted.sort_by_key(|(price, _)| -price);
            let each: Vec<i64> = sorted.iter().flat_map(|(price, qty)| std::iter::repeat_n(*price, *qty as usize)).collect();
            let unit = 100_000_000_i64;
            let sum: i128 = (0..qty as usize).map(|n| i128::from(each.get(n).or(each.last()).unwrap() * unit)).sum();
            let shown = sorted.iter().map(|(p, q)| Level { price: Price::from_raw(p * unit), qty: Qty::from_raw(q * i128::from(unit)) });
            let got = executable_price(shown, Qty::from_raw(qty * i128::from(unit))).unwrap();
            prop_assert_eq!(i128::from(got.raw()), sum / qty);
        }
    }
}
