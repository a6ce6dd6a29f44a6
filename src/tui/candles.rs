//! Candles in half cells with a price axis, the last price, volumes below and times at the foot.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::format;
use super::text;
use super::theme::Theme;
use crate::domain::{Candle, Interval, Price};

/// What is drawn beside the candles themselves.
pub struct Plot<'a> {
    pub candles: &'a [Candle],
    pub last: Option<Price>,
    pub bar: Option<Interval>,
    pub decimals: u32,
    /// Levels of our own with their words: entry, stop, target.
    pub levels: Vec<(&'static str, Price)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Empty,
    Wick,
    Body,
}

const VOLUME_STEPS: [char; 8] = ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];

pub fn draw(plot: &Plot<'_>, theme: &Theme, area: Rect, buf: &mut Buffer) {
    if plot.candles.is_empty() {
        text::put(buf, area, 0, &Line::styled("no finished candle yet", theme.dim));
        return;
    }
    let axis_text = |p: Price| format::price(p, plot.decimals);
    let widest = plot.candles.iter().flat_map(|c| [c.high, c.low]).chain(plot.last).map(|p| axis_text(p).len()).max().unwrap_or(0) as u16;
    let axis = widest + 2;
    let chart_width = if area.width > axis + 12 { area.width - axis } else { area.width };
    let (volume_rows, time_rows) = match area.height {
        0..=6 => (0, 0),
        7..=11 => (1, 1),
        12..=24 => (3, 1),
        _ => (5, 1),
    };
    let mut rest = Rect { width: chart_width, ..area };
    let price_area = text::take_rows(&mut rest, area.height - volume_rows - time_rows);
    let volume_area = text::take_rows(&mut rest, volume_rows);
    let (stride, shown) = spacing(plot.candles, chart_width);
    let scale = Scale::over(shown, plot.last, price_area.height);
    // The newest candle stands beside the axis.
    let blank = chart_width - (shown.len() as u16 * stride).min(chart_width);
    let newest_right = |r: Rect| Rect { x: r.x + blank, width: r.width - blank, ..r };
    draw_last_line(plot.last, &scale, theme, price_area, buf);
    for (i, candle) in shown.iter().enumerate() {
        let x = i as u16 * stride;
        draw_candle(candle, &scale, stride, x, theme, newest_right(price_area), buf);
    }
    draw_volumes(shown, stride, theme, newest_right(volume_area), buf);
    draw_times(shown, stride, plot.bar, theme, newest_right(rest), buf);
    if chart_width < area.width {
        let side = Rect { x: area.x + chart_width, width: area.width - chart_width, height: price_area.height, ..area };
        draw_axis(plot, &scale, theme, side, price_area, buf);
    }
}

/// Columns a candle takes, and the newest candles that fit: wider only when at least sixty can still be seen.
fn spacing(candles: &[Candle], width: u16) -> (u16, &[Candle]) {
    let count = candles.len();
    let stride = match usize::from(width) {
        w if count * 4 <= w => 4,
        w if w / 2 >= count.min(60) => 2,
        _ => 1,
    };
    let fits = usize::from(width / stride);
    (stride, &candles[count - count.min(fits)..])
}

fn body_width(stride: u16) -> u16 {
    if stride == 4 { 3 } else { 1 }
}

/// Price to half-cell rows; halves of the range keep extremes finite.
struct Scale {
    low: f64,
    high: f64,
    halves: u16,
}

impl Scale {
    fn over(candles: &[Candle], last: Option<Price>, rows: u16) -> Self {
        let prices = || candles.iter().flat_map(|c| [c.high, c.low, c.open, c.close]).chain(last).map(|p| p.raw() as f64);
        let (low, high) = (prices().fold(f64::MAX, f64::min), prices().fold(f64::MIN, f64::max));
        let margin = if high > low { 0.0 } else { 1.0 };
        Self { low: low - margin, high: high + margin, halves: rows.saturating_mul(2) }
    }
    fn half(&self, price: Price) -> u16 {
        let part = (self.high - price.raw() as f64) / (self.high - self.low);
        (part.clamp(0.0, 1.0) * f64::from(self.halves.saturating_sub(1))).round() as u16
    }
    fn inside(&self, price: Price) -> bool {
        (self.low..=self.high).contains(&(price.raw() as f64))
    }
    /// The price in the middle of a row.
    fn price_at(&self, row: u16) -> Price {
        let part = (f64::from(row) * 2.0 + 0.5) / f64::from(self.halves.saturating_sub(1).max(1));
        Price::from_raw((self.high - part * (self.high - self.low)) as i64)
    }
}

fn draw_candle(candle: &Candle, scale: &Scale, stride: u16, x: u16, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let style = if candle.close >= candle.open { theme.up } else { theme.down };
    let wick = scale.half(candle.high)..=scale.half(candle.low);
    let trunk = scale.half(candle.open.max(candle.close))..=scale.half(candle.open.min(candle.close));
    let kind = |half: u16| match half {
        h if trunk.contains(&h) => Half::Body,
        h if wick.contains(&h) => Half::Wick,
        _ => Half::Empty,
    };
    let body = body_width(stride);
    for row in 0..area.height {
        let halves = (kind(row * 2), kind(row * 2 + 1));
        for column in 0..body {
            let middle = column == body / 2;
            if let Some(glyph) = glyph(halves, stride > 1, middle) {
                set(buf, area, x + column, row, glyph, style);
            }
        }
    }
}

/// Line glyphs for narrow candles, blocks for wide ones; the wick runs in the middle column.
fn glyph(halves: (Half, Half), wide: bool, middle: bool) -> Option<char> {
    use Half::{Body, Empty, Wick};
    if wide && (halves.0 == Body || halves.1 == Body) {
        return Some(match halves {
            (Body, Body) => '\u{2588}',
            (Body, _) => '\u{2580}',
            _ => '\u{2584}',
        });
    }
    if !middle {
        return None;
    }
    Some(match halves {
        (Empty, Empty) => return None,
        (Wick, Wick) => '\u{2502}',
        (Wick, Empty) => '\u{2575}',
        (Empty, Wick) => '\u{2577}',
        (Body, Body) => '\u{2503}',
        (Body, Empty) => '\u{2579}',
        (Empty, Body) => '\u{257b}',
        (Wick, Body) => '\u{257d}',
        (Body, Wick) => '\u{257f}',
    })
}

fn draw_last_line(last: Option<Price>, scale: &Scale, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let Some(last) = last else { return };
    let row = scale.half(last) / 2;
    for x in 0..area.width {
        set(buf, area, x, row, '\u{254c}', theme.rule);
    }
}

fn draw_volumes(candles: &[Candle], stride: u16, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let most = candles.iter().map(|c| c.volume.to_f64()).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    for (i, candle) in candles.iter().enumerate() {
        let style = if candle.close >= candle.open { theme.up_area } else { theme.down_area };
        let part = (candle.volume.to_f64() / most).clamp(0.0, 1.0);
        let eighths = (part * f64::from(area.height) * 8.0).ceil() as u16;
        for row in 0..area.height {
            let filled = eighths.saturating_sub((area.height - 1 - row) * 8).min(8);
            if filled > 0 {
                for column in 0..body_width(stride) {
                    set(buf, area, i as u16 * stride + column, row, VOLUME_STEPS[usize::from(filled) - 1], style);
                }
            }
        }
    }
}

fn draw_times(candles: &[Candle], stride: u16, bar: Option<Interval>, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let length = match bar.map(Interval::secs) {
        Some(secs) if secs < 60 => 8,
        Some(secs) if secs >= 86_400 => 10,
        _ => 5,
    };
    let every = (length as u16 + 6).div_ceil(stride).max(1);
    for (i, candle) in candles.iter().enumerate().step_by(usize::from(every)) {
        let label =
            if length == 10 { format::date(candle.open_time) } else { format::clock(candle.open_time).chars().take(length).collect() };
        let x = i as u16 * stride;
        if x + length as u16 <= area.width {
            let place = Rect { x: area.x + x, width: area.width - x, ..area };
            text::put(buf, place, 0, &Line::styled(label, theme.dim));
        }
    }
}

fn draw_axis(plot: &Plot<'_>, scale: &Scale, theme: &Theme, side: Rect, chart: Rect, buf: &mut Buffer) {
    let width = usize::from(side.width);
    let label = |p: Price| text::right(&format::price(p, plot.decimals), width);
    let shown = plot.levels.iter().map(|l| l.1).filter(|p| scale.inside(*p)).chain(plot.last);
    let taken: Vec<u16> = shown.map(|p| scale.half(p) / 2).collect();
    for row in (0..side.height).step_by(3).filter(|r| !taken.contains(r)) {
        text::put(buf, side, row, &Line::styled(label(scale.price_at(row)), theme.dim));
    }
    let last_row = plot.last.map(|p| scale.half(p) / 2);
    for (word, price) in plot.levels.iter().filter(|(_, p)| scale.inside(*p)) {
        let row = scale.half(*price) / 2;
        if last_row == Some(row) {
            continue;
        }
        text::put(buf, side, row, &Line::styled(label(*price), theme.accent));
        // The word stands at the old end of the chart, where it hides the least.
        let room = text::width(word) as u16 + 1;
        if chart.width > room * 4 {
            let place = Rect { width: room, ..chart };
            text::put(buf, place, row, &Line::styled(format!("{word} "), theme.accent));
        }
    }
    if let Some(last) = plot.last {
        let text_now = format!("\u{25c2}{}", text::right(&format::price(last, plot.decimals), width.saturating_sub(1)));
        text::put(buf, side, scale.half(last) / 2, &Line::styled(text_now, theme.strong));
    }
}

fn set(buf: &mut Buffer, area: Rect, x: u16, row: u16, glyph: char, style: Style) {
    if x < area.width
        && row < area.height
        && let Some(cell) = buf.cell_mut((area.x + x, area.y + row))
    {
        cell.set_char(glyph).set_style(style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Qty, Timestamp};

    fn candle(open: i64, high: i64, low: i64, close: i64) -> Candle {
        let price = |n: i64| Price::from_raw(n * 100_000_000);
        Candle {
            open_time: Timestamp::EPOCH,
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: Qty::from_raw(1),
            taker_buy_volume: None,
            trades: 1,
        }
    }

    #[test]
    fn body_and_wicks_fall_on_their_halves() {
        let candles = [candle(3, 7, 0, 5); 36];
        let area = Rect::new(0, 0, 40, 4);
        let mut buf = Buffer::empty(area);
        let plot = Plot { candles: &candles, last: None, bar: None, decimals: 0, levels: Vec::new() };
        draw(&plot, &Theme::new(false), area, &mut buf);
        let column: String = (0..4).map(|y| buf[(36, y)].symbol().to_owned()).collect();
        // Halves from the top: 7 6 | 5 4 | 3 2 | 1 0.
        assert_eq!(column, "│┃╿│");
    }

    #[test]
    fn a_flat_market_is_drawn_in_the_middle() {
        let candles = [candle(5, 5, 5, 5)];
        let area = Rect::new(0, 0, 20, 5);
        let mut buf = Buffer::empty(area);
        draw(&Plot { candles: &candles, last: None, bar: None, decimals: 0, levels: Vec::new() }, &Theme::new(false), area, &mut buf);
        assert!((0..16).any(|x| buf[(x, 2)].symbol() != " "));
        assert!((0..16).all(|x| buf[(x, 0)].symbol() == " "));
    }
}
