//! Points and moments for the tests of processors, and what each one that remembers must hold to.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Moment, Next};
use crate::decode::Refusal;
use crate::point::{Float, Point, Timestamp, Value};
use crate::record::Offset;
use crate::trial::{self, WholePoint};

/// A moment with this clock.
pub(super) fn at(clock: i64) -> Moment {
    Moment { clock: time(clock), partition: 0, offset: Offset(0) }
}

pub(super) fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(i128::from(nanos)).unwrap()
}

/// The point of a line with nanoseconds; fields in the order of their names.
pub(super) fn line(text: &str) -> Point<'static> {
    let point = trial::lines(text).unwrap().remove(0);
    let value = |value| match value {
        trial::Value::Float(number) => Value::Float(Float::from_number(number).unwrap()),
        trial::Value::Integer(number) => Value::Integer(number),
        trial::Value::Unsigned(number) => Value::Unsigned(number),
        trial::Value::Boolean(boolean) => Value::Boolean(boolean),
        trial::Value::String(text) => Value::String(text.into()),
        trial::Value::Stale => Value::Stale,
    };
    let tags = point.tags.into_iter().map(|(name, text)| (name.into(), text.into()));
    let fields = point.fields.into_iter().map(|(name, found)| (name.into(), value(found)));
    Point {
        measurement: point.measurement.into(),
        tags: tags.collect(),
        fields: fields.collect(),
        timestamp: time(point.nanos.unwrap()),
        to: "".into(),
    }
}

/// The lines of what a processor hands on; fields in the order of their names.
pub(super) fn lines(
    take: impl FnOnce(Next<'_>) -> Result<(), Refusal>,
) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    take(&mut |point| {
        lines.push(WholePoint::of(&point).to_string());
        Ok(())
    })?;
    Ok(lines)
}

/// Records of a point each, in turn; the lines of all that comes of them.
pub(super) fn in_turn(
    texts: &[&str],
    mut take: impl FnMut(&Moment, Point<'_>, Next<'_>) -> Result<(), Refusal>,
) -> Vec<String> {
    let (mut all, mut clock) = (Vec::new(), None);
    for text in texts {
        let point = line(text);
        let newest = point.timestamp;
        let moment = at(clock.unwrap_or(newest).nanos());
        all.extend(lines(|next| take(&moment, point, next)).unwrap());
        clock = clock.max(Some(newest));
    }
    all
}

/// Of every processor in a property.
pub(super) const HORIZON: Duration = Duration::from_nanos(20);

/// A partition's records of a point each: of a few series, mostly in order, some late, some missing a
/// field, some there twice, sometimes with a pause that is longer than the horizon.
pub(super) fn history() -> impl Strategy<Value = Vec<String>> {
    let step =
        prop_oneof![8 => 0..3_i64, 3 => -20..0_i64, 1 => 10..30_i64].prop_map(|step| 2 * step);
    let value = prop_oneof![4 => (0..2_i32).prop_map(f64::from), 1 => -1e3..1e3];
    let record = (0..2_u8, step, value, prop::bool::weighted(0.2));
    prop::collection::vec(record, 1..120).prop_map(|records| {
        let mut clock = 1000;
        let line = |(series, step, value, both): (u8, i64, f64, bool)| {
            let (time, w) = (clock + step, if both { ",w=3i" } else { "" });
            clock = clock.max(time);
            format!("m,s={series} v={value}{w} {time}")
        };
        records.into_iter().map(line).collect()
    })
}

/// A processor that has lost its memory, and has read again all from the first record on that is within
/// the horizon, gives from the cut on what it would have given with its memory.
pub(super) fn rebuilt_as_the_whole<P: Clone>(
    history: &[String],
    cut: Index,
    fresh: &P,
    take: impl Fn(&mut P, &Moment, Point<'_>, Next<'_>) -> Result<(), Refusal>,
) -> Result<(), TestCaseError> {
    let points: Vec<_> = history.iter().map(|text| line(text)).collect();
    // The clock before each record, and after the last.
    let mut clocks = vec![points[0].timestamp];
    for point in &points {
        clocks.push(point.timestamp.max(*clocks.last().unwrap()));
    }
    let run = |from: usize| {
        let mut processor = fresh.clone();
        let outcome = |index: usize| {
            let moment = at(clocks[index].nanos());
            lines(|next| take(&mut processor, &moment, points[index].clone(), next))
        };
        (from..points.len()).map(outcome).collect::<Vec<_>>()
    };
    let cut = cut.index(points.len());
    let expired = clocks[cut].nanos() - i64::try_from(HORIZON.as_nanos()).unwrap();
    let is_needed = |point: &Point<'_>| point.timestamp.nanos() > expired;
    let hold = points[..cut].iter().position(is_needed).unwrap_or(cut);
    prop_assert_eq!(&run(0)[cut..], &run(hold)[cut - hold..], "held at {} of {}", hold, cut);
    Ok(())
}
