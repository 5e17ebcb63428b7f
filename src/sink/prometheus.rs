//! Prometheus remote write: Prometheus with its receiver enabled, VictoriaMetrics, Mimir, Thanos.
//!
//! The answers are those of docs/sinks.md; those of Prometheus 2.42 and VictoriaMetrics 1.150
//! were seen from the servers themselves.

pub(super) mod answers;
pub(super) mod forms;
mod samples;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use self::forms::{Compressors, Form, Forms};
use super::http::check::{self, Place};
use super::http::{Answer, Failure, Http, add_headers, parse_url};
use super::{BuildError, Durability, SinkError};
use crate::batch::Batch;
use crate::check::{Finding, State};
use crate::config;
use crate::encode::remote_write::v2;
use crate::encode::{Encoder, Metadata, Origins, RemoteWrite, SeriesRules};
use crate::route::Destination;

/// How often metadata goes with a request of remote write 1.0, as Prometheus has it.
const TELL_METADATA: Duration = Duration::from_mins(1);
/// Where there are more, some get it more often.
const MAX_DESTINATIONS: usize = 10_000;

/// A receiver of remote write.
#[derive(Debug)]
pub struct Prometheus {
    http: Http,
    forms: Forms,
    compressors: Compressors,
    rules: Arc<SeriesRules>,
    origins: Arc<Origins>,
    metadata: Metadata,
    /// The same for a request of remote write 1.0, encoded; and when each destination gets it next.
    entries: Vec<u8>,
    entries_due: Mutex<HashMap<Box<str>, Instant>>,
}

impl Prometheus {
    /// Prometheus has written its write-ahead log, and fsyncs it when a segment is full
    /// (`tsdb/wlog`): survives `kill -9`, not a loss of power.
    pub const DURABILITY: Durability = Durability::Written;

    /// Connects nothing yet.
    pub fn new(config: &config::Prometheus, timeout: Duration) -> Result<Self, BuildError> {
        Ok(Self {
            http: Http::new(parse_url(&config.url)?, &config.http, timeout)?,
            forms: Forms::new(config),
            compressors: Compressors::default(),
            rules: Arc::new(config.series.clone()),
            origins: Arc::default(),
            metadata: config.metadata.clone(),
            entries: config.metadata.entries(),
            entries_due: Mutex::default(),
        })
    }

    pub fn encoder(&self) -> Encoder {
        Encoder::RemoteWrite(RemoteWrite::new(Arc::clone(&self.rules), Arc::clone(&self.origins)))
    }

    /// One attempt; two if the receiver does not understand the form of the first.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let form = self.forms.now();
        let (answer, verdict) = self.write_as(form, batch).await?;
        let instead = self.forms.instead_of(form);
        let Some(instead) = instead.filter(|_| !answers::is_understood(form, &answer, &verdict))
        else {
            return verdict;
        };
        let (_, verdict) = self.write_as(instead, batch).await?;
        if !matches!(verdict, Err(SinkError::Misconfigured { .. } | SinkError::Unavailable { .. }))
        {
            self.forms.keep_instead();
        }
        verdict
    }

    /// Writes nothing: an empty message, which Prometheus and VictoriaMetrics take with 204.
    pub async fn check(&self, destination: &Destination) -> Result<Vec<Finding>, SinkError> {
        let nothing = Batch::empty().to(destination.clone());
        let mut form = self.forms.now();
        let mut written = self.send(form, &nothing).await?;
        if let (Some(instead), Ok(answer)) = (self.forms.instead_of(form), &written)
            && !answers::is_understood(form, answer, &answers::classify(form, answer, &nothing))
        {
            form = instead;
            written = self.send(form, &nothing).await?;
        }
        let verdict = written.as_ref().ok().map(|answer| answers::classify(form, answer, &nothing));
        let place = Place {
            name: if destination.is_constant() {
                "receiver".into()
            } else {
                format!("receiver for {destination}")
            },
            mend: "give the whole address in `url` (`…/api/v1/write`; of Mimir `…/api/v1/push`), \
                   and start Prometheus with --web.enable-remote-write-receiver",
            would_be: None,
        };
        let mut findings = check::findings(&self.http, &place, written);
        // A success that is none.
        if let (Some(Err(error)), Some(write)) = (verdict, findings.last_mut())
            && write.state == State::Ok
        {
            let mend = "set `protobuf_message: auto`, or `prometheus.WriteRequest`";
            *write = Finding::failed(&*write.item, error.to_string(), mend);
        }
        Ok(findings)
    }

    async fn write_as(
        &self,
        form: Form,
        batch: &Batch,
    ) -> Result<(Answer, Result<(), SinkError>), SinkError> {
        let answer = self.send(form, batch).await??;
        let verdict = answers::classify(form, &answer, batch);
        Ok((answer, verdict))
    }

    async fn send(&self, form: Form, batch: &Batch) -> Result<Result<Answer, Failure>, SinkError> {
        let body = self.compressors.compress(form, &self.body(form, batch)?)?;
        let (url, headers) = self.address(form, batch.destination())?;
        Ok(self.http.exchange(&url, headers, body).await)
    }

    fn address(
        &self,
        form: Form,
        destination: &Destination,
    ) -> Result<(Url, HeaderMap), SinkError> {
        let mut headers = form.headers();
        add_headers(destination, &mut headers)?;
        Ok((self.http.address(destination), headers))
    }

    /// The message, uncompressed.
    fn body(&self, form: Form, batch: &Batch) -> Result<Bytes, SinkError> {
        if form == Form::V2 {
            let request = v2::request(batch, &self.metadata, self.origins.seed());
            let defect = || SinkError::Misconfigured {
                reason: "a batch that is not of remote write's encoder; please report it".into(),
            };
            return request.map(Bytes::from).ok_or_else(defect);
        }
        let body = batch.body();
        if batch.is_empty() || !self.takes_entries(batch.destination()) {
            return Ok(body);
        }
        Ok([&body[..], &self.entries].concat().into())
    }

    /// Whether metadata is due. A receiver that refuses it then gets the next request without it.
    fn takes_entries(&self, destination: &Destination) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let now = Instant::now();
        let mut due = self.entries_due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.get(destination.key()).is_some_and(|due| *due > now) {
            return false;
        }
        if due.len() >= MAX_DESTINATIONS {
            due.clear();
        }
        due.insert(destination.key().into(), now + TELL_METADATA);
        true
    }
}

#[cfg(test)]
pub(super) mod tests;
