//! Connectors that several processes share. A compacted topic says which there are and how they were
//! steered; the folder of each process follows it, so that a process starts with what it knew last.
//!
//! Keys are Kafka Connect's: `connector-NAME` has the flat configuration, `target-state-NAME` the state
//! where it is not to run, `restart-connector-NAME` asks for a restart. How each process is stands in
//! rows of its own ([`table`]); its figures it is asked for when somebody wants to see them ([`ask`]).

mod ask;
mod follow;
mod heart;
mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::flat::Flat;
use crate::connector::State;
use crate::connectors::Connectors;
use crate::kafka::table::TableWriter;
use crate::kafka::{KafkaError, Properties};
use crate::reload::Reload;
use ask::Peers;
use follow::Follower;
use heart::Heart;
pub(super) use table::{Doing, Status};
use table::{Heartbeat, Table};

const CONNECTOR: &str = "connector-";
const STATE: &str = "target-state-";
const RESTART: &str = "restart-connector-";
/// How long brokers may take to confirm a change.
const WITHIN: Duration = Duration::from_secs(20);

/// The shared topic; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Replicas {
    worker_id: String,
    writer: Arc<TableWriter>,
    /// Whoever changes connectors has it.
    turn: Arc<Mutex<()>>,
    table: Arc<Mutex<Table>>,
    /// What is there has been read once.
    has_caught_up: Arc<AtomicBool>,
    heart: Heart,
    peers: Peers,
}

/// One change at a time, of whichever origin, has this.
pub(super) struct Turn<'r> {
    writer: &'r TableWriter,
    _turn: MutexGuard<'r, ()>,
}

/// A restart, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Restart {
    pub(super) only_failed: bool,
    pub(super) include_tasks: bool,
    /// Only there; everywhere if none is named.
    #[serde(default, rename = "worker_id")]
    pub(super) worker_id: Option<String>,
}

impl Turn<'_> {
    /// Says a connector's configuration to all, or that it is gone.
    pub(super) fn connector(&self, name: &str, config: Option<&Flat>) -> Result<(), KafkaError> {
        let key = format!("{CONNECTOR}{name}");
        if let Some(config) = config {
            return self.put(&key, config);
        }
        let restart = format!("{RESTART}{name}");
        self.writer.put_all([(key.as_str(), None), (&restart, None)], WITHIN)
    }

    pub(super) fn state(&self, name: &str, state: &State) -> Result<(), KafkaError> {
        let is_kept = matches!(state, State::Paused | State::Stopped);
        let value = is_kept.then(|| state.name().as_bytes());
        self.writer.put_all([(format!("{STATE}{name}").as_str(), value)], WITHIN)
    }

    pub(super) fn restart(&self, name: &str, restart: &Restart) -> Result<(), KafkaError> {
        self.put(&format!("{RESTART}{name}"), restart)
    }

    fn put(&self, key: &str, value: &impl Serialize) -> Result<(), KafkaError> {
        let text = serde_json::to_vec(value);
        let text = text.map_err(|error| KafkaError { reason: error.to_string(), fatal: false })?;
        self.writer.put_all([(key, Some(text.as_slice()))], WITHIN)
    }
}

impl Replicas {
    /// Follows the topic from now on. `worker_id` is the address at which others ask this process.
    pub(crate) fn start(
        properties: &Properties,
        topic: &str,
        worker_id: &str,
        folder: PathBuf,
        connectors: &Connectors,
        reload: Reload,
    ) -> Result<Self, String> {
        let writer = TableWriter::new(properties, topic).map_err(|error| error.to_string())?;
        let heartbeat = Heartbeat::new(worker_id);
        let heart = Heart::new(&heartbeat)?;
        let replicas = Self {
            worker_id: worker_id.to_owned(),
            writer: Arc::new(writer),
            turn: Arc::default(),
            table: Arc::new(Mutex::new(Table::new(heartbeat))),
            has_caught_up: Arc::default(),
            heart,
            peers: Peers::new()?,
        };
        let follower =
            Follower { replicas: replicas.clone(), folder, connectors: connectors.clone(), reload };
        let (properties, topic) = (properties.clone(), topic.to_owned());
        spawn("connectors-topic", move || follower.follow(&properties, &topic))?;
        let (beating, connectors) = (replicas.clone(), connectors.clone());
        spawn("replica-heart", move || beating.beat(&connectors))?;
        Ok(replicas)
    }

    /// Whoever holds it is the only one that changes connectors.
    pub(super) fn turn(&self) -> Turn<'_> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Turn { writer: &self.writer, _turn: turn }
    }

    /// What is known of a connector at the other replicas.
    pub(super) fn elsewhere(&self, connector: &str) -> Vec<Status> {
        self.table().elsewhere(connector)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_caught_up(&self) -> bool {
        self.has_caught_up.load(Ordering::Acquire)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map(drop).map_err(|error| error.to_string())
}
