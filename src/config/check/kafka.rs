//! Topics, the group, and the properties that are passed to librdkafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::Regex;

use super::{At, Checker, canonical};
use crate::config::error::quoted;
use crate::config::tree::Value;
use crate::config::{Process, Secret, Topics, fits_name, raw};

type Properties = BTreeMap<String, Secret>;

/// Properties that Tidegate sets itself, and why nobody else may.
const OWNED: [(&str, &str); 5] = [
    ("group.id", "write `group:` at the top level of the connector instead"),
    (
        "enable.auto.commit",
        "Tidegate commits an offset only when its points are durable; a timer would lose data",
    ),
    ("auto.commit.enable", "it is another name of `enable.auto.commit`, which Tidegate owns"),
    (
        "enable.auto.offset.store",
        "Tidegate commits an offset only when its points are durable; storing it on read would \
         lose data",
    ),
    ("enable.partition.eof", "Tidegate reads records only, and has no use for the event"),
];

pub(super) fn topics(raw: &raw::ConnectorFile, checker: &mut Checker<'_>) -> Option<Topics> {
    let listed = checker.node(&["topics"]).is_some();
    match (&raw.topics_pattern, listed) {
        (None, false) => {
            checker.missing(&[], "no topics: write `topics` or `topics_pattern`");
            None
        }
        (Some(_), true) => {
            checker.wrong_key(
                &["topics_pattern"],
                "`topics` and `topics_pattern` are both given; keep one of them",
            );
            None
        }
        (Some(pattern), false) => {
            let legal = pattern_is_legal(pattern, checker);
            legal.then(|| Topics::Pattern(pattern.clone()))
        }
        (None, true) => {
            let mut seen = BTreeSet::new();
            for (index, topic) in raw.topics.iter().enumerate() {
                let at = index.to_string();
                check_topic(topic, checker, &["topics", &at]);
                if !seen.insert(topic) {
                    checker.wrong(&["topics", &at], "this topic is in the list twice");
                }
            }
            if raw.topics.is_empty() {
                checker.wrong(&["topics"], "the list of topics is empty");
            }
            Some(Topics::List(raw.topics.clone()))
        }
    }
}

/// What Kafka itself refuses.
fn check_topic(topic: &str, checker: &mut Checker<'_>, at: At<'_>) {
    if topic.starts_with('^') {
        checker.wrong(at, "a pattern goes into `topics_pattern`");
    } else if !(1..=249).contains(&topic.len())
        || !topic.bytes().all(fits_name)
        || matches!(topic, "." | "..")
    {
        let shown = checker.shown(at);
        let message = format!(
            "{shown} can't be a topic: it must be 1 to 249 letters, digits, `.`, `_` or `-`"
        );
        checker.wrong(at, message);
    }
}

fn pattern_is_legal(pattern: &str, checker: &mut Checker<'_>) -> bool {
    let at = &["topics_pattern"];
    let message = if !pattern.starts_with('^') {
        "a pattern must begin with `^`: librdkafka takes it for a topic's name otherwise".into()
    } else if let Some(perl) = perl_only(pattern) {
        let mend = if perl.starts_with("\\d") { "; write `[0-9]`" } else { "" };
        format!(
            "librdkafka's patterns are POSIX extended regular expressions, which don't know \
             {}{mend}",
            quoted(perl)
        )
    } else if let Err(error) = Regex::new(pattern) {
        let reason = error.to_string();
        // The last line says what is wrong; those before draw the pattern, which may be expanded.
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("not a regular expression: {reason}")
    } else {
        return true;
    };
    checker.wrong(at, message);
    false
}

/// What the regex crate takes and POSIX does not: librdkafka would silently match nothing.
fn perl_only(pattern: &str) -> Option<&str> {
    let escape = pattern.match_indices('\\').find_map(|(at, _)| {
        let next = pattern[at + 1..].chars().next()?;
        let known =
            matches!(next, 'w' | 'W' | 's' | 'S' | 'b' | 'B') || !next.is_ascii_alphanumeric();
        (!known).then(|| &pattern[at..at + 2])
    });
    let lazy = ["(?", "*?", "+?"].into_iter().find(|sign| pattern.contains(sign));
    escape.or(lazy)
}

pub(super) fn group(
    raw: &raw::ConnectorFile,
    checker: &mut Checker<'_>,
    name: Option<&str>,
) -> Option<String> {
    match &raw.group {
        Some(group) if group.trim().is_empty() => {
            checker.wrong(&["group"], "the group's name is empty; leave it out for the default");
            None
        }
        Some(group) => Some(group.clone()),
        None => name.map(|name| format!("tidegate-{name}")),
    }
}

pub(super) fn dead_letter(raw: &raw::ConnectorFile, checker: &mut Checker<'_>) -> Option<String> {
    let topic = &raw.dead_letter.as_ref()?.topic;
    let at = &["dead_letter", "topic"];
    check_topic(topic, checker, at);
    let pattern = raw.topics_pattern.as_deref().and_then(|pattern| Regex::new(pattern).ok());
    if raw.topics.contains(topic) || pattern.is_some_and(|pattern| pattern.is_match(topic)) {
        checker.wrong(
            at,
            "the connector reads this topic itself: every rejected record would come back for ever",
        );
    }
    Some(topic.clone())
}

/// The properties of the file at hand.
pub(super) fn own_properties(checker: &mut Checker<'_>) -> Properties {
    let Some(Value::Table(table)) = checker.node(&["kafka"]).map(|node| &node.value) else {
        return Properties::new();
    };
    let mut properties = Properties::new();
    for entry in &table.entries {
        let at = &["kafka", entry.key.as_str()];
        if let Some((name, why)) = OWNED.iter().find(|(name, _)| *name == entry.key) {
            checker.wrong_key(at, format!("{} can't be set: {why}", quoted(name)));
        } else if entry.key.split('.').next_back() == Some("ms") {
            check_millis(checker, at);
        }
        if let Some(scalar) = entry.value.scalar() {
            properties.insert(entry.key.clone(), Secret::new(canonical(scalar)));
        }
    }
    properties
}

/// The mistake that is easy to make beside Tidegate's own durations.
fn check_millis(checker: &mut Checker<'_>, at: At<'_>) {
    let Some(scalar) = checker.scalar(at) else {
        return;
    };
    if scalar.text.trim().parse::<i64>().is_err() {
        let message =
            format!("{} is not a whole number; librdkafka counts milliseconds", scalar.shown());
        checker.wrong(at, message);
    }
}

/// The properties of `tidegate.yaml`, overlaid by the connector's own.
pub(super) fn properties(checker: &mut Checker<'_>, shared: Option<&Process>) -> Properties {
    let own = own_properties(checker);
    let Some(shared) = shared else { return own };
    let mut properties = shared.kafka.clone();
    properties.extend(own);
    // The second is librdkafka's older name of the first.
    let brokers = ["bootstrap.servers", "metadata.broker.list"];
    let brokers = brokers.iter().find_map(|name| properties.get(*name));
    if brokers.is_none_or(|brokers| brokers.expose().trim().is_empty()) {
        // The deepest of these that is in the file.
        checker.wrong_key(
            &["kafka", "bootstrap.servers"],
            "`bootstrap.servers` is set neither under `kafka` here nor in tidegate.yaml",
        );
    }
    properties
}

/// Where a group that has committed nothing begins: librdkafka's own property, in its spellings.
pub(super) fn start(
    checker: &mut Checker<'_>,
    properties: &Properties,
) -> Option<raw::OffsetOutOfRange> {
    let Some(value) = properties.get("auto.offset.reset") else {
        return Some(raw::OffsetOutOfRange::Earliest);
    };
    match value.expose().trim() {
        "earliest" | "smallest" | "beginning" => Some(raw::OffsetOutOfRange::Earliest),
        "latest" | "largest" | "end" => Some(raw::OffsetOutOfRange::Latest),
        "error" => Some(raw::OffsetOutOfRange::Stop),
        _ => {
            checker.wrong(
                &["kafka", "auto.offset.reset"],
                "`auto.offset.reset` must be `earliest`, `latest` or `error`",
            );
            None
        }
    }
}

/// How long a member of the group may be silent: what is not given is librdkafka's.
const SESSION: (&str, u64) = ("session.timeout.ms", 45_000);
const POLL_INTERVAL: (&str, u64) = ("max.poll.interval.ms", 300_000);

/// What librdkafka or the group's broker would refuse only at the start, or not at all.
pub(super) fn membership(checker: &mut Checker<'_>, properties: &Properties) {
    let is = |property: &str, wanted: &str| {
        let value = properties.get(property).map(|value| value.expose().trim());
        value.is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    if is("group.protocol", "consumer") {
        checker.wrong_key(
            &["kafka", "group.protocol"],
            "`group.protocol: consumer` is not supported: the session's time-out is the broker's \
             then, and nobody can check that `delivery.drain` is shorter; leave it out, or write \
             `classic`",
        );
    }
    let (session, poll) = (millis(properties, SESSION), millis(properties, POLL_INTERVAL));
    if let (Some(session), Some(poll)) = (session, poll)
        && poll < session
    {
        let other = if checker.node(&["kafka", POLL_INTERVAL.0]).is_some() {
            POLL_INTERVAL.0
        } else {
            SESSION.0
        };
        checker.wrong(
            &["kafka", other],
            "`max.poll.interval.ms` (5m by default) must not be shorter than `session.timeout.ms` \
             (45s by default): librdkafka refuses that",
        );
    }
    let statistics = properties.get("statistics.interval.ms").map(|value| value.expose().trim());
    let limits = 100..=60_000;
    if statistics.is_some_and(|value| value.parse::<u64>().is_ok_and(|ms| !limits.contains(&ms))) {
        checker.wrong(
            &["kafka", "statistics.interval.ms"],
            "`statistics.interval.ms` must be from 100 to 60000: partitions that stand still are \
             found by the statistics",
        );
    }
}

/// `None` where the value is no whole number: that is librdkafka's to refuse.
fn millis(properties: &Properties, (name, default): (&str, u64)) -> Option<u64> {
    properties.get(name).map_or(Some(default), |value| value.expose().trim().parse().ok())
}

/// A drain that outlasts the session would commit for partitions that others own by then.
pub(super) fn drain(checker: &mut Checker<'_>, drain: &str, properties: &Properties) {
    let Ok(drain) = humantime::parse_duration(drain) else {
        return;
    };
    for (property, default) in [SESSION, POLL_INTERVAL] {
        let limit = millis(properties, (property, default)).map(Duration::from_millis);
        let Some(limit) = limit.filter(|limit| drain >= *limit) else {
            continue;
        };
        // Beside whichever of the two is written in this file.
        let own = &["kafka", property];
        let written = checker.node(&["delivery", "drain"]).is_some();
        let at: At<'_> = match checker.node(own) {
            Some(_) if !written => own,
            _ => &["delivery", "drain"],
        };
        // A value that was set may come from the environment, and is not printed.
        let value = if properties.contains_key(property) {
            String::new()
        } else {
            format!(" ({} by default)", humantime::format_duration(limit))
        };
        let message = format!(
            "`drain` must be shorter than `{property}`{value}: later, the group has given the \
             partitions to others"
        );
        checker.wrong(at, message);
        return;
    }
}
