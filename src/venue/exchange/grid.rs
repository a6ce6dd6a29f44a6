//! Where candles begin: fixed lengths, weeks from Monday, calendar months; all of them in a time zone of the caller's choice.

use std::fmt;

use super::interval::kline_interval;
use super::refusal::ApiError;
use crate::domain::{Interval, Span, Timestamp};

const DAY_SECS: i64 = 86_400;
const WEEK: Span = Span::from_secs(7 * DAY_SECS);
/// 1970-01-05, the first Monday.
const MONDAY: Span = Span::from_secs(4 * DAY_SECS);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Length {
    Fixed(Interval),
    Week,
    Month,
}

/// Candle lengths in a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grid {
    length: Length,
    /// The zone's time less UTC, minutes.
    zone_minutes: i64,
}

impl Grid {
    /// `zone`: hours or hours and minutes from `-12:00` to `+14:00`; UTC without.
    pub fn parse(interval: &str, zone: Option<&str>) -> Result<Self, ApiError> {
        let length = match interval {
            "1w" => Length::Week,
            "1M" => Length::Month,
            _ => Length::Fixed(kline_interval(interval).ok_or(ApiError::Interval)?),
        };
        let zone_minutes = match zone {
            None => 0,
            Some(text) => zone_of(text).ok_or(ApiError::BadData("timeZone"))?,
        };
        Ok(Self { length, zone_minutes })
    }

    /// The start of the candle that contains `at`.
    pub fn open_of(self, at: Timestamp) -> Timestamp {
        let zone = Span::from_secs(self.zone_minutes * 60);
        let local = at + zone;
        let open = match self.length {
            Length::Fixed(interval) => local.floor_to(interval),
            Length::Week => {
                let since = (local - MONDAY).nanos();
                local - Span::from_nanos(since.rem_euclid(WEEK.nanos()))
            }
            Length::Month => {
                let (year, month) = month_of(local.day());
                day_start(first_day(year, month))
            }
        };
        open - zone
    }

    /// The start of the candle after the one that opens at `open`.
    pub fn next(self, open: Timestamp) -> Timestamp {
        match self.length {
            Length::Fixed(interval) => open + interval.span(),
            Length::Week => open + WEEK,
            // No month is longer than 31 days, and none shorter than 4.
            Length::Month => self.open_of(open + Span::from_secs(31 * DAY_SECS + DAY_SECS / 2)),
        }
    }

    /// The start of the candle before the one that opens at `open`.
    pub fn previous(self, open: Timestamp) -> Timestamp {
        self.open_of(open - Span::from_nanos(1))
    }

    /// The last millisecond of the candle that opens at `open`.
    pub fn close_ms(self, open: Timestamp) -> i64 {
        self.next(open).millis() - 1
    }

    /// The interval itself, where its candles lie on multiples of its length in UTC.
    pub fn plain(self) -> Option<Interval> {
        match self.length {
            Length::Fixed(interval) if self.zone_minutes * 60 % interval.secs() == 0 => Some(interval),
            _ => None,
        }
    }

    /// A length whose UTC candles add up to these.
    pub fn part(self) -> Interval {
        let fits = |secs: &i64| {
            let length = match self.length {
                Length::Fixed(interval) => interval.secs(),
                Length::Week | Length::Month => DAY_SECS,
            };
            self.zone_minutes * 60 % secs == 0 && length % secs == 0
        };
        [DAY_SECS, 3_600, 900].into_iter().find(fits).and_then(Interval::from_secs).unwrap_or(Interval::MINUTE)
    }

    pub fn is_one_second(self) -> bool {
        matches!(self.length, Length::Fixed(interval) if interval.secs() == 1)
    }

    /// The length as requests name it.
    pub fn name(self) -> String {
        match self.length {
            Length::Fixed(interval) => interval.to_string(),
            Length::Week => "1w".to_owned(),
            Length::Month => "1M".to_owned(),
        }
    }
}

impl fmt::Display for Grid {
    /// As in a stream's name: `1m`, `1d@+08:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if self.zone_minutes == 0 {
            return Ok(());
        }
        let (sign, minutes) = (if self.zone_minutes < 0 { '-' } else { '+' }, self.zone_minutes.abs());
        write!(f, "@{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

fn zone_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        // An unescaped plus in a query is a blank.
        None => (1, text.strip_prefix(['+', ' ']).unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let number = |text: &str| if (1..=2).contains(&text.len()) { text.parse::<u8>().ok().map(i64::from) } else { None };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = sign * (hours * 60 + minutes);
    (minutes < 60 && (-12 * 60..=14 * 60).contains(&total)).then_some(total)
}

fn day_start(day: i64) -> Timestamp {
    Timestamp::EPOCH + Span::from_secs(day * DAY_SECS)
}

/// Year and month (1 to 12) of a day since the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn month_of(day: i64) -> (i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, since the epoch (same source).
fn first_day(year: i64, month: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_nanos(i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap())
    }

    fn span(interval: &str, zone: Option<&str>, moment: &str) -> [String; 2] {
        let grid = Grid::parse(interval, zone).unwrap();
        let open = grid.open_of(at(moment));
        assert_eq!((grid.open_of(open), grid.open_of(grid.next(open)), grid.previous(grid.next(open))), (open, grid.next(open), open));
        [open, grid.next(open)].map(|time| time.to_string().replace(".000Z", "Z"))
    }

    #[test]
    fn weeks_start_on_monday_and_months_on_their_first() {
        assert_eq!(span("1w", None, "2026-11-22T23:59:59Z"), ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]);
        assert_eq!(span("1w", None, "2026-11-23T00:00:00Z"), ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]);
        assert_eq!(span("1M", None, "2024-02-29T12:00:00Z"), ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]);
        assert_eq!(span("1M", None, "2025-12-31T23:00:00Z"), ["2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"]);
    }

    #[test]
    fn zones_move_where_days_begin() {
        assert_eq!(span("1d", Some("+8:00"), "2026-11-22T15:59:00Z"), ["2026-11-21T16:00:00Z", "2026-11-22T16:00:00Z"]);
        assert_eq!(span("1d", Some("-3:30"), "2026-11-22T03:00:00Z"), ["2026-11-21T03:30:00Z", "2026-11-22T03:30:00Z"]);
        assert_eq!(span("1M", Some("14"), "2026-11-30T10:00:00Z"), ["2026-11-30T10:00:00Z", "2026-12-31T10:00:00Z"]);
        assert_eq!(span("1h", Some("05:45"), "2026-11-22T03:00:00Z"), ["2026-11-22T02:15:00Z", "2026-11-22T03:15:00Z"]);
        for zone in ["-12:01", "14:01", "x", "1:60", "", "1:2:3", "100"] {
            assert_eq!(Grid::parse("1d", Some(zone)).unwrap_err().code(), -1130, "{zone}");
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let part = |interval, zone| Grid::parse(interval, zone).unwrap().part().to_string();
        assert_eq!(
            [part("1w", None), part("1d", Some("8")), part("1d", Some("5:45")), part("1M", Some("0:10"))],
            ["1d", "1h", "15m", "1m"]
        );
        let plain = |interval, zone| Grid::parse(interval, zone).unwrap().plain().is_some();
        assert_eq!([plain("1h", Some("8")), plain("4h", Some("8")), plain("1d", Some("8")), plain("1w", None)], [true, true, false, false]);
        assert_eq!(Grid::parse("1d", Some("8")).unwrap().to_string(), "1d@+08:00");
    }
}
