//! Tests of the house as a whole: its rules as data, and the engine through whole sessions against an exchange made of rules.
#![allow(clippy::unwrap_used)] // A test that can not set its scene fails loudly.

mod clients;
mod desk;
mod door;
mod dry_run;
mod engine;
mod exchange_process;
mod faults;
mod guarding;
mod halt_ack;
mod history;
mod honest;
mod kill;
mod live;
mod real_time;
mod signals;
mod tidy;
