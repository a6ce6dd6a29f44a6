//! How a quantity is bought or sold: the advice is asked for, followed, and told to the cost records.

use super::Engine;
use crate::domain::{Bps, ClientOrderId, OrderKind, Price, Qty, Side, Span, Symbol, TimeInForce};
use crate::protocol::{Effect, ParentPurpose, Refusal};
use crate::trading::costs::{Choice, Missing};
use crate::trading::execution::Phase;

impl Engine {
    /// Buys the cheapest way: by resting where the advice says (joining the touch without one), or by taking.
    pub(super) fn quote(&mut self, symbol: Symbol, qty: Qty, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let left = self.time_left(symbol);
        let choice = self.advise(symbol, Side::Buy, qty, left, self.missing(symbol, left));
        let takes = choice.as_ref().map_or(!self.settings.maker.enabled, Choice::takes);
        if takes {
            return self.take_as(symbol, qty, choice.as_ref(), out);
        }
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let touch = desk.touch().ok_or(Refusal::NoPrice)?;
        let instrument = desk.instrument.as_ref().ok_or(Refusal::NoInstrument)?;
        let price = choice.as_ref().map_or(touch.bid, |choice| choice.chosen.price);
        let price = instrument.passive_price(Side::Buy, price);
        self.still_worth(symbol, price)?;
        let id = self.open(symbol, qty, OrderKind::LimitMaker { price }, false, out)?;
        self.begin_parent(symbol, Side::Buy, ParentPurpose::Entry, choice.as_ref());
        self.cost_child_sent(symbol, Side::Buy, id, qty, Some(price), left);
        Ok(())
    }

    /// Buys now, within the collar.
    pub(super) fn take(&mut self, symbol: Symbol, qty: Qty, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.take_as(symbol, qty, None, out)
    }

    fn take_as(&mut self, symbol: Symbol, qty: Qty, choice: Option<&Choice>, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let touch = desk.touch().ok_or(Refusal::NoPrice)?;
        let instrument = desk.instrument.as_ref().ok_or(Refusal::NoInstrument)?;
        let price = instrument.passive_price(Side::Buy, touch.ask.shifted(self.settings.execution.taker_collar_bps));
        self.still_worth(symbol, touch.ask)?;
        let kind = OrderKind::Limit { price, time_in_force: TimeInForce::Ioc };
        let id = self.open(symbol, qty, kind, true, out)?;
        self.begin_parent(symbol, Side::Buy, ParentPurpose::Entry, choice);
        self.cost_child_sent(symbol, Side::Buy, id, qty, None, Span::ZERO);
        Ok(())
    }

    /// An entry does not run after the market: what it moved since the decision is paid out of the edge.
    fn still_worth(&self, symbol: Symbol, price: Price) -> Result<(), Refusal> {
        let Some(trade) = self.desks.get(&symbol).and_then(|d| d.trade.as_ref()) else { return Err(Refusal::NoPrice) };
        let edge = Bps::from_f64(trade.plan.net_bps.clamp(0.0, 1e4));
        let (by, limit) = (price.distance_bps(trade.decided_at.ask), edge.max(self.settings.execution.taker_collar_bps));
        if by > limit { Err(Refusal::RanAway { by, limit }) } else { Ok(()) }
    }

    /// Whether a resting buy stays where it is now that the market has moved. False when nothing was sent.
    pub(super) fn reconsider(&mut self, symbol: Symbol, id: ClientOrderId, out: &mut Vec<Effect>) -> bool {
        let Some(price) = self.orders.get(id).and_then(|order| order.new.kind.price()) else { return false };
        let left = self.time_left(symbol);
        let touch = self.desks.get(&symbol).and_then(|d| d.touch());
        let choice = self.advise_resting(id, left, self.missing(symbol, left));
        let leave = match (&choice, touch) {
            (Some(choice), _) if choice.takes() => true,
            // The best price may be our own: nobody outbids himself.
            (_, Some(touch)) if price >= touch.bid => false,
            (Some(choice), _) => choice.chosen.price > price,
            (None, touch) => touch.is_some_and(|touch| price < touch.bid),
        };
        let now = self.now;
        let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) else { return false };
        if !leave {
            trade.kept(touch, now);
            return false;
        }
        let sent = self.cancel(id, out);
        if sent && let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) {
            trade.moved();
        }
        sent
    }

    /// Where a position that has time is offered.
    pub(super) fn quote_exit(&mut self, symbol: Symbol, qty: Qty) {
        let left = self.time_left(symbol);
        let choice = self.advise(symbol, Side::Sell, qty, left, Missing::Taken { drift_bps: 0.0 });
        self.begin_parent(symbol, Side::Sell, ParentPurpose::Exit, choice.as_ref());
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let (touch, instrument, last) = (desk.touch(), desk.instrument.as_ref(), desk.market.last_price());
        let Some(trade) = desk.trade.as_mut() else { return };
        let rests = choice.filter(|choice| !choice.takes()).zip(touch).zip(instrument);
        let price: Option<Price> = rests.map(|((choice, touch), i)| {
            // The venue takes a pair only around its last price.
            let lowest = (touch.bid + i.tick).max(last.map_or(Price::ZERO, |last| last + i.tick));
            i.passive_price(Side::Sell, choice.chosen.price.max(lowest))
        });
        trade.exit_at_price(price);
    }

    /// A parent order begins with its first child, or with the wish to leave.
    fn begin_parent(&mut self, symbol: Symbol, side: Side, purpose: ParentPurpose, choice: Option<&Choice>) {
        let Some(trade) = self.desks.get(&symbol).and_then(|d| d.trade.as_ref()) else { return };
        let qty = if side == Side::Buy { trade.plan.qty } else { trade.held() };
        let decision = trade.decision;
        if !self.cost_is_open(symbol, side) {
            self.cost_decided(symbol, side, purpose, qty, decision, choice);
        }
    }

    /// A part that is sold while the rest is held is a parent order of its own.
    pub(super) fn begin_part(&mut self, symbol: Symbol) {
        let Some(trade) = self.desks.get(&symbol).and_then(|d| d.trade.as_ref()) else { return };
        let Some(keep) = trade.keeps() else { return };
        let (decision, qty) = (trade.decision, trade.held() - keep);
        if !self.cost_is_open(symbol, Side::Sell) {
            self.cost_decided(symbol, Side::Sell, ParentPurpose::Exit, qty, decision, None);
        }
    }

    /// What a trade's change of phase, or the end of a part of it, means for its parent orders.
    pub(super) fn note_phases(&mut self, symbol: Symbol, (before, kept): (Phase, Option<Qty>), (after, keeps): (Phase, Option<Qty>)) {
        if kept.is_some() && keeps.is_none() {
            self.cost_finished(symbol, Side::Sell);
        }
        // What a buy that nobody has heard of still buys belongs to its parent.
        let buys = |engine: &Self| engine.orders.live_of(symbol).any(|order| order.new.side == Side::Buy);
        if after != Phase::Entering && self.cost_is_open(symbol, Side::Buy) && !buys(self) {
            self.cost_finished(symbol, Side::Buy);
        }
        if before == after {
            return;
        }
        let hurried = self.desks.get(&symbol).and_then(|d| d.trade.as_ref()).is_some_and(|t| t.is_hurried());
        if matches!(after, Phase::Exiting { .. }) && hurried {
            self.begin_parent(symbol, Side::Sell, ParentPurpose::Exit, None);
        }
    }

    fn time_left(&self, symbol: Symbol) -> Span {
        self.desks.get(&symbol).and_then(|d| d.trade.as_ref()).map_or(Span::ZERO, |trade| trade.left(self.now))
    }

    /// What an entry that is not filled in time costs: it is taken then, after the market went a part of the forecast's way, or it is lost.
    fn missing(&self, symbol: Symbol, left: Span) -> Missing {
        let plan = self.desks.get(&symbol).and_then(|d| d.trade.as_ref()).map(|trade| trade.plan);
        let Some(plan) = plan else { return Missing::Taken { drift_bps: 0.0 } };
        let share = if plan.hold > Span::ZERO { left.secs_f64() / plan.hold.secs_f64() } else { 0.0 };
        if self.settings.execution.taker_fallback {
            Missing::Taken { drift_bps: plan.gross_bps * share.clamp(0.0, 1.0) }
        } else {
            Missing::Lost { edge_bps: plan.gross_bps }
        }
    }
}
