//! Displayed levels: which ticks hold one and how much stands there, as a function of (best price, tick, time).

use super::FlowSymbol;
use super::noise::{Noise, share};
use super::path::Best;
use crate::domain::{Level, Price, Qty, Side};

/// Levels a side.
pub(super) const DEPTH: usize = 120;
/// Levels stand about this far apart, as a share of the start price.
const SPACING: f64 = 0.000_006;
/// A level holds this many typical trades on average.
const TRADES_PER_LEVEL: f64 = 25.0;
/// A level is the inverse square of a uniform draw on [floor, 1 + floor), scaled to the mean 1: its deviation is 1.7 times its mean.
const SIZE_FLOOR: f64 = 0.1;
const SIZE_SCALE: f64 = 1.0 / (1.0 / SIZE_FLOOR - 1.0 / (1.0 + SIZE_FLOOR));

/// One level: its quantity in steps stays until the tenth of a second `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rung {
    tick: i64,
    steps: i64,
    until: i64,
}

/// One symbol's law of levels.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    tick: i64,
    step: i128,
    spacing: i64,
    typical: f64,
    places: Noise,
    sizes: Noise,
}

/// Both sides at one moment, best first.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    best: Best,
    bids: Vec<Rung>,
    asks: Vec<Rung>,
}

/// Levels that changed between two moments.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

impl Ladder {
    pub(super) fn new(seed: u64, symbol: &FlowSymbol) -> Self {
        let name = symbol.instrument.symbol;
        let tick = symbol.instrument.tick.raw().max(1);
        let step = symbol.instrument.step.raw().max(1);
        Self {
            tick,
            step,
            spacing: ((symbol.start_price.raw() as f64 * SPACING / tick as f64) as i64).max(1),
            typical: symbol.typical_trade.raw() as f64 / step as f64 * TRADES_PER_LEVEL,
            places: Noise::new(seed, &format!("{name}/places")),
            sizes: Noise::new(seed, &format!("{name}/sizes")),
        }
    }

    pub(super) fn sides(&self, best: Best, tenth: i64) -> Sides {
        let side = |side| self.ticks(side, best).map(|tick| self.rung(tick, tenth)).collect();
        Sides { best, bids: side(Side::Buy), asks: side(Side::Sell) }
    }

    /// Moves `sides` on to a later moment and tells what changed.
    pub(super) fn advance(&self, sides: &mut Sides, best: Best, tenth: i64) -> Changes {
        let changes = Changes {
            bids: self.renew(Side::Buy, &mut sides.bids, sides.best, best, tenth),
            asks: self.renew(Side::Sell, &mut sides.asks, sides.best, best, tenth),
        };
        sides.best = best;
        changes
    }

    pub(super) fn levels(&self, sides: &Sides) -> (Vec<Level>, Vec<Level>) {
        let levels = |rungs: &[Rung]| rungs.iter().map(|rung| self.level(rung.tick, rung.steps)).collect();
        (levels(&sides.bids), levels(&sides.asks))
    }

    pub(super) fn best(&self, sides: &Sides) -> Option<(Level, Level)> {
        let level = |rung: &Rung| self.level(rung.tick, rung.steps);
        Some((sides.bids.first().map(level)?, sides.asks.first().map(level)?))
    }

    fn renew(&self, side: Side, rungs: &mut Vec<Rung>, old: Best, new: Best, tenth: i64) -> Vec<Level> {
        let mut changed = Vec::new();
        let same = match side {
            Side::Buy => old.bid == new.bid,
            Side::Sell => old.ask == new.ask,
        };
        if same {
            for rung in rungs.iter_mut().filter(|rung| rung.until <= tenth) {
                let renewed = self.rung(rung.tick, tenth);
                if renewed.steps != rung.steps {
                    changed.push(self.level(renewed.tick, renewed.steps));
                }
                *rung = renewed;
            }
            return changed;
        }
        let nearer = |a: i64, b: i64| if side == Side::Buy { a > b } else { a < b };
        let mut fresh = Vec::with_capacity(DEPTH);
        let mut known = std::mem::take(rungs).into_iter().peekable();
        for tick in self.ticks(side, new) {
            while let Some(gone) = known.next_if(|rung| nearer(rung.tick, tick)) {
                changed.push(self.level(gone.tick, 0));
            }
            let before = known.next_if(|rung| rung.tick == tick);
            let rung = before.filter(|rung| rung.until > tenth).unwrap_or_else(|| self.rung(tick, tenth));
            if before.is_none_or(|before| before.steps != rung.steps) {
                changed.push(self.level(tick, rung.steps));
            }
            fresh.push(rung);
        }
        changed.extend(known.map(|gone| self.level(gone.tick, 0)));
        *rungs = fresh;
        changed
    }

    /// The best tick and, beyond it, one tick in each stretch of `spacing` ticks: always the same one, so that levels stay when prices move.
    fn ticks(&self, side: Side, best: Best) -> impl Iterator<Item = i64> + '_ {
        let (first, away) = match side {
            Side::Buy => (best.bid, -1),
            Side::Sell => (best.ask, 1),
        };
        let place = move |stretch: i64| stretch * self.spacing + (self.places.bits(stretch) % self.spacing as u64) as i64;
        let start = first.div_euclid(self.spacing);
        let beyond = (0..).map(move |n| place(start + away * n)).filter(move |tick| (tick - first) * away > 0).take_while(|tick| *tick > 0);
        std::iter::once(first).chain(beyond).take(DEPTH)
    }

    fn rung(&self, tick: i64, tenth: i64) -> Rung {
        let bits = self.sizes.bits(tick);
        // Each level is renewed every 0.4 to 6.7 seconds, in its own rhythm.
        let period = 4 + (bits & 63) as i64;
        let phase = ((bits >> 8) & 0xffff) as i64 % period;
        let epoch = (tenth + phase).div_euclid(period);
        let draw = share(self.sizes.bits(tick.wrapping_mul(1 << 24) ^ epoch ^ i64::MIN)) + SIZE_FLOOR;
        let steps = (self.typical * SIZE_SCALE / (draw * draw)) as i64;
        Rung { tick, steps: steps.max(1), until: (epoch + 1) * period - phase }
    }

    fn level(&self, tick: i64, steps: i64) -> Level {
        Level { price: Price::from_raw(tick.saturating_mul(self.tick)), qty: Qty::from_raw(i128::from(steps) * self.step) }
    }
}
