//! Orders over the WebSocket API: answers matched by id, limits shared with REST, and what a broken connection proves.

use std::time::Duration;

use tokio::task::JoinSet;

use super::desk::Desk;
use super::orders;
use super::replace::replace;
use super::test_venue::{Answer, KEY, SECRET, Seen, Step, TestVenue, fail, ok};
use super::tests::{ORDER, PLACED, TIME, order};
use super::transport::Transport;
use super::ws_api::WsApi;
use super::*;
use crate::domain::{OrderStatus, Span, Timestamp};
use crate::protocol::VenueRefusal;
use crate::venue::exchange::ExchangeServer;

const SOCKET: &str = "/ws-api/v3";

fn id_of(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].to_string()
}

fn placed(text: &str) -> String {
    format!(
        r#"{{"id":{},"status":200,"result":{PLACED},"rateLimits":[{{"rateLimitType":"REQUEST_WEIGHT","interval":"DAY","intervalNum":1,
        "limit":6000,"count":4799}}]}}"#,
        id_of(text)
    )
}

fn refused(text: &str) -> String {
    format!(r#"{{"id":{},"status":400,"error":{{"code":-2010,"msg":"Order would immediately match and take."}}}}"#, id_of(text))
}

fn banned(text: &str) -> String {
    let now = monotonic_clock()().millis();
    let until = now + 60_000;
    format!(
        r#"{{"id":{},"status":418,"error":{{"code":-1003,"msg":"Way too much request weight used; IP banned.","data":{{"serverTime":{now},"retryAfter":{until}}}}}}}"#,
        id_of(text)
    )
}

fn late(text: &str) -> String {
    format!(
        r#"{{"id":{},"status":400,"error":{{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}}}}"#,
        id_of(text)
    )
}

fn rest_answer(seen: &Seen) -> Answer {
    match seen.path.as_str() {
        TIME => ok(format!(r#"{{"serverTime":{}}}"#, monotonic_clock()().millis())),
        ORDER => ok(PLACED),
        _ => fail(404, "unexpected"),
    }
}

struct Running {
    venue: TestVenue,
    rest: RestClient,
    ws: WsApi,
    _standing: JoinSet<()>,
}

/// A client whose connection is up.
async fn running(steps: Vec<Step>) -> Running {
    let venue = TestVenue::start_with_streams(|seen, _| rest_answer(seen), move |_, _| steps.clone()).await;
    let rest = venue.client();
    let mut standing = JoinSet::new();
    let (ws, connection) = WsApi::new(rest.http().clone());
    standing.spawn(connection.run());
    while venue.seen(SOCKET).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Running { venue, rest, ws, _standing: standing }
}

fn texts(venue: &TestVenue) -> Vec<serde_json::Value> {
    venue.seen(SOCKET).iter().filter(|s| s.method == "TEXT").map(|s| serde_json::from_str(&s.params).unwrap()).collect()
}

#[tokio::test]
async fn an_order_goes_out_signed_over_its_sorted_parameters_and_its_answer_comes_back() {
    let running = running(vec![Step::Answer(placed), Step::Answer(refused), Step::Stay]).await;
    // A window that no test outlives.
    let day = RateLimit { kind: LimitKind::RequestWeight, window_secs: 86_400, limit: 6_000, used: None };
    running.rest.http().limiter.learn(&[day], running.rest.venue_now());
    let done = orders::place(&running.ws, &order(), true).await.unwrap();
    assert_eq!((done.order.order_id.0, done.fills.len()), (28, 1));
    let sent = &texts(&running.venue)[0];
    let params = sent["params"].as_object().unwrap();
    assert_eq!((sent["method"].as_str(), params["apiKey"].as_str()), (Some("order.place"), Some(KEY)));
    assert!(params["timestamp"].is_number() && params["recvWindow"].is_number() && params["quantity"].is_string());
    let literal = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut pairs: Vec<String> = params.iter().filter(|(n, _)| *n != "signature").map(|(n, v)| format!("{n}={}", literal(v))).collect();
    pairs.sort();
    assert_eq!(params["signature"].as_str(), Some(Credentials::new(KEY, SECRET).sign(&pairs.join("&")).as_str()));
    // The weight that the answer stated leaves no room for a read over REST, but for an exit.
    let error = orders::place(&running.ws, &order(), false).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Refused(VenueRefusal::WouldTake));
    assert!(matches!(running.rest.place(&order(), true).await, Err(ClientError::Limited { .. })), "the budget is shared");
    assert!(error.to_string().starts_with("WS order.place: "), "{error}");
}

#[tokio::test]
async fn an_order_that_was_sent_and_not_answered_is_unknown_and_goes_nowhere_else() {
    let running = running(vec![Step::Receive]).await;
    let desk = Desk::Socket { ws: running.ws.clone(), rest: running.rest.clone() };
    let error = orders::place(&desk, &order(), true).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Unknown, "{error}");
    assert_eq!((texts(&running.venue).len(), running.venue.seen(ORDER).len()), (1, 0));
}

#[tokio::test]
async fn an_order_that_could_not_leave_goes_over_rest() {
    let venue = TestVenue::start(|seen, _| rest_answer(seen)).await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = Endpoint { ws_api: format!("ws://{free}/ws-api/v3"), ..venue.endpoint.clone() };
    let rest = RestClient::new(endpoint, Some(Credentials::new(KEY, SECRET)), monotonic_clock()).unwrap();
    let mut standing = JoinSet::new();
    let desk = Desk::open(OrderTransport::WsApi, &rest, &mut standing);
    orders::place(&desk, &order(), false).await.unwrap();
    assert_eq!(venue.seen(ORDER).len(), 1);
    let Desk::Socket { ws, .. } = &desk else { panic!() };
    let error = orders::place(ws, &order(), false).await.unwrap_err();
    assert!(matches!(error, ClientError::Offline { .. }), "{error}");
}

#[tokio::test]
async fn a_ban_told_over_the_socket_stops_rest_too() {
    let running = running(vec![Step::Answer(banned), Step::Stay]).await;
    assert_eq!(orders::place(&running.ws, &order(), false).await.unwrap_err().fate(), Fate::Refused(VenueRefusal::RateLimit));
    assert!(matches!(running.rest.place(&order(), false).await, Err(ClientError::Limited { wait, .. }) if wait > Duration::from_secs(50)));
    assert_eq!(running.venue.seen(ORDER).len(), 0);
}

#[tokio::test]
async fn a_wrong_clock_is_measured_and_the_order_repeated_once() {
    let repeated = running(vec![Step::Answer(late), Step::Answer(placed), Step::Stay]).await;
    orders::place(&repeated.ws, &order(), false).await.unwrap();
    assert_eq!((texts(&repeated.venue).len(), repeated.venue.seen(TIME).len()), (2, 5));
    let stubborn = running(vec![Step::Answer(late), Step::Answer(late), Step::Answer(late), Step::Stay]).await;
    assert_eq!(orders::place(&stubborn.ws, &order(), false).await.unwrap_err().fate(), Fate::Refused(VenueRefusal::Clock));
    assert_eq!(texts(&stubborn.venue).len(), 2);
}

#[tokio::test]
async fn answers_find_their_questions_in_any_order_and_strange_ones_harm_nobody() {
    fn strange(_: &str) -> String {
        "not json".to_owned()
    }
    fn nobodys(_: &str) -> String {
        r#"{"id":"12345","status":200,"result":{}}"#.to_owned()
    }
    fn both(text: &str) -> String {
        // The second request is answered; the first never is.
        placed(text)
    }
    let running = running(vec![Step::Answer(strange), Step::Answer(nobodys), Step::Answer(both), Step::Stay]).await;
    let lost = tokio::spawn({
        let ws = running.ws.clone();
        let order = order();
        async move { tokio::join!(orders::place(&ws, &order, false), orders::place(&ws, &order, false)) }
    });
    while texts(&running.venue).len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(orders::place(&running.ws, &order(), false).await.unwrap().order.order_id.0, 28);
    lost.abort();
}

#[tokio::test]
async fn the_simulated_exchange_takes_orders_over_the_socket() {
    let origin = Timestamp::from_nanos(monotonic_clock()().day() * 86_400_000_000_000) - Span::from_secs(86_400);
    let exchange = ExchangeServer::start_synthetic(5, origin).await.unwrap();
    let credentials = Credentials::new(&exchange.api_key, &exchange.api_secret);
    let rest = RestClient::new(Endpoint::from_rest_url(&exchange.rest).unwrap(), Some(credentials), monotonic_clock()).unwrap();
    let mut standing = JoinSet::new();
    let (ws, connection) = WsApi::new(rest.http().clone());
    standing.spawn(connection.run());
    let bid = rest.depth(order().symbol, 5).await.unwrap().bids[0].price;
    let resting = crate::domain::NewOrder {
        qty: "0.01".parse().unwrap(),
        kind: crate::domain::OrderKind::LimitMaker { price: crate::domain::Price::from_raw(bid.raw() / 100_000_000 * 95_000_000) },
        ..order()
    };
    // Up as soon as a question is answered over it.
    while orders::ping(&ws).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(orders::server_time(&ws).await.unwrap().since(rest.venue_now()).millis().abs() < 5_000);
    orders::place(&ws, &resting, true).await.unwrap();
    assert_eq!(orders::query(&ws, resting.id, resting.symbol).await.unwrap().status, OrderStatus::Open);
    assert_eq!(orders::open(&ws, resting.symbol).await.unwrap().ours.len(), 1);
    assert!(orders::account(&ws).await.unwrap().balances.iter().any(|b| b.locked.is_positive()));
    assert_eq!(orders::cancel(&ws, resting.id, resting.symbol).await.unwrap().status, OrderStatus::Canceled);
    assert!(orders::cancel(&ws, resting.id, resting.symbol).await.unwrap_err().is_unknown_order());
    drop(ws);
    standing.shutdown().await;
    exchange.stop().await;
}

/// Both ways speak the same questions.
#[tokio::test]
async fn lists_replacements_and_amendments_have_their_own_methods() {
    fn no(text: &str) -> String {
        format!(r#"{{"id":{},"status":400,"error":{{"code":-1102,"msg":"Mandatory parameter"}}}}"#, id_of(text))
    }
    let running = running(vec![Step::Answer(no), Step::Answer(no), Step::Answer(no), Step::Answer(no), Step::Stay]).await;
    async fn all(via: &impl Transport) {
        let oto = crate::domain::NewOrderList { id: order().id, legs: crate::domain::ListLegs::Oto { working: order(), pending: order() } };
        replace(via, order().id, &order(), WhenNotCancelled::PlaceAnyway, false).await.unwrap_err();
        orders::amend(via, order().id, order().symbol, "0.1".parse().unwrap()).await.unwrap_err();
        lists::place(via, &oto, false).await.unwrap_err();
        lists::query(via, ListOf::Ours(order().id)).await.unwrap_err();
    }
    all(&running.ws).await;
    let methods: Vec<String> = texts(&running.venue).iter().map(|t| t["method"].as_str().unwrap().to_owned()).collect();
    assert_eq!(methods, ["order.cancelReplace", "order.amend.keepPriority", "orderList.place.oto", "orderList.status"]);
}
