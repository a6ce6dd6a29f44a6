//! Trades driven by scripts: a market and the venue's words in, steps out as text.

use super::*;
use crate::domain::samples::btcusdt as instrument;
use crate::domain::{
    Bps, ClientOrderId, ExitReason, Money, NewOrder, OrderId, OrderKind, Price, Qty, Regime, Role, Side, Span, TimeInForce, Timestamp,
    TradeId,
};
use crate::protocol::VenueFill;
use crate::trading::costs::{MakerRules, Reference, Slice, breakdown};

fn rules() -> ExecutionRules {
    ExecutionRules {
        entry_deadline_ms: 5_000,
        requote_after_ms: 500,
        taker_fallback: true,
        taker_collar_bps: Bps::from_bps(5),
        exit_retry_ms: 500,
        cover_after_ms: 1_000,
        stop_patience_ms: 1_000,
        offer_exits: true,
    }
}

fn touch(bid: &str) -> Option<Touch> {
    let bid: Price = bid.parse().unwrap();
    Some(Touch { bid, ask: Price::from_raw(bid.raw() + 1_000_000) })
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn trade() -> Trade {
    let plan = Plan {
        qty: "1".parse().unwrap(),
        target: Bps::from_bps(100),
        stop: Bps::from_bps(50),
        hold: Span::from_secs(45),
        exploration: false,
        gross_bps: 0.0,
        net_bps: 0.0,
    };
    let decided = Decided { number: 1, at: at(0), touch: touch("100").unwrap(), regime: Regime::Range, vector: Vec::new() };
    Trade::new("BTCUSDT".parse().unwrap(), decided, plan, &rules())
}

pub(super) fn id(sequence: u64) -> ClientOrderId {
    ClientOrderId { sequence, ..ClientOrderId::default() }
}

/// A scripted venue: each line is a time and either a market or a word of the venue. An entry `n` has its guard at `n + 2` (target) and
/// `n + 3` (stop); a guard alone is `n`, `n + 1`.
pub(super) struct Desk {
    pub trade: Trade,
    pub orders: Orders,
    pub sequence: u64,
    pub steps: Vec<String>,
    pub maker: MakerRules,
    /// The venue says nothing.
    pub silent: bool,
    pub alone: bool,
    pub visible_bids: Qty,
}

impl Desk {
    /// Leaves at the market, whatever the reason.
    pub fn new() -> Self {
        let maker = MakerRules { enabled: false, ..MakerRules::default() };
        Self {
            trade: trade(),
            orders: Orders::default(),
            sequence: 0,
            steps: Vec::new(),
            maker,
            silent: false,
            alone: true,
            visible_bids: Qty::ZERO,
        }
    }

    /// Bought as a whole at 100, guarded by 3 and 4.
    pub fn holding() -> Self {
        let mut desk = Self::new();
        desk.see(0, "100").fill(1, "1", "100").see(10, "100");
        desk
    }

    /// A look without a book.
    pub fn blind(&mut self, ms: i64) -> Step {
        let (instrument, rules, maker) = (instrument(), rules(), self.maker.clone());
        let (orders, alone) = (&self.orders, self.alone);
        let scene = Scene {
            now: at(ms),
            touch: None,
            instrument: &instrument,
            orders,
            rules: &rules,
            maker: &maker,
            alone,
            visible_bids: Qty::ZERO,
        };
        self.trade.drive(&scene)
    }

    fn next(&mut self) -> ClientOrderId {
        self.sequence += 1;
        id(self.sequence)
    }

    pub fn see(&mut self, ms: i64, bid: &str) -> &mut Self {
        loop {
            let (instrument, rules, maker) = (instrument(), rules(), self.maker.clone());
            let scene = Scene {
                now: at(ms),
                touch: touch(bid),
                instrument: &instrument,
                orders: &self.orders,
                rules: &rules,
                maker: &maker,
                alone: self.alone,
                visible_bids: self.visible_bids,
            };
            let step = self.trade.drive(&scene);
            let symbol = self.trade.symbol;
            match step {
                Step::Wait => return self,
                Step::Quote { qty } | Step::Take { qty } => self.enter(ms, touch(bid).unwrap(), qty, matches!(step, Step::Take { .. })),
                Step::Reconsider(id) => {
                    let behind = self.orders.get(id).unwrap().new.kind.price() < touch(bid).map(|t| t.bid);
                    if !behind {
                        self.trade.kept(touch(bid), at(ms));
                        continue;
                    }
                    self.trade.moved();
                    self.orders.cancel(id, at(ms));
                    self.steps.push(format!("{ms} cancel {}", id.sequence));
                }
                Step::QuoteExit { .. } => self.trade.exit_at_price(touch(bid).map(|t| t.ask)),
                Step::Protect { qty, target, stop } => {
                    let list = id(1_000 + self.sequence);
                    let bracket = Bracket::new([list, self.next(), self.next()], symbol, qty, target, stop);
                    self.orders.insert_list_for_test(None, bracket, at(ms));
                    self.note(ms, bracket.above.id, Purpose::Target, format!("{qty} @ {target} / {stop}"));
                    self.accepted(&[bracket.above.id, bracket.below.id], ms);
                }
                Step::Replace { old, qty } => {
                    self.steps.push(format!("{ms} replace {}", old.sequence));
                    let order = NewOrder { id: self.next(), symbol, side: Side::Sell, qty, kind: OrderKind::Market };
                    if self.orders.replace(old, order, Reference::default(), at(ms)).is_none() {
                        return self;
                    }
                    self.note(ms, order.id, Purpose::Exit, format!("{qty}"));
                }
                Step::SellNow { qty } => {
                    let order = NewOrder { id: self.next(), symbol, side: Side::Sell, qty, kind: OrderKind::Market };
                    self.orders.insert_for_test(order, Purpose::Exit, at(ms));
                    self.note(ms, order.id, Purpose::Exit, format!("{qty}"));
                    self.accepted(&[order.id], ms);
                }
                Step::Cancel(id) => {
                    if self.orders.cancel(id, at(ms)).is_none() {
                        return self;
                    }
                    self.steps.push(format!("{ms} cancel {}", id.sequence));
                }
                Step::Close { .. } | Step::Drop => {
                    self.steps.push(format!("{ms} {step:?}"));
                    return self;
                }
            }
        }
    }

    fn enter(&mut self, ms: i64, touch: Touch, qty: Qty, takes: bool) {
        let instrument = instrument();
        let collar = instrument.passive_price(Side::Buy, touch.ask.shifted(rules().taker_collar_bps));
        let (kind, price) = match takes {
            true => (OrderKind::Limit { price: collar, time_in_force: TimeInForce::Ioc }, collar),
            false => (OrderKind::LimitMaker { price: touch.bid }, touch.bid),
        };
        let symbol = self.trade.symbol;
        let order = NewOrder { id: self.next(), symbol, side: Side::Buy, qty, kind };
        self.trade.kept(Some(touch), at(ms));
        let (target, stop) = self.trade.bracket(price, &instrument);
        let bracket = Bracket::new([self.next(), self.next(), self.next()], symbol, qty, target, stop);
        self.orders.insert_list_for_test(Some(order), bracket, at(ms));
        self.note(ms, order.id, Purpose::Entry, format!("{qty} @ {price}, guard {target} / {stop}"));
        self.accepted(&[order.id, bracket.above.id, bracket.below.id], ms);
    }

    fn note(&mut self, ms: i64, id: ClientOrderId, purpose: Purpose, what: String) {
        self.trade.sent(id, purpose, at(ms));
        self.steps.push(format!("{ms} {purpose} {} {what}", id.sequence));
    }

    pub fn accepted(&mut self, ids: &[ClientOrderId], ms: i64) {
        for id in ids.iter().filter(|_| !self.silent) {
            self.orders.accepted(*id, OrderId(id.sequence), at(ms));
        }
    }

    pub fn fill(&mut self, sequence: u64, qty: &str, price: &str) -> &mut Self {
        let order = self.orders.get(id(sequence)).unwrap();
        let (new, purpose) = (order.new, order.purpose);
        let fill = VenueFill {
            id: new.id,
            order_id: OrderId(sequence),
            trade_id: TradeId(sequence * 10 + self.steps.len() as u64),
            symbol: new.symbol,
            side: new.side,
            price: price.parse().unwrap(),
            qty: qty.parse().unwrap(),
            role: Role::Maker,
            fee: Qty::ZERO,
            fee_asset: instrument().quote,
            at: at(0),
        };
        self.orders.fill(&fill);
        self.trade.on_fill(&fill, Some(purpose), Reference::default(), &instrument(), Money::ZERO);
        self
    }

    /// The venue ends one order by itself.
    pub fn expired(&mut self, sequence: u64) -> &mut Self {
        self.orders.all.get_mut(&id(sequence)).unwrap().apply(OrderEvent::VenueExpired, at(0));
        self
    }

    /// The venue refuses every order of the trade that it sees between two moments; the market stands still.
    pub fn refused(&mut self, from: i64, until: i64, bid: &str) -> &mut Self {
        for ms in (from..until).step_by(10) {
            let before = self.sequence;
            self.see(ms, bid);
            let placed: Vec<u64> = (before + 1..=self.sequence).filter(|n| self.orders.get(id(*n)).is_some()).collect();
            if let Some(first) = placed.first() {
                self.trade.exit_refused(self.orders.get(id(*first)).unwrap().purpose);
                self.canceled(*first, ms);
            }
        }
        self
    }

    pub fn canceled(&mut self, sequence: u64, ms: i64) -> &mut Self {
        self.orders.end_for_test(id(sequence), at(ms));
        self
    }

    pub fn cancel_refused(&mut self, sequence: u64, ms: i64) -> &mut Self {
        self.orders.cancel_refused(id(sequence), at(ms));
        self
    }

    pub fn last(&self) -> &str {
        self.steps.last().unwrap()
    }

    pub fn cover(&self) -> Cover {
        Cover::of(&self.orders, self.trade.symbol, None)
    }
}

#[test]
fn an_entry_is_requoted_and_its_target_completes_the_trade() {
    let mut desk = Desk::new();
    desk.see(0, "100").see(100, "100.5").see(600, "100.5").canceled(1, 610).see(620, "100.5").see(1_100, "100.5");
    desk.fill(5, "1", "100.5").see(1_200, "100.6").fill(7, "1", "101.51").expired(8).see(2_000, "101.6");
    let expected = [
        "0 entry 1 1 @ 100, guard 101 / 99.5",
        "600 cancel 1",
        // The first look at 620 may quote at once: the pause counts from the last order, not from its cancel.
        "620 entry 5 1 @ 100.5, guard 101.51 / 99.99",
        "2000 Close { reason: Target }",
    ];
    assert_eq!(desk.steps, expected);
    assert_eq!(breakdown(&desk.trade.entry, &desk.trade.exit).net.to_string(), "1.01");
}

#[test]
fn a_fee_in_the_coin_that_is_sold_is_paid_once_and_one_in_the_coin_bought_is_kept_of_it() {
    let (mut trade, market) = (trade(), instrument());
    let fill = |side, qty: &str, fee: &str| VenueFill {
        id: id(1),
        order_id: OrderId(1),
        trade_id: TradeId(1),
        symbol: market.symbol,
        side,
        price: "600".parse().unwrap(),
        qty: qty.parse().unwrap(),
        role: Role::Taker,
        fee: fee.parse().unwrap(),
        fee_asset: market.base,
        at: at(0),
    };
    trade.on_fill(&fill(Side::Buy, "1.001", "0.001"), Some(Purpose::Entry), Reference::default(), &market, Money::ZERO);
    assert_eq!((trade.held().to_string(), trade.entry.fees.to_string()), ("1".to_owned(), "0.6".to_owned()));
    trade.on_fill(&fill(Side::Sell, "1", "0.00075"), Some(Purpose::Exit), Reference::default(), &market, "0.45".parse().unwrap());
    let split = breakdown(&trade.entry, &trade.exit);
    assert_eq!((trade.held(), trade.exit.value.to_string()), (Qty::ZERO, "600".to_owned()), "the proceeds arrive whole");
    assert_eq!((split.fees.to_string(), split.net.to_string()), ("1.05".to_owned(), "-1.05".to_owned()));
}

#[test]
fn at_the_deadline_the_rest_is_taken_within_the_collar() {
    let mut desk = Desk::new();
    desk.see(0, "100").fill(1, "0.4", "100").see(900, "100").see(5_000, "100");
    assert_eq!(desk.last(), "5000 cancel 1");
    desk.canceled(1, 5_010).see(5_020, "100");
    assert_eq!(desk.steps[2..], ["5020 target 5 0.4 @ 101 / 99.5", "5020 entry 7 0.6 @ 100.06, guard 101.07 / 99.55"]);
    desk.canceled(7, 5_100).see(5_200, "100");
    assert_eq!(desk.trade.phase, Phase::Holding);
    assert_eq!(desk.cover().stopped(), "0.4".parse().unwrap());
}

#[test]
fn a_part_that_was_bought_is_guarded_by_itself_and_the_rest_quoted_anew() {
    let mut desk = Desk::new();
    desk.see(0, "100").fill(1, "0.4", "100").see(100, "100").see(1_000, "100");
    assert_eq!(desk.steps.len(), 1, "the whole may come any moment");
    desk.see(1_100, "100").canceled(1, 1_150).see(1_200, "100");
    assert_eq!(desk.steps[1..], ["1100 cancel 1", "1200 target 5 0.4 @ 101 / 99.5"], "the rest waits until the next quote is due");
    desk.see(1_700, "100");
    assert_eq!(desk.last(), "1700 entry 7 0.6 @ 100, guard 101 / 99.5");
    desk.fill(7, "0.6", "100").see(1_800, "100");
    assert_eq!((desk.cover().guards.len(), desk.cover().stopped()), (2, "1".parse().unwrap()));
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(2_000, "100.2");
    assert_eq!(desk.steps[4..], ["2000 replace 5", "2000 exit 11 0.4", "2000 replace 9", "2000 exit 12 0.6"]);
}

#[test]
fn a_part_that_was_stopped_out_is_the_end_of_buying() {
    for (leg, other, price) in [(6, 5, "99.5"), (5, 6, "101")] {
        let mut desk = Desk::new();
        desk.see(0, "100").fill(1, "0.4", "100").see(100, "100").see(1_100, "100").canceled(1, 1_150).see(1_200, "100").see(1_700, "100");
        assert_eq!(desk.steps[2..], ["1200 target 5 0.4 @ 101 / 99.5", "1700 entry 7 0.6 @ 100, guard 101 / 99.5"]);
        desk.fill(leg, "0.4", price).expired(other).see(1_800, "100").canceled(7, 1_850).see(1_900, "100").see(5_100, "100");
        assert_eq!(desk.steps[4], "1800 cancel 7", "the rest would be another trade");
        assert!(desk.steps[5].starts_with("1900 Close"), "{:?}", desk.steps);
    }
}

#[test]
fn beside_the_coins_of_others_a_target_is_ended_before_its_coins_are_sold() {
    let mut desk = Desk::holding();
    desk.alone = false;
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(1_000, "100.9").fill(3, "0.3", "101").canceled(3, 1_050).see(1_100, "100.9");
    assert_eq!(desk.steps[1..], ["1000 cancel 3", "1100 exit 5 0.7"], "what the target sold meanwhile is not sold again");
}

#[test]
fn a_guard_that_is_placed_while_sales_are_refused_stays_until_the_next_try() {
    let mut desk = Desk::holding();
    desk.alone = false;
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(1_000, "100").canceled(3, 1_010);
    // Sales are refused, guards are taken.
    for ms in (1_020..60_000).step_by(20) {
        let before = desk.sequence;
        desk.see(ms, "100");
        if let Some(sale) = (before + 1..=desk.sequence).find(|n| desk.orders.get(id(*n)).is_some_and(|o| o.purpose == Purpose::Exit)) {
            desk.trade.exit_refused(Purpose::Exit);
            desk.canceled(sale, ms);
        }
        let cancelled: Vec<u64> =
            desk.orders.live().filter(|o| o.state == crate::protocol::OrderState::CancelSent).map(|o| o.new.id.sequence).collect();
        for sequence in cancelled {
            desk.canceled(sequence, ms);
        }
    }
    let (guards, sales) = (tries(&desk, "target"), tries(&desk, "exit"));
    let ended = desk.steps.iter().filter(|step| step.contains(" cancel ")).count();
    assert!(!guards.is_empty() && sales.len() > 4, "{:?}", desk.steps);
    assert!(ended <= sales.len(), "{ended} guards ended for {} sales: {:?}", sales.len(), desk.steps);
}

#[test]
fn a_stop_is_the_venues_to_act_on() {
    let mut desk = Desk::holding();
    desk.see(1_000, "99.5").see(1_500, "99.4").expired(3).fill(4, "1", "99.45").see(1_600, "99.4");
    assert_eq!(desk.steps[1..], ["1600 Close { reason: Stop }"]);
}

#[test]
fn a_stop_that_the_venue_does_not_act_on_is_acted_on_here() {
    let mut desk = Desk::holding();
    desk.see(1_000, "99.5").see(1_900, "99.4");
    assert_eq!(desk.steps.len(), 1);
    desk.see(2_000, "99.4");
    assert_eq!(desk.steps[1..], ["2000 replace 3", "2000 exit 5 1"]);
    desk.canceled(3, 2_050).fill(5, "1", "99.4").see(2_100, "99.4");
    assert_eq!(desk.last(), "2100 Close { reason: Stop }");
}

#[test]
fn nothing_is_sold_twice_when_a_guard_sells_while_it_is_replaced() {
    let mut desk = Desk::holding();
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(1_000, "100.9").expired(4).fill(3, "1", "101");
    desk.orders.refused(id(5), at(1_050));
    desk.see(1_100, "100.9");
    assert_eq!(desk.steps[1..], ["1000 replace 3", "1000 exit 5 1", "1100 Close { reason: Signal }"]);
}

#[test]
fn the_clock_and_a_request_end_a_holding() {
    let mut late = Desk::holding();
    late.see(45_010, "100");
    assert_eq!(late.steps[1..], ["45010 replace 3", "45010 exit 5 1"]);
    let mut asked = Desk::holding();
    asked.trade.request_exit(ExitReason::Flatten);
    asked.see(20, "100");
    assert_eq!(asked.steps[1..], ["20 replace 3", "20 exit 5 1"]);
}

#[test]
fn a_guard_of_which_nothing_is_heard_stops_no_sale_for_long() {
    let mut desk = Desk::holding();
    desk.canceled(3, 1_000);
    desk.silent = true;
    desk.see(1_010, "100").see(2_000, "99.4");
    assert_eq!(desk.steps[1..], ["1010 target 5 1 @ 101 / 99.5"], "it may be there, and its coins with it");
    desk.see(6_009, "99.4").see(6_010, "99.4");
    assert_eq!(desk.steps[2..], ["6010 exit 7 1"], "should it be there after all, the venue refuses");
    let mut with_others = Desk::holding();
    with_others.alone = false;
    with_others.canceled(3, 1_000);
    with_others.silent = true;
    with_others.see(1_010, "100").see(2_000, "99.4").see(60_000, "99.4");
    assert_eq!(with_others.steps.len(), 2, "somebody else's coins would be sold");
}

#[test]
fn without_hurry_a_position_is_offered_and_stays_guarded() {
    let mut desk = Desk::holding();
    desk.maker.enabled = true;
    desk.see(45_010, "100").canceled(3, 45_020).see(45_030, "100").see(45_600, "99.9").canceled(5, 45_610).see(45_620, "99.9");
    assert_eq!(
        desk.steps[1..],
        ["45010 cancel 3", "45030 target 5 1 @ 100.01 / 99.5", "45600 cancel 5", "45620 target 7 1 @ 99.91 / 99.5"],
        "the offer follows the market"
    );
    desk.fill(7, "1", "99.91").expired(8).see(46_000, "99.9");
    assert_eq!(desk.last(), "46000 Close { reason: HoldLimit }");
}

#[test]
fn an_offer_that_nobody_takes_ends_at_the_market() {
    let mut desk = Desk::holding();
    desk.maker.enabled = true;
    desk.see(45_010, "100").canceled(3, 45_020).see(45_030, "100").see(50_009, "100").see(50_010, "100");
    assert_eq!(desk.steps[2..], ["45030 target 5 1 @ 100.01 / 99.5", "50010 replace 5", "50010 exit 7 1"]);
    let mut hurried = Desk::holding();
    hurried.maker.enabled = true;
    hurried.see(45_010, "100").canceled(3, 45_020).see(45_030, "100");
    hurried.trade.request_exit(ExitReason::Flatten);
    hurried.see(45_040, "100");
    assert_eq!(hurried.steps[3..], ["45040 replace 5", "45040 exit 7 1"], "a person does not wait");
}

#[test]
fn a_large_entry_is_bought_in_parts() {
    let mut desk = Desk::new();
    let part = |ms, qty: &str| Slice { after: Span::from_millis(ms), qty: qty.parse().unwrap() };
    desk.trade.spread(vec![part(0, "0.4"), part(2_000, "0.3"), part(4_000, "0.3")]);
    desk.see(0, "100").fill(1, "0.4", "100").see(1_000, "100").see(2_000, "100").fill(5, "0.3", "100").see(4_000, "100");
    let bought: Vec<&str> = desk.steps.iter().map(|step| step.split(" @").next().unwrap()).collect();
    assert_eq!(bought, ["0 entry 1 0.4", "2000 entry 5 0.3", "4000 entry 9 0.3"]);
    desk.fill(9, "0.3", "100").see(4_100, "100");
    assert_eq!((desk.trade.phase, desk.cover().stopped()), (Phase::Holding, "1".parse().unwrap()));
}

#[test]
fn a_target_that_has_begun_to_fill_has_lost_its_stop_and_gets_a_new_pair() {
    let mut desk = Desk::holding();
    desk.fill(3, "0.3", "101").expired(4).see(1_000, "100.9");
    assert_eq!(desk.cover().stopped(), Qty::ZERO);
    desk.see(1_900, "100.9").see(2_000, "100.9").canceled(3, 2_010).see(2_020, "100.9");
    assert_eq!(desk.steps[1..], ["2000 cancel 3", "2020 target 5 0.7 @ 101 / 99.5"]);
}

#[test]
fn a_guard_that_is_gone_is_placed_again_and_one_too_many_is_removed() {
    let mut desk = Desk::holding();
    desk.canceled(3, 1_000).see(1_010, "100");
    assert_eq!(desk.steps[1..], ["1010 target 5 1 @ 101 / 99.5"]);
    let stray =
        Bracket::new([id(90), id(91), id(92)], desk.trade.symbol, "1".parse().unwrap(), "101".parse().unwrap(), "99.5".parse().unwrap());
    desk.orders.insert_list_for_test(None, stray, at(1_500));
    desk.accepted(&[id(91), id(92)], 1_500);
    desk.see(1_600, "100");
    assert_eq!(desk.last(), "1600 cancel 91");
    desk.see(1_700, "100");
    assert_eq!(desk.last(), "1600 cancel 91", "once");
}

/// When orders of this purpose were tried, milliseconds.
fn tries(desk: &Desk, purpose: &str) -> Vec<i64> {
    let of_it = desk.steps.iter().filter(|step| step.split(' ').nth(1) == Some(purpose));
    of_it.map(|step| step.split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn refusals_double_the_pause_and_leaving_does_not_wait_for_it() {
    let mut desk = Desk::holding();
    desk.trade.plan.hold = Span::from_secs(3_600);
    desk.trade.hold_until = Some(at(3_600_000));
    desk.canceled(3, 10).refused(10, 8_000, "100");
    assert_eq!(tries(&desk, "target"), [10, 1_010, 3_010, 7_010]);
    desk.refused(8_000, 12_000, "99.4");
    assert_eq!(tries(&desk, "exit"), [8_000, 9_000, 11_000], "the stop sells at once, then at its own pace");
    desk.refused(12_000, 400_000, "99.4");
    let pauses: Vec<i64> = tries(&desk, "exit").windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..8], [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000], "about once a minute, for ever");
    let before = tries(&desk, "exit").len();
    desk.trade.request_exit(ExitReason::Flatten);
    desk.see(400_000, "99.4");
    assert_eq!(tries(&desk, "exit").len(), before + 1, "a person does not wait");
    let last = desk.sequence;
    desk.fill(last, "0.5", "99.4").canceled(last, 400_000).refused(400_000, 402_000, "99.4");
    assert_eq!(tries(&desk, "exit")[before + 1..], [400_500, 401_500], "a fill ends the row of refusals");
}

#[test]
fn an_unfilled_entry_is_dropped_and_dust_is_not_sold() {
    let mut desk = Desk::new();
    desk.see(0, "100");
    desk.trade.stop_entering();
    desk.see(10, "100").canceled(1, 20).see(30, "100");
    assert_eq!(desk.last(), "30 Drop");
    let mut dust = Desk::new();
    dust.see(0, "100").fill(1, "0.01", "100");
    dust.trade.stop_entering();
    dust.see(10, "100").canceled(1, 20).see(30, "100");
    assert_eq!(dust.last(), "30 Drop");
}
