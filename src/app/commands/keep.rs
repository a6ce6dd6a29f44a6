//! `huracan backup`, `verify` and `compact`: looking after the data file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::data_file;
use crate::app::Context;
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::store::{self, StoreError, VerifyReport};

#[derive(Debug, Serialize)]
struct BackedUp {
    file: PathBuf,
    dest: PathBuf,
    bytes: u64,
    sound: bool,
}

/// Copies the file, or the snapshot of one in use, and verifies the copy.
pub fn backup(context: &Context, dest: &Path) -> Outcome {
    let store = data_file::reading(context)?;
    store.backup(dest)?;
    let report = store::verify(dest)?;
    let answer =
        BackedUp { file: store.path().to_owned(), dest: dest.to_owned(), bytes: std::fs::metadata(dest)?.len(), sound: report.sound() };
    context.out.answer(&answer, || format!("{} copied to {}, {} bytes", answer.file.display(), answer.dest.display(), answer.bytes))?;
    unless_sound(&report, dest)
}

#[derive(Debug, Serialize)]
struct Verified<'a> {
    file: &'a Path,
    sound: bool,
    #[serde(flatten)]
    report: &'a VerifyReport,
}

pub fn verify(context: &Context, file: Option<PathBuf>) -> Outcome {
    let path = file.unwrap_or_else(|| data_file::existing(context));
    let report = store::verify(&path)?;
    let answer = Verified { file: &path, sound: report.sound(), report: &report };
    context.out.answer(&answer, || verify_text(&answer))?;
    unless_sound(&report, &path)
}

fn unless_sound(report: &VerifyReport, path: &Path) -> Outcome {
    if report.sound() {
        return Ok(());
    }
    let snapshot = store::snapshot_path(path);
    Err(Failure::failed(format!("{} is not sound; move it away and restore {} or a backup", path.display(), snapshot.display())))
}

fn verify_text(answer: &Verified) -> String {
    let VerifyReport { tables, journal_runs, journal_blocks, journal_entries, checks } = answer.report;
    let filled: Vec<String> = tables.iter().filter(|(_, rows)| *rows > 0).map(|(name, rows)| format!("{name} {rows}")).collect();
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| vec![if check.ok { "ok" } else { "BROKEN" }.to_owned(), check.name.clone(), check.detail.clone()])
        .collect();
    format!(
        "{}: {}\nrows: {}\njournal: {journal_entries} entries in {journal_blocks} blocks of {journal_runs} runs\n{}",
        answer.file.display(),
        if answer.sound { "sound" } else { "NOT SOUND" },
        if filled.is_empty() { "none".to_owned() } else { filled.join(", ") },
        table(&rows)
    )
}

#[derive(Debug, Serialize)]
struct Compacted {
    file: PathBuf,
    bytes_before: u64,
    bytes_after: u64,
}

pub fn compact(context: &Context) -> Outcome {
    let path = data_file::existing(context);
    if !path.exists() {
        return Err(StoreError::Missing { path }.into());
    }
    let (bytes_before, bytes_after) = data_file::writing_to(&path)?.compact()?;
    let answer = Compacted { file: path, bytes_before, bytes_after };
    context.out.answer(&answer, || format!("{}: {} bytes before, {} after", answer.file.display(), bytes_before, bytes_after))
}
