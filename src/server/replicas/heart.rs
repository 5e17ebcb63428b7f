//! From this process into the topic: that it is there, and how its connectors are.
//!
//! Whatever becomes of the writes, the connectors run on: this thread alone waits for them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::Replicas;
use super::table::{Heartbeat, REPLICA, Status};
use crate::connectors::Connectors;
use crate::kafka::KafkaError;

/// How often states are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often a heartbeat is written.
const EVERY: Duration = Duration::from_secs(3);
/// How long brokers may take for the rows of a look.
const WITHIN: Duration = Duration::from_secs(5);
/// After rows could not be written.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the end of the process may wait for its rows to be removed.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

type Rows = BTreeMap<String, Option<Vec<u8>>>;

/// What is written of this process; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Heart {
    heartbeat: Arc<[u8]>,
    /// By key; none where a row is there, and is to be said anew.
    said: Arc<Mutex<BTreeMap<String, Option<Status>>>>,
    has_left: Arc<AtomicBool>,
}

impl Heartbeat {
    pub(super) fn new(worker_id: &str) -> Self {
        Self {
            worker_id: worker_id.to_owned(),
            run: format!("{:016x}", RandomState::new().hash_one(worker_id)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Heart {
    pub(super) fn new(heartbeat: &Heartbeat) -> Result<Self, String> {
        let heartbeat = serde_json::to_vec(heartbeat).map_err(|error| error.to_string())?.into();
        Ok(Self { heartbeat, said: Arc::default(), has_left: Arc::default() })
    }
}

impl Replicas {
    /// Until the process leaves.
    pub(super) fn beat(&self, connectors: &Connectors) {
        while !self.has_caught_up() {
            std::thread::sleep(LOOK);
        }
        // A process before this one may have had other connectors.
        let of_before = self.table().own_keys();
        self.said().extend(of_before.into_iter().map(|key| (key, None)));
        let (mut next, mut is_failing) = (Instant::now(), false);
        while !self.heart.has_left.load(Ordering::Acquire) {
            let is_due = Instant::now() >= next;
            if is_due {
                next = Instant::now() + EVERY;
            }
            let pause = match self.say(connectors, is_due) {
                Ok(()) => {
                    if std::mem::take(&mut is_failing) {
                        info!("the other replicas see this one's states again");
                    }
                    LOOK
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        let reason = &error.reason;
                        warn!(
                            reason,
                            "the other replicas can't be told this one's states; trying again"
                        );
                    }
                    next = Instant::now();
                    PAUSE
                }
            };
            std::thread::sleep(pause);
        }
    }

    /// Writes what has changed since the last time.
    fn say(&self, connectors: &Connectors, with_heartbeat: bool) -> Result<(), KafkaError> {
        let (removals, was_removed, was_doubled) = {
            let mut table = self.table();
            (table.take_removals(), table.was_removed(), table.was_doubled())
        };
        if was_doubled {
            error!(
                worker_id = self.worker_id,
                "another replica has this address, too: set `server.advertise` to each one's own"
            );
        }
        let mut said = self.said();
        if self.heart.has_left.load(Ordering::Acquire) {
            return Ok(());
        }
        if was_removed {
            said.values_mut().for_each(|said| *said = None);
        }
        let now = connectors
            .all()
            .iter()
            .map(|shown| keyed(Status::of(shown, &self.worker_id)))
            .collect();
        let mut rows = changes(&said, &now);
        rows.extend(removals.iter().map(|key| (key.clone(), None)));
        if with_heartbeat || was_removed {
            rows.insert(self.heartbeat_key(), Some(self.heart.heartbeat.to_vec()));
        }
        if let Err(error) = self.write(&rows, WITHIN) {
            self.table().remove_later(removals);
            return Err(error);
        }
        *said = now;
        Ok(())
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<String, Option<Status>>> {
        self.heart.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heartbeat_key(&self) -> String {
        format!("{REPLICA}{}", self.worker_id)
    }

    /// Removes all that this process has written of itself, if that is soon done: after a while the
    /// others do it.
    pub(crate) fn leave(&self) {
        self.heart.has_left.store(true, Ordering::Release);
        let deadline = Instant::now() + LEAVE_WITHIN;
        while Instant::now() < deadline {
            if let Ok(said) = self.heart.said.try_lock() {
                let rows = std::iter::once(self.heartbeat_key())
                    .chain(said.keys().cloned())
                    .map(|key| (key, None))
                    .collect();
                if let Err(error) = self.write(&rows, LEAVE_WITHIN) {
                    warn!(reason = error.reason, "the other replicas can't be told of the end");
                }
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn write(&self, rows: &Rows, within: Duration) -> Result<(), KafkaError> {
        self.writer
            .put_all(rows.iter().map(|(key, value)| (key.as_str(), value.as_deref())), within)
    }
}

fn keyed(status: Status) -> (String, Option<Status>) {
    (status.key(), Some(status))
}

/// The rows that make of what was said what is so now.
fn changes(
    said: &BTreeMap<String, Option<Status>>,
    now: &BTreeMap<String, Option<Status>>,
) -> Rows {
    let gone = said.keys().filter(|key| !now.contains_key(*key)).map(|key| (key.clone(), None));
    let new = now.iter().filter(|(key, status)| said.get(*key) != Some(status));
    let new = new.map(|(key, status)| (key.clone(), serde_json::to_vec(status).ok()));
    gone.chain(new).collect()
}
