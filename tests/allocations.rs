//! No allocation a record: once everything has its size, decoding, mapping and encoding use the memory they have.
#![allow(clippy::expect_used, reason = "a test that has no plan can only panic")]

use std::time::Duration;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
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
