//! A Kafka, a database and a dead-letter topic that do as told, in virtual time, and that check the
//! promise at every commit.

mod scenario;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::batch::Batch;
use crate::dead_letter::Header;
use crate::deliver::Settled;
use crate::kafka::{
    Consumer, DeadLetterTopic, Event, Extent, KafkaError, LetterId, Place as KafkaPlace,
};
use crate::record::{Offset, Record, TopicPartition};
use crate::sink::{SinkError, Write};
use crate::watermark::Covers;

pub(super) use scenario::{Report, Scenario};

pub(super) const TOPIC: &str = "t";

pub(super) fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC.into(), partition: number }
}

/// A record whose only field is its own place, so that a stored line says which record it is.
#[derive(Debug, Clone)]
pub(super) struct FakeRecord {
    pub partition: i32,
    pub offset: i64,
    pub value: Option<Vec<u8>>,
    pub traceparent: Option<&'static str>,
}

impl FakeRecord {
    pub(super) fn good(partition: i32, offset: i64) -> Self {
        let value = format!(r#"{{"at":"{partition}/{offset}"}}"#);
        Self { partition, offset, value: Some(value.into_bytes()), traceparent: None }
    }

    pub(super) fn with(partition: i32, offset: i64, value: &str) -> Self {
        Self { value: Some(value.as_bytes().to_vec()), ..Self::good(partition, offset) }
    }
}

impl Record for FakeRecord {
    fn topic(&self) -> &str {
        TOPIC
    }
    fn partition(&self) -> i32 {
        self.partition
    }
    fn offset(&self) -> Offset {
        Offset(self.offset)
    }
    fn key(&self) -> Option<&[u8]> {
        None
    }
    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
    fn timestamp_millis(&self) -> Option<i64> {
        Some(1_700_000_000_000 + self.offset)
    }
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.traceparent.filter(|_| name == "traceparent").map(str::as_bytes)
    }
    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        Vec::new()
    }
}

/// A record's place: partition and offset.
pub(super) type Place = (i32, i64);

/// What has become of records; shared by the fakes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Lines that the database has acknowledged, by the place in them, with how often.
    pub stored: BTreeMap<Place, usize>,
    pub dead: BTreeSet<Place>,
    pub committed: BTreeMap<i32, i64>,
    pub write_attempts: usize,
    pub letter_attempts: usize,
    /// Since the start.
    pub first_stored: Duration,
    pub last_stored: Duration,
}

pub(super) type Reply = dyn FnMut(Duration, &[Place]) -> (Duration, Result<(), SinkError>) + Send;

/// A database that answers as its script says.
pub(super) struct FakeSink {
    ledger: Arc<Mutex<Ledger>>,
    start: Instant,
    reply: Mutex<Box<Reply>>,
}

impl std::fmt::Debug for FakeSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeSink")
    }
}

pub(super) fn places(batch: &Batch) -> Vec<Place> {
    let body = batch.body();
    let text = std::str::from_utf8(&body).unwrap();
    let place = |line: &str| {
        let at = line.split('"').nth(1).unwrap();
        let (partition, offset) = at.split_once('/').unwrap();
        (partition.parse().unwrap(), offset.parse().unwrap())
    };
    text.lines().map(place).collect()
}

impl Write for FakeSink {
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let places = places(batch);
        let (delay, result) = {
            self.ledger.lock().unwrap().write_attempts += 1;
            (self.reply.lock().unwrap())(self.start.elapsed(), &places)
        };
        tokio::time::sleep(delay).await;
        if result.is_ok() {
            let mut ledger = self.ledger.lock().unwrap();
            ledger.last_stored = self.start.elapsed();
            if ledger.first_stored.is_zero() {
                ledger.first_stored = ledger.last_stored;
            }
            for place in places {
                *ledger.stored.entry(place).or_default() += 1;
            }
        }
        result
    }
}

/// A dead-letter topic that confirms after a while, or fails as often as told.
pub(super) struct FakeLetters {
    ledger: Arc<Mutex<Ledger>>,
    settled: UnboundedSender<Settled>,
    runtime: Arc<Runtime>,
    failures: Cell<usize>,
}

impl DeadLetterTopic for FakeLetters {
    fn send<R: Record>(
        &self,
        record: &R,
        headers: &[Header],
        id: LetterId,
    ) -> Result<(), KafkaError> {
        assert!(headers.iter().any(|(name, _)| *name == "__connect.errors.exception.message"));
        let place = (record.partition(), record.offset().0);
        let (ledger, settled) = (Arc::clone(&self.ledger), self.settled.clone());
        ledger.lock().unwrap().letter_attempts += 1;
        let fails = self.failures.get() > 0;
        self.failures.set(self.failures.get().saturating_sub(1));
        self.runtime.spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let result = if fails { Err("not enough replicas".to_owned()) } else { Ok(()) };
            if result.is_ok() {
                ledger.lock().unwrap().dead.insert(place);
            }
            let _ = settled.send(Settled::DeadLetter { id: id.batch, record: id.record, result });
        });
        Ok(())
    }
}

/// A broker and its group, following a script in virtual time.
pub(super) struct FakeKafka {
    runtime: Arc<Runtime>,
    ledger: Arc<Mutex<Ledger>>,
    start: Instant,
    script: RefCell<VecDeque<(Duration, Event<FakeRecord>)>>,
    pub owned: RefCell<BTreeSet<TopicPartition>>,
    /// As librdkafka has it: letting a partition go doesn't end its pause.
    pub paused: RefCell<BTreeSet<TopicPartition>>,
    pub pauses: Cell<usize>,
    last_poll: Cell<Instant>,
    pub longest_gap: Cell<Duration>,
    stop_at: Duration,
    stop: Arc<AtomicBool>,
    held: Range<Duration>,
    hold: Arc<AtomicBool>,
    /// Records that need neither a point nor a letter.
    excluded: BTreeSet<Place>,
    /// The next offset of each partition: nothing beyond may be committed.
    next: RefCell<BTreeMap<TopicPartition, i64>>,
    extents: Vec<Extent>,
    look_up_failures: Cell<usize>,
    /// When the group takes no commits, since it is being rebalanced.
    rebalanced: Range<Duration>,
    pub moves: RefCell<Vec<KafkaPlace>>,
}

impl Consumer for FakeKafka {
    type Record<'c> = FakeRecord;

    fn poll(&self, timeout: Duration) -> Option<Event<FakeRecord>> {
        self.longest_gap.set(self.longest_gap.get().max(self.last_poll.get().elapsed()));
        self.last_poll.set(Instant::now());
        if self.start.elapsed() >= self.stop_at {
            self.stop.store(true, Ordering::Release);
        }
        self.hold.store(self.held.contains(&self.start.elapsed()), Ordering::Release);
        if let Some(event) = self.next_due() {
            return Some(event);
        }
        self.runtime.block_on(tokio::time::sleep(timeout.max(Duration::from_millis(1))));
        self.last_poll.set(Instant::now());
        None
    }

    fn next(&self) -> Option<FakeRecord> {
        let at = self.due()?;
        if !matches!(self.script.borrow()[at], (_, Event::Record(_))) {
            return None;
        }
        match self.next_due() {
            Some(Event::Record(record)) => Some(record),
            _ => None,
        }
    }

    fn assign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.owned.borrow_mut().extend(partitions.iter().cloned());
        Ok(())
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.owned.borrow_mut().retain(|owned| !partitions.contains(owned));
        self.paused.borrow_mut().retain(|paused| !partitions.contains(paused));
        Ok(())
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.paused.borrow_mut().extend(partitions.iter().cloned());
        self.pauses.set(self.pauses.get() + 1);
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.paused.borrow_mut().retain(|paused| !partitions.contains(paused));
        Ok(())
    }

    fn look_up(&self, partitions: &[TopicPartition]) -> Result<Vec<Extent>, KafkaError> {
        if self.look_up_failures.get() > 0 {
            self.look_up_failures.set(self.look_up_failures.get() - 1);
            return Err(KafkaError { reason: "brokers are down".into(), fatal: false });
        }
        let asked = self.extents.iter().filter(|extent| partitions.contains(&extent.partition));
        Ok(asked.cloned().collect())
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Covers, KafkaError> {
        let extents = self.look_up(partitions)?;
        let committed =
            extents.into_iter().filter_map(|extent| Some((extent.partition, extent.committed?)));
        Ok(committed.collect())
    }

    fn go_to(&self, moved: &[KafkaPlace], _: &[KafkaPlace]) -> Result<(), KafkaError> {
        for (partition, at) in moved {
            self.next.borrow_mut().insert(partition.clone(), at.unwrap().0);
        }
        self.moves.borrow_mut().extend_from_slice(moved);
        Ok(())
    }

    /// Commits are begun at once here.
    fn forget(&self, _: &TopicPartition) {}

    fn commit(&self, offsets: &Covers) -> Result<(), KafkaError> {
        self.commit_and_wait(offsets)
    }

    /// Here the promise is checked: all before the offset is stored, dead-lettered or excluded.
    fn commit_and_wait(&self, offsets: &Covers) -> Result<(), KafkaError> {
        if self.rebalanced.contains(&self.start.elapsed()) {
            return Err(KafkaError { reason: "the group is rebalancing".into(), fatal: false });
        }
        let mut ledger = self.ledger.lock().unwrap();
        for (partition, next) in offsets {
            assert!(self.owned.borrow().contains(partition), "a commit for a partition not owned");
            let read = self.next.borrow().get(partition).copied();
            assert!(read.is_some_and(|read| next.get() <= read), "{next:?} of {read:?} committed");
            for offset in 0..next.get() {
                let place = (partition.partition, offset);
                assert!(
                    ledger.stored.contains_key(&place)
                        || ledger.dead.contains(&place)
                        || self.excluded.contains(&place),
                    "{place:?} was committed before it was durable"
                );
            }
            ledger.committed.insert(partition.partition, next.get());
        }
        Ok(())
    }
}

impl FakeKafka {
    /// The place in the script of what is due next.
    fn due(&self) -> Option<usize> {
        let now = self.start.elapsed();
        let paused = self.paused.borrow();
        let waits = |event: &Event<FakeRecord>| match event {
            Event::Record(record) => paused.contains(&partition(record.partition)),
            _ => false,
        };
        self.script.borrow().iter().position(|(due, event)| *due <= now && !waits(event))
    }

    fn next_due(&self) -> Option<Event<FakeRecord>> {
        let (_, event) = self.due().and_then(|at| self.script.borrow_mut().remove(at))?;
        match &event {
            // A broker sends records of owned partitions only.
            Event::Record(record)
                if !self.owned.borrow().contains(&partition(record.partition)) =>
            {
                None
            }
            Event::Record(record) => {
                let next = record.offset + 1;
                self.next.borrow_mut().insert(partition(record.partition), next);
                Some(event)
            }
            _ => Some(event),
        }
    }
}
