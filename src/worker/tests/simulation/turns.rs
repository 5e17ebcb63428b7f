//! Whose turn it is: several workers, each a thread with a paused clock of its own, act one at a
//! time in the order of virtual time. So a run with two of them is as repeatable as one with one.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Turns {
    /// When each process wants to act next. `None` when it has ended.
    next: Mutex<Vec<Option<Duration>>>,
    changed: Condvar,
}

impl Turns {
    pub(super) fn new(processes: usize) -> Self {
        Self { next: Mutex::new(vec![Some(Duration::ZERO); processes]), changed: Condvar::new() }
    }

    /// Waits until nobody acts before this moment. Of those at the same moment the first goes
    /// first.
    pub(super) fn wait(&self, process: usize, at: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next[process] = Some(at);
        if first(&next) == Some(process) {
            return;
        }
        self.changed.notify_all();
        while first(&next) != Some(process) {
            next = self.changed.wait(next).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn leave(&self, process: usize) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)[process] = None;
        self.changed.notify_all();
    }
}

fn first(next: &[Option<Duration>]) -> Option<usize> {
    let times = next.iter().enumerate().filter_map(|(process, at)| Some(((*at)?, process)));
    times.min().map(|(_, process)| process)
}
