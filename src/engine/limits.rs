//! Limits as people see and change them.

use super::Engine;
use crate::protocol::{Effect, LimitAnswer, LimitName, LimitState, LimitValue, LimitView, Severity};
use crate::trading::risk::{Asked, Cause, TABLE};

/// From this share of a limit on it is near.
const NEAR_PERCENT: f64 = 80.0;

impl Engine {
    /// The settings' limits, with what people changed in earlier runs.
    pub(super) fn begin_limits(&mut self, out: &mut Vec<Effect>) {
        self.breakers.begin(self.settings.ladder.as_ref().map(|rules| rules.allocated_capital));
        let (limits, said) = self.guard.changes.begin(&self.settings.limits);
        self.settings.limits = limits;
        for text in said {
            self.alert(Severity::Warning, text, out);
        }
    }

    pub(super) fn set_limit(&mut self, name: LimitName, value: LimitValue, confirmed: bool, out: &mut Vec<Effect>) {
        let asked = self.guard.changes.ask(&mut self.settings.limits, name, value, confirmed, self.now);
        let tightened = matches!(asked, Asked::Holds);
        let (accepted, text) = match asked {
            Asked::Holds => (true, format!("{name} is {value} now")),
            Asked::Waits(due) => (true, format!("{name} will be {value} at {due}, unless it is withdrawn before")),
            Asked::Refused(reason) => (false, reason),
        };
        self.answer_limit(name, accepted, text, out);
        if tightened && bounds_entries(name) {
            // What rests was approved under the limit that was.
            self.stop_entries(None, out);
        }
    }

    pub(super) fn keep_limit(&mut self, name: LimitName, out: &mut Vec<Effect>) {
        let withdrawn = self.guard.changes.keep(name);
        let text = if withdrawn { format!("{name} stays as it is") } else { format!("no looser {name} is waiting") };
        self.answer_limit(name, withdrawn, text, out);
    }

    /// Looser values whose delay is over hold from now on.
    pub(super) fn loosen_limits(&mut self, out: &mut Vec<Effect>) {
        while let Some((name, outcome)) = self.guard.changes.mature(&mut self.settings.limits, self.now) {
            self.dirty = true;
            let text = match outcome {
                Ok(value) => format!("{name} is {value} now: its delay is over"),
                Err(contradiction) => format!("{name} stays as it is: {contradiction}"),
            };
            self.alert(Severity::Warning, text, out);
        }
    }

    fn answer_limit(&mut self, name: LimitName, accepted: bool, text: String, out: &mut Vec<Effect>) {
        self.dirty = true;
        let number = self.guard.answer.as_ref().map_or(0, |answer| answer.number) + 1;
        self.alert(Severity::Warning, format!("limits: {text}"), out);
        self.guard.answer = Some(LimitAnswer { number, name, accepted, text });
    }

    pub(super) fn limit_views(&self) -> Vec<LimitView> {
        let quote = self.settings.quote;
        let shown = |value: LimitValue| match value {
            LimitValue::Money(_) => format!("{value} {quote}"),
            _ => value.to_string(),
        };
        let halted_by = self.breakers.halted().map(Cause::of);
        TABLE
            .iter()
            .map(|row| {
                let name = row.name;
                let (limit, value, watch) = (row.value(&self.settings.limits), self.usage(name), self.guard.watches.of(name));
                let used_percent = limit.zip(value).and_then(|(limit, value)| row.used_percent(limit, value));
                let tripped = watch.is_tripped(self.now) || halted_by == Some(Cause::Limit(name));
                let state = match limit {
                    None => LimitState::Off,
                    Some(_) if tripped => LimitState::Tripped,
                    Some(_) if used_percent.is_some_and(|used| used >= NEAR_PERCENT) => LimitState::Near,
                    Some(_) => LimitState::Ok,
                };
                LimitView {
                    name,
                    limit: limit.map(shown),
                    value: value.filter(|_| limit.is_some()).map(shown),
                    used_percent: used_percent.map(|used| (used * 10.0).round() / 10.0),
                    state,
                    action: self.settings.actions.of(Cause::Limit(name)),
                    last_tripped: watch.last_tripped,
                    times: watch.times,
                    pending: self.guard.changes.waiting(name).map(|(value, due)| (shown(value), due)),
                }
            })
            .collect()
    }
}

/// Limits that an order is measured against before it is sent, with what is held and what rests.
const fn bounds_entries(name: LimitName) -> bool {
    matches!(
        name,
        LimitName::MaxOrderNotional
            | LimitName::MaxPositionNotional
            | LimitName::MaxExposure
            | LimitName::MaxNetExposure
            | LimitName::MaxClusterExposureBps
            | LimitName::MaxPortfolioVolatilityBps
            | LimitName::MaxHeatBps
            | LimitName::MinCashReserveBps
            | LimitName::MaxOpenOrders
    )
}
