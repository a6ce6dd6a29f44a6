//! The dry run through the product's own client: the simulated exchange checks each order, and none is placed.

use std::time::{Duration, Instant};

use huracan::domain::{Bps, FeeRates, Interval, RunId, Span, Symbol, Timestamp};
use huracan::engine::{Engine, Settings, Snapshot};
use huracan::protocol::{Effect, Event, Learned, Mode, ModelRole, Request, RunOpened, Stamp, VenueEvent, WarmUp};
use huracan::trading::risk::{Ladder, LadderRules};
use huracan::venue::binance::{
    Credentials, Endpoint, Gateway, GatewayConfig, LocalClock, Requests, RestClient, StreamRules, monotonic_clock,
};
use huracan::venue::exchange::{ExchangeServer, Running};
use tokio::sync::mpsc;

use crate::desk;

/// Enough answers to have seen every market.
const ANSWERS: u32 = 6;

fn settings() -> Settings {
    let mut settings = desk::settings();
    settings.time_scale.bar = Interval::from_secs(1).unwrap();
    settings.time_scale.horizon_bars = 4;
    settings.limits.max_clock_drift_ms = 60_000;
    (settings.mode, settings.exploration) = (Mode::Live, None);
    settings.ladder = Some(LadderRules::default());
    settings
}

struct Trader {
    engine: Engine,
    events: mpsc::Receiver<Event>,
    requests: mpsc::Sender<Request>,
    clock: LocalClock,
    seq: u64,
    last: Timestamp,
    sent: Vec<Request>,
    tested: Vec<VenueEvent>,
}

impl Trader {
    fn start(exchange: &Running) -> (Self, Gateway) {
        let (requests, taken) = mpsc::channel(256);
        let (out, events) = mpsc::channel(16_384);
        let settings = settings();
        let config = GatewayConfig {
            endpoint: Endpoint::from_rest_url(&exchange.rest).unwrap(),
            credentials: Some(Credentials::new(&exchange.api_key, &exchange.api_secret)),
            symbols: settings.symbols.clone(),
            carried_orders: Vec::new(),
            known_trades: Vec::new(),
            default_fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
            clock: monotonic_clock(),
            streams: StreamRules::default(),
            requests: Requests::default(),
        };
        let clock = config.clock.clone();
        let gateway = Gateway::start(config, taken, out).unwrap();
        let ladder: Ladder = serde_json::from_str(r#"{"rung":"dry_run","since":0,"changes":[],"evidence":{}}"#).unwrap();
        let carried = Snapshot { ladder: Some(ladder), ..Snapshot::default() };
        let engine = Engine::new(settings.clone());
        let (sent, tested) = (Vec::new(), Vec::new());
        let mut trader = Self { engine, events, requests, clock, seq: 0, last: Timestamp::EPOCH, sent, tested };
        trader.apply(Event::RunOpened(Box::new(RunOpened {
            run: RunId(0xd2f),
            mode: settings.mode,
            venue: exchange.rest.clone(),
            code_version: "test".to_owned(),
            settings: serde_json::to_string(&settings).unwrap(),
            settings_hash: String::new(),
            carried: Some(serde_json::to_string(&carried).unwrap()),
        })));
        (trader, gateway)
    }

    async fn learn(&mut self, rest: &RestClient) {
        let bar = self.engine.settings().time_scale.bar;
        self.apply(Event::Learned(Learned::Model(Box::new(desk::model_of(ModelRole::Champion, bar)))));
        let now = rest.venue_now();
        for symbol in self.engine.settings().symbols.clone() {
            let from = now.floor_to(bar) - Span::from_secs(200);
            let candles = rest.klines_range(symbol, bar, from, now.floor_to(bar), |_, _| {}).await.unwrap();
            self.apply(Event::Learned(Learned::WarmUp(WarmUp { symbol, interval: bar, candles })));
        }
        self.apply(Event::Learned(Learned::Finished));
    }

    fn apply(&mut self, event: Event) {
        if let Event::Venue(news @ VenueEvent::Tested { .. }) = &event {
            self.tested.push(news.clone());
        }
        self.seq += 1;
        self.last = self.last.max((self.clock)());
        let mut effects = Vec::new();
        self.engine.apply(Stamp { seq: self.seq, at: self.last }, event, &mut effects);
        for effect in effects {
            if let Effect::Send(request) = effect {
                self.sent.push(request);
                self.requests.try_send(request).unwrap();
            }
        }
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(90);
        while !holds(self) {
            assert!(Instant::now() < end, "never happened: {what}: {:?}", self.engine.view().decisions.first());
            if let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), self.events.recv()).await {
                self.apply(event);
            }
            if self.engine.next_deadline().is_some_and(|due| due <= (self.clock)()) {
                self.apply(Event::Tick);
            }
        }
    }

    fn in_row(&self) -> u32 {
        self.engine.snapshot().ladder.unwrap().evidence().tests_in_row
    }
}

async fn dry_run() {
    let origin = Timestamp::from_millis(monotonic_clock()().millis() - 2 * 86_400_000);
    let exchange = ExchangeServer::start_synthetic(7, origin).await.unwrap();
    let (mut trader, gateway) = Trader::start(&exchange);
    let rest = gateway.rest();
    trader.until("the account is stated", |t| t.engine.view().health.reconciled).await;
    trader.learn(&rest).await;
    trader.until("answers to test orders", |t| t.in_row() >= ANSWERS).await;
    assert!(trader.sent.iter().all(|request| !matches!(request, Request::Place { .. } | Request::Cancel { .. })), "nothing is placed");
    // A price off the grid: the venue's rules, known here, refuse it.
    let mut order = trader.sent.iter().find_map(|r| if let Request::Test { order } = r { Some(*order) } else { None }).unwrap();
    order.qty = huracan::domain::Qty::from_raw(order.qty.raw() + 1);
    let before = trader.tested.len();
    trader.requests.send(Request::Test { order }).await.unwrap();
    trader.until("a refusal", |t| t.tested[before..].iter().any(|n| matches!(n, VenueEvent::Tested { refused: Some(_), .. }))).await;
    let row = trader.engine.snapshot().ladder.unwrap();
    assert!(!row.evidence().filter_refusals.is_empty(), "{:?}", trader.tested);
    let symbols: Vec<Symbol> = trader.engine.settings().symbols.clone();
    for symbol in symbols {
        assert!(rest.open_orders(symbol).await.unwrap().ours.is_empty(), "the exchange has none of {symbol}");
    }
    let Trader { requests, events, .. } = trader;
    drop((requests, events));
    gateway.ended().await;
    exchange.stop().await;
}

#[test]
fn the_venue_checks_every_order_and_has_none() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Another test of this process was first.
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(dry_run());
}
