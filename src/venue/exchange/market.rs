//! The market of all symbols: where it comes from, what it has shown, and its candles.

use std::collections::BTreeMap;

use super::bar::Bar;
use super::grid::Grid;
use super::supply::Supply;
use super::tape::Tape;
use crate::domain::{Interval, MarketUpdate, Span, Symbol, Timestamp};

/// Seconds kept where finished candles come from elsewhere.
const SECONDS_KEPT: Span = Span::from_secs(3_600);
const HOUR_SECS: i64 = 3_600;
/// Hours of all symbols that are kept once they were asked for.
const HOURS_KEPT: usize = 50_000;

pub(super) struct Market {
    supply: Supply,
    tapes: BTreeMap<Symbol, Tape>,
    /// Finished hours that were asked for: they never change, and longer candles are made of them.
    hours: BTreeMap<(Symbol, Timestamp), Bar>,
    /// Everything before this moment has happened.
    pub until: Timestamp,
}

impl Market {
    /// The market as it stands at `now`; `opening` gets what a newcomer must be told.
    pub fn open(mut supply: Supply, symbols: &[Symbol], now: Timestamp, opening: &mut Vec<MarketUpdate>) -> Self {
        let mut tapes: BTreeMap<Symbol, Tape> = symbols.iter().map(|symbol| (*symbol, Tape::default())).collect();
        // The running minute's trades, so that its candle is whole.
        for update in supply.running_minute(now) {
            if let Some(tape) = tapes.get_mut(&update.symbol) {
                tape.record(&update);
            }
        }
        supply.open(now, opening);
        let mut market = Self { supply, tapes, hours: BTreeMap::new(), until: now };
        opening.iter().for_each(|update| market.record(update));
        market
    }

    /// Appends what happens in `[until, to)`.
    pub fn advance(&mut self, to: Timestamp, out: &mut Vec<MarketUpdate>) {
        if to > self.until {
            self.supply.advance(self.until, to, out);
            self.until = to;
            if self.supply.history_start().is_some() {
                let before = to - SECONDS_KEPT;
                self.tapes.values_mut().for_each(|tape| tape.forget(before));
            }
        }
    }

    pub fn record(&mut self, update: &MarketUpdate) {
        if let Some(tape) = self.tapes.get_mut(&update.symbol) {
            tape.record(update);
        }
    }

    pub fn tape(&self, symbol: Symbol) -> Option<&Tape> {
        self.tapes.get(&symbol)
    }

    /// The oldest moment with candles.
    pub fn first_time(&self, symbol: Symbol) -> Timestamp {
        let seen = self.tapes.get(&symbol).and_then(Tape::first_second).unwrap_or(self.until);
        self.supply.history_start().unwrap_or(seen)
    }

    /// Bars that open in `[first, last]`, both on the grid; the forming one included when it is among them.
    pub fn bars(&mut self, symbol: Symbol, interval: Interval, first: Timestamp, last: Timestamp) -> Vec<Bar> {
        let forming = self.until.floor_to(interval);
        let end = (last + interval.span()).min(forming);
        let mut bars = if first < end { self.finished(symbol, interval, first, end) } else { Vec::new() };
        if first <= forming && last >= forming {
            bars.extend(self.forming(symbol, interval));
        }
        bars
    }

    /// The bar that is still open; flat at the last close while nothing has traded in it.
    pub fn forming(&mut self, symbol: Symbol, interval: Interval) -> Option<Bar> {
        let open_time = self.until.floor_to(interval);
        let minute = self.until.floor_to(Interval::MINUTE).max(open_time);
        let mut bar: Option<Bar> = None;
        let minutes = if self.supply.history_start().is_some() && open_time < minute {
            self.finished(symbol, Interval::MINUTE, open_time, minute)
        } else {
            Vec::new()
        };
        let from = if minutes.is_empty() { open_time } else { minute };
        let rest = self.tapes.get(&symbol)?.sum(open_time, from, Timestamp::MAX);
        for part in minutes.into_iter().chain(rest) {
            match &mut bar {
                Some(bar) => bar.extend(&part),
                None => bar = Some(Bar { open_time, ..part }),
            }
        }
        bar.or_else(|| {
            let before = self.finished(symbol, interval, open_time - interval.span(), open_time);
            before.last().map(|bar| Bar::flat(open_time, bar.close))
        })
    }

    /// Candles of any grid that open in `[first, last]`, both on it; the forming one included when it is among them.
    pub fn grid_bars(&mut self, symbol: Symbol, grid: Grid, first: Timestamp, last: Timestamp) -> Vec<Bar> {
        if let Some(interval) = grid.plain() {
            return self.bars(symbol, interval, first, last);
        }
        let part = grid.part();
        let end = grid.next(last).min(self.until + Span::from_nanos(1));
        let from = first.max(self.first_time(symbol).floor_to(part));
        let mut bars: Vec<Bar> = Vec::new();
        for bar in self.bars(symbol, part, from, (end - Span::from_nanos(1)).floor_to(part)) {
            let open_time = grid.open_of(bar.open_time);
            match bars.last_mut() {
                Some(whole) if whole.open_time == open_time => whole.extend(&bar),
                _ => bars.push(Bar { open_time, ..bar }),
            }
        }
        bars
    }

    /// What happened since `from`, in parts: minutes up to the first full hour, hours, the forming one.
    pub fn since(&mut self, symbol: Symbol, from: Timestamp) -> Vec<Bar> {
        let hour = Interval::from_secs(HOUR_SECS).unwrap_or(Interval::MINUTE);
        let from = from.max(self.first_time(symbol)).floor_to(Interval::MINUTE);
        let floor = from.floor_to(hour);
        let full = if floor < from { floor + hour.span() } else { floor };
        let last = self.until.floor_to(Interval::MINUTE);
        if full > last {
            return self.bars(symbol, Interval::MINUTE, from, last);
        }
        let mut bars = if from < full { self.bars(symbol, Interval::MINUTE, from, full - Interval::MINUTE.span()) } else { Vec::new() };
        bars.extend(self.bars(symbol, hour, full, self.until.floor_to(hour)));
        bars
    }

    pub fn symbols(&self) -> Vec<Symbol> {
        self.tapes.keys().copied().collect()
    }

    /// Finished bars of `[from, to)`.
    fn finished(&mut self, symbol: Symbol, interval: Interval, from: Timestamp, to: Timestamp) -> Vec<Bar> {
        if self.supply.history_start().is_some() && interval.secs() % HOUR_SECS == 0 {
            return self.finished_hours(symbol, interval, from, to);
        }
        match self.supply.candles(symbol, interval, from, to) {
            Some(candles) => candles.iter().map(Bar::of_candle).collect(),
            None => self.tapes.get(&symbol).map(|tape| tape.bars(interval, from, to)).unwrap_or_default(),
        }
    }

    /// Bars of whole hours, from the kept ones and from new ones that are kept.
    fn finished_hours(&mut self, symbol: Symbol, interval: Interval, from: Timestamp, to: Timestamp) -> Vec<Bar> {
        let hour = Interval::from_secs(HOUR_SECS).unwrap_or(Interval::MINUTE);
        let mut at = from.max(self.supply.history_start().unwrap_or(from)).floor_to(hour);
        let mut bars: Vec<Bar> = Vec::new();
        while at < to {
            let known = self.hours.get(&(symbol, at)).copied();
            let bar = known.or_else(|| {
                let candles = self.supply.candles(symbol, hour, at, at + hour.span())?;
                candles.first().map(Bar::of_candle)
            });
            if let Some(bar) = bar {
                if known.is_none() {
                    if self.hours.len() >= HOURS_KEPT {
                        self.hours.clear();
                    }
                    self.hours.insert((symbol, at), bar);
                }
                let open_time = at.floor_to(interval);
                match bars.last_mut() {
                    Some(whole) if whole.open_time == open_time => whole.extend(&bar),
                    _ => bars.push(Bar { open_time, ..bar }),
                }
            }
            at = at + hour.span();
        }
        bars
    }
}
