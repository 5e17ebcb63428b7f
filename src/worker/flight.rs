//! A batch in flight, as its worker keeps it.

use std::collections::HashMap;

use tokio::time::Instant;

use super::partitions::Partitions;
use crate::batch::RecordIndex;
use crate::dead_letter::Reject;
use crate::point::Timestamp;
use crate::record::{Offset, Record, TopicPartition};
use crate::telemetry::traces::Spans;
use crate::watermark::{BatchId, Covers};

/// Memory answers within the time that so many records take to be let go.
const DROPS_AHEAD: usize = 7;

/// What is kept of a batch until it is done.
pub(super) struct Flight<R> {
    /// The records, in case the database rejects some: a dead letter needs them whole.
    pub records: Vec<R>,
    /// Delivery has not answered yet.
    pub writing: bool,
    /// A record of it was rejected and there is no dead-letter topic: it will never be done.
    pub stuck: bool,
    /// Some of its points may have been written by the partition's last owner.
    pub perhaps_repeat: bool,
    /// The memory that it holds: encoded points and records.
    pub bytes: usize,
    /// The newest of its points.
    pub newest: Option<Timestamp>,
    /// Partitions of its records that were let go since: whoever owns them now reads those records
    /// again, also if it is this worker.
    pub let_go: Vec<TopicPartition>,
    /// Letters not yet confirmed; with the reason once they are handed to the producer.
    pub letters: HashMap<RecordIndex, Option<Reject>>,
    /// Of those of its records that are traced.
    pub spans: Spans,
}

impl<R: Record> Flight<R> {
    pub(super) fn is_done(&self) -> bool {
        !self.writing && !self.stuck && self.letters.is_empty()
    }

    /// Ends the spans, and lets the records go. They have been here for long, so each would be waited for.
    pub(super) fn end(mut self) {
        self.spans.end();
        let mut records = self.records.into_iter();
        while let Some(record) = records.next() {
            if let Some(later) = records.as_slice().get(DROPS_AHEAD) {
                later.expect_drop();
            }
            drop(record);
        }
    }

    pub(super) fn record(&self, index: RecordIndex) -> &R {
        &self.records[index.0 as usize]
    }

    /// A record that the database refuses: where it stands. `None` if it is known already (one
    /// record may give several points), or if its partition was let go or is no longer this worker's:
    /// then its next owner finds it again.
    pub(super) fn refuse(
        &mut self,
        index: RecordIndex,
        covers: &Covers,
        partitions: &mut Partitions,
    ) -> Option<(TopicPartition, Offset)> {
        if self.letters.contains_key(&index) {
            return None;
        }
        let (topic, number, offset) = self.record(index).place();
        let partition = TopicPartition { topic: topic.into(), partition: number };
        if self.let_go.contains(&partition) && !covers.contains_key(&partition) {
            return None;
        }
        partitions.find(&partition.topic, partition.partition)?;
        self.letters.insert(index, None);
        Some((partition, offset))
    }

    pub(super) fn let_go(&mut self, partition: &TopicPartition) {
        if !self.let_go.contains(partition) {
            self.let_go.push(partition.clone());
        }
    }

    pub(super) fn letter_sent(&mut self, record: RecordIndex, reject: Reject) {
        self.letters.insert(record, Some(reject));
    }

    pub(super) fn letter_confirmed(&mut self, record: RecordIndex) {
        self.letters.remove(&record);
    }

    /// The reason to put on the next try.
    pub(super) fn letter_failed(&mut self, record: RecordIndex) -> Option<Reject> {
        self.letters.get_mut(&record)?.take()
    }
}

/// A rejected record on its way to the dead-letter topic.
pub(super) struct Letter {
    pub batch: BatchId,
    pub record: RecordIndex,
    pub reject: Reject,
    pub not_before: Instant,
}

impl Letter {
    pub(super) fn new(batch: BatchId, record: RecordIndex, reject: Reject) -> Self {
        Self { batch, record, reject, not_before: Instant::now() }
    }
}
