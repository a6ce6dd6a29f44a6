//! How much it moves, against its own past.
//!
//! | feature | formula |
//! |---|---|
//! | `volatility_ratio` | ln(σ₁₂ / σ₆₀) |
//! | `volatility_drift` | ln(σ₆₀ / root mean square of all returns of the window) |
//! | `parkinson_ratio` | ln(Parkinson σ of 20 bars / σ₆₀); Parkinson (1980): σ² = mean ln(high / low)² / (4 ln 2) |
//! | `range_to_atr` | ln(last true range / mean true range of the 14 bars before) |
//! | `down_share` | share of the squared returns of 24 bars that fell, 0 to 1; 0.5 when nothing moved |

use super::Family;
use super::window::{Bar, Window, log_ratio};

pub(super) const FAMILY: Family =
    Family { names: &["volatility_ratio", "volatility_drift", "parkinson_ratio", "range_to_atr", "down_share"], compute };

fn compute(window: &Window, out: &mut Vec<f64>) {
    let (fast, slow) = (window.fast_volatility(), window.slow_volatility());
    let returns = window.returns(window.all().len() - 1);
    let long = (returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64).sqrt();
    let spread = |bar: &Bar| bar.ln_high - bar.ln_low;
    let squared: f64 = window.bars(20).iter().map(|bar| spread(bar) * spread(bar)).sum();
    let parkinson = (squared / 20.0 / (4.0 * std::f64::consts::LN_2)).sqrt();
    let ranges = window.bars(16).windows(2).map(|pair| pair[1].ln_high.max(pair[0].ln_close) - pair[1].ln_low.min(pair[0].ln_close));
    let (last, before) =
        ranges.enumerate().fold((0.0, 0.0), |(last, before), (at, range)| if at < 14 { (last, before + range) } else { (range, before) });
    out.extend([
        log_ratio(fast, slow),
        log_ratio(slow, long),
        log_ratio(parkinson, slow),
        log_ratio(last, before / 14.0),
        down_share(window),
    ]);
}

fn down_share(window: &Window) -> f64 {
    let squares = |keep: fn(f64) -> bool| window.returns(24).iter().filter(|r| keep(**r)).map(|r| r * r).sum::<f64>();
    let (down, up) = (squares(|r| r < 0.0), squares(|r| r > 0.0));
    if down + up > 0.0 { down / (down + up) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, value, walk};

    #[test]
    fn an_even_market_has_even_volatility_and_a_last_storm_raises_it() {
        let even = fed(&walk(200, |n| if n % 2 == 0 { 0.001 } else { -0.001 })).vector().unwrap();
        assert!(value(&even, "volatility_ratio").abs() < 1e-4);
        assert!(value(&even, "volatility_drift").abs() < 1e-4);
        assert!((value(&even, "down_share") - 0.5).abs() < 1e-3);
        let storm = fed(&walk(200, |n| if n < 199 { 0.001 } else { -0.01 })).vector().unwrap();
        assert!(value(&storm, "volatility_ratio") > 0.5);
        assert!(value(&storm, "range_to_atr") > 1.5);
        assert!(value(&storm, "down_share") > 0.8);
    }
}
