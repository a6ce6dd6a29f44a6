//! An HNSW graph (Malkov and Yashunin, 2016; the `hnsw_rs` crate) over the first n episodes: built once, never changed.
//!
//! What the crate needs around it, by reading and measuring 0.3.5:
//! - its cosine distance puts zero and NaN vectors at distance 0 to everything, its dot distance panics on unit vectors: rows are unit
//!   vectors and the distance is our own, never below zero (the crate asserts that);
//! - its filtered search can empty its own heap and panic: the graph is searched without a filter, for more than is asked, and the caller
//!   filters; too few left means an exact scan;
//! - identical vectors prune each other's links until a cluster of them is cut off: each distinct vector is inserted once;
//! - layers are drawn from a seed fixed in the crate, hash maps are only asked for membership: one thread inserting in order gives the same
//!   graph each time (`tests::two_builds_are_the_same_graph`). Parallel insertion does not, and is not used.

use std::collections::BTreeMap;
use std::fmt;

use hnsw_rs::prelude::{Distance, Hnsw};

use super::Shape;
use super::vectors::{Rows, dot};
use crate::domain::Episode;

const LINKS: usize = 16;
const LAYERS: usize = 16;
const BUILD_WIDTH: usize = 200;

/// 1 − dot product of unit vectors, in a fixed order; 0 to 2.
#[derive(Debug, Clone, Copy, Default)]
struct UnitDistance;

impl Distance<f32> for UnitDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

/// A graph over the vectors of the first `covers()` episodes.
pub struct Graph {
    hnsw: Hnsw<'static, f32, UnitDistance>,
    covers: usize,
    hash: u64,
    distinct: usize,
    /// Positions with the same vector as the first of them, which is the one in the graph.
    twins: BTreeMap<usize, Vec<usize>>,
}

impl Graph {
    /// Builds over all `episodes` (a prefix of memory, from the first), one after another on the caller's thread: slow, so never on the
    /// engine's.
    #[must_use]
    pub fn build(episodes: &[Episode], shape: Shape) -> Self {
        let mut rows = Rows::new(shape.dims);
        episodes.iter().for_each(|episode| rows.push(shape.vector_of(episode)));
        Self::over(&rows)
    }

    fn over(rows: &Rows) -> Self {
        let mut firsts: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        let mut twins: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut hnsw = Hnsw::new(LINKS, rows.len().max(1), LAYERS, BUILD_WIDTH, UnitDistance);
        hnsw.set_extend_candidates(false);
        hnsw.set_keeping_pruned(false);
        for position in (0..rows.len()).filter(|position| rows.is_usable(*position)) {
            let row = rows.row(position);
            let first = *firsts.entry(row.iter().map(|value| value.to_bits()).collect()).or_insert(position);
            if first == position {
                hnsw.insert_slice((row, position));
            } else {
                twins.entry(first).or_default().push(position);
            }
        }
        hnsw.set_searching_mode(true);
        Self { hnsw, covers: rows.len(), hash: rows.prefix_hash(rows.len()), distinct: firsts.len(), twins }
    }

    /// How many episodes, from the first, it was built over.
    #[must_use]
    pub fn covers(&self) -> usize {
        self.covers
    }

    /// Of the vectors it was built over.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Positions of about the `count` nearest distinct vectors, with all their twins; true when these are all there are.
    pub(super) fn nearest(&self, unit: &[f32], count: usize) -> (Vec<usize>, bool) {
        if self.distinct == 0 {
            return (Vec::new(), true);
        }
        let found = self.hnsw.search(unit, count, count);
        let all = found.len() == self.distinct;
        let mut positions = Vec::with_capacity(found.len());
        for first in found.iter().map(|neighbour| neighbour.d_id) {
            positions.push(first);
            positions.extend(self.twins.get(&first).into_iter().flatten());
        }
        (positions, all)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph over {} episodes, {} distinct vectors, hash {:016x}", self.covers, self.distinct, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SHAPE, episode, random_vectors};
    use super::*;

    fn graph(vectors: &[Vec<f32>]) -> (Graph, Rows) {
        let mut rows = Rows::new(SHAPE.dims);
        vectors.iter().for_each(|vector| rows.push(Some(vector)));
        (Graph::over(&rows), rows)
    }

    #[test]
    fn two_builds_are_the_same_graph() {
        let vectors = random_vectors(300, 3);
        let (one, rows) = graph(&vectors);
        let (other, _) = graph(&vectors);
        assert_eq!(one.hash(), other.hash());
        for query in random_vectors(40, 4) {
            let unit = rows.unit(&query).unwrap();
            assert_eq!(one.nearest(&unit, 20), other.nearest(&unit, 20));
        }
    }

    #[test]
    fn identical_vectors_are_all_found_and_cut_nothing_off() {
        let mut vectors = random_vectors(500, 5);
        let same = vectors[7].clone();
        vectors.splice(100..100, std::iter::repeat_n(same.clone(), 1_000));
        let (graph, rows) = graph(&vectors);
        let (found, all) = graph.nearest(&rows.unit(&same).unwrap(), 20);
        assert_eq!(found.iter().filter(|position| **position == 7 || (100..1_100).contains(*position)).count(), 1_001);
        assert!(!all);
        let (far, _) = graph.nearest(&rows.unit(&vectors[1_400]).unwrap(), 20);
        assert_eq!(far[0], 1_400);
    }

    #[test]
    fn a_graph_of_nothing_usable_answers_nothing() {
        let zero = episode(0, vec![0.0; SHAPE.dims], 1);
        let graph = Graph::build(&[zero], SHAPE);
        assert_eq!((graph.covers(), graph.nearest(&[1.0; 16], 5)), (1, (vec![], true)));
    }
}
