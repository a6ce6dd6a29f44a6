//! The terminal as we take it and give it back: restored on leaving, on an error and on a panic of any thread.

use std::io::{self, IsTerminal, Stdout};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// True while the terminal is ours; whoever lowers it restores.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Raw mode and alternate screen, for as long as it lives.
pub struct Screenful {
    /// Never dropped: its own farewell panics when the terminal has hung up. `restore` says goodbye.
    pub terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// Keys come from standard input.
    typed: bool,
}

impl Screenful {
    /// # Errors
    /// When standard output is no terminal or cannot be switched.
    pub fn take() -> io::Result<Self> {
        HOOK.call_once(chain_panic_hook);
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Self::switch();
        if taken.is_err() {
            restore();
        }
        taken
    }

    fn switch() -> io::Result<Self> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        terminal.clear()?;
        Ok(Self { terminal: ManuallyDrop::new(terminal), typed: io::stdin().is_terminal() })
    }

    /// True once the terminal has hung up. It must not be read then: the library for keys would never come back.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        (self.typed && !io::stdin().is_terminal()) || !io::stdout().is_terminal()
    }

    /// False once a panic elsewhere has given the terminal back, so that its message can be read.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        TAKEN.load(Ordering::SeqCst)
    }
}

impl Drop for Screenful {
    fn drop(&mut self) {
        restore();
    }
}

/// Before the previous hook prints, the terminal must be able to show it.
fn chain_panic_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        previous(info);
    }));
}

/// Best effort: a terminal that is gone cannot be restored.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}
