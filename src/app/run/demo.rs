//! The demo's own exchange: in this process, over loopback, its state kept in the demo's data file.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::start::store_failure;
use crate::app::clock;
use crate::app::config::Config;
use crate::app::failure::{Failure, Outcome};
use crate::domain::{Qty, Span, Timestamp};
use crate::matching::flow::FlowConfig;
use crate::store::Store;
use crate::venue::exchange::{DoorRules, ExchangeServer, MarketSource, Running, ServerConfig, StatePersistence};

/// Days of history that the synthetic market has when it is first opened.
const MONTHS_OF_HISTORY_DAYS: i64 = 90;
const DAY: Span = Span::from_secs(86_400);
const ORIGIN: &str = "demo/origin";
const SEED: &str = "demo/seed";

pub struct Embedded {
    pub running: Running,
}

impl Embedded {
    /// Starts the exchange where it was left. The market is a function of seed and origin, which the file keeps.
    pub fn start(store: &Store, config: &Config, seed: u64, runtime: &Runtime) -> Outcome<Self> {
        let origin = kept(store, ORIGIN, || (clock::now().day() - MONTHS_OF_HISTORY_DAYS) * DAY.nanos())?;
        let first_seed = kept(store, SEED, || seed.cast_signed())?.cast_unsigned();
        if first_seed != seed {
            return Err(Failure::refused(format!(
                "this demo file holds the market of seed {first_seed}, not {seed}; use another file (--data) or that seed"
            )));
        }
        let mut flow = FlowConfig::usual(seed, Timestamp::from_nanos(origin));
        flow.edge = config.demo.edge;
        flow.symbols.retain(|s| config.demo.symbols.contains(&s.instrument.symbol));
        if flow.symbols.len() != config.demo.symbols.len() {
            let known: Vec<String> =
                FlowConfig::usual(seed, Timestamp::EPOCH).symbols.iter().map(|s| s.instrument.symbol.to_string()).collect();
            return Err(Failure::usage(format!("demo.symbols: the synthetic market has {}", known.join(", "))));
        }
        let initial = store.demo_venue().map_err(store_failure)?;
        let keeper = store.clone();
        let save = Arc::new(move |state: &[u8]| keeper.put_demo_venue(state).map_err(std::io::Error::other));
        let balance = Qty::from_raw(10_000 * 100_000_000);
        let server = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            market: MarketSource::Synthetic(flow),
            state: StatePersistence::Hook { initial, save },
            skew: Span::ZERO,
            balances: vec![(config.demo.quote, balance)],
            seed,
            speed: 1,
            doors: DoorRules::default(),
        };
        let running = runtime.block_on(ExchangeServer::start(server))?;
        Ok(Self { running })
    }
}

/// A number that the first start chooses and the file keeps.
fn kept(store: &Store, name: &str, choose: impl FnOnce() -> i64) -> Outcome<i64> {
    let held = store.meta(name).map_err(store_failure)?;
    if let Some(number) = held.and_then(|bytes| <[u8; 8]>::try_from(bytes.as_slice()).ok()).map(i64::from_le_bytes) {
        return Ok(number);
    }
    let number = choose();
    store.put_meta(name, &number.to_le_bytes()).map_err(store_failure)?;
    Ok(number)
}
