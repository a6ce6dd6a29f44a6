//! Starting and stopping: one port for REST, market streams and the WebSocket API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task;
use tokio::time::timeout;

use super::auth::{KeyPair, Keys};
use super::clock::Clock;
use super::config::{ExchangeError, MarketSource, ServerConfig};
use super::door::Door;
use super::faults::{FaultError, FaultRule};
use super::floor::Floor;
use super::gate::{Gate, Peer};
use super::hall::{ACCOUNT, Hall, Parts};
use super::limits::OrderCount;
use super::market::Market;
use super::replay::Replay;
use super::rest;
use super::state::Stored;
use super::supply::Supply;
use super::{control, streams, ws_api};
use crate::domain::{Symbol, Timestamp};
use crate::matching::flow::Flow;
use crate::matching::{Exchange, ExchangeConfig};

const LONGEST_BODY: usize = 64 * 1024;
const CLOSING_WITHIN: Duration = Duration::from_secs(3);

/// The simulated exchange.
pub struct ExchangeServer;

/// An exchange that runs; it stops when this is dropped.
pub struct Running {
    /// `http://address`: paths begin with `/api/v3`.
    pub rest: String,
    /// `ws://address`: paths are `/ws` and `/stream`.
    pub ws: String,
    /// `ws://address/ws-api/v3`, complete.
    pub ws_api: String,
    pub api_key: String,
    pub api_secret: String,
    /// Of the public keys that were registered, in their order.
    pub public_api_keys: Vec<String>,
    pub addr: SocketAddr,
    shutdown: watch::Sender<bool>,
    serving: task::JoinHandle<()>,
    door: Arc<Door>,
    thread: JoinHandle<()>,
}

impl ExchangeServer {
    /// Loads the state, opens the market and listens. Needs a tokio runtime with time and network.
    ///
    /// # Errors
    /// When the address is taken, or the state is not readable or belongs to another exchange.
    pub async fn start(config: ServerConfig) -> Result<Running, ExchangeError> {
        let listen = config.listen;
        let pair = KeyPair::from_seed(config.seed);
        let clock = Clock::new(config.skew);
        let rules = config.doors.clone();
        let listening = TcpListener::bind(listen).await.and_then(|listener| listener.local_addr().map(|addr| (listener, addr)));
        let (listener, addr) = listening.map_err(|source| ExchangeError::Listen { addr: listen, source })?;
        let mut hall = open_hall(config, clock.clone())?;
        hall.orders = OrderCount::limited(rules.orders_per_10_seconds, rules.orders_per_day);
        let symbols = hall.symbols.clone();
        let (floor, thread) = Floor::start(hall).map_err(ExchangeError::Thread)?;
        let (shutdown, stopping) = watch::channel(false);
        let keys = Keys { pair: pair.clone(), public: rules.public_keys.clone() };
        let faults = rules.faults.clone();
        let public_api_keys = rules.public_keys.iter().map(|key| key.api_key.clone()).collect();
        let door = Arc::new(Door::new(floor, keys, rules, clock, symbols, stopping.clone()));
        door.inject(faults)?;
        task::spawn(Arc::clone(&door).watch());
        let app = router(Arc::clone(&door)).into_make_service_with_connect_info::<Peer>();
        let listener = Gate { listener };
        let stopped = async move {
            let mut stopping = stopping;
            // An error means that the sender is gone: stop as well.
            drop(stopping.changed().await);
        };
        let serving = task::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the exchange stopped listening");
            }
        });
        Ok(Running {
            rest: format!("http://{addr}"),
            ws: format!("ws://{addr}"),
            ws_api: format!("ws://{addr}/ws-api/v3"),
            api_key: pair.key,
            api_secret: pair.secret,
            public_api_keys,
            addr,
            shutdown,
            serving,
            door,
            thread,
        })
    }

    /// The usual synthetic market in this process, on a free port, nothing kept.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_synthetic(seed: u64, origin: Timestamp) -> Result<Running, ExchangeError> {
        Self::start(ServerConfig::synthetic(seed, origin)).await
    }
}

impl Running {
    /// Lets this go wrong; `after_ms` counts from now.
    ///
    /// # Errors
    /// When the rule makes no sense or names a symbol that is not listed.
    pub fn inject(&self, rule: FaultRule) -> Result<(), FaultError> {
        self.door.inject(vec![rule])
    }

    /// Every rule with its stage and how often it struck, as `GET /control/faults` answers.
    #[must_use]
    pub fn faults(&self) -> String {
        self.door.faults.list()
    }

    /// Forgets every rule and takes back what they hold.
    pub async fn clear_faults(&self) {
        self.door.clear_faults().await;
    }

    /// Closes every connection, answers what was asked, saves the state, and ends. A caller that never finishes its request is left behind.
    pub async fn stop(self) {
        let now = self.door.clock.now();
        if let Err(error) = self.door.floor.run(move |hall| hall.fanout.announce_shutdown(now)).await {
            tracing::debug!(%error, "connections close unannounced");
        }
        self.shutdown.send_replace(true);
        let Self { mut serving, door, thread, .. } = self;
        door.thaw();
        if timeout(CLOSING_WITHIN, &mut serving).await.is_err() {
            serving.abort();
        }
        if let Err(error) = door.floor.run(|hall| hall.closing = true).await {
            tracing::error!(%error, "the exchange's thread did not hear that it should close");
        }
        let joined = task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the exchange's thread ended badly");
        }
    }
}

fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/api/v3/{*path}", any(rest::serve))
        .route("/control/faults", any(control::faults))
        .route("/ws", get(streams::bare))
        .route("/ws/", get(streams::bare))
        .route("/ws/{*names}", get(streams::raw))
        .route("/stream", get(streams::combined))
        .route("/ws-api/v3", get(ws_api::open))
        .fallback(rest::nowhere)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(door)
}

/// The exchange as it was left, or a new one.
fn open_hall(config: ServerConfig, clock: Clock) -> Result<Hall, ExchangeError> {
    let ServerConfig { market, state, balances, seed, speed, .. } = config;
    let stored = state.load()?.map(|bytes| Stored::decode(&bytes)).transpose()?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.seed != seed) {
        return Err(ExchangeError::OtherSeed { stored: stored.seed, wanted: seed });
    }
    let now = clock.now();
    let (supply, instruments, origin) = match market {
        MarketSource::Synthetic(_) if speed != 1 => return Err(ExchangeError::Speed(speed)),
        MarketSource::Synthetic(mut flow) => {
            // The market of an exchange that was there before goes on where it began.
            if let Some(stored) = stored.as_ref().filter(|stored| stored.origin != Timestamp::EPOCH) {
                flow.origin = stored.origin;
            }
            let instruments: Vec<_> = flow.symbols.iter().map(|symbol| symbol.instrument.clone()).collect();
            let symbols = instruments.iter().map(|instrument| instrument.symbol).collect();
            let origin = flow.origin;
            (Supply::Synthetic { flow: Box::new(Flow::new(flow)), symbols }, instruments, origin)
        }
        MarketSource::Replay { recording, instruments } => {
            (Supply::Replay(Replay::new(recording, now, speed)), instruments, Timestamp::EPOCH)
        }
    };
    if instruments.is_empty() {
        return Err(ExchangeError::NoSymbols);
    }
    let (exchange, executions) = match stored {
        Some(mut stored) => {
            instruments.iter().for_each(|instrument| stored.exchange.set_instrument(instrument.clone()));
            (stored.exchange, stored.executions)
        }
        None => {
            let mut exchange = Exchange::new(ExchangeConfig::new(instruments.clone()));
            exchange.open_account(ACCOUNT, &balances);
            (exchange, 0)
        }
    };
    let symbols: Vec<Symbol> = exchange.instruments().map(|instrument| instrument.symbol).collect();
    let mut opening = Vec::new();
    let market = Market::open(supply, &symbols, now, &mut opening);
    Ok(Hall::open(Parts { exchange, market, clock, state, seed, origin, executions }, &opening))
}
