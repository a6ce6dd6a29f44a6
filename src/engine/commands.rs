//! People spoke: halt, resume, flatten, stop, another limit. Halts by rules take the same path.

use super::Engine;
use crate::domain::{ExitReason, Symbol};
use crate::protocol::{Action, Command, Effect, RungReason, Severity};
use crate::trading::risk::{Cause, HaltReason};

impl Engine {
    pub(super) fn on_command(&mut self, command: Command, out: &mut Vec<Effect>) {
        match command {
            Command::Halt => self.halt(HaltReason::Hand, out),
            Command::Resume => self.resume(out),
            Command::Flatten => {
                self.halt(HaltReason::Flatten, out);
                self.note_halt(HaltReason::Flatten.to_string(), true);
                self.flatten(None, ExitReason::Flatten, out);
            }
            Command::Climb => self.climb(out),
            Command::StepBack => self.step_back(RungReason::Hand, out),
            Command::Stop => {
                self.stopping = true;
                self.stop_entries(None, out);
            }
            Command::SetLimit { name, value, confirmed } => self.set_limit(name, value, confirmed, out),
            Command::KeepLimit { name } => self.keep_limit(name, out),
        }
    }

    /// A person has seen why it halted, and whatever else stands since: balances that differ are accepted whatever halted.
    fn resume(&mut self, out: &mut Vec<Effect>) {
        if self.resume_accepts() {
            if !self.accept_balances(out) {
                return;
            }
            self.mismatch_since = None;
        }
        self.breakers.resume();
        self.dirty = true;
        self.alert(Severity::Info, "trading resumed by hand".to_owned(), out);
    }

    /// Stops opening: latched, entries are cancelled, exits and targets stay.
    pub(super) fn halt(&mut self, reason: HaltReason, out: &mut Vec<Effect>) {
        if self.breakers.halted().is_none() {
            self.breakers.halt(reason.clone());
            self.on_halted(&reason, out);
        }
    }

    pub(super) fn on_halted(&mut self, reason: &HaltReason, out: &mut Vec<Effect>) {
        let cause = Cause::of(reason);
        let flatten = self.settings.actions.of(cause) == Action::Flatten;
        self.counters.halts += 1;
        self.alert(Severity::Critical, format!("HALTED: {reason}"), out);
        self.dirty = true;
        self.note_halt(reason.to_string(), flatten);
        if let Cause::Limit(name) = cause {
            self.guard.watches.trip(name, self.now);
        }
        self.stop_entries(None, out);
        // By hand it has its own reason.
        if flatten && *reason != HaltReason::Flatten {
            self.flatten(None, ExitReason::RiskLimit, out);
        }
    }

    /// Cancels entries, in some markets or in all.
    pub(super) fn stop_entries(&mut self, only: Option<&[Symbol]>, out: &mut Vec<Effect>) {
        for (_, desk) in self.desks.iter_mut().filter(|(symbol, _)| only.is_none_or(|only| only.contains(symbol))) {
            if let Some(trade) = desk.trade.as_mut().filter(|t| t.is_entering()) {
                trade.stop_entering();
            }
        }
        self.work_all(out);
    }

    /// Closes positions, in some markets or in all.
    pub(super) fn flatten(&mut self, only: Option<&[Symbol]>, reason: ExitReason, out: &mut Vec<Effect>) {
        for (_, desk) in self.desks.iter_mut().filter(|(symbol, _)| only.is_none_or(|only| only.contains(symbol))) {
            if let Some(trade) = desk.trade.as_mut() {
                trade.request_exit(reason);
            }
        }
        self.work_all(out);
    }

    fn work_all(&mut self, out: &mut Vec<Effect>) {
        let symbols: Vec<Symbol> = self.desks.keys().copied().collect();
        for symbol in symbols {
            self.work(symbol, out);
        }
    }
}
