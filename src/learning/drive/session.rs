//! One run in simulated time: engine and paper venue together, every event in one total order.

use std::fmt;

use super::PaperVenue;
use crate::domain::{MarketUpdate, Timestamp};
use crate::engine::Engine;
use crate::protocol::{Effect, Event, Stamp};

/// Sees every event with its effects, in order, and the engine that has just taken it.
pub type Sink<'a> = Box<dyn FnMut(&Engine, Stamp, &Event, &[Effect]) + 'a>;

pub struct Session<'a> {
    pub engine: Engine,
    pub venue: PaperVenue,
    seq: u64,
    now: Timestamp,
    effects: Vec<Effect>,
    sink: Sink<'a>,
}

impl<'a> Session<'a> {
    #[must_use]
    pub fn new(engine: Engine, venue: PaperVenue, sink: Sink<'a>) -> Self {
        Self { engine, venue, seq: 0, now: Timestamp::EPOCH, effects: Vec::new(), sink }
    }

    /// Applies one event at `at` (never earlier than the last) and performs its effects.
    pub fn apply(&mut self, at: Timestamp, event: Event) {
        self.now = self.now.max(at);
        self.seq += 1;
        let stamp = Stamp { seq: self.seq, at: self.now };
        let mut effects = std::mem::take(&mut self.effects);
        effects.clear();
        self.engine.apply(stamp, event.clone(), &mut effects);
        (self.sink)(&self.engine, stamp, &event, &effects);
        for effect in &effects {
            if let Effect::Send(request) = effect {
                self.venue.send(self.now, *request);
            }
        }
        self.effects = effects;
    }

    /// The venue states instruments and account, as when one connects.
    pub fn connect(&mut self, at: Timestamp) {
        for news in self.venue.connect(at) {
            self.apply(at, Event::Venue(news));
        }
    }

    /// A market update, after everything that was due before it.
    pub fn market(&mut self, update: MarketUpdate) {
        self.advance(update.local_time);
        self.venue.on_market(&update);
        self.apply(update.local_time, Event::Market(update));
    }

    /// Lets time pass up to `to`: news of the venue and the engine's own deadlines, earliest first.
    pub fn advance(&mut self, to: Timestamp) {
        loop {
            let deadline = self.engine.next_deadline();
            let due = self.venue.next_due();
            let Some(next) = deadline.into_iter().chain(due).min().filter(|next| *next <= to) else { return };
            if due == Some(next) {
                while let Some((at, news)) = self.venue.pop_due(next) {
                    self.apply(at, Event::Venue(news));
                }
            } else {
                self.apply(next, Event::Tick);
            }
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("seq", &self.seq).field("now", &self.now).finish_non_exhaustive()
    }
}
