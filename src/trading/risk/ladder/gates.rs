//! The entry test of every rung, as one table.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Evidence, Limits, RungTrade};
use crate::domain::{Bps, Money, Qty, Span, Timestamp};
use crate::protocol::{GateUnit, Rung, RungChange, RungGate, RungReason};

const DAY: Span = Span::from_secs(86_400);
const WEEK: Span = Span::from_secs(7 * 86_400);

/// What each rung asks for; configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderRules {
    /// Quote money that live trading may use in all.
    pub allocated_capital: Money,
    /// Paper: hours of market data watched at data-only.
    pub data_hours: f64,
    /// Paper: least share of that time with valid books, 0 to 1.
    pub book_valid_share: f64,
    /// Paper: most that the clock may have drifted, milliseconds.
    pub clock_drift_ms: f64,
    /// Dry-run: trades closed on paper within the last `paper_days`.
    pub paper_trades: u32,
    pub paper_days: u32,
    /// Dry-run: least mean net result of those trades, bps of the notional.
    pub paper_net_bps: f64,
    /// Smallest: test orders that the venue took in a row.
    pub test_orders: u32,
    /// Each rung of real money above the smallest: trades closed on the rung below.
    pub live_trades: u32,
    /// The same: most mean slippage and impact of those trades, bps of the notional.
    pub slippage_bps: f64,
    /// 50 % and 100 %: deepest drawdown on the rung below, as a share of `limits.max_drawdown_bps`.
    pub drawdown_share: f64,
}

impl Default for LadderRules {
    fn default() -> Self {
        Self {
            allocated_capital: Money::from_quote(Qty::from_raw(1_000 * 100_000_000)),
            data_hours: 24.0,
            book_valid_share: 0.99,
            clock_drift_ms: 250.0,
            paper_trades: 30,
            paper_days: 30,
            paper_net_bps: 0.0,
            test_orders: 20,
            live_trades: 20,
            slippage_bps: 5.0,
            drawdown_share: 0.5,
        }
    }
}

type Measure = fn(&Evidence, &Test) -> Option<f64>;
type Limit = fn(&LadderRules) -> f64;

/// Who asks, when, and by which rules.
pub(super) struct Test<'a> {
    pub now: Timestamp,
    pub rules: &'a LadderRules,
    pub limits: &'a Limits,
    pub changes: &'a VecDeque<RungChange>,
}

/// One line of the table: the rungs that ask for it, its name, what is measured, and the bound.
struct Gate {
    rungs: &'static [Rung],
    name: &'static str,
    measure: Measure,
    at_most: bool,
    limit: Limit,
    unit: GateUnit,
}

const fn least(rungs: &'static [Rung], name: &'static str, measure: Measure, limit: Limit) -> Gate {
    Gate { rungs, name, measure, at_most: false, limit, unit: GateUnit::Measure }
}

const fn most(rungs: &'static [Rung], name: &'static str, measure: Measure, limit: Limit) -> Gate {
    Gate { rungs, name, measure, at_most: true, limit, unit: GateUnit::Measure }
}

impl Gate {
    /// It counts whole things.
    const fn counted(self) -> Self {
        Self { unit: GateUnit::Count, ..self }
    }

    /// It asks whether something is so.
    const fn asked(self) -> Self {
        Self { unit: GateUnit::YesNo, ..self }
    }
}

const ANY: &[Rung] = &Rung::ALL;
const PAPER: &[Rung] = &[Rung::Paper];
const DRY_RUN: &[Rung] = &[Rung::DryRun];
const SMALLEST: &[Rung] = &[Rung::Smallest];
const SHARES: &[Rung] = &[Rung::Tenth, Rung::Half, Rung::Full];
const LARGE: &[Rung] = &[Rung::Half, Rung::Full];
const VENUE: &[Rung] = &[Rung::Smallest, Rung::Tenth, Rung::Half, Rung::Full];

/// The entry test of every rung.
const GATES: &[Gate] = &[
    least(ANY, "trading not halted", |e, _| Some(f64::from(u8::from(!e.halted))), |_| 1.0).asked(),
    least(PAPER, "hours of market data", |e, _| Some(hours(e.watched)), |r| r.data_hours),
    least(PAPER, "share of the time with valid books", |e, _| e.valid_share(), |r| r.book_valid_share),
    most(PAPER, "books with a gap now", |e, _| Some(f64::from(e.broken_books)), |_| 0.0).counted(),
    most(PAPER, "clock drift, ms", |e, _| e.clock_drift.map(|d| d.abs().nanos() as f64 / 1e6), |r| r.clock_drift_ms),
    least(DRY_RUN, "paper trades closed", |e, t| Some(e.recent(t).count() as f64), |r| f64::from(r.paper_trades)).counted(),
    least(DRY_RUN, "mean net of the paper trades, bps", |e, t| mean(e.recent(t).map(|trade| trade.net_bps)), |r| r.paper_net_bps),
    most(DRY_RUN, "mismatches and overfills", |_, t| Some(t.accounting_faults()), |_| 0.0).counted(),
    least(SMALLEST, "test orders taken in a row", |e, _| Some(f64::from(e.tests_in_row)), |r| f64::from(r.test_orders)).counted(),
    most(SMALLEST, "test orders refused by filters in a day", |e, t| Some(e.refused_in_a_day(t.now)), |_| 0.0).counted(),
    most(VENUE, "assets on which venue and books differ", |e, _| e.mismatches.map(f64::from), |_| 0.0).counted(),
    least(SHARES, "live trades closed", |e, _| Some(e.trades.len() as f64), |r| f64::from(r.live_trades)).counted(),
    most(SHARES, "mean slippage of the live trades, bps", |e, _| mean(e.trades.iter().map(|t| t.slippage_bps)), |r| r.slippage_bps),
    most(SHARES, "positions unprotected for too long, in a week", |_, t| Some(t.unprotected()), |_| 0.0).counted(),
    most(LARGE, "deepest drawdown, share of its limit", |e, t| e.drawdown_share(t.limits), |r| r.drawdown_share),
];

/// What `rung` asks for, with what there is.
pub(super) fn judge(rung: Rung, evidence: &Evidence, test: &Test) -> Vec<RungGate> {
    let asked = GATES.iter().filter(|gate| gate.rungs.contains(&rung));
    asked
        .map(|gate| {
            let (value, limit) = ((gate.measure)(evidence, test), (gate.limit)(test.rules));
            let passed = value.is_some_and(|value| if gate.at_most { value <= limit } else { value >= limit });
            RungGate { name: gate.name.to_owned(), value, at_most: gate.at_most, limit, passed, unit: gate.unit }
        })
        .collect()
}

impl Test<'_> {
    /// Steps back for wrong books within the days that paper trades count.
    fn accounting_faults(&self) -> f64 {
        self.thrown_back(DAY.times(i64::from(self.rules.paper_days)), &[RungReason::BalanceMismatch, RungReason::Overfill])
    }

    fn unprotected(&self) -> f64 {
        self.thrown_back(WEEK, &[RungReason::Unprotected])
    }

    fn thrown_back(&self, within: Span, by: &[RungReason]) -> f64 {
        let since = self.now - within;
        self.changes.iter().filter(|change| change.at >= since && by.contains(&change.reason)).count() as f64
    }
}

impl Evidence {
    fn valid_share(&self) -> Option<f64> {
        (self.watched > Span::ZERO).then(|| self.valid.secs_f64() / self.watched.secs_f64())
    }

    fn recent<'a>(&'a self, test: &Test) -> impl Iterator<Item = &'a RungTrade> + use<'a> {
        let since = test.now - DAY.times(i64::from(test.rules.paper_days));
        self.trades.iter().filter(move |trade| trade.at >= since)
    }

    fn refused_in_a_day(&self, now: Timestamp) -> f64 {
        self.filter_refusals.iter().filter(|at| now.since(**at) < DAY).count() as f64
    }

    fn drawdown_share(&self, limits: &Limits) -> Option<f64> {
        (limits.max_drawdown_bps > Bps::ZERO).then(|| self.worst_drawdown.to_f64() / limits.max_drawdown_bps.to_f64())
    }
}

fn hours(span: Span) -> f64 {
    span.secs_f64() / 3_600.0
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
