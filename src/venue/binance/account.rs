//! Our orders and balances at the venue: requests performed, orders of ours remembered while they live, and the reconciliation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::desk::Desk;
use super::error::ClientError;
use super::http::backoff;
use super::orders;
use super::outbox::Outbox;
use super::owed::Owed;
use super::rest::RestClient;
use super::rest_account::{OpenOrders, OrdersOf, TradesOf};
use crate::domain::{Asset, Balance, ClientOrderId, OrderId, Qty, Symbol, TradeId};
use crate::protocol::{VenueEvent, VenueOrder};

/// The venue's trade list may lag its order list; how often and how long we wait for it.
const TRADE_LAG_CHECKS: u32 = 4;
const TRADE_LAG: Duration = Duration::from_millis(300);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Trades, and orders, of a market that are remembered to find those that were not told.
const REMEMBERED: usize = 1_024;

pub(super) struct Account {
    pub rest: RestClient,
    pub out: Outbox,
    /// The way orders take.
    pub(super) desk: Desk,
    symbols: Mutex<Vec<Symbol>>,
    /// Orders of ours that no word of the venue has ended yet.
    live: Mutex<BTreeMap<ClientOrderId, Symbol>>,
    /// What was told of trades, to find those that were not.
    told: Mutex<BTreeMap<Symbol, Told>>,
    /// Orders that are being asked about: a question that waits (for a ban's end) must not be joined by another every two seconds.
    asking: Mutex<BTreeSet<ClientOrderId>>,
    /// The account is being asked for.
    stating: AtomicBool,
    /// Assets of our markets, and every asset that was held at some time: only these are told, zero or not.
    watched: Mutex<BTreeSet<Asset>>,
    /// Odd while the user stream is up; changes with every connection.
    epoch: AtomicU64,
    /// What the user stream has to report.
    owed: Mutex<Owed>,
    compare: Notify,
    first_reconciled: Notify,
}

impl Account {
    pub fn new(
        rest: RestClient,
        desk: Desk,
        out: Outbox,
        symbols: Vec<Symbol>,
        carried: &[(ClientOrderId, Symbol)],
        known_trades: &[(Symbol, TradeId)],
    ) -> Self {
        let told = known_trades
            .iter()
            .map(|(symbol, last)| (*symbol, Told { since: Some(TradeId(last.0 + 1)), earlier: true, ..Told::default() }));
        Self {
            rest,
            out,
            desk,
            symbols: Mutex::new(symbols),
            live: Mutex::new(carried.iter().copied().collect()),
            told: Mutex::new(told.collect()),
            asking: Mutex::new(BTreeSet::new()),
            stating: AtomicBool::new(false),
            watched: Mutex::new(BTreeSet::new()),
            epoch: AtomicU64::new(0),
            owed: Mutex::default(),
            compare: Notify::new(),
            first_reconciled: Notify::new(),
        }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, BTreeMap<ClientOrderId, Symbol>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<Symbol, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn symbols(&self) -> Vec<Symbol> {
        self.symbols.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks about these markets only: the venue refuses questions about one that it does not know.
    pub fn keep_to(&self, known: BTreeSet<Symbol>) {
        self.symbols.lock().unwrap_or_else(PoisonError::into_inner).retain(|symbol| known.contains(symbol));
        self.live().retain(|_, symbol| known.contains(symbol));
        self.told().retain(|symbol, _| known.contains(symbol));
    }

    pub fn watch(&self, assets: impl Iterator<Item = Asset>) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).extend(assets);
    }

    /// The account's balances without the hundreds of assets that it never held.
    async fn held(&self) -> Result<Vec<Balance>, ClientError> {
        let mut balances = self.rest.account().await?.balances;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.extend(balances.iter().filter(|b| !b.total().is_zero()).map(|b| b.asset));
        balances.retain(|b| watched.contains(&b.asset));
        Ok(balances)
    }

    pub fn user_stream_up(&self) {
        self.next_epoch();
        self.compare.notify_one();
    }

    pub fn user_stream_down(&self) {
        if self.is_up() {
            self.next_epoch();
        }
    }

    fn next_epoch(&self) {
        let mut owed = self.owed();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        owed.forgive();
    }

    /// What the user stream has to report.
    pub fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of the user stream that hears what becomes of an order sent now; `None` while there is none.
    pub(super) fn listening(&self) -> Option<u64> {
        Some(self.epoch.load(Ordering::SeqCst)).filter(|epoch| epoch % 2 == 1)
    }

    /// The venue took this order: the stream must report it, if it has listened since before the order left (`listening`).
    pub(super) fn owe_report(&self, id: ClientOrderId, listening: Option<u64>) {
        let mut owed = self.owed();
        if listening.is_some() && listening == self.listening() {
            owed.owe(id, Instant::now());
        }
    }

    fn is_up(&self) -> bool {
        self.epoch.load(Ordering::SeqCst) % 2 == 1
    }

    pub fn request_reconciliation(&self) {
        self.compare.notify_one();
    }

    /// Returns once the account was reconciled for the first time.
    pub async fn reconciled_once(&self) {
        self.first_reconciled.notified().await;
    }

    /// Tells an event and forgets the order that it ends.
    pub async fn tell(&self, event: VenueEvent) {
        match &event {
            VenueEvent::Fill(fill) => {
                let mut told = self.told();
                let market = told.entry(fill.symbol).or_default();
                market.order(fill.order_id, fill.id);
                market.trade(fill.trade_id);
            }
            VenueEvent::Order(order) => self.told().entry(order.symbol).or_default().order(order.order_id, order.id),
            _ => {}
        }
        if let VenueEvent::Order(order) = &event
            && order.status.is_final()
        {
            self.live().remove(&order.id);
        }
        self.out.venue(event).await;
    }

    /// What became of one order: its fills, then the order; or `Missing`. While a question about it waits, another is not asked.
    pub async fn query(&self, id: ClientOrderId, symbol: Symbol) {
        let Some(_until_answered) = Asking::begin(&self.asking, id) else { return };
        if let Err(error) = self.try_query(id, symbol).await {
            self.out.failed(&error).await;
        }
    }

    async fn try_query(&self, id: ClientOrderId, symbol: Symbol) -> Result<(), ClientError> {
        match orders::query(&self.desk, id, symbol).await {
            Ok(order) => self.tell_order_with_fills(order).await,
            // A market that is not there has no orders.
            Err(error) if error.is_unknown_order() || error.is_unknown_market() => self.out.venue(VenueEvent::Missing { id }).await,
            Err(error) if error.is_archived() => {
                self.live().remove(&id);
                self.out.venue(VenueEvent::Archived { id }).await;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn tell_order_with_fills(&self, order: VenueOrder) {
        self.tell_fills_or_fail(&order).await;
        self.tell(VenueEvent::Order(order)).await;
    }

    pub(super) async fn tell_fills_or_fail(&self, order: &VenueOrder) {
        if let Err(error) = self.tell_fills(order).await {
            self.out.failed(&error).await;
        }
    }

    /// All trades of an order, once they add up to what the order says.
    async fn tell_fills(&self, order: &VenueOrder) -> Result<(), ClientError> {
        if !order.filled.is_positive() {
            return Ok(());
        }
        for check in 1..=TRADE_LAG_CHECKS {
            let trades = self.rest.my_trades(order.symbol, TradesOf::Order(order.order_id)).await?;
            let complete = trades.iter().map(|t| t.qty).sum::<Qty>() >= order.filled;
            if complete || check == TRADE_LAG_CHECKS {
                for trade in trades {
                    self.tell(VenueEvent::Fill(trade.into_fill(order.id))).await;
                }
                break;
            }
            tokio::time::sleep(TRADE_LAG).await;
        }
        Ok(())
    }

    /// Balances and the open orders of ours. While they are being asked for, they are not asked for again.
    pub async fn state(&self) -> Result<(), ClientError> {
        if self.stating.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let told = self.tell_state().await;
        self.stating.store(false, Ordering::SeqCst);
        told
    }

    async fn tell_state(&self) -> Result<(), ClientError> {
        let at = self.rest.venue_now();
        let balances = self.held().await?;
        self.out.venue(VenueEvent::Balances { at, balances }).await;
        let expected: Vec<(ClientOrderId, Symbol)> = self.live().iter().map(|(id, symbol)| (*id, *symbol)).collect();
        let mut open = BTreeSet::new();
        for symbol in self.symbols() {
            for order in self.rest.open_orders(symbol).await?.ours {
                open.insert(order.id);
                self.out.venue(VenueEvent::Order(order)).await;
            }
        }
        // What lives here and not there has ended unheard.
        for (id, symbol) in expected.into_iter().filter(|(id, _)| !open.contains(id)) {
            self.query(id, symbol).await;
        }
        Ok(())
    }

    /// Balances alone: the periodic comparison.
    pub async fn balances(&self) -> Result<(), ClientError> {
        let at = self.rest.venue_now();
        let balances = self.held().await?;
        self.out.venue(VenueEvent::Balances { at, balances }).await;
        Ok(())
    }

    /// Fetches the prices that percentage bands are measured from. A venue that does not state them leaves the bands to itself.
    pub async fn refer(&self) {
        for symbol in self.symbols() {
            if let Err(error) = self.rest.average_price(symbol).await {
                tracing::debug!(%symbol, %error, "no average price");
            }
        }
    }

    /// Reconciles after every (re)connection of the user stream and whenever it is asked to, until it succeeds.
    pub async fn keep_reconciled(&self) {
        loop {
            self.compare.notified().await;
            let mut attempt = 0;
            while !self.out.is_closed() && self.is_up() {
                match self.reconcile().await {
                    Ok(true) => {
                        self.first_reconciled.notify_one();
                        break;
                    }
                    // The stream broke meanwhile: what was read may be outdated, and the next connection starts anew.
                    Ok(false) => break,
                    Err(error) => self.out.failed(&error).await,
                }
                attempt += 1;
                tokio::time::sleep(backoff(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
            }
        }
    }

    /// States the whole account. False when the user stream broke meanwhile.
    async fn reconcile(&self) -> Result<bool, ClientError> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        // Dated before the questions, so that a later message of the stream is never taken for older.
        let at = self.rest.venue_now();
        let expected: Vec<(ClientOrderId, Symbol)> = self.live().iter().map(|(id, symbol)| (*id, *symbol)).collect();
        let mut open = OpenOrders::default();
        for symbol in self.symbols() {
            let found = self.rest.open_orders(symbol).await?;
            open.foreign += found.foreign;
            open.ours.extend(found.ours);
        }
        for order in &open.ours {
            self.live().insert(order.id, order.symbol);
            self.tell_fills(order).await?;
        }
        for (id, symbol) in expected {
            if !open.ours.iter().any(|o| o.id == id) {
                self.try_query(id, symbol).await?;
            }
        }
        self.tell_missed_trades().await?;
        let balances = self.held().await?;
        if self.epoch.load(Ordering::SeqCst) != epoch {
            return Ok(false);
        }
        self.out.venue(VenueEvent::Reconciled { at, balances, open: open.ours, foreign_orders: open.foreign }).await;
        Ok(true)
    }

    /// Trades since the last comparison that the stream did not bring, of orders whose end was told already.
    async fn tell_missed_trades(&self) -> Result<(), ClientError> {
        let since: Vec<(Symbol, TradeId)> = self.told().iter().filter_map(|(symbol, told)| Some((*symbol, told.since?))).collect();
        for (symbol, from) in since {
            let trades = self.rest.my_trades(symbol, TradesOf::From(from)).await?;
            let last = trades.last().map(|trade| trade.trade_id);
            self.learn_orders(symbol, trades.iter().map(|trade| trade.order_id)).await?;
            for trade in trades {
                let missed = self.told().get(&symbol).and_then(|told| told.missed(trade.order_id, trade.trade_id));
                if let Some(id) = missed {
                    tracing::warn!(%symbol, trade = trade.trade_id.0, "a trade that the stream did not bring");
                    self.tell(VenueEvent::Fill(trade.into_fill(id))).await;
                }
            }
            if let Some(told) = self.told().get_mut(&symbol) {
                told.since = told.since.max(last);
            }
        }
        Ok(())
    }
}

impl Account {
    /// Whose orders these are, once after a start: an earlier run that ended without a word may have placed them.
    async fn learn_orders(&self, symbol: Symbol, orders: impl Iterator<Item = OrderId>) -> Result<(), ClientError> {
        let unknown = {
            let told = self.told();
            let known = told.get(&symbol).filter(|market| market.earlier);
            known.and_then(|market| orders.filter(|id| !market.orders.contains_key(id)).min())
        };
        let Some(first) = unknown else { return Ok(()) };
        for order in self.rest.all_orders(symbol, OrdersOf::From(first)).await? {
            if let Some(id) = order.id {
                self.told().entry(symbol).or_default().order(order.order_id, id);
            }
        }
        self.told().entry(symbol).or_default().earlier = false;
        Ok(())
    }
}

/// The newest orders and trades of one market that were told.
#[derive(Debug, Default)]
struct Told {
    /// The trade that the next comparison begins at.
    since: Option<TradeId>,
    /// It is an earlier run's, whose orders are not known here.
    earlier: bool,
    orders: BTreeMap<OrderId, ClientOrderId>,
    trades: BTreeSet<TradeId>,
}

impl Told {
    fn order(&mut self, order: OrderId, id: ClientOrderId) {
        self.orders.insert(order, id);
        if self.orders.len() > REMEMBERED {
            self.orders.pop_first();
        }
    }

    fn trade(&mut self, trade: TradeId) {
        self.since.get_or_insert(trade);
        self.trades.insert(trade);
        if self.trades.len() > REMEMBERED {
            // What is forgotten is not compared again.
            self.since = self.since.max(self.trades.pop_first().map(|oldest| TradeId(oldest.0 + 1)));
        }
    }

    /// Whose trade it is, if it is ours and was not told.
    fn missed(&self, order: OrderId, trade: TradeId) -> Option<ClientOrderId> {
        if self.trades.contains(&trade) { None } else { self.orders.get(&order).copied() }
    }
}

/// A question under way; its end makes room for the next about the same order.
struct Asking<'a> {
    all: &'a Mutex<BTreeSet<ClientOrderId>>,
    id: ClientOrderId,
}

impl<'a> Asking<'a> {
    /// `None` while the same is being asked.
    fn begin(all: &'a Mutex<BTreeSet<ClientOrderId>>, id: ClientOrderId) -> Option<Self> {
        // The lock is gone before a guard can be made or dropped: its end takes the lock again.
        let first = all.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        first.then(|| Self { all, id })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
