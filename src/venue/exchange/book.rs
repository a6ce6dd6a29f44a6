//! The book as the exchange displays it, in the same update ids as the depth stream.

use std::collections::BTreeMap;

use crate::domain::{BookSnapshot, DepthDiff, Level, Price, Qty};

/// Unknown until a snapshot, and again after a gap.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
    /// `None` while the book is unknown.
    last_update_id: Option<u64>,
}

impl Book {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn replace(&mut self, snapshot: &BookSnapshot) {
        self.clear();
        self.last_update_id = Some(snapshot.last_update_id);
        set(&mut self.bids, &snapshot.bids);
        set(&mut self.asks, &snapshot.asks);
    }

    /// True when the diff follows the book; an old one is ignored, a gap makes the book unknown.
    pub fn apply(&mut self, diff: &DepthDiff) -> bool {
        match self.last_update_id {
            Some(last) if diff.last_update_id <= last => false,
            Some(last) if diff.first_update_id > last + 1 => {
                self.clear();
                false
            }
            Some(_) => {
                self.last_update_id = Some(diff.last_update_id);
                set(&mut self.bids, &diff.bids);
                set(&mut self.asks, &diff.asks);
                true
            }
            None => false,
        }
    }

    /// The best `levels` of each side; update id 0 and nothing while the book is unknown.
    pub fn top(&self, levels: usize) -> BookSnapshot {
        let level = |(price, qty): (&Price, &Qty)| Level { price: *price, qty: *qty };
        BookSnapshot {
            last_update_id: self.last_update_id.unwrap_or(0),
            bids: self.bids.iter().rev().take(levels).map(level).collect(),
            asks: self.asks.iter().take(levels).map(level).collect(),
        }
    }

    /// Best bid and ask.
    pub fn best(&self) -> Option<(Level, Level)> {
        let (bid, ask) = (self.bids.last_key_value()?, self.asks.first_key_value()?);
        Some((Level { price: *bid.0, qty: *bid.1 }, Level { price: *ask.0, qty: *ask.1 }))
    }

    pub fn last_update_id(&self) -> u64 {
        self.last_update_id.unwrap_or(0)
    }
}

fn set(side: &mut BTreeMap<Price, Qty>, levels: &[Level]) {
    for level in levels {
        if level.qty.is_zero() {
            side.remove(&level.price);
        } else {
            side.insert(level.price, level.qty);
        }
    }
}

/// Diffs of a while, merged into one: the first id of the first, the last of the last, the newest quantity of each level.
#[derive(Debug, Clone, Default)]
pub(super) struct DiffMerge {
    ids: Option<(u64, u64)>,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl DiffMerge {
    pub fn add(&mut self, diff: &DepthDiff) {
        let first = self.ids.map_or(diff.first_update_id, |ids| ids.0);
        self.ids = Some((first, diff.last_update_id));
        self.bids.extend(diff.bids.iter().map(|level| (level.price, level.qty)));
        self.asks.extend(diff.asks.iter().map(|level| (level.price, level.qty)));
    }

    /// The merged diff, if there was any; starts anew.
    pub fn take(&mut self) -> Option<DepthDiff> {
        let (first_update_id, last_update_id) = self.ids.take()?;
        let level = |(price, qty)| Level { price, qty };
        Some(DepthDiff {
            first_update_id,
            last_update_id,
            bids: std::mem::take(&mut self.bids).into_iter().rev().map(level).collect(),
            asks: std::mem::take(&mut self.asks).into_iter().map(level).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: i128) -> Level {
        Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) }
    }

    fn diff(first: u64, last: u64, bids: &[Level]) -> DepthDiff {
        DepthDiff { first_update_id: first, last_update_id: last, bids: bids.to_vec(), asks: vec![] }
    }

    #[test]
    fn merged_diffs_give_the_same_book_as_each_alone() {
        let snapshot = BookSnapshot { last_update_id: 10, bids: vec![level(99, 1), level(98, 2)], asks: vec![level(101, 3)] };
        let diffs = [diff(11, 12, &[level(99, 0), level(97, 5)]), diff(13, 13, &[level(97, 6), level(100, 1)])];
        let (mut single, mut merged, mut merge) = (Book::default(), Book::default(), DiffMerge::default());
        assert!(!single.apply(&diffs[0]), "unknown before a snapshot");
        single.replace(&snapshot);
        merged.replace(&snapshot);
        for diff in &diffs {
            assert!(single.apply(diff));
            merge.add(diff);
        }
        let whole = merge.take().unwrap();
        assert_eq!((whole.first_update_id, whole.last_update_id), (11, 13));
        assert!(merged.apply(&whole) && merge.take().is_none());
        assert_eq!(single.top(10), merged.top(10));
        assert_eq!(single.best().unwrap().0, level(100, 1));
    }

    #[test]
    fn a_gap_makes_the_book_unknown() {
        let mut book = Book::default();
        book.replace(&BookSnapshot { last_update_id: 10, bids: vec![level(99, 1)], asks: vec![level(101, 1)] });
        assert!(!book.apply(&diff(9, 10, &[level(98, 1)])));
        assert!(!book.apply(&diff(12, 13, &[level(98, 1)])));
        assert_eq!((book.best(), book.last_update_id()), (None, 0));
    }
}
