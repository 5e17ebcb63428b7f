//! What each path is for: a tag, a field, the time, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::SinkKind;
use super::shape::{Leaf, Place, Shape, path};
use crate::config::raw::{FieldKind, TimeUnit};

/// More distinct values than this make a tag costly.
pub(super) const MANY: usize = 1000;
/// Texts of no more distinct values than this are tags.
const FEW: usize = 20;
/// The longest text that is a tag, in bytes.
const LONGEST_TAG: usize = 64;
/// InfluxDB's limit of a string, in bytes.
const LONGEST_STRING: usize = 65_536;
/// A time is so near to the message's own, in years: with a name that says time, and without.
const NEAR: [f64; 2] = [20.0, 1.0];

/// What a connector file is to have.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    pub(super) tags: Vec<Tag>,
    pub(super) fields: Vec<Field>,
    pub(super) time: Option<Time>,
    /// Paths that are left out, with the reason.
    pub(super) left_out: Vec<(String, String)>,
    /// Some messages would have no field: each gets one that counts it.
    pub(super) counts: bool,
    /// The path of the array whose elements become points.
    pub(super) explode: Option<String>,
    /// All elements of a message have one time.
    pub(super) share_a_time: bool,
}

#[derive(Debug)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) remark: String,
    /// How many values were seen.
    pub(super) values: usize,
    /// It may have very many.
    pub(super) is_costly: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) kind: FieldKind,
    pub(super) coerce: bool,
    pub(super) remark: String,
}

#[derive(Debug)]
pub(super) struct Time {
    pub(super) path: String,
    /// `None`: RFC 3339.
    pub(super) unit: Option<TimeUnit>,
    pub(super) remark: String,
}

/// What a path is for.
enum Role {
    Tag { is_costly: bool },
    Field(FieldKind, bool),
    Nothing(String),
}

impl Guesses {
    pub(super) fn of(shape: &Shape, sink: SinkKind) -> Self {
        let time_at = time_path(shape);
        let names = names(shape);
        let mut guesses = Self::default();
        let mut covered = BTreeSet::new();
        for (place, leaf) in &shape.leaves {
            let (path, name) = (shape.path(place), names[place].clone());
            if time_at.is_some_and(|(at, _)| at == place) {
                continue;
            }
            match role(place.keys.last().map_or("", String::as_str), leaf, sink) {
                Role::Tag { is_costly } => {
                    let values = leaf.values.len();
                    guesses.tags.push(Tag {
                        name,
                        path,
                        remark: tag_remark(leaf),
                        values,
                        is_costly,
                    });
                }
                Role::Field(kind, coerce) => {
                    covered.extend(leaf.seen_in.iter().copied());
                    let remark = field_remark(leaf, kind);
                    guesses.fields.push(Field { name, path, kind, coerce, remark });
                }
                Role::Nothing(reason) if reason.is_empty() => {}
                Role::Nothing(reason) => guesses.left_out.push((path, reason)),
            }
        }
        if shape.left_out > 0 {
            guesses.left_out.push(("…".into(), format!("{} more values", shape.left_out)));
        }
        guesses.counts = covered.len() < shape.messages;
        guesses.share_a_time =
            shape.explode.is_some() && time_at.is_none_or(|(place, _)| place.is_around);
        guesses.explode = shape.explode.as_deref().map(path);
        guesses.time = time_at.map(|(place, unit)| Time {
            path: shape.path(place),
            unit,
            remark: time_remark(&shape.leaves[place]),
        });
        guesses
    }
}

fn role(key: &str, leaf: &Leaf, sink: SinkKind) -> Role {
    if leaf.arrays > 0 && leaf.objects == 0 {
        return Role::Nothing("an array; name an element, such as `path[0]`".into());
    }
    if leaf.objects > 0 {
        // What is in it stands below, unless it is not always one.
        let mixed = leaf.messages > leaf.objects;
        return Role::Nothing(if mixed {
            "an object in some messages only".into()
        } else {
            String::new()
        });
    }
    let kinds = [leaf.texts, leaf.booleans, leaf.numbers()];
    if kinds.iter().filter(|count| **count > 0).count() > 1 {
        let tag = is_id(key) && fits_tag(leaf) && leaf.values.len() <= FEW;
        return if tag { Role::Tag { is_costly: false } } else { string(leaf, sink, true) };
    }
    if leaf.booleans > 0 {
        return Role::Field(FieldKind::Boolean, false);
    }
    if leaf.texts > 0 {
        return text(key, leaf, sink);
    }
    number(key, leaf, sink)
}

fn text(key: &str, leaf: &Leaf, sink: SinkKind) -> Role {
    let values = leaf.values.len();
    let is_moment = leaf.moments + leaf.zoneless >= leaf.texts;
    if !fits_tag(leaf) || is_moment {
        return string(leaf, sink, false);
    }
    let repeats = !leaf.many_values && values * 2 <= leaf.texts;
    if is_unique(key) && !repeats && leaf.texts > 1 {
        return string(leaf, sink, false);
    }
    if values <= FEW || (repeats && values <= MANY) || is_id(key) {
        return Role::Tag {
            is_costly: leaf.many_values || values > MANY / 2 || !repeats && values > FEW,
        };
    }
    string(leaf, sink, false)
}

fn number(key: &str, leaf: &Leaf, sink: SinkKind) -> Role {
    let whole_only = leaf.fractions == 0 && leaf.unsigned == 0;
    if is_id(key) && whole_only {
        let values = leaf.values.len();
        let repeats = !leaf.many_values && values * 2 <= leaf.whole;
        if values <= FEW || (repeats && values <= MANY) {
            return Role::Tag { is_costly: values > MANY / 2 };
        }
    }
    if whole_only && is_count(key) {
        return Role::Field(FieldKind::Integer, false);
    }
    if leaf.unsigned > 0
        && leaf.fractions == 0
        && leaf.range.is_some_and(|(least, _)| least >= 0.0)
        && sink.has_unsigned()
    {
        return Role::Field(FieldKind::Unsigned, false);
    }
    Role::Field(FieldKind::Float, false)
}

fn string(leaf: &Leaf, sink: SinkKind, coerce: bool) -> Role {
    if !sink.has_strings() {
        return Role::Nothing("text of many values, which this database can't hold".into());
    }
    if leaf.longest > LONGEST_STRING {
        return Role::Nothing("text that is too long for the database".into());
    }
    if leaf.awkward && sink.is_lines() {
        return Role::Nothing("text with line breaks or other control characters".into());
    }
    Role::Field(FieldKind::String, coerce)
}

/// A tag's value has no control character and no backslash, and is short.
fn fits_tag(leaf: &Leaf) -> bool {
    !leaf.awkward && leaf.longest <= LONGEST_TAG
}

/// The words of a key: `eventTime`, `event_time` and `event-time` are the same two.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for c in key.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before_is_lower) {
            words.push(String::new());
        }
        before_is_lower = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric() {
            words.last_mut().iter_mut().for_each(|word| word.extend(c.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn has_word(key: &str, known: &[&str]) -> bool {
    words(key).iter().any(|word| known.contains(&word.as_str()))
}

/// A name of what is there to tell things apart, also where there are many of them.
fn is_id(key: &str) -> bool {
    const ID: [&str; 24] = [
        "id", "ids", "device", "sensor", "host", "hostname", "node", "pod", "instance", "site",
        "region", "zone", "room", "line", "machine", "station", "customer", "merchant", "code",
        "status", "type", "kind", "name", "serial",
    ];
    has_word(key, &ID)
}

/// A name of what is another one in each message.
fn is_unique(key: &str) -> bool {
    has_word(
        key,
        &[
            "uuid",
            "guid",
            "trace",
            "span",
            "request",
            "correlation",
            "message",
            "event",
            "transaction",
            "order",
        ],
    )
}

/// A name of what is counted, and so is whole for ever.
fn is_count(key: &str) -> bool {
    const COUNT: [&str; 26] = [
        "count", "counts", "counter", "total", "num", "number", "cycles", "bytes", "size", "seq",
        "sequence", "errors", "requests", "retries", "attempts", "items", "length", "hits",
        "misses", "packets", "events", "messages", "cents", "quantity", "qty", "offset",
    ];
    has_word(key, &COUNT)
}

fn is_time(key: &str) -> bool {
    const TIME: [&str; 15] = [
        "ts",
        "time",
        "timestamp",
        "at",
        "date",
        "datetime",
        "when",
        "epoch",
        "millis",
        "created",
        "occurred",
        "measured",
        "observed",
        "recorded",
        "unixtime",
    ];
    has_word(key, &TIME)
}

/// The path of the time, and its unit: what is there in each message, and near to its own time.
fn time_path(shape: &Shape) -> Option<(&Place, Option<TimeUnit>)> {
    let candidates = shape.leaves.iter().filter_map(|(place, leaf)| {
        let key = place.keys.last()?;
        let is_named = is_time(key);
        if leaf.messages < shape.messages || !leaf.is_value() {
            return None;
        }
        let unit = if leaf.texts == leaf.messages && leaf.moments == leaf.texts {
            None
        } else if leaf.numbers() == leaf.messages {
            let near = NEAR[usize::from(!is_named)];
            let units = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
            let unit = units.into_iter().zip(leaf.years_off).find(|(_, off)| *off <= near);
            Some(unit?.0)
        } else {
            return None;
        };
        // The best name, and of those what is least deep.
        let exact =
            matches!(words(key).concat().as_str(), "ts" | "timestamp" | "time" | "eventtime");
        Some(((!is_named, !exact, place.is_around, place.keys.len()), (place, unit)))
    });
    candidates.min_by_key(|(rank, _)| *rank).map(|(_, found)| found)
}

/// A name for each path: its last key, or more of them where that is taken.
fn names(shape: &Shape) -> BTreeMap<Place, String> {
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let short = |place: &Place| name(place.keys.last().map_or(&[], std::slice::from_ref));
    for place in shape.leaves.keys() {
        *count.entry(short(place)).or_default() += 1;
    }
    for place in shape.leaves.keys() {
        let short = short(place);
        let wanted = if count[&short] == 1 { short } else { name(&place.keys) };
        let mut unique = wanted.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{wanted}_{number}");
            number += 1;
        }
        names.insert(place.clone(), unique);
    }
    names
}

/// Of letters, digits and underscores, so that every database has it as it is.
fn name(keys: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = keys.join("_").chars().map(plain).collect();
    let name = name.trim_matches('_').to_owned();
    match name.as_str() {
        "" => "value".into(),
        "time" => "time_value".into(),
        // The counting field's own.
        "messages" => "messages_value".into(),
        _ if name.starts_with(|c: char| c.is_ascii_digit()) => format!("n{name}"),
        _ => name,
    }
}

fn tag_remark(leaf: &Leaf) -> String {
    let some: Vec<_> = leaf.values.iter().take(3).map(String::as_str).collect();
    let more = if leaf.values.len() > 3 { ", …" } else { "" };
    let at_least = if leaf.many_values { "more than " } else { "" };
    let plural = if leaf.values.len() == 1 { "" } else { "s" };
    format!("{at_least}{} value{plural}: {}{more}", leaf.values.len(), some.join(", "))
}

fn field_remark(leaf: &Leaf, kind: FieldKind) -> String {
    let kinds = [leaf.texts > 0, leaf.booleans > 0, leaf.numbers() > 0];
    let range = leaf.range.map(|(least, most)| format!("{least} to {most}")).unwrap_or_default();
    match kind {
        FieldKind::String if kinds.iter().filter(|kind| **kind).count() > 1 => {
            "text, numbers or booleans, all taken as text".into()
        }
        FieldKind::String => {
            let at_least = if leaf.many_values { "more than " } else { "" };
            format!("text, {at_least}{} values in {} messages", leaf.values.len(), leaf.messages)
        }
        FieldKind::Boolean => "true or false".into(),
        FieldKind::Integer => {
            format!("{range}; whole in all messages, and a count by its name")
        }
        FieldKind::Float if leaf.fractions == 0 => {
            format!("{range}; whole so far, a float to be safe")
        }
        FieldKind::Unsigned | FieldKind::Float => range,
    }
}

fn time_remark(leaf: &Leaf) -> String {
    if leaf.texts > 0 {
        let some = leaf.values.first().cloned().unwrap_or_default();
        return format!("such as {some}");
    }
    "by its size: near to the time at which the messages were written".into()
}
