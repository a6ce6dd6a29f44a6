//! The venue as the program sees it: requests go in, events come out, everything in between is kept alive here.
//!
//! At the start: clock, instruments with this account's fees, user stream, reconciliation, market streams. Requests are served from the
//! first moment. Without credentials there is no user stream and nothing is reconciled (paper mode).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, timeout};

use super::account::Account;
use super::clock::LocalClock;
use super::desk::{Desk, OrderTransport, Requests};
use super::endpoint::{Credentials, Endpoint};
use super::error::ClientError;
use super::http::backoff;
use super::market_stream::MarketStream;
use super::outbox::Outbox;
use super::rest::RestClient;
use super::stop::{Stop, Stopper, stop};
use super::stream_rules::StreamRules;
use super::user_stream::UserStream;
use super::user_wire::QuoteAssets;
use crate::domain::{ClientOrderId, FeeRates, Instrument, Symbol, TradeId};
use crate::protocol::{Event, Request, VenueEvent};

const PROBE_EVERY: Duration = Duration::from_secs(30);
const RULES_EVERY: Duration = Duration::from_secs(3_600);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long requests under way may take after the last one came in.
const FAREWELL: Duration = Duration::from_secs(15);
/// How long the streams may take to part from the venue.
const PARTING: Duration = Duration::from_millis(1_700);
const SNAPSHOT_REQUESTS: usize = 64;

pub struct GatewayConfig {
    pub endpoint: Endpoint,
    /// `None`: public data only.
    pub credentials: Option<Credentials>,
    pub symbols: Vec<Symbol>,
    /// Orders of earlier runs whose end is not known.
    pub carried_orders: Vec<(ClientOrderId, Symbol)>,
    /// The newest trade of each market that earlier runs booked: what came after it is asked for at the start.
    pub known_trades: Vec<(Symbol, TradeId)>,
    /// Fees until (or unless) the account's own are known.
    pub default_fees: FeeRates,
    /// The box's clock, the same that stamps events.
    pub clock: LocalClock,
    pub streams: StreamRules,
    pub requests: Requests,
}

/// A running connection to a venue.
pub struct Gateway {
    rest: RestClient,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Starts on the current tokio runtime. Ends when `requests` is closed: requests under way are finished first, then the streams part from
    /// the venue, which takes less than 2 s.
    ///
    /// # Errors
    /// When the secure transport cannot be set up.
    pub fn start(config: GatewayConfig, requests: Receiver<Request>, events: Sender<Event>) -> Result<Self, ClientError> {
        let sending = config.requests;
        let rest =
            RestClient::remembering(config.endpoint.clone(), config.credentials.clone(), config.clock.clone(), sending.banned_until)?;
        let out = Outbox(events);
        let mut standing = JoinSet::new();
        let desk = Desk::open(if config.credentials.is_some() { sending.transport } else { OrderTransport::Rest }, &rest, &mut standing);
        let account =
            Arc::new(Account::new(rest.clone(), desk, out.clone(), config.symbols.clone(), &config.carried_orders, &config.known_trades));
        let (snapshots, wanted) = mpsc::channel(SNAPSHOT_REQUESTS);
        let (stopper, stop) = stop();
        let (symbols, rules) = (config.symbols.clone(), config.streams.clone());
        let market = MarketStream { rest: rest.clone(), symbols, out, wanted, rules, stop: stop.clone() };
        let mut streams = JoinSet::new();
        streams.spawn(start_up(config, account.clone(), market, stop));
        let task = tokio::spawn(serve(account, requests, snapshots, Standing { streams, others: standing, stopper }));
        Ok(Self { rest, task })
    }

    /// The same client, for downloads: it shares the request budget.
    #[must_use]
    pub fn rest(&self) -> RestClient {
        self.rest.clone()
    }

    /// Waits until the gateway has ended (close its request channel first).
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the venue gateway did not end cleanly");
        }
    }
}

/// Everything that runs beside the requests.
struct Standing {
    streams: JoinSet<()>,
    /// They end with the last request.
    others: JoinSet<()>,
    stopper: Stopper,
}

impl Standing {
    async fn part(mut self, account: Arc<Account>) {
        self.stopper.stop();
        let parted = async {
            while self.streams.join_next().await.is_some() {}
            drop(account);
            while self.others.join_next().await.is_some() {}
        };
        if timeout(PARTING, parted).await.is_err() {
            tracing::warn!("the connections did not part from the venue in time");
        }
        self.streams.shutdown().await;
        self.others.shutdown().await;
    }
}

async fn serve(account: Arc<Account>, mut requests: Receiver<Request>, snapshots: Sender<Symbol>, standing: Standing) {
    let mut under_way = JoinSet::new();
    while let Some(request) = requests.recv().await {
        while under_way.try_join_next().is_some() {}
        let account = account.clone();
        match request {
            Request::Place { order, opening } => drop(under_way.spawn(async move { account.place(order, opening).await })),
            Request::PlaceList { list, opening } => drop(under_way.spawn(async move { account.place_list(list, opening).await })),
            Request::Replace { old, order } => drop(under_way.spawn(async move { account.replace(old, order).await })),
            Request::Cancel { id, symbol, .. } => drop(under_way.spawn(async move { account.cancel(id, symbol).await })),
            Request::Query { id, symbol } => drop(under_way.spawn(async move { account.query(id, symbol).await })),
            Request::Test { order } => drop(under_way.spawn(async move { account.test(order).await })),
            Request::Account => drop(under_way.spawn(async move {
                if let Err(error) = account.state().await {
                    account.out.failed(&error).await;
                }
            })),
            Request::Snapshot { symbol } => {
                if snapshots.try_send(symbol).is_err() {
                    tracing::debug!(%symbol, "no market stream takes snapshot requests now; it fetches them when it starts");
                }
            }
        }
    }
    let rest = async { while under_way.join_next().await.is_some() {} };
    if timeout(FAREWELL, rest).await.is_err() {
        tracing::warn!("requests to the venue were still under way at the end");
    }
    standing.part(account).await;
}

/// Everything that stands, until it is stopped: the streams then part from the venue, the rest just ends.
async fn start_up(config: GatewayConfig, account: Arc<Account>, mut market: MarketStream, mut stop: Stop) {
    let prepared = tokio::select! {
        prepared = prepare(&config, &account) => prepared,
        () = stop.told() => return,
    };
    // What the venue does not know has no streams.
    market.symbols.retain(|symbol| prepared.contains_key(symbol));
    if market.symbols.is_empty() {
        return stop.told().await;
    }
    let probes = probe_periodically(&account, Markets::of(&config));
    match config.credentials {
        Some(credentials) => {
            let user = UserStream { account: account.clone(), credentials, quotes: prepared, rules: config.streams, stop: stop.clone() };
            let market = async {
                let reconciled = tokio::select! {
                    () = account.reconciled_once() => true,
                    () = stop.told() => false,
                };
                if reconciled {
                    market.run().await;
                }
            };
            tokio::select! {
                _ = async { tokio::join!(user.run(), market) } => {}
                _ = async { tokio::join!(account.keep_reconciled(), probes) } => {}
            }
        }
        None => {
            tokio::select! {
                () = market.run() => {}
                () = probes => {}
            }
        }
    }
}

/// What must be known before a stream is opened: clock and instruments. Gives the markets' quote assets.
async fn prepare(config: &GatewayConfig, account: &Account) -> QuoteAssets {
    let clock = until_done(account, || account.rest.sample_clock()).await;
    let markets = Markets::of(config);
    let instruments = until_done(account, || load_instruments(&markets, &account.rest)).await;
    let quotes = instruments.iter().map(|i| (i.symbol, i.quote)).collect();
    account.watch(instruments.iter().flat_map(|i| [i.base, i.quote]));
    account.keep_to(instruments.iter().map(|i| i.symbol).collect());
    account.out.venue(VenueEvent::Instruments(instruments)).await;
    account.out.clock(clock).await;
    quotes
}

/// Whose rules are asked for.
struct Markets {
    symbols: Vec<Symbol>,
    default_fees: FeeRates,
    /// The account's own fees can be asked for.
    signed: bool,
}

impl Markets {
    fn of(config: &GatewayConfig) -> Self {
        Self { symbols: config.symbols.clone(), default_fees: config.default_fees, signed: config.credentials.is_some() }
    }
}

/// The rules of the markets that the venue knows, with this account's fees.
async fn load_instruments(markets: &Markets, rest: &RestClient) -> Result<Vec<Instrument>, ClientError> {
    let mut instruments = rest.known_markets(&markets.symbols, markets.default_fees).await?;
    if markets.signed {
        for instrument in &mut instruments {
            instrument.fees = rest.account_commission(instrument.symbol).await?;
        }
    }
    Ok(instruments)
}

/// Tries until it succeeds; every failure is told.
async fn until_done<T, F: Future<Output = Result<T, ClientError>>>(account: &Account, mut attempt: impl FnMut() -> F) -> T {
    let mut failures = 0;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => account.out.failed(&error).await,
        }
        failures += 1;
        tokio::time::sleep(backoff(failures, FIRST_PAUSE, LONGEST_PAUSE)).await;
    }
}

async fn probe_periodically(account: &Account, markets: Markets) {
    let with_account = markets.signed;
    let mut rules_read = Instant::now();
    let mut due = tokio::time::interval(PROBE_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    due.tick().await;
    while !account.out.is_closed() {
        due.tick().await;
        match account.rest.sample_clock().await {
            Ok(sample) => account.out.clock(sample).await,
            Err(error) => account.out.failed(&error).await,
        }
        if with_account && let Err(error) = account.balances().await {
            account.out.failed(&error).await;
        }
        if with_account {
            account.refer().await;
        }
        // Grains, filters and fees change while a box runs for weeks.
        if rules_read.elapsed() >= RULES_EVERY {
            rules_read = Instant::now();
            match load_instruments(&markets, &account.rest).await {
                Ok(instruments) => account.out.venue(VenueEvent::Instruments(instruments)).await,
                Err(error) => account.out.failed(&error).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::monotonic_clock;
    use super::super::test_venue::{Answer, KEY, SECRET, Seen, Step, TestVenue, fail, ok};
    use super::*;
    use crate::domain::{Bps, MarketData, OrderStatus, RunId};
    use crate::protocol::{Probe, Stream, VenueFill, VenueOrder};

    const FEES: FeeRates = FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) };
    const OURS: ClientOrderId = ClientOrderId { run: RunId(0x1f), sequence: 0x2a };

    fn answer(seen: &Seen) -> Answer {
        match (seen.method.as_str(), seen.path.as_str()) {
            (_, "/api/v3/time") => ok(format!(r#"{{"serverTime":{}}}"#, monotonic_clock()().millis())),
            (_, "/api/v3/exchangeInfo") => {
                ok(r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
                {"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000","tickSize":"0.01"},
                {"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000","stepSize":"0.00001"}]}]}"#)
            }
            (_, "/api/v3/account/commission") => {
                ok(r#"{"symbol":"BTCUSDT","standardCommission":{"maker":"0.0005","taker":"0.0007","buyer":"0","seller":"0"}}"#)
            }
            (_, "/api/v3/depth") => ok(r#"{"lastUpdateId":10,"bids":[["99","1"]],"asks":[["101","1"]]}"#),
            (_, "/api/v3/openOrders") => ok("[]"),
            (_, "/api/v3/account") => ok(r#"{"balances":[{"asset":"USDT","free":"1000","locked":"0"}]}"#),
            ("GET", "/api/v3/order") => ok(r#"{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"h000000000000001f-2a","origQty":"0.5",
                "executedQty":"0.5","status":"FILLED","side":"BUY","updateTime":5}"#),
            ("DELETE", "/api/v3/order") => fail(400, r#"{"code":-2011,"msg":"Unknown order sent."}"#),
            (_, "/api/v3/myTrades") => ok(r#"[{"symbol":"BTCUSDT","id":77,"orderId":28,"price":"100","qty":"0.5","commission":"0.05",
                "commissionAsset":"USDT","time":5,"isBuyer":true,"isMaker":true}]"#),
            _ => fail(404, "unexpected"),
        }
    }

    fn depth(first: u64, last: u64) -> Step {
        Step::Send(format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{first},"u":{last},"b":[],"a":[]}}}}"#
        ))
    }

    fn play(path: &str, before: usize) -> Vec<Step> {
        match (path, before) {
            ("/stream", 0) => vec![depth(9, 11), Step::Send("not json".into()), Step::Receive],
            ("/stream", _) => vec![depth(11, 12), Step::Stay],
            _ => vec![Step::Receive, Step::Send(r#"{"id":"user-stream","status":200,"result":{"subscriptionId":0}}"#.into()), Step::Stay],
        }
    }

    struct Running {
        requests: Sender<Request>,
        events: Receiver<Event>,
        gateway: Gateway,
    }

    fn config(venue: &TestVenue) -> GatewayConfig {
        GatewayConfig {
            endpoint: venue.endpoint.clone(),
            credentials: Some(Credentials::new(KEY, SECRET)),
            symbols: vec!["BTCUSDT".parse().unwrap()],
            carried_orders: vec![(OURS, "BTCUSDT".parse().unwrap())],
            known_trades: Vec::new(),
            default_fees: FEES,
            clock: monotonic_clock(),
            streams: StreamRules::default(),
            requests: Requests::default(),
        }
    }

    fn begin(config: GatewayConfig) -> Running {
        let (requests, taken) = mpsc::channel(8);
        let (out, events) = mpsc::channel(64);
        Running { requests, events, gateway: Gateway::start(config, taken, out).unwrap() }
    }

    fn start(venue: &TestVenue, credentials: Option<Credentials>, stale_after: Duration) -> Running {
        let streams = StreamRules { silent_after: stale_after, ..StreamRules::default() };
        begin(GatewayConfig { credentials, streams, ..config(venue) })
    }

    impl Running {
        async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
            let mut all = Vec::new();
            loop {
                let event = timeout(Duration::from_secs(20), self.events.recv()).await.expect("the event comes").unwrap();
                all.push(event);
                if wanted(&all[all.len() - 1]) {
                    return all;
                }
            }
        }
    }

    const fn is_link(event: &Event, wanted: Stream, state: bool) -> bool {
        matches!((event, wanted), (Event::Venue(VenueEvent::Link { stream: Stream::Market, up }), Stream::Market)
            | (Event::Venue(VenueEvent::Link { stream: Stream::User, up }), Stream::User) if *up == state)
    }

    fn is_market(event: &Event, wanted: fn(&MarketData) -> bool) -> bool {
        matches!(event, Event::Market(update) if wanted(&update.data))
    }

    #[tokio::test]
    async fn the_account_is_stated_before_the_market_opens() {
        let venue = TestVenue::start_with_streams(|seen, _| answer(seen), play).await;
        let mut running = start(&venue, Some(Credentials::new(KEY, SECRET)), Duration::from_secs(15));
        let events = running.until(|e| is_link(e, Stream::Market, true)).await;
        let venue_events: Vec<&VenueEvent> = events.iter().filter_map(|e| if let Event::Venue(v) = e { Some(v) } else { None }).collect();
        let [
            VenueEvent::Instruments(instruments),
            VenueEvent::Link { stream: Stream::User, up: true },
            VenueEvent::Fill(VenueFill { id: OURS, trade_id, .. }),
            VenueEvent::Order(VenueOrder { id: OURS, status: OrderStatus::Filled, .. }),
            VenueEvent::Reconciled { balances, open, foreign_orders: 0, .. },
            VenueEvent::Link { stream: Stream::Market, up: true },
        ] = venue_events.as_slice()
        else {
            panic!("{venue_events:#?}")
        };
        assert_eq!((instruments[0].fees.taker, trade_id.0, open.len()), (Bps::from_bps(7), 77, 0));
        assert_eq!(balances[0].free.to_string(), "1000");
        let subscription = venue.seen("/ws-api/v3").into_iter().find(|s| s.method == "TEXT").unwrap().params;
        assert!(subscription.contains("userDataStream.subscribe.signature") && !subscription.contains(SECRET), "{subscription}");
    }

    #[tokio::test]
    async fn a_market_that_the_venue_does_not_know_keeps_no_other_from_starting() {
        let gone = |seen: &Seen| seen.params.contains("GONEUSDT");
        let refuse =
            move |seen: &Seen, _: &[Seen]| if gone(seen) { fail(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#) } else { answer(seen) };
        let venue = TestVenue::start_with_streams(refuse, play).await;
        let gone: Symbol = "GONEUSDT".parse().unwrap();
        let lost = ClientOrderId { sequence: 0x2b, ..OURS };
        let carried = vec![(OURS, "BTCUSDT".parse().unwrap()), (lost, gone)];
        let mut running = begin(GatewayConfig {
            symbols: vec![gone, "BTCUSDT".parse().unwrap()],
            carried_orders: carried,
            known_trades: vec![(gone, TradeId(4))],
            ..config(&venue)
        });
        let events = running.until(|e| is_link(e, Stream::Market, true)).await;
        let listed: Vec<&str> = events
            .iter()
            .filter_map(|e| if let Event::Venue(VenueEvent::Instruments(known)) = e { Some(known) } else { None })
            .flat_map(|known| known.iter().map(|i| i.symbol.as_str()))
            .collect();
        assert_eq!(listed, ["BTCUSDT"]);
        assert!(events.iter().any(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))), "the account is stated without it");
        assert!(!events.iter().any(|e| matches!(e, Event::Venue(VenueEvent::Failure { .. }))), "{events:#?}");
        running.requests.send(Request::Query { id: lost, symbol: gone }).await.unwrap();
        running.until(|e| matches!(e, Event::Venue(VenueEvent::Missing { id }) if *id == lost)).await;
        let streams = venue.seen("/stream")[0].params.clone();
        assert!(streams.contains("btcusdt") && !streams.contains("gone"), "{streams}");
    }

    #[tokio::test]
    async fn a_venue_that_knows_no_market_says_so_and_the_end_is_heard() {
        let venue = TestVenue::start(|seen, _| {
            if seen.path.ends_with("exchangeInfo") { fail(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#) } else { answer(seen) }
        })
        .await;
        let mut running = start(&venue, Some(Credentials::new(KEY, SECRET)), Duration::from_secs(15));
        running.until(|e| matches!(e, Event::Venue(VenueEvent::Instruments(known)) if known.is_empty())).await;
        drop(running.requests);
        running.gateway.ended().await;
    }

    #[tokio::test]
    async fn a_refused_cancel_is_followed_by_what_became_of_the_order() {
        let venue = TestVenue::start_with_streams(|seen, _| answer(seen), play).await;
        let mut running = start(&venue, None, Duration::from_secs(15));
        let config_had_no_key = running.until(|e| is_link(e, Stream::Market, true)).await;
        assert!(!config_had_no_key.iter().any(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))));
        let mut running = start(&venue, Some(Credentials::new(KEY, SECRET)), Duration::from_secs(15));
        running.until(|e| is_link(e, Stream::Market, true)).await;
        running.requests.send(Request::Cancel { id: OURS, symbol: "BTCUSDT".parse().unwrap(), order_id: None }).await.unwrap();
        let events = running.until(|e| matches!(e, Event::Venue(VenueEvent::Order(_)))).await;
        assert!(events.iter().any(|e| matches!(e, Event::Venue(VenueEvent::CancelRefused { id: OURS, .. }))));
        assert!(events.iter().any(|e| matches!(e, Event::Venue(VenueEvent::Fill(_)))));
        drop(running.requests);
        running.gateway.ended().await;
    }

    #[tokio::test]
    async fn a_broken_market_stream_is_announced_and_comes_back() {
        let venue = TestVenue::start_with_streams(|seen, _| answer(seen), play).await;
        let mut running = start(&venue, None, Duration::from_secs(2));
        let up = running.until(|e| is_market(e, |d| matches!(d, MarketData::Depth(_)))).await;
        assert!(
            up.iter().any(|e| is_market(e, |d| matches!(d, MarketData::Snapshot(_)))),
            "the snapshot comes before the first difference"
        );
        // The first stream then says nothing more, so that it counts as dead.
        let down = running.until(|e| is_link(e, Stream::Market, false)).await;
        assert!(down.iter().any(|e| is_market(e, |d| matches!(d, MarketData::Interrupted))));
        assert!(down.iter().any(|e| matches!(e, Event::Probe(Probe::Unreadable { lines: 1 }))));
        let again = running.until(|e| is_market(e, |d| matches!(d, MarketData::Depth(_)))).await;
        assert!(again.iter().any(|e| is_link(e, Stream::Market, true)));
        assert!(again.iter().any(|e| is_market(e, |d| matches!(d, MarketData::Snapshot(_)))));
        assert!(venue.seen("/stream")[0].params.contains("btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"));
    }

    /// The user stream breaks after its first event; the second connection delivers a damaged message.
    fn play_with_broken_user_stream(path: &str, before: usize) -> Vec<Step> {
        let subscribed = r#"{"id":"user-stream","status":200,"result":{"subscriptionId":0}}"#;
        let position = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":9,"u":9,"B":[{"a":"BTC","f":"0.5","l":"0"}]}}"#;
        match (path, before) {
            ("/stream", _) => play(path, 1),
            (_, 0) => vec![Step::Receive, Step::Send(subscribed.into()), Step::Send(position.into())],
            _ => vec![Step::Receive, Step::Send(subscribed.into()), Step::Send(r#"{"event":{"e":"executionReport"}}"#.into()), Step::Stay],
        }
    }

    #[tokio::test]
    async fn the_account_is_compared_anew_after_a_reconnection_and_a_damaged_message() {
        let venue = TestVenue::start_with_streams(|seen, _| answer(seen), play_with_broken_user_stream).await;
        let mut running = start(&venue, Some(Credentials::new(KEY, SECRET)), Duration::from_secs(15));
        let first = running.until(|e| is_link(e, Stream::User, false)).await;
        assert!(
            first.iter().any(|e| matches!(e, Event::Venue(VenueEvent::Balances { balances, .. }) if balances[0].asset.as_str() == "BTC"))
        );
        let second = running.until(|e| matches!(e, Event::Probe(Probe::Unreadable { lines: 1 }))).await;
        assert!(second.iter().any(|e| is_link(e, Stream::User, true)));
        running.until(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))).await;
    }

    /// As `answer`, but for what became of one order, whose number is in it.
    fn refusing(code: i64) -> impl Fn(&Seen, &[Seen]) -> Answer + Send + Sync + 'static {
        move |seen, _| match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "/api/v3/order") if seen.params.contains("-2b") => fail(400, format!(r#"{{"code":{code},"msg":"Not this one."}}"#)),
            _ => answer(seen),
        }
    }

    const OTHER: ClientOrderId = ClientOrderId { sequence: 0x2b, ..OURS };

    /// What is told until the account is stated, when an earlier run left two orders.
    async fn compared(code: i64) -> Vec<VenueEvent> {
        let venue = TestVenue::start_with_streams(refusing(code), play).await;
        let symbol = "BTCUSDT".parse().unwrap();
        let mut running = begin(GatewayConfig { carried_orders: vec![(OTHER, symbol), (OURS, symbol)], ..config(&venue) });
        let events = running.until(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))).await;
        events.into_iter().filter_map(|e| if let Event::Venue(news) = e { Some(news) } else { None }).collect()
    }

    #[tokio::test]
    async fn an_order_that_the_venue_has_put_away_has_ended_and_the_account_is_compared() {
        let told = compared(-2026).await;
        assert_eq!(told.iter().filter(|e| **e == VenueEvent::Archived { id: OTHER }).count(), 1, "{told:#?}");
        assert!(!told.iter().any(|e| matches!(e, VenueEvent::Failure { .. })), "{told:#?}");
        assert!(told.iter().any(|e| matches!(e, VenueEvent::Order(VenueOrder { id: OURS, .. }))), "the next order is asked about");
    }

    const NEW: ClientOrderId = ClientOrderId { sequence: 0x2c, ..OURS };

    /// A venue that takes every order, whose first user stream says this after its subscription.
    async fn with_placement(first: Option<String>) -> (TestVenue, Running) {
        let taking = |seen: &Seen, _: &[Seen]| match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", "/api/v3/order") => ok(r#"{"symbol":"BTCUSDT","orderId":29,"clientOrderId":"h000000000000001f-2c","transactTime":5,
                "price":"90","origQty":"0.5","executedQty":"0","status":"NEW","timeInForce":"GTC","type":"LIMIT","side":"BUY","fills":[]}"#),
            _ => answer(seen),
        };
        let playing = move |path: &str, before: usize| {
            let mut steps = play(path, before);
            if let (false, 0, Some(text)) = (path == "/stream", before, &first) {
                steps.insert(2, Step::Send(text.clone()));
            }
            steps
        };
        let venue = TestVenue::start_with_streams(taking, playing).await;
        let streams = StreamRules { reported_within: Duration::from_millis(600), ..StreamRules::default() };
        let mut running = begin(GatewayConfig { streams, ..config(&venue) });
        running.until(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))).await;
        let kind = crate::domain::OrderKind::LimitMaker { price: "90".parse().unwrap() };
        let (symbol, qty) = ("BTCUSDT".parse().unwrap(), "0.5".parse().unwrap());
        let order = crate::domain::NewOrder { id: NEW, symbol, side: crate::domain::Side::Buy, qty, kind };
        running.requests.send(Request::Place { order, opening: false }).await.unwrap();
        running.until(|e| matches!(e, Event::Venue(VenueEvent::Accepted { id: NEW, .. }))).await;
        (venue, running)
    }

    #[tokio::test]
    async fn a_user_stream_that_does_not_report_an_order_is_left_for_a_new_one() {
        let (venue, mut running) = with_placement(None).await;
        let down = running.until(|e| is_link(e, Stream::User, false)).await;
        assert!(!down.iter().any(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))), "{down:#?}");
        running.until(|e| is_link(e, Stream::User, true)).await;
        running.until(|e| matches!(e, Event::Venue(VenueEvent::Reconciled { .. }))).await;
        assert_eq!(venue.seen("/ws-api/v3").iter().filter(|s| s.method == "TEXT").count(), 2, "subscribed once more");
    }

    #[tokio::test]
    async fn a_user_stream_that_reports_what_was_taken_stays_up_also_when_its_report_comes_first() {
        let report = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":9,"s":"BTCUSDT","c":"h000000000000001f-2c","C":"","S":"BUY",
            "q":"0.5","x":"NEW","X":"NEW","i":29,"l":"0","z":"0","L":"0","n":"0","N":null,"T":9,"t":-1,"m":false,"I":1,"r":"NONE"}}"#;
        let (venue, mut running) = with_placement(Some(report.to_owned())).await;
        let quiet = timeout(Duration::from_millis(2_000), running.until(|e| is_link(e, Stream::User, false))).await;
        assert!(quiet.is_err(), "{quiet:#?}");
        assert_eq!(venue.seen("/ws-api/v3").iter().filter(|s| s.method == "TEXT").count(), 1);
    }

    #[tokio::test]
    async fn a_reader_may_ask_for_a_new_snapshot() {
        let later = r#"{"lastUpdateId":12,"bids":[["99","1"]],"asks":[["101","1"]]}"#;
        let answer = move |seen: &Seen, before: &[Seen]| {
            let again = before.iter().any(|s| s.path == "/api/v3/depth");
            if again && seen.path == "/api/v3/depth" { ok(later) } else { answer(seen) }
        };
        let venue = TestVenue::start_with_streams(answer, |path, _| play(path, 1)).await;
        let mut running = start(&venue, None, Duration::from_secs(15));
        running.until(|e| is_market(e, |d| matches!(d, MarketData::Depth(_)))).await;
        running.requests.send(Request::Snapshot { symbol: "BTCUSDT".parse().unwrap() }).await.unwrap();
        running.until(|e| is_market(e, |d| matches!(d, MarketData::Snapshot(_)))).await;
        assert_eq!(venue.seen("/api/v3/depth").len(), 2);
    }
}
