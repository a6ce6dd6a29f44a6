//! What the exchange tells: orders, lists, fills, balances, best prices. Nothing here changes anything.

use super::exchange::Exchange;
use super::list::{ListRef, ListView};
use super::rules::{Rules, SymbolStatus};
use super::taker::{Taker, walk};
use super::{AccountId, Amendment, Execution, OrderRef, OrderView, PreventedMatch};
use crate::domain::{Balance, Instrument, Level, ListStatus, Money, OrderId, Qty, Side, Symbol, TradeId};

/// Which fills are wanted; an unset part filters nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TradeFilter {
    pub order_id: Option<OrderId>,
    /// The first trade id that is wanted.
    pub from_id: Option<TradeId>,
}

impl Exchange {
    /// An open order is found at once; a final one by its client id by looking back through the remembered orders.
    #[must_use]
    pub fn order(&self, account: AccountId, symbol: Symbol, order: OrderRef<'_>) -> Option<&OrderView> {
        let ours = |order: &&OrderView| order.account == account && order.symbol == symbol;
        match order {
            OrderRef::Id(id) => self.orders.view(id).filter(ours),
            OrderRef::Client(client_id) => match self.accounts.get(&account)?.open_as(self.place_of(symbol)?, client_id) {
                Some(id) => self.orders.view(id),
                None => {
                    let carried = self.closed.iter().filter_map(|id| self.orders.view(*id));
                    carried.filter(ours).filter(|order| &*order.client_id == client_id).max_by_key(|order| order.order_id)
                }
            },
        }
    }

    /// By symbol, then oldest first.
    #[must_use]
    pub fn open_orders(&self, account: AccountId, symbol: Option<Symbol>) -> Vec<&OrderView> {
        let Some(customer) = self.accounts.get(&account) else { return Vec::new() };
        let markets = self.symbols.iter().filter(|(known, _)| symbol.is_none_or(|wanted| wanted == *known));
        markets.flat_map(|(_, place)| customer.open(*place)).filter_map(|id| self.orders.view(id)).collect()
    }

    /// Open and remembered final orders, oldest first.
    #[must_use]
    pub fn all_orders(&self, account: AccountId, symbol: Symbol) -> Vec<&OrderView> {
        let closed = self.closed.iter().filter_map(|id| self.orders.view(*id));
        let mut orders: Vec<&OrderView> = closed.filter(|order| order.account == account && order.symbol == symbol).collect();
        orders.extend(self.open_orders(account, Some(symbol)));
        orders.sort_unstable_by_key(|order| order.order_id);
        orders
    }

    /// Remembered fills, oldest first.
    #[must_use]
    pub fn trades(&self, account: AccountId, symbol: Symbol, filter: TradeFilter) -> Vec<&Execution> {
        let wanted = |trade: &&Execution| {
            trade.account == account
                && trade.symbol == symbol
                && filter.order_id.is_none_or(|id| id == trade.order_id)
                && filter.from_id.is_none_or(|id| trade.trade_id >= id)
        };
        self.trades.iter().filter(wanted).collect()
    }

    /// By list id or client id; the newest that carried it.
    #[must_use]
    pub fn order_list(&self, account: AccountId, list: ListRef<'_>) -> Option<&ListView> {
        match list {
            ListRef::Id(id) => self.lists.all.get(&id).filter(|list| list.account == account),
            ListRef::Client(client_id) => {
                self.lists.all.values().rev().find(|list| list.account == account && &*list.client_id == client_id)
            }
        }
    }

    /// Open and remembered lists of every symbol, oldest first.
    #[must_use]
    pub fn all_lists(&self, account: AccountId) -> Vec<&ListView> {
        self.lists.all.values().filter(|list| list.account == account).collect()
    }

    /// Oldest first.
    #[must_use]
    pub fn open_lists(&self, account: AccountId, symbol: Option<Symbol>) -> Vec<&ListView> {
        let open = |list: &&ListView| {
            list.account == account && list.status == ListStatus::Executing && symbol.is_none_or(|symbol| symbol == list.symbol)
        };
        self.lists.all.values().filter(open).collect()
    }

    /// Oldest first; empty for an unknown order.
    #[must_use]
    pub fn amendments(&self, account: AccountId, symbol: Symbol, order: OrderId) -> &[Amendment] {
        let ours = self.orders.view(order).is_some_and(|order| order.account == account && order.symbol == symbol);
        self.amendments.get(&order).filter(|_| ours).map_or(&[], Vec::as_slice)
    }

    /// Remembered self-trades that did not happen, oldest first.
    pub fn prevented_matches(&self, account: AccountId, symbol: Symbol) -> impl Iterator<Item = &PreventedMatch> {
        self.prevented.iter().filter(move |prevented| prevented.account == account && prevented.symbol == symbol)
    }

    /// Every asset the account ever held, by name; empty for an unknown account.
    #[must_use]
    pub fn balances(&self, account: AccountId) -> Vec<Balance> {
        let Some(customer) = self.accounts.get(&account) else { return Vec::new() };
        let held = self.assets.iter().zip(customer.all_held()).filter(|(_, held)| held.known);
        let mut balances: Vec<Balance> =
            held.map(|(asset, held)| Balance { asset: *asset, free: held.free, locked: held.locked }).collect();
        balances.sort_unstable_by_key(|balance| balance.asset);
        balances
    }

    #[must_use]
    pub fn has_account(&self, account: AccountId) -> bool {
        self.accounts.contains_key(&account)
    }

    /// Best bid and ask as the market displays them; `None` while the book is unknown, one-sided or crossed.
    #[must_use]
    pub fn best(&self, symbol: Symbol) -> Option<(Level, Level)> {
        self.market(symbol)?.display.best()
    }

    #[must_use]
    pub fn instrument(&self, symbol: Symbol) -> Option<&Instrument> {
        self.market(symbol).map(|market| &market.instrument)
    }

    /// By symbol.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.symbols.iter().map(|(_, place)| &self.markets[*place].instrument)
    }

    #[must_use]
    pub fn rules(&self, symbol: Symbol) -> Option<&Rules> {
        self.market(symbol).map(|market| &market.rules)
    }

    /// The status that was set; a break for an instrument that does not trade.
    #[must_use]
    pub fn status(&self, symbol: Symbol) -> Option<SymbolStatus> {
        self.market(symbol).map(super::market::Market::status)
    }

    /// The quantity, floored to the step, that a market order for `quote` money trades against the book as it stands;
    /// `None` for an unknown symbol or an unknown book.
    #[must_use]
    pub fn quantity_for_quote(&self, account: AccountId, symbol: Symbol, side: Side, quote: Money) -> Option<Qty> {
        let market = self.market(symbol)?;
        let (bid, _) = market.display.best()?;
        let most = quote.buys_at(bid.price);
        let taker = Taker { account, side, limit: None, qty: most + most, mode: market.rules.self_trade };
        let (mut money, mut qty) = (quote, Qty::ZERO);
        for step in walk(market, &taker, self.config.impact).steps {
            let part = step.qty.min(money.buys_at(step.price));
            qty += part;
            money -= step.price.notional(part)?;
        }
        Some(qty.floor_to(market.instrument.step))
    }
}
