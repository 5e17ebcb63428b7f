//! The consumer, on librdkafka.

mod assignment;
mod context;
mod fetched;
#[cfg(test)]
mod fetching_tests;
mod lists;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, RebalanceProtocol};
use rdkafka::error::KafkaError as LibraryError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;

use assignment::AssignmentCheck;
use context::{Context, Pending};
pub use fetched::FetchedRecord;
use fetched::{Fetched, Fetches};
pub(super) use lists::committed_covers;
use lists::{add_places, committed_of, offset_list, partition_list, place_list};

use super::commits::Commits;
use super::{COMMITTED_WITHIN, Consumer, Event, Extent, KafkaError, Place, Properties, trouble};
use crate::config::Topics;
use crate::record::{Offset, TopicPartition};
use crate::telemetry::ClientShare;
use crate::watermark::Covers;

/// What Tidegate sets where the user does not. Reasons in docs/decisions.md.
const DEFAULTS: &[(&str, &str)] = &[
    (ASSIGNMENT, "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    ("fetch.queue.backoff.ms", "3"),
    ("fetch.max.bytes", "262144"),
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "16384"),
    ("statistics.interval.ms", "5000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("client.id", "tidegate"),
];

/// What the user can't set, because the promise rests on it.
const OWNED: &[(&str, &str)] = &[
    // The worker decides where to go on: librdkafka would jump without a word that reaches anybody.
    ("auto.offset.reset", "error"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
];

/// The most that librdkafka takes for `message.max.bytes`.
const LARGEST_MESSAGE: u32 = 1_000_000_000;

/// A member of the group must be told apart from the others by its `group.instance.id`.
const INSTANCE_ID: &str = "group.instance.id";

const ASSIGNMENT: &str = "partition.assignment.strategy";

/// The longest that one question of a look-up may take, and when it begins with no further one.
const LOOK_UP: Duration = Duration::from_secs(1);

/// How long a member without partitions waits for an assignment under way, before it leaves: the
/// others learn of it with their next heartbeat, each three seconds.
const LEFT_WITHIN: Duration = Duration::from_secs(4);
const TURN: Duration = Duration::from_millis(50);

/// On top of that, for a consumer that reads to an end ([`KafkaConsumer::to_the_end`]). Not a cooperative assignment:
/// a static member that comes back in the midst of one would have to wait for an [`AssignmentCheck`].
const TO_THE_END: &[(&str, &str)] = &[
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "earliest"),
    (ASSIGNMENT, "roundrobin"),
];

/// One member of a consumer group.
pub struct KafkaConsumer {
    fetches: Fetches,
    // Before `commits`, whose end waits until the client is closed.
    consumer: Arc<BaseConsumer<Context>>,
    commits: Commits,
    /// By its `group.instance.id`.
    is_static: bool,
    topics: Topics,
    /// Of the first member of a process, if it is static.
    #[expect(dead_code, reason = "it ends when the member does")]
    check: Option<AssignmentCheck>,
}

impl KafkaConsumer {
    /// Connects in the background; errors here are of the configuration only. `number` tells this
    /// member from the others of its process.
    pub fn new(
        properties: &Properties,
        group: &str,
        topics: &Topics,
        number: usize,
    ) -> Result<Self, KafkaError> {
        Self::with(properties, group, topics, number, &[])
    }

    /// The same, of one topic, and it says when it is [`AtEnd`](Event::AtEnd) of a partition. It is a
    /// static member by its group's name and its number: it takes over at once from one that was killed, and of two
    /// the younger goes on.
    pub fn to_the_end(
        properties: &Properties,
        group: &str,
        topic: &str,
        number: usize,
    ) -> Result<Self, KafkaError> {
        let topics = Topics::List(vec![topic.to_owned()]);
        let more = [TO_THE_END, &[(INSTANCE_ID, group)]].concat();
        Self::with(properties, group, &topics, number, &more)
    }

    fn with(
        properties: &Properties,
        group: &str,
        topics: &Topics,
        number: usize,
        more: &[(&str, &str)],
    ) -> Result<Self, KafkaError> {
        let config = configuration(properties, group, number, more);
        let consumer: Arc<BaseConsumer<Context>> =
            Arc::new(config.create_with_context(Context::default())?);
        match topics {
            Topics::List(topics) => {
                consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            Topics::Pattern(pattern) => consumer.subscribe(&[pattern])?,
        }
        let no_queue = || KafkaError { reason: "librdkafka makes no queue".into(), fatal: true };
        let tells_ends = config.get("enable.partition.eof") == Some("true");
        let fetches = Fetches::new(Arc::clone(&consumer), tells_ends).ok_or_else(no_queue)?;
        let (client, told) = (Arc::clone(&consumer), Arc::clone(&consumer));
        let commits = Commits::start(
            move |offsets| Ok(client.commit(&offset_list(offsets)?, CommitMode::Sync)?),
            move |result| told.context().push(Pending::Committed(result)),
        )
        .map_err(|error| KafkaError {
            reason: format!("can't start a thread: {error}"),
            fatal: true,
        })?;
        let is_static = config.get(INSTANCE_ID).is_some();
        let is_checked = is_static && number == 0;
        let assignment = config.get(ASSIGNMENT).unwrap_or_default();
        let check =
            is_checked.then(|| AssignmentCheck::start(properties, assignment, group, topics));
        Ok(Self { fetches, consumer, commits, is_static, topics: topics.clone(), check })
    }

    /// Shows there what librdkafka says of this client.
    pub(crate) fn shown_in(self, share: ClientShare) -> Self {
        // Set once: a consumer has one place.
        let _ = self.context().share.set(share);
        self
    }

    fn context(&self) -> &Context {
        self.consumer.context()
    }

    /// librdkafka's close sends no leave for a member that owns nothing (2.12.1, "consumer is
    /// terminating, skipping rejoin"), and the others would wait for it until its session is over. So
    /// it gives its subscription up first, which sends one. While the group agrees on an assignment
    /// that is put off until this member has answered. A static member stays: it comes back.
    fn leave_without_partitions(&self) {
        let owns_none = || self.consumer.assignment().is_ok_and(|owned| owned.count() == 0);
        if self.is_static || !owns_none() {
            return;
        }
        self.consumer.unsubscribe();
        let deadline = Instant::now() + LEFT_WITHIN;
        while self.fetches.is_member() && Instant::now() < deadline {
            self.consumer.poll(TURN);
        }
    }

    /// Forwards partitions that were just assigned. The end of an earlier assignment stops the
    /// forwarding (`rd_kafka_toppar_fetch_stop`), and librdkafka's thread may come to it after the
    /// assignment: it has once it answers a question.
    fn forward_for_good(&self, partitions: &[TopicPartition]) {
        let _ = self.consumer.assignment();
        self.fetches.forward(partitions);
    }

    /// Serves the client's queue, in which no records are, until it is empty or has something to
    /// tell.
    fn poll_client<R>(&self, mut timeout: Duration) -> Option<Event<R>> {
        loop {
            let event = match self.consumer.poll(timeout) {
                None => None,
                Some(Err(error)) => self.context().failed(&error),
                // It would be skipped.
                Some(Ok(_)) => {
                    let reason =
                        "a record came by a way that is not waited at; please report it".into();
                    Some(Event::Failed(KafkaError { reason, fatal: true }))
                }
            };
            let event = event.or_else(|| self.take_event());
            if event.is_some() || !self.fetches.is_event() {
                return event;
            }
            timeout = Duration::ZERO;
        }
    }

    /// What the client has told of.
    fn take_event<R>(&self) -> Option<Event<R>> {
        let mut event = self.context().take_event()?;
        match &mut event {
            Event::Ends(ends) => {
                self.fetches.correct(ends);
                self.fetches.forward_again();
            }
            // It is given what it had, also of topics that it no longer subscribes to (KIP-345).
            Event::Assigned(partitions) if self.is_static => {
                let is_own = self.topics.matcher();
                partitions.retain(|partition| is_own(&partition.topic));
            }
            _ => {}
        }
        Some(event)
    }

    fn event_of<'c>(&self, fetched: Fetched<'c>) -> Option<Event<FetchedRecord<'c>>> {
        match fetched {
            Fetched::Record(record) => Some(Event::Record(record)),
            Fetched::Failed { code: RDKafkaErrorCode::PartitionEOF, partition, .. } => {
                Some(Event::AtEnd { partition })
            }
            Fetched::Failed { code, reason, .. } => {
                self.context().set_reason(reason);
                self.context().failed(&LibraryError::MessageConsumption(code))
            }
        }
    }
}

/// What librdkafka is told: Tidegate's defaults, then the user's properties, then what the promise
/// rests on.
fn configuration(
    properties: &Properties,
    group: &str,
    number: usize,
    more: &[(&str, &str)],
) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in DEFAULTS {
        config.set(*key, *value);
    }
    for (key, value) in properties {
        config.set(key, value.expose());
    }
    for (key, value) in OWNED.iter().chain(more) {
        config.set(*key, *value);
    }
    // The largest message to produce, of which there are none here: but a fetch may not be smaller.
    if let Some(fetch) = config.get("fetch.max.bytes").and_then(|bytes| bytes.parse::<u32>().ok()) {
        config.set("message.max.bytes", fetch.min(LARGEST_MESSAGE).to_string());
    }
    // Two members with one id would fence each other. The number is put to the first, too: its
    // id must not change with the number of workers.
    if let Some(id) = config.get(INSTANCE_ID).map(|id| format!("{id}-{number}")) {
        config.set(INSTANCE_ID, id);
    }
    // Who asks librdkafka for its own lines means to see them.
    let level =
        if config.get("debug").is_some() { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info };
    config.set("group.id", group).set_log_level(level);
    config
}

impl Drop for KafkaConsumer {
    /// Leaving the group revokes the partitions once more, and librdkafka waits for the answer:
    /// nobody polls any longer, so the context gives it.
    fn drop(&mut self) {
        self.context().close(&self.consumer);
        self.leave_without_partitions();
    }
}

impl Consumer for KafkaConsumer {
    type Record<'c> = FetchedRecord<'c>;

    /// What was taken of the records goes first: a rebalance finds nothing that is on its way.
    fn poll(&self, timeout: Duration) -> Option<Event<FetchedRecord<'_>>> {
        if let Some(event) = self.take_event() {
            return Some(event);
        }
        if let Some(fetched) = self.fetches.next() {
            return self.event_of(fetched);
        }
        let may_come = self.fetches.may_come();
        // There are two queues, and one of them is waited for.
        if let Some(event) = self.poll_client(if may_come { Duration::ZERO } else { timeout }) {
            return Some(event);
        }
        if !may_come {
            return None;
        }
        self.fetches.take(timeout);
        self.event_of(self.fetches.next()?)
    }

    #[inline]
    fn next(&self) -> Option<FetchedRecord<'_>> {
        self.fetches.next_record()
    }

    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        let list = partition_list(partitions);
        self.fetches.forward(partitions);
        match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list)?,
            _ => self.consumer.assign(&list)?,
        }
        self.forward_for_good(partitions);
        self.fetches.begin(partitions);
        Ok(())
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.commits.forget(partitions);
        self.fetches.end(partitions);
        let list = partition_list(partitions);
        // librdkafka keeps a partition paused after it is let go, and so also when it comes back.
        let resumed = self.consumer.resume(&list);
        match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_unassign(&list)?,
            _ => self.consumer.unassign()?,
        }
        Ok(resumed?)
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.fetches.pause(partitions);
        Ok(self.consumer.pause(&partition_list(partitions))?)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.fetches.resume(partitions);
        Ok(self.consumer.resume(&partition_list(partitions))?)
    }

    fn look_up(&self, partitions: &[TopicPartition]) -> Result<Vec<Extent>, KafkaError> {
        let since = Instant::now();
        let committed = self.consumer.committed_offsets(partition_list(partitions), LOOK_UP)?;
        let mut extents = Vec::with_capacity(partitions.len());
        let mut failure = None;
        for partition in partitions {
            if since.elapsed() >= LOOK_UP {
                break;
            }
            let found = committed.find_partition(&partition.topic, partition.partition);
            let known = found.as_ref().map_or(Ok(()), TopicPartitionListElem::error);
            let range = known.and_then(|()| {
                let (topic, number) = (&partition.topic, partition.partition);
                self.consumer.fetch_watermarks(topic, number, LOOK_UP)
            });
            match range {
                Ok((first, end)) => extents.push(Extent {
                    partition: partition.clone(),
                    committed: found.as_ref().and_then(committed_of),
                    first: Offset(first),
                    end: Offset(end),
                }),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if extents.is_empty() => Err(error.into()),
            _ => Ok(extents),
        }
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Covers, KafkaError> {
        let list = self.consumer.committed_offsets(partition_list(partitions), LOOK_UP)?;
        committed_covers(&list)
    }

    /// A partition without a place is out of its fetcher, so that a seek is refused
    /// (`rd_kafka_toppar_seek`); taken away and given back it starts anew.
    fn go_to(&self, moved: &[Place], others: &[Place]) -> Result<(), KafkaError> {
        let names = |places: &[Place]| -> Vec<_> {
            places.iter().map(|(partition, _)| partition.clone()).collect()
        };
        let mut list = place_list(moved)?;
        self.fetches.throw_away(&names(moved));
        if let RebalanceProtocol::Cooperative = self.consumer.rebalance_protocol() {
            self.consumer.incremental_unassign(&list)?;
            self.consumer.incremental_assign(&list)?;
        } else {
            // All are begun anew.
            self.fetches.throw_away(&names(others));
            add_places(&mut list, others)?;
            self.consumer.assign(&list)?;
            self.forward_for_good(&names(others));
        }
        self.forward_for_good(&names(moved));
        Ok(())
    }

    fn forget(&self, partition: &TopicPartition) {
        self.commits.forget(std::slice::from_ref(partition));
    }

    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError> {
        self.commits.begin(offsets);
        Ok(())
    }

    fn commit_and_wait(&self, offsets: &Covers) -> Result<(), KafkaError> {
        self.commits.wait(offsets, COMMITTED_WITHIN)
    }
}

impl From<rdkafka::error::KafkaError> for KafkaError {
    fn from(error: rdkafka::error::KafkaError) -> Self {
        let fatal = matches!(error, rdkafka::error::KafkaError::MessageConsumptionFatal(_));
        Self { reason: trouble::explained(&trouble::words(&error)), fatal }
    }
}
