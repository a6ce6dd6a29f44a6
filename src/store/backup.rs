//! Consistent copies of the file while it is in use: `backup` to a place of choice, `snapshot` beside the file.

use std::fs::File;
use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadTransaction};

use super::error::{Doing, StoreError, snapshot_path};
use super::file::Store;
use super::schema::{Key, Table};

/// Bytes per transaction of the copy: few commits, little memory.
const COPY_BYTES: usize = 8 << 20;

impl Store {
    /// Writes a consistent copy to `dest`, which must not exist yet. Trading goes on meanwhile.
    pub fn backup(&self, dest: &Path) -> Result<(), StoreError> {
        if dest.exists() {
            return Err(StoreError::Exists { path: dest.to_owned() });
        }
        self.copy_to(dest)
    }

    /// Replaces the consistent copy beside the file; at every moment there is a whole one. Gives its path.
    pub fn snapshot(&self) -> Result<PathBuf, StoreError> {
        let dest = snapshot_path(self.path());
        self.copy_to(&dest)?;
        Ok(dest)
    }

    /// Writes under a temporary name, makes it durable, and renames it.
    fn copy_to(&self, dest: &Path) -> Result<(), StoreError> {
        let mut name = dest.as_os_str().to_owned();
        name.push(".partial");
        let partial = PathBuf::from(name);
        let failed = |doing: &'static str| {
            let path = dest.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        // The rest of an earlier copy that was cut off.
        if partial.exists() {
            std::fs::remove_file(&partial).map_err(failed("replace"))?;
        }
        let copied = self.read(|txn| copy_rows(txn, &partial));
        if let Err(fault) = copied {
            // The message is about the copy that failed; a leftover is replaced next time.
            let _ = std::fs::remove_file(&partial);
            return Err(fault);
        }
        std::fs::rename(&partial, dest).map_err(failed("write"))?;
        let directory = dest.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(failed("write"))
    }
}

/// Row by row as they are, seals included.
fn copy_rows(source: &ReadTransaction, path: &Path) -> Result<(), StoreError> {
    let copy = Database::create(path).doing("create the copy of")?;
    for table in Table::ALL {
        let mut next = Vec::new();
        loop {
            let mut txn = copy.begin_write().doing("copy")?;
            txn.set_durability(Durability::None).doing("copy")?;
            let mut bytes = 0;
            let mut more = false;
            {
                let mut target = table.open(&txn)?;
                table.each(source, &next.clone(), &Key::new().after_all(), |key, row| {
                    if bytes >= COPY_BYTES {
                        next = key.to_vec();
                        more = true;
                        return Ok(false);
                    }
                    bytes += key.len() + row.len();
                    target.insert(key, row).doing("copy")?;
                    Ok(true)
                })?;
            }
            txn.commit().doing("copy")?;
            if !more {
                break;
            }
        }
    }
    copy.begin_write().doing("copy")?.commit().doing("copy")?;
    copy.close().doing("copy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;
    use crate::store::verify;

    #[test]
    fn a_backup_made_while_writing_is_whole_and_consistent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let store = Store::open(&path, &samples::demo()).unwrap();
        samples::fill(&store);
        let dest = dir.path().join("copy.redb");
        let busy = store.clone();
        let candles = samples::candles(20_000);
        std::thread::scope(|threads| {
            threads.spawn(|| busy.put_candles(samples::symbol(), crate::domain::Interval::MINUTE, &candles).unwrap());
            store.backup(&dest).unwrap();
        });
        let copy = Store::open(&dest, &samples::demo()).unwrap();
        assert_eq!(copy.orders().unwrap(), samples::orders());
        drop(copy);
        assert!(verify(&dest).unwrap().sound());
        assert!(matches!(store.backup(&dest), Err(StoreError::Exists { .. })));
        assert!(matches!(store.backup(&path), Err(StoreError::Exists { .. })));
    }

    #[test]
    fn large_tables_are_copied_in_parts_without_loss() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("huracan.redb"), &samples::demo()).unwrap();
        for i in 0..3 {
            store.put_meta(&format!("large {i}"), &vec![i; COPY_BYTES / 2]).unwrap();
        }
        let dest = dir.path().join("copy.redb");
        store.backup(&dest).unwrap();
        let copy = Store::open_read_only(&dest, samples::demo().scope).unwrap();
        for i in 0..3 {
            assert_eq!(copy.meta(&format!("large {i}")).unwrap().unwrap(), vec![i; COPY_BYTES / 2]);
        }
    }

    #[test]
    fn a_snapshot_replaces_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let store = Store::open(&path, &samples::demo()).unwrap();
        std::fs::write(dir.path().join("huracan.redb.snapshot.partial"), "cut off").unwrap();
        let first = store.snapshot().unwrap();
        samples::fill(&store);
        assert_eq!(store.snapshot().unwrap(), first);
        assert_eq!(Store::open_read_only(&first, samples::demo().scope).unwrap().orders().unwrap(), samples::orders());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_plain_copy_of_the_live_file_is_consistent_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let store = Store::open(&path, &samples::demo()).unwrap();
        samples::fill(&store);
        let candles = samples::candles(20_000);
        std::thread::scope(|threads| {
            let writing = threads.spawn(|| store.put_candles(samples::symbol(), crate::domain::Interval::MINUTE, &candles).unwrap());
            for i in 0.. {
                let copy = dir.path().join(format!("plain-{i}.redb"));
                std::fs::copy(&path, &copy).unwrap();
                match Store::open(&copy, &samples::demo()) {
                    Ok(copied) => {
                        assert_eq!(copied.orders().unwrap(), samples::orders());
                        drop(copied);
                        assert!(verify(&copy).unwrap().sound());
                    }
                    Err(fault) => assert!(!fault.to_string().is_empty()),
                }
                std::fs::remove_file(&copy).unwrap();
                if writing.is_finished() {
                    break;
                }
            }
        });
    }
}
