//! The one codec of the data file: a version byte, then bincode (little endian, variable-length integers).
//!
//! Reading is bounded: a damaged length can never ask for more than [`DECODE_LIMIT`] bytes, and every fault is an error value.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of every record's layout. A change of a stored type raises it and adds a reader for the old one.
pub const VERSION: u8 = 1;

/// The most bytes one record may decode to: larger than any model artifact, small enough for any box.
pub const DECODE_LIMIT: usize = 256 << 20;

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("the record is empty")]
    Empty,
    #[error("the record has version {found}, this program reads up to {VERSION}: install a newer huracan")]
    Newer { found: u8 },
    #[error("the record is cut short or damaged")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} bytes follow the record")]
    Trailing(usize),
}

/// The stored form of `value`.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    encode_plain(value, &mut bytes);
    bytes
}

/// The value stored as `bytes`; all of them must belong to it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match decode_front(bytes)? {
        (value, []) => Ok(value),
        (_, rest) => Err(CodecError::Trailing(rest.len())),
    }
}

/// The value at the front of `bytes`, and what follows it.
pub(super) fn decode_front<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    match bytes {
        [] => Err(CodecError::Empty),
        [0, ..] => Err(CodecError::Malformed("version 0 was never written".into())),
        [version, ..] if *version > VERSION => Err(CodecError::Newer { found: *version }),
        [_, body @ ..] => decode_plain(body),
    }
}

/// Appends `value` without a version byte, for blocks whose header carries it.
pub(super) fn encode_plain<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, out, bincode::config::standard())
        .expect("records are plain data written to memory: every one has a binary form");
}

/// The counterpart of [`encode_plain`].
pub(super) fn decode_plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    let config = bincode::config::standard().with_limit::<DECODE_LIMIT>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config).map_err(|fault| CodecError::Malformed(Box::new(fault)))?;
    Ok((value, &bytes[used..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, ModelRecord, Record};
    use crate::store::samples;
    use proptest::prelude::*;

    #[test]
    fn records_round_trip() {
        for record in samples::records(7) {
            let bytes = encode(&record);
            assert_eq!(bytes[0], VERSION);
            assert_eq!(decode::<Record>(&bytes).unwrap(), record);
        }
    }

    #[test]
    fn a_record_from_a_newer_program_is_refused_and_says_so() {
        let mut bytes = encode(&Event::Tick);
        bytes[0] = VERSION + 1;
        let fault = decode::<Event>(&bytes).unwrap_err();
        assert!(matches!(fault, CodecError::Newer { found } if found == VERSION + 1));
        assert!(fault.to_string().contains("newer huracan"));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_it_is_believed() {
        // A string that claims 2^60 bytes.
        let mut bytes = vec![VERSION, 253];
        bytes.extend((1_u64 << 60).to_le_bytes());
        assert!(matches!(decode::<String>(&bytes), Err(CodecError::Malformed(_))));
        assert!(matches!(decode::<Vec<u64>>(&bytes), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn bytes_after_a_record_are_an_error() {
        let mut bytes = encode(&5_u64);
        bytes.push(0);
        assert!(matches!(decode::<u64>(&bytes), Err(CodecError::Trailing(1))));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..400), honest in any::<bool>()) {
            if honest && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _ = decode::<Event>(&bytes);
            let _ = decode::<Record>(&bytes);
            let _ = decode::<ModelRecord>(&bytes);
        }

        #[test]
        fn a_cut_record_is_an_error(cut in 0.0_f64..1.0, seed in 0_u64..1_000) {
            for record in samples::records(seed) {
                let bytes = encode(&record);
                let kept = (bytes.len() as f64 * cut) as usize;
                prop_assert!(decode::<Record>(&bytes[..kept]).is_err());
            }
        }
    }
}
