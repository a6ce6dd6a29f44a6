//! From the bytes of a market frame to the bytes of a signed order: reading, `Engine::apply` with everything on (book, features, both models,
//! recall, risk, execution), signing; and what the event allocates.
//!
//! `HURACAN_CAPTURE=FILE[:FILE]...` plays recorded markets, later and under new ids from lap to lap, until `HURACAN_FRAMES` (1,000,000) are
//! through; without it the frames are the synthetic market's. The exchange of rules that fills the orders works beside and is not counted.
//!
//! Four times: with 10,000 and 100,000 episodes in memory, each alone and beside a thread that grows trees; with `HURACAN_GRAPH=1` once more with
//! 100,000 under a graph, which takes minutes to build. Then what stands between an order and its leaving: the durable commit of its journal entry, and the way to the venue's thread.

#[path = "desk/mod.rs"]
mod desk;
#[path = "opening/mod.rs"]
mod opening;
#[path = "times/mod.rs"]
mod times;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use huracan::domain::{Interval, RunId, Span, Symbol, Timestamp};
use huracan::engine::{Engine, Settings};
use huracan::learning::drive::PaperVenue;
use huracan::memory::{Graph, Shape};
use huracan::models::{Trees, TreesConfig};
use huracan::protocol::{Carried, Effect, Event, Learned, Mode, Probe, Record, Request, Stamp, WarmUp};
use huracan::store::{FileKind, Identity, JournalEntry, Scope, Store, Writer};
use huracan::venue::binance::{Credentials, OrderTransport, signed_request};
use huracan::venue::capture::read_update;

use desk::{Frame, Tape};
use times::Times;

const LATENCY: Span = Span::from_millis(50);
/// No loss of the bench brings it near a limit.
const CAPITAL: &str = "10000000";
/// Frames for which nothing is counted: candles and caches fill.
const WARM_UP_LAPS: usize = 2;
/// Opening orders whose way to the disk and to the venue's thread is timed.
const ORDERS_TIMED: u64 = 500;
/// Rows that the thread beside grows its trees on.
const TRAINING_ROWS: usize = 50_000;

/// Counts and latencies of events of one kind.
struct Kind {
    took: Times,
    events: u64,
    allocations: u64,
    bytes: u64,
}

impl Kind {
    fn new() -> Self {
        Self { took: Times::new(), events: 0, allocations: 0, bytes: 0 }
    }
}

/// The four times of a frame.
struct Way {
    read: Times,
    apply: Times,
    sign: Times,
    whole: Times,
}

impl Way {
    fn new() -> Self {
        Self { read: Times::new(), apply: Times::new(), sign: Times::new(), whole: Times::new() }
    }

    fn tell(&self, out: &mut impl Write, of: &str) {
        for (name, times) in [("read", &self.read), ("apply", &self.apply), ("sign", &self.sign), ("whole", &self.whole)] {
            times.tell(out, &format!("{of}: {name}"));
        }
    }
}

struct Measured {
    frames: Way,
    with_order: Way,
    kinds: BTreeMap<&'static str, Kind>,
    /// Orders by what made them leave: a frame, news of the venue, time.
    orders: BTreeMap<&'static str, u64>,
    requests: u64,
}

impl Measured {
    fn new() -> Self {
        Self { frames: Way::new(), with_order: Way::new(), kinds: BTreeMap::new(), orders: BTreeMap::new(), requests: 0 }
    }

    fn keep(&mut self, kind: &'static str, took: Duration, allocated: allocation_counter::AllocationInfo) {
        let kind = self.kinds.entry(kind).or_insert_with(Kind::new);
        kind.took.add(took);
        kind.events += 1;
        kind.allocations += allocated.count_total;
        kind.bytes += allocated.bytes_total;
    }

    fn tell(&self, out: &mut impl Write) {
        self.frames.tell(out, "frames");
        self.with_order.tell(out, "frames with an order");
        for (name, kind) in &self.kinds {
            kind.took.tell(out, &format!("apply: {name}"));
        }
        for (name, kind) in &self.kinds {
            let (each, bytes) = (kind.allocations as f64 / kind.events as f64, kind.bytes as f64 / kind.events as f64);
            writeln!(out, "  allocations: {name:<21} {each:>10.2} an event, {bytes:>10.0} bytes").expect("standard output");
        }
        let sum = |of: fn(&Kind) -> u64| self.kinds.values().map(of).sum::<u64>() as f64;
        let (events, allocations, bytes) = (sum(|k| k.events), sum(|k| k.allocations), sum(|k| k.bytes));
        writeln!(out, "  allocations: all events {:>18.2} an event, {:>10.0} bytes", allocations / events, bytes / events)
            .expect("standard output");
        writeln!(out, "  orders: {:?}, requests of every kind: {}", self.orders, self.requests).expect("standard output");
    }
}

/// An engine and its exchange, driven as the run drives them.
struct Trader {
    engine: Engine,
    venue: PaperVenue,
    credentials: Credentials,
    seq: u64,
    now: Timestamp,
    effects: Vec<Effect>,
    measured: Measured,
    /// Journal entries since they were last taken; kept only where they are wanted.
    journal: Option<(Vec<JournalEntry>, Vec<Record>)>,
}

impl Trader {
    fn ready(tape: &Tape, settings: &Settings, episodes: usize, with_graph: bool) -> Self {
        let symbols: Vec<Symbol> = tape.instruments.iter().map(|i| i.symbol).collect();
        let venue = PaperVenue::new(tape.instruments.clone(), settings.quote, CAPITAL.parse().expect("a quantity"), LATENCY);
        let mut ready = Self {
            engine: Engine::new(settings.clone()),
            venue,
            credentials: Credentials::new("the key", &"0123456789abcdef".repeat(4)),
            seq: 0,
            now: tape.begins(),
            effects: Vec::new(),
            measured: Measured::new(),
            journal: None,
        };
        ready.event(opening::opened(settings));
        ready.event(Event::Probe(Probe::Clock { offset: Span::ZERO, round_trip: Span::from_millis(3) }));
        for news in ready.venue.connect(tape.begins()) {
            ready.event(Event::Venue(news));
        }
        for model in desk::models(settings.time_scale.bar) {
            ready.event(Event::Learned(Learned::Model(Box::new(model))));
        }
        let past = Arc::new(desk::episodes(episodes, symbols[0]));
        let graph = with_graph.then(|| Graph::build(&past, Shape::CURRENT));
        ready.event(Event::Learned(Learned::Memory { count: episodes as u64, hash: String::new(), episodes: past }));
        if let Some(graph) = graph {
            let (covers, hash) = (graph.covers() as u64, graph.hash());
            ready.event(Event::Learned(Learned::IndexReady { covers, hash, graph: Carried(Some(Arc::new(graph))) }));
        }
        for (symbol, candles) in tape.history.clone() {
            ready.event(Event::Learned(Learned::WarmUp(WarmUp { symbol, interval: settings.time_scale.bar, candles })));
        }
        ready.event(Event::Learned(Learned::Finished));
        ready
    }

    fn stamp(&mut self) -> Stamp {
        self.seq += 1;
        Stamp { seq: self.seq, at: self.now }
    }

    /// An event that is none of the market's, with the time of `apply`, what it allocated, and the orders it made.
    fn event(&mut self, event: Event) -> (Duration, allocation_counter::AllocationInfo, u64) {
        let (stamp, kept) = (self.stamp(), self.journal.is_some().then(|| event.clone()));
        let mut took = Duration::ZERO;
        let allocated = allocation_counter::measure(|| {
            let begun = Instant::now();
            self.engine.apply(stamp, event, &mut self.effects);
            took = begun.elapsed();
        });
        let orders = placed(&self.effects);
        self.perform(stamp, kept);
        (took, allocated, orders)
    }

    /// Lets time pass up to `to`: the venue's news and the engine's own deadlines.
    fn advance(&mut self, to: Timestamp) {
        loop {
            let (deadline, due) = (self.engine.next_deadline(), self.venue.next_due());
            let Some(next) = deadline.into_iter().chain(due).min().filter(|next| *next <= to) else { break };
            self.now = self.now.max(next);
            if due == Some(next) {
                while let Some((_, news)) = self.venue.pop_due(next) {
                    let told = self.event(Event::Venue(news));
                    self.count("news of the venue", told);
                }
            } else {
                let told = self.event(Event::Tick);
                self.count("time", told);
            }
        }
        self.now = self.now.max(to);
    }

    fn count(&mut self, kind: &'static str, (took, allocated, orders): (Duration, allocation_counter::AllocationInfo, u64)) {
        self.measured.keep(kind, took, allocated);
        *self.measured.orders.entry(kind).or_default() += orders;
    }

    /// One frame from its bytes to the bytes of what it makes us ask of the venue.
    fn frame(&mut self, frame: &Frame) {
        self.advance(frame.at);
        let begun = Instant::now();
        let text = std::str::from_utf8(&frame.bytes).expect("the venue writes UTF-8");
        let mut read = None;
        let for_reading =
            allocation_counter::measure(|| read = read_update(text, Some(frame.symbol), frame.at).expect("a readable message"));
        let reading = begun.elapsed();
        let Some(update) = read else { return };
        let seen = update.clone();
        let (bars, stamp) = (self.engine.counters().candles, self.stamp());
        let kept = self.journal.is_some().then(|| Event::Market(update.clone()));
        let mut applying = Duration::ZERO;
        let for_applying = allocation_counter::measure(|| {
            let begun = Instant::now();
            self.engine.apply(stamp, Event::Market(update), &mut self.effects);
            applying = begun.elapsed();
        });
        let mut signed = 0;
        let begun = Instant::now();
        for effect in &self.effects {
            if let Effect::Send(request) = effect {
                let text = signed_request(request, OrderTransport::Rest, &self.credentials, self.now, self.seq);
                signed += u64::from(std::hint::black_box(text).is_some());
            }
        }
        let signing = begun.elapsed();
        let mut allocated = for_reading;
        allocated += for_applying;
        let kind = match seen.data {
            _ if self.engine.counters().candles > bars => "a bar closes",
            huracan::domain::MarketData::Depth(_) => "depth",
            huracan::domain::MarketData::Trade(_) => "trade",
            huracan::domain::MarketData::Quote(_) => "quote",
            _ => "snapshot and break",
        };
        let orders = placed(&self.effects);
        self.measured.keep(kind, applying, allocated);
        self.measured.requests += signed;
        *self.measured.orders.entry("a frame").or_default() += orders;
        let add = |way: &mut Way| {
            way.read.add(reading);
            way.apply.add(applying);
            if signed > 0 {
                way.sign.add(signing);
            }
            way.whole.add(reading + applying + signing);
        };
        add(&mut self.measured.frames);
        if orders > 0 {
            add(&mut self.measured.with_order);
        }
        self.venue.on_market(&seen);
        self.perform(stamp, kept);
    }

    /// Everything goes to the exchange, and into the journal where it is kept.
    fn perform(&mut self, stamp: Stamp, kept: Option<Event>) {
        if let (Some((entries, records)), Some(event)) = (&mut self.journal, kept) {
            let persisted =
                self.effects.iter().filter_map(|e| if let Effect::Persist(record) = e { Some(record.as_ref().clone()) } else { None });
            records.extend(persisted);
            entries.push(JournalEntry { stamp, event, effects: self.effects.clone() });
        }
        for effect in &self.effects {
            if let Effect::Send(request) = effect {
                self.venue.send(self.now, *request);
            }
        }
        self.effects.clear();
    }
}

fn placed(effects: &[Effect]) -> u64 {
    let places =
        |effect: &&Effect| matches!(effect, Effect::Send(Request::Place { .. } | Request::PlaceList { .. } | Request::Replace { .. }));
    effects.iter().filter(places).count() as u64
}

/// Plays laps until `frames` were measured.
fn play(tape: &Tape, settings: &Settings, episodes: usize, with_graph: bool, frames: usize) -> Measured {
    let mut trader = Trader::ready(tape, settings, episodes, with_graph);
    let (mut lap, mut measured) = (0, 0);
    while measured < frames {
        if lap == WARM_UP_LAPS {
            trader.measured = Measured::new();
        }
        for frame in tape.lap(lap) {
            trader.frame(&frame);
            measured += usize::from(lap >= WARM_UP_LAPS);
            if measured == frames {
                break;
            }
        }
        lap += 1;
    }
    trader.measured
}

/// Grows trees again and again until told to stop, behind everything else, as the workshop does.
fn train(stop: &AtomicBool) {
    #[cfg(target_os = "linux")]
    rustix::process::setpriority_process(None, 10).expect("a thread may step back");
    let (rows, labels, names) = desk::lesson(TRAINING_ROWS);
    while !stop.load(Ordering::Relaxed) {
        let config = TreesConfig { iterations: 20, ..TreesConfig::default() };
        std::hint::black_box(Trees::fit(&rows, &labels, None, &names, &config).expect("trees grow"));
    }
}

/// What an order waits for after it was decided: its journal entry on disk, then the hop to the thread that sends. What does not open waits
/// for the hop alone.
fn leaving(out: &mut impl Write, tape: &Tape, settings: &Settings) {
    let dir = tempfile::tempdir().expect("a directory for the data file");
    let scope = Scope { mode: Mode::Paper, venue: "bench".to_owned(), account: "bench".to_owned() };
    let store = Store::open(&dir.path().join("bench.redb"), &Identity { kind: FileKind::Real, scope }).expect("a data file");
    let writer = Writer::start(store, RunId(1), |_| {}).expect("the writer starts");
    let handle = writer.handle();
    let (requests, mut queue) = tokio::sync::mpsc::channel::<(Request, Instant)>(1_024);
    let (told, heard) = std::sync::mpsc::channel();
    let venue = std::thread::spawn(move || {
        while let Some((_, sent)) = queue.blocking_recv() {
            told.send(sent.elapsed()).expect("the bench listens");
        }
    });
    let (mut hop, mut printed, mut durable, mut both) = (Times::new(), Times::new(), Times::new(), Times::new());
    let mut trader = Trader::ready(tape, settings, 10_000, false);
    trader.journal = Some((Vec::new(), Vec::new()));
    let orders = |trader: &Trader| trader.measured.orders.values().sum::<u64>();
    'laps: for lap in 0.. {
        for frame in tape.lap(lap) {
            let before = orders(&trader);
            trader.frame(&frame);
            let urgent = orders(&trader) > before;
            let Some((entries, records)) = &mut trader.journal else { break 'laps };
            if !urgent && entries.len() < 256 {
                continue;
            }
            let (entries, mut records) = (std::mem::take(entries), std::mem::take(records));
            let begun = Instant::now();
            if entries.iter().flat_map(|entry| &entry.effects).any(|effect| matches!(effect, Effect::Carry { .. })) {
                records.extend(trader.engine.carry().map(Record::Carry));
                printed.add(begun.elapsed());
            }
            let ticket = handle.append(entries, records, urgent).expect("the writer takes it");
            // As in the box: only an opening order waits for the disk.
            if urgent {
                assert!(handle.wait(ticket, Duration::from_secs(60)), "the journal reaches the disk");
                let kept = begun.elapsed();
                let symbol = frame.symbol;
                requests.try_send((Request::Snapshot { symbol }, Instant::now())).expect("the queue has room");
                let hopped = heard.recv().expect("the venue's thread answers");
                durable.add(kept);
                hop.add(hopped);
                both.add(kept + hopped);
                if both.len() == ORDERS_TIMED {
                    break 'laps;
                }
            }
        }
    }
    drop(requests);
    venue.join().expect("the venue's thread ends");
    writer.stop().expect("the writer ends");
    writeln!(out, "\nbetween decision and leaving").expect("standard output");
    hop.tell(out, "to the venue's thread");
    printed.tell(out, "trading state printed");
    durable.tell(out, "journal entry on disk, with that");
    both.tell(out, "both: an opening order");
}

/// Both ways of signing, over and over.
fn signing(out: &mut impl Write, tape: &Tape) {
    use huracan::domain::{ClientOrderId, NewOrder, OrderKind, Side};
    let credentials = Credentials::new("the key", &"0123456789abcdef".repeat(4));
    let kind = OrderKind::LimitMaker { price: "61837.63".parse().expect("a price") };
    writeln!(out, "\none order signed").expect("standard output");
    for (name, way) in [("REST", OrderTransport::Rest), ("WebSocket API", OrderTransport::WsApi)] {
        let mut times = Times::new();
        let mut allocations = 0;
        for sequence in 0..100_000 {
            let id = ClientOrderId { run: RunId(1), sequence };
            let qty = "0.01617".parse().expect("a quantity");
            let order = NewOrder { id, symbol: tape.instruments[0].symbol, side: Side::Buy, qty, kind };
            let begun = Instant::now();
            let info = allocation_counter::measure(|| {
                let request = Request::Place { order, opening: true };
                std::hint::black_box(signed_request(&request, way, &credentials, desk::origin(), sequence));
            });
            times.add(begun.elapsed());
            allocations += info.count_total;
        }
        times.tell(out, &format!("{name}, {:.1} allocations", allocations as f64 / 1e5));
    }
}

fn main() {
    let mut out = std::io::stdout();
    let frames = std::env::var("HURACAN_FRAMES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let bar: Interval = "5s".parse().expect("an interval");
    let tape = std::env::var_os("HURACAN_CAPTURE").map_or_else(|| Tape::synthetic(bar), |paths| Tape::recorded(&paths));
    let settings = desk::settings(tape.instruments.iter().map(|i| i.symbol).collect());
    writeln!(out, "{} messages a lap, {frames} frames a measurement", tape.updates.len()).expect("standard output");
    signing(&mut out, &tape);
    let mut runs = vec![(10_000, false, false), (10_000, false, true), (100_000, false, false), (100_000, false, true)];
    if std::env::var_os("HURACAN_GRAPH").is_some() {
        runs.push((100_000, true, false));
    }
    for (episodes, graph, beside) in runs {
        let stop = AtomicBool::new(false);
        let measured = std::thread::scope(|scope| {
            if beside {
                scope.spawn(|| train(&stop));
            }
            let measured = play(&tape, &settings, episodes, graph, frames);
            stop.store(true, Ordering::Relaxed);
            measured
        });
        let how = if graph { ", by graph" } else { ", scanned" };
        let training = if beside { ", trees growing beside" } else { "" };
        writeln!(out, "\n{episodes} episodes{how}{training}").expect("standard output");
        measured.tell(&mut out);
    }
    leaving(&mut out, &tape, &settings);
}
