//! What the equity is at a moment: the middle of three marks, each at least a second after the one before. One odd mark, up or down, is
//! never in the middle.

use serde::{Deserialize, Serialize};

use crate::domain::{Money, Span, Timestamp};

const APART: Span = Span::from_secs(1);
const MARKS: usize = 3;

/// A sample that is being taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Sample(Vec<(Timestamp, Money)>);

impl Sample {
    /// Takes a mark; gives the moment at which the sample began and its value once it is whole.
    pub fn take(&mut self, at: Timestamp, equity: Money) -> Option<(Timestamp, Money)> {
        let is_next = self.0.last().is_none_or(|(last, _)| at.since(*last) >= APART);
        if is_next && self.0.len() < MARKS {
            self.0.push((at, equity));
        }
        let (began, _) = *self.0.first().filter(|_| self.0.len() == MARKS)?;
        let mut values: Vec<Money> = self.0.iter().map(|(_, equity)| *equity).collect();
        values.sort_unstable();
        Some((began, values[MARKS / 2]))
    }

    /// The lowest mark so far: nothing counts as lost from a height that is not proven.
    pub fn lowest(&self) -> Option<Money> {
        self.0.iter().map(|(_, equity)| *equity).min()
    }

    /// Money came from outside (negative: it left).
    pub fn shift(&mut self, amount: Money) {
        self.0.iter_mut().for_each(|(_, equity)| *equity += amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(marks: &[(i64, i64)]) -> Option<(i64, i128)> {
        let mut sample = Sample::default();
        let taken = marks.iter().find_map(|(ms, equity)| sample.take(Timestamp::from_millis(*ms), Money::from_raw(i128::from(*equity))));
        taken.map(|(began, value)| (began.millis(), value.raw()))
    }

    #[test]
    fn the_middle_of_three_marks_a_second_apart_counts() {
        assert_eq!(sampled(&[(0, 5), (999, 1), (1_000, 7), (1_500, 1), (1_999, 1), (2_000, 6)]), Some((0, 6)));
        assert_eq!(sampled(&[(0, 5), (1_000, 6), (1_999, 7)]), None);
        assert_eq!(sampled(&[(100, 5), (60_100, 3), (120_100, 4)]), Some((100, 4)), "marks may be rare");
    }

    proptest::proptest! {
        #[test]
        fn one_odd_mark_moves_nothing_beyond_the_other_two(honest in (1_i64..1_000, 1_i64..1_000), odd in -1_000_000_i64..1_000_000, place in 0_usize..3) {
            let mut marks = vec![honest.0, honest.1];
            marks.insert(place, odd);
            let marks: Vec<(i64, i64)> = marks.into_iter().enumerate().map(|(n, equity)| (1_000 * n as i64, equity)).collect();
            let value = sampled(&marks).unwrap().1;
            let (low, high) = (honest.0.min(honest.1), honest.0.max(honest.1));
            proptest::prop_assert!((i128::from(low)..=i128::from(high)).contains(&value));
        }
    }
}
