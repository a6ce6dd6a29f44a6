//! A trained model as bytes: version byte, then the content in bincode; its id is the hash of those bytes.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::calibration::Calibration;
use super::error::{ModelError, consistent};
use super::policy::Policy;
use super::standardiser::Standardiser;
use super::trees::Trees;
use crate::domain::Interval;

/// The version this program writes.
const VERSION: u8 = 1;
/// More is neither read nor allocated while reading: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

/// A model with everything that using it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Artifact {
    Trees(TreesArtifact),
    Policy(PolicyArtifact),
}

/// Forecasts the net edge of the next `horizon_bars` bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreesArtifact {
    /// Version of the feature vector that it was trained on (`market::features`); another version cannot be used.
    pub feature_version: u16,
    /// One entry per feature, in the order of `trees.features()`.
    pub standardiser: Standardiser,
    /// Takes a standardised row, gives bps of net edge.
    pub trees: Trees,
    /// From the forecast to the probability that the net outcome is positive; absent where it could not be fitted.
    pub calibration: Option<Calibration>,
    /// A forecast below this is no entry, bps.
    pub threshold_bps: f64,
    pub horizon_bars: u32,
    pub interval: Interval,
    /// The costs of both sides that the labels were charged with, bps.
    pub cost_bps: f64,
}

/// Picks one of named actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyArtifact {
    pub feature_version: u16,
    /// Names of the state's components, in order; features first.
    pub states: Vec<String>,
    /// One entry per component of the state.
    pub standardiser: Standardiser,
    /// Takes a standardised state.
    pub policy: Policy,
    /// Names of the actions, in order.
    pub actions: Vec<String>,
    pub interval: Interval,
    /// The costs of both sides that the rewards were charged with, bps.
    pub cost_bps: f64,
}

impl Artifact {
    /// # Errors
    /// Content that `decode` would refuse: it is not written.
    pub fn encode(&self) -> Result<Vec<u8>, ModelError> {
        self.check()?;
        let mut bytes = vec![VERSION];
        bincode::serde::encode_into_std_write(self, &mut bytes, codec()).map_err(ModelError::Encode)?;
        within_limit(&bytes)?;
        Ok(bytes)
    }

    /// Reads and checks untrusted bytes.
    ///
    /// # Errors
    /// Another version, more than 64 MiB, bytes that are not a model, or a model whose parts do not fit together.
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelError> {
        within_limit(bytes)?;
        let (&version, content) = bytes.split_first().ok_or(ModelError::Inconsistent("no bytes"))?;
        if version != VERSION {
            return Err(ModelError::Version { found: version, known: VERSION });
        }
        let (artifact, read) = bincode::serde::decode_from_slice::<Self, _>(content, codec()).map_err(ModelError::Decode)?;
        consistent(read == content.len(), "bytes after the end")?;
        artifact.check()?;
        Ok(artifact)
    }

    /// As `decode`, and refuses bytes whose id is not the one on record.
    ///
    /// # Errors
    /// As `decode`, or `WrongContent`.
    pub fn load(bytes: &[u8], expected_id: &str) -> Result<Self, ModelError> {
        let found = content_id(bytes);
        if found != expected_id {
            return Err(ModelError::WrongContent { expected: expected_id.to_owned(), found });
        }
        Self::decode(bytes)
    }

    fn check(&self) -> Result<(), ModelError> {
        match self {
            Self::Trees(model) => {
                model.trees.check()?;
                model.standardiser.check(model.trees.features().len())?;
                model.calibration.as_ref().map_or(Ok(()), Calibration::check)?;
                consistent(model.threshold_bps.is_finite() && model.cost_bps.is_finite(), "threshold or cost")?;
                consistent(model.horizon_bars > 0, "horizon")
            }
            Self::Policy(model) => {
                model.policy.check()?;
                model.standardiser.check(model.policy.state_dim())?;
                consistent(model.states.len() == model.policy.state_dim(), "state names")?;
                consistent(model.actions.len() == model.policy.actions(), "action names")?;
                consistent(model.cost_bps.is_finite(), "cost")
            }
        }
    }
}

impl TreesArtifact {
    /// The net edge forecast for a raw feature row, bps.
    #[must_use]
    pub fn forecast_bps(&self, features: &[f32]) -> f64 {
        self.trees.predict(&self.standardiser.apply(features))
    }
}

impl PolicyArtifact {
    /// Probabilities of the actions that `mask` allows, and the value, of a raw state (missing components as NaN).
    #[must_use]
    pub fn probabilities(&self, state: &[f32], mask: &[bool]) -> (Vec<f32>, f32) {
        self.policy.forward_masked(&self.standardiser.apply(state), mask)
    }
}

/// The model's name: SHA-256 of its bytes, 64 hexadecimal digits.
#[must_use]
pub fn content_id(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The limit also bounds what a damaged length can make the reader allocate.
fn codec() -> Configuration<LittleEndian, Varint, Limit<MAX_BYTES>> {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}

fn within_limit(bytes: &[u8]) -> Result<(), ModelError> {
    if bytes.len() > MAX_BYTES { Err(ModelError::TooLarge { found: bytes.len(), limit: MAX_BYTES }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::models::{PpoConfig, Trainer, TreesConfig};

    static MODELS: LazyLock<[Artifact; 2]> = LazyLock::new(|| [trees(), policy()]);

    fn interval() -> Interval {
        "1m".parse().unwrap()
    }

    fn trees() -> Artifact {
        let rows: Vec<f32> = (0..400).map(|i| ((i * 37) % 101) as f32 / 10.0).collect();
        let labels: Vec<f64> = rows.chunks_exact(2).map(|r| f64::from(r[0]) - f64::from(r[1])).collect();
        let config = TreesConfig { iterations: 8, min_leaf_weight: 5.0, ..TreesConfig::default() };
        let trees = Trees::fit(&rows, &labels, None, &["a".into(), "b".into()], &config).unwrap();
        let won: Vec<bool> = labels.iter().map(|l| *l > 0.5).collect();
        Artifact::Trees(TreesArtifact {
            feature_version: 3,
            standardiser: Standardiser::fit(&rows, 2).unwrap(),
            calibration: Some(Calibration::fit(&trees.predict_batch(&rows), &won).unwrap()),
            trees,
            threshold_bps: 2.5,
            horizon_bars: 30,
            interval: interval(),
            cost_bps: 20.0,
        })
    }

    fn policy() -> Artifact {
        let config = PpoConfig { hidden: [8, 4], ..PpoConfig::default() };
        Artifact::Policy(PolicyArtifact {
            feature_version: 3,
            states: vec!["a".into(), "b".into(), "held".into()],
            standardiser: Standardiser::identity(3),
            policy: Trainer::new(3, 2, config).unwrap().policy(),
            actions: vec!["hold".into(), "enter".into()],
            interval: interval(),
            cost_bps: 20.0,
        })
    }

    #[test]
    fn models_round_trip_and_predict_the_same() {
        for model in MODELS.iter() {
            let bytes = model.encode().unwrap();
            assert_eq!(bytes[0], 1);
            assert_eq!(bytes, model.encode().unwrap());
            let read = Artifact::load(&bytes, &content_id(&bytes)).unwrap();
            assert_eq!(&read, model);
            match (&read, model) {
                (Artifact::Trees(a), Artifact::Trees(b)) => assert_eq!(a.forecast_bps(&[1.0, 2.0]), b.forecast_bps(&[1.0, 2.0])),
                (Artifact::Policy(a), Artifact::Policy(b)) => {
                    let state = [0.5, f32::NAN, -3.0];
                    let (p, value) = a.probabilities(&state, &[true, false]);
                    assert_eq!(p, [1.0, 0.0]);
                    assert_eq!(value, b.policy.forward(&[0.5, 0.0, -3.0]).1);
                }
                _ => unreachable!("the kind is kept"),
            }
        }
    }

    #[test]
    fn a_content_id_is_the_sha256_of_the_bytes() {
        assert_eq!(content_id(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_flipped_byte_is_refused() {
        for model in MODELS.iter() {
            let bytes = model.encode().unwrap();
            let id = content_id(&bytes);
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                let error = Artifact::load(&damaged, &id).unwrap_err();
                assert!(matches!(&error, ModelError::WrongContent { .. }));
                assert!(error.to_string().contains("huracan verify"), "{error}");
                // Without a record to compare with: an error, or a model whose id differs.
                if Artifact::decode(&damaged).is_ok() {
                    assert_ne!(content_id(&damaged), id);
                }
            }
        }
    }

    #[test]
    fn another_version_and_trailing_bytes_are_refused() {
        let mut bytes = MODELS[0].encode().unwrap();
        bytes.push(0);
        assert!(matches!(Artifact::decode(&bytes), Err(ModelError::Inconsistent(_))));
        bytes[0] = 2;
        assert!(matches!(Artifact::decode(&bytes), Err(ModelError::Version { found: 2, known: 1 })));
        assert!(Artifact::decode(&[]).is_err());
    }

    #[test]
    fn parts_that_do_not_fit_together_are_not_written() {
        let Artifact::Trees(mut model) = trees() else { unreachable!() };
        model.standardiser = Standardiser::identity(3);
        assert!(matches!(Artifact::Trees(model).encode(), Err(ModelError::Inconsistent("standardiser width"))));
        let Artifact::Policy(mut model) = policy() else { unreachable!() };
        model.actions.pop();
        assert!(matches!(Artifact::Policy(model).encode(), Err(ModelError::Inconsistent("action names"))));
    }

    /// Uses a model that was decoded from damaged bytes: it must not panic or run for ever.
    fn exercise(artifact: &Artifact) {
        match artifact {
            Artifact::Trees(model) => {
                let row = vec![0.5; model.trees.features().len()];
                let score = model.forecast_bps(&row);
                let _ = model.trees.contributions(&row);
                model.calibration.as_ref().map(|c| c.probability(score));
            }
            Artifact::Policy(model) => {
                let _ = model.probabilities(&vec![0.5; model.policy.state_dim()], &vec![true; model.policy.actions()]);
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(tail in prop::collection::vec(any::<u8>(), 0..300), kind in 0u8..3) {
            let mut bytes = vec![1, kind];
            bytes.extend(&tail);
            let _ = Artifact::decode(&bytes).map(|model| exercise(&model));
            let _ = Artifact::decode(&tail).map(|model| exercise(&model));
        }

        #[test]
        fn cut_and_damaged_models_never_panic(
            which in 0usize..2,
            cut in any::<prop::sample::Index>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let whole = MODELS[which].encode().unwrap();
            let mut bytes = whole.clone();
            for (at, value) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            let _ = Artifact::decode(&bytes).map(|model| exercise(&model));
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(!damage.is_empty() || Artifact::decode(&bytes).is_err());
            let _ = Artifact::decode(&bytes).map(|model| exercise(&model));
        }
    }
}
