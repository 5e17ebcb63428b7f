//! Resuming: what a worker reads of its partitions' commits where processors remember earlier records.
//!
//! The group's offset is then the [hold](crate::record::Hold), and beside it stands up to where all is
//! written. Between the two, records only rebuild what was remembered.

use super::Worker;
use crate::kafka::{Consumer, DeadLetterTopic};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::sink::Write;

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    /// Reads what the group has committed of the partitions that were assigned since the last time.
    ///
    /// # Errors
    /// Why that can't be read now: no record of these partitions may be taken.
    pub(super) fn read_commits(&mut self) -> Result<(), String> {
        let unread = self.partitions.unread();
        if unread.is_empty() {
            self.unread = false;
            return Ok(());
        }
        let committed = self.consumer.committed(&unread).map_err(|error| {
            format!("what the group has committed can't be read: {}", error.reason)
        })?;
        for partition in &unread {
            self.go_on_from(partition, committed.get(partition).copied());
        }
        self.unread = false;
        Ok(())
    }

    /// Begins a partition where its last owner, or an earlier life, has ended.
    fn go_on_from(&mut self, partition: &TopicPartition, committed: Option<NextOffset>) {
        self.partitions.read(partition, committed);
        self.intake.begin(partition, committed);
    }

    /// Begins a partition that has no earlier life which counts, at a place of the worker's choice.
    pub(super) fn begin_afresh(&mut self, partition: &TopicPartition, at: Offset) {
        self.partitions.read(partition, None);
        self.intake.begin(partition, None);
        self.partitions.placed(partition, at, NextOffset::at(at));
    }

    /// Goes on in a partition whose next records are gone, up to this offset. What was remembered of
    /// them stays, or can't be rebuilt any more; what is written stays as it is.
    pub(super) fn go_on_behind_a_gap(
        &mut self,
        partition: &TopicPartition,
        committed: Option<NextOffset>,
        at: Offset,
    ) {
        if self.intake.remembers() && self.partitions.is_unread(partition) {
            self.go_on_from(partition, committed);
        }
        let next = self.intake.go_on_at(partition, at);
        self.partitions.placed(partition, at, next);
    }
}
