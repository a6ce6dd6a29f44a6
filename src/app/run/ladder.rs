//! Where a live run begins: at the venue, or in process while its ladder stands on a rung without real orders.

use super::start::{Opening, store_failure};
use crate::app::failure::Outcome;
use crate::app::{Context, clock};
use crate::engine::Snapshot;
use crate::protocol::Mode;
use crate::store::{Scope, Store};
use crate::trading::risk::Ladder;

/// A live run's file and the ladder it goes on with.
pub struct Begun {
    pub opening: Opening,
    pub ladder: Ladder,
}

/// The scope of a live account's rungs without real orders: its own books, so that paper money never meets real money.
#[must_use]
pub fn rehearsal(live: &Scope) -> Scope {
    Scope { mode: Mode::Paper, ..live.clone() }
}

/// Opens the data file for a live run. While something is open at the venue, the run goes there, whatever the rung: to end it.
pub fn begin(context: &Context, venue: &str, account: &str) -> Outcome<Begun> {
    let live = Opening::new(context, Mode::Live, venue, account, false)?;
    let (at_venue, ladder) = kept(&live.store)?;
    let ladder = ladder.unwrap_or_else(|| Ladder::new(clock::now()));
    let working = match &at_venue {
        Kept::Nothing => false,
        Kept::State(state) => !state.trades.is_empty() || !state.open_orders().is_empty(),
        // Refused when the run reads it, before anything is overwritten.
        Kept::Unreadable => true,
    };
    if working || !ladder.rung().is_rehearsal() {
        return Ok(Begun { opening: live, ladder });
    }
    // The file knows one scope at a time as its own.
    drop(live);
    let label = format!("{venue}, rehearsal of live");
    let opening = Opening::new(context, Mode::Paper, venue, account, false)?.labelled(label);
    Ok(Begun { opening, ladder })
}

enum Kept {
    Nothing,
    Unreadable,
    State(Box<Snapshot>),
}

/// What the live books keep, and the ladder, which either of an account's two books may have moved last.
fn kept(live: &Store) -> Outcome<(Kept, Option<Ladder>)> {
    let carried = live.carry().map_err(store_failure)?;
    let rehearsed = live.seen_by(rehearsal(live.scope())).carry().map_err(store_failure)?;
    let read = |text: &str| serde_json::from_str::<Snapshot>(text).ok();
    let newest = [&carried, &rehearsed].into_iter().flatten().filter_map(|carry| Some((carry.at, read(&carry.state)?.ladder?)));
    let ladder = newest.max_by_key(|(at, _)| *at).map(|(_, ladder)| ladder);
    let state = match carried {
        None => Kept::Nothing,
        Some(carry) => read(&carry.state).map_or(Kept::Unreadable, |state| Kept::State(Box::new(state))),
    };
    Ok((state, ladder))
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

/// The state that a run goes on from, with the ladder in it.
pub fn carried_on(state: Option<Snapshot>, ladder: Ladder) -> Outcome<(Snapshot, String)> {
    let state = Snapshot { ladder: Some(ladder), ..state.unwrap_or_default() };
    let text = serde_json::to_string(&state)?;
    Ok((state, text))
}
