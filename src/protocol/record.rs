//! Everything that is kept in the data file, as plain data. The store adds the version byte.

use serde::{Deserialize, Serialize};

use super::{Mode, ModelKind, Refusal, VenueFill};
use crate::domain::{
    Asset, Bps, ClientOrderId, Episode, ExitReason, NewOrder, OrderId, Price, Qty, Regime, RunId, Span, Symbol, Timestamp, TradeId,
};

/// What the engine hands to the data file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    Order(OrderRecord),
    Fill(FillRecord),
    /// The postings of one fill or transfer; they sum to zero per asset.
    Postings(Vec<PostingRecord>),
    Decision(DecisionRecord),
    Episode(Episode),
    Cost(CostRecord),
    Health(HealthRecord),
    /// The trading state to carry into the next run; replaces the previous one.
    Carry(CarryRecord),
    /// What one parent order cost.
    OrderCost(Box<super::OrderCostRecord>),
    /// A quote that was followed to its end.
    FillSample(Box<super::FillSampleRecord>),
}

/// An order's life as we know it; see the transition table in `trading/execution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Journaled and sent, no word from the venue yet.
    Submitted,
    Open,
    PartiallyFilled,
    CancelSent,
    /// Outcome unknown: counts in full against every limit.
    Unknown,
    Filled,
    Canceled,
    Rejected,
    Expired,
}

impl OrderState {
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Rejected | Self::Expired)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    pub order: NewOrder,
    pub order_id: Option<OrderId>,
    pub state: OrderState,
    pub filled: Qty,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// The mid when it was decided: the reference of its slippage.
    pub arrival_mid: Price,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillRecord {
    pub fill: VenueFill,
    pub run: RunId,
    pub arrival_mid: Price,
}

/// An account of the double-entry ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What the venue holds for us.
    Venue,
    /// The other side of trades in one symbol.
    Trading(Symbol),
    /// Commissions paid (received when negative).
    Fees,
    /// Deposits, withdrawals and opening balances.
    Capital,
}

/// One line of a balanced entry: `amount` of `asset` into `account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingRecord {
    pub entry: u64,
    pub at: Timestamp,
    pub account: Account,
    pub asset: Asset,
    pub amount: Qty,
    /// The trade that caused it, if one did.
    pub trade_id: Option<TradeId>,
}

/// What a full evaluation concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Enter,
    Hold,
    Exit(ExitReason),
    StandAside,
    /// It wanted to enter and risk said no.
    Refused(Refusal),
}

/// A decision with the evidence it stood on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    pub number: u64,
    pub run: RunId,
    pub at: Timestamp,
    pub symbol: Symbol,
    pub verdict: Verdict,
    /// Short sentences, most important first.
    pub reasons: Vec<String>,
    pub evidence: EvidenceRecord,
    /// True when only the demo's exploration allowance let it pass.
    pub exploration: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceRecord {
    pub mid: Price,
    pub spread: Bps,
    pub regime: Regime,
    /// Forecast of the return net of costs, bps; `None` without a model.
    pub forecast_net_bps: Option<f64>,
    pub threshold_bps: f64,
    /// The policy's probability of entering (in shadow it does not count).
    pub policy_enter: Option<f64>,
    /// The most alike past trades whose outcome was known.
    pub neighbours: Vec<NeighbourRecord>,
    /// Weighted mean net outcome of the neighbours, bps.
    pub recall_net_bps: Option<f64>,
    pub vector: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NeighbourRecord {
    pub episode: u64,
    /// Cosine similarity, −1 to 1.
    pub similarity: f32,
    pub net_bps: f64,
}

/// What a closed trade cost. gross − fees − spread − slippage − impact = net, to the last unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostRecord {
    pub symbol: Symbol,
    pub entry_time: Timestamp,
    pub exit_time: Timestamp,
    pub qty: Qty,
    pub entry_price: Price,
    pub exit_price: Price,
    /// P&L at arrival mids.
    pub gross: crate::domain::Money,
    pub fees: crate::domain::Money,
    pub spread: crate::domain::Money,
    pub slippage: crate::domain::Money,
    pub impact: crate::domain::Money,
    pub net: crate::domain::Money,
    pub exit: ExitReason,
    pub held: Span,
    pub exploration: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    pub at: Timestamp,
    pub verdict: super::HealthVerdict,
    pub reasons: Vec<String>,
}

/// The engine's trading state (`Engine::snapshot`), kept per (mode, venue, account).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryRecord {
    pub run: RunId,
    pub at: Timestamp,
    /// JSON.
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateRecord {
    pub name: String,
    pub value: f64,
    pub limit: f64,
    pub passed: bool,
}

/// A trained model with its lineage; `id` is the SHA-256 of `artifact`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    pub id: String,
    pub kind: ModelKind,
    pub created: Timestamp,
    pub code_version: String,
    pub symbols: Vec<Symbol>,
    /// SHA-256 over the training candles, so that the same data is recognised.
    pub data_id: String,
    /// The model it was trained after or from, if any.
    pub parent: Option<String>,
    pub feature_version: u16,
    pub gates: Vec<GateRecord>,
    pub gates_passed: bool,
    /// Everything else worth showing, as JSON (AUC, folds, importance, shadow trades).
    pub report: String,
    pub artifact: Vec<u8>,
}

/// One start of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub run: RunId,
    pub mode: Mode,
    pub venue: String,
    pub opened: Timestamp,
    pub closed: Option<Timestamp>,
    pub code_version: String,
    pub settings_hash: String,
    pub models: Vec<String>,
    /// Running hash over all events and effects, at close.
    pub fingerprint: Option<u64>,
    pub events: u64,
    pub effects: u64,
    /// False once an effect left without its journal entry (store dead): replay stops there.
    pub replayable: bool,
    /// The printed summary, as JSON.
    pub summary: Option<String>,
}

/// An order id the venue knows and an order of ours, for the key of the orders table.
impl OrderRecord {
    #[must_use]
    pub fn id(&self) -> ClientOrderId {
        self.order.id
    }
}
