//! Summaries of a while: 24-hour tickers, rolling windows, the trading day; as REST rows and as stream events.

use serde_json::{Map, Value, json};

use super::bar::Bar;
use super::hall::Hall;
use super::market::Market;
use super::params::Params;
use super::refusal::ApiError;
use super::tape::Tape;
use super::topic::Tally;
use super::wire::json as text;
use crate::domain::{Interval, Level, Money, Price, Qty, Span, Symbol, Timestamp};

const DAY: Span = Span::from_secs(86_400);
/// Minutes that an average price looks back.
pub(super) const AVERAGE_MINUTES: i64 = 5;

/// How much a ticker tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Full,
    Mini,
}

impl Extent {
    pub fn parse(params: &Params) -> Result<Self, ApiError> {
        match params.text("type")? {
            None | Some("FULL") => Ok(Self::Full),
            Some("MINI") => Ok(Self::Mini),
            Some(_) => Err(ApiError::BadData("type")),
        }
    }
}

/// A while's sum and what stands at its end.
pub(super) struct Summary {
    symbol: Symbol,
    whole: Bar,
    last: Price,
    last_qty: Qty,
    last_id: i64,
    best: (Level, Level),
    open_time: Timestamp,
    close_time: Timestamp,
}

impl Summary {
    /// The while from `from` to the market's present moment.
    pub fn of(market: &mut Market, symbol: Symbol, from: Timestamp) -> Option<Self> {
        let close_time = market.until;
        let bars = market.since(symbol, from);
        let tape = market.tape(symbol)?;
        let newest = tape.trades(1).next().map(|traded| traded.trade);
        let standing = tape.last_price().unwrap_or(Price::ZERO);
        let whole = sum(&bars).unwrap_or_else(|| Bar::flat(from, standing));
        let nothing = Level { price: Price::ZERO, qty: Qty::ZERO };
        let (_, bid, ask) = tape.best().unwrap_or((0, nothing, nothing));
        Some(Self {
            symbol,
            whole,
            last: newest.map_or(whole.close, |trade| trade.price),
            last_qty: newest.map_or(Qty::ZERO, |trade| trade.qty),
            last_id: newest.map_or(-1, |trade| i64::try_from(trade.id.0).unwrap_or(i64::MAX)),
            best: (bid, ask),
            open_time: from,
            close_time,
        })
    }

    pub fn of_tally(market: &mut Market, symbol: Symbol, tally: Tally) -> Option<Self> {
        let from = market.until - Span::from_secs(3_600).times(tally.hours());
        // The 24-hour ticker rolls with every second, the windows of its smaller siblings with every minute.
        let from = if matches!(tally, Tally::Rolling(_)) { from.floor_to(Interval::MINUTE) } else { from };
        Self::of(market, symbol, from)
    }

    fn change(&self) -> Price {
        self.last - self.whole.open
    }

    fn percent(&self) -> f64 {
        if self.whole.open.is_positive() { (self.last.to_f64() / self.whole.open.to_f64() - 1.0) * 100.0 } else { 0.0 }
    }

    fn average(&self) -> Price {
        weighted(self.whole.quote_volume, self.whole.volume, self.last)
    }

    /// A row of `ticker` and `ticker/tradingDay`; with the book and the day before of `ticker/24hr`.
    pub fn row(&self, extent: Extent, is_day: bool) -> String {
        let whole = &self.whole;
        let mut row = json!({
            "symbol": self.symbol.as_str(),
            "openPrice": fixed(whole.open),
            "highPrice": fixed(whole.high),
            "lowPrice": fixed(whole.low),
            "lastPrice": fixed(self.last),
            "volume": amount(whole.volume),
            "quoteVolume": format!("{:.8}", whole.quote_volume),
            "openTime": self.open_time.millis(),
            "closeTime": self.close_time.millis(),
            "firstId": -1,
            "lastId": self.last_id,
            "count": whole.trades,
        });
        if let (Value::Object(row), Extent::Full) = (&mut row, extent) {
            self.add_full(row, is_day);
        }
        text(&row)
    }

    fn add_full(&self, row: &mut Map<String, Value>, is_day: bool) {
        row.insert("priceChange".into(), fixed(self.change()).into());
        row.insert("priceChangePercent".into(), format!("{:.3}", self.percent()).into());
        row.insert("weightedAvgPrice".into(), fixed(self.average()).into());
        if is_day {
            let (bid, ask) = self.best;
            row.insert("prevClosePrice".into(), fixed(self.whole.open).into());
            row.insert("lastQty".into(), amount(self.last_qty).into());
            row.insert("bidPrice".into(), fixed(bid.price).into());
            row.insert("bidQty".into(), amount(bid.qty).into());
            row.insert("askPrice".into(), fixed(ask.price).into());
            row.insert("askQty".into(), amount(ask.qty).into());
        }
    }

    /// A stream event.
    pub fn event(&self, tally: Tally) -> Value {
        let (whole, now) = (&self.whole, self.close_time.millis());
        let kind = match tally {
            Tally::Day => "24hrTicker".to_owned(),
            Tally::Mini => "24hrMiniTicker".to_owned(),
            Tally::Rolling(_) => format!("{}Ticker", tally.window()),
        };
        let mut event = json!({
            "e": kind,
            "E": now,
            "s": self.symbol.as_str(),
            "c": fixed(self.last),
            "o": fixed(whole.open),
            "h": fixed(whole.high),
            "l": fixed(whole.low),
            "v": amount(whole.volume),
            "q": format!("{:.8}", whole.quote_volume),
        });
        if let (Value::Object(event), Tally::Day | Tally::Rolling(_)) = (&mut event, tally) {
            for (name, value) in [
                ("p", json!(fixed(self.change()))),
                ("P", json!(format!("{:.3}", self.percent()))),
                ("w", json!(fixed(self.average()))),
                ("O", json!(self.open_time.millis())),
                ("C", json!(now)),
                ("F", json!(-1)),
                ("L", json!(self.last_id)),
                ("n", json!(whole.trades)),
            ] {
                event.insert(name.to_owned(), value);
            }
        }
        if let (Value::Object(event), Tally::Day) = (&mut event, tally) {
            let (bid, ask) = self.best;
            for (name, value) in [
                ("x", fixed(whole.open)),
                ("Q", amount(self.last_qty)),
                ("b", fixed(bid.price)),
                ("B", amount(bid.qty)),
                ("a", fixed(ask.price)),
                ("A", amount(ask.qty)),
            ] {
                event.insert(name.to_owned(), value.into());
            }
        }
        event
    }
}

/// Volume-weighted over the last five minutes; the last price when nothing traded.
pub(super) fn average_price(market: &mut Market, symbol: Symbol) -> Price {
    let last = market.tape(symbol).and_then(Tape::last_price).unwrap_or(Price::ZERO);
    let bars = market.since(symbol, market.until - Span::from_secs(60 * AVERAGE_MINUTES));
    sum(&bars).map_or(last, |bar| weighted(bar.quote_volume, bar.volume, bar.close))
}

/// `windowSize`: `1m` to `59m`, `1h` to `23h`, `1d` to `7d`; a day without.
pub(super) fn window(params: &Params) -> Result<Span, ApiError> {
    let Some(name) = params.text("windowSize")? else { return Ok(DAY) };
    let bad = ApiError::BadData("windowSize");
    let unit = name.chars().last().filter(char::is_ascii_alphabetic).ok_or(bad.clone())?;
    let count: i64 = name[..name.len() - 1].parse().map_err(|_| bad.clone())?;
    match (unit, count) {
        ('m', 1..=59) => Ok(Span::from_secs(60 * count)),
        ('h', 1..=23) => Ok(Span::from_secs(3_600 * count)),
        ('d', 1..=7) => Ok(DAY.times(count)),
        _ => Err(bad),
    }
}

pub(super) fn day_row(hall: &mut Hall, symbol: Symbol, extent: Extent) -> Result<String, ApiError> {
    let from = hall.market.until - DAY;
    Summary::of(&mut hall.market, symbol, from).map(|summary| summary.row(extent, true)).ok_or(ApiError::Symbol)
}

pub(super) fn row_since(hall: &mut Hall, symbol: Symbol, from: Timestamp, extent: Extent) -> Result<String, ApiError> {
    Summary::of(&mut hall.market, symbol, from).map(|summary| summary.row(extent, false)).ok_or(ApiError::Symbol)
}

fn sum(bars: &[Bar]) -> Option<Bar> {
    let (first, rest) = bars.split_first()?;
    let mut sum = *first;
    rest.iter().for_each(|bar| sum.extend(bar));
    Some(sum)
}

fn weighted(quote: Money, volume: Qty, otherwise: Price) -> Price {
    if !volume.is_positive() {
        return otherwise;
    }
    // Money counts 1e-16 and Qty 1e-8: their ratio counts 1e-8, as prices do.
    i64::try_from(quote.raw() / volume.raw()).map_or(otherwise, Price::from_raw)
}

fn fixed(price: Price) -> String {
    format!("{price:.8}")
}

fn amount(qty: Qty) -> String {
    format!("{qty:.8}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_minutes_hours_or_days_within_their_bounds() {
        let window =
            |text: &str| window(&Params::parse(&format!("windowSize={text}"), "").unwrap()).map(|span| span.nanos() / 1_000_000_000);
        assert_eq!([window("1m"), window("59m"), window("23h"), window("7d")], [Ok(60), Ok(3_540), Ok(82_800), Ok(604_800)]);
        for text in ["0m", "60m", "24h", "8d", "1w", "d", "-1d", "1"] {
            assert_eq!(window(text).unwrap_err().code(), -1130, "{text}");
        }
    }
}
