//! The REST answers as Binance writes them, and their translation. Nothing here leaves the room.
//!
//! Source: Binance rest-api.md, filters.md, enums.md (2026-07).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rest::{AccountState, AccountTrade, OpenOrders, Placed};
use crate::domain::{
    Asset, Balance, Bps, Candle, ClientOrderId, FeeRates, Instrument, Level, Money, OrderId, OrderStatus, Price, PublicTrade, Qty, Quote,
    Role, Side, Symbol, Timestamp, TradeId,
};
use crate::protocol::{VenueFill, VenueOrder};
use crate::venue::market_frame::{LevelWire, Text, venue_time};

#[derive(Deserialize)]
pub(super) struct ExchangeInfoWire {
    #[serde(rename = "rateLimits", default)]
    pub rate_limits: Vec<RateLimitWire>,
    pub symbols: Vec<SymbolWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimitWire {
    rate_limit_type: String,
    interval: String,
    interval_num: u32,
    limit: u32,
}

impl ExchangeInfoWire {
    pub fn weight_per_minute(&self) -> Option<u32> {
        let minute = |r: &&RateLimitWire| r.rate_limit_type == "REQUEST_WEIGHT" && r.interval == "MINUTE" && r.interval_num == 1;
        self.rate_limits.iter().find(minute).map(|r| r.limit)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SymbolWire {
    symbol: Text<Symbol>,
    status: String,
    base_asset: Text<Asset>,
    quote_asset: Text<Asset>,
    filters: Vec<FilterWire>,
}

#[derive(Deserialize)]
#[serde(tag = "filterType")]
enum FilterWire {
    #[serde(rename = "PRICE_FILTER", rename_all = "camelCase")]
    Price { tick_size: Text<Price> },
    #[serde(rename = "LOT_SIZE", rename_all = "camelCase")]
    Lot { min_qty: Text<Qty>, max_qty: Text<Qty>, step_size: Text<Qty> },
    #[serde(rename = "MARKET_LOT_SIZE", rename_all = "camelCase")]
    MarketLot { max_qty: Text<Qty> },
    #[serde(rename = "NOTIONAL", rename_all = "camelCase")]
    Notional { min_notional: Text<Money>, max_notional: Option<Text<Money>> },
    #[serde(rename = "MIN_NOTIONAL", rename_all = "camelCase")]
    MinNotional { min_notional: Text<Money> },
    #[serde(other)]
    Other,
}

impl SymbolWire {
    /// `None` when the price or lot filter is missing: such a market cannot be traded safely.
    pub fn instrument(self, fees: FeeRates) -> Option<Instrument> {
        let (mut tick, mut lot) = (None, None);
        let (mut market_max, mut min_notional, mut max_notional) = (Qty::ZERO, Money::ZERO, Money::ZERO);
        for filter in self.filters {
            match filter {
                FilterWire::Price { tick_size } => tick = Some(tick_size.0),
                FilterWire::Lot { min_qty, max_qty, step_size } => lot = Some((min_qty.0, max_qty.0, step_size.0)),
                FilterWire::MarketLot { max_qty } => market_max = max_qty.0,
                FilterWire::Notional { min_notional: min, max_notional: max } => {
                    min_notional = min_notional.max(min.0);
                    max_notional = max.map_or(Money::ZERO, |m| m.0);
                }
                FilterWire::MinNotional { min_notional: min } => min_notional = min_notional.max(min.0),
                FilterWire::Other => {}
            }
        }
        let (min_qty, lot_max, step) = lot?;
        // One bound for every kind of order: an exit at the market must pass too.
        let max_qty = match (lot_max.is_positive(), market_max.is_positive()) {
            (true, true) => lot_max.min(market_max),
            (false, true) => market_max,
            _ => lot_max,
        };
        Some(Instrument {
            symbol: self.symbol.0,
            base: self.base_asset.0,
            quote: self.quote_asset.0,
            trading: self.status == "TRADING",
            tick: tick?,
            step,
            min_qty,
            max_qty,
            min_notional,
            max_notional,
            fees,
        })
    }
}

/// `[open time, open, high, low, close, volume, close time, quote volume, trades, taker base, taker quote, unused]`.
#[derive(Deserialize)]
pub(super) struct KlineWire(
    i64,
    Text<Price>,
    Text<Price>,
    Text<Price>,
    Text<Price>,
    Text<Qty>,
    i64,
    IgnoredAny,
    u32,
    Text<Qty>,
    IgnoredAny,
    IgnoredAny,
);

impl KlineWire {
    pub fn close_time(&self) -> Timestamp {
        venue_time(self.6)
    }

    pub fn candle(&self) -> Candle {
        Candle {
            open_time: venue_time(self.0),
            open: self.1.0,
            high: self.2.0,
            low: self.3.0,
            close: self.4.0,
            volume: self.5.0,
            taker_buy_volume: Some(self.9.0),
            trades: self.8,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct DepthSnapshotWire {
    #[serde(rename = "lastUpdateId")]
    pub last_update_id: u64,
    pub bids: Vec<LevelWire>,
    pub asks: Vec<LevelWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicTradeWire {
    id: u64,
    price: Text<Price>,
    qty: Text<Qty>,
    time: i64,
    is_buyer_maker: bool,
}

impl PublicTradeWire {
    pub fn trade(&self) -> (Timestamp, PublicTrade) {
        let trade = PublicTrade { id: TradeId(self.id), price: self.price.0, qty: self.qty.0, buyer_is_maker: self.is_buyer_maker };
        (venue_time(self.time), trade)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookTickerWire {
    symbol: Text<Symbol>,
    bid_price: Text<Price>,
    bid_qty: Text<Qty>,
    ask_price: Text<Price>,
    ask_qty: Text<Qty>,
}

impl BookTickerWire {
    /// REST quotes carry no update id: it is 0.
    pub fn quote(&self) -> (Symbol, Quote) {
        let bid = Level { price: self.bid_price.0, qty: self.bid_qty.0 };
        let ask = Level { price: self.ask_price.0, qty: self.ask_qty.0 };
        (self.symbol.0, Quote { update_id: 0, bid, ask })
    }
}

/// An order as `GET order`, `openOrders`, `DELETE order` and a FULL placement state it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderWire {
    symbol: Text<Symbol>,
    order_id: u64,
    client_order_id: String,
    /// On a cancel's answer `clientOrderId` is the cancel's own id and this is the order's.
    #[serde(default)]
    orig_client_order_id: Option<String>,
    orig_qty: Text<Qty>,
    executed_qty: Text<Qty>,
    status: String,
    side: SideWire,
    #[serde(default)]
    update_time: Option<i64>,
    #[serde(default)]
    transact_time: Option<i64>,
    #[serde(default)]
    fills: Vec<PlacedFillWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlacedFillWire {
    price: Text<Price>,
    qty: Text<Qty>,
    commission: Text<Qty>,
    commission_asset: Text<Asset>,
    trade_id: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum SideWire {
    Buy,
    Sell,
}

impl From<SideWire> for Side {
    fn from(wire: SideWire) -> Self {
        match wire {
            SideWire::Buy => Self::Buy,
            SideWire::Sell => Self::Sell,
        }
    }
}

impl OrderWire {
    /// Our id, if the order is ours.
    pub fn our_id(&self) -> Option<ClientOrderId> {
        self.orig_client_order_id.as_ref().unwrap_or(&self.client_order_id).parse().ok()
    }

    pub fn symbol(&self) -> Symbol {
        self.symbol.0
    }

    pub fn order(&self, id: ClientOrderId) -> VenueOrder {
        VenueOrder {
            id,
            order_id: OrderId(self.order_id),
            symbol: self.symbol.0,
            side: self.side.into(),
            status: order_status(&self.status, self.executed_qty.0),
            qty: self.orig_qty.0,
            filled: self.executed_qty.0,
            at: venue_time(self.update_time.max(self.transact_time).unwrap_or(0)),
        }
    }

    /// A placement's answer: its fills are immediate, so we took.
    pub fn placed(&self, id: ClientOrderId) -> Placed {
        let order = self.order(id);
        let fill = |f: &PlacedFillWire| VenueFill {
            id,
            order_id: order.order_id,
            trade_id: TradeId(f.trade_id),
            symbol: order.symbol,
            side: order.side,
            price: f.price.0,
            qty: f.qty.0,
            role: Role::Taker,
            fee: f.commission.0,
            fee_asset: f.commission_asset.0,
            at: order.at,
        };
        Placed { fills: self.fills.iter().map(fill).collect(), order }
    }
}

/// A status this program does not know keeps the order alive: only a known ending ends it.
pub(super) fn order_status(text: &str, filled: Qty) -> OrderStatus {
    match text {
        "FILLED" => OrderStatus::Filled,
        "CANCELED" => OrderStatus::Canceled,
        "REJECTED" => OrderStatus::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStatus::Expired,
        _ if filled.is_positive() => OrderStatus::PartiallyFilled,
        _ => OrderStatus::Open,
    }
}

pub(super) fn open_orders(wires: &[OrderWire]) -> OpenOrders {
    let ours: Vec<VenueOrder> = wires.iter().filter_map(|w| w.our_id().map(|id| w.order(id))).collect();
    let foreign = u32::try_from(wires.len() - ours.len()).unwrap_or(u32::MAX);
    OpenOrders { ours, foreign }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MyTradeWire {
    symbol: Text<Symbol>,
    id: u64,
    order_id: u64,
    price: Text<Price>,
    qty: Text<Qty>,
    commission: Text<Qty>,
    commission_asset: Text<Asset>,
    time: i64,
    is_buyer: bool,
    is_maker: bool,
}

impl MyTradeWire {
    pub fn trade(&self) -> AccountTrade {
        AccountTrade {
            order_id: OrderId(self.order_id),
            trade_id: TradeId(self.id),
            symbol: self.symbol.0,
            side: if self.is_buyer { Side::Buy } else { Side::Sell },
            price: self.price.0,
            qty: self.qty.0,
            role: if self.is_maker { Role::Maker } else { Role::Taker },
            fee: self.commission.0,
            fee_asset: self.commission_asset.0,
            at: venue_time(self.time),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountWire {
    balances: Vec<BalanceWire>,
    #[serde(default)]
    commission_rates: Option<RatesWire>,
}

/// An asset as the account's answer or its stream (short names) lists it.
#[derive(Deserialize)]
pub(super) struct BalanceWire {
    #[serde(alias = "a")]
    asset: String,
    #[serde(alias = "f")]
    free: Text<Qty>,
    #[serde(alias = "l")]
    locked: Text<Qty>,
}

/// Assets whose name does not fit our types cannot be traded here and are left out.
pub(super) fn balances(wires: &[BalanceWire]) -> Vec<Balance> {
    let balance = |w: &BalanceWire| Some(Balance { asset: w.asset.parse().ok()?, free: w.free.0, locked: w.locked.0 });
    wires.iter().filter_map(balance).collect()
}

impl AccountWire {
    pub fn state(&self) -> AccountState {
        AccountState { balances: balances(&self.balances), fees: self.commission_rates.as_ref().map(|r| total(&[r])) }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RatesWire {
    maker: Rate,
    taker: Rate,
    buyer: Rate,
    seller: Rate,
}

/// A share such as "0.00100000"; `Qty` and `Bps` have the same grain of 1e-8.
#[derive(Deserialize, Clone, Copy)]
struct Rate(Text<Qty>);

impl Default for Rate {
    fn default() -> Self {
        Self(Text(Qty::ZERO))
    }
}

impl Rate {
    fn bps(self) -> Bps {
        Bps::from_raw(i64::try_from(self.0.0.raw()).unwrap_or(i64::MAX))
    }
}

/// Source: Binance commission_faq.md: (maker or taker) + (buyer or seller), over all families. The dearer of buyer and seller is taken,
/// and the discount for paying in another asset is not: costs are never understated.
fn total(families: &[&RatesWire]) -> FeeRates {
    let side = families.iter().map(|f| f.buyer.bps()).sum::<Bps>().max(families.iter().map(|f| f.seller.bps()).sum());
    FeeRates {
        maker: families.iter().map(|f| f.maker.bps()).sum::<Bps>() + side,
        taker: families.iter().map(|f| f.taker.bps()).sum::<Bps>() + side,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommissionWire {
    standard_commission: RatesWire,
    #[serde(default)]
    special_commission: RatesWire,
    #[serde(default)]
    tax_commission: RatesWire,
}

impl CommissionWire {
    pub fn fees(&self) -> FeeRates {
        total(&[&self.standard_commission, &self.special_commission, &self.tax_commission])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEES: FeeRates = FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) };

    #[test]
    fn both_names_of_the_notional_filter_are_read_and_unknown_filters_ignored() {
        let text = |notional: &str| {
            format!(
                r#"{{"timezone":"UTC","rateLimits":[{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200}}],
                "symbols":[{{"symbol":"BTCUSDT","status":"CANCEL_ONLY","baseAsset":"BTC","quoteAsset":"USDT","filters":[
                {{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000","tickSize":"0.01000000"}},
                {{"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000","stepSize":"0.00001"}},
                {{"filterType":"MARKET_LOT_SIZE","minQty":"0","maxQty":"165.02219723","stepSize":"0"}},
                {{"filterType":"FROM_THE_FUTURE","minQty":7}},{notional}]}}]}}"#
            )
        };
        let new = r#"{"filterType":"NOTIONAL","minNotional":"10.00000000","applyMinToMarket":true,"maxNotional":"9000000"}"#;
        let old = r#"{"filterType":"MIN_NOTIONAL","minNotional":"0.001","applyToMarket":true}"#;
        for (filter, minimum) in [(new, "10"), (old, "0.001")] {
            let info: ExchangeInfoWire = serde_json::from_str(&text(filter)).unwrap();
            assert_eq!(info.weight_per_minute(), Some(1_200));
            let instrument = info.symbols.into_iter().next().unwrap().instrument(FEES).unwrap();
            assert_eq!(instrument.min_notional.to_string(), minimum);
            assert_eq!((instrument.max_qty.to_string(), instrument.trading), ("165.02219723".to_owned(), false));
        }
    }

    #[test]
    fn a_cancel_answer_names_the_order_by_its_original_id() {
        let text = r#"{"symbol":"BTCUSDT","origClientOrderId":"h000000000000001f-2a","orderId":4,"orderListId":-1,
            "clientOrderId":"cancelMyOrder1","transactTime":1684804350068,"price":"2.0","origQty":"1.0","executedQty":"0.25",
            "cummulativeQuoteQty":"0","status":"CANCELED","timeInForce":"GTC","type":"LIMIT","side":"BUY"}"#;
        let wire: OrderWire = serde_json::from_str(text).unwrap();
        let order = wire.order(wire.our_id().unwrap());
        assert_eq!((order.id.sequence, order.status, order.filled.to_string().as_str()), (42, OrderStatus::Canceled, "0.25"));
    }

    #[test]
    fn self_trade_prevention_is_an_expiry_and_unknown_statuses_stay_alive() {
        assert_eq!(order_status("EXPIRED_IN_MATCH", Qty::ZERO), OrderStatus::Expired);
        assert_eq!(order_status("PENDING_NEW", Qty::ZERO), OrderStatus::Open);
        assert_eq!(order_status("SOMETHING_NEW", Qty::from_raw(1)), OrderStatus::PartiallyFilled);
    }

    #[test]
    fn commissions_add_up_over_families_and_sides() {
        let text = r#"{"symbol":"BTCUSDT","standardCommission":{"maker":"0.00100000","taker":"0.00120000","buyer":"0.0","seller":"0.0001"},
            "taxCommission":{"maker":"0.00000112","taker":"0.00000114","buyer":"0","seller":"0"},"discount":{"discount":"0.75"}}"#;
        let fees = serde_json::from_str::<CommissionWire>(text).unwrap().fees();
        assert_eq!((fees.maker.to_string(), fees.taker.to_string()), ("11.0112".to_owned(), "13.0114".to_owned()));
    }
}
