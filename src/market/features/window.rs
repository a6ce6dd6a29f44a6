//! The last `WARM_UP` candles in logarithms, and the few quantities that several families share.

use super::{Micro, WARM_UP};
use crate::domain::{Candle, Timestamp};

/// A candle as the features see it. NaN where the source does not tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub close_time: Timestamp,
    pub ln_high: f64,
    pub ln_low: f64,
    pub ln_close: f64,
    pub volume: f64,
    pub taker_buy: f64,
    pub imbalance: f64,
    pub spread_bps: f64,
}

impl Bar {
    /// Of a sound candle.
    pub fn new(candle: &Candle, micro: Micro, close_time: Timestamp) -> Self {
        Self {
            close_time,
            ln_high: libm::log(candle.high.to_f64()),
            ln_low: libm::log(candle.low.to_f64()),
            ln_close: libm::log(candle.close.to_f64()),
            volume: candle.volume.to_f64(),
            taker_buy: candle.taker_buy_volume.map_or(f64::NAN, |bought| bought.to_f64()),
            imbalance: micro.imbalance_top.unwrap_or(f64::NAN),
            spread_bps: micro.spread_bps.unwrap_or(f64::NAN),
        }
    }

    /// The bar without trades that follows this one.
    pub fn silent(&self, close_time: Timestamp) -> Self {
        let close = self.ln_close;
        let taker_buy = if self.taker_buy.is_nan() { f64::NAN } else { 0.0 };
        let unknown = f64::NAN;
        Self { close_time, ln_high: close, ln_low: close, ln_close: close, volume: 0.0, taker_buy, imbalance: unknown, spread_bps: unknown }
    }
}

/// A full window and its volatilities. Every average starts inside the window, so nothing before it matters.
pub struct Window<'a> {
    bars: &'a [Bar],
    returns: [f64; WARM_UP - 1],
    fast: f64,
    slow: f64,
}

impl<'a> Window<'a> {
    /// `bars`: exactly `WARM_UP`, oldest first.
    pub(super) fn new(bars: &'a [Bar]) -> Self {
        let mut returns = [0.0; WARM_UP - 1];
        for (value, pair) in returns.iter_mut().zip(bars.windows(2)) {
            *value = pair[1].ln_close - pair[0].ln_close;
        }
        let squares = |span| ewma(returns.iter().map(|r| r * r), span).sqrt();
        Self { bars, returns, fast: squares(12), slow: squares(60) }
    }

    /// σ of one bar's log return: exponentially weighted root mean square of span 12.
    #[must_use]
    pub fn fast_volatility(&self) -> f64 {
        self.fast
    }

    /// The same of span 60: the unit in which moves are measured.
    #[must_use]
    pub fn slow_volatility(&self) -> f64 {
        self.slow
    }

    /// The log return of the last `bars` bars over σ√bars.
    #[must_use]
    pub fn move_in_sigmas(&self, bars: usize) -> f64 {
        let last = self.bars.len() - 1;
        let moved = self.bars[last].ln_close - self.bars[last - bars].ln_close;
        ratio(moved, self.slow * (bars as f64).sqrt())
    }

    /// Kaufman's efficiency ratio with its sign: the net move of the last `bars` bars over the path walked, −1 to 1.
    #[must_use]
    pub fn efficiency(&self, bars: usize) -> f64 {
        let path = self.returns(bars);
        ratio(path.iter().sum(), path.iter().map(|r| r.abs()).sum())
    }

    pub(super) fn last(&self) -> &Bar {
        &self.bars[self.bars.len() - 1]
    }

    /// The newest `count` bars, oldest first.
    pub(super) fn bars(&self, count: usize) -> &[Bar] {
        &self.bars[self.bars.len() - count..]
    }

    pub(super) fn all(&self) -> &[Bar] {
        self.bars
    }

    /// The newest `count` log returns, oldest first.
    pub(super) fn returns(&self, count: usize) -> &[f64] {
        &self.returns[self.returns.len() - count..]
    }
}

/// `a / b`; zero when `b` is not positive (a market that did not move moved by zero of its units).
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// ln(a / b); zero unless both are positive.
pub(super) fn log_ratio(a: f64, b: f64) -> f64 {
    if a > 0.0 && b > 0.0 { libm::log(a / b) } else { 0.0 }
}

/// Exponentially weighted mean with weight 2 / (span + 1) on the newest, starting at the first value; zero of nothing.
pub(super) fn ewma(values: impl Iterator<Item = f64>, span: u32) -> f64 {
    let weight = 2.0 / (f64::from(span) + 1.0);
    values.fold(None, |mean: Option<f64>, value| Some(mean.map_or(value, |mean| mean + weight * (value - mean)))).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_mean_of_span_three_halves_the_distance_each_time() {
        assert_eq!(ewma([8.0, 0.0, 4.0].into_iter(), 3), 4.0);
        assert_eq!(ewma(std::iter::empty(), 3), 0.0);
    }
}
