//! A market's rules as the venue states them, all of its filters, and the check of an order against them before it is sent.
//!
//! Source: Binance filters.md and enums.md (2026-07). A bound of zero means "no bound".

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::limiter::RateLimit;
use crate::domain::{Asset, Instrument, Money, NewOrder, OrderKind, Price, Qty, Side, Span, Symbol, Timestamp};

/// The reference of a percentage band is not used when it is older.
const REFERENCE_LIFE: Span = Span::from_secs(120);

/// What `exchangeInfo` says.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeRules {
    pub limits: Vec<RateLimit>,
    /// Rules over all markets together.
    pub filters: Vec<Filter>,
    pub markets: Vec<MarketRules>,
    /// Markets whose entry could not be read.
    pub unreadable: u32,
}

/// What may be done in one market.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketRules {
    /// `None` without price and lot filters: such a market cannot be traded safely.
    pub instrument: Option<Instrument>,
    pub symbol: Symbol,
    pub base: Asset,
    pub quote: Asset,
    pub status: MarketStatus,
    /// As the venue writes them: `LIMIT`, `STOP_LOSS_LIMIT`, ...
    pub order_types: Vec<String>,
    pub order_lists: bool,
    pub amend: bool,
    pub cancel_replace: bool,
    pub filters: Vec<Filter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketStatus {
    Trading,
    /// Emergency.
    Halt,
    /// Expected downtime, or delisted.
    Break,
    CancelOnly,
    EndOfDay,
    /// A status this program does not know: not tradable.
    Unknown,
}

/// One rule. Multipliers are plain factors of the reference price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    Price {
        min: Price,
        max: Price,
        tick: Price,
    },
    PercentPrice {
        up: Qty,
        down: Qty,
        minutes: u32,
    },
    PercentPriceBySide {
        bid_up: Qty,
        bid_down: Qty,
        ask_up: Qty,
        ask_down: Qty,
        minutes: u32,
    },
    Lot {
        min: Qty,
        max: Qty,
        step: Qty,
    },
    MarketLot {
        min: Qty,
        max: Qty,
        step: Qty,
    },
    MinNotional {
        min: Money,
        market: bool,
        minutes: u32,
    },
    Notional {
        min: Money,
        max: Money,
        min_to_market: bool,
        max_to_market: bool,
        minutes: u32,
    },
    IcebergParts(u32),
    MaxOrders(u32),
    MaxAlgoOrders(u32),
    MaxIcebergOrders(u32),
    MaxOrderLists(u32),
    MaxOrderAmends(u32),
    MaxPosition(Qty),
    /// Basis points above and below the market.
    TrailingDelta {
        min_above: u32,
        max_above: u32,
        min_below: u32,
        max_below: u32,
    },
    ExchangeMaxOrders(u32),
    ExchangeMaxAlgoOrders(u32),
    ExchangeMaxIcebergOrders(u32),
    ExchangeMaxOrderLists(u32),
    /// The most of an asset in one order of this account.
    MaxAsset {
        asset: String,
        limit: Qty,
    },
    /// A filter this program does not know, by its name.
    Unknown(String),
}

/// Which rule an order would break. Values as they were compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    #[error("{filter}: {what} {value} is below {bound}")]
    TooLow { filter: &'static str, what: &'static str, value: String, bound: String },
    #[error("{filter}: {what} {value} is above {bound}")]
    TooHigh { filter: &'static str, what: &'static str, value: String, bound: String },
    #[error("{filter}: {what} {value} is not a multiple of {grain}")]
    OffGrid { filter: &'static str, what: &'static str, value: String, grain: String },
    #[error("the market does not take orders of type {0}")]
    Type(&'static str),
}

impl MarketRules {
    /// Checks what can be known before sending. `reference`: the price that percentage bands and market notionals are measured from;
    /// without it they are left to the venue.
    pub fn check(&self, order: &NewOrder, reference: Option<Price>) -> Result<(), BrokenRule> {
        let kind = crate::venue::order_words::order_type(order.kind);
        if !self.order_types.is_empty() && !self.order_types.iter().any(|t| t == kind) {
            return Err(BrokenRule::Type(kind));
        }
        self.filters.iter().try_for_each(|filter| filter.check(order, reference))
    }
}

impl Filter {
    fn check(&self, order: &NewOrder, reference: Option<Price>) -> Result<(), BrokenRule> {
        let prices = || [("price", order.kind.price()), ("stop price", order.kind.stop())].into_iter().filter_map(|(w, p)| Some((w, p?)));
        let at_market = matches!(order.kind, OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. });
        match *self {
            Self::Price { min, max, tick } => prices().try_for_each(|(what, price)| {
                bounds("PRICE_FILTER", what, price, min, max)?;
                grid("PRICE_FILTER", what, price.raw().into(), tick.raw().into(), price, tick)
            }),
            Self::PercentPrice { up, down, .. } => band("PERCENT_PRICE", order, reference, up, down),
            Self::PercentPriceBySide { bid_up, bid_down, ask_up, ask_down, .. } => match order.side {
                Side::Buy => band("PERCENT_PRICE_BY_SIDE", order, reference, bid_up, bid_down),
                Side::Sell => band("PERCENT_PRICE_BY_SIDE", order, reference, ask_up, ask_down),
            },
            Self::Lot { min, max, step } => lot("LOT_SIZE", order.qty, min, max, step),
            Self::MarketLot { min, max, step } if at_market => lot("MARKET_LOT_SIZE", order.qty, min, max, step),
            Self::MinNotional { min, market, .. } => notional(order, reference, at_market, market)
                .map_or(Ok(()), |value| bounds("MIN_NOTIONAL", "notional", value, min, Money::ZERO)),
            Self::Notional { min, max, min_to_market, max_to_market, .. } => {
                let low = notional(order, reference, at_market, min_to_market);
                low.map_or(Ok(()), |value| bounds("NOTIONAL", "notional", value, min, Money::ZERO))?;
                let high = notional(order, reference, at_market, max_to_market);
                high.map_or(Ok(()), |value| bounds("NOTIONAL", "notional", value, Money::ZERO, max))
            }
            // The rest counts what is open at the venue, or concerns orders that are not sent from here.
            _ => Ok(()),
        }
    }
}

fn bounds<T: PartialOrd + Default + ToString>(
    filter: &'static str,
    what: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), BrokenRule> {
    if min > T::default() && value < min {
        return Err(BrokenRule::TooLow { filter, what, value: value.to_string(), bound: min.to_string() });
    }
    if max > T::default() && value > max {
        return Err(BrokenRule::TooHigh { filter, what, value: value.to_string(), bound: max.to_string() });
    }
    Ok(())
}

fn grid<T: ToString>(filter: &'static str, what: &'static str, raw: i128, grain_raw: i128, value: T, grain: T) -> Result<(), BrokenRule> {
    if grain_raw > 0 && raw % grain_raw != 0 {
        return Err(BrokenRule::OffGrid { filter, what, value: value.to_string(), grain: grain.to_string() });
    }
    Ok(())
}

/// The grid starts at zero, not at the minimum.
fn lot(filter: &'static str, qty: Qty, min: Qty, max: Qty, step: Qty) -> Result<(), BrokenRule> {
    bounds(filter, "quantity", qty, min, max)?;
    grid(filter, "quantity", qty.raw(), step.raw(), qty, step)
}

fn band(filter: &'static str, order: &NewOrder, reference: Option<Price>, up: Qty, down: Qty) -> Result<(), BrokenRule> {
    let (Some(price), Some(reference)) = (order.kind.price(), reference) else { return Ok(()) };
    let times = |factor: Qty| {
        let raw = i128::from(reference.raw()).saturating_mul(factor.raw()) / 100_000_000;
        Price::from_raw(i64::try_from(raw).unwrap_or(i64::MAX))
    };
    bounds(filter, "price", price, times(down), times(up))
}

/// The order's worth, if the rule concerns it and its worth is known.
fn notional(order: &NewOrder, reference: Option<Price>, at_market: bool, concerns_market: bool) -> Option<Money> {
    match (at_market, concerns_market) {
        (false, _) => order.kind.price()?.notional(order.qty),
        (true, true) => reference?.notional(order.qty),
        (true, false) => None,
    }
}

/// The rules that were read last, with the price their bands are measured from.
#[derive(Debug, Default)]
pub(super) struct RuleBook {
    markets: Mutex<BTreeMap<Symbol, Known>>,
}

#[derive(Debug)]
struct Known {
    rules: MarketRules,
    reference: Option<(Price, Timestamp)>,
}

impl RuleBook {
    fn markets(&self) -> MutexGuard<'_, BTreeMap<Symbol, Known>> {
        self.markets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn learn(&self, markets: &[MarketRules]) {
        let mut known = self.markets();
        for rules in markets {
            let reference = known.get(&rules.symbol).and_then(|k| k.reference);
            known.insert(rules.symbol, Known { rules: rules.clone(), reference });
        }
    }

    pub fn refer(&self, symbol: Symbol, price: Price, at: Timestamp) {
        if let Some(known) = self.markets().get_mut(&symbol) {
            known.reference = Some((price, at));
        }
    }

    pub fn of(&self, symbol: Symbol) -> Option<MarketRules> {
        self.markets().get(&symbol).map(|k| k.rules.clone())
    }

    /// Orders of markets that were not read are left to the venue.
    pub fn check(&self, order: &NewOrder, at: Timestamp) -> Result<(), BrokenRule> {
        let markets = self.markets();
        let Some(known) = markets.get(&order.symbol) else { return Ok(()) };
        let fresh = known.reference.filter(|(_, taken)| at.since(*taken) <= REFERENCE_LIFE).map(|(price, _)| price);
        known.rules.check(order, fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientOrderId, TimeInForce};

    fn rules(filters: Vec<Filter>) -> MarketRules {
        MarketRules {
            instrument: None,
            symbol: "BTCUSDT".parse().unwrap(),
            base: "BTC".parse().unwrap(),
            quote: "USDT".parse().unwrap(),
            status: MarketStatus::Trading,
            order_types: Vec::new(),
            order_lists: true,
            amend: true,
            cancel_replace: true,
            filters,
        }
    }

    fn order(side: Side, qty: &str, price: Option<&str>) -> NewOrder {
        let kind = match price {
            Some(price) => OrderKind::Limit { price: price.parse().unwrap(), time_in_force: TimeInForce::Gtc },
            None => OrderKind::Market,
        };
        NewOrder { id: ClientOrderId::default(), symbol: "BTCUSDT".parse().unwrap(), side, qty: qty.parse().unwrap(), kind }
    }

    fn said(filter: Filter, order: &NewOrder, reference: Option<&str>) -> String {
        let reference = reference.map(|r| r.parse().unwrap());
        rules(vec![filter]).check(order, reference).map_or_else(|broken| broken.to_string(), |()| "fine".to_owned())
    }

    fn q(text: &str) -> Qty {
        text.parse().unwrap()
    }

    #[test]
    fn every_bound_refuses_by_its_name_and_zero_is_no_bound() {
        let price = |min: &str, max: &str, tick: &str| Filter::Price {
            min: min.parse().unwrap(),
            max: max.parse().unwrap(),
            tick: tick.parse().unwrap(),
        };
        let at = |p: &str| order(Side::Buy, "1", Some(p));
        assert_eq!(said(price("0.01", "1000", "0.01"), &at("10.5"), None), "fine");
        assert_eq!(said(price("1", "1000", "0.01"), &at("0.5"), None), "PRICE_FILTER: price 0.5 is below 1");
        assert_eq!(said(price("1", "1000", "0.01"), &at("1000.5"), None), "PRICE_FILTER: price 1000.5 is above 1000");
        assert_eq!(said(price("1", "1000", "0.01"), &at("10.005"), None), "PRICE_FILTER: price 10.005 is not a multiple of 0.01");
        assert_eq!(said(price("0", "0", "0"), &at("10.005"), None), "fine");
        let stop = NewOrder { kind: OrderKind::StopLoss { stop: "0.005".parse().unwrap() }, ..at("1") };
        assert_eq!(said(price("0.01", "0", "0"), &stop, None), "PRICE_FILTER: stop price 0.005 is below 0.01");

        let lot = Filter::Lot { min: q("0.1"), max: q("5"), step: q("0.03") };
        assert_eq!(said(lot.clone(), &order(Side::Buy, "0.12", None), None), "fine", "the grid starts at zero");
        assert_eq!(said(lot.clone(), &order(Side::Buy, "0.13", None), None), "LOT_SIZE: quantity 0.13 is not a multiple of 0.03");
        assert_eq!(said(lot, &order(Side::Buy, "6", None), None), "LOT_SIZE: quantity 6 is above 5");
        let market_lot = Filter::MarketLot { min: Qty::ZERO, max: q("2"), step: Qty::ZERO };
        assert_eq!(said(market_lot.clone(), &order(Side::Buy, "3", Some("1")), None), "fine");
        assert_eq!(said(market_lot, &order(Side::Buy, "3", None), None), "MARKET_LOT_SIZE: quantity 3 is above 2");
    }

    #[test]
    fn notional_concerns_market_orders_only_where_it_says_so_and_a_price_is_known() {
        let min = |market| Filter::MinNotional { min: "10".parse().unwrap(), market, minutes: 5 };
        assert_eq!(said(min(false), &order(Side::Buy, "1", Some("9")), None), "MIN_NOTIONAL: notional 9 is below 10");
        assert_eq!(said(min(false), &order(Side::Buy, "1", None), Some("9")), "fine");
        assert_eq!(said(min(true), &order(Side::Buy, "1", None), Some("9")), "MIN_NOTIONAL: notional 9 is below 10");
        assert_eq!(said(min(true), &order(Side::Buy, "1", None), None), "fine");
        let both = Filter::Notional {
            min: "5".parse().unwrap(),
            max: "100".parse().unwrap(),
            min_to_market: true,
            max_to_market: false,
            minutes: 5,
        };
        assert_eq!(said(both.clone(), &order(Side::Buy, "1", Some("101")), None), "NOTIONAL: notional 101 is above 100");
        assert_eq!(said(both.clone(), &order(Side::Buy, "1", None), Some("101")), "fine");
        assert_eq!(said(both, &order(Side::Buy, "1", None), Some("4")), "NOTIONAL: notional 4 is below 5");
    }

    #[test]
    fn bands_are_measured_from_the_reference_by_side() {
        let by_side = Filter::PercentPriceBySide { bid_up: q("1.2"), bid_down: q("0.5"), ask_up: q("5"), ask_down: q("0.8"), minutes: 5 };
        let bid = |p: &str| order(Side::Buy, "1", Some(p));
        let ask = |p: &str| order(Side::Sell, "1", Some(p));
        assert_eq!(said(by_side.clone(), &bid("120"), Some("100")), "fine");
        assert_eq!(said(by_side.clone(), &bid("121"), Some("100")), "PERCENT_PRICE_BY_SIDE: price 121 is above 120");
        assert_eq!(said(by_side.clone(), &ask("79"), Some("100")), "PERCENT_PRICE_BY_SIDE: price 79 is below 80");
        assert_eq!(said(by_side, &ask("79"), None), "fine");
        let both = Filter::PercentPrice { up: q("1.1"), down: q("0.9"), minutes: 5 };
        assert_eq!(said(both, &ask("89"), Some("100")), "PERCENT_PRICE: price 89 is below 90");
    }

    #[test]
    fn an_old_reference_is_not_used() {
        let book = RuleBook::default();
        let symbol = "BTCUSDT".parse().unwrap();
        let at = Timestamp::from_millis;
        book.learn(&[rules(vec![Filter::PercentPrice { up: q("1.1"), down: q("0.9"), minutes: 5 }])]);
        book.refer(symbol, "100".parse().unwrap(), at(0));
        let far = order(Side::Buy, "1", Some("200"));
        assert!(book.check(&far, at(1_000)).is_err());
        book.learn(&[book.of(symbol).unwrap()]);
        assert!(book.check(&far, at(1_000)).is_err(), "reading the rules again keeps the reference");
        assert!(book.check(&far, at(121_000)).is_ok());
        assert!(book.check(&NewOrder { symbol: "ETHUSDT".parse().unwrap(), ..far }, at(0)).is_ok());
    }

    #[test]
    fn a_type_the_market_does_not_take_is_refused() {
        let only_limit = MarketRules { order_types: vec!["LIMIT".to_owned()], ..rules(Vec::new()) };
        assert!(only_limit.check(&order(Side::Buy, "1", Some("1")), None).is_ok());
        assert_eq!(only_limit.check(&order(Side::Buy, "1", None), None), Err(BrokenRule::Type("MARKET")));
    }
}
