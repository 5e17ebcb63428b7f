//! Series whose records come from several partitions: Kafka has no order between partitions, so such
//! a series' samples come in any order, too.
//!
//! Noticed, not prevented: the table remembers for some thousand series the partition that the last
//! sample came from, shared by the workers of a connector. Other processes' partitions are not seen.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::sources::Sources;

/// 64 KiB. Where there are more series, a place is taken by the last of those that share it, and
/// noticing takes longer.
const PLACES: usize = 8192;
/// Of a slot: the partition's number, a hash of its topic, and above them one of the series.
const NUMBER_BITS: u32 = 16;
const TOPIC_BITS: u32 = 8;
const ORIGIN_BITS: u32 = NUMBER_BITS + TOPIC_BITS;

/// Where the last sample of a series came from, and what else the encoders of all workers of a
/// connector know together.
#[derive(Debug)]
pub struct Origins {
    /// Of all encoders, so that their hashes are the same. Random, so that nobody can choose labels
    /// that make a map of hashes slow.
    pub(super) seed: u64,
    slots: Box<[AtomicU64]>,
    told: AtomicBool,
    /// What metrics are made of.
    pub(super) sources: Sources,
}

/// A series that has come from two partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpreadSeries {
    /// Its labels.
    pub series: String,
    /// `topic [number]`.
    pub partition: String,
    /// The number of the partition before, of the same topic unless it says otherwise.
    pub before: String,
}

/// A partition, as far as it goes into a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin(u64);

impl Default for Origins {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(PLACES).collect();
        let (seed, told) = (RandomState::new().hash_one(0), AtomicBool::new(false));
        Self { seed, slots, told, sources: Sources::default() }
    }
}

impl Origin {
    /// `topic` is a hash of its name.
    pub(super) fn new(topic: u64, number: i32) -> Self {
        let topic = topic >> (u64::BITS - TOPIC_BITS);
        // Numbers beyond 65535 repeat, which can only hide something.
        Self(topic << NUMBER_BITS | u64::from(number.cast_unsigned()) & 0xFFFF)
    }

    fn number(self) -> u64 {
        self.0 & 0xFFFF
    }

    fn topic(self) -> u64 {
        self.0 >> NUMBER_BITS
    }
}

impl Origins {
    /// Takes note of a sample of the series with this hash; returns where the one before came from,
    /// if that was another partition.
    pub(super) fn see(&self, series: u64, origin: Origin) -> Option<Origin> {
        let place = usize::try_from(series % PLACES as u64).unwrap_or_default();
        let slot = self.slots.get(place)?;
        // Never 0, which is an empty slot.
        let series = (series | 1 << ORIGIN_BITS) >> ORIGIN_BITS;
        let now = series << ORIGIN_BITS | origin.0;
        let before = slot.load(Ordering::Relaxed);
        if before == now {
            return None;
        }
        slot.store(now, Ordering::Relaxed);
        let is_same_series = before >> ORIGIN_BITS == series;
        is_same_series.then_some(Origin(before & ((1 << ORIGIN_BITS) - 1)))
    }

    /// For other hashes of the same texts.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether to tell of it: once for a connector.
    pub(super) fn is_news(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }
}

/// What to tell.
pub(super) fn describe(labels: &[u8], topic: &str, origin: Origin, before: Origin) -> SpreadSeries {
    let label = |(name, value): (&[u8], &[u8])| {
        format!("{}={:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    let series = super::read::labels(labels).map(label).collect::<Vec<_>>().join(", ");
    let other = if before.topic() == origin.topic() { "" } else { " of another topic" };
    SpreadSeries {
        series: format!("{{{series}}}"),
        partition: format!("{topic} [{}]", origin.number()),
        before: format!("[{}]{other}", before.number()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: u64 = 0xAB << 56;

    #[test]
    fn a_series_from_one_partition_is_no_news_and_from_two_is() {
        let origins = Origins::default();
        let (one, two) = (Origin::new(TOPIC, 1), Origin::new(TOPIC, 2));
        assert_eq!(origins.see(7 << 40, one), None);
        assert_eq!(origins.see(7 << 40, one), None);
        assert_eq!(origins.see(7 << 40, two), Some(one));
        assert_eq!(origins.see(7 << 40, two), None);
        assert_eq!(origins.see(7 << 40, Origin::new(0, 2)), Some(two));
        assert!(origins.is_news() && !origins.is_news());
    }

    #[test]
    fn two_series_that_share_a_place_are_told_apart() {
        let origins = Origins::default();
        for _ in 0..3 {
            for (series, number) in [(5, 1), (5 + (1 << 40), 2), (0, 3), (1 << 25, 4)] {
                assert_eq!(origins.see(series, Origin::new(TOPIC, number)), None, "{series}");
            }
        }
    }
}
