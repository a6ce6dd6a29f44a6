//! From raw values to comparable ones: `Standardiser`; and columns that say nothing: `constant_columns`.

use serde::{Deserialize, Serialize};

use super::NAMES;

/// Standard deviations beyond which a value says no more.
const CLIP: f32 = 8.0;

/// Mean and standard deviation of each column, fitted on training rows only. A constant or never seen column has `std` 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standardiser {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl Standardiser {
    /// Fits on `rows` of equal length, ignoring NaN.
    #[must_use]
    pub fn fit<R: AsRef<[f32]>>(rows: &[R]) -> Self {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        let (mut mean, mut std) = (Vec::with_capacity(width), Vec::with_capacity(width));
        for column in 0..width {
            // Welford's running mean and sum of squares, in f64 and in the order of the rows.
            let (mut count, mut average, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
            for value in rows.iter().filter_map(|row| row.as_ref().get(column)).filter(|value| value.is_finite()) {
                let value = f64::from(*value);
                count += 1.0;
                let step = value - average;
                average += step / count;
                squares += step * (value - average);
            }
            let deviation = if count > 0.0 { (squares / count).sqrt() } else { 0.0 };
            let varies = deviation > 1e-6 * average.abs().max(1e-3);
            mean.push(average as f32);
            std.push(if varies { deviation as f32 } else { 0.0 });
        }
        Self { mean, std }
    }

    /// (value − mean) / std within ±8; zero where missing or constant.
    #[must_use]
    pub fn apply(&self, raw: &[f32]) -> Vec<f32> {
        let columns = self.mean.iter().zip(&self.std);
        raw.iter().zip(columns).map(|(value, (mean, std))| standardised(*value, *mean, *std)).collect()
    }
}

fn standardised(value: f32, mean: f32, std: f32) -> f32 {
    if std > 0.0 && !value.is_nan() { ((value - mean) / std).clamp(-CLIP, CLIP) } else { 0.0 }
}

/// The names of the features that never vary over `rows`, or that no row tells.
#[must_use]
pub fn constant_columns<R: AsRef<[f32]>>(rows: &[R]) -> Vec<&'static str> {
    let constant = |column: usize| {
        let mut seen = rows.iter().filter_map(|row| row.as_ref().get(column)).filter(|value| !value.is_nan());
        let first = seen.next();
        first.is_none_or(|first| seen.all(|value| value == first))
    };
    NAMES.iter().enumerate().filter(|(column, _)| constant(*column)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, walk};
    use super::*;

    #[test]
    fn columns_are_centred_scaled_and_clipped() {
        let rows = [[1.0, 5.0, f32::NAN], [3.0, 5.0, 2.0], [f32::NAN, 5.0, 4.0]];
        let scale = Standardiser::fit(&rows);
        assert_eq!((scale.mean.clone(), scale.std.clone()), (vec![2.0, 5.0, 3.0], vec![1.0, 0.0, 1.0]));
        assert_eq!(scale.apply(&[3.0, 9.0, f32::NAN]), [1.0, 0.0, 0.0]);
        assert_eq!(scale.apply(&[100.0, 5.0, f32::NEG_INFINITY]), [8.0, 0.0, -8.0]);
        let text = serde_json::to_string(&scale).unwrap();
        assert_eq!(serde_json::from_str::<Standardiser>(&text).unwrap(), scale);
    }

    #[test]
    fn no_rows_give_an_empty_scale() {
        let rows: [Vec<f32>; 0] = [];
        assert!(Standardiser::fit(&rows).mean.is_empty());
    }

    #[test]
    fn a_constant_feature_is_reported() {
        let candles = walk(260, |n| if n * n % 7 < 3 { 0.001 } else { -0.0013 });
        let rows: Vec<_> = (200..260).map(|end| fed(&candles[..end]).vector().unwrap().values).collect();
        assert!(constant_columns(&rows).is_empty());
        let dulled: Vec<_> = rows
            .into_iter()
            .map(|mut row| {
                row[2] = 0.25;
                row[4] = f32::NAN;
                row
            })
            .collect();
        assert_eq!(constant_columns(&dulled), [NAMES[2], NAMES[4]]);
    }
}
