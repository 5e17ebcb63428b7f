//! A record was rejected, what now: the letters are there, say why, and go through the connector again
//! once it is mended. Everything here is real: the binary, Kafka and the database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that has no server can only panic"
)]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use serde_json::Value;
use tempfile::TempDir;

use run::{Group, Message, Tidegate, Topic, unique};
use stack::{Kafka, Prometheus, VictoriaMetrics, shared_kafka, shared_victoria_metrics};

const START: i64 = 1_700_000_000_000;
const WITHIN: Duration = Duration::from_secs(90);
/// As the connector is at first: `v` must be a number, and `at` a time.
const STRICT: &str = "
  fields: { v: { path: v, required: true } }
  timestamp: { path: at, unit: ms }";
/// As it is mended: a number may be text, and the time is the record's.
const MENDED: &str = "
  fields: { v: { path: v, required: true, coerce: true } }";

/// A connector's topics, and files for it.
struct Pipeline<'k> {
    kafka: &'k Kafka,
    topic: Topic<'k>,
    dead: String,
    sink: String,
    tags: &'static str,
    folder: TempDir,
}

impl<'k> Pipeline<'k> {
    fn new(kafka: &'k Kafka, database: &VictoriaMetrics) -> Self {
        let topic = Topic::create(kafka, unique("letters"), 2);
        let dead = format!("{}_dead", topic.name);
        let sink = format!("influxdb: {{ url: '{}', org: none, bucket: none }}", database.url());
        // Each record is a series of its own, by where it was read.
        let tags = "{ place: '{{ topic }}/{{ partition }}/{{ offset }}' }";
        Self { kafka, topic, dead, sink, tags, folder: tempfile::tempdir().unwrap() }
    }

    fn create_dead(&self, partitions: i32) -> Topic<'k> {
        Topic::create(self.kafka, self.dead.clone(), partitions)
    }

    fn connector(&self, rules: &str) -> String {
        let (name, dead) = (&self.topic.name, &self.dead);
        let (bootstrap, sink, tags) = (self.kafka.bootstrap(), &self.sink, self.tags);
        format!(
            "
name: {name}
topics: [{name}]
kafka: {{ bootstrap.servers: '{bootstrap}' }}
point:
  measurement: {name}
  tags: {tags}{rules}
sink: {{ {sink} }}
dead_letter: {{ topic: {dead} }}
batch: {{ max_points: 20, linger: 100ms }}
delivery: {{ in_flight: 1, drain: 4s }}
"
        )
    }

    fn run(&self, rules: &str) -> Tidegate {
        Tidegate::run(&self.connector(rules), &[])
    }

    fn group(&self) -> Group {
        Group::new(self.kafka, &format!("tidegate-{}", self.topic.name))
    }

    fn replay_group(&self) -> Group {
        Group::new(self.kafka, &format!("tidegate-{}-dlq-replay", self.topic.name))
    }

    /// Delivers all that is produced, and stops.
    fn deliver(&self, rules: &str) {
        let mut tidegate = self.run(rules);
        tidegate.until_committed(&self.group(), &self.topic);
        tidegate.stop();
    }

    fn command(&self, rules: &str, arguments: &[&str]) -> Command {
        let file = self.folder.path().join("connector.yaml");
        fs::write(&file, self.connector(rules)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let (subcommand, options) = arguments.split_first().unwrap();
        command.args(["dlq", subcommand]).arg(file).args(options);
        command.env_remove("TIDEGATE_CONFIG").current_dir(self.folder.path());
        command
    }

    #[track_caller]
    fn dlq(&self, rules: &str, arguments: &[&str], code: i32) -> String {
        let Output { status, stdout, stderr } = self.command(rules, arguments).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}:\n{out}{err}");
        out
    }

    fn list(&self, options: &[&str]) -> Value {
        let text = self.dlq(STRICT, &[&["list", "--output", "json"], options].concat(), 0);
        serde_json::from_str(&text).unwrap()
    }

    /// What is stored: the place that each point came from, by its own tag, with its value.
    fn stored(&self, database: &VictoriaMetrics) -> BTreeSet<(String, i64)> {
        database.flush();
        let series = database.export(&format!("{}_v", self.topic.name));
        let point = |(labels, samples): (std::collections::BTreeMap<String, String>, Vec<_>)| {
            let [(_, value)] = samples[..] else { panic!("not one sample: {samples:?}") };
            let value: f64 = value;
            (labels["place"].clone(), value.to_string().parse().unwrap())
        };
        series.into_iter().map(point).collect()
    }

    fn place(&self, partition: i32, offset: i64) -> String {
        format!("{}/{partition}/{offset}", self.topic.name)
    }
}

fn reading(partition: i32, v: &str, at: &str) -> Message {
    Message::new(format!(r#"{{"v":{v},"at":{at}}}"#)).at(START + 5).in_partition(partition)
}

/// A letter's added headers, each once.
fn connect_headers(letter: &OwnedMessage) -> Vec<(String, String)> {
    let headers = letter.headers().unwrap();
    let added = headers.iter().filter_map(|header| {
        let name = header.key.strip_prefix("__connect.errors.")?;
        Some((name.to_owned(), String::from_utf8(header.value?.to_vec()).unwrap()))
    });
    let mut added: Vec<_> = added.collect();
    added.sort();
    let names: BTreeSet<_> = added.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), added.len(), "a header twice: {added:?}");
    added
}

#[track_caller]
fn assert_header(letter: &OwnedMessage, name: &str, value: &str) {
    let headers = connect_headers(letter);
    assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{name}={value}: {headers:?}");
}

/// A letter as a connector has written it, of offset `offset` of partition 0.
fn letter(connector: &str, topic: &str, offset: usize, value: &str) -> Message {
    let message = Message::new(value).at(START + 5).key("k").header("trace", Some(b"1"));
    let offset = offset.to_string();
    // The order and the names of org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter.
    let headers = [
        ("topic", topic),
        ("partition", "0"),
        ("offset", &offset),
        ("connector.name", connector),
        ("task.id", "0"),
        ("stage", "VALUE_CONVERTER"),
        ("class.name", "org.apache.kafka.connect.json.JsonConverter"),
        ("exception.class.name", "org.apache.kafka.connect.errors.DataException"),
        (
            "exception.message",
            "Converting byte[] to Kafka Connect data failed due to serialization error: ",
        ),
        (
            "exception.stacktrace",
            "org.apache.kafka.connect.errors.DataException: Converting\n\tat …",
        ),
    ];
    headers.iter().fold(message, |message, (name, value)| {
        message.header(&format!("__connect.errors.{name}"), Some(value.as_bytes()))
    })
}

#[test]
fn rejected_records_are_listed_by_reason_and_after_the_mend_each_is_written_once_as_the_original() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, &database);
    let dead = pipeline.create_dead(3);
    pipeline.topic.produce((0..10).map(|n| reading(n % 2, &n.to_string(), "1700000000000")));
    // Partition 0, offsets 5 to 9: a number as text. Partition 1, offsets 5 to 7: no time.
    pipeline.topic.produce((10..15).map(|n| reading(0, &format!("\"{n}\""), "1700000000000")));
    pipeline.topic.produce((20..23).map(|n| reading(1, &n.to_string(), "null")));
    pipeline.deliver(STRICT);
    assert_eq!(pipeline.stored(&database).len(), 10);

    let list = pipeline.list(&[]);
    assert_eq!((&list["letters"], &list["replayed"]), (&8.into(), &0.into()), "{list:#}");
    let mut groups: Vec<(i64, String)> = list["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (g["letters"].as_i64().unwrap(), g["reason"].as_str().unwrap().to_owned()))
        .collect();
    groups.sort();
    let folded = "field v: path v: found the text \"…\", not a finite float";
    assert!(groups[1].0 == 5 && groups[1].1.starts_with(folded), "{groups:?}");
    assert_eq!((groups.len(), groups[0].0), (2, 3), "{groups:?}");
    let shown = pipeline.dlq(STRICT, &["show", "--reason", "NOT A FINITE", "--limit", "1"], 0);
    assert!(shown.contains("  ◀ here") && shown.contains(&pipeline.topic.name), "{shown}");
    let example = &list["groups"][0]["example"];
    let place = format!("{}:{}", example["partition"], example["offset"]);
    let shown = pipeline.dlq(STRICT, &["show", &place], 0);
    assert!(shown.contains(example["reason"].as_str().unwrap()), "{place}: {shown}");

    let dry = pipeline.dlq(MENDED, &["replay", "--dry-run"], 0);
    assert!(dry.contains("would replay 8 letters: 8 written, 0 rejected"), "{dry}");
    let dry = pipeline.dlq(STRICT, &["replay", "--dry-run"], 1);
    assert!(dry.contains("would replay 8 letters: 0 written, 8 rejected"), "{dry}");
    assert_eq!(pipeline.stored(&database).len(), 10);
    assert_eq!(pipeline.replay_group().committed(&dead), [0, 0, 0]);

    let replayed = pipeline.dlq(MENDED, &["replay"], 0);
    assert!(replayed.contains("replayed 8 letters: 8 written, 0 rejected"), "{replayed}");
    let good = (0..10).map(|n| (pipeline.place(n % 2, i64::from(n / 2)), i64::from(n)));
    let text = (0..5).map(|n| (pipeline.place(0, 5 + n), 10 + n));
    let timeless = (0..3).map(|n| (pipeline.place(1, 5 + n), 20 + n));
    let expected: BTreeSet<_> = good.chain(text).chain(timeless).collect();
    assert_eq!(pipeline.stored(&database), expected);
    assert_eq!(pipeline.replay_group().committed(&dead), dead.ends());

    let again = pipeline.dlq(MENDED, &["replay"], 0);
    assert!(again.contains("nothing to replay"), "{again}");
    assert_eq!(dead.ends().iter().sum::<i64>(), 8);
    assert_eq!(pipeline.list(&[])["replayed"], 8);
}

#[test]
fn what_is_rejected_again_is_a_new_letter_with_its_new_reason_and_its_old_place() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, &database);
    let dead = pipeline.create_dead(1);
    let bad = Message::new("{\"v\":\"warm\"}").key("k").header("trace", Some(b"1"));
    pipeline.topic.produce([reading(1, "1", "1700000000000"), bad.at(START).in_partition(1)]);
    pipeline.deliver(STRICT);

    let replayed = pipeline.dlq(MENDED, &["replay"], 1);
    assert!(replayed.contains("replayed 1 letter: 0 written, 1 rejected again"), "{replayed}");
    let [first, second] = &dead.read()[..] else { panic!("not two letters") };
    assert_header(first, "exception.message", "the timestamp: path at: there is no value");
    let reason = "field v: path v: found the text \"warm\", not a finite float";
    assert_header(second, "exception.message", reason);
    for letter in [first, second] {
        assert_header(letter, "topic", &pipeline.topic.name);
        assert_header(letter, "partition", "1");
        assert_header(letter, "offset", "1");
        assert_eq!(
            (letter.key(), letter.payload()),
            (Some(&b"k"[..]), Some(&b"{\"v\":\"warm\"}"[..]))
        );
        assert_eq!(letter.timestamp().to_millis(), Some(START));
        let headers = letter.headers().unwrap();
        assert_eq!(headers.get(0).key, "trace");
    }
    let list = pipeline.list(&[]);
    assert_eq!((&list["letters"], &list["replayed"]), (&2.into(), &1.into()), "{list:#}");
}

/// Prometheus would refuse a repeat of what is stored in the same words.
#[test]
fn a_sample_that_comes_too_late_by_its_replay_is_rejected_again_and_not_taken_for_written() {
    let (kafka, database) = (shared_kafka(), Prometheus::start());
    let mut pipeline = Pipeline::new(&kafka, &shared_victoria_metrics());
    pipeline.sink = format!("prometheus: {{ url: '{}' }}", database.write_url());
    pipeline.tags = "{ all: { constant: one } }";
    let dead = pipeline.create_dead(1);
    pipeline.topic.produce([reading(0, "1", "1700000000000").at(START + 60_000)]);
    pipeline.deliver(MENDED);
    dead.produce([letter(&pipeline.topic.name, &pipeline.topic.name, 17, r#"{"v":17}"#)]);

    let replayed = pipeline.dlq(MENDED, &["replay"], 1);
    assert!(replayed.contains("replayed 1 letter: 0 written, 1 rejected again"), "{replayed}");
    let [_, again] = &dead.read()[..] else { panic!("not two letters") };
    assert_header(again, "exception.class.name", "tidegate.RejectedByDatabase");
    assert_header(again, "offset", "17");
}

#[test]
fn letters_of_a_java_worker_are_understood_and_replayed_when_they_are_asked_for() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, &database);
    let dead = pipeline.create_dead(1);
    let own = &pipeline.topic.name;
    dead.produce([
        letter("influx-sink", own, 17, r#"{"v":17}"#),
        Message::new("no letter").in_partition(0),
        letter(own, own, 18, r#"{"v":18}"#),
        letter("influx-sink", own, 19, r#"{"v":19}"#),
    ]);
    let list = pipeline.list(&[]);
    assert_eq!((&list["letters"], &list["no_letters"]), (&1.into(), &1.into()), "{list:#}");
    assert_eq!(list["other_connectors"]["influx-sink"], 2, "{list:#}");
    let list = pipeline.list(&["--written-by", "influx-sink"]);
    assert_eq!(list["groups"][0]["stage"], "VALUE_CONVERTER", "{list:#}");
    assert_eq!(list["groups"][0]["example"]["origin"]["offset"], 19, "{list:#}");

    let replayed = pipeline.dlq(MENDED, &["replay"], 0);
    assert!(replayed.contains("replayed 1 letter: 1 written"), "{replayed}");
    assert_eq!(pipeline.stored(&database), [(pipeline.place(0, 18), 18)].into());
    let replayed = pipeline.dlq(MENDED, &["replay", "--written-by", "influx-sink"], 0);
    assert!(replayed.contains("replayed 2 letters: 2 written"), "{replayed}");
    let all = [17, 18, 19].map(|n| (pipeline.place(0, n), n));
    assert_eq!(pipeline.stored(&database), all.into());
}

/// A replay that is under way; dropped, it is killed.
struct Replaying {
    child: Child,
    folder: TempDir,
}

impl Replaying {
    fn start(pipeline: &Pipeline<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let mut command = pipeline.command(MENDED, &["replay"]);
        let child = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn();
        Self { child: child.unwrap(), folder }
    }

    fn said(&self) -> String {
        ["out", "err"]
            .map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap())
            .concat()
    }

    /// Waits until it has committed more than so many offsets.
    fn until_committed(&mut self, group: &Group, dead: &Topic<'_>, more_than: i64) -> i64 {
        let deadline = Instant::now() + WITHIN;
        loop {
            let committed = group.committed(dead).iter().sum();
            if committed > more_than {
                return committed;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended too early: {ended:?}: {}", self.said());
            assert!(Instant::now() < deadline, "no progress: {}", self.said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "still running: {}", self.said());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Replaying {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

mod lose_nothing {
    use super::*;

    #[test]
    fn replays_that_are_fenced_killed_or_interrupted_are_finished_by_the_next() {
        const LETTERS: usize = 150_000;
        let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
        let pipeline = Pipeline::new(&kafka, &database);
        let dead = pipeline.create_dead(2);
        let own = &pipeline.topic.name;
        dead.produce((0..LETTERS).map(|n| {
            let partition = i32::from(n % 2 == 1);
            letter(own, own, n, &format!(r#"{{"v":{n}}}"#)).in_partition(partition)
        }));
        let (group, all) = (pipeline.replay_group(), i64::try_from(LETTERS).unwrap());

        let mut older = Replaying::start(&pipeline);
        let committed = older.until_committed(&group, &dead, 0);
        let mut killed = Replaying::start(&pipeline);
        assert_eq!(older.exit_code(), Some(1), "{}", older.said());
        let committed = killed.until_committed(&group, &dead, committed);
        assert!(committed < all, "ended before the kill");
        drop(killed);

        // Takes over at once, though the killed one's session lasts.
        let mut interrupted = Replaying::start(&pipeline);
        let since = Instant::now();
        let committed = interrupted.until_committed(&group, &dead, committed);
        assert!(since.elapsed() < Duration::from_secs(40), "waited for the killed one's session");
        let pid = interrupted.child.id();
        let sent = Command::new("bash").args(["-c", &format!("kill -INT {pid}")]).status();
        assert!(sent.unwrap().success());
        assert_eq!(interrupted.exit_code(), Some(1), "{}", interrupted.said());
        assert!(interrupted.said().contains("stopped; "), "{}", interrupted.said());
        let left = all - group.committed(&dead).iter().sum::<i64>();
        assert!(left > 0 && left < all - committed + 1, "{left} left after {committed}");

        let last = pipeline.dlq(MENDED, &["replay"], 0);
        let expected = format!("replayed {left} letters: {left} written, 0 rejected again");
        assert!(last.contains(&expected), "{expected}: {last}");
        assert_eq!(group.committed(&dead), dead.ends());
        let stored = pipeline.stored(&database);
        let expected = (0..all).map(|n| (pipeline.place(0, n), n)).collect();
        assert!(stored == expected, "{} of {LETTERS} are stored", stored.len());
    }
}

#[test]
fn a_missing_dead_letter_topic_is_told_at_once_holds_the_commit_and_heals() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, &database);
    let mut tidegate = pipeline.run(STRICT);
    let missing = format!("the dead-letter topic {} does not exist: create it", pipeline.dead);
    tidegate.until_logged(&missing);

    let (good, bad) = (reading(0, "1", "1700000000000"), reading(0, "\"warm\"", "1"));
    pipeline.topic.produce([good.clone(), bad.clone(), good.clone()]);
    tidegate.until_logged("a dead letter can't be written");
    thread::sleep(Duration::from_secs(3));
    assert!(pipeline.group().committed(&pipeline.topic)[0] <= 1, "{}", tidegate.log());
    let dead = pipeline.create_dead(1);
    tidegate.until_committed(&pipeline.group(), &pipeline.topic);
    tidegate.until_logged("the dead-letter topic takes letters again");
    assert_eq!(dead.ends(), [1]);

    // The same when it goes away later.
    kafka.delete_topic(&pipeline.dead);
    pipeline.topic.produce([good.clone(), bad, good]);
    thread::sleep(Duration::from_secs(5));
    assert!(pipeline.group().committed(&pipeline.topic)[0] <= 4, "{}", tidegate.log());
    let dead = pipeline.create_dead(1);
    tidegate.until_committed(&pipeline.group(), &pipeline.topic);
    tidegate.stop();
    assert_eq!(dead.ends(), [1]);
    assert!(tidegate.log().lines().count() < 20, "{}", tidegate.log());
}

#[test]
fn a_letter_that_is_too_large_holds_the_commit_names_the_mend_and_heals_with_it() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = Pipeline::new(&kafka, &database);
    kafka.create_topic_with(&pipeline.dead, 1, &[("max.message.bytes", "20000")]);
    // What doesn't compress, among letters that fit.
    let mut state = 1u32;
    let large: String = (0..60_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from(state >> 24).unwrap() % 26)
        })
        .collect();
    let bad = |text: &str| reading(0, &format!("\"{text}\""), "1");
    pipeline.topic.produce((0..30).map(|n| bad(&format!("small {n}"))).chain([bad(&large)]));
    pipeline.topic.produce([reading(0, "1", "1700000000000")]);

    let mut tidegate = pipeline.run(STRICT);
    tidegate.until_logged("raise max.message.bytes");
    thread::sleep(Duration::from_secs(3));
    assert!(pipeline.group().committed(&pipeline.topic)[0] <= 30, "{}", tidegate.log());
    assert_eq!(tidegate.log().matches("raise max.message.bytes").count(), 1, "{}", tidegate.log());
    set(&kafka, &pipeline.dead, "max.message.bytes", "200000");
    tidegate.until_committed(&pipeline.group(), &pipeline.topic);
    tidegate.stop();
    let consumed = pipeline.list(&[]);
    assert_eq!(consumed["letters"], 31, "{consumed:#}");
}

/// Changes a topic's configuration.
fn set(kafka: &Kafka, topic: &str, key: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(admin.alter_configs([&change], &AdminOptions::new())).unwrap();
    for result in answer {
        result.unwrap();
    }
}
