//! `huracan memory`: the trades that are remembered, and those like the present.

use std::collections::BTreeMap;

use serde::Serialize;

use super::data_file;
use crate::app::Context;
use crate::app::cli::MemoryCommand;
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::domain::{Episode, ExitReason, Origin, Symbol, Timestamp};
use crate::memory::{Memory, Shape, Summary};
use crate::protocol::{DecisionRecord, Verdict};
use crate::store::Store;

/// Decisions that are looked through for the newest of a symbol.
const DECISIONS: usize = 10_000;

pub fn memory(context: &Context, command: &MemoryCommand) -> Outcome {
    let store = data_file::reading(context)?;
    match command {
        MemoryCommand::Stats => stats(context, &store),
        MemoryCommand::Show { number } => show(context, &store, *number),
        MemoryCommand::Search { symbol, count } => search(context, &store, *symbol, *count),
    }
}

/// A group of episodes.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
struct Group {
    episodes: u64,
    won: u64,
    /// Mean results, bps of the entry notional.
    gross_bps: Option<f64>,
    cost_bps: Option<f64>,
    net_bps: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Stats {
    #[serde(flatten)]
    all: Group,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    by_origin: BTreeMap<String, Group>,
    by_symbol: BTreeMap<String, Group>,
    by_regime: BTreeMap<String, Group>,
    by_exit: BTreeMap<String, Group>,
}

fn stats(context: &Context, store: &Store) -> Outcome {
    let episodes = store.episodes(..)?;
    let answer = stats_of(&episodes);
    context.out.answer(&answer, || {
        if episodes.is_empty() {
            return "nothing is remembered yet; huracan train remembers shadow trades, a run its own".to_owned();
        }
        let mut rows = vec![["", "", "episodes", "won", "gross bps", "costs bps", "net bps"].map(str::to_owned).to_vec()];
        rows.push(group_row("all", "", &answer.all));
        let parts =
            [("origin", &answer.by_origin), ("symbol", &answer.by_symbol), ("regime", &answer.by_regime), ("exit", &answer.by_exit)];
        for (name, groups) in parts {
            rows.extend(groups.iter().map(|(key, group)| group_row(name, key, group)));
        }
        table(&rows)
    })
}

fn stats_of(episodes: &[Episode]) -> Stats {
    let by = |key: fn(&Episode) -> String| {
        let mut parts: BTreeMap<String, Vec<&Episode>> = BTreeMap::new();
        episodes.iter().for_each(|episode| parts.entry(key(episode)).or_default().push(episode));
        parts.into_iter().map(|(key, part)| (key, group(&part))).collect()
    };
    Stats {
        all: group(&episodes.iter().collect::<Vec<_>>()),
        first_time: episodes.iter().map(|e| e.entry_time).min(),
        last_time: episodes.iter().map(|e| e.entry_time).max(),
        by_origin: by(|e| e.origin.to_string()),
        by_symbol: by(|e| e.symbol.to_string()),
        by_regime: by(|e| e.regime.to_string()),
        by_exit: by(|e| e.exit.to_string()),
    }
}

fn group(episodes: &[&Episode]) -> Group {
    let mean = |value: fn(&Episode) -> f64| {
        let sum: f64 = episodes.iter().map(|e| value(e)).sum();
        (!episodes.is_empty()).then(|| sum / episodes.len() as f64)
    };
    Group {
        episodes: episodes.len() as u64,
        won: episodes.iter().filter(|e| e.net_bps > 0.0).count() as u64,
        gross_bps: mean(|e| e.gross_bps),
        cost_bps: mean(|e| e.cost_bps),
        net_bps: mean(|e| e.net_bps),
    }
}

fn group_row(name: &str, key: &str, group: &Group) -> Vec<String> {
    let bps = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.1}"));
    let counts = [group.episodes.to_string(), group.won.to_string()];
    let means = [bps(group.gross_bps), bps(group.cost_bps), bps(group.net_bps)];
    [name.to_owned(), key.to_owned()].into_iter().chain(counts).chain(means).collect()
}

fn show(context: &Context, store: &Store, number: u64) -> Outcome {
    let found = store.episodes(number..=number)?.pop();
    let episode =
        found.ok_or_else(|| Failure::failed(format!("there is no episode {number}; huracan memory stats tells how many there are")))?;
    context.out.answer(&episode, || {
        let rows = [
            ("episode", episode.number.to_string()),
            ("symbol", episode.symbol.to_string()),
            ("origin", episode.origin.to_string()),
            ("entered", episode.entry_time.to_string()),
            ("known", episode.known_at.to_string()),
            ("regime", episode.regime.to_string()),
            ("held", format!("{:.1} s", episode.held.secs_f64())),
            ("exit", episode.exit.to_string()),
            ("gross", format!("{:.2} bps", episode.gross_bps)),
            ("costs", format!("{:.2} bps", episode.cost_bps)),
            ("net", format!("{:.2} bps", episode.net_bps)),
            ("worst, best", format!("{:.2}, {:.2} bps", episode.worst_bps, episode.best_bps)),
            ("vector", format!("{} features of version {}", episode.vector.len(), episode.feature_version)),
        ];
        table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
    })
}

#[derive(Debug, Serialize)]
struct Found {
    symbol: Symbol,
    /// The moment of the decision: nothing that was known later is recalled.
    at: Timestamp,
    verdict: Verdict,
    reasons: Vec<String>,
    searched: u64,
    neighbours: Vec<FoundEpisode>,
    /// Means weighted by similarity; `null` without neighbours.
    net_bps: Option<f64>,
    win_share: Option<f64>,
    effective_n: Option<f64>,
}

#[derive(Debug, Serialize)]
struct FoundEpisode {
    number: u64,
    symbol: Symbol,
    origin: Origin,
    similarity: f32,
    entry_time: Timestamp,
    net_bps: f64,
    exit: ExitReason,
}

fn search(context: &Context, store: &Store, symbol: Option<Symbol>, count: usize) -> Outcome {
    let decision = newest_decision(store, symbol)?;
    // Every episode is compared: the answer is exact whatever a graph would say.
    let mut memory = Memory::new(Shape::CURRENT, usize::MAX);
    memory.load(store.episodes(..)?)?;
    let neighbours = memory.recall(&decision.evidence.vector, decision.at, count, |_| true);
    let summary = Summary::of(&neighbours);
    let found = neighbours.iter().filter_map(|n| {
        let episode = memory.episode(n.number)?;
        Some(FoundEpisode {
            number: n.number,
            symbol: n.symbol,
            origin: n.origin,
            similarity: n.similarity,
            entry_time: episode.entry_time,
            net_bps: n.net_bps,
            exit: episode.exit,
        })
    });
    let answer = Found {
        symbol: decision.symbol,
        at: decision.at,
        verdict: decision.verdict,
        reasons: decision.reasons,
        searched: memory.len() as u64,
        neighbours: found.collect(),
        net_bps: summary.map(|s| s.net_bps),
        win_share: summary.map(|s| s.win_share),
        effective_n: summary.map(|s| s.effective_n),
    };
    context.out.answer(&answer, || search_text(&answer))
}

/// Of all modes and accounts in the file.
fn newest_decision(store: &Store, symbol: Option<Symbol>) -> Outcome<DecisionRecord> {
    let mut newest: Option<DecisionRecord> = None;
    for scope in store.scopes()? {
        let mut decisions = store.seen_by(scope).decisions(DECISIONS)?.into_iter();
        let found = decisions.find(|decision| symbol.is_none_or(|symbol| decision.symbol == symbol));
        if let Some(found) = found.filter(|found| newest.as_ref().is_none_or(|newest| found.at > newest.at)) {
            newest = Some(found);
        }
    }
    newest.ok_or_else(|| {
        let of = symbol.map_or(String::new(), |symbol| format!(" of {symbol}"));
        Failure::failed(format!("no decision{of} is stored yet, so there is no situation to search for; run huracan first"))
    })
}

fn search_text(found: &Found) -> String {
    let mut text = format!("{} decided at {}: {}\n", found.symbol, found.at, found.reasons.join("; "));
    if found.neighbours.is_empty() {
        text.push_str(&format!("no trade of the {} remembered was known then", found.searched));
        return text;
    }
    let mut rows = vec![["episode", "similarity", "symbol", "origin", "entered", "net bps", "exit"].map(str::to_owned).to_vec()];
    rows.extend(found.neighbours.iter().map(|n| {
        vec![
            n.number.to_string(),
            format!("{:.3}", n.similarity),
            n.symbol.to_string(),
            n.origin.to_string(),
            n.entry_time.to_string(),
            format!("{:.1}", n.net_bps),
            n.exit.to_string(),
        ]
    }));
    text.push_str(&table(&rows));
    if let (Some(net), Some(won), Some(n)) = (found.net_bps, found.win_share, found.effective_n) {
        text.push_str(&format!("\ntogether: {net:.1} bps net, {:.0} % won, as much as {n:.1} independent trades", won * 100.0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Regime, Span};

    fn episode(number: u64, origin: Origin, net_bps: f64) -> Episode {
        Episode {
            number,
            symbol: "BTCUSDT".parse().unwrap(),
            origin,
            entry_time: Timestamp::from_millis(number as i64),
            known_at: Timestamp::from_millis(number as i64 + 1),
            vector: vec![1.0],
            feature_version: 1,
            regime: Regime::Range,
            gross_bps: net_bps + 20.0,
            cost_bps: 20.0,
            net_bps,
            held: Span::from_secs(1),
            worst_bps: 0.0,
            best_bps: 0.0,
            exit: ExitReason::Target,
        }
    }

    #[test]
    fn episodes_are_counted_by_what_they_are() {
        let stats = stats_of(&[episode(0, Origin::Shadow, -10.0), episode(1, Origin::Real, 30.0), episode(2, Origin::Real, -2.0)]);
        assert_eq!((stats.all.episodes, stats.all.won, stats.all.net_bps), (3, 1, Some(6.0)));
        assert_eq!(stats.by_origin["real"].net_bps, Some(14.0));
        assert_eq!(stats_of(&[]).all, Group::default());
    }
}
