//! How likely a resting order is filled within a time: an analytic model, and a logistic regression on top of it.
//!
//! The analytic model knows two ways to be filled.
//!
//! **The queue is traded away.** Takers arrive as a Poisson process with exponential sizes (Cont, Stoikov, Talreja, "A stochastic model for
//! order book dynamics", Operations Research 58, 2010, section 2). `n` such sizes of mean `m` sum to more than `x` exactly when a Poisson
//! process of rate `1/m` has fewer than `n` points in `[0, x]`, so `P(volume >= x) = P(N > K)` with independent `N ~ Poisson(trades)` and
//! `K ~ Poisson(x / m)`. `x` is the queue ahead and our own quantity. Takers come to our level only while the price stays with it: a
//! Brownian motion leaves a band of `g` on either side after `R = g^2 / sigma^2` on average, so of a time `T` only `R (1 - e^(-T/R))` counts.
//!
//! **The price passes.** The mid is a Brownian motion; the other side reaches our price when it moves by `h`, the way from the other touch
//! to us. By the reflection principle (Karatzas, Shreve, "Brownian Motion and Stochastic Calculus", section 2.6) that happens within `T` with
//! `2 P(W_T > h) = erfc(h / (sigma sqrt(2 T)))`; Lo, MacKinlay, Zhang (Journal of Financial Economics 65, 2002) use it as their benchmark.
//! A market moves when somebody trades, not all the time: for a walk that is looked at every `1 / trades` the barrier lies
//! `0.5826 sigma / sqrt(trades)` farther (Broadie, Glasserman, Kou, Mathematical Finance 7, 1997).
//!
//! Both are taken as independent. In truth both are selling pressure, so the sum claims a little too much; nobody cancels ahead of us
//! here, so it claims a little too little. The regression corrects what is left of both, on followed quotes.

pub use crate::protocol::{FillCoefficients, FillFacts};

use crate::protocol::FILL_FEATURES;

/// -zeta(1/2) / sqrt(2 pi): how far a walk in steps overshoots, in standard deviations of a step.
const OVERSHOOT: f64 = 0.5826;
/// Poisson counts are summed exactly up to this mean; larger ones are counted in lots, which keeps order and continuity and
/// overstates the spread of the counts (4 % of the mean there). exp(-600) is still a normal number.
const MOST_COUNTED: f64 = 600.0;
/// Beyond any real quantity, rate or time.
const LARGEST: f64 = 1e12;
/// No model claims more certainty than this.
const NEAR_ZERO: f64 = 1e-4;

/// The model in use.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum FillModel {
    #[default]
    Analytic,
    Fitted(FillCoefficients),
}

impl FillModel {
    /// The probability that all of `facts.qty` is filled within the horizon, 0 to 1 for any input.
    #[must_use]
    pub fn probability(&self, facts: &FillFacts) -> f64 {
        match self {
            Self::Analytic => analytic(facts),
            Self::Fitted(coefficients) => fitted(coefficients, facts).unwrap_or_else(|| analytic(facts)),
        }
    }
}

fn analytic(facts: &FillFacts) -> f64 {
    let missed = (1.0 - traded_away(facts)) * (1.0 - passed(facts));
    (1.0 - missed).clamp(0.0, 1.0)
}

/// `None` when the coefficients give no number.
fn fitted(coefficients: &FillCoefficients, facts: &FillFacts) -> Option<f64> {
    let mut logit = coefficients.intercept;
    for (at, value) in fill_features(facts).into_iter().enumerate() {
        let deviation = if coefficients.deviations[at] > 0.0 { coefficients.deviations[at] } else { 1.0 };
        logit += coefficients.slopes[at] * (value - coefficients.means[at]) / deviation;
    }
    let probability = 1.0 / (1.0 + libm::exp(-logit));
    probability.is_finite().then(|| probability.clamp(NEAR_ZERO, 1.0 - NEAR_ZERO))
}

fn traded_away(facts: &FillFacts) -> f64 {
    let (horizon, trades, volume) = (sound(facts.horizon_secs), sound(facts.trades_per_sec), sound(facts.volume_per_sec));
    if horizon == 0.0 || trades == 0.0 || volume == 0.0 {
        return 0.0;
    }
    let needed = sound(facts.queue_ahead) + sound(facts.qty);
    let horizon = stays(facts, horizon);
    more_counted(trades * horizon, (needed * trades / volume).min(LARGEST))
}

/// The part of `horizon` that the price is expected to stay with us before it leaves for the first time.
fn stays(facts: &FillFacts, horizon: f64) -> f64 {
    let sigma = sound(facts.sigma_ticks);
    if sigma == 0.0 {
        return horizon;
    }
    // A tick, and what we are before the others.
    let band = 1.0 + sound(-facts.distance_ticks);
    let stay = (band / sigma).powi(2).clamp(1e-9, LARGEST);
    // 1 - e^-x, also for a small x.
    -stay * libm::expm1(-horizon / stay)
}

/// `P(N > K)` for independent Poisson counts of these means.
fn more_counted(mean_n: f64, mean_k: f64) -> f64 {
    let largest = mean_n.max(mean_k);
    let lots = if largest > MOST_COUNTED { MOST_COUNTED / largest } else { 1.0 };
    let (mean_n, mean_k) = (mean_n * lots, mean_k * lots);
    let (mut exactly_n, mut exactly_k) = (libm::exp(-mean_n), libm::exp(-mean_k));
    let mut up_to_n = exactly_n;
    let mut sum = exactly_k * (1.0 - up_to_n);
    // Ten standard deviations hold all but 1e-20 of `K`.
    let last = (mean_k + 10.0 * mean_k.sqrt() + 30.0) as u32;
    for count in 1..=last {
        exactly_n *= mean_n / f64::from(count);
        exactly_k *= mean_k / f64::from(count);
        up_to_n += exactly_n;
        sum += exactly_k * (1.0 - up_to_n).max(0.0);
    }
    sum.clamp(0.0, 1.0)
}

fn passed(facts: &FillFacts) -> f64 {
    let reach = sound(facts.sigma_ticks) * sound(facts.horizon_secs).sqrt();
    if reach == 0.0 {
        return 0.0;
    }
    let way = (finite(facts.spread_ticks) + finite(facts.distance_ticks)).max(0.0);
    let steps = sound(facts.trades_per_sec) * sound(facts.horizon_secs);
    libm::erfc((way / reach + OVERSHOOT / steps.sqrt()) / std::f64::consts::SQRT_2)
}

/// The transformed facts that a fitted model weighs, in its order; all of them bounded for bounded facts.
#[must_use]
pub fn fill_features(facts: &FillFacts) -> [f64; FILL_FEATURES] {
    let probability = analytic(facts).clamp(NEAR_ZERO, 1.0 - NEAR_ZERO);
    let horizon = sound(facts.horizon_secs);
    let needed = sound(facts.queue_ahead) + sound(facts.qty);
    let expected = sound(facts.volume_per_sec) * horizon;
    let distance = finite(facts.distance_ticks).clamp(-LARGEST, LARGEST);
    [
        libm::log(probability / (1.0 - probability)),
        if needed + expected > 0.0 { needed / (needed + expected) } else { 0.5 },
        libm::log1p(sound(facts.spread_ticks)),
        distance.signum() * libm::log1p(distance.abs()),
        finite(facts.imbalance).clamp(-1.0, 1.0),
        libm::log1p(sound(facts.sigma_ticks) * horizon.sqrt()),
        libm::log1p(sound(facts.trades_per_sec) * horizon),
        libm::log1p(horizon),
    ]
}

/// What is not a positive number is nothing.
fn sound(value: f64) -> f64 {
    if value > 0.0 { value.min(LARGEST) } else { 0.0 }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Half a minute of a market that trades one unit a second, two units in the queue before our one.
    pub fn facts() -> FillFacts {
        FillFacts {
            queue_ahead: 2.0,
            qty: 1.0,
            trades_per_sec: 2.0,
            volume_per_sec: 1.0,
            spread_ticks: 1.0,
            distance_ticks: 0.0,
            imbalance: 0.0,
            sigma_ticks: 0.0,
            horizon_secs: 30.0,
        }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn known_answers() {
        // Nothing ahead and nothing to fill: any trade will do, 1 - e^-3.
        close(more_counted(3.0, 0.0), 1.0 - (-3.0_f64).exp());
        // Equal means of one: (1 - e^-2 I0(2)) / 2, with I0(2) = 2.2795853023360673.
        close(more_counted(1.0, 1.0), (1.0 - (-2.0_f64).exp() * 2.279_585_302_336_067) / 2.0);
        // A spread of one standard deviation and fifty steps: 2 (1 - Phi(1 + 0.5826 / sqrt 50)).
        let passing = FillFacts { sigma_ticks: 0.2, horizon_secs: 25.0, ..FillFacts { volume_per_sec: 0.0, ..facts() } };
        close(FillModel::Analytic.probability(&passing), 0.279_078_345_048_921);
        // A tick of room at a tick a second: 1 - e^-1 of the first second.
        close(stays(&FillFacts { sigma_ticks: 1.0, ..facts() }, 1.0), 1.0 - (-1.0_f64).exp());
        // 60 trades of half a unit against three units: certain but for a rounding; a queue of thirty is a coin toss.
        assert!(FillModel::Analytic.probability(&facts()) > 0.999_999);
        let even = FillModel::Analytic.probability(&FillFacts { queue_ahead: 29.0, ..facts() });
        assert!((even - 0.48).abs() < 0.01, "{even}");
    }

    #[test]
    fn counting_in_lots_continues_what_is_counted_exactly() {
        let exact = more_counted(599.9, 580.0);
        let lots = more_counted(600.1, 580.0);
        assert!(lots >= exact && lots - exact < 0.01, "{exact} {lots}");
        assert!(more_counted(60_000.0, 30_000.0) > 0.999 && more_counted(30_000.0, 60_000.0) < 0.001);
    }

    #[test]
    fn both_ways_add_up() {
        let p = |f: FillFacts| FillModel::Analytic.probability(&f);
        let long = FillFacts { queue_ahead: 200.0, ..facts() };
        let both = FillFacts { sigma_ticks: 0.2, ..long };
        assert!(p(long) < 1e-6 && p(both) > 0.25, "a long queue is passed by the price, not traded away");
        let leaves = FillFacts { sigma_ticks: 5.0, ..facts() };
        assert!(p(facts()) > p(leaves) && p(leaves) > 0.7, "a price that does not stay leaves short queues behind");
        let improved = FillFacts { spread_ticks: 5.0, distance_ticks: -4.0, queue_ahead: 0.0, ..both };
        let joined = FillFacts { spread_ticks: 5.0, ..both };
        assert!(FillModel::Analytic.probability(&improved) > FillModel::Analytic.probability(&joined));
    }

    #[test]
    fn a_fit_that_repeats_the_analytic_model_is_the_analytic_model() {
        let mut slopes = [0.0; FILL_FEATURES];
        slopes[0] = 1.0;
        let same = FillCoefficients { intercept: 0.0, slopes, means: [0.0; FILL_FEATURES], deviations: [1.0; FILL_FEATURES] };
        let queue = FillFacts { queue_ahead: 29.0, ..facts() };
        close(FillModel::Fitted(same).probability(&queue), FillModel::Analytic.probability(&queue));
        let broken = FillCoefficients { intercept: f64::NAN, ..same };
        close(FillModel::Fitted(broken).probability(&queue), FillModel::Analytic.probability(&queue));
    }

    fn any_facts() -> impl Strategy<Value = FillFacts> {
        let positive = || 0.0_f64..2_000.0;
        (positive(), positive(), 0.0_f64..50.0, positive(), 0.0_f64..40.0, -20.0_f64..40.0, (-1.0_f64..1.0, 0.0_f64..20.0, 0.0_f64..600.0))
            .prop_map(
                |(
                    queue_ahead,
                    qty,
                    trades_per_sec,
                    volume_per_sec,
                    spread_ticks,
                    distance_ticks,
                    (imbalance, sigma_ticks, horizon_secs),
                )| {
                    FillFacts {
                        queue_ahead,
                        qty,
                        trades_per_sec,
                        volume_per_sec,
                        spread_ticks,
                        distance_ticks,
                        imbalance,
                        sigma_ticks,
                        horizon_secs,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn time_and_volume_help_and_a_queue_does_not(facts in any_facts(), more in 1.0_f64..10.0) {
            let p = |f: FillFacts| FillModel::Analytic.probability(&f);
            let here = p(facts);
            prop_assert!((0.0..=1.0).contains(&here));
            let helps = |better: bool, changed: FillFacts| {
                let there = p(changed);
                prop_assert!(if better { there >= here - 1e-9 } else { there <= here + 1e-9 }, "{here} {there} {changed:?}");
                Ok(())
            };
            helps(true, FillFacts { horizon_secs: facts.horizon_secs * more, ..facts })?;
            helps(true, FillFacts { volume_per_sec: facts.volume_per_sec * more, ..facts })?;
            helps(false, FillFacts { queue_ahead: facts.queue_ahead * more + 1.0, ..facts })?;
            helps(false, FillFacts { distance_ticks: facts.distance_ticks + more, ..facts })?;
        }

        #[test]
        fn no_input_breaks_it(values in prop::array::uniform9(prop_oneof![any::<f64>(), Just(0.0), Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(f64::MIN_POSITIVE)])) {
            let [queue_ahead, qty, trades_per_sec, volume_per_sec, spread_ticks, distance_ticks, imbalance, sigma_ticks, horizon_secs] = values;
            let facts = FillFacts { queue_ahead, qty, trades_per_sec, volume_per_sec, spread_ticks, distance_ticks, imbalance, sigma_ticks, horizon_secs };
            prop_assert!((0.0..=1.0).contains(&FillModel::Analytic.probability(&facts)), "{facts:?}");
            prop_assert!(fill_features(&facts).iter().all(|x| x.is_finite()), "{facts:?}");
        }
    }
}
