//! From a frame's bytes to an applied update of the order book: reading alone, applying alone, and both.
//!
//! The frames are the synthetic market's; `HURACAN_BENCH_CAPTURE=FILE` takes those of a capture instead (plain or gzip).
//! `tests/bench/book.sh` runs the same beside other people's books.

use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use huracan::domain::{MarketData, MarketUpdate, Span, Symbol, Timestamp};
use huracan::market::OrderBook;
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::venue::capture::{CaptureReader, read_update};
use huracan::venue::write_line;

/// A minute of one market, its snapshot first.
fn synthetic() -> Vec<MarketUpdate> {
    let mut flow = Flow::new(FlowConfig::usual(7, Timestamp::from_millis(1_704_067_200_000)));
    let symbol = flow.config().symbols[0].instrument.symbol;
    let from = flow.origin() + Span::from_secs(3_600);
    let snapshot = flow.snapshot(symbol, from).expect("the market has begun");
    let mut updates = vec![MarketUpdate { symbol, exchange_time: None, local_time: from, data: MarketData::Snapshot(snapshot) }];
    updates.extend(flow.updates(&[symbol], from + Span::from_nanos(1), from + Span::from_secs(60)));
    updates
}

fn recorded(path: &Path) -> Vec<MarketUpdate> {
    CaptureReader::open(path).expect("the capture opens").filter_map(Result::ok).collect()
}

/// The message of an update, as the venue sends it.
fn frame(update: &MarketUpdate) -> String {
    let mut line = Vec::new();
    write_line(&mut line, update).expect("memory takes it");
    let line = String::from_utf8(line).expect("JSON is text");
    line.trim_end().split_once(' ').expect("a time and a message").1.to_owned()
}

fn book(c: &mut Criterion) {
    let updates = std::env::var_os("HURACAN_BENCH_CAPTURE").map_or_else(synthetic, |path| recorded(Path::new(&path)));
    let depth = |update: &&MarketUpdate| matches!(update.data, MarketData::Snapshot(_) | MarketData::Depth(_));
    let depths: Vec<MarketUpdate> = updates.iter().filter(depth).cloned().collect();
    let symbol: Symbol = updates[0].symbol;
    for (name, updates) in [("depth", &depths), ("all messages", &updates)] {
        let frames: Vec<String> = updates.iter().map(frame).collect();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(frames.len() as u64));
        let read = |frame: &String| read_update(frame, Some(symbol), Timestamp::EPOCH).expect("a message");
        group.bench_function("read", |b| b.iter(|| frames.iter().filter_map(read).count()));
        group.bench_function("apply", |b| {
            b.iter_batched_ref(OrderBook::new, |book| updates.iter().for_each(|update| _ = book.apply(update)), BatchSize::LargeInput);
        });
        group.bench_function("read and apply", |b| {
            b.iter_batched_ref(
                OrderBook::new,
                |book| frames.iter().filter_map(read).for_each(|update| _ = book.apply(&update)),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, book);
criterion_main!(benches);
