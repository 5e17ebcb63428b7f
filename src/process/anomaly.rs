//! How unusual a value is: a score, and whether it is an anomaly.

mod bounds;
mod history;
mod usual;

use std::num::NonZeroUsize;
use std::time::Duration;

use super::series::Series;
use super::values::{expired, number, set_field};
use super::{Moment, Next};
use crate::decode::Refusal;
use crate::point::{Float, Point, Timestamp, Value};

pub use bounds::{Band, Bounds, Hours, Range};
use history::History;
pub use usual::{Method, Usual};

/// Adds to a point how unusual a field's value is, as `FIELD_score` and `FIELD_anomaly`, and if asked, between
/// what it would be usual, as `FIELD_low` and `FIELD_high`.
#[derive(Debug, Clone)]
pub struct Anomaly {
    names: Names,
    judge: Judge,
}

/// The field that is looked at, and those that are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub field: String,
    /// A float.
    pub score: String,
    /// A boolean.
    pub anomaly: String,
    /// A float: the least value that would be no anomaly. `None`: not asked for, or there never is one.
    pub low: Option<String>,
    /// A float: the greatest value that would be none.
    pub high: Option<String>,
}

#[derive(Debug, Clone)]
enum Judge {
    Bounds(Bounds),
    Usual {
        usual: Usual,
        /// How far behind the partition's clock the points are that a value is held against.
        over: Duration,
        /// Of each series at most so many: the newest.
        points: NonZeroUsize,
        series: Series<History>,
        /// Memory that is used again.
        scratch: Vec<f64>,
    },
}

impl Anomaly {
    /// A value is one beyond its bounds.
    pub fn beyond(bounds: Bounds, names: Names) -> Self {
        Self { names, judge: Judge::Bounds(bounds) }
    }

    /// A value is one that is far from what is usual in its series: in the newest `points` of it, none
    /// longer ago than `over`.
    pub fn unusual(
        usual: Usual,
        names: Names,
        over: Duration,
        points: NonZeroUsize,
        max_series: NonZeroUsize,
    ) -> Self {
        let (series, scratch) = (Series::new(over, max_series), Vec::new());
        Self { names, judge: Judge::Usual { usual, over, points, series, scratch } }
    }

    /// The field that is looked at, and those that are added.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn horizon(&self) -> Duration {
        match &self.judge {
            Judge::Bounds(_) => Duration::ZERO,
            Judge::Usual { over, .. } => *over,
        }
    }

    /// A point without the field, or with too few before it to tell, passes as it is.
    pub(super) fn take(
        &mut self,
        moment: &Moment,
        point: Point<'_>,
        next: Next<'_>,
    ) -> Result<(), Refusal> {
        let mut point: Point<'_> = point;
        let Self { names, judge } = self;
        let Some(value) = point.field(&names.field).and_then(number) else { return next(point) };
        let judged = match judge {
            Judge::Bounds(bounds) => Some(bounds.judge(point.timestamp, value)),
            Judge::Usual { usual, over, points, series, scratch } => {
                let (clock, time) = (moment.clock, point.timestamp);
                series.with(&point, clock, |history| {
                    history.forget_until(expired(clock, *over));
                    // A point that is newer than the clock moves it.
                    let since = expired(clock.max(time), *over);
                    let judged = usual.judge(history, since, (time, value), scratch);
                    history.add(time, value, *points);
                    judged
                })?
            }
        };
        if let Some(Judgement { score, is_anomaly, usual }) = judged {
            if let Some(score) = Float::from_number(score) {
                set_field(&mut point, &names.score, Value::Float(score))?;
            }
            set_field(&mut point, &names.anomaly, Value::Boolean(is_anomaly))?;
            for (name, bound) in [(&names.low, usual.below), (&names.high, usual.above)] {
                if let (Some(name), Some(bound)) = (name, bound.and_then(Float::from_number)) {
                    set_field(&mut point, name, Value::Float(bound))?;
                }
            }
        }
        next(point)
    }
}

/// What is said of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Judgement {
    /// Negative below what is usual.
    score: f64,
    is_anomaly: bool,
    /// What would be no anomaly in its place, but for rounding.
    usual: Range,
}

/// A value at its time.
type Reading = (Timestamp, f64);

#[cfg(test)]
mod tests;
