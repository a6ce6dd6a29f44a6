//! Twenty synthetic markets without edge: no model may pass its gates on more than one of them. Then three with a plain one, in which the
//! forecast must be better than chance. `cargo bench --bench honest_market`; minutes, so no part of an ordinary test run.

use std::io::Write;
use std::process::ExitCode;

#[path = "../tests/it/honest/seeds.rs"]
mod seeds;

const SEEDS: u64 = 20;
const MOST_PASSES: usize = 1;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let mut tell = |text: String| writeln!(out, "{text}").expect("standard output");
    let mut passes = 0;
    for seed in 0..SEEDS {
        let lesson = seeds::learned(seed, 0.0);
        passes += usize::from(lesson.trees.passed || lesson.policy.passed);
        tell(lesson.to_string());
    }
    let mut seen = true;
    for seed in 0..3 {
        let lesson = seeds::learned(seed, seeds::PLAIN_EDGE);
        seen &= lesson.auc.is_some_and(|auc| auc > seeds::ABOVE_CHANCE);
        tell(lesson.to_string());
    }
    tell(format!(
        "{passes} of {SEEDS} markets without edge passed a gate list; with edge the forecast was {} chance",
        if seen { "above" } else { "NOT above" }
    ));
    if passes <= MOST_PASSES && seen { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
