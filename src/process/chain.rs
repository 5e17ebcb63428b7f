//! The chain: a connector's processors in their order, with what they remember of each partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::partition::{Partition, hand};
use super::{Moment, Next, Processor, rejected};
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::point::{Point, Timestamp};
use crate::record::{Hold, NextOffset, Offset, TopicPartition};

/// A connector's processors.
///
/// Those before the first that remembers take each point as it is decoded. From that one on, a record's
/// points are taken when all of them are known: so a record that is rejected before leaves no trace.
#[derive(Debug, Default)]
pub struct Chain {
    before: Vec<Processor>,
    /// Begins with one that remembers. Never used itself: each partition has a clone.
    remembering: Vec<Processor>,
    /// All that is remembered depends on points this far behind the clock, at most.
    horizon: Duration,
    /// How far a point may be ahead of its record's own time, where processors remember.
    most_ahead: Option<Duration>,
    /// How much older than what is given the points may be that it comes of.
    reach: Duration,
    warms_up: bool,
    partitions: HashMap<i32, Vec<(Arc<str>, Partition)>>,
    /// Partitions that are being rebuilt.
    rebuilding: usize,
    /// Of the record at hand.
    gathered: Vec<Point<'static>>,
    late: u64,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What comes of it is written.
    Normal,
    /// What comes of it was written before, and is needed to remember it.
    Rebuilding,
    /// The same, and it isn't needed.
    Skipped,
}

/// Where a record was read.
type At<'r> = (&'r str, i32, Offset);

impl Chain {
    /// In the order in which points go through.
    pub fn new(processors: &[Processor]) -> Self {
        let first = processors.iter().position(Processor::remembers).unwrap_or(processors.len());
        let (before, remembering) = processors.split_at(first);
        Self {
            before: before.to_vec(),
            remembering: remembering.to_vec(),
            horizon: remembering.iter().map(Processor::horizon).sum(),
            reach: remembering.iter().map(|one| one.horizon().saturating_sub(one.delay())).sum(),
            ..Self::default()
        }
    }

    /// Refuses points that are further ahead of their record's own time: the clock would follow them, and
    /// all that comes afterwards would be late.
    pub fn ahead_at_most(self, most: Duration) -> Self {
        Self { most_ahead: Some(most), ..self }
    }

    /// Gives nothing of a partition that is begun until it no longer depends on records before its first
    /// one: for whoever begins in the midst of records that were taken before.
    pub fn warm_up(&mut self) {
        self.warms_up = true;
    }

    /// Whether points go on as they come.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.remembering.is_empty()
    }

    /// Whether what comes of a point may depend on earlier ones.
    pub fn remembers(&self) -> bool {
        !self.remembering.is_empty()
    }

    /// Whether the processors have what they need.
    pub fn ready(&self) -> Result<(), Refusal> {
        self.before.iter().chain(&self.remembering).try_for_each(Processor::ready)
    }

    /// Hands a point through the processors that remember nothing.
    pub fn pass(&mut self, at: At<'_>, point: Point<'_>, each: Next<'_>) -> Result<(), Refusal> {
        let moment = Moment { clock: point.timestamp, partition: at.1, offset: at.2 };
        let mut refused = None;
        hand(&mut self.before, &moment, point, &mut refused, each);
        refused.map_or(Ok(()), Err)
    }

    /// Begins to gather a record's points.
    pub fn begin_record(&mut self) {
        self.gathered.clear();
    }

    /// Keeps a point until its record, of this time, is complete.
    ///
    /// # Errors
    /// A refusal by a processor that remembers nothing, or because of its time. Nothing has been remembered
    /// then.
    pub fn gather(
        &mut self,
        at: At<'_>,
        produced: Option<Timestamp>,
        point: Point<'_>,
    ) -> Result<(), Refusal> {
        if let (Some(produced), Some(most)) = (produced, self.most_ahead)
            && point.timestamp > produced.plus(most)
        {
            return Err(rejected(
                ReasonKind::TooFarAhead,
                format!(
                    "the point's time is more than {} ahead of its record's own, so what comes afterwards would \
                 count as late (`max_ahead`)",
                    humantime::format_duration(most)
                ),
            ));
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        let passed = self.pass(at, point, &mut |point| {
            gathered.push(point.into_owned());
            Ok(())
        });
        self.gathered = gathered;
        passed
    }

    /// Takes what was gathered of a record, and hands what comes of it to `each`.
    ///
    /// # Errors
    /// The first refusal, of a processor or of `each`. It doesn't keep other points from being taken and
    /// handed out.
    pub fn end_record(&mut self, at: At<'_>, each: Next<'_>) -> Result<(), Refusal> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let (horizon, warm_up) = (self.horizon, self.warms_up.then_some(self.reach));
        let partition = self.partition(at.0, at.1);
        let taken = partition.take((at.1, at.2), &mut gathered, horizon, warm_up, each);
        let late = partition.take_late();
        if !partition.is_rebuilding() {
            self.late += late;
        }
        self.gathered = gathered;
        taken
    }

    fn partition(&mut self, topic: &str, number: i32) -> &mut Partition {
        let of_number = self.partitions.entry(number).or_default();
        let index = of_number.iter().position(|(name, _)| **name == *topic).unwrap_or_else(|| {
            of_number.push((topic.into(), Partition::new(&self.remembering, None)));
            of_number.len() - 1
        });
        &mut of_number[index].1
    }

    /// Remembers nothing of a partition, or what reading it from its hold on will rebuild.
    pub fn begin(&mut self, partition: &TopicPartition, committed: Option<NextOffset>) {
        self.forget(partition);
        let begun = Partition::new(&self.remembering, committed);
        self.partitions
            .entry(partition.partition)
            .or_default()
            .push((Arc::clone(&partition.topic), begun));
        self.rebuilding += usize::from(committed.and_then(NextOffset::hold).is_some());
    }

    /// Forgets a partition that is another worker's now.
    pub fn forget(&mut self, partition: &TopicPartition) {
        if let Some(of_number) = self.partitions.get_mut(&partition.partition) {
            let before = of_number.iter().filter(|(_, own)| own.is_rebuilding()).count();
            of_number.retain(|(topic, _)| *topic != partition.topic);
            let left = of_number.iter().filter(|(_, own)| own.is_rebuilding()).count();
            self.rebuilding -= before - left;
        }
    }

    /// What a record is for.
    pub fn phase(&mut self, at: At<'_>) -> Phase {
        if self.rebuilding == 0 {
            return Phase::Normal;
        }
        let partition = self.partition(at.0, at.1);
        let was = partition.is_rebuilding();
        let phase = partition.phase(at.2);
        self.rebuilding -= usize::from(was && phase == Phase::Normal);
        phase
    }

    /// Records before this offset are gone that were to be read next. Gives what is to be committed:
    /// nothing that is written already is written again.
    pub fn go_on_at(&mut self, partition: &TopicPartition, at: Offset) -> NextOffset {
        if !self.remembers() {
            return NextOffset::at(at);
        }
        self.partition(&partition.topic, partition.partition).go_on_at(at)
    }

    /// Where reading has to begin again to remember what is remembered of a partition now.
    pub fn hold(&self, topic: &str, number: i32) -> Option<Hold> {
        let of_number = self.partitions.get(&number)?;
        of_number.iter().find(|(name, _)| **name == *topic)?.1.hold()
    }

    /// Points that came after their window had closed, since this was asked last.
    pub fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }
}
