//! Draws the latest `View` in a terminal and turns keys into `Command`s.
//!
//! *Takes*: functions that give the latest `View` and the log lines, and a sender for commands (`Wiring`).
//! *Gives*: `Command`s that a person has confirmed, and why the screen was left (`Exit`).
//!
//! Invariants
//! 1. No size of terminal and no `View` makes it panic (`golden::tests::no_size_and_no_view_makes_it_panic`).
//! 2. No command without a confirmed dialog; real positions are closed by a typed word only
//!    (`state::tests::nothing_is_commanded_without_a_yes`, `state::tests::flatten_with_real_money_must_be_typed`).
//! 3. Mode, trading state and health stand on every screen, and so does STALE when the picture stops moving
//!    (`golden::tests::the_mode_the_state_and_the_health_stand_on_every_screen`, `freshness::tests::a_picture_that_stands_still_is_stale`).
//! 4. Every key is in one table that help and footer are printed from
//!    (`keymap::tests::every_action_is_reachable_and_explained`, `keymap::tests::no_key_has_two_meanings_on_one_screen`).
//! 5. Numbers are left out whole rather than cut (`table::tests::a_narrow_table_loses_columns_not_digits`,
//!    `account::tests::figures_that_do_not_fit_are_left_out_whole`).
//! 6. Nothing means something by colour alone (`theme::tests::without_colour_no_style_has_one`: all golden screens are read as text).
//!
//! *Never*: a business number computed here, I/O other than the terminal, a lock or a wait on the engine.

mod account;
mod big_word;
mod candles;
mod chart;
mod dialog;
#[cfg(test)]
mod fixture;
mod format;
mod freshness;
#[cfg(test)]
mod golden;
mod guide;
mod keymap;
mod ladder;
mod lists;
mod logs;
mod market;
mod overview;
mod session;
mod side;
mod state;
mod status_bar;
mod table;
mod terminal;
mod text;
mod theme;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::protocol::{LogLine, View};
use state::State;
use theme::Theme;

pub use session::{Exit, Options, Wiring, run};
pub use state::Screen;

/// Everything a frame is drawn from.
struct Scene<'a> {
    view: &'a View,
    logs: &'a [LogLine],
    state: &'a State,
    theme: &'a Theme,
    /// How long the picture has stood still, once that is worth saying.
    stale: Option<Duration>,
    notice: Option<&'a str>,
    guide: bool,
}

/// Draws the whole terminal: bar, tabs, screen, keys, and the open dialog over them.
fn draw(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let mut rest = area.intersection(buf.area);
    if rest.is_empty() {
        return;
    }
    let (tabs, footer) = (u16::from(rest.height >= 8), u16::from(rest.height >= 5));
    status_bar::draw(scene, text::take_rows(&mut rest, 1), buf);
    status_bar::draw_tabs(scene, text::take_rows(&mut rest, tabs), buf);
    // A blank column at each side calms the picture where there is room for it.
    let margin = u16::from(rest.width > 60);
    rest = Rect { x: rest.x + margin, width: rest.width - 2 * margin, ..rest };
    let body = Rect { height: rest.height - footer, ..rest };
    match scene.state.screen {
        Screen::Overview => overview::draw(scene, body, buf),
        Screen::Market => market::draw(scene, body, buf),
        Screen::Logs => logs::draw(scene, body, buf),
    }
    status_bar::draw_footer(scene, Rect { y: rest.bottom() - footer, height: footer, ..rest }, buf);
    if let Some(open) = &scene.state.dialog {
        dialog::draw(open, scene, area.intersection(buf.area), buf);
    }
}

/// A screen as plain text, `height` lines without trailing blanks; for documents and the `status` command.
#[must_use]
pub fn snapshot_text(view: &View, width: u16, height: u16, screen: Screen) -> String {
    let state = State::new(screen, false);
    let theme = Theme::new(false);
    let scene = Scene { view, logs: &[], state: &state, theme: &theme, stale: None, notice: None, guide: true };
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    draw(&scene, area, &mut buf);
    buffer_text(&buf)
}

/// The letters of a buffer; a wide letter covers the cell after it.
fn buffer_text(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let mut line = String::new();
        let mut x = buf.area.left();
        while x < buf.area.right() {
            let symbol = buf[(x, y)].symbol();
            line.push_str(symbol);
            x = x.saturating_add(text::width(symbol).clamp(1, 2) as u16);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
