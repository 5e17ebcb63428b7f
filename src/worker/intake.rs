//! Intake: from a record to its items in the open batch.

use std::time::Duration;

use tokio::time::Instant;

use super::flight::Flight;
use super::transform::Transform;
use crate::batch::{Batch, OpenParts, RecordIndex};
use crate::config::BatchLimits;
use crate::dead_letter::{Reject, Stage};
use crate::decode::Refusal;
use crate::encode::Noticed;
use crate::map::Scratch;
use crate::point::Timestamp;
use crate::process::Phase;
use crate::record::{Hold, NextOffset, Offset, Record, TopicPartition};
use crate::telemetry::traces::{Span, Spans};

/// The open batch, and what its records are and hold.
pub(super) struct Intake<R> {
    transform: Transform,
    scratch: Scratch,
    limits: BatchLimits,
    most_destinations: usize,
    open: OpenParts,
    records: Vec<R>,
    rejects: Vec<(RecordIndex, Reject)>,
    /// Records taken, also those that nothing is kept of.
    taken: usize,
    record_bytes: usize,
    newest: Option<Timestamp>,
    opened_at: Option<Instant>,
    /// Partitions with records in the open batch that were let go.
    let_go: Vec<TopicPartition>,
    spans: Spans,
}

/// A batch that is to be written.
pub(super) struct Closed<R> {
    /// One for each destination; none where no record gave a point.
    pub parts: Vec<Batch>,
    pub flight: Flight<R>,
    pub rejects: Vec<(RecordIndex, Reject)>,
    pub noticed: Noticed,
    /// Points that came too late for their windows.
    pub late: u64,
    /// Paths that the mapping names and messages no longer have.
    pub gone: Vec<String>,
}

/// A record that is measured.
pub(super) struct Timing {
    decode: Duration,
    map: Duration,
    begun: Instant,
}

/// What became of a record.
pub(super) enum Taken<R> {
    Point,
    /// There is nothing to write, by the configuration.
    Excluded,
    /// Nothing is written yet, or there is nothing to write.
    Remembered,
    /// All that comes of it is written: it was read for what processors remember.
    Rebuilt,
    Rejected(R, Reject),
    /// Something that it takes can't be reached now, for a reason.
    Unavailable(R, String),
}

impl<R: Record> Intake<R> {
    pub(super) fn new(transform: Transform, limits: BatchLimits) -> Self {
        let most_destinations = transform.routing.as_ref().map(|routing| routing.max_open().get());
        Self {
            most_destinations: most_destinations.unwrap_or(usize::MAX),
            transform,
            scratch: Scratch::default(),
            limits,
            open: OpenParts::default(),
            records: Vec::new(),
            rejects: Vec::new(),
            taken: 0,
            record_bytes: 0,
            newest: None,
            opened_at: None,
            let_go: Vec::new(),
            spans: Spans::default(),
        }
    }

    pub(super) fn take(&mut self, record: R) -> Taken<R> {
        let phase = self.transform.process.phase(record.place());
        if phase != Phase::Normal {
            return self.rebuild(record, phase);
        }
        let index = self.next_index();
        match self.transform.apply(&record, index, &mut self.scratch, &mut self.open) {
            Ok(Some(timestamp)) => {
                self.newest = self.newest.max(Some(timestamp));
                self.keep(record);
                self.count();
                Taken::Point
            }
            Ok(None) => {
                self.count();
                if self.transform.process.remembers() { Taken::Remembered } else { Taken::Excluded }
            }
            Err(Refusal::Rejected(reject)) => Taken::Rejected(record, reject),
            Err(Refusal::Unavailable(reason)) => Taken::Unavailable(record, reason),
        }
    }

    /// Begins to measure the record that is taken next.
    pub(super) fn begin_timing(&mut self, record: &R) -> Timing {
        let (decode, map) = self.transform.time(record, &mut self.scratch);
        self.transform.encoding = Some(Duration::ZERO);
        Timing { decode, map, begun: Instant::now() }
    }

    /// The time of each stage of the record that was taken.
    pub(super) fn end_timing(&mut self, timing: &Timing) -> [(Stage, Duration); 4] {
        let Timing { decode, map, begun } = *timing;
        let whole = begun.elapsed();
        let encode = self.transform.encoding.take().unwrap_or_default();
        // A line that is copied is not mapped, and processors have what the others leave.
        let rest = whole.saturating_sub(encode);
        let decode = decode.min(rest);
        let rest = rest.saturating_sub(decode);
        let map = map.min(rest);
        let is_processed = !self.transform.process.is_empty();
        let process = if is_processed { rest.saturating_sub(map) } else { Duration::ZERO };
        let stages = [Stage::Decode, Stage::Map, Stage::Process, Stage::Encode];
        let times = [decode, map, process, encode];
        std::array::from_fn(|index| (stages[index], times[index]))
    }

    fn rebuild(&mut self, record: R, phase: Phase) -> Taken<R> {
        if phase == Phase::Skipped {
            return Taken::Rebuilt;
        }
        match self.transform.rebuild(&record, &mut self.scratch) {
            Ok(()) => Taken::Rebuilt,
            Err(reason) => Taken::Unavailable(record, reason),
        }
    }

    /// Whether processors remember earlier records.
    pub(super) fn remembers(&self) -> bool {
        self.transform.process.remembers()
    }

    /// See [`Chain::begin`](crate::process::Chain::begin).
    pub(super) fn begin(&mut self, partition: &TopicPartition, committed: Option<NextOffset>) {
        if self.remembers() {
            self.transform.process.begin(partition, committed);
        }
    }

    /// See [`Chain::go_on_at`](crate::process::Chain::go_on_at).
    pub(super) fn go_on_at(&mut self, partition: &TopicPartition, at: Offset) -> NextOffset {
        self.transform.process.go_on_at(partition, at)
    }

    /// What was remembered of a partition is its next owner's to rebuild.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.transform.process.forget(partition);
    }

    /// From where on a partition has to be read for what is remembered of it now.
    pub(super) fn hold(&self, partition: &TopicPartition) -> Option<Hold> {
        if !self.remembers() {
            return None;
        }
        self.transform.process.hold(&partition.topic, partition.partition)
    }

    /// Keeps a rejected record for its dead letter.
    pub(super) fn keep_rejected(&mut self, record: R, reject: Reject) {
        self.rejects.push((self.next_index(), reject));
        self.keep(record);
        self.count();
    }

    /// The span of the record that was taken last. It ends with the open batch, unless nothing of the
    /// record is to be written. A record that has to wait is begun anew, and one that is read again was
    /// traced before.
    pub(super) fn trace(&mut self, span: Span, taken: &Taken<R>) {
        match taken {
            Taken::Point => {
                let last = self.next_index().0.checked_sub(1).map(RecordIndex);
                self.spans.push(last, span);
            }
            Taken::Remembered => self.spans.push(None, span),
            Taken::Excluded => span.end(),
            Taken::Rejected(_, reject) => span.end_rejected(reject),
            Taken::Rebuilt | Taken::Unavailable(..) => {}
        }
    }

    fn keep(&mut self, record: R) {
        self.record_bytes += record.size();
        self.records.push(record);
    }

    /// There is one more record in the open batch, or something else that it stands for.
    pub(super) fn count(&mut self) {
        self.taken += 1;
        if self.opened_at.is_none() {
            self.opened_at = Some(Instant::now());
        }
    }

    fn next_index(&self) -> RecordIndex {
        // The batch limits keep the number of records far below 2³².
        RecordIndex(u32::try_from(self.records.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// A limit is met. Records count like points, so that a run of records that yield nothing ends,
    /// and their bytes like encoded ones, because they are kept. Each destination is a request.
    pub(super) fn is_full(&self) -> bool {
        self.taken.max(self.open.items()) >= self.limits.points.get()
            || self.record_bytes.max(self.open.bytes()) >= self.limits.bytes.get()
            || self.open.destinations() >= self.most_destinations
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_full() || self.linger_left() == Some(Duration::ZERO)
    }

    /// The time until the open batch is due. `None` when there is none.
    pub(super) fn linger_left(&self) -> Option<Duration> {
        self.opened_at.map(|opened| self.limits.linger.saturating_sub(opened.elapsed()))
    }

    /// The records of this partition in the open batch are its next owner's.
    pub(super) fn let_go(&mut self, partition: &TopicPartition) {
        if !self.is_empty() && !self.let_go.contains(partition) {
            self.let_go.push(partition.clone());
        }
    }

    /// Closes the open batch and begins the next.
    pub(super) fn close(&mut self, perhaps_repeat: bool) -> Closed<R> {
        let (parts, noticed) = self.open.close(&mut self.transform.encoder);
        let rejects = std::mem::take(&mut self.rejects);
        let first = self.records.first();
        let gone = first.map(|record| self.transform.look(record));
        // The next batch is mostly as long: growing to that anew would copy.
        let records = Vec::with_capacity(self.records.len());
        let encoded: usize = parts.iter().map(|part| part.body().len()).sum();
        let flight = Flight {
            records: std::mem::replace(&mut self.records, records),
            writing: !parts.is_empty(),
            stuck: false,
            perhaps_repeat,
            bytes: encoded + std::mem::take(&mut self.record_bytes),
            newest: self.newest.take(),
            let_go: std::mem::take(&mut self.let_go),
            letters: rejects.iter().map(|(record, _)| (*record, None)).collect(),
            spans: std::mem::take(&mut self.spans),
        };
        self.taken = 0;
        self.opened_at = None;
        let late = self.transform.process.take_late();
        Closed { parts, flight, rejects, noticed, late, gone: gone.unwrap_or_default() }
    }
}
