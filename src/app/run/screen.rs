//! Between the engine's thread and people: the latest view, commands, signals, and the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::log::LogRing;
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
}

impl Shared {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            view: Mutex::default(),
            commands: Mutex::default(),
            stop: AtomicBool::new(false),
            finished: AtomicBool::new(false),
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

    /// False when the engine can not be reached.
    pub fn command(&self, command: Command) -> bool {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.as_ref().is_some_and(|events| events.try_send(Event::Command(command)).is_ok())
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

    /// Ctrl-C and SIGTERM stop the run gracefully; a second one ends the program at once.
    pub fn stop_on_signals(self: &Arc<Self>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async move {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
                    tracing::error!("signals can not be heard");
                    return;
                };
                for _ in 0..2 {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
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

/// The terminal of a run.
pub struct Screen {
    pub ring: LogRing,
}

impl Screen {
    /// Shows the run until a person quits, a signal comes, or the run ends by itself.
    pub fn show(self, shared: &Arc<Shared>) -> Outcome {
        shared.stop_on_signals()?;
        let ended = Arc::new(AtomicBool::new(false));
        let watcher = {
            let (shared, ended) = (Arc::clone(shared), Arc::clone(&ended));
            std::thread::Builder::new().name("watcher".into()).spawn(move || {
                while !(shared.must_stop() || shared.finished.load(Ordering::Relaxed) || ended.load(Ordering::Relaxed)) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                ended.store(true, Ordering::Relaxed);
            })?
        };
        let wiring = Wiring {
            view: {
                let shared = Arc::clone(shared);
                Arc::new(move || shared.view())
            },
            logs: {
                let ring = self.ring.clone();
                Arc::new(move || ring.lines())
            },
            command: {
                let shared = Arc::clone(shared);
                Arc::new(move |command| shared.command(command))
            },
        };
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
