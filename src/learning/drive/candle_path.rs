//! A candle as the quotes that could have made it: open, then the side that hurts a long, then the other, then close.

use crate::domain::{Bps, Candle, Instrument, Interval, Level, MarketData, MarketUpdate, Price, Qty, Quote, Side, Span, Symbol, Timestamp};

/// Share of the candle's volume that a quote shows: what a taker may have at the touch before it moves the price.
const SHOWN_SHARE: i128 = 20;

/// The updates of one candle, oldest first, ending with the finished candle itself at its close time.
#[must_use]
pub fn candle_path(symbol: Symbol, interval: Interval, candle: &Candle, instrument: &Instrument, half_spread: Bps) -> Vec<MarketUpdate> {
    let span = interval.span().nanos();
    let at = |quarter: i64| candle.open_time + Span::from_nanos(span * quarter / 4);
    let just_before_close = candle.open_time + Span::from_nanos(span - 1_000_000);
    let points = [(at(0), candle.open), (at(1), candle.low), (at(2), candle.high), (just_before_close, candle.close)];
    let shown = Qty::from_raw((candle.volume.raw() / SHOWN_SHARE).max(instrument.min_qty.raw()).max(1));
    let mut updates: Vec<MarketUpdate> =
        points.iter().map(|(time, price)| update(symbol, *time, quote(instrument, *price, half_spread, shown))).collect();
    updates.push(update(symbol, candle.open_time + interval.span(), MarketData::Candle { interval, candle: *candle }));
    updates
}

fn update(symbol: Symbol, at: Timestamp, data: MarketData) -> MarketUpdate {
    MarketUpdate { symbol, exchange_time: Some(at), local_time: at, data }
}

fn quote(instrument: &Instrument, price: Price, half_spread: Bps, shown: Qty) -> MarketData {
    let tick = instrument.tick.raw().max(1);
    let bid = instrument.passive_price(Side::Buy, price.shifted(-half_spread));
    let ask = instrument.passive_price(Side::Sell, price.shifted(half_spread));
    let ask = ask.max(Price::from_raw(bid.raw().saturating_add(tick)));
    MarketData::Quote(Quote { update_id: 0, bid: Level { price: bid, qty: shown }, ask: Level { price: ask, qty: shown } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::btcusdt;

    #[test]
    fn the_low_comes_before_the_high() {
        let price = |text: &str| text.parse::<Price>().unwrap();
        let btc = btcusdt();
        let candle = Candle {
            open_time: Timestamp::EPOCH,
            open: price("100"),
            high: price("102"),
            low: price("99"),
            close: price("101"),
            volume: "40".parse().unwrap(),
            taker_buy_volume: None,
            trades: 1,
        };
        let path = candle_path(btc.symbol, Interval::MINUTE, &candle, &btc, Bps::from_bps(1));
        let seen: Vec<String> = path
            .iter()
            .map(|u| match &u.data {
                MarketData::Quote(q) => format!("{} {} / {} x {}", u.local_time.millis(), q.bid.price, q.ask.price, q.ask.qty),
                other => format!("{} {}", u.local_time.millis(), if matches!(other, MarketData::Candle { .. }) { "candle" } else { "?" }),
            })
            .collect();
        assert_eq!(
            seen,
            ["0 99.99 / 100.01 x 2", "15000 98.99 / 99.01 x 2", "30000 101.98 / 102.02 x 2", "59999 100.98 / 101.02 x 2", "60000 candle"]
        );
    }
}
