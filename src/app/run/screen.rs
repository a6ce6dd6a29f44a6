//! Between the engine's thread and people: the latest view, commands, signals, and the terminal.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::log::LogRing;
use crate::app::control::NotSent;
use crate::app::failure::Outcome;
use crate::protocol::{Command, Event, View};
use crate::tui::{self, Exit, Options, Wiring};

/// What the threads of a run share.
#[derive(Debug)]
pub struct Shared {
    view: Mutex<Arc<View>>,
    commands: Mutex<Option<Sender<Event>>>,
    stop: AtomicBool,
    finished: AtomicBool,
    hung_up: AtomicBool,
    /// While it is there nobody resumes.
    kill_file: Option<PathBuf>,
}

impl Shared {
    pub fn new() -> Arc<Self> {
        Self::switched(None)
    }

    /// Of a run that this file halts.
    pub fn with_kill_file(kill_file: PathBuf) -> Arc<Self> {
        Self::switched(Some(kill_file))
    }

    fn switched(kill_file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            view: Mutex::default(),
            commands: Mutex::default(),
            stop: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
            kill_file,
        })
    }

    pub fn publish(&self, view: View) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn connect_commands(&self, events: Sender<Event>) {
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
    }

    /// Queues a command for the engine; whoever gives it, the screen or the socket, passes here.
    ///
    /// # Errors
    /// When the engine can not be reached, or for a resume while the kill file is there.
    pub fn command(&self, command: Command) -> Result<(), NotSent> {
        if command == Command::Resume
            && let Some(file) = self.kill_file.as_ref().filter(|file| file.exists())
        {
            tracing::warn!(file = %file.display(), "not resumed: the file holds trading halted");
            return Err(NotSent::Held(file.clone()));
        }
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = commands.as_ref().is_some_and(|events| events.try_send(Event::Command(command)).is_ok());
        if sent { Ok(()) } else { Err(NotSent::Unreachable) }
    }

    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
        // The channel closes when its last sender is gone.
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// What came of telling a run's summary: without a reader, because the terminal hung up, it is no failure of the run.
    pub fn heard(&self, told: Outcome) -> Outcome {
        told.or_else(|failure| {
            if !self.hung_up.load(Ordering::Relaxed) {
                return Err(failure);
            }
            tracing::warn!(%failure, "nobody is left to hear the summary");
            Ok(())
        })
    }

    /// Ctrl-C and SIGTERM stop the run gracefully; a second one ends the program at once. A hang-up (the terminal's connection ended) stops
    /// nothing: positions are still watched.
    pub fn stop_on_signals(self: &Arc<Self>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async move {
                use tokio::signal::unix::{SignalKind, signal};
                let heard = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
                let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = heard else {
                    tracing::error!("signals can not be heard");
                    return;
                };
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {
                            shared.hung_up.store(true, Ordering::Relaxed);
                            tracing::warn!("the terminal hung up: going on without it");
                            continue;
                        }
                    }
                    if shared.must_stop() {
                        std::process::exit(130);
                    }
                    tracing::info!("stopping by signal");
                    shared.request_stop();
                }
            });
        })?;
        Ok(())
    }
}

/// Says that the run has ended when its thread does, however it does.
pub struct FinishOnDrop(pub Arc<Shared>);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Takes the screen down (sets `ended`) when the run is told to stop or its thread has ended.
fn watch(shared: Arc<Shared>, ended: Arc<AtomicBool>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("watcher".into()).spawn(move || {
        while !(shared.must_stop() || shared.finished.load(Ordering::Relaxed) || ended.load(Ordering::Relaxed)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        ended.store(true, Ordering::Relaxed);
    })
}

/// What the terminal sees of the run, and says to it.
pub fn wiring(shared: &Arc<Shared>, ring: &LogRing) -> Wiring {
    let (viewed, commanded, ring) = (Arc::clone(shared), Arc::clone(shared), ring.clone());
    Wiring {
        view: Arc::new(move || viewed.view()),
        logs: Arc::new(move || ring.lines()),
        command: Arc::new(move |command| commanded.command(command).map_err(|not_sent| not_sent.to_string())),
    }
}

/// The terminal of a run.
pub struct Screen {
    pub ring: LogRing,
}

impl Screen {
    /// Shows the run until a person quits, a signal comes, or the run ends by itself.
    pub fn show(self, shared: &Arc<Shared>) -> Outcome {
        shared.stop_on_signals()?;
        let ended = Arc::new(AtomicBool::new(false));
        let watcher = watch(Arc::clone(shared), Arc::clone(&ended))?;
        let wiring = wiring(shared, &self.ring);
        let options = Options { colour: std::env::var_os("NO_COLOR").is_none(), guide: true, attached: false };
        let exit = tui::run(&wiring, options, &ended);
        ended.store(true, Ordering::Relaxed);
        if watcher.join().is_err() {
            tracing::error!("the watcher thread failed");
        }
        match exit {
            Ok(Exit::Quit | Exit::Stopped) => {}
            Ok(Exit::Panicked) => tracing::error!("the screen failed: stopping"),
            Err(error) => {
                // The terminal is gone (a broken connection, say): positions are still watched.
                tracing::error!(%error, "the terminal is gone: going on without it until a signal comes");
                while !(shared.must_stop() || shared.finished.load(Ordering::Relaxed)) {
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::start;
    use super::super::summary::Summary;
    use super::*;
    use crate::app::failure::{ExitKind, Failure};

    /// A run whose engine thread does `work`; gives how the program ends once its screen was taken down.
    fn run(work: impl FnOnce() -> Outcome<Summary> + Send + 'static) -> (Arc<Shared>, Failure) {
        let (shared, ended) = (Shared::new(), Arc::new(AtomicBool::new(false)));
        let (events, _inbox) = tokio::sync::mpsc::channel(1);
        shared.connect_commands(events);
        let watcher = watch(Arc::clone(&shared), Arc::clone(&ended)).unwrap();
        let finish = FinishOnDrop(Arc::clone(&shared));
        let worker = std::thread::spawn(move || {
            let _finish = finish;
            work()
        });
        // Without the thread's last word the screen would stand for ever.
        let (told, down) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(watcher.join()));
        down.recv_timeout(Duration::from_secs(20)).expect("the screen stands over an engine that has ended").unwrap();
        assert!(ended.load(Ordering::Relaxed) && !shared.must_stop(), "nobody asked for the end");
        let failure = start::ended(worker).expect_err("no summary");
        (shared, failure)
    }

    #[test]
    fn an_engine_that_panics_takes_the_screen_down_and_fails_the_program() {
        let (shared, failure) = run(|| std::panic::panic_any("the engine's thread dies"));
        assert_eq!(failure.kind, ExitKind::Failed);
        assert!(failure.to_string().contains("engine thread failed"), "{failure}");
        assert_eq!(shared.command(Command::Halt), Err(NotSent::Unreachable), "a command that reaches nobody is said to have been sent");
    }

    #[test]
    fn a_summary_without_a_reader_is_no_failure_after_a_hang_up_only() {
        let shared = Shared::new();
        assert!(shared.heard(Err(Failure::failed("nowhere to write"))).is_err());
        shared.hung_up.store(true, Ordering::Relaxed);
        assert!(shared.heard(Err(Failure::failed("nowhere to write"))).is_ok());
    }

    #[test]
    fn an_engine_that_returns_early_keeps_its_reason_and_its_code() {
        let (_, failure) = run(|| Err(Failure::refused("the trading state does not read")));
        assert_eq!((failure.kind, failure.to_string().as_str()), (ExitKind::Refused, "the trading state does not read"));
    }
}
