//! Leaving: every guard is replaced by a sale in one request; what had no guard is sold beside them. Without hurry (the clock, a forecast
//! that turned) the position is offered first, as the target of its guard, if the settings want that; and one that is large against the book
//! is sold guard by guard, as it was bought, while the venue guards what waits.

use super::protection::{Cover, slack};
use super::trade::{Phase, Scene, Step, Touch, Trade};
use crate::domain::{ExitReason, Qty, Span};

/// A pause that is worth a guard: longer than the word of the venue about it may take.
const WORTH_GUARDING: Span = Span::from_secs(6);
/// Between two guards that are placed while sales are refused.
const GUARD_AGAIN: Span = Span::from_secs(10);

impl Trade {
    pub(super) fn leave(&mut self, scene: &Scene, cover: &Cover, reason: ExitReason) -> Step {
        self.phase = Phase::Exiting { reason };
        self.exit_at = scene.touch;
        (self.last_sent, self.keep) = (None, None);
        // What was refused so far were guards; leaving begins at its own pace.
        self.refusals = 0;
        self.requotes = 0;
        let patient = scene.maker.enabled && scene.rules.offer_exits && has_time(reason);
        let patience = Span::from_millis(i64::from(scene.rules.entry_deadline_ms));
        self.patient_until = patient.then(|| scene.now + patience);
        self.drive_exit(scene, cover, reason)
    }

    pub(super) fn drive_exit(&mut self, scene: &Scene, cover: &Cover, reason: ExitReason) -> Step {
        // What is not known to rest holds up no sale; what it may still buy is sold when it is heard of.
        let buying = self.buying(scene.orders);
        if let Some(order) = buying.filter(|order| order.is_resting() && order.refused_cancels == 0) {
            return Step::Cancel(order.new.id);
        }
        let (rests, buys) = (buying.filter(|order| order.is_resting()).map(|order| order.new.id), buying.is_some());
        if let (Some(until), Some(touch)) = (self.patient_until, scene.touch)
            && scene.now < until
            && self.refusals == 0
            && self.stop_seen.is_none()
        {
            return self.drive_patience(scene, cover, touch, reason);
        }
        if self.patient_until.take().is_some() {
            // The offer is over; what was refused of it is no reason to wait.
            (self.refusals, self.last_sent) = (0, None);
        }
        let price = scene.touch.map_or(self.entry.average_price(), |t| t.bid);
        let held = self.held();
        let ready = self.quiet_for(scene.now, self.exit_pause_ms(scene.rules));
        let first = self.last_sent.is_none() || self.refusals == 0;
        let sellable = scene.instrument.tradable(held - cover.claimed(), price);
        // Beside others' coins a guard ends before its coins are sold: one at a time as well.
        let one_under_way = !scene.alone && (sellable.is_positive() || cover.guards.iter().any(|g| g.awaited));
        let waits = self.sells_in_parts(scene, reason) && (one_under_way || !self.quiet_for(scene.now, scene.maker.part_pause_ms()));
        for guard in cover.guards.iter().filter(|g| !g.awaited && g.purpose != super::Purpose::Exit) {
            let qty = scene.instrument.tradable(guard.claimed.min(held), price);
            if !qty.is_positive() {
                // The rest of a target, too little to be sold: dust.
                return Step::Cancel(guard.by);
            }
            // A target may be selling at this moment. Where others' coins lie beside ours, a whole sale in its place would sell of theirs.
            let shared = !scene.alone && guard.target.is_some() && self.stop_seen.is_none();
            if waits {
                continue;
            }
            if shared && (ready || first) {
                return Step::Cancel(guard.by);
            }
            if !shared && (ready || first) {
                return Step::Replace { old: guard.by, qty };
            }
        }
        // Too little to sell and nothing on its way: over, unless something may still be bought.
        let over = cover.guards.is_empty() && !scene.instrument.tradable(held, price).is_positive() && !buys;
        let step = match (sellable.is_positive(), ready) {
            (true, true) => Step::SellNow { qty: sellable },
            (true, false) => self.guard_meanwhile(scene, cover, sellable),
            (false, _) => {
                if over {
                    Step::Close { reason }
                } else {
                    Step::Wait
                }
            }
        };
        // A cancel that was refused is tried again whenever there is nothing else to do.
        rests.filter(|_| step == Step::Wait).map_or(step, Step::Cancel)
    }

    /// Whether guards are sold one after another, with time for the book to fill up in between.
    fn sells_in_parts(&self, scene: &Scene, reason: ExitReason) -> bool {
        // A book that nobody sees is no reason for haste.
        let is_large = scene.touch.is_none() || scene.maker.is_large(self.held(), scene.visible_bids);
        has_time(reason) && !self.pressed && self.stop_seen.is_none() && is_large
    }

    /// Where sales are refused again and again the next try may be minutes away: until then the venue guards what is left.
    fn guard_meanwhile(&mut self, scene: &Scene, cover: &Cover, qty: Qty) -> Step {
        let (Some(target), Some(stop), Some(touch)) = (self.target, self.stop, scene.touch) else { return Step::Wait };
        let next =
            self.last_sent.map_or(Span::ZERO, |sent| Span::from_millis(i64::from(self.exit_pause_ms(scene.rules))) - scene.now.since(sent));
        let tried = self.guarded_at.is_some_and(|at| scene.now.since(at) < GUARD_AGAIN);
        if next < WORTH_GUARDING
            || tried
            || cover.guards.iter().any(|g| g.awaited)
            || cover.is_crowded()
            || touch.bid <= stop
            || touch.bid >= target
        {
            return Step::Wait;
        }
        self.guarded_at = Some(scene.now);
        Step::Protect { qty, target, stop }
    }

    /// The position is offered as the target of its guard. Each move of the offer costs two ways to the venue without a guard: a pair can
    /// not be replaced in one request.
    fn drive_patience(&mut self, scene: &Scene, cover: &Cover, touch: Touch, reason: ExitReason) -> Step {
        let held = self.held();
        let stop = self.stop.unwrap_or_default();
        let sellable = scene.instrument.tradable(held, stop);
        if !sellable.is_positive() {
            return match cover.guards.iter().find(|g| !g.awaited) {
                _ if cover.guards.is_empty() && self.buying(scene.orders).is_none() => Step::Close { reason },
                Some(rest) => Step::Cancel(rest.by),
                None => Step::Wait,
            };
        }
        let Some(price) = self.exit_price else { return Step::QuoteExit { qty: sellable } };
        if let Some(other) = cover.guards.iter().find(|g| g.target != Some(price) && !g.awaited) {
            return Step::Cancel(other.by);
        }
        if cover.guards.iter().any(|g| g.awaited) {
            return Step::Wait;
        }
        let missing = scene.instrument.tradable(held - cover.claimed(), stop);
        if missing.is_positive() && held - cover.claimed() > slack(held) {
            return Step::Protect { qty: missing, target: price, stop };
        }
        let behind = touch.ask < price && self.quiet_for(scene.now, scene.rules.requote_after_ms);
        if behind && scene.maker.may_requote(self.requotes) {
            self.moved();
            return Step::QuoteExit { qty: sellable };
        }
        Step::Wait
    }
}

/// Neither a price nor a limit nor a person drives it out.
pub(super) const fn has_time(reason: ExitReason) -> bool {
    matches!(reason, ExitReason::HoldLimit | ExitReason::Signal)
}
