//! Holding less: a part of the position is sold and the rest goes on. The part is sold in the place of one guard, in one request; what that
//! guard covered besides is guarded anew as soon as the venue has answered.

use super::order::Purpose;
use super::protection::{Cover, Guard};
use super::trade::{Phase, Scene, Step, Trade, doubled};
use crate::domain::{Qty, Span};

impl Trade {
    /// Sells what is held beyond `keep`; an entry under way buys no more. Of two wishes the smaller holding counts.
    pub fn hold_at_most(&mut self, keep: Qty) {
        if self.is_leaving() {
            return;
        }
        self.keep = Some(self.keep.map_or(keep, |before| before.min(keep)));
        if self.phase == Phase::Entering {
            self.stop_entering();
        }
    }

    /// How much may stay held while a part is being sold.
    #[must_use]
    pub const fn keeps(&self) -> Option<Qty> {
        self.keep
    }

    /// The next step towards holding less; `None` when nothing is asked for, or nothing can be sold now.
    pub(super) fn drive_reduction(&mut self, scene: &Scene, cover: &Cover) -> Option<Step> {
        let (keep, touch) = (self.keep?, scene.touch?);
        let selling: Qty = cover.guards.iter().filter(|g| g.purpose == Purpose::Exit).map(|g| g.claimed).sum();
        let excess = scene.instrument.tradable(self.held() - keep - selling, touch.bid);
        if !excess.is_positive() {
            if selling.is_zero() {
                self.keep = None;
            }
            return None;
        }
        let pause = Span::from_millis(i64::from(doubled(scene.rules.exit_retry_ms, self.part_refusals)));
        if selling.is_zero() && self.sold_at.is_some_and(|sold| scene.now.since(sold) < pause) {
            // It ended without having sold enough: the guard comes first.
            return None;
        }
        let free = scene.instrument.tradable(excess.min(self.held() - cover.claimed()), touch.bid);
        if free.is_positive() {
            return Some(Step::SellNow { qty: free });
        }
        if !scene.alone && cover.guards.iter().any(|g| g.awaited && g.purpose != Purpose::Exit) {
            // One guard at a time: what it frees is sold first.
            return None;
        }
        let guard = best_for(cover, excess)?;
        if guard.target.is_some() && !scene.alone {
            // A target may be selling at this moment: a sale in its place would sell of others' coins.
            return Some(Step::Cancel(guard.by));
        }
        let rest = guard.claimed - excess;
        let guardable = self.stop.is_some_and(|stop| scene.instrument.tradable(rest, stop).is_positive());
        let part = if guardable { excess } else { guard.claimed };
        let qty = scene.instrument.tradable(part, touch.bid);
        qty.is_positive().then_some(Step::Replace { old: guard.by, qty })
    }
}

/// The smallest guard that covers as much, else the largest: as little as possible is left to be guarded anew.
fn best_for(cover: &Cover, excess: Qty) -> Option<&Guard> {
    let settled = || cover.guards.iter().filter(|g| !g.awaited && g.purpose != Purpose::Exit);
    settled().filter(|g| g.claimed >= excess).min_by_key(|g| g.claimed).or_else(|| settled().max_by_key(|g| g.claimed))
}
