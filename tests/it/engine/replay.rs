//! A journal is a proof: through the data file and back it replays to the same effects, and any change in it shows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use huracan::domain::Timestamp;
use huracan::learning::drive::{Replay, ReplayReport};
use huracan::protocol::{Blob, Effect, Event, Learned, Mode, ModelKind, ModelRecord, Record, Request};
use huracan::store::{FileKind, Identity, JournalEntry, Scope, Store, Writer, verify};

use crate::desk::{Desk, RUN, model};

const MARK: &[u8] = b"a market out of numbers";

fn scope() -> Scope {
    Scope { mode: Mode::Demo, venue: "simulated".to_owned(), account: "demo".to_owned() }
}

fn record_of(adopted: &huracan::protocol::ModelAdopted) -> ModelRecord {
    ModelRecord {
        id: adopted.id.clone(),
        kind: ModelKind::Trees,
        created: Timestamp::EPOCH,
        code_version: "test".to_owned(),
        symbols: Vec::new(),
        data_id: String::new(),
        parent: None,
        feature_version: huracan::market::features::VERSION,
        gates: Vec::new(),
        gates_passed: false,
        report: "{}".to_owned(),
        artifact: adopted.artifact.0.to_vec(),
    }
}

/// A session of three minutes in a data file, written as a run writes it. Gives its fingerprint.
fn recorded(path: &Path) -> u64 {
    let mut desk = Desk::ready(51);
    desk.run(180);
    assert!(desk.session.engine.counters().trades_closed >= 3);
    let store = Store::open(path, &Identity { kind: FileKind::Demo, scope: scope() }).unwrap();
    store.put_model(&record_of(&model(huracan::protocol::ModelRole::Shadow))).unwrap();
    let writer = Writer::start(store, RUN, |_| ()).unwrap();
    let mut last = None;
    for entry in desk.journal.borrow().iter() {
        let records: Vec<Record> =
            entry.effects.iter().filter_map(|e| if let Effect::Persist(r) = e { Some(*r.clone()) } else { None }).collect();
        last = Some(writer.handle().append(vec![entry.clone()], records, false).unwrap());
    }
    assert!(writer.handle().wait(last.unwrap(), Duration::from_secs(60)));
    writer.stop().unwrap();
    desk.session.engine.fingerprint()
}

fn read(path: &Path) -> Result<Vec<JournalEntry>, String> {
    let store = Store::open_read_only(path, scope()).map_err(|e| e.to_string())?;
    let reader = store.journal(RUN).map_err(|e| e.to_string())?.ok_or("no journal")?;
    reader.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
}

fn replay(entries: &[JournalEntry], model_of: impl Fn(&str) -> Result<Vec<u8>, String>) -> ReplayReport {
    let mut replay = Replay::default();
    for entry in entries {
        replay.step(entry.stamp, entry.event.clone(), &entry.effects, &mut |learned| {
            if let Learned::Model(adopted) = learned {
                adopted.artifact = Blob(model_of(&adopted.id)?.into());
            }
            Ok(())
        });
    }
    replay.finish()
}

fn session() -> (tempfile::TempDir, PathBuf, u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("session.redb");
    let fingerprint = recorded(&path);
    (dir, path, fingerprint)
}

#[test]
fn a_journal_replays_from_the_data_file_and_every_change_in_it_is_found() {
    let (_dir, path, fingerprint) = session();
    let entries = read(&path).unwrap();
    let store = Store::open_read_only(&path, scope()).unwrap();
    let stored = |id: &str| store.model(id).map(|m| m.artifact).map_err(|e| e.to_string());

    let report = replay(&entries, stored);
    assert_eq!((report.first_difference, report.fingerprint, report.events), (None, fingerprint, entries.len() as u64));
    assert!(report.effects_compared > 100);

    // One effect says something else than was done.
    let mut forged = entries.clone();
    let at =
        forged.iter().position(|e| e.effects.iter().any(|f| matches!(f, Effect::Send(Request::PlaceList { opening: true, .. })))).unwrap();
    for effect in &mut forged[at].effects {
        if let Effect::Send(Request::PlaceList { opening, .. }) = effect {
            *opening = false;
        }
    }
    let found = replay(&forged, stored).first_difference.unwrap();
    assert_eq!(found.seq, forged[at].stamp.seq);

    // One event is missing.
    let mut short = entries.clone();
    short.remove(at);
    let found = replay(&short, stored).first_difference.unwrap();
    assert_eq!(found.seq, short[at].stamp.seq);
    assert!(found.what.contains("hole"), "{}", found.what);

    // One event says something else than happened.
    let mut changed = entries.clone();
    let fill = changed.iter_mut().find_map(|e| match &mut e.event {
        Event::Venue(huracan::protocol::VenueEvent::Fill(fill)) => Some((e.stamp.seq, fill)),
        _ => None,
    });
    let (seq, fill) = fill.unwrap();
    fill.fee = fill.fee + fill.fee;
    assert_eq!(replay(&changed, stored).first_difference.unwrap().seq, seq);
}

#[test]
fn a_changed_weight_of_the_model_is_found() {
    let (_dir, path, fingerprint) = session();
    let entries = read(&path).unwrap();
    let adopted = model(huracan::protocol::ModelRole::Shadow);
    let adoption = entries.iter().find(|e| matches!(e.event, Event::Learned(Learned::Model(_)))).unwrap().stamp.seq;
    let length = adopted.artifact.0.len();
    for place in [0, 1, length / 3, length / 2, length - 1] {
        let report = replay(&entries, |_| {
            let mut bytes = adopted.artifact.0.to_vec();
            bytes[place] ^= 1;
            Ok(bytes)
        });
        assert_eq!(report.first_difference.unwrap().seq, adoption, "byte {place}");
        assert_ne!(report.fingerprint, fingerprint);
    }
    let gone = replay(&entries, |id| Err(format!("model {id} is not in the file")));
    assert!(gone.first_difference.unwrap().what.contains("is not in the file"));
}

#[test]
fn a_flipped_byte_in_a_journal_row_on_disk_is_found() {
    let (dir, path, _) = session();
    let (sound, bytes) = (read(&path).unwrap(), std::fs::read(&path).unwrap());
    assert!(verify(&path).unwrap().sound());
    // A growing block leaves older copies of itself in free pages: each place is tried alone.
    let places: Vec<usize> = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the first entry names its venue");
    let mut found = 0;
    for (number, place) in places.iter().enumerate() {
        let mut damaged = bytes.clone();
        damaged[place + 3] ^= 0x20;
        let copy = dir.path().join(format!("damaged-{number}.redb"));
        std::fs::write(&copy, damaged).unwrap();
        let reported = !verify(&copy).is_ok_and(|report| report.sound());
        match read(&copy) {
            Ok(entries) => assert!(entries == sound, "a changed byte became another journal"),
            Err(_) => assert!(reported, "the reader sees what verification does not"),
        }
        found += usize::from(reported);
    }
    assert!(found >= 1, "{} places, none of them reported", places.len());
}
