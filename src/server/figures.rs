//! A connector's figures, as the page and the terminal show them: of one process, or of all replicas
//! together. A replica of another version may know others: what is missing is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::replicas::Status;
use crate::config::{self, Topics};
use crate::connector::State;
use crate::connectors::Shown;
use crate::record::TopicPartition;
use crate::telemetry::{Rejected, Rejects, Replies, Reply, WriteResult, age};

/// What other replicas say, of which only this is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) connectors: Vec<Figures>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Figures {
    pub(super) name: String,
    state: String,
    reason: Option<String>,
    database_takes_nothing: bool,
    file: String,
    topics: Vec<String>,
    group: String,
    workers: usize,
    sink: String,
    dead_letter: Option<String>,
    /// Each process by itself.
    replicas: Vec<At>,
    #[serde(flatten)]
    counts: Counts,
    freshness_seconds: Option<f64>,
    commit_age_seconds: Option<f64>,
    tag_values: BTreeMap<String, u64>,
    unmapped_paths: BTreeSet<String>,
    gone_paths: BTreeSet<String>,
    partitions: Vec<PartitionLag>,
    rejected: Vec<Rejected>,
    replies: Vec<Reply>,
}

/// What is added over all processes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Counts {
    records_consumed: u64,
    records_excluded: u64,
    records_rejected: u64,
    records_lost: u64,
    dead_letters: u64,
    points_written: u64,
    bytes_written: u64,
    batches: u64,
    batches_in_flight: i64,
    retries: u64,
    writes: BTreeMap<String, u64>,
    /// By the kind of the reason.
    rejected_by_reason: BTreeMap<String, u64>,
    rebalances: u64,
    lag: i64,
    series: u64,
    points_colliding: u64,
}

/// A connector in one process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct At {
    worker_id: String,
    state: String,
    reason: Option<String>,
    tasks: usize,
    /// None where the process does not answer.
    figures: Option<Few>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Few {
    records_consumed: u64,
    points_written: u64,
    records_rejected: u64,
    lag: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
struct PartitionLag {
    topic: String,
    partition: i32,
    lag: usize,
}

impl Figures {
    /// Of this process.
    pub(super) fn of(shown: &Shown, status: Status) -> Self {
        let Shown { view, config } = shown;
        let metrics = &view.metrics;
        let reason = match view.state() {
            State::Failed(failure) => Some(failure.to_string()),
            State::Running | State::Paused | State::Stopped => None,
        };
        let topics = match &config.topics {
            Topics::List(names) => names.clone(),
            Topics::Pattern(pattern) => vec![pattern.clone()],
        };
        let partition = |(at, lag): (TopicPartition, usize)| PartitionLag {
            topic: at.topic.to_string(),
            partition: at.partition,
            lag,
        };
        let seconds = |millis| age(millis).as_ref().map(Duration::as_secs_f64);
        let mut own = At::of(status);
        let counts = Counts::of(shown);
        own.figures = Some(Few::of(&counts));
        Self {
            name: view.name().to_owned(),
            state: view.state().name().to_owned(),
            reason,
            database_takes_nothing: metrics.outages.get() > 0 || metrics.paused.get() > 0,
            file: config.file.display().to_string(),
            topics,
            group: config.group.clone(),
            workers: config.workers.get(),
            sink: sink(&config.sink),
            dead_letter: config.dead_letter.clone(),
            replicas: vec![own],
            counts,
            freshness_seconds: seconds(metrics.newest_durable_millis.get()),
            commit_age_seconds: seconds(metrics.last_commit_millis.get()),
            tag_values: metrics.cardinality.tags().into_iter().collect(),
            unmapped_paths: metrics.drift.unmapped().into_iter().collect(),
            gone_paths: metrics.drift.gone().into_iter().collect(),
            partitions: metrics.lags.get().into_iter().map(partition).collect(),
            rejected: metrics.rejects.get(),
            replies: metrics.replies.get(),
        }
    }

    /// With those of the other replicas: what they have answered, and the states of all of them.
    pub(super) fn with(mut self, answers: Vec<Self>, others: Vec<Status>) -> Self {
        for answer in answers {
            self.add(answer);
        }
        for status in others {
            match self.replicas.iter_mut().find(|at| at.worker_id == status.worker_id) {
                Some(known) => known.take(status),
                None => self.replicas.push(At::of(status)),
            }
        }
        self.replicas.sort_by(|a, b| a.worker_id.cmp(&b.worker_id));
        self.workers = self.replicas.iter().map(|at| at.tasks).sum::<usize>().max(self.workers);
        let failed = self.replicas.iter().find(|at| at.state == "failed");
        if let Some(failed) = failed.filter(|_| self.state != "failed") {
            self.state.clone_from(&failed.state);
            let reason = failed.reason.as_deref().unwrap_or_default();
            self.reason = Some(format!("{}: {reason}", failed.worker_id));
        }
        self
    }

    fn add(&mut self, other: Self) {
        let least = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.database_takes_nothing |= other.database_takes_nothing;
        self.replicas.extend(other.replicas);
        self.counts.add(other.counts);
        self.freshness_seconds = least(self.freshness_seconds, other.freshness_seconds);
        self.commit_age_seconds = least(self.commit_age_seconds, other.commit_age_seconds);
        for (tag, values) in other.tag_values {
            let known = self.tag_values.entry(tag).or_default();
            // Each may have seen the others', too.
            *known = values.max(*known);
        }
        self.unmapped_paths.extend(other.unmapped_paths);
        self.gone_paths.extend(other.gone_paths);
        self.partitions.extend(other.partitions);
        self.partitions.sort();
        self.rejected = Rejects::newest(self.rejected.drain(..).chain(other.rejected));
        self.replies = Replies::newest(self.replies.drain(..).chain(other.replies));
    }
}

impl Counts {
    fn of(Shown { view, .. }: &Shown) -> Self {
        let metrics = &view.metrics;
        let results = WriteResult::ALL.iter();
        Self {
            records_consumed: metrics.records_consumed.get(),
            records_excluded: metrics.records_excluded.get(),
            records_rejected: metrics.records_rejected.get(),
            records_lost: metrics.records_lost.get(),
            dead_letters: metrics.dead_letters.get(),
            points_written: metrics.points_written.get(),
            bytes_written: metrics.bytes_written.get(),
            batches: metrics.batches_done.get(),
            batches_in_flight: metrics.batches_in_flight.get(),
            retries: metrics.writes.retries(),
            writes: results.map(|r| (r.name().to_owned(), metrics.writes.with(*r).get())).collect(),
            rejected_by_reason: metrics.records_rejected.by_kind(),
            rebalances: metrics.rebalances.get(),
            lag: metrics.lag_records.get(),
            series: metrics.cardinality.series(),
            points_colliding: metrics.cardinality.colliding().get(),
        }
    }

    fn add(&mut self, other: Self) {
        for (all, more) in [
            (&mut self.records_consumed, other.records_consumed),
            (&mut self.records_excluded, other.records_excluded),
            (&mut self.records_rejected, other.records_rejected),
            (&mut self.records_lost, other.records_lost),
            (&mut self.dead_letters, other.dead_letters),
            (&mut self.points_written, other.points_written),
            (&mut self.bytes_written, other.bytes_written),
            (&mut self.batches, other.batches),
            (&mut self.retries, other.retries),
            (&mut self.rebalances, other.rebalances),
            (&mut self.series, other.series),
            (&mut self.points_colliding, other.points_colliding),
        ] {
            *all = all.saturating_add(more);
        }
        self.batches_in_flight = self.batches_in_flight.saturating_add(other.batches_in_flight);
        self.lag = self.lag.saturating_add(other.lag);
        for (all, more) in [
            (&mut self.writes, other.writes),
            (&mut self.rejected_by_reason, other.rejected_by_reason),
        ] {
            for (word, count) in more {
                let all = all.entry(word).or_default();
                *all = all.saturating_add(count);
            }
        }
    }
}

impl At {
    fn of(status: Status) -> Self {
        let mut at = Self { worker_id: status.worker_id.clone(), ..Self::default() };
        at.take(status);
        at
    }

    fn take(&mut self, status: Status) {
        self.state = status.state.word().to_ascii_lowercase();
        (self.reason, self.tasks) = (status.trace, status.tasks);
    }
}

impl Few {
    fn of(counts: &Counts) -> Self {
        Self {
            records_consumed: counts.records_consumed,
            points_written: counts.points_written,
            records_rejected: counts.records_rejected,
            lag: counts.lag,
        }
    }
}

/// The database and where it is, without what a query may hold.
fn sink(sink: &config::Sink) -> String {
    let without_query = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    match sink {
        config::Sink::InfluxDb(influx) => format!("influxdb {}", without_query(&influx.url)),
        config::Sink::Prometheus(own) => format!("prometheus {}", without_query(&own.url)),
        config::Sink::File(file) => format!("file {}", file.path.display()),
        config::Sink::Stdout(_) => "stdout".into(),
        config::Sink::Blackhole => "blackhole".into(),
    }
}
