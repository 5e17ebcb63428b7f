//! The open batch in parts, one for each destination. Where all points go to one place, there is one.

use std::collections::HashMap;

use super::{Batch, OpenBatch, RecordIndex};
use crate::encode::{EncodeError, Encoder, Noticed};
use crate::point::Point;
use crate::route::{Destination, RouteError, Routing};

/// Encoded items that are still being collected, by destination.
#[derive(Debug, Default)]
pub struct OpenParts {
    /// Of a connector without routing.
    only: OpenBatch,
    parts: Vec<Part>,
    /// The part of each destination's key.
    by_key: HashMap<Box<str>, usize>,
    /// The part that the last item went to: the next one often goes there, too.
    last: usize,
    /// Of all `parts`.
    items: usize,
    bytes: usize,
    record: RecordMark,
}

/// What there was before the record whose points are being appended.
#[derive(Debug, Default)]
struct RecordMark {
    /// Items of the only part.
    only: usize,
    /// The number of parts: later ones were opened for the record.
    parts: usize,
    /// Items of the parts, by their indices, that something was appended to.
    touched: Vec<(usize, usize)>,
}

/// A part to append to.
#[derive(Debug)]
pub struct OpenPart<'a> {
    part: &'a mut Part,
    /// Of all parts.
    items: &'a mut usize,
    bytes: &'a mut usize,
}

/// The open batch of one destination.
#[derive(Debug)]
struct Part {
    key: Box<str>,
    destination: Destination,
    /// Of its own: an encoder keeps the order of one open batch.
    encoder: Encoder,
    open: OpenBatch,
}

impl OpenParts {
    /// Items in all parts.
    pub fn items(&self) -> usize {
        self.only.items.len() + self.items
    }

    /// Encoded bytes in all parts.
    pub fn bytes(&self) -> usize {
        self.only.bytes.len() + self.bytes
    }

    /// The number of destinations that points are told to go to.
    pub fn destinations(&self) -> usize {
        self.parts.len()
    }

    /// The points of another record follow: they stand or fall together.
    pub fn begin_record(&mut self) {
        self.record.only = self.only.items.len();
        self.record.parts = self.parts.len();
        self.record.touched.clear();
    }

    /// Takes back what was appended since [`OpenParts::begin_record`].
    ///
    /// What an encoder knows of the order of series stays: it may sort a batch that needs no sorting.
    pub fn take_back_record(&mut self) {
        self.only.truncate(self.record.only);
        for (index, items) in self.record.touched.drain(..) {
            let open = &mut self.parts[index].open;
            let before = (open.items.len(), open.bytes.len());
            open.truncate(items);
            self.items -= before.0 - open.items.len();
            self.bytes -= before.1 - open.bytes.len();
        }
        for part in self.parts.drain(self.record.parts..) {
            self.by_key.remove(&part.key);
        }
    }

    /// Appends a point where all go to one place. On an error everything is as it was before.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        encoder: &mut Encoder,
    ) -> Result<(), EncodeError> {
        encoder.encode(point, record, &mut self.only)
    }

    /// The open batch where all go to one place.
    pub fn only(&mut self) -> &mut OpenBatch {
        &mut self.only
    }

    /// The part of the destination with this key, opened if need be.
    pub fn part(
        &mut self,
        key: &str,
        routing: &Routing,
        encoder: &Encoder,
    ) -> Result<OpenPart<'_>, RouteError> {
        if self.parts.get(self.last).is_none_or(|part| *part.key != *key) {
            self.last = match self.by_key.get(key) {
                Some(part) => *part,
                None => self.open(key, routing, encoder)?,
            };
        }
        let items = self.parts[self.last].open.items.len();
        if self.record.touched.iter().all(|(touched, _)| *touched != self.last) {
            self.record.touched.push((self.last, items));
        }
        let (items, bytes) = (&mut self.items, &mut self.bytes);
        Ok(OpenPart { part: &mut self.parts[self.last], items, bytes })
    }

    fn open(
        &mut self,
        key: &str,
        routing: &Routing,
        encoder: &Encoder,
    ) -> Result<usize, RouteError> {
        let (destination, encoder) = (routing.destination(key)?, encoder.apart(key));
        self.parts.push(Part { key: key.into(), destination, encoder, open: OpenBatch::default() });
        self.by_key.insert(key.into(), self.parts.len() - 1);
        Ok(self.parts.len() - 1)
    }

    /// Every part with its encoded items.
    pub fn iter(&self) -> impl Iterator<Item = (Destination, &OpenBatch)> {
        let only = (Destination::default(), &self.only);
        let parts = self.parts.iter().map(|part| (part.destination.clone(), &part.open));
        std::iter::once(only).chain(parts).filter(|(_, open)| !open.is_empty())
    }

    /// Forgets all items.
    pub fn clear(&mut self) {
        self.only.truncate(0);
        self.forget_parts();
    }

    /// The finished parts that have items, in the order in which they were opened, and what their
    /// encoders have noticed. Leaves nothing open. `encoder` is that of a connector without routing.
    pub fn close(&mut self, encoder: &mut Encoder) -> (Vec<Batch>, Noticed) {
        let mut noticed = encoder.take_noticed();
        let mut batches = Vec::new();
        if !self.only.is_empty() {
            batches.push(encoder.close(&mut self.only));
        }
        for part in &mut self.parts {
            noticed.add(part.encoder.take_noticed());
            // A destination whose only record could not be encoded has none.
            if !part.open.is_empty() {
                batches.push(part.encoder.close(&mut part.open).to(part.destination.clone()));
            }
        }
        self.forget_parts();
        (batches, noticed)
    }

    /// Also their memory: each may have grown to a whole batch's, and there may be many.
    fn forget_parts(&mut self) {
        self.parts.clear();
        self.by_key.clear();
        self.begin_record();
        (self.last, self.items, self.bytes) = (0, 0, 0);
    }
}

impl OpenPart<'_> {
    /// Appends a point of a record from this topic and partition. On an error all items are as they
    /// were before.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        (topic, number): (&str, i32),
    ) -> Result<(), EncodeError> {
        let Part { encoder, open, .. } = &mut *self.part;
        let before = (open.items.len(), open.bytes.len());
        encoder.reads_from(topic, number);
        let encoded = encoder.encode(point, record, open);
        *self.items += open.items.len() - before.0;
        *self.bytes += open.bytes.len() - before.1;
        encoded
    }
}
