//! The newest values of a series.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::point::Timestamp;

/// By time; of one time, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(super) struct History(VecDeque<(i64, f64)>);

impl History {
    pub(super) fn forget_until(&mut self, expired: i64) {
        while self.0.front().is_some_and(|(time, _)| *time <= expired) {
            self.0.pop_front();
        }
    }

    /// The values after `since` and up to a time, each with its time, the oldest first.
    pub(super) fn between(
        &self,
        since: i64,
        time: Timestamp,
    ) -> impl ExactSizeIterator<Item = (i64, f64)> + Clone {
        let start = self.0.partition_point(|(known, _)| *known <= since);
        let end = self.0.partition_point(|(known, _)| *known <= time.nanos());
        self.0.range(start.min(end)..end).copied()
    }

    /// Of more than `most`, the oldest goes.
    pub(super) fn add(&mut self, time: Timestamp, value: f64, most: NonZeroUsize) {
        let time = time.nanos();
        if self.0.back().is_none_or(|(newest, _)| *newest <= time) {
            self.0.push_back((time, value));
        } else {
            let place = self.0.partition_point(|(known, _)| *known <= time);
            self.0.insert(place, (time, value));
        }
        if self.0.len() > most.get() {
            self.0.pop_front();
        }
    }
}
