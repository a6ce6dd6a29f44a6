//! Whose file it is: demo or real, and for which (mode, venue, account) the records of a run are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::schema::Key;
use crate::protocol::Mode;

/// A demo file holds a synthetic market; its prices must never meet real ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    Demo,
    Real,
}

/// Whose orders, fills, ledger and runs: kept apart, so that paper and live share one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub mode: Mode,
    pub venue: String,
    pub account: String,
}

/// What a file must be, or becomes when it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub kind: FileKind,
    pub scope: Scope,
}

/// The identity as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileStamp {
    pub format: u32,
    pub kind: FileKind,
    /// The one live venue and account this file may serve, once it has.
    pub live: Option<Scope>,
}

/// The layout of tables and keys; raised when an older program could not read the file.
pub(super) const FORMAT: u32 = 1;

impl FileKind {
    /// Backtests read either kind and write nothing of their own scope into the other modes'.
    pub(super) const fn allows(self, mode: Mode) -> bool {
        match mode {
            Mode::Demo => matches!(self, Self::Demo),
            Mode::Paper | Mode::Live => matches!(self, Self::Real),
            Mode::Backtest => true,
        }
    }
}

impl Scope {
    /// The front of every key of this scope.
    pub(super) fn key(&self) -> Key {
        Key::new().text(mode_name(self.mode)).text(&self.venue).text(&self.account)
    }

    /// The mode a key names.
    pub(super) fn mode_named(name: &str) -> Option<Mode> {
        [Mode::Demo, Mode::Paper, Mode::Live, Mode::Backtest].into_iter().find(|mode| mode_name(*mode) == name)
    }
}

/// As stored in keys: never changes, whatever is shown.
const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Demo => "demo",
        Mode::Paper => "paper",
        Mode::Live => "live",
        Mode::Backtest => "backtest",
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Demo => "demo",
            Self::Real => "paper and live",
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.mode, self.venue, self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_differ_in_one_word_never_share_a_key() {
        let scope = |mode, venue: &str, account: &str| Scope { mode, venue: venue.into(), account: account.into() };
        let all = [scope(Mode::Live, "ab", "c"), scope(Mode::Live, "a", "bc"), scope(Mode::Paper, "ab", "c"), scope(Mode::Live, "", "abc")];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                let (a, b) = (one.key(), other.key());
                assert!(!a.as_slice().starts_with(b.as_slice()) && !b.as_slice().starts_with(a.as_slice()), "{one} / {other}");
            }
        }
    }
}
