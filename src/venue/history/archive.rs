//! The venue's archive of finished days and months, zip files with a checksum beside each.
//!
//! Source: binance-public-data README: `data/spot/{monthly|daily}/klines/<SYM>/<interval>/<SYM>-<interval>-YYYY-MM[-DD].zip`, trades
//! likewise without an interval, `<zip>.CHECKSUM` in the form of sha256sum. A day's file comes the next day, a month's in the first
//! week after it. Files are replaced at times; what does not match its checksum is refused.

use std::path::Path;

use jiff::ToSpan;
use jiff::civil::Date;

use super::Block;
use super::error::SourceError;
use super::rows::{BadRow, Row, RowFault, Window, sift};
use super::web::{Downloaded, Web};
use crate::domain::{Interval, Span, Symbol, Timestamp};
use crate::venue::ohlcv::{BadRowReason, read_candles};

const DAY: Span = Span::from_secs(86_400);
/// From this many wanted days on, a month's file is the smaller download.
const MONTH_FROM_DAYS: i64 = 6;
/// A month that ended this long ago has its file, or the archive does not know the market.
const MONTH_IS_DUE: Span = Span::from_secs(20 * 86_400);
/// A month of shorter candles is a very large file: its days are taken one by one.
const SHORTEST_BY_MONTH: Interval = Interval::MINUTE;

#[derive(Clone)]
pub struct Archive {
    pub(super) base: String,
    pub(super) web: Web,
}

/// Which file holds a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Month(Date),
    Day(Date),
}

impl Period {
    fn name(self) -> (&'static str, String) {
        match self {
            Self::Month(date) => ("monthly", date.strftime("%Y-%m").to_string()),
            Self::Day(date) => ("daily", date.strftime("%Y-%m-%d").to_string()),
        }
    }

    fn end(self) -> Timestamp {
        match self {
            Self::Month(date) => start_of(date.first_of_month().saturating_add(1.month())),
            Self::Day(date) => start_of(date.saturating_add(1.day())),
        }
    }
}

/// The end of the day or month that a file of trades is whole up to, by the name the archive gives it
/// (`BTCUSDT-aggTrades-2024-01-31.zip`, `BTCUSDT-trades-2024-01.csv.gz`). `None` for every other name: it promises nothing.
#[must_use]
pub fn trades_whole_until(file: &Path) -> Option<Timestamp> {
    let name = file.file_name()?.to_str()?;
    let mut ending = name.split('.');
    let mut parts = ending.next()?.split('-').skip(1);
    if !matches!(parts.next()?, "aggTrades" | "trades") || !ending.all(|part| matches!(part, "zip" | "csv" | "gz")) {
        return None;
    }
    let (year, month) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let period = match parts.next() {
        Some(day) => Period::Day(Date::new(year, month, day.parse().ok()?).ok()?),
        None => Period::Month(Date::new(year, month, 1).ok()?),
    };
    parts.next().is_none().then(|| period.end())
}

/// The UTC day of a moment.
fn date_of(at: Timestamp) -> Date {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).unwrap_or_default();
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn start_of(date: Date) -> Timestamp {
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC);
    let nanos = zoned.ok().and_then(|z| i64::try_from(z.timestamp().as_nanosecond()).ok());
    nanos.map_or(Timestamp::MAX, Timestamp::from_nanos)
}

impl Archive {
    /// The candles of the first file of the window: told up to the end of that file.
    pub async fn block(&self, symbol: Symbol, window: Window) -> Result<Block, SourceError> {
        let date = date_of(window.from);
        let month = Period::Month(date.first_of_month());
        let wanted = month.end().min(window.until).since(window.from).nanos() / DAY.nanos();
        let by_month = window.interval >= SHORTEST_BY_MONTH && wanted >= MONTH_FROM_DAYS && month.end() <= window.now;
        if by_month {
            if let Some(block) = self.period(symbol, window, month).await? {
                return Ok(block);
            }
            if window.now.since(month.end()) > MONTH_IS_DUE {
                return Ok(Block::untold(window.from, month.end().min(window.until)));
            }
        }
        let day = Period::Day(date);
        let until = day.end().min(window.until);
        // A day's file cannot be there before the day is over.
        if day.end() > window.now {
            return Ok(Block::untold(window.from, until));
        }
        Ok(self.period(symbol, window, day).await?.unwrap_or_else(|| Block::untold(window.from, until)))
    }

    async fn period(&self, symbol: Symbol, window: Window, period: Period) -> Result<Option<Block>, SourceError> {
        let url = self.candle_url(symbol, window.interval, period);
        let Some(file) = self.verified(&url).await? else { return Ok(None) };
        let unreadable = |error: &dyn std::fmt::Display| SourceError::Unreadable { url: url.clone(), detail: error.to_string() };
        let table = read_candles(file.path()).map_err(|error| unreadable(&error))?;
        let last_moment = window.interval.span() - Span::from_millis(1);
        let rows = table.candles.iter().map(|candle| Ok(Row { candle: *candle, close_time: candle.open_time + last_moment }));
        let until = period.end().min(window.until);
        let mut sifted = sift(rows, Window { until, ..window });
        let inside = |at: Timestamp| window.from <= at && at < until;
        sifted.bad.extend(table.skipped.into_iter().filter(|bad| bad.open_time.is_none_or(inside)).map(|bad| {
            let fault = match bad.reason {
                BadRowReason::Unsound => RowFault::Unsound,
                BadRowReason::Duplicate(_) => RowFault::Duplicate,
                reason => RowFault::Unreadable(format!("{url} line {}: {reason}", bad.line)),
            };
            BadRow { open_time: bad.open_time, fault }
        }));
        Ok(Some(Block { from: window.from, until: sifted.forming.unwrap_or(until), sifted, told: true }))
    }

    /// The file of one day's trades as the venue joins them by taker order; `None` when there is none.
    pub async fn trades_of_day(&self, symbol: Symbol, day: Timestamp) -> Result<Option<Downloaded>, SourceError> {
        let (folder, name) = Period::Day(date_of(day)).name();
        let url = format!("{}/data/spot/{folder}/aggTrades/{symbol}/{symbol}-aggTrades-{name}.zip", self.base);
        self.verified(&url).await
    }

    fn candle_url(&self, symbol: Symbol, interval: Interval, period: Period) -> String {
        let (folder, name) = period.name();
        format!("{}/data/spot/{folder}/klines/{symbol}/{interval}/{symbol}-{interval}-{name}.zip", self.base)
    }

    /// The file when its bytes are those of its checksum; `None` when there is no such file.
    async fn verified(&self, url: &str) -> Result<Option<Downloaded>, SourceError> {
        let told = self.web.text(&format!("{url}.CHECKSUM")).await?;
        let Some(file) = self.web.file(url).await? else { return Ok(None) };
        let told = told.map(|text| String::from_utf8_lossy(&text).split_whitespace().next().unwrap_or("").to_lowercase());
        let told = told.unwrap_or_else(|| "nothing, it is not there".to_owned());
        let found = file.hash()?;
        if told == found { Ok(Some(file)) } else { Err(SourceError::Checksum { url: url.to_owned(), told, found }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        start_of(text.parse().unwrap())
    }

    #[test]
    fn files_are_named_as_the_archive_names_them() {
        let archive = Archive { base: "http://x".into(), web: Web::new("http://x").unwrap() };
        let (symbol, hour) = ("BTCUSDT".parse().unwrap(), "60m".parse().unwrap());
        let date = date_of(at("2024-02-29"));
        let month = archive.candle_url(symbol, hour, Period::Month(date.first_of_month()));
        assert_eq!(month, "http://x/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-02.zip");
        let day = archive.candle_url(symbol, Interval::MINUTE, Period::Day(date));
        assert_eq!(day, "http://x/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02-29.zip");
    }

    #[test]
    fn periods_end_where_the_next_begins() {
        assert_eq!(Period::Month(date_of(at("2023-12-01"))).end(), at("2024-01-01"));
        assert_eq!(Period::Day(date_of(at("2024-02-28"))).end(), at("2024-02-29"));
        assert_eq!(date_of(at("2024-02-29") - Span::from_nanos(1)), "2024-02-28".parse::<Date>().unwrap());
    }

    #[test]
    fn only_the_archives_own_names_promise_whole_days() {
        let end = |name: &str| trades_whole_until(Path::new(name)).map(|at| date_of(at).to_string());
        assert_eq!(end("x/BTCUSDT-aggTrades-2024-01-31.zip").as_deref(), Some("2024-02-01"));
        assert_eq!(end("BTCUSDT-trades-2023-12.csv.gz").as_deref(), Some("2024-01-01"));
        for name in
            ["mine.csv", "BTCUSDT-trades.csv", "BTCUSDT-trades-2024-01-31-a.csv", "BTCUSDT-trades-2024-02-31.csv", "BTCUSDT-1m-2024-01.zip"]
        {
            assert_eq!(end(name), None, "{name}");
        }
    }
}
