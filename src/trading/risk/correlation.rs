//! How markets move together: an exponentially weighted covariance of bar returns, the portfolio's volatility, and its clusters.
//!
//! RiskMetrics (J. P. Morgan, "RiskMetrics Technical Document", 4th edition, 1996, ch. 5): s(t) = lambda s(t-1) + (1 - lambda) r_i r_j
//! with lambda = 0.94 and a mean of zero, here over bars. Divided by the sum of its weights it has no bias at the beginning. A pair counts
//! only bars of the same time. What is not known is taken as the worst: an unknown correlation is 1, an unknown volatility refuses.

use serde::{Deserialize, Serialize};

use crate::domain::{Interval, Price, Symbol, Timestamp};

pub const LAMBDA: f64 = 0.94;
/// Bars from which on an estimate counts.
pub const MIN_BARS: u32 = 20;
const DAY_SECS: f64 = 86_400.0;

/// One pair of markets; both the same: its variance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair {
    markets: (Symbol, Symbol),
    sum: f64,
    weight: f64,
    bars: u32,
}

/// The estimate and the newest closes that it continues from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Correlation {
    /// Sorted by their markets, the smaller first.
    pairs: Vec<Pair>,
    last: Vec<(Symbol, Timestamp, f64)>,
    /// Returns of the newest bar.
    row: (Timestamp, Vec<(Symbol, f64)>),
}

/// A portfolio over a day, and what one more order adds to it: variances in money squared, per unit of money for the order.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PortfolioRisk {
    pub held: f64,
    pub with_held: f64,
    pub own: f64,
}

impl PortfolioRisk {
    /// Standard deviation of a day's result after buying `notional` more, in money.
    #[must_use]
    pub fn volatility_with(&self, notional: f64) -> f64 {
        (self.held + 2.0 * notional * self.with_held + notional * notional * self.own).max(0.0).sqrt()
    }
}

impl Correlation {
    /// A bar closed. Bars of one market come in the order of time; a hole in them costs one return.
    pub fn on_close(&mut self, symbol: Symbol, interval: Interval, open_time: Timestamp, close: Price) {
        if !close.is_positive() {
            return;
        }
        let log = libm::log(close.to_f64());
        let before = match self.last.iter_mut().find(|(held, ..)| *held == symbol) {
            Some(last) if open_time <= last.1 => return,
            Some(last) => Some(std::mem::replace(last, (symbol, open_time, log))),
            None => {
                self.last.push((symbol, open_time, log));
                None
            }
        };
        let Some((_, time, previous)) = before.filter(|(_, time, _)| *time + interval.span() == open_time) else { return };
        debug_assert!(time < open_time);
        let change = log - previous;
        if self.row.0 != open_time {
            self.row = (open_time, Vec::new());
        }
        let others = std::mem::take(&mut self.row.1);
        for (other, moved) in &others {
            self.update(symbol, *other, change * moved);
        }
        self.update(symbol, symbol, change * change);
        self.row.1 = others;
        self.row.1.push((symbol, change));
    }

    /// The newest bar that was counted.
    #[must_use]
    pub fn newest(&self) -> Timestamp {
        self.row.0
    }

    /// Bars that some estimate has seen.
    #[must_use]
    pub fn bars(&self) -> u32 {
        self.pairs.iter().map(|pair| pair.bars).max().unwrap_or(0)
    }

    /// Variance of one bar's return; `None` before enough bars.
    #[must_use]
    pub fn variance(&self, symbol: Symbol) -> Option<f64> {
        self.pair(symbol, symbol)
    }

    /// Standard deviation over a day, bps.
    #[must_use]
    pub fn daily_bps(&self, symbol: Symbol, interval: Interval) -> Option<f64> {
        Some((self.variance(symbol)? * bars_a_day(interval)).sqrt() * 1e4)
    }

    /// Correlation of two markets, −1 to 1; `None` before enough common bars, or when one of them does not move.
    #[must_use]
    pub fn correlation(&self, a: Symbol, b: Symbol) -> Option<f64> {
        if a == b {
            return Some(1.0);
        }
        let scale = (self.variance(a)? * self.variance(b)?).sqrt();
        (scale > 0.0).then_some(())?;
        Some((self.pair(a, b)? / scale).clamp(-1.0, 1.0))
    }

    /// Standard deviation over a day of holding `weights` (money): sqrt(w' C w). `None` while the volatility of a held market is unknown.
    #[must_use]
    pub fn daily_volatility(&self, weights: &[(Symbol, f64)], interval: Interval) -> Option<f64> {
        Some((self.variance_of(weights)? * bars_a_day(interval)).sqrt())
    }

    /// What buying more of `symbol` adds to holding `weights`.
    #[must_use]
    pub fn portfolio(&self, weights: &[(Symbol, f64)], symbol: Symbol, interval: Interval) -> Option<PortfolioRisk> {
        let mut with_held = 0.0;
        for (held, weight) in weights.iter().filter(|(_, weight)| *weight != 0.0) {
            with_held += weight * self.covariance(symbol, *held)?;
        }
        let days = bars_a_day(interval);
        let (held, own) = (self.variance_of(weights)? * days, self.variance(symbol)? * days);
        Some(PortfolioRisk { held, with_held: with_held * days, own })
    }

    fn variance_of(&self, weights: &[(Symbol, f64)]) -> Option<f64> {
        let mut sum = 0.0;
        for (n, (a, x)) in weights.iter().enumerate().filter(|(_, (_, x))| *x != 0.0) {
            sum += x * x * self.variance(*a)?;
            for (b, y) in weights[..n].iter().filter(|(_, y)| *y != 0.0) {
                sum += 2.0 * x * y * self.covariance(*a, *b)?;
            }
        }
        // Pairs of unequal length may make it slightly negative.
        Some(sum.max(0.0))
    }

    /// Of one bar; an unknown correlation is 1.
    fn covariance(&self, a: Symbol, b: Symbol) -> Option<f64> {
        let scale = (self.variance(a)? * self.variance(b)?).sqrt();
        Some(self.correlation(a, b).unwrap_or(1.0) * scale)
    }

    /// The markets that move with `symbol`, directly or through others, itself included: connected components over correlations of at
    /// least `threshold`; an unknown correlation connects.
    #[must_use]
    pub fn cluster(&self, symbol: Symbol, markets: &[Symbol], threshold: f64) -> Vec<Symbol> {
        let mut cluster = vec![symbol];
        let mut next = 0;
        while let Some(from) = cluster.get(next).copied() {
            next += 1;
            let joins = |other: &&Symbol| !cluster.contains(other) && self.correlation(from, **other).is_none_or(|c| c >= threshold);
            let joined: Vec<Symbol> = markets.iter().filter(joins).copied().collect();
            cluster.extend(joined);
        }
        cluster
    }

    fn pair(&self, a: Symbol, b: Symbol) -> Option<f64> {
        let place = self.place(a, b).ok()?;
        let pair = self.pairs.get(place).filter(|pair| pair.bars >= MIN_BARS)?;
        Some(pair.sum / pair.weight)
    }

    fn place(&self, a: Symbol, b: Symbol) -> Result<usize, usize> {
        let markets = (a.min(b), a.max(b));
        self.pairs.binary_search_by_key(&markets, |pair| pair.markets)
    }

    fn update(&mut self, a: Symbol, b: Symbol, product: f64) {
        let place = self.place(a, b).unwrap_or_else(|place| {
            self.pairs.insert(place, Pair { markets: (a.min(b), a.max(b)), sum: 0.0, weight: 0.0, bars: 0 });
            place
        });
        let pair = &mut self.pairs[place];
        pair.sum = LAMBDA * pair.sum + (1.0 - LAMBDA) * product;
        pair.weight = LAMBDA * pair.weight + (1.0 - LAMBDA);
        pair.bars = pair.bars.saturating_add(1);
    }
}

fn bars_a_day(interval: Interval) -> f64 {
    DAY_SECS / interval.secs() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symbol(n: usize) -> Symbol {
        ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT"][n].parse().unwrap()
    }

    fn at(bar: usize) -> Timestamp {
        Timestamp::from_millis(60_000 * bar as i64)
    }

    /// Closes by bar and market; `None`: no bar.
    fn fold(rows: &[Vec<Option<i64>>]) -> Correlation {
        let mut correlation = Correlation::default();
        for (bar, row) in rows.iter().enumerate() {
            for (n, close) in row.iter().enumerate() {
                if let Some(close) = close {
                    correlation.on_close(symbol(n), Interval::MINUTE, at(bar), Price::from_raw(close * 100_000_000));
                }
            }
        }
        correlation
    }

    /// The same from all returns at once, by the definition.
    fn plain(rows: &[Vec<Option<i64>>], a: usize, b: usize) -> Option<f64> {
        let change = |bar: usize, n: usize| Some((rows[bar][n]? as f64 / rows[bar - 1][n]? as f64).ln());
        let products: Vec<f64> = (1..rows.len()).filter_map(|bar| Some(change(bar, a)? * change(bar, b)?)).collect();
        let weights: Vec<f64> = (0..products.len()).rev().map(|age| LAMBDA.powi(age as i32)).collect();
        let sum: f64 = products.iter().zip(&weights).map(|(p, w)| p * w).sum();
        (products.len() >= MIN_BARS as usize).then(|| sum / weights.iter().sum::<f64>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_the_weighted_mean_of_the_products(rows in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, 50_i64..150), 3), 2..90)) {
            let correlation = fold(&rows);
            for (a, b) in [(0, 0), (1, 1), (0, 1), (0, 2), (1, 2)] {
                let (got, expected) = (correlation.pair(symbol(a), symbol(b)), plain(&rows, a, b));
                prop_assert_eq!(got.is_some(), expected.is_some());
                prop_assert!(got.zip(expected).is_none_or(|(x, y)| (x - y).abs() <= 1e-12 * (1.0 + y.abs())));
            }
        }

        #[test]
        fn the_portfolio_moves_as_the_double_sum_says(rows in prop::collection::vec(prop::collection::vec((50_i64..150).prop_map(Some), 3), 30..60), held in prop::collection::vec(-900.0..900.0_f64, 3)) {
            let correlation = fold(&rows);
            let weights: Vec<(Symbol, f64)> = held.iter().enumerate().map(|(n, x)| (symbol(n), *x)).collect();
            let mut sum = 0.0;
            for a in 0..3 {
                for b in 0..3 {
                    sum += held[a] * held[b] * plain(&rows, a, b).unwrap();
                }
            }
            let expected = (sum.max(0.0) * 1_440.0).sqrt();
            let got = correlation.daily_volatility(&weights, Interval::MINUTE).unwrap();
            prop_assert!((got - expected).abs() <= 1e-6 * (1.0 + expected), "{} {}", got, expected);
        }
    }

    /// Two that move alike, one that moves against them, one on its own.
    fn known() -> Correlation {
        let rows: Vec<Vec<Option<i64>>> = (0..200_i64)
            .map(|n| {
                let wave = if n % 2 == 0 { 1_000 } else { 1_010 };
                let own = if n / 2 % 2 == 0 { 1_000 } else { 1_010 };
                vec![Some(wave), Some(2 * wave), Some(3_000 - wave), Some(own)]
            })
            .collect();
        fold(&rows)
    }

    #[test]
    fn clusters_are_what_is_connected() {
        let c = known();
        let all: Vec<Symbol> = (0..4).map(symbol).collect();
        assert!(c.correlation(symbol(0), symbol(1)).unwrap() > 0.99 && c.correlation(symbol(0), symbol(2)).unwrap() < -0.99);
        assert!(c.correlation(symbol(0), symbol(3)).unwrap().abs() < 0.3);
        assert_eq!(c.cluster(symbol(0), &all, 0.7), [symbol(0), symbol(1)]);
        assert_eq!(c.cluster(symbol(3), &all, 0.7), [symbol(3)]);
        assert_eq!(c.cluster(symbol(0), &all, -1.0).len(), 4);
        let stranger: Symbol = "NEWUSDT".parse().unwrap();
        assert!(c.cluster(stranger, &all, 0.7).contains(&symbol(3)), "what is not known counts as moving with everything");
    }

    #[test]
    fn what_moves_alike_adds_and_what_moves_against_cancels() {
        let c = known();
        let volatility = |weights: &[(usize, f64)]| {
            let weights: Vec<(Symbol, f64)> = weights.iter().map(|(n, x)| (symbol(*n), *x)).collect();
            c.daily_volatility(&weights, Interval::MINUTE)
        };
        let one = volatility(&[(0, 100.0)]).unwrap();
        assert!((volatility(&[(0, 100.0), (1, 100.0)]).unwrap() / one - 2.0).abs() < 1e-3);
        assert!(volatility(&[(0, 100.0), (2, 200.0)]).unwrap() < 0.05 * one);
        assert_eq!(volatility(&[]), Some(0.0));
        let risk = c.portfolio(&[(symbol(0), 100.0)], symbol(1), Interval::MINUTE).unwrap();
        assert!((risk.volatility_with(0.0) / one - 1.0).abs() < 1e-9 && (risk.volatility_with(100.0) / one - 2.0).abs() < 1e-3);
        assert_eq!(c.daily_volatility(&[("NEWUSDT".parse().unwrap(), 1.0)], Interval::MINUTE), None);
    }

    #[test]
    fn it_continues_from_what_was_kept() {
        let rows: Vec<Vec<Option<i64>>> = (0..60_i64).map(|n| vec![Some(100 + n * n % 7), Some(100 + n * n % 5)]).collect();
        let whole = fold(&rows);
        let text = serde_json::to_string(&fold(&rows[..33])).unwrap();
        let mut rest: Correlation = serde_json::from_str(&text).unwrap();
        for (bar, row) in rows.iter().enumerate().skip(33) {
            for (n, close) in row.iter().enumerate() {
                rest.on_close(symbol(n), Interval::MINUTE, at(bar), Price::from_raw(close.unwrap() * 100_000_000));
            }
        }
        let [a, b] = [&whole, &rest].map(|c| c.correlation(symbol(0), symbol(1)).unwrap());
        assert!((a - b).abs() < 1e-12 && whole.bars() == rest.bars());
        rest.on_close(symbol(0), Interval::MINUTE, at(3), Price::from_raw(1));
        assert_eq!(rest.bars(), whole.bars(), "an old bar changes nothing");
    }
}
