//! What replicas say of themselves in the topic, as a table: each writes its own rows.
//!
//! `replica-WORKER` is a heartbeat, and `status-task-CONNECTOR-WORKER` the state of a connector there;
//! a worker's name is the address at which it is asked, as in Kafka Connect. Time is counted in
//! heartbeats of this process that have come back through the topic: while Kafka can't be reached,
//! nobody grows old, and no two clocks must agree.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::is_address;
use crate::connector;
use crate::connectors::Shown;

pub(super) const REPLICA: &str = "replica-";
pub(super) const STATUS: &str = "status-task-";

/// Replicas that are known at one time.
const MOST_REPLICAS: usize = 100;
/// Rows of connectors, of all of them.
const MOST_STATUSES: usize = 10_000;
/// The largest row that is looked at.
const MOST_BYTES: usize = 16 * 1024;
/// A reason is cut to so many characters.
const MOST_CHARACTERS: usize = 1000;
/// A replica of which there was no heartbeat for so many of this one is away, and then gone.
const AWAY: u32 = 3;
const GONE: u32 = 10;

/// What a connector does in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::server) enum Doing {
    Running,
    Paused,
    Failed,
    Stopped,
    /// Nobody knows: its replica is away.
    Unassigned,
}

impl Doing {
    /// Kafka Connect's.
    pub(in crate::server) fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
            Self::Unassigned => "UNASSIGNED",
        }
    }
}

/// A connector's state in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct Status {
    pub(in crate::server) connector: String,
    pub(in crate::server) worker_id: String,
    pub(in crate::server) state: Doing,
    /// How many there are; they start and end together.
    pub(in crate::server) tasks: usize,
    /// Why it has failed.
    pub(in crate::server) trace: Option<String>,
    pub(in crate::server) version: String,
}

impl Status {
    /// Of this process; a connector that is stopped has no tasks.
    pub(in crate::server) fn of(shown: &Shown, worker_id: &str) -> Self {
        let workers = shown.config.workers.get();
        let cut = |text: String| text.chars().take(MOST_CHARACTERS).collect();
        let (state, tasks, trace) = match shown.view.state() {
            connector::State::Running => (Doing::Running, workers, None),
            connector::State::Paused => (Doing::Paused, workers, None),
            connector::State::Stopped => (Doing::Stopped, 0, None),
            connector::State::Failed(why) => (Doing::Failed, workers, Some(cut(why.to_string()))),
        };
        Self {
            connector: shown.view.name().to_owned(),
            worker_id: worker_id.to_owned(),
            state,
            tasks,
            trace,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(super) fn key(&self) -> String {
        format!("{STATUS}{}-{}", self.connector, self.worker_id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heartbeat {
    pub(super) worker_id: String,
    /// Another one after each start.
    pub(super) run: String,
    pub(super) version: String,
}

#[derive(Debug, Default)]
struct Replica {
    /// Own heartbeats since its last.
    age: u32,
    /// By connector.
    statuses: BTreeMap<String, Status>,
}

/// What the rows come to.
#[derive(Debug)]
pub(super) struct Table {
    own: Heartbeat,
    /// By worker; this process's rows are among them.
    replicas: BTreeMap<String, Replica>,
    /// Keys of replicas that are gone, which this one is to remove.
    to_remove: BTreeSet<String>,
    /// Somebody has removed rows of this process: it is to say all again.
    removed: bool,
    /// Whether an own heartbeat has come back.
    has_beaten: bool,
    doubled: Doubled,
}

/// Whether another process that runs says that it is this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubled {
    No,
    Seen,
    Told,
}

impl Table {
    pub(super) fn new(own: Heartbeat) -> Self {
        Self {
            own,
            replicas: BTreeMap::new(),
            to_remove: BTreeSet::new(),
            removed: false,
            has_beaten: false,
            doubled: Doubled::No,
        }
    }

    /// Takes a row. What is none of a replica's is passed over.
    pub(super) fn take(&mut self, key: &str, value: Option<&[u8]>) {
        if value.is_some_and(|value| value.len() > MOST_BYTES) {
            return;
        }
        if let Some(worker) = key.strip_prefix(REPLICA) {
            self.take_heartbeat(worker, value);
        } else if key.starts_with(STATUS) {
            self.take_status(key, value);
        }
    }

    fn take_heartbeat(&mut self, worker: &str, value: Option<&[u8]>) {
        let is_own = worker == self.own.worker_id;
        let Some(value) = value else {
            if is_own {
                self.removed = true;
            } else {
                self.replicas.remove(worker);
            }
            return;
        };
        let Ok(heartbeat) = serde_json::from_slice::<Heartbeat>(value) else { return };
        if heartbeat.worker_id != worker || !is_address(worker) {
            return;
        }
        if heartbeat == self.own {
            self.grow_old();
        } else if is_own && self.has_beaten && self.doubled == Doubled::No {
            // Before: a process that was here before this one.
            self.doubled = Doubled::Seen;
        }
        if let Some(replica) = self.replica(worker) {
            replica.age = 0;
        }
    }

    fn take_status(&mut self, key: &str, value: Option<&[u8]>) {
        let Some(value) = value else {
            let own = &self.own.worker_id;
            for (worker, replica) in &mut self.replicas {
                let rest = key[STATUS.len()..].strip_suffix(worker.as_str());
                if let Some(connector) = rest.and_then(|rest| rest.strip_suffix('-'))
                    && replica.statuses.remove(connector).is_some()
                {
                    self.removed |= worker == own;
                }
            }
            return;
        };
        let Ok(status) = serde_json::from_slice::<Status>(value) else { return };
        if status.key() != key || !is_address(&status.worker_id) || status.tasks > 10_000 {
            return;
        }
        let has_room =
            self.replicas.values().map(|r| r.statuses.len()).sum::<usize>() < MOST_STATUSES;
        if let Some(replica) = self.replica(&status.worker_id)
            && (has_room || replica.statuses.contains_key(&status.connector))
        {
            replica.statuses.insert(status.connector.clone(), status);
        }
    }

    /// None where there are too many.
    fn replica(&mut self, worker: &str) -> Option<&mut Replica> {
        if self.replicas.len() >= MOST_REPLICAS && !self.replicas.contains_key(worker) {
            return None;
        }
        Some(self.replicas.entry(worker.to_owned()).or_default())
    }

    /// An own heartbeat has come back.
    fn grow_old(&mut self) {
        self.has_beaten = true;
        let own = &self.own.worker_id;
        for (_, other) in self.replicas.iter_mut().filter(|(worker, _)| *worker != own) {
            other.age += 1;
        }
        // One of those that are here removes the rows of those that are gone.
        let first = self.replicas.iter().find(|(_, replica)| replica.age <= AWAY);
        let is_first = first.is_none_or(|(worker, _)| worker >= own);
        let gone = self.replicas.extract_if(.., |_, replica| replica.age > GONE);
        for (worker, replica) in gone.filter(|_| is_first) {
            self.to_remove.extend(replica.statuses.values().map(Status::key));
            self.to_remove.insert(format!("{REPLICA}{worker}"));
        }
    }

    /// What is known of a connector at the other replicas.
    pub(super) fn elsewhere(&self, connector: &str) -> Vec<Status> {
        let others = self.replicas.iter().filter(|(worker, _)| **worker != self.own.worker_id);
        let status = |(_, replica): (_, &Replica)| {
            let mut status = replica.statuses.get(connector)?.clone();
            if replica.age > AWAY {
                (status.state, status.trace) = (Doing::Unassigned, None);
            }
            Some(status)
        };
        others.filter_map(status).collect()
    }

    /// The other replicas that are not away.
    pub(super) fn others(&self) -> Vec<String> {
        let here = self.replicas.iter().filter(|(_, replica)| replica.age <= AWAY);
        here.map(|(worker, _)| worker.clone()).filter(|w| *w != self.own.worker_id).collect()
    }

    /// The keys of this process's rows of connectors.
    pub(super) fn own_keys(&self) -> Vec<String> {
        let own = self.replicas.get(&self.own.worker_id);
        own.into_iter().flat_map(|own| own.statuses.values()).map(Status::key).collect()
    }

    pub(super) fn take_removals(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.to_remove)
    }

    pub(super) fn remove_later(&mut self, keys: BTreeSet<String>) {
        self.to_remove.extend(keys);
    }

    /// Whether rows of this process were removed since it was asked.
    pub(super) fn was_removed(&mut self) -> bool {
        std::mem::take(&mut self.removed)
    }

    /// Whether another process has this one's name; true once.
    pub(super) fn was_doubled(&mut self) -> bool {
        let is_new = self.doubled == Doubled::Seen;
        if is_new {
            self.doubled = Doubled::Told;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(worker: &str, run: &str) -> Heartbeat {
        Heartbeat { worker_id: worker.into(), run: run.into(), version: "1".into() }
    }

    fn status(connector: &str, worker: &str, state: Doing) -> Status {
        Status {
            connector: connector.into(),
            worker_id: worker.into(),
            state,
            tasks: 2,
            trace: None,
            version: "1".into(),
        }
    }

    fn beat(table: &mut Table, heartbeat: &Heartbeat) {
        let text = serde_json::to_vec(heartbeat).unwrap();
        table.take(&format!("{REPLICA}{}", heartbeat.worker_id), Some(&text));
    }

    fn say(table: &mut Table, status: &Status) {
        table.take(&status.key(), Some(&serde_json::to_vec(status).unwrap()));
    }

    /// Of the replica `b:1`, which has said that it runs `c`; `a:1` has, too.
    fn table() -> Table {
        let mut table = Table::new(heartbeat("b:1", "own"));
        beat(&mut table, &heartbeat("a:1", "x"));
        say(&mut table, &status("c", "a:1", Doing::Running));
        say(&mut table, &status("c", "b:1", Doing::Running));
        table
    }

    fn states(table: &Table) -> Vec<(String, Doing)> {
        table.elsewhere("c").into_iter().map(|s| (s.worker_id, s.state)).collect()
    }

    #[test]
    fn a_replica_without_heartbeats_is_away_then_gone_and_its_rows_are_removed() {
        let mut table = table();
        for _ in 0..AWAY {
            beat(&mut table, &heartbeat("b:1", "own"));
        }
        assert_eq!(states(&table), [("a:1".to_owned(), Doing::Running)]);
        assert_eq!(table.others(), ["a:1"]);
        beat(&mut table, &heartbeat("b:1", "own"));
        assert_eq!(states(&table), [("a:1".to_owned(), Doing::Unassigned)]);
        assert!(table.others().is_empty());
        for _ in AWAY + 1..=GONE {
            beat(&mut table, &heartbeat("b:1", "own"));
        }
        assert!(states(&table).is_empty());
        let removals: Vec<_> = table.take_removals().into_iter().collect();
        assert_eq!(removals, ["replica-a:1", "status-task-c-a:1"]);
    }

    #[test]
    fn one_replica_of_those_that_are_here_removes_the_rows_of_one_that_is_gone() {
        let mut table = table();
        say(&mut table, &status("c", "z:1", Doing::Running));
        for _ in 0..=GONE {
            beat(&mut table, &heartbeat("a:1", "x"));
            beat(&mut table, &heartbeat("b:1", "own"));
        }
        assert_eq!(states(&table), [("a:1".to_owned(), Doing::Running)]);
        assert!(table.take_removals().is_empty(), "a:1 does it");
    }

    #[test]
    fn while_no_own_heartbeat_comes_back_nobody_grows_old() {
        let mut table = table();
        for _ in 0..100 {
            beat(&mut table, &heartbeat("c:1", "y"));
        }
        assert_eq!(states(&table), [("a:1".to_owned(), Doing::Running)]);
    }

    #[test]
    fn rows_that_are_foreign_or_too_many_are_passed_over() {
        let mut table = table();
        let good = serde_json::to_vec(&status("c", "d:1", Doing::Running)).unwrap();
        let huge = vec![b' '; MOST_BYTES + 1];
        let elsewhere = serde_json::to_vec(&status("c", "d:1/x?y", Doing::Running)).unwrap();
        for (key, value) in [
            ("replica-", None),
            ("replica-d:1", Some(b"{".as_slice())),
            ("replica-d:1", Some(&good)),
            ("status-task-", None),
            ("status-task-c-e:1", Some(&good)),
            ("status-task-c-d:1/x?y", Some(&elsewhere)),
            ("status-task-c-d:1", Some(b"\xff")),
            ("status-task-c-d:1", Some(&huge)),
        ] {
            table.take(key, value);
        }
        assert_eq!(states(&table), [("a:1".to_owned(), Doing::Running)]);
        for number in 1..1000 {
            beat(&mut table, &heartbeat(&format!("f:{number}"), "x"));
        }
        assert_eq!(table.replicas.len(), MOST_REPLICAS);
        for number in 0..=MOST_STATUSES {
            say(&mut table, &status(&format!("n{number}"), "a:1", Doing::Running));
        }
        assert_eq!(table.replicas["a:1"].statuses.len(), MOST_STATUSES - 1, "b:1 has one");
    }

    #[test]
    fn who_has_removed_this_ones_rows_makes_it_say_them_again() {
        let mut table = table();
        assert_eq!(table.own_keys(), ["status-task-c-b:1"]);
        assert!(!table.was_removed());
        table.take("status-task-c-b:1", None);
        assert!(table.was_removed() && !table.was_removed());
        table.take("replica-b:1", None);
        assert!(table.was_removed());
        table.take("status-task-c-a:1", None);
        assert!(!table.was_removed() && states(&table).is_empty());
    }

    #[test]
    fn another_process_of_the_same_name_is_told_once_and_one_before_it_is_not() {
        let mut table = table();
        beat(&mut table, &heartbeat("b:1", "before"));
        assert!(!table.was_doubled());
        beat(&mut table, &heartbeat("b:1", "own"));
        assert!(!table.was_doubled());
        for _ in 0..2 {
            beat(&mut table, &heartbeat("b:1", "other"));
        }
        assert!(table.was_doubled() && !table.was_doubled());
    }
}
