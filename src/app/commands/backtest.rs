//! `huracan backtest`: models learn from the first part of the stored candles, and the engine trades the rest.

use std::sync::Arc;

use serde::Serialize;

use super::models::short;
use super::moment::moment;
use super::{data_file, progress, series, train};
use crate::app::Context;
use crate::app::cli::BacktestArgs;
use crate::app::clock;
use crate::app::config::{Config, engine_settings};
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::app::training::{train_config, with_rows_from};
use crate::domain::{Asset, Bps, FeeRates, Interval, Money, Span, Symbol, Timestamp};
use crate::learning::drive::{self, BacktestOutcome, BacktestTrade, CostTotals};
use crate::learning::{Dataset, Lineage, Performance, SymbolSeries, TradeStats, train_trees};
use crate::protocol::{Blob, Mode, ModelAdopted, ModelKind, ModelRecord, ModelRole};

/// Percent of the period that is learned from.
const LEARNED_PERCENT: i64 = 60;
/// Trades in the text for people; the JSON lists all.
const SHOWN_TRADES: usize = 20;

#[derive(Debug, Serialize)]
struct Answer {
    trades: Vec<BacktestTrade>,
    metrics: Metrics,
    costs: CostTotals,
    /// False: fills are computed by the exchange's rules alone; no model of fill probabilities was fitted to recorded fills.
    calibrated: bool,
    symbols: Vec<Symbol>,
    quote: Asset,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    model: Model,
    net_pnl: Option<Money>,
    ledger_net_pnl: Option<Money>,
    decisions: u64,
    refusals: u64,
    orders: u64,
    fills: u64,
    fingerprint: String,
    assumptions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Metrics {
    #[serde(flatten)]
    performance: Performance,
    #[serde(flatten)]
    trades: TradeStats,
}

#[derive(Debug, Serialize)]
struct Model {
    id: String,
    kind: ModelKind,
    role: ModelRole,
    gates_passed: bool,
    learned_from: Option<Timestamp>,
    learned_until: Option<Timestamp>,
}

pub fn backtest(context: &Context, args: &BacktestArgs) -> Outcome {
    let config = &context.config;
    let now = clock::now();
    let bound = |text: &Option<String>, otherwise| text.as_deref().map_or(Ok(otherwise), |text| moment(text, now));
    let period = (bound(&args.since, Timestamp::EPOCH)?, bound(&args.until, Timestamp::MAX)?);
    let store = data_file::reading(context)?;
    let chosen = series::choose(&store.candle_series()?, &args.symbol, args.interval, config.time_scale.bar)?;
    let mut assumptions = Vec::new();
    let mut loaded = series::load(context, &store, &chosen, period, &mut assumptions)?;
    // What follows computes; the file is free for others.
    drop(store);
    if let Some(fee) = args.fee_bps {
        let fee = Bps::from_f64(fee);
        loaded.iter_mut().for_each(|series| series.instrument.fees = FeeRates { maker: fee, taker: fee });
    }
    let quote = common_quote(&loaded)?;
    let split = Split::of(&loaded, config.time_scale.horizon_bars)?;
    let learned = learn(context, &loaded, split)?;
    let model = adopted(&learned);
    let shown = Model {
        id: learned.id.clone(),
        kind: model.kind,
        role: model.role,
        gates_passed: model.gates_passed,
        learned_from: loaded.iter().filter_map(|s| s.candles.first()).map(|c| c.open_time).min(),
        learned_until: Some(split.learn_until),
    };
    assumptions.extend(assumed(config, quote, &loaded));
    let outcome = run(context, &loaded, model, quote, split.test_from);
    let symbols = loaded.iter().map(|series| series.symbol).collect();
    let answer = answer(outcome, shown, symbols, quote, assumptions);
    context.out.answer(&answer, || text(&answer))
}

/// Where learning ends and trading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Split {
    learn_until: Timestamp,
    test_from: Timestamp,
}

impl Split {
    /// Learning ends one horizon before the test, so that nothing it saw reaches into it.
    fn of(loaded: &[SymbolSeries], horizon_bars: u32) -> Outcome<Self> {
        let first = loaded.iter().filter_map(|s| s.candles.first()).map(|c| c.open_time).min();
        let last = loaded.iter().filter_map(|s| s.candles.last()).map(|c| c.open_time).max();
        let (Some(first), Some(last), Some(one)) = (first, last, loaded.first()) else {
            return Err(Failure::failed("no candles are stored in this period; check --since and --until, or import more"));
        };
        let span = last.since(first).nanos() / 100 * LEARNED_PERCENT;
        let test_from = (first + Span::from_nanos(span)).floor_to(one.interval);
        Ok(Self { learn_until: test_from - one.interval.span().times(i64::from(horizon_bars)), test_from })
    }
}

fn learn(context: &Context, loaded: &[SymbolSeries], split: Split) -> Outcome<ModelRecord> {
    let past: Vec<SymbolSeries> = loaded.iter().map(|series| before(series, split.learn_until)).collect();
    let candles = past.iter().map(|series| series.candles.len()).sum();
    let settings = with_rows_from(train_config(&context.config, &context.config.time_scale), candles);
    settings.check()?;
    let lineage = Lineage {
        created: clock::now(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        trees_parent: None,
        policy_parent: None,
        first_episode: 0,
    };
    train::watched(context.out, |watch| {
        let data = Dataset::build(&past, &settings, watch)?;
        Ok(train_trees(&data, &settings, &lineage, watch)?.record)
    })
}

fn before(series: &SymbolSeries, until: Timestamp) -> SymbolSeries {
    let end = series.candles.partition_point(|candle| candle.open_time < until);
    SymbolSeries {
        symbol: series.symbol,
        instrument: series.instrument.clone(),
        interval: series.interval,
        candles: series.candles[..end].to_vec(),
    }
}

/// A model that failed its gates trades here too, labelled: a backtest risks nothing.
fn adopted(record: &ModelRecord) -> ModelAdopted {
    ModelAdopted {
        id: record.id.clone(),
        kind: record.kind,
        role: if record.gates_passed { ModelRole::Champion } else { ModelRole::ShadowTrading },
        gates_passed: record.gates_passed,
        artifact: Blob(Arc::new(record.artifact.clone())),
    }
}

fn common_quote(loaded: &[SymbolSeries]) -> Outcome<Asset> {
    let mut quotes: Vec<Asset> = loaded.iter().map(|series| series.instrument.quote).collect();
    quotes.sort_unstable();
    quotes.dedup();
    match quotes.as_slice() {
        [quote] => Ok(*quote),
        _ => Err(Failure::usage(format!(
            "the markets are quoted in {quotes:?}, but one account counts in one currency; choose with --symbol"
        ))),
    }
}

fn run(context: &Context, loaded: &[SymbolSeries], model: ModelAdopted, quote: Asset, from: Timestamp) -> BacktestOutcome {
    let config = &context.config;
    let mut settings = engine_settings(config, Mode::Backtest, false);
    settings.symbols = loaded.iter().map(|series| series.symbol).collect();
    settings.quote = quote;
    if let Some(series) = loaded.first() {
        settings.time_scale.bar = series.interval;
        settings.limits.max_data_age_ms = settings.limits.max_data_age_ms.max(quote_age_ms(series.interval));
    }
    let plan = drive::Backtest {
        series: loaded,
        settings,
        models: vec![model],
        quote,
        capital: config.paper.capital.to_quote(),
        latency: Span::from_millis(i64::from(config.paper.latency_ms)),
        half_spread: Bps::from_f64(config.learning.half_spread_bps),
        from,
    };
    let bar = progress::bar(context.out, 0).with_message("trading");
    let outcome = drive::backtest(plan, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        true
    });
    bar.finish_and_clear();
    outcome
}

/// The age that quotes made from candles reach: there are four to a bar, and one second to spare for orders on their way.
fn quote_age_ms(interval: Interval) -> u32 {
    u32::try_from(interval.span().millis() / 4 + 1_000).unwrap_or(u32::MAX)
}

fn assumed(config: &Config, quote: Asset, loaded: &[SymbolSeries]) -> Vec<String> {
    let mut list = vec![
        format!(
            "the book is {} bps around each candle price, and a twentieth of the candle's volume stands there",
            config.learning.half_spread_bps * 2.0
        ),
        format!("every way takes {} ms; inside a candle the low comes before the high", config.paper.latency_ms),
        "models learn from the first 60 % of the period and trade the rest".to_owned(),
    ];
    if let Some(age_ms) = loaded.first().map(|s| quote_age_ms(s.interval)).filter(|age_ms| *age_ms > config.limits.max_data_age_ms) {
        list.push(format!(
            "a price stands until the candle's next one: data may be {age_ms} ms old, not {}",
            config.limits.max_data_age_ms
        ));
    }
    for series in loaded {
        let fees = series.instrument.fees;
        list.push(format!("{}: fees are {} bps (maker) and {} bps (taker)", series.symbol, fees.maker, fees.taker));
    }
    if quote != config.markets.quote {
        list.push(format!(
            "capital of {} and all limits count in {quote}, not in {}: set paper.capital and limits.* for another scale",
            config.paper.capital, config.markets.quote
        ));
    }
    list
}

fn answer(outcome: BacktestOutcome, model: Model, symbols: Vec<Symbol>, quote: Asset, assumptions: Vec<String>) -> Answer {
    let note = outcome.trades.is_empty().then(|| {
        let c = &outcome.counters;
        format!(
            "no trade was made in {} decisions ({} refused by risk, {} orders, {} fills): this says nothing for or against the model",
            c.decisions, c.refusals, c.orders, c.fills
        )
    });
    Answer {
        trades: outcome.trades,
        metrics: Metrics { performance: outcome.performance, trades: outcome.stats },
        costs: outcome.costs,
        calibrated: false,
        symbols,
        quote,
        first: outcome.first,
        last: outcome.last,
        model,
        net_pnl: outcome.net_pnl,
        ledger_net_pnl: outcome.ledger_net_pnl,
        decisions: outcome.counters.decisions,
        refusals: outcome.counters.refusals,
        orders: outcome.counters.orders,
        fills: outcome.counters.fills,
        fingerprint: format!("{:016x}", outcome.fingerprint),
        assumptions,
        note,
    }
}

fn text(answer: &Answer) -> String {
    let number = |value: Option<f64>| value.map_or("not known".to_owned(), |v| format!("{v:.2}"));
    let time = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| at.to_string());
    let (performance, stats) = (&answer.metrics.performance, &answer.metrics.trades);
    let quote = answer.quote;
    let gates = if answer.model.gates_passed { "passed its gates" } else { "failed its gates, traded for this test only" };
    let symbols: Vec<String> = answer.symbols.iter().map(Symbol::to_string).collect();
    let mut rows = vec![
        vec!["markets".to_owned(), symbols.join(", ")],
        vec!["learned".to_owned(), format!("{} to {}", time(answer.model.learned_from), time(answer.model.learned_until))],
        vec!["traded".to_owned(), format!("{} to {}", time(answer.first), time(answer.last))],
        vec!["model".to_owned(), format!("{} {gates}", short(&answer.model.id))],
        vec![
            "decisions".to_owned(),
            format!("{}, {} refused, {} orders, {} fills", answer.decisions, answer.refusals, answer.orders, answer.fills),
        ],
        vec![
            "trades".to_owned(),
            format!(
                "{}, {} won, profit factor {}, {} bps each on average",
                stats.trades,
                stats.wins,
                number(stats.profit_factor),
                number(stats.expectancy_bps)
            ),
        ],
        vec!["net".to_owned(), format!("{} {quote} ({} by the ledger)", money(answer.net_pnl), money(answer.ledger_net_pnl))],
        vec![
            "costs".to_owned(),
            format!(
                "gross {}, fees {}, spread {}, slippage {}, impact {}, net {}",
                amount(answer.costs.gross),
                amount(answer.costs.fees),
                amount(answer.costs.spread),
                amount(answer.costs.slippage),
                amount(answer.costs.impact),
                amount(answer.costs.net)
            ),
        ],
        vec![
            "equity".to_owned(),
            format!(
                "return {:.2} %, Sharpe {}, deepest fall {:.2} %",
                performance.total_return * 100.0,
                number(performance.sharpe),
                performance.max_drawdown * 100.0
            ),
        ],
    ];
    rows.extend(answer.note.iter().map(|note| vec!["note".to_owned(), note.clone()]));
    rows.extend(answer.assumptions.iter().map(|text| vec!["assumed".to_owned(), text.clone()]));
    let mut text = table(&rows);
    if !answer.trades.is_empty() {
        text.push_str("\n\n");
        text.push_str(&trades_table(&answer.trades));
    }
    text
}

fn trades_table(trades: &[BacktestTrade]) -> String {
    let mut rows = vec![["symbol", "entered", "at", "left", "at", "quantity", "net", "exit"].map(str::to_owned).to_vec()];
    let skipped = trades.len().saturating_sub(SHOWN_TRADES);
    rows.extend(trades[skipped..].iter().map(|t| {
        vec![
            t.symbol.to_string(),
            t.entry_time.to_string(),
            t.entry_price.to_string(),
            t.exit_time.to_string(),
            t.exit_price.to_string(),
            t.quantity.to_string(),
            amount(t.net_pnl),
            t.exit_reason.to_string(),
        ]
    }));
    let earlier = if skipped > 0 { format!("\n{skipped} earlier trades are in the JSON") } else { String::new() };
    format!("{}{earlier}", table(&rows))
}

fn money(value: Option<Money>) -> String {
    value.map_or("unknown".to_owned(), amount)
}

/// To the grain of a venue's balances: finer digits are for programs.
fn amount(value: Money) -> String {
    value.to_quote().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Candle, Price, Qty};
    use crate::venue::infer_instrument;

    fn series(symbol: &str, minutes: i64) -> SymbolSeries {
        let symbol: Symbol = symbol.parse().unwrap();
        let price = Price::from_raw(100_000_000);
        let candles: Vec<Candle> = (0..minutes)
            .map(|minute| Candle {
                open_time: Timestamp::from_millis(minute * 60_000),
                open: price,
                high: price,
                low: price,
                close: price,
                volume: Qty::ZERO,
                taker_buy_volume: None,
                trades: 0,
            })
            .collect();
        let fees = FeeRates { maker: Bps::ZERO, taker: Bps::ZERO };
        SymbolSeries { symbol, instrument: infer_instrument(symbol, &candles, fees).0, interval: Interval::MINUTE, candles }
    }

    #[test]
    fn training_ends_a_horizon_before_the_test() {
        let one = series("BTCUSDT", 1_001);
        let split = Split::of(std::slice::from_ref(&one), 60).unwrap();
        assert_eq!(split.test_from, Timestamp::from_millis(600 * 60_000));
        let past = before(&one, split.learn_until);
        assert_eq!((past.candles.len(), past.candles.last().unwrap().open_time.millis() / 60_000), (540, 539));
        assert!(Split::of(&[series("BTCUSDT", 0)], 60).is_err());
    }

    #[test]
    fn markets_of_different_quotes_are_refused() {
        assert!(common_quote(&[series("BTCUSDT", 1), series("ETHUSDT", 1)]).is_ok());
        let said = common_quote(&[series("BTCUSDT", 1), series("ADABTC", 1)]).unwrap_err().to_string();
        assert!(said.contains("--symbol"), "{said}");
    }
}
