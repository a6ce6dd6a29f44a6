//! Orders that the venue took over one way and must report over the other: a user stream that says nothing about them is deaf.
//!
//! A connection may answer pings and deliver nothing. Source: Binance user-data-stream.md, every new order is an `executionReport`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::ClientOrderId;

/// Reports remembered: one may come before the answer that it belongs to.
const REMEMBERED: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Taken by the venue and not reported, with when its answer came.
    waiting: BTreeMap<ClientOrderId, Instant>,
    heard: BTreeSet<ClientOrderId>,
    /// `heard`, the oldest first.
    ages: VecDeque<ClientOrderId>,
    /// What was overdue at the last look.
    suspected: Option<ClientOrderId>,
}

impl Owed {
    /// The venue took this order: its report is due.
    pub fn owe(&mut self, id: ClientOrderId, now: Instant) {
        if !self.heard.contains(&id) {
            self.waiting.entry(id).or_insert(now);
        }
    }

    /// The stream spoke of this order.
    pub fn heard(&mut self, id: ClientOrderId) {
        self.waiting.remove(&id);
        if !self.heard.insert(id) {
            return;
        }
        self.ages.push_back(id);
        if self.ages.len() > REMEMBERED
            && let Some(oldest) = self.ages.pop_front()
        {
            self.heard.remove(&oldest);
        }
    }

    /// Nobody listened without a break: nothing is owed any more.
    pub fn forgive(&mut self) {
        (self.waiting, self.suspected) = Default::default();
    }

    /// An order that was not reported within `patience`, found at two looks in a row: after a halt of this program what was owed may
    /// still wait to be read.
    pub fn overdue(&mut self, now: Instant, patience: Duration) -> Option<ClientOrderId> {
        let late = self.waiting.iter().filter(|(_, at)| now.saturating_duration_since(**at) >= patience);
        let late = late.min_by_key(|(_, at)| **at).map(|(id, _)| *id);
        let before = std::mem::replace(&mut self.suspected, late);
        late.filter(|_| before == late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RunId;

    const PATIENCE: Duration = Duration::from_secs(5);

    const fn id(sequence: u64) -> ClientOrderId {
        ClientOrderId { run: RunId(1), sequence }
    }

    #[test]
    fn an_order_that_is_not_reported_in_time_is_overdue_at_the_second_look() {
        let (mut owed, start) = (Owed::default(), Instant::now());
        owed.owe(id(1), start);
        assert_eq!(owed.overdue(start + Duration::from_secs(4), PATIENCE), None);
        assert_eq!(owed.overdue(start + PATIENCE, PATIENCE), None);
        assert_eq!(owed.overdue(start + PATIENCE, PATIENCE), Some(id(1)));
        owed.heard(id(1));
        assert_eq!(owed.overdue(start + PATIENCE, PATIENCE), None);
    }

    #[test]
    fn a_report_that_comes_between_two_looks_clears_the_stream() {
        let (mut owed, start) = (Owed::default(), Instant::now());
        owed.owe(id(1), start);
        owed.owe(id(2), start + Duration::from_secs(1));
        assert_eq!(owed.overdue(start + PATIENCE, PATIENCE), None);
        owed.heard(id(1));
        assert_eq!(owed.overdue(start + Duration::from_secs(6), PATIENCE), None, "another order than the one that was suspected");
        assert_eq!(owed.overdue(start + Duration::from_secs(6), PATIENCE), Some(id(2)));
    }

    #[test]
    fn a_report_may_come_before_the_answer() {
        let (mut owed, start) = (Owed::default(), Instant::now());
        owed.heard(id(1));
        owed.owe(id(1), start);
        for _ in 0..3 {
            assert_eq!(owed.overdue(start + PATIENCE, PATIENCE), None);
        }
    }

    #[test]
    fn nothing_is_owed_across_a_break_and_memory_is_bounded() {
        let (mut owed, start) = (Owed::default(), Instant::now());
        owed.owe(id(1), start);
        owed.forgive();
        for _ in 0..3 {
            assert_eq!(owed.overdue(start + PATIENCE, PATIENCE), None);
        }
        for sequence in 0..3 * REMEMBERED as u64 {
            owed.heard(id(sequence));
        }
        assert!(owed.heard.len() == REMEMBERED && owed.ages.len() == REMEMBERED);
    }
}
