//! Configuration in layers: built-in text, files, environment, flags; checked once at start, read nowhere else.

mod layers;
mod resolve;

pub use layers::{DEFAULT, load};
pub use resolve::engine_settings;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Bps, FeeRates, Interval, Money, Symbol};
use crate::engine::TimeScale;
use crate::health::HealthLimits;
use crate::protocol::Mode;
use crate::trading::costs::MakerRules;
use crate::trading::currency::AccountCurrency;
use crate::trading::decision::{DecisionRules, Exploration};
use crate::trading::execution::ExecutionRules;
use crate::trading::risk::{Actions, LadderRules, Limits, Sizing};
use crate::venue::binance::OrderTransport;

/// The whole configuration, as in `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: DataConfig,
    pub venue: VenueConfig,
    pub history: HistoryConfig,
    pub markets: MarketsConfig,
    pub time_scale: TimeScale,
    pub limits: Limits,
    pub ladder: LadderRules,
    pub account: AccountConfig,
    pub actions: Actions,
    pub sizing: Sizing,
    pub execution: ExecutionRules,
    pub maker: MakerRules,
    pub decision: DecisionRules,
    pub health: HealthLimits,
    pub memory: MemoryConfig,
    pub paper: PaperConfig,
    pub learning: LearningConfig,
    pub gates: GatesConfig,
    pub record: RecordConfig,
    pub journal: JournalConfig,
    pub log: LogConfig,
    pub replay: ReplayConfig,
    pub demo: DemoConfig,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    pub file: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    pub url: String,
    pub api_key_env: String,
    pub api_secret_env: String,
    pub api_key_file: PathBuf,
    pub api_secret_file: PathBuf,
    pub order_transport: OrderTransport,
    pub maker_fee_bps: Bps,
    pub taker_fee_bps: Bps,
}

/// Where history comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    pub rest: String,
    pub mirror: String,
    pub archive: String,
    pub kraken: String,
    pub coinbase: String,
    pub parallel: u32,
    pub attempts: u32,
    pub pause_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketsConfig {
    pub symbols: Vec<Symbol>,
    pub quote: Asset,
}

/// The currency that a person counts in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Empty: the quote currency alone.
    pub currency: String,
    pub fx_symbol: String,
    pub fx_invert: bool,
    pub fx_max_age_ms: u32,
}

impl AccountConfig {
    /// `None` without one; the check at start has read both names.
    #[must_use]
    pub fn currency(&self) -> Option<AccountCurrency> {
        let (currency, pair) = (self.currency.parse().ok()?, self.fx_symbol.parse().ok()?);
        Some(AccountCurrency { currency, pair, invert: self.fx_invert, max_age_ms: self.fx_max_age_ms })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    pub graph_from: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperConfig {
    pub capital: Money,
    pub latency_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningConfig {
    pub lookback_days: u32,
    pub retrain_after_hours: u32,
    pub half_spread_bps: f64,
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatesConfig {
    pub min_sharpe: f64,
    pub min_profit_factor: f64,
    pub min_trades: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordConfig {
    pub enabled: bool,
    pub keep_days: u32,
    pub max_mib: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// 0: for ever.
    pub market_hours: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub level: String,
    pub file: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayConfig {
    pub bar: Interval,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoConfig {
    pub symbols: Vec<Symbol>,
    pub quote: Asset,
    pub seed: u64,
    pub edge: f64,
    pub history_days: u32,
    pub time_scale: TimeScale,
    pub execution: ExecutionRules,
    pub exploration: ExplorationConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplorationConfig {
    pub threshold_bps: f64,
    pub equity_percent: f64,
    pub cool_down_ms: u32,
}

impl ExplorationConfig {
    fn allowance(&self) -> Exploration {
        Exploration { threshold_bps: self.threshold_bps, equity_percent: self.equity_percent }
    }
}

impl Config {
    #[must_use]
    pub fn fees(&self) -> FeeRates {
        FeeRates { maker: self.venue.maker_fee_bps, taker: self.venue.taker_fee_bps }
    }

    /// The data file of a mode.
    #[must_use]
    pub fn data_file(&self, mode: Mode) -> PathBuf {
        if !self.data.file.as_os_str().is_empty() {
            return self.data.file.clone();
        }
        PathBuf::from(if mode == Mode::Demo { "data/demo.redb" } else { "data/huracan.redb" })
    }

    /// The symbols and the quote currency of a mode.
    #[must_use]
    pub fn markets_of(&self, mode: Mode) -> (&[Symbol], Asset) {
        if mode == Mode::Demo { (&self.demo.symbols, self.demo.quote) } else { (&self.markets.symbols, self.markets.quote) }
    }
}
