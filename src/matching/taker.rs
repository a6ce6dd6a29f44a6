//! What a taking order finds: displayed levels and other customers' resting orders, best price first.

use super::exchange::Market;
use super::queue::reaches;
use super::{AccountId, OrderRequest};
use crate::domain::{Bps, OrderId, Price, Qty, Side};

/// Whose quantity a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The market's displayed level.
    Shown,
    /// Another customer's resting order.
    Resting(OrderId),
    /// Beyond a quote nothing is displayed: filled worse by the configured impact.
    Impact,
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
    /// The next quantity belongs to the same account.
    OwnOrder,
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
}

/// At one price the displayed quantity trades before resting orders (the cautious choice for those).
pub(super) fn walk(market: &Market, account: AccountId, request: &OrderRequest, impact: Bps) -> Walk {
    let (side, limit) = (request.side, request.kind.price());
    let mut found = Walk::nothing();
    let mut left = request.qty;
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
        for order in resting.next().into_iter().flat_map(|(_, level)| level) {
            if order.account == account {
                found.end = End::OwnOrder;
                return found;
            }
            let qty = order.remaining.min(left);
            found.steps.push(Step { price, qty, source: Source::Resting(order.id) });
            left -= qty;
            if left.is_zero() {
                break;
            }
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
