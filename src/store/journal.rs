//! The journal: every event of a run with the effects it had, in compressed blocks that are chained by hash.
//!
//! A block is a header and LZ4 over its entries. `sum` is SHA-256 over run, first sequence, the header's other fields and the
//! compressed bytes; `previous` is the `sum` of the block before it (zeros for the first). The head of each run says where its
//! journal ends. So a flipped bit, a missing or exchanged block and a lost tail are all found by reading.
//!
//! Within a block sequence numbers are implied and times are distances, which pack far better.
//!
//! The last block grows, commit by commit, until it is full: small commits still pack well.

use std::borrow::Cow;

use redb::{ReadTransaction, WriteTransaction};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::codec;
use super::error::{Doing, JournalFault, StoreError};
use super::file::Store;
use super::retention::{JournalCut, cut_of};
use super::schema::{Key, KeyParts, Table};
use crate::domain::{RunId, Timestamp};
use crate::protocol::{Effect, Event, Stamp};

/// One event, when it happened, and what the engine answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    pub stamp: Stamp,
    pub event: Event,
    pub effects: Vec<Effect>,
}

/// A block is full at this many entries or uncompressed bytes, whichever comes first.
const BLOCK_ENTRIES: u32 = 1_024;
const BLOCK_BYTES: usize = 64 << 10;

/// A single entry can be larger than a block (a warm-up with thousands of candles).
const MAX_BLOCK_BYTES: u32 = codec::DECODE_LIMIT as u32;

pub(super) type Sum = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlockHeader {
    pub previous: Sum,
    pub sum: Sum,
    pub entries: u32,
    pub last_seq: u64,
}

/// A block whose bytes match its checksum; where it belongs in the chain is not looked at.
pub(super) struct StoredBlock<'b> {
    pub header: BlockHeader,
    packed: &'b [u8],
    first_seq: u64,
}

impl<'b> StoredBlock<'b> {
    pub fn read(run: RunId, first_seq: u64, body: &'b [u8]) -> Result<Self, JournalFault> {
        let (header, packed) = codec::decode_front::<BlockHeader>(body).map_err(|_| JournalFault::Payload)?;
        if block_sum(run, first_seq, &header, packed) != header.sum {
            return Err(JournalFault::Checksum);
        }
        Ok(Self { header, packed, first_seq })
    }

    /// When its first entry happened.
    pub fn first_at(&self) -> Result<Timestamp, JournalFault> {
        let plain = inflate(self.packed, MAX_BLOCK_BYTES).ok_or(JournalFault::Payload)?;
        codec::decode_plain::<Timestamp>(&plain).map(|(at, _)| plus(at, Timestamp::EPOCH)).map_err(|_| JournalFault::Payload)
    }

    fn entries(&self) -> Option<Vec<JournalEntry>> {
        decode_entries(self.packed, self.first_seq, self.header.entries)
    }
}

/// Where a run's journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The sequence after the last entry.
    pub next_seq: u64,
    pub blocks: u64,
    pub entries: u64,
    sum: Sum,
}

/// The writing end of one run's journal: owns the block that still grows.
#[derive(Debug)]
pub(super) struct Appender {
    run: RunId,
    /// Everything before the growing block; `None` at the start of a run.
    sealed: Option<Head>,
    first_seq: u64,
    plain: Vec<u8>,
    entries: u32,
    /// Time of the last entry in the growing block.
    last_at: Timestamp,
}

impl Appender {
    /// Continues the journal of `run`, or begins it.
    pub fn start(txn: &WriteTransaction, run: RunId) -> Result<Self, StoreError> {
        let key = Key::new().number(run.0);
        let sealed = match Table::JournalHeads.held(txn, &key)? {
            Some(body) => Some(codec::decode(&body).map_err(|e| Table::JournalHeads.unreadable(key.as_slice(), e))?),
            None => None,
        };
        Ok(Self { run, sealed, first_seq: 0, plain: Vec::new(), entries: 0, last_at: Timestamp::EPOCH })
    }

    /// Adds entries with consecutive sequence numbers, writing the blocks they fill. Ends with `flush` before the commit; after an
    /// error the transaction must not be committed, nor this used again.
    pub fn extend(&mut self, txn: &WriteTransaction, entries: &[JournalEntry]) -> Result<(), StoreError> {
        for entry in entries {
            let expected = if self.entries > 0 { Some(self.next_seq()) } else { self.sealed.map(|head| head.next_seq) };
            if expected.is_some_and(|seq| seq != entry.stamp.seq) {
                return Err(StoreError::Journal { run: self.run, seq: entry.stamp.seq, fault: JournalFault::Order });
            }
            if self.entries == 0 {
                self.first_seq = entry.stamp.seq;
                self.last_at = Timestamp::EPOCH;
            }
            let stored = (less(entry.stamp.at, self.last_at), in_distances(&entry.event, entry.stamp.at), &entry.effects);
            codec::encode_plain(&stored, &mut self.plain);
            self.last_at = entry.stamp.at;
            self.entries += 1;
            if self.entries >= BLOCK_ENTRIES || self.plain.len() >= BLOCK_BYTES {
                self.sealed = Some(self.write(txn)?);
                self.plain.clear();
                self.entries = 0;
            }
        }
        Ok(())
    }

    /// Writes the block that still grows, and the head.
    pub fn flush(&self, txn: &WriteTransaction) -> Result<(), StoreError> {
        let head = if self.entries > 0 { Some(self.write(txn)?) } else { self.sealed };
        match head {
            Some(head) => Table::JournalHeads.put(txn, &Key::new().number(self.run.0), &head),
            None => Ok(()),
        }
    }

    const fn next_seq(&self) -> u64 {
        self.first_seq + self.entries as u64
    }

    /// Writes the growing block and tells the head that results.
    fn write(&self, txn: &WriteTransaction) -> Result<Head, StoreError> {
        let packed = lz4_flex::compress_prepend_size(&self.plain);
        let previous = self.sealed.map_or([0; 32], |head| head.sum);
        let mut header = BlockHeader { previous, sum: [0; 32], entries: self.entries, last_seq: self.next_seq() - 1 };
        header.sum = block_sum(self.run, self.first_seq, &header, &packed);
        let mut body = codec::encode(&header);
        body.extend_from_slice(&packed);
        // Blocks carry their own, longer checksum: no seal on top.
        let key = block_key(self.run, self.first_seq);
        Table::Journal.open(txn)?.insert(key.as_slice(), body.as_slice()).doing("write the journal")?;
        let (blocks, entries) = self.sealed.map_or((0, 0), |head| (head.blocks, head.entries));
        Ok(Head { next_seq: self.next_seq(), blocks: blocks + 1, entries: entries + u64::from(self.entries), sum: header.sum })
    }
}

/// Reads one run's journal as it stood when the reader was made, block by block, checking the chain. Stops at the first fault.
pub struct JournalReader {
    store: Store,
    run: RunId,
    head: Head,
    cut: Option<JournalCut>,
    next_block: Vec<u8>,
    previous: Sum,
    expected_seq: Option<u64>,
    ready: std::vec::IntoIter<JournalEntry>,
    finished: bool,
}

impl JournalReader {
    /// `None` when the run has no journal.
    pub(super) fn open(store: &Store, run: RunId) -> Result<Option<Self>, StoreError> {
        let front = Key::new().number(run.0);
        let (head, cut): (Option<Head>, _) = store.read(|txn| Ok((Table::JournalHeads.get(txn, &front)?, cut_of(txn, run)?)))?;
        let Some(head) = head else {
            // Blocks that no head knows have lost their tail.
            let orphan = store.read(|txn| next_block(txn, front.as_slice(), &front.after_all()))?;
            return match orphan {
                Some((seq, _)) => Err(StoreError::Journal { run, seq, fault: JournalFault::Missing }),
                None => Ok(None),
            };
        };
        let ready = Vec::new().into_iter();
        let next_block = front.as_slice().to_vec();
        let (previous, expected_seq) = (cut.map_or([0; 32], |cut| cut.sum), cut.map(|cut| cut.next_seq));
        Ok(Some(Self { store: store.clone(), run, head, cut, next_block, previous, expected_seq, ready, finished: false }))
    }

    /// Entries that are there, as head and cut tell.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.head.entries.saturating_sub(self.cut.map_or(0, |cut| cut.entries))
    }

    /// What retention took from the beginning; `None` when the journal is whole.
    #[must_use]
    pub const fn cut(&self) -> Option<JournalCut> {
        self.cut
    }

    /// Decodes the next block into `ready`; false after the last.
    fn advance(&mut self) -> Result<bool, StoreError> {
        if self.expected_seq == Some(self.head.next_seq) {
            return Ok(false);
        }
        let until = Key::new().number(self.run.0).after_all();
        // A read transaction for each block: a slow consumer never pins old pages.
        let found = self.store.read(|txn| next_block(txn, &self.next_block, &until))?;
        let at = self.expected_seq.unwrap_or(0);
        let broken = |seq, fault| StoreError::Journal { run: self.run, seq, fault };
        let Some((first_seq, body)) = found else { return Err(broken(at, JournalFault::Missing)) };
        let block = StoredBlock::read(self.run, first_seq, &body).map_err(|fault| broken(first_seq, fault))?;
        let header = block.header;
        if header.previous != self.previous || self.expected_seq.is_some_and(|seq| seq != first_seq) {
            return Err(broken(first_seq, JournalFault::Chain));
        }
        let mut entries = block.entries().ok_or_else(|| broken(first_seq, JournalFault::Payload))?;
        if first_seq.checked_add(u64::from(header.entries)) != header.last_seq.checked_add(1) {
            return Err(broken(first_seq, JournalFault::Order));
        }
        // The last block may have grown since the head was read.
        entries.retain(|entry| entry.stamp.seq < self.head.next_seq);
        self.expected_seq = Some(header.last_seq.saturating_add(1).min(self.head.next_seq));
        self.previous = header.sum;
        self.next_block = block_key(self.run, first_seq.saturating_add(1)).as_slice().to_vec();
        self.ready = entries.into_iter();
        Ok(true)
    }
}

impl Iterator for JournalReader {
    type Item = Result<JournalEntry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Some(Ok(entry));
            }
            if self.finished {
                return None;
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => self.finished = true,
                Err(fault) => {
                    self.finished = true;
                    return Some(Err(fault));
                }
            }
        }
    }
}

/// Every run with a journal, and where it ends.
pub(super) fn heads(txn: &ReadTransaction) -> Result<Vec<(RunId, Head)>, StoreError> {
    let mut found = Vec::new();
    Table::JournalHeads.each(txn, &[], &Key::new().after_all(), |key, row| {
        let head = Table::JournalHeads.decoded(key, row)?;
        found.extend(KeyParts(key).number().map(|run| (RunId(run), head)));
        Ok(true)
    })?;
    Ok(found)
}

/// Every run that has blocks, whether a head knows it or not, with the number of blocks.
pub(super) fn runs_with_blocks(txn: &ReadTransaction) -> Result<Vec<(RunId, u64)>, StoreError> {
    let mut found: Vec<(RunId, u64)> = Vec::new();
    Table::Journal.each(txn, &[], &Key::new().after_all(), |key, _| {
        let run = RunId(KeyParts(key).number().unwrap_or(0));
        match found.last_mut() {
            Some((last, blocks)) if *last == run => *blocks += 1,
            _ => found.push((run, 1)),
        }
        Ok(true)
    })?;
    Ok(found)
}

/// The bytes behind LZ4's length prefix; `None` when damaged or larger than `most`.
pub(super) fn inflate(packed: &[u8], most: u32) -> Option<Vec<u8>> {
    let claimed = u32::from_le_bytes(*packed.first_chunk::<4>()?);
    if claimed > most {
        return None;
    }
    lz4_flex::decompress_size_prepended(packed).ok()
}

fn decode_entries(packed: &[u8], first_seq: u64, count: u32) -> Option<Vec<JournalEntry>> {
    let plain = inflate(packed, MAX_BLOCK_BYTES)?;
    let mut rest = plain.as_slice();
    let mut entries = Vec::new();
    let mut at = Timestamp::EPOCH;
    for place in 0..u64::from(count) {
        let ((step, event, effects), after): ((Timestamp, Event, Vec<Effect>), _) = codec::decode_plain(rest).ok()?;
        at = plus(step, at);
        let stamp = Stamp { seq: first_seq.checked_add(place)?, at };
        entries.push(JournalEntry { stamp, event: in_moments(event, at), effects });
        rest = after;
    }
    rest.is_empty().then_some(entries)
}

/// A market event with its times as distances: local time from the stamp, the venue's time from the local one. Most of a
/// trade's bytes would else be the same clock three times.
fn in_distances(event: &Event, at: Timestamp) -> Cow<'_, Event> {
    let Event::Market(update) = event else { return Cow::Borrowed(event) };
    let mut update = update.clone();
    update.exchange_time = update.exchange_time.map(|time| less(time, update.local_time));
    update.local_time = less(update.local_time, at);
    Cow::Owned(Event::Market(update))
}

/// The counterpart of `in_distances`.
fn in_moments(mut event: Event, at: Timestamp) -> Event {
    if let Event::Market(update) = &mut event {
        update.local_time = plus(update.local_time, at);
        update.exchange_time = update.exchange_time.map(|time| plus(time, update.local_time));
    }
    event
}

/// Wrapping, so that any two moments round-trip.
fn less(time: Timestamp, from: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.nanos().wrapping_sub(from.nanos()))
}

fn plus(distance: Timestamp, from: Timestamp) -> Timestamp {
    Timestamp::from_nanos(distance.nanos().wrapping_add(from.nanos()))
}

fn next_block(txn: &ReadTransaction, from: &[u8], until: &[u8]) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let mut found = None;
    Table::Journal.each(txn, from, until, |key, body| {
        let mut parts = KeyParts(key);
        found = parts.number().and_then(|_| parts.number()).map(|seq| (seq, body.to_vec()));
        Ok(false)
    })?;
    Ok(found)
}

pub(super) fn block_key(run: RunId, first_seq: u64) -> Key {
    Key::new().number(run.0).number(first_seq)
}

fn block_sum(run: RunId, first_seq: u64, header: &BlockHeader, packed: &[u8]) -> Sum {
    let mut hash = Sha256::new();
    hash.update(run.0.to_le_bytes());
    hash.update(first_seq.to_le_bytes());
    hash.update(header.previous);
    hash.update(header.entries.to_le_bytes());
    hash.update(header.last_seq.to_le_bytes());
    hash.update(packed);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;
    use redb::ReadableTable;

    const RUN: RunId = RunId(77);

    fn written(entries: &[JournalEntry], batch: usize) -> Store {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
        let mut appender = store.write(|txn| Appender::start(txn, RUN)).unwrap();
        for some in entries.chunks(batch) {
            append(&store, &mut appender, some).unwrap();
        }
        store
    }

    fn append(store: &Store, appender: &mut Appender, entries: &[JournalEntry]) -> Result<(), StoreError> {
        store.write(|txn| {
            appender.extend(txn, entries)?;
            appender.flush(txn)
        })
    }

    fn read(store: &Store) -> Result<Vec<JournalEntry>, StoreError> {
        store.journal(RUN)?.expect("the run has a journal").collect()
    }

    fn fault(store: &Store) -> JournalFault {
        match read(store) {
            Err(StoreError::Journal { fault, .. }) => fault,
            other => panic!("not a journal fault: {other:?}"),
        }
    }

    fn block_keys(store: &Store) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        store
            .read(|txn| {
                Table::Journal.each(txn, &[], &Key::new().after_all(), |key, _| {
                    keys.push(key.to_vec());
                    Ok(true)
                })
            })
            .unwrap();
        keys
    }

    #[test]
    fn what_is_appended_in_any_batches_is_read_back_in_order() {
        let entries = samples::entries(3_000);
        for batch in [1, 7, 1_024, 3_000] {
            let entries = if batch == 1 { &entries[..1_500] } else { &entries[..] };
            let store = written(entries, batch);
            assert_eq!(read(&store).unwrap(), entries, "batches of {batch}");
            let blocks = block_keys(&store).len();
            assert!(blocks <= entries.len() / 256, "{blocks} blocks: small commits must share them");
        }
    }

    #[test]
    fn extreme_times_round_trip_and_a_market_event_takes_few_bytes() {
        let mut entries = samples::entries(1_000);
        let store = written(&entries, 1_000);
        let key = block_keys(&store)[0].clone();
        let size = store.write(|txn| Ok(Table::Journal.open(txn)?.get(key.as_slice()).unwrap().unwrap().value().len())).unwrap();
        assert!(size < 1_000 * 24, "{size} bytes for 1000 market events");
        for (i, nanos) in [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN, i64::MAX].into_iter().enumerate() {
            entries[i].stamp.at = Timestamp::from_nanos(nanos);
            if let Event::Market(update) = &mut entries[i + 1].event {
                update.local_time = Timestamp::from_nanos(nanos);
                update.exchange_time = (i % 2 == 0).then_some(Timestamp::from_nanos(!nanos));
            }
        }
        assert_eq!(read(&written(&entries, 300)).unwrap(), entries);
    }

    #[test]
    fn a_continued_run_chains_on_and_a_gap_is_refused() {
        let entries = samples::entries(50);
        let store = written(&entries[..20], 20);
        let mut again = store.write(|txn| Appender::start(txn, RUN)).unwrap();
        append(&store, &mut again, &entries[20..40]).unwrap();
        assert_eq!(read(&store).unwrap(), entries[..40]);
        let gap = append(&store, &mut again, &entries[41..]);
        assert!(matches!(gap, Err(StoreError::Journal { fault: JournalFault::Order, .. })));
        assert_eq!(read(&store).unwrap(), entries[..40]);
    }

    #[test]
    fn one_flipped_bit_anywhere_in_a_block_is_found() {
        let store = written(&samples::entries(3_000), 500);
        let key = block_keys(&store)[1].clone();
        let body = store.write(|txn| Ok(Table::Journal.open(txn)?.get(key.as_slice()).unwrap().unwrap().value().to_vec())).unwrap();
        for bit in (0..body.len() * 8).step_by(997) {
            let mut bad = body.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            store.write(|txn| Table::Journal.open(txn)?.insert(key.as_slice(), bad.as_slice()).map(|_| ()).doing("damage")).unwrap();
            fault(&store);
        }
    }

    #[test]
    fn a_missing_block_and_a_lost_tail_are_found() {
        for (lost, expected) in [(0, JournalFault::Chain), (1, JournalFault::Chain), (usize::MAX, JournalFault::Missing)] {
            let store = written(&samples::entries(3_000), 500);
            let keys = block_keys(&store);
            let key = &keys[lost.min(keys.len() - 1)];
            store.write(|txn| Table::Journal.open(txn)?.remove(key.as_slice()).map(|_| ()).doing("damage")).unwrap();
            assert_eq!(fault(&store), expected);
        }
        let store = written(&samples::entries(100), 100);
        store.write(|txn| Table::JournalHeads.open(txn)?.remove(Key::new().number(RUN.0).as_slice()).map(|_| ()).doing("damage")).unwrap();
        assert!(matches!(store.journal(RUN), Err(StoreError::Journal { fault: JournalFault::Missing, .. })));
    }

    #[test]
    fn a_reader_sees_the_journal_as_it_stood_while_it_grows() {
        let entries = samples::entries(2_500);
        let store = written(&entries[..1_300], 100);
        let mut reader = store.journal(RUN).unwrap().unwrap();
        let first = reader.next().unwrap().unwrap();
        let mut appender = store.write(|txn| Appender::start(txn, RUN)).unwrap();
        append(&store, &mut appender, &entries[1_300..]).unwrap();
        let rest: Result<Vec<_>, _> = reader.collect();
        assert_eq!(first, entries[0]);
        assert_eq!(rest.unwrap(), entries[1..1_300]);
        assert_eq!(read(&store).unwrap(), entries);
    }
}
