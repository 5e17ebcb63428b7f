//! Tidegate's own calls: reload, and all figures at once for the page and the terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::route::{Answer, Call, Refusal, Reply, Route, Verb};
use crate::config::{Sink, Topics};
use crate::connector::State;
use crate::connectors::Shown;
use crate::telemetry::{WriteResult, age};

pub(super) const ROUTES: &[Route] = &[
    Route {
        verb: Verb::Post,
        path: "/reload",
        about: "Take in changed files now; where one is broken, all runs on as before",
        query: &[],
        body: None,
        codes: &[200, 409],
        answer: reload,
    },
    Route {
        verb: Verb::Get,
        path: "/summary",
        about: "The state and the figures of all connectors",
        query: &[],
        body: None,
        codes: &[200],
        answer: summary,
    },
];

fn reload(call: &Call) -> Answer {
    match call.served.reload.now("POST /reload") {
        Ok(changes) => Reply::ok(json!(changes)),
        Err(error) => Err(Refusal::new(409, error.to_string())),
    }
}

fn summary(call: &Call) -> Answer {
    let connectors: Vec<_> = call.served.connectors.all().iter().map(figures).collect();
    let reloads = &call.served.reload.counts;
    Reply::ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "reloads": {
            "succeeded": reloads.succeeded.get(),
            "failed": reloads.failed.get(),
            "last_failed": reloads.last_failed.get() != 0,
            "mistakes": call.served.reload.mistakes(),
        },
        "connectors": connectors,
    }))
}

fn figures(Shown { view, config }: &Shown) -> Value {
    let (metrics, state) = (&view.metrics, view.state());
    let reason = match &state {
        State::Failed(failure) => Some(failure.to_string()),
        State::Running | State::Paused | State::Stopped => None,
    };
    let topics = match &config.topics {
        Topics::List(names) => names.clone(),
        Topics::Pattern(pattern) => vec![pattern.clone()],
    };
    let partitions: Vec<_> = metrics
        .lags
        .get()
        .into_iter()
        .map(|(at, lag)| json!({ "topic": *at.topic, "partition": at.partition, "lag": lag }))
        .collect();
    let writes: serde_json::Map<_, _> = WriteResult::ALL
        .iter()
        .map(|result| (result.name().to_owned(), metrics.writes.with(*result).get().into()))
        .collect();
    let seconds = |millis| age(millis).as_ref().map(Duration::as_secs_f64);
    json!({
        "name": view.name(),
        "state": state.name(),
        "reason": reason,
        "database_takes_nothing": metrics.outages.get() > 0 || metrics.paused.get() > 0,
        "file": config.file.display().to_string(),
        "topics": topics,
        "group": config.group,
        "workers": config.workers,
        "sink": sink(&config.sink),
        "dead_letter": config.dead_letter,
        "records_consumed": metrics.records_consumed.get(),
        "records_excluded": metrics.records_excluded.get(),
        "records_rejected": metrics.records_rejected.get(),
        "records_lost": metrics.records_lost.get(),
        "dead_letters": metrics.dead_letters.get(),
        "points_written": metrics.points_written.get(),
        "bytes_written": metrics.bytes_written.get(),
        "batches": metrics.batches_done.get(),
        "batches_in_flight": metrics.batches_in_flight.get(),
        "retries": metrics.writes.retries(),
        "writes": writes,
        "rebalances": metrics.rebalances.get(),
        "lag": metrics.lag_records.get(),
        "freshness_seconds": seconds(metrics.newest_durable_millis.get()),
        "commit_age_seconds": seconds(metrics.last_commit_millis.get()),
        "series": metrics.cardinality.series(),
        "tag_values": metrics.cardinality.tags().into_iter().collect::<BTreeMap<_, _>>(),
        "points_colliding": metrics.cardinality.colliding().get(),
        "unmapped_paths": metrics.drift.unmapped(),
        "gone_paths": metrics.drift.gone(),
        "partitions": partitions,
        "rejected": metrics.rejects.get(),
        "replies": metrics.replies.get(),
    })
}

/// The database and where it is, without what a query may hold.
fn sink(sink: &Sink) -> String {
    let without_query = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    match sink {
        Sink::InfluxDb(influx) => format!("influxdb {}", without_query(&influx.url)),
        Sink::Prometheus(prometheus) => format!("prometheus {}", without_query(&prometheus.url)),
        Sink::File(file) => format!("file {}", file.path.display()),
        Sink::Stdout(_) => "stdout".into(),
        Sink::Blackhole => "blackhole".into(),
    }
}
