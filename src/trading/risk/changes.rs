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
    /// What the settings said when it was asked for.
    #[serde(default)]
    settings: Option<LimitValue>,
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
    /// The run begins with the settings' limits; gives those that hold, and a sentence for every change that the settings overrule. The
    /// changes are made together, as they stood together before; where they and new settings contradict each other, nothing is looser than
    /// the settings.
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
        self.waiting.retain(|waiting| {
            let same = settings.get(waiting.name) == waiting.settings;
            if !same {
                said.push(format!("{} was to become {}; the settings have changed it since: it is withdrawn", waiting.name, waiting.value));
            }
            same
        });
        self.made.retain(|change| limits.put(change.name, change.value));
        let contradicts = |limits: &Limits| limits.contradictions().into_iter().find(|said| !settings.contradictions().contains(said));
        if let Some(contradiction) = contradicts(&limits) {
            self.made.retain(|change| match settings.get(change.name) {
                Some(value) if LimitRow::of(change.name).is_looser(Some(value), change.value) => {
                    said.push(format!("{} no longer holds at {}, it is {value} again: {contradiction}", change.name, change.value));
                    limits.put(change.name, value);
                    false
                }
                _ => true,
            });
            said.extend(contradicts(&limits).map(|left| format!("{left}; both hold")));
        }
        (limits, said)
    }

    /// Takes over what was changed, or asked for, in another book of the same account after everything in this one.
    pub fn heed(&mut self, later: &Self) {
        for change in &later.made {
            self.made.retain(|known| known.name != change.name);
            self.made.push(*change);
        }
        // That book heeded this one when it began: a wish that waits here and not there was withdrawn, or has been said over.
        self.waiting.clone_from(&later.waiting);
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
        self.waiting.push(Waiting { name, value, due, settings: self.settings.get(name) });
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

    const TRADE: LimitName = LimitName::MaxTradeLoss;
    const HOUR: LimitName = LimitName::MaxHourlyLoss;
    const DAY: LimitName = LimitName::MaxDailyLoss;

    /// A trade may lose 50, an hour 100, a day 200.
    fn losses() -> Limits {
        Limits {
            max_trade_loss: "50".parse().ok(),
            max_hourly_loss: "100".parse().ok(),
            max_daily_loss: "200".parse().unwrap(),
            ..settings()
        }
    }

    fn set(values: &[(LimitName, &str)]) -> LimitChanges {
        let mut changes = LimitChanges::default();
        let (mut limits, _) = changes.begin(&losses());
        for (name, value) in values {
            assert_eq!(changes.ask(&mut limits, *name, money(value), false, at(0)), Asked::Holds, "{name} {value}");
        }
        serde_json::from_str(&serde_json::to_string(&changes).unwrap()).unwrap()
    }

    fn held(limits: &Limits) -> [Option<LimitValue>; 3] {
        [TRADE, HOUR, DAY].map(|name| limits.get(name))
    }

    #[test]
    fn tightened_limits_hold_together_after_a_restart_in_whatever_order_they_were_set() {
        // The last word on the trade comes after those on hour and day, which contradict the settings' own limit of a trade.
        let mut changes = set(&[(TRADE, "20"), (HOUR, "40"), (DAY, "80"), (TRADE, "15")]);
        let (limits, said) = changes.begin(&losses());
        assert_eq!((held(&limits), said), ([Some(money("15")), Some(money("40")), Some(money("80"))], Vec::new()));
        let again: LimitChanges = serde_json::from_str(&serde_json::to_string(&changes).unwrap()).unwrap();
        assert_eq!(held(&again.clone().begin(&losses()).0), held(&limits), "and after the next");
    }

    #[test]
    fn where_new_settings_contradict_the_tighter_value_holds() {
        // The day was loosened to 300 and the hour to 250 with it; then the settings bring the day down to 90, below the hour's 100.
        let mut changes = LimitChanges::default();
        let (mut limits, _) = changes.begin(&losses());
        for (name, value) in [(DAY, "300"), (HOUR, "250")] {
            assert!(matches!(changes.ask(&mut limits, name, money(value), true, at(0)), Asked::Waits(_)));
            while changes.mature(&mut limits, at(999)).is_some() {}
        }
        assert_eq!(held(&limits), [Some(money("50")), Some(money("250")), Some(money("300"))]);
        let new = Limits { max_daily_loss: "150".parse().unwrap(), ..losses() };
        let (limits, said) = changes.begin(&new);
        assert_eq!(held(&limits), [Some(money("50")), Some(money("100")), Some(money("150"))]);
        assert_eq!(said.len(), 2, "{said:?}");
        // A tighter value stays, also where it stands against what the settings say now: then both hold.
        let mut changes = set(&[(DAY, "110")]);
        let new = Limits { max_hourly_loss: "120".parse().ok(), ..losses() };
        let (limits, said) = changes.begin(&new);
        assert_eq!(held(&limits), [Some(money("50")), Some(money("120")), Some(money("110"))]);
        assert!(said.len() == 1 && said[0].contains("both hold"), "{said:?}");
    }

    #[test]
    fn what_waits_is_withdrawn_when_the_settings_change_it() {
        let (mut changes, mut limits) = begun();
        let _ = changes.ask(&mut limits, NAME, money("200"), true, at(0));
        let text = serde_json::to_string(&changes).unwrap();
        let mut same: LimitChanges = serde_json::from_str(&text).unwrap();
        assert_eq!(same.begin(&settings()), (settings(), Vec::new()));
        assert_eq!(same.waiting(NAME), Some((money("200"), at(60))), "a restart does not withdraw it");
        let mut other: LimitChanges = serde_json::from_str(&text).unwrap();
        let tighter = Limits { max_exposure: "70".parse().unwrap(), ..settings() };
        let (mut limits, said) = other.begin(&tighter);
        assert!(said.len() == 1 && said[0].contains("withdrawn"), "{said:?}");
        assert_eq!((other.mature(&mut limits, at(999)), limits.get(NAME)), (None, Some(money("70"))));
        // A state that does not say what the settings were is not trusted with a looser limit.
        let mut older: serde_json::Value = serde_json::from_str(&text).unwrap();
        older["waiting"][0].as_object_mut().unwrap().remove("settings").unwrap();
        let mut older: LimitChanges = serde_json::from_value(older).unwrap();
        assert_eq!(older.waiting(NAME), Some((money("200"), at(60))));
        older.begin(&settings());
        assert_eq!(older.waiting(NAME), None);
    }

    #[test]
    fn the_later_book_has_the_last_word_on_what_it_speaks_of() {
        let (mut live, mut rehearsed) = (set(&[(TRADE, "40"), (HOUR, "90")]), set(&[(TRADE, "20")]));
        let (mut limits, _) = rehearsed.begin(&losses());
        let _ = rehearsed.ask(&mut limits, DAY, money("250"), true, at(0));
        live.heed(&rehearsed);
        assert_eq!(held(&live.begin(&losses()).0), [Some(money("20")), Some(money("90")), Some(money("200"))]);
        assert_eq!(live.waiting(DAY), Some((money("250"), at(60))));
    }
}
