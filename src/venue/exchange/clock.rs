//! The exchange's clock: this computer's, moved by a constant skew and by whatever steps it was made to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Timestamp};

/// Clones share their steps.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    skew: Span,
    stepped_ns: Arc<AtomicI64>,
}

impl Clock {
    pub fn new(skew: Span) -> Self {
        Self { skew, stepped_ns: Arc::default() }
    }

    /// What the exchange says that the time is.
    pub fn now(&self) -> Timestamp {
        self.steady() + Span::from_nanos(self.stepped_ns.load(Ordering::Relaxed))
    }

    /// The time without steps: the market and the limits go by it.
    pub fn steady(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)) + self.skew
    }

    pub fn step(&self, by: Span) {
        self.stepped_ns.fetch_add(by.nanos(), Ordering::Relaxed);
    }

    /// Takes back every step.
    pub fn unstep(&self) {
        self.stepped_ns.store(0, Ordering::Relaxed);
    }
}
