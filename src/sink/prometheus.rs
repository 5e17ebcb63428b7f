//! Prometheus remote write 1.0: Prometheus with its receiver enabled, VictoriaMetrics, Mimir,
//! Thanos.
//!
//! The answers are those of docs/sinks.md; those of Prometheus 2.42 and VictoriaMetrics 1.150
//! were seen from the servers themselves.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::http::{Answer, Http, parse_url};
use super::{BuildError, Durability, Rejected, Scope, SinkError};
use crate::batch::Batch;
use crate::config;
use crate::encode::{Encoder, RemoteWrite};

/// A receiver of remote write.
#[derive(Debug)]
pub struct Prometheus {
    http: Http,
    headers: HeaderMap,
}

impl Prometheus {
    /// Prometheus has written its write-ahead log, and fsyncs it when a segment is full
    /// (`tsdb/wlog`): survives `kill -9`, not a loss of power.
    pub const DURABILITY: Durability = Durability::Written;

    /// Connects nothing yet.
    pub fn new(config: &config::Prometheus, timeout: Duration) -> Result<Self, BuildError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        let version = HeaderValue::from_static("0.1.0");
        headers.insert("x-prometheus-remote-write-version", version);
        Ok(Self { http: Http::new(parse_url(&config.url)?, timeout)?, headers })
    }

    #[expect(clippy::unused_self, reason = "every sink has this method")]
    pub fn encoder(&self) -> Encoder {
        Encoder::RemoteWrite(RemoteWrite::new())
    }

    /// One attempt.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let body = snappy(&batch.body())?;
        classify(&self.http.post(self.headers.clone(), body).await?)
    }
}

/// The block format, without framing, as the specification demands.
fn snappy(body: &[u8]) -> Result<Bytes, SinkError> {
    let compressed = snap::raw::Encoder::new().compress_vec(body);
    // The only error is a body beyond 4 GiB.
    compressed.map(Bytes::from).map_err(|error| SinkError::TooLarge { reason: error.to_string() })
}

/// What Prometheus says of samples that others stand in the way of (`storage/interface.go`).
const SUPERSEDED: [&str; 4] =
    ["out of order sample", "duplicate sample for timestamp", "too old sample", "out of bounds"];

/// What an answer means. Whatever isn't recognisably the database's own verdict on samples is left
/// to [`Answer::general`].
fn classify(answer: &Answer) -> Result<(), SinkError> {
    match answer.status {
        // A login page, with the 200 of a proxy. Receivers answer with no body, or a short text.
        status if status.is_success() && answer.is_page() => Err(answer.misconfigured()),
        // 204 of Prometheus and VictoriaMetrics, 200 of Mimir and Thanos. Mimir's 202: another
        // replica of a high-availability pair has delivered the sample; that takes labels that a
        // person has set up for it.
        status if status.is_success() => Ok(()),
        _ if answer.is_page() => Err(answer.general()),
        StatusCode::BAD_REQUEST => Err(verdict(answer)),
        // Thanos: out of order, duplicate, too old and bad labels alike; the valid were appended.
        StatusCode::CONFLICT => Err(rejected(answer, true, true)),
        // Prometheus before 2.50 answers 500 here (its CHANGELOG, #13335), and would for ever.
        StatusCode::INTERNAL_SERVER_ERROR if answer.body.trim() == "too old sample" => {
            Err(rejected(answer, true, false))
        }
        _ => Err(answer.general()),
    }
}

fn verdict(answer: &Answer) -> SinkError {
    let body = answer.body.as_str();
    if let Some((_, id)) = body.split_once("err-mimir-") {
        return mimir(answer, id);
    }
    // VictoriaMetrics (`lib/protoparser/promremotewrite/stream/streamparser.go`).
    if body.contains("too big unpacked request") || body.contains("too big data size exceeding") {
        return answer.too_large();
    }
    // "out of bounds: timestamp is too far in the future" (`timeLimitAppender` in Prometheus'
    // `storage/remote/write_handler.go`; 2.42 takes such samples): nothing that is stored stands in
    // its way.
    if body.contains("too far in the future") {
        return rejected(answer, false, false);
    }
    if SUPERSEDED.iter().any(|text| body.contains(text)) {
        // One such sample, and Prometheus rolls the whole request back (seen with 2.42).
        return rejected(answer, true, false);
    }
    // Nothing else that Prometheus or VictoriaMetrics answer with 400 is about samples: a body that
    // can't be decompressed or decoded, a path that isn't theirs.
    answer.general()
}

/// Mimir names its errors (`err-mimir-…`), and takes in the rest of the request.
fn mimir(answer: &Answer, id: &str) -> SinkError {
    let is = |name: &str| id.starts_with(name);
    if is("distributor-max-write-message-size") {
        return answer.too_large();
    }
    // Limits of a tenant: they heal by time or by a person, and are no fault of the samples.
    if is("max-series-per-") || is("tenant-") {
        return answer.misconfigured();
    }
    let superseded =
        ["sample-out-of-order", "sample-duplicate-timestamp", "sample-timestamp-too-old"];
    rejected(answer, superseded.into_iter().any(is), true)
}

fn rejected(answer: &Answer, superseded: bool, rest_written: bool) -> SinkError {
    SinkError::Rejected(Rejected {
        scope: Scope::Batch,
        rest_written,
        superseded,
        reason: answer.reason(),
    })
}

#[cfg(test)]
mod tests;
