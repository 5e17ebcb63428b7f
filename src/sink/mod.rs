//! Sinks: one attempt to write a batch, and what the database's answer means.
//!
//! A new database is one file here, one arm of [`Sink`], and one row in the conformance tests.

mod blackhole;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod go_text;
pub(crate) mod http;
mod influxdb;
mod prometheus;
mod stdout;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

pub(crate) use http::{Http, host, parse_url};

use crate::batch::Batch;
use crate::check::Finding;
use crate::config;
use crate::config::raw::LineFormat;
use crate::encode::Encoder;
use crate::route::{Destination, Routing};

/// How many places a check looks at, each by a request.
const MOST_CHECKED: usize = 20;

/// A database to write to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a connector has one")]
pub enum Sink {
    InfluxDb(influxdb::InfluxDb),
    Prometheus(prometheus::Prometheus),
    File(file::FileSink),
    Stdout(stdout::Stdout),
    Blackhole,
}

/// What a database means by acknowledging a write. Also in docs/sinks.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk, fsynced: survives the loss of power.
    Synced,
    /// Handed to the operating system: survives the death of the database's process, but the last
    /// seconds may be lost with the machine's power.
    Written,
    /// In the memory of the database's process: the last seconds may be lost with the process.
    Memory,
    /// Nowhere: nothing is kept.
    Discarded,
}

/// Why a write was not acknowledged; carries what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The database can't be reached or can't take writes now: wait and repeat, without end.
    #[error("{reason}")]
    Unavailable {
        reason: String,
        /// How long the database asks to be left alone.
        retry_after: Option<Duration>,
        /// Whether the points may have been stored all the same: the answer was lost, or says
        /// nothing of it.
        perhaps_stored: bool,
    },
    /// The database refuses everything until a person mends something (a wrong token, a missing
    /// bucket): wait and repeat without end, loudly.
    #[error("{reason}")]
    Misconfigured { reason: String },
    /// The body is larger than the database takes: split it.
    #[error("{reason}")]
    TooLarge { reason: String },
    /// The database has looked at the points and will never take some of them.
    #[error("{}", .0.reason)]
    Rejected(Rejected),
}

/// What a database said of points that it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub scope: Scope,
    /// Whether the points that are not refused were written all the same, as the database says. That
    /// is no acknowledgement (docs/decisions.md): they are written again, and may be repeats.
    pub rest_written: bool,
    /// Whether points are refused because of others that are stored already (out of order, or
    /// another value at the same time). A batch that is a repeat gets this for its own earlier
    /// writes.
    pub superseded: bool,
    pub reason: String,
}

/// Which items of a batch an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// At least one of them; the database doesn't say which.
    Batch,
    /// These for certain, in ascending order, each with the database's own reason. There may be more.
    Items(Vec<(usize, String)>),
    /// At least one of them; written apart from the others, these (in ascending order) will tell
    /// soonest.
    Split(Vec<usize>),
}

/// Where delivery writes to: the edge at which its tests put a database that fails as told.
pub trait Write: fmt::Debug + Send + Sync + 'static {
    /// One attempt. `Ok` means that the database has acknowledged the whole batch.
    fn write(&self, batch: &Batch) -> impl Future<Output = Result<(), SinkError>> + Send;
}

impl Write for Sink {
    /// `Ok` is as good as [`Sink::durability`] says.
    async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        match self {
            Self::InfluxDb(sink) => sink.write(batch).await,
            Self::Prometheus(sink) => sink.write(batch).await,
            Self::File(sink) => sink.write(batch).await,
            Self::Stdout(sink) => sink.write(batch).await,
            Self::Blackhole => Ok(()),
        }
    }
}

impl Sink {
    /// Connects nothing yet. `timeout` is for one request.
    pub fn new(config: &config::Sink, timeout: Duration) -> Result<Self, BuildError> {
        Ok(match config {
            config::Sink::InfluxDb(config) => {
                Self::InfluxDb(influxdb::InfluxDb::new(config, timeout)?)
            }
            config::Sink::Prometheus(config) => {
                Self::Prometheus(prometheus::Prometheus::new(config, timeout)?)
            }
            config::Sink::File(config) => Self::File(file::FileSink::new(config)),
            config::Sink::Stdout(format) => Self::Stdout(stdout::Stdout::new(*format)?),
            config::Sink::Blackhole => Self::Blackhole,
        })
    }

    /// Makes what is missing and known already, if asked, by a write of nothing. What fails is told
    /// when points are written, which tries it again.
    pub async fn prepare(&self, routing: Option<&Routing>) {
        let Self::InfluxDb(sink) = self else { return };
        if !sink.creates() {
            return;
        }
        let known = routing.map_or_else(|| vec![Destination::default()], Routing::known);
        for destination in known {
            _ = sink.write(&Batch::empty().to(destination)).await;
        }
    }

    /// Looks, item by item, whether points could be written: by a write of nothing. Of the places that
    /// are told from the record, those are looked at that are allowed by name.
    pub async fn check(&self, routing: Option<&Routing>) -> Vec<Finding> {
        let Some(routing) = routing else {
            return self.check_one(&Destination::default()).await;
        };
        let mut findings: Vec<Finding> = Vec::new();
        for destination in routing.known().iter().take(MOST_CHECKED) {
            let more = self.check_one(destination).await;
            // The server and the login are the same.
            let is_new = |new: &Finding| !findings.iter().any(|old| old.item == new.item);
            let news: Vec<_> = more.into_iter().filter(is_new).collect();
            findings.extend(news);
        }
        findings.push(Finding::unknown(
            "destinations",
            "told from the records; only those that `destinations.allowed` names are looked at",
        ));
        findings
    }

    async fn check_one(&self, destination: &Destination) -> Vec<Finding> {
        let findings = match self {
            Self::InfluxDb(sink) => sink.check(destination).await,
            Self::Prometheus(sink) => sink.check(destination).await,
            Self::File(sink) => Ok(sink.check().await),
            Self::Stdout(sink) => Ok(sink.check()),
            Self::Blackhole => Ok(blackhole::check()),
        };
        findings.unwrap_or_else(|error| {
            vec![Finding::failed("write", error.to_string(), "please report it")]
        })
    }

    /// An encoder for this database's points; every worker has one of its own.
    pub fn encoder(&self) -> Encoder {
        match self {
            Self::InfluxDb(sink) => sink.encoder(),
            Self::Prometheus(sink) => sink.encoder(),
            Self::File(sink) => sink.encoder(),
            Self::Stdout(sink) => sink.encoder(),
            Self::Blackhole => Encoder::of_lines(LineFormat::default()),
        }
    }

    pub fn durability(&self) -> Durability {
        match self {
            Self::InfluxDb(sink) => sink.durability(),
            Self::Prometheus(_) => prometheus::Prometheus::DURABILITY,
            Self::File(_) => file::FileSink::DURABILITY,
            Self::Stdout(_) => stdout::Stdout::DURABILITY,
            Self::Blackhole => blackhole::DURABILITY,
        }
    }

    /// Whether the database takes a series' samples in the order of time only.
    pub fn is_ordered(&self) -> bool {
        match self {
            Self::Prometheus(_) => true,
            Self::InfluxDb(_) | Self::File(_) | Self::Stdout(_) | Self::Blackhole => false,
        }
    }

    /// How many batches may be under way at once when the configuration wishes for `wanted`: one
    /// where the database takes samples in order only.
    pub fn in_flight(&self, wanted: NonZeroUsize) -> NonZeroUsize {
        if self.is_ordered() { NonZeroUsize::MIN } else { wanted }
    }
}

/// A sink that can't be set up from its configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Synced => "synced",
            Self::Written => "written",
            Self::Memory => "memory",
            Self::Discarded => "discarded",
        })
    }
}
