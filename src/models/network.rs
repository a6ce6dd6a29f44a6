//! The policy network while it is trained: tensors of `dfdx`, the PPO loss, clipped Adam steps.
//!
//! The two heads share a body, so their losses are added before the one backward pass.

use dfdx::optim::AdamConfig;
use dfdx::shapes::{Axes2, Axis, HasShape, Rank0, Shape};
use dfdx::tensor::{Cpu, Gradients, NoneTape, OwnedTape, Tape, Tensor, TensorFromVec, Trace, WithEmptyTape};
use dfdx::tensor_ops::{Backward, BroadcastTo, MeanTo, SumTo, TryMatMul};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::policy::{Dense, Policy};
use super::ppo::PpoConfig;

/// Added to the logit of a forbidden action: its probability is exactly 0, and sums with it stay finite.
const FORBIDDEN: f32 = -1e8;

type Matrix<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
type Vector<T = NoneTape> = Tensor<(usize,), f32, Cpu, T>;

/// One affine layer, weight inputs × outputs.
struct Layer {
    weight: Matrix,
    bias: Vector,
}

/// Body, body, actor, critic.
pub(super) struct Network {
    device: Cpu,
    layers: [Layer; 4],
    adam: AdamConfig,
    step: i32,
    moment1: Gradients<f32, Cpu>,
    moment2: Gradients<f32, Cpu>,
}

/// The steps of one minibatch, row-major.
pub(super) struct Batch {
    pub size: usize,
    pub states: Vec<f32>,
    pub actions: Vec<u16>,
    pub masks: Vec<bool>,
    pub old_log_probs: Vec<f32>,
    pub advantages: Vec<f32>,
    pub returns: Vec<f32>,
}

/// Means over one minibatch, before its step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    pub policy: f64,
    pub value: f64,
    pub entropy: f64,
    pub kl: f64,
    pub clipped: f64,
}

impl Network {
    pub fn new(state_dim: usize, actions: usize, config: &PpoConfig, rng: &mut ChaCha8Rng) -> Self {
        let device = Cpu::default();
        let [first, second] = config.hidden;
        // Gains as usual for PPO: √2 in the body, small in the actor (an almost uniform start), 1 in the critic.
        let root = std::f32::consts::SQRT_2;
        let shapes = [(state_dim, first, root), (first, second, root), (second, actions, 0.01), (second, 1, 1.0)];
        let layers = shapes.map(|(inputs, outputs, gain)| Layer::random(&device, inputs, outputs, gain, rng));
        let adam = AdamConfig { lr: config.learning_rate, eps: 1e-5, ..AdamConfig::default() };
        Self { device, layers, adam, step: 0, moment1: Gradients::leaky(), moment2: Gradients::leaky() }
    }

    /// Logits (batch × actions) and values (batch × 1) of states (batch × state dimension).
    fn forward<T: Tape<f32, Cpu>>(&self, states: Matrix<T>) -> (Matrix<T>, Matrix<T>) {
        let [first, second, actor, critic] = &self.layers;
        let hidden = second.apply(first.apply(states).tanh()).tanh();
        (actor.apply(hidden.with_empty_tape()), critic.apply(hidden))
    }

    /// The clipped surrogate objective, value error and entropy bonus (Schulman et al., "Proximal policy optimization algorithms", 2017).
    fn loss(&self, batch: &Batch, config: &PpoConfig) -> (Tensor<Rank0, f32, Cpu, OwnedTape<f32, Cpu>>, Losses) {
        let count = self.layers[2].outputs();
        let vector = |numbers: &[f32]| self.device.tensor_from_vec(numbers.to_vec(), (batch.size,));
        let states = self.device.tensor_from_vec(batch.states.clone(), (batch.size, self.layers[0].inputs()));
        let forbidden = batch.masks.iter().map(|&allowed| if allowed { 0.0 } else { FORBIDDEN }).collect();
        let mut taken = vec![0.0; batch.size * count];
        for (row, &action) in batch.actions.iter().enumerate() {
            taken[row * count + usize::from(action)] = 1.0;
        }
        let (logits, values) = self.forward(states.leaky_traced());
        let log_probs = (logits + self.device.tensor_from_vec(forbidden, (batch.size, count))).log_softmax::<Axis<1>>();
        let chosen = (log_probs.with_empty_tape() * self.device.tensor_from_vec(taken, (batch.size, count))).sum::<(usize,), Axis<1>>();
        let negative_entropy = (log_probs.with_empty_tape().exp() * log_probs).sum::<(usize,), Axis<1>>().mean::<Rank0, Axis<0>>();
        let (kl, clipped) = divergence(&chosen.as_vec(), &batch.old_log_probs, config.clip);
        let ratio = (chosen - vector(&batch.old_log_probs)).exp();
        let advantages = vector(&batch.advantages);
        let free = ratio.with_empty_tape() * advantages.clone();
        let held = ratio.clamp(1.0 - config.clip, 1.0 + config.clip) * advantages;
        let policy = -(held.minimum(free).mean::<Rank0, Axis<0>>());
        let returns = self.device.tensor_from_vec(batch.returns.clone(), (batch.size, 1));
        let value = (values - returns).square().mean::<Rank0, Axes2<0, 1>>();
        let losses = Losses {
            policy: scalar(&policy.as_vec()),
            value: scalar(&value.as_vec()),
            entropy: -scalar(&negative_entropy.as_vec()),
            kl,
            clipped,
        };
        (policy + value * config.value_coefficient as f32 + negative_entropy * config.entropy_coefficient as f32, losses)
    }

    /// One gradient step; gives the losses before it.
    pub fn train(&mut self, batch: &Batch, config: &PpoConfig) -> Losses {
        let (loss, losses) = self.loss(batch, config);
        let mut gradients = loss.backward();
        let scale = self.clip_scale(&gradients, config.max_grad_norm);
        self.step += 1;
        let Self { layers, adam, step, moment1, moment2, .. } = self;
        let mut optimiser = Optimiser { adam, step: *step, scale, moment1, moment2, gradients: &mut gradients };
        for layer in layers {
            optimiser.update(&mut layer.weight);
            optimiser.update(&mut layer.bias);
        }
        losses
    }

    /// What every gradient is multiplied by so that their common norm is at most `limit`.
    fn clip_scale(&self, gradients: &Gradients<f32, Cpu>, limit: f64) -> f32 {
        let mut squares = 0.0;
        for layer in &self.layers {
            squares += square_sum(&gradients.get(&layer.weight).as_vec()) + square_sum(&gradients.get(&layer.bias).as_vec());
        }
        let norm = squares.sqrt();
        if norm > limit { (limit / norm) as f32 } else { 1.0 }
    }

    /// The weights as a value.
    pub fn policy(&self) -> Policy {
        let [first, second, actor, critic] = &self.layers;
        Policy { body: [first.dense(), second.dense()], actor: actor.dense(), critic: critic.dense() }
    }
}

/// One Adam step over the parameters, in the order they are given.
struct Optimiser<'a> {
    adam: &'a AdamConfig,
    step: i32,
    scale: f32,
    moment1: &'a mut Gradients<f32, Cpu>,
    moment2: &'a mut Gradients<f32, Cpu>,
    gradients: &'a mut Gradients<f32, Cpu>,
}

impl Optimiser<'_> {
    fn update<S: Shape>(&mut self, parameter: &mut Tensor<S, f32, Cpu>) {
        const MEMORY: &str = "the CPU device fails only when memory is exhausted";
        let first = self.moment1.get_or_alloc_mut(parameter).expect(MEMORY);
        let second = self.moment2.get_or_alloc_mut(parameter).expect(MEMORY);
        let gradient = self.gradients.get_or_alloc_mut(parameter).expect(MEMORY);
        gradient.iter_mut().for_each(|g| *g *= self.scale);
        self.adam.try_update(self.step, parameter, first, second, gradient).expect(MEMORY);
    }
}

impl Layer {
    /// Uniform weights within ± gain · √(6 / (inputs + outputs)) (Glorot and Bengio, 2010), bias 0.
    fn random(device: &Cpu, inputs: usize, outputs: usize, gain: f32, rng: &mut ChaCha8Rng) -> Self {
        let bound = gain * (6.0 / (inputs + outputs) as f32).sqrt();
        let mut unit = || (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0;
        let weight = (0..inputs * outputs).map(|_| bound * unit()).collect();
        Self { weight: device.tensor_from_vec(weight, (inputs, outputs)), bias: device.tensor_from_vec(vec![0.0; outputs], (outputs,)) }
    }

    fn apply<T: Tape<f32, Cpu>>(&self, input: Matrix<T>) -> Matrix<T> {
        let product = input.matmul(self.weight.clone());
        let shape = *product.shape();
        product + self.bias.retaped::<T>().broadcast_like::<_, Axis<0>>(&shape)
    }

    fn inputs(&self) -> usize {
        self.weight.shape().0
    }

    fn outputs(&self) -> usize {
        self.weight.shape().1
    }

    fn dense(&self) -> Dense {
        Dense { inputs: self.inputs() as u32, outputs: self.outputs() as u32, weight: self.weight.as_vec(), bias: self.bias.as_vec() }
    }
}

/// Mean `(r − 1) − ln r` (an unbiased, never negative estimate of the KL divergence; Schulman, "Approximating KL divergence", 2020)
/// and the share of steps whose ratio `r` is outside of the clip range.
fn divergence(log_probs: &[f32], old: &[f32], clip: f64) -> (f64, f64) {
    let (mut kl, mut clipped) = (0.0, 0.0);
    for (new, old) in log_probs.iter().zip(old) {
        let log_ratio = f64::from(*new) - f64::from(*old);
        let ratio = libm::exp(log_ratio);
        kl += ratio - 1.0 - log_ratio;
        clipped += if (ratio - 1.0).abs() > clip { 1.0 } else { 0.0 };
    }
    let count = log_probs.len().max(1) as f64;
    (kl / count, clipped / count)
}

fn scalar(numbers: &[f32]) -> f64 {
    numbers.first().copied().map_or(0.0, f64::from)
}

fn square_sum(numbers: &[f32]) -> f64 {
    numbers.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn random(count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..count).map(|_| (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0).collect()
    }

    fn network(state_dim: usize, actions: usize, hidden: [usize; 2]) -> (Network, PpoConfig, ChaCha8Rng) {
        let config = PpoConfig { hidden, ..PpoConfig::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut network = Network::new(state_dim, actions, &config, &mut rng);
        // An actor that matters: the small start would hide errors.
        let weight = random(hidden[1] * actions, &mut rng);
        network.layers[2].weight = network.device.tensor_from_vec(weight, (hidden[1], actions));
        (network, config, rng)
    }

    fn batch(size: usize, state_dim: usize, actions: usize, rng: &mut ChaCha8Rng) -> Batch {
        let taken: Vec<u16> = (0..size).map(|_| (rng.next_u32() as usize % (actions - 1)) as u16).collect();
        let mut masks = vec![true; size * actions];
        masks.iter_mut().skip(actions - 1).step_by(actions).for_each(|allowed| *allowed = false);
        Batch {
            size,
            states: random(size * state_dim, rng),
            actions: taken,
            masks,
            old_log_probs: random(size, rng).iter().map(|v| v * 0.2 - 1.0).collect(),
            advantages: random(size, rng),
            returns: random(size, rng),
        }
    }

    #[test]
    fn own_forward_agrees_with_the_training_network() {
        for (state_dim, actions, hidden) in [(28, 3, [64, 64]), (33, 4, [128, 96]), (1, 2, [1, 3])] {
            let (network, _, mut rng) = network(state_dim, actions, hidden);
            let policy = network.policy();
            policy.check().unwrap();
            for _ in 0..50 {
                let state: Vec<f32> = random(state_dim, &mut rng).iter().map(|v| v * 3.0).collect();
                let (logits, value) = network.forward(network.device.tensor_from_vec(state.clone(), (1, state_dim)));
                let theirs = logits.softmax::<Axis<1>>().as_vec();
                let (ours, our_value) = policy.forward(&state);
                for (a, b) in ours.iter().zip(&theirs) {
                    assert!((a - b).abs() < 1e-5, "{a} {b}");
                }
                assert!((our_value - value.as_vec()[0]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let (mut network, config, mut rng) = network(5, 4, [7, 6]);
        let batch = batch(16, 5, 4, &mut rng);
        let gradients = network.loss(&batch, &config).0.backward();
        for layer in 0..4 {
            let exact = gradients.get(&network.layers[layer].weight).as_vec();
            let shape = (network.layers[layer].inputs(), network.layers[layer].outputs());
            let kept = network.layers[layer].weight.as_vec();
            for at in (0..kept.len()).step_by(5) {
                let mut loss_at = |shift: f32| {
                    let mut moved = kept.clone();
                    moved[at] += shift;
                    network.layers[layer].weight = network.device.tensor_from_vec(moved, shape);
                    scalar(&network.loss(&batch, &config).0.as_vec())
                };
                let slope = (loss_at(4e-3) - loss_at(-4e-3)) / 8e-3;
                assert!((slope - f64::from(exact[at])).abs() < 2e-3 + 0.02 * slope.abs(), "layer {layer}: {slope} {}", exact[at]);
                network.layers[layer].weight = network.device.tensor_from_vec(kept.clone(), shape);
            }
        }
    }

    #[test]
    fn a_masked_action_has_no_gradient() {
        let (network, config, mut rng) = network(5, 4, [8, 8]);
        let batch = batch(16, 5, 4, &mut rng);
        let (loss, losses) = network.loss(&batch, &config);
        assert!(losses.entropy > 0.0 && losses.entropy <= 3f64.ln() + 1e-6);
        let gradient = loss.backward().get(&network.layers[2].bias).as_vec();
        assert_eq!(gradient[3], 0.0);
        assert!(gradient[..3].iter().all(|g| g.is_finite() && *g != 0.0));
    }

    #[test]
    fn a_large_gradient_is_scaled_to_the_limit() {
        let (network, config, mut rng) = network(5, 4, [8, 8]);
        let mut large = batch(16, 5, 4, &mut rng);
        large.returns.iter_mut().for_each(|r| *r *= 1_000.0);
        let gradients = network.loss(&large, &config).0.backward();
        let scale = f64::from(network.clip_scale(&gradients, 0.5));
        assert!(scale < 0.1);
        let norm =
            network.layers.iter().map(|l| square_sum(&gradients.get(&l.weight).as_vec()) + square_sum(&gradients.get(&l.bias).as_vec()));
        assert!((norm.sum::<f64>().sqrt() * scale - 0.5).abs() < 1e-3);
    }

    #[test]
    fn divergence_of_known_ratios() {
        let (kl, clipped) = divergence(&[0.0, (1.5f32).ln()], &[0.0, 0.0], 0.2);
        assert!((kl - (0.5 - 1.5f64.ln()) / 2.0).abs() < 1e-6);
        assert_eq!(clipped, 0.5);
    }
}
