//! The format of a record's value, checked.

use std::sync::Arc;

use prost_reflect::MessageDescriptor;

use super::Http;
use super::raw::{Deletes, TimeUnit};
use crate::decode::avro::{Framing, Schema};
use crate::decode::csv::Csv;

/// The format of a record's value.
#[expect(clippy::large_enum_variant, reason = "one a connector")]
#[derive(Debug, Clone)]
pub enum Decode {
    /// Whose values the mapping makes points of.
    Documents(Documents),
    /// Which are points already, and have no mapping.
    Points(Points),
}

/// Formats of documents.
#[derive(Debug, Clone)]
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
    /// By a schema of a registry or a file.
    Avro(Avro),
    /// By a schema of a registry or a file.
    Protobuf(Protobuf),
    /// JSON behind a registry's frame.
    JsonSchema,
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

/// Where Avro's schema is.
#[expect(clippy::large_enum_variant, reason = "one a connector")]
#[derive(Debug, Clone)]
pub enum Avro {
    /// Each message says its id.
    Registry(Registry),
    /// One for all messages.
    File(Arc<Schema>, Framing),
}

/// Where Protobuf's schema is.
#[derive(Debug, Clone)]
pub enum Protobuf {
    /// Each message says its id.
    Registry(Registry),
    /// One for all messages.
    File(MessageDescriptor),
}

/// A schema registry, and how it is reached.
#[derive(Debug, Clone)]
pub struct Registry {
    /// At least one; each has a scheme and a host. May hold a login.
    pub urls: Vec<String>,
    /// The same for all.
    pub http: Http,
}
