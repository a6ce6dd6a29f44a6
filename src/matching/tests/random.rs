//! Whatever two customers and the market do, in any order, with restarts between.

use proptest::prelude::*;

use super::*;
use crate::domain::{Asset, Balance, ListStatus, Money, OrderListId, Role};

/// What a customer or the market does; numbers are ticks around 100 and steps.
#[derive(Debug, Clone)]
enum Act {
    Order { account: u32, buy: bool, ticks: i64, steps: i128, kind: u8, mode: u8 },
    List { account: u32, buy: bool, ticks: i64, steps: i128, form: u8 },
    Cancel { account: u32, nth: usize },
    Amend { account: u32, nth: usize, steps: i128 },
    Depth { buy: bool, ticks: i64, steps: i128 },
    Trade { ticks: i64, steps: i128, buyer_is_maker: bool },
    Quote { ticks: i64, steps: i128 },
    Snapshot,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1..3_u32, any::<bool>(), -250..350_i64, 1..4000_i128, 0..9_u8, 0..5_u8)
            .prop_map(|(account, buy, ticks, steps, kind, mode)| Act::Order { account, buy, ticks, steps, kind, mode }),
        4 => (1..3_u32, any::<bool>(), 1..200_i64, 50..3000_i128, 0..3_u8)
            .prop_map(|(account, buy, ticks, steps, form)| Act::List { account, buy, ticks, steps, form }),
        2 => (1..3_u32, 0..6_usize).prop_map(|(account, nth)| Act::Cancel { account, nth }),
        2 => (1..3_u32, 0..6_usize, 1..3000_i128).prop_map(|(account, nth, steps)| Act::Amend { account, nth, steps }),
        3 => (any::<bool>(), -300..400_i64, 0..5000_i128).prop_map(|(buy, ticks, steps)| Act::Depth { buy, ticks, steps }),
        4 => (-300..400_i64, 1..3000_i128, any::<bool>())
            .prop_map(|(ticks, steps, buyer_is_maker)| Act::Trade { ticks, steps, buyer_is_maker }),
        1 => (-200..300_i64, 1..3000_i128).prop_map(|(ticks, steps)| Act::Quote { ticks, steps }),
        1 => Just(Act::Snapshot),
        1 => Just(Act::Restart),
    ]
}

fn near(ticks: i64) -> Price {
    Price::from_raw(10_000_000_000 + ticks * 1_000_000)
}
fn lots(steps: i128) -> Qty {
    Qty::from_raw(steps * 100_000)
}
fn side_of(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

fn perform(venue: &mut Venue, act: &Act, turn: u64) {
    let symbol = name("BTCUSDT");
    match *act {
        Act::Order { account, buy, ticks, steps, kind, mode } => {
            let price = near(ticks);
            let stop = near(ticks / 2);
            let time_in_force = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok][usize::from(mode) % 3];
            let kind = match kind {
                0 => OrderKind::Market,
                1 => OrderKind::LimitMaker { price },
                2 => OrderKind::StopLoss { stop },
                3 => OrderKind::TakeProfit { stop },
                4 => OrderKind::StopLossLimit { stop, price, time_in_force },
                5 => OrderKind::TakeProfitLimit { stop, price, time_in_force },
                _ => OrderKind::Limit { price, time_in_force },
            };
            let self_trade = match mode {
                0 => None,
                1 => Some(SelfTradeMode::None),
                2 => Some(SelfTradeMode::ExpireTaker),
                3 => Some(SelfTradeMode::ExpireMaker),
                _ => Some(SelfTradeMode::ExpireBoth),
            };
            let wanted = OrderRequest { client_id: format!("p{turn}"), symbol, side: side_of(buy), qty: lots(steps), kind };
            let terms = Terms { self_trade, ..Terms::default() };
            venue.exchange.place(at(2), AccountId(account), &wanted, terms, &mut venue.reports).ok();
        }
        Act::List { account, buy, ticks, steps, form } => {
            let request = ListRequest { client_id: format!("l{turn}"), shape: shape(turn, buy, ticks, steps, form) };
            venue.exchange.submit_list(at(2), AccountId(account), &request, &mut venue.reports).ok();
        }
        Act::Cancel { account, nth } => {
            let id = venue.exchange.open_orders(AccountId(account), None).get(nth).map(|order| order.order_id);
            if let Some(id) = id {
                venue.exchange.cancel(at(1), AccountId(account), symbol, OrderRef::Id(id), &mut venue.reports).unwrap();
            }
        }
        Act::Amend { account, nth, steps } => {
            let id = venue.exchange.open_orders(AccountId(account), None).get(nth).map(|order| order.order_id);
            if let Some(id) = id {
                let order = OrderRef::Id(id);
                venue.exchange.amend(at(1), AccountId(account), symbol, order, lots(steps), None, &mut venue.reports).ok();
            }
        }
        Act::Depth { buy, ticks, steps } => {
            let level = vec![Level { price: near(ticks), qty: lots(steps) }];
            let (bids, asks) = if buy { (level, vec![]) } else { (vec![], level) };
            let id = turn + 11;
            venue.market(&update(MarketData::Depth(DepthDiff { first_update_id: 1, last_update_id: id, bids, asks })));
        }
        Act::Trade { ticks, steps, buyer_is_maker } => {
            let trade = PublicTrade { id: TradeId(turn), price: near(ticks), qty: lots(steps), buyer_is_maker };
            venue.market(&update(MarketData::Trade(trade)));
        }
        Act::Quote { ticks, steps } => {
            let level = |ticks| Level { price: near(ticks), qty: lots(steps) };
            venue.market(&update(MarketData::Quote(Quote { update_id: turn + 11, bid: level(ticks), ask: level(ticks + 1) })));
        }
        Act::Snapshot => venue.market(&snapshot()),
        Act::Restart => {
            let bytes = bincode::serde::encode_to_vec(&venue.exchange, bincode::config::standard()).unwrap();
            venue.exchange = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap().0;
            venue.market(&snapshot());
        }
    }
}

fn shape(turn: u64, buy: bool, ticks: i64, steps: i128, form: u8) -> ListShape {
    let leg = |part: &str, side, kind| {
        let request = OrderRequest { client_id: format!("{part}{turn}"), symbol: name("BTCUSDT"), side, qty: lots(steps), kind };
        Leg { request, terms: Terms::default() }
    };
    let (side, exit) = (side_of(buy), side_of(!buy));
    let working = OrderKind::Limit { price: near(if buy { 50 - ticks } else { 50 + ticks }), time_in_force: TimeInForce::Gtc };
    let pair = |side: Side| {
        let limit = |price| leg("m", side, OrderKind::LimitMaker { price });
        let stop = |stop, price| leg("s", side, OrderKind::StopLossLimit { stop, price, time_in_force: TimeInForce::Gtc });
        match side {
            Side::Sell => (limit(near(100 + ticks)), stop(near(20 - ticks), near(-ticks))),
            Side::Buy => (stop(near(80 + ticks), near(100 + ticks)), limit(near(-ticks))),
        }
    };
    match form {
        0 => {
            let (above, below) = pair(side);
            ListShape::Oco { above, below }
        }
        1 => ListShape::Oto { working: leg("w", side, working), pending: leg("p", exit, OrderKind::Market) },
        _ => {
            let (above, below) = pair(exit);
            ListShape::Otoco { working: leg("w", side, working), above, below }
        }
    }
}

/// The dumb reference: free + locked of every account, re-summed from the fills that were reported.
fn expected_totals(account: AccountId, reports: &[Report]) -> (Qty, Qty) {
    let (mut base, mut quote) = (qty("10"), qty("1000"));
    let fills = reports.iter().filter(|report| report.account == account).filter_map(|report| match &report.kind {
        ReportKind::Fill(fill) => Some(fill),
        _ => None,
    });
    for fill in fills {
        let money: Money = fill.price.notional(fill.qty).unwrap();
        let rate = if fill.role == Role::Maker { btc().fees.maker } else { btc().fees.taker };
        match fill.side {
            Side::Buy => {
                base += fill.qty - fill.qty.at_rate(rate);
                quote -= money.to_quote();
            }
            Side::Sell => {
                base -= fill.qty;
                quote += money.to_quote() - money.to_quote().at_rate(rate);
            }
        }
    }
    (base, quote)
}

fn total(balances: &[Balance], asset: Asset) -> Qty {
    balances.iter().filter(|balance| balance.asset == asset).map(Balance::total).sum()
}

/// What open orders of a side lock; of an OCO pair the larger.
fn locks(venue: &Venue, account: AccountId, side: Side) -> Qty {
    let open = venue.exchange.open_orders(account, None);
    let pairs: Vec<(OrderId, OrderId)> = venue.exchange.open_lists(account, None).iter().filter_map(|list| list.pair()).collect();
    let lock = |id: OrderId| open.iter().find(|order| order.order_id == id).map_or(Qty::ZERO, |order| order.lock());
    let of_side = open.iter().filter(|order| order.side == side);
    of_side
        .map(|order| match pairs.iter().find(|(above, below)| *above == order.order_id || *below == order.order_id) {
            None => order.lock(),
            Some((above, below)) if *above == order.order_id => lock(*above).max(lock(*below)),
            Some((above, below)) if lock(*above).is_zero() => lock(*below),
            Some(_) => Qty::ZERO,
        })
        .sum()
}

/// Each list executes as long as one of its orders is open; pending orders are those whose working order is.
fn lists_are_consistent(venue: &Venue, account: AccountId) -> Result<(), TestCaseError> {
    for list in venue.exchange.all_lists(account) {
        let leg = |id: OrderId| venue.exchange.order(account, list.symbol, OrderRef::Id(id)).unwrap();
        let open = list.legs.iter().any(|(id, _)| !leg(*id).status.is_final());
        prop_assert_eq!(open, list.status == ListStatus::Executing, "{:?}", list);
        for (id, client_id) in &list.legs {
            prop_assert_eq!(&leg(*id).client_id, client_id);
            prop_assert_eq!(leg(*id).list_id, Some(list.list_id));
        }
        if let Some(working) = list.working() {
            for (id, _) in &list.legs[1..] {
                let waits = leg(*id).phase == Phase::Pending && !leg(*id).status.is_final();
                prop_assert_eq!(waits, !leg(working).status.is_final());
            }
        }
        if let Some((above, below)) = list.pair() {
            let started = [above, below].iter().filter(|id| leg(**id).filled.is_positive()).count();
            prop_assert!(started <= 1, "only one of a pair trades");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn balances_follow_fills_and_fees_and_nothing_else(acts in proptest::collection::vec(act(), 1..80)) {
        let mut venue = Venue::new();
        let mut finals = std::collections::BTreeMap::new();
        for (turn, act) in acts.iter().enumerate() {
            perform(&mut venue, act, turn as u64);
            for account in [US, THEM] {
                let balances = venue.exchange.balances(account);
                prop_assert!(balances.iter().all(|b| b.free >= Qty::ZERO && b.locked >= Qty::ZERO), "{:?}", balances);
                let (base, quote) = expected_totals(account, &venue.reports);
                prop_assert_eq!(total(&balances, name("BTC")), base);
                prop_assert_eq!(total(&balances, name("USDT")), quote);
                let locked = |asset: &str| balances.iter().filter(|b| b.asset == name(asset)).map(|b| b.locked).sum::<Qty>();
                prop_assert_eq!(locked("USDT"), locks(&venue, account, Side::Buy));
                prop_assert_eq!(locked("BTC"), locks(&venue, account, Side::Sell));
                lists_are_consistent(&venue, account)?;
                for order in venue.exchange.all_orders(account, name("BTCUSDT")) {
                    prop_assert!(order.filled <= order.qty);
                    prop_assert_eq!(order.filled == order.qty, order.status == OrderStatus::Filled);
                    if order.status.is_final() {
                        let first = finals.entry(order.order_id).or_insert_with(|| order.clone());
                        prop_assert_eq!(&*first, order);
                    }
                }
            }
        }
    }

    /// A restart forgets the book and the places in the queue, and nothing else: on a new book, trades beyond every limit make the same
    /// reports as without it.
    #[test]
    fn a_restart_at_any_moment_changes_no_report_but_by_places_in_the_queue(
        acts in proptest::collection::vec(act(), 1..40),
        later in proptest::collection::vec((-400..500_i64, any::<bool>()), 1..12),
    ) {
        let mut venue = Venue::new();
        for (turn, act) in acts.iter().enumerate() {
            perform(&mut venue, act, turn as u64);
        }
        let json = serde_json::to_string(&venue.exchange).unwrap();
        let back: Exchange = serde_json::from_str(&json).unwrap();
        let mut told = Vec::new();
        for mut exchange in [venue.exchange.clone(), back] {
            let mut reports = Vec::new();
            exchange.on_market(&update(MarketData::Interrupted), &mut reports);
            for (nth, (ticks, buyer_is_maker)) in later.iter().enumerate() {
                // Between the trades a book without our prices: nothing rests behind anybody.
                let book = BookSnapshot {
                    last_update_id: 1_000 + nth as u64,
                    bids: vec![Level { price: near(-900), qty: lots(70_000) }],
                    asks: vec![Level { price: near(900), qty: lots(70_000) }],
                };
                exchange.on_market(&update(MarketData::Snapshot(book)), &mut reports);
                // Half a cent off the grid of orders: never at a limit, always beyond or before it.
                let price = Price::from_raw(near(*ticks).raw() + 500_000);
                let trade = PublicTrade { id: TradeId(nth as u64), price, qty: lots(1), buyer_is_maker: *buyer_is_maker };
                exchange.on_market(&update(MarketData::Trade(trade)), &mut reports);
            }
            let lists: Vec<_> = [US, THEM].iter().flat_map(|account| exchange.all_lists(*account)).cloned().collect();
            told.push((format!("{reports:?}"), exchange.balances(US), exchange.balances(THEM), lists, OrderListId(exchange.counters.list)));
        }
        prop_assert_eq!(&told[0], &told[1]);
    }
}
