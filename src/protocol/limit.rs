//! The words about limits: their names, values, what is done at one, and how each stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, Money, Timestamp};

/// Declares the names once: variant, key in the settings. New ones go to the end: the journal keeps their place.
macro_rules! limit_names {
    ($($name:ident = $key:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum LimitName { $($name),* }

        impl LimitName {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The key in the settings' `[limits]`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }
        }
    };
}

limit_names! {
    MaxOrderNotional = "max_order_notional",
    MaxPositionNotional = "max_position_notional",
    MaxExposure = "max_exposure",
    MaxNetExposure = "max_net_exposure",
    MaxClusterExposureBps = "max_cluster_exposure_bps",
    MaxPortfolioVolatilityBps = "max_portfolio_volatility_bps",
    MaxHeatBps = "max_heat_bps",
    MinCashReserveBps = "min_cash_reserve_bps",
    MaxOpenOrders = "max_open_orders",
    MaxOrdersPerMinute = "max_orders_per_minute",
    PriceCollarBps = "price_collar_bps",
    MaxSpreadBps = "max_spread_bps",
    MaxDataAgeMs = "max_data_age_ms",
    MaxQuoteBookGapBps = "max_quote_book_gap_bps",
    MaxDepegBps = "max_depeg_bps",
    MaxClockDriftMs = "max_clock_drift_ms",
    MaxVolatilityPercent = "max_volatility_percent",
    CoolDownMs = "cool_down_ms",
    MaxTradeLoss = "max_trade_loss",
    MaxHourlyLoss = "max_hourly_loss",
    MaxDailyLoss = "max_daily_loss",
    MaxDrawdownBps = "max_drawdown_bps",
    MaxLosingStreak = "max_losing_streak",
    MaxVenueErrorsPerMinute = "max_venue_errors_per_minute",
    MaxUnprotected = "max_unprotected",
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// No limit has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a limit")]
pub struct UnknownLimit(String);

impl FromStr for LimitName {
    type Err = UnknownLimit;
    fn from_str(text: &str) -> Result<Self, UnknownLimit> {
        Self::ALL.iter().find(|name| name.key() == text).copied().ok_or_else(|| UnknownLimit(text.to_owned()))
    }
}

/// What a limit is set to, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitValue {
    /// Quote units.
    Money(Money),
    Bps(Bps),
    Count(u32),
    Millis(u32),
    Percent(u32),
    /// Quote money times the seconds it stood in the market.
    MoneySeconds(Money),
}

impl LimitValue {
    /// For shares and bars alone; nothing is decided by it.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Money(money) | Self::MoneySeconds(money) => money.to_f64(),
            Self::Bps(bps) => bps.to_f64(),
            Self::Count(count) | Self::Millis(count) | Self::Percent(count) => f64::from(count),
        }
    }
}

impl fmt::Display for LimitValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(money) => write!(f, "{money:.2}"),
            Self::MoneySeconds(money) => write!(f, "{money:.2} x s"),
            Self::Bps(bps) => write!(f, "{bps} bps"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Millis(ms) => write!(f, "{ms} ms"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// What is done at a limit or a stop, each including those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing opens.
    BlockEntries,
    /// Resting entries are cancelled too.
    CancelEntries,
    /// Positions are sold, the largest first, until the limit holds again.
    Reduce,
    /// Every position concerned is closed.
    Flatten,
}

impl Action {
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::BlockEntries => "block_entries",
            Self::CancelEntries => "cancel_entries",
            Self::Reduce => "reduce",
            Self::Flatten => "flatten",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// How close a limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitState {
    /// Not set.
    Off,
    #[default]
    Ok,
    /// Four fifths of it are used.
    Near,
    /// It holds something back now, or refused an order within the last minute.
    Tripped,
}

impl fmt::Display for LimitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::Ok => "ok",
            Self::Near => "near",
            Self::Tripped => "TRIPPED",
        })
    }
}

/// One limit as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitView {
    pub name: LimitName,
    /// As set, with its unit; `None`: off.
    pub limit: Option<String>,
    /// The present measure; `None` where there is none (a limit of single orders) or it is unknown.
    pub value: Option<String>,
    pub used_percent: Option<f64>,
    pub state: LimitState,
    pub action: Action,
    pub last_tripped: Option<Timestamp>,
    /// How often it tripped, over restarts.
    pub times: u32,
    /// A looser value that waits for its delay, and when it will hold.
    pub pending: Option<(String, Timestamp)>,
}

/// How the last wish to change a limit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitAnswer {
    /// Counts the wishes.
    pub number: u64,
    pub name: LimitName,
    pub accepted: bool,
    pub text: String,
}

/// A halt on its way: done when nothing is outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltView {
    pub reason: String,
    pub asked: Timestamp,
    /// Entries that have ended since.
    pub cancelled: u32,
    /// Entries still open; after a flatten also every other order and position.
    pub outstanding: u32,
    /// When the venue's word ended the last of them; `None` before that, or when there was nothing.
    pub last_ack: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_print_and_as_they_are_stored() {
        for name in LimitName::ALL {
            assert_eq!(name.to_string().parse(), Ok(*name));
            assert_eq!(serde_json::to_string(name).unwrap(), format!("\"{name}\""));
        }
        assert!("max_hope".parse::<LimitName>().is_err());
    }
}
