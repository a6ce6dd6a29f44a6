//! The one deterministic machine: every event goes in here, every effect comes out of here.
//!
//! *Takes / gives*: `apply(stamp, event, &mut effects)`; `next_deadline`, `snapshot`, `fingerprint`, `view` to look at it.
//! Reading order: `settings`, `desk` (one market), `market_news`, `quotes` (fill facts, advice, order costs), `evaluate` (a bar closes:
//! decide), `work` (drive a trade), `quote_orders` (buy and sell by advice), `venue_news`, `commands`, `books` (equity and P&L), `exposure`,
//! `usage` (how far each limit is used), `enforce` (what is done at one), `reducing` (how much is sold), `limits` (shown and changed), `guard` (what they remember),
//! `ladder` (going live gradually), `carry` (what survives a restart), `view`.
//!
//! Invariants
//! 1. Same events, same effects, same fingerprint (`tests/it/engine/determinism.rs::the_same_events_give_the_same_fingerprint`).
//! 2. Halted or stopping, nothing opens (`tests/it/engine/halting.rs::halted_sends_only_cancels_and_reduces`).
//! 3. Before reconciliation nothing opens, nor while fills go unheard (`tests/it/engine/refusing.rs::nothing_opens_before_reconciliation`,
//!    `tests/it/engine/refusing.rs::nothing_opens_while_the_user_stream_is_down_*`).
//! 4. Trades, ledger and venue agree on the P&L (`tests/it/engine/money.rs::three_ways_to_count_the_same_money`).
//! 5. A snapshot taken and restored continues the same trades (`tests/it/engine/restart.rs::a_restart_continues_the_open_trade`).
//! 6. What is said late or again is mended or changes nothing (`tests/it/engine/late_news.rs`).
//! 7. Quotes are followed to their end without an order (`quotes::tests::a_bar_follows_a_quote_and_its_sample_is_kept`).
//! 8. The ladder is climbed by its evidence, thrown back by its stops, and kept (`tests/it/engine/ladder.rs`).
//! 9. What is held is guarded by the venue (`tests/it/engine/guard.rs`).
//! 10. Each limit and each stop does what its table says (`tests/it/engine/scenarios.rs::each_limit_is_quiet_trips_acts_and_is_shown`).
//!
//! *Never*: a clock, a socket, a file, a thread, the environment, an unseeded random number, a map with a random order.

mod balances;
mod books;
mod carry;
mod commands;
mod currency;
mod desk;
mod enforce;
mod evaluate;
mod exposure;
mod fingerprint;
mod forecast;
mod guard;
mod ladder;
mod left_markets;
mod limits;
mod market_news;
mod quote_orders;
mod quotes;
mod reducing;
mod settings;
mod usage;
mod venue_news;
mod view;
mod work;

use std::collections::{BTreeMap, VecDeque};

pub use books::PnlReport;
pub use carry::Snapshot;
pub use fingerprint::Fingerprint;
pub use guard::Guard;
pub use settings::{Settings, TimeScale};

use crate::domain::{Asset, Balance, ClientOrderId, Instrument, Money, Qty, RunId, Span, Symbol, Timestamp};
use crate::health::Health;
use crate::memory::{Graph, Memory, Shape};
use crate::protocol::{
    Alert, Carried, Counters, DecisionView, Effect, Event, Learned, LearningView, Probe, Record, RunOpened, Severity, Stamp,
};
use crate::trading::costs::FillModel;
use crate::trading::currency::FxMarks;
use crate::trading::execution::Orders;
use crate::trading::ledger::Ledger;
use crate::trading::risk::{Breakers, Ladder};
use desk::Desk;
use exposure::Exposure;
use forecast::Models;

/// Shortest event time between two marks of the equity.
const MARK_EVERY: Span = Span::from_millis(100);
/// Shortest event time between two points of the equity line.
const LINE_EVERY: Span = Span::from_secs(1);
/// While anything is being worked, time is looked at this often.
const WORK_EVERY: Span = Span::from_millis(100);
const IDLE_EVERY: Span = Span::from_millis(500);

/// The machine. Owned by one thread; every source of events is one variant of `Event`:
/// the market (streams, captures, history), the venue (orders and account), time, probes of the box, people, and the workshop.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    now: Timestamp,
    run: RunId,
    opened: Option<Timestamp>,
    venue: String,
    desks: BTreeMap<Symbol, Desk>,
    /// How likely quotes are filled.
    fill_model: FillModel,
    orders: Orders,
    ledger: Ledger,
    breakers: Breakers,
    /// Present where the settings have its rules.
    ladder: Option<Ladder>,
    /// Rates of the account's own currency.
    fx: FxMarks,
    guard: Guard,
    models: Models,
    memory: Memory,
    health: Health,
    /// The venue's last word on each asset.
    balances: BTreeMap<Asset, Balance>,
    /// What the account held of other assets when the books were opened: seen, never touched.
    foreign: BTreeMap<Asset, Qty>,
    mismatch_since: Option<Timestamp>,
    /// It was told while something else had halted.
    mismatch_told: bool,
    /// The last fee in an asset that nothing here prices.
    unpriced_fee: Option<Asset>,
    /// Orders by ids like ours that nobody here knows, told once.
    strangers: std::collections::BTreeSet<ClientOrderId>,
    /// Runs whose trading this one carries on, oldest first.
    earlier_runs: Vec<RunId>,
    account_asked: Timestamp,
    reconciled: bool,
    /// The venue has stated the account at least once in this run.
    met: bool,
    stopping: bool,
    /// Net of all closed trades, and of dust written off against fees.
    realised: Money,
    fees: Money,
    next_order: u64,
    next_decision: u64,
    next_episode: u64,
    last_mark: Timestamp,
    exposed: Exposure,
    last_point: Timestamp,
    equity_line: VecDeque<(Timestamp, f64)>,
    /// When opening orders left, the last of them; for the order rate.
    openings: VecDeque<Timestamp>,
    start_equity: Option<Money>,
    decisions: VecDeque<DecisionView>,
    alerts: VecDeque<Alert>,
    learning: LearningView,
    counters: Counters,
    clock_probed: bool,
    last_verdict: crate::protocol::HealthVerdict,
    /// The carried state did not read: it is neither overwritten nor traded without.
    carry_lost: bool,
    /// Room for the carried state's binary form, which is hashed.
    carry_form: Vec<u8>,
    /// The trading state changed in this event: keep it.
    dirty: bool,
    fingerprint: Fingerprint,
}

impl Engine {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let desks = settings.watched().into_iter().map(|symbol| (symbol, Desk::new(symbol, settings.time_scale.bar))).collect();
        Self {
            health: Health::new(settings.health.clone()),
            memory: Memory::new(Shape::CURRENT, settings.graph_from as usize),
            settings,
            now: Timestamp::EPOCH,
            run: RunId::default(),
            opened: None,
            venue: String::new(),
            desks,
            fill_model: FillModel::default(),
            orders: Orders::default(),
            ledger: Ledger::default(),
            breakers: Breakers::default(),
            ladder: None,
            fx: FxMarks::default(),
            guard: Guard::default(),
            models: Models::default(),
            balances: BTreeMap::new(),
            foreign: BTreeMap::new(),
            mismatch_since: None,
            mismatch_told: false,
            unpriced_fee: None,
            strangers: std::collections::BTreeSet::new(),
            earlier_runs: Vec::new(),
            account_asked: Timestamp::EPOCH,
            reconciled: false,
            met: false,
            stopping: false,
            realised: Money::ZERO,
            fees: Money::ZERO,
            next_order: 0,
            next_decision: 0,
            next_episode: 0,
            last_mark: Timestamp::EPOCH,
            exposed: Exposure::default(),
            last_point: Timestamp::EPOCH,
            equity_line: VecDeque::new(),
            openings: VecDeque::new(),
            start_equity: None,
            decisions: VecDeque::new(),
            alerts: VecDeque::new(),
            learning: LearningView::default(),
            counters: Counters::default(),
            clock_probed: false,
            last_verdict: crate::protocol::HealthVerdict::Healthy,
            carry_lost: false,
            carry_form: Vec::new(),
            dirty: false,
            fingerprint: Fingerprint::default(),
        }
    }

    /// Takes one event and appends what is to be done. Total: trouble comes out as refusals, alerts and halts.
    pub fn apply(&mut self, at: Stamp, event: Event, out: &mut Vec<Effect>) {
        let first = out.len();
        self.now = self.now.max(at.at);
        self.counters.events += 1;
        self.fingerprint.add(&at);
        self.fingerprint.add(&event);
        match event {
            Event::RunOpened(opened) => self.on_run_opened(*opened, out),
            Event::Market(update) => self.on_market(&update, out),
            Event::Venue(news) => {
                let lists = left_markets::lists_markets(&news);
                self.on_venue(news, out);
                if lists {
                    self.name_unknown_markets(out);
                }
            }
            Event::Tick => self.on_time(out),
            Event::Probe(probe) => self.on_probe(&probe, out),
            Event::Command(command) => self.on_command(command, out),
            Event::Learned(learned) => self.on_learned(learned, out),
        }
        self.maintain(first, out);
        for effect in &out[first..] {
            self.fingerprint.add(effect);
        }
    }

    /// When the engine wants to hear of time again if nothing else happens; `None` before the run is opened.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.opened?;
        let working = self.orders.live().next().is_some() || self.desks.values().any(|desk| desk.trade.is_some());
        let pause = if working { WORK_EVERY } else { IDLE_EVERY };
        let asked = self.orders.next_question().unwrap_or(Timestamp::MAX);
        Some((self.now + pause).min(asked.max(self.now + Span::from_millis(1))))
    }

    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.value()
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// True once nothing that could still open is at the venue, no word of it is awaited, and nothing held is without its guard there.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        use crate::protocol::OrderState::{CancelSent, Submitted, Unknown};
        let moves = |o: &crate::trading::execution::Order| {
            o.purpose == crate::trading::execution::Purpose::Entry || matches!(o.state, Submitted | CancelSent | Unknown)
        };
        !self.orders.live().any(moves) && !self.is_exposed()
    }

    /// Whether the venue has stated the account at least once in this run: without that nothing is known of it.
    #[must_use]
    pub const fn has_met_venue(&self) -> bool {
        self.met
    }

    /// Whether an opening order may leave at this moment: one that was approved before the account's stream broke may not.
    #[must_use]
    pub fn may_open(&self) -> bool {
        self.breakers.halted().is_none() && !self.stopping && self.reconciled
    }

    /// Median of ours less the venue's clock over all feeds, from the messages' own stamps; for recorded captures.
    #[must_use]
    pub fn feed_clock_offset(&self) -> Option<Span> {
        let mut offsets: Vec<Span> = self.desks.values().filter_map(|d| d.market.quality().clock.estimate()).collect();
        offsets.sort_unstable();
        offsets.get(offsets.len().checked_sub(1)? / 2).copied()
    }

    fn on_run_opened(&mut self, opened: RunOpened, out: &mut Vec<Effect>) {
        self.run = opened.run;
        self.opened = Some(self.now);
        self.venue = opened.venue;
        if let Some(text) = opened.carried {
            match self.restore(&text) {
                Ok(()) => self.leave_markets(&text, out),
                Err(error) => {
                    self.carry_lost = true;
                    self.alert(Severity::Critical, format!("the carried trading state can not be read: {error}"), out);
                    self.halt(crate::trading::risk::HaltReason::StoreFailed, out);
                }
            }
        }
        self.open_ladder();
        self.begin_limits(out);
        self.dirty = true;
    }

    fn on_time(&mut self, out: &mut Vec<Effect>) {
        let symbols: Vec<Symbol> = self.desks.keys().copied().collect();
        for symbol in symbols {
            let finished = self.desks.get_mut(&symbol).map(|desk| desk.market.on_time(self.now)).unwrap_or_default();
            for candle in finished {
                self.on_bar(symbol, &candle, out);
            }
            self.quote_time(symbol, out);
            self.work(symbol, out);
        }
    }

    fn on_probe(&mut self, probe: &Probe, out: &mut Vec<Effect>) {
        match *probe {
            Probe::Clock { offset, round_trip } => {
                if !self.clock_probed {
                    // Round trips measure better than one-way stamps: drift counts from the first of them.
                    self.clock_probed = true;
                    self.health.forget_clock();
                }
                self.health.on_clock(offset, round_trip, self.now);
            }
            Probe::Store { pending, healthy } => {
                self.health.on_store(pending, healthy);
                if !healthy {
                    self.halt(crate::trading::risk::HaltReason::StoreFailed, out);
                }
            }
            Probe::Unreadable { lines } => self.health.on_unreadable(lines, self.now),
            Probe::Fx(ref mark) => self.on_fx(mark),
        }
    }

    fn on_learned(&mut self, learned: Learned, out: &mut Vec<Effect>) {
        match learned {
            Learned::Progress { stage, done, total } => {
                self.learning = LearningView { stage, done, total, finished: false, failure: None };
            }
            Learned::Failed { stage, message } => {
                self.alert(Severity::Warning, format!("{stage}: {message}"), out);
                self.health.on_failure(crate::protocol::FailureKind::Learning, self.now);
                self.learning.failure = Some(message);
            }
            Learned::Model(adopted) => self.adopt(&adopted, out),
            Learned::Memory { count, episodes, .. } => {
                self.next_episode = self.next_episode.max(count);
                if let Err(error) = self.memory.load(episodes.to_vec()) {
                    self.alert(Severity::Warning, format!("past episodes are not recalled: {error}"), out);
                }
            }
            Learned::IndexReady { covers, graph, .. } => self.adopt_graph(covers, &graph, out),
            Learned::Shadow(episodes) => self.remember_shadow(episodes, out),
            Learned::WarmUp(warm) => {
                if warm.interval == self.settings.time_scale.bar
                    && let Some(desk) = self.desks.get_mut(&warm.symbol)
                {
                    desk.market.warm_up(&warm.candles);
                    self.learn_correlation();
                }
            }
            Learned::Finished => self.learning.finished = true,
            Learned::FillModel(learned) => self.adopt_fill_model(&learned, out),
        }
    }

    /// A graph of the wrong episodes (or none) changes nothing: everything is scanned.
    fn adopt_graph(&mut self, covers: u64, graph: &Carried, out: &mut Vec<Effect>) {
        let graph = graph.0.clone().and_then(|graph| graph.downcast::<Graph>().ok());
        match graph.map(|graph| self.memory.adopt(graph)) {
            Some(Ok(())) => self.alert(Severity::Info, format!("memory: {covers} episodes are searched by graph"), out),
            Some(Err(error)) => self.alert(Severity::Warning, format!("memory: {error}"), out),
            None => self.alert(Severity::Warning, "memory: the graph did not arrive; everything is scanned".to_owned(), out),
        }
    }

    /// Shadow trades of a training run become episodes like any other, under the next numbers.
    fn remember_shadow(&mut self, episodes: Vec<crate::domain::Episode>, out: &mut Vec<Effect>) {
        for mut episode in episodes {
            episode.number = self.next_episode;
            self.next_episode += 1;
            self.counters.episodes += 1;
            if self.memory.add(episode.clone()).is_ok() {
                out.push(Effect::Persist(Box::new(Record::Episode(episode))));
            }
        }
        self.dirty = true;
    }

    /// What holds after every event: marks, questions to the venue, health, and the kept state.
    fn maintain(&mut self, first: usize, out: &mut Vec<Effect>) {
        self.follow_halt();
        if self.now.since(self.last_mark) >= MARK_EVERY {
            self.last_mark = self.now;
            self.mark(out);
            self.note_exposure();
            self.look_at_ladder();
            if !self.clock_probed
                && let Some(offset) = self.feed_clock_offset()
            {
                self.health.on_clock(offset, Span::ZERO, self.now);
            }
            self.report_health(out);
            self.loosen_limits(out);
            for request in self.orders.questions(self.now) {
                out.push(Effect::Send(request));
            }
            self.ask_account(out);
            self.ask_for_books(out);
        }
        self.watch_ladder(first, out);
        if self.dirty {
            self.dirty = false;
            self.orders.prune();
            self.keep_carry(out);
        }
    }

    fn report_health(&mut self, out: &mut Vec<Effect>) {
        let (verdict, reasons) = self.health.verdict(self.now);
        if verdict != self.last_verdict {
            self.last_verdict = verdict;
            out.push(Effect::Persist(Box::new(Record::Health(crate::protocol::HealthRecord { at: self.now, verdict, reasons }))));
        }
    }

    fn alert(&mut self, severity: Severity, text: String, out: &mut Vec<Effect>) {
        let alert = Alert { at: self.now, severity, text };
        if self.alerts.len() == 50 {
            self.alerts.pop_back();
        }
        self.alerts.push_front(alert.clone());
        out.push(Effect::Alert(alert));
    }

    fn next_order_id(&mut self) -> ClientOrderId {
        self.next_order += 1;
        ClientOrderId { run: self.run, sequence: self.next_order }
    }

    fn instrument(&self, symbol: Symbol) -> Option<&Instrument> {
        self.desks.get(&symbol)?.instrument.as_ref()
    }
}
