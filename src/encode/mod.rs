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
use crate::point::{Point, Timestamp, Value};
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
    pub fn encode_known(
        &mut self,
        key: &SeriesKey,
        values: &[Value<'_>],
        timestamp: Timestamp,
        record: RecordIndex,
        batch: &mut OpenBatch,
        passes: impl FnOnce(cardinality::Key) -> bool,
    ) -> bool {
        let values = values.iter();
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

    /// Appends the point to the batch, and keeps what it takes for the next one with this key, whose series the
    /// guard knows by the other. On an error the batch is as it was before.
    pub fn encode_new(
        &mut self,
        key: &SeriesKey,
        guarded: cardinality::Key,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        self.or_nothing(batch, |encoder, batch| match encoder {
            Self::LineProtocol(encoder) => encoder.encode_new(key, guarded, point, record, batch),
            Self::RemoteWrite(encoder) => encoder.encode_new(key, guarded, point, record, batch),
            Self::JsonLines(encoder) => encoder.encode(point, record, batch),
        })
    }

    /// Appends the point to the batch. On an error the batch is as it was before.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        self.or_nothing(batch, |encoder, batch| match encoder {
            Self::LineProtocol(encoder) => encoder.encode(point, record, batch),
            Self::RemoteWrite(encoder) => encoder.encode(point, record, batch),
            Self::JsonLines(encoder) => encoder.encode(point, record, batch),
        })
    }

    fn or_nothing(
        &mut self,
        batch: &mut OpenBatch,
        encode: impl FnOnce(&mut Self, &mut OpenBatch) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let items = batch.items.len();
        let encoded = encode(self, batch);
        if encoded.is_err() {
            batch.truncate(items);
        }
        encoded
    }

    /// Finishes the batch: brings items into the order that the database needs.
    pub fn close(&mut self, batch: &mut OpenBatch) -> Batch {
        match self {
            Self::LineProtocol(_) | Self::JsonLines(_) => batch.close(),
            Self::RemoteWrite(encoder) => encoder.close(batch),
        }
    }
}
