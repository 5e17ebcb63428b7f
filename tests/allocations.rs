//! No allocation a record: once everything has its size, decoding, mapping and encoding use the memory they have.
#![allow(clippy::expect_used, reason = "a test that has no plan can only panic")]

use std::time::Duration;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use rmp::encode;
use tidegate::batch::{OpenParts, RecordIndex};
use tidegate::cardinality::{Cardinality, Guard};
use tidegate::config::{Environment, Process, load_text};
use tidegate::connector;
use tidegate::map::Scratch;
use tidegate::record::{Offset, OwnedRecord};
use tidegate::sink::Sink;
use tidegate::worker::Transform;

const RECORDS: u32 = 1000;
/// A batch's buffers, should one batch be a little longer than the one before.
const GROWTH: u64 = 2;

/// Of the same values as [`json`].
const SCHEMA: &str = r#"{"type": "record", "name": "Sensor", "fields": [
    {"name": "ts", "type": "long"},
    {"name": "kind", "type": "string"},
    {"name": "site", "type": "string"},
    {"name": "device", "type": {"type": "record", "name": "Device", "fields": [{"name": "id", "type": "string"}]}},
    {"name": "note", "type": "string"},
    {"name": "reading", "type": {"type": "record", "name": "Reading", "fields": [
        {"name": "temperature", "type": "double"},
        {"name": "humidity", "type": ["null", "double"]},
        {"name": "cycles", "type": "long"}
    ]}}
]}"#;

const PROTO: &str = r#"syntax = "proto3";
message Sensor {
    message Device { string id = 1; }
    message Reading { double temperature = 1; optional double humidity = 2; int64 cycles = 3; }
    int64 ts = 1;
    string kind = 2;
    string site = 3;
    Device device = 4;
    string note = 5;
    Reading reading = 6;
}
"#;

const LINES: &str = "influxdb: { url: 'http://localhost', org: o, bucket: b }";
const SAMPLES: &str = "prometheus: { url: 'http://localhost/api/v1/write' }";

fn transform(decode: &str, sink: &str) -> Transform {
    let text = format!(
        "topics: [t]
kafka: {{ bootstrap.servers: 'localhost:1' }}
decode: {decode}
point:
  measurement: '{{{{ value.kind }}}}'
  tags: {{ site: site, device: device.id, plant: {{ constant: north }} }}
  fields:
    temperature: reading.temperature
    humidity: {{ path: reading.humidity, required: false }}
    cycles: {{ path: reading.cycles, type: integer }}
  timestamp: {{ path: ts, unit: ms }}
sink: {{ {sink} }}
"
    );
    let config = load_text("a.yaml", &text, &Process::default(), &Environment::process());
    let config = config.expect("a connector");
    let sink = Sink::new(&config.sink, Duration::from_secs(1)).expect("a sink");
    let guard = Guard::new(&config.name, config.cardinality.clone(), &Cardinality::default());
    Transform { guard: Some(guard), ..connector::transform(&config, &sink) }
}

fn json(number: u32) -> Vec<u8> {
    let humidity = if number.is_multiple_of(3) { "" } else { r#","humidity":40.5"# };
    let value = format!(
        r#"{{"ts":{},"kind":"weather","site":"site {:02}","device":{{"id":"d-{:03}"}},"note":"a\n",
        "reading":{{"temperature":{}.5{humidity},"cycles":{number}}}}}"#,
        1_700_000_000_000u64 + u64::from(number),
        number % 20,
        number % 500,
        number % 40,
    );
    value.into_bytes()
}

fn avro(number: u32, schema: &Schema) -> Vec<u8> {
    let text = |text: String| Value::String(text);
    let humidity = if number.is_multiple_of(3) { Value::Null } else { Value::Double(40.5) };
    let branch = u32::from(humidity != Value::Null);
    let record = |fields: Vec<(&str, Value)>| {
        Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let value = record(vec![
        ("ts", Value::Long(1_700_000_000_000 + i64::from(number))),
        ("kind", text("weather".into())),
        ("site", text(format!("site {:02}", number % 20))),
        ("device", record(vec![("id", text(format!("d-{:03}", number % 500)))])),
        ("note", text("a".into())),
        (
            "reading",
            record(vec![
                ("temperature", Value::Double(f64::from(number % 40) + 0.5)),
                ("humidity", Value::Union(branch, Box::new(humidity))),
                ("cycles", Value::Long(i64::from(number))),
            ]),
        ),
    ]);
    let writer = GenericDatumWriter::builder(schema).build().expect("a writer");
    writer.write_value_to_vec(value).expect("a value of the schema")
}

/// Of the same values as [`json`], field by field of [`PROTO`].
fn protobuf(number: u32) -> Vec<u8> {
    let varint = |mut rest: u64| {
        let mut bytes = Vec::new();
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        bytes
    };
    let whole = |field: u8, number: u64| [vec![field << 3], varint(number)].concat();
    let float = |field: u8, number: f64| [&[field << 3 | 1], &number.to_le_bytes()[..]].concat();
    let within = |field: u8, bytes: &[u8]| {
        [vec![field << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
    };
    let humidity = if number.is_multiple_of(3) { Vec::new() } else { float(2, 40.5) };
    let reading =
        [float(1, f64::from(number % 40) + 0.5), humidity, whole(3, number.into())].concat();
    [
        whole(1, 1_700_000_000_000 + u64::from(number)),
        within(2, b"weather"),
        within(3, format!("site {:02}", number % 20).as_bytes()),
        within(4, &within(1, format!("d-{:03}", number % 500).as_bytes())),
        within(5, b"a"),
        within(6, &reading),
    ]
    .concat()
}

/// Likewise.
fn message_pack(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let key = |out: &mut Vec<u8>, key: &str| encode::write_str(out, key).expect("memory");
    let map = |out: &mut Vec<u8>, len| {
        encode::write_map_len(out, len).expect("memory");
    };
    let whole = |out: &mut Vec<u8>, number| {
        encode::write_uint(out, number).expect("memory");
    };
    map(&mut out, 6);
    key(&mut out, "ts");
    whole(&mut out, 1_700_000_000_000 + u64::from(number));
    let site = format!("site {:02}", number % 20);
    for (name, value) in [("kind", "weather"), ("site", &site), ("note", "a")] {
        key(&mut out, name);
        key(&mut out, value);
    }
    key(&mut out, "device");
    map(&mut out, 1);
    key(&mut out, "id");
    key(&mut out, &format!("d-{:03}", number % 500));
    key(&mut out, "reading");
    let has_humidity = !number.is_multiple_of(3);
    map(&mut out, 2 + u32::from(has_humidity));
    for (name, value) in [("temperature", f64::from(number % 40) + 0.5), ("humidity", 40.5)] {
        if name != "humidity" || has_humidity {
            key(&mut out, name);
            encode::write_f64(&mut out, value).expect("memory");
        }
    }
    key(&mut out, "cycles");
    whole(&mut out, number.into());
    out
}

fn allocations(mut transform: Transform, value: impl Fn(u32) -> Vec<u8>) -> u64 {
    let record = |number| OwnedRecord {
        offset: Offset(i64::from(number)),
        ..OwnedRecord::new("t", value(number), None)
    };
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let mut scratch = Scratch::default();
    let mut open = OpenParts::default();
    let mut fill = |open: &mut OpenParts| {
        for (index, record) in (0..).zip(&records) {
            let taken = transform.apply(record, RecordIndex(index), &mut scratch, open);
            taken.expect("a record that fits").expect("a point");
        }
    };
    fill(&mut open);
    open.clear();
    let counted = allocation_counter::measure(|| fill(&mut open));
    assert!(open.items() > 0);
    counted.count_total
}

fn none_a_record(counted: u64) {
    assert!(counted <= GROWTH, "{counted} allocations for {RECORDS} records");
}

#[test]
fn a_record_is_made_line_protocol_without_an_allocation() {
    none_a_record(allocations(transform("json", LINES), json));
}

#[test]
fn a_record_is_made_remote_write_without_an_allocation() {
    none_a_record(allocations(transform("json", SAMPLES), json));
}

#[test]
fn a_record_of_avro_is_made_both_without_an_allocation() {
    let schema = Schema::parse_str(SCHEMA).expect("a schema");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sensor.avsc");
    std::fs::write(&file, SCHEMA).expect("a file");
    let decode = format!("{{ avro: {{ schema_file: '{}' }} }}", file.display());
    for sink in [LINES, SAMPLES] {
        none_a_record(allocations(transform(&decode, sink), |number| avro(number, &schema)));
    }
}

#[test]
fn a_record_of_protobuf_is_made_both_without_an_allocation() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sensor.proto");
    std::fs::write(&file, PROTO).expect("a file");
    let file = file.display();
    let decode = format!("{{ protobuf: {{ schema_file: '{file}', message: Sensor }} }}");
    for sink in [LINES, SAMPLES] {
        none_a_record(allocations(transform(&decode, sink), protobuf));
    }
}

#[test]
fn a_record_of_message_pack_is_made_both_without_an_allocation() {
    for sink in [LINES, SAMPLES] {
        none_a_record(allocations(transform("msgpack", sink), message_pack));
    }
}

/// [`json`] with more in it.
fn json_with(member: &str, number: u32) -> Vec<u8> {
    [b"{", member.as_bytes(), b",", &json(number)[1..]].concat()
}

#[test]
fn a_record_in_an_envelope_is_made_both_without_an_allocation() {
    const FRONT: &[u8] =
        br#"{"schema":{"type":"struct","fields":[{"field":"ts","type":"int64"}]},"payload":"#;
    for sink in [LINES, SAMPLES] {
        let of_connect = |number| [FRONT, &json(number), b"}"].concat();
        none_a_record(allocations(transform("connect_json", sink), of_connect));
        let event = |number| json_with(r#""op":"c""#, number);
        none_a_record(allocations(transform("debezium", sink), event));
        let of_debezium = |number| [FRONT, &event(number), b"}"].concat();
        none_a_record(allocations(transform("debezium", sink), of_debezium));
        let cloud_event = |number| json_with(r#""specversion":"1.0""#, number);
        none_a_record(allocations(transform("cloudevents", sink), cloud_event));
    }
}
