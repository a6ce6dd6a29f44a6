//! One door opens positions: what risk approved.

use super::source::{Source, words};
use super::{none_of, planted};

/// Where an approval is made, and where it becomes a request.
const MAKES: &str = "src/trading/risk/rules.rs";
const SPENDS: &str = "src/trading/execution/orders.rs";

/// Approvals and opening requests that are made anywhere but at their one place; tests at the bottom of a file are no product.
fn other_doors(source: &Source) -> Vec<String> {
    let code = source.code();
    let product = &code[..code.find("#[cfg(test)]").unwrap_or(code.len())];
    let places = |word: &str, at: &str| {
        let found = if source.path == at || source.path.ends_with("/tests.rs") { Vec::new() } else { words(product, word) };
        // With `..` it is a pattern that looks at a request, not one that is made.
        let made = found.into_iter().filter(|at| !product[at + word.len()..].trim_start_matches([',', ' ']).starts_with(".."));
        made.map(|at| format!("{}: {word}", source.place(at))).collect::<Vec<_>>()
    };
    [places("Approved(", MAKES), places("opening: true", SPENDS)].concat()
}

#[test]
fn only_an_approval_opens() {
    let sources: Vec<Source> = Source::all("src").into_iter().filter(|s| s.path != "src/store/samples.rs").collect();
    none_of("what opens was approved", sources.iter().flat_map(other_doors).collect());
    let code = |path: &str| sources.iter().find(|s| s.path == path).unwrap().code();
    assert_eq!(words(&code(MAKES), "Ok(Approved(order))").len(), 1);
    assert!(code(MAKES).contains("pub struct Approved<T>(T);"), "the field is private");
    assert_eq!(words(&code(SPENDS), "pub fn open(&mut self, approved: Approved<NewOrder>").len(), 1);
    assert_eq!(words(&code(SPENDS), "opening: true").len(), 2, "an order alone, and with the guard behind it");
}

#[test]
fn another_door_is_found() {
    assert_eq!(other_doors(&planted("src/engine/x.rs", "let a = Approved(order); send(Request::Place { order, opening: true })")).len(), 2);
    assert_eq!(
        other_doors(&planted(
            "src/engine/x.rs",
            "match r { Request::Place { opening: true, .. } => {} }\n#[cfg(test)] mod tests { Approved(x) }"
        )),
        [""; 0]
    );
}
