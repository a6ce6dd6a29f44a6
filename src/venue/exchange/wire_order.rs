//! Orders and trades as REST and the WebSocket API print them.

use serde::Serialize;

use super::wire::{Fixed, order_type, side, status, time_in_force};
use crate::domain::{Money, Price, Qty};
use crate::matching::{Execution, OrderView};

const NO_LIST: i64 = -1;
const NO_PREVENTION: &str = "NONE";

/// The answer to a placement in its shortest form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ack<'a> {
    symbol: &'a str,
    order_id: u64,
    order_list_id: i64,
    client_order_id: &'a str,
    transact_time: i64,
}

impl<'a> Ack<'a> {
    pub fn of(order: &'a OrderView) -> Self {
        Self {
            symbol: order.symbol.as_str(),
            order_id: order.order_id.0,
            order_list_id: NO_LIST,
            client_order_id: &order.client_id,
            transact_time: order.updated_at.millis(),
        }
    }
}

/// The fields that every long form of an order shares.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    price: Fixed<Price>,
    orig_qty: Fixed<Qty>,
    executed_qty: Fixed<Qty>,
    orig_quote_order_qty: Fixed<Money>,
    cummulative_quote_qty: Fixed<Money>,
    status: &'static str,
    time_in_force: &'static str,
    #[serde(rename = "type")]
    order_type: &'static str,
    side: &'static str,
    self_trade_prevention_mode: &'static str,
}

impl Terms {
    fn of(order: &OrderView) -> Self {
        Self {
            price: Fixed(order.kind.price().unwrap_or(Price::ZERO)),
            orig_qty: Fixed(order.qty),
            executed_qty: Fixed(order.filled),
            orig_quote_order_qty: Fixed(Money::ZERO),
            cummulative_quote_qty: Fixed(order.filled_quote),
            status: status(order.status),
            time_in_force: time_in_force(order.kind),
            order_type: order_type(order.kind),
            side: side(order.side),
            self_trade_prevention_mode: NO_PREVENTION,
        }
    }
}

/// The answer to a placement with the order's state, and with its fills where asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Placed<'a> {
    #[serde(flatten)]
    ack: Ack<'a>,
    #[serde(flatten)]
    terms: Terms,
    working_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fills: Option<Vec<Fill<'a>>>,
}

impl<'a> Placed<'a> {
    pub fn of(order: &'a OrderView, fills: Option<Vec<Fill<'a>>>) -> Self {
        Self { ack: Ack::of(order), terms: Terms::of(order), working_time: order.created_at.millis(), fills }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fill<'a> {
    price: Fixed<Price>,
    qty: Fixed<Qty>,
    commission: Fixed<Qty>,
    commission_asset: &'a str,
    trade_id: u64,
}

impl<'a> Fill<'a> {
    pub fn of(execution: &'a Execution) -> Self {
        Self {
            price: Fixed(execution.price),
            qty: Fixed(execution.qty),
            commission: Fixed(execution.fee),
            commission_asset: execution.fee_asset.as_str(),
            trade_id: execution.trade_id.0,
        }
    }
}

/// An order as a query shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Queried<'a> {
    symbol: &'a str,
    order_id: u64,
    order_list_id: i64,
    client_order_id: &'a str,
    #[serde(flatten)]
    terms: Terms,
    stop_price: Fixed<Price>,
    iceberg_qty: Fixed<Qty>,
    time: i64,
    update_time: i64,
    is_working: bool,
    working_time: i64,
}

impl<'a> Queried<'a> {
    pub fn of(order: &'a OrderView) -> Self {
        Self {
            symbol: order.symbol.as_str(),
            order_id: order.order_id.0,
            order_list_id: NO_LIST,
            client_order_id: &order.client_id,
            terms: Terms::of(order),
            stop_price: Fixed(Price::ZERO),
            iceberg_qty: Fixed(Qty::ZERO),
            time: order.created_at.millis(),
            update_time: order.updated_at.millis(),
            is_working: true,
            working_time: order.created_at.millis(),
        }
    }
}

/// The answer to a cancel: `clientOrderId` names the cancel request, `origClientOrderId` the order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Canceled<'a> {
    symbol: &'a str,
    orig_client_order_id: &'a str,
    order_id: u64,
    order_list_id: i64,
    client_order_id: &'a str,
    transact_time: i64,
    #[serde(flatten)]
    terms: Terms,
}

impl<'a> Canceled<'a> {
    pub fn of(order: &'a OrderView, request_id: &'a str) -> Self {
        Self {
            symbol: order.symbol.as_str(),
            orig_client_order_id: &order.client_id,
            order_id: order.order_id.0,
            order_list_id: NO_LIST,
            client_order_id: request_id,
            transact_time: order.updated_at.millis(),
            terms: Terms::of(order),
        }
    }
}

/// A trade of the account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnTrade<'a> {
    symbol: &'a str,
    id: u64,
    order_id: u64,
    order_list_id: i64,
    price: Fixed<Price>,
    qty: Fixed<Qty>,
    quote_qty: Fixed<Money>,
    commission: Fixed<Qty>,
    commission_asset: &'a str,
    time: i64,
    is_buyer: bool,
    is_maker: bool,
    is_best_match: bool,
}

impl<'a> OwnTrade<'a> {
    pub fn of(trade: &'a Execution) -> Self {
        Self {
            symbol: trade.symbol.as_str(),
            id: trade.trade_id.0,
            order_id: trade.order_id.0,
            order_list_id: NO_LIST,
            price: Fixed(trade.price),
            qty: Fixed(trade.qty),
            quote_qty: Fixed(trade.price.notional(trade.qty).unwrap_or(Money::ZERO)),
            commission: Fixed(trade.fee),
            commission_asset: trade.fee_asset.as_str(),
            time: trade.at.millis(),
            is_buyer: trade.side == crate::domain::Side::Buy,
            is_maker: trade.role == crate::domain::Role::Maker,
            is_best_match: true,
        }
    }
}
