//! Names of market streams: `btcusdt@trade`, `btcusdt@depth@100ms`, `btcusdt@kline_1m`.

use std::fmt;

use super::interval::kline_interval;
use crate::domain::{Interval, Symbol};

/// One stream of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Topic {
    pub symbol: Symbol,
    pub feed: Feed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feed {
    Trade,
    /// Every trade is its own aggregate here: ids are the trades'.
    AggTrade,
    BookTicker,
    Depth(Pace),
    /// The top `levels` of each side.
    Partial {
        levels: u8,
        pace: Pace,
    },
    Kline(Interval),
}

/// How often depth is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    Fast,
    Slow,
}

impl Pace {
    pub const fn period_ms(self) -> i64 {
        match self {
            Self::Fast => 100,
            Self::Slow => 1_000,
        }
    }
}

impl Topic {
    /// `None` for a stream that is not served; symbols are matched by their lower-case form.
    pub fn parse(name: &str, symbols: &[Symbol]) -> Option<Self> {
        let (symbol, feed) = name.split_once('@')?;
        let symbol = *symbols.iter().find(|known| known.as_str().to_lowercase() == symbol)?;
        let feed = match feed {
            "trade" => Feed::Trade,
            "aggTrade" => Feed::AggTrade,
            "bookTicker" => Feed::BookTicker,
            _ => match feed.strip_prefix("kline_") {
                Some(interval) => Feed::Kline(kline_interval(interval)?),
                None => depth(feed.strip_prefix("depth")?)?,
            },
        };
        Some(Self { symbol, feed })
    }
}

fn depth(rest: &str) -> Option<Feed> {
    let (levels, pace) = match rest.split_once('@') {
        Some((levels, "100ms")) => (levels, Pace::Fast),
        Some((levels, "1000ms")) => (levels, Pace::Slow),
        Some(_) => return None,
        None => (rest, Pace::Slow),
    };
    match levels {
        "" => Some(Feed::Depth(pace)),
        "5" | "10" | "20" => Some(Feed::Partial { levels: levels.parse().ok()?, pace }),
        _ => None,
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.symbol.as_str().to_lowercase())?;
        match self.feed {
            Feed::Trade => f.write_str("trade"),
            Feed::AggTrade => f.write_str("aggTrade"),
            Feed::BookTicker => f.write_str("bookTicker"),
            Feed::Depth(pace) => write!(f, "depth{}", pace.suffix()),
            Feed::Partial { levels, pace } => write!(f, "depth{levels}{}", pace.suffix()),
            Feed::Kline(interval) => write!(f, "kline_{interval}"),
        }
    }
}

impl Pace {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Fast => "@100ms",
            Self::Slow => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names_round_trip_and_unknown_ones_are_recognised() {
        let symbols = ["BTCUSDT".parse().unwrap(), "\u{5e01}USDT".parse().unwrap()];
        for name in [
            "btcusdt@trade",
            "btcusdt@aggTrade",
            "btcusdt@bookTicker",
            "btcusdt@depth",
            "btcusdt@depth@100ms",
            "btcusdt@depth20@100ms",
            "btcusdt@kline_1m",
            "\u{5e01}usdt@trade",
        ] {
            assert_eq!(Topic::parse(name, &symbols).unwrap().to_string(), name);
        }
        for name in ["btcusdt", "BTCUSDT@trade", "ethusdt@trade", "btcusdt@depth7", "btcusdt@depth@5ms", "btcusdt@kline_7m", "0", ""] {
            assert_eq!(Topic::parse(name, &symbols), None, "{name}");
        }
    }
}
