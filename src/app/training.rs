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
    let mut train = TrainConfig {
        bracket,
        half_spread_bps: config.learning.half_spread_bps,
        gates: GateLimits {
            min_sharpe: config.gates.min_sharpe,
            min_profit_factor: config.gates.min_profit_factor,
            min_trades: config.gates.min_trades,
        },
        ..TrainConfig::default()
    };
    seed(&mut train, config.learning.seed);
    train
}

/// One seed for everything in a training run that draws random numbers.
pub fn seed(train: &mut TrainConfig, seed: u64) {
    train.trees.seed = seed;
    train.policy.ppo.seed = seed;
}
