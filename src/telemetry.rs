//! Every counter and gauge, named and described in this one place.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

use crate::config::raw::LogFormat;
use crate::point::Timestamp;

/// What one connector has done since it started, over all its workers. Cheap to update from any
/// thread, and readable by whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Records taken from Kafka.
    pub records_consumed: Counter,
    /// Records that the configuration leaves out: tombstones and empty messages.
    pub records_excluded: Counter,
    /// Records that could not become points, or that the database refused.
    pub records_rejected: Counter,
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
    /// Bytes of encoded points acknowledged, before compression.
    pub bytes_written: Counter,
    /// Batches done: their points durable and their rejected records confirmed.
    pub batches_done: Counter,
    /// Attempts to write that failed and are repeated.
    pub write_retries: Counter,
    /// Offset commits that Kafka has confirmed.
    pub commits: Counter,
    /// Offset commits that Kafka has refused or that timed out; the next one covers them.
    pub commit_failures: Counter,
    /// Batches closed and not yet done.
    pub batches_in_flight: Gauge,
    /// Bytes held for batches that are not done: encoded points and the records they came from.
    pub bytes_in_flight: Gauge,
    /// Records in Kafka that are not committed yet, over the assigned partitions.
    pub lag_records: Gauge,
    /// The event time of the newest durable point, in milliseconds since the epoch; 0 before the
    /// first.
    pub newest_durable_millis: Gauge,
    /// 1 while partitions are paused because the database does not take what is in flight.
    pub paused: Gauge,
    /// Partitions assigned to this connector's workers.
    pub partitions_assigned: Gauge,
    /// Assignments gained or lost.
    pub rebalances: Counter,
}

impl Metrics {
    /// Registers everything under Prometheus names; the descriptions are the documentation.
    pub fn register(&self, registry: &mut Registry) {
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("tidegate_records_consumed", "Records taken from Kafka", &self.records_consumed);
        counter(
            "tidegate_records_excluded",
            "Records that are tombstones or empty",
            &self.records_excluded,
        );
        counter(
            "tidegate_records_rejected",
            "Records that could not become points or that the database refused",
            &self.records_rejected,
        );
        counter(
            "tidegate_dead_letters",
            "Rejected records confirmed in the dead-letter topic",
            &self.dead_letters,
        );
        counter(
            "tidegate_records_lost",
            "Offsets that Kafka no longer held, or that were skipped, before they were read",
            &self.records_lost,
        );
        counter(
            "tidegate_offsets_out_of_range",
            "Partitions in which the place to read on from was gone",
            &self.offsets_out_of_range,
        );
        counter(
            "tidegate_dead_letter_failures",
            "Dead letters that were not confirmed and are repeated",
            &self.dead_letter_failures,
        );
        counter(
            "tidegate_points_written",
            "Points acknowledged as durable by the database",
            &self.points_written,
        );
        counter(
            "tidegate_points_already_written",
            "Points that a repeat found to be in the database already",
            &self.points_already_written,
        );
        counter(
            "tidegate_series_in_several_partitions",
            "Samples, for a database that takes them in order, whose series' last one came from \
             another partition",
            &self.series_in_several_partitions,
        );
        counter(
            "tidegate_strings_dropped",
            "String fields left out by `strings: drop`",
            &self.strings_dropped,
        );
        counter(
            "tidegate_written_bytes",
            "Bytes of encoded points acknowledged, before compression",
            &self.bytes_written,
        );
        counter("tidegate_batches_done", "Batches done", &self.batches_done);
        counter(
            "tidegate_write_retries",
            "Writes that failed and are repeated",
            &self.write_retries,
        );
        counter("tidegate_commits", "Offset commits confirmed by Kafka", &self.commits);
        counter("tidegate_commit_failures", "Offset commits that failed", &self.commit_failures);
        counter("tidegate_rebalances", "Assignments gained or lost", &self.rebalances);
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| {
            registry.register(name, help, gauge.clone());
        };
        gauge(
            "tidegate_batches_in_flight",
            "Batches closed and not yet done",
            &self.batches_in_flight,
        );
        gauge("tidegate_in_flight_bytes", "Bytes held by batches in flight", &self.bytes_in_flight);
        gauge(
            "tidegate_lag_records",
            "Records in Kafka that are not durable yet",
            &self.lag_records,
        );
        gauge(
            "tidegate_newest_durable_milliseconds",
            "Event time of the newest durable point, milliseconds since the epoch",
            &self.newest_durable_millis,
        );
        gauge("tidegate_paused", "Workers whose partitions are paused", &self.paused);
        gauge("tidegate_partitions_assigned", "Partitions assigned", &self.partitions_assigned);
    }

    /// A point of this time is durable.
    pub(crate) fn durable_until(&self, newest: Option<Timestamp>) {
        if let Some(newest) = newest {
            self.newest_durable_millis.inner().fetch_max(newest.millis(), Ordering::Relaxed);
        }
    }
}

/// One worker's part of a gauge that several workers share; gone from the gauge when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    gauge: Gauge,
    part: i64,
}

impl Share {
    pub(crate) fn of(gauge: &Gauge) -> Self {
        Self { gauge: gauge.clone(), part: 0 }
    }

    pub(crate) fn set(&mut self, part: usize) {
        let part = i64::try_from(part).unwrap_or(i64::MAX);
        self.gauge.inc_by(part - self.part);
        self.part = part;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.dec_by(self.part);
    }
}

/// Sends log lines to standard error. `TIDEGATE_LOG` (such as `debug` or `tidegate=debug`) chooses
/// how much; in normal operation there is nothing to say.
pub fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_env("TIDEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that a subscriber is set already, as in tests: it stays.
    let _ = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
