//! Coarse copies of unit vectors, many side by side: a bound of each dot product that costs a fraction of it.
//!
//! A row is kept as bytes, a question as slightly finer whole numbers, so that their dot product is a sum of whole numbers: exact, and the
//! same in any order and on every CPU. How far it can lie from the true one follows from what rounding took away (Cauchy and Schwarz):
//! `q·x <= q'·x' + |q| |x - x'| + |q - q'| |x'|`. A scan looks only at rows whose bound reaches what it has already found.

/// Rows side by side: a compiler turns the loop over them into vector instructions, whichever the CPU has.
pub(super) const ROWS: usize = 64;

/// A component of a row in units of 1 / `FINE`, from -127 to 127, is stored 128 higher.
const FINE: f64 = 127.0;
const BIAS: u16 = 128;

/// Coarse rows, in blocks of `ROWS`; within a block one pair of dimensions after the other, the first of the pair in the lower byte.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    pairs: usize,
    len: usize,
    blocks: Vec<[u16; ROWS]>,
    /// The largest distance of a coarse row from its own.
    coarsest: f64,
    /// Units of a question's component; scores stay within 16 bits.
    finest: f64,
    /// What the sum of a dot product in single precision may lose.
    rounding: f64,
}

/// A question as coarse rows understand it.
pub(super) struct Question {
    pairs: Vec<[u16; 2]>,
    /// Takes the rows' bias out again.
    start: u16,
    /// A score of one in units of similarity, inverted.
    unit: f64,
    /// The similarity is at most this much above its score.
    slack: f64,
}

impl Sketch {
    pub fn new(dims: usize) -> Self {
        // Rounding moves a vector by half a unit per dimension at most.
        let moved = (dims as f64).sqrt() / 2.0;
        let finest = (f64::from(i16::MAX) / (FINE + 1.0 + moved) - moved - 1.0).floor();
        debug_assert!(finest >= FINE / 2.0, "Invariant: a few thousand dimensions");
        let rounding = (dims + 1) as f64 * f64::from(f32::EPSILON);
        Self { pairs: dims.div_ceil(2), len: 0, blocks: Vec::new(), coarsest: 0.0, finest, rounding }
    }

    /// Appends a row of length one, or of zeros.
    pub fn push(&mut self, row: &[f32]) {
        let lane = self.len % ROWS;
        if lane == 0 {
            self.blocks.resize(self.blocks.len() + self.pairs, [BIAS << 8 | BIAS; ROWS]);
        }
        self.len += 1;
        let first = self.blocks.len() - self.pairs;
        let mut lost = 0.0;
        for (dim, value) in row.iter().take(2 * self.pairs).enumerate() {
            let coarse = (f64::from(*value) * FINE).round();
            lost += (f64::from(*value) - coarse / FINE).powi(2);
            let stored = (coarse as i16).wrapping_add_unsigned(BIAS) as u16;
            let pair = &mut self.blocks[first + dim / 2][lane];
            *pair = if dim % 2 == 0 { *pair & 0xFF00 | stored } else { *pair & 0x00FF | stored << 8 };
        }
        self.coarsest = self.coarsest.max(lost.sqrt());
    }

    /// Of a vector of length one.
    pub fn question(&self, unit: &[f32]) -> Question {
        let coarse = |dim: usize| unit.get(dim).map_or(0.0, |value| (f64::from(*value) * self.finest).round());
        let pairs: Vec<[u16; 2]> =
            (0..self.pairs).map(|pair| [coarse(2 * pair) as i16 as u16, coarse(2 * pair + 1) as i16 as u16]).collect();
        let sum = pairs.iter().flatten().fold(0, |sum: u16, value| sum.wrapping_add(*value));
        let lost = unit.iter().enumerate().map(|(dim, value)| (f64::from(*value) - coarse(dim) / self.finest).powi(2)).sum::<f64>().sqrt();
        // A hundredth more than it is: lengths are one to a few parts in ten million only.
        let slack = 1.01 * (self.coarsest + lost * (1.0 + self.coarsest)) + self.rounding;
        Question { pairs, start: sum.wrapping_mul(BIAS).wrapping_neg(), unit: FINE * self.finest, slack }
    }

    /// The scores of the rows of one block, from position `block * ROWS` on; past the last row they mean nothing.
    pub fn scores(&self, block: usize, question: &Question) -> [i16; ROWS] {
        let mut sums = [question.start; ROWS];
        let pairs = &self.blocks[block * self.pairs..(block + 1) * self.pairs];
        for (rows, [low, high]) in pairs.iter().zip(&question.pairs) {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = sum.wrapping_add((row & 0xFF).wrapping_mul(*low)).wrapping_add((row >> 8).wrapping_mul(*high));
            }
        }
        sums.map(u16::cast_signed)
    }
}

impl Question {
    /// A row of a lower score is less similar than `similarity`.
    pub fn least_score(&self, similarity: f32) -> i16 {
        ((f64::from(similarity) - self.slack) * self.unit).floor() as i16
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::vectors::{Rows, dot};
    use super::*;

    /// Directions of every kind: smooth ones, ones along few axes, ones of whole steps.
    fn vector(rng: &mut ChaCha8Rng, dims: usize) -> Vec<f32> {
        let kind = rng.random_range(0..3);
        let one = |rng: &mut ChaCha8Rng| match kind {
            0 => rng.random_range(-1.0..1.0),
            1 if rng.random_range(0..dims) > 1 => 0.0,
            _ => rng.random_range(-2..3) as f32,
        };
        (0..dims).map(|_| one(rng)).collect()
    }

    proptest! {
        #[test]
        fn a_score_is_the_sum_of_whole_numbers_and_never_hides_a_similar_row(seed in any::<u64>(), dims in 1_usize..70, count in 1_usize..200) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut rows, mut sketch) = (Rows::new(dims), Sketch::new(dims));
            for _ in 0..count {
                rows.push(Some(&vector(&mut rng, dims)));
                sketch.push(rows.row(rows.len() - 1));
            }
            let Some(unit) = rows.unit(&vector(&mut rng, dims)) else { return Ok(()) };
            let question = sketch.question(&unit);
            for position in 0..count {
                let row = rows.row(position);
                let score = sketch.scores(position / ROWS, &question)[position % ROWS];
                let coarse = |value: f32, unit: f64| (f64::from(value) * unit).round() as i64;
                let naive: i64 = row.iter().zip(&unit).map(|(x, q)| coarse(*x, FINE) * coarse(*q, sketch.finest)).sum();
                prop_assert_eq!(i64::from(score), naive);
                prop_assert!(score >= question.least_score(dot(&unit, row)));
            }
        }
    }

    #[test]
    fn few_rows_must_be_looked_at() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let dims = 37;
        let (mut rows, mut sketch) = (Rows::new(dims), Sketch::new(dims));
        let mut random = || (0..dims).map(|_| rng.random_range(-1.0_f32..1.0)).collect::<Vec<f32>>();
        for _ in 0..4_000 {
            rows.push(Some(&random()));
            sketch.push(rows.row(rows.len() - 1));
        }
        let unit = rows.unit(&random()).unwrap();
        let question = sketch.question(&unit);
        let mut similar: Vec<f32> = (0..rows.len()).map(|position| dot(&unit, rows.row(position))).collect();
        similar.sort_by(|a, b| b.total_cmp(a));
        let least = question.least_score(similar[15]);
        let looks = (0..rows.len()).filter(|at| sketch.scores(at / ROWS, &question)[at % ROWS] >= least).count();
        assert!((16..60).contains(&looks), "{looks} of {} for the nearest 16", rows.len());
    }

    #[test]
    fn nothing_found_yet_passes_every_row_and_nothing_wanted_passes_none() {
        let sketch = Sketch::new(37);
        let question = sketch.question(&[0.0; 40]);
        assert_eq!((question.least_score(f32::NEG_INFINITY), question.least_score(f32::INFINITY)), (i16::MIN, i16::MAX));
    }
}
