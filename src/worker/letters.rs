//! Dead letters: produced, confirmed, and repeated until they are.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::Worker;
use super::flight::Letter;
use crate::dead_letter;
use crate::kafka::{Consumer, DeadLetterTopic, LetterId};
use crate::sink::Write;

/// The pause before a dead letter is produced again.
const LETTER_RETRY: Duration = Duration::from_secs(1);

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    pub(super) fn take_letter_result(&mut self, id: LetterId, result: Result<(), String>) {
        let Some((flight, _)) = self.watermark.get_mut(id.batch) else {
            return;
        };
        match result {
            Ok(()) => {
                self.metrics.dead_letters.inc();
                flight.letter_confirmed(id.record);
                self.end_if_done(id.batch);
            }
            Err(reason) => {
                warn!(
                    connector = self.settings.connector,
                    reason, "a dead letter was not confirmed; repeating"
                );
                if let Some(reject) = flight.letter_failed(id.record) {
                    let mut letter = Letter::new(id.batch, id.record, reject);
                    letter.not_before = Instant::now() + LETTER_RETRY;
                    self.letters.push_back(letter);
                }
            }
        }
    }

    /// Produces the letters that wait. One that can't be begun now stays, and those behind it.
    pub(super) fn send_letters(&mut self) {
        let Some(dead_letters) = &self.dead_letters else {
            return;
        };
        while let Some(letter) = self.letters.front() {
            if letter.not_before > Instant::now() {
                return;
            }
            let Some((flight, _)) = self.watermark.get_mut(letter.batch) else {
                self.letters.pop_front();
                continue;
            };
            let record = flight.record(letter.record);
            let headers = dead_letter::headers(
                record,
                &self.settings.connector,
                self.settings.number,
                &letter.reject,
            );
            let id = LetterId { batch: letter.batch, record: letter.record };
            if let Err(error) = dead_letters.send(record, &headers, id) {
                warn!(
                    connector = self.settings.connector,
                    reason = error.reason,
                    "a dead letter can't be produced; repeating"
                );
                if let Some(letter) = self.letters.front_mut() {
                    letter.not_before = Instant::now() + LETTER_RETRY;
                }
                return;
            }
            if let Some(letter) = self.letters.pop_front() {
                flight.letter_sent(letter.record, letter.reject);
            }
        }
    }
}
