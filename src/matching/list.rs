//! Order lists as they are asked for and shown. How they live is in `contingency`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AccountId, OrderRequest, Terms};
use crate::domain::{ListKind, ListLegs, ListStatus, NewOrder, NewOrderList, OrderId, OrderListId, Symbol, Timestamp};

/// One order of a list that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub request: OrderRequest,
    pub terms: Terms,
}

/// How the legs depend on each other; the meaning is that of `domain::ListLegs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListShape {
    Oco { above: Leg, below: Leg },
    Oto { working: Leg, pending: Leg },
    Otoco { working: Leg, above: Leg, below: Leg },
}

impl ListShape {
    /// Every leg, the working one first.
    #[must_use]
    pub fn legs(&self) -> Vec<&Leg> {
        match self {
            Self::Oco { above, below } => vec![above, below],
            Self::Oto { working, pending } => vec![working, pending],
            Self::Otoco { working, above, below } => vec![working, above, below],
        }
    }

    #[must_use]
    pub const fn kind(&self) -> ListKind {
        match self {
            Self::Oco { .. } => ListKind::Oco,
            Self::Oto { .. } | Self::Otoco { .. } => ListKind::Oto,
        }
    }
}

/// A new list. An empty `client_id` is replaced by one made from the list id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRequest {
    pub client_id: String,
    pub shape: ListShape,
}

impl From<&NewOrder> for Leg {
    fn from(order: &NewOrder) -> Self {
        let request =
            OrderRequest { client_id: order.id.to_string(), symbol: order.symbol, side: order.side, qty: order.qty, kind: order.kind };
        Self { request, terms: Terms::default() }
    }
}

impl From<&NewOrderList> for ListRequest {
    fn from(list: &NewOrderList) -> Self {
        let shape = match &list.legs {
            ListLegs::Oco { above, below } => ListShape::Oco { above: above.into(), below: below.into() },
            ListLegs::Oto { working, pending } => ListShape::Oto { working: working.into(), pending: pending.into() },
            ListLegs::Otoco { working, above, below } => {
                ListShape::Otoco { working: working.into(), above: above.into(), below: below.into() }
            }
        };
        Self { client_id: list.id.to_string(), shape }
    }
}

/// How a customer names a list. A client id means the newest list that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListRef<'a> {
    Id(OrderListId),
    Client(&'a str),
}

/// A list as the exchange has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    pub account: AccountId,
    pub list_id: OrderListId,
    pub client_id: Arc<str>,
    pub symbol: Symbol,
    pub kind: ListKind,
    pub status: ListStatus,
    /// Order and client ids, the working leg first, then above, then below.
    pub legs: Vec<(OrderId, Arc<str>)>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ListView {
    /// The two orders of which one cancels the other.
    pub(super) fn pair(&self) -> Option<(OrderId, OrderId)> {
        match (self.kind, self.legs.as_slice()) {
            (ListKind::Oco, [above, below]) | (ListKind::Oto, [_, above, below]) => Some((above.0, below.0)),
            _ => None,
        }
    }

    /// The order whose filling makes the others live.
    pub(super) fn working(&self) -> Option<OrderId> {
        (self.kind == ListKind::Oto).then(|| self.legs.first().map(|leg| leg.0)).flatten()
    }
}

/// What is told about a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListChange {
    Started,
    /// An order of it has another client id.
    Renamed,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListNews {
    pub change: ListChange,
    /// The list after the change.
    pub list: ListView,
}
