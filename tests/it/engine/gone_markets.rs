//! Markets that are gone keep no other from being traded.

use huracan::domain::{Instrument, Qty, Symbol};
use huracan::engine::Settings;
use huracan::protocol::{Command, Event, ModelRole, Record, Severity, TradingState, VenueEvent, VenueFill};

use crate::desk::{Desk, settings};

fn critical(desk: &Desk) -> Vec<String> {
    let alerts = desk.session.engine.view().alerts;
    alerts.into_iter().filter(|a| a.severity == Severity::Critical).map(|a| a.text).collect()
}

#[test]
fn a_market_that_the_venue_does_not_list_is_named_and_the_others_are_not() {
    let mut desk = Desk::closed(71, settings());
    desk.open(None);
    desk.clock();
    let listed: Vec<Instrument> = desk.flow.config().symbols.iter().map(|s| s.instrument.clone()).collect();
    desk.apply(Event::Venue(VenueEvent::Instruments(listed.clone())));
    assert_eq!(critical(&desk), [""; 0]);
    let mut desk = Desk::closed(71, settings());
    desk.open(None);
    let known = listed.into_iter().filter(|i| i.symbol.as_str() != "SOLUSDT").collect();
    desk.apply(Event::Venue(VenueEvent::Instruments(known)));
    let said = critical(&desk);
    assert!(said.len() == 1 && said[0].contains("does not know the market SOLUSDT") && said[0].contains("start again"), "{said:?}");
}

#[test]
fn a_market_with_a_rest_may_leave_the_symbols_and_trading_goes_on() {
    let bitcoin: Symbol = "BTCUSDT".parse().unwrap();
    // A commission in the coin that was bought leaves a rest with every trade.
    let mut desk = Desk::with(72, Settings { symbols: vec![bitcoin, "ETHUSDT".parse().unwrap()], ..settings() }, ModelRole::Shadow);
    let rest = |d: &Desk| d.session.engine.snapshot().desks.into_iter().find(|(s, ..)| *s == bitcoin).unwrap();
    desk.run_until("a rest", |d| rest(d).1.is_positive());
    desk.command(Command::Flatten);
    desk.run_until("flat", |d| d.trades().is_empty() && d.session.engine.snapshot().open_orders().is_empty());
    desk.command(Command::Resume);
    let (_, qty, cost, _) = rest(&desk);
    assert!(qty.is_positive() && cost.is_positive());
    let realised = desk.session.engine.snapshot().realised;
    let wreck = desk.crash();
    assert_eq!(wreck.state().symbols_in_use("5".parse().unwrap(), "USDT".parse().unwrap()), [], "{qty} for {cost}");
    let mut next = wreck.restart_with(|s| s.symbols.retain(|s| s.as_str() == "ETHUSDT"));
    let state = next.session.engine.snapshot();
    assert_eq!(state.realised, realised - cost, "what is given up is lost");
    assert_eq!(state.foreign.get(&"BTC".parse().unwrap()), Some(&qty), "it stays on the account");
    assert_eq!(state.ledger.venue_balance("BTC".parse().unwrap()), Qty::ZERO);
    let written = next.records().into_iter().find_map(|r| if let Record::Postings(lines) = r { Some(lines) } else { None });
    assert_eq!(written.unwrap().len(), 2, "the books say so");
    next.reconcile();
    next.learn(ModelRole::Shadow);
    next.run(90);
    assert_eq!(next.session.engine.view().trading, TradingState::Active, "{:?}", next.session.engine.view().alerts);
    assert!(!next.openings().is_empty(), "its equity is known");
    assert!(next.pnl().net_pnl.is_some());
    assert_eq!(next.pnl().net_pnl, next.pnl().ledger_net_pnl);
    // Once, and not again at the next start.
    let mut third = next.crash().restart();
    assert!(!third.records().iter().any(|r| matches!(r, Record::Postings(_))));
    third.reconcile();
    assert_eq!(third.pnl().net_pnl, third.pnl().ledger_net_pnl);
}

/// Every fill of bitcoin costs a hundredth of an ether, which the account that is stated here never paid.
fn in_ether(said: VenueEvent) -> Option<VenueEvent> {
    Some(match said {
        VenueEvent::Fill(fill) if fill.symbol.as_str() == "BTCUSDT" => {
            VenueEvent::Fill(VenueFill { fee: "0.01".parse().unwrap(), fee_asset: "ETH".parse().unwrap(), ..fill })
        }
        VenueEvent::Balances { .. } => return None,
        said => said,
    })
}

#[test]
fn the_market_of_a_coin_that_paid_fees_stays_in_use() {
    let symbols = vec!["BTCUSDT".parse().unwrap(), "ETHUSDT".parse().unwrap()];
    let mut desk = Desk::with(72, Settings { symbols, ..settings() }, ModelRole::Shadow);
    desk.ears = Some(in_ether);
    desk.run_until("trades", |d| d.costs().iter().filter(|c| c.symbol.as_str() == "BTCUSDT").count() >= 2);
    desk.command(Command::Flatten);
    desk.run_until("flat", |d| d.trades().is_empty() && d.session.engine.snapshot().open_orders().is_empty());
    let wreck = desk.crash();
    let (state, usdt) = (wreck.state(), "USDT".parse().unwrap());
    assert!(state.ledger.venue_balance("ETH".parse().unwrap()) < Qty::ZERO, "the owner's ether paid");
    assert_eq!(state.symbols_in_use("5".parse().unwrap(), usdt), ["ETHUSDT".parse().unwrap()]);
    let next = wreck.restart_with(|s| s.symbols.retain(|s| s.as_str() == "BTCUSDT"));
    assert_eq!(next.pnl().equity, None, "without it the equity would be unknown for good");
}
