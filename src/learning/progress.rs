//! Telling how far training is, and being told to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::LearningError;

/// How far a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: &'static str,
    pub done: u64,
    pub total: u64,
}

/// Whom to tell, and the flag that stops the work at its next step.
pub struct Watch<'a> {
    pub progress: &'a mut dyn FnMut(Progress),
    pub cancelled: &'a AtomicBool,
}

impl Watch<'_> {
    /// Reports, or ends the work when it was cancelled.
    pub fn step(&mut self, stage: &'static str, done: usize, total: usize) -> Result<(), LearningError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(LearningError::Cancelled);
        }
        (self.progress)(Progress { stage, done: done as u64, total: total as u64 });
        Ok(())
    }
}
