//! The outside: the Binance client, recorded captures, candle files, and the simulated exchange.
//!
//! *Takes / gives*: `protocol::Request` and files in; `protocol::Event`, candles and `MarketUpdate`s out.
//!
//! Invariants
//! 1. A line that cannot be read costs that line only (`capture::tests::a_corrupt_line_costs_itself_only`).
//!    A capture that is written is read back the same (`capture_lines::tests::what_is_written_is_read_back_the_same`).
//! 2. A bad row is named with its line and the good rows are kept (`ohlcv::tests::bad_rows_are_named_and_good_ones_kept`).
//! 3. An order whose fate is not proven is reported as unknown, never as refused
//!    (`binance::error::tests::an_order_is_refused_only_when_the_venue_says_so`).
//! 4. A downloaded candle is closed by the venue's clock and sound, or named as bad (`history::rows::tests`); a file is what its checksum
//!    says, or nothing of it is kept (`history::tests::an_archive_with_a_wrong_checksum_is_refused`).
//!
//! *Never*: decide anything; let a wire type escape.

pub mod binance;
pub mod capture;
mod capture_lines;
mod depth_frame;
pub mod exchange;
pub mod history;
mod inferred;
mod market_frame;
pub mod ohlcv;
mod order_words;

pub use capture_lines::write_line;
pub use inferred::infer_instrument;
