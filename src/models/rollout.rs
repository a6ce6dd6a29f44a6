//! Steps collected with one policy, and generalised advantage estimation over them.

use super::error::{ModelError, same_length};

/// `n` consecutive steps, episodes one after the other. Scale rewards to about ± 1: the value head learns them as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rollout {
    /// Row-major n × state dimension, all finite.
    pub states: Vec<f32>,
    pub actions: Vec<u16>,
    /// Log-probability of each action when it was taken, under the mask.
    pub log_probs: Vec<f32>,
    pub rewards: Vec<f32>,
    /// The episode ended with this step: nothing after it counts for it.
    pub dones: Vec<bool>,
    /// Value estimate of each state when it was seen.
    pub values: Vec<f32>,
    /// Row-major n × actions: what was allowed.
    pub masks: Vec<bool>,
    /// Value estimate of the state after the last step; unused when the last step ended its episode.
    pub last_value: f32,
}

impl Rollout {
    #[must_use]
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Lengths agree, numbers are finite, and each action was allowed.
    pub(super) fn check(&self, state_dim: usize, actions: usize) -> Result<(), ModelError> {
        let steps = self.len();
        if steps < 2 {
            return Err(ModelError::TooFewRows { have: steps, need: 2 });
        }
        same_length("rollout states", steps * state_dim, self.states.len())?;
        same_length("rollout masks", steps * actions, self.masks.len())?;
        same_length("rollout log-probabilities", steps, self.log_probs.len())?;
        same_length("rollout rewards", steps, self.rewards.len())?;
        same_length("rollout dones", steps, self.dones.len())?;
        same_length("rollout values", steps, self.values.len())?;
        let finite = |what, numbers: &[f32], width: usize| match numbers.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(ModelError::NotFinite { what, row: at / width }),
            None => Ok(()),
        };
        finite("state", &self.states, state_dim)?;
        finite("log-probability", &self.log_probs, 1)?;
        finite("reward", &self.rewards, 1)?;
        finite("value", &self.values, 1)?;
        finite("last value", &[self.last_value], 1)?;
        let allowed = |(step, &action): (usize, &u16)| usize::from(action) < actions && self.masks[step * actions + usize::from(action)];
        match self.actions.iter().enumerate().find(|pair| !allowed(*pair)) {
            Some((step, _)) => Err(ModelError::ForbiddenAction { step }),
            None => Ok(()),
        }
    }
}

/// Advantages and returns (advantage + value) of each step: `A_t = δ_t + γλ(1 − done_t)·A_{t+1}` with
/// `δ_t = r_t + γ(1 − done_t)·V_{t+1} − V_t` (Schulman et al., "High-dimensional continuous control using GAE", 2016).
#[must_use]
pub fn generalised_advantages(rollout: &Rollout, gamma: f64, lambda: f64) -> (Vec<f32>, Vec<f32>) {
    let steps = rollout.len();
    let (mut advantages, mut returns) = (vec![0.0; steps], vec![0.0; steps]);
    let (mut next_value, mut next_advantage) = (f64::from(rollout.last_value), 0.0);
    for t in (0..steps).rev() {
        let goes_on = if rollout.dones[t] { 0.0 } else { 1.0 };
        let value = f64::from(rollout.values[t]);
        let surprise = f64::from(rollout.rewards[t]) + gamma * goes_on * next_value - value;
        next_advantage = surprise + gamma * lambda * goes_on * next_advantage;
        next_value = value;
        advantages[t] = next_advantage as f32;
        returns[t] = (next_advantage + value) as f32;
    }
    (advantages, returns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        Rollout {
            states: vec![0.0; 3],
            actions: vec![0; 3],
            log_probs: vec![0.0; 3],
            rewards: vec![1.0, 2.0, 3.0],
            dones: vec![false, true, false],
            values: vec![0.5, 0.5, 0.25],
            masks: vec![true; 3],
            last_value: 10.0,
        }
    }

    #[test]
    fn advantages_equal_hand_computed_numbers() {
        // γ = 0.5, λ = 0.5:  δ2 = 3 + 0.5·10 − 0.25 = 7.75;  δ1 = 2 − 0.5 = 1.5 (ends);  δ0 = 1 + 0.5·0.5 − 0.5 = 0.75.
        let (advantages, returns) = generalised_advantages(&rollout(), 0.5, 0.5);
        assert_eq!(advantages, [0.75 + 0.25 * 1.5, 1.5, 7.75]);
        assert_eq!(returns, [1.625, 2.0, 8.0]);
    }

    #[test]
    fn with_lambda_one_returns_are_discounted_sums_within_the_episode() {
        let (_, returns) = generalised_advantages(&rollout(), 0.9, 1.0);
        assert!((returns[0] - (1.0 + 0.9 * 2.0)).abs() < 1e-6);
        assert!((returns[2] - (3.0 + 0.9 * 10.0)).abs() < 1e-5);
    }

    #[test]
    fn a_rollout_that_does_not_add_up_is_refused() {
        rollout().check(1, 1).unwrap();
        assert!(matches!(rollout().check(2, 1), Err(ModelError::Shape { what: "rollout states", .. })));
        let forbidden = Rollout { masks: vec![true, false, true], ..rollout() };
        assert!(matches!(forbidden.check(1, 1), Err(ModelError::ForbiddenAction { step: 1 })));
        let broken = Rollout { rewards: vec![0.0, f32::NAN, 0.0], ..rollout() };
        assert!(matches!(broken.check(1, 1), Err(ModelError::NotFinite { what: "reward", row: 1 })));
    }
}
