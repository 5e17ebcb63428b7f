//! What the demo shows, on the page and in the terminal: one snapshot, and its last two minutes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::alert::{self, Alert, Finding};
use super::connector::Connector;
use super::generator::Progress;
use super::now_millis;
use super::store::Store;

/// How often a sample is taken.
pub(crate) const EVERY: Duration = Duration::from_millis(500);
/// Samples kept: two minutes.
const MAX_SAMPLES: usize = 240;
/// Samples a rate is taken over, so that batches don't make it jump.
const RATE_SAMPLES: usize = 3;

/// What the parts of the demo share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) connector: Connector,
    pub(crate) progress: Arc<Progress>,
    /// Set when the demo winds down: the store stays up from then on.
    ending: AtomicBool,
    begun: Instant,
    samples: Mutex<VecDeque<Sample>>,
    alert: Mutex<Alert>,
}

/// One moment's figures.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sample {
    /// Milliseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) up: bool,
    pub(crate) sent: u64,
    pub(crate) stored: u64,
    pub(crate) sent_per_second: f64,
    pub(crate) stored_per_second: f64,
    pub(crate) lag: u64,
    /// The age of the newest durable point.
    pub(crate) freshness_ms: Option<i64>,
}

/// All that is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub(crate) now: i64,
    pub(crate) running_ms: u64,
    /// Whether the demo winds down.
    pub(crate) ending: bool,
    pub(crate) sent: u64,
    pub(crate) stored: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) lag: u64,
    /// Whether the generator waits because the store is too far behind.
    pub(crate) waiting: bool,
    pub(crate) store: StoreStatus,
    pub(crate) connector: ConnectorStatus,
    pub(crate) alert: Alert,
    pub(crate) alert_rule: Rule,
    /// Newest last.
    pub(crate) samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct StoreStatus {
    pub(crate) up: bool,
    pub(crate) series: usize,
    pub(crate) rewritten: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ConnectorStatus {
    pub(crate) state: String,
    pub(crate) failed: bool,
    pub(crate) paused: bool,
    pub(crate) retries: u64,
    pub(crate) batches_in_flight: i64,
    pub(crate) bytes_in_flight: i64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Rule {
    query: &'static str,
    threshold: f64,
    for_ms: i64,
}

impl Shared {
    /// Brings the parts together.
    pub(crate) fn new(store: Arc<Store>, connector: Connector, progress: Arc<Progress>) -> Self {
        Self {
            store,
            connector,
            progress,
            ending: AtomicBool::new(false),
            begun: Instant::now(),
            samples: Mutex::default(),
            alert: Mutex::default(),
        }
    }

    /// Takes the store down, unless the demo winds down.
    pub(crate) fn take_store_down(&self) {
        if !self.is_ending() {
            self.store.take_down();
        }
    }

    /// Takes the store down if it is up, and the other way round.
    pub(crate) fn switch_store(&self) {
        if self.store.is_up() {
            self.take_store_down();
        } else {
            self.store.bring_up();
        }
    }

    /// From here on the store stays up.
    pub(crate) fn begin_end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.store.bring_up();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Records sent that are not done. The connector's own gauge of lag says the same, but looks at
    /// Kafka only every few seconds.
    fn lag(&self) -> u64 {
        self.progress.sent.load(Ordering::Relaxed).saturating_sub(self.done())
    }

    /// Records that are in the store or, confirmed, in the dead-letter topic.
    pub(crate) fn done(&self) -> u64 {
        self.store.counts().stored + self.connector.metrics().dead_letters.get()
    }

    /// Takes a sample, and evaluates the alert.
    fn sample(&self) {
        let now = now_millis();
        self.progress.done.store(self.done(), Ordering::Relaxed);
        let newest = self.connector.metrics().newest_durable_millis.get();
        let mut sample = Sample {
            time: now,
            up: self.store.is_up(),
            sent: self.progress.sent.load(Ordering::Relaxed),
            stored: self.store.counts().stored,
            lag: self.lag(),
            freshness_ms: (newest > 0).then(|| (now - newest).max(0)),
            ..Sample::default()
        };
        let mut samples = lock(&self.samples);
        let back = samples.len().saturating_sub(RATE_SAMPLES);
        if let Some(earlier) = samples.get(back) {
            sample.sent_per_second = rate(earlier.sent, sample.sent, now - earlier.time);
            sample.stored_per_second = rate(earlier.stored, sample.stored, now - earlier.time);
        }
        if samples.len() == MAX_SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
        drop(samples);
        let finding = match self.store.latest(alert::QUERY, now) {
            Ok(Some(value)) => Finding::Value(value),
            Ok(None) => Finding::NoData,
            Err(_) => Finding::Failed,
        };
        lock(&self.alert).evaluate(now, &finding);
    }

    /// A snapshot.
    pub(crate) fn status(&self) -> Status {
        let metrics = self.connector.metrics();
        let counts = self.store.counts();
        let failure = self.connector.failure();
        let paused = metrics.paused.get() > 0;
        let state = match failure {
            Some(_) => "failed",
            None if self.is_ending() => "finishing",
            None if paused => "waiting for the store",
            None => "running",
        };
        Status {
            now: now_millis(),
            running_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            ending: self.is_ending(),
            sent: self.progress.sent.load(Ordering::Relaxed),
            stored: counts.stored,
            dead_lettered: metrics.dead_letters.get(),
            lag: self.lag(),
            waiting: self.progress.waiting.load(Ordering::Relaxed),
            store: StoreStatus {
                up: self.store.is_up(),
                series: counts.series,
                rewritten: counts.rewritten,
            },
            connector: ConnectorStatus {
                state: state.to_owned(),
                failed: failure.is_some(),
                paused,
                retries: metrics.writes.retries(),
                batches_in_flight: metrics.batches_in_flight.get(),
                bytes_in_flight: metrics.bytes_in_flight.get(),
            },
            alert: lock(&self.alert).clone(),
            alert_rule: Rule {
                query: alert::QUERY,
                threshold: alert::THRESHOLD,
                for_ms: alert::FOR_MILLIS,
            },
            samples: lock(&self.samples).clone(),
        }
    }
}

/// Samples for ever.
pub(crate) async fn keep_sampling(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.sample();
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a demo, far below 2^53")]
fn rate(earlier: u64, later: u64, millis: i64) -> f64 {
    later.saturating_sub(earlier) as f64 * 1000.0 / millis.max(1) as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
