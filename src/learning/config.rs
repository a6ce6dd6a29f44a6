//! Settings of a training run. Serde gives every key a default and refuses unknown ones.

use serde::{Deserialize, Serialize};

use super::error::LearningError;
use super::gates::GateLimits;
use super::labels::Bracket;
use super::leak::LeakLimits;
use super::splits::Window;
use crate::models::{PpoConfig, TreesConfig};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    pub bracket: Bracket,
    /// Half the spread assumed at each side of a trade, in bps; fees come from the instrument.
    pub half_spread_bps: f64,
    pub rows: RowConfig,
    pub walk_forward: WalkForwardConfig,
    /// How the trees are grown, their seed included.
    pub trees: TreesConfig,
    pub policy: PolicyConfig,
    pub gates: GateLimits,
    pub leak: LeakLimits,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            bracket: Bracket::default(),
            half_spread_bps: 0.5,
            rows: RowConfig::default(),
            walk_forward: WalkForwardConfig::default(),
            trees: TreesConfig::default(),
            policy: PolicyConfig::default(),
            gates: GateLimits::default(),
            leak: LeakLimits::default(),
        }
    }
}

/// Which bars become training rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowConfig {
    /// Bars from one row to the next; `None` takes a third of the horizon. Raised so far that `max_rows` is kept.
    pub stride_bars: Option<u32>,
    pub max_rows: usize,
    /// Fewer rows than this are too few to learn from.
    pub min_rows: usize,
}

impl Default for RowConfig {
    fn default() -> Self {
        Self { stride_bars: None, max_rows: 75_000, min_rows: 1_500 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalkForwardConfig {
    pub folds: u32,
    pub window: Window,
    /// Bars between the last outcome learned from and the first test.
    pub embargo_bars: u32,
    /// The last part of each training period, kept from the fit, on which the threshold is chosen.
    pub validation_share: f64,
    /// The least net edge that may be asked of a forecast.
    pub min_edge_bps: f64,
    /// A threshold that made fewer trades in the validation part is not chosen.
    pub min_validation_trades: usize,
}

impl Default for WalkForwardConfig {
    fn default() -> Self {
        Self { folds: 4, window: Window::Expanding, embargo_bars: 10, validation_share: 0.25, min_edge_bps: 0.0, min_validation_trades: 10 }
    }
}

/// The budget of the policy's learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    pub updates: u32,
    pub steps_per_update: u32,
    /// The last part of the period, never trained on, in which the policy is judged.
    pub held_out_share: f64,
    /// Quote units of each shadow trade.
    pub notional: f64,
    /// Shadow trades kept for memory, the newest.
    pub max_episodes: usize,
    /// How an update works; its seed also draws the actions and the walks.
    pub ppo: PpoConfig,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            updates: 12,
            steps_per_update: 2_048,
            held_out_share: 0.3,
            notional: 1_000.0,
            max_episodes: 2_000,
            ppo: PpoConfig::default(),
        }
    }
}

impl TrainConfig {
    /// Refuses settings that cannot work, naming the key.
    pub fn check(&self) -> Result<(), LearningError> {
        let inside = |name, value: f64, ok: bool, expected| if ok { Ok(()) } else { Err(LearningError::Setting { name, value, expected }) };
        let (b, w, p) = (&self.bracket, &self.walk_forward, &self.policy);
        inside("bracket.horizon_bars", f64::from(b.horizon_bars), b.horizon_bars > 0, "at least 1")?;
        inside("bracket.hold_bars", f64::from(b.hold_bars), b.hold_bars > 0, "at least 1")?;
        inside("bracket.target_sigma", b.target_sigma, b.target_sigma.is_finite() && b.target_sigma > 0.0, "a positive number")?;
        inside("bracket.stop_sigma", b.stop_sigma, b.stop_sigma.is_finite() && b.stop_sigma > 0.0, "a positive number")?;
        let spread = self.half_spread_bps;
        inside("half_spread_bps", spread, spread.is_finite() && spread >= 0.0, "zero or more")?;
        let stride = self.rows.stride_bars;
        inside("rows.stride_bars", 0.0, stride != Some(0), "at least 1")?;
        inside("rows.min_rows", self.rows.min_rows as f64, self.rows.min_rows >= 100, "at least 100")?;
        inside("rows.max_rows", self.rows.max_rows as f64, self.rows.max_rows >= self.rows.min_rows, "at least rows.min_rows")?;
        inside("walk_forward.folds", f64::from(w.folds), (1..=20).contains(&w.folds), "1 to 20")?;
        let share = w.validation_share;
        inside("walk_forward.validation_share", share, (0.05..=0.5).contains(&share), "0.05 to 0.5")?;
        inside("walk_forward.min_edge_bps", w.min_edge_bps, w.min_edge_bps.is_finite() && w.min_edge_bps >= 0.0, "zero or more")?;
        inside("policy.updates", f64::from(p.updates), (1..=1_000).contains(&p.updates), "1 to 1000")?;
        inside("policy.steps_per_update", f64::from(p.steps_per_update), (64..=65_536).contains(&p.steps_per_update), "64 to 65536")?;
        inside("policy.held_out_share", p.held_out_share, (0.05..=0.5).contains(&p.held_out_share), "0.05 to 0.5")?;
        inside("policy.notional", p.notional, p.notional.is_finite() && p.notional > 0.0, "a positive number")?;
        self.gates.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_unknown_keys_are_not() {
        assert!(TrainConfig::default().check().is_ok());
        let empty: TrainConfig = toml::from_str("").unwrap();
        assert_eq!(empty, TrainConfig::default());
        assert!(toml::from_str::<TrainConfig>("[walk_forward]\nfoldz = 3").is_err());
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let mut config = TrainConfig::default();
        config.walk_forward.validation_share = f64::NAN;
        let error = config.check().unwrap_err();
        assert!(error.to_string().contains("walk_forward.validation_share"), "{error}");
    }
}
