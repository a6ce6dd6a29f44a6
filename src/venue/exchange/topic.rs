//! Names of market streams: `btcusdt@trade`, `btcusdt@depth@100ms`, `btcusdt@kline_1d@+08:00`, `!miniTicker@arr`.

use std::fmt;

use super::grid::Grid;
use crate::domain::Symbol;

/// One stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    One(Symbol, Feed),
    /// Every symbol that changed, as an array.
    All(Tally),
}

/// What a stream of one symbol shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feed {
    Trade,
    /// Every trade is its own aggregate here: ids are the trades'.
    AggTrade,
    BookTicker,
    AvgPrice,
    Tally(Tally),
    Depth(Pace),
    /// The top `levels` of each side.
    Partial {
        levels: u8,
        pace: Pace,
    },
    Kline(Grid),
}

/// A summary of a while that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tally {
    /// 24 hours, in full.
    Day,
    /// 24 hours, prices and volumes.
    Mini,
    /// So many hours: 1, 4 or 24.
    Rolling(u8),
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

    const fn suffix(self) -> &'static str {
        match self {
            Self::Fast => "@100ms",
            Self::Slow => "",
        }
    }
}

impl Tally {
    const ROLLING: [(u8, &'static str); 3] = [(1, "1h"), (4, "4h"), (24, "1d")];

    /// `ticker`, `miniTicker`, `ticker_4h`
    fn parse(name: &str) -> Option<Self> {
        match name {
            "ticker" => Some(Self::Day),
            "miniTicker" => Some(Self::Mini),
            _ => {
                let window = name.strip_prefix("ticker_")?;
                Self::ROLLING.into_iter().find(|(_, name)| *name == window).map(|(hours, _)| Self::Rolling(hours))
            }
        }
    }

    /// `1h`, `4h`, `1d`
    pub fn window(self) -> &'static str {
        match self {
            Self::Rolling(hours) => Self::ROLLING.into_iter().find(|(known, _)| *known == hours).map_or("1d", |(_, name)| name),
            Self::Day | Self::Mini => "1d",
        }
    }

    pub const fn hours(self) -> i64 {
        match self {
            Self::Rolling(hours) => hours as i64,
            Self::Day | Self::Mini => 24,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("ticker"),
            Self::Mini => f.write_str("miniTicker"),
            Self::Rolling(_) => write!(f, "ticker_{}", self.window()),
        }
    }
}

impl Topic {
    /// `None` for a stream that is not served; symbols are matched by their lower-case form. `!ticker@arr` is retired.
    pub fn parse(name: &str, symbols: &[Symbol]) -> Option<Self> {
        if let Some(all) = name.strip_prefix('!') {
            return Tally::parse(all.strip_suffix("@arr")?).filter(|tally| *tally != Tally::Day).map(Self::All);
        }
        let (symbol, feed) = name.split_once('@')?;
        let symbol = *symbols.iter().find(|known| known.as_str().to_lowercase() == symbol)?;
        Some(Self::One(symbol, feed_of(feed)?))
    }

    pub const fn symbol(self) -> Option<Symbol> {
        match self {
            Self::One(symbol, _) => Some(symbol),
            Self::All(_) => None,
        }
    }
}

fn feed_of(name: &str) -> Option<Feed> {
    Some(match name {
        "trade" => Feed::Trade,
        "aggTrade" => Feed::AggTrade,
        "bookTicker" => Feed::BookTicker,
        "avgPrice" => Feed::AvgPrice,
        _ => {
            if let Some(kline) = name.strip_prefix("kline_") {
                let (interval, zone) = kline.split_once('@').map_or((kline, None), |(interval, zone)| (interval, Some(zone)));
                Feed::Kline(Grid::parse(interval, zone).ok()?)
            } else if let Some(levels) = name.strip_prefix("depth") {
                depth(levels)?
            } else {
                Feed::Tally(Tally::parse(name)?)
            }
        }
    })
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
        let (symbol, feed) = match self {
            Self::All(tally) => return write!(f, "!{tally}@arr"),
            Self::One(symbol, feed) => (symbol, feed),
        };
        write!(f, "{}@", symbol.as_str().to_lowercase())?;
        match feed {
            Feed::Trade => f.write_str("trade"),
            Feed::AggTrade => f.write_str("aggTrade"),
            Feed::BookTicker => f.write_str("bookTicker"),
            Feed::AvgPrice => f.write_str("avgPrice"),
            Feed::Tally(tally) => write!(f, "{tally}"),
            Feed::Depth(pace) => write!(f, "depth{}", pace.suffix()),
            Feed::Partial { levels, pace } => write!(f, "depth{levels}{}", pace.suffix()),
            Feed::Kline(grid) => write!(f, "kline_{grid}"),
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
            "btcusdt@avgPrice",
            "btcusdt@ticker",
            "btcusdt@miniTicker",
            "btcusdt@ticker_4h",
            "btcusdt@depth",
            "btcusdt@depth@100ms",
            "btcusdt@depth20@100ms",
            "btcusdt@kline_1m",
            "btcusdt@kline_1M",
            "btcusdt@kline_1w@+08:00",
            "\u{5e01}usdt@trade",
            "!miniTicker@arr",
            "!ticker_1h@arr",
        ] {
            assert_eq!(Topic::parse(name, &symbols).unwrap().to_string(), name);
        }
        for name in [
            "btcusdt",
            "BTCUSDT@trade",
            "ethusdt@trade",
            "btcusdt@depth7",
            "btcusdt@depth@5ms",
            "btcusdt@kline_7m",
            "btcusdt@ticker_2h",
            "!ticker@arr",
            "!trade@arr",
            "0",
            "",
        ] {
            assert_eq!(Topic::parse(name, &symbols), None, "{name}");
        }
    }
}
