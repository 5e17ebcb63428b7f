//! What connectors are and how they are.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{CLASS, DIALECT, Served, kafka, named};
use crate::config::Topics;
use crate::config::flat::{self, Flat};
use crate::connectors::Shown;
use crate::server::change_folder;
use crate::server::replicas::{Doing, Status};
use crate::server::route::{Answer, Call, Refusal, Reply};

/// How long a broker may take for its cluster's name.
const WITHIN: Duration = Duration::from_secs(3);

/// What Kafka Connect says of itself at `/`.
pub(in crate::server) fn about(served: &Served) -> Value {
    let look_up = || {
        let config = served.connectors.all().into_iter().next()?.config;
        let cluster = kafka::cluster(&config.kafka, WITHIN)?;
        Some(served.cluster.get_or_init(|| cluster).clone())
    };
    let cluster = served.cluster.get().cloned().or_else(look_up);
    json!({
        "version": DIALECT,
        "commit": concat!("tidegate-", env!("CARGO_PKG_VERSION")),
        "kafka_cluster_id": cluster,
    })
}

pub(super) fn list(call: &Call) -> Answer {
    let all = call.served.connectors.all();
    if call.query("expand").is_none() {
        return Reply::ok(all.iter().map(|shown| shown.view.name()).collect::<Vec<_>>());
    }
    let (with_status, with_info) = (call.has("expand", "status"), call.has("expand", "info"));
    let expanded = all.iter().map(|shown| {
        let mut parts = Map::new();
        if with_status {
            parts.insert("status".into(), status_of(call, shown));
        }
        if with_info {
            parts.insert("info".into(), info(call, shown));
        }
        (shown.view.name().to_owned(), Value::Object(parts))
    });
    Reply::ok(Value::Object(expanded.collect()))
}

pub(super) fn connector(call: &Call) -> Answer {
    Reply::ok(info(call, &named(call)?))
}

pub(super) fn config(call: &Call) -> Answer {
    Reply::ok(json!(config_of(call, &named(call)?)))
}

pub(super) fn status(call: &Call) -> Answer {
    Reply::ok(status_of(call, &named(call)?))
}

pub(super) fn tasks(call: &Call) -> Answer {
    let shown = named(call)?;
    let config = config_of(call, &shown);
    let task = |id: Value| json!({ "id": id, "config": config });
    Reply::ok(task_ids(call, &shown).into_iter().map(task).collect::<Vec<_>>())
}

pub(super) fn task(call: &Call) -> Answer {
    let (id, status) = named_task(call, &named(call)?)?;
    Reply::ok(task_status(id, &status))
}

/// The task that a call names, and how it is in its process.
pub(super) fn named_task(call: &Call, shown: &Shown) -> Result<(usize, Status), Refusal> {
    let text = call.at("task");
    let tasks = tasks_of(call.served.statuses(shown));
    let number = text.parse().ok();
    let task = number.and_then(|number| tasks.into_iter().nth(number).map(|task| (number, task)));
    task.ok_or_else(|| {
        Refusal::new(404, format!("No status found for task {}-{text}", shown.view.name()))
    })
}

pub(super) fn topics(call: &Call) -> Answer {
    let shown = named(call)?;
    let lags = shown.view.metrics.lags.get();
    let mut topics: BTreeSet<String> =
        lags.iter().map(|(partition, _)| partition.topic.to_string()).collect();
    if let Topics::List(names) = &shown.config.topics {
        topics.extend(names.iter().cloned());
    }
    Reply::ok(json!({ shown.view.name(): { "topics": topics } }))
}

pub(super) fn reset_topics(call: &Call) -> Answer {
    named(call)?;
    Reply::empty(202)
}

pub(super) fn info(call: &Call, shown: &Shown) -> Value {
    json!({
        "name": shown.view.name(),
        "config": config_of(call, shown),
        "tasks": task_ids(call, shown),
        "type": "sink",
    })
}

/// The configuration as it was set, with secrets masked.
pub(super) fn config_of(call: &Call, shown: &Shown) -> Flat {
    let name = shown.view.name();
    let made_here =
        call.served.folder.as_deref().and_then(|folder| change_folder::read(folder, name));
    let mut config = match made_here {
        Some(config) => flat::masked(&config),
        None => flat::flat(shown.config.written.expose()),
    };
    config.entry("name".into()).or_insert_with(|| name.to_owned());
    config.entry("connector.class".into()).or_insert_with(|| CLASS.to_owned());
    config
}

fn task_ids(call: &Call, shown: &Shown) -> Vec<Value> {
    let id = |task| json!({ "connector": shown.view.name(), "task": task });
    (0..tasks_of(call.served.statuses(shown)).len()).map(id).collect()
}

/// Each task with the state of its process, in the order of their numbers.
fn tasks_of(statuses: Vec<Status>) -> Vec<Status> {
    let tasks = |status: Status| std::iter::repeat_n(status.clone(), status.tasks);
    statuses.into_iter().flat_map(tasks).collect()
}

pub(super) fn status_of(call: &Call, shown: &Shown) -> Value {
    let statuses = call.served.statuses(shown);
    // Where one has failed, the connector has. Every replica must say the same.
    let rank = |status: &&Status| match status.state {
        Doing::Failed => 0,
        Doing::Running | Doing::Paused | Doing::Stopped => 1,
        Doing::Unassigned => 2,
    };
    let connector = statuses.iter().min_by_key(rank).map(state_of);
    let tasks = tasks_of(statuses.clone());
    let tasks: Vec<_> = tasks.iter().enumerate().map(|(id, task)| task_status(id, task)).collect();
    json!({
        "name": shown.view.name(),
        "connector": connector,
        "tasks": tasks,
        "type": "sink",
    })
}

fn task_status(id: usize, status: &Status) -> Value {
    let mut shown = state_of(status);
    shown["id"] = json!(id);
    shown
}

fn state_of(status: &Status) -> Value {
    let mut shown = json!({
        "state": status.state.word(),
        "worker_id": status.worker_id,
        "version": status.version,
    });
    if let Some(trace) = &status.trace {
        shown["trace"] = json!(trace);
    }
    shown
}
