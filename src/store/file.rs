//! `Store`: the open data file. Every door to redb is here: open, read, write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageError, WriteTransaction};

use super::error::{Doing, StoreError, snapshot_path};
use super::identity::{FORMAT, FileKind, FileStamp, Identity, Scope};
use super::schema::{Key, Table};
use crate::domain::Timestamp;

/// Enough for the pages in use; the rest of the box belongs to the engine.
const CACHE_BYTES: usize = 64 << 20;

const STAMP: &str = ".stamp";
const SCOPES: &str = ".scope";

/// The data file, seen by one (mode, venue, account). Clones share the file.
#[derive(Clone)]
pub struct Store {
    file: Arc<DataFile>,
    scope: Scope,
}

struct DataFile {
    path: PathBuf,
    kind: FileKind,
    access: Access,
}

enum Access {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// What a reading command got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadSource {
    /// The data file itself.
    File,
    /// The snapshot beside it, because a running huracan holds the file.
    Snapshot { taken: Timestamp },
}

impl Store {
    /// Opens the data file for trading or writing commands; creates it, and its directory, when there is none.
    ///
    /// Every page's checksum is verified here (about two seconds per GiB), so that damage is found before anything is traded on it.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self, StoreError> {
        if !identity.kind.allows(identity.scope.mode) {
            return Err(StoreError::WrongMode { mode: identity.scope.mode, kind: identity.kind });
        }
        if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            let failed = |source| StoreError::Io { doing: "create the directory", path: directory.to_owned(), source };
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        Self::start(path, identity, || open_checked(path))
    }

    /// The same over any file-like backend: crash and disk-full tests.
    #[cfg(test)]
    pub(super) fn open_backend(backend: impl redb::StorageBackend, identity: &Identity) -> Result<Self, StoreError> {
        let path = Path::new("memory");
        Self::start(path, identity, || Database::builder().create_with_backend(backend).map_err(|fault| refused(path, fault)))
    }

    fn start(path: &Path, identity: &Identity, open: impl FnOnce() -> Result<Database, StoreError>) -> Result<Self, StoreError> {
        let database = guarded(path, open)?;
        let stamp = guarded(path, || {
            let txn = database.begin_write().doing("open")?;
            let stamp = admit(path, &txn, identity)?;
            for table in Table::ALL {
                table.open(&txn)?;
            }
            txn.commit().doing("open")?;
            Ok(stamp)
        })?;
        let file = DataFile { path: path.to_owned(), kind: stamp.kind, access: Access::Write(database) };
        Ok(Self { file: Arc::new(file), scope: identity.scope.clone() })
    }

    /// Opens for reading. A file that was not closed in order is repaired first, which needs write permission.
    pub fn open_read_only(path: &Path, scope: Scope) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let open = || Database::builder().set_cache_size(CACHE_BYTES).open_read_only(path);
        let database = guarded(path, || match open() {
            Err(DatabaseError::RepairAborted) => {
                drop(open_checked(path)?);
                open().map_err(|fault| refused(path, fault))
            }
            other => other.map_err(|fault| refused(path, fault)),
        })?;
        let stamp = guarded(path, || {
            let txn = database.begin_read().doing("open")?;
            let stamp = Table::Meta.get::<FileStamp>(&txn, &Key::new().text(STAMP))?;
            stamp.ok_or_else(|| StoreError::NotADataFile { path: path.to_owned() })
        })?;
        readable(path, &stamp)?;
        let file = DataFile { path: path.to_owned(), kind: stamp.kind, access: Access::Read(database) };
        Ok(Self { file: Arc::new(file), scope })
    }

    /// Opens for reading what there is: the file, or while a running huracan holds it the snapshot beside it, with its age.
    pub fn open_for_reading(path: &Path, scope: Scope) -> Result<(Self, ReadSource), StoreError> {
        match Self::open_read_only(path, scope.clone()) {
            Err(StoreError::InUse { path }) => {
                let snapshot = snapshot_path(&path);
                let Ok(modified) = std::fs::metadata(&snapshot).and_then(|m| m.modified()) else {
                    return Err(StoreError::InUse { path });
                };
                let nanos = modified.duration_since(UNIX_EPOCH).map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
                Ok((Self::open_read_only(&snapshot, scope)?, ReadSource::Snapshot { taken: Timestamp::from_nanos(nanos) }))
            }
            other => other.map(|store| (store, ReadSource::File)),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    #[must_use]
    pub fn kind(&self) -> FileKind {
        self.file.kind
    }

    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same file seen by another (mode, venue, account), for reports.
    #[must_use]
    pub fn seen_by(&self, scope: Scope) -> Self {
        Self { file: Arc::clone(&self.file), scope }
    }

    /// Every (mode, venue, account) that ever opened this file.
    pub fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        self.read(|txn| Table::Meta.all(txn, &Key::new().text(SCOPES)))
    }

    /// Gives back the space of deleted rows; nobody else may use the file. Bytes before and after.
    pub fn compact(&mut self) -> Result<(u64, u64), StoreError> {
        let path = self.file.path.clone();
        let size = || std::fs::metadata(&path).map(|m| m.len());
        let failed = |source| StoreError::Io { doing: "measure", path: path.clone(), source };
        let before = size().map_err(failed)?;
        let file = Arc::get_mut(&mut self.file).ok_or(StoreError::Busy)?;
        guarded(&path, || match &mut file.access {
            Access::Write(database) => database.compact().doing("compact"),
            Access::Read(_) => Err(StoreError::ReadOnly),
        })?;
        Ok((before, size().map_err(failed)?))
    }

    /// One consistent view of the file. Keep it short: pages it sees cannot be reused meanwhile.
    pub(super) fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        guarded(&self.file.path, || {
            let txn = match &self.file.access {
                Access::Write(database) => database.begin_read(),
                Access::Read(database) => database.begin_read(),
            };
            work(&txn.doing("read")?)
        })
    }

    /// All of `work` or nothing of it, durable when this returns.
    pub(super) fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        guarded(&self.file.path, || {
            let Access::Write(database) = &self.file.access else { return Err(StoreError::ReadOnly) };
            let txn = database.begin_write().doing("write")?;
            let done = work(&txn)?;
            txn.commit().doing("commit")?;
            Ok(done)
        })
    }
}

/// Opens for writing, verifying every page; an empty or absent file becomes a new one.
fn open_checked(path: &Path) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create(path).map_err(|fault| refused(path, fault))
}

/// Checks the identity of an existing file, or stamps a new one.
fn admit(path: &Path, txn: &WriteTransaction, identity: &Identity) -> Result<FileStamp, StoreError> {
    let key = Key::new().text(STAMP);
    let mut stamp = match Table::Meta.held(txn, &key)? {
        Some(body) => super::codec::decode::<FileStamp>(&body).map_err(|source| Table::Meta.unreadable(key.as_slice(), source))?,
        None if txn.list_tables().doing("open")?.count() <= 1 => FileStamp { format: FORMAT, kind: identity.kind, live: None },
        None => return Err(StoreError::NotADataFile { path: path.to_owned() }),
    };
    readable(path, &stamp)?;
    if stamp.kind != identity.kind {
        return Err(StoreError::WrongKind { path: path.to_owned(), found: stamp.kind, wanted: identity.kind });
    }
    if identity.scope.mode == crate::protocol::Mode::Live {
        match &stamp.live {
            Some(found) if *found != identity.scope => {
                let (found, wanted) = (Box::new(found.clone()), Box::new(identity.scope.clone()));
                return Err(StoreError::OtherAccount { path: path.to_owned(), found, wanted });
            }
            _ => stamp.live = Some(identity.scope.clone()),
        }
    }
    Table::Meta.put(txn, &key, &stamp)?;
    let mut scope_key = Key::new().text(SCOPES);
    scope_key = scope_key.text(&hex::encode(identity.scope.key().as_slice()));
    Table::Meta.put(txn, &scope_key, &identity.scope)?;
    Ok(stamp)
}

fn readable(path: &Path, stamp: &FileStamp) -> Result<(), StoreError> {
    if stamp.format > FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found: stamp.format, supported: FORMAT });
    }
    Ok(())
}

/// What a refused open means for the person at the box.
fn refused(path: &Path, fault: DatabaseError) -> StoreError {
    use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    let path = path.to_owned();
    match fault {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
            InvalidData => StoreError::NotADataFile { path },
            UnexpectedEof => StoreError::Corrupt { path, detail: "it ends too early".to_owned() },
            NotFound => StoreError::Missing { path },
            _ => StoreError::Io { doing: "open", path, source },
        },
        other => StoreError::Corrupt { path, detail: other.to_string() },
    }
}

/// redb documents that a file altered outside it may make it panic instead of answering, and it does: a damaged allocator state
/// meets an `expect` in it (`tests::cut_and_damaged_files_are_errors_and_never_panics` runs into that). A damaged file must be a
/// message, not a crash of the box, so a panic at this door becomes an error.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Corrupt { path: path.to_owned(), detail: said.unwrap_or("no detail").to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Mode;
    use crate::store::samples;

    fn real(mode: Mode, venue: &str, account: &str) -> Identity {
        Identity { kind: FileKind::Real, scope: Scope { mode, venue: venue.into(), account: account.into() } }
    }

    #[test]
    fn a_missing_directory_is_made_and_the_file_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/huracan.redb");
        drop(Store::open(&path, &samples::demo()).unwrap());
        let again = Store::open(&path, &samples::demo()).unwrap();
        assert_eq!(again.kind(), FileKind::Demo);
        assert_eq!(again.scopes().unwrap(), vec![samples::demo().scope]);
    }

    #[test]
    fn a_second_open_is_refused_and_reading_falls_back_to_the_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let first = Store::open(&path, &samples::demo()).unwrap();
        let fault = Store::open(&path, &samples::demo()).err().unwrap();
        assert!(matches!(fault, StoreError::InUse { .. }) && fault.to_string().contains("huracan.redb.snapshot"), "{fault}");
        let scope = samples::demo().scope;
        assert!(matches!(Store::open_for_reading(&path, scope.clone()), Err(StoreError::InUse { .. })));
        first.snapshot().unwrap();
        let (seen, source) = Store::open_for_reading(&path, scope.clone()).unwrap();
        assert!(matches!(source, ReadSource::Snapshot { taken } if taken > Timestamp::EPOCH));
        assert_eq!(seen.kind(), FileKind::Demo);
        drop(first);
        assert_eq!(Store::open_for_reading(&path, scope).unwrap().1, ReadSource::File);
    }

    #[test]
    fn demo_and_real_never_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let (demo, paper) = (dir.path().join("demo.redb"), dir.path().join("real.redb"));
        drop(Store::open(&demo, &samples::demo()).unwrap());
        drop(Store::open(&paper, &real(Mode::Paper, "binance", "paper")).unwrap());
        for (path, identity) in
            [(&demo, real(Mode::Paper, "binance", "paper")), (&demo, real(Mode::Live, "binance", "k1")), (&paper, samples::demo())]
        {
            let fault = Store::open(path, &identity).err().unwrap();
            assert!(matches!(fault, StoreError::WrongKind { .. }) && fault.is_refusal(), "{fault}");
        }
        let mixed = Identity { kind: FileKind::Demo, ..real(Mode::Live, "binance", "k1") };
        assert!(matches!(Store::open(&demo, &mixed), Err(StoreError::WrongMode { .. })));
    }

    #[test]
    fn a_live_file_serves_one_account_and_paper_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        drop(Store::open(&path, &real(Mode::Paper, "binance", "paper")).unwrap());
        drop(Store::open(&path, &real(Mode::Live, "binance", "k1")).unwrap());
        for other in [real(Mode::Live, "binance", "k2"), real(Mode::Live, "elsewhere", "k1")] {
            let fault = Store::open(&path, &other).err().unwrap();
            assert!(matches!(fault, StoreError::OtherAccount { .. }) && fault.is_refusal(), "{fault}");
        }
        drop(Store::open(&path, &real(Mode::Paper, "binance", "paper")).unwrap());
        assert_eq!(Store::open(&path, &real(Mode::Live, "binance", "k1")).unwrap().scopes().unwrap().len(), 2);
    }

    #[test]
    fn a_file_from_a_newer_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let store = Store::open(&path, &samples::demo()).unwrap();
        let newer = FileStamp { format: FORMAT + 1, kind: FileKind::Demo, live: None };
        store.write(|txn| Table::Meta.put(txn, &Key::new().text(STAMP), &newer)).unwrap();
        drop(store);
        for fault in [Store::open(&path, &samples::demo()).err(), Store::open_read_only(&path, samples::demo().scope).err()] {
            let fault = fault.unwrap();
            assert!(matches!(fault, StoreError::NewerFormat { .. }) && fault.to_string().contains("newer huracan"), "{fault}");
        }
    }

    #[test]
    fn other_files_are_not_taken_for_data_files() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("notes.txt");
        std::fs::write(&text, "open_time,open,high\n".repeat(1_000)).unwrap();
        let foreign = dir.path().join("other.redb");
        let database = Database::create(&foreign).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(redb::TableDefinition::<u64, u64>::new("numbers")).unwrap().insert(1, 2).unwrap();
        txn.commit().unwrap();
        drop(database);
        for path in [&text, &foreign] {
            let before = std::fs::read(path).unwrap();
            for fault in [Store::open(path, &samples::demo()).err(), Store::open_read_only(path, samples::demo().scope).err()] {
                assert!(matches!(fault, Some(StoreError::NotADataFile { .. })), "{fault:?}");
            }
            assert!(path == &foreign || std::fs::read(path).unwrap() == before, "a foreign file was changed");
        }
        let absent = dir.path().join("absent.redb");
        assert!(matches!(Store::open_read_only(&absent, samples::demo().scope), Err(StoreError::Missing { .. })));
        assert!(!absent.exists());
    }

    #[test]
    fn cut_and_damaged_files_are_errors_and_never_panics() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        samples::fill(&Store::open(&path, &samples::demo()).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let bad = dir.path().join("bad.redb");
        for kept in [0.1, 0.5, 0.9, 0.999] {
            std::fs::write(&bad, &whole[..(whole.len() as f64 * kept) as usize]).unwrap();
            let fault = Store::open(&bad, &samples::demo()).err().expect("a cut file opened");
            assert!(matches!(fault, StoreError::Corrupt { .. } | StoreError::NotADataFile { .. }), "{fault:?}");
        }
        for place in (0..whole.len()).step_by(whole.len() / 300) {
            let mut bytes = whole.clone();
            for byte in &mut bytes[place..(place + 8).min(whole.len())] {
                *byte ^= 0x5a;
            }
            std::fs::write(&bad, &bytes).unwrap();
            // Unused pages may be damaged freely; a used one is either refused or reported, in both ways of opening.
            if let Ok(store) = Store::open_read_only(&bad, samples::demo().scope) {
                let _ = (store.orders(), store.decisions(9), store.candle_series(), store.episodes(..));
            }
            match Store::open(&bad, &samples::demo()) {
                Ok(store) => assert_eq!(store.orders().unwrap(), samples::orders(), "byte {place}"),
                Err(fault) => assert!(!fault.is_refusal(), "byte {place}: {fault:?}"),
            }
        }
    }

    #[test]
    fn a_file_left_by_a_crash_is_repaired_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let store = Store::open(&path, &samples::demo()).unwrap();
        samples::fill(&store);
        // What a killed process leaves: everything committed, nothing closed.
        let left = dir.path().join("left.redb");
        std::fs::copy(&path, &left).unwrap();
        let read = Store::open_read_only(&left, samples::demo().scope).unwrap();
        assert_eq!(read.orders().unwrap(), samples::orders());
        assert!(matches!(read.put_meta("a", b"b"), Err(StoreError::ReadOnly)));
        drop(read);
        assert_eq!(Store::open(&left, &samples::demo()).unwrap().orders().unwrap(), samples::orders());
    }

    #[test]
    fn compacting_keeps_every_row() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("huracan.redb"), &samples::demo()).unwrap();
        samples::fill(&store);
        let other = store.clone();
        assert!(matches!(store.compact(), Err(StoreError::Busy)));
        drop(other);
        let (before, after) = store.compact().unwrap();
        assert!(after <= before);
        assert_eq!(store.orders().unwrap(), samples::orders());
    }
}
