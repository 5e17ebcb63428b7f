//! Backfill: a part of a topic's history through its connector once more, in a group of its own that
//! ends by itself.
//!
//! The workers are those that every connector has, and each reads through [`Part`], which shows it
//! nothing behind the part's end. What is done is committed in the backfill's group, so a backfill
//! that was stopped goes on where it was.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::debug;

use crate::kafka::{Consumer, Event, Extent, KafkaError, Place};
use crate::record::{NextOffset, Offset, Record, TopicPartition};
use crate::watermark::Covers;

/// How far a topic's partitions are, for all workers of a backfill.
#[derive(Debug)]
pub struct Progress {
    partitions: Mutex<BTreeMap<i32, Partition>>,
    /// Records handed to the workers.
    pub taken: AtomicU64,
    /// Set at the end, and by whoever wants an end before.
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Partition {
    /// The first offset that is not read any more.
    to: Offset,
    /// After the last record that a worker was given.
    given: Option<NextOffset>,
    committed: NextOffset,
    at_end: bool,
}

impl Partition {
    fn is_done(&self) -> bool {
        self.committed.get() >= self.to.0
            || (self.at_end && self.given.is_none_or(|given| self.committed >= given))
    }
}

impl Progress {
    /// Partitions by number, each with what is committed and the end.
    pub fn new(
        partitions: impl IntoIterator<Item = (i32, NextOffset, Offset)>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let partition = |(number, committed, to)| {
            (number, Partition { to, given: None, committed, at_end: false })
        };
        let partitions = Mutex::new(partitions.into_iter().map(partition).collect());
        Self { partitions, taken: AtomicU64::default(), stop }
    }

    /// Whether all is committed.
    pub fn is_done(&self) -> bool {
        self.lock().values().all(Partition::is_done)
    }

    /// Offsets that are not committed yet.
    pub fn left(&self) -> u64 {
        let left = |partition: &Partition| {
            let left =
                if partition.is_done() { 0 } else { partition.to.0 - partition.committed.get() };
            u64::try_from(left).unwrap_or_default()
        };
        self.lock().values().map(left).sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a partition, and stops the workers if that was the last of it.
    fn change(&self, number: i32, change: impl FnOnce(&mut Partition)) {
        let mut partitions = self.lock();
        if let Some(partition) = partitions.get_mut(&number) {
            change(partition);
        }
        if partitions.values().all(Partition::is_done) {
            self.stop.store(true, Ordering::Release);
        }
    }

    /// Whether a record belongs to the part; then it is about to be handed to a worker.
    fn give(&self, number: i32, offset: Offset) -> bool {
        let mut partitions = self.lock();
        let Some(partition) = partitions.get_mut(&number).filter(|part| offset < part.to) else {
            return false;
        };
        partition.given = Some(NextOffset::after(offset));
        self.taken.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// What a worker of a backfill reads.
pub struct Part<C> {
    consumer: C,
    progress: Arc<Progress>,
    pace: Option<Pace>,
}

impl<C: Consumer> Part<C> {
    /// `consumer` reads one topic, and must say when it is [`AtEnd`](Event::AtEnd). `rate` is in
    /// records a second, of this worker.
    pub fn new(consumer: C, progress: Arc<Progress>, rate: Option<NonZeroU32>) -> Self {
        Self { consumer, progress, pace: rate.map(Pace::new) }
    }

    fn take<R: Record>(&self, record: R) -> Option<R> {
        let (topic, number, offset) = record.place();
        if self.progress.give(number, offset) {
            if let Some(pace) = &self.pace {
                pace.step();
            }
            return Some(record);
        }
        let partition = TopicPartition { topic: topic.into(), partition: number };
        if let Err(error) = self.consumer.pause(&[partition]) {
            debug!(%error, "pausing a partition at its end");
        }
        self.progress.change(number, |partition| partition.at_end = true);
        None
    }
}

impl<C: Consumer> Consumer for Part<C> {
    type Record<'c>
        = C::Record<'c>
    where
        Self: 'c;

    fn poll(&self, timeout: Duration) -> Option<Event<Self::Record<'_>>> {
        if self.pace.as_ref().is_some_and(|pace| pace.waits(timeout)) {
            return None;
        }
        let event = self.consumer.poll(timeout)?;
        match &event {
            // Another worker may have been at its end, and have left without a commit.
            Event::Assigned(partitions) => {
                for partition in partitions {
                    self.progress.change(partition.partition, |partition| {
                        partition.at_end = false;
                        partition.given = None;
                    });
                }
            }
            Event::AtEnd { partition } => {
                self.progress.change(*partition, |partition| partition.at_end = true);
            }
            // A partition that is paused at its end does not stand still for want of a place.
            Event::Idle(_) => return None,
            _ => {}
        }
        event.filter_map(|record| self.take(record))
    }

    fn next(&self) -> Option<Self::Record<'_>> {
        if self.pace.as_ref().is_some_and(|pace| pace.waits(Duration::ZERO)) {
            return None;
        }
        self.take(self.consumer.next()?)
    }

    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.consumer.assign(partitions)
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.consumer.unassign(partitions)
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.consumer.pause(partitions)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.consumer.resume(partitions)
    }

    fn look_up(&self, partitions: &[TopicPartition]) -> Result<Vec<Extent>, KafkaError> {
        self.consumer.look_up(partitions)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Covers, KafkaError> {
        self.consumer.committed(partitions)
    }

    fn go_to(&self, moved: &[Place], others: &[Place]) -> Result<(), KafkaError> {
        self.consumer.go_to(moved, others)
    }

    fn forget(&self, partition: &TopicPartition) {
        self.consumer.forget(partition);
    }

    /// Waits, because the end is known by what is committed.
    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError> {
        self.commit_and_wait(offsets)
    }

    fn commit_and_wait(&self, offsets: &Covers) -> Result<(), KafkaError> {
        self.consumer.commit_and_wait(offsets)?;
        for (partition, next) in offsets {
            self.progress.change(partition.partition, |partition| partition.committed = *next);
        }
        Ok(())
    }
}

/// Holds a worker to so many records a second.
struct Pace {
    apart: Duration,
    /// When the next record may come.
    next: Cell<Instant>,
}

/// A worker that was held up may catch up on this much; and it is not held up for less.
const SLACK: Duration = Duration::from_millis(20);

impl Pace {
    fn new(rate: NonZeroU32) -> Self {
        Self { apart: Duration::from_secs(1) / rate.get(), next: Cell::new(Instant::now()) }
    }

    fn step(&self) {
        let earliest = Instant::now().checked_sub(SLACK);
        let next = earliest.map_or(self.next.get(), |earliest| self.next.get().max(earliest));
        self.next.set(next + self.apart);
    }

    /// Waits if it is not time yet, and says so. No longer than the worker would wait for a record.
    fn waits(&self, timeout: Duration) -> bool {
        let early = self.next.get().saturating_duration_since(Instant::now());
        if early < SLACK {
            return false;
        }
        std::thread::sleep(early.min(timeout));
        true
    }
}
