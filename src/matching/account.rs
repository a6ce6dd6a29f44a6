//! One customer: balances with locks, open orders, and the newest order of each client id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::OrderView;
use crate::domain::{Asset, Balance, OrderId, Qty, Symbol};

#[derive(Debug, Clone, Default)]
pub(super) struct Customer {
    balances: BTreeMap<Asset, Balance>,
    open: BTreeMap<Symbol, BTreeSet<OrderId>>,
    clients: BTreeMap<Symbol, BTreeMap<Arc<str>, OrderId>>,
}

impl Customer {
    pub(super) fn balance(&mut self, asset: Asset) -> &mut Balance {
        self.balances.entry(asset).or_insert(Balance { asset, free: Qty::ZERO, locked: Qty::ZERO })
    }

    pub(super) fn balances(&self) -> Vec<Balance> {
        self.balances.values().copied().collect()
    }

    pub(super) fn free(&self, asset: Asset) -> Qty {
        self.balances.get(&asset).map_or(Qty::ZERO, |balance| balance.free)
    }

    pub(super) fn open_in(&self, symbol: Symbol) -> usize {
        self.open.get(&symbol).map_or(0, BTreeSet::len)
    }

    /// Ids of open orders, by symbol, then by age.
    pub(super) fn open(&self, symbol: Option<Symbol>) -> impl Iterator<Item = OrderId> + '_ {
        self.open.iter().filter(move |(s, _)| symbol.is_none_or(|wanted| wanted == **s)).flat_map(|(_, ids)| ids.iter().copied())
    }

    pub(super) fn newest(&self, symbol: Symbol, client_id: &str) -> Option<OrderId> {
        self.clients.get(&symbol)?.get(client_id).copied()
    }

    pub(super) fn opened(&mut self, order: &OrderView) {
        self.remember(order);
        self.open.entry(order.symbol).or_default().insert(order.order_id);
    }

    pub(super) fn remember(&mut self, order: &OrderView) {
        self.clients.entry(order.symbol).or_default().insert(Arc::clone(&order.client_id), order.order_id);
    }

    pub(super) fn closed(&mut self, order: &OrderView) {
        if let Some(open) = self.open.get_mut(&order.symbol) {
            open.remove(&order.order_id);
        }
    }

    pub(super) fn forget(&mut self, order: &OrderView) {
        if let Some(clients) = self.clients.get_mut(&order.symbol)
            && clients.get(&order.client_id) == Some(&order.order_id)
        {
            clients.remove(&order.client_id);
        }
    }
}
