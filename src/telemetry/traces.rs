//! A record's part in the trace that its header names: a span for each record whose trace is sampled,
//! exported as OTLP over HTTP.
//!
//! A span is a witness, never in the way: it waits in a bounded queue, and what can't be sent in time is
//! dropped and counted.

mod otlp;
mod parent;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;
use tracing::{info, warn};

use self::parent::Parent;
use super::{Metrics, since_epoch};
use crate::batch::RecordIndex;
use crate::config;
use crate::dead_letter::{Reject, Stage, folded};
use crate::record::{Offset, Record, TopicPartition};
use crate::sink::BuildError;
use crate::sink::http::{Http, parse_url};

/// Spans that wait to be sent, at most: some full batches of records that are all sampled, in some MB.
const QUEUE: usize = 8192;
/// Spans of one request, at most.
const REQUEST: usize = 512;
/// How long the first span of a request waits for others.
const LINGER: Duration = Duration::from_millis(500);
/// How long the collector may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the last spans.
const AT_THE_END: Duration = Duration::from_secs(2);

/// Where the spans of a process go. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Traces {
    ended: Sender<Ended>,
}

/// What sends them.
#[derive(Debug)]
pub struct Exporter {
    service_name: String,
    url: Url,
    http: Http,
    ended: Receiver<Ended>,
    closing: Arc<Notify>,
}

/// Ends an exporter that runs.
#[derive(Debug)]
pub struct Closing {
    closing: Arc<Notify>,
    exporter: tokio::task::JoinHandle<()>,
}

/// Begins the spans of one worker.
#[derive(Debug)]
pub(crate) struct Tracer {
    origin: Arc<Origin>,
    keys: RandomState,
    begun: AtomicU64,
}

/// Whose spans they are.
#[derive(Debug)]
struct Origin {
    connector: String,
    group: String,
    sent: Counter,
    dropped: Counter,
    ended: Sender<Ended>,
}

/// A record that is under way.
#[derive(Debug)]
pub(crate) struct Span {
    origin: Arc<Origin>,
    parent: Parent,
    id: [u8; 8],
    partition: TopicPartition,
    offset: Offset,
    /// Since the epoch.
    begin: Duration,
    since: Instant,
}

#[derive(Debug)]
struct Ended {
    span: Span,
    took: Duration,
    /// The stage that has rejected the record, and its reason without values of the message.
    error: Option<(Stage, String)>,
}

impl Traces {
    /// The queue and what empties it, which is still to be started.
    pub fn new(config: &config::Traces) -> Result<(Self, Exporter), BuildError> {
        let url = parse_url(&config.url)?;
        let http = Http::new(url.clone(), &config.http, WITHIN)?;
        let (sender, ended) = channel(QUEUE);
        let service_name = config.service_name.clone();
        let exporter = Exporter { service_name, url, http, ended, closing: Arc::default() };
        Ok((Self { ended: sender }, exporter))
    }

    pub(crate) fn tracer(&self, connector: &str, group: &str, metrics: &Metrics) -> Tracer {
        let origin = Origin {
            connector: connector.to_owned(),
            group: group.to_owned(),
            sent: metrics.spans_sent.clone(),
            dropped: metrics.spans_dropped.clone(),
            ended: self.ended.clone(),
        };
        Tracer { origin: Arc::new(origin), keys: RandomState::new(), begun: AtomicU64::new(0) }
    }
}

impl Tracer {
    /// The span of a record, if its header names a trace that is sampled. `partition` is the record's.
    pub(crate) fn begin<R: Record>(&self, record: &R, partition: &TopicPartition) -> Option<Span> {
        let state = || record.header("tracestate");
        let parent = Parent::sampled(record.header("traceparent")?, state)?;
        // Zero is no id.
        let id = self.keys.hash_one(self.begun.fetch_add(1, Ordering::Relaxed)).max(1);
        Some(Span {
            origin: Arc::clone(&self.origin),
            parent,
            id: id.to_be_bytes(),
            partition: partition.clone(),
            offset: record.place().2,
            begin: since_epoch(),
            since: Instant::now(),
        })
    }
}

impl Span {
    /// Nothing more is to be done with the record.
    pub(crate) fn end(self) {
        self.end_with(None);
    }

    /// The record was rejected. What a database says of it may quote it, so that is left out.
    pub(crate) fn end_rejected(self, reject: &Reject) {
        let reason = match reject.stage {
            Stage::Write => "refused by the database".to_owned(),
            _ => folded(&reject.reason),
        };
        self.end_with(Some((reject.stage, reason)));
    }

    fn end_with(self, error: Option<(Stage, String)>) {
        let (origin, took) = (Arc::clone(&self.origin), self.since.elapsed());
        if origin.ended.try_send(Ended { span: self, took, error }).is_err() {
            origin.dropped.inc();
        }
    }
}

impl Exporter {
    pub fn start(self, runtime: &tokio::runtime::Runtime) -> Closing {
        Closing { closing: Arc::clone(&self.closing), exporter: runtime.spawn(self.run()) }
    }

    /// Until it is closed, and then until the queue is empty. An outage is told once, and its end.
    async fn run(mut self) {
        let mut spans = Vec::with_capacity(REQUEST);
        let mut is_out = false;
        while self.gather(&mut spans).await {
            let sent = self.send(&spans).await;
            for ended in spans.drain(..) {
                let origin = &ended.span.origin;
                if sent.is_ok() { &origin.sent } else { &origin.dropped }.inc();
            }
            match &sent {
                Ok(()) if is_out => info!("spans are sent again"),
                Err(reason) if !is_out => {
                    warn!(reason, "spans can't be sent and are dropped; newer ones will be tried");
                }
                _ => {}
            }
            is_out = sent.is_err();
        }
    }

    /// The spans of the next request; whether there are any, and will be.
    async fn gather(&mut self, spans: &mut Vec<Ended>) -> bool {
        tokio::select! {
            _ = self.ended.recv_many(spans, REQUEST) => {}
            () = self.closing.notified() => self.ended.close(),
        }
        let until = Instant::now() + LINGER;
        while spans.len() < REQUEST {
            let room = REQUEST - spans.len();
            tokio::select! {
                // Nothing comes any more.
                more = self.ended.recv_many(spans, room) => if more == 0 { break },
                () = self.closing.notified() => self.ended.close(),
                () = tokio::time::sleep_until(until) => break,
            }
        }
        !spans.is_empty()
    }

    async fn send(&self, spans: &[Ended]) -> Result<(), String> {
        let body = Bytes::from(otlp::request(&self.service_name, spans).to_string());
        let post = |client: &reqwest::Client| {
            client
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone())
        };
        let answer = self.http.request(post).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("the collector answers {status}")) }
    }
}

#[cfg(test)]
impl Exporter {
    /// What would be sent now, at most one request.
    pub(crate) fn next_request(&mut self) -> serde_json::Value {
        let spans: Vec<_> =
            std::iter::from_fn(|| self.ended.try_recv().ok()).take(REQUEST).collect();
        otlp::request(&self.service_name, &spans)
    }
}

impl Closing {
    /// Sends what there is; not for long.
    pub async fn close(self) {
        self.closing.notify_one();
        // What is not sent by then has no one left to count it.
        let _ = tokio::time::timeout(AT_THE_END, self.exporter).await;
    }
}

/// The spans of a batch that is under way.
#[derive(Debug, Default)]
pub(crate) struct Spans(Vec<(Option<RecordIndex>, Span)>);

impl Spans {
    /// `index` is the record's in the batch, if it has points in it.
    pub(crate) fn push(&mut self, index: Option<RecordIndex>, span: Span) {
        self.0.push((index, span));
    }

    pub(crate) fn reject(&mut self, index: RecordIndex, reject: &Reject) {
        if let Some(at) = self.0.iter().position(|(of, _)| *of == Some(index)) {
            self.0.swap_remove(at).1.end_rejected(reject);
        }
    }

    pub(crate) fn end(&mut self) {
        for (_, span) in mem::take(&mut self.0) {
            span.end();
        }
    }
}
