//! Candle files: Binance's 12-column klines (with or without header) and plain OHLCV tables with named columns, plain or gzip.
//!
//! Times may be seconds, milliseconds, microseconds or nanoseconds (told apart per row by their size: Binance changed from milliseconds
//! to microseconds on 2025-01-01) or ISO text. Whatever the file leaves open is written into `assumptions`.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::capture::open_plain_or_gzip;
use crate::domain::{Candle, Interval, Price, Qty, Span, Timestamp};

/// The largest table of the archive, a month of trades, is below this.
const MOST_UNPACKED: u64 = 64 << 30;

/// A candle file as read: `rows = candles + skipped`.
#[derive(Debug, Clone, PartialEq)]
pub struct OhlcvFile {
    /// Sorted by open time, one per open time.
    pub candles: Vec<Candle>,
    /// Data rows, without the header.
    pub rows: u64,
    pub skipped: Vec<BadRow>,
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    /// The most frequent distance of neighbours; `None` with fewer than two candles.
    pub interval: Option<Interval>,
    pub assumptions: Vec<String>,
}

/// A row that was left out; `line` counts from 1 and includes the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    pub line: u64,
    /// `None` when the row does not tell it.
    pub open_time: Option<Timestamp>,
    pub reason: BadRowReason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRowReason {
    #[error("{have} columns, {need} needed")]
    TooFewColumns { have: usize, need: usize },
    #[error("'{0}' is not a time")]
    Time(String),
    #[error("column {column}: '{text}' is not a number in range")]
    Number { column: &'static str, text: String },
    #[error("prices are not positive and ordered, or the volume is negative")]
    Unsound,
    #[error("the time of line {0} again; that one is kept")]
    Duplicate(u64),
    #[error("not readable as text: {0}")]
    Text(String),
}

#[derive(Debug, thiserror::Error)]
pub enum OhlcvError {
    #[error("cannot read {}: check the path and its permissions", .path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{} is a zip archive that holds no table, or a damaged one: {detail}; download it again", .path.display())]
    Zip { path: PathBuf, detail: String },
    #[error("{} is empty: nothing to import", .path.display())]
    Empty { path: PathBuf },
    #[error("{} has no column for {column} (found: {found}); name it in the header", .path.display())]
    MissingColumn { path: PathBuf, column: &'static str, found: String },
}

/// Reads a candle file.
///
/// # Errors
/// When the file cannot be opened, is empty, or lacks a column. Bad rows are no errors: they are listed in `skipped`.
pub fn read_candles(path: impl AsRef<Path>) -> Result<OhlcvFile, OhlcvError> {
    let path = path.as_ref();
    with_input(path, |input| read_table(path, input))
}

/// Hands the text of a plain, gzip or zip file (its first entry) to `work`; nothing of it is held as a whole.
pub(super) fn with_input<T>(path: &Path, work: impl FnOnce(&mut dyn Read) -> Result<T, OhlcvError>) -> Result<T, OhlcvError> {
    let unreadable = |source| OhlcvError::Open { path: path.to_owned(), source };
    let mut input = open_plain_or_gzip(path).map_err(unreadable)?;
    if !input.fill_buf().map_err(unreadable)?.starts_with(b"PK\x03\x04") {
        return work(&mut input);
    }
    let broken = |error: zip::result::ZipError| OhlcvError::Zip { path: path.to_owned(), detail: error.to_string() };
    let file = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let entry = archive.by_index(0).map_err(broken)?;
    work(&mut BufReader::with_capacity(1 << 16, entry.take(MOST_UNPACKED)))
}

fn read_table(path: &Path, input: &mut dyn Read) -> Result<OhlcvFile, OhlcvError> {
    let unreadable = |source| OhlcvError::Open { path: path.to_owned(), source };
    let mut table = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(input);
    let mut record = StringRecord::new();
    let first = table.read_record(&mut record).map_err(|e| unreadable(std::io::Error::other(e)))?;
    if !first {
        return Err(OhlcvError::Empty { path: path.to_owned() });
    }
    let has_header = parse_time(record.get(0).unwrap_or("").trim_start_matches('\u{feff}')).is_none();
    let columns = if has_header { Columns::from_header(path, &record)? } else { Columns::positional(record.len()) };
    let mut rows = Rows { columns, ..Rows::default() };
    if !has_header {
        rows.take(&record, 1);
    }
    loop {
        let line = table.position().line();
        match table.read_record(&mut record) {
            Ok(true) => rows.take(&record, record.position().map_or(line, csv::Position::line)),
            Ok(false) => break,
            Err(error) => {
                let fatal = error.is_io_error();
                rows.skip(line, None, BadRowReason::Text(error.to_string()));
                if fatal {
                    break;
                }
            }
        }
    }
    Ok(rows.finish())
}

/// Where each value stands.
#[derive(Debug, Clone, Default)]
struct Columns {
    time: usize,
    prices: [usize; 4],
    volume: Option<usize>,
    trades: Option<usize>,
    taker_buy: Option<usize>,
}

const PRICE_NAMES: [&str; 4] = ["open", "high", "low", "close"];
const TIME_NAMES: [&str; 9] = ["open_time", "opentime", "timestamp", "time", "date", "datetime", "date_time", "unix", "open_timestamp"];
const VOLUME_NAMES: [&str; 4] = ["volume", "vol", "base_volume", "volume_base"];
const TRADES_NAMES: [&str; 5] = ["count", "trades", "number_of_trades", "num_trades", "trade_count"];
const TAKER_NAMES: [&str; 4] = ["taker_buy_volume", "taker_buy_base", "taker_buy_base_volume", "taker_buy_base_asset_volume"];

impl Columns {
    /// Binance's archive order; a file of fewer columns ends where it ends.
    fn positional(width: usize) -> Self {
        let have = |index: usize| (index < width).then_some(index);
        Self { time: 0, prices: [1, 2, 3, 4], volume: have(5), trades: have(8), taker_buy: have(9) }
    }

    fn from_header(path: &Path, header: &StringRecord) -> Result<Self, OhlcvError> {
        let tidy = |name: &str| name.trim_start_matches('\u{feff}').trim().to_lowercase().replace([' ', '-'], "_");
        let names: Vec<String> = header.iter().map(tidy).collect();
        let find = |wanted: &[&str]| wanted.iter().find_map(|w| names.iter().position(|n| n == w));
        let missing = |column| OhlcvError::MissingColumn { path: path.to_owned(), column, found: names.join(", ") };
        let mut prices = [0; 4];
        for (place, name) in prices.iter_mut().zip(PRICE_NAMES) {
            *place = find(&[name]).ok_or_else(|| missing(name))?;
        }
        Ok(Self {
            time: find(&TIME_NAMES).ok_or_else(|| missing("the open time"))?,
            prices,
            volume: find(&VOLUME_NAMES),
            trades: find(&TRADES_NAMES),
            taker_buy: find(&TAKER_NAMES),
        })
    }
}

#[derive(Default)]
struct Rows {
    columns: Columns,
    /// By open time, with the line each came from.
    candles: BTreeMap<Timestamp, (u64, Candle)>,
    rows: u64,
    skipped: Vec<BadRow>,
    rounded: u64,
    text_times: u64,
}

impl Rows {
    fn take(&mut self, record: &StringRecord, line: u64) {
        match self.candle(record) {
            Ok(candle) if !candle.is_sound() => self.skip(line, Some(candle.open_time), BadRowReason::Unsound),
            Ok(candle) => match self.candles.get(&candle.open_time) {
                Some((kept, _)) => self.skip(line, Some(candle.open_time), BadRowReason::Duplicate(*kept)),
                None => {
                    self.candles.insert(candle.open_time, (line, candle));
                    self.rows += 1;
                }
            },
            Err(reason) => self.skip(line, None, reason),
        }
    }

    fn skip(&mut self, line: u64, open_time: Option<Timestamp>, reason: BadRowReason) {
        self.rows += 1;
        self.skipped.push(BadRow { line, open_time, reason });
    }

    fn candle(&mut self, record: &StringRecord) -> Result<Candle, BadRowReason> {
        let columns = self.columns.clone();
        let need = columns.prices.iter().copied().chain([columns.time]).max().unwrap_or(0) + 1;
        if record.len() < need {
            return Err(BadRowReason::TooFewColumns { have: record.len(), need });
        }
        let text = record.get(columns.time).unwrap_or("");
        let (open_time, is_text) = parse_time(text).ok_or_else(|| BadRowReason::Time(short(text)))?;
        self.text_times += u64::from(is_text);
        let mut prices = [Price::ZERO; 4];
        for ((place, index), column) in prices.iter_mut().zip(columns.prices).zip(PRICE_NAMES) {
            let raw = self.number(record, index, column)?;
            let text = || short(record.get(index).unwrap_or(""));
            *place = i64::try_from(raw).map(Price::from_raw).map_err(|_| BadRowReason::Number { column, text: text() })?;
        }
        let [open, high, low, close] = prices;
        let volume = columns.volume.map_or(Ok(0), |index| self.number(record, index, "volume"))?;
        let taker = columns.taker_buy.map(|index| self.number(record, index, "taker buy volume")).transpose()?;
        let trades = columns.trades.and_then(|index| record.get(index)?.parse::<f64>().ok()).unwrap_or(0.0);
        Ok(Candle {
            open_time,
            open,
            high,
            low,
            close,
            volume: Qty::from_raw(volume),
            taker_buy_volume: taker.map(Qty::from_raw),
            trades: trades as u32,
        })
    }

    fn number(&mut self, record: &StringRecord, index: usize, column: &'static str) -> Result<i128, BadRowReason> {
        let text = record.get(index).unwrap_or("");
        let (raw, rounded) = parse_number(text).ok_or_else(|| BadRowReason::Number { column, text: short(text) })?;
        self.rounded += u64::from(rounded);
        Ok(raw)
    }

    fn finish(self) -> OhlcvFile {
        let mut assumptions = Vec::new();
        if self.text_times > 0 {
            assumptions
                .push("text times mark the open of the candle, and are UTC unless they name a zone (the file does not say)".to_owned());
        }
        if self.columns.volume.is_none() {
            assumptions.push("no volume column: volumes are zero".to_owned());
        }
        if self.rounded > 0 {
            assumptions.push(format!("{} numbers had more than 8 decimals and were rounded to 8", self.rounded));
        }
        let candles: Vec<Candle> = self.candles.into_values().map(|(_, candle)| candle).collect();
        OhlcvFile {
            rows: self.rows,
            skipped: self.skipped,
            first_time: candles.first().map(|c| c.open_time),
            last_time: candles.last().map(|c| c.open_time),
            interval: usual_interval(&candles),
            candles,
            assumptions,
        }
    }
}

fn usual_interval(candles: &[Candle]) -> Option<Interval> {
    let mut counts: HashMap<Span, usize> = HashMap::new();
    for pair in candles.windows(2) {
        *counts.entry(pair[1].open_time.since(pair[0].open_time)).or_default() += 1;
    }
    let (usual, _) = counts.into_iter().max_by_key(|(span, count)| (*count, std::cmp::Reverse(*span)))?;
    Interval::from_secs(usual.nanos() / 1_000_000_000)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A time and whether it was written as text; `None` when it is neither.
pub(super) fn parse_time(text: &str) -> Option<(Timestamp, bool)> {
    let number = text.strip_suffix(".0").unwrap_or(text);
    if let Ok(value) = number.parse::<i64>() {
        // Each range holds the years 1973 to 5138 in its unit.
        let per_unit: i64 = match value {
            i64::MIN..0 => return None,
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return value.checked_mul(per_unit).map(|ns| (Timestamp::from_nanos(ns), false));
    }
    let nanos = match text.parse::<jiff::Timestamp>() {
        Ok(zoned) => zoned.as_nanosecond(),
        Err(_) => text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond(),
    };
    i64::try_from(nanos).ok().map(|ns| (Timestamp::from_nanos(ns), true))
}

/// A decimal number in steps of 1e-8 and whether it had to be rounded (half up). Exponents are accepted: other programs' float tables
/// write `5.33e-05`.
pub(super) fn parse_number(text: &str) -> Option<(i128, bool)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 30 || !(-40..=40).contains(&exponent) {
        return None;
    }
    let mut value: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        value = value * 10 + i128::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    let shift = 8 + exponent - fraction.len() as i32;
    let (raw, rounded) = if shift >= 0 {
        (value.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?, false)
    } else {
        let unit = 10_i128.checked_pow(shift.unsigned_abs())?;
        ((value + unit / 2) / unit, value % unit != 0)
    };
    Some((if negative { -raw } else { raw }, rounded))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> OhlcvFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read_candles(file.path()).unwrap()
    }

    const KLINE: &str = "100,110,90,105,12.5,1735689659999,1300.5,42,6.25,650.1,0";

    #[test]
    fn klines_are_read_with_and_without_header_in_both_units() {
        let bare = read(&format!("1735689540000,{KLINE}\n1735689600000000,{KLINE}\n"));
        assert_eq!(bare.candles.len(), 2);
        assert_eq!(bare.candles[1].open_time, Timestamp::from_millis(1_735_689_600_000));
        assert_eq!((bare.candles[0].trades, bare.candles[0].taker_buy_volume), (42, Some("6.25".parse().unwrap())));
        assert_eq!(bare.interval, Some(Interval::MINUTE));
        assert!(bare.assumptions.is_empty());
        let header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore";
        let named = read(&format!("{header}\n1735689540000,{KLINE}\n1735689600000000,{KLINE}\n"));
        assert_eq!(named, bare);
    }

    #[test]
    fn every_way_of_writing_a_time_gives_the_same_moment() {
        let wanted = Timestamp::from_millis(1_640_991_660_000);
        for text in [
            "1640991660",
            "1640991660000",
            "1640991660000000",
            "1640991660000000000",
            "1640991660000.0",
            "2021-12-31 23:01:00.000000",
            "2021-12-31T23:01:00",
            "2021-12-31T23:01:00Z",
            "2021-12-31 23:01:00+00:00",
            "2022-01-01T00:01:00+01:00",
        ] {
            let file = read(&format!("date,open,high,low,close\n{text},1,1,1,1\n"));
            assert_eq!(file.first_time, Some(wanted), "{text}");
        }
        assert_eq!(parse_time("2021-12-31").unwrap().0, Timestamp::from_millis(1_640_908_800_000));
        assert!(parse_time("yesterday").is_none() && parse_time("-5").is_none() && parse_time("").is_none());
    }

    #[test]
    fn what_the_file_leaves_open_is_said() {
        let file = read("timestamp,open,high,low,close\n2021-12-31 23:01:00.000000,1.123456789,2,1,2\n");
        let said = file.assumptions.join("; ");
        assert!(said.contains("mark the open") && said.contains("no volume") && said.contains("rounded"), "{said}");
        assert_eq!(file.candles[0].open.to_string(), "1.12345679");
    }

    #[test]
    fn bad_rows_are_named_and_good_ones_kept() {
        let file = read(
            "time,open,high,low,close,volume\n1640991720,2,3,1,2,5\n1640991660,1,2,1,2,5\n1640991780,1,0.5,1,1,5\nsoon,1,1,1,1,1\n\
             1640991840,1,1\n1640991900,one,1,1,1,1\n1640991660,1,2,1,2,5\n1640991960,1,2,1,2,-5\n1640992020,5.33e-05,1,1e-8,1,2\n",
        );
        let lines: Vec<u64> = file.skipped.iter().map(|b| b.line).collect();
        assert_eq!(lines, [4, 5, 6, 7, 8, 9]);
        assert_eq!(file.skipped[0].reason, BadRowReason::Unsound);
        assert_eq!(file.skipped[1].reason.to_string(), "'soon' is not a time");
        assert_eq!(file.skipped[4].reason, BadRowReason::Duplicate(3));
        let times: Vec<i64> = file.candles.iter().map(|c| c.open_time.millis() / 1000).collect();
        assert_eq!(times, [1_640_991_660, 1_640_991_720, 1_640_992_020]);
        assert_eq!(file.rows, 9);
        assert_eq!(file.candles[2].open.to_string(), "0.0000533");
    }

    #[test]
    fn a_missing_column_and_an_empty_file_are_errors_that_say_so() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(read_candles(file.path()), Err(OhlcvError::Empty { .. })));
        let mut zip = tempfile::NamedTempFile::new().unwrap();
        zip.write_all(b"PK\x03\x04rest").unwrap();
        assert!(matches!(read_candles(zip.path()), Err(OhlcvError::Zip { .. })));
        file.write_all(b"time,open,high,close\n1,1,1,1\n").unwrap();
        let error = read_candles(file.path()).unwrap_err().to_string();
        assert!(error.contains("no column for low") && error.contains("time, open"), "{error}");
    }

    #[test]
    fn a_cut_gzip_keeps_the_rows_before_the_cut() {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        out.write_all(b"time,open,high,low,close\n").unwrap();
        for minute in 0..2_000 {
            writeln!(out, "{},1,1,1,1", 1_640_991_660 + minute * 60).unwrap();
        }
        let bytes = out.finish().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes[..bytes.len() / 2]).unwrap();
        let read = read_candles(file.path()).unwrap();
        assert!(read.candles.len() > 500 && read.skipped.len() == 1, "{} {:?}", read.candles.len(), read.skipped);
    }
}
