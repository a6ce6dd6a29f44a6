//! Replay: a fresh engine takes the journaled events again, and every effect is compared with the journaled one.

use crate::engine::{Engine, Settings};
use crate::protocol::{Effect, Event, Learned, Stamp};

/// Gives back the payloads that the journal names by hash only (models, episodes); says what is wrong otherwise.
pub type Resolve<'a> = dyn FnMut(&mut Learned) -> Result<(), String> + 'a;

/// The first place where the run and its journal part.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub seq: u64,
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayReport {
    pub events: u64,
    pub effects_compared: u64,
    pub first_difference: Option<Difference>,
    pub fingerprint: u64,
}

/// A replay in progress.
#[derive(Debug, Default)]
pub struct Replay {
    engine: Option<Engine>,
    report: ReplayReport,
    last_seq: u64,
}

impl Replay {
    /// Takes the next journaled event with its effects. Goes on after a difference, so that counts are complete.
    pub fn step(&mut self, stamp: Stamp, mut event: Event, journaled: &[Effect], resolve: &mut Resolve) {
        self.report.events += 1;
        if stamp.seq != self.last_seq + 1 {
            self.differ(stamp.seq, format!("event {} is followed by event {}: the journal has a hole", self.last_seq, stamp.seq));
        }
        self.last_seq = stamp.seq;
        if let Event::Learned(learned) = &mut event
            && let Err(problem) = resolve(learned)
        {
            self.differ(stamp.seq, problem);
        }
        if let Event::RunOpened(opened) = &event {
            match serde_json::from_str::<Settings>(&opened.settings) {
                Ok(settings) => self.engine = Some(Engine::new(settings)),
                Err(error) => self.differ(stamp.seq, format!("the run's settings do not read: {error}")),
            }
        }
        let Some(engine) = self.engine.as_mut() else {
            return self.differ(stamp.seq, "the journal does not begin with the opening of the run".to_owned());
        };
        let mut effects = Vec::new();
        engine.apply(stamp, event, &mut effects);
        self.compare(stamp.seq, &effects, journaled);
    }

    #[must_use]
    pub fn finish(mut self) -> ReplayReport {
        self.report.fingerprint = self.engine.as_ref().map_or(0, Engine::fingerprint);
        self.report
    }

    fn compare(&mut self, seq: u64, effects: &[Effect], journaled: &[Effect]) {
        self.report.effects_compared += journaled.len() as u64;
        if effects.len() != journaled.len() {
            self.differ(seq, format!("{} effects were journaled, {} are computed", journaled.len(), effects.len()));
        }
        for (index, (computed, kept)) in effects.iter().zip(journaled).enumerate() {
            if computed != kept {
                let shown = |effect: &Effect| format!("{effect:?}").chars().take(300).collect::<String>();
                return self.differ(seq, format!("effect {index}: journaled {}, computed {}", shown(kept), shown(computed)));
            }
        }
    }

    fn differ(&mut self, seq: u64, what: String) {
        self.report.first_difference.get_or_insert(Difference { seq, what });
    }
}
