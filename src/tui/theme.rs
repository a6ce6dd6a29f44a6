//! Colours by meaning. Nothing means something by colour alone: sign, mark and word say it too.

use ratatui::style::{Color, Modifier, Style};

use crate::protocol::{HealthVerdict, Mode, Severity, TradingState};

/// The roles a cell can play; built once, with or without colour.
#[derive(Debug, Clone)]
pub struct Theme {
    pub plain: Style,
    /// Labels and everything that is not the answer.
    pub dim: Style,
    pub rule: Style,
    pub strong: Style,
    pub accent: Style,
    pub up: Style,
    pub down: Style,
    /// Large areas of up and down: depth and volume bars, calmer than the numbers beside them.
    pub up_area: Style,
    pub down_area: Style,
    pub warn: Style,
    pub danger: Style,
    /// What must not be overlooked: reversed.
    pub loud: Style,
    pub selected: Style,
    colour: bool,
}

/// Middle greys that read on dark and on light backgrounds; the other colours are the terminal's own sixteen.
const LABEL: Color = Color::Indexed(245);
const RULE: Color = Color::Indexed(240);

impl Theme {
    #[must_use]
    pub fn new(colour: bool) -> Self {
        let ink = |c: Color| if colour { Style::new().fg(c) } else { Style::new() };
        let bold = |s: Style| s.add_modifier(Modifier::BOLD);
        Self {
            plain: Style::new(),
            dim: ink(LABEL),
            rule: ink(RULE),
            strong: bold(Style::new()),
            accent: ink(Color::Cyan),
            up: ink(Color::Green),
            down: ink(Color::Red),
            up_area: ink(Color::Indexed(65)),
            down_area: ink(Color::Indexed(95)),
            warn: bold(ink(Color::Yellow)),
            danger: bold(ink(Color::Red)),
            loud: badge(colour, Color::Red),
            selected: bold(Style::new()).add_modifier(Modifier::UNDERLINED),
            colour,
        }
    }

    /// The mode's badge: red is kept for real money.
    #[must_use]
    pub fn mode_badge(&self, mode: Mode) -> Style {
        badge(self.colour, mode_colour(mode))
    }

    /// The mode's colour as ink, for the large word.
    #[must_use]
    pub fn mode_ink(&self, mode: Mode) -> Style {
        if self.colour { Style::new().fg(mode_colour(mode)) } else { Style::new() }
    }

    #[must_use]
    pub fn trading(&self, state: &TradingState) -> Style {
        match state {
            TradingState::Active => self.up.add_modifier(Modifier::BOLD),
            TradingState::Starting => self.accent.add_modifier(Modifier::BOLD),
            TradingState::Halted { .. } => self.danger,
            TradingState::Reconnecting | TradingState::Stopping | TradingState::Reducing { .. } => self.warn,
        }
    }

    #[must_use]
    pub fn health(&self, verdict: HealthVerdict) -> Style {
        match verdict {
            HealthVerdict::Healthy => self.up,
            HealthVerdict::Degraded => self.warn,
            HealthVerdict::Critical => self.danger,
        }
    }

    #[must_use]
    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Info => self.dim,
            Severity::Warning => self.warn,
            Severity::Critical => self.danger,
        }
    }

    /// Green above zero, red below, plain at zero.
    #[must_use]
    pub fn signed(&self, sign: std::cmp::Ordering) -> Style {
        match sign {
            std::cmp::Ordering::Greater => self.up,
            std::cmp::Ordering::Less => self.down,
            std::cmp::Ordering::Equal => self.plain,
        }
    }
}

fn mode_colour(mode: Mode) -> Color {
    match mode {
        Mode::Demo => Color::Cyan,
        Mode::Paper => Color::Yellow,
        Mode::Live => Color::Red,
        Mode::Backtest => Color::Magenta,
    }
}

fn badge(colour: bool, back: Color) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    if !colour {
        return style.add_modifier(Modifier::REVERSED);
    }
    let fore = if back == Color::Red { Color::White } else { Color::Black };
    style.fg(fore).bg(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_style_has_one() {
        let theme = Theme::new(false);
        let mut styles = vec![theme.plain, theme.dim, theme.rule, theme.strong, theme.accent, theme.up, theme.down];
        styles.extend([theme.up_area, theme.down_area, theme.warn, theme.danger, theme.loud, theme.selected]);
        styles.extend([Mode::Demo, Mode::Paper, Mode::Live, Mode::Backtest].map(|m| theme.mode_badge(m)));
        assert!(styles.iter().all(|s| s.fg.is_none() && s.bg.is_none()));
        assert!(theme.loud.add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn only_real_money_is_red() {
        let theme = Theme::new(true);
        assert_eq!(theme.mode_badge(Mode::Live).bg, Some(Color::Red));
        assert!([Mode::Demo, Mode::Paper, Mode::Backtest].iter().all(|m| theme.mode_badge(*m).bg != Some(Color::Red)));
    }
}
