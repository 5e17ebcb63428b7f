use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::Float),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Unsigned),
        any::<bool>().prop_map(Value::Boolean),
        "[ -~äß]{0,12}".prop_map(Value::String),
        Just(Value::Stale),
    ]
}

proptest! {
    #[test]
    fn a_point_is_read_as_it_was_written(
        measurement in "[a-zA-Z,= ]{0,8}m",
        tags in proptest::collection::btree_map("[a-z,= ]{0,6}k", "[a-zA-Z0-9,= ]{0,8}v", 0..4),
        fields in proptest::collection::btree_map("[a-z,= ]{0,6}f", value(), 1..4),
        nanos in any::<Option<i64>>(),
    ) {
        let measurement = measurement.trim_start().to_owned();
        let point = WholePoint { measurement, tags, fields, nanos };
        let text = format!("# a comment\n\n{point}\n{point}");
        prop_assert_eq!(lines(&text).unwrap(), vec![point.clone(), point]);
    }
}

#[test]
fn what_is_no_line_protocol_is_named_with_its_place() {
    for (text, offset, what) in [
        ("m", 1, "a space and the fields should follow, such as ` v=1.5`"),
        ("m,t v=1", 3, "an `=` should follow the name"),
        ("m,t= v=1", 4, "a name or a value is missing here"),
        ("m v=1,v=2", 6, "this field is here twice"),
        ("m v=x", 4, "not a value; write `1.5`, `3i`, `3u`, `true` or `\"text\"`"),
        ("m v=1 12x", 8, "the line should end here"),
        ("m v=\"x", 5, "this text has no closing quote"),
    ] {
        assert_eq!(lines(text), Err(ParseError { offset, what }), "{text}");
    }
}
