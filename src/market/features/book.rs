//! What the order book said at the close; missing where there was no book.
//!
//! | feature | formula |
//! |---|---|
//! | `imbalance` | (bid − ask) / (bid + ask) quantity near the touch |
//! | `imbalance_mean` | mean of the last 6 bars that tell |
//! | `spread_to_volatility` | ln(1 + spread / σ₆₀): what crossing costs in units of what a bar moves |

use super::Family;
use super::window::{Bar, Window, ratio};

pub(super) const FAMILY: Family = Family { names: &["imbalance", "imbalance_mean", "spread_to_volatility"], compute };

fn compute(window: &Window, out: &mut Vec<f64>) {
    let last = window.last();
    let telling = |bar: &&Bar| !bar.imbalance.is_nan();
    let recent = window.bars(6).iter().filter(telling);
    let (sum, count) = recent.fold((0.0, 0.0), |(sum, count), bar| (sum + bar.imbalance, count + 1.0));
    out.push(last.imbalance);
    out.push(if count > 0.0 { sum / count } else { f64::NAN });
    out.push(libm::log1p(ratio(last.spread_bps, window.slow_volatility() * 1e4)));
    if last.spread_bps.is_nan() {
        let missing = out.len() - 1;
        out[missing] = f64::NAN;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{value, walk};
    use super::super::{FeatureBuilder, Micro};
    use crate::domain::Interval;

    #[test]
    fn the_last_book_and_its_recent_mean() {
        let mut builder = FeatureBuilder::new(Interval::MINUTE);
        for (n, candle) in walk(200, |_| 0.001).iter().enumerate() {
            let imbalance_top = if n < 199 { Some(0.1) } else { Some(0.7) };
            builder.push(candle, Micro { imbalance_top, spread_bps: Some(10.0) });
        }
        let vector = builder.vector().unwrap();
        assert!((value(&vector, "imbalance") - 0.7).abs() < 1e-6);
        assert!((value(&vector, "imbalance_mean") - 0.2).abs() < 1e-6);
        assert!((value(&vector, "spread_to_volatility") - 2.0_f32.ln()).abs() < 1e-3, "one bar moves 10 bps here");
    }
}
