//! The run's journal: collects what happened and hands it to the writer, in order and in one transaction with its records.

use std::time::Duration;

use super::tape::Tape;
use crate::engine::journal_form;
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

    pub fn take(&mut self, stamp: Stamp, event: Event, effects: &[Effect]) {
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
        for effect in effects {
            if let Effect::Persist(record) = effect {
                self.records.push(record.as_ref().clone());
            }
        }
        self.entries.push(JournalEntry { stamp, event, effects: effects.iter().map(journal_form).collect() });
    }

    pub fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// Hands over what was collected; the ticket of the last hand-over, if anything was ever handed over.
    pub fn flush(&mut self) -> Result<Option<Ticket>, WriterError> {
        if !self.entries.is_empty() {
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
    pub fn flush_patiently(&mut self) -> Result<(), WriterError> {
        let ticket = self.flush()?;
        if self.writer.status().pending > HIGH_WATER
            && let Some(ticket) = ticket
            && !self.writer.wait(ticket, Duration::from_secs(60))
        {
            tracing::warn!("the disk does not keep up with the replay");
        }
        Ok(())
    }
}
