//! The REST client against a venue that misbehaves.

use super::test_venue::{Answer, KEY, SECRET, Seen, TestVenue, fail, ok};
use super::*;
use crate::domain::{Bps, ClientOrderId, FeeRates, Interval, NewOrder, OrderKind, RunId, Side, Timestamp};
use crate::protocol::VenueRefusal;

pub(super) fn order() -> NewOrder {
    NewOrder {
        id: ClientOrderId { run: RunId(0x1f), sequence: 0x2a },
        symbol: "BTCUSDT".parse().unwrap(),
        side: Side::Buy,
        qty: "0.5".parse().unwrap(),
        kind: OrderKind::LimitMaker { price: "60000.10".parse().unwrap() },
    }
}

pub(super) const PLACED: &str = r#"{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"h000000000000001f-2a","transactTime":1507725176595,
    "price":"60000.1","origQty":"0.5","executedQty":"0.2","status":"PARTIALLY_FILLED","timeInForce":"GTC","type":"LIMIT","side":"BUY",
    "fills":[{"price":"60000.0","qty":"0.2","commission":"0.0002","commissionAsset":"BTC","tradeId":56}]}"#;
pub(super) const TIME: &str = "/api/v3/time";
pub(super) const ORDER: &str = "/api/v3/order";

#[tokio::test]
async fn a_read_is_asked_again_after_trouble_on_the_way() {
    let venue = TestVenue::start(|_, before| match before.len() {
        0 => fail(503, r#"{"code":-1008,"msg":"overloaded"}"#),
        1 => ok(r#"{"lastUpdateId":1,"bids":[["1"#),
        _ => ok(r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}"#),
    })
    .await;
    let book = venue.client().depth(order().symbol, 1_000).await.unwrap();
    assert_eq!((book.last_update_id, book.asks[0].qty.to_string().as_str()), (160, "100"));
    assert_eq!(venue.seen("/api/v3/depth").len(), 3);
}

#[tokio::test]
async fn what_asking_again_cannot_mend_is_asked_once() {
    for answer in [
        (400, r#"{"code":-1121,"msg":"Invalid symbol."}"#),
        (401, r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#),
        (200, r#"{"lastUpdateId":"text","bids":[],"asks":[]}"#),
        (200, "null"),
        (403, "<html>Forbidden</html>"),
    ] {
        let venue = TestVenue::start(move |_, _| fail(answer.0, answer.1)).await;
        venue.client().depth(order().symbol, 100).await.unwrap_err();
        assert_eq!(venue.seen("/api/v3/depth").len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn an_order_goes_out_signed_and_its_fills_come_back() {
    let venue = TestVenue::start(|_, _| ok(PLACED)).await;
    let placed = venue.client().place(&order(), true).await.unwrap();
    assert_eq!((placed.order.order_id.0, placed.order.filled.to_string().as_str()), (28, "0.2"));
    assert_eq!((placed.fills[0].trade_id.0, placed.fills[0].fee_asset.as_str()), (56, "BTC"));
    let seen = &venue.seen(ORDER)[0];
    assert_eq!((seen.method.as_str(), seen.key.as_deref()), ("POST", Some(KEY)));
    assert!(
        seen.params.starts_with(
            "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.5&price=60000.1&newClientOrderId=h000000000000001f-2a&newOrderRespType=FULL"
        ),
        "{}",
        seen.params
    );
    let (payload, signature) = seen.params.split_once("&signature=").unwrap();
    assert_eq!(signature, Credentials::new(KEY, SECRET).sign(payload));
}

#[tokio::test]
async fn a_placement_with_an_unreadable_answer_is_unknown_and_sent_once() {
    let long = "x".repeat(100_000);
    let other_order = PLACED.replace("-2a", "-2b");
    for (status, body) in [
        (200, ""),
        (200, "null"),
        (200, "{"),
        (200, "<html>"),
        (200, long.as_str()),
        (200, other_order.as_str()),
        (502, "<html>Bad Gateway</html>"),
        (504, r#"{"code":-1007,"msg":"Timeout waiting for response from backend server."}"#),
        (503, r#"{"code":-1008,"msg":"Unknown error, please check your request or try again later."}"#),
    ] {
        let body = body.to_owned();
        let venue = TestVenue::start(move |_, _| fail(status, body.clone())).await;
        let error = venue.client().place(&order(), true).await.unwrap_err();
        assert_eq!(error.fate(), Fate::Unknown, "{error}");
        assert_eq!(venue.seen(ORDER).len(), 1, "{error}");
        assert!(error.to_string().len() < 500 && error.to_string().contains("POST /api/v3/order"), "{error}");
    }
}

/// A listener that reads a little and hangs up.
async fn hanging_up() -> Endpoint {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from_rest_url(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.readable().await;
            let _ = socket.try_read(&mut [0; 4096]);
        }
    });
    endpoint
}

#[tokio::test]
async fn a_broken_connection_leaves_an_order_unknown_and_none_at_all_refuses_it() {
    let credentials = Some(Credentials::new(KEY, SECRET));
    let client = RestClient::new(hanging_up().await, credentials.clone(), monotonic_clock()).unwrap();
    assert_eq!(client.place(&order(), true).await.unwrap_err().fate(), Fate::Unknown);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Endpoint::from_rest_url(&format!("http://{free}")).unwrap();
    let client = RestClient::new(nobody, credentials, monotonic_clock()).unwrap();
    assert_eq!(client.place(&order(), true).await.unwrap_err().fate(), Fate::Refused(VenueRefusal::Other));
}

#[tokio::test]
async fn errors_never_show_key_secret_or_signature() {
    let venue = TestVenue::start(|_, _| fail(400, r#"{"code":-1022,"msg":"Signature for this request is not valid."}"#)).await;
    let broken = RestClient::new(hanging_up().await, Some(Credentials::new(KEY, SECRET)), monotonic_clock()).unwrap();
    let errors = [
        venue.client().place(&order(), true).await.unwrap_err(),
        broken.account().await.unwrap_err(),
        broken.place(&order(), false).await.unwrap_err(),
    ];
    for error in errors {
        let shown = format!("{error} {error:?} {}", outbox::described(&error));
        for hidden in [KEY, SECRET, "signature=", "timestamp="] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
    let without = RestClient::new(venue.endpoint.clone(), None, monotonic_clock()).unwrap();
    assert!(matches!(without.account().await, Err(ClientError::NoCredentials { .. })));
}

#[tokio::test]
async fn after_429_everything_waits_as_long_as_told() {
    let venue = TestVenue::start(|seen, before| match (seen.path.as_str(), before.len()) {
        (_, 0) => fail(429, r#"{"code":-1003,"msg":"Too much request weight used."}"#).retry_after(1),
        (ORDER, _) => ok(PLACED),
        _ => ok(r#"{"lastUpdateId":1,"bids":[],"asks":[]}"#),
    })
    .await;
    let client = venue.client();
    let error = client.place(&order(), false).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Refused(VenueRefusal::RateLimit));
    // An opening order is refused here, before it leaves.
    assert!(matches!(client.place(&order(), true).await, Err(ClientError::Limited { .. })));
    assert_eq!(venue.seen(ORDER).len(), 1);
    client.depth(order().symbol, 5).await.unwrap();
    client.place(&order(), true).await.unwrap();
}

/// Accepts timestamps of a clock one hour ahead only.
fn an_hour_ahead(seen: &Seen) -> Answer {
    let theirs = monotonic_clock()().millis() + 3_600_000;
    match seen.path.as_str() {
        TIME => ok(format!(r#"{{"serverTime":{theirs}}}"#)),
        _ => match seen.param("timestamp").and_then(|t| t.parse::<i64>().ok()) {
            Some(sent) if (theirs - 5_000..theirs + 1_000).contains(&sent) => ok(PLACED),
            _ => fail(400, r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#),
        },
    }
}

#[tokio::test]
async fn a_wrong_clock_is_measured_and_the_request_repeated_once() {
    let venue = TestVenue::start(|seen, _| an_hour_ahead(seen)).await;
    let client = venue.client();
    client.place(&order(), true).await.unwrap();
    assert_eq!(venue.seen(ORDER).len(), 2);
    let offset = client.sample_clock().await.unwrap().offset;
    assert!((offset.millis() + 3_600_000).abs() < 5_000, "{offset:?}");

    let stubborn = TestVenue::start(|seen, _| match seen.path.as_str() {
        TIME => an_hour_ahead(seen),
        _ => fail(400, r#"{"code":-1021,"msg":"Timestamp for this request was 1000ms ahead of the server's time."}"#),
    })
    .await;
    let error = stubborn.client().place(&order(), true).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Refused(VenueRefusal::Clock));
    assert_eq!(stubborn.seen(ORDER).len(), 2);
}

/// Candles of one minute from 1,000 minutes after the epoch on, 2,500 of them and one that is still forming.
fn kline_page(seen: &Seen) -> Answer {
    let number = |name: &str| seen.param(name).and_then(|v| v.parse::<i64>().ok());
    let (first, last) = (1_000_i64, 3_500);
    let from = number("startTime").map_or(first, |t| (t + 59_999).div_euclid(60_000)).max(first);
    let until = number("endTime").map_or(last, |t| t / 60_000).min(last);
    let rows: Vec<String> = (from..=until)
        .filter(|m| *m != 1_500)
        .take(number("limit").unwrap_or(500) as usize)
        .map(|m| {
            let open = m * 60_000;
            format!(r#"[{open},"1.0","2.0","0.5","1.5","10",{},"15",7,"4","6","0"]"#, open + 59_999)
        })
        .collect();
    match seen.path.as_str() {
        // The venue's clock stands in the middle of the last candle.
        TIME => ok(format!(r#"{{"serverTime":{}}}"#, last * 60_000 + 30_000)),
        _ => ok(format!("[{}]", rows.join(","))),
    }
}

#[tokio::test]
async fn history_comes_in_pages_without_the_candle_that_still_forms() {
    let venue = TestVenue::start(|seen, _| kline_page(seen)).await;
    let client = venue.client();
    let minute = |m: i64| Timestamp::from_millis(m * 60_000);
    let mut told = Vec::new();
    let candles = client
        .klines_range(order().symbol, Interval::MINUTE, minute(900), minute(4_000), |done, total| told.push((done, total)))
        .await
        .unwrap();
    assert_eq!(candles.len(), 2_499);
    assert_eq!((candles[0].open_time, candles[2_498].open_time), (minute(1_000), minute(3_499)));
    assert!(candles.windows(2).all(|w| w[0].open_time < w[1].open_time));
    assert_eq!(told.last(), Some(&(2_600, 3_100)));
    let part = client.klines_range(order().symbol, Interval::MINUTE, minute(1_490), minute(1_510), |_, _| {}).await.unwrap();
    assert_eq!((part.len(), part[0].taker_buy_volume), (19, Some("4".parse().unwrap())));
}

#[tokio::test]
async fn the_account_is_read_with_its_fees_and_orders_of_others_are_counted() {
    let venue = TestVenue::start(|seen, _| match seen.path.as_str() {
        "/api/v3/account" => ok(r#"{"makerCommission":10,"commissionRates":{"maker":"0.00100000","taker":"0.00200000","buyer":"0","seller":"0"},
            "balances":[{"asset":"BTC","free":"4723846.89208129","locked":"0.00000001"},{"asset":"A name that is no asset","free":"1","locked":"0"}]}"#),
        "/api/v3/openOrders" => ok(format!("[{PLACED},{}]", PLACED.replace("h000000000000001f-2a", "web_1"))),
        _ => ok(r#"[{"symbol":"BTCUSDT","id":28457,"orderId":28,"price":"4.0","qty":"12.0","quoteQty":"48.0","commission":"10.1",
            "commissionAsset":"BNB","time":1499865549590,"isBuyer":false,"isMaker":true,"isBestMatch":true}]"#),
    })
    .await;
    let client = venue.client();
    let account = client.account().await.unwrap();
    assert_eq!(account.fees, Some(FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(20) }));
    assert_eq!((account.balances.len(), account.balances[0].locked.raw()), (1, 1));
    let open = client.open_orders(order().symbol).await.unwrap();
    assert_eq!((open.ours.len(), open.foreign), (1, 1));
    let trades = client.my_trades(order().symbol, TradesOf::Order(crate::domain::OrderId(28))).await.unwrap();
    assert_eq!((trades.len(), trades[0].fee_asset.as_str(), trades[0].side), (1, "BNB", Side::Sell));
}

#[tokio::test]
async fn a_cancel_is_repeated_until_it_is_answered() {
    let venue = TestVenue::start(|_, before| match before.len() {
        0 => fail(502, "<html>"),
        1 => fail(504, r#"{"code":-1007,"msg":"Timeout waiting for response from backend server."}"#),
        _ => ok(PLACED.replace("PARTIALLY_FILLED", "CANCELED")),
    })
    .await;
    let canceled = venue.client().cancel(order().id, order().symbol).await.unwrap();
    assert_eq!(canceled.status, crate::domain::OrderStatus::Canceled);
    assert_eq!(venue.seen(ORDER).iter().filter(|s| s.method == "DELETE").count(), 3);
}

#[tokio::test]
async fn the_order_limit_refuses_opening_orders_here_and_lets_cancels_pass() {
    let venue = TestVenue::start(|seen, _| match seen.method.as_str() {
        "POST" => fail(429, r#"{"code":-1015,"msg":"Too many new orders."}"#).retry_after(30),
        _ => ok(PLACED.replace("PARTIALLY_FILLED", "CANCELED")),
    })
    .await;
    let client = venue.client();
    assert_eq!(client.place(&order(), true).await.unwrap_err().fate(), Fate::Refused(VenueRefusal::RateLimit));
    assert!(matches!(client.place(&order(), true).await, Err(ClientError::Limited { .. })));
    client.cancel(order().id, order().symbol).await.unwrap();
    assert_eq!(venue.seen(ORDER).len(), 2);
}

#[tokio::test]
async fn a_firewall_page_is_reported_as_such() {
    let venue = TestVenue::start(|_, _| fail(403, "<html><body>Request blocked</body></html>")).await;
    let error = venue.client().trades(order().symbol, 10).await.unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("GET /api/v3/trades") && shown.contains("403") && shown.contains("<html>"), "{shown}");
}
