//! May this intent become an order? One component, one definition per limit, fail closed.
//!
//! *Takes / gives*: an intent, the situation and the limits in; `Approved` or a `Refusal` with the numbers that failed out.
//!
//! Invariants
//! 1. `Approved` has a private field: only `approve` makes one (`tests/it/tidy/approval.rs::only_an_approval_opens`).
//! 2. Whatever is missing refuses (`rules::tests::each_missing_input_refuses`).
//! 3. Each limit refuses on its far side and passes on its near side (`rules::tests::each_limit_trips_and_stays_quiet`).
//! 4. Loss stops are latched until a person resumes (`breakers::tests`).
//! 5. The ladder climbs only when every gate passes, one rung at a time, and each reason throws it back (`ladder::tests`).
//!
//! *Never*: skipped. Cancels and reducing orders need no approval and never come here.

mod breakers;
mod ladder;
mod limits;
mod rules;

pub use breakers::{Breakers, HaltReason};
pub use ladder::{Evidence, Ladder, LadderRules, RungTrade, Sight, SizeCap};
pub use limits::Limits;
pub use rules::{Approved, Situation, approve};
