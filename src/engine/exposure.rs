//! What stands without a guard at the venue: how much, for how long.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::domain::{Money, Qty, Span, Timestamp};
use crate::protocol::ExposedView;
use crate::trading::execution::Cover;

/// Sellable holdings that no stop at the venue guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Exposure {
    looked: Timestamp,
    /// At this moment, at the mark.
    now: Money,
    /// Since when without a pause.
    since: Option<Timestamp>,
    longest: Span,
    /// Sum of amount and seconds since the run was opened.
    total: Money,
}

impl Engine {
    /// Brings the sums up to now.
    pub(super) fn note_exposure(&mut self) {
        let now = self.now;
        let mut amount = Money::ZERO;
        for (symbol, desk) in &self.desks {
            let (Some(trade), Some(instrument)) = (desk.trade.as_ref(), desk.instrument.as_ref()) else { continue };
            let exposed = trade.exposed(&Cover::of(&self.orders, *symbol, None), instrument);
            let price = desk.mark().unwrap_or_else(|| trade.entry.average_price());
            amount += price.notional(exposed).unwrap_or_default();
        }
        self.breakers.on_unprotected(now, amount);
        let e = &mut self.exposed;
        if e.looked > Timestamp::EPOCH {
            let seconds = Qty::from_raw(i128::from(now.since(e.looked).nanos()));
            e.total += e.now.share(seconds, Qty::from_raw(1_000_000_000));
        }
        e.since = amount.is_positive().then(|| e.since.unwrap_or(now));
        e.longest = e.longest.max(e.since.map_or(Span::ZERO, |since| now.since(since)));
        (e.looked, e.now) = (now, amount);
    }

    pub(super) fn is_exposed(&self) -> bool {
        self.desks.iter().any(|(symbol, desk)| {
            let (Some(trade), Some(instrument)) = (desk.trade.as_ref(), desk.instrument.as_ref()) else { return false };
            trade.exposed(&Cover::of(&self.orders, *symbol, None), instrument).is_positive()
        })
    }

    pub(super) fn exposed_view(&self) -> ExposedView {
        let e = self.exposed;
        let lasting = e.since.map_or(Span::ZERO, |since| self.now.since(since));
        ExposedView { now: e.now, lasting, longest: e.longest, total: e.total }
    }
}
