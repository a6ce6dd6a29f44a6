//! The memory of trades: episodes as vectors, and recall of the most alike whose outcome was known.
//!
//! *Takes / gives*: `Episode`s in the order of creation; for a situation and a moment, the `k` most alike (`Neighbour`) and their `Summary`.
//!
//! Recall is an exact scan, of which most is done on coarse copies of the vectors (`sketch`): they tell which rows can not be among the
//! nearest. From `GRAPH_FROM` episodes on, the older ones can be covered by a graph that is built elsewhere (`wants_graph`,
//! `Graph::build`, `adopt`): it proposes candidates, whose similarity is computed exactly; episodes newer than the graph are scanned, and
//! so is everything when fence and filter leave too few of its candidates.
//!
//! Invariants
//! 1. An outcome that was not known before the asking time is not returned, by either path
//!    (`tests::a_planted_future_trade_is_never_returned`).
//! 2. Zero, NaN and foreign vectors (another feature version or length) are neither found nor asked with
//!    (`tests::vectors_without_direction_are_never_found`).
//! 3. The scan equals a naive sort, ties by number (`tests::the_scan_equals_a_naive_sort`); a coarse copy hides nothing
//!    (`sketch::tests::a_score_is_the_sum_of_whole_numbers_and_never_hides_a_similar_row`).
//! 4. The graph finds at least nine in ten of what the scan finds (`tests::the_graph_recalls_what_the_scan_recalls`), and refuses to stand
//!    for other episodes than it was built over (`tests::a_graph_of_other_episodes_is_refused`).
//!
//! *Never*: an outcome before its time, a changed episode, a file, a thread.

mod graph;
mod sketch;
mod summary;
mod vectors;

pub use graph::Graph;
pub use summary::Summary;

use std::sync::Arc;

use vectors::{Rows, dot};

use crate::domain::{Episode, Origin, Symbol, Timestamp};
use crate::market::features;

/// Episodes from which a graph is wanted: the default crossover, from 64-dimensional measurements (questions a second: at 10,000 the scan
/// 20,805 and the graph 5,627; at 100,000 the scan 1,216 and the graph 3,379).
pub const GRAPH_FROM: usize = 50_000;

/// Candidates asked of the graph per wanted neighbour, and at least.
const OVER_FETCH: usize = 4;
const FEWEST_CANDIDATES: usize = 96;

/// Which vectors are comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub feature_version: u16,
    pub dims: usize,
}

impl Shape {
    /// Of this program's feature vectors.
    pub const CURRENT: Self = Self { feature_version: features::VERSION, dims: features::NAMES.len() };

    fn vector_of(self, episode: &Episode) -> Option<&[f32]> {
        (episode.feature_version == self.feature_version).then_some(episode.vector.as_slice())
    }
}

/// A situation as memory compares it: the raw features, which are free of scale by themselves, within ± 8, and 0 where one is missing.
/// No model's statistics are in it, so that episodes of different years compare.
#[must_use]
pub fn situation(features: &[f32]) -> Vec<f32> {
    const LIMIT: f32 = 8.0;
    features.iter().map(|v| if v.is_nan() { 0.0 } else { v.clamp(-LIMIT, LIMIT) }).collect()
}

/// A past trade like the situation asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The episode's.
    pub number: u64,
    pub symbol: Symbol,
    pub origin: Origin,
    /// Cosine, −1 to 1, computed exactly.
    pub similarity: f32,
    pub net_bps: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    #[error("episode {number} does not come after episode {last}")]
    OutOfOrder { number: u64, last: u64 },
    #[error("the graph covers {covers} episodes that are not the first {covers} of the {held} in memory; build it again")]
    ForeignGraph { covers: usize, held: usize },
}

/// All episodes, and what is needed to find them.
#[derive(Debug, Clone)]
pub struct Memory {
    shape: Shape,
    episodes: Vec<Episode>,
    rows: Rows,
    graph: Option<Arc<Graph>>,
    graph_from: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Shape::CURRENT, GRAPH_FROM)
    }
}

impl Memory {
    /// `graph_from`: episodes from which a graph is wanted and used.
    #[must_use]
    pub fn new(shape: Shape, graph_from: usize) -> Self {
        Self { shape, episodes: Vec::new(), rows: Rows::new(shape.dims), graph: None, graph_from }
    }

    /// The most alike episodes with `known_at < at` that `filter` lets pass: at most `k`, most alike first, ties by number.
    #[must_use]
    pub fn recall(&self, query: &[f32], at: Timestamp, k: usize, filter: impl Fn(&Episode) -> bool) -> Vec<Neighbour> {
        let Some(unit) = self.rows.unit(query) else { return Vec::new() };
        let admitted = |episode: &Episode| episode.known_at < at && filter(episode);
        let mut best = Best::new(k);
        let scanned_from = self.graph_in_use().map_or(0, |graph| self.offer_from_graph(graph, &unit, &admitted, &mut best));
        self.scan(scanned_from..self.rows.len(), &unit, &admitted, &mut best);
        best.found.iter().map(|(similarity, position)| self.neighbour(*similarity, *position)).collect()
    }

    /// Appends an episode. Numbers ascend; the next free one is `next_number()`.
    ///
    /// # Errors
    /// `OutOfOrder` when its number is not above the last: nothing is appended.
    pub fn add(&mut self, episode: Episode) -> Result<(), MemoryError> {
        if let Some(last) = self.episodes.last().filter(|last| episode.number <= last.number) {
            return Err(MemoryError::OutOfOrder { number: episode.number, last: last.number });
        }
        self.rows.push(self.shape.vector_of(&episode));
        self.episodes.push(episode);
        Ok(())
    }

    /// Takes in stored episodes, in their order. What was added before they came stays behind them; a graph over what was there is dropped.
    ///
    /// # Errors
    /// `OutOfOrder` at the first that does not ascend; those before it are kept, and what was added.
    pub fn load(&mut self, stored: Vec<Episode>) -> Result<(), MemoryError> {
        let added = std::mem::replace(self, Self::new(self.shape, self.graph_from)).episodes;
        let loaded = stored.into_iter().try_for_each(|episode| self.add(episode));
        let next = self.next_number();
        added.into_iter().filter(|episode| episode.number >= next).try_for_each(|episode| self.add(episode))?;
        loaded
    }

    /// Lets `graph` stand for the episodes it was built over, in place of an earlier graph.
    ///
    /// # Errors
    /// `ForeignGraph` when the first episodes here are not those; the earlier graph stays.
    pub fn adopt(&mut self, graph: Arc<Graph>) -> Result<(), MemoryError> {
        let covers = graph.covers();
        if covers > self.rows.len() || self.rows.prefix_hash(covers) != graph.hash() {
            return Err(MemoryError::ForeignGraph { covers, held: self.rows.len() });
        }
        self.graph = Some(graph);
        Ok(())
    }

    /// True when there are enough episodes for a graph and half as many again as the present one covers.
    #[must_use]
    pub fn wants_graph(&self) -> bool {
        let covered = self.graph_in_use().map_or(0, Graph::covers);
        self.len() >= self.graph_from.max(1) && self.len() >= covered + covered / 2
    }

    /// The share of the exact `k` nearest that the graph finds, over `sample` episodes spread evenly; `None` without a graph in use.
    #[must_use]
    pub fn audit(&self, sample: usize, k: usize) -> Option<f64> {
        let graph = self.graph_in_use()?;
        let usable: Vec<usize> = (0..graph.covers()).filter(|position| self.rows.is_usable(*position)).collect();
        let (mut wanted, mut found) = (0, 0);
        for position in usable.iter().step_by((usable.len() / sample.max(1)).max(1)).take(sample) {
            let unit = self.rows.row(*position);
            let (mut exact, mut proposed) = (Best::new(k), Best::new(k));
            self.scan(0..graph.covers(), unit, &|_| true, &mut exact);
            self.offer_from_graph(graph, unit, &|_| true, &mut proposed);
            let floor = exact.found.last().map_or(f32::INFINITY, |(similarity, _)| *similarity);
            wanted += exact.found.len();
            found += proposed.found.iter().filter(|(similarity, _)| *similarity >= floor).count();
        }
        (wanted > 0).then(|| found as f64 / wanted as f64)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.episodes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.episodes.is_empty()
    }

    /// In the order of creation.
    #[must_use]
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    #[must_use]
    pub fn episode(&self, number: u64) -> Option<&Episode> {
        self.episodes.binary_search_by_key(&number, |episode| episode.number).ok().map(|at| &self.episodes[at])
    }

    /// The number of the next episode.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.episodes.last().map_or(0, |last| last.number + 1)
    }

    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    fn graph_in_use(&self) -> Option<&Graph> {
        self.graph.as_deref().filter(|graph| graph.covers() >= self.graph_from)
    }

    /// Offers what the graph proposes; gives the position from which everything must still be scanned. The graph's candidates are the
    /// nearest of all, so the admitted among them are the nearest admitted, if there are enough of them.
    fn offer_from_graph(&self, graph: &Graph, unit: &[f32], admitted: &impl Fn(&Episode) -> bool, best: &mut Best) -> usize {
        let (positions, all) = graph.nearest(unit, FEWEST_CANDIDATES.max(best.k.saturating_mul(OVER_FETCH)));
        let passed: Vec<usize> = positions.into_iter().filter(|position| admitted(&self.episodes[*position])).collect();
        if passed.len() < best.k && !all {
            return 0;
        }
        passed.into_iter().for_each(|position| best.offer(dot(unit, self.rows.row(position)), position));
        graph.covers()
    }

    fn scan(&self, positions: std::ops::Range<usize>, unit: &[f32], admitted: &impl Fn(&Episode) -> bool, best: &mut Best) {
        self.rows.scan(positions, unit, best.wanted(), |similarity, position| {
            if best.takes(similarity, position) && self.rows.is_usable(position) && admitted(&self.episodes[position]) {
                best.offer(similarity, position);
            }
            best.wanted()
        });
    }

    fn neighbour(&self, similarity: f32, position: usize) -> Neighbour {
        let Episode { number, symbol, origin, net_bps, .. } = self.episodes[position];
        Neighbour { number, symbol, origin, similarity: similarity.clamp(-1.0, 1.0), net_bps }
    }
}

/// The `k` most similar positions so far, most similar first, ties by position.
struct Best {
    k: usize,
    found: Vec<(f32, usize)>,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, found: Vec::with_capacity(k.min(1_024) + 1) }
    }

    /// What is less similar is not taken.
    fn wanted(&self) -> f32 {
        match self.found.last() {
            Some((similarity, _)) if self.found.len() == self.k => *similarity,
            _ if self.k == 0 => f32::INFINITY,
            _ => f32::NEG_INFINITY,
        }
    }

    fn takes(&self, similarity: f32, position: usize) -> bool {
        self.found.len() < self.k || self.found.last().is_some_and(|last| Self::before((similarity, position), *last))
    }

    fn offer(&mut self, similarity: f32, position: usize) {
        let at = self.found.partition_point(|held| Self::before(*held, (similarity, position)));
        self.found.insert(at, (similarity, position));
        self.found.truncate(self.k);
    }

    fn before(a: (f32, usize), b: (f32, usize)) -> bool {
        b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).is_lt()
    }
}

#[cfg(test)]
mod tests;
