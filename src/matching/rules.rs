//! A symbol's rules beyond its instrument: whether it trades, and the filters that bound prices, quantities and open orders.

use serde::{Deserialize, Serialize};

use super::{OrderRequest, Reject, SelfTradeMode};
use crate::domain::{Bps, Instrument, OrderKind, Price, Qty, Side};

/// Raw units of a rate in the whole.
const WHOLE: i128 = 100_000_000;

/// Whether a symbol trades. Where it does not, nothing fills and no stop is reached; the market's display goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SymbolStatus {
    #[default]
    Trading,
    /// An emergency: nothing is accepted.
    Halt,
    /// Maintenance: nothing is accepted.
    Break,
    /// Only cancels and amends are accepted.
    CancelOnly,
    /// Only cancels and amends are accepted.
    EndOfDay,
}

impl SymbolStatus {
    /// Why a new order is refused, if it is.
    pub(super) const fn refuses_orders(self) -> Option<Reject> {
        match self {
            Self::Trading => None,
            Self::CancelOnly => Some(Reject::WrongPhase),
            Self::Halt | Self::Break | Self::EndOfDay => Some(Reject::MarketClosed),
        }
    }

    pub(super) const fn takes_cancels(self) -> bool {
        matches!(self, Self::Trading | Self::CancelOnly | Self::EndOfDay)
    }
}

/// Filters of one symbol. A zero bound means "no bound": a price in one currency says nothing of a price in another. Source: Binance,
/// filters document; values of BTCUSDT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    pub min_price: Price,
    pub max_price: Price,
    /// A limit lies between `down` and `up` of the average price.
    pub bid_up: Bps,
    pub bid_down: Bps,
    pub ask_up: Bps,
    pub ask_down: Bps,
    /// Minutes with trades that make the average price.
    pub average_minutes: u32,
    /// Bounds of market orders; zero leaves those of all orders.
    pub market_min_qty: Qty,
    pub market_max_qty: Qty,
    pub market_step: Qty,
    /// Whether the largest notional binds market orders too.
    pub max_notional_binds_market: bool,
    /// Open orders of an account in the symbol.
    pub max_orders: usize,
    /// Of them those whose stop was not reached yet.
    pub max_algo_orders: usize,
    pub max_order_lists: usize,
    pub max_amends: u32,
    /// Base units that an account may hold and have on order to buy.
    pub max_position: Option<Qty>,
    /// Where a placement names no mode.
    pub self_trade: SelfTradeMode,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_price: Price::ZERO,
            max_price: Price::ZERO,
            bid_up: Bps::from_bps(50_000),
            bid_down: Bps::from_bps(2_000),
            ask_up: Bps::from_bps(50_000),
            ask_down: Bps::from_bps(2_000),
            average_minutes: 5,
            market_min_qty: Qty::ZERO,
            market_max_qty: Qty::ZERO,
            market_step: Qty::ZERO,
            max_notional_binds_market: false,
            max_orders: 200,
            max_algo_orders: 5,
            max_order_lists: 20,
            max_amends: 10,
            max_position: None,
            self_trade: SelfTradeMode::ExpireMaker,
        }
    }
}

impl Rules {
    /// Prices, quantities and notional of one order. `average`: the average price, `touch`: the best opposite price.
    pub(super) fn check(&self, instrument: &Instrument, request: &OrderRequest, average: Option<Price>) -> Result<(), Reject> {
        for price in request.kind.price().into_iter().chain(request.kind.stop()) {
            self.check_price(instrument, price)?;
        }
        if let (Some(price), Some(average)) = (request.kind.price(), average) {
            let (up, down) = if request.side == Side::Buy { (self.bid_up, self.bid_down) } else { (self.ask_up, self.ask_down) };
            let above = up.raw() > 0 && price > share(average, up);
            if above || price < share(average, down) {
                return Err(Reject::PercentPrice);
            }
        }
        check_lot(instrument, request.qty)?;
        if request.kind.price().is_none() {
            let above = self.market_max_qty.is_positive() && request.qty > self.market_max_qty;
            if above || request.qty < self.market_min_qty || off_grid(request.qty, self.market_step) {
                return Err(Reject::MarketLotSize);
            }
        }
        Ok(())
    }

    /// `price` is the limit, or what a market order is expected to pay.
    pub(super) fn check_notional(&self, instrument: &Instrument, kind: OrderKind, price: Price, qty: Qty) -> Result<(), Reject> {
        let notional = price.notional(qty).ok_or(Reject::Notional)?;
        let bound = instrument.max_notional.is_positive() && (kind.price().is_some() || self.max_notional_binds_market);
        if notional < instrument.min_notional || (bound && notional > instrument.max_notional) {
            return Err(Reject::Notional);
        }
        Ok(())
    }

    fn check_price(&self, instrument: &Instrument, price: Price) -> Result<(), Reject> {
        // Exact integer modulo, counted from zero.
        let off = instrument.tick.is_positive() && price.raw() % instrument.tick.raw() != 0;
        let above = self.max_price.is_positive() && price > self.max_price;
        if !price.is_positive() || off || above || price < self.min_price { Err(Reject::PriceFilter) } else { Ok(()) }
    }
}

pub(super) fn check_lot(instrument: &Instrument, qty: Qty) -> Result<(), Reject> {
    let above = instrument.max_qty.is_positive() && qty > instrument.max_qty;
    if !qty.is_positive() || off_grid(qty, instrument.step) || qty < instrument.min_qty || above { Err(Reject::LotSize) } else { Ok(()) }
}

fn off_grid(qty: Qty, step: Qty) -> bool {
    step.is_positive() && qty.raw() % step.raw() != 0
}

/// `rate` of a price, not above the largest price.
fn share(price: Price, rate: Bps) -> Price {
    let raw = i128::from(price.raw()) * i128::from(rate.raw()) / WHOLE;
    Price::from_raw(i64::try_from(raw).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_price_is_exact() {
        let price: Price = "100".parse().unwrap();
        assert_eq!(share(price, Bps::from_bps(50_000)).to_string(), "500");
        assert_eq!(share(price, Bps::from_bps(2_000)).to_string(), "20");
        assert_eq!(share(Price::MAX, Bps::from_bps(50_000)), Price::MAX);
    }
}
