//! The recorded market data of a file: blocks by (venue, market, start), and an index by time that says what there is.
//!
//! The index has one small row a block, oldest first over all markets: retention and listing read it and never the blocks.

use redb::{ReadTransaction, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::{Doing, StoreError};
use super::file::Store;
use super::recording::{BlockHeader, CaptureBlock};
use super::schema::{Key, KeyParts, Table};
use crate::domain::{MarketUpdate, Span, Symbol, Timestamp};

/// What is recorded of one market of one venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaptureSeries {
    pub venue: String,
    pub symbol: Symbol,
    pub blocks: u64,
    pub events: u64,
    /// As packed.
    pub bytes: u64,
    /// Arrival of the first and of the last event.
    pub first: Timestamp,
    pub last: Timestamp,
}

/// One block: where it lies, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureId {
    pub(super) venue: String,
    pub(super) symbol: Symbol,
    pub(super) start: Timestamp,
}

/// A row of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Indexed {
    pub header: BlockHeader,
    pub bytes: u32,
}

impl CaptureId {
    fn block_key(&self) -> Key {
        Key::new().text(&self.venue).text(self.symbol.as_str()).time(self.start)
    }

    fn index_key(&self) -> Key {
        Key::new().time(self.start).text(&self.venue).text(self.symbol.as_str())
    }

    pub(super) fn of_index_key(key: &[u8]) -> Option<Self> {
        let mut parts = KeyParts(key);
        let start = Timestamp::from_nanos(parts.signed()?);
        Some(Self { start, venue: parts.text()?.to_owned(), symbol: parts.text()?.parse().ok()? })
    }
}

/// Keeps a block. Its start is its first arrival, or the next free nanosecond after it.
pub(super) fn put(txn: &WriteTransaction, venue: &str, block: &CaptureBlock) -> Result<(), StoreError> {
    let mut id = CaptureId { venue: venue.to_owned(), symbol: block.symbol, start: block.header.first };
    while Table::CaptureIndex.held(txn, &id.index_key())?.is_some() {
        id.start = id.start + Span::from_nanos(1);
    }
    let mut body = codec::encode(&block.header);
    body.extend_from_slice(&block.packed);
    Table::Captures.put_bytes(txn, &id.block_key(), body)?;
    let row = Indexed { header: block.header, bytes: u32::try_from(block.packed.len()).unwrap_or(u32::MAX) };
    Table::CaptureIndex.put(txn, &id.index_key(), &row)
}

/// Removes blocks; one that is gone already is no error.
pub(super) fn remove(txn: &WriteTransaction, ids: &[CaptureId]) -> Result<(), StoreError> {
    let (mut blocks, mut index) = (Table::Captures.open(txn)?, Table::CaptureIndex.open(txn)?);
    for id in ids {
        blocks.remove(id.block_key().as_slice()).doing("remove a recorded block")?;
        index.remove(id.index_key().as_slice()).doing("remove a recorded block")?;
    }
    Ok(())
}

/// Calls `seen` for every block from old to new.
pub(super) fn each(txn: &ReadTransaction, mut seen: impl FnMut(CaptureId, Indexed)) -> Result<(), StoreError> {
    Table::CaptureIndex.each(txn, &[], &Key::new().after_all(), |key, row| {
        let held: Indexed = Table::CaptureIndex.decoded(key, row)?;
        let id = CaptureId::of_index_key(key).ok_or_else(|| damaged(Table::CaptureIndex, key))?;
        seen(id, held);
        Ok(true)
    })
}

/// A stored block, for verification: what its key and the row say together, unpacked.
pub(super) fn stored_block(key: &[u8], row: &[u8]) -> Result<(CaptureId, Vec<MarketUpdate>), StoreError> {
    let mut parts = KeyParts(key);
    let broken = || damaged(Table::Captures, key);
    let mut text = || parts.text().ok_or_else(broken);
    let (venue, symbol) = (text()?.to_owned(), text()?.parse().map_err(|_| broken())?);
    let start = Timestamp::from_nanos(parts.signed().ok_or_else(broken)?);
    let body = Table::Captures.unsealed(key, row)?;
    let (header, packed) = codec::decode_front::<BlockHeader>(body).map_err(|e| Table::Captures.unreadable(key, e))?;
    let updates = CaptureBlock { symbol, header, packed: packed.to_vec() }.unpack().ok_or_else(broken)?;
    Ok((CaptureId { venue, symbol, start }, updates))
}

/// True when the index knows this block.
pub(super) fn is_indexed(txn: &ReadTransaction, id: &CaptureId) -> Result<bool, StoreError> {
    Ok(Table::CaptureIndex.get::<Indexed>(txn, &id.index_key())?.is_some())
}

/// True when the block is there.
pub(super) fn is_stored(txn: &ReadTransaction, id: &CaptureId) -> Result<bool, StoreError> {
    let Some(table) = Table::Captures.read(txn)? else { return Ok(false) };
    Ok(table.get(id.block_key().as_slice()).doing("read a row")?.is_some())
}

fn damaged(table: Table, key: &[u8]) -> StoreError {
    StoreError::DamagedRow { table: table.name(), key: hex::encode(key) }
}

impl Store {
    /// What is recorded, by venue and market.
    pub fn capture_series(&self) -> Result<Vec<CaptureSeries>, StoreError> {
        let mut found: Vec<CaptureSeries> = Vec::new();
        self.read(|txn| {
            each(txn, |id, held| {
                let (first, last) = (held.header.first, held.header.last);
                let series = match found.iter_mut().find(|s| s.symbol == id.symbol && s.venue == id.venue) {
                    Some(series) => series,
                    None => {
                        found.push_mut(CaptureSeries { venue: id.venue, symbol: id.symbol, blocks: 0, events: 0, bytes: 0, first, last })
                    }
                };
                series.blocks += 1;
                series.events += u64::from(held.header.events);
                series.bytes += u64::from(held.bytes);
                series.last = series.last.max(last);
            })
        })?;
        found.sort_by(|a, b| (&a.venue, a.symbol).cmp(&(&b.venue, b.symbol)));
        Ok(found)
    }

    /// The recorded data of one market of one venue that arrived in `[from, until)`, in the order of arrival.
    #[must_use]
    pub fn captured(&self, venue: &str, symbol: Symbol, from: Timestamp, until: Timestamp) -> CapturedUpdates {
        let front = Key::new().text(venue).text(symbol.as_str());
        let end = front.clone().time(until).as_slice().to_vec();
        CapturedUpdates { store: self.clone(), front, end, from, until, next: None, ready: Vec::new().into_iter(), finished: until <= from }
    }
}

/// Reads recorded data block by block; stops at the first fault.
pub struct CapturedUpdates {
    store: Store,
    front: Key,
    end: Vec<u8>,
    from: Timestamp,
    until: Timestamp,
    /// The key to go on from; `None` before the first block.
    next: Option<Vec<u8>>,
    ready: std::vec::IntoIter<MarketUpdate>,
    finished: bool,
}

impl CapturedUpdates {
    /// Unpacks the next block into `ready`; false after the last.
    fn advance(&mut self) -> Result<bool, StoreError> {
        // A read transaction for each block: a slow consumer never pins old pages.
        let found = self.store.read(|txn| {
            let from = match &self.next {
                Some(next) => next.clone(),
                None => self.first_key(txn)?,
            };
            let mut found = None;
            Table::Captures.each(txn, &from, &self.end, |key, row| {
                found = Some((key.to_vec(), stored_block(key, row)?.1));
                Ok(false)
            })?;
            Ok(found)
        })?;
        let Some((mut key, mut updates)) = found else { return Ok(false) };
        key.push(0);
        self.next = Some(key);
        updates.retain(|update| self.from <= update.local_time && update.local_time < self.until);
        self.ready = updates.into_iter();
        Ok(true)
    }

    /// The block that `from` may fall into begins before it.
    fn first_key(&self, txn: &ReadTransaction) -> Result<Vec<u8>, StoreError> {
        let at = self.front.clone().time(self.from);
        let Some(table) = Table::Captures.read(txn)? else { return Ok(at.as_slice().to_vec()) };
        let mut before = table.range::<&[u8]>(self.front.as_slice()..=at.as_slice()).doing("read a table")?;
        match before.next_back() {
            Some(item) => Ok(item.doing("read a table")?.0.value().to_vec()),
            None => Ok(at.as_slice().to_vec()),
        }
    }
}

impl Iterator for CapturedUpdates {
    type Item = Result<MarketUpdate, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(update) = self.ready.next() {
                return Some(Ok(update));
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

#[cfg(test)]
mod tests {
    use redb::ReadableTable;

    use super::*;
    use crate::store::recording::tests::{stream, symbol};
    use crate::store::samples;

    fn store() -> Store {
        Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap()
    }

    fn keep(store: &Store, venue: &str, updates: &[MarketUpdate], block: usize) {
        for some in updates.chunks(block) {
            let block = CaptureBlock::pack(symbol(), some).unwrap();
            store.write(|txn| put(txn, venue, &block)).unwrap();
        }
    }

    fn all(store: &Store, venue: &str, from: Timestamp, until: Timestamp) -> Vec<MarketUpdate> {
        store.captured(venue, symbol(), from, until).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn recorded_data_come_back_by_market_and_time() {
        let store = store();
        let updates = stream(1_723_161_254_000, 900);
        keep(&store, "Binance", &updates, 100);
        keep(&store, "elsewhere", &updates[..50], 100);
        assert_eq!(all(&store, "Binance", Timestamp::EPOCH, Timestamp::MAX), updates);
        let (from, until) = (updates[250].local_time, updates[640].local_time);
        assert_eq!(all(&store, "Binance", from, until), updates[250..640]);
        assert!(all(&store, "Binance", until, from).is_empty() && all(&store, "nowhere", Timestamp::EPOCH, Timestamp::MAX).is_empty());
        let series = store.capture_series().unwrap();
        let told: Vec<_> = series.iter().map(|s| (s.venue.as_str(), s.blocks, s.events, s.first, s.last)).collect();
        let (first, last) = (updates[0].local_time, updates[899].local_time);
        assert_eq!(told, [("Binance", 9, 900, first, last), ("elsewhere", 1, 50, first, updates[49].local_time)]);
    }

    #[test]
    fn blocks_that_begin_at_the_same_moment_are_both_kept() {
        let store = store();
        let updates = stream(1_723_161_254_000, 40);
        keep(&store, "Binance", &updates, 40);
        keep(&store, "Binance", &updates, 40);
        assert_eq!(all(&store, "Binance", Timestamp::EPOCH, Timestamp::MAX).len(), 80);
        assert!(store.verify().unwrap().sound());
    }

    #[test]
    fn a_flipped_bit_in_a_block_is_found_by_reading_and_by_verifying() {
        let store = store();
        keep(&store, "Binance", &stream(1_723_161_254_000, 300), 100);
        let id = CaptureId { venue: "Binance".into(), symbol: symbol(), start: stream(1_723_161_254_000, 1)[0].local_time };
        let mut body =
            store.write(|txn| Ok(Table::Captures.open(txn)?.get(id.block_key().as_slice()).unwrap().unwrap().value().to_vec())).unwrap();
        body[40] ^= 4;
        store.write(|txn| Table::Captures.open(txn)?.insert(id.block_key().as_slice(), body.as_slice()).map(drop).doing("damage")).unwrap();
        let fault = store.captured("Binance", symbol(), Timestamp::EPOCH, Timestamp::MAX).find_map(Result::err).unwrap();
        assert!(matches!(fault, StoreError::DamagedRow { table: "captures", .. }), "{fault}");
        assert!(!store.verify().unwrap().sound());
    }
}
