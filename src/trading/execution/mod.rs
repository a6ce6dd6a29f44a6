//! How an approved intent becomes fills: the order machine, the book of our orders, and the life of one trade.
//!
//! *Takes / gives*: `Approved` orders, reducing orders and the venue's words in; what to send next and what changed out.
//!
//! Invariants
//! 1. An opening order needs `Approved` (`orders::Orders::open` takes nothing else).
//! 2. Every legal transition is one line of `order::next`; everything else changes nothing
//!    (`order::tests`, `word_tests::any_order_of_words_keeps_the_invariants_and_visits_every_line_of_the_table`).
//! 3. A local timer never ends an order: it only asks (`orders::tests::an_unanswered_order_is_asked_for_and_never_forgotten`).
//!    Given up and alive after all, it is cancelled (`tests/it/engine/late_news.rs::an_order_that_comes_alive_*`).
//! 4. filled <= ordered; a trade id counts once per order (`orders::tests::a_repeated_fill_is_applied_once`).
//! 5. Refused exits are tried less and less often, for ever (`script_tests::refusals_double_the_pause_*`).
//! 6. What is held is guarded by the venue, once (`script_tests::a_guard_that_is_gone_*`, `tests/it/engine/guard.rs`).
//! 7. No order of unknown fate holds up a sale or a guard (`part_tests::a_buy_that_nobody_has_heard_of_*`).
//!
//! *Never*: knows a real venue; accepts an unapproved opening order.

mod entering;
mod holding;
mod leaving;
mod order;
mod orders;
#[cfg(test)]
mod part_tests;
mod protection;
mod reducing;
#[cfg(test)]
mod script_tests;
mod trade;
#[cfg(test)]
mod word_tests;

pub use order::{Leg, Listed, Order, OrderEvent, Purpose, next};
pub use orders::{Change, Orders};
pub use protection::{Bracket, Cover, Guard};
pub use trade::{Decided, ExecutionRules, Phase, Plan, Scene, Step, Touch, Trade};
