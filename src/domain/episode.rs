//! One trade remembered: its situation, path and outcome.

use serde::{Deserialize, Serialize};

use super::{Span, Symbol, Timestamp};

/// What kind of market it was; the rule is in `market/regime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    Trend,
    Range,
    Panic,
    #[default]
    Unknown,
}

/// Where an episode comes from; recall can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Orders at a real or simulated venue.
    Real,
    /// Fills computed from live market data in process.
    Paper,
    /// A model's choice replayed over history.
    Shadow,
    /// What a blocked choice would have made.
    Counterfactual,
}

/// Why a trade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    Target,
    Stop,
    HoldLimit,
    Signal,
    Flatten,
    EndOfData,
    /// The loss limit of one trade.
    LossLimit,
    /// A limit of the whole portfolio.
    RiskLimit,
}

/// One closed trade as memory keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Position in the order of creation, from 0; the HNSW graph covers a prefix of these.
    pub number: u64,
    pub symbol: Symbol,
    pub origin: Origin,
    pub entry_time: Timestamp,
    /// When the outcome was known: recall before this moment must not see it.
    pub known_at: Timestamp,
    /// The feature vector at the decision (`market::features`, version below), as `memory::situation` makes it.
    pub vector: Vec<f32>,
    pub feature_version: u16,
    pub regime: Regime,
    /// Return before costs, at arrival mids, in bps of the entry notional.
    pub gross_bps: f64,
    /// All costs of both sides, in bps of the entry notional.
    pub cost_bps: f64,
    /// What was made: gross less costs.
    pub net_bps: f64,
    pub held: Span,
    /// The worst and best mark while it was open, in bps of the entry price.
    pub worst_bps: f64,
    pub best_bps: f64,
    pub exit: ExitReason,
}

macro_rules! shown_as_word {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

shown_as_word!(Regime { Trend => "trend", Range => "range", Panic => "panic", Unknown => "unknown" });
shown_as_word!(Origin { Real => "real", Paper => "paper", Shadow => "shadow", Counterfactual => "counterfactual" });
shown_as_word!(ExitReason {
    Target => "target",
    Stop => "stop",
    HoldLimit => "hold limit",
    Signal => "signal",
    Flatten => "flatten",
    EndOfData => "end of data",
    LossLimit => "loss limit",
    RiskLimit => "risk limit",
});
