//! What is asked of the exchange and what it says back, as plain data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ListNews, Reject};
use crate::domain::{
    Asset, Money, OrderId, OrderKind, OrderListId, OrderStatus, Price, Qty, Role, Side, Symbol, TimeInForce, Timestamp, TradeId,
};

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

/// What else a placement may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// `None`: as the symbol's rules say.
    pub self_trade: Option<SelfTradeMode>,
    /// The quote money from which a market order's quantity was computed; kept to be shown.
    pub quote_qty: Option<Money>,
    /// The customer's own marks; kept to be shown.
    pub strategy_id: Option<u64>,
    pub strategy_type: Option<u32>,
}

/// What happens where an order would trade with one of its own account. The taker's mode decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTradeMode {
    /// They trade.
    None,
    /// The rest of the taker expires.
    ExpireTaker,
    /// The resting order expires and the taker goes on.
    ExpireMaker,
    ExpireBoth,
}

/// How a customer names an order. A client id means the newest order that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderRef<'a> {
    Id(OrderId),
    Client(&'a str),
}

/// What an open order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// For the working order of its list to fill as a whole. Nothing is locked.
    Pending,
    /// For the last price to reach its stop.
    Waiting,
    /// For nothing: it takes or rests.
    Working,
}

/// An order as the exchange has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub account: AccountId,
    pub order_id: OrderId,
    pub list_id: Option<OrderListId>,
    pub client_id: Arc<str>,
    pub symbol: Symbol,
    pub side: Side,
    pub qty: Qty,
    pub kind: OrderKind,
    pub status: OrderStatus,
    pub phase: Phase,
    /// Why it expired, if it did.
    pub expiry: Option<Expiry>,
    pub self_trade: SelfTradeMode,
    pub terms: Terms,
    /// Cumulative, base units.
    pub filled: Qty,
    /// Cumulative notional of the fills, exact.
    pub filled_quote: Money,
    /// Base units that self-trade prevention took away, and the last match that it prevented.
    pub prevented: Qty,
    pub prevented_match: Option<u64>,
    /// How often the quantity was amended.
    pub amends: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it began to take or rest; of one that waits, when its stop was reached without a book to meet.
    pub working_at: Option<Timestamp>,
}

impl OrderView {
    #[must_use]
    pub fn remaining(&self) -> Qty {
        self.qty - self.filled
    }

    /// What the order keeps locked by itself: quote units at its limit (or its stop while it waits for that) for a buy, base units for a
    /// sell; nothing for a market order and for a pending one.
    #[must_use]
    pub(super) fn lock(&self) -> Qty {
        if self.status.is_final() {
            return Qty::ZERO;
        }
        lock_of(self.side, self.kind, self.phase, self.remaining())
    }
}

/// Funds that an order of `qty` keeps locked in the asset that its side pays with.
pub(super) fn lock_of(side: Side, kind: OrderKind, phase: Phase, qty: Qty) -> Qty {
    let price = match phase {
        Phase::Pending => None,
        Phase::Waiting => kind.price().or(kind.stop()),
        Phase::Working => kind.price(),
    };
    match (price, side) {
        (None, _) => Qty::ZERO,
        (Some(price), Side::Buy) => price.notional(qty).unwrap_or(Money::ZERO).to_quote(),
        (Some(_), Side::Sell) => qty,
    }
}

/// `None` for an order that has none: it rests, or trades once.
pub(super) const fn time_in_force(kind: OrderKind) -> Option<TimeInForce> {
    match kind {
        OrderKind::Limit { time_in_force, .. }
        | OrderKind::StopLossLimit { time_in_force, .. }
        | OrderKind::TakeProfitLimit { time_in_force, .. } => Some(time_in_force),
        OrderKind::LimitMaker { .. } | OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => None,
    }
}

/// One fill of one order. Both sides of a trade between two customers carry the same trade id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub trade_id: TradeId,
    pub account: AccountId,
    pub order_id: OrderId,
    pub list_id: Option<OrderListId>,
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
    /// The other order of its OCO pair started to trade.
    OcoTrigger,
    /// The working order of its list ended without filling as a whole.
    PhaseOne,
    /// When its turn in the list came, a rule refused it.
    RefusedOnEntry,
}

/// A trade between two orders of one account that did not happen, as one of them sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prevention {
    pub match_id: u64,
    pub counter_order: OrderId,
    /// What this order lost.
    pub qty: Qty,
    pub price: Price,
}

/// A trade between two orders of one account that did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreventedMatch {
    pub match_id: u64,
    pub account: AccountId,
    pub symbol: Symbol,
    pub taker: OrderId,
    pub maker: OrderId,
    pub mode: SelfTradeMode,
    pub price: Price,
    /// Zero for an order that went on.
    pub taker_qty: Qty,
    pub maker_qty: Qty,
    pub at: Timestamp,
}

/// A quantity that was lowered in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    pub order_id: OrderId,
    /// `Report::number` of its report.
    pub number: u64,
    pub old_client_id: Arc<str>,
    pub client_id: Arc<str>,
    pub old_qty: Qty,
    pub qty: Qty,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportKind {
    /// Live, or waiting for its stop, or pending in its list: see the order's phase.
    Accepted,
    /// Never was live; `Report::order_id` is 0.
    Rejected(Reject),
    /// Its stop was reached, or its turn in the list came.
    Entered,
    Fill(Execution),
    /// The quantity was lowered; the id that it had before.
    Amended {
        old_client_id: Arc<str>,
    },
    Canceled,
    Expired(Expiry),
    /// Expired because it would have traded with its own account.
    Prevented(Prevention),
    /// About the order's list, not the order.
    List(Box<ListNews>),
}

/// One change of one order, in the order in which changes happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub account: AccountId,
    pub symbol: Symbol,
    pub client_id: Arc<str>,
    pub order_id: OrderId,
    pub at: Timestamp,
    /// Counts the exchange's reports; zero for a refusal.
    pub number: u64,
    pub kind: ReportKind,
    /// The order after the change.
    pub order: OrderView,
}

impl Report {
    pub(super) fn of(order: &OrderView, at: Timestamp, number: u64, kind: ReportKind) -> Self {
        Self {
            account: order.account,
            symbol: order.symbol,
            client_id: Arc::clone(&order.client_id),
            order_id: order.order_id,
            at,
            number,
            kind,
            order: order.clone(),
        }
    }
}
