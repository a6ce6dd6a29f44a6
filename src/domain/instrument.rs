//! What may be traded and in which grains: `Instrument`, its fees, and the only way from floats back to exact numbers.

use serde::{Deserialize, Serialize};

use super::{Asset, Bps, Money, Price, Qty, Side, Symbol};

/// Signed rates of a fill's notional; a maker rebate is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeRates {
    pub maker: Bps,
    pub taker: Bps,
}

/// A spot market: its assets, grains and bounds. A zero bound means "no bound".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    pub symbol: Symbol,
    pub base: Asset,
    pub quote: Asset,
    /// False while the venue does not take new orders.
    pub trading: bool,
    pub tick: Price,
    pub step: Qty,
    pub min_qty: Qty,
    pub max_qty: Qty,
    pub min_notional: Money,
    pub max_notional: Money,
    pub fees: FeeRates,
}

/// Which neighbour on the grid a float becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    Down,
    Up,
    Nearest,
}

impl Instrument {
    /// A price on the tick grid; `None` unless finite, positive and in range.
    #[must_use]
    pub fn quantize_price(&self, value: f64, rounding: Rounding) -> Option<Price> {
        let tick = self.tick.raw().max(1);
        let raw = on_grid(value * 1e8, i128::from(tick), rounding)?;
        i64::try_from(raw).ok().filter(|r| *r > 0).map(Price::from_raw)
    }

    /// A quantity on the step grid; `None` unless finite, positive and in range.
    #[must_use]
    pub fn quantize_qty(&self, value: f64, rounding: Rounding) -> Option<Qty> {
        on_grid(value * 1e8, self.step.raw().max(1), rounding).filter(|r| *r > 0).map(Qty::from_raw)
    }

    /// `price` moved to the tick grid towards the passive side: down for a buy, up for a sell.
    #[must_use]
    pub fn passive_price(&self, side: Side, price: Price) -> Price {
        let tick = self.tick.raw().max(1);
        let down = price.raw() - price.raw().rem_euclid(tick);
        match side {
            Side::Sell if down < price.raw() => Price::from_raw(down.saturating_add(tick)),
            _ => Price::from_raw(down),
        }
    }

    /// What one order can sell of `qty`: floored to the step, at most the largest order, zero when below the minimum quantity or notional
    /// at `price`.
    #[must_use]
    pub fn tradable(&self, qty: Qty, price: Price) -> Qty {
        self.sellable(if self.max_qty.is_positive() { qty.min(self.max_qty) } else { qty }, price)
    }

    /// The smallest order at `price`; `None` for a price that is none.
    #[must_use]
    pub fn least(&self, price: Price) -> Option<Qty> {
        let wanted = self.min_notional.buys_at(price).max(self.min_qty).floor_to(self.step);
        // Rounded down twice: at most two steps are missing.
        let grain = self.step.max(Qty::from_raw(1));
        [wanted, wanted + grain, wanted + grain + grain].into_iter().find(|qty| self.sellable(*qty, price).is_positive())
    }

    /// What can be sold of `qty` in as many orders as it takes: the rest is dust.
    #[must_use]
    pub fn sellable(&self, qty: Qty, price: Price) -> Qty {
        let floored = qty.floor_to(self.step);
        let notional = price.notional(floored).unwrap_or(Money::ZERO);
        let too_small = !floored.is_positive() || floored < self.min_qty || notional < self.min_notional;
        if too_small { Qty::ZERO } else { floored }
    }
}

fn on_grid(raw: f64, grain: i128, rounding: Rounding) -> Option<i128> {
    if !raw.is_finite() || raw.abs() > 1e36 {
        return None;
    }
    // A value within a millionth of a grain of a grid point is that point: 0.3 / 0.1 must not become 2.
    let grains = raw / grain as f64;
    let nearest = grains.round();
    let count = if (grains - nearest).abs() < 1e-6 {
        nearest
    } else {
        match rounding {
            Rounding::Down => grains.floor(),
            Rounding::Up => grains.ceil(),
            Rounding::Nearest => nearest,
        }
    };
    (count as i128).checked_mul(grain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btc() -> Instrument {
        Instrument { max_qty: "9000".parse().unwrap(), ..super::super::samples::btcusdt() }
    }

    #[test]
    fn quantise_never_leaves_the_grid() {
        let btc = btc();
        assert_eq!(btc.quantize_price(61_837.639, Rounding::Down).unwrap().to_string(), "61837.63");
        assert_eq!(btc.quantize_price(61_837.631, Rounding::Up).unwrap().to_string(), "61837.64");
        assert_eq!(btc.quantize_qty(0.3, Rounding::Down).unwrap().to_string(), "0.3");
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e40] {
            assert_eq!(btc.quantize_price(bad, Rounding::Down), None);
        }
    }

    #[test]
    fn prices_round_to_the_passive_side_and_dust_is_not_tradable() {
        let btc = btc();
        let odd: Price = "100.005".parse().unwrap();
        assert_eq!(btc.passive_price(Side::Buy, odd).to_string(), "100");
        assert_eq!(btc.passive_price(Side::Sell, odd).to_string(), "100.01");
        let price: Price = "60000".parse().unwrap();
        assert_eq!(btc.tradable("0.000109".parse().unwrap(), price).to_string(), "0.0001");
        assert_eq!(btc.tradable("0.00008".parse().unwrap(), price), Qty::ZERO);
        let huge: Qty = "9000.000019".parse().unwrap();
        assert_eq!([btc.tradable(huge, price), btc.sellable(huge, price)].map(|qty| qty.to_string()), ["9000", "9000.00001"]);
        assert_eq!(btc.sellable("0.00008".parse().unwrap(), price), Qty::ZERO);
    }

    #[test]
    fn the_smallest_order_is_tradable_and_a_step_less_is_not() {
        let btc = btc();
        for price in ["60000", "61237.63", "5", "0.01", "99999999"] {
            let price: Price = price.parse().unwrap();
            let least = btc.least(price).unwrap();
            assert_eq!((btc.tradable(least, price), btc.tradable(least - btc.step, price)), (least, Qty::ZERO), "{price}");
        }
        assert_eq!(btc.least(Price::ZERO), None);
    }
}
