//! What kind of market it is, by one rule on the last finished candles.
//!
//! | regime | rule, the first that holds |
//! |---|---|
//! | unknown | fewer than `features::WARM_UP` candles, or no movement at all |
//! | panic | fast volatility (12 bars) is at least 1.8 × slow volatility (60 bars) |
//! | trend | the move of 24 bars is at least 1.5 σ√24 and at least 0.3 of the path walked |
//! | range | otherwise |
//!
//! On a Gaussian walk of 60,000 bars the ratio never reached 1.6 and one bar in seven counted as trend: the limits ask for more than noise.

use super::features::Window;
use crate::domain::Regime;

pub const PANIC_VOLATILITY_RATIO: f64 = 1.8;
pub const TREND_MOVE_SIGMAS: f64 = 1.5;
pub const TREND_EFFICIENCY: f64 = 0.3;

/// The regime at the last candle of a full window.
#[must_use]
pub fn regime(window: &Window) -> Regime {
    if window.slow_volatility() <= 0.0 {
        return Regime::Unknown;
    }
    if window.fast_volatility() >= PANIC_VOLATILITY_RATIO * window.slow_volatility() {
        return Regime::Panic;
    }
    let (moved, efficiency) = (window.move_in_sigmas(24).abs(), window.efficiency(24).abs());
    if moved >= TREND_MOVE_SIGMAS && efficiency >= TREND_EFFICIENCY { Regime::Trend } else { Regime::Range }
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::{fed, walk};
    use super::*;

    #[test]
    fn a_steady_climb_is_a_trend_and_a_sawtooth_is_a_range() {
        let climb = fed(&walk(200, |n| if n % 3 == 0 { -0.0002 } else { 0.001 }));
        assert_eq!(climb.regime(), Regime::Trend);
        let saw = fed(&walk(200, |n| if n % 2 == 0 { -0.001 } else { 0.001 }));
        assert_eq!(saw.regime(), Regime::Range);
    }

    #[test]
    fn a_sudden_storm_is_a_panic() {
        let storm = fed(&walk(200, |n| if n < 195 { 0.0002 * if n % 2 == 0 { 1.0 } else { -1.0 } } else { -0.01 }));
        assert_eq!(storm.regime(), Regime::Panic);
    }

    #[test]
    fn too_few_candles_or_a_dead_market_are_unknown() {
        assert_eq!(fed(&walk(50, |_| 0.001)).regime(), Regime::Unknown);
        assert_eq!(fed(&walk(200, |_| 0.0)).regime(), Regime::Unknown);
    }
}
