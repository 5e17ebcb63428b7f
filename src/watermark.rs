//! The watermark: the ordered queue of batches in flight, and from it the offsets to commit.
//!
//! An offset is committable when every batch up to its own is done. So the queue itself is the
//! tracker, and no record's offset is kept on its own.

use std::collections::{BTreeMap, VecDeque};

use crate::record::{NextOffset, TopicPartition};

/// Names a batch for as long as it is in flight; never used twice by one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(u64);

/// Offsets, one a partition: the position after the last record that a batch stands for.
pub type Covers = BTreeMap<TopicPartition, NextOffset>;

/// Batches in the order of their records, each with what its owner (`T`) keeps until it is done.
#[derive(Debug)]
pub struct Watermark<T> {
    batches: VecDeque<Entry<T>>,
    /// The id of the queue's first batch; ids in the queue are contiguous.
    first: u64,
    committable: Covers,
}

#[derive(Debug)]
struct Entry<T> {
    covers: Covers,
    /// `None` once the batch is done and waits for those before it.
    kept: Option<T>,
}

impl<T> Default for Watermark<T> {
    fn default() -> Self {
        Self { batches: VecDeque::new(), first: 0, committable: Covers::new() }
    }
}

impl<T> Watermark<T> {
    /// Appends a batch. Its offsets must be after those of every batch before it.
    pub fn push(&mut self, covers: Covers, kept: T) -> BatchId {
        self.batches.push_back(Entry { covers, kept: Some(kept) });
        BatchId(self.first + self.batches.len() as u64 - 1)
    }

    /// What is kept for a batch, and its offsets. `None` when it is done.
    pub fn get_mut(&mut self, id: BatchId) -> Option<(&mut T, &Covers)> {
        let index = usize::try_from(id.0.checked_sub(self.first)?).ok()?;
        let entry = self.batches.get_mut(index)?;
        entry.kept.as_mut().map(|kept| (kept, &entry.covers))
    }

    /// Marks a batch as done and hands back what was kept for it. The watermark moves over it when
    /// all before it are done.
    pub fn done(&mut self, id: BatchId) -> Option<T> {
        let index = usize::try_from(id.0.checked_sub(self.first)?).ok()?;
        let kept = self.batches.get_mut(index)?.kept.take();
        while self.batches.front().is_some_and(|entry| entry.kept.is_none()) {
            if let Some(entry) = self.batches.pop_front() {
                self.committable.extend(entry.covers);
                self.first += 1;
            }
        }
        kept
    }

    /// Forgets a partition that this worker no longer owns: whatever is acknowledged later for it
    /// can't be committed, because nothing remembers its offsets.
    pub fn forget(&mut self, partition: &TopicPartition) {
        self.committable.remove(partition);
        for entry in &mut self.batches {
            entry.covers.remove(partition);
        }
    }

    /// The offsets that may be committed now and were not handed out yet.
    pub fn take_committable(&mut self) -> Covers {
        std::mem::take(&mut self.committable)
    }

    /// Takes back offsets whose commit failed, unless newer ones have come since.
    pub fn put_back(&mut self, offsets: Covers) {
        for (partition, offset) in offsets {
            self.committable.entry(partition).or_insert(offset);
        }
    }

    pub fn has_committable(&self) -> bool {
        !self.committable.is_empty()
    }

    /// Batches not yet passed by the watermark, including those that are done and wait for others.
    pub fn in_flight(&self) -> usize {
        self.batches.len()
    }

    /// As [`Watermark::kept`], to be changed.
    pub fn kept_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.batches.iter_mut().filter_map(|entry| entry.kept.as_mut())
    }

    /// What is kept for the batches that are not done, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &T> {
        self.batches.iter().filter_map(|entry| entry.kept.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Offset;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    fn covers(offsets: &[(i32, i64)]) -> Covers {
        offsets.iter().map(|&(p, last)| (partition(p), NextOffset::after(Offset(last)))).collect()
    }

    #[test]
    fn a_later_batch_waits_for_an_earlier_one() {
        let mut watermark = Watermark::default();
        let first = watermark.push(covers(&[(0, 9)]), "first");
        let second = watermark.push(covers(&[(0, 19), (1, 4)]), "second");
        assert_eq!(watermark.done(second), Some("second"));
        assert!(!watermark.has_committable());
        assert_eq!(watermark.done(first), Some("first"));
        assert_eq!(watermark.take_committable(), covers(&[(0, 19), (1, 4)]));
        assert_eq!(watermark.in_flight(), 0);
    }

    #[test]
    fn a_batch_acknowledged_after_its_partition_was_lost_commits_nothing_of_it() {
        let mut watermark = Watermark::default();
        let batch = watermark.push(covers(&[(0, 9), (1, 9)]), ());
        watermark.forget(&partition(0));
        watermark.done(batch);
        assert_eq!(watermark.take_committable(), covers(&[(1, 9)]));
    }

    #[test]
    fn a_failed_commit_does_not_overwrite_newer_offsets() {
        let mut watermark = Watermark::<()>::default();
        let batch = watermark.push(covers(&[(0, 9), (1, 5)]), ());
        watermark.done(batch);
        let sent = watermark.take_committable();
        let batch = watermark.push(covers(&[(0, 19)]), ());
        watermark.done(batch);
        watermark.put_back(sent);
        assert_eq!(watermark.take_committable(), covers(&[(0, 19), (1, 5)]));
    }

    #[test]
    fn a_batch_is_done_once() {
        let mut watermark = Watermark::default();
        let id = watermark.push(covers(&[(0, 1)]), 7);
        assert_eq!(watermark.done(id), Some(7));
        assert_eq!(watermark.done(id), None);
        assert!(watermark.get_mut(id).is_none());
    }

    proptest! {
        /// Whatever the order in which batches end, what is committable is exactly the run of done
        /// batches from the start.
        #[test]
        fn only_the_contiguous_run_of_done_batches_is_committable(
            order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle()
        ) {
            let mut watermark = Watermark::default();
            let ids: Vec<_> = (0..12).map(|n| watermark.push(covers(&[(0, n * 10)]), ())).collect();
            let mut done = [false; 12];
            let mut committed = None;
            for index in order {
                watermark.done(ids[index]);
                done[index] = true;
                if let Some(offset) = watermark.take_committable().get(&partition(0)) {
                    committed = Some(offset.get());
                }
                let run = done.iter().take_while(|done| **done).count();
                let expected = i64::try_from(run).unwrap().checked_sub(1).filter(|last| *last >= 0).map(|last| last * 10 + 1);
                prop_assert_eq!(committed, expected);
            }
        }
    }
}
