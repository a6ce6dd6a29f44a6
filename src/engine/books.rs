//! Equity and P&L: marks, breakers, free money, exposure, and the same result counted two ways.

use std::collections::BTreeMap;

use super::{Engine, LINE_EVERY};
use crate::domain::{Asset, ExitReason, Money, Price, Qty, Side, Span, Symbol};
use crate::protocol::{Effect, LimitName, Severity};
use crate::trading::risk::executable_price;

/// Points of the equity line that are kept.
const LINE_POINTS: usize = 240;

/// The result at given marks, counted from trades and, separately, from the ledger's postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PnlReport {
    /// Closed trades + open trades at the mark + dust at the mark.
    pub net_pnl: Option<Money>,
    /// Everything the ledger holds at the mark, less capital.
    pub ledger_net_pnl: Option<Money>,
    pub equity: Option<Money>,
    pub fees: Money,
}

impl Engine {
    /// The result since the books were opened, with holdings counted at `marks` (mids by symbol).
    #[must_use]
    pub fn pnl(&self, marks: &BTreeMap<Symbol, Price>) -> PnlReport {
        let mark_of = |asset: Asset| self.symbol_of(asset).and_then(|s| marks.get(&s).copied());
        let open: Option<Money> = self
            .desks
            .iter()
            .map(|(symbol, desk)| {
                let mark = marks.get(symbol).copied();
                let trade = match &desk.trade {
                    None => Some(Money::ZERO),
                    Some(trade) if trade.held().is_zero() => trade.pnl_at(Price::ZERO),
                    Some(trade) => trade.pnl_at(mark?),
                };
                let dust = if desk.dust_qty.is_zero() { Some(Money::ZERO) } else { mark?.notional(desk.dust_qty) };
                Some(trade? + dust? - desk.dust_cost)
            })
            .sum();
        PnlReport {
            net_pnl: open.map(|open| self.realised + open),
            ledger_net_pnl: self.ledger.net_pnl(self.settings.quote, mark_of),
            equity: self.ledger.equity(self.settings.quote, mark_of),
            fees: self.fees,
        }
    }

    /// Capital the books were opened with, for comparison with the venue's own statement.
    #[must_use]
    pub fn capital(&self) -> Qty {
        self.ledger.capital(self.settings.quote)
    }

    /// What the account held besides our capital when the books were opened.
    #[must_use]
    pub fn foreign(&self) -> &BTreeMap<Asset, Qty> {
        &self.foreign
    }

    /// Which of our symbols prices an asset.
    #[must_use]
    pub fn bases(&self) -> BTreeMap<Asset, Symbol> {
        self.desks.iter().filter_map(|(symbol, desk)| Some((desk.instrument.as_ref()?.base, *symbol))).collect()
    }

    /// Present marks by symbol.
    #[must_use]
    pub fn marks(&self) -> BTreeMap<Symbol, Price> {
        self.desks.iter().filter_map(|(symbol, desk)| Some((*symbol, desk.mark()?))).collect()
    }

    /// Marks the books at what could be had for them, feeds the breakers, and extends the equity line.
    pub(super) fn mark(&mut self, out: &mut Vec<Effect>) {
        if !self.ledger.is_opened() {
            return;
        }
        let equity = self.ledger.equity(self.settings.quote, |asset| self.executable_of(asset));
        if let Some(reason) = self.breakers.on_mark(self.now, equity, &self.settings.limits) {
            self.on_halted(&reason, out);
        }
        self.limit_trade_losses(out);
        self.enforce(out);
        let Some(equity) = equity else { return };
        self.start_equity.get_or_insert(equity);
        if self.now.since(self.last_point) >= LINE_EVERY {
            self.last_point = self.now;
            if self.equity_line.len() == LINE_POINTS {
                // Halve the resolution instead of losing the beginning.
                let thinned = self.equity_line.iter().copied().step_by(2).collect();
                self.equity_line = thinned;
            }
            self.equity_line.push_back((self.now, equity.to_f64()));
        }
    }

    /// What percentages are shares of: the equity, or the allocated capital where that is less.
    pub(super) fn capital_at_work(&self) -> Option<Money> {
        let equity = self.breakers.equity()?;
        Some(self.settings.ladder.as_ref().map_or(equity, |rules| equity.min(rules.allocated_capital)))
    }

    pub(super) fn mark_of(&self, asset: Asset) -> Option<Price> {
        self.desks.get(&self.symbol_of(asset)?)?.mark()
    }

    /// The price of a piece if all that is held of an asset were sold at once.
    fn executable_of(&self, asset: Asset) -> Option<Price> {
        self.desks.get(&self.symbol_of(asset)?)?.executable(self.ledger.venue_balance(asset))
    }

    /// Quote money that no open buy has a claim on; `None` before the venue stated the account.
    pub(super) fn free_quote(&self) -> Option<Money> {
        self.balances.get(&self.settings.quote)?;
        let claimed: Money = self
            .orders
            .live()
            .filter(|o| o.new.side == Side::Buy)
            .map(|o| o.new.kind.price().and_then(|p| p.notional(o.remaining())).unwrap_or(Money::ZERO))
            .sum();
        Some(Money::from_quote(self.ledger.venue_balance(self.settings.quote)) - claimed)
    }

    /// Of the capital at work, what is neither in positions nor claimed by open buys.
    pub(super) fn cash(&self) -> Option<Money> {
        Some(self.free_quote()?.min(self.capital_at_work()? - self.exposure()?))
    }

    /// All holdings at their marks plus what open buys may add; `None` while a mark is missing.
    pub(super) fn exposure(&self) -> Option<Money> {
        let mut total = Money::ZERO;
        for desk in self.desks.values() {
            let held = desk.held();
            if !held.is_zero() {
                total += desk.mark()?.notional(held)?;
            }
        }
        for order in self.orders.live().filter(|o| o.new.side == Side::Buy) {
            total += order.new.kind.price()?.notional(order.remaining())?;
        }
        Some(total)
    }

    /// What all positions would lose from their marks to their stops; `None` while a mark is missing.
    pub(super) fn heat(&self) -> Option<Money> {
        self.desks.keys().map(|symbol| self.heat_of(*symbol)).sum()
    }

    /// What one market's position would lose from its mark to its stop, and what its open buys may add to it.
    pub(super) fn heat_of(&self, symbol: Symbol) -> Option<Money> {
        let Some((desk, trade)) = self.desks.get(&symbol).and_then(|desk| Some((desk, desk.trade.as_ref()?))) else {
            return Some(Money::ZERO);
        };
        let buys = self.orders.live_of(symbol).filter(|o| o.new.side == Side::Buy);
        let open: Option<Money> = buys.map(|o| Some(o.new.kind.price()?.notional(o.remaining())?.at_rate(trade.plan.stop))).sum();
        if !trade.held().is_positive() {
            return open;
        }
        let mark = desk.mark()?;
        let held = match trade.stop {
            Some(stop) if stop < mark => (mark - stop).notional(trade.held())?,
            Some(_) => Money::ZERO,
            None => mark.notional(trade.held())?.at_rate(trade.plan.stop),
        };
        Some(held + open?)
    }

    /// A trade that has lost more than one trade may is closed. It must hold for two marks a second apart: one bad tick closes nothing.
    pub(super) fn limit_trade_losses(&mut self, out: &mut Vec<Effect>) {
        let Some(limit) = self.settings.limits.max_trade_loss else { return };
        let mut closing = Vec::new();
        for (symbol, desk) in &mut self.desks {
            let Some(trade) = desk.trade.as_ref().filter(|trade| trade.held().is_positive()) else {
                desk.losing_since = None;
                continue;
            };
            let mark = executable_price(desk.market.book().bid_levels(), trade.held()).or_else(|| desk.mark());
            let lost = mark.and_then(|mark| trade.pnl_at(mark)).is_some_and(|pnl| -pnl >= limit);
            match (lost, desk.losing_since) {
                (false, _) => desk.losing_since = None,
                (true, None) => desk.losing_since = Some(self.now),
                // Asked once: refused exits keep the pauses that they have earned.
                (true, Some(since)) if self.now.since(since) >= Span::from_secs(1) && (!trade.is_leaving() || trade.has_patience()) => {
                    closing.push(*symbol)
                }
                (true, Some(_)) => {}
            }
        }
        for symbol in closing {
            let Some(trade) = self.desks.get_mut(&symbol).and_then(|desk| desk.trade.as_mut()) else { continue };
            trade.request_exit(ExitReason::LossLimit);
            self.guard.watches.refuse(LimitName::MaxTradeLoss, self.now);
            self.alert(Severity::Warning, format!("{symbol}: lost {limit} or more, closing"), out);
            self.work(symbol, out);
        }
    }

    pub(super) fn symbol_of(&self, asset: Asset) -> Option<Symbol> {
        let is_base = |symbol: &&Symbol| self.instrument(**symbol).is_some_and(|i| i.base == asset && i.quote == self.settings.quote);
        self.desks.keys().find(is_base).copied()
    }
}
