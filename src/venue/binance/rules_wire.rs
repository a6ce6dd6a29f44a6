//! `exchangeInfo` and `myFilters` as Binance writes them, and their translation. A market that cannot be read costs only itself; a filter,
//! status or limit that this program does not know is kept as unknown.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::limiter::{LimitKind, RateLimit};
use super::number::{Lenient, Num};
use super::rules::{ExchangeRules, Filter, MarketRules, MarketStatus};
use crate::domain::{Asset, FeeRates, Instrument, Money, Price, Qty, Symbol};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExchangeInfoWire {
    #[serde(default)]
    rate_limits: Vec<Lenient<RateLimitWire>>,
    #[serde(default)]
    exchange_filters: Vec<Lenient<FilterWire>>,
    symbols: Vec<Lenient<SymbolWire>>,
}

impl ExchangeInfoWire {
    pub fn rules(self, fees: FeeRates) -> ExchangeRules {
        let all = self.symbols.len();
        let markets: Vec<MarketRules> = self.symbols.into_iter().filter_map(|s| s.0).map(|s| s.rules(fees)).collect();
        ExchangeRules {
            limits: self.rate_limits.into_iter().filter_map(|l| l.0).map(|l| l.limit()).collect(),
            filters: self.exchange_filters.into_iter().filter_map(|f| f.0).map(|f| f.0).collect(),
            unreadable: u32::try_from(all - markets.len()).unwrap_or(u32::MAX),
            markets,
        }
    }
}

/// A limit as `exchangeInfo`, `rateLimit/order` and every WebSocket API answer state it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimitWire {
    rate_limit_type: String,
    interval: String,
    interval_num: u32,
    limit: u32,
    #[serde(default)]
    count: Option<u32>,
}

impl RateLimitWire {
    pub fn limit(&self) -> RateLimit {
        let unit = match self.interval.as_str() {
            "SECOND" => Some(1),
            "MINUTE" => Some(60),
            "HOUR" => Some(3_600),
            "DAY" => Some(86_400),
            _ => None,
        };
        let kind = match self.rate_limit_type.as_str() {
            "REQUEST_WEIGHT" => LimitKind::RequestWeight,
            "RAW_REQUESTS" => LimitKind::RawRequests,
            "ORDERS" => LimitKind::Orders,
            _ => LimitKind::Other,
        };
        let window_secs = unit.and_then(|u: u32| u.checked_mul(self.interval_num)).unwrap_or(0);
        RateLimit { kind, window_secs, limit: self.limit, used: self.count }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolWire {
    symbol: Symbol,
    #[serde(default)]
    status: String,
    base_asset: Asset,
    quote_asset: Asset,
    #[serde(default)]
    order_types: Vec<String>,
    #[serde(default)]
    oco_allowed: bool,
    #[serde(default)]
    amend_allowed: bool,
    #[serde(default)]
    cancel_replace_allowed: bool,
    filters: Vec<FilterWire>,
}

impl SymbolWire {
    fn rules(self, fees: FeeRates) -> MarketRules {
        let filters: Vec<Filter> = self.filters.into_iter().map(|f| f.0).collect();
        let status = match self.status.as_str() {
            "TRADING" => MarketStatus::Trading,
            "HALT" => MarketStatus::Halt,
            "BREAK" => MarketStatus::Break,
            "CANCEL_ONLY" => MarketStatus::CancelOnly,
            "END_OF_DAY" => MarketStatus::EndOfDay,
            _ => MarketStatus::Unknown,
        };
        let mut rules = MarketRules {
            instrument: None,
            symbol: self.symbol,
            base: self.base_asset,
            quote: self.quote_asset,
            status,
            order_types: self.order_types,
            order_lists: self.oco_allowed,
            amend: self.amend_allowed,
            cancel_replace: self.cancel_replace_allowed,
            filters,
        };
        rules.instrument = instrument(&rules, fees);
        rules
    }
}

/// `None` when the price or lot filter is missing: such a market cannot be traded safely.
fn instrument(rules: &MarketRules, fees: FeeRates) -> Option<Instrument> {
    let (mut tick, mut lot) = (None, None);
    let (mut market_max, mut min_notional, mut max_notional) = (Qty::ZERO, Money::ZERO, Money::ZERO);
    for filter in &rules.filters {
        match *filter {
            Filter::Price { tick: grain, .. } => tick = Some(grain),
            Filter::Lot { min, max, step } => lot = Some((min, max, step)),
            Filter::MarketLot { max, .. } => market_max = max,
            Filter::Notional { min, max, .. } => {
                min_notional = min_notional.max(min);
                max_notional = max;
            }
            Filter::MinNotional { min, .. } => min_notional = min_notional.max(min),
            _ => {}
        }
    }
    let (min_qty, lot_max, step) = lot?;
    // One bound for every kind of order: an exit at the market must pass too.
    let max_qty = match (lot_max.is_positive(), market_max.is_positive()) {
        (true, true) => lot_max.min(market_max),
        (false, true) => market_max,
        _ => lot_max,
    };
    Some(Instrument {
        symbol: rules.symbol,
        base: rules.base,
        quote: rules.quote,
        trading: rules.status == MarketStatus::Trading,
        tick: tick?,
        step,
        min_qty,
        max_qty,
        min_notional,
        max_notional,
        fees,
    })
}

#[derive(Debug)]
pub(super) struct FilterWire(pub Filter);

impl<'de> Deserialize<'de> for FilterWire {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "filterType")]
            name: String,
        }
        let raw = Box::<RawValue>::deserialize(input)?;
        let named: Named = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        if !FieldsWire::knows(&named.name) {
            return Ok(Self(Filter::Unknown(named.name)));
        }
        let fields: FieldsWire = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        fields.filter(&named.name).map(Self).ok_or_else(|| serde::de::Error::custom(format!("filter {} lacks a field", named.name)))
    }
}

/// The fields of all filters. What a filter needs and lacks makes it unreadable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct FieldsWire {
    min_price: Num<Price>,
    max_price: Num<Price>,
    tick_size: Option<Num<Price>>,
    multiplier_up: Option<Num<Qty>>,
    multiplier_down: Option<Num<Qty>>,
    bid_multiplier_up: Option<Num<Qty>>,
    bid_multiplier_down: Option<Num<Qty>>,
    ask_multiplier_up: Option<Num<Qty>>,
    ask_multiplier_down: Option<Num<Qty>>,
    avg_price_mins: u32,
    min_qty: Num<Qty>,
    max_qty: Num<Qty>,
    step_size: Option<Num<Qty>>,
    min_notional: Option<Num<Money>>,
    max_notional: Num<Money>,
    apply_to_market: bool,
    apply_min_to_market: bool,
    apply_max_to_market: bool,
    #[serde(alias = "maxNumOrders", alias = "maxNumAlgoOrders", alias = "maxNumIcebergOrders")]
    #[serde(alias = "maxNumOrderLists", alias = "maxNumOrderAmends")]
    limit: Option<Num<Qty>>,
    max_position: Option<Num<Qty>>,
    min_trailing_above_delta: u32,
    max_trailing_above_delta: u32,
    min_trailing_below_delta: u32,
    max_trailing_below_delta: u32,
    asset: String,
}

impl FieldsWire {
    fn knows(name: &str) -> bool {
        const NAMES: [&str; 21] = [
            "PRICE_FILTER",
            "PERCENT_PRICE",
            "PERCENT_PRICE_BY_SIDE",
            "LOT_SIZE",
            "MARKET_LOT_SIZE",
            "MIN_NOTIONAL",
            "NOTIONAL",
            "ICEBERG_PARTS",
            "MAX_NUM_ORDERS",
            "MAX_NUM_ALGO_ORDERS",
            "MAX_NUM_ICEBERG_ORDERS",
            "MAX_NUM_ORDER_LISTS",
            "MAX_NUM_ORDER_AMENDS",
            "MAX_POSITION",
            "TRAILING_DELTA",
            "EXCHANGE_MAX_NUM_ORDERS",
            "EXCHANGE_MAX_ORDERS",
            "EXCHANGE_MAX_NUM_ALGO_ORDERS",
            "EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
            "EXCHANGE_MAX_NUM_ORDER_LISTS",
            "MAX_ASSET",
        ];
        NAMES.contains(&name)
    }

    fn filter(self, name: &str) -> Option<Filter> {
        let minutes = self.avg_price_mins;
        // A count beyond what we count is no limit that matters.
        let limit = self.limit.map(|l| u32::try_from(l.0.raw() / 100_000_000).unwrap_or(u32::MAX));
        let (min, max) = (self.min_qty.0, self.max_qty.0);
        Some(match name {
            "PRICE_FILTER" => Filter::Price { min: self.min_price.0, max: self.max_price.0, tick: self.tick_size?.0 },
            "PERCENT_PRICE" => Filter::PercentPrice { up: self.multiplier_up?.0, down: self.multiplier_down?.0, minutes },
            "PERCENT_PRICE_BY_SIDE" => Filter::PercentPriceBySide {
                bid_up: self.bid_multiplier_up?.0,
                bid_down: self.bid_multiplier_down?.0,
                ask_up: self.ask_multiplier_up?.0,
                ask_down: self.ask_multiplier_down?.0,
                minutes,
            },
            "LOT_SIZE" => Filter::Lot { min, max, step: self.step_size?.0 },
            "MARKET_LOT_SIZE" => Filter::MarketLot { min, max, step: self.step_size.map_or(Qty::ZERO, |s| s.0) },
            "MIN_NOTIONAL" => Filter::MinNotional { min: self.min_notional?.0, market: self.apply_to_market, minutes },
            "NOTIONAL" => Filter::Notional {
                min: self.min_notional?.0,
                max: self.max_notional.0,
                min_to_market: self.apply_min_to_market,
                max_to_market: self.apply_max_to_market,
                minutes,
            },
            "ICEBERG_PARTS" => Filter::IcebergParts(limit?),
            "MAX_NUM_ORDERS" => Filter::MaxOrders(limit?),
            "MAX_NUM_ALGO_ORDERS" => Filter::MaxAlgoOrders(limit?),
            "MAX_NUM_ICEBERG_ORDERS" => Filter::MaxIcebergOrders(limit?),
            "MAX_NUM_ORDER_LISTS" => Filter::MaxOrderLists(limit?),
            "MAX_NUM_ORDER_AMENDS" => Filter::MaxOrderAmends(limit?),
            "MAX_POSITION" => Filter::MaxPosition(self.max_position?.0),
            "TRAILING_DELTA" => Filter::TrailingDelta {
                min_above: self.min_trailing_above_delta,
                max_above: self.max_trailing_above_delta,
                min_below: self.min_trailing_below_delta,
                max_below: self.max_trailing_below_delta,
            },
            "EXCHANGE_MAX_NUM_ORDERS" | "EXCHANGE_MAX_ORDERS" => Filter::ExchangeMaxOrders(limit?),
            "EXCHANGE_MAX_NUM_ALGO_ORDERS" => Filter::ExchangeMaxAlgoOrders(limit?),
            "EXCHANGE_MAX_NUM_ICEBERG_ORDERS" => Filter::ExchangeMaxIcebergOrders(limit?),
            "EXCHANGE_MAX_NUM_ORDER_LISTS" => Filter::ExchangeMaxOrderLists(limit?),
            "MAX_ASSET" => Filter::MaxAsset { asset: self.asset, limit: self.limit?.0 },
            _ => return None,
        })
    }
}

/// `myFilters`: what holds for this account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct MyFiltersWire {
    exchange_filters: Vec<Lenient<FilterWire>>,
    symbol_filters: Vec<Lenient<FilterWire>>,
    asset_filters: Vec<Lenient<FilterWire>>,
}

impl MyFiltersWire {
    pub fn filters(self) -> Vec<Filter> {
        let all = [self.exchange_filters, self.symbol_filters, self.asset_filters].into_iter().flatten();
        all.filter_map(|f| f.0).map(|f| f.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bps;

    const FEES: FeeRates = FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) };

    fn read(text: &str) -> ExchangeRules {
        serde_json::from_str::<ExchangeInfoWire>(text).unwrap().rules(FEES)
    }

    #[test]
    fn both_names_of_the_notional_filter_are_read_and_unknown_filters_kept_by_name() {
        let text = |notional: &str| {
            format!(
                r#"{{"timezone":"UTC","rateLimits":[{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200}},
                {{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100}},{{"rateLimitType":"FUTURE","interval":"AEON","intervalNum":1,"limit":9}}],
                "symbols":[{{"symbol":"BTCUSDT","status":"CANCEL_ONLY","baseAsset":"BTC","quoteAsset":"USDT","filters":[
                {{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000","tickSize":"0.01000000"}},
                {{"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000","stepSize":"1e-05"}},
                {{"filterType":"MARKET_LOT_SIZE","minQty":"0","maxQty":"165.02219723","stepSize":"0"}},
                {{"filterType":"FROM_THE_FUTURE","minQty":{{"a":7}}}},{notional}]}}]}}"#
            )
        };
        let new = r#"{"filterType":"NOTIONAL","minNotional":"10.00000000","applyMinToMarket":true,"maxNotional":"9000000"}"#;
        let old = r#"{"filterType":"MIN_NOTIONAL","minNotional":"0.001","applyToMarket":true}"#;
        for (filter, minimum) in [(new, "10"), (old, "0.001")] {
            let rules = read(&text(filter));
            assert_eq!(rules.limits[1], RateLimit { kind: LimitKind::Orders, window_secs: 10, limit: 100, used: None });
            assert_eq!(rules.limits[2].kind, LimitKind::Other);
            let market = &rules.markets[0];
            assert!(market.filters.contains(&Filter::Unknown("FROM_THE_FUTURE".to_owned())));
            let instrument = market.instrument.as_ref().unwrap();
            assert_eq!((instrument.min_notional.to_string().as_str(), instrument.step.to_string().as_str()), (minimum, "0.00001"));
            assert_eq!((instrument.max_qty.to_string(), instrument.trading), ("165.02219723".to_owned(), false));
            assert_eq!(market.status, MarketStatus::CancelOnly);
        }
    }

    #[test]
    fn every_documented_filter_is_typed() {
        let filters = r#"[{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"9","tickSize":"0.01"},
            {"filterType":"PERCENT_PRICE","multiplierUp":"1.3","multiplierDown":"0.7","avgPriceMins":5},
            {"filterType":"PERCENT_PRICE_BY_SIDE","bidMultiplierUp":"1.2","bidMultiplierDown":"0.2","askMultiplierUp":"5","askMultiplierDown":"0.8","avgPriceMins":1},
            {"filterType":"LOT_SIZE","minQty":"0.1","maxQty":"9","stepSize":"0.1"},{"filterType":"MARKET_LOT_SIZE","minQty":"0","maxQty":"9","stepSize":"0"},
            {"filterType":"MIN_NOTIONAL","minNotional":"0.001","applyToMarket":true,"avgPriceMins":5},
            {"filterType":"NOTIONAL","minNotional":"10","applyMinToMarket":false,"maxNotional":"10000","applyMaxToMarket":false,"avgPriceMins":5},
            {"filterType":"ICEBERG_PARTS","limit":10},{"filterType":"MAX_NUM_ORDERS","maxNumOrders":25},{"filterType":"MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5},
            {"filterType":"MAX_NUM_ICEBERG_ORDERS","maxNumIcebergOrders":5},{"filterType":"MAX_NUM_ORDER_LISTS","maxNumOrderLists":20},
            {"filterType":"MAX_NUM_ORDER_AMENDS","maxNumOrderAmends":10},{"filterType":"MAX_POSITION","maxPosition":"10.00000000"},
            {"filterType":"TRAILING_DELTA","minTrailingAboveDelta":10,"maxTrailingAboveDelta":2000,"minTrailingBelowDelta":10,"maxTrailingBelowDelta":2000},
            {"filterType":"EXCHANGE_MAX_NUM_ORDERS","maxNumOrders":1000},{"filterType":"EXCHANGE_MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":200},
            {"filterType":"EXCHANGE_MAX_NUM_ICEBERG_ORDERS","maxNumIcebergOrders":10000},{"filterType":"EXCHANGE_MAX_NUM_ORDER_LISTS","maxNumOrderLists":20}]"#;
        let read: Vec<FilterWire> = serde_json::from_str(filters).unwrap();
        assert_eq!(read.len(), 19);
        assert!(!read.iter().any(|f| matches!(f.0, Filter::Unknown(_))), "{read:?}");
        assert_eq!((&read[7].0, &read[12].0), (&Filter::IcebergParts(10), &Filter::MaxOrderAmends(10)));
        let mine = r#"{"exchangeFilters":[{"filterType":"EXCHANGE_MAX_NUM_ORDERS","maxNumOrders":1000}],"symbolFilters":[],
            "assetFilters":[{"filterType":"MAX_ASSET","asset":"JPY","limit":"1000000.00000000"},{"filterType":"MAX_ASSET"}]}"#;
        let mine = serde_json::from_str::<MyFiltersWire>(mine).unwrap().filters();
        assert_eq!(
            mine,
            [Filter::ExchangeMaxOrders(1_000), Filter::MaxAsset { asset: "JPY".to_owned(), limit: "1000000".parse().unwrap() }]
        );
    }

    #[test]
    fn a_market_that_cannot_be_read_costs_only_itself_and_any_script_is_a_name() {
        let market = |symbol: &str, tick: &str| {
            format!(
                r#"{{"symbol":"{symbol}","status":"NAPPING","baseAsset":"币安人生","quoteAsset":"USDT","filters":[
                {{"filterType":"PRICE_FILTER","minPrice":"0","maxPrice":"0","tickSize":{tick}}},{{"filterType":"LOT_SIZE","minQty":"0","maxQty":"0","stepSize":"1"}}]}}"#
            )
        };
        let long = "X".repeat(40);
        let list = [
            market("币安人生USDT", "\"0.0001\""),
            market(&long, "\"1\""),
            market("BADTICK", "\"much\""),
            market("NULLTICK", "null"),
            "7".to_owned(),
        ];
        let rules = read(&format!(r#"{{"symbols":[{}]}}"#, list.join(",")));
        assert_eq!((rules.markets.len(), rules.unreadable), (1, 4));
        assert_eq!((rules.markets[0].symbol.as_str(), rules.markets[0].status), ("币安人生USDT", MarketStatus::Unknown));
        assert!(!rules.markets[0].instrument.as_ref().unwrap().trading);
    }
}
