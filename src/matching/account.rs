//! One customer: balances with locks, and open orders by id and by client id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::OrderView;
use crate::domain::{Asset, Balance, OrderId, Qty, Symbol};

#[derive(Debug, Clone, Default)]
pub(super) struct Customer {
    balances: BTreeMap<Asset, Balance>,
    open: BTreeMap<Symbol, Open>,
}

/// Open orders of one symbol. Final orders are not indexed: asking for them is rare, opening and closing is not.
#[derive(Debug, Clone, Default)]
struct Open {
    ids: BTreeSet<OrderId>,
    clients: BTreeMap<Arc<str>, OrderId>,
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
        self.open.get(&symbol).map_or(0, |open| open.ids.len())
    }

    /// Ids of open orders, by symbol, then by age.
    pub(super) fn open(&self, symbol: Option<Symbol>) -> impl Iterator<Item = OrderId> + '_ {
        self.open.iter().filter(move |(s, _)| symbol.is_none_or(|wanted| wanted == **s)).flat_map(|(_, open)| open.ids.iter().copied())
    }

    /// The open order that carries a client id; there is at most one.
    pub(super) fn open_as(&self, symbol: Symbol, client_id: &str) -> Option<OrderId> {
        self.open.get(&symbol)?.clients.get(client_id).copied()
    }

    pub(super) fn opened(&mut self, order: &OrderView) {
        let open = self.open.entry(order.symbol).or_default();
        open.ids.insert(order.order_id);
        open.clients.insert(Arc::clone(&order.client_id), order.order_id);
    }

    pub(super) fn closed(&mut self, order: &OrderView) {
        if let Some(open) = self.open.get_mut(&order.symbol) {
            open.ids.remove(&order.order_id);
            open.clients.remove(&order.client_id);
        }
    }
}
