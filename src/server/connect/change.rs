//! Connectors made, changed, removed and steered.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::show::{info, named_task, status_of};
use super::{CLASS, named, plugins};
use crate::config::flat::{Flat, MASK};
use crate::connector::State;
use crate::connectors::{Order, Shown};
use crate::kafka::KafkaError;
use crate::server::change_folder as folder;
use crate::server::replicas::{Replicas, Restart, Turn};
use crate::server::route::{Answer, Call, Refusal, Reply};

pub(super) fn new_connector() -> Value {
    json!({
        "type": "object",
        "required": ["name", "config"],
        "properties": {
            "name": { "type": "string" },
            "config": config(),
            "initial_state": { "enum": ["RUNNING", "PAUSED", "STOPPED"] },
        },
    })
}

pub(super) fn config() -> Value {
    json!({ "type": "object", "additionalProperties": { "type": "string" } })
}

pub(super) fn patch_config() -> Value {
    json!({ "type": "object", "additionalProperties": { "type": ["string", "null"] } })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    config: Flat,
    initial_state: Option<Initial>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Initial {
    Running,
    Paused,
    Stopped,
}

pub(super) fn create(call: &Call) -> Answer {
    let New { name, config, initial_state } = call.body()?;
    no_path(&name)?;
    if call.served.connectors.get(&name).is_some() {
        return Err(Refusal::new(409, format!("Connector {name} already exists")));
    }
    let first = match initial_state {
        Some(Initial::Paused) => Some(Order::Pause),
        Some(Initial::Stopped) => Some(Order::Stop),
        Some(Initial::Running) | None => None,
    };
    store(call, &name, config, first.as_ref())
}

pub(super) fn put(call: &Call) -> Answer {
    let (name, mut config) = (call.at("name").to_owned(), call.body::<Flat>()?);
    no_path(&name)?;
    // Who sends back what was shown keeps the secrets that were not.
    let before = call.served.folder.as_deref().and_then(|folder| folder::read(folder, &name));
    for (key, text) in &mut config {
        if let Some(secret) =
            before.as_ref().and_then(|before| before.get(key)).filter(|_| text == MASK)
        {
            secret.clone_into(text);
        }
    }
    store(call, &name, config, None)
}

pub(super) fn patch(call: &Call) -> Answer {
    let shown = named(call)?;
    let name = shown.view.name();
    let folder = changeable(call, name)?;
    let mut config = folder::read(folder, name).unwrap_or_default();
    let changes: std::collections::BTreeMap<String, Option<String>> = call.body()?;
    for (key, text) in changes {
        match text {
            Some(text) if text == MASK && config.contains_key(&key) => {}
            Some(text) => {
                config.insert(key, text);
            }
            None => {
                config.remove(&key);
            }
        }
    }
    store(call, name, config, None)
}

pub(super) fn delete(call: &Call) -> Answer {
    let shown = named(call)?;
    let name = shown.view.name();
    let folder = changeable(call, name)?;
    let turn = turn(call);
    if let Some(turn) = &turn {
        turn.connector(name, None).map_err(|error| cannot_tell(&error))?;
    }
    folder::write(folder, name, None).map_err(|error| cannot_write(&error))?;
    keep(call, turn.as_ref(), name, &Order::Resume)?;
    reload(call, None)?;
    Reply::empty(204)
}

/// A name becomes a file's. (What else a name must be is checked with the rest.)
fn no_path(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err(Refusal::bad("a connector's name has no `/`, and does not begin with a dot"));
    }
    Ok(())
}

/// Writes a connector's file and takes it in; on an error all is as before.
fn store(call: &Call, name: &str, mut config: Flat, first: Option<&Order>) -> Answer {
    if config.get("name").is_some_and(|own| own != name) {
        let own = &config["name"];
        return Err(Refusal::bad(format!(
            "Connector name configuration ({own}) doesn't match connector name in the URL ({name})"
        )));
    }
    config.insert("name".into(), name.to_owned());
    config.entry("connector.class".into()).or_insert_with(|| CLASS.to_owned());
    // Also checks the name, before a file gets it.
    if let Err(errors) = plugins::check(&call.served.reload, &config) {
        let lines: Vec<_> = errors.iter().map(|(key, what)| format!("{key}: {what}")).collect();
        return Err(Refusal::bad(format!(
            "Connector configuration is invalid and contains the following {} error(s):\n{}",
            lines.len(),
            lines.join("\n")
        )));
    }
    let folder = changeable(call, name)?;
    let turn = turn(call);
    let is_new = call.served.connectors.get(name).is_none();
    let before = folder::read(folder, name);
    folder::write(folder, name, Some(&config)).map_err(|error| cannot_write(&error))?;
    if let Err(refusal) = reload(call, first.map(|first| (name, first))) {
        // What can't be taken in must not wait for the next start.
        folder::write(folder, name, before.as_ref()).map_err(|error| cannot_write(&error))?;
        return Err(refusal);
    }
    if let Some(first) = first {
        keep(call, turn.as_ref(), name, first)?;
    }
    if let Some(Err(error)) = turn.map(|turn| turn.connector(name, Some(&config))) {
        folder::write(folder, name, before.as_ref()).map_err(|error| cannot_write(&error))?;
        reload(call, None)?;
        return Err(cannot_tell(&error));
    }
    let shown = call.served.connectors.get(name);
    let shown = shown.ok_or_else(|| Refusal::new(409, "it was removed in the meantime"))?;
    let info = info(call, &shown);
    if is_new { Reply::created(format!("/connectors/{name}"), info) } else { Reply::ok(info) }
}

/// Where several processes have the same connectors, changes come one after the other.
fn turn(call: &Call) -> Option<Turn<'_>> {
    call.served.replicas.as_ref().map(Replicas::turn)
}

fn cannot_tell(error: &KafkaError) -> Refusal {
    let reason = &error.reason;
    Refusal::new(500, format!("the topic `server.connectors_topic`: {reason}; nothing was changed"))
}

fn reload(call: &Call, first: Option<(&str, &Order)>) -> Result<(), Refusal> {
    let done = call.served.reload.with("REST", first);
    done.map(drop).map_err(|error| Refusal::new(409, error.to_string()))
}

fn cannot_write(error: &std::io::Error) -> Refusal {
    Refusal::new(500, format!("the folder `server.connectors`: {error}"))
}

/// The folder to change a connector in; of one that has a file elsewhere, that file is its owner.
fn changeable<'c>(call: &'c Call, name: &str) -> Result<&'c Path, Refusal> {
    let Some(folder) = call.served.folder.as_deref() else {
        return Err(Refusal::new(
            403,
            "connectors are made and changed by their files here; to do it over REST, too, set \
             `server.connectors` in tidegate.yaml to a folder",
        ));
    };
    match call.served.connectors.get(name) {
        Some(shown) if shown.config.file != folder::path(folder, name) => {
            let file = shown.config.file.display();
            Err(Refusal::new(403, format!("{name} comes from the file {file}; change it there")))
        }
        _ => Ok(folder),
    }
}

pub(super) fn pause(call: &Call) -> Answer {
    order(call, Order::Pause, 202)
}

pub(super) fn resume(call: &Call) -> Answer {
    order(call, Order::Resume, 202)
}

pub(super) fn stop(call: &Call) -> Answer {
    order(call, Order::Stop, 204)
}

fn order(call: &Call, order: Order, code: u16) -> Answer {
    let shown = named(call)?;
    keep(call, turn(call).as_ref(), shown.view.name(), &order)?;
    call.served.connectors.order(shown.view.name(), order);
    Reply::empty(code)
}

/// Keeps what a connector was told to be, if there is a folder for it; a restart changes nothing of it.
fn keep(call: &Call, turn: Option<&Turn<'_>>, name: &str, order: &Order) -> Result<(), Refusal> {
    let Some(folder) = call.served.folder.as_deref() else { return Ok(()) };
    let state = match order {
        Order::Pause => State::Paused,
        Order::Stop => State::Stopped,
        Order::Resume => State::Running,
        Order::Restart | Order::Replace(_) => return Ok(()),
    };
    if let Some(turn) = turn {
        turn.state(name, &state).map_err(|error| cannot_tell(&error))?;
    }
    folder::keep_state(folder, name, &state).map_err(|error| cannot_write(&error))
}

pub(super) fn restart(call: &Call) -> Answer {
    let shown = named(call)?;
    let is_true = |name| call.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let (only_failed, include_tasks) = (is_true("onlyFailed"), is_true("includeTasks"));
    restart_at(call, &shown, &Restart { only_failed, include_tasks, worker_id: None })?;
    if only_failed || include_tasks {
        return Reply::with(202, status_of(call, &shown));
    }
    Reply::empty(204)
}

pub(super) fn restart_task(call: &Call) -> Answer {
    let shown = named(call)?;
    let worker_id = Some(named_task(call, &shown)?.1.worker_id);
    restart_at(call, &shown, &Restart { only_failed: false, include_tasks: true, worker_id })?;
    Reply::empty(204)
}

/// Of several processes each takes it from their topic, this one, too.
fn restart_at(call: &Call, shown: &Shown, restart: &Restart) -> Result<(), Refusal> {
    let name = shown.view.name();
    if let Some(turn) = turn(call) {
        return turn.restart(name, restart).map_err(|error| cannot_tell(&error));
    }
    if !restart.only_failed || matches!(shown.view.state(), State::Failed(_)) {
        call.served.connectors.order(name, Order::Restart);
    }
    Ok(())
}
