//! Why a request is refused: one closed list, with the venue's code and text for each.

use serde::{Deserialize, Serialize};

/// `code` and `message` are those of Binance's errors document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[error("{}", self.text())]
pub enum Reject {
    UnknownSymbol,
    UnknownAccount,
    /// Not positive or off the tick grid.
    PriceFilter,
    /// Not positive, off the step grid, or outside the quantity bounds.
    LotSize,
    /// Price x quantity is outside the notional bounds.
    Notional,
    /// The account has too many open orders in this symbol.
    TooManyOrders,
    /// A post-only order would take.
    WouldTake,
    InsufficientBalance,
    /// An open order carries this client id.
    DuplicateClientId,
    /// The instrument does not trade.
    MarketClosed,
    /// The displayed book is unknown or empty: nothing can be priced.
    NoLiquidity,
    /// No such open order.
    UnknownOrder,
}

impl Reject {
    pub const ALL: [Self; 12] = [
        Self::UnknownSymbol,
        Self::UnknownAccount,
        Self::PriceFilter,
        Self::LotSize,
        Self::Notional,
        Self::TooManyOrders,
        Self::WouldTake,
        Self::InsufficientBalance,
        Self::DuplicateClientId,
        Self::MarketClosed,
        Self::NoLiquidity,
        Self::UnknownOrder,
    ];

    /// The error code on the wire.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::UnknownSymbol => -1121,
            Self::UnknownAccount => -2015,
            Self::PriceFilter | Self::LotSize | Self::Notional | Self::TooManyOrders => -1013,
            Self::WouldTake | Self::InsufficientBalance | Self::DuplicateClientId | Self::MarketClosed | Self::NoLiquidity => -2010,
            Self::UnknownOrder => -2011,
        }
    }

    /// The error text on the wire.
    #[must_use]
    pub fn message(&self) -> String {
        self.text().to_owned()
    }

    const fn text(&self) -> &'static str {
        match self {
            Self::UnknownSymbol => "Invalid symbol.",
            Self::UnknownAccount => "Invalid API-key, IP, or permissions for action.",
            Self::PriceFilter => "Filter failure: PRICE_FILTER",
            Self::LotSize => "Filter failure: LOT_SIZE",
            Self::Notional => "Filter failure: NOTIONAL",
            Self::TooManyOrders => "Filter failure: MAX_NUM_ORDERS",
            Self::WouldTake => "Order would immediately match and take.",
            Self::InsufficientBalance => "Account has insufficient balance for requested action.",
            Self::DuplicateClientId => "Duplicate order sent.",
            Self::MarketClosed | Self::NoLiquidity => "Market is closed.",
            Self::UnknownOrder => "Unknown order sent.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_the_venues_code_and_text() {
        for reject in Reject::ALL {
            assert!(reject.code() < -1000 && !reject.message().is_empty(), "{reject:?}");
        }
        assert_eq!((Reject::WouldTake.code(), Reject::WouldTake.message().as_str()), (-2010, "Order would immediately match and take."));
        assert_eq!((Reject::LotSize.code(), Reject::LotSize.message().as_str()), (-1013, "Filter failure: LOT_SIZE"));
    }
}
