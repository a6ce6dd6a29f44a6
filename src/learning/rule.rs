//! The decision rule that turns forecasts into trades: enter when the forecast reaches a threshold and no position is open.

use super::equity::Trade;
use super::labels::Label;

/// A moment at which the rule may enter, with what it foresees and what would come of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chance {
    pub series: usize,
    pub decision_bar: usize,
    pub forecast_bps: f64,
    pub outcome: Label,
}

/// Shares of the validation forecasts (from the lowest) that are tried as thresholds.
const QUANTILES: [f64; 10] = [0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99];

/// The trades the rule makes: one position per series at a time, a new one at the earliest at the close that ended the last.
/// `chances` must be in order of time; `free_from[series]` is the first bar at which that series may decide and is moved on.
#[must_use]
pub fn trades(chances: &[Chance], threshold_bps: f64, entry_cost_bps: f64, free_from: &mut [usize]) -> Vec<Trade> {
    let mut out = Vec::new();
    for chance in chances.iter().filter(|c| c.forecast_bps >= threshold_bps) {
        if chance.decision_bar < free_from[chance.series] {
            continue;
        }
        free_from[chance.series] = chance.outcome.exit_bar;
        out.push(Trade { series: chance.series, decision_bar: chance.decision_bar, outcome: chance.outcome, entry_cost_bps });
    }
    out
}

/// The threshold, not below `floor_bps`, whose trades on `chances` made the most, counted as their net sum less one standard error of it:
/// what luck may have given is not counted. `None` when that is nowhere positive with at least `min_trades` trades: standing aside was
/// best. `chances` must come from training data that the forecaster was not fitted on.
#[must_use]
pub fn choose_threshold(chances: &[Chance], series: usize, floor_bps: f64, min_trades: usize) -> Option<f64> {
    let mut sorted: Vec<f64> = chances.iter().map(|c| c.forecast_bps).filter(|f| *f >= floor_bps).collect();
    sorted.sort_by(f64::total_cmp);
    let mut best: Option<(f64, f64)> = None;
    for quantile in QUANTILES {
        let Some(threshold) = sorted.get((quantile * sorted.len() as f64) as usize) else { continue };
        let made = trades(chances, *threshold, 0.0, &mut vec![0; series]);
        let sure = sum_less_error(&made.iter().map(|t| t.outcome.net_bps).collect::<Vec<_>>());
        let better = best.is_none_or(|(_, most)| sure > most);
        if made.len() >= min_trades && sure > 0.0 && better {
            best = Some((*threshold, sure));
        }
    }
    best.map(|(threshold, _)| threshold)
}

/// Sum less its standard error, sigma x sqrt(n); with fewer than two results nothing is sure.
fn sum_less_error(results: &[f64]) -> f64 {
    let n = results.len() as f64;
    if n < 2.0 {
        return f64::NEG_INFINITY;
    }
    let sum: f64 = results.iter().sum();
    let squares: f64 = results.iter().map(|r| (r - sum / n).powi(2)).sum();
    sum - (squares / (n - 1.0) * n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ExitReason, Timestamp};

    fn chance(series: usize, bar: usize, held: usize, forecast_bps: f64, net_bps: f64) -> Chance {
        let outcome = Label {
            entry_bar: bar + 1,
            exit_bar: bar + held,
            entry_price: 100.0,
            exit_price: 100.0,
            gross_bps: net_bps,
            cost_bps: 0.0,
            net_bps,
            exit: ExitReason::HoldLimit,
            known_at: Timestamp::EPOCH,
            worst_bps: 0.0,
            best_bps: 0.0,
        };
        Chance { series, decision_bar: bar, forecast_bps, outcome }
    }

    #[test]
    fn a_series_holds_one_position_at_a_time() {
        let chances = [chance(0, 0, 5, 9.0, 1.0), chance(1, 1, 5, 9.0, 1.0), chance(0, 4, 5, 9.0, 1.0), chance(0, 5, 5, 9.0, 1.0)];
        let mut free = [0; 2];
        let made: Vec<_> = trades(&chances, 5.0, 0.0, &mut free).iter().map(|t| (t.series, t.decision_bar)).collect();
        assert_eq!(made, [(0, 0), (1, 1), (0, 5)]);
        assert_eq!(free, [10, 6]);
        assert!(trades(&chances, 9.5, 0.0, &mut [0; 2]).is_empty());
    }

    #[test]
    fn the_threshold_leaves_out_what_lost() {
        // Forecasts below 60 lost.
        let chances: Vec<_> = (0..100).map(|i| chance(0, i * 2, 1, i as f64, if i < 60 { -5.0 } else { 5.0 })).collect();
        let threshold = choose_threshold(&chances, 1, 0.0, 10).unwrap();
        assert_eq!(threshold, 60.0);
    }

    #[test]
    fn losing_everywhere_or_too_rarely_stands_aside() {
        let losers: Vec<_> = (0..100).map(|i| chance(0, i * 2, 1, i as f64, -1.0)).collect();
        assert_eq!(choose_threshold(&losers, 1, 0.0, 1), None);
        assert_eq!(choose_threshold(&[chance(0, 0, 1, 9.0, 50.0)], 1, 0.0, 2), None);
        let lucky: Vec<_> = (0..40).map(|i| chance(0, i * 2, 1, 5.0, if i == 20 { 50.0 } else { -1.0 })).collect();
        assert_eq!(choose_threshold(&lucky, 1, 0.0, 10), None, "one lucky trade is no edge");
        let below_floor: Vec<_> = (0..100).map(|i| chance(0, i * 2, 1, -1.0, 5.0)).collect();
        assert_eq!(choose_threshold(&below_floor, 1, 0.0, 1), None);
    }
}
