//! What connectors are and how they are.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{CLASS, DIALECT, Served, kafka, named};
use crate::config::Topics;
use crate::config::flat::{self, Flat};
use crate::connector::State;
use crate::connectors::Shown;
use crate::server::change_folder;
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
    Reply::ok(task_ids(&shown).into_iter().map(task).collect::<Vec<_>>())
}

pub(super) fn task(call: &Call) -> Answer {
    let shown = named(call)?;
    let id = task_number(call, &shown)?;
    Reply::ok(task_status(call, &shown, id))
}

/// The number of a task that there is.
pub(super) fn task_number(call: &Call, shown: &Shown) -> Result<usize, Refusal> {
    let text = call.at("task");
    let number = text.parse().ok().filter(|number| *number < count(shown));
    number.ok_or_else(|| {
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
        "tasks": task_ids(shown),
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

fn task_ids(shown: &Shown) -> Vec<Value> {
    let id = |task| json!({ "connector": shown.view.name(), "task": task });
    (0..count(shown)).map(id).collect()
}

/// A connector that is stopped has no tasks.
fn count(shown: &Shown) -> usize {
    match shown.view.state() {
        State::Stopped => 0,
        State::Running | State::Paused | State::Failed(_) => shown.config.workers.get(),
    }
}

pub(super) fn status_of(call: &Call, shown: &Shown) -> Value {
    let tasks: Vec<_> = (0..count(shown)).map(|id| task_status(call, shown, id)).collect();
    json!({
        "name": shown.view.name(),
        "connector": state_of(call, shown),
        "tasks": tasks,
        "type": "sink",
    })
}

fn task_status(call: &Call, shown: &Shown, id: usize) -> Value {
    let mut status = state_of(call, shown);
    status["id"] = json!(id);
    status
}

fn state_of(call: &Call, shown: &Shown) -> Value {
    let state = shown.view.state();
    let worker = call.served.listen.to_string();
    let mut shown = json!({
        "state": state.name().to_uppercase(),
        "worker_id": worker,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let State::Failed(failure) = state {
        shown["trace"] = json!(failure.to_string());
    }
    shown
}
