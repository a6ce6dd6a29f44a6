//! What the market of one symbol has shown so far: its book, recent trades, and a bar for each second.

use std::collections::{BTreeMap, VecDeque};

use super::bar::Bar;
use super::book::Book;
use crate::domain::{Interval, Level, MarketData, MarketUpdate, Price, PublicTrade, Quote, Timestamp};

/// Trades that `/trades` and `/aggTrades` can show.
const TRADES_KEPT: usize = 5_000;
const SECOND: Interval = match Interval::from_secs(1) {
    Some(second) => second,
    None => Interval::MINUTE,
};

/// A public trade and its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traded {
    pub at: Timestamp,
    pub trade: PublicTrade,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tape {
    pub book: Book,
    /// The last quote, where the market states quotes of its own.
    pub quote: Option<Quote>,
    trades: VecDeque<Traded>,
    seconds: BTreeMap<Timestamp, Bar>,
}

impl Tape {
    pub fn record(&mut self, update: &MarketUpdate) {
        match &update.data {
            MarketData::Snapshot(snapshot) => self.book.replace(snapshot),
            MarketData::Depth(diff) => {
                self.book.apply(diff);
            }
            MarketData::Quote(quote) => self.quote = Some(*quote),
            MarketData::Trade(trade) => self.traded(update.local_time, trade),
            MarketData::Interrupted => {
                self.book.clear();
                self.quote = None;
            }
            MarketData::Candle { .. } => {}
        }
    }

    fn traded(&mut self, at: Timestamp, trade: &PublicTrade) {
        self.trades.push_back(Traded { at, trade: *trade });
        if self.trades.len() > TRADES_KEPT {
            self.trades.pop_front();
        }
        let second = at.floor_to(SECOND);
        let bar = Bar::of_trade(second, trade);
        self.seconds.entry(second).and_modify(|known| known.extend(&bar)).or_insert(bar);
    }

    /// Forgets seconds before `before`.
    pub fn forget(&mut self, before: Timestamp) {
        if self.seconds.first_key_value().is_some_and(|(first, _)| *first < before) {
            self.seconds = self.seconds.split_off(&before);
        }
    }

    /// Best bid and ask with the update id they belong to: the market's own quote, else the book's top.
    pub fn best(&self) -> Option<(u64, Level, Level)> {
        match self.quote {
            Some(quote) => Some((quote.update_id, quote.bid, quote.ask)),
            None => self.book.best().map(|(bid, ask)| (self.book.last_update_id(), bid, ask)),
        }
    }

    pub fn last_price(&self) -> Option<Price> {
        self.trades.back().map(|traded| traded.trade.price)
    }

    /// The newest `limit` trades, oldest first.
    pub fn trades(&self, limit: usize) -> impl Iterator<Item = &Traded> {
        self.trades.iter().skip(self.trades.len().saturating_sub(limit))
    }

    pub fn first_second(&self) -> Option<Timestamp> {
        self.seconds.keys().next().copied()
    }

    /// The sum of the seconds in `[from, to)`, named `open_time`; `None` without a trade.
    pub fn sum(&self, open_time: Timestamp, from: Timestamp, to: Timestamp) -> Option<Bar> {
        let mut seconds = self.seconds.range(from..to).map(|(_, bar)| bar);
        let mut sum = Bar { open_time, ..*seconds.next()? };
        seconds.for_each(|bar| sum.extend(bar));
        Some(sum)
    }

    /// Bars of `[from, to)`, both on the grid of `interval`; from the first trade on, intervals without one carry the last close.
    pub fn bars(&self, interval: Interval, from: Timestamp, to: Timestamp) -> Vec<Bar> {
        let Some(first) = self.first_second() else { return Vec::new() };
        let from = from.max(first.floor_to(interval));
        let mut last = self.seconds.range(..from).next_back().map(|(_, bar)| bar.close);
        let mut bars = Vec::new();
        let mut open_time = from;
        while open_time < to {
            let end = open_time + interval.span();
            let bar = self.sum(open_time, open_time, end).or_else(|| last.map(|price| Bar::flat(open_time, price)));
            if let Some(bar) = bar {
                last = Some(bar.close);
                bars.push(bar);
            }
            open_time = end;
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TradeId;

    #[test]
    fn intervals_without_trades_carry_the_last_close() {
        let mut tape = Tape::default();
        let at = |secs: i64| Timestamp::from_millis(secs * 1_000);
        for (secs, price) in [(61, "10"), (64, "12"), (66, "11"), (77, "9")] {
            let trade = PublicTrade { id: TradeId(1), price: price.parse().unwrap(), qty: "1".parse().unwrap(), buyer_is_maker: true };
            tape.traded(at(secs), &trade);
        }
        let five = Interval::from_secs(5).unwrap();
        let bars = tape.bars(five, at(0), at(80));
        let shown: Vec<_> = bars.iter().map(|b| (b.open_time.millis() / 1_000, b.close.to_string(), b.trades)).collect();
        assert_eq!(shown, [(60, "12".into(), 2), (65, "11".into(), 1), (70, "11".into(), 0), (75, "9".into(), 1)]);
        assert_eq!(bars, tape.bars(five, at(60), at(80)));
        assert_eq!(tape.bars(five, at(70), at(80)), bars[2..]);
        tape.forget(at(66));
        assert_eq!(tape.first_second(), Some(at(66)));
    }
}
