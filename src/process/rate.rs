//! How fast a value grows, or by how much.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::series::Series;
use super::values::{expired, set_field};
use super::{Moment, Next};
use crate::decode::Refusal;
use crate::point::{Float, Point, Value};

/// Adds to a point by how much fields have grown since the point before of its series.
#[derive(Debug, Clone)]
pub struct Rate {
    growth: Growth,
    series: Series<Newest>,
}

/// What is added, of which fields.
#[derive(Debug, Clone)]
pub struct Growth {
    /// Each with the name of the field that is added; at least one.
    pub fields: Vec<(String, String)>,
    /// The growth is divided by the time that it took, in this unit. `None`: it is the growth itself.
    pub per: Option<Duration>,
    /// How far behind the partition's clock the point before may be.
    pub within: Duration,
    /// Whether a value that falls has begun anew at zero.
    pub resets: bool,
}

/// The newest values of a series, by the place of their field.
#[derive(Debug, Clone, Default)]
struct Newest(Vec<Option<(i64, Number)>>);

#[derive(Debug, Clone, Copy)]
enum Number {
    /// Of 64 bits, with or without a sign.
    Whole(i128),
    Float(f64),
}

impl Rate {
    /// Remembers the newest values of so many series.
    pub fn new(growth: Growth, max_series: NonZeroUsize) -> Self {
        Self { series: Series::new(growth.within, max_series), growth }
    }

    pub(super) fn name(&self) -> &'static str {
        if self.growth.per.is_some() { "rate" } else { "delta" }
    }

    /// What is added.
    pub(super) fn growth(&self) -> &Growth {
        &self.growth
    }

    pub(super) fn horizon(&self) -> Duration {
        self.growth.within
    }

    pub(super) fn take(
        &mut self,
        moment: &Moment,
        point: Point<'_>,
        next: Next<'_>,
    ) -> Result<(), Refusal> {
        let mut point: Point<'_> = point;
        let Self { growth, series } = self;
        let time = point.timestamp.nanos();
        let expired = expired(moment.clock.max(point.timestamp), growth.within);
        let grown = series.with(&point, moment.clock, |Newest(newest)| {
            newest.resize(growth.fields.len(), None);
            let fields = growth.fields.iter().zip(newest);
            let grown = fields.map(|((field, added), before)| {
                let now = point.field(field).and_then(Number::of)?;
                let known = before.filter(|(at, _)| *at > expired);
                // A late point leaves the newest as it is.
                if known.is_none_or(|(at, _)| at <= time) {
                    *before = Some((time, now));
                }
                let (at, before) = known.filter(|(at, _)| *at < time)?;
                Some((added, growth.of(before, now, time.abs_diff(at))?))
            });
            grown.flatten().collect::<Vec<_>>()
        })?;
        for (added, grown) in grown {
            set_field(&mut point, added, Value::Float(grown))?;
        }
        next(point)
    }
}

impl Growth {
    /// `None` where it is beyond the largest float.
    fn of(&self, before: Number, now: Number, nanos: u64) -> Option<Float<'static>> {
        let growth = now.since(before, self.resets);
        #[expect(clippy::cast_precision_loss, reason = "a time in floating point")]
        let units = self.per.map(|per| nanos as f64 / per.as_nanos() as f64);
        Float::from_number(units.map_or(growth, |units| growth / units))
    }
}

impl Number {
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Float(float) => Some(Self::Float(float.to_f64())),
            Value::Integer(number) => Some(Self::Whole(i128::from(*number))),
            Value::Unsigned(number) => Some(Self::Whole(i128::from(*number))),
            Value::Boolean(_) | Value::String(_) | Value::Stale | Value::NotFinite(_) => None,
        }
    }

    /// Whole numbers are subtracted exactly, however large.
    fn since(self, before: Self, resets: bool) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "the nearest float of an exact difference")]
        match (self, before) {
            (Self::Whole(now), Self::Whole(before)) if resets && now < before => now as f64,
            (Self::Whole(now), Self::Whole(before)) => (now - before) as f64,
            _ if resets && self.float() < before.float() => self.float(),
            _ => self.float() - before.float(),
        }
    }

    fn float(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "beside a float")]
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::process::testing::{HORIZON, history, in_turn, rebuilt_as_the_whole};

    fn rate(per: Option<u64>, within: Duration, resets: bool) -> Rate {
        let fields = ["v", "w"].map(|field| (field.to_owned(), format!("{field}_grown"))).into();
        let growth = Growth { fields, per: per.map(Duration::from_nanos), within, resets };
        Rate::new(growth, NonZeroUsize::new(100).unwrap())
    }

    fn run(per: Option<u64>, within: u64, resets: bool, texts: &[&str]) -> Vec<String> {
        let mut rate = rate(per, Duration::from_nanos(within), resets);
        in_turn(texts, |moment, point, next| rate.take(moment, point, next))
    }

    #[test]
    fn the_growth_since_the_point_before_is_added_per_unit_of_time() {
        let texts = ["m v=10 0", "m v=30,w=5i 20", "m x=1 25", "m v=30,w=8i 30", "m w=2i 40"];
        assert_eq!(
            run(Some(10), 1000, true, &texts),
            [
                "m v=10 0",
                "m v=30,v_grown=10,w=5i 20",
                "m x=1 25",
                "m v=30,v_grown=0,w=8i,w_grown=3 30",
                // It fell: it began at zero, so it has grown by 2.
                "m w=2i,w_grown=2 40",
            ]
        );
        assert_eq!(run(None, 1000, false, &["m v=10 0", "m v=3 20"])[1], "m v=3,v_grown=-7 20");
    }

    #[test]
    fn a_late_point_and_one_at_the_same_time_have_no_growth() {
        let texts = ["m v=10 10", "m v=5 5", "m v=12 10", "m v=20 20"];
        assert_eq!(
            run(None, 1000, true, &texts),
            ["m v=10 10", "m v=5 5", "m v=12 10", "m v=20,v_grown=8 20",]
        );
    }

    #[test]
    fn a_point_longer_ago_than_within_counts_as_none() {
        let texts = ["m v=10 0", "m v=12 9", "m v=20 19", "m v=21 20"];
        assert_eq!(
            run(None, 10, true, &texts),
            ["m v=10 0", "m v=12,v_grown=2 9", "m v=20 19", "m v=21,v_grown=1 20",]
        );
    }

    #[test]
    fn large_counters_keep_every_digit() {
        let texts = ["m v=18446744073709551613u 0", "m v=18446744073709551615u 1"];
        assert_eq!(run(None, 10, true, &texts)[1], "m v=18446744073709551615u,v_grown=2 1");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_state_rebuilt_from_the_horizon_on_is_as_good_as_the_whole_history(
            history in history(), cut in any::<prop::sample::Index>(),
            per in prop::option::of(1_u64..5), resets: bool,
        ) {
            rebuilt_as_the_whole(&history, cut, &rate(per, HORIZON, resets), Rate::take)?;
        }
    }
}
