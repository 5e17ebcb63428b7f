//! What is different from what was expected: `-` before what is missing, `+` before what is there
//! instead.

use std::fmt::Write as _;

use crate::config::ExpectedPoint;
use crate::dead_letter::{Reject, Stage};
use crate::excerpt::{Spot, lines, printable};
use crate::record::OwnedRecord;
use crate::trial::{Value, WholePoint};

/// How much of a message is shown.
const SHOWN: usize = 2048;

/// `None` if the points are those that were expected, in any order.
pub(super) fn points(expected: &[ExpectedPoint], found: &[WholePoint]) -> Option<String> {
    let (mut missing, mut extra) = (Vec::new(), found.iter().collect::<Vec<_>>());
    // One without a time, or of loose types, may fit what an exact one needs.
    let mut strictest: Vec<_> = expected.iter().collect();
    strictest.sort_by_key(|wanted| (wanted.point.nanos.is_none(), !wanted.exact));
    for wanted in strictest {
        match extra.iter().position(|found| wanted.is(found)) {
            Some(at) => {
                extra.remove(at);
            }
            None => missing.push(wanted),
        }
    }
    if missing.is_empty() && extra.is_empty() {
        return None;
    }
    let mut text = match (expected.len(), found.len()) {
        (1, 1) => "another point than expected\n".to_owned(),
        (wanted, found) if wanted == found => "other points than expected\n".to_owned(),
        (expected, found) => format!("{}, found {}\n", wanted(expected), count(found)),
    };
    for wanted in missing {
        let nearest = (0..extra.len()).max_by_key(|at| likeness(wanted, extra[*at]));
        match nearest {
            Some(at) => beside(&mut text, wanted, extra.remove(at)),
            None => line(&mut text, '-', &wanted.point.to_string()),
        }
    }
    for found in extra {
        line(&mut text, '+', &found.to_string());
    }
    Some(text)
}

/// Another rejection than the one that was expected.
pub(super) fn rejection(stage: Option<Stage>, reason: &str, found: &Reject) -> String {
    let mut text = "another rejection than expected\n".to_owned();
    line(&mut text, '-', &rejection_line(stage, reason));
    line(&mut text, '+', &format!("{}: {}", found.stage.name(), printable(&found.reason)));
    text
}

/// Points, or nothing, where a rejection was expected.
pub(super) fn not_rejected(stage: Option<Stage>, reason: &str, found: &[WholePoint]) -> String {
    let mut text = format!("expected a rejection, found {}\n", count(found.len()));
    line(&mut text, '-', &rejection_line(stage, reason));
    for found in found {
        line(&mut text, '+', &found.to_string());
    }
    text
}

/// A rejection where points were expected: with the message, and the place that the reason speaks of.
pub(super) fn rejected(expected: usize, found: &Reject, record: &OwnedRecord) -> String {
    let (stage, reason) = (found.stage.name(), printable(&found.reason));
    let mut text = format!("{}, found a rejection\n", wanted(expected));
    line(&mut text, '+', &format!("{stage}: {reason}"));
    let value = record.value.as_deref().unwrap_or_default();
    for shown in lines(value, Spot::of(&found.reason).as_ref(), SHOWN) {
        line(&mut text, ' ', &shown);
    }
    text
}

fn rejection_line(stage: Option<Stage>, reason: &str) -> String {
    let stage = stage.map_or_else(|| "any stage".to_owned(), |stage| stage.name().to_owned());
    if reason.is_empty() { stage } else { format!("{stage}: …{reason}…") }
}

fn wanted(count: usize) -> String {
    format!("expected {}", self::count(count))
}

fn count(count: usize) -> String {
    match count {
        0 => "nothing to write".to_owned(),
        1 => "1 point".to_owned(),
        count => format!("{count} points"),
    }
}

/// How much of a point is as it was expected.
fn likeness(wanted: &ExpectedPoint, found: &WholePoint) -> usize {
    let same = parts(found, None);
    parts(&wanted.point, None).iter().filter(|part| same.contains(part)).count()
}

/// Two points that differ, part by part.
fn beside(text: &mut String, wanted: &ExpectedPoint, found: &WholePoint) {
    let same = |name: &str, value: &Value| {
        found.fields.get(name).filter(|found| wanted.is_value(value, found)).cloned()
    };
    // A number of the right value is shown as it was found, so that it is no difference.
    let mut shown = wanted.point.clone();
    for (name, value) in &mut shown.fields {
        if let Some(found) = same(name, value) {
            *value = found;
        }
    }
    let time = shown.nanos.or(found.nanos);
    shown.to = shown.to.or_else(|| found.to.clone());
    let (wanted, found) = (parts(&shown, time), parts(found, None));
    for part in &wanted {
        let sign = if found.contains(part) { ' ' } else { '-' };
        line(text, sign, part);
        let instead = |other: &&String| key(other) == key(part) && !wanted.contains(other);
        for other in found.iter().filter(instead).filter(|_| sign == '-') {
            line(text, '+', other);
        }
    }
    let keys: Vec<_> = wanted.iter().map(|part| key(part)).collect();
    for part in found.iter().filter(|part| !keys.contains(&key(part))) {
        line(text, '+', part);
    }
}

/// What a part is about: all before its value.
fn key(part: &str) -> &str {
    part.split_once(['=', ' ']).map_or(part, |(key, _)| key)
}

/// A point in parts, each with the word that says what it is.
fn parts(point: &WholePoint, time: Option<i64>) -> Vec<String> {
    let mut parts = vec![format!("measurement {}", printable(&point.measurement))];
    parts.extend(
        point
            .tags
            .iter()
            .map(|(name, value)| format!("tag:{}={}", printable(name), printable(value))),
    );
    parts.extend(point.fields.iter().map(|(name, value)| {
        format!("field:{}={}", printable(name), printable(&value.to_string()))
    }));
    parts.extend(point.to.iter().map(|to| format!("to {}", printable(to))));
    if let Some(nanos) = time.or(point.nanos) {
        let at = jiff::Timestamp::from_nanosecond(nanos.into());
        let at = at.map(|at| format!(" ({at})")).unwrap_or_default();
        parts.push(format!("time {nanos}{at}"));
    }
    parts
}

fn line(text: &mut String, sign: char, rest: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "  {sign} {}", printable(rest));
}
