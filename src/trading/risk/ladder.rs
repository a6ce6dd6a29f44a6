//! Going live gradually: the rung, the evidence it gathers, what the next one asks for, and what throws it back.
//!
//! Climbing is one rung at a time, by hand, when every gate of the next rung passes. Stepping back is one rung, at once, by a rule or by
//! hand. Both begin the evidence anew.

mod gates;
mod size;

pub use gates::LadderRules;
pub use size::SizeCap;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::domain::{Bps, Money, Span, Timestamp};
use crate::protocol::{CostRecord, LadderView, Rung, RungChange, RungGate, RungReason, VenueRefusal};

/// Moves, trades and refusals that are remembered.
const CHANGES_KEPT: usize = 64;
const TRADES_KEPT: usize = 500;
const REFUSALS_KEPT: usize = 100;
/// A pause longer than this between two marks was not watched.
const LONGEST_WATCH: Span = Span::from_secs(5);

/// A trade that closed on the present rung.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RungTrade {
    pub at: Timestamp,
    pub net_bps: f64,
    pub slippage_bps: f64,
}

/// What was seen on the present rung.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Time with the box running, and that of it with every book valid.
    pub watched: Span,
    pub valid: Span,
    /// Books that are not valid now.
    pub broken_books: u32,
    /// Change of the clock's offset since it was first measured; `None`: unknown.
    pub clock_drift: Option<Span>,
    pub trades: VecDeque<RungTrade>,
    pub tests_in_row: u32,
    pub filter_refusals: VecDeque<Timestamp>,
    /// Assets of which venue and books state other amounts; `None` before the venue stated any.
    pub mismatches: Option<u32>,
    pub worst_drawdown: Bps,
    /// Trading is halted now.
    pub halted: bool,
}

/// What a mark of the books shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    pub broken_books: u32,
    pub clock_drift: Option<Span>,
    pub mismatches: Option<u32>,
    pub drawdown: Option<Bps>,
    pub halted: bool,
}

/// The ladder as it is kept in the data file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ladder {
    rung: Rung,
    since: Timestamp,
    /// Oldest first, at most 64.
    changes: VecDeque<RungChange>,
    evidence: Evidence,
    /// The halt that stands was acted on.
    #[serde(default)]
    halt_seen: bool,
    #[serde(skip)]
    last_sight: Option<Timestamp>,
}

impl Ladder {
    /// The lowest rung, from `at` on.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { since: at, ..Self::default() }
    }

    #[must_use]
    pub fn rung(&self) -> Rung {
        self.rung
    }

    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &RungChange> {
        self.changes.iter()
    }

    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What `rung` asks for, with what there is.
    #[must_use]
    pub fn entry_test(&self, rung: Rung, now: Timestamp, rules: &LadderRules, limits: &Limits) -> Vec<RungGate> {
        gates::judge(rung, &self.evidence, &gates::Test { now, rules, limits, changes: &self.changes })
    }

    /// For people: the last moves, and what the next rung asks for.
    #[must_use]
    pub fn view(&self, now: Timestamp, rules: &LadderRules, limits: &Limits, moves: usize) -> LadderView {
        let next = self.rung.next();
        LadderView {
            rung: self.rung,
            since: self.since,
            allocated_capital: rules.allocated_capital,
            restart_needed: false,
            next,
            gates: next.map(|next| self.entry_test(next, now, rules, limits)).unwrap_or_default(),
            changes: self.changes.iter().skip(self.changes.len().saturating_sub(moves)).copied().collect(),
        }
    }

    /// One rung up.
    ///
    /// # Errors
    /// The gates that do not pass; none when there is no higher rung.
    pub fn climb(&mut self, now: Timestamp, rules: &LadderRules, limits: &Limits) -> Result<Rung, Vec<RungGate>> {
        let next = self.rung.next().ok_or_else(Vec::new)?;
        let failed: Vec<RungGate> = self.entry_test(next, now, rules, limits).into_iter().filter(|gate| !gate.passed).collect();
        if !failed.is_empty() {
            return Err(failed);
        }
        self.go(now, next, RungReason::Climbed);
        Ok(next)
    }

    /// One rung down. On the lowest rung nothing changes but the evidence, which begins anew.
    pub fn step_back(&mut self, now: Timestamp, reason: RungReason) -> RungChange {
        let from = self.rung;
        self.go(now, from.previous().unwrap_or(from), reason);
        RungChange { at: now, from, to: self.rung, reason }
    }

    fn go(&mut self, now: Timestamp, to: Rung, reason: RungReason) {
        if self.changes.len() == CHANGES_KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(RungChange { at: now, from: self.rung, to, reason });
        let halted = self.evidence.halted;
        (self.rung, self.since, self.evidence) = (to, now, Evidence { halted, ..Evidence::default() });
    }

    /// Takes a mark of the books; true once per minute that was watched.
    pub fn look(&mut self, now: Timestamp, sight: Sight) -> bool {
        let seen = &mut self.evidence;
        let before = seen.watched.millis() / 60_000;
        let passed = self.last_sight.map_or(Span::ZERO, |last| now.since(last));
        self.last_sight = Some(now);
        if passed > Span::ZERO && passed <= LONGEST_WATCH {
            seen.watched = seen.watched + passed;
            // The stretch counts as valid when it began and ended so.
            if sight.broken_books == 0 && seen.broken_books == 0 {
                seen.valid = seen.valid + passed;
            }
        }
        (seen.broken_books, seen.clock_drift, seen.mismatches) = (sight.broken_books, sight.clock_drift, sight.mismatches);
        seen.worst_drawdown = seen.worst_drawdown.max(sight.drawdown.unwrap_or_default());
        seen.halted = sight.halted;
        if !sight.halted {
            self.halt_seen = false;
        }
        self.evidence.watched.millis() / 60_000 > before
    }

    /// A person accepted that money moved from outside: the difference that threw the ladder back last was no fault of the books.
    pub fn was_transfer(&mut self) {
        if let Some(change) = self.changes.iter_mut().rfind(|change| change.reason == RungReason::BalanceMismatch) {
            change.reason = RungReason::Transfer;
        }
    }

    /// True the first time that it is asked about the halt that stands.
    pub fn meets_halt(&mut self) -> bool {
        !std::mem::replace(&mut self.halt_seen, true)
    }

    pub fn on_trade(&mut self, cost: &CostRecord) {
        let notional = cost.entry_price.notional(cost.qty).unwrap_or_default().to_f64();
        let bps = |money: Money| if notional > 0.0 { money.to_f64() / notional * 1e4 } else { 0.0 };
        if self.evidence.trades.len() == TRADES_KEPT {
            self.evidence.trades.pop_front();
        }
        let slippage_bps = bps(cost.slippage + cost.impact);
        self.evidence.trades.push_back(RungTrade { at: cost.exit_time, net_bps: bps(cost.net), slippage_bps });
    }

    /// The venue's answer to a test order.
    pub fn on_test(&mut self, now: Timestamp, refused: Option<VenueRefusal>) {
        let seen = &mut self.evidence;
        match refused {
            None => seen.tests_in_row = seen.tests_in_row.saturating_add(1),
            // The market moved under a post-only price: neither its fault nor ours.
            Some(VenueRefusal::WouldTake) => {}
            Some(reason) => {
                seen.tests_in_row = 0;
                if reason == VenueRefusal::Filter {
                    if seen.filter_refusals.len() == REFUSALS_KEPT {
                        seen.filter_refusals.pop_front();
                    }
                    seen.filter_refusals.push_back(now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
