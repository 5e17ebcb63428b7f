//! What a consumer group goes through: members that come, go and die, topics that change under it,
//! and places that are gone. Everything here is real: the binary, Kafka and the database.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use run::{Group, Message, Tidegate, Topic, unique};
use stack::cluster::Cluster;
use stack::{Kafka, VictoriaMetrics, shared_kafka, shared_victoria_metrics};

const START: i64 = 1_700_000_000_000;
/// What is new in Kafka is seen within so long.
const REFRESH: &str = ", topic.metadata.refresh.interval.ms: 2000";
const SMALL_BATCHES: &str = "batch: { max_points: 50, linger: 100ms }";

/// A connector of one family of topics, all of one measurement: message n is value n at a time of
/// its own.
struct Pipeline {
    name: String,
    group: Group,
    connector: String,
}

impl Pipeline {
    fn new(
        kafka: &Kafka,
        database: &VictoriaMetrics,
        name: &str,
        topics: &str,
        kafka_extra: &str,
        extra: &str,
    ) -> Self {
        let (bootstrap, url) = (kafka.bootstrap(), database.url());
        let connector = format!(
            "
name: {name}
{topics}
kafka: {{ bootstrap.servers: '{bootstrap}'{kafka_extra} }}
point:
  measurement: {name}
  fields: {{ v: {{ path: v, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ influxdb: {{ url: '{url}', org: none, bucket: none }} }}
{extra}
"
        );
        let group = Group::new(kafka, &format!("tidegate-{name}"));
        Self { name: name.to_owned(), group, connector }
    }

    /// Of the one topic that has the pipeline's name.
    fn of_topic(
        kafka: &Kafka,
        database: &VictoriaMetrics,
        name: &str,
        kafka_extra: &str,
        extra: &str,
    ) -> Self {
        Self::new(kafka, database, name, &format!("topics: [{name}]"), kafka_extra, extra)
    }

    fn run(&self) -> Tidegate {
        Tidegate::run(&self.connector, &[])
    }

    fn stored(&self, database: &VictoriaMetrics) -> Vec<i64> {
        database.flush();
        let series = database.export(&format!("{}_v", self.name));
        let mut numbers: Vec<i64> = series
            .into_iter()
            .flat_map(|(_, samples)| samples)
            .map(|(time, _)| (time - START) / 100)
            .collect();
        numbers.sort_unstable();
        numbers
    }

    #[track_caller]
    fn assert_stored(&self, database: &VictoriaMetrics, numbers: impl IntoIterator<Item = i64>) {
        let (stored, expected) = (self.stored(database), numbers.into_iter().collect::<Vec<_>>());
        assert!(stored == expected, "stored: {stored:?}\nexpected: {expected:?}");
    }
}

fn reading(n: i64, partitions: i64) -> Message {
    let text = format!(r#"{{"v":{n},"at":{}}}"#, START + n * 100);
    Message::new(text).in_partition(i32::try_from(n % partitions).expect("a few partitions"))
}

/// Messages to a topic with so many partitions.
fn produce(topic: &Topic<'_>, partitions: i64, numbers: Range<i64>) {
    topic.produce(numbers.map(|n| reading(n, partitions)));
}

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().expect("a client")
}

fn wait_for<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// What retention does, at once: all before this offset is gone.
fn delete_before(kafka: &Kafka, topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("a place");
    let deleted =
        wait_for(admin(kafka).delete_records(&list, &AdminOptions::new())).expect("an answer");
    let first = deleted.find_partition(topic, partition).expect("the partition");
    first.error().expect("deleted");
    assert_eq!(first.offset(), Offset::Offset(offset));
}

fn add_partitions(kafka: &Kafka, topic: &str, count: usize) {
    let new = NewPartitions::new(topic, count);
    let answer =
        wait_for(admin(kafka).create_partitions([&new], &AdminOptions::new())).expect("an answer");
    for result in answer {
        result.expect("new partitions");
    }
}

/// Deletes a topic and makes it again, as soon as the broker lets it.
fn make_again<'k>(kafka: &'k Kafka, name: &str, partitions: i32) -> Topic<'k> {
    kafka.delete_topic(name);
    let until = Instant::now() + Duration::from_secs(30);
    let exists = || {
        let metadata = admin(kafka).inner().fetch_metadata(Some(name), Duration::from_secs(5));
        metadata.is_ok_and(|m| m.topics().iter().any(|topic| topic.error().is_none()))
    };
    while exists() {
        assert!(Instant::now() < until, "{name} is not deleted");
        thread::sleep(Duration::from_millis(20));
    }
    Topic::create(kafka, name, partitions)
}

fn lines_with(tidegate: &Tidegate, text: &str) -> usize {
    tidegate.log().lines().filter(|line| line.contains(text)).count()
}

/// How many rows it was sent since its start, by its own count.
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

// ------------------------------------------------------------------------------ places that are gone

const DELETED: &str = "Kafka has deleted records before they were read";
const MADE_AGAIN: &str = "the topic was made again";

/// 0..100 is committed, and of 100..300, which came while nobody read, retention has deleted half.
fn overtaken_by_retention(kafka: &Kafka, pipeline: &Pipeline, topic: &Topic<'_>) {
    produce(topic, 1, 0..100);
    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, topic);
    tidegate.stop();
    produce(topic, 1, 100..300);
    delete_before(kafka, &topic.name, 0, 200);
}

#[test]
fn records_that_retention_has_deleted_are_reported_and_the_rest_is_read() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 1);
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, "", "");
    overtaken_by_retention(&kafka, &pipeline, &topic);

    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, &topic);
    let log = tidegate.log();
    let line = log.lines().find(|line| line.contains(DELETED)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("ERROR"), "{line}");
    let place = format!("partition={}[0] had=100 first=200 end=300 deleted=100", topic.name);
    assert!(line.contains(&place), "{line}");
    tidegate.stop();
    pipeline.assert_stored(&database, (0..100).chain(200..300));
}

#[test]
fn a_connector_that_is_to_stop_at_a_gap_stops_and_commits_nothing() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 1);
    let stop = "offset_out_of_range: stop";
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, "", stop);
    overtaken_by_retention(&kafka, &pipeline, &topic);

    let mut tidegate = pipeline.run();
    assert_eq!(tidegate.exit_code(), 1, "{}", tidegate.log());
    let place = format!("{}[0] was to be read from offset 100, and holds 200 to 300", topic.name);
    assert!(tidegate.log().contains(&place), "{}", tidegate.log());
    assert_eq!(pipeline.group.committed(&topic), [100]);
    pipeline.assert_stored(&database, 0..100);
}

#[test]
fn a_connector_that_is_to_go_on_at_the_end_says_what_it_skips() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 1);
    let latest = "offset_out_of_range: latest";
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, "", latest);
    overtaken_by_retention(&kafka, &pipeline, &topic);

    let mut tidegate = pipeline.run();
    tidegate.until_logged("deleted=100 skipped=100 going_on_at=300");
    // Without a new record, too: a restart must not skip again.
    tidegate.until_committed(&pipeline.group, &topic);
    produce(&topic, 1, 300..350);
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.stop();
    pipeline.assert_stored(&database, (0..100).chain(300..350));
}

#[test]
fn a_group_that_has_never_committed_begins_at_the_end_if_it_is_to_and_stays_there() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 1);
    let latest = ", auto.offset.reset: latest";
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, latest, "");
    produce(&topic, 1, 0..100);

    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.stop();
    // What comes between two runs is not the group's first start any more.
    produce(&topic, 1, 100..150);
    let mut again = pipeline.run();
    again.until_committed(&pipeline.group, &topic);
    again.stop();
    pipeline.assert_stored(&database, 100..150);
    assert!(!again.log().contains("ERROR"), "{}", again.log());
}

/// By the assignment that moves single partitions, and by the one that moves all.
fn a_topic_made_again(assignment: &str) {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 2);
    let other = Topic::create(&kafka, unique("groups_other"), 2);
    let topics = format!("topics: [{}, {}]", topic.name, other.name);
    let pipeline =
        Pipeline::new(&kafka, &database, &topic.name, &topics, assignment, SMALL_BATCHES);
    let mut tidegate = pipeline.run();
    produce(&topic, 2, 0..200);
    produce(&other, 2, 1000..1200);
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.until_committed(&pipeline.group, &other);

    let topic = make_again(&kafka, &topic.name, 2);
    produce(&topic, 2, 200..260);
    tidegate.until_committed(&pipeline.group, &topic);
    produce(&other, 2, 1200..1300);
    produce(&topic, 2, 260..280);
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.until_committed(&pipeline.group, &other);

    assert_eq!(lines_with(&tidegate, MADE_AGAIN), 2, "one a partition: {}", tidegate.log());
    tidegate.stop();
    pipeline.assert_stored(&database, (0..280).chain(1000..1300));
}

#[test]
fn a_topic_made_again_under_a_running_connector_is_read_from_its_start() {
    a_topic_made_again("");
}

#[test]
fn a_topic_made_again_is_read_from_its_start_with_an_eager_assignment_too() {
    a_topic_made_again(", partition.assignment.strategy: range");
}

#[test]
fn a_topic_made_again_while_nobody_reads_is_read_from_its_start() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 2);
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, "", "");
    produce(&topic, 2, 0..200);
    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.stop();

    let topic = make_again(&kafka, &topic.name, 2);
    produce(&topic, 2, 200..500);
    let mut again = pipeline.run();
    again.until_committed(&pipeline.group, &topic);
    again.stop();
    pipeline.assert_stored(&database, 0..500);
}

// ------------------------------------------------------------------------------- topics that change

#[test]
fn a_topic_that_does_not_exist_yet_is_named_once_and_read_when_it_does() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let name = unique("groups");
    let pipeline = Pipeline::of_topic(&kafka, &database, &name, REFRESH, "");
    let mut tidegate = pipeline.run();
    tidegate.until_logged(&name);
    thread::sleep(Duration::from_secs(5));
    let named = lines_with(&tidegate, "not available");
    assert_eq!(named, 1, "{}", tidegate.log());

    let topic = Topic::create(&kafka, name, 1);
    produce(&topic, 1, 0..50);
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.stop();
    pipeline.assert_stored(&database, 0..50);
}

#[test]
fn a_topic_that_is_deleted_holds_up_nobody_and_is_read_when_it_is_made_again() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let gone = Topic::create(&kafka, unique("groups"), 2);
    let other = Topic::create(&kafka, unique("groups_other"), 2);
    let topics = format!("topics: [{}, {}]", gone.name, other.name);
    let soon = format!("{REFRESH}, topic.metadata.propagation.max.ms: 2000");
    let pipeline = Pipeline::new(&kafka, &database, &gone.name, &topics, &soon, SMALL_BATCHES);
    let mut tidegate = pipeline.run();
    produce(&gone, 2, 0..100);
    produce(&other, 2, 1000..1100);
    tidegate.until_committed(&pipeline.group, &gone);
    tidegate.until_committed(&pipeline.group, &other);

    kafka.delete_topic(&gone.name);
    tidegate.until_logged("not available");
    for round in 0..10 {
        let first = 1100 + round * 10;
        produce(&other, 2, first..first + 10);
        thread::sleep(Duration::from_millis(500));
    }
    tidegate.until_committed(&pipeline.group, &other);
    let said = lines_with(&tidegate, &gone.name);
    assert!((1..=2).contains(&said), "{said} lines:\n{}", tidegate.log());

    let gone = Topic::create(&kafka, &gone.name, 2);
    produce(&gone, 2, 100..200);
    tidegate.until_committed(&pipeline.group, &gone);
    tidegate.stop();
    pipeline.assert_stored(&database, (0..200).chain(1000..1200));
}

#[test]
fn partitions_that_are_added_to_a_topic_are_read() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 1);
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, REFRESH, "");
    let mut tidegate = pipeline.run();
    produce(&topic, 1, 0..50);
    tidegate.until_committed(&pipeline.group, &topic);

    add_partitions(&kafka, &topic.name, 3);
    let topic = Topic { partitions: 3, ..topic };
    produce(&topic, 3, 51..200);
    tidegate.until_committed(&pipeline.group, &topic);
    tidegate.stop();
    pipeline.assert_stored(&database, (0..50).chain(51..200));
}

#[test]
fn a_pattern_picks_up_topics_that_are_made_later() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let name = unique("groups");
    let topics = format!("topics_pattern: '^{name}-.*'");
    let pipeline = Pipeline::new(&kafka, &database, &name, &topics, REFRESH, "workers: 2");
    let first = Topic::create(&kafka, format!("{name}-a"), 2);
    produce(&first, 2, 0..50);
    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, &first);
    let second = Topic::create(&kafka, format!("{name}-b"), 2);
    produce(&second, 2, 50..100);
    tidegate.until_committed(&pipeline.group, &second);
    tidegate.stop();
    pipeline.assert_stored(&database, 0..100);
}

// ------------------------------------------------------------------------------------------ members

#[test]
fn a_start_that_waits_for_a_dead_member_says_so() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("groups"), 1);
    let session = ", session.timeout.ms: 25000";
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, session, "");
    let mut tidegate = pipeline.run();
    produce(&topic, 1, 0..10);
    tidegate.until_committed(&pipeline.group, &topic);
    assert!(!tidegate.log().contains("still waiting"), "{}", tidegate.log());
    tidegate.signal("KILL");
    drop(tidegate);

    produce(&topic, 1, 10..20);
    let mut again = pipeline.run();
    again.until_logged("still waiting for partitions");
    let group = format!("group=\"tidegate-{}\"", topic.name);
    assert!(again.log().contains(&group), "{}", again.log());
    again.until_committed(&pipeline.group, &topic);
    assert_eq!(lines_with(&again, "still waiting"), 1, "{}", again.log());
    again.stop();
    pipeline.assert_stored(&database, 0..20);
}

/// Members of two processes come and go while messages flow. Who leaves hands over what it has
/// written, so that nothing is written twice.
fn members_come_and_go(assignment: &str) {
    let (kafka, database) = (shared_kafka(), VictoriaMetrics::start());
    let topic = Topic::create(&kafka, unique("groups"), 6);
    let extra = format!("{SMALL_BATCHES}\nworkers: 2");
    let pipeline = Pipeline::of_topic(&kafka, &database, &topic.name, assignment, &extra);
    let mut next = 0;
    let mut flow_until = |what: &str, tidegate: &mut Tidegate, is_so: &dyn Fn() -> bool| {
        tidegate.until(what, || {
            produce(&topic, 6, next..next + 120);
            next += 120;
            is_so()
        });
        next
    };
    let members = |count: usize| move |group: &Group| group.members().len() == count;
    let mut first = pipeline.run();
    flow_until("two members", &mut first, &|| members(2)(&pipeline.group));
    let mut second = pipeline.run();
    flow_until("four members", &mut first, &|| members(4)(&pipeline.group));
    first.signal("TERM");
    flow_until("two members again", &mut second, &|| members(2)(&pipeline.group));
    assert_eq!(first.exit_code(), 0, "{}", first.log());
    let mut third = pipeline.run();
    let all = flow_until("four members again", &mut second, &|| members(4)(&pipeline.group));
    second.until_committed(&pipeline.group, &topic);
    second.stop();
    third.stop();

    pipeline.assert_stored(&database, 0..all);
    assert_eq!(rows_received(&database), all, "rows that VictoriaMetrics was sent");
}

#[test]
fn members_come_and_go_and_nothing_is_lost_or_written_twice() {
    members_come_and_go("");
}

#[test]
fn members_come_and_go_with_an_eager_assignment_and_nothing_is_lost_or_written_twice() {
    members_come_and_go(", partition.assignment.strategy: roundrobin");
}

// ---------------------------------------------------------------------------------- unclean elections

/// A topic on two of three brokers, which goes on with what one of them has when the other is gone.
fn create_unclean(cluster: &Cluster, name: &str) {
    let replicas: [&[i32]; 1] = [&[1, 2]];
    let topic = NewTopic::new(name, 1, TopicReplication::Variable(&replicas));
    let topic = topic.set("min.insync.replicas", "1").set("unclean.leader.election.enable", "true");
    let admin = admin(&cluster.kafka());
    let answer = wait_for(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
    for result in answer {
        result.expect("a topic");
    }
}

/// The runner's configuration finds tests that kill servers by this module's name (.config/nextest.toml).
mod lose_nothing {
    use super::*;

    /// The new leader has other records at offsets that the group has passed, and more of them: only
    /// the epoch of the leader tells.
    #[test]
    fn what_a_new_leader_has_instead_after_an_unclean_election_is_read() {
        let (mut cluster, database) = (Cluster::start(), shared_victoria_metrics());
        let (kafka, name) = (cluster.kafka(), unique("groups"));
        create_unclean(&cluster, &name);
        let topic = Topic { name: name.clone(), partitions: 1, kafka: &kafka };
        let session = ", session.timeout.ms: 120000";
        let pipeline = Pipeline::of_topic(&kafka, &database, &name, session, SMALL_BATCHES);
        let mut tidegate = pipeline.run();
        let leader = cluster.leader(&name, 0);
        let follower = 1 - leader;
        produce(&topic, 1, 0..50);
        tidegate.until_committed(&pipeline.group, &topic);
        cluster.broker(follower).kill();
        produce(&topic, 1, 50..100);
        tidegate.until_committed(&pipeline.group, &topic);

        tidegate.signal("STOP");
        cluster.broker(leader).kill();
        cluster.broker(follower).restart();
        let until = Instant::now() + Duration::from_mins(1);
        while cluster.leader(&name, 0) != follower {
            assert!(Instant::now() < until, "no unclean election");
            thread::sleep(Duration::from_millis(200));
        }
        produce(&topic, 1, 100..200);
        assert_eq!(topic.ends(), [150]);
        tidegate.signal("CONT");
        tidegate.until_logged(MADE_AGAIN);
        tidegate.until_committed(&pipeline.group, &topic);
        tidegate.stop();
        pipeline.assert_stored(&database, 0..200);
    }
}
