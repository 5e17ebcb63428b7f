//! Connectors that several processes share. A compacted topic says which there are and how they were
//! steered; the folder of each process follows it, so that a process starts with what it knew last.
//!
//! Keys are Kafka Connect's: `connector-NAME` has the flat configuration, `target-state-NAME` the state
//! where it is not to run.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::{error, warn};

use super::change_folder as folder;
use crate::config::fits_name;
use crate::config::flat::Flat;
use crate::connector::State;
use crate::connectors::{Connectors, Order};
use crate::kafka::table::{self, Row, TableReader, TableWriter};
use crate::kafka::{KafkaError, Properties};
use crate::reload::Reload;

const CONNECTOR: &str = "connector-";
const STATE: &str = "target-state-";
/// How long the next row is waited for.
const TURN: Duration = Duration::from_secs(1);
/// After a topic could not be made or read.
const PAUSE: Duration = Duration::from_secs(5);

/// The shared topic; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Replicas(Arc<Mutex<TableWriter>>);

/// One change at a time, of whichever origin, has this.
pub(super) struct Turn<'r>(MutexGuard<'r, TableWriter>);

impl Turn<'_> {
    /// Says a connector's configuration to all, or that it is gone.
    pub(super) fn connector(&self, name: &str, config: Option<&Flat>) -> Result<(), KafkaError> {
        let text = config.map(serde_json::to_vec).transpose();
        let text = text.map_err(|error| KafkaError { reason: error.to_string(), fatal: false })?;
        self.0.put(&format!("{CONNECTOR}{name}"), text.as_deref())
    }

    pub(super) fn state(&self, name: &str, state: &State) -> Result<(), KafkaError> {
        let is_kept = matches!(state, State::Paused | State::Stopped);
        self.0.put(&format!("{STATE}{name}"), is_kept.then(|| state.name().as_bytes()))
    }
}

impl Replicas {
    /// Follows the topic from now on.
    pub(crate) fn start(
        properties: &Properties,
        topic: &str,
        folder: PathBuf,
        connectors: Connectors,
        reload: Reload,
    ) -> Result<Self, String> {
        let writer = TableWriter::new(properties, topic).map_err(|error| error.to_string())?;
        let replicas = Self(Arc::new(Mutex::new(writer)));
        let follower = Follower { replicas: replicas.clone(), folder, connectors, reload };
        let (properties, topic) = (properties.clone(), topic.to_owned());
        std::thread::Builder::new()
            .name("connectors-topic".into())
            .spawn(move || follower.follow(&properties, &topic))
            .map_err(|error| error.to_string())?;
        Ok(replicas)
    }

    pub(super) fn turn(&self) -> Turn<'_> {
        Turn(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The one that brings what the topic says into this process.
struct Follower {
    replicas: Replicas,
    folder: PathBuf,
    connectors: Connectors,
    reload: Reload,
}

impl Follower {
    /// Without end.
    fn follow(&self, properties: &Properties, topic: &str) {
        let reader = loop {
            match open(properties, topic, self.connectors.runtime()) {
                Ok(reader) => break reader,
                Err(error) => {
                    let reason = &error.reason;
                    error!(topic, reason, "the connectors' topic can't be read; trying again");
                    std::thread::sleep(PAUSE);
                }
            }
        };
        // Until the end is met for the first time: what counts of each key is not known before.
        let mut first = Some(BTreeMap::new());
        loop {
            match (reader.next(TURN), &mut first) {
                (Some(Row::Set(key, value)), Some(rows)) => {
                    rows.insert(key, value);
                }
                (Some(Row::Set(key, value)), None) => {
                    let _turn = self.replicas.turn();
                    self.take(&key, value.as_deref());
                }
                (Some(Row::AtEnd), rows) => {
                    if let Some(rows) = rows.take() {
                        self.catch_up(rows);
                    }
                }
                (None, _) => {}
            }
        }
    }

    fn catch_up(&self, rows: BTreeMap<String, Option<Vec<u8>>>) {
        let turn = self.replicas.turn();
        let is_new = rows.is_empty();
        for name in folder::names(&self.folder) {
            if is_new {
                self.publish(&turn, &name);
            } else if !rows.contains_key(&format!("{CONNECTOR}{name}")) {
                self.set_aside(&name);
            }
        }
        // States first: a connector that is not to run must not run for a moment.
        let (states, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(key, _)| key.starts_with(STATE));
        for (key, value) in states.into_iter().chain(others) {
            self.take(&key, value.as_deref());
        }
    }

    /// The topic is new: it begins with what this process has.
    fn publish(&self, turn: &Turn<'_>, name: &str) {
        let Some(config) = folder::read(&self.folder, name) else { return };
        let state = folder::kept_state(&self.folder, name);
        let said = turn.state(name, &state).and_then(|()| turn.connector(name, Some(&config)));
        if let Err(error) = said {
            error!(connector = name, %error, "can't be written to the connectors' topic");
        }
    }

    /// A connector that was removed elsewhere so long ago that the topic knows nothing of it.
    fn set_aside(&self, name: &str) {
        let file = folder::path(&self.folder, name);
        let aside = self.folder.join(format!(".{name}.json.removed"));
        warn!(connector = name, aside = %aside.display(), "not in the connectors' topic; set aside");
        let moved = std::fs::rename(file, aside);
        self.reloaded(name, moved.map(|()| true));
    }

    fn take(&self, key: &str, value: Option<&[u8]>) {
        if let Some(name) = key.strip_prefix(STATE).filter(|name| is_name(name)) {
            self.take_state(name, value);
        } else if let Some(name) = key.strip_prefix(CONNECTOR).filter(|name| is_name(name)) {
            self.reloaded(name, take_config(&self.folder, name, value));
        }
    }

    fn take_state(&self, name: &str, value: Option<&[u8]>) {
        let (state, order) = match value {
            Some(b"paused") => (State::Paused, Order::Pause),
            Some(b"stopped") => (State::Stopped, Order::Stop),
            _ => (State::Running, Order::Resume),
        };
        if folder::kept_state(&self.folder, name) == state {
            return;
        }
        if let Err(error) = folder::keep_state(&self.folder, name, &state) {
            error!(connector = name, %error, "its state can't be kept");
        }
        self.connectors.order(name, order);
    }

    /// Takes a changed file in. Why that fails is in the log already.
    fn reloaded(&self, name: &str, changed: io::Result<bool>) {
        match changed {
            Ok(false) => {}
            Ok(true) => {
                let first = match folder::kept_state(&self.folder, name) {
                    State::Paused => Some(Order::Pause),
                    State::Stopped => Some(Order::Stop),
                    State::Running | State::Failed(_) => None,
                };
                let first = first.as_ref().map(|first| (name, first));
                let _ = self.reload.with("the connectors' topic", first);
            }
            Err(error) => error!(connector = name, %error, "its file can't be changed"),
        }
    }
}

fn open(
    properties: &Properties,
    topic: &str,
    runtime: &Arc<Runtime>,
) -> Result<TableReader, KafkaError> {
    runtime.block_on(table::create(properties, topic))?;
    TableReader::new(properties, topic)
}

/// Whether the file is another now.
fn take_config(folder: &Path, name: &str, value: Option<&[u8]>) -> io::Result<bool> {
    let before = folder::read(folder, name);
    let Some(value) = value else {
        return match before {
            Some(_) => folder::write(folder, name, None).map(|()| true),
            None => Ok(false),
        };
    };
    let config: Flat = serde_json::from_slice(value)?;
    if before.as_ref() == Some(&config) {
        return Ok(false);
    }
    folder::write(folder, name, Some(&config)).map(|()| true)
}

/// A key is no way out of the folder, whoever has written it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits_name)
}
