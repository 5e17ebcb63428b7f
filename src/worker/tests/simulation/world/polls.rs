//! Polls: what a worker gets from its consumer.

use super::*;

impl World {
    /// A poll begins.
    pub(in crate::worker::tests::simulation) fn check_poll(
        &mut self,
        life: LifeId,
        timeout: Duration,
    ) {
        let state = &mut self.lives[life];
        let gap = self.now.saturating_sub(state.last_poll);
        let idle = state.poll_began == self.now;
        state.idle_polls = if idle { state.idle_polls + 1 } else { 0 };
        state.poll_began = self.now;
        let spins = state.idle_polls > MOST_IDLE_POLLS;
        if gap > MAX_POLL_INTERVAL {
            self.violation(format!("life {life} has not polled for {gap:?}"));
        }
        if spins {
            self.violation(format!("life {life} spins: polls of {timeout:?} with no time between"));
        }
        self.check_memory(life);
        self.check_over();
        let state = &self.lives[life];
        if self.over || state.stop_at.is_some_and(|at| at <= self.now) {
            state.stop.store(true, Ordering::Release);
        }
    }

    pub(super) fn check_memory(&mut self, life: LifeId) {
        let limits = &self.schedule.limits;
        let batches = 1 + if self.schedule.answers.ordered() { 1 } else { limits.in_flight };
        // The record that fills a batch may be larger than what was left.
        let largest = limits.body + 200;
        let most = (batches * limits.batch_points, batches * (limits.batch_bytes + largest));
        let kept = &self.lives[life].kept;
        let found = (kept.records.load(Ordering::Relaxed), kept.bytes.load(Ordering::Relaxed));
        if found.0 > most.0 || found.1 > most.1 {
            self.violation(format!("life {life} keeps {found:?} records and bytes, over {most:?}"));
        }
    }

    pub(super) fn check_over(&mut self) {
        let committed =
            |number: i32| self.group.committed.get(&number).map_or(0, |next| next.get());
        if (0i32..).zip(&self.logs).all(|(number, log)| committed(number) == log.end()) {
            self.over = true;
        }
        let produced = millis(self.schedule.records.over_millis * 2);
        if self.now > self.until.max(produced) + GRACE && !self.over {
            let ends: Vec<i64> = self.logs.iter().map(Log::end).collect();
            let committed = self.group.committed.clone();
            self.violation(format!("not all is committed in time: {committed:?} of {ends:?}"));
        }
    }

    /// What a poll brings now, or when it is worth to look again.
    pub(in crate::worker::tests::simulation) fn poll(
        &mut self,
        life: LifeId,
    ) -> (Option<Event<SimRecord>>, Option<Duration>) {
        let event = self.event(life);
        if event.is_some() {
            return (event, None);
        }
        let state = &self.lives[life];
        let records = state.local.iter().filter(|(_, local)| !local.paused);
        let records = records.filter_map(|(number, local)| {
            self.logs[usize::try_from(*number).unwrap()].from(local.position).map(|e| e.due)
        });
        let told = state.told.front().map(|(due, _)| *due);
        let answer = state.answers.front().map(|(due, _)| *due);
        let happening = self.agenda.first_key_value().map(|((due, _), _)| *due);
        let wake = records.chain(told).chain(answer).chain(happening).min();
        (None, wake)
    }

    pub(in crate::worker::tests::simulation) fn poll_ends(&mut self, life: LifeId, now: Duration) {
        let state = &mut self.lives[life];
        state.last_poll = now.max(state.last_poll);
        if state.stop.load(Ordering::Acquire) {
            // Before the end, or while the last commit is tried again: it drains from the first one on.
            state.drains_since.get_or_insert(now);
        }
    }

    pub(super) fn event(&mut self, life: LifeId) -> Option<Event<SimRecord>> {
        let now = self.now;
        let state = &mut self.lives[life];
        if state.told.front().is_some_and(|(due, _)| *due <= now) {
            let told = state.told.pop_front()?.1;
            return Some(self.told(life, told));
        }
        if state.answers.front().is_some_and(|(due, _)| *due <= now) {
            return state.answers.pop_front().map(|(_, result)| Event::Committed(result));
        }
        if self.fails(1) {
            return Some(self.noise(life));
        }
        self.record(life).map(Event::Record)
    }

    pub(super) fn told(&mut self, life: LifeId, told: Told) -> Event<SimRecord> {
        self.note(|| format!("life {life} hears {told:?}"));
        let named = |numbers: Vec<i32>| {
            numbers.into_iter().map(|partition| TopicPartition { topic: TOPIC.into(), partition })
        };
        match told {
            Told::Assigned(numbers) => Event::Assigned(named(numbers).collect()),
            Told::Revoked { partitions, lost } => {
                if lost {
                    self.lives[life].expelled = true;
                } else {
                    self.lives[life].drains_since.get_or_insert(self.now);
                }
                // The client library names only what it was given.
                let local = &self.lives[life].local;
                let partitions = named(partitions).filter(|p| local.contains_key(&p.partition));
                Event::Revoked { partitions: partitions.collect(), lost }
            }
        }
    }

    /// What a worker may hear besides: errors that pass, and where partitions end.
    pub(super) fn noise(&mut self, life: LifeId) -> Event<SimRecord> {
        if self.dice.chance(50) {
            return Event::Failed(KafkaError {
                reason: "all brokers are down".into(),
                fatal: false,
            });
        }
        let ends = self.lives[life].local.iter().map(|(number, local)| PartitionEnd {
            partition: TopicPartition { topic: TOPIC.into(), partition: *number },
            end: Offset(self.logs[usize::try_from(*number).unwrap()].end()),
            committed: Offset(
                self.group.committed.get(number).map_or(0, |next| next.committed().0.0),
            ),
            polled: Offset(local.taken.unwrap_or(0)),
        });
        Event::Ends(ends.collect())
    }

    pub(super) fn record(&mut self, life: LifeId) -> Option<SimRecord> {
        let now = self.now;
        let due = |(number, local): (&i32, &Local)| {
            let entry = self.logs[usize::try_from(*number).unwrap()].from(local.position)?;
            (!local.paused && entry.due <= now).then_some(entry.place)
        };
        let places: Vec<Place> = self.lives[life].local.iter().filter_map(due).collect();
        if places.is_empty() {
            return None;
        }
        let place = places[self.dice.index(places.len())];
        let state = &mut self.lives[life];
        let local = state.local.get_mut(&place.partition)?;
        local.position = place.offset + 1;
        local.taken = Some(local.position);
        *self.letters_allowed.entry(place).or_default() += 1;
        let log = &self.logs[usize::try_from(place.partition).unwrap()];
        log.at(place.offset).map(|entry| entry.record(&state.kept))
    }
}
