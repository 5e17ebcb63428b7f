//! No allocation a record: once everything has its size, decoding, mapping and encoding use the memory they have.
#![allow(clippy::expect_used, reason = "a test that has no plan can only panic")]

use std::time::Duration;

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

fn transform(sink: &str) -> Transform {
    let text = format!(
        "topics: [t]
kafka: {{ bootstrap.servers: 'localhost:1' }}
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

fn record(number: u32) -> OwnedRecord {
    let humidity = if number.is_multiple_of(3) { "" } else { r#","humidity":40.5"# };
    let value = format!(
        r#"{{"ts":{},"kind":"weather","site":"site {:02}","device":{{"id":"d-{:03}"}},"note":"a\n",
        "reading":{{"temperature":{}.5{humidity},"cycles":{number}}}}}"#,
        1_700_000_000_000u64 + u64::from(number),
        number % 20,
        number % 500,
        number % 40,
    );
    OwnedRecord {
        offset: Offset(i64::from(number)),
        ..OwnedRecord::new("t", value.into_bytes(), None)
    }
}

fn allocations(sink: &str) -> u64 {
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let (mut transform, mut scratch) = (transform(sink), Scratch::default());
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

#[test]
fn a_record_is_made_line_protocol_without_an_allocation() {
    let counted = allocations("influxdb: { url: 'http://localhost', org: o, bucket: b }");
    assert!(counted <= GROWTH, "{counted} allocations for {RECORDS} records");
}

#[test]
fn a_record_is_made_remote_write_without_an_allocation() {
    let counted = allocations("prometheus: { url: 'http://localhost/api/v1/write' }");
    assert!(counted <= GROWTH, "{counted} allocations for {RECORDS} records");
}
