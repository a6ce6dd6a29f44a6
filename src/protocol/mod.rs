//! The messages between rooms as plain data: what goes into the engine, what comes out, what is stored, what is shown.
//!
//! *Takes / gives*: `Event` in, `Effect` out; `Command` from people, `View` to people; `Record`s for the data file.
//!
//! Invariants
//! 1. Everything here is data: it can be stored, replayed and compared (`event::tests::events_round_trip_through_the_codec_format`).
//! 2. Every choice is a closed enum; a refusal carries the numbers that failed.
//!
//! *Never*: logic, I/O, a venue's wire format.

mod command;
mod currency;
mod effect;
mod event;
mod history;
mod ladder;
mod limit;
mod quoting;
mod record;
mod refusal;
mod venue;
mod view;

pub use command::Command;
pub use currency::{AccountView, FxMark};
pub use effect::{Alert, Effect, Request, Severity};
pub use event::{Blob, Carried, Event, Learned, ModelAdopted, ModelKind, ModelRole, Probe, RunOpened, Stamp, WarmUp};
pub use history::{CandleSource, GapReason, GapRecord, GapState, HistoryPage, HistorySpan, Testimony, Witness};
pub use ladder::{GateUnit, LadderView, Rung, RungChange, RungGate, RungReason};
pub use limit::{Action, HaltView, LimitAnswer, LimitName, LimitState, LimitValue, LimitView, UnknownLimit};
pub use quoting::{
    FILL_FEATURES, FillCoefficients, FillFacts, FillModelLearned, FillSampleRecord, Markouts, OrderCostRecord, ParentPurpose, PlannedQuote,
    QuoteOption, TakerCounterfactual,
};
pub use record::{
    Account, CarryRecord, CostRecord, DecisionRecord, EvidenceRecord, FillRecord, GateRecord, HealthRecord, ModelRecord, NeighbourRecord,
    OrderRecord, OrderState, PostingRecord, Record, RunRecord, Verdict,
};
pub use refusal::Refusal;
pub use venue::{FailureKind, Stream, VenueEvent, VenueFill, VenueOrder, VenueRefusal};
pub use view::{
    BalanceMismatch, BookView, Counters, DecisionView, ExposedView, HealthVerdict, HealthView, LearningView, LogLine, Mode, ModelView,
    OrderView, PositionView, SymbolView, TradingState, View,
};
