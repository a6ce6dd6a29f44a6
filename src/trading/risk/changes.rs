//! Limits that people change while the box runs: tighter at once, looser by the typed word and after a delay.
//!
//! A change holds over restarts until the settings themselves say something new about that limit: the later word wins.

use serde::{Deserialize, Serialize};

use super::{LimitRow, Limits};
use crate::domain::{Span, Timestamp};
use crate::protocol::{LimitName, LimitValue};

/// A value that was set by command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    name: LimitName,
    value: LimitValue,
    /// What the settings said when it was made.
    settings: Option<LimitValue>,
}

/// A looser value and when it will hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    name: LimitName,
    value: LimitValue,
    due: Timestamp,
}

/// All changes of a data file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitChanges {
    made: Vec<Change>,
    waiting: Vec<Waiting>,
    /// What the settings of this run say.
    #[serde(skip)]
    settings: Limits,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It holds from now on.
    Holds,
    /// Looser: it will hold then.
    Waits(Timestamp),
    Refused(String),
}

impl LimitChanges {
    /// The run begins with the settings' limits; gives those that hold, and a sentence for every change that the settings overrule.
    pub fn begin(&mut self, settings: &Limits) -> (Limits, Vec<String>) {
        self.settings = settings.clone();
        let (mut limits, mut said) = (settings.clone(), Vec::new());
        self.made.retain(|change| {
            let same = settings.get(change.name) == change.settings;
            if !same {
                said.push(format!("{} was set to {} by command; the settings have changed it since and hold", change.name, change.value));
            }
            same
        });
        for change in &self.made {
            match limits.with(change.name, change.value) {
                Ok(changed) => limits = changed,
                Err(contradiction) => said.push(format!("{} set by command no longer holds: {contradiction}", change.name)),
            }
        }
        (limits, said)
    }

    /// A person wants `name` at `value`. `confirmed`: the word was typed.
    pub fn ask(&mut self, limits: &mut Limits, name: LimitName, value: LimitValue, confirmed: bool, now: Timestamp) -> Asked {
        let held = limits.get(name);
        let changed = match limits.with(name, value) {
            Ok(changed) => changed,
            Err(contradiction) => return Asked::Refused(contradiction),
        };
        if held == Some(value) {
            return Asked::Refused(format!("{name} is {value} already"));
        }
        if changed.get(name) != Some(value) {
            return Asked::Refused(format!("{name} is off: its market is not named in the settings"));
        }
        if !LimitRow::of(name).is_looser(held, value) {
            self.keep(name);
            self.made(name, value);
            *limits = changed;
            return Asked::Holds;
        }
        if !confirmed {
            return Asked::Refused(format!("{value} is looser than the present {name}: that takes the typed word"));
        }
        let due = now + Span::from_millis(i64::from(limits.loosen_delay_ms));
        self.keep(name);
        self.waiting.push(Waiting { name, value, due });
        Asked::Waits(due)
    }

    /// Withdraws a looser value that waits. False when none does.
    pub fn keep(&mut self, name: LimitName) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.name != name);
        self.waiting.len() < before
    }

    /// The next looser value whose delay is over now holds, unless the other limits have come to contradict it.
    pub fn mature(&mut self, limits: &mut Limits, now: Timestamp) -> Option<(LimitName, Result<LimitValue, String>)> {
        let place = self.waiting.iter().position(|waiting| waiting.due <= now)?;
        let Waiting { name, value, .. } = self.waiting.remove(place);
        let outcome = limits.with(name, value).map(|changed| {
            self.made(name, value);
            *limits = changed;
            value
        });
        Some((name, outcome))
    }

    /// A looser value that waits, and until when.
    #[must_use]
    pub fn waiting(&self, name: LimitName) -> Option<(LimitValue, Timestamp)> {
        self.waiting.iter().find(|waiting| waiting.name == name).map(|waiting| (waiting.value, waiting.due))
    }

    fn made(&mut self, name: LimitName, value: LimitValue) {
        self.made.retain(|change| change.name != name);
        self.made.push(Change { name, value, settings: self.settings.get(name) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bps;

    const NAME: LimitName = LimitName::MaxExposure;

    fn money(text: &str) -> LimitValue {
        LimitValue::Money(text.parse().unwrap())
    }

    fn settings() -> Limits {
        Limits {
            max_order_notional: "10".parse().unwrap(),
            max_position_notional: "20".parse().unwrap(),
            max_exposure: "100".parse().unwrap(),
            max_daily_loss: "5".parse().unwrap(),
            max_drawdown_bps: Bps::from_bps(5),
            max_data_age_ms: 1,
            max_open_orders: 1,
            max_spread_bps: Bps::from_bps(5),
            max_clock_drift_ms: 1,
            loosen_delay_ms: 60_000,
            ..Limits::default()
        }
    }

    fn begun() -> (LimitChanges, Limits) {
        let mut changes = LimitChanges::default();
        let (limits, said) = changes.begin(&settings());
        assert!(said.is_empty() && limits == settings());
        (changes, limits)
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    #[test]
    fn tighter_holds_at_once() {
        let (mut changes, mut limits) = begun();
        assert_eq!(changes.ask(&mut limits, NAME, money("50"), false, at(0)), Asked::Holds);
        assert_eq!(limits.get(NAME), Some(money("50")));
    }

    #[test]
    fn looser_takes_the_word_and_the_delay() {
        let (mut changes, mut limits) = begun();
        assert!(matches!(changes.ask(&mut limits, NAME, money("200"), false, at(0)), Asked::Refused(_)));
        assert_eq!(changes.ask(&mut limits, NAME, money("200"), true, at(0)), Asked::Waits(at(60)));
        assert_eq!(changes.mature(&mut limits, at(59)), None);
        assert_eq!(limits.get(NAME), Some(money("100")));
        assert_eq!(changes.waiting(NAME), Some((money("200"), at(60))));
        assert_eq!(changes.mature(&mut limits, at(60)), Some((NAME, Ok(money("200")))));
        assert_eq!((limits.get(NAME), changes.waiting(NAME)), (Some(money("200")), None));
    }

    #[test]
    fn what_waits_can_be_withdrawn() {
        let (mut changes, mut limits) = begun();
        let _ = changes.ask(&mut limits, NAME, money("200"), true, at(0));
        assert!(changes.keep(NAME) && !changes.keep(NAME));
        let _ = changes.ask(&mut limits, NAME, money("200"), true, at(0));
        assert_eq!(changes.ask(&mut limits, NAME, money("90"), false, at(1)), Asked::Holds);
        assert_eq!(changes.mature(&mut limits, at(999)), None, "who tightens does not loosen");
    }

    #[test]
    fn contradictions_are_refused_also_when_they_come_late() {
        let (mut changes, mut limits) = begun();
        assert!(matches!(changes.ask(&mut limits, NAME, money("19"), false, at(0)), Asked::Refused(_)));
        assert!(matches!(changes.ask(&mut limits, NAME, LimitValue::Count(50), true, at(0)), Asked::Refused(_)));
        assert!(matches!(
            changes.ask(&mut limits, LimitName::MaxDepegBps, LimitValue::Bps(Bps::from_bps(1)), true, at(0)),
            Asked::Refused(_)
        ));
        let position = LimitName::MaxPositionNotional;
        assert!(matches!(changes.ask(&mut limits, position, money("90"), true, at(0)), Asked::Waits(_)));
        assert_eq!(changes.ask(&mut limits, NAME, money("80"), false, at(1)), Asked::Holds);
        assert!(matches!(changes.mature(&mut limits, at(60)), Some((_, Err(_)))));
        assert_eq!(limits.get(position), Some(money("20")));
    }

    #[test]
    fn a_change_outlives_a_restart_until_the_settings_say_otherwise() {
        let (mut changes, mut limits) = begun();
        let _ = changes.ask(&mut limits, NAME, money("50"), false, at(0));
        let text = serde_json::to_string(&changes).unwrap();
        let mut kept: LimitChanges = serde_json::from_str(&text).unwrap();
        assert_eq!(kept.clone().begin(&settings()).0.get(NAME), Some(money("50")));
        let new = Limits { max_exposure: "70".parse().unwrap(), ..settings() };
        let (limits, said) = kept.begin(&new);
        assert_eq!((limits.get(NAME), said.len()), (Some(money("70")), 1));
    }
}
