//! `huracan train`: models from stored candles, judged out of sample; their shadow trades go into memory.

use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::models::{gate_row, short};
use super::{data_file, progress, series};
use crate::app::Context;
use crate::app::cli::TrainArgs;
use crate::app::clock;
use crate::app::failure::{Failure, Outcome};
use crate::app::output::{Output, table};
use crate::app::training::{train_config, with_rows_from};
use crate::domain::{Episode, Interval, RunId, Span, Symbol, Timestamp};
use crate::learning::{self, FoldReport, Lineage, Performance, Progress, SymbolSeries, TradeStats, TrainOutcome, Watch};
use crate::protocol::{GateRecord, ModelKind};
use crate::store::{Bulk, CandleSeries, Store, Writer};

/// Features in the text for people.
const SHOWN_FEATURES: usize = 8;
/// Where the trials of this data file are counted.
const EXPERIMENTS: &str = "experiments";

#[derive(Debug, Serialize)]
struct Answer {
    model: String,
    gates_passed: bool,
    gates: Vec<GateRecord>,
    folds: usize,
    trades_oos: usize,
    shadow_trades: usize,
    auc: Option<f64>,
    importance: Vec<Importance>,
    /// Trials of this training, and of all that this data file saw.
    experiments: u64,
    experiments_total: u64,
    symbols: Vec<Symbol>,
    interval: Interval,
    from: Timestamp,
    to: Timestamp,
    candles: usize,
    rows: usize,
    /// Bars from one row to the next: below the horizon their outcomes overlap.
    stride_bars: usize,
    holes: usize,
    brier: Option<f64>,
    break_even_win_rate: f64,
    fold_reports: Vec<FoldReport>,
    metrics: Metrics,
    constant_features: Vec<String>,
    policy: Policy,
    episodes_kept: u64,
    assumptions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Importance {
    feature: String,
    share: f64,
}

#[derive(Debug, Serialize)]
struct Metrics {
    #[serde(flatten)]
    performance: Performance,
    #[serde(flatten)]
    trades: TradeStats,
}

#[derive(Debug, Serialize)]
struct Policy {
    model: String,
    gates_passed: bool,
    gates: Vec<GateRecord>,
    learning_trades: usize,
    judged_trades: usize,
    judged_net_bps: Option<f64>,
    every_entry_net_bps: Option<f64>,
    beats_staying_flat: bool,
}

pub fn train(context: &Context, args: &TrainArgs) -> Outcome {
    let store = data_file::writing(context)?;
    let mut config = context.config.clone();
    config.learning.seed = args.seed.unwrap_or(config.learning.seed);
    let chosen = series::choose(&store.candle_series()?, &args.symbol, args.interval, config.time_scale.bar)?;
    let days = args.lookback_days.unwrap_or(config.learning.lookback_days);
    let mut assumptions = Vec::new();
    let loaded = series::load(context, &store, &chosen, (lookback(&chosen, days), Timestamp::MAX), &mut assumptions)?;
    if chosen[0].interval != config.time_scale.bar {
        assumptions.push(format!(
            "bars are {}, not the configured {}: horizon and hold limit count bars",
            chosen[0].interval, config.time_scale.bar
        ));
    }
    let lineage = lineage(&store, &loaded)?;
    let settings = with_rows_from(train_config(&config, &config.time_scale), loaded.iter().map(|s| s.candles.len()).sum());
    let outcome = watched(context.out, |watch| Ok(learning::train(&loaded, &settings, &lineage, watch)?))?;
    let episodes_kept = keep(&store, &outcome)?;
    let answer = answer(&store, chosen[0].interval, outcome, episodes_kept, assumptions)?;
    context.out.answer(&answer, || text(&answer))
}

/// The beginning of the last `days` of the newest series.
fn lookback(chosen: &[CandleSeries], days: u32) -> Timestamp {
    let last = chosen.iter().map(|series| series.last + series.interval.span()).max().unwrap_or(Timestamp::EPOCH);
    last - Span::from_secs(i64::from(days) * 86_400)
}

/// Shows the stages of `work` as it goes.
pub fn watched<T>(out: Output, work: impl FnOnce(&mut Watch) -> Outcome<T>) -> Outcome<T> {
    let bar = progress::bar(out, 0);
    let mut tell = |step: Progress| {
        bar.set_message(step.stage);
        bar.set_length(step.total);
        bar.set_position(step.done);
    };
    let done = work(&mut Watch { progress: &mut tell, cancelled: &AtomicBool::new(false) });
    bar.finish_and_clear();
    done
}

/// The newest models of the same markets are the parents.
fn lineage(store: &Store, loaded: &[SymbolSeries]) -> Outcome<Lineage> {
    let symbols: Vec<Symbol> = loaded.iter().map(|s| s.symbol).collect();
    let models = store.models()?;
    let newest = |kind: ModelKind| models.iter().rev().find(|m| m.kind == kind && m.symbols == symbols).map(|m| m.id.clone());
    Ok(Lineage {
        created: clock::now(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        trees_parent: newest(ModelKind::Trees),
        policy_parent: newest(ModelKind::Policy),
        first_episode: store.episode_count()?,
    })
}

/// Stores models and episodes; gives the number of episodes. The same training done again adds none: it would remember its trades twice.
fn keep(store: &Store, outcome: &TrainOutcome) -> Outcome<u64> {
    store.put_model(&outcome.trees)?;
    let is_new = store.put_model(&outcome.policy)?;
    let episodes: Vec<Episode> = if is_new { outcome.episodes.clone() } else { Vec::new() };
    let count = episodes.len() as u64;
    if count > 0 {
        let writer = Writer::start(store.clone(), RunId(0), |_| {})?;
        writer.handle().bulk(Bulk::Episodes(episodes))?;
        writer.stop()?;
    }
    Ok(count)
}

/// Adds to the number of trials that this data file saw, and gives it.
fn count_experiments(store: &Store, more: u64) -> Outcome<u64> {
    let before = match store.meta(EXPERIMENTS)? {
        Some(bytes) => {
            serde_json::from_slice(&bytes).map_err(|e| Failure::failed(format!("the count of experiments does not read: {e}")))?
        }
        None => 0_u64,
    };
    store.put_meta(EXPERIMENTS, &serde_json::to_vec(&(before + more))?)?;
    Ok(before + more)
}

fn answer(store: &Store, interval: Interval, outcome: TrainOutcome, episodes_kept: u64, assumptions: Vec<String>) -> Outcome<Answer> {
    let TrainOutcome { data, trees, trees_report, policy, policy_report, shadow_trades, experiments, .. } = outcome;
    let experiments = experiments.len() as u64;
    Ok(Answer {
        model: trees.id,
        gates_passed: trees.gates_passed,
        gates: trees.gates,
        folds: trees_report.folds.len(),
        trades_oos: trees_report.trades_oos,
        shadow_trades,
        auc: trees_report.auc,
        importance: trees_report.importance.into_iter().map(|(feature, share)| Importance { feature, share }).collect(),
        experiments,
        experiments_total: count_experiments(store, experiments)?,
        symbols: trees.symbols,
        interval,
        from: data.from,
        to: data.to,
        candles: data.candles,
        rows: data.rows,
        stride_bars: data.stride_bars,
        holes: data.holes,
        brier: trees_report.brier,
        break_even_win_rate: data.break_even_win_rate,
        fold_reports: trees_report.folds,
        metrics: Metrics { performance: trees_report.performance, trades: trees_report.trades },
        constant_features: data.constant_features,
        policy: Policy {
            model: policy.id,
            gates_passed: policy.gates_passed,
            gates: policy.gates,
            learning_trades: policy_report.learning_trades,
            judged_trades: policy_report.judged_trades,
            judged_net_bps: policy_report.judged_net_bps,
            every_entry_net_bps: policy_report.every_entry_net_bps,
            beats_staying_flat: policy_report.beats_staying_flat,
        },
        episodes_kept,
        assumptions,
    })
}

fn text(answer: &Answer) -> String {
    let number = |value: Option<f64>| value.map_or("not known".to_owned(), |v| format!("{v:.3}"));
    let verdict = |passed: bool| if passed { "passed its gates" } else { "failed its gates: it stays in shadow" };
    let markets = answer.symbols.iter().map(Symbol::to_string).collect::<Vec<_>>().join(", ");
    let mut rows = vec![
        vec![
            "data".to_owned(),
            format!(
                "{markets} {}, {} candles, {} rows {} bars apart, {} holes",
                answer.interval, answer.candles, answer.rows, answer.stride_bars, answer.holes
            ),
        ],
        vec!["period".to_owned(), format!("{} to {}", answer.from, answer.to)],
        vec!["trees".to_owned(), format!("{} {}", short(&answer.model), verdict(answer.gates_passed))],
    ];
    rows.extend(answer.gates.iter().map(gate_row));
    let stood_aside = answer.fold_reports.iter().filter(|fold| fold.threshold_bps.is_none()).count();
    rows.extend([
        vec![
            "out of sample".to_owned(),
            format!("{} folds ({stood_aside} stood aside), {} trades, AUC {}", answer.folds, answer.trades_oos, number(answer.auc)),
        ],
        vec!["break-even".to_owned(), format!("{:.0} % winners", answer.break_even_win_rate * 100.0)],
        vec!["policy".to_owned(), format!("{} {}", short(&answer.policy.model), verdict(answer.policy.gates_passed))],
    ]);
    rows.extend(answer.policy.gates.iter().map(gate_row));
    rows.extend([
        vec![
            "shadow trades".to_owned(),
            format!(
                "{} ({} judged, mean {} bps net), {} remembered",
                answer.shadow_trades,
                answer.policy.judged_trades,
                number(answer.policy.judged_net_bps),
                answer.episodes_kept
            ),
        ],
        vec!["experiments".to_owned(), format!("{}, {} in this data file", answer.experiments, answer.experiments_total)],
    ]);
    let features: Vec<String> =
        answer.importance.iter().take(SHOWN_FEATURES).map(|i| format!("{} {:.0} %", i.feature, i.share * 100.0)).collect();
    rows.push(vec!["importance".to_owned(), features.join(", ")]);
    if !answer.constant_features.is_empty() {
        rows.push(vec!["never vary".to_owned(), answer.constant_features.join(", ")]);
    }
    rows.extend(answer.assumptions.iter().map(|text| vec!["assumed".to_owned(), text.clone()]));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::super::data_file::{scope, tests::context};
    use super::*;
    use crate::domain::{Candle, Price, Qty};

    #[test]
    fn the_lookback_ends_with_the_newest_candle() {
        let series = |last: i64| CandleSeries {
            symbol: "A".parse().unwrap(),
            interval: Interval::MINUTE,
            count: 1,
            first: Timestamp::EPOCH,
            last: Timestamp::from_millis(last * 1_000),
            bytes: 1,
        };
        assert_eq!(lookback(&[series(60), series(2 * 86_400)], 1), Timestamp::from_millis((86_400 + 60) * 1_000));
    }

    #[test]
    fn experiments_add_up_over_trainings() {
        let dir = tempfile::tempdir().unwrap();
        let store = data_file::writing(&context(&dir.path().join("x.redb"))).unwrap();
        assert_eq!(store.scope(), &scope());
        assert_eq!((count_experiments(&store, 3).unwrap(), count_experiments(&store, 4).unwrap()), (3, 7));
    }

    #[test]
    fn too_little_history_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(&dir.path().join("x.redb"));
        let store = data_file::writing(&context).unwrap();
        let price = Price::from_raw(100);
        let candles: Vec<Candle> = (0..100)
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
        store.put_candles("BTCUSDT".parse().unwrap(), Interval::MINUTE, &candles).unwrap();
        drop(store);
        let args = TrainArgs { symbol: Vec::new(), lookback_days: None, interval: None, seed: None };
        let said = train(&context, &args).unwrap_err().to_string();
        assert!(said.contains("fetch or import more history"), "{said}");
    }
}
