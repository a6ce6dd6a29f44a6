//! Whole candles from recorded trades.

use crate::domain::{Candle, Interval, MarketData, MarketUpdate, Span, Timestamp};
use crate::market::BarBuilder;

/// A recording silent for longer than this was interrupted: nothing is known of the time between.
const INTERRUPTED: Span = Span::from_secs(30);

/// Folds the recorded updates of one market into candles that were seen from beginning to end.
#[derive(Debug)]
pub struct TradeBars {
    interval: Interval,
    builder: BarBuilder,
    /// When the present piece of the recording began, and its latest moment, by the venue's time where it is told.
    piece: Option<(Timestamp, Timestamp)>,
    candles: Vec<Candle>,
    /// Candles left out because the recording began within them.
    pub cut: u64,
}

impl TradeBars {
    pub fn new(interval: Interval) -> Self {
        Self { interval, builder: BarBuilder::new(interval), piece: None, candles: Vec::new(), cut: 0 }
    }

    /// Updates come in the order of arrival.
    pub fn take(&mut self, update: &MarketUpdate) {
        let at = update.exchange_time.unwrap_or(update.local_time);
        match &mut self.piece {
            Some((_, last)) if at.since(*last) <= INTERRUPTED => *last = at.max(*last),
            _ => {
                self.end_piece();
                self.piece = Some((at, at));
            }
        }
        if let MarketData::Trade(trade) = &update.data {
            let finished = self.builder.on_trade(at, trade);
            self.keep(finished);
        }
    }

    /// The candles, oldest first; the one that was forming at the end is not among them.
    pub fn finish(mut self) -> (Vec<Candle>, u64) {
        self.end_piece();
        (self.candles, self.cut)
    }

    fn end_piece(&mut self) {
        let Some((_, last)) = self.piece else { return };
        let finished = self.builder.on_time(last);
        self.keep(finished);
        self.piece = None;
        self.builder = BarBuilder::new(self.interval);
    }

    fn keep(&mut self, finished: Vec<Candle>) {
        let from = self.piece.map_or(Timestamp::MAX, |(first, _)| first);
        let given = finished.len();
        let before = self.candles.len();
        self.candles.extend(finished.into_iter().filter(|candle| candle.open_time >= from));
        self.cut += (given - (self.candles.len() - before)) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PublicTrade, TradeId};

    fn trade(secs: i64, price: &str) -> MarketUpdate {
        let at = Timestamp::from_millis(secs * 1_000);
        let data = MarketData::Trade(PublicTrade {
            id: TradeId(1),
            price: price.parse().unwrap(),
            qty: "1".parse().unwrap(),
            buyer_is_maker: true,
        });
        MarketUpdate { symbol: "BTCUSDT".parse().unwrap(), exchange_time: Some(at), local_time: at, data }
    }

    fn fold(updates: &[MarketUpdate]) -> (Vec<i64>, u64) {
        let mut bars = TradeBars::new(Interval::from_secs(20).unwrap());
        updates.iter().for_each(|update| bars.take(update));
        let (candles, cut) = bars.finish();
        (candles.iter().map(|candle| candle.open_time.millis() / 1_000).collect(), cut)
    }

    #[test]
    fn only_whole_candles_leave() {
        // Begins within the bar of 0 s, ends within the bar of 60 s.
        let (opened, cut) = fold(&[trade(5, "1"), trade(19, "2"), trade(25, "3"), trade(45, "4"), trade(61, "5")]);
        assert_eq!((opened, cut), (vec![20, 40], 1));
    }

    #[test]
    fn nothing_is_made_up_over_an_interruption() {
        let (opened, _) = fold(&[trade(0, "1"), trade(19, "2"), trade(25, "2"), trade(200, "3"), trade(210, "3"), trade(225, "3")]);
        assert_eq!(opened, vec![0, 200]);
    }
}
