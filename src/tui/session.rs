//! The loop: a frame fifteen times a second, a key as soon as it comes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind};

use super::freshness::Freshness;
use super::logs;
use super::state::{Outcome, Screen, State};
use super::terminal::Screenful;
use super::theme::Theme;
use super::{Scene, draw};
use crate::protocol::{Command, LogLine, View};

const FRAME: Duration = Duration::from_millis(66);
/// How often keys are looked for. Never waited for inside the library for keys: a terminal that hangs up meanwhile would hold us there.
const LOOK: Duration = Duration::from_millis(5);
/// How long a notice stands in the footer.
const NOTICE: Duration = Duration::from_secs(4);

/// Where pictures come from and commands go to; none of the three may wait.
#[derive(Clone)]
pub struct Wiring {
    /// The latest view.
    pub view: Arc<dyn Fn() -> Arc<View> + Send + Sync>,
    /// The latest log lines, oldest first.
    pub logs: Arc<dyn Fn() -> Vec<LogLine> + Send + Sync>,
    /// Takes a confirmed command; an error says why it did not reach the engine.
    pub command: Arc<dyn Fn(Command) -> Result<(), String> + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// False draws without any colour (`NO_COLOR`).
    pub colour: bool,
    /// Show the first steps until trading can start.
    pub guide: bool,
    /// The engine runs in another process: leaving stops nothing and asks nothing.
    pub attached: bool,
}

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A person quit (and confirmed where that is asked).
    Quit,
    /// The stop flag was set.
    Stopped,
    /// Another thread panicked; the terminal was given back so that its message can be read.
    Panicked,
}

/// Takes the terminal and draws until the person quits or `stop` is set; the terminal is given back in every case.
///
/// # Errors
/// When the terminal cannot be taken, drawn or read (it may be gone: trading can go on without it).
pub fn run(wiring: &Wiring, options: Options, stop: &AtomicBool) -> io::Result<Exit> {
    let mut screen = Screenful::take()?;
    let mut session = Session::new(wiring, options, Instant::now());
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Exit::Stopped);
        }
        if !screen.is_ours() {
            return Ok(Exit::Panicked);
        }
        let frame_start = Instant::now();
        session.refresh(wiring, frame_start);
        screen.terminal.draw(|frame| draw(&session.scene(), frame.area(), frame.buffer_mut()))?;
        // A key is answered at once with a new frame; without one the next frame comes on time.
        if waited(&screen, frame_start)? && session.take_events(wiring)? {
            return Ok(Exit::Quit);
        }
    }
}

/// True as soon as a key is there, false at the frame's end.
fn waited(screen: &Screenful, frame_start: Instant) -> io::Result<bool> {
    loop {
        if screen.is_gone() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the terminal hung up"));
        }
        if event::poll(Duration::ZERO)? {
            return Ok(true);
        }
        let left = FRAME.saturating_sub(frame_start.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        std::thread::sleep(left.min(LOOK));
    }
}

struct Session {
    state: State,
    theme: Theme,
    view: Arc<View>,
    logs: Vec<LogLine>,
    freshness: Freshness,
    stale: Option<Duration>,
    notice: Option<(String, Instant)>,
    guide: bool,
}

impl Session {
    fn new(wiring: &Wiring, options: Options, now: Instant) -> Self {
        let view = (wiring.view)();
        Self {
            state: State::new(Screen::Overview, options.attached),
            theme: Theme::new(options.colour),
            freshness: Freshness::new(view.at, now),
            view,
            logs: Vec::new(),
            stale: None,
            notice: None,
            guide: options.guide,
        }
    }

    /// Fetches the latest picture. Logs stand still while someone reads back in them.
    fn refresh(&mut self, wiring: &Wiring, now: Instant) {
        self.view = (wiring.view)();
        self.stale = self.freshness.observe(self.view.at, now);
        if self.state.screen == Screen::Logs && self.state.following() {
            self.logs = (wiring.logs)();
        }
        self.notice.take_if(|(_, since)| now.saturating_duration_since(*since) > NOTICE);
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            view: &self.view,
            logs: &self.logs,
            state: &self.state,
            theme: &self.theme,
            stale: self.stale,
            notice: self.notice.as_ref().map(|(text, _)| text.as_str()),
            guide: self.guide,
        }
    }

    /// Handles everything that waits; true when the person leaves.
    fn take_events(&mut self, wiring: &Wiring) -> io::Result<bool> {
        loop {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && self.on_key(&key, wiring, Instant::now())
            {
                return Ok(true);
            }
            if !event::poll(Duration::ZERO)? {
                return Ok(false);
            }
        }
    }

    fn on_key(&mut self, key: &KeyEvent, wiring: &Wiring, now: Instant) -> bool {
        self.state.lines = logs::passing(&self.logs, self.state.level).len();
        match self.state.on_key(key, &self.view) {
            Some(Outcome::Quit) => return true,
            Some(Outcome::Send(command)) => {
                let text = match (wiring.command)(command) {
                    Ok(()) => sent_words(command).to_owned(),
                    Err(reason) => format!("NOT SENT: {reason}"),
                };
                self.notice = Some((text, now));
            }
            None => {}
        }
        false
    }
}

/// Says what was asked, not that it was done: the bar at the top shows that.
const fn sent_words(command: Command) -> &'static str {
    match command {
        Command::Halt => "Asked the engine to halt: the top row shows when it has.",
        Command::Resume => "Asked the engine to resume: the top row shows when it has.",
        Command::Flatten => "Asked the engine to close everything: positions disappear as they are filled.",
        Command::Stop => "Asked the engine to stop.",
        Command::Climb => "Asked the engine to climb the ladder.",
        Command::StepBack => "Asked the engine to step back on the ladder.",
        Command::SetLimit { .. } | Command::KeepLimit { .. } => "Asked the engine about a limit.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crossterm::event::{KeyCode, KeyModifiers};
    use std::sync::Mutex;

    fn press(session: &mut Session, wiring: &Wiring, c: char) -> bool {
        session.on_key(&KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), wiring, Instant::now())
    }

    fn options() -> Options {
        Options { colour: true, guide: true, attached: false }
    }

    #[test]
    fn a_confirmed_command_is_sent_once_and_said() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&sent);
        let wiring = Wiring {
            view: Arc::new(|| Arc::new(fixture::trading())),
            logs: Arc::new(Vec::new),
            command: Arc::new(move |c| {
                log.lock().unwrap().push(c);
                if c == Command::Halt { Ok(()) } else { Err("a file holds it halted".to_owned()) }
            }),
        };
        let mut session = Session::new(&wiring, options(), Instant::now());
        assert!(!press(&mut session, &wiring, 'h'));
        assert!(sent.lock().unwrap().is_empty());
        press(&mut session, &wiring, 'y');
        press(&mut session, &wiring, 'y');
        assert_eq!(*sent.lock().unwrap(), [Command::Halt]);
        assert!(session.notice.as_ref().unwrap().0.starts_with("Asked the engine to halt"));
        press(&mut session, &wiring, 'r');
        press(&mut session, &wiring, 'y');
        assert_eq!(session.notice.as_ref().unwrap().0, "NOT SENT: a file holds it halted");
        session.refresh(&wiring, Instant::now() + NOTICE * 2);
        assert!(session.notice.is_none());
    }

    #[test]
    fn logs_stand_still_while_someone_reads_back() {
        let line = |n: usize| LogLine { text: n.to_string(), ..fixture::log_lines(1).remove(0) };
        let count = Arc::new(Mutex::new(5));
        let shared = Arc::clone(&count);
        let wiring = Wiring {
            view: Arc::new(|| Arc::new(View::default())),
            logs: Arc::new(move || (0..*shared.lock().unwrap()).map(line).collect()),
            command: Arc::new(|_| Ok(())),
        };
        let mut session = Session::new(&wiring, options(), Instant::now());
        press(&mut session, &wiring, '3');
        session.refresh(&wiring, Instant::now());
        press(&mut session, &wiring, 'k');
        *count.lock().unwrap() = 9;
        session.refresh(&wiring, Instant::now());
        assert_eq!(session.logs.len(), 5);
        press(&mut session, &wiring, 'G');
        session.refresh(&wiring, Instant::now());
        assert_eq!(session.logs.len(), 9);
    }
}
