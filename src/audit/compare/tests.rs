use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A database in memory that answers with all that a selection may mean, and more.
#[derive(Default)]
struct Fake {
    held: BTreeMap<Series, BTreeMap<i64, Value>>,
    /// More values in an answer are too many.
    most: usize,
    queries: usize,
}

impl Store for Fake {
    fn read(&mut self, selection: &Selection) -> Result<Vec<Held>, ReadError> {
        self.queries += 1;
        let fits = |series: &Series| {
            selection.labels.iter().all(|(name, values)| {
                series.label(name).is_some_and(|value| values.contains(value))
            })
        };
        let held: Vec<Held> = self
            .held
            .iter()
            .filter(|(series, _)| fits(series))
            .map(|(series, values)| {
                let span = values.range(selection.from..=selection.to);
                (series.clone(), span.map(|(time, value)| (*time, value.clone())).collect())
            })
            .collect();
        let count: usize = held.iter().map(|(_, values)| values.len()).sum();
        if count > self.most { Err(ReadError::TooMuch(count.to_string())) } else { Ok(held) }
    }

    fn exactness(&self) -> Exactness {
        Exactness::Floats
    }
}

/// Where, and when: enough to name a value.
type Name = (String, i64);

#[derive(Debug, Default, PartialEq)]
struct Seen {
    missing: BTreeSet<(Name, Place)>,
    different: BTreeSet<(Name, Place)>,
    extra: BTreeSet<Name>,
    collisions: u64,
}

impl Findings for Seen {
    fn absent(
        &mut self,
        place: Place,
        series: &Series,
        time: i64,
        _: &Value,
        found: Option<&Value>,
    ) -> std::io::Result<()> {
        let list = if found.is_some() { &mut self.different } else { &mut self.missing };
        assert!(list.insert(((series.to_string(), time), place)), "found twice");
        Ok(())
    }

    fn extra(&mut self, series: &Series, time: i64, _: &Value) {
        assert!(self.extra.insert((series.to_string(), time)), "found twice");
    }

    fn duplicates(&mut self, count: u64) {
        assert_eq!(count, 0, "the fake holds a value once");
    }

    fn collisions(&mut self, count: u64) {
        self.collisions += count;
    }
}

fn series(name: u8, labels: &[(&str, u8)]) -> Series {
    let label = |(name, value): &(&str, u8)| ((*name).to_owned(), format!("v{value}"));
    let labels = labels.iter().map(label);
    Series::new(labels.chain([(METRIC.to_owned(), format!("m{name}"))]).collect())
}

fn compare(mut expected: Vec<Expected>, store: &mut Fake) -> Seen {
    expected.sort_by_key(Expected::to_bytes);
    let (mut seen, mut group) = (Seen::default(), Group::default());
    for next in expected {
        if let Some(next) = group.take(next) {
            std::mem::take(&mut group).compare(store, &mut seen).unwrap();
            assert_eq!(group.take(next), None, "an empty group takes anything");
        }
    }
    group.compare(store, &mut seen).unwrap();
    seen
}

/// What happens to a value on its way into the fake.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Kept,
    Lost,
    Changed,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Kept), 1 => Just(Fate::Lost), 1 => Just(Fate::Changed)]
}

fn a_series() -> impl Strategy<Value = Series> {
    (0u8..2, prop::option::of(0u8..3), prop::option::of(0u8..3)).prop_map(|(name, a, b)| {
        let labels = [("a", a), ("b", b)];
        let labels: Vec<_> =
            labels.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        series(name, &labels)
    })
}

proptest! {
    /// Whatever is lost, changed or added is found, by name and place, and nothing else is.
    #[test]
    fn exactly_what_was_done_to_the_database_is_found(
        values in prop::collection::btree_map((a_series(), -20i64..60), fate(), 0..120),
        strangers in prop::collection::btree_set((a_series(), -30i64..70), 0..20),
        most in 1usize..40,
    ) {
        // An answer for one moment has all series in it.
        let mut store = Fake { most: most + 18, ..Fake::default() };
        let (mut expected, mut done) = (Vec::new(), Seen::default());
        for (offset, ((series, time), fate)) in (0i64..).zip(&values) {
            let place = Place { partition: u32::try_from(offset % 3).unwrap(), offset };
            let value = Value::Integer(offset);
            let name = (series.to_string(), *time);
            let held = store.held.entry(series.clone()).or_default();
            match fate {
                Fate::Kept => _ = held.insert(*time, value.clone()),
                Fate::Lost => _ = done.missing.insert((name, place)),
                Fate::Changed => {
                    held.insert(*time, Value::Float(-1.0));
                    done.different.insert((name, place));
                }
            }
            expected.push(Expected { series: series.clone(), time: *time, place, value });
        }
        for (series, time) in strangers {
            let own = values.keys().filter(|(other, _)| *other == series).map(|(_, time)| *time);
            let (first, last) = (own.clone().min(), own.clone().max());
            let taken = own.clone().any(|own| own == time);
            if !taken {
                store.held.entry(series.clone()).or_default().insert(time, Value::Float(7.0));
            }
            // Only within the time that the series' records span.
            if !taken && first.is_some_and(|first| first < time) && last > Some(time) {
                done.extra.insert((series.to_string(), time));
            }
        }
        prop_assert_eq!(compare(expected, &mut store), done);
    }
}

fn one(series: &Series, time: i64, offset: i64, value: f64) -> Expected {
    let place = Place { partition: 0, offset };
    Expected { series: series.clone(), time, place, value: Value::Float(value) }
}

#[test]
fn of_values_at_one_time_any_one_will_do() {
    let series = series(0, &[]);
    for (held, different) in [(1.0, 0), (2.0, 0), (3.0, 2)] {
        let mut store = Fake { most: 10, ..Fake::default() };
        store.held.entry(series.clone()).or_default().insert(5, Value::Float(held));
        let seen = compare(vec![one(&series, 5, 1, 1.0), one(&series, 5, 2, 2.0)], &mut store);
        assert_eq!((seen.different.len(), seen.collisions), (different, 1), "{held}");
    }
}

#[test]
fn a_series_of_many_values_is_asked_for_in_parts_with_no_gap_between() {
    let series = series(0, &[]);
    let mut store = Fake { most: MAX_VALUES * 2, ..Fake::default() };
    let held = store.held.entry(series.clone()).or_default();
    let count = i64::try_from(MAX_VALUES * 3).unwrap();
    for number in 0..count {
        held.insert(number * 2, Value::Integer(number));
        held.insert(number * 2 + 1, Value::Float(0.5));
    }
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let expected = (0..count).map(|n| one(&series, n * 2, n, n as f64)).collect();
    let seen = compare(expected, &mut store);
    // Between any two of them, also where one part ends, is one that nobody expects.
    assert_eq!(i64::try_from(seen.extra.len()).unwrap(), count - 1);
    assert_eq!((seen.missing.len(), seen.different.len(), store.queries), (0, 0, 3));
}

#[test]
fn many_series_of_few_values_are_asked_for_together() {
    let mut store = Fake { most: 10_000, ..Fake::default() };
    let mut expected = Vec::new();
    for number in 0..200 {
        let series = series(0, &[("device", number), ("site", 1)]);
        store.held.entry(series.clone()).or_default().insert(1, Value::Float(1.0));
        expected.push(one(&series, 1, i64::from(number), 1.0));
    }
    assert_eq!(compare(expected, &mut store), Seen::default());
    assert_eq!(store.queries, 1);
}

#[test]
fn an_answer_that_stays_too_large_is_an_error() {
    let series = series(0, &[]);
    let mut store = Fake { most: 0, ..Fake::default() };
    store.held.entry(series.clone()).or_default().insert(1, Value::Float(1.0));
    let mut group = Group::default();
    group.take(one(&series, 1, 1, 1.0));
    let error = group.compare(&mut store, &mut Seen::default()).unwrap_err();
    assert!(matches!(error, CompareError::Read(ReadError::TooMuch(_))), "{error}");
}

#[test]
fn decimals_are_told_apart_by_eleven_digits() {
    let same = |a: f64, b: f64, largest: f64| {
        Exactness::Decimals.is_same(&Value::Float(a), &Value::Float(b), largest)
    };
    assert!(same(1.0 / 3.0, 0.333_333_333_333, 1.0));
    assert!(!same(1.0, 1.000_000_000_1, 1.0));
    // Beside a very large value a block has no digits left for a small one.
    assert!(same(0.001, 0.0, 1e15));
    assert!(same(1e-308, 0.0, 1e-308));
    assert!(same(0.0, -0.0, 0.0));
    let floats =
        |a: f64, b: f64| Exactness::Floats.is_same(&Value::Float(a), &Value::Float(b), 1e300);
    assert!(!floats(0.1, 0.1 + f64::EPSILON));
    let typed = |a: Value, b: Value| Exactness::Typed.is_same(&a, &b, 1.0);
    assert!(!typed(Value::Integer(1), Value::Float(1.0)));
    assert!(typed(Value::Text("a\r\nb".into()), Value::Text("a\nb".into())));
    assert!(!typed(Value::Text("a".into()), Value::Text("b".into())));
}
