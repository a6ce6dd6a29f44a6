//! A running hash over everything that went in and came out: two runs with the same fingerprint did the same.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;

/// FNV-1a, 64 bits, over the binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    pub fn add<T: Serialize>(&mut self, value: &T) {
        // Writing into a hash can not fail, and every message has a binary form; if that ever changed, the hash would still be stable.
        let _ = bincode::serde::encode_into_writer(value, &mut *self, bincode::config::standard());
    }

    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// The hash of one value alone.
    #[must_use]
    pub fn of<T: Serialize>(value: &T) -> u64 {
        let mut hash = Self::default();
        hash.add(value);
        hash.value()
    }
}

/// The hash of many bytes, eight at a time: the carried state is hashed with every order, and byte by byte that would cost more than the
/// order itself.
#[must_use]
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().copied().map(u64::from_le_bytes);
    let step = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    words.chain([u64::from_le_bytes(last), bytes.len() as u64]).fold(0xcbf2_9ce4_8422_2325, step)
}

impl Writer for &mut Fingerprint {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_and_so_does_their_number() {
        let text = b"0123456789abcdefghi";
        let mut seen = vec![of_bytes(text), of_bytes(&text[..18]), of_bytes(b"0123456789abcdefghi\0"), of_bytes(b""), of_bytes(b"\0")];
        for at in 0..text.len() {
            let mut changed = text.to_vec();
            changed[at] ^= 1;
            seen.push(of_bytes(&changed));
        }
        seen.push(of_bytes(b"89abcdef01234567ghi"));
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn order_and_content_matter() {
        let of = |items: &[&str]| {
            let mut hash = Fingerprint::default();
            items.iter().for_each(|item| hash.add(item));
            hash.value()
        };
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }
}
