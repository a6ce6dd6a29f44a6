//! The limits, each defined here and nowhere else: what it bounds, its unit, which way is looser. Money in quote units.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, Money, Symbol};
use crate::protocol::{LimitName, LimitValue};

/// What may be risked. A limit that is an `Option` is off when absent; the built-in settings switch all of them on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub max_order_notional: Money,
    pub max_position_notional: Money,
    pub max_exposure: Money,
    pub max_daily_loss: Money,
    pub max_drawdown_bps: Bps,
    pub max_data_age_ms: u32,
    pub max_open_orders: u32,
    pub max_spread_bps: Bps,
    pub cool_down_ms: u32,
    pub max_clock_drift_ms: u32,
    #[serde(default)]
    pub max_heat_bps: Option<Bps>,
    #[serde(default)]
    pub min_cash_reserve_bps: Option<Bps>,
    #[serde(default)]
    pub max_orders_per_minute: Option<u32>,
    #[serde(default)]
    pub price_collar_bps: Option<Bps>,
    #[serde(default)]
    pub max_trade_loss: Option<Money>,
    #[serde(default)]
    pub max_hourly_loss: Option<Money>,
    #[serde(default)]
    pub max_losing_streak: Option<u32>,
    /// How long nothing opens after `max_losing_streak`.
    #[serde(default)]
    pub streak_pause_ms: u32,
    #[serde(default)]
    pub max_volatility_percent: Option<u32>,
    #[serde(default)]
    pub max_net_exposure: Option<Money>,
    #[serde(default)]
    pub max_cluster_exposure_bps: Option<Bps>,
    /// Markets whose correlation reaches this form one cluster.
    #[serde(default)]
    pub cluster_correlation_percent: u32,
    #[serde(default)]
    pub max_portfolio_volatility_bps: Option<Bps>,
    #[serde(default)]
    pub max_quote_book_gap_bps: Option<Bps>,
    /// The market of the quote coin in another stable coin, such as USDCUSDT; without one `max_depeg_bps` is off.
    #[serde(default, with = "blank")]
    pub stablecoin_symbol: Option<Symbol>,
    #[serde(default)]
    pub max_depeg_bps: Option<Bps>,
    #[serde(default)]
    pub max_venue_errors_per_minute: Option<u32>,
    #[serde(default)]
    pub max_unprotected: Option<Money>,
    /// How long a looser value waits before it holds.
    #[serde(default)]
    pub loosen_delay_ms: u32,
}

/// Which way a limit becomes looser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looser {
    Up,
    Down,
}

/// One limit of the table.
pub struct LimitRow {
    pub name: LimitName,
    pub what: &'static str,
    looser: Looser,
    get: fn(&Limits) -> Option<LimitValue>,
    put: fn(&mut Limits, LimitValue) -> bool,
}

macro_rules! row {
    ($name:ident, $unit:ident, $field:ident, $looser:ident, $what:literal) => {
        row!(@ $name, $looser, $what, |l| Some(LimitValue::$unit(l.$field)), |l, v| match v {
            LimitValue::$unit(value) => { l.$field = value; true }
            _ => false,
        })
    };
    ($name:ident, $unit:ident, ?$field:ident, $looser:ident, $what:literal) => {
        row!(@ $name, $looser, $what, |l| l.$field.map(LimitValue::$unit), |l, v| match v {
            LimitValue::$unit(value) => { l.$field = Some(value); true }
            _ => false,
        })
    };
    (@ $name:ident, $looser:ident, $what:literal, $get:expr, $put:expr) => {
        LimitRow { name: LimitName::$name, what: $what, looser: Looser::$looser, get: $get, put: $put }
    };
}

/// Every limit, in the order in which they are shown.
pub const TABLE: &[LimitRow] = &[
    row!(MaxOrderNotional, Money, max_order_notional, Up, "notional of one opening order"),
    row!(MaxPositionNotional, Money, max_position_notional, Up, "position of one market, resting and unknown orders included"),
    row!(MaxExposure, Money, max_exposure, Up, "sum of all positions and opening orders"),
    row!(MaxNetExposure, Money, ?max_net_exposure, Up, "longs less shorts, opening orders included"),
    row!(MaxClusterExposureBps, Bps, ?max_cluster_exposure_bps, Up, "positions in markets that move together, of the equity"),
    row!(MaxPortfolioVolatilityBps, Bps, ?max_portfolio_volatility_bps, Up, "standard deviation of a day's result, of the equity"),
    row!(MaxHeatBps, Bps, ?max_heat_bps, Up, "what all positions would lose at their stops, of the equity"),
    row!(MinCashReserveBps, Bps, ?min_cash_reserve_bps, Down, "share of the equity that stays quote money"),
    row!(MaxOpenOrders, Count, max_open_orders, Up, "opening orders at a time"),
    row!(MaxOrdersPerMinute, Count, ?max_orders_per_minute, Up, "opening orders in any minute"),
    row!(PriceCollarBps, Bps, ?price_collar_bps, Up, "price of an opening order from the mid"),
    row!(MaxSpreadBps, Bps, max_spread_bps, Up, "spread to trade in"),
    row!(MaxDataAgeMs, Millis, max_data_age_ms, Up, "age of the market data"),
    row!(MaxQuoteBookGapBps, Bps, ?max_quote_book_gap_bps, Up, "quoted mid from the book's"),
    row!(MaxDepegBps, Bps, ?max_depeg_bps, Up, "quote coin from its peg"),
    row!(MaxClockDriftMs, Millis, max_clock_drift_ms, Up, "change of the clock offset"),
    row!(MaxVolatilityPercent, Percent, ?max_volatility_percent, Up, "volatility of the last bars, of the usual one"),
    row!(CoolDownMs, Millis, cool_down_ms, Down, "pause of a market after an exit"),
    row!(MaxTradeLoss, Money, ?max_trade_loss, Up, "loss of one trade, at which it is closed"),
    row!(MaxHourlyLoss, Money, ?max_hourly_loss, Up, "fall from the highest equity of the last hour"),
    row!(MaxDailyLoss, Money, max_daily_loss, Up, "loss of the UTC day; halts"),
    row!(MaxDrawdownBps, Bps, max_drawdown_bps, Up, "fall from the equity's peak; halts"),
    row!(MaxLosingStreak, Count, ?max_losing_streak, Up, "losing trades in a row"),
    row!(
        MaxVenueErrorsPerMinute,
        Count,
        ?max_venue_errors_per_minute,
        Up,
        "refusals, unknown outcomes and failures of the venue in a minute"
    ),
    row!(MaxUnprotected, MoneySeconds, ?max_unprotected, Up, "money x seconds without protection at the exchange; halts"),
];

impl LimitRow {
    #[must_use]
    pub fn of(name: LimitName) -> &'static Self {
        TABLE.iter().find(|row| row.name == name).expect("tests::every_name_has_its_row: the table is whole")
    }

    #[must_use]
    pub fn value(&self, limits: &Limits) -> Option<LimitValue> {
        match self.name {
            LimitName::MaxDepegBps if limits.stablecoin_symbol.is_none() => None,
            _ => (self.get)(limits),
        }
    }

    /// What a person wrote, in this limit's unit.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<LimitValue> {
        [
            text.parse().ok().map(LimitValue::Money),
            text.parse().ok().map(LimitValue::MoneySeconds),
            text.parse().ok().map(LimitValue::Bps),
            text.parse().ok().map(LimitValue::Count),
            text.parse().ok().map(LimitValue::Millis),
            text.parse().ok().map(LimitValue::Percent),
        ]
        .into_iter()
        .flatten()
        .find(|value| (self.put)(&mut Limits::default(), *value))
    }

    /// Whether `to` allows more than `from`; from "off" nothing does.
    #[must_use]
    pub fn is_looser(&self, from: Option<LimitValue>, to: LimitValue) -> bool {
        let Some(from) = from else { return false };
        let more = match (from, to) {
            (LimitValue::Money(a), LimitValue::Money(b)) | (LimitValue::MoneySeconds(a), LimitValue::MoneySeconds(b)) => b.cmp(&a),
            (LimitValue::Bps(a), LimitValue::Bps(b)) => b.cmp(&a),
            (LimitValue::Count(a), LimitValue::Count(b))
            | (LimitValue::Millis(a), LimitValue::Millis(b))
            | (LimitValue::Percent(a), LimitValue::Percent(b)) => b.cmp(&a),
            _ => return false,
        };
        if self.looser == Looser::Up { more.is_gt() } else { more.is_lt() }
    }

    /// How much of the limit `value` uses, percent; of a limit from below, how much of the value the limit needs.
    #[must_use]
    pub fn used_percent(&self, limit: LimitValue, value: LimitValue) -> Option<f64> {
        let (part, whole) = match self.looser {
            Looser::Up => (value.to_f64(), limit.to_f64()),
            Looser::Down => (limit.to_f64(), value.to_f64()),
        };
        match self.looser {
            // Nothing is left of what must be kept.
            Looser::Down if part > 0.0 && whole <= 0.0 => Some(1e6),
            _ => (whole > 0.0).then(|| (part / whole * 100.0).clamp(0.0, 1e6)),
        }
    }
}

impl Limits {
    #[must_use]
    pub fn get(&self, name: LimitName) -> Option<LimitValue> {
        LimitRow::of(name).value(self)
    }

    /// Sets one limit, whatever the others say. False when the value is not in its unit.
    pub(super) fn put(&mut self, name: LimitName, value: LimitValue) -> bool {
        (LimitRow::of(name).put)(self, value)
    }

    /// These limits with one of them changed.
    ///
    /// # Errors
    /// What contradicts then, or that the value is not in the limit's unit.
    pub fn with(&self, name: LimitName, value: LimitValue) -> Result<Self, String> {
        let mut changed = self.clone();
        if !changed.put(name, value) {
            return Err(format!("{name} is not counted in this unit"));
        }
        match changed.contradictions().into_iter().find(|said| !self.contradictions().contains(said)) {
            None => Ok(changed),
            Some(contradiction) => Err(contradiction),
        }
    }

    /// Values that can not be meant, each with the names of the limits. Empty: the limits are in order.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let mut said = self.out_of_range();
        let mut above = |small: LimitName, large: LimitName, why: &str| {
            if let (Some(LimitValue::Money(a)), Some(LimitValue::Money(b))) = (self.get(small), self.get(large))
                && a > b
            {
                said.push(format!("limits.{small} ({a}) is above limits.{large} ({b}): {why}"));
            }
        };
        use LimitName as N;
        above(N::MaxOrderNotional, N::MaxPositionNotional, "one order could not be held");
        above(N::MaxPositionNotional, N::MaxExposure, "one position could not be held");
        above(N::MaxOrderNotional, N::MaxNetExposure, "one order could not be held");
        above(N::MaxTradeLoss, N::MaxHourlyLoss, "a trade may not lose more than an hour");
        above(N::MaxHourlyLoss, N::MaxDailyLoss, "an hour may not lose more than a day");
        above(N::MaxTradeLoss, N::MaxDailyLoss, "a trade may not lose more than a day");
        if self.max_losing_streak.is_some() && self.streak_pause_ms == 0 {
            said.push("limits.max_losing_streak without limits.streak_pause_ms pauses for no time".to_owned());
        }
        said
    }

    fn out_of_range(&self) -> Vec<String> {
        use LimitName as N;
        let may_be_zero = [N::CoolDownMs, N::MinCashReserveBps];
        let not_positive = |value: LimitValue| match value {
            LimitValue::Money(money) | LimitValue::MoneySeconds(money) => !money.is_positive(),
            LimitValue::Bps(bps) => bps <= Bps::ZERO,
            LimitValue::Count(count) | LimitValue::Millis(count) | LimitValue::Percent(count) => count == 0,
        };
        let mut said: Vec<String> = TABLE
            .iter()
            .filter(|row| !may_be_zero.contains(&row.name))
            .filter_map(|row| Some((row, (row.get)(self).filter(|value| not_positive(*value))?)))
            .map(|(row, value)| format!("limits.{} is {value}: it must be above 0", row.name))
            .collect();
        let whole = Bps::from_bps(10_000);
        if self.min_cash_reserve_bps.is_some_and(|share| share < Bps::ZERO || share >= whole) {
            said.push("limits.min_cash_reserve_bps is a share of the equity: from 0 to below 10000".to_owned());
        }
        if self.max_drawdown_bps > whole {
            said.push("limits.max_drawdown_bps is a share of the equity: at most 10000".to_owned());
        }
        if self.cluster_correlation_percent > 100 {
            said.push("limits.cluster_correlation_percent is a correlation: at most 100".to_owned());
        }
        said
    }
}

/// An absent symbol is written as an empty text.
mod blank {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Symbol;

    pub fn serialize<S: Serializer>(symbol: &Option<Symbol>, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(symbol.as_ref().map_or("", Symbol::as_str))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Symbol>, D::Error> {
        let text = String::deserialize(input)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits in order, all of them set.
    fn sound() -> Limits {
        let mut limits = Limits { streak_pause_ms: 1, cluster_correlation_percent: 70, ..Limits::default() };
        for row in TABLE {
            let value = if row.name == LimitName::MaxOrderNotional { "50" } else { "100" };
            assert!((row.put)(&mut limits, row.parse(value).unwrap()), "{}", row.name);
        }
        limits.stablecoin_symbol = "USDCUSDT".parse().ok();
        limits
    }

    #[test]
    fn every_name_has_its_row() {
        let rows: Vec<LimitName> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(rows, LimitName::ALL);
        let limits = sound();
        assert!(TABLE.iter().all(|row| row.value(&limits).is_some()));
        assert_eq!(limits.contradictions(), [""; 0]);
        let keys = serde_json::to_value(&limits).unwrap();
        assert!(TABLE.iter().all(|row| keys.get(row.name.key()).is_some()), "a row's name is the key of its setting");
    }

    #[test]
    fn looser_is_more_except_for_reserves_and_pauses() {
        for row in TABLE {
            let [low, high] = ["10", "11"].map(|text| row.parse(text).unwrap());
            let down = matches!(row.name, LimitName::MinCashReserveBps | LimitName::CoolDownMs);
            assert_eq!((row.is_looser(Some(low), high), row.is_looser(Some(high), low)), (!down, down), "{}", row.name);
            assert!(!row.is_looser(Some(low), low) && !row.is_looser(None, high), "a limit that was off only becomes tighter");
            assert_eq!(row.parse("a lot"), None);
        }
    }

    #[test]
    fn what_contradicts_is_named() {
        let cases: [(LimitName, &str, &str); 7] = [
            (LimitName::MaxOrderNotional, "101", "limits.max_position_notional"),
            (LimitName::MaxPositionNotional, "100.01", "limits.max_exposure"),
            (LimitName::MaxNetExposure, "49", "limits.max_order_notional"),
            (LimitName::MaxHourlyLoss, "99", "limits.max_trade_loss"),
            (LimitName::MaxDailyLoss, "99", "limits.max_hourly_loss"),
            (LimitName::MinCashReserveBps, "10000", "limits.min_cash_reserve_bps"),
            (LimitName::MaxOpenOrders, "0", "limits.max_open_orders"),
        ];
        for (name, value, other) in cases {
            let said = sound().with(name, LimitRow::of(name).parse(value).unwrap()).unwrap_err();
            assert!(said.contains(name.key()) && said.contains(other), "{said}");
        }
        assert!(sound().with(LimitName::MaxOrderNotional, LimitValue::Count(3)).is_err());
        assert!(sound().with(LimitName::MaxOrderNotional, LimitValue::Money("49".parse().unwrap())).is_ok());
    }

    #[test]
    fn without_a_stable_coin_there_is_no_peg_to_watch() {
        let limits = Limits { stablecoin_symbol: None, ..sound() };
        assert_eq!(limits.get(LimitName::MaxDepegBps), None);
        let text = serde_json::to_string(&limits).unwrap();
        assert!(text.contains("\"stablecoin_symbol\":\"\""));
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
    }
}
