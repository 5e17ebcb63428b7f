//! The partitions that a worker owns now, and how far it has come in each.

use std::collections::HashMap;

use crate::kafka::PartitionEnd;
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::watermark::Covers;

/// Whose offsets this worker may commit.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    owned: HashMap<usize, Owned>,
    /// By number first: most workers have many partitions of few topics.
    by_number: HashMap<i32, Vec<usize>>,
    next_index: usize,
    /// The partition of the last record: records come in runs.
    last: usize,
    /// Partitions with records in the open batch.
    open: Vec<usize>,
    perhaps_repeat: bool,
    /// After an assignment, this many records may have been written already by the last owner, who
    /// had no time to commit: an ordered sink's worker commits each batch before it writes the next,
    /// and when a drain ends at its deadline, one more batch may be open.
    repeat_limit: usize,
}

#[derive(Debug)]
struct Owned {
    name: TopicPartition,
    /// The position after the last record in the open batch.
    open: Option<NextOffset>,
    /// The position that the last commit, sent or confirmed, stands for.
    durable: Option<NextOffset>,
    /// Records taken since the assignment, up to the repeat limit.
    taken: usize,
    end: Option<PartitionEnd>,
}

impl Partitions {
    pub(super) fn new(repeat_limit: usize) -> Self {
        Self { repeat_limit, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.owned.len()
    }

    pub(super) fn names(&self) -> Vec<TopicPartition> {
        self.owned.values().map(|owned| owned.name.clone()).collect()
    }

    pub(super) fn add(&mut self, partitions: &[TopicPartition]) {
        for name in partitions {
            self.remove(name);
            let index = self.next_index;
            self.next_index += 1;
            self.by_number.entry(name.partition).or_default().push(index);
            self.owned.insert(
                index,
                Owned { name: name.clone(), open: None, durable: None, taken: 0, end: None },
            );
        }
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        let Some(index) = self.find(&partition.topic, partition.partition) else {
            return;
        };
        self.owned.remove(&index);
        self.open.retain(|open| *open != index);
        if let Some(indices) = self.by_number.get_mut(&partition.partition) {
            indices.retain(|other| *other != index);
        }
    }

    /// The index of an owned partition.
    pub(super) fn find(&mut self, topic: &str, number: i32) -> Option<usize> {
        let is_it = |owned: &Owned| owned.name.partition == number && &*owned.name.topic == topic;
        if self.owned.get(&self.last).is_some_and(is_it) {
            return Some(self.last);
        }
        let indices = self.by_number.get(&number)?;
        let index = *indices.iter().find(|index| self.owned.get(index).is_some_and(is_it))?;
        self.last = index;
        Some(index)
    }

    fn owned_mut(&mut self, partition: &TopicPartition) -> Option<&mut Owned> {
        let index = self.find(&partition.topic, partition.partition)?;
        self.owned.get_mut(&index)
    }

    /// # Panics
    /// When the index is not of an owned partition.
    pub(super) fn name(&self, index: usize) -> &TopicPartition {
        &self.owned[&index].name
    }

    /// A record of this partition is in the open batch now, or needs nothing to be written.
    pub(super) fn taken(&mut self, index: usize, offset: Offset) {
        let Some(owned) = self.owned.get_mut(&index) else {
            return;
        };
        if owned.open.replace(NextOffset::after(offset)).is_none() {
            self.open.push(index);
        }
        if owned.taken < self.repeat_limit {
            owned.taken += 1;
            self.perhaps_repeat = true;
        }
    }

    /// The offsets that the open batch stands for; the next batch begins.
    pub(super) fn take_covers(&mut self) -> Covers {
        let mut covers = Covers::new();
        for index in self.open.drain(..) {
            if let Some(owned) = self.owned.get_mut(&index) {
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

    /// Takes in where partitions end; returns the lag.
    pub(super) fn take_ends(&mut self, ends: &[PartitionEnd]) -> usize {
        for end in ends {
            if let Some(owned) = self.owned_mut(&end.partition) {
                owned.end = Some(end.clone());
            }
        }
        self.lag()
    }

    /// Records between what is durable and the ends, over all partitions.
    pub(super) fn lag(&self) -> usize {
        self.owned.values().map(Owned::lag).sum()
    }
}

impl Owned {
    fn lag(&self) -> usize {
        let Some(end) = &self.end else { return 0 };
        let done = self.durable.map_or(end.committed.0, NextOffset::get);
        usize::try_from(end.end.0 - done).unwrap_or(0)
    }
}
