//! The fill model from followed quotes: a logistic regression on top of the analytic model, judged on quotes that are newer than all it
//! was fitted on.
//!
//! It is used only when its out-of-sample Brier score beats both the analytic model and the base rate. What was judged is what is used:
//! the coefficients are not fitted again on everything.

use serde::Serialize;
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use crate::domain::{Span, Timestamp};
use crate::protocol::{FILL_FEATURES, FillCoefficients, FillFacts, FillModelLearned, FillSampleRecord};
use crate::trading::costs::{FillBin, FillCalibration, FillModel, fill_features};

/// Fewer samples than this are not fitted.
pub const MIN_FILL_SAMPLES: usize = 500;
/// The newest that are used: markets change, and the fit takes seconds beyond.
pub const MOST_FILL_SAMPLES: usize = 20_000;
/// Share of the oldest that is fitted on, percent.
const FITTED_PERCENT: usize = 70;
/// Ridge penalty on the slopes.
const RIDGE: f64 = 1.0;

/// A quote and what became of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FillSample {
    pub at: Timestamp,
    pub facts: FillFacts,
    pub filled: bool,
}

impl From<&FillSampleRecord> for FillSample {
    fn from(record: &FillSampleRecord) -> Self {
        Self { at: record.at, facts: record.facts, filled: record.filled() }
    }
}

/// Scores on the newest samples, which nothing was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FillScore {
    pub brier: f64,
    /// Against always saying the base rate of the judged samples; `None` when all ended alike.
    pub skill: Option<f64>,
    pub reliability: Vec<FillBin>,
}

/// What came of fitting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FillFit {
    pub fitted_on: usize,
    pub judged_on: usize,
    /// Share of fills where it was fitted.
    pub base_rate: f64,
    /// Of that share, as a forecast.
    pub brier_base: f64,
    pub analytic: FillScore,
    pub fitted: FillScore,
    /// The fitted model beats the analytic one and the base rate.
    pub used: bool,
    #[serde(skip)]
    pub coefficients: FillCoefficients,
}

impl FillFit {
    /// As the engine takes it.
    #[must_use]
    pub fn learned(&self) -> FillModelLearned {
        FillModelLearned {
            coefficients: self.used.then_some(self.coefficients),
            fitted_on: u32::try_from(self.fitted_on).unwrap_or(u32::MAX),
            judged_on: u32::try_from(self.judged_on).unwrap_or(u32::MAX),
            base_rate: self.base_rate,
            brier_base: self.brier_base,
            brier_analytic: self.analytic.brier,
            brier_fitted: self.fitted.brier,
        }
    }
}

/// Fits on the older 70 % and judges on the rest; `None` with too few samples, or when all of a part ended alike.
#[must_use]
pub fn fit_fill_model(samples: &[FillSample]) -> Option<FillFit> {
    let mut samples = samples.to_vec();
    samples.sort_by_key(|sample| sample.at);
    let samples = &samples[samples.len().saturating_sub(MOST_FILL_SAMPLES)..];
    if samples.len() < MIN_FILL_SAMPLES {
        return None;
    }
    let (older, newer) = samples.split_at(samples.len() * FITTED_PERCENT / 100);
    let begins = newer.first()?.at;
    // An outcome that was known only after the judging began is left out.
    let known = |sample: &&FillSample| sample.at + Span::from_nanos((sample.facts.horizon_secs * 1e9) as i64) <= begins;
    let older: Vec<FillSample> = older.iter().filter(known).copied().collect();
    let coefficients = regression(&older)?;
    let fills = older.iter().filter(|sample| sample.filled).count();
    let base_rate = fills as f64 / older.len() as f64;
    let brier_base = calibration(newer, |_| base_rate).brier()?;
    let analytic = score(newer, &FillModel::Analytic)?;
    let fitted = score(newer, &FillModel::Fitted(coefficients))?;
    let used = fitted.brier < analytic.brier && fitted.brier < brier_base;
    Some(FillFit { fitted_on: older.len(), judged_on: newer.len(), base_rate, brier_base, analytic, fitted, used, coefficients })
}

fn calibration(samples: &[FillSample], probability: impl Fn(&FillFacts) -> f64) -> FillCalibration {
    let mut calibration = FillCalibration::default();
    samples.iter().for_each(|sample| calibration.add(probability(&sample.facts), sample.filled));
    calibration
}

fn score(samples: &[FillSample], model: &FillModel) -> Option<FillScore> {
    let calibration = calibration(samples, |facts| model.probability(facts));
    Some(FillScore { brier: calibration.brier()?, skill: calibration.skill(), reliability: calibration.reliability() })
}

/// Standardises the transformed facts and fits; `None` when all ended alike or the fit gives no numbers.
fn regression(samples: &[FillSample]) -> Option<FillCoefficients> {
    let fills = samples.iter().filter(|sample| sample.filled).count();
    if fills == 0 || fills == samples.len() {
        return None;
    }
    let mut rows: Vec<[f64; FILL_FEATURES]> = samples.iter().map(|sample| fill_features(&sample.facts)).collect();
    let (mut means, mut deviations) = ([0.0; FILL_FEATURES], [1.0; FILL_FEATURES]);
    let count = rows.len() as f64;
    for column in 0..FILL_FEATURES {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / count;
        let deviation = (rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / count).sqrt();
        // A constant column tells nothing and gets the slope that the penalty leaves it: 0.
        let deviation = if deviation > 1e-9 { deviation } else { 1.0 };
        rows.iter_mut().for_each(|row| row[column] = (row[column] - mean) / deviation);
        (means[column], deviations[column]) = (mean, deviation);
    }
    let rows: Vec<Vec<f64>> = rows.into_iter().map(|row| row.to_vec()).collect();
    let outcomes: Vec<i32> = samples.iter().map(|sample| i32::from(sample.filled)).collect();
    let inputs = DenseMatrix::from_2d_vec(&rows).ok()?;
    let fitted = LogisticRegression::fit(&inputs, &outcomes, LogisticRegressionParameters::default().with_alpha(RIDGE)).ok()?;
    let intercept = *fitted.intercept().get((0, 0));
    let slopes: [f64; FILL_FEATURES] = std::array::from_fn(|column| *fitted.coefficients().get((0, column)));
    let finite = intercept.is_finite() && slopes.iter().all(|slope| slope.is_finite());
    finite.then_some(FillCoefficients { intercept, slopes, means, deviations })
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// Quotes of many kinds whose outcomes follow `truth(analytic probability, imbalance)`.
    fn samples(count: usize, truth: impl Fn(f64, f64) -> f64) -> Vec<FillSample> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut unit = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
        let sample = |n: usize| {
            let facts = FillFacts {
                queue_ahead: 30.0 * unit(),
                qty: 1.0,
                trades_per_sec: 1.0 + 3.0 * unit(),
                volume_per_sec: 0.3 + 2.0 * unit(),
                spread_ticks: 1.0 + 3.0 * unit(),
                distance_ticks: (3.0 * unit()).floor() - 1.0,
                imbalance: 2.0 * unit() - 1.0,
                sigma_ticks: 0.3 * unit(),
                horizon_secs: 6.0,
            };
            let p = truth(FillModel::Analytic.probability(&facts), facts.imbalance);
            FillSample { at: Timestamp::from_millis(10_000 * n as i64), facts, filled: unit() < p }
        };
        (0..count).map(sample).collect()
    }

    fn odds(p: f64, shift: f64) -> f64 {
        let odds = p.clamp(1e-6, 1.0 - 1e-6) / (1.0 - p.clamp(1e-6, 1.0 - 1e-6)) * shift.exp();
        odds / (1.0 + odds)
    }

    #[test]
    fn a_market_that_fills_less_and_minds_the_imbalance_is_learned() {
        let all = samples(6_000, |p, imbalance| odds(p, -1.0 - 1.5 * imbalance));
        let fit = fit_fill_model(&all).unwrap();
        assert!(fit.used && fit.fitted.brier < 0.97 * fit.analytic.brier, "{fit:?}");
        assert!(fit.fitted.skill > fit.analytic.skill && fit.fitted.skill > Some(0.1), "{fit:?}");
        assert!(
            fit.fitted.reliability.iter().filter(|bin| bin.count > 100).all(|bin| (bin.forecast - bin.observed).abs() < 0.1),
            "{fit:?}"
        );
        assert_eq!((fit.fitted_on + 1, fit.judged_on), (4_200 + 1, 1_800));
        let learned = fit.learned();
        assert!(learned.coefficients.is_some() && learned.brier_fitted < learned.brier_base);
        assert_eq!(fit_fill_model(&all).unwrap(), fit, "the same samples give the same model");
    }

    #[test]
    fn a_fit_that_does_not_beat_both_is_reported_and_not_used() {
        let coin = fit_fill_model(&samples(1_500, |_, _| 0.5)).unwrap();
        assert!(coin.learned().coefficients.is_none() || coin.fitted.brier < coin.brier_base, "{coin:?}");
        // What held for the older part turns around.
        let mut turned = samples(3_000, |p, _| p);
        let from = turned.len() * 7 / 10;
        turned[from..].iter_mut().for_each(|sample| sample.filled = !sample.filled);
        let fit = fit_fill_model(&turned).unwrap();
        assert!(!fit.used && fit.learned().coefficients.is_none() && fit.fitted.brier > fit.brier_base, "{fit:?}");
    }

    #[test]
    fn the_judged_part_is_newer_than_all_outcomes_of_the_fitted_part() {
        let mut all = samples(1_000, |p, _| p);
        // Quotes that lived ten minutes: sixty of them end after the split.
        all.iter_mut().for_each(|sample| sample.facts.horizon_secs = 600.0);
        all.reverse();
        let fit = fit_fill_model(&all);
        assert!(fit.is_none_or(|fit| fit.fitted_on == 700 - 59 && fit.judged_on == 300));
    }

    #[test]
    fn few_samples_and_outcomes_all_alike_are_not_fitted() {
        assert_eq!(fit_fill_model(&samples(MIN_FILL_SAMPLES - 1, |p, _| p)), None);
        assert_eq!(fit_fill_model(&samples(1_000, |_, _| 1.1)), None);
        assert_eq!(fit_fill_model(&[]), None);
    }
}
