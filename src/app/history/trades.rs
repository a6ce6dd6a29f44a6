//! Candles folded from the archive's files of trades, a day at a time.

use std::path::Path;

use crate::domain::{Candle, Interval, Span, Symbol, Timestamp};
use crate::market::BarBuilder;
use crate::venue::history::{Archive, Block, Row, SourceError, TradeFile, Window, read_trades, sift};
use crate::venue::ohlcv::OhlcvError;

const DAY: Interval = match Interval::from_secs(86_400) {
    Some(day) => day,
    None => Interval::MINUTE,
};

/// Folds recorded trades into candles; what is held is the forming candle and those of one file.
#[derive(Debug)]
pub struct TradeCandles {
    interval: Interval,
    builder: BarBuilder,
    /// The builder has seen everything up to here.
    seen_until: Option<Timestamp>,
}

impl TradeCandles {
    pub fn new(interval: Interval) -> Self {
        Self { interval, builder: BarBuilder::new(interval), seen_until: None }
    }

    /// The candles of a file. `whole_until`: the end of the days it is complete over; without it the candle of the last trade is unfinished
    /// and stays out. A file that does not follow the one before begins afresh.
    pub fn file(&mut self, path: &Path, whole_until: Option<Timestamp>) -> Result<(Vec<Candle>, TradeFile), OhlcvError> {
        let mut candles: Vec<Candle> = Vec::new();
        let mut begun = false;
        let mut last = None;
        let Self { interval, builder, seen_until } = self;
        let told = read_trades(path, |at, trade| {
            if !begun {
                begun = true;
                if *seen_until != Some(at.floor_to(DAY)) {
                    *builder = BarBuilder::new(*interval);
                }
            }
            last = last.max(Some(at));
            candles.extend(builder.on_trade(at, &trade));
        })?;
        if let Some(last) = last {
            // A file that goes on after its end is not what its name says.
            *seen_until = whole_until.filter(|end| last < *end);
            if let Some(end) = *seen_until {
                candles.extend(builder.on_time(end));
            }
        }
        // A candle longer than a day ends in another file.
        Ok((candles, told))
    }

    /// The candles of the day in which the window begins.
    pub async fn block(&mut self, archive: &Archive, symbol: Symbol, window: Window) -> Result<Block, SourceError> {
        let day = window.from.floor_to(DAY);
        let until = (day + DAY.span()).min(window.until);
        let untold = |from, until| Block { from, until, sifted: sift([], window), told: false };
        if day + DAY.span() > window.now {
            return Ok(untold(window.from, until));
        }
        let Some(file) = archive.trades_of_day(symbol, day).await? else { return Ok(untold(window.from, until)) };
        let unreadable = |error: OhlcvError| SourceError::Unreadable { url: format!("{symbol} {day}"), detail: error.to_string() };
        let (candles, told) = self.file(file.path(), Some(day + DAY.span())).map_err(unreadable)?;
        if told.skipped > 0 {
            tracing::warn!(%symbol, %day, rows = told.skipped, "trades that cannot be read are left out");
        }
        let last_moment = self.interval.span() - Span::from_millis(1);
        let rows = candles.iter().map(|candle| Ok(Row { candle: *candle, close_time: candle.open_time + last_moment }));
        let sifted = sift(rows, Window { until, ..window });
        Ok(Block { from: window.from, until, sifted, told: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(rows: &[(i64, &str, &str)]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for (id, (millis, price, qty)) in rows.iter().enumerate() {
            writeln!(file, "{id},{price},{qty},1,1,{millis},True,True").unwrap();
        }
        file
    }

    #[test]
    fn days_of_trades_become_whole_candles_and_quiet_minutes_are_flat() {
        let day = 1_704_067_200_000;
        let one = file(&[(day + 1_000, "10", "1"), (day + 59_000, "12", "2"), (day + 86_399_000, "11", "1")]);
        let two = file(&[(day + 86_400_000 + 120_500, "13", "1")]);
        let mut fold = TradeCandles::new(Interval::MINUTE);
        let end = |days: i64| Some(Timestamp::from_millis(day + days * 86_400_000));
        let (candles, told) = fold.file(one.path(), end(1)).unwrap();
        assert_eq!((candles.len(), told.rows), (1_440, 3));
        assert_eq!((candles[0].high.to_string(), candles[0].volume.to_string(), candles[0].trades), ("12".into(), "3".into(), 2));
        assert_eq!((candles[700].open.to_string(), candles[700].trades), ("12".into(), 0));
        let (next, _) = fold.file(two.path(), end(2)).unwrap();
        assert_eq!((next.len(), next[0].close.to_string(), next[2].close.to_string()), (1_440, "11".into(), "13".into()));
    }

    #[test]
    fn a_file_that_promises_no_whole_day_ends_before_the_candle_of_its_last_trade() {
        let day = 1_704_067_200_000;
        let part = file(&[(day + 1_000, "10", "1"), (day + 130_000, "12", "2"), (day + 185_000, "11", "1")]);
        let whole_until = Timestamp::from_millis(day + 120_000);
        // Nor does one whose trades go on after the end it promises.
        for promised in [None, Some(whole_until)] {
            let (candles, _) = TradeCandles::new(Interval::MINUTE).file(part.path(), promised).unwrap();
            let trades: Vec<u32> = candles.iter().map(|candle| candle.trades).collect();
            assert_eq!(trades, [1, 0, 1]);
        }
    }
}
