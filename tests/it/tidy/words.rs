//! Names that say nothing and words that promise later are not kept.

use super::source::Source;
use super::{none_of, planted};

/// Names of files that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "common", "misc", "v2", "stuff", "shared"];

/// Joined here, so that this file does not hold them.
const PROMISES: &[[&str; 2]] = &[
    ["TO", "DO"],
    ["FIX", "ME"],
    ["X", "XX"],
    ["to", "do!"],
    ["unimple", "mented!"],
    ["for", " now"],
    ["simpli", "fied"],
    ["place", "holder"],
    ["dummy", " value"],
];

fn empty_names(source: &Source) -> Option<String> {
    let says_nothing =
        |part: &str| EMPTY_NAMES.contains(&part) || part.ends_with("_v2") || part.ends_with("_utils") || part.ends_with("_helpers");
    let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    parts.clone().any(says_nothing).then(|| source.path.clone())
}

/// Capitals count as written, the rest in any case.
fn promises(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for word in PROMISES.iter().map(|parts| parts.concat()) {
            let shouted = word.chars().all(char::is_uppercase);
            if line.contains(&word) || (!shouted && line.to_lowercase().contains(&word)) {
                found.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    found
}

fn everything() -> Vec<Source> {
    [Source::all("src"), Source::all("tests")].concat()
}

#[test]
fn every_file_name_says_something() {
    none_of("names say what is inside", everything().iter().filter_map(empty_names).collect());
}

#[test]
fn nothing_is_promised_for_later() {
    none_of("what is not done is absent", everything().iter().flat_map(promises).collect());
}

#[test]
fn an_empty_name_is_found() {
    for path in ["src/x/utils.rs", "src/common/mod.rs", "src/x/order_v2.rs", "tests/it/helpers.rs"] {
        assert!(empty_names(&planted(path, "")).is_some(), "{path}");
    }
    assert_eq!(empty_names(&planted("src/x/commons_of_towns.rs", "")), None);
}

#[test]
fn a_promise_is_found() {
    for word in PROMISES.iter().map(|parts| parts.concat()) {
        assert_eq!(promises(&planted("src/x/y.rs", &format!("fn f() {{\n    // {word} this\n}}"))), [format!("src/x/y.rs:2: {word}")]);
    }
    let loud = PROMISES[5].concat().to_uppercase();
    assert_eq!(promises(&planted("src/x/y.rs", &loud)).len(), 1);
    assert_eq!(promises(&planted("src/x/y.rs", "informs nobody; a toad, method, fix")), [""; 0]);
}
