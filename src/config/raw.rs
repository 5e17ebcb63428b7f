//! What a configuration file may say, as written: the only reference of every option.
//!
//! The doc comments below are the user's documentation: the JSON Schema (`tidegate schema`), the
//! reference page (`docs/configuration.md`) and the checks for unknown keys and wrong types are all
//! made from these types. Nothing here is trusted yet; `config::check` turns it into types that
//! can't be wrong.

mod alerts;
mod cardinality;
mod decode;
mod delivery;
mod process;
mod prometheus;
mod sink;
mod test;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alerts::*;
pub use cardinality::*;
pub use decode::*;
pub use delivery::*;
pub use process::*;
pub use prometheus::*;
pub use sink::*;
pub use test::*;

/// `tidegate.yaml`: what all connectors of a process share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessFile {
    /// Properties of librdkafka, by their own names, for every connector: `bootstrap.servers`,
    /// `security.protocol`, `sasl.username` and so on. A connector's own `kafka` section wins.
    pub kafka: BTreeMap<String, Scalar>,
    /// How log lines are written.
    pub log: LogFormat,
    /// What the process serves over HTTP.
    pub server: Server,
    /// The process's own metrics, written to a database for those who have no scraper. A change takes
    /// effect at the next start.
    pub metrics: Option<OwnMetrics>,
    /// Spans of the records whose headers name a trace, sent to a collector. A change takes effect at the
    /// next start.
    pub traces: Option<Traces>,
    /// Take in changed, new and removed connector files, and a changed `tidegate.yaml`, within two
    /// seconds. `false`: only after SIGHUP, `POST /reload` or a restart.
    pub watch: bool,
}

impl Default for ProcessFile {
    fn default() -> Self {
        Self {
            kafka: BTreeMap::new(),
            log: LogFormat::default(),
            server: Server::default(),
            metrics: None,
            traces: None,
            watch: true,
        }
    }
}

/// Metrics, health, the status page and the REST interface over HTTP, without encryption. A change
/// takes effect at the next start.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where to listen: a port, on this machine only (`8083`), or an IP address and a port, such as
    /// `0.0.0.0:8083` for every network. Unset: nothing listens.
    #[schemars(extend("type" = ["string", "integer"]))]
    pub listen: Option<String>,
    /// Where other replicas reach it, as `HOST:PORT`: what it is called among them (`worker_id`). Unset:
    /// what `listen` says, with this machine's name where that is every network.
    pub advertise: Option<String>,
    /// A file with the token that a request must show, as `Authorization: Bearer …` or as the
    /// password of a Basic login; read again for each request. Unset: anybody who reaches the address
    /// may read (secrets are masked), and only an address of this machine takes changes. Health and
    /// metrics need no token.
    pub token_file: Option<String>,
    /// The folder, which must be there, for connectors that are made over REST: each is a file
    /// `NAME.json` in it. Unset: connectors are made and changed by their files alone, and over REST
    /// they can be paused, stopped, restarted and so on.
    pub connectors: Option<String>,
    /// A topic in which several processes share the connectors that are made over REST, and what was
    /// paused or stopped: a change on one is one on all, and each answers for all. It is made, compacted,
    /// if there is none. Each process needs `listen`, a folder `connectors` of its own, and `kafka` with
    /// `bootstrap.servers` here.
    pub connectors_topic: Option<String>,
}

/// The process's own metrics, those of `/metrics`, as samples of one moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnMetrics {
    /// The database, as a connector names one: exactly one of its keys. No templates.
    pub sink: SinkChoice,
    /// How often. What could not be written then is not written later: newer samples are.
    #[serde(default = "default_every")]
    pub every: String,
    /// Labels of every sample, such as `instance`: several processes must differ in one.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn default_every() -> String {
    "15s".into()
}

/// Spans of records, for the traces that the records' producers have begun: of each record whose header
/// `traceparent` says that its trace is sampled.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Where a collector takes traces by OTLP over HTTP, as JSON: the whole address, such as
    /// `http://localhost:4318/v1/traces`.
    pub url: String,
    /// The attribute `service.name` of the spans.
    #[serde(default = "default_service_name")]
    pub service_name: String,
    #[serde(flatten)]
    pub http: Http,
}

fn default_service_name() -> String {
    "tidegate".into()
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// A connector file: one topic, or one family of topics, into one database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorFile {
    /// The connector's name, in logs, metrics and its consumer group. Default: the file's name
    /// without its ending.
    pub name: Option<String>,
    /// The topics to read. Either this or `topics_pattern`.
    #[serde(default)]
    pub topics: Vec<String>,
    /// A regular expression (librdkafka's, starting with `^`) for the topics to read; topics that
    /// appear later are picked up.
    pub topics_pattern: Option<String>,
    /// What to do where the place to read on from is gone: retention has deleted records before they
    /// were read, a topic was deleted and made again, or an unclean leader election has cut it. The
    /// log says so, with the topic, the partition and the offsets. (Where a group that has never
    /// committed begins is librdkafka's `auto.offset.reset`, `earliest` by default.)
    #[serde(default)]
    pub offset_out_of_range: OffsetOutOfRange,
    /// The consumer group. Default: `tidegate-` and the connector's name.
    pub group: Option<String>,
    /// Consumers in this process for this connector, each with a thread of its own; all are members
    /// of the group, so more than the topics have partitions is of no use.
    #[serde(default = "default_workers")]
    #[schemars(range(min = 1, max = 64))]
    pub workers: u32,
    /// Properties of librdkafka for this connector, over those of `tidegate.yaml`.
    #[serde(default)]
    pub kafka: BTreeMap<String, Scalar>,
    /// The format of a record's value. Default: `json`.
    #[serde(default)]
    pub decode: Decode,
    /// Decompress a record's value that begins like gzip, zstd or snappy (framed, or of snappy-java),
    /// whatever its format. What Kafka itself has compressed needs no word.
    #[serde(default = "yes")]
    pub decompress: bool,
    /// How a message becomes a point. Formats whose messages hold points already need none, and take
    /// `tags` only: they are added to each point.
    #[serde(default)]
    pub point: PointRules,
    /// Several points of each message, perhaps of different measurements, instead of `point`.
    #[serde(default)]
    pub points: Vec<PointRules>,
    /// What is done with each point before it is written, in this order.
    #[serde(default)]
    pub process: Vec<ProcessStep>,
    /// Of a record whose points processors remember (windows, rates, scores): how far the time of a point may
    /// be ahead of the record's own timestamp. One beyond is rejected, since all points after it would be
    /// late.
    #[serde(default = "an_hour")]
    pub max_ahead: String,
    /// Tables that tags and fields look values up in, by name.
    #[serde(default)]
    pub tables: BTreeMap<String, LookupTable>,
    /// The database to write to: exactly one of its keys.
    pub sink: SinkChoice,
    /// Where rejected records go. Unset: a rejected record stops the connector, visibly, and
    /// nothing is skipped.
    pub dead_letter: Option<DeadLetter>,
    /// How many series, and values of tags, are too many.
    #[serde(default)]
    pub cardinality: CardinalityRules,
    /// Alerts on what this connector writes, for `tidegate grafana`.
    #[serde(default)]
    pub alerts: Vec<AlertRule>,
    /// When a batch is closed and written.
    #[serde(default)]
    pub batch: BatchRules,
    /// How writes are attempted and repeated.
    #[serde(default)]
    pub delivery: DeliveryRules,
}

fn default_workers() -> u32 {
    1
}

fn an_hour() -> String {
    "1h".into()
}

fn yes() -> bool {
    true
}

/// Where to go on when the place to read on from is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OffsetOutOfRange {
    /// At the oldest record there is. Always safe: what is read twice is the same points again.
    #[default]
    Earliest,
    /// At the end: what is in the partition now is skipped.
    Latest,
    /// Nowhere: the connector fails, and nothing is skipped.
    Stop,
}

/// A string, number or boolean, taken as the text that was written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
}

/// How a message becomes a point.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PointRules {
    /// Which messages become this point, such as `value.kind == 'temperature' and value.quality >= 0.5`;
    /// with `explode`, which elements. Default: all. A message that becomes no point is left out.
    pub when: Option<String>,
    /// A path to an array: each element becomes a point. Other paths then start at the element; `.` is
    /// the element itself, and `$.site` a path from the message.
    pub explode: Option<String>,
    /// The measurement: a constant, or a template such as `{{ topic }}` or
    /// `plant_{{ value.kind }}`.
    pub measurement: Option<String>,
    /// Tags by name: a path into the message, a template, or a rule. A path that ends with `*` makes
    /// a tag of each value of an object: `'label_*': labels.*`.
    pub tags: BTreeMap<String, TagRule>,
    /// Fields by name: a path into the message, or a rule. Numbers are floats unless another type
    /// is declared, because a database fixes a field's type for ever with the first write. A path that
    /// ends with `*` makes a field of each number in an object: `'*': reading.*`.
    pub fields: BTreeMap<String, FieldRule>,
    /// Where the point's time comes from. Default: the record's own timestamp. Never the clock, so
    /// that a replay writes the same points.
    pub timestamp: Option<TimestampRule>,
}

/// A CSV file with a header, in which values are looked up. It is read again when it changes; while it
/// can't be read, records wait.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupTable {
    /// The file, by an absolute path; at most 16 MiB.
    pub file: String,
    /// The column with the keys.
    pub key: String,
}

/// A tag: a path or template in short, or a rule.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TagRule {
    /// A path into the message (`device.id`, `parts[0].name`), or a template if it holds `{{`.
    Short(String),
    /// The long form.
    Long(Box<TagSource>),
}

/// Where a tag's value comes from: exactly one of `path`, `template`, `constant`, `header` and
/// `record`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TagSource {
    /// A path into the message.
    pub path: Option<String>,
    /// Text with `{{ topic }}`, `{{ partition }}`, `{{ offset }}`, `{{ key }}`, `{{ timestamp }}`,
    /// `{{ header.NAME }}` or `{{ value.PATH }}` in it.
    pub template: Option<String>,
    /// Always the same text.
    pub constant: Option<Scalar>,
    /// A record header's value, as text.
    pub header: Option<String>,
    /// A property of the record itself.
    pub record: Option<RecordProperty>,
    /// A regular expression: what its first group finds, or all that it finds, is the value. There is
    /// no value where it finds nothing.
    pub capture: Option<String>,
    /// The value is looked up: `sites.floor` is the column `floor` of the table `sites`, in the row with
    /// this value as its key. There is no value where there is no such row.
    pub lookup: Option<String>,
    /// Which value stands for which text, such as `{ ok: 0, warn: 1 }`. A record with another one is
    /// rejected.
    pub values: BTreeMap<String, Scalar>,
    /// The value where there is none.
    pub default: Option<Scalar>,
    /// Reject the record when there is no value. Otherwise the tag is left out.
    pub required: bool,
    /// Of a path that ends with `*`: how many objects deep; the keys are put together with `_`.
    /// Default: 1.
    #[schemars(range(min = 1, max = 8))]
    pub depth: Option<u32>,
    /// Of a path that ends with `*`: a record with more values there is rejected. Default: 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub limit: Option<u32>,
}

/// A property of the Kafka record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordProperty {
    /// The record's key, as text.
    Key,
    /// The topic's name.
    Topic,
    /// The partition's number.
    Partition,
    /// The record's offset.
    Offset,
    /// The record's timestamp, in milliseconds.
    Timestamp,
}

/// A field: a path in short (a float), or a rule.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldRule {
    /// A path to a number.
    Short(String),
    /// The long form.
    Long(Box<FieldSource>),
}

/// Where a field's value comes from (exactly one of `path`, `template`, `constant`, `header` and
/// `record`), and its type.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FieldSource {
    /// A path into the message.
    pub path: Option<String>,
    /// Text with placeholders, as in tags.
    pub template: Option<String>,
    /// Always the same value.
    pub constant: Option<Scalar>,
    /// A record header's value.
    pub header: Option<String>,
    /// A property of the record itself.
    pub record: Option<RecordProperty>,
    /// The field's type in the database.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Take values of another type that mean the same: text that spells a number or boolean, 0 and
    /// 1 for a boolean, a boolean for a number, a number for text. Values from headers, templates
    /// and keys are text and are always taken so.
    pub coerce: bool,
    /// A regular expression: what its first group finds, or all that it finds, is the value. There is
    /// no value where it finds nothing.
    pub capture: Option<String>,
    /// The value is looked up: `sites.floor` is the column `floor` of the table `sites`, in the row with
    /// this value as its key. There is no value where there is no such row.
    pub lookup: Option<String>,
    /// Which value stands for which text, such as `{ ok: 0, warn: 1 }`. A record with another one is
    /// rejected.
    pub values: BTreeMap<String, Scalar>,
    /// The number is multiplied by this.
    pub scale: Option<f64>,
    /// This is added, after `scale`.
    pub offset: Option<f64>,
    /// The value where there is none.
    pub default: Option<Scalar>,
    /// Reject the record when there is no value. Otherwise the field is left out.
    pub required: bool,
    /// Of a path that ends with `*`: how many objects deep; the keys are put together with `_`.
    /// Default: 1.
    #[schemars(range(min = 1, max = 8))]
    pub depth: Option<u32>,
    /// Of a path that ends with `*`: a record with more values there is rejected. Default: 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub limit: Option<u32>,
}

impl TagRule {
    /// Its path, if that is where its value comes from.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Short(text) => Some(text).filter(|text| !text.contains("{{")).map(String::as_str),
            Self::Long(rule) => rule.path.as_deref(),
        }
    }
}

impl FieldRule {
    /// Its path, if that is where its value comes from.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Short(text) => Some(text),
            Self::Long(rule) => rule.path.as_deref(),
        }
    }
}

/// A field's type in the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// 64-bit floating point.
    #[default]
    Float,
    /// 64-bit signed integer.
    Integer,
    /// 64-bit unsigned integer (InfluxDB 2 and later).
    Unsigned,
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
}

/// Where a point's time comes from: `path` or `header`, and either `unit` or `format`; without them it is
/// the record's own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampRule {
    /// A path into the message.
    pub path: Option<String>,
    /// A record header's name.
    pub header: Option<String>,
    /// The unit of a number; decimals are taken (`1718000000.25` with `s`). Never guessed: seconds
    /// that are read as milliseconds land in January 1970.
    pub unit: Option<TimeUnit>,
    /// The format of a text: `rfc3339` (`2026-11-22T10:00:00.25Z`, with a zone or offset), or strftime's
    /// notation, such as `%d.%m.%Y %H:%M:%S%.f` or `%Y-%m-%dT%H:%M:%S%z`.
    pub format: Option<String>,
    /// Keep points of one series apart that have one time, by digits that the time doesn't use: with
    /// `unit: ms`, the micro- and nanoseconds. Without this the database keeps the last of them.
    pub disambiguate: Option<Disambiguate>,
    /// The zone of a text that has none, such as `Europe/Berlin`. An hour that a change of the clocks
    /// repeats is taken as its first time. Default: UTC.
    pub zone: Option<String>,
}

/// What points of one time are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disambiguate {
    /// The record's offset, so that a replay gives the same times again.
    Offset,
}

/// The unit of a timestamp that is a number since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}
