//! What do we want: forecast, policy, recall and regime become a verdict by one visible table.
//!
//! *Takes / gives*: `Evidence` of one finished bar in; a `Decision` with its reasons out.
//!
//! Invariants
//! 1. The table below is the only place that chooses (`tests::the_table`).
//! 2. Exploration takes the same path with a lower threshold, and nothing else (`tests::exploration_only_lowers_the_threshold`).
//!
//! *Never*: creates an order, knows a limit.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, ExitReason, Price, Regime};
use crate::protocol::NeighbourRecord;

/// How the evidence is read; configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRules {
    /// Net forecast at which to enter is the model's own threshold, but never below this, bps.
    pub min_net_edge_bps: f64,
    /// A position is closed when the forecast before costs falls below this, bps.
    pub exit_gross_below_bps: f64,
    /// Recall speaks only from this many (effective) neighbours on.
    pub recall_min_neighbours: f64,
    /// Neighbours whose mean net outcome is below this veto an entry, bps.
    pub recall_veto_bps: f64,
    /// Share of equity of a full position, percent.
    pub position_percent: f64,
    /// Episodes recalled for a decision.
    pub recall_neighbours: u32,
}

/// The demo's allowance to act without a proven edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploration {
    /// Net forecast from which it may enter, bps; lower than any model's threshold.
    pub threshold_bps: f64,
    /// Largest share of equity in all exploring positions together, percent; at most 1.
    pub equity_percent: f64,
}

/// What is known at the close of a bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub mid: Price,
    pub spread: Bps,
    pub regime: Regime,
    /// Forecast of the return net of costs, bps.
    pub forecast_net_bps: Option<f64>,
    /// The model's own entry threshold on that forecast, bps.
    pub threshold_bps: f64,
    /// Probability that the net return is positive.
    pub win_probability: Option<f64>,
    /// Round-trip costs that the forecast is net of, bps.
    pub cost_bps: f64,
    /// True when the model's choices may trade (champion, or let in as shadow).
    pub model_may_trade: bool,
    /// The policy's probability of entering; in shadow, so it is recorded and not used.
    pub policy_enter: Option<f64>,
    pub recall_net_bps: Option<f64>,
    pub recall_weight: f64,
    pub neighbours: Vec<NeighbourRecord>,
    pub vector: Vec<f32>,
}

/// Where we stand in this symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Flat,
    Long,
    /// An entry or exit is under way: nothing to choose.
    Busy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Enter { exploration: bool },
    Exit(ExitReason),
    Hold,
    StandAside,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub choice: Choice,
    /// Short sentences, most important first.
    pub reasons: Vec<String>,
}

/// The table: first matching row wins.
///
/// | standing | when | choice |
/// |---|---|---|
/// | busy | | hold |
/// | long | forecast before costs < exit limit | exit |
/// | long | | hold |
/// | flat | no forecast | stand aside |
/// | flat | panic | stand aside |
/// | flat | forecast >= threshold, model may trade, recall vetoes | stand aside |
/// | flat | forecast >= threshold, model may trade | enter |
/// | flat | forecast >= exploration threshold | enter, exploring |
/// | flat | | stand aside |
#[must_use]
pub fn decide(evidence: &Evidence, standing: Standing, rules: &DecisionRules, exploration: Option<&Exploration>) -> Decision {
    let e = evidence;
    let threshold = e.threshold_bps.max(rules.min_net_edge_bps);
    let vetoed = e.recall_weight >= rules.recall_min_neighbours && e.recall_net_bps.is_some_and(|net| net < rules.recall_veto_bps);
    let gross = e.forecast_net_bps.map(|net| net + e.cost_bps);
    let (choice, reason) = match (standing, e.forecast_net_bps) {
        (Standing::Busy, _) => (Choice::Hold, "an order is under way".to_owned()),
        (Standing::Long, Some(_)) if gross < Some(rules.exit_gross_below_bps) => (
            Choice::Exit(ExitReason::Signal),
            format!("forecast before costs {:+.1} bps turned against the position", gross.unwrap_or(0.0)),
        ),
        (Standing::Long, _) => (Choice::Hold, "bracket and clock manage the position".to_owned()),
        (Standing::Flat, None) => (Choice::StandAside, "no model forecasts this time scale".to_owned()),
        (Standing::Flat, _) if e.regime == Regime::Panic => (Choice::StandAside, "panic: no entries".to_owned()),
        (Standing::Flat, Some(net)) if e.model_may_trade && net >= threshold && vetoed => {
            (Choice::StandAside, format!("forecast {net:+.1} bps, but similar trades made {:+.1} bps", e.recall_net_bps.unwrap_or(0.0)))
        }
        (Standing::Flat, Some(net)) if e.model_may_trade && net >= threshold => {
            (Choice::Enter { exploration: false }, format!("forecast {net:+.1} bps net, threshold {threshold:+.1}"))
        }
        (Standing::Flat, Some(net)) => match exploration {
            Some(x) if net >= x.threshold_bps => (
                Choice::Enter { exploration: true },
                format!("exploring: forecast {net:+.1} bps net, allowance from {:+.1}", x.threshold_bps),
            ),
            _ if !e.model_may_trade => (Choice::StandAside, format!("forecast {net:+.1} bps net; the model is in shadow")),
            _ => (Choice::StandAside, format!("forecast {net:+.1} bps net is below {threshold:+.1}")),
        },
    };
    let mut reasons = vec![reason];
    reasons.extend(context(e));
    Decision { choice, reasons }
}

fn context(e: &Evidence) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(probability) = e.win_probability {
        lines.push(format!("win probability {:.0} %", probability * 100.0));
    }
    if let Some(net) = e.recall_net_bps {
        lines.push(format!("{} similar trades: {net:+.1} bps", e.neighbours.len()));
    }
    if let Some(enter) = e.policy_enter {
        lines.push(format!("policy (shadow) enters with {:.0} %", enter * 100.0));
    }
    lines.push(format!("{} market, spread {:.1} bps", e.regime, e.spread.to_f64()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> DecisionRules {
        DecisionRules {
            min_net_edge_bps: 1.0,
            exit_gross_below_bps: -15.0,
            recall_min_neighbours: 5.0,
            recall_veto_bps: -10.0,
            position_percent: 10.0,
            recall_neighbours: 16,
        }
    }

    fn evidence(net: Option<f64>) -> Evidence {
        Evidence {
            mid: Price::from_raw(1),
            spread: Bps::from_bps(1),
            regime: Regime::Range,
            forecast_net_bps: net,
            threshold_bps: 5.0,
            win_probability: None,
            cost_bps: 20.0,
            model_may_trade: true,
            policy_enter: None,
            recall_net_bps: None,
            recall_weight: 0.0,
            neighbours: Vec::new(),
            vector: Vec::new(),
        }
    }

    #[test]
    fn the_table() {
        let bad_recall = Evidence { recall_net_bps: Some(-11.0), recall_weight: 5.0, ..evidence(Some(6.0)) };
        let few = Evidence { recall_weight: 4.9, ..bad_recall.clone() };
        let panic = Evidence { regime: Regime::Panic, ..evidence(Some(50.0)) };
        let shadow = Evidence { model_may_trade: false, ..evidence(Some(50.0)) };
        let cases = [
            ("busy", evidence(Some(50.0)), Standing::Busy, Choice::Hold),
            ("long, turned", evidence(Some(-35.1)), Standing::Long, Choice::Exit(ExitReason::Signal)),
            ("long, at the limit", evidence(Some(-35.0)), Standing::Long, Choice::Hold),
            ("long, blind", evidence(None), Standing::Long, Choice::Hold),
            ("no forecast", evidence(None), Standing::Flat, Choice::StandAside),
            ("panic", panic, Standing::Flat, Choice::StandAside),
            ("recall vetoes", bad_recall, Standing::Flat, Choice::StandAside),
            ("recall too thin to veto", few, Standing::Flat, Choice::Enter { exploration: false }),
            ("at the threshold", evidence(Some(5.0)), Standing::Flat, Choice::Enter { exploration: false }),
            ("below it", evidence(Some(4.9)), Standing::Flat, Choice::StandAside),
            ("shadow", shadow, Standing::Flat, Choice::StandAside),
        ];
        for (name, evidence, standing, expected) in cases {
            assert_eq!(decide(&evidence, standing, &rules(), None).choice, expected, "{name}");
        }
    }

    #[test]
    fn exploration_only_lowers_the_threshold() {
        let allowance = Exploration { threshold_bps: -25.0, equity_percent: 1.0 };
        let choose = |e: &Evidence, standing| decide(e, standing, &rules(), Some(&allowance)).choice;
        assert_eq!(choose(&evidence(Some(-25.0)), Standing::Flat), Choice::Enter { exploration: true });
        assert_eq!(choose(&evidence(Some(-25.1)), Standing::Flat), Choice::StandAside);
        assert_eq!(choose(&evidence(Some(9.0)), Standing::Flat), Choice::Enter { exploration: false });
        let panic = Evidence { regime: Regime::Panic, ..evidence(Some(0.0)) };
        assert_eq!(choose(&panic, Standing::Flat), Choice::StandAside);
        assert_eq!(choose(&evidence(Some(0.0)), Standing::Busy), Choice::Hold);
    }
}
