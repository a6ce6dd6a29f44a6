//! Who pressed: the takers' side of the volume, −1 (all sold) to 1 (all bought); a bar without trades is neutral.
//!
//! | feature | formula (s = 2 × taker buys / volume − 1) |
//! |---|---|
//! | `taker_last` | s of the last bar |
//! | `taker_mean` | 2 × Σ taker buys / Σ volume − 1 over the last 12 bars that tell |
//! | `taker_shift` | `taker_last` − the same of 60 bars |
//!
//! All are missing when the last bar does not tell.

use super::Family;
use super::window::{Bar, Window};

pub(super) const FAMILY: Family = Family { names: &["taker_last", "taker_mean", "taker_shift"], compute };

fn compute(window: &Window, out: &mut Vec<f64>) {
    let last = window.last();
    if last.taker_buy.is_nan() {
        out.extend([f64::NAN; 3]);
        return;
    }
    let now = share(std::slice::from_ref(last));
    out.extend([now, share(window.bars(12)), now - share(window.bars(60))]);
}

fn share(bars: &[Bar]) -> f64 {
    let telling = bars.iter().filter(|bar| !bar.taker_buy.is_nan());
    let (bought, volume) = telling.fold((0.0, 0.0), |(bought, volume), bar| (bought + bar.taker_buy, volume + bar.volume));
    if volume > 0.0 { 2.0 * bought / volume - 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, value, walk};
    use crate::domain::{Candle, Qty};

    #[test]
    fn takers_who_only_buy_in_the_last_bar() {
        let mut candles: Vec<_> = walk(200, |_| 0.001)
            .into_iter()
            .map(|c| Candle { volume: Qty::from_raw(1_000), taker_buy_volume: Some(Qty::from_raw(500)), ..c })
            .collect();
        candles[199].taker_buy_volume = Some(Qty::from_raw(1_000));
        let vector = fed(&candles).vector().unwrap();
        assert!((value(&vector, "taker_last") - 1.0).abs() < 1e-6);
        assert!((value(&vector, "taker_mean") - 1.0 / 12.0).abs() < 1e-6);
        assert!((value(&vector, "taker_shift") - (1.0 - 1.0 / 60.0)).abs() < 1e-6);
    }
}
