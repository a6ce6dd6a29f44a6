//! The ladder on which a box goes live: its rungs, why it moved, and what the next rung asks for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Money, Timestamp};

/// How far a live box may go. Each rung risks more than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Real market, decisions, no order.
    #[default]
    DataOnly,
    /// Real market, orders matched in process.
    Paper,
    /// Orders are signed and checked by the venue (`order/test`), none is placed.
    DryRun,
    /// Orders of the venue's smallest notional.
    Smallest,
    /// A tenth of the allocated capital.
    Tenth,
    /// Half of the allocated capital.
    Half,
    /// All of the allocated capital.
    Full,
}

impl Rung {
    pub const ALL: [Self; 7] = [Self::DataOnly, Self::Paper, Self::DryRun, Self::Smallest, Self::Tenth, Self::Half, Self::Full];

    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    #[must_use]
    pub fn previous(self) -> Option<Self> {
        Self::ALL.get((self as usize).checked_sub(1)?).copied()
    }

    /// Whether fills, if there are any, are made in process and not by the venue.
    #[must_use]
    pub const fn is_rehearsal(self) -> bool {
        matches!(self, Self::DataOnly | Self::Paper)
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::DataOnly => "decides and places nothing",
            Self::Paper => "trades the real market on paper",
            Self::DryRun => "has each order checked by the venue and places none",
            Self::Smallest => "places orders of the venue's smallest size",
            Self::Tenth => "places orders with a tenth of the allocated capital",
            Self::Half => "places orders with half of the allocated capital",
            Self::Full => "places orders with all of the allocated capital",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DataOnly => "data-only",
            Self::Paper => "paper",
            Self::DryRun => "dry-run",
            Self::Smallest => "smallest",
            Self::Tenth => "10 %",
            Self::Half => "50 %",
            Self::Full => "100 %",
        })
    }
}

/// Why the ladder moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungReason {
    /// A person climbed, every gate passed.
    Climbed,
    /// A person stepped back.
    Hand,
    DailyLoss,
    Drawdown,
    BalanceMismatch,
    Overfill,
    /// The venue kept failing or refusing.
    VenueErrors,
    /// A position stood without protection for longer than allowed.
    Unprotected,
    /// The venue's balances differed, and a person accepted that as money that moved from outside.
    Transfer,
}

impl fmt::Display for RungReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Climbed => "climbed by hand",
            Self::Hand => "stepped back by hand",
            Self::DailyLoss => "daily loss",
            Self::Drawdown => "drawdown",
            Self::BalanceMismatch => "balance mismatch",
            Self::Overfill => "overfill",
            Self::VenueErrors => "venue errors",
            Self::Unprotected => "unprotected position",
            Self::Transfer => "deposit or withdrawal",
        })
    }
}

/// One move of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungChange {
    pub at: Timestamp,
    pub from: Rung,
    pub to: Rung,
    pub reason: RungReason,
}

/// How the figures of a condition read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateUnit {
    /// A measure: hours, bps, milliseconds, a share.
    #[default]
    Measure,
    /// Whole things.
    Count,
    /// 1 for yes, 0 for no.
    YesNo,
}

impl GateUnit {
    /// The figure in words.
    #[must_use]
    pub fn words(self, value: f64) -> String {
        match self {
            Self::Measure => format!("{value:.3}"),
            Self::Count => format!("{value:.0}"),
            Self::YesNo if value > 0.0 => "yes".to_owned(),
            Self::YesNo => "no".to_owned(),
        }
    }
}

/// One condition of a rung. `value` is `None` while it is unknown, which fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungGate {
    pub name: String,
    pub value: Option<f64>,
    /// Whether `limit` is the most or the least that passes.
    pub at_most: bool,
    pub limit: f64,
    pub passed: bool,
    #[serde(default)]
    pub unit: GateUnit,
}

/// Where the ladder stands, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LadderView {
    pub rung: Rung,
    pub since: Timestamp,
    /// Quote money that live trading may use in all.
    pub allocated_capital: Money,
    /// True when the run performs another kind of rung than it stands on: nothing opens until the box is started again.
    pub restart_needed: bool,
    /// `None` at the top.
    pub next: Option<Rung>,
    /// What the next rung asks for.
    pub gates: Vec<RungGate>,
    /// Newest last.
    pub changes: Vec<RungChange>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rungs_are_in_the_order_of_their_risk() {
        assert!(
            Rung::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].next() == Some(pair[1]) && pair[1].previous() == Some(pair[0]))
        );
        assert_eq!((Rung::DataOnly.previous(), Rung::Full.next()), (None, None));
        assert_eq!(Rung::ALL.into_iter().filter(|rung| rung.is_rehearsal()).count(), 2);
    }
}
