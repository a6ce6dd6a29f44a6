//! The streams against a venue that lives: renewal under load, silence, half-open connections, slow readers, many markets, parting.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::market_stream::MarketStream;
use super::outbox::Outbox;
use super::stop::{Stopper, stop};
use super::test_stage::{Floor, Stage};
use super::{Credentials, Gateway, GatewayConfig, Requests, StreamRules, monotonic_clock};
use crate::domain::{Bps, FeeRates, Level, MarketData, MarketUpdate, Price, Qty, Symbol};
use crate::protocol::{Event, Request, Stream, VenueEvent};

fn quick() -> StreamRules {
    StreamRules { overlap: Duration::from_millis(80), check_every: Duration::from_millis(10), ..StreamRules::default() }
}

/// Believes everything and checks that it continues what came before.
#[derive(Default)]
struct Book {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
    id: Option<u64>,
    trade: Option<u64>,
    diffs: u64,
    interruptions: u32,
    gaps: u32,
    trades_missing: u64,
    quote: u64,
}

impl Book {
    fn set(side: &mut BTreeMap<Price, Qty>, levels: &[Level]) {
        for level in levels {
            if level.qty.is_zero() {
                side.remove(&level.price);
            } else {
                side.insert(level.price, level.qty);
            }
        }
    }

    /// True when a new snapshot is needed.
    fn take(&mut self, update: &MarketUpdate) -> bool {
        match &update.data {
            MarketData::Interrupted => {
                self.interruptions += 1;
                (self.id, self.trade, self.quote) = (None, None, 0);
            }
            MarketData::Snapshot(snapshot) => {
                (self.bids, self.asks) = Default::default();
                Self::set(&mut self.bids, &snapshot.bids);
                Self::set(&mut self.asks, &snapshot.asks);
                self.id = Some(snapshot.last_update_id);
            }
            MarketData::Depth(diff) => {
                let Some(id) = self.id else { return false };
                if diff.first_update_id > id + 1 {
                    self.gaps += 1;
                    self.id = None;
                    return true;
                }
                assert!(diff.last_update_id > id, "what was told is not told again");
                self.diffs += 1;
                self.id = Some(diff.last_update_id);
                Self::set(&mut self.bids, &diff.bids);
                Self::set(&mut self.asks, &diff.asks);
            }
            MarketData::Trade(trade) => {
                if let Some(last) = self.trade {
                    assert!(trade.id.0 > last, "a trade is told once and in order");
                    self.trades_missing += trade.id.0 - last - 1;
                }
                self.trade = Some(trade.id.0);
            }
            MarketData::Quote(quote) => {
                assert!(quote.update_id > self.quote);
                self.quote = quote.update_id;
            }
            MarketData::Candle { .. } => panic!("no stream of candles"),
        }
        false
    }

    fn equals(&self, floor: &Floor, symbol: &str) -> bool {
        let market = &floor.markets[symbol];
        let plain = |side: &BTreeMap<Price, Qty>| -> BTreeMap<String, String> {
            side.iter().map(|(price, qty)| (price.to_string(), qty.to_string())).collect()
        };
        let theirs = |side: &BTreeMap<i64, u64>| -> BTreeMap<String, String> {
            side.iter().map(|(price, qty)| (price.to_string(), qty.to_string())).collect()
        };
        self.id == Some(market.id) && plain(&self.bids) == theirs(&market.bids) && plain(&self.asks) == theirs(&market.asks)
    }
}

struct Reader {
    events: Receiver<Event>,
    wanted: Sender<Symbol>,
    stopper: Stopper,
    task: JoinHandle<()>,
    books: BTreeMap<String, Book>,
    links: Vec<bool>,
    failures: Vec<String>,
}

impl Reader {
    fn start(stage: &Stage, rules: StreamRules, room: usize) -> Self {
        let (to, events) = mpsc::channel(room);
        let (wanted, requests) = mpsc::channel(8);
        let (stopper, stop) = stop();
        let symbols = stage.floor().markets.keys().map(|s| s.parse().unwrap()).collect();
        let stream = MarketStream { rest: stage.client(), symbols, out: Outbox(to), wanted: requests, rules, stop };
        let task = tokio::spawn(stream.run());
        Self { events, wanted, stopper, task, books: BTreeMap::new(), links: vec![], failures: vec![] }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Market(update) => {
                let book = self.books.entry(update.symbol.to_string()).or_default();
                if book.take(&update) {
                    self.wanted.send(update.symbol).await.unwrap();
                }
            }
            Event::Venue(VenueEvent::Link { stream: Stream::Market, up }) => self.links.push(up),
            Event::Venue(VenueEvent::Failure { message, .. }) => self.failures.push(message),
            _ => {}
        }
    }

    /// Reads until `done`; fails after 20 s.
    async fn read_until(&mut self, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < deadline, "links {:?}, failures {:?}", self.links, self.failures);
            if let Ok(Some(event)) = timeout(Duration::from_millis(20), self.events.recv()).await {
                self.take(event).await;
            }
            // Looking is dear: everything that is there first.
            for _ in 0..1_000 {
                let Ok(event) = self.events.try_recv() else { break };
                self.take(event).await;
            }
        }
    }

    async fn equals_the_venues(&mut self, stage: &Stage) {
        stage.stand_still();
        self.read_until(|reader| {
            let floor = stage.floor();
            floor.markets.keys().all(|symbol| reader.books.get(symbol).is_some_and(|book| book.equals(&floor, symbol)))
        })
        .await;
    }

    fn book(&self) -> &Book {
        &self.books["BTCUSDT"]
    }

    async fn stop(self) {
        self.stopper.stop();
        timeout(Duration::from_secs(2), self.task).await.expect("parting takes less than 2 s").unwrap();
    }
}

#[tokio::test]
async fn ten_renewals_under_load_lose_and_double_nothing() {
    let stage = Stage::open(&["BTCUSDT", "ETHUSDT"], Duration::from_millis(1)).await;
    let rules = StreamRules { life: Duration::from_millis(120), ..quick() };
    let mut reader = Reader::start(&stage, rules, 10_000);
    reader.read_until(|_| stage.floor().peers.iter().filter(|p| p.said_goodbye).count() >= 10).await;
    reader.equals_the_venues(&stage).await;
    assert_eq!(reader.links, [true]);
    for book in reader.books.values() {
        assert_eq!((book.interruptions, book.gaps, book.trades_missing), (0, 0, 0));
        assert!(book.diffs > 100);
    }
    assert_eq!(stage.floor().depth_requests, 2, "the books continue: no connection but the first needs a snapshot");
    assert!(stage.floor().peers.iter().filter(|p| p.open).count() <= 2);
    assert!(reader.failures.is_empty(), "{:?}", reader.failures);
    reader.stop().await;
    stage.until(|floor| floor.peers.iter().all(|p| p.said_goodbye)).await;
}

#[tokio::test]
async fn an_announced_shutdown_is_met_by_a_new_connection_before_the_old_one_goes() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let mut reader = Reader::start(&stage, StreamRules { overlap: Duration::from_secs(60), ..quick() }, 10_000);
    reader.read_until(|r| r.books.get("BTCUSDT").is_some_and(|b| b.diffs > 10)).await;
    stage.floor().peers[0].send(r#"{"e":"serverShutdown","E":1}"#);
    stage.until(|floor| floor.peers.len() == 2).await;
    let before = reader.book().diffs;
    // Both feed for a moment; then the venue closes the old one before we do.
    reader.read_until(|r| r.book().diffs > before + 50).await;
    stage.floor().close(0);
    let before = reader.book().diffs;
    reader.read_until(|r| r.book().diffs > before + 50).await;
    reader.equals_the_venues(&stage).await;
    assert_eq!((reader.book().interruptions, reader.book().gaps, reader.book().trades_missing), (0, 0, 0));
    assert_eq!(reader.links, [true]);
    reader.stop().await;
}

#[tokio::test]
async fn a_new_connection_that_hears_less_never_replaces_the_old_one() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let rules = StreamRules { life: Duration::from_millis(100), overlap: Duration::from_millis(30), ..quick() };
    let mut reader = Reader::start(&stage, rules, 10_000);
    reader.read_until(|r| r.books.get("BTCUSDT").is_some_and(|b| b.diffs > 10)).await;
    stage.floor().mute_new.insert("btcusdt@trade".into());
    reader.read_until(|r| r.failures.iter().any(|f| f.contains("did not deliver what the old one does"))).await;
    stage.floor().mute_new.clear();
    reader.read_until(|_| stage.floor().peers[0].said_goodbye).await;
    reader.equals_the_venues(&stage).await;
    assert_eq!((reader.book().interruptions, reader.book().gaps, reader.book().trades_missing), (0, 0, 0));
    reader.stop().await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_subscribed_again_on_the_same_connection() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let rules = StreamRules { proven_silent_after: Duration::from_millis(100), ..quick() };
    let mut reader = Reader::start(&stage, rules, 10_000);
    reader.read_until(|r| r.books.get("BTCUSDT").is_some_and(|b| b.diffs > 10)).await;
    stage.floor().peers[0].mute.insert("btcusdt@depth@100ms".into());
    reader.read_until(|r| r.book().gaps == 1).await;
    let before = reader.book().diffs;
    reader.read_until(|r| r.book().diffs > before).await;
    reader.equals_the_venues(&stage).await;
    assert!(reader.failures.iter().any(|f| f.contains("btcusdt@depth@100ms fell silent")), "{:?}", reader.failures);
    let texts: Vec<String> = stage.floor().peers[0].texts.iter().map(|(_, text)| text.clone()).collect();
    assert!(texts[0].contains("UNSUBSCRIBE") && texts[1].contains("SUBSCRIBE") && texts[1].contains("btcusdt@depth@100ms"), "{texts:?}");
    assert_eq!((stage.floor().peers.len(), reader.book().interruptions, reader.links.as_slice()), (1, 0, [true].as_slice()));
    reader.stop().await;
}

#[tokio::test]
async fn a_stream_that_stays_silent_costs_the_connection_but_not_the_others() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let (proven_silent_after, resubscribed_within) = (Duration::from_millis(50), Duration::from_millis(300));
    let rules = StreamRules { proven_silent_after, resubscribed_within, ..quick() };
    stage.floor().mute_new.insert("btcusdt@bookTicker".into());
    let mut reader = Reader::start(&stage, rules, 10_000);
    stage.until(|floor| !floor.peers.is_empty()).await;
    stage.floor().mute_new.clear();
    reader.read_until(|_| stage.floor().peers.len() == 2 && stage.floor().peers[0].said_goodbye).await;
    reader.read_until(|r| r.book().quote > 0).await;
    reader.equals_the_venues(&stage).await;
    assert!(reader.failures.iter().any(|f| f.contains("btcusdt@bookTicker stays silent")), "{:?}", reader.failures);
    assert_eq!((reader.book().interruptions, reader.book().gaps, reader.book().trades_missing), (0, 0, 0));
    assert_eq!(reader.links, [true]);
    reader.stop().await;
}

#[tokio::test]
async fn a_silent_trade_stream_is_found_by_the_venues_own_list_of_trades() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let rules = StreamRules { trade_asked_after: Duration::from_millis(200), proven_silent_after: Duration::ZERO, ..quick() };
    let mut reader = Reader::start(&stage, rules, 10_000);
    reader.read_until(|r| r.books.get("BTCUSDT").is_some_and(|b| b.trade.is_some())).await;
    stage.floor().peers[0].mute.insert("btcusdt@trade".into());
    reader.read_until(|r| r.failures.iter().any(|f| f.contains("btcusdt@trade fell silent"))).await;
    let before = reader.book().trade;
    reader.read_until(|r| r.book().trade > before).await;
    assert_eq!((stage.floor().peers.len(), reader.book().interruptions, reader.book().gaps), (1, 0, 0));
    reader.stop().await;
}

#[tokio::test]
async fn a_half_open_connection_is_found_by_our_own_ping() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let beat = Duration::from_millis(150);
    let rules = StreamRules { ping_every: beat, pong_within: beat, ..quick() };
    let mut reader = Reader::start(&stage, rules, 10_000);
    reader.read_until(|r| r.books.get("BTCUSDT").is_some_and(|b| b.diffs > 10)).await;
    *stage.floor().peers[0].frozen.lock().unwrap() = true;
    reader.read_until(|r| r.links == [true, false, true]).await;
    assert!(reader.failures.iter().any(|f| f.contains("no answer to a ping")), "{:?}", reader.failures);
    assert_eq!(reader.book().interruptions, 1);
    let before = reader.book().diffs;
    reader.read_until(|r| r.book().diffs > before).await;
    reader.equals_the_venues(&stage).await;
    reader.stop().await;
}

#[tokio::test]
async fn a_reader_that_is_too_slow_loses_its_book_and_gets_a_new_one() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    // Renewed all the while: what is lost is not the connection's fault.
    let mut reader = Reader::start(&stage, StreamRules { life: Duration::from_millis(200), ..quick() }, 64);
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        while let Ok(event) = reader.events.try_recv() {
            reader.take(event).await;
        }
    }
    reader.read_until(|r| r.books.get("BTCUSDT").is_some_and(|b| b.interruptions > 1)).await;
    reader.equals_the_venues(&stage).await;
    assert_eq!(reader.book().gaps, 0, "a hole is announced, never met");
    assert_eq!(reader.links, [true]);
    reader.stop().await;
}

#[tokio::test]
async fn many_markets_are_split_over_connections_and_few_messages_are_sent() {
    let names: Vec<String> = (10..46).map(|n| format!("C{n}USDT")).collect();
    let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = Stage::open(&symbols, Duration::from_millis(100)).await;
    let mut reader = Reader::start(&stage, StreamRules { streams_per_connection: 96, ..quick() }, 10_000);
    reader.read_until(|r| r.links == [true] && r.books.len() == 36 && r.books.values().all(|b| b.diffs > 0)).await;
    {
        let floor = stage.floor();
        let mut counts: Vec<usize> = floor.peers.iter().map(|p| p.streams.len()).collect();
        counts.sort_unstable();
        assert_eq!(counts, [12, 96], "36 markets with three streams each");
        assert!(floor.peers.iter().map(|p| p.texts.len()).sum::<usize>() == 1, "what the address does not hold is subscribed at once");
    }
    let first = stage.floor().peers[0].number;
    stage.floor().close(first);
    reader.read_until(|r| r.links == [true, false, true]).await;
    reader.equals_the_venues(&stage).await;
    let broken = reader.books.values().filter(|b| b.interruptions == 1).count();
    assert!(broken == 32 || broken == 4, "{broken}: the other connection's books lived on");
    reader.stop().await;
}

fn report(trade: u64, execution: u64) -> String {
    json!({ "e": "executionReport", "E": 1, "s": "BTCUSDT", "c": "h000000000000001f-2a", "C": "", "S": "BUY", "q": "100000", "x": "TRADE",
        "X": "PARTIALLY_FILLED", "i": 28, "l": "1", "z": trade.to_string(), "L": "100", "n": "0", "N": "USDT", "T": 5, "t": trade, "m": true,
        "I": execution, "r": "NONE" })
    .to_string()
}

struct Running {
    requests: Sender<Request>,
    events: Receiver<Event>,
    gateway: Gateway,
}

impl Running {
    fn start(stage: &Stage, streams: StreamRules) -> Self {
        let (requests, taken) = mpsc::channel(8);
        let (out, events) = mpsc::channel(10_000);
        let symbols = stage.floor().markets.keys().map(|s| s.parse().unwrap()).collect();
        let config = GatewayConfig {
            endpoint: stage.endpoint.clone(),
            credentials: Some(Credentials::new("key", "secret")),
            symbols,
            carried_orders: vec![],
            known_trades: vec![],
            default_fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
            clock: monotonic_clock(),
            streams,
            requests: Requests::default(),
        };
        Self { requests, events, gateway: Gateway::start(config, taken, out).unwrap() }
    }

    async fn next(&mut self) -> Event {
        timeout(Duration::from_secs(20), self.events.recv()).await.expect("the event comes").unwrap()
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) {
        while !wanted(&self.next().await) {}
    }

    async fn close(self) {
        drop(self.requests);
        timeout(Duration::from_secs(2), self.gateway.ended()).await.expect("the gateway ends within 2 s");
    }
}

const fn is_up(event: &Event, wanted: Stream) -> bool {
    matches!(
        (event, wanted),
        (Event::Venue(VenueEvent::Link { stream: Stream::Market, up: true }), Stream::Market)
            | (Event::Venue(VenueEvent::Link { stream: Stream::User, up: true }), Stream::User)
    )
}

#[tokio::test]
async fn the_user_stream_is_renewed_without_a_hole_and_each_fill_is_told_once() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(50)).await;
    let mut running = Running::start(&stage, StreamRules { life: Duration::from_millis(150), ..quick() });
    running.until(|e| is_up(e, Stream::User)).await;
    let (mut sent, mut fills, mut reconciled) = (0, vec![], 0);
    while fills.len() < 300 || stage.floor().peers_of("/ws-api/v3").filter(|p| p.said_goodbye).count() < 5 {
        sent += 1;
        stage.floor().publish_user(&report(sent, sent));
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Ok(event) = running.events.try_recv() {
            match event {
                Event::Venue(VenueEvent::Fill(fill)) => fills.push(fill.trade_id.0),
                Event::Venue(VenueEvent::Reconciled { .. }) => reconciled += 1,
                Event::Venue(VenueEvent::Link { stream, up }) => assert!(up && stream == Stream::Market),
                Event::Venue(VenueEvent::Failure { message, .. }) => panic!("{message}"),
                _ => {}
            }
        }
        assert!(sent < 15_000, "{} fills", fills.len());
    }
    while fills.len() < usize::try_from(sent).unwrap() {
        if let Event::Venue(VenueEvent::Fill(fill)) = running.next().await {
            fills.push(fill.trade_id.0);
        }
    }
    let mut sorted = fills.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=sent).collect::<Vec<u64>>());
    assert!(reconciled >= 3, "{reconciled}: the account is compared after every subscription");
    running.close().await;
}

#[tokio::test]
async fn a_fill_that_no_stream_brought_is_found_by_the_comparison() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(50)).await;
    let mut running = Running::start(&stage, quick());
    running.until(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))).await;
    stage.floor().publish_user(&report(7, 7));
    running.until(|e| matches!(e, Event::Venue(VenueEvent::Fill(f)) if f.trade_id.0 == 7)).await;
    let row = |id: u64, order: u64| {
        json!({ "symbol": "BTCUSDT", "id": id, "orderId": order, "price": "100", "qty": "1", "commission": "0", "commissionAsset": "USDT",
            "time": 5, "isBuyer": true, "isMaker": true })
    };
    stage.floor().my_trades = vec![row(6, 28), row(7, 28), row(8, 99), row(9, 28)];
    let user = stage.floor().peers_of("/ws-api/v3").map(|p| p.number).next().unwrap();
    stage.floor().close(user);
    let mut told = vec![];
    loop {
        match running.next().await {
            Event::Venue(VenueEvent::Fill(fill)) => told.push(fill.trade_id.0),
            Event::Venue(VenueEvent::Reconciled { .. }) => break,
            _ => {}
        }
    }
    assert_eq!(told, [9], "7 was told, 8 is another program's");
    running.close().await;
}

#[tokio::test]
async fn closing_the_gateway_parts_from_the_venue() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let mut running = Running::start(&stage, quick());
    running.until(|e| is_up(e, Stream::Market)).await;
    running.close().await;
    stage.until(|floor| floor.peers.len() == 2 && floor.peers.iter().all(|p| p.said_goodbye)).await;
}

#[tokio::test]
async fn closing_the_gateway_does_not_wait_for_a_pause_between_connections() {
    let stage = Stage::open(&["BTCUSDT"], Duration::from_millis(1)).await;
    let mut running = Running::start(&stage, quick());
    running.until(|e| is_up(e, Stream::Market)).await;
    stage.floor().refuse_sockets = true;
    for number in [0, 1] {
        stage.floor().close(number);
    }
    // Several attempts have failed by now: the next pause is a long one.
    let mut failures = 0;
    while failures < 6 {
        failures += u32::from(matches!(running.next().await, Event::Venue(VenueEvent::Failure { .. })));
    }
    running.close().await;
}
