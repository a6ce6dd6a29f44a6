//! From settings to a training run; shared by `train`, `backtest` and the workshop of a live run.

use super::config::Config;
use crate::engine::TimeScale;
use crate::learning::{Bracket, GateLimits, TrainConfig};

/// The training settings for a time scale: labels use the bracket that trades use.
#[must_use]
pub fn train_config(config: &Config, scale: &TimeScale) -> TrainConfig {
    let bracket = Bracket {
        horizon_bars: scale.horizon_bars,
        hold_bars: scale.horizon_bars,
        target_sigma: scale.target_sigma,
        stop_sigma: scale.stop_sigma,
    };
    TrainConfig {
        bracket,
        half_spread_bps: config.learning.half_spread_bps,
        gates: GateLimits {
            sharpe: config.gates.min_sharpe,
            profit_factor: config.gates.min_profit_factor,
            trades: config.gates.min_trades as usize,
        },
        seed: config.learning.seed,
        ..TrainConfig::default()
    }
}
