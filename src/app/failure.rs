//! How a command ends badly: one type, one exit code, one place that prints it.

use std::fmt;

use super::control::AskError;
use crate::store::StoreError;

/// The exit codes that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// It was tried and failed.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A safety rule said no.
    Refused = 3,
}

/// An error with its exit code. The text names what to do next.
#[derive(Debug)]
pub struct Failure {
    pub kind: ExitKind,
    error: anyhow::Error,
}

impl Failure {
    pub fn usage(text: impl fmt::Display) -> Self {
        Self { kind: ExitKind::Usage, error: anyhow::anyhow!("{text}") }
    }

    pub fn refused(text: impl fmt::Display) -> Self {
        Self { kind: ExitKind::Refused, error: anyhow::anyhow!("{text}") }
    }

    pub fn failed(text: impl fmt::Display) -> Self {
        Self { kind: ExitKind::Failed, error: anyhow::anyhow!("{text}") }
    }

    pub fn of(kind: ExitKind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into() }
    }

    /// True when the reader of our output went away: no error.
    pub fn is_broken_pipe(&self) -> bool {
        self.error.chain().any(|e| e.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe))
    }
}

impl fmt::Display for Failure {
    /// The whole chain, outermost first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    /// What a safety rule refused (a data file, an order) keeps its exit code; everything else failed.
    fn from(error: E) -> Self {
        let error = error.into();
        let refused = error.downcast_ref::<StoreError>().is_some_and(StoreError::is_refusal)
            || matches!(error.downcast_ref::<AskError>(), Some(AskError::Refused(_)));
        Self { kind: if refused { ExitKind::Refused } else { ExitKind::Failed }, error }
    }
}

/// What a command gives.
pub type Outcome<T = ()> = Result<T, Failure>;
