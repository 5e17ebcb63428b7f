//! Kafka: the only room that names the client library.
//!
//! [`Consumer`] and [`DeadLetterTopic`] are what the worker's loop sees of Kafka, so that it can be
//! tested without a broker and with paused time.

pub mod check;
mod commits;
mod consumer;
mod group;
mod message;
pub mod mock;
mod producer;
pub mod range;
mod statistics;
pub mod table;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use tracing::{debug, warn};

pub use consumer::{FetchedRecord, KafkaConsumer};
pub use group::{cluster, committed, forget, place, set_place};
pub use producer::DeadLetterProducer;
#[cfg(any(test, fuzzing))]
pub(crate) use statistics::ends;

use crate::batch::RecordIndex;
use crate::config::Secret;
use crate::dead_letter::Header;
use crate::record::{NextOffset, Offset, Record, TopicPartition};
use crate::watermark::{BatchId, Covers};

/// A member of a consumer group.
pub trait Consumer {
    /// A consumed record; keeping it keeps its memory.
    type Record<'c>: Record
    where
        Self: 'c;

    /// The next event, or `None` when there is none within the timeout. Must be called at least
    /// every `max.poll.interval.ms`, also while partitions are paused.
    fn poll(&self, timeout: Duration) -> Option<Event<Self::Record<'_>>>;

    /// A record that the last poll has brought besides: cheaper than a poll, and never waits. `None` where a poll has
    /// to say what is next.
    fn next(&self) -> Option<Self::Record<'_>> {
        None
    }

    /// Accepts partitions that [`Event::Assigned`] has brought; records come only after this, from
    /// what the group has committed.
    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError>;

    /// Lets partitions go that [`Event::Revoked`] has named; the group waits for this. One that comes back is not
    /// paused.
    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError>;

    /// Stops fetching, keeping the place.
    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError>;

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError>;

    /// Looks up what the group has committed and what the brokers hold. Takes a second or a little
    /// more, and what could not be looked up in it is missing from the answer; an error means that
    /// nothing could.
    fn look_up(&self, partitions: &[TopicPartition]) -> Result<Vec<Extent>, KafkaError>;

    /// What the group has committed of these partitions; those without a commit are missing. Takes a
    /// second at most.
    fn committed(&self, partitions: &[TopicPartition]) -> Result<Covers, KafkaError>;

    /// Goes on elsewhere in some of the owned partitions. What was fetched of them before is thrown
    /// away. `others` are the rest of what is owned, with the next offset of each where one is known.
    fn go_to(&self, moved: &[Place], others: &[Place]) -> Result<(), KafkaError>;

    /// Begins no commit of this partition that has not been begun yet.
    fn forget(&self, partition: &TopicPartition);

    /// Begins to commit; [`Event::Committed`] says how it ended.
    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError>;

    /// Commits, also what was begun before, and waits for the answer: [a few seconds](COMMITTED_WITHIN)
    /// at most, so that a coordinator that is away holds up neither polls nor a stop.
    fn commit_and_wait(&self, offsets: &Covers) -> Result<(), KafkaError>;
}

/// How long [`Consumer::commit_and_wait`] waits. Kafka answers in milliseconds, unless the group's
/// coordinator is away.
pub(crate) const COMMITTED_WITHIN: Duration = Duration::from_secs(3);

/// What a poll brings.
#[derive(Debug)]
pub enum Event<R> {
    Record(R),
    /// The group gives these partitions to this member, which must call [`Consumer::assign`].
    Assigned(Vec<TopicPartition>),
    /// The group takes these away; the member must call [`Consumer::unassign`]. When `lost`, they
    /// belong to another member already and nothing of them may be committed.
    Revoked {
        partitions: Vec<TopicPartition>,
        lost: bool,
    },
    /// A commit has ended.
    Committed(Result<(), KafkaError>),
    /// Where each assigned partition ends.
    Ends(Vec<PartitionEnd>),
    /// There is no place to read on from in one of the owned partitions (the client library doesn't
    /// say in which): the group has committed none, or the brokers don't hold it. It stands still.
    NoPlace,
    /// Partitions that are not being fetched at the moment.
    Idle(Vec<TopicPartition>),
    /// All records that a partition had are polled; only from a consumer that was told to say so
    /// ([`KafkaConsumer::to_the_end`]).
    AtEnd {
        partition: i32,
    },
    /// Something went wrong; the client library repeats what can be repeated.
    Failed(KafkaError),
}

impl<R> Event<R> {
    /// The same event, of another kind of record; or none, for a record that is passed over.
    pub fn filter_map<S>(self, record: impl FnOnce(R) -> Option<S>) -> Option<Event<S>> {
        Some(match self {
            Self::Record(r) => Event::Record(record(r)?),
            Self::Assigned(partitions) => Event::Assigned(partitions),
            Self::Revoked { partitions, lost } => Event::Revoked { partitions, lost },
            Self::Committed(result) => Event::Committed(result),
            Self::Ends(ends) => Event::Ends(ends),
            Self::NoPlace => Event::NoPlace,
            Self::Idle(partitions) => Event::Idle(partitions),
            Self::AtEnd { partition } => Event::AtEnd { partition },
            Self::Failed(error) => Event::Failed(error),
        })
    }
}

/// Where a partition ends, for the lag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEnd {
    pub partition: TopicPartition,
    /// The offset that the next record to be produced will get.
    pub end: Offset,
    /// What the group has committed, if anything, else where the partition begins.
    pub committed: Offset,
    /// Behind all that polls have brought so far, and behind what is no record there: the marks with
    /// which transactions end. 0 where nothing was polled.
    pub polled: Offset,
}

/// What the brokers hold of a partition, and what the group has committed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    pub partition: TopicPartition,
    pub committed: Option<NextOffset>,
    /// The oldest offset that can be read.
    pub first: Offset,
    /// The offset that the next record to be produced will get.
    pub end: Offset,
}

/// A partition and the offset to read next; `None` for what the group has committed.
pub type Place = (TopicPartition, Option<Offset>);

/// An error of the client library or a broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct KafkaError {
    pub reason: String,
    /// The client instance can't go on (fenced, for one): the worker must end.
    pub fatal: bool,
}

/// How the reason ends that there is no such topic.
const MISSING: &str = "does not exist";

/// As the Rust binding names the codes of brokers.
const REBALANCING: [&str; 2] = ["RebalanceInProgress", "IllegalGeneration"];

impl KafkaError {
    /// Whether a topic, or a partition of it, is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.reason.ends_with(MISSING) || self.reason.contains("Unknown topic or partition")
    }

    /// Whether the group refuses because its members are just agreeing on a new assignment.
    pub(crate) fn is_rebalance(&self) -> bool {
        REBALANCING.iter().any(|name| self.reason.contains(name))
    }
}

/// Where rejected records go.
pub trait DeadLetterTopic {
    /// Begins to produce the record, unchanged, with headers added to its own. The confirmation
    /// comes as [`Settled::DeadLetter`](crate::deliver::Settled::DeadLetter). An error means that
    /// nothing was begun: try again later.
    fn send<R: Record>(
        &self,
        record: &R,
        headers: &[Header],
        id: LetterId,
    ) -> Result<(), KafkaError>;
}

/// Which dead letter a confirmation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LetterId {
    pub batch: BatchId,
    pub record: RecordIndex,
}

/// librdkafka properties, by their own names.
pub type Properties = BTreeMap<String, Secret>;

/// librdkafka's own log lines. Broken connections and the like come as errors, too, and librdkafka
/// repairs them itself: only what is worse than an error is for everybody's eyes.
fn pass_on_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if (level as i32) < RDKafkaLogLevel::Error as i32 {
        warn!(target: "librdkafka", facility, "{message}");
    } else {
        debug!(target: "librdkafka", facility, "{message}");
    }
}

/// The version of librdkafka.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
