//! What the rules look at, gathered by the engine.

use super::PortfolioRisk;
use crate::domain::{Asset, Bps, Instrument, Money, Price, Qty, Span};

/// Everything the rules look at, gathered by the engine. `None` means unknown, and unknown refuses.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    pub halted: bool,
    /// Positions are being sold down to a limit.
    pub reducing: bool,
    pub stopping: bool,
    pub reconciled: bool,
    pub health_critical: bool,
    pub instrument: Option<&'a Instrument>,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub book_valid: bool,
    pub data_age: Option<Span>,
    /// Change of the clock offset since the first measurement; `None` before it.
    pub clock_drift: Option<Span>,
    pub equity: Option<Money>,
    pub free_quote: Option<Money>,
    /// Of the capital at work, what is neither in positions nor claimed by open buys.
    pub cash: Option<Money>,
    /// A fee was paid in an asset that nothing here prices: results and losses are not what they seem.
    pub unpriced_fee: Option<Asset>,
    pub daily_loss: Option<Money>,
    pub drawdown: Option<Bps>,
    /// Quantity in orders of this symbol whose outcome is unknown.
    pub unknown_qty: Qty,
    /// Held in this symbol, plus what open buys may still add.
    pub committed_qty: Qty,
    /// The same over all symbols, at the marks.
    pub exposure: Option<Money>,
    pub open_orders: u32,
    pub since_exit: Option<Span>,
    /// What this order would lose from its price to its stop, bps; `None` without a stop.
    pub stop_distance: Option<Bps>,
    /// What all positions would lose from their marks to their stops.
    pub heat: Option<Money>,
    pub opened_last_minute: u32,
    /// Fall of the equity over the last hour.
    pub hourly_loss: Option<Money>,
    /// Losing trades in a row, and the time since the last of them.
    pub losing_streak: u32,
    pub since_loss: Option<Span>,
    /// Volatility of the last bars in percent of the usual one.
    pub volatility_percent: Option<u32>,
    /// Longs less shorts, open orders included.
    pub net_exposure: Option<Money>,
    /// What is held and may still be added in the markets that move with this one, itself included.
    pub cluster_exposure: Option<Money>,
    /// `None` while the volatility of this or of a held market is unknown.
    pub portfolio: Option<PortfolioRisk>,
    /// Quoted mid from the book's own.
    pub quote_gap: Option<Bps>,
    /// The quote coin from its peg.
    pub depeg: Option<Bps>,
    /// Refusals, unknown outcomes and failures of the venue in the last minute.
    pub venue_errors: u32,
    /// Money x seconds that stood without protection.
    pub unprotected: Money,
}
