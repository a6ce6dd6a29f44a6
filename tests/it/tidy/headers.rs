//! Each room says what it takes, gives and never does, and names tests that exist.

use super::source::{Source, is_word, words};
use super::{none_of, planted};

/// The `//!` lines at the top.
fn header(source: &Source) -> String {
    let lines = source.text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

fn missing_parts(source: &Source) -> Vec<String> {
    let is_room = source.path.split('/').count() == 3 && source.path.ends_with("/mod.rs");
    if !is_room {
        return Vec::new();
    }
    let header = header(source);
    let lacks = |part: &&&str| !header.contains(**part);
    ["*Takes", "Invariants", "*Never*"].iter().filter(lacks).map(|part| format!("{}: no {part}", source.path)).collect()
}

/// What a header says proves something: `a::tests::name`, `a::tests`, or `tests/it/a.rs::name`.
fn named_tests(header: &str) -> Vec<String> {
    let quoted = header.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.split("::").any(|part| part == "tests") || text.starts_with("tests/")).map(str::to_owned).collect()
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are both `a::b`.
fn module_of(path: &str) -> String {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    inside.trim_end_matches("/mod").replace('/', "::")
}

/// Whether a function of that name is declared; a `*` at one end stands for anything.
fn declares(source: &Source, name: &str) -> bool {
    let code = source.code();
    let declared = words(&code, "fn").into_iter().map(|at| code[at + 2..].trim_start());
    let mut names = declared.map(|rest| &rest[..rest.bytes().take_while(|b| is_word(*b)).count()]);
    match (name.strip_prefix('*'), name.strip_suffix('*')) {
        (Some(end), _) => names.any(|n| n.ends_with(end)),
        (_, Some(front)) => names.any(|n| n.starts_with(front)),
        _ => names.any(|n| n == name),
    }
}

fn exists(of: &Source, test: &str, sources: &[Source]) -> bool {
    if let Some((path, name)) = test.split_once(".rs::") {
        let path = format!("{path}.rs");
        return sources.iter().any(|s| s.path == path && declares(s, name));
    }
    if test.starts_with("tests/") {
        return sources.iter().any(|s| s.path == test);
    }
    let parts: Vec<&str> = test.split("::").collect();
    let Some(at) = parts.iter().position(|part| *part == "tests") else { return false };
    let module = [&[module_of(&of.path).as_str()], &parts[..at]].concat().join("::");
    // Tests at the bottom of the module's file, or in files of their own below it.
    let below = format!("{module}::");
    let mut candidates = sources.iter().filter(|s| module_of(&s.path) == module || module_of(&s.path).starts_with(&below));
    match parts.last() {
        Some(name) if *name != "tests" => candidates.any(|s| declares(s, name)),
        _ => candidates.any(|s| s.code().contains("mod tests") || s.path.contains("/tests")),
    }
}

fn missing_tests(source: &Source, sources: &[Source]) -> Vec<String> {
    let named = named_tests(&header(source)).into_iter();
    named.filter(|test| !exists(source, test, sources)).map(|test| format!("{}: {test} does not exist", source.path)).collect()
}

fn everything() -> Vec<Source> {
    [Source::all("src"), Source::all("tests")].concat()
}

#[test]
fn every_room_has_a_header() {
    let sources = Source::all("src");
    assert!(sources.iter().filter(|s| s.path.ends_with("/mod.rs")).count() >= 14);
    none_of("a room says what it takes, gives and never does", sources.iter().flat_map(missing_parts).collect());
}

#[test]
fn every_named_test_exists() {
    let sources = everything();
    let named: usize = sources.iter().map(|s| named_tests(&header(s)).len()).sum();
    assert!(named >= 60, "only {named} tests are named in headers");
    none_of("an invariant names a test that exists", sources.iter().flat_map(|s| missing_tests(s, &sources)).collect());
}

#[test]
fn a_header_without_its_parts_is_found() {
    assert_eq!(missing_parts(&planted("src/x/mod.rs", "//! Words.\n//! *Takes*: a. *Never*: b.\n\nmod y; // Invariants")).len(), 1);
    assert_eq!(missing_parts(&planted("src/x/y/mod.rs", "")).len(), 0);
}

#[test]
fn a_named_test_that_does_not_exist_is_found() {
    let breaches = |named: &str| {
        let room = planted("src/x/mod.rs", &format!("//! Invariants\n//! 1. It holds (`{named}`).\nfn here() {{}}"));
        let file = planted("src/x/y.rs", "mod tests { fn it_holds() {} // fn it_does_not()\n }");
        let it = planted("tests/it/engine/money.rs", "fn it_adds_up() {}");
        missing_tests(&room, &[room.clone(), file, it]).len()
    };
    assert_eq!([breaches("y::tests::it_holds"), breaches("y::tests::it_does_not"), breaches("y::tests::it_hold")], [0, 1, 1]);
    assert_eq!([breaches("y::tests"), breaches("z::tests"), breaches("y::tests::it_h*"), breaches("y::tests::*_lets_go")], [0, 1, 0, 1]);
    assert_eq!([breaches("tests/it/engine/money.rs::it_adds_up"), breaches("tests/it/engine/money.rs::it_fails")], [0, 1]);
    assert_eq!(breaches("tests/it/engine/fame.rs::it_adds_up"), 1);
}
