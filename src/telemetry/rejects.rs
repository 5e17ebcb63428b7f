//! The last rejected records, for whoever looks for the reason.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{newest, since_epoch};
use crate::dead_letter::Reject;
use crate::record::{Offset, TopicPartition};

/// So many are kept.
const MOST: usize = 20;
/// A reason is cut to so many characters.
const MOST_CHARACTERS: usize = 500;

/// The last rejected records of a connector, the newest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rejects(Arc<Mutex<VecDeque<Rejected>>>);

/// A rejected record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejected {
    /// Milliseconds since the epoch.
    at: u64,
    topic: String,
    partition: i32,
    offset: i64,
    stage: Cow<'static, str>,
    kind: Cow<'static, str>,
    reason: String,
}

impl Rejects {
    pub(crate) fn add(&self, partition: &TopicPartition, offset: Offset, reject: &Reject) {
        let rejected = Rejected {
            at: u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX),
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset: offset.0,
            stage: reject.stage.name().into(),
            kind: reject.kind.name().into(),
            reason: reject.reason.chars().take(MOST_CHARACTERS).collect(),
        };
        let mut kept = self.lock();
        kept.push_front(rejected);
        kept.truncate(MOST);
    }

    pub(crate) fn get(&self) -> Vec<Rejected> {
        self.lock().iter().cloned().collect()
    }

    /// The last of those of several processes.
    pub(crate) fn newest(of: impl Iterator<Item = Rejected>) -> Vec<Rejected> {
        newest(MOST, of, |rejected| rejected.at)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Rejected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
