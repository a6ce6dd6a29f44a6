//! `exchangeInfo`: symbols, their filters, and the rate limits.

use serde_json::{Value, json};

use super::hall::Hall;
use super::limits::{ORDERS_PER_10_SECONDS, ORDERS_PER_DAY, WEIGHT_PER_MINUTE};
use super::params::Params;
use super::refusal::ApiError;
use super::rest_market::wanted;
use super::wire::{json as text, self_trade, symbol_status};
use crate::domain::{Bps, Instrument, Money, Qty};
use crate::matching::{Rules, SelfTradeMode};

const SELF_TRADE_MODES: [SelfTradeMode; 4] =
    [SelfTradeMode::None, SelfTradeMode::ExpireTaker, SelfTradeMode::ExpireMaker, SelfTradeMode::ExpireBoth];

/// What an upper bound says when there is none: more than any account could pay.
const UNBOUNDED: &str = "9000000000000.00000000";

pub(super) fn exchange_info(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let wanted = wanted(params, &hall.symbols)?;
    let listed = hall.exchange.instruments().filter(|i| wanted.as_ref().is_none_or(|symbols| symbols.contains(&i.symbol)));
    let symbols: Vec<Value> = listed.filter_map(|instrument| symbol(hall, instrument)).collect();
    Ok(text(&json!({
        "timezone": "UTC",
        "serverTime": hall.now().millis(),
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_PER_MINUTE},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_PER_10_SECONDS},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": ORDERS_PER_DAY},
        ],
        "exchangeFilters": [],
        "symbols": symbols,
    })))
}

fn symbol(hall: &Hall, instrument: &Instrument) -> Option<Value> {
    let (rules, status) = (hall.exchange.rules(instrument.symbol)?, hall.exchange.status(instrument.symbol)?);
    Some(json!({
        "symbol": instrument.symbol.as_str(),
        "status": symbol_status(status),
        "baseAsset": instrument.base.as_str(),
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote.as_str(),
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": false,
        "ocoAllowed": true,
        "otoAllowed": true,
        "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": true,
        "amendAllowed": true,
        "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": filters(instrument, rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": self_trade(rules.self_trade),
        "allowedSelfTradePreventionModes": SELF_TRADE_MODES.map(self_trade),
    }))
}

/// What is checked, and nothing else. Zero disables a part of `PRICE_FILTER` and of `MARKET_LOT_SIZE`.
fn filters(instrument: &Instrument, rules: &Rules) -> Value {
    let max_qty = bound(instrument.max_qty > Qty::ZERO, format!("{:.8}", instrument.max_qty));
    let market_max = if rules.market_max_qty > Qty::ZERO { format!("{:.8}", rules.market_max_qty) } else { max_qty.clone() };
    let max_notional = bound(instrument.max_notional > Money::ZERO, format!("{:.8}", instrument.max_notional));
    // A positive price on the grid is at least one tick.
    let min_price = rules.min_price.max(instrument.tick);
    let mut filters = vec![
        json!({
            "filterType": "PRICE_FILTER",
            "minPrice": format!("{min_price:.8}"),
            "maxPrice": format!("{:.8}", rules.max_price),
            "tickSize": format!("{:.8}", instrument.tick),
        }),
        json!({
            "filterType": "LOT_SIZE",
            "minQty": format!("{:.8}", instrument.min_qty),
            "maxQty": max_qty,
            "stepSize": format!("{:.8}", instrument.step),
        }),
        json!({
            "filterType": "MARKET_LOT_SIZE",
            "minQty": format!("{:.8}", rules.market_min_qty),
            "maxQty": market_max,
            "stepSize": format!("{:.8}", rules.market_step),
        }),
        json!({
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": multiplier(rules.bid_up),
            "bidMultiplierDown": multiplier(rules.bid_down),
            "askMultiplierUp": multiplier(rules.ask_up),
            "askMultiplierDown": multiplier(rules.ask_down),
            "avgPriceMins": rules.average_minutes,
        }),
        json!({
            "filterType": "NOTIONAL",
            "minNotional": format!("{:.8}", instrument.min_notional),
            "applyMinToMarket": true,
            "maxNotional": max_notional,
            "applyMaxToMarket": rules.max_notional_binds_market,
            "avgPriceMins": rules.average_minutes,
        }),
    ];
    filters.extend(account_filters(rules));
    Value::Array(filters)
}

/// The filters that count what an account has.
pub(super) fn account_filters(rules: &Rules) -> Vec<Value> {
    let mut filters = vec![
        json!({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_orders}),
        json!({"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": rules.max_algo_orders}),
        json!({"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": rules.max_order_lists}),
        json!({"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": rules.max_amends}),
    ];
    filters.extend(rules.max_position.map(|most| json!({"filterType": "MAX_POSITION", "maxPosition": format!("{most:.8}")})));
    filters
}

/// A rate as a plain multiplier: 20,000 bps are `2`.
fn multiplier(rate: Bps) -> String {
    Qty::from_raw(i128::from(rate.raw())).to_string()
}

fn bound(exists: bool, value: String) -> String {
    if exists { value } else { UNBOUNDED.to_owned() }
}
