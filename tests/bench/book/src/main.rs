//! Frame bytes to applied book update: ours beside public Rust order books, in one process on the same frames.
//!
//! Each contender reads the frame with its own types where it has a reader (ours, barter), otherwise with serde_json into numbers of its own
//! without copying text, and applies every level. After each pass its best ten levels a side must be ours. Rounds take turns; the
//! median and the best of them are told.

use std::io::{BufRead, BufReader, Read};
use std::time::Instant;

use barter_data::books::{Level as BarterLevel, OrderBook as BarterBook};
use barter_data::exchange::binance::spot::l2::BinanceSpotOrderBookL2Update;
use barter_data::subscription::book::OrderBookEvent;
use hftbacktest::depth::{BTreeMarketDepth, HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth};
use huracan::domain::{MarketData, MarketUpdate, Span, Symbol, Timestamp};
use huracan::market::OrderBook;
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::venue::capture::read_update;
use huracan::venue::write_line;
use nautilus_model::data::order::BookOrder;
use nautilus_model::enums::{BookType, OrderSide};
use nautilus_model::identifiers::InstrumentId;
use nautilus_model::orderbook::OrderBook as NautilusBook;
use nautilus_model::types::{Price, Quantity};
use serde::de::{Deserializer, Error, Visitor};
use serde::Deserialize;

const ROUNDS: usize = 41;
const TOP: usize = 10;
const TICK: f64 = 0.01;
const LOT: f64 = 0.00001;

#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

/// A number written as text, read in place.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct InPlace;
        impl Visitor<'_> for InPlace {
            type Value = Number;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number in quotes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(E::custom)
            }
        }
        input.deserialize_str(InPlace)
    }
}

/// A diff or a snapshot in floats.
#[derive(Deserialize)]
struct Floats {
    #[serde(alias = "bids")]
    b: Vec<(Number, Number)>,
    #[serde(alias = "asks")]
    a: Vec<(Number, Number)>,
}

/// The same with the text as it stands.
#[derive(Deserialize)]
struct Texts<'a> {
    #[serde(borrow, alias = "bids")]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow, alias = "asks")]
    a: Vec<(&'a str, &'a str)>,
    #[serde(default, alias = "lastUpdateId")]
    u: u64,
}

fn read<'a, T: Deserialize<'a>>(frame: &'a str) -> T {
    if frame.starts_with("{\"stream\"") {
        serde_json::from_str::<Wrapped<T>>(frame).expect("a diff").data
    } else {
        serde_json::from_str(frame).expect("a snapshot")
    }
}

/// Best levels a side, best first, as floats.
type Top = [Vec<(f64, f64)>; 2];

fn ours(frames: &[String], symbol: Symbol) -> Top {
    let mut book = OrderBook::new();
    for frame in frames {
        if let Ok(Some(update)) = read_update(frame, Some(symbol), Timestamp::EPOCH) {
            book.apply(&update);
        }
    }
    let side = |levels: Vec<huracan::domain::Level>| levels.iter().map(|l| (l.price.to_f64(), l.qty.to_f64())).collect();
    [side(book.bids(TOP)), side(book.asks(TOP))]
}

fn hft<D: L2MarketDepth + MarketDepth>(frames: &[String], mut depth: D) -> Top {
    for frame in frames {
        let diff: Floats = read(frame);
        for (price, qty) in &diff.b {
            depth.update_bid_depth(price.0, qty.0, 0);
        }
        for (price, qty) in &diff.a {
            depth.update_ask_depth(price.0, qty.0, 0);
        }
    }
    let walk = |from: i64, step: i64, qty: &dyn Fn(i64) -> f64| -> Vec<(f64, f64)> {
        (0..200_000).map(|n| from + step * n).filter(|t| qty(*t) > 0.0).take(TOP).map(|t| (t as f64 * TICK, qty(t))).collect()
    };
    [
        walk(depth.best_bid_tick(), -1, &|t| depth.bid_qty_at_tick(t)),
        walk(depth.best_ask_tick(), 1, &|t| depth.ask_qty_at_tick(t)),
    ]
}

fn nautilus(frames: &[String]) -> Top {
    let mut book = NautilusBook::new(InstrumentId::from("BTCUSDT.BINANCE"), BookType::L2_MBP);
    for frame in frames {
        let diff: Texts = read(frame);
        for (side, levels) in [(OrderSide::Buy, &diff.b), (OrderSide::Sell, &diff.a)] {
            for (price, qty) in levels {
                let (price, qty): (Price, Quantity) = (price.parse().expect("a price"), qty.parse().expect("a quantity"));
                let gone = qty.is_zero();
                let order = BookOrder::new(side, price, qty, price.raw as u64);
                if gone {
                    book.delete(order, 0, diff.u, 0.into());
                } else {
                    book.update(order, 0, diff.u, 0.into());
                }
            }
        }
    }
    let level = |l: &nautilus_model::orderbook::BookLevel| (l.price.value.as_f64(), l.size());
    [book.bids(Some(TOP)).map(level).collect(), book.asks(Some(TOP)).map(level).collect()]
}

fn barter(frames: &[String]) -> Top {
    let mut book = BarterBook::default();
    for frame in frames {
        let event = if frame.starts_with("{\"stream\"") {
            let diff = serde_json::from_str::<Wrapped<BinanceSpotOrderBookL2Update>>(frame).expect("a diff").data;
            OrderBookEvent::Update(BarterBook::new(diff.last_update_id, None, diff.bids, diff.asks))
        } else {
            let snapshot: Texts = read(frame);
            let levels = |side: &[(&str, &str)]| -> Vec<BarterLevel> {
                side.iter().map(|(p, q)| BarterLevel { price: p.parse().expect("a price"), amount: q.parse().expect("a quantity") }).collect()
            };
            OrderBookEvent::Snapshot(BarterBook::new(snapshot.u, None, levels(&snapshot.b), levels(&snapshot.a)))
        };
        book.update(&event);
    }
    let float = |text: String| text.parse().expect("a decimal");
    let side = |levels: &[BarterLevel]| levels.iter().take(TOP).map(|l| (float(l.price.to_string()), float(l.amount.to_string()))).collect();
    [side(book.bids().levels()), side(book.asks().levels())]
}

fn frames() -> (String, Vec<String>) {
    if let Some(path) = std::env::args().nth(1) {
        let file = std::fs::File::open(&path).expect("the capture opens");
        let input: Box<dyn Read> =
            if path.ends_with(".gz") { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
        let wanted = |json: &str| json.contains("@depth") || json.starts_with("{\"lastUpdateId\"");
        let lines = BufReader::new(input).lines().map_while(Result::ok);
        let all: Vec<String> = lines.filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).filter(|json| wanted(json)).collect();
        // A capture begins with differences from before its snapshot: only those that follow it are the book's.
        let at = all.iter().position(|json| json.starts_with("{\"lastUpdateId\"")).expect("the capture has a snapshot");
        let last: u64 = read::<Texts>(&all[at]).u;
        let follows = |json: &&String| json.starts_with("{\"stream\"") && read::<Texts>(json).u > last;
        let mut kept = vec![all[at].clone()];
        kept.extend(all.iter().filter(follows).cloned());
        return (path, kept);
    }
    let mut flow = Flow::new(FlowConfig::usual(7, Timestamp::from_millis(1_704_067_200_000)));
    let symbol = flow.config().symbols[0].instrument.symbol;
    let from = flow.origin() + Span::from_secs(3_600);
    let data = MarketData::Snapshot(flow.snapshot(symbol, from).expect("the market has begun"));
    let mut updates = vec![MarketUpdate { symbol, exchange_time: None, local_time: from, data }];
    updates.extend(flow.updates(&[symbol], from + Span::from_nanos(1), from + Span::from_secs(346)));
    updates.retain(|u| matches!(u.data, MarketData::Snapshot(_) | MarketData::Depth(_)));
    let line = |update: &MarketUpdate| {
        let mut line = Vec::new();
        write_line(&mut line, update).expect("memory takes it");
        let line = String::from_utf8(line).expect("JSON is text");
        line.trim_end().split_once(' ').expect("a time and a message").1.to_owned()
    };
    ("the synthetic market".to_owned(), updates.iter().map(line).collect())
}

fn main() {
    let (source, frames) = frames();
    let symbol: Symbol = "BTCUSDT".parse().expect("a symbol");
    let levels: usize = frames.iter().map(|f| read::<Texts>(f)).map(|d| d.b.len() + d.a.len()).sum();
    let bytes: usize = frames.iter().map(String::len).sum();
    println!("{source}: {} frames, {levels} levels, {bytes} bytes, {ROUNDS} rounds", frames.len());
    let mid = read::<Floats>(&frames[0]).b[0].0.0;
    let (low, high) = (mid * 0.9, mid * 1.1);
    type Contender<'a> = (&'a str, Box<dyn Fn() -> Top + 'a>);
    let contenders: Vec<Contender> = vec![
        ("huracan", Box::new(|| ours(&frames, symbol))),
        ("hftbacktest HashMap", Box::new(|| hft(&frames, HashMapMarketDepth::new(TICK, LOT)))),
        ("hftbacktest BTree", Box::new(|| hft(&frames, BTreeMarketDepth::new(TICK, LOT)))),
        ("hftbacktest ROIVector", Box::new(|| hft(&frames, ROIVectorMarketDepth::new(TICK, LOT, low, high)))),
        ("nautilus-model", Box::new(|| nautilus(&frames))),
        ("barter-data", Box::new(|| barter(&frames))),
    ];
    let expected = contenders[0].1();
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..ROUNDS {
        for (place, (name, pass)) in contenders.iter().enumerate() {
            let begun = Instant::now();
            let top = pass();
            times[place].push(begun.elapsed().as_nanos() as f64 / frames.len() as f64);
            if round == 0 {
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1e-3);
                let same = |a: &[(f64, f64)], b: &[(f64, f64)]| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| near(x.0, y.0) && near(x.1, y.1));
                let agreed = top.iter().zip(&expected).all(|(a, b)| same(a, b));
                println!("  {name}: the best {TOP} levels {}", if agreed { "agree" } else { "DIFFER" });
            }
        }
    }
    for (place, (name, _)) in contenders.iter().enumerate() {
        times[place].sort_by(f64::total_cmp);
        let (best, median) = (times[place][0], times[place][ROUNDS / 2]);
        println!("{name:24} median {median:8.0} ns a frame, best {best:8.0}, {:6.1} ns a level", median * frames.len() as f64 / levels as f64);
    }
}

