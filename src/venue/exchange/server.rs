//! Starting and stopping: one port for REST, market streams and the WebSocket API.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task;
use tokio::time::timeout;

use super::auth::KeyPair;
use super::clock::Clock;
use super::config::{ExchangeError, MarketSource, ServerConfig};
use super::floor::Floor;
use super::hall::{ACCOUNT, Hall, Parts};
use super::limits::Weights;
use super::market::Market;
use super::replay::Replay;
use super::rest::{self, Door};
use super::state::Stored;
use super::supply::Supply;
use super::{streams, ws_api};
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
    pub addr: SocketAddr,
    shutdown: watch::Sender<bool>,
    serving: task::JoinHandle<()>,
    floor: Floor,
    thread: JoinHandle<()>,
}

impl ExchangeServer {
    /// Loads the state, opens the market and listens. Needs a tokio runtime with time and network.
    ///
    /// # Errors
    /// When the address is taken, or the state is not readable or belongs to another exchange.
    pub async fn start(config: ServerConfig) -> Result<Running, ExchangeError> {
        let listen = config.listen;
        let keys = KeyPair::from_seed(config.seed);
        let clock = Clock { skew: config.skew };
        let listening = TcpListener::bind(listen).await.and_then(|listener| listener.local_addr().map(|addr| (listener, addr)));
        let (listener, addr) = listening.map_err(|source| ExchangeError::Listen { addr: listen, source })?;
        let (floor, thread) = Floor::start(open_hall(config, clock)?).map_err(ExchangeError::Thread)?;
        let (shutdown, stopping) = watch::channel(false);
        let door =
            Door { floor: floor.clone(), keys: keys.clone(), clock, weights: Mutex::new(Weights::default()), shutdown: stopping.clone() };
        let app = router(Arc::new(door)).into_make_service_with_connect_info::<SocketAddr>();
        // Small messages must not wait for the acknowledgement of earlier ones.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
        });
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
            api_key: keys.key,
            api_secret: keys.secret,
            addr,
            shutdown,
            serving,
            floor,
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
    /// Closes every connection, answers what was asked, saves the state, and ends. A caller that never finishes its request is left behind.
    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        let Self { mut serving, floor, thread, .. } = self;
        if timeout(CLOSING_WITHIN, &mut serving).await.is_err() {
            serving.abort();
        }
        if let Err(error) = floor.run(|hall| hall.closing = true).await {
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
