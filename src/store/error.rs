//! What can go wrong with the data file; every message names the way out.

use std::path::{Path, PathBuf};

use super::codec::CodecError;
use super::identity::{FileKind, Scope};
use crate::domain::RunId;
use crate::protocol::Mode;

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is used by another huracan; stop that one, or read {}", .path.display(), snapshot_path(.path).display())]
    InUse { path: PathBuf },
    #[error("{} does not exist; check --data, or start huracan once to create it", .path.display())]
    Missing { path: PathBuf },
    #[error("{} holds {found} data and cannot serve {wanted}; name another file with --data", .path.display())]
    WrongKind { path: PathBuf, found: FileKind, wanted: FileKind },
    #[error("mode {mode} does not belong to a {kind} data file; name another file with --data")]
    WrongMode { mode: Mode, kind: FileKind },
    #[error(
        "{} trades live on {} as account {}, not on {} as {}; name another file with --data",
        .path.display(), .found.venue, .found.account, .wanted.venue, .wanted.account
    )]
    OtherAccount { path: PathBuf, found: Box<Scope>, wanted: Box<Scope> },
    #[error("{} has format {found}, this program reads up to {supported}; install a newer huracan", .path.display())]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    #[error("{} is not a huracan data file; name another file with --data", .path.display())]
    NotADataFile { path: PathBuf },
    #[error("{} is damaged ({detail}); move it away and restore {} or a backup", .path.display(), snapshot_path(.path).display())]
    Corrupt { path: PathBuf, detail: String },
    #[error("cannot {doing} {}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot {doing} in the data file")]
    File { doing: &'static str, source: Cause },
    #[error("{} already exists; name a new file", .path.display())]
    Exists { path: PathBuf },
    #[error("the data file is open for reading only")]
    ReadOnly,
    #[error("the data file is busy; stop its other users first")]
    Busy,
    #[error("a row of table {table} is damaged (key {key}); run huracan verify, then restore the snapshot or a backup")]
    DamagedRow { table: &'static str, key: String },
    #[error("a row of table {table} cannot be read (key {key})")]
    Row { table: &'static str, key: String, source: CodecError },
    #[error("the journal of run {run} is damaged at sequence {seq}: {fault}; restore the snapshot or a backup")]
    Journal { run: RunId, seq: u64, fault: JournalFault },
    #[error("model {id} is not what was stored: its bytes hash to {actual}; restore the snapshot or a backup, or train again")]
    ModelDamaged { id: String, actual: String },
    #[error("no model {id} in the data file; huracan models list shows those there are")]
    NoModel { id: String },
}

/// How a journal is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    #[error("a block's bytes do not match its checksum")]
    Checksum,
    #[error("a block does not follow the one before it")]
    Chain,
    #[error("blocks are missing at the end")]
    Missing,
    #[error("a block cannot be decoded")]
    Payload,
    #[error("sequence numbers are not consecutive")]
    Order,
}

impl StoreError {
    /// True when a safety rule refused the file: the command exits 3.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::InUse { .. } | Self::WrongKind { .. } | Self::WrongMode { .. } | Self::OtherAccount { .. })
    }
}

/// Where the consistent copy beside a data file lives.
#[must_use]
pub fn snapshot_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".snapshot");
    PathBuf::from(name)
}

/// Turns the file layer's errors into ours, so that none of its types leaves this room.
pub(super) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Into<redb::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|fault| StoreError::File { doing: what, source: Box::new(fault.into()) })
    }
}

/// The message with everything beneath it, for places that keep only text.
pub(super) fn full_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
