//! `huracan replay`: a run from its journal, summarised or recomputed.

use std::collections::BTreeMap;
use std::sync::Arc;

use indicatif::ProgressBar;
use serde::Serialize;

use super::{data_file, progress};
use crate::app::Context;
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::domain::RunId;
use crate::learning::drive::{Replay, ReplayReport};
use crate::memory::{Graph, Shape};
use crate::protocol::{Blob, Carried, Effect, Event, Learned, RunRecord};
use crate::store::{Store, StoreError};

pub fn replay(context: &Context, run: Option<&str>, verify: bool) -> Outcome {
    let store = data_file::reading(context)?;
    let (run, record) = chosen(&store, run)?;
    if verify { recompute(context, &store, run, record.as_ref()) } else { summary(context, &store, run, record) }
}

/// The run that was named by the beginning of its id, or the newest with a journal.
fn chosen(store: &Store, wanted: Option<&str>) -> Outcome<(RunId, Option<RunRecord>)> {
    let mut records: BTreeMap<RunId, RunRecord> = BTreeMap::new();
    for scope in store.scopes()? {
        records.extend(store.seen_by(scope).runs()?.into_iter().map(|record| (record.run, record)));
    }
    let journaled: Vec<RunId> = store.journaled_runs()?.into_iter().map(|(run, _)| run).collect();
    let found = match wanted {
        Some(start) => {
            let named: Vec<RunId> = journaled.into_iter().filter(|run| run.to_string().starts_with(start)).collect();
            match named.as_slice() {
                [one] => *one,
                [] => return Err(Failure::failed(format!("no run with a journal begins with {start}"))),
                many => return Err(Failure::usage(format!("{} runs begin with {start}; write more of the id", many.len()))),
            }
        }
        None => {
            let newest = journaled.into_iter().max_by_key(|run| (records.get(run).map(|record| record.opened), *run));
            newest.ok_or_else(|| Failure::failed(format!("{} holds no journal yet; run huracan first", store.path().display())))?
        }
    };
    Ok((found, records.remove(&found)))
}

#[derive(Debug, Serialize)]
struct Compared {
    run: String,
    events: u64,
    effects_compared: u64,
    first_difference: Option<Parted>,
    identical: bool,
    fingerprint: String,
    /// As the run wrote it when it closed; `null` for a run that was cut off.
    recorded_fingerprint: Option<String>,
    /// False when an effect left without its journal entry (the run went on where the journal stops), or when retention took the
    /// journal's beginning.
    replayable: bool,
    /// Events that retention took from the beginning of the journal; they can not be compared any more.
    events_gone: u64,
}

#[derive(Debug, Serialize)]
struct Parted {
    seq: u64,
    what: String,
}

fn recompute(context: &Context, store: &Store, run: RunId, record: Option<&RunRecord>) -> Outcome {
    if let Some(cut) = store.journal_cut(run)? {
        return beheaded(context, run, cut.entries, record);
    }
    let bar = progress::bar(context.out, 0).with_message("replaying");
    let report = replayed(store, run, &bar)?;
    bar.finish_and_clear();
    let answer = compared(run, report, record);
    context.out.answer(&answer, || {
        let verdict = match &answer.first_difference {
            _ if answer.identical => "identical".to_owned(),
            Some(parted) => format!("NOT identical: event {}: {}", parted.seq, parted.what),
            None => "NOT identical: the fingerprints differ".to_owned(),
        };
        let recorded = answer.recorded_fingerprint.as_deref().unwrap_or("none, the run was cut off");
        format!(
            "run {}: {} events replayed, {} effects compared: {verdict}\nfingerprint {}, recorded {recorded}",
            answer.run, answer.events, answer.effects_compared, answer.fingerprint
        )
    })?;
    if answer.identical { Ok(()) } else { Err(Failure::failed(format!("run {run} does not replay to what its journal holds"))) }
}

/// A journal without its beginning proves nothing: it is told, and never called identical.
fn beheaded(context: &Context, run: RunId, gone: u64, record: Option<&RunRecord>) -> Outcome {
    let answer = Compared { replayable: false, identical: false, events_gone: gone, ..compared(run, ReplayReport::default(), record) };
    let said = format!(
        "run {run} is not replayable: its first {gone} events are older than journal.market_hours and have gone; its orders, fills, ledger and          decisions are kept"
    );
    context.out.answer(&answer, || said.clone())?;
    Err(Failure::failed(said))
}

/// A fresh engine takes the whole journal again.
fn replayed(store: &Store, run: RunId, bar: &ProgressBar) -> Outcome<ReplayReport> {
    let journal = store.journal(run)?.ok_or_else(|| Failure::failed(format!("run {run} has no journal")))?;
    bar.set_length(journal.entries());
    let mut replay = Replay::default();
    for entry in journal {
        let entry = entry?;
        replay.step(entry.stamp, entry.event, &entry.effects, &mut |learned| resolve(store, learned));
        bar.inc(1);
    }
    Ok(replay.finish())
}

fn compared(run: RunId, report: ReplayReport, record: Option<&RunRecord>) -> Compared {
    let recorded = record.and_then(|record| record.fingerprint);
    let replayable = record.is_none_or(|record| record.replayable);
    // Nothing replayed proves nothing; a run that outlived its journal ended with another fingerprint.
    let same = recorded.is_none_or(|recorded| recorded == report.fingerprint || !replayable);
    Compared {
        run: run.to_string(),
        identical: report.events > 0 && report.first_difference.is_none() && same,
        events: report.events,
        effects_compared: report.effects_compared,
        first_difference: report.first_difference.map(|d| Parted { seq: d.seq, what: d.what }),
        fingerprint: format!("{:016x}", report.fingerprint),
        recorded_fingerprint: recorded.map(|fingerprint| format!("{fingerprint:016x}")),
        replayable,
        events_gone: 0,
    }
}

/// Puts back what the journal names by hash only.
fn resolve(store: &Store, learned: &mut Learned) -> Result<(), String> {
    let told = |fault: StoreError| format!("{:#}", anyhow::Error::from(fault));
    match learned {
        Learned::Model(adopted) => {
            let model = store.model(&adopted.id).map_err(told)?;
            adopted.artifact = Blob(Arc::new(model.artifact));
        }
        Learned::Memory { count, hash, episodes } => {
            *episodes = Arc::new(store.episodes(..*count).map_err(told)?);
            let actual = store.episodes_hash(*count).map_err(told)?;
            if actual != *hash {
                return Err(format!("the first {count} episodes hash to {actual}, the run learned from {hash}"));
            }
        }
        Learned::IndexReady { covers, hash, graph } => {
            let built = Graph::build(&store.episodes(..*covers).map_err(told)?, Shape::CURRENT);
            if built.hash() != *hash {
                return Err(format!("the graph over {covers} episodes hashes to {:x}, the run adopted {hash:x}", built.hash()));
            }
            *graph = Carried(Some(Arc::new(built)));
        }
        _ => {}
    }
    Ok(())
}

#[derive(Debug, Default, Serialize)]
struct Counted {
    events: u64,
    effects: u64,
    /// By kind.
    event_kinds: BTreeMap<&'static str, u64>,
    effect_kinds: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct Summary {
    run: String,
    record: Option<RunRecord>,
    /// Events that retention took from the beginning; the counts are of what is left.
    events_gone: u64,
    #[serde(flatten)]
    counted: Counted,
}

fn summary(context: &Context, store: &Store, run: RunId, record: Option<RunRecord>) -> Outcome {
    let journal = store.journal(run)?.ok_or_else(|| Failure::failed(format!("run {run} has no journal")))?;
    let bar = progress::bar(context.out, journal.entries()).with_message("reading");
    let mut counted = Counted::default();
    let events_gone = journal.cut().map_or(0, |cut| cut.entries);
    for entry in journal {
        let entry = entry?;
        counted.events += 1;
        counted.effects += entry.effects.len() as u64;
        *counted.event_kinds.entry(event_kind(&entry.event)).or_default() += 1;
        for effect in &entry.effects {
            *counted.effect_kinds.entry(effect_kind(effect)).or_default() += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let answer = Summary { run: run.to_string(), record, events_gone, counted };
    context.out.answer(&answer, || summary_text(&answer))
}

fn summary_text(summary: &Summary) -> String {
    let mut rows = vec![vec!["run".to_owned(), summary.run.clone()]];
    if let Some(record) = &summary.record {
        let closed = record.closed.map_or("not closed: it was cut off or still runs".to_owned(), |at| at.to_string());
        rows.extend([
            vec!["mode".to_owned(), record.mode.to_string()],
            vec!["venue".to_owned(), record.venue.clone()],
            vec!["opened".to_owned(), record.opened.to_string()],
            vec!["closed".to_owned(), closed],
            vec!["program".to_owned(), record.code_version.clone()],
            vec!["replayable".to_owned(), record.replayable.to_string()],
        ]);
    }
    let counts = |total: u64, kinds: &BTreeMap<&str, u64>| {
        let parts: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        format!("{total} ({})", parts.join(", "))
    };
    let counted = &summary.counted;
    if summary.events_gone > 0 {
        rows.push(vec!["gone".to_owned(), format!("the first {} events, by journal.market_hours: not replayable", summary.events_gone)]);
    }
    rows.push(vec!["events".to_owned(), counts(counted.events, &counted.event_kinds)]);
    rows.push(vec!["effects".to_owned(), counts(counted.effects, &counted.effect_kinds)]);
    format!("{}\nhuracan replay --verify recomputes every effect", table(&rows))
}

const fn event_kind(event: &Event) -> &'static str {
    match event {
        Event::RunOpened(_) => "run_opened",
        Event::Market(_) => "market",
        Event::Venue(_) => "venue",
        Event::Tick => "tick",
        Event::Probe(_) => "probe",
        Event::Command(_) => "command",
        Event::Learned(_) => "learned",
    }
}

const fn effect_kind(effect: &Effect) -> &'static str {
    match effect {
        Effect::Send(_) => "send",
        Effect::Persist(_) => "persist",
        Effect::Alert(_) => "alert",
        Effect::Carry { .. } => "carry",
    }
}

#[cfg(test)]
mod tests {
    use super::super::data_file;
    use super::super::data_file::tests::context;
    use super::*;
    use crate::app::config::engine_settings;
    use crate::domain::{Episode, ExitReason, Level, MarketData, MarketUpdate, Origin, Quote, Regime, Span, Timestamp};
    use crate::engine::Engine;
    use crate::learning::drive::{Difference, PaperVenue, Session};
    use crate::protocol::{Mode, RunOpened};
    use crate::store::{Bulk, JournalEntry, Writer};
    use crate::venue::infer_instrument;

    fn record(fingerprint: Option<u64>, replayable: bool) -> RunRecord {
        RunRecord {
            run: RunId(1),
            mode: Mode::Demo,
            venue: String::new(),
            opened: Timestamp::EPOCH,
            closed: None,
            code_version: String::new(),
            settings_hash: String::new(),
            models: Vec::new(),
            fingerprint,
            events: 0,
            effects: 0,
            replayable,
            summary: None,
        }
    }

    #[test]
    fn identical_needs_events_no_difference_and_the_recorded_fingerprint() {
        let report = |events| ReplayReport { events, fingerprint: 5, ..ReplayReport::default() };
        let identical = |report, record: Option<&RunRecord>| compared(RunId(1), report, record).identical;
        assert!(identical(report(3), None));
        assert!(identical(report(3), Some(&record(Some(5), true))));
        assert!(identical(report(3), Some(&record(None, true))), "cut off: there is only the journal to compare with");
        assert!(!identical(report(3), Some(&record(Some(6), true))));
        assert!(!identical(report(0), None), "nothing replayed proves nothing");
        let parted = ReplayReport { first_difference: Some(Difference { seq: 2, what: "x".into() }), ..report(3) };
        assert!(!identical(parted, None));
    }

    fn episode() -> Episode {
        Episode {
            number: 0,
            symbol: "BTCUSDT".parse().unwrap(),
            origin: Origin::Shadow,
            entry_time: Timestamp::EPOCH,
            known_at: Timestamp::from_millis(1),
            vector: vec![0.5; crate::market::features::NAMES.len()],
            feature_version: crate::market::features::VERSION,
            regime: Regime::Range,
            gross_bps: 1.0,
            cost_bps: 20.0,
            net_bps: -19.0,
            held: Span::from_secs(1),
            worst_bps: -1.0,
            best_bps: 1.0,
            exit: ExitReason::Stop,
        }
    }

    /// A short run with quotes and a memory, as its journal, and its fingerprint.
    fn journal(context: &Context, hash: String) -> (Vec<JournalEntry>, u64) {
        let settings = engine_settings(&context.config, Mode::Paper, false);
        let instruments = settings.symbols.iter().map(|symbol| infer_instrument(*symbol, &[], context.config.fees()).0).collect();
        let venue = PaperVenue::new(instruments, settings.quote, "10000".parse().unwrap(), Span::from_millis(50));
        let entries = std::cell::RefCell::new(Vec::new());
        let sink = Box::new(|_: &Engine, stamp, event: &Event, effects: &[Effect]| {
            entries.borrow_mut().push(JournalEntry { stamp, event: event.clone(), effects: effects.to_vec() });
        });
        let opened = RunOpened {
            run: RunId(1),
            mode: Mode::Paper,
            venue: "test".into(),
            code_version: String::new(),
            settings: serde_json::to_string(&settings).unwrap(),
            settings_hash: String::new(),
            carried: None,
        };
        let at = |secs: i64| Timestamp::from_millis(secs * 1_000);
        let symbol = settings.symbols[0];
        let mut session = Session::new(Engine::new(settings), venue, sink);
        session.apply(at(0), Event::RunOpened(Box::new(opened)));
        session.connect(at(0));
        session.apply(at(0), Event::Learned(Learned::Memory { count: 1, hash, episodes: Arc::new(vec![episode()]) }));
        for secs in 1..200 {
            let level = |price: i64| Level { price: crate::domain::Price::from_raw(price), qty: "1".parse().unwrap() };
            let quote = Quote { update_id: 0, bid: level(6_000_000_000_000 + secs), ask: level(6_000_001_000_000 + secs) };
            session.market(MarketUpdate { symbol, exchange_time: Some(at(secs)), local_time: at(secs), data: MarketData::Quote(quote) });
        }
        let fingerprint = session.engine.fingerprint();
        drop(session);
        (entries.into_inner(), fingerprint)
    }

    #[test]
    fn a_journal_replays_to_itself_and_a_changed_memory_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(&dir.path().join("x.redb"));
        let store = data_file::writing(&context).unwrap();
        let write = |run: RunId, bulk: Option<Bulk>, entries: Vec<JournalEntry>| {
            let writer = Writer::start(store.clone(), run, |_| {}).unwrap();
            bulk.map(|bulk| writer.handle().bulk(bulk).unwrap());
            writer.handle().append(entries, Vec::new(), true).unwrap();
            writer.stop().unwrap();
        };
        write(RunId(9), Some(Bulk::Episodes(vec![episode()])), Vec::new());
        let (entries, fingerprint) = journal(&context, store.episodes_hash(1).unwrap());
        let events = entries.len() as u64;
        write(RunId(1), None, entries);
        let bar = ProgressBar::hidden();
        let report = replayed(&store, RunId(1), &bar).unwrap();
        assert_eq!((report.first_difference.clone(), report.events, report.fingerprint), (None, events, fingerprint));
        assert!(report.effects_compared > 0 && compared(RunId(1), report, Some(&record(Some(fingerprint), true))).identical);
        assert_eq!(chosen(&store, Some("000000")).unwrap().0, RunId(1));
        let (entries, _) = journal(&context, "other".into());
        write(RunId(2), None, entries);
        let parted = replayed(&store, RunId(2), &bar).unwrap().first_difference.unwrap();
        assert!(parted.what.contains("the run learned from other"), "{}", parted.what);
    }
}
