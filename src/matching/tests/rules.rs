//! Filters and symbol status.

use super::*;

fn with(rules: Rules) -> Venue {
    let mut venue = Venue::new();
    venue.exchange.set_rules(name("BTCUSDT"), rules);
    venue.market(&trade("100", "1", true));
    venue.told();
    venue
}

#[test]
fn each_filter_has_its_code_and_text() {
    let usual = Rules::default;
    let stop = |at: &str| OrderKind::StopLoss { stop: price(at) };
    let cases = [
        (Rules { max_price: price("400"), ..usual() }, request("r", Side::Buy, "1", gtc("400.01")), -1013, "Filter failure: PRICE_FILTER"),
        (Rules { min_price: price("50"), ..usual() }, request("r", Side::Buy, "1", gtc("49.99")), -1013, "Filter failure: PRICE_FILTER"),
        (usual(), request("r", Side::Sell, "1", stop("99.005")), -1013, "Filter failure: PRICE_FILTER"),
        (usual(), request("r", Side::Sell, "1", gtc("500.01")), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (usual(), request("r", Side::Buy, "1", gtc("19.99")), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (
            Rules { market_max_qty: qty("2"), ..usual() },
            request("r", Side::Sell, "2.001", OrderKind::Market),
            -1013,
            "Filter failure: MARKET_LOT_SIZE",
        ),
        (
            Rules { market_step: qty("0.01"), ..usual() },
            request("r", Side::Sell, "1.001", OrderKind::Market),
            -1013,
            "Filter failure: MARKET_LOT_SIZE",
        ),
        (Rules { max_orders: 0, ..usual() }, request("r", Side::Sell, "1", gtc("101")), -1013, "Filter failure: MAX_NUM_ORDERS"),
        (Rules { max_algo_orders: 0, ..usual() }, request("r", Side::Sell, "1", stop("99")), -2010, "Filter failure: MAX_NUM_ALGO_ORDERS"),
        (
            Rules { max_position: Some(qty("10.5")), ..usual() },
            request("r", Side::Buy, "0.501", gtc("99")),
            -1013,
            "Filter failure: MAX_POSITION",
        ),
    ];
    for (rules, wanted, code, text) in cases {
        let mut venue = with(rules);
        let reject = venue.submit(US, &wanted).unwrap_err();
        assert_eq!((reject.code(), reject.message().as_str()), (code, text), "{wanted:?}");
        assert_eq!(venue.exchange.would_accept(US, &wanted, Terms::default()), Err(reject));
        assert_eq!(venue.exchange.screen(US, &wanted), Err(reject), "filters and counts are screened without funds");
    }
    let mut venue = with(usual());
    for (side, edge) in [(Side::Sell, "500"), (Side::Buy, "20")] {
        venue.place("edge", side, "1", gtc(edge)).unwrap();
        venue.exchange.cancel(at(1), US, name("BTCUSDT"), OrderRef::Client("edge"), &mut venue.reports).unwrap();
    }
}

#[test]
fn the_sixth_waiting_order_is_one_too_many() {
    let mut venue = with(Rules::default());
    let stop = OrderKind::StopLoss { stop: price("90") };
    for n in 0..5 {
        venue.place(&format!("s{n}"), Side::Sell, "1", stop).unwrap();
    }
    assert_eq!(venue.place("s5", Side::Sell, "1", stop), Err(Reject::TooManyAlgoOrders));
    venue.place("plain", Side::Sell, "1", gtc("101")).unwrap();
}

#[test]
fn the_twenty_first_list_is_one_too_many() {
    let mut venue = with(Rules { max_algo_orders: 99, ..Rules::default() });
    let leg = |id: String, kind| Leg { request: request(&id, Side::Sell, "0.1", kind), terms: Terms::default() };
    let mut list = |n: usize| {
        let (above, below) = (leg(format!("a{n}"), maker("103")), leg(format!("b{n}"), OrderKind::StopLoss { stop: price("90") }));
        let request = ListRequest { client_id: String::new(), shape: ListShape::Oco { above, below } };
        venue.exchange.submit_list(at(2), US, &request, &mut venue.reports)
    };
    for n in 0..20 {
        list(n).unwrap();
    }
    assert_eq!(list(20), Err(Reject::TooManyLists));
}

#[test]
fn each_status_takes_what_it_names() {
    use SymbolStatus::{Break, CancelOnly, EndOfDay, Halt, Trading};
    for (status, order, cancels) in [
        (Trading, None, true),
        (Halt, Some("Market is closed."), false),
        (Break, Some("Market is closed."), false),
        (CancelOnly, Some("This order type is not possible in this trading phase."), true),
        (EndOfDay, Some("Market is closed."), true),
    ] {
        let mut venue = with(Rules::default());
        let symbol = name("BTCUSDT");
        venue.place("resting", Side::Buy, "1", gtc("99")).unwrap();
        venue.exchange.set_status(symbol, status);
        let refused = venue.place("new", Side::Buy, "1", gtc("98")).err();
        assert_eq!(refused.map(|reject| reject.message()).as_deref(), order, "{status:?}");
        assert!(refused.is_none_or(|reject| reject.code() == -2010));
        venue.told();
        venue.market(&trade("97", "1", true));
        assert_eq!(venue.told().is_empty(), status != Trading, "nothing fills while {status:?}");
        if status != Trading {
            let canceled = venue.exchange.cancel(at(3), US, symbol, OrderRef::Client("resting"), &mut venue.reports);
            assert_eq!(canceled.is_ok(), cancels, "{status:?}");
            assert!(cancels || canceled == Err(Reject::CancelClosed));
        }
    }
}

#[test]
fn the_largest_notional_binds_market_orders_only_where_the_rules_say_so() {
    let mut venue = with(Rules::default());
    venue.exchange.set_instrument(Instrument { max_notional: "150".parse().unwrap(), ..btc() });
    assert_eq!(venue.place("limit", Side::Sell, "2", gtc("101")), Err(Reject::Notional));
    venue.place("market", Side::Sell, "2", OrderKind::Market).unwrap();
    venue.exchange.set_rules(name("BTCUSDT"), Rules { max_notional_binds_market: true, ..Rules::default() });
    assert_eq!(venue.place("market", Side::Sell, "2", OrderKind::Market), Err(Reject::Notional));
}
