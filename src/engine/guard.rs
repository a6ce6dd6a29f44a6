//! What the limits remember: how markets move together, what people changed, what is at its end, and how far a halt has come.

use serde::{Deserialize, Serialize};

use super::{Engine, Snapshot};
use crate::domain::Timestamp;
use crate::protocol::{HaltView, LimitAnswer, LimitName};
use crate::trading::execution::Purpose;
use crate::trading::risk::{Correlation, HaltReason, LimitChanges, Watches};

/// Kept with the trading state; an older state has none of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Guard {
    pub(super) correlation: Correlation,
    pub(super) changes: LimitChanges,
    pub(super) watches: Watches,
    /// Limits that positions are being sold down to.
    pub(super) reducing: Vec<LimitName>,
    pub(super) critical: bool,
    pub(super) answer: Option<LimitAnswer>,
    halt: Option<HaltNote>,
}

/// A halt and what is still open of what it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HaltNote {
    reason: String,
    asked: Timestamp,
    /// Positions and all orders are to end, not only entries.
    flatten: bool,
    entries: u32,
    cancelled: u32,
    outstanding: u32,
    last_ack: Option<Timestamp>,
}

impl Guard {
    pub(super) fn is_reducing(&self) -> bool {
        !self.reducing.is_empty()
    }

    pub(super) fn reducing_text(&self) -> String {
        let names: Vec<&str> = self.reducing.iter().map(|name| name.key()).collect();
        format!("selling down to {}", names.join(", "))
    }

    pub(super) fn answer(&self) -> Option<&LimitAnswer> {
        self.answer.as_ref()
    }

    pub(super) fn halt_view(&self) -> Option<HaltView> {
        self.halt.as_ref().map(|note| HaltView {
            reason: note.reason.clone(),
            asked: note.asked,
            cancelled: note.cancelled,
            outstanding: note.outstanding,
            last_ack: note.last_ack,
        })
    }
}

impl Snapshot {
    /// What people said in another book of the same account, after everything in this one: the limits that they changed, and that they
    /// halted. It holds here too.
    pub fn heed(&mut self, later: &Self) {
        self.guard.changes.heed(&later.guard.changes);
        if matches!(later.breakers.halted(), Some(HaltReason::Hand | HaltReason::Flatten)) && self.breakers.halted().is_none() {
            self.breakers.halt(HaltReason::Hand);
            let note =
                |note: &HaltNote| HaltNote { flatten: false, entries: 0, cancelled: 0, outstanding: 0, last_ack: None, ..note.clone() };
            self.guard.halt = later.guard.halt.as_ref().map(note);
        }
    }
}

impl Engine {
    /// A halt begins: what it has to end is counted from here.
    pub(super) fn note_halt(&mut self, reason: String, flatten: bool) {
        let (entries, outstanding) = self.outstanding(flatten);
        let note = HaltNote { reason, asked: self.now, flatten, entries, cancelled: 0, outstanding, last_ack: None };
        self.guard.halt = Some(note);
    }

    /// After each event: whether the venue's word has ended something that the halt waits for.
    pub(super) fn follow_halt(&mut self) {
        if self.guard.halt.is_none() {
            return;
        }
        if self.breakers.halted().is_none() {
            self.guard.halt = None;
            return;
        }
        let flatten = self.guard.halt.as_ref().is_some_and(|note| note.flatten);
        let (entries, outstanding) = self.outstanding(flatten);
        let Some(note) = self.guard.halt.as_mut() else { return };
        if outstanding < note.outstanding {
            note.last_ack = Some(self.now);
            self.dirty = true;
        }
        note.cancelled += note.entries.saturating_sub(entries);
        (note.entries, note.outstanding) = (entries, outstanding);
    }

    /// Live entries; and all that has yet to end.
    fn outstanding(&self, flatten: bool) -> (u32, u32) {
        let entries = self.orders.live().filter(|order| order.purpose == Purpose::Entry).count();
        if !flatten {
            return (entries as u32, entries as u32);
        }
        let held = self.desks.values().filter(|desk| desk.trade.as_ref().is_some_and(|trade| trade.held().is_positive())).count();
        (entries as u32, (self.orders.live().count() + held) as u32)
    }
}
