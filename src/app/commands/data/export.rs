//! `huracan data export`: every series as a gzip CSV file that `data import` reads back.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::super::{data_file, progress};
use crate::app::Context;
use crate::app::failure::{Failure, Outcome};
use crate::app::history::each_chunk;
use crate::domain::{Candle, Interval, Symbol, Timestamp};
use crate::store::{CandleSeries, Store};

#[derive(Debug, Serialize)]
struct Exported {
    file: PathBuf,
    symbol: Symbol,
    interval: Interval,
    rows: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    files: Vec<Exported>,
}

/// Refuses to replace a file.
pub fn export(context: &Context, out: &Path) -> Outcome {
    let store = data_file::reading(context)?;
    std::fs::create_dir_all(out).map_err(|e| Failure::failed(format!("cannot create {}: {e}; name another folder", out.display())))?;
    let all: Vec<CandleSeries> = store.candle_series()?;
    let bar = progress::bar(context.out, all.len() as u64).with_message("writing");
    let mut files = Vec::new();
    for series in all {
        // A symbol may hold any character but blanks.
        let name = series.symbol.as_str().replace(['/', '\\'], "-");
        let file = out.join(format!("{name}-{}.csv.gz", series.interval));
        let created = std::fs::File::create_new(&file);
        let created = created.map_err(|e| Failure::failed(format!("cannot create {}: {e}; name another folder", file.display())))?;
        let rows = write(&store, &series, created)?;
        files.push(Exported { file, symbol: series.symbol, interval: series.interval, rows });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let answer = Answer { files };
    context.out.answer(&answer, || {
        let lines = answer.files.iter().map(|f| format!("{}: {} candles", f.file.display(), f.rows));
        if answer.files.is_empty() { "no candles are stored yet".to_owned() } else { lines.collect::<Vec<_>>().join("\n") }
    })
}

/// Times are milliseconds where they are whole ones, else nanoseconds. A column that some candle does not know is left out. Gives the rows.
fn write(store: &Store, series: &CandleSeries, out: impl Write) -> Outcome<u64> {
    let whole = (series.first, Timestamp::from_nanos(series.last.nanos().saturating_add(1)));
    let (mut whole_millis, mut takers, mut rows) = (true, true, 0);
    each_chunk(store, series.symbol, series.interval, whole, |chunk| {
        whole_millis &= chunk.iter().all(|c| c.open_time.nanos() % 1_000_000 == 0);
        takers &= chunk.iter().all(|c| c.taker_buy_volume.is_some());
        Ok(())
    })?;
    let time = |at: Timestamp| if whole_millis { at.millis() } else { at.nanos() };
    let mut table = csv::Writer::from_writer(GzEncoder::new(out, Compression::default()));
    let mut header = vec!["open_time", "open", "high", "low", "close", "volume", "count"];
    header.extend(takers.then_some("taker_buy_volume"));
    table.write_record(&header)?;
    each_chunk(store, series.symbol, series.interval, whole, |chunk| {
        rows += chunk.len() as u64;
        chunk.iter().try_for_each(|candle| Ok(table.write_record(row(candle, time(candle.open_time), takers))?))
    })?;
    let packed = table.into_inner().map_err(|error| error.into_error())?;
    packed.finish()?.flush()?;
    Ok(rows)
}

fn row(candle: &Candle, time: i64, takers: bool) -> Vec<String> {
    let mut row = vec![time.to_string()];
    row.extend([candle.open, candle.high, candle.low, candle.close].map(|price| price.to_string()));
    row.extend([candle.volume.to_string(), candle.trades.to_string()]);
    row.extend(candle.taker_buy_volume.filter(|_| takers).map(|volume| volume.to_string()));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::ohlcv::read_candles;

    fn candle(millis: i64, taker: Option<&str>) -> Candle {
        Candle {
            open_time: Timestamp::from_millis(millis),
            open: "0.0000533".parse().unwrap(),
            high: "0.00005331".parse().unwrap(),
            low: "0.00005".parse().unwrap(),
            close: "0.0000532".parse().unwrap(),
            volume: "431401.97869504".parse().unwrap(),
            taker_buy_volume: taker.map(|t| t.parse().unwrap()),
            trades: 7,
        }
    }

    #[test]
    fn what_is_exported_reads_back_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for (name, taker) in [("with", Some("12.5")), ("without", None)] {
            let path = dir.path().join(name);
            let candles = [candle(1_515_560_100_000, taker), candle(1_515_560_400_000, taker)];
            let store = data_file::writing_to(&dir.path().join(format!("{name}.redb"))).unwrap();
            let (symbol, five) = ("ADABTC".parse().unwrap(), "5m".parse().unwrap());
            store.put_candles(symbol, five, &candles).unwrap();
            let series = store.candle_series().unwrap()[0];
            assert_eq!(write(&store, &series, std::fs::File::create(&path).unwrap()).unwrap(), 2);
            let read = read_candles(&path).unwrap();
            assert_eq!((read.candles.as_slice(), read.skipped.len()), (candles.as_slice(), 0));
        }
    }
}
