//! Market updates as the lines of a capture: what `capture` reads, written in the venue's own form.
//!
//! An interruption has no message of the venue's; it is written as a stream of its own, `<symbol>@interrupted`, which other readers skip.

use std::io::{self, Write};

use serde::Serialize;

use crate::domain::{Level, MarketData, MarketUpdate, Price, Qty, Symbol, Timestamp};

#[derive(Serialize)]
struct Wrapped<'a, T> {
    stream: &'a str,
    data: T,
}

#[derive(Serialize)]
#[expect(non_snake_case, reason = "the venue's keys")]
struct DepthLine {
    e: &'static str,
    E: i64,
    s: Symbol,
    U: u64,
    u: u64,
    b: Vec<(Price, Qty)>,
    a: Vec<(Price, Qty)>,
}

#[derive(Serialize)]
#[expect(non_snake_case, reason = "the venue's keys")]
struct TradeLine {
    e: &'static str,
    E: i64,
    s: Symbol,
    t: u64,
    p: Price,
    q: Qty,
    T: i64,
    m: bool,
    M: bool,
}

#[derive(Serialize)]
#[expect(non_snake_case, reason = "the venue's keys")]
struct QuoteLine {
    u: u64,
    s: Symbol,
    b: Price,
    B: Qty,
    a: Price,
    A: Qty,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotLine {
    last_update_id: u64,
    bids: Vec<(Price, Qty)>,
    asks: Vec<(Price, Qty)>,
}

#[derive(Serialize)]
struct InterruptedLine {
    s: Symbol,
}

/// Writes one line; false for a candle, which no capture holds. A snapshot does not name its market: keep one market per file.
///
/// # Errors
/// What the writer says.
pub fn write_line(out: &mut impl Write, update: &MarketUpdate) -> io::Result<bool> {
    let symbol = update.symbol;
    let stream = |kind: &str| format!("{}@{kind}", symbol.as_str().to_lowercase());
    // Every message of the venue has a time; one without came from elsewhere and is as old as its arrival.
    let time = venue_number(update.exchange_time.unwrap_or(update.local_time));
    if matches!(update.data, MarketData::Candle { .. }) {
        return Ok(false);
    }
    write!(out, "{} ", update.local_time.nanos())?;
    match &update.data {
        MarketData::Snapshot(book) => {
            let data = SnapshotLine { last_update_id: book.last_update_id, bids: pairs(&book.bids), asks: pairs(&book.asks) };
            serde_json::to_writer(&mut *out, &data)?;
        }
        MarketData::Depth(diff) => {
            let (b, a) = (pairs(&diff.bids), pairs(&diff.asks));
            let data = DepthLine { e: "depthUpdate", E: time, s: symbol, U: diff.first_update_id, u: diff.last_update_id, b, a };
            serde_json::to_writer(&mut *out, &Wrapped { stream: &stream("depth@100ms"), data })?;
        }
        MarketData::Trade(trade) => {
            let (t, p, q, m) = (trade.id.0, trade.price, trade.qty, trade.buyer_is_maker);
            let data = TradeLine { e: "trade", E: time, s: symbol, t, p, q, T: time, m, M: true };
            serde_json::to_writer(&mut *out, &Wrapped { stream: &stream("trade"), data })?;
        }
        MarketData::Quote(quote) => {
            let (bid, ask) = (quote.bid, quote.ask);
            let data = QuoteLine { u: quote.update_id, s: symbol, b: bid.price, B: bid.qty, a: ask.price, A: ask.qty };
            serde_json::to_writer(&mut *out, &Wrapped { stream: &stream("bookTicker"), data })?;
        }
        MarketData::Interrupted => {
            serde_json::to_writer(&mut *out, &Wrapped { stream: &stream("interrupted"), data: InterruptedLine { s: symbol } })?;
        }
        MarketData::Candle { .. } => {}
    }
    out.write_all(b"\n")?;
    Ok(true)
}

/// Milliseconds, or microseconds where there are any: readers tell them apart by size.
fn venue_number(time: Timestamp) -> i64 {
    if time.nanos() % 1_000_000 == 0 { time.millis() } else { time.nanos() / 1_000 }
}

fn pairs(levels: &[Level]) -> Vec<(Price, Qty)> {
    levels.iter().map(|level| (level.price, level.qty)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BookSnapshot, DepthDiff, PublicTrade, Quote, TradeId};
    use crate::venue::capture::CaptureReader;

    fn updates() -> Vec<MarketUpdate> {
        let level = |price: &str, qty: &str| Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() };
        let at = Timestamp::from_millis(1_723_161_255_208);
        let update = |micros: Option<i64>, data| MarketUpdate {
            symbol: "BTCUSDT".parse().unwrap(),
            exchange_time: micros.map(|us| Timestamp::from_nanos(at.nanos() + us * 1_000)),
            local_time: Timestamp::from_nanos(at.nanos() + 1_234_567),
            data,
        };
        let (bid, ask) = (level("61737.63", "0.00001"), level("61737.64", "431401.97869504"));
        let diff = DepthDiff { first_update_id: 5, last_update_id: 9, bids: vec![bid, level("61000", "0")], asks: Vec::new() };
        let trade = PublicTrade { id: TradeId(77), price: bid.price, qty: ask.qty, buyer_is_maker: true };
        vec![
            update(None, MarketData::Snapshot(BookSnapshot { last_update_id: 4, bids: vec![bid], asks: vec![ask] })),
            update(Some(0), MarketData::Depth(diff.clone())),
            update(Some(2_017), MarketData::Trade(trade)),
            update(None, MarketData::Quote(Quote { update_id: 10, bid, ask })),
            update(None, MarketData::Interrupted),
            update(Some(3_000), MarketData::Depth(diff)),
        ]
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for update in &updates() {
            assert!(write_line(&mut file, update).unwrap());
        }
        let read: Vec<MarketUpdate> = CaptureReader::open(file.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, updates());
    }

    #[test]
    fn a_candle_is_no_line() {
        let zero = Price::ZERO;
        let candle = crate::domain::Candle {
            open_time: Timestamp::EPOCH,
            open: zero,
            high: zero,
            low: zero,
            close: zero,
            volume: Qty::ZERO,
            taker_buy_volume: None,
            trades: 0,
        };
        let data = MarketData::Candle { interval: crate::domain::Interval::MINUTE, candle };
        let mut out = Vec::new();
        assert!(!write_line(&mut out, &MarketUpdate { data, ..updates().remove(0) }).unwrap() && out.is_empty());
    }
}
