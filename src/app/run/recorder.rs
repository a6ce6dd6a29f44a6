//! The run's journal: collects what happened and hands it to the writer, in order and in one transaction with its records.

use std::time::Duration;

use super::tape::Tape;
use crate::engine::Engine;
use crate::protocol::{Effect, Event, Record, Request, Stamp};
use crate::store::{JournalEntry, Ticket, WriterError, WriterHandle};

/// Entries that may wait before a fast source waits for the disk.
const HIGH_WATER: usize = 50_000;

pub struct Recorder {
    writer: WriterHandle,
    /// Keeps the market's data for later training; `None` where they are a recording already.
    tape: Option<Tape>,
    entries: Vec<JournalEntry>,
    records: Vec<Record>,
    /// The trading state changed since it was last handed over.
    carry: bool,
    urgent: bool,
    last: Option<Ticket>,
    pub events: u64,
    pub effects: u64,
    /// False once something could not be handed over: the run can not be replayed beyond that point.
    pub complete: bool,
}

impl Recorder {
    pub fn new(writer: WriterHandle) -> Self {
        Self {
            writer,
            tape: None,
            entries: Vec::new(),
            records: Vec::new(),
            carry: false,
            urgent: false,
            last: None,
            events: 0,
            effects: 0,
            complete: true,
        }
    }

    /// Also keeps what the market says.
    #[must_use]
    pub fn with_tape(self, tape: Option<Tape>) -> Self {
        Self { tape, ..self }
    }

    pub fn take(&mut self, stamp: Stamp, event: Event, effects: Vec<Effect>) {
        self.events += 1;
        self.effects += effects.len() as u64;
        if let (Some(tape), Event::Market(update)) = (&mut self.tape, &event) {
            tape.hear(update);
        }
        if !self.complete {
            return;
        }
        self.urgent |=
            effects.iter().any(|e| matches!(e, Effect::Send(Request::Place { .. } | Request::PlaceList { .. } | Request::Replace { .. })));
        for effect in &effects {
            match effect {
                Effect::Persist(record) => self.records.push(record.as_ref().clone()),
                Effect::Carry { .. } => self.carry = true,
                Effect::Send(_) | Effect::Alert(_) => {}
            }
        }
        self.entries.push(JournalEntry { stamp, event, effects });
    }

    pub fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// Hands over what was collected; the ticket of the last hand-over, if anything was ever handed over. `engine` has taken the last event
    /// that was collected, and none after it.
    pub fn flush(&mut self, engine: &Engine) -> Result<Option<Ticket>, WriterError> {
        if !self.entries.is_empty() {
            if std::mem::take(&mut self.carry) {
                self.records.extend(engine.carry().map(Record::Carry));
            }
            let (entries, records) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.records));
            let urgent = std::mem::take(&mut self.urgent);
            match self.writer.append(entries, records, urgent) {
                Ok(ticket) => self.last = Some(ticket),
                Err(error) => {
                    self.complete = false;
                    return Err(error);
                }
            }
        }
        Ok(self.last)
    }

    /// Hands over what the tape still holds and ends it.
    pub fn stop_tape(&mut self) {
        if let Some(tape) = self.tape.take() {
            tape.stop();
        }
    }

    /// For sources faster than the disk: flushes, and waits while too much is pending.
    pub fn flush_patiently(&mut self, engine: &Engine) -> Result<(), WriterError> {
        let ticket = self.flush(engine)?;
        if self.writer.status().pending > HIGH_WATER
            && let Some(ticket) = ticket
            && !self.writer.wait(ticket, Duration::from_secs(60))
        {
            tracing::warn!("the disk does not keep up with the replay");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{self, engine_settings};
    use crate::domain::{RunId, Timestamp};
    use crate::protocol::{Command, Mode, RunOpened};
    use crate::store::{FileKind, Identity, Scope, Store, Writer};

    /// The engine takes an event, and the recorder what came of it.
    fn record(recorder: &mut Recorder, engine: &mut Engine, seq: u64, event: Event) {
        let stamp = Stamp { seq, at: Timestamp::from_millis(seq as i64) };
        let mut effects = Vec::new();
        engine.apply(stamp, event.clone(), &mut effects);
        recorder.take(stamp, event, effects);
    }

    #[test]
    fn the_trading_state_is_kept_once_and_as_the_last_event_left_it() {
        let dir = tempfile::tempdir().unwrap();
        let scope = Scope { mode: Mode::Paper, venue: "test".into(), account: "test".into() };
        let store = Store::open(&dir.path().join("x.redb"), &Identity { kind: FileKind::Real, scope }).unwrap();
        let writer = Writer::start(store.clone(), RunId(1), |_| {}).unwrap();
        let settings = engine_settings(&config::load(&[], std::iter::empty(), &[]).unwrap(), Mode::Paper, false);
        let opened = RunOpened {
            run: RunId(1),
            mode: Mode::Paper,
            venue: "test".into(),
            code_version: String::new(),
            settings: serde_json::to_string(&settings).unwrap(),
            settings_hash: String::new(),
            carried: None,
        };
        let (mut engine, mut recorder) = (Engine::new(settings), Recorder::new(writer.handle()));
        let kept = |recorder: &mut Recorder, engine: &Engine| {
            let ticket = recorder.flush(engine).unwrap().unwrap();
            assert!(writer.handle().wait(ticket, Duration::from_secs(60)));
            store.carry().unwrap()
        };
        record(&mut recorder, &mut engine, 1, Event::RunOpened(Box::new(opened)));
        record(&mut recorder, &mut engine, 2, Event::Command(Command::Halt));
        let halted = engine.carry();
        assert_eq!(kept(&mut recorder, &engine), halted);
        assert!(halted.unwrap().at > Timestamp::EPOCH);
        record(&mut recorder, &mut engine, 3, Event::Tick);
        assert_eq!(kept(&mut recorder, &engine).unwrap().at, Timestamp::from_millis(2), "nothing changed: nothing is printed");
    }
}
