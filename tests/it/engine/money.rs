//! The same money counted three ways, to the last unit.

use huracan::domain::{Bps, FeeRates, Instrument, MarketUpdate, Money, Qty, Side, Span};
use huracan::engine::Settings;
use huracan::protocol::{Command, Event, ModelRole, Record, Refusal, Severity, VenueEvent, VenueFill, Verdict};

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
fn a_position_s_result_reads_the_same_in_money_and_in_bps() {
    let mut desk = Desk::ready(12);
    let (mut looked, mut fees_decide) = (0, 0);
    for _ in 0..120 {
        desk.run(1);
        let view = desk.session.engine.view();
        for position in &view.positions {
            let (Some(result), Some(bps)) = (position.unrealised, position.unrealised_bps) else { continue };
            let trade = desk.session.engine.snapshot().trades.into_iter().find(|trade| trade.symbol == position.symbol).unwrap();
            assert_eq!(bps, result.ratio_bps(trade.entry.value));
            assert!(bps.to_f64() == 0.0 || (bps > Bps::ZERO) == result.is_positive(), "{result} and {bps} bps");
            looked += 1;
            fees_decide += usize::from(position.mark.unwrap() > position.entry_price && !result.is_positive());
        }
        assert!(view.exposed.now.is_positive() || view.exposed.lasting == Span::ZERO, "{:?}", view.exposed);
    }
    assert!(looked > 50 && fees_decide > 0, "{looked} positions, in {fees_decide} the fees took the gain");
}

#[test]
fn what_can_not_be_sold_for_its_size_was_not_missed() {
    let mut desk = Desk::with(11, settings(), ModelRole::Champion);
    desk.run(240);
    desk.command(Command::Flatten);
    desk.run(20);
    desk.command(Command::Stop);
    desk.run(2);
    let dust = desk.session.engine.snapshot().desks.iter().any(|(_, dust, ..)| !dust.is_zero());
    assert!(dust, "without dust this proves nothing");
    let (view, minimum) = (desk.session.engine.view(), desk.flow.config().symbols[0].instrument.min_notional);
    let named = view.dust.unwrap();
    assert!(view.positions.is_empty() && named.is_positive() && named < minimum + minimum + minimum, "{named} of dust");
    assert!(view.remembered >= view.counters.trades_closed, "{} episodes", view.remembered);
    let sales: Vec<_> = desk
        .records()
        .into_iter()
        .filter_map(|record| if let Record::OrderCost(cost) = record { Some(cost) } else { None })
        .filter(|cost| cost.side == Side::Sell && cost.filled.is_positive())
        .collect();
    assert!(sales.len() >= 5, "{}", sales.len());
    let missed: Vec<_> = sales.iter().filter(|cost| !cost.missed.is_zero()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

fn fills(desk: &Desk) -> Vec<VenueFill> {
    desk.records().into_iter().filter_map(|record| if let Record::Fill(filled) = record { Some(filled.fill) } else { None }).collect()
}

#[test]
fn costs_and_fees_add_up_over_a_session() {
    let mut whole = 0;
    for seed in 15..20 {
        let mut desk = Desk::with(seed, settings(), ModelRole::Champion);
        desk.run(300);
        desk.command(Command::Flatten);
        desk.run(20);
        let costs = desk.costs();
        let sum = |part: fn(&huracan::protocol::CostRecord) -> Money| costs.iter().map(part).sum::<Money>();
        for c in &costs {
            assert_eq!(c.gross - c.fees - c.spread - c.slippage - c.impact, c.net, "{c:?}");
        }
        let snapshot = desk.session.engine.snapshot();
        assert!(snapshot.fees.is_positive());
        // Dust that was swept is sold without a trade: such a session has fees that are no trade's.
        let sold: Qty = fills(&desk).iter().filter(|f| f.side == Side::Sell).map(|f| f.qty).sum();
        if sold == costs.iter().map(|c| c.qty).sum() {
            // Closed trades and what is left as dust are everything: the rest is the fees of entries that bought only dust.
            let dropped = sum(|c| c.net) - snapshot.realised;
            assert_eq!(sum(|c| c.fees) + dropped, snapshot.fees, "seed {seed}");
            whole += 1;
        }
    }
    assert!(whole > 0, "every session swept dust");
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
    let step: Money = "0.7".parse().unwrap();
    let (mut most, mut sold) = (Money::ZERO, 0);
    for _ in 0..1_800 {
        compare(&mut desk, 1);
        let snapshot = desk.session.engine.snapshot();
        let bid = desk.session.engine.view().symbols[0].bid.unwrap();
        let dust = bid.notional(snapshot.desks[0].1).unwrap();
        sold += usize::from(dust < most);
        most = if dust < most { dust } else { most.max(dust) };
        // What the last trade left came on top of what the venue did not take.
        assert!(dust < minimum + step + step, "{dust} of dust after {} trades", desk.session.engine.counters().trades_closed);
    }
    assert!(sold > 0, "{most} of dust, never sold");
}

/// A sale costs a little of the coin that is sold, a purchase of bitcoin or ether some of the third market's coin.
fn in_coins(said: VenueEvent) -> Option<VenueEvent> {
    Some(match said {
        VenueEvent::Fill(fill) if fill.side == Side::Sell => {
            let base = fill.symbol.as_str().trim_end_matches("USDT").parse().unwrap();
            VenueEvent::Fill(VenueFill { fee: fill.qty.at_rate("7.5".parse().unwrap()), fee_asset: base, ..fill })
        }
        VenueEvent::Fill(fill) if fill.symbol.as_str() != "SOLUSDT" => {
            VenueEvent::Fill(VenueFill { fee: "0.001".parse().unwrap(), fee_asset: "SOL".parse().unwrap(), ..fill })
        }
        // The account that is stated here never paid them.
        VenueEvent::Balances { .. } => return None,
        said => said,
    })
}

#[test]
fn fees_in_the_coins_that_are_traded_are_counted_once() {
    let free = |i: Instrument| Instrument { fees: FeeRates { maker: Bps::ZERO, taker: Bps::ZERO }, ..i };
    let mut desk = Desk::listed(18, settings(), free);
    desk.ears = Some(in_coins);
    desk.open(None);
    desk.clock();
    desk.connect();
    desk.learn(ModelRole::Champion);
    for _ in 0..240 {
        desk.run(1);
        let pnl = desk.pnl();
        assert!(pnl.net_pnl.is_some(), "a market without a mark");
        assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl, "trades against ledger at {}", desk.session.now());
    }
    desk.command(Command::Flatten);
    desk.run(20);
    let (pnl, counters, snapshot) = (desk.pnl(), desk.session.engine.counters(), desk.session.engine.snapshot());
    assert_eq!(pnl.net_pnl, pnl.ledger_net_pnl);
    assert!(counters.trades_closed >= 5 && counters.halts == 1, "{counters:?}");
    assert!(desk.costs().iter().all(|cost| cost.fees.is_positive()), "{:?}", desk.costs());
    for (symbol, dust, cost, _) in &snapshot.desks {
        let sum = |side| fills(&desk).iter().filter(|f| f.side == side && f.symbol == *symbol).map(|f| f.qty).sum::<Qty>();
        assert!(sum(Side::Sell) <= sum(Side::Buy), "{symbol}: sold out of what was never bought");
        let base = symbol.as_str().trim_end_matches("USDT").parse().unwrap();
        assert_eq!((snapshot.ledger.venue_balance(base), *dust < Qty::ZERO), (*dust, *cost < Money::ZERO), "{symbol}");
    }
    assert!(snapshot.desks.iter().any(|(_, dust, ..)| *dust < Qty::ZERO), "nothing was paid with coins of the owner's");
}

/// Every fill costs a thousandth of a coin that is not traded here.
fn in_bnb(said: VenueEvent) -> Option<VenueEvent> {
    Some(match said {
        VenueEvent::Fill(fill) => VenueEvent::Fill(VenueFill { fee: "0.001".parse().unwrap(), fee_asset: "BNB".parse().unwrap(), ..fill }),
        said => said,
    })
}

#[test]
fn a_fee_in_a_coin_that_is_not_traded_is_kept_apart_and_told() {
    let free = |i: Instrument| Instrument { fees: FeeRates { maker: Bps::ZERO, taker: Bps::ZERO }, ..i };
    let mut desk = Desk::listed(18, settings(), free);
    desk.ears = Some(in_bnb);
    desk.open(None);
    desk.clock();
    desk.connect();
    desk.learn(ModelRole::Shadow);
    let compared = compare(&mut desk, 180);
    let counters = desk.session.engine.counters().clone();
    assert!(compared > 90 && counters.trades_closed >= 1 && counters.halts == 0, "{compared}: {counters:?}");
    // What can not be counted reaches no limit: nothing more is bought, and what was bought is managed to its end.
    let refused = desk.decisions().iter().filter(|d| matches!(d.verdict, Verdict::Refused(Refusal::FeeUnpriced { .. }))).count();
    assert!(refused > 10 && desk.trades().is_empty(), "{refused} refused, {:?}", desk.trades());
    // What was bought is held and sold to the last unit: nothing of it went as a fee.
    assert!(desk.costs().iter().all(|cost| cost.fees.to_f64().abs() < 1e-6), "only what the venue rounds");
    let bnb = "BNB".parse().unwrap();
    let snapshot = desk.session.engine.snapshot();
    assert_eq!((snapshot.fees, snapshot.ledger.venue_balance(bnb)), (Money::ZERO, Qty::ZERO));
    let paid: Qty = (0..counters.fills).map(|_| "0.001".parse::<Qty>().unwrap()).sum();
    assert_eq!(snapshot.foreign[&bnb], -paid, "seen, but not ours to count");
    let kept = |r: &Record| matches!(r, Record::Fill(f) if f.fill.fee_asset == bnb && f.fill.fee.is_positive());
    assert_eq!(desk.records().iter().filter(|r| kept(r)).count() as u64, counters.fills, "each fill is kept as the venue stated it");
    let alerts = desk.session.engine.view().alerts;
    let told = alerts.iter().find(|a| a.text.contains("0.001 BNB")).unwrap();
    assert!(told.severity == Severity::Critical && told.text.contains("not in the result"), "{told:?}");
    assert!(!alerts.iter().any(|a| a.text.contains("equity is unknown")), "the equity is known");
}

#[test]
fn an_exit_without_a_book_is_judged_by_what_was_known_last() {
    let mut desk = Desk::with(12, settings(), ModelRole::Champion);
    desk.run_until("a position", |d| d.trades().iter().any(|trade| !trade.is_entering() && !trade.is_leaving()));
    let closed = desk.costs().len();
    let now = desk.now();
    for symbol in crate::desk::symbols() {
        let data = huracan::domain::MarketData::Interrupted;
        desk.apply(Event::Market(MarketUpdate { symbol, exchange_time: None, local_time: now, data }));
    }
    desk.command(Command::Flatten);
    desk.run(20);
    let costs = desk.costs()[closed..].to_vec();
    assert!(!costs.is_empty());
    for cost in costs {
        let notional = cost.entry_price.notional(cost.qty).unwrap().to_f64();
        let bps = |money: Money| money.to_f64() / notional * 1e4;
        assert!(bps(cost.gross).abs() < 200.0 && bps(cost.slippage).abs() < 200.0, "{cost:?}");
    }
}
