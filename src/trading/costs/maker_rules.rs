//! How orders are quoted; configuration.

use serde::{Deserialize, Serialize};

use super::depth::{Slice, slice, slices};
use crate::domain::{Qty, Span};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakerRules {
    /// False: everything takes at once, the baseline that maker logic is compared with.
    pub enabled: bool,
    /// How often one parent order may be cancelled to be quoted anew.
    pub max_requotes: u32,
    /// Largest child order, percent of the visible quantity of the book's best levels.
    pub depth_share_percent: f64,
    /// An order that is larger than that is spread over this many parts,
    pub twap_parts: u32,
    /// and over this time, milliseconds.
    pub twap_ms: u32,
}

impl Default for MakerRules {
    fn default() -> Self {
        Self { enabled: true, max_requotes: 20, depth_share_percent: 25.0, twap_parts: 5, twap_ms: 10_000 }
    }
}

impl MakerRules {
    /// Whether a parent order that was quoted anew `times` times may be cancelled once more for a better price.
    #[must_use]
    pub const fn may_requote(&self, times: u32) -> bool {
        times < self.max_requotes
    }

    /// Whether `qty` is more than one child order may be against the visible quantity; not when nothing is known of the book.
    #[must_use]
    pub fn is_large(&self, qty: Qty, visible: Qty) -> bool {
        slice(qty, visible, self.depth_share_percent) < qty
    }

    /// Between two parts of a large order.
    #[must_use]
    pub const fn part_pause_ms(&self) -> u32 {
        match self.twap_ms.checked_div(self.twap_parts) {
            Some(pause) => pause,
            None => self.twap_ms,
        }
    }

    /// The children of an order against the visible quantity: one when it is small, a schedule in time when it is not. A part is never
    /// larger than the share of the book that one child may be, so a very large order becomes more parts than configured.
    #[must_use]
    pub fn children(&self, qty: Qty, visible: Qty, step: Qty) -> Vec<Slice> {
        let largest = slice(qty, visible, self.depth_share_percent).floor_to(step);
        if qty <= largest || !largest.is_positive() {
            return slices(qty, 1, Span::ZERO, step);
        }
        let needed = (qty.raw() + largest.raw() - 1) / largest.raw();
        let parts = u32::try_from(needed).unwrap_or(u32::MAX).max(self.twap_parts);
        slices(qty, parts, Span::from_millis(i64::from(self.twap_ms)), step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qty(text: &str) -> Qty {
        text.parse().unwrap()
    }

    #[test]
    fn a_small_order_is_one_child_and_a_large_one_a_schedule() {
        let rules = MakerRules { depth_share_percent: 10.0, twap_parts: 3, twap_ms: 9_000, ..MakerRules::default() };
        let small = rules.children(qty("1"), qty("100"), qty("0.1"));
        assert_eq!(small, [Slice { after: Span::ZERO, qty: qty("1") }]);
        let large = rules.children(qty("20"), qty("100"), qty("0.1"));
        assert_eq!(
            large.iter().map(|s| (s.after.millis(), s.qty.to_string())).collect::<Vec<_>>(),
            [(0, "6.7".to_owned()), (3_000, "6.7".to_owned()), (6_000, "6.6".to_owned())]
        );
        let huge = rules.children(qty("95"), qty("100"), qty("0.1"));
        assert_eq!((huge.len(), huge.iter().map(|s| s.qty).max()), (10, Some(qty("9.5"))));
        assert_eq!(rules.children(qty("20"), Qty::ZERO, qty("0.1")).len(), 1, "an unknown book cuts nothing");
        assert_eq!([("10", "100"), ("10.1", "100"), ("20", "0")].map(|(q, v)| rules.is_large(qty(q), qty(v))), [false, true, false]);
        assert_eq!(rules.part_pause_ms(), 3_000);
    }

    #[test]
    fn the_cancel_budget_ends() {
        let rules = MakerRules { max_requotes: 2, ..MakerRules::default() };
        assert_eq!([0, 1, 2, 3].map(|times| rules.may_requote(times)), [true, true, false, false]);
    }
}
