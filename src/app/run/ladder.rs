//! Where a live run begins: at the venue, or in process while its ladder stands on a rung without real orders.

use super::start::{Opening, store_failure};
use crate::app::failure::Outcome;
use crate::app::{Context, clock};
use crate::domain::Timestamp;
use crate::engine::Snapshot;
use crate::protocol::{CarryRecord, Mode};
use crate::store::{Scope, Store};
use crate::trading::risk::Ladder;

/// A live run's file, and what it goes on with.
pub struct Begun {
    pub opening: Opening,
    pub ladder: Ladder,
    /// The account's other book, if that was written last: what people said there holds here.
    pub later: Option<Box<Snapshot>>,
}

/// The scope of a live account's rungs without real orders: its own books, so that paper money never meets real money.
#[must_use]
pub fn rehearsal(live: &Scope) -> Scope {
    Scope { mode: Mode::Paper, ..live.clone() }
}

/// Opens the data file for a live run. While something is open at the venue, the run goes there, whatever the rung: to end it.
pub fn begin(context: &Context, venue: &str, account: &str) -> Outcome<Begun> {
    let live = Opening::new(context, Mode::Live, venue, account, false)?;
    let Books { live: at_venue, rehearsed } = Books::of(&live.store)?;
    let ladder = newest_ladder(&at_venue, &rehearsed).unwrap_or_else(|| Ladder::new(clock::now()));
    let working = match &at_venue {
        Kept::Nothing => false,
        Kept::State(_, state) => !state.trades.is_empty() || !state.open_orders().is_empty(),
        // Refused when the run reads it, before anything is overwritten.
        Kept::Unreadable => true,
    };
    if working || !ladder.rung().is_rehearsal() {
        let later = rehearsed.after(&at_venue);
        return Ok(Begun { opening: live, ladder, later });
    }
    // The file knows one scope at a time as its own.
    drop(live);
    let label = format!("{venue}, rehearsal of live");
    let opening = Opening::new(context, Mode::Paper, venue, account, false)?.labelled(label);
    Ok(Begun { opening, ladder, later: at_venue.after(&rehearsed) })
}

enum Kept {
    Nothing,
    Unreadable,
    /// And when it was written.
    State(Timestamp, Box<Snapshot>),
}

impl Kept {
    fn of(carried: Option<CarryRecord>) -> Self {
        let Some(carry) = carried else { return Self::Nothing };
        serde_json::from_str(&carry.state).map_or(Self::Unreadable, |state| Self::State(carry.at, Box::new(state)))
    }

    /// The state in it, if it was written after the other one.
    fn after(self, other: &Self) -> Option<Box<Snapshot>> {
        let before = if let Self::State(at, _) = other { Some(*at) } else { None };
        match self {
            Self::State(at, state) if before.is_none_or(|before| before < at) => Some(state),
            _ => None,
        }
    }
}

/// An account's two books.
struct Books {
    live: Kept,
    rehearsed: Kept,
}

impl Books {
    fn of(live: &Store) -> Outcome<Self> {
        let carried = live.carry().map_err(store_failure)?;
        let rehearsed = live.seen_by(rehearsal(live.scope())).carry().map_err(store_failure)?;
        Ok(Self { live: Kept::of(carried), rehearsed: Kept::of(rehearsed) })
    }
}

/// Either of an account's two books may have moved it last.
fn newest_ladder(live: &Kept, rehearsed: &Kept) -> Option<Ladder> {
    let ladder = |kept: &Kept| if let Kept::State(at, state) = kept { Some((*at, state.ladder.clone()?)) } else { None };
    [live, rehearsed].into_iter().filter_map(ladder).max_by_key(|(at, _)| *at).map(|(_, ladder)| ladder)
}

/// The ladder of the data file, seen by commands: that of the newest of all live books and rehearsals.
pub fn stored(store: &Store) -> Outcome<Option<(Scope, Ladder)>> {
    let mut newest = None;
    for scope in store.scopes().map_err(store_failure)? {
        let Some(carry) = store.seen_by(scope.clone()).carry().map_err(store_failure)? else { continue };
        let ladder = serde_json::from_str::<Snapshot>(&carry.state).ok().and_then(|state| state.ladder);
        if let Some(ladder) = ladder
            && newest.as_ref().is_none_or(|(at, _, _)| *at < carry.at)
        {
            newest = Some((carry.at, scope, ladder));
        }
    }
    Ok(newest.map(|(_, scope, ladder)| (scope, ladder)))
}

/// The state that a run goes on from, with the ladder in it, and with what people said in the account's other book since.
pub fn carried_on(state: Option<Snapshot>, ladder: Ladder, later: Option<&Snapshot>) -> Outcome<(Snapshot, String)> {
    let mut state = Snapshot { ladder: Some(ladder), ..state.unwrap_or_default() };
    if let Some(later) = later {
        state.heed(later);
    }
    let text = serde_json::to_string(&state)?;
    Ok((state, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;
    use crate::app::config::engine_settings;
    use crate::domain::RunId;
    use crate::engine::{Engine, Settings};
    use crate::protocol::{Command, Event, LimitName, LimitValue, Record, RunOpened, Stamp};
    use crate::store::{FileKind, Identity, Writer};
    use crate::trading::risk::HaltReason;

    const NAME: LimitName = LimitName::MaxDailyLoss;

    fn settings() -> Settings {
        engine_settings(&config::load(&[], std::iter::empty(), &[]).unwrap(), Mode::Live, false)
    }

    /// The engine of a run that goes on from `carried` and hears `commands`.
    fn run(carried: Option<String>, commands: &[Command]) -> Engine {
        let mut engine = Engine::new(settings());
        let opened = RunOpened {
            run: RunId(1),
            mode: Mode::Live,
            venue: String::new(),
            code_version: String::new(),
            settings_hash: String::new(),
            settings: String::new(),
            carried,
        };
        let events = std::iter::once(Event::RunOpened(Box::new(opened))).chain(commands.iter().copied().map(Event::Command));
        for (seq, event) in (1..).zip(events) {
            engine.apply(Stamp { seq, at: Timestamp::from_millis(1_000) }, event, &mut Vec::new());
        }
        engine
    }

    fn halted(engine: &Engine) -> Option<HaltReason> {
        engine.snapshot().breakers.halted().cloned()
    }

    fn tighter() -> LimitValue {
        LimitValue::Money("1".parse().unwrap())
    }

    #[test]
    fn what_was_said_on_the_way_up_holds_in_the_first_run_with_real_money() {
        let set = |name, value: &str| Command::SetLimit { name, value: LimitValue::Money(value.parse().unwrap()), confirmed: false };
        let said = [set(LimitName::MaxTradeLoss, "0.5"), set(LimitName::MaxHourlyLoss, "0.8"), set(NAME, "1"), Command::Halt];
        let rehearsed = run(None, &said).snapshot();
        let ladder = Ladder::new(Timestamp::EPOCH);
        let (_, alone) = carried_on(None, ladder.clone(), None).unwrap();
        let first = run(Some(alone), &[]);
        assert_eq!((halted(&first), first.settings().limits.clone()), (None, settings().limits));
        let (state, text) = carried_on(None, ladder, Some(&rehearsed)).unwrap();
        assert!(state.orders.live().next().is_none() && !state.ledger.is_opened(), "no paper money meets real money");
        let mut first = run(Some(text), &[]);
        assert_eq!(first.settings().limits.get(NAME), Some(tighter()));
        assert_eq!(halted(&first), Some(HaltReason::Hand));
        first.apply(Stamp { seq: 9, at: Timestamp::from_millis(2_000) }, Event::Command(Command::Resume), &mut Vec::new());
        assert_eq!(halted(&first), None);
    }

    #[test]
    fn the_book_that_was_written_last_is_heeded_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let live = Scope { mode: Mode::Live, venue: "Binance".to_owned(), account: "a".to_owned() };
        let write = |scope: &Scope, at: i64, engine: &Engine| {
            let store = Store::open(&folder.path().join("x.redb"), &Identity { kind: FileKind::Real, scope: scope.clone() }).unwrap();
            let writer = Writer::start(store, RunId(1), |_| {}).unwrap();
            let state = serde_json::to_string(&engine.snapshot()).unwrap();
            let carry = Record::Carry(CarryRecord { run: RunId(1), at: Timestamp::from_millis(at), state });
            let ticket = writer.handle().append(Vec::new(), vec![carry], true).unwrap();
            assert!(writer.handle().wait(ticket, std::time::Duration::from_secs(20)));
            writer.stop().unwrap();
        };
        let books = || Books::of(&Store::open_read_only(&folder.path().join("x.redb"), live.clone()).unwrap()).unwrap();
        write(&rehearsal(&live), 10, &run(None, &[Command::Halt]));
        let Books { live: at_venue, rehearsed } = books();
        assert!(rehearsed.after(&at_venue).is_some_and(|later| later.breakers.halted().is_some()), "there is no live book yet");
        write(&live, 20, &run(None, &[]));
        let Books { live: at_venue, rehearsed } = books();
        assert!(rehearsed.after(&at_venue).is_none(), "the live book has heard it");
        let Books { live: at_venue, rehearsed } = books();
        assert!(at_venue.after(&rehearsed).is_some());
    }
}
