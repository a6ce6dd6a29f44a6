//! Which parameters each endpoint reads; a strict exchange refuses any other.

use super::endpoint::Endpoint;
use super::refusal::ApiError;

const SIGNED: [&str; 5] = ["apiKey", "recvWindow", "timestamp", "signature", "returnRateLimits"];

/// `None` where every parameter is taken.
const fn read_by(endpoint: Endpoint) -> Option<&'static [&'static str]> {
    Some(match endpoint {
        Endpoint::Ping | Endpoint::Time => &[],
        Endpoint::ExchangeInfo => &["symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"],
        Endpoint::Depth => &["symbol", "limit", "symbolStatus"],
        Endpoint::Trades => &["symbol", "limit"],
        Endpoint::HistoricalTrades => &["symbol", "limit", "fromId"],
        Endpoint::AggTrades => &["symbol", "fromId", "startTime", "endTime", "limit"],
        Endpoint::Klines => &["symbol", "interval", "startTime", "endTime", "timeZone", "limit"],
        Endpoint::AvgPrice => &["symbol"],
        Endpoint::Ticker24h => &["symbol", "symbols", "type", "symbolStatus"],
        Endpoint::TradingDay => &["symbol", "symbols", "timeZone", "type", "symbolStatus"],
        Endpoint::RollingTicker => &["symbol", "symbols", "windowSize", "type", "symbolStatus"],
        Endpoint::TickerPrice | Endpoint::BookTicker => &["symbol", "symbols", "symbolStatus"],
        Endpoint::PlaceOrder | Endpoint::TestOrder => &[
            "symbol",
            "side",
            "type",
            "timeInForce",
            "quantity",
            "quoteOrderQty",
            "price",
            "newClientOrderId",
            "strategyId",
            "strategyType",
            "stopPrice",
            "trailingDelta",
            "icebergQty",
            "newOrderRespType",
            "selfTradePreventionMode",
            "pegPriceType",
            "pegOffsetValue",
            "pegOffsetType",
            "computeCommissionRates",
        ],
        Endpoint::QueryOrder => &["symbol", "orderId", "origClientOrderId"],
        Endpoint::CancelOrder => &["symbol", "orderId", "origClientOrderId", "newClientOrderId", "cancelRestrictions"],
        Endpoint::OpenOrders | Endpoint::CancelAll | Endpoint::Commission => &["symbol"],
        Endpoint::AllOrders => &["symbol", "orderId", "startTime", "endTime", "limit"],
        Endpoint::MyTrades => &["symbol", "orderId", "startTime", "endTime", "fromId", "limit"],
        Endpoint::Account => &["omitZeroBalances"],
        _ => return None,
    })
}

/// The names of a query and a form body; the query wins where both have one.
pub(super) fn check_form(endpoint: Endpoint, query: &str, body: &str) -> Result<(), ApiError> {
    let body = if body.starts_with(['{', '[']) { "" } else { body };
    let names = query.split('&').chain(body.split('&')).filter(|part| !part.is_empty());
    let mut names: Vec<&str> = names.map(|part| part.split('=').next().unwrap_or(part)).collect();
    names.sort_unstable();
    names.dedup();
    check(endpoint, &names)
}

pub(super) fn check(endpoint: Endpoint, sent: &[&str]) -> Result<(), ApiError> {
    let Some(known) = read_by(endpoint) else { return Ok(()) };
    let read = sent.iter().filter(|name| known.contains(name) || SIGNED.contains(name)).count();
    if read == sent.len() {
        return Ok(());
    }
    let message = format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{}'.", sent.len());
    Err(ApiError::Rejected { code: -1104, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_parameter_is_counted() {
        let query = "symbol=BTCUSDT&timestamp=1&signature=a";
        assert_eq!(check_form(Endpoint::OpenOrders, query, ""), Ok(()));
        let refused = check_form(Endpoint::OpenOrders, query, "postOnly=true&symbol=X").unwrap_err();
        assert_eq!(
            (refused.code(), refused.to_string().as_str()),
            (-1104, "Not all sent parameters were read; read '3' parameter(s) but was sent '4'.")
        );
    }
}
