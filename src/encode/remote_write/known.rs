//! Series that came before: their labels as they are encoded, so that a point of a known series costs a
//! look and a copy.
//!
//! What an item has before its value depends on the measurement, the tags, the fields' names and the
//! length of the timestamp alone. These are the key; equal keys have passed all checks of names and lengths.

use std::ops::Range;

use super::wire::{SAMPLE_TIMESTAMP, push_varint, varint_len};
use crate::batch::{Item, OpenBatch};
use crate::hash::hash;
use crate::point::{Point, Value};

/// The items of points that came before. Bounded: a key has a choice of [`WAYS`] places, and takes
/// another's where all are taken; 5 MiB at most, by the lengths below.
#[derive(Debug)]
pub(super) struct Known {
    seed: u64,
    places: Vec<Place>,
    /// Of the last point that was looked for.
    key: Vec<u8>,
    hash: u64,
}

/// One point's items, up to the values.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    hash: u64,
    key: Vec<u8>,
    bytes: Vec<u8>,
    /// Where each item ends in `bytes`, and the hash of its series.
    items: Vec<(usize, u64)>,
}

const WAYS: usize = 8;
const PLACES: usize = 2048;
/// What is longer is not kept, in bytes.
const LONGEST_KEY: usize = 512;
const LONGEST_ITEMS: usize = 2048;
/// Behind the labels of an item: the value, and the header of the timestamp.
const VALUE: usize = 9;

impl Known {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, places: Vec::new(), key: Vec::new(), hash: 0 }
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
        self.key.push(varint_len(timestamp.cast_unsigned()).to_le_bytes()[0]);
        // Their number, so that no tag looks like a field.
        self.key.push(u8::try_from(point.tags.len()).ok()?);
        push_text(&mut self.key, &point.measurement);
        for (name, value) in &point.tags {
            push_text(&mut self.key, name);
            push_text(&mut self.key, value);
        }
        for (name, value) in &point.fields {
            if matches!(value, Value::String(_)) {
                return None;
            }
            push_text(&mut self.key, name);
        }
        if self.key.len() > LONGEST_KEY {
            return None;
        }
        self.hash = hash(self.seed, &[&self.key]);
        Some(())
    }

    /// Keeps the items of the point that was looked for last, which the batch has from `start` on, each with
    /// the hash of its series.
    pub(super) fn learn(&mut self, batch: &OpenBatch, start: usize, series: &[u64]) {
        let first = start.checked_sub(1).map_or(0, |before| batch.items[before].end as usize);
        if batch.bytes.len() - first > LONGEST_ITEMS {
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
        known.take_room(self.key.len(), batch.bytes.len() - first, series.len());
        known.hash = self.hash;
        known.key.extend_from_slice(&self.key);
        let after = VALUE + usize::from(self.key[0]);
        let mut start_of_item = first;
        for (Item { end, .. }, series) in batch.items[start..].iter().zip(series) {
            let end = *end as usize;
            known.bytes.extend_from_slice(&batch.bytes[start_of_item..end - after]);
            known.items.push((known.bytes.len(), *series));
            start_of_item = end;
        }
    }
}

impl Place {
    /// Forgets what it has, and makes room, with some to spare: points that take each other's place
    /// are to do without an allocation.
    fn take_room(&mut self, key: usize, bytes: usize, items: usize) {
        self.key.clear();
        self.key.reserve_exact(key.next_power_of_two().max(128));
        self.bytes.clear();
        self.bytes.reserve_exact(bytes.next_power_of_two().max(1024));
        self.items.clear();
        self.items.reserve_exact(items.next_power_of_two().max(8));
    }

    /// Each item up to its value, and the hash of its series, in the order of the fields.
    pub(super) fn items(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let mut start = 0;
        self.items.iter().map(move |(end, series)| {
            let item = &self.bytes[start..*end];
            start = *end;
            (item, *series)
        })
    }
}

/// Appends what an item has from its value on.
pub(super) fn push_rest(out: &mut Vec<u8>, value: f64, timestamp: i64) {
    out.extend_from_slice(&value.to_le_bytes());
    out.push(SAMPLE_TIMESTAMP);
    push_varint(out, timestamp.cast_unsigned());
}

/// With its length in front, so that no two lists of texts look the same.
fn push_text(key: &mut Vec<u8>, text: &str) {
    // Longer keys are not kept, so that a length that doesn't fit two bytes is never looked at again.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key.extend_from_slice(&length.to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}
