//! Why a model could not be trained, stored or read.

/// What went wrong; texts say what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{what}: expected {expected}, found {found}")]
    Shape { what: &'static str, expected: usize, found: usize },
    #[error("{what} at row {row} is not a finite number")]
    NotFinite { what: &'static str, row: usize },
    #[error("setting {name} is out of range: {rule}")]
    Setting { name: &'static str, rule: &'static str },
    #[error("feature name '{0}' is used twice")]
    DuplicateName(String),
    #[error("only {have} rows, at least {need} are needed: download more history")]
    TooFewRows { have: usize, need: usize },
    #[error("all outcomes are the same: nothing to calibrate on; use a longer history")]
    OneClass,
    #[error("the trees could not be grown")]
    Trees(#[source] forust_ml::errors::ForustError),
    #[error("the calibration could not be fitted")]
    Calibration(#[source] smartcore::error::Failed),
    #[error("step {step} takes an action that its mask forbids")]
    ForbiddenAction { step: usize },
    #[error("training diverged (weights are not finite): lower the learning rate or scale the rewards")]
    Diverged,
    #[error("the model could not be encoded")]
    Encode(#[source] bincode::error::EncodeError),
    #[error("the model's bytes cannot be read: train a new model, or restore a backup")]
    Decode(#[source] bincode::error::DecodeError),
    #[error("the model's format is version {found}, this program reads up to {known}: use the program that wrote it or a newer one")]
    Version { found: u8, known: u8 },
    #[error("the model's bytes are {found} long, at most {limit} are read")]
    TooLarge { found: usize, limit: usize },
    #[error("the model's content is inconsistent ({0}): train a new model, or restore a backup")]
    Inconsistent(&'static str),
    #[error(
        "the model's content hash is {found}, its record says {expected}: the stored copy is damaged; check the file with `huracan verify`, \
         then `huracan models rollback` or restore a backup"
    )]
    WrongContent { expected: String, found: String },
}

/// `Err` unless `found == expected`.
pub(super) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<(), ModelError> {
    if found == expected { Ok(()) } else { Err(ModelError::Shape { what, expected, found }) }
}

/// `Err` with the setting's name unless `holds`.
pub(super) fn setting(holds: bool, name: &'static str, rule: &'static str) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(ModelError::Setting { name, rule }) }
}

/// `Err` with the reason unless `holds`; for content that was read from storage.
pub(super) fn consistent(holds: bool, reason: &'static str) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(ModelError::Inconsistent(reason)) }
}
