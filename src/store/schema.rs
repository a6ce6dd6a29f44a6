//! The tables, their keys, and the seal on every row.
//!
//! | table | key | value |
//! |---|---|---|
//! | `journal` | run, first sequence | block of journal entries (`journal.rs`) |
//! | `journal_heads` | run | where that run's journal ends |
//! | `journal_cuts` | run | what retention took from the beginning of that journal |
//! | `captures` | venue, symbol, start | block of recorded market data (`recording.rs`) |
//! | `capture_index` | start, venue, symbol | what that block holds |
//! | `candles` | symbol, interval, UTC day | packed candles of the day (`candles.rs`) |
//! | `fetch_progress` | symbol, interval, start | `HistorySpan`: what was asked of whom; they never overlap (`history.rs`) |
//! | `gaps` | symbol, interval, start | `GapRecord` |
//! | `orders` | scope, run, sequence | `OrderRecord` |
//! | `fills` | scope, symbol, trade id | `FillRecord` |
//! | `ledger` | scope, run, entry | the postings of one entry |
//! | `decisions` | scope, time, run, number | `DecisionRecord` |
//! | `costs` | scope, exit time, symbol, entry time, ordinal | `CostRecord` |
//! | `order_costs` | scope, finish time, symbol, decision time, ordinal | `OrderCostRecord` |
//! | `fill_samples` | time, symbol, ordinal | `FillSampleRecord`: the newest 200,000, shared by all scopes |
//! | `health_events` | scope, time, ordinal | `HealthRecord` |
//! | `trade_memory` | number | `Episode` |
//! | `models` | id | `ModelRecord` |
//! | `runs` | scope, run | `RunRecord` |
//! | `carry` | scope | `CarryRecord` |
//! | `demo_venue` | (one row) | the simulated exchange's state |
//! | `meta` | name | bytes; `.stamp` and `.scope` are the store's own, the application's lie under `app` |
//!
//! A row is its encoded value and the first eight bytes of SHA-256 over table, key and value. The file layer checks its pages
//! only after a crash; with the seal a flipped bit anywhere in a row, or in its key, is an error at the first read.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::codec;
use super::error::{Doing, StoreError};
use super::identity::Scope;
use crate::domain::Timestamp;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
pub(super) type WriteTable<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;
pub(super) type ReadTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

macro_rules! tables {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Table { $($variant),+ }

        impl Table {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

tables! {
    Journal => "journal",
    JournalHeads => "journal_heads",
    JournalCuts => "journal_cuts",
    Captures => "captures",
    CaptureIndex => "capture_index",
    Candles => "candles",
    FetchProgress => "fetch_progress",
    Gaps => "gaps",
    Orders => "orders",
    Fills => "fills",
    Ledger => "ledger",
    Decisions => "decisions",
    Costs => "costs",
    OrderCosts => "order_costs",
    FillSamples => "fill_samples",
    HealthEvents => "health_events",
    TradeMemory => "trade_memory",
    Models => "models",
    Runs => "runs",
    Carry => "carry",
    DemoVenue => "demo_venue",
    Meta => "meta",
}

impl Table {
    fn definition(self) -> Rows {
        TableDefinition::new(self.name())
    }

    pub fn open(self, txn: &WriteTransaction) -> Result<WriteTable<'_>, StoreError> {
        txn.open_table(self.definition()).doing("open a table")
    }

    /// `None` in a file from before the table existed.
    pub fn read(self, txn: &ReadTransaction) -> Result<Option<ReadTable>, StoreError> {
        match txn.open_table(self.definition()) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(fault) => Err(fault).doing("open a table"),
        }
    }

    /// Stores `value` under `key`, replacing what was there.
    pub fn put<T: Serialize + ?Sized>(self, txn: &WriteTransaction, key: &Key, value: &T) -> Result<(), StoreError> {
        self.put_bytes(txn, key, codec::encode(value))
    }

    /// Stores bytes that `codec::encode` began.
    pub fn put_bytes(self, txn: &WriteTransaction, key: &Key, body: Vec<u8>) -> Result<(), StoreError> {
        let row = self.sealed(key.as_slice(), body);
        self.open(txn)?.insert(key.as_slice(), row.as_slice()).doing("write a row")?;
        Ok(())
    }

    /// The unsealed bytes of one row of a table open for writing.
    pub fn held(self, txn: &WriteTransaction, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.open(txn)?;
        let row = table.get(key.as_slice()).doing("read a row")?;
        row.map(|row| self.unsealed(key.as_slice(), row.value()).map(<[u8]>::to_vec)).transpose()
    }

    /// The sealed rows with keys in `[from, until)` of a table open for writing.
    pub fn held_between(self, txn: &WriteTransaction, from: &[u8], until: &[u8]) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        let table = self.open(txn)?;
        let mut found = Vec::new();
        for item in table.range::<&[u8]>(from..until).doing("read a table")? {
            let (key, row) = item.doing("read a table")?;
            found.push((Key(key.value().to_vec()), row.value().to_vec()));
        }
        Ok(found)
    }

    pub fn remove(self, txn: &WriteTransaction, key: &Key) -> Result<(), StoreError> {
        self.open(txn)?.remove(key.as_slice()).doing("remove a row")?;
        Ok(())
    }

    pub fn get<T: DeserializeOwned>(self, txn: &ReadTransaction, key: &Key) -> Result<Option<T>, StoreError> {
        let Some(table) = self.read(txn)? else { return Ok(None) };
        let row = table.get(key.as_slice()).doing("read a row")?;
        row.map(|row| self.decoded(key.as_slice(), row.value())).transpose()
    }

    /// Every value whose key starts with `prefix`, in key order.
    pub fn all<T: DeserializeOwned>(self, txn: &ReadTransaction, prefix: &Key) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(txn, prefix.as_slice(), &prefix.after_all(), |key, row| {
            found.push(self.decoded(key, row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Calls `seen(key, row)` for the keys in `[from, until)` until it answers false; the row is still sealed.
    pub fn each(
        self,
        txn: &ReadTransaction,
        from: &[u8],
        until: &[u8],
        mut seen: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let Some(table) = self.read(txn)? else { return Ok(()) };
        for item in table.range::<&[u8]>(from..until).doing("read a table")? {
            let (key, row) = item.doing("read a table")?;
            if !seen(key.value(), row.value())? {
                break;
            }
        }
        Ok(())
    }

    /// The last `count` values whose key starts with `prefix`, newest first.
    pub fn last<T: DeserializeOwned>(self, txn: &ReadTransaction, prefix: &Key, count: usize) -> Result<Vec<T>, StoreError> {
        let Some(table) = self.read(txn)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let until = prefix.after_all();
        for item in table.range::<&[u8]>(prefix.as_slice()..until.as_slice()).doing("read a table")?.rev().take(count) {
            let (key, row) = item.doing("read a table")?;
            found.push(self.decoded(key.value(), row.value())?);
        }
        Ok(found)
    }

    pub fn decoded<T: DeserializeOwned>(self, key: &[u8], row: &[u8]) -> Result<T, StoreError> {
        codec::decode(self.unsealed(key, row)?).map_err(|source| self.unreadable(key, source))
    }

    /// `body` and its seal.
    pub fn sealed(self, key: &[u8], mut body: Vec<u8>) -> Vec<u8> {
        let seal = self.seal(key, &body);
        body.extend_from_slice(&seal);
        body
    }

    /// The body of a row whose seal holds.
    pub fn unsealed<'r>(self, key: &[u8], row: &'r [u8]) -> Result<&'r [u8], StoreError> {
        match row.split_last_chunk::<SEAL_BYTES>() {
            Some((body, seal)) if *seal == self.seal(key, body) => Ok(body),
            _ => Err(StoreError::DamagedRow { table: self.name(), key: hex::encode(key) }),
        }
    }

    pub fn unreadable(self, key: &[u8], source: codec::CodecError) -> StoreError {
        StoreError::Row { table: self.name(), key: hex::encode(key), source }
    }

    fn seal(self, key: &[u8], body: &[u8]) -> [u8; SEAL_BYTES] {
        let mut hash = Sha256::new();
        hash.update(self.name());
        hash.update((key.len() as u64).to_le_bytes());
        hash.update(key);
        hash.update(body);
        let full: [u8; 32] = hash.finalize().into();
        let mut seal = [0; SEAL_BYTES];
        seal.copy_from_slice(&full[..SEAL_BYTES]);
        seal
    }
}

const SEAL_BYTES: usize = 8;

/// A key whose byte order is the order of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// A text with its length before it, so that no text is the beginning of another.
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(&(text.len() as u32).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    /// Signed numbers in order: the sign bit is turned.
    pub fn signed(self, number: i64) -> Self {
        self.number((number as u64) ^ (1 << 63))
    }
    pub fn time(self, at: Timestamp) -> Self {
        self.signed(at.nanos())
    }
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
    /// The first key that is after every key with this beginning.
    pub fn after_all(&self) -> Vec<u8> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                return end;
            }
        }
        // No beginning, or only 255s: longer than any key in use.
        vec![u8::MAX; 64]
    }
}

/// Reads the parts of a key back, for listings that need no value.
pub(super) struct KeyParts<'k>(pub &'k [u8]);

impl<'k> KeyParts<'k> {
    pub fn text(&mut self) -> Option<&'k str> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
    pub fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }
    pub fn signed(&mut self) -> Option<i64> {
        self.number().map(|n| (n ^ (1 << 63)) as i64)
    }
    /// The scope at the front, and what follows it.
    pub fn scope(mut self) -> Option<(Scope, Self)> {
        let mode = Scope::mode_named(self.text()?)?;
        let (venue, account) = (self.text()?.to_owned(), self.text()?.to_owned());
        Some((Scope { mode, venue, account }, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_flipped_bit_in_row_or_key_breaks_the_seal() {
        let (key, table) = (Key::new().text("BTCUSDT").number(7), Table::Fills);
        let row = table.sealed(key.as_slice(), codec::encode("hello"));
        assert_eq!(table.decoded::<String>(key.as_slice(), &row).unwrap(), "hello");
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(table.decoded::<String>(key.as_slice(), &bad).is_err());
        }
        let other = Key::new().text("BTCUSDT").number(6);
        assert!(table.decoded::<String>(other.as_slice(), &row).is_err());
        assert!(Table::Orders.decoded::<String>(key.as_slice(), &row).is_err());
        assert!(table.decoded::<String>(key.as_slice(), &[]).is_err());
    }

    proptest! {
        #[test]
        fn keys_sort_like_their_numbers(a in any::<i64>(), b in any::<i64>()) {
            let key = |n| Key::new().text("x").signed(n);
            prop_assert_eq!(key(a).as_slice().cmp(key(b).as_slice()), a.cmp(&b));
            let built = key(a);
            let mut parts = KeyParts(built.as_slice());
            prop_assert_eq!((parts.text(), parts.signed()), (Some("x"), Some(a)));
        }

        #[test]
        fn everything_with_a_beginning_is_before_its_end(front in prop::collection::vec(any::<u8>(), 0..6), tail in prop::collection::vec(any::<u8>(), 0..6)) {
            let mut whole = front.clone();
            whole.extend(tail);
            let end = Key(front).after_all();
            prop_assert!(whole < end);
        }
    }
}
