//! The outside: recorded captures and candle files.
//!
//! *Takes / gives*: files in; candles and `MarketUpdate`s out.
//!
//! Invariants
//! 1. A line that cannot be read costs that line only (`capture::tests::a_corrupt_line_costs_itself_only`).
//! 2. A bad row is named with its line and the good rows are kept (`ohlcv::tests::bad_rows_are_named_and_good_ones_kept`).
//!
//! *Never*: decide anything; let a wire type escape.

pub mod capture;
mod inferred;
mod market_frame;
pub mod ohlcv;

pub use inferred::infer_instrument;
