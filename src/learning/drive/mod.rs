//! Drivers: they feed the engine from recorded or stored data, perform its effects in `matching`, and compare journals.
//!
//! *Takes / gives*: market updates as iterators; summaries, closed trades and comparisons as values.
//!
//! Invariants
//! 1. Nothing is delivered before its time: reports and requests pass a delay queue, and requests wait as long as the market's news is late
//!    (`paper_venue::tests`).
//! 2. A replay recomputes every effect
//!    (`tests/it/engine/replay.rs::a_journal_replays_from_the_data_file_and_every_change_in_it_is_found`).
//! 3. Inside a candle the bad side comes first (`candle_path::tests::the_low_comes_before_the_high`).

mod backtest;
mod candle_path;
mod feed_lag;
mod paper_venue;
mod replay;
mod session;

pub use backtest::{Backtest, BacktestOutcome, BacktestTrade, CostTotals, backtest};
pub use candle_path::candle_path;
pub use paper_venue::PaperVenue;
pub use replay::{Difference, Replay, ReplayReport};
pub use session::Session;
