//! Series that came before: their labels as they are encoded, so that a point of a known series costs a
//! look and a copy.
//!
//! All of an item but its value and its time depends on the measurement, the tags, the fields' names and the
//! length of the timestamp alone. These are the key; equal keys have passed all checks of names and lengths.

use std::ops::Range;

use super::order::SeriesNumber;
use super::wire::{SAMPLE_TIMESTAMP, varint_len};
use crate::batch::{Item, OpenBatch};
use crate::hash::hash;
use crate::point::{Point, Value};
use crate::words::last_word;

/// The items of points that came before. Bounded: a key has a choice of [`WAYS`] places, and takes
/// another's where all are taken; 8 MiB at most, by the lengths below.
#[derive(Debug)]
pub(super) struct Known {
    seed: u64,
    places: Vec<Place>,
    /// Of the last point that was looked for.
    key: Vec<u64>,
    hash: u64,
}

/// One point's items.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    hash: u64,
    key: Vec<u64>,
    /// Whole, with the values and the time that they had when they were new.
    pub(super) bytes: Vec<u8>,
    pub(super) items: Vec<KnownItem>,
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

const WAYS: usize = 8;
const PLACES: usize = 2048;
/// What is longer is not kept: a key in words, items in bytes.
const LONGEST_KEY: usize = 128;
const LONGEST_ITEMS: usize = 2048;
/// The length of a time from 2004 to 2109: to copy so many bytes takes no call.
const COMMON_TIME: usize = 7;

impl Known {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, places: Vec::new(), key: Vec::new(), hash: 0 }
    }

    /// Forgets all points: the numbers of their series no longer hold.
    pub(super) fn clear(&mut self) {
        for place in &mut self.places {
            place.key.clear();
        }
    }

    /// Looks for a point's items. `Err` says whether they are to be kept: texts may become labels, and
    /// are not.
    pub(super) fn find(&mut self, point: &Point<'_>, timestamp: i64) -> Result<&Place, bool> {
        if self.take_key(point, timestamp).is_none() {
            return Err(false);
        }
        let (hash, key) = (self.hash, &self.key);
        let places = self.places.get(self.ways()).unwrap_or_default();
        places.iter().find(|place| place.hash == hash && place.key == *key).ok_or(true)
    }

    fn ways(&self) -> Range<usize> {
        let first = usize::try_from(self.hash % (PLACES / WAYS) as u64).unwrap_or_default() * WAYS;
        first..first + WAYS
    }

    /// `None` where there is none.
    fn take_key(&mut self, point: &Point<'_>, timestamp: i64) -> Option<()> {
        self.key.clear();
        // The number of tags, so that none looks like a field.
        let (tags, length) = (point.tags.len() as u64, varint_len(timestamp.cast_unsigned()));
        self.key.push(tags << 8 | length as u64);
        push_text(&mut self.key, &point.measurement);
        let mut hash = hash(self.seed, &[point.measurement.as_bytes()]);
        for (name, value) in &point.tags {
            push_text(&mut self.key, name);
            push_text(&mut self.key, value);
            hash = crate::hash::add(hash, value.as_bytes());
        }
        for (name, value) in &point.fields {
            if matches!(value, Value::String(_)) {
                return None;
            }
            push_text(&mut self.key, name);
        }
        // Names are few, and the key tells them apart. Points of other fields are mostly of another length, and
        // so in other places.
        self.hash = hash ^ (self.key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (self.key.len() <= LONGEST_KEY).then_some(())
    }

    /// Keeps the items of the point that was looked for last, which the batch has from `start` on.
    pub(super) fn learn(&mut self, batch: &OpenBatch, start: usize, series: &[Series]) {
        let first = start.checked_sub(1).map_or(0, |before| batch.items[before].end);
        let bytes = &batch.bytes[first as usize..];
        if bytes.len() > LONGEST_ITEMS {
            return;
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, Place::default());
        }
        let ways = self.ways();
        let Some(places) = self.places.get_mut(ways) else { return };
        let free = places.iter().position(|place| place.key.is_empty());
        // The upper half of the hash: the lower one has chosen the places.
        let taken = usize::try_from(self.hash >> 32).unwrap_or_default() % WAYS;
        let Some(known) = places.get_mut(free.unwrap_or(taken)) else { return };
        known.take_room(self.key.len(), bytes.len(), series.len());
        known.hash = self.hash;
        known.key.extend_from_slice(&self.key);
        known.bytes.extend_from_slice(bytes);
        let items = batch.items[start..].iter().zip(series);
        let known_item = |(Item { end, .. }, series): (&Item, &Series)| KnownItem {
            end: end - first,
            series: *series,
        };
        known.items.extend(items.map(known_item));
    }
}

impl Place {
    /// Forgets what it has, and makes room, with some to spare: points that take each other's place
    /// are to do without an allocation.
    fn take_room(&mut self, key: usize, bytes: usize, items: usize) {
        self.key.clear();
        self.key.reserve_exact(key.next_power_of_two().max(32));
        self.bytes.clear();
        self.bytes.reserve_exact(bytes.next_power_of_two().max(1024));
        self.items.clear();
        self.items.reserve_exact(items.next_power_of_two().max(8));
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

/// Its length and its words, as they are hashed: of texts of one length, each has words of its own.
#[inline]
fn push_text(key: &mut Vec<u64>, text: &str) {
    let mut rest = text.as_bytes();
    key.push(rest.len() as u64);
    while let Some((word, behind)) = rest.split_first_chunk::<8>()
        && !behind.is_empty()
    {
        key.push(u64::from_le_bytes(*word));
        rest = behind;
    }
    key.push(last_word(text.as_bytes()));
}
