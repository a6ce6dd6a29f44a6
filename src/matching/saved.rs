//! What survives a restart: accounts, orders, lists, fills, rules, last prices and the counters. Books do not; they come from the
//! market again.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::average::Average;
use super::contingency::Lists;
use super::exchange::{Counters, Exchange};
use super::orders::Record;
use super::rules::{Rules, SymbolStatus};
use super::trigger::condition;
use super::{AccountId, Amendment, ExchangeConfig, Execution, ListView, OrderView, Phase, PreventedMatch};
use crate::domain::{Balance, ListStatus, OrderId, OrderListId, Price, Symbol};

/// The stored form of an `Exchange`.
#[derive(Deserialize)]
struct Saved {
    config: ExchangeConfig,
    counters: Counters,
    markets: Vec<SavedMarket>,
    accounts: Vec<(AccountId, Vec<Balance>)>,
    /// Final orders by the time of their end, then resting ones in the order of their queues, then waiting and pending ones.
    orders: Vec<OrderView>,
    lists: BTreeMap<OrderListId, ListView>,
    closed_lists: VecDeque<OrderListId>,
    trades: VecDeque<Execution>,
    amendments: BTreeMap<OrderId, Vec<Amendment>>,
    prevented: VecDeque<PreventedMatch>,
}

/// The same, borrowed: nothing is copied to be written.
#[derive(Serialize)]
struct SavedRef<'a> {
    config: &'a ExchangeConfig,
    counters: Counters,
    markets: Vec<SavedMarket>,
    accounts: Vec<(AccountId, Vec<Balance>)>,
    orders: Vec<&'a OrderView>,
    lists: &'a BTreeMap<OrderListId, ListView>,
    closed_lists: &'a VecDeque<OrderListId>,
    trades: &'a VecDeque<Execution>,
    amendments: &'a BTreeMap<OrderId, Vec<Amendment>>,
    prevented: &'a VecDeque<PreventedMatch>,
}

#[derive(Serialize, Deserialize)]
struct SavedMarket {
    symbol: Symbol,
    rules: Rules,
    status: SymbolStatus,
    last: Option<Price>,
    average: Average,
}

impl Serialize for Exchange {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut orders: Vec<&OrderView> = self.closed.iter().filter_map(|id| self.orders.view(*id)).collect();
        orders.extend(self.markets.iter().flat_map(|market| market.queue.ids()).filter_map(|id| self.orders.view(id)));
        let waits = |order: &&OrderView| order.phase != Phase::Working;
        orders.extend(self.accounts.keys().flat_map(|account| self.open_orders(*account, None)).filter(waits));
        let market = |market: &super::market::Market| SavedMarket {
            symbol: market.instrument.symbol,
            rules: market.rules.clone(),
            status: market.status,
            last: market.last,
            average: market.average.clone(),
        };
        SavedRef {
            config: &self.config,
            counters: self.counters,
            markets: self.markets.iter().map(market).collect(),
            accounts: self.accounts.keys().map(|id| (*id, self.balances(*id))).collect(),
            orders,
            lists: &self.lists.all,
            closed_lists: &self.lists.closed,
            trades: &self.trades,
            amendments: &self.amendments,
            prevented: &self.prevented,
        }
        .serialize(out)
    }
}

impl<'de> Deserialize<'de> for Exchange {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Saved::deserialize(input).map(Self::from)
    }
}

impl From<Saved> for Exchange {
    /// Open orders rest again with an unknown queue ahead of them, until the display tells how long it can be at most; waiting ones wait.
    fn from(saved: Saved) -> Self {
        let mut exchange = Self::new(saved.config);
        exchange.counters = saved.counters;
        exchange.trades = saved.trades;
        exchange.amendments = saved.amendments;
        exchange.prevented = saved.prevented;
        for market in saved.markets {
            if let Some(place) = exchange.place_of(market.symbol) {
                let known = &mut exchange.markets[place];
                (known.rules, known.status, known.last, known.average) = (market.rules, market.status, market.last, market.average);
            }
        }
        for (id, balances) in saved.accounts {
            exchange.restore_account(id, &balances);
        }
        for order in saved.orders {
            exchange.restore(order);
        }
        for list in saved.lists.values().filter(|list| list.status == ListStatus::Executing) {
            if let Some((above, below)) = list.pair() {
                exchange.join(above, below);
            }
        }
        exchange.lists = Lists::of(saved.lists, saved.closed_lists);
        exchange
    }
}

impl Exchange {
    pub(super) fn restore_account(&mut self, id: AccountId, balances: &[Balance]) {
        let free: Vec<_> = balances.iter().map(|balance| (balance.asset, balance.free)).collect();
        self.open_account(id, &free);
        for balance in balances {
            let place = self.assets.iter().position(|asset| *asset == balance.asset);
            if let (Some(place), Some(customer)) = (place, self.accounts.get_mut(&id)) {
                customer.held(place).locked = balance.locked;
            }
        }
    }

    pub(super) fn restore(&mut self, view: OrderView) {
        let Some(place) = self.place_of(view.symbol) else { return };
        let (id, phase, is_final) = (view.order_id, view.phase, view.status.is_final());
        let was_reached = view.working_at.is_some();
        let condition = condition(view.side, view.kind);
        if is_final {
            self.closed.push_back(id);
        } else {
            self.accounts.entry(view.account).or_default().opened(place, &view);
        }
        self.orders.insert(Record { view, market: place, twin: None });
        match (is_final, phase, condition) {
            (false, Phase::Waiting, Some(_)) if was_reached => self.markets[place].waiting.hold(id),
            (false, Phase::Waiting, Some(condition)) => self.markets[place].waiting.add(condition, id),
            (false, Phase::Working, _) => self.rest(id, place),
            _ => {}
        }
    }
}
