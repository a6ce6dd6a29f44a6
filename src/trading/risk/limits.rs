//! The limits, each defined here and nowhere else. Money in quote units.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, Money};

/// What may be risked. A limit that is an `Option` is off when absent; the built-in settings switch all of them on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest notional of one opening order.
    pub max_order_notional: Money,
    /// Largest position of one symbol, at the mark, resting and unknown orders included.
    pub max_position_notional: Money,
    /// Largest sum of all positions and opening orders.
    pub max_exposure: Money,
    /// Loss of the UTC day at which trading halts.
    pub max_daily_loss: Money,
    /// Fall from the equity peak at which trading halts, bps.
    pub max_drawdown_bps: Bps,
    /// Oldest market data that an order may be based on, milliseconds.
    pub max_data_age_ms: u32,
    pub max_open_orders: u32,
    /// Widest spread to trade in, bps.
    pub max_spread_bps: Bps,
    /// Pause of a symbol after an exit, milliseconds.
    pub cool_down_ms: u32,
    /// Largest change of the clock offset since it was first measured, milliseconds.
    pub max_clock_drift_ms: u32,
    /// Largest portfolio heat: what all positions would lose at their stops, bps of the equity.
    #[serde(default)]
    pub max_heat_bps: Option<Bps>,
    /// Share of the equity that stays quote money, bps.
    #[serde(default)]
    pub min_cash_reserve_bps: Option<Bps>,
    /// Opening orders in any minute.
    #[serde(default)]
    pub max_orders_per_minute: Option<u32>,
    /// Farthest price of an opening order from the mid, bps.
    #[serde(default)]
    pub price_collar_bps: Option<Bps>,
    /// Loss of one trade, at the mark, at which it is closed.
    #[serde(default)]
    pub max_trade_loss: Option<Money>,
    /// Loss over the last hour at which nothing opens until it is made up or has passed.
    #[serde(default)]
    pub max_hourly_loss: Option<Money>,
    /// Losing trades in a row after which nothing opens for `streak_pause_ms`.
    #[serde(default)]
    pub max_losing_streak: Option<u32>,
    #[serde(default)]
    pub streak_pause_ms: u32,
    /// Volatility of the last bars in percent of the usual one, beyond which nothing opens.
    #[serde(default)]
    pub max_volatility_percent: Option<u32>,
}
