//! Why a request is refused: one closed list, with the venue's code and text for each.

use serde::{Deserialize, Serialize};

/// `code` and `message` are those of Binance's errors document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[error("{}", self.text())]
pub enum Reject {
    UnknownSymbol,
    UnknownAccount,
    /// Not positive, off the tick grid, or outside the price bounds.
    PriceFilter,
    /// Too far from the average price.
    PercentPrice,
    /// Not positive, off the step grid, or outside the quantity bounds.
    LotSize,
    /// The same for market orders.
    MarketLotSize,
    /// Price x quantity is outside the notional bounds.
    Notional,
    /// The account has too many open orders in this symbol.
    TooManyOrders,
    /// Too many orders that wait for their stop.
    TooManyAlgoOrders,
    TooManyLists,
    /// The account would hold too much of the base asset.
    MaxPosition,
    /// A post-only order would take.
    WouldTake,
    /// The price is at or beyond the stop already.
    WouldTrigger,
    InsufficientBalance,
    /// An open order or list carries this client id.
    DuplicateClientId,
    /// The symbol does not trade.
    MarketClosed,
    /// The symbol takes only cancels and amends.
    WrongPhase,
    /// The displayed book is unknown: nothing can be priced.
    NoLiquidity,
    /// A market order finds nothing.
    EmptyBook,
    /// No such open order or list.
    UnknownOrder,
    /// The symbol takes no cancels.
    CancelClosed,
    /// The legs of a list do not fit each other.
    BadList,
    /// The working order of a list must be able to rest.
    WorkingType,
    /// An OCO pair is made of post-only, stop and take-profit orders.
    OcoType,
    OcoBothLimit,
    BuyLimitAbove,
    SellLimitBelow,
    BuyStopBelow,
    SellStopAbove,
    BuyTakeProfitAbove,
    SellTakeProfitBelow,
    /// The market is not between the two prices of an OCO.
    OcoPrices,
    AmendUnknown,
    AmendClosed,
    AmendSame,
    AmendIncrease,
    /// Not more than what has filled.
    AmendFilled,
    TooManyAmends,
}

impl Reject {
    pub const ALL: [Self; 38] = [
        Self::UnknownSymbol,
        Self::UnknownAccount,
        Self::PriceFilter,
        Self::PercentPrice,
        Self::LotSize,
        Self::MarketLotSize,
        Self::Notional,
        Self::TooManyOrders,
        Self::TooManyAlgoOrders,
        Self::TooManyLists,
        Self::MaxPosition,
        Self::WouldTake,
        Self::WouldTrigger,
        Self::InsufficientBalance,
        Self::DuplicateClientId,
        Self::MarketClosed,
        Self::WrongPhase,
        Self::NoLiquidity,
        Self::EmptyBook,
        Self::UnknownOrder,
        Self::CancelClosed,
        Self::BadList,
        Self::WorkingType,
        Self::OcoType,
        Self::OcoBothLimit,
        Self::BuyLimitAbove,
        Self::SellLimitBelow,
        Self::BuyStopBelow,
        Self::SellStopAbove,
        Self::BuyTakeProfitAbove,
        Self::SellTakeProfitBelow,
        Self::OcoPrices,
        Self::AmendUnknown,
        Self::AmendClosed,
        Self::AmendSame,
        Self::AmendIncrease,
        Self::AmendFilled,
        Self::TooManyAmends,
    ];

    /// The error code on the wire.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.words().0
    }

    /// The error text on the wire.
    #[must_use]
    pub fn message(&self) -> String {
        self.text().to_owned()
    }

    const fn text(&self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (i32, &'static str) {
        match self {
            Self::UnknownSymbol => (-1121, "Invalid symbol."),
            Self::UnknownAccount => (-2015, "Invalid API-key, IP, or permissions for action."),
            Self::PriceFilter => (-1013, "Filter failure: PRICE_FILTER"),
            Self::PercentPrice => (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
            Self::LotSize => (-1013, "Filter failure: LOT_SIZE"),
            Self::MarketLotSize => (-1013, "Filter failure: MARKET_LOT_SIZE"),
            Self::Notional => (-1013, "Filter failure: NOTIONAL"),
            Self::TooManyOrders => (-1013, "Filter failure: MAX_NUM_ORDERS"),
            Self::TooManyAlgoOrders => (-2010, "Filter failure: MAX_NUM_ALGO_ORDERS"),
            Self::TooManyLists => (-1013, "Filter failure: MAX_NUM_ORDER_LISTS"),
            Self::MaxPosition => (-1013, "Filter failure: MAX_POSITION"),
            Self::WouldTake => (-2010, "Order would immediately match and take."),
            Self::WouldTrigger => (-2010, "Order would trigger immediately."),
            Self::InsufficientBalance => (-2010, "Account has insufficient balance for requested action."),
            Self::DuplicateClientId => (-2010, "Duplicate order sent."),
            Self::MarketClosed | Self::NoLiquidity => (-2010, "Market is closed."),
            Self::WrongPhase => (-2010, "This order type is not possible in this trading phase."),
            Self::EmptyBook => (-2010, "Order book liquidity is less than symbol minimum quantity."),
            Self::UnknownOrder => (-2011, "Unknown order sent."),
            Self::CancelClosed => (-2011, "Market is closed."),
            Self::BadList => (-1128, "Combination of optional parameters invalid."),
            Self::WorkingType => (-1159, "Order type not supported for the working order of an order list."),
            Self::OcoType => (-1158, "Order type not supported in OCO."),
            Self::OcoBothLimit => (-1168, "At least one OCO order must be contingent."),
            Self::BuyLimitAbove => (-1165, "A limit order in a buy OCO must be below."),
            Self::SellLimitBelow => (-1166, "A limit order in a sell OCO must be above."),
            Self::BuyStopBelow => (-1196, "A stop loss order in a buy OCO must be above."),
            Self::SellStopAbove => (-1197, "A stop loss order in a sell OCO must be below."),
            Self::BuyTakeProfitAbove => (-1198, "A take profit order in a buy OCO must be below."),
            Self::SellTakeProfitBelow => (-1199, "A take profit order in a sell OCO must be above."),
            Self::OcoPrices => (-2010, "The relationship of the prices for the orders is not correct."),
            Self::AmendUnknown => (-2038, "Unknown order sent."),
            Self::AmendClosed => (-2038, "Market is closed."),
            Self::AmendSame => (-2038, "The requested action would change no state; rejecting"),
            Self::AmendIncrease => (-2038, "Order amend (quantity increase) is not supported."),
            Self::AmendFilled => (-2038, "Order amend (quantity not above the executed quantity) is not supported."),
            Self::TooManyAmends => (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS"),
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
