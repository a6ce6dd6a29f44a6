//! Text measured in terminal columns (wide scripts take two): fit, pad, wrap, and lines put into a rectangle.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::theme::Theme;

/// Columns this text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// One line without control characters: what comes from outside must not move the cursor.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most `columns` wide; a cut is marked with an ellipsis.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    let text = clean(text);
    if width(&text) <= columns {
        return text;
    }
    match columns {
        0 => String::new(),
        _ => format!("{}\u{2026}", prefix(&text, columns - 1)),
    }
}

/// The longest beginning that takes at most `columns`.
fn prefix(text: &str, columns: usize) -> &str {
    let (mut used, mut end) = (0, 0);
    for grapheme in Span::raw(text).styled_graphemes(Style::new()) {
        used += width(grapheme.symbol);
        if used > columns {
            break;
        }
        end += grapheme.symbol.len();
    }
    text.get(..end).unwrap_or("")
}

/// `fit` and filled with blanks to exactly `columns`, text at the left.
#[must_use]
pub fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    text + &" ".repeat(blanks)
}

/// `fit` and filled with blanks to exactly `columns`, text at the right.
#[must_use]
pub fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// Words broken into at most `rows` lines of `columns`; the last one is cut with an ellipsis when more is left.
#[must_use]
pub fn wrap(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let text = clean(text);
    let mut rest = text.trim();
    let mut lines = Vec::new();
    while !rest.is_empty() && columns > 0 && lines.len() < rows {
        if lines.len() + 1 == rows || width(rest) <= columns {
            lines.push(fit(rest, columns));
            break;
        }
        let head = prefix(rest, columns);
        let cut_inside_a_word = rest[head.len()..].chars().next().is_some_and(|c| !c.is_whitespace());
        let end = match head.rfind(char::is_whitespace) {
            Some(blank) if cut_inside_a_word && blank > 0 => blank,
            _ if head.is_empty() => rest.chars().next().map_or(rest.len(), char::len_utf8),
            _ => head.len(),
        };
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines
}

/// Writes `line` into row `row` of `area`; what does not fit is left out.
pub fn put(buf: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    let area = area.intersection(buf.area);
    if row < area.height && area.width > 0 {
        buf.set_line(area.x, area.y + row, line, area.width);
    }
}

/// Writes lines from the top of `area`.
pub fn put_all<'a>(buf: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = Line<'a>>) {
    for (row, line) in (0..area.height).zip(lines) {
        put(buf, area, row, &line);
    }
}

/// Draws a rule with a title over the top row and gives back what is below it.
pub fn panel(buf: &mut Buffer, area: Rect, title: &Line<'_>, theme: &Theme) -> Rect {
    let rule = |columns: usize| Span::styled("\u{2500}".repeat(columns), theme.rule);
    let mut spans = vec![rule(1), Span::raw(" ")];
    spans.extend(title.spans.iter().map(|s| s.clone().patch_style(title.style)));
    spans.push(Span::raw(" "));
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(rule(usize::from(area.width).saturating_sub(used)));
    put(buf, area, 0, &Line::from(spans));
    below(area, 1)
}

/// `area` without its first `rows` rows.
#[must_use]
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// Cuts the first `rows` rows off `rest` and gives them back.
pub fn take_rows(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let top = Rect { height: rows, ..*rest };
    *rest = below(*rest, rows);
    top
}

/// A part of a bar that is either shown whole or left out; parts of higher rank go first.
pub struct Part<'a> {
    pub rank: u8,
    pub spans: Vec<Span<'a>>,
}

impl<'a> Part<'a> {
    #[must_use]
    pub fn new(rank: u8, text: impl Into<String>, style: Style) -> Self {
        Self { rank, spans: vec![Span::styled(text.into(), style)] }
    }
    fn width(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }
}

/// The parts that fit into `columns` with `gap` blanks between them, in their order.
#[must_use]
pub fn whole_parts<'a>(mut parts: Vec<Part<'a>>, columns: usize, gap: usize) -> Vec<Span<'a>> {
    let total = |parts: &[Part<'_>]| parts.iter().map(Part::width).sum::<usize>() + gap * parts.len().saturating_sub(1);
    while parts.len() > 1 && total(&parts) > columns {
        let last = parts.iter().enumerate().max_by_key(|(i, p)| (p.rank, *i)).map_or(0, |(i, _)| i);
        parts.remove(last);
    }
    let mut spans = Vec::new();
    for part in parts {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(gap)));
        }
        spans.extend(part.spans);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_is_marked_and_wide_letters_count_twice() {
        assert_eq!(fit("forecast", 8), "forecast");
        assert_eq!(fit("forecast", 5), "fore…");
        assert_eq!(fit("币安人生", 5), "币安…");
        assert_eq!(right("12", 5), "   12");
        assert_eq!(left("币", 4), "币  ");
        assert_eq!(fit("a\nb", 9), "a b");
    }

    #[test]
    fn text_breaks_at_words_and_only_then_inside_them() {
        assert_eq!(wrap("edge is below the threshold", 12, 9), ["edge is", "below the", "threshold"]);
        assert_eq!(wrap("edge is below the threshold", 12, 2), ["edge is", "below the t…"]);
        assert_eq!(wrap("abcdefgh", 3, 9), ["abc", "def", "gh"]);
        assert!(wrap("words", 0, 3).is_empty() && wrap("", 5, 3).is_empty());
    }

    #[test]
    fn a_bar_drops_whole_parts_never_halves() {
        let style = Style::new();
        let parts = || vec![Part::new(0, "LIVE", style), Part::new(2, "long reason", style), Part::new(1, "12:00", style)];
        let text = |columns| whole_parts(parts(), columns, 1).iter().map(|s| s.content.to_string()).collect::<String>();
        assert_eq!(text(40), "LIVE long reason 12:00");
        assert_eq!(text(12), "LIVE 12:00");
        assert_eq!(text(6), "LIVE");
    }

    proptest! {
        #[test]
        fn nothing_is_ever_wider_than_asked(text in any::<String>(), columns in 0_usize..40, rows in 0_usize..5) {
            prop_assert!(width(&fit(&text, columns)) <= columns);
            prop_assert_eq!(width(&left(&text, columns)), columns);
            prop_assert_eq!(width(&right(&text, columns)), columns);
            let lines = wrap(&text, columns, rows);
            prop_assert!(lines.len() <= rows);
            // A letter wider than the column is written alone; the terminal cuts it.
            prop_assert!(lines.iter().all(|l| width(l) <= columns.max(2)));
        }
    }
}
