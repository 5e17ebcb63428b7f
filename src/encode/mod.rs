//! Encoders: a point becomes one or more items of an open batch.

mod json_lines;
mod known;
mod line_protocol;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
pub(crate) mod remote_write;

pub use json_lines::JsonLines;
pub use line_protocol::LineProtocol;
pub(crate) use remote_write::STALE;
pub use remote_write::{
    LabelLimits, Metadata, MetricMetadata, NamePiece, Noticed, Origins, RemoteWrite, SeriesRules,
    SharedMetric, SpreadSeries,
};

use crate::batch::{Batch, OpenBatch, RecordIndex};
use crate::cardinality;
use crate::config::raw::LineFormat;
use crate::point::{KnownValue, Point, Timestamp};
use crate::series::SeriesKey;

/// An encoder with what it keeps between points (scratch space, the order of series).
#[derive(Debug)]
pub enum Encoder {
    LineProtocol(LineProtocol),
    RemoteWrite(RemoteWrite),
    JsonLines(JsonLines),
}

/// A point that can't be written as this database's data: a rejected record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(pub String);

impl Encoder {
    /// For a file or a pipe.
    pub fn of_lines(format: LineFormat) -> Self {
        match format {
            LineFormat::LineProtocol => Self::LineProtocol(LineProtocol::of_single_lines()),
            LineFormat::JsonLines => Self::JsonLines(JsonLines),
        }
    }

    /// An encoder for another destination's open batch, beside this one's. `key` tells destinations
    /// apart.
    pub fn apart(&self, key: &str) -> Self {
        match self {
            Self::LineProtocol(encoder) => Self::LineProtocol(encoder.apart()),
            Self::RemoteWrite(encoder) => Self::RemoteWrite(encoder.apart(key)),
            Self::JsonLines(JsonLines) => Self::JsonLines(JsonLines),
        }
    }

    /// Says which partition the next points come from, which matters where order does.
    pub fn reads_from(&mut self, topic: &str, number: i32) {
        if let Self::RemoteWrite(encoder) = self {
            encoder.reads_from(topic, number);
        }
    }

    /// What was noticed since the last time.
    pub fn take_noticed(&mut self) -> Noticed {
        match self {
            Self::LineProtocol(_) | Self::JsonLines(_) => Noticed::default(),
            Self::RemoteWrite(encoder) => encoder.take_noticed(),
        }
    }

    /// Whether it keeps series, and [`Encoder::encode_known`] is worth a try with the next point.
    pub fn keeps_series(&mut self) -> bool {
        match self {
            Self::LineProtocol(encoder) => encoder.keeps_series(),
            Self::RemoteWrite(encoder) => encoder.keeps_series(),
            Self::JsonLines(JsonLines) => false,
        }
    }

    /// Appends a point that has not been made: of its values, its time and its key, if it has written one with
    /// this key before, and `passes` lets its series through. After `false` the batch is as it was before.
    pub fn encode_known<'v>(
        &mut self,
        key: &SeriesKey,
        values: impl Iterator<Item = KnownValue<'v>> + Clone,
        timestamp: Timestamp,
        record: RecordIndex,
        batch: &mut OpenBatch,
        passes: impl FnOnce(cardinality::Key) -> bool,
    ) -> bool {
        match self {
            Self::LineProtocol(encoder) => {
                encoder.encode_known(key, values, timestamp, record, batch, passes)
            }
            Self::RemoteWrite(encoder) => {
                encoder.encode_known(key, values, timestamp, record, batch, passes)
            }
            Self::JsonLines(JsonLines) => false,
        }
    }

    /// Appends the point to the batch, and keeps what it takes for the next one with this key. On an error the
    /// batch is as it was before.
    pub fn encode_new(
        &mut self,
        key: &SeriesKey,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        let items = batch.items.len();
        let encoded = match self {
            Self::LineProtocol(encoder) => encoder.encode_new(key, point, record, batch),
            Self::RemoteWrite(encoder) => encoder.encode_new(key, point, record, batch),
            Self::JsonLines(encoder) => encoder.encode(point, record, batch),
        };
        if encoded.is_err() {
            batch.truncate(items);
        }
        encoded
    }

    /// Appends the point to the batch, by what is kept of its series if there is something. On an error the batch
    /// is as it was before.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        let mut key = self.key().map(std::mem::take).unwrap_or_default();
        key.clear();
        if self.keeps_series() {
            key.take_point(point);
        }
        let values = point.fields.iter().map(|(_, value)| KnownValue::of(value));
        // The guard has seen the point itself.
        let encoded = if self.encode_known(&key, values, point.timestamp, record, batch, |_| true) {
            Ok(())
        } else {
            self.encode_new(&key, point, record, batch)
        };
        if let Some(room) = self.key() {
            *room = key;
        }
        encoded
    }

    /// Room for the key of a point.
    fn key(&mut self) -> Option<&mut SeriesKey> {
        match self {
            Self::LineProtocol(encoder) => Some(&mut encoder.key),
            Self::RemoteWrite(encoder) => Some(&mut encoder.key),
            Self::JsonLines(JsonLines) => None,
        }
    }

    /// Finishes the batch: brings items into the order that the database needs.
    pub fn close(&mut self, batch: &mut OpenBatch) -> Batch {
        match self {
            Self::LineProtocol(_) | Self::JsonLines(_) => batch.close(),
            Self::RemoteWrite(encoder) => encoder.close(batch),
        }
    }
}
