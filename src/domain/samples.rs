//! What unit tests of many rooms begin with.

use super::{Bps, FeeRates, Instrument, Money, Qty};

/// A market like Binance's BTCUSDT: cents, 0.00001 BTC, at least 5 USDT an order, 10 bps for everybody.
pub fn btcusdt() -> Instrument {
    Instrument {
        symbol: "BTCUSDT".parse().unwrap(),
        base: "BTC".parse().unwrap(),
        quote: "USDT".parse().unwrap(),
        trading: true,
        tick: "0.01".parse().unwrap(),
        step: "0.00001".parse().unwrap(),
        min_qty: "0.00001".parse().unwrap(),
        max_qty: Qty::ZERO,
        min_notional: "5".parse().unwrap(),
        max_notional: Money::ZERO,
        fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
    }
}
