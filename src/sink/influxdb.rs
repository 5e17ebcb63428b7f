//! InfluxDB 2 (`POST /api/v2/write`); VictoriaMetrics takes writes on the same route.
//!
//! The answers are those of docs/sinks.md ("InfluxDB 2.x", "VictoriaMetrics").

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::http::{Answer, Http, parse_url};
use super::{BuildError, Durability, Rejected, Scope, SinkError};
use crate::batch::Batch;
use crate::config;
use crate::config::raw::Precision;
use crate::encode::{Encoder, LineProtocol};

/// A bucket of an InfluxDB 2.
#[derive(Debug)]
pub struct InfluxDb {
    http: Http,
    headers: HeaderMap,
    gzip: bool,
    precision: Precision,
}

impl InfluxDb {
    /// InfluxDB answers 204 after the write-ahead log's fsync (`tsdb/engine/tsm1/wal.go`).
    /// VictoriaMetrics on the same route answers from memory and is on disk about 5 s later.
    pub const DURABILITY: Durability = Durability::Synced;

    /// Connects nothing yet.
    pub fn new(config: &config::InfluxDb, timeout: Duration) -> Result<Self, BuildError> {
        let mut url = parse_url(&config.url)?;
        let path = format!("{}/api/v2/write", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.query_pairs_mut()
            .append_pair("org", &config.org)
            .append_pair("bucket", &config.bucket)
            .append_pair("precision", precision(config.precision));
        Ok(Self {
            http: Http::new(url, timeout)?,
            headers: headers(config)?,
            gzip: config.gzip,
            precision: config.precision,
        })
    }

    pub fn encoder(&self) -> Encoder {
        Encoder::LineProtocol(LineProtocol::new(self.precision))
    }

    /// One attempt.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let body = if self.gzip { gzip(&batch.body())? } else { batch.body() };
        classify(&self.http.post(self.headers.clone(), body).await?)
    }
}

/// The name in the request, which the encoder's timestamps must follow.
fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::Ns => "ns",
        Precision::Us => "us",
        Precision::Ms => "ms",
        Precision::S => "s",
    }
}

fn headers(config: &config::InfluxDb) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if config.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some(token) = &config.token {
        // The error would show the token.
        let mut value =
            HeaderValue::from_str(&format!("Token {}", token.expose())).map_err(|_| {
                BuildError("the token has a character that a header can't carry".into())
            })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// The fastest level: 3.5 times smaller at 544 MB/s, against 6 times at 134 MB/s
/// (docs/dependencies.md).
fn gzip(body: &[u8]) -> Result<Bytes, SinkError> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .map(Bytes::from)
        // A Vec takes all that is written to it, so this isn't seen.
        .map_err(|error| SinkError::Unavailable {
            reason: format!("the body could not be compressed: {error}"),
            retry_after: None,
            perhaps_stored: false,
        })
}

/// What an answer means. Whatever isn't recognisably the database's own verdict on points is left
/// to [`Answer::general`].
fn classify(answer: &Answer) -> Result<(), SinkError> {
    match answer.status {
        // The only acknowledgement. InfluxDB 2 serves its user interface with a 200 on addresses
        // that it doesn't know.
        StatusCode::NO_CONTENT => Ok(()),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(verdict(answer)),
        _ => Err(answer.general()),
    }
}

/// A 400 or 422, told apart by the beginning of its message: what follows may echo the points, in
/// which any text can stand.
fn verdict(answer: &Answer) -> SinkError {
    let message = message(&answer.body);
    // InfluxDB 2 (`http/write_handler.go`) puts this before what its storage says.
    let storage = "failure writing points to database: ";
    let said = message.strip_prefix(storage).unwrap_or(message);
    if said.starts_with("partial write") {
        // Of InfluxDB 1 and of the others, in docs/sinks.md ("partial write: … dropped=N"):
        // the limit heals when a person raises it, and it would dead-letter every new series.
        if said.contains("max-series-per-database") || said.contains("max-values-per-tag") {
            return answer.misconfigured();
        }
        // The valid points were written. Which are not is not said.
        return rejected(answer, true);
    }
    // InfluxDB 2: every line that doesn't parse is named, and nothing was written.
    // Its newer relatives, on this route, too: nothing was written, or it is said as above.
    let unparsed = ["unable to parse '", "parsing failed", "failed to parse line protocol"];
    if unparsed.iter().any(|start| said.starts_with(start)) {
        return rejected(answer, false);
    }
    // VictoriaMetrics 1.150 stops at the first bad line, and stores nothing.
    let victoria = "cannot process influx line protocol data: ";
    match message.strip_prefix(victoria) {
        Some(cause) if cause.starts_with("incorrect influx line ") => rejected(answer, false),
        // `ReadUncompressedData`: "too big data size …", "too big decompressed data size …".
        Some(cause) if cause.starts_with("too big ") => answer.too_large(),
        _ => answer.general(),
    }
}

fn rejected(answer: &Answer, rest_written: bool) -> SinkError {
    SinkError::Rejected(Rejected {
        scope: Scope::Batch,
        rest_written,
        superseded: false,
        reason: answer.reason(),
    })
}

/// The message of an error in JSON (`{"code":"invalid","message":"…"}` of InfluxDB 2,
/// `{"error":"…"}` of the others), up to the end of the body, or the body itself. The body may be
/// cut off, so it is no JSON any more.
fn message(body: &str) -> &str {
    let body = body.trim_start();
    if !body.starts_with('{') {
        return body;
    }
    let text = ["\"message\":", "\"error\":"].iter().find_map(|key| body.split_once(key));
    text.map_or(body, |(_, text)| text.trim_start().trim_start_matches('"'))
}

#[cfg(test)]
mod tests;
