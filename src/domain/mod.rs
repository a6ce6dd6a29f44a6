//! The words every other room speaks: exact numbers, time, names, instruments, candles.
//!
//! *Takes / gives*: nothing but values; every other room builds on these types.
//!
//! Invariants
//! 1. Money is exact: `Price × Qty = Money` loses nothing (`fixed::tests::notional_is_exact`).
//! 2. Text and binary forms round-trip (`fixed::tests::text_and_binary_forms_round_trip`).
//! 3. Floats come back only through `Instrument::quantize_*` (`instrument::tests::quantise_*`).
//!
//! *Never*: float money, JSON shapes, a venue's name.

mod candle;
mod episode;
mod fixed;
mod gaps;
mod ids;
mod instrument;
mod market_data;
mod order;
mod order_list;
#[cfg(test)]
pub(crate) mod samples;
mod symbol;
mod time;

pub use candle::Candle;
pub use episode::{Episode, ExitReason, Origin, Regime};
pub use fixed::{Bps, Money, NumberError, Price, Qty};
pub use gaps::{Gap, find_gaps};
pub use ids::{ClientOrderId, OrderId, OrderListId, RunId, TradeId};
pub use instrument::{FeeRates, Instrument, Rounding};
pub use market_data::{BookSnapshot, DepthDiff, Level, MarketData, MarketUpdate, PublicTrade, Quote};
pub use order::{Balance, NewOrder, OrderKind, OrderStatus, Role, TimeInForce};
pub use order_list::{ListKind, ListLegs, ListState, ListStatus, NewOrderList};
pub use symbol::{Asset, NameError, Side, Symbol};
pub use time::{Interval, IntervalError, Span, Timestamp};
