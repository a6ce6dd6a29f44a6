//! Why an order may not leave: every refusal carries the numbers that failed.

use serde::{Deserialize, Serialize};

use super::Rung;
use crate::domain::{Asset, Bps, Money, Qty, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    #[error("trading is halted")]
    Halted,
    #[error("the run is stopping")]
    Stopping,
    #[error("orders and balances are not reconciled with the venue yet")]
    NotReconciled,
    #[error("no instrument data")]
    NoInstrument,
    #[error("the venue does not take orders for this symbol")]
    MarketClosed,
    #[error("no price")]
    NoPrice,
    #[error("the book is not valid")]
    BookInvalid,
    #[error("market data is {} ms old, limit {} ms", .age.millis(), .limit.millis())]
    StaleData { age: Span, limit: Span },
    #[error("clock offset is unknown")]
    ClockUnknown,
    #[error("clock offset changed by {} ms, limit {} ms", .drift.millis(), .limit.millis())]
    ClockDrift { drift: Span, limit: Span },
    #[error("balance of the quote asset is unknown")]
    BalanceUnknown,
    #[error("needs {needed}, free balance is {free}")]
    BalanceTooSmall { needed: Money, free: Money },
    #[error("an order's outcome is unknown ({quantity} outstanding)")]
    UnknownOrder { quantity: Qty },
    #[error("order of {notional} exceeds the order limit {limit}")]
    OrderNotional { notional: Money, limit: Money },
    #[error("order of {notional} is below the venue's minimum {limit}")]
    BelowMinimum { notional: Money, limit: Money },
    #[error("position would be {would_be}, limit {limit}")]
    PositionLimit { would_be: Money, limit: Money },
    #[error("exposure would be {would_be}, limit {limit}")]
    ExposureLimit { would_be: Money, limit: Money },
    #[error("{open} open orders, limit {limit}")]
    OpenOrders { open: u32, limit: u32 },
    #[error("loss today is {loss}, limit {limit}")]
    DailyLoss { loss: Money, limit: Money },
    #[error("drawdown is {drawdown} bps, limit {limit} bps")]
    Drawdown { drawdown: Bps, limit: Bps },
    #[error("spread is {spread} bps, limit {limit} bps")]
    SpreadTooWide { spread: Bps, limit: Bps },
    #[error("health is critical")]
    HealthCritical,
    #[error("equity is unknown: a held asset has no mark")]
    EquityUnknown,
    #[error("waiting {} s after the last exit", .left.millis() / 1000)]
    CoolDown { left: Span },
    #[error("features are not ready: {have} of {need} candles")]
    WarmingUp { have: u32, need: u32 },
    #[error("no model may trade")]
    NoModel,
    #[error("{losses} losing trades in a row, limit {limit}: waiting {} s", .left.millis() / 1000)]
    LosingStreak { losses: u32, limit: u32, left: Span },
    #[error("loss of the last hour is {loss}, limit {limit}")]
    HourlyLoss { loss: Money, limit: Money },
    #[error("volatility is {percent} % of the usual one, limit {limit} %")]
    Volatile { percent: u32, limit: u32 },
    #[error("price is {distance} bps from the market, limit {limit} bps")]
    PriceCollar { distance: Bps, limit: Bps },
    #[error("portfolio heat would be {would_be} bps of the equity, limit {limit} bps")]
    Heat { would_be: Bps, limit: Bps },
    #[error("{opened} orders in the last minute, limit {limit}")]
    OrderRate { opened: u32, limit: u32 },
    #[error("{left} would stay free, the reserve is {limit}")]
    CashReserve { left: Money, limit: Money },
    #[error("the ladder stands at {rung}: it {}", .rung.meaning())]
    Rung { rung: Rung },
    #[error("the ladder moved to {rung}: stop the box and start it again to go on there")]
    RungMoved { rung: Rung },
    #[error("positions would be {would_be}, the rung allows {limit} of the allocated capital")]
    Allocated { would_be: Money, limit: Money },
    #[error("positions are being reduced to their limits")]
    Reducing,
    #[error("net exposure would be {would_be}, limit {limit}")]
    NetExposure { would_be: Money, limit: Money },
    #[error("markets that move together would hold {would_be} bps of the equity, limit {limit} bps")]
    ClusterExposure { would_be: Bps, limit: Bps },
    #[error("the portfolio would move by {would_be} bps a day, limit {limit} bps")]
    PortfolioVolatility { would_be: Bps, limit: Bps },
    #[error("volatility of a held market is not known yet")]
    PortfolioUnknown,
    #[error("the quotes are {gap} bps away from the book, limit {limit} bps")]
    QuoteBookGap { gap: Bps, limit: Bps },
    #[error("no quote to compare the book with")]
    QuoteUnknown,
    #[error("the quote coin is {depeg} bps off its peg, limit {limit} bps")]
    Depeg { depeg: Bps, limit: Bps },
    #[error("the price of the quote coin in another stable coin is unknown")]
    DepegUnknown,
    #[error("{errors} errors of the venue in the last minute, limit {limit}")]
    VenueErrors { errors: u32, limit: u32 },
    #[error("{spent:.2} of money x seconds stood without protection, limit {limit:.2}")]
    Unprotected { spent: Money, limit: Money },
    #[error("the model gives no probability of winning to size by")]
    WinProbabilityUnknown,
    #[error("the sizing rules leave nothing to buy")]
    SizedToNothing,
    #[error("the market ran {by} bps away since the decision, worth following {limit} bps")]
    RanAway { by: Bps, limit: Bps },
    #[error("fees are paid in {asset}, which has no price here: switch that off at the venue, or add its market to the symbols")]
    FeeUnpriced { asset: Asset },
}
