//! The forecast model: judged fold by fold on data it never saw, then fitted on everything for use.

use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::dataset::{Dataset, DatasetReport};
use super::equity::{Trade, marked};
use super::error::LearningError;
use super::gates;
use super::labels::CostAssumption;
use super::metrics::{Performance, TradeResult, TradeStats, Usage};
use super::progress::Watch;
use super::train::{Experiment, Lineage, record};
use super::walk_forward::{self, FoldReport, WalkForward, auc_of};
use crate::domain::Timestamp;
use crate::market::features::VERSION;
use crate::models::{Artifact, Calibration, TreesArtifact, brier_score};
use crate::protocol::{GateRecord, ModelKind, ModelRecord};

/// What is said of the trees; all of it out of sample but `importance` (of the model for use).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreesReport {
    pub auc: Option<f64>,
    /// Of the calibrated probability, which was fitted on the same forecasts: a lower bound of the error to expect.
    pub brier: Option<f64>,
    pub folds: Vec<FoldReport>,
    pub trades_oos: usize,
    pub performance: Performance,
    pub trades: TradeStats,
    pub usage: Usage,
    /// (feature, share of the total gain), largest first.
    pub importance: Vec<(String, f64)>,
    pub threshold_bps: f64,
    pub cost_bps: f64,
    pub data: DatasetReport,
    pub settings: TrainConfig,
}

/// The trees with their record, and what came of them out of sample.
#[derive(Debug, Clone)]
pub struct TrainedTrees {
    pub record: ModelRecord,
    pub report: TreesReport,
    pub trades: Vec<Trade>,
    pub experiments: Vec<Experiment>,
}

/// Walks forward, judges, and fits the model for use.
pub fn train_trees(data: &Dataset, config: &TrainConfig, lineage: &Lineage, watch: &mut Watch) -> Result<TrainedTrees, LearningError> {
    let walked = walk_forward::run(data, config, watch)?;
    watch.step("final trees", 0, 1)?;
    let everything: Vec<usize> = (0..data.rows.len()).collect();
    let fitted = walk_forward::fit(data, &everything, config)?;
    let (rows, forecasts): (Vec<usize>, Vec<f64>) = walked.forecasts.iter().copied().unzip();
    let won: Vec<bool> = rows.iter().map(|r| data.rows[*r].label.net_bps > 0.0).collect();
    // Without both outcomes there is nothing to calibrate on: the model goes without.
    let calibration = Calibration::fit(&forecasts, &won).ok();
    let (performance, trades, usage) = judge_equity(data, &walked.trades, walked.from);
    let gates = gates::judge(&performance, &trades, &config.gates);
    let threshold_bps = final_threshold(&walked, config.walk_forward.min_edge_bps);
    let cost_bps = data.costs.iter().map(CostAssumption::round_trip_bps).fold(0.0, f64::max);
    let report = TreesReport {
        auc: auc_of(data, &rows, &forecasts),
        brier: calibration.as_ref().and_then(|c| brier_score(&forecasts.iter().map(|f| c.probability(*f)).collect::<Vec<_>>(), &won)),
        trades_oos: walked.trades.len(),
        performance,
        trades,
        usage,
        importance: fitted.trees.importance(),
        threshold_bps,
        cost_bps,
        data: data.report.clone(),
        settings: config.clone(),
        folds: walked.folds.clone(),
    };
    let artifact = Artifact::Trees(TreesArtifact {
        feature_version: VERSION,
        standardiser: fitted.standardiser,
        trees: fitted.trees,
        calibration,
        threshold_bps,
        horizon_bars: config.bracket.horizon_bars,
        interval: data.interval,
        cost_bps,
    });
    let record = trees_record(data, &artifact, gates, &report, lineage)?;
    watch.step("final trees", 1, 1)?;
    Ok(TrainedTrees { record, experiments: experiments(&report, data.rows.len()), report, trades: walked.trades })
}

/// Marked equity from `from` to the end of the data, and the statistics of the trades in it.
#[must_use]
pub fn judge_equity(data: &Dataset, trades: &[Trade], from: Timestamp) -> (Performance, TradeStats, Usage) {
    let marked = marked(&data.bars, trades, from, Timestamp::MAX);
    let per_year = data.interval.per_year();
    let net: Vec<TradeResult> = trades.iter().map(|t| TradeResult::of_equal_stake(t.outcome.net_bps)).collect();
    let usage = Usage::of(marked.bars_held, marked.bars, marked.traded, marked.returns.len() as f64 / per_year);
    (Performance::of_returns(&marked.returns, per_year), TradeStats::of(&net), usage)
}

/// The middle one of the folds' thresholds; where every fold stood aside, the least edge worth having.
fn final_threshold(walked: &WalkForward, floor_bps: f64) -> f64 {
    let mut chosen: Vec<f64> = walked.folds.iter().filter_map(|f| f.threshold_bps).collect();
    chosen.sort_by(f64::total_cmp);
    chosen.get(chosen.len() / 2).copied().unwrap_or(floor_bps)
}

fn experiments(report: &TreesReport, rows: usize) -> Vec<Experiment> {
    let fold = |(index, f): (usize, &FoldReport)| Experiment {
        kind: ModelKind::Trees,
        what: format!("walk-forward fold {}", index + 1),
        rows: f.rows_fitted,
        auc: f.auc,
        trades: f.trades,
        net_bps: f.net_bps,
    };
    let mut out: Vec<Experiment> = report.folds.iter().enumerate().map(fold).collect();
    out.push(Experiment { kind: ModelKind::Trees, what: "model for use".to_owned(), rows, auc: None, trades: 0, net_bps: 0.0 });
    out
}

fn trees_record(
    data: &Dataset,
    artifact: &Artifact,
    gates: Vec<GateRecord>,
    report: &TreesReport,
    lineage: &Lineage,
) -> Result<ModelRecord, LearningError> {
    let text = serde_json::to_string(report).map_err(LearningError::Report)?;
    record(data, artifact, ModelKind::Trees, gates, text, lineage)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn config() -> TrainConfig {
        let mut config = TrainConfig::default();
        config.trees.iterations = 40;
        config.trees.min_leaf_weight = 30.0;
        config
    }

    fn trained(drift_bps: f64) -> TrainedTrees {
        let series = [fixture::waves(15_000, 11, drift_bps)];
        let data = Dataset::build(&series, &config(), &mut fixture::silent(&mut |_| {})).unwrap();
        train_trees(&data, &config(), &fixture::lineage(), &mut fixture::silent(&mut |_| {})).unwrap()
    }

    #[test]
    fn a_market_with_memory_gives_a_model_that_passes_its_gates() {
        let got = trained(3.0);
        assert!(got.record.gates_passed, "{:?}", got.record.gates);
        assert_eq!(got.report.trades_oos, got.trades.len());
        assert_eq!(got.experiments.len(), got.report.folds.len() + 1);
        assert!(got.report.brier.unwrap() < 0.25);
        let Artifact::Trees(artifact) = Artifact::load(&got.record.artifact, &got.record.id).unwrap() else { panic!("not trees") };
        assert!(artifact.threshold_bps >= 0.0 && artifact.calibration.is_some());
        let report: TreesReport = serde_json::from_str(&got.record.report).unwrap();
        assert_eq!(report, got.report);
    }

    #[test]
    fn a_market_without_memory_gives_a_model_that_fails_its_gates() {
        let got = trained(0.0);
        assert!(!got.record.gates_passed, "{:?}", got.record.gates);
    }

    #[test]
    fn the_same_data_and_seed_give_the_same_model() {
        assert_eq!(trained(3.0).record, trained(3.0).record);
    }
}
