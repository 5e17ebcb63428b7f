//! Any batch, by any rules, against a model of them, as prost reads both messages.
//!
//! `TIDEGATE_BATCHES` is how many; `make test` takes ten thousand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::config::raw::NameScheme;
use crate::encode::oracle;

/// A field's value.
#[derive(Debug, Clone)]
enum Given {
    Number(f64),
    Text(String),
    Null,
}

/// A point in owned parts.
#[derive(Debug, Clone)]
struct Parts {
    measurement: &'static str,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, Given>,
    millis: i64,
}

type Series = BTreeMap<String, String>;

fn parts() -> impl Strategy<Value = Parts> {
    let value = prop_oneof![
        4 => (-1e3..1e3).prop_map(Given::Number),
        1 => Just(Given::Null),
        1 => "[a-b]?".prop_map(Given::Text),
    ];
    (
        prop::sample::select(vec!["m", "1.m", "é"]),
        prop::collection::btree_map(
            "[A-Za-c_.0-2é]{1,2}",
            prop_oneof![9 => "[a-b]", 1 => ".{1,200}"],
            0..3,
        ),
        prop::collection::btree_map("[a-bA.]{1,2}|value", value, 1..4),
        prop_oneof![-2i64..5, any::<i32>().prop_map(i64::from)],
    )
        .prop_map(|(measurement, tags, fields, millis)| Parts {
            measurement,
            tags,
            fields,
            millis,
        })
}

fn rules() -> impl Strategy<Value = SeriesRules> {
    let name = vec![NamePiece::Field, NamePiece::Text(".x:".into()), NamePiece::Measurement];
    let only = vec![NamePiece::Measurement];
    (
        prop::sample::select(vec![None, None, Some(name), Some(only)]),
        prop::sample::select(vec![NameScheme::Legacy, NameScheme::Utf8]),
        prop::sample::select(vec![Strings::Reject, Strings::Drop, Strings::Label]),
        prop::sample::select(vec![(30, 4096), (3, 4096), (30, 150)]),
    )
        .prop_map(|(metric_name, scheme, strings, (labels, value))| {
            let limits = LabelLimits { labels, name: 256, value };
            SeriesRules { metric_name, scheme, strings, limits }
        })
}

fn as_point(parts: &Parts) -> Point<'_> {
    let value = |given: &Given| match given {
        Given::Number(number) => Value::Float(Float::Number(*number)),
        Given::Text(text) => Value::String(text.clone().into()),
        Given::Null => Value::Stale,
    };
    Point {
        measurement: parts.measurement.into(),
        tags: parts.tags.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        fields: parts.fields.iter().map(|(name, given)| (name.into(), value(given))).collect(),
        timestamp: Timestamp::from_millis(parts.millis).unwrap(),
        to: "".into(),
    }
}

/// An independent reading of the rules for names.
fn legal(rules: &SeriesRules, name: &str, others: &str) -> String {
    if rules.scheme == NameScheme::Utf8 {
        return name.to_owned();
    }
    let is_legal = |c: &char| c.is_ascii_alphanumeric() || others.contains(*c);
    let name: String = name.chars().map(|c| if is_legal(&c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The series of a point with the bits of their values, or `None` if it must be refused.
fn model(rules: &SeriesRules, parts: &Parts) -> Option<BTreeMap<Series, u64>> {
    let texts = parts.fields.iter().filter_map(|(name, given)| match given {
        Given::Text(text) => Some((name, text)),
        Given::Number(_) | Given::Null => None,
    });
    let texts: Vec<_> = texts.collect();
    if rules.strings == Strings::Reject && !texts.is_empty() {
        return None;
    }
    let shown = texts.iter().filter(|(_, t)| rules.strings == Strings::Label && !t.is_empty());
    let sources: Vec<_> = parts.tags.iter().chain(shown.copied()).collect();
    let labels: Series =
        sources.iter().map(|(name, value)| (legal(rules, name, "_"), (*value).clone())).collect();
    let over = |text: &String| text.len() > rules.limits.value;
    if labels.len() < sources.len()
        || labels.len() + 1 > rules.limits.labels
        || labels.values().any(over)
    {
        return None;
    }
    let mut series = BTreeMap::new();
    let mut numbers = 0;
    for (field, given) in &parts.fields {
        let bits = match given {
            Given::Number(number) => number.to_bits(),
            // By the specification of 2.0.
            Given::Null => 0x7FF0_0000_0000_0002,
            Given::Text(_) => continue,
        };
        numbers += 1;
        let name = match &rules.metric_name {
            None if field == "value" => parts.measurement.to_owned(),
            None => format!("{}_{field}", parts.measurement),
            Some(pieces) if pieces.len() == 3 => format!("{field}.x:{}", parts.measurement),
            Some(_) => parts.measurement.to_owned(),
        };
        let mut labels = labels.clone();
        labels.insert("__name__".into(), legal(rules, &name, "_:"));
        series.insert(labels, bits);
    }
    (numbers > 0 && series.len() == numbers).then_some(series)
}

fn cases() -> u32 {
    std::env::var("TIDEGATE_BATCHES").map_or(200, |cases| cases.parse().unwrap())
}

/// What a request holds: each sample by its series and time, with its record. Checks what holds for
/// every request, and `last`, the time of each series' last sample in the requests before.
fn held(
    samples: Vec<oracle::Sample>,
    batch: &Batch,
    last: &mut BTreeMap<Series, i64>,
) -> Vec<((Series, i64), (u64, RecordIndex))> {
    assert_eq!(samples.len(), batch.len());
    let mut held = Vec::new();
    for (item, oracle::Sample { labels, value, millis }) in samples.into_iter().enumerate() {
        assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
        assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
        let labels: Series = labels.into_iter().collect();
        let before = last.insert(labels.clone(), millis);
        assert!(before.is_none_or(|before| before < millis), "{labels:?}");
        held.push(((labels, millis), (value.to_bits(), batch.record(item))));
    }
    held
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn any_batch_holds_the_last_value_of_every_series_and_moment_in_order(
        rules in rules(),
        all in prop::collection::vec(parts(), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let rules = Arc::new(rules);
        let encoder = RemoteWrite::new(Arc::clone(&rules), Arc::default());
        let mut encoder = Encoder::RemoteWrite(encoder);
        let mut open = OpenBatch::default();
        let mut expected = BTreeMap::new();
        for (record, parts) in (0u32..).map(RecordIndex).zip(&all) {
            let taken = encoder.encode(&as_point(parts), record, &mut open);
            let series = model(&rules, parts);
            prop_assert_eq!(taken.is_ok(), series.is_some(), "{:?} {:?}", taken, parts);
            for (series, value) in series.into_iter().flatten() {
                expected.insert((series, parts.millis), (value, record));
            }
        }
        let whole = encoder.close(&mut open);

        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        places.extend([0, whole.len()]);
        places.sort_unstable();
        let (mut last, mut last_of_v2) = (BTreeMap::new(), BTreeMap::new());
        let mut found = BTreeMap::new();
        for window in places.windows(2) {
            let slice = whole.slice(window[0]..window[1]);
            let first = held(oracle::samples(&slice.body()).unwrap(), &slice, &mut last);
            let request = super::super::v2::request(&slice, &Metadata::default(), 7).unwrap();
            let symbols = oracle::v2::Request::decode(&*request).unwrap().symbols;
            prop_assert_eq!(symbols.iter().collect::<BTreeSet<_>>().len(), symbols.len());
            prop_assert_eq!(&*symbols[0], "");
            let second = oracle::samples_of_v2(&request).unwrap();
            prop_assert_eq!(&held(second, &slice, &mut last_of_v2), &first);
            found.extend(first);
        }
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// An encoder that has seen the points, and others that took their places, writes what a new one writes.
    #[test]
    fn a_point_that_came_before_is_written_as_if_it_were_new(
        rules in rules(),
        points in prop::collection::vec(parts(), 1..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let rules = Arc::new(rules);
        let new = || RemoteWrite::new(Arc::clone(&rules), Arc::default());
        let mut seasoned = Encoder::RemoteWrite(new());
        for (index, at) in (0..).zip(&order) {
            let parts = at.get(&points);
            let mut given = as_point(parts);
            given.timestamp = Timestamp::from_millis(parts.millis + i64::from(index)).unwrap();
            let (mut open, mut fresh) = (OpenBatch::default(), OpenBatch::default());
            let first = seasoned.encode(&given, RecordIndex(index), &mut open);
            let second = Encoder::RemoteWrite(new()).encode(&given, RecordIndex(index), &mut fresh);
            prop_assert_eq!(first, second);
            prop_assert_eq!(&open.bytes, &fresh.bytes);
            prop_assert_eq!(&open.items, &fresh.items);
        }
    }
}

#[test]
fn more_points_than_there_are_places_take_each_other_s() {
    let mut seasoned = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
    for number in (0..3000).chain(0..3000) {
        let device = number.to_string();
        let given = point("m", &[("device", &device)], &[("a", 1.0), ("b", 2.0)], number);
        let (mut open, mut fresh) = (OpenBatch::default(), OpenBatch::default());
        seasoned.encode(&given, RecordIndex(0), &mut open).unwrap();
        let mut new = Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default()));
        new.encode(&given, RecordIndex(0), &mut fresh).unwrap();
        assert_eq!(open.bytes, fresh.bytes);
    }
}
