//! What is done at each limit and for each stop: one table, of which the settings may change what is sensible.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{HaltReason, LimitRow};
use crate::protocol::{Action, LimitName};

/// Why trading stops, besides the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stop {
    Hand,
    Flatten,
    ProgramEnds,
    BalanceMismatch,
    Overfill,
    StoreFailed,
    HealthCritical,
}

/// A limit or a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    Limit(LimitName),
    Stop(Stop),
}

/// One cause, what is done, and what the settings may name instead.
pub struct ActionRow {
    pub cause: Cause,
    pub usual: Action,
    pub choices: &'static [Action],
}

use Action::{BlockEntries, CancelEntries, Flatten, Reduce};

/// Only this order is refused.
const ORDER: &[Action] = &[BlockEntries];
/// The market or the venue is not fit to trade.
const GUARD: &[Action] = &[BlockEntries, CancelEntries, Flatten];
/// Too much is held.
const SIZE: &[Action] = &[BlockEntries, CancelEntries, Reduce];
/// Latched until a person resumes.
const LATCHED: &[Action] = &[CancelEntries, Flatten];
const ONLY_CANCEL: &[Action] = &[CancelEntries];
const ONLY_FLATTEN: &[Action] = &[Flatten];

const fn limit(name: LimitName, usual: Action, choices: &'static [Action]) -> ActionRow {
    ActionRow { cause: Cause::Limit(name), usual, choices }
}

const fn stop(stop: Stop, usual: Action, choices: &'static [Action]) -> ActionRow {
    ActionRow { cause: Cause::Stop(stop), usual, choices }
}

/// Every cause. Flatten at `max_trade_loss` closes the losing trade, at a guard of single markets theirs, else everything.
pub const ACTIONS: &[ActionRow] = &[
    limit(LimitName::MaxOrderNotional, BlockEntries, ORDER),
    limit(LimitName::MaxPositionNotional, Reduce, SIZE),
    limit(LimitName::MaxExposure, Reduce, SIZE),
    limit(LimitName::MaxNetExposure, Reduce, SIZE),
    limit(LimitName::MaxClusterExposureBps, BlockEntries, SIZE),
    limit(LimitName::MaxPortfolioVolatilityBps, BlockEntries, SIZE),
    limit(LimitName::MaxHeatBps, BlockEntries, SIZE),
    limit(LimitName::MinCashReserveBps, BlockEntries, ORDER),
    limit(LimitName::MaxOpenOrders, BlockEntries, ORDER),
    limit(LimitName::MaxOrdersPerMinute, BlockEntries, ORDER),
    limit(LimitName::PriceCollarBps, BlockEntries, ORDER),
    limit(LimitName::MaxSpreadBps, BlockEntries, GUARD),
    limit(LimitName::MaxDataAgeMs, BlockEntries, GUARD),
    limit(LimitName::MaxQuoteBookGapBps, CancelEntries, GUARD),
    limit(LimitName::MaxDepegBps, CancelEntries, GUARD),
    limit(LimitName::MaxClockDriftMs, BlockEntries, GUARD),
    limit(LimitName::MaxVolatilityPercent, BlockEntries, GUARD),
    limit(LimitName::CoolDownMs, BlockEntries, ORDER),
    limit(LimitName::MaxTradeLoss, Flatten, ONLY_FLATTEN),
    limit(LimitName::MaxHourlyLoss, CancelEntries, GUARD),
    limit(LimitName::MaxDailyLoss, CancelEntries, LATCHED),
    limit(LimitName::MaxDrawdownBps, CancelEntries, LATCHED),
    limit(LimitName::MaxLosingStreak, BlockEntries, GUARD),
    limit(LimitName::MaxVenueErrorsPerMinute, CancelEntries, GUARD),
    limit(LimitName::MaxUnprotected, Flatten, LATCHED),
    stop(Stop::Hand, CancelEntries, ONLY_CANCEL),
    stop(Stop::Flatten, Flatten, ONLY_FLATTEN),
    stop(Stop::ProgramEnds, CancelEntries, ONLY_CANCEL),
    stop(Stop::BalanceMismatch, CancelEntries, LATCHED),
    stop(Stop::Overfill, CancelEntries, LATCHED),
    stop(Stop::StoreFailed, CancelEntries, LATCHED),
    stop(Stop::HealthCritical, BlockEntries, GUARD),
];

impl Stop {
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Flatten => "flatten",
            Self::ProgramEnds => "program_ends",
            Self::BalanceMismatch => "balance_mismatch",
            Self::Overfill => "overfill",
            Self::StoreFailed => "store_failed",
            Self::HealthCritical => "health_critical",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Hand => "halted by hand, by signal or by file",
            Self::Flatten => "flattened by hand",
            Self::ProgramEnds => "the program stops",
            Self::BalanceMismatch => "venue and books differ; halts",
            Self::Overfill => "an order was filled beyond its quantity; halts",
            Self::StoreFailed => "the data file can not be written or read; halts",
            Self::HealthCritical => "health is critical",
        }
    }
}

impl Cause {
    /// The key in the settings' `[actions]`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Limit(name) => name.key(),
            Self::Stop(stop) => stop.key(),
        }
    }

    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Limit(name) => LimitRow::of(name).what,
            Self::Stop(stop) => stop.what(),
        }
    }

    /// What halted.
    #[must_use]
    pub const fn of(reason: &HaltReason) -> Self {
        match reason {
            HaltReason::Hand => Self::Stop(Stop::Hand),
            HaltReason::Flatten => Self::Stop(Stop::Flatten),
            HaltReason::DailyLoss { .. } => Self::Limit(LimitName::MaxDailyLoss),
            HaltReason::Drawdown { .. } => Self::Limit(LimitName::MaxDrawdownBps),
            HaltReason::Unprotected { .. } => Self::Limit(LimitName::MaxUnprotected),
            HaltReason::BalanceMismatch { .. } => Self::Stop(Stop::BalanceMismatch),
            HaltReason::Overfill { .. } => Self::Stop(Stop::Overfill),
            HaltReason::StoreFailed => Self::Stop(Stop::StoreFailed),
        }
    }
}

/// What the settings choose; what they do not name is as in the table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actions(BTreeMap<String, Action>);

impl Actions {
    #[must_use]
    pub fn of(&self, cause: Cause) -> Action {
        let usual = || ACTIONS.iter().find(|row| row.cause == cause).map_or(Flatten, |row| row.usual);
        self.0.get(cause.key()).copied().unwrap_or_else(usual)
    }

    /// Choices that are none, with what may be chosen. Empty: all are in order.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let wrong = |(key, action): (&String, &Action)| match ACTIONS.iter().find(|row| row.cause.key() == key) {
            None => Some(format!("actions.{key} is neither a limit nor a stop")),
            Some(row) if row.choices.contains(action) => None,
            Some(row) => {
                let choices: Vec<&str> = row.choices.iter().map(|choice| choice.key()).collect();
                Some(format!("actions.{key} can not be {action}: {}", choices.join(" or ")))
            }
        };
        self.0.iter().filter_map(wrong).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_one_action() {
        for name in LimitName::ALL {
            assert_eq!(ACTIONS.iter().filter(|row| row.cause == Cause::Limit(*name)).count(), 1, "{name}");
        }
        for row in ACTIONS {
            assert!(row.choices.contains(&row.usual) && !row.cause.what().is_empty(), "{}", row.cause.key());
            assert_eq!(Actions::default().of(row.cause), row.usual);
        }
    }

    #[test]
    fn the_settings_may_choose_what_is_sensible() {
        let chosen = |key: &str, action| Actions([(key.to_owned(), action)].into());
        let daily = Cause::Limit(LimitName::MaxDailyLoss);
        assert_eq!(chosen("max_daily_loss", Flatten).of(daily), Flatten);
        assert_eq!(chosen("max_daily_loss", Flatten).contradictions(), [""; 0]);
        assert_eq!(chosen("max_daily_loss", BlockEntries).contradictions().len(), 1, "a halt cancels at least");
        assert_eq!(chosen("max_hope", Flatten).contradictions().len(), 1);
    }
}
