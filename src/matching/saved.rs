//! What survives a restart: accounts, orders, fills and the id counters. Books do not; they come from the market again.

use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use super::{AccountId, ExchangeConfig, Execution, OrderView};
use crate::domain::{Balance, Qty};

/// The stored form of an `Exchange`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    config: ExchangeConfig,
    accounts: Vec<(AccountId, Vec<Balance>)>,
    orders: Vec<OrderView>,
    trades: Vec<Execution>,
    last_order: u64,
    last_trade: u64,
}

impl From<Exchange> for Saved {
    fn from(exchange: Exchange) -> Self {
        Self {
            accounts: exchange.accounts.iter().map(|(id, customer)| (*id, customer.balances())).collect(),
            orders: exchange.orders.into_values().collect(),
            trades: exchange.trades.into(),
            last_order: exchange.last_order,
            last_trade: exchange.last_trade,
            config: exchange.config,
        }
    }
}

impl From<Saved> for Exchange {
    /// Open orders rest again with an unknown queue ahead of them, until the display tells how long it can be at most.
    fn from(saved: Saved) -> Self {
        let mut exchange = Self::new(saved.config);
        exchange.last_order = saved.last_order;
        exchange.last_trade = saved.last_trade;
        exchange.trades = saved.trades.into();
        for (id, balances) in saved.accounts {
            let customer = exchange.accounts.entry(id).or_default();
            balances.into_iter().for_each(|balance| *customer.balance(balance.asset) = balance);
        }
        for order in saved.orders {
            let customer = exchange.accounts.entry(order.account).or_default();
            if order.status.is_final() {
                exchange.closed.push_back(order.order_id);
            } else {
                customer.opened(&order);
                let (price, market) = (order.kind.price(), exchange.markets.get_mut(&order.symbol));
                if let (Some(price), Some(market), true) = (price, market, order.remaining() > Qty::ZERO) {
                    market.queue.add(&market.display, order.side, price, order.order_id, order.account, order.remaining());
                }
            }
            exchange.orders.insert(order.order_id, order);
        }
        exchange
    }
}
