//! The asking end: what `status`, `halt`, `resume`, `flatten`, `tail` and `attach` speak.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, Ask};
use crate::protocol::{Command, LogLine, View};

const PATIENCE: Duration = Duration::from_secs(5);

/// Why the box did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no box runs on this data file ({} does not answer); name its file with --data", .path.display())]
    NotRunning { path: PathBuf, source: io::Error },
    #[error("the box stopped answering")]
    Broken(#[from] io::Error),
    #[error("the box's answer does not read; it may be another version")]
    Unreadable(#[from] serde_json::Error),
    #[error("the box answered something else; it may be another version")]
    Unexpected,
    #[error("the box is starting or stopping: its engine takes no orders now")]
    Unreachable,
    #[error("{0}")]
    Refused(String),
}

/// An open connection to a running box.
#[derive(Debug)]
pub struct Line {
    reader: BufReader<UnixStream>,
}

impl Line {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(path: &Path) -> Result<Self, AskError> {
        let stream = UnixStream::connect(path).map_err(|source| AskError::NotRunning { path: path.to_owned(), source })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// # Errors
    /// When the box does not answer, or not with its picture.
    pub fn view(&mut self) -> Result<View, AskError> {
        match self.ask(Ask::View)? {
            Answer::View(view) => Ok(*view),
            _ => Err(AskError::Unexpected),
        }
    }

    /// # Errors
    /// When the box does not answer, or not with its log.
    pub fn logs(&mut self) -> Result<Vec<LogLine>, AskError> {
        match self.ask(Ask::Logs)? {
            Answer::Logs(lines) => Ok(lines),
            _ => Err(AskError::Unexpected),
        }
    }

    /// Queues a command for the engine.
    ///
    /// # Errors
    /// When the box does not answer, its engine can not be reached, or a safety rule holds the order back.
    pub fn order(&mut self, command: Command) -> Result<(), AskError> {
        match self.ask(Ask::Order(command))? {
            Answer::Taken => Ok(()),
            Answer::Unreachable => Err(AskError::Unreachable),
            Answer::Refused(reason) => Err(AskError::Refused(reason)),
            _ => Err(AskError::Unexpected),
        }
    }

    fn ask(&mut self, ask: Ask) -> Result<Answer, AskError> {
        let mut line = serde_json::to_vec(&ask)?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line)?;
        let mut answer = String::new();
        if self.reader.read_line(&mut answer)? == 0 {
            return Err(AskError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(serde_json::from_str(&answer)?)
    }
}
