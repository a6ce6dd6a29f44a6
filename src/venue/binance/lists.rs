//! Order lists: placed, asked for and cancelled as one.
//!
//! Source: Binance rest-api.md, `orderList/oco`, `orderList/oto`, `orderList/otoco`.

use serde::Deserialize;

use super::error::ClientError;
use super::http::Terms;
use super::orders::ask;
use super::query::Query;
use super::rest_account::Placed;
use super::rest_wire::OrderWire;
use super::transport::{Ask, Transport};
use crate::domain::{
    ClientOrderId, ListKind, ListLegs, ListState, ListStatus, NewOrder, NewOrderList, OrderId, OrderListId, Symbol, Timestamp,
};
use crate::venue::market_frame::venue_time;
use crate::venue::order_words;

/// What the venue says about a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderList {
    /// Ours, if the list is ours.
    pub id: Option<ClientOrderId>,
    pub symbol: Symbol,
    pub state: ListState,
    pub at: Timestamp,
    /// Every leg: our id, if it is ours, and the venue's.
    pub legs: Vec<(Option<ClientOrderId>, OrderId)>,
    /// Legs of ours with their state and immediate fills; only placements and cancels state them.
    pub orders: Vec<Placed>,
}

/// Which list a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOf {
    /// By our id of the list.
    Ours(ClientOrderId),
    Venues(OrderListId),
}

/// Sends a list once. An error's `fate()` says whether it may still be live.
pub(super) async fn place(via: &impl Transport, list: &NewOrderList, opening: bool) -> Result<OrderList, ClientError> {
    let ask = placement(list, opening);
    let told = via.ask::<ListWire>(&ask).await?.list();
    match told {
        Some(told) if told.id == Some(list.id) => Ok(told),
        _ => Err(ClientError::Contradiction { call: ask.call, what: "a placement answered for another list" }),
    }
}

pub(super) async fn query(via: &impl Transport, list: ListOf) -> Result<OrderList, ClientError> {
    let query = match list {
        ListOf::Ours(id) => Query::new().with("origClientOrderId", id),
        ListOf::Venues(id) => Query::new().with("orderListId", id.0),
    };
    read(via, &ask("GET", "/api/v3/orderList", "orderList.status", query, Terms::private(4))).await
}

/// Cancels a whole list; asking twice does no harm.
pub(super) async fn cancel(via: &impl Transport, list: ListOf, symbol: Symbol) -> Result<OrderList, ClientError> {
    let query = Query::new().with("symbol", symbol);
    let query = match list {
        ListOf::Ours(id) => query.with("listClientOrderId", id),
        ListOf::Venues(id) => query.with("orderListId", id.0),
    };
    read(via, &ask("DELETE", "/api/v3/orderList", "orderList.cancel", query, Terms::cancel())).await
}

async fn read(via: &impl Transport, ask: &Ask) -> Result<OrderList, ClientError> {
    let unknown = || ClientError::Contradiction { call: ask.call, what: "a list in a state this program does not know" };
    via.ask::<ListWire>(ask).await?.list().ok_or_else(unknown)
}

pub(super) fn placement(list: &NewOrderList, opening: bool) -> Ask {
    let (query, orders) = (Query::new().with("listClientOrderId", list.id), list.legs.orders().count());
    let terms = Terms::placement(u32::try_from(orders).unwrap_or(u32::MAX), opening);
    match &list.legs {
        ListLegs::Oco { above, below } => {
            let query = query.with("symbol", above.symbol).with("side", order_words::side(above.side)).with("quantity", above.qty);
            let query = leg(leg(query, &ABOVE, above), &BELOW, below).with("newOrderRespType", "FULL");
            ask("POST", "/api/v3/orderList/oco", "orderList.place.oco", query, terms)
        }
        ListLegs::Oto { working, pending } => {
            let query =
                working_leg(query, working).with("pendingSide", order_words::side(pending.side)).with("pendingQuantity", pending.qty);
            let query = leg(query, &PENDING, pending).with("newOrderRespType", "FULL");
            ask("POST", "/api/v3/orderList/oto", "orderList.place.oto", query, terms)
        }
        ListLegs::Otoco { working, above, below } => {
            let query = working_leg(query, working).with("pendingSide", order_words::side(above.side)).with("pendingQuantity", above.qty);
            let query = leg(leg(query, &PENDING_ABOVE, above), &PENDING_BELOW, below).with("newOrderRespType", "FULL");
            ask("POST", "/api/v3/orderList/otoco", "orderList.place.otoco", query, terms)
        }
    }
}

fn working_leg(query: Query, order: &NewOrder) -> Query {
    let query = query.with("symbol", order.symbol).with("workingSide", order_words::side(order.side)).with("workingQuantity", order.qty);
    leg(query, &WORKING, order)
}

/// The parameters' names of one leg: type, id, price, stop price, time in force.
type LegNames = [&'static str; 5];
const ABOVE: LegNames = ["aboveType", "aboveClientOrderId", "abovePrice", "aboveStopPrice", "aboveTimeInForce"];
const BELOW: LegNames = ["belowType", "belowClientOrderId", "belowPrice", "belowStopPrice", "belowTimeInForce"];
const WORKING: LegNames = ["workingType", "workingClientOrderId", "workingPrice", "workingStopPrice", "workingTimeInForce"];
const PENDING: LegNames = ["pendingType", "pendingClientOrderId", "pendingPrice", "pendingStopPrice", "pendingTimeInForce"];
const PENDING_ABOVE: LegNames =
    ["pendingAboveType", "pendingAboveClientOrderId", "pendingAbovePrice", "pendingAboveStopPrice", "pendingAboveTimeInForce"];
const PENDING_BELOW: LegNames =
    ["pendingBelowType", "pendingBelowClientOrderId", "pendingBelowPrice", "pendingBelowStopPrice", "pendingBelowTimeInForce"];

fn leg(query: Query, names: &LegNames, order: &NewOrder) -> Query {
    query
        .with(names[0], order_words::order_type(order.kind))
        .with(names[1], order.id)
        .with_some(names[2], order.kind.price())
        .with_some(names[3], order.kind.stop())
        .with_some(names[4], order_words::time_in_force(order.kind))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListWire {
    order_list_id: u64,
    contingency_type: String,
    list_order_status: String,
    list_client_order_id: String,
    transaction_time: i64,
    symbol: Symbol,
    #[serde(default)]
    orders: Vec<LegWire>,
    #[serde(default)]
    order_reports: Vec<OrderWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegWire {
    order_id: u64,
    client_order_id: String,
}

impl ListWire {
    pub fn reports(self) -> Vec<OrderWire> {
        self.order_reports
    }

    pub fn report_refs(&self) -> &[OrderWire] {
        &self.order_reports
    }

    /// `None` when the kind of list or its state is one that this program does not know.
    fn list(&self) -> Option<OrderList> {
        let kind = match self.contingency_type.as_str() {
            "OCO" => ListKind::Oco,
            "OTO" => ListKind::Oto,
            _ => return None,
        };
        let status = match self.list_order_status.as_str() {
            "EXECUTING" => ListStatus::Executing,
            "ALL_DONE" => ListStatus::AllDone,
            "REJECT" => ListStatus::Rejected,
            _ => return None,
        };
        Some(OrderList {
            id: self.list_client_order_id.parse().ok(),
            symbol: self.symbol,
            state: ListState { list_id: OrderListId(self.order_list_id), kind, status },
            at: venue_time(self.transaction_time),
            legs: self.orders.iter().map(|leg| (leg.client_order_id.parse().ok(), OrderId(leg.order_id))).collect(),
            orders: self.order_reports.iter().filter_map(|r| Some(r.placed(r.our_id()?))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderKind, OrderStatus, RunId, Side, TimeInForce};

    const SENT: ClientOrderId = ClientOrderId { run: RunId(0x1f), sequence: 1 };

    fn order(sequence: u64, side: Side, kind: OrderKind) -> NewOrder {
        NewOrder {
            id: ClientOrderId { run: RunId(0x1f), sequence },
            symbol: "BTCUSDT".parse().unwrap(),
            side,
            qty: "0.5".parse().unwrap(),
            kind,
        }
    }

    fn price(text: &str) -> crate::domain::Price {
        text.parse().unwrap()
    }

    fn sent(legs: ListLegs) -> String {
        placement(&NewOrderList { id: SENT, legs }, false).query.encoded()
    }

    #[test]
    fn each_kind_of_list_is_written_with_its_own_names() {
        let above = order(2, Side::Sell, OrderKind::LimitMaker { price: price("110") });
        let below =
            order(3, Side::Sell, OrderKind::StopLossLimit { stop: price("95"), price: price("94"), time_in_force: TimeInForce::Gtc });
        assert_eq!(
            sent(ListLegs::Oco { above, below }),
            "listClientOrderId=h000000000000001f-1&symbol=BTCUSDT&side=SELL&quantity=0.5&aboveType=LIMIT_MAKER\
             &aboveClientOrderId=h000000000000001f-2&abovePrice=110&belowType=STOP_LOSS_LIMIT&belowClientOrderId=h000000000000001f-3\
             &belowPrice=94&belowStopPrice=95&belowTimeInForce=GTC&newOrderRespType=FULL"
        );
        let working = order(4, Side::Buy, OrderKind::Limit { price: price("100"), time_in_force: TimeInForce::Gtc });
        assert_eq!(
            sent(ListLegs::Oto { working, pending: order(5, Side::Sell, OrderKind::StopLoss { stop: price("95") }) }),
            "listClientOrderId=h000000000000001f-1&symbol=BTCUSDT&workingSide=BUY&workingQuantity=0.5&workingType=LIMIT\
             &workingClientOrderId=h000000000000001f-4&workingPrice=100&workingTimeInForce=GTC&pendingSide=SELL&pendingQuantity=0.5\
             &pendingType=STOP_LOSS&pendingClientOrderId=h000000000000001f-5&pendingStopPrice=95&newOrderRespType=FULL"
        );
        let otoco = placement(&NewOrderList { id: SENT, legs: ListLegs::Otoco { working, above, below } }, true);
        let text = otoco.query.encoded();
        assert!(text.contains("&pendingAboveType=LIMIT_MAKER&") && text.contains("&pendingBelowStopPrice=95&"), "{text}");
        assert_eq!((otoco.terms.cost.orders, otoco.method, otoco.terms.repeatable), (3, "orderList.place.otoco", false));
    }

    #[test]
    fn a_lists_answer_states_the_list_and_its_legs() {
        let text = r#"{"orderListId":1,"contingencyType":"OCO","listStatusType":"EXEC_STARTED","listOrderStatus":"EXECUTING",
            "listClientOrderId":"h000000000000001f-1","transactionTime":1710485608839,"symbol":"LTCBTC",
            "orders":[{"symbol":"LTCBTC","orderId":10,"clientOrderId":"h000000000000001f-2"},{"symbol":"LTCBTC","orderId":11,"clientOrderId":"web_1"}],
            "orderReports":[{"symbol":"LTCBTC","orderId":10,"orderListId":1,"clientOrderId":"h000000000000001f-2","transactTime":1710485608839,
            "price":"1.00000000","origQty":"5.00000000","executedQty":"0.00000000","status":"PENDING_NEW","timeInForce":"GTC","type":"STOP_LOSS_LIMIT",
            "side":"SELL","stopPrice":"1.00000000"}]}"#;
        let list = serde_json::from_str::<ListWire>(text).unwrap().list().unwrap();
        assert_eq!((list.id, list.state.kind, list.state.status), (Some(SENT), ListKind::Oco, ListStatus::Executing));
        assert_eq!((list.legs.len(), list.legs[1]), (2, (None, OrderId(11))));
        assert_eq!((list.orders.len(), list.orders[0].order.status), (1, OrderStatus::Open));
        let unknown = text.replace("\"OCO\"", "\"OPOCOTO\"");
        assert!(serde_json::from_str::<ListWire>(&unknown).unwrap().list().is_none());
    }
}
