//! When an engine is silent, and what is done about it at an exchange that does what the real one does.

use super::*;
use crate::domain::{Bps, ListLegs, NewOrder, NewOrderList, OrderKind, Price, Qty, TimeInForce};
use crate::venue::binance::{ListOf, monotonic_clock};
use crate::venue::exchange::{ExchangeServer, Running};

const RUN: RunId = RunId(0xd06);
const EARLIER: RunId = RunId(0xa11);
const QUICK: Patience = Patience {
    look_every: Duration::from_millis(20),
    silent_after: Duration::from_millis(200),
    ask_every: Duration::from_millis(100),
    settled_after: Duration::from_millis(300),
    give_up_after: Duration::from_secs(60),
};

#[test]
fn silence_takes_its_time_and_a_beat_ends_it() {
    let (patience, second) = (Patience::default(), Duration::from_secs(1));
    let mut silence = Silence::default();
    assert!(!silence.look(7, second, &patience), "a first beat");
    for look in 1..10 {
        assert!(!silence.look(7, second, &patience), "{look} s");
    }
    assert!(silence.look(7, second, &patience) && silence.look(7, second, &patience));
    assert!(!silence.look(8, second, &patience));
    assert!(!silence.look(8, second, &patience), "it begins anew");
}

#[test]
fn a_computer_that_slept_accuses_nobody() {
    let (patience, hours) = (Patience::default(), Duration::from_secs(30_000));
    let mut silence = Silence::default();
    assert!(!silence.look(7, Duration::from_secs(1), &patience));
    assert!(!silence.look(7, hours, &patience), "the first look after it");
    assert!(!silence.look(7, Duration::from_secs(1), &patience), "nor the second");
    assert!(!silence.look(9, Duration::from_secs(1), &patience));
    let silent = (1..).find(|_| silence.look(9, hours, &patience)).unwrap();
    assert_eq!(silent, 5, "a look counts for two seconds at most");
}

#[test]
fn one_look_is_never_enough() {
    let hasty = Patience { silent_after: Duration::from_millis(1), ..Patience::default() };
    let mut silence = Silence::default();
    assert!(!silence.look(0, Duration::from_secs(60), &hasty), "it has not begun to beat, and only one look was taken");
    assert!(silence.look(0, Duration::from_secs(60), &hasty));
}

#[test]
fn the_pauses_grow_with_trouble_only() {
    let (patience, mut alarm) = (Patience::default(), Alarm::default());
    assert_eq!([Found::Nothing, Found::Entries].map(|found| alarm.pause(found, &patience).as_secs()), [10, 1]);
    let mut paused = Vec::new();
    for failures in 1..6 {
        alarm.failures = failures;
        paused.push(alarm.pause(Found::Trouble, &patience).as_secs());
    }
    assert_eq!(paused, [2, 4, 8, 10, 10]);
}

/// An exchange at which a holding is guarded, and entries of three kinds rest.
struct Site {
    exchange: Running,
    client: RestClient,
    symbol: Symbol,
    entry: ClientOrderId,
    /// Everything that must stay.
    kept: BTreeSet<ClientOrderId>,
}

const fn id(run: RunId, sequence: u64) -> ClientOrderId {
    ClientOrderId { run, sequence }
}

impl Site {
    async fn open() -> Self {
        let origin = Timestamp::from_millis(monotonic_clock()().millis() - 86_400_000);
        let exchange = ExchangeServer::start_synthetic(7, origin).await.unwrap();
        let credentials = Credentials::new(&exchange.api_key, &exchange.api_secret);
        let client = RestClient::new(Endpoint::from_rest_url(&exchange.rest).unwrap(), Some(credentials), monotonic_clock()).unwrap();
        client.sample_clock().await.unwrap();
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let (entry, kept) = (id(RUN, 1), BTreeSet::from([id(EARLIER, 1), id(RUN, 9), id(RUN, 21), id(RUN, 22)]));
        let site = Self { exchange, client, symbol, entry, kept };
        site.hold_and_guard().await;
        site.enter(RUN, 1).await;
        site.enter(EARLIER, 1).await;
        assert_eq!(site.resting().await, site.with_entry());
        site
    }

    fn with_entry(&self) -> BTreeSet<ClientOrderId> {
        self.kept.iter().copied().chain([self.entry]).collect()
    }

    async fn price(&self, percent: i64) -> Price {
        let quotes = self.client.book_ticker(&[self.symbol]).await.unwrap();
        let whole = quotes[0].1.bid.price.shifted(Bps::from_bps((percent - 100) * 100));
        whole.to_string().split('.').next().unwrap().parse().unwrap()
    }

    fn order(&self, run: RunId, sequence: u64, side: Side, kind: OrderKind) -> NewOrder {
        let qty: Qty = if side == Side::Buy { "0.002" } else { "0.001" }.parse().unwrap();
        NewOrder { id: id(run, sequence), symbol: self.symbol, side, qty, kind }
    }

    /// Buys, rests a sale of one half, and puts target and stop around the other.
    async fn hold_and_guard(&self) {
        let price = self.price(101).await;
        let buy = self.order(RUN, 8, Side::Buy, OrderKind::Limit { price, time_in_force: TimeInForce::Ioc });
        self.client.place(&NewOrder { qty: "0.004".parse().unwrap(), ..buy }, false).await.unwrap();
        let price = self.price(120).await;
        self.client.place(&self.order(RUN, 9, Side::Sell, OrderKind::LimitMaker { price }), false).await.unwrap();
        let above = self.order(RUN, 21, Side::Sell, OrderKind::LimitMaker { price });
        let below = self.order(RUN, 22, Side::Sell, OrderKind::StopLoss { stop: self.price(80).await });
        let list = NewOrderList { id: id(RUN, 20), legs: ListLegs::Oco { above, below } };
        self.client.place_list(&list, false).await.unwrap();
    }

    /// An entry with the guard behind it, far from the market.
    async fn enter(&self, run: RunId, sequence: u64) {
        let working = self.order(run, sequence, Side::Buy, OrderKind::LimitMaker { price: self.price(90).await });
        let above = self.order(run, sequence + 2, Side::Sell, OrderKind::LimitMaker { price: self.price(115).await });
        let below = self.order(run, sequence + 3, Side::Sell, OrderKind::StopLoss { stop: self.price(70).await });
        let list = NewOrderList { id: id(run, sequence + 1), legs: ListLegs::Otoco { working, above, below } };
        self.client.place_list(&list, true).await.unwrap();
    }

    /// What is in the market; the legs that wait for their entry are not there yet.
    async fn resting(&self) -> BTreeSet<ClientOrderId> {
        let open = self.client.open_orders(self.symbol).await.unwrap().ours;
        let waits = |id: ClientOrderId| [3, 4].contains(&id.sequence);
        open.into_iter().map(|order| order.id).filter(|id| !waits(*id)).collect()
    }

    async fn until(&self, wanted: &BTreeSet<ClientOrderId>) {
        let begun = Instant::now();
        while self.resting().await != *wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.resting().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn watched(&self, carried: BTreeSet<ClientOrderId>, patience: Patience) -> Watchdog {
        let guarded = Guarded {
            run: RUN,
            carried,
            symbols: vec![self.symbol, "ETHUSDT".parse().unwrap()],
            endpoint: Endpoint::from_rest_url(&self.exchange.rest).unwrap(),
            credentials: Credentials::new(&self.exchange.api_key, &self.exchange.api_secret),
            bans: self.client.bans(),
        };
        Watchdog::start(guarded, patience).unwrap()
    }
}

fn on_a_runtime<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test())
}

#[test]
fn a_silent_engine_loses_its_entries_and_nothing_else() {
    on_a_runtime(|| async {
        let site = Site::open().await;
        let dog = site.watched(BTreeSet::new(), Patience { silent_after: Duration::from_secs(2), ..QUICK });
        let heart = dog.heart();
        for _ in 0..250 {
            heart.beat();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(site.resting().await, site.with_entry(), "it beat all the time");
        site.until(&site.kept).await;
        let list = site.client.query_list(ListOf::Ours(id(RUN, 2))).await.unwrap();
        assert_eq!(list.state.status, crate::domain::ListStatus::AllDone, "the legs behind the entry went with it");
        // Silent as it is, what arrives late goes too.
        site.enter(RUN, 31).await;
        let late = site.resting().await;
        assert!(late.is_superset(&site.kept));
        let begun = Instant::now();
        while site.resting().await.contains(&id(RUN, 31)) {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(dog);
        site.exchange.stop().await;
    });
}

#[test]
fn an_engine_that_dies_leaves_no_entry_behind_and_the_end_waits_for_it() {
    on_a_runtime(|| async {
        let site = Site::open().await;
        let dog = site.watched(BTreeSet::from([id(EARLIER, 1)]), QUICK);
        let died = std::thread::spawn(move || {
            let _dog = dog;
            std::panic::panic_any("the engine's thread dies");
        });
        tokio::task::spawn_blocking(move || died.join().unwrap_err()).await.unwrap();
        let mut kept = site.kept.clone();
        assert!(kept.remove(&id(EARLIER, 1)), "what it took over is its own");
        assert_eq!(site.resting().await, kept);
        site.exchange.stop().await;
    });
}

#[test]
fn an_orderly_end_touches_nothing() {
    on_a_runtime(|| async {
        let site = Site::open().await;
        drop(site.watched(BTreeSet::new(), QUICK));
        tokio::time::sleep(QUICK.silent_after * 2).await;
        assert_eq!(site.resting().await, site.with_entry());
        site.exchange.stop().await;
    });
}

#[test]
fn a_venue_that_does_not_answer_is_asked_again() {
    on_a_runtime(|| async {
        let site = Site::open().await;
        let refuse = r#"{"fault":{"error_before":{"status":503}},"on":"rest","method":"DELETE","times":9}"#;
        site.exchange.inject(serde_json::from_str(refuse).unwrap()).unwrap();
        let dog = site.watched(BTreeSet::new(), QUICK);
        site.until(&site.kept).await;
        drop(dog);
        site.exchange.stop().await;
    });
}

#[test]
fn only_entries_of_this_run_go_and_only_whole_ones() {
    let guarded = Guarded {
        run: RUN,
        carried: BTreeSet::from([id(EARLIER, 5)]),
        symbols: Vec::new(),
        endpoint: Endpoint::binance(),
        credentials: Credentials::new("key", "secret"),
        bans: watch::channel(None).1,
    };
    let order = |id, side, filled| VenueOrder {
        id,
        order_id: crate::domain::OrderId(1),
        symbol: "BTCUSDT".parse().unwrap(),
        side,
        status: crate::domain::OrderStatus::Open,
        qty: "1".parse().unwrap(),
        filled,
        at: Timestamp::EPOCH,
    };
    let (none, some) = (Qty::ZERO, Qty::from_raw(1));
    for (id, side, filled, kind) in [
        (id(RUN, 1), Side::Buy, none, Kind::Entry),
        (id(RUN, 1), Side::Buy, some, Kind::BegunEntry),
        (id(RUN, 1), Side::Sell, none, Kind::Other),
        (id(RUN, 1), Side::Sell, some, Kind::Other),
        (id(EARLIER, 5), Side::Buy, none, Kind::Entry),
        (id(EARLIER, 5), Side::Sell, none, Kind::Other),
        (id(EARLIER, 6), Side::Buy, none, Kind::Other),
    ] {
        assert_eq!(guarded.kind(&order(id, side, filled)), kind, "{id:?} {side:?}");
    }
}
