//! `Exchange`: one venue, many symbols. What arrives: market data, new orders, cancels. What changes is told in reports.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::account::Customer;
use super::contingency::Lists;
use super::market::Market;
use super::orders::Orders;
use super::rules::{Rules, SymbolStatus};
use super::{AccountId, Amendment, Execution, OrderRef, OrderView, PreventedMatch, Reject, Report, ReportKind};
use crate::domain::{
    Asset, Bps, Instrument, MarketData, MarketUpdate, OrderId, OrderStatus, Price, Qty, Role, Side, Symbol, Timestamp, TradeId,
};

/// What the venue is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeConfig {
    pub instruments: Vec<Instrument>,
    /// Where only quotes are known: how much worse than the quote the rest of a market order fills.
    pub impact: Bps,
    /// Of every symbol that is given none of its own.
    pub rules: Rules,
    /// Closed orders, closed lists, and fills, that are remembered; the oldest go first.
    pub history: usize,
}

impl ExchangeConfig {
    /// Impact 5 bps, the usual rules, 200,000 remembered.
    #[must_use]
    pub fn new(instruments: Vec<Instrument>) -> Self {
        Self { instruments, impact: Bps::from_bps(5), rules: Rules::default(), history: 200_000 }
    }
}

/// A pure venue: the same calls with the same times give the same reports. Serialises without the market's books.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub(super) config: ExchangeConfig,
    /// In order of listing; a market's place never changes.
    pub(super) markets: Vec<Market>,
    /// Places of the markets, by symbol.
    pub(super) symbols: Vec<(Symbol, usize)>,
    /// Places of the assets in balances.
    pub(super) assets: Vec<Asset>,
    pub(super) accounts: BTreeMap<AccountId, Customer>,
    pub(super) orders: Orders,
    /// Final orders, by the time of their end.
    pub(super) closed: VecDeque<OrderId>,
    pub(super) lists: Lists,
    pub(super) trades: VecDeque<Execution>,
    pub(super) amendments: BTreeMap<OrderId, Vec<Amendment>>,
    pub(super) prevented: VecDeque<PreventedMatch>,
    pub(super) counters: Counters,
}

/// The last numbers that were given away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    pub order: u64,
    pub list: u64,
    pub trade: u64,
    pub report: u64,
    pub prevented: u64,
}

impl Exchange {
    #[must_use]
    pub fn new(config: ExchangeConfig) -> Self {
        let mut exchange = Self {
            markets: Vec::new(),
            symbols: Vec::new(),
            assets: Vec::new(),
            accounts: BTreeMap::new(),
            orders: Orders::default(),
            closed: VecDeque::new(),
            lists: Lists::default(),
            trades: VecDeque::new(),
            amendments: BTreeMap::new(),
            prevented: VecDeque::new(),
            counters: Counters::default(),
            config,
        };
        for instrument in exchange.config.instruments.clone() {
            exchange.list(instrument);
        }
        exchange
    }

    /// Opens an account, or adds to the balances of an open one.
    pub fn open_account(&mut self, account: AccountId, balances: &[(Asset, Qty)]) {
        let places: Vec<usize> = balances.iter().map(|(asset, _)| self.asset_place(*asset)).collect();
        let customer = self.accounts.entry(account).or_default();
        for (place, (_, qty)) in places.into_iter().zip(balances) {
            customer.held(place).free += *qty;
        }
    }

    /// Trade ids go on after `last`: for an exchange that continues another one's account.
    pub fn continue_trades_after(&mut self, last: TradeId) {
        self.counters.trade = self.counters.trade.max(last.0);
    }

    /// Replaces an instrument (fees, grains, whether it trades), or lists a new one. Resting orders stay.
    pub fn set_instrument(&mut self, instrument: Instrument) {
        self.config.instruments.retain(|known| known.symbol != instrument.symbol);
        self.config.instruments.push(instrument.clone());
        match self.place_of(instrument.symbol) {
            Some(place) => self.markets[place].instrument = instrument,
            None => self.list(instrument),
        }
    }

    /// Replaces a symbol's filters; open orders stay. An unknown symbol is ignored.
    pub fn set_rules(&mut self, symbol: Symbol, rules: Rules) {
        if let Some(place) = self.place_of(symbol) {
            self.markets[place].rules = rules;
        }
    }

    /// Lets a symbol trade or not; open orders stay. An unknown symbol is ignored.
    pub fn set_status(&mut self, symbol: Symbol, status: SymbolStatus) {
        if let Some(place) = self.place_of(symbol) {
            self.markets[place].status = status;
        }
    }

    /// What the market did. Fills of resting orders and orders whose stop was reached are reported at the update's local time.
    /// Candles and unknown symbols are ignored.
    pub fn on_market(&mut self, update: &MarketUpdate, reports: &mut Vec<Report>) {
        self.show(update, update.local_time, Timestamp::MAX, reports);
    }

    /// The same of news that may have come late: it was made `at`, by the clock that orders come by. A trade has no part of orders that
    /// began to work after it.
    pub fn on_late_market(&mut self, update: &MarketUpdate, at: Timestamp, reports: &mut Vec<Report>) {
        self.show(update, at, at, reports);
    }

    /// A trade passes the orders that began to work after `made`.
    fn show(&mut self, update: &MarketUpdate, at: Timestamp, made: Timestamp, reports: &mut Vec<Report>) {
        let Some(place) = self.place_of(update.symbol) else { return };
        let market = &mut self.markets[place];
        let trades = market.status() == SymbolStatus::Trading;
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
            // No trade at all.
            MarketData::Trade(trade) if !(trade.price.is_positive() && trade.qty.is_positive()) => return,
            MarketData::Trade(trade) => {
                market.last = Some(trade.price);
                market.average.add(at, trade.price, trade.qty, market.rules.average_minutes);
                if trades {
                    market.queue.on_trade(trade, made, &mut fills);
                }
            }
            MarketData::Interrupted => market.display.clear(),
            MarketData::Candle { .. } => return,
        }
        if !trades {
            return;
        }
        if !market.queue.is_empty() && market.display.best().is_some() {
            market.queue.on_cross(&mut market.display, &mut fills);
        }
        for fill in fills {
            let trade = self.next_trade();
            self.fill(at, trade, fill, Role::Maker, reports);
        }
        self.fire_stops(place, at, reports);
        self.enter_pending(at, reports);
    }

    /// Cancels an open order and gives its last state. An order of a list takes the whole list with it.
    ///
    /// # Errors
    /// `UnknownOrder` when there is no such open order: it never was, or it is final. `CancelClosed` while the symbol takes no cancels.
    pub fn cancel(
        &mut self,
        now: Timestamp,
        account: AccountId,
        symbol: Symbol,
        order: OrderRef<'_>,
        reports: &mut Vec<Report>,
    ) -> Result<OrderView, Reject> {
        let found = self.order(account, symbol, order).filter(|order| !order.status.is_final()).ok_or(Reject::UnknownOrder)?;
        let (id, list) = (found.order_id, found.list_id);
        self.takes_cancels(symbol)?;
        match list {
            Some(list) => self.cancel_legs(now, list, reports),
            None => self.close(now, id, OrderStatus::Canceled, ReportKind::Canceled, reports),
        }
        self.orders.view(id).cloned().ok_or(Reject::UnknownOrder)
    }

    pub(super) fn takes_cancels(&self, symbol: Symbol) -> Result<(), Reject> {
        let market = self.market(symbol).ok_or(Reject::UnknownSymbol)?;
        if market.status().takes_cancels() { Ok(()) } else { Err(Reject::CancelClosed) }
    }

    fn list(&mut self, instrument: Instrument) {
        let (base, quote) = (self.asset_place(instrument.base), self.asset_place(instrument.quote));
        let (symbol, place) = (instrument.symbol, self.markets.len());
        self.markets.push(Market::new(instrument, base, quote, self.config.rules.clone()));
        let at = self.symbols.partition_point(|(known, _)| *known < symbol);
        self.symbols.insert(at, (symbol, place));
    }

    fn asset_place(&mut self, asset: Asset) -> usize {
        self.assets.iter().position(|known| *known == asset).unwrap_or_else(|| {
            self.assets.push(asset);
            self.assets.len() - 1
        })
    }

    pub(super) fn place_of(&self, symbol: Symbol) -> Option<usize> {
        // A handful of symbols is quicker to walk than to search.
        if self.symbols.len() <= 8 {
            return self.symbols.iter().find(|(known, _)| *known == symbol).map(|(_, place)| *place);
        }
        let at = self.symbols.binary_search_by(|(known, _)| known.cmp(&symbol)).ok()?;
        Some(self.symbols[at].1)
    }

    pub(super) fn market(&self, symbol: Symbol) -> Option<&Market> {
        self.place_of(symbol).map(|place| &self.markets[place])
    }

    /// Stops are compared with the last trade; what they set off trades at once. While the book is unknown nobody can say with whom:
    /// what was reached then goes with the first known book.
    fn fire_stops(&mut self, place: usize, at: Timestamp, reports: &mut Vec<Report>) {
        if self.markets[place].waiting.is_empty() {
            return;
        }
        let Some(price) = self.markets[place].reference() else { return };
        let is_known = self.markets[place].display.best().is_some();
        while is_known && let Some(id) = self.markets[place].waiting.pop_held() {
            self.trigger(at, id, reports);
        }
        while let Some(id) = self.markets[place].waiting.pop(price) {
            if is_known {
                self.trigger(at, id, reports);
            } else if let Some(record) = self.orders.get_mut(id) {
                record.view.working_at = Some(at);
                self.markets[place].waiting.hold(id);
            }
        }
    }

    pub(super) fn next_trade(&mut self) -> TradeId {
        self.counters.trade += 1;
        TradeId(self.counters.trade)
    }

    pub(super) fn next_report(&mut self) -> u64 {
        self.counters.report += 1;
        self.counters.report
    }

    /// The last public trade's price, or the middle of the quotes where none was ever seen.
    #[must_use]
    pub fn reference_price(&self, symbol: Symbol) -> Option<Price> {
        self.market(symbol)?.reference()
    }
}
