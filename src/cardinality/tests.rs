use proptest::prelude::*;

use super::*;
use crate::point::{Float, Timestamp, Value};

fn rules() -> Rules {
    Rules {
        warn_at: 1_000_000,
        max_series: None,
        max_tag_values: None,
        tags: BTreeMap::new(),
        over_limit: OverLimit::Reject,
    }
}

fn limited(most: usize, over_limit: OverLimit) -> Rules {
    Rules { max_tag_values: NonZeroUsize::new(most), over_limit, ..rules() }
}

fn point<'a>(device: &'a str, millis: i64, field: &'a str) -> Point<'a> {
    Point {
        measurement: "m".into(),
        tags: vec![("device".into(), device.into()), ("site".into(), "north".into())],
        fields: vec![(field.into(), Value::Float(Float::Number(1.0)))],
        timestamp: Timestamp::from_millis(millis).unwrap(),
        to: "".into(),
    }
}

fn origin(offset: i64) -> Origin {
    Origin { offset: Offset(offset), index: 0 }
}

/// A guard and what it shares.
fn guard(rules: Rules) -> (Guard, Cardinality) {
    let cardinality = Cardinality::default();
    (Guard::new("c", rules, &cardinality), cardinality)
}

fn tags(point: Option<Point<'_>>) -> Vec<(String, String)> {
    let point = point.expect("a changed point");
    point.tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn series_and_the_values_of_each_tag_are_counted_over_all_workers() {
    let (mut one, cardinality) = guard(rules());
    let mut other = Guard::new("c", rules(), &cardinality);
    for n in 0..200 {
        let device = format!("d{}", n % 100);
        let guard = if n < 150 { &mut one } else { &mut other };
        guard.take(&point(&device, n, "f"), origin(n)).unwrap();
    }
    assert!(cardinality.series().abs_diff(100) <= 5, "{}", cardinality.series());
    let tags = cardinality.tags();
    assert_eq!((tags[0].0.as_str(), tags[1].0.as_str(), tags[1].1), ("device", "site", 1));
    assert!(tags[0].1.abs_diff(100) <= 5, "{tags:?}");
}

#[test]
fn two_messages_of_one_series_and_time_collide_and_a_replay_of_one_does_not() {
    let (mut guard, cardinality) = guard(rules());
    let mut take = |device, millis, field, offset| {
        guard.take(&point(device, millis, field), origin(offset)).unwrap();
        cardinality.colliding().get()
    };
    assert_eq!(take("a", 1, "f", 10), 0);
    assert_eq!(take("a", 1, "f", 10), 0, "the same record again");
    assert_eq!(take("b", 1, "f", 11), 0, "another series");
    assert_eq!(take("a", 1, "g", 12), 0, "another field of the same time");
    assert_eq!(take("a", 2, "f", 13), 0, "another time");
    assert_eq!(take("a", 2, "f", 14), 1);
}

#[test]
fn two_points_of_one_message_collide_as_well() {
    let (mut guard, cardinality) = guard(rules());
    for index in 0..3 {
        guard.take(&point("a", 1, "f"), Origin { offset: Offset(7), index }).unwrap();
    }
    assert_eq!(cardinality.colliding().get(), 2);
}

#[test]
fn a_new_value_beyond_the_limit_is_treated_as_the_rule_says_and_known_ones_pass() {
    let site = ("site".to_owned(), "north".to_owned());
    for over_limit in [OverLimit::Reject, OverLimit::DropTag, OverLimit::Other] {
        let (mut guard, cardinality) = guard(limited(2, over_limit));
        for device in ["a", "b", "a"] {
            assert!(guard.take(&point(device, 1, "f"), origin(1)).unwrap().is_none());
        }
        for repeat in 1..3 {
            let over = point("c", 1, "f");
            let taken = guard.take(&over, origin(2));
            match over_limit {
                OverLimit::Reject => {
                    let Err(Refusal::Rejected(reject)) = taken else { panic!("{taken:?}") };
                    assert!(reject.reason.contains("tag device"), "{}", reject.reason);
                }
                OverLimit::DropTag => assert_eq!(tags(taken.unwrap()), std::slice::from_ref(&site)),
                OverLimit::Other => {
                    let other = ("device".to_owned(), "other".to_owned());
                    assert_eq!(tags(taken.unwrap()), [other, site.clone()]);
                }
            }
            assert_eq!(cardinality.over_limit().get(), repeat);
        }
        assert!(guard.take(&point("b", 3, "f"), origin(3)).unwrap().is_none());
    }
}

#[test]
fn a_tag_of_its_own_limit_has_that() {
    let tags = BTreeMap::from([("device".to_owned(), NonZeroUsize::new(3).unwrap())]);
    let (mut guard, _) = guard(Rules { tags, ..limited(1, OverLimit::Reject) });
    for device in ["a", "b", "c"] {
        guard.take(&point(device, 1, "f"), origin(1)).unwrap();
    }
    guard.take(&point("d", 1, "f"), origin(1)).unwrap_err();
}

#[test]
fn a_new_series_beyond_the_limit_rejects_its_record_and_names_it() {
    let (mut guard, _) = guard(Rules { max_series: NonZeroUsize::new(1), ..rules() });
    guard.take(&point("a", 1, "f"), origin(1)).unwrap();
    guard.take(&point("a", 2, "f"), origin(2)).unwrap();
    let Err(Refusal::Rejected(reject)) = guard.take(&point("b", 2, "f"), origin(3)) else {
        panic!("a second series")
    };
    assert!(reject.reason.contains("m,device=b,site=north"), "{}", reject.reason);
}

#[test]
fn tags_made_of_data_do_not_fill_the_memory() {
    let (mut guard, cardinality) = guard(rules());
    for n in 0..1000 {
        let name = format!("tag{n:04}");
        let mut point = point("a", n, "f");
        point.tags = vec![(name.as_str().into(), "v".into())];
        guard.take(&point, origin(n)).unwrap();
    }
    assert_eq!((cardinality.tags().len(), guard.tags.len()), (MOST_TAGS, MOST_TAGS));
}

proptest! {
    /// However the points are mixed, no more values of a tag are let through than its limit.
    #[test]
    fn never_more_values_than_the_limit(
        devices in proptest::collection::vec(0..50_u8, 1..300), most in 1..20_usize
    ) {
        let (mut guard, _) = guard(limited(most, OverLimit::Other));
        let mut written = HashSet::new();
        for (n, device) in (0..).zip(devices) {
            let device = format!("d{device}");
            let point = point(&device, n, "f");
            let changed = guard.take(&point, origin(n)).unwrap();
            let tags = changed.as_ref().map_or(&point.tags, |point| &point.tags);
            written.insert(tags[0].1.to_string());
        }
        written.remove(OTHER);
        prop_assert!(written.len() <= most);
    }
}

/// Series that took places from one another while others were free cost 7 % of a thousand series' points the long way.
#[test]
fn a_thousand_series_have_places_of_their_own() {
    let (mut guard, _) = guard(rules());
    let devices: Vec<_> = (0..1000).map(|n| format!("device-{n:04}")).collect();
    for round in 0..3 {
        for (at, device) in (0..).zip(&devices) {
            let point = point(device, round, "f");
            let (time, at) = (point.timestamp, origin(1000 * round + at));
            let passes = guard.lets_pass(Key::of(&point), time, at);
            assert_eq!(passes, round > 0, "{device}");
            guard.take(&point, at).unwrap();
        }
    }
}
