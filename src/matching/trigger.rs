//! Orders that wait for a price outside the queue.

use std::collections::BTreeSet;

use crate::domain::{OrderId, OrderKind, Price, Side};

/// Which way the price must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// At or above the stop.
    Up,
    /// At or below the stop.
    Down,
}

/// Stop and way of a conditional order; `None` for one that waits for no price.
pub(super) const fn condition(side: Side, kind: OrderKind) -> Option<(Price, Way)> {
    match (kind, side) {
        (OrderKind::StopLoss { stop } | OrderKind::StopLossLimit { stop, .. }, Side::Buy)
        | (OrderKind::TakeProfit { stop } | OrderKind::TakeProfitLimit { stop, .. }, Side::Sell) => Some((stop, Way::Up)),
        (OrderKind::StopLoss { stop } | OrderKind::StopLossLimit { stop, .. }, Side::Sell)
        | (OrderKind::TakeProfit { stop } | OrderKind::TakeProfitLimit { stop, .. }, Side::Buy) => Some((stop, Way::Down)),
        (OrderKind::LimitMaker { .. } | OrderKind::Limit { .. } | OrderKind::Market, _) => None,
    }
}

/// Whether `price` has come to the stop.
pub(super) fn reached((stop, way): (Price, Way), price: Price) -> bool {
    match way {
        Way::Up => price >= stop,
        Way::Down => price <= stop,
    }
}

/// Waiting orders of one symbol by stop, at one stop in order of age.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    up: BTreeSet<(Price, OrderId)>,
    down: BTreeSet<(Price, OrderId)>,
    /// Their stop was reached while the book was unknown; the oldest goes first.
    held: BTreeSet<OrderId>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.up.is_empty() && self.down.is_empty() && self.held.is_empty()
    }

    pub(super) fn add(&mut self, (stop, way): (Price, Way), id: OrderId) {
        self.side(way).insert((stop, id));
    }

    pub(super) fn remove(&mut self, (stop, way): (Price, Way), id: OrderId) {
        self.side(way).remove(&(stop, id));
        self.held.remove(&id);
    }

    /// Keeps an order that was taken out.
    pub(super) fn hold(&mut self, id: OrderId) {
        self.held.insert(id);
    }

    pub(super) fn pop_held(&mut self) -> Option<OrderId> {
        self.held.pop_first()
    }

    /// The order that the price reaches first, taken out.
    pub(super) fn pop(&mut self, price: Price) -> Option<OrderId> {
        if let Some(&(stop, id)) = self.up.first().filter(|(stop, _)| *stop <= price) {
            self.up.remove(&(stop, id));
            return Some(id);
        }
        let (stop, _) = *self.down.last().filter(|(stop, _)| *stop >= price)?;
        let first = *self.down.range((stop, OrderId(0))..).next()?;
        self.down.remove(&first);
        Some(first.1)
    }

    fn side(&mut self, way: Way) -> &mut BTreeSet<(Price, OrderId)> {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_stop_goes_first_and_at_one_stop_the_oldest() {
        let price = Price::from_raw;
        let mut waiting = Waiting::default();
        for (stop, way, id) in [(110, Way::Up, 1), (105, Way::Up, 2), (95, Way::Down, 4), (95, Way::Down, 3), (90, Way::Down, 5)] {
            waiting.add((price(stop), way), OrderId(id));
        }
        assert_eq!(waiting.pop(price(100)), None);
        let mut fire = |at: i64| std::iter::from_fn(|| waiting.pop(price(at))).map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(fire(110), [2, 1]);
        assert_eq!(fire(90), [3, 4, 5]);
        assert!(waiting.is_empty());
    }
}
