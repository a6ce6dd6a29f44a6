//! At each mark: which limits are at their end, and what is done about it.

use super::Engine;
use crate::domain::{ExitReason, Symbol};
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

/// Limits of single markets: each market is watched for itself, and what is done concerns only those that are beyond them.
pub(super) const OF_MARKETS: &[LimitName] = &[
    LimitName::MaxPositionNotional,
    LimitName::MaxSpreadBps,
    LimitName::MaxDataAgeMs,
    LimitName::MaxQuoteBookGapBps,
    LimitName::MaxVolatilityPercent,
];

impl Engine {
    /// Compares every standing limit with its measure, and does what is to be done at those that trip.
    pub(super) fn enforce(&mut self, out: &mut Vec<Effect>) {
        let holdings = self.holdings();
        let mut reducing = Vec::new();
        for name in STANDING.iter().copied() {
            if OF_MARKETS.contains(&name) {
                self.enforce_in_markets(name, out);
            } else {
                let value = match &holdings {
                    Some(held) if is_size(name) => self.size_of(name, held),
                    None if is_size(name) => None,
                    _ => self.usage(name),
                };
                self.enforce_overall(name, value, out);
            }
            if self.settings.actions.of(Cause::Limit(name)) == Action::Reduce && self.guard.watches.of(name).holds() {
                reducing.push(name);
            }
        }
        let critical = self.last_verdict == HealthVerdict::Critical;
        if critical && !self.guard.critical {
            self.act(Cause::Stop(Stop::HealthCritical), "", None, out);
        }
        self.guard.critical = critical;
        self.dirty |= reducing != self.guard.reducing;
        self.guard.reducing = reducing;
        for name in self.guard.reducing.clone() {
            self.reduce_to(name, out);
        }
    }

    fn enforce_overall(&mut self, name: LimitName, value: Option<LimitValue>, out: &mut Vec<Effect>) {
        let breached = value.is_some_and(|value| self.is_beyond(name, value));
        // What time or a count of events has proven needs no second mark.
        let proven = matches!(name, LimitName::MaxUnprotected | LimitName::MaxVenueErrorsPerMinute | LimitName::MaxLosingStreak);
        if self.guard.watches.observe(name, self.now, breached, proven) {
            self.dirty = true;
            let measured = value.map_or_else(String::new, |value| format!(" ({value})"));
            self.act(Cause::Limit(name), &measured, None, out);
            if name == LimitName::MaxVenueErrorsPerMinute {
                self.step_back(RungReason::VenueErrors, out);
            }
        }
    }

    fn enforce_in_markets(&mut self, name: LimitName, out: &mut Vec<Effect>) {
        let beyond = self.markets_beyond(name);
        let trips = self.guard.watches.observe_markets(name, self.now, &beyond);
        if trips.is_empty() {
            return;
        }
        self.dirty = true;
        let told = |symbol: &Symbol| self.measured_in(name, *symbol).map_or_else(|| symbol.to_string(), |v| format!("{symbol} {v}"));
        let measured: Vec<String> = trips.iter().map(told).collect();
        self.act(Cause::Limit(name), &format!(" ({})", measured.join(", ")), Some(&trips), out);
    }

    pub(super) fn is_beyond(&self, name: LimitName, value: LimitValue) -> bool {
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

    /// Does what the table says: in some markets or in all. `measured` is how far it went, for people.
    fn act(&mut self, cause: Cause, measured: &str, markets: Option<&[Symbol]>, out: &mut Vec<Effect>) {
        let action = self.settings.actions.of(cause);
        if action == Action::BlockEntries {
            return;
        }
        self.alert(Severity::Warning, format!("{}{measured}: {action}", cause.key()), out);
        self.stop_entries(markets, out);
        if action == Action::Flatten {
            self.flatten(markets, ExitReason::RiskLimit, out);
        }
    }

    /// The traded markets that are beyond a limit of single markets; positions count wherever they are.
    fn markets_beyond(&self, name: LimitName) -> Vec<Symbol> {
        let beyond = |symbol: &Symbol| self.measured_in(name, *symbol).is_some_and(|value| self.is_beyond(name, value));
        match name {
            LimitName::MaxPositionNotional => self.desks.keys().copied().filter(beyond).collect(),
            _ => self.settings.symbols.iter().copied().filter(beyond).collect(),
        }
    }

    fn measured_in(&self, name: LimitName, symbol: Symbol) -> Option<LimitValue> {
        self.desks.get(&symbol).and_then(|desk| self.market_usage(name, desk))
    }
}

fn is_size(name: LimitName) -> bool {
    matches!(
        name,
        LimitName::MaxExposure
            | LimitName::MaxNetExposure
            | LimitName::MaxClusterExposureBps
            | LimitName::MaxPortfolioVolatilityBps
            | LimitName::MaxHeatBps
    )
}

fn far<T: PartialOrd>(name: LimitName, value: T, limit: T) -> bool {
    if AT_ITS_END.contains(&name) { value >= limit } else { value > limit }
}
