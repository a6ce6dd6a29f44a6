//! How late a market's news comes: its age on arrival beyond the smallest age of the last minutes, which stands for what two clocks differ.

use std::collections::VecDeque;

use crate::domain::{MarketUpdate, Span};

const MINUTE_MS: i64 = 60_000;
/// Minutes that are looked back.
const MINUTES: i64 = 5;

/// Reads the venue's times; news without one is as late as the last that had one.
#[derive(Debug, Clone, Default)]
pub(super) struct FeedLag {
    /// Minutes of arrival with the smallest age in each.
    minutes: VecDeque<(i64, Span)>,
    lag: Span,
}

impl FeedLag {
    /// How late this piece of news is.
    pub fn see(&mut self, update: &MarketUpdate) -> Span {
        let Some(made) = update.exchange_time else { return self.lag };
        let age = update.local_time.since(made);
        let minute = update.local_time.millis().div_euclid(MINUTE_MS);
        while self.minutes.front().is_some_and(|(old, _)| *old <= minute - MINUTES) {
            self.minutes.pop_front();
        }
        match self.minutes.back_mut() {
            Some((last, smallest)) if *last == minute => *smallest = age.min(*smallest),
            _ => self.minutes.push_back((minute, age)),
        }
        let smallest = self.minutes.iter().map(|(_, smallest)| *smallest).min().unwrap_or(age);
        self.lag = age - smallest;
        self.lag
    }

    /// How late the last news was.
    pub const fn last(&self) -> Span {
        self.lag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MarketData, Timestamp};

    fn news(made_ms: Option<i64>, local_ms: i64) -> MarketUpdate {
        let at = Timestamp::from_millis;
        let symbol = "BTCUSDT".parse().unwrap();
        MarketUpdate { symbol, exchange_time: made_ms.map(at), local_time: at(local_ms), data: MarketData::Interrupted }
    }

    #[test]
    fn the_youngest_news_of_the_last_minutes_is_in_time() {
        let mut feed = FeedLag::default();
        let mut late = |made, local| feed.see(&news(made, local)).millis();
        // The venue's clock is two seconds ahead.
        assert_eq!(late(Some(3_000), 1_000), 0);
        assert_eq!(late(Some(3_100), 1_400), 300);
        assert_eq!(late(None, 1_500), 300, "as late as the last");
        assert_eq!(late(Some(3_600), 1_590), 0, "younger than any before");
        assert_eq!(late(Some(3_700), 1_700), 10);
        // The clocks drift apart: what was smallest then says nothing after some minutes.
        assert_eq!(late(Some(240_700), 239_000), 310);
        assert_eq!(late(Some(301_700), 300_000), 0);
    }
}
