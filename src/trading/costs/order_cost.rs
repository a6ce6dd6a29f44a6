//! What one parent order cost: from its decision over its children and fills to a record with mark-outs and the taker's counterfactual.
//!
//! At most one parent a side is open in a market. A finished one with fills waits for the mid sixty seconds after its last fill, without a
//! mid as long as one would still do; when the run stops, or too many wait, it is written with what is known.
//!
//! What was filled is compared with taking as much, level by level from the book of the decision: the first units of a book are its cheapest.
//! What was missed stands beside it, with the way the market went (`OrderCostRecord::saved_all_in` joins the two). Only what could still
//! have been ordered was missed: dust, which a commission in the base coin leaves below the lot, was never for sale.
//!
//! Who pays fees in a coin of the venue's own pays less than the schedule says, as a taker too: taking is charged at the same part of the
//! schedule as the fills of this parent, so that no discount counts as saved by waiting.

use std::collections::VecDeque;

use super::depth::TakerBook;
use super::markout::MarkoutClock;
use crate::domain::{Bps, FeeRates, Money, Price, Qty, Role, RunId, Side, Symbol, Timestamp};
use crate::protocol::{OrderCostRecord, ParentPurpose, PlannedQuote, TakerCounterfactual};

/// Finished parents whose mids are waited for; one more ends the oldest early.
const MOST_SETTLING: usize = 16;

/// A parent order at its decision.
#[derive(Debug, Clone, PartialEq)]
pub struct ParentDecided {
    pub run: RunId,
    pub decision: u64,
    pub symbol: Symbol,
    pub side: Side,
    pub purpose: ParentPurpose,
    pub at: Timestamp,
    pub bid: Price,
    pub ask: Price,
    pub qty: Qty,
    pub chosen: Option<PlannedQuote>,
    /// What could be taken at that moment.
    pub book: Option<TakerBook>,
    /// The schedule of the book's fee.
    pub rates: Option<FeeRates>,
}

#[derive(Debug, Clone, PartialEq)]
struct Parent {
    decided: ParentDecided,
    children: u32,
    first_sent: Option<Timestamp>,
    first_fill: Option<Timestamp>,
    last_fill: Option<Timestamp>,
    maker: Qty,
    taker: Qty,
    /// Sum of price x quantity.
    value: Money,
    fees: Money,
    /// Of fills that are charged for by schedule and were: what was paid, and what the schedule says.
    paid: Money,
    scheduled: Money,
    clock: MarkoutClock,
    finished: Option<(Timestamp, Option<Price>)>,
}

/// The parent orders of one market.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OrderCostTracker {
    open: Vec<Parent>,
    settling: VecDeque<Parent>,
}

impl OrderCostTracker {
    /// A parent order begins; one of the same side that was never finished ends here.
    pub fn decided(&mut self, decided: ParentDecided) {
        self.finished(decided.side, decided.at, Some(decided.bid.midpoint(decided.ask)), |missed| missed);
        let clock = MarkoutClock::new(decided.side);
        let nothing = (Qty::ZERO, Money::ZERO);
        self.open.push(Parent {
            decided,
            children: 0,
            first_sent: None,
            first_fill: None,
            last_fill: None,
            maker: nothing.0,
            taker: nothing.0,
            value: nothing.1,
            fees: nothing.1,
            paid: nothing.1,
            scheduled: nothing.1,
            clock,
            finished: None,
        });
    }

    #[must_use]
    pub fn is_open(&self, side: Side) -> bool {
        self.open.iter().any(|parent| parent.decided.side == side)
    }

    pub fn child_sent(&mut self, side: Side, at: Timestamp) {
        if let Some(parent) = self.parent(side) {
            parent.children = parent.children.saturating_add(1);
            parent.first_sent.get_or_insert(at);
        }
    }

    /// A fill of a child; `fee` in quote money, signed. A fill beyond what was wanted makes the parent larger.
    pub fn fill(&mut self, side: Side, at: Timestamp, price: Price, qty: Qty, role: Role, fee: Money) {
        let Some(parent) = self.parent(side) else { return };
        match role {
            Role::Maker => parent.maker += qty,
            Role::Taker => parent.taker += qty,
        }
        parent.decided.qty = parent.decided.qty.max(parent.filled());
        let value = price.notional(qty).unwrap_or(Money::ZERO);
        parent.value += value;
        parent.fees += fee;
        let rate = parent.decided.rates.map_or(Bps::ZERO, |rates| if role == Role::Maker { rates.maker } else { rates.taker });
        if rate > Bps::ZERO && fee.is_positive() {
            parent.paid += fee;
            parent.scheduled += value.at_rate(rate);
        }
        parent.first_fill.get_or_insert(at);
        parent.last_fill = Some(at);
        parent.clock.on_fill(at, price, qty);
    }

    /// Nothing more is sent for the parent of this side; `mid` tells where the market went, `orderable` how much of a rest the lot rules
    /// still let be ordered.
    pub fn finished(&mut self, side: Side, at: Timestamp, mid: Option<Price>, orderable: impl FnOnce(Qty) -> Qty) {
        if let Some(place) = self.open.iter().position(|parent| parent.decided.side == side) {
            let mut parent = self.open.remove(place);
            let filled = parent.filled();
            parent.narrow(filled + orderable(parent.decided.qty - filled));
            parent.finished = Some((at, mid));
            self.settling.push_back(parent);
        }
    }

    /// Whether `on_time` has something to do.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.settling.is_empty() && self.settling.iter().any(|p| p.clock.next_due().is_none_or(|due| now >= due))
            || self.open.iter().any(|p| p.clock.next_due().is_some_and(|due| now >= due))
    }

    /// Looks at the mid where it is waited for and gives the records of what is over. `stopping`: nothing is waited for.
    pub fn on_time(&mut self, now: Timestamp, mid: Option<Price>, stopping: bool, out: &mut Vec<OrderCostRecord>) {
        self.open.iter_mut().chain(&mut self.settling).for_each(|parent| parent.clock.on_mid(now, mid));
        let surplus = self.settling.len().saturating_sub(MOST_SETTLING);
        for nth in 0..self.settling.len() {
            let over = stopping || nth < surplus;
            if let Some(parent) = self.settling.pop_front() {
                if over || parent.clock.next_due().is_none() {
                    out.push(parent.record());
                } else {
                    self.settling.push_back(parent);
                }
            }
        }
    }

    fn parent(&mut self, side: Side) -> Option<&mut Parent> {
        self.open.iter_mut().find(|parent| parent.decided.side == side)
    }
}

impl Parent {
    fn filled(&self) -> Qty {
        self.maker + self.taker
    }

    /// Only so much was there to be ordered; nothing at all is not believed.
    fn narrow(&mut self, qty: Qty) {
        if qty.is_positive() && qty < self.decided.qty {
            self.decided.qty = qty;
        }
    }

    /// With the fee at the part of the schedule that was paid here; as scheduled where nothing tells.
    fn as_charged(&self, taker: TakerCounterfactual) -> TakerCounterfactual {
        let (paid, scheduled) = (self.paid.to_quote(), self.scheduled.to_quote());
        if !paid.is_positive() || !scheduled.is_positive() || !taker.fee.is_positive() {
            return taker;
        }
        let fee = taker.fee.share(paid, scheduled);
        TakerCounterfactual { fee, cost: taker.cost - taker.fee + fee, ..taker }
    }

    fn record(&self) -> OrderCostRecord {
        let d = &self.decided;
        let arrival_mid = d.bid.midpoint(d.ask);
        let filled = self.filled();
        let at_mid = arrival_mid.notional(filled).unwrap_or(Money::ZERO);
        let slippage = match d.side {
            Side::Buy => self.value - at_mid,
            Side::Sell => at_mid - self.value,
        };
        let bps = |money: Money| at_mid.is_positive().then(|| money.to_f64() / at_mid.to_f64() * 1e4);
        let taking = |qty: Qty| d.book.as_ref().and_then(|book| book.cost(qty)).map(|taker| self.as_charged(taker));
        let saved = taking(filled).map(|taker| taker.cost - (slippage + self.fees));
        let (finished, last_mid) = self.finished.unwrap_or((d.at, None));
        let missed = d.qty - filled;
        let average_price =
            self.value.raw().checked_div(filled.raw()).and_then(|raw| i64::try_from(raw).ok()).map_or(Price::ZERO, Price::from_raw);
        OrderCostRecord {
            run: d.run,
            decision: d.decision,
            symbol: d.symbol,
            side: d.side,
            purpose: d.purpose,
            decided: d.at,
            finished,
            arrival_mid,
            arrival_bid: d.bid,
            arrival_ask: d.ask,
            wanted: d.qty,
            filled,
            average_price,
            children: self.children,
            first_sent: self.first_sent,
            first_fill: self.first_fill,
            last_fill: self.last_fill,
            maker_qty: self.maker,
            taker_qty: self.taker,
            fees: self.fees,
            slippage,
            slippage_bps: bps(slippage),
            markouts: self.clock.result(),
            taker: taking(d.qty),
            saved,
            saved_bps: saved.and_then(bps),
            chosen: d.chosen,
            missed,
            missed_move_bps: last_mid.filter(|_| missed.is_positive()).and_then(|mid| ran_away_bps(d.side, arrival_mid, mid)),
        }
    }
}

/// How far the mid went away from a buyer (up) or a seller (down), bps.
fn ran_away_bps(side: Side, from: Price, to: Price) -> Option<f64> {
    let rose = (to.to_f64() - from.to_f64()) / from.to_f64() * 1e4;
    Some(if side == Side::Buy { rose } else { -rose }).filter(|bps| bps.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Bps, Level, Span};

    fn at(secs: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(secs)
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn qty(text: &str) -> Qty {
        text.parse().unwrap()
    }

    /// Everything may be ordered.
    fn whole(missed: Qty) -> Qty {
        missed
    }

    /// Two units wanted at 99.9 / 100.1, the whole ask at 100.1, a taker fee of 10 bps.
    fn parent(side: Side) -> ParentDecided {
        let (bid, ask) = (price("99.9"), price("100.1"));
        let level = Level { price: if side == Side::Buy { ask } else { bid }, qty: qty("9") };
        ParentDecided {
            run: RunId(1),
            decision: 7,
            symbol: "BTCUSDT".parse().unwrap(),
            side,
            purpose: ParentPurpose::Entry,
            at: at(0),
            bid,
            ask,
            qty: qty("2"),
            chosen: None,
            book: TakerBook::new(side, &[level], qty("2"), price("100"), Bps::from_bps(10)),
            rates: None,
        }
    }

    fn records(tracker: &mut OrderCostTracker, secs: i64, mid: &str, stopping: bool) -> Vec<OrderCostRecord> {
        let mut out = Vec::new();
        tracker.on_time(at(secs), Some(price(mid)), stopping, &mut out);
        out
    }

    #[test]
    fn the_record_tells_the_whole_story() {
        let mut tracker = OrderCostTracker::default();
        tracker.decided(parent(Side::Buy));
        tracker.child_sent(Side::Buy, at(1));
        tracker.fill(Side::Buy, at(3), price("99.9"), qty("1"), Role::Maker, "-0.01".parse().unwrap());
        assert!(tracker.is_due(at(4)) && records(&mut tracker, 4, "100", false).is_empty());
        tracker.child_sent(Side::Buy, at(5));
        tracker.fill(Side::Buy, at(6), price("100.3"), qty("0.5"), Role::Taker, "0.05".parse().unwrap());
        tracker.finished(Side::Buy, at(6), Some(price("100.2")), whole);
        assert!(!tracker.is_open(Side::Buy) && records(&mut tracker, 7, "100.1", false).is_empty());
        assert!(records(&mut tracker, 30, "100.1", false).is_empty());
        assert!(records(&mut tracker, 63, "100.4", false).is_empty());
        let record = records(&mut tracker, 66, "100.4", false).remove(0);
        let show = |m: Money| m.to_string();
        // One unit a dime better than the mid, half a unit 0.3 worse: 0.05 of slippage, 0.04 of fees.
        assert_eq!([show(record.slippage), show(record.fees)], ["0.05", "0.04"]);
        assert_eq!((record.filled, record.missed, record.children), (qty("1.5"), qty("0.5"), 2));
        assert_eq!((record.maker_qty, record.taker_qty, record.average_price.to_string()), (qty("1"), qty("0.5"), "100.03333333".into()));
        assert_eq!((record.queue_wait(), record.finished), (Some(Span::from_secs(2)), at(6)));
        // The taker: 2 x 0.1 beyond the mid and 0.2002 of fees; three quarters of it.
        assert_eq!(record.taker.map(|t| show(t.cost)), Some("0.4002".to_owned()));
        assert_eq!(record.saved.map(show), Some("0.21015".to_owned()));
        assert!((record.saved_bps.unwrap() - 0.21015 / 150.0 * 1e4).abs() < 1e-9);
        assert!((record.missed_move_bps.unwrap() - 20.0).abs() < 1e-9);
        assert!(record.markouts.after_60s.is_some() && record.markouts.after_1s.is_some());
        assert_eq!(record.markouts.after_10s, None, "nobody looked between the seventh and the thirtieth second");
    }

    #[test]
    fn an_order_without_a_fill_is_told_at_once_and_a_stop_waits_for_nothing() {
        let mut tracker = OrderCostTracker::default();
        tracker.decided(parent(Side::Sell));
        tracker.finished(Side::Sell, at(20), Some(price("99")), whole);
        assert!(tracker.is_due(at(20)));
        let missed = records(&mut tracker, 20, "99", false).remove(0);
        assert_eq!((missed.filled, missed.saved, missed.slippage_bps), (Qty::ZERO, None, None));
        assert!((missed.missed_move_bps.unwrap() - 100.0).abs() < 1e-9, "a fall runs away from a seller");
        tracker.decided(parent(Side::Buy));
        tracker.fill(Side::Buy, at(30), price("100"), qty("2"), Role::Maker, Money::ZERO);
        tracker.finished(Side::Buy, at(30), None, whole);
        let stopped = records(&mut tracker, 31, "100", true).remove(0);
        assert!(stopped.markouts.after_1s.is_some() && stopped.markouts.after_60s.is_none() && stopped.missed.is_zero());
    }

    #[test]
    fn a_part_is_compared_with_the_cheapest_levels_of_the_book() {
        let asks = [Level { price: price("100.01"), qty: qty("1") }, Level { price: price("100.11"), qty: qty("9") }];
        let saved = |filled: &str| {
            let book = TakerBook::new(Side::Buy, &asks, qty("10"), price("100"), Bps::ZERO);
            let mut tracker = OrderCostTracker::default();
            tracker.decided(ParentDecided { bid: price("99.99"), ask: price("100.01"), qty: qty("10"), book, ..parent(Side::Buy) });
            tracker.fill(Side::Buy, at(1), price("100"), qty(filled), Role::Maker, Money::ZERO);
            tracker.finished(Side::Buy, at(2), Some(price("100.05")), whole);
            let record = records(&mut tracker, 2, "100", true).remove(0);
            (record.taker.unwrap().cost.to_string(), record.saved.unwrap().to_string(), record.saved_all_in().unwrap().to_string())
        };
        // Bought at the mid, so saved is what taking as much would have cost: a cent on the first unit, eleven on each of the others. Five
        // cents more are asked for what is missing.
        assert_eq!(saved("1"), ("1".into(), "0.01".into(), "-0.44".into()));
        assert_eq!(saved("2"), ("1".into(), "0.12".into(), "-0.28".into()));
        assert_eq!(saved("10"), ("1".into(), "1".into(), "1".into()));
    }

    #[test]
    fn a_discount_on_fees_is_not_saved_by_waiting() {
        let saved = |maker: i64, role: Role, paid_at: &str, fee: &str| {
            let mut tracker = OrderCostTracker::default();
            let rates = Some(FeeRates { maker: Bps::from_bps(maker), taker: Bps::from_bps(10) });
            tracker.decided(ParentDecided { rates, ..parent(Side::Buy) });
            tracker.fill(Side::Buy, at(1), price(paid_at), qty("2"), role, fee.parse().unwrap());
            tracker.finished(Side::Buy, at(2), None, whole);
            let record = records(&mut tracker, 2, "100", true).remove(0);
            (record.taker.unwrap().fee.to_string(), record.saved.unwrap().to_string())
        };
        // Taken at the book's own price: 0.2002 of fees by schedule, 7.5 of 10 bps paid.
        assert_eq!(saved(10, Role::Taker, "100.1", "0.15015"), ("0.15015".into(), "0".into()));
        assert_eq!(saved(10, Role::Taker, "100.1", "0.2002"), ("0.2002".into(), "0".into()));
        // Two tenths of price and half a fee better than taking, all at three quarters of the schedule.
        assert_eq!(saved(5, Role::Maker, "100", "0.075"), ("0.15015".into(), "0.27515".into()));
        // A rebate, or no fee by schedule, tells nothing of what taking would be charged.
        assert_eq!(saved(-1, Role::Maker, "100", "-0.02"), ("0.2002".into(), "0.4202".into()));
        assert_eq!(saved(0, Role::Maker, "100", "0"), ("0.2002".into(), "0.4002".into()));
    }

    #[test]
    fn dust_was_never_missed() {
        let sell = |filled: &str, orderable: fn(Qty) -> Qty| {
            let mut tracker = OrderCostTracker::default();
            tracker.decided(parent(Side::Sell));
            if filled != "0" {
                tracker.fill(Side::Sell, at(1), price("99.9"), qty(filled), Role::Taker, "0.1".parse().unwrap());
            }
            tracker.finished(Side::Sell, at(2), Some(price("99")), orderable);
            records(&mut tracker, 2, "99", true).remove(0)
        };
        // Lots of a tenth: the last five hundredths can not be sold.
        let tenths = |missed: Qty| missed.floor_to("0.1".parse().unwrap());
        let sold = sell("1.95", tenths);
        assert_eq!((sold.wanted, sold.missed, sold.missed_move_bps), (qty("1.95"), Qty::ZERO, None));
        // The taker of 1.95: 0.1 each beyond the mid, and ten bps of 99.9.
        let taker = sold.taker.unwrap();
        assert_eq!([taker.cost.to_string(), taker.fee.to_string()], ["0.389805", "0.194805"]);
        assert_eq!(sold.saved.map(|m| m.to_string()), Some("0.094805".to_owned()));
        let part = sell("1.25", tenths);
        assert_eq!((part.wanted, part.missed, part.missed_move_bps.is_some()), (qty("1.95"), qty("0.7"), true));
        let nothing = sell("0", |_| Qty::ZERO);
        assert_eq!((nothing.wanted, nothing.missed), (qty("2"), qty("2")), "nothing but dust is not believed");
    }

    #[test]
    fn sides_do_not_meet_and_a_new_parent_ends_the_old_one() {
        let mut tracker = OrderCostTracker::default();
        tracker.decided(parent(Side::Buy));
        tracker.decided(parent(Side::Sell));
        tracker.fill(Side::Sell, at(1), price("100"), qty("1"), Role::Taker, Money::ZERO);
        tracker.decided(ParentDecided { decision: 8, ..parent(Side::Buy) });
        assert_eq!(records(&mut tracker, 1, "100", true).iter().map(|r| (r.decision, r.filled.is_zero())).collect::<Vec<_>>(), [(7, true)]);
        assert!(tracker.is_open(Side::Buy) && tracker.is_open(Side::Sell));
        for _ in 0..100 {
            tracker.decided(parent(Side::Buy));
            tracker.fill(Side::Buy, at(2), price("100"), qty("1"), Role::Taker, Money::ZERO);
            records(&mut tracker, 2, "100", false);
        }
        assert!(tracker.settling.len() <= MOST_SETTLING);
    }

    proptest! {
        #[test]
        fn what_was_saved_is_the_difference_of_two_exact_costs(
            fills in prop::collection::vec((9_000_i64..11_000, 1_i128..500, any::<bool>(), -50_i64..50), 1..9), buy in any::<bool>(),
        ) {
            let side = if buy { Side::Buy } else { Side::Sell };
            let mut tracker = OrderCostTracker::default();
            let wanted: i128 = fills.iter().map(|fill| fill.1).sum();
            let mut decided = parent(side);
            decided.qty = Qty::from_raw(wanted * 100_000);
            let touch = if buy { decided.ask } else { decided.bid };
            let book = [Level { price: touch, qty: decided.qty }];
            decided.book = TakerBook::new(side, &book, decided.qty, price("100"), Bps::from_bps(10));
            let counterfactual = decided.book.as_ref().unwrap().cost(decided.qty).unwrap().cost;
            tracker.decided(decided);
            let mut real = Money::ZERO;
            for (cents, units, maker, fee) in fills {
                let (paid, units, fee) = (Price::from_raw(cents * 1_000_000), Qty::from_raw(units * 100_000), Money::from_raw(i128::from(fee) * 100_000_000));
                let beyond = paid.notional(units).unwrap() - price("100").notional(units).unwrap();
                real += fee + if buy { beyond } else { -beyond };
                tracker.fill(side, at(1), paid, units, if maker { Role::Maker } else { Role::Taker }, fee);
            }
            tracker.finished(side, at(1), None, whole);
            let record = records(&mut tracker, 1, "100", true).remove(0);
            prop_assert_eq!(record.saved, Some(counterfactual - real));
            prop_assert_eq!(record.slippage + record.fees, real);
            prop_assert_eq!(record.maker_qty + record.taker_qty, record.filled);
        }
    }
}
