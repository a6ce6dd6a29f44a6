//! The exchange's clock: this computer's, moved by a constant skew.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Timestamp};

#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub skew: Span,
}

impl Clock {
    pub fn now(self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)) + self.skew
    }
}
