//! What comes back: batches that delivery has settled, and letters that are confirmed.

use tracing::warn;

use super::Worker;
use super::flight::Letter;
use super::outcome::Failure;
use crate::dead_letter::{Reject, Stage};
use crate::deliver::{Delivered, Settled};
use crate::kafka::{Consumer, DeadLetterTopic, LetterId};
use crate::sink::Write;
use crate::watermark::BatchId;

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    pub(super) fn take_settled(&mut self) {
        while let Some(settled) = self.deliveries.settled() {
            self.take_one_settled(settled);
        }
    }

    pub(super) fn take_one_settled(&mut self, settled: Settled) {
        match settled {
            Settled::Batch { id, delivered } => self.take_delivered(id, delivered),
            Settled::DeadLetter { id, record, result } => {
                self.take_letter_result(LetterId { batch: id, record }, result);
            }
        }
    }

    fn take_delivered(&mut self, id: BatchId, delivered: Delivered) {
        self.metrics.points_written.inc_by(delivered.written as u64);
        let Some((flight, covers)) = self.watermark.get_mut(id) else {
            return;
        };
        flight.writing = false;
        let mut stored_before = 0;
        for refused in delivered.refused {
            if refused.superseded() && (refused.perhaps_stored || flight.perhaps_repeat) {
                stored_before += 1;
                continue;
            }
            let Some((partition, offset)) =
                flight.refuse(refused.record, covers, &mut self.partitions)
            else {
                continue;
            };
            let reject = Reject::new(Stage::Write, refused.kind, refused.reason);
            self.metrics.records_rejected.of(&reject).inc();
            self.metrics.rejects.add(&partition, offset, &reject);
            flight.spans.reject(refused.record, &reject);
            if self.dead_letters.is_some() {
                self.letters.push_back(Letter::new(id, refused.record, reject));
            } else {
                flight.stuck = true;
                self.failure.get_or_insert(Failure::Record { partition, offset, reject });
            }
        }
        // What was not refused is durable.
        flight.spans.end();
        if stored_before > 0 {
            self.metrics.points_already_written.inc_by(stored_before);
            warn!(
                connector = self.settings.connector,
                points = stored_before,
                "the database refused points as out of order or duplicate in a batch that may repeat \
                 an earlier one; counted as written before"
            );
        }
        self.end_if_done(id);
    }

    /// Lets a batch go when its points are durable and its rejected records confirmed.
    pub(super) fn end_if_done(&mut self, id: BatchId) {
        if self.watermark.get_mut(id).is_some_and(|(flight, _)| flight.is_done()) {
            if let Some(flight) = self.watermark.done(id) {
                self.metrics.batches_done.inc();
                self.metrics.durable_until(flight.newest);
                flight.end();
            }
            self.count_in_flight();
        }
    }

    pub(super) fn count_in_flight(&mut self) {
        self.shares.in_flight.set(self.watermark.in_flight());
        self.shares.bytes.set(self.watermark.kept().map(|flight| flight.bytes).sum());
    }
}
