//! From the topic into this process.
//!
//! Anybody who may write to the topic may have written a row: what this process can't take in is
//! passed over, and changes nothing here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tracing::{error, info, warn};

use super::{CONNECTOR, RESTART, Replicas, Restart, STATE, Turn, table as replica_rows};
use crate::config::fits_name;
use crate::config::flat::Flat;
use crate::connector::State;
use crate::connectors::{Connectors, Order};
use crate::kafka::table::{self, Row, TableReader};
use crate::kafka::{KafkaError, Properties};
use crate::reload::Reload;
use crate::server::change_folder as folder;
use crate::server::connect::check;

/// How long the next row is waited for.
const TURN: Duration = Duration::from_secs(1);
/// After a topic could not be made or read.
const PAUSE: Duration = Duration::from_secs(5);
/// When a configuration that could not be taken in is tried again: another file may have been broken.
const AGAIN: Duration = Duration::from_mins(1);
/// Rows of connectors that are followed. Those beyond are passed over.
const MOST_ROWS: usize = 10_000;
/// The largest row: what a request may send.
const MOST_BYTES: usize = 1024 * 1024;

/// The one that brings what the topic says into this process.
pub(super) struct Follower {
    pub(super) replicas: Replicas,
    pub(super) folder: PathBuf,
    pub(super) connectors: Connectors,
    pub(super) reload: Reload,
}

/// Rows by key: the last value of each.
type Rows = BTreeMap<String, Option<Vec<u8>>>;

impl Follower {
    /// Without end.
    pub(super) fn follow(&self, properties: &Properties, topic: &str) {
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
        let mut first = Some(Rows::new());
        // Connectors that could not be taken in, and are tried again.
        let mut waiting = Rows::new();
        let mut next = Instant::now() + AGAIN;
        loop {
            match (reader.next(TURN), &mut first) {
                (Some(Row::Set(key, value)), _) if is_of_replicas(&key) => {
                    self.replicas.table().take(&key, value.as_deref());
                }
                (Some(Row::Set(key, value)), Some(rows)) => {
                    if is_of_connectors(&key, value.as_deref()) {
                        insert(rows, key, value);
                    }
                }
                (Some(Row::Set(key, value)), None) => {
                    let _turn = self.replicas.turn();
                    self.take(key, value, &mut waiting);
                }
                (Some(Row::AtEnd), rows) => {
                    if let Some(rows) = rows.take() {
                        waiting = self.catch_up(rows);
                        self.replicas.has_caught_up.store(true, Ordering::Release);
                    }
                }
                (None, _) => {}
            }
            if Instant::now() >= next {
                let _turn = self.replicas.turn();
                self.take_all(waiting.clone(), &mut waiting);
                next = Instant::now() + AGAIN;
            }
        }
    }

    /// What could not be taken in.
    fn catch_up(&self, rows: Rows) -> Rows {
        let turn = self.replicas.turn();
        let (is_new, is_whole) = (rows.is_empty(), rows.len() < MOST_ROWS);
        for name in folder::names(&self.folder) {
            if is_new {
                self.publish(&turn, &name);
            } else if is_whole && !rows.contains_key(&format!("{CONNECTOR}{name}")) {
                self.set_aside(&name);
            }
        }
        // States first: a connector that is not to run must not run for a moment.
        let (states, others) = rows.into_iter().partition(|(key, _)| key.starts_with(STATE));
        let mut waiting = Rows::new();
        self.take_all(states, &mut waiting);
        self.take_all(others, &mut waiting);
        waiting
    }

    fn take_all(&self, rows: Rows, waiting: &mut Rows) {
        for (key, value) in rows {
            self.take(key, value, waiting);
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
        match std::fs::rename(file, aside) {
            Ok(()) => {
                self.reloaded(name);
            }
            Err(error) => error!(connector = name, %error, "its file can't be set aside"),
        }
    }

    fn take(&self, key: String, value: Option<Vec<u8>>, waiting: &mut Rows) {
        // Of what is tried again the log has said why already.
        let is_known = waiting.remove(&key).is_some_and(|waiting| waiting == value);
        if let Some(name) = key.strip_prefix(RESTART) {
            if let Some(restart) = value.as_deref().and_then(restart) {
                self.restart(name, &restart);
            }
        } else if !is_of_connectors(&key, value.as_deref()) {
            // Nobody of ours has written it.
        } else if let Some(name) = key.strip_prefix(STATE) {
            self.take_state(name, value.as_deref());
        } else if let Some(name) = key.strip_prefix(CONNECTOR)
            && !self.take_config(name, value.as_deref(), is_known)
        {
            insert(waiting, key, value);
        }
    }

    fn restart(&self, name: &str, restart: &Restart) {
        let Some(shown) = self.connectors.get(name) else { return };
        let own = &self.replicas.worker_id;
        let is_meant = restart.worker_id.as_ref().is_none_or(|worker_id| worker_id == own);
        if is_meant && (!restart.only_failed || matches!(shown.view.state(), State::Failed(_))) {
            info!(connector = name, "a restart was asked for");
            self.connectors.order(name, Order::Restart);
        }
    }

    /// Whether it is taken in. Where it can't be, the connector's file is as it was: it must not be in
    /// the way of other changes, nor of the next start.
    fn take_config(&self, name: &str, value: Option<&[u8]>, is_known: bool) -> bool {
        let config = value.map(serde_json::from_slice::<Flat>).transpose();
        let checked = config.map_err(|error| error.to_string()).and_then(|config| {
            let errors = config.as_ref().map(|config| check(&self.reload, config)).transpose();
            errors.map(|_| config).map_err(|errors| {
                let all: Vec<_> =
                    errors.iter().map(|(key, what)| format!("{key}: {what}")).collect();
                all.join("; ")
            })
        });
        let config = match checked {
            Ok(config) => config,
            Err(reason) => {
                if !is_known {
                    error!(
                        connector = name,
                        reason,
                        "what the connectors' topic has of it is no configuration; all runs on as before"
                    );
                }
                return false;
            }
        };
        let before = folder::read(&self.folder, name);
        if before == config {
            return true;
        }
        if let Err(error) = folder::write(&self.folder, name, config.as_ref()) {
            error!(connector = name, %error, "its file can't be changed");
            return false;
        }
        let is_taken = self.reloaded(name);
        if !is_taken && let Err(error) = folder::write(&self.folder, name, before.as_ref()) {
            error!(connector = name, %error, "its file can't be changed back");
        }
        is_taken
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

    /// Takes a changed file in, if that can be. Why it can't is in the log then.
    fn reloaded(&self, name: &str) -> bool {
        let first = match folder::kept_state(&self.folder, name) {
            State::Paused => Some(Order::Pause),
            State::Stopped => Some(Order::Stop),
            State::Running | State::Failed(_) => None,
        };
        let first = first.as_ref().map(|first| (name, first));
        self.reload.with("the connectors' topic", first).is_ok()
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

fn is_of_replicas(key: &str) -> bool {
    key.starts_with(replica_rows::REPLICA) || key.starts_with(replica_rows::STATUS)
}

fn is_of_connectors(key: &str, value: Option<&[u8]>) -> bool {
    let name = key.strip_prefix(STATE).or_else(|| key.strip_prefix(CONNECTOR));
    name.is_some_and(is_name) && value.is_none_or(|value| value.len() <= MOST_BYTES)
}

fn restart(value: &[u8]) -> Option<Restart> {
    serde_json::from_slice(value).ok().filter(|_| value.len() <= MOST_BYTES)
}

fn insert(rows: &mut Rows, key: String, value: Option<Vec<u8>>) {
    if rows.len() < MOST_ROWS || rows.contains_key(&key) {
        rows.insert(key, value);
    } else {
        warn!(key, "the connectors' topic has more rows than are followed");
    }
}

/// A key is no way out of the folder, whoever has written it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits_name)
}
