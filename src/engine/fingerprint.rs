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
