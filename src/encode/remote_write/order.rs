//! The order of a batch's samples: every series' in ascending time, one for a moment.
//!
//! Prometheus checks a request's samples against what it has stored, not against each other, and
//! silently drops at the commit what is out of order within the request: seen with 2.42, which
//! answered 204 to two samples of one series in descending order and stored one of them (the same
//! for two values at one time). So the order within a batch is made here.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::read;
use crate::batch::{Item, OpenBatch};
use crate::hash::hash;

/// Series that have a number, before all numbers are given anew: about 2 MiB.
const MOST_SERIES: usize = 1 << 15;

/// Notices samples that aren't later than the last of their series in this batch.
///
/// Series are told apart by a hash: two that share one look like one, which can only make a batch
/// seem out of order that isn't, and sorting it then changes nothing for the database.
#[derive(Debug)]
pub(super) struct SeriesOrder {
    /// By hash. They outlive the batch, so that who knows a series' number need not look for it.
    numbers: HashMap<u64, SeriesNumber, BuildHasherDefault<HashedAlready>>,
    /// By number.
    last: Vec<Last>,
    numbering: Numbering,
    /// The number of the open batch.
    batch: u64,
    broken: bool,
    seed: u64,
}

/// A series, as long as the [`Numbering`] is the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesNumber(u32);

/// How often numbers have been given anew. None is as by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Numbering(u64);

/// The last sample of a series.
#[derive(Debug, Clone, Copy)]
struct Last {
    batch: u64,
    timestamp: i64,
}

impl SeriesOrder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            numbers: HashMap::default(),
            last: Vec::new(),
            numbering: Numbering(1),
            batch: 1,
            broken: false,
            seed,
        }
    }

    /// Forgets the batch; keeps the memory, and the numbers of series unless there are too many.
    pub(super) fn clear(&mut self) {
        self.batch += 1;
        self.broken = false;
        if self.last.len() > MOST_SERIES {
            self.numbers.clear();
            self.last.clear();
            self.numbering.0 += 1;
        }
    }

    /// A series' number holds while this is the same.
    #[inline]
    pub(super) fn numbering(&self) -> Numbering {
        self.numbering
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The number of the series with this hash.
    pub(super) fn number(&mut self, series: u64) -> SeriesNumber {
        // A batch has far fewer items than 2³².
        let next = SeriesNumber(u32::try_from(self.last.len()).unwrap_or(u32::MAX));
        *self.numbers.entry(series).or_insert_with(|| {
            self.last.push(Last { batch: 0, timestamp: 0 });
            next
        })
    }

    /// Takes note of the next sample of a series.
    #[inline]
    pub(super) fn see(&mut self, series: SeriesNumber, timestamp: i64) {
        let Some(last) = self.last.get_mut(series.0 as usize) else {
            debug_assert!(false, "numbers are forgotten when they no longer hold");
            return;
        };
        self.broken |= last.batch == self.batch && timestamp <= last.timestamp;
        *last = Last { batch: self.batch, timestamp };
    }

    /// A hash of the parts.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> u64 {
        hash(self.seed, parts)
    }
}

/// The keys are hashes.
#[derive(Debug, Default)]
pub(super) struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// One item, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sample<'a> {
    timestamp: i64,
    /// The labels' encoded bytes, which are the series.
    labels: &'a [u8],
    /// Its place in the batch: that of its record, then that of its field.
    index: usize,
}

/// Sorts the items by time and keeps the last of those with equal series and time.
///
/// That is the later record's, so the outcome depends on the records alone. An item that is left out
/// is not lost to the watermark: its record is among those that the batch covers, and is settled
/// with the item that stays, because a database judges a sample by its series and time, which are
/// the same. (Another value at a time that is stored already is refused, but then that time has its
/// value.) A database can hold one of them only.
pub(super) fn restore(batch: &mut OpenBatch) {
    let Some(mut samples) = samples(batch) else {
        debug_assert!(false, "every item was written by push_series");
        return;
    };
    samples.sort_unstable();
    let mut bytes = Vec::with_capacity(batch.bytes.len());
    let mut items = Vec::with_capacity(batch.items.len());
    for (at, sample) in samples.iter().enumerate() {
        let next = samples.get(at + 1);
        if next.is_some_and(|n| (n.timestamp, n.labels) == (sample.timestamp, sample.labels)) {
            continue;
        }
        let start = start_of(&batch.items, sample.index);
        let Item { end, record } = batch.items[sample.index];
        bytes.extend_from_slice(&batch.bytes[start..end as usize]);
        // Not more bytes than before, which fitted.
        items.push(Item { end: u32::try_from(bytes.len()).unwrap_or(u32::MAX), record });
    }
    batch.bytes = bytes;
    batch.items = items;
}

fn samples(batch: &OpenBatch) -> Option<Vec<Sample<'_>>> {
    let item = |(index, item): (usize, &Item)| {
        let bytes = &batch.bytes[start_of(&batch.items, index)..item.end as usize];
        read::sample(bytes).map(|(labels, timestamp)| Sample { timestamp, labels, index })
    };
    batch.items.iter().enumerate().map(item).collect()
}

fn start_of(items: &[Item], index: usize) -> usize {
    index.checked_sub(1).map_or(0, |before| items[before].end as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The times of series in batch after batch, against a map that each batch begins with.
        #[test]
        fn a_batch_is_broken_when_a_sample_is_not_later_than_the_last_of_its_series(
            batches in prop::collection::vec(prop::collection::vec((0u64..4, -3i64..12), 0..5), 1..6),
        ) {
            let mut order = SeriesOrder::new(7);
            for samples in batches {
                let (mut last, mut broken) = (HashMap::new(), false);
                for (series, timestamp) in samples {
                    let number = order.number(series);
                    order.see(number, timestamp);
                    let before = last.insert(series, timestamp);
                    broken |= before.is_some_and(|before| timestamp <= before);
                }
                prop_assert_eq!(order.is_broken(), broken);
                order.clear();
                prop_assert_eq!(order.numbering(), Numbering(1));
            }
        }
    }

    #[test]
    fn numbers_of_series_hold_until_there_are_too_many() {
        let mut order = SeriesOrder::new(7);
        for series in 0..MOST_SERIES as u64 {
            order.number(series);
        }
        order.clear();
        assert_eq!((order.numbering(), order.number(0).0), (Numbering(1), 0));
        order.number(u64::MAX);
        order.clear();
        assert_eq!(order.numbering(), Numbering(2));
        assert_eq!((order.number(u64::MAX).0, order.number(0).0), (0, 1));
    }
}
