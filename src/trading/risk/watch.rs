//! Which limits are at their end: a breach that lasts trips, what it refused is remembered. Limits of single markets are watched market by
//! market: what is seen in one proves nothing of another.

use serde::{Deserialize, Serialize};

use crate::domain::{Span, Symbol, Timestamp};
use crate::protocol::LimitName;

/// A breach must hold for two marks this far apart: one bad tick trips nothing.
const LASTING: Span = Span::from_secs(1);
/// A refusal shows for this long.
const SHOWN: Span = Span::from_secs(60);

/// One limit over time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watch {
    since: Option<Timestamp>,
    tripped: bool,
    pub last_tripped: Option<Timestamp>,
    /// How often it tripped, in any market.
    pub times: u32,
    /// Of a limit of single markets: those that are beyond it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    markets: Vec<Beyond>,
}

/// A market that is beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Beyond {
    market: Symbol,
    since: Timestamp,
    tripped: bool,
}

impl Watch {
    /// True while the breach lasts, and for a minute after a refusal.
    #[must_use]
    pub fn is_tripped(&self, now: Timestamp) -> bool {
        self.tripped || self.last_tripped.is_some_and(|at| now.since(at) < SHOWN)
    }

    /// True while the breach lasts, in any market.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tripped
    }

    /// True while the breach of a limit of single markets lasts there.
    #[must_use]
    pub fn holds_in(&self, market: Symbol) -> bool {
        self.markets.iter().any(|beyond| beyond.market == market && beyond.tripped)
    }
}

/// All limits; those that never tripped are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watches(Vec<(LimitName, Watch)>);

impl Watches {
    #[must_use]
    pub fn of(&self, name: LimitName) -> Watch {
        self.0.iter().find(|(held, _)| *held == name).map_or_else(Watch::default, |(_, watch)| watch.clone())
    }

    /// The present measure; `at_once`: a trade proves it, no second mark is needed. True when the limit trips by it.
    #[must_use]
    pub fn observe(&mut self, name: LimitName, now: Timestamp, breached: bool, at_once: bool) -> bool {
        if !breached && !self.0.iter().any(|(held, _)| *held == name) {
            return false;
        }
        let watch = self.entry(name);
        if !breached {
            (watch.since, watch.tripped) = (None, false);
            return false;
        }
        let since = *watch.since.get_or_insert(now);
        if watch.tripped || !(at_once || now.since(since) >= LASTING) {
            return false;
        }
        self.trip(name, now)
    }

    /// The markets that are beyond a limit of single markets at present; gives those in which it trips by that. Each is proven by its own
    /// two marks; a market that is not named is within.
    #[must_use]
    pub fn observe_markets(&mut self, name: LimitName, now: Timestamp, beyond: &[Symbol]) -> Vec<Symbol> {
        if beyond.is_empty() && !self.0.iter().any(|(held, _)| *held == name) {
            return Vec::new();
        }
        let watch = self.entry(name);
        watch.markets.retain(|held| beyond.contains(&held.market));
        for market in beyond {
            if !watch.markets.iter().any(|held| held.market == *market) {
                watch.markets.push(Beyond { market: *market, since: now, tripped: false });
            }
        }
        let mut trips = Vec::new();
        for held in watch.markets.iter_mut().filter(|held| !held.tripped && now.since(held.since) >= LASTING) {
            held.tripped = true;
            trips.push(held.market);
        }
        watch.tripped = watch.markets.iter().any(|held| held.tripped);
        if !trips.is_empty() {
            watch.times = watch.times.saturating_add(trips.len() as u32);
            watch.last_tripped = Some(now);
        }
        trips
    }

    /// The limit acts now. False when it did already.
    pub fn trip(&mut self, name: LimitName, now: Timestamp) -> bool {
        let watch = self.entry(name);
        let first = !watch.tripped;
        if first {
            watch.times = watch.times.saturating_add(1);
            (watch.tripped, watch.last_tripped) = (true, Some(now));
        }
        first
    }

    /// The limit refused an order.
    pub fn refuse(&mut self, name: LimitName, now: Timestamp) {
        let watch = self.entry(name);
        if !watch.tripped {
            watch.times = watch.times.saturating_add(1);
        }
        watch.last_tripped = Some(now);
    }

    fn entry(&mut self, name: LimitName) -> &mut Watch {
        let place = self.0.iter().position(|(held, _)| *held == name).unwrap_or_else(|| {
            self.0.push((name, Watch::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: LimitName = LimitName::MaxExposure;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_breach_trips_once_at_its_second_mark() {
        let mut watches = Watches::default();
        let marks = [(0, true), (999, true), (1_000, true), (2_000, true), (2_100, false), (2_200, true), (3_199, true), (3_200, true)];
        let trips: Vec<i64> =
            marks.iter().filter(|(ms, breached)| watches.observe(NAME, at(*ms), *breached, false)).map(|(ms, _)| *ms).collect();
        assert_eq!(trips, [1_000, 3_200]);
        assert_eq!(watches.of(NAME).times, 2);
        assert!(!watches.observe(LimitName::MaxHeatBps, at(0), false, false));
        assert_eq!(watches.of(LimitName::MaxHeatBps), Watch::default());
    }

    #[test]
    fn a_trade_proves_it_at_once() {
        let mut watches = Watches::default();
        assert!(watches.observe(NAME, at(0), true, true));
        assert!(!watches.observe(NAME, at(1), true, true), "once");
    }

    fn market(text: &str) -> Symbol {
        text.parse().unwrap()
    }

    #[test]
    fn each_market_is_proven_by_its_own_marks() {
        let (a, b) = (market("BTCUSDT"), market("ETHUSDT"));
        let mut watches = Watches::default();
        let mut trips = |ms: i64, beyond: &[Symbol]| watches.observe_markets(NAME, at(ms), beyond);
        assert!(trips(0, &[a]).is_empty());
        assert!(trips(1_000, &[b]).is_empty(), "one odd mark each");
        assert!(trips(1_500, &[a, b]).is_empty());
        assert_eq!(trips(2_000, &[a, b]), [b]);
        assert_eq!(trips(2_500, &[a, b]), [a], "that it holds in one market does not hide the other");
        assert!(trips(9_000, &[a, b]).is_empty(), "once each");
        assert!(trips(9_100, &[b]).is_empty() && trips(9_200, &[a, b]).is_empty());
        assert_eq!(trips(10_200, &[a, b]), [a], "back within and beyond again");
        let watch = watches.of(NAME);
        assert_eq!((watch.times, watch.last_tripped, watch.holds()), (3, Some(at(10_200)), true));
        assert!(watches.observe_markets(NAME, at(11_000), &[a]).is_empty());
        assert!(watches.of(NAME).holds_in(a) && !watches.of(NAME).holds_in(b));
        assert!(watches.observe_markets(NAME, at(12_000), &[]).is_empty() && !watches.of(NAME).holds());
        assert!(watches.observe_markets(LimitName::MaxSpreadBps, at(0), &[]).is_empty());
        assert_eq!(watches.of(LimitName::MaxSpreadBps), Watch::default());
    }

    #[test]
    fn a_state_of_before_markets_were_watched_reads_and_goes_on() {
        let text = r#"[["max_spread_bps",{"since":0,"tripped":true,"last_tripped":1,"times":4}]]"#;
        let mut watches: Watches = serde_json::from_str(text).unwrap();
        let name = LimitName::MaxSpreadBps;
        assert!(watches.of(name).holds());
        assert!(watches.observe_markets(name, at(500), &[market("BTCUSDT")]).is_empty() && !watches.of(name).holds());
        assert_eq!(watches.observe_markets(name, at(1_500), &[market("BTCUSDT")]), [market("BTCUSDT")]);
        assert_eq!(watches.of(name).times, 5);
        let kept: Watches = serde_json::from_str(&serde_json::to_string(&watches).unwrap()).unwrap();
        assert_eq!(kept, watches);
    }

    #[test]
    fn a_refusal_shows_for_a_minute() {
        let mut watches = Watches::default();
        watches.refuse(NAME, at(0));
        let watch = watches.of(NAME);
        assert!(watch.is_tripped(at(59_999)) && !watch.is_tripped(at(60_000)) && !watch.holds());
    }
}
