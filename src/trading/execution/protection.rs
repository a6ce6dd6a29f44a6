//! What the venue guards by itself: a holding's stops and targets, as the venue's own words have them.
//!
//! A guard is a pair of which one cancels the other. It protects while its stop lives and its target has not begun to fill (the venue ends
//! the stop then); it claims its coins as long as any of it may trade, so that nothing is sold twice. A guard of which the venue has never
//! spoken claims them for a few seconds only, where the account holds no other coins of this kind: should it live after all, its coins are
//! locked there, and a second sale of them is refused.

use super::order::{Leg, Listed, Order, Purpose};
use super::orders::Orders;
use super::trade::Step;
use crate::domain::{ClientOrderId, Instrument, NewOrder, OrderKind, Price, Qty, Side, Span, Symbol, Timestamp};
use crate::protocol::OrderState;

/// Stops that the venue takes in one market (`MAX_NUM_ALGO_ORDERS`, 5 in every spot market of Binance); the stop behind an entry is one.
const STOPS_MOST: usize = 5;
/// After so long without a word an order may not be there.
pub(super) const DOUBTED_AFTER: Span = Span::from_secs(5);

/// Target and stop as they will be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bracket {
    pub list: ClientOrderId,
    pub above: NewOrder,
    pub below: NewOrder,
}

impl Bracket {
    /// `ids`: of the list, of the target, of the stop.
    #[must_use]
    pub fn new(ids: [ClientOrderId; 3], symbol: Symbol, qty: Qty, target: Price, stop: Price) -> Self {
        let leg = |id, kind| NewOrder { id, symbol, side: Side::Sell, qty, kind };
        Self { list: ids[0], above: leg(ids[1], OrderKind::LimitMaker { price: target }), below: leg(ids[2], OrderKind::StopLoss { stop }) }
    }
}

/// One resting sale with whatever guards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// An order whose cancel ends all of it.
    pub by: ClientOrderId,
    pub purpose: Purpose,
    /// What it may still sell.
    pub claimed: Qty,
    /// Its stop is live by the venue's word.
    pub stopped: bool,
    /// A word of the venue is awaited: nothing more is asked of it now.
    pub awaited: bool,
    /// Limit of the target.
    pub target: Option<Price>,
    /// Trigger of the stop.
    pub stop: Option<Price>,
}

/// All resting sales of one market, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    pub guards: Vec<Guard>,
}

impl Cover {
    /// `doubted_at`: the present moment, where the account holds no coins but ours, so that a sale too many is refused.
    #[must_use]
    pub fn of(orders: &Orders, symbol: Symbol, doubted_at: Option<Timestamp>) -> Self {
        let mut groups: Vec<(Option<ClientOrderId>, Vec<&Order>)> = Vec::new();
        for order in orders.live_of(symbol).filter(|o| o.new.side == Side::Sell && !orders.is_pending(o)) {
            let list = order.listed.map(|listed| listed.list);
            match groups.iter_mut().find(|(known, _)| list.is_some() && *known == list) {
                Some((_, legs)) => legs.push(order),
                None => groups.push((list, vec![order])),
            }
        }
        let guards = groups.into_iter().filter_map(|(list, legs)| guard(orders, list, &legs, doubted_at));
        Self { guards: guards.collect() }
    }

    /// Quantity whose stop the venue has confirmed.
    #[must_use]
    pub fn stopped(&self) -> Qty {
        self.guards.iter().filter(|g| g.stopped).map(|g| g.claimed).sum()
    }

    /// What may still be sold by orders that live.
    #[must_use]
    pub fn claimed(&self) -> Qty {
        self.guards.iter().map(|g| g.claimed).sum()
    }

    /// The newest guard without which the holding would still be covered: it is one too many.
    #[must_use]
    pub fn superfluous(&self, held: Qty) -> Option<&Guard> {
        let settled = || self.guards.iter().filter(|g| !g.awaited && g.purpose != Purpose::Exit);
        let newest = settled().next_back()?;
        let others: Qty = settled().map(|g| g.claimed).sum();
        (others - newest.claimed >= held).then_some(newest)
    }

    /// What ends a guard where there are too many for one more stop; its coins get one together with those of the next.
    #[must_use]
    pub(super) fn room_for_another(&self) -> Option<Step> {
        (self.guards.len() >= STOPS_MOST).then(|| self.make_room())
    }

    /// The smallest guard ends; nothing while one is on its way out or in.
    #[must_use]
    pub(super) fn make_room(&self) -> Step {
        let smallest = self.guards.iter().filter(|g| g.purpose != Purpose::Exit).min_by_key(|g| g.claimed);
        smallest.filter(|_| !self.guards.iter().any(|g| g.awaited)).map_or(Step::Wait, |smallest| Step::Cancel(smallest.by))
    }

    /// Whether the guard that is to be placed would leave no stop for an entry behind it.
    #[must_use]
    pub(super) fn is_crowded(&self) -> bool {
        self.guards.len() + 1 >= STOPS_MOST
    }

    /// Of `held`, what could be sold and the venue does not guard.
    #[must_use]
    pub fn exposed(&self, held: Qty, price: Price, instrument: &Instrument) -> Qty {
        let open = held - self.stopped();
        // Commissions in another coin leave the guard a little smaller than the holding.
        if open <= slack(held) && !self.guards.is_empty() { Qty::ZERO } else { instrument.tradable(open, price) }
    }
}

/// A share of a holding that is not worth an order of its own.
pub(super) fn slack(held: Qty) -> Qty {
    Qty::from_raw(held.raw() / 200)
}

fn guard(orders: &Orders, list: Option<ClientOrderId>, legs: &[&Order], doubted_at: Option<Timestamp>) -> Option<Guard> {
    let of = |leg| orders.all.values().find(|o| list.is_some() && o.listed == list.map(|list| Listed { list, leg }));
    // One filled: the venue ends the other by itself.
    if [of(Leg::Above), of(Leg::Below)].into_iter().flatten().any(|o| o.state == OrderState::Filled) {
        return None;
    }
    let begun = legs.iter().find(|o| o.filled.is_positive());
    let first = begun.or(legs.first())?;
    let target_begun = begun.is_some_and(|o| o.purpose == Purpose::Target);
    let most = legs.iter().map(|o| o.remaining()).max().unwrap_or_default();
    let unheard = |o: &&Order, now: Timestamp| o.order_id.is_none() && o.filled.is_zero() && now.since(o.created) >= DOUBTED_AFTER;
    let doubted = doubted_at.is_some_and(|now| legs.iter().all(|o| unheard(o, now)));
    let is_live = |o: &Order| matches!(o.state, OrderState::Open | OrderState::PartiallyFilled);
    let leg_for = |purpose| legs.iter().find(|o| o.purpose == purpose);
    Some(Guard {
        by: first.new.id,
        purpose: first.purpose,
        claimed: if doubted { Qty::ZERO } else { begun.map_or(most, |o| o.remaining()) },
        stopped: !target_begun && legs.iter().any(|o| o.purpose == Purpose::Stop && is_live(o)),
        awaited: legs.iter().any(|o| matches!(o.state, OrderState::Submitted | OrderState::CancelSent | OrderState::Unknown)),
        target: leg_for(Purpose::Target).and_then(|o| o.new.kind.price()),
        stop: leg_for(Purpose::Stop).and_then(|o| o.new.kind.stop()),
    })
}

/// Since when something that could be sold is without a guard, brought up to now.
pub(super) fn exposed_since(before: Option<Timestamp>, exposed: Qty, now: Timestamp) -> Option<Timestamp> {
    exposed.is_positive().then(|| before.unwrap_or(now))
}
