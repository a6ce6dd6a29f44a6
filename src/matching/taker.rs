//! What a taking order finds: displayed levels and other customers' resting orders, best price first.

use super::market::Market;
use super::queue::{Resting, reaches};
use super::{AccountId, SelfTradeMode};
use crate::domain::{Bps, OrderId, Price, Qty, Side};

/// Who takes, and how far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taker {
    pub account: AccountId,
    pub side: Side,
    /// `None`: at any price.
    pub limit: Option<Price>,
    pub qty: Qty,
    pub mode: SelfTradeMode,
}

/// Whose quantity a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The market's displayed level.
    Shown,
    /// A resting order.
    Resting(OrderId),
    /// Beyond a quote nothing is displayed: filled worse by the configured impact.
    Impact,
    /// Nothing is taken: the account's own order expires and the taker goes on.
    Own(OrderId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub price: Price,
    pub qty: Qty,
    pub source: Source,
}

/// Why the walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The quantity is complete, or nothing more lies within the limit.
    Done,
    /// The next quantity belongs to the same account, and the taker shall expire.
    OwnOrder { maker: OrderId, price: Price },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk {
    pub steps: Vec<Step>,
    pub end: End,
}

impl Walk {
    pub(super) const fn nothing() -> Self {
        Self { steps: Vec::new(), end: End::Done }
    }

    pub(super) fn total(&self) -> Qty {
        self.steps.iter().map(|step| step.qty).sum()
    }

    /// Takes from the orders at one price, in order of arrival; false when the walk ends.
    fn take_level(&mut self, taker: &Taker, price: Price, level: &[Resting], left: &mut Qty) -> bool {
        for order in level {
            if order.account == taker.account && taker.mode != SelfTradeMode::None {
                if taker.mode == SelfTradeMode::ExpireMaker {
                    self.steps.push(Step { price, qty: Qty::ZERO, source: Source::Own(order.id) });
                    continue;
                }
                self.end = End::OwnOrder { maker: order.id, price };
                return false;
            }
            let qty = order.remaining.min(*left);
            self.steps.push(Step { price, qty, source: Source::Resting(order.id) });
            *left -= qty;
            if left.is_zero() {
                return false;
            }
        }
        true
    }
}

/// At one price the displayed quantity trades before resting orders (the cautious choice for those).
pub(super) fn walk(market: &Market, taker: &Taker, impact: Bps) -> Walk {
    let (side, limit) = (taker.side, taker.limit);
    let mut found = Walk::nothing();
    let mut left = taker.qty;
    let mut shown = market.display.ladder(side).peekable();
    let mut resting = market.queue.ladder(side).peekable();
    while left.is_positive() {
        let from_display = match (shown.peek(), resting.peek()) {
            (Some((a, _)), Some((b, _))) => reaches(side, *b, *a),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        let Some(price) = (if from_display { shown.peek().map(|s| s.0) } else { resting.peek().map(|r| r.0) }) else { break };
        if limit.is_some_and(|limit| !reaches(side, limit, price)) {
            break;
        }
        if from_display {
            let qty = shown.next().map_or(Qty::ZERO, |(_, qty)| qty).min(left);
            found.steps.push(Step { price, qty, source: Source::Shown });
            left -= qty;
            continue;
        }
        let Some((_, level)) = resting.next() else { break };
        if !found.take_level(taker, price, level, &mut left) {
            return found;
        }
    }
    if left.is_positive() && limit.is_none() && market.display.is_quote_only() {
        found.steps.extend(impact_price(market, side, impact).map(|price| Step { price, qty: left, source: Source::Impact }));
    }
    found
}

/// The quote moved against the taker, to the tick grid on the worse side.
fn impact_price(market: &Market, side: Side, impact: Bps) -> Option<Price> {
    let (bid, ask) = market.display.best()?;
    let price = match side {
        Side::Buy => market.instrument.passive_price(Side::Sell, ask.price.shifted(impact)),
        Side::Sell => market.instrument.passive_price(Side::Buy, bid.price.shifted(-impact)),
    };
    price.is_positive().then_some(price)
}
