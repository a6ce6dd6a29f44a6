//! One symbol: what it is, what the market displays, what rests and waits here.

use super::average::Average;
use super::display::Display;
use super::queue::Queue;
use super::rules::{Rules, SymbolStatus};
use super::trigger::Waiting;
use crate::domain::{Instrument, Price, Side};

#[derive(Debug, Clone)]
pub(super) struct Market {
    pub instrument: Instrument,
    /// Places of the two assets in every customer's balances.
    pub base: usize,
    pub quote: usize,
    pub rules: Rules,
    pub status: SymbolStatus,
    pub display: Display,
    pub queue: Queue,
    pub waiting: Waiting,
    /// Of the last public trade.
    pub last: Option<Price>,
    pub average: Average,
}

impl Market {
    pub(super) fn new(instrument: Instrument, base: usize, quote: usize, rules: Rules) -> Self {
        Self {
            instrument,
            base,
            quote,
            rules,
            status: SymbolStatus::Trading,
            display: Display::default(),
            queue: Queue::default(),
            waiting: Waiting::default(),
            last: None,
            average: Average::default(),
        }
    }

    /// The status that was set; an instrument that does not trade is on a break.
    pub(super) const fn status(&self) -> SymbolStatus {
        match self.status {
            SymbolStatus::Trading if !self.instrument.trading => SymbolStatus::Break,
            status => status,
        }
    }

    /// What stops are compared with: the last public trade; where none was ever seen, the middle of the best quotes.
    pub(super) fn reference(&self) -> Option<Price> {
        self.last.or_else(|| self.display.best().map(|(bid, ask)| bid.price.midpoint(ask.price)))
    }

    pub(super) const fn paying(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.quote,
            Side::Sell => self.base,
        }
    }
}
