//! Kafka's corners, against the real one: brokers that go and come back.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use run::{Group, Tidegate, Topic, unique};
use stack::cluster::Cluster;
use stack::{Kafka, VictoriaMetrics, shared_victoria_metrics};

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
        let pipeline = Pipeline::new(topic, &kafka, &database, "");
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

        tidegate.stop();
        pipeline.assert_stored(&database, 0..readings.next);
    }
}
