//! Where things meet: command line, settings, modes, clock, threads and shutdown.
//!
//! *Takes / gives*: arguments and environment in; an exit code out.
//!
//! Invariants
//! 1. One place decides the exit code (`main`), one prints answers (`output`), one reads the clock (`clock`).
//! 2. Settings are read once, at start (`config::load`); an unknown key is refused (`config::layers::tests`).
//! 3. An opening order leaves only when its journal entry is on disk (`run::courier`).
//! 4. The engine's end is the program's end, with its reason and code (`run::screen::tests::an_engine_that_panics_*`).
//! 5. A trading state that can not be continued is refused and stays as it is (`tests/it/door.rs::a_state_that_can_not_be_continued_*`).
//! 6. An engine that falls silent or dies leaves no entry at the venue, and every guard (`run::watchdog::tests::a_silent_engine_*`,
//!    `run::watchdog::tests::an_engine_that_dies_*`).
//!
//! *Never*: imported by another room.

mod cli;
mod clock;
mod commands;
mod config;
mod control;
mod failure;
mod history;
mod output;
mod run;
mod training;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

pub use commands::status_text;

use cli::{Cli, Command};
use config::Config;
use failure::Outcome;
use output::Output;

/// What every command has at hand.
#[derive(Debug)]
struct Context {
    config: Config,
    out: Output,
    /// `--for` counts from here.
    started: std::time::Instant,
}

/// Parses, runs, and turns the outcome into the exit code.
#[must_use]
pub fn main(started: std::time::Instant) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Help on a closed pipe is nobody's error.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match dispatch(cli, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr().lock(), "huracan: {failure}");
            ExitCode::from(failure.kind as u8)
        }
    }
}

fn dispatch(cli: Cli, started: std::time::Instant) -> Outcome {
    let Cli { global, run, command } = cli;
    let mut config = config::load(&global.config, std::env::vars(), &global.set)?;
    if let Some(file) = &global.data {
        config.data.file.clone_from(file);
    }
    let out = Output { json: global.json };
    let context = Context { config, out, started };
    match command.unwrap_or(Command::Run(run)) {
        Command::Run(args) => run::run(context, args),
        Command::Simulate(args) => run::simulate(&context, &args),
        Command::Exchange(args) => commands::exchange(&context, args),
        Command::Data(command) => commands::data(&context, command),
        Command::Book { captures } => commands::book(&context, &captures),
        Command::Status => commands::status(&context),
        Command::Limits { command } => commands::limits(&context, command.as_ref()),
        Command::Halt => commands::halt(&context),
        Command::Resume => commands::resume(&context),
        Command::Flatten => commands::flatten(&context),
        Command::Ladder { command } => commands::ladder(&context, command),
        Command::Report { since } => commands::report(&context, since.as_deref()),
        Command::Tail => commands::tail(&context),
        Command::Attach => commands::attach(&context),
        Command::Train(args) => commands::train(&context, &args),
        Command::Backtest(args) => commands::backtest(&context, &args),
        Command::Models(command) => commands::models(&context, &command),
        Command::Memory(command) => commands::memory(&context, &command),
        Command::Replay { run, verify } => commands::replay(&context, run.as_deref(), verify),
        Command::Backup { dest } => commands::backup(&context, &dest),
        Command::Verify { file } => commands::verify(&context, file),
        Command::Compact => commands::compact(&context),
        Command::Config(command) => commands::config(&context, &command),
    }
}
