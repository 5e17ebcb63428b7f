use proptest::prelude::*;

use super::*;
use crate::decode::input::MAX_VALUES;
use crate::decode::json::{self, whole};

fn slots<'a>(value: Value<'a>, paths: &[&str]) -> Vec<Slot<'a>> {
    let mut trie = PathTrie::new();
    for path in paths {
        trie.slot(&path.parse().unwrap());
    }
    filled(value, &trie)
}

#[test]
fn of_a_repeated_key_the_last_value_counts_and_nothing_of_the_first_is_left() {
    let value = whole(br#"{"a":{"b":1},"a":{"c":2}}"#).unwrap();
    assert_eq!(slots(value, &["a.b", "a.c"]), [Slot::Missing, Slot::Number("2".into())]);
}

#[test]
fn a_document_that_is_nested_too_deeply_is_an_error() {
    let text = "[".repeat(200_000) + &"]".repeat(200_000);
    assert!(whole(text.as_bytes()).is_err());
}

#[test]
fn a_document_of_too_many_values_is_an_error() {
    let text = format!("[{}0]", "0,".repeat(MAX_VALUES));
    let error = whole(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("more than 1048576 values"), "{error}");
}

#[test]
fn decimals_are_exact_where_they_are_whole_and_the_nearest_float_otherwise() {
    let decimal = |number: i128, scale| Value::decimal(&number.to_be_bytes(), scale);
    assert_eq!(decimal(-101_325, 3), Some(Value::Float(-101.325)));
    assert_eq!(decimal(9_007_199_254_740_993, 0), Some(Value::Integer(9_007_199_254_740_993)));
    assert_eq!(decimal(7, -3), Some(Value::Integer(7000)));
    assert_eq!(Value::decimal(&[], 2), Some(Value::Float(0.0)));
    assert_eq!(Value::decimal(&[0xff], 1), Some(Value::Float(-0.1)));
    // A sign that takes more bytes than the number, and a number that does.
    assert_eq!(Value::decimal(&[0xff; 40], 0), Some(Value::Integer(-1)));
    assert_eq!(Value::decimal(&[0x7f; 40], 0), None);
    assert_eq!(decimal(1, i32::MIN), None);
    assert_eq!(decimal(1, i32::MAX), None);
}

#[test]
fn times_of_day_and_days_are_text() {
    let text = |value: Option<Value<'static>>| value.unwrap().into_key().unwrap();
    assert_eq!(text(Value::time_of_day(47_100_250_000_000)), "13:05:00.25");
    assert_eq!(text(Value::date(-1)), "1969-12-31T00:00:00Z");
    assert_eq!(text(Value::time(1_795_341_600_250_000_000)), "2026-11-22T10:00:00.25Z");
    assert_eq!(Value::time_of_day(86_400_000_000_000), None);
    assert_eq!(Value::date(i64::MAX), None);
    assert_eq!(Value::time(i128::MAX), None);
}

proptest! {
    #[test]
    fn the_walk_finds_what_the_json_scanner_finds(document in any_json()) {
        let text = document.to_string();
        let mut trie = PathTrie::new();
        for path in ["$", "a", "a.b", "a[0]", "b[1].a", "b.a.b"] {
            trie.slot(&path.parse().unwrap());
        }
        let (mut scanned, mut walked) = (vec![Slot::Null; 6], vec![Slot::Null; 6]);
        json::decode(text.as_bytes(), &trie, &mut scanned).unwrap();
        fill(whole(text.as_bytes()).unwrap(), &trie, &mut walked);
        prop_assert_eq!(scanned, walked);
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e9..1e9).prop_map(|number: f64| number.into()),
        ".{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON has a scanner of its own: both gather the same.
#[test]
fn elements_and_entries_are_what_the_scanner_of_json_gathers() {
    use crate::decode::Slot;
    use crate::path::{Path, PathTrie};
    let mut trie = PathTrie::new();
    let array: Path = "r".parse().unwrap();
    for path in ["v", "o.x", "$"] {
        trie.elements(&array).paths.slot(&path.parse().unwrap());
    }
    trie.elements(&array).paths.entries(&"o".parse().unwrap(), 1);
    trie.entries(&Path::default(), 3);
    trie.slot(&"r[1].v".parse().unwrap());
    for message in [
        r#"{"r":[{"v":"a","o":{"x":true,"y":null}},{"v":"b"},"c",[]],"s":"t","o":{"p":{"q":"z"}}}"#,
        r#"{"r":[],"o":{}}"#,
        r#"{"r":{"v":"a"}}"#,
        r#"["a"]"#,
    ] {
        let (mut ours, mut theirs) =
            (vec![Slot::Missing; trie.slots()], vec![Slot::Missing; trie.slots()]);
        super::fill(whole(message.as_bytes()).unwrap(), &trie, &mut ours);
        crate::decode::json::decode(message.as_bytes(), &trie, &mut theirs).unwrap();
        assert_eq!(ours, theirs, "{message}");
    }
}
