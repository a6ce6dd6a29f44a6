//! The one clock of the program: wall time that never runs backwards.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Timestamp};

/// Now, UTC: the wall time at the first call plus monotonic time since, so that a step of the system clock does not reorder events.
#[must_use]
pub fn now() -> Timestamp {
    static START: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (wall, instant) = START.get_or_init(|| (wall_clock(), Instant::now()));
    *wall + Span::from_nanos(i64::try_from(instant.elapsed().as_nanos()).unwrap_or(i64::MAX))
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
