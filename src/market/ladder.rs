//! One side of an order book: price levels in order, in chunks.
//!
//! A venue's depth stream changes thousands of levels, near the touch and far from it. In one sorted vector a far insertion moves all levels in
//! front of it; in a tree every step is another place in memory. Chunks of some dozens of levels, found through a short vector of their
//! best keys, move two kilobytes at most and are walked in order without a search.

use crate::domain::{Level, Price};

/// A chunk with more levels than this is cut in two.
const FULL: usize = 64;

/// Worst level first: `key` orders prices so that the best is the greatest.
#[derive(Debug, Clone, Default)]
pub(super) struct Ladder {
    chunks: Vec<Vec<Level>>,
    /// The greatest key of each chunk.
    ends: Vec<i64>,
    asks: bool,
}

impl Ladder {
    pub fn bids() -> Self {
        Self::default()
    }

    pub fn asks() -> Self {
        Self { asks: true, ..Self::default() }
    }

    fn key(&self, price: Price) -> i64 {
        if self.asks { price.raw().saturating_neg() } else { price.raw() }
    }

    /// Puts a level where it belongs; one without quantity takes it away.
    pub fn set(&mut self, level: Level) {
        let key = self.key(level.price);
        let mut at = self.ends.partition_point(|end| *end < key);
        if at == self.chunks.len() {
            // Better than the best, or the first.
            if !level.qty.is_positive() {
                return;
            }
            if at == 0 {
                self.chunks.push(Vec::with_capacity(FULL + 1));
                self.ends.push(key);
            }
            at = self.chunks.len() - 1;
        }
        let asks = self.asks;
        let chunk = &mut self.chunks[at];
        let found = chunk.binary_search_by(|held| if asks { level.price.cmp(&held.price) } else { held.price.cmp(&level.price) });
        match found {
            Ok(place) if level.qty.is_positive() => chunk[place].qty = level.qty,
            Ok(place) => {
                chunk.remove(place);
                self.mend(at);
            }
            Err(place) if level.qty.is_positive() => {
                chunk.insert(place, level);
                self.mend(at);
            }
            Err(_) => {}
        }
    }

    /// After a level came or went.
    fn mend(&mut self, at: usize) {
        if self.chunks[at].len() > FULL {
            let mut better = Vec::with_capacity(FULL + 1);
            better.extend(self.chunks[at].drain(FULL / 2..));
            self.chunks.insert(at + 1, better);
            self.ends.insert(at, 0);
            self.note_end(at + 1);
        }
        match self.chunks[at].is_empty() {
            true => {
                self.chunks.remove(at);
                self.ends.remove(at);
            }
            false => self.note_end(at),
        }
    }

    fn note_end(&mut self, at: usize) {
        if let Some(best) = self.chunks[at].last() {
            self.ends[at] = self.key(best.price);
        }
    }

    /// Takes `levels`, best first, instead of what is there.
    pub fn replace(&mut self, levels: &[Level]) {
        self.chunks.clear();
        self.ends.clear();
        let in_order = levels.windows(2).all(|pair| self.key(pair[0].price) > self.key(pair[1].price));
        if !in_order {
            return levels.iter().for_each(|level| self.set(*level));
        }
        let held: Vec<Level> = levels.iter().rev().filter(|level| level.qty.is_positive()).copied().collect();
        for some in held.chunks(FULL / 2) {
            let mut chunk = Vec::with_capacity(FULL + 1);
            chunk.extend_from_slice(some);
            self.chunks.push(chunk);
            self.ends.push(0);
            self.note_end(self.chunks.len() - 1);
        }
    }

    pub fn best(&self) -> Option<Level> {
        self.chunks.last()?.last().copied()
    }

    /// From the best to the worst.
    pub fn iter(&self) -> impl Iterator<Item = &Level> {
        self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev())
    }

    pub fn top(&self, count: usize) -> Vec<Level> {
        self.iter().take(count).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Qty;

    fn level(price: i64, qty: i128) -> Level {
        Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) }
    }

    /// What must be true of chunks besides their levels.
    fn check_shape(ladder: &Ladder) {
        assert_eq!(ladder.chunks.len(), ladder.ends.len());
        for (chunk, end) in ladder.chunks.iter().zip(&ladder.ends) {
            assert!((1..=FULL).contains(&chunk.len()));
            assert_eq!(chunk.last().map(|best| ladder.key(best.price)), Some(*end));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_holds_what_a_plain_map_holds(
            start in prop::collection::btree_map(1_i64..600, 1_i128..9, 0..300),
            changes in prop::collection::vec((1_i64..600, 0_i128..4), 0..900),
            asks in any::<bool>(),
            sorted in any::<bool>(),
        ) {
            let mut ladder = if asks { Ladder::asks() } else { Ladder::bids() };
            let mut first: Vec<Level> = start.iter().map(|(price, qty)| level(*price, *qty)).collect();
            if asks != sorted {
                first.reverse();
            }
            ladder.replace(&first);
            check_shape(&ladder);
            let mut plain: BTreeMap<i64, i128> = start;
            for (price, qty) in changes {
                ladder.set(level(price, qty));
                if qty == 0 { plain.remove(&price) } else { plain.insert(price, qty) };
            }
            check_shape(&ladder);
            let mut expected: Vec<Level> = plain.into_iter().map(|(price, qty)| level(price, qty)).collect();
            if !asks {
                expected.reverse();
            }
            prop_assert_eq!(ladder.best(), expected.first().copied());
            prop_assert_eq!(ladder.top(50), expected.iter().take(50).copied().collect::<Vec<_>>());
            prop_assert_eq!(ladder.top(usize::MAX), expected);
        }
    }
}
