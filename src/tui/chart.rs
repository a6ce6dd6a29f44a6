//! A line chart in braille dots: two columns and four rows of dots a cell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::format;
use super::text;
use super::theme::Theme;
use crate::domain::Timestamp;

/// Bit of a braille glyph by (column, row) of its dot; Unicode block U+2800.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Draws `points` (time, value), oldest first, with the extremes at the right and `base` as a dotted level.
pub fn equity(points: &[(Timestamp, f64)], base: Option<f64>, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let points: Vec<(i64, f64)> = points.iter().filter(|p| p.1.is_finite()).map(|p| (p.0.nanos(), p.1)).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        text::put(buf, area, 0, &Line::styled("drawn as soon as the account is known", theme.dim));
        return;
    };
    if area.height == 0 {
        return;
    }
    let base = base.filter(|b| b.is_finite());
    let values = || points.iter().map(|p| p.1).chain(base);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    let labels = [scale_label(high), scale_label(low)];
    let axis = labels.iter().map(|l| text::width(l)).max().unwrap_or(0) as u16 + 1;
    let plot = if area.width > axis + 8 { Rect { width: area.width - axis, ..area } } else { area };
    let mut dots = Dots::new(plot);
    let place = Placement { t0: first.0, t1: last.0, low, high, columns: dots.columns, rows: dots.rows };
    if let Some(base) = base {
        let y = place.y(base);
        (0..dots.columns).step_by(4).for_each(|x| dots.set(x, y));
        dots.paint(theme.rule, buf);
        dots.clear();
    }
    let mut from = (place.x(first.0), place.y(first.1));
    for point in &points {
        let to = (place.x(point.0), place.y(point.1));
        dots.line(from, to);
        from = to;
    }
    let direction = last.1.total_cmp(&base.unwrap_or(first.1));
    dots.paint(theme.signed(direction), buf);
    if plot.width < area.width {
        let side = Rect { x: plot.right(), width: area.width - plot.width, ..area };
        let width = usize::from(side.width);
        text::put(buf, side, 0, &Line::styled(text::right(&labels[0], width), theme.dim));
        if side.height > 1 {
            text::put(buf, side, side.height - 1, &Line::styled(text::right(&labels[1], width), theme.dim));
        }
    }
}

/// A level with two decimals, or with an exponent when it is astronomically large.
fn scale_label(value: f64) -> String {
    if value.abs() < 1e12 { format::decimal((value * 100.0).round() as i128, 2, 2, false) } else { format!("{value:.1e}") }
}

/// How much time the line covers, for its title.
#[must_use]
pub fn covered(points: &[(Timestamp, f64)]) -> Option<String> {
    let (first, last) = (points.first()?, points.last()?);
    Some(format::age(last.0.since(first.0)))
}

/// Where values lie on the dot grid. Halves keep the differences of extreme values finite.
struct Placement {
    t0: i64,
    t1: i64,
    low: f64,
    high: f64,
    columns: usize,
    rows: usize,
}

impl Placement {
    fn x(&self, t: i64) -> usize {
        let span = (i128::from(self.t1) - i128::from(self.t0)).max(1) as f64;
        let part = (i128::from(t) - i128::from(self.t0)) as f64 / span;
        scaled(part, self.columns)
    }
    fn y(&self, value: f64) -> usize {
        let span = self.high / 2.0 - self.low / 2.0;
        let part = if span > 0.0 { (value / 2.0 - self.low / 2.0) / span } else { 0.5 };
        self.rows.saturating_sub(1) - scaled(part, self.rows).min(self.rows.saturating_sub(1))
    }
}

fn scaled(part: f64, cells: usize) -> usize {
    let last = cells.saturating_sub(1);
    ((part.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)
}

struct Dots {
    area: Rect,
    columns: usize,
    rows: usize,
    cells: Vec<u8>,
}

impl Dots {
    fn new(area: Rect) -> Self {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        Self { area, columns: width * 2, rows: height * 4, cells: vec![0; width * height] }
    }

    fn clear(&mut self) {
        self.cells.fill(0);
    }

    fn set(&mut self, x: usize, y: usize) {
        let index = y / 4 * usize::from(self.area.width) + x / 2;
        if let Some(cell) = self.cells.get_mut(index).filter(|_| x < self.columns) {
            *cell |= DOTS[x % 2][y % 4];
        }
    }

    /// A straight run of dots, both ends included.
    fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            let (a, b, step, steps) = (a as i64, b as i64, step as i64, steps as i64);
            (a + ((b - a) * step * 2 + (b - a).signum() * steps) / (steps * 2)) as usize
        };
        for step in 0..=steps {
            self.set(between(from.0, to.0, step), between(from.1, to.1, step));
        }
    }

    fn paint(&self, style: Style, buf: &mut Buffer) {
        let width = usize::from(self.area.width).max(1);
        for (i, bits) in self.cells.iter().enumerate().filter(|(_, b)| **b != 0) {
            let at = (self.area.x + (i % width) as u16, self.area.y + (i / width) as u16);
            if let (Some(cell), Some(glyph)) = (buf.cell_mut(at), char::from_u32(0x2800 + u32::from(*bits))) {
                cell.set_char(glyph).set_style(style);
            }
        }
    }
}

/// A gauge of `width` cells in eighths of a cell; `part` from 0 to 1.
#[must_use]
pub fn bar(part: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '\u{258f}', '\u{258e}', '\u{258d}', '\u{258c}', '\u{258b}', '\u{258a}', '\u{2589}'];
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (part * (width * 8) as f64).round() as usize;
    let mut text = "\u{2588}".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        text.push(EIGHTHS[eighths % 8]);
    }
    text
}

/// A part of a whole in whole percent, rounded down so that only the end reads 100; empty without a whole.
#[must_use]
pub fn part_percent(done: u64, total: u64) -> String {
    if total == 0 {
        return String::new();
    }
    format!("{} %", u128::from(done.min(total)) * 100 / u128::from(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[f64], width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        let points: Vec<_> = values.iter().enumerate().map(|(i, v)| (Timestamp::from_millis(i as i64), *v)).collect();
        equity(&points, None, &Theme::new(false), area, &mut buf);
        super::super::buffer_text(&buf).lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_rising_line_runs_from_the_lower_left_to_the_upper_right() {
        assert_eq!(drawn(&[1.0, 2.0], 4, 1), ["\u{28c0}\u{2824}\u{2812}\u{2809}"]);
        assert_eq!(drawn(&[5.0, 5.0], 2, 1).len(), 1);
    }

    #[test]
    fn extreme_values_stay_inside() {
        let lines = drawn(&[f64::MIN, f64::MAX, 0.0, f64::INFINITY], 40, 6);
        assert!(lines.len() <= 6 && lines.iter().all(|l| text::width(l) <= 40));
    }

    #[test]
    fn a_gauge_is_exact_to_an_eighth() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.0 / 32.0, 4), "▏");
        assert_eq!((bar(7.0, 2), bar(-1.0, 2), bar(f64::NAN, 2)), ("██".into(), String::new(), String::new()));
        assert_eq!(part_percent(1, 3), "33 %");
        assert_eq!((part_percent(5, 5), part_percent(0, 0)), ("100 %".into(), String::new()));
    }
}
