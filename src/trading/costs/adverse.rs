//! What fills cost afterwards, per way of quoting: whoever sells to us often knows why.
//!
//! The measure is the way of the mid against us, from the quote's beginning to ten seconds after its fill, of own and of followed quotes.
//! Newer fills weigh more. The prior is nothing at all (no fraction of the spread): little data is drawn towards 0 as by
//! `PRIOR_FILLS` fills without any loss.

use crate::protocol::QuoteOption;

/// Fills after which an older one weighs half.
const HALF_LIFE_FILLS: f64 = 100.0;
const PRIOR_FILLS: f64 = 20.0;
/// One fill in a crash does not speak for all.
const LARGEST_BPS: f64 = 100.0;

/// A weighted mean and the sum of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Average {
    mean: f64,
    weight: f64,
}

impl Average {
    fn add(&mut self, value: f64) {
        let kept = self.weight * libm::exp2(-1.0 / HALF_LIFE_FILLS);
        self.weight = kept + 1.0;
        self.mean += (value - self.mean) / self.weight;
    }

    fn drawn_to_zero(&self) -> f64 {
        self.mean * self.weight / (self.weight + PRIOR_FILLS)
    }
}

/// Of one market.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AdverseSelection {
    join: Average,
    improve: Average,
    deeper: Average,
}

impl AdverseSelection {
    /// A fill of a quote of this kind was followed by this much, bps against us.
    pub fn add(&mut self, option: QuoteOption, against_bps: f64) {
        if !against_bps.is_finite() {
            return;
        }
        let average = match option {
            QuoteOption::Join => &mut self.join,
            QuoteOption::Improve => &mut self.improve,
            QuoteOption::Deeper => &mut self.deeper,
            QuoteOption::Take => return,
        };
        average.add(against_bps.clamp(-LARGEST_BPS, LARGEST_BPS));
    }

    /// What to expect after a fill, bps against us; 0 for what takes.
    #[must_use]
    pub fn expected_bps(&self, option: QuoteOption) -> f64 {
        match option {
            QuoteOption::Join => self.join.drawn_to_zero(),
            QuoteOption::Improve => self.improve.drawn_to_zero(),
            QuoteOption::Deeper => self.deeper.drawn_to_zero(),
            QuoteOption::Take => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_data_speaks_and_little_is_drawn_to_nothing() {
        let mut adverse = AdverseSelection::default();
        assert_eq!(adverse.expected_bps(QuoteOption::Join), 0.0);
        adverse.add(QuoteOption::Join, 2.1);
        assert!((adverse.expected_bps(QuoteOption::Join) - 2.1 / 21.0).abs() < 1e-12);
        (0..2_000).for_each(|_| adverse.add(QuoteOption::Join, 2.1));
        let settled = adverse.expected_bps(QuoteOption::Join);
        assert!((1.8..2.1).contains(&settled), "{settled}");
        assert_eq!(adverse.expected_bps(QuoteOption::Deeper), 0.0, "each way has its own");
    }

    #[test]
    fn newer_fills_weigh_more_and_nonsense_weighs_nothing() {
        let mut adverse = AdverseSelection::default();
        (0..500).for_each(|_| adverse.add(QuoteOption::Improve, 5.0));
        (0..500).for_each(|_| adverse.add(QuoteOption::Improve, -1.0));
        let before = adverse.expected_bps(QuoteOption::Improve);
        assert!((-1.0..-0.6).contains(&before), "{before}");
        adverse.add(QuoteOption::Improve, f64::NAN);
        assert_eq!(adverse.expected_bps(QuoteOption::Improve), before);
    }
}
