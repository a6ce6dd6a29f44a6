//! Both paths of recall against each other and against a naive sort.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::{ExitReason, Regime, Span};

pub const SHAPE: Shape = Shape { feature_version: 1, dims: 12 };

pub fn episode(number: u64, vector: Vec<f32>, known_secs: i64) -> Episode {
    let known_at = Timestamp::EPOCH + Span::from_secs(known_secs);
    Episode {
        number,
        symbol: "BTCUSDT".parse().unwrap(),
        origin: Origin::Shadow,
        entry_time: known_at - Span::from_secs(30),
        known_at,
        vector,
        feature_version: 1,
        regime: Regime::Range,
        gross_bps: 12.0,
        cost_bps: 2.0,
        net_bps: 10.0,
        held: Span::from_secs(30),
        worst_bps: -1.0,
        best_bps: 14.0,
        exit: ExitReason::Target,
    }
}

pub fn random_vectors(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| (0..SHAPE.dims).map(|_| rng.random_range(-1.0..1.0)).collect()).collect()
}

fn memory_of(vectors: Vec<Vec<f32>>, graph_from: usize) -> Memory {
    let mut memory = Memory::new(SHAPE, graph_from);
    let episodes = vectors.into_iter().enumerate().map(|(n, vector)| episode(n as u64, vector, n as i64)).collect();
    memory.load(episodes).unwrap();
    memory
}

fn with_graph(mut memory: Memory, covers: usize) -> Memory {
    let graph = Graph::build(&memory.episodes()[..covers], memory.shape());
    memory.adopt(Arc::new(graph)).unwrap();
    memory
}

fn at(secs: i64) -> Timestamp {
    Timestamp::EPOCH + Span::from_secs(secs)
}

fn numbers(neighbours: &[Neighbour]) -> Vec<u64> {
    neighbours.iter().map(|neighbour| neighbour.number).collect()
}

#[test]
fn a_planted_future_trade_is_never_returned() {
    let mut vectors = random_vectors(600, 1);
    let query = vectors[0].clone();
    for planted in [100, 300, 450, 590] {
        vectors[planted] = query.clone();
    }
    let exact = memory_of(vectors.clone(), usize::MAX);
    let graphed = with_graph(memory_of(vectors, 1), 500);
    for memory in [&exact, &graphed] {
        for asked in [0, 1, 100, 101, 300, 301, 451, 599, 1_000] {
            let found = memory.recall(&query, at(asked), 5, |_| true);
            assert!(found.iter().all(|neighbour| (neighbour.number as i64) < asked), "{asked}: {found:?}");
            assert_eq!(found.len(), 5.min(asked as usize));
        }
        assert_eq!(numbers(&memory.recall(&query, at(301), 3, |_| true))[..], [0, 100, 300]);
    }
}

#[test]
fn vectors_without_direction_are_never_found() {
    let mut vectors = random_vectors(50, 2);
    vectors[3] = vec![0.0; SHAPE.dims];
    vectors[4] = vec![f32::NAN; SHAPE.dims];
    vectors[5][0] = f32::INFINITY;
    vectors[6] = vec![1.0; 3];
    let mut memory = memory_of(vectors, 1);
    memory.add(Episode { feature_version: 0, ..episode(50, vec![1.0; SHAPE.dims], 1) }).unwrap();
    let query = vec![1.0; SHAPE.dims];
    let graphed = with_graph(memory.clone(), 51);
    for memory in [&memory, &graphed] {
        let found = memory.recall(&query, Timestamp::MAX, 60, |_| true);
        assert_eq!(found.len(), 46);
        assert!(found.iter().all(|n| ![3, 4, 5, 6, 50].contains(&n.number) && n.similarity.is_finite()));
        for bad in [vec![0.0; SHAPE.dims], vec![f32::NAN; SHAPE.dims], vec![1.0; 2], vec![]] {
            assert!(memory.recall(&bad, Timestamp::MAX, 5, |_| true).is_empty());
        }
    }
}

#[test]
fn the_graph_recalls_what_the_scan_recalls() {
    let vectors = random_vectors(600, 7);
    let exact = memory_of(vectors.clone(), usize::MAX);
    let graphed = with_graph(memory_of(vectors, 1), 500);
    let (mut found, mut wanted) = (0, 0);
    for query in random_vectors(60, 8) {
        let truth = exact.recall(&query, Timestamp::MAX, 10, |_| true);
        let answer = graphed.recall(&query, Timestamp::MAX, 10, |_| true);
        wanted += truth.len();
        found += answer.iter().filter(|neighbour| truth.contains(neighbour)).count();
    }
    assert!(found as f64 >= 0.9 * f64::from(wanted as u32), "{found} of {wanted}");
    assert!(graphed.audit(50, 10).unwrap() >= 0.9);
    assert_eq!(exact.audit(50, 10), None);
}

#[test]
fn a_selective_filter_is_answered_exactly() {
    let vectors = random_vectors(500, 9);
    let exact = memory_of(vectors.clone(), usize::MAX);
    let graphed = with_graph(memory_of(vectors, 1), 500);
    let rare = |episode: &Episode| episode.number.is_multiple_of(41);
    for query in random_vectors(20, 10) {
        let answer = graphed.recall(&query, Timestamp::MAX, 10, rare);
        assert_eq!(answer, exact.recall(&query, Timestamp::MAX, 10, rare));
        assert!(answer.iter().all(|neighbour| neighbour.number.is_multiple_of(41)));
    }
}

#[test]
fn duplicates_are_ranked_by_number_on_both_paths() {
    let mut vectors = random_vectors(400, 11);
    let same = vectors[50].clone();
    (200..260).for_each(|n| vectors[n] = same.clone());
    let exact = memory_of(vectors.clone(), usize::MAX);
    let graphed = with_graph(memory_of(vectors, 1), 230);
    for memory in [&exact, &graphed] {
        let found = numbers(&memory.recall(&same, Timestamp::MAX, 40, |_| true));
        assert_eq!(found, std::iter::once(50).chain(200..239).collect::<Vec<u64>>());
    }
}

#[test]
fn a_graph_of_other_episodes_is_refused() {
    let mut memory = memory_of(random_vectors(100, 12), 1);
    let foreign = memory_of(random_vectors(90, 13), 1);
    let graph = Arc::new(Graph::build(foreign.episodes(), SHAPE));
    assert_eq!(memory.adopt(graph), Err(MemoryError::ForeignGraph { covers: 90, held: 100 }));
    let longer = memory_of(random_vectors(101, 12), 1);
    let graph = Arc::new(Graph::build(longer.episodes(), SHAPE));
    assert!(memory.adopt(graph).is_err());
    assert!(memory.audit(10, 5).is_none());
}

#[test]
fn a_graph_is_wanted_by_count_and_again_when_memory_outgrew_it() {
    let memory = memory_of(random_vectors(99, 14), 100);
    assert!(!memory.wants_graph());
    let memory = memory_of(random_vectors(100, 14), 100);
    assert!(memory.wants_graph());
    let mut memory = with_graph(memory, 100);
    assert!(!memory.wants_graph());
    (100..150).for_each(|n| memory.add(episode(n, vec![1.0; SHAPE.dims], 1)).unwrap());
    assert!(memory.wants_graph());
}

#[test]
fn episodes_ascend_and_are_found_by_number() {
    let mut memory = Memory::new(SHAPE, usize::MAX);
    assert_eq!(memory.next_number(), 0);
    memory.add(episode(4, vec![1.0; SHAPE.dims], 1)).unwrap();
    assert_eq!(memory.add(episode(4, vec![1.0; SHAPE.dims], 1)), Err(MemoryError::OutOfOrder { number: 4, last: 4 }));
    assert_eq!((memory.len(), memory.next_number()), (1, 5));
    assert!(memory.episode(4).is_some() && memory.episode(0).is_none());
    assert!(Memory::default().shape() == Shape::CURRENT);
}

#[test]
fn what_was_learnt_before_the_past_was_loaded_stays_behind_it() {
    let direction = |n: u64| (0..SHAPE.dims).map(|d| if d as u64 == n { 1.0 } else { 0.1 }).collect::<Vec<f32>>();
    let mut memory = Memory::new(SHAPE, usize::MAX);
    // The one that is stored too came before the store was read.
    for number in [4, 5] {
        memory.add(episode(number, direction(number), 1)).unwrap();
    }
    memory.load((0..5).map(|number| episode(number, direction(number), 1)).collect()).unwrap();
    assert_eq!(memory.episodes().iter().map(|e| e.number).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    for number in 0..6 {
        assert_eq!(numbers(&memory.recall(&direction(number), Timestamp::MAX, 1, |_| true)), [number]);
    }
}

proptest! {
    #[test]
    fn the_scan_equals_a_naive_sort(
        seed in any::<u64>(), count in 1_usize..400, k in 0_usize..20, fence in 0_i64..440, steps in 1_i32..4, rare in 1_u64..9,
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Few distinct directions: ties are common; and with `steps` at its largest many, so that whole blocks are passed over.
        let mut value = || if steps == 3 { rng.random_range(-1.0_f32..1.0) } else { rng.random_range(0..=steps) as f32 };
        let vectors: Vec<Vec<f32>> = (0..count).map(|_| (0..SHAPE.dims).map(|_| value()).collect()).collect();
        let query: Vec<f32> = (0..SHAPE.dims).map(|_| value()).collect();
        let memory = memory_of(vectors.clone(), usize::MAX);
        let mut rows = Rows::new(SHAPE.dims);
        vectors.iter().for_each(|vector| rows.push(Some(vector)));
        let Some(unit) = rows.unit(&query) else { return Ok(()) };
        let mut naive: Vec<(f32, u64)> = (0..count)
            .filter(|n| (*n as i64) < fence && rows.is_usable(*n) && (*n as u64).is_multiple_of(rare))
            .map(|n| (dot(&unit, rows.row(n)), n as u64))
            .collect();
        naive.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let expected: Vec<(u64, u32)> = naive.into_iter().take(k).map(|(s, number)| (number, s.clamp(-1.0, 1.0).to_bits())).collect();
        let found = memory.recall(&query, at(fence), k, |episode| episode.number.is_multiple_of(rare));
        let found: Vec<(u64, u32)> = found.iter().map(|n| (n.number, n.similarity.to_bits())).collect();
        prop_assert_eq!(found, expected);
    }
}
