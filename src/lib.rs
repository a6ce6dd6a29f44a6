//! Huracan: a crypto trading engine in one binary with one data file.
//!
//! Data runs in a circle (fills change the ledger, the ledger changes decisions); imports never do. The circle is closed in one place,
//! `engine`. Every other room knows only rooms below it, and `tests/it/tidy/imports.rs` holds the table that proves it.
//!
//! ```text
//!  people     app ───────────── tui
//!  doors      venue     store     learning
//!  core       engine
//!  stages     trading (costs > ledger > decision > risk > execution)    health
//!  ground     market    matching    models    memory
//!  words      domain    protocol
//! ```
//!
//! | room | one line |
//! |---|---|
//! | [`domain`] | exact numbers, time, names, instruments, candles |
//! | [`protocol`] | the messages between rooms as plain data: `Event`, `Effect`, `Command`, `View`, records |
//! | [`market`] | market updates become order book, candles, features, regime, feed quality |
//! | [`matching`] | an exchange's own rules, pure; the seeded synthetic market |
//! | [`models`] | boosted trees and PPO policy: fit, predict, artifacts named by their content |
//! | [`memory`] | past trades as vectors, recalled behind a time fence |
//! | [`trading`] | costs, ledger, decision, risk, execution |
//! | [`health`] | evidence about the box becomes a verdict |
//! | [`engine`] | the one deterministic machine: events in, effects out |
//! | [`learning`] | labels, walk-forward, gates, training; drivers for backtest, capture and replay |
//! | [`venue`] | the Binance client, captures and candle files, the simulated exchange |
//! | [`store`] | the one data file: journal, tables, backup, verification |
//! | [`tui`] | draws the `View`, turns keys into `Command`s |
//! | [`app`] | command line, settings, clock, threads, shutdown |
//!
//! # The way of one event
//!
//! ```text
//!  venue streams > Market ─┐  one bounded queue, one total order, each stamped (seq, time) by `app::run`
//!  venue answers > Venue ──┤
//!  timer ────────> Tick ───┼> engine.apply ─> journal + records (one transaction) ─> courier ─> venue
//!  probes ───────> Probe ──┤       │                                    opening orders wait for the disk,
//!  keys, signals > Command ┤       │                                    cancels and exits never do
//!  workshop ─────> Learned ┘   market > features > models ┐
//!                              memory recall ─────────────┴> decision > risk > execution > Send
//! ```
//!
//! # Where to start reading
//!
//! `engine/mod.rs` (the machine), `trading/decision.rs` (the table that chooses), `trading/risk/rules.rs` (the rules that refuse),
//! `trading/execution/order.rs` (the transition table), `app/run/engine_loop.rs` (where it meets the world).
//!
//! # What always holds
//!
//! 1. No opening order without `risk::Approved`; halted, only cancels and reduces leave.
//! 2. What is missing refuses: no price, stale book, unknown balance, clock or equity.
//! 3. Only the venue's word ends an order; a local timer only asks.
//! 4. Money is exact, debits equal credits, and the parts of a trade's cost sum to the whole to the last unit.
//! 5. Nothing sees the future: features, labels, scalers, memory (each has its canary test).
//! 6. Same events, same effects: `huracan replay --verify` recomputes a run from its journal.

pub mod app;
pub mod domain;
pub mod engine;
pub mod health;
pub mod learning;
pub mod market;
pub mod matching;
pub mod memory;
pub mod models;
pub mod protocol;
pub mod store;
pub mod trading;
pub mod tui;
pub mod venue;
