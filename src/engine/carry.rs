//! What survives a restart: the trading state as one record, to be replaced after every change of orders, fills or halts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Engine, Guard, fingerprint};
use crate::domain::{Asset, ClientOrderId, Money, Qty, RunId, Symbol, Timestamp};
use crate::protocol::{CarryRecord, Effect};
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

    /// Markets that the next run must know: open trades, live orders, dust that cost at least `worth` (what cost less is worth less than
    /// a venue's smallest order, unless its price has multiplied), and those in `quote` that price coins which the books owe: commissions
    /// were paid with them, and without their price the equity would be unknown.
    #[must_use]
    pub fn symbols_in_use(&self, worth: Money, quote: Asset) -> Vec<Symbol> {
        let trades = self.trades.iter().map(|t| t.symbol);
        let orders = self.orders.live().map(|o| o.new.symbol);
        let dust = self.desks.iter().filter(|(_, qty, cost, _)| qty.is_positive() && *cost >= worth).map(|(symbol, ..)| *symbol);
        let owed = self.ledger.holdings().filter(|(asset, qty)| *asset != quote && *qty < Qty::ZERO);
        let owed = owed.filter_map(|(asset, _)| format!("{asset}{quote}").parse().ok());
        trades.chain(orders).chain(dust).chain(owed).collect()
    }
}

/// The same without copies, to print and to hash: field by field what `Snapshot` reads.
#[derive(Serialize)]
struct State<'a> {
    orders: &'a Orders,
    ledger: &'a Ledger,
    breakers: &'a Breakers,
    trades: Vec<&'a Trade>,
    desks: Vec<(Symbol, Qty, Money, Option<Timestamp>)>,
    foreign: &'a BTreeMap<Asset, Qty>,
    realised: Money,
    fees: Money,
    next_decision: u64,
    next_episode: u64,
    start_equity: Option<Money>,
    openings: &'a std::collections::VecDeque<Timestamp>,
    ladder: Option<&'a Ladder>,
    fx: &'a FxMarks,
    guard: &'a Guard,
    runs: Vec<RunId>,
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
            runs: self.runs(),
        }
    }

    fn runs(&self) -> Vec<RunId> {
        self.earlier_runs.iter().copied().chain([self.run]).collect()
    }

    /// The trading state as it is to be kept now; `None` while the one that was kept did not read: it must not be overwritten.
    #[must_use]
    pub fn carry(&self) -> Option<CarryRecord> {
        if self.carry_lost {
            return None;
        }
        // Only plain data is in there; should it ever fail to print, the previous state stays kept.
        let state = serde_json::to_string(&self.state()).ok()?;
        Some(CarryRecord { run: self.run, at: self.now, state })
    }

    /// Asks for the trading state to be kept. It is printed when it is, once for many events; here its hash is enough.
    pub(super) fn keep_carry(&mut self, out: &mut Vec<Effect>) {
        if self.carry_lost {
            return;
        }
        let mut form = std::mem::take(&mut self.carry_form);
        form.clear();
        let encoded = bincode::serde::encode_into_std_write(self.state(), &mut form, bincode::config::standard());
        debug_assert!(encoded.is_ok(), "Invariant: plain data has a binary form");
        out.push(Effect::Carry { state: fingerprint::of_bytes(&form) });
        self.carry_form = form;
    }

    fn state(&self) -> State<'_> {
        State {
            orders: &self.orders,
            ledger: &self.ledger,
            breakers: &self.breakers,
            trades: self.desks.values().filter_map(|d| d.trade.as_ref()).collect(),
            desks: self.desks.iter().map(|(s, d)| (*s, d.dust_qty, d.dust_cost, d.last_exit)).collect(),
            foreign: &self.foreign,
            realised: self.realised,
            fees: self.fees,
            next_decision: self.next_decision,
            next_episode: self.next_episode,
            start_equity: self.start_equity,
            openings: &self.openings,
            ladder: self.ladder.as_ref(),
            fx: &self.fx,
            guard: &self.guard,
            runs: self.runs(),
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
