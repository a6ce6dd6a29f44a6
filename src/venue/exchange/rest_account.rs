//! The signed endpoints: orders, trades, balances, fees.

use serde_json::json;

use super::endpoint::Endpoint;
use super::exchange_info::account_filters;
use super::hall::{ACCOUNT, Hall};
use super::limits::{ORDERS_PER_10_SECONDS, ORDERS_PER_DAY};
use super::lists::{ListForm, ListPlacement};
use super::params::Params;
use super::placement::{Named, Placement, client_id, restriction, symbol};
use super::refusal::ApiError;
use super::replace::Replacement;
use super::rest::Done;
use super::trading::Accepted;
use super::wire::json as text;
use super::wire_list::ListAnswer;
use super::wire_order::{AmendmentRow, OwnTrade, PreventedRow, Queried};
use crate::domain::{Balance, Bps, OrderId, OrderListId, Span, Timestamp, TradeId};
use crate::matching::{ListView, PreventedMatch, TradeFilter};

/// Orders and trades may be asked for at most this far apart.
const LONGEST_SPAN: Span = Span::from_secs(24 * 3_600);

pub(super) fn answer(hall: &mut Hall, endpoint: Endpoint, params: &Params) -> Result<Done, ApiError> {
    match endpoint {
        Endpoint::PlaceOrder => placed(hall.place(&Placement::parse(params, &hall.symbols)?, false)),
        Endpoint::CancelReplace => placed(hall.replace(&Replacement::parse(params, &hall.symbols.clone())?)),
        Endpoint::PlaceOco => place_list(hall, params, ListForm::Oco),
        Endpoint::PlaceOto => place_list(hall, params, ListForm::Oto),
        Endpoint::PlaceOtoco => place_list(hall, params, ListForm::Otoco),
        Endpoint::PlaceOldOco => place_list(hall, params, ListForm::OldOco),
        Endpoint::TestOrder => test_order(hall, params).map(Done::from),
        Endpoint::QueryOrder => hall.query(Named::parse(params, &hall.symbols)?).map(Done::from),
        Endpoint::CancelOrder => {
            let order = Named::parse(params, &hall.symbols)?;
            hall.cancel(order, restriction(params)?, client_id(params, "newClientOrderId")?).map(Done::from)
        }
        Endpoint::CancelAll => hall.cancel_all(symbol(params, &hall.symbols)?).map(Done::from),
        Endpoint::Amend => {
            let order = Named::parse(params, &hall.symbols)?;
            hall.amend(order, params.required_decimal("newQty")?, client_id(params, "newClientOrderId")?).map(Done::from)
        }
        Endpoint::CancelList => {
            let (symbol, id) = (symbol(params, &hall.symbols)?, params.integer("orderListId")?.map(OrderListId));
            let (list, request) = (client_id(params, "listClientOrderId")?, client_id(params, "newClientOrderId")?);
            hall.cancel_list(symbol, id, list, request).map(Done::from)
        }
        Endpoint::QueryList => {
            let id = params.integer("orderListId")?.map(OrderListId);
            hall.query_list(id, client_id(params, "origClientOrderId")?).map(Done::from)
        }
        Endpoint::OpenLists => Ok(lists(&hall.exchange.open_lists(ACCOUNT, None)).into()),
        Endpoint::AllLists => all_lists(hall, params).map(Done::from),
        Endpoint::OpenOrders => open_orders(hall, params).map(Done::from),
        Endpoint::AllOrders => all_orders(hall, params).map(Done::from),
        Endpoint::MyTrades => my_trades(hall, params).map(Done::from),
        Endpoint::Amendments => amendments(hall, params).map(Done::from),
        Endpoint::PreventedMatches => prevented_matches(hall, params).map(Done::from),
        Endpoint::Allocations => symbol(params, &hall.symbols).map(|_| "[]".to_owned().into()),
        Endpoint::OrderRate => Ok(order_rate(hall).into()),
        Endpoint::MyFilters => my_filters(hall, params).map(Done::from),
        Endpoint::Account => account(hall, params).map(Done::from),
        Endpoint::Commission => commission(hall, params).map(Done::from),
        _ => super::rest_market::answer(hall, endpoint, params).map(Done::from),
    }
}

fn placed(outcome: Result<Accepted, ApiError>) -> Result<Done, ApiError> {
    outcome.map(|accepted| Done { body: accepted.body, order_counts: Some(accepted.counts) })
}

fn place_list(hall: &mut Hall, params: &Params, form: ListForm) -> Result<Done, ApiError> {
    placed(hall.place_list(&ListPlacement::parse(params, &hall.symbols, form)?))
}

fn test_order(hall: &mut Hall, params: &Params) -> Result<String, ApiError> {
    let placement = Placement::parse(params, &hall.symbols)?;
    hall.try_out(&placement)?;
    if params.text("computeCommissionRates")? != Some("true") {
        return Ok("{}".to_owned());
    }
    let fees = hall.exchange.instrument(placement.request.symbol).ok_or(ApiError::Symbol)?.fees;
    let family = |maker: Bps, taker: Bps| json!({"maker": fraction(maker), "taker": fraction(taker)});
    Ok(text(&json!({
        "standardCommissionForOrder": family(fees.maker, fees.taker),
        "specialCommissionForOrder": family(Bps::ZERO, Bps::ZERO),
        "taxCommissionForOrder": family(Bps::ZERO, Bps::ZERO),
        "discount": {"enabledForAccount": false, "enabledForSymbol": false, "discountAsset": "BNB", "discount": fraction(Bps::ZERO)},
    })))
}

fn lists(lists: &[&ListView]) -> String {
    text(&lists.iter().map(|list| ListAnswer::of(list)).collect::<Vec<_>>())
}

fn all_lists(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let (limit, range) = (params.limit(500, 1_000)?, TimeRange::parse(params)?);
    let from_id = params.integer("fromId")?.map(OrderListId);
    if from_id.is_some() && range.is_set() {
        return Err(ApiError::Combination);
    }
    let mut all = hall.exchange.all_lists(ACCOUNT);
    all.retain(|list| range.holds(list.created_at) && from_id.is_none_or(|id| list.list_id >= id));
    Ok(lists(page(&all, limit, from_id.is_some() || range.start.is_some())))
}

fn amendments(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let order = params.integer("orderId")?.map(OrderId).ok_or(ApiError::Missing("orderId"))?;
    let (limit, from) = (params.limit(500, 1_000)?, params.integer("fromExecutionId")?.unwrap_or(0));
    let all = hall.exchange.amendments(ACCOUNT, symbol, order).iter().filter(|amendment| amendment.number >= from);
    Ok(text(&all.take(limit).map(|amendment| AmendmentRow::of(symbol.as_str(), amendment)).collect::<Vec<_>>()))
}

/// By match, or by order, on from a match.
fn prevented_matches(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let (one, from) = (params.integer("preventedMatchId")?, params.integer("fromPreventedMatchId")?);
    let (order, limit) = (params.integer("orderId")?.map(OrderId), params.limit(500, 1_000)?);
    let by_order = match (one, order, from) {
        (Some(_), None, None) => false,
        (None, Some(_), _) => true,
        _ => return Err(ApiError::Combination),
    };
    let wanted = |prevented: &&PreventedMatch| match one {
        Some(id) => prevented.match_id == id,
        None => by_order && [prevented.taker, prevented.maker].map(Some).contains(&order) && prevented.match_id >= from.unwrap_or(0),
    };
    let found = hall.exchange.prevented_matches(ACCOUNT, symbol).filter(wanted);
    Ok(text(&found.take(limit).map(PreventedRow::of).collect::<Vec<_>>()))
}

fn order_rate(hall: &mut Hall) -> String {
    let now = hall.now();
    let (short, day) = hall.orders.used(now);
    text(&json!([
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_PER_10_SECONDS, "count": short},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": ORDERS_PER_DAY, "count": day},
    ]))
}

/// The filters that count what the account has.
fn my_filters(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let rules = hall.exchange.rules(symbol(params, &hall.symbols)?).ok_or(ApiError::Symbol)?;
    Ok(text(&json!({"exchangeFilters": [], "symbolFilters": account_filters(rules), "assetFilters": []})))
}

fn open_orders(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = params.text("symbol")?.map(|_| symbol(params, &hall.symbols)).transpose()?;
    let orders = hall.exchange.open_orders(ACCOUNT, symbol);
    Ok(text(&orders.into_iter().map(Queried::of).collect::<Vec<_>>()))
}

fn all_orders(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let (limit, range) = (params.limit(500, 1_000)?, TimeRange::parse(params)?);
    let from_id = params.integer("orderId")?.map(OrderId);
    let mut orders = hall.exchange.all_orders(ACCOUNT, symbol);
    orders.retain(|order| range.holds(order.created_at) && from_id.is_none_or(|id| order.order_id >= id));
    let page = page(&orders, limit, from_id.is_some() || range.start.is_some());
    Ok(text(&page.iter().map(|order| Queried::of(order)).collect::<Vec<_>>()))
}

fn my_trades(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let (limit, range) = (params.limit(500, 1_000)?, TimeRange::parse(params)?);
    let filter = TradeFilter { order_id: params.integer("orderId")?.map(OrderId), from_id: params.integer("fromId")?.map(TradeId) };
    if range.is_set() && (filter.from_id.is_some() || filter.order_id.is_some()) {
        return Err(ApiError::Combination);
    }
    let mut trades = hall.exchange.trades(ACCOUNT, symbol, filter);
    trades.retain(|trade| range.holds(trade.at));
    let page = page(&trades, limit, filter.from_id.is_some() || range.start.is_some());
    Ok(text(&page.iter().map(|trade| OwnTrade::of(trade)).collect::<Vec<_>>()))
}

/// The oldest `limit` when the request says where to start, else the newest.
fn page<T>(items: &[T], limit: usize, from_start: bool) -> &[T] {
    let skipped = if from_start { 0 } else { items.len().saturating_sub(limit) };
    &items[skipped..items.len().min(skipped + limit)]
}

/// `startTime` and `endTime`, both inclusive, in whole milliseconds.
struct TimeRange {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl TimeRange {
    fn parse(params: &Params) -> Result<Self, ApiError> {
        let range = Self { start: params.time("startTime")?, end: params.time("endTime")? };
        match (range.start, range.end) {
            (Some(start), Some(end)) if end.since(start) > LONGEST_SPAN || end < start => Err(ApiError::LongSpan(24)),
            _ => Ok(range),
        }
    }

    const fn is_set(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    fn holds(&self, at: Timestamp) -> bool {
        let at = at.millis();
        self.start.is_none_or(|start| at >= start.millis()) && self.end.is_none_or(|end| at <= end.millis())
    }
}

/// A rate as a fraction with eight places: 10 bps are 0.00100000.
fn fraction(rate: Bps) -> String {
    let (sign, raw) = (if rate.raw() < 0 { "-" } else { "" }, rate.raw().unsigned_abs());
    format!("{sign}{}.{:08}", raw / 100_000_000, raw % 100_000_000)
}

fn whole_bps(rate: Bps) -> i64 {
    rate.raw() / 10_000
}

/// `account`, also `account.status` of the WebSocket API. Rates are those of the first symbol: the account has one fee level.
pub(super) fn account(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let omit_zero = params.text("omitZeroBalances")? == Some("true");
    let mut balances = hall.exchange.balances(ACCOUNT);
    let known: Vec<_> = hall.exchange.instruments().flat_map(|instrument| [instrument.base, instrument.quote]).collect();
    for asset in known {
        if balances.iter().all(|balance| balance.asset != asset) {
            balances.push(Balance { asset, free: crate::domain::Qty::ZERO, locked: crate::domain::Qty::ZERO });
        }
    }
    balances.retain(|balance| !omit_zero || !balance.total().is_zero());
    let rows: Vec<_> = balances
        .iter()
        .map(|b| json!({"asset": b.asset.as_str(), "free": format!("{:.8}", b.free), "locked": format!("{:.8}", b.locked)}))
        .collect();
    let (maker, taker) = hall.exchange.instruments().next().map_or((Bps::ZERO, Bps::ZERO), |i| (i.fees.maker, i.fees.taker));
    Ok(text(&json!({
        "makerCommission": whole_bps(maker),
        "takerCommission": whole_bps(taker),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": fraction(maker), "taker": fraction(taker), "buyer": fraction(Bps::ZERO), "seller": fraction(Bps::ZERO)},
        "canTrade": true,
        "canWithdraw": false,
        "canDeposit": false,
        "brokered": false,
        "requireSelfTradePrevention": false,
        "preventSor": false,
        "updateTime": hall.now().millis(),
        "accountType": "SPOT",
        "balances": rows,
        "permissions": ["SPOT"],
        "uid": u64::from(ACCOUNT.0),
    })))
}

fn commission(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let symbol = symbol(params, &hall.symbols)?;
    let fees = hall.exchange.instrument(symbol).ok_or(ApiError::Symbol)?.fees;
    let family = |maker: Bps, taker: Bps| {
        let none = fraction(Bps::ZERO);
        json!({"maker": fraction(maker), "taker": fraction(taker), "buyer": none, "seller": none})
    };
    Ok(text(&json!({
        "symbol": symbol.as_str(),
        "standardCommission": family(fees.maker, fees.taker),
        "specialCommission": family(Bps::ZERO, Bps::ZERO),
        "taxCommission": family(Bps::ZERO, Bps::ZERO),
        "discount": {"enabledForAccount": false, "enabledForSymbol": false, "discountAsset": "BNB", "discount": fraction(Bps::ZERO)},
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_start_where_asked_or_end_with_the_newest() {
        let items = [1, 2, 3, 4, 5];
        assert_eq!(page(&items, 2, true), [1, 2]);
        assert_eq!(page(&items, 2, false), [4, 5]);
        assert_eq!(page(&items, 9, false), items);
    }

    #[test]
    fn rates_are_printed_as_fractions() {
        assert_eq!(fraction(Bps::from_bps(10)), "0.00100000");
        assert_eq!(fraction(Bps::from_f64(-0.5)), "-0.00005000");
    }
}
