//! Disks for tests: one that loses what was not synced, and one that fills up.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

/// Remembers what a power cut would leave: the state at the last sync.
#[derive(Debug, Clone, Default)]
pub(super) struct LyingDisk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Header writes reach the disk by themselves on some machines: the worst case for a store.
    header: Vec<u8>,
    syncs: u64,
    frozen_at: Option<u64>,
}

impl LyingDisk {
    /// From sync number `sync` on, nothing reaches the disk any more.
    pub fn cut_at(sync: u64) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().frozen_at = Some(sync);
        disk
    }

    pub fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    /// A disk with what was durable.
    pub fn after_crash(&self) -> InMemoryBackend {
        disk_of(&self.0.lock().unwrap().durable)
    }

    /// The same, but the last header write made it.
    pub fn after_crash_with_header(&self) -> InMemoryBackend {
        let contents = self.0.lock().unwrap();
        let mut image = contents.durable.clone();
        if image.len() >= contents.header.len() {
            image[..contents.header.len()].copy_from_slice(&contents.header);
        }
        disk_of(&image)
    }
}

fn disk_of(bytes: &[u8]) -> InMemoryBackend {
    let disk = InMemoryBackend::new();
    disk.set_len(bytes.len() as u64).unwrap();
    disk.write(0, bytes).unwrap();
    disk
}

impl StorageBackend for LyingDisk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let contents = self.0.lock().unwrap();
        let from = offset as usize;
        let held = contents.live.get(from..from + out.len()).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(held);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.0.lock().unwrap().live.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut contents = self.0.lock().unwrap();
        contents.syncs += 1;
        if contents.frozen_at.is_none_or(|cut| contents.syncs < cut) {
            contents.durable = contents.live.clone();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut contents = self.0.lock().unwrap();
        let from = offset as usize;
        if from + data.len() > contents.live.len() {
            contents.live.resize(from + data.len(), 0);
        }
        contents.live[from..from + data.len()].copy_from_slice(data);
        // The machine is off after the cut: later writes went nowhere.
        if from == 0 && contents.frozen_at.is_none_or(|cut| contents.syncs < cut) {
            contents.header = data.to_vec();
        }
        Ok(())
    }
}

/// Works until it is told to be full.
#[derive(Debug, Clone)]
pub(super) struct BreakableDisk {
    memory: Arc<InMemoryBackend>,
    full: Arc<AtomicBool>,
}

impl Default for BreakableDisk {
    fn default() -> Self {
        Self { memory: Arc::new(InMemoryBackend::new()), full: Arc::new(AtomicBool::new(false)) }
    }
}

impl BreakableDisk {
    pub fn break_now(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    fn unless_full(&self) -> Result<(), Error> {
        if self.full.load(Ordering::SeqCst) { Err(Error::new(ErrorKind::StorageFull, "no space left on device")) } else { Ok(()) }
    }
}

impl StorageBackend for BreakableDisk {
    fn len(&self) -> Result<u64, Error> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.unless_full()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.unless_full()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.unless_full()?;
        self.memory.write(offset, data)
    }
}
