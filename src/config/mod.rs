//! Configuration: raw (as written, with line numbers) → checked (types that can't be wrong).
//!
//! ```text
//! text ──tree──▶ nodes with places ──expand──▶ ${…} filled in ──schema──▶ keys, types, ranges
//!                                                                             │
//!                        Connector, Process ◀──check── raw types ◀──serde─────┘
//! ```
//!
//! Every step reports what is wrong and goes on, with stand-ins for what it can't use, so that all
//! errors come at once. No error shows a secret: see `secrets`.

mod advice;
mod check;
mod decode;
mod error;
mod expand;
pub mod flat;
mod load;
mod plain;
pub mod raw;
pub mod reference;
pub mod schema;
mod secrets;
mod source;
mod testing;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

pub use decode::{Avro, Decode, Documents, Points, Protobuf, Registry};
pub use error::{Error, Errors};
pub use expand::Environment;
pub use load::{load, load_process, load_tests, load_text, sources};
pub use schema::FileKind;
pub(crate) use secrets::is_secret;
pub use testing::{Case, Expected, ExpectedPoint, Tests};

use crate::alert::Alert;
use crate::cardinality;
use crate::encode::{Metadata, SeriesRules};
use crate::map::Mapping;
use crate::process::Processor;
use crate::route::Routing;

/// Whether a byte may stand in the name of a connector, or, by Kafka's own rule, of a topic.
pub(crate) fn fits_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether a text is a host and a port, and nothing else: an address of IPv6 stands in brackets.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && host.bytes().all(fits_name),
    };
    is_host && port.parse::<NonZeroU16>().is_ok()
}

/// All that a process runs, checked.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// What the connectors share.
    pub process: Process,
    /// At least one; names and groups are unique.
    pub connectors: Vec<Connector>,
}

/// Text that must not be shown: `Debug` and `Display` print `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What all connectors of a process share, checked.
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// How log lines are written.
    pub log: raw::LogFormat,
    /// Where it is shown and steered over HTTP, if at all.
    pub listen: Option<SocketAddr>,
    /// Where others reach it, if that is told.
    pub advertise: Option<String>,
    /// An absolute path to the text that a request must show.
    pub token_file: Option<PathBuf>,
    /// An absolute path to the folder of the connectors that are made by requests.
    pub connectors: Option<PathBuf>,
    /// The topic that other processes share those connectors in.
    pub connectors_topic: Option<String>,
    /// Whether changed files are taken in by themselves.
    pub watch: bool,
    /// librdkafka properties for every connector. May hold secrets.
    pub kafka: BTreeMap<String, Secret>,
    /// Where its own metrics are written, if anywhere.
    pub metrics: Option<OwnMetrics>,
    /// Where spans of records are sent, if anywhere.
    pub traces: Option<Traces>,
}

/// Where spans of records are sent.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The whole address.
    pub url: String,
    pub service_name: String,
    pub http: Http,
}

/// Where a process's own metrics are written.
#[derive(Debug, Clone)]
pub struct OwnMetrics {
    pub sink: Sink,
    pub every: Duration,
    /// Labels of every sample.
    pub labels: BTreeMap<String, String>,
}

/// A connector, checked: everything in it can be built without another look at the file.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Unique among the connectors; fit for a metric's label and a group's name.
    pub name: String,
    /// The file it came from.
    pub file: PathBuf,
    /// What it reads.
    pub topics: Topics,
    /// Its consumer group; unique among the connectors.
    pub group: String,
    /// Where to begin and where to go on.
    pub offsets: Offsets,
    /// Its consumers in this process.
    pub workers: NonZeroUsize,
    /// librdkafka properties: those of `tidegate.yaml`, overlaid by the connector's own. May hold
    /// secrets.
    pub kafka: BTreeMap<String, Secret>,
    /// The format of a record's value.
    pub decode: Decode,
    /// Whether a value that is compressed is decompressed first.
    pub decompress: bool,
    /// How a message becomes points.
    pub mapping: Mapping,
    /// What is done with the points, in this order.
    pub process: Vec<Processor>,
    /// How far a point that processors remember may be ahead of its record's own time.
    pub max_ahead: Duration,
    /// Where the points go.
    pub sink: Sink,
    /// Where in it each record's go, if that is told from the record: then texts of the sink are
    /// templates.
    pub routing: Option<Routing>,
    /// The topic for rejected records; none of those that it reads.
    pub dead_letter: Option<String>,
    /// How many series, and values of tags, are too many.
    pub cardinality: cardinality::Rules,
    /// What is to be watched of the points, by others.
    pub alerts: Vec<Alert>,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// How writes are attempted and repeated.
    pub delivery: Delivery,
    /// The file's text, as it was written.
    pub written: Secret,
    /// All that the file and `tidegate.yaml` say, filled in. May hold secrets.
    pub effective: Secret,
}

impl Connector {
    /// Whether both would do the same: a comment, or the order of keys, makes no difference, and a
    /// variable with another value does.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.effective == other.effective
    }
}

/// What a connector subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// At least one.
    List(Vec<String>),
    /// Starts with `^`, as librdkafka wants it.
    Pattern(String),
}

impl Topics {
    /// Tells whether a topic is one of these.
    pub fn matcher(&self) -> impl Fn(&str) -> bool + '_ {
        let pattern = match self {
            Self::List(_) => None,
            Self::Pattern(pattern) => Regex::new(pattern).ok(),
        };
        move |topic| match self {
            Self::List(topics) => topics.iter().any(|one| one == topic),
            Self::Pattern(_) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(topic)),
        }
    }
}

/// What to do where there is no place to read on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// In a partition of which the group has committed nothing.
    pub start: raw::OffsetOutOfRange,
    /// Where the place that the group had is gone.
    pub out_of_range: raw::OffsetOutOfRange,
}

/// The database and how to reach it.
#[derive(Debug, Clone)]
pub enum Sink {
    /// By line protocol.
    InfluxDb(InfluxDb),
    /// By remote write.
    Prometheus(Prometheus),
    /// A file of lines.
    File(File),
    /// The process's standard output.
    Stdout(raw::LineFormat),
    /// Nothing is kept.
    Blackhole,
}

/// A file of lines.
#[derive(Debug, Clone)]
pub struct File {
    /// Absolute, and names a file.
    pub path: PathBuf,
    /// How a point is written.
    pub format: raw::LineFormat,
    /// The size that it is not to grow beyond.
    pub max_bytes: NonZeroU64,
    /// The age at which it is rotated.
    pub max_age: Option<Duration>,
    /// How many rotated files are kept; all if unset.
    pub keep: Option<NonZeroUsize>,
}

/// InfluxDB and what speaks its line protocol.
#[derive(Debug, Clone)]
pub struct InfluxDb {
    /// Has a scheme and a host, no trailing slash. Its query has none of the API's own keys.
    pub url: String,
    /// Where in it the points go.
    pub api: InfluxApi,
    /// How request bodies are compressed.
    pub compression: raw::InfluxCompression,
    /// The precision of the timestamps sent.
    pub precision: raw::Precision,
    /// Its authorization may be InfluxDB's own `Token`.
    pub http: Http,
    /// What is missing is made.
    pub create: Option<Create>,
}

/// How a missing database or bucket is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Create {
    /// How long it keeps points, in whole hours; for ever if unset.
    pub retention: Option<Duration>,
    /// How many this process makes.
    pub at_most: NonZeroUsize,
}

/// A version of InfluxDB's API, with what it needs to know. No text is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the API; raw.rs describes them")]
pub enum InfluxApi {
    V1 { database: String, retention_policy: Option<String>, consistency: Option<raw::Consistency> },
    V2 { org: String, bucket: String },
    V3 { database: String, no_sync: bool, accept_partial: bool },
}

/// A receiver of remote write.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// The whole address: has a scheme, a host and a path, no login. Its query may hold a key.
    pub url: String,
    /// How a point becomes series.
    pub series: SeriesRules,
    /// What a null in the place of a number says.
    pub nulls: raw::Nulls,
    /// Which message is sent; not 2.0 with zstd.
    pub message: raw::ProtobufMessage,
    /// How it is compressed.
    pub compression: raw::Compression,
    /// What is known of metrics.
    pub metadata: Metadata,
    /// How it is reached.
    pub http: Http,
}

impl Sink {
    /// Whether a null in the place of a number ends its series.
    pub fn null_is_stale(&self) -> bool {
        matches!(self, Self::Prometheus(sink) if sink.nulls == raw::Nulls::Stale)
    }
}

impl Sink {
    /// Whether it stores NaN, infinity and the end of a series.
    pub fn takes_not_finite(&self) -> bool {
        matches!(self, Self::Prometheus(_))
    }
}

impl Prometheus {
    /// A receiver at this address, with all else by default.
    pub fn at(url: String) -> Self {
        Self {
            url,
            series: SeriesRules::default(),
            nulls: raw::Nulls::default(),
            message: raw::ProtobufMessage::default(),
            compression: raw::Compression::default(),
            metadata: Metadata::default(),
            http: Http::default(),
        }
    }
}

/// How a database is reached over HTTP.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// What goes into `Authorization`.
    pub authorization: Option<Authorization>,
    /// Encryption; all unset for an address without it.
    pub tls: Tls,
    /// Names and values that fit a header, none of those that Tidegate sets itself.
    pub headers: Vec<(String, Secret)>,
    /// An address that may hold a login.
    pub proxy: Option<Secret>,
}

/// What goes into `Authorization`.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// A user (without a colon) and a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Credential,
    },
    /// A word, such as `Bearer` or `Token`, and a token.
    Token {
        /// The word.
        kind: String,
        /// The token.
        token: Credential,
    },
}

/// A password or token.
#[derive(Debug, Clone)]
pub enum Credential {
    /// From the configuration: not empty, and fit for its place.
    Given(Secret),
    /// An absolute path, not looked at yet.
    File(PathBuf),
}

/// Encryption. All paths are absolute, and not looked at yet.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Instead of the system's certificates.
    pub ca: Option<PathBuf>,
    /// The client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Any server is trusted.
    pub insecure: bool,
}

/// When a batch is closed: at the first limit met.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Points in it.
    pub points: NonZeroUsize,
    /// Encoded bytes in it, before compression.
    pub bytes: NonZeroUsize,
    /// Time since its first record. May be zero.
    pub linger: Duration,
}

/// How writes are attempted and repeated.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// Requests in flight a worker; 1 where the order of samples matters.
    pub in_flight: NonZeroUsize,
    /// The time that one request may take.
    pub timeout: Duration,
    /// The first pause; not longer than `max_backoff`.
    pub min_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// How long to wait for what is in flight; shorter than the session and poll timeouts.
    pub drain: Duration,
}
