use std::borrow::Cow;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::audit::value::METRIC;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::raw::Precision;
use crate::encode::{LineProtocol, RemoteWrite};
use crate::point::{Float, Point, Timestamp, Value as Field};

fn label(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Text with everything in it that line protocol escapes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c,= \"\\\\é\u{1F600}]{1,6}", "[a-z]{1,3}"]
}

fn field() -> impl Strategy<Value = Field<'static>> {
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|number| Field::Float(Float::Number(number))),
        Just(Field::Float(Float::Text("-12.50e-3"))),
        any::<i64>().prop_map(Field::Integer),
        any::<u64>().prop_map(Field::Unsigned),
        any::<bool>().prop_map(Field::Boolean),
        "[a \",=\\\\\n]{0,8}".prop_map(|text| Field::String(Cow::Owned(text))),
    ]
}

fn held(value: &Field<'_>) -> Value {
    match value {
        Field::Float(number) => Value::Float(number.to_f64()),
        Field::Integer(number) => Value::Integer(*number),
        Field::Unsigned(number) => Value::Unsigned(*number),
        Field::Boolean(truth) => Value::Boolean(*truth),
        Field::String(text) => Value::Text(text.to_string()),
        Field::Stale | Field::NotFinite(_) => unreachable!("there is none in these tests"),
    }
}

proptest! {
    /// What the encoder takes is read back as the very point.
    #[test]
    fn a_line_is_its_point(
        measurement in text(),
        tags in prop::collection::btree_map("[a-c= ,]{1,3}", text(), 0..3),
        fields in prop::collection::btree_map("[f-h= ,]{1,3}", field(), 1..4),
        nanos in -2_000_000_000_000_000_000i64..4_000_000_000_000_000_000,
    ) {
        let point = Point {
            measurement: Cow::Borrowed(&measurement),
            tags: tags.iter().map(|(k, v)| (k.into(), Cow::Borrowed(v.as_str()))).collect(),
            fields: fields.iter().map(|(k, v)| (k.into(), v.clone())).collect(),
            timestamp: Timestamp::from_nanos(i128::from(nanos)).unwrap(),
            to: "".into(),
        };
        let mut open = OpenBatch::default();
        let encoded = LineProtocol::new(Precision::Us).encode(&point, RecordIndex(0), &mut open);
        prop_assume!(encoded.is_ok());
        let expected: Vec<_> = fields.iter().map(|(name, value)| {
            let mut labels = vec![label(MEASUREMENT, &measurement), label(FIELD, name)];
            labels.extend(tags.iter().map(|(name, value)| label(name, value)));
            let time = nanos.div_euclid(1000) * 1000;
            Sent { series: Series::new(labels), time, value: held(value) }
        }).collect();
        prop_assert_eq!(line(&open.bytes, 1000), Some(expected));
    }
}

#[test]
fn a_sample_of_remote_write_is_its_field() {
    let point = Point {
        measurement: "plant 1".into(),
        tags: vec![("Zone".into(), "a\"b".into()), ("site".into(), "ü".into())],
        fields: vec![
            ("t".into(), Field::Float(Float::Number(-0.25))),
            ("n".into(), Field::Integer(9_007_199_254_740_993)),
            ("ended".into(), Field::Stale),
        ],
        timestamp: Timestamp::from_nanos(-1_500_000).unwrap(),
        to: "".into(),
    };
    let mut open = OpenBatch::default();
    RemoteWrite::new(Arc::default(), Arc::default())
        .encode(&point, RecordIndex(0), &mut open)
        .unwrap();
    let sent = |name: &str, value: f64| Sent {
        series: Series::new(vec![label("Zone", "a\"b"), label(METRIC, name), label("site", "ü")]),
        time: -2_000_000,
        value: Value::Float(value),
    };
    // The float that is nearest to the integer.
    let expected = [sent("plant_1_t", -0.25), sent("plant_1_n", 9_007_199_254_740_992.0)];
    assert_eq!(samples(&open.bytes), Some(expected.to_vec()));
}

#[test]
fn what_no_encoder_writes_is_not_read() {
    for wrong in ["", "m", "m f=1 5", "m,t=a f= 5\n", "m f=1 x\n", "m f=\"a 5\n"] {
        assert_eq!(line(wrong.as_bytes(), 1), None, "{wrong:?}");
    }
    assert_eq!(samples(b"\x0a\x05abc"), None);
}
