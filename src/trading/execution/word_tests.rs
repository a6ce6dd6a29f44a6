//! A hundred thousand lives of orders: every word of the venue at every moment, repeated, too late, and untrue.
//!
//! The seed is printed with the coverage of the transition table.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::order::tests::{EVENTS, STATES};
use super::*;
use crate::domain::{
    ClientOrderId, NewOrder, OrderId, OrderKind, OrderStatus, Price, Qty, Role, Side, Span, Symbol, TimeInForce, Timestamp, TradeId,
};
use crate::protocol::{OrderState, VenueFill, VenueOrder};

const SEED: u64 = 20_261_123;
const CASES: u64 = 100_000;

thread_local! {
    static SEEN: RefCell<BTreeMap<(usize, usize), u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Counts a line of the table that was asked.
pub(super) fn note(state: OrderState, event: OrderEvent) {
    let place = (STATES.iter().position(|s| *s == state).unwrap(), EVENTS.iter().position(|e| *e == event).unwrap());
    SEEN.with_borrow_mut(|seen| *seen.entry(place).or_default() += 1);
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn order(sequence: u64, side: Side, kind: OrderKind) -> NewOrder {
    let id = ClientOrderId { sequence, ..ClientOrderId::default() };
    NewOrder { id, symbol: symbol(), side, qty: Qty::from_raw(10), kind }
}

/// An order alone (1), and an entry (2) with its guard (3, 4).
fn book() -> Orders {
    let mut orders = Orders::default();
    orders.insert_for_test(order(1, Side::Sell, OrderKind::Market), Purpose::Exit, Timestamp::EPOCH);
    let price = Price::from_raw(100);
    let entry = order(2, Side::Buy, OrderKind::Limit { price, time_in_force: TimeInForce::Gtc });
    let ids = [9, 3, 4].map(|sequence| ClientOrderId { sequence, ..ClientOrderId::default() });
    let bracket = Bracket::new(ids, symbol(), Qty::from_raw(10), Price::from_raw(110), Price::from_raw(90));
    orders.insert_list_for_test(Some(entry), bracket, Timestamp::EPOCH);
    orders
}

/// Seconds since its creation after which "no such order" proves that an order of which nothing was heard never came to be.
const PROVEN_AFTER_SECS: i64 = 60;

/// What is known of an order without the book: told trades, whether the venue ever named it, and whether it ever said that it is over.
#[derive(Default, Clone)]
struct Known {
    trades: BTreeMap<u64, Qty>,
    named: bool,
    ended_by_venue: bool,
}

struct Case {
    orders: Orders,
    known: [Known; 4],
    now: Timestamp,
}

impl Case {
    fn word(&mut self, dice: &mut Dice) {
        self.now = self.now + Span::from_millis(1 + dice.below(4_000) as i64);
        // Now and then a minute of silence, after which a missing order is proven missing.
        if dice.below(12) == 0 {
            self.now = self.now + Span::from_secs(61);
        }
        let which = dice.below(4) as usize;
        let new = self.orders.get(ClientOrderId { sequence: which as u64 + 1, ..ClientOrderId::default() }).unwrap().new;
        let (id, now) = (new.id, self.now);
        let known = &mut self.known[which];
        match dice.below(10) {
            0 => {
                known.named = true;
                let _ = self.orders.accepted(id, OrderId(7), now);
            }
            1 | 2 => {
                let trade = dice.below(6);
                let whole = dice.below(12) == 0;
                known.named = true;
                let qty = *known.trades.entry(trade).or_insert_with(|| Qty::from_raw(if whole { 10 } else { 1 + dice.below(4) as i128 }));
                let fill = self.fill(&new, trade, qty);
                let _ = self.orders.fill(&fill);
            }
            3 => drop(self.orders.cancel(id, now)),
            4 => {
                let _ = self.orders.outcome_unknown(id, now);
            }
            5 => {
                let _ = self.orders.cancel_refused(id, now);
            }
            6 if dice.below(4) == 0 => {
                known.ended_by_venue = true;
                let _ = self.orders.refused(id, now);
            }
            6 => {
                let proven = self.orders.missing(id, now) != Change::None;
                let known = &mut self.known[which];
                let age = now.since(Timestamp::EPOCH);
                let may_end = age > Span::from_secs(PROVEN_AFTER_SECS) && !known.named;
                assert!(may_end || !proven, "order {which} was given up after {age:?}, named {}", known.named);
                known.ended_by_venue |= proven;
            }
            7 => drop(self.orders.questions(now)),
            _ => {
                let statuses =
                    [OrderStatus::Open, OrderStatus::PartiallyFilled, OrderStatus::Filled, OrderStatus::Canceled, OrderStatus::Expired];
                let status = statuses[dice.below(5) as usize];
                known.named = true;
                known.ended_by_venue |= status.is_final();
                // It may speak of less than was told already: another door's older view.
                let filled = Qty::from_raw(dice.below(11) as i128);
                let stated =
                    VenueOrder { id, order_id: OrderId(7), symbol: symbol(), side: new.side, status, qty: new.qty, filled, at: now };
                let _ = self.orders.stated(&stated, now);
            }
        }
    }

    fn fill(&self, new: &NewOrder, trade: u64, qty: Qty) -> VenueFill {
        VenueFill {
            id: new.id,
            order_id: OrderId(7),
            trade_id: TradeId(trade),
            symbol: symbol(),
            side: new.side,
            price: Price::from_raw(100),
            qty,
            role: Role::Maker,
            fee: Qty::ZERO,
            fee_asset: "USDT".parse().unwrap(),
            at: self.now,
        }
    }

    fn check(&self, case: u64) {
        for (which, known) in self.known.iter().enumerate() {
            let seen = self.orders.get(ClientOrderId { sequence: which as u64 + 1, ..ClientOrderId::default() }).unwrap();
            assert!(seen.trades.iter().map(|trade| &trade.0).eq(known.trades.keys()), "case {case}, order {which}: no trade is lost");
            let told: Qty = known.trades.values().copied().sum();
            assert_eq!(seen.filled, told, "case {case}, order {which}: each trade counts once");
            let full = seen.filled >= seen.new.qty;
            assert!(known.ended_by_venue || full || !seen.is_final(), "case {case}, order {which}: only the venue ends an order");
            if seen.state == OrderState::Filled {
                assert!(full || seen.ended == Some(OrderStatus::Filled), "case {case}, order {which}");
            }
            assert_eq!(seen.remaining().is_zero(), seen.is_final() || full, "case {case}, order {which}");
        }
        let cover = Cover::of(&self.orders, symbol(), Some(self.now));
        assert!(cover.stopped() <= cover.claimed(), "case {case}: what is guarded is claimed");
        let resting: Qty = self.orders.live_of(symbol()).filter(|o| o.new.side == Side::Sell).map(Order::remaining).sum();
        assert!(cover.claimed() <= resting, "case {case}: a pair claims its coins once");
    }
}

#[test]
fn any_order_of_words_keeps_the_invariants_and_visits_every_line_of_the_table() {
    SEEN.with_borrow_mut(BTreeMap::clear);
    let fresh = book();
    for case in 0..CASES {
        let mut dice = Dice(SEED.wrapping_mul(2 * case + 1));
        let mut lives = Case { orders: fresh.clone(), known: Default::default(), now: Timestamp::EPOCH };
        for _ in 0..6 + dice.below(18) {
            lives.word(&mut dice);
            if lives.orders.live().any(|o| o.filled > o.new.qty) {
                // More than ordered: the engine halts at this, and nothing after it counts.
                break;
            }
            lives.check(case);
        }
    }
    let seen = SEEN.with_borrow(BTreeMap::clone);
    println!("{CASES} cases, seed {SEED}; lines of the table: times asked, legal ones with what they lead to");
    let mut missing = Vec::new();
    for (s, state) in STATES.iter().enumerate() {
        for (e, event) in EVENTS.iter().enumerate() {
            let times = seen.get(&(s, e)).copied().unwrap_or(0);
            let legal = next(*state, *event);
            println!(
                "{:>16} {:>16} {times:>9} {}",
                format!("{state:?}"),
                format!("{event:?}"),
                legal.map_or_else(|| "-".to_owned(), |to| format!("{to:?}"))
            );
            if legal.is_some() && times == 0 {
                missing.push((state, event));
            }
        }
    }
    assert!(missing.is_empty(), "legal and never tried: {missing:?}");
}
