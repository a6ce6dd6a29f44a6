//! The simulated exchange: Binance's spot API over `matching`, so that a real client trades against it over loopback.
//!
//! *Takes*: a market (synthetic or recorded), an account's balances, a seed. *Gives*: REST `/api/v3`, market streams `/ws` and `/stream`,
//! the WebSocket API `/ws-api/v3`, all on one port, and the key pair it accepts.
//!
//! One thread owns the exchange (`floor`); doors check signatures and limits and hand it jobs. The market moves every 25 ms.
//!
//! Served beyond Binance: klines of `5s`; `/control/faults`, by which the exchange goes wrong on purpose (`faults`).
//! Not served: iceberg, trailing and pegged orders, OPO lists, SOR, SBE. The account's own orders and trades do not appear in the public
//! market: its trade ids are a function of time, a taker's trade between them would break their order, and a maker's is there already.
//!
//! Invariants
//! 1. What was acknowledged survives a restart (`tests::trading::a_restart_keeps_orders_balances_and_trades`).
//! 2. A depth snapshot joins the diffs of the stream without a gap (`tests::market::a_snapshot_joins_the_diff_stream`).
//! 3. Signatures are verified over the bytes as received (`auth::tests::the_documented_rest_vectors_verify`).
//! 4. A refused request has Binance's status, code and text (`tests::trading::each_refusal_has_its_code`).
//! 5. A listener that does not keep up is cut off, never skipped (`fanout::tests::a_connection_that_does_not_keep_up_is_cut_off`).
//! 6. A fault strikes what its rule names, as often as it says, by chance of its seed alone (`armed::tests`, each kind in `tests::faults`).
//! 7. Who goes on after 429 is banned, at every door (`tests::doors::who_does_not_stop_at_429_is_banned_everywhere`).
//!
//! *Never*: hold the exchange over an await; answer a placement or a cancel before it is saved.

mod armed;
mod auth;
mod bar;
mod book;
mod clock;
mod config;
mod control;
mod door;
mod elsewhere;
mod endpoint;
mod exchange_info;
mod fanout;
mod faults;
mod feeds;
mod floor;
mod garble;
mod gate;
mod grid;
mod hall;
mod interval;
mod known_params;
mod limits;
mod line;
mod lists;
mod market;
mod micros;
mod outbound;
mod params;
mod placement;
mod refusal;
mod replace;
mod replay;
mod reply;
mod rest;
mod rest_account;
mod rest_market;
mod server;
mod session;
mod state;
mod streams;
mod strike;
mod supply;
mod tape;
#[cfg(test)]
mod tests;
mod ticker;
mod topic;
mod trading;
mod wire;
mod wire_list;
mod wire_market;
mod wire_order;
mod wire_user;
mod ws_api;

pub use auth::{KeyError, PublicKey};
pub use config::{DoorRules, ExchangeError, MarketSource, ServerConfig};
pub use faults::{Fault, FaultDoor, FaultError, FaultRule, Form, Phase};
pub use replay::Recording;
pub use server::{ExchangeServer, Running};
pub use state::{SaveState, StatePersistence};
