//! Brings a live run up, in order: file, venue, engine, workshop, screen; and takes it down again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::courier::Courier;
use super::engine_loop::{Ended, EngineLoop, Performer};
use super::recorder::Recorder;
use super::screen::{FinishOnDrop, Screen, Shared};
use super::summary::{Standing, Summary};
use super::tape::Tape;
use super::watchdog::{Guarded, Heart, Patience, Watchdog};
use super::{account, bans, demo, fx, kill_switch, ladder, learner, log};
use crate::app::cli::RunArgs;
use crate::app::config::{Config, engine_settings};
use crate::app::control::{ControlServer, Desk, kill_file, socket_path};
use crate::app::failure::{ExitKind, Failure, Outcome};
use crate::app::{Context, clock};
use crate::domain::{Asset, ClientOrderId, Money, Qty, RunId};
use crate::engine::{Engine, Fingerprint, Settings, Snapshot};
use crate::protocol::{Event, Mode, ModelKind, ModelRecord, RunOpened, RunRecord};
use crate::store::{FileKind, Identity, Scope, Store, StoreError, Writer, WriterHandle};
use crate::trading::risk::Ladder;
use crate::venue::binance::{Credentials, Endpoint, Gateway, GatewayConfig, Requests, StreamRules};

/// Events that may wait for the engine; beyond it market data is dropped and the book marked as interrupted.
const EVENT_QUEUE: usize = 32_768;
const REQUEST_QUEUE: usize = 1_024;

/// The data file of a run, and what a run record needs.
pub struct Opening {
    pub store: Store,
    mode: Mode,
    venue: String,
}

impl Opening {
    /// Opens the data file for this (mode, venue, account).
    pub fn new(context: &Context, mode: Mode, venue: &str, account: &str, announce: bool) -> Outcome<Self> {
        let path = context.config.data_file(mode);
        let kind = if mode == Mode::Demo { FileKind::Demo } else { FileKind::Real };
        let scope = Scope { mode, venue: venue.to_owned(), account: account.to_owned() };
        let store = Store::open(&path, &Identity { kind, scope }).map_err(store_failure)?;
        if announce {
            context.out.remark(&format!("data file {}", path.display()));
        }
        Ok(Self { store, mode, venue: venue.to_owned() })
    }

    /// The same, shown under another name.
    #[must_use]
    pub fn labelled(self, venue: String) -> Self {
        Self { venue, ..self }
    }

    pub fn run_opened(&self, run: RunId, settings: &Settings, carried: Option<String>) -> RunOpened {
        let text = serde_json::to_string(settings).unwrap_or_default();
        RunOpened {
            run,
            mode: self.mode,
            venue: self.venue.clone(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_hash: settings_hash(&text),
            settings: text,
            carried,
        }
    }

    /// The newest stored model of each kind that was trained on these symbols and this bar.
    pub fn newest_models(&self, settings: &Settings) -> Outcome<Vec<ModelRecord>> {
        let stored = self.store.models().map_err(store_failure)?;
        let newest = |kind: ModelKind| stored.iter().filter(|m| m.kind == kind && learner::fits(m, settings)).max_by_key(|m| m.created);
        Ok([ModelKind::Trees, ModelKind::Policy].into_iter().filter_map(newest).cloned().collect())
    }

    /// Records the end of a run.
    pub fn close_run(&self, writer: &WriterHandle, run: RunId, settings: &Settings, summary: &Summary, recorder: &Recorder) -> Outcome {
        let mut record = self.run_record(run, settings);
        record.closed = Some(clock::now());
        record.models = summary.models.iter().map(|m| m.id.clone()).collect();
        record.fingerprint = u64::from_str_radix(&summary.fingerprint, 16).ok();
        (record.events, record.effects, record.replayable) = (recorder.events, recorder.effects, recorder.complete);
        record.summary = Some(serde_json::to_string(summary)?);
        let ticket = writer.bulk(crate::store::Bulk::Run(Box::new(record)))?;
        if writer.wait(ticket, Duration::from_secs(30)) { Ok(()) } else { Err(Failure::failed("the data file did not keep the run's end")) }
    }

    fn run_record(&self, run: RunId, settings: &Settings) -> RunRecord {
        let text = serde_json::to_string(settings).unwrap_or_default();
        RunRecord {
            run,
            mode: self.mode,
            venue: self.venue.clone(),
            opened: clock::now(),
            closed: None,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_hash: settings_hash(&text),
            models: Vec::new(),
            fingerprint: None,
            events: 0,
            effects: 0,
            replayable: true,
            summary: None,
        }
    }
}

/// A random number for this start, so that order ids never repeat, whatever backup is restored.
pub fn new_run_id() -> Outcome<RunId> {
    Ok(RunId(rand::random()))
}

pub fn store_failure(error: StoreError) -> Failure {
    let kind = if error.is_refusal() { ExitKind::Refused } else { ExitKind::Failed };
    Failure::of(kind, error)
}

fn settings_hash(text: &str) -> String {
    format!("{:016x}", Fingerprint::of(&text))
}

/// Where to trade, and as whom.
pub struct Venue {
    pub endpoint: Endpoint,
    pub credentials: Option<Credentials>,
    /// As it is shown, and as the data file keeps it.
    pub name: String,
    pub embedded: Option<demo::Embedded>,
    /// Live only.
    pub ladder: Option<Ladder>,
    /// The account's other book, where people spoke last.
    pub later: Option<Box<Snapshot>>,
}

pub fn run(context: Context, args: &RunArgs, mode: Mode) -> Outcome {
    let mut settings = engine_settings(&context.config, mode, false);
    let seed = args.seed.unwrap_or(context.config.demo.seed);
    let data_file = context.config.data_file(mode);
    let log_file = log::file(&context.config, &data_file);
    let ring = log::start(&context.config, &log_file)?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider is installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let url = args.venue.clone().or_else(|| (!context.config.venue.url.is_empty()).then(|| context.config.venue.url.clone()));
    let (opening, venue) = open_venue(&context, mode, url.as_deref(), seed, &runtime)?;
    // A rung without real orders is performed as paper is, in books of its own.
    settings.mode = opening.mode;
    if !args.headless {
        // The screen shows it; without one it is the first thing to read.
        tracing::info!(venue = %venue.name, "starting");
    } else {
        context.out.remark(&start_note(&settings, &context.config, &opening.venue, venue.ladder.as_ref()));
    }
    settings.symbols.dedup();
    let shared = Shared::with_kill_file(kill_file(&data_file));
    let deadline = args.duration.map(|d| context.started + d);
    let _control = control(&shared, &ring, &data_file);
    kill_switch::watch(&shared, kill_file(&data_file))?;
    let screen = if args.headless { None } else { Some(Screen { ring }) };
    let parts = Parts { opening, venue, settings, seed, deadline, model: args.model };
    let worker = {
        let (shared, config) = (Arc::clone(&shared), context.config.clone());
        std::thread::Builder::new().name("engine".into()).spawn(move || trade(parts, &config, &runtime, &shared))?
    };
    match screen {
        Some(screen) => {
            screen.show(&shared)?;
            context.out.remark("stopping: entries are cancelled, the venue is asked for its final word");
            shared.request_stop();
        }
        None => shared.stop_on_signals()?,
    }
    let mut summary = ended(worker)?;
    if let Some(standing) = &mut summary.standing {
        standing.log = log_file;
    }
    shared.heard(context.out.answer(&summary, || summary.text()))?;
    // With a screen a person saw it, and may have left before the venue could answer.
    summary.standing.as_ref().filter(|_| args.headless).map_or(Ok(()), Standing::agreement)
}

/// The socket for `huracan status`, `halt` and the others. Trading does not depend on it.
pub fn control(shared: &Arc<Shared>, ring: &log::LogRing, data_file: &std::path::Path) -> Option<ControlServer> {
    let (viewed, commanded, ring) = (Arc::clone(shared), Arc::clone(shared), ring.clone());
    let desk = Desk {
        view: Box::new(move || viewed.view()),
        logs: Box::new(move || ring.lines()),
        command: Box::new(move |command| commanded.command(command)),
    };
    let path = socket_path(data_file);
    match ControlServer::start(&path, desk) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "other commands can not reach this box (a shorter --data path may help)");
            None
        }
    }
}

/// What the engine's thread came to: its panic is a failure of the program.
pub fn ended(worker: std::thread::JoinHandle<Outcome<Summary>>) -> Outcome<Summary> {
    worker.join().map_err(|_| Failure::failed("the engine thread failed; see the log"))?
}

fn start_note(settings: &Settings, config: &Config, venue: &str, ladder: Option<&Ladder>) -> String {
    let (mode, scale) = (settings.mode, settings.time_scale.describe(config.fees(), crate::domain::Bps::from_bps(1)));
    let money = if mode == Mode::Live { "REAL MONEY" } else { "simulated money" };
    let rung = ladder.map_or_else(String::new, |ladder| format!("; ladder: {}, it {}", ladder.rung(), ladder.rung().meaning()));
    format!("{mode} on {venue}: {money}; {scale}{rung}")
}

fn open_venue(context: &Context, mode: Mode, url: Option<&str>, seed: u64, runtime: &Runtime) -> Outcome<(Opening, Venue)> {
    let endpoint = |url: &str| Endpoint::from_rest_url(url).map_err(|e| Failure::usage(format!("{e:#}")));
    match (mode, url) {
        (Mode::Demo, None) => {
            let opening = Opening::new(context, mode, "simulated exchange", "demo", false)?;
            let embedded = demo::Embedded::start(&opening.store, &context.config, seed, runtime)?;
            let venue = Venue {
                endpoint: endpoint(&embedded.running.rest)?,
                credentials: Some(Credentials::new(&embedded.running.api_key, &embedded.running.api_secret)),
                name: "simulated exchange".to_owned(),
                embedded: Some(embedded),
                ladder: None,
                later: None,
            };
            Ok((opening, venue))
        }
        (Mode::Paper, url) => {
            let endpoint = url.map_or_else(|| Ok(Endpoint::binance()), endpoint)?;
            let name = url.unwrap_or("Binance").to_owned();
            let opening = Opening::new(context, mode, &name, "paper", false)?;
            Ok((opening, Venue { endpoint, credentials: None, name, embedded: None, ladder: None, later: None }))
        }
        (_, url) => {
            let account = account::credentials(&context.config)?;
            let endpoint = url.map_or_else(|| Ok(Endpoint::binance()), endpoint)?;
            let name = url.unwrap_or("Binance").to_owned();
            let (opening, ladder, later) = match mode {
                Mode::Live => {
                    let begun = ladder::begin(context, &name, &account.name)?;
                    (begun.opening, Some(begun.ladder), begun.later)
                }
                _ => (Opening::new(context, mode, &name, &account.name, false)?, None, None),
            };
            Ok((opening, Venue { endpoint, credentials: Some(account.credentials), name, embedded: None, ladder, later }))
        }
    }
}

/// What the engine's thread takes with it.
struct Parts {
    opening: Opening,
    venue: Venue,
    settings: Settings,
    seed: u64,
    deadline: Option<std::time::Instant>,
    model: crate::app::cli::ModelArg,
}

/// The engine's thread: everything of one run, from its first event to its last.
fn trade(parts: Parts, config: &Config, runtime: &Runtime, shared: &Arc<Shared>) -> Outcome<Summary> {
    let _finish = FinishOnDrop(Arc::clone(shared));
    let carried = parts.opening.store.carry().map_err(store_failure)?.map(|c| c.state);
    let snapshot = readable(carried.as_deref(), &parts.settings)?;
    let (snapshot, carried) = match parts.venue.ladder.clone() {
        Some(ladder) => {
            ladder::carried_on(snapshot, ladder, parts.venue.later.as_deref()).map(|(snapshot, text)| (Some(snapshot), Some(text)))?
        }
        None => (snapshot, carried),
    };
    let on_paper = parts.settings.mode == Mode::Paper;
    let run = new_run_id()?;
    // The id is durable before anything can carry it.
    parts.opening.store.put_run(&parts.opening.run_record(run, &parts.settings)).map_err(store_failure)?;
    let (events, inbox) = mpsc::channel::<Event>(EVENT_QUEUE);
    let (requests, outbox) = mpsc::channel(REQUEST_QUEUE);
    // The venue never heard of paper orders.
    let gateway_config = gateway_config(&parts, config, snapshot.as_ref().filter(|_| !on_paper))?;
    let taken_over = gateway_config.carried_orders.iter().map(|(id, _)| *id).collect();
    let gateway = {
        let _inside = runtime.enter();
        Gateway::start(gateway_config, outbox, events.clone())?
    };
    let writer = Writer::start(parts.opening.store.clone(), run, learner::store_probe(events.clone()))?;
    runtime.spawn(bans::keep(gateway.rest().bans(), writer.handle(), parts.venue.name.clone()));
    let performer = if on_paper {
        Performer::Paper { venue: None, snapshot: snapshot.map(Box::new), requests: requests.clone() }
    } else {
        let courier = Courier::start(writer.handle(), requests.clone(), events.clone())?;
        Performer::Venue { requests: requests.clone(), courier }
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    let workshop = start_workshop(&parts, config, &writer, &gateway, runtime, events.clone(), &cancelled)?;
    if let Some(account) = &parts.settings.account {
        runtime.spawn(fx::ask(gateway.rest(), account.pair, parts.venue.name.clone(), events.clone()));
    }
    shared.connect_commands(events);
    let capital = if parts.venue.ladder.is_some() { config.ladder.allocated_capital } else { config.paper.capital };
    // Dropped after the loop, whatever ends it: a panic leaves no entry at the venue.
    let watchdog = if on_paper { None } else { watched(&parts, run, taken_over, &gateway)? };
    let looped = EngineLoop {
        engine: Engine::new(parts.settings.clone()),
        recorder: Recorder::new(writer.handle()).with_tape(Some(Tape::start(parts.opening.store.clone(), writer.handle(), config)?)),
        performer,
        inbox,
        runtime: runtime.handle().clone(),
        rest: gateway.rest(),
        signed: parts.venue.credentials.is_some(),
        shared: Arc::clone(shared),
        heart: watchdog.as_ref().map_or_else(Heart::default, Watchdog::heart),
        deadline: parts.deadline,
        paper_capital: capital.to_quote(),
        paper_latency: crate::domain::Span::from_millis(i64::from(config.paper.latency_ms)),
    };
    let ended = looped.run(parts.opening.run_opened(run, &parts.settings, carried));
    drop(watchdog);
    cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    let models = learned(workshop);
    drop(requests);
    runtime.block_on(gateway.ended());
    close(parts, run, ended, &models, writer, runtime)
}

/// `at_venue`: the state that the venue knows of.
fn gateway_config(parts: &Parts, config: &Config, at_venue: Option<&Snapshot>) -> Outcome<GatewayConfig> {
    let banned_until = bans::kept(&parts.opening.store, &parts.venue.name)?;
    Ok(GatewayConfig {
        endpoint: parts.venue.endpoint.clone(),
        credentials: parts.venue.credentials.clone(),
        symbols: parts.settings.watched(),
        carried_orders: at_venue.map(Snapshot::open_orders).unwrap_or_default(),
        known_trades: at_venue.map(|s| s.ledger.last_trades()).unwrap_or_default(),
        default_fees: config.fees(),
        clock: Arc::new(clock::now),
        streams: StreamRules::default(),
        requests: Requests { transport: config.venue.order_transport, banned_until },
    })
}

/// What dust must have cost to keep its market in the settings. The markets' rules are not known before the venue is met: in the coins that
/// stand for a dollar or a euro no venue sells less than 5; in others everything counts.
fn worth_an_order(quote: Asset) -> Money {
    const ABOUT_A_DOLLAR: [&str; 8] = ["USDT", "USDC", "FDUSD", "TUSD", "USD1", "DAI", "EUR", "EURI"];
    if ABOUT_A_DOLLAR.contains(&quote.as_str()) { Money::from_quote(Qty::from_raw(5 * 100_000_000)) } else { Money::ZERO }
}

/// The watch over an engine whose entries rest at a venue; without credentials none do.
fn watched(parts: &Parts, run: RunId, carried: BTreeSet<ClientOrderId>, gateway: &Gateway) -> Outcome<Option<Watchdog>> {
    let Some(credentials) = parts.venue.credentials.clone() else { return Ok(None) };
    let (symbols, endpoint) = (parts.settings.symbols.clone(), parts.venue.endpoint.clone());
    let guarded = Guarded { run, carried, symbols, endpoint, credentials, bans: gateway.rest().bans() };
    Ok(Some(Watchdog::start(guarded, Patience::default())?))
}

/// The carried state, if it can be continued: what does not read, or has lost its market, is refused before anything overwrites it.
fn readable(carried: Option<&str>, settings: &Settings) -> Outcome<Option<Snapshot>> {
    let Some(text) = carried else { return Ok(None) };
    let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| {
        Failure::refused(format!(
            "the trading state of the last run does not read ({error}): start the version that wrote it, or restore a backup"
        ))
    })?;
    let used: BTreeSet<String> = snapshot
        .symbols_in_use(worth_an_order(settings.quote), settings.quote)
        .into_iter()
        .filter(|s| !settings.symbols.contains(s))
        .map(|s| s.to_string())
        .collect();
    if used.is_empty() {
        return Ok(Some(snapshot));
    }
    let names: Vec<String> = used.into_iter().collect();
    Err(Failure::refused(format!(
        "still with a position, an order, fees that were paid in its coin, or dust: {}; add to the symbols until closed (for such fees: as long \
         as these books go on)",
        names.join(", ")
    )))
}

fn start_workshop(
    parts: &Parts,
    config: &Config,
    writer: &Writer,
    gateway: &Gateway,
    runtime: &Runtime,
    events: mpsc::Sender<Event>,
    cancelled: &Arc<AtomicBool>,
) -> Outcome<std::thread::JoinHandle<Vec<ModelRecord>>> {
    let workshop = learner::Workshop {
        store: parts.opening.store.clone(),
        writer: writer.handle(),
        rest: gateway.rest(),
        sources: crate::app::history::sources(config, &parts.venue.endpoint, gateway.rest())?,
        runtime: runtime.handle().clone(),
        events,
        settings: parts.settings.clone(),
        config: config.clone(),
        model: parts.model,
        seed: parts.seed,
        cancelled: Arc::clone(cancelled),
    };
    Ok(std::thread::Builder::new().name("workshop".into()).spawn(move || workshop.work_behind())?)
}

fn learned(workshop: std::thread::JoinHandle<Vec<ModelRecord>>) -> Vec<ModelRecord> {
    workshop.join().unwrap_or_else(|_| {
        tracing::error!("the workshop thread failed");
        Vec::new()
    })
}

/// The run's end: summary and record into the file, exchange and writer stopped, a consistent copy beside the file.
fn close(parts: Parts, run: RunId, ended: Ended, models: &[ModelRecord], writer: Writer, runtime: &Runtime) -> Outcome<Summary> {
    let refusal = ended.refusal.clone();
    let (engine, mut recorder, closing) = ended.into_parts();
    recorder.stop_tape();
    let mut summary = Summary::of(&engine, run, 0, &closing.pnl, closing.venue_net_pnl, models);
    summary.replayable = recorder.complete;
    summary.stood(&engine);
    if let Some(embedded) = parts.venue.embedded {
        runtime.block_on(embedded.running.stop());
    }
    if let Err(error) = parts.opening.close_run(&writer.handle(), run, &parts.settings, &summary, &recorder) {
        tracing::error!(%error, "the end of the run is not recorded");
    }
    writer.stop()?;
    parts.opening.store.snapshot().map_err(store_failure)?;
    refusal.map_or(Ok(summary), |refusal| Err(Failure::refused(refusal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;
    use crate::domain::Symbol;

    fn settings() -> Settings {
        engine_settings(&config::load(&[], std::iter::empty(), &[]).unwrap(), Mode::Live, false)
    }

    fn refusal(carried: &str) -> String {
        let failure = readable(Some(carried), &settings()).expect_err("it can not be continued");
        assert_eq!(failure.kind, ExitKind::Refused);
        failure.to_string()
    }

    #[test]
    fn a_state_that_does_not_read_is_refused_and_says_what_to_do() {
        let whole = serde_json::to_string(&Engine::new(settings()).snapshot()).unwrap();
        assert!(readable(Some(&whole), &settings()).unwrap().is_some());
        assert!(readable(None, &settings()).unwrap().is_none(), "a first run has none");
        for broken in ["", "{}", &whole[..whole.len() / 2], &whole.replace("realised", "realized")] {
            assert!(refusal(broken).contains("restore a backup"), "{broken}");
        }
    }

    #[test]
    fn a_market_in_use_must_be_among_the_symbols() {
        let mut snapshot = Engine::new(settings()).snapshot();
        let gone: Symbol = "OLDUSDT".parse().unwrap();
        snapshot.desks.push((gone, Qty::ZERO, Money::ZERO, None));
        let text = |snapshot: &Snapshot| serde_json::to_string(snapshot).unwrap();
        assert!(readable(Some(&text(&snapshot)), &settings()).is_ok(), "nothing is held there");
        let dust = |cost: &str| (gone, "0.5".parse::<Qty>().unwrap(), cost.parse::<Money>().unwrap(), None);
        snapshot.desks.push(dust("4.99"));
        assert!(readable(Some(&text(&snapshot)), &settings()).is_ok(), "too little to be sold");
        let bitcoin = Settings { quote: "BTC".parse().unwrap(), ..settings() };
        assert!(readable(Some(&text(&snapshot)), &bitcoin).is_err(), "4.99 bitcoins are not dust");
        snapshot.desks.push(dust("5"));
        let said = refusal(&text(&snapshot));
        assert!(said.contains("dust: OLDUSDT;") && said.contains("add to the symbols"), "{said}");
    }

    #[test]
    fn a_coin_that_fees_were_paid_in_must_keep_its_market() {
        let mut snapshot = Engine::new(settings()).snapshot();
        let usdt = settings().quote;
        snapshot.ledger.transfer(crate::domain::Timestamp::EPOCH, usdt, "-1".parse().unwrap());
        let text = |snapshot: &Snapshot| serde_json::to_string(snapshot).unwrap();
        assert!(readable(Some(&text(&snapshot)), &settings()).is_ok(), "the quote needs no price");
        snapshot.ledger.transfer(crate::domain::Timestamp::EPOCH, "OLD".parse().unwrap(), "-0.25".parse().unwrap());
        let said = refusal(&text(&snapshot));
        assert!(said.contains("fees that were paid in its coin, or dust: OLDUSDT;"), "{said}");
        let named = Settings { symbols: vec!["OLDUSDT".parse().unwrap()], ..settings() };
        assert!(readable(Some(&text(&snapshot)), &named).is_ok(), "its market is there");
    }
}
