//! How large a position may be: a share of the equity, bounded by volatility, by capped fractional Kelly, and by the drawdown.
//!
//! Volatility target: the position's own standard deviation over a day is at most `volatility_target_bps` of the equity (Moreira and Muir,
//! "Volatility-Managed Portfolios", 2017, as a bound on one position). Kelly for a bet that wins `w` with probability `p` and loses `l`
//! otherwise, both per unit staked: f* = p / l - (1 - p) / w (Kelly 1956, in the form of Thorp 2006); a fraction of it, at most one half,
//! is staked. Drawdown: whole up to `drawdown_from_bps`, then linearly down to nothing at the limit of the drawdown.

use serde::{Deserialize, Serialize};

use crate::domain::{Bps, Money};
use crate::protocol::Refusal;

/// Largest fraction of full Kelly.
const KELLY_CAP: f64 = 0.5;

/// The bounds; zero switches one off.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizing {
    pub volatility_target_bps: f64,
    pub kelly_fraction: f64,
    pub drawdown_from_bps: f64,
}

/// What a position is sized by. `None` means unknown, and unknown refuses where it is needed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prospect {
    pub equity: Money,
    /// The size without any bound.
    pub wanted: Money,
    /// Standard deviation of the market's return over a day, bps.
    pub daily_volatility_bps: Option<f64>,
    pub win_probability: Option<f64>,
    /// Net of costs, bps of the notional: what target and stop would bring and cost.
    pub win_bps: f64,
    pub loss_bps: f64,
    pub drawdown: Option<Bps>,
}

impl Sizing {
    /// The notional to buy.
    ///
    /// # Errors
    /// When a bound that is on lacks its input, or nothing is left.
    pub fn size(&self, prospect: &Prospect, max_drawdown: Bps) -> Result<Money, Refusal> {
        let share = |factor: f64| prospect.equity.at_rate(Bps::from_f64(factor * 10_000.0));
        let mut size = prospect.wanted;
        if self.volatility_target_bps > 0.0 {
            let volatility = prospect.daily_volatility_bps.filter(|v| *v > 0.0).ok_or(Refusal::PortfolioUnknown)?;
            size = size.min(share((self.volatility_target_bps / volatility).min(100.0)));
        }
        if self.kelly_fraction > 0.0 {
            let probability = prospect.win_probability.ok_or(Refusal::WinProbabilityUnknown)?;
            let full = kelly(probability, prospect.win_bps / 1e4, prospect.loss_bps / 1e4);
            size = size.min(share((full * self.kelly_fraction.min(KELLY_CAP)).clamp(0.0, 100.0)));
        }
        if self.drawdown_from_bps > 0.0 {
            let drawdown = prospect.drawdown.ok_or(Refusal::EquityUnknown)?;
            let left = room(drawdown.to_f64(), self.drawdown_from_bps, max_drawdown.to_f64());
            size = size.at_rate(Bps::from_f64(left * 10_000.0));
        }
        if size.is_positive() { Ok(size) } else { Err(Refusal::SizedToNothing) }
    }

    /// Values that can not be meant. Empty: they are in order.
    #[must_use]
    pub fn contradictions(&self, max_drawdown: Bps) -> Vec<String> {
        let mut said = Vec::new();
        if !(0.0..=KELLY_CAP).contains(&self.kelly_fraction) {
            said.push(format!("sizing.kelly_fraction is {}: from 0 to {KELLY_CAP}", self.kelly_fraction));
        }
        if !(self.volatility_target_bps >= 0.0 && self.volatility_target_bps.is_finite()) {
            said.push(format!("sizing.volatility_target_bps is {}: 0 or more", self.volatility_target_bps));
        }
        if !(0.0..max_drawdown.to_f64()).contains(&self.drawdown_from_bps) {
            said.push(format!(
                "sizing.drawdown_from_bps is {}, limits.max_drawdown_bps is {max_drawdown}: trading stops before its size falls",
                self.drawdown_from_bps
            ));
        }
        said
    }
}

/// Full Kelly as a multiple of the equity; nothing for a bet that does not pay.
fn kelly(probability: f64, win: f64, loss: f64) -> f64 {
    if !(win > 0.0 && loss > 0.0 && (0.0..=1.0).contains(&probability)) {
        return 0.0;
    }
    (probability / loss - (1.0 - probability) / win).max(0.0)
}

/// One up to `from`, zero at `limit`, a straight line between.
fn room(drawdown: f64, from: f64, limit: f64) -> f64 {
    if limit <= from {
        return f64::from(u8::from(drawdown < limit));
    }
    ((limit - drawdown) / (limit - from)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Bps = Bps::from_bps(1_000);

    fn prospect() -> Prospect {
        Prospect {
            equity: "10000".parse().unwrap(),
            wanted: "1000".parse().unwrap(),
            daily_volatility_bps: Some(400.0),
            win_probability: Some(0.55),
            win_bps: 100.0,
            loss_bps: 100.0,
            drawdown: Some(Bps::ZERO),
        }
    }

    fn size(sizing: &Sizing, prospect: &Prospect) -> String {
        sizing.size(prospect, MAX).map_or_else(|refusal| format!("{refusal:?}"), |size| format!("{size:.2}"))
    }

    #[test]
    fn without_bounds_it_is_what_was_wanted() {
        let blind = Prospect { daily_volatility_bps: None, win_probability: None, drawdown: None, ..prospect() };
        assert_eq!(size(&Sizing::default(), &blind), "1000.00");
    }

    #[test]
    fn a_wilder_market_gets_less() {
        let sizing = Sizing { volatility_target_bps: 40.0, ..Sizing::default() };
        assert_eq!(size(&sizing, &prospect()), "1000.00", "40 of 400 bps are a tenth");
        assert_eq!(size(&sizing, &Prospect { daily_volatility_bps: Some(800.0), ..prospect() }), "500.00");
        assert_eq!(size(&sizing, &Prospect { daily_volatility_bps: Some(100.0), ..prospect() }), "1000.00", "never more than wanted");
        assert_eq!(size(&sizing, &Prospect { daily_volatility_bps: None, ..prospect() }), "PortfolioUnknown");
    }

    #[test]
    fn kelly_bounds_a_thin_edge_and_refuses_none() {
        let sizing = Sizing { kelly_fraction: 0.25, ..Sizing::default() };
        assert_eq!(size(&sizing, &prospect()), "1000.00");
        // f* = .503/.01 - .497/.01 = 0.6; a quarter of it is 0.15 of the equity, 0.0503 is half of a tenth.
        assert_eq!(size(&sizing, &Prospect { win_probability: Some(0.501), ..prospect() }), "500.00");
        assert_eq!(size(&sizing, &Prospect { win_probability: Some(0.5), ..prospect() }), "SizedToNothing");
        assert_eq!(size(&sizing, &Prospect { win_bps: -1.0, ..prospect() }), "SizedToNothing");
        assert_eq!(size(&sizing, &Prospect { win_probability: None, ..prospect() }), "WinProbabilityUnknown");
        let greedy = Sizing { kelly_fraction: 9.0, ..Sizing::default() };
        assert_eq!(size(&greedy, &Prospect { win_probability: Some(0.501), ..prospect() }), "1000.00", "capped at one half");
    }

    #[test]
    fn size_falls_in_a_straight_line_to_the_limit() {
        let sizing = Sizing { drawdown_from_bps: 200.0, ..Sizing::default() };
        let at = |bps| size(&sizing, &Prospect { drawdown: Some(Bps::from_bps(bps)), ..prospect() });
        assert_eq!([at(0), at(200), at(600), at(999)], ["1000.00", "1000.00", "500.00", "1.25"]);
        assert_eq!(at(1_000), "SizedToNothing");
        assert_eq!(size(&sizing, &Prospect { drawdown: None, ..prospect() }), "EquityUnknown");
    }

    #[test]
    fn bounds_that_can_not_be_meant_are_named() {
        let ok = Sizing { volatility_target_bps: 40.0, kelly_fraction: 0.5, drawdown_from_bps: 500.0 };
        assert_eq!(ok.contradictions(MAX), [""; 0]);
        assert_eq!(Sizing { kelly_fraction: 0.51, ..ok.clone() }.contradictions(MAX).len(), 1);
        assert_eq!(Sizing { volatility_target_bps: f64::NAN, ..ok.clone() }.contradictions(MAX).len(), 1);
        assert_eq!(Sizing { drawdown_from_bps: 1_000.0, ..ok }.contradictions(MAX).len(), 1);
    }
}
