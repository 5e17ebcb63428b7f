//! What happens to records when something is wrong: with the record, with the database, or with the
//! process. Everything here is real: the binary, Kafka, and the databases.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Timestamp;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use run::{Group, Message, Tidegate, Topic, unique};
use stack::{Kafka, Prometheus, VictoriaMetrics, shared_kafka, shared_victoria_metrics};

/// Long enough that a member that doesn't poll is thrown out of its group: see `OUTAGE_LIMITS`.
const OUTAGE: Duration = Duration::from_secs(15);
const OUTAGE_LIMITS: &str = "
batch: { max_points: 50, linger: 100ms }
delivery: { timeout: 2s, max_backoff: 1s, drain: 4s }";
const OUTAGE_KAFKA: &str = ", session.timeout.ms: 6000, max.poll.interval.ms: 6000";
/// A series is in one partition, so that its samples come in order.
const SERIES: i64 = 8;
const START: i64 = 1_700_000_000_000;

/// A topic, the group that reads it, and the connector's file.
struct Pipeline<'k> {
    topic: Topic<'k>,
    group: Group,
    connector: String,
}

impl<'k> Pipeline<'k> {
    /// The messages of `reading` into a measurement of the topic's name.
    fn new(kafka: &'k Kafka, partitions: i32, sink: &str, kafka_extra: &str, extra: &str) -> Self {
        let topic = Topic::create(kafka, unique("delivery"), partitions);
        let (name, bootstrap) = (&topic.name, kafka.bootstrap());
        let connector = format!(
            "
name: {name}
topics: [{name}]
kafka: {{ bootstrap.servers: '{bootstrap}'{kafka_extra} }}
point:
  measurement: {name}
  tags: {{ series: s }}
  fields: {{ v: {{ path: v, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ {sink} }}
{extra}
"
        );
        let group = Group::new(kafka, &format!("tidegate-{name}"));
        Self { topic, group, connector }
    }

    fn run(&self) -> Tidegate {
        Tidegate::run(&self.connector, &[])
    }

    fn produce(&self, numbers: impl IntoIterator<Item = i64>) {
        self.topic.produce(numbers.into_iter().map(reading));
    }

    fn until_committed(&self, tidegate: &mut Tidegate) {
        tidegate.until_committed(&self.group, &self.topic);
    }

    /// The numbers that are stored, each as often as it is.
    fn stored(&self, database: &impl Database) -> Vec<i64> {
        let samples = database.samples(&format!("{}_v", self.topic.name));
        let mut numbers: Vec<i64> = samples
            .into_iter()
            .map(|(time, value)| {
                let number = (time - START) / 100;
                assert_eq!(value.to_string(), number.to_string(), "the value at {time}");
                number
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }

    #[track_caller]
    fn assert_stored(&self, database: &impl Database, numbers: std::ops::Range<i64>) {
        let (stored, expected) = (self.stored(database), numbers.collect::<Vec<_>>());
        assert!(stored == expected, "stored: {stored:?}\nexpected: {expected:?}");
    }
}

/// Where the messages end up.
trait Database {
    /// What a connector's `sink` says.
    fn sink(&self) -> String;
    /// Every stored sample of a metric.
    fn samples(&self, metric: &str) -> Vec<(i64, f64)>;
}

impl Database for VictoriaMetrics {
    fn sink(&self) -> String {
        format!("influxdb: {{ url: '{}', org: none, bucket: none }}", self.url())
    }

    fn samples(&self, metric: &str) -> Vec<(i64, f64)> {
        self.flush();
        self.export(metric).into_iter().flat_map(|(_, samples)| samples).collect()
    }
}

impl Database for Prometheus {
    fn sink(&self) -> String {
        format!("prometheus: {{ url: '{}' }}", self.write_url())
    }

    fn samples(&self, metric: &str) -> Vec<(i64, f64)> {
        let later = Duration::from_millis(START.unsigned_abs()) + Duration::from_hours(1);
        let series = self.series(metric, "2h", later.as_secs_f64());
        series.into_iter().flat_map(|(_, samples)| samples).collect()
    }
}

/// How many rows of line protocol it was sent since its start, by its own count.
fn rows_received(database: &VictoriaMetrics) -> i64 {
    let address = database.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("VictoriaMetrics is up");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let metric = "vm_rows_inserted_total{type=\"influx\"} ";
    let count = answer.lines().find_map(|line| line.strip_prefix(metric)).expect(metric);
    count.parse().expect("a count")
}

/// Message number n: value n, at a time of its own.
fn reading(n: i64) -> Message {
    let series = n % SERIES;
    let text = format!(r#"{{"s":"s{series}","v":{n},"at":{}}}"#, START + n * 100);
    let partition = i32::try_from(series % 4).expect("below 4");
    Message::new(text).key(series.to_string()).in_partition(partition)
}

/// A message of a topic with one partition.
fn only_partition(n: i64) -> Message {
    reading(n).in_partition(0)
}

// ------------------------------------------------------------------------------------ bad records

/// Two bad records, each with all that a record may carry, among good ones.
fn bad_records() -> [Message; 2] {
    let no_json = Message::new(b"\xffno json".as_slice()).key(b"\x00key\xff".as_slice());
    let no_json = no_json.header("trace", Some(b"\x01\xfe")).header("empty", None);
    let no_value = Message::new(r#"{"s":"s1","v":null,"at":1700000000000}"#);
    [
        no_json.header("trace", Some(b"second")).at(1_600_000_000_123).in_partition(0),
        no_value.at(1_600_000_000_456).in_partition(0),
    ]
}

/// A dead letter's headers: those that the record came with, and Kafka Connect's.
#[derive(Default)]
struct LetterHeaders {
    own: Vec<(String, Option<Vec<u8>>)>,
    connect: Vec<(String, String)>,
}

fn headers(letter: &OwnedMessage) -> LetterHeaders {
    let all = letter.headers().expect("a dead letter has headers");
    let mut headers = LetterHeaders::default();
    for header in all.iter() {
        match header.key.strip_prefix("__connect.errors.") {
            Some(name) => {
                let value =
                    String::from_utf8(header.value.expect("a reason").to_vec()).expect("text");
                headers.connect.push((name.to_owned(), value));
            }
            None => headers.own.push((header.key.to_owned(), header.value.map(<[u8]>::to_vec))),
        }
    }
    headers
}

/// The dead letter's Kafka Connect headers, where only the stage and the reason differ.
fn assert_connect_headers(
    letter: &OwnedMessage,
    topic: &str,
    offset: i64,
    stage: [&str; 2],
    reason: &str,
) {
    let offset = offset.to_string();
    let class = match stage[1] {
        "tidegate.DecodeError" => "tidegate.Decoder",
        "tidegate.MapError" => "tidegate.Mapping",
        _ => "tidegate.Sink",
    };
    let expected = [
        ("topic", topic),
        ("partition", "0"),
        ("offset", &offset),
        ("connector.name", topic),
        ("task.id", "0"),
        ("stage", stage[0]),
        ("class.name", class),
        ("exception.class.name", stage[1]),
    ];
    let found = headers(letter).connect;
    for (name, value) in expected {
        assert!(found.contains(&(name.to_owned(), value.to_owned())), "{name}: {found:?}");
    }
    let (_, message) =
        found.iter().find(|(name, _)| name == "exception.message").expect("a reason");
    assert!(message.contains(reason), "{message}");
    assert_eq!(found.len(), expected.len() + 1, "{found:?}");
}

#[test]
fn a_bad_record_goes_to_the_dead_letter_topic_as_it_was_and_the_others_are_stored() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let dead = Topic::create(&kafka, unique("dead"), 1);
    let extra = format!("dead_letter: {{ topic: {} }}", dead.name);
    let pipeline = Pipeline::new(&kafka, 1, &database.sink(), "", &extra);
    pipeline.topic.produce(
        (0..10).map(only_partition).chain(bad_records()).chain((10..20).map(only_partition)),
    );

    let mut tidegate = pipeline.run();
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();

    pipeline.assert_stored(&database, 0..20);
    let [letter, second] = &dead.read()[..] else { panic!("not two dead letters") };
    assert_eq!(letter.key(), Some(b"\x00key\xff".as_slice()));
    assert_eq!(letter.payload(), Some(b"\xffno json".as_slice()));
    assert_eq!(letter.timestamp(), Timestamp::CreateTime(1_600_000_000_123));
    let own = [("trace", Some(&b"\x01\xfe"[..])), ("empty", None), ("trace", Some(&b"second"[..]))];
    let own = own.map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)));
    assert_eq!(headers(letter).own, own);
    let stage = ["VALUE_CONVERTER", "tidegate.DecodeError"];
    assert_connect_headers(letter, &pipeline.topic.name, 10, stage, "invalid UTF-8 at byte 0");
    assert_eq!((second.key(), headers(second).own), (None, Vec::new()));
    assert_eq!(second.timestamp(), Timestamp::CreateTime(1_600_000_000_456));
    let reason = "field v is required: path v: there is no value";
    let stage = ["TRANSFORMATION", "tidegate.MapError"];
    assert_connect_headers(second, &pipeline.topic.name, 11, stage, reason);
}

#[test]
fn a_record_that_the_database_refuses_goes_to_the_dead_letter_topic() {
    let (kafka, database) = (shared_kafka(), Prometheus::start());
    let dead = Topic::create(&kafka, unique("dead"), 1);
    // Batches of one: beyond the first, nothing can be a repeat of what is stored already.
    let extra = format!("dead_letter: {{ topic: {} }}\nbatch: {{ max_points: 1 }}", dead.name);
    let pipeline = Pipeline::new(&kafka, 1, &database.sink(), "", &extra);
    // All of one series: 8 is older than 16.
    pipeline.topic.produce([0, 16, 8, 24].map(only_partition));

    let mut tidegate = pipeline.run();
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();

    assert_eq!(pipeline.stored(&database), [0, 16, 24]);
    let [letter] = &dead.read()[..] else { panic!("not one dead letter") };
    let stage = ["TASK_PUT", "tidegate.RejectedByDatabase"];
    assert_connect_headers(letter, &pipeline.topic.name, 2, stage, "out of order sample");
    assert!(letter.payload().expect("its value").starts_with(br#"{"s":"s0","v":8,"#));
}

/// Each worker reads one of the partitions, so neither sees it by itself.
#[test]
fn a_series_that_comes_from_two_partitions_is_warned_of_once() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let sink = format!("prometheus: {{ url: '{}/api/v1/write' }}", database.url());
    let pipeline = Pipeline::new(&kafka, 2, &sink, "", "workers: 2");
    // Every series' first sample is in partition 0, its second in partition 1.
    let (first, second) = (0..SERIES, SERIES..2 * SERIES);
    pipeline.topic.produce(first.map(|n| reading(n).in_partition(0)));
    pipeline.topic.produce(second.map(|n| reading(n).in_partition(1)));

    let mut tidegate = pipeline.run();
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();

    let log = tidegate.log();
    assert_eq!(log.matches("a series comes from several partitions").count(), 1, "{log}");
    assert!(log.contains(&format!("{}_v", pipeline.topic.name)), "{log}");
    pipeline.assert_stored(&database, 0..2 * SERIES);
}

#[test]
fn without_a_dead_letter_topic_a_bad_record_stops_the_process_and_stays_uncommitted() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, 1, &database.sink(), "", "");
    let bad = Message::new(r#"{"s":"s1","v":"warm","at":1700000000000}"#).in_partition(0);
    pipeline
        .topic
        .produce((0..5).map(only_partition).chain([bad]).chain((5..9).map(only_partition)));

    // The second time, nothing has changed.
    for attempt in 1..=2 {
        let mut tidegate = pipeline.run();
        let code = tidegate.exit_code();
        let log = tidegate.log();
        assert_eq!(code, 1, "attempt {attempt}: {log}");
        let place = format!("the record at {}[0] offset 5 was rejected", pipeline.topic.name);
        let reason = "field v: path v: found the text \"warm\", not a finite float";
        assert!(log.contains(&place), "attempt {attempt}: no {place:?} in:\n{log}");
        assert!(log.contains(reason), "attempt {attempt}: no {reason:?} in:\n{log}");
        assert_eq!(pipeline.group.committed(&pipeline.topic), [5], "attempt {attempt}");
    }
    pipeline.assert_stored(&database, 0..5);
}

#[test]
fn tombstones_and_empty_values_move_the_committed_offset() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, 4, &database.sink(), "", "");
    // Partition 1 has nothing else; partition 0 ends with them.
    let nothing = |partition: i32| {
        [Message::tombstone().key("k"), Message::new("").key("k"), Message::tombstone()]
            .map(|message| message.in_partition(partition))
    };
    pipeline.topic.produce([reading(0)].into_iter().chain(nothing(0)).chain(nothing(1)));

    let mut tidegate = pipeline.run();
    pipeline.until_committed(&mut tidegate);
    assert_eq!(pipeline.group.committed(&pipeline.topic), [4, 3, 0, 0]);
    tidegate.stop();

    pipeline.assert_stored(&database, 0..1);
}

// ---------------------------------------------------------------------------------------- outages

/// Messages flow while the database is down. The member must not leave its group, commit nothing
/// meanwhile, and lose nothing.
fn nothing_is_lost_in_an_outage<D: Database>(mut database: D, down: fn(&mut D), up: fn(&mut D)) {
    let kafka = shared_kafka();
    let pipeline = Pipeline::new(&kafka, 4, &database.sink(), OUTAGE_KAFKA, OUTAGE_LIMITS);
    let mut tidegate = pipeline.run();
    pipeline.produce(0..400);
    pipeline.until_committed(&mut tidegate);
    let members = pipeline.group.members();
    assert_eq!(members.len(), 1, "{members:?}");
    let committed = pipeline.group.committed(&pipeline.topic);

    down(&mut database);
    let back = Instant::now() + OUTAGE;
    let mut next = 400;
    while Instant::now() < back {
        pipeline.produce(next..next + 80);
        next += 80;
        assert_eq!(pipeline.group.committed(&pipeline.topic), committed, "committed in an outage");
        assert_eq!(pipeline.group.members(), members, "members in an outage");
        thread::sleep(Duration::from_millis(500));
    }
    tidegate.until_logged("the database takes no writes");
    up(&mut database);
    pipeline.produce(next..next + 80);
    pipeline.until_committed(&mut tidegate);

    assert_eq!(pipeline.group.members(), members, "members after an outage");
    tidegate.stop();
    pipeline.assert_stored(&database, 0..next + 80);
    assert!(tidegate.log().contains("the database takes writes again"), "{}", tidegate.log());
}

/// Prometheus answers when its log has the samples, so it may be killed.
#[test]
fn nothing_is_lost_while_a_killed_prometheus_is_down() {
    nothing_is_lost_in_an_outage(Prometheus::start(), Prometheus::kill, Prometheus::restart);
}

/// VictoriaMetrics answers from memory: killed, it would lose what it has acknowledged in the last
/// seconds, which no sender can mend.
#[test]
fn nothing_is_lost_while_a_stopped_victoria_metrics_is_down() {
    let database = VictoriaMetrics::start();
    nothing_is_lost_in_an_outage(database, VictoriaMetrics::stop, VictoriaMetrics::restart);
}

#[test]
fn a_second_signal_in_an_outage_exits_at_once_and_nothing_committed_is_missing() {
    let (kafka, mut database) = (shared_kafka(), VictoriaMetrics::start());
    // A short session: who exits at once doesn't leave the group, and its successor waits for its end.
    let pipeline = Pipeline::new(&kafka, 4, &database.sink(), OUTAGE_KAFKA, OUTAGE_LIMITS);
    let mut tidegate = pipeline.run();
    pipeline.produce(0..400);
    pipeline.until_committed(&mut tidegate);
    let committed = pipeline.group.committed(&pipeline.topic);
    database.stop();
    pipeline.produce(400..800);
    tidegate.until_logged("the database takes no writes");

    tidegate.signal("TERM");
    tidegate.until_logged("a second signal stops at once");
    let second = Instant::now();
    tidegate.signal("INT");
    assert_eq!(tidegate.exit_code(), 130, "{}", tidegate.log());
    let took = second.elapsed();
    assert!(took < Duration::from_secs(1), "a second signal took {took:?}");

    assert_eq!(pipeline.group.committed(&pipeline.topic), committed);
    database.restart();
    pipeline.assert_stored(&database, 0..400);
    let mut again = pipeline.run();
    pipeline.until_committed(&mut again);
    again.stop();
    pipeline.assert_stored(&database, 0..800);
}

// ---------------------------------------------------------------------------------------- members

#[test]
fn a_member_that_leaves_hands_its_partitions_over_and_nothing_is_written_twice() {
    let (kafka, database) = (shared_kafka(), VictoriaMetrics::start());
    let extra = "batch: { max_points: 50, linger: 100ms }";
    let pipeline = Pipeline::new(&kafka, 4, &database.sink(), "", extra);
    let (mut first, mut second) = (pipeline.run(), pipeline.run());
    first.until("two members", || pipeline.group.members().len() == 2);

    let mut next = 0;
    let mut flow = |rounds: i64| {
        for _ in 0..rounds {
            pipeline.produce(next..next + 100);
            next += 100;
        }
        next
    };
    flow(10);
    first.signal("TERM");
    flow(10);
    assert_eq!(first.exit_code(), 0, "{}", first.log());
    let all = flow(10);
    pipeline.until_committed(&mut second);
    second.stop();

    pipeline.assert_stored(&database, 0..all);
    let log = first.log() + &second.log();
    assert_eq!(rows_received(&database), all, "rows that VictoriaMetrics was sent: {log}");
}

/// librdkafka's own close sends no leave for it, so that the others waited for its session to end.
#[test]
fn a_member_without_a_partition_leaves_the_group_at_once() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, 1, &database.sink(), "", "");
    let mut members = vec![pipeline.run(), pipeline.run(), pipeline.run()];
    members[0].until("three members", || pipeline.group.members().len() == 3);
    // One that is stopped while it joins is in nobody's way either.
    members.push(pipeline.run());
    thread::sleep(Duration::from_millis(500));
    while let Some(mut leaver) = members.pop() {
        leaver.signal("TERM");
        assert_eq!(leaver.exit_code(), 0, "{}", leaver.log());
        let (left, since) = (members.len(), Instant::now());
        let others = members.first_mut().unwrap_or(&mut leaver);
        others.until("the others alone", || pipeline.group.members().len() == left);
        assert!(since.elapsed() < Duration::from_secs(15), "{}", leaver.log());
    }
}

#[test]
fn two_workers_of_a_connector_share_its_partitions() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, 4, &database.sink(), "", "workers: 2");
    let mut tidegate = pipeline.run();
    tidegate.until("two members", || pipeline.group.members().len() == 2);
    pipeline.produce(0..1000);
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();
    pipeline.assert_stored(&database, 0..1000);
    assert_eq!(pipeline.group.members(), Vec::<String>::new());
}

#[test]
fn two_connectors_of_a_process_run_side_by_side_and_one_failing_stops_only_itself() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let good = Pipeline::new(&kafka, 4, &database.sink(), "", "");
    let failing = Pipeline::new(&kafka, 1, &database.sink(), "", "");
    failing.topic.produce([only_partition(0), Message::new("bad").in_partition(0)]);
    good.produce(0..100);

    let files = [("good.yaml", good.connector.as_str()), ("failing.yaml", &failing.connector)];
    let mut tidegate = Tidegate::run_all(&files, &[]);
    tidegate.until_logged("the connector stops");
    good.produce(100..200);
    good.until_committed(&mut tidegate);
    tidegate.signal("TERM");
    assert_eq!(tidegate.exit_code(), 1, "one of them has failed: {}", tidegate.log());

    good.assert_stored(&database, 0..200);
    failing.assert_stored(&database, 0..1);
    assert_eq!(failing.group.committed(&failing.topic), [1]);
}

/// A file of lines in a folder of its own.
struct Lines(tempfile::TempDir);

impl Lines {
    fn text(&self) -> String {
        std::fs::read_to_string(self.0.path().join("points")).unwrap_or_default()
    }
}

impl Database for Lines {
    fn sink(&self) -> String {
        format!("file: {{ path: '{}' }}", self.0.path().join("points").display())
    }

    /// Each point once, however often it was written.
    fn samples(&self, metric: &str) -> Vec<(i64, f64)> {
        let mut samples = std::collections::BTreeMap::new();
        let text = self.text();
        for line in influxdb_line_protocol::parse_lines(&text) {
            let line = line.expect("a whole line");
            let field = line.field_value("v").expect("the field");
            let influxdb_line_protocol::FieldValue::F64(value) = field else {
                panic!("{field:?} is no float")
            };
            assert_eq!(format!("{}_v", line.series.measurement), metric);
            let nanos = line.timestamp.expect("a time");
            let known = samples.insert(nanos / 1_000_000, *value);
            assert!(known.is_none_or(|known| known.to_bits() == value.to_bits()), "at {nanos}");
        }
        samples.into_iter().collect()
    }
}

#[test]
fn a_file_has_every_point_in_whole_lines_after_kills() {
    let (kafka, file) = (shared_kafka(), Lines(tempfile::tempdir().expect("a folder")));
    let batch = "batch: { max_points: 10, linger: 5ms }";
    let pipeline = Pipeline::new(&kafka, 4, &file.sink(), ", session.timeout.ms: 6000", batch);
    // `drain` must be shorter than the session.
    let connector = format!("{}delivery: {{ drain: 3s }}\n", pipeline.connector);
    for round in 0..3 {
        pipeline.produce(round * 2000..(round + 1) * 2000);
        let mut tidegate = Tidegate::run(&connector, &[]);
        let before = file.text().len();
        tidegate.until("lines are written", || file.text().len() > before);
        tidegate.signal("KILL");
    }
    let mut tidegate = Tidegate::run(&connector, &[]);
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();
    pipeline.assert_stored(&file, 0..6000);
}
