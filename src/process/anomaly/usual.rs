//! What is usual in a series, and how far a value is from it.

use std::num::NonZeroUsize;

use super::history::History;
use super::{Judgement, Range, Reading};

/// How a value is held against those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    pub method: Method,
    /// With fewer values before it, nothing is said of one.
    pub warmup: NonZeroUsize,
    /// A score beyond this, or below its negative, is an anomaly.
    pub threshold: f64,
    /// The least deviation that counts, in the field's own unit; for a change, a second.
    pub min_deviation: f64,
}

/// What the score is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// `(value - mean) / deviation`, both weighted exponentially: each value by `1 - alpha` of the one
    /// after it. Between 0 and 1.
    Ewma { alpha: f64 },
    /// `(value - median) / deviation`, the deviation from the median of distances to the median.
    Robust,
    /// The same of how fast the value has changed.
    Change,
}

/// Beyond this a score says nothing more. It is what a value has that differs where all were equal.
const MAX_SCORE: f64 = 1e6;
/// Of a normal distribution: the standard deviation over the median distance, 1 / Φ⁻¹(3/4).
const OVER_MEDIAN_DISTANCE: f64 = 1.482_602_218_505_602;
/// Of a normal distribution: the standard deviation over the mean distance, √(π / 2).
const OVER_MEAN_DISTANCE: f64 = 1.253_314_137_315_500_3;

impl Usual {
    /// What is to be said of a value after those of `history` since a time. `None` where they are too
    /// few.
    pub(super) fn judge(
        &self,
        history: &History,
        since: i64,
        (time, value): Reading,
        scratch: &mut Vec<f64>,
    ) -> Option<Judgement> {
        let past = history.between(since, time);
        if past.len() < self.warmup.get() {
            return None;
        }
        scratch.clear();
        // A change is held against changes, and its value is so many seconds of it from the last one.
        let (number, (center, deviation), (last, seconds)) = match self.method {
            Method::Ewma { alpha } => {
                (value, weighted(past.map(|(_, value)| value), 1.0 - alpha), (0.0, 1.0))
            }
            Method::Robust => {
                scratch.extend(past.map(|(_, value)| value));
                (value, robust(scratch)?, (0.0, 1.0))
            }
            Method::Change => {
                let last = past.clone().last()?;
                let seconds = seconds(last.0, time.nanos())?;
                scratch.extend(past.clone().zip(past.skip(1)).filter_map(|(a, b)| change(a, b)));
                ((value - last.1) / seconds, robust(scratch)?, (last.1, seconds))
            }
        };
        let deviation = deviation.max(self.min_deviation);
        let score = score(number - center, deviation);
        let reach = self.reach(deviation);
        let bound = |number: f64| Some(last + seconds * number);
        let usual = Range { above: bound(center + reach), below: bound(center - reach) };
        Some(Judgement { score, is_anomaly: score.abs() > self.threshold, usual })
    }

    /// The greatest distance that is no anomaly. No score is beyond the greatest one.
    fn reach(&self, deviation: f64) -> f64 {
        if self.threshold < MAX_SCORE { self.threshold * deviation } else { f64::INFINITY }
    }
}

/// In deviations.
fn score(distance: f64, deviation: f64) -> f64 {
    if distance == 0.0 { 0.0 } else { (distance / deviation).clamp(-MAX_SCORE, MAX_SCORE) }
}

/// The mean and the standard deviation without bias, the newest value last. The deviation of one value
/// is zero.
fn weighted(values: impl Iterator<Item = f64> + Clone, keep: f64) -> (f64, f64) {
    let (mut sum, mut weight, mut squared_weights) = (0.0, 0.0, 0.0);
    for value in values.clone() {
        sum = keep * sum + value;
        weight = keep * weight + 1.0;
        squared_weights = keep * keep * squared_weights + 1.0;
    }
    let mean = sum / weight;
    let squares = values.fold(0.0, |sum, value| keep * sum + (value - mean) * (value - mean));
    let bias = 1.0 - squared_weights / (weight * weight);
    let variance = if bias > 0.0 { squares / weight / bias } else { 0.0 };
    (mean, variance.sqrt())
}

/// The median, and the usual distance from it as a standard deviation. Where more than half of the values
/// are one, the mean distance instead of the median one. `None` of no values.
fn robust(values: &mut [f64]) -> Option<(f64, f64)> {
    let median = median(values)?;
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    let distance = self::median(values)?;
    let deviation = if distance > 0.0 {
        OVER_MEDIAN_DISTANCE * distance
    } else {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
        let count = values.len() as f64;
        OVER_MEAN_DISTANCE * values.iter().sum::<f64>() / count
    };
    Some((median, deviation))
}

/// The values are put into another order.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().max_by(f64::total_cmp);
    Some(match lower {
        Some(lower) if values.len().is_multiple_of(2) => f64::midpoint(lower, upper),
        _ => upper,
    })
}

/// A second; `None` between values of one time.
fn change((before, from): (i64, f64), (time, to): (i64, f64)) -> Option<f64> {
    Some((to - from) / seconds(before, time)?)
}

/// `None` where the second time is not after the first.
fn seconds(before: i64, time: i64) -> Option<f64> {
    let nanos = time.checked_sub(before).filter(|nanos| *nanos > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a time in floating point")]
    let seconds = nanos as f64 / 1e9;
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_weighted_mean_and_deviation_are_those_of_pandas() {
        // pandas.Series([1, 2, 4, 3]).ewm(alpha=0.5).mean() and .std(), the last of each.
        let (mean, deviation) = weighted([1.0, 2.0, 4.0, 3.0].into_iter(), 0.5);
        assert!((mean - 3.0).abs() < 1e-12, "{mean}");
        assert!((deviation - 1.035_098_339_013_531_3).abs() < 1e-12, "{deviation}");
        assert_eq!(weighted([7.0].into_iter(), 0.5), (7.0, 0.0));
    }

    #[test]
    fn a_score_beyond_all_scales_is_the_greatest_one() {
        assert_eq!((score(0.0, 0.0), score(1.0, 0.0), score(-1.0, 0.0)), (0.0, 1e6, -1e6));
        assert_eq!((score(1e300, 1e-300), score(3.0, 2.0)), (1e6, 1.5));
    }

    #[test]
    fn where_most_values_are_one_the_mean_distance_counts() {
        assert_eq!(robust(&mut [5.0, 5.0, 5.0, 9.0]), Some((5.0, OVER_MEAN_DISTANCE)));
        assert_eq!(robust(&mut [5.0, 5.0]), Some((5.0, 0.0)));
        assert_eq!(robust(&mut []), None);
    }

    #[test]
    fn a_change_is_per_second_and_none_between_values_of_one_time() {
        assert_eq!(change((0, 1.0), (2_000_000_000, 4.0)), Some(1.5));
        assert_eq!((change((5, 1.0), (5, 4.0)), change((6, 1.0), (5, 4.0))), (None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_median_is_the_middle_of_the_sorted_values(
            values in prop::collection::vec(-1e6..1e6_f64, 1..50),
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            prop_assert_eq!(median(&mut values.clone()), Some(f64::midpoint(lower, upper)));
        }
    }
}
