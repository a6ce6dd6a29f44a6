//! What the engine wants done.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::domain::{ClientOrderId, NewOrder, OrderId, Symbol, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Ask the venue. Opening orders wait until their journal sequence is durable; cancels and reduces never wait.
    Send(Request),
    /// Keep in the data file, in the same transaction as the event that caused it.
    Persist(Box<Record>),
    /// Tell a person.
    Alert(Alert),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Place {
        order: NewOrder,
        opening: bool,
    },
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
