//! Mean 0 and standard deviation 1 per feature, as learned on the training part only.

use serde::{Deserialize, Serialize};

use super::error::{ModelError, consistent, same_length};

/// Standardised values are held within ± this many deviations: one broken print must not dominate a network or a distance.
const LIMIT: f32 = 8.0;

/// The mean and standard deviation of each feature; a constant feature has deviation 1 and so becomes 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standardiser {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Standardiser {
    /// Learns from row-major `rows` of `width` values; values that are not finite are left out. A feature without values is read as 0.
    ///
    /// # Errors
    /// `rows` is not a whole number of rows.
    pub fn fit(rows: &[f32], width: usize) -> Result<Self, ModelError> {
        same_length("a row's remainder", 0, if width == 0 { 1 } else { rows.len() % width })?;
        let column = |f: usize| rows.iter().skip(f).step_by(width).copied().filter(|v| v.is_finite()).map(f64::from);
        let (mut mean, mut deviation) = (Vec::with_capacity(width), Vec::with_capacity(width));
        for f in 0..width {
            let count = column(f).count().max(1) as f64;
            let centre = column(f).sum::<f64>() / count;
            let spread = (column(f).map(|v| (v - centre) * (v - centre)).sum::<f64>() / count).sqrt();
            mean.push(centre as f32);
            // Rounding noise of a constant is not a spread.
            deviation.push(if spread > 1e-7 * centre.abs() { spread as f32 } else { 0.0 });
        }
        Ok(Self { mean, deviation })
    }

    /// The identity for `width` values (but for the limit).
    #[must_use]
    pub fn identity(width: usize) -> Self {
        Self { mean: vec![0.0; width], deviation: vec![1.0; width] }
    }

    /// `(value − mean) / deviation`, within ± 8; NaN (missing) stays NaN. A feature that never varied is 0: nothing was learned about it,
    /// so what it says later must not matter.
    #[must_use]
    pub fn apply(&self, row: &[f32]) -> Vec<f32> {
        let scaled = |((v, m), d): ((&f32, &f32), &f32)| {
            if *d > 0.0 || v.is_nan() { ((v - m) / d).clamp(-LIMIT, LIMIT) } else { 0.0 }
        };
        row.iter().zip(&self.mean).zip(&self.deviation).map(scaled).collect()
    }

    #[must_use]
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn check(&self, width: usize) -> Result<(), ModelError> {
        consistent(self.mean.len() == width && self.deviation.len() == width, "standardiser width")?;
        consistent(self.mean.iter().all(|m| m.is_finite()), "standardiser means")?;
        consistent(self.deviation.iter().all(|d| d.is_finite() && *d >= 0.0), "standardiser deviations")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_missing_values_constants_and_outliers() {
        let nan = f32::NAN;
        let learned = Standardiser::fit(&[1.0, 5.0, nan, 3.0, 5.0, nan, nan, 5.0, nan], 3).unwrap();
        assert_eq!(learned.apply(&[4.0, 6.0, 2.0]), [2.0, 0.0, 0.0], "the constant and the never seen say nothing");
        assert_eq!(learned.apply(&[1e9, -1e9, 0.5]), [8.0, 0.0, 0.0]);
        assert!(learned.apply(&[nan, 5.0, 0.0])[0].is_nan());
        assert!(Standardiser::fit(&[1.0, 2.0, 3.0], 2).is_err());
    }
}
