//! One customer: balances with locks, and open orders by id and by client id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::OrderView;
use crate::domain::{OrderId, Qty};

/// What a customer has of one asset.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub free: Qty,
    pub locked: Qty,
    /// Whether the customer ever had any.
    pub known: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Customer {
    /// By the asset's place.
    held: Vec<Held>,
    /// By the market's place.
    open: Vec<Open>,
}

/// Open orders of one symbol. Final orders are not indexed: asking for them is rare, opening and closing is not.
#[derive(Debug, Clone, Default)]
struct Open {
    ids: BTreeSet<OrderId>,
    clients: BTreeMap<Arc<str>, OrderId>,
}

impl Customer {
    pub(super) fn held(&mut self, asset: usize) -> &mut Held {
        if self.held.len() <= asset {
            self.held.resize(asset + 1, Held::default());
        }
        let held = &mut self.held[asset];
        held.known = true;
        held
    }

    pub(super) fn all_held(&self) -> &[Held] {
        &self.held
    }

    pub(super) fn free(&self, asset: usize) -> Qty {
        self.held.get(asset).map_or(Qty::ZERO, |held| held.free)
    }

    pub(super) fn total(&self, asset: usize) -> Qty {
        self.held.get(asset).map_or(Qty::ZERO, |held| held.free + held.locked)
    }

    pub(super) fn open_count(&self, market: usize) -> usize {
        self.open.get(market).map_or(0, |open| open.ids.len())
    }

    /// Oldest first.
    pub(super) fn open(&self, market: usize) -> impl Iterator<Item = OrderId> + '_ {
        self.open.get(market).into_iter().flat_map(|open| open.ids.iter().copied())
    }

    /// The open order that carries a client id; there is at most one.
    pub(super) fn open_as(&self, market: usize, client_id: &str) -> Option<OrderId> {
        self.open.get(market)?.clients.get(client_id).copied()
    }

    pub(super) fn opened(&mut self, market: usize, order: &OrderView) {
        if self.open.len() <= market {
            self.open.resize_with(market + 1, Open::default);
        }
        let open = &mut self.open[market];
        open.ids.insert(order.order_id);
        open.clients.insert(Arc::clone(&order.client_id), order.order_id);
    }

    pub(super) fn closed(&mut self, market: usize, order: &OrderView) {
        if let Some(open) = self.open.get_mut(market) {
            open.ids.remove(&order.order_id);
            open.clients.remove(&order.client_id);
        }
    }
}
