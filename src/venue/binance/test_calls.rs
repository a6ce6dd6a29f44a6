//! The typed calls: what goes out and what comes back.

use super::test_venue::{TestVenue, fail, ok};
use super::tests::{ORDER, PLACED, order};
use super::*;
use crate::domain::{
    ClientOrderId, ListLegs, ListStatus, NewOrder, NewOrderList, OrderId, OrderKind, OrderStatus, RunId, Side, Span, TimeInForce,
    Timestamp, TradeId,
};
use crate::protocol::VenueRefusal;

const NEXT: ClientOrderId = ClientOrderId { run: RunId(0x1f), sequence: 0x2b };

fn canceled() -> String {
    PLACED.replace("PARTIALLY_FILLED", "CANCELED").replace(r#""clientOrderId":"#, r#""clientOrderId":"x","origClientOrderId":"#)
}

#[tokio::test]
async fn every_kind_of_order_is_written_as_the_venue_wants_it() {
    let venue = TestVenue::start(|_, _| ok(PLACED)).await;
    let client = venue.client();
    let (price, stop) = ("60000.1".parse().unwrap(), "59000".parse().unwrap());
    let ioc = TimeInForce::Ioc;
    for (kind, wanted) in [
        (OrderKind::Market, "type=MARKET&quantity=0.5&newClient"),
        (OrderKind::Limit { price, time_in_force: ioc }, "type=LIMIT&timeInForce=IOC&quantity=0.5&price=60000.1&newClient"),
        (OrderKind::StopLoss { stop }, "type=STOP_LOSS&quantity=0.5&stopPrice=59000&newClient"),
        (
            OrderKind::StopLossLimit { stop, price, time_in_force: TimeInForce::Gtc },
            "type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.5&price=60000.1&stopPrice=59000&newClient",
        ),
        (OrderKind::TakeProfit { stop }, "type=TAKE_PROFIT&quantity=0.5&stopPrice=59000&newClient"),
        (
            OrderKind::TakeProfitLimit { stop, price, time_in_force: TimeInForce::Fok },
            "type=TAKE_PROFIT_LIMIT&timeInForce=FOK&quantity=0.5&price=60000.1&stopPrice=59000&newClient",
        ),
    ] {
        client.place(&NewOrder { kind, ..order() }, false).await.unwrap();
        let sent = venue.seen(ORDER).pop().unwrap().params;
        assert!(sent.contains(wanted), "{sent}");
    }
}

#[tokio::test]
async fn a_replacement_settles_each_half_by_itself() {
    let new = NewOrder { id: NEXT, ..order() };
    let placed = PLACED.replace("-2a", "-2b");
    let half = format!(
        r#"{{"code":-2021,"msg":"Order cancel-replace partially failed.","data":{{"cancelResult":"SUCCESS","newOrderResult":"FAILURE",
        "cancelResponse":{},"newOrderResponse":{{"code":-2010,"msg":"Order would immediately match and take."}}}}}}"#,
        canceled()
    );
    let whole =
        format!(r#"{{"cancelResult":"SUCCESS","newOrderResult":"SUCCESS","cancelResponse":{},"newOrderResponse":{placed}}}"#, canceled());
    let neither = r#"{"code":-2022,"msg":"Order cancel-replace failed.","data":{"cancelResult":"FAILURE","newOrderResult":"NOT_ATTEMPTED",
        "cancelResponse":{"code":-2011,"msg":"Unknown order sent."},"newOrderResponse":null}}"#;
    let venue = TestVenue::start(move |_, before| match before.len() {
        0 => fail(409, half.clone()),
        1 => ok(whole.clone()),
        2 => fail(400, neither),
        3 => fail(409, r#"{"code":-2021,"msg":"Order cancel-replace partially failed."}"#),
        4 => fail(400, r#"{"code":-1102,"msg":"Mandatory parameter"}"#),
        _ => fail(504, "<html>"),
    })
    .await;
    let client = venue.client();
    let replace = || client.cancel_replace(order().id, &new, WhenNotCancelled::Stop, true);
    let told = replace().await.unwrap();
    assert!(matches!(&told.cancelled, Leg::Done(o) if o.id == order().id && o.status == OrderStatus::Canceled));
    assert!(matches!(&told.placed, Leg::Refused { reason: VenueRefusal::WouldTake, .. }));
    assert!(matches!(replace().await.unwrap(), Replaced { cancelled: Leg::Done(_), placed: Leg::Done(p) } if p.order.id == NEXT));
    assert!(matches!(replace().await.unwrap(), Replaced { cancelled: Leg::Refused { .. }, placed: Leg::NotAttempted }));
    assert_eq!(replace().await.unwrap(), Replaced { cancelled: Leg::Unknown, placed: Leg::Unknown });
    assert!(matches!(replace().await.unwrap_err().fate(), Fate::Refused(_)));
    assert_eq!(replace().await.unwrap_err().fate(), Fate::Unknown);
    let seen = venue.seen("/api/v3/order/cancelReplace");
    assert_eq!(seen.len(), 6, "none is sent twice");
    assert!(
        seen[0].params.contains("cancelReplaceMode=STOP_ON_FAILURE&cancelOrigClientOrderId=h000000000000001f-2a"),
        "{}",
        seen[0].params
    );
}

#[tokio::test]
async fn an_amended_order_keeps_our_id() {
    let venue = TestVenue::start(|_, before| match before.len() {
        0 => ok(r#"{"transactTime":1741926410255,"executionId":75,"amendedOrder":{"symbol":"BTCUSDT","orderId":33,"orderListId":-1,
            "origClientOrderId":"h000000000000001f-2a","clientOrderId":"h000000000000001f-2a","price":"6.00000000","qty":"5.00000000",
            "executedQty":"0.00000000","preventedQty":"0","quoteOrderQty":"0","cumulativeQuoteQty":"0","status":"NEW","timeInForce":"GTC",
            "type":"LIMIT","side":"SELL","workingTime":1741926410242,"selfTradePreventionMode":"NONE"}}"#),
        _ => fail(400, r#"{"code":-2038,"msg":"Order amend rejected."}"#),
    })
    .await;
    let client = venue.client();
    let amended = client.amend(order().id, order().symbol, "5".parse().unwrap()).await.unwrap();
    assert_eq!((amended.id, amended.qty.to_string().as_str(), amended.status), (order().id, "5", OrderStatus::Open));
    let seen = &venue.seen("/api/v3/order/amend/keepPriority")[0];
    assert_eq!(
        (seen.method.as_str(), seen.param("newClientOrderId"), seen.param("newQty")),
        ("PUT", Some("h000000000000001f-2a"), Some("5"))
    );
    assert!(matches!(client.amend(order().id, order().symbol, "5".parse().unwrap()).await.unwrap_err().fate(), Fate::Refused(_)));
}

#[tokio::test]
async fn cancelling_everything_counts_orders_inside_lists_and_none_open_is_no_error() {
    let list = format!(
        r#"{{"orderListId":1,"contingencyType":"OCO","listStatusType":"ALL_DONE","listOrderStatus":"ALL_DONE","listClientOrderId":"x",
        "transactionTime":5,"symbol":"BTCUSDT","orders":[],"orderReports":[{},{}]}}"#,
        canceled(),
        canceled().replace("-2a", "-2b")
    );
    let all = format!("[{},{list}]", canceled().replace("h000000000000001f-2a", "web_1"));
    let venue = TestVenue::start(move |_, before| match before.len() {
        0 => ok(all.clone()),
        1 => fail(400, r#"{"code":-2011,"msg":"Unknown order sent."}"#),
        _ => ok(list.clone()),
    })
    .await;
    let client = venue.client();
    let ended = client.cancel_all(order().symbol).await.unwrap();
    assert_eq!((ended.ours.len(), ended.foreign, ended.ours[1].id), (2, 1, NEXT));
    assert_eq!(client.cancel_all(order().symbol).await.unwrap(), OpenOrders::default());
    // One leg cancelled ends its whole list, which is what is answered.
    assert_eq!(client.cancel(NEXT, order().symbol).await.unwrap().id, NEXT);
}

#[tokio::test]
async fn lists_are_placed_asked_for_and_cancelled() {
    let told = |status: &str| {
        format!(
            r#"{{"orderListId":7,"contingencyType":"OCO","listStatusType":"X","listOrderStatus":"{status}","listClientOrderId":"h000000000000001f-1",
            "transactionTime":5,"symbol":"BTCUSDT","orders":[{{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"h000000000000001f-2a"}}],
            "orderReports":[{PLACED}]}}"#
        )
    };
    let venue = TestVenue::start(move |seen, _| match seen.method.as_str() {
        "DELETE" => ok(told("ALL_DONE")),
        "GET" => ok(told("EXECUTING")),
        _ if seen.param("quantity") == Some("0.5") => ok(told("EXECUTING")),
        _ => ok("{}"),
    })
    .await;
    let client = venue.client();
    let id = ClientOrderId { run: RunId(0x1f), sequence: 1 };
    let below = NewOrder { id: NEXT, side: Side::Buy, kind: OrderKind::StopLoss { stop: "1".parse().unwrap() }, ..order() };
    let list = NewOrderList { id, legs: ListLegs::Oco { above: order(), below } };
    let placed = client.place_list(&list, false).await.unwrap();
    assert_eq!((placed.id, placed.state.status, placed.orders[0].fills.len()), (Some(id), ListStatus::Executing, 1));
    let by_id = ListOf::Venues(placed.state.list_id);
    assert_eq!(client.query_list(ListOf::Ours(id)).await.unwrap().legs, [(Some(order().id), OrderId(28))]);
    assert_eq!(client.cancel_list(by_id, order().symbol).await.unwrap().state.status, ListStatus::AllDone);
    let seen = venue.seen("/api/v3/orderList");
    assert_eq!((seen[0].param("origClientOrderId"), seen[1].param("orderListId")), (Some("h000000000000001f-1"), Some("7")));
    let unreadable = NewOrderList { id, legs: ListLegs::Oto { working: order(), pending: below } };
    assert_eq!(client.place_list(&unreadable, true).await.unwrap_err().fate(), Fate::Unknown);
    assert_eq!(venue.seen("/api/v3/orderList/oto").len(), 1);
}

#[tokio::test]
async fn trades_are_asked_for_in_the_legal_ways_only() {
    let venue = TestVenue::start(|_, _| ok("[]")).await;
    let client = venue.client();
    let at = Timestamp::from_millis;
    let (symbol, day) = (order().symbol, Span::from_secs(86_400));
    for (of, wanted) in [
        (TradesOf::Latest, "symbol=BTCUSDT&limit=1000&"),
        (TradesOf::Order(OrderId(5)), "symbol=BTCUSDT&orderId=5&limit=1000&"),
        (TradesOf::From(TradeId(6)), "symbol=BTCUSDT&limit=1000&fromId=6&"),
        (TradesOf::OrderFrom(OrderId(5), TradeId(6)), "symbol=BTCUSDT&orderId=5&limit=1000&fromId=6&"),
        (TradesOf::Since(at(7)), "symbol=BTCUSDT&limit=1000&startTime=7&"),
        (TradesOf::Until(at(8)), "symbol=BTCUSDT&limit=1000&endTime=8&"),
        (TradesOf::Between(at(7), at(7) + day), "symbol=BTCUSDT&limit=1000&startTime=7&endTime=86400007&"),
    ] {
        client.my_trades(symbol, of).await.unwrap();
        let sent = venue.seen("/api/v3/myTrades").pop().unwrap().params;
        assert!(sent.starts_with(&format!("{wanted}recvWindow=5000&timestamp=")), "{sent}");
    }
    let too_long = client.my_trades(symbol, TradesOf::Between(at(0), at(1) + day)).await.unwrap_err();
    assert!(matches!(too_long, ClientError::Illegal { .. }), "{too_long}");
    assert!(client.all_orders(symbol, OrdersOf::Between(at(9), at(8))).await.is_err());
    assert_eq!(venue.seen("/api/v3/myTrades").len(), 7);
}

#[tokio::test]
async fn further_pages_of_trades_go_by_id_and_stop_at_the_last_moment() {
    let row = |id: u64| {
        format!(
            r#"{{"symbol":"BTCUSDT","id":{id},"orderId":28,"price":"4.0","qty":"1","commission":"0","commissionAsset":"BNB","time":{id},
            "isBuyer":true,"isMaker":true}}"#
        )
    };
    let venue = TestVenue::start(move |seen, _| {
        let from = seen.param("fromId").map_or(1, |id| id.parse().unwrap());
        ok(format!("[{}]", (from..from + 1_000).map(row).collect::<Vec<_>>().join(",")))
    })
    .await;
    let until = Timestamp::from_millis(2_500);
    let trades = venue.client().my_trades(order().symbol, TradesOf::Between(Timestamp::from_millis(1), until)).await.unwrap();
    assert_eq!((trades.len(), trades[2_499].trade_id, trades[2_499].at), (2_500, TradeId(2_500), until));
    assert_eq!(venue.seen("/api/v3/myTrades").len(), 4);
}

#[tokio::test]
async fn orders_of_the_past_and_of_others_are_stated() {
    let venue =
        TestVenue::start(|_, _| ok(format!("[{},{PLACED}]", PLACED.replace("h000000000000001f-2a", "web_1").replace("-1", "9")))).await;
    let orders = venue.client().all_orders(order().symbol, OrdersOf::From(OrderId(28))).await.unwrap();
    assert_eq!((orders[0].id, orders[0].client_id.as_str(), orders[0].list.map(|l| l.0)), (None, "web_1", Some(9)));
    assert_eq!((orders[1].id, orders[1].list, orders[1].price.to_string().as_str()), (Some(order().id), None, "60000.1"));
    assert_eq!(venue.seen("/api/v3/allOrders")[0].param("orderId"), Some("28"));
}

#[tokio::test]
async fn the_account_states_its_commission_limits_and_filters() {
    let rates = r#"{"maker":"0.00000112","taker":"0.00000114","buyer":"0.00000118","seller":"0.00000116"}"#;
    let body = |suffix: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","standardCommission{suffix}":{rates},"specialCommission{suffix}":{rates},"taxCommission{suffix}":{rates},
            "discount":{{"enabledForAccount":true,"enabledForSymbol":true,"discountAsset":"BNB","discount":"0.75000000"}}}}"#
        )
    };
    let (plain, for_order) = (body(""), body("ForOrder"));
    let venue = TestVenue::start(move |seen, _| match seen.path.as_str() {
        "/api/v3/account/commission" => ok(plain.clone()),
        "/api/v3/order/test" if seen.param("computeCommissionRates") == Some("true") => ok(for_order.clone()),
        "/api/v3/order/test" => ok("{}"),
        "/api/v3/rateLimit/order" => ok(r#"[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":3}]"#),
        _ => {
            ok(r#"{"exchangeFilters":[],"symbolFilters":[],"assetFilters":[{"filterType":"MAX_ASSET","asset":"JPY","limit":"1000000.0"}]}"#)
        }
    })
    .await;
    let client = venue.client();
    let commission = client.commission(order().symbol).await.unwrap();
    assert_eq!((commission.tax.seller.to_string().as_str(), commission.discount.unwrap().0.as_str()), ("0.0116", "BNB"));
    client.test_order(&order()).await.unwrap();
    assert_eq!(client.test_order_commission(&order()).await.unwrap(), commission);
    let limits = client.order_limits().await.unwrap();
    assert_eq!((limits[0].window_secs, limits[0].limit, limits[0].used), (10, 50, Some(3)));
    assert!(matches!(&client.my_filters(order().symbol).await.unwrap()[0], Filter::MaxAsset { asset, .. } if asset == "JPY"));
}

#[tokio::test]
async fn the_rarer_market_calls_are_read() {
    let venue = TestVenue::start(|seen, _| match seen.path.as_str() {
        "/api/v3/ping" => ok("{}"),
        "/api/v3/aggTrades" => ok(r#"[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27783,"T":1498793709153,"m":true,"M":true},
            {"a":26130,"p":"1e-2","q":"1","f":-1,"l":-1,"T":1498793709154,"m":false,"M":true}]"#),
        "/api/v3/historicalTrades" => ok(r#"[{"id":28457,"price":"4.00000100","qty":"12.0","quoteQty":"48.0","time":1499865549590,"isBuyerMaker":true}]"#),
        "/api/v3/avgPrice" => ok(r#"{"mins":5,"price":"9.35751834","closeTime":1694061154503}"#),
        "/api/v3/ticker/bookTicker" => ok(r#"[{"symbol":"LTCBTC","bidPrice":"4.0","bidQty":"431.0","askPrice":"4.2","askQty":"9.0"},{"symbol":""}]"#),
        _ => ok(r#"[{"symbol":"BNBBTC","priceChange":"-94.99999800","priceChangePercent":"-95.960","weightedAvgPrice":"0.29628482",
            "prevClosePrice":"0.10002000","lastPrice":"4.00000200","lastQty":"200.0","bidPrice":"4.0","bidQty":"100.0","askPrice":"4.00000200",
            "askQty":"100.0","openPrice":"99.0","highPrice":"100.0","lowPrice":"0.1","volume":"8913.3","quoteVolume":"15.30000000",
            "openTime":1499783499040,"closeTime":1499869899040,"firstId":28385,"lastId":28460,"count":76}]"#),
    })
    .await;
    let (client, symbol) = (venue.client(), order().symbol);
    client.ping().await.unwrap();
    let aggregated =
        client.agg_trades(symbol, AggTradesOf::Between(Timestamp::from_millis(1), Timestamp::from_millis(2)), 5_000).await.unwrap();
    assert_eq!((aggregated[0].trades, aggregated[1].trades), (Some((TradeId(27_781), TradeId(27_783))), None));
    assert_eq!(venue.seen("/api/v3/aggTrades")[0].params, "symbol=BTCUSDT&limit=1000&startTime=1&endTime=2");
    client.agg_trades(symbol, AggTradesOf::From(7), 10).await.unwrap();
    assert_eq!(venue.seen("/api/v3/aggTrades")[1].params, "symbol=BTCUSDT&limit=10&fromId=7");
    assert_eq!(client.historical_trades(symbol, Some(TradeId(9)), 1).await.unwrap()[0].1.id, TradeId(28_457));
    assert_eq!(client.average_price(symbol).await.unwrap().minutes, 5);
    assert_eq!(client.book_ticker(&[symbol]).await.unwrap().len(), 1);
    let ticker = &client.tickers_24h(&[]).await.unwrap()[0];
    assert_eq!((ticker.trades, ticker.quote_volume.to_string().as_str(), ticker.low.to_string().as_str()), (76, "15.3", "0.1"));
}
