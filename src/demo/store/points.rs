//! The points in memory: each once, whatever is written twice.

use std::collections::{HashMap, VecDeque};

use super::line::{Field, Line, SeriesKey};

/// Series that the store takes; more would be a mistake in the mapping, and memory without end.
const MAX_SERIES: usize = 10_000;
/// How far back of a series' newest point it keeps points, in nanoseconds: ten minutes.
const RETENTION: i64 = 600 * 1_000_000_000;

/// Every series' points of the last ten minutes, and the exact count of all points ever stored.
///
/// The count is exact although old points go: what is older than what a series has already let go
/// of is refused, so nothing can be counted twice.
#[derive(Debug, Default)]
pub(crate) struct Points {
    series: HashMap<SeriesKey, Series>,
    stored: u64,
    rewritten: u64,
}

/// One series, by column; `NaN` stands for a field that a point doesn't have.
#[derive(Debug)]
pub(crate) struct Series {
    /// Nanoseconds, ascending.
    times: VecDeque<i64>,
    fields: Vec<(String, VecDeque<f64>)>,
    /// Points at or before this time have been let go of.
    dropped_through: i64,
}

/// What became of a request's points.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) too_old: u64,
    pub(crate) over_series_limit: u64,
}

impl Points {
    /// Distinct points stored: distinct in measurement, tags and time.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// Writes that met a point already stored and replaced its values.
    pub(crate) fn rewritten(&self) -> u64 {
        self.rewritten
    }

    /// Series stored.
    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Every series with its name and tags, in no order.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.series.iter()
    }

    /// Writes lines whose times count `unit` nanoseconds each; `now` is for lines without a time.
    pub(crate) fn write(&mut self, lines: Vec<Line>, unit: i64, now: i64) -> Written {
        let mut written = Written::default();
        for line in lines {
            let time = line.time.map_or(now, |time| time.saturating_mul(unit));
            if !self.series.contains_key(&line.series) && self.series.len() >= MAX_SERIES {
                written.over_series_limit += 1;
                continue;
            }
            match self.series.entry(line.series).or_default().write(time, line.fields) {
                Outcome::New => self.stored += 1,
                Outcome::Rewritten => self.rewritten += 1,
                Outcome::TooOld => written.too_old += 1,
            }
        }
        written
    }
}

enum Outcome {
    New,
    Rewritten,
    TooOld,
}

impl Default for Series {
    fn default() -> Self {
        Self { times: VecDeque::new(), fields: Vec::new(), dropped_through: i64::MIN }
    }
}

impl Series {
    /// The names of its fields.
    pub(crate) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// A field's times and values, ascending by time; `NaN` where a point lacks the field.
    pub(crate) fn samples(&self, field: &str) -> Option<Samples<'_>> {
        let (_, values) = self.fields.iter().find(|(name, _)| name == field)?;
        Some(Samples { times: &self.times, values })
    }

    fn write(&mut self, time: i64, fields: Vec<(String, Field)>) -> Outcome {
        if time <= self.dropped_through {
            return Outcome::TooOld;
        }
        let outcome = match self.place(time) {
            Ok(place) => {
                self.set(place, fields);
                return Outcome::Rewritten;
            }
            Err(place) => {
                self.times.insert(place, time);
                for (_, values) in &mut self.fields {
                    values.insert(place, f64::NAN);
                }
                self.set(place, fields);
                Outcome::New
            }
        };
        self.let_go();
        outcome
    }

    /// Where a point of this time is, or where it belongs; nearly always the end.
    fn place(&self, time: i64) -> Result<usize, usize> {
        match self.times.back() {
            Some(&last) if last >= time => self.times.binary_search(&time),
            _ => Err(self.times.len()),
        }
    }

    fn set(&mut self, place: usize, fields: Vec<(String, Field)>) {
        for (name, field) in fields {
            let Field::Number(number) = field else {
                continue;
            };
            let column = self.fields.iter().position(|(known, _)| *known == name);
            let column = column.unwrap_or_else(|| {
                let empty = self.times.iter().map(|_| f64::NAN).collect();
                self.fields.push((name, empty));
                self.fields.len() - 1
            });
            self.fields[column].1[place] = number;
        }
    }

    fn let_go(&mut self) {
        let Some(&newest) = self.times.back() else {
            return;
        };
        while let Some(&oldest) = self.times.front()
            && oldest < newest.saturating_sub(RETENTION)
        {
            self.dropped_through = oldest;
            self.times.pop_front();
            for (_, values) in &mut self.fields {
                values.pop_front();
            }
        }
    }
}

/// A field's samples in one series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Samples<'a> {
    times: &'a VecDeque<i64>,
    values: &'a VecDeque<f64>,
}

impl Samples<'_> {
    /// The newest value at or before `time` and after `time - lookback`, in nanoseconds.
    pub(crate) fn at(&self, time: i64, lookback: i64) -> Option<f64> {
        let end = self.times.partition_point(|&t| t <= time);
        (0..end)
            .rev()
            .take_while(|&i| self.times[i] > time.saturating_sub(lookback))
            .map(|i| self.values[i])
            .find(|value| !value.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::store::line::parse;

    const SECOND: i64 = 1_000_000_000;

    fn write(points: &mut Points, body: &str) -> Written {
        points.write(parse(body).unwrap(), SECOND, 0)
    }

    fn value(points: &Points, field: &str, second: i64) -> Option<f64> {
        let (_, series) = points.series().next().unwrap();
        series.samples(field)?.at(second * SECOND, 5 * SECOND)
    }

    #[test]
    fn a_replay_stores_each_point_once() {
        let mut points = Points::default();
        let body = "m,s=a f=1 10\nm,s=a f=2 11\nm,s=b f=3 10";
        write(&mut points, body);
        assert_eq!((points.stored(), points.rewritten(), points.series_count()), (3, 0, 2));
        write(&mut points, body);
        write(&mut points, "m,s=a f=9 10");
        assert_eq!((points.stored(), points.rewritten()), (3, 4));
    }

    #[test]
    fn a_rewrite_replaces_values_and_keeps_other_fields() {
        let mut points = Points::default();
        write(&mut points, "m f=1 10\nm f=2 12");
        write(&mut points, "m f=5,g=7 10");
        assert_eq!(value(&points, "f", 11), Some(5.0));
        assert_eq!(value(&points, "g", 11), Some(7.0));
        assert_eq!(value(&points, "g", 12), Some(7.0), "the newest that has the field");
        assert_eq!(value(&points, "h", 12), None);
    }

    #[test]
    fn late_points_find_their_place() {
        let mut points = Points::default();
        write(&mut points, "m f=3 30\nm f=1 10\nm f=2 20");
        assert_eq!(points.stored(), 3);
        for (second, expected) in
            [(9, None), (10, Some(1.0)), (14, Some(1.0)), (15, None), (21, Some(2.0))]
        {
            assert_eq!(value(&points, "f", second), expected, "at {second}");
        }
    }

    #[test]
    fn old_points_go_and_can_not_be_counted_again() {
        let mut points = Points::default();
        write(&mut points, "m f=1 10\nm f=2 1000");
        assert_eq!(value(&points, "f", 10), None, "let go of");
        assert_eq!(write(&mut points, "m f=1 10"), Written { too_old: 1, over_series_limit: 0 });
        assert_eq!((points.stored(), points.rewritten()), (2, 0));
    }

    #[test]
    fn a_line_without_a_time_gets_the_servers() {
        let mut points = Points::default();
        points.write(parse("m f=4").unwrap(), SECOND, 77 * SECOND);
        assert_eq!(value(&points, "f", 77), Some(4.0));
    }

    #[test]
    fn series_are_limited() {
        let mut points = Points::default();
        let lines: Vec<_> = (0..=MAX_SERIES).map(|i| format!("m,s={i} f=1 1")).collect();
        assert_eq!(
            write(&mut points, &lines.join("\n")),
            Written { too_old: 0, over_series_limit: 1 }
        );
        assert_eq!(points.series_count(), MAX_SERIES);
    }
}
