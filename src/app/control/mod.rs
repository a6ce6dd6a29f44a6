//! The line between a running box and the commands that ask it: a local socket beside the data file, for its owner alone.
//!
//! *Takes / gives*: one JSON line an ask, one JSON line an answer (`Ask`, `Answer`); a connection may ask as often as it likes.
//!
//! Invariants
//! 1. Only the owner of the box can connect (`server::tests::the_socket_is_for_its_owner_alone`).
//! 2. A socket that a dead process left behind is replaced; a living one is not (`server::tests::a_left_behind_socket_is_replaced`).
//! 3. An ask that does not read is answered with the reason and costs nothing else (`server::tests::nonsense_is_answered_with_a_reason`).
//! 4. An order that a safety rule holds back is answered with that rule (`server::tests::an_order_that_is_held_back_names_its_rule`).
//!
//! *Never*: slows the engine (it reads published pictures and queues commands).

mod client;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use client::{AskError, Line};
pub use server::{ControlServer, Desk};

use crate::protocol::{Command, LogLine, View};

/// What a command asks of the running box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The newest picture of the engine.
    View,
    /// The newest lines of the log.
    Logs,
    /// Have the engine do something.
    Order(Command),
}

/// What the box says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    View(Box<View>),
    Logs(Vec<LogLine>),
    /// The engine has the order in its queue.
    Taken,
    /// The engine can not be reached: it is starting or has ended.
    Unreachable,
    /// A safety rule holds the order back: what it says.
    Refused(String),
    /// The ask does not read.
    Misunderstood(String),
}

/// Why an order did not reach the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    #[error("the engine cannot be reached")]
    Unreachable,
    #[error("{} holds trading halted: remove it first", .0.display())]
    Held(PathBuf),
}

/// Where the box of this data file listens.
#[must_use]
pub fn socket_path(data_file: &Path) -> PathBuf {
    let mut name = data_file.as_os_str().to_owned();
    name.push(".sock");
    PathBuf::from(name)
}

/// The file that halts the box of this data file.
#[must_use]
pub fn kill_file(data_file: &Path) -> PathBuf {
    let mut name = data_file.as_os_str().to_owned();
    name.push(".halt");
    PathBuf::from(name)
}
