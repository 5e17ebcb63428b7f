//! Processors that take no more than a look at their rules.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::point::{Tables, check_name, table};
use crate::config::check::sink::Kind;
use crate::config::check::{At, Checker, units};
use crate::config::error::quoted;
use crate::config::raw::{self, FieldKind};
use crate::process::{Cast, Deduplicate, Drop, Enrich, Growth, Rate, Rename, Sample};

/// What is remembered longer would be read again for hours after each restart.
pub(super) const OF_MEMORY: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(7 * 24);

pub(super) fn rename(
    raw: &BTreeMap<String, String>,
    checker: &mut Checker<'_>,
    at: At<'_>,
    sink: Option<Kind>,
) -> Rename {
    let mut new = BTreeSet::new();
    for (old, name) in raw {
        let at = [at, &[old.as_str()][..]].concat();
        check_name("tag or field", name, checker, &at, sink);
        if !new.insert(name) {
            checker.wrong(&at, format!("another is renamed to {} already", quoted(name)));
        }
    }
    Rename { names: raw.clone() }
}

pub(super) fn cast(raw: &BTreeMap<String, FieldKind>) -> Cast {
    Cast { kinds: raw.clone() }
}

pub(super) fn drop(raw: &[String]) -> Drop {
    Drop { names: raw.iter().cloned().collect() }
}

pub(super) fn sample(raw: &raw::SampleRules) -> Option<Sample> {
    Some(Sample { every: NonZeroU64::new(raw.every)? })
}

pub(super) fn deduplicate(
    raw: &raw::DeduplicateRules,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Deduplicate> {
    let within = memory("within", &raw.within, checker, at);
    let (points, series) = remembered(raw.points, raw.max_series, checker, at)?;
    Some(Deduplicate::new(within?, points, series))
}

pub(super) fn rate(raw: &raw::RateRules, checker: &mut Checker<'_>, at: At<'_>) -> Option<Rate> {
    let within = memory("within", &raw.within, checker, at);
    let range = Duration::from_millis(1)..=Duration::from_hours(24);
    let per = units::duration(checker, &[at, &["per"]].concat(), &raw.per, range);
    let fields = growing(&raw.fields, "rate", checker, at);
    let growth = Growth { fields: fields?, per: Some(per?), within: within?, resets: raw.counter };
    Some(Rate::new(growth, NonZeroUsize::new(raw.max_series as usize)?))
}

pub(super) fn delta(raw: &raw::DeltaRules, checker: &mut Checker<'_>, at: At<'_>) -> Option<Rate> {
    let within = memory("within", &raw.within, checker, at);
    let fields = growing(&raw.fields, "delta", checker, at);
    let growth = Growth { fields: fields?, per: None, within: within?, resets: raw.counter };
    Some(Rate::new(growth, NonZeroUsize::new(raw.max_series as usize)?))
}

/// Each field, with the name of what is added.
fn growing(
    fields: &[String],
    suffix: &str,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Vec<(String, String)>> {
    let at = [at, &["fields"]].concat();
    let mut known = BTreeSet::new();
    for field in fields {
        if !known.insert(field) {
            checker.wrong(&at, format!("the field {} is here twice", quoted(field)));
            return None;
        }
    }
    if fields.is_empty() {
        checker.wrong(&at, "no fields: name at least one");
        return None;
    }
    Some(fields.iter().map(|field| (field.clone(), format!("{field}_{suffix}"))).collect())
}

pub(super) fn enrich(
    raw: &raw::EnrichRules,
    tables: &Tables,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Enrich> {
    let table = table(&raw.table, tables, checker, &[at, &["table"]].concat())?;
    if raw.tags.is_empty() && raw.fields.is_empty() {
        checker.missing(at, "nothing is added: name columns of the table under `tags` or `fields`");
        return None;
    }
    if let Some(name) = raw.tags.iter().find(|name| raw.fields.contains_key(*name)) {
        let message = format!("{} is a tag already; leave it out of one of them", quoted(name));
        checker.wrong_key(&[at, &["fields", name]].concat(), message);
    }
    let tags = raw.tags.iter().map(|name| Some((name.clone(), table.column(name)?)));
    let fields =
        raw.fields.iter().map(|(name, kind)| Some((name.clone(), (table.column(name)?, *kind))));
    Some(Enrich {
        by: raw.by.clone(),
        tags: tags.collect::<Option<_>>()?,
        fields: fields.collect::<Option<_>>()?,
        required: raw.required,
        table: Arc::clone(table),
    })
}

pub(super) fn memory(
    key: &str,
    text: &str,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Duration> {
    units::duration(checker, &[at, &[key]].concat(), text, OF_MEMORY)
}

/// How many points of how many series are remembered: not more than a process should hold.
pub(super) fn remembered(
    points: u32,
    max_series: u32,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<(NonZeroUsize, NonZeroUsize)> {
    const MOST: u64 = 20_000_000;
    if u64::from(points) * u64::from(max_series) > MOST {
        let message = format!(
            "{points} points of each of {max_series} series are more than 20 million to remember; \
             lower `points` or `max_series`"
        );
        checker.wrong(at, message);
        return None;
    }
    Some((NonZeroUsize::new(points as usize)?, NonZeroUsize::new(max_series as usize)?))
}
