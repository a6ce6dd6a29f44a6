//! Backtest: the engine that trades, over stored candles, against an exchange made of rules.

use serde::Serialize;

use super::{PaperVenue, Session, candle_path};
use crate::domain::{Asset, Bps, ExitReason, MarketUpdate, Money, Price, Qty, RunId, Span, Symbol, Timestamp};
use crate::engine::{Engine, Settings};
use crate::learning::{Performance, SymbolSeries, TradeResult, TradeStats};
use crate::protocol::{CostRecord, Counters, Effect, Event, Learned, ModelAdopted, Probe, Record, RunOpened, WarmUp};

/// What to run over.
#[derive(Debug)]
pub struct Backtest<'a> {
    pub series: &'a [SymbolSeries],
    pub settings: Settings,
    pub models: Vec<ModelAdopted>,
    pub quote: Asset,
    pub capital: Qty,
    pub latency: Span,
    /// Half the spread around each price of a candle.
    pub half_spread: Bps,
    /// Candles that close before this only warm up.
    pub from: Timestamp,
}

/// One closed trade.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BacktestTrade {
    pub symbol: Symbol,
    pub entry_time: Timestamp,
    pub entry_price: Price,
    pub exit_time: Timestamp,
    pub exit_price: Price,
    pub quantity: Qty,
    pub net_pnl: Money,
    pub exit_reason: ExitReason,
}

/// Where the money went, summed over the closed trades.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct CostTotals {
    pub gross: Money,
    pub fees: Money,
    pub spread: Money,
    pub slippage: Money,
    pub impact: Money,
    pub net: Money,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BacktestOutcome {
    pub trades: Vec<BacktestTrade>,
    pub performance: Performance,
    pub stats: TradeStats,
    pub costs: CostTotals,
    pub counters: Counters,
    pub net_pnl: Option<Money>,
    pub ledger_net_pnl: Option<Money>,
    pub fingerprint: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

/// Runs it. `progress` is told (done, total) candles and may stop the run by returning false.
pub fn backtest(plan: Backtest, progress: &mut dyn FnMut(u64, u64) -> bool) -> BacktestOutcome {
    let costs = std::cell::RefCell::new(Vec::new());
    let sink = Box::new(|_: &Engine, _: crate::protocol::Stamp, _: &Event, effects: &[Effect]| {
        for effect in effects {
            if let Effect::Persist(record) = effect
                && let Record::Cost(cost) = record.as_ref()
            {
                costs.borrow_mut().push(cost.clone());
            }
        }
    });
    let instruments = plan.series.iter().map(|s| s.instrument.clone()).collect();
    let venue = PaperVenue::new(instruments, plan.quote, plan.capital, plan.latency);
    let mut session = Session::new(Engine::new(plan.settings.clone()), venue, sink);
    let start = open(&mut session, &plan);
    let candles = in_time_order(&plan);
    let total = candles.len() as u64;
    let mut equity = vec![Money::from_quote(plan.capital).to_f64()];
    let mut last = start;
    let mut done = 0;
    for moment in candles.chunk_by(|a, b| a.0 == b.0) {
        // Markets of the same moment move together: their quotes are merged by time.
        let paths = moment.iter().flat_map(|(_, series, index)| {
            let s = &plan.series[*series];
            candle_path(s.symbol, s.interval, &s.candles[*index], &s.instrument, plan.half_spread)
        });
        let mut updates: Vec<MarketUpdate> = paths.collect();
        updates.sort_by_key(|update| update.local_time);
        updates.into_iter().for_each(|update| session.market(update));
        equity.extend(session.engine.pnl(&session.engine.marks()).equity.map(Money::to_f64));
        last = Some(session.now());
        done += moment.len() as u64;
        if done % 64 < moment.len() as u64 && !progress(done, total) {
            break;
        }
    }
    let report = session.engine.pnl(&session.engine.marks());
    let (counters, fingerprint) = (session.engine.counters().clone(), session.engine.fingerprint());
    drop(session);
    let costs = costs.into_inner();
    let per_year = plan.settings.time_scale.bar.per_year();
    let results: Vec<TradeResult> = costs.iter().map(|c| TradeResult { net: c.net.to_f64(), net_bps: net_bps(c) }).collect();
    BacktestOutcome {
        performance: Performance::of_equity(&equity, per_year),
        stats: TradeStats::of(&results),
        costs: costs.iter().fold(CostTotals::default(), CostTotals::with),
        trades: costs.into_iter().map(BacktestTrade::from).collect(),
        counters,
        net_pnl: report.net_pnl,
        ledger_net_pnl: report.ledger_net_pnl,
        fingerprint,
        first: start,
        last,
    }
}

impl CostTotals {
    fn with(self, c: &CostRecord) -> Self {
        Self {
            gross: self.gross + c.gross,
            fees: self.fees + c.fees,
            spread: self.spread + c.spread,
            slippage: self.slippage + c.slippage,
            impact: self.impact + c.impact,
            net: self.net + c.net,
        }
    }
}

impl From<CostRecord> for BacktestTrade {
    fn from(c: CostRecord) -> Self {
        Self {
            symbol: c.symbol,
            entry_time: c.entry_time,
            entry_price: c.entry_price,
            exit_time: c.exit_time,
            exit_price: c.exit_price,
            quantity: c.qty,
            net_pnl: c.net,
            exit_reason: c.exit,
        }
    }
}

/// The net result as a share of what was bought.
fn net_bps(c: &CostRecord) -> f64 {
    let notional = c.entry_price.notional(c.qty).unwrap_or(Money::ZERO).to_f64();
    if notional > 0.0 { c.net.to_f64() / notional * 1e4 } else { 0.0 }
}

/// Opens the run: clock, venue, models and warm-up. Gives the time of the first candle.
fn open(session: &mut Session, plan: &Backtest) -> Option<Timestamp> {
    let first = plan.series.iter().filter_map(|s| s.candles.iter().find(|c| c.open_time >= plan.from)).map(|c| c.open_time).min()?;
    let settings = serde_json::to_string(&plan.settings).unwrap_or_default();
    let opened = RunOpened {
        run: RunId(0),
        mode: plan.settings.mode,
        venue: "stored candles".to_owned(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        settings_hash: String::new(),
        settings,
        carried: None,
    };
    session.apply(first, Event::RunOpened(Box::new(opened)));
    // Simulated time has one clock.
    session.apply(first, Event::Probe(Probe::Clock { offset: Span::ZERO, round_trip: Span::ZERO }));
    session.connect(first);
    for model in &plan.models {
        session.apply(first, Event::Learned(Learned::Model(Box::new(model.clone()))));
    }
    for series in plan.series {
        let before = series.candles.partition_point(|c| c.open_time < plan.from);
        let ring = before.saturating_sub(crate::market::KEPT_CANDLES);
        let warm = WarmUp { symbol: series.symbol, interval: series.interval, candles: series.candles[ring..before].to_vec() };
        session.apply(first, Event::Learned(Learned::WarmUp(warm)));
    }
    session.apply(first, Event::Learned(Learned::Finished));
    Some(first)
}

/// (opening time, series, candle) in the order of time; series of the same moment in their given order.
fn in_time_order(plan: &Backtest) -> Vec<(Timestamp, usize, usize)> {
    let mut order: Vec<(Timestamp, usize, usize)> = Vec::new();
    for (number, series) in plan.series.iter().enumerate() {
        let from = series.candles.partition_point(|c| c.open_time < plan.from);
        order.extend((from..series.candles.len()).map(|index| (series.candles[index].open_time, number, index)));
    }
    order.sort_unstable();
    order
}
