//! What the values of a field within a window come to.

use std::cmp::Ordering;

use crate::point::{Float, Value};
use crate::process::values::number;

/// One way of making one value of many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// An integer: how many values of any type there are.
    Count,
    /// A float, as the mean, the deviation and quantiles are.
    Sum,
    /// Of the values' own type, as the maximum, the first and the last are.
    Min,
    Max,
    Mean,
    /// By event time; of values of one time, the one that was read first.
    First,
    /// Of values of one time, the one that was read last.
    Last,
    /// Of a sample: divided by one less than the count. None of a single value.
    Stddev,
    Quantile(Quantile),
}

/// From 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile(f64);

impl Quantile {
    /// `None` for what is not from 0 to 1.
    pub fn new(quantile: f64) -> Option<Self> {
        (0.0..=1.0).contains(&quantile).then_some(Self(quantile))
    }
}

/// All that is known of the values of a field within a window.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    count: i64,
    numbers: Option<Numbers>,
    first: Option<(i64, Value<'static>)>,
    last: Option<(i64, Value<'static>)>,
    /// For quantiles only.
    all: Vec<f64>,
}

/// Of values that are numbers.
#[derive(Debug, Clone)]
struct Numbers {
    count: f64,
    sum: f64,
    /// Welford's running mean, and the sum of the squared differences from it: the sum of squares alone
    /// loses all its digits where values are large and close together.
    mean: f64,
    squares: f64,
    min: (f64, Value<'static>),
    max: (f64, Value<'static>),
}

/// Whether it is a value at all.
pub(super) fn is_value(value: &Value<'_>) -> bool {
    !matches!(value, Value::Stale | Value::NotFinite(_))
}

impl Values {
    pub(super) fn add(&mut self, value: &Value<'_>, time: i64, keep: bool) {
        self.count += 1;
        if self.first.as_ref().is_none_or(|(first, _)| time < *first) {
            self.first = Some((time, value.clone().into_owned()));
        }
        if self.last.as_ref().is_none_or(|(last, _)| time >= *last) {
            self.last = Some((time, value.clone().into_owned()));
        }
        let Some(number) = number(value) else { return };
        match &mut self.numbers {
            Some(numbers) => numbers.add(number, value),
            None => self.numbers = Some(Numbers::new(number, value)),
        }
        if keep {
            self.all.push(number);
        }
    }

    /// Must be called before quantiles are asked for.
    pub(super) fn sort(&mut self) {
        self.all.sort_unstable_by(f64::total_cmp);
    }

    /// `None` where there is no such value: of no numbers, or of one where two are needed.
    pub(super) fn get(&self, aggregate: Aggregate) -> Option<Value<'_>> {
        let numbers = || self.numbers.as_ref();
        let float = |number: f64| Float::from_number(number).map(Value::Float);
        match aggregate {
            Aggregate::Count => Some(Value::Integer(self.count)),
            Aggregate::First => self.first.as_ref().map(|(_, value)| value.clone()),
            Aggregate::Last => self.last.as_ref().map(|(_, value)| value.clone()),
            Aggregate::Min => numbers().map(|numbers| numbers.min.1.clone()),
            Aggregate::Max => numbers().map(|numbers| numbers.max.1.clone()),
            Aggregate::Sum => float(numbers()?.sum),
            Aggregate::Mean => numbers().and_then(|of| float(of.sum / of.count)),
            Aggregate::Stddev => {
                let of = numbers().filter(|of| of.count > 1.0)?;
                float((of.squares / (of.count - 1.0)).sqrt())
            }
            Aggregate::Quantile(quantile) => float(quantile.of(&self.all)?),
        }
    }
}

impl Numbers {
    fn new(number: f64, value: &Value<'_>) -> Self {
        let own = || (number, value.clone().into_owned());
        Self { count: 1.0, sum: number, mean: number, squares: 0.0, min: own(), max: own() }
    }

    fn add(&mut self, number: f64, value: &Value<'_>) {
        self.count += 1.0;
        self.sum += number;
        let before = number - self.mean;
        self.mean += before / self.count;
        self.squares += before * (number - self.mean);
        if order(number, value, &self.min) == Ordering::Less {
            self.min = (number, value.clone().into_owned());
        }
        if order(number, value, &self.max) == Ordering::Greater {
            self.max = (number, value.clone().into_owned());
        }
    }
}

/// Whole numbers are compared as such: as floats, large ones are equal to their neighbours.
fn order(number: f64, value: &Value<'_>, (other, of): &(f64, Value<'_>)) -> Ordering {
    let whole = |value: &Value<'_>| match value {
        Value::Integer(number) => Some(i128::from(*number)),
        Value::Unsigned(number) => Some(i128::from(*number)),
        _ => None,
    };
    match (whole(value), whole(of)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => number.total_cmp(other),
    }
}

impl Quantile {
    /// Between two values, in proportion (R's type 7, as numpy and pandas do it).
    fn of(self, sorted: &[f64]) -> Option<f64> {
        let last = sorted.len().checked_sub(1)?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 values")]
        let place = self.0 * last as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to the last index"
        )]
        let below = (place.floor() as usize).min(last);
        let above = (below + 1).min(last);
        Some(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
    }
}
