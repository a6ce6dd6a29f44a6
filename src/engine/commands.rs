//! People spoke: halt, resume, flatten, stop. Halts by rules take the same path.

use super::Engine;
use crate::domain::{ExitReason, Symbol};
use crate::protocol::{Command, Effect, RungReason, Severity};
use crate::trading::risk::HaltReason;

impl Engine {
    pub(super) fn on_command(&mut self, command: Command, out: &mut Vec<Effect>) {
        match command {
            Command::Halt => self.halt(HaltReason::Hand, out),
            Command::Resume => {
                if matches!(self.breakers.halted(), Some(HaltReason::BalanceMismatch { .. })) {
                    self.accept_balances(out);
                }
                self.breakers.resume();
                self.mismatch_since = None;
                self.dirty = true;
                self.alert(Severity::Info, "trading resumed by hand".to_owned(), out);
            }
            Command::Flatten => {
                self.halt(HaltReason::Flatten, out);
                for desk in self.desks.values_mut() {
                    if let Some(trade) = desk.trade.as_mut() {
                        trade.request_exit(ExitReason::Flatten);
                    }
                }
                self.work_all(out);
            }
            Command::Climb => self.climb(out),
            Command::StepBack => self.step_back(RungReason::Hand, out),
            Command::Stop => {
                self.stopping = true;
                self.stop_entries(out);
            }
        }
    }

    /// Stops opening: latched, entries are cancelled, exits and targets stay.
    pub(super) fn halt(&mut self, reason: HaltReason, out: &mut Vec<Effect>) {
        if self.breakers.halted().is_none() {
            self.breakers.halt(reason.clone());
            self.on_halted(&reason, out);
        }
    }

    pub(super) fn on_halted(&mut self, reason: &HaltReason, out: &mut Vec<Effect>) {
        self.counters.halts += 1;
        self.alert(Severity::Critical, format!("HALTED: {reason}"), out);
        self.dirty = true;
        self.stop_entries(out);
    }

    pub(super) fn stop_entries(&mut self, out: &mut Vec<Effect>) {
        for desk in self.desks.values_mut() {
            if let Some(trade) = desk.trade.as_mut().filter(|t| t.is_entering()) {
                trade.stop_entering();
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
