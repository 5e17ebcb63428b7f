//! The comparison: expected values in order, in groups that one query can ask for, against what the
//! database holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::entry::{Expected, Place};
use super::read::{Exactness, Held, ReadError, Selection, Store};
use super::value::{DESTINATION, MEASUREMENT, METRIC, Series, Value};

/// Values of a group. A query asks for about as many, unless the database holds more.
const MAX_VALUES: usize = 10_000;
/// Bytes of a group's values, if they are texts.
const MAX_TEXT: usize = 4 << 20;
/// Series of a group; also how many a query can name by combinations of their labels' values.
const MAX_SERIES: usize = 256;

/// Expected values of some series with labels of the same names, sorted as [`Expected`] sorts.
#[derive(Debug, Default)]
pub(super) struct Group {
    spans: Vec<Span>,
    /// The values of each label.
    labels: BTreeMap<String, BTreeSet<String>>,
    values: usize,
    text: usize,
}

/// A series in a span of time.
#[derive(Debug, Clone)]
struct Span {
    series: Series,
    /// Both ends belong to it.
    from: i64,
    to: i64,
    /// Sorted by time.
    slots: Vec<Slot>,
}

/// The values that are expected of a series at one time; a database can hold one of them.
#[derive(Debug, Clone)]
struct Slot {
    time: i64,
    expected: Vec<(Place, Value)>,
}

/// What the comparison has found.
pub(super) trait Findings {
    /// A value that should be there, and what is there instead, if anything.
    fn absent(
        &mut self,
        place: Place,
        series: &Series,
        time: i64,
        expected: &Value,
        found: Option<&Value>,
    ) -> std::io::Result<()>;
    /// A value that no record of the range explains.
    fn extra(&mut self, series: &Series, time: i64, value: &Value);
    /// A value that stands in the database more than once.
    fn duplicates(&mut self, count: u64);
    /// Values that share series and time with another.
    fn collisions(&mut self, count: u64);
}

/// Why a comparison has ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompareError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("temporary files: {0}")]
    Spill(#[from] std::io::Error),
}

impl Group {
    /// Takes the next expected value, or gives it back when it belongs to the next group; then this
    /// one is complete.
    pub(super) fn take(&mut self, next: Expected) -> Option<Expected> {
        let full = self.values >= MAX_VALUES || self.text >= MAX_TEXT;
        let Some(span) = self.spans.last_mut().filter(|span| span.series == next.series) else {
            if full || !self.has_room_for(&next.series) {
                return Some(next);
            }
            let (series, time) = (next.series.clone(), next.time);
            self.spans.push(Span { series, from: time, to: time, slots: Vec::new() });
            self.push(next);
            return None;
        };
        match span.slots.last_mut().filter(|slot| slot.time == next.time) {
            // All that share a time are judged together.
            Some(slot) => slot.expected.push((next.place, next.value)),
            None if full => {
                // What lies between the two belongs to this group.
                span.to = next.time - 1;
                return Some(next);
            }
            None => self.push(next),
        }
        None
    }

    /// Adds a slot to the last span.
    fn push(&mut self, next: Expected) {
        self.values += 1;
        if let Value::Text(text) = &next.value {
            self.text += text.len();
        }
        if let Some(span) = self.spans.last_mut() {
            span.to = next.time;
            span.slots.push(Slot { time: next.time, expected: vec![(next.place, next.value)] });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The number of values in it.
    pub(super) fn len(&self) -> u64 {
        let slots = self.spans.iter().flat_map(|span| &span.slots);
        slots.map(|slot| slot.expected.len() as u64).sum()
    }

    /// Takes a series in unless that makes the query one for too many.
    fn has_room_for(&mut self, series: &Series) -> bool {
        let Some(first) = self.spans.first() else {
            self.add_labels(series);
            return true;
        };
        if !first.series.is_like(series) || self.spans.len() >= MAX_SERIES {
            return false;
        }
        let combinations = series.labels().iter().try_fold(1usize, |product, (name, value)| {
            let values = self.labels.get(name)?;
            // One name of a measurement or metric: it is what databases look up first.
            if is_name(name) && !values.contains(value) {
                return None;
            }
            let count = values.len() + usize::from(!values.contains(value));
            product.checked_mul(count).filter(|product| *product <= MAX_SERIES)
        });
        if combinations.is_some() {
            self.add_labels(series);
        }
        combinations.is_some()
    }

    fn add_labels(&mut self, series: &Series) {
        for (name, value) in series.labels() {
            self.labels.entry(name.clone()).or_default().insert(value.clone());
        }
    }

    fn selection(&self) -> Selection {
        Selection {
            labels: self.labels.clone(),
            from: self.spans.iter().map(|span| span.from).min().unwrap_or_default(),
            to: self.spans.iter().map(|span| span.to).max().unwrap_or_default(),
        }
    }

    /// Asks the database and reports what differs.
    pub(super) fn compare(
        self,
        store: &mut impl Store,
        findings: &mut impl Findings,
    ) -> Result<(), CompareError> {
        let mut groups = vec![self];
        while let Some(group) = groups.pop() {
            match store.read(&group.selection()) {
                Ok(held) => group.judge(held, store.exactness(), findings)?,
                Err(ReadError::TooMuch(why)) => match group.halves() {
                    Some(halves) => groups.extend(halves),
                    None => return Err(ReadError::TooMuch(why).into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Half of the series; or of one series, half of the time. `None` for one moment of one series.
    fn halves(mut self) -> Option<[Self; 2]> {
        if self.spans.len() > 1 {
            let right = self.spans.split_off(self.spans.len() / 2);
            return Some([Self::of(self.spans), Self::of(right)]);
        }
        let mut left = self.spans.pop()?;
        if left.from >= left.to {
            return None;
        }
        let middle = left.from.midpoint(left.to);
        let slots = left.slots.split_off(left.slots.partition_point(|slot| slot.time <= middle));
        let right = Span { series: left.series.clone(), from: middle + 1, to: left.to, slots };
        left.to = middle;
        Some([Self::of(vec![left]), Self::of(vec![right])])
    }

    fn of(spans: Vec<Span>) -> Self {
        let mut group = Self { spans, ..Self::default() };
        for span in 0..group.spans.len() {
            let series = group.spans[span].series.clone();
            group.add_labels(&series);
        }
        group
    }

    fn judge(
        self,
        held: Vec<Held>,
        exactness: Exactness,
        findings: &mut impl Findings,
    ) -> Result<(), CompareError> {
        let mut by_series: HashMap<Series, Vec<(i64, Value)>> = HashMap::new();
        for (series, samples) in held {
            // The names of labels may be given in another order, and series come in parts.
            by_series.entry(series).or_default().extend(samples);
        }
        for span in self.spans {
            let mut held = by_series.remove(&span.series).unwrap_or_default();
            held.retain(|(time, _)| (span.from..=span.to).contains(time));
            held.sort_by_key(|(time, _)| *time);
            span.judge(&held, exactness, findings)?;
        }
        Ok(())
    }
}

/// A group's values are of one measurement or metric.
fn is_name(label: &str) -> bool {
    [METRIC, MEASUREMENT, DESTINATION].contains(&label)
}

impl Span {
    /// `held` is sorted by time, and within the span.
    fn judge(
        &self,
        held: &[(i64, Value)],
        exactness: Exactness,
        findings: &mut impl Findings,
    ) -> Result<(), CompareError> {
        let largest = self.slots.iter().flat_map(|slot| &slot.expected);
        let largest = largest.map(|(_, value)| value.to_float().abs()).fold(0.0, f64::max);
        let mut rest = held;
        for slot in &self.slots {
            let before = rest.partition_point(|(time, _)| *time < slot.time);
            let at = rest.partition_point(|(time, _)| *time <= slot.time);
            self.extra(&rest[..before], findings);
            slot.judge(&self.series, &rest[before..at], exactness, largest, findings)?;
            rest = &rest[at..];
        }
        self.extra(rest, findings);
        Ok(())
    }

    fn extra(&self, held: &[(i64, Value)], findings: &mut impl Findings) {
        for (time, value) in held {
            findings.extra(&self.series, *time, value);
        }
    }
}

impl Slot {
    fn judge(
        &self,
        series: &Series,
        found: &[(i64, Value)],
        exactness: Exactness,
        largest: f64,
        findings: &mut impl Findings,
    ) -> Result<(), CompareError> {
        findings.collisions(self.expected.len() as u64 - 1);
        findings.duplicates(found.len().saturating_sub(1) as u64);
        // Of values at one time each database keeps another: any of them will do.
        let same = |(_, found): &(i64, Value)| {
            self.expected.iter().any(|(_, value)| exactness.is_same(value, found, largest))
        };
        if found.iter().any(same) {
            return Ok(());
        }
        let found = found.first().map(|(_, value)| value);
        for (place, value) in &self.expected {
            findings.absent(*place, series, self.time, value, found)?;
        }
        Ok(())
    }
}

impl Exactness {
    /// Whether a database that was given `expected` may give back `found`. `largest` is the greatest
    /// magnitude among the series' values.
    fn is_same(self, expected: &Value, found: &Value, largest: f64) -> bool {
        match self {
            Self::Typed => match (expected, found) {
                (Value::Float(a), Value::Float(b)) => is_equal(*a, *b),
                // An answer in CSV has no carriage return.
                (Value::Text(a), Value::Text(b)) => a.replace('\r', "") == *b,
                (a, b) => a == b,
            },
            Self::Floats => is_equal(expected.to_float(), found.to_float()),
            Self::Decimals => {
                let (expected, found) = (expected.to_float(), found.to_float());
                // 12 digits of its own, and the 18 that a block has for its greatest value; what is
                // smaller than a decimal exponent of about -307 becomes 0.
                let tolerance = expected.abs() * 1e-11 + largest * 1e-17 + 1e-306;
                (expected - found).abs() <= tolerance
            }
        }
    }
}

#[expect(clippy::float_cmp, reason = "the database keeps every digit")]
fn is_equal(a: f64, b: f64) -> bool {
    a == b
}

#[cfg(test)]
mod tests;
