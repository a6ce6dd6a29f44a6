//! What an exchange is started with, and why a start may fail.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::faults::{FaultError, FaultRule};
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
#[derive(Debug, Clone, Default)]
pub struct DoorRules {
    /// In force from the start; `after_ms` counts from there.
    pub faults: Vec<FaultRule>,
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
