//! The file layer's own check of every page, without touching the file: what it would write goes to memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::{Database, StorageBackend};

/// What is wrong with the pages of the file at `path`; `None` when every checksum in use holds.
pub(super) fn damage(path: &Path) -> Option<String> {
    let check = || -> Result<(), String> {
        let shadow = Shadow::over(path).map_err(|fault| fault.to_string())?;
        let mut builder = Database::builder();
        builder.set_check_integrity_on_open(true);
        builder.create_with_backend(shadow).map(drop).map_err(|fault| fault.to_string())
    };
    // On damage the file layer may panic where it should answer: that is an answer too.
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err("the pages contradict each other".to_owned())).err()
}

/// A file seen through a sheet of glass: writes stay on the glass.
#[derive(Debug)]
struct Shadow(Mutex<Layers>);

#[derive(Debug)]
struct Layers {
    file: File,
    file_len: u64,
    len: u64,
    /// Written blocks by number.
    glass: BTreeMap<u64, Vec<u8>>,
}

const BLOCK: u64 = 4096;

impl Shadow {
    fn over(path: &Path) -> Result<Self, Error> {
        let file = File::open(path)?;
        let file_len = file.metadata()?.len();
        Ok(Self(Mutex::new(Layers { file, file_len, len: file_len, glass: BTreeMap::new() })))
    }

    fn layers(&self) -> std::sync::MutexGuard<'_, Layers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layers {
    /// The block as it would be on disk; zeros beyond the file's end.
    fn block(&mut self, number: u64) -> Result<Vec<u8>, Error> {
        if let Some(written) = self.glass.get(&number) {
            return Ok(written.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let start = number * BLOCK;
        let held = self.file_len.saturating_sub(start).min(BLOCK) as usize;
        if held > 0 {
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(&mut block[..held])?;
        }
        Ok(block)
    }

    /// Calls `each(block number, place in the block, place in the data, length)` for the blocks under `[offset, offset + len)`.
    fn spans(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let at = offset + done as u64;
            let inside = (at % BLOCK) as usize;
            let part = (BLOCK as usize - inside).min(len - done);
            let span = (at / BLOCK, inside, done, part);
            done += part;
            (part > 0).then_some(span)
        })
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.layers().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut layers = self.layers();
        if offset.saturating_add(out.len() as u64) > layers.len {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        for (number, inside, done, part) in Layers::spans(offset, out.len()) {
            out[done..done + part].copy_from_slice(&layers.block(number)?[inside..inside + part]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut layers = self.layers();
        // What was cut off reads as zeros when the file grows again.
        layers.file_len = layers.file_len.min(len);
        layers.glass.retain(|number, _| number * BLOCK < len);
        layers.len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut layers = self.layers();
        for (number, inside, done, part) in Layers::spans(offset, data.len()) {
            let mut block = layers.block(number)?;
            block[inside..inside + part].copy_from_slice(&data[done..done + part]);
            layers.glass.insert(number, block);
        }
        layers.len = layers.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, samples};

    #[test]
    fn damage_is_found_wherever_the_door_would_refuse_and_the_file_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        samples::fill(&Store::open(&path, &samples::demo()).unwrap());
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(damage(&path), None);
        assert!(std::fs::read(&path).unwrap() == whole, "looking changed the file");
        let bad = dir.path().join("bad.redb");
        for place in (0..whole.len()).step_by(whole.len() / 100) {
            let mut bytes = whole.clone();
            bytes[place] ^= 4;
            std::fs::write(&bad, &bytes).unwrap();
            let found = damage(&bad);
            let refused = Store::open(&bad, &samples::demo()).err();
            assert_eq!(found.is_some(), refused.is_some(), "byte {place}: {found:?} {refused:?}");
        }
    }
}
