//! Positions in parts: bought, guarded and sold in pieces that the book can bear, and reduced to a limit instead of sold whole.

use huracan::domain::{Money, Side, Symbol};
use huracan::engine::Settings;
use huracan::protocol::{Command, LimitName, LimitValue, ModelRole, OrderCostRecord, ParentPurpose, Record, Request};
use huracan::trading::costs::MakerRules;

use super::guard::is_exposed;
use crate::desk::{Desk, settings, symbols};

/// A book in which nearly every order of ours is large.
fn thin() -> Settings {
    let maker = MakerRules { depth_share_percent: 0.2, twap_parts: 8, twap_ms: 6_000, ..settings().maker };
    Settings { maker, ..settings() }
}

fn order_costs(desk: &Desk, purpose: ParentPurpose) -> Vec<OrderCostRecord> {
    let costs = desk.records().into_iter().filter_map(|record| if let Record::OrderCost(cost) = record { Some(*cost) } else { None });
    costs.filter(|cost| cost.purpose == purpose).collect()
}

#[test]
fn large_positions_come_and_go_in_parts_that_the_venue_takes() {
    let (mut entries_in_parts, mut exits_in_parts, mut exposed, mut looked) = (0, 0, 0, 0);
    for seed in 40..43 {
        let mut desk = Desk::with(seed, thin(), ModelRole::ShadowTrading);
        for _ in 0..300 {
            desk.run(1);
            let pnl = desk.pnl();
            assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl);
            for symbol in symbols() {
                looked += 1;
                exposed += u32::from(is_exposed(&desk, symbol));
                let stops = desk.session.venue.open_orders(symbol).iter().filter(|o| o.kind.stop().is_some()).count();
                assert!(stops <= 5, "{stops} stops in {symbol}");
            }
        }
        let alerts: Vec<String> = desk.session.engine.view().alerts.iter().map(|alert| alert.text.clone()).collect();
        let refused: Vec<&String> = alerts.iter().filter(|text| text.contains("MAX_NUM_ALGO") || text.contains("insufficient")).collect();
        assert!(refused.is_empty(), "{refused:?}");
        desk.command(Command::Stop);
        desk.run(2);
        entries_in_parts += order_costs(&desk, ParentPurpose::Entry).iter().filter(|cost| cost.children > 3).count();
        exits_in_parts += order_costs(&desk, ParentPurpose::Exit).iter().filter(|cost| cost.children > 1).count();
    }
    println!("{entries_in_parts} entries and {exits_in_parts} exits in parts, exposed {exposed} of {looked}");
    assert!(entries_in_parts > 10 && exits_in_parts > 5, "{entries_in_parts} entries, {exits_in_parts} exits");
    assert!(exposed * 10 < looked, "exposed {exposed} of {looked}");
}

#[test]
fn a_person_gets_out_of_a_large_position_at_once() {
    let mut desk = Desk::with(41, thin(), ModelRole::ShadowTrading);
    desk.run_until("a position in parts", |desk| {
        desk.trades().iter().any(|trade| trade.entry.filled.is_positive() && !trade.is_entering())
    });
    desk.command(Command::Flatten);
    desk.run(3);
    assert_eq!(desk.trades().iter().filter(|trade| trade.held().is_positive()).count(), 0);
}

#[test]
fn a_tightened_limit_sells_a_part_that_is_a_parent_of_its_own() {
    let mut desk = Desk::ready(17);
    desk.run_until("a position", |desk| desk.trades().iter().any(|trade| !trade.is_entering() && !trade.is_leaving()));
    let symbol = desk.trades().iter().find(|trade| !trade.is_entering() && !trade.is_leaving()).unwrap().symbol;
    let held = |desk: &Desk| -> Money {
        let trades = desk.trades();
        trades
            .iter()
            .find(|trade| trade.symbol == symbol)
            .map_or(Money::ZERO, |trade| desk.session.engine.marks()[&symbol].notional(trade.held()).unwrap())
    };
    let (before, from) = (held(&desk), desk.requests().len());
    let limit = Money::from_raw(before.raw() / 2);
    for name in [LimitName::MaxOrderNotional, LimitName::MaxPositionNotional] {
        desk.command(Command::SetLimit { name, value: LimitValue::Money(limit), confirmed: false });
    }
    desk.run(3);
    let replaced = desk.requests()[from..].iter().filter(|request| matches!(request, Request::Replace { .. })).count();
    assert!(replaced > 0 && held(&desk) < limit && held(&desk) > Money::from_raw(limit.raw() / 2), "{} of {before}", held(&desk));
    assert!(!is_exposed(&desk, symbol));
    let pnl = desk.pnl();
    assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl);
    desk.command(Command::Stop);
    desk.run(2);
    let parts = order_costs(&desk, ParentPurpose::Exit);
    let part = parts.iter().find(|cost| cost.side == Side::Sell && cost.wanted.is_positive()).unwrap();
    assert!(part.filled == part.wanted && part.children == 1, "{part:?}");
}

#[test]
fn of_two_positions_beyond_their_limit_each_keeps_a_part() {
    let mut desk = Desk::ready(17);
    let holding = |desk: &Desk| desk.trades().iter().filter(|trade| !trade.is_entering() && !trade.is_leaving()).count();
    desk.run_until("two positions", |desk| holding(desk) >= 2);
    let marks = desk.session.engine.marks();
    let values = |desk: &Desk| -> Vec<(Symbol, Money)> {
        desk.trades().iter().map(|trade| (trade.symbol, marks[&trade.symbol].notional(trade.held()).unwrap())).collect()
    };
    let before: Vec<_> = values(&desk).into_iter().filter(|(_, value)| value.is_positive()).collect();
    let limit = Money::from_raw(before.iter().map(|(_, value)| value.raw()).min().unwrap() * 3 / 4);
    for name in [LimitName::MaxOrderNotional, LimitName::MaxPositionNotional] {
        desk.command(Command::SetLimit { name, value: LimitValue::Money(limit), confirmed: false });
    }
    desk.run(3);
    let after = values(&desk);
    for (symbol, value) in before {
        let left = after.iter().find(|(other, _)| *other == symbol).map(|(_, value)| *value).unwrap_or_default();
        let least = Money::from_raw(limit.raw() * 8 / 10);
        assert!(left <= limit && left >= least, "{symbol}: {value} became {left}, limit {limit}");
    }
}

#[test]
fn what_leaves_anyway_is_hurried_before_another_position_is_cut() {
    let mut desk = Desk::with(41, thin(), ModelRole::ShadowTrading);
    let leaving = |desk: &Desk| desk.trades().into_iter().find(|trade| trade.has_patience() && trade.held().is_positive());
    let others = |desk: &Desk| desk.trades().into_iter().filter(|t| !t.is_entering() && !t.is_leaving()).collect::<Vec<_>>();
    desk.run_until("one that leaves in parts beside another", |desk| leaving(desk).is_some() && !others(desk).is_empty());
    let (gone, staying) = (leaving(&desk).unwrap(), others(&desk));
    let marks = desk.session.engine.marks();
    let all: Money = desk.trades().iter().map(|trade| marks[&trade.symbol].notional(trade.held()).unwrap()).sum();
    let part = marks[&gone.symbol].notional(gone.held()).unwrap();
    let limit = LimitValue::Money(Money::from_raw(all.raw() - part.raw() / 2));
    let order = LimitValue::Money("10".parse().unwrap());
    for (name, value) in [(LimitName::MaxOrderNotional, order), (LimitName::MaxPositionNotional, limit), (LimitName::MaxExposure, limit)] {
        desk.command(Command::SetLimit { name, value, confirmed: false });
    }
    desk.run(2);
    for trade in staying {
        let now = desk.trades().into_iter().find(|t| t.symbol == trade.symbol && t.decision == trade.decision);
        assert!(now.is_none_or(|t| t.keeps().is_none() && t.exit.filled == trade.exit.filled), "{} was cut", trade.symbol);
    }
    assert!(desk.trades().iter().all(|trade| trade.symbol != gone.symbol || !trade.has_patience()), "it is in a hurry now");
}
