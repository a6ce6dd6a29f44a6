//! Where an order would trade with one of its own account.

use super::*;

/// A resting sell of 2 at 101.50, then a buy of 3 up to 102 under `mode`; what was told of the buy and after.
fn meet(mode: Option<SelfTradeMode>) -> (Vec<String>, Venue) {
    let mut venue = Venue::new();
    venue.place("resting", Side::Sell, "2", maker("101.50")).unwrap();
    venue.told();
    let wanted = request("taking", Side::Buy, "3", gtc("102"));
    venue.exchange.place(at(2), US, &wanted, Terms { self_trade: mode, ..Terms::default() }, &mut venue.reports).unwrap();
    let short = |text: String| text.split([' ', '(']).take(2).collect::<Vec<_>>().join(" ");
    (venue.told().into_iter().map(short).collect(), venue)
}

#[test]
fn each_mode_ends_the_orders_that_it_names() {
    use SelfTradeMode::{ExpireBoth, ExpireMaker, ExpireTaker};
    for (mode, told) in [
        (None, vec!["Accepted", "Taker 1@101", "Prevented Prevention", "Taker 2@102"]),
        (Some(ExpireMaker), vec!["Accepted", "Taker 1@101", "Prevented Prevention", "Taker 2@102"]),
        (Some(ExpireTaker), vec!["Accepted", "Taker 1@101", "Prevented Prevention"]),
        (Some(ExpireBoth), vec!["Accepted", "Taker 1@101", "Prevented Prevention", "Prevented Prevention"]),
        (Some(SelfTradeMode::None), vec!["Accepted", "Taker 1@101", "Taker 2@101.5", "Maker 2@101.5"]),
    ] {
        assert_eq!(meet(mode).0, told, "{mode:?}");
    }
}

#[test]
fn a_prevented_match_is_remembered_with_what_each_side_lost() {
    let (_, venue) = meet(Some(SelfTradeMode::ExpireBoth));
    let found: Vec<_> = venue.exchange.prevented_matches(US, name("BTCUSDT")).collect();
    assert_eq!((found.len(), found[0].taker, found[0].maker), (1, OrderId(2), OrderId(1)));
    assert_eq!((found[0].taker_qty, found[0].maker_qty, found[0].price), (qty("2"), qty("2"), price("101.50")));
    for id in [1, 2] {
        let order = venue.order(OrderId(id));
        assert_eq!((order.status, order.expiry, order.prevented), (OrderStatus::Expired, Some(Expiry::SelfTrade), qty("2")));
    }
    let balances: Vec<_> = venue.exchange.balances(US).iter().map(|b| b.locked).collect();
    assert_eq!(balances, [Qty::ZERO, Qty::ZERO]);
}

#[test]
fn a_post_only_order_that_would_meet_its_own_account_is_refused() {
    let mut venue = Venue::new();
    venue.place("a", Side::Sell, "2", maker("100.80")).unwrap();
    assert_eq!(venue.place("b", Side::Buy, "1", maker("100.80")), Err(Reject::WouldTake));
}

#[test]
fn own_orders_do_not_make_a_fill_or_kill_whole() {
    let mut venue = Venue::new();
    venue.place("a", Side::Sell, "2", maker("101.50")).unwrap();
    venue.place("b", Side::Buy, "3", limit("101.80", TimeInForce::Fok)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Accepted", "Expired(UnfilledFok)"]);
    assert_eq!(venue.exchange.open_orders(US, None).len(), 1, "nothing was taken, so nothing was prevented");
}

#[test]
fn two_customers_trade_by_price_then_time() {
    let mut venue = Venue::new();
    let third = AccountId(3);
    venue.exchange.open_account(third, &[(name("USDT"), qty("1000"))]);
    venue.place("late-cheap", Side::Sell, "1", maker("100.60")).unwrap();
    venue.submit(THEM, &request("first", Side::Sell, "1", maker("100.50"))).unwrap();
    venue.place("second", Side::Sell, "1", maker("100.50")).unwrap();
    venue.told();
    venue.submit(third, &request("buy", Side::Buy, "2.5", gtc("100.60"))).unwrap();
    let makers: Vec<_> = venue
        .reports
        .iter()
        .filter(|report| report.account != third)
        .map(|report| (report.client_id.to_string(), report.order.filled.to_string()))
        .collect();
    let expected = [("first", "1"), ("second", "1"), ("late-cheap", "0.5")];
    assert_eq!(makers, expected.map(|(id, size)| (id.to_owned(), size.to_owned())));
    let fees: Qty = venue.exchange.trades(third, name("BTCUSDT"), TradeFilter::default()).iter().map(|t| t.fee).sum();
    assert_eq!(venue.balance(third, "BTC").0, (qty("2.5") - fees).to_string());
}
