//! One market's messages in one sequence, whichever connection brings them.
//!
//! Differences continue each other by update id, trades by trade id; quotes replace each other by update id. What is known already is left
//! out, so two connections may feed at once. While they do, a message that is ahead waits shortly for those before it; with one connection it
//! is told at once, for nobody else could bring them, and the reader sees the gap.
//!
//! The book begins by the documented procedure (Binance web-socket-streams.md, corrected 2025-11-12): differences are held, a snapshot is
//! asked for once the first has come, and it must be at least as new as the update before the first held one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use crate::domain::{BookSnapshot, MarketData, MarketUpdate, TradeId};

/// Ten minutes of differences of one market.
const MAX_HELD: usize = 6_000;
/// How long a message waits for those before it, and how many may.
const AHEAD_FOR: Duration = Duration::from_millis(500);
const MAX_AHEAD: usize = 2_000;
/// The first difference of a market may take this long before the snapshot is asked for without it.
const FIRST_DIFFERENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum State {
    /// Nothing is known; a snapshot is asked for after the first difference, or when it does not come.
    Listening(Instant),
    /// A snapshot is on its way; differences are held, each continuing the one before.
    Waiting(Vec<MarketUpdate>),
    Live,
    /// The reader was too slow and something was dropped: it must be told before a new snapshot makes sense.
    Lost,
}

/// Where a message stands in its sequence.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Known,
    Next,
    Ahead,
}

#[derive(Debug)]
pub(super) struct Feed {
    state: State,
    /// The last ids that were told (for differences: or covered by a snapshot that was).
    update: Option<u64>,
    quote: Option<u64>,
    trade: Option<TradeId>,
    ahead: BTreeMap<u64, MarketUpdate>,
    trades_ahead: BTreeMap<u64, MarketUpdate>,
    ahead_since: Option<Instant>,
}

impl Feed {
    pub fn new(now: Instant) -> Self {
        let (ahead, trades_ahead) = (BTreeMap::new(), BTreeMap::new());
        Self { state: State::Listening(now), update: None, quote: None, trade: None, ahead, trades_ahead, ahead_since: None }
    }

    pub fn last_trade(&self) -> Option<TradeId> {
        self.trade
    }

    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// True while nothing waits for what comes before it.
    pub fn is_whole(&self) -> bool {
        self.ahead_since.is_none()
    }

    /// Something was dropped before it came here.
    pub fn lose(&mut self) {
        self.state = State::Lost;
    }

    /// Differences are held from now on (or still), for the snapshot that the caller asks for.
    pub fn hold(&mut self) {
        if !matches!(self.state, State::Waiting(_)) {
            self.state = State::Waiting(Vec::new());
        }
    }

    /// True when it is time for the first snapshot.
    pub fn wants_snapshot(&self, now: Instant) -> bool {
        matches!(self.state, State::Listening(since) if now.duration_since(since) >= FIRST_DIFFERENCE)
    }

    /// Takes a message of any connection. True when it is the first difference: a snapshot is to be asked for.
    /// `both`: another connection may still bring what is missing before it.
    pub fn take(&mut self, update: MarketUpdate, both: bool, now: Instant, out: &Outbox) -> bool {
        if self.is_lost() {
            return false;
        }
        match self.place(&update) {
            Place::Known => return false,
            Place::Ahead if both => self.put_aside(update, now),
            Place::Next | Place::Ahead => {
                let first = matches!((&self.state, &update.data), (State::Listening(_), MarketData::Depth(_)));
                if first {
                    self.hold();
                }
                self.tell(update, out);
                self.release(out);
                return first;
            }
        }
        if self.ahead.len() + self.trades_ahead.len() > MAX_AHEAD {
            self.give_up_waiting(out);
        }
        false
    }

    /// What has waited too long is told with its gap; `alone`: nothing can come before it any more.
    pub fn settle(&mut self, alone: bool, now: Instant, out: &Outbox) {
        if self.ahead_since.is_some_and(|since| alone || now.duration_since(since) >= AHEAD_FOR) {
            self.give_up_waiting(out);
        }
    }

    /// The snapshot and the differences after it. `Err` when it is older than what must continue it.
    pub fn place_snapshot(&mut self, snapshot: MarketUpdate, out: &Outbox) -> Result<(), TooOld> {
        let MarketData::Snapshot(BookSnapshot { last_update_id: last, .. }) = snapshot.data else { return Ok(()) };
        let State::Waiting(held) = &mut self.state else { return Ok(()) };
        held.retain(|u| matches!(&u.data, MarketData::Depth(d) if d.last_update_id > last));
        let joins = match held.first().map(|u| &u.data) {
            Some(MarketData::Depth(first)) => first.first_update_id <= last + 1,
            // Older than what was told before: the differences between them are not held.
            _ => self.update.is_none_or(|told| told <= last),
        };
        if !joins {
            return Err(TooOld);
        }
        let held = std::mem::take(held);
        self.state = State::Live;
        self.update = Some(last);
        self.pass(snapshot, out);
        for update in held {
            self.tell(update, out);
        }
        self.release(out);
        Ok(())
    }

    fn place(&self, update: &MarketUpdate) -> Place {
        match &update.data {
            MarketData::Depth(diff) => match self.tail() {
                Some(tail) if diff.last_update_id <= tail => Place::Known,
                Some(tail) if diff.first_update_id > tail + 1 => Place::Ahead,
                _ => Place::Next,
            },
            MarketData::Quote(quote) if self.quote.is_some_and(|told| quote.update_id <= told) => Place::Known,
            MarketData::Trade(trade) => match self.trade {
                Some(told) if trade.id <= told => Place::Known,
                Some(told) if trade.id.0 > told.0 + 1 => Place::Ahead,
                _ => Place::Next,
            },
            _ => Place::Next,
        }
    }

    /// The update that the next difference must continue.
    fn tail(&self) -> Option<u64> {
        match &self.state {
            State::Waiting(held) => match held.last().map(|u| &u.data) {
                Some(MarketData::Depth(diff)) => Some(diff.last_update_id),
                _ => self.update,
            },
            _ => self.update,
        }
    }

    fn put_aside(&mut self, update: MarketUpdate, now: Instant) {
        self.ahead_since.get_or_insert(now);
        match &update.data {
            MarketData::Depth(diff) => drop(self.ahead.insert(diff.first_update_id, update)),
            MarketData::Trade(trade) => drop(self.trades_ahead.insert(trade.id.0, update)),
            _ => {}
        }
    }

    /// Tells what waited and is no longer ahead.
    fn release(&mut self, out: &Outbox) {
        if self.ahead_since.is_none() {
            return;
        }
        for trades in [false, true] {
            while let Some(entry) = if trades { self.trades_ahead.first_entry() } else { self.ahead.first_entry() } {
                let update = entry.remove();
                match self.place(&update) {
                    Place::Known => {}
                    Place::Next => self.tell(update, out),
                    Place::Ahead => {
                        match &update.data {
                            MarketData::Depth(diff) => drop(self.ahead.insert(diff.first_update_id, update)),
                            MarketData::Trade(trade) => drop(self.trades_ahead.insert(trade.id.0, update)),
                            _ => {}
                        }
                        break;
                    }
                }
            }
        }
        if self.ahead.is_empty() && self.trades_ahead.is_empty() {
            self.ahead_since = None;
        }
    }

    fn give_up_waiting(&mut self, out: &Outbox) {
        self.ahead_since = None;
        let waiting = [std::mem::take(&mut self.ahead), std::mem::take(&mut self.trades_ahead)];
        for update in waiting.into_iter().flat_map(BTreeMap::into_values) {
            if self.place(&update) != Place::Known {
                self.tell(update, out);
            }
        }
    }

    /// Hands a message on, or holds it until the snapshot.
    fn tell(&mut self, update: MarketUpdate, out: &Outbox) {
        let ahead = self.place(&update) == Place::Ahead;
        match &update.data {
            MarketData::Depth(diff) => match &mut self.state {
                State::Waiting(held) => {
                    if ahead || held.len() >= MAX_HELD {
                        // What is left must be without a hole: the snapshot will be older than it, and is then fetched again.
                        held.clear();
                    }
                    return held.push(update);
                }
                _ => self.update = Some(diff.last_update_id),
            },
            MarketData::Quote(quote) => self.quote = Some(quote.update_id),
            MarketData::Trade(trade) => self.trade = Some(trade.id),
            _ => {}
        }
        self.pass(update, out);
    }

    fn pass(&mut self, update: MarketUpdate, out: &Outbox) {
        if !self.is_lost() && !out.market_now(update) {
            self.state = State::Lost;
        }
    }
}

/// A snapshot that nothing here continues: a newer one is needed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooOld;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::mpsc::{self, Receiver};

    use super::*;
    use crate::domain::{DepthDiff, Level, PublicTrade, Quote, Timestamp};
    use crate::protocol::Event;

    fn update(data: MarketData) -> MarketUpdate {
        MarketUpdate { symbol: "BTCUSDT".parse().unwrap(), exchange_time: None, local_time: Timestamp::EPOCH, data }
    }

    fn diff(first: u64, last: u64) -> MarketUpdate {
        update(MarketData::Depth(DepthDiff { first_update_id: first, last_update_id: last, bids: vec![], asks: vec![] }))
    }

    fn trade(id: u64) -> MarketUpdate {
        let (price, qty) = ("1".parse().unwrap(), "1".parse().unwrap());
        update(MarketData::Trade(PublicTrade { id: TradeId(id), price, qty, buyer_is_maker: false }))
    }

    fn quote(update_id: u64) -> MarketUpdate {
        let level = Level { price: "1".parse().unwrap(), qty: "1".parse().unwrap() };
        update(MarketData::Quote(Quote { update_id, bid: level, ask: level }))
    }

    fn snapshot(last_update_id: u64) -> MarketUpdate {
        update(MarketData::Snapshot(BookSnapshot { last_update_id, bids: vec![], asks: vec![] }))
    }

    struct Bench {
        feed: Feed,
        out: Outbox,
        events: Receiver<Event>,
        now: Instant,
    }

    impl Bench {
        fn new(room: usize) -> Self {
            let (to, events) = mpsc::channel(room);
            let now = Instant::now();
            Self { feed: Feed::new(now), out: Outbox(to), events, now }
        }

        fn live(room: usize) -> Self {
            let mut bench = Self::new(room);
            bench.feed.hold();
            bench.feed.place_snapshot(snapshot(10), &bench.out).unwrap();
            bench.told();
            bench
        }

        fn take(&mut self, update: MarketUpdate, both: bool) -> bool {
            self.feed.take(update, both, self.now, &self.out)
        }

        fn told(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.events.try_recv().ok()).map(|event| shown(&event)).collect()
        }
    }

    fn shown(event: &Event) -> String {
        match event {
            Event::Market(MarketUpdate { data: MarketData::Snapshot(s), .. }) => format!("snapshot {}", s.last_update_id),
            Event::Market(MarketUpdate { data: MarketData::Depth(d), .. }) => format!("diff {}", d.last_update_id),
            Event::Market(MarketUpdate { data: MarketData::Trade(t), .. }) => format!("trade {}", t.id.0),
            Event::Market(MarketUpdate { data: MarketData::Quote(q), .. }) => format!("quote {}", q.update_id),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn held_differences_follow_their_snapshot_without_the_old_ones() {
        let mut bench = Bench::new(10);
        assert!(bench.take(diff(1, 4), false), "the first difference asks for the snapshot");
        assert!(!bench.take(diff(5, 9), false) && !bench.take(diff(10, 12), false));
        bench.take(trade(1), false);
        bench.feed.place_snapshot(snapshot(7), &bench.out).unwrap();
        bench.take(diff(13, 13), false);
        assert_eq!(bench.told(), ["trade 1", "snapshot 7", "diff 9", "diff 12", "diff 13"]);
    }

    #[test]
    fn a_market_without_differences_gets_its_snapshot_after_a_while() {
        let mut bench = Bench::new(10);
        assert!(!bench.feed.wants_snapshot(bench.now) && bench.feed.wants_snapshot(bench.now + FIRST_DIFFERENCE));
        bench.feed.hold();
        bench.feed.place_snapshot(snapshot(7), &bench.out).unwrap();
        assert!(bench.feed.is_live() && !bench.feed.wants_snapshot(bench.now + FIRST_DIFFERENCE));
    }

    #[test]
    fn a_snapshot_older_than_what_is_held_or_was_told_does_not_fit() {
        let mut bench = Bench::new(10);
        bench.take(diff(20, 25), false);
        assert_eq!(bench.feed.place_snapshot(snapshot(7), &bench.out), Err(TooOld));
        bench.feed.place_snapshot(snapshot(19), &bench.out).unwrap();
        assert_eq!(bench.told(), ["snapshot 19", "diff 25"]);
        bench.feed.hold();
        assert_eq!(bench.feed.place_snapshot(snapshot(24), &bench.out), Err(TooOld));
        assert_eq!(bench.feed.place_snapshot(snapshot(25), &bench.out), Ok(()));
    }

    #[test]
    fn a_hole_in_what_is_held_asks_for_a_newer_snapshot() {
        let mut bench = Bench::new(10);
        bench.take(diff(5, 6), false);
        bench.take(diff(9, 9), false);
        assert_eq!(bench.feed.place_snapshot(snapshot(5), &bench.out), Err(TooOld), "7 and 8 are missing");
        bench.feed.place_snapshot(snapshot(8), &bench.out).unwrap();
        assert_eq!(bench.told(), ["snapshot 8", "diff 9"]);
    }

    #[test]
    fn an_overflow_loses_the_market_until_it_begins_anew() {
        let mut bench = Bench::live(1);
        bench.take(diff(11, 11), false);
        assert!(!bench.feed.is_lost());
        bench.take(diff(12, 12), false);
        assert!(bench.feed.is_lost());
        bench.told();
        bench.take(diff(13, 13), false);
        assert!(bench.told().is_empty());
    }

    #[test]
    fn with_one_connection_a_gap_is_told_at_once() {
        let mut bench = Bench::live(10);
        bench.take(diff(13, 14), false);
        bench.take(trade(3), false);
        bench.take(trade(9), false);
        assert_eq!(bench.told(), ["diff 14", "trade 3", "trade 9"]);
    }

    #[test]
    fn with_two_connections_what_is_ahead_waits_for_what_is_before_it() {
        let mut bench = Bench::live(20);
        bench.take(trade(3), true);
        bench.take(diff(13, 14), true);
        bench.take(trade(5), true);
        assert!(!bench.feed.is_whole());
        assert_eq!(bench.told(), ["trade 3"]);
        bench.take(diff(11, 12), true);
        bench.take(trade(4), true);
        bench.take(trade(5), true);
        assert!(bench.feed.is_whole());
        assert_eq!(bench.told(), ["diff 12", "diff 14", "trade 4", "trade 5"]);
        bench.take(diff(17, 17), true);
        bench.feed.settle(false, bench.now, &bench.out);
        assert!(bench.told().is_empty());
        bench.feed.settle(false, bench.now + AHEAD_FOR, &bench.out);
        assert_eq!(bench.told(), ["diff 17"], "nobody brought 15 and 16");
        bench.take(quote(30), true);
        bench.take(quote(29), true);
        bench.take(quote(30), true);
        assert_eq!(bench.told(), ["quote 30"]);
    }

    proptest! {
        /// Two connections that each deliver everything in order, from some point on, in any interleaving: each message once, in order.
        #[test]
        fn two_connections_make_one_sequence(turns in proptest::collection::vec(any::<bool>(), 1..300), joins in 0_usize..20, cut in 1_u64..4) {
            // The second cuts its differences at other places.
            let old: Vec<MarketUpdate> = (11..111).flat_map(|id| [diff(id, id), trade(id), quote(id)]).collect();
            let new: Vec<MarketUpdate> = (11..111).step_by(cut as usize).flat_map(|id| {
                let last = (id + cut - 1).min(110);
                std::iter::once(diff(id, last)).chain((id..=last).flat_map(|id| [trade(id), quote(id)]))
            }).skip(joins).collect();
            let mut bench = Bench::live(2_000);
            let (mut a, mut b) = (old.into_iter(), new.into_iter());
            // The old connection has delivered what the new one never will.
            for update in a.by_ref().take(3 * (joins + cut as usize)) {
                bench.take(update, true);
            }
            for turn in turns {
                if let Some(update) = if turn { a.next() } else { b.next() } {
                    bench.take(update, true);
                }
            }
            for update in b {
                bench.take(update, true);
            }
            prop_assert!(bench.feed.is_whole());
            let told = bench.told();
            let ids = |kind: &str| -> Vec<u64> {
                told.iter().filter_map(|t| t.strip_prefix(kind)?.trim().parse().ok()).collect()
            };
            prop_assert_eq!(ids("trade"), (11..111).collect::<Vec<u64>>());
            prop_assert!(ids("diff").is_sorted_by(|a, b| a < b) && ids("diff").last() == Some(&110));
            prop_assert!(ids("quote").is_sorted_by(|a, b| a < b) && ids("quote").last() == Some(&110));
        }
    }
}
