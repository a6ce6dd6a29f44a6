//! What a model must show on data it never saw before it may trade: a list, read from top to bottom. A limit is never loosened by a result.

use serde::{Deserialize, Serialize};

use super::error::LearningError;
use super::metrics::{Performance, TradeStats};
use crate::protocol::GateRecord;

/// The profit factor recorded for a run without a losing trade: JSON knows no infinity.
const UNBOUNDED: f64 = 1e9;

/// Limits of the gates. Limits that a losing or untested model could pass are refused (`check`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateLimits {
    /// Annualised Sharpe of the out-of-sample marked equity.
    pub min_sharpe: f64,
    pub min_profit_factor: f64,
    pub min_trades: u32,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self { min_sharpe: 0.7, min_profit_factor: 1.1, min_trades: 100 }
    }
}

impl GateLimits {
    /// Refuses limits that would let a losing or an untested model pass.
    pub fn check(&self) -> Result<(), LearningError> {
        let bad = |name, value, expected| Err(LearningError::Setting { name, value, expected });
        if !(self.min_sharpe.is_finite() && self.min_sharpe > 0.0) {
            return bad("gates.min_sharpe", self.min_sharpe, "a positive number");
        }
        if !(self.min_profit_factor.is_finite() && self.min_profit_factor >= 1.0) {
            return bad("gates.min_profit_factor", self.min_profit_factor, "at least 1");
        }
        if self.min_trades == 0 {
            return bad("gates.min_trades", 0.0, "at least 1");
        }
        Ok(())
    }
}

/// One gate: its name, the number it looks at, and the limit that number must reach.
type Gate = (&'static str, fn(&Performance, &TradeStats) -> f64, fn(&GateLimits) -> f64);

const GATES: [Gate; 3] = [
    ("sharpe", |p, _| p.sharpe.unwrap_or(0.0), |l| l.min_sharpe),
    ("profit_factor", |_, t| t.profit_factor_or_bound().min(UNBOUNDED), |l| l.min_profit_factor),
    ("trades_oos", |_, t| t.trades as f64, |l| f64::from(l.min_trades)),
];

/// Every gate with its number, limit and verdict. Without trades every gate fails.
#[must_use]
pub fn judge(performance: &Performance, trades: &TradeStats, limits: &GateLimits) -> Vec<GateRecord> {
    let gate = |(name, value, limit): &Gate| {
        let (value, limit) = (value(performance, trades), limit(limits));
        GateRecord { name: (*name).to_owned(), value, limit, passed: trades.trades > 0 && value >= limit }
    };
    GATES.iter().map(gate).collect()
}

/// True when there are gates and each passed.
#[must_use]
pub fn all_passed(gates: &[GateRecord]) -> bool {
    !gates.is_empty() && gates.iter().all(|g| g.passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (Performance, TradeStats) {
        let performance = Performance { sharpe: Some(0.7), ..Performance::default() };
        let trades = TradeStats { trades: 100, gross_wins: 11.0, gross_losses: 10.0, profit_factor: Some(1.1), ..TradeStats::default() };
        (performance, trades)
    }

    fn failed(performance: &Performance, trades: &TradeStats) -> Vec<String> {
        let gates = judge(performance, trades, &GateLimits::default());
        gates.into_iter().filter(|g| !g.passed).map(|g| g.name).collect()
    }

    #[test]
    fn each_gate_passes_at_its_limit() {
        let (performance, trades) = good();
        assert!(failed(&performance, &trades).is_empty());
        assert!(all_passed(&judge(&performance, &trades, &GateLimits::default())));
    }

    #[test]
    fn each_gate_fails_alone_just_below_its_limit() {
        let (performance, trades) = good();
        assert_eq!(failed(&Performance { sharpe: Some(0.699), ..performance }, &trades), ["sharpe"]);
        assert_eq!(failed(&Performance { sharpe: None, ..performance }, &trades), ["sharpe"]);
        assert_eq!(failed(&performance, &TradeStats { profit_factor: Some(1.099), ..trades }), ["profit_factor"]);
        assert_eq!(failed(&performance, &TradeStats { trades: 99, ..trades }), ["trades_oos"]);
    }

    #[test]
    fn no_trades_fail_every_gate() {
        let (performance, _) = good();
        assert_eq!(failed(&performance, &TradeStats::default()), ["sharpe", "profit_factor", "trades_oos"]);
        assert!(!all_passed(&[]));
    }

    #[test]
    fn a_run_without_losses_is_recorded_with_a_finite_number() {
        let (performance, trades) = good();
        let gates = judge(&performance, &TradeStats { profit_factor: None, gross_losses: 0.0, ..trades }, &GateLimits::default());
        assert!(gates.iter().all(|g| g.passed && g.value.is_finite()));
    }

    #[test]
    fn limits_that_pass_losers_are_refused() {
        let limits = GateLimits::default();
        assert!(limits.check().is_ok());
        assert!(GateLimits { min_sharpe: 0.0, ..limits }.check().is_err());
        assert!(GateLimits { min_profit_factor: 0.9, ..limits }.check().is_err());
        assert!(GateLimits { min_trades: 0, ..limits }.check().is_err());
    }
}
