//! The policy: learns by PPO from shadow trades of the earlier part of the history, and is judged on the later part.
//!
//! The policy that is judged is the policy that is kept. Judged trades take the most probable action, learning ones draw.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::dataset::Dataset;
use super::equity::Trade;
use super::error::LearningError;
use super::gates;
use super::labels::CostAssumption;
use super::metrics::{Performance, TradeStats, Usage, mean};
use super::progress::Watch;
use super::series::SymbolSeries;
use super::shadow_env::{Segment, ShadowEnv};
use super::train::{Experiment, Lineage, record};
use super::train_trees::judge_equity;
use crate::domain::{Episode, Origin, Span, Timestamp};
use crate::market::features::VERSION;
use crate::memory::situation;
use crate::models::position_state::{ACTIONS, POSITION_NAMES};
use crate::models::{Artifact, Policy, PolicyArtifact, Rollout, Standardiser, Trainer, UpdateStats};
use crate::protocol::{ModelKind, ModelRecord};

/// Rows that a learning walk lasts at most.
const SEGMENT_ROWS: usize = 256;
/// Fewer rows than this in either part teach or prove nothing.
const MIN_PART: usize = 200;

/// What is said of the policy; trades and ratios are of the held-out period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    pub updates: Vec<UpdateStats>,
    pub learning_trades: usize,
    /// Mean net result of the trades in the first and in the last update.
    pub first_update_net_bps: Option<f64>,
    pub last_update_net_bps: Option<f64>,
    pub judged_from: Timestamp,
    pub judged_trades: usize,
    /// `None` when the policy never entered.
    pub judged_net_bps: Option<f64>,
    /// What entering at every row of the held-out period would have made on average: the market's own answer.
    pub every_entry_net_bps: Option<f64>,
    /// True when it made more than never trading at all: more than nothing.
    pub beats_staying_flat: bool,
    pub performance: Performance,
    pub trades: TradeStats,
    pub usage: Usage,
    pub cost_bps: f64,
}

/// The policy with its record, and its trades as episodes.
#[derive(Debug, Clone)]
pub struct TrainedPolicy {
    pub record: ModelRecord,
    pub report: PolicyReport,
    /// Judged trades, in order of time per series.
    pub trades: Vec<Trade>,
    pub episodes: Vec<Episode>,
    pub experiments: Vec<Experiment>,
}

/// Learns, judges, and remembers.
pub fn train_policy(
    series: &[SymbolSeries],
    data: &Dataset,
    config: &TrainConfig,
    lineage: &Lineage,
    watch: &mut Watch,
) -> Result<TrainedPolicy, LearningError> {
    let judged_from = split_time(data, config);
    let mut learner = Learner::new(series, data, config, judged_from)?;
    let mut trades = Vec::new();
    let (mut updates, mut experiments, mut means) = (Vec::new(), Vec::new(), Vec::new());
    for update in 0..config.policy.updates as usize {
        watch.step("policy", update, config.policy.updates as usize)?;
        let (stats, made) = learner.update(config.policy.steps_per_update as usize)?;
        let net: Vec<f64> = made.iter().map(|(_, t)| t.outcome.net_bps).collect();
        means.push(mean(&net));
        experiments.push(Experiment {
            kind: ModelKind::Policy,
            what: format!("policy update {}", update + 1),
            rows: config.policy.steps_per_update as usize,
            auc: None,
            trades: made.len(),
            net_bps: net.iter().fold(0.0, |sum, net| sum + net),
        });
        updates.push(stats);
        trades.extend(made);
    }
    watch.step("policy", config.policy.updates as usize, config.policy.updates as usize)?;
    let policy = learner.trainer.policy();
    let judged = learner.judge(&policy, judged_from);
    let learning_trades = trades.len();
    trades.extend(judged.iter().copied());
    let judged: Vec<Trade> = judged.into_iter().map(|(_, t)| t).collect();
    let (performance, stats, usage) = judge_equity(data, &judged, judged_from);
    let held_out: Vec<f64> = data.rows.iter().filter(|r| r.at >= judged_from).map(|r| r.label.net_bps).collect();
    let report = PolicyReport {
        updates,
        learning_trades,
        first_update_net_bps: means.first().copied().flatten(),
        last_update_net_bps: means.last().copied().flatten(),
        judged_from,
        judged_trades: judged.len(),
        judged_net_bps: stats.expectancy_bps,
        every_entry_net_bps: mean(&held_out),
        beats_staying_flat: performance.total_return > 0.0,
        performance,
        trades: stats,
        usage,
        cost_bps: data.costs.iter().map(CostAssumption::round_trip_bps).fold(0.0, f64::max),
    };
    let gates = gates::judge(&performance, &stats, &config.gates);
    let artifact = artifact(data, policy, learner.standardiser, report.cost_bps);
    let text = serde_json::to_string(&report).map_err(LearningError::Report)?;
    let record = record(data, &artifact, ModelKind::Policy, gates, text, lineage)?;
    let episodes = episodes(data, &trades, config.policy.max_episodes, lineage.first_episode);
    Ok(TrainedPolicy { record, report, trades: judged, episodes, experiments })
}

struct Learner<'a> {
    data: &'a Dataset,
    env: ShadowEnv<'a>,
    trainer: Trainer,
    standardiser: Standardiser,
    rng: ChaCha8Rng,
    /// How many rows of each series may be learned from.
    learnable: Vec<usize>,
    /// The bps that count as one unit of reward: the median sigma of the horizon.
    reward_unit_bps: f64,
    walking: bool,
}

impl<'a> Learner<'a> {
    fn new(series: &'a [SymbolSeries], data: &'a Dataset, config: &TrainConfig, judged_from: Timestamp) -> Result<Self, LearningError> {
        let embargo = data.interval.span().times(i64::from(config.walk_forward.embargo_bars));
        let env = ShadowEnv::new(series, data, config);
        // A walk ends, and its last trade with it, at its last row: nothing learned from reaches into the judged part.
        let last = judged_from - embargo;
        let learnable: Vec<usize> = (0..series.len()).map(|s| env.rows_of(s).partition_point(|r| data.rows[*r].at <= last)).collect();
        let judged = data.rows.iter().filter(|r| r.at >= judged_from).count();
        let have = learnable.iter().sum::<usize>().min(judged);
        if have < MIN_PART {
            let rows = (MIN_PART as f64 / config.policy.held_out_share).ceil() as usize;
            return Err(LearningError::TooFewRows { have, need: MIN_PART, candles_needed: rows * data.report.stride_bars });
        }
        let width = data.names.len() + POSITION_NAMES.len();
        let trainer = Trainer::new(width, ACTIONS.len(), config.policy.ppo.clone()).map_err(LearningError::Model)?;
        let root = f64::from(config.bracket.horizon_bars).sqrt();
        let reward_unit_bps = (data.report.median_bar_sigma_bps * root).max(f64::MIN_POSITIVE);
        let rng = ChaCha8Rng::seed_from_u64(config.policy.ppo.seed);
        let standardiser = Standardiser::identity(width);
        let mut out = Self { data, env, trainer, standardiser, rng, learnable, reward_unit_bps, walking: false };
        out.standardiser = out.learn_scale(config.policy.steps_per_update as usize)?;
        Ok(out)
    }

    /// The scale of the state: features as in all rows learned from, the position as an untrained policy finds itself.
    fn learn_scale(&mut self, steps: usize) -> Result<Standardiser, LearningError> {
        let positions: Vec<[f32; 4]> = (0..steps)
            .map(|_| {
                self.keep_walking();
                let position = self.env.position();
                let action = self.trainer.act(&self.state(), &position.mask(), &mut self.rng).map_or(0, |c| c.action);
                self.walking = !self.env.step(action).done;
                position.values()
            })
            .collect();
        self.finish_walk();
        let rows = (0..self.learnable.len()).flat_map(|s| &self.env.rows_of(s)[..self.learnable[s]]);
        let matrix: Vec<f32> =
            rows.zip(positions.iter().cycle()).flat_map(|(r, p)| self.data.row(*r).iter().chain(p).copied().collect::<Vec<_>>()).collect();
        Standardiser::fit(&matrix, self.data.names.len() + POSITION_NAMES.len()).map_err(LearningError::Model)
    }

    /// Standardised; what the source does not tell is at the mean.
    fn state(&self) -> Vec<f32> {
        let mut raw = self.data.row(self.env.row()).to_vec();
        raw.extend(self.env.position().values());
        let mut state = self.standardiser.apply(&raw);
        state.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 0.0);
        state
    }

    /// Begins a walk at a random learnable row when none is under way.
    fn keep_walking(&mut self) {
        if self.walking {
            return;
        }
        let total: usize = self.learnable.iter().map(|n| n.saturating_sub(1)).sum();
        let mut pick = (self.rng.next_u64() % total.max(1) as u64) as usize;
        let mut series = 0;
        while pick >= self.learnable[series].saturating_sub(1) {
            pick -= self.learnable[series].saturating_sub(1);
            series += 1;
        }
        let last = (pick + SEGMENT_ROWS).min(self.learnable[series] - 1);
        self.env.begin(Segment { series, first: pick, last });
        self.walking = true;
    }

    /// Stands aside until the walk ends.
    fn finish_walk(&mut self) {
        while self.walking {
            let action = if self.env.position().held.is_some() { crate::models::position_state::EXIT } else { 0 };
            self.walking = !self.env.step(action).done;
        }
    }

    /// Collects `steps` steps with the policy as it is and improves it; gives the trades that ended, with their rows.
    fn update(&mut self, steps: usize) -> Result<(UpdateStats, Vec<(usize, Trade)>), LearningError> {
        let (mut rollout, mut trades) = (Rollout::default(), Vec::new());
        for _ in 0..steps {
            self.keep_walking();
            let (state, mask) = (self.state(), self.env.position().mask());
            let Some(choice) = self.trainer.act(&state, &mask, &mut self.rng) else { continue };
            let step = self.env.step(choice.action);
            rollout.states.extend(state);
            rollout.masks.extend(mask);
            rollout.actions.push(choice.action);
            rollout.log_probs.push(choice.log_prob);
            rollout.values.push(choice.value);
            rollout.rewards.push((step.reward_bps / self.reward_unit_bps) as f32);
            rollout.dones.push(step.done);
            trades.extend(step.trade);
            self.walking = !step.done;
        }
        rollout.last_value = if self.walking { self.trainer.policy().forward(&self.state()).1 } else { 0.0 };
        let stats = self.trainer.update(&rollout).map_err(LearningError::Model)?;
        Ok((stats, trades))
    }

    /// Every held-out row of every series, with the most probable action.
    fn judge(&mut self, policy: &Policy, from: Timestamp) -> Vec<(usize, Trade)> {
        self.finish_walk();
        let mut trades = Vec::new();
        for series in 0..self.learnable.len() {
            let rows = self.env.rows_of(series);
            let mut first = rows.partition_point(|r| self.data.rows[*r].at < from);
            let last = rows.len().saturating_sub(1);
            while first < last {
                self.env.begin(Segment { series, first, last });
                loop {
                    let action = policy.best(&self.state(), &self.env.position().mask()).unwrap_or(0);
                    let step = self.env.step(action);
                    trades.extend(step.trade);
                    if step.done {
                        break;
                    }
                }
                first = self.env.at();
            }
        }
        trades
    }
}

/// The first moment that is kept for judging.
fn split_time(data: &Dataset, config: &TrainConfig) -> Timestamp {
    let whole = data.end().since(data.report.from).nanos() as f64;
    data.end() - Span::from_nanos((whole * config.policy.held_out_share) as i64)
}

fn artifact(data: &Dataset, policy: Policy, standardiser: Standardiser, cost_bps: f64) -> Artifact {
    let states = data.names.iter().cloned().chain(POSITION_NAMES.map(str::to_owned)).collect();
    let actions = ACTIONS.map(str::to_owned).to_vec();
    Artifact::Policy(PolicyArtifact { feature_version: VERSION, states, standardiser, policy, actions, interval: data.interval, cost_bps })
}

/// The newest `limit` trades as episodes, each situation once, in order of entry.
fn episodes(data: &Dataset, trades: &[(usize, Trade)], limit: usize, first: u64) -> Vec<Episode> {
    // By row: rows are in order of time. Of several trades from one row the last is kept: the maturer policy's.
    let by_row: BTreeMap<usize, &Trade> = trades.iter().map(|(row, trade)| (*row, trade)).collect();
    let skip = by_row.len().saturating_sub(limit);
    let episode = |(number, (index, trade)): (usize, (usize, &Trade))| {
        let (row, done) = (&data.rows[index], &trade.outcome);
        let vector = situation(data.row(index));
        let entry_time = data.bars[trade.series].open_time[done.entry_bar];
        Episode {
            number: first + number as u64,
            symbol: data.symbols[trade.series],
            origin: Origin::Shadow,
            entry_time,
            known_at: done.known_at,
            vector,
            feature_version: VERSION,
            regime: row.regime,
            gross_bps: done.gross_bps,
            cost_bps: done.cost_bps,
            net_bps: done.net_bps,
            held: done.known_at.since(entry_time),
            worst_bps: done.worst_bps,
            best_bps: done.best_bps,
            exit: done.exit,
        }
    };
    by_row.into_iter().skip(skip).enumerate().map(episode).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const UPDATES: u32 = 10;

    fn config() -> TrainConfig {
        let mut config = TrainConfig::default();
        config.policy.updates = UPDATES;
        config.policy.steps_per_update = 768;
        config.policy.ppo.learning_rate = 1e-3;
        config.policy.ppo.hidden = [32, 32];
        config
    }

    fn trained(drift_bps: f64, seed: u64) -> (Dataset, TrainedPolicy) {
        trained_for(UPDATES, 12_000, drift_bps, seed)
    }

    /// What does not ask for a policy that has learned much is asked of less.
    fn trained_for(updates: u32, candles: usize, drift_bps: f64, seed: u64) -> (Dataset, TrainedPolicy) {
        let series = [fixture::waves(candles, 11, drift_bps)];
        let mut config = config();
        config.policy.ppo.seed = seed;
        config.policy.updates = updates;
        let data = Dataset::build(&series, &config, &mut fixture::silent(&mut |_| {})).unwrap();
        let policy = train_policy(&series, &data, &config, &fixture::lineage(), &mut fixture::silent(&mut |_| {})).unwrap();
        (data, policy)
    }

    #[test]
    fn a_planted_drift_is_learned_and_the_judged_trades_make_money() {
        let (data, got) = trained(3.0, 1);
        let report = &got.report;
        assert!(report.judged_trades > 20 && report.judged_net_bps.unwrap() > 0.0, "{report:?}");
        assert!(report.judged_net_bps > report.every_entry_net_bps && report.beats_staying_flat);
        assert!(report.last_update_net_bps > report.first_update_net_bps);
        assert!(got.trades.iter().all(|t| data.bars[0].open_time[t.outcome.entry_bar] >= report.judged_from));
        let Artifact::Policy(artifact) = Artifact::load(&got.record.artifact, &got.record.id).unwrap() else { panic!("not a policy") };
        assert_eq!(artifact.states.len(), data.names.len() + 4);
        assert_eq!(serde_json::from_str::<PolicyReport>(&got.record.report).unwrap(), got.report);
    }

    #[test]
    fn a_market_without_memory_gives_a_policy_that_fails_its_gates() {
        let (_, got) = trained_for(4, 8_000, 0.0, 1);
        assert!(!got.record.gates_passed, "{:?}", got.record.gates);
    }

    #[test]
    fn episodes_are_shadow_trades_with_finite_vectors_in_order() {
        let (data, got) = trained_for(2, 8_000, 3.0, 2);
        assert!(got.episodes.len() > 50);
        assert!(got.episodes.iter().enumerate().all(|(n, e)| e.number == n as u64 && e.origin == Origin::Shadow));
        let until = got.report.judged_from;
        assert!(got.episodes.iter().all(|e| e.entry_time >= until || e.known_at <= until), "learning never reaches into the judged part");
        assert!(got.episodes.windows(2).all(|w| w[0].entry_time < w[1].entry_time));
        for e in &got.episodes {
            assert!(e.vector.len() == data.names.len() && e.vector.iter().all(|v| v.is_finite()));
            assert!(e.known_at > e.entry_time && (e.gross_bps - e.cost_bps - e.net_bps).abs() < 1e-9);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_policy() {
        let (_, a) = trained_for(2, 8_000, 0.0, 3);
        let (_, b) = trained_for(2, 8_000, 0.0, 3);
        assert_eq!((a.record, a.episodes), (b.record, b.episodes));
    }
}
