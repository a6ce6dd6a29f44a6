//! Keys, sessions, limits, time units, tickers, stream names: what the doors do beside trading.

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;

const ED25519_PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
const ED25519_PUBLIC: &str =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGUIKv9dSpWXBViXp2m6vAIb8QMFJYBgyFEQsFJlqgA0=\n-----END PUBLIC KEY-----\n";

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn ed25519() -> Ed25519KeyPair {
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, ED25519_PRIVATE).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap();
    assert_eq!(pair.public_key().as_ref().len(), 32);
    pair
}

/// A WebSocket API call signed with the Ed25519 key.
async fn call_with_ed25519(socket: &mut Socket, api_key: &str, method: &str) -> Value {
    let timestamp = now().millis();
    let signature = base64(ed25519().sign(format!("apiKey={api_key}&timestamp={timestamp}").as_bytes()).as_ref());
    let params = json!({"apiKey": api_key, "timestamp": timestamp, "signature": signature});
    say(socket, &json!({"id": 1, "method": method, "params": params})).await;
    hear_until(socket, |m| m["id"] == 1).await
}

async fn ask(socket: &mut Socket, method: &str, params: Value) -> Value {
    say(socket, &json!({"id": "q", "method": method, "params": params})).await;
    hear_until(socket, |m| m["id"] == "q").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ed25519_key_trades_and_logs_on() {
    let doors = DoorRules { public_keys: vec![PublicKey::from_pem(ED25519_PUBLIC).unwrap()], ..DoorRules::default() };
    let client = Client::with(doors, 60).await;
    let key = client.running.public_api_keys[0].clone();
    let query = format!("timestamp={}", now().millis());
    let signature = base64(ed25519().sign(query.as_bytes()).as_ref()).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let url = format!("{}/api/v3/account?{query}&signature={signature}", client.running.rest);
    assert_eq!(client.http.get(url).header("X-MBX-APIKEY", &key).send().await.unwrap().status(), 200);

    let mut socket = connect_async(&client.running.ws_api).await.unwrap().0;
    assert_eq!(ask(&mut socket, "session.status", json!({})).await["result"]["apiKey"], Value::Null);
    assert_eq!(ask(&mut socket, "userDataStream.subscribe", json!({})).await["status"], 401, "nobody is logged on");
    assert_eq!(client.call(&mut socket, "session.logon", json!({})).await["error"]["code"], -2015, "not with an HMAC key");
    let logged_on = call_with_ed25519(&mut socket, &key, "session.logon").await;
    assert_eq!((&logged_on["status"], &logged_on["result"]["apiKey"]), (&json!(200), &json!(key)), "{logged_on}");

    let unsigned = ask(&mut socket, "account.status", json!({"timestamp": now().millis()})).await;
    assert_eq!(unsigned["result"]["canTrade"], true, "{unsigned}");
    assert_eq!(ask(&mut socket, "account.status", json!({})).await["error"]["code"], -1102, "a timestamp all the same");
    assert_eq!(ask(&mut socket, "userDataStream.subscribe", json!({})).await["result"]["subscriptionId"], 0);
    assert_eq!(ask(&mut socket, "session.subscriptions", json!({})).await["result"], json!([{"subscriptionId": 0}]));
    let order =
        json!({"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.1", "price": "1000", "timestamp": now().millis()});
    say(&mut socket, &json!({"id": 9, "method": "order.place", "params": order})).await;
    let (mut answered, mut reported) = (false, false);
    while !(answered && reported) {
        let message = hear(&mut socket).await;
        answered |= message["id"] == 9 && message["status"] == 200;
        reported |= message["event"]["x"] == "NEW";
    }
    assert_eq!(ask(&mut socket, "session.logout", json!({})).await["result"]["apiKey"], Value::Null);
    assert_eq!(ask(&mut socket, "session.subscriptions", json!({})).await["result"], json!([]), "it ended with the logon");
    assert_eq!(ask(&mut socket, "account.status", json!({"timestamp": now().millis()})).await["error"]["code"], -1102);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_come_in_the_unit_that_is_asked() {
    let client = Client::synthetic(61).await;
    let ask = async |unit: &'static str, path: &'static str| {
        let url = format!("{}/api/v3/{path}", client.running.rest);
        client.send(client.http.get(url).header("X-MBX-TIME-UNIT", unit)).await
    };
    assert!(ask("MICROSECOND", "time").await.json["serverTime"].as_i64().unwrap() > 1_000_000_000_000_000);
    assert!(ask("millisecond", "time").await.json["serverTime"].as_i64().unwrap() < 10_000_000_000_000);
    let bad = ask("second", "time").await;
    assert_eq!((bad.status, bad.code()), (400, -1194));
    let row = ask("microsecond", "klines?symbol=BTCUSDT&interval=1m&limit=1").await.json[0].clone();
    assert_eq!(row[6].as_i64().unwrap() - row[0].as_i64().unwrap(), 59_999_999);
    let mut socket = client.socket("/stream?streams=btcusdt@trade&timeUnit=MICROSECOND").await;
    assert!(hear(&mut socket).await["data"]["T"].as_i64().unwrap() > 1_000_000_000_000_000);
    let mut api = connect_async(format!("{}?timeUnit=microsecond&returnRateLimits=false", client.running.ws_api)).await.unwrap().0;
    let answer = client.call(&mut api, "v3/time", json!({})).await;
    assert!(answer["result"]["serverTime"].as_i64().unwrap() > 1_000_000_000_000_000 && answer.get("rateLimits").is_none());
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_stop_at_429_is_banned_everywhere() {
    let client = Client::with(DoorRules { first_ban: Span::from_millis(300), ..DoorRules::default() }, 62).await;
    let mut api = connect_async(&client.running.ws_api).await.unwrap().0;
    let banned = loop {
        let answer = client.get("depth?symbol=BTCUSDT&limit=5000").await;
        if answer.status == 418 {
            break answer;
        }
    };
    assert_eq!((banned.code(), &banned.headers["retry-after"]), (-1003, &"1".parse().unwrap()));
    assert_eq!(client.call(&mut api, "ping", json!({})).await["status"], 418);
    tokio::time::sleep(Duration::from_millis(320)).await;
    assert_ne!(client.get("ping").await.status, 418, "the ban is over, the minute is not");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_exchange_refuses_what_it_does_not_read() {
    let client = Client::with(DoorRules { strict: true, ..DoorRules::default() }, 63).await;
    let refused = client.get("klines?symbol=BTCUSDT&interval=1m&colour=red").await;
    assert_eq!((refused.status, refused.code()), (400, -1104));
    assert_eq!(client.signed("GET", "openOrders", "symbol=BTCUSDT").await.status, 200);
    let mut api = connect_async(&client.running.ws_api).await.unwrap().0;
    let stray = json!({"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": 0.1, "price": 1000, "postOnly": true, "returnRateLimits": false});
    let refused = client.call(&mut api, "order.place", stray).await;
    assert_eq!(refused["error"]["msg"], "Not all sent parameters were read; read '9' parameter(s) but was sent '10'.");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn market_questions_are_the_same_over_both_doors() {
    let client = Client::synthetic(64).await;
    let mut api = connect_async(&client.running.ws_api).await.unwrap().0;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let start = origin(1).floor_to(crate::domain::Interval::MINUTE).millis();
    for (method, path, params) in [
        ("klines", "klines", json!({"symbol": "BTCUSDT", "interval": "1h", "startTime": start, "limit": 3})),
        ("uiKlines", "uiKlines", json!({"symbol": "BTCUSDT", "interval": "1d", "timeZone": "8", "startTime": 0, "limit": 1})),
        ("ticker.24hr", "ticker/24hr", json!({"symbol": "BTCUSDT", "type": "MINI"})),
        ("ticker.tradingDay", "ticker/tradingDay", json!({"symbol": "ETHUSDT"})),
        ("ticker", "ticker", json!({"symbol": "ETHUSDT", "windowSize": "4h"})),
        ("ticker.price", "ticker/price", json!({"symbol": "BTCUSDT"})),
        ("ticker.book", "ticker/bookTicker", json!({"symbol": "BTCUSDT"})),
        ("avgPrice", "avgPrice", json!({"symbol": "BTCUSDT"})),
        ("depth", "depth", json!({"symbol": "BTCUSDT", "limit": 5})),
        ("trades.recent", "trades", json!({"symbol": "BTCUSDT", "limit": 2})),
        ("trades.historical", "historicalTrades", json!({"symbol": "BTCUSDT", "limit": 2})),
        ("trades.aggregate", "aggTrades", json!({"symbol": "BTCUSDT", "limit": 2})),
    ] {
        let query: Vec<String> = params
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| format!("{k}={}", v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
            .collect();
        let rest = client.get(&format!("{path}?{}", query.join("&"))).await;
        let told = ask(&mut api, method, params).await;
        assert_eq!((rest.status, &told["status"]), (200, &json!(200)), "{method}: {} {told}", rest.json);
        let shape = |value: &Value| match value {
            Value::Object(fields) => fields.keys().cloned().collect::<Vec<_>>(),
            Value::Array(rows) => vec![rows.len().to_string()],
            _ => vec![value.to_string()],
        };
        assert_eq!(shape(&rest.json), shape(&told["result"]), "{method}");
    }
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_zones_and_windows_sum_what_happened() {
    let client = Client::synthetic(65).await;
    let rows = async |query: &str| client.get(&format!("klines?symbol=BTCUSDT&{query}")).await.json.as_array().unwrap().clone();
    let days = rows("interval=1d").await;
    let week = rows("interval=1w").await;
    let volume = |rows: &[Value]| rows.iter().map(|row| number(&row[5])).sum::<f64>();
    assert!((volume(&days) - volume(&week)).abs() / volume(&days) < 0.01 && week.len() <= 2, "{days:?} {week:?}");
    assert_eq!((week[0][0].as_i64().unwrap() / 86_400_000 + 3) % 7, 0, "a Monday");
    let shifted = rows("interval=1d&timeZone=-05:30").await;
    assert_eq!(shifted[0][0].as_i64().unwrap().rem_euclid(86_400_000), 5 * 3_600_000 + 1_800_000);
    let month = rows("interval=1M").await;
    assert!(!month.is_empty() && month.len() <= 2);
    assert_eq!(client.get("klines?symbol=BTCUSDT&interval=1m&timeZone=15").await.code(), -1130);
    assert_eq!(rows("interval=1m&startTime=9999999999999999").await.len(), 0, "clamped, not refused");

    let whole = client.get("ticker?symbol=BTCUSDT&windowSize=1h").await.json;
    let minutes = rows("interval=1m&limit=61").await;
    assert!((number(&whole["volume"]) - volume(&minutes)).abs() / volume(&minutes) < 0.05, "{whole} {}", volume(&minutes));
    assert_eq!(whole["closeTime"].as_i64().unwrap() / 60_000 - whole["openTime"].as_i64().unwrap() / 60_000, 60);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_symbols_and_their_refusals() {
    let client = Client::synthetic(66).await;
    let code = async |path: &str| client.get(path).await.code();
    assert_eq!(client.get("ticker/price?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D").await.json.as_array().unwrap().len(), 2);
    assert_eq!(client.get("ticker/24hr?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D&type=MINI").await.json.as_array().unwrap().len(), 2);
    assert_eq!(client.get("ticker/24hr").await.json.as_array().unwrap().len(), 3);
    assert_eq!(code("ticker/price?symbols=[BTCUSDT]").await, -1100);
    assert_eq!(code("ticker/price?symbols=%5B%22BTCUSDT%22%2C%22BTCUSDT%22%5D").await, -1151);
    assert_eq!(code("ticker/price?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D").await, -1128);
    assert_eq!(code("ticker/price?symbol=btcusdt").await, -1100);
    assert_eq!(code("ticker").await, -1102);
    assert_eq!(code("ticker?symbol=BTCUSDT&windowSize=8d").await, -1130);
    assert_eq!(code("ticker/24hr?symbol=BTCUSDT&type=HALF").await, -1130);
    assert_eq!(code("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1").await, -1128);
    assert_eq!(client.get("nothing").await.status, 404);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(client.raw(method, "userDataStream", "", None).await.status, 410);
    }
    for (path, found) in [
        ("/sapi/v1/system/status", json!({"status": 0, "msg": "normal"})),
        ("/sapi/v1/capital/config/getall", json!([])),
        ("/sapi/v1/margin/isolated/allPairs", json!([])),
    ] {
        assert_eq!(client.send(client.http.get(format!("{}{path}", client.running.rest))).await.json, found, "{path}");
    }
    let fees = client.send(client.http.get(format!("{}/sapi/v1/asset/tradeFee", client.running.rest))).await.json;
    assert_eq!((&fees[0]["makerCommission"], fees.as_array().unwrap().len()), (&json!("0.00100000"), 3));
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickers_and_averages_stream_every_second() {
    let client = Client::synthetic(67).await;
    let streams =
        "btcusdt@ticker/btcusdt@miniTicker/btcusdt@ticker_1h/btcusdt@avgPrice/!miniTicker@arr/!ticker_4h@arr/btcusdt@kline_1d@+08:00";
    let mut socket = client.socket(&format!("/stream?streams={streams}")).await;
    let mut wanted: std::collections::BTreeMap<&str, &str> = [
        ("btcusdt@ticker", "24hrTicker"),
        ("btcusdt@miniTicker", "24hrMiniTicker"),
        ("btcusdt@ticker_1h", "1hTicker"),
        ("btcusdt@avgPrice", "avgPrice"),
        ("!miniTicker@arr", "24hrMiniTicker"),
        ("!ticker_4h@arr", "4hTicker"),
        ("btcusdt@kline_1d@+08:00", "kline"),
    ]
    .into();
    while !wanted.is_empty() {
        let message = hear(&mut socket).await;
        let event = if message["data"].is_array() { &message["data"][0] } else { &message["data"] };
        if let Some(kind) = wanted.remove(message["stream"].as_str().unwrap()) {
            assert_eq!(event["e"], kind, "{message}");
        }
    }
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_connections_say_what_they_are_and_keep_to_the_pace() {
    let client = Client::synthetic(68).await;
    let mut socket = client.socket("/stream?streams=").await;
    let get = json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 1});
    say(&mut socket, &get).await;
    assert_eq!(hear(&mut socket).await, json!({"result": true, "id": 1}));
    say(&mut socket, &json!({"method": "SET_PROPERTY", "params": ["combined", false], "id": null})).await;
    assert_eq!(hear(&mut socket).await, json!({"result": null, "id": null}));
    say(&mut socket, &get).await;
    assert_eq!(hear(&mut socket).await["result"], false);
    say(&mut socket, &json!({"method": "SET_PROPERTY", "params": ["other", 1], "id": "x"})).await;
    assert_eq!(hear(&mut socket).await["error"]["code"], 2);
    for n in 0..6 {
        let list = json!({"method": "LIST_SUBSCRIPTIONS", "id": n}).to_string();
        if socket.send(Message::text(list)).await.is_err() {
            break;
        }
    }
    let end = tokio::time::timeout(Duration::from_secs(2), async { while let Some(Ok(_)) = socket.next().await {} }).await;
    assert!(end.is_ok(), "the sixth message of a second ends the connection");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_without_pongs_and_at_their_age() {
    let doors = DoorRules {
        ping_every: Duration::from_millis(250),
        pong_within: Duration::from_millis(600),
        life: Duration::from_millis(1_500),
        ..DoorRules::default()
    };
    let client = Client::with(doors, 69).await;
    let begun = std::time::Instant::now();
    let mut silent = client.socket("/ws").await;
    let mut lively = client.socket("/ws").await;
    let answering = tokio::spawn(async move {
        while let Some(Ok(_)) = lively.next().await {}
        begun.elapsed()
    });
    // Four pongs a second keep to the pace. A client that does not read does not answer pings.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let mut pings = 0;
    while let Some(Ok(message)) = silent.next().await {
        pings += u32::from(matches!(message, Message::Ping(payload) if !payload.is_empty()));
    }
    assert!((1..=3).contains(&pings), "{pings}");
    assert!(answering.await.unwrap() >= Duration::from_millis(1_400), "who answers lives to the end");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_declined_and_clients_pings_are_answered() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let client = Client::synthetic(70).await;
    for path in ["/ws", "/ws/", "/ws/0", "/stream", "/stream?streams=", "/ws-api/v3"] {
        let mut request = format!("{}{path}", client.running.ws).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits".parse().unwrap());
        let (mut socket, response) = connect_async(request).await.unwrap();
        assert!(response.headers().get("Sec-WebSocket-Extensions").is_none(), "{path}");
        socket.send(Message::Ping(b"hello"[..].to_vec().into())).await.unwrap();
        loop {
            match tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap().unwrap().unwrap() {
                Message::Pong(payload) => break assert_eq!(&payload[..], b"hello"),
                _ => continue,
            }
        }
    }
    client.running.stop().await;
}
