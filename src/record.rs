//! A Kafka record, and the offsets that say what has been done with it.

use std::fmt;
use std::sync::Arc;

use crate::point::Timestamp;

/// The offset of a record in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// What a consumer group has come to: the offset of the next record to write, the last done plus one.
///
/// A type of its own because committing the last done offset itself is a classic off-by-one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextOffset {
    next: i64,
    hold: Option<Hold>,
}

/// From where on records have to be read again, because processors remember something of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    pub from: Offset,
    /// The newest event time of the partition before that.
    pub clock: Option<Timestamp>,
}

impl NextOffset {
    /// The position after a record that is done.
    pub fn after(done: Offset) -> Self {
        Self { next: done.0 + 1, hold: None }
    }

    /// The position before everything from an offset on: all before it is done with, or gone.
    pub fn at(next: Offset) -> Self {
        Self { next: next.0, hold: None }
    }

    /// The same, with records before it that have to be read again.
    pub fn held(self, hold: Option<Hold>) -> Self {
        Self { hold, ..self }
    }

    /// All before this offset is done with.
    pub fn get(self) -> i64 {
        self.next
    }

    pub fn hold(self) -> Option<Hold> {
        self.hold
    }

    /// What is committed to Kafka: the offset to read from, and text beside it, which is empty where
    /// nothing has to be read again.
    pub fn committed(self) -> (Offset, String) {
        let Some(Hold { from, clock }) = self.hold else {
            return (Offset(self.next), String::new());
        };
        let clock = clock.map_or_else(|| "-".to_owned(), |clock| clock.nanos().to_string());
        (from, format!("{VERSION} next={} clock={clock}", self.next))
    }

    /// Reads what is committed. Text that another program has put there says nothing.
    pub fn of_committed(from: Offset, text: &str) -> Self {
        Self::read(from, text).unwrap_or(Self::at(from))
    }

    fn read(from: Offset, text: &str) -> Option<Self> {
        let (next, clock) =
            text.strip_prefix(VERSION)?.strip_prefix(" next=")?.split_once(" clock=")?;
        let next = next.parse().ok().filter(|next| *next >= from.0)?;
        let clock = match clock {
            "-" => None,
            nanos => Some(Timestamp::from_nanos(nanos.parse().ok()?)?),
        };
        Some(Self { next, hold: Some(Hold { from, clock }) })
    }
}

/// What the text beside a committed offset begins with. Another meaning needs another number.
const VERSION: &str = "tidegate/1";

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
    /// Where it was read, which is what a commit is about: topic, partition and offset as above, but
    /// for a replayed dead letter, where those say what it was before.
    fn place(&self) -> (&str, i32, Offset) {
        (self.topic(), self.partition(), self.offset())
    }
    /// Brings near the processor what letting the record go touches, where it has been kept for long.
    fn expect_drop(&self) {}
    /// The bytes that keeping the record holds in memory, about.
    fn size(&self) -> usize {
        self.key().map_or(0, <[u8]>::len) + self.value().map_or(0, <[u8]>::len)
    }
}

/// A record that holds its own memory, for whoever keeps a few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: Offset,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp_millis: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl OwnedRecord {
    /// A value alone, as if it were the first record of its topic.
    pub fn new(topic: impl Into<Arc<str>>, value: Vec<u8>, timestamp_millis: Option<i64>) -> Self {
        Self {
            topic: topic.into(),
            partition: 0,
            offset: Offset(0),
            key: None,
            value: Some(value),
            timestamp_millis,
            headers: Vec::new(),
        }
    }

    /// Copies a record.
    pub fn of<R: Record>(record: &R) -> Self {
        let header =
            |(name, value): (&str, Option<&[u8]>)| (name.to_owned(), value.map(Into::into));
        Self {
            topic: record.topic().into(),
            partition: record.partition(),
            offset: record.offset(),
            key: record.key().map(Into::into),
            value: record.value().map(Into::into),
            timestamp_millis: record.timestamp_millis(),
            headers: record.headers().into_iter().map(header).collect(),
        }
    }
}

impl Record for OwnedRecord {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn offset(&self) -> Offset {
        self.offset
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn timestamp_millis(&self) -> Option<i64> {
        self.timestamp_millis
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rfind(|(key, _)| key == name)?.1.as_deref()
    }

    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_committed_is_read_back(
            from in 0..i64::MAX / 2,
            more in 0..i64::MAX / 2,
            clock in prop::option::of(any::<i64>()),
            held: bool,
        ) {
            let clock = clock.and_then(|nanos| Timestamp::from_nanos(nanos.into()));
            let hold = held.then_some(Hold { from: Offset(from), clock });
            let next = NextOffset::at(Offset(if held { from + more } else { from })).held(hold);
            let (offset, text) = next.committed();
            prop_assert_eq!(offset, Offset(from));
            prop_assert!(text.len() < 100, "{}", text);
            prop_assert_eq!(text.is_empty(), !held);
            prop_assert_eq!(NextOffset::of_committed(offset, &text), next);
        }

        #[test]
        fn what_another_program_has_put_there_says_nothing(text in ".*") {
            let read = NextOffset::of_committed(Offset(7), &text);
            prop_assert_eq!(read, NextOffset::at(Offset(7)));
        }
    }

    #[test]
    fn a_text_that_is_not_of_its_offset_says_nothing() {
        for text in ["tidegate/1 next=6 clock=-", "tidegate/2 next=9 clock=-", "tidegate/1 next=9"]
        {
            assert_eq!(
                NextOffset::of_committed(Offset(7), text),
                NextOffset::at(Offset(7)),
                "{text}"
            );
        }
        let read = NextOffset::of_committed(Offset(7), "tidegate/1 next=9 clock=-");
        assert_eq!((read.get(), read.hold()), (9, Some(Hold { from: Offset(7), clock: None })));
    }
}
