//! Held records: what a worker does while its decoder can't reach something that a record takes, such
//! as a schema registry.
//!
//! That is an outage like the database's: nothing is skipped and nothing rejected. The record is kept,
//! nothing more is read, and what came before it is written and committed meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{TURN, Worker};
use crate::kafka::{Consumer, DeadLetterTopic};
use crate::record::{Record, TopicPartition};
use crate::sink::Write;

/// The first pause before a record is tried again: what it takes may be on its way. It doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What takes longer than this is worth a line in the log.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// Records that were read and are not in the open batch.
pub(super) struct Held<R> {
    /// In the order in which they were read. The first is the one that can't be decoded yet; others
    /// came before the partitions were paused.
    records: VecDeque<R>,
    outage: Option<Outage>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    next_try: Instant,
    pause: Duration,
    told: bool,
}

impl<R> Default for Held<R> {
    fn default() -> Self {
        Self { records: VecDeque::new(), outage: None }
    }
}

impl<R: Record> Held<R> {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Keeps a record that was read after those that are held.
    pub(super) fn push(&mut self, record: R) {
        self.records.push_back(record);
    }

    /// The records of these partitions are their next owner's, or were read in vain.
    pub(super) fn let_go(&mut self, partitions: &[TopicPartition]) {
        self.records.retain(|record| {
            let (topic, number, _) = record.place();
            !partitions.iter().any(|own| own.partition == number && *own.topic == *topic)
        });
    }

    /// The record can't be decoded now. Says whether the log should have it.
    pub(super) fn put_back(&mut self, record: R) -> bool {
        let now = Instant::now();
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            next_try: now,
            pause: FIRST_PAUSE,
            told: false,
        });
        outage.next_try = now + outage.pause;
        outage.pause = (outage.pause * 2).min(LONGEST_PAUSE);
        let news = !outage.told && outage.since.elapsed() >= TELL_AFTER;
        outage.told |= news;
        self.records.push_front(record);
        news
    }
}

impl<'c, C: Consumer, D: DeadLetterTopic, W: Write> Worker<'c, C, D, W> {
    /// Tries the held records again when it is time to, and otherwise stands still.
    pub(super) fn try_held(&mut self) {
        let now = Instant::now();
        if let Some(outage) = self.held.outage.filter(|outage| outage.next_try > now) {
            return self.stand_still(outage.since, (outage.next_try - now).min(TURN));
        }
        while let Some(record) = self.held.records.pop_front() {
            let (topic, number, offset) = record.place();
            let taken = match self.partitions.find(topic, number) {
                Some(partition) => self.take_in(record, partition, offset),
                None => true,
            };
            if !taken {
                return;
            }
            self.end_outage();
            if self.intake.is_full() || self.failure.is_some() {
                return;
            }
        }
        self.end_outage();
    }

    /// Keeps a record that can't be decoded now.
    pub(super) fn hold(&mut self, record: C::Record<'c>, reason: &str) {
        self.metrics.decode_retries.inc();
        if self.held.put_back(record) {
            let connector = &self.settings.connector;
            warn!(connector, reason, "a record can't be decoded now; holding it, and trying again");
        }
    }

    fn end_outage(&mut self) {
        if let Some(outage) = self.held.outage.take().filter(|outage| outage.told) {
            let seconds = outage.since.elapsed().as_secs();
            info!(connector = self.settings.connector, seconds, "records can be decoded again");
        }
    }
}
