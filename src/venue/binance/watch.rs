//! Which streams of a connection fell silent though the connection lives, and what to do about it.
//!
//! A depth or quote stream is silent when nothing came for its limit, or, much sooner, when a sibling shows that it should have spoken: a new
//! quote is a change of the book, a trade changes the quote. A trade stream may be silent because nobody trades: only the venue's own list
//! of trades proves it dead. A silent stream is subscribed again; when that does not help the connection is replaced. Each alarm doubles the
//! stream's limit (up to sixteen times), so that a quiet market does not cost connections; proof is not subject to that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::stream_rules::StreamRules;
use super::topics::{KINDS, Kind, Topic};
use crate::domain::{Symbol, TradeId};

/// A sibling counts as proof only this long after the stream's own last message: they overtake each other.
const OVERTAKING: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 4;

/// What one connection delivered.
#[derive(Debug, Default)]
pub(super) struct Watch {
    streams: BTreeMap<Topic, Stream>,
    /// The last message of any stream.
    heard: Option<Instant>,
}

#[derive(Debug)]
struct Stream {
    since: Instant,
    spoke: bool,
    /// When a sibling first showed that this stream should have spoken.
    proven: Option<Instant>,
    /// When it was subscribed again.
    again: Option<Instant>,
}

/// How often streams were alarming; outlives the connections.
#[derive(Debug, Default)]
pub(super) struct Patience(BTreeMap<Topic, u32>);

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remedy {
    pub subscribe_again: Vec<Topic>,
    /// Subscribed again without success: a new connection is needed.
    pub renew_for: Option<Topic>,
    /// The trade stream that was silent longest, beyond its limit.
    pub ask_for: Vec<Symbol>,
}

impl Watch {
    /// All streams of these markets are expected from `now` on.
    pub fn begin(&mut self, symbols: &[Symbol], now: Instant) {
        let fresh = || Stream { since: now, spoke: false, proven: None, again: None };
        self.streams = symbols.iter().flat_map(|s| KINDS.map(|kind| ((*s, kind), fresh()))).collect();
        self.heard = Some(now);
    }

    pub fn hear(&mut self, (symbol, kind): Topic, now: Instant) {
        self.heard = Some(now);
        let Some(own) = self.streams.get_mut(&(symbol, kind)) else { return };
        (own.since, own.spoke, own.proven, own.again) = (now, true, None, None);
        let proves: &[Kind] = match kind {
            Kind::Depth => &[],
            Kind::Quote => &[Kind::Depth],
            Kind::Trade => &[Kind::Depth, Kind::Quote],
        };
        for proven in proves {
            if let Some(stream) = self.streams.get_mut(&(symbol, *proven))
                && now.duration_since(stream.since) > OVERTAKING
            {
                stream.proven.get_or_insert(now);
            }
        }
    }

    /// How long no stream of this connection said anything.
    pub fn silence(&self, now: Instant) -> Duration {
        self.heard.map_or(Duration::ZERO, |heard| now.duration_since(heard))
    }

    /// The venue has a trade that this connection did not deliver.
    pub fn trade_missed(&mut self, symbol: Symbol, now: Instant) {
        if let Some(stream) = self.streams.get_mut(&(symbol, Kind::Trade)) {
            stream.proven.get_or_insert(now);
        }
    }

    /// True when every stream that `other` heard after `since` was heard here too.
    pub fn covers(&self, other: &Self, since: Instant) -> bool {
        let spoke = |topic: &Topic| self.streams.get(topic).is_some_and(|s| s.spoke);
        other.streams.iter().filter(|(_, s)| s.spoke && s.since > since).all(|(topic, _)| spoke(topic))
    }

    pub fn remedy(&mut self, rules: &StreamRules, patience: &mut Patience, now: Instant) -> Remedy {
        let mut remedy = Remedy::default();
        let mut quiet: Vec<(Duration, Symbol)> = Vec::new();
        for (topic, stream) in &mut self.streams {
            let silence = now.duration_since(stream.since);
            let limit = match topic.1 {
                Kind::Depth => Some(rules.depth_silent_after),
                Kind::Quote => Some(rules.quote_silent_after),
                Kind::Trade => None,
            };
            if topic.1 == Kind::Trade && stream.proven.is_none() && silence >= rules.trade_asked_after {
                quiet.push((silence, topic.0));
            }
            match stream.again {
                Some(again) if now.duration_since(again) >= rules.resubscribed_within => {
                    stream.again = None;
                    stream.since = now;
                    stream.proven = None;
                    remedy.renew_for = Some(*topic);
                }
                Some(_) => {}
                None => {
                    let proven = stream.proven.is_some_and(|at| now.duration_since(at) >= rules.proven_silent_after);
                    if proven || limit.is_some_and(|limit| silence >= limit * patience.factor(topic)) {
                        stream.again = Some(now);
                        patience.alarmed(*topic);
                        remedy.subscribe_again.push(*topic);
                    }
                }
            }
        }
        quiet.sort_unstable_by(|a, b| b.cmp(a));
        remedy.ask_for = quiet.into_iter().map(|(_, symbol)| symbol).collect();
        remedy
    }
}

impl Patience {
    fn factor(&self, topic: &Topic) -> u32 {
        1 << self.0.get(topic).copied().unwrap_or(0)
    }

    fn alarmed(&mut self, topic: Topic) {
        let doublings = self.0.entry(topic).or_default();
        *doublings = (*doublings + 1).min(MOST_DOUBLINGS);
    }
}

/// A question costs 25 of the 6,000 a minute that all requests share.
const QUESTIONS_APART: Duration = Duration::from_secs(3);

/// Questions for the last trade of quiet markets: one at a time, and what their answers showed.
#[derive(Debug, Default)]
pub(super) struct TradeProof {
    asked: BTreeMap<Symbol, Instant>,
    /// A trade that the venue has and we had not when it said so.
    owed: BTreeMap<Symbol, (TradeId, Instant)>,
    baseline: BTreeMap<Symbol, TradeId>,
}

impl TradeProof {
    /// True when this market was not asked about within `pause`.
    pub fn may_ask(&mut self, symbol: Symbol, pause: Duration, now: Instant) -> bool {
        let long_ago = |at: &Instant, pause: Duration| now.duration_since(*at) >= pause;
        // One thin market must not keep the others from being asked about, nor many of them use up the request budget.
        let apart = self.asked.values().max().is_none_or(|at| long_ago(at, QUESTIONS_APART.min(pause)));
        let due = apart && self.asked.get(&symbol).is_none_or(|at| long_ago(at, pause));
        if due {
            self.asked.insert(symbol, now);
        }
        due
    }

    /// The venue's last trade; `told` is ours. Without one of ours, the first answer is what later ones are measured by.
    pub fn answered(&mut self, symbol: Symbol, last: TradeId, told: Option<TradeId>, now: Instant) {
        let known = told.max(self.baseline.get(&symbol).copied());
        match known {
            Some(known) if last > known => {
                // The first that is owed counts: newer ones must not put off its proof.
                self.owed.entry(symbol).or_insert((last, now));
            }
            Some(_) => {}
            None => {
                self.baseline.insert(symbol, last);
            }
        }
    }

    /// Markets whose trade is still not here after `grace`; each is given once.
    pub fn missed(&mut self, told: impl Fn(Symbol) -> Option<TradeId>, grace: Duration, now: Instant) -> Vec<Symbol> {
        self.owed.retain(|symbol, (id, _)| told(*symbol).is_none_or(|told| told < *id));
        let missed: Vec<Symbol> = self.owed.iter().filter(|(_, (_, at))| now.duration_since(*at) >= grace).map(|(s, _)| *s).collect();
        self.owed.retain(|symbol, _| !missed.contains(symbol));
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    struct Bench {
        watch: Watch,
        patience: Patience,
        rules: StreamRules,
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let start = Instant::now();
            let mut watch = Watch::default();
            watch.begin(&[symbol()], start);
            Self { watch, patience: Patience::default(), rules: StreamRules::default(), start }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn hear(&mut self, kind: Kind, ms: u64) {
            self.watch.hear((symbol(), kind), self.at(ms));
        }

        fn remedy(&mut self, ms: u64) -> Remedy {
            let at = self.at(ms);
            self.watch.remedy(&self.rules, &mut self.patience, at)
        }
    }

    #[test]
    fn a_market_that_speaks_needs_no_remedy() {
        let mut bench = Bench::new();
        for ms in (0..120_000).step_by(100) {
            bench.hear(Kind::Depth, ms);
            bench.hear(Kind::Quote, ms + 5);
            bench.hear(Kind::Trade, ms + 6);
            assert_eq!(bench.remedy(ms + 50), Remedy::default(), "{ms}");
        }
    }

    #[test]
    fn a_quote_right_after_the_last_depth_of_a_quiet_market_proves_nothing() {
        let mut bench = Bench::new();
        bench.hear(Kind::Depth, 100);
        bench.hear(Kind::Quote, 400);
        bench.hear(Kind::Trade, 401);
        assert_eq!(bench.remedy(19_000), Remedy::default());
    }

    #[test]
    fn depth_that_is_silent_while_its_siblings_speak_is_subscribed_again_then_costs_the_connection() {
        let mut bench = Bench::new();
        let depth = (symbol(), Kind::Depth);
        bench.hear(Kind::Depth, 0);
        for ms in (100..10_000).step_by(100) {
            bench.hear(Kind::Quote, ms);
            let remedy = bench.remedy(ms);
            match ms {
                // Proof counts from 1.1 s on and must be 3 s old; five seconds later the connection is given up.
                4_100 => assert_eq!(remedy, Remedy { subscribe_again: vec![depth], ..Remedy::default() }),
                9_100 => assert_eq!(remedy, Remedy { renew_for: Some(depth), ..Remedy::default() }),
                _ => assert_eq!(remedy, Remedy::default(), "{ms}"),
            }
        }
    }

    #[test]
    fn a_stream_that_comes_back_costs_nothing() {
        let mut bench = Bench::new();
        assert_eq!(bench.remedy(20_000).subscribe_again, [(symbol(), Kind::Depth)]);
        bench.hear(Kind::Depth, 21_000);
        assert_eq!(bench.remedy(30_000), Remedy::default());
        assert_eq!(bench.remedy(42_000).subscribe_again, [], "the limit has doubled");
        assert_eq!(bench.remedy(61_000).subscribe_again, [(symbol(), Kind::Depth), (symbol(), Kind::Quote)]);
    }

    #[test]
    fn a_silent_trade_stream_is_only_asked_about_until_the_venue_has_a_trade_we_miss() {
        let mut bench = Bench::new();
        let mut proof = TradeProof::default();
        bench.hear(Kind::Depth, 59_000);
        bench.hear(Kind::Quote, 59_000);
        let remedy = bench.remedy(60_000);
        assert_eq!((remedy.ask_for, remedy.subscribe_again.as_slice()), (vec![symbol()], [].as_slice()));
        let now = bench.at(60_000);
        assert!(proof.may_ask(symbol(), Duration::from_secs(60), now) && !proof.may_ask(symbol(), Duration::from_secs(60), now));
        proof.answered(symbol(), TradeId(7), Some(TradeId(7)), now);
        assert!(proof.missed(|_| Some(TradeId(7)), Duration::ZERO, now).is_empty(), "nobody traded");
        proof.answered(symbol(), TradeId(9), Some(TradeId(7)), now);
        let grace = Duration::from_secs(2);
        assert!(proof.missed(|_| Some(TradeId(7)), grace, now).is_empty(), "it may be on its way");
        assert_eq!(proof.missed(|_| Some(TradeId(7)), grace, now + grace), [symbol()]);
        bench.watch.trade_missed(symbol(), now);
        assert_eq!(bench.remedy(63_000).subscribe_again, [(symbol(), Kind::Trade)]);
        proof.answered(symbol(), TradeId(11), Some(TradeId(9)), now);
        assert!(proof.missed(|_| Some(TradeId(11)), grace, now + grace).is_empty(), "it came");
    }

    #[test]
    fn a_spare_covers_what_it_heard_itself() {
        let bench = Bench::new();
        let mut old = Bench::new();
        let mut spare = Watch::default();
        spare.begin(&[symbol()], bench.start);
        old.hear(Kind::Depth, 10);
        assert!(!spare.covers(&old.watch, bench.start));
        spare.hear((symbol(), Kind::Depth), bench.at(11));
        assert!(spare.covers(&old.watch, bench.start));
        old.hear(Kind::Quote, 12);
        assert!(!spare.covers(&old.watch, bench.start) && spare.covers(&old.watch, bench.at(3_000)));
    }
}
