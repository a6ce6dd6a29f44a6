//! How much takers traded against each side of the book over the last minute, in buckets of a second: no memory grows with the market.

use crate::domain::{PublicTrade, Side, Span, Timestamp};

/// Buckets, one a second.
const SECONDS: usize = 60;
/// Rates of a shorter time say nothing.
const LEAST: Span = Span::from_secs(10);

/// Trades and volume a second against one side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    pub trades_per_sec: f64,
    /// Base units.
    pub volume_per_sec: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    trades: u32,
    volume: f64,
}

#[derive(Debug, Clone)]
pub struct TradeIntensity {
    since: Option<Timestamp>,
    /// The second of the newest bucket.
    newest: i64,
    /// Per side that was traded against: buys, sells.
    buckets: [[Bucket; SECONDS]; 2],
}

impl Default for TradeIntensity {
    fn default() -> Self {
        Self { since: None, newest: 0, buckets: [[Bucket::default(); SECONDS]; 2] }
    }
}

impl TradeIntensity {
    /// Time is `now`: a market without trades is silent, not unknown.
    pub fn on_time(&mut self, now: Timestamp) {
        let second = second_of(now);
        if self.since.is_none() {
            (self.since, self.newest) = (Some(now), second);
        }
        let passed = usize::try_from(second - self.newest).unwrap_or(0).min(SECONDS);
        for step in 1..=passed {
            let slot = slot_of(second - passed as i64 + step as i64);
            self.buckets.iter_mut().for_each(|side| side[slot] = Bucket::default());
        }
        self.newest = self.newest.max(second);
    }

    pub fn on_trade(&mut self, now: Timestamp, trade: &PublicTrade) {
        self.on_time(now);
        // The taker sold: it took from the bids.
        let side = if trade.buyer_is_maker { Side::Buy } else { Side::Sell };
        let bucket = &mut self.buckets[side as usize][slot_of(self.newest)];
        bucket.trades = bucket.trades.saturating_add(1);
        bucket.volume += trade.qty.to_f64();
    }

    /// What took from resting orders of `side`, a second; `None` before ten seconds were seen.
    #[must_use]
    pub fn rates(&self, now: Timestamp, side: Side) -> Option<Rates> {
        let seen = now.since(self.since?);
        if seen < LEAST {
            return None;
        }
        let seconds = seen.secs_f64().min(SECONDS as f64);
        let young = |age: &usize| second_of(now) - (self.newest - *age as i64) < SECONDS as i64;
        let held = (0..SECONDS).take_while(young).map(|age| self.buckets[side as usize][slot_of(self.newest - age as i64)]);
        let (trades, volume) = held.fold((0_u64, 0.0), |(trades, volume), b| (trades + u64::from(b.trades), volume + b.volume));
        Some(Rates { trades_per_sec: trades as f64 / seconds, volume_per_sec: volume / seconds })
    }
}

fn second_of(at: Timestamp) -> i64 {
    at.nanos().div_euclid(1_000_000_000)
}

fn slot_of(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Price, Qty, TradeId};

    fn trade(units: i128, buyer_is_maker: bool) -> PublicTrade {
        PublicTrade { id: TradeId(1), price: Price::from_raw(1), qty: Qty::from_raw(units * 100_000_000), buyer_is_maker }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn sides_are_counted_apart_and_old_trades_leave() {
        let mut intensity = TradeIntensity::default();
        intensity.on_trade(at(0), &trade(6, true));
        assert_eq!(intensity.rates(at(9_000), Side::Buy), None, "too early");
        let rates = intensity.rates(at(30_000), Side::Buy).unwrap();
        assert!((rates.volume_per_sec - 0.2).abs() < 1e-12 && (rates.trades_per_sec - 1.0 / 30.0).abs() < 1e-12);
        assert_eq!(intensity.rates(at(30_000), Side::Sell), Some(Rates::default()));
        assert_eq!(intensity.rates(at(60_000), Side::Buy), Some(Rates::default()), "a minute later it is gone");
    }

    proptest! {
        #[test]
        fn the_buckets_hold_what_a_list_holds(gaps in prop::collection::vec((0_i64..8_000, 1_i128..9, any::<bool>()), 1..200), after in 0_i64..90_000) {
            let mut intensity = TradeIntensity::default();
            let (mut now, mut all) = (0, Vec::new());
            for (gap, units, hit_bids) in gaps {
                now += gap;
                intensity.on_trade(at(now), &trade(units, hit_bids));
                all.push((now / 1_000, units, hit_bids));
            }
            now += after;
            let expected: i128 = all.iter().filter(|(second, _, hit)| *hit && now / 1_000 - second < 60).map(|(_, units, _)| units).sum();
            let first = all[0].0;
            if let Some(rates) = intensity.rates(at(now), Side::Buy) {
                let begun = intensity.since.unwrap();
                let seconds = at(now).since(begun).secs_f64().min(60.0);
                prop_assert!((rates.volume_per_sec * seconds - expected as f64).abs() < 1e-6, "{first}");
            }
        }
    }
}
