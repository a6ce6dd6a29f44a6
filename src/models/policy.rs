//! The trained policy as plain weights and loops: state in, action probabilities and value out.
//!
//! Shape: state (s) → tanh layer (h1) → tanh layer (h2) → action logits (a) and, from the same h2, value (1).

use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::error::{ModelError, consistent};

/// One affine layer: `out = bias + Σ_i input[i] · weight[i]`, `weight` row-major inputs × outputs, summed in the order of the inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Dense {
    pub inputs: u32,
    pub outputs: u32,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A policy with a value estimate; immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub(super) body: [Dense; 2],
    pub(super) actor: Dense,
    pub(super) critic: Dense,
}

/// One sampled action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    pub action: u16,
    /// Natural log of its probability under the policy and the mask.
    pub log_prob: f32,
    /// Expected discounted sum of future rewards, in reward units.
    pub value: f32,
}

impl Policy {
    /// Probabilities of all actions (length `actions()`, sum 1) and the value of `state` (length `state_dim()`).
    ///
    /// Components that are not finite, or that a short state lacks, are read as 0: the mean of a standardised feature.
    #[must_use]
    pub fn forward(&self, state: &[f32]) -> (Vec<f32>, f32) {
        let (logits, value) = self.logits(state);
        (softmax(&logits), value)
    }

    /// As `forward`, over the allowed actions only: forbidden ones have probability 0. With nothing allowed all are 0.
    #[must_use]
    pub fn forward_masked(&self, state: &[f32], mask: &[bool]) -> (Vec<f32>, f32) {
        let (logits, value) = self.logits(state);
        (softmax(&masked(logits, mask)), value)
    }

    /// The most probable allowed action (the lowest of equals); `None` when nothing is allowed.
    #[must_use]
    pub fn best(&self, state: &[f32], mask: &[bool]) -> Option<u16> {
        let logits = masked(self.logits(state).0, mask);
        let mut best: Option<(usize, f32)> = None;
        for (action, &logit) in logits.iter().enumerate() {
            if logit > f32::NEG_INFINITY && best.is_none_or(|(_, highest)| logit > highest) {
                best = Some((action, logit));
            }
        }
        best.map(|(action, _)| action as u16)
    }

    /// Draws an allowed action; uses exactly one number of `rng`. `None` (and no number) when nothing is allowed.
    #[must_use]
    pub fn sample(&self, state: &[f32], mask: &[bool], rng: &mut impl Rng) -> Option<Choice> {
        let (logits, value) = self.logits(state);
        let probabilities = softmax(&masked(logits, mask));
        let mut chosen = probabilities.iter().rposition(|p| *p > 0.0)?;
        // 24 random bits: every value is exact in f32 and below 1.
        let drawn = (rng.next_u32() >> 8) as f32 / 16_777_216.0;
        let mut below = 0.0;
        for (action, p) in probabilities.iter().enumerate() {
            below += p;
            if drawn < below {
                chosen = action;
                break;
            }
        }
        Some(Choice { action: chosen as u16, log_prob: libm::logf(probabilities[chosen]), value })
    }

    #[must_use]
    pub fn state_dim(&self) -> usize {
        self.body[0].inputs as usize
    }

    #[must_use]
    pub fn actions(&self) -> usize {
        self.actor.outputs as usize
    }

    fn logits(&self, state: &[f32]) -> (Vec<f32>, f32) {
        let clean: Vec<f32> = state.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
        let hidden = self.body.iter().fold(clean, |input, layer| {
            let mut out = layer.apply(&input);
            out.iter_mut().for_each(|v| *v = libm::tanhf(*v));
            out
        });
        let value = self.critic.apply(&hidden).first().copied().unwrap_or(0.0);
        (self.actor.apply(&hidden), value)
    }

    /// All layers, from the state to the heads.
    pub(super) fn layers(&self) -> [&Dense; 4] {
        [&self.body[0], &self.body[1], &self.actor, &self.critic]
    }

    /// Checks everything that `forward` relies on; for a policy that was read from storage.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        for layer in self.layers() {
            let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
            consistent((1..=65_536).contains(&inputs) && (1..=65_536).contains(&outputs), "layer sizes")?;
            consistent(layer.weight.len() == inputs * outputs && layer.bias.len() == outputs, "layer lengths")?;
            consistent(layer.weight.iter().chain(&layer.bias).all(|w| w.is_finite()), "policy weights")?;
        }
        let [first, second] = &self.body;
        let chained = first.outputs == second.inputs && second.outputs == self.actor.inputs && second.outputs == self.critic.inputs;
        consistent(chained && self.critic.outputs == 1, "layer chain")
    }
}

impl Dense {
    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let mut out = self.bias.clone();
        for (x, weights) in input.iter().zip(self.weight.chunks_exact(self.outputs as usize)) {
            for (sum, w) in out.iter_mut().zip(weights) {
                *sum += x * w;
            }
        }
        out
    }
}

/// Forbidden actions (and those beyond the mask) become −∞.
fn masked(mut logits: Vec<f32>, mask: &[bool]) -> Vec<f32> {
    for (action, logit) in logits.iter_mut().enumerate() {
        if !mask.get(action).copied().unwrap_or(false) {
            *logit = f32::NEG_INFINITY;
        }
    }
    logits
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if highest == f32::NEG_INFINITY {
        return vec![0.0; logits.len()];
    }
    let powers: Vec<f32> = logits.iter().map(|l| libm::expf(l - highest)).collect();
    let total: f32 = powers.iter().sum();
    powers.iter().map(|p| p / total).collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn dense(inputs: u32, outputs: u32, weight: &[f32], bias: &[f32]) -> Dense {
        Dense { inputs, outputs, weight: weight.to_vec(), bias: bias.to_vec() }
    }

    /// 2 inputs, 2 + 2 hidden, 3 actions.
    fn tiny() -> Policy {
        Policy {
            body: [dense(2, 2, &[1.0, 0.5, -1.0, 0.25], &[0.0, 0.1]), dense(2, 2, &[1.0, 0.0, 0.0, 1.0], &[0.0, 0.0])],
            actor: dense(2, 3, &[1.0, 0.0, -1.0, 0.0, 2.0, 0.0], &[0.0, 0.0, 0.5]),
            critic: dense(2, 1, &[3.0, -1.0], &[0.25]),
        }
    }

    #[test]
    fn a_small_network_gives_the_numbers_worked_out_by_hand() {
        let (x, y) = (0.3f64, -0.2f64);
        let h: Vec<f64> = [x - y, 0.5 * x + 0.25 * y + 0.1].iter().map(|v| v.tanh().tanh()).collect();
        let logits = [h[0], 2.0 * h[1], 0.5 - h[0]];
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        let (p, value) = tiny().forward(&[0.3, -0.2]);
        for (ours, logit) in p.iter().zip(logits) {
            assert!((f64::from(*ours) - logit.exp() / total).abs() < 1e-6);
        }
        assert!((f64::from(value) - (3.0 * h[0] - h[1] + 0.25)).abs() < 1e-6);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_masked_action_is_never_sampled() {
        let policy = tiny();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0u32; 3];
        for _ in 0..4_000 {
            let choice = policy.sample(&[0.3, -0.2], &[true, false, true], &mut rng).unwrap();
            counts[usize::from(choice.action)] += 1;
        }
        assert_eq!(counts[1], 0);
        let (p, _) = policy.forward_masked(&[0.3, -0.2], &[true, false, true]);
        assert_eq!(p[1], 0.0);
        assert!((p[0] + p[2] - 1.0).abs() < 1e-6);
        assert!((counts[0] as f32 / 4_000.0 - p[0]).abs() < 0.03);
        assert_eq!(policy.sample(&[0.3, -0.2], &[false; 3], &mut rng), None);
        assert_eq!(policy.best(&[0.3, -0.2], &[false; 3]), None);
        assert_eq!(policy.best(&[0.3, -0.2], &[false, false, true]), Some(2));
    }

    #[test]
    fn broken_inputs_are_read_as_the_mean() {
        let policy = tiny();
        assert_eq!(policy.forward(&[f32::NAN, f32::INFINITY]), policy.forward(&[0.0, 0.0]));
        assert_eq!(policy.forward(&[]), policy.forward(&[0.0, 0.0]));
    }

    #[test]
    fn a_policy_whose_layers_do_not_fit_is_refused() {
        tiny().check().unwrap();
        let mut short = tiny();
        short.actor.weight.pop();
        let mut broken = tiny();
        broken.critic.bias[0] = f32::NAN;
        let mut unchained = tiny();
        unchained.body[1] = dense(2, 1, &[1.0, 1.0], &[0.0]);
        for policy in [short, broken, unchained] {
            assert!(matches!(policy.check(), Err(ModelError::Inconsistent(_))));
        }
    }
}
