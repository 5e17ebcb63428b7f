//! Reading back what [`super::wire::push_series`] has written: for sorting, and for finding the item that a
//! database names.

use super::wire::{FIRST, SAMPLE_FIXED, SAMPLE_TIMESTAMP, SAMPLE_VALUE, SECOND};

/// The content of an item: its labels, encoded, and its sample.
pub(super) fn series(item: &[u8]) -> Option<&[u8]> {
    varint(item.strip_prefix(&[FIRST])?).map(|(_, series)| series)
}

/// The labels of an item, encoded, which are its series, and its sample with the header.
fn parts(item: &[u8]) -> Option<(&[u8], &[u8])> {
    let series = series(item)?;
    let mut rest = series;
    while rest.first() == Some(&FIRST) {
        (_, rest) = field(FIRST, rest)?;
    }
    Some(series.split_at(series.len() - rest.len()))
}

/// The labels of an item, encoded, which are its series, and its time in milliseconds.
pub(crate) fn sample(item: &[u8]) -> Option<(&[u8], i64)> {
    let (labels, sample) = parts(item)?;
    let (sample, _) = field(SECOND, sample)?;
    let headers = (sample.first(), sample.get(SAMPLE_FIXED - 1));
    if headers != (Some(&SAMPLE_VALUE), Some(&SAMPLE_TIMESTAMP)) {
        return None;
    }
    let (timestamp, _) = varint(&sample[SAMPLE_FIXED..])?;
    Some((labels, timestamp.cast_signed()))
}

/// The names and the values of encoded labels.
pub(crate) fn labels(mut encoded: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (label, rest) = field(FIRST, encoded)?;
        encoded = rest;
        let (name, value) = field(FIRST, label)?;
        Some((name, field(SECOND, value)?.0))
    })
}

/// The encoded bytes of the first of encoded labels.
pub(super) fn first_label(encoded: &[u8]) -> Option<&[u8]> {
    field(FIRST, encoded).map(|(_, rest)| &encoded[..encoded.len() - rest.len()])
}

/// A length-delimited field with this header, and what follows it.
fn field(header: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, bytes) = varint(bytes.strip_prefix(&[header])?)?;
    bytes.split_at_checked(usize::try_from(len).ok()?)
}

/// A varint and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}
