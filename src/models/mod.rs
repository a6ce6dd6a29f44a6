//! What has been learned, as values: boosted trees that forecast a net edge, a policy that picks an action, and their stored form.
//!
//! *Takes / gives*: rows of features and labels in, models out (`Trees::fit`, `Calibration::fit`, `Trainer`); a model and one row in,
//! a number out (`Trees::predict`, `Calibration::probability`, `Policy::forward`); bytes in, a checked model out (`Artifact::load`).
//!
//! Invariants
//! 1. Our own tree walk gives bit for bit what the library that grew the trees gives, missing values included
//!    (`trees::tests::our_prediction_equals_the_librarys_on_random_rows`).
//! 2. The same input and seed give the same bytes (`trees::tests::the_same_input_twice_gives_identical_bytes`,
//!    `ppo::tests::the_same_seed_gives_identical_weights`).
//! 3. Inference does not depend on the CPU: plain loops in a fixed order and portable transcendental functions; it agrees with the
//!    training library to 1e-5 (`network::tests::own_forward_agrees_with_the_training_network`).
//! 4. A masked action is never sampled and carries no probability in the update (`policy::tests::a_masked_action_is_never_sampled`,
//!    `network::tests::a_masked_action_has_no_gradient`).
//! 5. Untrusted bytes give an error, never a panic and never an unbounded walk (`artifact::tests::arbitrary_bytes_never_panic`).
//! 6. A changed byte is noticed (`artifact::tests::a_flipped_byte_is_refused`).
//!
//! *Never*: own a thread or file, read a clock, draw unseeded randomness.
//!
//! Decisions
//! - The tree library runs on the caller's thread alone: training has one idle-priority thread, and a pool would escape it.
//! - Inference of the policy is our own loop: faster at batch 1 than the training library, and the same on every machine.
//!   *Training* on another CPU may give other weights (its matrix kernels differ); a trained model enters the engine as an event.
//! - Products of layers wider than about 64 × 144 at a minibatch of 64 are split over the matrix library's thread pool (each element is
//!   still summed by one thread, so the result is the same); the default 64 × 64 stays on the caller's thread.

mod artifact;
mod calibration;
mod error;
mod network;
mod policy;
mod ppo;
mod rollout;
mod standardiser;
mod trees;

pub use artifact::{Artifact, PolicyArtifact, TreesArtifact, content_id};
pub use calibration::{Calibration, ReliabilityBin, auc, brier_score, reliability};
pub use error::ModelError;
pub use policy::{Choice, Policy};
pub use ppo::{PpoConfig, Trainer, UpdateStats};
pub use rollout::{Rollout, generalised_advantages};
pub use standardiser::Standardiser;
pub use trees::{Contributions, Trees, TreesConfig};
