//! What goes through a [`Spill`](super::spill::Spill), as bytes whose order is the order that the
//! audit needs.

use super::value::{Series, Value};

/// A value that a record stands for: what the sink has sent, or should have.
///
/// As bytes: sorted by series (those with labels of the same names beside each other), then time,
/// then place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub(super) series: Series,
    /// Nanoseconds since the epoch, cut as the sink cuts them.
    pub(super) time: i64,
    pub(super) place: Place,
    pub(super) value: Value,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// An index into the audit's partitions.
    pub(super) partition: u32,
    pub(super) offset: i64,
}

/// What is to be said of a record. As bytes: sorted by place, a letter first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remark {
    pub(super) place: Place,
    pub(super) kind: RemarkKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum RemarkKind {
    /// The dead-letter topic holds the record.
    Letter,
    /// The mapping rejects the record, for a reason.
    Rejected(String),
    /// The database holds no value, or another one.
    Absent { series: Series, time: i64, expected: Value, found: Option<Value> },
}

impl Expected {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        push_series(&mut out, &self.series);
        push_time(&mut out, self.time);
        push_place(&mut out, self.place);
        push_value(&mut out, &self.value);
        out
    }

    /// `None` for bytes that [`Expected::to_bytes`] has not written.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        Some(Self {
            series: take_series(&mut rest)?,
            time: take_time(&mut rest)?,
            place: take_place(&mut rest)?,
            value: take_value(&mut rest)?,
        })
    }
}

impl Remark {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(200);
        push_place(&mut out, self.place);
        match &self.kind {
            RemarkKind::Letter => out.push(0),
            RemarkKind::Rejected(reason) => {
                out.push(1);
                push_text(&mut out, reason);
            }
            RemarkKind::Absent { series, time, expected, found } => {
                out.push(2);
                push_series(&mut out, series);
                push_time(&mut out, *time);
                push_value(&mut out, expected);
                if let Some(found) = found {
                    push_value(&mut out, found);
                }
            }
        }
        out
    }

    /// `None` for bytes that [`Remark::to_bytes`] has not written.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let place = take_place(&mut rest)?;
        let kind = match take(&mut rest, 1)?[0] {
            0 => RemarkKind::Letter,
            1 => RemarkKind::Rejected(take_text(&mut rest)?),
            _ => RemarkKind::Absent {
                series: take_series(&mut rest)?,
                time: take_time(&mut rest)?,
                expected: take_value(&mut rest)?,
                found: if rest.is_empty() { None } else { Some(take_value(&mut rest)?) },
            },
        };
        Some(Self { place, kind })
    }
}

/// All names stand before all values, so that series of the same names come together.
fn push_series(out: &mut Vec<u8>, series: &Series) {
    push_len(out, series.labels().len());
    for (name, _) in series.labels() {
        push_text(out, name);
    }
    for (_, value) in series.labels() {
        push_text(out, value);
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// No text comes near 4 GiB: a record is at most 1 GiB.
fn push_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn push_time(out: &mut Vec<u8>, time: i64) {
    out.extend_from_slice(&ordered(time));
}

fn push_place(out: &mut Vec<u8>, place: Place) {
    out.extend_from_slice(&place.partition.to_be_bytes());
    out.extend_from_slice(&ordered(place.offset));
}

/// Big-endian with the sign turned, so that the order of bytes is that of numbers.
fn ordered(number: i64) -> [u8; 8] {
    (number ^ i64::MIN).to_be_bytes()
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Float(number) => {
            out.push(0);
            out.extend_from_slice(&number.to_bits().to_be_bytes());
        }
        Value::Integer(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Unsigned(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(truth) => out.extend_from_slice(&[3, u8::from(*truth)]),
        Value::Text(text) => {
            out.push(4);
            push_text(out, text);
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

fn take_8(rest: &mut &[u8]) -> Option<[u8; 8]> {
    take(rest, 8)?.try_into().ok()
}

fn take_len(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?)).ok()
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let len = take_len(rest)?;
    String::from_utf8(take(rest, len)?.to_vec()).ok()
}

fn take_series(rest: &mut &[u8]) -> Option<Series> {
    let count = take_len(rest)?;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(take_text(rest)?);
    }
    let mut labels = Vec::with_capacity(names.len());
    for name in names {
        labels.push((name, take_text(rest)?));
    }
    Some(Series::new(labels))
}

fn take_time(rest: &mut &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(take_8(rest)?) ^ i64::MIN)
}

fn take_place(rest: &mut &[u8]) -> Option<Place> {
    let partition = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
    Some(Place { partition, offset: take_time(rest)? })
}

fn take_value(rest: &mut &[u8]) -> Option<Value> {
    Some(match take(rest, 1)?[0] {
        0 => Value::Float(f64::from_bits(u64::from_be_bytes(take_8(rest)?))),
        1 => Value::Integer(i64::from_be_bytes(take_8(rest)?)),
        2 => Value::Unsigned(u64::from_be_bytes(take_8(rest)?)),
        3 => Value::Boolean(take(rest, 1)?[0] != 0),
        _ => Value::Text(take_text(rest)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<f64>().prop_filter("equal to itself", |n| !n.is_nan()).prop_map(Value::Float),
            any::<i64>().prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Unsigned),
            any::<bool>().prop_map(Value::Boolean),
            ".*".prop_map(Value::Text),
        ]
    }

    fn series() -> impl Strategy<Value = Series> {
        prop::collection::vec(("[a-c]{0,2}", "[x-z]{0,2}"), 0..4).prop_map(Series::new)
    }

    fn place() -> impl Strategy<Value = Place> {
        (0u32..3, -2i64..300).prop_map(|(partition, offset)| Place { partition, offset })
    }

    fn expected() -> impl Strategy<Value = Expected> {
        (series(), any::<i64>(), place(), value())
            .prop_map(|(series, time, place, value)| Expected { series, time, place, value })
    }

    proptest! {
        #[test]
        fn an_expected_value_comes_back(one in expected()) {
            prop_assert_eq!(Expected::from_bytes(&one.to_bytes()), Some(one));
        }

        #[test]
        fn values_sort_by_time_and_place_within_a_series(one in expected(), other in expected()) {
            let other = Expected { series: one.series.clone(), ..other };
            let by_bytes = one.to_bytes()[..].cmp(&other.to_bytes()[..]);
            let by_value = (one.time, one.place).cmp(&(other.time, other.place));
            prop_assert_eq!(by_bytes.then(by_value), by_bytes);
            if by_value.is_ne() {
                prop_assert_eq!(by_bytes, by_value);
            }
        }

        #[test]
        fn a_remark_comes_back(one in expected(), found in prop::option::of(value()), kind in 0..3) {
            let Expected { series, time, place, value } = one;
            let kind = match kind {
                0 => RemarkKind::Letter,
                1 => RemarkKind::Rejected("why".into()),
                _ => RemarkKind::Absent { series, time, expected: value, found },
            };
            let remark = Remark { place, kind };
            prop_assert_eq!(Remark::from_bytes(&remark.to_bytes()), Some(remark));
        }
    }
}
