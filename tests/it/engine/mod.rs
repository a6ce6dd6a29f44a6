//! The engine through whole sessions: its invariants (see `src/engine/mod.rs`), each against a market that moves by itself.

mod currency;
mod determinism;
mod gone_markets;
mod graph;
mod guard;
mod halting;
mod ladder;
mod late_news;
mod limits;
mod money;
mod parts;
mod refusing;
mod replay;
mod restart;
mod scenarios;
mod shocks;
