//! The public streams of all markets: split over as many connections as the venue's limit asks for, each with its own life.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Mutex, Semaphore};

use super::market_shard::Shard;
use super::outbox::Outbox;
use super::rest::RestClient;
use super::stop::Stop;
use super::stream_rules::StreamRules;
use super::topics::KINDS;
use crate::domain::Symbol;
use crate::protocol::{Stream, VenueEvent};

/// Snapshots on their way at once: the request budget belongs to orders too.
const SNAPSHOTS_AT_ONCE: usize = 4;
/// Between the first connections of two shards.
const APART: Duration = Duration::from_millis(200);
const SNAPSHOT_REQUESTS: usize = 64;

pub(super) struct MarketStream {
    pub rest: RestClient,
    pub symbols: Vec<Symbol>,
    pub out: Outbox,
    /// Markets whose reader wants a new snapshot.
    pub wanted: Receiver<Symbol>,
    pub rules: StreamRules,
    pub stop: Stop,
}

impl MarketStream {
    /// Runs until it is stopped or the reader of events is gone.
    pub async fn run(mut self) {
        let most = (self.rules.streams_per_connection / KINDS.len()).max(1);
        let count = self.symbols.len().div_ceil(most);
        let link = Arc::new(MarketLink { out: self.out.clone(), shards: count, up: Mutex::new(BTreeSet::new()) });
        let snapshots = Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE));
        let mut routes: BTreeMap<Symbol, Sender<Symbol>> = BTreeMap::new();
        let mut shards = tokio::task::JoinSet::new();
        let levels = self.rules.levels_for(self.symbols.len());
        for (number, symbols) in self.symbols.chunks(most).enumerate() {
            let (route, wanted) = mpsc::channel(SNAPSHOT_REQUESTS);
            routes.extend(symbols.iter().map(|symbol| (*symbol, route.clone())));
            let shard = Shard {
                number,
                rest: self.rest.clone(),
                symbols: symbols.to_vec(),
                out: self.out.clone(),
                wanted,
                rules: self.rules.clone(),
                levels,
                link: link.clone(),
                snapshots: snapshots.clone(),
                stop: self.stop.clone(),
                first_at: Instant::now() + APART * u32::try_from(number).unwrap_or(u32::MAX),
            };
            shards.spawn(shard.run());
        }
        loop {
            tokio::select! {
                ended = shards.join_next() => match ended {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::error!(%error, "a market stream ended badly"),
                    None => return,
                },
                Some(symbol) = self.wanted.recv() => {
                    if routes.get(&symbol).is_none_or(|route| route.try_send(symbol).is_err()) {
                        tracing::debug!(%symbol, "a snapshot request found no room");
                    }
                }
            }
        }
    }
}

/// The market stream as the reader sees it: up while every shard is.
pub(super) struct MarketLink {
    out: Outbox,
    shards: usize,
    up: Mutex<BTreeSet<usize>>,
}

impl MarketLink {
    pub async fn set(&self, shard: usize, is_up: bool) {
        // Held while it is told, so that two shards are told in the order in which they changed.
        let mut up = self.up.lock().await;
        let before = up.len() == self.shards;
        if is_up {
            up.insert(shard);
        } else {
            up.remove(&shard);
        }
        let after = up.len() == self.shards;
        if before != after {
            self.out.venue(VenueEvent::Link { stream: Stream::Market, up: after }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Event;

    #[tokio::test]
    async fn the_market_is_up_while_every_shard_is() {
        let (to, mut events) = mpsc::channel(8);
        let link = MarketLink { out: Outbox(to), shards: 2, up: Mutex::new(BTreeSet::new()) };
        for (shard, is_up) in [(0, true), (1, true), (1, true), (0, false), (1, false), (1, true), (0, true)] {
            link.set(shard, is_up).await;
        }
        let told = std::iter::from_fn(|| events.try_recv().ok());
        let ups: Vec<bool> = told.filter_map(|e| if let Event::Venue(VenueEvent::Link { up, .. }) = e { Some(up) } else { None }).collect();
        assert_eq!(ups, [true, false, true]);
    }
}
