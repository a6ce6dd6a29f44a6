//! Halted, stopping or flattening: what may still leave, and what may not.

use huracan::domain::{Balance, ExitReason, Money, Qty, Side, Span};
use huracan::protocol::{BalanceMismatch, Command, Event, ModelRole, Request, Severity, TradingState, VenueEvent};

use crate::desk::{Desk, settings};

/// Requests after a moment: (opening, reducing, cancels).
fn sent_since(desk: &Desk, from: usize) -> (usize, usize, usize) {
    desk.requests().iter().skip(from).fold((0, 0, 0), |(opening, reducing, cancels), request| match request {
        Request::Place { opening: true, .. } | Request::PlaceList { opening: true, .. } => (opening + 1, reducing, cancels),
        Request::PlaceList { list, .. } => {
            assert!(list.legs.orders().all(|order| order.side == Side::Sell), "what does not open sells");
            (opening, reducing + 1, cancels)
        }
        Request::Place { order, .. } | Request::Replace { order, .. } => {
            assert_eq!(order.side, Side::Sell, "what does not open sells");
            (opening, reducing + 1, cancels)
        }
        Request::Cancel { .. } => (opening, reducing, cancels + 1),
        Request::Query { .. } | Request::Account | Request::Snapshot { .. } | Request::Test { .. } => (opening, reducing, cancels),
    })
}

/// Moments at which to interrupt: how many openings were sent, how many fills booked, and steps of the market after that.
const MOMENTS: [(u64, u64, usize); 12] = [
    (1, 0, 0),
    (1, 0, 3),
    (2, 0, 40),
    (3, 1, 0),
    (4, 2, 1),
    (5, 4, 0),
    (6, 5, 7),
    (8, 9, 2),
    (9, 12, 0),
    (10, 14, 90),
    (12, 17, 5),
    (14, 21, 0),
];

fn go_to(desk: &mut Desk, (orders, fills, steps): (u64, u64, usize)) {
    desk.run_until("enough orders and fills", |d| {
        let counters = d.session.engine.counters();
        counters.orders >= orders && counters.fills >= fills
    });
    (0..steps).for_each(|_| desk.step());
}

#[test]
fn halted_sends_only_cancels_and_reduces() {
    let mut desk = Desk::ready(3);
    let (mut reduces, mut cancels) = (0, 0);
    for moment in MOMENTS {
        go_to(&mut desk, moment);
        desk.command(Command::Halt);
        let before = desk.requests().len();
        let openings = desk.openings().len();
        desk.run(70);
        let (opening, reducing, cancelled) = sent_since(&desk, before);
        assert_eq!(opening, 0, "after {moment:?}");
        (reduces, cancels) = (reduces + reducing, cancels + cancelled);
        assert!(desk.session.engine.is_quiet(), "an entry outlived the halt of {moment:?}");
        assert!(desk.trades().is_empty(), "positions still end by their bracket and their clock");
        assert!(matches!(desk.session.engine.view().trading, TradingState::Halted { .. }));
        desk.command(Command::Resume);
        desk.run_until("trading after resume", |d| d.openings().len() > openings);
    }
    assert!(reduces > 0 && cancels > 0, "{reduces} reduces, {cancels} cancels: the moments were too tame");
}

#[test]
fn stopping_opens_nothing_and_cancels_entries() {
    for moment in MOMENTS {
        let mut desk = Desk::ready(4);
        go_to(&mut desk, moment);
        let before = desk.openings().len();
        desk.command(Command::Stop);
        desk.run(15);
        assert_eq!(desk.openings().len(), before, "after {moment:?}");
        assert!(desk.session.engine.is_quiet());
        desk.command(Command::Resume);
        desk.run(15);
        assert_eq!(desk.openings().len(), before, "a run that stops does not come back");
    }
}

#[test]
fn flatten_closes_everything() {
    for moment in MOMENTS {
        let mut desk = Desk::ready(5);
        go_to(&mut desk, moment);
        let openings = desk.openings().len();
        desk.command(Command::Flatten);
        desk.run(20);
        let snapshot = desk.session.engine.snapshot();
        assert!(snapshot.trades.is_empty(), "after {moment:?}: {:?}", snapshot.trades);
        assert_eq!(snapshot.open_orders(), [], "after {moment:?}");
        for symbol in &desk.flow.config().symbols {
            let i = &symbol.instrument;
            let left = desk.session.venue.totals().get(&i.base).copied().unwrap_or_default();
            let dust = snapshot.desks.iter().find(|(s, ..)| *s == i.symbol).map(|(_, dust, ..)| *dust);
            assert_eq!(Some(left), dust, "what is left of {} is known as dust", i.base);
        }
        desk.run(30);
        assert_eq!(desk.openings().len(), openings);
        assert!(matches!(desk.session.engine.view().trading, TradingState::Halted { .. }));
    }
}

#[test]
fn a_flattened_holding_is_closed_as_flattened() {
    let mut desk = Desk::ready(6);
    desk.run_until("a resting target", |d| d.session.engine.view().orders.iter().any(|o| o.purpose == "target"));
    let closed = desk.costs().len();
    desk.command(Command::Flatten);
    desk.run(20);
    let costs = desk.costs();
    assert!(
        costs.len() > closed && costs[closed..].iter().all(|c| matches!(c.exit, ExitReason::Flatten | ExitReason::Target)),
        "{costs:?}"
    );
}

#[test]
fn a_daily_loss_halts_once_and_survives_a_restart() {
    let mut settings = settings();
    settings.limits.max_daily_loss = "5".parse().unwrap();
    let mut desk = Desk::with(7, settings, ModelRole::Champion);
    desk.run_until("the daily loss", |d| d.session.engine.counters().halts > 0);
    let halted = desk.session.engine.view().trading;
    assert!(matches!(&halted, TradingState::Halted { reason } if reason.starts_with("daily loss")), "{halted:?}");
    let loss = -desk.session.engine.view().day_pnl.unwrap();
    assert!(loss >= "5".parse::<Money>().unwrap() && loss < "15".parse().unwrap(), "a loss of {loss} when it halted");
    let openings = desk.openings().len();
    desk.run(120);
    assert_eq!((desk.session.engine.counters().halts, desk.openings().len()), (1, openings));

    let mut next = desk.crash().restart();
    next.reconcile();
    next.learn(ModelRole::Champion);
    next.run(60);
    assert!(matches!(next.session.engine.view().trading, TradingState::Halted { .. }), "a restart does not re-arm");
    assert_eq!(next.openings(), []);
    next.command(Command::Resume);
    next.run_until("trading after resume", |d| !d.openings().is_empty());
}

/// An idle desk whose venue insists on a balance; gives the desk and the seconds until it halted, or `None` after `seconds`.
fn insisting(seed: u64, free: &str, seconds: i64) -> (Desk, Option<i64>) {
    let mut desk = Desk::closed(seed, settings());
    desk.open(None);
    desk.clock();
    desk.connect();
    desk.deaf = true;
    let balance = Balance { asset: "USDT".parse().unwrap(), free: free.parse().unwrap(), locked: Qty::ZERO };
    let (start, mut answered) = (desk.now(), 0);
    desk.apply(Event::Venue(VenueEvent::Balances { at: start, balances: vec![balance] }));
    while desk.now().since(start) < Span::from_secs(seconds) {
        desk.step();
        let asked = desk.requests().iter().filter(|r| **r == Request::Account).count();
        if asked > answered {
            answered = asked;
            let at = desk.now();
            desk.apply(Event::Venue(VenueEvent::Balances { at, balances: vec![balance] }));
        }
        if desk.session.engine.counters().halts > 0 {
            let after = desk.now().since(start).millis() / 1_000;
            return (desk, Some(after));
        }
    }
    (desk, None)
}

/// How often the account was asked for.
fn questions(desk: &Desk) -> usize {
    desk.requests().iter().filter(|request| **request == Request::Account).count()
}

#[test]
fn money_that_moved_without_us_halts_after_a_few_questions() {
    let (desk, after) = insisting(8, "9999.99", 60);
    assert!(after.is_some_and(|seconds| (10..=12).contains(&seconds)), "{after:?}");
    assert!(matches!(desk.session.engine.view().trading, TradingState::Halted { reason } if reason.contains("the books say")));
    let asked = questions(&desk);
    assert!((5..=12).contains(&asked), "{asked} questions in ten seconds");
    let (desk, after) = insisting(8, "10000", 30);
    assert_eq!((after, questions(&desk)), (None, 0), "what agrees is not asked about");
}

#[test]
fn resuming_accepts_what_the_venue_holds_and_says_so() {
    let (mut desk, after) = insisting(8, "9500", 60);
    assert!(after.is_some());
    let (venue, books) = ("9500".parse().unwrap(), "10000".parse().unwrap());
    let asset = "USDT".parse().unwrap();
    assert_eq!(desk.session.engine.view().mismatches, [BalanceMismatch { asset, venue, books }], "what resuming would accept is shown");
    desk.command(Command::Resume);
    let view = desk.session.engine.view();
    assert!(!matches!(view.trading, TradingState::Halted { .. }) && view.mismatches.is_empty(), "{:?}", view.trading);
    assert!(view.alerts.iter().any(|a| a.text == "-500 USDT accepted as moved from outside"), "{:?}", view.alerts);
    assert_eq!(desk.pnl().net_pnl, Some(Money::ZERO), "money that moved is no loss");
    assert_eq!((desk.pnl().ledger_net_pnl, desk.pnl().equity), (Some(Money::ZERO), Some("9500".parse().unwrap())));
    assert_eq!((view.day_pnl, view.drawdown), (Some(Money::ZERO), Some(huracan::domain::Bps::ZERO)), "nor does any limit count it");
    let (halts, asked) = (desk.session.engine.counters().halts, questions(&desk));
    let balance = Balance { asset, free: venue, locked: Qty::ZERO };
    for _ in 0..15 {
        desk.run(1);
        let at = desk.now();
        desk.apply(Event::Venue(VenueEvent::Balances { at, balances: vec![balance] }));
    }
    assert_eq!((desk.session.engine.counters().halts, questions(&desk)), (halts, asked), "books and venue agree");
}

#[test]
fn resuming_another_halt_accepts_the_difference_that_stands() {
    let balance = Balance { asset: "USDT".parse().unwrap(), free: "9500".parse().unwrap(), locked: Qty::ZERO };
    let stated = |desk: &mut Desk| {
        let at = desk.now();
        desk.apply(Event::Venue(VenueEvent::Balances { at, balances: vec![balance] }));
    };
    let halted = || {
        let mut desk = Desk::closed(8, settings());
        desk.open(None);
        desk.clock();
        desk.connect();
        desk.deaf = true;
        desk.command(Command::Halt);
        stated(&mut desk);
        desk
    };
    let told = |desk: &Desk| {
        let alerts = desk.session.engine.view().alerts;
        alerts.iter().filter(|a| a.severity == Severity::Critical && a.text.contains("the books say")).count()
    };
    let mut desk = halted();
    for _ in 0..5 {
        desk.run(4);
        stated(&mut desk);
    }
    let view = desk.session.engine.view();
    assert!(matches!(view.trading, TradingState::Halted { reason } if reason == "halted by hand"));
    assert_eq!(view.mismatches.len(), 1, "what resuming would accept is shown");
    assert_eq!((told(&desk), desk.session.engine.counters().halts), (1, 1), "{:?}", view.alerts);
    desk.command(Command::Resume);
    let view = desk.session.engine.view();
    assert!(!matches!(view.trading, TradingState::Halted { .. }) && view.mismatches.is_empty(), "{:?}", view.trading);
    assert_eq!(accepted(&desk), 1);
    assert_eq!((desk.pnl().net_pnl, desk.pnl().equity), (Some(Money::ZERO), Some("9500".parse().unwrap())));
    // A fill on its way may still explain what differs for a moment only: it goes on being doubted.
    let mut desk = halted();
    desk.run(4);
    desk.command(Command::Resume);
    assert_eq!((accepted(&desk), told(&desk)), (0, 0));
    desk.run(6);
    stated(&mut desk);
    assert!(matches!(desk.session.engine.view().trading, TradingState::Halted { reason } if reason.contains("the books say")));
}

/// A desk that halted because the venue states more than the books while a guarded position is held.
fn halted_by(ears: fn(VenueEvent) -> Option<VenueEvent>) -> Desk {
    let mut desk = Desk::ready(9);
    desk.run_until("a holding", |d| d.trades().iter().any(|t| t.phase == huracan::trading::execution::Phase::Holding));
    desk.ears = Some(ears);
    desk.run_until("the halt", |d| d.session.engine.counters().halts == 1);
    assert!(!desk.session.engine.view().orders.is_empty(), "a guard rests");
    desk
}

fn accepted(desk: &Desk) -> usize {
    desk.session.engine.view().alerts.iter().filter(|a| a.text.contains("accepted as moved")).count()
}

#[test]
fn a_difference_of_coins_is_not_accepted_while_their_orders_work_and_the_halt_stays() {
    fn a_coin_more(said: VenueEvent) -> Option<VenueEvent> {
        let VenueEvent::Balances { at, mut balances } = said else { return Some(said) };
        balances.iter_mut().filter(|b| b.asset.as_str() != "USDT").for_each(|b| b.free += "1".parse::<Qty>().unwrap());
        Some(VenueEvent::Balances { at, balances })
    }
    let mut desk = halted_by(a_coin_more);
    desk.command(Command::Resume);
    assert!(desk.session.engine.view().alerts.iter().any(|a| a.text.contains("not accepted while orders are working")));
    assert_eq!(accepted(&desk), 0);
    assert!(matches!(desk.session.engine.view().trading, TradingState::Halted { .. }));
    desk.run_until("the end of all orders", |d| d.session.engine.view().orders.is_empty() && d.session.venue.next_due().is_none());
    let openings = desk.openings().len();
    desk.command(Command::Resume);
    assert!(accepted(&desk) > 0);
    assert_eq!(desk.pnl().net_pnl, desk.pnl().ledger_net_pnl);
    desk.run_until("trading after resume", |d| d.openings().len() > openings);
    assert_eq!(desk.session.engine.counters().halts, 1);
}

#[test]
fn coins_that_their_owner_took_away_end_the_trade_that_held_them() {
    /// The coins are gone, and so nothing that would sell them is taken.
    fn coins_gone(said: VenueEvent) -> Option<VenueEvent> {
        match said {
            VenueEvent::Balances { at, mut balances } => {
                balances.iter_mut().filter(|b| b.asset.as_str() != "USDT").for_each(|b| (b.free, b.locked) = (Qty::ZERO, Qty::ZERO));
                Some(VenueEvent::Balances { at, balances })
            }
            VenueEvent::Accepted { id, .. } => {
                let (reason, message) = (huracan::protocol::VenueRefusal::InsufficientBalance, "insufficient balance".to_owned());
                Some(VenueEvent::Refused { id, reason, message })
            }
            VenueEvent::Order(order) if !order.status.is_final() => None,
            said => Some(said),
        }
    }
    let settings = huracan::engine::Settings { symbols: vec!["BTCUSDT".parse().unwrap()], ..crate::desk::settings() };
    let mut desk = Desk::with(9, settings, ModelRole::Shadow);
    desk.run_until("a holding", |d| d.trades().iter().any(|t| t.phase == huracan::trading::execution::Phase::Holding));
    let symbol = desk.trades()[0].symbol;
    desk.command(Command::Halt);
    desk.ears = Some(coins_gone);
    let guard = desk.session.venue.open_orders(symbol)[0].client_id.parse().unwrap();
    let at = desk.now();
    desk.session.venue.send(at, Request::Cancel { id: guard, symbol, order_id: None });
    desk.command(Command::Resume);
    desk.run_until("the halt", |d| d.session.engine.counters().halts == 2);
    desk.run_until("no order on its way", |d| d.session.engine.view().orders.is_empty());
    let (held, before) = (desk.trades()[0].held(), desk.pnl());
    assert!(held.is_positive());
    let day = desk.session.engine.view().day_pnl.unwrap();
    desk.command(Command::Resume);
    let (after, view) = (desk.pnl(), desk.session.engine.view());
    assert_eq!(accepted(&desk), 1, "{:?}", view.alerts);
    assert!(view.mismatches.is_empty());
    assert_eq!(after.net_pnl, after.ledger_net_pnl);
    let (lost, mark) = (before.equity.unwrap() - after.equity.unwrap(), desk.session.engine.marks()[&symbol]);
    assert!((lost - mark.notional(held).unwrap()).to_f64().abs() < 1e-6, "what left is no longer counted: {lost}");
    assert!((view.day_pnl.unwrap() - day).to_f64().abs() < 0.05, "and is no loss: {day} {:?}", view.day_pnl);
    desk.run(1);
    assert!(desk.trades().is_empty(), "nothing is left to manage: {:?}", desk.trades());
}

#[test]
fn a_deposit_is_accepted_while_a_guard_rests_that_does_not_explain_it() {
    fn a_dollar_more(said: VenueEvent) -> Option<VenueEvent> {
        let VenueEvent::Balances { at, mut balances } = said else { return Some(said) };
        balances.iter_mut().filter(|b| b.asset.as_str() == "USDT").for_each(|b| b.free += "1".parse::<Qty>().unwrap());
        Some(VenueEvent::Balances { at, balances })
    }
    let mut desk = halted_by(a_dollar_more);
    let pnl = desk.pnl().net_pnl;
    desk.command(Command::Resume);
    assert_eq!((accepted(&desk), desk.pnl().net_pnl), (1, pnl), "it is no profit");
    let openings = desk.openings().len();
    desk.run_until("trading after resume", |d| d.openings().len() > openings);
}
