//! The first screen: money, the equity line, positions, orders, decisions, health, models. What matters most stays when room is short.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Scene;
use super::{account, big_word, chart, format, guide, lists, side, status_bar, text};
use crate::protocol::View;

/// From this width on, a second column stands at the right.
const WIDE: u16 = 100;
/// Below this the screen is a short list of the vital figures.
const SMALLEST: (u16, u16) = (44, 9);

pub fn draw(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return vital(scene, area, buf);
    }
    let mut rest = header(scene, area, buf);
    if rest.width < WIDE {
        return narrow(scene, rest, buf);
    }
    let side_width = (rest.width * 36 / 100).clamp(42, 64);
    let side = Rect { x: rest.right() - side_width, width: side_width, ..rest };
    rest.width -= side_width + 2;
    wide_side(scene, side, buf);
    main_column(scene, rest, buf);
}

/// Only what one must know: used when there is no room for a screen.
fn vital(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    let unknown = || format::UNKNOWN.to_owned();
    let width = usize::from(area.width);
    let mut facts = vec![
        ("equity", view.equity.map_or_else(unknown, format::money)),
        ("day P&L", view.day_pnl.map_or_else(unknown, format::pnl)),
        ("positions", view.positions.len().to_string()),
        ("orders", view.orders.len().to_string()),
    ];
    facts.extend(view.health.reasons.first().map(|r| ("health", r.clone())));
    let lines = facts.into_iter().map(|(label, value)| {
        let value = text::fit(&value, width.saturating_sub(10));
        Line::from(vec![Span::styled(text::left(label, 10), theme.dim), Span::styled(value, theme.strong)])
    });
    text::put_all(buf, area, lines);
}

/// Figures and terms, with the mode as a large word beside them when the screen is large.
fn header(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) -> Rect {
    let (view, theme) = (scene.view, scene.theme);
    let mut rest = area;
    let mut figures;
    if area.width >= WIDE && area.height >= 24 {
        let word = big_word::lines(&status_bar::mode_word(view.mode), theme.mode_ink(view.mode));
        let word_width = word.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
        text::take_rows(&mut rest, 1);
        figures = text::take_rows(&mut rest, big_word::ROWS);
        text::take_rows(&mut rest, 1);
        text::put_all(buf, Rect { x: figures.x + 1, ..figures }, word);
        figures = Rect { x: figures.x + word_width, width: figures.width.saturating_sub(word_width), ..figures };
    } else {
        figures = text::take_rows(&mut rest, account::ROWS + 1);
    }
    account::draw(view, theme, figures, buf);
    text::put(buf, figures, account::ROWS, &account::terms(view, theme, usize::from(figures.width)));
    rest
}

/// Rows that positions and orders take of `room`: title, header and entries, the title alone when there is none;
/// decisions keep at least four.
fn list_rows(view: &View, room: u16) -> (u16, u16) {
    let want = |entries: usize| if entries == 0 { 1 } else { entries.min(64) as u16 + 2 };
    let (positions, orders) = (want(view.positions.len()), want(view.orders.len()));
    let room = room.saturating_sub(4).max(2);
    let positions = positions.min(room.saturating_sub(orders.min(4)).max(positions.min(3)));
    (positions, orders.min(room.saturating_sub(positions).max(1)))
}

fn narrow(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    let mut rest = area;
    let alert_rows = u16::from(!view.alerts.is_empty());
    let alert = Rect { y: rest.bottom() - alert_rows.min(rest.height), height: alert_rows.min(rest.height), ..rest };
    rest.height -= alert.height;
    text::put_all(buf, alert, lists::alerts(&view.alerts, alert.width, 1, 1, theme));
    let (positions, orders) = list_rows(view, rest.height);
    if scene.guide && guide::wanted(view) {
        let rows = guide::rows(view, theme, rest.width).min(rest.height.saturating_sub(positions + orders));
        guide::draw(view, theme, text::take_rows(&mut rest, rows), buf);
    }
    let middle = rest.height.saturating_sub(positions + orders + 4).min(8);
    if middle >= 3 {
        let mut left = text::take_rows(&mut rest, middle);
        let side_width = (left.width * 45 / 100).max(34).min(left.width);
        let side = Rect { x: left.right() - side_width, width: side_width, ..left };
        left.width -= side_width + 1;
        narrow_middle(scene, left, side, buf);
    }
    positions_orders_decisions(scene, rest, buf);
}

/// The equity line beside health and models; health takes the line's place while there is none.
fn narrow_middle(scene: &Scene<'_>, left: Rect, side: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    if view.equity_line.is_empty() {
        let inner = text::panel(buf, left, &Line::styled("Health", theme.strong), theme);
        text::put_all(buf, inner, side::health(view, inner.width, theme));
        let inner = text::panel(buf, side, &Line::styled("Models", theme.strong), theme);
        text::put_all(buf, inner, side::models(view, inner.width, theme));
        return;
    }
    equity(scene, left, buf);
    let inner = text::panel(buf, side, &Line::styled("Health and models", theme.strong), theme);
    // Models and a running training keep their lines; of health the verdict and its reasons come first.
    let mut below: Vec<Line<'static>> = side::models(view, inner.width, theme).into_iter().take(2).collect();
    below.extend(side::learning(view, inner.width, theme).into_iter().take(1));
    let mut lines = side::health(view, inner.width, theme);
    lines.truncate(usize::from(inner.height).saturating_sub(below.len()));
    lines.extend(below);
    text::put_all(buf, inner, lines);
}

fn main_column(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let mut rest = area;
    if scene.guide && guide::wanted(scene.view) {
        let rows = (guide::rows(scene.view, scene.theme, rest.width) + 1).min(rest.height);
        guide::draw(scene.view, scene.theme, text::take_rows(&mut rest, rows), buf);
    }
    let chart_rows = (rest.height * 38 / 100).min(22);
    if chart_rows >= 4 {
        equity(scene, text::take_rows(&mut rest, chart_rows), buf);
    }
    positions_orders_decisions(scene, rest, buf);
}

fn equity(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    let mut title = vec![Span::styled("Equity", theme.strong)];
    title.extend(chart::covered(&view.equity_line).map(|t| Span::styled(format!(" over {t}"), theme.dim)));
    let inner = text::panel(buf, area, &Line::from(title), theme);
    chart::equity(&view.equity_line, view.start_equity.map(|m| m.to_f64()), theme, inner, buf);
}

fn positions_orders_decisions(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    let mut rest = area;
    let title = |name: &'static str, count: usize, none: &'static str| {
        let note = if count == 0 { none.to_owned() } else { count.to_string() };
        Line::from(vec![Span::styled(name, theme.strong), Span::styled(format!("  {note}"), theme.dim)])
    };
    let (position_rows, order_rows) = list_rows(view, area.height);
    let place = text::take_rows(&mut rest, position_rows);
    let inner = text::panel(buf, place, &title("Positions", view.positions.len(), "flat"), theme);
    if inner.height > 0 && !view.positions.is_empty() {
        text::put_all(buf, inner, lists::positions(view, inner.width, usize::from(inner.height - 1), theme));
    }
    let place = text::take_rows(&mut rest, order_rows);
    let inner = text::panel(buf, place, &title("Working orders", view.orders.len(), "none"), theme);
    if inner.height > 0 && !view.orders.is_empty() {
        text::put_all(buf, inner, lists::orders(view, inner.width, usize::from(inner.height - 1), theme));
    }
    let counters = &view.counters;
    let note = format!("  {} this run, {} refused", format::count(counters.decisions), format::count(counters.refusals));
    let line = Line::from(vec![Span::styled("Decisions", theme.strong), Span::styled(note, theme.dim)]);
    let inner = text::panel(buf, rest, &line, theme);
    if view.decisions.is_empty() {
        text::put(buf, inner, 0, &Line::styled("none yet: each symbol gets one at the end of every bar", theme.dim));
    }
    text::put_all(buf, inner, lists::decisions(view, inner.width, usize::from(inner.height), theme));
}

fn wide_side(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (view, theme) = (scene.view, scene.theme);
    let mut rest = area;
    let sections = [
        ("Health", side::health(view, area.width, theme)),
        ("Models", side::models(view, area.width, theme)),
        ("Learning", side::learning(view, area.width, theme)),
        ("This run", side::activity(view, area.width, theme)),
    ];
    for (name, lines) in sections {
        if lines.is_empty() || rest.height < 2 {
            continue;
        }
        let rows = lines.len() as u16 + 1 + u16::from(area.height > 30);
        let inner = text::panel(buf, text::take_rows(&mut rest, rows), &Line::styled(name, theme.strong), theme);
        text::put_all(buf, inner, lines);
    }
    if rest.height >= 2 {
        let inner = text::panel(buf, rest, &Line::styled("Alerts", theme.strong), theme);
        if view.alerts.is_empty() {
            text::put(buf, inner, 0, &Line::styled("none", theme.dim));
        }
        text::put_all(buf, inner, lists::alerts(&view.alerts, inner.width, usize::from(inner.height), 3, theme));
    }
}
