//! Rooms know only rooms below them.

use super::source::{Source, is_word, words};
use super::{none_of, planted};

/// (room, what it may import). `trading` has rooms of its own, each above the one before it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("protocol", &["domain"]),
    ("market", &["domain"]),
    ("matching", &["domain"]),
    ("models", &["domain", "market"]),
    ("memory", &["domain", "market"]),
    ("trading/costs", &["domain", "protocol", "market"]),
    ("trading/ledger", &["domain", "protocol", "market", "trading/costs"]),
    ("trading/decision", &["domain", "protocol", "market", "models", "memory", "trading/costs", "trading/ledger"]),
    ("trading/risk", &["domain", "protocol", "market", "models", "memory", "trading/costs", "trading/ledger", "trading/decision"]),
    (
        "trading/execution",
        &["domain", "protocol", "market", "models", "memory", "trading/costs", "trading/ledger", "trading/decision", "trading/risk"],
    ),
    ("trading", &["domain", "protocol", "market", "models", "memory"]),
    ("health", &["domain", "protocol"]),
    ("engine", &["domain", "protocol", "market", "models", "memory", "trading", "health"]),
    ("learning", &["domain", "protocol", "market", "matching", "models", "memory", "trading", "health", "engine"]),
    ("venue", &["domain", "protocol", "matching"]),
    ("store", &["domain", "protocol"]),
    ("tui", &["domain", "protocol"]),
    (
        "app",
        &[
            "domain", "protocol", "market", "matching", "models", "memory", "trading", "health", "engine", "learning", "venue", "store",
            "tui",
        ],
    ),
];

/// The room of a path below `src`, as the table names it.
fn room_of(path: &str) -> Option<&'static str> {
    let inside = |room: &str| path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']));
    MAY_IMPORT.iter().map(|(room, _)| *room).find(|room| inside(room))
}

/// Every `a/b` that follows `crate::`, groups opened, with its place.
fn imported(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        let from = at + "crate::".len();
        let rest = &code[from..];
        if rest.starts_with('{') {
            found.extend(group(rest).into_iter().map(|(offset, path)| (from + offset, path)));
        } else {
            found.push((from, path_at(rest)));
        }
    }
    found
}

/// The first two names of a path, joined by `/`.
fn path_at(text: &str) -> String {
    let name = |text: &str| text.bytes().take_while(|b| is_word(*b)).count();
    let first = name(text);
    let rest = &text[first..];
    match rest.strip_prefix("::").map(|rest| &rest[..name(rest)]) {
        Some(second) if !second.is_empty() => format!("{}/{second}", &text[..first]),
        _ => text[..first].to_owned(),
    }
}

/// The paths that a `{…}` holds at its first level.
fn group(text: &str) -> Vec<(usize, String)> {
    let (mut depth, mut found, mut fresh) = (0, Vec::new(), false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => (depth, fresh) = (depth + 1, depth == 0),
            b'}' if depth == 1 => break,
            b'}' => depth -= 1,
            b',' => fresh = depth == 1,
            byte if fresh && is_word(byte) => {
                found.push((at, path_at(&text[at..])));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}

fn crossings(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("src/").filter(|_| source.room().is_some()) else { return Vec::new() };
    let Some(room) = room_of(inside) else { return vec![format!("{}: the table does not know this room", source.path)] };
    let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, allowed)| allowed);
    let top = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (at, path) in imported(&source.code()) {
        let Some(target) = room_of(&path) else {
            found.push(format!("{}: crate::{} is no room", source.place(at), path.replace('/', "::")));
            continue;
        };
        // A room may name its own parts and, from inside, the room it is in.
        let own = target == room || (room == top(target)) || (target == top(room));
        if !own && !allowed.contains(&target) && !allowed.contains(&top(target).as_str()) {
            found.push(format!("{}: {room} imports {target}", source.place(at)));
        }
    }
    found
}

#[test]
fn no_import_crosses_the_table() {
    none_of("rooms know only rooms below them", Source::all("src").iter().flat_map(crossings).collect());
}

#[test]
fn a_crossing_import_is_found() {
    let breaches = |path: &str, text: &str| crossings(&planted(path, text)).len();
    assert_eq!(breaches("src/domain/x.rs", "use crate::market::Book;"), 1);
    assert_eq!(breaches("src/engine/x.rs", "fn f() { crate::matching::Exchange::new() }"), 1);
    assert_eq!(breaches("src/engine/x.rs", "use crate::{domain::Qty, protocol::{Event, Stamp}, learning::drive};"), 1);
    assert_eq!(breaches("src/trading/costs/x.rs", "use crate::trading::risk::approve;"), 1);
    assert_eq!(breaches("src/trading/risk/rules.rs", "use crate::trading::execution::Trade;"), 1);
    assert_eq!(breaches("src/learning/x.rs", "#[cfg(test)]\nmod tests { use crate::store::Store; }"), 1);
    assert_eq!(breaches("src/newroom/x.rs", ""), 1);
    assert_eq!(breaches("src/store/x.rs", "use crate::Store;"), 1);
}

#[test]
fn a_lawful_import_is_left_alone() {
    let breaches = |path: &str, text: &str| crossings(&planted(path, text));
    assert_eq!(breaches("src/trading/execution/trade.rs", "use crate::trading::{risk::approve};\nuse crate::trading::costs;"), [""; 0]);
    assert_eq!(breaches("src/engine/x.rs", "// crate::store::Store\nlet a = \"crate::store\"; use crate::trading::risk;"), [""; 0]);
    assert_eq!(breaches("src/app/x.rs", "use crate::{store::Store, tui};"), [""; 0]);
    assert_eq!(breaches("src/main.rs", "use crate::app;"), [""; 0]);
}
