//! The models that are in: adopted by content hash, asked for a forecast at each bar.

use super::Engine;
use crate::models::position_state::{ENTER, PositionState};
use crate::models::{Artifact, PolicyArtifact, TreesArtifact};
use crate::protocol::{Effect, ModelAdopted, ModelKind, ModelRole, ModelView, Severity};

/// What is loaded, and under which role.
#[derive(Debug, Default)]
pub(super) struct Models {
    pub trees: Option<(ModelAdopted, TreesArtifact)>,
    pub policy: Option<(ModelAdopted, PolicyArtifact)>,
}

/// A forecast of one bar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forecast {
    pub net_bps: f64,
    pub threshold_bps: f64,
    pub win_probability: Option<f64>,
    pub cost_bps: f64,
    pub may_trade: bool,
}

impl Models {
    /// `None` without a model for this feature version.
    pub fn forecast(&self, raw: &[f32]) -> Option<Forecast> {
        let (adopted, trees) = self.trees.as_ref()?;
        let net_bps = trees.forecast_bps(raw);
        Some(Forecast {
            net_bps,
            threshold_bps: trees.threshold_bps,
            win_probability: trees.calibration.as_ref().map(|c| c.probability(net_bps)),
            cost_bps: trees.cost_bps,
            may_trade: adopted.role != ModelRole::Shadow,
        })
    }

    /// The policy's probability of entering from flat; `sigma_bps` is that of the return over the horizon.
    pub fn policy_enter(&self, raw: &[f32], sigma_bps: f64) -> Option<f64> {
        let (_, policy) = self.policy.as_ref()?;
        let flat = PositionState { held: None, cost_sigmas: policy.cost_bps / sigma_bps.max(f64::MIN_POSITIVE) };
        let state: Vec<f32> = raw.iter().copied().chain(flat.values()).collect();
        let (probabilities, _) = policy.probabilities(&state, &flat.mask());
        probabilities.get(usize::from(ENTER)).map(|p| f64::from(*p))
    }

    pub fn views(&self) -> Vec<ModelView> {
        let trees = self.trees.as_ref().map(|(adopted, _)| adopted);
        let policy = self.policy.as_ref().map(|(adopted, _)| adopted);
        let view = |m: &ModelAdopted| ModelView { id: m.id.clone(), kind: m.kind, role: m.role, gates_passed: m.gates_passed };
        trees.into_iter().chain(policy).map(view).collect()
    }
}

impl Engine {
    /// Takes a model in if its bytes are those of its id and it speaks this time scale; otherwise says why not.
    pub(super) fn adopt(&mut self, adopted: &ModelAdopted, out: &mut Vec<Effect>) {
        let bar = self.settings.time_scale.bar;
        let artifact = match Artifact::load(&adopted.artifact.0, &adopted.id) {
            Ok(artifact) => artifact,
            Err(error) => return self.alert(Severity::Warning, format!("model {:.12} is not used: {error}", adopted.id), out),
        };
        let (version, interval) = match &artifact {
            Artifact::Trees(trees) => (trees.feature_version, trees.interval),
            Artifact::Policy(policy) => (policy.feature_version, policy.interval),
        };
        if version != crate::market::features::VERSION || interval != bar {
            let text = format!(
                "model {:.12} is not used: it was trained on {interval} bars (features v{version}), this run decides on {bar}",
                adopted.id
            );
            return self.alert(Severity::Info, text, out);
        }
        match artifact {
            Artifact::Trees(trees) => self.models.trees = Some((adopted.clone(), trees)),
            Artifact::Policy(policy) => self.models.policy = Some((adopted.clone(), policy)),
        }
        self.alert(Severity::Info, introduction(adopted), out);
    }
}

/// What came in and what it may do: a run takes in one model of each kind.
fn introduction(adopted: &ModelAdopted) -> String {
    let kind = match adopted.kind {
        ModelKind::Trees => "trees",
        ModelKind::Policy => "policy",
    };
    let role = match adopted.role {
        ModelRole::Champion => "champion",
        ModelRole::Shadow if adopted.gates_passed => "shadow: it decides along and does not trade",
        ModelRole::Shadow => "shadow: its gates failed, it does not trade",
        ModelRole::ShadowTrading => "shadow, trading by request although its gates failed",
    };
    format!("{kind} {:.12} adopted as {role}", adopted.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Blob;

    #[test]
    fn each_model_says_its_kind_and_what_it_may_do() {
        let said = |kind, role, gates_passed| {
            introduction(&ModelAdopted { id: "0123456789abcdef".to_owned(), kind, role, gates_passed, artifact: Blob(Vec::new().into()) })
        };
        let all = [
            said(ModelKind::Trees, ModelRole::Champion, true),
            said(ModelKind::Trees, ModelRole::Shadow, false),
            said(ModelKind::Policy, ModelRole::Shadow, false),
            said(ModelKind::Policy, ModelRole::Shadow, true),
        ];
        assert_eq!(all[0], "trees 0123456789ab adopted as champion");
        assert!(all[2].starts_with("policy 0123456789ab adopted as shadow: its gates failed"));
        assert!(!all[3].contains("failed"), "a policy that passed is no failure");
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }
}
