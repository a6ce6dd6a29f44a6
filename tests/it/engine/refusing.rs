//! What is missing refuses: nothing opens on what is not known.

use huracan::domain::{MarketData, MarketUpdate, Span};
use huracan::protocol::{DecisionRecord, Event, ModelRole, Refusal, Request, Stream, TradingState, VenueEvent, Verdict};

use crate::desk::{Desk, Lens, settings};

fn refusals(decisions: &[DecisionRecord]) -> Vec<Refusal> {
    let refusal = |d: &DecisionRecord| if let Verdict::Refused(refusal) = d.verdict { Some(refusal) } else { None };
    decisions.iter().filter_map(refusal).collect()
}

#[test]
fn nothing_opens_before_reconciliation() {
    let mut desk = Desk::closed(21, settings());
    desk.open(None);
    desk.clock();
    let now = desk.now();
    let mut news = desk.session.venue.connect(now);
    let reconciled = news.pop().unwrap();
    news.into_iter().for_each(|said| desk.apply(Event::Venue(said)));
    desk.learn(ModelRole::Shadow);
    desk.run(60);
    assert_eq!(desk.openings(), []);
    assert!(refusals(&desk.decisions()).len() >= 20, "it wanted to, at every bar");
    desk.apply(Event::Venue(reconciled));
    desk.run_until("an opening", |d| !d.openings().is_empty());
}

#[test]
fn nothing_opens_before_reconciliation_of_a_later_run() {
    let mut desk = Desk::ready(22);
    desk.run_until("a trade", |d| !d.costs().is_empty());
    let mut wreck = desk.crash();
    wreck.pass(2);
    let mut next = wreck.restart();
    let now = next.now();
    let mut news = next.session.venue.connect(now);
    news.pop();
    news.into_iter().for_each(|said| next.apply(Event::Venue(said)));
    next.learn(ModelRole::Shadow);
    next.run(90);
    assert_eq!(next.openings(), []);
    let refused = refusals(&next.decisions());
    assert!(refused.contains(&Refusal::NotReconciled), "{refused:?}");
}

/// Runs with a damaged feed from a moment on; gives the refusals and the desk.
fn damaged(seed: u64, lens: Lens, seconds: i64) -> (Desk, Vec<Refusal>) {
    let mut desk = Desk::ready(seed);
    desk.run_until("trades", |d| d.session.engine.counters().fills > 3);
    desk.lens = lens;
    // What was sent on good data may still be worked by good data: an entry's deadline.
    desk.run(8);
    let (openings, decisions) = (desk.openings().len(), desk.decisions().len());
    desk.run(seconds);
    assert_eq!(desk.openings().len(), openings, "opened on what is not known");
    let refused = refusals(&desk.decisions()[decisions..]);
    (desk, refused)
}

#[test]
fn a_silent_feed_opens_nothing() {
    let (mut desk, refused) = damaged(23, |_| None, 90);
    assert!(refused.iter().any(|r| matches!(r, Refusal::StaleData { .. })), "{refused:?}");
    let openings = desk.openings().len();
    desk.lens = Some;
    let symbols: Vec<_> = desk.flow.config().symbols.iter().map(|s| s.instrument.symbol).collect();
    symbols.into_iter().for_each(|symbol| desk.book(symbol));
    desk.run_until("trading on a feed that is back", |d| d.openings().len() > openings);
}

#[test]
fn a_book_with_a_gap_opens_nothing_until_a_snapshot() {
    fn without_books(update: MarketUpdate) -> Option<MarketUpdate> {
        let gap = matches!(&update.data, MarketData::Depth(diff) if diff.first_update_id % 7 == 1);
        let quote = matches!(update.data, MarketData::Quote(_));
        (!gap && !quote).then_some(update)
    }
    let (mut desk, _) = damaged(24, without_books, 60);
    let asked = desk.requests().iter().filter(|r| matches!(r, Request::Snapshot { .. })).count();
    assert!(asked >= 3, "{asked} snapshots asked for");
    assert!(desk.session.engine.view().symbols.iter().all(|s| !s.book_valid));
    let openings = desk.openings().len();
    desk.lens = Some;
    let symbols: Vec<_> = desk.flow.config().symbols.iter().map(|s| s.instrument.symbol).collect();
    symbols.into_iter().for_each(|symbol| desk.book(symbol));
    desk.run_until("trading on a whole book", |d| d.openings().len() > openings);
}

#[test]
fn an_interrupted_stream_opens_nothing_until_a_snapshot() {
    let mut desk = Desk::ready(25);
    desk.run_until("trades", |d| d.session.engine.counters().fills > 3);
    let symbols: Vec<_> = desk.flow.config().symbols.iter().map(|s| s.instrument.symbol).collect();
    for symbol in &symbols {
        let local_time = desk.now();
        desk.session.market(MarketUpdate { symbol: *symbol, exchange_time: None, local_time, data: MarketData::Interrupted });
    }
    let openings = desk.openings().len();
    // Diffs that follow a broken stream do not continue anything.
    desk.lens = |update| (!matches!(update.data, MarketData::Quote(_))).then_some(update);
    desk.run(60);
    assert_eq!(desk.openings().len(), openings);
    desk.lens = Some;
    symbols.into_iter().for_each(|symbol| desk.book(symbol));
    desk.run_until("trading on a whole book", |d| d.openings().len() > openings);
}

#[test]
fn an_unknown_clock_opens_nothing() {
    let mut desk = Desk::closed(26, settings());
    // Messages without the venue's time say nothing about its clock.
    desk.lens = |update| Some(MarketUpdate { exchange_time: None, ..update });
    desk.open(None);
    desk.connect();
    desk.learn(ModelRole::Shadow);
    desk.run(60);
    assert_eq!(desk.openings(), []);
    let refused = refusals(&desk.decisions());
    assert!(!refused.is_empty() && refused.iter().all(|r| *r == Refusal::ClockUnknown), "{refused:?}");
    desk.clock();
    desk.run_until("an opening", |d| !d.openings().is_empty());
}

#[test]
fn a_clock_that_moved_opens_nothing() {
    let mut desk = Desk::ready(27);
    desk.run_until("trades", |d| d.session.engine.counters().fills > 3);
    desk.apply(Event::Probe(huracan::protocol::Probe::Clock { offset: Span::from_millis(501), round_trip: Span::ZERO }));
    let openings = desk.openings().len();
    desk.run(90);
    assert_eq!(desk.openings().len(), openings);
    assert!(refusals(&desk.decisions()).iter().any(|r| matches!(r, Refusal::ClockDrift { .. })));
}

#[test]
fn nothing_opens_while_the_user_stream_is_down_nor_before_the_account_is_compared() {
    let mut desk = Desk::ready(28);
    assert!(!desk.session.engine.view().has_traded);
    desk.run_until("trades", |d| d.session.engine.counters().fills > 3);
    let link = |up| Event::Venue(VenueEvent::Link { stream: Stream::User, up });
    desk.apply(link(false));
    let openings = desk.openings().len();
    desk.run(30);
    assert_eq!(desk.openings().len(), openings, "fills would go unheard");
    assert!(!desk.session.engine.view().health.reconciled);
    assert!(!desk.session.engine.may_open(), "what was approved before and waits for the disk stays here");
    desk.apply(link(true));
    let decisions = desk.decisions().len();
    desk.run(60);
    assert_eq!(desk.openings().len(), openings, "what was missed is not known yet");
    let refused = refusals(&desk.decisions()[decisions..]);
    assert!(refused.contains(&Refusal::NotReconciled), "{refused:?}");
    assert_eq!(desk.session.engine.view().trading, TradingState::Reconnecting, "and the screen says so");
    assert!(desk.session.engine.view().has_traded, "this is not a first start");
    desk.reconcile();
    assert!(desk.session.engine.may_open());
    desk.run_until("an opening", |d| d.openings().len() > openings);
    // The market's stream has no part in this.
    desk.apply(Event::Venue(VenueEvent::Link { stream: Stream::Market, up: true }));
    assert!(desk.session.engine.view().health.reconciled);
}
