//! A Kafka record, and the offsets that say what has been done with it.

use std::fmt;
use std::sync::Arc;

/// The offset of a record in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// What a consumer group commits: the offset of the next record to read, the last done plus one.
///
/// A type of its own because committing the last done offset itself is a classic off-by-one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextOffset(i64);

impl NextOffset {
    /// The position after a record that is done.
    pub fn after(done: Offset) -> Self {
        Self(done.0 + 1)
    }

    /// The position before everything from an offset on: all before it is done with, or gone.
    pub fn at(next: Offset) -> Self {
        Self(next.0)
    }

    /// The number that goes over the wire.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition of a topic. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// What the loop needs of a consumed record; a Kafka client's message implements it by borrowing.
pub trait Record {
    fn topic(&self) -> &str;
    fn partition(&self) -> i32;
    fn offset(&self) -> Offset;
    fn key(&self) -> Option<&[u8]>;
    /// `None` is a tombstone.
    fn value(&self) -> Option<&[u8]>;
    /// Milliseconds since the epoch, set by the producer or the broker. `None` in records of the
    /// oldest message formats.
    fn timestamp_millis(&self) -> Option<i64>;
    /// The last header of this name: Kafka allows repeats.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// All headers in order, for a dead letter that keeps them.
    fn headers(&self) -> Vec<(&str, Option<&[u8]>)>;
    /// The bytes that keeping the record holds in memory, about.
    fn size(&self) -> usize {
        self.key().map_or(0, <[u8]>::len) + self.value().map_or(0, <[u8]>::len)
    }
}
