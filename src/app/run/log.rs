//! The log: JSON lines into a file, and the newest lines in memory for the Logs screen. Never the terminal while the screen owns it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::app::clock;
use crate::app::config::Config;
use crate::app::failure::{Failure, Outcome};
use crate::protocol::{LogLine, Severity};

/// Lines kept for the screen.
const LINES: usize = 2_000;

/// The newest lines, oldest first.
#[derive(Debug, Clone, Default)]
pub struct LogRing(Arc<Mutex<VecDeque<LogLine>>>);

impl LogRing {
    pub fn lines(&self) -> Vec<LogLine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, line: LogLine) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Where the log of a run on this data file goes.
pub fn file(config: &Config, data_file: &Path) -> PathBuf {
    if config.log.file.as_os_str().is_empty() { data_file.with_extension("log") } else { config.log.file.clone() }
}

/// Starts logging; the ring for the screen comes back.
pub fn start(config: &Config, path: &Path) -> Outcome<LogRing> {
    let file = open(path).map_err(|e| Failure::usage(format!("cannot write the log {}: {e}; set log.file", path.display())))?;
    let ring = LogRing::default();
    // Libraries speak only when something is wrong.
    let filter = EnvFilter::new(format!("warn,huracan={}", config.log.level));
    let lines = tracing_subscriber::fmt::layer().json().with_writer(Mutex::new(file)).with_filter(filter);
    let shown = RingLayer(ring.clone()).with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(lines).with(shown).try_init().map_err(Failure::failed)?;
    Ok(ring)
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

struct RingLayer(LogRing);

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let severity = match *event.metadata().level() {
            Level::ERROR => Severity::Critical,
            Level::WARN => Severity::Warning,
            _ => Severity::Info,
        };
        let target = event.metadata().target().trim_start_matches("huracan::").to_owned();
        self.0.push(LogLine { at: clock::now(), severity, target, text: text.0 });
    }
}

/// The message, then the other fields as name=value.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}{}", if self.0.is_empty() { String::new() } else { format!(" {}", self.0) });
        } else {
            self.0.push_str(&format!("{}{}={value:?}", if self.0.is_empty() { "" } else { " " }, field.name()));
        }
    }
}
