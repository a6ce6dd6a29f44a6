//! What an exchange is started with, and why a start may fail.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::auth::PublicKey;
use super::faults::{FaultError, FaultRule};
use super::limits::{ORDERS_PER_10_SECONDS, ORDERS_PER_DAY};
use super::replay::Recording;
use super::state::StatePersistence;
use crate::domain::{Asset, Instrument, Qty, Span, Timestamp};
use crate::matching::flow::FlowConfig;

/// The market that the exchange shows.
pub enum MarketSource {
    /// A pure function of seed and time; runs with the exchange's clock.
    Synthetic(FlowConfig),
    /// Recorded updates in order of local time, moved so that the first is now; spacing divided by the speed.
    Replay { recording: Recording, instruments: Vec<Instrument> },
}

pub struct ServerConfig {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub market: MarketSource,
    pub state: StatePersistence,
    /// The exchange's clock less this computer's.
    pub skew: Span,
    /// What the account holds when the exchange is new.
    pub balances: Vec<(Asset, Qty)>,
    /// The key pair follows from it.
    pub seed: u64,
    /// Recorded seconds in one; 1 for the synthetic market, whose candles lie on the clock.
    pub speed: u32,
    pub doors: DoorRules,
}

/// How the doors behave.
#[derive(Debug, Clone)]
pub struct DoorRules {
    /// In force from the start; `after_ms` counts from there.
    pub faults: Vec<FaultRule>,
    /// Keys of the account beside its HMAC pair.
    pub public_keys: Vec<PublicKey>,
    /// Unknown parameters are refused (-1104), as on the real exchange; some clients send stray ones.
    pub strict: bool,
    /// The first ban of who goes on after 429; each further one is twice as long.
    pub first_ban: Span,
    /// Unfilled orders of 10 seconds and of a day; `exchangeInfo` names the usual ones.
    pub orders_per_10_seconds: u32,
    pub orders_per_day: u32,
    /// How often a WebSocket connection is pinged, and how long it may go without a pong.
    pub ping_every: Duration,
    pub pong_within: Duration,
    /// A WebSocket connection's longest life.
    pub life: Duration,
}

impl Default for DoorRules {
    /// As on the real exchange, but lenient about parameters: bans from 2 minutes, pings every 20 s, pongs within 60 s, 24 h of life.
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            public_keys: Vec::new(),
            strict: false,
            first_ban: Span::from_secs(120),
            orders_per_10_seconds: ORDERS_PER_10_SECONDS,
            orders_per_day: ORDERS_PER_DAY,
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(60),
            life: Duration::from_secs(24 * 3_600),
        }
    }
}

impl ServerConfig {
    /// The usual synthetic market on a free loopback port, 10,000 USDT, nothing kept.
    #[must_use]
    pub fn synthetic(seed: u64, origin: Timestamp) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            market: MarketSource::Synthetic(FlowConfig::usual(seed, origin)),
            state: StatePersistence::Volatile,
            skew: Span::ZERO,
            balances: Self::usual_balances(),
            seed,
            speed: 1,
            doors: DoorRules::default(),
        }
    }

    /// 10,000 USDT.
    #[must_use]
    pub fn usual_balances() -> Vec<(Asset, Qty)> {
        "USDT".parse().map(|usdt| vec![(usdt, Qty::from_raw(10_000 * 100_000_000))]).unwrap_or_default()
    }
}

/// Why the exchange did not start.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("cannot listen on {addr}; choose another address or port 0")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot start the exchange's thread")]
    Thread(#[source] io::Error),
    #[error("cannot read the exchange's state from {}", .path.display())]
    State { path: PathBuf, source: io::Error },
    #[error("the exchange's state is empty; remove it to start a new exchange")]
    StateEmpty,
    #[error("the exchange's state has version {found}, this program reads {known}; use the newer program")]
    StateVersion { found: u8, known: u8 },
    #[error("the exchange's state is damaged; restore it from a backup")]
    StateDamaged(#[from] bincode::error::DecodeError),
    #[error("the exchange's state has {bytes} bytes too many; restore it from a backup")]
    StateTrailing { bytes: usize },
    #[error("the exchange's state belongs to seed {stored}, not {wanted}; start it with that seed or remove the state")]
    OtherSeed { stored: u64, wanted: u64 },
    #[error("a synthetic market runs at speed 1, not {0}")]
    Speed(u32),
    #[error("a fault cannot be taken")]
    Fault(#[from] FaultError),
    #[error("the market has no symbols")]
    NoSymbols,
}
