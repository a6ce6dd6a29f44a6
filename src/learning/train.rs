//! A whole training run: candles in; two judged models, their trades and episodes out.

use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::dataset::{Dataset, DatasetReport};
use super::error::LearningError;
use super::gates::all_passed;
use super::progress::Watch;
use super::series::SymbolSeries;
use super::train_policy::{PolicyReport, train_policy};
use super::train_trees::{TreesReport, train_trees};
use crate::domain::{Episode, Timestamp};
use crate::market::features::VERSION;
use crate::models::{Artifact, content_id};
use crate::protocol::{GateRecord, ModelKind, ModelRecord};

/// What a model's record says of its origin, beside the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The time of the run: this room reads no clock.
    pub created: Timestamp,
    pub code_version: String,
    /// The models that these would follow.
    pub trees_parent: Option<String>,
    pub policy_parent: Option<String>,
    /// Number of the first episode that is made.
    pub first_episode: u64,
}

/// One training trial; every one is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub kind: ModelKind,
    pub what: String,
    pub rows: usize,
    pub auc: Option<f64>,
    pub trades: usize,
    pub net_bps: f64,
}

/// Everything a training run gives.
#[derive(Debug, Clone)]
pub struct TrainOutcome {
    pub data: DatasetReport,
    pub trees: ModelRecord,
    pub trees_report: TreesReport,
    pub policy: ModelRecord,
    pub policy_report: PolicyReport,
    /// Simulated trades of the policy, while learning and while judged.
    pub shadow_trades: usize,
    /// Shadow trades as memory keeps them, in order of entry.
    pub episodes: Vec<Episode>,
    pub experiments: Vec<Experiment>,
}

/// Trains and judges both models on `series`. The same input gives the same outcome.
///
/// # Errors
/// Settings out of range, candles that are too few or unsound, a suspected leak, cancellation.
pub fn train(series: &[SymbolSeries], config: &TrainConfig, lineage: &Lineage, watch: &mut Watch) -> Result<TrainOutcome, LearningError> {
    config.check()?;
    let data = Dataset::build(series, config, watch)?;
    let trees = train_trees(&data, config, lineage, watch)?;
    let policy = train_policy(series, &data, config, lineage, watch)?;
    let mut experiments = trees.experiments;
    experiments.extend(policy.experiments);
    Ok(TrainOutcome {
        data: data.report,
        trees: trees.record,
        trees_report: trees.report,
        policy: policy.record,
        shadow_trades: policy.report.learning_trades + policy.report.judged_trades,
        policy_report: policy.report,
        episodes: policy.episodes,
        experiments,
    })
}

/// The stored form of a model.
pub fn record(
    data: &Dataset,
    artifact: &Artifact,
    kind: ModelKind,
    gates: Vec<GateRecord>,
    report: String,
    lineage: &Lineage,
) -> Result<ModelRecord, LearningError> {
    let bytes = artifact.encode().map_err(LearningError::Model)?;
    let parent = if kind == ModelKind::Trees { &lineage.trees_parent } else { &lineage.policy_parent };
    Ok(ModelRecord {
        id: content_id(&bytes),
        kind,
        created: lineage.created,
        code_version: lineage.code_version.clone(),
        symbols: data.symbols.clone(),
        data_id: data.report.data_id.clone(),
        parent: parent.clone(),
        feature_version: VERSION,
        gates_passed: all_passed(&gates),
        gates,
        report,
        artifact: bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn config() -> TrainConfig {
        let mut config = TrainConfig::default();
        config.trees.iterations = 20;
        config.policy.updates = 2;
        config.policy.steps_per_update = 512;
        config
    }

    fn run(series: &[SymbolSeries], config: &TrainConfig) -> Result<TrainOutcome, LearningError> {
        train(series, config, &fixture::lineage(), &mut fixture::silent(&mut |_| {}))
    }

    #[test]
    fn the_same_input_gives_the_same_outcome() {
        let series = [fixture::noise(8_000, 21)];
        let mut config = config();
        (config.trees.iterations, config.policy.steps_per_update) = (5, 128);
        let (a, b) = (run(&series, &config).unwrap(), run(&series, &config).unwrap());
        assert_eq!((&a.trees, &a.policy, &a.episodes, &a.experiments), (&b.trees, &b.policy, &b.episodes, &b.experiments));
        assert_eq!(a.experiments.len(), 4 + 1 + 2);
        assert_eq!(a.shadow_trades, a.policy_report.learning_trades + a.policy_report.judged_trades);
        assert_eq!((a.trees.kind, a.policy.kind), (ModelKind::Trees, ModelKind::Policy));
        assert_eq!(a.trees.data_id, a.policy.data_id);
    }

    #[test]
    fn a_market_listed_later_learns_beside_an_older_one() {
        let mut younger = fixture::noise(8_000, 22);
        younger.candles.drain(..6_500);
        younger.symbol = "ETHUSDT".parse().unwrap();
        younger.instrument = fixture::instrument("ETHUSDT");
        let got = run(&[fixture::noise(8_000, 21), younger], &config()).unwrap();
        assert_eq!(got.trees.symbols.len(), 2);
        assert!(got.episodes.iter().any(|e| e.symbol == got.trees.symbols[1]));
    }

    #[test]
    fn every_stage_reports_its_end() {
        let mut seen = Vec::new();
        let mut note = |p: super::super::Progress| seen.push((p.stage, p.done == p.total));
        train(&[fixture::noise(8_000, 21)], &config(), &fixture::lineage(), &mut fixture::silent(&mut note)).unwrap();
        for stage in ["features", "walk-forward", "final trees", "policy"] {
            assert!(seen.contains(&(stage, true)), "{stage}");
        }
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let mut wrong = config();
        wrong.bracket.hold_bars = 0;
        assert!(matches!(run(&[fixture::noise(8_000, 21)], &wrong), Err(LearningError::Setting { name: "bracket.hold_bars", .. })));
    }

    #[test]
    fn the_amount_of_history_that_is_named_is_enough() {
        let Err(LearningError::TooFewRows { candles_needed, .. }) = run(&[fixture::noise(2_000, 21)], &config()) else {
            panic!("2,000 candles are not enough");
        };
        assert!(run(&[fixture::noise(candles_needed, 21)], &config()).is_ok());
        assert!(matches!(run(&[fixture::noise(candles_needed - 10, 21)], &config()), Err(LearningError::TooFewRows { .. })));
    }
}
