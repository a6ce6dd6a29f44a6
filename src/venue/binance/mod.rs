//! The client of Binance spot and of every venue that speaks its protocol.
//!
//! *Takes / gives*: `protocol::Request` in, `protocol::Event` out (`Gateway`); typed calls for downloads and probes (`RestClient`).
//!
//! Invariants
//! 1. An order whose fate is not proven is unknown, never refused (`error::tests::an_order_is_refused_only_when_the_venue_says_so`,
//!    `tests::a_placement_with_an_unreadable_answer_is_unknown_and_sent_once`).
//! 2. Secrets appear in no text (`endpoint::tests::credentials_are_hidden`, `tests::errors_never_show_key_secret_or_signature`).
//! 3. Signatures match the documented vectors (`query::tests::*_match_the_documented_vectors`,
//!    `keys::tests::ed25519_signatures_match_the_documented_vectors`).
//! 4. After a 429 or 418 nothing is sent until the venue allows it, over either API and after a restart
//!    (`tests::after_429_everything_waits_as_long_as_told`, `test_ws_api::a_ban_told_over_the_socket_stops_rest_too`,
//!    `limiter::tests::a_ban_outlives_a_restart_and_its_end_is_told`).
//! 5. A request that may have left is not sent again, a request that did not leave may take another way
//!    (`test_ws_api::an_order_that_was_sent_and_not_answered_is_unknown_and_goes_nowhere_else`,
//!    `test_ws_api::an_order_that_could_not_leave_goes_over_rest`).
//! 6. No answer makes the client panic or ask without end
//!    (`test_limits::bad_answers_are_typed_errors_that_show_where_and_what_and_cause_no_storm`).
//! 7. A book is announced broken before it is announced again (`gateway::tests::a_broken_market_stream_is_announced_and_comes_back`).
//! 8. Connections are renewed without a gap, a repetition or an interruption
//!    (`test_streams::ten_renewals_under_load_lose_and_double_nothing`, `feed::tests::two_connections_make_one_sequence`,
//!    `test_streams::the_user_stream_is_renewed_without_a_hole_and_each_fill_is_told_once`).
//! 9. Order and repetition of the account's messages change nothing
//!    (`user_news::tests::order_and_repetition_of_messages_change_nothing`).
//! 10. A stream that falls silent is found, subscribed again, then costs its connection
//!     (`test_streams::a_stream_that_stays_silent_costs_the_connection_but_not_the_others`).
//! 11. A user stream that does not report what the venue took is left for a new one
//!     (`gateway::tests::a_user_stream_that_does_not_report_an_order_is_left_for_a_new_one`).
//! 12. Queues are bounded: market data that finds no room breaks its book, the account's messages hold the venue back
//!     (`test_streams::a_reader_that_is_too_slow_loses_its_book_and_gets_a_new_one`).
//!
//! *Never*: decide anything; let a wire type escape; send a placement twice.

mod account;
mod clock;
mod connection;
mod desk;
mod endpoint;
mod error;
mod feed;
mod gateway;
mod http;
mod keys;
mod kline_rows;
mod limiter;
mod lines;
mod lists;
mod market_shard;
mod market_stream;
mod market_wire;
mod number;
mod orders;
mod outbox;
mod owed;
mod pace;
mod placing;
mod query;
mod replace;
mod rest;
mod rest_account;
mod rest_market;
mod rest_wire;
mod rules;
mod rules_wire;
mod signed;
mod socket;
mod stop;
mod stream_rules;
mod topics;
mod transport;
mod user_news;
mod user_stream;
mod user_wire;
mod watch;
mod ws_api;

#[cfg(test)]
mod test_calls;
#[cfg(test)]
mod test_limits;
#[cfg(test)]
mod test_stage;
#[cfg(test)]
mod test_streams;
#[cfg(test)]
mod test_venue;
#[cfg(test)]
mod test_ws_api;
#[cfg(test)]
mod tests;

pub use clock::{ClockSample, LocalClock, monotonic_clock};
pub use desk::{OrderTransport, Requests};
pub use endpoint::{Credentials, Endpoint, EndpointError};
pub use error::{Call, ClientError, Fate};
pub use gateway::{Gateway, GatewayConfig};
pub use keys::KeyError;
pub use kline_rows::KLINE_PAGE;
pub use limiter::{LimitKind, RateLimit};
pub use lists::{ListOf, OrderList};
pub use replace::{Leg, Replaced, WhenNotCancelled};
pub use rest::RestClient;
pub use rest_account::{AccountOrder, AccountState, AccountTrade, Commission, OpenOrders, OrdersOf, Placed, Rates, TradesOf};
pub use rest_market::{AggTrade, AggTradesOf, AveragePrice, Ticker24h};
pub use rules::{BrokenRule, ExchangeRules, Filter, MarketRules, MarketStatus};
pub use signed::signed_request;
pub use stream_rules::StreamRules;
