//! Quotes and what they cost: the facts behind a fill probability, a followed quote, and the cost record of one parent order.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, Money, Price, Qty, RunId, Side, Span, Symbol, Timestamp};

/// A way to get an order done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoteOption {
    /// Rest at the best price of the own side.
    Join,
    /// Rest one tick before it.
    Improve,
    /// Rest at the next level behind it.
    Deeper,
    /// Trade against the other side at once.
    Take,
}

/// An option with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlannedQuote {
    pub option: QuoteOption,
    /// Of the resting order; for `Take` the worst price of the book that would be taken.
    pub price: Price,
    /// Within the time that was left; 1 for `Take`.
    pub fill_probability: f64,
    /// Against the mid, fees included, bps of the notional; negative when it earns.
    pub expected_cost_bps: f64,
}

/// What the probability of a fill depends on. Quantities in base units; everything is seen from the order's own side.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct FillFacts {
    /// Displayed at this price and at better ones of the own side: what must trade before us.
    pub queue_ahead: f64,
    pub qty: f64,
    /// Trades and volume a second that took from our side of the book, over the last minute.
    pub trades_per_sec: f64,
    pub volume_per_sec: f64,
    pub spread_ticks: f64,
    /// From the own touch: 0 joined, positive deeper, negative improved.
    pub distance_ticks: f64,
    /// (own - other) / (own + other) quantity of the best levels, -1 to 1: positive when ours is the heavier side.
    pub imbalance: f64,
    /// Standard deviation of the mid over one second, ticks; grows with the root of time.
    pub sigma_ticks: f64,
    pub horizon_secs: f64,
}

/// The number of transformed facts that a fitted fill model weighs.
pub const FILL_FEATURES: usize = 8;

/// A logistic regression over standardised transformed facts (`trading::costs::fill_features`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FillCoefficients {
    pub intercept: f64,
    pub slopes: [f64; FILL_FEATURES],
    pub means: [f64; FILL_FEATURES],
    pub deviations: [f64; FILL_FEATURES],
}

/// What the workshop learned about fills. Every score is out of sample, on the newest part of the samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FillModelLearned {
    /// `None`: the fitted model was no better, and the analytic one stays.
    pub coefficients: Option<FillCoefficients>,
    pub fitted_on: u32,
    pub judged_on: u32,
    /// Share of fills where it was fitted: the forecast that both models must beat.
    pub base_rate: f64,
    pub brier_base: f64,
    pub brier_analytic: f64,
    pub brier_fitted: f64,
}

/// Where the mid stood after a fill, bps of the fill's price, positive in our favour.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Markouts {
    pub after_1s: Option<f64>,
    pub after_10s: Option<f64>,
    pub after_60s: Option<f64>,
}

/// One quote, ours or hypothetical, followed until it was filled or its time was over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FillSampleRecord {
    pub run: RunId,
    pub symbol: Symbol,
    pub at: Timestamp,
    pub side: Side,
    pub option: QuoteOption,
    pub price: Price,
    pub qty: Qty,
    /// A real order of ours, not a hypothetical one.
    pub own: bool,
    pub facts: FillFacts,
    /// `None`: not filled within `facts.horizon_secs`.
    pub filled_after: Option<Span>,
    pub markouts: Markouts,
    /// How far the mid went against us from the quote's beginning to ten seconds after its fill, bps.
    pub adverse_bps: Option<f64>,
    /// Of a quote that was not filled: how far the mid ran away from us until its end, bps.
    pub missed_move_bps: Option<f64>,
}

impl FillSampleRecord {
    #[must_use]
    pub const fn filled(&self) -> bool {
        self.filled_after.is_some()
    }
}

/// Why a parent order exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentPurpose {
    Entry,
    /// Leaving by decision: clock, signal, limit, hand.
    Exit,
    /// A resting profit target that the market reached; decided, for its costs, when its first fill came.
    Target,
    /// A stop that the venue acted on; likewise.
    Stop,
}

/// What taking everything at once would have cost, from the book at the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakerCounterfactual {
    /// Average price of the wanted quantity.
    pub vwap: Price,
    pub worst: Price,
    /// Of the wanted quantity, signed.
    pub fee: Money,
    /// Against the arrival mid, fee included, for the wanted quantity.
    pub cost: Money,
    /// False when the visible book held less; the rest is counted at the worst visible price.
    pub complete: bool,
}

/// What one parent order cost: an entry or an exit of a trade, made of one or several child orders.
/// Costs are against the mid at the decision; positive costs, negative earns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCostRecord {
    pub run: RunId,
    /// The decision that caused it; 0 when none did.
    pub decision: u64,
    pub symbol: Symbol,
    pub side: Side,
    pub purpose: ParentPurpose,
    pub decided: Timestamp,
    pub finished: Timestamp,
    pub arrival_mid: Price,
    pub arrival_bid: Price,
    pub arrival_ask: Price,
    pub wanted: Qty,
    pub filled: Qty,
    /// Rounded down to 1e-8; zero without a fill.
    pub average_price: Price,
    pub children: u32,
    pub first_sent: Option<Timestamp>,
    pub first_fill: Option<Timestamp>,
    pub last_fill: Option<Timestamp>,
    pub maker_qty: Qty,
    pub taker_qty: Qty,
    /// Signed; a rebate is negative.
    pub fees: Money,
    /// Sum of (price - arrival mid) x quantity, in the direction that costs.
    pub slippage: Money,
    /// The same in bps of the notional at the arrival mid; `None` without a fill.
    pub slippage_bps: Option<f64>,
    /// Averages over the fills, by quantity; `None` when the run ended before.
    pub markouts: Markouts,
    /// `None` when the book was not known at the decision.
    pub taker: Option<TakerCounterfactual>,
    /// What taking as much as was filled would have cost at the decision, less what it really cost, fees included on both sides. A book
    /// gets dearer with depth, so that is at most the share of `taker.cost`. Says nothing of what was missed: `saved_all_in` does.
    pub saved: Option<Money>,
    pub saved_bps: Option<f64>,
    /// What was chosen first, with the numbers it was chosen by.
    pub chosen: Option<PlannedQuote>,
    pub missed: Qty,
    /// How far the mid ran away from us until the order was given up, bps; `None` when all was filled.
    pub missed_move_bps: Option<f64>,
}

impl OrderCostRecord {
    /// From the first child to the first fill.
    #[must_use]
    pub fn queue_wait(&self) -> Option<Span> {
        Some(self.first_fill?.since(self.first_sent?))
    }

    /// What the whole order saved: `saved` on what filled, less what the rest would have cost more at the end than at the decision (with its
    /// sign: a market that came nearer gives). `None` while the book at the decision or the mid at the end is not known of a part.
    #[must_use]
    pub fn saved_all_in(&self) -> Option<Money> {
        let on_filled = if self.filled.is_positive() { self.saved? } else { Money::ZERO };
        if !self.missed.is_positive() {
            return Some(on_filled);
        }
        Some(on_filled - self.arrival_mid.notional(self.missed)?.at_rate(Bps::from_f64(self.missed_move_bps?)))
    }

    /// The same in bps of all that was wanted, at the arrival mid.
    #[must_use]
    pub fn saved_all_in_bps(&self) -> Option<f64> {
        let wanted = self.arrival_mid.notional(self.wanted).filter(|wanted| wanted.is_positive())?;
        Some(self.saved_all_in()?.to_f64() / wanted.to_f64() * 1e4)
    }
}
