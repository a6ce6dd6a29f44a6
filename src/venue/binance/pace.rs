//! How many messages leave on one connection: the venue cuts it at more than 5 a second, pings and pongs among them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One of the venue's 5 is left for the answer to its ping.
const A_SECOND: usize = 4;
/// A little more than the venue's second: its clock and ours cut time differently.
const WINDOW: Duration = Duration::from_millis(1_100);

/// The times of the latest messages.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<Instant>);

impl Pace {
    /// When the next message may leave, if not now.
    pub fn wait_until(&self, now: Instant) -> Option<Instant> {
        let free = *self.0.front()? + WINDOW;
        (self.0.len() >= A_SECOND && free > now).then_some(free)
    }

    pub fn sent(&mut self, now: Instant) {
        if self.0.len() == A_SECOND {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_four_messages() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let (mut now, mut sent) = (start, Vec::new());
        while sent.len() < 40 {
            match pace.wait_until(now) {
                Some(free) => now = free,
                None => {
                    pace.sent(now);
                    sent.push(now);
                }
            }
        }
        assert!(sent.windows(5).all(|five| five[4] - five[0] > Duration::from_secs(1)));
        assert!(sent[39] - start < Duration::from_secs(11), "and no slower than needed");
    }
}
