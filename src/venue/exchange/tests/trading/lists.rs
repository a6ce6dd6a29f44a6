//! Conditional orders, lists, replacements and amends over both doors.

use super::*;

/// Prices far below and far above the market, on BTC's grid.
async fn far(client: &Client) -> (String, String) {
    let (bid, ask) = client.best("BTCUSDT").await;
    (format!("{:.2}", (bid * 0.9).floor()), format!("{:.2}", (ask * 1.1).floor()))
}

/// A buy OCO around the market, in REST's words.
async fn oco(client: &Client, name: &str) -> String {
    let (low, high) = far(client).await;
    format!(
        "symbol=BTCUSDT&side=BUY&quantity=0.01&listClientOrderId={name}&aboveType=STOP_LOSS_LIMIT&aboveStopPrice={high}&abovePrice={high}\
         &aboveTimeInForce=GTC&aboveClientOrderId={name}-up&belowType=LIMIT_MAKER&belowPrice={low}&belowClientOrderId={name}-down"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oco_is_placed_found_and_cancelled_as_one() {
    let client = Client::synthetic(21).await;
    let mut events = client.user_stream().await;
    let placed = client.signed("POST", "orderList/oco", &oco(&client, "pair").await).await;
    assert_eq!((placed.status, &placed.headers["x-mbx-order-count-10s"]), (200, &"2".parse().unwrap()), "{}", placed.json);
    let list = &placed.json;
    assert_eq!(
        (&list["contingencyType"], &list["listOrderStatus"], &list["listClientOrderId"]),
        (&json!("OCO"), &json!("EXECUTING"), &json!("pair"))
    );
    let reports = list["orderReports"].as_array().unwrap();
    assert_eq!((&reports[0]["type"], &reports[0]["workingTime"]), (&json!("STOP_LOSS_LIMIT"), &json!(-1)));
    assert!(reports[0]["stopPrice"].is_string() && reports[1].get("stopPrice").is_none());
    assert_eq!((&reports[1]["orderListId"], &reports[1]["selfTradePreventionMode"]), (&list["orderListId"], &json!("EXPIRE_MAKER")));
    let told = hear_until(&mut events, |m| m["event"]["e"] == "listStatus").await["event"].clone();
    assert_eq!(
        (&told["l"], &told["L"], &told["c"], told["O"].as_array().unwrap().len()),
        (&json!("EXEC_STARTED"), &json!("EXECUTING"), &json!("OCO"), 2)
    );
    let report = hear_until(&mut events, |m| m["event"]["e"] == "executionReport").await["event"].clone();
    assert_eq!(
        (&report["g"], &report["w"], report.get("W"), &report["P"]),
        (&list["orderListId"], &json!(false), None, &reports[0]["stopPrice"])
    );

    let account = client.signed("GET", "account", "omitZeroBalances=true").await.json;
    let dearer = number(&reports[0]["price"]) * 0.01;
    assert!((number(&account["balances"][0]["locked"]) - dearer).abs() < 1e-6, "the pair is locked once: {account}");
    let id = list["orderListId"].as_u64().unwrap();
    for found in [
        client.signed("GET", "orderList", &format!("orderListId={id}")).await.json,
        client.signed("GET", "orderList", "origClientOrderId=pair").await.json,
        client.signed("GET", "openOrderList", "").await.json[0].clone(),
        client.signed("GET", "allOrderList", "").await.json[0].clone(),
    ] {
        assert_eq!((&found["orderListId"], &found["orders"]), (&list["orderListId"], &list["orders"]));
    }
    assert_eq!(client.signed("GET", "allOrderList", "fromId=1&startTime=1").await.code(), -1128);
    let canceled = client.signed("DELETE", "openOrders", "symbol=BTCUSDT").await.json;
    assert_eq!((&canceled[0]["listOrderStatus"], canceled.as_array().unwrap().len()), (&json!("ALL_DONE"), 1), "{canceled}");
    assert_eq!(canceled[0]["orderReports"].as_array().unwrap().len(), 2);
    let done = hear_until(&mut events, |m| m["event"]["l"] == "ALL_DONE").await["event"].clone();
    assert_eq!(done["L"], "ALL_DONE");
    let gone = client.signed("DELETE", "orderList", "symbol=BTCUSDT&listClientOrderId=pair").await;
    assert_eq!((gone.code(), gone.json["msg"].as_str().unwrap()), (-2011, "Unknown order list sent."));
    assert_eq!(client.signed("GET", "orderList", "orderListId=99").await.json["msg"], "Order list does not exist.");
    assert_eq!(client.signed("GET", "orderList", "").await.code(), -1102);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_otoco_lives_over_the_websocket_api() {
    let client = Client::synthetic(22).await;
    let (low, high) = far(&client).await;
    let mut socket = connect_async(&client.running.ws_api).await.unwrap().0;
    let params = json!({
        "symbol": "BTCUSDT", "listClientOrderId": "bracket", "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": low,
        "workingQuantity": "0.01", "workingTimeInForce": "GTC", "pendingSide": "SELL", "pendingQuantity": "0.009",
        "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": high, "pendingBelowType": "STOP_LOSS", "pendingBelowStopPrice": "1000",
    });
    let placed = client.call(&mut socket, "orderList.place.otoco", params).await["result"].clone();
    let states: Vec<_> = placed["orderReports"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!((states, &placed["contingencyType"]), (vec!["NEW", "PENDING_NEW", "PENDING_NEW"], &json!("OTO")), "{placed}");
    let open = client.call(&mut socket, "openOrderLists.status", json!({})).await["result"].clone();
    assert_eq!(open[0]["orderListId"], placed["orderListId"]);
    let canceled = client.call(&mut socket, "orderList.cancel", json!({"symbol": "BTCUSDT", "listClientOrderId": "bracket"})).await;
    assert_eq!(canceled["result"]["orderReports"].as_array().unwrap().len(), 3, "{canceled}");
    let market = json!({
        "symbol": "BTCUSDT", "workingType": "MARKET", "workingSide": "BUY", "workingQuantity": "0.01", "pendingType": "MARKET",
        "pendingSide": "SELL", "pendingQuantity": "0.01",
    });
    assert_eq!(client.call(&mut socket, "orderList.place.oto", market).await["error"]["code"], -1159);
    let filled = json!({
        "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": high, "workingTimeInForce": "GTC",
        "workingQuantity": "0.01", "pendingType": "LIMIT_MAKER", "pendingSide": "SELL", "pendingPrice": high, "pendingQuantity": "0.00998",
        "newOrderRespType": "FULL",
    });
    let filled = client.call(&mut socket, "orderList.place.oto", filled).await["result"].clone();
    assert_eq!((&filled["orderReports"][0]["status"], &filled["orderReports"][1]["status"]), (&json!("FILLED"), &json!("NEW")), "{filled}");
    assert!(!filled["orderReports"][0]["fills"].as_array().unwrap().is_empty());
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_says_how_each_half_went() {
    let client = Client::synthetic(23).await;
    let (low, high) = far(&client).await;
    let resting = |id: &str| format!("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price={low}&newClientOrderId={id}");
    client.signed("POST", "order", &resting("first")).await;
    let replace = |mode: &str, old: &str, order: &str| format!("{order}&cancelReplaceMode={mode}&cancelOrigClientOrderId={old}");
    let go = async |query: String| client.signed("POST", "order/cancelReplace", &query).await;

    let done = go(replace("STOP_ON_FAILURE", "first", &resting("second"))).await;
    assert_eq!(
        (done.status, &done.json["cancelResult"], &done.json["newOrderResult"]),
        (200, &json!("SUCCESS"), &json!("SUCCESS")),
        "{}",
        done.json
    );
    assert_eq!(
        (&done.json["cancelResponse"]["status"], &done.json["newOrderResponse"]["clientOrderId"]),
        (&json!("CANCELED"), &json!("second"))
    );
    let taking = resting("third").replace(&low, &high);
    let cases = [
        ("STOP_ON_FAILURE", "first", resting("x"), 400, -2022, ["FAILURE", "NOT_ATTEMPTED"]),
        ("ALLOW_FAILURE", "first", taking.clone(), 400, -2022, ["FAILURE", "FAILURE"]),
        ("ALLOW_FAILURE", "first", resting("third"), 409, -2021, ["FAILURE", "SUCCESS"]),
        ("STOP_ON_FAILURE", "second", taking, 409, -2021, ["SUCCESS", "FAILURE"]),
    ];
    for (mode, old, order, status, code, halves) in cases {
        let answer = go(replace(mode, old, &order)).await;
        let data = &answer.json["data"];
        assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.json);
        assert_eq!([data["cancelResult"].as_str().unwrap(), data["newOrderResult"].as_str().unwrap()], halves);
        assert_eq!(data["newOrderResponse"].is_null(), halves[1] == "NOT_ATTEMPTED");
    }
    let filtered = go(replace("STOP_ON_FAILURE", "third", &resting("x").replace("0.01", "0.00000001"))).await;
    assert_eq!((filtered.status, filtered.code()), (400, -1013), "filters come before the cancel");
    let open = client.signed("GET", "openOrders", "symbol=BTCUSDT").await.json;
    assert_eq!((open.as_array().unwrap().len(), &open[0]["clientOrderId"]), (1, &json!("third")));
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amend_keeps_the_order_and_is_told() {
    let client = Client::synthetic(24).await;
    let (low, _) = far(&client).await;
    let mut events = client.user_stream().await;
    let order = format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.02&price={low}&newClientOrderId=old&strategyId=7");
    let placed = client.signed("POST", "order", &order).await.json;
    assert_eq!((&placed["fills"], &placed["strategyId"]), (&json!([]), &json!(7)), "LIMIT answers fully");
    let amend = async |query: &str| client.signed("PUT", "order/amend/keepPriority", &format!("symbol=BTCUSDT&{query}")).await;
    let amended = amend("origClientOrderId=old&newQty=0.015&newClientOrderId=new").await;
    let shown = &amended.json["amendedOrder"];
    assert_eq!((amended.status, &shown["orderId"], &shown["qty"]), (200, &placed["orderId"], &json!("0.01500000")), "{}", amended.json);
    assert_eq!((&shown["origClientOrderId"], &shown["clientOrderId"]), (&json!("old"), &json!("new")));
    let told = hear_until(&mut events, |m| m["event"]["x"] == "REPLACED").await["event"].clone();
    assert_eq!(
        (&told["c"], &told["C"], &told["q"], &told["I"]),
        (&json!("new"), &json!("old"), &json!("0.01500000"), &amended.json["executionId"])
    );
    let rows = client.signed("GET", "order/amendments", &format!("symbol=BTCUSDT&orderId={}", placed["orderId"])).await.json;
    assert_eq!((&rows[0]["origQty"], &rows[0]["newQty"]), (&json!("0.02000000"), &json!("0.01500000")));
    for (query, code, text) in [
        ("origClientOrderId=new&newQty=0.015", -2038, "The requested action would change no state; rejecting"),
        ("origClientOrderId=new&newQty=0.016", -2038, "Order amend (quantity increase) is not supported."),
        ("origClientOrderId=gone&newQty=0.01", -2038, "Unknown order sent."),
        ("newQty=0.01", -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"),
    ] {
        let refused = amend(query).await;
        assert_eq!((refused.status, refused.code(), refused.json["msg"].as_str().unwrap()), (400, code, text), "{query}");
    }
    let both = format!("symbol=BTCUSDT&orderId={}&origClientOrderId=other", placed["orderId"]);
    assert_eq!(client.signed("GET", "order", &both).await.code(), -2039);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_can_ask_for_its_limits_filters_and_rates() {
    let client = Client::synthetic(25).await;
    let (_, high) = far(&client).await;
    let stop = format!("symbol=BTCUSDT&side=BUY&type=STOP_LOSS&quantity=0.01&stopPrice={high}");
    assert_eq!(client.signed("POST", "order/test", &stop).await.json, json!({}));
    let rates = client.signed("POST", "order/test", &format!("{stop}&computeCommissionRates=true")).await.json;
    assert_eq!(rates["standardCommissionForOrder"]["maker"], "0.00100000");
    let placed = client.signed("POST", "order", &stop).await.json;
    assert_eq!(placed.as_object().unwrap().len(), 5, "a conditional order answers with an ACK: {placed}");
    let passed = stop.replace(&high, "1000");
    let refused = client.signed("POST", "order", &passed).await;
    assert_eq!((refused.code(), refused.json["msg"].as_str().unwrap()), (-2010, "Order would trigger immediately."));
    let counts = client.signed("GET", "rateLimit/order", "").await.json;
    assert_eq!((&counts[0]["count"], &counts[1]["limit"]), (&json!(1), &json!(200_000)));
    let filters = client.signed("GET", "myFilters", "symbol=BTCUSDT").await.json;
    assert_eq!(filters["symbolFilters"][1]["maxNumAlgoOrders"], 5);
    assert_eq!(client.signed("GET", "myAllocations", "symbol=BTCUSDT").await.json, json!([]));
    assert_eq!(client.signed("GET", "myPreventedMatches", "symbol=BTCUSDT&orderId=1").await.json, json!([]));
    assert_eq!(client.signed("GET", "myPreventedMatches", "symbol=BTCUSDT").await.code(), -1128);
    for (query, code) in [("orderId=1&startTime=5", -1128), ("fromId=1&endTime=5", -1128), ("startTime=1&endTime=86400002", -1127)] {
        assert_eq!(client.signed("GET", "myTrades", &format!("symbol=BTCUSDT&{query}")).await.code(), code, "{query}");
    }
    let info = client.get("exchangeInfo?symbol=BTCUSDT").await.json["symbols"][0].clone();
    assert_eq!((&info["ocoAllowed"], &info["icebergAllowed"], &info["allowTrailingStop"]), (&json!(true), &json!(false), &json!(false)));
    let kinds: Vec<_> = info["filters"].as_array().unwrap().iter().map(|f| f["filterType"].as_str().unwrap()).collect();
    assert_eq!(kinds[..5], ["PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "NOTIONAL"]);
    assert_eq!(info["filters"][3]["bidMultiplierUp"], "5");
    let old = client.signed("POST", "order/oco", &format!("symbol=BTCUSDT&side=BUY&quantity=0.01&price={high}&stopPrice={high}")).await;
    assert_eq!((old.code(), old.json["msg"].as_str().unwrap()), (-2010, "The relationship of the prices for the orders is not correct."));
    client.running.stop().await;
}
