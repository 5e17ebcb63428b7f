//! What is expected of librdkafka, on its own mock cluster.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::config::Secret;
use crate::kafka::mock::MockKafka;
use crate::record::Record as _;

const TOPIC: &str = "t";
const WITHIN: Duration = Duration::from_secs(30);

fn partition() -> TopicPartition {
    TopicPartition { topic: TOPIC.into(), partition: 0 }
}

struct Group {
    cluster: MockCluster<'static, DefaultProducerContext>,
    consumer: KafkaConsumer,
}

impl Group {
    /// Of one topic with one partition and these records.
    fn new(records: &[&str], properties: &[(&str, &str)]) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let servers = cluster.bootstrap_servers();
        let producer: rdkafka::producer::BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
        for record in records {
            let record = rdkafka::producer::BaseRecord::<(), str>::to(TOPIC).payload(record);
            producer.send(record.partition(0)).map_err(|(error, _)| error).unwrap();
        }
        rdkafka::producer::Producer::flush(&producer, WITHIN).unwrap();
        let properties: Properties = [("bootstrap.servers", servers.as_str())]
            .iter()
            .chain(&[("statistics.interval.ms", "200")])
            .chain(properties)
            .map(|(key, value)| ((*key).to_owned(), Secret::new(*value)))
            .collect();
        let topics = Topics::List(vec![TOPIC.into()]);
        let consumer = KafkaConsumer::new(&properties, "g", &topics, 0).unwrap();
        Self { cluster, consumer }
    }

    /// Accepts partitions on the way to the first event that fits.
    fn until<T>(
        &self,
        what: &str,
        mut fits: impl FnMut(Event<FetchedRecord<'_>>) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Event::Assigned(partitions)) => self.consumer.assign(&partitions).unwrap(),
                Some(event) => {
                    if let Some(found) = fits(event) {
                        return found;
                    }
                }
                None => {}
            }
        }
        panic!("not within {WITHIN:?}: {what}");
    }

    fn next_record(&self) -> i64 {
        self.until("a record", |event| match event {
            Event::Record(record) => Some(record.offset().0),
            _ => None,
        })
    }

    fn no_place(&self) {
        self.until("no place", |event| matches!(event, Event::NoPlace).then_some(()));
    }

    /// Whether the next statistics say so.
    fn is_idle(&self) -> bool {
        self.until("statistics", |event| match event {
            Event::Idle(idle) => Some(idle.contains(&partition())),
            _ => None,
        })
    }

    fn extent(&self) -> Extent {
        self.consumer.look_up(&[partition()]).unwrap().remove(0)
    }
}

fn a_first_start(properties: &[(&str, &str)]) {
    let group = Group::new(&["a", "b", "c"], properties);
    group.no_place();
    let extent = group.extent();
    assert_eq!((extent.committed, extent.first, extent.end), (None, Offset(0), Offset(3)));
    group.consumer.go_to(&[(partition(), Some(Offset(1)))], &[]).unwrap();
    assert_eq!([group.next_record(), group.next_record()], [1, 2]);
}

#[test]
fn a_group_without_a_place_is_asked_where_to_begin() {
    a_first_start(&[]);
}

#[test]
fn a_group_without_a_place_is_asked_where_to_begin_with_an_eager_assignment_too() {
    a_first_start(&[("partition.assignment.strategy", "range")]);
}

#[test]
fn a_place_that_the_broker_does_not_hold_is_reported_and_not_jumped_from() {
    let group = Group::new(&["a", "b", "c"], &[]);
    group.no_place();
    group.consumer.go_to(&[(partition(), Some(Offset(7)))], &[]).unwrap();
    group.no_place();
    group.consumer.go_to(&[(partition(), Some(Offset(0)))], &[]).unwrap();
    assert_eq!(group.next_record(), 0);
}

/// librdkafka gives up a partition whose committed offset it could not fetch.
#[test]
fn a_partition_that_librdkafka_has_given_up_is_reported_as_idle() {
    let group = Group::new(&["a", "b", "c"], &[]);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 1];
    group.cluster.request_errors(RDKafkaApiKey::OffsetFetch, &refused);
    group.until("a failure", |event| matches!(event, Event::Failed(_)).then_some(()));
    assert_eq!([group.is_idle(), group.is_idle(), group.is_idle()], [true; 3]);
    group.consumer.go_to(&[(partition(), Some(Offset(0)))], &[]).unwrap();
    assert_eq!(group.next_record(), 0);
    while group.is_idle() {}
}

/// Else an outage of the database, in which all is paused, would look like places that are gone.
#[test]
fn a_partition_that_is_paused_is_not_idle() {
    let group = Group::new(&["a", "b", "c"], &[]);
    group.no_place();
    group.consumer.go_to(&[(partition(), Some(Offset(0)))], &[]).unwrap();
    assert_eq!(group.next_record(), 0);
    group.consumer.pause(&[partition()]).unwrap();
    assert_eq!([group.is_idle(), group.is_idle(), group.is_idle()], [false; 3]);
}

#[test]
fn each_worker_has_a_static_id_of_its_own() {
    let id = |number| {
        let servers = ("bootstrap.servers".to_owned(), Secret::new("localhost:1"));
        let properties = Properties::from([servers, (INSTANCE_ID.to_owned(), Secret::new("host"))]);
        configuration(&properties, "g", number, &[]).get(INSTANCE_ID).map(str::to_owned)
    };
    assert_eq!([id(0), id(1)], [Some("host-0".to_owned()), Some("host-1".to_owned())]);
}

/// librdkafka refuses a fetch that is smaller than the largest message to produce.
#[test]
fn a_limit_of_messages_or_of_fetches_alone_is_no_error() {
    for (name, bytes) in [
        ("message.max.bytes", "10000000"),
        ("fetch.max.bytes", "100000"),
        ("fetch.max.bytes", "2000000000"),
    ] {
        let properties = Properties::from([(name.to_owned(), Secret::new(bytes))]);
        let topics = Topics::List(vec!["t".into()]);
        let consumer = KafkaConsumer::new(&properties, "g", &topics, 0);
        assert!(consumer.is_ok(), "{name}: {bytes}: {:?}", consumer.err());
    }
}

/// librdkafka waits for its answer, and the group for the leave that comes after.
#[test]
fn an_assignment_that_nobody_has_taken_does_not_hold_up_the_end() {
    let kafka = MockKafka::start(&[(TOPIC, 1)]).unwrap();
    let servers = kafka.bootstrap_servers();
    let member = || {
        let properties = [("bootstrap.servers", &*servers), ("statistics.interval.ms", "0")];
        let properties = properties.map(|(key, value)| (key.to_owned(), Secret::new(value)));
        let topics = Topics::List(vec![TOPIC.into()]);
        KafkaConsumer::new(&properties.into(), "g", &topics, 0).unwrap()
    };
    let (owner, idle) = (member(), member());
    let since = Instant::now();
    while !idle.context().has_event() {
        // Where both join at once the mock may keep one waiting for the session of the other.
        assert!(since.elapsed() < 3 * WITHIN, "no assignment");
        match owner.poll(Duration::from_millis(20)) {
            Some(Event::Assigned(partitions)) => owner.assign(&partitions).unwrap(),
            Some(Event::Revoked { partitions, .. }) => owner.unassign(&partitions).unwrap(),
            _ => {}
        }
        assert!(idle.consumer.poll(Duration::ZERO).is_none());
    }
    let since = Instant::now();
    drop(idle);
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

/// It would have to wait until its group is looked at: Kafka gives a static member what it had.
#[test]
fn a_member_that_reads_to_an_end_has_no_cooperative_assignment() {
    let of = |given: &[(&str, &str)], more| {
        let given = given.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value)));
        configuration(&given.collect(), "g", 0, more).get(ASSIGNMENT).map(str::to_owned).unwrap()
    };
    assert_eq!(of(&[], &[]), "cooperative-sticky");
    assert_eq!(of(&[(ASSIGNMENT, "range")], &[]), "range");
    assert_eq!(of(&[(ASSIGNMENT, "cooperative-sticky")], TO_THE_END), "roundrobin");
}

#[test]
fn a_commit_that_is_not_allowed_is_told_with_the_mend() {
    use rdkafka::error::KafkaError as LibraryError;
    let code = RDKafkaErrorCode::GroupAuthorizationFailed;
    let error = KafkaError::from(LibraryError::ConsumerCommit(code));
    assert!(error.reason.ends_with("; grant its user READ on the group"), "{}", error.reason);
}
