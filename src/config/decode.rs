//! The format of a record's value, checked.

use super::raw::{Deletes, TimeUnit};
use crate::decode::csv::Csv;

/// The format of a record's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Decode {
    /// Whose values the mapping makes points of.
    Documents(Documents),
    /// Which are points already, and have no mapping.
    Points(Points),
}

/// Formats of documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Documents {
    /// One JSON document a record.
    Json,
    /// A JSON document on each line.
    JsonLines,
    /// Kafka Connect's JSON with its schema.
    ConnectJson,
    /// Debezium's change events.
    Debezium(Deletes),
    /// `CloudEvents` in either mode.
    CloudEvents,
    /// One `MessagePack` document a record.
    MessagePack,
    /// One CBOR document a record.
    Cbor,
    /// A document in each row.
    Csv(Csv),
    /// The whole value as text.
    Text,
}

/// Formats of points.
#[derive(Debug, Clone, PartialEq)]
pub enum Points {
    /// With the unit of its timestamps.
    LineProtocol(TimeUnit),
    Graphite,
    PrometheusText,
    OpenMetrics,
    RemoteWrite,
    Otlp,
    CollectdJson,
    /// With the unit of its timestamps.
    TelegrafJson(TimeUnit),
}
