//! The format of a record's value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Http, TimeUnit};

/// The format of a record's value: its name, or its name with its settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Decode {
    /// A format as it is by default.
    Word(Format),
    /// A format with its settings: exactly one key.
    Settings(Box<FormatChoice>),
}

impl Default for Decode {
    fn default() -> Self {
        Self::Word(Format::Json)
    }
}

/// A format that needs no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON document a record.
    Json,
    /// A JSON document on each line of a record.
    JsonLines,
    /// Kafka Connect's JSON with its schema: the payload of the envelope, with its times and decimals.
    ConnectJson,
    /// Debezium's change events in JSON, with or without their schema; deletes are skipped.
    Debezium,
    /// CloudEvents in binary or structured mode: the attributes, and the data under `data`.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// One MessagePack document a record.
    Msgpack,
    /// One CBOR document a record.
    Cbor,
    /// Rows of CSV after a row with the columns' names, with commas.
    Csv,
    /// The whole value as text, at the path `$`, such as a number alone.
    Text,
    /// JSON behind the frame of a schema registry, as JSON Schema's serialisers write it.
    JsonSchema,
    /// InfluxDB line protocol: points on any number of lines, with timestamps in nanoseconds.
    LineProtocol,
    /// Graphite's plain text, with or without tags.
    Graphite,
    /// The text that Prometheus scrapes.
    PrometheusText,
    /// The text of `OpenMetrics`, which ends with `# EOF`.
    #[serde(rename = "openmetrics")]
    OpenMetrics,
    /// Prometheus remote write, 1.0 or 2.0, with or without snappy.
    RemoteWrite,
    /// OpenTelemetry's metrics, in protobuf or JSON.
    Otlp,
    /// The JSON of collectd's plugins `write_kafka` and `write_http`.
    CollectdJson,
    /// Telegraf's JSON, with timestamps in seconds.
    TelegrafJson,
}

/// The format of a record's value, with its settings: exactly one key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FormatChoice {
    /// One JSON document a record.
    pub json: Option<Json>,
    /// Debezium's change events in JSON.
    pub debezium: Option<Debezium>,
    /// Rows of CSV.
    pub csv: Option<Csv>,
    /// Avro, by a schema of a registry or a file.
    pub avro: Option<Avro>,
    /// Protobuf, by a schema of a registry or a file.
    pub protobuf: Option<Protobuf>,
    /// InfluxDB line protocol.
    pub line_protocol: Option<LineProtocol>,
    /// Telegraf's JSON.
    pub telegraf_json: Option<TelegrafJson>,
}

/// InfluxDB line protocol: points on any number of lines.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LineProtocol {
    /// The unit of the timestamps. A line without one has the record's time.
    pub precision: TimeUnit,
}

impl Default for LineProtocol {
    fn default() -> Self {
        Self { precision: TimeUnit::Ns }
    }
}

/// Telegraf's JSON: a metric, or several under `metrics`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelegrafJson {
    /// The unit of the timestamps: Telegraf's `json_timestamp_units`.
    pub precision: TimeUnit,
}

impl Default for TelegrafJson {
    fn default() -> Self {
        Self { precision: TimeUnit::S }
    }
}

/// One JSON document a record. It has no settings.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Json {}

/// Debezium's change events in JSON, with or without their schema.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Debezium {
    /// What becomes of a row's deletion. Its tombstone is always skipped.
    pub deletes: Deletes,
}

/// What becomes of a row's deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// Nothing is written.
    #[default]
    Skip,
    /// It is mapped like any other event: `after` is null, and `before` has what the database tells.
    Keep,
}

/// Rows of CSV.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Csv {
    /// The one sign between two cells, such as `;` or a tab (`"\t"`).
    pub delimiter: String,
    /// The columns' names, where the records have no row with them. Default: each record's first row.
    pub columns: Option<Vec<String>>,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: ",".into(), columns: None }
    }
}

/// Avro. Its schema comes from a registry, by the id in each message, or from a file: exactly one of
/// `registry` and `schema_file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Avro {
    /// The registry that the messages' ids are of.
    pub registry: Option<Registry>,
    /// The absolute path of a file with the schema (`.avsc`).
    pub schema_file: Option<String>,
    /// What stands before each message, with `schema_file`.
    pub framing: AvroFraming,
}

/// What stands before each message that has no registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AvroFraming {
    /// Nothing.
    #[default]
    Raw,
    /// Avro's encoding of single objects: `C3 01` and the schema's fingerprint, which must be that of
    /// the file.
    SingleObject,
}

/// Protobuf. Its schema comes from a registry, by the id in each message, or from a file: exactly one of
/// `registry` and `schema_file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Protobuf {
    /// The registry that the messages' ids are of.
    pub registry: Option<Registry>,
    /// The absolute path of a `.proto` file, or of a file with a set of descriptors
    /// (`protoc --include_imports --descriptor_set_out`).
    pub schema_file: Option<String>,
    /// Folders to find imports in, by their absolute paths, besides that of `schema_file`.
    pub include: Vec<String>,
    /// The messages' type by its full name, such as `acme.plant.Reading`, with `schema_file`.
    pub message: Option<String>,
}

/// A schema registry with Confluent's API: Confluent's own, Karapace, Redpanda's, Apicurio's
/// (`/apis/ccompat/v7`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Its address, such as `http://localhost:8081`. Several, with commas between, are tried in their
    /// order.
    pub url: String,
    #[serde(flatten)]
    pub http: Http,
}
