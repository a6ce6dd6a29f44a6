//! `huracan data captures`: what the box recorded of its markets, listed or written as capture files.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::super::{data_file, moment::moment, progress};
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::app::{Context, clock};
use crate::domain::{Symbol, Timestamp};
use crate::store::{CaptureSeries, Store};
use crate::venue::write_line;

pub struct Wanted {
    pub out: Option<PathBuf>,
    /// None: all.
    pub symbols: Vec<Symbol>,
    pub since: Option<String>,
}

#[derive(Debug, Serialize)]
struct Listed {
    captures: Vec<CaptureSeries>,
}

#[derive(Debug, Serialize)]
struct Exported {
    file: PathBuf,
    venue: String,
    symbol: Symbol,
    lines: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    files: Vec<Exported>,
}

pub fn captures(context: &Context, wanted: &Wanted) -> Outcome {
    let store = data_file::reading(context)?;
    let since = wanted.since.as_deref().map_or(Ok(Timestamp::EPOCH), |text| moment(text, clock::now()))?;
    let mut series = store.capture_series()?;
    series.retain(|s| s.last >= since && (wanted.symbols.is_empty() || wanted.symbols.contains(&s.symbol)));
    if let Some(missing) = wanted.symbols.iter().find(|symbol| series.iter().all(|s| s.symbol != **symbol)) {
        return Err(Failure::failed(format!("nothing is recorded of {missing}: `huracan data captures` lists what is")));
    }
    match &wanted.out {
        Some(out) => export(context, &store, &series, out, since),
        None => list(context, series),
    }
}

fn list(context: &Context, captures: Vec<CaptureSeries>) -> Outcome {
    let answer = Listed { captures };
    context.out.answer(&answer, || {
        if answer.captures.is_empty() {
            return "nothing is recorded yet: runs keep depth and trades while record.enabled is true".to_owned();
        }
        let mut rows = vec![["venue", "symbol", "first", "last", "events", "KiB", "bytes/event"].map(str::to_owned).to_vec()];
        rows.extend(answer.captures.iter().map(|s| {
            let share = s.bytes as f64 / s.events.max(1) as f64;
            let (first, last) = (s.first.to_string(), s.last.to_string());
            let bytes = (s.bytes / 1_024).to_string();
            vec![s.venue.clone(), s.symbol.to_string(), first, last, s.events.to_string(), bytes, format!("{share:.1}")]
        }));
        table(&rows)
    })
}

/// One file for each market; a venue's name is part of it where several venues have that market. Refuses to replace a file.
fn export(context: &Context, store: &Store, series: &[CaptureSeries], out: &Path, since: Timestamp) -> Outcome {
    std::fs::create_dir_all(out).map_err(|e| Failure::failed(format!("cannot create {}: {e}; name another folder", out.display())))?;
    let bar = progress::bar(context.out, series.iter().map(|s| s.events).sum()).with_message("writing");
    let mut seen: BTreeMap<Symbol, usize> = BTreeMap::new();
    series.iter().for_each(|s| *seen.entry(s.symbol).or_default() += 1);
    let mut files = Vec::new();
    for one in series {
        let mut name = one.symbol.to_string();
        if seen[&one.symbol] > 1 {
            name = format!("{name}-{}", one.venue);
        }
        let name: String = name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
        let file = out.join(format!("{name}.jsonl.gz"));
        let created = std::fs::File::create_new(&file);
        let created = created.map_err(|e| Failure::failed(format!("cannot create {}: {e}; name another folder", file.display())))?;
        let lines = write(created, store, one, since, || bar.inc(1))?;
        files.push(Exported { file, venue: one.venue.clone(), symbol: one.symbol, lines });
    }
    bar.finish_and_clear();
    let answer = Answer { files };
    context.out.answer(&answer, || {
        let lines: Vec<String> = answer.files.iter().map(|f| format!("{}: {} lines", f.file.display(), f.lines)).collect();
        if lines.is_empty() { "nothing is recorded yet".to_owned() } else { lines.join("\n") }
    })
}

fn write(out: std::fs::File, store: &Store, series: &CaptureSeries, since: Timestamp, mut step: impl FnMut()) -> Outcome<u64> {
    let mut packed = BufWriter::new(GzEncoder::new(out, Compression::default()));
    let mut lines = 0;
    for update in store.captured(&series.venue, series.symbol, since, Timestamp::MAX) {
        lines += u64::from(write_line(&mut packed, &update?)?);
        step();
    }
    packed.flush()?;
    let encoder = packed.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    encoder.finish()?.sync_all()?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::super::super::data_file::tests::context;
    use super::*;
    use crate::domain::{MarketData, MarketUpdate, RunId, Span};
    use crate::market::OrderBook;
    use crate::matching::flow::{Flow, FlowConfig};
    use crate::store::{Bulk, CaptureBlock, Writer};
    use crate::venue::capture::CaptureReader;

    #[test]
    fn an_exported_recording_is_a_capture_that_gives_the_same_book() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(&dir.path().join("x.redb"));
        let mut flow = Flow::new(FlowConfig::usual(5, Timestamp::from_millis(1_767_225_600_000)));
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let from = flow.origin() + Span::from_secs(60);
        let data = MarketData::Snapshot(flow.snapshot(symbol, from).unwrap());
        let mut updates = vec![MarketUpdate { symbol, exchange_time: None, local_time: from, data }];
        updates.extend(flow.updates(&[symbol], from + Span::from_nanos(1), from + Span::from_secs(30)));
        updates.retain(|update| crate::store::is_recorded(&update.data));
        {
            let store = data_file::writing(&context).unwrap();
            let writer = Writer::start(store.clone(), RunId(1), |_| {}).unwrap();
            for some in updates.chunks(100) {
                writer.handle().bulk(Bulk::Capture(CaptureBlock::pack(symbol, some).unwrap())).unwrap();
            }
            writer.stop().unwrap();
        }
        let out = dir.path().join("captures");
        let wanted = |symbols| Wanted { out: Some(out.clone()), symbols, since: None };
        captures(&context, &wanted(Vec::new())).unwrap();
        let read: Vec<MarketUpdate> = CaptureReader::open(out.join("BTCUSDT.jsonl.gz")).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, updates);
        let book = |updates: &[MarketUpdate]| {
            let mut book = OrderBook::new();
            updates.iter().for_each(|update| _ = book.apply(update));
            (book.bids(500), book.asks(500), book.last_update_id(), book.counts())
        };
        assert_eq!(book(&read), book(&updates));
        assert!(captures(&context, &wanted(Vec::new())).unwrap_err().to_string().contains("name another folder"), "no file is replaced");
        let said = captures(&context, &wanted(vec!["XRPUSDT".parse().unwrap()])).unwrap_err().to_string();
        assert!(said.contains("nothing is recorded of XRPUSDT"), "{said}");
    }
}
