mod properties;
mod rules;
mod v2;

use std::sync::Arc;

use prost::Message;

use super::*;
use crate::encode::Encoder;
use crate::encode::oracle::v1::{Label, Sample, TimeSeries, WriteRequest};
use crate::point::{Float, Timestamp};

fn point<'a>(
    measurement: &'a str,
    tags: &[(&'a str, &'a str)],
    fields: &[(&'a str, f64)],
    millis: i64,
) -> Point<'a> {
    Point {
        measurement: measurement.into(),
        tags: tags.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        fields: fields
            .iter()
            .map(|&(name, v)| (name.into(), Value::Float(Float::Number(v))))
            .collect(),
        timestamp: Timestamp::from_millis(millis).unwrap(),
        to: "".into(),
    }
}

fn encode_all(encoder: &mut Encoder, points: &[Point<'_>]) -> Result<Batch, EncodeError> {
    let mut open = OpenBatch::default();
    for (index, point) in (0u32..).zip(points) {
        encoder.encode(point, RecordIndex(index), &mut open)?;
    }
    Ok(encoder.close(&mut open))
}

fn batch(points: &[Point<'_>]) -> Batch {
    encode_all(&mut Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default())), points)
        .unwrap()
}

fn refusal(point: Point<'_>) -> String {
    encode_all(
        &mut Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default())),
        &[point],
    )
    .unwrap_err()
    .0
}

fn decode(batch: &Batch) -> Vec<TimeSeries> {
    WriteRequest::decode(batch.body()).unwrap().timeseries
}

/// A series as `a=1 b=2 value@time`.
fn text(series: &TimeSeries) -> String {
    let labels = series.labels.iter().map(|label| format!("{}={} ", label.name, label.value));
    let samples = series.samples.iter().map(|s| format!("{}@{}", s.value, s.timestamp));
    labels.chain(samples).collect()
}

fn texts(batch: &Batch) -> Vec<String> {
    decode(batch).iter().map(text).collect()
}

#[test]
fn a_point_is_a_series_a_field_with_sorted_labels() {
    let points =
        [point("plant", &[("Site", "k"), ("unit", "é")], &[("t", 1.5), ("value", 2.0)], 7)];
    assert_eq!(
        texts(&batch(&points)),
        ["Site=k __name__=plant_t unit=é 1.5@7", "Site=k __name__=plant unit=é 2@7"]
    );
}

#[test]
fn the_bytes_are_those_of_the_specifications_message() {
    let points = [point("m", &[("a", "b")], &[("f", 0.0)], 0), point("m", &[], &[("g", 1.0)], -1)];
    let whole = batch(&points);
    // prost leaves out zeros, which the receiver's default brings back; so the messages are compared.
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    let series = |labels, value, timestamp| TimeSeries {
        labels,
        samples: vec![Sample { value, timestamp }],
    };
    let expected = WriteRequest {
        timeseries: vec![
            series(vec![label("__name__", "m_f"), label("a", "b")], 0.0, 0),
            series(vec![label("__name__", "m_g")], 1.0, -1),
        ],
        ..WriteRequest::default()
    };
    assert_eq!(WriteRequest::decode(whole.body()).unwrap(), expected);
    let timeseries = vec![expected.timeseries[1].clone()];
    let last = WriteRequest { timeseries, ..WriteRequest::default() };
    assert_eq!(whole.slice(1..2).body(), last.encode_to_vec());
}

#[test]
fn names_become_legal_ones() {
    let points = [point("1-a:b.ü", &[("9x", "1"), ("a:b", "2"), ("é", "3")], &[("0 %", 1.0)], 1)];
    assert_eq!(texts(&batch(&points)), ["_=3 _9x=1 __name__=_1_a:b___0__ a_b=2 1@1"]);
}

#[test]
fn labels_that_become_one_are_refused_with_both_names() {
    let reason = refusal(point("m", &[("a-b", "1"), ("a.b", "2")], &[("f", 1.0)], 1));
    assert!(reason.contains("tag \"a-b\" and tag \"a.b\""), "{reason}");
    let reason = refusal(point("m", &[("a.b", "1"), ("a_b", "2")], &[("f", 1.0)], 1));
    assert!(reason.contains("tag \"a.b\" and tag \"a_b\""), "{reason}");
    let reason = refusal(point("m", &[("__name__", "x")], &[("f", 1.0)], 1));
    assert!(reason.contains("__name__"), "{reason}");
    let reason = refusal(point("m", &[("--name--", "x")], &[("f", 1.0)], 1));
    assert!(reason.contains("--name--"), "{reason}");
}

#[test]
fn fields_that_become_one_metric_are_refused_with_both_names() {
    let reason = refusal(point("m", &[], &[("a_b", 1.0), ("c", 2.0), ("a.b", 3.0)], 1));
    assert!(reason.contains("\"a.b\" and \"a_b\""), "{reason}");
}

#[test]
fn every_number_becomes_a_double_and_a_string_is_refused() {
    let of = |value| Point { fields: vec![("f".into(), value)], ..point("m", &[], &[], 1) };
    let stored = |value| decode(&batch(&[of(value)]))[0].samples[0].value;
    for (value, expected) in [
        (Value::Boolean(true), "1e0"),
        (Value::Boolean(false), "0e0"),
        (Value::Integer(i64::MIN), "-9.223372036854775808e18"),
        (Value::Integer((1 << 53) + 1), "9.007199254740992e15"),
        (Value::Unsigned(u64::MAX), "1.8446744073709551616e19"),
        (Value::Float(Float::Text("1.7976931348623157e308")), "1.7976931348623157e308"),
        (Value::Float(Float::Number(5e-324)), "5e-324"),
    ] {
        let expected: f64 = expected.parse().unwrap();
        assert_eq!(stored(value).to_bits(), expected.to_bits());
    }
    assert!(refusal(of(Value::String("x".into()))).contains("\"f\" is a string"));
    assert!(refusal(point("", &[], &[("f", 1.0)], 1)).contains("measurement is empty"));
}

#[test]
fn timestamps_are_milliseconds_towards_the_past() {
    let at = |nanos| {
        let timestamp = Timestamp::from_nanos(nanos).unwrap();
        let point = Point { timestamp, ..point("m", &[], &[("f", 1.0)], 0) };
        decode(&batch(&[point]))[0].samples[0].timestamp
    };
    assert_eq!(at(1_999_999), 1);
    assert_eq!(at(-1), -1);
    assert_eq!(at(i128::from(i64::MAX) - 1), 9_223_372_036_854);
    assert_eq!(at(i128::from(i64::MIN) + 2), -9_223_372_036_855);
}

#[test]
fn samples_of_a_series_leave_in_ascending_time() {
    let at = |tag, millis| point("m", &[("t", tag)], &[("f", 0.0)], millis);
    let sorted = batch(&[at("a", 3), at("b", 1), at("a", 2), at("b", 4)]);
    assert_eq!(
        texts(&sorted),
        [
            "__name__=m_f t=b 0@1",
            "__name__=m_f t=a 0@2",
            "__name__=m_f t=a 0@3",
            "__name__=m_f t=b 0@4"
        ]
    );
    let records: Vec<_> = (0..4).map(|item| sorted.record(item).0).collect();
    assert_eq!(records, [1, 2, 0, 3]);
}

#[test]
fn a_batch_that_is_in_order_keeps_the_order_of_its_records() {
    let at = |tag, millis| point("m", &[("t", tag)], &[("f", 0.0)], millis);
    let kept = batch(&[at("b", 5), at("a", 1), at("b", 6), at("a", 2)]);
    assert_eq!((0..4).map(|item| kept.record(item).0).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn of_equal_moments_of_a_series_the_last_record_stays() {
    let of = |value, millis| point("m", &[], &[("f", value)], millis);
    let collapsed = batch(&[of(1.0, 5), of(2.0, 6), of(3.0, 5), of(3.0, 5), of(4.0, 6)]);
    assert_eq!(texts(&collapsed), ["__name__=m_f 3@5", "__name__=m_f 4@6"]);
    assert_eq!((collapsed.record(0), collapsed.record(1)), (RecordIndex(3), RecordIndex(4)));
}

#[test]
fn a_batch_knows_nothing_of_the_one_before_it() {
    let mut encoder = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    let of = |value, millis| point("m", &[], &[("f", value)], millis);
    encode_all(&mut encoder, &[of(1.0, 9), of(2.0, 8)]).unwrap();
    // One that was given up without being closed, such as on a revoked partition.
    let mut given_up = OpenBatch::default();
    encoder.encode(&of(1.0, 7), RecordIndex(0), &mut given_up).unwrap();
    encoder.encode(&of(1.0, 6), RecordIndex(0), &mut given_up).unwrap();
    let next = encode_all(&mut encoder, &[of(1.0, 1), point("n", &[], &[("f", 1.0)], 0)]).unwrap();
    assert_eq!(texts(&next), ["__name__=m_f 1@1", "__name__=n_f 1@0"]);
}

#[test]
fn a_known_point_keeps_its_order_when_there_were_more_series_than_have_a_number() {
    let mut encoder = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    let known = |millis| point("m", &[], &[("f", 1.0)], millis);
    encode_all(&mut encoder, &[known(1)]).unwrap();
    // Of so many fields that none of these points takes the place of the known one.
    let names: Vec<_> = (0..200).map(|number| format!("field{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    let mut open = OpenBatch::default();
    for device in 0..165 {
        let device = device.to_string();
        let many = point("m", &[("device", &device)], &fields, 1);
        encoder.encode(&many, RecordIndex(0), &mut open).unwrap();
    }
    encoder.close(&mut open);
    // The first series of the next batch has the number that the known one had.
    let next = encode_all(&mut encoder, &[point("n", &[], &[("f", 1.0)], 9), known(8)]).unwrap();
    assert_eq!(texts(&next), ["__name__=n_f 1@9", "__name__=m_f 1@8"]);
}

#[test]
fn a_series_of_points_with_other_fields_has_one_order() {
    let one = |millis| point("m", &[], &[("f", 1.0)], millis);
    let two = |millis| point("m", &[], &[("f", 2.0), ("g", 2.0)], millis);
    let mut encoder = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    encode_all(&mut encoder, &[one(1), two(2)]).unwrap();
    let sorted = encode_all(&mut encoder, &[two(6), one(5)]).unwrap();
    assert_eq!(texts(&sorted), ["__name__=m_f 1@5", "__name__=m_f 2@6", "__name__=m_g 2@6"]);
}

#[test]
fn a_refused_point_leaves_nothing_of_itself() {
    let mut encoder = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    let mut open = OpenBatch::default();
    encoder.encode(&point("m", &[], &[("f", 1.0)], 2), RecordIndex(0), &mut open).unwrap();
    let mut bad = point("m", &[], &[("f", 9.0)], 1);
    bad.fields.push(("s".into(), Value::String("x".into())));
    encoder.encode(&bad, RecordIndex(1), &mut open).unwrap_err();
    encoder.encode(&point("m", &[], &[("f", 2.0)], 3), RecordIndex(2), &mut open).unwrap();
    assert_eq!(texts(&encoder.close(&mut open)), ["__name__=m_f 1@2", "__name__=m_f 2@3"]);
}

#[test]
fn a_series_from_two_partitions_is_noticed_by_encoders_that_share_their_origins() {
    let origins = Arc::<Origins>::default();
    let point = |tag: &'static str, time| Point {
        measurement: "m".into(),
        tags: vec![("t".into(), tag.into())],
        fields: vec![("v".into(), Value::Integer(1)), ("w".into(), Value::Integer(2))],
        timestamp: Timestamp::from_nanos(time).unwrap(),
        to: "".into(),
    };
    let mut open = OpenBatch::default();
    let mut encode = |encoder: &mut RemoteWrite, number, tag| {
        encoder.reads_from("topic", number);
        encoder.encode(&point(tag, 0), RecordIndex(0), &mut open).unwrap();
        encoder.take_noticed()
    };
    let mut one = RemoteWrite::new(Arc::default(), Arc::clone(&origins));
    let mut two = RemoteWrite::new(Arc::default(), origins);
    assert_eq!(encode(&mut one, 3, "a"), Noticed::default());
    assert_eq!(encode(&mut two, 4, "b"), Noticed::default());
    let spread = encode(&mut two, 4, "a");
    assert_eq!(spread.in_several_partitions, 2);
    let news = spread.news.unwrap();
    assert_eq!(news.series, r#"{__name__="m_v", t="a"}"#);
    assert_eq!((news.partition.as_str(), news.before.as_str()), ("topic [4]", "[3]"));
    // Told once, counted always.
    assert_eq!(
        encode(&mut one, 3, "b"),
        Noticed { in_several_partitions: 2, ..Noticed::default() }
    );
}
