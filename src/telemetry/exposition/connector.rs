//! Every metric of a connector: its name, its words and where its figures come from.

use std::fmt;

use prometheus_client::encoding::{EncodeGaugeValue, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::connector::{State, View};
use crate::telemetry::{StageSeconds, WriteResult, age};

/// A metric that every connector has.
pub(super) struct Metric {
    /// A counter's without `_total`, which both formats add.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    /// The labels besides `connector`.
    pub(super) labels: &'static [&'static str],
    pub(super) samples: fn(&View, &mut Samples<'_, '_>) -> fmt::Result,
}

/// Takes the samples of one connector in one metric.
pub(super) struct Samples<'m, 'e> {
    pub(super) connector: &'m str,
    pub(super) labels: &'static [&'static str],
    pub(super) metric: &'m mut MetricEncoder<'e>,
}

impl Samples<'_, '_> {
    fn add(&mut self, values: &[&str], sample: &impl EncodeMetric) -> fmt::Result {
        debug_assert_eq!(values.len(), self.labels.len(), "a value for every label");
        let own = self.labels.iter().copied().zip(values.iter().copied());
        let labels: Vec<_> = std::iter::once(("connector", self.connector)).chain(own).collect();
        sample.encode(self.metric.encode_family(&labels)?)
    }

    fn count(&mut self, counter: &Counter) -> fmt::Result {
        self.add(&[], counter)
    }

    fn gauge(&mut self, value: impl EncodeGaugeValue) -> fmt::Result {
        self.add(&[], &ConstGauge::new(value))
    }
}

type Sampling = fn(&View, &mut Samples<'_, '_>) -> fmt::Result;

const fn counter(name: &'static str, help: &'static str, samples: Sampling) -> Metric {
    Metric { name, help, kind: MetricType::Counter, labels: &[], samples }
}

const fn gauge(name: &'static str, help: &'static str, samples: Sampling) -> Metric {
    Metric { name, help, kind: MetricType::Gauge, labels: &[], samples }
}

impl Metric {
    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

pub(super) const METRICS: &[Metric] = &[
    gauge("tidegate_connector_state", "1 for the state that the connector is in", |view, to| {
        let state = view.state();
        for name in State::NAMES {
            to.add(&[name], &ConstGauge::new(i64::from(state.name() == name)))?;
        }
        Ok(())
    })
    .by(&["state"]),
    gauge("tidegate_partitions_assigned", "Partitions assigned to this process", |view, to| {
        to.gauge(view.metrics.partitions_assigned.get())
    }),
    counter("tidegate_rebalances", "Assignments gained or lost", |view, to| {
        to.count(&view.metrics.rebalances)
    }),
    counter("tidegate_records_consumed", "Records taken from Kafka", |view, to| {
        to.count(&view.metrics.records_consumed)
    }),
    counter(
        "tidegate_records_excluded",
        "Records of which nothing is to be written: tombstones, empty ones, and those that the \
         configuration leaves out",
        |view, to| to.count(&view.metrics.records_excluded),
    ),
    counter(
        "tidegate_records_reread",
        "Records read again after a start or a rebalance, for what processors remember of them; what \
         comes of them was written before",
        |view, to| to.count(&view.metrics.records_reread),
    ),
    counter(
        "tidegate_points_late",
        "Points that came when all windows that they lie in had closed",
        |view, to| to.count(&view.metrics.points_late),
    ),
    counter(
        "tidegate_decode_retries",
        "Attempts to decode a record that failed because something that it takes, such as a schema \
         registry, can't be reached; they are repeated",
        |view, to| to.count(&view.metrics.decode_retries),
    ),
    counter(
        "tidegate_records_rejected",
        "Records that could not become points or that the database refused, by the stage that \
         rejected them and the kind of the reason",
        |view, to| {
            view.metrics.records_rejected.each().try_for_each(|(stage, kind, counter)| {
                to.add(&[stage.name(), kind.name()], counter)
            })
        },
    )
    .by(&["stage", "reason"]),
    counter(
        "tidegate_records_lost",
        "Offsets that Kafka no longer held, or that were skipped, before they were read",
        |view, to| to.count(&view.metrics.records_lost),
    ),
    counter(
        "tidegate_offsets_out_of_range",
        "Partitions in which the place to read on from was gone",
        |view, to| to.count(&view.metrics.offsets_out_of_range),
    ),
    counter(
        "tidegate_dead_letters",
        "Rejected records confirmed in the dead-letter topic",
        |view, to| to.count(&view.metrics.dead_letters),
    ),
    counter(
        "tidegate_dead_letter_failures",
        "Dead letters that were not confirmed and are repeated",
        |view, to| to.count(&view.metrics.dead_letter_failures),
    ),
    gauge(
        "tidegate_lag_records",
        "Records in Kafka that are not durable yet, over the assigned partitions",
        |view, to| to.gauge(view.metrics.lag_records.get()),
    ),
    gauge(
        "tidegate_partition_lag_records",
        "Records in Kafka that are not durable yet, of each assigned partition (the first 2000)",
        |view, to| {
            for (name, lag) in view.metrics.lags.get() {
                to.add(&[&name.topic, &name.partition.to_string()], &ConstGauge::new(lag))?;
            }
            Ok(())
        },
    )
    .by(&["topic", "partition"]),
    gauge(
        "tidegate_freshness_seconds",
        "The age of the newest durable point by its own time; none before the first",
        |view, to| since(view.metrics.newest_durable_millis.get(), to),
    ),
    counter(
        "tidegate_points_written",
        "Points acknowledged as durable by the database",
        |view, to| to.count(&view.metrics.points_written),
    ),
    counter(
        "tidegate_points_already_written",
        "Points that a repeat found to be in the database already",
        |view, to| to.count(&view.metrics.points_already_written),
    ),
    counter(
        "tidegate_series_in_several_partitions",
        "Samples, for a database that takes them in order, whose series' last one came from another \
         partition",
        |view, to| to.count(&view.metrics.series_in_several_partitions),
    ),
    gauge(
        "tidegate_series",
        "Series that points were written of since the start, estimated within some per cent",
        |view, to| to.gauge(view.metrics.cardinality.series()),
    ),
    gauge(
        "tidegate_tag_values",
        "Values that each tag (the first 64) has had since the start, estimated within some per cent",
        |view, to| {
            let tags = view.metrics.cardinality.tags();
            tags.iter().try_for_each(|(tag, values)| to.add(&[tag], &ConstGauge::new(*values)))
        },
    )
    .by(&["tag"]),
    counter(
        "tidegate_cardinality_over_limit",
        "Points that a limit of `cardinality` has changed, or whose record it has rejected",
        |view, to| to.count(view.metrics.cardinality.over_limit()),
    ),
    gauge(
        "tidegate_unmapped_paths",
        "Paths (200 at most) that messages have and the mapping doesn't name, of the first message of \
         each of the last 100 batches",
        |view, to| to.gauge(view.metrics.drift.unmapped().len()),
    ),
    gauge(
        "tidegate_gone_paths",
        "Paths that the mapping names, that messages had, and that the first messages of the last 100 \
         batches don't have",
        |view, to| to.gauge(view.metrics.drift.gone().len()),
    ),
    counter(
        "tidegate_points_colliding",
        "Points with the series and the time of the series' last one, which the database overwrites",
        |view, to| to.count(view.metrics.cardinality.colliding()),
    ),
    counter(
        "tidegate_shared_metrics",
        "Metrics that more than one measurement and field became, as names were made legal or put \
         together",
        |view, to| to.count(&view.metrics.shared_metrics),
    ),
    counter("tidegate_strings_dropped", "String fields left out by `strings: drop`", |view, to| {
        to.count(&view.metrics.strings_dropped)
    }),
    counter(
        "tidegate_written_bytes",
        "Bytes of encoded points acknowledged, before compression",
        |view, to| to.count(&view.metrics.bytes_written),
    ),
    counter(
        "tidegate_batches",
        "Batches whose points are durable and whose rejected records are confirmed",
        |view, to| to.count(&view.metrics.batches_done),
    ),
    gauge("tidegate_batches_in_flight", "Batches closed and not yet done", |view, to| {
        to.gauge(view.metrics.batches_in_flight.get())
    }),
    gauge("tidegate_in_flight_bytes", "Bytes held for batches in flight", |view, to| {
        to.gauge(view.metrics.bytes_in_flight.get())
    }),
    counter("tidegate_writes", "Attempts to write, by what they came to", |view, to| {
        WriteResult::ALL
            .iter()
            .try_for_each(|result| to.add(&[result.name()], view.metrics.writes.with(*result)))
    })
    .by(&["result"]),
    Metric {
        name: "tidegate_record_duration_seconds",
        help: "How long a record took in each stage from its bytes into the open batch, of one record in \
               1024",
        kind: MetricType::Histogram,
        labels: &["stage"],
        samples: |view, to| {
            StageSeconds::STAGES.iter().try_for_each(|stage| {
                to.add(&[stage.name()], view.metrics.stages.of(*stage))
            })
        },
    },
    Metric {
        name: "tidegate_write_duration_seconds",
        help: "How long an attempt to write took",
        kind: MetricType::Histogram,
        labels: &[],
        samples: |view, to| to.add(&[], &view.metrics.write_seconds.0),
    },
    counter("tidegate_spans_sent", "Spans of records that the collector of traces has taken", |view, to| {
        to.count(&view.metrics.spans_sent)
    }),
    counter(
        "tidegate_spans_dropped",
        "Spans of records that could not be sent to the collector of traces in time",
        |view, to| to.count(&view.metrics.spans_dropped),
    ),
    gauge(
        "tidegate_workers_paused",
        "Workers whose partitions are paused because the database takes nothing, or a record can't be \
         decoded yet",
        |view, to| to.gauge(view.metrics.paused.get()),
    ),
    counter("tidegate_commits", "Offset commits confirmed by Kafka", |view, to| {
        to.count(&view.metrics.commits)
    }),
    counter("tidegate_commit_failures", "Offset commits that failed", |view, to| {
        to.count(&view.metrics.commit_failures)
    }),
    gauge(
        "tidegate_commit_age_seconds",
        "The time since Kafka has confirmed a commit; none before the first",
        |view, to| since(view.metrics.last_commit_millis.get(), to),
    ),
    counter("tidegate_kafka_received_bytes", "Bytes received from brokers", |view, to| {
        to.add(&[], &ConstCounter::new(view.metrics.clients.sum().received_bytes))
    }),
    gauge("tidegate_kafka_queued_records", "Records fetched that wait for a worker", |view, to| {
        to.add(&[], &ConstGauge::new(float(view.metrics.clients.sum().queued_records)))
    }),
    gauge("tidegate_kafka_queued_bytes", "Bytes fetched that wait for a worker", |view, to| {
        to.add(&[], &ConstGauge::new(float(view.metrics.clients.sum().queued_bytes)))
    }),
    gauge(
        "tidegate_kafka_broker_up",
        "1 for a broker to which a worker has a connection, else 0 (the first 100 brokers)",
        |view, to| {
            for (number, broker) in view.metrics.clients.sum().brokers {
                to.add(&[&number.to_string()], &ConstGauge::new(i64::from(broker.up)))?;
            }
            Ok(())
        },
    )
    .by(&["broker"]),
    gauge(
        "tidegate_kafka_round_trip_seconds",
        "From a request to the broker's answer: the average of the last `statistics.interval.ms`, of \
         the worker with the longest. A fetch without news waits for `fetch.wait.max.ms`",
        |view, to| {
            for (number, broker) in view.metrics.clients.sum().brokers {
                if let Some(seconds) = broker.round_trip {
                    to.add(&[&number.to_string()], &ConstGauge::new(seconds))?;
                }
            }
            Ok(())
        },
    )
    .by(&["broker"]),
    counter(
        "tidegate_kafka_request_errors",
        "Requests to a broker that failed or were not answered in time",
        |view, to| {
            for (number, broker) in view.metrics.clients.sum().brokers {
                to.add(&[&number.to_string()], &ConstCounter::new(broker.errors))?;
            }
            Ok(())
        },
    )
    .by(&["broker"]),
    gauge(
        "tidegate_worker_turn_age_seconds",
        "The time since the slowest worker has gone through its loop; it does so many times a second",
        |view, to| to.gauge(view.metrics.turns.longest().as_secs_f64()),
    ),
];

#[expect(clippy::cast_precision_loss, reason = "no queue holds 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

/// Seconds since a moment; nothing before it.
fn since(millis: i64, to: &mut Samples<'_, '_>) -> fmt::Result {
    age(millis).map_or(Ok(()), |age| to.gauge(age.as_secs_f64()))
}
