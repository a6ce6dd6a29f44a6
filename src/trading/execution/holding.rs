//! Holding: the venue guards the position, and this sees to it that it does: missing guards are placed, superfluous ones removed.

use super::order::Purpose;
use super::protection::{Cover, slack};
use super::trade::{Scene, Step, Trade};
use crate::domain::{ExitReason, Span};

/// Between two guards, whatever became of the first.
const SHORTEST_PAUSE_MS: u32 = 100;

impl Trade {
    pub(super) fn drive_holding(&mut self, scene: &Scene, cover: &Cover) -> Step {
        // One that was not heard of, and lives: nothing more is bought. A refused cancel holds up nothing else.
        let buying = self.buying(scene.orders);
        let rests = buying.filter(|order| order.is_resting()).map(|order| (order.new.id, order.refused_cancels));
        if let Some((buy, 0)) = rests {
            return Step::Cancel(buy);
        }
        let buys = buying.is_some();
        if let Some(reason) = self.reason_to_leave(scene, cover) {
            return self.leave(scene, cover, reason);
        }
        if let Some(step) = self.drive_reduction(scene, cover) {
            return step;
        }
        if let Some(step) = self.guard(scene, cover).filter(|step| *step != Step::Wait || rests.is_none()) {
            return step;
        }
        let sellable = scene.instrument.tradable(self.held(), self.stop.unwrap_or_default());
        if cover.guards.is_empty() && !sellable.is_positive() && !buys {
            let reason = if self.sold_by == Some(Purpose::Stop) { ExitReason::Stop } else { ExitReason::Target };
            return Step::Close { reason };
        }
        rests.map_or(Step::Wait, |(buy, _)| Step::Cancel(buy))
    }

    /// A stop that the venue watches is the venue's to act on, unless the market stays beyond it.
    fn reason_to_leave(&self, scene: &Scene, cover: &Cover) -> Option<ExitReason> {
        if self.exit_request.is_some() {
            return self.exit_request;
        }
        let patience = Span::from_millis(i64::from(scene.rules.stop_patience_ms));
        let guarded = cover.guards.iter().any(|g| g.stopped) && self.exposed_since.is_none();
        if self.stop_seen.is_some_and(|seen| !guarded || scene.now.since(seen) >= patience) {
            return Some(ExitReason::Stop);
        }
        self.hold_until.is_some_and(|until| scene.now >= until).then_some(ExitReason::HoldLimit)
    }

    /// What is missing or too much of the guard; `None` when it is as it should be.
    pub(super) fn guard(&mut self, scene: &Scene, cover: &Cover) -> Option<Step> {
        let (held, patience) = (self.held(), Span::from_millis(i64::from(scene.rules.cover_after_ms)));
        if let Some(twice) = cover.superfluous(held) {
            return Some(Step::Cancel(twice.by));
        }
        // A target that has begun to fill has lost its stop: the rest gets a new pair.
        let too_long = self.exposed_since.is_some_and(|since| scene.now.since(since) >= patience);
        if let Some(bare) = cover.guards.iter().find(|g| !g.stopped && !g.awaited && g.purpose == Purpose::Target && too_long) {
            return Some(Step::Cancel(bare.by));
        }
        let (target, stop) = (self.target?, self.stop?);
        let missing = held - cover.claimed();
        let qty = scene.instrument.tradable(missing, stop);
        if !qty.is_positive() || (!cover.guards.is_empty() && missing <= slack(held)) {
            return None;
        }
        let touch = scene.touch?;
        if touch.bid >= target {
            return Some(self.leave(scene, cover, ExitReason::Target));
        }
        if cover.is_crowded() {
            return Some(cover.make_room());
        }
        let pause_ms = if self.refusals == 0 { SHORTEST_PAUSE_MS } else { self.exit_pause_ms(scene.rules) };
        let ready = self.quiet_for(scene.now, pause_ms);
        Some(if ready { Step::Protect { qty, target, stop } } else { Step::Wait })
    }
}
