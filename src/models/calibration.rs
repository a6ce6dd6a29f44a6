//! From a score to a probability, and how good probabilities are: logistic calibration, AUC, Brier score, reliability.
//!
//! `P(net label > 0) = 1 / (1 + e^−(a + b·z + c·|z|))` with `z = (score − mean) / deviation`: Platt scaling (1999) with its own slope on
//! either side of the mean. Where the two slopes would make the probability fall with a rising score, the plain form (c = 0) is fitted.
//! The fit is smartcore's; the evaluation is ours.

use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use super::error::{ModelError, consistent, same_length};

/// Fewer out-of-fold predictions than this are refused.
const MIN_ROWS: usize = 50;
/// Ridge penalty on the slopes: finite also when the classes separate, nothing beside thousands of rows.
const RIDGE: f64 = 1.0;

/// A fitted map from score to probability; rises with the score or is constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    mean: f64,
    deviation: f64,
    intercept: f64,
    slope: f64,
    slope_abs: f64,
    rows: u32,
}

/// One bin of a reliability table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    pub count: usize,
    /// Mean of the forecast probabilities in the bin.
    pub forecast: f64,
    /// Share of positive outcomes in the bin.
    pub observed: f64,
}

impl Calibration {
    /// Fits on out-of-fold `scores` (any unit, e.g. bps) and whether each outcome was positive.
    ///
    /// # Errors
    /// Unequal lengths, fewer than 50 rows, scores that are not finite or too large to be squared, outcomes all alike.
    pub fn fit(scores: &[f64], positive: &[bool]) -> Result<Self, ModelError> {
        same_length("outcomes", scores.len(), positive.len())?;
        if scores.len() < MIN_ROWS {
            return Err(ModelError::TooFewRows { have: scores.len(), need: MIN_ROWS });
        }
        if let Some(row) = scores.iter().position(|s| !s.is_finite()) {
            return Err(ModelError::NotFinite { what: "score", row });
        }
        let wins = positive.iter().filter(|p| **p).count();
        if wins == 0 || wins == positive.len() {
            return Err(ModelError::OneClass);
        }
        let count = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let spread = (scores.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / count).sqrt();
        if !spread.is_finite() {
            return Err(ModelError::NotFinite { what: "the spread of the scores", row: 0 });
        }
        let deviation = if spread > 1e-12 * mean.abs() && spread > 0.0 { spread } else { 1.0 };
        let z: Vec<f64> = scores.iter().map(|s| (s - mean) / deviation).collect();
        let classes: Vec<i32> = positive.iter().map(|&p| i32::from(p)).collect();
        let (intercept, slope, slope_abs) = logistic(&z, &classes, wins)?;
        Ok(Self { mean, deviation, intercept, slope, slope_abs, rows: u32::try_from(scores.len()).unwrap_or(u32::MAX) })
    }

    /// The probability of a positive outcome, in [0, 1]; 0 for a score that is not finite.
    #[must_use]
    pub fn probability(&self, score: f64) -> f64 {
        let z = (score - self.mean) / self.deviation;
        if !z.is_finite() {
            return 0.0;
        }
        1.0 / (1.0 + libm::exp(-(self.intercept + self.slope * z + self.slope_abs * z.abs())))
    }

    /// How many out-of-fold predictions it was fitted on.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        let finite = [self.mean, self.deviation, self.intercept, self.slope, self.slope_abs].iter().all(|v| v.is_finite());
        consistent(finite && self.deviation > 0.0 && self.slope >= self.slope_abs.abs(), "calibration")
    }
}

/// (intercept, slope, slope of |z|): two slopes, else one, else the base rate; always with `slope ≥ |slope of |z||`.
fn logistic(z: &[f64], classes: &[i32], wins: usize) -> Result<(f64, f64, f64), ModelError> {
    let both = regress(z.iter().map(|z| vec![*z, z.abs()]).collect(), classes)?;
    if both[1] >= both[2].abs() {
        return Ok((both[0], both[1], both[2]));
    }
    let one = regress(z.iter().map(|z| vec![*z]).collect(), classes)?;
    if one[1] >= 0.0 {
        return Ok((one[0], one[1], 0.0));
    }
    // A score that points the wrong way tells nothing that may be used: the base rate is the honest answer.
    let rate = wins as f64 / classes.len() as f64;
    Ok((libm::log(rate / (1.0 - rate)), 0.0, 0.0))
}

/// Intercept, then one slope per column.
fn regress(rows: Vec<Vec<f64>>, classes: &[i32]) -> Result<Vec<f64>, ModelError> {
    let inputs = DenseMatrix::from_2d_vec(&rows).map_err(ModelError::Calibration)?;
    let settings = LogisticRegressionParameters::default().with_alpha(RIDGE);
    let fitted = LogisticRegression::fit(&inputs, &classes.to_vec(), settings).map_err(ModelError::Calibration)?;
    let mut found = vec![*fitted.intercept().get((0, 0))];
    found.extend((0..rows[0].len()).map(|column| *fitted.coefficients().get((0, column))));
    match found.iter().position(|c| !c.is_finite()) {
        Some(row) => Err(ModelError::NotFinite { what: "calibration coefficient", row }),
        None => Ok(found),
    }
}

/// The chance that a random positive scores above a random negative (Mann–Whitney; ties count half).
/// `None` when one of the classes is absent, the lengths differ or a score is NaN.
#[must_use]
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let wins = positive.iter().filter(|p| **p).count();
    let losses = positive.len() - wins;
    if scores.len() != positive.len() || wins == 0 || losses == 0 || scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // Twice the rank sum of the positives, so that tied ranks stay whole numbers.
    let mut double_ranks: u128 = 0;
    let mut first = 0;
    while first < order.len() {
        let tied = order[first..].iter().take_while(|&&i| scores[i] == scores[order[first]]).count();
        let positives = order[first..first + tied].iter().filter(|&&i| positive[i]).count();
        double_ranks += positives as u128 * (2 * first + tied + 1) as u128;
        first += tied;
    }
    let double_wins = double_ranks - (wins as u128) * (wins as u128 + 1);
    Some(double_wins as f64 / (2.0 * wins as f64 * losses as f64))
}

/// Mean squared distance between probability and outcome (Brier, 1950): 0 is perfect, 0.25 is a coin. `None` without equal, non-empty inputs.
#[must_use]
pub fn brier_score(probabilities: &[f64], positive: &[bool]) -> Option<f64> {
    if probabilities.is_empty() || probabilities.len() != positive.len() {
        return None;
    }
    let miss = |(p, &won): (&f64, &bool)| (p - f64::from(u8::from(won))).powi(2);
    Some(probabilities.iter().zip(positive).map(miss).sum::<f64>() / probabilities.len() as f64)
}

/// Forecast against observed frequency in `bins` equal slices of [0, 1]; empty bins are left out.
#[must_use]
pub fn reliability(probabilities: &[f64], positive: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    let mut sums = vec![(0usize, 0.0, 0usize); bins.max(1)];
    for (p, &won) in probabilities.iter().zip(positive) {
        let last = sums.len() - 1;
        let bin = &mut sums[((p * (last + 1) as f64) as usize).min(last)];
        *bin = (bin.0 + 1, bin.1 + p, bin.2 + usize::from(won));
    }
    let row = |(count, forecast, won): &(usize, f64, usize)| ReliabilityBin {
        count: *count,
        forecast: forecast / *count as f64,
        observed: *won as f64 / *count as f64,
    };
    sums.iter().filter(|bin| bin.0 > 0).map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// Scores in ±3 and outcomes that follow `truth(score)`.
    fn sample(count: usize, seed: u64, truth: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut unit = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
        (0..count)
            .map(|_| {
                let s = 6.0 * unit() - 3.0;
                (s, unit() < truth(s))
            })
            .unzip()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn a_known_logistic_truth_is_recovered() {
        let truth = |s: f64| sigmoid(-0.4 + 1.2 * s);
        let (scores, won) = sample(20_000, 1, truth);
        let fitted = Calibration::fit(&scores, &won).unwrap();
        for s in [-2.5, -1.0, 0.0, 0.7, 2.0] {
            assert!((fitted.probability(s) - truth(s)).abs() < 0.03, "{s}: {} for {}", fitted.probability(s), truth(s));
        }
        let (fresh, outcome) = sample(20_000, 2, truth);
        let p: Vec<f64> = fresh.iter().map(|s| fitted.probability(*s)).collect();
        for bin in reliability(&p, &outcome, 10).iter().filter(|b| b.count > 500) {
            assert!((bin.forecast - bin.observed).abs() < 0.05, "{bin:?}");
        }
    }

    #[test]
    fn the_two_sides_may_have_different_slopes() {
        let truth = |s: f64| sigmoid(if s > 0.0 { 1.5 * s } else { 0.2 * s });
        let (scores, won) = sample(20_000, 3, truth);
        let fitted = Calibration::fit(&scores, &won).unwrap();
        assert!(fitted.slope_abs > 0.3);
        assert!((fitted.probability(2.0) - truth(2.0)).abs() < 0.05);
        assert!((fitted.probability(-2.0) - truth(-2.0)).abs() < 0.05);
    }

    #[test]
    fn the_probability_never_falls_with_a_rising_score() {
        // A truth that peaks in the middle, and one that points the wrong way.
        let truths: [fn(f64) -> f64; 2] = [|s| sigmoid(1.0 - s * s), |s| sigmoid(-s)];
        for truth in truths {
            let (scores, won) = sample(5_000, 4, truth);
            let fitted = Calibration::fit(&scores, &won).unwrap();
            fitted.check().unwrap();
            let p: Vec<f64> = (-40..=40).map(|i| fitted.probability(f64::from(i) / 10.0)).collect();
            assert!(p.windows(2).all(|w| w[0] <= w[1] + 1e-12));
        }
        let (scores, won) = sample(5_000, 5, |s| sigmoid(-s));
        let rate = won.iter().filter(|w| **w).count() as f64 / 5_000.0;
        assert!((Calibration::fit(&scores, &won).unwrap().probability(2.0) - rate).abs() < 1e-9);
    }

    #[test]
    fn separated_classes_constant_scores_and_odd_inputs() {
        let scores: Vec<f64> = (0..100).map(f64::from).collect();
        let won: Vec<bool> = (0..100).map(|i| i >= 50).collect();
        let fitted = Calibration::fit(&scores, &won).unwrap();
        assert!(fitted.probability(99.0) > 0.95 && fitted.probability(0.0) < 0.05);
        assert_eq!(fitted.probability(f64::NAN), 0.0);
        let flat = Calibration::fit(&[3.0; 100], &won).unwrap();
        assert!((flat.probability(3.0) - 0.5).abs() < 1e-6);
        assert!(matches!(Calibration::fit(&scores, &[true; 100]), Err(ModelError::OneClass)));
        assert!(matches!(Calibration::fit(&scores[..10], &won[..10]), Err(ModelError::TooFewRows { .. })));
        assert!(matches!(Calibration::fit(&scores, &won[..10]), Err(ModelError::Shape { .. })));
    }

    #[test]
    fn known_areas_under_the_curve() {
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
        assert_eq!(auc(&[1.0, 2.0, 3.0], &[false, true, true]), Some(1.0));
        assert_eq!(auc(&[5.0; 4], &[true, false, true, false]), Some(0.5));
        assert_eq!(auc(&[1.0, 1.0, 0.0], &[true, false, false]), Some(0.75));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(auc(&[f64::NAN, 2.0], &[true, false]), None);
    }

    #[test]
    fn known_brier_scores_and_bins() {
        assert_eq!(brier_score(&[1.0, 0.0], &[true, false]), Some(0.0));
        assert_eq!(brier_score(&[0.5, 0.5], &[true, false]), Some(0.25));
        assert_eq!(brier_score(&[], &[]), None);
        let bins = reliability(&[0.1, 0.3, 0.9, 1.0], &[false, true, true, true], 2);
        assert_eq!(bins.len(), 2);
        assert_eq!((bins[0].count, bins[0].observed), (2, 0.5));
        assert!((bins[1].forecast - 0.95).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn any_scores_calibrate_or_are_refused(
            cases in prop::collection::vec((-3i32..3, any::<bool>(), -300i32..300), 50..120),
            exponent in -320i32..320,
        ) {
            let scores: Vec<f64> = cases.iter().map(|c| f64::from(c.0) * 10f64.powi(if c.2 == 0 { c.2 } else { exponent })).collect();
            let won: Vec<bool> = cases.iter().map(|c| c.1).collect();
            if let Ok(fitted) = Calibration::fit(&scores, &won) {
                fitted.check().unwrap();
                prop_assert!(scores.iter().all(|s| (0.0..=1.0).contains(&fitted.probability(*s))));
            }
        }

        #[test]
        fn the_ranked_area_equals_counting_pairs(cases in prop::collection::vec((0u8..8, any::<bool>()), 2..60)) {
            let scores: Vec<f64> = cases.iter().map(|c| f64::from(c.0)).collect();
            let won: Vec<bool> = cases.iter().map(|c| c.1).collect();
            let (mut points, mut pairs) = (0.0, 0.0);
            for i in 0..cases.len() {
                for j in 0..cases.len() {
                    if won[i] && !won[j] {
                        pairs += 1.0;
                        points += if scores[i] > scores[j] { 1.0 } else if scores[i] == scores[j] { 0.5 } else { 0.0 };
                    }
                }
            }
            match auc(&scores, &won) {
                Some(area) => prop_assert!((area - points / pairs).abs() < 1e-12),
                None => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
