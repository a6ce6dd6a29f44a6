//! One market's desk: what is known about it, and the trade that is open in it.

use super::quotes::Quoting;
use crate::domain::{Instrument, Interval, Money, Price, Qty, Symbol, Timestamp};
use crate::market::MarketState;
use crate::trading::execution::{Touch, Trade};
use crate::trading::risk::executable_price;

/// Levels a side that count as visible to a large order.
pub(super) const VISIBLE_LEVELS: usize = 5;

#[derive(Debug)]
pub(super) struct Desk {
    pub market: MarketState,
    pub instrument: Option<Instrument>,
    pub trade: Option<Trade>,
    pub last_exit: Option<Timestamp>,
    /// Bought, but too small to sell: quantity and what it cost. Both are negative where commissions were paid with coins of the owner's.
    pub dust_qty: Qty,
    pub dust_cost: Money,
    /// When its sale was tried last.
    pub swept: Option<Timestamp>,
    /// How often since then without a fill: each doubles the pause.
    pub sweeps: u32,
    /// When a snapshot of the book was asked for last.
    pub snapshot_asked: Timestamp,
    /// What quotes here would meet, and what they cost.
    pub quoting: Quoting,
    /// Since when the open trade has lost more than one trade may.
    pub losing_since: Option<Timestamp>,
}

impl Desk {
    pub fn new(symbol: Symbol, bar: Interval) -> Self {
        Self {
            market: MarketState::new(symbol, bar),
            instrument: None,
            trade: None,
            last_exit: None,
            dust_qty: Qty::ZERO,
            dust_cost: Money::ZERO,
            swept: None,
            sweeps: 0,
            quoting: Quoting::new(symbol),
            losing_since: None,
            snapshot_asked: Timestamp::EPOCH,
        }
    }

    /// The open trade's holding, and dust. What commissions owe makes no holding smaller: no limit grows by it.
    pub fn held(&self) -> Qty {
        self.trade.as_ref().map_or(Qty::ZERO, Trade::held) + self.dust_qty.max(Qty::ZERO)
    }

    /// Best bid and ask of a valid book.
    pub fn touch(&self) -> Option<Touch> {
        let book = self.market.book();
        let (bid, ask) = (book.best_bid()?.price, book.best_ask()?.price);
        (bid < ask).then_some(Touch { bid, ask })
    }

    /// Quantity of the best bids of the fed book: what a large sale is cut by. Zero while there is none.
    pub fn visible_bids(&self) -> Qty {
        let book = self.market.book();
        if book.is_fed() { book.bid_levels().take(VISIBLE_LEVELS).map(|level| level.qty).sum() } else { Qty::ZERO }
    }

    /// What `qty` of it is worth a piece: the price at which all of it could be sold now, or the last price while there is no book.
    pub fn executable(&self, qty: Qty) -> Option<Price> {
        executable_price(self.market.book().bid_levels(), qty).or_else(|| self.mark())
    }

    /// What holdings are counted at: the mid, or the last price while there is no valid book.
    pub fn mark(&self) -> Option<Price> {
        self.market.mid().or_else(|| self.market.last_price())
    }
}
