//! What a group has committed, seen and set from outside.

use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError as LibraryError;
use rdkafka::topic_partition_list::{Offset as LibraryOffset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use super::consumer::committed_covers;
use super::{KafkaError, Properties, range, trouble};
use crate::config::Topics;
use crate::record::TopicPartition;
use crate::watermark::Covers;

/// Properties of `kafka:` that only a member of a group has a use for.
const MEMBERS_ONLY: &[&str] =
    &["group.", "session.timeout.ms", "partition.assignment.strategy", "statistics.interval.ms"];

/// A commit by an outsider waits so long for a coordinator that is moving.
const MOVED_WITHIN: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What a group has committed of these partitions; those without a commit are left out. Looking joins
/// nothing. `within` is how long the brokers may take.
pub fn committed<'p>(
    properties: &Properties,
    group: &str,
    partitions: impl IntoIterator<Item = &'p TopicPartition>,
    within: Duration,
) -> Result<Covers, KafkaError> {
    look_up(&outsider(properties, group)?, partitions, within)
}

/// The same of all partitions of these topics.
pub fn place(
    properties: &Properties,
    group: &str,
    topics: &Topics,
    within: Duration,
) -> Result<Covers, KafkaError> {
    let consumer = outsider(properties, group)?;
    let topics = range::existing(&consumer, topics, within)?;
    look_up(&consumer, &range::each_partition(topics), within)
}

/// Sets a group's place in these partitions. The broker refuses it while the group has members.
pub fn set_place(properties: &Properties, group: &str, to: &Covers) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, next) in to {
        let offset = LibraryOffset::Offset(next.get());
        list.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    let consumer = outsider(properties, group)?;
    Ok(when_settled(MOVED_WITHIN, || consumer.commit(&list, CommitMode::Sync))?)
}

/// Forgets a group, with its place in every partition. The broker refuses it while the group has
/// members. One that is not there is forgotten already.
pub async fn forget(
    properties: &Properties,
    group: &str,
    within: Duration,
) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = client(properties).create()?;
    let options = AdminOptions::new().request_timeout(Some(within));
    for result in admin.delete_groups(&[group], &options).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
            Err((_, code)) => {
                return Err(KafkaError { reason: code.to_string(), fatal: false });
            }
        }
    }
    Ok(())
}

/// The cluster's own name, if a broker tells it in time.
pub fn cluster(properties: &Properties, within: Duration) -> Option<String> {
    outsider(properties, "tidegate-reader").ok()?.client().fetch_cluster_id(within)
}

fn client(properties: &Properties) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "tidegate");
    set_properties(&mut config, properties);
    config
}

/// Sets what of `kafka:` is of use to a client that joins no group.
pub(super) fn set_properties(config: &mut ClientConfig, properties: &Properties) {
    for (key, value) in properties {
        if !MEMBERS_ONLY.iter().any(|name| key.starts_with(name)) {
            config.set(key, value.expose());
        }
    }
}

/// A client that names a group and joins nothing.
pub(super) fn outsider(
    properties: &Properties,
    group: &str,
) -> Result<BaseConsumer<Outsider>, KafkaError> {
    let config = &mut client(properties);
    config.set("group.id", group).set("enable.auto.commit", "false");
    Ok(config.create_with_context(Outsider::default())?)
}

/// Keeps what the client has told of last: of a call that brokers didn't answer it is the reason.
#[derive(Default)]
pub(super) struct Outsider {
    told: Mutex<Option<String>>,
}

impl ClientContext for Outsider {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::pass_on_log(level, facility, message);
    }

    fn error(&self, _: LibraryError, reason: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Some(trouble::explained(reason));
    }
}

impl ConsumerContext for Outsider {}

/// An error of a call, with its reason if it says no more than that there was no answer.
fn with_reason(consumer: &BaseConsumer<Outsider>, error: LibraryError) -> KafkaError {
    // What the client tells of waits for a poll.
    while consumer.poll(Duration::ZERO).is_some() {}
    let told = consumer.context().told.lock().unwrap_or_else(PoisonError::into_inner);
    match &*told {
        Some(reason) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
            KafkaError { reason: reason.clone(), fatal: false }
        }
        _ => error.into(),
    }
}

fn look_up<'p>(
    consumer: &BaseConsumer<Outsider>,
    partitions: impl IntoIterator<Item = &'p TopicPartition>,
    within: Duration,
) -> Result<Covers, KafkaError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    let committed = || consumer.committed_offsets(list.clone(), within);
    let committed = when_settled(within, committed);
    committed_covers(&committed.map_err(|error| with_reason(consumer, error))?)
}

/// Asks again while the group's coordinator is moving or begins, as after the start of a cluster:
/// librdkafka finds the new one meanwhile.
fn when_settled<T>(
    within: Duration,
    ask: impl Fn() -> Result<T, LibraryError>,
) -> Result<T, LibraryError> {
    let deadline = Instant::now() + within;
    loop {
        match ask() {
            Err(error) if is_moving(&error) && Instant::now() < deadline => sleep(ASK_AGAIN),
            answer => return answer,
        }
    }
}

fn is_moving(error: &LibraryError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::kafka::mock::MockKafka;

    /// It said that the time was over.
    #[test]
    fn a_group_that_may_not_be_seen_is_told_of_with_the_mend() {
        let kafka = MockKafka::start(&[("t", 1)]).unwrap();
        kafka.refuse_group();
        let properties = kafka.properties();
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let error = committed(&properties, "g", [&partition], Duration::from_secs(2)).unwrap_err();
        assert!(error.reason.ends_with("; grant its user READ on the group"), "{}", error.reason);
    }

    /// How often it is asked until an answer, which comes after two errors of this code.
    fn asked(code: RDKafkaErrorCode, within: Duration) -> (u32, bool) {
        let asked = Cell::new(0);
        let answer = when_settled(within, || {
            asked.set(asked.get() + 1);
            if asked.get() > 2 { Ok(()) } else { Err(LibraryError::MetadataFetch(code)) }
        });
        (asked.get(), answer.is_ok())
    }

    /// `tidegate backfill` right after the start of a cluster: the first look at its group was an error.
    #[test]
    fn a_coordinator_that_is_moving_is_asked_again_and_no_other_error_is() {
        let long = Duration::from_secs(30);
        assert_eq!(asked(RDKafkaErrorCode::NotCoordinator, long), (3, true));
        assert_eq!(asked(RDKafkaErrorCode::NotCoordinator, Duration::ZERO), (1, false));
        assert_eq!(asked(RDKafkaErrorCode::GroupAuthorizationFailed, long), (1, false));
    }
}
