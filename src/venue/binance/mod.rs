//! The client of Binance spot and of every venue that speaks its protocol.
//!
//! *Takes / gives*: `protocol::Request` in, `protocol::Event` out (`Gateway`); typed calls for downloads and probes (`RestClient`).
//!
//! Invariants
//! 1. An order whose fate is not proven is unknown, never refused (`error::tests::an_order_is_refused_only_when_the_venue_says_so`,
//!    `tests::a_placement_with_an_unreadable_answer_is_unknown_and_sent_once`).
//! 2. Secrets appear in no text (`endpoint::tests::credentials_are_hidden`, `tests::errors_never_show_key_secret_or_signature`).
//! 3. Signatures match the documented vectors (`query::tests::*_match_the_documented_vectors`).
//! 4. After a 429 or 418 nothing is sent until the venue allows it (`tests::after_429_everything_waits_as_long_as_told`).
//! 5. A book is announced broken before it is announced again (`gateway::tests::a_broken_market_stream_is_announced_and_comes_back`).
//!
//! *Never*: decide anything; let a wire type escape; send a placement twice.

mod account;
mod clock;
mod endpoint;
mod error;
mod gateway;
mod http;
mod kline_rows;
mod limiter;
mod market_stream;
mod outbox;
mod query;
mod rest;
mod rest_wire;
mod socket;
mod user_stream;
mod user_wire;

#[cfg(test)]
mod test_venue;
#[cfg(test)]
mod tests;

pub use clock::{ClockSample, LocalClock, monotonic_clock};
pub use endpoint::{Credentials, Endpoint, EndpointError};
pub use error::{Call, ClientError, Fate};
pub use gateway::{Gateway, GatewayConfig};
pub use kline_rows::KLINE_PAGE;
pub use rest::{AccountState, AccountTrade, OpenOrders, Placed, RestClient, TradesOf};
