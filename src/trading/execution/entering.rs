//! Buying: quote, re-quote, and at the deadline take what is left. What has been bought is guarded before more is bought.

use super::order::Order;
use super::protection::{Cover, DOUBTED_AFTER};
use super::trade::{Phase, Scene, Step, Trade};
use crate::domain::{OrderKind, Span, Timestamp};

impl Trade {
    pub(super) fn drive_entry(&mut self, scene: &Scene, cover: &Cover) -> Step {
        let (now, rules, instrument) = (scene.now, scene.rules, scene.instrument);
        // A part that was stopped out, or has reached its target, is the end of buying: the rest would be another trade.
        if self.exit.filled.is_positive() {
            self.stop_entering();
        }
        let due = now >= self.deadline;
        if let Some(order) = self.buying(scene.orders) {
            if !order.is_resting() || !matches!(order.new.kind, OrderKind::LimitMaker { .. }) {
                return if is_doubtful(order, now) { self.beside_doubtful_buy(scene, cover) } else { Step::Wait };
            }
            if due || self.exposed_too_long(scene) || self.stop_seen.is_some() {
                let (buy, refused) = (order.new.id, order.refused_cancels > 0);
                let meanwhile = if refused { self.beside_doubtful_buy(scene, cover) } else { Step::Wait };
                return if meanwhile == Step::Wait { Step::Cancel(buy) } else { meanwhile };
            }
            let news = scene.touch.is_some() && self.quoted_at != scene.touch && self.quiet_for(now, rules.requote_after_ms);
            return if news && scene.maker.may_requote(self.requotes) { Step::Reconsider(order.new.id) } else { Step::Wait };
        }
        if self.stop_seen.is_some() && self.held().is_positive() {
            self.stop_entering();
        }
        if self.exit_request.is_none()
            && self.stop_seen.is_none()
            && let Some(step) = self.drive_reduction(scene, cover).or_else(|| self.guard(scene, cover))
        {
            return step;
        }
        let due = now >= self.deadline;
        let wanted = if due { self.plan.qty } else { self.due_qty(now) } - self.entry.filled;
        if let Some(t) = scene.touch {
            let buyable = instrument.tradable(wanted, t.bid);
            if !due && buyable.is_positive() {
                let ready = self.quiet_for(now, rules.requote_after_ms);
                return if ready { cover.room_for_another().unwrap_or(Step::Quote { qty: buyable }) } else { Step::Wait };
            }
            if !due && self.entry.filled < self.plan.qty && instrument.tradable(self.plan.qty - self.entry.filled, t.bid).is_positive() {
                // The next part is not due yet.
                return Step::Wait;
            }
            if buyable.is_positive() && rules.taker_fallback && !self.fallback_used {
                if let Some(step) = cover.room_for_another() {
                    return step;
                }
                self.fallback_used = true;
                return Step::Take { qty: buyable };
            }
        } else if !due {
            return Step::Wait;
        }
        if !self.hold(scene) {
            return Step::Drop;
        }
        self.drive_holding(scene, cover)
    }

    /// A buy that nobody has heard of for a while, or that can not be cancelled, may buy or not. What is held is sold or guarded whatever becomes of it.
    fn beside_doubtful_buy(&mut self, scene: &Scene, cover: &Cover) -> Step {
        let is_asked = self.exit_request.is_some() || self.keep.is_some();
        let is_urgent = is_asked || self.stop_seen.is_some() || self.exit.filled.is_positive() || self.exposed_too_long(scene);
        if is_urgent && self.held().is_positive() && self.hold(scene) { self.drive_holding(scene, cover) } else { Step::Wait }
    }

    fn exposed_too_long(&self, scene: &Scene) -> bool {
        let patience = Span::from_millis(i64::from(scene.rules.cover_after_ms));
        self.exposed_since.is_some_and(|since| scene.now.since(since) >= patience)
    }

    /// Turns what was bought into a holding; false when that is nothing or only dust.
    fn hold(&mut self, scene: &Scene) -> bool {
        let price = scene.touch.map_or(self.entry.average_price(), |t| t.bid);
        let sold = self.exit.filled.is_positive();
        if !sold && !scene.instrument.tradable(self.entry.qty, price).is_positive() {
            return false;
        }
        self.phase = Phase::Holding;
        if self.buying(scene.orders).is_none() {
            self.working = None;
        }
        self.last_sent = None;
        self.opened = Some(scene.now);
        self.hold_until = Some(scene.now + self.plan.hold);
        true
    }
}

/// Whether nobody has heard of a buy for a while, or its cancel was refused: what the venue says of it then does not help.
fn is_doubtful(order: &Order, now: Timestamp) -> bool {
    order.refused_cancels > 0 || now.since(order.updated) >= DOUBTED_AFTER
}
