//! A process dies at any moment; the next one owns and owes the same.

use std::collections::{BTreeMap, BTreeSet};

use huracan::domain::Span;
use huracan::engine::Snapshot;
use huracan::protocol::{Command, Effect, Event, ModelRole, Record, Request, Severity, TradingState, VenueEvent};
use huracan::trading::execution::Phase;

use crate::desk::{Desk, settings};

/// What a trade is made of; what time and marks do to it left out.
fn essence(desk: &Desk) -> Vec<String> {
    let trades = desk.trades();
    trades
        .iter()
        .map(|t| format!("{} {:?} {:?} {:?} {:?} {:?} {}", t.symbol, t.phase, t.entry, t.exit, t.stop, t.target, t.decision))
        .collect()
}

/// Brings the next run up on what the last one left, and lets it trade and end.
fn continued(mut desk: Desk, what: &str) -> Desk {
    desk.reconcile();
    assert_eq!(desk.pnl().net_pnl, desk.pnl().ledger_net_pnl, "{what}");
    desk.learn(ModelRole::Shadow);
    for _ in 0..90 {
        desk.run(1);
        assert_eq!(desk.pnl().net_pnl, desk.pnl().ledger_net_pnl, "{what}");
    }
    let state = desk.session.engine.view().trading;
    assert_eq!(state, TradingState::Active, "{what}");
    assert!(!desk.openings().is_empty(), "{what}: it goes on trading");
    desk.command(Command::Flatten);
    desk.run(20);
    assert!(desk.trades().is_empty(), "{what}: {:?}", desk.trades());
    assert_eq!(desk.pnl().net_pnl, Some(desk.venue_pnl()), "{what}: nothing is lost, nothing counted twice");
    desk
}

#[test]
fn the_kept_state_is_the_snapshot_and_its_hash_tells_states_apart() {
    let mut desk = Desk::ready(31);
    let mut seen = BTreeMap::new();
    let until = desk.session.now() + Span::from_secs(240);
    while desk.session.now() < until {
        desk.step();
        let journal = desk.journal.borrow();
        let asked = |effect: &Effect| if let Effect::Carry { state } = effect { Some(*state) } else { None };
        let hash = journal.iter().rev().find_map(|entry| entry.effects.iter().rev().find_map(asked)).unwrap();
        let state = desk.carried.borrow().clone().unwrap();
        assert_eq!(*seen.entry(state).or_insert(hash), hash);
    }
    let hashes: BTreeSet<u64> = seen.values().copied().collect();
    assert!(hashes.len() > 40 && hashes.len() == seen.len(), "{} hashes of {} states", hashes.len(), seen.len());
    let engine = &desk.session.engine;
    let carry = engine.carry().unwrap();
    assert_eq!(carry.state, serde_json::to_string(&engine.snapshot()).unwrap());
    let read: Snapshot = serde_json::from_str(&carry.state).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), carry.state);
}

#[test]
fn a_restart_continues_the_open_trade() {
    let mut desk = Desk::ready(31);
    desk.run_until("three holdings, each with its target and its stop", |d| {
        let trades = d.trades();
        trades.len() == 3 && trades.iter().all(|t| t.phase == Phase::Holding) && d.session.engine.view().orders.len() == 6
    });
    // Whatever is on its way arrives.
    desk.run_until("quiet", |d| d.session.venue.next_due().is_none());
    let (before, pnl) = (essence(&desk), desk.pnl());
    let wreck = desk.crash();
    assert_eq!(wreck.state().open_orders().len(), 6);
    let mut next = wreck.restart();
    assert_eq!(essence(&next), before);
    next.reconcile();
    assert_eq!(essence(&next), before);
    next.learn(ModelRole::Shadow);
    assert_eq!(next.pnl().fees, pnl.fees);
    assert_eq!(next.session.engine.view().positions.len(), 3);
    let kept = continued(next, "three holdings");
    let closed = kept.costs();
    assert!(closed.iter().filter(|c| before.iter().any(|b| b.starts_with(c.symbol.as_str()))).count() >= 3);
}

#[test]
fn a_crash_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut seen = [0; 4];
    for moment in 0..16_usize {
        let mut desk = Desk::ready(32 + moment as u64 % 4);
        let orders = 1 + moment as u64 * 2;
        desk.run_until("enough orders", |d| d.session.engine.counters().orders >= orders);
        match moment % 5 {
            3 => desk.run_until("an exit under way", |d| d.trades().iter().any(|t| matches!(t.phase, Phase::Exiting { .. }))),
            4 => desk.run_until("news under way", |d| d.session.venue.next_due().is_some()),
            _ => (0..moment * 5 % 37).for_each(|_| desk.step()),
        }
        for trade in desk.trades() {
            seen[match trade.phase {
                Phase::Entering => 0,
                Phase::Holding => 1,
                Phase::Exiting { .. } => 2,
            }] += 1;
        }
        seen[3] += usize::from(desk.session.venue.next_due().is_some());
        let mut wreck = desk.crash();
        wreck.pass([0, 1, 9, 70][moment % 4]);
        continued(wreck.restart(), &format!("moment {moment}"));
    }
    assert!(seen.iter().all(|count| *count > 0), "entering, holding, exiting, news under way: {seen:?}");
}

#[test]
fn a_crash_on_the_way_up_is_just_another_crash() {
    let mut desk = Desk::ready(40);
    desk.run_until("a holding", |d| d.trades().iter().any(|t| t.phase == Phase::Holding));
    let mut wreck = desk.crash();
    for _ in 0..3 {
        wreck.pass(1);
        wreck = wreck.restart().crash();
    }
    continued(wreck.restart(), "three crashes in a row");
}

/// The state as it was before the guards in it were placed.
fn without_guards(state: &str) -> String {
    let mut state: serde_json::Value = serde_json::from_str(state).unwrap();
    let orders = state["orders"]["all"].as_array_mut().unwrap();
    let all = orders.len();
    orders.retain(|order| order["purpose"] == "entry");
    assert!(orders.len() < all);
    state.to_string()
}

#[test]
fn a_guard_that_left_and_was_not_kept_is_replaced_by_one_that_is_known() {
    for (seed, ours) in [(47, true), (48, false)] {
        let mut desk = Desk::ready(seed);
        desk.run_until("a guarded holding", |d| {
            d.session.venue.next_due().is_none() && d.trades().iter().any(|t| t.phase == Phase::Holding)
        });
        let mut wreck = desk.crash();
        wreck.carried = without_guards(&wreck.carried);
        if !ours {
            // Another file's: it never heard of the run that placed them.
            let mut state: serde_json::Value = serde_json::from_str(&wreck.carried).unwrap();
            state["runs"] = serde_json::json!([]);
            wreck.carried = state.to_string();
        }
        let mut next = wreck.restart();
        next.reconcile();
        // The client states every open order; this venue when it is asked.
        let (at, open) = (next.now(), crate::desk::symbols().into_iter().flat_map(|s| next.session.venue.open_orders(s)));
        let guards: Vec<_> = open.map(|o| Request::Query { id: o.client_id.parse().unwrap(), symbol: o.symbol }).collect();
        assert!(!guards.is_empty());
        guards.into_iter().for_each(|asked| _ = next.session.venue.send(at, asked));
        crate::desk::symbols().into_iter().for_each(|symbol| next.book(symbol));
        next.run(3);
        let said = |text: &str| next.session.engine.view().alerts.iter().any(|a| a.text.contains(text));
        assert_eq!((said("unknown here: cancelling"), said("left alone; cancel it at the venue")), (ours, !ours));
        if ours {
            assert_eq!(next.session.engine.view().exposed.now, huracan::domain::Money::ZERO, "guarded again");
            continued(next, "an unknown guard");
        }
    }
}

#[test]
fn a_state_that_does_not_read_is_not_traded_on() {
    let mut desk = Desk::ready(41);
    desk.run_until("a holding", |d| d.trades().iter().any(|t| t.phase == Phase::Holding));
    let mut wreck = desk.crash();
    wreck.carried.truncate(wreck.carried.len() / 2);
    let mut next = wreck.restart();
    next.reconcile();
    next.learn(ModelRole::Shadow);
    next.run(60);
    assert_eq!(next.openings(), []);
    let view = next.session.engine.view();
    assert!(matches!(view.trading, TradingState::Halted { .. }));
    assert!(view.alerts.iter().any(|a| a.severity == Severity::Critical && a.text.contains("can not be read")));
}

#[test]
fn what_was_said_while_the_stream_was_broken_is_asked_for() {
    for (seed, silence) in [(42, 2), (43, 6), (44, 20), (45, 60)] {
        let mut desk = Desk::ready(seed);
        desk.run_until("orders", |d| d.session.engine.counters().orders >= 4);
        desk.deaf = true;
        desk.run(silence);
        desk.deaf = false;
        desk.reconcile();
        continued(desk, &format!("{silence} s of silence"));
    }
}

#[test]
fn what_is_said_twice_counts_once() {
    let mut desk = Desk::ready(46);
    let mut heard = 0;
    while desk.session.engine.counters().trades_closed < 12 {
        desk.step();
        let said: Vec<Event> = desk.journal.borrow()[heard..].iter().map(|e| e.event.clone()).collect();
        let repeated = |e: &Event| matches!(e, Event::Venue(VenueEvent::Fill(_) | VenueEvent::Order(_) | VenueEvent::Accepted { .. }));
        said.into_iter().filter(repeated).for_each(|event| desk.apply(event));
        heard = desk.journal.borrow().len();
        assert_eq!(desk.pnl().net_pnl, desk.pnl().ledger_net_pnl);
    }
    continued(desk, "everything twice");
}

#[test]
fn paper_trading_goes_on_after_a_restart() {
    let mut desk = Desk::ready(48);
    desk.run_until("closed trades", |d| d.session.engine.counters().trades_closed >= 4);
    desk.run_until("a holding", |d| d.trades().iter().any(|t| t.phase == Phase::Holding));
    let mut wreck = desk.crash();
    for life in 1..=2 {
        let last = wreck.state().ledger.last_trade();
        let mut next = wreck.restart_on_paper();
        next.learn(ModelRole::Shadow);
        for _ in 0..60 {
            next.run(1);
            assert_eq!(next.pnl().net_pnl, next.pnl().ledger_net_pnl, "life {life}");
        }
        let counters = next.session.engine.counters();
        assert!(counters.fills >= 4 && counters.halts == 0, "life {life}: {counters:?}");
        let ids = next.records().into_iter().filter_map(|r| if let Record::Fill(f) = r { Some(f.fill.trade_id) } else { None });
        assert!(ids.into_iter().all(|id| id > last), "life {life}: a trade has the id of an older one");
        next.run_until("quiet", |d| d.session.venue.next_due().is_none());
        assert_eq!(next.pnl().net_pnl, Some(next.venue_pnl()), "life {life}");
        wreck = next.crash();
    }
}

#[test]
fn a_paper_account_that_never_heard_of_its_money_starts_with_it() {
    let mut desk = Desk::closed(49, settings());
    desk.open(None);
    let wreck = desk.crash();
    assert!(!wreck.state().ledger.is_opened(), "the state is kept before the account is stated");
    let mut next = wreck.restart_on_paper();
    assert_eq!(next.pnl().equity, Some("10000".parse().unwrap()));
    next.learn(ModelRole::Shadow);
    next.run_until("a trade", |d| !d.costs().is_empty());
    assert_eq!(next.session.engine.counters().halts, 0);
}
