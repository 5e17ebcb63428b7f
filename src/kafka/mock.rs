//! librdkafka's own mock cluster, for `tidegate demo` and tests: a real listener that speaks
//! Kafka's protocol, inside this process, and forgets everything with it.
//!
//! A hazard to know: each partition silently keeps only its last 5 MiB (as sent, so compressed).
//! Whoever produces must not get further ahead of the consumer than that.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::metadata::MetadataTopic;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, Producer as _, ProducerContext, ThreadedProducer,
};
#[cfg(test)]
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

#[cfg(test)]
use super::Properties;
#[cfg(test)]
use crate::config::Secret;

/// A cluster of one mock broker. Dropping it ends it.
pub struct MockKafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl MockKafka {
    /// Starts a cluster with these topics, each with its number of partitions.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, KafkaError> {
        let cluster = MockCluster::new(1)?;
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions, 1)?;
        }
        Ok(Self { cluster })
    }

    /// What clients take as `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Refuses the next commits, in a way that the client library doesn't repeat by itself.
    #[cfg(test)]
    pub(crate) fn refuse_commits(&self, times: usize) {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE;
        self.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &vec![error; times]);
    }

    /// Refuses the next producer, as a broker does that lets it write no topic.
    #[cfg(test)]
    pub(crate) fn refuse_producer(&self) {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        self.cluster.request_errors(RDKafkaApiKey::InitProducerId, &[error]);
    }

    /// Lets nobody see or join a group, as long as a test may take.
    #[cfg(test)]
    pub(crate) fn refuse_group(&self) {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
        self.cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[error; 100]);
    }

    /// Answers every request so much later.
    #[cfg(test)]
    pub(crate) fn answer_after(&self, delay: Duration) {
        self.cluster.broker_round_trip_time(1, delay).unwrap();
    }

    /// What clients take as `kafka:` of a connector.
    #[cfg(test)]
    pub(crate) fn properties(&self) -> Properties {
        let servers = Secret::new(self.bootstrap_servers());
        Properties::from([("bootstrap.servers".to_owned(), servers)])
    }

    /// A producer to this cluster.
    pub fn producer(&self) -> Result<MockProducer, KafkaError> {
        let deliveries = Arc::new(Deliveries::default());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap_servers())
            // As Kafka's Java clients choose partitions; idempotence keeps each key's order.
            .set("partitioner", "murmur2")
            .set("enable.idempotence", "true")
            // Compressed batches, so that the mock's 5 MiB hold minutes.
            .set("compression.type", "zstd")
            .set("linger.ms", "100")
            .create_with_context(Counting(Arc::clone(&deliveries)))?;
        Ok(MockProducer { producer, deliveries })
    }

    /// Counts the records of a topic, and among them those whose value differs from all others.
    pub fn count_records(&self, topic: &str, within: Duration) -> Result<Counted, KafkaError> {
        let consumer = self.consumer("tidegate-mock-count")?;
        let mut left = 0;
        let mut partitions = TopicPartitionList::new();
        for (partition, first, next) in watermarks(&consumer, topic, within)? {
            left += next - first;
            partitions.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&partitions)?;
        let mut counted = Counted::default();
        let mut values = HashSet::new();
        let until = Instant::now() + within;
        while left > 0 {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    left -= 1;
                    counted.records += 1;
                    values.insert(message.payload().map(<[u8]>::to_vec));
                }
                Some(Err(error)) => return Err(error),
                None if Instant::now() > until => {
                    return Err(KafkaError::MessageConsumption(
                        RDKafkaErrorCode::OperationTimedOut,
                    ));
                }
                None => {}
            }
        }
        counted.distinct = u64::try_from(values.len()).unwrap_or(u64::MAX);
        Ok(counted)
    }

    /// The records of a topic that a group has not committed.
    pub fn lag(&self, group: &str, topic: &str, within: Duration) -> Result<i64, KafkaError> {
        let consumer = self.consumer(group)?;
        let watermarks = watermarks(&consumer, topic, within)?;
        let mut partitions = TopicPartitionList::new();
        for (partition, ..) in &watermarks {
            partitions.add_partition(topic, *partition);
        }
        let committed = consumer.committed_offsets(partitions, within)?;
        let uncommitted = watermarks.iter().map(|(partition, first, next)| {
            let committed = committed.find_partition(topic, *partition).map(|found| found.offset());
            match committed {
                Some(Offset::Offset(committed)) => next - committed,
                _ => next - first,
            }
        });
        Ok(uncommitted.sum())
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer, KafkaError> {
        ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap_servers())
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create()
    }
}

/// Each partition with its first offset and the next one to be written.
fn watermarks(
    consumer: &BaseConsumer,
    topic: &str,
    within: Duration,
) -> Result<Vec<(i32, i64, i64)>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), within)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let with_offsets = |partition: i32| {
        let (first, next) = consumer.fetch_watermarks(topic, partition, within)?;
        Ok((partition, first, next))
    };
    partitions.map(|partition| with_offsets(partition.id())).collect()
}

impl std::fmt::Debug for MockKafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockKafka").field("bootstrap_servers", &self.bootstrap_servers()).finish()
    }
}

/// A topic's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub records: u64,
    /// Different values among them.
    pub distinct: u64,
}

/// Sends records, and counts what the broker has confirmed.
pub struct MockProducer {
    producer: ThreadedProducer<Counting>,
    deliveries: Arc<Deliveries>,
}

impl MockProducer {
    /// Hands a record over to be sent; waits while the producer's queue is full.
    pub fn send(
        &self,
        topic: &str,
        key: &str,
        value: &[u8],
        millis: i64,
    ) -> Result<(), KafkaError> {
        let mut record = BaseRecord::to(topic).key(key).payload(value).timestamp(millis);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Waits until all that was sent is confirmed or has failed.
    pub fn flush(&self, within: Duration) -> Result<(), KafkaError> {
        self.producer.flush(within)
    }

    /// Records that the broker has confirmed.
    pub fn confirmed(&self) -> u64 {
        self.deliveries.confirmed.load(Ordering::Relaxed)
    }

    /// Records that could not be delivered.
    pub fn failed(&self) -> u64 {
        self.deliveries.failed.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Deliveries {
    confirmed: AtomicU64,
    failed: AtomicU64,
}

struct Counting(Arc<Deliveries>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.0.confirmed } else { &self.0.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_was_sent() {
        let kafka = MockKafka::start(&[("a", 2), ("empty", 1)]).unwrap();
        let producer = kafka.producer().unwrap();
        for (key, value) in [("k1", "x"), ("k2", "y"), ("k3", "x")] {
            producer.send("a", key, value.as_bytes(), 1_718_000_000_000).unwrap();
        }
        producer.flush(Duration::from_secs(10)).unwrap();
        assert_eq!((producer.confirmed(), producer.failed()), (3, 0));
        let within = Duration::from_secs(10);
        assert_eq!(kafka.count_records("a", within).unwrap(), Counted { records: 3, distinct: 2 });
        assert_eq!(kafka.lag("nobody", "a", within).unwrap(), 3);
        assert_eq!(kafka.count_records("empty", within).unwrap(), Counted::default());
    }
}
