//! An hour of ten markets through the engine: resident memory at every fifth minute, as the system tells it (Linux), and the event rate.
//!
//! The engine must not grow with the events it has seen. The process holds the synthetic market beside the engine; its memory of recent hours is
//! filled before the first reading.

#[path = "opening/mod.rs"]
mod opening;

use std::io::Write;
use std::time::Instant;

use huracan::domain::{MarketData, MarketUpdate, Span, Symbol};
use huracan::engine::Engine;
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::protocol::{Event, Stamp};

const MARKETS: usize = 10;
const MINUTES: i64 = 60;

/// Resident bytes; `None` where the system does not say.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * 4_096)
}

/// The usual markets again and again under other names.
fn config() -> FlowConfig {
    let mut config = FlowConfig::usual(7, huracan::domain::Timestamp::from_millis(1_704_067_200_000));
    let usual = config.symbols.clone();
    config.symbols = (0..MARKETS)
        .map(|n| {
            let mut market = usual[n % usual.len()].clone();
            let base = format!("C{n:02}");
            market.instrument.symbol = format!("{base}USDT").parse().expect("a symbol");
            market.instrument.base = base.parse().expect("an asset");
            market
        })
        .collect();
    config
}

fn main() {
    let mut out = std::io::stdout().lock();
    let mut flow = Flow::new(config());
    let symbols: Vec<Symbol> = flow.config().symbols.iter().map(|s| s.instrument.symbol).collect();
    let mut settings = opening::settings();
    settings.symbols.clone_from(&symbols);
    let mut engine = Engine::new(settings.clone());
    let mut effects = Vec::new();
    let from = flow.origin() + Span::from_secs(7_200);
    engine.apply(Stamp { seq: 1, at: from }, opening::opened(&settings), &mut effects);
    let (mut seq, mut busy) = (1, std::time::Duration::ZERO);
    let mut apply = |update: MarketUpdate| {
        seq += 1;
        engine.apply(Stamp { seq, at: update.local_time }, Event::Market(update), &mut effects);
        effects.clear();
        seq
    };
    for symbol in &symbols {
        let data = MarketData::Snapshot(flow.snapshot(*symbol, from).expect("the market has begun"));
        apply(MarketUpdate { symbol: *symbol, exchange_time: Some(from), local_time: from, data });
        // The market's own memory of the hours to come.
        flow.mid(*symbol, from + Span::from_secs(3_600));
    }
    let mut told = Vec::new();
    for minute in 0..MINUTES {
        let at = from + Span::from_secs(60 * minute);
        let updates = flow.updates(&symbols, at + Span::from_nanos(1), at + Span::from_secs(60));
        let begun = Instant::now();
        let mut events = 0;
        for update in updates {
            events = apply(update);
        }
        busy += begun.elapsed();
        if (minute + 1) % 5 == 0 {
            let mib = resident().map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20));
            told.push(mib);
            let rate = events as f64 / busy.as_secs_f64();
            writeln!(out, "minute {:2}: {events:7} events, {mib:6.1} MiB resident, {rate:9.0} events/s", minute + 1)
                .expect("standard output");
        }
    }
    let growth = told.last().zip(told.get(1)).map_or(f64::NAN, |(last, early)| last - early);
    writeln!(out, "from minute 10 to minute 60 memory grew by {growth:.1} MiB").expect("standard output");
}
