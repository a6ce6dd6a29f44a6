//! A request as it is written: dated, signed, and in the form of its way.

use serde_json::{Map, Value, json};

use super::desk::OrderTransport;
use super::endpoint::Credentials;
use super::http::RECEIVE_WINDOW_MS;
use super::lists;
use super::orders;
use super::query::Query;
use super::replace::{self, WhenNotCancelled};
use super::transport::Ask;
use crate::domain::Timestamp;
use crate::protocol::Request;

/// The text that leaves for an order, a cancel or a question: the form or query of REST, or the WebSocket API's message under `number`.
/// `at` is the venue's time. `None` for a book snapshot, which nobody signs.
#[must_use]
pub fn signed_request(request: &Request, way: OrderTransport, credentials: &Credentials, at: Timestamp, number: u64) -> Option<String> {
    let ask = match *request {
        Request::Place { order, opening } => orders::place_ask(&order, opening),
        Request::PlaceList { list, opening } => lists::placement(&list, opening),
        Request::Replace { old, order } => replace::replacement(old, &order, WhenNotCancelled::Stop, false),
        Request::Test { order } => orders::test_ask(&order),
        Request::Cancel { id, symbol, .. } => orders::cancel_ask(id, symbol),
        Request::Query { id, symbol } => orders::query_ask(id, symbol),
        Request::Account => orders::account_ask(),
        Request::Snapshot { .. } => return None,
    };
    Some(match way {
        OrderTransport::Rest => dated(ask.query, at.millis()).signed(credentials),
        OrderTransport::WsApi => message(number, ask.method, socket_params(ask, at.millis(), credentials)),
    })
}

/// The parameters of a signed call but for its signature.
pub(super) fn dated(query: Query, millis: i64) -> Query {
    query.with("recvWindow", RECEIVE_WINDOW_MS).with("timestamp", millis)
}

/// The parameters of a signed question over the WebSocket API.
pub(super) fn socket_params(ask: Ask, millis: i64, credentials: &Credentials) -> Map<String, Value> {
    dated(ask.query, millis).with("apiKey", credentials.key()).signed_for_websocket(credentials)
}

/// A message of the WebSocket API.
pub(super) fn message(number: u64, method: &str, params: Map<String, Value>) -> String {
    json!({ "id": number.to_string(), "method": method, "params": params }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientOrderId, NewOrder, OrderKind, RunId, Side};

    #[test]
    fn both_ways_sign_the_same_order_and_nobody_signs_a_snapshot() {
        let credentials = Credentials::new("key", "secret");
        let id = ClientOrderId { run: RunId(1), sequence: 7 };
        let kind = OrderKind::LimitMaker { price: "60000.5".parse().unwrap() };
        let symbol = "BTCUSDT".parse().unwrap();
        let order = NewOrder { id, symbol, side: Side::Buy, qty: "0.01".parse().unwrap(), kind };
        let (place, at) = (Request::Place { order, opening: true }, Timestamp::from_millis(1_723_161_255_208));
        let form = signed_request(&place, OrderTransport::Rest, &credentials, at, 1).unwrap();
        let (payload, signature) = form.split_once("&signature=").unwrap();
        assert!(payload.starts_with("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01"), "{payload}");
        assert!(payload.ends_with("&recvWindow=5000&timestamp=1723161255208"), "{payload}");
        assert_eq!(signature, credentials.sign(payload));
        let message: Value = serde_json::from_str(&signed_request(&place, OrderTransport::WsApi, &credentials, at, 9).unwrap()).unwrap();
        assert_eq!((&message["id"], &message["method"]), (&json!("9"), &json!("order.place")));
        assert_eq!((&message["params"]["price"], &message["params"]["apiKey"]), (&json!("60000.5"), &json!("key")));
        for request in [Request::Cancel { id, symbol, order_id: None }, Request::Query { id, symbol }, Request::Account] {
            assert!(signed_request(&request, OrderTransport::Rest, &credentials, at, 1).unwrap().contains("&signature="));
        }
        assert_eq!(signed_request(&Request::Snapshot { symbol }, OrderTransport::Rest, &credentials, at, 1), None);
    }
}
