//! The market of all symbols: where it comes from, what it has shown, and its candles.

use std::collections::BTreeMap;

use super::bar::Bar;
use super::supply::Supply;
use super::tape::Tape;
use crate::domain::{Interval, MarketUpdate, Span, Symbol, Timestamp};

/// Seconds kept where finished candles come from elsewhere.
const SECONDS_KEPT: Span = Span::from_secs(3_600);

pub(super) struct Market {
    supply: Supply,
    tapes: BTreeMap<Symbol, Tape>,
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
        let mut market = Self { supply, tapes, until: now };
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

    /// Finished bars of `[from, to)`.
    fn finished(&mut self, symbol: Symbol, interval: Interval, from: Timestamp, to: Timestamp) -> Vec<Bar> {
        match self.supply.candles(symbol, interval, from, to) {
            Some(candles) => candles.iter().map(Bar::of_candle).collect(),
            None => self.tapes.get(&symbol).map(|tape| tape.bars(interval, from, to)).unwrap_or_default(),
        }
    }
}
