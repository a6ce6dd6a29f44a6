//! Orders and trades as REST and the WebSocket API print them.

use serde::Serialize;

use super::wire::{Fixed, expiry_reason, list_number, order_type, self_trade, side, status, time_in_force};
use crate::domain::{Money, Price, Qty, Role, Side};
use crate::matching::{Amendment, Execution, OrderView, Phase, PreventedMatch};

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
            order_list_id: list_number(order.list_id),
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
    #[serde(flatten)]
    marks: Marks,
}

/// Fields that only some orders have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Marks {
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy_type: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prevented_match_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prevented_quantity: Option<Fixed<Qty>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry_reason: Option<&'static str>,
}

impl Terms {
    fn of(order: &OrderView) -> Self {
        Self {
            price: Fixed(order.kind.price().unwrap_or(Price::ZERO)),
            orig_qty: Fixed(order.qty),
            executed_qty: Fixed(order.filled),
            orig_quote_order_qty: Fixed(order.terms.quote_qty.unwrap_or(Money::ZERO)),
            cummulative_quote_qty: Fixed(order.filled_quote),
            status: status(order),
            time_in_force: time_in_force(order.kind),
            order_type: order_type(order.kind),
            side: side(order.side),
            self_trade_prevention_mode: self_trade(order.self_trade),
            marks: Marks {
                strategy_id: order.terms.strategy_id,
                strategy_type: order.terms.strategy_type,
                prevented_match_id: order.prevented_match,
                prevented_quantity: order.prevented_match.map(|_| Fixed(order.prevented)),
                expiry_reason: expiry_reason(order),
            },
        }
    }
}

/// When the order began to work; `-1` for one that did not.
pub(super) fn working_time(order: &OrderView) -> i64 {
    order.working_at.map_or(-1, crate::domain::Timestamp::millis)
}

/// The answer to a placement with the order's state, and with its fills where asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Placed<'a> {
    #[serde(flatten)]
    ack: Ack<'a>,
    #[serde(flatten)]
    terms: Terms,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_price: Option<Fixed<Price>>,
    working_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fills: Option<Vec<Fill<'a>>>,
}

impl<'a> Placed<'a> {
    pub fn of(order: &'a OrderView, fills: Option<Vec<Fill<'a>>>) -> Self {
        Self {
            ack: Ack::of(order),
            terms: Terms::of(order),
            stop_price: order.kind.stop().map(Fixed),
            working_time: working_time(order),
            fills,
        }
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
            order_list_id: list_number(order.list_id),
            client_order_id: &order.client_id,
            terms: Terms::of(order),
            stop_price: Fixed(order.kind.stop().unwrap_or(Price::ZERO)),
            iceberg_qty: Fixed(Qty::ZERO),
            time: order.created_at.millis(),
            update_time: order.updated_at.millis(),
            is_working: order.phase == Phase::Working,
            working_time: working_time(order),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_price: Option<Fixed<Price>>,
}

impl<'a> Canceled<'a> {
    pub fn of(order: &'a OrderView, request_id: &'a str) -> Self {
        Self {
            symbol: order.symbol.as_str(),
            orig_client_order_id: &order.client_id,
            order_id: order.order_id.0,
            order_list_id: list_number(order.list_id),
            client_order_id: request_id,
            transact_time: order.updated_at.millis(),
            terms: Terms::of(order),
            stop_price: order.kind.stop().map(Fixed),
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
            order_list_id: list_number(trade.list_id),
            price: Fixed(trade.price),
            qty: Fixed(trade.qty),
            quote_qty: Fixed(trade.price.notional(trade.qty).unwrap_or(Money::ZERO)),
            commission: Fixed(trade.fee),
            commission_asset: trade.fee_asset.as_str(),
            time: trade.at.millis(),
            is_buyer: trade.side == Side::Buy,
            is_maker: trade.role == Role::Maker,
            is_best_match: true,
        }
    }
}

/// One lowering of an order's quantity, as a query shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AmendmentRow<'a> {
    symbol: &'a str,
    order_id: u64,
    execution_id: u64,
    orig_client_order_id: &'a str,
    new_client_order_id: &'a str,
    orig_qty: Fixed<Qty>,
    new_qty: Fixed<Qty>,
    time: i64,
}

impl<'a> AmendmentRow<'a> {
    pub fn of(symbol: &'a str, amendment: &'a Amendment) -> Self {
        Self {
            symbol,
            order_id: amendment.order_id.0,
            execution_id: amendment.number,
            orig_client_order_id: &amendment.old_client_id,
            new_client_order_id: &amendment.client_id,
            orig_qty: Fixed(amendment.old_qty),
            new_qty: Fixed(amendment.qty),
            time: amendment.at.millis(),
        }
    }
}

/// A trade with oneself that did not happen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreventedRow<'a> {
    symbol: &'a str,
    prevented_match_id: u64,
    taker_order_id: u64,
    maker_symbol: &'a str,
    maker_order_id: u64,
    trade_group_id: u64,
    self_trade_prevention_mode: &'static str,
    price: Fixed<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taker_prevented_quantity: Option<Fixed<Qty>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maker_prevented_quantity: Option<Fixed<Qty>>,
    transact_time: i64,
}

impl<'a> PreventedRow<'a> {
    pub fn of(prevented: &'a PreventedMatch) -> Self {
        let lost = |qty: Qty| qty.is_positive().then_some(Fixed(qty));
        Self {
            symbol: prevented.symbol.as_str(),
            prevented_match_id: prevented.match_id,
            taker_order_id: prevented.taker.0,
            maker_symbol: prevented.symbol.as_str(),
            maker_order_id: prevented.maker.0,
            trade_group_id: u64::from(prevented.account.0),
            self_trade_prevention_mode: self_trade(prevented.mode),
            price: Fixed(prevented.price),
            taker_prevented_quantity: lost(prevented.taker_qty),
            maker_prevented_quantity: lost(prevented.maker_qty),
            transact_time: prevented.at.millis(),
        }
    }
}
