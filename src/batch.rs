//! A batch: encoded points, where each ends, and which record each came from.
//!
//! Both families of databases take a concatenation of independently encoded items (a line of line
//! protocol, a `TimeSeries` of remote write), so any run of items is a valid request body: a split
//! after `413` or a bisection after a rejection is a slice and encodes nothing again.

mod parts;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::route::Destination;

pub use parts::{OpenPart, OpenParts};

/// The index of a record among those that its batch keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordIndex(pub u32);

/// One encoded item: a line, or a series with one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Where the item ends in the batch's bytes.
    pub end: u32,
    pub record: RecordIndex,
}

/// Encoded items that are still being collected.
#[derive(Debug, Default)]
pub struct OpenBatch {
    pub bytes: Vec<u8>,
    pub items: Vec<Item>,
}

impl OpenBatch {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Ends an item that an encoder has just written to `bytes`.
    ///
    /// # Panics
    /// When a batch grows past 4 GiB, which the batch limits (at most 64 MiB plus one record) exclude.
    pub fn end_item(&mut self, record: RecordIndex) {
        self.end_item_at(self.bytes.len(), record);
    }

    /// Ends an item of several that an encoder has just written to `bytes`.
    pub(crate) fn end_item_at(&mut self, end: usize, record: RecordIndex) {
        let end = u32::try_from(end);
        debug_assert!(end.is_ok(), "a batch's limit is far below 4 GiB");
        self.items.push(Item { end: end.unwrap_or(u32::MAX), record });
    }

    /// Takes back what was encoded of a record that turned out to be unwritable.
    pub fn truncate(&mut self, items: usize) {
        self.items.truncate(items);
        self.bytes.truncate(self.items.last().map_or(0, |item| item.end as usize));
    }

    /// The finished batch, leaving this one empty and with room for another of its size: growing to
    /// it anew would copy every byte about twice.
    pub fn close(&mut self) -> Batch {
        let room = Vec::with_capacity(self.bytes.len());
        let bytes = std::mem::replace(&mut self.bytes, room);
        let items: Arc<[Item]> = self.items.as_slice().into();
        self.items.clear();
        let destination = Destination::default();
        Batch { range: 0..items.len(), bytes: Bytes::from(bytes), items, destination }
    }
}

/// A run of encoded items. Cheap to clone and to slice: the bytes are shared.
#[derive(Debug, Clone)]
pub struct Batch {
    bytes: Bytes,
    items: Arc<[Item]>,
    range: Range<usize>,
    destination: Destination,
}

impl Batch {
    /// No items, for a write of nothing.
    pub fn empty() -> Self {
        OpenBatch::default().close()
    }

    /// The same items, for another destination.
    pub fn to(self, destination: Destination) -> Self {
        Self { destination, ..self }
    }

    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The request body, uncompressed.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.start_of(self.range.start)..self.start_of(self.range.end))
    }

    /// The record that an item of this batch came from.
    ///
    /// # Panics
    /// When `item` is not below [`Batch::len`].
    pub fn record(&self, item: usize) -> RecordIndex {
        self.items[self.range.clone()][item].record
    }

    /// A run of this batch's items.
    ///
    /// # Panics
    /// When `items` reaches beyond [`Batch::len`].
    pub fn slice(&self, items: Range<usize>) -> Self {
        assert!(items.end <= self.len(), "a slice of a batch lies within it");
        let range = self.range.start + items.start..self.range.start + items.end;
        Self { range, ..self.clone() }
    }

    /// The batch in two, in order. `None` when it has fewer than two items.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.len() / 2;
        (middle > 0).then(|| (self.slice(0..middle), self.slice(middle..self.len())))
    }

    /// The encoded bytes of one item.
    ///
    /// # Panics
    /// When `item` is not below [`Batch::len`].
    pub fn item(&self, item: usize) -> &[u8] {
        assert!(item < self.len(), "an item of a batch lies within it");
        let item = self.range.start + item;
        &self.bytes[self.start_of(item)..self.start_of(item + 1)]
    }

    /// The given items (ascending indices) as a batch of their own: their bytes are copied, and
    /// nothing is encoded again.
    ///
    /// # Panics
    /// When an item is not below [`Batch::len`].
    pub fn only(&self, items: &[usize]) -> Self {
        let mut open = OpenBatch::default();
        for &item in items {
            open.bytes.extend_from_slice(self.item(item));
            open.end_item(self.record(item));
        }
        open.close().to(self.destination.clone())
    }

    /// All but the given items (ascending indices), likewise.
    pub fn without(&self, items: &[usize]) -> Self {
        let rest: Vec<_> = (0..self.len()).filter(|i| items.binary_search(i).is_err()).collect();
        self.only(&rest)
    }

    fn start_of(&self, item: usize) -> usize {
        item.checked_sub(1).map_or(0, |before| self.items[before].end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lines: &[&str]) -> Batch {
        let mut open = OpenBatch::default();
        for (index, line) in (0u32..).zip(lines) {
            open.bytes.extend_from_slice(line.as_bytes());
            open.end_item(RecordIndex(index));
        }
        open.close()
    }

    fn bodies(batches: &[Batch]) -> Vec<String> {
        batches.iter().map(|b| String::from_utf8(b.body().to_vec()).unwrap()).collect()
    }

    #[test]
    fn any_split_puts_together_to_the_same_bytes_and_records() {
        let whole = batch(&["a\n", "bb\n", "ccc\n", "d\n", "e\n"]);
        for at in 0..=whole.len() {
            let (left, right) = (whole.slice(0..at), whole.slice(at..whole.len()));
            assert_eq!([left.body(), right.body()].concat(), whole.body());
            let records: Vec<_> = (0..left.len())
                .map(|i| left.record(i))
                .chain((0..right.len()).map(|i| right.record(i)))
                .collect();
            assert_eq!(records, (0..5).map(RecordIndex).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_of_a_slice_keeps_its_records() {
        let inner = batch(&["a\n", "b\n", "c\n", "d\n"]).slice(1..4).slice(1..3);
        assert_eq!(inner.body(), "c\nd\n");
        assert_eq!((inner.record(0), inner.record(1)), (RecordIndex(2), RecordIndex(3)));
    }

    #[test]
    fn some_items_and_the_others_keep_their_order_and_their_records() {
        let whole = batch(&["a\n", "b\n", "c\n", "d\n"]).slice(1..4);
        let (only, without) = (whole.only(&[0, 2]), whole.without(&[0, 2]));
        assert_eq!(bodies(&[only.clone(), without.clone()]), ["b\nd\n", "c\n"]);
        assert_eq!((only.record(1), without.record(0)), (RecordIndex(3), RecordIndex(2)));
        assert_eq!((only.item(1), whole.item(2)), (&b"d\n"[..], &b"d\n"[..]));
        assert!(whole.without(&[0, 1, 2]).is_empty() && whole.only(&[]).is_empty());
        assert_eq!(whole.without(&[]).body(), whole.body());
    }

    #[test]
    fn one_item_has_no_halves() {
        assert!(batch(&["a\n"]).halves().is_none());
        let (left, right) = batch(&["a\n", "b\n", "c\n"]).halves().unwrap();
        assert_eq!(bodies(&[left, right]), ["a\n", "b\nc\n"]);
    }

    #[test]
    fn what_is_taken_back_leaves_no_bytes() {
        let mut open = OpenBatch::default();
        open.bytes.extend_from_slice(b"a\n");
        open.end_item(RecordIndex(0));
        open.bytes.extend_from_slice(b"b\nhalf of");
        open.end_item(RecordIndex(1));
        open.truncate(1);
        assert_eq!(open.close().body(), "a\n");
    }
}
