//! The commands that do one thing and end; trading itself is `run`.
//!
//! *Takes / gives*: arguments and the data file; an answer as JSON or text, or a `Failure`.
//!
//! Invariants
//! 1. Every command reads a demo file as well as a real one; a writing command leaves a file's kind as it is
//!    (`data_file::tests::a_writing_command_keeps_the_kind_of_the_file`).
//! 2. What candles cannot tell is said, not invented: assumptions and bad rows are part of the answer
//!    (`data::trades::tests::only_whole_candles_leave`).
//! 3. A backtest trades what its models never saw (`backtest::tests::training_ends_a_horizon_before_the_test`).
//!
//! *Never*: trade; read a clock except through `clock`.

mod backtest;
mod book;
mod config;
mod data;
pub(super) mod data_file;
mod exchange;
mod keep;
mod ladder;
mod limits;
mod memory;
mod models;
mod moment;
mod progress;
mod replay;
mod report;
mod running;
mod series;
mod status;
mod train;

pub use backtest::backtest;
pub use book::book;
pub use config::config;
pub use data::data;
pub use exchange::exchange;
pub use keep::{backup, compact, verify};
pub use ladder::ladder;
pub use limits::limits;
pub use memory::memory;
pub use models::models;
pub use progress::bar;
pub use replay::replay;
pub use report::report;
pub use running::{attach, flatten, halt, resume, status, tail};
pub use status::status_text;
pub use train::train;
