//! Unit vectors side by side, and their dot product in a fixed order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::sketch::{ROWS, Sketch};

/// Partial sums of a dot product. Rows are padded to a multiple of it, and the sums are added in one order whatever the CPU offers.
const LANES: usize = 8;

/// Shorter than this a vector has no direction.
const SHORTEST: f64 = 1e-9;

/// Unit vectors by position. A position without a usable vector holds zeros.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    dims: usize,
    stride: usize,
    values: Vec<f32>,
    usable: Vec<bool>,
    sketch: Sketch,
}

impl Rows {
    pub fn new(dims: usize) -> Self {
        let stride = dims.next_multiple_of(LANES).max(LANES);
        Self { dims, stride, values: Vec::new(), usable: Vec::new(), sketch: Sketch::new(dims) }
    }

    /// Appends `vector` as a unit vector; `None`, or one without direction, takes its position but is never found.
    pub fn push(&mut self, vector: Option<&[f32]>) {
        let unit = vector.and_then(|vector| self.unit(vector));
        self.usable.push(unit.is_some());
        match unit {
            Some(unit) => self.values.extend(unit),
            None => self.values.resize(self.values.len() + self.stride, 0.0),
        }
        self.sketch.push(&self.values[self.values.len() - self.stride..]);
    }

    /// `vector` at length one, padded; `None` when it has another dimension, is zero, or is not finite.
    pub fn unit(&self, vector: &[f32]) -> Option<Vec<f32>> {
        let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
        if vector.len() != self.dims || !length.is_finite() || length < SHORTEST {
            return None;
        }
        let mut unit: Vec<f32> = vector.iter().map(|value| (f64::from(*value) / length) as f32).collect();
        unit.resize(self.stride, 0.0);
        Some(unit)
    }

    pub fn len(&self) -> usize {
        self.usable.len()
    }

    pub fn is_usable(&self, position: usize) -> bool {
        self.usable[position]
    }

    /// Shows `look` the rows in `positions` that can be at least as similar to `unit` as is wanted: at first `wanted`, then what `look` last
    /// gave. It gets the similarity and the position; blocks with the most promising rows come first, so that few others need be looked at.
    pub fn scan(&self, positions: Range<usize>, unit: &[f32], wanted: f32, mut look: impl FnMut(f32, usize) -> f32) {
        let question = self.sketch.question(unit);
        let mut least = question.least_score(wanted);
        let highest = |block: usize| self.sketch.scores(block, &question).into_iter().fold(i16::MIN, i16::max);
        let blocks = positions.start / ROWS..positions.end.div_ceil(ROWS);
        let mut open: BinaryHeap<(i16, Reverse<usize>)> = blocks.map(|block| (highest(block), Reverse(block))).collect();
        while let Some((_, Reverse(block))) = open.pop().filter(|(score, _)| *score >= least) {
            for (position, score) in (block * ROWS..).zip(self.sketch.scores(block, &question)) {
                if score >= least && positions.contains(&position) {
                    least = question.least_score(look(dot(unit, self.row(position)), position));
                }
            }
        }
    }

    pub fn row(&self, position: usize) -> &[f32] {
        &self.values[position * self.stride..(position + 1) * self.stride]
    }

    /// Hash of the first `count` rows (FNV-1a over their bits): two equal prefixes have equal hashes.
    pub fn prefix_hash(&self, count: usize) -> u64 {
        let bits = self.values[..count * self.stride].iter().map(|value| value.to_bits());
        bits.chain([self.dims as u32]).fold(0xCBF2_9CE4_8422_2325, |hash, word| (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01B3))
    }
}

/// The dot product of two padded rows: eight partial sums, added pairwise. The same bits on every CPU.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_become_units_and_pointless_ones_are_not_usable() {
        let mut rows = Rows::new(3);
        for vector in [[3.0, 0.0, 4.0], [0.0; 3], [f32::NAN, 1.0, 1.0], [f32::INFINITY, 0.0, 0.0], [3e30, 0.0, 4e30]] {
            rows.push(Some(&vector));
        }
        rows.push(None);
        rows.push(Some(&[1.0, 2.0]));
        let usable: Vec<_> = (0..rows.len()).map(|position| rows.is_usable(position)).collect();
        assert_eq!(usable, [true, false, false, false, true, false, false]);
        assert_eq!(rows.row(0)[..3], [0.6, 0.0, 0.8]);
        assert!((dot(rows.row(0), rows.row(4)) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_dot_product_is_the_sum_of_products() {
        let a: Vec<f32> = (0..24).map(|n| n as f32).collect();
        let b: Vec<f32> = (0..24).map(|n| (n % 5) as f32).collect();
        assert_eq!(dot(&a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>());
    }

    #[test]
    fn a_prefix_hash_tells_vectors_apart() {
        let mut rows = Rows::new(2);
        rows.push(Some(&[1.0, 0.0]));
        let one = rows.prefix_hash(1);
        rows.push(Some(&[0.0, 1.0]));
        assert_eq!(rows.prefix_hash(1), one);
        assert_ne!(rows.prefix_hash(2), one);
    }
}
