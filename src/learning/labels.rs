//! What a long trade decided at the close of a bar would have made, after all costs.
//!
//! The trade enters at the open of the next bar, never inside the bar that decided. From there the following bars are walked; inside a
//! bar the worse order of events is assumed (stop before target), a gap through the stop exits at the gap, and the target fills at its
//! own price only when the market trades beyond it. Costs are charged once on each side, on that side's notional.

use serde::{Deserialize, Serialize};

use super::series::Bars;
use crate::domain::{ExitReason, Instrument, Timestamp};

/// When a trade ends: a target and a stop in sigmas of its horizon, and a hold limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bracket {
    /// The time scale of the sigmas: one sigma is the bar volatility x sqrt(horizon).
    pub horizon_bars: u32,
    /// Bars a position may last, counted from its entry bar.
    pub hold_bars: u32,
    pub target_sigma: f64,
    pub stop_sigma: f64,
}

impl Default for Bracket {
    fn default() -> Self {
        Self { horizon_bars: 15, hold_bars: 30, target_sigma: 2.0, stop_sigma: 1.5 }
    }
}

/// What each side of a round trip costs, in bps of that side's notional.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostAssumption {
    pub entry_fee_bps: f64,
    pub exit_fee_bps: f64,
    /// Half the spread, paid at the entry and again at the exit: bar prices are taken as mids.
    pub half_spread_bps: f64,
}

impl CostAssumption {
    /// Both sides take, at the fees of the account: the dearest way to trade, so no maker fill is taken for granted.
    #[must_use]
    pub fn taker(instrument: &Instrument, half_spread_bps: f64) -> Self {
        let fee = instrument.fees.taker.to_f64();
        Self { entry_fee_bps: fee, exit_fee_bps: fee, half_spread_bps }
    }
    /// Both sides of a trade that ends where it began.
    #[must_use]
    pub fn round_trip_bps(&self) -> f64 {
        self.entry_bps() + self.exit_bps()
    }
    #[must_use]
    pub fn entry_bps(&self) -> f64 {
        self.entry_fee_bps + self.half_spread_bps
    }
    #[must_use]
    pub fn exit_bps(&self) -> f64 {
        self.exit_fee_bps + self.half_spread_bps
    }
}

impl Bracket {
    /// Distances of target and stop from the entry in bps, for a volatility of `bar_sigma_bps` per bar.
    #[must_use]
    pub fn distances_bps(&self, bar_sigma_bps: f64) -> (f64, f64) {
        let sigma = bar_sigma_bps * f64::from(self.horizon_bars).sqrt();
        (self.target_sigma * sigma, self.stop_sigma * sigma)
    }

    /// The share of trades that must reach the target for an expectation of zero when each ends at target or stop:
    /// (stop + costs) / (target + stop). Above 1 no win rate suffices; infinite for a bracket without width.
    #[must_use]
    pub fn break_even_win_rate(&self, bar_sigma_bps: f64, costs: &CostAssumption) -> f64 {
        let (target, stop) = self.distances_bps(bar_sigma_bps);
        if target + stop > 0.0 { (stop + costs.round_trip_bps()) / (target + stop) } else { f64::INFINITY }
    }
}

/// One labelled trade. All bps are of the entry notional.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Index of the bar at whose open it entered.
    pub entry_bar: usize,
    /// Index of the bar in which it ended.
    pub exit_bar: usize,
    pub entry_price: f64,
    pub exit_price: f64,
    pub gross_bps: f64,
    /// Entry and exit costs, once each.
    pub cost_bps: f64,
    /// Gross less costs.
    pub net_bps: f64,
    pub exit: ExitReason,
    /// The close of the exit bar: nobody knew the outcome earlier.
    pub known_at: Timestamp,
    /// The worst and the best mark on the way.
    pub worst_bps: f64,
    pub best_bps: f64,
}

/// Walks the trade decided at the close of bar `decision`, looking at bars before `end` only (the end of the gapless stretch).
/// `None` when the data ends before the trade does, or when the volatility is not positive.
#[must_use]
pub fn label(bars: &Bars, decision: usize, end: usize, bar_sigma_bps: f64, bracket: &Bracket, costs: &CostAssumption) -> Option<Label> {
    let entry_bar = decision + 1;
    if entry_bar >= end || !(bar_sigma_bps.is_finite() && bar_sigma_bps > 0.0) {
        return None;
    }
    let entry = bars.open[entry_bar];
    let (target_bps, stop_bps) = bracket.distances_bps(bar_sigma_bps);
    let (target, stop) = (entry * (1.0 + target_bps / 1e4), entry * (1.0 - stop_bps / 1e4));
    let last = decision + bracket.hold_bars.max(1) as usize;
    let (mut worst, mut best) = (entry, entry);
    for bar in entry_bar..end.min(last + 1) {
        let (open, high, low) = (bars.open[bar], bars.high[bar], bars.low[bar]);
        let ended = if low <= stop {
            Some((open.min(stop), ExitReason::Stop))
        } else if high > target {
            Some((target, ExitReason::Target))
        } else if bar == last {
            Some((bars.close[bar], ExitReason::HoldLimit))
        } else {
            None
        };
        match ended {
            Some((price, exit)) => {
                let (seen_low, seen_high) = match exit {
                    ExitReason::Stop => (price, open),
                    ExitReason::Target => (low, price),
                    _ => (low, high),
                };
                let marks = (worst.min(seen_low), best.max(seen_high));
                return Some(closed(bars, (entry_bar, entry), (bar, price, exit), marks, costs));
            }
            None => (worst, best) = (worst.min(low), best.max(high)),
        }
    }
    None
}

fn closed(
    bars: &Bars,
    (entry_bar, entry): (usize, f64),
    (exit_bar, exit_price, exit): (usize, f64, ExitReason),
    (worst, best): (f64, f64),
    costs: &CostAssumption,
) -> Label {
    let ratio = exit_price / entry;
    let gross_bps = (ratio - 1.0) * 1e4;
    let cost_bps = costs.entry_bps() + costs.exit_bps() * ratio;
    Label {
        entry_bar,
        exit_bar,
        entry_price: entry,
        exit_price,
        gross_bps,
        cost_bps,
        net_bps: gross_bps - cost_bps,
        exit,
        known_at: bars.close_time(exit_bar),
        worst_bps: (worst / entry - 1.0) * 1e4,
        best_bps: (best / entry - 1.0) * 1e4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Interval;
    use proptest::prelude::*;

    /// Open, high, low, close of each bar.
    fn bars(rows: &[[f64; 4]]) -> Bars {
        let column = |k: usize| rows.iter().map(|r| r[k]).collect::<Vec<f64>>();
        let times = (0..rows.len() as i64).map(|i| Timestamp::from_millis(i * 60_000)).collect();
        Bars { interval: Interval::MINUTE, open_time: times, open: column(0), high: column(1), low: column(2), close: column(3) }
    }

    /// One sigma of the horizon is 100 bps: target 102, stop 99 from an entry at 100.
    const BRACKET: Bracket = Bracket { horizon_bars: 4, hold_bars: 3, target_sigma: 2.0, stop_sigma: 1.0 };
    const COSTS: CostAssumption = CostAssumption { entry_fee_bps: 10.0, exit_fee_bps: 8.0, half_spread_bps: 1.0 };
    const QUIET: [f64; 4] = [100.0, 100.5, 99.5, 100.0];

    fn run(rows: &[[f64; 4]]) -> Option<Label> {
        label(&bars(rows), 0, rows.len(), 50.0, &BRACKET, &COSTS)
    }

    #[test]
    fn the_target_fills_at_its_price_and_costs_are_charged_once_a_side() {
        let got = run(&[QUIET, QUIET, [100.0, 103.0, 100.0, 103.0], QUIET]).unwrap();
        assert_eq!((got.exit, got.entry_bar, got.exit_bar), (ExitReason::Target, 1, 2));
        assert!((got.exit_price - 102.0).abs() < 1e-9);
        assert!((got.gross_bps - 200.0).abs() < 1e-9);
        // 11 at the entry, 9 at an exit notional of 1.02 entry notionals.
        assert!((got.cost_bps - (11.0 + 9.0 * 1.02)).abs() < 1e-9);
        assert!((got.net_bps - (got.gross_bps - got.cost_bps)).abs() < 1e-12);
        assert_eq!(got.known_at, Timestamp::from_millis(180_000));
    }

    #[test]
    fn touching_the_target_is_not_trading_through_it() {
        let got = run(&[QUIET, [100.0, 102.0, 100.0, 101.0], QUIET, QUIET]).unwrap();
        assert_eq!(got.exit, ExitReason::HoldLimit);
    }

    #[test]
    fn when_both_are_touched_the_stop_came_first() {
        let got = run(&[QUIET, [100.0, 103.0, 98.0, 102.5], QUIET, QUIET]).unwrap();
        assert_eq!((got.exit, got.exit_price), (ExitReason::Stop, 99.0));
    }

    #[test]
    fn a_gap_through_the_stop_exits_at_the_gap() {
        let got = run(&[QUIET, QUIET, [97.0, 97.5, 96.0, 97.0], QUIET]).unwrap();
        assert_eq!((got.exit, got.exit_price), (ExitReason::Stop, 97.0));
    }

    #[test]
    fn the_deciding_bar_itself_never_fills() {
        let wild = [100.0, 150.0, 50.0, 100.0];
        assert_eq!(run(&[wild, QUIET, QUIET, QUIET]).unwrap().exit, ExitReason::HoldLimit);
    }

    #[test]
    fn the_hold_limit_exits_at_the_close_and_missing_data_is_no_label() {
        let got = run(&[QUIET, QUIET, QUIET, [100.0, 101.0, 99.5, 100.7]]).unwrap();
        assert_eq!((got.exit, got.exit_bar, got.exit_price), (ExitReason::HoldLimit, 3, 100.7));
        assert_eq!(run(&[QUIET, QUIET, QUIET]), None);
        assert_eq!(label(&bars(&[QUIET; 6]), 0, 6, 0.0, &BRACKET, &COSTS), None);
        assert_eq!(label(&bars(&[QUIET; 6]), 0, 3, 50.0, &BRACKET, &COSTS), None, "a gap ends the stretch");
    }

    #[test]
    fn the_break_even_win_rate_counts_costs() {
        let free = CostAssumption { entry_fee_bps: 0.0, exit_fee_bps: 0.0, half_spread_bps: 0.0 };
        // Target 20, stop 15, ten bps of costs: 25 / 35.
        let bracket = Bracket { horizon_bars: 1, hold_bars: 1, target_sigma: 2.0, stop_sigma: 1.5 };
        let ten = CostAssumption { entry_fee_bps: 4.0, exit_fee_bps: 4.0, half_spread_bps: 1.0 };
        assert!((bracket.break_even_win_rate(10.0, &ten) - 25.0 / 35.0).abs() < 1e-12);
        assert!((bracket.break_even_win_rate(10.0, &free) - 15.0 / 35.0).abs() < 1e-12);
        assert_eq!(bracket.break_even_win_rate(0.0, &ten), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn nothing_after_the_exit_matters(
            steps in prop::collection::vec((-150.0..150.0f64, 0.0..80.0f64, 0.0..80.0f64), 12..40), noise in 1.0..9.0f64
        ) {
            let mut price = 100.0;
            let rows: Vec<[f64; 4]> = steps.iter().map(|(move_bps, up, down)| {
                let open = price;
                price *= 1.0 + move_bps / 1e4;
                [open, open.max(price) * (1.0 + up / 1e4), open.min(price) * (1.0 - down / 1e4), price]
            }).collect();
            let whole = run(&rows).expect("long enough");
            let mut changed = rows.clone();
            for row in &mut changed[whole.exit_bar + 1..] {
                *row = row.map(|p| p * noise);
            }
            prop_assert_eq!(run(&changed), Some(whole));
            prop_assert_eq!(run(&rows[..=whole.exit_bar]), Some(whole));
            prop_assert!((whole.gross_bps - whole.cost_bps - whole.net_bps).abs() < 1e-9);
            prop_assert!(whole.worst_bps <= whole.gross_bps + 1e-9 && whole.gross_bps <= whole.best_bps + 1e-9);
        }
    }
}
