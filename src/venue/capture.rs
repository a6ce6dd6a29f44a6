//! Recorded market data: one line per message as it arrived, `<local time, ns> <JSON>`, plain or gzip.
//!
//! A depth snapshot does not name its market. It belongs to the one market that the lines before it and the next
//! `LOOK_AHEAD` lines name; if they name several it is refused with its line number.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::market_frame::{Frame, read_frame};
use crate::domain::{BookSnapshot, MarketData, MarketUpdate, Symbol, Timestamp};

/// How many lines after a snapshot may name its market.
const LOOK_AHEAD: usize = 1_000;
/// No message is longer: a snapshot of 5,000 levels a side is 400 kB.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Reads a capture line by line; a bad line is an error item and the next one is read.
pub struct CaptureReader {
    path: PathBuf,
    input: Option<Box<dyn BufRead + Send>>,
    /// Read, but not yet given out: a snapshot waits here for its market.
    waiting: VecDeque<Waiting>,
    named: Vec<Symbol>,
    counters: CaptureCounters,
    buffer: Vec<u8>,
}

/// What was met so far; lines are counted as they are read, up to `LOOK_AHEAD` before they are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureCounters {
    pub lines: u64,
    pub unreadable: u64,
    /// Well-formed lines of streams that are not used here.
    pub skipped: u64,
}

/// What is wrong with a capture and what to do. `line` counts from 1.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("cannot open {}: check the path and its permissions", .path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{} line {line}: not '<local time in ns> <JSON>'; the line is left out", .path.display())]
    NotACaptureLine { path: PathBuf, line: u64 },
    #[error("{} line {line}: unreadable message; the line is left out, record again if there are many", .path.display())]
    Message { path: PathBuf, line: u64, source: serde_json::Error },
    #[error("{} line {line}: the file breaks off or is damaged here; the lines before are kept, copy or record it again", .path.display())]
    Damaged { path: PathBuf, line: u64, source: io::Error },
    #[error("{} line {line}: a snapshot that no line around it gives a market; keep one market per file", .path.display())]
    SnapshotWithoutMarket { path: PathBuf, line: u64 },
    #[error("{} line {line}: a snapshot that could belong to {first} or {second}; keep one market per file", .path.display())]
    AmbiguousSnapshot { path: PathBuf, line: u64, first: Symbol, second: Symbol },
}

enum Waiting {
    Ready(Result<MarketUpdate, CaptureError>),
    Snapshot { line: u64, local_time: Timestamp, snapshot: BookSnapshot },
}

impl CaptureReader {
    /// Opens a capture; gzip is recognised by its first bytes.
    ///
    /// # Errors
    /// `CaptureError::Open` when the file cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref().to_owned();
        match open_plain_or_gzip(&path) {
            Ok(input) => Ok(Self {
                path,
                input: Some(input),
                waiting: VecDeque::new(),
                named: Vec::new(),
                counters: CaptureCounters::default(),
                buffer: Vec::new(),
            }),
            Err(source) => Err(CaptureError::Open { path, source }),
        }
    }

    #[must_use]
    pub fn counters(&self) -> CaptureCounters {
        self.counters
    }

    /// The markets named so far, in order of appearance.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.named
    }

    /// Reads one line into `waiting`; at the end of the input drops it.
    fn read_line(&mut self) {
        let Some(input) = self.input.as_mut() else { return };
        self.buffer.clear();
        let read = io::Read::take(&mut *input, MAX_LINE_BYTES as u64).read_until(b'\n', &mut self.buffer);
        match read {
            Ok(0) => self.input = None,
            Ok(_) => {
                self.counters.lines += 1;
                self.take_line();
            }
            Err(source) => {
                self.input = None;
                self.counters.lines += 1;
                self.refuse(CaptureError::Damaged { path: self.path.clone(), line: self.counters.lines, source });
            }
        }
    }

    fn take_line(&mut self) {
        let line = self.counters.lines;
        let text = self.buffer.trim_ascii();
        if text.is_empty() {
            self.counters.skipped += 1;
            return;
        }
        let parts = std::str::from_utf8(text).ok().and_then(|t| t.split_once(' '));
        let Some((local_time, json)) = parts.and_then(|(ns, json)| Some((Timestamp::from_nanos(ns.parse().ok()?), json))) else {
            return self.refuse(CaptureError::NotACaptureLine { path: self.path.clone(), line });
        };
        match read_frame(json) {
            Ok(Frame::Update { symbol, exchange_time, data }) => {
                if !self.named.contains(&symbol) {
                    self.named.push(symbol);
                }
                self.waiting.push_back(Waiting::Ready(Ok(MarketUpdate { symbol, exchange_time, local_time, data })));
            }
            Ok(Frame::Snapshot(snapshot)) => self.waiting.push_back(Waiting::Snapshot { line, local_time, snapshot }),
            Ok(Frame::Shutdown | Frame::Refused { .. } | Frame::Other) => self.counters.skipped += 1,
            Err(source) => self.refuse(CaptureError::Message { path: self.path.clone(), line, source }),
        }
    }

    fn refuse(&mut self, error: CaptureError) {
        self.counters.unreadable += 1;
        self.waiting.push_back(Waiting::Ready(Err(error)));
    }

    fn name_snapshot(&mut self, line: u64, local_time: Timestamp, snapshot: BookSnapshot) -> Result<MarketUpdate, CaptureError> {
        match *self.named.as_slice() {
            [symbol] => Ok(MarketUpdate { symbol, exchange_time: None, local_time, data: MarketData::Snapshot(snapshot) }),
            [] => {
                self.counters.unreadable += 1;
                Err(CaptureError::SnapshotWithoutMarket { path: self.path.clone(), line })
            }
            [first, second, ..] => {
                self.counters.unreadable += 1;
                Err(CaptureError::AmbiguousSnapshot { path: self.path.clone(), line, first, second })
            }
        }
    }
}

impl Iterator for CaptureReader {
    type Item = Result<MarketUpdate, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let enough = self.input.is_none() || self.waiting.len() > LOOK_AHEAD || self.named.len() > 1;
            match self.waiting.front() {
                None if self.input.is_none() => return None,
                None => self.read_line(),
                Some(Waiting::Snapshot { .. }) if !enough => self.read_line(),
                Some(_) => {
                    return self.waiting.pop_front().map(|item| match item {
                        Waiting::Ready(item) => item,
                        Waiting::Snapshot { line, local_time, snapshot } => self.name_snapshot(line, local_time, snapshot),
                    });
                }
            }
        }
    }
}

/// One message as it came from the venue, without a capture around it. `market` is whose a snapshot is: it does not say so itself. `None` for
/// messages that say nothing of a market.
///
/// # Errors
/// What is wrong with the JSON.
pub fn read_update(json: &str, market: Option<Symbol>, local_time: Timestamp) -> Result<Option<MarketUpdate>, serde_json::Error> {
    Ok(match read_frame(json)? {
        Frame::Update { symbol, exchange_time, data } => Some(MarketUpdate { symbol, exchange_time, local_time, data }),
        Frame::Snapshot(snapshot) => {
            market.map(|symbol| MarketUpdate { symbol, exchange_time: None, local_time, data: MarketData::Snapshot(snapshot) })
        }
        Frame::Shutdown | Frame::Refused { .. } | Frame::Other => None,
    })
}

/// True when the first line begins like a capture's: a local time, a blank, a JSON object.
///
/// # Errors
/// `CaptureError::Open` when the file cannot be read.
pub fn is_capture(path: impl AsRef<Path>) -> Result<bool, CaptureError> {
    let path = path.as_ref();
    let mut start = Vec::new();
    let read = open_plain_or_gzip(path).and_then(|input| io::Read::take(input, 64).read_until(b'\n', &mut start));
    read.map_err(|source| CaptureError::Open { path: path.to_owned(), source })?;
    let mut words = start.splitn(2, |byte| *byte == b' ');
    let is_time = words.next().is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_digit));
    Ok(is_time && words.next().is_some_and(|rest| rest.starts_with(b"{")))
}

/// Opens a file that may be gzip (several members are read as one).
pub(super) fn open_plain_or_gzip(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut plain = BufReader::with_capacity(1 << 16, File::open(path)?);
    let is_gzip = plain.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(plain))) } else { Box::new(plain) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const SNAPSHOT: &str = r#"{"lastUpdateId":10,"bids":[["99","1"]],"asks":[["101","1"]]}"#;

    fn quote(at: u64, symbol: &str) -> String {
        let lower = symbol.to_lowercase();
        format!(r#"{at} {{"stream":"{lower}@bookTicker","data":{{"u":4,"s":"{symbol}","b":"1","B":"2","a":"3","A":"4"}}}}"#)
    }

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_snapshot_takes_its_market_from_the_lines_after_it() {
        let text = format!("5 {SNAPSHOT}\n{}\n", quote(6, "BTCUSDT"));
        let updates: Vec<_> = CaptureReader::open(file_of(text.as_bytes()).path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(updates.len(), 2);
        assert_eq!((updates[0].symbol.as_str(), updates[0].local_time), ("BTCUSDT", Timestamp::from_nanos(5)));
        assert!(matches!(&updates[0].data, MarketData::Snapshot(s) if s.last_update_id == 10));
    }

    #[test]
    fn a_snapshot_among_several_markets_is_refused_with_its_line() {
        let text = format!("{}\n5 {SNAPSHOT}\n{}\n", quote(4, "BTCUSDT"), quote(6, "ETHUSDT"));
        let items: Vec<_> = CaptureReader::open(file_of(text.as_bytes()).path()).unwrap().collect();
        assert!(matches!(items[1], Err(CaptureError::AmbiguousSnapshot { line: 2, .. })), "{:?}", items[1]);
        assert_eq!(items.iter().filter(|i| i.is_ok()).count(), 2);
        let alone = file_of(format!("5 {SNAPSHOT}\n").as_bytes());
        let item = CaptureReader::open(alone.path()).unwrap().next().unwrap();
        assert!(matches!(item, Err(CaptureError::SnapshotWithoutMarket { line: 1, .. })));
    }

    #[test]
    fn a_corrupt_line_costs_itself_only() {
        let good = quote(1, "BTCUSDT");
        let text =
            format!("{good}\n{}\nnot a line\n\n{good}\n7 {{\"stream\":\"x@kline_1m\",\"data\":{{}}}}\n8 \u{fffd}\n{good}", &good[..60]);
        let mut bytes = text.into_bytes();
        let odd = bytes.iter().position(|b| *b == 0xef).unwrap();
        bytes[odd] = 0xff;
        let mut reader = CaptureReader::open(file_of(&bytes).path()).unwrap();
        let items: Vec<_> = reader.by_ref().collect();
        assert_eq!(items.iter().filter(|i| i.is_ok()).count(), 3);
        assert_eq!(reader.counters(), CaptureCounters { lines: 8, unreadable: 3, skipped: 2 });
        let shown = items[1].as_ref().unwrap_err().to_string();
        assert!(shown.contains("line 2") && shown.contains("left out"), "{shown}");
    }

    #[test]
    fn gzip_members_are_read_as_one_and_a_cut_file_keeps_its_lines() {
        let line = format!("{}\n", quote(1, "BTCUSDT"));
        let mut bytes = gzip(&line.repeat(400));
        bytes.extend(gzip(&line.repeat(2)));
        assert_eq!(CaptureReader::open(file_of(&bytes).path()).unwrap().filter(Result::is_ok).count(), 402);
        // Stored blocks: the cut removes a known part.
        let mut stored = GzEncoder::new(Vec::new(), Compression::none());
        stored.write_all(line.repeat(400).as_bytes()).unwrap();
        let stored = stored.finish().unwrap();
        let mut reader = CaptureReader::open(file_of(&stored[..stored.len() / 2]).path()).unwrap();
        let items: Vec<_> = reader.by_ref().collect();
        assert!(items.len() > 150 && items[..items.len() - 1].iter().all(Result::is_ok), "{}", items.len());
        assert!(matches!(items.last(), Some(Err(CaptureError::Damaged { .. }))));
        assert_eq!(reader.counters().unreadable, 1);
    }

    #[test]
    fn a_capture_is_told_from_a_candle_file_by_its_first_line() {
        assert!(is_capture(file_of(quote(1, "BTCUSDT").as_bytes()).path()).unwrap());
        assert!(is_capture(file_of(&gzip(&quote(1, "BTCUSDT"))).path()).unwrap());
        for other in ["1515560100000,1,2,3,4", "open_time,open", "", "{\"a\":1}", "12 34"] {
            assert!(!is_capture(file_of(other.as_bytes()).path()).unwrap(), "{other}");
        }
    }

    #[test]
    fn a_missing_file_says_what_to_check() {
        let error = CaptureReader::open("/no/such/capture").err().unwrap();
        assert!(error.to_string().contains("check the path"));
    }
}
