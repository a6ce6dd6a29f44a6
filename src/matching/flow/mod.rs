//! The seeded synthetic market: books, quotes, trades and candles as a pure function of (configuration, seed, time).
//!
//! *Takes*: a `FlowConfig` and times. *Gives*: candles, book snapshots, and `MarketUpdate`s in order of time. Orders of ours never change it, and
//! nothing has to be stored: after a restart the same configuration gives the same market.
//!
//! Time is cut in tenths of a second since the origin. A tenth's book is there from its first instant, where its quote (if the best level
//! changed) and its depth diff are sent; trades fall between. Update ids are 16 a tenth, trade ids 64 a second.
//!
//! Invariants
//! 1. Same configuration, same data, whatever was asked before (`tests::overlapping_calls_agree_in_the_overlap`).
//! 2. Candles are exactly the sums of the trades (`tests::candles_are_the_sums_of_the_trades`).
//! 3. A snapshot and the diffs after it give the next snapshot (`tests::a_snapshot_and_the_diffs_give_the_next_snapshot`).
//! 4. Without edge returns are uncorrelated in time (`facts::returns_do_not_predict_returns`); volatility clusters and tails are fat as in measured
//!    markets (`facts::volatility_clusters_as_it_really_does`, `facts::tails_are_as_fat_as_real_ones`), spreads, trades and levels have real sizes
//!    (`facts::spreads_trades_and_levels_have_real_sizes`), symbols move together (`tests::returns_look_like_a_market`).
//! 5. With edge the taker-buy share predicts the next return (`tests::edge_shows_in_causal_features`).
//!
//! *Never*: a clock, a stored state, a function whose result depends on the processor.

mod config;
#[cfg(test)]
mod facts;
mod ladder;
mod noise;
mod path;
mod tape;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use config::{FlowConfig, FlowSymbol};
use ladder::Ladder;
use path::{Best, HOUR, Path, Second};
use tape::Tape;

use crate::domain::{BookSnapshot, Candle, DepthDiff, Interval, MarketData, MarketUpdate, Price, Quote, Span, Symbol, Timestamp, TradeId};

const TENTH_NS: i64 = 100_000_000;
const SECOND_NS: i64 = 1_000_000_000;
const IDS_PER_TENTH: i64 = 16;
/// Hours of seconds kept at hand, over all symbols.
const KEPT_HOURS: usize = 48;

/// The market. Methods take `&mut self` only for the memory of recent hours.
#[derive(Debug, Clone)]
pub struct Flow {
    config: FlowConfig,
    origin: Timestamp,
    markets: Vec<Market>,
    recent: VecDeque<(usize, i64, Arc<Vec<Second>>)>,
}

#[derive(Debug, Clone)]
struct Market {
    symbol: Symbol,
    tick: Price,
    path: Path,
    ladder: Ladder,
    tape: Tape,
}

impl Flow {
    #[must_use]
    pub fn new(config: FlowConfig) -> Self {
        let day = Span::from_secs(86_400);
        let origin = Timestamp::EPOCH + day.times(config.origin.day());
        let market = |symbol: &FlowSymbol| Market {
            symbol: symbol.instrument.symbol,
            tick: symbol.instrument.tick,
            path: Path::new(&config, symbol),
            ladder: Ladder::new(config.seed, symbol),
            tape: Tape::new(config.seed, symbol),
        };
        let markets = config.symbols.iter().map(market).collect();
        Self { config, origin, markets, recent: VecDeque::new() }
    }

    #[must_use]
    pub const fn config(&self) -> &FlowConfig {
        &self.config
    }

    /// The first moment of the market.
    #[must_use]
    pub const fn origin(&self) -> Timestamp {
        self.origin
    }

    /// Candles with `from <= open_time` that have finished by `to`; empty for an unknown symbol.
    pub fn candles(&mut self, symbol: Symbol, interval: Interval, from: Timestamp, to: Timestamp) -> Vec<Candle> {
        let Some(index) = self.index(symbol) else { return Vec::new() };
        let first = ceiling(from.max(self.origin), interval);
        let end = to.floor_to(interval);
        let (first_second, end_second) = (self.seconds_to(first), self.seconds_to(end));
        let mut candles = Vec::with_capacity(usize::try_from((end_second - first_second) / interval.secs()).unwrap_or(0));
        let origin = self.origin;
        let mut at = first_second;
        while at < end_second {
            let hour = at.div_euclid(HOUR);
            let until = end_second.min((hour + 1) * HOUR);
            let seconds = self.hour(index, hour);
            let opens = |second: i64| (origin + Span::from_secs(second)).floor_to(interval);
            self.markets[index].tape.add_to(&mut candles, hour, &seconds, at - hour * HOUR..until - hour * HOUR, opens);
            at = until;
        }
        candles
    }

    /// The displayed book at a moment, 120 levels a side; `None` for an unknown symbol or before the origin.
    pub fn snapshot(&mut self, symbol: Symbol, at: Timestamp) -> Option<BookSnapshot> {
        let (index, tenth) = (self.index(symbol)?, self.tenth(at)?);
        let best = self.best(index, tenth);
        let ladder = &self.markets[index].ladder;
        let (bids, asks) = ladder.levels(&ladder.sides(best, tenth));
        Some(BookSnapshot { last_update_id: last_id(tenth), bids, asks })
    }

    /// The middle of the displayed best prices; `None` for an unknown symbol or before the origin.
    pub fn mid(&mut self, symbol: Symbol, at: Timestamp) -> Option<Price> {
        let (index, tenth) = (self.index(symbol)?, self.tenth(at)?);
        Some(self.best(index, tenth).mid(self.markets[index].tick))
    }

    /// Everything that the market sends in `from <= exchange_time < to`, in order of time; at one instant in the order of `symbols`.
    /// The local time equals the exchange time: drivers add latency. Ask for short stretches: a minute of one symbol is about 900 updates.
    pub fn updates(&mut self, symbols: &[Symbol], from: Timestamp, to: Timestamp) -> Vec<MarketUpdate> {
        let mut all = Vec::new();
        for symbol in symbols {
            if let Some(index) = self.index(*symbol) {
                self.updates_of(index, from.max(self.origin), to, &mut all);
            }
        }
        if symbols.len() > 1 {
            all.sort_by_key(|update| update.local_time);
        }
        all
    }

    fn updates_of(&mut self, index: usize, from: Timestamp, to: Timestamp, out: &mut Vec<MarketUpdate>) {
        let since_origin = from.since(self.origin).nanos();
        let mut tenth = since_origin.div_euclid(TENTH_NS);
        // The book just before the first diff that may be sent.
        let mut sides = {
            let best = self.best(index, (tenth - 1).max(0));
            self.markets[index].ladder.sides(best, (tenth - 1).max(0))
        };
        let mut hour = (i64::MIN, Arc::new(Vec::new()));
        while self.start_of(tenth) < to {
            let number = tenth.div_euclid(10);
            if hour.0 != number.div_euclid(HOUR) {
                hour = (number.div_euclid(HOUR), self.hour(index, number.div_euclid(HOUR)));
            }
            let second = hour.1[number.rem_euclid(HOUR) as usize];
            let market = &self.markets[index];
            let at = self.start_of(tenth);
            let before = market.ladder.best(&sides);
            let changes = market.ladder.advance(&mut sides, quote_in(second, tenth), tenth);
            if at >= from && tenth > 0 {
                let last_update_id = last_id(tenth);
                let best = market.ladder.best(&sides);
                if let (true, Some((bid, ask))) = (best != before, best) {
                    out.push(market.update(at, MarketData::Quote(Quote { update_id: last_update_id, bid, ask })));
                }
                let first_update_id = last_id(tenth - 1) + 1;
                let diff = DepthDiff { first_update_id, last_update_id, bids: changes.bids, asks: changes.asks };
                out.push(market.update(at, MarketData::Depth(diff)));
            }
            let start = self.origin + Span::from_secs(number);
            let part = tenth.rem_euclid(10) * 100_000;
            for print in market.tape.prints(number, second).filter(|print| (part..part + 100_000).contains(&print.micros)) {
                let at = start + Span::from_nanos(print.micros * 1_000);
                if from <= at && at < to {
                    out.push(market.update(at, MarketData::Trade(market.tape.public(print))));
                }
            }
            tenth += 1;
        }
    }

    /// The id of the first trade at or after a moment, if one happens then: ids only depend on time.
    #[must_use]
    pub fn first_trade_id(&self, at: Timestamp) -> TradeId {
        let second = self.seconds_to(at).max(0);
        TradeId((second * (i64::from(tape::MOST_TRADES) + 1)) as u64)
    }

    fn index(&self, symbol: Symbol) -> Option<usize> {
        self.markets.iter().position(|market| market.symbol == symbol)
    }

    fn seconds_to(&self, at: Timestamp) -> i64 {
        at.since(self.origin).nanos().div_euclid(SECOND_NS)
    }

    fn tenth(&self, at: Timestamp) -> Option<i64> {
        let nanos = at.since(self.origin).nanos();
        (nanos >= 0).then(|| nanos.div_euclid(TENTH_NS))
    }

    fn start_of(&self, tenth: i64) -> Timestamp {
        self.origin + Span::from_nanos(tenth.saturating_mul(TENTH_NS))
    }

    fn best(&mut self, index: usize, tenth: i64) -> Best {
        let number = tenth.div_euclid(10);
        let seconds = self.hour(index, number.div_euclid(HOUR));
        quote_in(seconds[number.rem_euclid(HOUR) as usize], tenth)
    }

    fn hour(&mut self, index: usize, hour: i64) -> Arc<Vec<Second>> {
        if let Some(place) = self.recent.iter().position(|(i, h, _)| (*i, *h) == (index, hour)) {
            return Arc::clone(&self.recent[place].2);
        }
        let seconds = Arc::new(self.markets[index].path.hour(hour));
        if self.recent.len() == KEPT_HOURS {
            self.recent.pop_front();
        }
        self.recent.push_back((index, hour, Arc::clone(&seconds)));
        seconds
    }
}

impl Market {
    const fn update(&self, at: Timestamp, data: MarketData) -> MarketUpdate {
        MarketUpdate { symbol: self.symbol, exchange_time: Some(at), local_time: at, data }
    }
}

fn quote_in(second: Second, tenth: i64) -> Best {
    if tenth.rem_euclid(10) >= i64::from(second.turn) { second.after } else { second.before }
}

const fn last_id(tenth: i64) -> u64 {
    ((tenth + 1) * IDS_PER_TENTH) as u64
}

fn ceiling(at: Timestamp, interval: Interval) -> Timestamp {
    let floor = at.floor_to(interval);
    if floor == at { at } else { floor + interval.span() }
}
