//! What the engine wants done.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::domain::{ClientOrderId, NewOrder, NewOrderList, OrderId, Symbol, Timestamp};

#[expect(clippy::large_enum_variant, reason = "an order list on its way is not worth an allocation")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Ask the venue. Opening orders wait until their journal sequence is durable; cancels and reduces never wait.
    Send(Request),
    /// Keep in the data file, in the same transaction as the event that caused it.
    Persist(Box<Record>),
    /// Tell a person.
    Alert(Alert),
    /// The trading state changed: keep it (`Engine::carry`) in the same transaction as the event, or one after it. Its parts are journaled as
    /// orders, fills and decisions; the journal holds its hash.
    Carry { state: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Place {
        order: NewOrder,
        opening: bool,
    },
    /// Orders that live by each other's fate: an entry with its protection (opening), or protection alone.
    PlaceList {
        list: NewOrderList,
        opening: bool,
    },
    /// Cancels `old` (of a list: the whole list) and places `order` only if that succeeded. It always reduces.
    Replace {
        old: ClientOrderId,
        order: NewOrder,
    },
    /// Cancels one order; of a list: the whole list.
    Cancel {
        id: ClientOrderId,
        symbol: Symbol,
        order_id: Option<OrderId>,
    },
    /// Ask what became of one order, with its trades.
    Query {
        id: ClientOrderId,
        symbol: Symbol,
    },
    /// Ask for balances and open orders.
    Account,
    /// The book of this symbol is unknown: fetch a snapshot.
    Snapshot {
        symbol: Symbol,
    },
    /// Have the venue check an order that is not placed.
    Test {
        order: NewOrder,
    },
}

impl Request {
    /// The orders that it would place.
    #[must_use]
    pub fn places(&self) -> Vec<ClientOrderId> {
        match self {
            Self::Place { order, .. } | Self::Replace { order, .. } => vec![order.id],
            Self::PlaceList { list, .. } => list.legs.orders().map(|order| order.id).collect(),
            Self::Test { .. } | Self::Cancel { .. } | Self::Query { .. } | Self::Account | Self::Snapshot { .. } => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub at: Timestamp,
    pub severity: Severity,
    pub text: String,
}
