//! What a synthetic market is made of.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, FeeRates, Instrument, Money, Price, Qty, Timestamp};

/// Together with a time this determines every quote and every trade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowConfig {
    pub seed: u64,
    /// Where the market begins; taken down to the start of its UTC day.
    pub origin: Timestamp,
    pub symbols: Vec<FlowSymbol>,
    /// How strongly the pressure that shows in the taker-buy share moves the price afterwards: the deviation of ten seconds' drift in units of
    /// ten seconds' volatility. 0: returns cannot be predicted. 0.1: 4 % of a minute's variance can.
    pub edge: f64,
    /// Of the returns of any two symbols, 0 to 1.
    pub correlation: f64,
}

/// One market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowSymbol {
    pub instrument: Instrument,
    pub start_price: Price,
    /// Deviation of a day's return, e.g. 0.03.
    pub daily_volatility: f64,
    /// On average in a calm market, at least 1.
    pub trades_per_second: f64,
    /// The mean quantity of a trade; displayed levels are measured by it.
    pub typical_trade: Qty,
}

impl FlowConfig {
    /// BTCUSDT, ETHUSDT and SOLUSDT with the venue's real grains, fees of 10 / 10 bps, correlation 0.6 and no edge.
    #[must_use]
    pub fn usual(seed: u64, origin: Timestamp) -> Self {
        let symbols = [
            Draft { base: "BTC", tick: 1_000_000, step: 1_000, price: 65_000, daily: 0.025, rate: 4.0, trade: 2_000_000 },
            Draft { base: "ETH", tick: 1_000_000, step: 10_000, price: 3_200, daily: 0.032, rate: 3.0, trade: 40_000_000 },
            Draft { base: "SOL", tick: 1_000_000, step: 100_000, price: 150, daily: 0.042, rate: 2.0, trade: 600_000_000 },
        ];
        Self { seed, origin, symbols: symbols.iter().filter_map(Draft::symbol).collect(), edge: 0.0, correlation: 0.6 }
    }
}

/// A market quoted in USDT, in raw units of 1e-8 but for the price.
struct Draft {
    base: &'static str,
    tick: i64,
    step: i128,
    price: i64,
    daily: f64,
    rate: f64,
    trade: i128,
}

impl Draft {
    fn symbol(&self) -> Option<FlowSymbol> {
        let usdt = |whole: i128| Money::from_quote(Qty::from_raw(whole * 100_000_000));
        Some(FlowSymbol {
            instrument: Instrument {
                symbol: format!("{}USDT", self.base).parse().ok()?,
                base: self.base.parse().ok()?,
                quote: "USDT".parse().ok()?,
                trading: true,
                tick: Price::from_raw(self.tick),
                step: Qty::from_raw(self.step),
                min_qty: Qty::from_raw(self.step),
                max_qty: Qty::from_raw(9_000 * 100_000_000),
                min_notional: usdt(5),
                max_notional: usdt(9_000_000),
                fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
            },
            start_price: Price::from_raw(self.price * 100_000_000),
            daily_volatility: self.daily,
            trades_per_second: self.rate,
            typical_trade: Qty::from_raw(self.trade),
        })
    }
}
