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
    /// Waits for the last trade to reach `stop` from the losing side (a sell from above, a buy from below), then trades as a market order.
    StopLoss {
        stop: Price,
    },
    /// As `StopLoss`, then trades as a limit order.
    StopLossLimit {
        stop: Price,
        price: Price,
        time_in_force: TimeInForce,
    },
    /// Waits for the last trade to reach `stop` from the winning side (a sell from below, a buy from above), then trades as a market order.
    TakeProfit {
        stop: Price,
    },
    /// As `TakeProfit`, then trades as a limit order.
    TakeProfitLimit {
        stop: Price,
        price: Price,
        time_in_force: TimeInForce,
    },
}

impl OrderKind {
    /// The limit, if the order has one.
    #[must_use]
    pub const fn price(self) -> Option<Price> {
        match self {
            Self::LimitMaker { price }
            | Self::Limit { price, .. }
            | Self::StopLossLimit { price, .. }
            | Self::TakeProfitLimit { price, .. } => Some(price),
            Self::Market | Self::StopLoss { .. } | Self::TakeProfit { .. } => None,
        }
    }

    /// The price that sets the order off, if it waits for one.
    #[must_use]
    pub const fn stop(self) -> Option<Price> {
        match self {
            Self::StopLoss { stop } | Self::StopLossLimit { stop, .. } | Self::TakeProfit { stop } | Self::TakeProfitLimit { stop, .. } => {
                Some(stop)
            }
            Self::LimitMaker { .. } | Self::Limit { .. } | Self::Market => None,
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
