//! The memory's graph enters as an event: adopted when it covers what the engine remembers, refused otherwise.

use std::sync::Arc;

use huracan::domain::{Episode, ExitReason, Origin, Regime, Span, Timestamp};
use huracan::engine::Engine;
use huracan::market::features::{NAMES, VERSION};
use huracan::memory::{Graph, Shape};
use huracan::protocol::{Carried, Effect, Event, Learned, Stamp};

use crate::desk::settings;

fn episodes(count: u64, salt: u64) -> Vec<Episode> {
    let value = |n: u64, f: usize| ((n * 7_919 + f as u64 * 104_729 + salt * 31) % 1_000) as f32 / 500.0 - 1.0;
    let episode = |number| Episode {
        number,
        symbol: "BTCUSDT".parse().unwrap(),
        origin: Origin::Shadow,
        entry_time: Timestamp::EPOCH,
        known_at: Timestamp::EPOCH + Span::from_secs(1),
        vector: (0..NAMES.len()).map(|f| value(number, f)).collect(),
        feature_version: VERSION,
        regime: Regime::Range,
        gross_bps: 1.0,
        cost_bps: 20.0,
        net_bps: -19.0,
        held: Span::from_secs(45),
        worst_bps: -1.0,
        best_bps: 2.0,
        exit: ExitReason::HoldLimit,
    };
    (0..count).map(episode).collect()
}

fn said(graph: Option<Graph>) -> String {
    let mut settings = settings();
    settings.graph_from = 100;
    let (mut engine, mut effects) = (Engine::new(settings), Vec::new());
    let memory = Learned::Memory { count: 300, hash: String::new(), episodes: Arc::new(episodes(300, 1)) };
    engine.apply(Stamp { seq: 1, at: Timestamp::EPOCH }, Event::Learned(memory), &mut effects);
    let (covers, hash) = graph.as_ref().map_or((0, 0), |g| (g.covers() as u64, g.hash()));
    let graph = Carried(graph.map(|g| Arc::new(g) as Arc<dyn std::any::Any + Send + Sync>));
    effects.clear();
    engine.apply(Stamp { seq: 2, at: Timestamp::EPOCH }, Event::Learned(Learned::IndexReady { covers, hash, graph }), &mut effects);
    let alert = effects.iter().find_map(|e| if let Effect::Alert(alert) = e { Some(alert.text.clone()) } else { None });
    alert.unwrap()
}

#[test]
fn a_graph_over_the_same_episodes_is_searched() {
    assert_eq!(said(Some(Graph::build(&episodes(250, 1), Shape::CURRENT))), "memory: 250 episodes are searched by graph");
}

#[test]
fn a_graph_over_others_or_none_changes_nothing() {
    assert!(said(Some(Graph::build(&episodes(250, 2), Shape::CURRENT))).contains("build it again"));
    assert!(said(None).contains("everything is scanned"));
}
