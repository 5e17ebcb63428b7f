//! The account: each message of the stream is in the database once, or in the dead-letter topic, and nothing else is.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;

use crate::chronicle::Chronicle;
use crate::stream::Stream;
use crate::support::proxy::Point;
use crate::target::Target;

/// A point as the database holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub point: Point,
    pub value: f64,
}

/// A dead letter: the record that it says to come from, its value, and when the broker has appended it.
#[derive(Debug, Clone)]
pub struct Letter {
    pub partition: usize,
    pub offset: usize,
    pub value: Vec<u8>,
    pub at_ms: i64,
}

/// Of one connector, or of several.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Messages that the connector had to deal with.
    pub produced: usize,
    /// Messages that are in the database with their value.
    pub stored: usize,
    /// Messages in the dead-letter topic, each counted once.
    pub dead_lettered: usize,
    /// Messages that are in neither.
    pub lost: usize,
    /// Points that no message explains; messages in both places; letters repeated without a cause.
    pub duplicates: usize,
    /// Messages in the dead-letter topic that the database would have taken.
    pub good_dead_lettered: usize,
    /// Bad messages in the database, which can't be.
    pub bad_stored: usize,
    /// Letters repeated because a partition changed hands, by what was done.
    pub explained_repeats: BTreeMap<&'static str, usize>,
    /// Of each violation the first few.
    pub examples: Vec<String>,
}

impl Account {
    pub fn of(
        target: Target,
        stream: &Stream,
        rows: &[Row],
        letters: &[Letter],
        chronicle: &Chronicle,
    ) -> Self {
        let mut account = Self { produced: stream.len(), ..Self::default() };
        let mut places = vec![Place::default(); stream.len()];
        account.take_rows(stream, rows, &mut places);
        account.take_letters(stream, letters, &mut places, chronicle);
        for (number, place) in places.iter().enumerate() {
            account.take_place(target, stream, number, *place);
        }
        account
    }

    pub fn is_balanced(&self) -> bool {
        self.produced == self.stored + self.dead_lettered
            && self.lost + self.duplicates + self.good_dead_lettered + self.bad_stored == 0
    }

    fn take_rows(&mut self, stream: &Stream, rows: &[Row], places: &mut [Place]) {
        for row in rows {
            let number = stream.of_point(row.point);
            match number.filter(|number| Stream::value(*number).to_bits() == row.value.to_bits()) {
                Some(number) if !places[number].stored => places[number].stored = true,
                _ => self.duplicate(format!("a point too many: {row:?}")),
            }
        }
    }

    fn take_letters(
        &mut self,
        stream: &Stream,
        letters: &[Letter],
        places: &mut [Place],
        chronicle: &Chronicle,
    ) {
        let mut last: HashMap<usize, i64> = HashMap::new();
        for letter in letters {
            let Letter { partition, offset, value, at_ms } = letter;
            let number = stream.at_offset(*partition, *offset);
            let Some(number) = number.filter(|number| stream.payload(*number) == *value) else {
                self.duplicate(format!(
                    "a letter of no message: partition {partition} offset {offset}"
                ));
                continue;
            };
            places[number].dead_lettered = true;
            let Some(before) = last.insert(number, *at_ms) else { continue };
            match chronicle.cause_of_repeat(before, *at_ms) {
                Some(cause) => *self.explained_repeats.entry(cause).or_default() += 1,
                None => {
                    self.duplicate(format!(
                        "a letter again: partition {partition} offset {offset}"
                    ));
                }
            }
        }
    }

    fn take_place(&mut self, target: Target, stream: &Stream, number: usize, place: Place) {
        let of =
            || format!("message {number}, {:?}, {:?}", stream.kind(number), stream.point(number));
        self.stored += usize::from(place.stored);
        self.dead_lettered += usize::from(place.dead_lettered);
        let stores = target.stores(stream.kind(number));
        if !place.stored && !place.dead_lettered {
            self.lost += 1;
            self.example(format!("lost: {}", of()));
        }
        if place.stored && place.dead_lettered {
            self.duplicate(format!("stored and dead-lettered: {}", of()));
        }
        if place.stored && !stores {
            self.bad_stored += 1;
            self.example(format!("stored although it is bad: {}", of()));
        }
        if place.dead_lettered && stores {
            self.good_dead_lettered += 1;
            self.example(format!("dead-lettered although it is good: {}", of()));
        }
    }

    fn duplicate(&mut self, example: String) {
        self.duplicates += 1;
        self.example(example);
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < 10 {
            self.examples.push(text);
        }
    }
}

impl AddAssign<&Self> for Account {
    fn add_assign(&mut self, other: &Self) {
        self.produced += other.produced;
        self.stored += other.stored;
        self.dead_lettered += other.dead_lettered;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.good_dead_lettered += other.good_dead_lettered;
        self.bad_stored += other.bad_stored;
        for (cause, count) in &other.explained_repeats {
            *self.explained_repeats.entry(cause).or_default() += count;
        }
        self.examples.extend_from_slice(&other.examples);
    }
}

/// Where a message has been found.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    stored: bool,
    dead_lettered: bool,
}
