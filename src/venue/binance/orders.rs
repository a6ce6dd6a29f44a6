//! The questions about orders and the account, once for both ways of sending them.

use super::error::{Call, ClientError};
use super::http::Terms;
use super::limiter::Cost;
use super::market_wire::TimeWire;
use super::query::Query;
use super::rest_account::{AccountOrder, AccountState, Commission, OpenOrders, Placed};
use super::rest_wire::{AccountWire, AmendedWire, Cancelled, CommissionWire, OrderWire, open_orders};
use super::transport::{Ask, Transport};
use crate::domain::{ClientOrderId, NewOrder, Qty, Symbol, Timestamp};
use crate::protocol::VenueOrder;
use crate::venue::order_words;

pub(super) const ORDER: &str = "/api/v3/order";

pub(super) const fn ask(method: &'static str, path: &'static str, ws: &'static str, query: Query, terms: Terms) -> Ask {
    Ask { call: Call { method, path }, method: ws, query, terms }
}

/// Sends an order once. An error's `fate()` says whether it may still be live.
pub(super) async fn place(via: &impl Transport, order: &NewOrder, opening: bool) -> Result<Placed, ClientError> {
    let ask = place_ask(order, opening);
    let wire: OrderWire = via.ask(&ask).await?;
    if wire.our_id() != Some(order.id) || wire.symbol() != order.symbol {
        return Err(ClientError::Contradiction { call: ask.call, what: "a placement answered for another order" });
    }
    Ok(wire.placed(order.id))
}

pub(super) fn place_ask(order: &NewOrder, opening: bool) -> Ask {
    ask("POST", ORDER, "order.place", order_params(order), Terms::placement(1, opening))
}

pub(super) fn test_ask(order: &NewOrder) -> Ask {
    ask("POST", "/api/v3/order/test", "order.test", order_params(order), Terms::private(1))
}

pub(super) fn cancel_ask(id: ClientOrderId, symbol: Symbol) -> Ask {
    ask("DELETE", ORDER, "order.cancel", Query::new().with("symbol", symbol).with("origClientOrderId", id), Terms::cancel())
}

pub(super) fn query_ask(id: ClientOrderId, symbol: Symbol) -> Ask {
    ask("GET", ORDER, "order.status", Query::new().with("symbol", symbol).with("origClientOrderId", id), Terms::private(4))
}

pub(super) fn account_ask() -> Ask {
    ask("GET", "/api/v3/account", "account.status", Query::new(), Terms::private(20))
}

pub(super) async fn ping(via: &impl Transport) -> Result<(), ClientError> {
    let _empty: serde_json::Value = via.ask(&ask("GET", "/api/v3/ping", "ping", Query::new(), Terms::public(1))).await?;
    Ok(())
}

pub(super) async fn server_time(via: &impl Transport) -> Result<Timestamp, ClientError> {
    let wire: TimeWire = via.ask(&ask("GET", "/api/v3/time", "time", Query::new(), Terms::public(1))).await?;
    Ok(wire.time())
}

/// Lets the venue check an order without placing it.
pub(super) async fn test(via: &impl Transport, order: &NewOrder) -> Result<(), ClientError> {
    let _empty: serde_json::Value = via.ask(&test_ask(order)).await?;
    Ok(())
}

/// The rates that an order would be charged.
pub(super) async fn test_commission(via: &impl Transport, order: &NewOrder) -> Result<Commission, ClientError> {
    let query = order_params(order).with("computeCommissionRates", true);
    let wire: CommissionWire = via.ask(&ask("POST", "/api/v3/order/test", "order.test", query, Terms::private(20))).await?;
    Ok(wire.commission())
}

/// Cancels by our id; asking twice does no harm, so trouble on the way is retried.
pub(super) async fn cancel(via: &impl Transport, id: ClientOrderId, symbol: Symbol) -> Result<VenueOrder, ClientError> {
    Ok(cancel_with_list(via, id, symbol).await?.swap_remove(0))
}

/// As `cancel`: one leg of a list ends the whole list, which is then what is answered, the asked order first.
pub(super) async fn cancel_with_list(via: &impl Transport, id: ClientOrderId, symbol: Symbol) -> Result<Vec<VenueOrder>, ClientError> {
    let ask = cancel_ask(id, symbol);
    let mut orders: Vec<VenueOrder> = via.ask::<Cancelled>(&ask).await?.orders().filter_map(|o| Some(o.order(o.our_id()?))).collect();
    let asked = orders.iter().position(|o| o.id == id);
    let asked = asked.ok_or(ClientError::Contradiction { call: ask.call, what: "a cancel answered for another order" })?;
    orders.swap(0, asked);
    Ok(orders)
}

/// Cancels every order of a market; orders of ours that ended, and how many of others did. None open is no error.
pub(super) async fn cancel_all(via: &impl Transport, symbol: Symbol) -> Result<OpenOrders, ClientError> {
    let ask = ask("DELETE", "/api/v3/openOrders", "openOrders.cancelAll", Query::new().with("symbol", symbol), Terms::cancel());
    let told: Vec<Cancelled> = match via.ask(&ask).await {
        Err(error) if error.is_unknown_order() => return Ok(OpenOrders::default()),
        other => other?,
    };
    let all: Vec<OrderWire> = told.into_iter().flat_map(Cancelled::into_orders).collect();
    let ours: Vec<VenueOrder> = all.iter().filter_map(|o| Some(o.order(o.our_id()?))).collect();
    let foreign = u32::try_from(all.len() - ours.len()).unwrap_or(u32::MAX);
    Ok(OpenOrders { ours, foreign })
}

/// Makes a resting order smaller in its place in the queue; `qty` is its new whole quantity. The order keeps our id.
pub(super) async fn amend(via: &impl Transport, id: ClientOrderId, symbol: Symbol, qty: Qty) -> Result<VenueOrder, ClientError> {
    // Without a new id the venue would invent one and the order would no longer be ours.
    let query = Query::new().with("symbol", symbol).with("origClientOrderId", id).with("newClientOrderId", id).with("newQty", qty);
    let terms = Terms { repeatable: false, cost: Cost { weight: 4, ..Terms::cancel().cost }, ..Terms::cancel() };
    let ask = ask("PUT", "/api/v3/order/amend/keepPriority", "order.amend.keepPriority", query, terms);
    let wire: AmendedWire = via.ask(&ask).await?;
    wire.order(id).ok_or(ClientError::Contradiction { call: ask.call, what: "an amendment answered for another order" })
}

/// One order of ours, by our id.
pub(super) async fn query(via: &impl Transport, id: ClientOrderId, symbol: Symbol) -> Result<VenueOrder, ClientError> {
    let wire: OrderWire = via.ask(&query_ask(id, symbol)).await?;
    Ok(wire.order(id))
}

pub(super) async fn open(via: &impl Transport, symbol: Symbol) -> Result<OpenOrders, ClientError> {
    let ask = ask("GET", "/api/v3/openOrders", "openOrders.status", Query::new().with("symbol", symbol), Terms::private(6));
    let rows: Vec<OrderWire> = via.ask(&ask).await?;
    Ok(open_orders(&rows))
}

/// Orders of one market, ended ones too, from an id on (the newest without one), oldest first; at most 1,000.
pub(super) async fn all(via: &impl Transport, query: Query) -> Result<Vec<AccountOrder>, ClientError> {
    let rows: Vec<OrderWire> = via.ask(&ask("GET", "/api/v3/allOrders", "allOrders", query, Terms::private(20))).await?;
    Ok(rows.iter().map(OrderWire::account_order).collect())
}

pub(super) async fn account(via: &impl Transport) -> Result<AccountState, ClientError> {
    let wire: AccountWire = via.ask(&account_ask()).await?;
    Ok(wire.state())
}

/// Everything about an order but who signs it.
pub(super) fn order_params(order: &NewOrder) -> Query {
    Query::new()
        .with("symbol", order.symbol)
        .with("side", order_words::side(order.side))
        .with("type", order_words::order_type(order.kind))
        .with_some("timeInForce", order_words::time_in_force(order.kind))
        .with("quantity", order.qty)
        .with_some("price", order.kind.price())
        .with_some("stopPrice", order.kind.stop())
        .with("newClientOrderId", order.id)
        .with("newOrderRespType", "FULL")
}
