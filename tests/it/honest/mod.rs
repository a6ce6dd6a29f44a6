//! The synthetic market is honest: without edge there is nothing to learn in it, with edge there is.

mod seeds;

use seeds::{Lesson, learned};

/// Seeds of an ordinary test run: seconds; `benches/honest_market.rs` takes twenty.
const SEEDS: std::ops::Range<u64> = 0..1;

#[test]
fn without_edge_no_model_passes_its_gates() {
    for seed in SEEDS {
        let lesson = learned(seed, 0.0);
        assert!(!lesson.trees.passed && !lesson.policy.passed, "{lesson}");
        // A forecast of chance: 0.5 within what overlapping outcomes allow.
        assert!(lesson.auc.is_some_and(|auc| (auc - 0.5).abs() < 0.06), "{lesson}");
    }
}

#[test]
fn with_enough_edge_the_forecast_is_clearly_better_than_chance() {
    let lesson = learned(0, seeds::PLAIN_EDGE);
    assert!(lesson.auc.is_some_and(|auc| auc > seeds::ABOVE_CHANCE), "{lesson}");
}

#[test]
fn a_lesson_tells_its_seed_and_its_gates() {
    let judged = seeds::Judged { passed: false, trades: 7, gates: vec!["sharpe -3.00 of 0.70".to_owned()] };
    let lesson = Lesson { seed: 3, edge: 0.0, auc: Some(0.5), trees: judged.clone(), policy: judged };
    assert!(lesson.to_string().starts_with("seed 3") && lesson.to_string().contains("sharpe -3.00 of 0.70"));
}
