//! How long an order intent takes to the disk (from its ticket to the end of `wait`) while 10,000,000 candles are imported through the same
//! writer, and how long without. `HURACAN_ROWS` sets another number of candles.
//!
//! The import comes in three forms: pages as a download and `data import` keep them, months of minutes, and days of seconds, whose days are
//! the largest rows that the file knows.

#[path = "times/mod.rs"]
mod times;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use huracan::domain::{
    Candle, ClientOrderId, Interval, Level, MarketData, MarketUpdate, NewOrder, OrderKind, Price, Qty, Quote, RunId, Side, Symbol,
    Timestamp,
};
use huracan::protocol::{CandleSource, Effect, Event, HistoryPage, HistorySpan, Mode, OrderRecord, OrderState, Record, Request, Stamp};
use huracan::store::{Bulk, FileKind, Identity, JournalEntry, Scope, Store, Writer, WriterHandle};

use times::Times;

const IDLE_INTENTS: u64 = 2_000;
/// Between one intent's durability and the next intent.
const PAUSE: Duration = Duration::from_millis(2);
/// Hand-overs that an import has under way.
const UNDER_WAY: usize = 4;
const LONG: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
enum Form {
    Pages,
    Minutes,
    Seconds,
}

impl Form {
    fn interval(self) -> Interval {
        match self {
            Self::Pages | Self::Minutes => Interval::MINUTE,
            Self::Seconds => Interval::from_secs(1).expect("a second is an interval"),
        }
    }

    /// Candles of one hand-over.
    fn together(self) -> u64 {
        match self {
            Self::Pages => 10_000,
            Self::Minutes => 43_200,
            Self::Seconds => 4 * 86_400,
        }
    }

    fn bulk(self, symbol: Symbol, candles: Vec<Candle>) -> Bulk {
        let interval = self.interval();
        match self {
            Self::Minutes | Self::Seconds => Bulk::Candles { symbol, interval, candles },
            Self::Pages => {
                let end = candles[candles.len() - 1].open_time + interval.span();
                let span =
                    HistorySpan { start: candles[0].open_time, end, source: CandleSource::Import, place: "bench.csv".to_owned(), at: end };
                Bulk::History(Box::new(HistoryPage { symbol, interval, candles, span, replace: false }))
            }
        }
    }
}

fn symbol(name: &str) -> Symbol {
    name.parse().expect("a symbol")
}

/// A candle like a real market's: a price that wanders in ticks of a cent, volumes in the venue's steps.
fn candle(interval: Interval, number: u64) -> Candle {
    let scatter = |salt: u64, range: u64| {
        (number.wrapping_add(salt).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % range
    };
    let price = |cents: u64| Price::from_raw((6_000_000 + cents as i64) * 1_000_000);
    let (open, close) = (price(scatter(0, 40_000)), price(scatter(1, 40_000)));
    Candle {
        open_time: Timestamp::from_millis(1_577_836_800_000) + interval.span().times(number as i64),
        open,
        close,
        high: open.max(close) + price(scatter(2, 900)) - price(0),
        low: open.min(close) - (price(scatter(3, 900)) - price(0)),
        volume: Qty::from_raw(i128::from(scatter(4, 9_000_000)) * 1_000),
        taker_buy_volume: Some(Qty::from_raw(i128::from(scatter(5, 4_000_000)) * 1_000)),
        trades: scatter(6, 3_000) as u32,
    }
}

/// An order intent as the run hands it over: the event that caused it, the order to be sent, and its record.
fn intent(seq: u64) -> (Vec<JournalEntry>, Vec<Record>) {
    let at = Timestamp::from_millis(1_767_225_600_000 + seq as i64);
    let symbol = symbol("BTCUSDT");
    let level = |cents: i64| Level { price: Price::from_raw(cents * 1_000_000), qty: Qty::from_raw(2_000_000) };
    let quote = MarketData::Quote(Quote { update_id: 49_000_000_000 + seq, bid: level(6_183_763), ask: level(6_183_764) });
    let kind = OrderKind::LimitMaker { price: level(6_183_763).price };
    let order =
        NewOrder { id: ClientOrderId { run: RunId(1), sequence: seq }, symbol, side: Side::Buy, qty: Qty::from_raw(2_000_000), kind };
    let record = OrderRecord {
        order,
        order_id: None,
        state: OrderState::Submitted,
        filled: Qty::ZERO,
        created: at,
        updated: at,
        arrival_mid: level(6_183_763).price,
    };
    let record = Record::Order(record);
    let effects = vec![Effect::Persist(Box::new(record.clone())), Effect::Send(Request::Place { order, opening: true })];
    let event = Event::Market(MarketUpdate { symbol, exchange_time: None, local_time: at, data: quote });
    (vec![JournalEntry { stamp: Stamp { seq, at }, event, effects }], vec![record])
}

/// Intents one after the other until `enough`.
fn intents(writer: &WriterHandle, enough: impl Fn(u64) -> bool, seq: &mut u64) -> Times {
    let mut times = Times::new();
    while !enough(times.len()) {
        let (entries, records) = intent(*seq);
        *seq += 1;
        let begun = Instant::now();
        let ticket = writer.append(entries, records, true).expect("the writer takes an intent");
        assert!(writer.wait(ticket, LONG), "an intent reaches the disk");
        times.add(begun.elapsed());
        std::thread::sleep(PAUSE);
    }
    times
}

/// Hands over `rows` candles of one market, a few pieces ahead of the disk.
fn import(writer: &WriterHandle, form: Form, rows: u64) {
    let mut under_way = VecDeque::new();
    let name = symbol(&format!("{}USDT", format!("{form:?}").to_uppercase()));
    let mut next = 0;
    while next < rows {
        let until = (next + form.together()).min(rows);
        let candles = (next..until).map(|number| candle(form.interval(), number)).collect();
        next = until;
        under_way.push_back(writer.bulk(form.bulk(name, candles)).expect("the writer takes bulk"));
        if under_way.len() > UNDER_WAY
            && let Some(ticket) = under_way.pop_front()
        {
            assert!(writer.wait(ticket, LONG), "bulk reaches the disk");
        }
    }
    for ticket in under_way {
        assert!(writer.wait(ticket, LONG), "bulk reaches the disk");
    }
}

fn main() {
    let mut out = std::io::stdout();
    let rows = std::env::var("HURACAN_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    let dir = tempfile::tempdir().expect("a directory for the data file");
    let scope = Scope { mode: Mode::Paper, venue: "bench".to_owned(), account: "bench".to_owned() };
    let store = Store::open(&dir.path().join("bench.redb"), &Identity { kind: FileKind::Real, scope }).expect("a data file");
    let writer = Writer::start(store, RunId(1), |_| {}).expect("the writer starts");
    let handle = writer.handle();
    let mut seq = 0;
    intents(&handle, |done| done >= 100, &mut seq);
    intents(&handle, |done| done >= IDLE_INTENTS, &mut seq).tell(&mut out, "idle");
    for form in [Form::Pages, Form::Minutes, Form::Seconds] {
        let done = AtomicBool::new(false);
        let begun = Instant::now();
        let times = std::thread::scope(|scope| {
            let (done, handle) = (&done, &handle);
            scope.spawn(move || {
                import(handle, form, rows);
                done.store(true, Ordering::Relaxed);
            });
            intents(handle, |_| done.load(Ordering::Relaxed), &mut seq)
        });
        times.tell(&mut out, &format!("import as {form:?}").to_lowercase());
        writeln!(out, "    {rows} candles in {:.1} s", begun.elapsed().as_secs_f64()).expect("standard output");
    }
    writer.stop().expect("the writer ends");
}
