//! Candles from public trades, by the venue's time.
//!
//! A bar closes when time passes its end: a trade at or after it, or `on_time`. A bar without trades repeats the previous close with
//! volume zero; nothing is made up before the first trade, nor over a silence of more than `MAX_FLAT_BARS` (bars then start afresh).
//! The first bar holds what was seen of it.

use crate::domain::{Candle, Interval, Price, PublicTrade, Qty, Timestamp};

/// The longest silence that is written as flat bars.
pub const MAX_FLAT_BARS: i64 = 1_440;

/// Folds trades into finished candles of one interval.
#[derive(Debug, Clone)]
pub struct BarBuilder {
    interval: Interval,
    forming: Option<Candle>,
    late_trades: u64,
}

impl BarBuilder {
    #[must_use]
    pub fn new(interval: Interval) -> Self {
        Self { interval, forming: None, late_trades: 0 }
    }

    /// Folds one trade at the venue's time `at`; gives the candles it finished, oldest first. A trade older than the bar that forms
    /// is counted and not folded: its candle was already used.
    pub fn on_trade(&mut self, at: Timestamp, trade: &PublicTrade) -> Vec<Candle> {
        let start = at.floor_to(self.interval);
        if self.forming.is_some_and(|bar| start < bar.open_time) {
            self.late_trades += 1;
            return Vec::new();
        }
        let finished = self.close_until(start);
        let bar = self.forming.get_or_insert_with(|| flat(start, trade.price));
        if bar.trades == 0 {
            (bar.open, bar.high, bar.low) = (trade.price, trade.price, trade.price);
        }
        bar.high = bar.high.max(trade.price);
        bar.low = bar.low.min(trade.price);
        bar.close = trade.price;
        bar.volume += trade.qty;
        bar.trades = bar.trades.saturating_add(1);
        if !trade.buyer_is_maker {
            bar.taker_buy_volume = bar.taker_buy_volume.map(|bought| bought + trade.qty);
        }
        finished
    }

    /// Time is `now` (the venue's): gives the candles that ended, oldest first.
    pub fn on_time(&mut self, now: Timestamp) -> Vec<Candle> {
        self.close_until(now.floor_to(self.interval))
    }

    /// Trades that came after their bar had closed.
    #[must_use]
    pub fn late_trades(&self) -> u64 {
        self.late_trades
    }

    /// Closes every bar that starts before `start`, so that the forming one starts there.
    fn close_until(&mut self, start: Timestamp) -> Vec<Candle> {
        let mut finished = Vec::new();
        let Some(mut bar) = self.forming.filter(|bar| bar.open_time < start) else { return finished };
        let silent = start.since(bar.open_time).nanos() / self.interval.span().nanos();
        if silent > MAX_FLAT_BARS {
            self.forming = None;
            finished.extend((bar.trades > 0).then_some(bar));
            return finished;
        }
        while bar.open_time < start {
            finished.push(bar);
            bar = flat(bar.open_time + self.interval.span(), bar.close);
        }
        self.forming = Some(bar);
        finished
    }
}

/// A bar without trades at `price`.
pub(super) fn flat(open_time: Timestamp, price: Price) -> Candle {
    Candle {
        open_time,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Qty::ZERO,
        taker_buy_volume: Some(Qty::ZERO),
        trades: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Span, TradeId};

    fn trade(price: i64, qty: i128, buyer_is_maker: bool) -> PublicTrade {
        PublicTrade { id: TradeId(1), price: Price::from_raw(price), qty: Qty::from_raw(qty), buyer_is_maker }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(secs)
    }

    #[test]
    fn trades_become_a_candle_when_their_minute_is_over() {
        let mut bars = BarBuilder::new(Interval::MINUTE);
        for (secs, price, maker) in [(61, 10, false), (70, 14, true), (80, 8, false), (119, 11, true)] {
            assert!(bars.on_trade(at(secs), &trade(price, 2, maker)).is_empty());
        }
        assert!(bars.on_time(at(119)).is_empty());
        let done = bars.on_trade(at(120), &trade(12, 1, false));
        assert_eq!(done.len(), 1);
        let candle = done[0];
        assert_eq!(candle.open_time, at(60));
        let prices = [candle.open, candle.high, candle.low, candle.close].map(Price::raw);
        assert_eq!(prices, [10, 14, 8, 11]);
        assert_eq!((candle.volume.raw(), candle.trades), (8, 4));
        assert_eq!(candle.taker_buy_volume, Some(Qty::from_raw(4)));
    }

    #[test]
    fn silent_minutes_repeat_the_close_but_nothing_comes_before_the_first_trade() {
        let mut bars = BarBuilder::new(Interval::MINUTE);
        assert!(bars.on_time(at(600)).is_empty());
        bars.on_trade(at(610), &trade(9, 1, false));
        let done = bars.on_time(at(785));
        assert_eq!(done.iter().map(|c| c.open_time).collect::<Vec<_>>(), vec![at(600), at(660), at(720)]);
        assert!(done.iter().all(|c| c.close.raw() == 9 && c.is_sound()));
        assert_eq!(done[1].volume, Qty::ZERO);
        assert!(bars.on_time(at(785)).is_empty(), "a bar closes once");
    }

    #[test]
    fn a_late_trade_is_counted_and_changes_nothing() {
        let mut bars = BarBuilder::new(Interval::MINUTE);
        bars.on_trade(at(10), &trade(9, 1, false));
        bars.on_time(at(60));
        assert!(bars.on_trade(at(59), &trade(99, 1, false)).is_empty());
        assert_eq!(bars.late_trades(), 1);
        assert_eq!(bars.on_time(at(120))[0].high.raw(), 9);
    }

    #[test]
    fn a_very_long_silence_is_not_filled() {
        let mut bars = BarBuilder::new(Interval::MINUTE);
        bars.on_trade(at(0), &trade(9, 1, false));
        assert_eq!(bars.on_trade(at(60 * (MAX_FLAT_BARS + 1)), &trade(10, 1, false)).len(), 1);
        assert_eq!(bars.on_time(at(60 * (MAX_FLAT_BARS + 2))).len(), 1);
    }
}
