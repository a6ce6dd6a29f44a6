//! How the trees would have done: fitted on the past, a threshold chosen on the past, both tried on what came next, fold after fold.
//!
//! Inside a fold the trees see the earlier part of its training period and the threshold is chosen on the later part, which the trees
//! never saw; the test period is touched once, by the finished pair. The decision rule holds one position per market across the folds.

use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::dataset::Dataset;
use super::equity::Trade;
use super::error::LearningError;
use super::labels::CostAssumption;
use super::leak;
use super::progress::Watch;
use super::rule::{self, Chance};
use super::splits::{self, Fold};
use crate::domain::{Span, Timestamp};
use crate::models::{Standardiser, Trees, auc};

/// Fewer rows than this in any part of a fold say nothing.
const MIN_PART: usize = 50;
/// Labels beyond these quantiles of the training rows are pulled in to them: one crash must not steer every tree.
const WINSOR: f64 = 0.01;

/// One fold, as reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldReport {
    pub test_from: Timestamp,
    pub test_to: Timestamp,
    pub rows_fitted: usize,
    pub rows_validated: usize,
    pub rows_tested: usize,
    /// Rows before the test that were not learned from, as their outcome came too late.
    pub rows_purged: usize,
    /// Of the forecast against "the trade made money", out of sample.
    pub auc: Option<f64>,
    /// `None`: no threshold made money in the validation part, so the fold stood aside.
    pub threshold_bps: Option<f64>,
    pub trades: usize,
    pub net_bps: f64,
}

/// All folds together.
#[derive(Debug, Clone, PartialEq)]
pub struct WalkForward {
    pub folds: Vec<FoldReport>,
    /// (row, forecast) of every tested row, in order of time.
    pub forecasts: Vec<(usize, f64)>,
    /// The decision rule's trades on the tested rows, in order of time.
    pub trades: Vec<Trade>,
    /// The first moment of the first test.
    pub from: Timestamp,
}

/// Runs every fold.
pub fn run(data: &Dataset, config: &TrainConfig, watch: &mut Watch) -> Result<WalkForward, LearningError> {
    let settings = &config.walk_forward;
    let embargo = data.interval.span().times(i64::from(settings.embargo_bars));
    let folds = splits::folds(data.report.from, data.end(), settings.folds, settings.window, embargo);
    let from = folds.first().map_or(data.end(), |f| f.test_from);
    check_leaks(data, from, config)?;
    let mut out = WalkForward { folds: Vec::new(), forecasts: Vec::new(), trades: Vec::new(), from };
    let mut free_from = vec![0; data.bars.len()];
    for (index, fold) in folds.iter().enumerate() {
        watch.step("walk-forward", index, folds.len())?;
        one_fold(data, fold, config, embargo, &mut free_from, &mut out)?;
    }
    watch.step("walk-forward", folds.len(), folds.len())?;
    Ok(out)
}

fn one_fold(
    data: &Dataset,
    fold: &Fold,
    config: &TrainConfig,
    embargo: Span,
    free_from: &mut [usize],
    out: &mut WalkForward,
) -> Result<(), LearningError> {
    let settings = &config.walk_forward;
    let inner = splits::inner(fold.train_from, fold.test_from, settings.validation_share, embargo);
    let pick = |keep: &dyn Fn(Timestamp, Timestamp) -> bool| -> Vec<usize> {
        (0..data.rows.len()).filter(|r| keep(data.rows[*r].at, data.rows[*r].label.known_at)).collect()
    };
    let fitted = pick(&|at, known| inner.trains(at, known));
    let validated = pick(&|at, known| fold.trains(at, known) && at >= inner.test_from);
    let tested = pick(&|at, _| fold.tests(at));
    let before = pick(&|at, _| at >= fold.train_from && at < fold.test_from);
    for part in [&fitted, &validated, &tested] {
        if part.len() < MIN_PART {
            return Err(too_few(data, config, part.len()));
        }
    }
    let model = fit(data, &fitted, config)?;
    let chosen = rule::choose_threshold(
        &chances(data, &validated, &model.forecasts(data, &validated)),
        data.bars.len(),
        settings.min_edge_bps,
        settings.min_validation_trades,
    );
    let forecasts = model.forecasts(data, &tested);
    let cost = data.costs.iter().map(CostAssumption::entry_bps).fold(0.0, f64::max);
    let trades = match chosen {
        Some(threshold) => rule::trades(&chances(data, &tested, &forecasts), threshold, cost, free_from),
        None => Vec::new(),
    };
    out.folds.push(FoldReport {
        test_from: fold.test_from,
        test_to: fold.test_to,
        rows_fitted: fitted.len(),
        rows_validated: validated.len(),
        rows_tested: tested.len(),
        rows_purged: before.len() - fitted.len() - validated.len(),
        auc: auc_of(data, &tested, &forecasts),
        threshold_bps: chosen,
        trades: trades.len(),
        net_bps: trades.iter().map(|t| t.outcome.net_bps).fold(0.0, |sum, net| sum + net),
    });
    out.forecasts.extend(tested.into_iter().zip(forecasts));
    out.trades.extend(trades);
    Ok(())
}

/// Trees and the scale of their inputs, both learned from the same rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    pub standardiser: Standardiser,
    pub trees: Trees,
}

impl Fitted {
    /// Forecasts of the net edge of `rows`, bps.
    #[must_use]
    pub fn forecasts(&self, data: &Dataset, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|r| self.trees.predict(&self.standardiser.apply(data.row(*r)))).collect()
    }
}

/// Learns scale and trees from `rows` alone; labels are winsorised, overlapping rows weigh less.
pub fn fit(data: &Dataset, rows: &[usize], config: &TrainConfig) -> Result<Fitted, LearningError> {
    let raw = data.gather(rows);
    let standardiser = Standardiser::fit(&raw, data.names.len()).map_err(LearningError::Model)?;
    let scaled: Vec<f32> = raw.chunks_exact(data.names.len()).flat_map(|row| standardiser.apply(row)).collect();
    let mut labels: Vec<f64> = rows.iter().map(|r| data.rows[*r].label.net_bps).collect();
    winsorise(&mut labels);
    let weights: Vec<f64> = rows.iter().map(|r| data.rows[*r].weight).collect();
    let trees = Trees::fit(&scaled, &labels, Some(&weights), &data.names, &config.trees).map_err(LearningError::Model)?;
    Ok(Fitted { standardiser, trees })
}

fn chances(data: &Dataset, rows: &[usize], forecasts: &[f64]) -> Vec<Chance> {
    let chance = |(r, forecast): (&usize, &f64)| {
        let row = &data.rows[*r];
        Chance { series: row.series, decision_bar: row.bar, forecast_bps: *forecast, outcome: row.label }
    };
    rows.iter().zip(forecasts).map(chance).collect()
}

/// AUC of forecasts against "the trade made money"; `None` when all trades ended alike.
#[must_use]
pub fn auc_of(data: &Dataset, rows: &[usize], forecasts: &[f64]) -> Option<f64> {
    let won: Vec<bool> = rows.iter().map(|r| data.rows[*r].label.net_bps > 0.0).collect();
    auc(forecasts, &won)
}

fn check_leaks(data: &Dataset, from: Timestamp, config: &TrainConfig) -> Result<(), LearningError> {
    let first = data.rows.partition_point(|r| r.at < from);
    let net: Vec<f64> = data.rows[first..].iter().map(|r| r.label.net_bps).collect();
    leak::check(&data.names, &data.features[first * data.names.len()..], &net, &config.leak)
}

fn too_few(data: &Dataset, config: &TrainConfig, have: usize) -> LearningError {
    // The smallest part of the first fold is its validation part, or one test block.
    let share = config.walk_forward.validation_share.min(1.0) / (f64::from(config.walk_forward.folds) + 1.0);
    let rows = (2.0 * MIN_PART as f64 / share).ceil() as usize;
    LearningError::TooFewRows { have, need: MIN_PART, candles_needed: rows * data.report.stride_bars }
}

fn winsorise(labels: &mut [f64]) {
    let mut sorted = labels.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = (sorted.len() as f64 * WINSOR) as usize;
    if let (Some(low), Some(high)) = (sorted.get(cut), sorted.get(sorted.len().saturating_sub(cut + 1))) {
        labels.iter_mut().for_each(|l| *l = l.clamp(*low, *high));
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::fixture;
    use super::*;

    fn config() -> TrainConfig {
        let mut config = TrainConfig::default();
        config.trees.iterations = 40;
        config.trees.min_leaf_weight = 30.0;
        config
    }

    fn data(drift_bps: f64) -> Dataset {
        let series = [fixture::waves(15_000, 11, drift_bps)];
        Dataset::build(&series, &config(), &mut fixture::silent(&mut |_| {})).unwrap()
    }

    fn run_on(data: &Dataset) -> Result<WalkForward, LearningError> {
        run(data, &config(), &mut fixture::silent(&mut |_| {}))
    }

    fn pooled_auc(data: &Dataset, outcome: &WalkForward) -> f64 {
        let (rows, forecasts): (Vec<usize>, Vec<f64>) = outcome.forecasts.iter().copied().unzip();
        auc_of(data, &rows, &forecasts).unwrap()
    }

    #[test]
    fn a_planted_drift_is_found_and_traded_with_profit() {
        let data = data(3.0);
        let got = run_on(&data).unwrap();
        assert_eq!(got.folds.len(), 4);
        assert!(pooled_auc(&data, &got) > 0.6, "{}", pooled_auc(&data, &got));
        assert!(got.trades.len() > 50 && got.folds.iter().map(|f| f.net_bps).sum::<f64>() > 0.0, "{:?}", got.folds);
    }

    #[test]
    fn permuted_labels_have_no_edge() {
        let mut data = data(3.0);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for i in (1..data.rows.len()).rev() {
            let j = rng.random_range(0..=i);
            let (a, b) = (data.rows[i].label, data.rows[j].label);
            data.rows[i].label.net_bps = b.net_bps;
            data.rows[j].label.net_bps = a.net_bps;
        }
        let got = run_on(&data).unwrap();
        assert!((pooled_auc(&data, &got) - 0.5).abs() < 0.05, "{}", pooled_auc(&data, &got));
    }

    #[test]
    fn a_market_without_memory_is_not_forecast() {
        let data = data(0.0);
        let got = run_on(&data).unwrap();
        assert!((pooled_auc(&data, &got) - 0.5).abs() < 0.06, "{}", pooled_auc(&data, &got));
    }

    #[test]
    fn older_features_do_not_forecast_better() {
        let data = data(3.0);
        let mut older = data.clone();
        let width = data.names.len();
        older.features.copy_within(..data.features.len() - width, width);
        let (now, before) = (pooled_auc(&data, &run_on(&data).unwrap()), pooled_auc(&older, &run_on(&older).unwrap()));
        assert!(before <= now + 0.02, "{before} with older features, {now} with the features of the moment");
    }

    #[test]
    fn the_label_as_a_feature_stops_the_training() {
        let mut data = data(0.0);
        let width = data.names.len();
        for row in 0..data.rows.len() {
            data.features[row * width + 2] = (1.0 / (1.0 + libm::exp(-data.rows[row].label.net_bps / 20.0))) as f32;
        }
        match run_on(&data) {
            Err(LearningError::LeakSuspected { feature, .. }) => assert_eq!(feature, data.names[2]),
            other => panic!("not caught: {:?}", other.map(|o| o.folds)),
        }
    }

    #[test]
    fn the_past_does_not_depend_on_the_future() {
        let data = data(3.0);
        let whole = run_on(&data).unwrap();
        let mut changed = data.clone();
        let last_test = whole.folds[3].test_from;
        for row in changed.rows.iter_mut().filter(|r| r.label.known_at > last_test) {
            row.label.net_bps = -row.label.net_bps;
        }
        let again = run_on(&changed).unwrap();
        let forecasts = |w: &WalkForward| w.forecasts.iter().map(|(r, f)| (*r, f.to_bits())).collect::<Vec<_>>();
        assert_eq!(forecasts(&whole), forecasts(&again), "labels known only in the last test must not move any forecast");
    }

    #[test]
    fn trades_of_a_market_never_overlap() {
        let got = run_on(&data(3.0)).unwrap();
        assert!(got.trades.windows(2).all(|w| w[1].outcome.entry_bar > w[0].outcome.exit_bar));
        assert!(got.folds.windows(2).all(|w| w[0].test_to == w[1].test_from));
        assert!(got.folds.iter().all(|f| f.rows_purged > 0));
    }

    #[test]
    fn a_cancelled_run_ends_at_its_next_step() {
        let cancelled = std::sync::atomic::AtomicBool::new(true);
        let mut progress = |_| {};
        let got = run(&data(0.0), &config(), &mut Watch { progress: &mut progress, cancelled: &cancelled });
        assert!(matches!(got, Err(LearningError::Cancelled)));
    }
}
