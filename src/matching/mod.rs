//! An exchange's own rules, pure: orders, balances, fees and queue positions among displayed market data.
//!
//! *Takes*: market data (`MarketUpdate`), order requests and cancels, each with its time. *Gives*: `Report`s, and answers to queries.
//! It serves paper trading and backtests (our orders among real, recorded or synthetic levels) and the simulated exchange server.
//!
//! How a resting order fills
//! - When it arrives, the quantity displayed at its price is ahead of it. Where the display does not reach, the queue is unknown (endless)
//!   until it does. A level that shrinks shortens the queue to at most what is displayed; a level that grows grows behind us.
//! - A public trade at its price from the opposite aggressor eats the queue first, then the order. A trade beyond its price fills it whole.
//! - When the displayed opposite side reaches its price, it fills up to that side's quantity. All fills are at its own price, as maker.
//! - With quotes alone (candle backtests) the last rule is the only one.
//! - A trade that came late passes the orders that began to work after it; one without a price or a quantity is none.
//!
//! How a taking order fills: it walks what is displayed and other customers' resting orders, best price first. What it took stays
//! taken until the displayed quantity changes. With quotes alone a market order's rest fills `impact` worse than the quote. Where it would
//! meet an order of its own account, the self-trade mode of its terms or of the symbol's rules says which of the two expires.
//!
//! How a stop fires: a public trade reaches its price; where no trade was ever seen (candle backtests), the middle of the best quotes does.
//! Customers' own trades are not public trades. From then on the order takes or rests as any other; one that was reached while the book was
//! unknown does so with the first known book.
//!
//! Invariants
//! 1. Balances are never negative; totals change only by fills and fees (`tests::random::balances_follow_fills_and_fees_and_nothing_else`).
//! 2. filled <= ordered; a final order never changes; what is locked is the sum of open orders' locks, an OCO pair once; a list executes
//!    as long as one of its orders is open (same test).
//! 3. An unknown book refuses every order (`tests::each_refusal_has_its_cause`).
//! 4. Everything but the book and the places in its queues survives a restart
//!    (`tests::random::a_restart_at_any_moment_changes_no_report_but_by_places_in_the_queue`).
//! 5. A refused request changes nothing (`tests::lists::each_unfit_list_has_its_refusal`).
//! 6. The same calls give the same reports: no clock, no randomness.
//!
//! *Never*: a strategy, a clock, a socket; iceberg, trailing and pegged orders.

mod account;
mod amend;
mod average;
mod contingency;
mod delay;
mod display;
mod exchange;
mod first_form;
pub mod flow;
mod list;
mod market;
mod order;
mod orders;
mod queries;
mod queue;
mod reject;
mod rules;
mod saved;
mod settle;
mod submit;
mod taker;
#[cfg(test)]
mod tests;
mod trigger;

pub use delay::DelayQueue;
pub use exchange::{Exchange, ExchangeConfig};
pub use first_form::FirstForm;
pub use list::{Leg, ListChange, ListNews, ListRef, ListRequest, ListShape, ListView};
pub use order::{
    AccountId, Amendment, Execution, Expiry, OrderRef, OrderRequest, OrderView, Phase, PreventedMatch, Prevention, Report, ReportKind,
    SelfTradeMode, Terms,
};
pub use queries::TradeFilter;
pub use reject::Reject;
pub use rules::{Rules, SymbolStatus};
