//! The same money counted three ways, to the last unit.

use huracan::domain::Money;
use huracan::engine::Settings;
use huracan::protocol::{ModelRole, Record};

use crate::desk::{Desk, settings};

/// Compares at every second; gives how often the venue could be compared too.
fn compare(desk: &mut Desk, seconds: i64) -> usize {
    let mut with_venue = 0;
    for _ in 0..seconds {
        desk.run(1);
        let pnl = desk.pnl();
        assert!(pnl.net_pnl.is_some(), "a market without a mark");
        assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl, "trades against ledger at {}", desk.session.now());
        // Between a fill there and its news here the two differ rightly.
        if desk.session.venue.next_due().is_none() {
            assert_eq!(pnl.net_pnl, Some(desk.venue_pnl()), "trades against venue at {}", desk.session.now());
            with_venue += 1;
        }
    }
    with_venue
}

#[test]
fn three_ways_to_count_the_same_money() {
    for (seed, role) in [(11, ModelRole::Shadow), (12, ModelRole::Champion), (13, ModelRole::ShadowTrading), (14, ModelRole::Champion)] {
        let mut desk = Desk::with(seed, settings(), role);
        let compared = compare(&mut desk, 240);
        let counters = desk.session.engine.counters();
        assert!(counters.trades_closed >= 5 && counters.maker_fills > 0 && counters.taker_fills > 0, "{counters:?}");
        assert!(compared > 120, "the venue was compared only {compared} times");
        let dust = desk.session.engine.snapshot().desks.iter().any(|(_, dust, ..)| !dust.is_zero());
        assert!(dust, "commissions in base coins leave dust: without it this proves less");
    }
}

#[test]
fn costs_and_fees_add_up_over_a_session() {
    let mut desk = Desk::with(15, settings(), ModelRole::Champion);
    desk.run(300);
    desk.command(huracan::protocol::Command::Flatten);
    desk.run(20);
    let costs = desk.costs();
    let sum = |part: fn(&huracan::protocol::CostRecord) -> Money| costs.iter().map(part).sum::<Money>();
    for c in &costs {
        assert_eq!(c.gross - c.fees - c.spread - c.slippage - c.impact, c.net, "{c:?}");
    }
    // Closed trades and what is left as dust are everything: the rest is the fees of entries that bought only dust.
    let snapshot = desk.session.engine.snapshot();
    let dropped = sum(|c| c.net) - snapshot.realised;
    assert_eq!(sum(|c| c.fees) + dropped, snapshot.fees);
    assert!(snapshot.fees.is_positive());
}

#[test]
fn every_posting_is_balanced_and_the_fills_explain_the_ledger() {
    let mut desk = Desk::ready(16);
    desk.run(240);
    let mut sums = std::collections::BTreeMap::new();
    let (mut fills, mut entries) = (0, 0);
    for record in desk.records() {
        match record {
            Record::Fill(_) => fills += 1,
            Record::Postings(lines) => {
                entries += 1;
                let mut balance = std::collections::BTreeMap::new();
                for line in lines {
                    *balance.entry(line.asset).or_insert(huracan::domain::Qty::ZERO) += line.amount;
                    *sums.entry((line.account, line.asset)).or_insert(huracan::domain::Qty::ZERO) += line.amount;
                }
                assert!(balance.values().all(|sum| sum.is_zero()), "{balance:?}");
            }
            _ => {}
        }
    }
    assert_eq!(entries, fills + 1, "one entry a fill, and the opening of the books");
    let ledger = desk.session.engine.snapshot().ledger;
    for ((account, asset), sum) in sums {
        assert_eq!(ledger.sum(account, asset), sum);
    }
}

#[test]
fn dust_is_sold_once_the_venue_takes_it() {
    let settings = Settings { symbols: vec!["BTCUSDT".parse().unwrap()], ..settings() };
    let mut desk = Desk::with(17, settings, ModelRole::Champion);
    let minimum = desk.flow.config().symbols[0].instrument.min_notional;
    let (mut most, mut sold) = (Money::ZERO, 0);
    for _ in 0..1_800 {
        compare(&mut desk, 1);
        let snapshot = desk.session.engine.snapshot();
        let bid = desk.session.engine.view().symbols[0].bid.unwrap();
        let dust = bid.notional(snapshot.desks[0].1).unwrap();
        sold += usize::from(dust < most);
        most = if dust < most { dust } else { most.max(dust) };
        assert!(dust < minimum + minimum, "{dust} of dust after {} trades", desk.session.engine.counters().trades_closed);
    }
    assert!(sold > 0, "{most} of dust, never sold");
}
