//! What librdkafka calls back, as events.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError as LibraryError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use tracing::debug;

use super::lists;
use crate::kafka::statistics::Statistics;
use crate::kafka::{Event, KafkaError, PartitionEnd, trouble};
use crate::record::TopicPartition;
use crate::telemetry::ClientShare;

/// Receives librdkafka's callbacks, which all run inside `poll`, and passes them on as events: the
/// worker alone decides when a partition is let go.
#[derive(Default)]
pub(super) struct Context {
    /// Set before the client is closed: then a partition is let go at once.
    closing: AtomicBool,
    /// Holds at most what one poll brings: a rebalance, an error, statistics.
    events: Mutex<VecDeque<Pending>>,
    any: AtomicBool,
    /// What librdkafka says of the error that the poll at hand is about to return.
    reason: Mutex<Option<String>>,
    /// What librdkafka's log says of the last connection that failed: some failures come nowhere
    /// else.
    connection_failure: Mutex<Option<String>>,
    pub(super) share: OnceLock<ClientShare>,
}

/// The events that carry no record.
pub(super) enum Pending {
    Assigned(Vec<TopicPartition>),
    Revoked { partitions: Vec<TopicPartition>, lost: bool },
    Committed(Result<(), KafkaError>),
    Ends(Vec<PartitionEnd>),
    Idle(Vec<TopicPartition>),
}

impl Context {
    pub(super) fn push(&self, event: Pending) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn has_event(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn take_event<R>(&self) -> Option<Event<R>> {
        if !self.has_event() {
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
            Pending::Idle(partitions) => Event::Idle(partitions),
        })
    }

    /// From here on a rebalance is answered at once, as are those that nobody has taken.
    pub(super) fn close(&self, consumer: &BaseConsumer<Self>) {
        self.closing.store(true, Ordering::Release);
        for event in self.events.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            match event {
                Pending::Assigned(partitions) => {
                    answer(consumer, true, &lists::partition_list(&partitions));
                }
                Pending::Revoked { partitions, .. } => {
                    answer(consumer, false, &lists::partition_list(&partitions));
                }
                Pending::Committed(_) | Pending::Ends(_) | Pending::Idle(_) => {}
            }
        }
    }

    fn lock_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.connection_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`Context::failed`] is to say of its next error.
    pub(super) fn set_reason(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// `None` where another event or error says the same.
    pub(super) fn failed<R>(&self, error: &rdkafka::error::KafkaError) -> Option<Event<R>> {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::AutoOffsetReset) {
            debug!(reason, "no place to read on from");
            return Some(Event::NoPlace);
        }
        let reason = reason.filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or_else(|| error.to_string());
        if is_deleted_partition(code, &reason) {
            debug!(reason, "a partition is no more");
            return None;
        }
        let fatal = matches!(error, LibraryError::MessageConsumptionFatal(_));
        // That all brokers are down says nothing of why; the last connection's failure does.
        let down = code == Some(RDKafkaErrorCode::AllBrokersDown);
        let failure = if down { self.lock_failure().clone() } else { None };
        let words = failure.filter(|words| !words.is_empty()).unwrap_or(reason);
        Some(Event::Failed(KafkaError { reason: trouble::explained(&words), fatal }))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            *self.lock_failure() = Some(trouble::of_log_line(message).to_owned());
        }
        crate::kafka::pass_on_log(level, facility, message);
    }

    /// The same poll returns the error itself, without its reason.
    fn error(&self, _: rdkafka::error::KafkaError, reason: &str) {
        self.set_reason(reason.to_owned());
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice::<Statistics>(statistics) {
            Ok(statistics) => {
                if let Some(share) = self.share.get() {
                    share.set(statistics.client());
                }
                self.push(Pending::Idle(statistics.idle()));
                self.push(Pending::Ends(statistics.ends()));
            }
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
            return answer(consumer, assigned, partitions);
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

    /// The events that wait are served at least this often, also in a longer poll.
    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}

/// The least that librdkafka waits for.
fn answer(consumer: &BaseConsumer<Context>, assigned: bool, partitions: &TopicPartitionList) {
    let outcome = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative if assigned => consumer.incremental_assign(partitions),
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        _ => consumer.unassign(),
    };
    if let Err(error) = outcome {
        debug!(%error, "letting partitions go while closing");
    }
}

/// Of a deleted topic librdkafka says so three times a partition. Then it says once that a subscribed
/// topic is not available, which is what somebody can act on.
fn is_deleted_partition(code: Option<RDKafkaErrorCode>, reason: &str) -> bool {
    match code {
        Some(RDKafkaErrorCode::UnknownPartition) => true,
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => !reason.starts_with("Subscribed topic"),
        _ => false,
    }
}
