//! Commits: the watermark's offsets to Kafka, and what follows when they are refused.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::Worker;
use crate::kafka::{Consumer, DeadLetterTopic, KafkaError};
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

    /// Kafka's answer to a commit. What it refused is due again, unless newer offsets are.
    pub(super) fn committed(&mut self, result: Result<(), KafkaError>) {
        let Err(error) = result else {
            self.metrics.committed();
            return;
        };
        self.metrics.commit_failures.inc();
        self.next_commit = Instant::now() + COMMIT_INTERVAL;
        self.watermark.put_back(self.partitions.durable_offsets());
        if self.told.is_news(&error.reason) {
            warn!(
                connector = self.settings.connector,
                reason = error.reason,
                "a commit failed; the next one covers it"
            );
        }
    }
}
