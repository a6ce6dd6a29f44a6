//! An engine at the simulated exchange in real time: its requests go out through the product's own client, all in this process.

use std::time::Duration;

use huracan::domain::{Bps, FeeRates, Interval, RunId, Span, Timestamp};
use huracan::engine::{Engine, Settings};
use huracan::protocol::{Effect, Event, Learned, ModelRole, Request, RunOpened, Stamp, WarmUp};
use huracan::venue::binance::{
    Credentials, Endpoint, Gateway, GatewayConfig, LocalClock, Requests, RestClient, StreamRules, monotonic_clock,
};
use huracan::venue::exchange::Running;
use tokio::sync::mpsc;

use crate::desk;

/// Bars of a second, four of them a holding, and a clock that is not judged.
pub fn settings() -> Settings {
    let mut settings = desk::settings();
    settings.time_scale.bar = Interval::from_secs(1).unwrap();
    settings.time_scale.horizon_bars = 4;
    settings.limits.max_clock_drift_ms = 60_000;
    settings
}

/// Where a synthetic market begins so that it has two days of history now.
pub fn two_days_ago() -> Timestamp {
    Timestamp::from_millis(monotonic_clock()().millis() - 2 * 86_400_000)
}

/// Runs on two threads to its end.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    ready_for_tls();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// A client that asks the exchange beside the trader.
pub fn client(rest: &str, key: &str, secret: &str) -> RestClient {
    ready_for_tls();
    RestClient::new(Endpoint::from_rest_url(rest).unwrap(), Some(Credentials::new(key, secret)), monotonic_clock()).unwrap()
}

fn ready_for_tls() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Another test of this process was first.
    }
}

/// The engine, and what it hears.
pub struct AtExchange {
    pub engine: Engine,
    pub rest: RestClient,
    gateway: Gateway,
    events: mpsc::Receiver<Event>,
    requests: mpsc::Sender<Request>,
    clock: LocalClock,
    seq: u64,
    last: Timestamp,
}

impl AtExchange {
    /// Connected, with the run not opened yet.
    pub fn connect(exchange: &Running, settings: Settings, streams: StreamRules) -> Self {
        let (requests, taken) = mpsc::channel(256);
        let (out, events) = mpsc::channel(16_384);
        let config = GatewayConfig {
            endpoint: Endpoint::from_rest_url(&exchange.rest).unwrap(),
            credentials: Some(Credentials::new(&exchange.api_key, &exchange.api_secret)),
            symbols: settings.symbols.clone(),
            carried_orders: Vec::new(),
            known_trades: Vec::new(),
            default_fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
            clock: monotonic_clock(),
            streams,
            requests: Requests::default(),
        };
        let clock = config.clock.clone();
        let gateway = Gateway::start(config, taken, out).unwrap();
        let (rest, engine) = (gateway.rest(), Engine::new(settings));
        Self { engine, rest, gateway, events, requests, clock, seq: 0, last: Timestamp::EPOCH }
    }

    /// What opens the run.
    pub fn opened(&self, run: RunId, carried: Option<String>) -> Event {
        let settings = self.engine.settings();
        Event::RunOpened(Box::new(RunOpened {
            run,
            mode: settings.mode,
            venue: "an exchange in this process".to_owned(),
            code_version: "test".to_owned(),
            settings: serde_json::to_string(settings).unwrap(),
            settings_hash: String::new(),
            carried,
        }))
    }

    /// A model that finds a reason at every bar, and the candles it wants to see.
    pub async fn lessons(&self, role: ModelRole) -> Vec<Event> {
        let bar = self.engine.settings().time_scale.bar;
        let mut lessons = vec![Learned::Model(Box::new(desk::model_of(role, bar)))];
        let now = self.rest.venue_now();
        for symbol in self.engine.settings().symbols.clone() {
            let from = now.floor_to(bar) - Span::from_secs(200);
            let candles = self.rest.klines_range(symbol, bar, from, now.floor_to(bar), |_, _| {}).await.unwrap();
            lessons.push(Learned::WarmUp(WarmUp { symbol, interval: bar, candles }));
        }
        lessons.push(Learned::Finished);
        lessons.into_iter().map(Event::Learned).collect()
    }

    /// Requests leave at once; gives all effects.
    pub fn apply(&mut self, event: Event) -> Vec<Effect> {
        self.seq += 1;
        self.last = self.last.max((self.clock)());
        let mut effects = Vec::new();
        self.engine.apply(Stamp { seq: self.seq, at: self.last }, event, &mut effects);
        for effect in &effects {
            if let Effect::Send(request) = effect {
                self.send(*request);
            }
        }
        effects
    }

    pub fn send(&self, request: Request) {
        self.requests.try_send(request).unwrap();
    }

    /// What the client says next, within a twentieth of a second.
    pub async fn hear(&mut self) -> Option<Event> {
        let heard = tokio::time::timeout(Duration::from_millis(50), self.events.recv()).await;
        heard.ok().map(|event| event.expect("the client lives"))
    }

    /// Whether the engine wants to hear of time.
    pub fn is_due(&self) -> bool {
        self.engine.next_deadline().is_some_and(|due| due <= (self.clock)())
    }

    /// The client ends with its engine.
    pub async fn end(self) {
        let Self { gateway, events, requests, .. } = self;
        drop((requests, events));
        gateway.ended().await;
    }
}
