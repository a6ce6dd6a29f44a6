//! Where the price stands and where it goes.
//!
//! | feature | formula (c = ln close) |
//! |---|---|
//! | `ema_gap_n` | (c − EMA_n(c)) / (σ √n), n = 8, 24, 96 |
//! | `ema_slope` | (EMA_24(c) now − 3 bars ago) / (σ √3) |
//! | `position_n` | where c lies between the lowest low (−1) and the highest high (1) of n bars, n = 20, 60 |
//! | `rsi_14` | (gains − losses) / (gains + losses) of 14 bars: Cutler's RSI / 50 − 1 |
//! | `efficiency_24` | net move / path walked of 24 bars, with its sign |
//! | `close_in_range` | where the close lies in the last candle: −1 at the low, 1 at the high |

use super::Family;
use super::window::{Window, ewma, ratio};

pub(super) const FAMILY: Family = Family {
    names: &[
        "ema_gap_8",
        "ema_gap_24",
        "ema_gap_96",
        "ema_slope",
        "position_20",
        "position_60",
        "rsi_14",
        "efficiency_24",
        "close_in_range",
    ],
    compute,
};

fn compute(window: &Window, out: &mut Vec<f64>) {
    let (all, sigma, close) = (window.all(), window.slow_volatility(), window.last().ln_close);
    let ema = |bars: usize, span: u32| ewma(all[..bars].iter().map(|bar| bar.ln_close), span);
    out.extend([8_u32, 24, 96].map(|span| ratio(close - ema(all.len(), span), sigma * f64::from(span).sqrt())));
    out.push(ratio(ema(all.len(), 24) - ema(all.len() - 3, 24), sigma * 3.0_f64.sqrt()));
    out.extend([20, 60].map(|count| position(window, count)));
    let returns = window.returns(14);
    out.push(ratio(returns.iter().sum(), returns.iter().map(|r| r.abs()).sum()));
    out.push(window.efficiency(24));
    out.push(position(window, 1));
}

fn position(window: &Window, count: usize) -> f64 {
    let bars = window.bars(count);
    let high = bars.iter().map(|bar| bar.ln_high).fold(f64::NEG_INFINITY, f64::max);
    let low = bars.iter().map(|bar| bar.ln_low).fold(f64::INFINITY, f64::min);
    ratio(2.0 * window.last().ln_close - high - low, high - low)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, value, walk};

    #[test]
    fn a_steady_climb_and_its_mirror_image() {
        let up = fed(&walk(200, |_| 0.001)).vector().unwrap();
        let down = fed(&walk(200, |_| -0.001)).vector().unwrap();
        for (vector, sign) in [(&up, 1.0), (&down, -1.0)] {
            assert!((value(vector, "rsi_14") - sign).abs() < 1e-5);
            assert!((value(vector, "efficiency_24") - sign).abs() < 1e-5);
            assert!((value(vector, "ema_slope") - sign * 3.0_f32.sqrt()).abs() < 1e-2);
            // A straight line is (span − 1) / 2 steps ahead of its mean.
            assert!((value(vector, "ema_gap_8") - sign * 3.5 / 8.0_f32.sqrt()).abs() < 1e-2);
            assert!(sign * value(vector, "position_60") > 0.95);
        }
    }
}
