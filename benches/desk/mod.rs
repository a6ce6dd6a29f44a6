//! What an engine needs to decide and trade with everything on: settings, models, a memory; and the frames that it hears.

use std::sync::Arc;

use huracan::domain::{
    Candle, Episode, ExitReason, Instrument, Interval, MarketData, MarketUpdate, Origin, Regime, Span, Symbol, Timestamp,
};
use huracan::engine::Settings;
use huracan::market::features::{NAMES, VERSION};
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::memory::situation;
use huracan::models::position_state::{ACTIONS, POSITION_NAMES};
use huracan::models::{Artifact, PolicyArtifact, PpoConfig, Standardiser, Trainer, Trees, TreesArtifact, TreesConfig, content_id};
use huracan::protocol::{Blob, ModelAdopted, ModelKind, ModelRole};
use huracan::venue::capture::CaptureReader;
use huracan::venue::write_line;

/// Rows of noise that the bench's trees are grown on.
const LESSON_ROWS: usize = 4_000;

pub fn origin() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000)
}

/// The bench's common settings, with limits that no loss reaches and rules that enter at every bar that closes flat.
pub fn settings(symbols: Vec<Symbol>) -> Settings {
    let mut settings = crate::opening::settings();
    settings.symbols = symbols;
    settings.time_scale.horizon_bars = 3;
    settings.limits.max_daily_loss = "1000000".parse().expect("money");
    settings.limits.cool_down_ms = 0;
    // An order as large as the limit is over it at the price that a taker may pay.
    settings.decision.position_percent = 0.005;
    settings.decision.min_net_edge_bps = -1e9;
    settings.decision.exit_gross_below_bps = -1e9;
    settings.decision.recall_min_neighbours = 1e9;
    settings
}

/// Numbers within one of zero, out of a seed.
pub fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    }
}

/// Rows and labels to grow trees on.
pub fn lesson(rows: usize) -> (Vec<f32>, Vec<f64>, Vec<String>) {
    let mut noise = noise(1);
    let values: Vec<f32> = (0..rows * NAMES.len()).map(|_| noise()).collect();
    let labels = (0..rows).map(|row| f64::from(3.0 * values[row * NAMES.len()] + noise())).collect();
    (values, labels, NAMES.iter().map(|name| (*name).to_owned()).collect())
}

/// Trees and a policy of the product's usual size.
pub fn models(interval: Interval) -> [ModelAdopted; 2] {
    let (rows, labels, names) = lesson(LESSON_ROWS);
    let trees = Artifact::Trees(TreesArtifact {
        feature_version: VERSION,
        standardiser: Standardiser::fit(&rows, NAMES.len()).expect("whole rows"),
        trees: Trees::fit(&rows, &labels, None, &names, &TreesConfig::default()).expect("trees grow on noise"),
        calibration: None,
        threshold_bps: -1e9,
        horizon_bars: 3,
        interval,
        cost_bps: 20.0,
    });
    let width = NAMES.len() + POSITION_NAMES.len();
    let mut noise = noise(2);
    let states: Vec<f32> = (0..LESSON_ROWS * width).map(|_| noise()).collect();
    let policy = Artifact::Policy(PolicyArtifact {
        feature_version: VERSION,
        states: names.into_iter().chain(POSITION_NAMES.map(str::to_owned)).collect(),
        standardiser: Standardiser::fit(&states, width).expect("whole rows"),
        policy: Trainer::new(width, ACTIONS.len(), PpoConfig::default()).expect("the usual sizes").policy(),
        actions: ACTIONS.map(str::to_owned).to_vec(),
        interval,
        cost_bps: 20.0,
    });
    [(trees, ModelKind::Trees), (policy, ModelKind::Policy)].map(|(artifact, kind)| {
        let bytes = artifact.encode().expect("an artifact has bytes");
        ModelAdopted { id: content_id(&bytes), kind, role: ModelRole::Champion, gates_passed: true, artifact: Blob(Arc::new(bytes)) }
    })
}

/// Episodes in every direction, all known before the run.
pub fn episodes(count: usize, symbol: Symbol) -> Vec<Episode> {
    let mut noise = noise(3);
    (0..count as u64)
        .map(|number| {
            let raw: Vec<f32> = (0..NAMES.len()).map(|_| 3.0 * noise()).collect();
            let net_bps = f64::from(20.0 * noise());
            Episode {
                number,
                symbol,
                origin: Origin::Shadow,
                entry_time: Timestamp::from_millis(number as i64),
                known_at: Timestamp::from_millis(number as i64 + 1),
                vector: situation(&raw),
                feature_version: VERSION,
                regime: Regime::Range,
                gross_bps: net_bps + 20.0,
                cost_bps: 20.0,
                net_bps,
                held: Span::from_secs(45),
                worst_bps: net_bps.min(0.0),
                best_bps: net_bps.max(0.0),
                exit: ExitReason::Stop,
            }
        })
        .collect()
}

/// One message of the market as it arrives: the venue's bytes.
pub struct Frame {
    pub symbol: Symbol,
    pub at: Timestamp,
    pub bytes: Vec<u8>,
}

/// A stretch of the market that is played again and again, each time later and under new ids.
pub struct Tape {
    pub updates: Vec<MarketUpdate>,
    pub instruments: Vec<Instrument>,
    /// What was before, where it is known.
    pub history: Vec<(Symbol, Vec<Candle>)>,
    length: Span,
    /// By how much ids rise from lap to lap; more than any market uses.
    ids: u64,
}

impl Tape {
    /// Ten minutes of the usual synthetic markets.
    pub fn synthetic(bar: Interval) -> Self {
        let mut flow = Flow::new(FlowConfig::usual(7, origin()));
        let instruments: Vec<Instrument> = flow.config().symbols.iter().map(|s| s.instrument.clone()).collect();
        let symbols: Vec<Symbol> = instruments.iter().map(|i| i.symbol).collect();
        let from = flow.origin() + Span::from_secs(7_200);
        let history = symbols.iter().map(|s| (*s, flow.candles(*s, bar, from - Span::from_secs(1_200), from))).collect();
        let books = symbols.iter().map(|symbol| {
            let data = MarketData::Snapshot(flow.snapshot(*symbol, from).expect("the market has begun"));
            MarketUpdate { symbol: *symbol, exchange_time: None, local_time: from, data }
        });
        let mut updates: Vec<MarketUpdate> = books.collect();
        updates.extend(flow.updates(&symbols, from + Span::from_nanos(1), from + Span::from_secs(600)));
        Self::new(updates, instruments, history)
    }

    /// Recorded markets, merged by the time of arrival.
    pub fn recorded(paths: &std::ffi::OsStr) -> Self {
        let mut updates: Vec<MarketUpdate> = std::env::split_paths(paths)
            .flat_map(|path| CaptureReader::open(path).expect("the capture opens").filter_map(Result::ok))
            .collect();
        updates.sort_by_key(|update| update.local_time);
        let mut symbols: Vec<Symbol> = updates.iter().map(|update| update.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let usual = FlowConfig::usual(7, origin());
        let instrument = |symbol: &Symbol| {
            let known = usual.symbols.iter().find(|s| s.instrument.symbol == *symbol);
            known.expect("a capture of BTCUSDT, ETHUSDT or SOLUSDT").instrument.clone()
        };
        let instruments = symbols.iter().map(instrument).collect();
        Self::new(updates, instruments, Vec::new())
    }

    fn new(updates: Vec<MarketUpdate>, instruments: Vec<Instrument>, history: Vec<(Symbol, Vec<Candle>)>) -> Self {
        let first = updates.first().expect("a tape has messages").local_time;
        let last = updates.last().expect("a tape has messages").local_time;
        let (low, high) = updates
            .iter()
            .filter_map(|update| ids(&update.data))
            .fold((u64::MAX, 0), |(low, high), (from, to)| (low.min(from), high.max(to)));
        Self { updates, instruments, history, length: last.since(first) + Span::from_millis(100), ids: high - low + 1 }
    }

    pub fn begins(&self) -> Timestamp {
        self.updates[0].local_time
    }

    /// The messages of one lap as bytes. Every lap but the first begins with an interruption: its book is another one.
    pub fn lap(&self, lap: usize) -> Vec<Frame> {
        let (later, ids) = (self.length.times(lap as i64), self.ids * lap as u64);
        let broken = self.instruments.iter().filter(|_| lap > 0).map(|instrument| MarketUpdate {
            symbol: instrument.symbol,
            exchange_time: None,
            local_time: self.begins() + later,
            data: MarketData::Interrupted,
        });
        let mut line = Vec::new();
        broken
            .chain(self.updates.iter().map(|update| shifted(update, later, ids)))
            .map(|update| {
                line.clear();
                write_line(&mut line, &update).expect("memory takes it");
                let message = line.iter().position(|byte| *byte == b' ').expect("a time and a message") + 1;
                Frame { symbol: update.symbol, at: update.local_time, bytes: line[message..].trim_ascii().to_vec() }
            })
            .collect()
    }
}

fn ids(data: &MarketData) -> Option<(u64, u64)> {
    match data {
        MarketData::Snapshot(book) => Some((book.last_update_id, book.last_update_id)),
        MarketData::Depth(diff) => Some((diff.first_update_id, diff.last_update_id)),
        MarketData::Quote(quote) => Some((quote.update_id, quote.update_id)),
        MarketData::Trade(trade) => Some((trade.id.0, trade.id.0)),
        MarketData::Candle { .. } | MarketData::Interrupted => None,
    }
}

fn shifted(update: &MarketUpdate, later: Span, ids: u64) -> MarketUpdate {
    let mut update = update.clone();
    update.local_time = update.local_time + later;
    update.exchange_time = update.exchange_time.map(|time| time + later);
    match &mut update.data {
        MarketData::Snapshot(book) => book.last_update_id += ids,
        MarketData::Depth(diff) => {
            diff.first_update_id += ids;
            diff.last_update_id += ids;
        }
        MarketData::Quote(quote) => quote.update_id += ids,
        MarketData::Trade(trade) => trade.id.0 += ids,
        MarketData::Candle { .. } | MarketData::Interrupted => {}
    }
    update
}
