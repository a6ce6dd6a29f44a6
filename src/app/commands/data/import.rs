//! `huracan data import`: captures, candle files and files of trades (plain, gzip, zip) into the data file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::{data_file, progress};
use super::TradeBars;
use crate::app::Context;
use crate::app::clock;
use crate::app::failure::{Failure, Outcome};
use crate::app::history::{TradeCandles, without};
use crate::app::output::table;
use crate::app::training::{KnownInstrument, keep_instrument, stored_instrument};
use crate::domain::{Candle, FeeRates, Instrument, Interval, MarketUpdate, Symbol, Timestamp, find_gaps};
use crate::market::merge_by_local_time;
use crate::protocol::{CandleSource, HistoryPage, HistorySpan};
use crate::store::Store;
use crate::venue::capture::{CaptureError, CaptureReader, is_capture};
use crate::venue::history::{is_trades, trades_whole_until};
use crate::venue::infer_instrument;
use crate::venue::ohlcv::{OhlcvFile, read_candles};

/// Bars from which a market's grains are inferred when the source is a capture: short, so that there are many prices.
const GRAIN_BARS: Interval = match Interval::from_secs(1) {
    Some(second) => second,
    None => Interval::MINUTE,
};
/// Candles of one transaction.
const TOGETHER: usize = 10_000;
/// Bad rows in the text for people; the JSON lists all.
const SHOWN_BAD_ROWS: usize = 10;

#[derive(Debug)]
pub struct Wanted {
    pub files: Vec<PathBuf>,
    pub symbol: Option<Symbol>,
    pub interval: Option<Interval>,
    pub instrument: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct FileReport {
    file: PathBuf,
    rows: u64,
    skipped: u64,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct BadLine {
    file: PathBuf,
    line: Option<u64>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    files: Vec<FileReport>,
    candles: u64,
    series: Vec<SeriesReport>,
    bad_rows: Vec<BadLine>,
    assumptions: Vec<String>,
    /// The market's rules when there is one market; `instruments` has all.
    instrument: Option<KnownInstrument>,
    instruments: Vec<KnownInstrument>,
}

#[derive(Debug, Serialize)]
struct SeriesReport {
    symbol: Symbol,
    interval: Interval,
    /// Candles that were stored.
    candles: u64,
    /// Left out: they had not closed yet.
    unfinished: u64,
    /// Left out: the venue itself told their stretches.
    told_by_venue: u64,
}

/// What the files held.
#[derive(Debug, Default)]
struct Gathered {
    files: Vec<FileReport>,
    bad_rows: Vec<BadLine>,
    assumptions: Vec<String>,
    series: BTreeMap<(Symbol, Interval), Vec<Candle>>,
    /// The files that candles came from.
    origins: BTreeMap<(Symbol, Interval), Vec<String>>,
    /// Trades of a market are folded from file to file, in the order given.
    folds: BTreeMap<(Symbol, Interval), TradeCandles>,
    /// One-second bars of captured markets, for their grains.
    grains: BTreeMap<Symbol, Vec<Candle>>,
}

/// Reads everything first: a file that cannot be read changes nothing.
pub fn import(context: &Context, wanted: &Wanted) -> Outcome {
    let told = wanted.instrument.as_deref().map(read_instrument).transpose()?;
    let symbol = match (wanted.symbol, told.as_ref().map(|i| i.symbol)) {
        (Some(named), Some(told)) if named != told => {
            return Err(Failure::usage(format!("--symbol is {named}, but the instrument file describes {told}; name the right one")));
        }
        (named, told) => named.or(told),
    };
    let mut captures = Vec::new();
    let mut tables = Vec::new();
    for file in &wanted.files {
        if is_capture(file)? { captures.push(file.as_path()) } else { tables.push(file.as_path()) }
    }
    let mut gathered = Gathered::default();
    let bar = progress::bar(context.out, wanted.files.len() as u64).with_message("reading");
    if !captures.is_empty() {
        gathered.take_captures(&captures, wanted.interval.unwrap_or(Interval::MINUTE), symbol)?;
        bar.inc(captures.len() as u64);
    }
    for file in tables {
        let (named_symbol, named_interval) = told_by_name(file);
        let symbol = symbol.or(named_symbol).ok_or_else(|| {
            Failure::usage(format!("{} does not say which market it is; name it with --symbol, such as --symbol BTCUSDT", file.display()))
        })?;
        if is_trades(file)? {
            gathered.take_trades(file, symbol, wanted.interval.unwrap_or(Interval::MINUTE))?;
        } else {
            gathered.take_table(file, read_candles(file)?, symbol, wanted.interval.or(named_interval))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let store = data_file::writing(context)?;
    let answer = keep(&store, gathered, told, context.config.fees())?;
    context.out.answer(&answer, || text(&answer))
}

/// Market and interval as the archive and `data export` name their files: `BTCUSDT-1m-2024-01.zip`, `BTCUSDT-aggTrades-2024-01-31.zip`,
/// `BTCUSDT-1m.csv.gz`.
fn told_by_name(path: &Path) -> (Option<Symbol>, Option<Interval>) {
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or("");
    let mut parts = name.split(['-', '.']);
    let (symbol, what) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let interval = what.parse::<Interval>().ok();
    let known = interval.is_some() || matches!(what, "aggTrades" | "trades");
    (symbol.parse().ok().filter(|_| known), interval)
}

fn read_instrument(path: &Path) -> Outcome<Instrument> {
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "{}: {e}; it needs symbol, base, quote, trading, tick, step, min_qty, max_qty, min_notional, max_notional, fees",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    toml::from_str(&text).map_err(|e| wrong(&e.to_string().trim_end()))
}

impl Gathered {
    /// All captures as one stream, so that a market's candles continue from file to file.
    fn take_captures(&mut self, paths: &[&Path], interval: Interval, only: Option<Symbol>) -> Outcome {
        let opened = paths.iter().map(CaptureReader::open).collect::<Result<Vec<_>, _>>()?;
        let mut watched: Vec<Watched> = opened.into_iter().map(|reader| Watched { reader, first: None, last: None }).collect();
        let mut bars: BTreeMap<Symbol, (TradeBars, TradeBars)> = BTreeMap::new();
        for item in merge_by_local_time(watched.iter_mut()) {
            match item {
                Ok(update) if only.is_none_or(|symbol| symbol == update.symbol) => {
                    let new = || (TradeBars::new(interval), TradeBars::new(GRAIN_BARS));
                    let (asked, grains) = bars.entry(update.symbol).or_insert_with(new);
                    asked.take(&update);
                    grains.take(&update);
                }
                Ok(_) => {}
                Err(fault) => self.bad_rows.push(bad_line(fault)),
            }
        }
        if let Some(symbol) = only.filter(|symbol| !bars.contains_key(symbol)) {
            let seen: Vec<String> = watched.iter().flat_map(|w| w.reader.symbols()).map(Symbol::to_string).collect();
            return Err(Failure::usage(format!(
                "the captures hold no {symbol}, but {}; leave --symbol out to take what there is",
                seen.join(", ")
            )));
        }
        self.files.extend(watched.iter().zip(paths).map(|(watched, path)| watched.report(path)));
        for (symbol, (asked, grains)) in bars {
            let (candles, _) = asked.finish();
            self.assumptions.push(format!(
                "{symbol}: candles are folded from recorded trades by the venue's time; those the recording saw only a part of are left out"
            ));
            self.series.entry((symbol, interval)).or_default().extend(candles);
            self.grains.entry(symbol).or_default().extend(grains.finish().0);
        }
        Ok(())
    }

    /// Candles of a file that is whole over its days when it is named as one of the archive's, and those days are over.
    fn take_trades(&mut self, path: &Path, symbol: Symbol, interval: Interval) -> Outcome {
        let series = (symbol, interval);
        let whole_until = trades_whole_until(path).filter(|end| *end <= clock::now());
        let (candles, told) = self.folds.entry(series).or_insert_with(|| TradeCandles::new(interval)).file(path, whole_until)?;
        let end = match whole_until {
            Some(end) => format!("by its name it is whole until {end}"),
            None => "the last one is unfinished and left out".to_owned(),
        };
        self.assumptions.push(format!("{}: candles of {interval} are folded from its trades; {end}", path.display()));
        self.bad_rows.extend(told.bad.into_iter().map(|(line, reason)| BadLine { file: path.to_owned(), line: Some(line), reason }));
        self.files.push(FileReport {
            file: path.to_owned(),
            rows: told.rows,
            skipped: told.skipped,
            first_time: told.first_time,
            last_time: told.last_time,
        });
        self.came_from(series, path);
        self.series.entry(series).or_default().extend(candles);
        Ok(())
    }

    fn came_from(&mut self, series: (Symbol, Interval), path: &Path) {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.origins.entry(series).or_default().push(name);
    }

    fn take_table(&mut self, path: &Path, file: OhlcvFile, symbol: Symbol, interval: Option<Interval>) -> Outcome {
        let shown = path.display();
        let interval = match (interval, file.interval) {
            (Some(named), Some(found)) if named != found => {
                self.assumptions.push(format!("{shown}: most neighbours are {found} apart, but --interval {named} is taken"));
                named
            }
            (Some(named), _) => named,
            (None, Some(found)) => {
                self.assumptions.push(format!("{shown}: the interval is taken to be {found}, the usual distance of neighbours"));
                found
            }
            (None, None) => {
                return Err(Failure::usage(format!("{shown} has too few candles to tell their interval; name it with --interval")));
            }
        };
        self.assumptions.extend(file.assumptions.iter().map(|text| format!("{shown}: {text}")));
        self.bad_rows.extend(file.skipped.iter().map(|bad| BadLine {
            file: path.to_owned(),
            line: Some(bad.line),
            reason: bad.reason.to_string(),
        }));
        self.files.push(FileReport {
            file: path.to_owned(),
            rows: file.rows,
            skipped: file.skipped.len() as u64,
            first_time: file.first_time,
            last_time: file.last_time,
        });
        self.came_from((symbol, interval), path);
        self.series.entry((symbol, interval)).or_default().extend(file.candles);
        Ok(())
    }
}

/// A capture that remembers when its updates arrived.
struct Watched {
    reader: CaptureReader,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Iterator for Watched {
    type Item = Result<MarketUpdate, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.reader.next()?;
        if let Ok(update) = &item {
            self.first.get_or_insert(update.local_time);
            self.last = Some(update.local_time);
        }
        Some(item)
    }
}

impl Watched {
    fn report(&self, path: &Path) -> FileReport {
        let counters = self.reader.counters();
        let skipped = counters.unreadable + counters.skipped;
        FileReport { file: path.to_owned(), rows: counters.lines, skipped, first_time: self.first, last_time: self.last }
    }
}

fn bad_line(fault: CaptureError) -> BadLine {
    let (path, line) = match &fault {
        CaptureError::Open { path, .. } => (path, None),
        CaptureError::NotACaptureLine { path, line }
        | CaptureError::Message { path, line, .. }
        | CaptureError::Damaged { path, line, .. }
        | CaptureError::SnapshotWithoutMarket { path, line }
        | CaptureError::AmbiguousSnapshot { path, line, .. } => (path, Some(*line)),
    };
    BadLine { file: path.clone(), line, reason: format!("{:#}", anyhow::Error::from(fault)) }
}

/// Stores candles and rules. Rules that were told before stay, unless an instrument file tells others.
fn keep(store: &Store, gathered: Gathered, told: Option<Instrument>, fees: FeeRates) -> Outcome<Answer> {
    let Gathered { files, bad_rows, mut assumptions, series, grains, origins, folds: _ } = gathered;
    let mut reports = Vec::new();
    let mut instruments: BTreeMap<Symbol, KnownInstrument> = BTreeMap::new();
    for ((symbol, interval), candles) in &series {
        let place = origins.get(&(*symbol, *interval)).map_or("captures".to_owned(), |files| match files.as_slice() {
            [only] => only.clone(),
            files => format!("{} and {} more", files[0], files.len() - 1),
        });
        reports.push(keep_candles(store, (*symbol, *interval), candles, &place)?);
        let known = match (told.as_ref().filter(|i| i.symbol == *symbol), stored_instrument(store, *symbol)?) {
            (Some(told), _) => KnownInstrument { instrument: told.clone(), inferred: false, notes: Vec::new() },
            (None, Some(known)) if !known.inferred => known,
            _ => {
                let mut all = store.candles(*symbol, *interval, Timestamp::EPOCH, Timestamp::MAX)?;
                all.extend(grains.get(symbol).into_iter().flatten());
                let (instrument, notes) = infer_instrument(*symbol, &all, fees);
                KnownInstrument { instrument, inferred: true, notes }
            }
        };
        keep_instrument(store, &known)?;
        instruments.insert(*symbol, known);
    }
    let instruments: Vec<KnownInstrument> = instruments.into_values().collect();
    for known in &instruments {
        assumptions.extend(known.notes.iter().map(|note| format!("{}: {note}", known.instrument.symbol)));
    }
    let instrument = if let [only] = instruments.as_slice() { Some(only.clone()) } else { None };
    let candles = reports.iter().map(|report| report.candles).sum();
    Ok(Answer { files, candles, series: reports, bad_rows, assumptions, instrument, instruments })
}

/// Stores candles with the file they came from, stretch by stretch: over a hole in it a file says nothing. What has not closed yet, and
/// what the venue itself told, stays as it is.
fn keep_candles(store: &Store, (symbol, interval): (Symbol, Interval), candles: &[Candle], place: &str) -> Outcome<SeriesReport> {
    let at = clock::now();
    let sorted: BTreeMap<Timestamp, Candle> = candles.iter().map(|candle| (candle.open_time, *candle)).collect();
    let all = sorted.len();
    let sorted: Vec<Candle> = sorted.into_values().filter(|candle| candle.open_time + interval.span() <= at).collect();
    let by_venue = |source| matches!(source, CandleSource::Rest | CandleSource::Mirror | CandleSource::Archive);
    let spans = store.history_spans(symbol, interval)?;
    let told: Vec<(Timestamp, Timestamp)> = spans.iter().filter(|span| by_venue(span.source)).map(|span| (span.start, span.end)).collect();
    let whole = sorted.first().zip(sorted.last()).map(|(first, last)| (first.open_time, last.open_time + interval.span()));
    let mut stored = 0;
    for (from, until) in without(whole.as_slice(), &told) {
        let inside = &sorted[sorted.partition_point(|c| c.open_time < from)..sorted.partition_point(|c| c.open_time < until)];
        keep_stretch(store, (symbol, interval), inside, until, (place, at))?;
        stored += inside.len();
    }
    let (unfinished, told_by_venue) = ((all - sorted.len()) as u64, (sorted.len() - stored) as u64);
    Ok(SeriesReport { symbol, interval, candles: stored as u64, unfinished, told_by_venue })
}

/// Stores the candles of a stretch that is the file's to tell up to `until`.
fn keep_stretch(
    store: &Store,
    (symbol, interval): (Symbol, Interval),
    candles: &[Candle],
    until: Timestamp,
    (place, at): (&str, Timestamp),
) -> Outcome {
    let holes: Vec<Timestamp> = find_gaps(candles, interval).iter().map(|gap| gap.end).collect();
    let mut rest = candles;
    while let Some(first) = rest.first() {
        let hole = holes.iter().find(|hole| **hole > first.open_time).copied().unwrap_or(Timestamp::MAX);
        let count = rest.partition_point(|candle| candle.open_time < hole).min(TOGETHER);
        let (now, later) = rest.split_at(count);
        let last = now.last().map_or(first.open_time, |candle| candle.open_time);
        let after = later.first().map_or(until, |candle| candle.open_time);
        let end = (last + interval.span()).min(after);
        let span = HistorySpan { start: first.open_time, end, source: CandleSource::Import, place: place.to_owned(), at };
        store.keep_history(&HistoryPage { symbol, interval, candles: now.to_vec(), span, replace: false })?;
        rest = later;
    }
    Ok(())
}

fn text(answer: &Answer) -> String {
    let mut rows = vec![["file", "rows", "skipped", "first", "last"].map(str::to_owned).to_vec()];
    let time = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| at.to_string());
    rows.extend(
        answer
            .files
            .iter()
            .map(|f| vec![f.file.display().to_string(), f.rows.to_string(), f.skipped.to_string(), time(f.first_time), time(f.last_time)]),
    );
    let mut text = table(&rows);
    for series in &answer.series {
        text.push_str(&format!("\n{} {}: {} candles", series.symbol, series.interval, series.candles));
        if series.unfinished > 0 {
            text.push_str(&format!("; {} left out that have not closed yet", series.unfinished));
        }
        if series.told_by_venue > 0 {
            text.push_str(&format!("; {} left out where the venue itself told the candles", series.told_by_venue));
        }
    }
    for known in &answer.instruments {
        let i = &known.instrument;
        let how = if known.inferred { "inferred" } else { "as told" };
        text.push_str(&format!("\n{} ({how}): {} against {}, tick {}, step {}", i.symbol, i.base, i.quote, i.tick, i.step));
    }
    for bad in answer.bad_rows.iter().take(SHOWN_BAD_ROWS) {
        let line = bad.line.map_or(String::new(), |line| format!(" line {line}"));
        text.push_str(&format!("\nleft out: {}{line}: {}", bad.file.display(), bad.reason));
    }
    if answer.bad_rows.len() > SHOWN_BAD_ROWS {
        text.push_str(&format!("\nleft out: {} more (--json lists all)", answer.bad_rows.len() - SHOWN_BAD_ROWS));
    }
    for assumption in &answer.assumptions {
        text.push_str(&format!("\nassumed: {assumption}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(minute: i64, price: &str) -> Candle {
        let price = price.parse().unwrap();
        let (volume, taker_buy_volume) = ("1".parse().unwrap(), None);
        let open_time = Timestamp::from_millis(minute * 60_000);
        Candle { open_time, open: price, high: price, low: price, close: price, volume, taker_buy_volume, trades: 1 }
    }

    #[test]
    fn file_names_of_the_archive_and_of_exports_tell_market_and_interval() {
        let told = |name: &str| {
            let (symbol, interval) = told_by_name(Path::new(name));
            (symbol.map(|s| s.to_string()), interval.map(|i| i.to_string()))
        };
        let both = |symbol: &str, interval: &str| (Some(symbol.to_owned()), Some(interval.to_owned()));
        assert_eq!(told("x/BTCUSDT-1m-2024-01.zip"), both("BTCUSDT", "1m"));
        assert_eq!(told("ETHBTC-4h.csv.gz"), both("ETHBTC", "4h"));
        assert_eq!(told("BTCUSDT-aggTrades-2024-01-31.zip"), (Some("BTCUSDT".to_owned()), None));
        assert_eq!(told("my-data.csv"), (None, None));
    }

    #[test]
    fn what_a_file_holds_is_kept_with_its_name_and_its_holes() {
        let dir = tempfile::tempdir().unwrap();
        let store = data_file::writing_to(&dir.path().join("x.redb")).unwrap();
        let series = ("ADABTC".parse().unwrap(), Interval::MINUTE);
        let candles: Vec<Candle> = (0..TOGETHER as i64 + 500).filter(|m| ![7, 8].contains(m)).map(|m| candle(m, "1")).collect();
        keep_candles(&store, series, &candles, "a.csv").unwrap();
        let spans: Vec<(i64, i64)> =
            store.history_spans(series.0, series.1).unwrap().iter().map(|s| (s.start.millis() / 60_000, s.end.millis() / 60_000)).collect();
        assert_eq!(spans, [(0, 7), (9, TOGETHER as i64 + 500)]);
        assert_eq!(store.candles(series.0, series.1, Timestamp::EPOCH, Timestamp::MAX).unwrap(), candles);
    }

    #[test]
    fn what_the_venue_told_and_what_has_not_closed_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = data_file::writing_to(&dir.path().join("x.redb")).unwrap();
        let (symbol, interval) = ("ADABTC".parse().unwrap(), Interval::MINUTE);
        let minute = |m: i64| Timestamp::from_millis(m * 60_000);
        for (source, from, until) in [(CandleSource::Rest, 3, 6), (CandleSource::Archive, 8, 9), (CandleSource::Kraken, 10, 12)] {
            let span = HistorySpan { start: minute(from), end: minute(until), source, place: "x".into(), at: minute(20) };
            let candles = (from..until).map(|m| candle(m, "2")).collect();
            store.keep_history(&HistoryPage { symbol, interval, candles, span, replace: false }).unwrap();
        }
        let this_minute = clock::now().millis() / 60_000;
        let file: Vec<Candle> = (0..12).chain(this_minute + 1..this_minute + 3).map(|m| candle(m, "1")).collect();
        let report = keep_candles(&store, (symbol, interval), &file, "a.csv").unwrap();
        assert_eq!((report.candles, report.told_by_venue, report.unfinished), (8, 4, 2));
        let stored = store.candles(symbol, interval, Timestamp::EPOCH, Timestamp::MAX).unwrap();
        let venues: Vec<i64> = stored.iter().filter(|c| c.open.to_string() == "2").map(|c| c.open_time.millis() / 60_000).collect();
        assert_eq!((stored.len(), venues), (12, vec![3, 4, 5, 8]));
        let told: Vec<(i64, CandleSource)> =
            store.history_spans(symbol, interval).unwrap().iter().map(|s| (s.start.millis() / 60_000, s.source)).collect();
        let (import, rest, archive) = (CandleSource::Import, CandleSource::Rest, CandleSource::Archive);
        assert_eq!(told, [(0, import), (3, rest), (6, import), (8, archive), (9, import)]);
        let again = keep_candles(&store, (symbol, interval), &file[3..6], "a.csv").unwrap();
        assert_eq!((again.candles, again.told_by_venue), (0, 3));
    }

    #[test]
    fn a_part_of_a_day_of_trades_becomes_no_candles_up_to_midnight() {
        let dir = tempfile::tempdir().unwrap();
        let rows = "1,10,1,1,1,1704067201000,True,True\n2,11,1,2,2,1704067330000,True,True\n";
        let mut counts = Vec::new();
        for name in ["mine.csv", "BTCUSDT-aggTrades-2024-01-01.csv", "BTCUSDT-aggTrades-2124-01-01.csv"] {
            let path = dir.path().join(name);
            std::fs::write(&path, rows).unwrap();
            let mut gathered = Gathered::default();
            gathered.take_trades(&path, "BTCUSDT".parse().unwrap(), Interval::MINUTE).unwrap();
            counts.extend(gathered.series.values().map(Vec::len));
        }
        assert_eq!(counts, [2, 1_440, 2]);
    }
}
