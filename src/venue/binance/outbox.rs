//! The way out: a bounded channel that venue events may wait for and market data may not.

use tokio::sync::mpsc::Sender;

use super::clock::ClockSample;
use super::error::ClientError;
use crate::domain::MarketUpdate;
use crate::protocol::{Event, FailureKind, Probe, VenueEvent};

#[derive(Clone)]
pub(super) struct Outbox(pub Sender<Event>);

impl Outbox {
    /// Nothing about orders is ever dropped: waits for room. A closed channel means that the program is stopping.
    pub async fn venue(&self, event: VenueEvent) {
        self.event(Event::Venue(event)).await;
    }

    pub async fn event(&self, event: Event) {
        if self.0.send(event).await.is_err() {
            tracing::debug!("an event after the end of the run was left out");
        }
    }

    /// False when there is no room: the caller must declare the book broken.
    #[must_use]
    pub fn market_now(&self, update: MarketUpdate) -> bool {
        self.0.try_send(Event::Market(update)).is_ok()
    }

    pub async fn market(&self, update: MarketUpdate) {
        self.event(Event::Market(update)).await;
    }

    pub async fn clock(&self, sample: ClockSample) {
        self.event(Event::Probe(Probe::Clock { offset: sample.offset, round_trip: sample.round_trip })).await;
    }

    pub async fn unreadable(&self, lines: u32) {
        self.event(Event::Probe(Probe::Unreadable { lines })).await;
    }

    pub async fn failed(&self, error: &ClientError) {
        self.failure(error.kind(), described(error)).await;
    }

    pub async fn failure(&self, kind: FailureKind, message: String) {
        tracing::warn!(?kind, message, "venue trouble");
        self.venue(VenueEvent::Failure { kind, message }).await;
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// The error with its causes, in one line.
pub(super) fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
