//! The price path of one symbol, hour by hour: volatility, pressure, returns, quotes.
//!
//! An hour's total return is drawn first, its 3,600 seconds are then bridged to that total (for independent increments e with variances v the
//! bridge e + v / sum(v) x (total - sum(e)) has again uncorrelated increments), so the price at any hour needs only the hours' totals before it.
//! Volatility is lognormal with a slow (hours, shared by all symbols) and a fast (minutes) part and a daily season.

use super::noise::{Noise, share};
use super::{FlowConfig, FlowSymbol};
use crate::domain::Price;

pub(super) const HOUR: i64 = 3_600;
const MINUTES: i64 = 60;
/// Pressure lasts in blocks of ten seconds; its half-life is eight blocks.
const BLOCK: i64 = 10;
const BLOCKS: i64 = HOUR / BLOCK;
const PRESSURE_MEMORY: f64 = 0.92;
/// sqrt(1 - memory^2): gives the pressure variance 1.
const PRESSURE_SCALE: f64 = 0.391_918_358_845_308_5;
/// sqrt(10) / 10: a block's drift spread over its seconds.
const DRIFT_PER_SECOND: f64 = 0.316_227_766_016_838;
const FAST_MEMORY: f64 = 0.95;
const FAST_SCALE: f64 = 0.312_249_899_919_92;
const SLOW_MEMORY: f64 = 0.9;
const SLOW_SCALE: f64 = 0.435_889_894_354_067_4;
/// Deviations of log volatility: slow and fast part.
const SLOW_DEVIATION: f64 = 0.42;
const FAST_DEVIATION: f64 = 0.39;
/// How far back the memories reach; what is older counts less than 1 %.
const REACH: i64 = 96;
/// Log volatility by hour of day, UTC: quiet nights, busy afternoons; its mean square factor is close to 1.
const SEASON: [f64; 24] = [
    0.0, -0.05, -0.1, -0.15, -0.2, -0.2, -0.15, -0.05, 0.05, 0.05, 0.0, 0.0, 0.05, 0.2, 0.3, 0.3, 0.2, 0.15, 0.1, 0.05, 0.0, -0.05, -0.1,
    -0.1,
];

/// Best bid and ask in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Best {
    pub bid: i64,
    pub ask: i64,
}

/// What happens in one second: the quote moves once, at the start of the tenth `turn`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Second {
    pub before: Best,
    pub after: Best,
    pub turn: u8,
    pub trades: u8,
    /// Probability, in 1/65536, that the taker buys, before and after the move.
    pub buys_before: u16,
    pub buys_after: u16,
}

/// One symbol's law: everything here is a function of (configuration, seed, time).
#[derive(Debug, Clone)]
pub(super) struct Path {
    tick: f64,
    start_price: f64,
    sigma: f64,
    rate: f64,
    edge: f64,
    /// Weights of the shared and the own noise; their squares sum to 1.
    shared_weight: f64,
    own_weight: f64,
    shared: Noise,
    own: Noise,
    slow: Noise,
    fast: Noise,
    pressure: Noise,
    detail: Noise,
    /// Log price relative to the start at each hour's beginning, as far as it was asked for.
    starts: Vec<f64>,
}

/// What is known of an hour before its seconds are drawn.
struct Plan {
    sigmas: [f64; MINUTES as usize],
    variance: f64,
    /// Pressure of the block before the hour, then of its blocks.
    pressure: Vec<f64>,
}

impl Path {
    pub(super) fn new(config: &FlowConfig, symbol: &FlowSymbol) -> Self {
        let name = symbol.instrument.symbol;
        let stream = |part: &str| Noise::new(config.seed, &format!("{name}/{part}"));
        let correlation = config.correlation.clamp(0.0, 1.0);
        Self {
            tick: symbol.instrument.tick.raw().max(1) as f64 / 1e8,
            start_price: symbol.start_price.to_f64(),
            sigma: symbol.daily_volatility / 86_400_f64.sqrt(),
            rate: symbol.trades_per_second,
            edge: config.edge,
            shared_weight: correlation.sqrt(),
            own_weight: (1.0 - correlation).sqrt(),
            shared: Noise::new(config.seed, "shared"),
            slow: Noise::new(config.seed, "slow"),
            own: stream("own"),
            fast: stream("fast"),
            pressure: stream("pressure"),
            detail: stream("detail"),
            starts: vec![0.0],
        }
    }

    /// The seconds of an hour since the origin.
    pub(super) fn hour(&mut self, hour: i64) -> Vec<Second> {
        let (begin, end) = (self.start_of(hour), self.start_of(hour + 1));
        let plan = self.plan(hour, true);
        let noise: Vec<f64> = (0..HOUR).map(|s| self.shock(hour * HOUR + s) * plan.sigma_at(s)).collect();
        let missing = self.total(hour, &plan) - noise.iter().sum::<f64>();

        let mut level = begin;
        let mut before = self.quote(hour * HOUR - 1, begin);
        let mut last_move = 0.0;
        let mut seconds = Vec::with_capacity(HOUR as usize);
        for s in 0..HOUR {
            let sigma = plan.sigma_at(s);
            let bridged = noise[s as usize] + sigma * sigma / plan.variance * missing;
            let step = bridged + self.drift(&plan, s);
            // Sums in another order differ in the last bits: the hour ends exactly where the next one begins.
            level = if s == HOUR - 1 { end } else { level + step };
            let second = hour * HOUR + s;
            let after = self.quote(second, level);
            let bits = self.detail.bits(second);
            let pressure = plan.pressure[(s / BLOCK) as usize + 1];
            let this_move = step / sigma;
            seconds.push(Second {
                before,
                after,
                turn: ((bits >> 32) % 10) as u8,
                trades: self.count(bits >> 16, sigma),
                buys_before: buys(last_move, pressure),
                buys_after: buys(this_move, pressure),
            });
            (before, last_move) = (after, this_move);
        }
        seconds
    }

    fn start_of(&mut self, hour: i64) -> f64 {
        let hour = usize::try_from(hour).unwrap_or(0);
        while self.starts.len() <= hour {
            let known = self.starts.len() as i64 - 1;
            let plan = self.plan(known, self.edge != 0.0);
            let drift: f64 =
                if self.edge == 0.0 { 0.0 } else { (0..HOUR).step_by(BLOCK as usize).map(|s| self.block_drift(&plan, s)).sum() };
            self.starts.push(self.starts[known as usize] + self.total(known, &plan) + drift);
        }
        self.starts[hour]
    }

    /// Where log price is at an hour's end by noise alone.
    fn total(&self, hour: i64, plan: &Plan) -> f64 {
        // Hours draw from the same streams as seconds, far away from them.
        let index = i64::MIN / 2 + hour;
        (self.shared_weight * self.shared.normal(index) + self.own_weight * self.own.normal(index)) * plan.variance.sqrt()
    }

    fn shock(&self, second: i64) -> f64 {
        self.shared_weight * self.shared.fat_tailed(second) + self.own_weight * self.own.fat_tailed(second)
    }

    fn plan(&self, hour: i64, with_pressure: bool) -> Plan {
        let slow = remembered(self.slow, hour, SLOW_MEMORY) * SLOW_SCALE * SLOW_DEVIATION;
        let season = SEASON[hour.rem_euclid(24) as usize];
        // E[exp(2 x)] of a normal x is exp(2 var x): this keeps the mean variance at the configured one.
        let centre = -(SLOW_DEVIATION * SLOW_DEVIATION + FAST_DEVIATION * FAST_DEVIATION);
        let mut fast = remembered(self.fast, hour * MINUTES - 1, FAST_MEMORY);
        let mut sigmas = [0.0; MINUTES as usize];
        for (minute, sigma) in sigmas.iter_mut().enumerate() {
            fast = fast * FAST_MEMORY + self.fast.normal(hour * MINUTES + minute as i64);
            *sigma = self.sigma * libm::exp(centre + season + slow + fast * FAST_SCALE * FAST_DEVIATION);
        }
        let variance = sigmas.iter().map(|sigma| sigma * sigma * MINUTES as f64).sum();
        let mut pressure = Vec::new();
        if with_pressure {
            let mut value = remembered(self.pressure, hour * BLOCKS - 1, PRESSURE_MEMORY);
            pressure.push(value * PRESSURE_SCALE);
            for block in 0..BLOCKS {
                value = value * PRESSURE_MEMORY + self.pressure.normal(hour * BLOCKS + block);
                pressure.push(value * PRESSURE_SCALE);
            }
        }
        Plan { sigmas, variance, pressure }
    }

    /// The predictable part of a second's return: the pressure of the finished block before it. Zero without edge.
    fn drift(&self, plan: &Plan, second: i64) -> f64 {
        self.edge * plan.pressure[(second / BLOCK) as usize] * plan.sigma_at(second) * DRIFT_PER_SECOND
    }

    fn block_drift(&self, plan: &Plan, second: i64) -> f64 {
        self.drift(plan, second) * BLOCK as f64
    }

    /// Best bid and ask around the path's value: mostly one tick apart, at times two or three.
    fn quote(&self, second: i64, level: f64) -> Best {
        let value = (self.start_price * libm::exp(level) / self.tick).max(4.0);
        let spread = match self.detail.bits(second) % 100 {
            0..=87 => 1,
            88..=95 => 2,
            _ => 3,
        };
        let bid = value as i64 - spread / 2;
        Best { bid, ask: bid + spread }
    }

    /// Trades in a second: at least one, more when the market is volatile.
    fn count(&self, bits: u64, sigma: f64) -> u8 {
        let wanted = (self.rate * (0.5 + 0.5 * sigma / self.sigma)).max(1.0);
        (1.0 + share(bits) * (2.0 * wanted - 1.0)).min(f64::from(super::tape::MOST_TRADES)) as u8
    }
}

impl Plan {
    fn sigma_at(&self, second: i64) -> f64 {
        self.sigmas[(second / MINUTES) as usize]
    }
}

/// Takers chase the last move and lean with the pressure.
fn buys(last_move: f64, pressure: f64) -> u16 {
    let lean = 0.1 * last_move.clamp(-2.0, 2.0) + 0.12 * pressure.clamp(-2.5, 2.5);
    ((0.5 + lean).clamp(0.02, 0.98) * 65_536.0) as u16
}

/// A sum of past draws with exponentially falling weights, up to `index`: an autoregression that starts anywhere.
fn remembered(noise: Noise, index: i64, memory: f64) -> f64 {
    (0..REACH).rev().fold(0.0, |sum, back| sum * memory + noise.normal(index - back))
}

impl Best {
    pub(super) fn mid(self, tick: Price) -> Price {
        Price::from_raw(self.bid.saturating_mul(tick.raw())).midpoint(Price::from_raw(self.ask.saturating_mul(tick.raw())))
    }
}
