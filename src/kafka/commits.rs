//! Commits: one at a time, on a thread of their own.
//!
//! librdkafka says how a commit has ended only to who waits for it, and while the group's
//! coordinator is away that takes minutes: `session.timeout.ms` for a coordinator that nobody
//! knows, `socket.timeout.ms` for one that doesn't answer. So a thread does the waiting, and the
//! worker polls and can stop meanwhile. One at a time, because a commit that librdkafka repeats
//! would otherwise put back the offsets of a newer one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::KafkaError;
use crate::record::TopicPartition;
use crate::watermark::Covers;

/// How long closing may take: leaving the group waits for the coordinator, too.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// Commits what it is given, in the background.
pub(super) struct Commits {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What the next commit takes: the newest offset of each partition.
    waiting: Covers,
    under_way: bool,
    /// While somebody waits: whether a commit has failed meanwhile.
    awaited: Option<Result<(), KafkaError>>,
    closing: bool,
}

impl Commits {
    /// `commit` may take as long as it likes; `ended` is told how it went, unless somebody waits
    /// for that. Both are dropped when the last commit has ended.
    pub(super) fn start(
        commit: impl Fn(&Covers) -> Result<(), KafkaError> + Send + 'static,
        ended: impl Fn(Result<(), KafkaError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("commits".into()).spawn(move || {
                while let Some(offsets) = shared.next() {
                    let result = commit(&offsets);
                    if let Some(result) = shared.end(result) {
                        ended(result);
                    }
                }
            })?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Commits as soon as what is under way has ended.
    pub(super) fn begin(&self, offsets: &Covers) {
        let mut state = self.shared.lock();
        state.waiting.extend(offsets.iter().map(|(partition, next)| (partition.clone(), *next)));
        self.shared.changed.notify_all();
    }

    /// Commits, and waits until this and all before it have ended. What has not been begun within
    /// the limit is not begun any more.
    pub(super) fn wait(&self, offsets: &Covers, limit: Duration) -> Result<(), KafkaError> {
        self.begin(offsets);
        let mut state = self.shared.lock();
        state.awaited = Some(Ok(()));
        let unfinished = |state: &mut State| state.under_way || !state.waiting.is_empty();
        let (mut state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, unfinished)
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = state.awaited.take().unwrap_or(Ok(()));
        if timeout.timed_out() {
            state.waiting.clear();
            let reason = format!("Kafka has not answered a commit within {limit:?}");
            return Err(KafkaError { reason, fatal: false });
        }
        outcome
    }

    /// Doesn't begin to commit anything of these any more.
    pub(super) fn forget(&self, partitions: &[TopicPartition]) {
        let mut state = self.shared.lock();
        state.waiting.retain(|partition, _| !partitions.contains(partition));
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next offsets to commit; `None` at the end.
    fn next(&self) -> Option<Covers> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closing;
        let mut state =
            self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if state.closing {
            return None;
        }
        state.under_way = true;
        Some(std::mem::take(&mut state.waiting))
    }

    /// A commit has ended. Hands its result back when nobody waits for it.
    fn end(&self, result: Result<(), KafkaError>) -> Option<Result<(), KafkaError>> {
        let mut state = self.lock();
        state.under_way = false;
        self.changed.notify_all();
        match &mut state.awaited {
            Some(Err(_)) => None,
            Some(outcome) => {
                *outcome = result;
                None
            }
            None => Some(result),
        }
    }
}

impl Drop for Commits {
    /// What has not been begun is not. A commit that is under way, and then the closing of the
    /// client that the thread holds, get a limited time: then they are left to themselves.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        let deadline = Instant::now() + CLOSED_WITHIN;
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::record::{NextOffset, Offset};

    const SOON: Duration = Duration::from_secs(20);
    const NOT_LONG: Duration = Duration::from_millis(20);

    /// Commits that end when, and as, the test says.
    struct Kafka {
        commits: Commits,
        begun: Receiver<Covers>,
        answers: Sender<Result<(), KafkaError>>,
        ended: Receiver<Result<(), KafkaError>>,
    }

    fn kafka() -> Kafka {
        let ((tell, begun), (answers, answer)) = (channel(), channel());
        let (end, ended) = channel();
        let commit = move |offsets: &Covers| {
            tell.send(offsets.clone()).unwrap();
            answer.recv().unwrap_or(Ok(()))
        };
        let commits = Commits::start(commit, move |result| end.send(result).unwrap()).unwrap();
        Kafka { commits, begun, answers, ended }
    }

    fn covers(offsets: &[(i32, i64)]) -> Covers {
        offsets.iter().map(|&(p, last)| (partition(p), NextOffset::after(Offset(last)))).collect()
    }

    fn partition(number: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    fn refused() -> KafkaError {
        KafkaError { reason: "refused".into(), fatal: false }
    }

    #[test]
    fn a_commit_waits_for_the_one_before_and_takes_the_newest_offsets() {
        let kafka = kafka();
        kafka.commits.begin(&covers(&[(0, 1)]));
        assert_eq!(kafka.begun.recv_timeout(SOON).unwrap(), covers(&[(0, 1)]));
        kafka.commits.begin(&covers(&[(0, 2), (1, 7)]));
        kafka.commits.begin(&covers(&[(0, 3)]));
        assert!(kafka.begun.recv_timeout(NOT_LONG).is_err());
        kafka.answers.send(Err(refused())).unwrap();
        assert_eq!(kafka.ended.recv_timeout(SOON).unwrap(), Err(refused()));
        assert_eq!(kafka.begun.recv_timeout(SOON).unwrap(), covers(&[(0, 3), (1, 7)]));
        kafka.answers.send(Ok(())).unwrap();
        assert_eq!(kafka.ended.recv_timeout(SOON).unwrap(), Ok(()));
    }

    #[test]
    fn who_waits_is_told_of_a_failure_of_an_earlier_commit_too() {
        let kafka = kafka();
        kafka.commits.begin(&covers(&[(0, 1)]));
        kafka.begun.recv_timeout(SOON).unwrap();
        kafka.answers.send(Err(refused())).unwrap();
        kafka.answers.send(Ok(())).unwrap();
        // The first may end before the wait begins; then its end is told in the other way.
        let waited = kafka.commits.wait(&covers(&[(1, 1)]), SOON);
        assert!(waited == Err(refused()) || kafka.ended.try_recv() == Ok(Err(refused())));
        assert_eq!(kafka.begun.recv_timeout(SOON).unwrap(), covers(&[(1, 1)]));
    }

    #[test]
    fn waiting_ends_at_its_limit_and_nothing_more_is_begun() {
        let kafka = kafka();
        kafka.commits.begin(&covers(&[(0, 1)]));
        kafka.begun.recv_timeout(SOON).unwrap();
        let failure = kafka.commits.wait(&covers(&[(0, 2)]), NOT_LONG).unwrap_err();
        assert_eq!(failure.reason, "Kafka has not answered a commit within 20ms");
        kafka.answers.send(Ok(())).unwrap();
        assert_eq!(kafka.ended.recv_timeout(SOON).unwrap(), Ok(()));
        assert!(kafka.begun.recv_timeout(NOT_LONG).is_err());
    }

    #[test]
    fn a_partition_that_was_let_go_is_not_committed_any_more() {
        let kafka = kafka();
        kafka.commits.begin(&covers(&[(0, 1)]));
        kafka.begun.recv_timeout(SOON).unwrap();
        kafka.commits.begin(&covers(&[(0, 2), (1, 2)]));
        kafka.commits.forget(&[partition(0)]);
        kafka.answers.send(Ok(())).unwrap();
        assert_eq!(kafka.begun.recv_timeout(SOON).unwrap(), covers(&[(1, 2)]));
        kafka.answers.send(Ok(())).unwrap();
    }
}
