//! `run`: demo, paper or live, with a terminal or without; and captures in simulated time.

mod account;
pub(in crate::app) mod bans;
mod capture;
mod courier;
mod demo;
mod engine_loop;
mod fx;
mod kill_switch;
pub(in crate::app) mod ladder;
mod learner;
mod log;
mod quoting;
mod recorder;
mod screen;
mod simulate;
mod start;
mod summary;
mod tape;
mod watchdog;

pub use simulate::simulate;

use super::Context;
use super::cli::{ModelArg, RunArgs, SpeedArg};
use super::failure::{Failure, Outcome};
use crate::protocol::Mode;

/// Runs until it is told to stop, and prints the summary.
pub fn run(context: Context, args: RunArgs) -> Outcome {
    let mode = args.mode.map_or(if args.replay.is_empty() { Mode::Demo } else { Mode::Paper }, Mode::from);
    check(mode, &args)?;
    if args.replay.is_empty() { start::run(context, &args, mode) } else { capture::run(context, &args) }
}

fn check(mode: Mode, args: &RunArgs) -> Outcome {
    if !args.replay.is_empty() && mode != Mode::Paper {
        return Err(Failure::usage("--replay runs recorded markets on paper: use --mode paper"));
    }
    if !args.replay.is_empty() && args.venue.is_some() {
        return Err(Failure::usage("--replay and --venue exclude each other: a capture is the venue"));
    }
    if args.replay.is_empty() && args.speed != SpeedArg::One {
        return Err(Failure::usage("--speed is for --replay: a live market has its own"));
    }
    if mode == Mode::Live && args.model == ModelArg::Shadow {
        return Err(Failure::refused("--model shadow is for demo and paper: a model that failed its gates never trades real money"));
    }
    if mode == Mode::Live && args.seed.is_some() {
        return Err(Failure::usage("--seed is for demo and paper"));
    }
    Ok(())
}
