//! The rules in their fixed order, and the approval they give.

use super::{Limits, Situation};
use crate::domain::{Bps, Money, NewOrder, Price, Qty, Side, Span};
use crate::protocol::{LimitName, Refusal};

/// What passed risk. Nobody else can make one: the field is private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved<T>(T);

impl<T> Approved<T> {
    pub fn get(&self) -> &T {
        &self.0
    }
    pub fn into_inner(self) -> T {
        self.0
    }
}

type Rule = fn(&NewOrder, Price, &Situation, &Limits) -> Result<(), Refusal>;

/// State first, then data, then money: the first failing rule is the reason that is shown.
const RULES: &[Rule] = &[
    not_halted,
    not_reducing,
    healthy,
    market_open,
    fresh_data,
    quotes_agree,
    peg_holds,
    clock_known,
    nothing_unknown,
    venue_answers,
    protected,
    spread_tight,
    calm_market,
    cooled_down,
    streak_over,
    losses_within_limits,
    hourly_loss_within_limit,
    near_the_market,
    venue_minimum,
    order_size,
    position_size,
    total_exposure,
    net_exposure,
    cluster_exposure,
    portfolio_volatility,
    portfolio_heat,
    few_orders,
    slow_enough,
    fees_priced,
    affordable,
    cash_reserve,
];

/// Runs every rule in order. The price of a market order is the far touch.
///
/// # Errors
/// The first refusal.
pub fn approve(order: NewOrder, situation: &Situation, limits: &Limits) -> Result<Approved<NewOrder>, Refusal> {
    let touch = match order.side {
        Side::Buy => situation.ask,
        Side::Sell => situation.bid,
    };
    let price = order.kind.price().or(touch);
    let Some(price) = price.filter(|p| p.is_positive()) else {
        return Err(state_refusal(situation).unwrap_or(Refusal::NoPrice));
    };
    for rule in RULES {
        rule(&order, price, situation, limits)?;
    }
    Ok(Approved(order))
}

fn state_refusal(s: &Situation) -> Option<Refusal> {
    match (s.halted, s.stopping, s.reconciled) {
        (true, ..) => Some(Refusal::Halted),
        (_, true, _) => Some(Refusal::Stopping),
        (_, _, false) => Some(Refusal::NotReconciled),
        _ => None,
    }
}

fn not_halted(_: &NewOrder, _: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    state_refusal(s).map_or(Ok(()), Err)
}

fn not_reducing(_: &NewOrder, _: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    if s.reducing { Err(Refusal::Reducing) } else { Ok(()) }
}

fn healthy(_: &NewOrder, _: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    if s.health_critical { Err(Refusal::HealthCritical) } else { Ok(()) }
}

fn market_open(_: &NewOrder, _: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    match s.instrument {
        None => Err(Refusal::NoInstrument),
        Some(instrument) if !instrument.trading => Err(Refusal::MarketClosed),
        Some(_) => Ok(()),
    }
}

fn fresh_data(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    if s.bid.is_none() || s.ask.is_none() {
        return Err(if s.book_valid { Refusal::NoPrice } else { Refusal::BookInvalid });
    }
    if !s.book_valid {
        return Err(Refusal::BookInvalid);
    }
    let limit = Span::from_millis(i64::from(limits.max_data_age_ms));
    match s.data_age {
        None => Err(Refusal::NoPrice),
        Some(age) if age > limit => Err(Refusal::StaleData { age, limit }),
        Some(_) => Ok(()),
    }
}

/// Two sources of one price: the quotes and the book that is kept from differences.
fn quotes_agree(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_quote_book_gap_bps else { return Ok(()) };
    match s.quote_gap {
        None => Err(Refusal::QuoteUnknown),
        Some(gap) if gap > limit => Err(Refusal::QuoteBookGap { gap, limit }),
        Some(_) => Ok(()),
    }
}

/// A result in a coin that has lost its peg is none.
fn peg_holds(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_depeg_bps.filter(|_| limits.stablecoin_symbol.is_some()) else { return Ok(()) };
    match s.depeg {
        None => Err(Refusal::DepegUnknown),
        Some(depeg) if depeg > limit => Err(Refusal::Depeg { depeg, limit }),
        Some(_) => Ok(()),
    }
}

fn clock_known(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let limit = Span::from_millis(i64::from(limits.max_clock_drift_ms));
    match s.clock_drift {
        None => Err(Refusal::ClockUnknown),
        Some(drift) if drift.abs() > limit => Err(Refusal::ClockDrift { drift, limit }),
        Some(_) => Ok(()),
    }
}

fn nothing_unknown(_: &NewOrder, _: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    if s.unknown_qty.is_positive() { Err(Refusal::UnknownOrder { quantity: s.unknown_qty }) } else { Ok(()) }
}

fn venue_answers(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    match limits.max_venue_errors_per_minute {
        Some(limit) if s.venue_errors >= limit => Err(Refusal::VenueErrors { errors: s.venue_errors, limit }),
        _ => Ok(()),
    }
}

/// What is held already must be protected before more is.
fn protected(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    match limits.max_unprotected {
        Some(limit) if s.unprotected >= limit => Err(Refusal::Unprotected { spent: s.unprotected, limit }),
        _ => Ok(()),
    }
}

fn spread_tight(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let (Some(bid), Some(ask)) = (s.bid, s.ask) else { return Err(Refusal::NoPrice) };
    let spread = ask.distance_bps(bid);
    if spread > limits.max_spread_bps { Err(Refusal::SpreadTooWide { spread, limit: limits.max_spread_bps }) } else { Ok(()) }
}

fn cooled_down(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let pause = Span::from_millis(i64::from(limits.cool_down_ms));
    match s.since_exit {
        Some(since) if since < pause => Err(Refusal::CoolDown { left: pause - since }),
        _ => Ok(()),
    }
}

/// A market that moves far more than it uses to is not the one the models learned.
fn calm_market(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_volatility_percent else { return Ok(()) };
    match s.volatility_percent {
        None => Err(Refusal::NoPrice),
        Some(percent) if percent > limit => Err(Refusal::Volatile { percent, limit }),
        Some(_) => Ok(()),
    }
}

fn streak_over(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_losing_streak.filter(|limit| s.losing_streak >= *limit) else { return Ok(()) };
    let pause = Span::from_millis(i64::from(limits.streak_pause_ms));
    match s.since_loss {
        Some(since) if since >= pause => Ok(()),
        since => Err(Refusal::LosingStreak { losses: s.losing_streak, limit, left: pause - since.unwrap_or(Span::ZERO) }),
    }
}

fn losses_within_limits(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let (Some(loss), Some(drawdown)) = (s.daily_loss, s.drawdown) else { return Err(Refusal::EquityUnknown) };
    if s.equity.is_none() {
        return Err(Refusal::EquityUnknown);
    }
    if loss >= limits.max_daily_loss {
        return Err(Refusal::DailyLoss { loss, limit: limits.max_daily_loss });
    }
    if drawdown >= limits.max_drawdown_bps {
        return Err(Refusal::Drawdown { drawdown, limit: limits.max_drawdown_bps });
    }
    Ok(())
}

fn hourly_loss_within_limit(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_hourly_loss else { return Ok(()) };
    match s.hourly_loss {
        None => Err(Refusal::EquityUnknown),
        Some(loss) if loss >= limit => Err(Refusal::HourlyLoss { loss, limit }),
        Some(_) => Ok(()),
    }
}

/// No order far from the market: a price that nobody asked for is a mistake, ours or the data's.
fn near_the_market(_: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.price_collar_bps else { return Ok(()) };
    let (Some(bid), Some(ask)) = (s.bid, s.ask) else { return Err(Refusal::NoPrice) };
    let distance = price.distance_bps(bid.midpoint(ask));
    if distance > limit || -distance > limit { Err(Refusal::PriceCollar { distance, limit }) } else { Ok(()) }
}

fn notional(price: Price, qty: Qty) -> Money {
    // Beyond the range of money is beyond every limit.
    price.notional(qty).unwrap_or(Money::from_raw(i128::MAX))
}

fn venue_minimum(order: &NewOrder, price: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    let minimum = s.instrument.map_or(Money::ZERO, |i| i.min_notional);
    let asked = notional(price, order.qty);
    if asked < minimum || !order.qty.is_positive() { Err(Refusal::BelowMinimum { notional: asked, limit: minimum }) } else { Ok(()) }
}

fn order_size(order: &NewOrder, price: Price, _: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let asked = notional(price, order.qty);
    let limit = limits.max_order_notional;
    if asked > limit { Err(Refusal::OrderNotional { notional: asked, limit }) } else { Ok(()) }
}

fn position_size(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let would_be = notional(price, s.committed_qty + order.qty);
    let limit = limits.max_position_notional;
    if would_be > limit { Err(Refusal::PositionLimit { would_be, limit }) } else { Ok(()) }
}

fn total_exposure(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(exposure) = s.exposure else { return Err(Refusal::EquityUnknown) };
    let would_be = exposure + notional(price, order.qty);
    let limit = limits.max_exposure;
    if would_be > limit { Err(Refusal::ExposureLimit { would_be, limit }) } else { Ok(()) }
}

fn net_exposure(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_net_exposure else { return Ok(()) };
    let Some(net) = s.net_exposure else { return Err(Refusal::EquityUnknown) };
    let adds = notional(price, order.qty);
    let would_be = if order.side == Side::Buy { net + adds } else { net - adds };
    if would_be.abs() > limit { Err(Refusal::NetExposure { would_be, limit }) } else { Ok(()) }
}

/// Markets that move together are one bet.
fn cluster_exposure(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_cluster_exposure_bps else { return Ok(()) };
    let (Some(cluster), Some(equity)) = (s.cluster_exposure, s.equity) else { return Err(Refusal::EquityUnknown) };
    let would_be = (cluster + notional(price, order.qty)).ratio_bps(equity);
    if !equity.is_positive() || would_be > limit { Err(Refusal::ClusterExposure { would_be, limit }) } else { Ok(()) }
}

fn portfolio_volatility(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_portfolio_volatility_bps else { return Ok(()) };
    let (Some(portfolio), Some(equity)) = (s.portfolio, s.equity) else { return Err(Refusal::PortfolioUnknown) };
    let would_be = Bps::from_f64(portfolio.volatility_with(notional(price, order.qty).to_f64()) / equity.to_f64() * 1e4);
    if !equity.is_positive() || would_be > limit { Err(Refusal::PortfolioVolatility { would_be, limit }) } else { Ok(()) }
}

/// Heat: what would be lost if every position went to its stop, this one included, as a share of equity.
fn portfolio_heat(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(limit) = limits.max_heat_bps else { return Ok(()) };
    let (Some(heat), Some(equity), Some(distance)) = (s.heat, s.equity, s.stop_distance) else { return Err(Refusal::EquityUnknown) };
    let would_be = (heat + notional(price, order.qty).at_rate(distance)).ratio_bps(equity);
    if !equity.is_positive() || would_be > limit { Err(Refusal::Heat { would_be, limit }) } else { Ok(()) }
}

fn few_orders(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let limit = limits.max_open_orders;
    if s.open_orders >= limit { Err(Refusal::OpenOrders { open: s.open_orders, limit }) } else { Ok(()) }
}

fn slow_enough(_: &NewOrder, _: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    match limits.max_orders_per_minute {
        Some(limit) if s.opened_last_minute >= limit => Err(Refusal::OrderRate { opened: s.opened_last_minute, limit }),
        _ => Ok(()),
    }
}

fn affordable(order: &NewOrder, price: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    if order.side == Side::Sell {
        return Ok(());
    }
    let needed = notional(price, order.qty);
    match s.free_quote {
        None => Err(Refusal::BalanceUnknown),
        Some(free) if needed > free => Err(Refusal::BalanceTooSmall { needed, free }),
        Some(_) => Ok(()),
    }
}

/// A loss that can not be counted reaches no limit.
fn fees_priced(order: &NewOrder, _: Price, s: &Situation, _: &Limits) -> Result<(), Refusal> {
    match s.unpriced_fee {
        Some(asset) if order.side == Side::Buy => Err(Refusal::FeeUnpriced { asset }),
        _ => Ok(()),
    }
}

/// Some money is never spent, whatever the signals say.
fn cash_reserve(order: &NewOrder, price: Price, s: &Situation, limits: &Limits) -> Result<(), Refusal> {
    let Some(share) = limits.min_cash_reserve_bps.filter(|_| order.side == Side::Buy) else { return Ok(()) };
    let (Some(free), Some(equity)) = (s.cash, s.equity) else { return Err(Refusal::BalanceUnknown) };
    let (left, limit) = (free - notional(price, order.qty), equity.at_rate(share));
    if left < limit { Err(Refusal::CashReserve { left, limit }) } else { Ok(()) }
}

/// The limit that a refusal names; `None` for a state or for something missing.
#[must_use]
pub const fn limit_of(refusal: &Refusal) -> Option<LimitName> {
    Some(match refusal {
        Refusal::StaleData { .. } => LimitName::MaxDataAgeMs,
        Refusal::ClockDrift { .. } => LimitName::MaxClockDriftMs,
        Refusal::OrderNotional { .. } => LimitName::MaxOrderNotional,
        Refusal::PositionLimit { .. } => LimitName::MaxPositionNotional,
        Refusal::ExposureLimit { .. } => LimitName::MaxExposure,
        Refusal::OpenOrders { .. } => LimitName::MaxOpenOrders,
        Refusal::DailyLoss { .. } => LimitName::MaxDailyLoss,
        Refusal::Drawdown { .. } => LimitName::MaxDrawdownBps,
        Refusal::SpreadTooWide { .. } => LimitName::MaxSpreadBps,
        Refusal::CoolDown { .. } => LimitName::CoolDownMs,
        Refusal::LosingStreak { .. } => LimitName::MaxLosingStreak,
        Refusal::HourlyLoss { .. } => LimitName::MaxHourlyLoss,
        Refusal::Volatile { .. } => LimitName::MaxVolatilityPercent,
        Refusal::PriceCollar { .. } => LimitName::PriceCollarBps,
        Refusal::Heat { .. } => LimitName::MaxHeatBps,
        Refusal::OrderRate { .. } => LimitName::MaxOrdersPerMinute,
        Refusal::CashReserve { .. } => LimitName::MinCashReserveBps,
        Refusal::NetExposure { .. } => LimitName::MaxNetExposure,
        Refusal::ClusterExposure { .. } => LimitName::MaxClusterExposureBps,
        Refusal::PortfolioVolatility { .. } | Refusal::PortfolioUnknown => LimitName::MaxPortfolioVolatilityBps,
        Refusal::QuoteBookGap { .. } | Refusal::QuoteUnknown => LimitName::MaxQuoteBookGapBps,
        Refusal::Depeg { .. } | Refusal::DepegUnknown => LimitName::MaxDepegBps,
        Refusal::VenueErrors { .. } => LimitName::MaxVenueErrorsPerMinute,
        Refusal::Unprotected { .. } => LimitName::MaxUnprotected,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::PortfolioRisk;
    use super::*;
    use crate::domain::samples::btcusdt as instrument;
    use crate::domain::{ClientOrderId, Instrument, OrderKind};

    fn limits() -> Limits {
        Limits {
            max_order_notional: "1000".parse().unwrap(),
            max_position_notional: "1500".parse().unwrap(),
            max_exposure: "3000".parse().unwrap(),
            max_daily_loss: "200".parse().unwrap(),
            max_drawdown_bps: Bps::from_bps(1_000),
            max_data_age_ms: 5_000,
            max_open_orders: 5,
            max_spread_bps: Bps::from_bps(20),
            cool_down_ms: 1_000,
            max_clock_drift_ms: 500,
            max_heat_bps: Some(Bps::from_bps(50)),
            min_cash_reserve_bps: Some(Bps::from_bps(1_000)),
            max_orders_per_minute: Some(10),
            price_collar_bps: Some(Bps::from_bps(100)),
            max_hourly_loss: Some("100".parse().unwrap()),
            max_losing_streak: Some(4),
            streak_pause_ms: 60_000,
            max_volatility_percent: Some(300),
            max_net_exposure: Some("2500".parse().unwrap()),
            max_cluster_exposure_bps: Some(Bps::from_bps(2_000)),
            max_portfolio_volatility_bps: Some(Bps::from_bps(100)),
            max_quote_book_gap_bps: Some(Bps::from_bps(30)),
            stablecoin_symbol: "USDCUSDT".parse().ok(),
            max_depeg_bps: Some(Bps::from_bps(50)),
            max_venue_errors_per_minute: Some(3),
            max_unprotected: Some("500".parse().unwrap()),
            ..Limits::default()
        }
    }

    fn situation(instrument: &Instrument) -> Situation<'_> {
        Situation {
            halted: false,
            reducing: false,
            stopping: false,
            reconciled: true,
            health_critical: false,
            instrument: Some(instrument),
            bid: Some("99.99".parse().unwrap()),
            ask: Some("100".parse().unwrap()),
            book_valid: true,
            data_age: Some(Span::from_millis(20)),
            clock_drift: Some(Span::ZERO),
            equity: Some("10000".parse().unwrap()),
            free_quote: Some("5000".parse().unwrap()),
            cash: Some("5000".parse().unwrap()),
            unpriced_fee: None,
            daily_loss: Some(Money::ZERO),
            drawdown: Some(Bps::ZERO),
            unknown_qty: Qty::ZERO,
            committed_qty: Qty::ZERO,
            exposure: Some(Money::ZERO),
            open_orders: 0,
            since_exit: None,
            stop_distance: Some(Bps::from_bps(100)),
            heat: Some(Money::ZERO),
            opened_last_minute: 0,
            hourly_loss: Some(Money::ZERO),
            losing_streak: 0,
            since_loss: None,
            volatility_percent: Some(100),
            net_exposure: Some(Money::ZERO),
            cluster_exposure: Some(Money::ZERO),
            portfolio: Some(PortfolioRisk::default()),
            quote_gap: Some(Bps::ZERO),
            depeg: Some(Bps::ZERO),
            venue_errors: 0,
            unprotected: Money::ZERO,
        }
    }

    fn order(qty: &str) -> NewOrder {
        NewOrder {
            id: ClientOrderId::default(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            qty: qty.parse().unwrap(),
            kind: OrderKind::LimitMaker { price: "100".parse().unwrap() },
        }
    }

    type Change = fn(&mut Situation);

    fn risk(held: f64, with_held: f64, own: f64) -> Option<PortfolioRisk> {
        Some(PortfolioRisk { held, with_held, own })
    }

    #[test]
    fn each_missing_input_refuses() {
        let instrument = instrument();
        assert!(approve(order("1"), &situation(&instrument), &limits()).is_ok());
        let cases: [(&str, Change); 24] = [
            ("halted", |s| s.halted = true),
            ("stopping", |s| s.stopping = true),
            ("not reconciled", |s| s.reconciled = false),
            ("no instrument", |s| s.instrument = None),
            ("no bid", |s| s.bid = None),
            ("book invalid", |s| s.book_valid = false),
            ("no data", |s| s.data_age = None),
            ("clock unknown", |s| s.clock_drift = None),
            ("equity unknown", |s| s.equity = None),
            ("day unknown", |s| s.daily_loss = None),
            ("exposure unknown", |s| s.exposure = None),
            ("balance unknown", |s| s.free_quote = None),
            ("cash unknown", |s| s.cash = None),
            ("a fee without a price", |s| s.unpriced_fee = "BNB".parse().ok()),
            ("no stop", |s| s.stop_distance = None),
            ("heat unknown", |s| s.heat = None),
            ("hour unknown", |s| s.hourly_loss = None),
            ("volatility unknown", |s| s.volatility_percent = None),
            ("reducing", |s| s.reducing = true),
            ("net unknown", |s| s.net_exposure = None),
            ("cluster unknown", |s| s.cluster_exposure = None),
            ("portfolio unknown", |s| s.portfolio = None),
            ("no quote", |s| s.quote_gap = None),
            ("peg unknown", |s| s.depeg = None),
        ];
        for (name, change) in cases {
            let mut s = situation(&instrument);
            change(&mut s);
            assert!(approve(order("1"), &s, &limits()).is_err(), "{name}");
        }
    }

    #[test]
    fn each_limit_trips_and_stays_quiet() {
        let instrument = instrument();
        let cases: [(&str, &str, Change, Change); 24] = [
            ("stale", "1", |s| s.data_age = Some(Span::from_millis(5_000)), |s| s.data_age = Some(Span::from_millis(5_001))),
            ("drift", "1", |s| s.clock_drift = Some(Span::from_millis(-500)), |s| s.clock_drift = Some(Span::from_millis(-501))),
            ("unknown order", "1", |_| (), |s| s.unknown_qty = Qty::from_raw(1)),
            ("spread", "1", |s| s.bid = "99.81".parse().ok(), |s| s.bid = "99.79".parse().ok()),
            ("day", "1", |s| s.daily_loss = "199.99".parse().ok(), |s| s.daily_loss = "200".parse().ok()),
            ("drawdown", "1", |s| s.drawdown = Some(Bps::from_bps(999)), |s| s.drawdown = Some(Bps::from_bps(1_000))),
            ("position", "10", |s| s.committed_qty = "5".parse().unwrap(), |s| s.committed_qty = "5.00001".parse().unwrap()),
            ("exposure", "10", |s| s.exposure = "2000".parse().ok(), |s| s.exposure = "2000.01".parse().ok()),
            ("orders", "1", |s| s.open_orders = 4, |s| s.open_orders = 5),
            // 1,000 at 100 bps to the stop are 10; 50 bps of 10,000 are 50.
            ("heat", "10", |s| s.heat = "40".parse().ok(), |s| s.heat = "40.01".parse().ok()),
            ("reserve", "10", |s| s.cash = "2000".parse().ok(), |s| s.cash = "1999.99".parse().ok()),
            ("rate", "1", |s| s.opened_last_minute = 9, |s| s.opened_last_minute = 10),
            ("hour", "1", |s| s.hourly_loss = "99.99".parse().ok(), |s| s.hourly_loss = "100".parse().ok()),
            ("volatility", "1", |s| s.volatility_percent = Some(300), |s| s.volatility_percent = Some(301)),
            ("streak", "1", |s| (s.losing_streak, s.since_loss) = (3, Some(Span::ZERO)), |s| s.losing_streak = 4),
            ("net", "10", |s| s.net_exposure = "1500".parse().ok(), |s| s.net_exposure = "1500.01".parse().ok()),
            ("cluster", "10", |s| s.cluster_exposure = "1000".parse().ok(), |s| s.cluster_exposure = "1000.01".parse().ok()),
            // 100 bps of 10,000 are 100: 96 held and 28 of the order on their own, or 60 and 40 that move together.
            ("portfolio", "10", |s| s.portfolio = risk(9_216.0, 0.0, 7.84e-4), |s| s.portfolio = risk(9_217.0, 0.0, 7.84e-4)),
            ("together", "10", |s| s.portfolio = risk(3_600.0, 2.4, 1.6e-3), |s| s.portfolio = risk(3_601.0, 2.4, 1.6e-3)),
            ("gap", "1", |s| s.quote_gap = Some(Bps::from_bps(30)), |s| s.quote_gap = Some(Bps::from_raw(300_001))),
            ("peg", "1", |s| s.depeg = Some(Bps::from_bps(50)), |s| s.depeg = Some(Bps::from_raw(500_001))),
            ("errors", "1", |s| s.venue_errors = 2, |s| s.venue_errors = 3),
            (
                "streak over",
                "1",
                |s| (s.losing_streak, s.since_loss) = (4, Some(Span::from_secs(60))),
                |s| s.since_loss = Some(Span::from_secs(59)),
            ),
            (
                "collar",
                "1",
                |s| (s.bid, s.ask) = ("99.02".parse().ok(), "99.06".parse().ok()),
                |s| (s.bid, s.ask) = ("98.96".parse().ok(), "99".parse().ok()),
            ),
        ];
        for (name, qty, near, far) in cases {
            let mut s = situation(&instrument);
            near(&mut s);
            assert!(approve(order(qty), &s, &limits()).is_ok(), "{name}, near side");
            far(&mut s);
            assert!(approve(order(qty), &s, &limits()).is_err(), "{name}, far side");
        }
    }

    #[test]
    fn size_is_bounded_on_both_ends_and_by_the_balance() {
        let instrument = instrument();
        let s = situation(&instrument);
        assert!(matches!(approve(order("10.00001"), &s, &limits()), Err(Refusal::OrderNotional { .. })));
        assert!(matches!(approve(order("0.04999"), &s, &limits()), Err(Refusal::BelowMinimum { .. })));
        let poor = Situation { free_quote: "99.99".parse().ok(), ..s.clone() };
        assert!(matches!(approve(order("1"), &poor, &limits()), Err(Refusal::BalanceTooSmall { .. })));
        let naked = Situation { unprotected: "499.99".parse().unwrap(), ..s.clone() };
        assert!(approve(order("1"), &naked, &limits()).is_ok());
        let naked = Situation { unprotected: "500".parse().unwrap(), ..naked };
        assert!(matches!(approve(order("1"), &naked, &limits()), Err(Refusal::Unprotected { .. })));
        let hot = Situation { since_exit: Some(Span::from_millis(999)), ..s };
        assert!(matches!(approve(order("1"), &hot, &limits()), Err(Refusal::CoolDown { .. })));
    }
}
