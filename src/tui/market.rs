//! The second screen: one symbol's candles, volumes and order book.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Scene;
use super::candles::{self, Plot};
use super::{format, ladder, lists, text};
use crate::domain::Bps;
use crate::protocol::SymbolView;

pub fn draw(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let Some(index) = scene.state.symbol_index(scene.view) else {
        text::put(buf, area, 1, &Line::styled(" No market yet: symbols appear once the connection stands.", theme.dim));
        return;
    };
    let symbol = &scene.view.symbols[index];
    let decimals = lists::decimals(scene.view, symbol.symbol);
    let mut rest = area;
    let head = text::take_rows(&mut rest, 2);
    text::put(buf, head, 0, &headline(scene, symbol, index, decimals, usize::from(head.width)));
    text::put(buf, head, 1, &facts(scene, symbol, decimals, usize::from(head.width)));
    let book_width = match rest.width {
        0..=59 => 0,
        60..=99 => 30,
        w => (w / 3).min(56),
    };
    if book_width > 0 {
        let book = Rect { x: rest.right() - book_width, width: book_width, ..rest };
        rest.width -= book_width + 1;
        let inner = text::panel(buf, book, &Line::styled("Order book", theme.strong), theme);
        ladder::draw(symbol, &scene.view.orders, decimals, theme, inner, buf);
    }
    let bar = scene.view.bar.map_or_else(|| "Candles".to_owned(), |b| format!("Candles, {b}"));
    let inner = text::panel(buf, rest, &Line::styled(bar, theme.strong), theme);
    let held = scene.view.positions.iter().find(|p| p.symbol == symbol.symbol);
    let levels = held.map(|p| [("entry", Some(p.entry_price)), ("stop", p.stop), ("target", p.target)]).into_iter().flatten();
    let plot = Plot {
        candles: &symbol.candles,
        last: symbol.last,
        bar: scene.view.bar,
        decimals,
        levels: levels.filter_map(|(word, price)| Some((word, price?))).collect(),
    };
    candles::draw(&plot, theme, inner, buf);
}

fn headline(scene: &Scene<'_>, symbol: &SymbolView, index: usize, decimals: u32, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let price = |p: Option<crate::domain::Price>| p.map_or_else(|| format::UNKNOWN.to_owned(), |v| format::price(v, decimals));
    let several = scene.view.symbols.len() > 1;
    let name = text::clean(symbol.symbol.as_str());
    let name = if several { format!(" \u{25c2} {name} \u{25b8} ") } else { format!(" {name} ") };
    let mut parts = vec![text::Part::new(0, name, theme.accent.patch(theme.strong)), text::Part::new(1, price(symbol.last), theme.strong)];
    if let Some(change) = symbol.change_bps {
        let mark = match change.cmp(&Bps::ZERO) {
            std::cmp::Ordering::Greater => "\u{25b2} ",
            std::cmp::Ordering::Less => "\u{25bc} ",
            std::cmp::Ordering::Equal => "",
        };
        parts.push(text::Part::new(2, format!("{mark}{}", format::percent(change, true)), theme.signed(change.cmp(&Bps::ZERO))));
    }
    let mut quote = labelled(4, "bid", price(symbol.bid), theme);
    quote.spans.extend(labelled(4, "  ask", price(symbol.ask), theme).spans);
    parts.push(quote);
    let spread = symbol.spread.map_or_else(|| format::UNKNOWN.to_owned(), format::spread);
    parts.push(labelled(3, "spread", spread, theme));
    if several {
        parts.push(text::Part::new(5, format!("{} of {}", index + 1, scene.view.symbols.len()), theme.dim));
    }
    Line::from(text::whole_parts(parts, width, 2))
}

fn facts(scene: &Scene<'_>, symbol: &SymbolView, decimals: u32, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let mut parts = vec![
        labelled(1, " regime", symbol.regime.to_string(), theme),
        labelled(0, "feed age", symbol.feed_age.map_or_else(|| "none yet".to_owned(), format::age), theme),
        labelled(3, "gaps", format::count(symbol.gaps), theme),
    ];
    if !symbol.book_valid {
        parts.push(text::Part::new(2, "book not valid", theme.warn));
    }
    if let Some(held) = scene.view.positions.iter().find(|p| p.symbol == symbol.symbol) {
        let words = format!("{} at {}", format::qty(held.qty), format::price(held.entry_price, decimals));
        parts.push(labelled(5, "held", words, theme));
        if let Some(result) = held.unrealised {
            parts.push(text::Part::new(4, format::pnl(result), theme.signed(result.raw().cmp(&0))));
        }
    }
    Line::from(text::whole_parts(parts, width, 3))
}

fn labelled(rank: u8, label: &str, value: String, theme: &super::theme::Theme) -> text::Part<'static> {
    text::Part { rank, spans: vec![Span::styled(format!("{label} "), theme.dim), Span::styled(value, theme.plain)] }
}
