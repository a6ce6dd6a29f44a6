//! A queue of things that become due: how drivers delay requests and reports.

use std::collections::BTreeMap;

use crate::domain::Timestamp;

/// Items come out by due time; equal times come out in the order of insertion.
#[derive(Debug, Clone)]
pub struct DelayQueue<T> {
    items: BTreeMap<(Timestamp, u64), T>,
    pushed: u64,
}

impl<T> DelayQueue<T> {
    #[must_use]
    pub const fn new() -> Self {
        Self { items: BTreeMap::new(), pushed: 0 }
    }

    pub fn push(&mut self, due: Timestamp, item: T) {
        self.items.insert((due, self.pushed), item);
        self.pushed += 1;
    }

    /// The earliest item whose time has come.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        let first = self.items.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((due, _), item) = first.remove_entry();
        Some((due, item))
    }

    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.items.keys().next().map(|(due, _)| *due)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Default for DelayQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_when_due_in_order_of_time_then_insertion() {
        let at = Timestamp::from_millis;
        let mut queue = DelayQueue::new();
        for (due, item) in [(5, "late"), (1, "first"), (1, "second")] {
            queue.push(at(due), item);
        }
        assert_eq!(queue.next_due(), Some(at(1)));
        assert_eq!(queue.pop_due(at(0)), None);
        assert_eq!(queue.pop_due(at(4)), Some((at(1), "first")));
        assert_eq!(queue.pop_due(at(4)), Some((at(1), "second")));
        assert_eq!(queue.pop_due(at(4)), None);
        assert_eq!(queue.pop_due(at(5)), Some((at(5), "late")));
        assert!(queue.is_empty() && queue.next_due().is_none());
    }
}
