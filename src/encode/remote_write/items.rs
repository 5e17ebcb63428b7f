//! The items of points that came before, as they are encoded: another of the same series costs a copy.
//!
//! All of an item but its value and its time depends on the measurement, the tags, the fields' names and the
//! length of the timestamp alone. What was encoded has passed all checks of names and lengths.

use super::order::{Numbering, SeriesNumber};
use super::wire::SAMPLE_TIMESTAMP;
use crate::batch::{Item, OpenBatch};
use crate::encode::known::make_room;

/// What is known of one point's items. They are kept whole, with the values and the time that they had when they were
/// new.
#[derive(Debug, Clone, Default)]
pub(super) struct Items {
    pub(super) each: Vec<KnownItem>,
    /// Of the series' numbers.
    numbering: Numbering,
    /// The length of the time.
    time: usize,
}

/// An item of a point that came before, in the order of the fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownItem {
    /// Where it ends among the bytes of the point.
    pub(super) end: u32,
    pub(super) series: Series,
}

/// A series' hash, and its number in the order of the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    pub(super) hash: u64,
    pub(super) number: SeriesNumber,
}

/// Longer items are not kept, in bytes.
const LONGEST: usize = 2048;
/// The length of a time from 2004 to 2109: to copy so many bytes takes no call.
const COMMON_TIME: usize = 7;

impl Items {
    /// The bytes of a batch's items from `start` on, unless they are too long to be kept.
    pub(super) fn kept(batch: &OpenBatch, start: usize) -> Option<&[u8]> {
        let first = start.checked_sub(1).map_or(0, |before| batch.items[before].end);
        Some(&batch.bytes[first as usize..]).filter(|bytes| bytes.len() <= LONGEST)
    }

    /// Takes the items that have so many bytes at the end of a batch, whose series are numbered so, and whose time
    /// has this length.
    pub(super) fn refill(
        &mut self,
        len: usize,
        items: &[Item],
        series: &[Series],
        numbering: Numbering,
        time: usize,
    ) {
        let before = items.last().map_or(0, |item| item.end as usize) - len;
        let known_item = |(Item { end, .. }, series): (&Item, &Series)| KnownItem {
            end: u32::try_from(*end as usize - before).unwrap_or(u32::MAX),
            series: *series,
        };
        make_room(&mut self.each, items.len());
        self.each.extend(items.iter().zip(series).map(known_item));
        (self.numbering, self.time) = (numbering, time);
    }

    /// Whether the numbers of the series still hold, and a time of this length fits.
    #[inline]
    pub(super) fn hold(&self, numbering: Numbering, time: usize) -> bool {
        self.numbering == numbering && self.time == time
    }
}

/// The time of a point's samples, as it ends their items.
#[derive(Debug)]
pub(super) struct Time {
    bytes: [u8; 11],
    len: usize,
}

impl Time {
    pub(super) fn new(timestamp: i64) -> Self {
        let mut bytes = [SAMPLE_TIMESTAMP; 11];
        let mut rest = timestamp.cast_unsigned();
        let mut len = 1;
        for byte in &mut bytes[1..] {
            len += 1;
            *byte = rest.to_le_bytes()[0] | 0x80;
            rest >>= 7;
            if rest == 0 {
                *byte &= 0x7F;
                break;
            }
        }
        Self { bytes, len }
    }

    /// Puts a value and this time at the end of an item, in the place of others of the same length.
    #[inline]
    pub(super) fn put(&self, item: &mut [u8], value: f64) {
        let time = &self.bytes[..self.len];
        let (rest, place) = item.split_at_mut(item.len() - time.len());
        match (time.as_array::<COMMON_TIME>(), place.as_mut_array()) {
            (Some(time), Some(place)) => *place = *time,
            _ => place.copy_from_slice(time),
        }
        if let Some(place) = rest.last_chunk_mut() {
            *place = value.to_le_bytes();
        }
    }
}
