//! Orders as they are asked for: parameters of a placement or a cancel in domain words, or the refusal Binance gives.

use super::params::Params;
use super::refusal::ApiError;
use crate::domain::Money;
use crate::domain::{OrderId, OrderKind, Price, Qty, Side, Symbol, TimeInForce};
use crate::matching::OrderRequest;

const CLIENT_ID: &str = "^[a-zA-Z0-9-_]{1,36}$";
const SYMBOL: &str = "^[\\w\\-._&&[^a-z]]{1,50}$";
/// Parameters of order types that are not served.
const CONDITIONAL: [&str; 6] = ["stopPrice", "trailingDelta", "icebergQty", "pegPriceType", "pegOffsetType", "pegOffsetValue"];

/// How much the answer to a placement tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseType {
    Ack,
    Result,
    Full,
}

/// A placement; a market order may say how much quote money to spend instead of a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    pub request: OrderRequest,
    pub quote_qty: Option<Money>,
    pub response: ResponseType,
}

impl Placement {
    pub fn parse(params: &Params, symbols: &[Symbol]) -> Result<Self, ApiError> {
        let symbol = symbol(params, symbols)?;
        let side = match params.required("side")? {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err(ApiError::Side),
        };
        let kind = match params.required("type")? {
            "LIMIT" => OrderKind::Limit { time_in_force: time_in_force(params)?, price: positive(params.required_decimal("price")?)? },
            "LIMIT_MAKER" => {
                refuse(params, &["timeInForce"])?;
                OrderKind::LimitMaker { price: positive(params.required_decimal("price")?)? }
            }
            "MARKET" => {
                refuse(params, &["timeInForce", "price"])?;
                OrderKind::Market
            }
            _ => return Err(ApiError::OrderType),
        };
        refuse(params, &CONDITIONAL)?;
        let (qty, quote_qty) = amounts(params, kind)?;
        let client_id = client_id(params, "newClientOrderId")?.unwrap_or_default().to_owned();
        let response = match params.text("newOrderRespType")? {
            None if matches!(kind, OrderKind::LimitMaker { .. }) => ResponseType::Ack,
            None | Some("FULL") => ResponseType::Full,
            Some("RESULT") => ResponseType::Result,
            Some("ACK") => ResponseType::Ack,
            Some(_) => return Err(ApiError::ResponseType),
        };
        Ok(Self { request: OrderRequest { client_id, symbol, side, qty, kind }, quote_qty, response })
    }
}

/// Which order is meant: by its id, by its client id, or by both, which then must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub symbol: Symbol,
    pub order_id: Option<OrderId>,
    pub client_id: Option<&'a str>,
}

impl<'a> Named<'a> {
    pub fn parse(params: &'a Params, symbols: &[Symbol]) -> Result<Self, ApiError> {
        let symbol = symbol(params, symbols)?;
        let order_id = params.integer("orderId")?.map(OrderId);
        let client_id = params.text("origClientOrderId")?;
        if order_id.is_none() && client_id.is_none() {
            return Err(ApiError::Missing("orderId"));
        }
        Ok(Self { symbol, order_id, client_id })
    }
}

/// States in which alone a cancel shall happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restriction {
    OnlyNew,
    OnlyPartiallyFilled,
}

pub(super) fn restriction(params: &Params) -> Result<Option<Restriction>, ApiError> {
    match params.text("cancelRestrictions")? {
        None => Ok(None),
        Some("ONLY_NEW") => Ok(Some(Restriction::OnlyNew)),
        Some("ONLY_PARTIALLY_FILLED") => Ok(Some(Restriction::OnlyPartiallyFilled)),
        Some(_) => Err(ApiError::BadData("cancelRestrictions")),
    }
}

/// The mandatory, listed symbol.
pub(super) fn symbol(params: &Params, symbols: &[Symbol]) -> Result<Symbol, ApiError> {
    known(params.required("symbol")?, symbols)
}

/// A name in a request as a listed symbol; blanks, quotes and lower-case letters are illegal characters.
pub(super) fn known(name: &str, symbols: &[Symbol]) -> Result<Symbol, ApiError> {
    let legal = |c: char| !c.is_ascii() || c.is_ascii_uppercase() || c.is_ascii_digit() || "-._".contains(c);
    if name.chars().count() > 50 || !name.chars().all(legal) {
        return Err(ApiError::Illegal { name: "symbol", range: SYMBOL });
    }
    symbols.iter().find(|symbol| symbol.as_str() == name).copied().ok_or(ApiError::Symbol)
}

/// A client order id, if one was sent.
pub(super) fn client_id<'a>(params: &'a Params, name: &'static str) -> Result<Option<&'a str>, ApiError> {
    let Some(id) = params.text(name)? else { return Ok(None) };
    let legal = id.len() <= 36 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if legal { Ok(Some(id)) } else { Err(ApiError::Illegal { name, range: CLIENT_ID }) }
}

fn time_in_force(params: &Params) -> Result<TimeInForce, ApiError> {
    match params.required("timeInForce")? {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        _ => Err(ApiError::TimeInForce),
    }
}

fn positive(price: Price) -> Result<Price, ApiError> {
    if price.is_positive() { Ok(price) } else { Err(ApiError::Rejected { code: -1013, message: "Invalid price.".into() }) }
}

fn amounts(params: &Params, kind: OrderKind) -> Result<(Qty, Option<Money>), ApiError> {
    let qty: Option<Qty> = params.decimal("quantity")?;
    let quote: Option<Qty> = params.decimal("quoteOrderQty")?;
    match (kind, qty, quote) {
        (OrderKind::Market, Some(_), Some(_)) => Err(ApiError::Combination),
        (OrderKind::Market, None, Some(quote)) => Ok((Qty::ZERO, Some(Money::from_quote(quote)))),
        (_, _, Some(_)) => Err(ApiError::NotRequired("quoteOrderQty")),
        (_, None, None) => Err(ApiError::Missing("quantity")),
        (_, Some(qty), None) if !qty.is_positive() => Err(ApiError::Rejected { code: -1013, message: "Invalid quantity.".into() }),
        (_, Some(qty), None) => Ok((qty, None)),
    }
}

fn refuse(params: &Params, names: &[&'static str]) -> Result<(), ApiError> {
    names.iter().find(|name| params.get(name).is_some()).map_or(Ok(()), |name| Err(ApiError::NotRequired(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Placement, ApiError> {
        Placement::parse(&Params::parse(text, "").unwrap(), &["BTCUSDT".parse().unwrap()])
    }

    #[test]
    fn a_post_only_order_answers_briefly_unless_asked() {
        let order = parse("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.1&price=100&newClientOrderId=h0-1").unwrap();
        assert_eq!(order.response, ResponseType::Ack);
        assert_eq!(order.request.kind, OrderKind::LimitMaker { price: "100".parse().unwrap() });
        let order = parse("symbol=BTCUSDT&side=SELL&type=MARKET&quoteOrderQty=25").unwrap();
        assert_eq!((order.quote_qty, order.response), (Some("25".parse().unwrap()), ResponseType::Full));
    }

    #[test]
    fn each_malformed_placement_has_its_code() {
        let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=1";
        assert!(parse(limit).is_ok());
        for (from, to, code) in [
            ("symbol=BTCUSDT&", "", -1102),
            ("BTCUSDT", "btcusdt", -1100),
            ("BTCUSDT", "XRPUSDT", -1121),
            ("BUY", "HOLD", -1117),
            ("=LIMIT", "=STOP", -1116),
            ("=GTC", "=GTX", -1115),
            ("&timeInForce=GTC", "", -1102),
            ("&quantity=1", "", -1102),
            ("&quantity=1", "&quantity=0", -1013),
            ("&quantity=1", "&quantity=1e-3", -1100),
            ("&quantity=1", "&quantity=0.123456789", -1111),
            ("&price=1", "&price=", -1102),
            ("&price=1", "&price=0", -1013),
            ("&price=1", "&price=1&stopPrice=2", -1106),
            ("&price=1", "&price=1&newClientOrderId=a.b", -1100),
            ("&price=1", "&price=1&newOrderRespType=ALL", -1130),
            ("&type=LIMIT&timeInForce=GTC", "&type=LIMIT_MAKER&timeInForce=GTC", -1106),
            ("&type=LIMIT&timeInForce=GTC", "&type=MARKET", -1106),
            ("&type=LIMIT&timeInForce=GTC&quantity=1&price=1", "&type=MARKET&quantity=1&quoteOrderQty=1", -1128),
        ] {
            let text = limit.replace(from, to);
            assert_eq!(parse(&text).unwrap_err().code(), code, "{text}");
        }
    }
}
