//! What the person is looking at, and how a key changes it: pure, so that every key is tested without a terminal.

use crossterm::event::KeyEvent;

use super::dialog::{Answer, Dialog};
use super::keymap::{Action, Chord, action_for};
use crate::protocol::{Command, Mode, Severity, View};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    #[default]
    Overview,
    Market,
    Logs,
}

impl Screen {
    pub const ALL: [Self; 3] = [Self::Overview, Self::Market, Self::Logs];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Market => "Market",
            Self::Logs => "Logs",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Overview => Self::Market,
            Self::Market => Self::Logs,
            Self::Logs => Self::Overview,
        }
    }

    const fn previous(self) -> Self {
        self.next().next()
    }
}

/// What a key asks of the world outside the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Send(Command),
    Quit,
}

#[derive(Debug, Clone)]
pub struct State {
    pub screen: Screen,
    /// Index into `View::symbols`; read it through `symbol_index`, the list may shrink.
    symbol: usize,
    pub dialog: Option<Dialog>,
    /// The lowest level that Logs shows.
    pub level: Severity,
    /// Lines between the newest and the last one shown; 0 follows.
    pub scroll: usize,
    /// Lines there are to scroll over; the caller keeps it current.
    pub lines: usize,
    /// Another process trades: leaving this screen stops nothing.
    pub attached: bool,
}

/// Lines that a page key moves.
const PAGE: usize = 10;

impl State {
    #[must_use]
    pub fn new(screen: Screen, attached: bool) -> Self {
        Self { screen, symbol: 0, dialog: None, level: Severity::Info, scroll: 0, lines: 0, attached }
    }

    #[must_use]
    pub fn following(&self) -> bool {
        self.scroll == 0
    }

    /// The chosen symbol; `None` while there is none.
    #[must_use]
    pub fn symbol_index(&self, view: &View) -> Option<usize> {
        (!view.symbols.is_empty()).then(|| self.symbol.min(view.symbols.len() - 1))
    }

    pub fn on_key(&mut self, key: &KeyEvent, view: &View) -> Option<Outcome> {
        let chord = Chord::of(key);
        if let Some(dialog) = self.dialog.as_mut() {
            return match dialog.on_key(chord, view) {
                Answer::Open => None,
                Answer::Close => {
                    self.dialog = None;
                    None
                }
                Answer::Confirm(outcome) => {
                    self.dialog = None;
                    Some(outcome)
                }
            };
        }
        self.act(action_for(chord, self.screen)?, view)
    }

    fn act(&mut self, action: Action, view: &View) -> Option<Outcome> {
        let symbols = view.symbols.len().max(1);
        match action {
            Action::Show(screen) => self.screen = screen,
            Action::NextScreen => self.screen = self.screen.next(),
            Action::PreviousScreen => self.screen = self.screen.previous(),
            Action::NextSymbol => self.symbol = (self.symbol.min(symbols - 1) + 1) % symbols,
            Action::PreviousSymbol => self.symbol = (self.symbol.min(symbols - 1) + symbols - 1) % symbols,
            Action::LineUp => self.scroll_to(self.scroll.saturating_add(1)),
            Action::LineDown => self.scroll_to(self.scroll.saturating_sub(1)),
            Action::PageUp => self.scroll_to(self.scroll.saturating_add(PAGE)),
            Action::PageDown => self.scroll_to(self.scroll.saturating_sub(PAGE)),
            Action::Oldest => self.scroll_to(usize::MAX),
            Action::Newest => self.scroll_to(0),
            Action::Level => {
                self.level = match self.level {
                    Severity::Info => Severity::Warning,
                    Severity::Warning => Severity::Critical,
                    Severity::Critical => Severity::Info,
                };
                self.scroll = 0;
            }
            Action::Help => self.dialog = Some(Dialog::Help),
            Action::Halt => self.dialog = Some(Dialog::Halt),
            Action::Resume => self.dialog = Some(Dialog::Resume),
            Action::Flatten => self.dialog = Some(Dialog::Flatten { typed: String::new() }),
            Action::Quit if !self.attached && (view.mode == Mode::Live || !view.positions.is_empty()) => self.dialog = Some(Dialog::Quit),
            Action::Quit => return Some(Outcome::Quit),
        }
        None
    }

    fn scroll_to(&mut self, scroll: usize) {
        self.scroll = scroll.min(self.lines.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crossterm::event::{KeyCode, KeyModifiers};

    fn press(state: &mut State, view: &View, keys: &str) -> Option<Outcome> {
        let mut last = None;
        for c in keys.chars() {
            let code = match c {
                '\u{1b}' => KeyCode::Esc,
                '\n' => KeyCode::Enter,
                '\u{8}' => KeyCode::Backspace,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            };
            last = state.on_key(&KeyEvent::new(code, KeyModifiers::NONE), view);
        }
        last
    }

    fn fresh() -> State {
        State::new(Screen::Overview, false)
    }

    #[test]
    fn screens_are_chosen_by_number_and_by_tab() {
        let (mut state, view) = (fresh(), View::default());
        press(&mut state, &view, "3");
        assert_eq!(state.screen, Screen::Logs);
        press(&mut state, &view, "\t\t");
        assert_eq!(state.screen, Screen::Market);
        state.on_key(&KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT), &view);
        assert_eq!(state.screen, Screen::Overview);
    }

    #[test]
    fn nothing_is_commanded_without_a_yes() {
        let (mut state, view) = (fresh(), View::default());
        for keys in ["h", "r", "f"] {
            assert_eq!(press(&mut state, &view, keys), None);
            assert!(state.dialog.is_some());
            assert_eq!(press(&mut state, &view, "x"), None);
            assert_eq!(press(&mut state, &view, "\u{1b}"), None);
            assert!(state.dialog.is_none());
            assert_eq!(press(&mut state, &view, keys), None);
            assert_eq!(press(&mut state, &view, "n"), None);
            assert!(state.dialog.is_none());
        }
        assert_eq!(press(&mut state, &view, "hy"), Some(Outcome::Send(Command::Halt)));
        assert_eq!(press(&mut state, &view, "ry"), Some(Outcome::Send(Command::Resume)));
        assert_eq!(press(&mut state, &view, "fy"), Some(Outcome::Send(Command::Flatten)));
        assert!(state.dialog.is_none());
    }

    #[test]
    fn flatten_with_real_money_must_be_typed() {
        let (mut state, view) = (fresh(), View { mode: Mode::Live, ..View::default() });
        assert_eq!(press(&mut state, &view, "fy\n"), None);
        assert!(state.dialog.is_some());
        press(&mut state, &view, "\u{1b}f");
        assert_eq!(press(&mut state, &view, "FLATTEM\n"), None);
        assert_eq!(press(&mut state, &view, "\u{8}N\n"), Some(Outcome::Send(Command::Flatten)));
    }

    #[test]
    fn quitting_asks_when_money_could_be_at_stake() {
        let calm = View::default();
        assert_eq!(press(&mut fresh(), &calm, "q"), Some(Outcome::Quit));
        for view in [View { mode: Mode::Live, ..View::default() }, fixture::trading()] {
            let mut state = fresh();
            assert_eq!(press(&mut state, &view, "q"), None);
            assert_eq!(press(&mut state, &view, "y"), Some(Outcome::Quit));
            assert_eq!(press(&mut State::new(Screen::Overview, true), &view, "q"), Some(Outcome::Quit));
        }
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(fresh().on_key(&control_c, &calm), Some(Outcome::Quit));
    }

    #[test]
    fn symbols_go_round_and_survive_a_shrinking_list() {
        let (mut state, mut view) = (State::new(Screen::Market, false), fixture::trading());
        assert_eq!(view.symbols.len(), 2);
        press(&mut state, &view, "]");
        assert_eq!(state.symbol_index(&view), Some(1));
        press(&mut state, &view, "]");
        assert_eq!(state.symbol_index(&view), Some(0));
        press(&mut state, &view, "[");
        view.symbols.truncate(1);
        assert_eq!(state.symbol_index(&view), Some(0));
        view.symbols.clear();
        press(&mut state, &view, "][");
        assert_eq!(state.symbol_index(&view), None);
    }

    #[test]
    fn logs_scroll_within_their_lines_and_end_follows() {
        let (mut state, view) = (State { lines: 15, ..State::new(Screen::Logs, false) }, View::default());
        press(&mut state, &view, "kk");
        assert!(!state.following());
        press(&mut state, &view, "g");
        assert_eq!(state.scroll, 14);
        press(&mut state, &view, "G");
        assert!(state.following());
        press(&mut state, &view, "kl");
        assert_eq!((state.scroll, state.level), (0, Severity::Warning));
    }

    #[test]
    fn help_opens_everywhere_and_closes() {
        for screen in Screen::ALL {
            let mut state = State::new(screen, false);
            press(&mut state, &View::default(), "?");
            assert_eq!(state.dialog, Some(Dialog::Help));
            press(&mut state, &View::default(), "?");
            assert_eq!(state.dialog, None);
        }
    }
}
