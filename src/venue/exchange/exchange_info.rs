//! `exchangeInfo`: symbols, their filters, and the rate limits.

use serde_json::{Value, json};

use super::hall::Hall;
use super::limits::{ORDERS_PER_10_SECONDS, ORDERS_PER_DAY, WEIGHT_PER_MINUTE};
use super::params::Params;
use super::refusal::ApiError;
use super::rest_market::wanted;
use super::wire::json as text;
use crate::domain::{Instrument, Money, Qty};
use crate::matching::ExchangeConfig;

/// What an upper bound says when there is none: more than any account could pay.
const UNBOUNDED: &str = "9000000000000.00000000";

pub(super) fn exchange_info(hall: &Hall, params: &Params) -> Result<String, ApiError> {
    let wanted = wanted(params, &hall.symbols)?;
    let listed = hall.exchange.instruments().filter(|i| wanted.as_ref().is_none_or(|symbols| symbols.contains(&i.symbol)));
    let max_orders = ExchangeConfig::new(Vec::new()).rules.max_orders;
    let symbols: Vec<Value> = listed.map(|instrument| symbol(instrument, max_orders)).collect();
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

fn symbol(instrument: &Instrument, max_orders: usize) -> Value {
    json!({
        "symbol": instrument.symbol.as_str(),
        "status": if instrument.trading { "TRADING" } else { "BREAK" },
        "baseAsset": instrument.base.as_str(),
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote.as_str(),
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": false,
        "amendAllowed": false,
        "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": filters(instrument, max_orders),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    })
}

/// Zero disables a part of `PRICE_FILTER` and of `MARKET_LOT_SIZE`.
fn filters(instrument: &Instrument, max_orders: usize) -> Value {
    let max_qty = bound(instrument.max_qty > Qty::ZERO, format!("{:.8}", instrument.max_qty));
    let max_notional = bound(instrument.max_notional > Money::ZERO, format!("{:.8}", instrument.max_notional));
    let none = "0.00000000";
    json!([
        {"filterType": "PRICE_FILTER", "minPrice": none, "maxPrice": none, "tickSize": format!("{:.8}", instrument.tick)},
        {
            "filterType": "LOT_SIZE",
            "minQty": format!("{:.8}", instrument.min_qty),
            "maxQty": max_qty,
            "stepSize": format!("{:.8}", instrument.step),
        },
        {"filterType": "MARKET_LOT_SIZE", "minQty": none, "maxQty": max_qty, "stepSize": none},
        {
            "filterType": "NOTIONAL",
            "minNotional": format!("{:.8}", instrument.min_notional),
            "applyMinToMarket": true,
            "maxNotional": max_notional,
            "applyMaxToMarket": true,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": max_orders},
    ])
}

fn bound(exists: bool, value: String) -> String {
    if exists { value } else { UNBOUNDED.to_owned() }
}
