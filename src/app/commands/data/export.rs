//! `huracan data export`: every series as a CSV file that `data import` reads back.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::{data_file, progress};
use crate::app::Context;
use crate::app::failure::{Failure, Outcome};
use crate::domain::{Candle, Interval, Symbol, Timestamp};

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
    let all = store.candle_series()?;
    let bar = progress::bar(context.out, all.len() as u64).with_message("writing");
    let mut files = Vec::new();
    for series in all {
        // A symbol may hold any character but blanks.
        let name = series.symbol.as_str().replace(['/', '\\'], "-");
        let file = out.join(format!("{name}-{}.csv", series.interval));
        let candles = store.candles(series.symbol, series.interval, Timestamp::EPOCH, Timestamp::MAX)?;
        let created = std::fs::File::create_new(&file);
        let created = created.map_err(|e| Failure::failed(format!("cannot create {}: {e}; name another folder", file.display())))?;
        write(created, &candles)?;
        files.push(Exported { file, symbol: series.symbol, interval: series.interval, rows: candles.len() as u64 });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let answer = Answer { files };
    context.out.answer(&answer, || {
        let lines = answer.files.iter().map(|f| format!("{}: {} candles", f.file.display(), f.rows));
        if answer.files.is_empty() { "no candles are stored yet".to_owned() } else { lines.collect::<Vec<_>>().join("\n") }
    })
}

/// Times are milliseconds where they are whole ones, else nanoseconds. A column that some candle does not know is left out.
fn write(out: impl std::io::Write, candles: &[Candle]) -> Outcome {
    let whole_millis = candles.iter().all(|c| c.open_time.nanos() % 1_000_000 == 0);
    let time = |at: Timestamp| if whole_millis { at.millis() } else { at.nanos() };
    let takers = candles.iter().all(|c| c.taker_buy_volume.is_some());
    let mut table = csv::Writer::from_writer(out);
    let mut header = vec!["open_time", "open", "high", "low", "close", "volume", "count"];
    header.extend(takers.then_some("taker_buy_volume"));
    table.write_record(&header)?;
    for candle in candles {
        let mut row = vec![time(candle.open_time).to_string()];
        row.extend([candle.open, candle.high, candle.low, candle.close].map(|price| price.to_string()));
        row.extend([candle.volume.to_string(), candle.trades.to_string()]);
        row.extend(candle.taker_buy_volume.filter(|_| takers).map(|volume| volume.to_string()));
        table.write_record(&row)?;
    }
    table.flush()?;
    Ok(())
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
            write(std::fs::File::create(&path).unwrap(), &candles).unwrap();
            let read = read_candles(&path).unwrap();
            assert_eq!((read.candles.as_slice(), read.skipped.len()), (candles.as_slice(), 0));
        }
    }
}
