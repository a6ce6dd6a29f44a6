//! `huracan data list` and `check`: what is stored, and what is missing in it.

use serde::Serialize;

use super::super::data_file;
use super::gap_list::{ListedGap, known_gaps};
use crate::app::Context;
use crate::app::failure::{ExitKind, Outcome};
use crate::app::history::Stored;
use crate::app::output::table;
use crate::app::training::stored_instrument;
use crate::domain::{Asset, Interval, Symbol, Timestamp};
use crate::protocol::{CandleSource, HistorySpan};
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
    /// Gaps on record that are neither repaired nor proven absent.
    gaps: u64,
    bytes: u64,
    /// Whose candles these are, stretch by stretch; what was stored without its origin is not among them.
    sources: Vec<Origin>,
    quote: Option<Asset>,
    /// `None` when nothing is kept of the market's rules.
    instrument_inferred: Option<bool>,
}

/// A stretch of candles with their origin.
#[derive(Debug, Serialize)]
struct Origin {
    source: CandleSource,
    place: String,
    start: Timestamp,
    end: Timestamp,
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
        let mut rows = vec![header(&["symbol", "interval", "candles", "first", "last", "gaps", "bytes", "source", "rules"])];
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
                s.gaps.to_string(),
                s.bytes.to_string(),
                names(&s.sources),
                rules.to_owned(),
            ]
        }));
        format!("{} ({})\n{}", answer.file, answer.kind, table(&rows))
    })
}

fn listed(store: &Store, series: &CandleSeries) -> Outcome<Listed> {
    let known = stored_instrument(store, series.symbol)?;
    let open = store.gaps(series.symbol, series.interval)?.iter().filter(|gap| gap.state.name() == "found").count();
    Ok(Listed {
        symbol: series.symbol,
        interval: series.interval,
        rows: series.count,
        first_time: series.first,
        last_time: series.last,
        gaps: open as u64,
        bytes: series.bytes,
        sources: origins(store, series)?,
        quote: known.as_ref().map(|k| k.instrument.quote),
        instrument_inferred: known.map(|k| k.inferred),
    })
}

fn origins(store: &Store, series: &CandleSeries) -> Outcome<Vec<Origin>> {
    let within = |span: &HistorySpan| span.start <= series.last && series.first < span.end;
    let spans = store.history_spans(series.symbol, series.interval)?;
    let origin = |span: HistorySpan| Origin { source: span.source, place: span.place, start: span.start, end: span.end };
    Ok(spans.into_iter().filter(within).map(origin).collect())
}

/// Each source once, in the order of its first stretch.
fn names(origins: &[Origin]) -> String {
    let mut names: Vec<String> = Vec::new();
    for origin in origins {
        let name = origin.source.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "untold".to_owned() } else { names.join("+") }
}

#[derive(Debug, Serialize)]
struct Checked {
    symbol: Symbol,
    interval: Interval,
    rows: u64,
    missing: u64,
    /// Candles whose prices are not positive and ordered.
    unsound: u64,
    /// Candles that do not open on a multiple of their interval.
    off_grid: u64,
    /// What is missing now: found, or proven absent.
    gaps: Vec<ListedGap>,
    /// What was missing once.
    repaired: Vec<ListedGap>,
    sources: Vec<Origin>,
}

#[derive(Debug, Serialize)]
struct Check {
    series: Vec<Checked>,
    /// False when a running huracan holds the file: the gaps are shown, not kept.
    kept: bool,
}

/// Finds the holes of every series and keeps them on record.
pub fn check(context: &Context) -> Outcome {
    // A file that is missing is named, not created.
    drop(data_file::reading(context)?);
    let (store, kept) = match data_file::writing_to(&data_file::existing(context)) {
        Ok(store) => (store, true),
        Err(failure) if failure.kind == ExitKind::Refused => (data_file::reading(context)?, false),
        Err(failure) => return Err(failure),
    };
    let series = store.candle_series()?.iter().map(|series| checked(&store, series, kept)).collect::<Outcome<Vec<_>>>()?;
    let answer = Check { series, kept };
    context.out.answer(&answer, || check_text(&answer))
}

fn checked(store: &Store, series: &CandleSeries, keep: bool) -> Outcome<Checked> {
    let (symbol, interval) = (series.symbol, series.interval);
    let stored = Stored::of(store, symbol, interval, (series.first, series.last + interval.span()))?;
    let (records, changed) = known_gaps(store, symbol, interval, &stored)?;
    if keep && changed {
        store.put_gaps(symbol, interval, &records)?;
    }
    let (repaired, gaps) = records.iter().map(ListedGap::of).partition(|gap| gap.state == "repaired");
    Ok(Checked {
        symbol,
        interval,
        rows: stored.rows,
        missing: stored.gaps.iter().map(|gap| gap.missing).sum(),
        unsound: stored.unsound,
        off_grid: stored.off_grid,
        gaps,
        repaired,
        sources: origins(store, series)?,
    })
}

fn check_text(check: &Check) -> String {
    if check.series.is_empty() {
        return "no candles are stored yet; import or fetch some".to_owned();
    }
    let mut rows = vec![header(&["symbol", "interval", "candles", "gaps", "missing", "repaired", "unsound", "off grid", "source"])];
    rows.extend(check.series.iter().map(|s| {
        let numbers = [s.rows, s.gaps.len() as u64, s.missing, s.repaired.len() as u64, s.unsound, s.off_grid];
        let front = [s.symbol.to_string(), s.interval.to_string()];
        front.into_iter().chain(numbers.map(|n| n.to_string())).chain([names(&s.sources)]).collect()
    }));
    let mut text = table(&rows);
    for series in &check.series {
        for gap in series.gaps.iter().take(SHOWN_GAPS) {
            let state = if gap.state == "found" { "huracan data repair asks for them again" } else { "proven absent" };
            text.push_str(&format!("\n{} {}: {} missing from {}; {state}", series.symbol, series.interval, gap.missing, gap.start));
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
