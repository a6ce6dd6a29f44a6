//! Walk-forward folds in time: always trained on the past and tested on what follows it.
//!
//! The period is cut into `folds + 1` blocks of equal length; fold k is tested on block k + 1 and trained on what lies before it.
//! A row is *purged* from training when its outcome was not known an `embargo` before the test begins.

use serde::{Deserialize, Serialize};

use crate::domain::{Span, Timestamp};

/// How much of the past a fold is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Everything before the test.
    Expanding,
    /// The last `blocks` blocks before the test.
    Rolling { blocks: u32 },
}

/// One fold: train on rows decided in `[train_from, test_from)` that survive the purge, test on `[test_from, test_to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    pub train_from: Timestamp,
    pub test_from: Timestamp,
    pub test_to: Timestamp,
    pub embargo: Span,
}

impl Fold {
    /// May a row decided at `at`, whose outcome was known at `known_at`, be learned from?
    #[must_use]
    pub fn trains(&self, at: Timestamp, known_at: Timestamp) -> bool {
        at >= self.train_from && known_at + self.embargo <= self.test_from
    }
    #[must_use]
    pub fn tests(&self, at: Timestamp) -> bool {
        at >= self.test_from && at < self.test_to
    }
}

/// The folds over `[from, to)`, oldest first; empty when there is no time between them.
#[must_use]
pub fn folds(from: Timestamp, to: Timestamp, count: u32, window: Window, embargo: Span) -> Vec<Fold> {
    let whole = to.since(from).nanos();
    let blocks = i128::from(count) + 1;
    let cut = |k: u32| from + Span::from_nanos((i128::from(whole) * i128::from(k) / blocks) as i64);
    if whole < i64::from(count) + 1 {
        return Vec::new();
    }
    let fold = |k: u32| {
        let first = match window {
            Window::Expanding => 0,
            Window::Rolling { blocks } => k.saturating_sub(blocks.max(1)),
        };
        Fold { train_from: cut(first), test_from: cut(k), test_to: if k == count { to } else { cut(k + 1) }, embargo }
    };
    (1..=count).map(fold).collect()
}

/// The last `share` of a training period as a fold of its own, for choices that must not see the test.
#[must_use]
pub fn inner(from: Timestamp, to: Timestamp, share: f64, embargo: Span) -> Fold {
    let tail = (to.since(from).nanos() as f64 * share.clamp(0.0, 1.0)) as i64;
    Fold { train_from: from, test_from: to - Span::from_nanos(tail), test_to: to, embargo }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(n: i64) -> Timestamp {
        Timestamp::from_millis(n * 1000)
    }

    #[test]
    fn tests_follow_each_other_without_overlap() {
        let got = folds(secs(0), secs(100), 4, Window::Expanding, Span::ZERO);
        let tests: Vec<_> = got.iter().map(|f| (f.test_from, f.test_to)).collect();
        assert_eq!(tests, [(secs(20), secs(40)), (secs(40), secs(60)), (secs(60), secs(80)), (secs(80), secs(100))]);
        assert!(got.iter().all(|f| f.train_from == secs(0)));
        let rolling = folds(secs(0), secs(100), 4, Window::Rolling { blocks: 2 }, Span::ZERO);
        assert_eq!(rolling[3].train_from, secs(40));
        assert!(folds(secs(5), secs(5), 4, Window::Expanding, Span::ZERO).is_empty());
    }

    #[test]
    fn an_outcome_known_too_late_is_purged() {
        let fold = inner(secs(0), secs(100), 0.2, Span::from_secs(5));
        assert_eq!(fold.test_from, secs(80));
        assert!(fold.trains(secs(70), secs(75)));
        assert!(!fold.trains(secs(70), secs(76)), "inside the embargo");
        assert!(!fold.trains(secs(79), secs(85)), "reaches into the test");
    }

    proptest! {
        #[test]
        fn no_outcome_learned_from_reaches_into_the_test(
            rows in prop::collection::vec((0i64..100_000, 1i64..5_000), 1..300),
            count in 1u32..8, blocks in 0u32..4, embargo in 0i64..2_000,
        ) {
            let window = if blocks == 0 { Window::Expanding } else { Window::Rolling { blocks } };
            let embargo = Span::from_secs(embargo);
            let got = folds(secs(0), secs(100_000), count, window, embargo);
            prop_assert_eq!(got.len(), count as usize);
            for fold in &got {
                for (at, length) in &rows {
                    let (at, known_at) = (secs(*at), secs(at + length));
                    if fold.trains(at, known_at) {
                        prop_assert!(known_at + embargo <= fold.test_from);
                        prop_assert!(!fold.tests(at));
                    }
                }
            }
            for (at, _) in &rows {
                prop_assert!(got.iter().filter(|f| f.tests(secs(*at))).count() <= 1);
            }
        }
    }
}
