//! The rules of the house, read as data and held against the source. Each rule is shown to find a planted breach.

mod approval;
mod headers;
mod imports;
mod purity;
mod sizes;
mod source;
mod words;

use source::Source;

/// Fails with one line per breach.
fn none_of(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{} breaches of \"{rule}\":\n{}", breaches.len(), breaches.join("\n"));
}

/// A source that was made up.
fn planted(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
