//! What survives a restart: the trading state as one record, replaced with every change of orders, fills or halts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Engine, Fingerprint, Guard, fingerprint};
use crate::domain::{Asset, ClientOrderId, Money, Qty, RunId, Symbol, Timestamp};
use crate::protocol::{CarryRecord, Effect, Record};
use crate::trading::currency::FxMarks;
use crate::trading::execution::{Orders, Trade};
use crate::trading::ledger::Ledger;
use crate::trading::risk::{Breakers, Ladder};

/// The trading state. The next run of the same (mode, venue, account) starts from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    pub orders: Orders,
    pub ledger: Ledger,
    pub breakers: Breakers,
    pub trades: Vec<Trade>,
    /// Per symbol: dust held and what it cost, and the last exit.
    pub desks: Vec<(Symbol, Qty, Money, Option<Timestamp>)>,
    pub foreign: BTreeMap<Asset, Qty>,
    pub realised: Money,
    pub fees: Money,
    pub next_decision: u64,
    pub next_episode: u64,
    pub start_equity: Option<Money>,
    /// When opening orders left, of the last minute.
    #[serde(default)]
    pub openings: std::collections::VecDeque<Timestamp>,
    #[serde(default)]
    pub ladder: Option<Ladder>,
    #[serde(default)]
    pub fx: FxMarks,
    /// Limits that people changed, how often each tripped, the halt under way, and how markets move together.
    #[serde(default)]
    pub guard: Guard,
    /// The runs that led here, this one last.
    #[serde(default)]
    pub runs: Vec<RunId>,
}

/// Orders of runs before these are long gone.
const RUNS_REMEMBERED: usize = 64;

impl Snapshot {
    /// Orders that may still live at the venue: asked for first when the next run reconciles.
    #[must_use]
    pub fn open_orders(&self) -> Vec<(ClientOrderId, Symbol)> {
        self.orders.live().map(|o| (o.new.id, o.new.symbol)).collect()
    }

    /// Markets that the next run must know: open trades, live orders, and dust that cost at least `worth` (what cost less is worth less than
    /// a venue's smallest order, unless its price has multiplied).
    #[must_use]
    pub fn symbols_in_use(&self, worth: Money) -> Vec<Symbol> {
        let trades = self.trades.iter().map(|t| t.symbol);
        let orders = self.orders.live().map(|o| o.new.symbol);
        let dust = self.desks.iter().filter(|(_, qty, cost, _)| qty.is_positive() && *cost >= worth).map(|(symbol, ..)| *symbol);
        trades.chain(orders).chain(dust).collect()
    }
}

/// An effect as the journal keeps it: the carried state by its hash, because its parts are journaled as orders, fills and decisions.
#[must_use]
pub fn journal_form(effect: &Effect) -> Effect {
    match effect {
        Effect::Persist(record) => match record.as_ref() {
            Record::Carry(carry) => {
                let state = format!("{:016x}", fingerprint::of_text(&carry.state));
                Effect::Persist(Box::new(Record::Carry(CarryRecord { run: carry.run, at: carry.at, state })))
            }
            _ => effect.clone(),
        },
        _ => effect.clone(),
    }
}

/// Adds an effect as the journal keeps it, without a copy of what is kept as it is.
pub(super) fn add_journal_form(fingerprint: &mut Fingerprint, effect: &Effect) {
    match effect {
        Effect::Persist(record) if matches!(record.as_ref(), Record::Carry(_)) => fingerprint.add(&journal_form(effect)),
        _ => fingerprint.add(effect),
    }
}

impl Engine {
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            orders: self.orders.clone(),
            ledger: self.ledger.clone(),
            breakers: self.breakers.clone(),
            trades: self.desks.values().filter_map(|d| d.trade.clone()).collect(),
            desks: self.desks.iter().map(|(s, d)| (*s, d.dust_qty, d.dust_cost, d.last_exit)).collect(),
            foreign: self.foreign.clone(),
            realised: self.realised,
            fees: self.fees,
            next_decision: self.next_decision,
            next_episode: self.next_episode,
            start_equity: self.start_equity,
            openings: self.openings.clone(),
            ladder: self.ladder.clone(),
            fx: self.fx.clone(),
            guard: self.guard.clone(),
            runs: self.earlier_runs.iter().copied().chain([self.run]).collect(),
        }
    }

    pub(super) fn keep_carry(&mut self, out: &mut Vec<Effect>) {
        if self.carry_lost {
            return;
        }
        // Only plain data is in there; should it ever fail to print, the previous state stays kept.
        let mut state = Vec::with_capacity(self.carry_bytes + self.carry_bytes / 8);
        let printed = serde_json::to_writer(&mut state, &self.snapshot()).is_ok();
        self.carry_bytes = state.len();
        if let Ok(state) = String::from_utf8(state)
            && printed
        {
            let carry = CarryRecord { run: self.run, at: self.now, state };
            out.push(Effect::Persist(Box::new(Record::Carry(carry))));
        }
    }

    pub(super) fn restore(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let snapshot: Snapshot = serde_json::from_str(text)?;
        self.orders = snapshot.orders;
        self.ledger = snapshot.ledger;
        self.breakers = snapshot.breakers;
        self.foreign = snapshot.foreign;
        self.realised = snapshot.realised;
        self.fees = snapshot.fees;
        self.next_decision = snapshot.next_decision;
        self.next_episode = snapshot.next_episode;
        self.start_equity = snapshot.start_equity;
        self.openings = snapshot.openings;
        self.ladder = snapshot.ladder;
        self.fx = snapshot.fx;
        self.guard = snapshot.guard;
        let forgotten = snapshot.runs.len().saturating_sub(RUNS_REMEMBERED);
        self.earlier_runs = snapshot.runs.into_iter().skip(forgotten).collect();
        for (symbol, dust_qty, dust_cost, last_exit) in snapshot.desks {
            if let Some(desk) = self.desks.get_mut(&symbol) {
                (desk.dust_qty, desk.dust_cost, desk.last_exit) = (dust_qty, dust_cost, last_exit);
            }
        }
        for trade in snapshot.trades {
            if let Some(desk) = self.desks.get_mut(&trade.symbol) {
                desk.trade = Some(trade);
            }
        }
        Ok(())
    }
}
