//! What may go: recorded market data beyond their age or size, and the oldest blocks of journals.
//!
//! A journal is cut at its beginning only, whole blocks at a time. The cut keeps the checksum of the last block that went, so the
//! blocks that stay are still a chain with a known beginning and an exchanged or lost one is found as before. A run with a cut cannot be
//! replayed from its first event any more, and whoever reads its journal is told so. Orders, fills, postings, decisions and all other
//! records have their own tables and stay; trades and depth stay as long as the recording keeps them.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::captures::{self, CaptureId};
use super::error::{Doing, StoreError};
use super::file::Store;
use super::journal::{self, Head, StoredBlock, Sum};
use super::schema::{Key, KeyParts, Table};
use crate::domain::{RunId, Timestamp};
use crate::protocol::RunRecord;

/// What a journal lost at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalCut {
    /// The sequence of the first entry that is left, or that will be written.
    pub next_seq: u64,
    pub blocks: u64,
    pub entries: u64,
    /// Of the last block that went.
    pub(super) sum: Sum,
}

/// Blocks of one run that are old enough to go, by their first sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldBlocks {
    pub(super) run: RunId,
    pub(super) first_seqs: Vec<u64>,
}

impl OldBlocks {
    #[must_use]
    pub fn len(&self) -> usize {
        self.first_seqs.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_seqs.is_empty()
    }
}

impl Store {
    /// Recorded blocks that ended before `before`, and the oldest of the others while all together take more than `max_bytes`.
    pub fn old_captures(&self, before: Timestamp, max_bytes: u64) -> Result<Vec<CaptureId>, StoreError> {
        let mut held = Vec::new();
        self.read(|txn| captures::each(txn, |id, indexed| held.push((id, indexed))))?;
        let mut total: u64 = held.iter().map(|(_, indexed)| u64::from(indexed.bytes)).sum();
        let mut old = Vec::new();
        for (id, indexed) in held {
            if indexed.header.last < before || total > max_bytes {
                total -= u64::from(indexed.bytes);
                old.push(id);
            }
        }
        Ok(old)
    }

    /// Leading journal blocks whose entries and whose run's start are all older than `before`. A run's last block stays.
    pub fn old_journal(&self, before: Timestamp) -> Result<Vec<OldBlocks>, StoreError> {
        self.read(|txn| {
            let mut opened = std::collections::BTreeMap::new();
            Table::Runs.each(txn, &[], &Key::new().after_all(), |key, row| {
                let run: RunRecord = Table::Runs.decoded(key, row)?;
                opened.insert(run.run, run.opened);
                Ok(true)
            })?;
            let mut old = Vec::new();
            for (run, head) in journal::heads(txn)? {
                // A replayed capture is journaled in its own time: it is as old as its run.
                if opened.get(&run).is_some_and(|at| *at >= before) {
                    continue;
                }
                let first_seqs = leading_blocks(txn, run, &head, before)?;
                if !first_seqs.is_empty() {
                    old.push(OldBlocks { run, first_seqs });
                }
            }
            Ok(old)
        })
    }

    /// What the journal of a run lost at its beginning; `None` when it is whole.
    pub fn journal_cut(&self, run: RunId) -> Result<Option<JournalCut>, StoreError> {
        self.read(|txn| cut_of(txn, run))
    }
}

/// A block is old when the one after it begins before `before`.
fn leading_blocks(txn: &ReadTransaction, run: RunId, head: &Head, before: Timestamp) -> Result<Vec<u64>, StoreError> {
    let mut old = Vec::new();
    let mut held: Option<u64> = None;
    let front = Key::new().number(run.0);
    Table::Journal.each(txn, front.as_slice(), &front.after_all(), |key, body| {
        let mut parts = KeyParts(key);
        let Some(first_seq) = parts.number().and_then(|_| parts.number()) else { return Ok(false) };
        let begins = StoredBlock::read(run, first_seq, body).and_then(|block| block.first_at());
        // A damaged block is left where it is, and everything behind it: verification shall find it.
        let goes_on = begins.is_ok_and(|at| at < before) && first_seq < head.next_seq;
        if goes_on {
            old.extend(held.replace(first_seq));
        }
        Ok(goes_on)
    })?;
    Ok(old)
}

pub(super) fn cut_of(txn: &ReadTransaction, run: RunId) -> Result<Option<JournalCut>, StoreError> {
    Table::JournalCuts.get(txn, &Key::new().number(run.0))
}

/// Takes leading blocks away, each of which must continue the chain; stops at the first that does not, which is left for verification.
pub(super) fn cut_journal(txn: &WriteTransaction, old: &OldBlocks) -> Result<(), StoreError> {
    let key = Key::new().number(old.run.0);
    let mut cut: Option<JournalCut> = match Table::JournalCuts.held(txn, &key)? {
        Some(body) => Some(super::codec::decode(&body).map_err(|e| Table::JournalCuts.unreadable(key.as_slice(), e))?),
        None => None,
    };
    let mut table = Table::Journal.open(txn)?;
    for first_seq in &old.first_seqs {
        let block_key = journal::block_key(old.run, *first_seq);
        let row = table.get(block_key.as_slice()).doing("read the journal")?;
        let Some(body) = row.map(|row| row.value().to_vec()) else { continue };
        let (previous, expected) = cut.map_or(([0; 32], *first_seq), |cut| (cut.sum, cut.next_seq));
        let Ok(block) = StoredBlock::read(old.run, *first_seq, &body) else { break };
        if block.header.previous != previous || expected != *first_seq {
            break;
        }
        table.remove(block_key.as_slice()).doing("cut the journal")?;
        let (blocks, entries) = cut.map_or((0, 0), |cut| (cut.blocks, cut.entries));
        cut = Some(JournalCut {
            next_seq: block.header.last_seq + 1,
            blocks: blocks + 1,
            entries: entries + u64::from(block.header.entries),
            sum: block.header.sum,
        });
    }
    drop(table);
    match cut {
        Some(cut) => Table::JournalCuts.put(txn, &key, &cut),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MarketUpdate, Span};
    use crate::store::error::JournalFault;
    use crate::store::journal::Appender;
    use crate::store::recording::CaptureBlock;
    use crate::store::recording::tests::{stream, symbol};
    use crate::store::{JournalEntry, Store, StoreError, samples};

    const RUN: RunId = RunId(77);

    fn store() -> Store {
        Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap()
    }

    fn append(store: &Store, entries: &[JournalEntry]) {
        store
            .write(|txn| {
                let mut appender = Appender::start(txn, RUN)?;
                appender.extend(txn, entries)?;
                appender.flush(txn)
            })
            .unwrap();
    }

    fn read(store: &Store) -> Vec<JournalEntry> {
        store.journal(RUN).unwrap().unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn cut(store: &Store, before: Timestamp) -> usize {
        let old = store.old_journal(before).unwrap();
        old.iter().for_each(|old| store.write(|txn| cut_journal(txn, old)).unwrap());
        old.iter().map(OldBlocks::len).sum()
    }

    #[test]
    fn a_cut_journal_is_sound_tells_what_it_lost_and_grows_on() {
        let (store, entries) = (store(), samples::entries(9_000));
        append(&store, &entries[..6_000]);
        assert!(store.journal_cut(RUN).unwrap().is_none());
        let before = entries[4_000].stamp.at;
        assert!(cut(&store, before) >= 2);
        let lost = store.journal_cut(RUN).unwrap().unwrap();
        assert!((2_000..=4_000).contains(&lost.entries), "{lost:?}");
        assert_eq!(lost.next_seq, entries[lost.entries as usize].stamp.seq);
        assert_eq!(read(&store), entries[lost.entries as usize..6_000]);
        assert_eq!(cut(&store, before), 0, "what is young stays");
        append(&store, &entries[6_000..]);
        assert!(cut(&store, Timestamp::MAX) > 2);
        let later = store.journal_cut(RUN).unwrap().unwrap();
        assert!(later.entries > lost.entries && later.blocks > lost.blocks);
        assert_eq!(read(&store), entries[later.entries as usize..]);
        assert!(!read(&store).is_empty(), "the last block stays");
        let report = store.verify().unwrap();
        assert!(report.sound() && report.journal_entries == 9_000 - later.entries, "{report:?}");
    }

    #[test]
    fn a_block_lost_behind_a_cut_and_a_lost_cut_are_found() {
        for whole in [false, true] {
            let (store, entries) = (store(), samples::entries(6_000));
            append(&store, &entries);
            assert!(cut(&store, entries[3_000].stamp.at) >= 2);
            let next = store.journal_cut(RUN).unwrap().unwrap().next_seq;
            store
                .write(|txn| {
                    let (table, key) = if whole {
                        (Table::JournalCuts, Key::new().number(RUN.0))
                    } else {
                        (Table::Journal, journal::block_key(RUN, next))
                    };
                    table.open(txn)?.remove(key.as_slice()).map(drop).doing("damage")
                })
                .unwrap();
            let fault = store.journal(RUN).unwrap().unwrap().find_map(Result::err).unwrap();
            assert!(matches!(fault, StoreError::Journal { fault: JournalFault::Chain, .. }), "{fault}");
            assert!(!store.verify().unwrap().sound());
        }
    }

    #[test]
    fn a_damaged_block_is_never_cut_away() {
        let (store, entries) = (store(), samples::entries(6_000));
        append(&store, &entries);
        let first = journal::block_key(RUN, 0);
        store
            .write(|txn| {
                let mut table = Table::Journal.open(txn)?;
                let mut body = table.get(first.as_slice()).unwrap().unwrap().value().to_vec();
                body[100] ^= 1;
                table.insert(first.as_slice(), body.as_slice()).map(drop).doing("damage")
            })
            .unwrap();
        assert_eq!(cut(&store, Timestamp::MAX), 0);
        assert!(!store.verify().unwrap().sound());
    }

    #[test]
    fn a_replay_of_old_data_is_as_old_as_its_run() {
        let (store, entries) = (store(), samples::entries(6_000));
        append(&store, &entries);
        let before = entries[5_999].stamp.at + Span::from_secs(86_400);
        store.put_run(&crate::protocol::RunRecord { opened: before + Span::from_secs(1), ..samples::run(RUN.0) }).unwrap();
        assert!(store.old_journal(before).unwrap().is_empty());
        assert!(!store.old_journal(before + Span::from_secs(2)).unwrap().is_empty());
    }

    fn keep(store: &Store, updates: &[MarketUpdate]) {
        for some in updates.chunks(100) {
            let block = CaptureBlock::pack(symbol(), some).unwrap();
            store.write(|txn| captures::put(txn, "Binance", &block)).unwrap();
        }
    }

    #[test]
    fn recorded_data_go_by_age_and_then_by_size_oldest_first() {
        let store = store();
        let updates = stream(1_723_161_254_000, 1_000);
        keep(&store, &updates);
        let bytes = store.capture_series().unwrap()[0].bytes;
        assert!(store.old_captures(updates[0].local_time, bytes).unwrap().is_empty());
        let remove = |ids: Vec<CaptureId>| store.write(|txn| captures::remove(txn, &ids)).unwrap();
        remove(store.old_captures(updates[250].local_time, u64::MAX).unwrap());
        let left = || store.captured("Binance", symbol(), Timestamp::EPOCH, Timestamp::MAX).collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(left(), updates[200..]);
        let bytes = store.capture_series().unwrap()[0].bytes;
        remove(store.old_captures(Timestamp::EPOCH, bytes / 2).unwrap());
        let rest = left();
        assert!(rest.len() < 500 && updates.ends_with(&rest), "{}", rest.len());
        assert!(store.capture_series().unwrap()[0].bytes <= bytes / 2);
        assert!(store.verify().unwrap().sound());
    }
}
