//! What the box says about itself: health with reasons, feeds and clocks, models and their gates, learning.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::format;
use super::guide;
use super::status_bar;
use super::text;
use super::theme::Theme;
use crate::domain::Span as Length;
use crate::protocol::{LimitName, LimitState, LimitView, ModelKind, ModelRole, ModelView, View};

/// What is exposed for less long is about to be guarded.
const UNGUARDED_FOR: Length = Length::from_secs(1);

/// Verdict first, then what stands unguarded, the reasons, and the measurements that it stands on.
pub fn health(view: &View, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let health = &view.health;
    let width = usize::from(width);
    let (verdict, style) = status_bar::health_words(view, theme);
    let mut lines = vec![Line::styled(verdict, style)];
    lines.extend(unguarded(view, width, theme));
    for reason in health.reasons.iter().take(6) {
        lines.extend(text::wrap(reason, width.saturating_sub(2), 2).into_iter().map(|l| Line::from(format!("  {l}"))));
    }
    lines.push(streams(view, width, theme));
    lines.push(fact("feed age", ages(view), theme.plain, width, theme));
    let clock = match (health.clock_offset, health.round_trip) {
        (Some(offset), Some(trip)) => format!("{}, round trip {}", format::offset(offset), unsigned(trip)),
        (Some(offset), None) => format::offset(offset),
        _ => "not measured yet".to_owned(),
    };
    lines.push(fact("clock", clock, if health.clock_offset.is_some() { theme.plain } else { theme.warn }, width, theme));
    let (words, style) = if health.reconciled { ("agrees with the venue", theme.plain) } else { ("not compared yet", theme.warn) };
    lines.push(fact("ledger", words.to_owned(), style, width, theme));
    let (words, style) = limits(view, theme);
    if !words.is_empty() {
        lines.push(fact("limits", words, style, width, theme));
    }
    if paused(view).next().is_some() {
        lines.push(fact("pause", "after an exit: no entry in that market yet".to_owned(), theme.plain, width, theme));
    }
    let writes = if health.store_pending == 0 { "all on disk".to_owned() } else { format!("{} writes waiting", health.store_pending) };
    lines.push(fact("data file", writes, theme.plain, width, theme));
    let mut troubles: Vec<String> =
        health.failures.iter().take(4).map(|(kind, n)| format!("{} {}", text::clean(kind), format::count(*n))).collect();
    if health.venue_refusals > 0 {
        troubles.push(format!("refused by venue {}", format::count(health.venue_refusals)));
    }
    if health.unreadable > 0 {
        troubles.push(format!("unreadable {}", format::count(health.unreadable)));
    }
    if !troubles.is_empty() {
        lines.push(fact("troubles", troubles.join(", "), theme.warn, width, theme));
    }
    lines
}

/// What is held and no stop at the venue guards, unless it is for a moment only, as between an exit's cancel and its sale.
fn unguarded(view: &View, width: usize, theme: &Theme) -> Option<Line<'static>> {
    let exposed = &view.exposed;
    if !exposed.now.is_positive() || exposed.lasting < UNGUARDED_FOR {
        return None;
    }
    let words = format!("{} {} for {}", format::money(exposed.now), text::clean(&view.quote_asset), format::age(exposed.lasting));
    Some(fact("unguarded", words, theme.warn, width, theme))
}

fn streams(view: &View, width: usize, theme: &Theme) -> Line<'static> {
    let health = &view.health;
    let link = |up: bool| if up { "up" } else { "DOWN" };
    let needed = status_bar::uses_account(view.mode);
    let account = if needed { link(health.user_stream_up) } else { "not used (paper)" };
    let style = if health.market_stream_up && (health.user_stream_up || !needed) { theme.plain } else { theme.warn };
    fact("streams", format!("market {}, account {account}", link(health.market_stream_up)), style, width, theme)
}

/// The wait of a market after an exit: part of every trade, not a limit that was reached.
fn paused(view: &View) -> impl Iterator<Item = &LimitView> {
    view.limits.iter().filter(|limit| limit.name == LimitName::CoolDownMs && limit.state == LimitState::Tripped)
}

/// The limits that act or are near, those that act first; nothing while all are far.
fn limits(view: &View, theme: &Theme) -> (String, Style) {
    let of = |state: LimitState| view.limits.iter().filter(move |l| l.state == state && l.name != LimitName::CoolDownMs);
    let near = of(LimitState::Near).map(|limit| format!("{} {:.0} %", limit.name, limit.used_percent.unwrap_or_default()));
    let words: Vec<String> = of(LimitState::Tripped).map(|limit| format!("{} TRIPPED", limit.name)).chain(near).collect();
    (words.join(", "), if of(LimitState::Tripped).next().is_some() { theme.danger } else { theme.warn })
}

fn unsigned(length: Length) -> String {
    format::offset(length).trim_start_matches('+').to_owned()
}

fn ages(view: &View) -> String {
    let one = |s: &crate::protocol::SymbolView| format!("{} {}", s.symbol, s.feed_age.map_or_else(|| "none".to_owned(), format::age));
    match view.symbols.as_slice() {
        [] => "no market yet".to_owned(),
        symbols => symbols.iter().take(6).map(one).collect::<Vec<_>>().join(", "),
    }
}

fn fact(label: &str, value: String, style: Style, width: usize, theme: &Theme) -> Line<'static> {
    const LABEL: usize = 10;
    let value = text::fit(&value, width.saturating_sub(LABEL));
    Line::from(vec![Span::styled(text::left(label, LABEL), theme.dim), Span::styled(value, style)])
}

/// One line a model: kind, beginning of its id, what it may do, and whether it passed.
pub fn models(view: &View, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let width = usize::from(width);
    if view.models.is_empty() {
        let words = if view.learning.finished { "no model: nothing opens by forecast" } else { "none yet: trained from history" };
        return vec![Line::styled(text::fit(words, width), theme.dim)];
    }
    view.models.iter().map(|m| model(m, width, theme)).collect()
}

fn model(model: &ModelView, width: usize, theme: &Theme) -> Line<'static> {
    let kind = match model.kind {
        ModelKind::Trees => "trees ",
        ModelKind::Policy => "policy",
    };
    let (role, style) = match model.role {
        ModelRole::Champion => ("CHAMPION", theme.up.patch(theme.strong)),
        ModelRole::Shadow => ("SHADOW", theme.dim),
        ModelRole::ShadowTrading => ("SHADOW, TRADING", theme.warn),
    };
    let gates = if model.gates_passed { "(passed gates)" } else { "(failed gates)" };
    let id: String = text::clean(&model.id).chars().take(8).collect();
    let parts = vec![
        text::Part::new(1, kind, theme.plain),
        text::Part::new(3, format!("{id}\u{2026}"), theme.dim),
        text::Part::new(0, role, style),
        text::Part::new(2, gates, if model.gates_passed { theme.dim } else { theme.warn }),
    ];
    Line::from(text::whole_parts(parts, width, 1))
}

/// Progress until the workshop is done; afterwards nothing, unless it failed.
pub fn learning(view: &View, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let learning = &view.learning;
    if let Some(failure) = &learning.failure {
        return text::wrap(&format!("failed: {failure}"), width, 3).into_iter().map(|l| Line::styled(l, theme.danger)).collect();
    }
    if learning.finished {
        return Vec::new();
    }
    if learning.stage.is_empty() {
        return vec![Line::styled("not started", theme.dim)];
    }
    vec![guide::gauge(learning, width, theme)]
}

/// What this run did so far, in counts; what memory holds is of all runs.
pub fn activity(view: &View, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let c = &view.counters;
    let width = usize::from(width);
    let n = format::count;
    vec![
        fact("decisions", format!("{}, {} refused", n(c.decisions), n(c.refusals)), theme.plain, width, theme),
        fact("orders", format!("{}, {} refused by venue", n(c.orders), n(c.venue_refusals)), theme.plain, width, theme),
        fact("fills", format!("{}: {} maker, {} taker", n(c.fills), n(c.maker_fills), n(c.taker_fills)), theme.plain, width, theme),
        fact("memory", format!("{} episodes, {} of this run", n(view.remembered), n(c.episodes)), theme.plain, width, theme),
        fact("market", format!("{} candles, {} gaps", n(c.candles), n(c.gaps)), theme.plain, width, theme),
        fact("running", format!("{}, {} events", format::age(view.at.since(view.started)), n(c.events)), theme.plain, width, theme),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::protocol::{Action, HealthVerdict, Mode};

    fn words(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn models_say_plainly_what_they_may_do() {
        let theme = Theme::new(false);
        let view = fixture::trading();
        let lines = words(&models(&view, 60, &theme));
        assert_eq!(lines, ["trees  3f2a9c01… CHAMPION (passed gates)", "policy 77aa0b1c… SHADOW (failed gates)"]);
        assert_eq!(words(&models(&view, 30, &theme))[1], "policy SHADOW (failed gates)");
    }

    #[test]
    fn limits_are_shown_when_they_act_or_are_near() {
        let limit = |name, state, used| LimitView {
            name,
            limit: None,
            value: None,
            used_percent: Some(used),
            state,
            action: Action::BlockEntries,
            last_tripped: None,
            times: 0,
            pending: None,
        };
        let mut view = View { limits: vec![limit(LimitName::MaxOpenOrders, LimitState::Ok, 50.0)], ..View::default() };
        let shown = |view: &View| words(&health(view, 60, &Theme::new(false))).into_iter().find(|line| line.starts_with("limits"));
        assert_eq!(shown(&view), None);
        view.limits.push(limit(LimitName::MaxExposure, LimitState::Near, 85.0));
        view.limits.push(limit(LimitName::MaxHeatBps, LimitState::Tripped, 120.0));
        assert_eq!(shown(&view).as_deref(), Some("limits    max_heat_bps TRIPPED, max_exposure 85 %"));
        view.limits = vec![limit(LimitName::CoolDownMs, LimitState::Tripped, 0.0)];
        assert_eq!(shown(&view), None, "the wait after an exit is no alarm");
        let lines = words(&health(&view, 60, &Theme::new(false)));
        assert!(lines.contains(&"pause     after an exit: no entry in that market yet".to_owned()), "{lines:?}");
    }

    #[test]
    fn what_stands_unguarded_for_longer_than_a_moment_is_a_warning() {
        let theme = Theme::new(true);
        let mut view = View { quote_asset: "USDT".into(), ..View::default() };
        view.exposed.now = "33.16".parse().unwrap();
        let shown = |view: &View| health(view, 60, &theme).into_iter().find(|line| line.to_string().starts_with("unguarded"));
        view.exposed.lasting = Length::from_millis(900);
        assert_eq!(shown(&view), None);
        view.exposed.lasting = Length::from_secs(6);
        let line = shown(&view).unwrap();
        assert_eq!((line.to_string().as_str(), line.spans[1].style), ("unguarded 33.16 USDT for 6.0 s", theme.warn));
        view.exposed.now = crate::domain::Money::ZERO;
        assert_eq!(shown(&view), None);
    }

    #[test]
    fn an_account_that_paper_does_not_use_is_not_called_down() {
        let mut view = View { mode: Mode::Paper, ..fixture::trading() };
        view.health.user_stream_up = false;
        view.health.verdict = HealthVerdict::Healthy;
        let shown =
            |view: &View| words(&health(view, 60, &Theme::new(false))).into_iter().find(|line| line.starts_with("streams")).unwrap();
        assert_eq!(shown(&view), "streams   market up, account not used (paper)");
        view.mode = Mode::Live;
        assert_eq!(shown(&view), "streams   market up, account DOWN");
    }

    #[test]
    fn counts_of_this_run_stand_apart_from_what_memory_holds() {
        let mut view = View { remembered: 1_204, ..View::default() };
        view.counters.episodes = 3;
        let lines = words(&activity(&view, 60, &Theme::new(false)));
        assert!(lines.contains(&"memory    1,204 episodes, 3 of this run".to_owned()), "{lines:?}");
    }

    #[test]
    fn what_is_unknown_or_down_is_said() {
        let lines = words(&health(&View::default(), 60, &Theme::new(false)));
        assert!(lines.iter().any(|l| l.contains("market DOWN, account DOWN")));
        assert!(lines.iter().any(|l| l.contains("not measured yet")));
        assert!(lines.iter().any(|l| l.contains("not compared yet")));
    }
}
