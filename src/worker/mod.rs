//! The worker: one consumer, one thread, one loop from poll to commit.
//!
//! It is the only owner of its consumer, the open batch and the watermark, so nothing here is
//! locked, and an acknowledgement that comes after a partition was lost finds nobody to commit it.

mod commit;
mod flight;
mod held;
mod intake;
mod letters;
mod noticed;
mod outcome;
mod partitions;
mod place;
mod pressure;
mod resume;
mod settled;
mod shares;
#[cfg(test)]
mod tests;
mod told;
mod transform;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::config;
use crate::deliver::Deliveries;
use crate::kafka::{Consumer, DeadLetterTopic, Event, KafkaError};
use crate::record::{Offset, Record, TopicPartition};
use crate::sink::Write;
use crate::telemetry::Metrics;
use crate::telemetry::traces::Tracer;
use crate::watermark::Watermark;

use flight::{Flight, Letter};
use held::Held;
use intake::{Closed, Intake, Taken};
use letters::LetterOutage;
use partitions::Partitions;
use place::LookUp;
use shares::Shares;
use told::Told;

pub use outcome::{Failure, Outcome};
pub use place::LostPlace;
pub use transform::{EachPoint, Transform};

/// Of so many records one is timed.
const TIMED_ONE_IN: u64 = 1024;
/// The longest that the loop waits in one place, and so the delay until a stop is seen.
const TURN: Duration = Duration::from_millis(100);
/// Records taken before acknowledgements and the clock are looked at again.
const RECORDS_A_TURN: usize = 256;
/// In an outage there is little hope that a revoked partition's batches end in time.
const DRAIN_IN_OUTAGE: Duration = Duration::from_secs(1);

/// A first assignment that takes longer than this is worth a line in the log.
const WAITING_IS_LONG: Duration = Duration::from_secs(10);

/// What a worker needs to know besides its consumer, its sink and its dead letters.
#[derive(Debug, Clone)]
pub struct Settings {
    pub connector: String,
    /// This worker's number in its connector, from 0.
    pub number: usize,
    pub batch: config::BatchLimits,
    /// Batches between their closing and their commit.
    pub in_flight: NonZeroUsize,
    /// The database takes samples in order only: one batch in flight, and the commit of each before
    /// the next is written, so that a repeat after a crash is at most one batch.
    pub ordered: bool,
    /// After an assignment, this many records may have been written already by the last owner, who
    /// had no time to commit.
    pub repeats: usize,
    pub drain: Duration,
    /// The consumer group's name, for the log.
    pub group: String,
    pub offsets: config::Offsets,
}

pub struct Worker<'c, C: Consumer, D, W> {
    settings: Settings,
    consumer: &'c C,
    deliveries: Deliveries<W>,
    dead_letters: Option<D>,
    metrics: Metrics,
    /// Begins spans, where records are traced.
    tracer: Option<Tracer>,
    shares: Shares,
    stop: Arc<AtomicBool>,
    /// Its owner wants nothing new to be read.
    to_pause: Arc<AtomicBool>,

    partitions: Partitions,
    intake: Intake<C::Record<'c>>,
    held: Held<C::Record<'c>>,
    /// Records consumed in this turn of the loop: an atomic counter waits for all that was written before it.
    consumed: u64,
    watermark: Watermark<Flight<C::Record<'c>>>,
    /// Letters to be produced; at most one for each record in flight.
    letters: VecDeque<Letter>,
    letter_outage: Option<LetterOutage>,
    /// Since when a full batch has had no room in flight.
    blocked_since: Option<Instant>,
    paused: bool,
    /// What the group has committed of some partitions has to be looked at before their first record.
    unread: bool,
    next_commit: Instant,
    look_up: LookUp,
    /// Since when this member has waited for its first partitions; `None` once the log has it, or
    /// they have come.
    waiting_since: Option<Instant>,
    told: Told,
    failure: Option<Failure>,
}

impl<'c, C: Consumer, D: DeadLetterTopic, W: Write> Worker<'c, C, D, W> {
    pub fn new(
        settings: Settings,
        consumer: &'c C,
        transform: Transform,
        deliveries: Deliveries<W>,
        dead_letters: Option<D>,
        metrics: Metrics,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            intake: Intake::new(transform, settings.batch),
            held: Held::default(),
            consumed: 0,
            partitions: Partitions::new(settings.repeats),
            settings,
            consumer,
            deliveries,
            dead_letters,
            shares: Shares::of(&metrics),
            metrics,
            tracer: None,
            stop,
            to_pause: Arc::default(),
            watermark: Watermark::default(),
            letters: VecDeque::new(),
            letter_outage: None,
            blocked_since: None,
            paused: false,
            unread: false,
            next_commit: Instant::now(),
            look_up: LookUp::default(),
            waiting_since: Some(Instant::now()),
            told: Told::default(),
            failure: None,
        }
    }

    /// While this is set, nothing new is read: see [`Self::stay_paused`].
    pub fn paused_by(self, to_pause: Arc<AtomicBool>) -> Self {
        Self { to_pause, ..self }
    }

    /// Records whose headers say so get spans.
    pub(crate) fn traced_by(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// The loop. What has come back is taken in before anything new is.
    pub fn run(mut self) -> Outcome {
        while !self.stop.load(Ordering::Acquire) && self.failure.is_none() {
            self.shares.turns.turn();
            self.take_settled();
            self.shares.outage.set(usize::from(self.deliveries.in_outage()));
            // Before the next batch: an ordered sink's is not written until this one is committed.
            self.commit_if_due();
            // Before the next poll, which would add a record to a batch that is full.
            self.submit_if_due();
            self.send_letters();
            if self.to_pause.load(Ordering::Acquire) {
                self.stay_paused();
            } else if self.is_blocked() {
                self.wait_for_room();
            } else if self.held.is_empty() {
                self.poll();
            } else {
                self.try_held();
            }
            self.metrics.records_consumed.inc_by(std::mem::take(&mut self.consumed));
            self.place_if_due();
            self.say_if_waiting();
        }
        self.finish()
    }

    fn poll(&mut self) {
        self.resume();
        // Without room, what is due can't go, and a zero timeout would make the loop spin.
        let due_in = self.intake.linger_left().filter(|_| self.has_room());
        let mut timeout = due_in.map_or(TURN, |left| left.min(TURN));
        for _ in 0..RECORDS_A_TURN {
            if let Some(record) = self.consumer.next() {
                self.take_record(record);
            } else {
                match self.consumer.poll(timeout) {
                    Some(Event::Record(record)) => self.take_record(record),
                    Some(event) => return self.take_event(event),
                    None => return,
                }
            }
            if self.intake.is_full() || self.failure.is_some() || !self.held.is_empty() {
                return;
            }
            timeout = Duration::ZERO;
        }
    }

    fn take_record(&mut self, record: C::Record<'c>) {
        let (topic, number, offset) = record.place();
        let Some(partition) = self.partitions.find(topic, number) else {
            return;
        };
        if self.held.is_empty() {
            // Two looks at the clock for each record would be seen in the throughput.
            let consumed = self.metrics.records_consumed.get() + self.consumed;
            let is_timed = consumed.is_multiple_of(TIMED_ONE_IN);
            let timing = is_timed.then(|| self.intake.begin_timing(&record));
            self.take_in(record, partition, offset);
            if let Some(timing) = timing {
                let times = self.intake.end_timing(&timing);
                for (stage, took) in times {
                    self.metrics.stages.observe(stage, took);
                }
            }
        } else {
            self.held.push(record);
        }
    }

    /// Brings a record into the open batch. Says no when it has to wait.
    fn take_in(&mut self, record: C::Record<'c>, partition: usize, offset: Offset) -> bool {
        if self.unread
            && let Err(reason) = self.read_commits()
        {
            self.hold(record, &reason);
            return false;
        }
        let place = self.partitions.name(partition);
        let span = self.tracer.as_ref().and_then(|tracer| tracer.begin(&record, place));
        let taken = self.intake.take(record);
        if let Some(span) = span {
            self.intake.trace(span, &taken);
        }
        let rejected = match taken {
            Taken::Point | Taken::Remembered => None,
            Taken::Excluded => {
                self.metrics.records_excluded.inc();
                None
            }
            Taken::Rebuilt => {
                self.metrics.records_reread.inc();
                self.partitions.passed(partition, offset);
                return true;
            }
            Taken::Rejected(record, reject) => Some((record, reject)),
            Taken::Unavailable(record, reason) => {
                self.hold(record, &reason);
                return false;
            }
        };
        self.consumed += 1;
        if let Some((record, reject)) = rejected {
            self.metrics.records_rejected.of(&reject).inc();
            self.metrics.rejects.add(self.partitions.name(partition), offset, &reject);
            if self.dead_letters.is_none() {
                let partition = self.partitions.name(partition).clone();
                self.failure = Some(Failure::Record { partition, offset, reject });
                return true;
            }
            self.intake.keep_rejected(record, reject);
        }
        let hold = self.intake.hold(self.partitions.name(partition));
        self.partitions.taken(partition, offset, hold);
        true
    }

    fn take_event(&mut self, event: Event<C::Record<'c>>) {
        match event {
            Event::Record(record) => self.take_record(record),
            Event::Assigned(partitions) => self.assigned(&partitions),
            Event::Revoked { partitions, lost } => self.revoked(&partitions, lost),
            Event::Committed(result) => self.committed(result),
            Event::Ends(ends) => {
                self.partitions.take_ends(&ends);
                self.show_lag();
            }
            Event::NoPlace => self.no_place(),
            Event::Idle(partitions) => self.take_idle(&partitions),
            // The worker itself goes on until it is asked to stop.
            Event::AtEnd { .. } => {}
            Event::Failed(error) => self.kafka_failed(error),
        }
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) {
        self.metrics.rebalances.inc();
        self.waiting_since = None;
        self.report(self.consumer.assign(partitions), "accepting partitions");
        self.partitions.add(partitions);
        self.unread = self.intake.remembers();
        if self.paused {
            self.report(self.consumer.pause(partitions), "pausing new partitions");
        }
        self.shares.partitions.set(self.partitions.len());
    }

    /// Drains before letting go, so that the next owner finds the offsets of all that is written.
    fn revoked(&mut self, partitions: &[TopicPartition], lost: bool) {
        self.metrics.rebalances.inc();
        if !lost {
            let hopeless = self.deliveries.in_outage();
            self.drain(if hopeless { DRAIN_IN_OUTAGE } else { self.settings.drain });
            self.commit_and_wait();
        }
        self.held.let_go(partitions);
        for partition in partitions {
            self.partitions.remove(partition);
            self.watermark.forget(partition);
            self.intake.let_go(partition);
            self.intake.forget(partition);
            self.watermark.kept_mut().for_each(|flight| flight.let_go(partition));
        }
        self.report(self.consumer.unassign(partitions), "letting partitions go");
        self.shares.partitions.set(self.partitions.len());
        self.show_lag();
    }

    fn show_lag(&mut self) {
        self.shares.lag.set(self.partitions.lag());
        self.shares.lags.set(self.partitions.lags());
    }

    /// A start that is silent for long looks like one that hangs.
    fn say_if_waiting(&mut self) {
        if self.waiting_since.is_some_and(|since| since.elapsed() >= WAITING_IS_LONG) {
            self.waiting_since = None;
            info!(
                connector = self.settings.connector,
                group = self.settings.group,
                worker = self.settings.number,
                "still waiting for partitions: perhaps a member that was killed counts as alive \
                 until its session.timeout.ms is over, or there are more members than partitions, \
                 or the topics don't exist yet"
            );
        }
    }

    fn kafka_failed(&mut self, error: KafkaError) {
        if error.fatal {
            self.failure = Some(Failure::Kafka(error.reason));
        } else if self.told.is_news(&error.reason) {
            warn!(
                connector = self.settings.connector,
                reason = error.reason,
                "Kafka; trying again"
            );
        }
    }

    fn submit_if_due(&mut self) {
        if self.intake.is_due() && self.has_room() {
            self.submit();
        }
    }

    /// Closes the open batch and hands it to delivery and the dead-letter topic.
    fn submit(&mut self) {
        let covers = self.partitions.take_covers();
        #[cfg(feature = "commit-before-write")]
        self.report(self.consumer.commit(&covers), "a commit too early, as the feature has it");
        let Closed { parts, flight, rejects, noticed, late, gone } =
            self.intake.close(self.partitions.take_perhaps_repeat());
        self.tell_noticed(noticed);
        self.tell_gone(&gone);
        self.metrics.points_late.inc_by(late);
        let id = self.watermark.push(covers, flight);
        for (record, reject) in rejects {
            self.letters.push_back(Letter::new(id, record, reject));
        }
        if !parts.is_empty() {
            self.deliveries.submit(id, parts);
        }
        self.end_if_done(id);
        self.count_in_flight();
    }

    /// Writes what is open and waits for all that is in flight, up to a deadline.
    fn drain(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            self.shares.turns.turn();
            if self.settings.ordered {
                self.commit_if_due();
            }
            // Behind a batch that is stuck nothing can be committed any more, so nothing is written.
            let stuck = self.watermark.kept().any(|flight| flight.stuck);
            let to_submit = !self.intake.is_empty() && !stuck;
            if to_submit && self.has_room() {
                self.submit();
                continue;
            }
            self.send_letters();
            let waiting = to_submit || self.watermark.kept().any(|flight| !flight.stuck);
            if !waiting || Instant::now() >= deadline {
                return;
            }
            if let Some(settled) = self.deliveries.wait_settled(TURN) {
                self.take_one_settled(settled);
            }
        }
    }

    /// What is in flight is written and committed; what is not in time will be read again.
    fn finish(mut self) -> Outcome {
        self.drain(self.settings.drain);
        self.commit_at_last();
        match self.failure.take() {
            None => Outcome::Stopped,
            Some(failure) => {
                error!(connector = self.settings.connector, reason = %failure, "the connector stops");
                Outcome::Failed(failure)
            }
        }
    }

    fn report(&self, result: Result<(), KafkaError>, doing: &str) {
        if let Err(error) = result {
            warn!(connector = self.settings.connector, reason = error.reason, "Kafka: {doing}");
        }
    }
}
