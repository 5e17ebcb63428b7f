//! The processors between the mapping and the database.

mod anomaly;
mod fields;
mod rules;

use std::num::NonZeroUsize;
use std::time::Duration;

use super::point::{Tables, condition};
use super::sink::{self, Kind};
use super::template::{self, Wrong};
use super::{At, Checker, units};
use crate::config::error::{nearest, quoted};
use crate::config::raw;
use crate::map::Condition;
use crate::process::window::{Aggregate, Aggregated, Quantile, Rules, Stamp};
use crate::process::{Filter, Name, Processor, Route, Window};

pub(super) use fields::fields as known_fields;

const CHOICE: &str =
    "exactly one processor is needed in each entry of the list, such as `filter` or `window`";

pub(super) fn processors(
    raw: &raw::ConnectorFile,
    checker: &mut Checker<'_>,
    tables: &Tables,
) -> Option<Vec<Processor>> {
    let sink = sink::kind(&raw.sink);
    let steps = raw.process.iter().enumerate();
    let steps: Vec<_> = steps
        .map(|(index, step)| {
            let index = index.to_string();
            let at = ["process", &index];
            processor(step, checker, &at, tables, sink)
        })
        .collect();
    steps.into_iter().collect()
}

fn processor(
    raw: &raw::ProcessStep,
    checker: &mut Checker<'_>,
    at: At<'_>,
    tables: &Tables,
    sink: Option<Kind>,
) -> Option<Processor> {
    let here = |key| [at, &[key]].concat();
    let mut steps = Vec::new();
    if let Some(text) = &raw.filter {
        steps.push(filter(text, checker, &here("filter")).map(Processor::Filter));
    }
    if let Some(raw) = &raw.rename {
        let rename = rules::rename(raw, checker, &here("rename"), sink);
        steps.push(Some(Processor::Rename(rename)));
    }
    if let Some(raw) = &raw.cast {
        steps.push(Some(Processor::Cast(rules::cast(raw))));
    }
    if let Some(raw) = &raw.drop {
        steps.push(Some(Processor::Drop(rules::drop(raw))));
    }
    if let Some(raw) = &raw.sample {
        steps.push(rules::sample(raw).map(Processor::Sample));
    }
    if let Some(raw) = &raw.deduplicate {
        let deduplicate = rules::deduplicate(raw, checker, &here("deduplicate"));
        steps.push(deduplicate.map(Processor::Deduplicate));
    }
    if let Some(raw) = &raw.rate {
        steps.push(rules::rate(raw, checker, &here("rate")).map(Processor::Rate));
    }
    if let Some(raw) = &raw.delta {
        steps.push(rules::delta(raw, checker, &here("delta")).map(Processor::Rate));
    }
    if let Some(raw) = &raw.enrich {
        let enrich = rules::enrich(raw, tables, checker, &here("enrich"));
        steps.push(enrich.map(Processor::Enrich));
    }
    if let Some(rules) = &raw.route {
        steps.push(route(rules, checker, &here("route")).map(Processor::Route));
    }
    if let Some(raw) = &raw.anomaly {
        let anomaly = anomaly::anomaly(raw, checker, &here("anomaly"), sink);
        steps.push(anomaly.map(Processor::Anomaly));
    }
    if let Some(raw) = &raw.window {
        steps.push(window(raw, checker, &here("window")).map(Processor::Window));
    }
    match steps.len() {
        1 => steps.remove(0),
        0 => {
            checker.missing(at, CHOICE);
            None
        }
        _ => {
            checker.wrong(at, CHOICE);
            None
        }
    }
}

fn filter(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Filter> {
    of_point(text, checker, at).map(Filter::new)
}

/// A condition over a point.
fn of_point(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Condition<Name>> {
    let name = |written: &str, _| -> Result<Name, Wrong> { Ok(Name::new(written)) };
    let example = "a field's or a tag's name, or `measurement`";
    template::reported(condition(text, &name, example), checker, at)
}

fn route(rules: &[raw::RouteRule], checker: &mut Checker<'_>, at: At<'_>) -> Option<Route> {
    let Some((last, conditional)) = rules.split_last() else {
        checker.wrong_key(at, "no rules: the last, or only, one is `{ to: NAME }`");
        return None;
    };
    if last.when.is_some() {
        let message = "the last rule takes all that is left, so that every point goes somewhere: add one \
                       without `when`, or leave points out with a `filter`";
        let index = conditional.len().to_string();
        checker.wrong(&[at, &[&index, "when"]].concat(), message);
    }
    let conditional = conditional.iter().enumerate().map(|(index, rule)| {
        let index = index.to_string();
        let at = [at, &[&index]].concat();
        let Some(text) = &rule.when else {
            let message = "without `when` this takes all points, and the rules behind it none";
            checker.wrong(&[&at[..], &["to"]].concat(), message);
            return None;
        };
        let condition = of_point(text, checker, &[&at[..], &["when"]].concat())?;
        Some((condition, rule.to.clone()))
    });
    let conditional: Vec<_> = conditional.collect();
    Some(Route::new(conditional.into_iter().collect::<Option<_>>()?, last.to.clone()))
}

/// A point lies in at most this many windows of one size.
const MOST_WINDOWS: u32 = 100;
const DAY: Duration = Duration::from_hours(24);

fn window(raw: &raw::WindowRules, checker: &mut Checker<'_>, at: At<'_>) -> Option<Window> {
    let here = |key| [at, &[key]].concat();
    let range = || Duration::from_millis(1)..=31 * DAY;
    let size = units::duration(checker, &here("size"), &raw.size, range());
    let every = match &raw.every {
        Some(every) => units::duration(checker, &here("every"), every, range()),
        None => size,
    };
    let late = Duration::ZERO..=31 * DAY;
    let lateness = units::duration(checker, &here("lateness"), &raw.lateness, late);
    let aggregated = fields(raw, checker, &here("fields"));
    let (size, every) = (size?, every?);
    if every > size {
        let message = "`every` is longer than `size`: points between two windows would be lost";
        checker.wrong(&here("every"), message);
    } else if every.saturating_mul(MOST_WINDOWS) < size {
        let message = format!("each point would lie in more than {MOST_WINDOWS} windows");
        checker.wrong(&here("every"), message);
    }
    let mut rules = Rules::new(size, every, lateness?, aggregated?)?;
    let count = |count: Option<u32>, default| {
        count.and_then(|count| NonZeroUsize::new(count as usize)).unwrap_or(default)
    };
    rules.stamp = match raw.timestamp {
        raw::WindowTime::Start => Stamp::Start,
        raw::WindowTime::End => Stamp::End,
    };
    rules.keep = raw.keep;
    rules.reject_late = raw.late == raw::LatePoints::Reject;
    rules.max_series = count(raw.max_series, rules.max_series);
    rules.max_values = count(raw.max_values, rules.max_values);
    Some(Window::new(rules))
}

fn fields(
    raw: &raw::WindowRules,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Vec<Aggregated>> {
    if raw.fields.is_empty() {
        checker
            .wrong_key(at, "no fields: write what is wanted, such as `temperature: [mean, max]`");
    }
    let fields: Vec<_> = raw
        .fields
        .iter()
        .map(|(name, words)| {
            let at = [at, &[name.as_str()]].concat();
            if words.is_empty() {
                checker.wrong_key(&at, format!("nothing is wanted of {}", quoted(name)));
            }
            let aggregates: Vec<_> = words
                .iter()
                .enumerate()
                .map(|(index, word)| {
                    let is_repeated = words[..index].contains(word);
                    let index = index.to_string();
                    if is_repeated {
                        let message = format!("{} is here twice", quoted(word));
                        checker.wrong(&[&at[..], &[&index]].concat(), message);
                    }
                    let aggregate = aggregate(word, checker, &[&at[..], &[&index]].concat());
                    aggregate.map(|aggregate| (aggregate, format!("{name}_{word}")))
                })
                .collect();
            let aggregates = aggregates.into_iter().collect::<Option<Vec<_>>>()?;
            Some(Aggregated { field: name.clone(), aggregates })
        })
        .collect();
    fields.into_iter().collect()
}

const AGGREGATES: [(&str, Aggregate); 8] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("mean", Aggregate::Mean),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
    ("stddev", Aggregate::Stddev),
];

fn aggregate(word: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Aggregate> {
    let known = AGGREGATES.iter().find(|(name, _)| *name == word).map(|(_, aggregate)| *aggregate);
    let percent =
        word.strip_prefix('p').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let percent: Option<f64> = percent.and_then(|percent| percent.parse().ok());
    let quantile = || percent.and_then(|percent| Quantile::new(percent / 100.0));
    let found = known.or_else(|| quantile().map(Aggregate::Quantile));
    if found.is_none() {
        let names = AGGREGATES.map(|(name, _)| name);
        let hint = match nearest(word, names) {
            Some(near) => format!("did you mean {}?", quoted(near)),
            None => format!("it is one of {}, or a quantile such as `p95`", names.join(", ")),
        };
        checker.wrong(at, format!("{} is no aggregate; {hint}", quoted(word)));
    }
    found
}
