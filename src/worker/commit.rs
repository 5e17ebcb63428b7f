//! Commits: the watermark's offsets to Kafka, and what follows when they are refused.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{TURN, Worker};
use crate::kafka::{COMMITTED_WITHIN, Consumer, DeadLetterTopic, Event, KafkaError};
use crate::sink::Write;

/// How often offsets are committed where a repeat after a crash does no harm, and how soon a commit
/// that was refused is tried again.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    pub(super) fn commit_if_due(&mut self) {
        if !self.watermark.has_committable() || Instant::now() < self.next_commit {
            return;
        }
        if self.settings.ordered {
            return self.commit_and_wait();
        }
        self.next_commit = Instant::now() + COMMIT_INTERVAL;
        let offsets = self.watermark.take_committable();
        self.partitions.durable(&offsets);
        if let Err(error) = self.consumer.commit(&offsets) {
            self.committed(Err(error));
        }
    }

    pub(super) fn commit_and_wait(&mut self) {
        let offsets = self.watermark.take_committable();
        self.partitions.durable(&offsets);
        // Also without new ones: a commit that was begun before may be under way.
        let result = self.consumer.commit_and_wait(&offsets);
        if !offsets.is_empty() || result.is_err() {
            self.committed(result);
        }
    }

    /// The commit that a stop ends with. While the members of a group agree on a new assignment Kafka
    /// refuses commits, and who is asked to stop just then would leave records behind that are
    /// written a second time. Polling goes on, because without it they never agree. A commit that nobody answers takes the whole time by itself:
    /// then there is no coordinator, and more tries are of no use.
    pub(super) fn commit_at_last(&mut self) {
        let deadline = Instant::now() + COMMITTED_WITHIN;
        self.commit_and_wait();
        while self.watermark.has_committable() && Instant::now() < deadline {
            self.pause();
            match self.consumer.poll(TURN) {
                // Of before the pause: the partition's next owner reads it.
                Some(Event::Record(_)) | None => {}
                Some(event) => self.take_event(event),
            }
            self.commit_and_wait();
        }
    }

    /// Kafka's answer to a commit. What it refused is due again, unless newer offsets are.
    pub(super) fn committed(&mut self, result: Result<(), KafkaError>) {
        let Err(error) = result else {
            self.metrics.committed();
            return;
        };
        self.metrics.commit_failures.inc();
        self.next_commit = Instant::now() + COMMIT_INTERVAL;
        self.watermark.put_back(self.partitions.durable_offsets());
        let (connector, reason) = (&self.settings.connector, &error.reason);
        if error.is_rebalance() {
            debug!(connector, reason, "a commit during a rebalance; the next one covers it");
        } else if self.told.is_news(reason) {
            warn!(connector, reason, "a commit failed; the next one covers it");
        }
    }
}
