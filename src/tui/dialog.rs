//! Questions before deeds: each dialog says in numbers what will happen; every one closes with Esc.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Widget};

use super::Scene;
use super::format;
use super::keymap::{Chord, KEYMAP};
use super::state::Outcome;
use super::text;
use super::theme::Theme;
use crate::protocol::{BalanceMismatch, Command, Mode, TradingState, View};

/// The word that closes real positions.
const WORD: &str = "FLATTEN";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    Help,
    Halt,
    Resume,
    Flatten { typed: String },
    Quit,
}

/// What a key means to an open dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Open,
    Close,
    Confirm(Outcome),
}

impl Dialog {
    pub fn on_key(&mut self, chord: Chord, view: &View) -> Answer {
        let outcome = match self {
            Self::Help => {
                let closes = matches!(chord.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?' | 'q' | 'n'));
                return if closes { Answer::Close } else { Answer::Open };
            }
            Self::Flatten { typed } if view.mode == Mode::Live => return type_word(typed, chord),
            Self::Halt => Outcome::Send(Command::Halt),
            Self::Resume => Outcome::Send(Command::Resume),
            Self::Flatten { .. } => Outcome::Send(Command::Flatten),
            Self::Quit if chord.control && chord.code == KeyCode::Char('c') => return Answer::Confirm(Outcome::Quit),
            Self::Quit => Outcome::Quit,
        };
        match chord.code {
            KeyCode::Char('y' | 'Y') if !chord.control => Answer::Confirm(outcome),
            KeyCode::Esc | KeyCode::Char('n' | 'N') => Answer::Close,
            _ => Answer::Open,
        }
    }
}

fn type_word(typed: &mut String, chord: Chord) -> Answer {
    match chord.code {
        KeyCode::Esc => return Answer::Close,
        KeyCode::Enter if typed == WORD => return Answer::Confirm(Outcome::Send(Command::Flatten)),
        KeyCode::Backspace => {
            typed.pop();
        }
        KeyCode::Char(c) if !chord.control && typed.chars().count() < WORD.len() => typed.push(c),
        _ => {}
    }
    Answer::Open
}

/// Draws the open dialog in the middle of `area`.
pub fn draw(dialog: &Dialog, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, view) = (scene.theme, scene.view);
    let inner_width = usize::from(area.width.saturating_sub(8).min(64));
    let (title, mut lines) = match dialog {
        Dialog::Help => ("Keys", help(scene, inner_width)),
        Dialog::Halt => ("Halt trading?", sentences(&halt(view), inner_width)),
        Dialog::Resume => ("Resume trading?", sentences(&resume(view), inner_width)),
        Dialog::Flatten { .. } => ("Close every position?", sentences(&flatten(view), inner_width)),
        Dialog::Quit => ("Leave Huracan?", sentences(&quit(view), inner_width)),
    };
    if *dialog != Dialog::Help {
        if view.mode == Mode::Live {
            lines.insert(0, Line::styled("REAL MONEY", theme.danger));
        }
        if let Some(age) = scene.stale {
            let text = format!("This picture is {} s old: the numbers may have changed.", age.as_secs());
            lines.extend(text::wrap(&text, inner_width, 2).into_iter().map(|l| Line::styled(l, theme.warn)));
        }
        lines.push(Line::default());
    }
    lines.push(question(dialog, view, theme));
    let border = if view.mode == Mode::Live && *dialog != Dialog::Help { theme.danger } else { theme.accent };
    show_box(title, &lines, border, theme, area, buf);
}

fn show_box(title: &str, lines: &[Line<'_>], border: Style, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let content = lines.iter().map(Line::width).max().unwrap_or(0).max(title.len());
    let width = u16::try_from(content + 6).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines.len() + 4).unwrap_or(u16::MAX).min(area.height);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, buf);
    // On a tiny terminal the words matter more than the frame.
    if height < 5 || width < 12 {
        text::put_all(buf, place, lines.iter().rev().take(usize::from(height)).rev().cloned());
        return;
    }
    let tall = usize::from(height) >= lines.len() + 4;
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(border)
        .title(Line::styled(format!(" {title} "), theme.strong))
        .padding(if tall { Padding::symmetric(2, 1) } else { Padding::horizontal(2) });
    let inner = block.inner(place);
    block.render(place, buf);
    // The last line is the question: it is shown even when the rest is cut.
    let room = usize::from(inner.height);
    let head = lines.len().min(room).saturating_sub(1);
    text::put_all(buf, inner, lines[..head].iter().chain(lines.last()).cloned());
}

fn question(dialog: &Dialog, view: &View, theme: &Theme) -> Line<'static> {
    let key = |k: &str| Span::styled(k.to_owned(), theme.accent.patch(theme.strong));
    let say = |t: &str| Span::styled(t.to_owned(), theme.dim);
    match dialog {
        Dialog::Help => Line::from(vec![key("Esc"), say(" close")]),
        Dialog::Flatten { typed } if view.mode == Mode::Live => Line::from(vec![
            say("type "),
            Span::styled(WORD, theme.strong),
            say(" and Enter: "),
            Span::styled(format!("{typed}_"), theme.danger),
            say("   "),
            key("Esc"),
            say(" keep"),
        ]),
        _ => Line::from(vec![key("y"), say(" yes    "), key("n"), say(" no    "), key("Esc"), say(" close")]),
    }
}

fn sentences(parts: &[String], width: usize) -> Vec<Line<'static>> {
    parts.iter().flat_map(|p| text::wrap(p, width, 3)).map(Line::from).collect()
}

fn entries(view: &View) -> usize {
    view.orders.iter().filter(|o| o.purpose == "entry").count()
}

fn exits(view: &View) -> usize {
    view.orders.len() - entries(view)
}

fn positions(n: usize) -> String {
    format::counted(n, "open position", "open positions")
}

fn orders(n: usize, kind: &str) -> String {
    format::counted(n, &format!("working {kind} order"), &format!("working {kind} orders"))
}

fn halt(view: &View) -> Vec<String> {
    let mut out = vec!["Nothing new is opened until you resume.".to_owned()];
    out.push(match entries(view) {
        0 => "No entry order is working: nothing to cancel.".to_owned(),
        n => format!("Cancels {}.", orders(n, "entry")),
    });
    out.push(match view.positions.len() {
        0 => "No position is open.".to_owned(),
        n => format!("Keeps {} with stops and {}.", positions(n), orders(exits(view), "exit")),
    });
    if let TradingState::Halted { reason } = &view.trading {
        out.push(format!("It is halted already: {reason}."));
    }
    out
}

fn resume(view: &View) -> Vec<String> {
    let mut out = Vec::new();
    match &view.trading {
        TradingState::Halted { reason } => out.push(format!("Halted because: {reason}.")),
        _ => out.push("Trading is not halted: nothing changes now.".to_owned()),
    }
    out.extend(view.mismatches.iter().map(accepted));
    if !view.mismatches.is_empty() {
        out.push(match view.orders.len() {
            0 => "What moved from outside is neither profit nor loss.".to_owned(),
            n => format!("Not while {} working: their fills may explain it. Flatten first.", are(n)),
        });
    }
    out.push("New positions may be opened again; safety stops that held are re-armed.".to_owned());
    out.push(format!(
        "Now: {}, {}.",
        positions(view.positions.len()),
        format::counted(view.orders.len(), "working order", "working orders")
    ));
    out
}

/// What resuming does to the books of one asset.
fn accepted(m: &BalanceMismatch) -> String {
    let moved = if m.venue > m.books {
        format!("{} more", format::qty(m.venue - m.books))
    } else {
        format!("{} less", format::qty(m.books - m.venue))
    };
    format!("Accepts {moved} {} as moved from outside: {} there, {} here.", m.asset, format::qty(m.venue), format::qty(m.books))
}

fn are(orders: usize) -> String {
    format!("{} {}", format::counted(orders, "order", "orders"), if orders == 1 { "is" } else { "are" })
}

fn flatten(view: &View) -> Vec<String> {
    let mut out = vec!["Halts, then closes every position at the market.".to_owned()];
    out.push(format!("Closes {}; cancels {}.", positions(view.positions.len()), orders(entries(view), "entry")));
    for position in view.positions.iter().take(4) {
        let result = position.unrealised.map_or_else(|| "result unknown".to_owned(), |m| format!("{} unrealised", format::pnl(m)));
        out.push(format!("  {} {}  {result}", position.symbol, format::qty(position.qty)));
    }
    if view.positions.len() > 4 {
        out.push(format!("  \u{2026} and {} more", view.positions.len() - 4));
    }
    out.push("A market order pays the spread and the taker fee.".to_owned());
    out
}

fn quit(view: &View) -> Vec<String> {
    let mut out = vec!["The engine stops with this screen.".to_owned()];
    if entries(view) > 0 {
        out.push(format!("Cancels {}.", orders(entries(view), "entry")));
    }
    match view.positions.len() {
        0 => out.push("No position is open.".to_owned()),
        n => {
            out.push(format!("Leaves {} with {} at the venue.", positions(n), orders(exits(view), "exit")));
            if view.exposed.now.is_positive() {
                out.push(format!("{} of it has no stop there at this moment.", format::money(view.exposed.now)));
            }
            out.push(match view.mode {
                Mode::Live => "Their stops go on there. Hold and loss limits are not watched while Huracan is off.".to_owned(),
                Mode::Demo | Mode::Paper | Mode::Backtest => "Nothing of it is watched once the simulated exchange ends.".to_owned(),
            });
            out.push("To close first: n, then f.".to_owned());
        }
    }
    out
}

fn help(scene: &Scene<'_>, width: usize) -> Vec<Line<'static>> {
    let label_width = KEYMAP.iter().map(|b| text::width(b.label)).max().unwrap_or(0) + 2;
    let mut lines = Vec::new();
    for binding in KEYMAP.iter().filter(|b| b.works_on(scene.state.screen)) {
        lines.push(Line::from(vec![
            Span::styled(text::left(binding.label, label_width), scene.theme.accent),
            Span::raw(text::fit(binding.help, width.saturating_sub(label_width))),
        ]));
    }
    lines.push(Line::default());
    lines
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_dialogs_count_orders_and_positions() {
        let view = fixture::trading();
        assert_eq!(halt(&view)[1], "Cancels 1 working entry order.");
        assert_eq!(halt(&view)[2], "Keeps 1 open position with stops and 1 working exit order.");
        assert_eq!(flatten(&view)[1], "Closes 1 open position; cancels 1 working entry order.");
        assert_eq!(flatten(&view)[2], "  BTCUSDT 0.00162  +1.23 unrealised");
        let calm = View::default();
        assert_eq!(halt(&calm)[1..], ["No entry order is working: nothing to cancel.", "No position is open."]);
        assert_eq!(resume(&calm)[0], "Trading is not halted: nothing changes now.");
        assert_eq!(quit(&calm)[1..], ["No position is open."]);
    }

    #[test]
    fn leaving_says_what_goes_on_without_huracan_and_what_does_not() {
        let mut view = View { mode: Mode::Live, ..fixture::trading() };
        view.exposed.now = "12.5".parse().unwrap();
        assert_eq!(
            quit(&view)[1..],
            [
                "Cancels 1 working entry order.",
                "Leaves 1 open position with 1 working exit order at the venue.",
                "12.50 of it has no stop there at this moment.",
                "Their stops go on there. Hold and loss limits are not watched while Huracan is off.",
                "To close first: n, then f.",
            ]
        );
    }

    #[test]
    fn resuming_says_in_numbers_which_balances_it_accepts() {
        let mismatch = |asset: &str, venue: &str, books: &str| BalanceMismatch {
            asset: asset.parse().unwrap(),
            venue: venue.parse().unwrap(),
            books: books.parse().unwrap(),
        };
        let trading = TradingState::Halted { reason: "the venue's balance of BTC is 0.3, the books say 0.25".into() };
        let mismatches = vec![mismatch("BTC", "0.3", "0.25"), mismatch("USDT", "9999.5", "10000")];
        let mut view = View { trading, mismatches, ..View::default() };
        let said = resume(&view);
        assert_eq!(said[1], "Accepts 0.05 more BTC as moved from outside: 0.3 there, 0.25 here.");
        assert_eq!(said[2], "Accepts 0.5 less USDT as moved from outside: 9,999.5 there, 10,000 here.");
        assert_eq!(said[3], "What moved from outside is neither profit nor loss.");
        view.orders = fixture::trading().orders;
        assert_eq!(resume(&view)[3], "Not while 2 orders are working: their fills may explain it. Flatten first.");
        assert!(!resume(&View::default()).iter().any(|line| line.contains("outside")), "nothing is accepted after any other halt");
    }
}
