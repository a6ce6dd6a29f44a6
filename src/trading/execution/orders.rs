//! The book of our own orders: applies the venue's words, knows what is still out there, asks about what is silent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::order::{Leg, Listed, Order, OrderEvent, Purpose};
use super::protection::Bracket;
use crate::domain::{ClientOrderId, ListLegs, NewOrder, NewOrderList, OrderId, OrderStatus, Qty, Side, Span, Symbol, Timestamp};
use crate::protocol::{OrderRecord, OrderState, Request, VenueFill, VenueOrder};
use crate::trading::costs::Reference;
use crate::trading::risk::Approved;

/// Final orders kept in memory for late news; older ones live in the data file.
const FINAL_KEPT: usize = 16;
/// Silence after which an order in doubt is asked for, and between two such questions.
const ASK_AFTER: Span = Span::from_secs(2);
/// After a refused cancel, doubled with each up to 32 s.
const CANCEL_AGAIN: Span = Span::from_millis(250);
const CANCEL_DOUBLINGS: u32 = 7;
/// After this long, "no such order" is proof that a placement never arrived: the wait for the disk, a measurement of the clock, the receive
/// window, the venue's processing limit, and the lag of its queries (20 s and more were seen).
const SUBMIT_DEADLINE: Span = Span::from_secs(60);

/// What a venue message did to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing new.
    None,
    /// State or quantity changed.
    Updated(ClientOrderId),
    /// The fill takes it beyond its quantity.
    Overfilled(ClientOrderId),
    /// Not an order of ours that we know.
    Stranger,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Orders {
    /// By creation; ids of one run sort by sequence.
    #[serde(with = "as_list")]
    pub(super) all: BTreeMap<ClientOrderId, Order>,
}

impl Orders {
    /// An opening order: nothing but an approval opens. With a bracket it goes as one list with the orders that will guard what it buys.
    pub fn open(&mut self, approved: Approved<NewOrder>, bracket: Option<Bracket>, reference: Reference, at: Timestamp) -> Request {
        let order = approved.into_inner();
        let Some(Bracket { list, above, below }) = bracket else {
            self.insert(order, Purpose::Entry, None, reference, at);
            return Request::Place { order, opening: true };
        };
        self.insert(order, Purpose::Entry, Some(Listed { list, leg: Leg::Working }), reference, at);
        self.insert_guards(list, above, below, at);
        let legs = ListLegs::Otoco { working: order, above, below };
        Request::PlaceList { list: NewOrderList { id: list, legs }, opening: true }
    }

    /// A reducing order: legal whenever there is something to reduce, also when halted.
    pub fn reduce(&mut self, order: NewOrder, purpose: Purpose, reference: Reference, at: Timestamp) -> Request {
        debug_assert!(order.side == Side::Sell && purpose != Purpose::Entry, "Invariant: a reducing order sells");
        self.insert(order, purpose, None, reference, at);
        Request::Place { order, opening: false }
    }

    /// Target and stop of which one cancels the other: legal like every reducing order. `offered`: what the target is judged by when it is
    /// an offer rather than a goal.
    pub fn protect(&mut self, bracket: Bracket, offered: Option<Reference>, at: Timestamp) -> Request {
        let Bracket { list, above, below } = bracket;
        self.insert_guards(list, above, below, at);
        if let (Some(reference), Some(target)) = (offered, self.all.get_mut(&above.id)) {
            target.reference = reference;
        }
        Request::PlaceList { list: NewOrderList { id: list, legs: ListLegs::Oco { above, below } }, opening: false }
    }

    /// Sells in the place of `old` and its list, in one request; `None` as for `cancel`.
    pub fn replace(&mut self, old: ClientOrderId, order: NewOrder, reference: Reference, at: Timestamp) -> Option<Request> {
        self.cancel(old, at)?;
        self.insert(order, Purpose::Exit, None, reference, at);
        Some(Request::Replace { old, order })
    }

    /// Asks for a cancel (of a list: of all its orders); `None` when the order has ended, was asked already, or the venue has just refused
    /// (a market that is closed refuses for as long as it is).
    pub fn cancel(&mut self, id: ClientOrderId, at: Timestamp) -> Option<Request> {
        let order = self.all.get_mut(&id)?;
        let pause = CANCEL_AGAIN.times(1 << order.refused_cancels.saturating_sub(1).min(CANCEL_DOUBLINGS));
        let too_soon = order.refused_cancels > 0 && at.since(order.cancel_refused) < pause;
        if too_soon || !order.apply(OrderEvent::CancelSent, at) {
            return None;
        }
        order.asked = at;
        let request = Request::Cancel { id, symbol: order.new.symbol, order_id: order.order_id };
        if let Some(Listed { list, .. }) = order.listed {
            for sibling in self.all.values_mut().filter(|o| o.listed.is_some_and(|l| l.list == list) && !o.is_final() && o.new.id != id) {
                sibling.apply(OrderEvent::CancelSent, at);
                sibling.asked = at;
            }
        }
        Some(request)
    }

    /// An order and the others of its list.
    #[must_use]
    pub fn with_siblings(&self, id: ClientOrderId) -> Vec<ClientOrderId> {
        let list = self.all.get(&id).and_then(|o| o.listed).map(|listed| listed.list);
        self.all.values().filter(|o| o.new.id == id || (list.is_some() && o.listed.map(|l| l.list) == list)).map(|o| o.new.id).collect()
    }

    /// Whether a refusal of this order is one of its whole list, told for another order of it already.
    #[must_use]
    pub fn is_follower(&self, id: ClientOrderId) -> bool {
        let Some(Listed { list, leg }) = self.all.get(&id).and_then(|o| o.listed) else { return false };
        let led = |leg| self.all.values().any(|o| o.listed == Some(Listed { list, leg }));
        match leg {
            Leg::Working => false,
            Leg::Above => led(Leg::Working),
            Leg::Below => true,
        }
    }

    /// Whether an order waits until another one of its list has filled.
    #[must_use]
    pub fn is_pending(&self, order: &Order) -> bool {
        let Some(Listed { list, leg: Leg::Above | Leg::Below }) = order.listed else { return false };
        let working = self.all.values().find(|o| o.listed == Some(Listed { list, leg: Leg::Working }));
        working.is_some_and(|working| working.state != OrderState::Filled)
    }

    /// The cancel of an order that was given up here and shows itself alive there; `None` for any other, or when just sent.
    pub fn cancel_revived(&mut self, id: ClientOrderId, order_id: OrderId, at: Timestamp) -> Option<Request> {
        let order = self.all.get_mut(&id).filter(|o| o.state == OrderState::Rejected)?;
        let first_sign = order.order_id.replace(order_id).is_none();
        if !first_sign && at.since(order.asked) < ASK_AFTER {
            return None;
        }
        order.asked = at;
        Some(Request::Cancel { id, symbol: order.new.symbol, order_id: order.order_id })
    }

    pub fn accepted(&mut self, id: ClientOrderId, order_id: OrderId, at: Timestamp) -> Change {
        let Some(order) = self.all.get_mut(&id) else { return Change::Stranger };
        order.order_id = Some(order_id);
        if order.apply(OrderEvent::VenueOpen, at) { Change::Updated(id) } else { Change::None }
    }

    pub fn refused(&mut self, id: ClientOrderId, at: Timestamp) -> Change {
        self.simple(id, OrderEvent::VenueRefused, at)
    }

    pub fn outcome_unknown(&mut self, id: ClientOrderId, at: Timestamp) -> Change {
        self.simple(id, OrderEvent::OutcomeUnknown, at)
    }

    pub fn cancel_refused(&mut self, id: ClientOrderId, at: Timestamp) -> Change {
        let change = self.simple(id, OrderEvent::CancelRefused, at);
        if let Some(order) = self.all.get_mut(&id) {
            // Ask at the next opportunity.
            order.asked = at - ASK_AFTER;
            order.refused_cancels = order.refused_cancels.saturating_add(1);
            order.cancel_refused = at;
        }
        change
    }

    /// "No such order" ends an order only after the submit deadline, and only if it never was live.
    pub fn missing(&mut self, id: ClientOrderId, at: Timestamp) -> Change {
        let Some(order) = self.all.get(&id) else { return Change::Stranger };
        let never_live = order.order_id.is_none() && order.filled.is_zero();
        if never_live && at.since(order.created) > SUBMIT_DEADLINE {
            return self.simple(id, OrderEvent::VenueRefused, at);
        }
        Change::None
    }

    /// Applies a fill once. The ledger decides separately whether it knows the trade.
    pub fn fill(&mut self, fill: &VenueFill) -> Change {
        let Some(order) = self.all.get_mut(&fill.id) else { return Change::Stranger };
        order.order_id = Some(fill.order_id);
        if !order.trades.insert(fill.trade_id) {
            return Change::None;
        }
        order.filled += fill.qty;
        order.venue_filled = order.venue_filled.max(order.filled);
        let event = if order.filled >= order.new.qty { OrderEvent::VenueFilled } else { OrderEvent::VenuePartFilled };
        order.apply(event, fill.at);
        if order.filled > order.new.qty {
            return Change::Overfilled(fill.id);
        }
        settle(order, fill.at);
        Change::Updated(fill.id)
    }

    /// The venue's statement of an order. It ends here only once every fill it speaks of has arrived.
    pub fn stated(&mut self, stated: &VenueOrder, at: Timestamp) -> Change {
        let Some(order) = self.all.get_mut(&stated.id) else { return Change::Stranger };
        let before = (order.state, order.ended, order.order_id);
        order.order_id = Some(stated.order_id);
        let filled = if stated.status == OrderStatus::Filled { order.new.qty } else { stated.filled };
        order.venue_filled = order.venue_filled.max(filled);
        match stated.status {
            OrderStatus::Open | OrderStatus::PartiallyFilled => {
                // Still open well after our cancel: it was lost. Open again, so that it is cancelled again.
                if order.state == OrderState::CancelSent && at.since(order.updated) >= ASK_AFTER {
                    order.apply(OrderEvent::CancelRefused, at);
                }
                order.apply(OrderEvent::VenueOpen, at);
            }
            OrderStatus::Rejected => {
                // Of an order that was live (a waiting stop beyond the market), it is an end like an expiry.
                if !order.apply(OrderEvent::VenueRefused, at) && !order.is_final() {
                    order.ended.get_or_insert(OrderStatus::Expired);
                }
            }
            // An end is sticky; only "filled" overrules another one.
            OrderStatus::Filled => order.ended = Some(OrderStatus::Filled),
            ended => {
                order.ended.get_or_insert(ended);
            }
        }
        settle(order, at);
        if (order.state, order.ended, order.order_id) == before { Change::None } else { Change::Updated(stated.id) }
    }

    /// The venue's word that it ended with nothing filled, so long ago that it no longer says how.
    pub fn archived(&mut self, id: ClientOrderId, at: Timestamp) -> Change {
        let Some(order) = self.all.get_mut(&id) else { return Change::Stranger };
        let before = (order.state, order.ended);
        order.ended.get_or_insert(OrderStatus::Expired);
        settle(order, at);
        if (order.state, order.ended) == before { Change::None } else { Change::Updated(id) }
    }

    /// Questions that are due: orders without an answer, ends without their fills.
    pub fn questions(&mut self, now: Timestamp) -> Vec<Request> {
        let mut requests = Vec::new();
        for order in self.all.values_mut().filter(|o| !o.is_final()) {
            let doubtful = matches!(order.state, OrderState::Submitted | OrderState::CancelSent | OrderState::Unknown);
            let fills_missing = order.venue_filled > order.filled || order.ended.is_some();
            let silent = now.since(order.asked.max(order.updated)) >= ASK_AFTER;
            if (doubtful || fills_missing) && silent {
                order.asked = now;
                requests.push(Request::Query { id: order.new.id, symbol: order.new.symbol });
            }
        }
        requests
    }

    /// When the next question may be due; `None` without an order in doubt.
    #[must_use]
    pub fn next_question(&self) -> Option<Timestamp> {
        let doubtful = |o: &&Order| matches!(o.state, OrderState::Submitted | OrderState::CancelSent | OrderState::Unknown);
        self.live().filter(doubtful).map(|o| o.asked.max(o.updated) + ASK_AFTER).min()
    }

    #[must_use]
    pub fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.all.get(&id)
    }

    /// Orders that have not ended, oldest first.
    pub fn live(&self) -> impl Iterator<Item = &Order> {
        self.all.values().filter(|o| !o.is_final())
    }

    pub fn live_of(&self, symbol: Symbol) -> impl Iterator<Item = &Order> {
        self.live().filter(move |o| o.new.symbol == symbol)
    }

    /// Quantity of `symbol` in orders whose outcome is unknown.
    #[must_use]
    pub fn unknown_qty(&self, symbol: Symbol) -> Qty {
        self.live_of(symbol).filter(|o| o.state == OrderState::Unknown).map(Order::remaining).sum()
    }

    /// Forgets final orders beyond the last few; the data file keeps them all.
    pub fn prune(&mut self) {
        let finals: Vec<ClientOrderId> = self.all.values().filter(|o| o.is_final()).map(|o| o.new.id).collect();
        let mut by_age: Vec<_> = finals.into_iter().map(|id| (self.all[&id].updated, id)).collect();
        by_age.sort_unstable();
        let excess = by_age.len().saturating_sub(FINAL_KEPT);
        for (_, id) in by_age.into_iter().take(excess) {
            self.all.remove(&id);
        }
    }

    /// The order as it is kept in the data file.
    #[must_use]
    pub fn record(&self, id: ClientOrderId) -> Option<OrderRecord> {
        let o = self.all.get(&id)?;
        Some(OrderRecord {
            order: o.new,
            order_id: o.order_id,
            state: o.state,
            filled: o.filled,
            created: o.created,
            updated: o.updated,
            arrival_mid: o.reference.mid,
        })
    }

    /// Resting exits are decided at their own prices: their fills have neither spread nor slippage.
    fn insert_guards(&mut self, list: ClientOrderId, above: NewOrder, below: NewOrder, at: Timestamp) {
        for (order, purpose, leg) in [(above, Purpose::Target, Leg::Above), (below, Purpose::Stop, Leg::Below)] {
            let price = order.kind.stop().or(order.kind.price()).unwrap_or_default();
            let reference = Reference { mid: price, touch: price, sent_touch: price };
            self.insert(order, purpose, Some(Listed { list, leg }), reference, at);
        }
    }

    fn insert(&mut self, new: NewOrder, purpose: Purpose, listed: Option<Listed>, reference: Reference, at: Timestamp) {
        let order = Order {
            listed,
            new,
            order_id: None,
            state: OrderState::Submitted,
            purpose,
            filled: Qty::ZERO,
            venue_filled: Qty::ZERO,
            ended: None,
            trades: std::collections::BTreeSet::new(),
            reference,
            created: at,
            updated: at,
            asked: at,
            refused_cancels: 0,
            cancel_refused: Timestamp::EPOCH,
        };
        self.all.insert(new.id, order);
    }

    fn simple(&mut self, id: ClientOrderId, event: OrderEvent, at: Timestamp) -> Change {
        match self.all.get_mut(&id) {
            None => Change::Stranger,
            Some(order) => match order.apply(event, at) {
                true => Change::Updated(id),
                false => Change::None,
            },
        }
    }
}

#[cfg(test)]
impl Orders {
    /// A scripted desk places without risk.
    pub(super) fn insert_for_test(&mut self, new: NewOrder, purpose: Purpose, at: Timestamp) {
        self.insert(new, purpose, None, Reference::default(), at);
    }

    /// A scripted entry with the guard behind it.
    pub(super) fn insert_list_for_test(&mut self, entry: Option<NewOrder>, bracket: Bracket, at: Timestamp) {
        if let Some(entry) = entry {
            let listed = Some(Listed { list: bracket.list, leg: Leg::Working });
            self.insert(entry, Purpose::Entry, listed, Reference::default(), at);
        }
        self.insert_guards(bracket.list, bracket.above, bracket.below, at);
    }

    /// The venue cancels an order with its list.
    pub(super) fn end_for_test(&mut self, id: ClientOrderId, at: Timestamp) {
        for id in self.with_siblings(id) {
            self.all.get_mut(&id).expect("a scripted order exists").apply(OrderEvent::VenueCanceled, at);
        }
    }
}

/// Ends the order once the venue said so and all its fills are here.
fn settle(order: &mut Order, at: Timestamp) {
    let Some(ended) = order.ended else { return };
    if order.filled < order.venue_filled {
        return;
    }
    let event = match ended {
        OrderStatus::Filled => OrderEvent::VenueFilled,
        OrderStatus::Canceled => OrderEvent::VenueCanceled,
        _ => OrderEvent::VenueExpired,
    };
    order.apply(event, at);
}

mod as_list {
    use super::{BTreeMap, ClientOrderId, Order};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(orders: &BTreeMap<ClientOrderId, Order>, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(orders.values())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<ClientOrderId, Order>, D::Error> {
        Ok(Vec::<Order>::deserialize(input)?.into_iter().map(|o| (o.new.id, o)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderKind, Role, TradeId};

    fn sell(sequence: u64, qty: i128) -> NewOrder {
        NewOrder {
            id: ClientOrderId { sequence, ..ClientOrderId::default() },
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Sell,
            qty: Qty::from_raw(qty),
            kind: OrderKind::Market,
        }
    }

    fn fill(order: &NewOrder, trade: u64, qty: i128) -> VenueFill {
        VenueFill {
            id: order.id,
            order_id: OrderId(9),
            trade_id: TradeId(trade),
            symbol: order.symbol,
            side: order.side,
            price: crate::domain::Price::from_raw(1),
            qty: Qty::from_raw(qty),
            role: Role::Taker,
            fee: Qty::ZERO,
            fee_asset: "USDT".parse().unwrap(),
            at: Timestamp::EPOCH,
        }
    }

    fn stated(order: &NewOrder, status: OrderStatus, filled: i128) -> VenueOrder {
        VenueOrder {
            id: order.id,
            order_id: OrderId(9),
            symbol: order.symbol,
            side: order.side,
            status,
            qty: order.qty,
            filled: Qty::from_raw(filled),
            at: Timestamp::EPOCH,
        }
    }

    fn placed(qty: i128) -> (Orders, NewOrder) {
        let (mut orders, order) = (Orders::default(), sell(1, qty));
        orders.reduce(order, Purpose::Exit, Reference::default(), Timestamp::EPOCH);
        (orders, order)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(seconds)
    }

    #[test]
    fn a_repeated_fill_is_applied_once() {
        let (mut orders, order) = placed(10);
        assert_eq!(orders.fill(&fill(&order, 1, 4)), Change::Updated(order.id));
        assert_eq!(orders.fill(&fill(&order, 1, 4)), Change::None);
        assert_eq!(orders.get(order.id).unwrap().filled, Qty::from_raw(4));
        assert_eq!(orders.fill(&fill(&order, 2, 7)), Change::Overfilled(order.id));
    }

    #[test]
    fn an_end_waits_for_the_fills_it_speaks_of() {
        let (mut orders, order) = placed(10);
        orders.stated(&stated(&order, OrderStatus::Canceled, 6), at(1));
        assert!(!orders.get(order.id).unwrap().is_final());
        assert_eq!(orders.questions(at(4)).len(), 1, "the missing fills are asked for");
        orders.fill(&fill(&order, 1, 6));
        assert_eq!(orders.get(order.id).unwrap().state, OrderState::Canceled);
    }

    #[test]
    fn an_order_that_the_venue_has_put_away_has_ended_with_nothing_filled() {
        let (mut orders, order) = placed(10);
        orders.accepted(order.id, OrderId(9), at(1));
        assert_eq!(orders.archived(order.id, at(2)), Change::Updated(order.id));
        let ended = orders.get(order.id).unwrap();
        assert_eq!((ended.state, ended.remaining(), ended.order_id), (OrderState::Expired, Qty::ZERO, Some(OrderId(9))));
        assert_eq!(orders.archived(order.id, at(3)), Change::None);
        assert_eq!(orders.archived(sell(2, 1).id, at(3)), Change::Stranger);
    }

    #[test]
    fn a_live_order_that_the_venue_calls_rejected_has_ended() {
        let (mut orders, order) = placed(10);
        orders.accepted(order.id, OrderId(9), at(1));
        orders.stated(&stated(&order, OrderStatus::Rejected, 0), at(2));
        assert_eq!(orders.get(order.id).unwrap().state, OrderState::Expired, "a waiting stop that would trigger at once");
    }

    #[test]
    fn an_unanswered_order_is_asked_for_and_never_forgotten() {
        let (mut orders, order) = placed(10);
        assert!(orders.questions(at(1)).is_empty());
        let asked: usize = (2..40).map(|s| orders.questions(at(s)).len()).sum();
        assert_eq!(asked, 19);
        assert!(!orders.get(order.id).unwrap().is_final());
        for early in [30, 60] {
            assert_eq!(orders.missing(order.id, at(early)), Change::None, "{early} s are too early to be proof");
        }
        assert_eq!(orders.missing(order.id, at(61)), Change::Updated(order.id));
        assert_eq!(orders.get(order.id).unwrap().state, OrderState::Rejected);
    }

    #[test]
    fn an_order_that_was_live_is_never_ended_by_its_absence() {
        let (mut orders, order) = placed(10);
        orders.accepted(order.id, OrderId(9), at(1));
        assert_eq!(orders.missing(order.id, at(100)), Change::None);
    }

    #[test]
    fn an_order_given_up_and_alive_is_cancelled_again_and_again_but_not_at_every_word() {
        let (mut orders, order) = placed(10);
        assert_eq!(orders.cancel_revived(order.id, OrderId(9), at(1)), None, "it was not given up");
        orders.questions(at(61));
        orders.missing(order.id, at(61));
        let cancel = Some(Request::Cancel { id: order.id, symbol: order.symbol, order_id: Some(OrderId(9)) });
        assert_eq!(orders.cancel_revived(order.id, OrderId(9), at(61)), cancel);
        assert_eq!(orders.cancel_revived(order.id, OrderId(9), at(62)), None, "the cancel is on its way");
        assert_eq!(orders.cancel_revived(order.id, OrderId(9), at(63)), cancel, "it was lost");
    }

    #[test]
    fn refused_cancels_are_repeated_less_and_less_often() {
        let (mut orders, order) = placed(10);
        orders.accepted(order.id, OrderId(9), at(1));
        let (mut now, mut sent) = (at(2), Vec::new());
        while now < at(62) {
            if orders.cancel(order.id, now).is_some() {
                sent.push(now.since(at(2)).millis());
                orders.cancel_refused(order.id, now);
                orders.stated(&stated(&order, OrderStatus::Open, 0), now);
            }
            now = now + Span::from_millis(50);
        }
        assert_eq!(sent, [0, 250, 750, 1_750, 3_750, 7_750, 15_750, 31_750]);
    }

    #[test]
    fn a_lost_cancel_is_seen_and_can_be_sent_again() {
        let (mut orders, order) = placed(10);
        orders.accepted(order.id, OrderId(9), at(1));
        orders.cancel(order.id, at(2));
        orders.stated(&stated(&order, OrderStatus::Open, 0), at(3));
        assert_eq!(orders.get(order.id).unwrap().state, OrderState::CancelSent, "the cancel may still be on its way");
        orders.stated(&stated(&order, OrderStatus::Open, 0), at(5));
        assert_eq!(orders.get(order.id).unwrap().state, OrderState::Open);
        assert!(orders.cancel(order.id, at(6)).is_some());
    }

    #[test]
    fn a_refused_cancel_leads_to_a_question() {
        let (mut orders, order) = placed(10);
        orders.accepted(order.id, OrderId(9), at(1));
        assert!(orders.cancel(order.id, at(2)).is_some());
        assert!(orders.cancel(order.id, at(2)).is_none(), "asked once");
        orders.cancel_refused(order.id, at(3));
        assert_eq!(orders.unknown_qty(order.symbol), Qty::from_raw(10));
    }
}
