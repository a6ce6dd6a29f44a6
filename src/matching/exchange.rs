//! `Exchange`: one venue, many symbols. What arrives: market data, new orders, cancels. What changes is told in reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::Customer;
use super::display::Display;
use super::order::lock_of;
use super::queue::{MakerFill, Queue};
use super::saved::Saved;
use super::taker::{End, Source, Step, Walk, walk};
use super::{AccountId, Execution, Expiry, OrderRef, OrderRequest, OrderView, Reject, Report, ReportKind};
use crate::domain::{
    Asset, Bps, Instrument, MarketData, MarketUpdate, Money, OrderId, OrderKind, OrderStatus, Price, Qty, Role, Side, Symbol, TimeInForce,
    Timestamp, TradeId,
};

/// What the venue is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeConfig {
    pub instruments: Vec<Instrument>,
    /// Where only quotes are known: how much worse than the quote the rest of a market order fills.
    pub impact: Bps,
    /// Open orders that an account may have in one symbol.
    pub max_open_orders: usize,
    /// Closed orders, and fills, that are remembered; the oldest go first.
    pub history: usize,
}

impl ExchangeConfig {
    /// Impact 5 bps, 200 open orders, 200,000 remembered.
    #[must_use]
    pub fn new(instruments: Vec<Instrument>) -> Self {
        Self { instruments, impact: Bps::from_bps(5), max_open_orders: 200, history: 200_000 }
    }
}

/// A pure venue: the same calls with the same times give the same reports. Serialises without the market's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Exchange {
    pub(super) config: ExchangeConfig,
    pub(super) markets: BTreeMap<Symbol, Market>,
    pub(super) accounts: BTreeMap<AccountId, Customer>,
    pub(super) orders: BTreeMap<OrderId, OrderView>,
    /// Final orders, oldest first.
    pub(super) closed: VecDeque<OrderId>,
    pub(super) trades: VecDeque<Execution>,
    pub(super) last_order: u64,
    pub(super) last_trade: u64,
}

/// One symbol: what it is, what the market displays, what rests here.
#[derive(Debug, Clone)]
pub(super) struct Market {
    pub instrument: Instrument,
    pub display: Display,
    pub queue: Queue,
}

impl Exchange {
    #[must_use]
    pub fn new(config: ExchangeConfig) -> Self {
        let market =
            |instrument: &Instrument| Market { instrument: instrument.clone(), display: Display::default(), queue: Queue::default() };
        Self {
            markets: config.instruments.iter().map(|i| (i.symbol, market(i))).collect(),
            config,
            accounts: BTreeMap::new(),
            orders: BTreeMap::new(),
            closed: VecDeque::new(),
            trades: VecDeque::new(),
            last_order: 0,
            last_trade: 0,
        }
    }

    /// Opens an account, or adds to the balances of an open one.
    pub fn open_account(&mut self, account: AccountId, balances: &[(Asset, Qty)]) {
        let customer = self.accounts.entry(account).or_default();
        for (asset, qty) in balances {
            customer.balance(*asset).free += *qty;
        }
    }

    /// Trade ids go on after `last`: for an exchange that continues another one's account.
    pub fn continue_trades_after(&mut self, last: TradeId) {
        self.last_trade = self.last_trade.max(last.0);
    }

    /// Replaces an instrument's rules (fees, filters, whether it trades), or lists a new one. Resting orders stay.
    pub fn set_instrument(&mut self, instrument: Instrument) {
        self.config.instruments.retain(|known| known.symbol != instrument.symbol);
        self.config.instruments.push(instrument.clone());
        match self.markets.get_mut(&instrument.symbol) {
            Some(market) => market.instrument = instrument,
            None => {
                self.markets.insert(instrument.symbol, Market { instrument, display: Display::default(), queue: Queue::default() });
            }
        }
    }

    /// What the market did; fills of resting orders are reported at the update's local time. Candles and unknown symbols are ignored.
    pub fn on_market(&mut self, update: &MarketUpdate, reports: &mut Vec<Report>) {
        let Some(market) = self.markets.get_mut(&update.symbol) else { return };
        let mut fills = Vec::new();
        match &update.data {
            MarketData::Snapshot(snapshot) => {
                market.display.replace(snapshot);
                market.queue.refresh_all(&market.display);
            }
            MarketData::Depth(diff) => {
                if market.display.apply(diff) && !market.queue.is_empty() {
                    diff.bids.iter().for_each(|level| market.queue.refresh(&market.display, Side::Buy, level.price));
                    diff.asks.iter().for_each(|level| market.queue.refresh(&market.display, Side::Sell, level.price));
                }
            }
            MarketData::Quote(quote) => {
                if market.display.quote(quote) {
                    market.queue.refresh_all(&market.display);
                }
            }
            MarketData::Trade(trade) => market.queue.on_trade(trade, &mut fills),
            MarketData::Interrupted => market.display.clear(),
            MarketData::Candle { .. } => return,
        }
        if !market.queue.is_empty() && market.display.best().is_some() {
            market.queue.on_cross(&mut market.display, &mut fills);
        }
        for fill in fills {
            let trade = self.next_trade();
            self.fill(update.local_time, trade, fill, Role::Maker, reports);
        }
    }

    /// A new order. A refusal is both returned and reported; it changes nothing else.
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
        match self.check(account, request) {
            Ok(walk) => Ok(self.accept(now, account, request, walk, reports)),
            Err(reject) => {
                let order = view(account, OrderId(0), request, now, OrderStatus::Rejected);
                reports.push(Report::of(&order, now, ReportKind::Rejected(reject)));
                Err(reject)
            }
        }
    }

    /// Cancels an open order and gives its last state.
    ///
    /// # Errors
    /// `UnknownOrder` when there is no such open order: it never was, or it is final.
    pub fn cancel(
        &mut self,
        now: Timestamp,
        account: AccountId,
        symbol: Symbol,
        order: OrderRef<'_>,
        reports: &mut Vec<Report>,
    ) -> Result<OrderView, Reject> {
        let found = self.order(account, symbol, order).filter(|order| !order.status.is_final()).ok_or(Reject::UnknownOrder)?;
        let id = found.order_id;
        self.close(now, id, OrderStatus::Canceled, ReportKind::Canceled, reports);
        self.orders.get(&id).cloned().ok_or(Reject::UnknownOrder)
    }

    /// Every rule, in the venue's order; what a taker would find comes back with the approval.
    fn check(&self, account: AccountId, request: &OrderRequest) -> Result<Walk, Reject> {
        let market = self.markets.get(&request.symbol).ok_or(Reject::UnknownSymbol)?;
        let customer = self.accounts.get(&account).ok_or(Reject::UnknownAccount)?;
        check_grid(&market.instrument, request)?;
        if !market.instrument.trading {
            return Err(Reject::MarketClosed);
        }
        let (bid, ask) = market.display.best().ok_or(Reject::NoLiquidity)?;
        let opposite = if request.side == Side::Buy { ask.price } else { bid.price };
        check_notional(&market.instrument, request.kind.price().unwrap_or(opposite), request.qty)?;
        if customer.open_in(request.symbol) >= self.config.max_open_orders {
            return Err(Reject::TooManyOrders);
        }
        if customer.open_as(request.symbol, &request.client_id).is_some() {
            return Err(Reject::DuplicateClientId);
        }
        let limit = request.kind.price();
        let crosses = |price: Price| limit.is_none_or(|limit| super::queue::reaches(request.side, limit, price));
        let meets = crosses(opposite) || market.queue.best(request.side.opposite()).is_some_and(crosses);
        if meets && matches!(request.kind, OrderKind::LimitMaker { .. }) {
            return Err(Reject::WouldTake);
        }
        let found = if meets { walk(market, account, request, self.config.impact) } else { Walk::nothing() };
        if limit.is_none() && found.steps.is_empty() && found.end != End::OwnOrder {
            return Err(Reject::NoLiquidity);
        }
        let free = customer.free(paying_asset(&market.instrument, request.side));
        if free < funds_needed(&market.instrument, request, &found) {
            return Err(Reject::InsufficientBalance);
        }
        Ok(found)
    }

    fn accept(&mut self, now: Timestamp, account: AccountId, request: &OrderRequest, found: Walk, reports: &mut Vec<Report>) -> OrderId {
        self.last_order += 1;
        let id = OrderId(self.last_order);
        let order = view(account, id, request, now, OrderStatus::Open);
        if let (Some(customer), Some(market)) = (self.accounts.get_mut(&account), self.markets.get(&request.symbol)) {
            customer.opened(&order);
            let lock = order.lock();
            let balance = customer.balance(paying_asset(&market.instrument, request.side));
            balance.free -= lock;
            balance.locked += lock;
        }
        reports.push(Report::of(&order, now, ReportKind::Accepted));
        self.orders.insert(id, order);

        let whole = matches!(request.kind, OrderKind::Limit { time_in_force: TimeInForce::Fok, .. });
        if whole && found.total() < request.qty {
            let why = if found.end == End::OwnOrder { Expiry::SelfTrade } else { Expiry::UnfilledFok };
            self.close(now, id, OrderStatus::Expired, ReportKind::Expired(why), reports);
            return id;
        }
        let funded = found.steps.iter().all(|step| self.take(now, id, step, reports));
        let remaining = self.orders.get(&id).map_or(Qty::ZERO, OrderView::remaining);
        if remaining.is_positive() {
            match ending(request.kind, found.end, funded) {
                Some(why) => self.close(now, id, OrderStatus::Expired, ReportKind::Expired(why), reports),
                None => self.rest(id, remaining),
            }
        }
        id
    }

    /// One step of a taker; false when a market order's funds ended.
    fn take(&mut self, now: Timestamp, id: OrderId, step: &Step, reports: &mut Vec<Report>) -> bool {
        let Some(order) = self.orders.get(&id) else { return false };
        let Some(market) = self.markets.get_mut(&order.symbol) else { return false };
        let mut qty = step.qty;
        if order.side == Side::Buy && order.kind == OrderKind::Market {
            let free = self.accounts.get(&order.account).map_or(Qty::ZERO, |customer| customer.free(market.instrument.quote));
            qty = qty.min(Money::from_quote(free).buys_at(step.price).floor_to(market.instrument.step));
        }
        let side = order.side;
        if qty.is_positive() {
            match step.source {
                Source::Shown => market.display.take(side, step.price, qty),
                Source::Resting(maker) => market.queue.reduce(side.opposite(), step.price, maker, qty),
                Source::Impact => {}
            }
            let trade = self.next_trade();
            self.fill(now, trade, MakerFill { id, price: step.price, qty }, Role::Taker, reports);
            if let Source::Resting(maker) = step.source {
                self.fill(now, trade, MakerFill { id: maker, price: step.price, qty }, Role::Maker, reports);
            }
        }
        qty == step.qty
    }

    fn rest(&mut self, id: OrderId, remaining: Qty) {
        let Some(order) = self.orders.get(&id) else { return };
        let (Some(price), Some(market)) = (order.kind.price(), self.markets.get_mut(&order.symbol)) else { return };
        market.queue.add(&market.display, order.side, price, id, order.account, remaining);
    }
}

/// How the rest of an order ends; `None` when it rests.
fn ending(kind: OrderKind, end: End, funded: bool) -> Option<Expiry> {
    match kind {
        _ if !funded => Some(Expiry::Funds),
        _ if end == End::OwnOrder => Some(Expiry::SelfTrade),
        OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => Some(Expiry::Liquidity),
        OrderKind::LimitMaker { .. } => None,
        OrderKind::Limit { time_in_force, .. }
        | OrderKind::StopLossLimit { time_in_force, .. }
        | OrderKind::TakeProfitLimit { time_in_force, .. } => match time_in_force {
            TimeInForce::Gtc => None,
            TimeInForce::Ioc => Some(Expiry::UnfilledIoc),
            TimeInForce::Fok => Some(Expiry::UnfilledFok),
        },
    }
}

fn view(account: AccountId, order_id: OrderId, request: &OrderRequest, now: Timestamp, status: OrderStatus) -> OrderView {
    let client_id: Arc<str> =
        if request.client_id.is_empty() { format!("auto-{}", order_id.0).into() } else { request.client_id.as_str().into() };
    OrderView {
        account,
        order_id,
        client_id,
        symbol: request.symbol,
        side: request.side,
        qty: request.qty,
        kind: request.kind,
        status,
        filled: Qty::ZERO,
        filled_quote: Money::ZERO,
        created_at: now,
        updated_at: now,
    }
}

pub(super) fn paying_asset(instrument: &Instrument, side: Side) -> Asset {
    match side {
        Side::Buy => instrument.quote,
        Side::Sell => instrument.base,
    }
}

/// A market buy needs the funds for its first grain; everything else needs its whole lock.
fn funds_needed(instrument: &Instrument, request: &OrderRequest, found: &Walk) -> Qty {
    match (request.kind.price(), request.side, found.steps.first()) {
        (Some(price), side, _) => lock_of(side, price, request.qty),
        (None, Side::Sell, _) => request.qty,
        (None, Side::Buy, Some(first)) => {
            let grain = if instrument.step.is_positive() { instrument.step } else { Qty::from_raw(1) };
            let exact = first.price.notional(grain).unwrap_or(Money::ZERO);
            let floor = exact.to_quote();
            if Money::from_quote(floor) < exact { floor + Qty::from_raw(1) } else { floor }
        }
        (None, Side::Buy, None) => Qty::ZERO,
    }
}

/// Exact integer modulo, counted from zero.
fn check_grid(instrument: &Instrument, request: &OrderRequest) -> Result<(), Reject> {
    if let Some(price) = request.kind.price() {
        let off = instrument.tick.is_positive() && price.raw() % instrument.tick.raw() != 0;
        if !price.is_positive() || off {
            return Err(Reject::PriceFilter);
        }
    }
    let qty = request.qty;
    let off = instrument.step.is_positive() && qty.raw() % instrument.step.raw() != 0;
    let above = instrument.max_qty.is_positive() && qty > instrument.max_qty;
    if !qty.is_positive() || off || qty < instrument.min_qty || above {
        return Err(Reject::LotSize);
    }
    Ok(())
}

fn check_notional(instrument: &Instrument, price: Price, qty: Qty) -> Result<(), Reject> {
    let notional = price.notional(qty).ok_or(Reject::Notional)?;
    let above = instrument.max_notional.is_positive() && notional > instrument.max_notional;
    if notional < instrument.min_notional || above { Err(Reject::Notional) } else { Ok(()) }
}
