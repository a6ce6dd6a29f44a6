//! Where the mid went after fills: looked at one, ten and sixty seconds after each of them, averaged by quantity.
//!
//! A mid that comes late is the mid of another moment: beyond `lateness` the mark-out is unknown, and with it the order's average.

use crate::domain::{Price, Qty, Side, Span, Timestamp};
use crate::protocol::Markouts;

const AFTER: [Span; 3] = [Span::from_secs(1), Span::from_secs(10), Span::from_secs(60)];
/// Fills of one order that are looked at; an order of more is judged by its first.
const MOST_FILLS: usize = 256;

/// How much later than it was due a mid may come and still stand for its moment: a tenth of the time waited, but a second at least.
#[must_use]
pub(super) fn lateness(waited: Span) -> Span {
    Span::from_secs(1).max(Span::from_nanos(waited.nanos() / 10))
}

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
    /// Per horizon.
    seen: [Seen; 3],
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    /// Fills whose moment is over, and those of them that a mid was there for.
    next: usize,
    known: usize,
    /// Sums of quantity and of quantity x bps.
    qty: f64,
    sum: f64,
}

impl MarkoutClock {
    #[must_use]
    pub const fn new(side: Side) -> Self {
        Self { side, fills: Vec::new(), seen: [Seen { next: 0, known: 0, qty: 0.0, sum: 0.0 }; 3] }
    }

    pub fn on_fill(&mut self, at: Timestamp, price: Price, qty: Qty) {
        if self.fills.len() < MOST_FILLS && price.is_positive() && qty.is_positive() {
            self.fills.push(Fill { at, price: price.to_f64(), qty: qty.to_f64() });
        }
    }

    /// The mid is `mid` at `now`, where there is one: it is what was waited for by every horizon that has just passed. What passed too long
    /// ago stays unknown.
    pub fn on_mid(&mut self, now: Timestamp, mid: Option<Price>) {
        let sign = if self.side == Side::Buy { 1.0 } else { -1.0 };
        for (horizon, seen) in AFTER.iter().zip(&mut self.seen) {
            while let Some(fill) = self.fills.get(seen.next).filter(|fill| now >= fill.at + *horizon) {
                let late = now > fill.at + *horizon + lateness(*horizon);
                match mid {
                    Some(mid) if !late => {
                        seen.known += 1;
                        seen.qty += fill.qty;
                        seen.sum += fill.qty * sign * (mid.to_f64() - fill.price) / fill.price * 1e4;
                    }
                    None if !late => break,
                    _ => {}
                }
                seen.next += 1;
            }
        }
    }

    /// When the mid is wanted next; `None` when all is known.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = AFTER.iter().zip(&self.seen).filter_map(|(horizon, seen)| Some(self.fills.get(seen.next)?.at + *horizon));
        due.min()
    }

    /// The averages of the horizons at which every fill has met a mid.
    #[must_use]
    pub fn result(&self) -> Markouts {
        let of = |at: usize| {
            let seen = &self.seen[at];
            (seen.known > 0 && seen.known == self.fills.len()).then(|| seen.sum / seen.qty)
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
        clock.on_mid(at(1), Some(price("100.1")));
        assert_eq!(clock.result(), Markouts::default(), "the second fill is too young");
        clock.on_mid(at(6), Some(price("100.02")));
        // 10 bps on one unit, 2 bps on three.
        assert!((clock.result().after_1s.unwrap() - 4.0).abs() < 1e-9);
        assert_eq!(clock.next_due(), Some(at(10)));
        clock.on_mid(at(65), Some(price("99")));
        assert_eq!(clock.next_due(), None);
        assert!((clock.result().after_60s.unwrap() + 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_sale_is_glad_of_a_fall_and_no_fill_has_no_markout() {
        let mut clock = MarkoutClock::new(Side::Sell);
        assert_eq!((clock.next_due(), clock.result()), (None, Markouts::default()));
        clock.on_fill(at(0), price("100"), "1".parse().unwrap());
        clock.on_mid(at(1), Some(price("99.9")));
        assert!((clock.result().after_1s.unwrap() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_mid_that_comes_late_is_the_mid_of_another_moment() {
        let filled = || {
            let mut clock = MarkoutClock::new(Side::Buy);
            clock.on_fill(at(0), price("100"), "1".parse().unwrap());
            clock
        };
        // A second is granted after one and after ten, six seconds after sixty.
        for (secs, known) in [(2, 3), (3, 2), (11, 2), (12, 1), (66, 1), (67, 0)] {
            let mut clock = filled();
            clock.on_mid(at(secs), Some(price("100.1")));
            (0..100).for_each(|later| clock.on_mid(at(secs + later), Some(price("100.1"))));
            let result = clock.result();
            let seen = [result.after_1s, result.after_10s, result.after_60s];
            assert_eq!(seen.iter().flatten().count(), known, "{secs}: {seen:?}");
            assert_eq!(seen[3 - known..].iter().flatten().count(), known, "{secs}: {seen:?}");
            assert_eq!(clock.next_due(), None);
        }
        // Waited for as long as it would do, and no longer.
        let mut blind = filled();
        blind.on_mid(at(2), None);
        assert_eq!(blind.next_due(), Some(at(1)));
        blind.on_mid(at(3), None);
        assert_eq!(blind.next_due(), Some(at(10)));
        blind.on_mid(at(90), None);
        assert_eq!((blind.next_due(), blind.result()), (None, Markouts::default()));
        // One fill of two is not the order.
        let mut part = filled();
        part.on_fill(at(5), price("100"), "1".parse().unwrap());
        part.on_mid(at(1), Some(price("100")));
        part.on_mid(at(9), Some(price("100")));
        assert_eq!(part.result().after_1s, None);
    }
}
