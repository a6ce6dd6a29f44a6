//! The pure rooms have no clock, no file, no thread, no environment and no order by chance.

use super::source::{Source, words};
use super::{none_of, planted};

const PURE: &[&str] = &["domain", "protocol", "market", "matching", "models", "memory", "trading", "health", "engine", "learning"];

const FORBIDDEN: &[&str] = &[
    "HashMap",
    "HashSet",
    "Instant::now",
    "SystemTime::now",
    "thread::",
    "std::fs",
    "std::env",
    "std::net",
    "tokio",
    "rand::rng",
    "rand::random",
    "thread_rng",
    "File::open",
    "RandomState",
];

/// (file, word, why it does no harm).
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

fn impurities(source: &Source) -> Vec<String> {
    if !source.room().is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    let code = source.code();
    let excepted = |word: &str| EXCEPTIONS.iter().any(|(file, what, _)| *file == source.path && *what == word);
    let places = |word: &&'static str| words(&code, word).into_iter().map(|at| format!("{}: {word}", source.place(at))).collect::<Vec<_>>();
    FORBIDDEN.iter().filter(|word| !excepted(word)).flat_map(places).collect()
}

#[test]
fn the_pure_rooms_are_pure() {
    none_of("no clock, file, thread, environment or random order", Source::all("src").iter().flat_map(impurities).collect());
}

#[test]
fn every_exception_is_needed() {
    let sources = Source::all("src");
    for (file, word, reason) in EXCEPTIONS {
        let used = sources.iter().find(|s| s.path == *file).is_some_and(|s| !words(&s.code(), word).is_empty());
        assert!(used && !reason.is_empty(), "{file}: {word} is no longer there");
    }
}

#[test]
fn an_impurity_is_found() {
    for word in FORBIDDEN {
        assert_eq!(impurities(&planted("src/engine/x.rs", &format!("let x = {word}();"))).len(), 1, "{word}");
        assert!(impurities(&planted("src/store/x.rs", &format!("let x = {word}();"))).is_empty(), "{word} in a room that may");
    }
    assert!(impurities(&planted("src/engine/x.rs", "// a HashMap has no order")).is_empty());
}
