//! The consumer against librdkafka's mock cluster.

use std::time::{Duration, Instant};

use super::consumer::KafkaConsumer;
use super::mock::MockKafka;
use super::{Consumer as _, Event, KafkaError, Properties};
use crate::config::{Secret, Topics};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::watermark::Covers;

const SOON: Duration = Duration::from_secs(30);

/// A consumer that owns the only partition of `t`.
fn consumer(kafka: &MockKafka) -> KafkaConsumer {
    let servers = Secret::new(kafka.bootstrap_servers());
    let properties = Properties::from([("bootstrap.servers".to_owned(), servers)]);
    let topics = Topics::List(vec!["t".into()]);
    let consumer = KafkaConsumer::new(&properties, "group", &topics, 0).unwrap();
    let partitions = until(&consumer, |event| match event {
        Event::Assigned(partitions) => Some(partitions),
        _ => None,
    });
    consumer.assign(&partitions).unwrap();
    consumer
}

/// Polls until the event that is looked for.
fn until<T>(
    consumer: &KafkaConsumer,
    mut wanted: impl FnMut(Event<rdkafka::message::BorrowedMessage<'_>>) -> Option<T>,
) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < deadline, "not within {SOON:?}");
        if let Some(found) = consumer.poll(Duration::from_millis(100)).and_then(&mut wanted) {
            return found;
        }
    }
}

fn committed(consumer: &KafkaConsumer) -> Result<(), KafkaError> {
    until(consumer, |event| match event {
        Event::Committed(result) => Some(result),
        _ => None,
    })
}

fn offset(next: i64) -> Covers {
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    Covers::from([(partition, NextOffset::after(Offset(next - 1)))])
}

#[test]
fn how_a_commit_has_ended_is_told() {
    let kafka = MockKafka::start(&[("t", 1)]).unwrap();
    let consumer = consumer(&kafka);
    kafka.refuse_commits(1);
    consumer.commit(&offset(1)).unwrap();
    let refused = committed(&consumer).unwrap_err();
    assert!(refused.reason.contains("metadata"), "{refused}");
    consumer.commit(&offset(2)).unwrap();
    assert_eq!(committed(&consumer), Ok(()));

    kafka.refuse_commits(1);
    assert!(consumer.commit_and_wait(&offset(3)).is_err());
    assert_eq!(consumer.commit_and_wait(&offset(3)), Ok(()));
}

/// librdkafka's own synchronous commit waits for `session.timeout.ms` and longer.
#[test]
fn a_coordinator_that_does_not_answer_holds_up_neither_the_worker_nor_its_end() {
    let kafka = MockKafka::start(&[("t", 1)]).unwrap();
    let consumer = consumer(&kafka);
    kafka.answer_after(Duration::from_mins(1));
    let start = Instant::now();
    let failure = consumer.commit_and_wait(&offset(1)).unwrap_err();
    assert!(failure.reason.contains("has not answered a commit within"), "{failure}");
    drop(consumer);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
