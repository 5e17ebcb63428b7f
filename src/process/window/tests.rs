use std::borrow::Cow;

use super::*;
use crate::point::{Float, Value};
use crate::process::Processor;
use crate::process::chain::Chain;
use crate::record::Offset;

const SECOND: i64 = 1_000_000_000;

/// A chain, and what has come out of it, as `measurement field=value… second`.
struct Windows {
    chain: Chain,
    offset: i64,
    written: Vec<String>,
}

fn rules(size: u64, every: u64, lateness: u64, aggregates: &[(Aggregate, &str)]) -> Rules {
    let seconds = Duration::from_secs;
    let aggregates = aggregates.iter().map(|(how, name)| (*how, (*name).to_owned())).collect();
    let fields = vec![Aggregated { field: "v".into(), aggregates }];
    Rules::new(seconds(size), seconds(every), seconds(lateness), fields).unwrap()
}

fn point(measurement: &str, second: i64, value: Value<'static>) -> Point<'static> {
    Point {
        measurement: Cow::Owned(measurement.to_owned()),
        tags: vec![("t".into(), "x".into())],
        fields: vec![("v".into(), value)],
        timestamp: Timestamp::from_nanos((second * SECOND).into()).unwrap(),
        to: "".into(),
    }
}

fn float(value: f64) -> Value<'static> {
    Value::Float(Float::Number(value))
}

impl Windows {
    fn of(rules: Rules) -> Self {
        let chain = Chain::new(&[Processor::Window(Window::new(rules))]);
        Self { chain, offset: 0, written: Vec::new() }
    }

    fn record(&mut self, points: Vec<Point<'static>>) -> Result<(), Refusal> {
        let at = ("t", 0, Offset(self.offset));
        self.offset += 1;
        self.chain.begin_record();
        for point in points {
            self.chain.gather(at, None, point).unwrap();
        }
        let written = &mut self.written;
        self.chain.end_record(at, &mut |point| {
            let fields: Vec<_> =
                point.fields.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let second = point.timestamp.nanos() / SECOND;
            written.push(format!("{} {} {second}", point.measurement, fields.join(",")));
            Ok(())
        })
    }

    /// A record of one point.
    fn take(&mut self, second: i64, value: f64) -> Result<(), Refusal> {
        self.record(vec![point("m", second, float(value))])
    }

    fn written(&mut self) -> Vec<String> {
        std::mem::take(&mut self.written)
    }
}

fn shown(second: i64, fields: &[(&str, Value<'static>)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("m {} {second}", fields.join(","))
}

#[test]
fn a_window_closes_when_the_clock_has_reached_its_end_and_the_lateness() {
    let mut windows = Windows::of(rules(10, 10, 5, &[(Aggregate::Sum, "sum")]));
    windows.take(100, 1.0).unwrap();
    windows.take(109, 2.0).unwrap();
    windows.take(114, 4.0).unwrap();
    windows.take(103, 8.0).unwrap();
    assert_eq!(windows.written(), [] as [&str; 0]);
    windows.take(115, 16.0).unwrap();
    assert_eq!(windows.written(), [shown(100, &[("sum", float(11.0))])]);
    assert_eq!(windows.chain.take_late(), 0);
    windows.take(109, 32.0).unwrap();
    assert_eq!((windows.written(), windows.chain.take_late()), (vec![], 1));
    windows.take(125, 0.0).unwrap();
    assert_eq!(windows.written(), [shown(110, &[("sum", float(20.0))])]);
}

#[test]
fn each_window_that_a_point_lies_in_has_it_also_before_1970() {
    let mut windows = Windows::of(rules(10, 5, 0, &[(Aggregate::Count, "count")]));
    windows.take(-7, 1.0).unwrap();
    windows.take(-1, 1.0).unwrap();
    windows.take(20, 1.0).unwrap();
    let count = |start, count| shown(start, &[("count", Value::Integer(count))]);
    assert_eq!(windows.written(), [count(-15, 1), count(-10, 2), count(-5, 1)]);
}

#[test]
fn points_of_one_record_are_not_late_for_each_other() {
    let mut windows = Windows::of(rules(10, 10, 0, &[(Aggregate::Count, "count")]));
    let points = [100, 110, 130, 101].map(|second| point("m", second, float(1.0)));
    windows.record(points.to_vec()).unwrap();
    let count = |start, count| shown(start, &[("count", Value::Integer(count))]);
    assert_eq!(windows.written(), [count(100, 2), count(110, 1)]);
}

/// A backfill begins in the midst of a window that is complete in the database.
#[test]
fn a_window_that_may_lack_points_from_before_the_first_is_not_given_when_warming_up() {
    let mut windows = Windows::of(rules(10, 5, 0, &[(Aggregate::Count, "count")]));
    windows.chain.warm_up();
    for second in [103, 104, 108, 140] {
        windows.take(second, 1.0).unwrap();
    }
    assert_eq!(windows.written(), [shown(105, &[("count", Value::Integer(1))])]);
}

#[test]
fn every_aggregate_is_what_it_says() {
    let quantile = |quantile| Aggregate::Quantile(Quantile::new(quantile).unwrap());
    let aggregates = [
        (Aggregate::Count, "count"),
        (Aggregate::Sum, "sum"),
        (Aggregate::Min, "min"),
        (Aggregate::Max, "max"),
        (Aggregate::Mean, "mean"),
        (Aggregate::First, "first"),
        (Aggregate::Last, "last"),
        (Aggregate::Stddev, "stddev"),
        (quantile(0.5), "p50"),
        (quantile(0.9), "p90"),
    ];
    let mut windows = Windows::of(rules(10, 10, 0, &aggregates));
    for (second, value) in [(105, 2), (101, 4), (109, 4), (102, 4), (103, 5), (104, 5), (106, 7)] {
        windows.record(vec![point("m", second, Value::Integer(value))]).unwrap();
    }
    windows.record(vec![point("m", 109, Value::Integer(9))]).unwrap();
    windows.take(110, 0.0).unwrap();
    // numpy: mean 5, std(ddof=1) 2.13808993…, quantiles 4.5 and 7.6 of 2 4 4 4 5 5 7 9.
    let stddev = (32.0_f64 / 7.0).sqrt();
    let expected = shown(
        100,
        &[
            ("count", Value::Integer(8)),
            ("sum", float(40.0)),
            ("min", Value::Integer(2)),
            ("max", Value::Integer(9)),
            ("mean", float(5.0)),
            ("first", Value::Integer(4)),
            ("last", Value::Integer(9)),
            ("stddev", float(stddev)),
            ("p50", float(4.5)),
            ("p90", float(7.0 + 2.0 * (0.9 * 7.0 - 6.0))),
        ],
    );
    assert_eq!(windows.written(), [expected]);
}

#[test]
fn a_deviation_needs_two_values_and_keeps_its_digits_where_they_are_large_and_close() {
    let mut windows = Windows::of(rules(10, 10, 0, &[(Aggregate::Stddev, "stddev")]));
    windows.take(100, 1.0).unwrap();
    for value in [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0] {
        windows.take(110, value).unwrap();
    }
    windows.take(120, 1.0).unwrap();
    assert_eq!(windows.written(), [shown(110, &[("stddev", float(30.0_f64.sqrt()))])]);
}

#[test]
fn series_beyond_the_limit_and_values_beyond_theirs_are_rejected_and_others_go_on() {
    let quantile = Aggregate::Quantile(Quantile::new(0.5).unwrap());
    let mut rules = rules(10, 10, 0, &[(quantile, "p50")]);
    (rules.max_series, rules.max_values) =
        (NonZeroUsize::new(2).unwrap(), NonZeroUsize::new(3).unwrap());
    let mut windows = Windows::of(rules);
    let one = |name| point(name, 100, float(1.0));
    let refused = windows.record(vec![one("a"), one("b"), one("c"), one("a")]).unwrap_err();
    assert!(matches!(refused, Refusal::Rejected(reject) if reject.reason.contains("max_series")));
    let refused = windows.record(vec![one("b")]).unwrap_err();
    assert!(matches!(refused, Refusal::Rejected(reject) if reject.reason.contains("max_values")));
    windows.record(vec![point("c", 110, float(2.0))]).unwrap();
    assert_eq!(windows.written().len(), 2);
}

#[test]
fn what_a_window_gives_is_not_late_for_the_next_one() {
    let sum = |size, name| rules(size, size, 3, &[(Aggregate::Sum, name)]);
    let mut of_sums = sum(20, "w");
    of_sums.fields[0].field = "v".into();
    let chain = Chain::new(&[
        Processor::Window(Window::new(sum(10, "v"))),
        Processor::Window(Window::new(of_sums)),
    ]);
    let mut windows = Windows { chain, offset: 0, written: Vec::new() };
    for second in 100..200 {
        windows.take(second, 1.0).unwrap();
    }
    assert_eq!(windows.chain.take_late(), 0);
    // The last that is closed by 199 - 13: its end and 3 seconds are over by then.
    let expected: Vec<_> =
        (100..180).step_by(20).map(|start| shown(start, &[("w", float(20.0))])).collect();
    assert_eq!(windows.written(), expected[..4]);
}
