//! How good a feed is: ages, gaps, order, and the offset between its clock and ours.
//!
//! Clock offset = the median of (local − the venue's event time) over the last 2,048 book diffs; over trades where a feed has no diffs.
//! On two recorded captures (Binance spot, 2024-08-08) that gives −1,272.3 ms (BTCUSDT) and −1,272.5 ms (ETHUSDT); the median over all
//! messages of the file gives −1,272.3 and −1,272.4. The minimum (−1,275.0 and −1,275.2) hangs on one message and on the millisecond grain
//! of the stamps; the mean moves with bursts. Trades come in bursts, weigh the busiest moments, and may be stamped with the trade's time
//! instead of the message's; diffs come every 100 ms. The offset holds the one-way delay, which a one-way stream cannot separate.

use std::collections::VecDeque;

use crate::domain::{MarketData, MarketUpdate, Span, Timestamp};

/// Messages the clock offset is estimated from: 205 s of a 100 ms stream.
const OFFSET_WINDOW: usize = 2_048;

/// A running estimate of our clock less the venue's: negative when ours is behind.
#[derive(Debug, Clone, Default)]
pub struct ClockOffset {
    arrived: VecDeque<i64>,
    sorted: Vec<i64>,
}

impl ClockOffset {
    pub fn observe(&mut self, local: Timestamp, exchange: Timestamp) {
        if self.arrived.len() == OFFSET_WINDOW
            && let Some(oldest) = self.arrived.pop_front()
        {
            let at = self.sorted.partition_point(|held| *held < oldest);
            self.sorted.remove(at);
        }
        let difference = local.since(exchange).nanos();
        self.arrived.push_back(difference);
        let at = self.sorted.partition_point(|held| *held < difference);
        self.sorted.insert(at, difference);
    }

    /// The median (the lower of the two in the middle); `None` before the first message.
    #[must_use]
    pub fn estimate(&self) -> Option<Span> {
        let middle = self.sorted.len().checked_sub(1)? / 2;
        self.sorted.get(middle).map(|nanos| Span::from_nanos(*nanos))
    }
}

/// Facts about one market's feed since the start.
#[derive(Debug, Clone, Default)]
pub struct FeedQuality {
    pub last_local: Option<Timestamp>,
    /// The latest of the venue's times.
    pub last_exchange: Option<Timestamp>,
    pub messages: u64,
    pub interruptions: u64,
    /// Messages of one kind (trades or diffs) whose venue time was before that of the one before.
    pub out_of_order: u64,
    /// Books that were given up because their best prices contradicted the quotes.
    pub contradictions: u64,
    pub clock: ClockOffset,
    last_trade: Option<Timestamp>,
    last_diff: Option<Timestamp>,
}

impl FeedQuality {
    pub fn observe(&mut self, update: &MarketUpdate) {
        if matches!(update.data, MarketData::Interrupted) {
            self.interruptions += 1;
            return;
        }
        self.messages += 1;
        self.last_local = self.last_local.max(Some(update.local_time));
        let Some(exchange) = update.exchange_time else { return };
        self.last_exchange = self.last_exchange.max(Some(exchange));
        let (last, sampled) = match update.data {
            MarketData::Trade(_) => (&mut self.last_trade, self.last_diff.is_none()),
            MarketData::Depth(_) => {
                if self.last_diff.is_none() {
                    self.clock = ClockOffset::default();
                }
                (&mut self.last_diff, true)
            }
            _ => return,
        };
        if last.is_some_and(|last| exchange < last) {
            self.out_of_order += 1;
        }
        *last = Some(exchange);
        if sampled {
            self.clock.observe(update.local_time, exchange);
        }
    }

    /// How long ago the last message came; `None` before the first.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Span> {
        self.last_local.map(|last| now.since(last))
    }

    /// Our time read on the venue's clock, by the offset known so far.
    #[must_use]
    pub fn venue_time(&self, local: Timestamp) -> Timestamp {
        local - self.clock.estimate().unwrap_or(Span::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{DepthDiff, Price, PublicTrade, Qty, TradeId};

    fn trade(local_ms: i64, exchange_ms: Option<i64>) -> MarketUpdate {
        let trade = PublicTrade { id: TradeId(1), price: Price::from_raw(1), qty: Qty::from_raw(1), buyer_is_maker: false };
        MarketUpdate {
            symbol: "BTCUSDT".parse().unwrap(),
            exchange_time: exchange_ms.map(Timestamp::from_millis),
            local_time: Timestamp::from_millis(local_ms),
            data: MarketData::Trade(trade),
        }
    }

    #[test]
    fn one_delayed_burst_does_not_move_the_clock_offset() {
        let mut clock = ClockOffset::default();
        assert_eq!(clock.estimate(), None);
        for number in 0..100 {
            let exchange = number * 100;
            let delay = if (40..60).contains(&number) { 900 } else { 3 };
            clock.observe(Timestamp::from_millis(exchange - 1275 + delay), Timestamp::from_millis(exchange));
        }
        assert_eq!(clock.estimate().map(Span::millis), Some(-1272));
    }

    #[test]
    fn age_order_and_interruptions_are_facts() {
        let mut quality = FeedQuality::default();
        assert_eq!(quality.age(Timestamp::from_millis(5)), None);
        quality.observe(&trade(10, Some(110)));
        quality.observe(&trade(12, Some(109)));
        quality.observe(&trade(13, None));
        quality.observe(&MarketUpdate { data: MarketData::Interrupted, ..trade(99, None) });
        assert_eq!(quality.age(Timestamp::from_millis(20)).map(Span::millis), Some(7));
        assert_eq!((quality.messages, quality.interruptions, quality.out_of_order), (3, 1, 1));
        assert_eq!(quality.last_exchange, Some(Timestamp::from_millis(110)));
        assert_eq!(quality.venue_time(Timestamp::from_millis(0)), Timestamp::from_millis(100));
    }

    #[test]
    fn diffs_set_the_clock_and_trades_only_stand_in_for_them() {
        let mut quality = FeedQuality::default();
        quality.observe(&trade(10, Some(110)));
        assert_eq!(quality.clock.estimate().map(Span::millis), Some(-100));
        let diff = DepthDiff { first_update_id: 1, last_update_id: 1, bids: vec![], asks: vec![] };
        quality.observe(&MarketUpdate { data: MarketData::Depth(diff), ..trade(20, Some(70)) });
        quality.observe(&trade(30, Some(130)));
        assert_eq!(quality.clock.estimate().map(Span::millis), Some(-50));
    }

    proptest! {
        #[test]
        fn the_estimate_is_the_median_of_the_window(values in proptest::collection::vec(-500_i64..500, 1..3_000)) {
            let mut clock = ClockOffset::default();
            for value in &values {
                clock.observe(Timestamp::from_nanos(*value), Timestamp::EPOCH);
            }
            let mut window = values[values.len().saturating_sub(OFFSET_WINDOW)..].to_vec();
            window.sort_unstable();
            prop_assert_eq!(clock.estimate(), Some(Span::from_nanos(window[(window.len() - 1) / 2])));
        }
    }
}
