//! The life of one trade: enter as maker with re-quotes and a deadline, take if allowed, hold with a bracket, leave.
//!
//! | phase | while | then |
//! |---|---|---|
//! | entering | maker order at the touch, re-quoted when the market moves away | at the deadline: cancel, taker for the rest if allowed |
//! | holding | target rests at the venue, stop and clock are watched here | target filled, stop touched, hold limit, signal, flatten |
//! | exiting | the target's cancel is confirmed first, so nothing is sold twice | market order until nothing sellable is left |

use serde::{Deserialize, Serialize};

use super::order::Purpose;
use super::orders::Orders;
use crate::domain::{
    Bps, ClientOrderId, ExitReason, Instrument, Money, OrderKind, Price, Qty, Regime, Side, Span, Symbol, TimeInForce, Timestamp,
};
use crate::protocol::{OrderState, VenueFill};
use crate::trading::costs::{Leg, Reference};

/// How orders are worked; configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionRules {
    /// How long an entry is worked as maker, milliseconds.
    pub entry_deadline_ms: u32,
    /// Shortest time between two quotes of one entry, milliseconds.
    pub requote_after_ms: u32,
    /// At the deadline, take what is left.
    pub taker_fallback: bool,
    /// How far beyond the touch a taker order may trade, bps.
    pub taker_collar_bps: Bps,
    /// Pause between two tries to leave, milliseconds.
    pub exit_retry_ms: u32,
}

/// What was decided, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub qty: Qty,
    pub target: Bps,
    /// Positive: distance below the entry price.
    pub stop: Bps,
    pub hold: Span,
    pub exploration: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Entering,
    Holding,
    Exiting { reason: ExitReason },
}

/// The market as this trade sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    pub bid: Price,
    pub ask: Price,
}

impl Touch {
    #[must_use]
    pub fn mid(self) -> Price {
        self.bid.midpoint(self.ask)
    }
}

/// The decision that opens a trade: its number, moment, market and situation.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub number: u64,
    pub at: Timestamp,
    pub touch: Touch,
    pub regime: Regime,
    pub vector: Vec<f32>,
}

/// What to do next. After doing it, ask again until `Wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Wait,
    Enter {
        qty: Qty,
        kind: OrderKind,
        taker: bool,
    },
    PlaceTarget {
        qty: Qty,
        price: Price,
    },
    SellNow {
        qty: Qty,
    },
    Cancel(ClientOrderId),
    /// Nothing sellable is left: the round trip is complete.
    Close {
        reason: ExitReason,
    },
    /// Nothing (or only dust) was bought.
    Drop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    pub symbol: Symbol,
    /// The decision that opened it.
    pub decision: u64,
    pub decided: Timestamp,
    pub decided_at: Touch,
    pub plan: Plan,
    pub regime: Regime,
    pub vector: Vec<f32>,
    pub phase: Phase,
    pub entry: Leg,
    pub exit: Leg,
    pub opened: Option<Timestamp>,
    pub stop: Option<Price>,
    pub target: Option<Price>,
    pub hold_until: Option<Timestamp>,
    /// Worst and best mark while held, bps of the entry price.
    pub worst_bps: f64,
    pub best_bps: f64,
    /// The market when leaving was decided.
    pub exit_at: Option<Touch>,
    working: Option<ClientOrderId>,
    last_sent: Option<Timestamp>,
    deadline: Timestamp,
    fallback_used: bool,
    exit_request: Option<ExitReason>,
    /// Refusals of exits in a row: each doubles the pause.
    #[serde(default)]
    refusals: u32,
}

impl Trade {
    #[must_use]
    pub fn new(symbol: Symbol, decided: Decided, plan: Plan, rules: &ExecutionRules) -> Self {
        let Decided { number, at, touch, regime, vector } = decided;
        Self {
            symbol,
            decision: number,
            decided: at,
            decided_at: touch,
            plan,
            regime,
            vector,
            phase: Phase::Entering,
            entry: Leg::default(),
            exit: Leg::default(),
            opened: None,
            stop: None,
            target: None,
            hold_until: None,
            worst_bps: 0.0,
            best_bps: 0.0,
            exit_at: None,
            working: None,
            last_sent: None,
            deadline: at + Span::from_millis(i64::from(rules.entry_deadline_ms)),
            fallback_used: false,
            exit_request: None,
            refusals: 0,
        }
    }

    /// What to do now. Without a touch nothing is priced, so only cancels and ends happen.
    pub fn drive(
        &mut self,
        now: Timestamp,
        touch: Option<Touch>,
        instrument: &Instrument,
        orders: &Orders,
        rules: &ExecutionRules,
    ) -> Step {
        match self.phase {
            Phase::Entering => self.drive_entry(now, touch, instrument, orders, rules),
            Phase::Holding => self.drive_holding(now, touch, instrument, orders, rules),
            Phase::Exiting { reason } => self.drive_exit(now, touch, instrument, orders, rules, reason),
        }
    }

    /// Remembers the order that now works for this trade.
    pub fn sent(&mut self, id: ClientOrderId, now: Timestamp) {
        self.working = Some(id);
        self.last_sent = Some(now);
    }

    /// Risk said no to (the rest of) the entry: keep what was bought, ask for no more.
    pub fn stop_entering(&mut self) {
        self.fallback_used = true;
        self.deadline = Timestamp::EPOCH;
    }

    /// Leaves as soon as possible; an entry under way is cancelled first.
    pub fn request_exit(&mut self, reason: ExitReason) {
        self.exit_request.get_or_insert(reason);
        match self.phase {
            Phase::Entering => self.stop_entering(),
            Phase::Holding => {}
            // Whoever asks again wants the next try now, whatever pause refusals have earned.
            Phase::Exiting { .. } => self.last_sent = None,
        }
    }

    /// True once leaving was asked for.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.exit_request.is_some() || matches!(self.phase, Phase::Exiting { .. })
    }

    /// The venue refused a target or exit; the next try waits longer, so that nobody is banned for repeating what can not be.
    pub fn exit_refused(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }

    fn exit_pause_ms(&self, rules: &ExecutionRules) -> u32 {
        rules.exit_retry_ms.saturating_mul(1 << self.refusals.min(7))
    }

    /// Adds a fill of one of this trade's orders. `fee_value` is a commission in a third asset, in quote money.
    pub fn on_fill(&mut self, fill: &VenueFill, reference: Reference, instrument: &Instrument, fee_value: Money) {
        self.refusals = 0;
        let base_fee = if fill.fee_asset == instrument.base { fill.fee } else { Qty::ZERO };
        let quote_fee = if fill.fee_asset == instrument.quote { Money::from_quote(fill.fee) } else { fee_value };
        // The venue settles whole 1e-8 of the quote asset; what it drops is ours when we buy and its when we sell.
        let exact = fill.price.notional(fill.qty).unwrap_or(Money::ZERO);
        let dropped = exact - Money::from_quote(exact.to_quote());
        let quote_fee = match fill.side {
            Side::Buy => quote_fee - dropped,
            Side::Sell => quote_fee + dropped,
        };
        let leg = match fill.side {
            Side::Buy => &mut self.entry,
            Side::Sell => &mut self.exit,
        };
        leg.add(fill.price, fill.qty, base_fee, quote_fee, reference);
    }

    pub fn on_mark(&mut self, mid: Price) {
        if self.entry.qty.is_positive() {
            let bps = mid.distance_bps(self.entry.average_price()).to_f64();
            self.worst_bps = self.worst_bps.min(bps);
            self.best_bps = self.best_bps.max(bps);
        }
    }

    /// Held now: bought less sold.
    #[must_use]
    pub fn held(&self) -> Qty {
        self.entry.qty - self.exit.filled
    }

    /// P&L if the rest were sold at `mark` for nothing, fees so far included.
    #[must_use]
    pub fn pnl_at(&self, mark: Price) -> Option<Money> {
        let rest = mark.notional(self.held())?;
        Some(self.exit.value + rest - self.entry.value - self.entry.fees - self.exit.fees)
    }

    #[must_use]
    pub fn is_entering(&self) -> bool {
        self.phase == Phase::Entering
    }

    fn drive_entry(
        &mut self,
        now: Timestamp,
        touch: Option<Touch>,
        instrument: &Instrument,
        orders: &Orders,
        rules: &ExecutionRules,
    ) -> Step {
        let due = now >= self.deadline;
        if let Some(order) = self.working.and_then(|id| orders.get(id)).filter(|o| !o.is_final()) {
            let resting = matches!(order.state, OrderState::Open | OrderState::PartiallyFilled);
            let behind = touch.is_some_and(|t| order.new.kind.price().is_some_and(|p| p < t.bid));
            let requote = behind && self.quiet_for(now, rules.requote_after_ms);
            let passive = matches!(order.new.kind, OrderKind::LimitMaker { .. });
            return if resting && passive && (due || requote) { Step::Cancel(order.new.id) } else { Step::Wait };
        }
        let wanted = self.plan.qty - self.entry.filled;
        if let Some(t) = touch {
            let buyable = instrument.tradable(wanted, t.bid);
            if buyable.is_positive() && !due {
                let kind = OrderKind::LimitMaker { price: instrument.passive_price(Side::Buy, t.bid) };
                let ready = self.quiet_for(now, rules.requote_after_ms);
                return if ready { Step::Enter { qty: buyable, kind, taker: false } } else { Step::Wait };
            }
            if buyable.is_positive() && rules.taker_fallback && !self.fallback_used {
                self.fallback_used = true;
                let price = instrument.passive_price(Side::Buy, t.ask.shifted(rules.taker_collar_bps));
                let kind = OrderKind::Limit { price, time_in_force: TimeInForce::Ioc };
                return Step::Enter { qty: buyable, kind, taker: true };
            }
        } else if !due {
            return Step::Wait;
        }
        if !self.hold(now, touch, instrument) {
            return Step::Drop;
        }
        self.drive_holding(now, touch, instrument, orders, rules)
    }

    /// Turns what was bought into a holding with its bracket; false when that is nothing or only dust.
    fn hold(&mut self, now: Timestamp, touch: Option<Touch>, instrument: &Instrument) -> bool {
        let average = self.entry.average_price();
        let price = touch.map_or(average, |t| t.bid);
        if !instrument.tradable(self.entry.qty, price).is_positive() {
            return false;
        }
        self.phase = Phase::Holding;
        self.working = None;
        self.last_sent = None;
        self.opened = Some(now);
        self.stop = Some(average.shifted(-self.plan.stop));
        self.target = Some(instrument.passive_price(Side::Sell, average.shifted(self.plan.target)));
        self.hold_until = Some(now + self.plan.hold);
        true
    }

    fn drive_holding(
        &mut self,
        now: Timestamp,
        touch: Option<Touch>,
        instrument: &Instrument,
        orders: &Orders,
        rules: &ExecutionRules,
    ) -> Step {
        let stopped = touch.is_some_and(|t| self.stop.is_some_and(|stop| t.bid <= stop));
        let late = self.hold_until.is_some_and(|until| now >= until);
        let reason = match (self.exit_request, stopped, late) {
            (Some(reason), ..) => Some(reason),
            (_, true, _) => Some(ExitReason::Stop),
            (_, _, true) => Some(ExitReason::HoldLimit),
            _ => None,
        };
        if let Some(reason) = reason {
            return self.leave(now, touch, instrument, orders, rules, reason);
        }
        if self.working.and_then(|id| orders.get(id)).is_some_and(|o| !o.is_final()) {
            return Step::Wait;
        }
        let (Some(target), Some(t)) = (self.target, touch) else { return Step::Wait };
        let sellable = instrument.tradable(self.held(), target);
        if !sellable.is_positive() {
            return Step::Close { reason: ExitReason::Target };
        }
        if t.bid >= target {
            return self.leave(now, touch, instrument, orders, rules, ExitReason::Target);
        }
        if self.quiet_for(now, self.exit_pause_ms(rules)) { Step::PlaceTarget { qty: sellable, price: target } } else { Step::Wait }
    }

    fn leave(
        &mut self,
        now: Timestamp,
        touch: Option<Touch>,
        instrument: &Instrument,
        orders: &Orders,
        rules: &ExecutionRules,
        reason: ExitReason,
    ) -> Step {
        self.phase = Phase::Exiting { reason };
        self.exit_at = touch;
        self.last_sent = None;
        // What was refused so far were targets; leaving begins at its own pace.
        self.refusals = 0;
        self.drive_exit(now, touch, instrument, orders, rules, reason)
    }

    fn drive_exit(
        &mut self,
        now: Timestamp,
        touch: Option<Touch>,
        instrument: &Instrument,
        orders: &Orders,
        rules: &ExecutionRules,
        reason: ExitReason,
    ) -> Step {
        if let Some(order) = self.working.and_then(|id| orders.get(id)).filter(|o| !o.is_final()) {
            let resting = matches!(order.state, OrderState::Open | OrderState::PartiallyFilled);
            return if resting && order.purpose == Purpose::Target { Step::Cancel(order.new.id) } else { Step::Wait };
        }
        let price = touch.map_or(self.entry.average_price(), |t| t.bid);
        let sellable = instrument.tradable(self.held(), price);
        if !sellable.is_positive() {
            return Step::Close { reason };
        }
        if self.quiet_for(now, self.exit_pause_ms(rules)) { Step::SellNow { qty: sellable } } else { Step::Wait }
    }

    fn quiet_for(&self, now: Timestamp, pause_ms: u32) -> bool {
        self.last_sent.is_none_or(|sent| now.since(sent) >= Span::from_millis(i64::from(pause_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::btcusdt as instrument;
    use crate::domain::{NewOrder, OrderId, Role, TradeId};
    use crate::trading::costs::breakdown;

    fn rules() -> ExecutionRules {
        ExecutionRules {
            entry_deadline_ms: 5_000,
            requote_after_ms: 500,
            taker_fallback: true,
            taker_collar_bps: Bps::from_bps(5),
            exit_retry_ms: 500,
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
        };
        let decided = Decided { number: 1, at: at(0), touch: touch("100").unwrap(), regime: Regime::Range, vector: Vec::new() };
        Trade::new("BTCUSDT".parse().unwrap(), decided, plan, &rules())
    }

    /// A scripted venue: each line is a time and either a market or a word of the venue; the steps come out as text.
    struct Desk {
        trade: Trade,
        orders: Orders,
        sequence: u64,
        steps: Vec<String>,
    }

    impl Desk {
        fn new() -> Self {
            Self { trade: trade(), orders: Orders::default(), sequence: 0, steps: Vec::new() }
        }

        fn see(&mut self, ms: i64, bid: &str) -> &mut Self {
            loop {
                let step = self.trade.drive(at(ms), touch(bid), &instrument(), &self.orders, &rules());
                let (side, purpose, qty, kind) = match step {
                    Step::Wait => return self,
                    Step::Enter { qty, kind, .. } => (Side::Buy, Purpose::Entry, qty, kind),
                    Step::PlaceTarget { qty, price } => (Side::Sell, Purpose::Target, qty, OrderKind::LimitMaker { price }),
                    Step::SellNow { qty } => (Side::Sell, Purpose::Exit, qty, OrderKind::Market),
                    Step::Cancel(id) => {
                        self.steps.push(format!("{ms} cancel {}", id.sequence));
                        self.orders.cancel(id, at(ms));
                        continue;
                    }
                    Step::Close { .. } | Step::Drop => {
                        self.steps.push(format!("{ms} {step:?}"));
                        return self;
                    }
                };
                self.sequence += 1;
                let id = ClientOrderId { sequence: self.sequence, ..ClientOrderId::default() };
                let order = NewOrder { id, symbol: self.trade.symbol, side, qty, kind };
                self.orders.insert_for_test(order, purpose, at(ms));
                self.trade.sent(id, at(ms));
                let price = kind.price().map_or("market".to_owned(), |p| p.to_string());
                self.steps.push(format!("{ms} {purpose} {} {qty} @ {price}", id.sequence));
                self.orders.accepted(id, OrderId(self.sequence), at(ms));
            }
        }

        fn fill(&mut self, sequence: u64, qty: &str, price: &str) -> &mut Self {
            let order = self.orders.get(ClientOrderId { sequence, ..ClientOrderId::default() }).unwrap().new;
            let fill = VenueFill {
                id: order.id,
                order_id: OrderId(sequence),
                trade_id: TradeId(sequence * 10 + self.steps.len() as u64),
                symbol: order.symbol,
                side: order.side,
                price: price.parse().unwrap(),
                qty: qty.parse().unwrap(),
                role: Role::Maker,
                fee: Qty::ZERO,
                fee_asset: instrument().quote,
                at: at(0),
            };
            self.orders.fill(&fill);
            self.trade.on_fill(&fill, Reference::default(), &instrument(), Money::ZERO);
            self
        }

        /// The venue refuses every order of the trade that it sees between two moments; the market stands still.
        fn refused(&mut self, from: i64, until: i64, bid: &str) -> &mut Self {
            for ms in (from..until).step_by(10) {
                let before = self.sequence;
                self.see(ms, bid);
                for sequence in before + 1..=self.sequence {
                    self.trade.exit_refused();
                    self.canceled(sequence, ms);
                }
            }
            self
        }

        fn canceled(&mut self, sequence: u64, ms: i64) -> &mut Self {
            let id = ClientOrderId { sequence, ..ClientOrderId::default() };
            self.orders.end_for_test(id, at(ms));
            self
        }
    }

    #[test]
    fn an_entry_is_requoted_and_its_target_completes_the_trade() {
        let mut desk = Desk::new();
        desk.see(0, "100").see(100, "100.5").see(600, "100.5").canceled(1, 610).see(620, "100.5").see(1_100, "100.5");
        desk.fill(2, "1", "100.5").see(1_200, "100.6").fill(3, "1", "101.51").see(2_000, "101.6");
        let expected =
            ["0 entry 1 1 @ 100", "600 cancel 1", "620 entry 2 1 @ 100.5", "1200 target 3 1 @ 101.51", "2000 Close { reason: Target }"];
        // The first see() at 620 may quote at once: the pause counts from the last order, not from its cancel.
        assert_eq!(desk.steps, expected);
        assert_eq!(breakdown(&desk.trade.entry, &desk.trade.exit).net.to_string(), "1.01");
    }

    #[test]
    fn at_the_deadline_the_rest_is_taken_within_the_collar() {
        let mut desk = Desk::new();
        desk.see(0, "100").fill(1, "0.4", "100").see(5_000, "100").canceled(1, 5_010).see(5_020, "100");
        assert_eq!(desk.steps, ["0 entry 1 1 @ 100", "5000 cancel 1", "5020 entry 2 0.6 @ 100.06"]);
        desk.canceled(2, 5_100).see(5_200, "100");
        assert_eq!(desk.steps.last().unwrap(), "5200 target 3 0.4 @ 101");
    }

    #[test]
    fn a_stop_waits_for_the_targets_cancel_before_it_sells() {
        let mut desk = Desk::new();
        desk.see(0, "100").fill(1, "1", "100").see(10, "100").see(1_000, "99.5").see(1_100, "99.4");
        assert_eq!(desk.steps[1..], ["10 target 2 1 @ 101", "1000 cancel 2"]);
        desk.fill(2, "0.3", "101").canceled(2, 1_200).see(1_210, "99.4");
        assert_eq!(desk.steps.last().unwrap(), "1210 exit 3 0.7 @ market");
        desk.fill(3, "0.7", "99.4").see(1_300, "99.4");
        assert_eq!(desk.steps.last().unwrap(), "1300 Close { reason: Stop }");
    }

    #[test]
    fn the_clock_and_a_request_end_a_holding() {
        let mut late = Desk::new();
        late.see(0, "100").fill(1, "1", "100").see(10, "100").see(45_010, "100").canceled(2, 45_020).see(45_030, "100");
        assert_eq!(late.steps.last().unwrap(), "45030 exit 3 1 @ market");
        let mut asked = Desk::new();
        asked.see(0, "100").fill(1, "1", "100").see(10, "100");
        asked.trade.request_exit(ExitReason::Flatten);
        asked.see(20, "100");
        assert_eq!(asked.steps.last().unwrap(), "20 cancel 2");
    }

    /// When orders of this purpose were tried, milliseconds.
    fn tries(desk: &Desk, purpose: &str) -> Vec<i64> {
        let of_it = desk.steps.iter().filter(|step| step.split(' ').nth(1) == Some(purpose));
        of_it.map(|step| step.split(' ').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn refusals_double_the_pause_and_leaving_does_not_wait_for_it() {
        let mut desk = Desk::new();
        desk.trade.plan.hold = Span::from_secs(3_600);
        desk.see(0, "100").fill(1, "1", "100").refused(10, 8_000, "100");
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
        assert_eq!(desk.steps.last().unwrap(), "30 Drop");
        let mut dust = Desk::new();
        dust.see(0, "100").fill(1, "0.01", "100");
        dust.trade.stop_entering();
        dust.see(10, "100").canceled(1, 20).see(30, "100");
        assert_eq!(dust.steps.last().unwrap(), "30 Drop");
    }
}
