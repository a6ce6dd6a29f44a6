//! `huracan data list` and `check`: what is stored, and what is missing in it.

use serde::Serialize;

use super::super::data_file;
use crate::app::Context;
use crate::app::failure::Outcome;
use crate::app::output::table;
use crate::app::training::stored_instrument;
use crate::domain::{Asset, Gap, Interval, Symbol, Timestamp, find_gaps};
use crate::store::{CandleSeries, Store};

/// Gaps that the text for people lists by series.
const SHOWN_GAPS: usize = 10;

#[derive(Debug, Serialize)]
struct Listed {
    symbol: Symbol,
    interval: Interval,
    rows: u64,
    first_time: Timestamp,
    last_time: Timestamp,
    quote: Option<Asset>,
    /// `None` when nothing is kept of the market's rules.
    instrument_inferred: Option<bool>,
}

#[derive(Debug, Serialize)]
struct List {
    file: String,
    kind: String,
    series: Vec<Listed>,
}

pub fn list(context: &Context) -> Outcome {
    let store = data_file::reading(context)?;
    let series = store.candle_series()?.iter().map(|series| listed(&store, series)).collect::<Outcome<Vec<_>>>()?;
    let answer = List { file: store.path().display().to_string(), kind: store.kind().to_string(), series };
    context.out.answer(&answer, || {
        if answer.series.is_empty() {
            return format!("{} holds no candles yet; import or fetch some", answer.file);
        }
        let mut rows = vec![header(&["symbol", "interval", "candles", "first", "last", "rules"])];
        rows.extend(answer.series.iter().map(|s| {
            let rules = match s.instrument_inferred {
                Some(true) => "inferred",
                Some(false) => "told",
                None => "none",
            };
            vec![
                s.symbol.to_string(),
                s.interval.to_string(),
                s.rows.to_string(),
                s.first_time.to_string(),
                s.last_time.to_string(),
                rules.to_owned(),
            ]
        }));
        format!("{} ({})\n{}", answer.file, answer.kind, table(&rows))
    })
}

fn listed(store: &Store, series: &CandleSeries) -> Outcome<Listed> {
    let known = stored_instrument(store, series.symbol)?;
    Ok(Listed {
        symbol: series.symbol,
        interval: series.interval,
        rows: series.count,
        first_time: series.first,
        last_time: series.last,
        quote: known.as_ref().map(|k| k.instrument.quote),
        instrument_inferred: known.map(|k| k.inferred),
    })
}

#[derive(Debug, Serialize)]
struct Checked {
    symbol: Symbol,
    interval: Interval,
    rows: u64,
    missing: u64,
    /// Candles whose prices are not positive and ordered.
    unsound: u64,
    gaps: Vec<Gap>,
}

#[derive(Debug, Serialize)]
struct Check {
    series: Vec<Checked>,
}

pub fn check(context: &Context) -> Outcome {
    let store = data_file::reading(context)?;
    let series = store.candle_series()?.iter().map(|series| checked(&store, series)).collect::<Outcome<Vec<_>>>()?;
    let answer = Check { series };
    context.out.answer(&answer, || check_text(&answer))
}

fn checked(store: &Store, series: &CandleSeries) -> Outcome<Checked> {
    let candles = store.candles(series.symbol, series.interval, Timestamp::EPOCH, Timestamp::MAX)?;
    let gaps = find_gaps(&candles, series.interval);
    Ok(Checked {
        symbol: series.symbol,
        interval: series.interval,
        rows: candles.len() as u64,
        missing: gaps.iter().map(|gap| gap.missing).sum(),
        unsound: candles.iter().filter(|candle| !candle.is_sound()).count() as u64,
        gaps,
    })
}

fn check_text(check: &Check) -> String {
    if check.series.is_empty() {
        return "no candles are stored yet; import or fetch some".to_owned();
    }
    let mut rows = vec![header(&["symbol", "interval", "candles", "gaps", "missing", "unsound"])];
    rows.extend(check.series.iter().map(|s| {
        let numbers = [s.rows, s.gaps.len() as u64, s.missing, s.unsound];
        let names = [s.symbol.to_string(), s.interval.to_string()];
        names.into_iter().chain(numbers.map(|n| n.to_string())).collect()
    }));
    let mut text = table(&rows);
    for series in &check.series {
        for gap in series.gaps.iter().take(SHOWN_GAPS) {
            text.push_str(&format!("\n{} {}: {} missing from {}", series.symbol, series.interval, gap.missing, gap.start));
        }
        if series.gaps.len() > SHOWN_GAPS {
            text.push_str(&format!(
                "\n{} {}: {} more gaps (--json lists all)",
                series.symbol,
                series.interval,
                series.gaps.len() - SHOWN_GAPS
            ));
        }
    }
    text
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
