//! The world outside of the workers: Kafka, the database and the dead-letter topic, with everything
//! that is on its way between them. It checks the promise at every commit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::database::{Database, Item};
use super::group::{Group, LifeId, Told};
use super::log::{Kept, Kind, Log, Place, SimRecord, TOPIC};
use super::schedule::{Dice, Schedule, millis};
use crate::kafka::{Event, Extent, KafkaError, PartitionEnd};
use crate::record::{Offset, TopicPartition};
use crate::sink::SinkError;

/// How long the group waits for a member that says nothing.
const SESSION: Duration = Duration::from_secs(6);
/// The longest time between two polls that a worker may need.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(15);
/// When faults have ended, all must be done within this time.
const GRACE: Duration = Duration::from_mins(2);
/// Polls without virtual time going on: more is a loop that spins.
const MOST_IDLE_POLLS: u32 = 2000;

/// What an edge does for one attempt.
struct Request {
    life: LifeId,
    body: usize,
    items: Vec<Item>,
    answer: Option<Result<(), SinkError>>,
    /// The connection broke before it arrived.
    dropped: bool,
}

struct Letter {
    life: LifeId,
    place: Place,
    stored: bool,
    result: Result<(), String>,
    dropped: bool,
}

struct Commit {
    life: LifeId,
    /// The generation that the life believed to be of.
    generation: u32,
    offsets: BTreeMap<i32, i64>,
    /// Whether it reaches the coordinator.
    arrives: bool,
    result: Result<(), KafkaError>,
    /// Nobody waits, so the answer is an event, this long after.
    event_after: Option<Duration>,
    dropped: bool,
    over: bool,
}

/// What happens at a moment of virtual time.
#[derive(Debug)]
enum Happening {
    Request(usize),
    Letter(usize),
    Commit(usize),
    Move,
    Evict,
    SessionEnds(LifeId),
    Joins(LifeId),
}

/// One worker's life, as the world sees it.
pub(super) struct Life {
    pub process: usize,
    /// Crashed, or ended as asked: it has no effects any more.
    pub dead: bool,
    steps: u64,
    crash_at: Option<u64>,
    stop_at: Option<Duration>,
    pub stop: Arc<AtomicBool>,
    told: VecDeque<(Duration, Told)>,
    answers: VecDeque<(Duration, Result<(), KafkaError>)>,
    local: BTreeMap<i32, Local>,
    kept: Arc<Kept>,
    pub writing: usize,
    /// When the last poll ended, and when it began.
    last_poll: Duration,
    poll_began: Duration,
    idle_polls: u32,
    /// Since when it drains for a revocation or its end.
    drains_since: Option<Duration>,
    last_commit: Duration,
    /// It has just heard that it is no member any more.
    expelled: bool,
    /// How often it was expelled, and how often it has heard of it: that is the generation which it
    /// believes to be of.
    generation: u32,
    believed: u32,
}

/// A partition, as its consumer sees it.
struct Local {
    position: i64,
    /// The position after the last record that the worker got.
    taken: Option<i64>,
    /// The furthest position that it has tried to commit.
    attempted: Option<i64>,
    paused: bool,
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Refused,
    Silent,
    Busy,
    Misconfigured,
}

pub(super) struct World {
    pub schedule: Arc<Schedule>,
    pub dice: Dice,
    now: Duration,
    until: Duration,
    pub logs: Vec<Log>,
    /// By partition, how many records from the first are all durable.
    durable: Vec<usize>,
    group: Group,
    pub database: Database,
    letters: BTreeMap<Place, usize>,
    /// How often a record may be in the dead-letter topic: once for each time that it was read, and
    /// for each letter that was stored although its confirmation failed.
    letters_allowed: BTreeMap<Place, usize>,
    /// Good records that are in the dead-letter topic besides.
    outlived: BTreeSet<Place>,
    pub lives: Vec<Life>,
    requests: Vec<Request>,
    sent: Vec<Letter>,
    commits: Vec<Commit>,
    agenda: BTreeMap<(Duration, usize), Happening>,
    number: usize,
    outages: Vec<(Duration, Duration, Trouble)>,
    letter_outages: Vec<(Duration, Duration)>,
    stalls: Vec<(usize, Duration)>,
    pub violations: Vec<String>,
    pub trace: Option<Vec<String>>,
    pub counts: BTreeMap<&'static str, u64>,
    over: bool,
}

impl World {
    pub(super) fn new(schedule: Schedule, traced: bool) -> Self {
        let mut dice = Dice::new(schedule.seed);
        let partitions = schedule.records.partitions;
        let logs = (0..partitions).map(|number| Log::throw(number, &schedule, &mut dice)).collect();
        let mut world = Self {
            until: millis(schedule.faults.until_millis),
            schedule: Arc::new(schedule),
            dice,
            now: Duration::ZERO,
            logs,
            durable: vec![0; partitions],
            group: Group::new(partitions),
            database: Database::default(),
            letters: BTreeMap::new(),
            letters_allowed: BTreeMap::new(),
            outlived: BTreeSet::new(),
            lives: Vec::new(),
            requests: Vec::new(),
            sent: Vec::new(),
            commits: Vec::new(),
            agenda: BTreeMap::new(),
            number: 0,
            outages: Vec::new(),
            letter_outages: Vec::new(),
            stalls: Vec::new(),
            violations: Vec::new(),
            trace: traced.then(Vec::new),
            counts: BTreeMap::new(),
            over: false,
        };
        world.throw_faults();
        world
    }

    fn throw_faults(&mut self) {
        let (until, schedule) = (self.until, Arc::clone(&self.schedule));
        let faults = &schedule.faults;
        let dice = &mut self.dice;
        for _ in 0..faults.outages {
            let from = dice.up_to(until);
            let to = from + dice.up_to(until.saturating_sub(from));
            let troubles =
                [Trouble::Refused, Trouble::Silent, Trouble::Busy, Trouble::Misconfigured];
            self.outages.push((from, to, troubles[dice.index(4)]));
        }
        for _ in 0..faults.letter_outages {
            let from = dice.up_to(until);
            let to = from + dice.up_to(until.saturating_sub(from));
            self.letter_outages.push((from, to));
        }
        for _ in 0..faults.stalls {
            let process = dice.index(schedule.limits.processes);
            self.stalls.push((process, dice.up_to(until)));
        }
        for _ in 0..faults.moves {
            let at = self.dice.up_to(until);
            self.plan(at, Happening::Move);
        }
        for _ in 0..faults.evictions {
            let at = self.dice.up_to(until);
            self.plan(at, Happening::Evict);
        }
    }

    // ---- time ----

    fn plan(&mut self, at: Duration, happening: Happening) {
        self.number += 1;
        self.agenda.insert((at, self.number), happening);
    }

    /// Lets happen what is due.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(&happening);
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Request(number) => self.request_arrives(number),
            Happening::Letter(number) => self.letter_arrives(number),
            Happening::Commit(number) => self.commit_arrives(number),
            Happening::Move => self.move_partitions(),
            Happening::Evict => {
                let members = self.group.members();
                if !members.is_empty() {
                    let life = members[self.dice.index(members.len())];
                    self.expel(life);
                }
            }
            Happening::SessionEnds(life) => self.expel(life),
            Happening::Joins(life) => {
                if !self.lives[life].dead {
                    self.group.join(life);
                    self.rebalance();
                }
            }
        }
    }

    /// A step of a life. Whether it is still alive.
    pub(super) fn step(&mut self, life: LifeId) -> bool {
        let state = &mut self.lives[life];
        state.steps += 1;
        if !state.dead && state.crash_at.is_some_and(|at| state.steps >= at) {
            self.crash(life);
        }
        !self.lives[life].dead && self.violations.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over || !self.violations.is_empty()
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let text = text();
            trace.push(format!("{:>8} ms  {text}", self.now.as_millis()));
        }
    }

    pub(super) fn violation(&mut self, text: String) {
        self.note(|| format!("VIOLATION: {text}"));
        self.violations.push(text);
    }

    fn faulty(&self) -> bool {
        self.now < self.until
    }

    /// Whether something with this chance goes wrong now.
    fn fails(&mut self, percent: u8) -> bool {
        self.faulty() && self.dice.chance(percent)
    }

    // ---- lives ----

    pub(super) fn born(&mut self, process: usize) -> LifeId {
        let id = self.lives.len();
        let faults = self.schedule.faults.clone();
        let within = if self.dice.chance(50) { 40 } else { 300 };
        let crash_at = self.fails(faults.crashes).then(|| 1 + self.dice.below(within));
        let left = self.until.saturating_sub(self.now);
        let stop_at = self.fails(faults.stops).then(|| self.now + self.dice.up_to(left));
        self.lives.push(Life {
            process,
            dead: false,
            steps: 0,
            crash_at,
            stop_at,
            stop: Arc::default(),
            told: VecDeque::new(),
            answers: VecDeque::new(),
            local: BTreeMap::new(),
            kept: Arc::default(),
            writing: 0,
            last_poll: self.now,
            poll_began: self.now,
            idle_polls: 0,
            drains_since: None,
            last_commit: Duration::ZERO,
            expelled: false,
            generation: 0,
            believed: 0,
        });
        self.count("lives");
        self.note(|| format!("life {id} of process {process} begins"));
        let at = self.now + self.dice.up_to(millis(200));
        self.plan(at, Happening::Joins(id));
        id
    }

    fn crash(&mut self, life: LifeId) {
        self.count("crashes");
        self.note(|| format!("life {life} crashes"));
        self.lives[life].dead = true;
        // What was on its way may still arrive.
        for request in self.requests.iter_mut().filter(|request| request.life == life) {
            request.dropped = self.dice.chance(50);
        }
        for letter in self.sent.iter_mut().filter(|letter| letter.life == life) {
            letter.dropped = self.dice.chance(50);
        }
        for commit in self.commits.iter_mut().filter(|commit| commit.life == life) {
            commit.dropped = self.dice.chance(50);
        }
        let at = self.now + self.dice.up_to(SESSION);
        self.plan(at, Happening::SessionEnds(life));
    }

    /// A life that has ended as asked leaves its group.
    pub(super) fn ended(&mut self, life: LifeId, healthy: bool) {
        if self.lives[life].dead {
            return;
        }
        self.note(|| format!("life {life} has ended"));
        if !healthy {
            self.violation(format!("life {life} has failed"));
        }
        let partitions: Vec<i32> = self.lives[life].local.keys().copied().collect();
        self.check_drained(life, &partitions);
        self.lives[life].dead = true;
        self.group.remove(life);
        self.rebalance();
    }

    /// For how long the process stands still now.
    pub(super) fn stall(&mut self, life: LifeId) -> Option<Duration> {
        let process = self.lives[life].process;
        let at = self.stalls.iter().position(|(of, from)| *of == process && *from <= self.now)?;
        self.stalls.swap_remove(at);
        let time = self.dice.up_to(SESSION * 3);
        self.count("stalls");
        self.note(|| format!("life {life} stands still for {time:?}"));
        self.lives[life].last_poll = self.now + time;
        if time > SESSION {
            self.plan(self.now + SESSION, Happening::SessionEnds(life));
        }
        Some(time)
    }

    // ---- the group ----

    fn tell(&mut self, told: Vec<(LifeId, Told)>) {
        for (life, told) in told {
            self.note(|| format!("the group to life {life}: {told:?}"));
            let due = self.now + self.dice.up_to(millis(300));
            self.lives[life].told.push_back((due, told));
        }
    }

    fn rebalance(&mut self) {
        let dice = &mut self.dice;
        let told = self.group.rebalance(|_, owner, members| match owner {
            Some(owner) if members.contains(&owner) && dice.chance(60) => owner,
            _ => members[dice.index(members.len())],
        });
        self.tell(told);
    }

    fn move_partitions(&mut self) {
        self.count("revocations");
        if self.dice.chance(50) {
            return self.rebalance();
        }
        let dice = &mut self.dice;
        let partitions: Vec<i32> =
            (0i32..).take(self.logs.len()).filter(|_| dice.chance(60)).collect();
        let told = self.group.shake(&partitions);
        self.tell(told);
    }

    /// The group counts a member as gone. If it isn't, it learns that later, and comes back.
    fn expel(&mut self, life: LifeId) {
        if !self.group.is_member(life) {
            return;
        }
        let partitions = self.group.remove(life);
        if self.lives[life].dead {
            return self.rebalance();
        }
        self.count("evictions");
        self.lives[life].generation += 1;
        self.note(|| format!("life {life} is expelled from the group"));
        let due = self.now + self.dice.up_to(millis(3000));
        let told = Told::Revoked { partitions, lost: true };
        self.lives[life].told.push_back((due, told));
        self.rebalance();
    }

    pub(super) fn assign(&mut self, life: LifeId, partitions: &[TopicPartition]) {
        for partition in partitions {
            let number = partition.partition;
            let position = self.group.committed.get(&number).copied().unwrap_or(0);
            let local = Local { position, taken: None, attempted: None, paused: false };
            self.lives[life].local.insert(number, local);
        }
    }

    pub(super) fn unassign(&mut self, life: LifeId, partitions: &[TopicPartition]) {
        let numbers: Vec<i32> = partitions.iter().map(|partition| partition.partition).collect();
        // What is lost already is not drained.
        if !self.lives[life].expelled {
            self.check_drained(life, &numbers);
        }
        // librdkafka waits for its commits first (`rdkafka_assignment.c`).
        for number in 0..self.commits.len() {
            if self.commits[number].life == life {
                self.commit_arrives(number);
            }
        }
        self.lives[life].drains_since = None;
        for number in &numbers {
            self.lives[life].local.remove(number);
        }
        if std::mem::take(&mut self.lives[life].expelled) {
            // It comes back only now.
            self.lives[life].believed = self.lives[life].generation;
            let at = self.now + self.dice.up_to(millis(3000));
            self.plan(at, Happening::Joins(life));
        } else {
            let told = self.group.let_go(life, &numbers);
            self.tell(told);
            self.give_free();
        }
    }

    /// Partitions that nobody owns, to somebody.
    fn give_free(&mut self) {
        let dice = &mut self.dice;
        let told = self.group.rebalance(|_, owner, members| {
            owner.unwrap_or_else(|| members[dice.index(members.len())])
        });
        self.tell(told);
    }

    /// A drain that has not run into its deadline has ended everything, so it has to be committed,
    /// or tried to be.
    fn check_drained(&mut self, life: LifeId, partitions: &[i32]) {
        let state = &self.lives[life];
        let Some(since) = state.drains_since else { return };
        // An outage's deadline is one second.
        if self.now.saturating_sub(since) >= millis(1000) {
            return;
        }
        let idle = |number: &&i32| {
            let local = state.local.get(*number);
            local.is_some_and(|local| local.taken > local.attempted)
        };
        if let Some(number) = partitions.iter().find(idle) {
            self.violation(format!("life {life} has drained partition {number}, not committed it"));
        }
    }

    pub(super) fn pause(&mut self, life: LifeId, partitions: &[TopicPartition], paused: bool) {
        if paused {
            self.count("pauses");
        }
        self.note(|| format!("life {life} pauses: {paused}"));
        for partition in partitions {
            if let Some(local) = self.lives[life].local.get_mut(&partition.partition) {
                local.paused = paused;
            }
        }
    }

    pub(super) fn look_up(&self, partitions: &[TopicPartition]) -> Vec<Extent> {
        let extent = |partition: &TopicPartition| Extent {
            partition: partition.clone(),
            committed: self.group.committed.get(&partition.partition).copied().map(Offset),
            first: Offset(0),
            end: Offset(self.logs[usize::try_from(partition.partition).unwrap()].end()),
        };
        partitions.iter().map(extent).collect()
    }

    // ---- polls ----

    /// A poll begins.
    pub(super) fn check_poll(&mut self, life: LifeId, timeout: Duration) {
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

    fn check_memory(&mut self, life: LifeId) {
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

    fn check_over(&mut self) {
        let committed = |number: i32| self.group.committed.get(&number).copied().unwrap_or(0);
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
    pub(super) fn poll(&mut self, life: LifeId) -> (Option<Event<SimRecord>>, Option<Duration>) {
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

    pub(super) fn poll_ends(&mut self, life: LifeId, now: Duration) {
        let state = &mut self.lives[life];
        state.last_poll = now.max(state.last_poll);
        if state.stop.load(Ordering::Acquire) {
            // The last poll: what follows is the end.
            state.drains_since = Some(now);
        }
    }

    fn event(&mut self, life: LifeId) -> Option<Event<SimRecord>> {
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

    fn told(&mut self, life: LifeId, told: Told) -> Event<SimRecord> {
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
                    self.lives[life].drains_since = Some(self.now);
                }
                // The client library names only what it was given.
                let local = &self.lives[life].local;
                let partitions = named(partitions).filter(|p| local.contains_key(&p.partition));
                Event::Revoked { partitions: partitions.collect(), lost }
            }
        }
    }

    /// What a worker may hear besides: errors that pass, and where partitions end.
    fn noise(&mut self, life: LifeId) -> Event<SimRecord> {
        if self.dice.chance(50) {
            return Event::Failed(KafkaError {
                reason: "all brokers are down".into(),
                fatal: false,
            });
        }
        let ends = self.lives[life].local.iter().map(|(number, local)| PartitionEnd {
            partition: TopicPartition { topic: TOPIC.into(), partition: *number },
            end: Offset(self.logs[usize::try_from(*number).unwrap()].end()),
            committed: Offset(self.group.committed.get(number).copied().unwrap_or(0)),
            polled: Offset(local.taken.unwrap_or(0)),
        });
        Event::Ends(ends.collect())
    }

    fn record(&mut self, life: LifeId) -> Option<SimRecord> {
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

    // ---- commits ----

    /// A commit begins. When it will have an answer, or why it can't even begin.
    pub(super) fn commit(
        &mut self,
        life: LifeId,
        offsets: BTreeMap<i32, i64>,
        waits: bool,
    ) -> Result<(usize, Duration), KafkaError> {
        self.check_commit(life, &offsets);
        let percent = self.schedule.faults.commit_fails;
        let failure = |reason: &str| KafkaError { reason: reason.into(), fatal: false };
        if self.fails(percent / 4) {
            return Err(failure("the queue is full"));
        }
        let delay = if self.fails(percent) { millis(2000) } else { millis(20) };
        let due = (self.now + self.dice.up_to(delay)).max(self.lives[life].last_commit);
        self.lives[life].last_commit = due;
        let (arrives, result) = if self.fails(percent) {
            self.count("failed commits");
            (self.dice.chance(50), Err(failure("timed out")))
        } else {
            (true, Ok(()))
        };
        let late = if self.fails(percent) { millis(3000) } else { millis(10) };
        let event_after = (!waits).then(|| self.dice.up_to(late));
        self.commits.push(Commit {
            life,
            generation: self.lives[life].believed,
            offsets,
            arrives,
            result,
            event_after,
            dropped: false,
            over: false,
        });
        self.plan(due, Happening::Commit(self.commits.len() - 1));
        Ok((self.commits.len() - 1, due))
    }

    /// The promise.
    fn check_commit(&mut self, life: LifeId, offsets: &BTreeMap<i32, i64>) {
        self.note(|| format!("life {life} commits {offsets:?}"));
        for (&number, &next) in offsets {
            let durable = self.durable_until(number);
            if next > durable {
                self.violation(format!(
                    "{next} is committed for partition {number}, and only what is before {durable} \
                     is durable"
                ));
            }
            match self.lives[life].local.get_mut(&number) {
                Some(local) => local.attempted = local.attempted.max(Some(next)),
                None => self.violation(format!(
                    "life {life} commits for partition {number}, which it has let go"
                )),
            }
        }
    }

    fn commit_arrives(&mut self, number: usize) {
        let commit = &mut self.commits[number];
        let life = commit.life;
        if commit.dropped || std::mem::replace(&mut commit.over, true) {
            return;
        }
        let commit = &self.commits[number];
        if commit.arrives {
            let offsets = commit.offsets.clone();
            let before = self.group.committed.clone();
            let current = commit.generation == self.lives[life].generation;
            if !current || !self.group.commit(life, &offsets) {
                self.count("fenced commits");
                let reason = "the member is of an old generation".into();
                self.commits[number].result = Err(KafkaError { reason, fatal: false });
            } else if let Some((partition, _)) =
                offsets.iter().find(|(p, next)| before.get(p).is_some_and(|before| before > next))
            {
                self.violation(format!("the commit of partition {partition} went back"));
            }
        }
        let (result, after) =
            (self.commits[number].result.clone(), self.commits[number].event_after);
        if let Some(after) = after {
            self.lives[life].answers.push_back((self.now + after, result));
        }
    }

    pub(super) fn commit_result(&self, number: usize) -> Result<(), KafkaError> {
        self.commits[number].result.clone()
    }

    /// The first offset of a partition that is not durable.
    fn durable_until(&mut self, number: i32) -> i64 {
        let index = usize::try_from(number).unwrap();
        while self.logs[index].entries.get(self.durable[index]).is_some_and(|e| self.is_durable(e))
        {
            self.durable[index] += 1;
        }
        let log = &self.logs[index];
        log.entries.get(self.durable[index]).map_or(log.end(), |entry| entry.place.offset)
    }

    fn is_durable(&self, entry: &super::log::Entry) -> bool {
        let written = || {
            self.database.stored.contains(&entry.place) || self.letters.contains_key(&entry.place)
        };
        match entry.kind {
            Kind::Empty => true,
            // What has no place any more among those of its series is settled by that.
            Kind::Late | Kind::Twin | Kind::Twinned => {
                written() || self.database.is_settled(&entry.series, entry.millis)
            }
            _ => written(),
        }
    }

    // ---- the database ----

    /// A request leaves. When its answer comes.
    pub(super) fn send(
        &mut self,
        life: LifeId,
        body: usize,
        items: Vec<Item>,
    ) -> (usize, Duration) {
        let faults = self.schedule.faults.clone();
        let now = self.now;
        self.count("requests");
        self.note(|| {
            let places: Vec<_> =
                items.iter().map(|i| (i.place.partition, i.place.offset)).collect();
            format!("life {life} writes {places:?}")
        });
        let outage = self.outages.iter().find(|(from, to, _)| (*from..*to).contains(&now)).copied();
        let (delay, arrives, answer) = if let Some((_, _, trouble)) = outage {
            let (delay, answer) = self.trouble(trouble);
            (delay, None, Some(answer))
        } else if self.fails(faults.write_fails) {
            let troubles = [Trouble::Refused, Trouble::Silent, Trouble::Busy];
            let trouble = troubles[self.dice.index(3)];
            let (delay, answer) = self.trouble(trouble);
            (delay, None, Some(answer))
        } else if self.fails(faults.answer_lost) {
            self.count("lost answers");
            // It may arrive when its sender has given up.
            let delay = self.dice.up_to(millis(4000));
            (delay, Some(self.dice.up_to(millis(6000))), Some(unavailable("timed out", None, true)))
        } else {
            let slow = if self.fails(faults.slow) { millis(8000) } else { millis(20) };
            let delay = self.dice.up_to(slow);
            (delay, Some(delay), None)
        };
        self.requests.push(Request { life, body, items, answer: answer.map(Err), dropped: false });
        let number = self.requests.len() - 1;
        if let Some(after) = arrives {
            self.plan(now + after, Happening::Request(number));
        }
        (number, now + delay)
    }

    fn trouble(&mut self, trouble: Trouble) -> (Duration, SinkError) {
        self.count("failed requests");
        let short = self.dice.up_to(millis(30));
        match trouble {
            Trouble::Refused => (short, unavailable("connection refused", None, false)),
            Trouble::Silent => {
                let answer = unavailable("timed out", None, true);
                (self.dice.up_to(millis(5000)), answer)
            }
            Trouble::Busy => {
                let after = self.dice.up_to(millis(5000));
                (short, unavailable("503", Some(after), false))
            }
            Trouble::Misconfigured => (short, SinkError::Misconfigured { reason: "401".into() }),
        }
    }

    fn request_arrives(&mut self, number: usize) {
        let (answers, largest) = (self.schedule.answers, self.schedule.limits.body);
        let request = &mut self.requests[number];
        if request.dropped {
            return;
        }
        let (body, items) = (request.body, &request.items);
        let verdict = self.database.take(answers, largest, body, items, &self.logs);
        request.answer.get_or_insert_with(|| verdict.clone());
        if verdict.is_err() {
            self.count("refused requests");
        }
        self.note(|| format!("request {number} arrives: {verdict:?}"));
        if let Some(place) = self.database.dropped_silently {
            self.violation(format!("{place:?} stood out of order in its request"));
        }
    }

    pub(super) fn answer(&self, number: usize) -> Result<(), SinkError> {
        self.requests[number].answer.clone().unwrap()
    }

    // ---- dead letters ----

    /// A dead letter leaves. When its confirmation comes, or why it can't even begin.
    pub(super) fn send_letter(
        &mut self,
        life: LifeId,
        place: Place,
    ) -> Result<(usize, Duration), KafkaError> {
        let now = self.now;
        let percent = self.schedule.faults.letter_fails;
        let outage = self.letter_outages.iter().any(|(from, to)| (*from..*to).contains(&now));
        let failed = self.fails(percent) || outage;
        if failed && self.dice.chance(30) {
            self.count("failed letters");
            return Err(KafkaError { reason: "the queue is full".into(), fatal: false });
        }
        let delay = if self.fails(percent) { millis(5000) } else { millis(50) };
        let due = now + self.dice.up_to(delay);
        // A confirmation that fails may be of a letter that was stored.
        let stored = !failed || (!outage && self.dice.chance(20));
        let result = if failed { Err("not enough replicas".into()) } else { Ok(()) };
        if failed {
            self.count("failed letters");
        }
        if failed && stored {
            *self.letters_allowed.entry(place).or_default() += 1;
        }
        self.note(|| format!("life {life} dead-letters {place:?}, stored {stored}, {result:?}"));
        self.sent.push(Letter { life, place, stored, result, dropped: false });
        self.plan(due, Happening::Letter(self.sent.len() - 1));
        Ok((self.sent.len() - 1, due))
    }

    fn letter_arrives(&mut self, number: usize) {
        let Letter { life, place, stored, dropped, .. } = self.sent[number];
        if !stored || dropped {
            return;
        }
        self.count("dead letters");
        let times = self.letters.entry(place).or_default();
        *times += 1;
        if *times > self.letters_allowed.get(&place).copied().unwrap_or(0) {
            self.violation(format!("{place:?} was dead-lettered more often than it was read"));
        }
        let log = &self.logs[usize::try_from(place.partition).unwrap()];
        match log.at(place.offset).unwrap().kind {
            // A process that stood still until its session was over, and finds its points superseded
            // by those of the next owner, takes them for late before it hears of its loss.
            Kind::Good
                if self.database.stored.contains(&place)
                    && !self.group.owns(life, place.partition) =>
            {
                self.outlived.insert(place);
            }
            Kind::Good => self.violation(format!("{place:?} is good, and was dead-lettered")),
            Kind::Empty => self.violation(format!("{place:?} is empty, and was dead-lettered")),
            _ => {}
        }
    }

    pub(super) fn letter_result(&self, number: usize) -> Result<(), String> {
        self.sent[number].result.clone()
    }

    // ---- the end ----

    /// What has become of each record, when all is over.
    pub(super) fn check_end(&mut self) {
        if !self.violations.is_empty() {
            return;
        }
        let ordered = self.schedule.answers.ordered();
        let mut wrong = Vec::new();
        for entry in self.logs.iter().flat_map(|log| &log.entries) {
            let (place, kind) = (entry.place, entry.kind);
            let stored = self.database.stored.contains(&place);
            let dead = self.letters.contains_key(&place);
            let right = match kind {
                Kind::Good => stored && (!dead || self.outlived.contains(&place)),
                Kind::Garbage | Kind::Refused | Kind::Large => dead && !stored,
                Kind::Empty => !dead && !stored,
                // Without order all of these are good.
                _ if !ordered => stored && !dead,
                _ => self.is_durable(entry),
            };
            if !right {
                wrong.push(format!("{place:?}, {kind:?}: stored {stored}, dead-lettered {dead}"));
            }
        }
        for wrong in wrong {
            self.violation(wrong);
        }
    }
}

fn unavailable(reason: &str, retry_after: Option<Duration>, perhaps_stored: bool) -> SinkError {
    SinkError::Unavailable { reason: reason.into(), retry_after, perhaps_stored }
}
