//! Replay: a dead-letter topic as a worker's source, each letter as the record that it was.
//!
//! The worker is the one that every connector has, so a letter passes the same decode, map, encode
//! and delivery, and its offset in the dead-letter topic is committed by the same rule. What is
//! rejected again becomes a new letter, behind the end at which this reading ends.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tracing::debug;

use crate::dead_letter::{Origin, PREFIX};
use crate::kafka::{Consumer, Event, Extent, KafkaError, Place};
use crate::record::{NextOffset, Offset, Record, TopicPartition};
use crate::watermark::Covers;

/// The letters of one connector, up to where their topic ended when this began. Asks the worker to
/// stop when all of them are committed.
pub struct Letters<C> {
    consumer: C,
    connector: String,
    /// By partition: the first offset that is not read any more.
    ends: BTreeMap<i32, Offset>,
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    assigned: RefCell<BTreeMap<i32, Progress>>,
}

/// Letters read so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Handed to the worker.
    pub taken: AtomicU64,
    /// Of another connector, in a topic that several share.
    pub foreign: AtomicU64,
    /// Without the headers that say where the record was read.
    pub without_origin: AtomicU64,
}

/// How far an assigned partition is.
#[derive(Debug, Default)]
struct Progress {
    /// After the last letter that the worker was given.
    given: Option<NextOffset>,
    committed: Option<NextOffset>,
    at_end: bool,
}

impl<C: Consumer> Letters<C> {
    /// `consumer` must say when it is [`AtEnd`](Event::AtEnd). `connector` is the one whose letters
    /// are read.
    pub fn new(
        consumer: C,
        connector: &str,
        ends: BTreeMap<i32, Offset>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (seen, assigned) = (Arc::default(), RefCell::default());
        Self { consumer, connector: connector.to_owned(), ends, stop, seen, assigned }
    }

    /// Counts while the worker runs.
    pub fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    fn take<R: Record>(&self, letter: R) -> Option<Replayed<R>> {
        let (topic, number, offset) = letter.place();
        if self.ends.get(&number).is_none_or(|end| offset >= *end) {
            let partition = TopicPartition { topic: topic.into(), partition: number };
            if let Err(error) = self.consumer.pause(&[partition]) {
                debug!(%error, "pausing a partition at its end");
            }
            self.at_end(number);
            return None;
        }
        if !is_of(&letter, &self.connector) {
            self.seen.foreign.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let Some(record) = Replayed::new(letter) else {
            self.seen.without_origin.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if let Some(progress) = self.assigned.borrow_mut().get_mut(&number) {
            progress.given = Some(NextOffset::after(offset));
        }
        self.seen.taken.fetch_add(1, Ordering::Relaxed);
        Some(record)
    }

    fn at_end(&self, partition: i32) {
        if let Some(progress) = self.assigned.borrow_mut().get_mut(&partition) {
            progress.at_end = true;
        }
        self.stop_if_done();
    }

    fn committed(&self, offsets: &Covers) {
        for (partition, next) in offsets {
            if let Some(progress) = self.assigned.borrow_mut().get_mut(&partition.partition) {
                progress.committed = Some(*next);
            }
        }
        self.stop_if_done();
    }

    /// Without a partition there is nothing to do yet: another member may still hand one over.
    fn stop_if_done(&self) {
        let assigned = self.assigned.borrow();
        let is_done = |p: &Progress| p.at_end && p.committed >= p.given;
        if !assigned.is_empty() && assigned.values().all(is_done) {
            self.stop.store(true, Ordering::Release);
        }
    }
}

impl<C: Consumer> Consumer for Letters<C> {
    type Record<'c>
        = Replayed<C::Record<'c>>
    where
        Self: 'c;

    fn poll(&self, timeout: Duration) -> Option<Event<Self::Record<'_>>> {
        let event = self.consumer.poll(timeout)?;
        match &event {
            Event::Assigned(partitions) => {
                let fresh = partitions.iter().map(|p| (p.partition, Progress::default()));
                self.assigned.borrow_mut().extend(fresh);
            }
            Event::Revoked { partitions, .. } => {
                let gone = |number: i32| partitions.iter().any(|p| p.partition == number);
                self.assigned.borrow_mut().retain(|number, _| !gone(*number));
            }
            Event::AtEnd { partition } => self.at_end(*partition),
            // A partition that is paused at its end does not stand still for want of a place.
            Event::Idle(_) => return None,
            _ => {}
        }
        event.filter_map(|letter| self.take(letter))
    }

    fn next(&self) -> Option<Self::Record<'_>> {
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
        self.committed(offsets);
        Ok(())
    }
}

/// Whether a letter is one of this connector's. Several may share a topic.
pub fn is_of<R: Record>(letter: &R, connector: &str) -> bool {
    letter.header("__connect.errors.connector.name") == Some(connector.as_bytes())
}

/// A letter as the record that it was: all but its [`place`](Record::place) is the original's.
#[derive(Debug)]
pub struct Replayed<R> {
    letter: R,
    origin: Origin,
}

impl<R: Record> Replayed<R> {
    /// `None` when the letter does not say where its record was read.
    pub fn new(letter: R) -> Option<Self> {
        let origin = Origin::of(&letter)?;
        Some(Self { letter, origin })
    }
}

impl<R: Record> Record for Replayed<R> {
    fn topic(&self) -> &str {
        &self.origin.partition.topic
    }

    fn partition(&self) -> i32 {
        self.origin.partition.partition
    }

    fn offset(&self) -> Offset {
        self.origin.offset
    }

    fn key(&self) -> Option<&[u8]> {
        self.letter.key()
    }

    fn value(&self) -> Option<&[u8]> {
        self.letter.value()
    }

    fn timestamp_millis(&self) -> Option<i64> {
        self.letter.timestamp_millis()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        (!name.starts_with(PREFIX)).then(|| self.letter.header(name))?
    }

    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        let mut headers = self.letter.headers();
        headers.retain(|(name, _)| !name.starts_with(PREFIX));
        headers
    }

    fn place(&self) -> (&str, i32, Offset) {
        self.letter.place()
    }

    fn expect_drop(&self) {
        self.letter.expect_drop();
    }

    fn size(&self) -> usize {
        self.letter.size()
    }
}
