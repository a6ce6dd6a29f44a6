//! The third screen: what the program wrote, newest at the foot.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Scene;
use super::{format, lists, text};
use crate::protocol::{LogLine, Severity};

/// The lines that pass the level filter, oldest first.
#[must_use]
pub fn passing(lines: &[LogLine], level: Severity) -> Vec<&LogLine> {
    lines.iter().filter(|l| l.severity >= level).collect()
}

pub fn draw(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (state, theme) = (scene.state, scene.theme);
    let lines = passing(scene.logs, state.level);
    let level = match state.level {
        Severity::Info => "all levels",
        Severity::Warning => "warnings and worse",
        Severity::Critical => "critical only",
    };
    let (mode, style) =
        if state.following() { ("following".to_owned(), theme.up) } else { (format!("paused, {} back", state.scroll), theme.warn) };
    let title = Line::from(vec![
        Span::styled("Logs", theme.strong),
        Span::styled(format!("  {} lines, {level}  ", lines.len()), theme.dim),
        Span::styled(mode, style),
    ]);
    let inner = text::panel(buf, area, &title, theme);
    if lines.is_empty() {
        text::put(buf, inner, 0, &Line::styled("nothing written at this level", theme.dim));
        return;
    }
    let end = lines.len() - state.scroll.min(lines.len() - 1);
    text::put_all(buf, inner, tail(&lines[..end], inner, scene));
}

/// As many of the last lines as fill `area`, each wrapped.
fn tail(lines: &[&LogLine], area: Rect, scene: &Scene<'_>) -> Vec<Line<'static>> {
    let rows = usize::from(area.height);
    let mut reversed: Vec<Line<'static>> = Vec::new();
    for line in lines.iter().rev() {
        let mut wrapped = render(line, usize::from(area.width), scene);
        wrapped.reverse();
        reversed.extend(wrapped);
        if reversed.len() >= rows {
            break;
        }
    }
    reversed.truncate(rows);
    reversed.reverse();
    reversed
}

fn render(line: &LogLine, width: usize, scene: &Scene<'_>) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let target = if width >= 100 { format!("{} ", text::left(&line.target, 22)) } else { String::new() };
    let indent = 8 + 1 + 4 + 1 + text::width(&target);
    let mut wrapped = text::wrap(&line.text, width.saturating_sub(indent), 4).into_iter();
    let body = if line.severity == Severity::Critical { theme.danger } else { theme.plain };
    let mut out = vec![Line::from(vec![
        Span::styled(format!("{} ", format::clock(line.at)), theme.dim),
        Span::styled(format!("{} ", lists::severity_word(line.severity)), theme.severity(line.severity)),
        Span::styled(target, theme.dim),
        Span::styled(wrapped.next().unwrap_or_default(), body),
    ])];
    out.extend(wrapped.map(|w| Line::styled(format!("{}{w}", " ".repeat(indent)), body)));
    out
}
