//! At each mark: which limits are at their end, and what is done about it.

use super::Engine;
use super::usage::Held;
use crate::domain::{ExitReason, Money, Symbol};
use crate::protocol::{Action, Effect, HealthVerdict, LimitName, LimitValue, RungReason, Severity};
use crate::trading::risk::{Cause, Stop};

/// Limits whose measure acts by itself; the others refuse single orders.
const STANDING: &[LimitName] = &[
    LimitName::MaxPositionNotional,
    LimitName::MaxExposure,
    LimitName::MaxNetExposure,
    LimitName::MaxClusterExposureBps,
    LimitName::MaxPortfolioVolatilityBps,
    LimitName::MaxHeatBps,
    LimitName::MaxSpreadBps,
    LimitName::MaxDataAgeMs,
    LimitName::MaxQuoteBookGapBps,
    LimitName::MaxDepegBps,
    LimitName::MaxClockDriftMs,
    LimitName::MaxVolatilityPercent,
    LimitName::MaxHourlyLoss,
    LimitName::MaxDailyLoss,
    LimitName::MaxDrawdownBps,
    LimitName::MaxLosingStreak,
    LimitName::MaxVenueErrorsPerMinute,
    LimitName::MaxUnprotected,
];

/// Reached is too far; the others may be reached and not passed.
const AT_ITS_END: &[LimitName] = &[
    LimitName::MaxHourlyLoss,
    LimitName::MaxDailyLoss,
    LimitName::MaxDrawdownBps,
    LimitName::MaxLosingStreak,
    LimitName::MaxVenueErrorsPerMinute,
    LimitName::MaxUnprotected,
];

/// Limits of single markets: what is done concerns only those that are beyond them.
const OF_MARKETS: &[LimitName] =
    &[LimitName::MaxSpreadBps, LimitName::MaxDataAgeMs, LimitName::MaxQuoteBookGapBps, LimitName::MaxVolatilityPercent];

impl Engine {
    /// Compares every standing limit with its measure, and does what is to be done at those that trip.
    pub(super) fn enforce(&mut self, out: &mut Vec<Effect>) {
        let holdings = self.holdings();
        let mut reducing = Vec::new();
        for name in STANDING.iter().copied() {
            let value = match &holdings {
                Some(held) if is_size(name) => self.size_of(name, held),
                None if is_size(name) => None,
                _ => self.usage(name),
            };
            let breached = value.is_some_and(|value| self.is_beyond(name, value));
            // What time or a count of events has proven needs no second mark.
            let proven = matches!(name, LimitName::MaxUnprotected | LimitName::MaxVenueErrorsPerMinute | LimitName::MaxLosingStreak);
            if self.guard.watches.observe(name, self.now, breached, proven) {
                self.dirty = true;
                self.act(Cause::Limit(name), value, out);
                if name == LimitName::MaxVenueErrorsPerMinute {
                    self.step_back(RungReason::VenueErrors, out);
                }
            }
            if self.settings.actions.of(Cause::Limit(name)) == Action::Reduce && self.guard.watches.of(name).holds() {
                reducing.push(name);
            }
        }
        let critical = self.last_verdict == HealthVerdict::Critical;
        if critical && !self.guard.critical {
            self.act(Cause::Stop(Stop::HealthCritical), None, out);
        }
        self.guard.critical = critical;
        self.dirty |= reducing != self.guard.reducing;
        self.guard.reducing = reducing;
        for name in self.guard.reducing.clone() {
            self.reduce_to(name, out);
        }
    }

    fn is_beyond(&self, name: LimitName, value: LimitValue) -> bool {
        let Some(limit) = self.settings.limits.get(name) else { return false };
        match (value, limit) {
            (LimitValue::Money(a), LimitValue::Money(b)) | (LimitValue::MoneySeconds(a), LimitValue::MoneySeconds(b)) => far(name, a, b),
            (LimitValue::Bps(a), LimitValue::Bps(b)) => far(name, a, b),
            (LimitValue::Count(a), LimitValue::Count(b))
            | (LimitValue::Millis(a), LimitValue::Millis(b))
            | (LimitValue::Percent(a), LimitValue::Percent(b)) => far(name, a, b),
            _ => false,
        }
    }

    fn act(&mut self, cause: Cause, value: Option<LimitValue>, out: &mut Vec<Effect>) {
        let action = self.settings.actions.of(cause);
        if action == Action::BlockEntries {
            return;
        }
        let markets = match cause {
            Cause::Limit(name) if OF_MARKETS.contains(&name) => Some(self.markets_beyond(name)),
            _ => None,
        };
        let measured = value.map_or_else(String::new, |value| format!(" ({value})"));
        self.alert(Severity::Warning, format!("{}{measured}: {action}", cause.key()), out);
        self.stop_entries(markets.as_deref(), out);
        if action == Action::Flatten {
            self.flatten(markets.as_deref(), ExitReason::RiskLimit, out);
        }
    }

    fn markets_beyond(&self, name: LimitName) -> Vec<Symbol> {
        let beyond = |symbol: &&Symbol| {
            let measured = self.desks.get(*symbol).and_then(|desk| self.market_usage(name, desk));
            measured.is_some_and(|value| self.is_beyond(name, value))
        };
        self.settings.symbols.iter().filter(beyond).copied().collect()
    }

    /// Leaves whole positions, the largest part of the excess first, until what stays is within the limit; those that are leaving already
    /// count as gone.
    fn reduce_to(&mut self, name: LimitName, out: &mut Vec<Effect>) {
        let Some(mut kept) = self.holdings() else { return };
        let trade_of =
            |engine: &Self, symbol: &Symbol| engine.desks.get(symbol).and_then(|desk| desk.trade.as_ref()).map(|t| t.is_leaving());
        kept.retain(|(symbol, _)| trade_of(self, symbol) != Some(true));
        let mut leaving = Vec::new();
        while self.size_of(name, &kept).is_some_and(|value| self.is_beyond(name, value)) {
            let part = |(symbol, value): &(Symbol, Money)| (self.part_of(name, *symbol, *value, &kept), std::cmp::Reverse(*symbol));
            let candidates = kept.iter().filter(|(symbol, _)| trade_of(self, symbol).is_some());
            let Some(largest) = candidates.max_by_key(|held| part(held)).map(|(symbol, _)| *symbol) else { break };
            kept.retain(|(symbol, _)| *symbol != largest);
            leaving.push(largest);
        }
        if !leaving.is_empty() {
            self.flatten(Some(&leaving), ExitReason::RiskLimit, out);
        }
    }

    /// How much of an excess one position is.
    fn part_of(&self, name: LimitName, symbol: Symbol, value: Money, kept: &Held) -> (Money, Money) {
        match name {
            LimitName::MaxClusterExposureBps => (self.cluster_value(symbol, kept), value),
            LimitName::MaxHeatBps => (self.desks.get(&symbol).and_then(Self::heat_of).unwrap_or(Money::ZERO), value),
            _ => (value, value),
        }
    }
}

fn is_size(name: LimitName) -> bool {
    matches!(
        name,
        LimitName::MaxPositionNotional
            | LimitName::MaxExposure
            | LimitName::MaxNetExposure
            | LimitName::MaxClusterExposureBps
            | LimitName::MaxPortfolioVolatilityBps
            | LimitName::MaxHeatBps
    )
}

fn far<T: PartialOrd>(name: LimitName, value: T, limit: T) -> bool {
    if AT_ITS_END.contains(&name) { value >= limit } else { value > limit }
}
