//! The trades of a second, and candles as their sums.

use super::FlowSymbol;
use super::noise::{Noise, share};
use super::path::{HOUR, Second};
use crate::domain::{Candle, Price, PublicTrade, Qty, Timestamp, TradeId};

/// The most trades in a second; trade ids leave this much room.
pub(super) const MOST_TRADES: u8 = 63;

/// A trade is the inverse square of a uniform draw on [floor, 1 + floor), scaled to the mean 1: the median is a twenty-fifth of the mean.
const SIZE_FLOOR: f64 = 0.01;
const SIZE_SCALE: f64 = 1.0 / (1.0 / SIZE_FLOOR - 1.0 / (1.0 + SIZE_FLOOR));

/// One symbol's law of trades.
#[derive(Debug, Clone)]
pub(super) struct Tape {
    tick: i64,
    step: i128,
    typical: f64,
    noise: Noise,
}

/// One trade, in ticks and steps, this many microseconds after the second's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    pub id: u64,
    pub micros: i64,
    pub tick: i64,
    pub steps: i64,
    pub taker_buys: bool,
}

fn square(value: f64) -> f64 {
    value * value
}

impl Tape {
    pub(super) fn new(seed: u64, symbol: &FlowSymbol) -> Self {
        let name = symbol.instrument.symbol;
        let step = symbol.instrument.step.raw().max(1);
        Self {
            tick: symbol.instrument.tick.raw().max(1),
            step,
            typical: symbol.typical_trade.raw() as f64 / step as f64,
            noise: Noise::new(seed, &format!("{name}/tape")),
        }
    }

    /// Trades of the second `number` since the origin, in order of time.
    pub(super) fn prints(&self, number: i64, second: Second) -> impl Iterator<Item = Print> {
        let (noise, typical) = (self.noise, self.typical);
        let width = 1_000_000 / i64::from(second.trades.max(1));
        (0..i64::from(second.trades)).map(move |n| {
            let id = number * (i64::from(MOST_TRADES) + 1) + n;
            let bits = noise.bits(id);
            // Each trade has its own part of the second, so they come in order; never on a book update's instant.
            let micros = (n * width + (share(bits) * width as f64) as i64) | 1;
            let moved = micros >= i64::from(second.turn) * 100_000;
            let (best, buys) = if moved { (second.after, second.buys_after) } else { (second.before, second.buys_before) };
            let taker_buys = (bits >> 16) & 0xffff < u64::from(buys);
            // Many small trades, a few large ones; the mean is the typical trade.
            let size = SIZE_SCALE / square(share(bits >> 32) + SIZE_FLOOR);
            Print {
                id: id as u64,
                micros,
                tick: if taker_buys { best.ask } else { best.bid },
                steps: ((typical * size) as i64).max(1),
                taker_buys,
            }
        })
    }

    pub(super) fn public(&self, print: Print) -> PublicTrade {
        PublicTrade { id: TradeId(print.id), price: self.price(print.tick), qty: self.qty(print.steps), buyer_is_maker: !print.taker_buys }
    }

    /// Adds an hour's seconds `from..to` (of that hour) to candles; `opens` tells where in time a second's candle begins.
    pub(super) fn add_to(
        &self,
        candles: &mut Vec<Candle>,
        hour: i64,
        seconds: &[Second],
        span: std::ops::Range<i64>,
        opens: impl Fn(i64) -> Timestamp,
    ) {
        for s in span {
            let number = hour * HOUR + s;
            let open_time = opens(number);
            for print in self.prints(number, seconds[s as usize]) {
                self.add(candles, open_time, print);
            }
        }
    }

    fn add(&self, candles: &mut Vec<Candle>, open_time: Timestamp, print: Print) {
        let (price, qty) = (self.price(print.tick), self.qty(print.steps));
        let bought = if print.taker_buys { qty } else { Qty::ZERO };
        match candles.last_mut().filter(|candle| candle.open_time == open_time) {
            Some(candle) => {
                candle.high = candle.high.max(price);
                candle.low = candle.low.min(price);
                candle.close = price;
                candle.volume += qty;
                candle.taker_buy_volume = candle.taker_buy_volume.map(|so_far| so_far + bought);
                candle.trades += 1;
            }
            None => candles.push(Candle {
                open_time,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: qty,
                taker_buy_volume: Some(bought),
                trades: 1,
            }),
        }
    }

    fn price(&self, tick: i64) -> Price {
        Price::from_raw(tick.saturating_mul(self.tick))
    }

    fn qty(&self, steps: i64) -> Qty {
        Qty::from_raw(i128::from(steps) * self.step)
    }
}
