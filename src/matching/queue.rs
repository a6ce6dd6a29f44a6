//! Our resting orders among the displayed levels: who is ahead of them and what fills them.

use std::collections::BTreeMap;

use super::AccountId;
use super::display::{Display, Rungs};
use crate::domain::{OrderId, Price, PublicTrade, Qty, Side};

/// Nobody knows how much is ahead: until the display reaches this price only a trade or quote beyond it fills the order.
const UNKNOWN: Qty = Qty::from_raw(i128::MAX / 4);

/// One resting order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resting {
    pub id: OrderId,
    pub account: AccountId,
    pub remaining: Qty,
    /// Displayed quantity at the same price that trades before us.
    pub ahead: Qty,
}

/// A fill of a resting order at its own price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MakerFill {
    pub id: OrderId,
    pub price: Price,
    pub qty: Qty,
}

type Levels = BTreeMap<Price, Vec<Resting>>;

/// Resting orders of one symbol by price, at one price in order of arrival.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    bids: Levels,
    asks: Levels,
}

impl Queue {
    pub(super) fn add(&mut self, display: &Display, side: Side, price: Price, id: OrderId, account: AccountId, remaining: Qty) {
        let ahead = display.at(side, price).unwrap_or(UNKNOWN);
        self.side_mut(side).entry(price).or_default().push(Resting { id, account, remaining, ahead });
    }

    pub(super) fn remove(&mut self, side: Side, price: Price, id: OrderId) {
        self.reduce(side, price, id, UNKNOWN);
    }

    /// Takes `qty` from an order; it leaves the queue when nothing remains.
    pub(super) fn reduce(&mut self, side: Side, price: Price, id: OrderId, qty: Qty) {
        let levels = self.side_mut(side);
        let Some(level) = levels.get_mut(&price) else { return };
        if let Some(place) = level.iter().position(|order| order.id == id) {
            level[place].remaining -= qty;
            if !level[place].remaining.is_positive() {
                level.remove(place);
            }
        }
        if level.is_empty() {
            levels.remove(&price);
        }
    }

    /// The orders that a taker of this side meets, best price first.
    pub(super) fn ladder(&self, taker: Side) -> impl Iterator<Item = (Price, &Vec<Resting>)> + '_ {
        let levels = match taker {
            Side::Buy => Rungs::Up(self.asks.iter()),
            Side::Sell => Rungs::Down(self.bids.iter().rev()),
        };
        levels.map(|(price, level)| (*price, level))
    }

    pub(super) fn best(&self, side: Side) -> Option<Price> {
        match side {
            Side::Buy => self.bids.keys().next_back().copied(),
            Side::Sell => self.asks.keys().next().copied(),
        }
    }

    /// Every order; at one price in order of arrival.
    pub(super) fn ids(&self) -> impl Iterator<Item = OrderId> + '_ {
        self.bids.values().chain(self.asks.values()).flatten().map(|order| order.id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }

    /// A displayed level changed: nobody can have more ahead than is displayed.
    pub(super) fn refresh(&mut self, display: &Display, side: Side, price: Price) {
        if let Some(level) = self.side_mut(side).get_mut(&price) {
            advance(display, side, price, level);
        }
    }

    pub(super) fn refresh_all(&mut self, display: &Display) {
        for side in [Side::Buy, Side::Sell] {
            self.side_mut(side).iter_mut().for_each(|(price, level)| advance(display, side, *price, level));
        }
    }

    /// A public trade: through our price it fills everything; at our price it fills what is left behind the queue.
    pub(super) fn on_trade(&mut self, trade: &PublicTrade, fills: &mut Vec<MakerFill>) {
        while let Some(level) = self.bids.last_entry().filter(|level| *level.key() > trade.price) {
            let (price, orders) = level.remove_entry();
            fill_all(price, orders, fills);
        }
        while let Some(level) = self.asks.first_entry().filter(|level| *level.key() < trade.price) {
            let (price, orders) = level.remove_entry();
            fill_all(price, orders, fills);
        }

        let side = if trade.buyer_is_maker { Side::Buy } else { Side::Sell };
        let levels = self.side_mut(side);
        if let Some(level) = levels.get_mut(&trade.price) {
            fill_behind_the_queue(trade.price, trade.qty, level, fills);
            if level.is_empty() {
                levels.remove(&trade.price);
            }
        }
    }

    /// The displayed opposite side reached our price: that quantity would have traded with us, at our price.
    pub(super) fn on_cross(&mut self, display: &mut Display, fills: &mut Vec<MakerFill>) {
        for side in [Side::Buy, Side::Sell] {
            while let Some(price) = self.best(side) {
                let Some((shown, left)) = display.ladder(side).next().filter(|(shown, _)| reaches(side, price, *shown)) else { break };
                let levels = self.side_mut(side);
                let Some(level) = levels.get_mut(&price) else { break };
                let order = &mut level[0];
                let qty = order.remaining.min(left);
                fills.push(MakerFill { id: order.id, price, qty });
                order.remaining -= qty;
                if order.remaining.is_zero() {
                    level.remove(0);
                }
                if level.is_empty() {
                    levels.remove(&price);
                }
                display.take(side, shown, qty);
            }
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// True when an opposite price is at or beyond a limit of this side.
pub(super) fn reaches(side: Side, limit: Price, opposite: Price) -> bool {
    match side {
        Side::Buy => opposite <= limit,
        Side::Sell => opposite >= limit,
    }
}

fn advance(display: &Display, side: Side, price: Price, level: &mut [Resting]) {
    if let Some(shown) = display.at(side, price) {
        level.iter_mut().for_each(|order| order.ahead = order.ahead.min(shown));
    }
}

fn fill_all(price: Price, level: Vec<Resting>, fills: &mut Vec<MakerFill>) {
    fills.extend(level.into_iter().map(|order| MakerFill { id: order.id, price, qty: order.remaining }));
}

/// In order of arrival: the trade eats what is displayed ahead, then the order; what our own orders took hits nobody else.
fn fill_behind_the_queue(price: Price, traded: Qty, level: &mut Vec<Resting>, fills: &mut Vec<MakerFill>) {
    let mut left = traded;
    for order in level.iter_mut() {
        let qty = (left - order.ahead).max(Qty::ZERO).min(order.remaining);
        order.ahead = (order.ahead - left).max(Qty::ZERO);
        if qty.is_positive() {
            fills.push(MakerFill { id: order.id, price, qty });
            order.remaining -= qty;
            left -= qty;
        }
    }
    level.retain(|order| order.remaining.is_positive());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BookSnapshot, DepthDiff, Level, TradeId};

    fn price(raw: i64) -> Price {
        Price::from_raw(raw)
    }
    fn qty(raw: i128) -> Qty {
        Qty::from_raw(raw)
    }
    fn level(at: i64, size: i128) -> Level {
        Level { price: price(at), qty: qty(size) }
    }
    fn display() -> Display {
        let mut display = Display::default();
        display.replace(&BookSnapshot { last_update_id: 1, bids: vec![level(100, 10), level(98, 20)], asks: vec![level(102, 10)] });
        display
    }
    fn sold(at: i64, size: i128) -> PublicTrade {
        PublicTrade { id: TradeId(1), price: price(at), qty: qty(size), buyer_is_maker: true }
    }
    fn fills_of(queue: &mut Queue, trade: &PublicTrade) -> Vec<(u64, i64, i128)> {
        let mut fills = Vec::new();
        queue.on_trade(trade, &mut fills);
        fills.iter().map(|fill| (fill.id.0, fill.price.raw(), fill.qty.raw())).collect()
    }
    fn ahead(queue: &Queue) -> Vec<i128> {
        queue.bids.values().flatten().map(|order| order.ahead.raw()).collect()
    }

    #[test]
    fn trades_at_our_price_eat_the_queue_first() {
        let mut queue = Queue::default();
        queue.add(&display(), Side::Buy, price(100), OrderId(1), AccountId(1), qty(5));
        assert!(fills_of(&mut queue, &sold(100, 9)).is_empty());
        assert_eq!(ahead(&queue), [1]);
        assert_eq!(fills_of(&mut queue, &sold(100, 3)), [(1, 100, 2)]);
        assert_eq!(fills_of(&mut queue, &sold(100, 3)), [(1, 100, 3)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_trade_of_the_same_aggressor_side_does_not_fill_us() {
        let mut queue = Queue::default();
        queue.add(&Display::default(), Side::Buy, price(100), OrderId(1), AccountId(1), qty(5));
        let bought = PublicTrade { buyer_is_maker: false, ..sold(100, 50) };
        assert!(fills_of(&mut queue, &bought).is_empty());
    }

    #[test]
    fn a_trade_through_our_price_fills_everything() {
        let mut queue = Queue::default();
        queue.add(&display(), Side::Buy, price(98), OrderId(1), AccountId(1), qty(5));
        queue.add(&display(), Side::Buy, price(100), OrderId(2), AccountId(1), qty(7));
        assert_eq!(fills_of(&mut queue, &sold(97, 1)), [(2, 100, 7), (1, 98, 5)]);
        queue.add(&display(), Side::Sell, price(102), OrderId(3), AccountId(1), qty(4));
        assert_eq!(fills_of(&mut queue, &sold(103, 1)), [(3, 102, 4)]);
    }

    #[test]
    fn two_orders_at_one_price_share_a_trade_in_order_of_arrival() {
        let mut queue = Queue::default();
        for id in [1, 2] {
            queue.add(&display(), Side::Buy, price(100), OrderId(id), AccountId(id as u32), qty(4));
        }
        assert_eq!(fills_of(&mut queue, &sold(100, 15)), [(1, 100, 4), (2, 100, 1)]);
    }

    #[test]
    fn a_cancelled_level_moves_the_queue() {
        let (mut display, mut queue) = (display(), Queue::default());
        queue.add(&display, Side::Buy, price(98), OrderId(1), AccountId(1), qty(5));
        let mut show = |size: i128, id: u64| {
            display.apply(&DepthDiff { first_update_id: id, last_update_id: id, bids: vec![level(98, size)], asks: vec![] });
            queue.refresh(&display, Side::Buy, price(98));
            ahead(&queue)
        };
        assert_eq!(show(30, 2), [20], "later arrivals stand behind us");
        assert_eq!(show(12, 3), [12]);
        assert_eq!(show(0, 4), [12], "beyond the last known level nothing is known");
    }

    #[test]
    fn a_crossing_quote_fills_at_our_price_up_to_its_quantity_and_only_once() {
        let (mut display, mut queue) = (display(), Queue::default());
        queue.add(&display, Side::Buy, price(101), OrderId(1), AccountId(1), qty(5));
        let diff = DepthDiff { first_update_id: 2, last_update_id: 2, bids: vec![], asks: vec![level(101, 3)] };
        display.apply(&diff);
        let mut fills = Vec::new();
        queue.on_cross(&mut display, &mut fills);
        queue.on_cross(&mut display, &mut fills);
        assert_eq!(fills, [MakerFill { id: OrderId(1), price: price(101), qty: qty(3) }]);
    }
}
