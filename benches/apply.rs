//! The engine's own speed: one market event through `Engine::apply` (book, bars, features at bar closes, marks, fingerprint).

#[path = "opening/mod.rs"]
mod opening;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use huracan::domain::{MarketUpdate, Span, Symbol, Timestamp};
use huracan::engine::Engine;
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::protocol::{Event, Stamp};

fn updates(symbols: &[Symbol]) -> Vec<MarketUpdate> {
    let origin = Timestamp::from_millis(1_704_067_200_000);
    let mut flow = Flow::new(FlowConfig::usual(7, origin));
    let from = origin + Span::from_secs(3_600);
    let mut updates: Vec<MarketUpdate> = symbols
        .iter()
        .filter_map(|symbol| {
            let data = huracan::domain::MarketData::Snapshot(flow.snapshot(*symbol, from)?);
            Some(MarketUpdate { symbol: *symbol, exchange_time: Some(from), local_time: from, data })
        })
        .collect();
    updates.extend(flow.updates(symbols, from, from + Span::from_secs(60)));
    updates
}

fn apply(c: &mut Criterion) {
    let settings = opening::settings();
    let updates = updates(&settings.symbols);
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(updates.len() as u64));
    group.bench_function("apply one minute of three markets", |b| {
        b.iter_batched(
            || (Engine::new(settings.clone()), updates.clone()),
            |(mut engine, updates)| {
                let mut effects = Vec::new();
                engine.apply(Stamp { seq: 1, at: updates[0].local_time }, opening::opened(&settings), &mut effects);
                for (number, update) in updates.into_iter().enumerate() {
                    let stamp = Stamp { seq: number as u64 + 2, at: update.local_time };
                    engine.apply(stamp, Event::Market(update), &mut effects);
                    effects.clear();
                }
                engine
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
