//! How long connections live, and how long each stream may be silent.

use std::time::Duration;

/// The venue limits a connection to 1,024 streams.
const MOST_STREAMS: usize = 1_024;
/// Snapshots of 5,000 levels cost 250 of 6,000 a minute: more markets than this take shorter ones.
const DEEP_MARKETS: usize = 16;
const SHORT_SNAPSHOT: u32 = 1_000;

/// The rules of the streams; `default()` is for normal use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRules {
    /// Connections are renewed at this age less up to a twenty-fourth of it, each at another time. The venue cuts them at 24 h.
    pub life: Duration,
    /// The shortest time for which an old and a new connection both feed.
    pub overlap: Duration,
    /// A market connection without any message of a stream for this long is dead.
    pub silent_after: Duration,
    /// A depth stream that is silent for this long is subscribed again.
    pub depth_silent_after: Duration,
    /// As `depth_silent_after`, for best bid and ask.
    pub quote_silent_after: Duration,
    /// The same when another stream of the market shows that it should have spoken.
    pub proven_silent_after: Duration,
    /// The venue is asked for the last trade of a market whose trade stream was silent for this long.
    pub trade_asked_after: Duration,
    /// A stream that was subscribed again and stays silent for this long costs the connection.
    pub resubscribed_within: Duration,
    /// A user stream that does not report an order this long after the venue took it is deaf.
    pub reported_within: Duration,
    pub ping_every: Duration,
    /// A connection that gives no sign of life within this time after a ping is dead.
    pub pong_within: Duration,
    /// How often silence and age are looked at.
    pub check_every: Duration,
    /// Levels a side of a book snapshot.
    pub snapshot_levels: u32,
    pub streams_per_connection: usize,
}

impl Default for StreamRules {
    fn default() -> Self {
        Self {
            life: Duration::from_secs(23 * 3_600),
            overlap: Duration::from_secs(3),
            // Pings prove the connection, and silent streams are renewed sooner: this is for when neither helped.
            silent_after: Duration::from_secs(60),
            depth_silent_after: Duration::from_secs(20),
            quote_silent_after: Duration::from_secs(60),
            proven_silent_after: Duration::from_secs(3),
            trade_asked_after: Duration::from_secs(60),
            resubscribed_within: Duration::from_secs(5),
            reported_within: Duration::from_secs(5),
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            check_every: Duration::from_millis(250),
            snapshot_levels: 5_000,
            streams_per_connection: MOST_STREAMS,
        }
    }
}

impl StreamRules {
    /// How long one connection may live.
    pub(super) fn lifetime(&self) -> Duration {
        self.life - (self.life / 24).mul_f64(rand::random())
    }

    /// Levels of a snapshot when this many markets are followed.
    pub(super) fn levels_for(&self, markets: usize) -> u32 {
        if markets > DEEP_MARKETS { self.snapshot_levels.min(SHORT_SNAPSHOT) } else { self.snapshot_levels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_renewed_before_the_venue_cuts_them_and_not_all_at_once() {
        let rules = StreamRules::default();
        let lives: Vec<Duration> = (0..100).map(|_| rules.lifetime()).collect();
        assert!(lives.iter().all(|l| *l <= rules.life && *l > Duration::from_secs(22 * 3_600)));
        assert!(lives.iter().any(|l| *l != lives[0]));
    }

    #[test]
    fn many_markets_take_shorter_snapshots() {
        let rules = StreamRules::default();
        assert_eq!((rules.levels_for(3), rules.levels_for(200)), (5_000, 1_000));
    }
}
