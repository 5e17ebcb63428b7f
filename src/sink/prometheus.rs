//! Prometheus remote write 1.0: Prometheus with its receiver enabled, VictoriaMetrics, Mimir,
//! Thanos.
//!
//! The answers are those of docs/sinks.md; those of Prometheus 2.42 and VictoriaMetrics 1.150
//! were seen from the servers themselves.

pub(super) mod answers;
mod samples;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::http::check::{self, Place};
use super::http::{Http, add_headers, parse_url};
use super::{BuildError, Durability, SinkError};
use crate::batch::Batch;
use crate::check::Finding;
use crate::config;
use crate::encode::{Encoder, Origins, RemoteWrite, SeriesRules};
use crate::route::Destination;

/// A receiver of remote write.
#[derive(Debug)]
pub struct Prometheus {
    http: Http,
    headers: HeaderMap,
    rules: Arc<SeriesRules>,
    origins: Arc<Origins>,
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
        let http = Http::new(parse_url(&config.url)?, &config.http, timeout)?;
        let rules = Arc::new(config.series.clone());
        Ok(Self { http, headers, rules, origins: Arc::default() })
    }

    pub fn encoder(&self) -> Encoder {
        Encoder::RemoteWrite(RemoteWrite::new(Arc::clone(&self.rules), Arc::clone(&self.origins)))
    }

    /// One attempt.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let body = snappy(&batch.body())?;
        let (url, headers) = self.address(batch.destination())?;
        answers::classify(&self.http.exchange(&url, headers, body).await?, batch)
    }

    fn address(&self, destination: &Destination) -> Result<(Url, HeaderMap), SinkError> {
        let mut headers = self.headers.clone();
        add_headers(destination, &mut headers)?;
        Ok((self.http.address(destination), headers))
    }

    /// Writes nothing: an empty `WriteRequest`, which Prometheus and VictoriaMetrics take with 204.
    pub async fn check(&self, destination: &Destination) -> Result<Vec<Finding>, SinkError> {
        let (url, headers) = self.address(destination)?;
        let written = self.http.exchange(&url, headers, snappy(&[])?).await;
        let place = Place {
            name: if destination.is_constant() {
                "receiver".into()
            } else {
                format!("receiver for {destination}")
            },
            mend: "give the whole address in `url` (`…/api/v1/write`; of Mimir `…/api/v1/push`), \
                   and start Prometheus with --web.enable-remote-write-receiver",
        };
        Ok(check::findings(&self.http, &place, written))
    }
}

/// The block format, without framing, as the specification demands.
fn snappy(body: &[u8]) -> Result<Bytes, SinkError> {
    let compressed = snap::raw::Encoder::new().compress_vec(body);
    // The only error is a body beyond 4 GiB.
    compressed.map(Bytes::from).map_err(|error| SinkError::TooLarge { reason: error.to_string() })
}

#[cfg(test)]
pub(super) mod tests;
