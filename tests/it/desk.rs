//! A desk for scenarios: a synthetic market, an engine that finds a reason to trade at every bar, and its exchange made of rules.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use huracan::domain::{Bps, Instrument, Interval, MarketData, MarketUpdate, Money, NewOrder, Price, Qty, RunId, Span, Symbol, Timestamp};
use huracan::engine::{Engine, PnlReport, Settings, Snapshot, TimeScale};
use huracan::health::HealthLimits;
use huracan::learning::drive::{PaperVenue, Session};
use huracan::market::features::{NAMES, VERSION};
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::models::{Artifact, Standardiser, Trees, TreesArtifact, TreesConfig, content_id};
use huracan::protocol::{
    Blob, Command, CostRecord, DecisionRecord, Effect, Event, Learned, Mode, ModelAdopted, ModelKind, ModelRole, Probe, Record, Request,
    RunOpened, VenueEvent, WarmUp,
};
use huracan::store::JournalEntry;
use huracan::trading::costs::MakerRules;
use huracan::trading::decision::{DecisionRules, Exploration};
use huracan::trading::execution::ExecutionRules;
use huracan::trading::risk::{Actions, Limits, Sizing};

pub const RUN: RunId = RunId(0x5eed);
const LATENCY: Span = Span::from_millis(50);
const CAPITAL: &str = "10000";

pub fn bar() -> Interval {
    Interval::from_secs(5).unwrap()
}

pub fn symbols() -> Vec<Symbol> {
    ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(|name| name.parse().unwrap()).to_vec()
}

/// Five-second bars and an allowance that enters on every forecast.
pub fn settings() -> Settings {
    let money = |text: &str| text.parse::<Money>().unwrap();
    Settings {
        mode: Mode::Demo,
        symbols: symbols(),
        quote: "USDT".parse().unwrap(),
        time_scale: TimeScale {
            bar: bar(),
            horizon_bars: 9,
            target_sigma: 2.0,
            stop_sigma: 1.5,
            typical_minute_bps: 8.0,
            max_break_even: 10.0,
        },
        limits: Limits {
            max_order_notional: money("1000"),
            max_position_notional: money("1500"),
            max_exposure: money("3000"),
            max_daily_loss: money("2000"),
            max_drawdown_bps: Bps::from_bps(5_000),
            max_data_age_ms: 5_000,
            max_open_orders: 6,
            max_spread_bps: Bps::from_bps(20),
            cool_down_ms: 3_000,
            max_clock_drift_ms: 500,
            ..Limits::default()
        },
        actions: Actions::default(),
        sizing: Sizing::default(),
        execution: ExecutionRules {
            entry_deadline_ms: 6_000,
            requote_after_ms: 500,
            taker_fallback: true,
            taker_collar_bps: Bps::from_bps(5),
            exit_retry_ms: 500,
            cover_after_ms: 1_000,
            stop_patience_ms: 1_000,
            offer_exits: false,
        },
        maker: MakerRules::default(),
        decision: DecisionRules {
            min_net_edge_bps: -1e9,
            exit_gross_below_bps: -20.0,
            recall_min_neighbours: 1e9,
            recall_veto_bps: -10.0,
            position_percent: 8.0,
            recall_neighbours: 4,
        },
        exploration: Some(Exploration { threshold_bps: -1e9, equity_percent: 1.0 }),
        health: HealthLimits::default(),
        graph_from: 50_000,
        ladder: None,
        account: None,
    }
}

/// A few trees grown on noise: they forecast about nothing, about anything.
pub fn model(role: ModelRole) -> ModelAdopted {
    model_of(role, bar())
}

/// The same for another bar.
pub fn model_of(role: ModelRole, interval: Interval) -> ModelAdopted {
    let width = NAMES.len();
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let rows: Vec<f32> = (0..200 * width).map(|_| noise() as f32).collect();
    let labels: Vec<f64> = (0..200).map(|_| 4.0 * noise()).collect();
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let config = TreesConfig { iterations: 4, min_leaf_weight: 10.0, ..TreesConfig::default() };
    let artifact = Artifact::Trees(TreesArtifact {
        feature_version: VERSION,
        standardiser: Standardiser::fit(&rows, width).unwrap(),
        trees: Trees::fit(&rows, &labels, None, &names, &config).unwrap(),
        calibration: None,
        threshold_bps: -1e9,
        horizon_bars: 9,
        interval,
        cost_bps: 20.0,
    });
    let bytes = artifact.encode().unwrap();
    ModelAdopted { id: content_id(&bytes), kind: ModelKind::Trees, role, gates_passed: false, artifact: Blob(bytes.into()) }
}

/// What is done to a market update on its way to the engine; `None` loses it.
pub type Lens = fn(MarketUpdate) -> Option<MarketUpdate>;

/// What is done to a word of the venue on its way to the engine; `None` loses it.
pub type Ears = fn(VenueEvent) -> Option<VenueEvent>;

pub struct Desk {
    pub session: Session<'static>,
    pub flow: Flow,
    pub journal: Rc<RefCell<Vec<JournalEntry>>>,
    /// The trading state as it was last asked to be kept.
    pub carried: Rc<RefCell<Option<String>>>,
    pub lens: Lens,
    /// Loses everything the venue says.
    pub deaf: bool,
    /// `None`: everything is heard as it was said.
    pub ears: Option<Ears>,
    settings: Settings,
    queue: VecDeque<MarketUpdate>,
    /// Up to where the market was asked for.
    asked: Timestamp,
    run: RunId,
}

impl Desk {
    /// Open, reconciled, with a model in shadow and warm candles: trades within the next bars.
    pub fn ready(seed: u64) -> Self {
        Self::with(seed, settings(), ModelRole::Shadow)
    }

    pub fn with(seed: u64, settings: Settings, role: ModelRole) -> Self {
        let mut desk = Self::closed(seed, settings);
        desk.open(None);
        desk.clock();
        desk.connect();
        desk.learn(role);
        desk
    }

    /// Nothing has happened yet.
    pub fn closed(seed: u64, settings: Settings) -> Self {
        Self::listed(seed, settings, |instrument| instrument)
    }

    /// The venue lists its instruments so.
    pub fn listed(seed: u64, settings: Settings, list: fn(Instrument) -> Instrument) -> Self {
        let origin = Timestamp::from_millis(1_767_225_600_000);
        let flow = Flow::new(FlowConfig::usual(seed, origin));
        let instruments = flow.config().symbols.iter().map(|s| list(s.instrument.clone())).collect();
        let venue = PaperVenue::new(instruments, settings.quote, CAPITAL.parse().unwrap(), LATENCY);
        let start = flow.origin() + Span::from_secs(7_200);
        Self::around(flow, venue, settings, start, RUN)
    }

    fn around(flow: Flow, venue: PaperVenue, settings: Settings, asked: Timestamp, run: RunId) -> Self {
        let journal = Rc::new(RefCell::new(Vec::new()));
        let carried = Rc::new(RefCell::new(None));
        let (kept, state) = (Rc::clone(&journal), Rc::clone(&carried));
        let sink = Box::new(move |engine: &Engine, stamp: huracan::protocol::Stamp, event: &Event, effects: &[Effect]| {
            if effects.iter().any(|effect| matches!(effect, Effect::Carry { .. })) {
                *state.borrow_mut() = engine.carry().map(|carry| carry.state);
            }
            kept.borrow_mut().push(JournalEntry { stamp, event: event.clone(), effects: effects.to_vec() });
        });
        let session = Session::new(Engine::new(settings.clone()), venue, sink);
        Self { session, flow, journal, carried, lens: Some, deaf: false, ears: None, settings, queue: VecDeque::new(), asked, run }
    }

    pub fn now(&self) -> Timestamp {
        if self.queue.is_empty() { self.session.now().max(self.asked) } else { self.session.now() }
    }

    pub fn apply(&mut self, event: Event) {
        let now = self.now();
        self.session.apply(now, event);
    }

    pub fn command(&mut self, command: Command) {
        self.apply(Event::Command(command));
    }

    pub fn open(&mut self, carried: Option<String>) {
        let opened = RunOpened {
            run: self.run,
            mode: self.settings.mode,
            venue: "a market out of numbers".to_owned(),
            code_version: "test".to_owned(),
            settings: serde_json::to_string(&self.settings).unwrap(),
            settings_hash: String::new(),
            carried,
        };
        self.apply(Event::RunOpened(Box::new(opened)));
    }

    pub fn clock(&mut self) {
        self.apply(Event::Probe(Probe::Clock { offset: Span::ZERO, round_trip: Span::from_millis(3) }));
    }

    pub fn connect(&mut self) {
        let now = self.now();
        self.session.connect(now);
    }

    /// Model, candles up to now, and the books.
    pub fn learn(&mut self, role: ModelRole) {
        self.apply(Event::Learned(Learned::Model(Box::new(model(role)))));
        let now = self.now();
        for symbol in self.settings.symbols.clone() {
            let candles = self.flow.candles(symbol, bar(), now - Span::from_secs(5 * 200), now);
            self.apply(Event::Learned(Learned::WarmUp(WarmUp { symbol, interval: bar(), candles })));
        }
        self.apply(Event::Learned(Learned::Finished));
        self.settings.symbols.clone().into_iter().for_each(|symbol| self.book(symbol));
    }

    /// The whole book of one market.
    pub fn book(&mut self, symbol: Symbol) {
        let at = self.now();
        let book = self.flow.snapshot(symbol, at).unwrap();
        self.session.market(MarketUpdate { symbol, exchange_time: None, local_time: at, data: MarketData::Snapshot(book) });
    }

    /// The next thing that happens in the markets, with everything that is due before it.
    pub fn step(&mut self) {
        while self.queue.is_empty() {
            let until = self.asked + Span::from_secs(1);
            self.queue = self.flow.updates(&self.settings.symbols, self.asked + Span::from_nanos(1), until + Span::from_nanos(1)).into();
            self.asked = until;
        }
        let Some(update) = self.queue.pop_front() else { return };
        let at = update.local_time;
        while self.deaf && self.session.venue.pop_due(at).is_some() {}
        while let Some(ears) = self.ears
            && let Some((due, said)) = self.session.venue.pop_due(at)
        {
            ears(said).into_iter().for_each(|heard| self.session.apply(due, Event::Venue(heard)));
        }
        match (self.lens)(update) {
            Some(update) => self.session.market(update),
            None => self.session.advance(at),
        }
    }

    pub fn run(&mut self, seconds: i64) {
        let until = self.session.now() + Span::from_secs(seconds);
        while self.session.now() < until {
            self.step();
        }
    }

    /// Goes on until something holds; fails after ten minutes.
    pub fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let limit = self.session.now() + Span::from_secs(600);
        while !holds(self) {
            assert!(self.session.now() < limit, "never happened: {what}");
            self.step();
        }
    }

    /// The process dies. What survives: the venue, the market, and the state that was kept last.
    pub fn crash(self) -> Wreck {
        let at = self.session.now();
        let carried = self.carried.take().unwrap();
        Wreck { flow: self.flow, venue: self.session.venue, settings: self.settings, carried, at, run: self.run }
    }

    pub fn effects(&self) -> Vec<Effect> {
        self.journal.borrow().iter().flat_map(|entry| entry.effects.clone()).collect()
    }

    pub fn records(&self) -> Vec<Record> {
        let kept = |effect| if let Effect::Persist(record) = effect { Some(*record) } else { None };
        self.effects().into_iter().filter_map(kept).collect()
    }

    pub fn requests(&self) -> Vec<Request> {
        let sent = |effect| if let Effect::Send(request) = effect { Some(request) } else { None };
        self.effects().into_iter().filter_map(sent).collect()
    }

    pub fn openings(&self) -> Vec<NewOrder> {
        let opening = |request| match request {
            Request::Place { order, opening: true } => Some(order),
            Request::PlaceList { list, opening: true } => list.legs.orders().next().copied(),
            _ => None,
        };
        self.requests().into_iter().filter_map(opening).collect()
    }

    pub fn decisions(&self) -> Vec<DecisionRecord> {
        let decision = |record| if let Record::Decision(decision) = record { Some(decision) } else { None };
        self.records().into_iter().filter_map(decision).collect()
    }

    pub fn costs(&self) -> Vec<CostRecord> {
        let cost = |record| if let Record::Cost(cost) = record { Some(cost) } else { None };
        self.records().into_iter().filter_map(cost).collect()
    }

    pub fn pnl(&self) -> PnlReport {
        self.session.engine.pnl(&self.session.engine.marks())
    }

    /// What the venue says was made, at the same mids.
    pub fn venue_pnl(&self) -> Money {
        let marks: BTreeMap<Symbol, Price> = self.session.engine.marks();
        let worth = |asset, qty: Qty| match self.flow.config().symbols.iter().find(|s| s.instrument.base == asset) {
            Some(symbol) if !qty.is_zero() => marks[&symbol.instrument.symbol].notional(qty).unwrap(),
            Some(_) => Money::ZERO,
            None => Money::from_quote(qty),
        };
        let total: Money = self.session.venue.totals().into_iter().map(|(asset, qty)| worth(asset, qty)).sum();
        total - Money::from_quote(CAPITAL.parse().unwrap())
    }

    /// Trades that hold or work something.
    pub fn trades(&self) -> Vec<huracan::trading::execution::Trade> {
        self.session.engine.snapshot().trades
    }
}

/// What a dead process leaves behind.
pub struct Wreck {
    flow: Flow,
    venue: PaperVenue,
    settings: Settings,
    pub carried: String,
    at: Timestamp,
    run: RunId,
}

impl Wreck {
    pub fn state(&self) -> Snapshot {
        serde_json::from_str(&self.carried).unwrap()
    }

    /// The venue goes on without us; what it says meanwhile is lost.
    pub fn pass(&mut self, seconds: i64) {
        let until = self.at + Span::from_secs(seconds);
        for update in self.flow.updates(&self.settings.symbols, self.at + Span::from_nanos(1), until + Span::from_nanos(1)) {
            while self.venue.pop_due(update.local_time).is_some() {}
            self.venue.on_market(&update);
        }
        self.at = until;
        while self.venue.pop_due(until).is_some() {}
    }

    /// The next run on the same file and the same account, before it has heard from the venue.
    pub fn restart(self) -> Desk {
        let mut desk = Desk::around(self.flow, self.venue, self.settings, self.at, RunId(self.run.0 + 1));
        desk.open(Some(self.carried));
        desk.clock();
        desk
    }

    /// The next run with other settings on the same account.
    pub fn restart_with(mut self, change: fn(&mut Settings)) -> Desk {
        change(&mut self.settings);
        self.restart()
    }

    /// The next run with other settings and another state, at a venue that never saw this account.
    pub fn restart_as(mut self, settings: Settings, carried: String) -> Desk {
        let instruments = self.flow.config().symbols.iter().map(|s| s.instrument.clone()).collect();
        self.venue = PaperVenue::new(instruments, settings.quote, CAPITAL.parse().unwrap(), LATENCY);
        (self.settings, self.carried) = (settings, carried);
        let mut desk = self.restart();
        desk.connect();
        desk
    }

    /// The same on paper, whose exchange lives and dies with the process: it goes on from what was kept.
    pub fn restart_on_paper(mut self) -> Desk {
        let instruments = self.flow.config().symbols.iter().map(|s| s.instrument.clone()).collect();
        let state = self.state();
        self.venue = PaperVenue::continued(instruments, Some(&state), self.settings.quote, CAPITAL.parse().unwrap(), LATENCY);
        let mut desk = self.restart();
        desk.connect();
        desk
    }
}

impl Desk {
    /// Asks for every order that may still live, as the venue's client does, and then states the account.
    pub fn reconcile(&mut self) {
        let now = self.now();
        let mut news = self.session.venue.connect(now);
        news.pop();
        for said in news {
            self.apply(Event::Venue(said));
        }
        for (id, symbol) in self.session.engine.snapshot().open_orders() {
            self.session.venue.send(now, Request::Query { id, symbol });
        }
        self.session.advance(now + LATENCY + LATENCY);
        let now = self.now();
        let reconciled = self.session.venue.connect(now).pop().unwrap();
        assert!(matches!(reconciled, VenueEvent::Reconciled { .. }));
        self.apply(Event::Venue(reconciled));
    }
}
