//! Whole downloads against the scripted server.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::domain::{Candle, Interval, Symbol, Timestamp};
use crate::protocol::{GapState, Mode, Testimony};
use crate::store::{FileKind, Identity, Scope};
use crate::venue::history::tests::{MINUTE_MS, START_MS, Server, kline, line, zipped};

struct Bench {
    server: Server,
    sources: Sources,
    store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(minutes: impl IntoIterator<Item = i64>) -> Self {
        let server = Server::start(minutes).await;
        Self::over(server.clone(), server.sources())
    }

    fn over(server: Server, sources: Sources) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scope = Scope { mode: Mode::Backtest, venue: String::new(), account: String::new() };
        let store = Store::open(&dir.path().join("x.redb"), &Identity { kind: FileKind::Real, scope }).unwrap();
        Self { server, sources, store, _dir: dir }
    }

    async fn download(&self) -> Download<'_> {
        Download::new(&self.sources, Shelf { store: &self.store, writer: None }, 3, Duration::from_millis(1)).await
    }

    async fn fetch(&self, from: i64, until: i64, chain: &[CandleSource]) -> Result<Fetched, HistoryFault> {
        let stop = AtomicBool::new(false);
        self.download().await.run(&ask(from, until, chain), &mut Follow { progress: &mut |_, _, _| {}, stop: &stop }).await
    }

    fn minutes(&self) -> Vec<i64> {
        self.candles().iter().map(|c| (c.open_time.millis() - START_MS) / MINUTE_MS).collect()
    }

    fn candles(&self) -> Vec<Candle> {
        self.store.candles(btc(), Interval::MINUTE, Timestamp::EPOCH, Timestamp::MAX).unwrap()
    }

    fn spans(&self) -> Vec<(i64, i64, CandleSource)> {
        let minute = |at: Timestamp| (at.millis() - START_MS) / MINUTE_MS;
        let spans = self.store.history_spans(btc(), Interval::MINUTE).unwrap();
        spans.iter().map(|s| (minute(s.start), minute(s.end), s.source)).collect()
    }
}

fn btc() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + minute * MINUTE_MS)
}

fn ask(from: i64, until: i64, chain: &[CandleSource]) -> Ask {
    Ask { symbol: btc(), interval: Interval::MINUTE, since: at(from), until: at(until), chain: chain.to_vec() }
}

fn day_of(minutes: std::ops::Range<i64>) -> Vec<u8> {
    zipped("a.csv", &minutes.map(|m| line(START_MS + m * MINUTE_MS, false)).collect::<String>())
}

const DAY_FILE: &str = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip";

#[tokio::test]
async fn ten_cut_connections_cost_no_candle_and_double_none() {
    let bench = Bench::new(0..25_000).await;
    bench.server.script().cuts = BTreeSet::from([2, 8, 9, 11, 14, 19, 20, 21, 27, 33]);
    let fetched = bench.fetch(0, 25_000, &CHAIN).await.unwrap();
    assert_eq!((fetched.new_rows, fetched.missing.len(), fetched.bad.len()), (25_000, 0, 0));
    assert_eq!(bench.minutes(), (0..25_000).collect::<Vec<i64>>());
    assert!(bench.server.script().asked.len() > 35);
}

#[tokio::test]
async fn what_is_stored_is_not_asked_for_again() {
    let bench = Bench::new(0..5_500).await;
    let stop = AtomicBool::new(false);
    let download = bench.download().await;
    let mut stop_at = |_: u64, _: u64, rows: u64| stop.store(rows >= 3_000, Ordering::Relaxed);
    let fault = download.run(&ask(0, 5_500, &CHAIN), &mut Follow { progress: &mut stop_at, stop: &stop }).await.unwrap_err();
    assert!(matches!(fault, HistoryFault::Stopped), "{fault:?}");
    let kept = bench.minutes().len();
    assert!((3_000..5_000).contains(&kept), "stopped at a page's end, with the pages before kept: {kept}");
    bench.server.script().asked.clear();
    let fetched = bench.fetch(0, 5_500, &CHAIN).await.unwrap();
    assert_eq!(fetched.new_rows as usize, 5_500 - kept);
    assert_eq!(bench.minutes(), (0..5_500).collect::<Vec<i64>>());
    let asked = |bench: &Bench| bench.server.script().asked.iter().filter(|path| path.contains("klines")).count();
    assert!(asked(&bench) <= 3, "{:?}", bench.server.script().asked);
    bench.server.script().asked.clear();
    assert_eq!(bench.fetch(0, 5_500, &CHAIN).await.unwrap().new_rows, 0);
    assert_eq!(asked(&bench), 0);
}

#[tokio::test]
async fn before_its_listing_a_market_is_asked_for_once() {
    let bench = Bench::new(2_000..2_500).await;
    bench.fetch(-500_000, 2_500, &CHAIN).await.unwrap();
    let asked = bench.server.script().asked.clone();
    let klines: Vec<&String> = asked.iter().filter(|path| path.contains("klines")).collect();
    assert!(klines[0].contains("startTime=0&") && klines[0].contains("limit=1"), "{klines:?}");
    assert_eq!(klines.len(), 2);
    assert_eq!(bench.minutes().len(), 500);
}

#[tokio::test]
async fn the_forming_candle_is_left_to_the_next_time() {
    let bench = Bench::new(0..100).await;
    bench.server.script().now_ms = START_MS + 99 * MINUTE_MS + 58_000;
    bench.fetch(0, 200, &CHAIN).await.unwrap();
    assert_eq!(bench.minutes().len(), 99);
    bench.server.script().now_ms = START_MS + 100 * MINUTE_MS + 5_000;
    assert_eq!(bench.fetch(0, 200, &CHAIN).await.unwrap().new_rows, 1);
}

#[tokio::test]
async fn open_times_off_the_grid_are_kept_and_counted() {
    let bench = Bench::new(0..100).await;
    {
        // As in February 2018: shifted for a while, then back with a short step.
        let mut script = bench.server.script();
        for minute in 1_200..2_300 {
            let open_ms = START_MS + minute * MINUTE_MS + 14_789;
            script.rows.insert(open_ms, kline(open_ms));
        }
        for minute in 2_300..2_600 {
            script.rows.insert(START_MS + minute * MINUTE_MS, kline(START_MS + minute * MINUTE_MS));
        }
    }
    let fetched = bench.fetch(0, 2_600, &CHAIN).await.unwrap();
    assert_eq!((fetched.new_rows, fetched.off_grid, fetched.missing.len()), (1_500, 1_100, 0));
    let stored = Stored::of(&bench.store, btc(), Interval::MINUTE, (at(0), at(2_600))).unwrap();
    assert_eq!((stored.off_grid, stored.gaps.len(), stored.gaps[0].missing), (1_100, 1, 1_100));
}

#[tokio::test]
async fn sources_stand_in_for_each_other_in_their_order() {
    let server = Server::start(0..1_440).await;
    let other = Server::start(0..1_440).await;
    other.put_file(DAY_FILE, day_of(0..1_440));
    {
        let mut script = other.script();
        script.coinbase = (0..2_000).map(|m| (at(m).millis() / 1_000, format!("[{},9,12,10,11,3]", at(m).millis() / 1_000))).collect();
        script.kraken = "{\"error\":[\"EService:Unavailable\"]}".to_owned();
    }
    let address = |url: &str| Some(url.to_owned());
    let addresses =
        Addresses { mirror: address(&other.url), archive: address(&other.url), kraken: address(&other.url), coinbase: address(&other.url) };
    let sources = Sources::new(server.client(), &addresses, monotonic_clock()).unwrap();
    let bench = Bench::over(server, sources);
    bench.server.script().status.insert("/api/v3", 503);
    let fetched = bench.fetch(0, 100, &CHAIN).await.unwrap();
    assert_eq!((fetched.used.clone(), fetched.troubles[0].source), (BTreeSet::from([CandleSource::Mirror]), CandleSource::Rest));
    // The mirror forbids this network: the archive has whole days, and what it has not comes from another exchange.
    other.script().status.insert("/api/v3", 451);
    let fetched = bench.fetch(0, 1_500, &CHAIN).await.unwrap();
    assert_eq!(fetched.used, BTreeSet::from([CandleSource::Archive, CandleSource::Coinbase]));
    assert_eq!(fetched.missing, []);
    let told: Vec<CandleSource> = fetched.troubles.iter().map(|t| t.source).collect();
    assert_eq!(told, [CandleSource::Rest, CandleSource::Mirror, CandleSource::Kraken]);
    let whose = [(0, 100, CandleSource::Mirror), (100, 1_440, CandleSource::Archive), (1_440, 1_500, CandleSource::Coinbase)];
    assert_eq!(bench.spans(), whose);
    // The venue answers again, with a hole: its own word replaces the other exchange's.
    bench.server.script().status.clear();
    bench.server.script().rows.extend((1_440..1_490).map(|m| (START_MS + m * MINUTE_MS, kline(START_MS + m * MINUTE_MS))));
    let fetched = bench.fetch(0, 1_500, &CHAIN).await.unwrap();
    assert_eq!((fetched.new_rows, bench.minutes().len()), (50, 1_490));
    assert_eq!(bench.spans()[2], (1_440, 1_500, CandleSource::Rest));
}

#[tokio::test]
async fn a_long_ban_is_not_slept_through_but_leads_to_the_archive() {
    let bench = Bench::new(0..1_440).await;
    bench.server.put_file(DAY_FILE, day_of(0..1_440));
    bench.server.script().status.insert("/api/v3", 418);
    let fetched = bench.fetch(0, 1_500, &CHAIN).await.unwrap();
    assert_eq!((fetched.new_rows, fetched.used.clone()), (1_440, BTreeSet::from([CandleSource::Archive])));
    let [trouble] = fetched.troubles.as_slice() else { panic!("{:?}", fetched.troubles) };
    assert!(trouble.source == CandleSource::Rest && trouble.cause.contains("held back for 2591"), "{trouble:?}");
    assert_eq!(bench.server.script().asked.iter().filter(|path| path.starts_with("/api")).count(), 1, "nothing is sent during a ban");
}

#[tokio::test]
async fn a_market_the_venue_does_not_know_is_not_sought_elsewhere() {
    let bench = Bench::new(0..10).await;
    let stop = AtomicBool::new(false);
    let unknown = Ask { symbol: "NOPEUSDT".parse().unwrap(), ..ask(0, 10, &CHAIN) };
    let fault = bench.download().await.run(&unknown, &mut Follow { progress: &mut |_, _, _| {}, stop: &stop }).await.unwrap_err();
    let HistoryFault::Source { source: CandleSource::Rest, error } = fault else { panic!("{fault:?}") };
    assert!(error.next_step().contains("check the name"));
    assert!(!bench.server.script().asked.iter().any(|path| path.starts_with("/data")));
}

#[tokio::test]
async fn a_gap_is_absent_when_two_records_of_the_venue_say_so() {
    let bench = Bench::new((0..3_000).filter(|m| !(500..560).contains(m) && !(700..705).contains(m))).await;
    // The archive has the second hole, and not the first.
    bench.server.put_file(
        DAY_FILE,
        zipped("a.csv", &(0..1_440).filter(|m| !(500..560).contains(m)).map(|m| line(START_MS + m * MINUTE_MS, true)).collect::<String>()),
    );
    bench.fetch(0, 3_000, &[CandleSource::Rest]).await.unwrap();
    let find = |records: &[crate::protocol::GapRecord]| {
        let stored = Stored::of(&bench.store, btc(), Interval::MINUTE, (at(0), at(3_000))).unwrap();
        let spans = bench.store.history_spans(btc(), Interval::MINUTE).unwrap();
        reconciled((btc(), Interval::MINUTE), records, &stored.gaps, &spans, clock::now())
    };
    let mut records = find(&[]);
    assert_eq!(records.iter().map(|r| r.gap.missing).collect::<Vec<_>>(), [60, 5]);
    let download = bench.download().await;
    let mut fetched = Fetched::default();
    for record in &mut records {
        repair(&download, record, None, &mut fetched).await.unwrap();
    }
    assert!(matches!(records[0].state, GapState::ProvenAbsent { .. }), "{:?}", records[0]);
    let said: Vec<(CandleSource, Testimony)> = records[0].witnesses.iter().map(|w| (w.source, w.answer.clone())).collect();
    assert_eq!(said, [(CandleSource::Rest, Testimony::Absent), (CandleSource::Archive, Testimony::Absent)]);
    let records = find(&records);
    let states: Vec<&str> = records.iter().map(|r| r.state.name()).collect();
    assert_eq!((states, fetched.new_rows), (vec!["proven_absent", "repaired"], 5));
    assert!(matches!(records[1].state, GapState::Repaired { source: Some(CandleSource::Archive), .. }));
}

#[tokio::test]
async fn candles_come_from_the_archives_trades() {
    let bench = Bench::new([]).await;
    let trades: String = (0..1_440).map(|m| format!("{m},100.5,2,1,1,{},True,True\n", START_MS + m * MINUTE_MS + 5)).collect();
    bench.server.put_file("/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-01.zip", zipped("t.csv", &trades));
    let fetched = bench.fetch(0, 1_440, &[CandleSource::Trades]).await.unwrap();
    assert_eq!((fetched.new_rows, fetched.missing.len()), (1_440, 0));
    assert_eq!(bench.spans(), [(0, 1_440, CandleSource::Trades)]);
}
