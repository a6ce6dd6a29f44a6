//! News that comes late, twice, or against what was concluded meanwhile.

use huracan::domain::{ClientOrderId, NewOrder, OrderId, OrderStatus, Price, Qty, Role, RunId, Side, Span, Symbol, TradeId};
use huracan::engine::Settings;
use huracan::protocol::{Command, Event, OrderState, Record, Request, TradingState, VenueEvent, VenueFill, VenueOrder, VenueRefusal};
use huracan::trading::execution::Phase;

use crate::desk::{Desk, settings};

const THERE: OrderId = OrderId(77);

fn one_market() -> Settings {
    Settings { symbols: vec!["BTCUSDT".parse().unwrap()], ..settings() }
}

fn stated(order: &NewOrder, status: OrderStatus, filled: Qty, desk: &Desk) -> VenueEvent {
    let NewOrder { id, symbol, side, qty, .. } = *order;
    VenueEvent::Order(VenueOrder { id, order_id: THERE, symbol, side, status, qty, filled, at: desk.now() })
}

/// Cancels of one order since the request of number `from`.
fn cancels(desk: &Desk, from: usize, id: ClientOrderId) -> usize {
    let of_it = |r: &&Request| matches!(r, Request::Cancel { id: other, order_id, .. } if *other == id && *order_id == Some(THERE));
    desk.requests()[from..].iter().filter(of_it).count()
}

/// A desk that has sent an entry, heard nothing for a minute, and then that there is no such order.
fn given_up() -> (Desk, NewOrder) {
    let mut desk = Desk::with(51, one_market(), huracan::protocol::ModelRole::Shadow);
    desk.deaf = true;
    desk.run_until("an entry", |d| !d.openings().is_empty());
    let order = desk.openings()[0];
    desk.run(62);
    desk.apply(Event::Venue(VenueEvent::Missing { id: order.id }));
    let state = desk.records().into_iter().rev().find_map(|record| match record {
        Record::Order(kept) if kept.order.id == order.id => Some(kept.state),
        _ => None,
    });
    assert_eq!(state, Some(huracan::protocol::OrderState::Rejected));
    (desk, order)
}

#[test]
fn an_order_that_comes_alive_after_it_was_given_up_is_cancelled() {
    type Word = fn(&NewOrder, &Desk) -> VenueEvent;
    let words: [Word; 3] = [
        |order, desk| stated(order, OrderStatus::Open, Qty::ZERO, desk),
        |order, desk| stated(order, OrderStatus::PartiallyFilled, Qty::from_raw(1_000), desk),
        |order, desk| VenueEvent::Accepted { id: order.id, order_id: THERE, at: desk.now() },
    ];
    for (number, word) in words.into_iter().enumerate() {
        let (mut desk, order) = given_up();
        let before = desk.requests().len();
        let news = word(&order, &desk);
        desk.apply(Event::Venue(news.clone()));
        assert_eq!(cancels(&desk, before, order.id), 1, "word {number}");
        assert!(desk.session.engine.view().alerts.iter().any(|a| a.text.contains("came alive")), "word {number}: nobody is told");
        desk.apply(Event::Venue(news.clone()));
        assert_eq!(cancels(&desk, before, order.id), 1, "word {number}: its cancel is on its way");
        desk.run(3);
        desk.apply(Event::Venue(news));
        assert_eq!(cancels(&desk, before, order.id), 2, "word {number}: the first cancel was lost");
        // Whatever it bought meanwhile is ours to manage.
        let bought =
            VenueFill { trade_id: TradeId(900), ..fill(order.id, order.symbol, Side::Buy, desk.session.engine.marks()[&order.symbol]) };
        let fills = desk.session.engine.counters().fills;
        desk.apply(Event::Venue(VenueEvent::Fill(bought)));
        assert_eq!(desk.session.engine.counters().fills, fills + 1);
        assert_eq!(desk.pnl().net_pnl, desk.pnl().ledger_net_pnl);
    }
}

#[test]
fn an_open_order_that_is_ours_but_not_in_the_book_is_cancelled_and_a_known_one_is_not() {
    let mut desk = Desk::with(52, one_market(), huracan::protocol::ModelRole::Shadow);
    desk.run_until("a resting entry", |d| d.session.engine.view().orders.iter().any(|o| o.state == huracan::protocol::OrderState::Open));
    desk.deaf = true;
    let known = desk.openings().pop().unwrap();
    let (before, forgotten) = (desk.requests().len(), NewOrder { id: ClientOrderId { run: RunId(3), sequence: 9 }, ..known });
    for order in [known, forgotten] {
        let news = stated(&order, OrderStatus::Open, Qty::ZERO, &desk);
        desk.apply(Event::Venue(news));
    }
    assert_eq!((cancels(&desk, before, known.id), cancels(&desk, before, forgotten.id)), (0, 1));
}

/// A fill without a commission, of a thousandth.
fn fill(id: ClientOrderId, symbol: Symbol, side: Side, price: Price) -> VenueFill {
    VenueFill {
        id,
        order_id: THERE,
        trade_id: TradeId(id.sequence),
        symbol,
        side,
        price,
        qty: "0.001".parse().unwrap(),
        role: Role::Maker,
        fee: Qty::ZERO,
        fee_asset: "USDT".parse().unwrap(),
        at: huracan::domain::Timestamp::EPOCH,
    }
}

/// The `n`th of a long row of fills of orders that are in no book: bought, sold, bought, sold.
fn stray(n: u64) -> VenueFill {
    let side = if n.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    fill(ClientOrderId { run: RunId(3), sequence: 1_000 + n }, "BTCUSDT".parse().unwrap(), side, "60000".parse().unwrap())
}

#[test]
fn a_fill_repeated_a_thousand_fills_later_changes_nothing() {
    let mut desk = Desk::closed(53, one_market());
    desk.open(None);
    desk.clock();
    desk.connect();
    (0..1_000).for_each(|n| desk.apply(Event::Venue(VenueEvent::Fill(stray(n)))));
    assert_eq!(desk.session.engine.counters().fills, 1_000);
    let (before, kept) = (desk.session.engine.snapshot(), desk.records().len());
    for repeated in [0, 1, 2, 499, 700, 900, 999] {
        desk.apply(Event::Venue(VenueEvent::Fill(stray(repeated))));
        assert!(desk.session.engine.snapshot() == before, "fill {repeated} was booked again");
    }
    assert_eq!(desk.records().len(), kept, "nothing is recorded again");
    desk.apply(Event::Venue(VenueEvent::Fill(stray(1_000))));
    assert_eq!(desk.session.engine.counters().fills, 1_001, "a new one counts");
}

#[test]
fn an_order_knows_its_own_fills_however_many_others_came_between() {
    let mut desk = Desk::with(54, one_market(), huracan::protocol::ModelRole::Shadow);
    desk.run_until("a resting entry", |d| d.session.engine.view().orders.iter().any(|o| o.state == huracan::protocol::OrderState::Open));
    desk.deaf = true;
    let order = desk.openings().pop().unwrap();
    let part = |trade: u64| VenueFill {
        trade_id: TradeId(trade),
        qty: "0.00001".parse().unwrap(),
        ..fill(order.id, order.symbol, Side::Buy, order.kind.price().unwrap())
    };
    let filled = |desk: &Desk| desk.session.engine.snapshot().orders.get(order.id).unwrap().filled;
    assert_eq!(filled(&desk), Qty::ZERO);
    desk.apply(Event::Venue(VenueEvent::Fill(part(500))));
    (0..600).for_each(|n| desk.apply(Event::Venue(VenueEvent::Fill(stray(n)))));
    let before = desk.session.engine.snapshot();
    desk.apply(Event::Venue(VenueEvent::Fill(part(500))));
    assert!(desk.session.engine.snapshot() == before, "its first fill was booked again");
    assert_eq!(filled(&desk).to_string(), "0.00001");
    let fills = desk.session.engine.counters().fills;
    desk.apply(Event::Venue(VenueEvent::Fill(part(499))));
    assert_eq!(desk.session.engine.counters().fills, fills + 1, "an older one that it never had is booked");
    assert_eq!(filled(&desk).to_string(), "0.00002", "and the order has both");
}

#[test]
fn refused_exits_are_tried_less_and_less_often_and_at_once_when_a_person_asks() {
    let mut settings = one_market();
    // The loss limit of a trade asks to leave, too: it must not wear down the pauses.
    settings.limits.max_trade_loss = "0.0001".parse().ok();
    let mut desk = Desk::with(55, settings, huracan::protocol::ModelRole::Shadow);
    desk.run_until("a resting target", |d| {
        d.trades().iter().any(|t| t.phase == Phase::Holding) && d.session.engine.view().orders.iter().any(|o| o.purpose == "target")
    });
    desk.deaf = true;
    let guard: Vec<_> = desk.session.engine.snapshot().orders.live().map(|o| o.new).collect();
    let mut seen = desk.requests().len();
    desk.command(Command::Flatten);
    for order in guard {
        let ended = stated(&order, OrderStatus::Canceled, Qty::ZERO, &desk);
        desk.apply(Event::Venue(ended));
    }
    // The venue refuses every sale.
    let mut refuse = |desk: &mut Desk, tries: &mut Vec<i64>| {
        let requests = desk.requests();
        for request in &requests[seen..] {
            if let Request::Place { order, .. } | Request::Replace { order, .. } = request {
                assert!(order.side == Side::Sell);
                tries.push(desk.now().millis());
                let message = "not today".to_owned();
                desk.apply(Event::Venue(VenueEvent::Refused { id: order.id, reason: VenueRefusal::Other, message }));
            }
        }
        seen = requests.len();
    };
    let (mut tries, until) = (Vec::new(), desk.now() + Span::from_secs(100));
    while desk.now() < until {
        refuse(&mut desk, &mut tries);
        desk.step();
    }
    let pauses: Vec<i64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let expected = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000];
    assert_eq!(pauses.len(), expected.len(), "{pauses:?}");
    for (pause, expected) in pauses.iter().zip(expected) {
        assert!((expected..expected + 500).contains(pause), "{pauses:?}");
    }
    desk.command(Command::Flatten);
    let asked = tries.len();
    refuse(&mut desk, &mut tries);
    assert_eq!(tries.len(), asked + 1, "whoever asks again gets a try at once");
}

#[test]
fn an_entry_that_somebody_else_cancelled_ends_and_trading_goes_on() {
    let mut desk = Desk::with(55, one_market(), huracan::protocol::ModelRole::Shadow);
    let resting = |d: &Desk| {
        let known = d.openings();
        let open = d.session.engine.view().orders.into_iter().find(|o| o.state == OrderState::Open && known.iter().any(|k| k.id == o.id));
        open.and_then(|open| known.into_iter().find(|k| k.id == open.id))
    };
    for round in 0..4 {
        desk.run_until("an entry rests", |d| resting(d).is_some());
        let entry = resting(&desk).unwrap();
        // Nobody here asked for it: the venue's word is the first that is heard of it.
        let now = desk.now();
        assert!(desk.session.venue.send(now, Request::Cancel { id: entry.id, symbol: entry.symbol, order_id: None }));
        desk.run_until("it ended", |d| d.session.engine.snapshot().open_orders().iter().all(|(id, _)| *id != entry.id));
        assert_eq!(cancels(&desk, 0, entry.id), 0, "round {round}: what has ended is not cancelled");
        assert_eq!(desk.session.engine.view().trading, TradingState::Active, "round {round}");
        assert_eq!(desk.pnl().net_pnl, desk.pnl().ledger_net_pnl, "round {round}");
    }
    let trades = desk.costs().len();
    desk.run_until("trades", |d| d.costs().len() >= trades + 2);
    desk.command(Command::Flatten);
    desk.run(20);
    assert!(desk.trades().is_empty(), "{:?}", desk.trades());
    assert_eq!(desk.pnl().net_pnl, Some(desk.venue_pnl()));
}

#[test]
fn an_order_that_the_venue_has_put_away_has_ended_and_is_told() {
    let mut desk = Desk::with(51, one_market(), huracan::protocol::ModelRole::Shadow);
    desk.deaf = true;
    desk.run_until("an entry", |d| !d.openings().is_empty());
    let order = desk.openings()[0];
    desk.apply(Event::Venue(VenueEvent::Archived { id: order.id }));
    let kept = desk.records().into_iter().rev().find_map(|record| match record {
        Record::Order(kept) if kept.order.id == order.id => Some(kept.state),
        _ => None,
    });
    assert_eq!(kept, Some(OrderState::Expired));
    assert!(desk.session.engine.view().alerts.iter().any(|a| a.text.contains(&order.id.to_string())), "nobody is told");
}
