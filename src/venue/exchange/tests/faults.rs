//! Each fault, seen by a client.

use super::*;

use tokio::io::AsyncReadExt;

const LIMIT_MAKER: &str = "symbol=ETHUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.1&price=1000&newClientOrderId=";

impl Client {
    fn inject(&self, rule: FaultRule) {
        self.running.inject(rule).unwrap();
    }

    async fn place(&self, id: &str) -> Answer {
        self.signed("POST", "order", &format!("{LIMIT_MAKER}{id}")).await
    }

    async fn status_of(&self, id: &str) -> Answer {
        self.signed("GET", "order", &format!("symbol=ETHUSDT&origClientOrderId={id}")).await
    }

    /// A placement of which nothing comes back.
    async fn place_in_vain(&self, id: &str) -> reqwest::Error {
        let query = format!("{LIMIT_MAKER}{id}&timestamp={}", now().millis());
        let url = format!("{}/api/v3/order?{query}&signature={}", self.running.rest, self.sign(&query));
        let request = self.http.post(url).header("X-MBX-APIKEY", &self.running.api_key).timeout(Duration::from_millis(300));
        request.send().await.unwrap_err()
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}/api/v3/{path}", self.running.rest)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn control(&self, method: reqwest::Method, body: &str) -> (u16, Value) {
        let url = format!("{}/control/faults", self.running.rest);
        let response = self.http.request(method, url).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }
}

/// Text messages until the socket ends; their number is bounded by the caller's patience of two seconds.
async fn to_the_end(socket: &mut Socket) -> Vec<String> {
    let mut texts = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                texts.push(text.to_string());
            }
        }
    });
    end.await.expect("the socket does not end");
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_refused_before_or_lost_after_it_is_executed() {
    let client = Client::synthetic(40).await;
    let at = |fault| FaultRule::new(fault).on(FaultDoor::Rest).request("POST", "order");
    client.inject(at(Fault::ErrorBefore { status: 503, body: Some("{\"code\":-1008,\"msg\":\"busy\"}".into()) }));
    let refused = client.place("a").await;
    assert_eq!((refused.status, refused.code()), (503, -1008));
    assert_eq!(client.status_of("a").await.code(), -2013, "not executed");

    client.inject(at(Fault::ErrorAfter { status: 503, body: None }));
    let unknown = client.place("b").await;
    assert_eq!(
        (unknown.status, unknown.json["msg"].as_str().unwrap()),
        (503, "Unknown error, please check your request or try again later.")
    );
    assert_eq!(client.status_of("b").await.json["status"], "NEW", "executed");

    client.inject(at(Fault::ResetAfter));
    let reset = client.place_in_vain("c").await;
    assert!(!reset.is_timeout(), "{reset:?}");
    assert_eq!(client.status_of("c").await.json["status"], "NEW", "executed");

    client.inject(at(Fault::Disconnect));
    assert!(!client.place_in_vain("d").await.is_timeout());
    assert_eq!(client.status_of("d").await.code(), -2013, "not executed");

    client.inject(at(Fault::HalfOpen));
    assert!(client.place_in_vain("e").await.is_timeout(), "silence");
    assert_eq!(client.status_of("e").await.code(), -2013);

    client.inject(at(Fault::Delay { ms: 120 }));
    let begun = std::time::Instant::now();
    assert_eq!(client.place("f").await.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(120));
    let page = FaultRule::new(Fault::ErrorBefore { status: 502, body: None }).path("time");
    client.inject(page);
    let (status, body) = client.text("time").await;
    assert!(status == 502 && body.starts_with("<html>"), "{body}");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_order_is_live_but_not_shown() {
    let client = Client::synthetic(41).await;
    client.inject(FaultRule::new(Fault::HiddenOrder { ms: 400 }));
    assert_eq!(client.place("shy").await.status, 200);
    assert_eq!(client.place("bold").await.status, 200);
    assert_eq!(client.status_of("shy").await.code(), -2013);
    let open = client.signed("GET", "openOrders", "symbol=ETHUSDT").await.json;
    assert_eq!((open.as_array().unwrap().len(), &open[0]["clientOrderId"]), (1, &json!("bold")));
    let mut socket = connect_async(&client.running.ws_api).await.unwrap().0;
    let asked = json!({"symbol": "ETHUSDT", "origClientOrderId": "shy"});
    assert_eq!(client.call(&mut socket, "order.status", asked).await["error"]["code"], -2013);
    let again = client.place("shy").await;
    assert_eq!(again.json["msg"], "Duplicate order sent.");
    tokio::time::sleep(Duration::from_millis(420)).await;
    assert_eq!(client.status_of("shy").await.json["status"], "NEW");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_bans_say_when_to_come_back() {
    let client = Client::synthetic(42).await;
    client.inject(FaultRule::new(Fault::RateLimited { retry_after_secs: 3 }).path("time"));
    let limited = client.get("time").await;
    assert_eq!((limited.status, limited.code(), &limited.headers["retry-after"]), (429, -1003, &"3".parse().unwrap()));
    let mut socket = connect_async(&client.running.ws_api).await.unwrap().0;
    client.inject(FaultRule::new(Fault::Banned { retry_after_secs: 60 }).on(FaultDoor::Rest));
    let banned = client.get("time").await;
    assert_eq!((banned.status, banned.code()), (418, -1003));
    assert!(banned.headers["retry-after"].to_str().unwrap().parse::<i64>().unwrap() >= 60);
    let until: i64 =
        banned.json["msg"].as_str().unwrap().split("banned until ").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
    assert!((59_000..=61_000).contains(&(until - now().millis())));
    assert_eq!(client.get("ping").await.status, 418, "until it ends");
    let told = client.call(&mut socket, "ping", json!({})).await;
    assert_eq!((&told["status"], &told["error"]["data"]["retryAfter"]), (&json!(418), &json!(until)));
    assert_eq!(client.control(reqwest::Method::DELETE, "").await, (200, json!([])));
    assert_eq!(client.get("ping").await.status, 200, "cleared");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_answers_come_in_every_form() {
    let client = Client::synthetic(43).await;
    let spoil = |form| client.inject(FaultRule::new(Fault::Malformed { form }).on(FaultDoor::Rest));
    spoil(Form::ForbiddenPage);
    let (status, body) = client.text("ping").await;
    assert!(status == 403 && body.starts_with("<html>"));
    spoil(Form::Empty);
    assert_eq!(client.text("time").await, (200, String::new()));
    spoil(Form::Null);
    assert_eq!(client.text("time").await, (200, "null".into()));
    spoil(Form::Truncated);
    assert!(client.text("time").await.1.starts_with("{\"serv"));
    spoil(Form::Huge);
    let (status, body) = client.text("time").await;
    assert!(status == 400 && body.len() > 100_000);
    spoil(Form::UnknownWord);
    assert!(client.text("exchangeInfo").await.1.contains("UNHEARD_OF"));
    spoil(Form::Scientific);
    let (_, body) = client.text("ticker/bookTicker?symbol=BTCUSDT").await;
    assert!(body.contains("E4\"") || body.contains("E-"), "{body}");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_steps_and_comes_back() {
    let client = Client::synthetic(44).await;
    let ahead = async || client.get("time").await.json["serverTime"].as_i64().unwrap() - now().millis();
    assert!(ahead().await.abs() < 1_000);
    client.inject(FaultRule::new(Fault::ClockStep { ms: 60_000 }));
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!((59_000..=61_000).contains(&ahead().await));
    assert_eq!(client.signed("GET", "account", "").await.code(), -1021);
    client.running.clear_faults().await;
    assert_eq!(client.signed("GET", "account", "").await.status, 200);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_stops_trading_for_a_while() {
    let client = Client::synthetic(45).await;
    let symbol = "ETHUSDT".parse().unwrap();
    client.inject(FaultRule::new(Fault::SymbolStatus { symbol, status: Phase::Break }).for_ms(300));
    tokio::time::sleep(Duration::from_millis(60)).await;
    let refused = client.place("a").await;
    assert_eq!((refused.code(), refused.json["msg"].as_str().unwrap()), (-2010, "Market is closed."));
    assert_eq!(client.get("exchangeInfo?symbol=ETHUSDT").await.json["symbols"][0]["status"], "BREAK");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(client.place("a").await.status, 200);
    let unknown = FaultRule::new(Fault::SymbolStatus { symbol: "NONE".parse().unwrap(), status: Phase::Halt });
    assert!(matches!(client.running.inject(unknown), Err(FaultError::Symbol(_))));
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_messages_are_lost_doubled_swapped_and_late() {
    let client = Client::synthetic(46).await;
    let mut socket = client.socket("/ws/btcusdt@trade").await;
    let rule = |fault| FaultRule::new(fault).on(FaultDoor::MarketStreams).path("btcusdt@trade");
    // What is lost can only be seen between two that are heard.
    let mut heard = vec![hear(&mut socket).await["t"].as_u64().unwrap()];
    for (fault, times) in [(Fault::Drop, 2), (Fault::Duplicate, 1), (Fault::Reorder, 1)] {
        client.inject(rule(fault).times(times));
        loop {
            heard.push(hear(&mut socket).await["t"].as_u64().unwrap());
            let listed: Value = serde_json::from_str(&client.running.faults()).unwrap();
            if listed.as_array().unwrap().last().unwrap()["stage"] == "spent" {
                break;
            }
        }
    }
    client.inject(rule(Fault::Delay { ms: 150 }));
    let late = loop {
        let trade = hear(&mut socket).await;
        heard.push(trade["t"].as_u64().unwrap());
        if now().millis() - trade["E"].as_i64().unwrap() >= 140 {
            break trade;
        }
    };
    heard.push(hear(&mut socket).await["t"].as_u64().unwrap());
    let all: Vec<u64> =
        client.get("trades?symbol=BTCUSDT&limit=1000").await.json.as_array().unwrap().iter().map(|t| t["id"].as_u64().unwrap()).collect();
    let places: Vec<usize> = heard.iter().map(|id| all.iter().position(|known| known == id).unwrap()).collect();
    let steps: Vec<i64> = places.windows(2).map(|pair| pair[1] as i64 - pair[0] as i64).collect();
    let mut odd: Vec<i64> = steps.iter().copied().filter(|step| *step != 1).collect();
    assert_eq!(odd.split_off(odd.len().min(2)), [2, -1, 2], "two swapped: {steps:?}");
    assert_eq!(odd, [3, 0], "two lost, one doubled: {steps:?}");
    assert_eq!(late["e"], "trade", "and nothing overtakes a late one");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_end_or_go_silent_alone() {
    let client = Client::synthetic(47).await;
    let mut market = client.socket("/ws/btcusdt@trade").await;
    let mut user = client.user_stream().await;
    client.inject(FaultRule::new(Fault::Disconnect).on(FaultDoor::MarketStreams));
    to_the_end(&mut market).await;
    assert_eq!(client.place("heard").await.status, 200);
    assert_eq!(hear_until(&mut user, |m| m["event"]["e"] == "executionReport").await["event"]["c"], "heard", "the other door is open");

    let mut market = client.socket("/ws/btcusdt@trade").await;
    hear(&mut market).await;
    client.inject(FaultRule::new(Fault::HalfOpen).on(FaultDoor::MarketStreams));
    let silence =
        async { while tokio::time::timeout(Duration::from_millis(700), market.next()).await.is_ok_and(|m| m.unwrap().is_ok()) {} };
    tokio::time::timeout(Duration::from_secs(5), silence).await.expect("it falls silent");
    assert!(tokio::time::timeout(Duration::from_millis(300), market.next()).await.is_err(), "and stays open");

    client.inject(FaultRule::new(Fault::Disconnect).on(FaultDoor::UserStreams).path("executionReport"));
    assert_eq!(client.place("lost").await.status, 200);
    let rest = to_the_end(&mut user).await;
    assert!(rest.iter().all(|text| !text.contains("lost")), "the event died with the connection");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_is_announced_on_every_socket() {
    let client = Client::synthetic(48).await;
    let mut sockets = [client.socket("/ws").await, client.socket("/stream?streams=").await, client.user_stream().await];
    client.inject(FaultRule::new(Fault::ServerShutdown { ms: 100 }));
    let [raw, combined, api] = &mut sockets;
    let last = |texts: Vec<String>| serde_json::from_str::<Value>(texts.last().unwrap()).unwrap();
    assert_eq!(last(to_the_end(raw).await)["e"], "serverShutdown");
    let told = last(to_the_end(combined).await);
    assert_eq!((&told["stream"], &told["data"]["e"]), (&json!("!serverShutdown"), &json!("serverShutdown")));
    assert_eq!(last(to_the_end(api).await)["event"]["e"], "serverShutdown");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_controlled_over_the_same_port() {
    let client = Client::synthetic(49).await;
    assert_eq!(client.control(reqwest::Method::GET, "").await, (200, json!([])));
    let (status, listed) =
        client.control(reqwest::Method::POST, r#"{"fault":{"error_before":{"status":500}},"on":"rest","times":2}"#).await;
    assert_eq!((status, &listed[0]["stage"], &listed[0]["fired"]), (200, &json!("active"), &json!(0)));
    assert_eq!(client.text("time").await.0, 500);
    assert_eq!(client.control(reqwest::Method::GET, "").await.1[0]["fired"], 1, "control itself is never struck");
    let (status, refused) = client.control(reqwest::Method::POST, r#"[{"fault":"drop","on":"rest"}]"#).await;
    assert!(status == 400 && refused["error"].as_str().unwrap().contains("cannot strike"));
    assert_eq!(client.control(reqwest::Method::DELETE, "").await, (200, json!([])));
    assert_eq!(client.text("time").await.0, 200);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_a_reset_on_the_wire() {
    use tokio::io::AsyncWriteExt;
    let client = Client::synthetic(50).await;
    client.inject(FaultRule::new(Fault::ResetAfter).path("ping"));
    let mut stream = tokio::net::TcpStream::connect(client.running.addr).await.unwrap();
    stream.write_all(b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let end = stream.read(&mut [0; 64]).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    client.running.stop().await;
}
