//! Candles, books, streams, limits, replays.

use super::*;
use crate::domain::{Bps, FeeRates, Instrument, Interval, Level, MarketData, MarketUpdate, Money, PublicTrade, Qty, TradeId};

#[tokio::test(flavor = "multi_thread")]
async fn kline_pages_are_finished_rows_with_exact_spacing() {
    let client = Client::synthetic(20).await;
    let start = origin(1).floor_to(Interval::MINUTE).millis();
    let mut rows: Vec<Value> = Vec::new();
    let mut from = start;
    for _ in 0..3 {
        let page = client.get(&format!("klines?symbol=BTCUSDT&interval=5s&startTime={from}&limit=1000")).await;
        assert_eq!(page.status, 200, "{}", page.json);
        let page = page.json.as_array().unwrap().clone();
        assert_eq!(page.len(), 1_000);
        from = page[999][0].as_i64().unwrap() + 1;
        rows.extend(page);
    }
    for (n, row) in rows.iter().enumerate() {
        let open_time = start + 5_000 * i64::try_from(n).unwrap();
        assert_eq!((row[0].as_i64(), row[6].as_i64()), (Some(open_time), Some(open_time + 4_999)));
        let [open, high, low, close] = [1, 2, 3, 4].map(|column| number(&row[column]));
        assert!(low <= open.min(close) && open.max(close) <= high && row[8].as_u64().unwrap() > 0 && row.as_array().unwrap().len() == 12);
    }
    let again = client.get(&format!("uiKlines?symbol=BTCUSDT&interval=5s&startTime={start}&endTime={}", start + 20_000)).await;
    assert_eq!(again.json, json!(rows[..5]));
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_klines_end_with_the_forming_one() {
    let client = Client::synthetic(21).await;
    for interval in ["1s", "5s", "1m", "1h", "1d"] {
        let rows = client.get(&format!("klines?symbol=ETHUSDT&interval={interval}&limit=3")).await.json;
        let server = client.get("time").await.json["serverTime"].as_i64().unwrap();
        let last = &rows[rows.as_array().unwrap().len() - 1];
        assert!(last[6].as_i64().unwrap() >= server - 1_000, "{interval}: {rows}");
    }
    let first = client.get("klines?symbol=ETHUSDT&interval=1m&startTime=0&limit=1").await.json;
    assert_eq!(first[0][0], Timestamp::EPOCH.millis() + origin(2).day() * 86_400_000, "the listing date");
    assert_eq!(client.get("klines?symbol=ETHUSDT&interval=7m").await.code(), -1120);
    assert_eq!(client.get("klines?symbol=ETHUSDT&interval=1m&limit=0").await.code(), -1130);
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forming_candle_becomes_the_finished_one() {
    let client = Client::synthetic(22).await;
    let mut socket = client.socket("/ws/btcusdt@kline_5s").await;
    let closed = hear_until(&mut socket, |m| m["k"]["x"] == true).await["k"].clone();
    let rows = client.get(&format!("klines?symbol=BTCUSDT&interval=5s&startTime={}&limit=1", closed["t"])).await.json;
    assert_eq!(
        (&rows[0][0], &rows[0][1], &rows[0][4], &rows[0][5], &rows[0][8]),
        (&closed["t"], &closed["o"], &closed["c"], &closed["v"], &closed["n"])
    );
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_joins_the_diff_stream() {
    let client = Client::synthetic(23).await;
    let mut socket = client.socket("/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker").await;
    let mut diffs = Vec::new();
    let diff_of = |message: &Value| (message["stream"] == "btcusdt@depth@100ms").then(|| message["data"].clone());
    while diffs.len() < 3 {
        diffs.extend(diff_of(&hear(&mut socket).await));
    }
    let snapshot = client.get("depth?symbol=BTCUSDT&limit=5000").await.json;
    let mut last = snapshot["lastUpdateId"].as_u64().unwrap();
    assert!(diffs[0]["U"].as_u64().unwrap() <= last + 1);
    while diffs.last().unwrap()["u"].as_u64().unwrap() < last + 40 {
        diffs.extend(diff_of(&hear(&mut socket).await));
    }
    for pair in diffs.windows(2) {
        assert_eq!(pair[0]["u"].as_u64().unwrap() + 1, pair[1]["U"].as_u64().unwrap(), "gap-free");
    }
    let mut book = crate::venue::exchange::book::Book::default();
    let levels = |value: &Value| -> Vec<Level> {
        let level =
            |row: &Value| Level { price: row[0].as_str().unwrap().parse().unwrap(), qty: row[1].as_str().unwrap().parse().unwrap() };
        value.as_array().unwrap().iter().map(level).collect()
    };
    book.replace(&crate::domain::BookSnapshot { last_update_id: last, bids: levels(&snapshot["bids"]), asks: levels(&snapshot["asks"]) });
    for diff in diffs.iter().filter(|diff| diff["u"].as_u64().unwrap() > last).collect::<Vec<_>>() {
        let (first, end) = (diff["U"].as_u64().unwrap(), diff["u"].as_u64().unwrap());
        assert!(first <= last + 1 && last < end);
        let diff =
            crate::domain::DepthDiff { first_update_id: first, last_update_id: end, bids: levels(&diff["b"]), asks: levels(&diff["a"]) };
        assert!(book.apply(&diff));
        last = end;
    }
    let (bid, ask) = book.best().unwrap();
    assert!(bid.price < ask.price, "{bid:?} {ask:?}");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_change_while_connected() {
    let client = Client::synthetic(24).await;
    let mut socket = client.socket("/ws/0").await;
    say(&mut socket, &json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@aggTrade", "btcusdt@trade"], "id": 1})).await;
    assert_eq!(hear_until(&mut socket, |m| m.get("id").is_some()).await, json!({"result": null, "id": 1}));
    let trade = hear_until(&mut socket, |m| m["e"] == "trade").await;
    for key in ["E", "s", "t", "p", "q", "T", "m", "M"] {
        assert!(trade.get(key).is_some(), "{key}");
    }
    assert!(hear_until(&mut socket, |m| m["e"] == "aggTrade").await["s"] == "ETHUSDT");
    say(&mut socket, &json!({"method": "LIST_SUBSCRIPTIONS", "id": "x"})).await;
    let mut listed = hear_until(&mut socket, |m| m["id"] == "x").await["result"].as_array().unwrap().clone();
    listed.sort_by_key(Value::to_string);
    assert_eq!(listed, [json!("btcusdt@trade"), json!("ethusdt@aggTrade")]);
    say(&mut socket, &json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@aggTrade"], "id": 2})).await;
    hear_until(&mut socket, |m| m["id"] == 2).await;
    say(&mut socket, &json!({"method": "SUBSCRIBE", "params": ["nothing@trade"], "id": 3})).await;
    assert_eq!(hear(&mut socket).await["error"]["code"], 2, "and silence before it");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn public_questions_have_answers() {
    let client = Client::synthetic(25).await;
    let info = client.get("exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D").await;
    assert_eq!(info.json["symbols"].as_array().unwrap().len(), 2);
    assert_eq!(info.json["symbols"][0]["filters"][0]["tickSize"], "0.01000000");
    assert_eq!(
        (&info.headers["x-mbx-used-weight-1m"], &info.headers["content-type"]),
        (&"20".parse().unwrap(), &"application/json;charset=UTF-8".parse().unwrap())
    );
    assert_eq!(client.get("exchangeInfo?symbol=NONE").await.code(), -1121);
    assert_eq!(client.get("ping").await.json, json!({}));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for path in ["trades?symbol=BTCUSDT&limit=5", "aggTrades?symbol=BTCUSDT&limit=5", "ticker/price", "ticker/bookTicker"] {
        assert!(!client.get(path).await.json.as_array().unwrap().is_empty(), "{path}");
    }
    let day = client.get("ticker/24hr?symbol=BTCUSDT").await.json;
    let (low, high, last) = (number(&day["lowPrice"]), number(&day["highPrice"]), number(&day["lastPrice"]));
    assert!(low <= last && last <= high && number(&day["quoteVolume"]) > 0.0, "{day}");
    let average = number(&client.get("avgPrice?symbol=BTCUSDT").await.json["price"]);
    assert!(low <= average && average <= high);
    let commission = client.signed("GET", "account/commission", "symbol=BTCUSDT").await.json;
    assert_eq!(commission["standardCommission"]["taker"], "0.00100000");
    client.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_weight_is_told_to_wait() {
    let client = Client::synthetic(26).await;
    let refused = loop {
        let answer = client.get("depth?symbol=BTCUSDT&limit=5000").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.code()), (429, -1003));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    client.running.stop().await;
}

fn instrument() -> Instrument {
    Instrument {
        symbol: "BTCUSDT".parse().unwrap(),
        base: "BTC".parse().unwrap(),
        quote: "USDT".parse().unwrap(),
        trading: true,
        tick: "0.01".parse().unwrap(),
        step: "0.00001".parse().unwrap(),
        min_qty: "0.00001".parse().unwrap(),
        max_qty: Qty::ZERO,
        min_notional: "5".parse().unwrap(),
        max_notional: Money::ZERO,
        fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_played_from_now_and_fills_resting_orders() {
    let at = |ms: i64, data| MarketUpdate {
        symbol: "BTCUSDT".parse().unwrap(),
        exchange_time: None,
        local_time: Timestamp::from_millis(1_000_000 + ms),
        data,
    };
    let level = |price: &str| Level { price: price.parse().unwrap(), qty: "1".parse().unwrap() };
    let snapshot = crate::domain::BookSnapshot { last_update_id: 100, bids: vec![level("99")], asks: vec![level("101")] };
    let mut updates = vec![at(0, MarketData::Snapshot(snapshot))];
    for n in 1..=400 {
        // Trades at 98 go through a resting buy at 98.50.
        let price = if n < 300 { "100" } else { "98" };
        let trade = PublicTrade { id: TradeId(n), price: price.parse().unwrap(), qty: "0.5".parse().unwrap(), buyer_is_maker: true };
        updates.push(at(i64::try_from(n).unwrap() * 100, MarketData::Trade(trade)));
    }
    let market = MarketSource::Replay { recording: Box::new(updates.into_iter()), instruments: vec![instrument()] };
    let config = ServerConfig { market, speed: 10, ..ServerConfig::synthetic(27, Timestamp::EPOCH) };
    let client = Client::of(ExchangeServer::start(config).await.unwrap()).await;
    let mut events = client.user_stream().await;
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=98.50";
    let mut placed = client.signed("POST", "order", order).await;
    while placed.status != 200 {
        assert_eq!(placed.json["msg"], "Market is closed.", "before the first snapshot");
        placed = client.signed("POST", "order", order).await;
    }
    let fill = hear_until(&mut events, |m| m["event"]["x"] == "TRADE").await["event"].clone();
    assert_eq!((&fill["X"], &fill["m"], &fill["L"]), (&json!("FILLED"), &json!(true), &json!("98.50000000")));
    let rows = client.get("klines?symbol=BTCUSDT&interval=1s").await.json;
    let times: Vec<i64> = rows.as_array().unwrap().iter().map(|row| row[0].as_i64().unwrap()).collect();
    assert!(times.len() >= 3 && times.windows(2).all(|pair| pair[1] - pair[0] == 1_000), "{rows}");
    client.running.stop().await;
}
