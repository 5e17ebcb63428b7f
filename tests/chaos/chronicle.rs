//! What was done, and when.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use crate::support::now_ms;

/// A record may be dead-lettered twice when its partition changes hands. A change that begins so long before the second
/// letter, or later, may be the cause: a session's end, the drain, a full time-out of a commit.
const CHANGES_HANDS_WITHIN_MS: i64 = 20_000;

/// No fault, but it moves partitions, as one does.
pub const THAWED: &str = "tidegate_thawed";

pub struct Chronicle {
    start: Instant,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: &'static str,
    at_ms: i64,
}

impl Chronicle {
    pub fn new() -> Self {
        Self { start: Instant::now(), entries: Mutex::default() }
    }

    /// Prints a line with the time since the start.
    pub fn say(&self, text: &str) {
        println!("{:7.1} s  {text}", self.start.elapsed().as_secs_f64());
    }

    pub fn tell(&self, kind: &'static str, text: &str) {
        self.say(text);
        self.record(kind, now_ms());
    }

    pub fn record(&self, kind: &'static str, at_ms: i64) {
        self.entries.lock().unwrap().push(Entry { kind, at_ms });
    }

    /// How often each fault was done.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.entries.lock().unwrap().iter().filter(|entry| entry.kind != THAWED) {
            *counts.entry(entry.kind).or_default() += 1;
        }
        counts
    }

    /// What may have made a partition change hands between two letters of one record (by when the broker has appended
    /// them): the last such thing that was done to a tidegate or a broker.
    pub fn cause_of_repeat(&self, first_ms: i64, second_ms: i64) -> Option<&'static str> {
        let entries = self.entries.lock().unwrap();
        let moves_partitions =
            |entry: &&Entry| entry.kind.starts_with("tidegate") || entry.kind.starts_with("broker");
        let window = first_ms - CHANGES_HANDS_WITHIN_MS..=second_ms;
        let mut before = entries.iter().filter(moves_partitions);
        before.rfind(|entry| window.contains(&entry.at_ms)).map(|entry| entry.kind)
    }
}
