//! The databases, and how they are reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Prometheus;

/// The database, or what stands for one: exactly one key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SinkChoice {
    /// InfluxDB by line protocol.
    pub influxdb: Option<InfluxDb>,
    /// Prometheus by remote write.
    pub prometheus: Option<Prometheus>,
    /// A file of lines.
    pub file: Option<File>,
    /// The standard output, for pipes.
    pub stdout: Option<Stdout>,
    /// Nowhere, for trials: everything is taken, and nothing is kept.
    pub blackhole: Option<Blackhole>,
}

/// A file of lines, fsynced before its points count as written. It is rotated to `PATH.1`, `PATH.2`
/// and so on, the highest being the newest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The file, by an absolute path. Its folder must exist.
    pub path: String,
    /// How a point is written.
    #[serde(default)]
    pub format: LineFormat,
    /// The file is rotated before it would grow beyond this, such as `256MiB`.
    #[serde(default = "default_file_bytes")]
    #[schemars(extend("type" = ["string", "integer"]))]
    pub max_bytes: String,
    /// The file is rotated by the first write when it is this old, such as `1d`.
    pub max_age: Option<String>,
    /// How many rotated files are kept. Default: all.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub keep: Option<u32>,
}

fn default_file_bytes() -> String {
    "256MiB".into()
}

/// The standard output, for pipes; the log is on standard error.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {
    /// How a point is written.
    pub format: LineFormat,
}

/// Nowhere.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Blackhole {}

/// How a point is written to a file or a pipe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineFormat {
    /// InfluxDB's line protocol, with nanoseconds. No line breaks in text.
    #[default]
    LineProtocol,
    /// A JSON object a line.
    JsonLines,
}

/// InfluxDB 1, 2 or 3 by line protocol; VictoriaMetrics takes what 1 and 2 take.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfluxDb {
    /// The major version of its API: 1 (`/write`), 2 (`/api/v2/write`) or 3 (`/api/v3/write_lp`).
    #[serde(default = "default_influxdb_version")]
    #[schemars(range(min = 1, max = 3))]
    pub version: u32,
    /// The server's address, such as `http://localhost:8086`. A part of its path may be a template: see
    /// `destinations`. A query such as `?extra_label=plant=north` of VictoriaMetrics is sent along.
    pub url: String,
    /// The organisation. Version 2 needs it.
    pub org: Option<String>,
    /// The bucket. Version 2 needs it. May be a template, such as `'plant-{{ value.site }}'`: see
    /// `destinations`.
    pub bucket: Option<String>,
    /// The database. Versions 1 and 3 need it. May be a template.
    pub database: Option<String>,
    /// The retention policy, for version 1. May be a template. Default: the database's own default.
    pub retention_policy: Option<String>,
    /// How many nodes of a cluster must have stored a point, for InfluxDB Enterprise 1. Default: the
    /// server's.
    pub consistency: Option<Consistency>,
    /// Let version 3 acknowledge from memory, before its write-ahead log is stored: writes don't wait
    /// for up to a second, and a crash of the server loses what was acknowledged in that time.
    #[serde(default)]
    pub no_sync: bool,
    /// Let version 3 write the good lines of a request that has bad ones, of which it names every one.
    /// `false`: it writes nothing of such a request and names the first only, so that a batch with
    /// several bad lines takes more requests.
    #[serde(default = "default_accept_partial")]
    pub accept_partial: bool,
    /// The API token; `${file:/run/secrets/token}` keeps it out of this file.
    pub token: Option<String>,
    /// The absolute path of a file with the API token, which is read again when it changes, and when
    /// the server refuses the token. Instead of `token`.
    pub token_file: Option<String>,
    /// Compress request bodies.
    #[serde(default)]
    pub compression: InfluxCompression,
    /// The precision of the timestamps sent.
    #[serde(default)]
    pub precision: Precision,
    /// Make the database, the retention policy or the bucket if it is missing. The login needs the
    /// right to. Write `{}` to keep points for ever.
    pub create: Option<Create>,
    #[serde(flatten)]
    pub http: Http,
}

/// How a missing database, retention policy or bucket is made. One that is there stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Create {
    /// How long points are kept, in whole hours, such as `30d`. Default: for ever.
    pub retention: Option<String>,
    /// A process makes no more than these, should records say where they go (`destinations`).
    #[schemars(range(min = 1, max = 10_000))]
    pub at_most: u32,
}

impl Default for Create {
    fn default() -> Self {
        Self { retention: None, at_most: 100 }
    }
}

fn default_accept_partial() -> bool {
    true
}

fn default_influxdb_version() -> u32 {
    2
}

/// How many nodes of a cluster must have stored a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One, or the queue of hinted handoff.
    Any,
    /// One.
    One,
    /// More than half.
    Quorum,
    /// All.
    All,
}

/// How request bodies of line protocol are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InfluxCompression {
    /// gzip at its fastest level.
    #[default]
    Gzip,
    /// zstd at its fastest level. Of all that takes line protocol, only VictoriaMetrics takes it.
    Zstd,
    /// Not at all.
    None,
}

/// The precision of timestamps in line protocol; what is finer is cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Nanoseconds.
    #[default]
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

impl Precision {
    /// The nanoseconds in one unit.
    pub fn nanos(self) -> i64 {
        match self {
            Self::Ns => 1,
            Self::Us => 1_000,
            Self::Ms => 1_000_000,
            Self::S => 1_000_000_000,
        }
    }
}

/// How a database is reached over HTTP, as Prometheus' own `remote_write` section says it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Http {
    /// A user and a password.
    pub basic_auth: Option<BasicAuth>,
    /// A token, as in `Authorization: Bearer …`. Instead of `basic_auth`.
    pub authorization: Option<Authorization>,
    /// Encryption, for an address that begins with `https://`.
    pub tls_config: Option<TlsConfig>,
    /// Headers of every request, such as `X-Scope-OrgID`. Not those that Tidegate sets itself. A value
    /// may be a template such as `'{{ header.tenant }}'`: see `destinations`.
    pub headers: BTreeMap<String, String>,
    /// A proxy, such as `http://proxy:3128`. Without it the environment's `HTTPS_PROXY`, `HTTP_PROXY`
    /// and `NO_PROXY` count; with it they don't.
    pub proxy_url: Option<String>,
    /// Where records may go, if a template tells that from the record.
    pub destinations: Option<Destinations>,
}

/// Where records may go, if `bucket`, `database`, `retention_policy`, the path of `url` or a header is
/// a template. A record that says another place is rejected.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Destinations {
    /// The names that are allowed; `*` in one stands for any text. Of a database with a retention
    /// policy, `database/policy`. Default: every name that the database can have.
    pub allowed: Option<Vec<String>>,
    /// A batch is full when it has points for this many destinations, since each is a request.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_open: u32,
}

impl Default for Destinations {
    fn default() -> Self {
        Self { allowed: None, max_open: 100 }
    }
}

/// A user and a password: `password` or `password_file`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user's name.
    pub username: String,
    /// The password; `${file:/run/secrets/password}` keeps it out of this file.
    pub password: Option<String>,
    /// The absolute path of a file with the password, which is read again when it changes, and when
    /// the server refuses the password.
    pub password_file: Option<String>,
}

/// The `Authorization` header of every request: `credentials` or `credentials_file`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// The word before the credentials.
    #[serde(rename = "type", default = "default_authorization")]
    pub kind: String,
    /// The token; `${file:/run/secrets/token}` keeps it out of this file.
    pub credentials: Option<String>,
    /// The absolute path of a file with the token, which is read again when it changes, and when the
    /// server refuses the token.
    pub credentials_file: Option<String>,
}

fn default_authorization() -> String {
    "Bearer".into()
}

/// Encryption: whom to trust, and who Tidegate is. All files are PEM, by absolute paths, and are read
/// again when they change.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The certificates of the authorities to trust, instead of the system's.
    pub ca_file: Option<String>,
    /// The client certificate, with those between it and its authority.
    pub cert_file: Option<String>,
    /// The client certificate's key, unencrypted.
    pub key_file: Option<String>,
    /// Trust any server. For trials only: whoever is on the way can read and change everything.
    pub insecure_skip_verify: bool,
}
