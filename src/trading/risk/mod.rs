//! May this intent become an order, and what is done at each limit? One component, one definition per limit, fail closed.
//!
//! *Takes / gives*: an intent, the situation and the limits in; `Approved` or a `Refusal` with the numbers that failed out. Marks, trades,
//! errors and bars in; halts, tripped limits and estimates out.
//! Reading order: `limits` (the table), `actions` (what is done at each), `rules` (what refuses), `breakers` (what halts), `sample` (the
//! equity that losses count from), `watch` (what stands at its limit), `changes` (limits that people change), `sizing`, `correlation`,
//! `executable`.
//!
//! Invariants
//! 1. `Approved` has a private field: only `approve` makes one (`tests/it/tidy/approval.rs::only_an_approval_opens`).
//! 2. Whatever is missing refuses (`rules::tests::each_missing_input_refuses`).
//! 3. Each limit refuses on its far side and passes on its near side (`rules::tests::each_limit_trips_and_stays_quiet`).
//! 4. Loss stops are latched until a person resumes (`breakers::tests`); profit never trips one
//!    (`breakers::tests::profit_never_trips_a_loss_limit`).
//! 5. Each limit and stop has one action (`actions::tests::every_limit_has_one_action`), and a scenario that trips it
//!    (`tests/it/engine/scenarios.rs::every_limit_and_stop_has_a_scenario`).
//! 6. A tighter limit holds at once, a looser one after its delay (`changes::tests`).
//! 7. One odd mark makes no loss, hides none, and trips nothing (`breakers::tests::one_odd_mark_makes_no_loss_and_hides_none`,
//!    `watch::tests::each_market_is_proven_by_its_own_marks`).
//! 8. The ladder climbs only when every gate passes, one rung at a time, and each reason throws it back (`ladder::tests`).
//!
//! *Never*: skipped. Cancels and reducing orders need no approval and never come here.

mod actions;
mod breakers;
mod changes;
mod correlation;
mod executable;
mod ladder;
mod limits;
mod rules;
mod sample;
mod situation;
mod sizing;
mod watch;

pub use actions::{ACTIONS, ActionRow, Actions, Cause, Stop};
pub use breakers::{Breakers, HaltReason};
pub use changes::{Asked, LimitChanges};
pub use correlation::{Correlation, MIN_BARS, PortfolioRisk};
pub use executable::executable_price;
pub use ladder::{Evidence, Ladder, LadderRules, RungTrade, Sight, SizeCap};
pub use limits::{LimitRow, Limits, TABLE};
pub use rules::{Approved, approve, limit_of};
pub use situation::Situation;
pub use sizing::{Prospect, Sizing};
pub use watch::{Watch, Watches};
