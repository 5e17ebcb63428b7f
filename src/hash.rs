//! A hash of texts, several times faster than the standard library's. Its seed is random, so that
//! nobody can choose labels that make a map slow.

use std::hash::{BuildHasher, Hasher};

use crate::words::last_word;

/// A hash of the parts.
#[inline]
pub(crate) fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    parts.iter().fold(seed, |hash, part| add(hash, part))
}

/// Spreads a length over all bits, so that it is not taken for a difference of some characters.
const LENGTH: u64 = 0xA076_1D64_78BD_642F;

/// A hash with one more part. The length tells apart texts that differ only in where they overlap.
#[inline]
pub(crate) fn add(mut hash: u64, part: &[u8]) -> u64 {
    let mut rest = part;
    while let Some((word, behind)) = rest.split_first_chunk::<8>()
        && !behind.is_empty()
    {
        hash = mix(hash ^ u64::from_le_bytes(*word));
        rest = behind;
    }
    mix(hash.wrapping_add((part.len() as u64).wrapping_mul(LENGTH)) ^ last_word(part))
}

/// Folded multiplication: both halves of the 128-bit product, as in wyhash.
#[inline]
fn mix(word: u64) -> u64 {
    let (low, high) = (word ^ 0x9E37_79B9_7F4A_7C15).carrying_mul(0xD6E8_FEB8_6659_FD93, 0);
    low ^ high
}

/// For maps by texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct TextHasher(u64);

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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_texts_have_hashes_of_their_own() {
        let mut seen = HashSet::new();
        let texts = (0..3_u32.pow(9)).map(|n| {
            let digit = |place: u32| b"\0ab"[(n / 3_u32.pow(place) % 3) as usize];
            (0..9).map(digit).collect::<Vec<_>>()
        });
        let all: HashSet<_> =
            texts.flat_map(|text| (0..=9).map(move |end| text[..end].to_vec())).collect();
        for text in &all {
            seen.insert(hash(1, &[text]));
        }
        assert_eq!(seen.len(), all.len());
    }

    proptest! {
        #[test]
        fn a_changed_byte_or_another_end_changes_the_hash(
            text in "[a-c]{1,40}", place in any::<prop::sample::Index>(), end in any::<prop::sample::Index>()
        ) {
            let mut other = text.clone().into_bytes();
            other[place.index(text.len())] ^= 0x80;
            prop_assert_ne!(hash(1, &[text.as_bytes()]), hash(1, &[&other]));
            let (head, tail) = text.split_at(end.index(text.len()));
            prop_assert_ne!(hash(1, &[text.as_bytes()]), hash(1, &[head.as_bytes(), tail.as_bytes()]));
        }
    }
}
