use proptest::prelude::*;

use super::*;
use crate::config::{Environment, Process, load_text};
use crate::dead_letter::{ReasonKind, Stage};
use crate::record::OwnedRecord;

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
        let point = WholePoint { measurement, tags, fields, nanos, to: None };
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

#[test]
fn points_are_shown_as_the_sink_writes_them() {
    let written = |sink: &str| {
        let file = format!(
            "
topics: [t]
kafka: {{ bootstrap.servers: k }}
point:
  measurement: sensor
  tags: {{ site: site, 'a b': note }}
  fields: {{ t: t, n: {{ path: n, type: integer }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {sink}
"
        );
        let environment = crate::config::Environment::variables(|_| None);
        let shared = crate::config::Process::default();
        let connector = crate::config::load_text("a.yaml", &file, &shared, &environment).unwrap();
        let mut trial = Trial::new(&connector).unwrap();
        let value = br#"{"site":"hall","note":"say \"hi\"","t":21.5,"n":7,"at":1795341600250}"#;
        let record = crate::record::OwnedRecord::new("t", value.into(), None);
        assert!(matches!(trial.run(&record), Ok(Outcome::Points(_))));
        trial.written(&record).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let tags = r#"{"a b"="say \"hi\"",site="hall"}"#;
    assert_eq!(
        written("{ prometheus: { url: 'http://x/write', metric_name_validation_scheme: utf8 } }"),
        [format!("sensor_n{tags} 7 1795341600250"), format!("sensor_t{tags} 21.5 1795341600250")]
    );
    let line = r#"sensor,a\ b=say\ "hi",site=hall n=7i,t=21.5"#;
    assert_eq!(
        written(
            "{ influxdb: { url: 'http://x', org: o, bucket: 'p-{{ value.site }}', precision: s } }"
        ),
        [format!("p-hall: {line} 1795341600")]
    );
    let json = written("{ stdout: { format: json_lines } }");
    assert!(
        json.len() == 1 && json[0].starts_with('{') && json[0].contains("\"sensor\""),
        "{json:?}"
    );
}

#[test]
fn a_rejected_record_is_counted_by_the_kind_of_its_reason() {
    let text = "
topics: [t]
kafka: { bootstrap.servers: 'localhost:9092' }
point:
  measurement: m
  tags: { site: site }
  fields: { v: { path: v, type: float, required: true }, s: { path: s, type: string } }
  timestamp: { path: ts, unit: ms }
process:
  - cast: { s: integer }
sink:
  influxdb:
    { url: 'http://localhost:8086', org: o, bucket: '{{ header.to }}', destinations: { allowed: [b] } }
";
    let connector = load_text("c.yaml", text, &Process::default(), &Environment::process());
    let mut trial = Trial::new(&connector.unwrap()).unwrap();
    let mut rejected = |to: &str, value: &str| {
        let record = OwnedRecord {
            headers: vec![("to".to_owned(), Some(to.into()))],
            ..OwnedRecord::new("t", value.into(), Some(1))
        };
        match trial.run(&record).unwrap() {
            Outcome::Rejected(reject) => Some((reject.stage, reject.kind)),
            Outcome::Points(_) | Outcome::Excluded => None,
        }
    };
    for (value, stage, kind) in [
        (r#"{"v":"#, Stage::Decode, ReasonKind::Malformed),
        (r#"{"ts":1}"#, Stage::Map, ReasonKind::MissingValue),
        (r#"{"v":"warm","ts":1}"#, Stage::Map, ReasonKind::WrongType),
        (r#"{"v":1}"#, Stage::Map, ReasonKind::BadTimestamp),
        (r#"{"v":1,"ts":"soon"}"#, Stage::Map, ReasonKind::BadTimestamp),
        (r#"{"v":1,"s":"x","ts":1}"#, Stage::Process, ReasonKind::WrongType),
        (r#"{"v":1,"site":"a\\","ts":1}"#, Stage::Encode, ReasonKind::NotRepresentable),
    ] {
        assert_eq!(rejected("b", value), Some((stage, kind)), "{value}");
        assert!(stage.kinds().contains(&kind), "{value}");
    }
    let reject = rejected("c", r#"{"v":1,"ts":1}"#);
    assert_eq!(reject, Some((Stage::Map, ReasonKind::BadDestination)));
    assert_eq!(rejected("b", r#"{"v":1,"ts":1}"#), None);
}
