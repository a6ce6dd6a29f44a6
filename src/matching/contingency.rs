//! How the orders of a list live by each other's fate. Source: Binance, order list FAQ.
//!
//! An OCO pair shares one lock, the larger of the two. When one of the pair fills or its stop is reached, the other expires first.
//! Pending orders go live once the working order has filled as a whole, after everything that filled it is told; a rule that refuses one
//! then ends the pending orders. When the working order ends otherwise, they expire with it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::exchange::Exchange;
use super::list::{ListChange, ListNews, ListRef, ListRequest, ListShape, ListView};
use super::submit::{first_phase, funds_needed, refused};
use super::taker::Walk;
use super::trigger::condition;
use super::{AccountId, Expiry, Leg, OrderRequest, OrderView, Phase, Reject, Report, ReportKind};
use crate::domain::{ListStatus, OrderId, OrderKind, OrderListId, OrderStatus, Price, Qty, Side, Symbol, Timestamp};

/// Every remembered list.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    pub all: BTreeMap<OrderListId, ListView>,
    /// Lists that are done, by the time of their end.
    pub closed: VecDeque<OrderListId>,
    /// Lists whose pending orders are about to go live.
    due: VecDeque<OrderListId>,
}

impl Lists {
    pub(super) fn of(all: BTreeMap<OrderListId, ListView>, closed: VecDeque<OrderListId>) -> Self {
        Self { all, closed, due: VecDeque::new() }
    }
}

impl Exchange {
    /// A new list. A refusal is both returned and reported for its first order; it changes nothing else.
    ///
    /// # Errors
    /// The first rule that the list or one of its orders breaks.
    pub fn submit_list(
        &mut self,
        now: Timestamp,
        account: AccountId,
        request: &ListRequest,
        reports: &mut Vec<Report>,
    ) -> Result<OrderListId, Reject> {
        match self.check_list(account, request) {
            Ok((place, found)) => Ok(self.accept_list(now, account, place, request, &found, reports)),
            Err(reject) => {
                if let Some(first) = request.shape.legs().first() {
                    reports.push(refused(now, account, &first.request, first.terms, reject));
                }
                Err(reject)
            }
        }
    }

    /// Cancels every open order of a list and gives its last state.
    ///
    /// # Errors
    /// `UnknownOrder` when there is no such open list, `CancelClosed` while the symbol takes no cancels.
    pub fn cancel_list(
        &mut self,
        now: Timestamp,
        account: AccountId,
        symbol: Symbol,
        list: ListRef<'_>,
        reports: &mut Vec<Report>,
    ) -> Result<ListView, Reject> {
        let open = |list: &&ListView| list.symbol == symbol && list.status == ListStatus::Executing;
        let id = self.order_list(account, list).filter(open).ok_or(Reject::UnknownOrder)?.list_id;
        self.takes_cancels(symbol)?;
        self.cancel_legs(now, id, reports);
        self.lists.all.get(&id).cloned().ok_or(Reject::UnknownOrder)
    }

    /// The market's place, and what the working order finds if it takes.
    fn check_list(&self, account: AccountId, request: &ListRequest) -> Result<(usize, Walk), Reject> {
        let legs = request.shape.legs();
        let first = legs.first().ok_or(Reject::BadList)?;
        let (place, customer) = self.parties(account, first.request.symbol)?;
        if legs.iter().any(|leg| leg.request.symbol != first.request.symbol) {
            return Err(Reject::BadList);
        }
        check_shape(&request.shape)?;
        let requests: Vec<&OrderRequest> = legs.iter().map(|leg| &leg.request).collect();
        self.screen_all(place, customer, &requests)?;
        let market = &self.markets[place];
        let open = self.open_lists(account, Some(first.request.symbol));
        if open.len() >= market.rules.max_order_lists {
            return Err(Reject::TooManyLists);
        }
        let twice = |at: usize, id: &str| !id.is_empty() && requests[..at].iter().any(|other| other.client_id == id);
        if requests.iter().enumerate().any(|(at, r)| customer.open_as(place, &r.client_id).is_some() || twice(at, &r.client_id))
            || open.iter().any(|list| *list.client_id == *request.client_id)
        {
            return Err(Reject::DuplicateClientId);
        }
        let (found, needed) = match &request.shape {
            ListShape::Oco { above, below } => {
                let price = market.reference().ok_or(Reject::NoLiquidity)?;
                if edge(above) <= price || edge(below) >= price {
                    return Err(Reject::OcoPrices);
                }
                let mut needed = Qty::ZERO;
                for leg in [above, below] {
                    let found = self.entry(market, account, &leg.request, leg.terms)?;
                    needed = needed.max(funds_needed(&market.instrument, &leg.request, &found));
                }
                (Walk::nothing(), needed)
            }
            ListShape::Oto { working, .. } | ListShape::Otoco { working, .. } => {
                let found = self.entry(market, account, &working.request, working.terms)?;
                let needed = funds_needed(&market.instrument, &working.request, &found);
                (found, needed)
            }
        };
        if customer.free(market.paying(first.request.side)) < needed {
            return Err(Reject::InsufficientBalance);
        }
        Ok((place, found))
    }

    fn accept_list(
        &mut self,
        now: Timestamp,
        account: AccountId,
        place: usize,
        request: &ListRequest,
        found: &Walk,
        reports: &mut Vec<Report>,
    ) -> OrderListId {
        self.counters.list += 1;
        let list_id = OrderListId(self.counters.list);
        let legs = request.shape.legs();
        let ids: Vec<OrderId> = legs.iter().map(|leg| self.insert(now, account, place, &leg.request, leg.terms, Some(list_id))).collect();
        let name = |id: &OrderId| self.orders.view(*id).map(|order| (*id, Arc::clone(&order.client_id)));
        let list = ListView {
            account,
            list_id,
            client_id: if request.client_id.is_empty() { format!("list-{}", list_id.0).into() } else { request.client_id.as_str().into() },
            symbol: self.markets[place].instrument.symbol,
            kind: request.shape.kind(),
            status: ListStatus::Executing,
            legs: ids.iter().filter_map(name).collect(),
            created_at: now,
            updated_at: now,
        };
        let pair = list.pair();
        if let Some((above, below)) = pair {
            self.join(above, below);
        }
        let live = if list.working().is_some() { 1 } else { ids.len() };
        self.lists.all.insert(list_id, list);
        self.tell_list(now, list_id, ListChange::Started, reports);
        for (nth, (id, leg)) in ids.iter().zip(&legs).enumerate() {
            if nth < live {
                self.set_phase(*id, first_phase(leg.request.kind), now);
            }
            self.tell(now, *id, ReportKind::Accepted, reports);
        }
        for id in &ids[..live] {
            self.start(now, *id, found, reports);
        }
        self.enter_pending(now, reports);
        list_id
    }

    pub(super) fn join(&mut self, above: OrderId, below: OrderId) {
        for (id, twin) in [(above, below), (below, above)] {
            if let Some(record) = self.orders.get_mut(id) {
                record.twin = Some(twin);
            }
        }
    }

    /// The working order last, so that it does not expire what is to be cancelled.
    pub(super) fn cancel_legs(&mut self, now: Timestamp, list: OrderListId, reports: &mut Vec<Report>) {
        let Some(list) = self.lists.all.get(&list) else { return };
        let legs: Vec<OrderId> = list.legs.iter().rev().map(|leg| leg.0).collect();
        for id in legs {
            self.close(now, id, OrderStatus::Canceled, ReportKind::Canceled, reports);
        }
    }

    /// What the end of one order means for its list.
    pub(super) fn leg_ended(&mut self, at: Timestamp, list_id: OrderListId, id: OrderId, reports: &mut Vec<Report>) {
        let Some(list) = self.lists.all.get(&list_id) else { return };
        let legs: Vec<OrderId> = list.legs.iter().map(|leg| leg.0).collect();
        if list.working() == Some(id) {
            if self.orders.view(id).is_some_and(|order| order.status == OrderStatus::Filled) {
                self.lists.due.push_back(list_id);
                return;
            }
            for pending in &legs[1..] {
                self.expire(at, *pending, Expiry::PhaseOne, reports);
            }
        }
        let over = legs.iter().all(|leg| self.orders.view(*leg).is_none_or(|order| order.status.is_final()));
        let Some(list) = self.lists.all.get_mut(&list_id) else { return };
        if !over || list.status != ListStatus::Executing {
            return;
        }
        list.status = ListStatus::AllDone;
        list.updated_at = at;
        self.tell_list(at, list_id, ListChange::Done, reports);
        self.lists.closed.push_back(list_id);
        if self.lists.closed.len() > self.config.history
            && let Some(oldest) = self.lists.closed.pop_front()
        {
            self.lists.all.remove(&oldest);
        }
    }

    /// Pending orders whose working order has filled go live, now that everything that filled it is told.
    pub(super) fn enter_pending(&mut self, now: Timestamp, reports: &mut Vec<Report>) {
        while let Some(list_id) = self.lists.due.pop_front() {
            let Some(list) = self.lists.all.get(&list_id) else { continue };
            let pending: Vec<OrderId> = list.legs[1..].iter().map(|leg| leg.0).collect();
            match self.check_entry(&pending) {
                Ok(walks) => {
                    for id in &pending {
                        let phase = self.orders.view(*id).map_or(Phase::Working, |order| first_phase(order.kind));
                        self.set_phase(*id, phase, now);
                        self.tell(now, *id, ReportKind::Entered, reports);
                    }
                    for (id, found) in pending.iter().zip(&walks) {
                        self.start(now, *id, found, reports);
                    }
                }
                Err(_) => pending.iter().for_each(|id| self.expire(now, *id, Expiry::RefusedOnEntry, reports)),
            }
        }
    }

    /// The rules of the moment for orders that were pending; funds of a pair count once.
    fn check_entry(&self, pending: &[OrderId]) -> Result<Vec<Walk>, Reject> {
        let (mut walks, mut needed) = (Vec::new(), Qty::ZERO);
        let mut free = Qty::ZERO;
        for id in pending {
            let record = self.orders.get(*id).filter(|record| !record.view.status.is_final()).ok_or(Reject::UnknownOrder)?;
            let (market, order) = (&self.markets[record.market], &record.view);
            if let Some(reject) = market.status().refuses_orders() {
                return Err(reject);
            }
            let request = request_of(order);
            let mut terms = order.terms;
            terms.self_trade = Some(order.self_trade);
            let found = self.entry(market, order.account, &request, terms)?;
            needed = needed.max(funds_needed(&market.instrument, &request, &found));
            free = self.accounts.get(&order.account).map_or(Qty::ZERO, |customer| customer.free(market.paying(order.side)));
            walks.push(found);
        }
        if free < needed { Err(Reject::InsufficientBalance) } else { Ok(walks) }
    }

    pub(super) fn tell_list(&mut self, at: Timestamp, list_id: OrderListId, change: ListChange, reports: &mut Vec<Report>) {
        let Some(list) = self.lists.all.get(&list_id).cloned() else { return };
        let Some((first, _)) = list.legs.first().cloned() else { return };
        self.tell(at, first, ReportKind::List(Box::new(ListNews { change, list })), reports);
    }
}

fn request_of(order: &OrderView) -> OrderRequest {
    OrderRequest {
        client_id: order.client_id.to_string(),
        symbol: order.symbol,
        side: order.side,
        qty: order.remaining(),
        kind: order.kind,
    }
}

/// The price that a leg of an OCO acts at: its stop, or its limit.
fn edge(leg: &Leg) -> Price {
    condition(leg.request.side, leg.request.kind).map(|(stop, _)| stop).or(leg.request.kind.price()).unwrap_or(Price::ZERO)
}

fn check_shape(shape: &ListShape) -> Result<(), Reject> {
    match shape {
        ListShape::Oco { above, below } => check_pair(above, below),
        ListShape::Oto { working, .. } => check_working(working),
        ListShape::Otoco { working, above, below } => check_working(working).and_then(|()| check_pair(above, below)),
    }
}

fn check_working(working: &Leg) -> Result<(), Reject> {
    let rests = matches!(working.request.kind, OrderKind::Limit { .. } | OrderKind::LimitMaker { .. });
    if rests { Ok(()) } else { Err(Reject::WorkingType) }
}

/// Which sort of order stands on which side of the market.
fn check_pair(above: &Leg, below: &Leg) -> Result<(), Reject> {
    let (a, b) = (&above.request, &below.request);
    if a.side != b.side || a.qty != b.qty {
        return Err(Reject::BadList);
    }
    let is_limit = |kind: OrderKind| matches!(kind, OrderKind::LimitMaker { .. });
    let is_stop = |kind: OrderKind| matches!(kind, OrderKind::StopLoss { .. } | OrderKind::StopLossLimit { .. });
    if [a.kind, b.kind].iter().any(|kind| kind.stop().is_none() && !is_limit(*kind)) {
        return Err(Reject::OcoType);
    }
    if is_limit(a.kind) && is_limit(b.kind) {
        return Err(Reject::OcoBothLimit);
    }
    let (winning, losing) = if a.side == Side::Sell { (a.kind, b.kind) } else { (b.kind, a.kind) };
    match (a.side, is_stop(winning), is_limit(losing), is_stop(losing)) {
        (_, false, false, true) => Ok(()),
        (Side::Buy, _, true, _) => Err(Reject::BuyLimitAbove),
        (Side::Sell, _, true, _) => Err(Reject::SellLimitBelow),
        (Side::Buy, true, ..) => Err(Reject::BuyStopBelow),
        (Side::Sell, true, ..) => Err(Reject::SellStopAbove),
        (Side::Buy, false, ..) => Err(Reject::BuyTakeProfitAbove),
        (Side::Sell, false, ..) => Err(Reject::SellTakeProfitBelow),
    }
}
