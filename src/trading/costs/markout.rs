//! Where the mid went after fills: looked at one, ten and sixty seconds after each of them, averaged by quantity.

use crate::domain::{Price, Qty, Side, Span, Timestamp};
use crate::protocol::Markouts;

const AFTER: [Span; 3] = [Span::from_secs(1), Span::from_secs(10), Span::from_secs(60)];
/// Fills of one order that are looked at; an order of more is judged by its first.
const MOST_FILLS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Fill {
    at: Timestamp,
    price: f64,
    qty: f64,
}

/// The fills of one order, in the order they came.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkoutClock {
    side: Side,
    fills: Vec<Fill>,
    /// Per horizon: fills that were looked at, and the sums of quantity and of quantity x bps.
    seen: [(usize, f64, f64); 3],
}

impl MarkoutClock {
    #[must_use]
    pub const fn new(side: Side) -> Self {
        Self { side, fills: Vec::new(), seen: [(0, 0.0, 0.0); 3] }
    }

    pub fn on_fill(&mut self, at: Timestamp, price: Price, qty: Qty) {
        if self.fills.len() < MOST_FILLS && price.is_positive() && qty.is_positive() {
            self.fills.push(Fill { at, price: price.to_f64(), qty: qty.to_f64() });
        }
    }

    /// The mid is `mid` at `now`: it is what was waited for by every horizon that has passed.
    pub fn on_mid(&mut self, now: Timestamp, mid: Price) {
        let sign = if self.side == Side::Buy { 1.0 } else { -1.0 };
        for (horizon, (next, qty, sum)) in AFTER.iter().zip(&mut self.seen) {
            while let Some(fill) = self.fills.get(*next).filter(|fill| now >= fill.at + *horizon) {
                *next += 1;
                *qty += fill.qty;
                *sum += fill.qty * sign * (mid.to_f64() - fill.price) / fill.price * 1e4;
            }
        }
    }

    /// When the mid is wanted next; `None` when all is known.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = AFTER.iter().zip(&self.seen).filter_map(|(horizon, (next, ..))| Some(self.fills.get(*next)?.at + *horizon));
        due.min()
    }

    /// The averages of the horizons that every fill has reached.
    #[must_use]
    pub fn result(&self) -> Markouts {
        let of = |at: usize| {
            let (count, qty, sum) = self.seen[at];
            (count > 0 && count == self.fills.len()).then(|| sum / qty)
        };
        Markouts { after_1s: of(0), after_10s: of(1), after_60s: of(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(secs)
    }

    #[test]
    fn each_fill_is_looked_at_in_its_own_time_and_weighed_by_quantity() {
        let mut clock = MarkoutClock::new(Side::Buy);
        clock.on_fill(at(0), price("100"), "1".parse().unwrap());
        clock.on_fill(at(5), price("100"), "3".parse().unwrap());
        assert_eq!(clock.next_due(), Some(at(1)));
        clock.on_mid(at(1), price("100.1"));
        assert_eq!(clock.result(), Markouts::default(), "the second fill is too young");
        clock.on_mid(at(6), price("100.02"));
        // 10 bps on one unit, 2 bps on three.
        assert!((clock.result().after_1s.unwrap() - 4.0).abs() < 1e-9);
        assert_eq!(clock.next_due(), Some(at(10)));
        clock.on_mid(at(65), price("99"));
        assert_eq!(clock.next_due(), None);
        assert!((clock.result().after_60s.unwrap() + 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_sale_is_glad_of_a_fall_and_no_fill_has_no_markout() {
        let mut clock = MarkoutClock::new(Side::Sell);
        assert_eq!((clock.next_due(), clock.result()), (None, Markouts::default()));
        clock.on_fill(at(0), price("100"), "1".parse().unwrap());
        clock.on_mid(at(1), price("99.9"));
        assert!((clock.result().after_1s.unwrap() - 10.0).abs() < 1e-9);
    }
}
