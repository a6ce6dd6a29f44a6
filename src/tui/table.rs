//! Tables that drop whole columns when the room is narrow, so that no number is ever cut in the middle.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A column: columns of higher rank are dropped first; rank 0 stays.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub align: Align,
    pub rank: u8,
}

pub type Cell = (String, Style);

/// A header line and one line a row, at most `rows` of them; the last says how many are left out. `data` rows match `columns`.
#[must_use]
pub fn lines(columns: &[Column], data: &[Vec<Cell>], width: u16, rows: usize, theme: &Theme) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let shown = if data.len() > rows { rows.saturating_sub(1) } else { data.len() };
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| data.iter().filter_map(|r| r.get(i)).map(|(t, _)| text::width(t)).max().unwrap_or(0).max(c.title.len()))
        .collect();
    let (kept, gap) = fitting(columns, &widths, width);
    let compose = |cell: &dyn Fn(usize) -> Cell| {
        let mut spans = Vec::with_capacity(kept.len() * 2);
        for (position, &i) in kept.iter().enumerate() {
            if position > 0 {
                spans.push(Span::raw(" ".repeat(gap)));
            }
            let (content, style) = cell(i);
            let room = widths[i].min(width);
            let padded = match columns[i].align {
                Align::Left => text::left(&content, room),
                Align::Right => text::right(&content, room),
            };
            spans.push(Span::styled(padded, style));
        }
        Line::from(spans)
    };
    let mut out = vec![compose(&|i| (columns[i].title.to_owned(), theme.dim))];
    out.extend(data.iter().take(shown).map(|row| compose(&|i| row.get(i).cloned().unwrap_or_default())));
    if shown < data.len() && rows > 0 {
        out.push(Line::styled(format!("\u{2026} and {} more", data.len() - shown), theme.dim));
    }
    out
}

/// Which columns fit, and with how many blanks between them.
fn fitting(columns: &[Column], widths: &[usize], width: usize) -> (Vec<usize>, usize) {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    loop {
        let total: usize = kept.iter().map(|&i| widths[i]).sum();
        let gaps = kept.len().saturating_sub(1);
        if let Some(gap) = [3, 2, 1].into_iter().find(|gap| total + gap * gaps <= width) {
            return (kept, gap);
        }
        let Some(worst) = kept.iter().copied().max_by_key(|&i| (columns[i].rank, i)).filter(|_| kept.len() > 1) else {
            return (kept, 1);
        };
        kept.retain(|&i| i != worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column { title: "Symbol", align: Align::Left, rank: 0 },
        Column { title: "Price", align: Align::Right, rank: 1 },
        Column { title: "Held", align: Align::Right, rank: 2 },
    ];

    fn drawn(width: u16, rows: usize) -> Vec<String> {
        let cell = |t: &str| (t.to_owned(), Style::new());
        let data: Vec<_> = ["61,837.63", "5.1", "7"].iter().map(|p| vec![cell("BTC"), cell(p), cell("3m 05s")]).collect();
        lines(&COLUMNS, &data, width, rows, &Theme::new(false)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_stand_at_the_right_and_the_rest_is_counted() {
        assert_eq!(drawn(40, 2), ["Symbol       Price     Held", "BTC      61,837.63   3m 05s", "… and 2 more"]);
    }

    #[test]
    fn a_narrow_table_loses_columns_not_digits() {
        assert_eq!(drawn(18, 9)[1], "BTC      61,837.63");
        assert_eq!(drawn(12, 9)[1], "BTC   ");
    }
}
