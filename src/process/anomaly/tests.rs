use proptest::prelude::*;

use super::*;
use crate::process::testing::{
    HORIZON, at, history, in_turn, line, lines, rebuilt_as_the_whole, time,
};

fn most(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn names() -> Names {
    let (score, anomaly) = ("v_score".into(), "v_anomaly".into());
    Names { field: "v".into(), score, anomaly, low: None, high: None }
}

fn with_band(mut anomaly: Anomaly) -> Anomaly {
    anomaly.names.low = Some("v_low".into());
    anomaly.names.high = Some("v_high".into());
    anomaly
}

fn unusual(method: Method, over: Duration, points: usize, warmup: usize) -> Anomaly {
    let usual = Usual { method, warmup: most(warmup), threshold: 3.0, min_deviation: 0.0 };
    Anomaly::unusual(usual, names(), over, most(points), most(100))
}

fn run(mut anomaly: Anomaly, texts: &[&str]) -> Vec<String> {
    in_turn(texts, |moment, point, next| anomaly.take(moment, point, next))
}

#[test]
fn a_value_is_held_against_those_before_it_in_its_series() {
    let anomaly = unusual(Method::Robust, Duration::from_nanos(100), 10, 3);
    let texts = ["m v=1 1", "m v=2 2", "m,t=x v=7 2", "m v=3 3", "m v=3i 4", "m v=90 5", "m w=1 6"];
    assert_eq!(
        run(anomaly, &texts),
        [
            "m v=1 1",
            "m v=2 2",
            // Another series.
            "m,t=x v=7 2",
            // Too few before it.
            "m v=3 3",
            // The median is 2, the distances to it are 1, 0, 1.
            &format!("m v=3i,v_anomaly=false,v_score={} 4", 1.0 / 1.482_602_218_505_602),
            // 2.5; 1.5, 0.5, 0.5, 0.5.
            &format!("m v=90,v_anomaly=true,v_score={} 5", 87.5 / (1.482_602_218_505_602 * 0.5)),
            "m w=1 6",
        ]
    );
}

#[test]
fn what_is_longer_ago_than_over_or_beyond_the_newest_points_does_not_count() {
    let texts = ["m v=1 1", "m v=2 2", "m v=2 3", "m v=5 4"];
    let scored = |over, points| {
        let anomaly = unusual(Method::Robust, Duration::from_nanos(over), points, 2);
        run(anomaly, &texts)[3].clone()
    };
    // Held against 2 and 2, which never differ.
    let against_two = "m v=5,v_anomaly=true,v_score=1000000 4";
    assert_eq!(scored(100, 2), against_two);
    assert_eq!(scored(3, 100), against_two);
    assert_eq!(scored(2, 100), "m v=5 4", "only one is left");
    // Held against 1, 2 and 2: the median is 2, the distances 1, 0, 0, of which the mean is a third.
    let score = 3.0 / (1.253_314_137_315_500_3 * 1.0 / 3.0);
    assert_eq!(scored(100, 3), format!("m v=5,v_anomaly=true,v_score={score} 4"));
}

#[test]
fn a_late_point_is_held_against_those_before_its_time() {
    let anomaly = unusual(Method::Ewma { alpha: 0.5 }, Duration::from_nanos(100), 10, 2);
    let texts = ["m v=1 1", "m v=1 2", "m v=9 8", "m v=1 5"];
    assert_eq!(run(anomaly, &texts)[3], "m v=1,v_anomaly=false,v_score=0 5");
}

#[test]
fn a_change_is_held_against_the_changes_before_it() {
    let anomaly = unusual(Method::Change, Duration::from_secs(100), 10, 4);
    let second = |number: i64| number * 1_000_000_000;
    let texts: Vec<String> = [0.0, 1.0, 2.5, 3.5, 4.0, 9.0]
        .iter()
        .zip(0..)
        .map(|(value, number)| format!("m v={value} {}", second(number)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scored = run(anomaly, &texts);
    // The changes 1, 1.5, 1: the median is 1, the mean distance to it a sixth.
    let score = -0.5 / (1.253_314_137_315_500_3 * 0.5 / 3.0);
    assert_eq!(scored[4], format!("m v=4,v_anomaly=false,v_score={score} {}", second(4)));
    // 1, 1.5, 1, 0.5: the distances are 0, 0.5, 0, 0.5.
    let score = 4.0 / (1.482_602_218_505_602 * 0.25);
    assert_eq!(scored[5], format!("m v=9,v_anomaly=true,v_score={score} {}", second(5)));
}

#[test]
fn a_deviation_below_the_least_counts_as_that() {
    let usual =
        Usual { method: Method::Robust, warmup: most(2), threshold: 3.0, min_deviation: 2.0 };
    let anomaly = Anomaly::unusual(usual, names(), Duration::from_nanos(100), most(9), most(9));
    let texts = ["m v=1 1", "m v=1 2", "m v=4 3"];
    assert_eq!(run(anomaly, &texts)[2], "m v=4,v_anomaly=false,v_score=1.5 3");
}

#[test]
fn a_band_has_what_would_be_usual_before_the_value_is_seen() {
    let band = |method, min_deviation, texts: &[&str]| {
        let usual = Usual { method, warmup: most(2), threshold: 3.0, min_deviation };
        let over = Duration::from_secs(100);
        let scored =
            run(with_band(Anomaly::unusual(usual, names(), over, most(9), most(9))), texts);
        scored.last().unwrap().clone()
    };
    let texts = ["m v=1 1", "m v=2 2", "m v=9 3"];
    assert_eq!(band(Method::Robust, 0.0, &texts[..2]), "m v=2 2", "too few before it");
    // The median is 1.5, a deviation of at least 2 counts.
    assert_eq!(
        band(Method::Robust, 2.0, &texts),
        "m v=9,v_anomaly=true,v_high=7.5,v_low=-4.5,v_score=3.75 3"
    );
    // The change is 1 a second, give or take 2: two seconds after a 2 that is between -8 and 16.
    let texts = ["m v=1 1000000000", "m v=2 2000000000", "m v=9 4000000000"];
    assert_eq!(
        band(Method::Change, 2.0, &texts),
        "m v=9,v_anomaly=false,v_high=16,v_low=-8,v_score=1.25 4000000000"
    );
}

#[test]
fn a_band_of_bounds_is_open_where_there_is_none() {
    let bands = vec![Band {
        hours: Some(Hours { from: 0, to: 1 }),
        weekdays: Vec::new(),
        range: Range { above: Some(5.0), below: None },
    }];
    let otherwise = Range { above: None, below: Some(1.0) };
    let bounds = Bounds { bands, otherwise, zone: jiff::tz::TimeZone::UTC };
    assert_eq!(
        run(with_band(Anomaly::beyond(bounds, names())), &["m v=3 1", "m v=0 60000000000"]),
        [
            "m v=3,v_anomaly=false,v_high=5,v_score=0 1",
            "m v=0,v_anomaly=true,v_low=1,v_score=-1 60000000000",
        ]
    );
}

#[test]
fn a_threshold_that_no_score_reaches_leaves_the_band_open() {
    let usual =
        Usual { method: Method::Robust, warmup: most(1), threshold: 1e6, min_deviation: 0.0 };
    let anomaly = Anomaly::unusual(usual, names(), Duration::from_secs(1), most(9), most(9));
    let texts = ["m v=1 1", "m v=7 2"];
    assert_eq!(run(with_band(anomaly), &texts)[1], "m v=7,v_anomaly=false,v_score=1000000 2");
}

#[test]
fn a_tag_of_the_name_rejects_the_record() {
    let range = Range { above: Some(1.0), below: None };
    let zone = jiff::tz::TimeZone::UTC;
    let mut anomaly =
        Anomaly::beyond(Bounds { bands: Vec::new(), otherwise: range, zone }, names());
    let mut take = |text| lines(|next| anomaly.take(&at(1), line(text), next));
    assert_eq!(take("m v=3 1").unwrap(), ["m v=3,v_anomaly=true,v_score=2 1"]);
    assert_eq!(take("m v=1 1").unwrap(), ["m v=1,v_anomaly=false,v_score=0 1"]);
    let Err(Refusal::Rejected(reject)) = take("m,v_score=x v=3 1") else { panic!() };
    assert!(reject.reason.contains("a tag has this name"), "{}", reject.reason);
}

fn method() -> impl Strategy<Value = Method> {
    let ewma = (0.1..0.9).prop_map(|alpha| Method::Ewma { alpha });
    prop_oneof![Just(Method::Robust), Just(Method::Change), ewma]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_state_rebuilt_from_the_horizon_on_is_as_good_as_the_whole_history(
        history in history(), cut in any::<prop::sample::Index>(), points in 1_usize..8,
        method in method(),
    ) {
        let fresh = with_band(unusual(method, HORIZON, points, 1));
        rebuilt_as_the_whole(&history, cut, &fresh, Anomaly::take)?;
    }

    #[test]
    fn a_value_is_outside_its_band_just_where_its_score_is_beyond_the_threshold(
        values in prop::collection::vec(prop_oneof![(0..4_i32).prop_map(f64::from), -1e3..1e3], 2..20),
        method in method(), threshold in 0.1..9.0, min_deviation in prop_oneof![Just(0.0), 0.0..10.0],
        seconds in 1..100_i64,
    ) {
        let usual = Usual { method, warmup: most(1), threshold, min_deviation };
        let (mut history, mut scratch) = (History::default(), Vec::new());
        for (value, number) in values.into_iter().zip(1..) {
            // Not evenly, so that a change is not the same as a difference.
            let time = time(number * number * seconds * 1_000_000_000);
            if let Some(judged) = usual.judge(&history, i64::MIN, (time, value), &mut scratch) {
                let (low, high) = (judged.usual.below.unwrap(), judged.usual.above.unwrap());
                prop_assert!(low <= high, "{low} {high}");
                // At the very bound rounding may have it either way.
                let is_at = |bound: f64| (value - bound).abs() <= 1e-9 * (1e3 + bound.abs());
                if !is_at(low) && !is_at(high) {
                    let is_outside = value < low || value > high;
                    prop_assert_eq!(judged.score.abs() > threshold, is_outside, "{:?}", judged);
                    prop_assert_eq!(judged.is_anomaly, is_outside);
                }
            }
            history.add(time, value, most(12));
        }
    }
}
