//! Backpressure: what a worker does while a full batch has no room in flight, or its owner wants it
//! to pause.

use std::time::Duration;

use tokio::time::Instant;

use super::{TURN, Worker};
use crate::kafka::{Consumer, DeadLetterTopic};
use crate::sink::Write;

/// How long a full batch waits for room before partitions are paused: pausing throws away what
/// librdkafka has fetched ahead, so a database that is merely slow should not cause it.
const PAUSE_AFTER: Duration = Duration::from_secs(1);

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    /// A full batch, and no room for another one in flight.
    pub(super) fn is_blocked(&mut self) -> bool {
        let blocked = self.intake.is_full() && !self.has_room();
        if !blocked {
            self.blocked_since = None;
        }
        blocked
    }

    /// An ordered sink's next batch waits for the commit of the last.
    pub(super) fn has_room(&self) -> bool {
        let uncommitted = self.settings.ordered && self.watermark.has_committable();
        self.watermark.in_flight() < self.settings.in_flight.get() && !uncommitted
    }

    /// Waits for a batch to end.
    pub(super) fn wait_for_room(&mut self) {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        self.stand_still(since, TURN);
    }

    /// Reads nothing for a turn. Before long, goes on polling with all partitions paused, so that
    /// this member stays in its group however long the outage lasts.
    pub(super) fn stand_still(&mut self, since: Instant, turn: Duration) {
        if since.elapsed() < PAUSE_AFTER {
            if let Some(settled) = self.deliveries.wait_settled(turn) {
                self.take_one_settled(settled);
            }
            return;
        }
        self.pause();
        self.shares.paused.set(1);
        if let Some(event) = self.consumer.poll(turn) {
            self.take_event(event);
        }
    }

    /// As its owner asks: nothing new is read, what is open is written and committed, and this member
    /// stays in its group with its partitions.
    pub(super) fn stay_paused(&mut self) {
        if !self.intake.is_empty() && self.has_room() {
            self.submit();
        }
        self.pause();
        // That gauge tells of the database, not of this.
        self.shares.paused.set(0);
        if let Some(event) = self.consumer.poll(TURN) {
            self.take_event(event);
        }
    }

    pub(super) fn pause(&mut self) {
        if !self.paused {
            self.report(self.consumer.pause(&self.partitions.names()), "pausing");
            self.paused = true;
        }
    }

    pub(super) fn resume(&mut self) {
        if self.paused {
            self.report(self.consumer.resume(&self.partitions.names()), "resuming");
            self.paused = false;
            self.shares.paused.set(0);
        }
    }
}
