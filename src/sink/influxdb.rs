//! Line protocol: InfluxDB 1, 2 and 3, each by its own route. VictoriaMetrics takes writes on those of
//! 1 and 2.
//!
//! The answers are those of docs/sinks.md.

pub(super) mod answers;
mod create;
mod lines;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

use self::create::{Creation, Made};
use super::http::check::{self, Place};
use super::http::{Answer, Http, add_headers, parse_url};
use super::{BuildError, Durability, SinkError};
use crate::batch::Batch;
use crate::check::Finding;
use crate::config::raw::{Consistency, InfluxCompression, Precision};
use crate::config::{self, InfluxApi};
use crate::encode::{Encoder, LineProtocol};
use crate::route::Destination;

/// Its fastest that still compresses well.
const ZSTD_LEVEL: i32 = 1;

/// Where the points go: a database or a bucket.
#[derive(Debug)]
pub struct InfluxDb {
    http: Http,
    /// Where nothing of the destination is told from the record.
    url: Url,
    headers: HeaderMap,
    config: config::InfluxDb,
    made: Made,
}

impl InfluxDb {
    /// Connects nothing yet.
    pub fn new(config: &config::InfluxDb, timeout: Duration) -> Result<Self, BuildError> {
        let url = address(config, &Destination::default())?;
        Ok(Self {
            http: Http::new(url.clone(), &config.http, timeout)?,
            url,
            headers: headers(config.compression),
            config: config.clone(),
            made: Made::default(),
        })
    }

    pub fn durability(&self) -> Durability {
        durability(&self.config.api)
    }

    /// Whether it makes what is missing.
    pub fn creates(&self) -> bool {
        self.config.create.is_some()
    }

    pub fn encoder(&self) -> Encoder {
        Encoder::LineProtocol(LineProtocol::new(self.config.precision))
    }

    /// One attempt; and a second one, if the place was missing and could be made.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let creation = self.creation(batch.destination());
        if let Some(creation) = &creation {
            creation.make_first().await?;
        }
        let answer = self.exchange(batch).await?;
        match creation.filter(|_| create::is_missing(&answer, &self.config.api)) {
            None => answers::classify(&answer, batch),
            Some(creation) => {
                creation.make_missing(&answer).await?;
                answers::classify(&self.exchange(batch).await?, batch)
            }
        }
    }

    async fn exchange(&self, batch: &Batch) -> Result<Answer, SinkError> {
        let (url, headers, body) = self.request(batch)?;
        Ok(self.http.exchange(&url, headers, body).await?)
    }

    fn creation<'a>(&'a self, destination: &'a Destination) -> Option<Creation<'a>> {
        let (http, config, made) = (&self.http, &self.config, &self.made);
        let create = config.create.as_ref()?;
        Some(Creation { http, config, create, made, destination })
    }

    /// Writes nothing. InfluxDB looks at the login and at the bucket or database before the body, and
    /// takes an empty one (seen with 1.8, which answers 200, and 2.7; VictoriaMetrics too).
    pub async fn check(&self, destination: &Destination) -> Result<Vec<Finding>, SinkError> {
        let (url, headers, body) = self.request(&Batch::empty().to(destination.clone()))?;
        let written = self.http.exchange(&url, headers, body).await;
        let mut place = place(&self.config.api, destination);
        let is_missing = |answer: &Answer| create::is_missing(answer, &self.config.api);
        if written.as_ref().is_ok_and(is_missing) {
            place.would_be = self.config.create.as_ref().map(create::would_be);
        }
        Ok(check::findings(&self.http, &place, written))
    }

    fn request(&self, batch: &Batch) -> Result<(Url, HeaderMap, Bytes), SinkError> {
        let body = compressed(batch.body(), self.config.compression)?;
        let (destination, mut headers) = (batch.destination(), self.headers.clone());
        if destination.is_constant() {
            return Ok((self.url.clone(), headers, body));
        }
        add_headers(destination, &mut headers)?;
        let url = address(&self.config, destination)
            .map_err(|error| SinkError::Misconfigured { reason: error.0 })?;
        Ok((url, headers, body))
    }
}

/// As a check names it.
fn place(api: &InfluxApi, destination: &Destination) -> Place {
    match api {
        InfluxApi::V1 { database, .. } | InfluxApi::V3 { database, .. } => Place {
            name: format!("database {}", destination.database().unwrap_or(database)),
            mend: "create the database, or correct `url` or `database`",
            would_be: None,
        },
        InfluxApi::V2 { org, bucket } => Place {
            name: format!("bucket {} of {org}", destination.bucket().unwrap_or(bucket)),
            mend: "create the bucket, or correct `url`, `org` or `bucket`",
            would_be: None,
        },
    }
}

/// InfluxDB 1 and 2 answer 204 after the write-ahead log's fsync (`tsdb/engine/tsm1/wal.go`), and 3
/// after the log is in its object store, unless it is asked not to wait.
///
/// VictoriaMetrics on the routes of 1 and 2 answers from memory and is on disk about 5 s later.
fn durability(api: &InfluxApi) -> Durability {
    match api {
        InfluxApi::V3 { no_sync: true, .. } => Durability::Memory,
        InfluxApi::V1 { .. } | InfluxApi::V2 { .. } | InfluxApi::V3 { .. } => Durability::Synced,
    }
}

/// The route of a version for writes, and what goes into its query.
fn address(config: &config::InfluxDb, destination: &Destination) -> Result<Url, BuildError> {
    let mut url = parse_url(&config.url)?;
    let route = match config.api {
        InfluxApi::V1 { .. } => "write",
        InfluxApi::V2 { .. } => "api/v2/write",
        InfluxApi::V3 { .. } => "api/v3/write_lp",
    };
    let base = destination.path().unwrap_or_else(|| url.path().to_owned());
    url.set_path(&format!("{}/{route}", base.trim_end_matches('/')));
    let mut query = url.query_pairs_mut();
    match &config.api {
        InfluxApi::V1 { database, retention_policy, consistency } => {
            query.append_pair("db", destination.database().unwrap_or(database));
            if let Some(policy) = destination.retention_policy().or(retention_policy.as_deref()) {
                query.append_pair("rp", policy);
            }
            if let Some(consistency) = consistency {
                query.append_pair("consistency", consistency_name(*consistency));
            }
        }
        InfluxApi::V2 { org, bucket } => {
            query.append_pair("org", org);
            query.append_pair("bucket", destination.bucket().unwrap_or(bucket));
        }
        InfluxApi::V3 { database, no_sync, accept_partial } => {
            query.append_pair("db", destination.database().unwrap_or(database));
            query.append_pair("accept_partial", if *accept_partial { "true" } else { "false" });
            query.append_pair("no_sync", if *no_sync { "true" } else { "false" });
        }
    }
    query.append_pair("precision", precision(config.precision, &config.api));
    drop(query);
    Ok(url)
}

/// What stands before every route.
fn base_path(config: &config::InfluxDb) -> String {
    parse_url(&config.url).map_or_else(|_| String::new(), |url| url.path().to_owned())
}

fn consistency_name(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Any => "any",
        Consistency::One => "one",
        Consistency::Quorum => "quorum",
        Consistency::All => "all",
    }
}

/// The name in the request, which the encoder's timestamps must follow. InfluxDB 1 takes a name that
/// it doesn't know for nanoseconds (`GetPrecisionMultiplier` in its `models/points.go`), and 3
/// guesses without one. So does VictoriaMetrics, which doesn't know InfluxDB 1's own `n`
/// (`getTimestampMultiplier` in its `lib/protoparser/influx/stream/streamparser.go`).
fn precision(precision: Precision, api: &InfluxApi) -> &'static str {
    let [v1, v2, v3] = match precision {
        Precision::Ns => ["ns", "ns", "nanosecond"],
        Precision::Us => ["u", "us", "microsecond"],
        Precision::Ms => ["ms", "ms", "millisecond"],
        Precision::S => ["s", "s", "second"],
    };
    match api {
        InfluxApi::V1 { .. } => v1,
        InfluxApi::V2 { .. } => v2,
        InfluxApi::V3 { .. } => v3,
    }
}

fn headers(compression: InfluxCompression) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let encoding = match compression {
        InfluxCompression::Gzip => Some("gzip"),
        InfluxCompression::Zstd => Some("zstd"),
        InfluxCompression::None => None,
    };
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    headers
}

/// By the fastest level: gzip makes a body 3.5 times smaller at 544 MB/s, against 6 times at 134 MB/s
/// (docs/dependencies.md).
fn compressed(body: Bytes, compression: InfluxCompression) -> Result<Bytes, SinkError> {
    let compressed = match compression {
        InfluxCompression::None => return Ok(body),
        InfluxCompression::Gzip => {
            let room = Vec::with_capacity(body.len() / 3);
            let mut encoder = GzEncoder::new(room, Compression::fast());
            encoder.write_all(&body).and_then(|()| encoder.finish())
        }
        InfluxCompression::Zstd => zstd::bulk::compress(&body, ZSTD_LEVEL),
    };
    compressed
        .map(Bytes::from)
        // A Vec takes all that is written to it, so this isn't seen.
        .map_err(|error| SinkError::Unavailable {
            reason: format!("the body could not be compressed: {error}"),
            retry_after: None,
            perhaps_stored: false,
        })
}

#[cfg(test)]
pub(super) mod tests;
