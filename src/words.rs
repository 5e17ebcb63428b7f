//! Short texts, eight bytes at a time: names, keys and numbers are mostly so short that a call of the C
//! library, or a loop over their bytes, takes longer.

const ONES: u64 = u64::MAX / 0xff;
const TOPS: u64 = ONES * 0x80;

/// Whether two texts are the same.
#[inline]
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if one.len() > 64 {
        return one == other;
    }
    if one.len() > 32 {
        return have_same_ends::<32>(one, other);
    }
    if one.len() > 16 {
        return have_same_ends::<16>(one, other);
    }
    if one.len() > 8 {
        return have_same_ends::<8>(one, other);
    }
    last_word(one) == last_word(other)
}

/// Whether the first `N` bytes of two texts are the same, and the last.
#[inline]
fn have_same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
}

/// The last eight bytes; of a shorter text all of it, where some bytes may be there twice, and zeros.
#[inline]
pub(crate) fn last_word(text: &[u8]) -> u64 {
    if let Some(word) = text.last_chunk::<8>() {
        u64::from_le_bytes(*word)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
    } else if let [first, .., last] = text {
        u64::from(*first) | u64::from(text[text.len() / 2]) << 8 | u64::from(*last) << 16
    } else {
        text.first().map_or(0, |byte| u64::from(*byte))
    }
}

/// Appends a text; one of up to 32 bytes without a call.
#[expect(clippy::inline_always, reason = "a call is what it is there to spare")]
#[inline(always)]
pub(crate) fn push(out: &mut Vec<u8>, text: &[u8]) {
    // Only with room for all of what is written: a vector that might have to grow needs as much as a call.
    if text.len() > 32 || out.capacity() - out.len() < 32 {
        return push_any(out, text);
    }
    if text.len() < 4 {
        push_few(out, text);
    } else if text.len() > 16 {
        push_ends::<16>(out, text);
    } else if text.len() > 8 {
        push_ends::<8>(out, text);
    } else {
        push_ends::<4>(out, text);
    }
}

/// Appends a text of one to two times `N` bytes: its first `N`, and its last, which may lie over them.
#[expect(clippy::inline_always, reason = "as of `push`")]
#[inline(always)]
fn push_ends<const N: usize>(out: &mut Vec<u8>, text: &[u8]) {
    let end = out.len() + text.len();
    if let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) {
        out.extend_from_slice(first);
        out.truncate(end - N);
        out.extend_from_slice(last);
    }
}

/// Appends a text of up to three bytes.
#[inline]
fn push_few(out: &mut Vec<u8>, text: &[u8]) {
    if let (Some(first), Some(last)) = (text.first(), text.last()) {
        let end = out.len() + text.len();
        out.extend_from_slice(&[*first, text[text.len() / 2], *last]);
        out.truncate(end);
    }
}

#[inline(never)]
fn push_any(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
}

/// Whether an ASCII text has a letter in it, of either case; `letter` is the small one.
#[inline]
pub(crate) fn has_letter(text: &[u8], letter: u8) -> bool {
    let in_word = |word: u64| {
        let zero_if = (word | (ONES * 0x20)) ^ (ONES * u64::from(letter));
        zero_if.wrapping_sub(ONES) & !zero_if & TOPS != 0
    };
    let (words, _) = text.as_chunks::<8>();
    words.iter().any(|word| in_word(u64::from_le_bytes(*word))) || in_word(last_word(text))
}

/// Whether a text is digits, one or more.
#[inline]
pub(crate) fn is_digits(text: &[u8]) -> bool {
    if text.len() < 4 {
        return !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    }
    let (words, _) = text.as_chunks::<8>();
    words.iter().all(|word| are_digits(u64::from_le_bytes(*word))) && are_digits(last_word(text))
}

/// Whether eight bytes are digits.
#[inline]
fn are_digits(word: u64) -> bool {
    let high = ONES * 0xf0;
    // Both the digit and the digit plus six must have the high half of `0`.
    (word & high) | ((word.wrapping_add(ONES * 6) & high) >> 4) == ONES * 0x33
}

/// The number that eight decimal digits spell.
#[inline]
pub(crate) fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(text);
    if !are_digits(word) {
        return None;
    }
    // Pairs, then fours, then all: the earlier digit stands in the lower byte.
    let pairs = (word & (ONES * 0x0f)).wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn they_say_what_loops_over_bytes_say(
            one in "[0-9e.E-]{0,70}", other in "[0-9e.E-]{0,70}", digits in "[0-9]{8}|[0-9/:a]{8}"
        ) {
            prop_assert_eq!(is_same(one.as_bytes(), other.as_bytes()), one == other);
            prop_assert!(is_same(one.as_bytes(), one.clone().as_bytes()));
            for place in 0..one.len() {
                let mut changed = one.clone().into_bytes();
                changed[place] ^= 1;
                prop_assert!(!is_same(one.as_bytes(), &changed));
            }
            let has = one.contains(['e', 'E']);
            prop_assert_eq!(has_letter(one.as_bytes(), b'e'), has);
            let bytes = digits.as_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(bytes), digits.parse().ok());
        }

        #[test]
        fn a_text_is_appended_whole(
            before in ".{0,9}", room in 0..80_usize, text in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut out = before.clone().into_bytes();
            out.reserve_exact(room);
            push(&mut out, &text);
            prop_assert_eq!(out, [before.as_bytes(), &text].concat());
        }

        #[test]
        fn digits_are_told_from_all_else(
            text in prop_oneof![
                "[0-9]{0,20}".prop_map(String::into_bytes),
                "[0-9]{0,20}[^0-9][0-9]{0,20}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..20),
            ],
        ) {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(is_digits(&text), digits);
        }

        #[test]
        fn any_eight_bytes_are_digits_or_none(bytes in any::<[u8; 8]>()) {
            let text = std::str::from_utf8(&bytes).ok();
            let spelled = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert_eq!(eight_digits(bytes), spelled.and_then(|text| text.parse().ok()));
        }
    }
}
