//! The topic's partitions: which records there are, and what must become of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::schedule::{Dice, Schedule, millis};
use crate::record::{Offset, Record};

pub(super) const TOPIC: &str = "t";
/// A record's place, as one number, is the value that is written: partition × this + offset.
const PLACES: u64 = 1_000_000;
const FIRST_MILLIS: i64 = 1_700_000_000_000;

/// A record's place: partition and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub partition: i32,
    pub offset: i64,
}

impl Place {
    pub(super) fn number(self) -> u64 {
        u64::try_from(self.partition).unwrap() * PLACES + u64::try_from(self.offset).unwrap()
    }

    pub(super) fn of_number(number: u64) -> Self {
        Self {
            partition: i32::try_from(number / PLACES).unwrap(),
            offset: i64::try_from(number % PLACES).unwrap(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    Garbage,
    Empty,
    /// The database will never take it.
    Refused,
    /// Alone larger than the database takes.
    Large,
    /// Older than a record of its series before it.
    Late,
    /// At the time of a record of its series before it.
    Twin,
    /// A good one, with a [`Kind::Twin`] after it: a database holds one of the two.
    Twinned,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub place: Place,
    pub kind: Kind,
    pub series: String,
    /// Where it goes, as its series does; empty where none says.
    pub destination: String,
    pub millis: i64,
    /// When it is produced.
    pub due: Duration,
}

impl Entry {
    fn value(&self) -> Option<Vec<u8>> {
        let (series, millis, number) = (&self.series, self.millis, self.place.number());
        let (destination, odd) = (&self.destination, self.place.offset % 2 == 1);
        match self.kind {
            // Not allowed, or none.
            Kind::Garbage if !destination.is_empty() => {
                let elsewhere = if odd { r#","d":"elsewhere""# } else { "" };
                let value = format!(r#"{{"s":"{series}","t":{millis},"v":{number}{elsewhere}}}"#);
                Some(value.into_bytes())
            }
            Kind::Garbage => Some(b"{\"v\":".to_vec()),
            Kind::Empty => (!odd).then(Vec::new),
            _ => {
                let place = format!(r#""s":"{series}","d":"{destination}""#);
                Some(format!(r#"{{{place},"t":{millis},"v":{number}}}"#).into_bytes())
            }
        }
    }

    pub(super) fn record(&self, kept: &Arc<Kept>) -> SimRecord {
        let value = self.value();
        let bytes = value.as_ref().map_or(0, Vec::len);
        kept.records.fetch_add(1, Ordering::Relaxed);
        kept.bytes.fetch_add(bytes, Ordering::Relaxed);
        SimRecord { place: self.place, value, kept: Arc::clone(kept) }
    }
}

/// One partition, in the order of offsets.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub entries: Vec<Entry>,
}

impl Log {
    pub(super) fn throw(number: usize, schedule: &Schedule, dice: &mut Dice) -> Self {
        let records = &schedule.records;
        let mut log = Self::default();
        let mut offset = 0;
        let mut due = Duration::ZERO;
        let step = millis(records.over_millis / (records.count as u64 + 1));
        for at in 0..records.count {
            if dice.chance(records.gaps) {
                offset += 1 + i64::try_from(dice.below(3)).unwrap();
            }
            due += dice.up_to(step * 2);
            let place = Place { partition: i32::try_from(number).unwrap(), offset };
            let entry = log.entry(place, at, due, schedule, dice);
            log.entries.push(entry);
            offset += 1;
        }
        log
    }

    fn entry(
        &mut self,
        place: Place,
        at: usize,
        due: Duration,
        schedule: &Schedule,
        dice: &mut Dice,
    ) -> Entry {
        let records = &schedule.records;
        let destinations = schedule.limits.destinations as u64;
        let number = dice.below(2 * destinations.max(1));
        let series = format!("p{}-{number}", place.partition);
        let destination = number
            .checked_rem(destinations)
            .map_or_else(String::new, |number| format!("d{number}"));
        // A second apart, so that late ones fall between.
        let now = FIRST_MILLIS + i64::try_from(at).unwrap() * 1000;
        let last = self.entries.iter().rposition(|e| e.series == series && is_in_order(e.kind));
        let mut entry = Entry { place, kind: Kind::Good, series, destination, millis: now, due };
        if dice.chance(records.garbage) {
            entry.kind = Kind::Garbage;
        } else if dice.chance(records.empty) {
            entry.kind = Kind::Empty;
        } else if dice.chance(records.refused) {
            entry.kind = Kind::Refused;
        } else if dice.chance(records.large) {
            entry.kind = Kind::Large;
            entry.series = format!("large-{}-{}", place.number(), "x".repeat(schedule.limits.body));
        } else if let Some(last) = last.filter(|_| dice.chance(records.late)) {
            entry.kind = Kind::Late;
            entry.millis = self.entries[last].millis - 500;
        } else if let Some(last) = last.filter(|_| dice.chance(records.twin)) {
            let last = &mut self.entries[last];
            if last.kind == Kind::Good {
                entry.kind = Kind::Twin;
                entry.millis = last.millis;
                last.kind = Kind::Twinned;
            }
        } else if !schedule.answers.ordered() && dice.chance(records.ahead) {
            entry.millis += i64::try_from(dice.below(10_000)).unwrap();
        }
        entry
    }

    pub(super) fn at(&self, offset: i64) -> Option<&Entry> {
        self.entries
            .binary_search_by_key(&offset, |e| e.place.offset)
            .ok()
            .map(|i| &self.entries[i])
    }

    /// The first record at or after an offset.
    pub(super) fn from(&self, offset: i64) -> Option<&Entry> {
        self.entries.get(self.entries.partition_point(|e| e.place.offset < offset))
    }

    /// The position after the last record.
    pub(super) fn end(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.place.offset + 1)
    }
}

fn is_in_order(kind: Kind) -> bool {
    matches!(kind, Kind::Good | Kind::Twinned | Kind::Twin)
}

/// Records that a worker keeps in memory, counted by the records themselves.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub records: AtomicUsize,
    pub bytes: AtomicUsize,
}

/// A consumed record.
#[derive(Debug)]
pub(super) struct SimRecord {
    pub place: Place,
    value: Option<Vec<u8>>,
    kept: Arc<Kept>,
}

impl Drop for SimRecord {
    fn drop(&mut self) {
        self.kept.records.fetch_sub(1, Ordering::Relaxed);
        self.kept.bytes.fetch_sub(self.value.as_ref().map_or(0, Vec::len), Ordering::Relaxed);
    }
}

impl Record for SimRecord {
    fn topic(&self) -> &str {
        TOPIC
    }
    fn partition(&self) -> i32 {
        self.place.partition
    }
    fn offset(&self) -> Offset {
        Offset(self.place.offset)
    }
    fn key(&self) -> Option<&[u8]> {
        None
    }
    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
    fn timestamp_millis(&self) -> Option<i64> {
        None
    }
    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }
    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        Vec::new()
    }
}
