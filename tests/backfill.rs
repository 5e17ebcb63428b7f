//! `tidegate backfill` writes a part of a topic's history again, and nothing else. Everything here is real: the binary,
//! Kafka, and VictoriaMetrics.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pipeline::Pipeline;
use run::{Group, Message, Topic};
use stack::{Kafka, VictoriaMetrics, shared_kafka, shared_victoria_metrics};

const START: i64 = 1_700_000_000_000;
const PARTITIONS: i32 = 3;
/// A second each.
const RECORDS: i64 = 900;
const FROM: &str = "2023-11-14T22:16:40Z";
const TO: &str = "2023-11-14T22:21:40Z";
/// The same, in records.
const PART: std::ops::Range<i64> = 200..500;

/// A topic with history that nobody has delivered.
fn pipeline<'k>(kafka: &'k Kafka, database: &VictoriaMetrics) -> Pipeline<'k> {
    let connector = format!(
        "
workers: 2
point:
  measurement: NAME
  fields: {{ v: {{ path: v, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ influxdb: {{ version: 1, url: '{}', database: live }} }}
batch: {{ max_points: 50, linger: 50ms }}
",
        database.url()
    );
    let pipeline = Pipeline::new(kafka, "backfill", PARTITIONS, &connector);
    pipeline.topic.produce((0..RECORDS).map(record));
    pipeline
}

fn record(number: i64) -> Message {
    let at = START + number * 1000;
    let value = format!(r#"{{"v":{number},"at":{at}}}"#);
    let partition = i32::try_from(number % i64::from(PARTITIONS)).expect("0 to 2");
    Message::new(value).at(at).in_partition(partition)
}

/// The numbers that are stored in each database of this connector, by its name.
fn stored(database: &VictoriaMetrics, pipeline: &Pipeline<'_>) -> BTreeMap<String, Vec<i64>> {
    database.flush();
    let mut stored = BTreeMap::<String, Vec<i64>>::new();
    for (labels, samples) in database.export(&format!("{}_v", pipeline.topic.name)) {
        let numbers = samples.iter().map(|(at, value)| {
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let number = ((at - START) / 1000) as f64;
            assert_eq!(number.to_bits(), value.to_bits(), "at {at}");
            (at - START) / 1000
        });
        stored.entry(labels["db"].clone()).or_default().extend(numbers);
    }
    stored
}

fn backfill(pipeline: &Pipeline<'_>, more: &[&str]) -> Output {
    pipeline.command(&[&["backfill", "--from", FROM, "--to", TO], more].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_part_of_the_history_is_written_once_and_the_connectors_own_group_stays_where_it_is() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = pipeline(&kafka, &database);
    let output = backfill(&pipeline, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let expected: BTreeMap<_, _> = [("live".to_owned(), PART.collect())].into();
    assert_eq!(stored(&database, &pipeline), expected);
    assert_eq!(pipeline.group.committed(&pipeline.topic), [0; PARTITIONS as usize]);
    let written =
        format!("{}: 300 records: 300 points written, 0 empty, 0 rejected", pipeline.topic.name);
    assert!(said(&output).contains(&written), "{}", said(&output));

    // All of it is done; another bucket is another backfill.
    let again = backfill(&pipeline, &[]);
    assert!(said(&again).contains(": 0 records: 0 points written"), "{}", said(&again));
    let into = backfill(&pipeline, &["--into", "other", "--workers", "1"]);
    assert_eq!(into.status.code(), Some(0), "{}", said(&into));
    let both: BTreeMap<_, _> =
        ["live", "other"].map(|name| (name.to_owned(), PART.collect())).into();
    // VictoriaMetrics keeps what a query has found; a new series is in it some seconds later.
    let deadline = Instant::now() + Duration::from_secs(30);
    while stored(&database, &pipeline) != both && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(stored(&database, &pipeline), both);
}

#[test]
fn records_up_to_now_are_read_to_the_end_of_each_partition_and_rejected_ones_become_letters() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = pipeline(&kafka, &database);
    pipeline.topic.produce([Message::new("no json").at(START + RECORDS * 1000).in_partition(1)]);
    let output = pipeline.command(&["backfill", "--from", "2023-11-14", "--to", "now"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stored(&database, &pipeline)["live"], (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(pipeline.dead.ends(), [1]);
    let written = "901 records: 900 points written, 0 empty, 1 rejected";
    assert!(said(&output).contains(written), "{}", said(&output));
}

#[test]
fn a_backfill_that_was_stopped_goes_on_where_it_was_and_keeps_to_its_rate() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = pipeline(&kafka, &database);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("connector.yaml");
    std::fs::write(&file, &pipeline.connector).expect("the connector's file");
    let slow = |file: &Path| {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["backfill", "--from", FROM, "--to", TO, "--name", "mine", "--rate", "60"])
            .arg(file)
            .env_remove("TIDEGATE_CONFIG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tidegate")
    };
    let topic = &pipeline.topic.name;
    let name = format!("tidegate-{topic}-backfill-mine-{topic}");
    let group = Group::new(&kafka, &name);
    let done = || {
        let committed = group.committed(&pipeline.topic);
        // Each partition's part begins at 67 or 66.
        committed.iter().sum::<i64>() - 200
    };
    let first = slow(&file);
    let deadline = Instant::now() + Duration::from_mins(1);
    while done() < 60 {
        assert!(Instant::now() < deadline, "nothing is committed");
        thread::sleep(Duration::from_millis(50));
    }
    let sent = Command::new("bash").args(["-c", &format!("kill -TERM {}", first.id())]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let output = first.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("the same command goes on there"), "{}", said(&output));
    let left = 300 - done();
    assert!((1..=240).contains(&left), "{left} left");

    let started = Instant::now();
    let output = slow(&file).wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let whole = format!("{left} records: {left} points written");
    assert!(said(&output).contains(&whole), "{left}: {}", said(&output));
    // 60 a second, less a little slack at the beginning.
    let least = Duration::from_millis(u64::try_from(left).expect("a few") * 1000 / 70);
    assert!(started.elapsed() > least, "{:?} for {left}", started.elapsed());
    assert_eq!(stored(&database, &pipeline)["live"], PART.collect::<Vec<_>>());
}

#[test]
fn what_can_not_be_backfilled_is_said() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let mut pipeline = pipeline(&kafka, &database);
    let wrong = pipeline.command(&["backfill", "--from", TO, "--to", FROM]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(said(&wrong).contains("--from is not before --to"), "{}", said(&wrong));
    let lines = format!("influxdb: {{ version: 1, url: '{}', database: live }}", database.url());
    let remote = format!("prometheus: {{ url: '{}/api/v1/write' }}", database.url());
    pipeline.connector = pipeline.connector.replace(&lines, &remote);
    let wrong = backfill(&pipeline, &["--into", "other"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(said(&wrong).contains("this connector has another sink"), "{}", said(&wrong));
}

/// Its members are static: Kafka gave those of the second topic what they had of the first, and it waited for good.
#[test]
fn of_several_topics_one_is_written_after_the_other() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let mut pipeline = pipeline(&kafka, &database);
    let other = Topic::create(&kafka, format!("{}.other", pipeline.topic.name), PARTITIONS);
    other.produce((RECORDS..RECORDS + 100).map(record));
    pipeline.subscribe(&format!("topics: [{}, {}]", pipeline.topic.name, other.name));
    let output = pipeline.command(&["backfill", "--from", "2023-11-14", "--to", "now"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stored(&database, &pipeline)["live"], (0..RECORDS + 100).collect::<Vec<_>>());
}
