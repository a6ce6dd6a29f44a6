//! What a run decides by: one resolved value per knob, journaled with the run.

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Bps, FeeRates, Interval, Span, Symbol};
use crate::health::HealthLimits;
use crate::protocol::Mode;
use crate::trading::costs::{MakerRules, break_even_win_rate, expected_round_trip_bps};
use crate::trading::currency::AccountCurrency;
use crate::trading::decision::{DecisionRules, Exploration};
use crate::trading::execution::ExecutionRules;
use crate::trading::risk::{Actions, LadderRules, Limits, Sizing};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub mode: Mode,
    pub symbols: Vec<Symbol>,
    /// The currency everything is counted in; every symbol must be quoted in it.
    pub quote: Asset,
    pub time_scale: TimeScale,
    pub limits: Limits,
    #[serde(default)]
    pub actions: Actions,
    #[serde(default)]
    pub sizing: Sizing,
    pub execution: ExecutionRules,
    #[serde(default)]
    pub maker: MakerRules,
    pub decision: DecisionRules,
    /// Demo only.
    pub exploration: Option<Exploration>,
    pub health: HealthLimits,
    /// Episodes from which on recall asks the graph; below it scans exactly.
    pub graph_from: u32,
    /// The ladder on which a box goes live; in mode paper, its rungs without real orders.
    #[serde(default)]
    pub ladder: Option<LadderRules>,
    /// The currency that a person counts in, if it is not the quote currency.
    #[serde(default)]
    pub account: Option<AccountCurrency>,
}

impl Settings {
    /// Markets whose data is needed: those that are traded, and that of the quote coin's peg.
    #[must_use]
    pub fn watched(&self) -> Vec<Symbol> {
        let peg = self.limits.stablecoin_symbol.filter(|peg| !self.symbols.contains(peg));
        self.symbols.iter().copied().chain(peg).collect()
    }
}

/// The decision bar, the bracket around an entry in units of volatility, and how long to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeScale {
    /// A decision is made at the close of each such bar.
    pub bar: Interval,
    /// Hold limit in bars; also the horizon of the forecast.
    pub horizon_bars: u32,
    /// Target and stop in standard deviations of the return over the horizon.
    pub target_sigma: f64,
    pub stop_sigma: f64,
    /// Volatility of one minute, bps, assumed for the break-even check before any data is seen.
    pub typical_minute_bps: f64,
    /// A bracket that needs more winners than this share is refused at start.
    pub max_break_even: f64,
}

impl TimeScale {
    /// Standard deviation of the return over the horizon, bps, from that of one bar.
    #[must_use]
    pub fn horizon_sigma(&self, bar_sigma_bps: f64) -> f64 {
        bar_sigma_bps * f64::from(self.horizon_bars).sqrt()
    }

    /// Target and stop distance for a bar volatility, both positive.
    #[must_use]
    pub fn bracket(&self, bar_sigma_bps: f64) -> (Bps, Bps) {
        let sigma = self.horizon_sigma(bar_sigma_bps);
        (Bps::from_f64(self.target_sigma * sigma), Bps::from_f64(self.stop_sigma * sigma))
    }

    #[must_use]
    pub fn hold(&self) -> Span {
        self.bar.span().times(i64::from(self.horizon_bars))
    }

    /// Share of winners at which the bracket breaks even at the typical volatility.
    #[must_use]
    pub fn break_even(&self, fees: FeeRates, spread: Bps) -> f64 {
        let bar_sigma = self.typical_minute_bps * (self.bar.secs() as f64 / 60.0).sqrt();
        let sigma = self.horizon_sigma(bar_sigma);
        break_even_win_rate(self.target_sigma * sigma, self.stop_sigma * sigma, expected_round_trip_bps(fees, spread))
    }

    /// One line for people.
    #[must_use]
    pub fn describe(&self, fees: FeeRates, spread: Bps) -> String {
        format!(
            "{} bars, hold up to {} bars ({} s), target {} and stop {} sigma, break-even at {:.0} % winners",
            self.bar,
            self.horizon_bars,
            self.hold().millis() / 1_000,
            self.target_sigma,
            self.stop_sigma,
            self.break_even(fees, spread) * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_break_even_of_a_minute_scale_is_as_computed_by_hand() {
        let scale = TimeScale {
            bar: Interval::MINUTE,
            horizon_bars: 100,
            target_sigma: 2.0,
            stop_sigma: 1.0,
            typical_minute_bps: 6.0,
            max_break_even: 0.6,
        };
        let fees = FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) };
        // Sigma 60 bps: target 120, stop 60; costs 10 + 10 + a quarter of 2 bps of spread = 20.5.
        assert!((scale.break_even(fees, Bps::from_bps(2)) - 80.5 / 180.0).abs() < 1e-9);
        assert_eq!(scale.bracket(6.0), (Bps::from_bps(120), Bps::from_bps(60)));
        assert_eq!(scale.hold(), Span::from_secs(6_000));
    }
}
