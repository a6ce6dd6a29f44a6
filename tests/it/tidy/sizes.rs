//! Files and functions are short enough to be read at once.

use super::source::{Source, is_word, line_of, words};
use super::{none_of, planted};

const LONGEST_FILE: usize = 600;
const MEDIAN_FILE: usize = 200;
const LONGEST_FUNCTION: usize = 70;

fn long_files(sources: &[Source]) -> Vec<String> {
    let length = |s: &Source| s.text.lines().count();
    sources.iter().filter(|s| length(s) > LONGEST_FILE).map(|s| format!("{}: {} lines", s.path, length(s))).collect()
}

fn median_length(sources: &[Source]) -> usize {
    let mut lengths: Vec<usize> = sources.iter().map(|s| s.text.lines().count()).collect();
    lengths.sort_unstable();
    lengths[lengths.len() / 2]
}

/// (name, first line, lines) of every function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let Some(rest) = code[at + 2..].strip_prefix(' ') else { continue };
        let name: String = rest.bytes().take_while(|b| is_word(*b)).map(char::from).collect();
        let Some(end) = body_end(&code[at..]).filter(|_| !name.is_empty()) else { continue };
        let first = line_of(code, at);
        found.push((name, first, line_of(code, at + end) - first + 1));
    }
    found
}

/// The closing brace of the function that begins here; `None` without a body.
fn body_end(text: &str) -> Option<usize> {
    let (mut round, mut braces) = (0_i32, 0_i32);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b';' if round == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at);
                }
                if braces < 0 {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

fn long_functions(source: &Source) -> Vec<String> {
    let long = functions(&source.code()).into_iter().filter(|(_, _, lines)| *lines > LONGEST_FUNCTION);
    long.map(|(name, first, lines)| format!("{}:{first}: {name} has {lines} lines", source.path)).collect()
}

fn everything() -> Vec<Source> {
    [Source::all("src"), Source::all("tests")].concat()
}

#[test]
fn no_file_is_too_long() {
    none_of("at most 600 lines a file", long_files(&everything()));
    let median = median_length(&everything());
    assert!(median <= MEDIAN_FILE, "the median file has {median} lines");
}

#[test]
fn no_function_is_too_long() {
    none_of("at most 70 lines a function", everything().iter().flat_map(long_functions).collect());
}

#[test]
fn a_long_file_is_found() {
    let file = |lines: usize| planted("src/x/y.rs", &"\n".repeat(lines));
    assert_eq!((long_files(&[file(600)]).len(), long_files(&[file(601)]).len()), (0, 1));
    assert_eq!(median_length(&[file(1), file(500), file(300)]), 300);
}

#[test]
fn a_long_function_is_found() {
    let function = |lines: usize| planted("src/x/y.rs", &format!("pub fn long(a: [u8; 3]) -> bool {{{}}}\n", "\n".repeat(lines - 1)));
    assert_eq!(long_functions(&function(70)), [""; 0]);
    assert_eq!(long_functions(&function(71)), ["src/x/y.rs:1: long has 71 lines"]);
    let declared = planted("src/x/y.rs", "trait T { fn a(&self); fn b(&self) {} }\ntype F = fn(u8) -> u8;");
    assert_eq!(functions(&declared.code()), [("b".to_owned(), 1, 1)]);
}
