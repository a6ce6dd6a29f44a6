//! Leak canary: on data that no model was fitted on, a feature that tells the outcome by itself is a copy of the future, not a find.

use serde::{Deserialize, Serialize};

use super::error::LearningError;
use super::metrics::mean;
use crate::models::auc;

/// From where a single feature is too good to be true.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeakLimits {
    /// Largest |AUC - 0.5| of one feature against "the trade made money".
    pub max_auc_distance: f64,
    /// Largest |correlation| of one feature with the net result.
    pub max_correlation: f64,
}

impl Default for LeakLimits {
    fn default() -> Self {
        Self { max_auc_distance: 0.35, max_correlation: 0.8 }
    }
}

/// Fails on the first column of the row-major matrix `x` that tells `net_bps` beyond the limits. Fewer than 30 rows prove nothing.
pub fn check(names: &[String], x: &[f32], net_bps: &[f64], limits: &LeakLimits) -> Result<(), LearningError> {
    if net_bps.len() < 30 {
        return Ok(());
    }
    let won: Vec<bool> = net_bps.iter().map(|n| *n > 0.0).collect();
    for (column, name) in names.iter().enumerate() {
        let values: Vec<f64> = x.iter().skip(column).step_by(names.len()).map(|v| f64::from(*v)).collect();
        let auc = auc(&values, &won).unwrap_or(0.5);
        let correlation = correlation(&values, net_bps);
        if (auc - 0.5).abs() > limits.max_auc_distance || correlation.abs() > limits.max_correlation {
            return Err(LearningError::LeakSuspected { feature: name.clone(), auc, correlation });
        }
    }
    Ok(())
}

/// Pearson's correlation; zero where either side does not vary.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (Some(mean_a), Some(mean_b)) = (mean(a), mean(b)) else { return 0.0 };
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (da, db) = (a - mean_a, b - mean_b);
        (ab, aa, bb) = (ab + da * db, aa + da * da, bb + db * db);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Three columns: noise, `leak` of the result, noise.
    fn checked(leak: impl Fn(f64, f64) -> f64) -> Result<(), LearningError> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let net: Vec<f64> = (0..500).map(|_| rng.random::<f64>() * 60.0 - 40.0).collect();
        let x: Vec<f32> =
            net.iter().flat_map(|n| [rng.random::<f32>(), leak(*n, rng.random::<f64>()) as f32, rng.random::<f32>()]).collect();
        let names = ["a", "planted", "b"].map(str::to_owned);
        check(&names, &x, &net, &LeakLimits::default())
    }

    #[test]
    fn a_feature_made_of_the_label_fails_the_build() {
        let leaks: [fn(f64, f64) -> f64; 4] =
            [|net, _| net, |net, _| 1.0 / (1.0 + (-net / 10.0).exp()), |net, _| f64::from(net > 0.0), |net, noise| -net + 10.0 * noise];
        for leak in leaks {
            match checked(leak) {
                Err(LearningError::LeakSuspected { feature, .. }) => assert_eq!(feature, "planted"),
                other => panic!("not caught: {other:?}"),
            }
        }
    }

    #[test]
    fn an_honest_weak_signal_and_a_constant_pass() {
        assert!(checked(|net, noise| net / 60.0 + 2.0 * noise).is_ok());
        assert!(checked(|_, _| 1.0).is_ok());
    }
}
