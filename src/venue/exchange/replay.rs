//! A recorded market played again: the same events, moved in time so that the first happens when the exchange starts.

use std::iter::Peekable;

use crate::domain::{MarketUpdate, Span, Timestamp};

/// Recorded updates in the order of their arrival.
pub type Recording = Box<dyn Iterator<Item = MarketUpdate> + Send>;

pub(super) struct Replay {
    updates: Peekable<Recording>,
    /// Local time of the first recorded update, and the moment that it is moved to.
    first: Timestamp,
    start: Timestamp,
    speed: i64,
}

impl Replay {
    /// `speed`: how many recorded seconds pass in one.
    pub fn new(recording: Recording, start: Timestamp, speed: u32) -> Self {
        let mut updates = recording.peekable();
        let first = updates.peek().map_or(start, |update| update.local_time);
        Self { updates, first, start, speed: i64::from(speed.max(1)) }
    }

    /// Appends what happens before `to`. An arrival time of the recording is the exchange's own time here.
    pub fn advance(&mut self, to: Timestamp, out: &mut Vec<MarketUpdate>) {
        while let Some(local_time) = self.updates.peek().map(|update| update.local_time) {
            let at = self.moved(local_time);
            if at >= to {
                break;
            }
            if let Some(update) = self.updates.next() {
                out.push(MarketUpdate { exchange_time: update.exchange_time.map(|_| at), local_time: at, ..update });
            }
        }
    }

    fn moved(&self, recorded: Timestamp) -> Timestamp {
        self.start + Span::from_nanos(recorded.since(self.first).nanos() / self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MarketData;

    #[test]
    fn spacing_is_divided_by_the_speed_and_the_first_event_is_now() {
        let update = |ms: i64| MarketUpdate {
            symbol: "BTCUSDT".parse().unwrap(),
            exchange_time: None,
            local_time: Timestamp::from_millis(ms),
            data: MarketData::Interrupted,
        };
        let start = Timestamp::from_millis(1_000_000);
        let mut replay = Replay::new(Box::new([update(500), update(1_500), update(2_500)].into_iter()), start, 10);
        let mut out = Vec::new();
        replay.advance(start, &mut out);
        assert!(out.is_empty());
        replay.advance(Timestamp::from_millis(1_000_150), &mut out);
        let times: Vec<i64> = out.iter().map(|u| u.local_time.millis()).collect();
        assert_eq!(times, [1_000_000, 1_000_100]);
    }
}
