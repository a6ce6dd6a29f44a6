//! What people see: one immutable picture of the engine, drawn by the terminal and printed by `status`.

use serde::{Deserialize, Serialize};

use super::{AccountView, Alert, HaltView, LadderView, LimitAnswer, LimitView, ModelKind, ModelRole, OrderState, Severity, Verdict};
use crate::domain::{Asset, Bps, Candle, ClientOrderId, Interval, Level, Money, Price, Qty, Regime, RunId, Side, Span, Symbol, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Demo,
    Paper,
    Live,
    Backtest,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradingState {
    /// Reconciling, downloading or learning: nothing opens yet.
    #[default]
    Starting,
    /// The account was compared in this run and has to be compared again, because its stream broke: nothing opens meanwhile.
    Reconnecting,
    Active,
    /// Only exits, until a person resumes.
    Halted {
        reason: String,
    },
    Stopping,
    /// A limit is being restored: positions are sold, the largest first, and nothing opens.
    Reducing {
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthVerdict {
    #[default]
    Healthy,
    Degraded,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct View {
    pub at: Timestamp,
    pub started: Timestamp,
    pub mode: Mode,
    pub run: RunId,
    pub venue: String,
    pub trading: TradingState,
    /// Time scale in one line: bar, horizon, bracket, break-even win rate.
    pub time_scale: String,
    pub bar: Option<Interval>,
    pub models: Vec<ModelView>,
    /// Share of equity that the demo may explore with, percent; `None` outside the demo.
    pub exploration_percent: Option<f64>,
    pub learning: LearningView,
    /// `None` while a held asset has no mark.
    pub equity: Option<Money>,
    pub start_equity: Option<Money>,
    pub day_pnl: Option<Money>,
    pub net_pnl: Option<Money>,
    pub fees: Money,
    pub drawdown: Option<Bps>,
    pub quote_asset: String,
    /// (time, equity in quote units), oldest first, at most 240 points.
    pub equity_line: Vec<(Timestamp, f64)>,
    pub positions: Vec<PositionView>,
    pub orders: Vec<OrderView>,
    /// Newest first, at most 50.
    pub decisions: Vec<DecisionView>,
    pub symbols: Vec<SymbolView>,
    pub health: HealthView,
    /// Newest first, at most 50.
    pub alerts: Vec<Alert>,
    pub counters: Counters,
    /// What resuming would accept: filled while trading is halted and venue and books differ.
    #[serde(default)]
    pub mismatches: Vec<BalanceMismatch>,
    #[serde(default)]
    pub exposed: ExposedView,
    /// Something is held, or was traded in this data file before, in whatever run.
    #[serde(default)]
    pub has_traded: bool,
    /// What is held but too little to sell, in quote money; `None` while a mark is missing.
    #[serde(default)]
    pub dust: Option<Money>,
    /// Episodes that are recalled from, of all runs.
    #[serde(default)]
    pub remembered: u64,
    /// `None` where nothing is climbed: demo, paper, backtest.
    #[serde(default)]
    pub ladder: Option<LadderView>,
    /// `None` without an account currency of its own.
    #[serde(default)]
    pub account: Option<AccountView>,
    /// Every limit, in the order of the table.
    #[serde(default)]
    pub limits: Vec<LimitView>,
    /// The halt in force and how far it has come; `None` while trading.
    #[serde(default)]
    pub halt: Option<HaltView>,
    #[serde(default)]
    pub limit_answer: Option<LimitAnswer>,
}

/// Sellable holdings that no stop at the venue guards, in quote money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExposedView {
    pub now: Money,
    /// How long something has been exposed without a pause; zero while nothing is.
    #[serde(default)]
    pub lasting: Span,
    /// The longest such time.
    pub longest: Span,
    /// Sum of amount x seconds since the start.
    pub total: Money,
}

/// An asset of which the venue holds another amount than the books say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceMismatch {
    pub asset: Asset,
    pub venue: Qty,
    pub books: Qty,
}

/// What this run did; earlier runs are not in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counters {
    pub events: u64,
    pub candles: u64,
    pub gaps: u64,
    pub decisions: u64,
    pub refusals: u64,
    pub orders: u64,
    pub fills: u64,
    pub maker_fills: u64,
    pub taker_fills: u64,
    pub trades_closed: u64,
    pub trades_won: u64,
    pub episodes: u64,
    pub halts: u64,
    pub venue_refusals: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    pub id: String,
    pub kind: ModelKind,
    pub role: ModelRole,
    pub gates_passed: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LearningView {
    /// What is being done, e.g. "downloading history"; empty before the first report.
    pub stage: String,
    pub done: u64,
    pub total: u64,
    pub finished: bool,
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PositionView {
    pub symbol: Symbol,
    pub qty: Qty,
    pub entry_price: Price,
    pub mark: Option<Price>,
    /// What the trade comes to at the mark: fees and what was sold already included.
    pub unrealised: Option<Money>,
    /// The same, of what was paid for all that the trade bought.
    pub unrealised_bps: Option<Bps>,
    pub stop: Option<Price>,
    pub target: Option<Price>,
    pub opened: Timestamp,
    pub held: Span,
    pub exploration: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderView {
    pub id: ClientOrderId,
    pub symbol: Symbol,
    pub side: Side,
    pub qty: Qty,
    pub filled: Qty,
    /// The limit, or the price that sets the order off; `None` for a market order.
    pub price: Option<Price>,
    pub state: OrderState,
    pub age: Span,
    /// "entry", "target", "exit".
    pub purpose: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionView {
    pub at: Timestamp,
    pub symbol: Symbol,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub forecast_net_bps: Option<f64>,
    pub exploration: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolView {
    pub symbol: Symbol,
    pub last: Option<Price>,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub spread: Option<Bps>,
    pub change_bps: Option<Bps>,
    pub regime: Regime,
    pub feed_age: Option<Span>,
    pub book_valid: bool,
    pub gaps: u64,
    /// Oldest first, at most 120.
    pub candles: Vec<Candle>,
    pub book: BookView,
}

/// The best levels, best first, at most 20 a side.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BookView {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HealthView {
    pub verdict: HealthVerdict,
    /// Sentences; empty when healthy.
    pub reasons: Vec<String>,
    pub clock_offset: Option<Span>,
    pub round_trip: Option<Span>,
    pub reconciled: bool,
    pub market_stream_up: bool,
    pub user_stream_up: bool,
    pub store_pending: u32,
    pub venue_refusals: u64,
    pub unreadable: u64,
    /// (kind, count) of failures, most frequent first.
    pub failures: Vec<(String, u64)>,
}

/// One line of the log as the Logs screen shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    pub severity: Severity,
    pub target: String,
    pub text: String,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Demo => "demo",
            Self::Paper => "paper",
            Self::Live => "live",
            Self::Backtest => "backtest",
        })
    }
}

impl std::fmt::Display for HealthVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Critical => "CRITICAL",
        })
    }
}
