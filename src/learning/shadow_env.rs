//! The policy's world: at each row it skips or enters, holds or exits; the exchange fills its orders; the reward is the change of net P&L.
//!
//! A choice made at a row's close is carried out at the next bar's open; then the bars up to the next row are walked. The rewards of a
//! trade sum to what it made net, in bps of its notional: costs come in once, when they are paid.

use super::config::TrainConfig;
use super::dataset::Dataset;
use super::equity::Trade;
use super::series::SymbolSeries;
use super::shadow_market::ShadowMarket;
use crate::models::position_state::{ENTER, EXIT, PositionState};

/// A walk over consecutive rows of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub series: usize,
    /// First and last row, as positions among the rows of the series; nothing is decided at the last.
    pub first: usize,
    pub last: usize,
}

/// What one choice led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Change of net P&L, bps of the notional.
    pub reward_bps: f64,
    /// The segment or a gapless stretch ended; an open position was closed.
    pub done: bool,
    /// A trade that ended in this step, with the row that it was decided at.
    pub trade: Option<(usize, Trade)>,
}

pub struct ShadowEnv<'a> {
    data: &'a Dataset,
    hold_bars: f64,
    horizon_root: f64,
    markets: Vec<ShadowMarket<'a>>,
    /// Rows of each series, in order of time.
    rows_of: Vec<Vec<usize>>,
    segment: Segment,
    at: usize,
    entered_at: usize,
}

impl<'a> ShadowEnv<'a> {
    #[must_use]
    pub fn new(series: &'a [SymbolSeries], data: &'a Dataset, config: &TrainConfig) -> Self {
        let market = |(index, one): (usize, &'a SymbolSeries)| {
            ShadowMarket::new(index, one, &data.bars[index], config.bracket, config.half_spread_bps, config.policy.notional)
        };
        let mut rows_of = vec![Vec::new(); series.len()];
        data.rows.iter().enumerate().for_each(|(index, row)| rows_of[row.series].push(index));
        Self {
            data,
            hold_bars: f64::from(config.bracket.hold_bars.max(1)),
            horizon_root: f64::from(config.bracket.horizon_bars).sqrt(),
            markets: series.iter().enumerate().map(market).collect(),
            rows_of,
            segment: Segment { series: 0, first: 0, last: 0 },
            at: 0,
            entered_at: 0,
        }
    }

    /// Rows of a series, in order of time.
    #[must_use]
    pub fn rows_of(&self, series: usize) -> &[usize] {
        &self.rows_of[series]
    }

    /// Starts flat at the segment's first row.
    pub fn begin(&mut self, segment: Segment) {
        self.segment = segment;
        self.at = segment.first;
        debug_assert!(!self.markets[segment.series].in_position(), "every segment ends flat");
    }

    /// Position among the rows of the series.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    #[must_use]
    pub fn row(&self) -> usize {
        self.rows_of[self.segment.series][self.at]
    }

    /// The position part of the state; the features are those of `row`.
    #[must_use]
    pub fn position(&self) -> PositionState {
        let row = &self.data.rows[self.row()];
        let sigma = |bar_sigma_bps: f64| bar_sigma_bps * self.horizon_root;
        let standing = self.markets[row.series].standing(row.bar);
        PositionState {
            held: standing.map(|s| (s.bars_held as f64 / self.hold_bars, s.unrealised_bps / sigma(s.bar_sigma_bps))),
            cost_sigmas: self.data.costs[row.series].round_trip_bps() / sigma(row.bar_sigma_bps),
        }
    }

    /// Carries out `action` and walks to the next row.
    pub fn step(&mut self, action: u16) -> Step {
        let index = self.row();
        let row = self.data.rows[index];
        let next = self.data.rows[self.rows_of[row.series][self.at + 1]].bar;
        let end = self.data.stretch_end[index];
        let last_bar = next.min(end - 1);
        let market = &mut self.markets[row.series];
        let before = market.mark_bps(row.bar);
        let first_bar = row.bar + 1;
        let mut trade = None;
        if action == EXIT {
            trade = market.leave(first_bar);
        } else if action == ENTER && market.enter(first_bar, row.bar_sigma_bps) {
            self.entered_at = index;
        }
        for bar in first_bar..=last_bar {
            trade = trade.or_else(|| market.walk(bar));
        }
        self.at += 1;
        let done = self.at >= self.segment.last || next >= end;
        if done && trade.is_none() {
            trade = market.end(last_bar);
        }
        let after = trade.map_or_else(|| market.mark_bps(last_bar), |t| t.outcome.net_bps);
        Step { reward_bps: after - before, done, trade: trade.map(|t| (self.entered_at, t)) }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::fixture;
    use super::*;

    fn world(series: &[SymbolSeries]) -> (TrainConfig, Dataset) {
        let mut config = TrainConfig::default();
        config.rows.min_rows = 100;
        let data = Dataset::build(series, &config, &mut fixture::silent(&mut |_| {})).unwrap();
        (config, data)
    }

    /// Walks the whole series with random allowed actions.
    fn wander(env: &mut ShadowEnv, seed: u64) -> (f64, Vec<Trade>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let last = env.rows_of(0).len() - 1;
        let (mut sum, mut trades, mut first) = (0.0, Vec::new(), 0);
        while first < last {
            env.begin(Segment { series: 0, first, last });
            loop {
                let mask = env.position().mask();
                let action = if mask[0] { rng.random_range(0..2) } else { 2 + u16::from(rng.random_range(0..10) == 0) };
                assert!(mask[usize::from(action)]);
                let step = env.step(action);
                sum += step.reward_bps;
                trades.extend(step.trade.map(|(row, t)| {
                    assert_eq!(env.data.rows[row].bar, t.decision_bar);
                    t
                }));
                if step.done {
                    break;
                }
            }
            first = env.at();
        }
        (sum, trades)
    }

    #[test]
    fn rewards_sum_to_what_the_trades_made_net() {
        let mut holed = fixture::noise(6_000, 9);
        holed.candles.drain(3_000..3_200);
        let series = [holed];
        let (config, data) = world(&series);
        let (sum, trades) = wander(&mut ShadowEnv::new(&series, &data, &config), 1);
        assert!(trades.len() > 100);
        let net: f64 = trades.iter().map(|t| t.outcome.net_bps).sum();
        assert!((sum - net).abs() < 1e-6 * net.abs().max(1.0), "{sum} {net}");
        assert!(trades.iter().all(|t| t.outcome.cost_bps > 0.0 && t.outcome.entry_bar == t.decision_bar + 1));
        assert!(trades.windows(2).all(|w| w[1].outcome.entry_bar >= w[0].outcome.exit_bar));
        let crosses = |t: &Trade| t.outcome.entry_bar < 3_000 && t.outcome.exit_bar >= 3_000;
        assert!(!trades.iter().any(crosses), "no position is carried over a hole");
    }

    #[test]
    fn skipping_for_ever_makes_nothing() {
        let series = [fixture::noise(2_000, 9)];
        let (config, data) = world(&series);
        let mut env = ShadowEnv::new(&series, &data, &config);
        env.begin(Segment { series: 0, first: 0, last: 50 });
        let steps: Vec<Step> = (0..50).map(|_| env.step(0)).collect();
        assert!(steps.iter().all(|s| s.reward_bps == 0.0 && s.trade.is_none()));
        assert!(steps[49].done && !steps[48].done);
    }
}
