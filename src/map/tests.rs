//! From a message to a point, or to a reason that names the place.

use super::*;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::raw::Precision;
use crate::decode::json;
use crate::encode::{Encoder, LineProtocol};
use crate::point::Timestamp;
use crate::record::Offset;
use crate::record::Record;

struct Fake {
    key: Option<&'static str>,
    headers: Vec<(&'static str, &'static [u8])>,
    timestamp: Option<i64>,
}

impl Record for Fake {
    fn topic(&self) -> &'static str {
        "plant-1"
    }
    fn partition(&self) -> i32 {
        3
    }
    fn offset(&self) -> Offset {
        Offset(42)
    }
    fn key(&self) -> Option<&[u8]> {
        self.key.map(str::as_bytes)
    }
    fn value(&self) -> Option<&[u8]> {
        None
    }
    fn timestamp_millis(&self) -> Option<i64> {
        self.timestamp
    }
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value)
    }
    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        Vec::new()
    }
}

fn record() -> Fake {
    Fake {
        key: Some("device-7"),
        headers: vec![("trace", b"abc"), ("bytes", &[0xff])],
        timestamp: Some(1_700_000_000_000),
    }
}

fn path(text: &str) -> Source {
    Source::Value(text.parse().unwrap())
}

fn field(name: &str, source: Source, kind: FieldKind) -> Field {
    Field::new(name, source, kind)
}

fn tag(name: &str, source: Source) -> Tag {
    Tag::new(name, source)
}

fn mapping(tags: Vec<Tag>, fields: Vec<Field>) -> PointRule {
    let measurement = Template(vec![Piece::Text("m".into())]);
    PointRule { tags, ..PointRule::new(measurement, fields) }
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::Rejected(reject) => reject.reason,
        Refusal::Unavailable(reason) => panic!("{reason}"),
    }
}

/// The line of line protocol that a message becomes, or why it is rejected.
fn line_of(rule: &PointRule, record: &Fake, text: &str) -> Result<String, String> {
    let plan = Plan::new(&rule.clone().into());
    let mut slots = vec![Slot::Missing; plan.paths().slots()];
    json::decode(text.as_bytes(), plan.paths(), &mut slots).map_err(|e| e.to_string())?;
    line_of_slots(&plan, record, &slots)
}

fn line_of_slots(plan: &Plan, record: &Fake, slots: &[Slot<'_>]) -> Result<String, String> {
    let mut scratch = Scratch::default();
    let mut batch = OpenBatch::default();
    let mut encoder = Encoder::LineProtocol(LineProtocol::new(Precision::Ms));
    let mapped = plan.points(record, slots, &mut scratch, &mut |point: &Point<'_>| {
        encoder.encode(point, RecordIndex(0), &mut batch).unwrap();
        Ok(())
    });
    mapped.map_err(reason)?;
    Ok(String::from_utf8(batch.bytes).unwrap().trim_end().to_owned())
}

fn one(kind: FieldKind, coerce: bool, json: &str) -> Result<String, String> {
    let mut field = field("f", path("v"), kind);
    field.coerce = coerce;
    line_of(&mapping(Vec::new(), vec![field]), &record(), json).map(|line| {
        line.strip_prefix("m f=").unwrap().strip_suffix(" 1700000000000").unwrap().to_owned()
    })
}

#[test]
fn nested_paths_arrays_and_every_property_of_the_record_reach_the_point() {
    let template = Template(vec![
        Piece::Text("p".into()),
        Piece::Source(Source::Partition),
        Piece::Text("-".into()),
        Piece::Source(path("device.id")),
    ]);
    let tags = vec![
        tag("const", Source::Constant("eu".into())),
        tag("device", path("device.id")),
        tag("key", Source::Key),
        tag("second", path("list[1].name")),
        tag("template", Source::Template(template)),
        tag("topic", Source::Topic),
        tag("trace", Source::Header("trace".into())),
    ];
    let fields = vec![
        field("offset", Source::Offset, FieldKind::Integer),
        field("temperature", path("reading.t"), FieldKind::Float),
        field("record_time", Source::Timestamp, FieldKind::Integer),
    ];
    let json = r#"{"device":{"id":"d1"},"list":[{"name":"a"},{"name":"b"}],"reading":{"t":21.50}}"#;
    assert_eq!(
        line_of(&mapping(tags, fields), &record(), json).unwrap(),
        "m,const=eu,device=d1,key=device-7,second=b,template=p3-d1,topic=plant-1,trace=abc \
         offset=42i,temperature=21.50,record_time=1700000000000i 1700000000000"
    );
}

#[test]
fn null_and_missing_optional_parts_are_left_out() {
    let tags = vec![tag("a", path("a")), tag("b", path("b")), tag("c", path("c"))];
    let fields =
        vec![field("x", path("x"), FieldKind::Float), field("y", path("y"), FieldKind::Float)];
    let line = line_of(&mapping(tags, fields), &record(), r#"{"a":null,"c":"","x":1,"y":null}"#);
    assert_eq!(line.unwrap(), "m x=1 1700000000000");
}

#[test]
fn a_message_with_no_field_left_is_rejected_and_the_reason_names_the_paths() {
    let fields =
        vec![field("x", path("a.x"), FieldKind::Float), field("y", path("y"), FieldKind::Float)];
    let why = line_of(&mapping(Vec::new(), fields), &record(), r#"{"z":1}"#).unwrap_err();
    assert_eq!(why, "no field has a value; looked at path a.x, path y");
}

#[test]
fn a_required_part_that_is_missing_is_named_with_its_path() {
    let mut required = field("x", path("a.x"), FieldKind::Float);
    required.required = true;
    let fields = vec![required, field("y", path("y"), FieldKind::Float)];
    let why = line_of(&mapping(Vec::new(), fields), &record(), r#"{"y":1}"#).unwrap_err();
    assert_eq!(why, "field x is required: path a.x: there is no value");
    let mut site = tag("site", path("site"));
    site.required = true;
    let fields = vec![field("y", path("y"), FieldKind::Float)];
    let why = line_of(&mapping(vec![site], fields), &record(), r#"{"y":1}"#).unwrap_err();
    assert_eq!(why, "tag site is required: path site: there is no value");
}

#[test]
fn numbers_keep_every_digit_they_were_sent_with() {
    assert_eq!(
        one(FieldKind::Float, false, r#"{"v":0.30000000000000004}"#).unwrap(),
        "0.30000000000000004"
    );
    assert_eq!(
        one(FieldKind::Integer, false, r#"{"v":9223372036854775807}"#).unwrap(),
        "9223372036854775807i"
    );
    assert_eq!(
        one(FieldKind::Unsigned, false, r#"{"v":18446744073709551615}"#).unwrap(),
        "18446744073709551615u"
    );
}

#[test]
fn a_whole_number_spelled_as_a_float_is_an_integer() {
    assert_eq!(one(FieldKind::Integer, false, r#"{"v":5.0}"#).unwrap(), "5i");
    assert_eq!(one(FieldKind::Integer, false, r#"{"v":1e3}"#).unwrap(), "1000i");
    assert!(one(FieldKind::Integer, false, r#"{"v":5.5}"#).is_err());
    // Beyond 2^53 the float may stand for another integer already.
    assert!(one(FieldKind::Integer, false, r#"{"v":9223372036854775807.0}"#).is_err());
}

#[test]
fn numbers_out_of_the_types_range_are_rejected() {
    assert!(one(FieldKind::Integer, false, r#"{"v":9223372036854775808}"#).is_err());
    assert!(one(FieldKind::Unsigned, false, r#"{"v":-1}"#).is_err());
    let why = one(FieldKind::Float, false, r#"{"v":1e999}"#).unwrap_err();
    assert_eq!(why, "field f: path v: found the number 1e999, not a finite float");
}

#[test]
fn a_value_of_another_type_is_rejected_with_the_mend_and_taken_when_coerced() {
    let why = one(FieldKind::Float, false, r#"{"v":"21.5"}"#).unwrap_err();
    assert_eq!(
        why,
        "field f: path v: found the text \"21.5\", not a finite float (declare another type, or coerce: true)"
    );
    assert_eq!(one(FieldKind::Float, true, r#"{"v":"21.5"}"#).unwrap(), "21.5");
    assert_eq!(one(FieldKind::Float, true, r#"{"v":true}"#).unwrap(), "1.0");
    assert_eq!(one(FieldKind::Integer, true, r#"{"v":"-7"}"#).unwrap(), "-7i");
    assert_eq!(one(FieldKind::Boolean, true, r#"{"v":1}"#).unwrap(), "true");
    assert_eq!(one(FieldKind::Boolean, true, r#"{"v":"FALSE"}"#).unwrap(), "false");
    assert_eq!(one(FieldKind::String, true, r#"{"v":1.50}"#).unwrap(), "\"1.50\"");
    for (kind, json) in [
        (FieldKind::Float, r#"{"v":"NaN"}"#),
        (FieldKind::Float, r#"{"v":"inf"}"#),
        (FieldKind::Float, r#"{"v":"warm"}"#),
        (FieldKind::Boolean, r#"{"v":2}"#),
        (FieldKind::Unsigned, r#"{"v":"-7"}"#),
    ] {
        assert!(one(kind, true, json).is_err(), "{json}");
    }
}

#[test]
fn a_container_where_a_value_belongs_is_rejected() {
    let why = one(FieldKind::Float, true, r#"{"v":{"x":1}}"#).unwrap_err();
    assert_eq!(why, "field f: path v: found an object or array, not a value");
}

#[test]
fn a_header_that_is_not_text_is_rejected_by_name() {
    let fields = vec![field("f", Source::Header("bytes".into()), FieldKind::String)];
    let why = line_of(&mapping(Vec::new(), fields), &record(), "{}").unwrap_err();
    assert_eq!(why, "field f: header bytes: bytes is not UTF-8");
}

#[test]
fn the_measurement_may_come_from_the_message_and_must_have_a_value() {
    let mut mapping = mapping(Vec::new(), vec![field("v", path("v"), FieldKind::Float)]);
    mapping.measurement = Template(vec![Piece::Text("plant_".into()), Piece::Source(path("kind"))]);
    let line = line_of(&mapping, &record(), r#"{"kind":"pump","v":1}"#).unwrap();
    assert_eq!(line, "plant_pump v=1 1700000000000");
    let why = line_of(&mapping, &record(), r#"{"v":1}"#).unwrap_err();
    assert_eq!(why, "the measurement: its template has no value in this message");
}

#[test]
fn a_timestamp_comes_from_the_declared_place_and_unit_only() {
    let mut mapping = mapping(Vec::new(), vec![field("v", path("v"), FieldKind::Float)]);
    let mut at = |timestamp: TimeSource, json: &str| {
        mapping.timestamp = timestamp;
        line_of(&mapping, &record(), json).map(|line| line.rsplit(' ').next().unwrap().to_owned())
    };
    let number = |unit| TimeSource::Number { source: path("ts"), unit };
    let rfc = || TimeSource::Rfc3339 { source: path("ts") };
    assert_eq!(at(number(TimeUnit::S), r#"{"v":1,"ts":1600000000.25}"#).unwrap(), "1600000000250");
    assert_eq!(
        at(number(TimeUnit::Ms), r#"{"v":1,"ts":"1600000000250"}"#).unwrap(),
        "1600000000250"
    );
    assert_eq!(
        at(number(TimeUnit::Us), r#"{"v":1,"ts":1600000000250000}"#).unwrap(),
        "1600000000250"
    );
    assert_eq!(
        at(rfc(), r#"{"v":1,"ts":"2020-09-13T14:26:40.25+02:00"}"#).unwrap(),
        "1600000000250"
    );
    // A timestamp that is missing or wrong never becomes the clock's, nor the record's.
    assert_eq!(
        at(number(TimeUnit::S), r#"{"v":1}"#).unwrap_err(),
        "the timestamp: path ts: there is no value"
    );
    for json in [r#"{"v":1,"ts":"yesterday"}"#, r#"{"v":1,"ts":true}"#, r#"{"v":1,"ts":{}}"#] {
        assert!(at(number(TimeUnit::S), json).is_err(), "{json}");
        assert!(at(rfc(), json).is_err(), "{json}");
    }
    let why = at(number(TimeUnit::S), r#"{"v":1,"ts":1600000000250}"#).unwrap_err();
    assert_eq!(why, "the timestamp: path ts: 1600000000250 is outside the years 1677 to 2262");
}

#[test]
fn a_time_of_the_format_is_taken_as_it_is_and_is_text_elsewhere() {
    let mut mapping =
        mapping(vec![tag("day", path("ts"))], vec![field("v", path("ts"), FieldKind::String)]);
    mapping.timestamp = TimeSource::Rfc3339 { source: path("ts") };
    let plan = Plan::new(&mapping.into());
    let at = |time: &str| line_of_slots(&plan, &record(), &[Slot::Time(time.parse().unwrap())]);
    assert_eq!(
        at("2020-09-13T12:26:40.25Z").unwrap(),
        "m,day=2020-09-13T12:26:40.25Z v=\"2020-09-13T12:26:40.25Z\" 1600000000250"
    );
    let why = at("2300-01-01T00:00:00Z").unwrap_err();
    assert_eq!(
        why,
        "the timestamp: path ts: \"2300-01-01T00:00:00Z\" is outside the years 1677 to 2262"
    );
}

#[test]
fn a_record_without_a_timestamp_is_rejected_when_the_mapping_needs_it() {
    let mapping = mapping(Vec::new(), vec![field("v", path("v"), FieldKind::Float)]);
    let record = Fake { timestamp: None, ..record() };
    assert!(line_of(&mapping, &record, r#"{"v":1}"#).unwrap_err().contains("the record has none"));
}

#[test]
fn memory_is_used_again_from_record_to_record() {
    let mut vector: Vec<Slot<'static>> = Vec::with_capacity(64);
    vector.push(Slot::Null);
    let (address, capacity) = (vector.as_ptr() as usize, vector.capacity());
    let again: Vec<Slot<'_>> = emptied(vector);
    assert_eq!((again.as_ptr() as usize, again.capacity()), (address, capacity));
    assert!(again.is_empty());
}

#[test]
fn a_null_ends_its_series_where_that_is_asked_for_and_is_as_if_missing_elsewhere() {
    let kinds = [FieldKind::Float, FieldKind::Integer, FieldKind::Boolean, FieldKind::String];
    let fields = ["a", "b", "c", "d"].iter().zip(kinds);
    let fields = fields.map(|(name, kind)| field(name, path(name), kind)).collect();
    let rule = mapping(Vec::new(), fields);
    let names_of = |text: &str, null_is_stale: bool| {
        let plan = Plan::new(&rule.clone().into()).ending_series_by_null(null_is_stale);
        let mut scratch = Scratch::default();
        let mut slots = vec![Slot::Missing; plan.paths().slots()];
        json::decode(text.as_bytes(), plan.paths(), &mut slots).unwrap();
        let name = |(name, value): &(Cow<'_, str>, Value<'_>)| {
            format!("{name}{}", if *value == Value::Stale { "!" } else { "" })
        };
        let mut names = String::new();
        let mapped = plan.points(&record(), &slots, &mut scratch, &mut |point: &Point<'_>| {
            names = point.fields.iter().map(name).collect::<Vec<_>>().join(" ");
            Ok(())
        });
        mapped.map(|()| names).map_err(reason)
    };
    let json = r#"{"a": null, "b": null, "d": null, "c": true}"#;
    assert_eq!(names_of(json, true).unwrap(), "a! b! c");
    assert_eq!(names_of(json, false).unwrap(), "c");
    assert_eq!(names_of(r#"{"a": null}"#, true).unwrap(), "a!");
    assert!(names_of(r#"{"a": null}"#, false).unwrap_err().contains("no field has a value"));
    // What is missing says nothing.
    assert!(names_of(r#"{"x": 1, "d": null}"#, true).unwrap_err().contains("no field has a value"));
}

#[test]
fn numbers_of_other_formats_than_json_are_taken_exactly_or_not_at_all() {
    use FieldKind::{Float, Integer, Unsigned};
    let value = |slot: &Slot<'_>, kind| {
        let rule = mapping(Vec::new(), vec![field("f", path("v"), kind)]);
        let plan = Plan::new(&rule.into());
        let mut found = None;
        let slots = [slot.clone()];
        let mapped =
            plan.points(&record(), &slots, &mut Scratch::default(), &mut |point: &Point<'_>| {
                found = Some(format!("{:?}", point.fields[0].1));
                Ok(())
            });
        mapped.map(|()| found.unwrap()).map_err(reason)
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(value(&Slot::Integer(i64::MIN), Integer), ok("Integer(-9223372036854775808)"));
    assert_eq!(value(&Slot::Integer(i64::MAX), Unsigned), ok("Unsigned(9223372036854775807)"));
    assert_eq!(value(&Slot::Unsigned(u64::MAX), Unsigned), ok("Unsigned(18446744073709551615)"));
    assert_eq!(value(&Slot::Float(-3.0), Integer), ok("Integer(-3)"));
    assert_eq!(value(&Slot::Float(0.1), Float), ok("Float(Number(0.1))"));
    for (slot, kind) in [
        (Slot::Unsigned(u64::MAX), Integer),
        (Slot::Integer(-1), Unsigned),
        (Slot::Float(0.5), Integer),
        (Slot::Float(9_007_199_254_740_994.0), Integer),
        (Slot::Float(-1.0), Unsigned),
        (Slot::Float(f64::NAN), Float),
        (Slot::Float(f64::INFINITY), Float),
    ] {
        assert!(value(&slot, kind).unwrap_err().contains("found the number"), "{slot:?}");
    }
}

#[test]
fn conditions_compare_what_is_of_one_type_and_nothing_that_is_missing() {
    use crate::config::{Environment, Process, load_text};
    let holds = |when: &str, json: &str| {
        let file = format!(
            "topics: [t]\nkafka: {{ bootstrap.servers: k }}\nsink: {{ blackhole: {{}} }}\n\
             point: {{ measurement: m, fields: {{ f: {{ constant: 1 }} }}, when: {} }}\n",
            serde_json::to_string(when).unwrap()
        );
        let environment = Environment::variables(|_| None);
        let config = load_text("c.yaml", &file, &Process::default(), &environment);
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let plan = Plan::new(&config.mapping);
        let mut slots = vec![Slot::Missing; plan.paths().slots()];
        json::decode(json.as_bytes(), plan.paths(), &mut slots).unwrap();
        let mut holds = false;
        let mapped =
            plan.points(&record(), &slots, &mut Scratch::default(), &mut |_: &Point<'_>| {
                holds = true;
                Ok(())
            });
        mapped.map_err(reason).unwrap();
        holds
    };
    let message =
        r#"{"n": 1.50, "t": "b", "yes": true, "no": false, "null": null, "o": {}, "e f": 1}"#;
    for yes in [
        "value.n == 1.5",
        "value.n < 2 and value.n > -1",
        "value.n >= 1.5 and value.n <= 1.5",
        "value.t == 'b'",
        "value.t != \"c\" and value.t > 'a'",
        "value.t in ['a', 'b']",
        "value.t matches '^[bc]$'",
        "value.yes",
        "not value.no",
        "value.n != 'b'",
        "exists(value.o) and not exists(value.null) and not exists(value.x)",
        "value.x == 1 or value.yes and not (value.no or value.n in [1, 2])",
        "value.[\"e f\"] == 1",
        "header.trace == 'abc'",
        "key matches 'device'",
        "partition == 3 and offset == 42 and topic == 'plant-1'",
        "value.n==value.n",
    ] {
        assert!(holds(yes, message), "{yes}");
    }
    for no in [
        "value.n == '1.50'",
        "value.x != 1",
        "value.null != 1",
        "value.x < 1",
        "value.t < 5 or value.t > 5",
        "value.t",
        "value.no or value.no == 'false'",
        "value.o == 1",
        "not (value.yes or value.no)",
        "value.x == value.x",
    ] {
        assert!(!holds(no, message), "{no}");
    }
}

#[test]
fn points_of_one_time_are_apart_in_every_replay_and_within_their_unit() {
    use std::collections::BTreeSet;
    let spread = Spread { room: 1_000_000, step: 1_000 };
    let time = Timestamp::from_millis(1_700_000_000_123).unwrap();
    let times: BTreeSet<_> =
        (5000..6000).map(|offset| spread.apart(time, Offset(offset), 0)).collect();
    assert_eq!(times.len(), 1000);
    assert!(times.iter().all(|apart| apart.millis() == time.millis() && apart.nanos() % 1000 == 0));
    let elements: BTreeSet<_> =
        (0..1000).map(|element| spread.apart(time, Offset(1), element)).collect();
    assert_eq!(elements.len(), 1000);
    // What has finer digits already keeps them.
    let finer = Timestamp::from_nanos(1_700_000_000_123_000_001).unwrap();
    assert_eq!(spread.apart(finer, Offset(9), 0), finer);
    let before_1970 = Timestamp::from_millis(-1).unwrap();
    assert_eq!(spread.apart(before_1970, Offset(1), 0).millis(), -1);
}

#[test]
fn what_is_looked_up_is_taken_from_the_table_and_waits_for_it() {
    use crate::batch::OpenParts;
    use crate::config::{Environment, Process, load_text};
    use crate::record::OwnedRecord;
    use crate::sink::Sink;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sites.csv");
    let apply = |device: &str| {
        let text = format!(
            "topics: [t]\nkafka: {{ bootstrap.servers: k }}\nsink: {{ blackhole: {{}} }}\n\
             tables: {{ sites: {{ file: '{}', key: device }} }}\n\
             point:\n  measurement: m\n  fields: {{ f: {{ constant: 1 }} }}\n  tags:\n    \
             site: {{ path: d, lookup: sites.site, default: unknown }}\n    \
             floor: {{ path: d, lookup: sites.floor }}\n",
            file.display()
        );
        let environment = Environment::variables(|_| None);
        let config = load_text("c.yaml", &text, &Process::default(), &environment);
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let sink = Sink::new(&config.sink, std::time::Duration::from_secs(1)).unwrap();
        let mut transform = crate::connector::transform(&config, &sink);
        let value = format!(r#"{{"d":"{device}"}}"#);
        let record = OwnedRecord::new("t", value.into_bytes(), Some(1));
        let mut open = OpenParts::default();
        transform.apply(&record, RecordIndex(0), &mut Scratch::default(), &mut open).map(|_| {
            let written = open.iter().next().unwrap().1.bytes.clone();
            String::from_utf8(written).unwrap()
        })
    };
    let Err(Refusal::Unavailable(reason)) = apply("a") else { panic!("not to be had yet") };
    assert!(reason.contains("sites.csv: can't be read"), "{reason}");
    std::fs::write(&file, "device,site,floor\na,north,2\nb,south,\n").unwrap();
    assert_eq!(apply("a").unwrap(), "m,floor=2,site=north f=1.0 1000000\n");
    assert_eq!(apply("b").unwrap(), "m,site=south f=1.0 1000000\n");
    assert_eq!(apply("c").unwrap(), "m,site=unknown f=1.0 1000000\n");
}
