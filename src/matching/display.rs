//! The book that the market displays, as far as matching needs it: levels, their age in update ids, and what we took from them.

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;
use std::iter::Rev;

use crate::domain::{BookSnapshot, DepthDiff, Level, Price, Qty, Quote, Side};

/// Where the levels come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Source {
    /// Unknown: nothing may be priced.
    #[default]
    Nothing,
    /// Best bid and ask only.
    Quotes,
    /// A snapshot and the diffs since.
    Depth,
}

/// One level. `taken` is what our takers took since the displayed quantity last changed, so that nothing is taken twice.
#[derive(Debug, Clone, Copy)]
struct Shown {
    qty: Qty,
    taken: Qty,
}

impl Shown {
    fn left(self) -> Qty {
        self.qty - self.taken
    }
}

type Levels = BTreeMap<Price, Shown>;

/// Levels from the best price on, whichever side they are.
pub(super) enum Rungs<'a, T> {
    Up(Iter<'a, Price, T>),
    Down(Rev<Iter<'a, Price, T>>),
}

impl<'a, T> Iterator for Rungs<'a, T> {
    type Item = (&'a Price, &'a T);
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Up(levels) => levels.next(),
            Self::Down(levels) => levels.next(),
        }
    }
}

/// The displayed book of one symbol.
#[derive(Debug, Clone, Default)]
pub(super) struct Display {
    bids: Levels,
    asks: Levels,
    source: Source,
    last_update_id: u64,
}

impl Display {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_quote_only(&self) -> bool {
        self.source == Source::Quotes
    }

    /// A snapshot replaces everything; unchanged levels keep what was taken from them.
    pub(super) fn replace(&mut self, snapshot: &BookSnapshot) {
        self.bids = renewed(&self.bids, &snapshot.bids);
        self.asks = renewed(&self.asks, &snapshot.asks);
        self.source = Source::Depth;
        self.last_update_id = snapshot.last_update_id;
    }

    /// True when the diff changed the book. An old diff is ignored; a gap makes the book unknown until the next snapshot.
    pub(super) fn apply(&mut self, diff: &DepthDiff) -> bool {
        if self.source != Source::Depth || diff.last_update_id <= self.last_update_id {
            return false;
        }
        if diff.first_update_id > self.last_update_id + 1 {
            self.clear();
            return false;
        }
        diff.bids.iter().for_each(|level| set(&mut self.bids, *level));
        diff.asks.iter().for_each(|level| set(&mut self.asks, *level));
        self.last_update_id = diff.last_update_id;
        true
    }

    /// Without depth the quote is the book. With depth a newer quote removes the levels that it says are gone.
    pub(super) fn quote(&mut self, quote: &Quote) -> bool {
        let sound = quote.bid.price.is_positive() && quote.bid.price < quote.ask.price;
        match self.source {
            Source::Depth if quote.update_id <= self.last_update_id => return false,
            Source::Depth if sound => {
                self.bids.split_off(&Price::from_raw(quote.bid.price.raw() + 1));
                self.asks = self.asks.split_off(&quote.ask.price);
                set(&mut self.bids, quote.bid);
                set(&mut self.asks, quote.ask);
            }
            _ if sound => {
                self.bids = renewed(&self.bids, &[quote.bid]);
                self.asks = renewed(&self.asks, &[quote.ask]);
                self.source = Source::Quotes;
            }
            _ => self.clear(),
        }
        true
    }

    /// Best bid and ask as displayed; `None` when a side is missing or the book is crossed.
    pub(super) fn best(&self) -> Option<(Level, Level)> {
        let level = |(price, shown): (&Price, &Shown)| Level { price: *price, qty: shown.qty };
        let bid = self.bids.last_key_value().map(level)?;
        let ask = self.asks.first_key_value().map(level)?;
        (bid.price < ask.price).then_some((bid, ask))
    }

    /// The best displayed price that a taker of this side meets.
    pub(super) fn touch(&self, taker: Side) -> Option<Price> {
        match taker {
            Side::Buy => self.asks.keys().next().copied(),
            Side::Sell => self.bids.keys().next_back().copied(),
        }
    }

    /// The displayed quantity at a price; `None` where the display does not reach (beyond the last known level).
    pub(super) fn at(&self, side: Side, price: Price) -> Option<Qty> {
        let levels = self.side(side);
        if let Some(shown) = levels.get(&price) {
            return Some(shown.qty);
        }
        let inside = match side {
            Side::Buy => levels.keys().next().is_some_and(|worst| price > *worst),
            Side::Sell => levels.keys().next_back().is_some_and(|worst| price < *worst),
        };
        inside.then_some(Qty::ZERO)
    }

    /// What a taker of this side finds, best price first: quantities that are displayed and not yet taken by us.
    pub(super) fn ladder(&self, taker: Side) -> impl Iterator<Item = (Price, Qty)> + '_ {
        let levels = match taker {
            Side::Buy => Rungs::Up(self.asks.iter()),
            Side::Sell => Rungs::Down(self.bids.iter().rev()),
        };
        levels.map(|(price, shown)| (*price, shown.left())).filter(|(_, left)| left.is_positive())
    }

    /// Remembers that a taker took `qty` at `price`.
    pub(super) fn take(&mut self, taker: Side, price: Price, qty: Qty) {
        let levels = match taker {
            Side::Buy => &mut self.asks,
            Side::Sell => &mut self.bids,
        };
        if let Some(shown) = levels.get_mut(&price) {
            shown.taken += qty;
        }
    }

    fn side(&self, side: Side) -> &Levels {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

fn set(levels: &mut Levels, level: Level) {
    if !level.price.is_positive() {
        return;
    }
    if !level.qty.is_positive() {
        levels.remove(&level.price);
    } else if let Some(shown) = levels.get_mut(&level.price) {
        if shown.qty != level.qty {
            *shown = Shown { qty: level.qty, taken: Qty::ZERO };
        }
    } else {
        levels.insert(level.price, Shown { qty: level.qty, taken: Qty::ZERO });
    }
}

fn renewed(old: &Levels, levels: &[Level]) -> Levels {
    let shown = |level: &Level| {
        let taken = old.get(&level.price).filter(|known| known.qty == level.qty).map_or(Qty::ZERO, |known| known.taken);
        (level.price, Shown { qty: level.qty, taken })
    };
    levels.iter().filter(|level| level.price.is_positive() && level.qty.is_positive()).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: i128) -> Level {
        Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) }
    }

    fn book() -> Display {
        let mut display = Display::default();
        display.replace(&BookSnapshot {
            last_update_id: 10,
            bids: vec![level(99, 5), level(97, 7)],
            asks: vec![level(101, 3), level(102, 4)],
        });
        display
    }

    #[test]
    fn a_gap_makes_the_book_unknown_until_a_snapshot() {
        let mut display = book();
        let diff = |first, last| DepthDiff { first_update_id: first, last_update_id: last, bids: vec![level(99, 0)], asks: vec![] };
        assert!(!display.apply(&diff(5, 10)), "an old diff is ignored");
        assert!(display.apply(&diff(9, 11)), "a straddling diff applies");
        assert_eq!(display.best().unwrap().0, level(97, 7));
        assert!(!display.apply(&diff(13, 14)));
        assert!(display.best().is_none() && !display.apply(&diff(15, 16)));
    }

    #[test]
    fn a_taken_quantity_returns_only_when_the_display_changes() {
        let mut display = book();
        display.take(Side::Buy, Price::from_raw(101), Qty::from_raw(3));
        assert_eq!(display.ladder(Side::Buy).next(), Some((Price::from_raw(102), Qty::from_raw(4))));
        display.apply(&DepthDiff { first_update_id: 11, last_update_id: 11, bids: vec![], asks: vec![level(101, 3)] });
        assert_eq!(display.ladder(Side::Buy).next(), Some((Price::from_raw(102), Qty::from_raw(4))));
        display.apply(&DepthDiff { first_update_id: 12, last_update_id: 12, bids: vec![], asks: vec![level(101, 2)] });
        assert_eq!(display.ladder(Side::Buy).next(), Some((Price::from_raw(101), Qty::from_raw(2))));
    }

    #[test]
    fn a_newer_quote_removes_the_levels_it_passed() {
        let mut display = book();
        assert!(!display.quote(&Quote { update_id: 9, bid: level(50, 1), ask: level(51, 1) }));
        assert!(display.quote(&Quote { update_id: 11, bid: level(97, 2), ask: level(102, 9) }));
        assert_eq!(display.best(), Some((level(97, 2), level(102, 9))));
    }

    #[test]
    fn quotes_alone_are_a_book_of_one_level_and_unknown_beyond() {
        let mut display = Display::default();
        display.quote(&Quote { update_id: 1, bid: level(99, 5), ask: level(101, 3) });
        assert!(display.is_quote_only());
        assert_eq!(display.at(Side::Buy, Price::from_raw(99)), Some(Qty::from_raw(5)));
        assert_eq!(display.at(Side::Buy, Price::from_raw(100)), Some(Qty::ZERO));
        assert_eq!(display.at(Side::Buy, Price::from_raw(98)), None);
        display.quote(&Quote { update_id: 2, bid: level(101, 5), ask: level(101, 3) });
        assert!(display.best().is_none(), "a crossed quote is no book");
    }
}
