//! The frame around every screen: mode, trading state and health at the top, the keys at the foot. Never absent.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Scene;
use super::format;
use super::keymap::{Action, KEYMAP};
use super::state::Screen;
use super::text::{self, Part};
use super::theme::Theme;
use crate::domain::Timestamp;
use crate::protocol::{HealthVerdict, Mode, TradingState, View};

/// What the mode means for the money, in words.
#[must_use]
pub fn money_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Demo => "simulated money",
        Mode::Paper => "paper money, real market",
        Mode::Live => "real money",
        Mode::Backtest => "stored data",
    }
}

/// Whether a stream of the venue's account is listened to: on paper orders are matched here.
#[must_use]
pub fn uses_account(mode: Mode) -> bool {
    mode != Mode::Paper
}

#[must_use]
pub fn mode_word(mode: Mode) -> String {
    mode.to_string().to_uppercase()
}

/// Mark and word of the trading state.
#[must_use]
pub fn trading_words(state: &TradingState) -> &'static str {
    match state {
        TradingState::Starting => "\u{25cb} STARTING",
        TradingState::Reconnecting => "\u{25cb} RECONNECTING",
        TradingState::Active => "\u{25cf} ACTIVE",
        TradingState::Halted { .. } => "\u{25a0} HALTED",
        TradingState::Stopping => "\u{25bc} STOPPING",
        TradingState::Reducing { .. } => "\u{25bc} REDUCING",
    }
}

/// Mark and word of the health verdict; before the first view nothing is known, which is not the same as healthy.
#[must_use]
pub fn health_words(view: &View, theme: &Theme) -> (String, Style) {
    if view.at <= Timestamp::EPOCH {
        return ("? health unknown".to_owned(), theme.dim);
    }
    let verdict = view.health.verdict;
    let mark = match verdict {
        HealthVerdict::Healthy => '\u{2713}',
        HealthVerdict::Degraded => '\u{25b2}',
        HealthVerdict::Critical => '\u{2717}',
    };
    (format!("{mark} {verdict}"), theme.health(verdict))
}

/// The top row: what must be known first, the time at the right, and between them the reason of the worst of it.
pub fn draw(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    let known = view.at > Timestamp::EPOCH;
    let mut parts = vec![Part::new(0, format!(" {} ", mode_word(view.mode)), theme.mode_badge(view.mode))];
    if let Some(age) = scene.stale {
        parts.push(Part::new(1, format!(" STALE {} s ", age.as_secs()), theme.loud));
    }
    parts.push(Part::new(2, trading_words(&view.trading), theme.trading(&view.trading)));
    let (health, style) = health_words(view, theme);
    parts.push(Part::new(3, health, style));
    let time = if known { format!("{} UTC", format::clock(view.at)) } else { "waiting for the engine".to_owned() };
    let vital = Line::from(text::whole_parts(parts, usize::from(area.width), 2));
    let mut free = usize::from(area.width).saturating_sub(vital.width());
    text::put(buf, area, 0, &vital);
    let time_room = text::width(&time) + 3;
    if free >= time_room {
        free -= time_room;
        let place = Rect { x: area.right() - time_room as u16, width: time_room as u16, ..area };
        text::put(buf, place, 0, &Line::styled(text::right(&format!("{time} "), time_room), theme.dim));
    }
    let place = Rect { x: area.x + vital.width() as u16 + 2, width: free.saturating_sub(2) as u16, ..area };
    text::put(buf, place, 0, &remarks(scene, usize::from(place.width)));
}

/// Why it is halted or unhealthy; then what the mode means for the money.
fn remarks(scene: &Scene<'_>, room: usize) -> Line<'static> {
    let (view, theme) = (scene.view, scene.theme);
    let money = money_words(view.mode);
    let reason = match &view.trading {
        TradingState::Halted { reason } | TradingState::Reducing { reason } => Some(reason),
        _ => view.health.reasons.first(),
    };
    let Some(reason) = reason.filter(|_| room >= 12) else {
        return Line::styled(if money.len() <= room { money } else { "" }, theme.dim);
    };
    let reason = text::fit(reason, room);
    let left = room - text::width(&reason);
    let tail = if left >= money.len() + 2 { format!("  {money}") } else { String::new() };
    Line::from(vec![Span::styled(reason, theme.plain), Span::styled(tail, theme.dim)])
}

/// The second row: the screens, and where the data comes from.
pub fn draw_tabs(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let mut spans = Vec::new();
    for (number, screen) in Screen::ALL.into_iter().enumerate() {
        let style = if screen == scene.state.screen { theme.selected } else { theme.dim };
        spans.push(Span::styled(format!(" {} ", number + 1), theme.accent));
        spans.push(Span::styled(screen.name(), style));
        spans.push(Span::raw(" "));
    }
    let tabs = Line::from(spans);
    let room = usize::from(area.width).saturating_sub(tabs.width() + 4);
    text::put(buf, area, 0, &tabs);
    let venue = text::clean(&scene.view.venue);
    if !venue.is_empty() && room >= 8 {
        let place = Rect { x: area.right() - 1 - room as u16, width: room as u16, ..area };
        text::put(buf, place, 0, &Line::styled(text::right(&venue, room), theme.dim));
    }
}

/// The last row: a notice if there is one, else the keys that work here.
pub fn draw_footer(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    if let Some(notice) = scene.notice {
        text::put(buf, area, 0, &Line::styled(text::fit(notice, usize::from(area.width)), scene.theme.accent));
        return;
    }
    let width = usize::from(area.width);
    text::put(buf, area, 0, &Line::from(text::whole_parts(hints(scene.state.screen, scene.theme), width, HINT_GAP)));
}

const HINT_GAP: usize = 2;

/// What stops losses and what explains stays longest when the row is narrow.
fn hints(screen: Screen, theme: &Theme) -> Vec<Part<'static>> {
    let shown = KEYMAP.iter().filter(|b| b.works_on(screen) && !b.hint.is_empty());
    shown
        .map(|b| {
            let rank = match b.action {
                Action::Help => 0,
                Action::Halt => 1,
                Action::Quit => 2,
                Action::Flatten => 3,
                Action::Resume => 4,
                _ => 5,
            };
            let spans = vec![Span::styled(b.short_label(), theme.accent), Span::raw(" "), Span::styled(b.hint, theme.dim)];
            Part { rank, spans }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_is_made_from_the_keymap() {
        let text = |screen, width| {
            text::whole_parts(hints(screen, &Theme::new(false)), width, HINT_GAP).iter().map(|s| s.content.as_ref()).collect::<String>()
        };
        assert_eq!(text(Screen::Overview, 80), "h halt  r resume  f flatten  ? help  q quit");
        assert_eq!(text(Screen::Overview, 26), "h halt  ? help  q quit");
        assert!(text(Screen::Market, 80).contains("next symbol"));
        assert!(text(Screen::Logs, 80).contains("l level"));
    }
}
