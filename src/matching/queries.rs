//! What the exchange tells: orders, fills, balances, best prices. Nothing here changes anything.

use super::exchange::Exchange;
use super::taker::walk;
use super::{AccountId, Execution, OrderRef, OrderRequest, OrderView};
use crate::domain::{Balance, Instrument, Level, Money, OrderId, OrderKind, Qty, Side, Symbol, TradeId};

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
            OrderRef::Id(id) => self.orders.get(&id).filter(ours),
            OrderRef::Client(client_id) => match self.accounts.get(&account)?.open_as(symbol, client_id) {
                Some(id) => self.orders.get(&id),
                None => self.orders.values().rev().filter(ours).find(|order| &*order.client_id == client_id),
            },
        }
    }

    /// By symbol, then oldest first.
    #[must_use]
    pub fn open_orders(&self, account: AccountId, symbol: Option<Symbol>) -> Vec<&OrderView> {
        let open = self.accounts.get(&account).into_iter().flat_map(|customer| customer.open(symbol));
        open.filter_map(|id| self.orders.get(&id)).collect()
    }

    /// Open and remembered final orders, oldest first.
    #[must_use]
    pub fn all_orders(&self, account: AccountId, symbol: Symbol) -> Vec<&OrderView> {
        self.orders.values().filter(|order| order.account == account && order.symbol == symbol).collect()
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

    /// Every asset the account ever held, by name; empty for an unknown account.
    #[must_use]
    pub fn balances(&self, account: AccountId) -> Vec<Balance> {
        self.accounts.get(&account).map(|customer| customer.balances()).unwrap_or_default()
    }

    #[must_use]
    pub fn has_account(&self, account: AccountId) -> bool {
        self.accounts.contains_key(&account)
    }

    /// Best bid and ask as the market displays them; `None` while the book is unknown, one-sided or crossed.
    #[must_use]
    pub fn best(&self, symbol: Symbol) -> Option<(Level, Level)> {
        self.markets.get(&symbol)?.display.best()
    }

    #[must_use]
    pub fn instrument(&self, symbol: Symbol) -> Option<&Instrument> {
        self.markets.get(&symbol).map(|market| &market.instrument)
    }

    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.markets.values().map(|market| &market.instrument)
    }

    /// The quantity, floored to the step, that a market order for `quote` money trades against the book as it stands;
    /// `None` for an unknown symbol or an unknown book.
    #[must_use]
    pub fn quantity_for_quote(&self, account: AccountId, symbol: Symbol, side: Side, quote: Money) -> Option<Qty> {
        let market = self.markets.get(&symbol)?;
        let (bid, _) = market.display.best()?;
        let most = quote.buys_at(bid.price);
        let request = OrderRequest { client_id: String::new(), symbol, side, qty: most + most, kind: OrderKind::Market };
        let (mut money, mut qty) = (quote, Qty::ZERO);
        for step in walk(market, account, &request, self.config.impact).steps {
            let part = step.qty.min(money.buys_at(step.price));
            qty += part;
            money -= step.price.notional(part)?;
        }
        Some(qty.floor_to(market.instrument.step))
    }
}
