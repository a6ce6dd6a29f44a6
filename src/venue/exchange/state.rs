//! What survives a restart, as bytes: a version byte, then the bincode form of `Stored`.
//!
//! | version | content (bincode 2, standard configuration, fields in this order) |
//! |---|---|
//! | 1 | the same with `matching::FirstForm`; still read |
//! | 2 | seed u64, origin i64 ns (zero for a replay), executions u64, `matching::Exchange` |
//!
//! A file is replaced as a whole (write beside, sync, rename, sync the folder), so that it is always one complete state.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ExchangeError;
use crate::domain::Timestamp;
use crate::matching::{Exchange, FirstForm};

const VERSION: u8 = 2;
const FIRST_VERSION: u8 = 1;

/// Takes each new state; it must be durable when this returns.
pub type SaveState = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// Where accounts, orders and trades are kept.
#[derive(Clone)]
pub enum StatePersistence {
    /// Nowhere: each start is a new exchange.
    Volatile,
    /// In this file; a missing file is a new exchange.
    File(PathBuf),
    /// With the caller: `initial` is what `save` was given last, `None` for a new exchange.
    Hook { initial: Option<Vec<u8>>, save: SaveState },
}

impl StatePersistence {
    /// The bytes of the last state, if there is one.
    pub(super) fn load(&self) -> Result<Option<Vec<u8>>, ExchangeError> {
        match self {
            Self::Volatile => Ok(None),
            Self::Hook { initial, .. } => Ok(initial.clone()),
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(ExchangeError::State { path: path.clone(), source }),
            },
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        !matches!(self, Self::Volatile)
    }

    pub(super) fn save(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Volatile => Ok(()),
            Self::Hook { save, .. } => save(bytes),
            Self::File(path) => replace(path, bytes),
        }
    }
}

/// The state as it is read back.
#[derive(Deserialize)]
pub(super) struct Stored {
    pub seed: u64,
    pub origin: Timestamp,
    pub executions: u64,
    pub exchange: Exchange,
}

/// The state as it is written, without copying the exchange first.
#[derive(Serialize)]
pub(super) struct StoredRef<'a> {
    pub seed: u64,
    pub origin: Timestamp,
    pub executions: u64,
    pub exchange: &'a Exchange,
}

impl StoredRef<'_> {
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![VERSION];
        bincode::serde::encode_into_std_write(self, &mut bytes, bincode::config::standard()).map_err(io::Error::other)?;
        Ok(bytes)
    }
}

impl Stored {
    pub fn decode(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (&version, rest) = bytes.split_first().ok_or(ExchangeError::StateEmpty)?;
        let (stored, read) = match version {
            VERSION => bincode::serde::decode_from_slice(rest, bincode::config::standard())?,
            FIRST_VERSION => {
                let (first, read): ((u64, Timestamp, u64, FirstForm), usize) =
                    bincode::serde::decode_from_slice(rest, bincode::config::standard())?;
                let (seed, origin, executions, exchange) = first;
                (Self { seed, origin, executions, exchange: exchange.into() }, read)
            }
            found => return Err(ExchangeError::StateVersion { found, known: VERSION }),
        };
        if read == rest.len() { Ok(stored) } else { Err(ExchangeError::StateTrailing { bytes: rest.len() - read }) }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::ExchangeConfig;

    #[test]
    fn states_round_trip_and_foreign_bytes_are_refused() {
        let exchange = Exchange::new(ExchangeConfig::new(vec![]));
        let bytes = StoredRef { seed: 7, origin: Timestamp::from_millis(5), executions: 3, exchange: &exchange }.encode().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kept = StatePersistence::File(folder.path().join("state"));
        assert!(kept.load().unwrap().is_none());
        kept.save(b"older").unwrap();
        kept.save(&bytes).unwrap();
        let back = Stored::decode(&kept.load().unwrap().unwrap()).unwrap();
        assert_eq!((back.seed, back.origin.millis(), back.executions), (7, 5, 3));
        assert!(matches!(Stored::decode(&[]), Err(ExchangeError::StateEmpty)));
        assert!(matches!(Stored::decode(&[9, 1]), Err(ExchangeError::StateVersion { found: 9, .. })));
        assert!(matches!(Stored::decode(&bytes[..bytes.len() - 1]), Err(ExchangeError::StateDamaged(_))));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(Stored::decode(&longer), Err(ExchangeError::StateTrailing { bytes: 1 })));
    }
}
