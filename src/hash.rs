//! A hash of texts, several times faster than the standard library's. Its seed is random, so that
//! nobody can choose labels that make a map slow.

use std::hash::{BuildHasher, Hasher};

/// A hash of the parts.
pub(super) fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut hash = seed;
    for part in parts {
        let (words, rest) = part.as_chunks::<8>();
        for word in words {
            hash = mix(hash ^ u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length tells apart texts that differ only in zero bytes at the end.
        hash = mix(hash ^ u64::from_le_bytes(last)) ^ part.len() as u64;
    }
    mix(hash)
}

/// Folded multiplication: both halves of the 128-bit product, as in wyhash.
fn mix(word: u64) -> u64 {
    let (low, high) = (word ^ 0x9E37_79B9_7F4A_7C15).carrying_mul(0xD6E8_FEB8_6659_FD93, 0);
    low ^ high
}

/// For maps by texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

#[derive(Debug)]
pub(super) struct TextHasher(u64);

impl BuildHasher for Seed {
    type Hasher = TextHasher;

    fn build_hasher(&self) -> TextHasher {
        TextHasher(self.0)
    }
}

impl Hasher for TextHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, &[bytes]);
    }

    /// A slice's length, which goes into its hash anyway.
    fn write_usize(&mut self, _: usize) {}
}
