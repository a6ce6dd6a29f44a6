//! How an order comes in: what may refuse it, and what it does the moment it works.

use std::sync::Arc;

use super::account::Customer;
use super::exchange::Exchange;
use super::market::Market;
use super::order::{lock_of, time_in_force};
use super::orders::Record;
use super::queue::{MakerFill, Resting, reaches};
use super::rules::SymbolStatus;
use super::taker::{End, Source, Step, Taker, Walk, walk};
use super::trigger::{condition, reached};
use super::{AccountId, Expiry, OrderRequest, OrderView, Phase, Reject, Report, ReportKind, SelfTradeMode, Terms};
use crate::domain::{
    Instrument, Money, OrderId, OrderKind, OrderListId, OrderStatus, Price, Qty, Role, Side, Symbol, TimeInForce, Timestamp,
};

impl Exchange {
    /// A new order under the symbol's usual terms. A refusal is both returned and reported; it changes nothing else.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn submit(
        &mut self,
        now: Timestamp,
        account: AccountId,
        request: &OrderRequest,
        reports: &mut Vec<Report>,
    ) -> Result<OrderId, Reject> {
        self.place(now, account, request, Terms::default(), reports)
    }

    /// A new order under its own terms.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn place(
        &mut self,
        now: Timestamp,
        account: AccountId,
        request: &OrderRequest,
        terms: Terms,
        reports: &mut Vec<Report>,
    ) -> Result<OrderId, Reject> {
        match self.check(account, request, terms) {
            Ok((place, found)) => {
                let id = self.insert(now, account, place, request, terms, None);
                self.set_phase(id, first_phase(request.kind), now);
                self.tell(now, id, ReportKind::Accepted, reports);
                self.start(now, id, &found, reports);
                self.enter_pending(now, reports);
                Ok(id)
            }
            Err(reject) => {
                reports.push(refused(now, account, request, terms, reject));
                Err(reject)
            }
        }
    }

    /// Whether `place` would accept the order now.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn would_accept(&self, account: AccountId, request: &OrderRequest, terms: Terms) -> Result<(), Reject> {
        self.check(account, request, terms).map(drop)
    }

    /// Filters, status and open-order counts alone: what does not depend on funds, ids or the book's other side.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn screen(&self, account: AccountId, request: &OrderRequest) -> Result<(), Reject> {
        let (place, customer) = self.parties(account, request.symbol)?;
        self.screen_all(place, customer, &[request])
    }

    /// Every rule, in the venue's order; the market's place and what a taker would find come back with the approval.
    fn check(&self, account: AccountId, request: &OrderRequest, terms: Terms) -> Result<(usize, Walk), Reject> {
        let (place, customer) = self.parties(account, request.symbol)?;
        self.screen_all(place, customer, &[request])?;
        if customer.open_as(place, &request.client_id).is_some() {
            return Err(Reject::DuplicateClientId);
        }
        let market = &self.markets[place];
        let found = self.entry(market, account, request, terms)?;
        if customer.free(market.paying(request.side)) < funds_needed(&market.instrument, request, &found) {
            return Err(Reject::InsufficientBalance);
        }
        Ok((place, found))
    }

    pub(super) fn parties(&self, account: AccountId, symbol: Symbol) -> Result<(usize, &Customer), Reject> {
        let place = self.place_of(symbol).ok_or(Reject::UnknownSymbol)?;
        Ok((place, self.accounts.get(&account).ok_or(Reject::UnknownAccount)?))
    }

    /// Filters, status and counts of orders that come together.
    pub(super) fn screen_all(&self, place: usize, customer: &Customer, requests: &[&OrderRequest]) -> Result<(), Reject> {
        let market = &self.markets[place];
        let average = market.average.price().or(market.last);
        for request in requests {
            market.rules.check(&market.instrument, request, average)?;
        }
        if let Some(reject) = market.status().refuses_orders() {
            return Err(reject);
        }
        let (bid, ask) = market.display.best().ok_or(Reject::NoLiquidity)?;
        for request in requests {
            let touch = if request.side == Side::Buy { ask.price } else { bid.price };
            let price = request.kind.price().or(average).unwrap_or(touch);
            market.rules.check_notional(&market.instrument, request.kind, price, request.qty)?;
        }
        if customer.open_count(place) + requests.len() > market.rules.max_orders {
            return Err(Reject::TooManyOrders);
        }
        let algo = requests.iter().filter(|request| request.kind.stop().is_some()).count();
        if algo > 0 && self.waiting_orders(place, customer) + algo > market.rules.max_algo_orders {
            return Err(Reject::TooManyAlgoOrders);
        }
        if let Some(most) = market.rules.max_position {
            let buys: Qty =
                requests.iter().filter(|request| request.side == Side::Buy).map(|request| request.qty).max().unwrap_or_default();
            if buys.is_positive() && customer.total(market.base) + self.open_buys(place, customer) + buys > most {
                return Err(Reject::MaxPosition);
            }
        }
        Ok(())
    }

    /// Open conditional orders whose stop was not reached yet.
    fn waiting_orders(&self, place: usize, customer: &Customer) -> usize {
        let waits = |order: &&OrderView| order.kind.stop().is_some() && order.phase != Phase::Working;
        customer.open(place).filter_map(|id| self.orders.view(id)).filter(waits).count()
    }

    fn open_buys(&self, place: usize, customer: &Customer) -> Qty {
        let open = customer.open(place).filter_map(|id| self.orders.view(id));
        open.filter(|order| order.side == Side::Buy && order.phase != Phase::Pending).map(OrderView::remaining).sum()
    }

    /// The rules of the moment at which an order begins to wait or work; funds apart.
    pub(super) fn entry(&self, market: &Market, account: AccountId, request: &OrderRequest, terms: Terms) -> Result<Walk, Reject> {
        if let Some(condition) = condition(request.side, request.kind) {
            let price = market.reference().ok_or(Reject::NoLiquidity)?;
            return if reached(condition, price) { Err(Reject::WouldTrigger) } else { Ok(Walk::nothing()) };
        }
        let limit = request.kind.price();
        let opposite = market.display.best().and_then(|_| market.display.touch(request.side));
        let crosses = |price: Price| limit.is_none_or(|limit| reaches(request.side, limit, price));
        let meets = opposite.is_some_and(crosses) || market.queue.best(request.side.opposite()).is_some_and(crosses);
        if !meets {
            return if limit.is_none() { Err(Reject::EmptyBook) } else { Ok(Walk::nothing()) };
        }
        if matches!(request.kind, OrderKind::LimitMaker { .. }) {
            return Err(Reject::WouldTake);
        }
        let mode = terms.self_trade.unwrap_or(market.rules.self_trade);
        let found = walk(market, &Taker { account, side: request.side, limit, qty: request.qty, mode }, self.config.impact);
        if limit.is_none() && found.steps.is_empty() && found.end == End::Done { Err(Reject::EmptyBook) } else { Ok(found) }
    }

    /// Remembers a new order, pending: nothing is locked yet.
    pub(super) fn insert(
        &mut self,
        now: Timestamp,
        account: AccountId,
        place: usize,
        request: &OrderRequest,
        terms: Terms,
        list_id: Option<OrderListId>,
    ) -> OrderId {
        self.counters.order += 1;
        let id = OrderId(self.counters.order);
        let mut view = view(account, id, request, terms, now, OrderStatus::Open);
        view.list_id = list_id;
        view.self_trade = terms.self_trade.unwrap_or(self.markets[place].rules.self_trade);
        if let Some(customer) = self.accounts.get_mut(&account) {
            customer.opened(place, &view);
        }
        self.orders.insert(Record { view, market: place, twin: None });
        id
    }

    /// The moment an order begins to wait or to work; a waiting one is done with that.
    pub(super) fn start(&mut self, now: Timestamp, id: OrderId, found: &Walk, reports: &mut Vec<Report>) {
        let Some(record) = self.orders.get(id) else { return };
        let (kind, side, qty, mode, place) =
            (record.view.kind, record.view.side, record.view.remaining(), record.view.self_trade, record.market);
        if record.view.phase == Phase::Waiting {
            if let Some(condition) = condition(side, kind) {
                self.markets[place].waiting.add(condition, id);
            }
            return;
        }
        let whole = time_in_force(kind) == Some(TimeInForce::Fok);
        if !(whole && found.total() < qty) {
            let funded = found.steps.iter().all(|step| self.take(now, id, place, step, reports));
            let left = self.orders.view(id).filter(|order| !order.status.is_final()).map_or(Qty::ZERO, OrderView::remaining);
            if !left.is_positive() {
                return;
            }
            if !funded {
                return self.expire(now, id, Expiry::Funds, reports);
            }
            if found.end == End::Done {
                return match ending(kind) {
                    Some(why) => self.expire(now, id, why, reports),
                    None => self.rest(id, place),
                };
            }
        }
        match found.end {
            End::OwnOrder { maker, price } => self.prevent(now, id, maker, price, mode, reports),
            End::Done => self.expire(now, id, Expiry::UnfilledFok, reports),
        }
    }

    /// One step of a taker; false when a market order's funds ended.
    fn take(&mut self, now: Timestamp, id: OrderId, place: usize, step: &Step, reports: &mut Vec<Report>) -> bool {
        let Some(order) = self.orders.view(id) else { return false };
        let side = order.side;
        let mut qty = step.qty;
        if let Source::Own(maker) = step.source {
            self.prevent(now, id, maker, step.price, SelfTradeMode::ExpireMaker, reports);
            return true;
        }
        let market = &mut self.markets[place];
        if side == Side::Buy && order.kind.price().is_none() {
            let free = self.accounts.get(&order.account).map_or(Qty::ZERO, |customer| customer.free(market.quote));
            qty = qty.min(Money::from_quote(free).buys_at(step.price).floor_to(market.instrument.step));
        }
        if qty.is_positive() {
            match step.source {
                Source::Shown => market.display.take(side, step.price, qty),
                Source::Resting(maker) => market.queue.reduce(side.opposite(), step.price, maker, qty),
                Source::Impact | Source::Own(_) => {}
            }
            let trade = self.next_trade();
            self.fill(now, trade, MakerFill { id, price: step.price, qty }, Role::Taker, reports);
            if let Source::Resting(maker) = step.source {
                self.fill(now, trade, MakerFill { id: maker, price: step.price, qty }, Role::Maker, reports);
            }
        }
        qty == step.qty
    }

    pub(super) fn rest(&mut self, id: OrderId, place: usize) {
        let Some(order) = self.orders.view(id) else { return };
        let Some(price) = order.kind.price() else { return };
        let since = order.working_at.unwrap_or(order.created_at);
        let (side, resting) = (order.side, Resting::new(id, order.account, order.remaining(), since));
        let market = &mut self.markets[place];
        market.queue.add(&market.display, side, price, resting);
    }

    /// A stop was reached: the order works from now on.
    pub(super) fn trigger(&mut self, now: Timestamp, id: OrderId, reports: &mut Vec<Report>) {
        self.end_twin(now, id, reports);
        self.set_phase(id, Phase::Working, now);
        self.tell(now, id, ReportKind::Entered, reports);
        let found = self.meet(id);
        self.start(now, id, &found, reports);
    }

    /// What a working order that came from elsewhere finds.
    fn meet(&self, id: OrderId) -> Walk {
        let Some(record) = self.orders.get(id) else { return Walk::nothing() };
        let (market, order) = (&self.markets[record.market], &record.view);
        if market.status() != SymbolStatus::Trading || market.display.best().is_none() {
            return Walk::nothing();
        }
        let taker =
            Taker { account: order.account, side: order.side, limit: order.kind.price(), qty: order.remaining(), mode: order.self_trade };
        walk(market, &taker, self.config.impact)
    }
}

/// In which phase an order of its own begins.
pub(super) const fn first_phase(kind: OrderKind) -> Phase {
    if kind.stop().is_some() { Phase::Waiting } else { Phase::Working }
}

/// How the rest of an order that found nothing more ends; `None` when it rests.
const fn ending(kind: OrderKind) -> Option<Expiry> {
    match (kind, time_in_force(kind)) {
        (OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. }, _) => Some(Expiry::Liquidity),
        (_, Some(TimeInForce::Ioc)) => Some(Expiry::UnfilledIoc),
        (_, Some(TimeInForce::Fok)) => Some(Expiry::UnfilledFok),
        (_, Some(TimeInForce::Gtc) | None) => None,
    }
}

pub(super) fn refused(now: Timestamp, account: AccountId, request: &OrderRequest, terms: Terms, reject: Reject) -> Report {
    let order = view(account, OrderId(0), request, terms, now, OrderStatus::Rejected);
    Report::of(&order, now, 0, ReportKind::Rejected(reject))
}

fn view(account: AccountId, order_id: OrderId, request: &OrderRequest, terms: Terms, now: Timestamp, status: OrderStatus) -> OrderView {
    let client_id: Arc<str> =
        if request.client_id.is_empty() { format!("auto-{}", order_id.0).into() } else { request.client_id.as_str().into() };
    OrderView {
        account,
        order_id,
        list_id: None,
        client_id,
        symbol: request.symbol,
        side: request.side,
        qty: request.qty,
        kind: request.kind,
        status,
        phase: Phase::Pending,
        expiry: None,
        self_trade: terms.self_trade.unwrap_or(SelfTradeMode::None),
        terms,
        filled: Qty::ZERO,
        filled_quote: Money::ZERO,
        prevented: Qty::ZERO,
        prevented_match: None,
        amends: 0,
        created_at: now,
        updated_at: now,
        working_at: None,
    }
}

/// A market buy needs the funds for its first grain; everything else needs its whole lock.
pub(super) fn funds_needed(instrument: &Instrument, request: &OrderRequest, found: &Walk) -> Qty {
    match (request.kind, request.side, found.steps.first()) {
        (OrderKind::Market, Side::Sell, _) => request.qty,
        (OrderKind::Market, Side::Buy, Some(first)) => {
            let grain = if instrument.step.is_positive() { instrument.step } else { Qty::from_raw(1) };
            let exact = first.price.notional(grain).unwrap_or(Money::ZERO);
            let floor = exact.to_quote();
            if Money::from_quote(floor) < exact { floor + Qty::from_raw(1) } else { floor }
        }
        (OrderKind::Market, Side::Buy, None) => Qty::ZERO,
        (kind, side, _) => lock_of(side, kind, first_phase(kind), request.qty),
    }
}
