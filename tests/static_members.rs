//! Static members of a consumer group: processes that are known by their `group.instance.id`, and are awaited when they
//! end. Everything here is real: the binary, Kafka and the database.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use pipeline::Pipeline;
use run::{Message, Tidegate, Topic};
use stack::{Kafka, VictoriaMetrics, shared_kafka, shared_victoria_metrics};

const START: i64 = 1_700_000_000_000;
const PARTITIONS: i32 = 4;

/// Message n is value n at a time of its own.
fn pipeline(kafka: &Kafka, workers: usize) -> Pipeline<'_> {
    let rest = format!(
        "
workers: {workers}
point:
  measurement: NAME
  fields: {{ v: {{ path: v, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ influxdb: {{ url: '${{URL}}', org: none, bucket: none }} }}
"
    );
    let mut pipeline = Pipeline::new(kafka, "static", PARTITIONS, &rest);
    pipeline.set_kafka("group.instance.id: '${INSTANCE}'");
    pipeline
}

fn run(pipeline: &Pipeline<'_>, instance: &str, url: &str) -> Tidegate {
    Tidegate::run(&pipeline.connector, &[("INSTANCE", instance), ("URL", url)])
}

fn produce(topic: &Topic<'_>, numbers: std::ops::Range<i32>) {
    let message = |n: i32| {
        let value = format!(r#"{{"v":{n},"at":{}}}"#, START + i64::from(n) * 100);
        Message::new(value).in_partition(n % PARTITIONS)
    };
    topic.produce(numbers.map(message));
}

#[track_caller]
fn assert_stored(
    pipeline: &Pipeline<'_>,
    database: &VictoriaMetrics,
    numbers: impl IntoIterator<Item = i64>,
) {
    database.flush();
    let series = database.export(&format!("{}_v", pipeline.topic.name));
    let mut stored: Vec<i64> =
        series.into_iter().flat_map(|(_, s)| s).map(|(at, _)| (at - START) / 100).collect();
    stored.sort_unstable();
    assert_eq!(stored, numbers.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_static_member_that_is_killed_has_its_partitions_back_at_once() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    // The session (45 s) is longer than this test waits for anything.
    let pipeline = pipeline(&kafka, 2);
    let mut tidegate = run(&pipeline, "host-1", database.url());
    tidegate.until("two members", || pipeline.group.members().len() == 2);
    produce(&pipeline.topic, 0..200);
    tidegate.until_committed(&pipeline.group, &pipeline.topic);
    tidegate.signal("KILL");
    drop(tidegate);

    produce(&pipeline.topic, 200..400);
    let mut again = run(&pipeline, "host-1", database.url());
    again.until_committed(&pipeline.group, &pipeline.topic);
    again.stop();
    assert_stored(&pipeline, &database, 0..400);
}

#[test]
fn a_stop_of_a_static_member_does_not_leave_the_group() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = pipeline(&kafka, 1);
    let start = |instance| run(&pipeline, instance, database.url());
    let (mut first, mut second) = (start("a"), start("b"));
    second.until("two members", || pipeline.group.members().len() == 2);
    produce(&pipeline.topic, 0..200);
    first.until_committed(&pipeline.group, &pipeline.topic);
    let members = pipeline.group.members();

    first.stop();
    assert_eq!(pipeline.group.members(), members, "a rebalance after the stop");
    produce(&pipeline.topic, 200..400);
    let mut again = start("a");
    again.until_committed(&pipeline.group, &pipeline.topic);
    let after = pipeline.group.members();
    assert_eq!(after.len(), 2);
    assert!(after.iter().any(|id| members.contains(id)), "{members:?} {after:?}");
    again.stop();
    second.stop();
    assert_stored(&pipeline, &database, 0..400);
}

#[test]
fn of_two_processes_with_one_instance_id_the_first_fails_and_says_why() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = pipeline(&kafka, 1);
    let mut first = run(&pipeline, "host-1", database.url());
    produce(&pipeline.topic, 0..10);
    first.until_committed(&pipeline.group, &pipeline.topic);

    let mut second = run(&pipeline, "host-1", database.url());
    assert_eq!(first.exit_code(), 1, "{}", first.log());
    assert!(first.log().contains("group.instance.id"), "{}", first.log());
    produce(&pipeline.topic, 10..20);
    second.until_committed(&pipeline.group, &pipeline.topic);
    second.stop();
    assert_stored(&pipeline, &database, 0..20);
}

/// A cooperative assignment is made in two steps, and in the first the partitions that move have no owner. Kafka gives
/// a static member that comes back what it had: so nobody would have read them until the next rebalance.
#[test]
fn what_a_static_member_was_handing_over_when_it_was_killed_is_read_by_somebody() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let pipeline = pipeline(&kafka, 1);
    // It takes writes and never answers, so that the handing over takes `delivery.drain`, 20 seconds.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let first = run(&pipeline, "a", &url);
    produce(&pipeline.topic, 0..200);
    let _in_flight = silent.accept().expect("a write");

    let mut second = run(&pipeline, "b", database.url());
    // The first learns of the second with its next heartbeat, each three seconds.
    thread::sleep(Duration::from_secs(6));
    first.signal("KILL");
    drop(first);
    let mut again = run(&pipeline, "a", database.url());
    again.until_committed(&pipeline.group, &pipeline.topic);
    again.stop();
    second.stop();
    assert_stored(&pipeline, &database, 0..200);
}

/// Stops the only member, has something done, and has it come back with these topics.
fn comes_back(pipeline: &mut Pipeline<'_>, topics: &str, meanwhile: impl FnOnce()) -> Tidegate {
    let database = shared_victoria_metrics();
    let mut first = run(pipeline, "a", database.url());
    produce(&pipeline.topic, 0..100);
    first.until_committed(&pipeline.group, &pipeline.topic);
    first.stop();
    meanwhile();
    pipeline.subscribe(topics);
    run(pipeline, "a", database.url())
}

/// Kafka gave it the partitions that it had before, and nobody read those of the new topic.
fn comes_back_with_a_topic(assignment: &str) {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let mut pipeline = pipeline(&kafka, 1);
    pipeline.set_kafka(&format!("partition.assignment.strategy: {assignment}"));
    let name = pipeline.topic.name.clone();
    let more = Topic::create(&kafka, format!("{name}.more"), PARTITIONS);
    let both = format!("topics: [{name}, {}]", more.name);
    let mut again = comes_back(&mut pipeline, &both, || produce(&more, 100..200));
    again.until_committed(&pipeline.group, &more);
    produce(&pipeline.topic, 200..300);
    again.until_committed(&pipeline.group, &pipeline.topic);
    again.stop();
    assert_stored(&pipeline, &database, 0..300);
}

#[test]
fn a_topic_that_a_static_member_comes_back_with_is_read() {
    comes_back_with_a_topic("cooperative-sticky");
}

#[test]
fn a_topic_that_a_static_member_with_an_eager_assignment_comes_back_with_is_read() {
    comes_back_with_a_topic("range");
}

#[test]
fn a_topic_that_a_static_member_comes_back_without_is_given_up() {
    comes_back_without_a_topic("topics: [NAME]");
}

#[test]
fn a_topic_that_the_pattern_of_a_static_member_no_longer_matches_is_given_up() {
    comes_back_without_a_topic("topics_pattern: '^NAME$'");
}

/// It had gone on with the topic that it no longer subscribed to.
fn comes_back_without_a_topic(topics: &str) {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let mut pipeline = pipeline(&kafka, 1);
    let other = Topic::create(&kafka, format!("{}.other", pipeline.topic.name), PARTITIONS);
    let topics = topics.replace("NAME", &other.name);
    let mut again = comes_back(&mut pipeline, &topics, || produce(&other, 100..200));
    again.until_logged("the group divides them again");
    again.until_committed(&pipeline.group, &other);
    produce(&pipeline.topic, 200..300);
    produce(&other, 300..400);
    again.until_committed(&pipeline.group, &other);
    again.stop();
    assert_eq!(pipeline.group.committed(&pipeline.topic), [25; PARTITIONS as usize]);
    assert_stored(&pipeline, &database, (0..200).chain(300..400));
}

/// What `helm upgrade` does with a connector that gets another topic.
#[test]
fn a_roll_out_with_one_topic_more_reads_everything() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let mut pipeline = pipeline(&kafka, 1);
    let name = pipeline.topic.name.clone();
    let more = Topic::create(&kafka, format!("{name}.more"), PARTITIONS);
    let start = |pipeline: &Pipeline<'_>, pod| run(pipeline, pod, database.url());
    let mut pods = ["pod-0", "pod-1"].map(|pod| start(&pipeline, pod));
    pods[0].until("two members", || pipeline.group.members().len() == 2);
    produce(&pipeline.topic, 0..100);
    pods[0].until_committed(&pipeline.group, &pipeline.topic);

    pipeline.subscribe(&format!("topics: [{name}, {}]", more.name));
    let mut next = 100;
    for (number, pod) in ["pod-0", "pod-1"].into_iter().enumerate().rev() {
        produce(&pipeline.topic, next..next + 100);
        produce(&more, next + 100..next + 200);
        next += 200;
        pods[number].stop();
        pods[number] = start(&pipeline, pod);
        thread::sleep(Duration::from_secs(2));
    }
    pods[0].until_committed(&pipeline.group, &more);
    pods[0].until_committed(&pipeline.group, &pipeline.topic);
    for pod in &mut pods {
        pod.stop();
    }
    assert_stored(&pipeline, &database, 0..i64::from(next));
}
