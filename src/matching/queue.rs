//! Our resting orders among the displayed levels: who is ahead of them and what fills them.

use std::collections::BTreeMap;

use super::AccountId;
use super::display::{Display, Rungs};
use crate::domain::{OrderId, Price, PublicTrade, Qty, Side, Timestamp};

/// Nobody knows how much is ahead: until the display reaches this price only a trade or quote beyond it fills the order.
const UNKNOWN: Qty = Qty::from_raw(i128::MAX / 4);

/// One resting order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resting {
    pub id: OrderId,
    pub account: AccountId,
    pub remaining: Qty,
    /// When it began to work: trades from before have no part of it.
    pub since: Timestamp,
    /// Displayed quantity at the same price that trades before us.
    pub ahead: Qty,
}

impl Resting {
    /// How much is ahead is found when it is added.
    pub(super) const fn new(id: OrderId, account: AccountId, remaining: Qty, since: Timestamp) -> Self {
        Self { id, account, remaining, since, ahead: UNKNOWN }
    }
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
    pub(super) fn add(&mut self, display: &Display, side: Side, price: Price, order: Resting) {
        let ahead = display.at(side, price).unwrap_or(UNKNOWN);
        self.side_mut(side).entry(price).or_default().push(Resting { ahead, ..order });
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

    /// A public trade: through our price it fills everything; at our price it fills what is left behind the queue. It passes the orders
    /// that began to work after it was `made`.
    pub(super) fn on_trade(&mut self, trade: &PublicTrade, made: Timestamp, fills: &mut Vec<MakerFill>) {
        let mut passed = Vec::new();
        while let Some(level) = self.bids.last_entry().filter(|level| *level.key() > trade.price) {
            let (price, orders) = level.remove_entry();
            let newer = fill_all(price, orders, made, fills);
            passed.extend(newer.into_iter().map(|order| (Side::Buy, price, order)));
        }
        while let Some(level) = self.asks.first_entry().filter(|level| *level.key() < trade.price) {
            let (price, orders) = level.remove_entry();
            let newer = fill_all(price, orders, made, fills);
            passed.extend(newer.into_iter().map(|order| (Side::Sell, price, order)));
        }
        for (side, price, order) in passed {
            self.side_mut(side).entry(price).or_default().push(order);
        }

        let side = if trade.buyer_is_maker { Side::Buy } else { Side::Sell };
        let levels = self.side_mut(side);
        if let Some(level) = levels.get_mut(&trade.price) {
            fill_behind_the_queue(trade, made, level, fills);
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

/// Gives back the orders that are newer than the trade.
fn fill_all(price: Price, mut level: Vec<Resting>, made: Timestamp, fills: &mut Vec<MakerFill>) -> Vec<Resting> {
    let older = level.iter().filter(|order| order.since <= made);
    fills.extend(older.map(|order| MakerFill { id: order.id, price, qty: order.remaining }));
    level.retain(|order| order.since > made);
    level
}

/// In order of arrival: the trade eats what is displayed ahead, then the order; what our own orders took hits nobody else.
fn fill_behind_the_queue(trade: &PublicTrade, made: Timestamp, level: &mut Vec<Resting>, fills: &mut Vec<MakerFill>) {
    let mut left = trade.qty;
    for order in level.iter_mut().filter(|order| order.since <= made) {
        let qty = (left - order.ahead).max(Qty::ZERO).min(order.remaining);
        order.ahead = (order.ahead - left).max(Qty::ZERO);
        if qty.is_positive() {
            fills.push(MakerFill { id: order.id, price: trade.price, qty });
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
    /// An order of a customer of its own, from the beginning.
    fn resting(id: u64, size: i128) -> Resting {
        Resting::new(OrderId(id), AccountId(1), qty(size), Timestamp::EPOCH)
    }
    fn sold(at: i64, size: i128) -> PublicTrade {
        PublicTrade { id: TradeId(1), price: price(at), qty: qty(size), buyer_is_maker: true }
    }
    fn fills_of(queue: &mut Queue, trade: &PublicTrade) -> Vec<(u64, i64, i128)> {
        let mut fills = Vec::new();
        queue.on_trade(trade, Timestamp::EPOCH, &mut fills);
        fills.iter().map(|fill| (fill.id.0, fill.price.raw(), fill.qty.raw())).collect()
    }
    fn ahead(queue: &Queue) -> Vec<i128> {
        queue.bids.values().flatten().map(|order| order.ahead.raw()).collect()
    }

    #[test]
    fn trades_at_our_price_eat_the_queue_first() {
        let mut queue = Queue::default();
        queue.add(&display(), Side::Buy, price(100), resting(1, 5));
        assert!(fills_of(&mut queue, &sold(100, 9)).is_empty());
        assert_eq!(ahead(&queue), [1]);
        assert_eq!(fills_of(&mut queue, &sold(100, 3)), [(1, 100, 2)]);
        assert_eq!(fills_of(&mut queue, &sold(100, 3)), [(1, 100, 3)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_trade_of_the_same_aggressor_side_does_not_fill_us() {
        let mut queue = Queue::default();
        queue.add(&Display::default(), Side::Buy, price(100), resting(1, 5));
        let bought = PublicTrade { buyer_is_maker: false, ..sold(100, 50) };
        assert!(fills_of(&mut queue, &bought).is_empty());
    }

    #[test]
    fn a_trade_through_our_price_fills_everything() {
        let mut queue = Queue::default();
        queue.add(&display(), Side::Buy, price(98), resting(1, 5));
        queue.add(&display(), Side::Buy, price(100), resting(2, 7));
        assert_eq!(fills_of(&mut queue, &sold(97, 1)), [(2, 100, 7), (1, 98, 5)]);
        queue.add(&display(), Side::Sell, price(102), resting(3, 4));
        assert_eq!(fills_of(&mut queue, &sold(103, 1)), [(3, 102, 4)]);
    }

    #[test]
    fn two_orders_at_one_price_share_a_trade_in_order_of_arrival() {
        let mut queue = Queue::default();
        for id in [1, 2] {
            queue.add(&display(), Side::Buy, price(100), resting(id, 4));
        }
        assert_eq!(fills_of(&mut queue, &sold(100, 15)), [(1, 100, 4), (2, 100, 1)]);
    }

    #[test]
    fn a_trade_from_before_an_order_passes_it() {
        let (mut queue, at) = (Queue::default(), Timestamp::from_millis);
        for (price, id, since) in [(98, 1, 10), (98, 2, 20), (100, 3, 20), (100, 4, 10)] {
            let order = Resting { since: at(since), ..resting(id, 5) };
            queue.add(&Display::default(), Side::Buy, Price::from_raw(price), order);
        }
        let mut filled = |price: i64, made: i64| {
            let mut fills = Vec::new();
            queue.on_trade(&sold(price, 1), at(made), &mut fills);
            fills.iter().map(|fill| fill.id.0).collect::<Vec<_>>()
        };
        assert_eq!(filled(97, 9), [] as [u64; 0]);
        assert_eq!(filled(97, 19), [4, 1]);
        assert_eq!(filled(97, 20), [3, 2]);
        assert!(queue.is_empty());
        queue.add(&display(), Side::Buy, price(100), Resting { since: at(20), ..resting(5, 2) });
        for (made, expected) in [(19, vec![]), (20, vec![(5, 2)])] {
            let mut fills = Vec::new();
            queue.on_trade(&sold(100, 12), at(made), &mut fills);
            assert_eq!(fills.iter().map(|fill| (fill.id.0, fill.qty.raw())).collect::<Vec<_>>(), expected, "{made}");
        }
    }

    #[test]
    fn a_cancelled_level_moves_the_queue() {
        let (mut display, mut queue) = (display(), Queue::default());
        queue.add(&display, Side::Buy, price(98), resting(1, 5));
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
        queue.add(&display, Side::Buy, price(101), resting(1, 5));
        let diff = DepthDiff { first_update_id: 2, last_update_id: 2, bids: vec![], asks: vec![level(101, 3)] };
        display.apply(&diff);
        let mut fills = Vec::new();
        queue.on_cross(&mut display, &mut fills);
        queue.on_cross(&mut display, &mut fills);
        assert_eq!(fills, [MakerFill { id: OrderId(1), price: price(101), qty: qty(3) }]);
    }
}
