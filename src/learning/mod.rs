mod config;
mod dataset;
pub mod drive;
mod equity;
mod error;
#[cfg(test)]
mod fixture;
mod gates;
mod labels;
mod leak;
pub mod metrics;
mod position_state;
mod progress;
mod rule;
mod series;
mod shadow_env;
mod shadow_market;
mod splits;
mod train;
mod train_policy;
mod train_trees;
mod walk_forward;

pub use config::{PolicyConfig, RowConfig, TrainConfig, WalkForwardConfig};
pub use series::SymbolSeries;
pub use train::{Experiment, Lineage, TrainOutcome, train};
