//! What a result was worth: ratios of the marked equity, and statistics of its trades. Definitions in DESIGN words:
//! Sharpe = mean / sample sigma (n - 1) x sqrt(periods per year); Sortino = mean / sqrt(sum min(r, 0)^2 / n) x sqrt(periods per year);
//! drawdown and CAGR from an equity that starts at 1; CAGR = equity^(periods per year / n) - 1; Calmar = CAGR / max drawdown.
//!
//! Whatever cannot be computed is `None`, never a NaN or an infinity: JSON has neither.

use serde::{Deserialize, Serialize};

/// Ratios of a series of periodic returns.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Performance {
    pub periods: usize,
    pub periods_per_year: f64,
    /// Last equity less 1, as a fraction.
    pub total_return: f64,
    /// `None` with fewer than two returns or without variation.
    pub sharpe: Option<f64>,
    /// `None` without a losing period.
    pub sortino: Option<f64>,
    /// Sample sigma of the returns, annualised, as a fraction.
    pub volatility: Option<f64>,
    /// The deepest fall from a peak, as a positive fraction of the peak.
    pub max_drawdown: f64,
    /// `None` without returns, or beyond the range of a float.
    pub cagr: Option<f64>,
    /// `None` without a drawdown.
    pub calmar: Option<f64>,
}

impl Performance {
    /// From periodic simple returns, oldest first.
    #[must_use]
    pub fn of_returns(returns: &[f64], periods_per_year: f64) -> Self {
        let n = returns.len();
        let (mut equity, mut peak, mut max_drawdown) = (1.0_f64, 1.0_f64, 0.0_f64);
        for r in returns {
            equity *= 1.0 + r;
            peak = peak.max(equity);
            max_drawdown = max_drawdown.max(1.0 - equity / peak);
        }
        let cagr = if n == 0 || equity < 0.0 { None } else { finite(libm::pow(equity, periods_per_year / n as f64) - 1.0) };
        let calmar = cagr.filter(|_| max_drawdown > 0.0).and_then(|c| finite(c / max_drawdown));
        let year = periods_per_year.sqrt();
        let mean = mean(returns);
        let sigma = sample_sigma(returns);
        let downside = (returns.iter().map(|r| r.min(0.0).powi(2)).sum::<f64>() / n.max(1) as f64).sqrt();
        Self {
            periods: n,
            periods_per_year,
            total_return: equity - 1.0,
            sharpe: mean.zip(sigma).filter(|(_, s)| *s > 0.0).and_then(|(m, s)| finite(m / s * year)),
            sortino: mean.filter(|_| downside > 0.0).and_then(|m| finite(m / downside * year)),
            volatility: sigma.and_then(|s| finite(s * year)),
            max_drawdown,
            cagr,
            calmar,
        }
    }

    /// From marked equity, oldest first; the first value is the starting equity. A value that is not positive ends the series there.
    #[must_use]
    pub fn of_equity(equity: &[f64], periods_per_year: f64) -> Self {
        let sound = equity.iter().position(|e| !(e.is_finite() && *e > 0.0)).unwrap_or(equity.len());
        let mut returns: Vec<f64> = equity[..sound].windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
        if sound > 0 && sound < equity.len() {
            returns.push(-1.0);
        }
        Self::of_returns(&returns, periods_per_year)
    }
}

/// What one closed trade made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TradeResult {
    /// In money; of simulated trades that all stake the same, in stakes.
    pub net: f64,
    /// In bps of the entry notional.
    pub net_bps: f64,
}

impl TradeResult {
    /// Of a trade that stakes as much as every other one.
    #[must_use]
    pub fn of_equal_stake(net_bps: f64) -> Self {
        Self { net: net_bps / 1e4, net_bps }
    }
}

/// Statistics of closed trades. What they made is weighed by money; whatever ends in `_bps` weighs every trade alike.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TradeStats {
    pub trades: usize,
    pub wins: usize,
    pub losses: usize,
    pub hit_rate: Option<f64>,
    /// Sum of wins, and of losses (as a positive number), in money (in stakes where all stake the same).
    pub gross_wins: f64,
    pub gross_losses: f64,
    /// `gross_wins` / `gross_losses`: above 1 exactly when the trades made money. `None` without a loss: see `gross_wins` then.
    pub profit_factor: Option<f64>,
    /// Mean net result of a trade, of a winning and of a losing one.
    pub expectancy_bps: Option<f64>,
    pub mean_win_bps: Option<f64>,
    pub mean_loss_bps: Option<f64>,
}

impl TradeStats {
    #[must_use]
    pub fn of(trades: &[TradeResult]) -> Self {
        let bps = |which: fn(f64) -> bool| trades.iter().map(|t| t.net_bps).filter(|n| which(*n)).collect::<Vec<f64>>();
        let (wins, losses) = (bps(|n| n > 0.0), bps(|n| n < 0.0));
        // The sum of nothing is -0.
        let money = |side: f64| 0.0 + trades.iter().map(|t| (t.net * side).max(0.0)).sum::<f64>();
        let (gross_wins, gross_losses) = (money(1.0), money(-1.0));
        Self {
            trades: trades.len(),
            wins: wins.len(),
            losses: losses.len(),
            hit_rate: share(wins.len(), trades.len()),
            gross_wins,
            gross_losses,
            profit_factor: if gross_losses > 0.0 { finite(gross_wins / gross_losses) } else { None },
            expectancy_bps: mean(&bps(|_| true)),
            mean_win_bps: mean(&wins),
            mean_loss_bps: mean(&losses),
        }
    }

    /// The profit factor as a number to compare: infinite with wins and no loss, zero without either.
    #[must_use]
    pub fn profit_factor_or_bound(&self) -> f64 {
        match self.profit_factor {
            Some(factor) => factor,
            None if self.gross_wins > 0.0 => f64::INFINITY,
            None => 0.0,
        }
    }
}

/// How much of the time and of the capital was used.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Share of bars with a position, 0 to 1.
    pub exposure: Option<f64>,
    /// Bought and sold notional in multiples of the mean equity, per year.
    pub turnover_per_year: Option<f64>,
}

impl Usage {
    /// `held` of `available` bars (of all markets) with a position; `traded`: both sides' notionals in multiples of the equity.
    #[must_use]
    pub fn of(held: usize, available: usize, traded: f64, years: f64) -> Self {
        Self { exposure: share(held, available), turnover_per_year: if years > 0.0 { finite(traded / years) } else { None } }
    }
}

/// `None` for nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() { None } else { finite(values.iter().sum::<f64>() / values.len() as f64) }
}

/// Sample standard deviation (n - 1); exactly zero when the values differ by rounding only; `None` with fewer than two.
fn sample_sigma(values: &[f64]) -> Option<f64> {
    let centre = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    let sigma = (squares / (values.len() - 1) as f64).sqrt();
    let largest = values.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
    finite(if sigma <= largest * 1e-12 { 0.0 } else { sigma })
}

fn share(part: usize, whole: usize) -> Option<f64> {
    if whole == 0 { None } else { Some(part as f64 / whole as f64) }
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64) {
        let a = a.expect("a number");
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn ratios_equal_the_hand_calculation() {
        // Mean 0.01; deviations 0, 0.02, -0.03, 0.01: squares 0.0014, sigma sqrt(0.0014 / 3).
        let returns = [0.01, 0.03, -0.02, 0.02];
        let got = Performance::of_returns(&returns, 365.0);
        close(got.sharpe, 0.01 / (0.0014_f64 / 3.0).sqrt() * 365.0_f64.sqrt());
        // Downside: sqrt(0.0004 / 4) = 0.01.
        close(got.sortino, 365.0_f64.sqrt());
        close(got.volatility, (0.0014_f64 / 3.0).sqrt() * 365.0_f64.sqrt());
        let equity: f64 = 1.01 * 1.03 * 0.98 * 1.02;
        assert!((got.total_return - (equity - 1.0)).abs() < 1e-12);
        assert!((got.max_drawdown - 0.02).abs() < 1e-12);
        close(got.cagr, equity.powf(365.0 / 4.0) - 1.0);
        close(got.calmar, (equity.powf(365.0 / 4.0) - 1.0) / 0.02);
    }

    #[test]
    fn the_first_peak_is_the_starting_equity() {
        let got = Performance::of_equity(&[200.0, 150.0, 180.0], 365.0);
        assert!((got.max_drawdown - 0.25).abs() < 1e-12);
        assert!((got.total_return + 0.1).abs() < 1e-12);
        assert_eq!(got.periods, 2);
    }

    #[test]
    fn ruin_is_a_loss_of_everything() {
        let got = Performance::of_equity(&[1.0, 0.5, 0.0, 3.0], 365.0);
        assert_eq!((got.max_drawdown, got.total_return, got.cagr), (1.0, -1.0, Some(-1.0)));
    }

    #[test]
    fn degenerate_series_have_no_ratios_and_readable_json() {
        for returns in [&[][..], &[0.01], &[0.01; 5], &[0.0; 5]] {
            let got = Performance::of_returns(returns, 6_307_200.0);
            assert_eq!(got.sharpe, None, "{returns:?}");
            assert_eq!(got.sortino, None);
            assert_eq!(got.calmar, None);
            let text = serde_json::to_string(&got).unwrap();
            assert_eq!(serde_json::from_str::<Performance>(&text).unwrap(), got);
        }
        // 1.5 to the power of three million is no float.
        assert_eq!(Performance::of_returns(&[0.5, -0.1], 6_307_200.0).cagr, None);
        assert_eq!(Performance::of_returns(&[0.0; 5], 365.0).cagr, Some(0.0));
    }

    #[test]
    fn trade_statistics_equal_the_hand_calculation() {
        let got = TradeStats::of(&[30.0, -10.0, 20.0, -15.0, 0.0].map(TradeResult::of_equal_stake));
        assert_eq!((got.trades, got.wins, got.losses), (5, 2, 2));
        close(got.hit_rate, 0.4);
        close(got.profit_factor, 2.0);
        close(got.expectancy_bps, 5.0);
        close(got.mean_win_bps, 25.0);
        close(got.mean_loss_bps, -12.5);
    }

    #[test]
    fn the_profit_factor_is_above_one_exactly_when_the_trades_made_money() {
        // One large win of 10 bps, two small losses of 20: money was made, though the average trade lost.
        let trade = |notional: f64, net_bps: f64| TradeResult { net: notional * net_bps / 1e4, net_bps };
        let got = TradeStats::of(&[trade(1_000.0, 10.0), trade(50.0, -20.0), trade(100.0, -20.0)]);
        assert!((got.gross_wins - 1.0).abs() < 1e-12 && (got.gross_losses - 0.3).abs() < 1e-12, "{got:?}");
        close(got.profit_factor, 1.0 / 0.3);
        close(got.expectancy_bps, -10.0);
        close(got.mean_win_bps, 10.0);
        close(got.mean_loss_bps, -20.0);
    }

    #[test]
    fn without_losses_the_profit_factor_is_unbounded_and_without_trades_zero() {
        let winners = TradeStats::of(&[1.0, 2.0].map(TradeResult::of_equal_stake));
        assert_eq!((winners.profit_factor, winners.profit_factor_or_bound()), (None, f64::INFINITY));
        let nothing = TradeStats::of(&[]);
        assert_eq!((nothing.profit_factor, nothing.profit_factor_or_bound(), nothing.hit_rate), (None, 0.0, None));
    }

    #[test]
    fn usage_counts_time_and_notional() {
        let got = Usage::of(25, 100, 3.0, 0.5);
        close(got.exposure, 0.25);
        close(got.turnover_per_year, 6.0);
        assert_eq!(Usage::of(0, 0, 0.0, 0.0), Usage::default());
    }
}
