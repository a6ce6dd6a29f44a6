//! The local order book of one market: a snapshot, then diffs, with gap detection.
//!
//! The procedure is the venue's own ("How to manage a local order book correctly", Binance spot web-socket streams, 2025-11-12):
//! diffs with `u <= lastUpdateId` are dropped; the first one applied must straddle `U <= lastUpdateId + 1 <= u`; later ones with `u < id`
//! are ignored and one with `U > id + 1` is a gap: the book is invalid until the next snapshot. Diffs that come while there is no
//! valid book are kept (the newest 2,000) and replayed over the snapshot that follows.
//!
//! The levels of a side are a `Ladder`.

use std::collections::VecDeque;

use super::ladder::Ladder;
use crate::domain::{BookSnapshot, DepthDiff, Level, MarketData, MarketUpdate, Price, Qty, Quote};

/// Diffs kept while there is no valid book: 200 s of a 100 ms stream.
const BUFFERED_DIFFS: usize = 2_000;

/// What became of one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// A diff changed the book.
    Diff,
    /// A diff (or snapshot) older than the book.
    Dropped,
    /// A diff waits for a snapshot.
    Buffered,
    /// A snapshot, with the kept diffs after it, is now the book.
    Snapshot,
    /// Updates are missing: no book until the next snapshot.
    Gap,
    /// Nothing for a book, or only a fresher quote.
    Ignored,
}

/// How many diffs went which way, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BookCounts {
    pub diffs_applied: u64,
    pub diffs_dropped: u64,
    pub gaps: u64,
}

/// Whether the levels are the market's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No snapshot yet, a gap, or an interruption.
    Unknown,
    /// A snapshot no diff has followed yet.
    Based,
    Following,
}

#[derive(Debug, Clone)]
pub struct OrderBook {
    bids: Ladder,
    asks: Ladder,
    id: u64,
    standing: Standing,
    /// True once a snapshot or diff came: from then on a lone quote is not a book.
    fed: bool,
    waiting: VecDeque<DepthDiff>,
    /// Newer than the levels, or all there is.
    quote: Option<Quote>,
    counts: BookCounts,
}

impl Default for OrderBook {
    fn default() -> Self {
        Self {
            bids: Ladder::bids(),
            asks: Ladder::asks(),
            id: 0,
            standing: Standing::Unknown,
            fed: false,
            waiting: VecDeque::new(),
            quote: None,
            counts: BookCounts::default(),
        }
    }
}

impl OrderBook {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn apply(&mut self, update: &MarketUpdate) -> Applied {
        match &update.data {
            MarketData::Snapshot(snapshot) => self.rebase(snapshot),
            MarketData::Depth(diff) => self.follow(diff),
            MarketData::Quote(quote) => self.hear(quote),
            MarketData::Interrupted => {
                self.invalidate();
                self.quote = None;
                self.waiting.clear();
                Applied::Ignored
            }
            MarketData::Trade(_) | MarketData::Candle { .. } => Applied::Ignored,
        }
    }

    /// True while the levels are the market's.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.standing != Standing::Unknown
    }

    /// True once a snapshot or diff was ever given.
    #[must_use]
    pub fn is_fed(&self) -> bool {
        self.fed
    }

    /// The levels are proven wrong: no book until the next snapshot, counted as a gap.
    pub fn give_up(&mut self) {
        if self.is_valid() {
            self.counts.gaps += 1;
            self.invalidate();
        }
    }

    /// The best levels of the valid book itself, whatever is quoted.
    #[must_use]
    pub fn touch(&self) -> Option<(Level, Level)> {
        if self.is_valid() { Some((self.bids.best()?, self.asks.best()?)) } else { None }
    }

    /// The update the levels stand at; of the last valid book while there is none.
    #[must_use]
    pub fn last_update_id(&self) -> u64 {
        self.id
    }

    #[must_use]
    pub fn counts(&self) -> BookCounts {
        self.counts
    }

    #[must_use]
    pub fn best_bid(&self) -> Option<Level> {
        self.best().map(|(bid, _)| bid)
    }

    #[must_use]
    pub fn best_ask(&self) -> Option<Level> {
        self.best().map(|(_, ask)| ask)
    }

    /// Best bid and ask: the last quote when it is newer than the levels or when there never was a book, else the touch of the valid
    /// book. `None` without them or when they cross.
    #[must_use]
    pub fn best(&self) -> Option<(Level, Level)> {
        let (bid, ask) = match self.quote {
            Some(quote) if self.is_valid() || !self.fed => (quote.bid, quote.ask),
            _ if self.is_valid() => (self.bids.best()?, self.asks.best()?),
            _ => return None,
        };
        (bid.price.is_positive() && bid.price < ask.price).then_some((bid, ask))
    }

    #[must_use]
    pub fn mid(&self) -> Option<Price> {
        self.best().map(|(bid, ask)| bid.price.midpoint(ask.price))
    }

    /// Best ask less best bid, in bps of the mid.
    #[must_use]
    pub fn spread_bps(&self) -> Option<f64> {
        self.best().map(|(bid, ask)| (ask.price - bid.price).to_f64() / bid.price.midpoint(ask.price).to_f64() * 1e4)
    }

    /// (bid − ask) / (bid + ask) quantity of the best `levels` of the valid book, or of the quote when there never was a book: −1 to 1.
    #[must_use]
    pub fn imbalance(&self, levels: usize) -> Option<f64> {
        let (bid, ask) = self.best()?;
        let (bids, asks) = if self.fed {
            let sum = |side: &Ladder| side.iter().take(levels).map(|level| level.qty).sum::<Qty>().to_f64();
            (sum(&self.bids), sum(&self.asks))
        } else {
            (bid.qty.to_f64(), ask.qty.to_f64())
        };
        (bids + asks > 0.0).then(|| (bids - asks) / (bids + asks))
    }

    /// The bids of the valid book, best first; the quoted one where there never was a book.
    pub fn bid_levels(&self) -> impl Iterator<Item = Level> + '_ {
        let valid = self.is_valid();
        let quoted = self.quote.filter(|_| !self.fed).map(|quote| quote.bid);
        self.bids.iter().copied().take_while(move |_| valid).chain(quoted)
    }

    /// The best `count` levels of the valid book, best first; empty while there is none.
    #[must_use]
    pub fn bids(&self, count: usize) -> Vec<Level> {
        if self.is_valid() { self.bids.top(count) } else { Vec::new() }
    }

    /// The best `count` levels of the valid book, best first; empty while there is none.
    #[must_use]
    pub fn asks(&self, count: usize) -> Vec<Level> {
        if self.is_valid() { self.asks.top(count) } else { Vec::new() }
    }

    fn rebase(&mut self, snapshot: &BookSnapshot) -> Applied {
        self.fed = true;
        if self.is_valid() && snapshot.last_update_id < self.id {
            return Applied::Dropped;
        }
        self.bids.replace(&snapshot.bids);
        self.asks.replace(&snapshot.asks);
        self.id = snapshot.last_update_id;
        self.standing = Standing::Based;
        self.forget_older_quote();
        let mut waiting = std::mem::take(&mut self.waiting);
        while let Some(diff) = waiting.pop_front() {
            if self.step(&diff) == Applied::Gap {
                // The snapshot is older than what is kept, or something is missing in between: a newer snapshot may still fit.
                waiting.push_front(diff);
                self.waiting = waiting;
                return Applied::Gap;
            }
        }
        Applied::Snapshot
    }

    fn follow(&mut self, diff: &DepthDiff) -> Applied {
        self.fed = true;
        if !self.is_valid() {
            self.keep(diff.clone());
            return Applied::Buffered;
        }
        let applied = self.step(diff);
        if applied == Applied::Gap {
            self.keep(diff.clone());
        }
        applied
    }

    /// One diff against a valid book.
    fn step(&mut self, diff: &DepthDiff) -> Applied {
        let old = match self.standing {
            Standing::Based => diff.last_update_id <= self.id,
            _ => diff.last_update_id < self.id,
        };
        if old {
            self.counts.diffs_dropped += 1;
            return Applied::Dropped;
        }
        if diff.first_update_id > self.id.saturating_add(1) {
            self.counts.gaps += 1;
            self.invalidate();
            return Applied::Gap;
        }
        diff.bids.iter().for_each(|level| self.bids.set(*level));
        diff.asks.iter().for_each(|level| self.asks.set(*level));
        self.id = diff.last_update_id;
        self.standing = Standing::Following;
        self.counts.diffs_applied += 1;
        self.forget_older_quote();
        Applied::Diff
    }

    /// A quote counts beside a valid book only while its update id is newer; it never touches levels or the book's id.
    fn hear(&mut self, quote: &Quote) -> Applied {
        let stale_to_book = self.is_valid() && quote.update_id <= self.id;
        let stale_to_quote = self.quote.is_some_and(|held| quote.update_id < held.update_id);
        if !stale_to_book && !stale_to_quote {
            self.quote = Some(*quote);
        }
        Applied::Ignored
    }

    fn forget_older_quote(&mut self) {
        self.quote = self.quote.filter(|quote| quote.update_id > self.id);
    }

    fn keep(&mut self, diff: DepthDiff) {
        if self.waiting.len() == BUFFERED_DIFFS {
            self.waiting.pop_front();
        }
        self.waiting.push_back(diff);
    }

    fn invalidate(&mut self) {
        self.standing = Standing::Unknown;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Timestamp;

    fn level(price: i64, qty: i128) -> Level {
        Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) }
    }

    fn update(data: MarketData) -> MarketUpdate {
        MarketUpdate { symbol: "BTCUSDT".parse().unwrap(), exchange_time: None, local_time: Timestamp::EPOCH, data }
    }

    fn snapshot(id: u64) -> MarketUpdate {
        let (bids, asks) = (vec![level(100, 5), level(99, 4)], vec![level(102, 3), level(103, 7)]);
        update(MarketData::Snapshot(BookSnapshot { last_update_id: id, bids, asks }))
    }

    fn diff(first: u64, last: u64, bids: &[(i64, i128)]) -> MarketUpdate {
        let bids = bids.iter().map(|(price, qty)| level(*price, *qty)).collect();
        update(MarketData::Depth(DepthDiff { first_update_id: first, last_update_id: last, bids, asks: vec![] }))
    }

    fn quote(id: u64, bid: i64, ask: i64) -> MarketUpdate {
        update(MarketData::Quote(Quote { update_id: id, bid: level(bid, 1), ask: level(ask, 1) }))
    }

    #[test]
    fn early_diffs_wait_for_the_snapshot_and_covered_ones_are_dropped() {
        let mut book = OrderBook::new();
        assert_eq!(book.apply(&diff(5, 9, &[(100, 1)])), Applied::Buffered);
        assert_eq!(book.apply(&diff(10, 12, &[(101, 2)])), Applied::Buffered);
        assert!(!book.is_valid() && book.mid().is_none());
        assert_eq!(book.apply(&snapshot(10)), Applied::Snapshot);
        assert_eq!(book.last_update_id(), 12);
        assert_eq!(book.bids(9), vec![level(101, 2), level(100, 5), level(99, 4)]);
        assert_eq!(book.counts(), BookCounts { diffs_applied: 1, diffs_dropped: 1, gaps: 0 });
    }

    #[test]
    fn a_gap_invalidates_until_a_snapshot_that_the_kept_diffs_continue() {
        let mut book = OrderBook::new();
        book.apply(&snapshot(10));
        assert_eq!(book.apply(&diff(11, 11, &[(100, 0)])), Applied::Diff);
        assert_eq!(book.best_bid(), Some(level(99, 4)));
        assert_eq!(book.apply(&diff(13, 14, &[(99, 9)])), Applied::Gap);
        assert!(!book.is_valid() && book.bids(1).is_empty() && book.best().is_none());
        assert_eq!(book.apply(&diff(15, 15, &[(98, 1)])), Applied::Buffered);
        assert_eq!(book.apply(&snapshot(11)), Applied::Gap, "the snapshot is too old for what is kept");
        assert_eq!(book.apply(&snapshot(13)), Applied::Snapshot);
        assert_eq!((book.last_update_id(), book.counts().gaps), (15, 2));
        assert_eq!(book.bids(9), vec![level(100, 5), level(99, 9), level(98, 1)]);
    }

    #[test]
    fn the_first_diff_after_a_snapshot_must_straddle_it() {
        let mut book = OrderBook::new();
        book.apply(&snapshot(10));
        assert_eq!(book.apply(&diff(9, 10, &[(100, 0)])), Applied::Dropped);
        assert_eq!(book.apply(&diff(12, 13, &[])), Applied::Gap);
        book.apply(&snapshot(20));
        assert_eq!(book.apply(&diff(19, 21, &[(100, 8)])), Applied::Diff);
        assert_eq!(book.apply(&diff(18, 20, &[(100, 1)])), Applied::Dropped);
        assert_eq!(book.best_bid(), Some(level(100, 8)));
    }

    #[test]
    fn a_later_snapshot_rebases_and_diffs_continue_over_a_file_border() {
        let mut book = OrderBook::new();
        book.apply(&snapshot(10));
        book.apply(&diff(11, 20, &[(101, 1)]));
        assert_eq!(book.apply(&snapshot(15)), Applied::Dropped, "older than the book that follows every diff");
        assert_eq!(book.apply(&diff(21, 22, &[])), Applied::Diff);
        assert_eq!(book.apply(&snapshot(30)), Applied::Snapshot);
        assert_eq!((book.last_update_id(), book.bids(1)), (30, vec![level(100, 5)]));
    }

    #[test]
    fn an_interruption_hides_the_book_and_the_quote() {
        let mut book = OrderBook::new();
        book.apply(&snapshot(10));
        book.apply(&quote(11, 100, 101));
        book.apply(&update(MarketData::Interrupted));
        assert!(!book.is_valid() && book.best().is_none());
        book.apply(&quote(40, 100, 101));
        assert_eq!(book.mid(), None, "a market that had a book is not priced by a lone quote");
        assert_eq!(book.apply(&snapshot(5)), Applied::Snapshot, "after a restart the venue may count from the beginning");
        assert!(book.is_valid());
    }

    #[test]
    fn a_quote_is_the_touch_only_while_it_is_newer_than_the_levels() {
        let mut book = OrderBook::new();
        book.apply(&snapshot(10));
        book.apply(&quote(9, 90, 91));
        assert_eq!(book.mid(), Some(Price::from_raw(101)));
        book.apply(&quote(12, 101, 103));
        assert_eq!(book.mid(), Some(Price::from_raw(102)));
        assert_eq!(book.last_update_id(), 10);
        book.apply(&diff(11, 12, &[]));
        assert_eq!(book.best().unwrap().0, level(100, 5));
    }

    #[test]
    fn a_lone_quote_prices_a_market_without_a_book_and_a_crossed_one_prices_nothing() {
        let mut book = OrderBook::new();
        book.apply(&quote(1, 100, 104));
        assert_eq!(book.mid(), Some(Price::from_raw(102)));
        assert!((book.spread_bps().unwrap() - 4.0 / 102.0 * 1e4).abs() < 1e-9);
        assert_eq!(book.imbalance(5), Some(0.0));
        book.apply(&quote(2, 104, 104));
        assert_eq!(book.mid(), None);
    }

    #[test]
    fn the_buffer_is_bounded_and_what_was_lost_is_a_gap() {
        let mut book = OrderBook::new();
        for id in 0..(BUFFERED_DIFFS as u64 + 5) {
            book.apply(&diff(id, id, &[]));
        }
        assert_eq!(book.apply(&snapshot(2)), Applied::Gap);
        assert!(!book.is_valid());
    }

    proptest! {
        /// A plain map, told of every update after the snapshot, holds the same levels.
        #[test]
        fn the_book_equals_a_plain_map(
            changes in proptest::collection::vec((1_i64..60, 0_i128..4, any::<bool>(), 1_u64..4), 1..200),
            snapshot_after in 0_usize..40,
        ) {
            let mut book = OrderBook::new();
            let (mut bids, mut asks) = (BTreeMap::new(), BTreeMap::new());
            let (mut id, mut taken) = (0, false);
            for (number, (price, qty, is_bid, width)) in changes.iter().enumerate() {
                if number == snapshot_after {
                    let side = |map: &BTreeMap<i64, i128>| map.iter().map(|(p, q)| level(*p, *q)).collect::<Vec<_>>();
                    let data = BookSnapshot { last_update_id: id, bids: side(&bids), asks: side(&asks) };
                    book.apply(&update(MarketData::Snapshot(data)));
                    taken = true;
                }
                let price = if *is_bid { *price } else { price + 100 };
                let map = if *is_bid { &mut bids } else { &mut asks };
                if *qty == 0 { map.remove(&price); } else { map.insert(price, *qty); }
                let levels = vec![level(price, *qty)];
                let (b, a) = if *is_bid { (levels, vec![]) } else { (vec![], levels) };
                let diff = DepthDiff { first_update_id: id + 1, last_update_id: id + width, bids: b, asks: a };
                id += width;
                book.apply(&update(MarketData::Depth(diff)));
            }
            prop_assert_eq!(book.is_valid(), taken);
            if taken {
                let expected: Vec<_> = bids.iter().rev().map(|(p, q)| level(*p, *q)).collect();
                prop_assert_eq!(book.bids(usize::MAX), expected);
                let expected: Vec<_> = asks.iter().map(|(p, q)| level(*p, *q)).collect();
                prop_assert_eq!(book.asks(usize::MAX), expected);
                prop_assert_eq!(book.last_update_id(), id);
            }
        }
    }
}
