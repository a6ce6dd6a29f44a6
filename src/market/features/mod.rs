//! One versioned feature vector per finished candle.
//!
//! *Takes / gives*: finished `Candle`s with what the book said at their close (`Micro`); a `FeatureVector` of `NAMES.len()` raw values.
//! Every value is free of scale: moves are in units of the market's own volatility, volumes in units of their own average, so that the same
//! vector means the same on 5 s and on 1 m bars. NaN says "the source did not tell"; nothing else is ever NaN or infinite.
//!
//! Invariants
//! 1. A vector is a pure function of the last `WARM_UP` candles: backtest and live agree to the bit, however far back each started
//!    (`tests::a_vector_depends_on_the_last_candles_only`).
//! 2. Nothing after a candle changes its vector (`tests::the_future_cut_off_or_changed_changes_nothing`).
//! 3. Every feature has one name (`tests::names_are_unique_and_as_many_as_values`).
//! 4. A feature that never varies is reported (`constant::tests::a_constant_feature_is_reported`).
//! 5. Scale does not matter (`tests::prices_and_volumes_have_no_scale`).
//!
//! *Never*: an unfinished candle, a position, a running average whose start matters.

mod book;
mod constant;
mod flow;
mod returns;
mod time_of_day;
mod trend;
mod volatility;
mod volume;
mod window;

pub use constant::constant_columns;
pub use window::Window;

use window::Bar;

use super::regime::regime;
use crate::domain::{Candle, Interval, Regime, Timestamp};

/// Of the list of features: a stored vector or model of another version is not comparable.
pub const VERSION: u16 = 1;

/// Candles a vector is computed from; there is none before that many.
pub const WARM_UP: usize = 128;

/// Missing candles that are read as bars without trades; a longer hole starts the warm-up again.
pub const MAX_FILLED_HOLE: i64 = 12;

/// What the book said when a candle closed; `None` where there was no book.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Micro {
    /// (bid − ask) / (bid + ask) quantity near the touch, −1 to 1.
    pub imbalance_top: Option<f64>,
    pub spread_bps: Option<f64>,
}

/// The raw values at a candle's close, in the order of `NAMES`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureVector {
    /// The candle's close.
    pub at: Timestamp,
    pub values: Vec<f32>,
}

/// Features that belong together: their names, and how they are computed, in the same order.
struct Family {
    names: &'static [&'static str],
    compute: fn(&Window, &mut Vec<f64>),
}

const FAMILIES: [Family; 7] =
    [returns::FAMILY, volatility::FAMILY, trend::FAMILY, volume::FAMILY, flow::FAMILY, book::FAMILY, time_of_day::FAMILY];

const COUNT: usize = {
    let (mut family, mut count) = (0, 0);
    while family < FAMILIES.len() {
        count += FAMILIES[family].names.len();
        family += 1;
    }
    count
};

const ALL_NAMES: [&str; COUNT] = {
    let mut all = [""; COUNT];
    let (mut family, mut at) = (0, 0);
    while family < FAMILIES.len() {
        let mut name = 0;
        while name < FAMILIES[family].names.len() {
            all[at] = FAMILIES[family].names[name];
            at += 1;
            name += 1;
        }
        family += 1;
    }
    all
};

/// The name of each value of a vector.
pub const NAMES: &[&str] = &ALL_NAMES;

/// Beyond this a value says no more; it keeps one broken candle from drowning a column.
const BOUND: f64 = 100.0;

/// Collects the candles of one market and gives the vector at the last one.
#[derive(Debug, Clone)]
pub struct FeatureBuilder {
    interval: Interval,
    /// The newest candles; up to twice `WARM_UP`, so that they stay in one piece and are moved rarely.
    bars: Vec<Bar>,
    /// Fast and slow, at the last candle: they are asked for at each mark of the books, many times a bar.
    volatilities: Option<(f64, f64)>,
    /// Unsound candles, and candles not newer than the last.
    passed_over: u64,
}

impl FeatureBuilder {
    #[must_use]
    pub fn new(interval: Interval) -> Self {
        Self { interval, bars: Vec::with_capacity(2 * WARM_UP), volatilities: None, passed_over: 0 }
    }

    /// Takes the next finished candle. One that is unsound or not newer than the last is passed over.
    pub fn push(&mut self, candle: &Candle, micro: Micro) {
        let step = self.interval.span();
        let close_time = candle.open_time + step;
        let last = self.bars.last().copied();
        if !candle.is_sound() || last.is_some_and(|last| close_time <= last.close_time) {
            self.passed_over += 1;
            return;
        }
        if let Some(mut last) = last {
            let missing = (close_time.since(last.close_time).nanos() - 1) / step.nanos();
            if missing > MAX_FILLED_HOLE {
                self.bars.clear();
            } else {
                for _ in 0..missing {
                    last = last.silent(last.close_time + step);
                    self.keep(last);
                }
            }
        }
        self.keep(Bar::new(candle, micro, close_time));
        self.volatilities = self.window().map(|window| (window.fast_volatility(), window.slow_volatility()));
    }

    /// The vector at the last candle; `None` while warming up.
    #[must_use]
    pub fn vector(&self) -> Option<FeatureVector> {
        let window = self.window()?;
        let mut values = Vec::with_capacity(COUNT);
        FAMILIES.iter().for_each(|family| (family.compute)(&window, &mut values));
        // A NaN passes through `clamp`.
        let values = values.into_iter().map(|value| value.clamp(-BOUND, BOUND) as f32).collect();
        Some(FeatureVector { at: window.last().close_time, values })
    }

    /// The regime at the last candle; unknown while warming up.
    #[must_use]
    pub fn regime(&self) -> Regime {
        self.window().map_or(Regime::Unknown, |window| regime(&window))
    }

    /// Volatility of one bar's return (60 bars, exponentially weighted), in bps; `None` while warming up.
    #[must_use]
    pub fn volatility_bps(&self) -> Option<f64> {
        self.volatilities.map(|(_, slow)| slow * 1e4)
    }

    /// Volatility of the last 12 bars in percent of that of the last 60; `None` while warming up or in a market that does not move.
    #[must_use]
    pub fn volatility_percent(&self) -> Option<u32> {
        let (fast, slow) = self.volatilities?;
        let ratio = fast / slow;
        ratio.is_finite().then(|| (ratio * 100.0).round().clamp(0.0, 1e6) as u32)
    }

    /// Candles that were not taken: unsound, repeated or out of order.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    fn keep(&mut self, bar: Bar) {
        if self.bars.len() == 2 * WARM_UP {
            self.bars.drain(..WARM_UP + 1);
        }
        self.bars.push(bar);
    }

    fn window(&self) -> Option<Window<'_>> {
        let from = self.bars.len().checked_sub(WARM_UP)?;
        Some(Window::new(&self.bars[from..]))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Price, Qty, Span};

    /// Candles whose log returns are `step(n)`, with lively ranges and volumes.
    pub fn walk(count: usize, step: impl Fn(usize) -> f64) -> Vec<Candle> {
        let mut price = 100.0_f64;
        let mut candles = Vec::new();
        for n in 0..count {
            let open = price;
            price *= libm::exp(step(n));
            let raw = |value: f64| Price::from_raw((value * 1e8).round() as i64);
            let wide = if step(n) == 0.0 { 1.0 } else { 1.0 + 0.0001 * (1 + n % 5) as f64 };
            candles.push(Candle {
                open_time: Timestamp::EPOCH + Span::from_secs(60 * n as i64),
                open: raw(open),
                high: raw(open.max(price) * wide),
                low: raw(open.min(price) / wide),
                close: raw(price),
                volume: Qty::from_raw(1_000_000 * (1 + (n * 7 % 11) as i128)),
                taker_buy_volume: Some(Qty::from_raw(1_000_000 * (n * 3 % 2) as i128)),
                trades: 3,
            });
        }
        candles
    }

    pub fn fed(candles: &[Candle]) -> FeatureBuilder {
        let mut builder = FeatureBuilder::new(Interval::MINUTE);
        candles.iter().enumerate().for_each(|(n, candle)| builder.push(candle, micro(n)));
        builder
    }

    pub fn value(vector: &FeatureVector, name: &str) -> f32 {
        vector.values[NAMES.iter().position(|known| *known == name).unwrap()]
    }

    fn micro(n: usize) -> Micro {
        Micro { imbalance_top: Some((n % 7) as f64 / 7.0), spread_bps: Some(1.0 + (n % 3) as f64) }
    }

    fn noise(n: usize) -> f64 {
        // A small hash: repeatable, without any generator.
        let mixed = (n as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed >> 40) as f64 / (1_u64 << 24) as f64 - 0.5) * 0.004
    }

    fn bits(vector: &FeatureVector) -> Vec<u32> {
        vector.values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn names_are_unique_and_as_many_as_values() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
        let vector = fed(&walk(WARM_UP, noise)).vector().unwrap();
        assert_eq!(vector.values.len(), NAMES.len());
        assert!(vector.values.iter().all(|value| value.is_finite()), "{vector:?}");
    }

    #[test]
    fn no_vector_before_the_warm_up_is_over() {
        assert_eq!(fed(&walk(WARM_UP - 1, noise)).vector(), None);
        assert_eq!(fed(&walk(WARM_UP - 1, noise)).volatility_bps(), None);
        let vector = fed(&walk(WARM_UP, noise)).vector().unwrap();
        assert_eq!(vector.at, Timestamp::EPOCH + Span::from_secs(60 * WARM_UP as i64), "a vector belongs to the close of its candle");
    }

    #[test]
    fn a_vector_depends_on_the_last_candles_only() {
        let candles = walk(700, noise);
        let micros = |from: usize| {
            let mut builder = FeatureBuilder::new(Interval::MINUTE);
            candles.iter().enumerate().skip(from).for_each(|(n, candle)| builder.push(candle, micro(n)));
            builder
        };
        let (long, short) = (micros(0), micros(700 - WARM_UP));
        assert_eq!(bits(&long.vector().unwrap()), bits(&short.vector().unwrap()));
        assert_eq!(long.volatility_bps(), short.volatility_bps());
    }

    #[test]
    fn prices_and_volumes_have_no_scale() {
        let candles = walk(200, noise);
        let scaled: Vec<_> = candles
            .iter()
            .map(|candle| Candle {
                open: Price::from_raw(candle.open.raw() * 64),
                high: Price::from_raw(candle.high.raw() * 64),
                low: Price::from_raw(candle.low.raw() * 64),
                close: Price::from_raw(candle.close.raw() * 64),
                volume: Qty::from_raw(candle.volume.raw() * 64),
                taker_buy_volume: candle.taker_buy_volume.map(|bought| Qty::from_raw(bought.raw() * 64)),
                ..*candle
            })
            .collect();
        let (one, other) = (fed(&candles).vector().unwrap(), fed(&scaled).vector().unwrap());
        for ((a, b), name) in one.values.iter().zip(&other.values).zip(NAMES) {
            assert!((a - b).abs() < 1e-3, "{name}: {a} {b}");
        }
    }

    #[test]
    fn candles_go_through_unchanged() {
        let candles = walk(200, noise);
        let copy = candles.clone();
        let _ = fed(&candles).vector();
        assert_eq!(candles, copy);
    }

    #[test]
    fn what_the_source_does_not_tell_is_missing_and_the_rest_is_not() {
        let mut builder = FeatureBuilder::new(Interval::MINUTE);
        for candle in walk(200, noise) {
            builder.push(&Candle { taker_buy_volume: None, ..candle }, Micro::default());
        }
        let vector = builder.vector().unwrap();
        let missing: Vec<_> = NAMES.iter().zip(&vector.values).filter(|(_, value)| value.is_nan()).map(|(name, _)| *name).collect();
        assert_eq!(missing, [flow::FAMILY.names, book::FAMILY.names].concat());
    }

    #[test]
    fn a_dead_market_has_finite_features() {
        let dead: Vec<_> = walk(200, |_| 0.0).into_iter().map(|candle| Candle { volume: Qty::ZERO, ..candle }).collect();
        let vector = fed(&dead).vector().unwrap();
        assert!(vector.values.iter().all(|value| value.is_finite()), "{vector:?}");
        assert_eq!(value(&vector, "return_24"), 0.0);
    }

    #[test]
    fn repeated_unsound_and_older_candles_are_passed_over() {
        let candles = walk(200, noise);
        let mut builder = fed(&candles);
        let before = builder.vector();
        builder.push(&candles[199], Micro::default());
        builder.push(&candles[3], Micro::default());
        let ahead = Candle { open_time: candles[199].open_time + Span::from_secs(60), ..candles[199] };
        builder.push(&Candle { low: Price::ZERO, ..ahead }, Micro::default());
        assert_eq!((builder.vector(), builder.passed_over()), (before, 3));
    }

    #[test]
    fn a_small_hole_is_silence_and_a_large_one_starts_again() {
        let candles = walk(300, noise);
        let with_hole = |width: usize| {
            let kept: Vec<_> = candles[..200].iter().chain(&candles[200 + width..201 + width]).copied().collect();
            fed(&kept).vector()
        };
        assert!(with_hole(MAX_FILLED_HOLE as usize).is_some());
        assert!(with_hole(MAX_FILLED_HOLE as usize + 1).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_future_cut_off_or_changed_changes_nothing(seed in 0_usize..10_000, cut in WARM_UP..260) {
            let candles = walk(300, |n| noise(n + seed));
            let changed: Vec<_> = candles
                .iter()
                .enumerate()
                .map(|(n, candle)| if n < cut { *candle } else { Candle { close: candle.high, volume: Qty::from_raw(1), ..*candle } })
                .collect();
            let mut vectors = Vec::new();
            for source in [&candles[..cut], &candles[..], &changed[..]] {
                let mut builder = FeatureBuilder::new(Interval::MINUTE);
                let mut at_cut = None;
                for (n, candle) in source.iter().enumerate() {
                    builder.push(candle, micro(n));
                    if n + 1 == cut {
                        at_cut = builder.vector();
                    }
                }
                vectors.push(bits(&at_cut.unwrap()));
            }
            prop_assert_eq!(&vectors[0], &vectors[1]);
            prop_assert_eq!(&vectors[0], &vectors[2]);
        }
    }
}
