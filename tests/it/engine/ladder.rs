//! Going live gradually: climbed rung by rung by what a running engine shows, thrown back by its stops, kept over restarts.

use huracan::domain::{Money, OrderKind, Qty};
use huracan::engine::{Settings, Snapshot};
use huracan::protocol::{
    Command, Event, Mode, ModelRole, OrderState, Refusal, Request, Rung, RungReason, TradingState, VenueEvent, VenueOrder, VenueRefusal,
    Verdict,
};
use huracan::trading::risk::{Ladder, LadderRules};

use crate::desk::{Desk, settings};

/// Rungs that are climbed within minutes.
fn rules() -> LadderRules {
    LadderRules {
        allocated_capital: "5000".parse().unwrap(),
        data_hours: 0.02,
        book_valid_share: 0.9,
        paper_trades: 3,
        paper_net_bps: -500.0,
        test_orders: 3,
        live_trades: 3,
        slippage_bps: 500.0,
        ..LadderRules::default()
    }
}

fn on_ladder(mode: Mode) -> Settings {
    Settings { mode, ladder: Some(rules()), exploration: None, ..settings() }
}

fn rung(desk: &Desk) -> Rung {
    desk.session.engine.rung().unwrap()
}

fn refused(desk: &Desk, wanted: Refusal) -> bool {
    desk.decisions().iter().any(|d| d.verdict == Verdict::Refused(wanted))
}

/// Climbs when the gates pass, and not a moment before.
fn climb_when_ready(desk: &mut Desk, to: Rung) {
    let from = rung(desk);
    assert!(desk.session.engine.view().ladder.unwrap().gates.iter().any(|gate| !gate.passed), "{to} asks for something");
    desk.command(Command::Climb);
    assert_eq!(rung(desk), from, "not climbed without evidence");
    let said = desk.session.engine.view().alerts.iter().any(|alert| alert.text.starts_with(&format!("ladder: not climbed from {from}: ")));
    assert!(said, "{:?}", desk.session.engine.view().alerts);
    desk.run_until(&format!("the gates of {to}"), |d| d.session.engine.view().ladder.unwrap().gates.iter().all(|gate| gate.passed));
    desk.command(Command::Climb);
    assert_eq!(rung(desk), to);
}

/// Notional of the newest opening order.
fn newest_order(desk: &Desk) -> Money {
    let order = *desk.openings().last().unwrap();
    order.kind.price().unwrap().notional(order.qty).unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// The paper rungs: nothing, then paper, over a restart.
fn rehearsed() -> Desk {
    let mut desk = Desk::with(5, on_ladder(Mode::Paper), ModelRole::Champion);
    assert_eq!(rung(&desk), Rung::DataOnly);
    climb_when_ready(&mut desk, Rung::Paper);
    assert!(desk.openings().is_empty() && refused(&desk, Refusal::Rung { rung: Rung::DataOnly }), "it decides and places nothing");
    desk.run_until("a paper trade", |d| d.costs().len() == 1);
    let mut desk = desk.crash().restart_on_paper();
    desk.learn(ModelRole::Champion);
    assert_eq!(desk.session.engine.snapshot().ladder.unwrap().evidence().trades.len(), 1, "the evidence survives");
    climb_when_ready(&mut desk, Rung::DryRun);
    let openings = desk.openings().len();
    desk.run(30);
    assert_eq!(desk.openings().len(), openings, "paper performs no dry run");
    assert!(refused(&desk, Refusal::RungMoved { rung: Rung::DryRun }) && desk.session.engine.view().ladder.unwrap().restart_needed);
    desk
}

/// At the venue: books of its own, and the ladder that paper left.
fn at_the_venue(paper: Desk) -> Desk {
    let wreck = paper.crash();
    let carried = Snapshot { ladder: wreck.state().ladder, ..Snapshot::default() };
    let mut desk = wreck.restart_as(on_ladder(Mode::Live), serde_json::to_string(&carried).unwrap());
    desk.learn(ModelRole::Champion);
    desk
}

#[test]
fn the_ladder_is_climbed_and_stepped_back_once() {
    let mut desk = at_the_venue(rehearsed());
    assert_eq!(rung(&desk), Rung::DryRun);
    climb_when_ready(&mut desk, Rung::Smallest);
    let tested = |request: &Request| matches!(request, Request::Test { order } if matches!(order.kind, OrderKind::LimitMaker { .. }));
    assert!(desk.requests().iter().filter(|r| tested(r)).count() >= 3 && desk.openings().is_empty(), "orders are tested, none is placed");
    assert!(refused(&desk, Refusal::Rung { rung: Rung::DryRun }) && desk.session.engine.snapshot().trades.is_empty());
    climb_when_ready(&mut desk, Rung::Tenth);
    let smallest = newest_order(&desk);
    assert!(smallest.is_positive() && smallest < money("13"), "{smallest}");
    desk.run_until("an order of a tenth", |d| newest_order(d) > money("38"));
    assert!(newest_order(&desk) <= money("40"), "8 % of a tenth of 5,000: {}", newest_order(&desk));
    let worked = desk.openings().len();
    desk.run_until("a trade of a tenth", |d| !d.session.engine.snapshot().ladder.unwrap().evidence().trades.is_empty());
    // The fees alone are a loss of the day; the next run allows none.
    let mut desk = desk.crash().restart_with(|settings| settings.limits.max_daily_loss = money("0.0001"));
    desk.reconcile();
    desk.learn(ModelRole::Champion);
    assert_eq!(rung(&desk), Rung::Tenth, "a restart is no step");
    desk.run_until("the halt", |d| d.session.engine.counters().halts == 1);
    let view = desk.session.engine.view();
    let back = *view.ladder.unwrap().changes.last().unwrap();
    assert_eq!((back.from, back.to, back.reason), (Rung::Tenth, Rung::Smallest, RungReason::DailyLoss));
    assert!(view.alerts.iter().any(|alert| alert.text == "ladder: stepped back from 10 % to smallest: daily loss"), "{:?}", view.alerts);
    assert!(worked > 0 && matches!(view.trading, TradingState::Halted { .. }));
    let mut desk = desk.crash().restart_with(|settings| settings.limits.max_daily_loss = money("2000"));
    desk.reconcile();
    desk.learn(ModelRole::Champion);
    desk.run(5);
    assert_eq!(rung(&desk), Rung::Smallest, "the halt that stands throws nobody back again");
    desk.command(Command::Resume);
    desk.run_until("an order after the step back", |d| !d.openings().is_empty());
    assert!(newest_order(&desk) < money("13"), "of the smallest size again: {}", newest_order(&desk));
}

/// A desk at the venue that was put on a rung.
fn put_on(seed: u64, rung: Rung) -> Desk {
    put_on_with(seed, rung, on_ladder(Mode::Live))
}

fn put_on_with(seed: u64, rung: Rung, settings: Settings) -> Desk {
    let text = format!(r#"{{"rung":{},"since":0,"changes":[],"evidence":{{}}}}"#, serde_json::to_string(&rung).unwrap());
    let ladder: Ladder = serde_json::from_str(&text).unwrap();
    let carried = Snapshot { ladder: Some(ladder), ..Snapshot::default() };
    let mut desk = Desk::closed(seed, settings);
    desk.open(Some(serde_json::to_string(&carried).unwrap()));
    desk.clock();
    desk.connect();
    desk.learn(ModelRole::Champion);
    desk
}

fn last_move(desk: &Desk) -> (Rung, Rung, RungReason) {
    let change = *desk.session.engine.view().ladder.unwrap().changes.last().expect("the ladder moved");
    (change.from, change.to, change.reason)
}

fn a_dollar_more(said: VenueEvent) -> Option<VenueEvent> {
    let VenueEvent::Balances { at, mut balances } = said else { return Some(said) };
    balances.iter_mut().filter(|b| b.asset.as_str() == "USDT").for_each(|b| b.free += "1".parse::<Qty>().unwrap());
    Some(VenueEvent::Balances { at, balances })
}

#[test]
fn wrong_balances_throw_back_from_the_smallest_to_the_dry_run() {
    let mut desk = put_on(8, Rung::Smallest);
    desk.ears = Some(a_dollar_more);
    desk.run_until("the halt", |d| d.session.engine.counters().halts == 1);
    assert_eq!(last_move(&desk), (Rung::Smallest, Rung::DryRun, RungReason::BalanceMismatch));
}

#[test]
fn a_deposit_that_a_person_accepted_bars_no_way_up() {
    let mut desk = put_on(8, Rung::Smallest);
    desk.ears = Some(a_dollar_more);
    desk.run_until("the halt", |d| d.session.engine.counters().halts == 1);
    desk.run_until("no order", |d| d.session.engine.view().orders.is_empty() && d.session.venue.next_due().is_none());
    let faults = |d: &Desk| {
        let gates = d.session.engine.snapshot().ladder.unwrap().entry_test(Rung::DryRun, d.now(), &rules(), &settings().limits);
        gates.into_iter().find(|gate| gate.name == "mismatches and overfills").unwrap().value
    };
    assert_eq!((last_move(&desk), faults(&desk)), ((Rung::Smallest, Rung::DryRun, RungReason::BalanceMismatch), Some(1.0)));
    desk.command(Command::Resume);
    assert_eq!(desk.session.engine.view().trading, TradingState::Active);
    assert_eq!((last_move(&desk), faults(&desk)), ((Rung::Smallest, Rung::DryRun, RungReason::Transfer), Some(0.0)));
    assert_eq!(rung(&desk), Rung::DryRun, "it stands where it was thrown back to");
}

fn a_dollar_more_and_a_coin_less(said: VenueEvent) -> Option<VenueEvent> {
    let VenueEvent::Balances { at, mut balances } = a_dollar_more(said)? else { return None };
    balances.iter_mut().filter(|b| b.asset.as_str() == "SOL").for_each(|b| b.free -= "0.001".parse::<Qty>().unwrap());
    Some(VenueEvent::Balances { at, balances })
}

fn only_balances(said: VenueEvent) -> Option<VenueEvent> {
    if matches!(said, VenueEvent::Balances { .. }) { a_dollar_more_and_a_coin_less(said) } else { Some(said) }
}

#[test]
fn a_difference_that_a_lost_fill_would_make_stays_a_fault() {
    let mut desk = put_on(8, Rung::Smallest);
    desk.ears = Some(only_balances);
    desk.run_until("the halt", |d| d.session.engine.counters().halts == 1);
    desk.run_until("no order", |d| d.session.engine.view().orders.is_empty() && d.session.venue.next_due().is_none());
    desk.command(Command::Resume);
    assert_eq!(last_move(&desk).2, RungReason::BalanceMismatch);
}

#[test]
fn a_large_account_is_sized_by_what_is_allocated_of_it() {
    let mut settings = on_ladder(Mode::Live);
    settings.ladder = Some(LadderRules { allocated_capital: money("200"), ..rules() });
    // The largest order is a small part of the account of 10,000, and all of what is allocated.
    settings.limits.max_order_notional = money("200");
    settings.decision.position_percent = 10.0;
    let mut desk = put_on_with(14, Rung::Full, settings);
    desk.run_until("an order", |d| !d.openings().is_empty());
    let size = newest_order(&desk);
    assert!(size > money("18") && size <= money("20"), "a tenth of 200: {size}");
}

#[test]
fn an_overfill_throws_back_and_entries_are_cancelled() {
    let mut desk = put_on(9, Rung::Full);
    desk.run_until("an open entry", |d| d.session.engine.view().orders.iter().any(|o| o.purpose == "entry" && o.state == OrderState::Open));
    let entry = desk.session.engine.view().orders.into_iter().find(|o| o.purpose == "entry").unwrap();
    let at = desk.now();
    let (symbol, side, qty) = (entry.symbol, entry.side, entry.qty);
    let status = huracan::domain::OrderStatus::Filled;
    let stated = VenueOrder { id: entry.id, order_id: huracan::domain::OrderId(1), symbol, side, status, qty, filled: qty + qty, at };
    desk.apply(Event::Venue(VenueEvent::Order(stated)));
    if desk.session.engine.counters().halts == 0 {
        let fill = huracan::protocol::VenueFill {
            id: entry.id,
            order_id: huracan::domain::OrderId(1),
            trade_id: huracan::domain::TradeId(9_999_999),
            symbol,
            side,
            price: entry.price.unwrap(),
            qty: qty + qty,
            role: huracan::domain::Role::Maker,
            fee: Qty::ZERO,
            fee_asset: "USDT".parse().unwrap(),
            at,
        };
        desk.apply(Event::Venue(VenueEvent::Fill(fill)));
    }
    assert_eq!(last_move(&desk), (Rung::Full, Rung::Half, RungReason::Overfill));
}

#[test]
fn a_venue_that_keeps_failing_throws_back_once() {
    let mut settings = on_ladder(Mode::Live);
    settings.limits.max_venue_errors_per_minute = Some(3);
    let mut desk = put_on_with(13, Rung::Half, settings);
    for _ in 0..5 {
        let message = "HTTP 500".to_owned();
        desk.apply(Event::Venue(VenueEvent::Failure { kind: huracan::protocol::FailureKind::Server, message }));
        desk.run(2);
    }
    assert_eq!(last_move(&desk), (Rung::Half, Rung::Tenth, RungReason::VenueErrors));
    assert_eq!(desk.session.engine.view().ladder.unwrap().changes.len(), 1, "the same trouble throws nobody back again");
}

#[test]
fn stepping_back_by_hand_stops_entries_and_opens_nothing_on_a_dry_run() {
    let mut desk = put_on(10, Rung::Smallest);
    desk.run_until("an order", |d| !d.openings().is_empty());
    desk.command(Command::StepBack);
    assert_eq!(last_move(&desk), (Rung::Smallest, Rung::DryRun, RungReason::Hand));
    let openings = desk.openings().len();
    desk.run_until("the end of what was open", |d| d.session.engine.snapshot().trades.is_empty() && d.session.engine.is_quiet());
    desk.run_until("tests", |d| d.requests().iter().any(|r| matches!(r, Request::Test { .. })));
    assert_eq!(desk.openings().len(), openings);
    assert!(desk.session.engine.counters().halts == 0, "positions end by their bracket and their clock");
}

#[test]
fn a_test_that_the_filters_refuse_breaks_the_row() {
    fn strict(said: VenueEvent) -> Option<VenueEvent> {
        let VenueEvent::Tested { id, .. } = said else { return Some(said) };
        Some(VenueEvent::Tested { id, refused: Some((VenueRefusal::Filter, "Filter failure: LOT_SIZE".to_owned())) })
    }
    let mut desk = put_on(11, Rung::DryRun);
    desk.run_until("two tests", |d| d.session.engine.snapshot().ladder.unwrap().evidence().tests_in_row >= 2);
    desk.ears = Some(strict);
    desk.run_until("a refusal", |d| d.session.engine.view().alerts.iter().any(|a| a.text.contains("Filter failure: LOT_SIZE")));
    let seen = desk.session.engine.snapshot().ladder.unwrap();
    assert_eq!((seen.evidence().tests_in_row, seen.evidence().filter_refusals.is_empty()), (0, false));
}

#[test]
fn without_rules_there_is_no_ladder() {
    let mut desk = Desk::ready(12);
    desk.command(Command::Climb);
    desk.command(Command::StepBack);
    let view = desk.session.engine.view();
    assert!(view.ladder.is_none() && view.alerts.iter().any(|alert| alert.text.contains("there is no ladder")));
    desk.run_until("an order", |d| !d.openings().is_empty());
}
