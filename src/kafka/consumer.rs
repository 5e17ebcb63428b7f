//! The consumer, on librdkafka.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol,
};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset as LibraryOffset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use serde::Deserialize;
use tracing::debug;

use super::{Consumer, Event, KafkaError, PartitionEnd, Properties};
use crate::config::Topics;
use crate::record::{Offset, Record, TopicPartition};
use crate::watermark::Covers;

/// What Tidegate sets where the user does not. Reasons in docs/decisions.md.
const DEFAULTS: &[(&str, &str)] = &[
    ("auto.offset.reset", "earliest"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    ("fetch.queue.backoff.ms", "50"),
    ("queued.max.messages.kbytes", "16384"),
    ("statistics.interval.ms", "5000"),
    ("client.id", "tidegate"),
];

/// What the user can't set, because the promise rests on it.
const OWNED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
];

/// One member of a consumer group.
pub struct KafkaConsumer {
    consumer: BaseConsumer<Context>,
}

impl KafkaConsumer {
    /// Connects in the background; errors here are of the configuration only.
    pub fn new(properties: &Properties, group: &str, topics: &Topics) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (key, value) in DEFAULTS {
            config.set(*key, *value);
        }
        for (key, value) in properties {
            config.set(key, value.expose());
        }
        for (key, value) in OWNED {
            config.set(*key, *value);
        }
        config.set("group.id", group).set_log_level(RDKafkaLogLevel::Info);
        let consumer: BaseConsumer<Context> = config.create_with_context(Context::default())?;
        match topics {
            Topics::List(topics) => {
                consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            Topics::Pattern(pattern) => consumer.subscribe(&[pattern])?,
        }
        Ok(Self { consumer })
    }

    fn context(&self) -> &Context {
        self.consumer.context()
    }
}

impl Drop for KafkaConsumer {
    /// Leaving the group revokes the partitions once more, and librdkafka waits for the answer:
    /// nobody polls any longer, so the context gives it.
    fn drop(&mut self) {
        self.context().closing.store(true, Ordering::Release);
    }
}

impl Consumer for KafkaConsumer {
    type Record<'c> = BorrowedMessage<'c>;

    fn poll(&self, timeout: Duration) -> Option<Event<BorrowedMessage<'_>>> {
        if let Some(event) = self.context().take_event() {
            return Some(event);
        }
        match self.consumer.poll(timeout) {
            Some(Ok(message)) => Some(Event::Record(message)),
            Some(Err(error)) => Some(Event::Failed(error.into())),
            None => self.context().take_event(),
        }
    }

    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        let list = partition_list(partitions);
        match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list)?,
            _ => self.consumer.assign(&list)?,
        }
        Ok(())
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                self.consumer.incremental_unassign(&partition_list(partitions))?;
            }
            _ => self.consumer.unassign()?,
        }
        Ok(())
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        Ok(self.consumer.pause(&partition_list(partitions))?)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        Ok(self.consumer.resume(&partition_list(partitions))?)
    }

    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError> {
        Ok(self.consumer.commit(&offset_list(offsets)?, CommitMode::Async)?)
    }

    fn commit_and_wait(&self, offsets: &Covers) -> Result<(), KafkaError> {
        Ok(self.consumer.commit(&offset_list(offsets)?, CommitMode::Sync)?)
    }
}

impl Record for BorrowedMessage<'_> {
    fn topic(&self) -> &str {
        rdkafka::Message::topic(self)
    }

    fn partition(&self) -> i32 {
        rdkafka::Message::partition(self)
    }

    fn offset(&self) -> Offset {
        Offset(rdkafka::Message::offset(self))
    }

    fn key(&self) -> Option<&[u8]> {
        rdkafka::Message::key(self)
    }

    fn value(&self) -> Option<&[u8]> {
        self.payload()
    }

    fn timestamp_millis(&self) -> Option<i64> {
        rdkafka::Message::timestamp(self).to_millis()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let headers = rdkafka::Message::headers(self)?;
        headers.iter().filter(|header| header.key == name).last()?.value
    }

    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        rdkafka::Message::headers(self)
            .map(|headers| headers.iter().map(|header| (header.key, header.value)).collect())
            .unwrap_or_default()
    }
}

/// Receives librdkafka's callbacks, which all run inside `poll`, and passes them on as events: the
/// worker alone decides when a partition is let go.
#[derive(Default)]
struct Context {
    closing: AtomicBool,
    /// Holds at most what one poll brings: a rebalance, an error, statistics.
    events: Mutex<VecDeque<Pending>>,
    any: AtomicBool,
}

/// The events that carry no record.
enum Pending {
    Assigned(Vec<TopicPartition>),
    Revoked { partitions: Vec<TopicPartition>, lost: bool },
    Committed(Result<(), KafkaError>),
    Ends(Vec<PartitionEnd>),
    Failed(KafkaError),
}

impl Context {
    fn push(&self, event: Pending) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.any.store(true, Ordering::Release);
    }

    fn take_event<R>(&self) -> Option<Event<R>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let event = events.pop_front();
        self.any.store(!events.is_empty(), Ordering::Release);
        Some(match event? {
            Pending::Assigned(partitions) => Event::Assigned(partitions),
            Pending::Revoked { partitions, lost } => Event::Revoked { partitions, lost },
            Pending::Committed(result) => Event::Committed(result),
            Pending::Ends(ends) => Event::Ends(ends),
            Pending::Failed(error) => Event::Failed(error),
        })
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::pass_on_log(level, facility, message);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        let mut error = KafkaError::from(error);
        error.reason = format!("{}: {reason}", error.reason);
        self.push(Pending::Failed(error));
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice::<Statistics>(statistics) {
            Ok(statistics) => self.push(Pending::Ends(statistics.ends())),
            Err(error) => debug!(%error, "librdkafka's statistics can't be read"),
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            let outcome = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative if assigned => {
                    consumer.incremental_assign(partitions)
                }
                RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
                _ => consumer.unassign(),
            };
            if let Err(error) = outcome {
                debug!(%error, "letting partitions go while closing");
            }
            return;
        }
        let named = partitions
            .elements()
            .iter()
            .map(|e| TopicPartition { topic: e.topic().into(), partition: e.partition() })
            .collect();
        self.push(if assigned {
            Pending::Assigned(named)
        } else {
            Pending::Revoked { partitions: named, lost: consumer.assignment_lost() }
        });
    }

    fn commit_callback(
        &self,
        result: Result<(), rdkafka::error::KafkaError>,
        list: &TopicPartitionList,
    ) {
        // The request may succeed while single partitions in it are refused.
        let refused = list.elements().iter().find_map(|element| element.error().err());
        self.push(Pending::Committed(match (result, refused) {
            (Err(error), _) | (Ok(()), Some(error)) => Err(error.into()),
            (Ok(()), None) => Ok(()),
        }));
    }

    /// The events that wait are served at least this often, also in a longer poll.
    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}

/// The part of librdkafka's statistics (its STATISTICS.md) that the lag needs.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: BTreeMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: BTreeMap<i32, PartitionStatistics>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are librdkafka's")]
struct PartitionStatistics {
    lo_offset: i64,
    ls_offset: i64,
    committed_offset: i64,
}

impl Statistics {
    /// Negative numbers mean "not known yet".
    fn ends(self) -> Vec<PartitionEnd> {
        let mut ends = Vec::new();
        for (topic, statistics) in self.topics {
            let topic: std::sync::Arc<str> = topic.into();
            for (partition, p) in statistics.partitions {
                if partition >= 0 && p.ls_offset >= 0 {
                    let partition = TopicPartition { topic: topic.clone(), partition };
                    let committed = Offset(p.committed_offset.max(p.lo_offset).max(0));
                    ends.push(PartitionEnd { partition, end: Offset(p.ls_offset), committed });
                }
            }
        }
        ends
    }
}

impl From<rdkafka::error::KafkaError> for KafkaError {
    fn from(error: rdkafka::error::KafkaError) -> Self {
        let fatal = matches!(error, rdkafka::error::KafkaError::MessageConsumptionFatal(_));
        Self { reason: error.to_string(), fatal }
    }
}

fn partition_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

fn offset_list(offsets: &Covers) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, next) in offsets {
        let offset = LibraryOffset::Offset(next.get());
        list.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    Ok(list)
}
