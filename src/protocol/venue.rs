//! What the venue says about our orders and account. Only these messages end an order.

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Balance, ClientOrderId, Instrument, OrderId, OrderStatus, Price, Qty, Role, Side, Symbol, Timestamp, TradeId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum VenueEvent {
    /// The markets as the venue defines them, with this account's fees.
    Instruments(Vec<Instrument>),
    /// A stream came up or broke.
    Link {
        stream: Stream,
        up: bool,
    },
    /// The venue took the order.
    Accepted {
        id: ClientOrderId,
        order_id: OrderId,
        at: Timestamp,
    },
    /// The venue refused the order for certain: it never was live.
    Refused {
        id: ClientOrderId,
        reason: VenueRefusal,
        message: String,
    },
    /// A placement whose outcome is unknown (timeout, broken connection, 5xx): stays in flight, is queried.
    Unknown {
        id: ClientOrderId,
    },
    Fill(VenueFill),
    /// The order as the venue has it now: from its stream, or the answer to a query.
    Order(VenueOrder),
    /// A query found no such order; proof only once the submit deadline has passed.
    Missing {
        id: ClientOrderId,
    },
    /// A cancel was refused (the order may have been filled); the order is queried.
    CancelRefused {
        id: ClientOrderId,
        message: String,
    },
    /// Absolute balances of the listed assets.
    Balances {
        at: Timestamp,
        balances: Vec<Balance>,
    },
    /// Start-up reconciliation is complete: the whole account and every open order of ours have been stated.
    Reconciled {
        at: Timestamp,
        balances: Vec<Balance>,
        open: Vec<VenueOrder>,
        foreign_orders: u32,
    },
    /// Something failed outside; for health.
    Failure {
        kind: FailureKind,
        message: String,
    },
    /// The venue checked an order that was not placed.
    Tested {
        id: ClientOrderId,
        refused: Option<(VenueRefusal, String)>,
    },
    // Journals are read by position: what is new comes last.
    /// The venue has put the order away: it was cancelled or expired long ago, with nothing filled.
    Archived {
        id: ClientOrderId,
    },
}

/// An order as the venue states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueOrder {
    pub id: ClientOrderId,
    pub order_id: OrderId,
    pub symbol: Symbol,
    pub side: Side,
    pub status: OrderStatus,
    pub qty: Qty,
    /// Cumulative.
    pub filled: Qty,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueFill {
    pub id: ClientOrderId,
    pub order_id: OrderId,
    pub trade_id: TradeId,
    pub symbol: Symbol,
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
    pub role: Role,
    pub fee: Qty,
    pub fee_asset: Asset,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Market,
    User,
}

/// Why the venue refused a placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueRefusal {
    /// A post-only order would have taken: reprice.
    WouldTake,
    InsufficientBalance,
    /// The id is already live: query it.
    DuplicateId,
    Filter,
    MarketClosed,
    RateLimit,
    Clock,
    Credentials,
    /// It was to replace an order that could not be cancelled: the venue did not try.
    NotAttempted,
    Other,
}

/// Kinds of trouble outside, counted by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    Network,
    RateLimit,
    Credentials,
    Clock,
    Malformed,
    Server,
    Store,
    Learning,
}
