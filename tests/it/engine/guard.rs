//! Protection lives at the venue: what is held has its stop there, whatever happens here.

use std::collections::BTreeSet;

use huracan::domain::{OrderKind, Qty, Side, Span, Symbol};
use huracan::engine::Settings;
use huracan::matching::Phase;
use huracan::protocol::{Command, ModelRole, OrderState, VenueEvent};
use huracan::trading::costs::MakerRules;

use crate::desk::{Desk, settings, symbols};

/// What the venue itself would sell at a stop, and what it holds for us that could be sold.
fn guarded_and_held(desk: &Desk, symbol: Symbol) -> (Qty, Qty) {
    let stop = |kind: OrderKind| matches!(kind, OrderKind::StopLoss { .. });
    let open = desk.session.venue.open_orders(symbol);
    let guarded = open.iter().filter(|o| o.side == Side::Sell && stop(o.kind) && o.phase != Phase::Pending).map(|o| o.remaining()).sum();
    let spec = desk.flow.config().symbols.iter().find(|s| s.instrument.symbol == symbol).unwrap();
    let held = desk.session.venue.totals().get(&spec.instrument.base).copied().unwrap_or(Qty::ZERO);
    (guarded, held)
}

/// Whether something is held that could be sold and has no stop at the venue.
pub fn is_exposed(desk: &Desk, symbol: Symbol) -> bool {
    let (guarded, held) = guarded_and_held(desk, symbol);
    // What is too small for an order of its own can not be guarded.
    desk.session.engine.marks()[&symbol].notional(held - guarded).unwrap() >= "6".parse().unwrap()
}

/// Tenths of a second in which something was held, and of these the ones in which a part of it was exposed, and the longest row of them.
fn watch(desk: &mut Desk, seconds: i64) -> (u32, u32, u32) {
    let (mut held_for, mut open_for, mut row, mut longest) = (0, 0, 0, 0);
    for _ in 0..seconds * 10 {
        let until = desk.session.now() + Span::from_millis(100);
        while desk.session.now() < until {
            desk.step();
        }
        let mut exposed = false;
        for symbol in symbols() {
            held_for += u32::from(guarded_and_held(desk, symbol).1.is_positive());
            exposed |= is_exposed(desk, symbol);
        }
        open_for += u32::from(exposed);
        row = if exposed { row + 1 } else { 0 };
        longest = longest.max(row);
    }
    (held_for, open_for, longest)
}

#[test]
fn what_is_held_is_guarded_by_the_venue_all_but_a_moment() {
    let mut desk = Desk::ready(17);
    let (held, exposed, longest) = watch(&mut desk, 240);
    println!("held {held}, exposed {exposed}, longest {longest} tenths of a second");
    assert!(held > 500, "{held}");
    assert!(exposed * 20 < held, "exposed {exposed} of {held}");
    assert!(longest <= 20, "a part waits for its rest one second, then two ways to the venue: {longest}");
    let view = desk.session.engine.view();
    assert!(view.exposed.longest <= Span::from_millis(2_000), "{:?}", view.exposed);
}

#[test]
fn a_taken_entry_is_guarded_around_what_it_paid_and_not_around_its_collar() {
    let settings = Settings { maker: MakerRules { enabled: false, ..settings().maker }, ..settings() };
    let scale = settings.time_scale.clone();
    let mut desk = Desk::with(20, settings, ModelRole::Shadow);
    let mut seen = 0;
    for _ in 0..120 {
        desk.run(1);
        for position in desk.session.engine.view().positions {
            let (Some(stop), Some(target)) = (position.stop, position.target) else { continue };
            let (up, down) = (scale.target_sigma, scale.stop_sigma);
            let middle = (target.to_f64() * down + stop.to_f64() * up) / (up + down);
            let off_bps = (middle / position.entry_price.to_f64() - 1.0) * 1e4;
            assert!(off_bps.abs() < 1.5, "{}: {stop} and {target} around {}", position.symbol, position.entry_price);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The sell orders that stand or wait at the venue, by client id.
fn guards(desk: &Desk) -> BTreeSet<String> {
    let open = symbols().into_iter().flat_map(|symbol| desk.session.venue.open_orders(symbol));
    open.filter(|o| o.side == Side::Sell && o.phase != Phase::Pending).map(|o| o.client_id.to_string()).collect()
}

#[test]
fn halting_removes_no_guard_and_a_missing_one_is_placed_while_halted() {
    let mut desk = Desk::with(18, Settings { exploration: settings().exploration, ..settings() }, ModelRole::Shadow);
    let guarded = |d: &Desk, symbol: &Symbol| guarded_and_held(d, *symbol).0.is_positive() && !is_exposed(d, *symbol);
    // The engine has heard of it: what it knows nothing of it could not cancel.
    let heard = |d: &Desk| {
        let open: BTreeSet<String> =
            d.session.engine.view().orders.iter().filter(|o| o.state == OrderState::Open).map(|o| o.id.to_string()).collect();
        guards(d).is_subset(&open)
    };
    desk.run_until("a guarded holding", |d| symbols().iter().any(|s| guarded(d, s)) && heard(d));
    let held: Vec<Symbol> = symbols().into_iter().filter(|s| guarded(&desk, s)).collect();
    let before = guards(&desk);
    desk.command(Command::Halt);
    let until = desk.session.now() + Span::from_secs(1);
    while desk.session.now() < until {
        desk.step();
        assert_eq!(guards(&desk), before, "the same guards stand at every moment of the halt");
        assert!(!held.iter().any(|symbol| is_exposed(&desk, *symbol)), "what is held is guarded at every moment of the halt");
    }
    // Somebody else cancels it.
    let symbol = held[0];
    let guard = desk.session.venue.open_orders(symbol).into_iter().find(|o| o.side == Side::Sell).unwrap().client_id.parse().unwrap();
    let now = desk.now();
    desk.session.venue.send(now, huracan::protocol::Request::Cancel { id: guard, symbol, order_id: None });
    desk.run(1);
    assert!(!is_exposed(&desk, symbol), "placed again, although halted");
}

#[test]
fn a_guard_that_ended_unheard_is_found_by_the_regular_comparison() {
    let mut desk = Desk::ready(19);
    desk.run_until("a guarded holding", |d| symbols().iter().any(|s| guarded_and_held(d, *s).0.is_positive()));
    let asked = desk.requests().iter().filter(|r| **r == huracan::protocol::Request::Account).count();
    desk.ears = Some(|said| (!matches!(said, VenueEvent::Balances { .. })).then_some(said));
    desk.run(130);
    let again = desk.requests().iter().filter(|r| **r == huracan::protocol::Request::Account).count();
    assert!(again >= asked + 2, "once a minute: {asked}, {again}");
}
