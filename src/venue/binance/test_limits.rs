//! Limits, bans, retries and bad input, against a venue that misbehaves.

use std::time::Duration;

use super::desk::Desk;
use super::outbox::Outbox;
use super::test_venue::{Answer, KEY, SECRET, Seen, TestVenue, fail, ok};
use super::tests::{ORDER, PLACED, TIME, order};
use super::*;
use crate::domain::{Bps, FeeRates, OrderKind, OrderStatus, Timestamp, TradeId};
use crate::protocol::{Event, FailureKind, VenueEvent, VenueRefusal};

const FEES: FeeRates = FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) };
const BANNED: &str =
    r#"{"code":-1003,"msg":"Way too much request weight used; IP banned until 1. Please use WebSocket Streams for live updates."}"#;

#[tokio::test]
async fn placements_are_refused_and_not_queued_during_a_ban() {
    let venue = TestVenue::start(|_, _| fail(418, BANNED).retry_after(60)).await;
    let client = venue.client();
    let first = client.place(&order(), false).await.unwrap_err();
    assert_eq!(first.fate(), Fate::Refused(VenueRefusal::RateLimit));
    for opening in [true, false] {
        // An exit too: held back for a minute it would arrive after its maker had given it up and sent another.
        let error = client.place(&order(), opening).await.unwrap_err();
        assert!(matches!(error, ClientError::Limited { wait, .. } if wait > Duration::from_secs(50)), "{error}");
        assert_eq!(error.fate(), Fate::Refused(VenueRefusal::RateLimit));
    }
    assert_eq!(venue.seen(ORDER).len(), 1);
    let left = client.bans().borrow().unwrap().since(client.venue_now()).millis();
    assert!((55_000..=60_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_ban_of_an_earlier_start_still_holds() {
    let venue = TestVenue::start(|_, _| ok(PLACED)).await;
    let until = monotonic_clock()() + crate::domain::Span::from_secs(30);
    let client =
        RestClient::remembering(venue.endpoint.clone(), Some(Credentials::new(KEY, SECRET)), monotonic_clock(), Some(until)).unwrap();
    assert!(matches!(client.place(&order(), true).await, Err(ClientError::Limited { .. })));
    let kept = client.bans().borrow().unwrap();
    assert!(venue.seen(ORDER).is_empty() && kept.since(until).abs() < crate::domain::Span::from_millis(500), "{kept} {until}");
}

#[tokio::test]
async fn the_end_of_a_ban_is_read_from_its_text_when_no_header_tells_it() {
    let until = monotonic_clock()().millis() + 90_000;
    let venue = TestVenue::start(move |_, _| fail(418, BANNED.replace("until 1.", &format!("until {until}.")))).await;
    let client = venue.client();
    client.place(&order(), true).await.unwrap_err();
    let told = client.bans().borrow().unwrap().millis();
    assert!((told - until).abs() < 2_000, "{told} {until}");
}

#[tokio::test]
async fn an_opening_order_whose_moment_has_passed_is_not_sent_again() {
    let venue = TestVenue::start(|seen, before| match seen.path.as_str() {
        TIME if before.iter().any(|s| s.path == TIME) => ok(format!(r#"{{"serverTime":{}}}"#, monotonic_clock()().millis())),
        TIME => ok(format!(r#"{{"serverTime":{}}}"#, monotonic_clock()().millis())).after(Duration::from_millis(3_100)),
        _ => fail(400, r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#),
    })
    .await;
    let error = venue.client().place(&order(), true).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Refused(VenueRefusal::Clock));
    assert_eq!(venue.seen(ORDER).len(), 1, "measuring took longer than an order may take");
}

#[tokio::test]
async fn a_cancel_whose_time_is_refused_does_not_wait_behind_reads_for_a_new_one() {
    let cancelled = PLACED.replace("PARTIALLY_FILLED", "CANCELED");
    let late = r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
    let venue = TestVenue::start(move |seen, before| {
        let told = match seen.path.as_str() {
            TIME => ok(format!(r#"{{"serverTime":{}}}"#, monotonic_clock()().millis())),
            _ if before.iter().any(|s| s.method == "DELETE") => ok(cancelled.clone()),
            _ => fail(400, late),
        };
        // Reads have used their share of the minute.
        told.header("x-mbx-used-weight-1m", 4_900)
    })
    .await;
    let client = venue.client();
    client.sample_clock().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), client.cancel(order().id, order().symbol)).await;
    assert_eq!(ended.expect("a read's turn comes with the next minute").unwrap().status, OrderStatus::Canceled);
    assert_eq!(venue.seen(ORDER).len(), 2);
}

#[tokio::test]
async fn a_refused_key_during_a_ban_is_not_a_revoked_key() {
    let venue = TestVenue::start(|_, before| match before.len() {
        0 => fail(429, BANNED).retry_after(0),
        _ => fail(401, r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#),
    })
    .await;
    let client = venue.client();
    client.place(&order(), true).await.unwrap_err();
    let error = client.account().await.unwrap_err();
    assert!(matches!(error, ClientError::RefusedDuringBan { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::RateLimit);
    let without_ban = TestVenue::start(|_, _| fail(401, r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#)).await;
    assert_eq!(without_ban.client().account().await.unwrap_err().kind(), FailureKind::Credentials);
}

/// Ten orders in a day, as the venue states it; each placement's answer counts eight.
fn counting(seen: &Seen) -> Answer {
    match seen.path.as_str() {
        "/api/v3/exchangeInfo" => ok(r#"{"rateLimits":[{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":10},
            {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}],
            "symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
            {"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"100000","tickSize":"0.01"},
            {"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000","stepSize":"0.00001"}]}]}"#),
        "/api/v3/rateLimit/order" => ok(r#"[{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":10,"count":10}]"#),
        "/api/v3/avgPrice" => ok(r#"{"mins":5,"price":"60000","closeTime":1694061154503}"#),
        _ if seen.method == "DELETE" => ok(PLACED.replace("PARTIALLY_FILLED", "CANCELED")),
        _ => ok(PLACED).header("x-mbx-order-count-1d", 8),
    }
}

#[tokio::test]
async fn the_order_count_is_respected_before_sending() {
    let venue = TestVenue::start(|seen, _| counting(seen)).await;
    let client = venue.client();
    client.exchange_info(&[order().symbol], FEES).await.unwrap();
    client.place(&order(), true).await.unwrap();
    // Nine of ten are for opening orders.
    client.place(&order(), true).await.unwrap();
    client.order_limits().await.unwrap();
    for opening in [true, false] {
        assert!(matches!(client.place(&order(), opening).await, Err(ClientError::Limited { .. })));
    }
    client.cancel(order().id, order().symbol).await.unwrap();
    assert_eq!(venue.seen(ORDER).iter().filter(|s| s.method == "POST").count(), 2);
}

#[tokio::test]
async fn an_opening_order_that_breaks_a_rule_is_refused_here_and_an_exit_is_left_to_the_venue() {
    let venue = TestVenue::start(|seen, _| counting(seen)).await;
    let client = venue.client();
    client.exchange_info(&[order().symbol], FEES).await.unwrap();
    assert!(client.market_rules(order().symbol).unwrap().filters.len() == 2);
    let dear = crate::domain::NewOrder { kind: OrderKind::LimitMaker { price: "200000".parse().unwrap() }, ..order() };
    let error = client.place(&dear, true).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Refused(VenueRefusal::Filter));
    assert!(outbox::described(&error).contains("PRICE_FILTER: price 200000 is above 100000"), "{}", outbox::described(&error));
    assert_eq!(venue.seen(ORDER).len(), 0);
    client.place(&dear, false).await.unwrap();
    assert_eq!(client.average_price(order().symbol).await.unwrap().price.to_string(), "60000");
}

#[tokio::test]
async fn a_question_that_waits_is_not_joined_by_others_about_the_same_order() {
    let filled = r#"{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"h000000000000001f-2a","origQty":"0.5","executedQty":"0","status":"NEW",
        "side":"BUY","updateTime":5}"#;
    let venue = TestVenue::start(move |_, before| match before.len() {
        0 => fail(429, BANNED).retry_after(1),
        _ => ok(filled),
    })
    .await;
    let rest = venue.client();
    let (events, mut told) = tokio::sync::mpsc::channel(64);
    let account = account::Account::new(rest.clone(), Desk::Rest(rest), Outbox(events), vec![order().symbol], &[], &[]);
    let ask = || account.query(order().id, order().symbol);
    tokio::join!(ask(), ask(), ask(), ask());
    assert_eq!(venue.seen(ORDER).len(), 2, "one question, asked again after the ban");
    assert!(matches!(told.try_recv(), Ok(Event::Venue(VenueEvent::Order(o))) if o.status == OrderStatus::Open));
    assert!(told.try_recv().is_err());
    ask().await;
    assert_eq!(venue.seen(ORDER).len(), 3);
}

#[tokio::test]
async fn an_unknown_placement_is_asked_about_and_never_sent_again() {
    let venue = TestVenue::start(|seen, _| match seen.method.as_str() {
        "POST" => fail(503, r#"{"code":-1000,"msg":"Unknown error, please check your request or try again later."}"#),
        _ => fail(400, r#"{"code":-2013,"msg":"Order does not exist."}"#),
    })
    .await;
    let rest = venue.client();
    let (events, mut told) = tokio::sync::mpsc::channel(64);
    let account = account::Account::new(rest.clone(), Desk::Rest(rest), Outbox(events), vec![order().symbol], &[], &[]);
    account.place(order(), true).await;
    for _ in 0..3 {
        account.query(order().id, order().symbol).await;
    }
    let mut heard = Vec::new();
    while let Ok(Event::Venue(event)) = told.try_recv() {
        heard.push(event);
    }
    let missing = heard.iter().filter(|e| matches!(e, VenueEvent::Missing { .. })).count();
    assert!(heard.iter().any(|e| matches!(e, VenueEvent::Unknown { .. })) && missing == 3, "{heard:?}");
    assert!(!heard.iter().any(|e| matches!(e, VenueEvent::Refused { .. })), "only the engine decides when silence is proof");
    let seen = venue.seen(ORDER);
    assert_eq!(seen.iter().filter(|s| s.method == "POST").count(), 1);
    assert!(seen.iter().filter(|s| s.method == "GET").all(|s| s.param("origClientOrderId") == Some("h000000000000001f-2a")));
}

/// What a broken venue may say to anything, and how often a read is asked then.
fn bad_answers() -> Vec<(u16, String, usize)> {
    let long = "x".repeat(100_000);
    vec![
        (403, "<html><body>Request blocked.</body></html>".to_owned(), 1),
        (200, String::new(), 4),
        (200, r#"{"lastUpdateId":1,"bids":[["1"#.to_owned(), 4),
        (200, "null".to_owned(), 1),
        (200, "[]".to_owned(), 1),
        (200, r#"{"something":"else"}"#.to_owned(), 1),
        (200, format!("\"{long}\""), 1),
        (200, r#"{"lastUpdateId":1,"bids":[["much","1"]],"asks":[]}"#.to_owned(), 1),
        (400, long.clone(), 1),
        (400, format!(r#"{{"code":-1102,"msg":"{long}"}}"#), 1),
        (400, r#"{"code":"text","msg":7}"#.to_owned(), 1),
        (400, r#"{"code":-1022,"msg":"Signature for this request is not valid."}"#.to_owned(), 1),
        (400, r#"{"code":-1100,"msg":"Illegal characters found in parameter 'price'."}"#.to_owned(), 1),
        (400, r#"{"code":-99999,"msg":"An error of the future."}"#.to_owned(), 1),
        (404, "<html>".to_owned(), 1),
        (410, r#"{"code":-1,"msg":"Gone"}"#.to_owned(), 1),
        (302, String::new(), 1),
        (502, "<html>Bad Gateway</html>".to_owned(), 4),
        (503, r#"{"code":-1008,"msg":"Server is currently overloaded with other requests."}"#.to_owned(), 4),
    ]
}

#[tokio::test]
async fn bad_answers_are_typed_errors_that_show_where_and_what_and_cause_no_storm() {
    for (status, body, asked) in bad_answers() {
        let sent = body.clone();
        let venue = TestVenue::start(move |_, _| fail(status, sent.clone()).header("content-type", "text/odd")).await;
        let error = venue.client().depth(order().symbol, 5).await.unwrap_err();
        let shown = format!("{status} '{}': {error}", body.chars().take(40).collect::<String>());
        assert_eq!(venue.seen("/api/v3/depth").len(), asked, "{shown}");
        assert!(error.to_string().starts_with("GET /api/v3/depth: ") && error.to_string().len() < 600, "{shown}");
        if let ClientError::Body { status: told, content_type, bytes, starts, .. } = &error {
            assert_eq!((*told, content_type.as_str(), *bytes), (status, "text/odd", body.len()), "{shown}");
            assert!(body.starts_with(starts.as_str()) && starts.len() <= 120, "{shown}");
        }
        // The same as an answer to an order: sent once, and lost only when the venue said so.
        let sent = body.clone();
        let venue = TestVenue::start(move |_, _| fail(status, sent.clone())).await;
        let error = venue.client().place(&order(), true).await.unwrap_err();
        assert_eq!(venue.seen(ORDER).len(), 1, "{shown}");
        let proven = matches!(&error, ClientError::Venue { status: 400..500, .. }) || status == 403;
        assert_eq!(error.fate() != Fate::Unknown, proven, "{shown}");
    }
}

#[tokio::test]
async fn numbers_statuses_and_names_of_any_kind_are_taken() {
    let venue = TestVenue::start(|seen, _| match seen.path.as_str() {
        "/api/v3/depth" => ok(r#"{"lastUpdateId":1,"bids":[["1e-05","2.5E3","ignored"]],"asks":[[0.5,"1"]],"new":{}}"#),
        ORDER => ok(PLACED
            .replace("PARTIALLY_FILLED", "ON_HOLIDAY")
            .replace("BTCUSDT", "币安人生USDT")
            .replace("\"0.2\",\"status", "2e-1,\"status")),
        "/api/v3/openOrders" => ok(format!("[{}]", PLACED.replace("BTCUSDT", "币安人生USDT"))),
        _ => ok(r#"[{"symbol":"币安人生USDT","price":"1e-7"},{"symbol":"A B","price":"1"},{"symbol":"BTCUSDT","price":null}]"#),
    })
    .await;
    let (client, symbol) = (venue.client(), "币安人生USDT".parse().unwrap());
    let book = client.depth(symbol, 5).await.unwrap();
    assert_eq!((book.bids[0].price.to_string(), book.bids[0].qty.to_string()), ("0.00001".to_owned(), "2500".to_owned()));
    assert_eq!(book.asks[0].price.to_string(), "0.5");
    assert_eq!(venue.seen("/api/v3/depth")[0].param("symbol"), Some("%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"));
    let placed = client.place(&crate::domain::NewOrder { symbol, ..order() }, true).await.unwrap();
    assert_eq!((placed.order.status, placed.order.filled.to_string().as_str()), (OrderStatus::PartiallyFilled, "0.2"));
    assert_eq!(client.open_orders(symbol).await.unwrap().ours[0].symbol, symbol);
    let prices = client.last_prices(&[]).await.unwrap();
    assert_eq!((prices.len(), prices[0].1.to_string().as_str()), (1, "0.0000001"));
}

#[tokio::test]
async fn a_clock_ten_seconds_off_is_found_and_requests_are_never_dated_ahead() {
    let server_now = || monotonic_clock()().millis() - 10_000;
    let venue = TestVenue::start(move |seen, _| match seen.path.as_str() {
        TIME => ok(format!(r#"{{"serverTime":{}}}"#, server_now())),
        _ => match seen.param("timestamp").and_then(|t| t.parse::<i64>().ok()) {
            Some(sent) if sent > server_now() => {
                fail(400, r#"{"code":-1021,"msg":"Timestamp for this request was 1000ms ahead of the server's time."}"#)
            }
            _ => ok(PLACED),
        },
    })
    .await;
    let client = venue.client();
    for _ in 0..20 {
        client.place(&order(), true).await.unwrap();
    }
    assert_eq!(venue.seen(ORDER).len(), 21, "one refusal, then never again");
    let offset = client.sample_clock().await.unwrap().offset.millis();
    assert!((offset - 10_000).abs() < 1_000, "{offset}");
    assert!(Timestamp::from_millis(server_now()).since(client.venue_now()).millis().abs() < 1_000);
}

#[tokio::test]
async fn what_traded_after_an_earlier_run_fell_silent_is_told_by_whose_order_it_is() {
    let row = |id: u64, order: u64| {
        format!(
            r#"{{"symbol":"BTCUSDT","id":{id},"orderId":{order},"price":"100","qty":"1","commission":"0","commissionAsset":"USDT","time":5,
            "isBuyer":false,"isMaker":false}}"#
        )
    };
    let order = |id: u64, client: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","orderId":{id},"orderListId":-1,"clientOrderId":"{client}","price":"0","origQty":"1","executedQty":"1",
            "status":"FILLED","side":"SELL","time":5,"updateTime":5}}"#
        )
    };
    let trades = format!("[{},{}]", row(71, 28), row(72, 99));
    let orders = format!("[{},{}]", order(28, "h000000000000001f-2a"), order(99, "web_1"));
    let venue = TestVenue::start(move |seen, _| match seen.path.as_str() {
        "/api/v3/openOrders" => ok("[]"),
        "/api/v3/account" => ok(r#"{"balances":[]}"#),
        "/api/v3/myTrades" => ok(trades.clone()),
        "/api/v3/allOrders" => ok(orders.clone()),
        _ => fail(404, "unexpected"),
    })
    .await;
    let rest = venue.client();
    let (events, mut told) = tokio::sync::mpsc::channel(64);
    let symbol = super::tests::order().symbol;
    let account = account::Account::new(rest.clone(), Desk::Rest(rest), Outbox(events), vec![symbol], &[], &[(symbol, TradeId(70))]);
    account.user_stream_up();
    tokio::select! {
        () = account.keep_reconciled() => {}
        () = account.reconciled_once() => {}
    }
    let mut fills = Vec::new();
    while let Ok(Event::Venue(event)) = told.try_recv() {
        if let VenueEvent::Fill(fill) = event {
            fills.push((fill.trade_id.0, fill.id.to_string()));
        }
    }
    assert_eq!(fills, [(71, "h000000000000001f-2a".to_owned())], "72 is another program's");
    assert_eq!(venue.seen("/api/v3/myTrades")[0].param("fromId"), Some("71"));
    assert_eq!(venue.seen("/api/v3/allOrders").len(), 1);
}
