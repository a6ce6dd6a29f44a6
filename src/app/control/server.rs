//! The running box's end: a thread that accepts, and one for each connection.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Answer, Ask, NotSent};
use crate::protocol::{Command, LogLine, View};

/// Connections at a time; people and scripts need a few.
const CONNECTIONS: usize = 16;
/// A caller that asks nothing for this long is cut off.
const SILENCE: Duration = Duration::from_secs(60);
const LONGEST_ASK: u64 = 4_096;

/// What the socket may see and do.
pub struct Desk {
    pub view: Box<dyn Fn() -> Arc<View> + Send + Sync>,
    pub logs: Box<dyn Fn() -> Vec<LogLine> + Send + Sync>,
    pub command: Box<dyn Fn(Command) -> Result<(), NotSent> + Send + Sync>,
}

/// A listening socket; it goes away when this is dropped.
pub struct ControlServer {
    path: PathBuf,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Listens beside the data file, for its owner alone. The data file is locked by now, so a socket that is there is a dead one's.
    ///
    /// # Errors
    /// When the socket cannot be made: the folder is not writable, or its path is longer than the system allows (about 100 bytes).
    pub fn start(path: &Path, desk: Desk) -> io::Result<Self> {
        // Made under another name and moved: it is never there with other rights than its own.
        let making = path.with_extension("sock.new");
        let _none_left_behind = fs::remove_file(&making);
        let listener = UnixListener::bind(&making)?;
        fs::set_permissions(&making, fs::Permissions::from_mode(0o600))?;
        fs::rename(&making, path)?;
        let closing = Arc::new(AtomicBool::new(false));
        let thread = {
            let closing = Arc::clone(&closing);
            std::thread::Builder::new().name("control".into()).spawn(move || accept(&listener, &Arc::new(desk), &closing))?
        };
        Ok(Self { path: path.to_owned(), closing, thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        // A last connection wakes the thread that accepts.
        let woken = UnixStream::connect(&self.path).is_ok();
        let _gone_already = fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &UnixListener, desk: &Arc<Desk>, closing: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for connection in listener.incoming() {
        if closing.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (desk, open_here) = (Arc::clone(desk), Arc::clone(&open));
        let served = std::thread::Builder::new().name("control line".into()).spawn(move || {
            if let Err(error) = serve(&connection, &desk) {
                tracing::debug!(%error, "a control connection ended");
            }
            open_here.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = served {
            open.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%error, "a control connection is not served");
        }
    }
}

fn serve(connection: &UnixStream, desk: &Desk) -> io::Result<()> {
    connection.set_read_timeout(Some(SILENCE))?;
    connection.set_write_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(LONGEST_ASK).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut answer = serde_json::to_vec(&answer(&line, desk))?;
        answer.push(b'\n');
        (&*connection).write_all(&answer)?;
        if !line.ends_with('\n') {
            return Ok(());
        }
    }
}

fn answer(line: &str, desk: &Desk) -> Answer {
    match serde_json::from_str::<Ask>(line) {
        Ok(Ask::View) => Answer::View(Box::new((*(desk.view)()).clone())),
        Ok(Ask::Logs) => Answer::Logs((desk.logs)()),
        Ok(Ask::Order(command)) => {
            tracing::info!("ordered through the socket: {command}");
            match (desk.command)(command) {
                Ok(()) => Answer::Taken,
                Err(NotSent::Unreachable) => Answer::Unreachable,
                Err(held @ NotSent::Held(_)) => Answer::Refused(held.to_string()),
            }
        }
        Err(error) => Answer::Misunderstood(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::{AskError, Line, kill_file, socket_path};
    use super::*;
    use crate::app::failure::{ExitKind, Failure};

    fn desk(taken: &Arc<Mutex<Vec<Command>>>, reached: Result<(), NotSent>) -> Desk {
        let taken = Arc::clone(taken);
        Desk {
            view: Box::new(|| Arc::new(View { venue: "here".to_owned(), ..View::default() })),
            logs: Box::new(Vec::new),
            command: Box::new(move |command| {
                taken.lock().unwrap().push(command);
                reached.clone()
            }),
        }
    }

    #[test]
    fn asks_are_answered_and_orders_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(&folder.path().join("x.redb"));
        let taken = Arc::default();
        let server = ControlServer::start(&path, desk(&taken, Ok(()))).unwrap();
        let mut line = Line::open(&path).unwrap();
        assert_eq!(line.view().unwrap().venue, "here");
        line.order(Command::Halt).unwrap();
        assert_eq!(*taken.lock().unwrap(), [Command::Halt]);
        drop(server);
        assert!(!path.exists() && Line::open(&path).is_err(), "the socket ends with the run");
    }

    #[test]
    fn an_engine_that_can_not_be_reached_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(&folder.path().join("x.redb"));
        let _server = ControlServer::start(&path, desk(&Arc::default(), Err(NotSent::Unreachable))).unwrap();
        assert!(Line::open(&path).unwrap().order(Command::Flatten).is_err());
    }

    #[test]
    fn an_order_that_is_held_back_names_its_rule() {
        let folder = tempfile::tempdir().unwrap();
        let data_file = folder.path().join("x.redb");
        let held = NotSent::Held(kill_file(&data_file));
        let _server = ControlServer::start(&socket_path(&data_file), desk(&Arc::default(), Err(held.clone()))).unwrap();
        let answer = Line::open(&socket_path(&data_file)).unwrap().order(Command::Resume);
        assert!(matches!(&answer, Err(AskError::Refused(said)) if *said == held.to_string()), "{answer:?}");
        assert_eq!(Failure::from(answer.unwrap_err()).kind, ExitKind::Refused);
    }

    #[test]
    fn the_socket_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(&folder.path().join("x.redb"));
        let _server = ControlServer::start(&path, desk(&Arc::default(), Ok(()))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_left_behind_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(&folder.path().join("x.redb"));
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists() && Line::open(&path).is_err());
        let _server = ControlServer::start(&path, desk(&Arc::default(), Ok(()))).unwrap();
        assert!(Line::open(&path).unwrap().view().is_ok());
    }

    #[test]
    fn nonsense_is_answered_with_a_reason() {
        let reason = answer("{\"sell\":\"all\"}", &desk(&Arc::default(), Ok(())));
        let Answer::Misunderstood(reason) = reason else { panic!("{reason:?}") };
        assert!(reason.contains("unknown variant `sell`"), "{reason}");
    }
}
