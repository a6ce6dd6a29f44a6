//! How good fill probabilities were: Brier score, skill against the base rate, and a reliability table; added up one outcome at a time.

use serde::Serialize;

/// Slices of [0, 1] in the reliability table.
const BINS: usize = 10;

/// Forecasts of one tenth of the range, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct FillBin {
    pub count: u64,
    /// Mean forecast.
    pub forecast: f64,
    /// Share of fills.
    pub observed: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FillCalibration {
    count: u64,
    fills: u64,
    squares: f64,
    /// Per bin: outcomes, sum of forecasts, fills.
    bins: [(u64, f64, u64); BINS],
}

impl FillCalibration {
    /// Adds a forecast (0 to 1) and its outcome; what is no probability is left out.
    pub fn add(&mut self, probability: f64, filled: bool) {
        if !(0.0..=1.0).contains(&probability) {
            return;
        }
        let outcome = u64::from(filled);
        self.count += 1;
        self.fills += outcome;
        self.squares += (probability - outcome as f64).powi(2);
        let bin = &mut self.bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + probability, bin.2 + outcome);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Share of fills; `None` without outcomes.
    #[must_use]
    pub fn base_rate(&self) -> Option<f64> {
        (self.count > 0).then(|| self.fills as f64 / self.count as f64)
    }

    /// Mean squared distance of forecast and outcome (Brier, 1950): 0 is perfect, 0.25 a coin.
    #[must_use]
    pub fn brier(&self) -> Option<f64> {
        (self.count > 0).then(|| self.squares / self.count as f64)
    }

    /// 1 - Brier / Brier of always saying the base rate: 1 is perfect, 0 no better, negative worse. `None` when all ended alike.
    #[must_use]
    pub fn skill(&self) -> Option<f64> {
        let rate = self.base_rate()?;
        let reference = rate * (1.0 - rate);
        (reference > 0.0).then(|| self.brier().map(|brier| 1.0 - brier / reference))?
    }

    /// The slices that had forecasts, lowest first.
    #[must_use]
    pub fn reliability(&self) -> Vec<FillBin> {
        let row = |(count, forecasts, fills): &(u64, f64, u64)| FillBin {
            count: *count,
            forecast: forecasts / *count as f64,
            observed: *fills as f64 / *count as f64,
        };
        self.bins.iter().filter(|bin| bin.0 > 0).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(f64, bool)]) -> FillCalibration {
        let mut calibration = FillCalibration::default();
        pairs.iter().for_each(|(p, filled)| calibration.add(*p, *filled));
        calibration
    }

    #[test]
    fn scores_equal_the_hand_calculation() {
        let got = of(&[(0.9, true), (0.8, true), (0.3, false), (0.4, true)]);
        // 0.01 + 0.04 + 0.09 + 0.36 over four; the base rate 3/4 has 3/16.
        assert!((got.brier().unwrap() - 0.125).abs() < 1e-12);
        assert!((got.skill().unwrap() - (1.0 - 0.125 / 0.1875)).abs() < 1e-12);
        let bins = got.reliability();
        assert_eq!(bins.iter().map(|b| b.count).collect::<Vec<_>>(), [1, 1, 1, 1]);
        assert_eq!((bins[0].forecast, bins[0].observed), (0.3, 0.0));
    }

    #[test]
    fn certainty_lies_in_the_last_bin_and_what_is_no_probability_in_none() {
        let got = of(&[(1.0, true), (0.0, false), (f64::NAN, true), (1.5, true)]);
        assert_eq!((got.count(), got.reliability().len(), got.brier()), (2, 2, Some(0.0)));
        assert_eq!(got.skill(), Some(1.0));
    }

    #[test]
    fn the_base_rate_has_no_skill_and_nothing_has_no_score() {
        assert!(of(&[(0.5, true), (0.5, false)]).skill().unwrap().abs() < 1e-12);
        assert_eq!(of(&[(0.5, true)]).skill(), None, "all ended alike");
        assert_eq!((of(&[]).brier(), of(&[]).base_rate(), of(&[]).reliability().len()), (None, None, 0));
    }
}
