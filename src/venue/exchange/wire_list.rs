//! Order lists and amended orders as REST, the WebSocket API and the user data stream print them.

use serde::Serialize;

use super::wire::{Fixed, contingency, json, list_number, list_status, order_type, self_trade, side, status, time_in_force};
use super::wire_order::working_time;
use crate::domain::{Money, Price, Qty, Timestamp};
use crate::matching::{Amendment, ListChange, ListNews, ListView, OrderView};

/// A list without its orders' reports.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListAnswer<'a> {
    order_list_id: i64,
    contingency_type: &'static str,
    list_status_type: &'static str,
    list_order_status: &'static str,
    list_client_order_id: &'a str,
    transaction_time: i64,
    symbol: &'a str,
    orders: Vec<ListOrder<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListOrder<'a> {
    symbol: &'a str,
    order_id: u64,
    client_order_id: &'a str,
}

impl<'a> ListAnswer<'a> {
    pub fn of(list: &'a ListView) -> Self {
        let (list_status_type, list_order_status) = list_status(list.status);
        let symbol = list.symbol.as_str();
        Self {
            order_list_id: list_number(Some(list.list_id)),
            contingency_type: contingency(list.kind),
            list_status_type,
            list_order_status,
            list_client_order_id: &list.client_id,
            transaction_time: list.updated_at.millis(),
            symbol,
            orders: list.legs.iter().map(|(id, client_id)| ListOrder { symbol, order_id: id.0, client_order_id: client_id }).collect(),
        }
    }

    /// The list with `orderReports`, each JSON already.
    pub fn with_reports(&self, orders: &[String]) -> String {
        let mut body = json(self);
        body.pop();
        body.push_str(&format!(",\"orderReports\":[{}]}}", orders.join(",")));
        body
    }
}

/// The answer to an amend; the quote quantity is spelled unlike elsewhere.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AmendedAnswer<'a> {
    transact_time: i64,
    execution_id: u64,
    amended_order: AmendedOrder<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_status: Option<ListAnswer<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AmendedOrder<'a> {
    symbol: &'a str,
    order_id: u64,
    order_list_id: i64,
    orig_client_order_id: &'a str,
    client_order_id: &'a str,
    price: Fixed<Price>,
    qty: Fixed<Qty>,
    executed_qty: Fixed<Qty>,
    prevented_qty: Fixed<Qty>,
    quote_order_qty: Fixed<Money>,
    cumulative_quote_qty: Fixed<Money>,
    status: &'static str,
    time_in_force: &'static str,
    #[serde(rename = "type")]
    order_type: &'static str,
    side: &'static str,
    working_time: i64,
    self_trade_prevention_mode: &'static str,
}

impl<'a> AmendedAnswer<'a> {
    pub fn of(amendment: &'a Amendment, order: &'a OrderView, list_status: Option<ListAnswer<'a>>) -> Self {
        Self {
            transact_time: amendment.at.millis(),
            execution_id: amendment.number,
            amended_order: AmendedOrder {
                symbol: order.symbol.as_str(),
                order_id: order.order_id.0,
                order_list_id: list_number(order.list_id),
                orig_client_order_id: &amendment.old_client_id,
                client_order_id: &order.client_id,
                price: Fixed(order.kind.price().unwrap_or(Price::ZERO)),
                qty: Fixed(order.qty),
                executed_qty: Fixed(order.filled),
                prevented_qty: Fixed(order.prevented),
                quote_order_qty: Fixed(order.terms.quote_qty.unwrap_or(Money::ZERO)),
                cumulative_quote_qty: Fixed(order.filled_quote),
                status: status(order),
                time_in_force: time_in_force(order.kind),
                order_type: order_type(order.kind),
                side: side(order.side),
                working_time: working_time(order),
                self_trade_prevention_mode: self_trade(order.self_trade),
            },
            list_status,
        }
    }
}

/// The user data event of a list.
#[derive(Serialize)]
pub(super) struct ListStatusEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    g: i64,
    c: &'static str,
    l: &'static str,
    #[serde(rename = "L")]
    status: &'static str,
    r: &'static str,
    #[serde(rename = "C")]
    client_id: &'a str,
    #[serde(rename = "T")]
    transaction_time: i64,
    #[serde(rename = "O")]
    orders: Vec<EventOrder<'a>>,
}

#[derive(Serialize)]
struct EventOrder<'a> {
    s: &'a str,
    i: u64,
    c: &'a str,
}

impl<'a> ListStatusEvent<'a> {
    pub fn of(news: &'a ListNews, now: Timestamp) -> Self {
        let list = &news.list;
        let symbol = list.symbol.as_str();
        Self {
            e: "listStatus",
            event_time: now.millis(),
            s: symbol,
            g: list_number(Some(list.list_id)),
            c: contingency(list.kind),
            l: match news.change {
                ListChange::Started => "EXEC_STARTED",
                ListChange::Renamed => "UPDATED",
                ListChange::Done => "ALL_DONE",
            },
            status: list_status(list.status).1,
            r: "NONE",
            client_id: &list.client_id,
            transaction_time: list.updated_at.millis(),
            orders: list.legs.iter().map(|(id, client_id)| EventOrder { s: symbol, i: id.0, c: client_id }).collect(),
        }
    }
}
