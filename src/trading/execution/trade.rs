//! The life of one trade: enter as maker with re-quotes and a deadline, take if allowed, hold with a bracket, leave.
//!
//! | phase | while | then |
//! |---|---|---|
//! | entering | maker order at the touch with its guard behind it, re-quoted when the market moves away | at the deadline: cancel, taker for the rest if allowed |
//! | holding | target and stop rest at the venue as one guard; clock and guard are watched here | sold there, hold limit, signal, flatten |
//! | exiting | offered first where there is time; then each guard is replaced by a sale in one request, so nothing is sold twice; without hurry one after another where the position is large against the book | nothing sellable is left |
//!
//! A part that was bought while the rest still rests has no guard yet (the venue sets one only behind the whole): after a moment the rest is
//! cancelled, the part gets a guard of its own, and the rest is quoted anew. While anything is unguarded its stop is watched here.

use serde::{Deserialize, Serialize};

use super::leaving::has_time;
use super::order::{Order, Purpose};
use super::orders::Orders;
use super::protection::{Cover, exposed_since};
use crate::domain::{Bps, ClientOrderId, ExitReason, Instrument, Money, Price, Qty, Regime, Side, Span, Symbol, Timestamp};
use crate::protocol::VenueFill;
use crate::trading::costs::{Leg, MakerRules, Reference, Slice};

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
    /// How long a part of an entry may stand without a guard while the rest still rests, milliseconds.
    #[serde(default = "one_second")]
    pub cover_after_ms: u32,
    /// How long the market may stand beyond a stop that the venue guards before the position is sold from here, milliseconds.
    #[serde(default = "one_second")]
    pub stop_patience_ms: u32,
    /// Leaving without hurry is first offered as maker. The pair that guards the position is cancelled and placed again for it and for each
    /// move of it: in between, for two ways to the venue, nothing guards.
    #[serde(default)]
    pub offer_exits: bool,
}

const fn one_second() -> u32 {
    1_000
}

/// What was decided, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub qty: Qty,
    pub target: Bps,
    /// Positive: distance below the entry price.
    pub stop: Bps,
    pub hold: Span,
    pub exploration: bool,
    /// Expected return before costs over the whole holding time, bps.
    #[serde(default)]
    pub gross_bps: f64,
    /// The same after costs: how far the market may run away before an entry is given up.
    #[serde(default)]
    pub net_bps: f64,
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
    /// Buy this much until the deadline, the cheapest way.
    Quote {
        qty: Qty,
    },
    /// Whether a resting order is still where it should be.
    Reconsider(ClientOrderId),
    /// Sell this much without hurry, the cheapest way.
    QuoteExit {
        qty: Qty,
    },
    /// Buy this much now, within the collar.
    Take {
        qty: Qty,
    },
    /// Target and stop at the venue for what has no guard.
    Protect {
        qty: Qty,
        target: Price,
        stop: Price,
    },
    /// Sells in the place of a guard.
    Replace {
        old: ClientOrderId,
        qty: Qty,
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
    pub(super) working: Option<ClientOrderId>,
    pub(super) last_sent: Option<Timestamp>,
    pub(super) deadline: Timestamp,
    pub(super) fallback_used: bool,
    pub(super) exit_request: Option<ExitReason>,
    /// Refusals of exits in a row: each doubles the pause.
    #[serde(default)]
    pub(super) refusals: u32,
    /// What sold last.
    #[serde(default)]
    pub(super) sold_by: Option<Purpose>,
    /// Since when something sellable is held that the venue does not guard.
    #[serde(default)]
    pub(super) exposed_since: Option<Timestamp>,
    /// Since when the market stands beyond the stop.
    #[serde(default)]
    pub(super) stop_seen: Option<Timestamp>,
    /// The market that the resting order was placed or kept in, and how often it was moved.
    #[serde(default)]
    pub(super) quoted_at: Option<Touch>,
    #[serde(default)]
    pub(super) requotes: u32,
    /// The parts that a large entry is bought in; empty: all at once.
    #[serde(default)]
    pub(super) schedule: Vec<Slice>,
    /// An exit without hurry rests at this price until then.
    #[serde(default)]
    pub(super) exit_price: Option<Price>,
    #[serde(default)]
    pub(super) patient_until: Option<Timestamp>,
    /// When a guard was placed last because sales are refused.
    #[serde(default)]
    pub(super) guarded_at: Option<Timestamp>,
    /// No more than this is to stay held: a limit was passed.
    #[serde(default)]
    pub(super) keep: Option<Qty>,
    /// When a part was sold last, and how often in a row the venue refused that.
    #[serde(default)]
    pub(super) sold_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) part_refusals: u32,
    /// Somebody asked again while it was leaving: no more pauses.
    #[serde(default)]
    pub(super) pressed: bool,
}

/// What a trade looks at when it is driven.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub now: Timestamp,
    /// Without one nothing is priced, so only cancels and ends happen.
    pub touch: Option<Touch>,
    pub instrument: &'a Instrument,
    pub orders: &'a Orders,
    pub rules: &'a ExecutionRules,
    pub maker: &'a MakerRules,
    /// The account holds no coins of this market but ours: what would be sold twice is refused there.
    pub alone: bool,
    /// Quantity of the book's best bids; zero while it is unknown.
    pub visible_bids: Qty,
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
            sold_by: None,
            exposed_since: None,
            stop_seen: None,
            quoted_at: None,
            requotes: 0,
            schedule: Vec::new(),
            exit_price: None,
            patient_until: None,
            guarded_at: None,
            keep: None,
            sold_at: None,
            part_refusals: 0,
            pressed: false,
        }
    }

    /// Buys in parts, one after another; the deadline counts from the last of them.
    pub fn spread(&mut self, schedule: Vec<Slice>) {
        if let [_, .., last] = schedule.as_slice() {
            self.deadline = self.deadline + last.after;
            self.schedule = schedule;
        }
    }

    /// What to do now.
    pub fn drive(&mut self, scene: &Scene) -> Step {
        let cover = Cover::of(scene.orders, self.symbol, scene.alone.then_some(scene.now));
        self.exposed_since = exposed_since(self.exposed_since, self.exposed(&cover, scene.instrument), scene.now);
        let beyond = scene.touch.is_some_and(|t| self.stop.is_some_and(|stop| t.bid <= stop));
        self.stop_seen = beyond.then(|| self.stop_seen.unwrap_or(scene.now));
        match self.phase {
            Phase::Entering => self.drive_entry(scene, &cover),
            Phase::Holding => self.drive_holding(scene, &cover),
            Phase::Exiting { reason } => self.drive_exit(scene, &cover, reason),
        }
    }

    /// What is held, could be sold, and is not guarded by the venue.
    #[must_use]
    pub fn exposed(&self, cover: &Cover, instrument: &Instrument) -> Qty {
        let price = self.stop.unwrap_or_else(|| self.entry.average_price());
        cover.exposed(self.held(), price, instrument)
    }

    /// Target and stop around an entry price, on the grid.
    #[must_use]
    pub fn bracket(&self, entry: Price, instrument: &Instrument) -> (Price, Price) {
        let target = instrument.passive_price(Side::Sell, entry.shifted(self.plan.target));
        (target, instrument.passive_price(Side::Buy, entry.shifted(-self.plan.stop)))
    }

    /// Remembers an order that was sent for this trade.
    pub fn sent(&mut self, id: ClientOrderId, purpose: Purpose, now: Timestamp) {
        if purpose == Purpose::Entry {
            self.working = Some(id);
        }
        if purpose == Purpose::Exit {
            self.sold_at = Some(now);
        }
        // A guard that is placed while sales are refused puts off no sale.
        if purpose != Purpose::Target || !self.is_hurried() {
            self.last_sent = Some(now);
        }
    }

    /// The resting order stays where it is in this market.
    pub fn kept(&mut self, touch: Option<Touch>, now: Timestamp) {
        self.quoted_at = touch;
        self.last_sent = Some(now);
    }

    /// The resting order is moved.
    pub fn moved(&mut self) {
        self.requotes = self.requotes.saturating_add(1);
    }

    /// Where an exit without hurry rests; `None`: it is sold at the market.
    pub fn exit_at_price(&mut self, price: Option<Price>) {
        self.exit_price = price;
        if price.is_none() {
            self.patient_until = None;
        }
    }

    /// Time left to buy, or to sell without hurry.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Span {
        let until = self.patient_until.unwrap_or(self.deadline);
        if until > now { until.since(now) } else { Span::ZERO }
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
            Phase::Exiting { .. } => (self.last_sent, self.patient_until, self.pressed) = (None, None, true),
        }
    }

    /// Leaving at the market, at once.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        matches!(self.phase, Phase::Exiting { .. }) && self.patient_until.is_none()
    }

    /// True once leaving was asked for.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.exit_request.is_some() || matches!(self.phase, Phase::Exiting { .. })
    }

    /// The venue refused a guard or a sale; the next try waits longer, so that nobody is banned for repeating what can not be. A part that
    /// can not be sold puts off no guard.
    pub fn exit_refused(&mut self, purpose: Purpose) {
        let of_part = purpose == Purpose::Exit && !matches!(self.phase, Phase::Exiting { .. });
        let count = if of_part { &mut self.part_refusals } else { &mut self.refusals };
        *count = count.saturating_add(1);
    }

    pub(super) fn exit_pause_ms(&self, rules: &ExecutionRules) -> u32 {
        doubled(rules.exit_retry_ms, self.refusals)
    }

    /// Leaving without hurry: neither a price nor a limit nor a person drives it out.
    #[must_use]
    pub fn has_patience(&self) -> bool {
        matches!(self.phase, Phase::Exiting { reason } if has_time(reason)) && !self.pressed
    }

    /// Adds a fill of one of this trade's orders. Of what is bought the venue keeps a commission in the base coin; `fee_value` is one that
    /// was paid with other coins (a sale's in the base coin too: its proceeds arrive whole), in quote money.
    pub fn on_fill(&mut self, fill: &VenueFill, purpose: Option<Purpose>, reference: Reference, instrument: &Instrument, fee_value: Money) {
        (self.refusals, self.part_refusals) = (0, 0);
        if fill.side == Side::Sell {
            self.sold_by = purpose;
        }
        let base_fee = if fill.side == Side::Buy && fill.fee_asset == instrument.base { fill.fee } else { Qty::ZERO };
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
        if fill.side == Side::Buy {
            let (target, stop) = self.bracket(self.entry.average_price(), instrument);
            (self.target, self.stop) = (Some(target), Some(stop));
        }
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

    /// The order that buys for this trade, while it lives.
    pub(super) fn buying<'a>(&self, orders: &'a Orders) -> Option<&'a Order> {
        self.working.and_then(|id| orders.get(id)).filter(|o| !o.is_final())
    }

    /// How much may have been bought by now.
    pub(super) fn due_qty(&self, now: Timestamp) -> Qty {
        if self.schedule.is_empty() {
            return self.plan.qty;
        }
        self.schedule.iter().filter(|slice| now.since(self.decided) >= slice.after).map(|slice| slice.qty).sum()
    }

    pub(super) fn quiet_for(&self, now: Timestamp, pause_ms: u32) -> bool {
        self.last_sent.is_none_or(|sent| now.since(sent) >= Span::from_millis(i64::from(pause_ms)))
    }
}

/// A pause after so many refusals in a row.
pub(super) fn doubled(pause_ms: u32, refusals: u32) -> u32 {
    pause_ms.saturating_mul(1 << refusals.min(7))
}
