//! Candles of the same market at another exchange, for when the venue cannot be reached at all. They are other trades at other prices:
//! whoever keeps them keeps that with them.
//!
//! Sources: Kraken REST `GET /0/public/OHLC` (the newest 720, the last one forming); Coinbase Exchange
//! `GET /products/{id}/candles` (300 a page, newest first, `[time, low, high, open, close, volume]`, no row without a trade).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Block;
use super::error::SourceError;
use super::rows::{ReadRow, Row, Window, sift};
use super::web::Web;
use crate::domain::{Candle, Interval, Price, Qty, Span, Symbol, Timestamp};
use crate::venue::inferred::split;
use crate::venue::ohlcv::parse_number;

const COINBASE_PAGE: i64 = 300;
const KRAKEN_MINUTES: [i64; 9] = [1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600];
const COINBASE_SECONDS: [i64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];

#[derive(Clone)]
pub struct Kraken {
    pub(super) base: String,
    pub(super) web: Web,
}

#[derive(Clone)]
pub struct Coinbase {
    pub(super) base: String,
    pub(super) web: Web,
}

#[derive(Deserialize)]
struct KrakenAnswer {
    #[serde(default)]
    error: Vec<String>,
    #[serde(default)]
    result: std::collections::BTreeMap<String, Box<RawValue>>,
}

impl Kraken {
    /// Told from the oldest of its 720 candles on.
    pub async fn block(&self, symbol: Symbol, window: Window) -> Result<Block, SourceError> {
        let minutes = window.interval.secs() / 60;
        if window.interval.secs() % 60 != 0 || !KRAKEN_MINUTES.contains(&minutes) {
            return Err(SourceError::UnknownInterval { place: self.base.clone(), interval: window.interval });
        }
        let (base, quote) = split(symbol, &mut Vec::new());
        let named = |asset: &str| match asset {
            "BTC" => "XBT".to_owned(),
            "DOGE" => "XDG".to_owned(),
            other => other.to_owned(),
        };
        let pair = format!("{}{}", named(base.as_str()), named(quote.as_str()));
        let url = format!("{}/0/public/OHLC?pair={pair}&interval={minutes}", self.base);
        let unreadable = |detail: String| SourceError::Unreadable { url: url.clone(), detail };
        let body = self.web.text(&url).await?.ok_or_else(|| unreadable("404".to_owned()))?;
        let answer: KrakenAnswer = serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
        if answer.error.iter().any(|text| text.contains("Unknown asset pair")) {
            return Err(SourceError::UnknownSymbol { place: self.base.clone(), symbol });
        }
        if let Some(text) = answer.error.first() {
            return Err(unreadable(text.clone()));
        }
        let listed = answer.result.iter().find(|(name, _)| *name != "last");
        let (_, rows) = listed.ok_or_else(|| unreadable("no candles in it".to_owned()))?;
        let rows: Vec<Vec<Box<RawValue>>> = serde_json::from_str(rows.get()).map_err(|error| unreadable(error.to_string()))?;
        let rows: Vec<ReadRow> = rows.iter().map(|row| read(row, [1, 2, 3, 4, 6], Some(7), window.interval)).collect();
        let oldest = rows.iter().flatten().map(|row| row.candle.open_time).min();
        let from = oldest.map_or(window.until, |oldest| oldest.max(window.from).min(window.until));
        let sifted = sift(rows, window);
        Ok(Block { from, until: sifted.forming.unwrap_or(window.until).max(from), sifted, told: true })
    }
}

impl Coinbase {
    /// The next 300.
    pub async fn block(&self, symbol: Symbol, window: Window) -> Result<Block, SourceError> {
        let seconds = window.interval.secs();
        if !COINBASE_SECONDS.contains(&seconds) {
            return Err(SourceError::UnknownInterval { place: self.base.clone(), interval: window.interval });
        }
        let (base, quote) = split(symbol, &mut Vec::new());
        let until = window.until.min(window.from + window.interval.span().times(COINBASE_PAGE));
        // Both ends are included.
        let (start, end) = (window.from.millis().div_euclid(1_000), (until - Span::from_nanos(1)).millis().div_euclid(1_000));
        let url = format!("{}/products/{base}-{quote}/candles?granularity={seconds}&start={start}&end={end}", self.base);
        let unknown = || SourceError::UnknownSymbol { place: self.base.clone(), symbol };
        let body = self.web.text(&url).await?.ok_or_else(unknown)?;
        let unreadable = |error: serde_json::Error| SourceError::Unreadable { url: url.clone(), detail: error.to_string() };
        let rows: Vec<Vec<Box<RawValue>>> = serde_json::from_slice(&body).map_err(unreadable)?;
        let rows = rows.iter().rev().map(|row| read(row, [3, 2, 1, 4, 5], None, window.interval));
        let sifted = sift(rows, Window { until, ..window });
        Ok(Block { from: window.from, until: sifted.forming.unwrap_or(until), sifted, told: true })
    }
}

/// One row; `places` of open, high, low, close and volume. The time in seconds is the first.
fn read(row: &[Box<RawValue>], places: [usize; 5], trades: Option<usize>, interval: Interval) -> ReadRow {
    let text = |place: usize| row.get(place).map(|raw| raw.get().trim_matches('"')).ok_or_else(|| format!("{} columns", row.len()));
    let number = |place: usize| {
        let text = text(place)?;
        parse_number(text).map(|(raw, _)| raw).ok_or_else(|| format!("'{}' is not a number", text.chars().take(40).collect::<String>()))
    };
    let price = |place: usize| {
        let raw = number(place)?;
        i64::try_from(raw).map(Price::from_raw).map_err(|_| "a price out of range".to_owned())
    };
    let seconds: i64 = text(0)?.parse().map_err(|_| "the time is not a number of seconds".to_owned())?;
    let open_time = Timestamp::EPOCH + Span::from_secs(seconds);
    let [open, high, low, close, volume] = places;
    let candle = Candle {
        open_time,
        open: price(open)?,
        high: price(high)?,
        low: price(low)?,
        close: price(close)?,
        volume: Qty::from_raw(number(volume)?),
        taker_buy_volume: None,
        trades: trades.and_then(|place| text(place).ok()?.parse().ok()).unwrap_or(0),
    };
    Ok(Row { candle, close_time: open_time + interval.span() - Span::from_millis(1) })
}
