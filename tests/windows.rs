//! Windows through kills: whatever the moment at which the process dies, each window in the database is the
//! one of the whole topic, and none is missing. Everything here is real: the binary, Kafka and the database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose tools fail can only panic"
)]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use run::{Message, Tidegate, Topic, unique};
use stack::{Kafka, VictoriaMetrics};

const PARTITIONS: i32 = 3;
const SERIES: i64 = 12;
const MESSAGES: i64 = 30_000;
const KILLS: u32 = 5;
const START: i64 = 1_700_000_000_000;
/// Of event time, between two messages.
const APART: i64 = 40;
/// A message comes at most this much behind one that was produced before it.
const DISORDER: i64 = 40_000;
const SIZE: i64 = 20_000;
const EVERY: i64 = 10_000;
/// Less than the disorder, so that some come too late.
const LATENESS: i64 = 9_000;

/// One reading.
struct Reading {
    partition: i32,
    series: i64,
    at: i64,
    value: i64,
}

/// By series and start: count, sum and the value in the middle.
type Windows = BTreeMap<(i64, i64), (f64, f64, f64)>;

mod lose_nothing {
    use super::*;

    #[test]
    fn every_window_is_that_of_the_whole_topic_after_kills() {
        let kafka = stack::shared_kafka();
        let database = VictoriaMetrics::start();
        let topic = Topic::create(&kafka, unique("windows"), PARTITIONS);
        let connector = connector(&kafka, &topic, &database);
        let readings = readings();
        let (expected, late) = expected(&readings);
        assert!(expected.len() > 1000 && late > 100, "{} windows, {late} late", expected.len());
        thread::scope(|scope| {
            scope.spawn(|| produce(&topic, &readings));
            for kill in 0..KILLS {
                let process = Tidegate::run(&connector, &[]);
                // Joining takes most of the first seconds after a kill; each dies at another stage.
                thread::sleep(Duration::from_millis(3500 + 450 * u64::from(kill)));
                drop(process);
            }
        });
        let before_the_last = stored(&database).len();
        assert!(before_the_last > 0, "every process was killed before it has written a window");
        let mut process = Tidegate::run(&connector, &[]);
        let deadline = Instant::now() + Duration::from_mins(1);
        while stored(&database).len() < expected.len() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(300));
        }
        process.stop();
        let stored = stored(&database);
        let missing: Vec<_> = expected.keys().filter(|key| !stored.contains_key(*key)).collect();
        assert!(missing.is_empty(), "{} windows are missing: {missing:?}", missing.len());
        assert_eq!(stored, expected);
        println!("{} windows, {before_the_last} of them through {KILLS} kills", stored.len());
    }
}

fn connector(kafka: &Kafka, topic: &Topic<'_>, database: &VictoriaMetrics) -> String {
    format!(
        "
topics: [{topic}]
group: {topic}
workers: 2
kafka: {{ bootstrap.servers: '{}', session.timeout.ms: 3000, heartbeat.interval.ms: 500 }}
point:
  measurement: m
  tags: {{ s: s }}
  fields: {{ v: v }}
  timestamp: {{ path: t, unit: ms }}
process:
  - filter: v >= 0
  - window:
      size: {SIZE}ms
      every: {EVERY}ms
      lateness: {LATENESS}ms
      fields: {{ v: [count, sum, p50] }}
sink: {{ influxdb: {{ url: '{}', org: o, bucket: b }} }}
batch: {{ max_points: 50, linger: 50ms }}
delivery: {{ drain: 2s }}
",
        kafka.bootstrap(),
        database.url(),
        topic = topic.name,
    )
}

/// The same in every run: only the moments of the kills differ.
fn readings() -> Vec<Reading> {
    let mut state = 1_u64;
    let mut below = |end: i64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % end
    };
    let reading = |number| {
        let series = below(SERIES);
        let behind = if below(10) == 0 { below(DISORDER) } else { 0 };
        Reading {
            partition: i32::try_from(series).unwrap() % PARTITIONS,
            series,
            at: START + number * APART - behind,
            value: if below(20) == 0 { -1 } else { below(1_000_000) },
        }
    };
    (0..MESSAGES).map(reading).collect()
}

fn produce(topic: &Topic<'_>, readings: &[Reading]) {
    for chunk in readings.chunks(300) {
        topic.produce(chunk.iter().map(|Reading { partition, series, at, value }| {
            Message::new(format!(r#"{{"s":"{series}","t":{at},"v":{value}}}"#))
                .in_partition(*partition)
        }));
        thread::sleep(Duration::from_millis(150));
    }
}

/// The windows that close, and how many readings come too late for all of theirs.
fn expected(readings: &[Reading]) -> (Windows, usize) {
    let (mut windows, mut late) = (Windows::new(), 0);
    for partition in 0..PARTITIONS {
        let own = readings.iter().filter(|reading| reading.partition == partition);
        let mut clock = i64::MIN;
        let mut values: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
        for reading in own.filter(|reading| reading.value >= 0) {
            let last = reading.at - reading.at % EVERY;
            let starts = [last, last - EVERY];
            let open = starts.into_iter().filter(|start| start + SIZE + LATENESS > clock);
            let open: Vec<_> = open.collect();
            late += usize::from(open.is_empty());
            for start in open {
                values.entry((reading.series, start)).or_default().push(reading.value);
            }
            clock = clock.max(reading.at);
        }
        for (key, mut values) in values {
            if key.1 + SIZE + LATENESS <= clock {
                windows.insert(key, aggregates(&mut values));
            }
        }
    }
    (windows, late)
}

#[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
fn aggregates(values: &mut [i64]) -> (f64, f64, f64) {
    values.sort_unstable();
    let middle = (values.len() - 1) / 2;
    let p50 = (values[middle] + values[values.len() / 2]) as f64 / 2.0;
    (values.len() as f64, values.iter().sum::<i64>() as f64, p50)
}

/// What the database holds; a window that was written with two values fails.
fn stored(database: &VictoriaMetrics) -> Windows {
    database.flush();
    let field = |name: &str| {
        let mut values: BTreeMap<(i64, i64), f64> = BTreeMap::new();
        for (labels, samples) in database.export(&format!("m_v_{name}")) {
            let series: i64 = labels["s"].parse().unwrap();
            for (at, value) in samples {
                let before = values.insert((series, at), value);
                assert!(
                    before.is_none_or(|before| before.to_bits() == value.to_bits()),
                    "{name} of {series} at {at} was {before:?} and is {value}"
                );
            }
        }
        values
    };
    let (count, sum, p50) = (field("count"), field("sum"), field("p50"));
    let keys: BTreeSet<_> = count.keys().chain(sum.keys()).chain(p50.keys()).copied().collect();
    let whole =
        |key: (i64, i64)| Some((key, (*count.get(&key)?, *sum.get(&key)?, *p50.get(&key)?)));
    keys.into_iter().filter_map(whole).collect()
}
