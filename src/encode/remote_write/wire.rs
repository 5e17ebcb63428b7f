//! Protobuf, as far as remote write needs it.

use super::NAME;
use super::labels::Labels;

/// The header of a length-delimited field 1: an entry of `timeseries`, `labels`, or `Label.name`.
pub(super) const FIRST: u8 = 0x0A;
/// The header of a length-delimited field 2: an entry of `samples`, or `Label.value`.
pub(super) const SECOND: u8 = 0x12;
pub(super) const SAMPLE_VALUE: u8 = 0x09;
pub(super) const SAMPLE_TIMESTAMP: u8 = 0x10;
/// Of a sample: both headers and the value. The timestamp follows.
pub(super) const SAMPLE_FIXED: usize = 10;

pub(super) fn push_series(
    out: &mut Vec<u8>,
    labels: &Labels,
    metric: &[u8],
    value: f64,
    timestamp: i64,
) {
    // An int64 is a varint of its two's complement: ten bytes before 1970.
    let timestamp = timestamp.cast_unsigned();
    let sample = SAMPLE_FIXED + varint_len(timestamp);
    let series = labels.before_name.len()
        + delimited_len(label_len(NAME.len(), metric.len()))
        + labels.after_name.len()
        + delimited_len(sample);
    out.push(FIRST);
    push_len(out, series);
    out.extend_from_slice(&labels.before_name);
    push_label(out, NAME.as_bytes(), metric);
    out.extend_from_slice(&labels.after_name);
    out.push(SECOND);
    push_len(out, sample);
    out.push(SAMPLE_VALUE);
    out.extend_from_slice(&value.to_le_bytes());
    out.push(SAMPLE_TIMESTAMP);
    push_varint(out, timestamp);
}

pub(super) fn push_label(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(FIRST);
    push_len(out, label_len(name.len(), value.len()));
    push_text(out, FIRST, name);
    push_text(out, SECOND, value);
}

/// A length-delimited field with this header.
pub(super) fn push_text(out: &mut Vec<u8>, header: u8, text: &[u8]) {
    out.push(header);
    push_len(out, text.len());
    out.extend_from_slice(text);
}

fn label_len(name: usize, value: usize) -> usize {
    delimited_len(name) + delimited_len(value)
}

/// The size of a field of this length with its header.
pub(super) fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

pub(super) fn varint_len(number: u64) -> usize {
    // Seven bits a byte, and one byte for 0.
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

pub(super) fn push_len(out: &mut Vec<u8>, len: usize) {
    push_varint(out, len as u64);
}

pub(super) fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
