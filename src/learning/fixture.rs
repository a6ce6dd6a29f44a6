//! Small seeded markets for the tests of this room.

use std::sync::atomic::AtomicBool;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::progress::{Progress, Watch};
use super::series::SymbolSeries;
use super::train::Lineage;
use crate::domain::samples::btcusdt;
use crate::domain::{Bps, Candle, FeeRates, Instrument, Interval, Money, Price, Qty, Timestamp};

pub fn instrument(name: &str) -> Instrument {
    let fees = FeeRates { maker: Bps::from_bps(1), taker: Bps::from_bps(1) };
    Instrument { symbol: name.parse().unwrap(), min_notional: Money::ZERO, fees, ..btcusdt() }
}

/// A market whose next move has nothing to do with its past: 10 bps of sigma a minute.
pub fn noise(count: usize, seed: u64) -> SymbolSeries {
    waves(count, seed, 0.0)
}

/// Noise plus a slow drift that keeps its sign for a hundred bars and is `drift_bps` a bar: its past tells its future.
pub fn waves(count: usize, seed: u64, drift_bps: f64) -> SymbolSeries {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut price, mut sign) = (50_000.0_f64, 1.0);
    let candle = |i: usize| {
        if i.is_multiple_of(100) {
            sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
        }
        let open = price;
        let (mut high, mut low) = (open, open);
        let mut trades = 0;
        for _ in 0..4 {
            price *= 1.0 + (drift_bps / 4.0 * sign + 5.0 * gauss(&mut rng)) / 1e4;
            (high, low) = (high.max(price), low.min(price));
            trades += 5 + (rng.next_u32() % 5);
        }
        let volume = 1.0 + rng.random::<f64>();
        Candle {
            open_time: Timestamp::from_millis(1_700_000_040_000 + i as i64 * 60_000),
            open: cents(open),
            high: cents(high),
            low: cents(low),
            close: cents(price),
            volume: Qty::from_raw((volume * 1e8) as i128),
            taker_buy_volume: Some(Qty::from_raw((volume * (0.4 + 0.2 * rng.random::<f64>()) * 1e8) as i128)),
            trades,
        }
    };
    let candles = (0..count).map(candle).collect();
    SymbolSeries { symbol: "BTCUSDT".parse().unwrap(), instrument: instrument("BTCUSDT"), interval: Interval::MINUTE, candles }
}

fn cents(price: f64) -> Price {
    Price::from_raw((price * 100.0).round() as i64 * 1_000_000)
}

/// Sum of twelve uniforms less six: near enough to a normal draw, without a transcendental function.
fn gauss(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// Nobody to stop the work; `progress` may listen.
pub fn silent(progress: &mut dyn FnMut(Progress)) -> Watch<'_> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    Watch { progress, cancelled: &NEVER }
}

pub fn lineage() -> Lineage {
    Lineage { created: Timestamp::from_millis(5), code_version: "test".into(), trees_parent: None, policy_parent: None, first_episode: 0 }
}
