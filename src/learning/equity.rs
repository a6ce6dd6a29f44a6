//! Marked equity of a set of trades, bar by bar: each market has an equal share of the capital, rebalanced every bar.
//!
//! A trade is taken with the whole share. Its entry costs are paid at the entry, so they are in the first mark; between entry and exit
//! the position is marked at each bar's close; in the exit bar the share ends at what the trade made net.

use super::labels::Label;
use super::series::Bars;
use crate::domain::Timestamp;

/// One trade of a simulated rule or policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// Index of the series it traded.
    pub series: usize,
    /// Index of the bar at whose close it was decided.
    pub decision_bar: usize,
    pub outcome: Label,
    /// The entry's part of `outcome.cost_bps`.
    pub entry_cost_bps: f64,
}

/// The portfolio's returns and how much of the time was in the market.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Marked {
    /// One simple return per bar time at which any market had a bar.
    pub returns: Vec<f64>,
    /// Bars of all markets with a position, and bars of all markets.
    pub bars_held: usize,
    pub bars: usize,
    /// Bought and sold notional in multiples of the equity.
    pub traded: f64,
}

/// Marks `trades` over the bars that open in `[from, to)`. Trades of one series must not overlap; a trade outside the window is left out.
#[must_use]
pub fn marked(series: &[Bars], trades: &[Trade], from: Timestamp, to: Timestamp) -> Marked {
    let mut grid: Vec<Timestamp> = series.iter().flat_map(|b| b.open_time.iter().copied().filter(|t| *t >= from && *t < to)).collect();
    let bars = grid.len();
    grid.sort_unstable();
    grid.dedup();
    let mut out = Marked { returns: vec![0.0; grid.len()], bars_held: 0, bars, traded: 0.0 };
    let part = 1.0 / series.len().max(1) as f64;
    for trade in trades {
        let (bars, done) = (&series[trade.series], &trade.outcome);
        if bars.open_time[done.entry_bar] < from || bars.open_time[done.exit_bar] >= to {
            continue;
        }
        let mut value = 1.0;
        for bar in done.entry_bar..=done.exit_bar {
            let marked = match bar == done.exit_bar {
                true => 1.0 + done.net_bps / 1e4,
                false => bars.close[bar] / done.entry_price - trade.entry_cost_bps / 1e4,
            };
            if let Ok(slot) = grid.binary_search(&bars.open_time[bar]) {
                out.returns[slot] += (marked / value - 1.0) * part;
            }
            value = marked;
            out.bars_held += 1;
        }
        out.traded += (1.0 + done.exit_price / done.entry_price) * part;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ExitReason, Interval};
    use crate::learning::metrics::Performance;

    fn flat_bars(close: &[f64]) -> Bars {
        let open_time = (0..close.len() as i64).map(|i| Timestamp::from_millis(i * 60_000)).collect();
        let column = close.to_vec();
        Bars { interval: Interval::MINUTE, open_time, open: column.clone(), high: column.clone(), low: column.clone(), close: column }
    }

    fn trade(series: usize, entry_bar: usize, exit_bar: usize, entry_price: f64, exit_price: f64) -> Trade {
        let gross_bps = (exit_price / entry_price - 1.0) * 1e4;
        let outcome = Label {
            entry_bar,
            exit_bar,
            entry_price,
            exit_price,
            gross_bps,
            cost_bps: 20.0,
            net_bps: gross_bps - 20.0,
            exit: ExitReason::Signal,
            known_at: Timestamp::from_millis((exit_bar as i64 + 1) * 60_000),
            worst_bps: 0.0,
            best_bps: 0.0,
        };
        Trade { series, decision_bar: entry_bar - 1, outcome, entry_cost_bps: 12.0 }
    }

    #[test]
    fn marks_follow_the_closes_and_end_at_the_net_result() {
        let bars = [flat_bars(&[100.0, 100.0, 101.0, 99.0, 103.0, 103.0])];
        let got = marked(&bars, &[trade(0, 2, 4, 100.0, 102.0)], Timestamp::EPOCH, Timestamp::MAX);
        let equity: Vec<f64> = got
            .returns
            .iter()
            .scan(1.0, |e, r| {
                Some({
                    *e *= 1.0 + r;
                    *e
                })
            })
            .collect();
        let want = [1.0, 1.0, 1.01 - 0.0012, 0.99 - 0.0012, 1.02 - 0.002, 1.018];
        for (have, want) in equity.iter().zip(want) {
            assert!((have - want).abs() < 1e-12, "{have} {want}");
        }
        assert_eq!((got.bars_held, got.bars), (3, 6));
        assert!((got.traded - 2.02).abs() < 1e-12);
        // The open loss between the marks is a drawdown even though the trade won.
        assert!(Performance::of_returns(&got.returns, 525_600.0).max_drawdown > 0.019);
    }

    #[test]
    fn two_markets_share_the_capital_and_the_window_is_kept() {
        let bars = [flat_bars(&[100.0; 6]), flat_bars(&[50.0; 6])];
        let trades = [trade(0, 1, 1, 100.0, 101.0), trade(1, 1, 1, 50.0, 50.0), trade(1, 5, 5, 50.0, 60.0)];
        let got = marked(&bars, &trades, Timestamp::EPOCH, Timestamp::from_millis(300_000));
        assert_eq!((got.returns.len(), got.bars, got.bars_held), (5, 10, 2));
        assert!((got.returns[1] - (0.008 - 0.002) / 2.0).abs() < 1e-12);
        assert!(got.returns.iter().enumerate().all(|(i, r)| i == 1 || *r == 0.0));
    }
}
