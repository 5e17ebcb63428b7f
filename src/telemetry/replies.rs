//! The last replies of a connector's database, for whoever looks how it is.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{WriteResult, newest, since_epoch};
use crate::sink::SinkError;

/// So many are kept.
const MOST: usize = 10;
/// A reason is cut to so many characters.
const MOST_CHARACTERS: usize = 500;

/// The last replies of a database to a connector's writes, the newest first. The same one again is
/// counted, and not kept anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replies(Arc<Mutex<VecDeque<Reply>>>);

/// A reply, and how often it has come in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// When it came last, in milliseconds since the epoch.
    at: u64,
    /// When it came first.
    since: u64,
    times: u64,
    result: Cow<'static, str>,
    /// What the database has said; none where it has taken the write.
    reason: Option<String>,
    /// How long the last one took.
    milliseconds: u64,
}

impl Replies {
    pub(crate) fn add(&self, answer: &Result<(), SinkError>, took: Duration) {
        let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (at, milliseconds) = (whole(since_epoch()), whole(took));
        let result = WriteResult::of(answer).name();
        let reason = answer.as_ref().err().map(|error| cut(&error.to_string()));
        let mut kept = self.lock();
        if let Some(last) = kept.front_mut().filter(|l| l.result == result && l.reason == reason) {
            (last.at, last.milliseconds) = (at, milliseconds);
            last.times += 1;
            return;
        }
        kept.push_front(Reply {
            at,
            since: at,
            times: 1,
            result: result.into(),
            reason,
            milliseconds,
        });
        kept.truncate(MOST);
    }

    pub(crate) fn get(&self) -> Vec<Reply> {
        self.lock().iter().cloned().collect()
    }

    /// The last of those of several processes.
    pub(crate) fn newest(of: impl Iterator<Item = Reply>) -> Vec<Reply> {
        newest(MOST, of, |reply| reply.at)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Reply>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(reason: &str) -> String {
    reason.chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reply_is_counted_and_only_the_last_are_kept() {
        let replies = Replies::default();
        let refused = |reason: &str| Err(SinkError::Misconfigured { reason: reason.to_owned() });
        for _ in 0..3 {
            replies.add(&refused("no such bucket"), Duration::from_millis(7));
        }
        replies.add(&Ok(()), Duration::from_millis(1));
        let kept = replies.get();
        let shown: Vec<_> =
            kept.iter().map(|r| (&*r.result, r.times, r.reason.as_deref())).collect();
        assert_eq!(shown, [("written", 1, None), ("misconfigured", 3, Some("no such bucket"))]);
        for number in 0..20 {
            replies.add(&refused(&number.to_string()), Duration::ZERO);
        }
        assert_eq!(replies.get().len(), MOST);
        assert_eq!(replies.get()[0].reason.as_deref(), Some("19"));
    }
}
