//! Candles with the quote volumes that the exchange's kline rows carry, and their sums from smaller ones.

use serde::Serialize;

use super::wire::Fixed;
use crate::domain::{Candle, Money, Price, PublicTrade, Qty, Timestamp};

/// One interval's trades; finished or still forming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub open_time: Timestamp,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    pub volume: Qty,
    pub quote_volume: Money,
    pub taker_buy_volume: Qty,
    pub taker_buy_quote: Money,
    pub trades: u32,
}

impl Bar {
    /// An interval without trades at the last known price.
    pub fn flat(open_time: Timestamp, price: Price) -> Self {
        Self {
            open_time,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
            quote_volume: Money::ZERO,
            taker_buy_volume: Qty::ZERO,
            taker_buy_quote: Money::ZERO,
            trades: 0,
        }
    }

    pub fn of_trade(open_time: Timestamp, trade: &PublicTrade) -> Self {
        let quote = trade.price.notional(trade.qty).unwrap_or(Money::ZERO);
        let (bought, bought_quote) = if trade.buyer_is_maker { (Qty::ZERO, Money::ZERO) } else { (trade.qty, quote) };
        Self {
            volume: trade.qty,
            quote_volume: quote,
            taker_buy_volume: bought,
            taker_buy_quote: bought_quote,
            trades: 1,
            ..Self::flat(open_time, trade.price)
        }
    }

    /// A candle of the synthetic market. It tells base volume only: quote volume is taken at the mean of its four prices.
    pub fn of_candle(candle: &Candle) -> Self {
        let mean = [candle.open, candle.high, candle.low, candle.close].iter().map(|p| i128::from(p.raw())).sum::<i128>() / 4;
        let mean = Price::from_raw(i64::try_from(mean).unwrap_or(i64::MAX));
        let bought = candle.taker_buy_volume.unwrap_or(Qty::ZERO);
        Self {
            open_time: candle.open_time,
            open: candle.open,
            high: candle.high,
            low: candle.low,
            close: candle.close,
            volume: candle.volume,
            quote_volume: mean.notional(candle.volume).unwrap_or(Money::ZERO),
            taker_buy_volume: bought,
            taker_buy_quote: mean.notional(bought).unwrap_or(Money::ZERO),
            trades: candle.trades,
        }
    }

    /// Appends what happened later in the same interval.
    pub fn extend(&mut self, later: &Self) {
        // Prices of an interval without trades are only a carried close.
        if later.trades == 0 {
            return;
        }
        if self.trades == 0 {
            (self.open, self.high, self.low) = (later.open, later.high, later.low);
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.quote_volume += later.quote_volume;
        self.taker_buy_volume += later.taker_buy_volume;
        self.taker_buy_quote += later.taker_buy_quote;
        self.trades += later.trades;
    }

    /// The twelve columns of a kline row; `close_ms` is the last millisecond of its interval.
    pub fn row(&self, close_ms: i64) -> impl Serialize + use<> {
        (
            self.open_time.millis(),
            Fixed(self.open),
            Fixed(self.high),
            Fixed(self.low),
            Fixed(self.close),
            Fixed(self.volume),
            close_ms,
            Fixed(self.quote_volume),
            self.trades,
            Fixed(self.taker_buy_volume),
            Fixed(self.taker_buy_quote),
            "0",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TradeId;

    #[test]
    fn bars_add_up_and_quiet_intervals_do_not_move_prices() {
        let trade = |price: &str, buyer_is_maker| PublicTrade {
            id: TradeId(1),
            price: price.parse().unwrap(),
            qty: "2".parse().unwrap(),
            buyer_is_maker,
        };
        let mut bar = Bar::flat(Timestamp::EPOCH, "5".parse().unwrap());
        bar.extend(&Bar::of_trade(Timestamp::EPOCH, &trade("10", true)));
        bar.extend(&Bar::of_trade(Timestamp::EPOCH, &trade("12", false)));
        bar.extend(&Bar::flat(Timestamp::EPOCH, "99".parse().unwrap()));
        let row = super::super::wire::json(&bar.row(59_999));
        assert_eq!(
            row,
            "[0,\"10.00000000\",\"12.00000000\",\"10.00000000\",\"12.00000000\",\"4.00000000\",59999,\"44.00000000\",2,\"2.00000000\",\"24.00000000\",\"0\"]"
        );
    }
}
