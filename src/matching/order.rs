//! What is asked of the exchange and what it says back, as plain data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Reject;
use crate::domain::{Asset, Money, OrderId, OrderKind, OrderStatus, Price, Qty, Role, Side, Symbol, Timestamp, TradeId};

/// One customer of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub u32);

/// A new order. An empty `client_id` is replaced by one made from the order id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    pub client_id: String,
    pub symbol: Symbol,
    pub side: Side,
    pub qty: Qty,
    pub kind: OrderKind,
}

/// How a customer names an order. A client id means the newest order that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderRef<'a> {
    Id(OrderId),
    Client(&'a str),
}

/// An order as the exchange has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub account: AccountId,
    pub order_id: OrderId,
    pub client_id: Arc<str>,
    pub symbol: Symbol,
    pub side: Side,
    pub qty: Qty,
    pub kind: OrderKind,
    pub status: OrderStatus,
    /// Cumulative, base units.
    pub filled: Qty,
    /// Cumulative notional of the fills, exact.
    pub filled_quote: Money,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl OrderView {
    #[must_use]
    pub fn remaining(&self) -> Qty {
        self.qty - self.filled
    }

    /// What the order keeps locked: quote units at the limit price for a buy, base units for a sell, nothing for a market order.
    #[must_use]
    pub(super) fn lock(&self) -> Qty {
        match (self.kind.price(), self.status.is_final()) {
            (Some(price), false) => lock_of(self.side, price, self.remaining()),
            _ => Qty::ZERO,
        }
    }
}

/// Funds that `qty` at `price` needs, in the asset that the side pays with.
pub(super) fn lock_of(side: Side, price: Price, qty: Qty) -> Qty {
    match side {
        Side::Buy => price.notional(qty).unwrap_or(Money::ZERO).to_quote(),
        Side::Sell => qty,
    }
}

/// One fill of one order. Both sides of a trade between two customers carry the same trade id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub trade_id: TradeId,
    pub account: AccountId,
    pub order_id: OrderId,
    pub symbol: Symbol,
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
    pub role: Role,
    /// In units of `fee_asset`; negative is a rebate.
    pub fee: Qty,
    pub fee_asset: Asset,
    /// Of the order, this fill included.
    pub cumulative_qty: Qty,
    /// Of the order, this fill included; exact.
    pub cumulative_quote: Money,
    pub at: Timestamp,
}

/// Why the rest of an order ended without the customer's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// An IOC order's rest.
    UnfilledIoc,
    /// A FOK order that could not fill as a whole.
    UnfilledFok,
    /// A market order met the end of the book.
    Liquidity,
    /// A market order met the end of the funds.
    Funds,
    /// The order would have traded with an order of the same account.
    SelfTrade,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportKind {
    Accepted,
    /// Never was live; `Report::order_id` is 0.
    Rejected(Reject),
    Fill(Execution),
    Canceled,
    Expired(Expiry),
}

/// One change of one order, in the order in which changes happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub account: AccountId,
    pub symbol: Symbol,
    pub client_id: Arc<str>,
    pub order_id: OrderId,
    pub at: Timestamp,
    pub kind: ReportKind,
    /// The order after the change.
    pub order: OrderView,
}

impl Report {
    pub(super) fn of(order: &OrderView, at: Timestamp, kind: ReportKind) -> Self {
        Self {
            account: order.account,
            symbol: order.symbol,
            client_id: Arc::clone(&order.client_id),
            order_id: order.order_id,
            at,
            kind,
            order: order.clone(),
        }
    }
}
