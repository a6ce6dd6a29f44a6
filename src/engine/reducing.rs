//! Too much is held: of the largest parts of the excess as much is sold as brings what stays under the limit, with a little to spare.

use super::Engine;
use super::enforce::OF_MARKETS;
use super::usage::Held;
use crate::domain::{Bps, ExitReason, Money, Price, Qty, Symbol};
use crate::protocol::{Effect, LimitName};
use crate::trading::execution::Trade;

/// Of what a limit leaves of a position so much is kept: the next move of the market is not the next sale.
const KEPT: Bps = Bps::from_bps(9_500);
/// Steps in which the part that may stay is searched, in ten-thousandths.
const WHOLE: i64 = 10_000;

/// What becomes of one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// So much of the open trade stays.
    To(Qty),
    /// All of it goes.
    Whole,
}

impl Engine {
    /// Sells down to a limit: first what leaves without hurry goes at once, then the largest part of the excess. Positions that leave at once
    /// already count as gone, those of which a part is being sold as what stays of them.
    pub(super) fn reduce_to(&mut self, name: LimitName, out: &mut Vec<Effect>) {
        let Some(mut kept) = self.staying() else { return };
        if OF_MARKETS.contains(&name) {
            // One odd mark of another market sells nothing there.
            let watch = self.guard.watches.of(name);
            kept.retain(|(symbol, _)| watch.holds_in(*symbol));
        }
        let mut cuts: Vec<(Symbol, Cut)> = Vec::new();
        while self.size_of(name, &kept).is_some_and(|value| self.is_beyond(name, value)) {
            // What leaves anyway is hurried before anything else is cut.
            let leaves = |symbol: &Symbol| self.trade_in(*symbol).is_some_and(Trade::has_patience);
            let part = |(symbol, value): &(Symbol, Money)| {
                (leaves(symbol), self.part_of(name, *symbol, *value, &kept), std::cmp::Reverse(*symbol))
            };
            let uncut = |symbol: &Symbol| cuts.iter().all(|(other, _)| other != symbol) && self.trade_in(*symbol).is_some();
            let candidates = kept.iter().filter(|(symbol, _)| uncut(symbol));
            let Some(largest) = candidates.max_by_key(|held| part(held)).map(|(symbol, _)| *symbol) else { break };
            let cut = self.cut(name, largest, &mut kept);
            cuts.push((largest, cut));
        }
        let mut leaving = Vec::new();
        for (symbol, cut) in cuts {
            match cut {
                Cut::Whole => leaving.push(symbol),
                Cut::To(keep) => {
                    if let Some(trade) = self.desks.get_mut(&symbol).and_then(|desk| desk.trade.as_mut()) {
                        trade.hold_at_most(keep);
                        self.dirty = true;
                    }
                    self.work(symbol, out);
                }
            }
        }
        if !leaving.is_empty() {
            self.flatten(Some(&leaving), ExitReason::RiskLimit, out);
        }
    }

    /// What of one position may stay beside the others, which then are what `kept` says; all of it goes where no part of it fits or the rest
    /// could not be guarded.
    fn cut(&self, name: LimitName, symbol: Symbol, kept: &mut Held) -> Cut {
        let Some(value) = kept.iter().find(|(other, _)| *other == symbol).map(|(_, value)| *value) else { return Cut::Whole };
        if self.trade_in(symbol).is_some_and(Trade::has_patience) {
            // It is leaving already, and has to hurry now.
            kept.retain(|(other, _)| *other != symbol);
            return Cut::Whole;
        }
        let judged = self.judged_with(name, symbol, kept);
        let with = |share: i64| -> Held {
            let part = |(other, held): &(Symbol, Money)| (*other, if *other == symbol { held.at_rate(of_whole(share)) } else { *held });
            judged.iter().map(part).collect()
        };
        let fits = |share: i64| self.size_of(name, &with(share)).is_some_and(|size| !self.is_beyond(name, size));
        let (mut most, mut beyond) = (0, WHOLE);
        while beyond - most > 1 {
            let middle = i64::midpoint(most, beyond);
            if fits(middle) { most = middle } else { beyond = middle }
        }
        let stays = value.at_rate(of_whole(most)).at_rate(KEPT);
        match self.keeping(symbol, stays) {
            Some((keep, price)) if most > 0 => {
                let rest = price.notional(keep).unwrap_or_default();
                kept.iter_mut().filter(|(other, _)| *other == symbol).for_each(|(_, held)| *held = rest);
                Cut::To(keep)
            }
            _ => {
                kept.retain(|(other, _)| *other != symbol);
                Cut::Whole
            }
        }
    }

    /// The holdings that a limit measures together with one position.
    fn judged_with(&self, name: LimitName, symbol: Symbol, kept: &Held) -> Held {
        let together = match name {
            LimitName::MaxClusterExposureBps => self.cluster_of(symbol, kept),
            _ if OF_MARKETS.contains(&name) => vec![symbol],
            _ => return kept.clone(),
        };
        kept.iter().filter(|(other, _)| together.contains(other)).copied().collect()
    }

    /// How much of the open trade stays when its market is to hold `stays`, and its mark; `None` when what is to be sold or what would stay is
    /// too small for an order.
    fn keeping(&self, symbol: Symbol, stays: Money) -> Option<(Qty, Price)> {
        let desk = self.desks.get(&symbol)?;
        let (trade, instrument, mark) = (desk.trade.as_ref()?, desk.instrument.as_ref()?, desk.mark()?);
        let worst = trade.stop.unwrap_or(mark).min(mark);
        let keep = (stays.buys_at(mark) - desk.dust_qty.max(Qty::ZERO)).floor_to(instrument.step);
        // The least that the venue takes may be more than the excess.
        let least = instrument.least(worst)?;
        let keep = keep.min((trade.held() - least).floor_to(instrument.step));
        (keep >= least).then_some((keep, mark))
    }

    /// Holdings as they will be when all that is on its way out at once is out.
    fn staying(&self) -> Option<Held> {
        let mut kept = self.holdings()?;
        kept.retain(|(symbol, _)| self.trade_in(*symbol).is_none_or(|trade| !trade.is_leaving() || trade.has_patience()));
        for (symbol, value) in &mut kept {
            let desk = self.desks.get(symbol)?;
            if let Some(keep) = desk.trade.as_ref().and_then(|trade| trade.keeps()) {
                *value = (*value).min(desk.mark()?.notional(keep + desk.dust_qty.max(Qty::ZERO))?);
            }
        }
        Some(kept)
    }

    fn trade_in(&self, symbol: Symbol) -> Option<&Trade> {
        self.desks.get(&symbol).and_then(|desk| desk.trade.as_ref())
    }

    /// How much of an excess one position is.
    fn part_of(&self, name: LimitName, symbol: Symbol, value: Money, kept: &Held) -> (Money, Money) {
        match name {
            LimitName::MaxClusterExposureBps => (self.cluster_value(symbol, kept), value),
            LimitName::MaxHeatBps => (self.heat_of(symbol).unwrap_or(Money::ZERO), value),
            _ => (value, value),
        }
    }
}

fn of_whole(share: i64) -> Bps {
    Bps::from_bps(share)
}
