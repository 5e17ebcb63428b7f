//! Every counter and gauge, named and described in this one place, and the log.
//!
//! [`Metrics`] is what the stages count in; `exposition` shows it at `/metrics`.

pub mod exposition;
mod kafka;
mod logs;
mod process;
pub mod push;
mod rejects;
mod replies;
mod shares;
#[cfg(test)]
mod tests;
pub mod traces;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

pub(crate) use kafka::{BrokerFigures, ClientFigures, ClientShare, Clients};
pub use logs::{Level, Levels, Logger, log_to_stderr};
pub(crate) use rejects::{Rejected, Rejects};
pub(crate) use replies::{Replies, Reply};
pub(crate) use shares::{LagShare, Lags, Share, Turns, WorkerTurns};

use crate::cardinality::Cardinality;
use crate::dead_letter::{ReasonKind, Reject, Stage};
use crate::drift::Drift;
use crate::point::Timestamp;
use crate::sink::SinkError;

/// What one connector has done since it started, over all its workers. Cheap to update from any
/// thread, and readable by whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Records taken from Kafka.
    pub records_consumed: Counter,
    /// Records that the configuration leaves out: tombstones and empty messages.
    pub records_excluded: Counter,
    /// Records read again for what processors remember of them; all that comes of them was written before.
    pub records_reread: Counter,
    /// Points left out, or their records rejected, because all windows that they lie in had closed.
    pub points_late: Counter,
    /// Attempts to decode a record that were in vain because something that it takes can't be reached.
    pub decode_retries: Counter,
    /// Records that could not become points, or that the database refused.
    pub records_rejected: Rejections,
    /// The last of them.
    pub(crate) rejects: Rejects,
    /// Rejected records confirmed in the dead-letter topic.
    pub dead_letters: Counter,
    /// Records (offsets, so at most as many records) that were never read: deleted in Kafka before,
    /// or skipped because `offset_out_of_range` is `latest`.
    pub records_lost: Counter,
    /// Partitions in which the place to read on from was gone.
    pub offsets_out_of_range: Counter,
    /// Attempts to produce a dead letter that failed and are repeated.
    pub dead_letter_failures: Counter,
    /// Points (for Prometheus: samples) that the database has acknowledged as durable.
    pub points_written: Counter,
    /// Points that a replay found to be in the database already.
    pub points_already_written: Counter,
    /// Samples, for a database that takes them in order, whose series' last one came from another
    /// partition.
    pub series_in_several_partitions: Counter,
    /// String fields left out, for a database that holds numbers only.
    pub strings_dropped: Counter,
    /// Metrics of a Prometheus that more than one measurement and field became.
    pub shared_metrics: Counter,
    /// Series, values of tags, and points that overwrite each other.
    pub cardinality: Cardinality,
    /// What messages have and the mapping doesn't name, and the other way round.
    pub drift: Drift,
    /// Bytes of encoded points acknowledged, before compression.
    pub bytes_written: Counter,
    /// Batches done: their points durable and their rejected records confirmed.
    pub batches_done: Counter,
    /// Attempts to write, by what the database's answer was taken for.
    pub writes: Writes,
    /// The last answers of the database.
    pub(crate) replies: Replies,
    /// How long attempts to write took, in seconds.
    pub write_seconds: WriteSeconds,
    /// How long records took in each stage from their bytes into the open batch, in seconds.
    pub stages: StageSeconds,
    /// Spans of records that the collector of traces has taken.
    pub spans_sent: Counter,
    /// Those that could not be sent in time.
    pub spans_dropped: Counter,
    /// Offset commits that Kafka has confirmed.
    pub commits: Counter,
    /// Offset commits that Kafka has refused or that timed out; the next one covers them.
    pub commit_failures: Counter,
    /// When Kafka has confirmed a commit last, in milliseconds since the epoch; 0 before the first.
    pub last_commit_millis: Gauge,
    /// Batches closed and not yet done.
    pub batches_in_flight: Gauge,
    /// Bytes held for batches that are not done: encoded points and the records they came from.
    pub bytes_in_flight: Gauge,
    /// Records in Kafka that are not durable yet, over the assigned partitions.
    pub lag_records: Gauge,
    /// The same for each partition.
    pub(crate) lags: Lags,
    /// The event time of the newest durable point, in milliseconds since the epoch; 0 before the
    /// first.
    pub newest_durable_millis: Gauge,
    /// Workers whose partitions are paused because the database does not take what is in flight, or a
    /// record can't be decoded yet.
    pub paused: Gauge,
    /// Workers whose last attempt to write found the database unavailable, or in need of a mend.
    pub outages: Gauge,
    /// Partitions assigned to this connector's workers.
    pub partitions_assigned: Gauge,
    /// Assignments gained or lost.
    pub rebalances: Counter,
    /// What librdkafka says of each worker's client.
    pub(crate) clients: Clients,
    /// When each worker has gone through its loop last.
    pub(crate) turns: Turns,
}

/// How reloads of the configuration have ended.
#[derive(Debug, Clone, Default)]
pub struct Reloads {
    /// Those that were taken in, changes or not.
    pub succeeded: Counter,
    /// Those that changed nothing, because something was wrong.
    pub failed: Counter,
    /// Whether the last one failed.
    pub(crate) last_failed: Gauge,
}

impl Reloads {
    pub(crate) fn ended(&self, well: bool) {
        if well { &self.succeeded } else { &self.failed }.inc();
        self.last_failed.set(i64::from(!well));
    }
}

/// A counter for each stage at which a record can be rejected, and each kind of reason.
#[derive(Debug, Clone, Default)]
pub struct Rejections([[Counter; ReasonKind::ALL.len()]; Stage::ALL.len()]);

impl Rejections {
    pub(crate) fn of(&self, reject: &Reject) -> &Counter {
        self.at(reject.stage, reject.kind)
    }

    pub(crate) fn at(&self, stage: Stage, kind: ReasonKind) -> &Counter {
        &self.0[stage as usize][kind as usize]
    }

    /// Those that there can be, and any other that has counted.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Stage, ReasonKind, &Counter)> {
        let all =
            Stage::ALL.into_iter().flat_map(|stage| ReasonKind::ALL.map(|kind| (stage, kind)));
        let counters = all.map(|(stage, kind)| (stage, kind, self.at(stage, kind)));
        counters.filter(|(stage, kind, counter)| stage.kinds().contains(kind) || counter.get() > 0)
    }

    /// By the kind's word, over all stages; those that have counted.
    pub(crate) fn by_kind(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (_, kind, counter) in self.each().filter(|(_, _, counter)| counter.get() > 0) {
            *counts.entry(kind.name().to_owned()).or_default() += counter.get();
        }
        counts
    }

    /// Over all stages and kinds.
    pub fn get(&self) -> u64 {
        self.0.iter().flatten().map(Counter::get).sum()
    }
}

/// What an attempt to write came to: the database's answer, by what is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// Acknowledged.
    Written,
    /// Can't be reached, or takes nothing now: repeated.
    Unavailable,
    /// Refuses everything until a person mends something: repeated.
    Misconfigured,
    /// The body is too large: split.
    TooLarge,
    /// Some points are refused: they are isolated.
    Rejected,
}

impl WriteResult {
    pub(crate) const ALL: [Self; 5] =
        [Self::Written, Self::Unavailable, Self::Misconfigured, Self::TooLarge, Self::Rejected];

    pub(crate) fn of(answer: &Result<(), SinkError>) -> Self {
        match answer {
            Ok(()) => Self::Written,
            Err(SinkError::Unavailable { .. }) => Self::Unavailable,
            Err(SinkError::Misconfigured { .. }) => Self::Misconfigured,
            Err(SinkError::TooLarge { .. }) => Self::TooLarge,
            Err(SinkError::Rejected(_)) => Self::Rejected,
        }
    }

    /// The word in the metric's label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
        }
    }
}

/// A counter for each result of a write.
#[derive(Debug, Clone, Default)]
pub struct Writes([Counter; WriteResult::ALL.len()]);

impl Writes {
    pub fn with(&self, result: WriteResult) -> &Counter {
        &self.0[result as usize]
    }

    /// Those that failed and are repeated.
    pub fn retries(&self) -> u64 {
        self.with(WriteResult::Unavailable).get() + self.with(WriteResult::Misconfigured).get()
    }
}

/// Durations of writes: from a local database's millisecond to the longest time-out.
#[derive(Debug, Clone)]
pub struct WriteSeconds(pub(crate) Histogram);

impl Default for WriteSeconds {
    fn default() -> Self {
        Self(Histogram::new([
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0,
        ]))
    }
}

impl WriteSeconds {
    pub(crate) fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

/// How long records took, by stage: from a fraction of a microsecond to a message of a megabyte.
#[derive(Debug, Clone)]
pub struct StageSeconds([Histogram; Stage::ALL.len()]);

impl Default for StageSeconds {
    fn default() -> Self {
        let bounds = [1e-7, 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1];
        Self(std::array::from_fn(|_| Histogram::new(bounds)))
    }
}

impl StageSeconds {
    /// Those that a record passes on its worker's thread.
    pub(crate) const STAGES: [Stage; 4] =
        [Stage::Decode, Stage::Map, Stage::Process, Stage::Encode];

    pub(crate) fn observe(&self, stage: Stage, took: Duration) {
        self.of(stage).observe(took.as_secs_f64());
    }

    pub(crate) fn of(&self, stage: Stage) -> &Histogram {
        &self.0[stage as usize]
    }
}

impl Metrics {
    /// Kafka has confirmed a commit.
    pub(crate) fn committed(&self) {
        self.commits.inc();
        let now = since_epoch().as_millis();
        self.last_commit_millis.set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// A point of this time is durable.
    pub(crate) fn durable_until(&self, newest: Option<Timestamp>) {
        if let Some(newest) = newest {
            self.newest_durable_millis.inner().fetch_max(newest.millis(), Ordering::Relaxed);
        }
    }
}

/// The time since a moment in milliseconds since the epoch; none for 0, which is "not yet". A moment in
/// the future is now.
pub(crate) fn age(millis: i64) -> Option<Duration> {
    let moment = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    (millis != 0).then(|| since_epoch().saturating_sub(moment))
}

/// The `most` last ones, the last first, of what several processes have kept.
fn newest<T>(most: usize, of: impl Iterator<Item = T>, at: impl Fn(&T) -> u64) -> Vec<T> {
    let mut all: Vec<_> = of.collect();
    all.sort_by_key(|one| std::cmp::Reverse(at(one)));
    all.truncate(most);
    all
}

/// The time since the epoch, for ages that are shown and for nothing else.
#[expect(clippy::disallowed_methods, reason = "an age is shown; no point takes its time from here")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
