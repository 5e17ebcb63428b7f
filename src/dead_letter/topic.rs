//! A connector's dead-letter topic, read and replayed: what `tidegate dlq` and the REST interface share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Account;
use crate::config::{self, Topics};
use crate::connector::{self, Replay, StartError};
use crate::kafka::range::{Bound, PartitionRange, TopicReader};
use crate::kafka::{self, KafkaError};
use crate::record::{NextOffset, Offset, OwnedRecord, Record, TopicPartition};
use crate::watermark::Covers;

/// A connector and its dead-letter topic.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub connector: Arc<config::Connector>,
    pub topic: String,
    /// The connector whose letters are meant.
    pub written_by: String,
    /// How long Kafka may take for each answer.
    pub timeout: Duration,
}

impl DeadLetters {
    /// The letters that `written_by`, or else the connector itself, has written; none where it has no
    /// dead-letter topic.
    pub fn of(
        connector: Arc<config::Connector>,
        written_by: Option<String>,
        timeout: Duration,
    ) -> Option<Self> {
        let topic = connector.dead_letter.clone()?;
        let written_by = written_by.unwrap_or_else(|| connector.name.clone());
        Some(Self { connector, topic, written_by, timeout })
    }

    /// The topic from its beginning to where it ends now, or another part of it.
    pub fn reader(&self, from: Bound, to: Bound) -> Result<TopicReader, KafkaError> {
        let topics = Topics::List(vec![self.topic.clone()]);
        TopicReader::open(&self.connector.kafka, &topics, from, to, self.timeout)
    }

    /// The group that remembers which letters were replayed: of each writer in a shared topic another.
    pub fn replay_group(&self) -> String {
        let own = format!("{}-dlq-replay", self.connector.group);
        if self.written_by == self.connector.name {
            own
        } else {
            format!("{own}-{}", self.written_by)
        }
    }

    /// How far letters were replayed.
    pub fn replayed(&self, ranges: &[PartitionRange]) -> Result<Replayed, KafkaError> {
        let partitions = ranges.iter().map(|range| &range.partition);
        let group = self.replay_group();
        kafka::committed(&self.connector.kafka, &group, partitions, self.timeout).map(Replayed)
    }

    /// The letters with the latest timestamps, the latest first. Of those with this text in their
    /// reason, in capitals or not. `passed` is told how many offsets have been passed.
    pub fn newest(
        &self,
        reader: &mut TopicReader,
        limit: usize,
        reason: Option<&str>,
        passed: impl Fn(u64),
    ) -> Result<Vec<OwnedRecord>, KafkaError> {
        let reason = reason.map(str::to_lowercase);
        let mut newest: Vec<OwnedRecord> = Vec::new();
        while let Some(letter) = reader.next_record()? {
            let is_wanted = Account::of(&letter).is_some_and(|account| {
                account.connector.as_ref() == Some(&self.written_by)
                    && reason
                        .as_ref()
                        .is_none_or(|reason| account.reason.to_lowercase().contains(reason))
            });
            if is_wanted {
                let at = letter.timestamp_millis();
                let index = newest.partition_point(|other| other.timestamp_millis > at);
                if index < limit {
                    newest.insert(index, OwnedRecord::of(&letter));
                    newest.truncate(limit);
                }
            }
            passed(reader.passed());
        }
        Ok(newest)
    }

    /// Starts the replay of what is left, up to these ends.
    pub fn replay(
        &self,
        ends: BTreeMap<i32, Offset>,
        runtime: &Arc<Runtime>,
    ) -> Result<Replay, StartError> {
        connector::replay(
            &self.connector,
            &self.topic,
            &self.written_by,
            &self.replay_group(),
            ends,
            runtime,
        )
    }
}

/// What the replays have done, by partition.
#[derive(Debug)]
pub struct Replayed(Covers);

impl Replayed {
    pub fn includes(&self, partition: &TopicPartition, offset: Offset) -> bool {
        self.0.get(partition).is_some_and(|next| NextOffset::after(offset) <= *next)
    }

    /// The offsets in these ranges that are not replayed, and where the ranges end.
    pub fn left(&self, ranges: &[PartitionRange]) -> (u64, BTreeMap<i32, Offset>) {
        let left = |range: &PartitionRange| {
            let next = self.0.get(&range.partition).map_or(0, |next| next.get());
            range.to.0.saturating_sub(next.max(range.from.0))
        };
        let left = ranges.iter().filter_map(|range| u64::try_from(left(range)).ok()).sum();
        (left, ranges.iter().map(|range| (range.partition.partition, range.to)).collect())
    }
}
