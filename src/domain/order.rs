//! What is asked of a venue and what it may say back, in the field's words.

use serde::{Deserialize, Serialize};

use super::{Asset, ClientOrderId, Price, Qty, Side, Symbol};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    Gtc,
    Ioc,
    Fok,
}

/// How an order may trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Rests or is refused; never takes.
    LimitMaker {
        price: Price,
    },
    Limit {
        price: Price,
        time_in_force: TimeInForce,
    },
    Market,
}

impl OrderKind {
    /// The limit, if the order has one.
    #[must_use]
    pub const fn price(self) -> Option<Price> {
        match self {
            Self::LimitMaker { price } | Self::Limit { price, .. } => Some(price),
            Self::Market => None,
        }
    }
}

/// An order of ours, complete: nothing is left to choose when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub id: ClientOrderId,
    pub symbol: Symbol,
    pub side: Side,
    pub qty: Qty,
    pub kind: OrderKind,
}

/// Which side of a fill we were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Maker,
    Taker,
}

/// How the venue says an order ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    Open,
    PartiallyFilled,
    Filled,
    Canceled,
    Rejected,
    Expired,
}

impl OrderStatus {
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Rejected | Self::Expired)
    }
}

/// What an account holds of one asset, as the venue states it (absolute, never a change).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub asset: Asset,
    pub free: Qty,
    pub locked: Qty,
}

impl Balance {
    #[must_use]
    pub fn total(&self) -> Qty {
        self.free + self.locked
    }
}
