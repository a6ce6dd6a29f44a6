//! Every key in one table; the help overlay, the footer and the key handling all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::Screen;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Show(Screen),
    NextScreen,
    PreviousScreen,
    NextSymbol,
    PreviousSymbol,
    LineUp,
    LineDown,
    PageUp,
    PageDown,
    Oldest,
    Newest,
    Level,
    Help,
    Halt,
    Resume,
    Flatten,
    Quit,
}

/// A key as the keyboard sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chord {
    pub code: KeyCode,
    pub control: bool,
}

/// One line of the keymap.
#[derive(Debug)]
pub struct Binding {
    pub chords: &'static [Chord],
    /// The keys as written in help and footer.
    pub label: &'static str,
    /// A word for the footer; empty keeps it out of there.
    pub hint: &'static str,
    pub help: &'static str,
    pub action: Action,
    /// Where it works; empty: everywhere.
    pub screens: &'static [Screen],
}

const fn key(code: KeyCode) -> Chord {
    Chord { code, control: false }
}

const fn letter(c: char) -> Chord {
    key(KeyCode::Char(c))
}

const fn everywhere(chords: &'static [Chord], label: &'static str, hint: &'static str, help: &'static str, action: Action) -> Binding {
    Binding { chords, label, hint, help, action, screens: &[] }
}

const fn market(chords: &'static [Chord], label: &'static str, hint: &'static str, help: &'static str, action: Action) -> Binding {
    Binding { chords, label, hint, help, action, screens: &[Screen::Market] }
}

const fn logs(chords: &'static [Chord], label: &'static str, hint: &'static str, help: &'static str, action: Action) -> Binding {
    Binding { chords, label, hint, help, action, screens: &[Screen::Logs] }
}

pub const KEYMAP: &[Binding] = &[
    everywhere(&[letter('1')], "1", "", "overview: money, positions, decisions, health", Action::Show(Screen::Overview)),
    everywhere(&[letter('2')], "2", "", "market: candles and order book of one symbol", Action::Show(Screen::Market)),
    everywhere(&[letter('3')], "3", "", "logs", Action::Show(Screen::Logs)),
    everywhere(&[key(KeyCode::Tab)], "Tab", "", "next screen", Action::NextScreen),
    everywhere(&[key(KeyCode::BackTab)], "Shift+Tab", "", "previous screen", Action::PreviousScreen),
    market(&[key(KeyCode::Right), letter(']')], "\u{2192} ]", "next symbol", "next symbol", Action::NextSymbol),
    market(&[key(KeyCode::Left), letter('[')], "\u{2190} [", "", "previous symbol", Action::PreviousSymbol),
    logs(&[key(KeyCode::Up), letter('k')], "\u{2191} k", "scroll", "one line back; new lines wait until you return", Action::LineUp),
    logs(&[key(KeyCode::Down), letter('j')], "\u{2193} j", "", "one line forward", Action::LineDown),
    logs(&[key(KeyCode::PageUp)], "PgUp", "", "a page back", Action::PageUp),
    logs(&[key(KeyCode::PageDown)], "PgDn", "", "a page forward", Action::PageDown),
    logs(&[key(KeyCode::Home), letter('g')], "Home g", "", "oldest line", Action::Oldest),
    logs(&[key(KeyCode::End), letter('G')], "End G", "follow", "newest line, and follow", Action::Newest),
    logs(&[letter('l')], "l", "level", "lowest level shown: info, warning, critical", Action::Level),
    everywhere(&[letter('h')], "h", "halt", "stop opening positions (asks first)", Action::Halt),
    everywhere(&[letter('r')], "r", "resume", "allow opening again (asks first)", Action::Resume),
    everywhere(&[letter('f')], "f", "flatten", "halt and close everything at the market (asks first)", Action::Flatten),
    everywhere(&[letter('?')], "?", "help", "this page", Action::Help),
    everywhere(
        &[letter('q'), Chord { code: KeyCode::Char('c'), control: true }],
        "q Ctrl+C",
        "quit",
        "leave (asks first when money could be at stake)",
        Action::Quit,
    ),
];

impl Binding {
    #[must_use]
    pub fn works_on(&self, screen: Screen) -> bool {
        self.screens.is_empty() || self.screens.contains(&screen)
    }

    /// The first of its keys, for the footer.
    #[must_use]
    pub fn short_label(&self) -> &'static str {
        self.label.split(' ').next().unwrap_or(self.label)
    }
}

impl Chord {
    /// Shift is already part of the letter, so only Control is looked at.
    #[must_use]
    pub fn of(event: &KeyEvent) -> Self {
        Self { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) }
    }
}

/// What this key does on this screen.
#[must_use]
pub fn action_for(chord: Chord, screen: Screen) -> Option<Action> {
    KEYMAP.iter().find(|b| b.works_on(screen) && b.chords.contains(&chord)).map(|b| b.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings_on_one_screen() {
        for screen in Screen::ALL {
            let chords: Vec<Chord> = KEYMAP.iter().filter(|b| b.works_on(screen)).flat_map(|b| b.chords).copied().collect();
            for (i, chord) in chords.iter().enumerate() {
                assert!(!chords[..i].contains(chord), "{chord:?} twice on {screen:?}");
            }
        }
    }

    #[test]
    fn every_action_is_reachable_and_explained() {
        use Action as A;
        let all = [
            A::Show(Screen::Overview),
            A::Show(Screen::Market),
            A::Show(Screen::Logs),
            A::NextScreen,
            A::PreviousScreen,
            A::NextSymbol,
            A::PreviousSymbol,
            A::LineUp,
            A::LineDown,
            A::PageUp,
            A::PageDown,
            A::Oldest,
            A::Newest,
            A::Level,
            A::Help,
            A::Halt,
            A::Resume,
            A::Flatten,
            A::Quit,
        ];
        for action in all {
            let binding = KEYMAP.iter().find(|b| b.action == action).expect("every action has a line");
            assert!(!binding.help.is_empty() && !binding.label.is_empty());
            let screen = Screen::ALL.into_iter().find(|s| binding.works_on(*s)).expect("somewhere");
            assert!(binding.chords.iter().all(|c| action_for(*c, screen) == Some(action)), "{action:?}");
        }
        assert_eq!(all.len(), KEYMAP.len());
    }
}
