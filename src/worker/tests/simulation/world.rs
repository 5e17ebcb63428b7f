//! The world outside of the workers: Kafka, the database and the dead-letter topic, with everything
//! that is on its way between them. It checks the promise at every commit.

mod commits;
mod letters;
mod members;
mod polls;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::database::{Database, Item, WINDOW};
use super::group::{Group, LifeId, Told};
use super::log::{Entry, Kept, Kind, Log, Place, SimRecord, TOPIC};
use super::schedule::{Dice, Schedule, millis};
use super::windows::Windows;
use crate::kafka::{Event, Extent, KafkaError, PartitionEnd};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::sink::SinkError;
use crate::watermark::Covers;

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
    offsets: BTreeMap<i32, NextOffset>,
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
    /// Requests on their way, by destination.
    pub writing: BTreeMap<String, usize>,
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

/// A time in which the database takes nothing, or one destination in it.
struct Outage {
    from: Duration,
    to: Duration,
    trouble: Trouble,
    at: Option<String>,
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
    windows: Windows,
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
    outages: Vec<Outage>,
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
        let logs: Vec<_> =
            (0..partitions).map(|number| Log::throw(number, &schedule, &mut dice)).collect();
        let mut world = Self {
            until: millis(schedule.faults.until_millis),
            windows: schedule
                .limits
                .windows
                .map(|spans| Windows::expected(spans, &logs))
                .unwrap_or_default(),
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
            let trouble = troubles[dice.index(4)];
            let destinations = schedule.limits.destinations as u64;
            let at = (destinations > 0 && dice.chance(50))
                .then(|| format!("d{}", dice.below(destinations)));
            self.outages.push(Outage { from, to, trouble, at });
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
        for key in self.windows.sums.keys() {
            if !self.database.windows.contains_key(key) {
                wrong.push(format!("the window {key:?} is missing"));
            }
        }
        for wrong in wrong {
            self.violation(wrong);
        }
    }
}
