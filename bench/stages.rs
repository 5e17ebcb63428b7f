//! The stages of the hot path alone, over the standard message: no Kafka, no database.
//!
//! `bench stages STAGE MESSAGES` passes so many messages through the stages up to the one named: `decode`, `map`,
//! `line_protocol` or `remote_write`. bench/guard.sh counts its instructions, and a profiler finds nothing else in it.
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tidegate::batch::{OpenParts, RecordIndex};
use tidegate::cardinality::{Cardinality, Guard};
use tidegate::config::{Environment, Process, load_text};
use tidegate::connector::transform;
use tidegate::decode::json::Json;
use tidegate::map::Scratch;
use tidegate::point::Point;
use tidegate::record::{Offset, OwnedRecord, Record as _};
use tidegate::sink::Sink;
use tidegate::worker::Transform;

use crate::account::cpu_seconds;
use crate::workload::{DEVICES, Message};

/// The default of `batch.max_points`.
const POINTS: usize = 5000;
/// The default of `batch.max_bytes`.
const BYTES: usize = 1 << 20;
const PARTITIONS: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Decode,
    Map,
    Encode,
}

/// Passes so many messages through the stages up to this one, and says how long each took.
pub fn run(name: &str, messages: u64) {
    let influxdb = "influxdb: { url: 'http://localhost', org: o, bucket: b }";
    let (stage, sink) = match name {
        "decode" => (Stage::Decode, influxdb),
        "map" => (Stage::Map, influxdb),
        "line_protocol" => (Stage::Encode, influxdb),
        "remote_write" => (Stage::Encode, "prometheus: { url: 'http://localhost/api/v1/write' }"),
        other => panic!("{other} is no stage: decode, map, line_protocol or remote_write"),
    };
    let kind = match std::env::var("STAGES_MESSAGE").as_deref() {
        Ok("wide") => Message::Wide,
        Ok("avro") => Message::Avro,
        Ok("protobuf") => Message::Protobuf,
        Ok("msgpack") => Message::Msgpack,
        Ok("debezium") => Message::Debezium,
        _ => Message::Standard,
    };
    let records = records(kind);
    let mut transform = prepared(kind, sink);
    let before = cpu_seconds(std::process::id());
    pass(&mut transform, &records, messages, stage);
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let each = (cpu_seconds(std::process::id()) - before) * 1e9 / messages as f64;
    println!("{name}: {messages} messages of {} bytes, {each:.0} ns each", records[0].size());
}

fn prepared(kind: Message, sink: &str) -> Transform {
    let text = format!(
        "topics: [t]\nkafka: {{ bootstrap.servers: 'localhost:1' }}\n{}sink: {{ {sink} }}\n",
        kind.mapping()
    );
    let config = load_text("stages.yaml", &text, &Process::default(), &Environment::process())
        .expect("a connector");
    let sink = Sink::new(&config.sink, Duration::from_secs(1)).expect("a sink");
    let guard = Guard::new(&config.name, config.cardinality.clone(), &Cardinality::default());
    Transform { guard: Some(guard), ..transform(&config, &sink) }
}

/// Messages as they lie in a topic: of some partitions, in runs.
fn records(kind: Message) -> Vec<OwnedRecord> {
    let topic: Arc<str> = "t".into();
    let record = |n: u64| OwnedRecord {
        partition: i32::try_from(n % DEVICES % PARTITIONS).unwrap(),
        offset: Offset(i64::try_from(n).unwrap()),
        ..OwnedRecord::new(Arc::clone(&topic), kind.number(n, DEVICES), Some(0))
    };
    let mut records: Vec<_> = (0..2 * DEVICES).map(record).collect();
    records.sort_by_key(|record| (record.partition, record.offset.0));
    records
}

fn pass(transform: &mut Transform, records: &[OwnedRecord], messages: u64, stage: Stage) {
    let mut scratch = Scratch::default();
    let mut open = OpenParts::default();
    let mut json = Json::default();
    let mut index = 0;
    for (record, _) in records.iter().cycle().zip(0..messages) {
        if stage == Stage::Encode {
            let taken = transform.apply(record, RecordIndex(index), &mut scratch, &mut open);
            taken.expect("a point");
            index += 1;
            if open.items() >= POINTS || open.bytes() >= BYTES {
                drop(black_box(open.close(&mut transform.encoder)));
                index = 0;
            }
            continue;
        }
        let plan = &transform.plan;
        scratch.with_slots(plan, |slots, scratch| {
            let payload = record.value().expect("a value");
            json.decode(payload, plan.paths(), slots).expect("JSON");
            if stage == Stage::Map {
                let seen = &mut |point: &Point<'_>| {
                    black_box(point);
                    Ok(())
                };
                plan.points(record, black_box(slots), scratch, seen).expect("a point");
            }
            black_box(slots);
        });
    }
}
