//! The only place that writes to standard output: JSON for programs, text for people.

use std::io::Write;

use serde::Serialize;

use super::failure::Outcome;

/// How answers are printed.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// One line of JSON with `--json`; otherwise the text.
    pub fn answer<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) -> Outcome {
        let line = if self.json { serde_json::to_string(value)? } else { text() };
        self.line(&line)
    }

    /// A line of text, whatever the form (already JSON, or for people only).
    pub fn line(self, line: &str) -> Outcome {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        Ok(())
    }

    /// A remark for people: standard error, and not with `--json`.
    pub fn remark(self, text: &str) {
        if !self.json {
            // A remark that can not be shown changes nothing.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }
}

/// Columns aligned with two blanks between them; the first row is the header.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let rows = [vec!["a".to_owned(), "long".to_owned()], vec!["wider".to_owned(), "b".to_owned()]];
        assert_eq!(table(&rows), "a      long\nwider  b");
    }
}
