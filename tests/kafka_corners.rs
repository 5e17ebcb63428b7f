//! Kafka's corners, against the real one: transactions, compaction, large messages, and brokers that go and come back.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer,
};
use run::{Group, Message, Tidegate, Topic, unique};
use stack::cluster::Cluster;
use stack::{Kafka, VictoriaMetrics, shared_kafka, shared_victoria_metrics};
use tidegate::config::{Environment, Process, load_text};
use tidegate::connector::{self, Running, State};
use tokio::runtime::Runtime;

const START: i64 = 1_700_000_000_000;
/// A broker that is away is noticed after some seconds, and a loaded machine needs more.
const PRODUCED_WITHIN: Duration = Duration::from_mins(1);

/// A topic, the group that reads it, and the connector's file.
struct Pipeline<'k> {
    topic: Topic<'k>,
    group: Group,
    connector: String,
}

impl<'k> Pipeline<'k> {
    /// `{"v":1,"at":1700000000000}` into a measurement of the topic's name.
    fn new(topic: Topic<'k>, kafka: &Kafka, database: &VictoriaMetrics, properties: &str) -> Self {
        let (name, bootstrap, url) = (&topic.name, kafka.bootstrap(), database.url());
        let connector = format!(
            "
name: {name}
topics: [{name}]
kafka: {{ bootstrap.servers: '{bootstrap}'{properties} }}
point:
  measurement: {name}
  fields: {{ v: v }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ influxdb: {{ url: '{url}', org: none, bucket: none }} }}
batch: {{ linger: 100ms }}
"
        );
        let group = Group::new(kafka, &format!("tidegate-{name}"));
        Self { topic, group, connector }
    }

    fn until_committed(&self, tidegate: &mut Tidegate) {
        tidegate.until_committed(&self.group, &self.topic);
    }

    /// The numbers that are stored, each as often as it is.
    fn stored(&self, database: &VictoriaMetrics) -> Vec<i64> {
        database.flush();
        let series = database.export(&format!("{}_v", self.topic.name));
        let samples = series.into_iter().flat_map(|(_, samples)| samples);
        let mut numbers: Vec<i64> = samples.map(|(at, _)| (at - START) / 100).collect();
        numbers.sort_unstable();
        numbers
    }

    #[track_caller]
    fn assert_stored(&self, database: &VictoriaMetrics, numbers: impl Iterator<Item = i64>) {
        let (stored, expected) = (self.stored(database), numbers.collect::<Vec<_>>());
        assert!(stored == expected, "stored: {stored:?}\nexpected: {expected:?}");
    }
}

/// Message number n: value n, at a time of its own.
fn reading(n: i64) -> String {
    format!(r#"{{"v":{n},"at":{}}}"#, START + n * 100)
}

/// Produces through whatever happens to brokers meanwhile, each message once.
struct Readings {
    producer: ThreadedProducer<DefaultProducerContext>,
    next: i64,
}

impl Readings {
    fn new(kafka: &Kafka) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka.bootstrap()).set("enable.idempotence", "true");
        let producer = config.set("socket.timeout.ms", "6000").create().expect("a producer");
        Self { producer, next: 0 }
    }

    /// The next `count` messages, to the partitions in turn; returns when the brokers have them.
    fn produce(&mut self, topic: &Topic<'_>, count: i64) {
        for _ in 0..count {
            let value = reading(self.next);
            let partition = i32::try_from(self.next % 3).expect("below 3");
            let record = BaseRecord::<(), _>::to(&topic.name).payload(&value).partition(partition);
            self.producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
            self.next += 1;
        }
        self.producer.flush(PRODUCED_WITHIN).expect("the brokers take all");
        assert_eq!(self.producer.in_flight_count(), 0);
    }
}

/// The runner's configuration finds tests that kill servers by this module's name (.config/nextest.toml).
mod lose_nothing {
    use super::*;

    #[test]
    fn every_record_is_delivered_while_leaders_are_killed_and_frozen() {
        let (mut cluster, database) = (Cluster::start(), shared_victoria_metrics());
        let kafka = cluster.kafka();
        let topic = Topic::create(&kafka, unique("leaders"), 3);
        // A stop that can't reach the coordinator leaves a member behind, until its session ends.
        let mut pipeline = Pipeline::new(topic, &kafka, &database, ", session.timeout.ms: 6000");
        pipeline.connector += "delivery: { drain: 4s }\n";
        let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
        let mut readings = Readings::new(&kafka);
        readings.produce(&pipeline.topic, 300);
        pipeline.until_committed(&mut tidegate);

        let leader = cluster.leader(&pipeline.topic.name, 0);
        cluster.broker(leader).kill();
        readings.produce(&pipeline.topic, 300);
        pipeline.until_committed(&mut tidegate);
        cluster.broker(leader).restart();

        let coordinator = cluster.leader("__consumer_offsets", 0);
        cluster.broker(coordinator).freeze();
        readings.produce(&pipeline.topic, 300);
        thread::sleep(Duration::from_secs(10));
        cluster.broker(coordinator).thaw();
        readings.produce(&pipeline.topic, 300);
        pipeline.until_committed(&mut tidegate);

        // A batch is open, and nobody answers any more: the stop is bounded, and nothing is lost.
        let coordinator = cluster.leader("__consumer_offsets", 0);
        readings.produce(&pipeline.topic, 30);
        cluster.broker(coordinator).freeze();
        let asked = Instant::now();
        tidegate.stop();
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(15), "the stop took {took:?}");
        cluster.broker(coordinator).thaw();
        let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
        pipeline.until_committed(&mut tidegate);
        tidegate.stop();
        pipeline.assert_stored(&database, 0..readings.next);
    }
}

// ------------------------------------------------------------------------------- what is no record

/// A producer of transactions.
fn transactions(kafka: &Kafka, id: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap()).set("transactional.id", id);
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(PRODUCED_WITHIN).expect("a producer id");
    producer
}

/// Begins a transaction of these messages, all of them written to the topic's only partition.
fn begin(producer: &BaseProducer, topic: &Topic<'_>, numbers: Range<i64>) {
    producer.begin_transaction().expect("a transaction");
    for number in numbers {
        let value = reading(number);
        let record = BaseRecord::<(), _>::to(&topic.name).payload(&value).partition(0);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(PRODUCED_WITHIN).expect("the broker takes all");
}

fn commit(producer: &BaseProducer) {
    producer.commit_transaction(PRODUCED_WITHIN).expect("a committed transaction");
}

#[test]
fn of_transactions_only_what_was_committed_is_written() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("transactions"), 1);
    let pipeline = Pipeline::new(topic, &kafka, &database, "");
    let producer = transactions(&kafka, &pipeline.topic.name);
    begin(&producer, &pipeline.topic, 0..50);
    commit(&producer);
    begin(&producer, &pipeline.topic, 50..100);
    producer.abort_transaction(PRODUCED_WITHIN).expect("an aborted transaction");
    begin(&producer, &pipeline.topic, 100..150);

    let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
    let committed = || pipeline.group.committed(&pipeline.topic)[0];
    // 50 records; behind them are a mark, 50 records and their mark, and an open transaction.
    tidegate.until("the first transaction is committed", || committed() >= 50);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(committed(), 50);
    pipeline.assert_stored(&database, 0..50);

    commit(&producer);
    tidegate.until("the third transaction is committed", || committed() >= 152);
    assert_eq!(
        (committed(), pipeline.topic.ends()),
        (152, vec![153]),
        "the last mark is no record"
    );
    pipeline.assert_stored(&database, (0..50).chain(100..150));

    // A start behind the marks goes on where it should.
    tidegate.stop();
    let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
    begin(&producer, &pipeline.topic, 150..151);
    commit(&producer);
    tidegate.until("the fourth transaction is committed", || committed() >= 154);
    tidegate.stop();
    pipeline.assert_stored(&database, (0..50).chain(100..151));
}

/// The marks of transactions at the end of a partition are no lag.
#[test]
fn the_lag_of_a_topic_with_transactions_comes_to_nothing() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("marks"), 1);
    let pipeline = Pipeline::new(topic, &kafka, &database, ", statistics.interval.ms: 200");
    let producer = transactions(&kafka, &pipeline.topic.name);
    begin(&producer, &pipeline.topic, 0..50);
    commit(&producer);
    begin(&producer, &pipeline.topic, 50..100);
    producer.abort_transaction(PRODUCED_WITHIN).expect("an aborted transaction");

    let (running, _runtime) = start(&pipeline.connector);
    let lag = || running.metrics().lag_records.get();
    let durable = || running.metrics().points_written.get();
    until("all is written", || durable() == 50);
    until("the lag is 0", || lag() == 0);
    // Of several statistics, none may say otherwise.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(lag(), 0);
    begin(&producer, &pipeline.topic, 100..101);
    commit(&producer);
    until("the next is written", || durable() == 51);
    until("the lag is 0 again", || lag() == 0);
    running.stop();
    assert_eq!(running.join(), State::Stopped);
    let (running, _runtime) = start(&pipeline.connector);
    // Its place is behind the last record and before the mark.
    until("the partition is assigned", || running.metrics().partitions_assigned.get() == 1);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(running.metrics().lag_records.get(), 0);
}

/// Runs a connector inside this process, where its gauges can be read.
fn start(connector: &str) -> (Running, Arc<Runtime>) {
    // Fails when there is one already, which serves as well.
    _ = rustls::crypto::ring::default_provider().install_default();
    let environment = Environment::variables(|_| None);
    let config = load_text("c.yaml", connector, &Process::default(), &environment);
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    (connector::start(&config, &runtime).expect("a connector"), runtime)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PRODUCED_WITHIN;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PRODUCED_WITHIN:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn of_a_compacted_topic_what_is_left_is_written_and_all_is_committed() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let name = unique("compacted");
    let compaction = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "100"),
    ];
    let topic = Topic::create_with(&kafka, name, 1, &compaction);
    let keyed = |n: i64| Message::new(reading(n)).key((n % 10).to_string());
    // Each key has many values and then one more, or a tombstone.
    topic.produce((0..200).map(keyed));
    topic.produce((0..5).map(|n: i64| Message::tombstone().key(n.to_string())));
    // The newest segment is never compacted: records after a while begin another.
    let mut next = 1000;
    until("the topic is compacted", || {
        thread::sleep(Duration::from_secs(1));
        topic.produce([Message::new(reading(next)).key("last")]);
        next += 1;
        topic.read_with_gaps().len() < 100
    });
    let left: BTreeSet<i64> = topic.read_with_gaps().iter().filter_map(number).collect();
    let pipeline = Pipeline::new(topic, &kafka, &database, "");
    let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();
    let stored = pipeline.stored(&database);
    // More may have been compacted away since it was looked at, but never the last of a key.
    assert!(stored.iter().all(|number| left.contains(number)), "{stored:?} of {left:?}");
    for last in (195..200).chain([next - 1]) {
        assert!(stored.contains(&last), "{last} in {stored:?}");
    }
}

/// The number of a message that is no tombstone.
fn number(message: &OwnedMessage) -> Option<i64> {
    let text = std::str::from_utf8(message.payload()?).expect("JSON");
    let (_, rest) = text.split_once("\"v\":").expect("a reading");
    rest.split(',').next().expect("a number").parse().ok()
}

#[test]
fn a_message_larger_than_a_fetch_is_delivered() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let large = ("max.message.bytes", "10485760");
    let topic = Topic::create_with(&kafka, unique("large"), 1, &[large]);
    let small_fetches =
        ", fetch.max.bytes: 100000, max.partition.fetch.bytes: 50000, message.max.bytes: 100000";
    let pipeline = Pipeline::new(topic, &kafka, &database, small_fetches);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap()).set("message.max.bytes", "10000000");
    let producer: BaseProducer = config.create().expect("a producer");
    for number in 0..5 {
        let size = if number == 2 { 5_000_000 } else { 10 };
        let padded = reading(number).replace('{', &format!("{{\"pad\":\"{}\",", "x".repeat(size)));
        let record = BaseRecord::<(), _>::to(&pipeline.topic.name).payload(&padded);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        producer.flush(PRODUCED_WITHIN).expect("the broker takes it");
    }
    // A limit on what is received at all is another thing: then the log says which.
    let limited = small_fetches.to_owned() + ", receive.message.max.bytes: 200000";
    let connector = pipeline.connector.replace(small_fetches, &limited);
    let mut tidegate = Tidegate::run(&connector, &[]);
    tidegate.until_logged("increase receive.message.max.bytes");
    tidegate.stop();

    let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
    pipeline.until_committed(&mut tidegate);
    tidegate.stop();
    pipeline.assert_stored(&database, 0..5);
}
