//! How much trades, against its own past.
//!
//! | feature | formula (v = volume of a bar) |
//! |---|---|
//! | `volume_ratio` | ln((v + f) / (m + f)), m = EWMA of span 24 and f = m / 100, so that a silent bar is −4.6 and not −∞ |
//! | `volume_trend` | ln(EWMA of span 12 / EWMA of span 60) |
//! | `volume_z` | (v − mean) / standard deviation of 60 bars |

use super::Family;
use super::window::{Window, ewma, log_ratio, ratio};

pub(super) const FAMILY: Family = Family { names: &["volume_ratio", "volume_trend", "volume_z"], compute };

fn compute(window: &Window, out: &mut Vec<f64>) {
    let mean = |span: u32| ewma(window.all().iter().map(|bar| bar.volume), span);
    let last = window.last().volume;
    let usual = mean(24);
    out.push(log_ratio(last + usual / 100.0, usual * 1.01));
    out.push(log_ratio(mean(12), mean(60)));
    let recent = window.bars(60);
    let average = recent.iter().map(|bar| bar.volume).sum::<f64>() / 60.0;
    let variance = recent.iter().map(|bar| (bar.volume - average) * (bar.volume - average)).sum::<f64>() / 60.0;
    // Equal volumes differ by rounding alone: that is no deviation.
    let deviation = variance.sqrt();
    out.push(if deviation > 1e-9 * average { ratio(last - average, deviation) } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, value, walk};
    use crate::domain::{Candle, Qty};

    #[test]
    fn even_volume_is_zero_and_a_burst_is_seen() {
        let with_last = |last: i128| {
            let mut candles: Vec<_> = walk(200, |_| 0.001).into_iter().map(|c| Candle { volume: Qty::from_raw(1_000), ..c }).collect();
            candles[199].volume = Qty::from_raw(last);
            fed(&candles).vector().unwrap()
        };
        for name in super::FAMILY.names {
            assert!(value(&with_last(1_000), name).abs() < 1e-6, "{name}");
            assert!(value(&with_last(9_000), name) > 0.5, "{name}");
        }
        assert!((value(&with_last(0), "volume_ratio") - (0.01_f32 / 1.01).ln()).abs() < 1e-3);
    }
}
