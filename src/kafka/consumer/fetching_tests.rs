//! What the consumer brings of what was produced, and what its commits say, on librdkafka's mock cluster.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::{FetchedRecord, KafkaConsumer};
use crate::config::{Secret, Topics};
use crate::kafka::mock::MockKafka;
use crate::kafka::{Consumer as _, Event, KafkaError, Properties};
use crate::record::{NextOffset, Offset, OwnedRecord, Record as _, TopicPartition};
use crate::watermark::Covers;

const SOON: Duration = Duration::from_secs(30);

/// A consumer that owns the only partition of `t`.
fn consumer(kafka: &MockKafka) -> KafkaConsumer {
    consumer_by(kafka, "cooperative-sticky")
}

fn consumer_by(kafka: &MockKafka, strategy: &str) -> KafkaConsumer {
    let servers = Secret::new(kafka.bootstrap_servers());
    // The mock doesn't answer a fetch that waits when a record comes.
    let wait = Secret::new("10");
    let properties = Properties::from([
        ("bootstrap.servers".to_owned(), servers),
        ("fetch.wait.max.ms".to_owned(), wait),
        ("partition.assignment.strategy".to_owned(), Secret::new(strategy)),
    ]);
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
    mut wanted: impl FnMut(Event<FetchedRecord<'_>>) -> Option<T>,
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

/// Has so many records in the only partition of `t`, and a consumer that begins with the first.
fn reading(records: i64) -> (MockKafka, KafkaConsumer) {
    reading_by(records, "cooperative-sticky")
}

fn reading_by(records: i64, strategy: &str) -> (MockKafka, KafkaConsumer) {
    let kafka = MockKafka::start(&[("t", 1)]).unwrap();
    produce(&kafka, 0..records);
    let consumer = consumer_by(&kafka, strategy);
    consumer.go_to(&[(partition(), Some(Offset(0)))], &[]).unwrap();
    (kafka, consumer)
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 0 }
}

/// Produces these numbers, with a header each; those of the odd ones are empty. Even ones have a key.
fn produce(kafka: &MockKafka, numbers: std::ops::Range<i64>) {
    let producer: ThreadedProducer<_> =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap_servers()).create().unwrap();
    for number in numbers {
        let text = number.to_string();
        let value = (number % 2 == 0).then_some(&*text);
        let headers = ["first", "last"].map(|key| Header { key: "n", value: Some(key) });
        let headers = headers.into_iter().fold(OwnedHeaders::new(), OwnedHeaders::insert);
        let headers = headers.insert(Header { key: "even", value });
        let mut record = BaseRecord::<str, str>::to("t").payload(&text).partition(0);
        record.key = value;
        producer.send(record.timestamp(1000 + number).headers(headers)).unwrap();
    }
    producer.flush(SOON).unwrap();
}

/// Polls until so many records have come, and gives their offsets.
fn offsets(consumer: &KafkaConsumer, count: usize) -> Vec<i64> {
    let next = |event: Event<FetchedRecord<'_>>| match event {
        Event::Record(record) => Some(record.offset().0),
        _ => None,
    };
    (0..count).map(|_| until(consumer, next)).collect()
}

/// What a second of polling brings.
fn offsets_within_a_second(consumer: &KafkaConsumer) -> Vec<i64> {
    let (start, mut offsets) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(1) {
        if let Some(Event::Record(record)) = consumer.poll(Duration::from_millis(100)) {
            offsets.push(record.offset().0);
        }
    }
    offsets
}

#[test]
fn a_record_is_as_it_was_produced() {
    let (_kafka, consumer) = reading(2);
    let next = |event: Event<FetchedRecord<'_>>| match event {
        Event::Record(record) => Some(OwnedRecord::of(&record)),
        _ => None,
    };
    let records = [(); 2].map(|()| until(&consumer, next));
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(Into::into));
    let record = |number: i64, even: Option<&str>| OwnedRecord {
        topic: "t".into(),
        partition: 0,
        offset: Offset(number),
        key: even.map(Into::into),
        value: Some(number.to_string().into()),
        timestamp_millis: Some(1000 + number),
        headers: vec![header("n", Some("first")), header("n", Some("last")), header("even", even)],
    };
    assert_eq!(records, [record(0, Some("0")), record(1, None)]);
}

#[test]
fn the_last_header_of_a_name_counts_and_one_without_a_value_has_none() {
    let (_kafka, consumer) = reading(2);
    let header = |name: &str| {
        until(&consumer, |event| match event {
            Event::Record(record) => Some(record.header(name).map(<[u8]>::to_vec)),
            _ => None,
        })
    };
    assert_eq!(header("n").as_deref(), Some(&b"last"[..]));
    assert_eq!(header("even"), None);
}

/// librdkafka goes on behind what was taken from it, so that what a pause finds taken would be lost.
#[test]
fn no_record_comes_while_its_partition_is_paused_and_each_once_after_that() {
    let (_kafka, consumer) = reading(1000);
    let mut seen = offsets(&consumer, 10);
    consumer.pause(&[partition()]).unwrap();
    assert_eq!(offsets_within_a_second(&consumer), Vec::<i64>::new());
    consumer.resume(&[partition()]).unwrap();
    seen.extend(offsets(&consumer, 990));
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

#[test]
fn nothing_that_was_taken_before_comes_from_a_partition_that_goes_on_elsewhere() {
    goes_on_elsewhere("cooperative-sticky");
}

/// One order then ends the old assignment and begins the new one, and the end came after the
/// forwarding: no record came any more.
#[test]
fn a_partition_of_an_eager_assignment_goes_on_elsewhere_too() {
    goes_on_elsewhere("range");
}

fn goes_on_elsewhere(strategy: &str) {
    let (_kafka, consumer) = reading_by(1000, strategy);
    assert_eq!(offsets(&consumer, 10), (0..10).collect::<Vec<_>>());
    for _ in 0..20 {
        consumer.go_to(&[(partition(), Some(Offset(500)))], &[]).unwrap();
        assert_eq!(offsets(&consumer, 100), (500..600).collect::<Vec<_>>());
    }
    consumer.go_to(&[(partition(), Some(Offset(990)))], &[]).unwrap();
    assert_eq!(offsets(&consumer, 10), (990..1000).collect::<Vec<_>>());
}

#[test]
fn a_partition_that_was_let_go_brings_nothing_and_begins_again_when_it_comes_back() {
    let (_kafka, consumer) = reading(1000);
    offsets(&consumer, 10);
    consumer.commit_and_wait(&offset(700)).unwrap();
    for _ in 0..3 {
        consumer.unassign(&[partition()]).unwrap();
        assert_eq!(offsets_within_a_second(&consumer), Vec::<i64>::new());
        consumer.assign(&[partition()]).unwrap();
        assert_eq!(offsets(&consumer, 10), (700..710).collect::<Vec<_>>());
    }
}

/// librdkafka's batch call waits until it has as many as it was asked for.
#[test]
fn a_record_that_comes_alone_does_not_wait_for_others() {
    const ALONE: u32 = 50;
    let (kafka, consumer) = reading(1);
    offsets(&consumer, 1);
    let mut waited = Duration::ZERO;
    for number in 1..=i64::from(ALONE) {
        produce(&kafka, number..number + 1);
        let since = Instant::now();
        assert_eq!(offsets(&consumer, 1), [number]);
        waited += since.elapsed();
    }
    assert!(waited < Duration::from_millis(80) * ALONE, "{waited:?}");
}

/// As a lag of nothing would be, where records wait for the end of a pause.
#[test]
fn what_a_pause_has_set_aside_does_not_count_as_polled() {
    let (_kafka, consumer) = reading(1000);
    offsets(&consumer, 10);
    consumer.pause(&[partition()]).unwrap();
    let polled = until(&consumer, |event| match event {
        Event::Ends(ends) => ends.first().map(|end| end.polled).filter(|polled| polled.0 > 0),
        _ => None,
    });
    assert_eq!(polled, Offset(10));
}
