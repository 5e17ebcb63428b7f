//! What a group has committed, seen from outside.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset as LibraryOffset, TopicPartitionList};

use super::{KafkaError, Properties};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::watermark::Covers;

/// Properties of `kafka:` that only a member of a group has a use for.
const MEMBERS_ONLY: &[&str] =
    &["group.", "session.timeout.ms", "partition.assignment.strategy", "statistics.interval.ms"];

/// What a group has committed of these partitions; those without a commit are left out. Looking joins
/// nothing. `within` is how long the brokers may take.
pub fn committed<'p>(
    properties: &Properties,
    group: &str,
    partitions: impl IntoIterator<Item = &'p TopicPartition>,
    within: Duration,
) -> Result<Covers, KafkaError> {
    let mut config = ClientConfig::new();
    config.set("client.id", "tidegate");
    for (key, value) in properties {
        if !MEMBERS_ONLY.iter().any(|name| key.starts_with(name)) {
            config.set(key, value.expose());
        }
    }
    let consumer: BaseConsumer = config.set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    let list = consumer.committed_offsets(list, within)?;
    let mut committed = Covers::new();
    for element in list.elements() {
        element.error()?;
        if let LibraryOffset::Offset(next) = element.offset() {
            let partition =
                TopicPartition { topic: element.topic().into(), partition: element.partition() };
            committed.insert(partition, NextOffset::at(Offset(next)));
        }
    }
    Ok(committed)
}
