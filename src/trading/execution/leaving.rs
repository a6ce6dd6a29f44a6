//! Leaving: every guard is replaced by a sale in one request; what had no guard is sold beside them.

use super::protection::Cover;
use super::trade::{Phase, Scene, Step, Trade};
use crate::domain::ExitReason;

impl Trade {
    pub(super) fn leave(&mut self, scene: &Scene, cover: &Cover, reason: ExitReason) -> Step {
        self.phase = Phase::Exiting { reason };
        self.exit_at = scene.touch;
        self.last_sent = None;
        // What was refused so far were guards; leaving begins at its own pace.
        self.refusals = 0;
        self.drive_exit(scene, cover, reason)
    }

    pub(super) fn drive_exit(&mut self, scene: &Scene, cover: &Cover, reason: ExitReason) -> Step {
        if let Some(order) = self.buying(scene.orders) {
            return Step::Cancel(order.new.id);
        }
        let price = scene.touch.map_or(self.entry.average_price(), |t| t.bid);
        let held = self.held();
        let ready = self.quiet_for(scene.now, self.exit_pause_ms(scene.rules));
        let first = self.last_sent.is_none() || self.refusals == 0;
        for guard in cover.guards.iter().filter(|g| !g.awaited && g.purpose != super::Purpose::Exit) {
            let qty = scene.instrument.tradable(guard.claimed.min(held), price);
            if qty.is_positive() && (ready || first) {
                return Step::Replace { old: guard.by, qty };
            }
        }
        let sellable = scene.instrument.tradable(held - cover.claimed(), price);
        if sellable.is_positive() {
            return if ready { Step::SellNow { qty: sellable } } else { Step::Wait };
        }
        // Too little to sell and nothing on its way.
        let over = cover.guards.is_empty() && !scene.instrument.tradable(held, price).is_positive();
        if over { Step::Close { reason } } else { Step::Wait }
    }
}
