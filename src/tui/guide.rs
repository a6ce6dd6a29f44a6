//! The first minutes: what is going on, what comes next, and how long it may take, until trading can start.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::chart;
use super::format;
use super::status_bar;
use super::text;
use super::theme::Theme;
use crate::protocol::{LearningView, ModelRole, TradingState, View};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Connect,
    Download,
    Train,
    Trade,
}

impl Step {
    const ALL: [Self; 4] = [Self::Connect, Self::Download, Self::Train, Self::Trade];

    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "Connect",
            Self::Download => "Download history",
            Self::Train => "Train",
            Self::Trade => "Trade",
        }
    }
}

/// Shown until the engine may open positions; not when a model of an earlier run trades while a new one is trained, nor where something was
/// traded before: what is held then matters more.
#[must_use]
pub fn wanted(view: &View) -> bool {
    if view.has_traded || !view.positions.is_empty() {
        return false;
    }
    let has_model = view.models.iter().any(|m| m.role != ModelRole::Shadow);
    match view.trading {
        TradingState::Starting => true,
        TradingState::Active => !view.learning.finished && !has_model,
        TradingState::Reconnecting | TradingState::Halted { .. } | TradingState::Stopping | TradingState::Reducing { .. } => false,
    }
}

/// The account's stream is up, or not needed.
fn account_is_up(view: &View) -> bool {
    view.health.user_stream_up || !status_bar::uses_account(view.mode)
}

/// The step that is under way; all before it are done.
fn current(view: &View) -> Step {
    let health = &view.health;
    let connected = health.market_stream_up && account_is_up(view) && health.reconciled;
    if !connected {
        return Step::Connect;
    }
    if view.learning.finished {
        return Step::Trade;
    }
    let stage = view.learning.stage.to_lowercase();
    let fetching = stage.is_empty() || ["download", "history", "fetch", "import"].iter().any(|w| stage.contains(w));
    if fetching { Step::Download } else { Step::Train }
}

pub fn draw(view: &View, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let inner = text::panel(buf, area, &Line::styled("First steps", theme.strong), theme);
    let inner = Rect { x: inner.x + u16::from(inner.width > 2), width: inner.width.saturating_sub(2), ..inner };
    text::put_all(buf, inner, lines(view, theme, inner.width));
}

/// Rows it needs at this width, title included.
#[must_use]
pub fn rows(view: &View, theme: &Theme, width: u16) -> u16 {
    lines(view, theme, width.saturating_sub(2)).len() as u16 + 1
}

fn lines(view: &View, theme: &Theme, width: u16) -> Vec<Line<'static>> {
    let step = current(view);
    let width = usize::from(width);
    let mut lines = vec![steps(step, view.learning.failure.is_some(), theme), Line::default()];
    if let Some(failure) = &view.learning.failure {
        lines.extend(text::wrap(&format!("Learning failed: {failure}"), width, 2).into_iter().map(|l| Line::styled(l, theme.danger)));
    } else if matches!(step, Step::Download | Step::Train) {
        lines.push(gauge(&view.learning, width, theme));
    }
    lines.extend(text::wrap(&explanation(view, step), width, 3).into_iter().map(Line::from));
    lines.extend(text::wrap(next(view, step), width, 2).into_iter().map(|l| Line::styled(l, theme.dim)));
    lines
}

fn steps(current: Step, failed: bool, theme: &Theme) -> Line<'static> {
    let mut spans = Vec::new();
    for step in Step::ALL {
        if step != Step::Connect {
            spans.push(Span::styled("  \u{25b8}  ", theme.rule));
        }
        let (mark, style) = match step.cmp(&current) {
            std::cmp::Ordering::Less => ("\u{2713} ", theme.up),
            std::cmp::Ordering::Equal if failed => ("\u{2717} ", theme.danger),
            std::cmp::Ordering::Equal => ("\u{25cf} ", theme.accent.patch(theme.strong)),
            std::cmp::Ordering::Greater => ("\u{25cb} ", theme.dim),
        };
        spans.push(Span::styled(format!("{mark}{}", step.words()), style));
    }
    Line::from(spans)
}

/// Stage, bar, share and counts; a stage without a known total has no bar.
#[must_use]
pub fn gauge(learning: &LearningView, width: usize, theme: &Theme) -> Line<'static> {
    let stage = text::fit(&learning.stage, width / 2);
    if learning.total == 0 {
        return Line::styled(stage, theme.accent);
    }
    let counts = format!(
        " {}  {} / {}",
        chart::part_percent(learning.done, learning.total),
        format::count(learning.done),
        format::count(learning.total)
    );
    let room = width.saturating_sub(text::width(&stage) + 1 + text::width(&counts)).min(40);
    if room < 4 {
        return Line::styled(text::fit(&format!("{stage}{counts}"), width), theme.accent);
    }
    let filled = chart::bar(learning.done as f64 / learning.total as f64, room);
    let rest = "\u{2591}".repeat(room.saturating_sub(text::width(&filled)));
    Line::from(vec![
        Span::styled(format!("{stage} "), theme.accent),
        Span::styled(filled, theme.accent),
        Span::styled(rest, theme.rule),
        Span::styled(counts, theme.dim),
    ])
}

fn explanation(view: &View, step: Step) -> String {
    match step {
        Step::Connect => {
            let health = &view.health;
            let missing: Vec<&str> = [
                (health.market_stream_up, "market data"),
                (account_is_up(view), "the account stream"),
                (health.reconciled, "a comparison of orders and balances"),
            ]
            .iter()
            .filter(|(done, _)| !done)
            .map(|(_, name)| *name)
            .collect();
            format!("Connecting. Still missing: {}.", missing.join(", "))
        }
        Step::Download => "Fetching past candles, from which the models learn.".to_owned(),
        Step::Train => "Training on the past, then testing on days the model has not seen. Costs are charged in full.".to_owned(),
        Step::Trade => match view.trading {
            TradingState::Active => "Watching every bar. Each decision appears below with its reasons.".to_owned(),
            _ => "Ready: the engine opens as soon as its last checks pass.".to_owned(),
        },
    }
}

fn next(view: &View, step: Step) -> &'static str {
    match (step, view.exploration_percent.is_some()) {
        (Step::Connect, _) => "Nothing is traded until venue and ledger agree.",
        (Step::Download, _) => "Next: training. Nothing is opened before it has ended.",
        (Step::Train, true) => "A model that fails its gates stays in the shadow; the demo then explores with a small, labelled share.",
        (Step::Train, false) => "A model that fails its gates stays in the shadow and opens nothing.",
        (Step::Trade, _) => "Keys: 2 shows the market, ? all keys, h halts at any time.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Mode;

    fn learning(stage: &str, finished: bool) -> View {
        let mut view = View { learning: LearningView { stage: stage.into(), finished, ..LearningView::default() }, ..View::default() };
        (view.health.market_stream_up, view.health.user_stream_up, view.health.reconciled) = (true, true, true);
        view
    }

    #[test]
    fn the_steps_follow_what_the_view_says() {
        assert_eq!(current(&View::default()), Step::Connect);
        assert_eq!(current(&learning("", false)), Step::Download);
        assert_eq!(current(&learning("downloading history", false)), Step::Download);
        assert_eq!(current(&learning("trees, fold 2 of 5", false)), Step::Train);
        assert_eq!(current(&learning("", true)), Step::Trade);
        assert!(explanation(&View::default(), Step::Connect).contains("market data, the account stream, a comparison"));
    }

    #[test]
    fn the_guide_leaves_once_trading_can_start() {
        assert!(wanted(&View::default()));
        assert!(wanted(&View { trading: TradingState::Active, ..learning("trees", false) }));
        assert!(!wanted(&View { trading: TradingState::Active, ..learning("", true) }));
        assert!(!wanted(&View { trading: TradingState::Halted { reason: String::new() }, ..View::default() }));
    }

    #[test]
    fn the_first_steps_do_not_come_back_once_something_was_traded() {
        assert!(!wanted(&View { trading: TradingState::Reconnecting, ..View::default() }));
        assert!(!wanted(&View { has_traded: true, ..View::default() }), "a box that traded in an earlier run starts again");
        assert!(!wanted(&View { positions: super::super::fixture::trading().positions, ..View::default() }));
    }

    #[test]
    fn on_paper_nothing_waits_for_the_account_stream() {
        let mut view = View { mode: Mode::Paper, ..learning("", false) };
        view.health.user_stream_up = false;
        assert_eq!(current(&view), Step::Download);
        view.health.reconciled = false;
        assert_eq!(explanation(&view, current(&view)), "Connecting. Still missing: a comparison of orders and balances.");
    }
}
