//! The public stream: depth differences, trades and quotes of all markets over one connection, with snapshots put in their right place.
//!
//! A snapshot is fetched only once the stream runs. Until it is there the differences are held; then come the snapshot and those
//! differences that follow it, so that a reader sees a gap-free book (procedure: Binance web-socket-streams.md, corrected 2025-11-12).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::error::ClientError;
use super::http::backoff;
use super::outbox::{Outbox, described};
use super::query::percent_encode;
use super::rest::RestClient;
use super::socket::{Arrived, Pauses, Socket, SocketError, connect, lifetime, read};
use crate::domain::{BookSnapshot, MarketData, MarketUpdate, Symbol, Timestamp};
use crate::protocol::{FailureKind, Stream, VenueEvent};
use crate::venue::market_frame::{Frame, read_frame};

const SNAPSHOT_LEVELS: u32 = 1_000;
/// Ten minutes of differences of one market.
const MAX_HELD: usize = 6_000;
const CHECK_EVERY: Duration = Duration::from_millis(250);
const REPORT_EVERY: Duration = Duration::from_secs(1);
const FIRST_SNAPSHOT_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_SNAPSHOT_PAUSE: Duration = Duration::from_secs(15);
/// Snapshots that are further apart than this are no repetition.
const CALM: Duration = Duration::from_secs(60);

pub(super) struct MarketStream {
    pub rest: RestClient,
    pub symbols: Vec<Symbol>,
    pub out: Outbox,
    /// Markets whose reader wants a new snapshot.
    pub wanted: Receiver<Symbol>,
    pub stale_after: Duration,
}

/// Where one market's book stands on this connection.
struct Book {
    state: BookState,
    /// Snapshots fetched in a row, and when the last one was asked for.
    fetches: u32,
    last_fetch: Option<Instant>,
}

enum BookState {
    /// A snapshot is on its way; differences are held.
    Waiting(Vec<MarketUpdate>),
    Live,
    /// The reader was too slow and something was dropped: it must be told before a new snapshot makes sense.
    Lost,
}

type Fetched = (Symbol, Result<BookSnapshot, ClientError>, Timestamp);

/// The books of one connection and the snapshots on their way.
struct Session {
    books: BTreeMap<Symbol, Book>,
    fetching: JoinSet<Fetched>,
    unreadable: u32,
}

impl MarketStream {
    /// Runs until the reader of events is gone.
    pub async fn run(mut self) {
        let mut pauses = Pauses::default();
        while !self.out.is_closed() {
            let started = Instant::now();
            let mut announced = false;
            let ended = self.connection(&mut announced).await;
            if announced {
                self.announce_broken().await;
            }
            let Err(why) = ended else { return };
            match why {
                SocketError::Aged | SocketError::Shutdown => tracing::info!(%why, "market stream renewed"),
                _ => self.out.failure(FailureKind::Network, format!("market stream: {}", described(&why))).await,
            }
            tokio::time::sleep(pauses.after(started.elapsed())).await;
        }
    }

    async fn announce_broken(&self) {
        for &symbol in &self.symbols {
            self.out.market(self.interrupted(symbol)).await;
        }
        self.out.venue(VenueEvent::Link { stream: Stream::Market, up: false }).await;
    }

    fn interrupted(&self, symbol: Symbol) -> MarketUpdate {
        let local_time = self.rest.http().clock.local_now();
        MarketUpdate { symbol, exchange_time: None, local_time, data: MarketData::Interrupted }
    }

    fn url(&self) -> String {
        let streams = self.symbols.iter().map(|symbol| {
            let mut name = String::new();
            percent_encode(&symbol.as_str().to_lowercase(), &mut name);
            format!("{name}@depth@100ms/{name}@trade/{name}@bookTicker")
        });
        let streams: Vec<String> = streams.collect();
        format!("{}/stream?streams={}", self.rest.http().endpoint().streams, streams.join("/"))
    }

    /// One connection from birth to death. `Ok` when the reader is gone.
    async fn connection(&mut self, announced: &mut bool) -> Result<(), SocketError> {
        let mut socket = connect(&self.url()).await?;
        *announced = true;
        self.out.venue(VenueEvent::Link { stream: Stream::Market, up: true }).await;
        let mut session = Session { books: BTreeMap::new(), fetching: JoinSet::new(), unreadable: 0 };
        for &symbol in &self.symbols {
            session.books.insert(symbol, Book { state: BookState::Live, fetches: 0, last_fetch: None });
            session.fetch(&self.rest, symbol);
        }
        self.follow(&mut socket, &mut session).await
    }

    async fn follow(&mut self, socket: &mut Socket, session: &mut Session) -> Result<(), SocketError> {
        let (born, life) = (Instant::now(), lifetime());
        let mut last_message = born;
        let mut last_report = born;
        let mut check = tokio::time::interval(CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrived = read(socket) => match arrived? {
                    Arrived::Text(text) => {
                        last_message = Instant::now();
                        self.take(session, text.as_str())?;
                    }
                    Arrived::Binary => session.unreadable += 1,
                    Arrived::SignOfLife => {}
                },
                Some(done) = session.fetching.join_next(), if !session.fetching.is_empty() => {
                    if let Ok(fetched) = done {
                        self.place_snapshot(session, fetched).await;
                    }
                }
                Some(symbol) = self.wanted.recv() => {
                    if session.books.get(&symbol).is_some_and(|b| matches!(b.state, BookState::Live)) {
                        session.fetch(&self.rest, symbol);
                    }
                }
                _ = check.tick() => {
                    if self.out.is_closed() {
                        return Ok(());
                    }
                    self.recover_lost(session);
                    if session.unreadable > 0 && last_report.elapsed() >= REPORT_EVERY {
                        last_report = Instant::now();
                        self.out.unreadable(std::mem::take(&mut session.unreadable)).await;
                    }
                    if last_message.elapsed() >= self.stale_after {
                        return Err(SocketError::Stale(self.stale_after));
                    }
                    if born.elapsed() >= life {
                        return Err(SocketError::Aged);
                    }
                }
            }
        }
    }

    fn take(&self, session: &mut Session, text: &str) -> Result<(), SocketError> {
        match read_frame(text) {
            Ok(Frame::Update { symbol, exchange_time, data }) => {
                let local_time = self.rest.http().clock.local_now();
                session.pass(&self.out, MarketUpdate { symbol, exchange_time, local_time, data });
                Ok(())
            }
            Ok(Frame::Shutdown) => Err(SocketError::Shutdown),
            Ok(Frame::Snapshot(_) | Frame::Other) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, bytes = text.len(), "unreadable market message");
                session.unreadable += 1;
                Ok(())
            }
        }
    }

    async fn place_snapshot(&self, session: &mut Session, (symbol, fetched, local_time): Fetched) {
        let Some(book) = session.books.get_mut(&symbol) else { return };
        let BookState::Waiting(held) = &mut book.state else { return };
        let snapshot = match fetched {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.out.failed(&error).await;
                return session.fetch(&self.rest, symbol);
            }
        };
        let last = snapshot.last_update_id;
        held.retain(|u| matches!(&u.data, MarketData::Depth(d) if d.last_update_id > last));
        if held.first().is_some_and(|u| matches!(&u.data, MarketData::Depth(d) if d.first_update_id > last + 1)) {
            // Older than everything that was held: the difference between them is missing.
            return session.fetch(&self.rest, symbol);
        }
        let held = std::mem::take(held);
        book.state = BookState::Live;
        session.pass(&self.out, MarketUpdate { symbol, exchange_time: None, local_time, data: MarketData::Snapshot(snapshot) });
        for update in held {
            session.pass(&self.out, update);
        }
    }

    /// Markets that lost messages are declared broken as soon as there is room, then fetched anew.
    fn recover_lost(&self, session: &mut Session) {
        let lost: Vec<Symbol> = session.books.iter().filter(|(_, b)| matches!(b.state, BookState::Lost)).map(|(s, _)| *s).collect();
        for symbol in lost {
            if self.out.market_now(self.interrupted(symbol)) {
                session.fetch(&self.rest, symbol);
            }
        }
    }
}

impl Session {
    /// Asks for a snapshot and holds differences from now on; repeated asking slows down.
    fn fetch(&mut self, rest: &RestClient, symbol: Symbol) {
        let Some(book) = self.books.get_mut(&symbol) else { return };
        if book.last_fetch.is_none_or(|at| at.elapsed() > CALM) {
            book.fetches = 0;
        }
        let pause = if book.fetches == 0 { Duration::ZERO } else { backoff(book.fetches, FIRST_SNAPSHOT_PAUSE, LONGEST_SNAPSHOT_PAUSE) };
        book.fetches = book.fetches.saturating_add(1);
        book.last_fetch = Some(Instant::now());
        if !matches!(book.state, BookState::Waiting(_)) {
            book.state = BookState::Waiting(Vec::new());
        }
        let rest = rest.clone();
        self.fetching.spawn(async move {
            tokio::time::sleep(pause).await;
            let fetched = rest.depth(symbol, SNAPSHOT_LEVELS).await;
            (symbol, fetched, rest.http().clock.local_now())
        });
    }

    /// Hands a message on, holds it, or drops it with the consequence that the book is lost.
    fn pass(&mut self, out: &Outbox, update: MarketUpdate) {
        let Some(book) = self.books.get_mut(&update.symbol) else { return };
        match &mut book.state {
            BookState::Lost => return,
            BookState::Waiting(held) if matches!(update.data, MarketData::Depth(_)) => {
                if held.len() >= MAX_HELD {
                    // The snapshot will be older than what is left, and is then fetched again.
                    held.clear();
                }
                return held.push(update);
            }
            _ => {}
        }
        if !out.market_now(update) {
            book.state = BookState::Lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::domain::{DepthDiff, PublicTrade, TradeId};
    use crate::protocol::Event;
    use crate::venue::binance::{Endpoint, monotonic_clock};

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    fn update(data: MarketData) -> MarketUpdate {
        MarketUpdate { symbol: symbol(), exchange_time: None, local_time: Timestamp::EPOCH, data }
    }

    fn diff(first: u64, last: u64) -> MarketUpdate {
        update(MarketData::Depth(DepthDiff { first_update_id: first, last_update_id: last, bids: vec![], asks: vec![] }))
    }

    fn trade() -> MarketUpdate {
        update(MarketData::Trade(PublicTrade {
            id: TradeId(1),
            price: "1".parse().unwrap(),
            qty: "1".parse().unwrap(),
            buyer_is_maker: false,
        }))
    }

    fn waiting() -> Session {
        let book = Book { state: BookState::Waiting(vec![]), fetches: 1, last_fetch: Some(Instant::now()) };
        Session { books: BTreeMap::from([(symbol(), book)]), fetching: JoinSet::new(), unreadable: 0 }
    }

    fn stream(room: usize) -> (MarketStream, mpsc::Receiver<Event>) {
        let endpoint = Endpoint::from_rest_url("http://127.0.0.1:9").unwrap();
        let rest = RestClient::new(endpoint, None, monotonic_clock()).unwrap();
        let ((to, events), (_, wanted)) = (mpsc::channel(room), mpsc::channel(1));
        (MarketStream { rest, symbols: vec![symbol()], out: Outbox(to), wanted, stale_after: Duration::from_secs(15) }, events)
    }

    fn snapshot(id: u64) -> Fetched {
        (symbol(), Ok(BookSnapshot { last_update_id: id, bids: vec![], asks: vec![] }), Timestamp::EPOCH)
    }

    #[tokio::test]
    async fn held_differences_follow_their_snapshot_without_the_old_ones() {
        let (stream, mut events) = stream(10);
        let mut session = waiting();
        for held in [diff(1, 4), diff(5, 9), diff(10, 12)] {
            session.pass(&stream.out, held);
        }
        session.pass(&stream.out, trade());
        stream.place_snapshot(&mut session, snapshot(7)).await;
        session.pass(&stream.out, diff(13, 13));
        let kinds: Vec<String> = std::iter::from_fn(|| events.try_recv().ok())
            .map(|e| match e {
                Event::Market(MarketUpdate { data: MarketData::Snapshot(s), .. }) => format!("snapshot {}", s.last_update_id),
                Event::Market(MarketUpdate { data: MarketData::Depth(d), .. }) => format!("diff {}", d.last_update_id),
                Event::Market(MarketUpdate { data: MarketData::Trade(_), .. }) => "trade".to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, ["trade", "snapshot 7", "diff 9", "diff 12", "diff 13"]);
    }

    #[tokio::test]
    async fn a_snapshot_older_than_what_is_held_is_fetched_again() {
        let (stream, mut events) = stream(10);
        let mut session = waiting();
        session.pass(&stream.out, diff(20, 25));
        stream.place_snapshot(&mut session, snapshot(7)).await;
        assert!(events.try_recv().is_err());
        assert_eq!(session.fetching.len(), 1);
    }

    #[tokio::test]
    async fn an_overflow_breaks_the_book_and_says_so_when_there_is_room() {
        let (stream, mut events) = stream(1);
        let mut session = waiting();
        stream.place_snapshot(&mut session, snapshot(7)).await;
        session.pass(&stream.out, diff(8, 8));
        assert!(matches!(session.books[&symbol()].state, BookState::Lost));
        stream.recover_lost(&mut session);
        assert!(session.fetching.is_empty(), "no room yet");
        assert!(matches!(events.try_recv(), Ok(Event::Market(MarketUpdate { data: MarketData::Snapshot(_), .. }))));
        stream.recover_lost(&mut session);
        assert!(matches!(events.try_recv(), Ok(Event::Market(MarketUpdate { data: MarketData::Interrupted, .. }))));
        assert_eq!(session.fetching.len(), 1);
    }
}
