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
    use crate::protocol::{Alert, BalanceMismatch, HealthVerdict, LearningView, LogLine, Mode, TradingState, View};

    fn screen_text(view: &View, logs: &[LogLine], state: &State, stale: Option<Duration>, size: (u16, u16)) -> String {
        let theme = Theme::new(true);
        let scene = Scene { view, logs, state, theme: &theme, stale, notice: None, guide: true };
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| draw(&scene, frame.area(), frame.buffer_mut())).unwrap();
        buffer_text(terminal.backend().buffer())
    }

    /// Compares line by line; on a difference the whole screen is printed, ready to be looked at and kept.
    fn assert_screen(actual: &str, expected: &str) {
        assert!(actual == expected, "the screen is now:\n{actual}");
    }

    fn over(view: &View, dialog: Dialog, stale: Option<Duration>) -> String {
        let mut state = State::new(Screen::Overview, false);
        state.dialog = Some(dialog);
        screen_text(view, &[], &state, stale, (80, 24))
    }

    #[test]
    fn the_overview_guides_through_the_first_minutes() {
        assert_screen(&snapshot_text(&View::default(), 80, 24, Screen::Overview), include_str!("golden/overview_start.txt"));
        let mut view = View { at: fixture::trading().at, ..View::default() };
        (view.health.market_stream_up, view.health.user_stream_up, view.health.reconciled) = (true, true, true);
        view.learning = LearningView { stage: "trees, fold 2 of 5".into(), done: 41, total: 120, ..LearningView::default() };
        assert_screen(&snapshot_text(&view, 80, 24, Screen::Overview), include_str!("golden/overview_training.txt"));
    }

    #[test]
    fn the_overview_shows_a_trading_day() {
        let view = fixture::trading();
        assert_screen(&snapshot_text(&view, 80, 24, Screen::Overview), include_str!("golden/overview_trading.txt"));
        assert_screen(&snapshot_text(&view, 120, 40, Screen::Overview), include_str!("golden/overview_trading_wide.txt"));
    }

    #[test]
    fn a_lost_venue_leaves_what_is_held_in_sight() {
        let mut view = View { mode: Mode::Live, trading: TradingState::Reconnecting, exploration_percent: None, ..fixture::trading() };
        let health = &mut view.health;
        (health.market_stream_up, health.user_stream_up, health.reconciled) = (false, false, false);
        (health.verdict, health.reasons) = (HealthVerdict::Critical, vec!["market stream down for 19 s".into()]);
        view.exposed.now = "33.16".parse().unwrap();
        view.exposed.lasting = crate::domain::Span::from_secs(6);
        view.alerts = vec![Alert { text: "the venue can not be reached: connection refused".into(), ..view.alerts[0].clone() }; 19];
        assert_screen(&snapshot_text(&view, 80, 24, Screen::Overview), include_str!("golden/overview_lost.txt"));
        assert_screen(&snapshot_text(&view, 120, 40, Screen::Overview), include_str!("golden/overview_lost_wide.txt"));
    }

    #[test]
    fn the_market_shows_candles_and_book() {
        assert_screen(&snapshot_text(&fixture::trading(), 80, 24, Screen::Market), include_str!("golden/market.txt"));
    }

    #[test]
    fn the_logs_wrap_and_follow() {
        let state = State::new(Screen::Logs, false);
        let text = screen_text(&fixture::trading(), &fixture::log_lines(9), &state, None, (80, 12));
        assert_screen(&text, include_str!("golden/logs.txt"));
    }

    #[test]
    fn the_help_lists_the_keys_of_the_screen() {
        assert_screen(&over(&fixture::trading(), Dialog::Help, None), include_str!("golden/help.txt"));
    }

    #[test]
    fn the_dialogs_say_in_numbers_what_will_happen() {
        let view = fixture::trading();
        assert_screen(&over(&view, Dialog::Halt, None), include_str!("golden/halt.txt"));
        let live = View { mode: Mode::Live, ..view };
        let typing = Dialog::Flatten { typed: "FLA".into() };
        assert_screen(&over(&live, typing, Some(Duration::from_secs(7))), include_str!("golden/flatten_live.txt"));
        let mismatch =
            BalanceMismatch { asset: "USDT".parse().unwrap(), venue: "9512.25".parse().unwrap(), books: "10012.25".parse().unwrap() };
        let reason = "the venue's balance of USDT is 9512.25, the books say 10012.25".into();
        let halted =
            View { trading: TradingState::Halted { reason }, mismatches: vec![mismatch], orders: Vec::new(), ..fixture::trading() };
        assert_screen(&over(&halted, Dialog::Resume, None), include_str!("golden/resume_mismatch.txt"));
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
