//! Dead letters: produced, confirmed, and repeated until they are.
//!
//! A dead-letter topic that takes none is an outage like the database's: the batches whose letters
//! wait are not done, so their offsets are not committed and before long nothing more is read.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Worker;
use super::flight::Letter;
use crate::dead_letter::{self, Origin};
use crate::kafka::{Consumer, DeadLetterTopic, LetterId};
use crate::sink::Write;

/// The pause before a dead letter is produced again.
const LETTER_RETRY: Duration = Duration::from_secs(1);
/// How often an outage that goes on for the same reason is logged again.
const TELL_AGAIN: Duration = Duration::from_mins(5);

/// A time in which the dead-letter topic does not take every letter.
pub(super) struct LetterOutage {
    since: Instant,
    /// Letters that failed and are not confirmed since.
    failed: HashSet<LetterId>,
    /// When the log told each reason last. Reasons are few: of the topic, not of a record.
    told: HashMap<String, Instant>,
}

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
                self.letter_no_longer_fails(id);
            }
            Err(reason) => {
                let record = flight.record(id.record);
                let place = Origin::new(record).to_string();
                if let Some(reject) = flight.letter_failed(id.record) {
                    let mut letter = Letter::new(id.batch, id.record, reject);
                    letter.not_before = Instant::now() + LETTER_RETRY;
                    self.letters.push_back(letter);
                }
                self.letter_failed(id, reason, &place);
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
                let place = Origin::new(record).to_string();
                if let Some(letter) = self.letters.front_mut() {
                    letter.not_before = Instant::now() + LETTER_RETRY;
                }
                // Others may fit where one does not.
                self.letters.rotate_left(1);
                self.letter_failed(id, error.reason, &place);
                return;
            }
            if let Some(letter) = self.letters.pop_front() {
                flight.letter_sent(letter.record, letter.reject);
            }
        }
    }

    fn letter_failed(&mut self, id: LetterId, reason: String, place: &str) {
        self.metrics.dead_letter_failures.inc();
        let now = Instant::now();
        let outage = self.letter_outage.get_or_insert_with(|| LetterOutage {
            since: now,
            failed: HashSet::new(),
            told: HashMap::new(),
        });
        outage.failed.insert(id);
        if outage.told.get(&reason).is_some_and(|told| *told + TELL_AGAIN > now) {
            return;
        }
        warn!(
            connector = self.settings.connector,
            seconds = outage.since.elapsed().as_secs(),
            record = place,
            reason,
            "a dead letter can't be written; repeating until it is, and its offset waits"
        );
        outage.told.insert(reason, now);
    }

    fn letter_no_longer_fails(&mut self, id: LetterId) {
        let Some(outage) = &mut self.letter_outage else {
            return;
        };
        outage.failed.remove(&id);
        if outage.failed.is_empty() {
            let seconds = outage.since.elapsed().as_secs();
            let connector = &self.settings.connector;
            info!(connector, seconds, "the dead-letter topic takes letters again");
            self.letter_outage = None;
        }
    }
}
