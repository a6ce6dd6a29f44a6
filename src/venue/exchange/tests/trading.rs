//! Orders, the account, the user data stream, restarts.

mod lists;

use super::*;
use crate::domain::Price;

/// A price far below the market, on BTC's grid.
async fn far_below(client: &Client) -> String {
    format!("{:.2}", (client.best("BTCUSDT").await.0 * 0.9).floor())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_found_and_cancelled() {
    let client = Client::synthetic(1).await;
    let price = far_below(&client).await;
    let order = format!("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price={price}&newClientOrderId=mine-1");
    let placed = client.signed("POST", "order", &order).await;
    assert_eq!(placed.status, 200, "{}", placed.json);
    assert_eq!(placed.json.as_object().unwrap().len(), 5, "an ACK is the default: {}", placed.json);
    assert_eq!(
        (&placed.headers["x-mbx-order-count-10s"], &placed.headers["x-mbx-order-count-1d"]),
        (&"1".parse().unwrap(), &"1".parse().unwrap())
    );
    assert_eq!(client.signed("POST", "order", &order).await.json["msg"], "Duplicate order sent.");

    let found = client.signed("GET", "order", "symbol=BTCUSDT&origClientOrderId=mine-1").await.json;
    assert_eq!((&found["status"], &found["type"], &found["orderId"]), (&json!("NEW"), &json!("LIMIT_MAKER"), &placed.json["orderId"]));
    assert_eq!(number(&found["price"]), price.parse::<f64>().unwrap());
    assert_eq!(client.signed("GET", "openOrders", "").await.json.as_array().unwrap().len(), 1);
    let account = client.signed("GET", "account", "omitZeroBalances=true").await.json;
    let locked = price.parse::<Price>().unwrap().notional("0.01".parse().unwrap()).unwrap();
    assert_eq!(account["balances"][0]["locked"], format!("{locked:.8}"));
    assert_eq!(account["commissionRates"]["maker"], "0.00100000");

    let cancelled = client.signed("DELETE", "order", "symbol=BTCUSDT&origClientOrderId=mine-1&newClientOrderId=undo").await.json;
    assert_eq!(
        (&cancelled["status"], &cancelled["clientOrderId"], &cancelled["origClientOrderId"]),
        (&json!("CANCELED"), &json!("undo"), &json!("mine-1"))
    );
    let again = client.signed("DELETE", "order", "symbol=BTCUSDT&origClientOrderId=mine-1").await;
    assert_eq!((again.code(), again.status), (-2011, 400));
    assert_eq!(client.signed("GET", "allOrders", "symbol=BTCUSDT").await.json[0]["status"], "CANCELED");
    assert_eq!(client.signed("GET", "order", "symbol=BTCUSDT&orderId=999").await.code(), -2013);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_read_from_query_and_form_for_every_method() {
    let client = Client::synthetic(2).await;
    let price = far_below(&client).await;
    let stamp = || format!("timestamp={}", now().millis());
    let query = format!("symbol=ETHUSDT&side=BUY&type=LIMIT&{}", stamp());
    let body = format!("timeInForce=GTC&quantity=0.1&price={}&newOrderRespType=RESULT", "1000");
    let signature = client.sign(&format!("{query}{body}"));
    let placed = client.raw("POST", "order", &query, Some(format!("{body}&signature={signature}"))).await;
    assert_eq!((placed.status, &placed.json["status"]), (200, &json!("NEW")), "{}", placed.json);
    assert!(placed.json.get("fills").is_none());
    let body = format!("symbol=ETHUSDT&orderId={}&{}", placed.json["orderId"], stamp());
    let signature = client.sign(&body);
    let cancelled = client.raw("DELETE", "order", "", Some(format!("{body}&signature={signature}"))).await;
    assert_eq!(cancelled.json["status"], "CANCELED", "{price} {}", cancelled.json);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_code() {
    let client = Client::synthetic(3).await;
    let (bid, ask) = client.best("BTCUSDT").await;
    let limit = |qty: &str, price: f64| format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity={qty}&price={price:.3}");
    for (order, code, text) in [
        (
            format!("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price={:.2}", ask + 10.0),
            -2010,
            "Order would immediately match and take.",
        ),
        (limit("0.01", bid.floor() - 100.0 + 0.005), -1013, "Filter failure: PRICE_FILTER"),
        (limit("0.0000150", bid.floor()), -1013, "Filter failure: LOT_SIZE"),
        (limit("0.00002", bid.floor() - 100.0), -1013, "Filter failure: NOTIONAL"),
        (limit("100", bid.floor() - 100.0), -2010, "Account has insufficient balance for requested action."),
        (limit("1e-3", bid), -1100, "Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."),
        (limit("0.123456789", bid), -1111, "Parameter 'quantity' has too much precision."),
        (limit("0.01", bid).replace("BTCUSDT", "XYZUSDT"), -1121, "Invalid symbol."),
    ] {
        let refused = client.signed("POST", "order", &order).await;
        assert_eq!((refused.status, refused.code(), refused.json["msg"].as_str().unwrap()), (400, code, text), "{order}");
        let tried = client.signed("POST", "order/test", &order).await;
        assert_eq!(tried.code(), code, "order/test checks as much: {order}");
    }
    assert_eq!(client.signed("GET", "allOrders", "symbol=BTCUSDT").await.json, json!([]));
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_key_and_signature_are_checked() {
    let client = Client::synthetic(4).await;
    let at = |ms: i64| format!("recvWindow=5000&timestamp={}", now().millis() + ms);
    let ask = async |query: String| client.raw("GET", "account", &format!("{query}&signature={}", client.sign(&query)), None).await;
    assert_eq!(ask(at(-3_000)).await.status, 200);
    let late = ask(at(-6_000)).await;
    assert_eq!((late.code(), late.json["msg"].as_str().unwrap()), (-1021, "Timestamp for this request is outside of the recvWindow."));
    let early = ask(at(3_000)).await;
    assert_eq!(
        (early.code(), early.json["msg"].as_str().unwrap()),
        (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    );
    let forged = client.raw("GET", "account", &format!("{}&signature=00ff", at(0)), None).await;
    assert_eq!((forged.status, forged.code()), (400, -1022));
    assert_eq!(client.raw("GET", "account", &at(0), None).await.code(), -1102);
    let url = format!("{}/api/v3/account?{}", client.running.rest, at(0));
    assert_eq!(client.http.get(&url).send().await.unwrap().status(), 401);
    let retired = client.http.post(format!("{}/api/v3/userDataStream", client.running.rest)).send().await.unwrap();
    assert_eq!(retired.status(), 410);
    assert_eq!(client.http.get(format!("{}/sapi/v1/x", client.running.rest)).send().await.unwrap().status(), 404);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_skew_moves_the_clock_that_signatures_meet() {
    let config = ServerConfig { skew: Span::from_millis(-4_000), ..ServerConfig::synthetic(5, origin(1)) };
    let client = Client::of(ExchangeServer::start(config).await.unwrap()).await;
    let server = client.get("time").await.json["serverTime"].as_i64().unwrap();
    let offset = server - now().millis();
    assert!((-4_500..=-3_500).contains(&offset), "{offset}");
    assert_eq!(client.signed("GET", "account", "").await.code(), -1021);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_stream_tells_new_then_trade_then_balances() {
    let client = Client::synthetic(6).await;
    let mut events = client.user_stream().await;
    let order = "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=1.5&newClientOrderId=buy-1";
    let placed = client.signed("POST", "order", order).await.json;
    assert_eq!(placed["status"], "FILLED", "{placed}");
    let fills = placed["fills"].as_array().unwrap();
    let mut told = Vec::new();
    loop {
        let message = hear(&mut events).await;
        assert_eq!(message["subscriptionId"], 0);
        let event = message["event"].clone();
        let last = event["e"] == "outboundAccountPosition";
        told.push(event);
        if last {
            break;
        }
    }
    let kinds: Vec<_> = told.iter().map(|e| e["x"].as_str().unwrap_or("position")).collect();
    assert_eq!((kinds[0], kinds[1], kinds.len()), ("NEW", "TRADE", fills.len() + 2), "{kinds:?}");
    let last_trade = &told[told.len() - 2];
    assert_eq!((&last_trade["X"], &last_trade["c"], &last_trade["m"]), (&json!("FILLED"), &json!("buy-1"), &json!(false)));
    assert_eq!((&last_trade["t"], &last_trade["N"]), (&fills[fills.len() - 1]["tradeId"], &json!("SOL")));
    for key in "e E s c S o f q p P F g C x X r i l z L n N T t I w m M O Z Y Q W V".split(' ') {
        assert!(last_trade.get(key).is_some(), "{key}");
    }
    assert_eq!(told.last().unwrap()["B"].as_array().unwrap().len(), 2);

    let price = format!("{:.2}", client.best("SOLUSDT").await.1 * 1.2);
    let resting = client
        .signed("POST", "order", &format!("symbol=SOLUSDT&side=SELL&type=LIMIT_MAKER&quantity=1&price={price}&newClientOrderId=sell-1"))
        .await;
    assert_eq!(resting.status, 200, "{}", resting.json);
    client.signed("DELETE", "order", "symbol=SOLUSDT&origClientOrderId=sell-1&newClientOrderId=undo-1").await;
    let cancelled = hear_until(&mut events, |m| m["event"]["x"] == "CANCELED").await["event"].clone();
    assert_eq!((&cancelled["c"], &cancelled["C"], &cancelled["X"]), (&json!("undo-1"), &json!("sell-1"), &json!("CANCELED")));
    let trades = client.signed("GET", "myTrades", "symbol=SOLUSDT").await.json;
    assert_eq!(trades.as_array().unwrap().len(), fills.len());
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_pass_through_the_websocket_api_with_numbers_as_written() {
    let client = Client::synthetic(7).await;
    let mut socket = connect_async(&client.running.ws_api).await.unwrap().0;
    let order = json!({"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 0.1, "price": 1000});
    let placed = client.call(&mut socket, "order.place", order).await;
    assert_eq!((&placed["status"], &placed["result"]["status"]), (&json!(200), &json!("NEW")), "{placed}");
    let limits: Vec<&serde_json::Value> = placed["rateLimits"].as_array().unwrap().iter().map(|limit| &limit["rateLimitType"]).collect();
    assert_eq!(limits, ["ORDERS", "ORDERS", "REQUEST_WEIGHT"], "a placement tells its order counts too");
    let id = placed["result"]["orderId"].to_string();
    let found = client.call(&mut socket, "order.status", json!({"symbol": "ETHUSDT", "orderId": id, "returnRateLimits": false})).await;
    assert_eq!((&found["result"]["status"], found.get("rateLimits")), (&json!("NEW"), None), "{found}");
    let cancelled = client.call(&mut socket, "order.cancel", json!({"symbol": "ETHUSDT", "orderId": id})).await;
    assert_eq!(cancelled["result"]["status"], "CANCELED", "{cancelled}");
    assert_eq!(client.call(&mut socket, "account.status", json!({})).await["result"]["canTrade"], true);
    assert_eq!(client.call(&mut socket, "order.dance", json!({})).await["status"], 400);
    for id in [json!(7), json!("seven"), json!(null)] {
        say(&mut socket, &json!({"id": id, "method": "ping"})).await;
        assert_eq!(hear(&mut socket).await["id"], id);
    }
    client.call(&mut socket, "userDataStream.subscribe.signature", json!({})).await;
    let twice = client.call(&mut socket, "userDataStream.subscribe.signature", json!({})).await;
    assert_eq!(twice["error"]["code"], -2035);
    assert_eq!(client.call(&mut socket, "userDataStream.unsubscribe", json!({"subscriptionId": 0})).await["status"], 200);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_orders_balances_and_trades() {
    let folder = tempfile::tempdir().unwrap();
    let start = || async {
        let state = StatePersistence::File(folder.path().join("exchange.state"));
        Client::of(ExchangeServer::start(ServerConfig { state, ..ServerConfig::synthetic(8, origin(2)) }).await.unwrap()).await
    };
    let client = start().await;
    let bought = client.signed("POST", "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=500").await;
    assert_eq!(bought.json["status"], "FILLED", "{}", bought.json);
    let price = far_below(&client).await;
    client.signed("POST", "order", &format!("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price={price}")).await;
    let ask = async |client: &Client| {
        let balances = client.signed("GET", "account", "").await.json["balances"].clone();
        let mut answers = vec![balances];
        for path in ["allOrders", "openOrders", "myTrades"] {
            answers.push(client.signed("GET", path, "symbol=BTCUSDT").await.json);
        }
        answers
    };
    let before = ask(&client).await;
    assert!(before.iter().all(|answer| !answer.as_array().unwrap().is_empty()), "{before:?}");
    let key = client.running.api_key.clone();
    client.running.stop().await;

    let client = start().await;
    assert_eq!((ask(&client).await, &client.running.api_key), (before, &key));
    let next = client.signed("POST", "order", &format!("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price={price}")).await;
    assert!(next.json["orderId"].as_u64() > bought.json["orderId"].as_u64());
    client.running.stop().await;

    let state = StatePersistence::File(folder.path().join("exchange.state"));
    let other = ExchangeServer::start(ServerConfig { state, ..ServerConfig::synthetic(9, origin(2)) }).await;
    assert!(matches!(other, Err(ExchangeError::OtherSeed { stored: 8, wanted: 9 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_was_saved_before_and_a_failed_save_is_an_unknown_outcome() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    let (saved, broken) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (keep, fail) = (Arc::clone(&saved), Arc::clone(&broken));
    let save: SaveState = Arc::new(move |bytes: &[u8]| {
        if fail.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("disk full"));
        }
        *keep.lock().unwrap() = bytes.to_vec();
        Ok(())
    });
    let state = StatePersistence::Hook { initial: None, save };
    let client = Client::of(ExchangeServer::start(ServerConfig { state, ..ServerConfig::synthetic(10, origin(1)) }).await.unwrap()).await;
    let order = "symbol=ETHUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.1&price=1000&newClientOrderId=kept";
    assert_eq!(client.signed("POST", "order", order).await.status, 200);
    let stored = super::super::state::Stored::decode(&saved.lock().unwrap()).unwrap();
    assert_eq!(stored.exchange.open_orders(super::super::hall::ACCOUNT, None)[0].client_id.as_ref(), "kept");
    broken.store(true, Ordering::SeqCst);
    let unknown = client.signed("POST", "order", &order.replace("kept", "lost")).await;
    assert_eq!((unknown.status, unknown.code()), (503, -1007));
    broken.store(false, Ordering::SeqCst);
    let found = client.signed("GET", "order", "symbol=ETHUSDT&origClientOrderId=lost").await;
    assert_eq!(found.json["status"], "NEW", "it was live all the time");
    client.running.stop().await;
}
