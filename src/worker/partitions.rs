//! The partitions that a worker owns now, and how far it has come in each.

use std::collections::HashMap;

use crate::kafka::{PartitionEnd, Place};
use crate::record::{Hold, NextOffset, Offset, TopicPartition};
use crate::watermark::Covers;
use crate::words::is_same;

/// Whose offsets this worker may commit.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    owned: ByIndex,
    /// By number first: most workers have many partitions of few topics.
    by_number: HashMap<i32, Vec<usize>>,
    /// The partition of the last record: records come in runs.
    last: usize,
    /// Partitions with records in the open batch.
    open: Vec<usize>,
    perhaps_repeat: bool,
    /// See [`Settings::repeats`](super::Settings::repeats).
    repeat_limit: usize,
}

/// A partition that is let go leaves a place for another. Not a map: it is asked several times for each record.
#[derive(Debug, Default)]
struct ByIndex(Vec<Option<Owned>>);

impl ByIndex {
    fn get(&self, index: usize) -> Option<&Owned> {
        self.0.get(index)?.as_ref()
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Owned> {
        self.0.get_mut(index)?.as_mut()
    }

    fn add(&mut self, owned: Owned) -> usize {
        let free = self.0.iter().position(Option::is_none);
        let index = free.unwrap_or(self.0.len());
        self.0.resize_with(self.0.len().max(index + 1), || None);
        self.0[index] = Some(owned);
        index
    }

    fn remove(&mut self, index: usize) {
        self.0[index] = None;
    }

    fn values(&self) -> impl Iterator<Item = &Owned> {
        self.0.iter().flatten()
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut Owned> {
        self.0.iter_mut().flatten()
    }
}

/// Whether a partition is read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    /// Some partition has no place to read on from; it may be this one.
    Perhaps,
    /// This one stands still.
    Certain,
}

#[derive(Debug)]
struct Owned {
    name: TopicPartition,
    /// The offset to be read next. `None` before the first record since the assignment.
    position: Option<Offset>,
    doubt: Doubt,
    /// It was not being fetched when last looked at.
    idle: bool,
    /// Offsets below this may have been written already: reading was set back behind it.
    repeat_below: Offset,
    /// The position after the last record in the open batch.
    open: Option<NextOffset>,
    /// The position that the last commit, sent or confirmed, stands for.
    durable: Option<NextOffset>,
    /// Records taken since the assignment, up to the repeat limit.
    taken: usize,
    /// What the group has committed of it has not been looked at.
    unread: bool,
    end: Option<PartitionEnd>,
}

impl Partitions {
    pub(super) fn new(repeat_limit: usize) -> Self {
        Self { repeat_limit, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.owned.values().count()
    }

    pub(super) fn names(&self) -> Vec<TopicPartition> {
        self.owned.values().map(|owned| owned.name.clone()).collect()
    }

    pub(super) fn add(&mut self, partitions: &[TopicPartition]) {
        for name in partitions {
            self.remove(name);
            let index = self.owned.add(Owned {
                name: name.clone(),
                position: None,
                doubt: Doubt::None,
                idle: false,
                repeat_below: Offset(0),
                open: None,
                durable: None,
                taken: 0,
                unread: true,
                end: None,
            });
            self.by_number.entry(name.partition).or_default().push(index);
        }
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        let Some(index) = self.find(&partition.topic, partition.partition) else {
            return;
        };
        self.owned.remove(index);
        self.open.retain(|open| *open != index);
        if let Some(indices) = self.by_number.get_mut(&partition.partition) {
            indices.retain(|other| *other != index);
        }
    }

    /// The index of an owned partition.
    pub(super) fn find(&mut self, topic: &str, number: i32) -> Option<usize> {
        let is_it = |owned: &Owned| {
            let TopicPartition { topic: known, partition } = &owned.name;
            *partition == number && is_same(known.as_bytes(), topic.as_bytes())
        };
        if self.owned.get(self.last).is_some_and(is_it) {
            return Some(self.last);
        }
        let indices = self.by_number.get(&number)?;
        let index = *indices.iter().find(|index| self.owned.get(**index).is_some_and(is_it))?;
        self.last = index;
        Some(index)
    }

    fn owned_mut(&mut self, partition: &TopicPartition) -> Option<&mut Owned> {
        let index = self.find(&partition.topic, partition.partition)?;
        self.owned.get_mut(index)
    }

    /// # Panics
    /// When the index is not of an owned partition.
    pub(super) fn name(&self, index: usize) -> &TopicPartition {
        let owned = self.owned.get(index);
        &owned.unwrap_or_else(|| panic!("partition {index} is not owned")).name
    }

    /// A record of this partition is in the open batch now, or needs nothing to be written. `hold` is
    /// what processors remember, with it.
    pub(super) fn taken(&mut self, index: usize, offset: Offset, hold: Option<Hold>) {
        let Some(owned) = self.owned.get_mut(index) else {
            return;
        };
        let next = NextOffset::after(offset).held(hold);
        owned.position = Some(Offset(next.get()));
        if owned.open.replace(next).is_none() {
            self.open.push(index);
        }
        if owned.taken < self.repeat_limit {
            owned.taken += 1;
            self.perhaps_repeat = true;
        } else if offset < owned.repeat_below {
            self.perhaps_repeat = true;
        }
    }

    /// A record of this partition was read again, and all that comes of it is written.
    pub(super) fn passed(&mut self, index: usize, offset: Offset) {
        if let Some(owned) = self.owned.get_mut(index) {
            owned.position = Some(Offset(NextOffset::after(offset).get()));
        }
    }

    /// Partitions of which it isn't known what the group has committed.
    pub(super) fn unread(&self) -> Vec<TopicPartition> {
        let unread = self.owned.values().filter(|owned| owned.unread);
        unread.map(|owned| owned.name.clone()).collect()
    }

    pub(super) fn is_unread(&mut self, partition: &TopicPartition) -> bool {
        self.owned_mut(partition).is_some_and(|owned| owned.unread)
    }

    /// What the group has committed of a partition is known.
    pub(super) fn read(&mut self, partition: &TopicPartition, committed: Option<NextOffset>) {
        if let Some(owned) = self.owned_mut(partition) {
            owned.unread = false;
            owned.durable = owned.durable.or(committed);
        }
    }

    /// Reading goes on at this offset. The open batch stands for all before `next`.
    pub(super) fn placed(&mut self, partition: &TopicPartition, at: Offset, next: NextOffset) {
        let Some(index) = self.find(&partition.topic, partition.partition) else {
            return;
        };
        let Some(owned) = self.owned.get_mut(index) else {
            return;
        };
        owned.position = Some(at);
        if owned.open.replace(next).is_none() {
            self.open.push(index);
        }
    }

    /// Another history of the partition begins: nothing of the old one may be committed. All that
    /// stands below `repeat_below` may be in the database already.
    pub(super) fn begin_anew(&mut self, partition: &TopicPartition, repeat_below: Offset) {
        self.add(std::slice::from_ref(partition));
        if let Some(owned) = self.owned_mut(partition) {
            owned.repeat_below = repeat_below;
        }
    }

    /// Any of the partitions may have no place to read on from.
    pub(super) fn doubt_all(&mut self) {
        for owned in self.owned.values_mut().filter(|owned| owned.doubt == Doubt::None) {
            owned.doubt = Doubt::Perhaps;
        }
    }

    /// Takes in which partitions are not being fetched. One that was not the last time, either,
    /// stands still; once may be its start.
    pub(super) fn take_idle(&mut self, idle: &[TopicPartition]) {
        for owned in self.owned.values_mut() {
            let was = std::mem::replace(&mut owned.idle, idle.contains(&owned.name));
            if was && owned.idle {
                owned.doubt = Doubt::Certain;
            }
        }
    }

    /// What is known of this partition's place now; it is looked at anew from here on.
    pub(super) fn settle(&mut self, partition: &TopicPartition) -> (Option<Offset>, Doubt) {
        let Some(owned) = self.owned_mut(partition) else {
            return (None, Doubt::None);
        };
        owned.idle = false;
        (owned.position, std::mem::replace(&mut owned.doubt, Doubt::None))
    }

    pub(super) fn in_doubt(&self) -> Vec<TopicPartition> {
        let in_doubt = self.owned.values().filter(|owned| owned.doubt != Doubt::None);
        in_doubt.map(|owned| owned.name.clone()).collect()
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.owned.values().map(|owned| (owned.name.clone(), owned.position)).collect()
    }

    /// The offsets that the open batch stands for; the next batch begins.
    pub(super) fn take_covers(&mut self) -> Covers {
        let mut covers = Covers::new();
        for index in self.open.drain(..) {
            if let Some(owned) = self.owned.get_mut(index) {
                covers.extend(owned.open.take().map(|next| (owned.name.clone(), next)));
            }
        }
        covers
    }

    /// Whether a record since the last call may have been written by its partition's last owner.
    pub(super) fn take_perhaps_repeat(&mut self) -> bool {
        std::mem::take(&mut self.perhaps_repeat)
    }

    /// These offsets are on their way to be committed.
    pub(super) fn durable(&mut self, offsets: &Covers) {
        for (partition, next) in offsets {
            if let Some(owned) = self.owned_mut(partition) {
                owned.durable = Some(*next);
            }
        }
    }

    /// What has to be committed again after a commit has failed.
    pub(super) fn durable_offsets(&self) -> Covers {
        self.owned.values().filter_map(|o| Some((o.name.clone(), o.durable?))).collect()
    }

    /// Takes in where partitions end.
    pub(super) fn take_ends(&mut self, ends: &[PartitionEnd]) {
        for end in ends {
            if let Some(owned) = self.owned_mut(&end.partition) {
                owned.end = Some(end.clone());
            }
        }
    }

    /// Records between what is durable and the ends, over all partitions.
    pub(super) fn lag(&self) -> usize {
        self.owned.values().map(Owned::lag).sum()
    }

    /// The same of each partition.
    pub(super) fn lags(&self) -> impl Iterator<Item = (TopicPartition, usize)> {
        self.owned.values().map(|owned| (owned.name.clone(), owned.lag()))
    }
}

impl Owned {
    fn lag(&self) -> usize {
        let Some(end) = &self.end else { return 0 };
        let durable = self.durable.map(NextOffset::get);
        let mut done = durable.unwrap_or(end.committed.0);
        // When all records that were taken are done, so is what was polled besides: it is none.
        if self.position.map(|position| position.0) == durable {
            done = done.max(end.polled.0);
        }
        usize::try_from(end.end.0 - done).unwrap_or(0)
    }
}
