//! Buying: quote, re-quote, and at the deadline take what is left. What has been bought is guarded before more is bought.

use super::protection::Cover;
use super::trade::{Phase, Scene, Step, Trade};
use crate::domain::{OrderKind, Side, Span, TimeInForce};
use crate::protocol::OrderState;

impl Trade {
    pub(super) fn drive_entry(&mut self, scene: &Scene, cover: &Cover) -> Step {
        let (now, rules, instrument) = (scene.now, scene.rules, scene.instrument);
        let due = now >= self.deadline;
        if let Some(order) = self.buying(scene.orders) {
            let resting = matches!(order.state, OrderState::Open | OrderState::PartiallyFilled);
            let behind = scene.touch.is_some_and(|t| order.new.kind.price().is_some_and(|p| p < t.bid));
            let requote = behind && self.quiet_for(now, rules.requote_after_ms);
            let passive = matches!(order.new.kind, OrderKind::LimitMaker { .. });
            let enough = due || requote || self.exposed_too_long(scene) || self.stop_seen.is_some();
            return if resting && passive && enough { Step::Cancel(order.new.id) } else { Step::Wait };
        }
        if self.stop_seen.is_some() && self.held().is_positive() {
            self.stop_entering();
        }
        if self.exit_request.is_none()
            && self.stop_seen.is_none()
            && let Some(step) = self.guard(scene, cover)
        {
            return step;
        }
        let due = now >= self.deadline;
        let wanted = self.plan.qty - self.entry.filled;
        if let Some(t) = scene.touch {
            let buyable = instrument.tradable(wanted, t.bid);
            if buyable.is_positive() && !due {
                let kind = OrderKind::LimitMaker { price: instrument.passive_price(Side::Buy, t.bid) };
                let ready = self.quiet_for(now, rules.requote_after_ms);
                return if ready { Step::Enter { qty: buyable, kind, taker: false } } else { Step::Wait };
            }
            if buyable.is_positive() && rules.taker_fallback && !self.fallback_used {
                self.fallback_used = true;
                let price = instrument.passive_price(Side::Buy, t.ask.shifted(rules.taker_collar_bps));
                let kind = OrderKind::Limit { price, time_in_force: TimeInForce::Ioc };
                return Step::Enter { qty: buyable, kind, taker: true };
            }
        } else if !due {
            return Step::Wait;
        }
        if !self.hold(scene) {
            return Step::Drop;
        }
        self.drive_holding(scene, cover)
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
        self.working = None;
        self.last_sent = None;
        self.opened = Some(scene.now);
        self.hold_until = Some(scene.now + self.plan.hold);
        true
    }
}
