//! Answers a [`Query`] from the points in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::points::{Points, Samples};
use super::query::{Matcher, Query, Selector};

/// How far back of an instant a sample still counts, in nanoseconds. Prometheus's default is five
/// minutes, for a scrape a minute; the demo's series have several points a second.
const LOOKBACK: i64 = 5_000_000_000;
/// Prometheus's own limit, in its own words.
const MAX_STEPS: i64 = 11_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Label names and values, `__name__` among them unless aggregated away.
pub(crate) type Labels = BTreeMap<String, String>;

/// What a query yields.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Number(f64),
    /// Each with at least one sample: milliseconds and value.
    Series(Vec<(Labels, Vec<(i64, f64)>)>),
}

/// The instants to answer for, in milliseconds: `start`, and on by `step` up to `end`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instants {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

impl Instants {
    /// One instant.
    pub(crate) fn one(time: i64) -> Self {
        Self { start: time, end: time, step: 1 }
    }

    /// The instants of a range query, or Prometheus's error for a range that it doesn't answer.
    pub(crate) fn range(start: i64, end: i64, step: i64) -> Result<Self, String> {
        if end < start {
            return Err(
                "invalid parameter \"end\": end timestamp must not be before start time".into()
            );
        }
        if step <= 0 {
            return Err("invalid parameter \"step\": zero or negative query resolution step widths are not \
                        accepted. Try a positive integer"
                .into());
        }
        if (end - start) / step > MAX_STEPS {
            return Err(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
                        query resolution (?step=XX)"
                    .into(),
            );
        }
        Ok(Self { start, end, step })
    }

    /// Each instant in turn.
    pub(crate) fn iter(self) -> impl Iterator<Item = i64> {
        std::iter::successors(Some(self.start), move |t| t.checked_add(self.step))
            .take_while(move |&t| t <= self.end)
    }
}

/// Evaluates a query at each instant.
pub(crate) fn evaluate(points: &Points, query: &Query, instants: Instants) -> Answer {
    match query {
        Query::Number(number) => Answer::Number(*number),
        Query::Select(selector) => {
            let all = select(points, selector).into_iter();
            let all = all.map(|(labels, samples)| (labels, sample(samples, instants)));
            Answer::Series(all.filter(|(_, samples)| !samples.is_empty()).collect())
        }
        Query::Aggregate { operation, by, of } => {
            let mut groups: BTreeMap<Labels, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
            for (mut labels, samples) in select(points, of) {
                labels.retain(|name, _| by.contains(name));
                let group = groups.entry(labels).or_default();
                for (time, value) in sample(samples, instants) {
                    group.entry(time).or_default().push(value);
                }
            }
            let groups = groups.into_iter().filter(|(_, instants)| !instants.is_empty());
            let reduce = |(time, values): (i64, Vec<f64>)| (time, operation.of(&values));
            Answer::Series(
                groups
                    .map(|(labels, all)| (labels, all.into_iter().map(reduce).collect()))
                    .collect(),
            )
        }
    }
}

/// The label sets that match any of the selectors; all of them if there is none.
pub(crate) fn label_sets(points: &Points, selectors: &[Selector]) -> BTreeSet<Labels> {
    if selectors.is_empty() {
        return select(points, &Selector(Vec::new()))
            .into_iter()
            .map(|(labels, _)| labels)
            .collect();
    }
    selectors
        .iter()
        .flat_map(|selector| select(points, selector))
        .map(|(labels, _)| labels)
        .collect()
}

/// The series, in Prometheus's sense, that match: one for each field of a stored series.
fn select<'a>(points: &'a Points, selector: &Selector) -> Vec<(Labels, Samples<'a>)> {
    let mut found = Vec::new();
    for (key, series) in points.series() {
        let tags = key.tags.iter().map(|(name, value)| (legal(name), value.clone()));
        let mut labels: Labels = tags.collect();
        labels.remove("__name__");
        if !selector
            .0
            .iter()
            .filter(|matcher| matcher.label != "__name__")
            .all(|m| holds(m, &labels))
        {
            continue;
        }
        for field in series.field_names() {
            labels.insert("__name__".into(), legal(&format!("{}_{field}", key.measurement)));
            if selector.0.iter().all(|matcher| holds(matcher, &labels))
                && let Some(samples) = series.samples(field)
            {
                found.push((labels.clone(), samples));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn holds(matcher: &Matcher, labels: &Labels) -> bool {
    matcher.condition.holds(labels.get(&matcher.label).map_or("", String::as_str))
}

fn sample(samples: Samples<'_>, instants: Instants) -> Vec<(i64, f64)> {
    let at = |time: i64| Some((time, samples.at(time.saturating_mul(NANOS_PER_MILLI), LOOKBACK)?));
    instants.iter().filter_map(at).collect()
}

/// A name with what Prometheus does not allow in one replaced by `_`.
fn legal(name: &str) -> String {
    let legal = |(i, c): (usize, char)| match c {
        'a'..='z' | 'A'..='Z' | '_' => c,
        '0'..='9' if i > 0 => c,
        _ => '_',
    };
    name.chars().enumerate().map(legal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::store::{line, query};

    fn points() -> Points {
        let body = "weather,station=july,sensor=1 temperature=20,wind=3 10\n\
                    weather,station=july,sensor=2 temperature=24,wind=4 10\n\
                    weather,station=may,sensor=3 temperature=12 10\n\
                    weather,station=may,sensor=3 temperature=13 12\n\
                    an-other.thing,station=may f=1 10\n";
        let mut points = Points::default();
        points.write(line::parse(body).unwrap(), 1_000_000_000, 0);
        points
    }

    fn ask(text: &str, instants: Instants) -> Vec<(String, Vec<(i64, f64)>)> {
        match evaluate(&points(), &query::parse(text).unwrap(), instants) {
            Answer::Series(series) => series
                .into_iter()
                .map(|(labels, samples)| (format!("{labels:?}"), samples))
                .collect(),
            Answer::Number(number) => vec![("number".into(), vec![(0, number)])],
        }
    }

    #[test]
    fn selects_by_label() {
        let at_11 = Instants::one(11_000);
        let series = ask(r#"weather_temperature{station="july",sensor!="2"}"#, at_11);
        let labels = r#"{"__name__": "weather_temperature", "sensor": "1", "station": "july"}"#;
        assert_eq!(series, [(labels.to_owned(), vec![(11_000, 20.0)])]);
        assert_eq!(ask(r#"{__name__=~"weather_.*"}"#, at_11).len(), 5);
        assert_eq!(ask("an_other_thing_f", at_11).len(), 1, "names are made legal");
        assert_eq!(ask("weather_humidity", at_11), []);
    }

    #[test]
    fn aggregates_by_label() {
        let at_10 = Instants::one(10_000);
        let by_station = ask("max by (station) (weather_temperature)", at_10);
        assert_eq!(
            by_station,
            [
                (r#"{"station": "july"}"#.to_owned(), vec![(10_000, 24.0)]),
                (r#"{"station": "may"}"#.to_owned(), vec![(10_000, 12.0)])
            ]
        );
        assert_eq!(ask("avg(weather_wind)", at_10), [("{}".to_owned(), vec![(10_000, 3.5)])]);
        assert_eq!(ask("sum by (absent) (weather_wind)", at_10)[0].1, [(10_000, 7.0)]);
    }

    #[test]
    fn answers_ranges_within_the_lookback() {
        let range = Instants::range(9_000, 18_000, 1_000).unwrap();
        let [(_, samples)] = &ask(r#"weather_temperature{station="may"}"#, range)[..] else {
            panic!()
        };
        assert_eq!(samples.first(), Some(&(10_000, 12.0)));
        assert_eq!(samples.iter().find(|(time, _)| *time == 12_000), Some(&(12_000, 13.0)));
        assert_eq!(samples.last(), Some(&(16_000, 13.0)), "older than five seconds is gone");
    }

    #[test]
    fn refuses_ranges_that_prometheus_refuses() {
        assert!(Instants::range(2, 1, 1).unwrap_err().contains("before start"));
        assert!(Instants::range(1, 2, 0).unwrap_err().contains("resolution"));
        assert!(Instants::range(0, 11_001, 1).unwrap_err().contains("11,000"));
        assert_eq!(Instants::range(0, 10, 5).unwrap().iter().collect::<Vec<_>>(), [0, 5, 10]);
    }

    #[test]
    fn lists_label_sets() {
        assert_eq!(label_sets(&points(), &[]).len(), 6);
        let selector = query::parse_selector(r#"{station="may"}"#).unwrap();
        assert_eq!(label_sets(&points(), &[selector]).len(), 2);
    }
}
