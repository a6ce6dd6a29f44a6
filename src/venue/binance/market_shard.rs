//! The markets of one connection: its renewal without a gap, its snapshots, and the watch over its streams.
//!
//! A new connection needs no snapshot of its own: it is in step once its differences continue, by update id, what was told, and every stream
//! that the old connection still hears is heard on it too. Only then is the old one closed (at the earliest after `StreamRules::overlap`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::connection::{Dialer, Epoch, Heard, News, WhenFull};
use super::error::ClientError;
use super::feed::Feed;
use super::http::backoff;
use super::lines::{Ended, Lines, Ready};
use super::market_stream::MarketLink;
use super::outbox::{Outbox, described};
use super::rest::RestClient;
use super::socket::SocketError;
use super::stop::Stop;
use super::stream_rules::StreamRules;
use super::topics::{self, Kind, Topic};
use super::watch::{Patience, TradeProof, Watch};
use crate::domain::{BookSnapshot, MarketData, MarketUpdate, Symbol, Timestamp, TradeId};
use crate::protocol::FailureKind;
use crate::venue::market_frame::{Frame, read_frame};

/// Messages of the connections that may wait here; beyond it they are dropped and the books declared broken.
const QUEUE: usize = 8_192;
const REPORT_EVERY: Duration = Duration::from_secs(1);
const FIRST_SNAPSHOT_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_SNAPSHOT_PAUSE: Duration = Duration::from_secs(15);
/// Snapshots that are further apart than this are no repetition.
const CALM: Duration = Duration::from_secs(60);
/// A new connection that is not in step after this many overlaps never will be.
const OVERLAPS: u32 = 10;
/// Connections are not renewed for silence more often than this many times the patience with a stream that was subscribed again.
const RENEWALS_APART: u32 = 12;
/// A trade that the venue has may still be on its way for this long.
const TRADE_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Shard {
    pub number: usize,
    pub rest: RestClient,
    pub symbols: Vec<Symbol>,
    pub out: Outbox,
    pub wanted: Receiver<Symbol>,
    pub rules: StreamRules,
    /// Levels of a snapshot.
    pub levels: u32,
    pub link: Arc<MarketLink>,
    pub snapshots: Arc<Semaphore>,
    pub stop: Stop,
    pub first_at: Instant,
}

/// One market here.
struct Market {
    feed: Feed,
    /// Snapshots asked for in a row, and when the last one was.
    fetches: u32,
    last_fetch: Option<Instant>,
}

type Fetched = (Symbol, Result<BookSnapshot, ClientError>, Timestamp);
type LastTrade = (Symbol, Result<Option<TradeId>, ClientError>);

struct Session {
    lines: Lines<Watch>,
    markets: BTreeMap<Symbol, Market>,
    fetching: JoinSet<Fetched>,
    asking: JoinSet<LastTrade>,
    patience: Patience,
    proof: TradeProof,
    renewed: Option<Instant>,
    /// The link was announced as up.
    up: bool,
    unreadable: u32,
    reported: Instant,
}

impl Shard {
    /// Runs until it is stopped or the reader of events is gone.
    pub async fn run(mut self) {
        let (to, mut heard) = mpsc::channel(QUEUE);
        let url = topics::address(&self.rest.http().endpoint().streams, &self.symbols);
        let dialer = Dialer { rest: self.rest.clone(), url, weight: 0, rules: self.rules.clone(), when_full: WhenFull::Drop, to };
        let mut session = Session {
            lines: Lines::new(dialer, self.first_at),
            markets: BTreeMap::new(),
            fetching: JoinSet::new(),
            asking: JoinSet::new(),
            patience: Patience::default(),
            proof: TradeProof::default(),
            renewed: None,
            up: false,
            unreadable: 0,
            reported: Instant::now(),
        };
        session.begin(&self.symbols);
        let mut check = tokio::time::interval(self.rules.check_every);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.told() => break,
                Some(heard) = heard.recv() => self.hear(&mut session, heard).await,
                Some(Ok(fetched)) = session.fetching.join_next(), if !session.fetching.is_empty() => {
                    self.place_snapshot(&mut session, fetched).await;
                }
                Some(Ok(answer)) = session.asking.join_next(), if !session.asking.is_empty() => {
                    self.compare_trade(&mut session, answer).await;
                }
                Some(symbol) = self.wanted.recv() => {
                    if session.markets.get(&symbol).is_some_and(|m| m.feed.is_live()) {
                        self.fetch(&mut session, symbol);
                    }
                }
                _ = check.tick() => {
                    if self.out.is_closed() {
                        break;
                    }
                    self.check(&mut session).await;
                }
            }
        }
        session.lines.close().await;
    }

    async fn hear(&self, session: &mut Session, Heard { epoch, at, news }: Heard) {
        let Some(line) = session.lines.line(epoch) else { return };
        match news {
            News::Opened => {
                line.connection.opened();
                line.notes.begin(&self.symbols, Instant::now());
                let said = topics::remaining(&self.symbols).into_iter().all(|text| line.connection.say(text));
                if !said {
                    return self.end(session, epoch, SocketError::Deaf).await;
                }
                if session.lines.ready(epoch, Instant::now()) == Ready::Alone {
                    session.up = true;
                    session.begin(&self.symbols);
                    self.link.set(self.number, true).await;
                }
            }
            News::Text(text) => self.take(session, epoch, at, &text).await,
            News::Binary => session.unreadable += 1,
            News::Dropped(count) => {
                tracing::warn!(count, "market messages were dropped: this program is too slow");
                session.markets.values_mut().for_each(|market| market.feed.lose());
            }
            News::Ended(why) => self.end(session, epoch, why).await,
        }
    }

    async fn take(&self, session: &mut Session, epoch: Epoch, at: Timestamp, text: &Utf8Bytes) {
        match read_frame(text.as_str()) {
            Ok(Frame::Update { symbol, exchange_time, data }) => {
                let now = Instant::now();
                if let (Some(line), Some(kind)) = (session.lines.line(epoch), Kind::of(&data)) {
                    line.notes.hear((symbol, kind), now);
                }
                let both = session.lines.both_since().is_some();
                let Some(market) = session.markets.get_mut(&symbol) else { return };
                let update = MarketUpdate { symbol, exchange_time, local_time: at, data };
                if market.feed.take(update, both, now, &self.out) {
                    self.fetch(session, symbol);
                }
            }
            Ok(Frame::Shutdown) if session.lines.is_current(epoch) => {
                tracing::info!("the venue announced its shutdown: the market stream is renewed");
                session.lines.renew();
            }
            Ok(Frame::Shutdown) => self.end(session, epoch, SocketError::Shutdown).await,
            Ok(Frame::Refused { code, message }) => {
                self.out.failure(FailureKind::Server, format!("market stream: a request was refused, code {code}: {message}")).await;
            }
            Ok(Frame::Snapshot(_) | Frame::Other) => {}
            Err(error) => {
                tracing::debug!(%error, bytes = text.len(), "unreadable market message");
                session.unreadable += 1;
            }
        }
    }

    /// A connection is at its end.
    async fn end(&self, session: &mut Session, epoch: Epoch, why: SocketError) {
        match session.lines.ended(epoch, why, Instant::now()) {
            Ended::Broken(why) => {
                session.up = false;
                session.begin(&self.symbols);
                for &symbol in &self.symbols {
                    self.out.market(self.interrupted(symbol)).await;
                }
                self.link.set(self.number, false).await;
                self.out.failure(FailureKind::Network, format!("market stream: {}", described(&why))).await;
            }
            Ended::Replaced(why) => {
                tracing::info!(%why, "the market stream broke while its successor was ready");
                session.settle_all(&self.out);
            }
            Ended::Failed(why) => self.out.failure(FailureKind::Network, format!("market stream: {}", described(&why))).await,
            Ended::Old => {}
        }
    }

    fn interrupted(&self, symbol: Symbol) -> MarketUpdate {
        let local_time = self.rest.http().clock.local_now();
        MarketUpdate { symbol, exchange_time: None, local_time, data: MarketData::Interrupted }
    }

    /// Everything that time brings about.
    async fn check(&self, session: &mut Session) {
        let now = Instant::now();
        let alone = session.lines.both_since().is_none();
        for market in session.markets.values_mut() {
            market.feed.settle(alone, now, &self.out);
        }
        self.recover_lost(session);
        if session.up {
            let waiting: Vec<Symbol> = session.markets.iter().filter(|(_, m)| m.feed.wants_snapshot(now)).map(|(s, _)| *s).collect();
            waiting.into_iter().for_each(|symbol| self.fetch(session, symbol));
        }
        if session.unreadable > 0 && session.reported.elapsed() >= REPORT_EVERY {
            session.reported = now;
            self.out.unreadable(std::mem::take(&mut session.unreadable)).await;
        }
        let silent = session.lines.current.as_ref().filter(|line| line.notes.silence(now) >= self.rules.silent_after);
        if let Some(epoch) = silent.map(|line| line.connection.epoch) {
            self.end(session, epoch, SocketError::Stale(self.rules.silent_after)).await;
        }
        session.lines.keep_open(now);
        match session.lines.both_since() {
            Some(since) => self.try_to_switch(session, since, now).await,
            None => self.watch(session, now).await,
        }
    }

    async fn try_to_switch(&self, session: &mut Session, since: Instant, now: Instant) {
        let both = now.duration_since(since);
        let (Some(old), Some(new)) = (&session.lines.current, &session.lines.spare) else { return };
        let in_step = new.notes.covers(&old.notes, since) && session.markets.values().all(|m| m.feed.is_whole());
        if both >= self.rules.overlap && in_step {
            tracing::info!(age_s = old.born.elapsed().as_secs(), "market stream renewed without a gap");
            session.lines.replace();
        } else if both >= self.rules.overlap * OVERLAPS {
            let epoch = new.connection.epoch;
            self.end(session, epoch, SocketError::Deaf).await;
        }
    }

    /// Silent streams are subscribed again; if that does not help the connection is renewed.
    async fn watch(&self, session: &mut Session, now: Instant) {
        let told = |markets: &BTreeMap<Symbol, Market>, symbol| markets.get(&symbol).and_then(|m| m.feed.last_trade());
        let missed = session.proof.missed(|symbol| told(&session.markets, symbol), TRADE_GRACE, now);
        let Some(line) = session.lines.current.as_mut() else { return };
        missed.into_iter().for_each(|symbol| line.notes.trade_missed(symbol, now));
        let remedy = line.notes.remedy(&self.rules, &mut session.patience, now);
        if !remedy.subscribe_again.is_empty() {
            let said = topics::again(&remedy.subscribe_again).into_iter().all(|text| line.connection.say(text));
            let (names, more) = named(&remedy.subscribe_again);
            self.out.failure(FailureKind::Network, format!("market stream: {names}{more} fell silent; subscribed again")).await;
            if !said {
                session.lines.renew();
            }
        }
        if let Some(topic) = remedy.renew_for
            && session.renewed.is_none_or(|at| now.duration_since(at) >= self.rules.resubscribed_within * RENEWALS_APART)
        {
            session.renewed = Some(now);
            session.lines.renew();
            self.out.failure(FailureKind::Network, format!("market stream: {} stays silent; connecting anew", topics::name(topic))).await;
        }
        let due = |session: &mut Session| {
            remedy.ask_for.iter().copied().find(|symbol| session.proof.may_ask(*symbol, self.rules.trade_asked_after, now))
        };
        if session.asking.is_empty()
            && let Some(symbol) = due(session)
        {
            let rest = self.rest.clone();
            session.asking.spawn(async move {
                let last = rest.trades(symbol, 1).await.map(|trades| trades.last().map(|(_, trade)| trade.id));
                (symbol, last)
            });
        }
    }

    async fn compare_trade(&self, session: &mut Session, (symbol, last): LastTrade) {
        match last {
            Ok(Some(last)) => {
                let told = session.markets.get(&symbol).and_then(|m| m.feed.last_trade());
                session.proof.answered(symbol, last, told, Instant::now());
            }
            Ok(None) => {}
            Err(error) => self.out.failed(&error).await,
        }
    }

    /// Asks for a snapshot and holds differences from now on; repeated asking slows down.
    fn fetch(&self, session: &mut Session, symbol: Symbol) {
        let Some(market) = session.markets.get_mut(&symbol) else { return };
        if market.last_fetch.is_none_or(|at| at.elapsed() > CALM) {
            market.fetches = 0;
        }
        let pause =
            if market.fetches == 0 { Duration::ZERO } else { backoff(market.fetches, FIRST_SNAPSHOT_PAUSE, LONGEST_SNAPSHOT_PAUSE) };
        market.fetches = market.fetches.saturating_add(1);
        market.last_fetch = Some(Instant::now());
        market.feed.hold();
        let (rest, snapshots, levels) = (self.rest.clone(), self.snapshots.clone(), self.levels);
        session.fetching.spawn(async move {
            tokio::time::sleep(pause).await;
            // Never closed; if it were, the limit alone would be missing.
            let _permit = snapshots.acquire().await;
            let fetched = rest.depth(symbol, levels).await;
            (symbol, fetched, rest.http().clock.local_now())
        });
    }

    async fn place_snapshot(&self, session: &mut Session, (symbol, fetched, local_time): Fetched) {
        let snapshot = match fetched {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.out.failed(&error).await;
                return self.fetch(session, symbol);
            }
        };
        let Some(market) = session.markets.get_mut(&symbol) else { return };
        let update = MarketUpdate { symbol, exchange_time: None, local_time, data: MarketData::Snapshot(snapshot) };
        if market.feed.place_snapshot(update, &self.out).is_err() {
            self.fetch(session, symbol);
        }
    }

    /// Markets that lost messages are declared broken as soon as there is room, then begin anew.
    fn recover_lost(&self, session: &mut Session) {
        let lost: Vec<Symbol> = session.markets.iter().filter(|(_, m)| m.feed.is_lost()).map(|(s, _)| *s).collect();
        for symbol in lost {
            if self.out.market_now(self.interrupted(symbol))
                && let Some(market) = session.markets.get_mut(&symbol)
            {
                market.feed = Feed::new(Instant::now());
                self.fetch(session, symbol);
            }
        }
    }
}

/// The first few names, and how many more there are.
fn named(topics: &[Topic]) -> (String, String) {
    const SHOWN: usize = 3;
    let names: Vec<String> = topics.iter().take(SHOWN).map(|topic| topics::name(*topic)).collect();
    let more = topics.len().saturating_sub(SHOWN);
    (names.join(", "), if more == 0 { String::new() } else { format!(" and {more} more") })
}

impl Session {
    /// Nothing is known of any market: what is on its way belongs to the past.
    fn begin(&mut self, symbols: &[Symbol]) {
        self.fetching = JoinSet::new();
        let now = Instant::now();
        self.markets = symbols.iter().map(|s| (*s, self.markets.remove(s).map_or_else(|| Market::new(now), |m| m.anew(now)))).collect();
    }

    fn settle_all(&mut self, out: &Outbox) {
        let now = Instant::now();
        self.markets.values_mut().for_each(|market| market.feed.settle(true, now, out));
    }
}

impl Market {
    fn new(now: Instant) -> Self {
        Self { feed: Feed::new(now), fetches: 0, last_fetch: None }
    }

    /// The pace of asking for snapshots outlives a connection.
    fn anew(self, now: Instant) -> Self {
        Self { feed: Feed::new(now), ..self }
    }
}
