//! Windows by event time: the points of a series within a span of time become one.

mod aggregate;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::series::write_key;
use super::{Moment, Next, rejected};
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::point::{Point, Timestamp};

use aggregate::Values;
pub use aggregate::{Aggregate, Quantile};

/// Windows, and those of a partition that are open.
#[derive(Debug, Clone)]
pub struct Window {
    rules: Rules,
    open: Open,
}

/// How points become windows.
#[derive(Debug, Clone)]
pub struct Rules {
    /// In nanoseconds, as the other spans here; more than 0.
    size: i64,
    /// A window begins at each multiple of this since the epoch; not more than the size.
    every: i64,
    /// How long after its end a window stays open.
    lateness: i64,
    pub(super) fields: Vec<Aggregated>,
    pub stamp: Stamp,
    /// Whether points go on as they are as well.
    pub keep: bool,
    /// Whether a record whose point comes too late is rejected; else the point is left out.
    pub reject_late: bool,
    /// In one window of a partition.
    pub max_series: NonZeroUsize,
    /// Kept for quantiles in one window of a partition.
    pub max_values: NonZeroUsize,
}

/// A field, and what windows have in its place.
#[derive(Debug, Clone)]
pub struct Aggregated {
    pub field: String,
    /// Each with its name. At least one.
    pub aggregates: Vec<(Aggregate, String)>,
}

/// The time of a window's point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    Start,
    End,
}

/// The windows of a partition that are open.
#[derive(Debug, Clone, Default)]
struct Open {
    /// By their start.
    windows: BTreeMap<i64, Series>,
    late: u64,
    /// Memory that is used again.
    key: Vec<u8>,
}

/// The series of one window.
#[derive(Debug, Clone, Default)]
struct Series {
    /// Of each field, in the order of the rules.
    by_key: HashMap<Box<[u8]>, Vec<Values>>,
    /// Values kept for quantiles.
    kept: usize,
}

impl Window {
    /// With no window open.
    pub fn new(rules: Rules) -> Self {
        Self { rules, open: Open::default() }
    }

    /// How points become windows.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn horizon(&self) -> Duration {
        self.rules.horizon()
    }

    pub(super) fn delay(&self) -> Duration {
        self.rules.delay()
    }

    pub(super) fn take(
        &mut self,
        moment: &Moment,
        point: Point<'_>,
        next: Next<'_>,
    ) -> Result<(), Refusal> {
        self.rules.take(&mut self.open, moment, point, next)
    }

    /// Closes the windows whose time is over.
    pub(super) fn advance(&mut self, clock: Timestamp, next: Next<'_>) -> Result<(), Refusal> {
        self.rules.advance(&mut self.open, clock, next)
    }

    pub(super) fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.open.late)
    }
}

impl Rules {
    /// Windows of this size, one every so often. `None` where a span is out of range: `every` is more than
    /// 0 and not more than `size`, and all are below 292 years.
    pub fn new(
        size: Duration,
        every: Duration,
        lateness: Duration,
        fields: Vec<Aggregated>,
    ) -> Option<Self> {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).ok();
        let (size, every, lateness) = (nanos(size)?, nanos(every)?, nanos(lateness)?);
        size.checked_add(lateness)?;
        (1..=size).contains(&every).then_some(Self {
            size,
            every,
            lateness,
            fields,
            stamp: Stamp::Start,
            keep: false,
            reject_late: false,
            max_series: DEFAULT_SERIES,
            max_values: DEFAULT_VALUES,
        })
    }

    fn horizon(&self) -> Duration {
        Duration::from_nanos((self.size + self.lateness).unsigned_abs())
    }

    /// A window's point is of its start or end, and comes when the clock has reached its end and the
    /// lateness.
    fn delay(&self) -> Duration {
        match self.stamp {
            Stamp::Start => self.horizon(),
            Stamp::End => Duration::from_nanos(self.lateness.unsigned_abs()),
        }
    }

    fn take(
        &self,
        open: &mut Open,
        moment: &Moment,
        point: Point<'_>,
        next: Next<'_>,
    ) -> Result<(), Refusal> {
        let concerned = self.fields.iter().any(|of| of.value(&point).is_some());
        if concerned && !self.gather(open, moment.clock, &point)? {
            open.late += 1;
            if self.reject_late {
                return Err(rejected(
                    ReasonKind::TooLate,
                    format!(
                        "it comes after its window has closed: its time is {} behind the newest of its \
                     partition",
                        behind(&point, moment.clock)
                    ),
                ));
            }
        }
        if self.keep { next(point) } else { Ok(()) }
    }

    /// Adds a point to the windows that it lies in. Says whether any of them is still open.
    fn gather(
        &self,
        open: &mut Open,
        clock: Timestamp,
        point: &Point<'_>,
    ) -> Result<bool, Refusal> {
        let time = point.timestamp.nanos();
        let mut start = time - time.rem_euclid(self.every);
        let mut taken = false;
        write_key(&mut open.key, point);
        while start > time - self.size && !self.is_closed(start, clock) {
            let series = open.windows.entry(start).or_default();
            self.add(series, &open.key, point)?;
            taken = true;
            start -= self.every;
        }
        Ok(taken)
    }

    fn is_closed(&self, start: i64, clock: Timestamp) -> bool {
        start.saturating_add(self.size + self.lateness) <= clock.nanos()
    }

    fn add(&self, series: &mut Series, key: &[u8], point: &Point<'_>) -> Result<(), Refusal> {
        let of_point = self.fields.iter().map(|field| field.value(point));
        let kept = of_point.clone().zip(&self.fields);
        let kept = kept.filter(|(value, field)| value.is_some() && field.keeps_values()).count();
        if series.kept + kept > self.max_values.get() {
            return Err(rejected(
                ReasonKind::TooLarge,
                format!(
                    "a window keeps {} values already, which is the limit (`max_values`)",
                    series.kept
                ),
            ));
        }
        if !series.by_key.contains_key(key) {
            if series.by_key.len() >= self.max_series.get() {
                return Err(rejected(
                    ReasonKind::TooManySeries,
                    format!(
                        "its series is new in its window, and {} series are in it already, which is the \
                     limit (`max_series`)",
                        self.max_series
                    ),
                ));
            }
            series.by_key.insert(key.into(), vec![Values::default(); self.fields.len()]);
        }
        series.kept += kept;
        let Some(values) = series.by_key.get_mut(key) else { return Ok(()) };
        for ((values, value), field) in values.iter_mut().zip(of_point).zip(&self.fields) {
            if let Some(value) = value {
                values.add(value, point.timestamp.nanos(), field.keeps_values());
            }
        }
        Ok(())
    }

    fn advance(&self, open: &mut Open, clock: Timestamp, next: Next<'_>) -> Result<(), Refusal> {
        while let Some(entry) = open.windows.first_entry() {
            if !self.is_closed(*entry.key(), clock) {
                break;
            }
            let (start, series) = entry.remove_entry();
            let nanos = match self.stamp {
                Stamp::Start => start,
                Stamp::End => start.saturating_add(self.size),
            };
            // A window may begin before all time.
            let Some(timestamp) = Timestamp::from_nanos(nanos.into()) else { continue };
            let mut series: Vec<_> = series.by_key.into_iter().collect();
            series.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            for (key, mut values) in series {
                if let Some(point) = self.point(&key, &mut values, timestamp) {
                    next(point)?;
                }
            }
        }
        Ok(())
    }

    fn point<'a>(
        &'a self,
        key: &'a [u8],
        values: &'a mut [Values],
        timestamp: Timestamp,
    ) -> Option<Point<'a>> {
        let mut texts = key.split(|byte| *byte == 0xff).map(String::from_utf8_lossy);
        let (to, measurement) = (texts.next()?, texts.next()?);
        let mut tags = Vec::new();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            tags.push((name, value));
        }
        let mut fields = Vec::new();
        for (field, values) in self.fields.iter().zip(values) {
            values.sort();
            let values = &*values;
            for (aggregate, name) in &field.aggregates {
                fields.extend(
                    values.get(*aggregate).map(|value| (Cow::Borrowed(name.as_str()), value)),
                );
            }
        }
        (!fields.is_empty()).then_some(Point { measurement, tags, fields, timestamp, to })
    }
}

/// The defaults of `max_series` and `max_values`.
pub(crate) const DEFAULT_SERIES: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();
pub(crate) const DEFAULT_VALUES: NonZeroUsize = NonZeroUsize::new(1_000_000).unwrap();

impl Aggregated {
    /// What aggregates are made of; nothing for a number that is none, and the end of a series.
    fn value<'p>(&self, point: &'p Point<'_>) -> Option<&'p crate::point::Value<'p>> {
        point.field(&self.field).filter(|value| aggregate::is_value(value))
    }

    fn keeps_values(&self) -> bool {
        self.aggregates.iter().any(|(aggregate, _)| matches!(aggregate, Aggregate::Quantile(_)))
    }
}

fn behind(point: &Point<'_>, clock: Timestamp) -> humantime::FormattedDuration {
    let nanos = clock.nanos().saturating_sub(point.timestamp.nanos());
    humantime::format_duration(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}
