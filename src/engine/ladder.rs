//! Going live gradually: feeds the ladder its evidence, sizes by its rung, tests orders on the dry run, and moves it.

use super::Engine;
use crate::domain::{ClientOrderId, Money, NewOrder, OrderKind, Side, Symbol};
use crate::protocol::{Effect, LadderView, Mode, Record, Refusal, Request, Rung, RungReason, Severity, VenueRefusal};
use crate::trading::execution::{Plan, Touch};
use crate::trading::risk::{HaltReason, Ladder, Sight, Situation, SizeCap, approve};

/// Moves shown.
const SHOWN: usize = 10;

impl Engine {
    /// Where the ladder stands, if this run has one.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        self.ladder.as_ref().map(Ladder::rung)
    }

    /// The run's ladder: the one that was carried, or the lowest rung. A run without rules has none.
    pub(super) fn open_ladder(&mut self) {
        let now = self.now;
        self.ladder = self.settings.ladder.as_ref().map(|_| self.ladder.take().unwrap_or_else(|| Ladder::new(now)));
    }

    /// Whether this run performs the kind of rung that the ladder stands on.
    fn is_on_its_rung(&self, rung: Rung) -> bool {
        rung.is_rehearsal() == (self.settings.mode == Mode::Paper)
    }

    /// The rung and how it bounds orders of `symbol`; `None` without a ladder.
    pub(super) fn rung_cap(&self, symbol: Symbol) -> Result<Option<(Rung, SizeCap)>, Refusal> {
        let (Some(ladder), Some(rules)) = (&self.ladder, &self.settings.ladder) else { return Ok(None) };
        let rung = ladder.rung();
        if !self.is_on_its_rung(rung) {
            return Err(Refusal::RungMoved { rung });
        }
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let instrument = desk.instrument.as_ref().ok_or(Refusal::NoInstrument)?;
        let price = desk.touch().ok_or(Refusal::NoPrice)?.bid;
        Ok(Some((rung, ladder.size_cap(instrument, price, rules.allocated_capital))))
    }

    /// The notional of an order that would be `wanted`, as the rung allows it.
    pub(super) fn on_rung(&self, cap: Option<(Rung, SizeCap)>, wanted: Money) -> Result<Money, Refusal> {
        let Some((rung, cap)) = cap else { return Ok(wanted) };
        cap.size(rung, wanted, self.exposure().ok_or(Refusal::EquityUnknown)?)
    }

    /// Nothing is placed: what risk approves is tested.
    pub(super) fn only_tests(&self) -> bool {
        self.rung() == Some(Rung::DryRun)
    }

    /// Sends the order that would open this trade for a check. Always a refusal: no trade is opened.
    pub(super) fn test_order(&mut self, symbol: Symbol, plan: Plan, touch: Touch, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let id = self.next_order_id();
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let instrument = desk.instrument.as_ref().ok_or(Refusal::NoInstrument)?;
        let kind = OrderKind::LimitMaker { price: instrument.passive_price(Side::Buy, touch.bid) };
        let order = NewOrder { id, symbol, side: Side::Buy, qty: plan.qty, kind };
        let situation = Situation { stop_distance: Some(plan.stop), ..self.situation(symbol, desk) };
        let approved = approve(order, &situation, &self.settings.limits)?;
        out.push(Effect::Send(Request::Test { order: approved.into_inner() }));
        Err(Refusal::Rung { rung: Rung::DryRun })
    }

    pub(super) fn on_tested(&mut self, id: ClientOrderId, refused: Option<(VenueRefusal, String)>, out: &mut Vec<Effect>) {
        if let Some((reason, message)) = &refused
            && *reason != VenueRefusal::WouldTake
        {
            self.alert(Severity::Warning, format!("test order {id} refused: {message}"), out);
        }
        let now = self.now;
        if let Some(ladder) = self.ladder.as_mut() {
            ladder.on_test(now, refused.map(|(reason, _)| reason));
            self.dirty = true;
        }
    }

    /// Marks of the books are evidence; kept once a minute, so that a crash loses no more.
    pub(super) fn look_at_ladder(&mut self) {
        if self.ladder.is_none() {
            return;
        }
        let broken = self.desks.values().filter(|desk| desk.touch().is_none()).count();
        let sight = Sight {
            broken_books: u32::try_from(broken).unwrap_or(u32::MAX),
            clock_drift: self.health.clock_drift(),
            mismatches: self.reconciled.then(|| u32::try_from(self.mismatches().count()).unwrap_or(u32::MAX)),
            drawdown: self.breakers.drawdown(),
            halted: self.breakers.halted().is_some(),
        };
        let now = self.now;
        let minute = self.ladder.as_mut().is_some_and(|ladder| ladder.look(now, sight));
        self.dirty |= minute;
    }

    /// Trades that this event closed are evidence; a halt that it caused throws the ladder back.
    pub(super) fn watch_ladder(&mut self, first: usize, out: &mut Vec<Effect>) {
        let Some(ladder) = self.ladder.as_mut() else { return };
        for effect in &out[first..] {
            if let Effect::Persist(record) = effect
                && let Record::Cost(cost) = record.as_ref()
            {
                ladder.on_trade(cost);
            }
        }
        let Some(halted) = self.breakers.halted() else { return };
        let reason = thrown_back_by(halted);
        if ladder.meets_halt()
            && let Some(reason) = reason
        {
            self.step_back(reason, out);
        }
    }

    /// One rung up, by hand, if every gate passes.
    pub(super) fn climb(&mut self, out: &mut Vec<Effect>) {
        let (Some(ladder), Some(rules)) = (self.ladder.as_mut(), self.settings.ladder.as_ref()) else {
            return self.alert(Severity::Warning, "there is no ladder to climb: it is for live trading".to_owned(), out);
        };
        let from = ladder.rung();
        match ladder.climb(self.now, rules, &self.settings.limits) {
            Ok(to) => {
                self.dirty = true;
                let again = if self.is_on_its_rung(to) { "" } else { "; stop the box and start it again to go on there" };
                self.alert(Severity::Warning, format!("ladder: climbed from {from} to {to}{again}"), out);
                if !self.is_on_its_rung(to) {
                    self.stop_entries(None, out);
                }
            }
            Err(failed) if failed.is_empty() => self.alert(Severity::Info, format!("ladder: {from} is the highest rung"), out),
            Err(failed) => {
                let names: Vec<&str> = failed.iter().map(|gate| gate.name.as_str()).collect();
                self.alert(
                    Severity::Warning,
                    format!("ladder: not climbed from {from}: gates that did not pass: {}", names.join("; ")),
                    out,
                );
            }
        }
    }

    /// One rung down, at once; entries under way are cancelled, exits and protection stay.
    pub(super) fn step_back(&mut self, reason: RungReason, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(ladder) = self.ladder.as_mut() else { return };
        let moved = ladder.step_back(now, reason);
        self.dirty = true;
        let text = match moved.from == moved.to {
            true => format!("ladder: {reason} on {}, the lowest rung: its evidence begins anew", moved.to),
            false => format!("ladder: stepped back from {} to {}: {reason}", moved.from, moved.to),
        };
        self.alert(if reason == RungReason::Hand { Severity::Warning } else { Severity::Critical }, text, out);
        self.stop_entries(None, out);
    }

    pub(super) fn ladder_view(&self) -> Option<LadderView> {
        let (ladder, rules) = (self.ladder.as_ref()?, self.settings.ladder.as_ref()?);
        Some(LadderView {
            restart_needed: !self.is_on_its_rung(ladder.rung()),
            ..ladder.view(self.now, rules, &self.settings.limits, SHOWN)
        })
    }
}

/// The halts that throw the ladder back.
fn thrown_back_by(halt: &HaltReason) -> Option<RungReason> {
    match halt {
        HaltReason::DailyLoss { .. } => Some(RungReason::DailyLoss),
        HaltReason::Drawdown { .. } => Some(RungReason::Drawdown),
        HaltReason::BalanceMismatch { .. } => Some(RungReason::BalanceMismatch),
        HaltReason::Overfill { .. } => Some(RungReason::Overfill),
        HaltReason::Unprotected { .. } => Some(RungReason::Unprotected),
        HaltReason::Hand | HaltReason::Flatten | HaltReason::StoreFailed => None,
    }
}
