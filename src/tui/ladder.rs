//! The order book as a ladder: asks above, bids below, the spread between them, depth as bars, our own orders marked.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::chart;
use super::format;
use super::text;
use super::theme::Theme;
use crate::domain::{Level, Price, Side};
use crate::protocol::{OrderView, SymbolView};

pub fn draw(symbol: &SymbolView, orders: &[OrderView], decimals: u32, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let (asks, bids) = (&symbol.book.asks, &symbol.book.bids);
    if asks.is_empty() && bids.is_empty() {
        text::put(buf, area, 0, &Line::styled("no book yet", theme.dim));
        return;
    }
    let rows = usize::from(area.height.saturating_sub(1));
    let above = asks.len().min(rows / 2);
    let below = bids.len().min(rows - above);
    let above = asks.len().min(rows - below);
    let shown = || asks[..above].iter().chain(&bids[..below]);
    let qty_decimals = format::natural_qty_decimals(shown().map(|l| l.qty));
    let ladder = Ladder {
        decimals,
        theme,
        price_width: shown().map(|l| format::price(l.price, decimals).len()).max().unwrap_or(0),
        qty_decimals,
        qty_width: shown().map(|l| format::qty_at(l.qty, qty_decimals).len()).max().unwrap_or(0),
        most: shown().map(|l| l.qty.to_f64()).fold(0.0, f64::max),
        width: usize::from(area.width),
        own: orders.iter().filter(|o| o.symbol == symbol.symbol).filter_map(|o| Some((o.side, o.price?))).collect(),
    };
    let mut lines: Vec<Line<'_>> = asks[..above].iter().rev().map(|l| ladder.line(l, Side::Sell, theme.down)).collect();
    lines.push(spread(symbol, theme, ladder.width));
    lines.extend(bids[..below].iter().map(|l| ladder.line(l, Side::Buy, theme.up)));
    text::put_all(buf, area, lines);
}

fn spread(symbol: &SymbolView, theme: &Theme, width: usize) -> Line<'static> {
    let words = match (symbol.book_valid, symbol.spread) {
        (false, _) => "book not valid".to_owned(),
        (true, Some(rate)) => format!("spread {}", format::spread(rate)),
        (true, None) => "spread unknown".to_owned(),
    };
    let words = format!("\u{2500}\u{2500} {words} ");
    let tail = "\u{2500}".repeat(width.saturating_sub(text::width(&words)));
    Line::styled(text::fit(&(words + &tail), width), if symbol.book_valid { theme.dim } else { theme.warn })
}

struct Ladder<'a> {
    decimals: u32,
    theme: &'a Theme,
    price_width: usize,
    qty_decimals: u32,
    qty_width: usize,
    most: f64,
    width: usize,
    own: Vec<(Side, Price)>,
}

impl Ladder<'_> {
    /// `>` where an order of ours rests, price, quantity, depth.
    fn line(&self, level: &Level, side: Side, style: Style) -> Line<'static> {
        let ours = self.own.contains(&(side, level.price));
        let mark = Span::styled(if ours { "\u{25b8}" } else { " " }, self.theme.accent);
        let price = Span::styled(text::right(&format::price(level.price, self.decimals), self.price_width), style);
        let qty = text::right(&format::qty_at(level.qty, self.qty_decimals), self.qty_width);
        let used = 1 + self.price_width + 2 + self.qty_width;
        if used > self.width {
            return Line::from(vec![mark, price]);
        }
        let room = self.width.saturating_sub(used + 1);
        let area = if side == Side::Buy { self.theme.up_area } else { self.theme.down_area };
        let bar = if self.most > 0.0 { chart::bar(level.qty.to_f64() / self.most, room) } else { String::new() };
        Line::from(vec![mark, price, Span::raw("  "), Span::raw(qty), Span::raw(" "), Span::styled(bar, area)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_spread_stands_between_asks_and_bids_and_our_order_is_marked() {
        let mut view = fixture::trading();
        view.orders[0].price = Some("2501.1".parse().unwrap());
        let area = Rect::new(0, 0, 34, 5);
        let mut buf = Buffer::empty(area);
        draw(&view.symbols[1], &view.orders, 2, &Theme::new(false), area, &mut buf);
        let expected = [
            " 2,501.19  0.9 \u{2588}",
            " 2,501.13  0.4 \u{2588}",
            "\u{2500}\u{2500} spread 0.02 bps \u{2500}",
            " 2,501.12  1.2 \u{2588}",
            "\u{25b8}2,501.10  0.7 \u{2588}",
        ];
        let text = super::super::buffer_text(&buf);
        for (line, start) in text.lines().zip(expected) {
            assert!(line.starts_with(start), "{line:?} does not start with {start:?}");
        }
    }
}
