//! Histograms with exponential buckets, as cumulative buckets with an upper bound each: what every
//! database and every query knows.

/// Both signs of one histogram. `OpenTelemetry` calls these exponential, Prometheus native histograms.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Exponential {
    /// The base of the buckets' bounds is 2^(2^-scale).
    pub(super) scale: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: f64,
    /// Of the bucket from base^index to base^(index + 1): its index, ascending, and its count.
    pub(super) positive: Vec<(i64, f64)>,
    /// The same of the values' opposites.
    pub(super) negative: Vec<(i64, f64)>,
}

impl Exponential {
    /// The upper bound of each bucket that has something in it, ascending, and how much is at most that.
    pub(super) fn cumulative(&self) -> Vec<(f64, f64)> {
        let negative =
            self.negative.iter().rev().map(|(index, count)| (-self.bound(*index), *count));
        let zero = (self.zero_threshold, self.zero_count);
        let positive = self.positive.iter().map(|(index, count)| (self.bound(index + 1), *count));
        let mut below = 0.0;
        let buckets = negative.chain([zero]).chain(positive).filter(|(_, count)| *count != 0.0);
        let sums = buckets.map(|(bound, count)| {
            below += count;
            (bound, below)
        });
        sums.collect()
    }

    /// base^index.
    fn bound(&self, index: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an index is of 32 bits, one more at most")]
        let index = index as f64;
        (index * f64::from(-self.scale).exp2()).exp2()
    }
}

/// A bucket's upper bound as the label `le`, the way Go's `%g` spells it and so Prometheus does.
pub(super) fn bound_text(bound: f64) -> String {
    if bound == f64::INFINITY {
        return "+Inf".into();
    }
    let size = bound.abs();
    if bound == 0.0 || (1e-4..1e21).contains(&size) { bound.to_string() } else { exponent(bound) }
}

/// With an exponent of at least two digits and its sign.
fn exponent(bound: f64) -> String {
    let text = format!("{bound:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) =
                exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_from_the_lowest_value_to_the_highest() {
        let histogram = Exponential {
            scale: 0,
            zero_threshold: 0.5,
            zero_count: 1.0,
            positive: vec![(0, 2.0), (1, 0.0), (2, 3.0)],
            negative: vec![(0, 1.0), (3, 4.0)],
        };
        let expected = [(-8.0, 4.0), (-1.0, 5.0), (0.5, 6.0), (2.0, 8.0), (8.0, 11.0)];
        assert_eq!(histogram.cumulative(), expected);
    }

    #[test]
    fn a_scale_is_the_number_of_times_that_a_power_of_two_is_halved() {
        let at = |scale, index| Exponential { scale, ..Exponential::default() }.bound(index);
        assert_eq!((at(1, 2), at(3, 8), at(-1, 1), at(0, -1)), (2.0, 2.0, 4.0, 0.5));
    }

    #[test]
    fn bounds_are_spelled_as_prometheus_spells_them() {
        let spelled = [0.005, 10.0, 1e6, 1e-5, 2.5e22, f64::INFINITY, -0.25, 0.0].map(bound_text);
        assert_eq!(spelled, ["0.005", "10", "1000000", "1e-05", "2.5e+22", "+Inf", "-0.25", "0"]);
    }
}
