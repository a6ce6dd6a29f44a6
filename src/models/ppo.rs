//! Proximal policy optimisation: steps are collected with the current policy, then `update` improves it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::error::{ModelError, setting};
use super::network::{Batch, Losses, Network};
use super::policy::{Choice, Policy};
use super::rollout::{Rollout, generalised_advantages};

/// How the policy is trained; the defaults are the paper's and Stable-Baselines3's, but for a small entropy bonus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// Widths of the two shared tanh layers.
    pub hidden: [usize; 2],
    pub learning_rate: f64,
    /// Discount per step.
    pub gamma: f64,
    /// Weight of longer advantage estimates.
    pub lambda: f64,
    /// How far a probability ratio may gain, e.g. 0.2 for [0.8, 1.2].
    pub clip: f64,
    pub entropy_coefficient: f64,
    pub value_coefficient: f64,
    /// Passes over the rollout per update.
    pub epochs: usize,
    pub minibatch: usize,
    /// Limit of the common norm of all gradients.
    pub max_grad_norm: f64,
    pub seed: u64,
}

impl Default for PpoConfig {
    fn default() -> Self {
        Self {
            hidden: [64, 64],
            learning_rate: 3e-4,
            gamma: 0.99,
            lambda: 0.95,
            clip: 0.2,
            entropy_coefficient: 0.01,
            value_coefficient: 0.5,
            epochs: 10,
            minibatch: 64,
            max_grad_norm: 0.5,
            seed: 1,
        }
    }
}

/// What one update did: means over all its minibatches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpdateStats {
    /// Negative clipped surrogate.
    pub policy_loss: f64,
    /// Mean squared error of the value, in squared reward units.
    pub value_loss: f64,
    /// Mean entropy of the masked policy, in nats.
    pub entropy: f64,
    /// Estimated divergence from the policy that collected the rollout, in nats.
    pub kl: f64,
    /// Share of steps whose ratio left the clip range.
    pub clip_fraction: f64,
}

/// A policy in training. Everything random comes from the seed and, for actions, from the caller's generator.
pub struct Trainer {
    config: PpoConfig,
    network: Network,
    shuffle: ChaCha8Rng,
    /// The network's weights after the last update.
    policy: Policy,
}

impl Trainer {
    /// # Errors
    /// Settings or sizes out of range.
    pub fn new(state_dim: usize, actions: usize, config: PpoConfig) -> Result<Self, ModelError> {
        config.check()?;
        setting((1..=4_096).contains(&state_dim), "state_dim", "1 to 4096")?;
        setting((2..=256).contains(&actions), "actions", "2 to 256")?;
        let mut shuffle = ChaCha8Rng::seed_from_u64(config.seed);
        let network = Network::new(state_dim, actions, &config, &mut shuffle);
        let policy = network.policy();
        Ok(Self { config, network, shuffle, policy })
    }

    /// The policy as it is now.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy.clone()
    }

    /// Draws an allowed action with the current policy; `None` when the mask allows nothing.
    #[must_use]
    pub fn act(&self, state: &[f32], mask: &[bool], rng: &mut impl Rng) -> Option<Choice> {
        self.policy.sample(state, mask, rng)
    }

    /// Improves the policy with a rollout that it collected. Advantages are scaled to mean 0 and deviation 1 over the rollout.
    ///
    /// # Errors
    /// A rollout that does not add up (then nothing has changed), or weights that are no longer finite (then the trainer is of no more use).
    pub fn update(&mut self, rollout: &Rollout) -> Result<UpdateStats, ModelError> {
        rollout.check(self.policy.state_dim(), self.policy.actions())?;
        let (mut advantages, returns) = generalised_advantages(rollout, self.config.gamma, self.config.lambda);
        standardise(&mut advantages);
        let mut order: Vec<usize> = (0..rollout.len()).collect();
        let (mut sums, mut batches) = (Losses::default(), 0.0);
        for _ in 0..self.config.epochs {
            shuffle(&mut order, &mut self.shuffle);
            for steps in order.chunks(self.config.minibatch) {
                let batch = self.gather(rollout, steps, &advantages, &returns);
                sums.add(&self.network.train(&batch, &self.config));
                batches += 1.0;
            }
        }
        let policy = self.network.policy();
        policy.check().map_err(|_| ModelError::Diverged)?;
        self.policy = policy;
        Ok(UpdateStats {
            policy_loss: sums.policy / batches,
            value_loss: sums.value / batches,
            entropy: sums.entropy / batches,
            kl: sums.kl / batches,
            clip_fraction: sums.clipped / batches,
        })
    }

    fn gather(&self, rollout: &Rollout, steps: &[usize], advantages: &[f32], returns: &[f32]) -> Batch {
        let (width, actions) = (self.policy.state_dim(), self.policy.actions());
        Batch {
            size: steps.len(),
            states: steps.iter().flat_map(|&t| &rollout.states[t * width..(t + 1) * width]).copied().collect(),
            actions: steps.iter().map(|&t| rollout.actions[t]).collect(),
            masks: steps.iter().flat_map(|&t| &rollout.masks[t * actions..(t + 1) * actions]).copied().collect(),
            old_log_probs: steps.iter().map(|&t| rollout.log_probs[t]).collect(),
            advantages: steps.iter().map(|&t| advantages[t]).collect(),
            returns: steps.iter().map(|&t| returns[t]).collect(),
        }
    }
}

impl Losses {
    fn add(&mut self, other: &Self) {
        self.policy += other.policy;
        self.value += other.value;
        self.entropy += other.entropy;
        self.kl += other.kl;
        self.clipped += other.clipped;
    }
}

impl PpoConfig {
    fn check(&self) -> Result<(), ModelError> {
        let unit = |x: f64| (0.0..=1.0).contains(&x);
        setting(self.hidden.iter().all(|h| (1..=1_024).contains(h)), "hidden", "1 to 1024 each")?;
        setting(self.learning_rate > 0.0 && self.learning_rate <= 1.0, "learning_rate", "above 0, at most 1")?;
        setting(unit(self.gamma), "gamma", "0 to 1")?;
        setting(unit(self.lambda), "lambda", "0 to 1")?;
        setting(self.clip > 0.0 && self.clip < 1.0, "clip", "between 0 and 1")?;
        setting(self.entropy_coefficient.is_finite() && self.entropy_coefficient >= 0.0, "entropy_coefficient", "0 or more")?;
        setting(self.value_coefficient.is_finite() && self.value_coefficient >= 0.0, "value_coefficient", "0 or more")?;
        setting((1..=1_000).contains(&self.epochs), "epochs", "1 to 1000")?;
        setting((1..=65_536).contains(&self.minibatch), "minibatch", "1 to 65536")?;
        setting(self.max_grad_norm.is_finite() && self.max_grad_norm > 0.0, "max_grad_norm", "above 0")
    }
}

/// Mean 0, deviation 1; all alike become 0.
fn standardise(numbers: &mut [f32]) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let spread = (numbers.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count).sqrt();
    numbers.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / (spread + 1e-8)) as f32);
}

/// Fisher–Yates.
fn shuffle(order: &mut [usize], rng: &mut ChaCha8Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds one step to a rollout.
    fn record(rollout: &mut Rollout, state: &[f32], mask: &[bool], choice: Choice, reward: f32, done: bool) {
        rollout.states.extend(state);
        rollout.masks.extend(mask);
        rollout.actions.push(choice.action);
        rollout.log_probs.push(choice.log_prob);
        rollout.values.push(choice.value);
        rollout.rewards.push(reward);
        rollout.dones.push(done);
    }

    fn quick(seed: u64) -> PpoConfig {
        PpoConfig { hidden: [16, 16], learning_rate: 3e-3, seed, ..PpoConfig::default() }
    }

    /// One state, three arms that pay 0, 1 and 0.2.
    fn train_bandit(seed: u64, updates: usize) -> (Trainer, Vec<UpdateStats>) {
        let mut trainer = Trainer::new(1, 3, quick(seed)).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed + 100);
        let mut stats = Vec::new();
        for _ in 0..updates {
            let mut rollout = Rollout::default();
            for _ in 0..128 {
                let choice = trainer.act(&[1.0], &[true; 3], &mut rng).unwrap();
                record(&mut rollout, &[1.0], &[true; 3], choice, [0.0, 1.0, 0.2][usize::from(choice.action)], true);
            }
            stats.push(trainer.update(&rollout).unwrap());
        }
        (trainer, stats)
    }

    #[test]
    fn a_bandits_best_arm_is_learned() {
        let (trainer, stats) = train_bandit(1, 20);
        let (p, value) = trainer.policy().forward(&[1.0]);
        assert!(p[1] > 0.9, "{p:?}");
        assert!((value - 1.0).abs() < 0.2, "{value}");
        let (first, last) = (stats[0], stats[19]);
        assert!(first.entropy > last.entropy && first.value_loss > last.value_loss);
        assert!(stats.iter().all(|s| s.kl >= 0.0 && (0.0..=1.0).contains(&s.clip_fraction)));
    }

    #[test]
    fn the_same_seed_gives_identical_weights() {
        let (first, stats) = train_bandit(5, 3);
        let (second, again) = train_bandit(5, 3);
        assert_eq!(first.policy(), second.policy());
        assert_eq!(stats, again);
        assert_ne!(first.policy(), train_bandit(6, 3).0.policy());
    }

    /// Wide layers take the matrix library's parallel path.
    #[test]
    fn wide_layers_train_to_identical_weights_too() {
        let train = || {
            let mut trainer = Trainer::new(40, 3, PpoConfig { hidden: [160, 160], epochs: 3, ..PpoConfig::default() }).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(4);
            let mut rollout = Rollout::default();
            for step in 0..256u32 {
                let state: Vec<f32> = (0..40).map(|i| (((step * 31 + i * 17) % 97) as f32 - 48.0) / 48.0).collect();
                let choice = trainer.act(&state, &[true; 3], &mut rng).unwrap();
                record(&mut rollout, &state, &[true; 3], choice, state[usize::from(choice.action)], step % 50 == 49);
            }
            trainer.update(&rollout).unwrap();
            trainer.policy()
        };
        assert_eq!(train(), train());
    }

    /// Six cells in a row, start at 0; each step costs 0.05, the right end pays 1. The wall on the left is a mask.
    #[test]
    fn a_corridor_is_walked_to_its_end() {
        const CELLS: usize = 6;
        let see = |cell: usize| -> Vec<f32> { (0..CELLS).map(|c| if c == cell { 1.0 } else { 0.0 }).collect() };
        let mut trainer = Trainer::new(CELLS, 2, quick(3)).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut cell = 0;
        for _ in 0..20 {
            let mut rollout = Rollout::default();
            for _ in 0..256 {
                let (state, mask) = (see(cell), [cell > 0, true]);
                let choice = trainer.act(&state, &mask, &mut rng).unwrap();
                cell = if choice.action == 1 { cell + 1 } else { cell - 1 };
                let done = cell == CELLS - 1;
                record(&mut rollout, &state, &mask, choice, if done { 1.0 } else { -0.05 }, done);
                cell = if done { 0 } else { cell };
            }
            rollout.last_value = trainer.policy().forward(&see(cell)).1;
            trainer.update(&rollout).unwrap();
        }
        let policy = trainer.policy();
        for cell in 0..CELLS - 1 {
            assert!(policy.forward_masked(&see(cell), &[cell > 0, true]).0[1] > 0.8, "cell {cell}");
        }
        assert!(policy.forward(&see(4)).1 > policy.forward(&see(0)).1);
    }

    #[test]
    fn a_bad_rollout_changes_nothing() {
        let (mut trainer, _) = train_bandit(2, 1);
        let before = trainer.policy();
        assert!(matches!(trainer.update(&Rollout::default()), Err(ModelError::TooFewRows { .. })));
        assert_eq!(trainer.policy(), before);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let wrong = PpoConfig { clip: 1.5, ..PpoConfig::default() };
        assert!(matches!(Trainer::new(3, 2, wrong), Err(ModelError::Setting { name: "clip", .. })));
        assert!(matches!(Trainer::new(3, 1, PpoConfig::default()), Err(ModelError::Setting { name: "actions", .. })));
    }

    #[test]
    fn a_shuffle_keeps_every_step() {
        let mut order: Vec<usize> = (0..100).collect();
        shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(1));
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
