//! Orders as they are asked for: parameters of a placement or a cancel in domain words, or the refusal Binance gives.

use super::params::Params;
use super::refusal::ApiError;
use crate::domain::{Money, OrderId, OrderKind, Price, Qty, Side, Symbol, TimeInForce};
use crate::matching::{Leg, OrderRequest, SelfTradeMode, Terms};

const CLIENT_ID: &str = "^[a-zA-Z0-9-_]{1,36}$";
const SYMBOL: &str = "^[\\w\\-._&&[^a-z]]{1,50}$";
/// A customer's mark of a strategy's type starts here.
const STRATEGY_TYPES: u64 = 1_000_000;

/// The parameters of one order; the orders of a list have prefixed ones.
pub(super) struct Names {
    kind: &'static str,
    side: &'static str,
    client_id: &'static str,
    qty: &'static str,
    quote_qty: &'static str,
    price: &'static str,
    stop: &'static str,
    time_in_force: &'static str,
    trailing: &'static str,
    iceberg: &'static str,
    strategy_id: &'static str,
    strategy_type: &'static str,
    pegs: [&'static str; 3],
}

macro_rules! prefixed {
    ($prefix:literal, $side:literal, $qty:literal) => {
        Names {
            kind: concat!($prefix, "Type"),
            side: $side,
            client_id: concat!($prefix, "ClientOrderId"),
            qty: $qty,
            quote_qty: concat!($prefix, "QuoteOrderQty"),
            price: concat!($prefix, "Price"),
            stop: concat!($prefix, "StopPrice"),
            time_in_force: concat!($prefix, "TimeInForce"),
            trailing: concat!($prefix, "TrailingDelta"),
            iceberg: concat!($prefix, "IcebergQty"),
            strategy_id: concat!($prefix, "StrategyId"),
            strategy_type: concat!($prefix, "StrategyType"),
            pegs: [concat!($prefix, "PegPriceType"), concat!($prefix, "PegOffsetType"), concat!($prefix, "PegOffsetValue")],
        }
    };
}

pub(super) const ABOVE: Names = prefixed!("above", "side", "quantity");
pub(super) const BELOW: Names = prefixed!("below", "side", "quantity");
pub(super) const WORKING: Names = prefixed!("working", "workingSide", "workingQuantity");
pub(super) const PENDING: Names = prefixed!("pending", "pendingSide", "pendingQuantity");
pub(super) const PENDING_ABOVE: Names = prefixed!("pendingAbove", "pendingSide", "pendingQuantity");
pub(super) const PENDING_BELOW: Names = prefixed!("pendingBelow", "pendingSide", "pendingQuantity");
const ALONE: Names = Names {
    kind: "type",
    side: "side",
    client_id: "newClientOrderId",
    qty: "quantity",
    quote_qty: "quoteOrderQty",
    price: "price",
    stop: "stopPrice",
    time_in_force: "timeInForce",
    trailing: "trailingDelta",
    iceberg: "icebergQty",
    strategy_id: "strategyId",
    strategy_type: "strategyType",
    pegs: ["pegPriceType", "pegOffsetType", "pegOffsetValue"],
};

/// How much the answer to a placement tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseType {
    Ack,
    Result,
    Full,
}

impl ResponseType {
    pub fn parse(params: &Params, usual: Self) -> Result<Self, ApiError> {
        match params.text("newOrderRespType")? {
            None => Ok(usual),
            Some("FULL") => Ok(Self::Full),
            Some("RESULT") => Ok(Self::Result),
            Some("ACK") => Ok(Self::Ack),
            Some(_) => Err(ApiError::ResponseType),
        }
    }
}

/// A placement; a market order may say how much quote money to spend instead of a quantity (`Terms::quote_qty`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    pub request: OrderRequest,
    pub terms: Terms,
    pub response: ResponseType,
}

impl Placement {
    pub fn parse(params: &Params, symbols: &[Symbol]) -> Result<Self, ApiError> {
        let symbol = symbol(params, symbols)?;
        let Leg { request, terms } = leg(params, symbol, &ALONE)?;
        let usual = match request.kind {
            OrderKind::Limit { .. } | OrderKind::Market => ResponseType::Full,
            _ => ResponseType::Ack,
        };
        Ok(Self { request, terms, response: ResponseType::parse(params, usual)? })
    }
}

/// One order under its names.
pub(super) fn leg(params: &Params, symbol: Symbol, names: &Names) -> Result<Leg, ApiError> {
    let side = side(params, names.side)?;
    let kind = kind(params, names)?;
    let (qty, quote_qty) = amounts(params, kind, names)?;
    let client_id = client_id(params, names.client_id)?.unwrap_or_default().to_owned();
    let strategy_type = params.integer(names.strategy_type)?;
    if strategy_type.is_some_and(|number| number < STRATEGY_TYPES) {
        return Err(ApiError::StrategyType);
    }
    let terms = Terms {
        self_trade: self_trade(params)?,
        quote_qty,
        strategy_id: params.integer(names.strategy_id)?,
        strategy_type: strategy_type.map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
    };
    Ok(Leg { request: OrderRequest { client_id, symbol, side, qty, kind }, terms })
}

pub(super) fn side(params: &Params, name: &'static str) -> Result<Side, ApiError> {
    match params.required(name)? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(ApiError::Side),
    }
}

/// The type with its prices; parameters that the type does not have are refused.
fn kind(params: &Params, names: &Names) -> Result<OrderKind, ApiError> {
    let (price, stop) = (|| limit_price(params, names.price), || stop_price(params, names));
    let time_in_force = || time_in_force(params, names.time_in_force);
    let kind = match params.required(names.kind)? {
        "LIMIT" => {
            refuse(params, &[names.stop])?;
            OrderKind::Limit { time_in_force: time_in_force()?, price: price()? }
        }
        "LIMIT_MAKER" => {
            refuse(params, &[names.time_in_force, names.stop])?;
            OrderKind::LimitMaker { price: price()? }
        }
        "MARKET" => {
            refuse(params, &[names.time_in_force, names.price, names.stop])?;
            OrderKind::Market
        }
        "STOP_LOSS" => {
            refuse(params, &[names.time_in_force, names.price])?;
            OrderKind::StopLoss { stop: stop()? }
        }
        "TAKE_PROFIT" => {
            refuse(params, &[names.time_in_force, names.price])?;
            OrderKind::TakeProfit { stop: stop()? }
        }
        "STOP_LOSS_LIMIT" => OrderKind::StopLossLimit { time_in_force: time_in_force()?, price: price()?, stop: stop()? },
        "TAKE_PROFIT_LIMIT" => OrderKind::TakeProfitLimit { time_in_force: time_in_force()?, price: price()?, stop: stop()? },
        _ => return Err(ApiError::OrderType),
    };
    for (name, what) in [(names.trailing, "Trailing stop orders"), (names.iceberg, "Iceberg orders")] {
        if params.get(name).is_some() {
            return Err(ApiError::NotSupported(what));
        }
    }
    if names.pegs.iter().any(|name| params.get(name).is_some()) {
        return Err(ApiError::NotSupported("Pegged orders"));
    }
    Ok(kind)
}

pub(super) fn self_trade(params: &Params) -> Result<Option<SelfTradeMode>, ApiError> {
    Ok(Some(match params.text("selfTradePreventionMode")? {
        None => return Ok(None),
        Some("NONE") => SelfTradeMode::None,
        Some("EXPIRE_TAKER") => SelfTradeMode::ExpireTaker,
        Some("EXPIRE_MAKER") => SelfTradeMode::ExpireMaker,
        Some("EXPIRE_BOTH") => SelfTradeMode::ExpireBoth,
        Some("DECREMENT" | "TRANSFER") => return Err(ApiError::SelfTradeMode),
        Some(_) => return Err(ApiError::BadData("selfTradePreventionMode")),
    }))
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
        Self::under(params, symbols, "orderId", "origClientOrderId")
    }

    pub fn under(params: &'a Params, symbols: &[Symbol], id: &'static str, client_id: &'static str) -> Result<Self, ApiError> {
        let symbol = symbol(params, symbols)?;
        let (order_id, name) = (params.integer(id)?.map(OrderId), params.text(client_id)?);
        if order_id.is_none() && name.is_none() {
            return Err(ApiError::OneOf(client_id, id));
        }
        Ok(Self { symbol, order_id, client_id: name })
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
        Some(_) => Err(ApiError::Restrictions),
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

pub(super) fn time_in_force(params: &Params, name: &'static str) -> Result<TimeInForce, ApiError> {
    match params.required(name)? {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        _ => Err(ApiError::TimeInForce),
    }
}

pub(super) fn limit_price(params: &Params, name: &'static str) -> Result<Price, ApiError> {
    let price: Price = params.required_decimal(name)?;
    if price.is_positive() { Ok(price) } else { Err(ApiError::Rejected { code: -1013, message: "Invalid price.".into() }) }
}

fn stop_price(params: &Params, names: &Names) -> Result<Price, ApiError> {
    if params.get(names.trailing).is_some() {
        return Err(ApiError::NotSupported("Trailing stop orders"));
    }
    let stop: Price = params.decimal(names.stop)?.ok_or(ApiError::OneOf(names.stop, names.trailing))?;
    if stop.is_positive() { Ok(stop) } else { Err(ApiError::Rejected { code: -1013, message: "Stop price is invalid.".into() }) }
}

fn amounts(params: &Params, kind: OrderKind, names: &Names) -> Result<(Qty, Option<Money>), ApiError> {
    let qty: Option<Qty> = params.decimal(names.qty)?;
    let quote: Option<Qty> = params.decimal(names.quote_qty)?;
    match (kind, qty, quote) {
        (OrderKind::Market, Some(_), Some(_)) => Err(ApiError::Combination),
        (OrderKind::Market, None, Some(quote)) => Ok((Qty::ZERO, Some(Money::from_quote(quote)))),
        (_, _, Some(_)) => Err(ApiError::NotRequired(names.quote_qty)),
        (OrderKind::Market, None, None) => Err(ApiError::OneOf(names.qty, names.quote_qty)),
        (_, None, None) => Err(ApiError::Missing(names.qty)),
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
    fn limit_and_market_orders_answer_fully_and_others_briefly_unless_asked() {
        let order = parse("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.1&price=100&newClientOrderId=h0-1").unwrap();
        assert_eq!(order.response, ResponseType::Ack);
        assert_eq!(order.request.kind, OrderKind::LimitMaker { price: "100".parse().unwrap() });
        let order = parse("symbol=BTCUSDT&side=SELL&type=MARKET&quoteOrderQty=25").unwrap();
        assert_eq!((order.terms.quote_qty, order.response), (Some("25".parse().unwrap()), ResponseType::Full));
        let order = parse("symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=1&stopPrice=9&selfTradePreventionMode=EXPIRE_BOTH").unwrap();
        assert_eq!((order.request.kind, order.response), (OrderKind::StopLoss { stop: "9".parse().unwrap() }, ResponseType::Ack));
        assert_eq!(order.terms.self_trade, Some(SelfTradeMode::ExpireBoth));
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
            ("&price=1", "&price=1&icebergQty=0.1", -1013),
            ("&price=1", "&price=1&pegPriceType=PRIMARY_PEG", -1013),
            ("&price=1", "&price=1&newClientOrderId=a.b", -1100),
            ("&price=1", "&price=1&newOrderRespType=ALL", -1130),
            ("&price=1", "&price=1&strategyType=5", -1134),
            ("&price=1", "&price=1&selfTradePreventionMode=DECREMENT", -1013),
            ("&price=1", "&price=1&selfTradePreventionMode=SOME", -1130),
            ("=LIMIT", "=STOP_LOSS_LIMIT", -1102),
            ("&type=LIMIT", "&type=STOP_LOSS_LIMIT&trailingDelta=100", -1013),
            ("&type=LIMIT&timeInForce=GTC", "&type=STOP_LOSS&stopPrice=1", -1106),
            ("&type=LIMIT&timeInForce=GTC", "&type=LIMIT_MAKER&timeInForce=GTC", -1106),
            ("&type=LIMIT&timeInForce=GTC", "&type=MARKET", -1106),
            ("&type=LIMIT&timeInForce=GTC&quantity=1&price=1", "&type=MARKET&quantity=1&quoteOrderQty=1", -1128),
            ("&type=LIMIT&timeInForce=GTC&quantity=1&price=1", "&type=MARKET", -1102),
        ] {
            let text = limit.replace(from, to);
            assert_eq!(parse(&text).unwrap_err().code(), code, "{text}");
        }
    }
}
