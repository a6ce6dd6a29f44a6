//! Switches that need no terminal: SIGUSR1, and a file beside the data file, halt trading.
//!
//! The file (`touch data/huracan.redb.halt`) holds trading halted for as long as it is there, also over a restart: nobody can resume
//! (`screen::Shared::command`). After it is removed trading stays halted until a person resumes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::screen::Shared;
use crate::app::failure::Outcome;
use crate::protocol::{Command, TradingState};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Watches until the run has finished.
pub fn watch(shared: &Arc<Shared>, file: PathBuf) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("kill switch".into()).spawn(move || {
        runtime.block_on(async move {
            let mut signals = match signal(SignalKind::user_defined1()) {
                Ok(signals) => signals,
                Err(error) => return tracing::error!(%error, "SIGUSR1 can not be heard"),
            };
            let mut asked = false;
            while !shared.is_finished() {
                tokio::select! {
                    heard = signals.recv() => asked |= heard.is_some(),
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let open = is_open_for_entries(&shared);
                // Said again until the engine is halted: a full queue must not swallow it.
                asked &= open;
                if asked {
                    halt(&shared, "SIGUSR1");
                } else if open && file.exists() {
                    halt(&shared, &file.display().to_string());
                }
            }
        });
    })?;
    Ok(())
}

fn is_open_for_entries(shared: &Shared) -> bool {
    !matches!(shared.view().trading, TradingState::Halted { .. })
}

fn halt(shared: &Shared, by: &str) {
    tracing::warn!(by, "halting");
    if let Err(error) = shared.command(Command::Halt) {
        tracing::error!(%error, by, "not halted yet");
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::log::LogRing;
    use super::super::{screen, start};
    use super::*;
    use crate::app::control::{AskError, Line, NotSent, kill_file, socket_path};
    use crate::protocol::{Event, View};

    #[test]
    fn the_file_halts_until_the_engine_is_halted() {
        let folder = tempfile::tempdir().unwrap();
        let file = kill_file(&folder.path().join("x.redb"));
        let shared = Shared::new();
        let (events, mut heard) = mpsc::channel(8);
        shared.connect_commands(events);
        watch(&shared, file.clone()).unwrap();
        std::thread::sleep(LOOK_EVERY * 2);
        assert!(heard.try_recv().is_err(), "no file, no halt");
        std::fs::write(&file, "").unwrap();
        let halt = heard.blocking_recv();
        assert!(matches!(halt, Some(Event::Command(Command::Halt))), "{halt:?}");
        shared.publish(View { trading: TradingState::Halted { reason: "by hand".to_owned() }, ..View::default() });
        std::thread::sleep(LOOK_EVERY * 2);
        while heard.try_recv().is_ok() {}
        std::thread::sleep(LOOK_EVERY * 3);
        assert!(heard.try_recv().is_err(), "halted once is enough");
        shared.finish();
    }

    #[test]
    fn nobody_resumes_while_the_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let data_file = folder.path().join("x.redb");
        let file = kill_file(&data_file);
        std::fs::write(&file, "").unwrap();
        let shared = Shared::with_kill_file(file.clone());
        let (events, mut heard) = mpsc::channel(8);
        shared.connect_commands(events);
        let ring = LogRing::default();
        let screen = screen::wiring(&shared, &ring);
        let _control = start::control(&shared, &ring, &data_file).unwrap();
        let mut line = Line::open(&socket_path(&data_file)).unwrap();
        let reason = NotSent::Held(file.clone()).to_string();
        assert!(reason.contains("x.redb.halt holds trading halted: remove it first"), "{reason}");
        assert_eq!((screen.command)(Command::Resume), Err(reason.clone()), "by the key r");
        let answer = line.order(Command::Resume);
        assert!(matches!(&answer, Err(AskError::Refused(said)) if *said == reason), "by the socket: {answer:?}");
        assert!(heard.try_recv().is_err(), "the engine heard of neither");
        assert_eq!((screen.command)(Command::Flatten), Ok(()), "what makes it safer passes");
        line.order(Command::Halt).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!((screen.command)(Command::Resume), Ok(()));
        let passed: Vec<Event> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
        let [Event::Command(Command::Flatten), Event::Command(Command::Halt), Event::Command(Command::Resume)] = passed[..] else {
            panic!("{passed:?}")
        };
    }
}
