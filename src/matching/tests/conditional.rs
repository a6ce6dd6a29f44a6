//! Orders that wait for a price.

use super::*;

fn stop_loss(at: &str) -> OrderKind {
    OrderKind::StopLoss { stop: price(at) }
}
fn stop_limit(stop: &str, at: &str) -> OrderKind {
    OrderKind::StopLossLimit { stop: price(stop), price: price(at), time_in_force: TimeInForce::Gtc }
}
fn take_profit(at: &str) -> OrderKind {
    OrderKind::TakeProfit { stop: price(at) }
}
/// A venue whose last trade was at 100.5.
fn traded() -> Venue {
    let mut venue = Venue::new();
    venue.market(&trade("100.50", "0.001", true));
    venue
}

#[test]
fn a_sell_stop_waits_with_its_quantity_locked_then_sells_at_the_market() {
    let mut venue = traded();
    let id = venue.place("a", Side::Sell, "2", stop_loss("100")).unwrap();
    assert_eq!((venue.order(id).phase, venue.order(id).working_at), (Phase::Waiting, None));
    assert_eq!(venue.balance(US, "BTC"), pair("8", "2"));
    venue.market(&trade("100.01", "1", true));
    assert_eq!(venue.told(), ["Accepted"]);
    venue.market(&trade("100", "0.1", true));
    assert_eq!(venue.told(), ["Entered", "Taker 1@100 fee 0.1 USDT", "Taker 1@99.5 fee 0.0995 USDT"]);
    assert_eq!(venue.balance(US, "BTC"), pair("8", "0"));
    assert_eq!((venue.order(id).status, venue.order(id).working_at), (OrderStatus::Filled, Some(at(1))));
}

#[test]
fn a_triggered_limit_takes_what_it_may_and_rests() {
    let mut venue = traded();
    let id = venue.place("a", Side::Buy, "3", stop_limit("101", "101.50")).unwrap();
    assert_eq!(venue.balance(US, "USDT"), pair("695.5", "304.5"));
    venue.market(&trade("101.20", "0.1", false));
    assert_eq!(venue.told(), ["Accepted", "Entered", "Taker 1@101 fee 0.001 BTC"]);
    assert_eq!((venue.order(id).status, venue.order(id).phase), (OrderStatus::PartiallyFilled, Phase::Working));
    assert_eq!(venue.balance(US, "USDT"), pair("696", "203"));
    venue.market(&trade("101.49", "0.1", true));
    assert_eq!(venue.told(), ["Maker 2@101.5 fee -0.0002 BTC"]);
}

#[test]
fn a_take_profit_is_reached_from_the_other_side() {
    let mut venue = traded();
    venue.place("sell", Side::Sell, "1", take_profit("102")).unwrap();
    venue.place("buy", Side::Buy, "1", take_profit("99")).unwrap();
    assert_eq!(venue.balance(US, "USDT"), pair("901", "99"), "a waiting market buy locks its quantity at the stop");
    venue.market(&trade("98.90", "0.1", true));
    venue.market(&trade("102", "0.1", false));
    assert_eq!(venue.told(), ["Accepted", "Accepted", "Entered", "Taker 1@101 fee 0.001 BTC", "Entered", "Taker 1@100 fee 0.1 USDT"]);
}

#[test]
fn a_stop_that_is_reached_already_is_refused() {
    let mut venue = traded();
    for (side, kind) in [
        (Side::Sell, stop_loss("100.50")),
        (Side::Buy, stop_loss("100.50")),
        (Side::Sell, take_profit("100")),
        (Side::Buy, take_profit("101")),
        (Side::Buy, stop_limit("100", "99")),
    ] {
        assert_eq!(venue.place("a", side, "1", kind), Err(Reject::WouldTrigger), "{side} {kind:?}");
    }
    assert_eq!((Reject::WouldTrigger.code(), Reject::WouldTrigger.message().as_str()), (-2010, "Order would trigger immediately."));
}

#[test]
fn where_no_trade_was_ever_seen_the_middle_of_the_quotes_sets_off_stops() {
    let mut venue = Venue::new();
    venue.market(&update(MarketData::Interrupted));
    venue.market(&quote(level("100", "9"), level("100.02", "9")));
    assert_eq!(venue.place("a", Side::Sell, "1", stop_loss("100.01")), Err(Reject::WouldTrigger));
    venue.place("b", Side::Sell, "1", stop_loss("100")).unwrap();
    venue.told();
    venue.market(&quote(level("99.99", "9"), level("100.01", "9")));
    assert_eq!(venue.told(), ["Entered", "Taker 1@99.99 fee 0.09999 USDT"]);
}

#[test]
fn a_waiting_order_can_be_cancelled_and_never_fires_again() {
    let mut venue = traded();
    venue.place("a", Side::Buy, "2", stop_limit("101", "102")).unwrap();
    venue.exchange.cancel(at(3), US, name("BTCUSDT"), OrderRef::Client("a"), &mut venue.reports).unwrap();
    assert_eq!(venue.balance(US, "USDT"), pair("1000", "0"));
    venue.market(&trade("105", "0.1", false));
    assert_eq!(venue.told(), ["Accepted", "Canceled"]);
}

#[test]
fn an_amend_lowers_the_quantity_and_keeps_the_place_in_the_queue() {
    let mut venue = Venue::new();
    let symbol = name("BTCUSDT");
    let first = venue.place("a", Side::Buy, "3", gtc("100.50")).unwrap();
    venue.submit(THEM, &request("b", Side::Buy, "1", gtc("100.50"))).unwrap();
    venue.told();
    let mut amend =
        |size: &str, id: Option<&str>| venue.exchange.amend(at(4), US, symbol, OrderRef::Id(first), qty(size), id, &mut venue.reports);
    let amended = amend("2", None).unwrap();
    assert_eq!((&*amended.old_client_id, &*amended.client_id, amended.old_qty), ("a", "auto-1-1", qty("3")));
    for (size, reject) in [("2", Reject::AmendSame), ("2.5", Reject::AmendIncrease), ("0", Reject::LotSize), ("0.001", Reject::Notional)] {
        assert_eq!(amend(size, None), Err(reject), "{size}");
    }
    assert_eq!(amend("1.5", Some("auto-1-1")).unwrap().client_id, amended.client_id);
    assert_eq!(venue.balance(US, "USDT"), pair("849.25", "150.75"));
    venue.reports.clear();
    venue.market(&trade("100.50", "2", true));
    let fills: Vec<_> = venue.reports.iter().map(|r| (r.order_id, r.order.filled.to_string())).collect();
    assert_eq!(fills, [(first, "1.5".to_owned()), (OrderId(2), "0.5".to_owned())], "still first in the queue");
    assert_eq!(venue.exchange.amendments(US, symbol, first).len(), 2);
    let gone = venue.exchange.amend(at(5), US, symbol, OrderRef::Id(first), qty("1"), None, &mut venue.reports);
    assert_eq!(gone, Err(Reject::AmendUnknown));
}

#[test]
fn an_order_is_amended_ten_times_and_never_to_what_has_filled() {
    let mut venue = Venue::new();
    let symbol = name("BTCUSDT");
    let id = venue.place("a", Side::Buy, "3", gtc("100.50")).unwrap();
    venue.market(&trade("100.50", "1", true));
    let mut amend = |size: String| venue.exchange.amend(at(4), US, symbol, OrderRef::Id(id), qty(&size), None, &mut venue.reports);
    assert_eq!(amend("1".into()), Err(Reject::AmendFilled));
    for n in 0..10 {
        amend(format!("2.{}", 9 - n)).unwrap();
    }
    assert_eq!(amend("1.5".into()), Err(Reject::TooManyAmends));
    assert_eq!(Reject::TooManyAmends.code(), -2038);
}

#[test]
fn a_restart_keeps_waiting_orders_and_lists_and_what_they_will_do() {
    let mut venue = traded();
    venue.place("stop", Side::Sell, "1", stop_loss("99")).unwrap();
    venue.place("rest", Side::Buy, "1", gtc("99")).unwrap();
    let leg = |id: &str, side, kind| Leg { request: request(id, side, "1", kind), terms: Terms::default() };
    let shape = ListShape::Otoco {
        working: leg("w", Side::Buy, gtc("98")),
        above: leg("above", Side::Sell, maker("104")),
        below: leg("below", Side::Sell, stop_loss("95")),
    };
    let list = ListRequest { client_id: "list".into(), shape };
    venue.exchange.submit_list(at(2), US, &list, &mut venue.reports).unwrap();
    let bytes = bincode::serde::encode_to_vec(&venue.exchange, bincode::config::standard()).unwrap();
    let back: Exchange = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap().0;
    let mut told = Vec::new();
    for mut exchange in [venue.exchange.clone(), back] {
        let mut reports = Vec::new();
        // A book of other quantities forgets what was taken; trades beyond the limits do not ask for places in the queue.
        let book = |bid: &str| {
            update(MarketData::Snapshot(BookSnapshot { last_update_id: 50, bids: vec![level(bid, "7")], asks: vec![level("103", "7")] }))
        };
        for step in [update(MarketData::Interrupted), book("97.5"), trade("97.90", "1", true), trade("94", "1", true)] {
            exchange.on_market(&step, &mut reports);
        }
        exchange.cancel(at(9), US, name("BTCUSDT"), OrderRef::Client("above"), &mut reports).unwrap_err();
        told.push((format!("{reports:?}"), exchange.balances(US), exchange.all_lists(US).into_iter().cloned().collect::<Vec<_>>()));
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].0.contains("OcoTrigger"), "the stop of the pair was reached: {}", told[0].0);
}

#[test]
fn a_stop_that_is_reached_without_a_book_waits_for_the_first_known_one() {
    for restarts in [false, true] {
        let mut venue = traded();
        let list = ListRequest {
            client_id: "list".into(),
            shape: ListShape::Oco {
                above: Leg { request: request("target", Side::Sell, "1", maker("104")), terms: Terms::default() },
                below: Leg { request: request("stop", Side::Sell, "1", stop_loss("99")), terms: Terms::default() },
            },
        };
        venue.exchange.submit_list(at(2), US, &list, &mut venue.reports).unwrap();
        venue.told();
        venue.market(&update(MarketData::Interrupted));
        venue.market(&trade("98", "1", true));
        // Back above the stop: it was reached all the same.
        venue.market(&trade("99.80", "1", true));
        assert!(venue.told().is_empty(), "nobody can say with whom it would trade");
        if restarts {
            let bytes = bincode::serde::encode_to_vec(&venue.exchange, bincode::config::standard()).unwrap();
            venue.exchange = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap().0;
        }
        assert_eq!(venue.exchange.open_orders(US, None).len(), 2, "both stand");
        venue.market(&snapshot());
        let told = venue.told();
        assert!(told.contains(&"Taker 1@100 fee 0.1 USDT".to_owned()), "{told:?}");
        assert!(venue.exchange.open_orders(US, None).is_empty());
        assert_eq!(venue.balance(US, "BTC"), pair("9", "0"));
    }
}

#[test]
fn a_stop_that_was_reached_without_a_book_can_be_cancelled() {
    let mut venue = traded();
    venue.place("a", Side::Sell, "1", stop_loss("99")).unwrap();
    venue.market(&update(MarketData::Interrupted));
    venue.market(&trade("98", "1", true));
    venue.exchange.cancel(at(3), US, name("BTCUSDT"), OrderRef::Client("a"), &mut venue.reports).unwrap();
    venue.market(&snapshot());
    assert_eq!(venue.told(), ["Accepted", "Canceled"]);
    assert_eq!(venue.balance(US, "BTC"), pair("10", "0"));
}
