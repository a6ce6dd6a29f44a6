//! Bad days: the price jumps, numbers are zero, the disk dies while a position is open.

use huracan::domain::{Level, MarketData, MarketUpdate, OrderKind, Price, Qty, Side, Span, Symbol};
use huracan::matching::Phase;
use huracan::protocol::{Effect, Event, Probe, Request, TradingState};
use huracan::trading::execution;

use crate::desk::Desk;

/// What stands or waits at the venue in a market.
fn standing(desk: &Desk, symbol: Symbol) -> Vec<(String, Phase, Qty)> {
    desk.session.venue.open_orders(symbol).iter().map(|o| (o.client_id.to_string(), o.phase, o.remaining())).collect()
}

fn moved(price: Price, percent: i64) -> Price {
    let raw = i128::from(price.raw()) * i128::from(100 + percent) / 100;
    // On the grid of every market here.
    Price::from_raw(i64::try_from(raw / 1_000_000 * 1_000_000).unwrap())
}

fn jumped(mut update: MarketUpdate, percent: i64) -> MarketUpdate {
    let levels = |levels: &mut Vec<Level>| levels.iter_mut().for_each(|l| l.price = moved(l.price, percent));
    match &mut update.data {
        MarketData::Trade(trade) => trade.price = moved(trade.price, percent),
        MarketData::Quote(quote) => [&mut quote.bid, &mut quote.ask].into_iter().for_each(|l| l.price = moved(l.price, percent)),
        MarketData::Depth(diff) => [&mut diff.bids, &mut diff.asks].into_iter().for_each(levels),
        MarketData::Snapshot(book) => [&mut book.bids, &mut book.asks].into_iter().for_each(levels),
        _ => {}
    }
    update
}

fn holding(desk: &Desk) -> bool {
    desk.trades().iter().any(|t| t.phase == execution::Phase::Holding && t.held().is_positive())
}

/// A whole market that stands elsewhere from one moment to the next: every book is stated anew.
fn jump(desk: &mut Desk, percent: i64) {
    for symbol in desk.session.engine.settings().symbols.clone() {
        let at = desk.now();
        let book = desk.flow.snapshot(symbol, at).unwrap();
        let update = MarketUpdate { symbol, exchange_time: None, local_time: at, data: MarketData::Snapshot(book) };
        desk.session.market(jumped(update, percent));
    }
}

#[test]
fn a_jump_of_thirty_percent_ends_the_positions_and_the_books_still_agree() {
    for percent in [-30, 30] {
        let mut desk = Desk::ready(71);
        desk.run_until("a holding", holding);
        let closed = desk.session.engine.counters().trades_closed;
        desk.lens = if percent < 0 { |u| Some(jumped(u, -30)) } else { |u| Some(jumped(u, 30)) };
        jump(&mut desk, percent);
        desk.run(90);
        assert!(desk.session.engine.counters().trades_closed > closed, "{percent} %: the bracket ends what was held");
        let pnl = desk.pnl();
        assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl, "{percent} %");
        assert!(pnl.net_pnl.is_some());
    }
}

#[test]
fn zeros_in_the_market_change_nothing_but_the_count_of_bad_data() {
    let mut desk = Desk::ready(72);
    desk.run_until("a holding", holding);
    let symbol = desk.trades()[0].symbol;
    let zero = Level { price: Price::ZERO, qty: Qty::ZERO };
    let trade =
        huracan::domain::PublicTrade { id: huracan::domain::TradeId(u64::MAX), price: Price::ZERO, qty: Qty::ZERO, buyer_is_maker: true };
    let bad = [
        // Alone, on a good book; the others make it a bad one.
        MarketData::Trade(trade),
        MarketData::Quote(huracan::domain::Quote { update_id: u64::MAX, bid: zero, ask: zero }),
        MarketData::Trade(trade),
        MarketData::Snapshot(huracan::domain::BookSnapshot { last_update_id: u64::MAX, bids: vec![zero], asks: vec![zero] }),
    ];
    for data in bad {
        let at = desk.now();
        let (before, guards) = (desk.requests().len(), standing(&desk, symbol));
        assert!(guards.iter().any(|(_, phase, _)| *phase == Phase::Waiting), "a stop waits there: {guards:?}");
        let told = format!("{data:?}");
        desk.session.market(MarketUpdate { symbol, exchange_time: None, local_time: at, data });
        assert_eq!(standing(&desk, symbol), guards, "{told}");
        // The venue's news has come when this has passed.
        desk.session.advance(at + Span::from_millis(120));
        assert_eq!(standing(&desk, symbol), guards, "{told}");
        let sold = desk.requests()[before..].iter().any(|r| matches!(r, Request::Replace { .. } | Request::Place { opening: false, .. }));
        assert!(!sold, "nothing is sold because of a zero");
    }
    desk.book(symbol);
    desk.run(60);
    let pnl = desk.pnl();
    assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl);
}

#[test]
fn a_dead_disk_stops_openings_and_lets_cancels_guards_and_exits_go() {
    let mut desk = Desk::ready(73);
    desk.run_until("a holding", holding);
    desk.apply(Event::Probe(Probe::Store { pending: 0, healthy: false }));
    assert!(matches!(desk.session.engine.view().trading, TradingState::Halted { .. }));
    let before = desk.requests().len();
    // Somebody cancels a guard: it is placed again, and what is held ends by its bracket or its clock.
    let guard = desk.session.engine.snapshot().orders.live().find(|o| o.new.side == Side::Sell).map(|o| (o.new.id, o.new.symbol));
    let (id, symbol) = guard.unwrap();
    let now = desk.now();
    desk.session.venue.send(now, Request::Cancel { id, symbol, order_id: None });
    desk.run(70);
    assert!(desk.trades().is_empty(), "everything was sold");
    let after: Vec<Request> = desk.requests()[before..].to_vec();
    let places = |wanted: fn(&Request) -> bool| after.iter().filter(|r| wanted(r)).count();
    assert_eq!(places(|r| matches!(r, Request::Place { opening: true, .. } | Request::PlaceList { opening: true, .. })), 0);
    assert!(places(|r| matches!(r, Request::PlaceList { opening: false, .. })) > 0, "the guard was placed again");
    let market = |kind: OrderKind| kind == OrderKind::Market;
    let sold = desk.effects().iter().any(
        |e| matches!(e, Effect::Send(Request::Replace { order, .. } | Request::Place { order, opening: false }) if market(order.kind)),
    );
    assert!(sold || desk.session.engine.counters().trades_closed > 0);
}
