//! The workshop's thread: history down, models trained or taken from the file, results into the engine as events.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use crate::app::cli::ModelArg;
use crate::app::clock;
use crate::app::config::Config;
use crate::app::history::{Ask, CHAIN, Download, Follow, HistoryFault, Shelf};
use crate::app::training::train_config;
use crate::domain::{Candle, Instrument, Span, Symbol, Timestamp};
use crate::engine::Settings;
use crate::learning::{FillSample, Lineage, MOST_FILL_SAMPLES, Progress, SymbolSeries, Watch, fit_fill_model, train};
use crate::market::KEPT_CANDLES;
use crate::memory::{Graph, Shape};
use crate::protocol::{Blob, Carried, Event, Learned, Mode, ModelAdopted, ModelKind, ModelRecord, ModelRole, Probe, WarmUp};
use crate::store::{Bulk, Store, WriterHandle, WriterStatus};
use crate::venue::binance::{ClientError, RestClient};
use crate::venue::history::Sources;

const DAY: Span = Span::from_secs(86_400);
/// Progress is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);
const SNAPSHOT_EVERY: Duration = Duration::from_secs(600);
/// Pause before history is asked for again after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A tenth of the engine's share where both want one processor; on a box that is busy otherwise, training still comes to an end.
#[cfg(target_os = "linux")]
const WORKSHOP_NICENESS: i32 = 10;

pub struct Workshop {
    pub store: Store,
    pub writer: WriterHandle,
    pub rest: RestClient,
    pub sources: Sources,
    pub runtime: Handle,
    pub events: Sender<Event>,
    pub settings: Settings,
    pub config: Config,
    pub model: ModelArg,
    pub seed: u64,
    pub cancelled: Arc<AtomicBool>,
}

/// The reports of the data file's writer, as probes; at most one per half second while all is well.
pub fn store_probe(events: Sender<Event>) -> impl Fn(WriterStatus) + Send + 'static {
    let last = std::sync::Mutex::new(None::<Instant>);
    move |status| {
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if status.healthy() && last.is_some_and(|at| at.elapsed() < Duration::from_millis(500)) {
            return;
        }
        *last = Some(Instant::now());
        let pending = u32::try_from(status.pending).unwrap_or(u32::MAX);
        // A full queue will hear the next report.
        let _ = events.try_send(Event::Probe(Probe::Store { pending, healthy: status.healthy() }));
    }
}

/// Whether a stored model speaks of these markets on this bar.
pub fn fits(model: &ModelRecord, settings: &Settings) -> bool {
    let bar = match crate::models::Artifact::decode(&model.artifact) {
        Ok(crate::models::Artifact::Trees(trees)) => trees.interval,
        Ok(crate::models::Artifact::Policy(policy)) => policy.interval,
        Err(_) => return false,
    };
    bar == settings.time_scale.bar && settings.symbols.iter().any(|s| model.symbols.contains(s))
}

/// The roles in which models enter a run.
pub fn adoptions(models: &[ModelRecord], model: ModelArg) -> Vec<ModelAdopted> {
    let role = |m: &ModelRecord| match (m.kind, m.gates_passed, model) {
        // The policy decides in shadow.
        (ModelKind::Policy, ..) => ModelRole::Shadow,
        (ModelKind::Trees, true, _) => ModelRole::Champion,
        (ModelKind::Trees, false, ModelArg::Shadow) => ModelRole::ShadowTrading,
        (ModelKind::Trees, false, ModelArg::Champion) => ModelRole::Shadow,
    };
    models
        .iter()
        .map(|m| ModelAdopted {
            id: m.id.clone(),
            kind: m.kind,
            role: role(m),
            gates_passed: m.gates_passed,
            artifact: Blob(Arc::new(m.artifact.clone())),
        })
        .collect()
}

/// Where both want a processor, the engine's thread comes first. On Linux priorities are a thread's own; elsewhere the whole program would step
/// back, so nobody does.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, WORKSHOP_NICENESS) {
        tracing::warn!(%error, "the workshop runs at the same priority as trading");
    }
}

impl Workshop {
    /// Works on the thread that calls, at a lower priority from here on.
    pub fn work_behind(self) -> Vec<ModelRecord> {
        step_back();
        self.work()
    }

    /// Does everything, tells the engine, and gives the models in use. Trouble is told and retried, never fatal to trading.
    pub fn work(self) -> Vec<ModelRecord> {
        self.recall();
        let mut models = Vec::new();
        while !self.is_cancelled() {
            match self.prepare() {
                Ok(ready) => {
                    models = ready;
                    break;
                }
                Err(_) if self.is_cancelled() => break,
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "learning failed; trying again");
                    self.tell(Learned::Failed { stage: "learning".to_owned(), message: format!("{error:#}") });
                    self.pause(RETRY_AFTER);
                }
            }
        }
        self.tell(Learned::Finished);
        self.keep_snapshots();
        models
    }

    /// Until the run ends: a consistent copy beside the data file now and then, for `backup` and for a box that dies with its disk.
    fn keep_snapshots(&self) {
        let mut covered = 0;
        while !self.is_cancelled() {
            covered = self.index(covered);
            if let Err(error) = self.store.snapshot() {
                tracing::warn!(%error, "no snapshot beside the data file");
            }
            self.pause(SNAPSHOT_EVERY);
        }
    }

    /// What earlier runs remember.
    fn recall(&self) {
        let loaded = self.store.episodes(..).and_then(|episodes| {
            let count = episodes.last().map_or(0, |e| e.number + 1);
            Ok((count, self.store.episodes_hash(count)?, episodes))
        });
        match loaded {
            Ok((count, hash, episodes)) => self.tell(Learned::Memory { count, hash, episodes: Arc::new(episodes) }),
            Err(error) => self.tell(Learned::Failed { stage: "memory".to_owned(), message: error.to_string() }),
        }
    }

    /// Builds a graph over the stored episodes once there are many and half as many again as the last one covered; gives what is covered.
    fn index(&self, covered: usize) -> usize {
        let count = self.store.episode_count().unwrap_or_default() as usize;
        if count < (self.config.memory.graph_from as usize).max(1) || count < covered + covered / 2 {
            return covered;
        }
        let begun = Instant::now();
        match self.store.episodes(..count as u64) {
            Ok(episodes) => {
                let graph = Graph::build(&episodes, Shape::CURRENT);
                let (covers, hash) = (graph.covers() as u64, graph.hash());
                tracing::info!(covers, seconds = begun.elapsed().as_secs_f64(), "the memory's graph is built");
                self.tell(Learned::IndexReady { covers, hash, graph: Carried(Some(Arc::new(graph))) });
                count
            }
            Err(error) => {
                tracing::warn!(%error, "no graph over the episodes");
                covered
            }
        }
    }

    fn prepare(&self) -> anyhow::Result<Vec<ModelRecord>> {
        let interval = self.settings.time_scale.bar;
        self.tell(Learned::Progress { stage: "connecting".to_owned(), done: 0, total: 1 });
        let instruments = self.wait(self.rest.known_markets(&self.settings.symbols, self.config.fees()))?;
        let mut series = Vec::new();
        for (number, instrument) in instruments.into_iter().enumerate() {
            let candles = self.history(&instrument, number as u64)?;
            series.push(SymbolSeries { symbol: instrument.symbol, instrument, interval, candles });
        }
        for one in &series {
            self.warm_up(one.symbol, &one.candles);
        }
        let stored = self.usable_models()?;
        let models = if stored.len() == 2 { stored } else { self.train(&series)? };
        // Time has passed while training: close the hole before deciding.
        for one in &series {
            let recent = self.fetch(one.symbol, clock::now() - interval.span().times(KEPT_CANDLES as i64), None)?;
            self.warm_up(one.symbol, &recent);
        }
        for adopted in adoptions(&models, self.model) {
            self.tell(Learned::Model(Box::new(adopted)));
        }
        self.fit_fills();
        Ok(models)
    }

    /// The fill model from the quotes that earlier runs followed, once there are enough of them.
    fn fit_fills(&self) {
        let samples: Vec<FillSample> = match self.store.fill_samples(MOST_FILL_SAMPLES) {
            Ok(records) => records.iter().map(FillSample::from).collect(),
            Err(error) => return tracing::warn!(%error, "the followed quotes can not be read: fills are not learned from"),
        };
        if let Some(fit) = fit_fill_model(&samples) {
            tracing::info!(
                fitted_on = fit.fitted_on,
                brier = fit.fitted.brier,
                analytic = fit.analytic.brier,
                used = fit.used,
                "fill model"
            );
            self.tell(Learned::FillModel(Box::new(fit.learned())));
        }
    }

    /// History as far back as models learn: what is stored, and what was missing of it.
    fn history(&self, instrument: &Instrument, number: u64) -> anyhow::Result<Vec<Candle>> {
        let days = if self.settings.mode == Mode::Demo { self.config.demo.history_days } else { self.config.learning.lookback_days };
        let from = (self.rest.venue_now() - DAY.times(i64::from(days))).floor_to(self.settings.time_scale.bar);
        self.fetch(instrument.symbol, from, Some(number))
    }

    /// The candles from `from` until now, missing ones downloaded and kept; with a number, progress over all symbols is told.
    fn fetch(&self, symbol: Symbol, from: Timestamp, number: Option<u64>) -> anyhow::Result<Vec<Candle>> {
        let interval = self.settings.time_scale.bar;
        let symbols = self.settings.symbols.len() as u64;
        let mut told = Instant::now();
        let mut progress = |done: u64, total: u64, _: u64| {
            if let Some(number) = number
                && told.elapsed() >= TELL_EVERY
            {
                told = Instant::now();
                let share = done * 100 / total.max(1);
                let stage = format!("downloading history: {symbol}");
                // Called by the download itself, which must not wait: a full queue hears the next one.
                let learned = Learned::Progress { stage, done: number * 100 + share, total: symbols * 100 };
                let _ = self.events.try_send(Event::Learned(learned));
            }
        };
        // Models learn from the venue that they trade on: another exchange does not stand in here.
        let chain = CHAIN.iter().copied().filter(|source| !source.is_elsewhere()).collect();
        let ask = Ask { symbol, interval, since: from.floor_to(interval), until: clock::now(), chain };
        let shelf = Shelf { store: &self.store, writer: Some(&self.writer) };
        let history = &self.config.history;
        let done = self.runtime.block_on(async {
            let pause = Duration::from_millis(u64::from(history.pause_ms));
            let download = Download::new(&self.sources, shelf, history.attempts, pause).await;
            download.run(&ask, &mut Follow { progress: &mut progress, stop: &self.cancelled }).await
        });
        match done {
            Ok(fetched) => {
                if let Some(trouble) = fetched.troubles.first().filter(|_| !fetched.missing.is_empty()) {
                    anyhow::bail!("{symbol}: {} does not answer ({}); {}", trouble.source, trouble.cause, trouble.next_step);
                }
                Ok(self.store.candles(symbol, interval, ask.since, Timestamp::MAX)?)
            }
            Err(HistoryFault::Stopped) => anyhow::bail!("the run ends"),
            Err(HistoryFault::Source { source, error }) => Err(anyhow::Error::from(error).context(format!("{symbol} from {source}"))),
            Err(HistoryFault::File(failure)) => anyhow::bail!("{failure}"),
        }
    }

    /// Waits for the venue, or for the end of the run.
    fn wait<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Ok(done?),
                () = async { while !self.is_cancelled() { tokio::time::sleep(Duration::from_millis(50)).await } } => anyhow::bail!("the run ends"),
            }
        })
    }

    fn warm_up(&self, symbol: Symbol, candles: &[Candle]) {
        let tail = candles[candles.len().saturating_sub(KEPT_CANDLES)..].to_vec();
        self.tell(Learned::WarmUp(WarmUp { symbol, interval: self.settings.time_scale.bar, candles: tail }));
    }

    /// The newest stored models, if they are young enough.
    fn usable_models(&self) -> anyhow::Result<Vec<ModelRecord>> {
        let oldest = clock::now() - Span::from_secs(3_600).times(i64::from(self.config.learning.retrain_after_hours));
        let stored = self.store.models()?;
        let newest = |kind: ModelKind| {
            let fitting = stored.iter().filter(|m| m.kind == kind && m.created > oldest && fits(m, &self.settings));
            fitting.max_by_key(|m| m.created).cloned()
        };
        Ok([ModelKind::Trees, ModelKind::Policy].into_iter().filter_map(newest).collect())
    }

    fn train(&self, series: &[SymbolSeries]) -> anyhow::Result<Vec<ModelRecord>> {
        let mut config = train_config(&self.config, &self.settings.time_scale);
        crate::app::training::seed(&mut config, self.seed);
        let stored = self.store.models()?;
        let parent = |kind: ModelKind| stored.iter().filter(|m| m.kind == kind).max_by_key(|m| m.created).map(|m| m.id.clone());
        let lineage = Lineage {
            created: clock::now(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            trees_parent: parent(ModelKind::Trees),
            policy_parent: parent(ModelKind::Policy),
            first_episode: 0,
        };
        let begun = Instant::now();
        let mut told = Instant::now();
        let mut stage = "";
        let mut progress = |p: Progress| {
            if p.stage != stage {
                tracing::info!(stage = p.stage, seconds = begun.elapsed().as_secs_f64(), "training goes on");
            }
            if p.stage != stage || told.elapsed() >= TELL_EVERY {
                (stage, told) = (p.stage, Instant::now());
                self.tell(Learned::Progress { stage: format!("training: {}", p.stage), done: p.done, total: p.total });
            }
        };
        let outcome = train(series, &config, &lineage, &mut Watch { progress: &mut progress, cancelled: &self.cancelled })?;
        tracing::info!(seconds = begun.elapsed().as_secs_f64(), shadow_trades = outcome.shadow_trades, "training is done");
        for model in [&outcome.trees, &outcome.policy] {
            let ticket = self.writer.bulk(Bulk::Model(Box::new(model.clone())))?;
            anyhow::ensure!(self.writer.wait(ticket, Duration::from_secs(30)), "the data file did not keep the model");
        }
        self.tell(Learned::Shadow(outcome.episodes));
        Ok(vec![outcome.trees, outcome.policy])
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn pause(&self, length: Duration) {
        let until = Instant::now() + length;
        while Instant::now() < until && !self.is_cancelled() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tell(&self, learned: Learned) {
        if self.events.blocking_send(Event::Learned(learned)).is_err() {
            tracing::debug!("the engine has ended before the workshop");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;

    use tokio::runtime::Runtime;

    use super::super::demo::Embedded;
    use super::*;
    use crate::app::config::{self, engine_settings};
    use crate::domain::RunId;
    use crate::store::{FileKind, Identity, Scope, Writer};
    use crate::venue::binance::{Credentials, Endpoint, monotonic_clock};

    /// The longest that a run may wait for its workshop; the venue's client alone would wait longer for one answer.
    const PATIENCE: Duration = Duration::from_secs(9);

    struct Scene {
        runtime: Runtime,
        store: Store,
        config: Config,
        _folder: tempfile::TempDir,
    }

    fn scene() -> Scene {
        let sets = ["demo.history_days=3", "demo.symbols=[\"BTCUSDT\"]"].map(str::to_owned);
        let folder = tempfile::tempdir().unwrap();
        let scope = Scope { mode: Mode::Demo, venue: "simulated".to_owned(), account: "demo".to_owned() };
        let store = Store::open(&folder.path().join("demo.redb"), &Identity { kind: FileKind::Demo, scope }).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Scene { runtime, store, config: config::load(&[], std::iter::empty(), &sets).unwrap(), _folder: folder }
    }

    /// Lets a workshop work at `url` until it tells a stage of that name, and ends the run: the workshop must end, too.
    fn ends_in(scene: &Scene, url: &str, credentials: Option<Credentials>, stage: &str) {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            // Another test of this process was first.
        }
        let (events, mut told) = tokio::sync::mpsc::channel(1_024);
        let writer = Writer::start(scene.store.clone(), RunId(1), |_| {}).unwrap();
        let cancelled = Arc::new(AtomicBool::new(false));
        let endpoint = Endpoint::from_rest_url(url).unwrap();
        let rest = RestClient::new(endpoint.clone(), credentials, monotonic_clock()).unwrap();
        let workshop = Workshop {
            store: scene.store.clone(),
            writer: writer.handle(),
            sources: crate::app::history::sources(&scene.config, &endpoint, rest.clone()).unwrap(),
            rest,
            runtime: scene.runtime.handle().clone(),
            events,
            settings: engine_settings(&scene.config, Mode::Demo, false),
            config: scene.config.clone(),
            model: ModelArg::Champion,
            seed: 1,
            cancelled: Arc::clone(&cancelled),
        };
        let (ended, waiting) = channel();
        std::thread::spawn(move || ended.send(workshop.work().len()));
        loop {
            match told.blocking_recv().expect("the workshop works") {
                Event::Learned(Learned::Progress { stage: now, .. }) if now.starts_with(stage) => break,
                Event::Learned(Learned::Failed { message, .. }) => panic!("{message}"),
                _ => {}
            }
        }
        cancelled.store(true, Ordering::Relaxed);
        // Nobody listens any more, as when the engine's loop has ended.
        drop(told);
        assert_eq!(waiting.recv_timeout(PATIENCE), Ok(0), "the run waits for a workshop that is {stage}");
        writer.stop().unwrap();
    }

    #[test]
    fn a_run_ends_while_the_venue_does_not_answer() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        ends_in(&scene(), &format!("http://{}", silent.local_addr().unwrap()), None, "connecting");
    }

    #[test]
    fn a_run_ends_while_it_downloads_or_trains() {
        let scene = scene();
        let venue = Embedded::start(&scene.store, &scene.config, 1, &scene.runtime).unwrap().running;
        for stage in ["downloading", "training"] {
            ends_in(&scene, &venue.rest, Some(Credentials::new(&venue.api_key, &venue.api_secret)), stage);
        }
        assert_eq!(scene.store.models().unwrap(), [], "the training was broken off");
        scene.runtime.block_on(venue.stop());
    }
}
