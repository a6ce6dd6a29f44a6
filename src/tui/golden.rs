//! Whole screens as text, and the properties that hold for every screen.

mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use proptest::prelude::*;
    use std::time::Duration;

    use super::super::dialog::Dialog;
    use super::super::fixture::{self, Dice};
    use super::super::state::{Screen, State};
    use super::super::theme::Theme;
    use super::super::{Scene, buffer_text, draw, snapshot_text};
    use crate::protocol::{HealthVerdict, LogLine, Mode, TradingState, View};

    fn screen_text(view: &View, logs: &[LogLine], state: &State, stale: Option<Duration>, size: (u16, u16)) -> String {
        let theme = Theme::new(true);
        let scene = Scene { view, logs, state, theme: &theme, stale, notice: None, guide: true };
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| draw(&scene, frame.area(), frame.buffer_mut())).unwrap();
        buffer_text(terminal.backend().buffer())
    }

    #[test]
    fn show_screens() {
        std::fs::write("/tmp/view.json", serde_json::to_string(&fixture::trading()).unwrap()).unwrap();
        for (w, h) in [(80, 24), (120, 40), (200, 50), (60, 16), (40, 8)] {
            for view in [View::default(), fixture::trading()] {
                for screen in Screen::ALL {
                    println!("=== {w}x{h} {screen:?}\n{}", screen_text(&view, &fixture::log_lines(9), &State::new(screen, false), None, (w, h)));
                }
            }
        }
        for d in [Dialog::Help, Dialog::Halt, Dialog::Flatten { typed: "FLA".into() }, Dialog::Quit] {
            let view = View { mode: Mode::Live, ..fixture::trading() };
            let mut state = State::new(Screen::Overview, false);
            state.dialog = Some(d);
            println!("{}", screen_text(&view, &[], &state, Some(Duration::from_secs(7)), (80, 24)));
        }
    }

    #[test]
    fn the_mode_the_state_and_the_health_stand_on_every_screen() {
        let mut view = fixture::trading();
        view.mode = Mode::Live;
        view.trading = TradingState::Halted { reason: "daily loss limit".into() };
        view.health.verdict = HealthVerdict::Critical;
        for screen in Screen::ALL {
            for size in [(80, 24), (50, 10), (200, 50)] {
                let text = screen_text(&view, &[], &State::new(screen, false), Some(Duration::from_secs(7)), size);
                let top = text.lines().next().unwrap();
                for word in ["LIVE", "HALTED", "CRITICAL", "STALE 7 s"] {
                    assert!(top.contains(word), "{word} is missing at {size:?}: {top}");
                }
            }
        }
    }

    #[test]
    fn the_snapshot_is_the_screen_without_colour() {
        let view = fixture::trading();
        let state = State::new(Screen::Overview, false);
        assert_eq!(snapshot_text(&view, 80, 24, Screen::Overview), screen_text(&view, &[], &state, None, (80, 24)));
        assert_eq!(snapshot_text(&view, 0, 0, Screen::Overview), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn no_size_and_no_view_makes_it_panic(seed in any::<u64>(), width in 0_u16..230, height in 0_u16..70) {
            let mut dice = Dice(seed);
            let view = fixture::wild(seed);
            let dialogs = [None, None, Some(Dialog::Help), Some(Dialog::Halt), Some(Dialog::Resume), Some(Dialog::Flatten { typed: "FLA".into() }), Some(Dialog::Quit)];
            let dialog = dialogs[dice.below(dialogs.len())].clone();
            let scroll = dice.below(12);
            for screen in Screen::ALL {
                let mut state = State::new(screen, false);
                (state.dialog, state.scroll) = (dialog.clone(), scroll);
                let size = [(width, height), (width % 12, height % 6), (width % 40, height), (width, height % 7)][dice.below(4)];
                let text = screen_text(&view, &fixture::log_lines(9), &state, Some(Duration::from_secs(5)), size);
                prop_assert!(text.lines().count() == usize::from(size.1));
            }
        }
    }
}
