//! Points that have come before.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::series::Series;
use super::values::expired;
use super::{Moment, Next};
use crate::decode::Refusal;
use crate::point::{Point, Value};

/// Leaves out a point that has come before: of the same series and time, with the same fields.
#[derive(Debug, Clone)]
pub struct Deduplicate {
    /// How far behind the partition's clock a point is remembered.
    within: Duration,
    /// The points of a series that are remembered at most: the newest.
    points: NonZeroUsize,
    series: Series<Seen>,
}

/// The times of a series' points, each with a hash of its fields.
#[derive(Debug, Clone, Default)]
struct Seen(BTreeSet<(i64, u64)>);

impl Deduplicate {
    /// Remembers so many `points` of each of so many series, none longer than `within`.
    pub fn new(within: Duration, points: NonZeroUsize, max_series: NonZeroUsize) -> Self {
        Self { within, points, series: Series::new(within, max_series) }
    }

    pub(super) fn horizon(&self) -> Duration {
        self.within
    }

    pub(super) fn take(
        &mut self,
        moment: &Moment,
        point: Point<'_>,
        next: Next<'_>,
    ) -> Result<(), Refusal> {
        let expired = expired(moment.clock, self.within);
        let place = (point.timestamp.nanos(), hash(&point));
        let points = self.points.get();
        let is_new = self.series.with(&point, moment.clock, |Seen(seen)| {
            while seen.first().is_some_and(|(time, _)| *time <= expired) {
                seen.pop_first();
            }
            // What is too old to be remembered can't be known to have come before.
            let is_new = place.0 <= expired || seen.insert(place);
            if seen.len() > points {
                seen.pop_first();
            }
            is_new
        })?;
        if is_new { next(point) } else { Ok(()) }
    }
}

/// Of the fields' names and values. Only points of one series and time are told apart by it.
fn hash(point: &Point<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in &point.fields {
        name.hash(&mut hasher);
        match value {
            Value::Float(float) => (0_u8, float.to_f64().to_bits()).hash(&mut hasher),
            Value::Integer(number) => (1_u8, number).hash(&mut hasher),
            Value::Unsigned(number) => (2_u8, number).hash(&mut hasher),
            Value::Boolean(boolean) => (3_u8, boolean).hash(&mut hasher),
            Value::String(text) => (4_u8, text).hash(&mut hasher),
            Value::Stale => 5_u8.hash(&mut hasher),
            Value::NotFinite(which) => (6_u8, which.to_f64().to_bits()).hash(&mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::process::testing::{HORIZON, at, history, line, lines, rebuilt_as_the_whole};

    fn deduplicate(within: Duration, points: usize) -> Deduplicate {
        let limit = |most| NonZeroUsize::new(most).unwrap();
        Deduplicate::new(within, limit(points), limit(100))
    }

    fn passes(deduplicate: &mut Deduplicate, clock: i64, text: &str) -> bool {
        !lines(|next| deduplicate.take(&at(clock), line(text), next)).unwrap().is_empty()
    }

    #[test]
    fn a_point_passes_once_and_what_differs_in_anything_passes_too() {
        let mut deduplicate = deduplicate(Duration::from_nanos(100), 10);
        let mut passes = |clock, text| passes(&mut deduplicate, clock, text);
        assert!(passes(50, "m,t=a v=1 50"));
        assert!(!passes(60, "m,t=a v=1.0 50"), "the same number");
        for other in ["m,t=b v=1 50", "n,t=a v=1 50", "m,t=a v=2 50", "m,t=a w=1 50"] {
            assert!(passes(60, other), "{other}");
        }
        for other in ["m,t=a v=1i 50", "m,t=a v=\"1\" 50", "m,t=a v=1,w=1 50", "m,t=a v=1 51"] {
            assert!(passes(60, other), "{other}");
        }
        assert!(!passes(149, "m,t=a v=1 50"));
        assert!(passes(150, "m,t=a v=1 50"), "longer ago than `within`");
    }

    #[test]
    fn of_more_points_than_the_limit_the_newest_are_remembered() {
        let mut deduplicate = deduplicate(Duration::from_micros(1), 2);
        let mut passes = |text| passes(&mut deduplicate, 30, text);
        assert!(passes("m v=1 10") && passes("m v=1 20") && passes("m v=1 30"));
        assert!(!passes("m v=1 20") && !passes("m v=1 30"));
        assert!(passes("m v=1 10"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_state_rebuilt_from_the_horizon_on_is_as_good_as_the_whole_history(
            history in history(), cut in any::<prop::sample::Index>(), points in 1_usize..20,
        ) {
            let fresh = deduplicate(HORIZON, points);
            rebuilt_as_the_whole(&history, cut, &fresh, Deduplicate::take)?;
        }
    }
}
