//! The REST endpoints: which method and path, what weight, whether signed.

use axum::http::Method;

use super::params::Params;
use super::refusal::ApiError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    HistoricalTrades,
    AggTrades,
    Klines,
    AvgPrice,
    Ticker24h,
    TradingDay,
    RollingTicker,
    TickerPrice,
    BookTicker,
    PlaceOrder,
    TestOrder,
    QueryOrder,
    CancelOrder,
    OpenOrders,
    CancelAll,
    AllOrders,
    MyTrades,
    Account,
    Commission,
    CancelReplace,
    Amend,
    Amendments,
    PlaceOco,
    PlaceOto,
    PlaceOtoco,
    PlaceOldOco,
    CancelList,
    QueryList,
    AllLists,
    OpenLists,
    OrderRate,
    MyFilters,
    PreventedMatches,
    Allocations,
}

impl Endpoint {
    /// `path` without the leading `/api/v3/`.
    pub fn find(method: &Method, path: &str) -> Result<Self, ApiError> {
        let methods: &[(Method, Self)] = match path {
            "ping" => &[(Method::GET, Self::Ping)],
            "time" => &[(Method::GET, Self::Time)],
            "exchangeInfo" => &[(Method::GET, Self::ExchangeInfo)],
            "depth" => &[(Method::GET, Self::Depth)],
            "trades" => &[(Method::GET, Self::Trades)],
            "historicalTrades" => &[(Method::GET, Self::HistoricalTrades)],
            "aggTrades" => &[(Method::GET, Self::AggTrades)],
            "klines" | "uiKlines" => &[(Method::GET, Self::Klines)],
            "avgPrice" => &[(Method::GET, Self::AvgPrice)],
            "ticker/24hr" => &[(Method::GET, Self::Ticker24h)],
            "ticker/tradingDay" => &[(Method::GET, Self::TradingDay)],
            "ticker" => &[(Method::GET, Self::RollingTicker)],
            "ticker/price" => &[(Method::GET, Self::TickerPrice)],
            "ticker/bookTicker" => &[(Method::GET, Self::BookTicker)],
            "order" => &[(Method::POST, Self::PlaceOrder), (Method::GET, Self::QueryOrder), (Method::DELETE, Self::CancelOrder)],
            "order/test" => &[(Method::POST, Self::TestOrder)],
            "openOrders" => &[(Method::GET, Self::OpenOrders), (Method::DELETE, Self::CancelAll)],
            "allOrders" => &[(Method::GET, Self::AllOrders)],
            "myTrades" => &[(Method::GET, Self::MyTrades)],
            "account" => &[(Method::GET, Self::Account)],
            "account/commission" => &[(Method::GET, Self::Commission)],
            "order/cancelReplace" => &[(Method::POST, Self::CancelReplace)],
            "order/amend/keepPriority" => &[(Method::PUT, Self::Amend)],
            "order/amendments" => &[(Method::GET, Self::Amendments)],
            "order/oco" => &[(Method::POST, Self::PlaceOldOco)],
            "orderList/oco" => &[(Method::POST, Self::PlaceOco)],
            "orderList/oto" => &[(Method::POST, Self::PlaceOto)],
            "orderList/otoco" => &[(Method::POST, Self::PlaceOtoco)],
            "orderList" => &[(Method::GET, Self::QueryList), (Method::DELETE, Self::CancelList)],
            "allOrderList" => &[(Method::GET, Self::AllLists)],
            "openOrderList" => &[(Method::GET, Self::OpenLists)],
            "rateLimit/order" => &[(Method::GET, Self::OrderRate)],
            "myFilters" => &[(Method::GET, Self::MyFilters)],
            "myPreventedMatches" => &[(Method::GET, Self::PreventedMatches)],
            "myAllocations" => &[(Method::GET, Self::Allocations)],
            "userDataStream" => return Err(ApiError::Retired),
            _ => return Err(ApiError::NoSuchPath(format!("/api/v3/{path}"))),
        };
        methods.iter().find(|(known, _)| known == method).map(|(_, endpoint)| *endpoint).ok_or(ApiError::WrongMethod)
    }

    pub const fn is_signed(self) -> bool {
        !matches!(
            self,
            Self::Ping
                | Self::Time
                | Self::ExchangeInfo
                | Self::Depth
                | Self::Trades
                | Self::HistoricalTrades
                | Self::AggTrades
                | Self::Klines
                | Self::AvgPrice
                | Self::Ticker24h
                | Self::TradingDay
                | Self::RollingTicker
                | Self::TickerPrice
                | Self::BookTicker
        )
    }

    /// Placements and cancels cost nothing when they succeed.
    pub const fn is_free_when_done(self) -> bool {
        matches!(
            self,
            Self::PlaceOrder
                | Self::CancelOrder
                | Self::CancelAll
                | Self::CancelReplace
                | Self::PlaceOco
                | Self::PlaceOto
                | Self::PlaceOtoco
                | Self::PlaceOldOco
                | Self::CancelList
        )
    }

    pub fn weight(self, params: &Params) -> u32 {
        let one_symbol = params.get("symbol").is_some();
        match self {
            Self::TestOrder if params.get("computeCommissionRates") == Some("true") => 20,
            Self::Ping
            | Self::Time
            | Self::PlaceOrder
            | Self::TestOrder
            | Self::CancelOrder
            | Self::CancelAll
            | Self::CancelReplace
            | Self::PlaceOco
            | Self::PlaceOto
            | Self::PlaceOtoco
            | Self::PlaceOldOco
            | Self::CancelList => 1,
            Self::OpenLists => 6,
            Self::PreventedMatches if params.get("preventedMatchId").is_some() => 2,
            Self::OrderRate | Self::MyFilters => 40,
            Self::Klines | Self::AvgPrice => 2,
            Self::TickerPrice | Self::BookTicker => {
                if one_symbol {
                    2
                } else {
                    4
                }
            }
            Self::Ticker24h => match listed(params) {
                Some(0..=20) => 2,
                Some(21..=100) => 40,
                _ => 80,
            },
            Self::TradingDay | Self::RollingTicker => (4 * listed(params).unwrap_or(1)).clamp(4, 200),
            Self::AggTrades | Self::QueryOrder | Self::Amend | Self::Amendments | Self::QueryList => 4,
            Self::Depth => match params.get("limit").and_then(|limit| limit.parse::<u32>().ok()).unwrap_or(100) {
                0..=100 => 5,
                101..=500 => 25,
                501..=1_000 => 50,
                _ => 250,
            },
            Self::OpenOrders => {
                if one_symbol {
                    6
                } else {
                    80
                }
            }
            Self::MyTrades => {
                if params.get("orderId").is_some() {
                    5
                } else {
                    20
                }
            }
            Self::ExchangeInfo
            | Self::AllOrders
            | Self::Account
            | Self::Commission
            | Self::AllLists
            | Self::PreventedMatches
            | Self::Allocations => 20,
            Self::Trades | Self::HistoricalTrades => 25,
        }
    }
}

/// How many symbols are asked for; `None`: all.
fn listed(params: &Params) -> Option<u32> {
    match (params.get("symbol"), params.get("symbols")) {
        (Some(_), _) => Some(1),
        (None, Some(list)) => u32::try_from(list.split(',').count()).ok(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_told_apart() {
        assert_eq!(Endpoint::find(&Method::DELETE, "order"), Ok(Endpoint::CancelOrder));
        assert_eq!(Endpoint::find(&Method::PUT, "order").unwrap_err().status(), 405);
        assert_eq!(Endpoint::find(&Method::GET, "nothing").unwrap_err().status(), 404);
        assert_eq!(Endpoint::find(&Method::POST, "userDataStream").unwrap_err().status(), 410);
        assert_eq!(Endpoint::find(&Method::GET, "uiKlines"), Ok(Endpoint::Klines));
    }

    #[test]
    fn deeper_books_weigh_more() {
        let weight = |query: &str| Endpoint::Depth.weight(&Params::parse(query, "").unwrap());
        assert_eq!([weight(""), weight("limit=500"), weight("limit=1000"), weight("limit=5000")], [5, 25, 50, 250]);
        let many = |count: usize| format!("symbols=[{}]", vec!["\"A\""; count].join(","));
        let weight = |endpoint: Endpoint, query: &str| endpoint.weight(&Params::parse(query, "").unwrap());
        let day = |query: &str| weight(Endpoint::Ticker24h, query);
        assert_eq!([day("symbol=A"), day(&many(20)), day(&many(21)), day(&many(101)), day("")], [2, 2, 40, 80, 80]);
        assert_eq!([weight(Endpoint::RollingTicker, &many(3)), weight(Endpoint::TradingDay, &many(100))], [12, 200]);
    }
}
