//! The currency that a person counts in, beside the quote currency that is traded.

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Money, Price, Span, Symbol, Timestamp};

/// A rate between two currencies as a source stated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FxMark {
    pub pair: Symbol,
    pub rate: Price,
    /// Who stated it.
    pub source: String,
    pub at: Timestamp,
}

/// The account's figures in its own currency. Every amount is `None` while the rate is missing or too old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    pub currency: Asset,
    /// The newest rate, whatever its age.
    pub mark: Option<FxMark>,
    pub age: Option<Span>,
    pub equity: Option<Money>,
    pub day_pnl: Option<Money>,
    pub net_pnl: Option<Money>,
    pub fees: Option<Money>,
}
