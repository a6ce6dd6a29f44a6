//! The REST answers as Binance writes them, and their translation. Nothing here leaves the room.
//!
//! Source: Binance rest-api.md, filters.md, enums.md (2026-07).

use serde::Deserialize;

use super::lists::ListWire;
use super::number::Num;
use super::rest_account::{AccountOrder, AccountState, AccountTrade, Commission, OpenOrders, Placed, Rates};
use crate::domain::{
    Asset, Balance, Bps, ClientOrderId, FeeRates, OrderId, OrderListId, OrderStatus, Price, Qty, Role, Side, Symbol, TradeId,
};
use crate::protocol::{VenueFill, VenueOrder};
use crate::venue::market_frame::venue_time;

/// An order as `GET order`, `openOrders`, `DELETE order` and a FULL placement state it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderWire {
    symbol: Symbol,
    order_id: u64,
    #[serde(default)]
    order_list_id: Option<i64>,
    client_order_id: String,
    /// On a cancel's answer `clientOrderId` is the cancel's own id and this is the order's.
    #[serde(default)]
    orig_client_order_id: Option<String>,
    orig_qty: Num<Qty>,
    executed_qty: Num<Qty>,
    #[serde(default)]
    price: Num<Price>,
    #[serde(default)]
    stop_price: Num<Price>,
    status: String,
    side: SideWire,
    #[serde(default)]
    time: Option<i64>,
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
    price: Num<Price>,
    qty: Num<Qty>,
    commission: Num<Qty>,
    commission_asset: Asset,
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
        self.symbol
    }

    pub fn order(&self, id: ClientOrderId) -> VenueOrder {
        VenueOrder {
            id,
            order_id: OrderId(self.order_id),
            symbol: self.symbol,
            side: self.side.into(),
            status: order_status(&self.status, self.executed_qty.0),
            qty: self.orig_qty.0,
            filled: self.executed_qty.0,
            at: venue_time(self.update_time.max(self.transact_time).unwrap_or(0)),
        }
    }

    /// An order of whoever placed it.
    pub fn account_order(&self) -> AccountOrder {
        let order = self.order(ClientOrderId::default());
        let client_id = self.orig_client_order_id.as_ref().unwrap_or(&self.client_order_id);
        AccountOrder {
            id: self.our_id(),
            client_id: client_id.clone(),
            order_id: order.order_id,
            list: self.order_list_id.and_then(|id| u64::try_from(id).ok()).map(OrderListId),
            symbol: order.symbol,
            side: order.side,
            status: order.status,
            price: self.price.0,
            stop: self.stop_price.0,
            pending: self.status == "PENDING_NEW",
            qty: order.qty,
            filled: order.filled,
            created: venue_time(self.time.or(self.transact_time).unwrap_or(0)),
            at: order.at,
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
            fee_asset: f.commission_asset,
            at: order.at,
        };
        Placed { fills: self.fills.iter().map(fill).collect(), order }
    }
}

/// A cancel's answer: an order, or the whole list that ended with it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Cancelled {
    List(Box<ListWire>),
    Order(Box<OrderWire>),
}

impl Cancelled {
    pub fn orders(&self) -> impl Iterator<Item = &OrderWire> {
        match self {
            Self::List(list) => list.report_refs().iter(),
            Self::Order(order) => std::slice::from_ref(&**order).iter(),
        }
    }

    pub fn into_orders(self) -> Vec<OrderWire> {
        match self {
            Self::List(list) => list.reports(),
            Self::Order(order) => vec![*order],
        }
    }
}

/// An amendment's answer spells some names its own way.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AmendedWire {
    transact_time: i64,
    amended_order: AmendedOrderWire,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AmendedOrderWire {
    symbol: Symbol,
    order_id: u64,
    client_order_id: String,
    qty: Num<Qty>,
    executed_qty: Num<Qty>,
    status: String,
    side: SideWire,
}

impl AmendedWire {
    /// `None` when the order is not `id`.
    pub fn order(&self, id: ClientOrderId) -> Option<VenueOrder> {
        let order = &self.amended_order;
        (order.client_order_id.parse() == Ok(id)).then(|| VenueOrder {
            id,
            order_id: OrderId(order.order_id),
            symbol: order.symbol,
            side: order.side.into(),
            status: order_status(&order.status, order.executed_qty.0),
            qty: order.qty.0,
            filled: order.executed_qty.0,
            at: venue_time(self.transact_time),
        })
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
    symbol: Symbol,
    id: u64,
    order_id: u64,
    price: Num<Price>,
    qty: Num<Qty>,
    commission: Num<Qty>,
    commission_asset: Asset,
    time: i64,
    is_buyer: bool,
    is_maker: bool,
}

impl MyTradeWire {
    pub fn trade(&self) -> AccountTrade {
        AccountTrade {
            order_id: OrderId(self.order_id),
            trade_id: TradeId(self.id),
            symbol: self.symbol,
            side: if self.is_buyer { Side::Buy } else { Side::Sell },
            price: self.price.0,
            qty: self.qty.0,
            role: if self.is_maker { Role::Maker } else { Role::Taker },
            fee: self.commission.0,
            fee_asset: self.commission_asset,
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
    free: Num<Qty>,
    #[serde(alias = "l")]
    locked: Num<Qty>,
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
struct Rate(Num<Qty>);

impl Default for Rate {
    fn default() -> Self {
        Self(Num(Qty::ZERO))
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
    #[serde(alias = "standardCommissionForOrder")]
    standard_commission: RatesWire,
    #[serde(default, alias = "specialCommissionForOrder")]
    special_commission: RatesWire,
    #[serde(default, alias = "taxCommissionForOrder")]
    tax_commission: RatesWire,
    #[serde(default)]
    discount: DiscountWire,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DiscountWire {
    enabled_for_account: bool,
    enabled_for_symbol: bool,
    discount_asset: Option<String>,
    discount: Option<Num<Qty>>,
}

impl CommissionWire {
    pub fn commission(&self) -> Commission {
        let rates = |wire: &RatesWire| Rates {
            maker: wire.maker.bps(),
            taker: wire.taker.bps(),
            buyer: wire.buyer.bps(),
            seller: wire.seller.bps(),
        };
        let enabled = self.discount.enabled_for_account && self.discount.enabled_for_symbol;
        let asset = self.discount.discount_asset.as_ref().and_then(|a| a.parse().ok());
        Commission {
            standard: rates(&self.standard_commission),
            special: rates(&self.special_commission),
            tax: rates(&self.tax_commission),
            discount: if enabled { asset.zip(self.discount.discount.map(|d| d.0)) } else { None },
        }
    }

    pub fn fees(&self) -> FeeRates {
        total(&[&self.standard_commission, &self.special_commission, &self.tax_commission])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
