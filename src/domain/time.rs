//! Time: `Timestamp` (a point), `Span` (a length), `Interval` (a candle's length). Nanoseconds, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A signed length of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

/// The length of a candle: a positive whole number of seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(Span);

const SECOND_NS: i64 = 1_000_000_000;

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// The length from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
    /// The start of the candle that contains this moment.
    #[must_use]
    pub fn floor_to(self, interval: Interval) -> Self {
        Self(self.0 - self.0.rem_euclid(interval.0.0))
    }
    /// Days since the epoch, UTC.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400 * SECOND_NS)
    }
}

impl Span {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(SECOND_NS))
    }
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0 / 1_000_000
    }
    #[must_use]
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / SECOND_NS as f64
    }
    #[must_use]
    pub const fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(count))
    }
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl Interval {
    pub const MINUTE: Self = Self(Span::from_secs(60));

    /// `None` unless `secs` is positive.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Option<Self> {
        if secs > 0 { Some(Self(Span::from_secs(secs))) } else { None }
    }
    #[must_use]
    pub const fn span(self) -> Span {
        self.0
    }
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.nanos() / SECOND_NS
    }
    /// Candles in a 365-day year: the annualisation base of a market that never closes.
    #[must_use]
    pub fn per_year(self) -> f64 {
        365.0 * 86_400.0 / self.secs() as f64
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 with milliseconds, UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

/// Why a text is no candle interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an interval; write a number and s, m, h, d or w, such as 5s, 1m or 4h")]
pub struct IntervalError(pub String);

impl FromStr for Interval {
    type Err = IntervalError;
    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let bad = || IntervalError(text.to_owned());
        let unit = text.chars().last().ok_or_else(bad)?;
        let count: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| bad())?;
        let secs = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(bad()),
        };
        count.checked_mul(secs).filter(|s| *s < 10_000_000_000).and_then(Self::from_secs).ok_or_else(bad)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.secs();
        let (count, unit) = match secs {
            s if s % 604_800 == 0 => (s / 604_800, 'w'),
            s if s % 86_400 == 0 => (s / 86_400, 'd'),
            s if s % 3_600 == 0 => (s / 3_600, 'h'),
            s if s % 60 == 0 => (s / 60, 'm'),
            s => (s, 's'),
        };
        write!(f, "{count}{unit}")
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Interval {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { self.secs().serialize(out) }
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if input.is_human_readable() {
            String::deserialize(input)?.parse().map_err(D::Error::custom)
        } else {
            let secs = i64::deserialize(input)?;
            Self::from_secs(secs).ok_or_else(|| D::Error::custom("an interval must be positive"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_and_print_as_people_write_them() {
        for text in ["5s", "1m", "15m", "4h", "1d", "1w"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for text in ["", "m", "0m", "-1m", "1y", "1.5m", "99999999999999w"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }

    #[test]
    fn candles_start_on_multiples_of_their_interval() {
        let at = Timestamp::from_millis(1_723_161_254_087);
        assert_eq!(at.floor_to(Interval::MINUTE).millis(), 1_723_161_240_000);
        assert_eq!(Timestamp::from_millis(-1).floor_to(Interval::MINUTE).millis(), -60_000);
        assert_eq!(at.to_string(), "2024-08-08T23:54:14.087Z");
    }
}
