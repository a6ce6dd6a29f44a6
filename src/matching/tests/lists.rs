//! Orders that live by each other's fate.

use super::*;
use crate::domain::{ListKind, ListStatus, OrderListId};

fn leg(id: &str, side: Side, size: &str, kind: OrderKind) -> Leg {
    Leg { request: request(id, side, size, kind), terms: Terms::default() }
}
fn stop_limit(stop: &str, at: &str) -> OrderKind {
    OrderKind::StopLossLimit { stop: price(stop), price: price(at), time_in_force: TimeInForce::Gtc }
}
fn stop_loss(at: &str) -> OrderKind {
    OrderKind::StopLoss { stop: price(at) }
}
fn sell_oco(size: &str) -> ListShape {
    ListShape::Oco { above: leg("above", Side::Sell, size, maker("103")), below: leg("below", Side::Sell, size, stop_loss("99")) }
}
fn otoco() -> ListShape {
    ListShape::Otoco {
        working: leg("w", Side::Buy, "2", gtc("100.50")),
        above: leg("above", Side::Sell, "1.9", maker("104")),
        below: leg("below", Side::Sell, "1.9", stop_loss("98")),
    }
}

impl Venue {
    fn list(&mut self, shape: ListShape) -> Result<OrderListId, Reject> {
        let request = ListRequest { client_id: "list".into(), shape };
        self.exchange.submit_list(at(2), US, &request, &mut self.reports)
    }
    fn traded() -> Self {
        let mut venue = Self::new();
        venue.market(&trade("100.50", "0.001", true));
        venue
    }
    fn state(&self, client_id: &str) -> (OrderStatus, Phase, Option<Expiry>) {
        let order = self.exchange.order(US, name("BTCUSDT"), OrderRef::Client(client_id)).unwrap();
        (order.status, order.phase, order.expiry)
    }
    fn list_status(&self) -> ListStatus {
        self.exchange.order_list(US, ListRef::Client("list")).unwrap().status
    }
}

#[test]
fn a_sell_oco_locks_its_quantity_once() {
    let mut venue = Venue::traded();
    venue.list(sell_oco("6")).unwrap();
    assert_eq!(venue.told(), ["List Started", "Accepted", "Accepted"]);
    assert_eq!(venue.balance(US, "BTC"), pair("4", "6"));
    assert_eq!(venue.place("x", Side::Sell, "4.001", gtc("104")), Err(Reject::InsufficientBalance));
}

#[test]
fn a_buy_oco_locks_the_dearer_of_its_orders() {
    let mut venue = Venue::traded();
    let above = leg("above", Side::Buy, "2", stop_limit("103", "104"));
    let below = leg("below", Side::Buy, "2", maker("99.20"));
    venue.list(ListShape::Oco { above, below }).unwrap();
    assert_eq!(venue.balance(US, "USDT"), pair("792", "208"));
    venue.told();
    venue.market(&trade("99.20", "0.5", true));
    assert_eq!(venue.told(), ["Expired(OcoTrigger)", "Maker 0.5@99.2 fee -0.00005 BTC"], "one order's partial fill ends the other");
    assert_eq!(venue.balance(US, "USDT"), pair("801.6", "148.8"), "then only the limit order's rest is locked");
    assert_eq!(venue.list_status(), ListStatus::Executing);
    venue.market(&trade("99.10", "9", true));
    assert_eq!(venue.told(), ["Maker 1.5@99.2 fee -0.00015 BTC", "List Done"]);
    assert_eq!(venue.list_status(), ListStatus::AllDone);
}

#[test]
fn a_reached_stop_ends_the_limit_order_of_its_pair() {
    let mut venue = Venue::traded();
    venue.list(sell_oco("1")).unwrap();
    venue.told();
    venue.market(&trade("99", "0.1", true));
    assert_eq!(venue.told(), ["Expired(OcoTrigger)", "Entered", "Taker 1@100 fee 0.1 USDT", "List Done"]);
    assert_eq!(venue.balance(US, "BTC"), pair("9", "0"));
    assert_eq!(venue.state("above").2, Some(Expiry::OcoTrigger));
}

#[test]
fn cancelling_one_order_cancels_the_list() {
    for client_id in ["above", "below"] {
        let mut venue = Venue::traded();
        venue.list(sell_oco("1")).unwrap();
        venue.told();
        let canceled = venue.exchange.cancel(at(3), US, name("BTCUSDT"), OrderRef::Client(client_id), &mut venue.reports).unwrap();
        assert_eq!((&*canceled.client_id, canceled.status), (client_id, OrderStatus::Canceled));
        assert_eq!(venue.told(), ["Canceled", "Canceled", "List Done"]);
        assert_eq!(venue.balance(US, "BTC"), pair("10", "0"));
    }
    let mut venue = Venue::traded();
    let id = venue.list(otoco()).unwrap();
    venue.told();
    let list = venue.exchange.cancel_list(at(3), US, name("BTCUSDT"), ListRef::Id(id), &mut venue.reports).unwrap();
    assert_eq!((list.kind, list.status, list.legs.len()), (ListKind::Oto, ListStatus::AllDone, 3));
    assert_eq!(venue.told(), ["Canceled", "Canceled", "Canceled", "List Done"]);
    let again = venue.exchange.cancel_list(at(3), US, name("BTCUSDT"), ListRef::Id(id), &mut venue.reports);
    assert_eq!(again, Err(Reject::UnknownOrder));
}

#[test]
fn pending_orders_go_live_only_when_the_working_order_has_filled_as_a_whole() {
    let mut venue = Venue::traded();
    venue.list(otoco()).unwrap();
    assert_eq!(venue.told(), ["List Started", "Accepted", "Accepted", "Accepted"]);
    assert_eq!(venue.balance(US, "BTC"), pair("10", "0"), "pending orders lock nothing");
    venue.market(&trade("100.50", "1", true));
    assert_eq!(venue.state("above"), (OrderStatus::Open, Phase::Pending, None));
    venue.told();
    venue.market(&trade("100.40", "1", true));
    assert_eq!(venue.told(), ["Maker 1@100.5 fee -0.0001 BTC", "Entered", "Entered"]);
    assert_eq!((venue.state("above").1, venue.state("below").1), (Phase::Working, Phase::Waiting));
    assert_eq!(venue.balance(US, "BTC"), pair("10.1002", "1.9"));
    venue.market(&trade("104.01", "1", false));
    assert_eq!(venue.told(), ["Expired(OcoTrigger)", "Maker 1.9@104 fee -0.01976 USDT", "List Done"]);
}

#[test]
fn a_working_order_that_fills_at_once_makes_its_pending_order_live_after_its_fills() {
    let mut venue = Venue::traded();
    let pending = leg("p", Side::Sell, "1", OrderKind::Market);
    venue.list(ListShape::Oto { working: leg("w", Side::Buy, "1", gtc("101")), pending }).unwrap();
    assert_eq!(
        venue.told(),
        ["List Started", "Accepted", "Accepted", "Taker 1@101 fee 0.001 BTC", "Entered", "Taker 1@100 fee 0.1 USDT", "List Done"]
    );
}

#[test]
fn pending_orders_expire_with_a_working_order_that_did_not_fill() {
    let mut venue = Venue::traded();
    let working = leg("w", Side::Buy, "3", limit("101", TimeInForce::Fok));
    venue.list(ListShape::Oto { working, pending: leg("p", Side::Sell, "3", maker("104")) }).unwrap();
    assert_eq!(venue.told(), ["List Started", "Accepted", "Accepted", "Expired(UnfilledFok)", "Expired(PhaseOne)", "List Done"]);
    assert_eq!(venue.state("p"), (OrderStatus::Expired, Phase::Pending, Some(Expiry::PhaseOne)));
}

#[test]
fn pending_orders_that_a_rule_refuses_at_their_turn_expire() {
    let mut venue = Venue::traded();
    venue.list(otoco()).unwrap();
    venue.told();
    venue.market(&trade("97", "1", true));
    assert_eq!(
        venue.told(),
        ["Maker 2@100.5 fee -0.0002 BTC", "Expired(RefusedOnEntry)", "Expired(RefusedOnEntry)", "List Done"],
        "the stop at 98 was passed already"
    );
}

#[test]
fn each_unfit_list_has_its_refusal() {
    use Reject::{
        BadList, BuyLimitAbove, BuyStopBelow, BuyTakeProfitAbove, DuplicateClientId, InsufficientBalance, OcoBothLimit, OcoPrices, OcoType,
        SellLimitBelow, SellStopAbove, SellTakeProfitBelow, WorkingType,
    };
    let profit = |at: &str| OrderKind::TakeProfit { stop: price(at) };
    let oco = |side, above, below| ListShape::Oco { above: leg("a", side, "1", above), below: leg("b", side, "1", below) };
    let cases = [
        (oco(Side::Sell, maker("103"), stop_loss("101")), OcoPrices, -2010),
        (oco(Side::Sell, maker("100.40"), stop_loss("99")), OcoPrices, -2010),
        (oco(Side::Buy, stop_loss("100.50"), maker("99")), OcoPrices, -2010),
        (oco(Side::Sell, maker("103"), maker("102")), OcoBothLimit, -1168),
        (oco(Side::Sell, gtc("103"), stop_loss("99")), OcoType, -1158),
        (oco(Side::Buy, stop_loss("103"), stop_loss("99")), BuyStopBelow, -1196),
        (oco(Side::Buy, maker("103"), stop_loss("99")), BuyLimitAbove, -1165),
        (oco(Side::Buy, maker("103"), profit("99")), BuyLimitAbove, -1165),
        (oco(Side::Sell, stop_loss("103"), maker("99")), SellLimitBelow, -1166),
        (oco(Side::Sell, stop_loss("103"), stop_loss("99")), SellStopAbove, -1197),
        (oco(Side::Buy, profit("103"), profit("99")), BuyTakeProfitAbove, -1198),
        (oco(Side::Sell, profit("103"), profit("99")), SellTakeProfitBelow, -1199),
        (sell_oco("11"), InsufficientBalance, -2010),
        (
            ListShape::Oco { above: leg("a", Side::Sell, "1", maker("103")), below: leg("b", Side::Sell, "2", stop_loss("99")) },
            BadList,
            -1128,
        ),
        (
            ListShape::Oco { above: leg("a", Side::Sell, "1", maker("103")), below: leg("a", Side::Sell, "1", stop_loss("99")) },
            DuplicateClientId,
            -2010,
        ),
        (
            ListShape::Oto { working: leg("a", Side::Buy, "1", OrderKind::Market), pending: leg("b", Side::Sell, "1", maker("103")) },
            WorkingType,
            -1159,
        ),
    ];
    let mut venue = Venue::traded();
    let before = venue.exchange.balances(US);
    for (shape, reject, code) in cases {
        assert_eq!(venue.list(shape.clone()), Err(reject), "{shape:?}");
        assert_eq!((reject.code(), venue.told()), (code, vec![format!("Rejected({reject:?})")]));
    }
    assert_eq!(venue.exchange.balances(US), before);
    assert!(venue.exchange.all_lists(US).is_empty());
}

#[test]
fn an_amend_of_one_of_a_pair_lowers_both_and_tells_of_the_new_name() {
    let mut venue = Venue::traded();
    venue.list(sell_oco("2")).unwrap();
    venue.told();
    venue.exchange.amend(at(3), US, name("BTCUSDT"), OrderRef::Client("above"), qty("1"), Some("up"), &mut venue.reports).unwrap();
    assert_eq!(venue.told(), ["Amended { old_client_id: \"above\" }", "Amended { old_client_id: \"below\" }", "List Renamed"]);
    assert_eq!(venue.balance(US, "BTC"), pair("9", "1"));
    let legs = &venue.exchange.order_list(US, ListRef::Client("list")).unwrap().legs;
    assert_eq!([&*legs[0].1, &*legs[1].1], ["up", "below"]);
}

#[test]
fn open_and_all_lists_are_told_apart() {
    let mut venue = Venue::traded();
    let id = venue.list(sell_oco("1")).unwrap();
    assert_eq!(venue.list(sell_oco("1")), Err(Reject::DuplicateClientId));
    assert_eq!(venue.exchange.open_lists(US, None).len(), 1);
    assert!(venue.exchange.open_lists(THEM, None).is_empty() && venue.exchange.order_list(THEM, ListRef::Id(id)).is_none());
    venue.exchange.cancel_list(at(3), US, name("BTCUSDT"), ListRef::Client("list"), &mut venue.reports).unwrap();
    assert!(venue.exchange.open_lists(US, None).is_empty());
    assert_eq!(venue.exchange.all_lists(US).len(), 1);
}
