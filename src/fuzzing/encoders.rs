//! Points, read back by somebody else's parsers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use influxdb_line_protocol::{FieldValue, parse_lines};

use crate::batch::{OpenBatch, RecordIndex};
use crate::config::raw::Precision;
use crate::encode::remote_write::v2;
use crate::encode::{Encoder, LineProtocol, Metadata, RemoteWrite, oracle};
use crate::point::{Float, Point, Timestamp, Value};

/// A point with names and values of any text.
fn point<'a>(bytes: &mut Unstructured<'a>) -> Result<Point<'a>> {
    let measurement: &str = bytes.arbitrary()?;
    let mut tags = BTreeMap::new();
    for _ in 0..bytes.int_in_range(0..=3)? {
        tags.insert(bytes.arbitrary::<&str>()?, bytes.arbitrary::<&str>()?);
    }
    let mut fields = BTreeMap::new();
    for _ in 0..bytes.int_in_range(1..=3)? {
        fields.insert(bytes.arbitrary::<&str>()?, value(bytes)?);
    }
    let nanos = i128::from(bytes.arbitrary::<i64>()?);
    Ok(Point {
        measurement: measurement.into(),
        // A mapping leaves empty tags out.
        tags: tags
            .into_iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| (k.into(), v.into()))
            .collect(),
        fields: fields.into_iter().map(|(k, v)| (k.into(), v)).collect(),
        timestamp: Timestamp::from_nanos(nanos).ok_or(arbitrary::Error::IncorrectFormat)?,
        to: "".into(),
    })
}

fn value<'a>(bytes: &mut Unstructured<'a>) -> Result<Value<'a>> {
    Ok(match bytes.int_in_range(0..=4)? {
        0 => {
            let number = Float::from_number(bytes.arbitrary()?);
            Value::Float(number.ok_or(arbitrary::Error::IncorrectFormat)?)
        }
        1 => Value::Integer(bytes.arbitrary()?),
        2 => Value::Unsigned(bytes.arbitrary()?),
        3 => Value::Boolean(bytes.arbitrary()?),
        _ => Value::String(bytes.arbitrary::<&str>()?.into()),
    })
}

/// A point is refused, or is one line that `influxdb-line-protocol` reads as the same point.
pub fn line_protocol(data: &[u8]) {
    let Ok(point) = point(&mut Unstructured::new(data)) else { return };
    let mut encoder = Encoder::LineProtocol(LineProtocol::new(Precision::Ns));
    let mut open = OpenBatch::default();
    if encoder.encode(&point, RecordIndex(0), &mut open).is_err() {
        assert!(open.is_empty() && open.bytes.is_empty(), "a refused point leaves nothing");
        return;
    }
    let text = String::from_utf8(encoder.close(&mut open).body().to_vec()).unwrap();
    let lines: Vec<_> = parse_lines(&text).map(|line| line.unwrap()).collect();
    assert_eq!(lines.len(), 1, "{text:?}");
    let line = &lines[0];
    assert_eq!(line.series.measurement.to_string(), point.measurement);
    let tags = line.series.tag_set.iter().flatten();
    let tags: Vec<_> = tags.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let expected: Vec<_> =
        point.tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    assert_eq!(tags, expected, "{text:?}");
    assert_eq!(line.field_set.len(), point.fields.len(), "{text:?}");
    for ((name, read), (expected, value)) in line.field_set.iter().zip(&point.fields) {
        assert_eq!(name.to_string(), *expected);
        assert!(is_same(read, value), "{read:?} for {value:?}");
    }
    assert_eq!(line.timestamp, Some(point.timestamp.nanos()));
}

fn is_same(read: &FieldValue<'_>, value: &Value<'_>) -> bool {
    match (read, value) {
        (FieldValue::F64(read), Value::Float(float)) => read.to_bits() == float.to_f64().to_bits(),
        (FieldValue::I64(read), Value::Integer(number)) => read == number,
        (FieldValue::U64(read), Value::Unsigned(number)) => read == number,
        (FieldValue::Boolean(read), Value::Boolean(truth)) => read == truth,
        (FieldValue::String(read), Value::String(text)) => *read == text.as_ref(),
        _ => false,
    }
}

/// A batch of points is a request that prost reads: each sample is of a point, labels are as the
/// specification wants them, and every series is in the order of time.
pub fn remote_write(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let mut encoder = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    let mut open = OpenBatch::default();
    let mut taken = Vec::new();
    for record in 0..4 {
        let Ok(point) = point(&mut bytes) else { break };
        if encoder.encode(&point, RecordIndex(record), &mut open).is_ok() {
            taken.push(point);
        }
    }
    let batch = encoder.close(&mut open);
    let samples = oracle::samples(&batch.body()).unwrap();
    assert_eq!(samples.len(), batch.len());
    let request = v2::request(&batch, &Metadata::default(), 1).unwrap();
    assert_eq!(oracle::samples_of_v2(&request).unwrap(), samples, "2.0 says the same as 1.0");
    let mut newest = BTreeMap::new();
    for (item, sample) in samples.iter().enumerate() {
        let names: Vec<_> = sample.labels.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert!(
            names.contains(&"__name__") && names.iter().all(|name| is_legal(name)),
            "{names:?}"
        );
        assert!(sample.labels.iter().all(|(_, value)| !value.is_empty()), "{:?}", sample.labels);
        let before = newest.insert(&sample.labels, sample.millis);
        assert!(before.is_none_or(|before| before < sample.millis), "out of order: {sample:?}");
        assert!((batch.record(item).0 as usize) < 4);
        let is_of = |point: &Point<'_>| {
            let values = point.fields.iter().filter_map(|(_, value)| number(value));
            point.timestamp.millis() == sample.millis
                && values.map(f64::to_bits).any(|value| value == sample.value.to_bits())
        };
        assert!(taken.iter().any(is_of), "{sample:?} is of no point");
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "it is all that Prometheus can store")]
    match value {
        Value::Float(float) => Some(float.to_f64()),
        Value::Integer(number) => Some(*number as f64),
        Value::Unsigned(number) => Some(*number as f64),
        Value::Boolean(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(_) | Value::Stale | Value::NotFinite(_) => None,
    }
}

fn is_legal(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
