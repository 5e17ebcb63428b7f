//! What stands at each path of documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::decode::tree::Value;
use crate::path::{Path, Segment};
use crate::point::Timestamp;

/// More paths than this are a message made of data for keys.
const MOST_PATHS: usize = 500;
/// Distinct texts that are kept of a path.
const MOST_VALUES: usize = 2000;
/// The longest text that is looked at as a tag's value, in bytes.
const LONGEST: usize = 200;
/// So many elements of each message's array are looked at.
const MOST_ELEMENTS: usize = 100;
/// As deep as paths are followed.
const MOST_SEGMENTS: usize = 16;

/// What was seen in some messages.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) messages: usize,
    pub(super) leaves: BTreeMap<Place, Leaf>,
    /// The array that points are made of, if it is one: then its elements are the documents.
    pub(super) explode: Option<Vec<String>>,
    /// Paths that were left out, because there are too many.
    pub(super) left_out: usize,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Around the array whose elements are the documents.
    pub(super) is_around: bool,
    /// Of objects, from the outermost. Without any, it is the document.
    pub(super) keys: Vec<String>,
}

/// What was seen at a path.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// Messages with something other than null there.
    pub(super) messages: usize,
    pub(super) texts: usize,
    pub(super) booleans: usize,
    pub(super) whole: usize,
    /// Numbers with a fraction or an exponent.
    pub(super) fractions: usize,
    /// Whole numbers beyond `i64`.
    pub(super) unsigned: usize,
    pub(super) objects: usize,
    pub(super) arrays: usize,
    /// Distinct texts and whole numbers, as text.
    pub(super) values: BTreeSet<String>,
    /// There are more than `values` has.
    pub(super) many_values: bool,
    /// The longest text, in bytes.
    pub(super) longest: usize,
    /// A text that a tag or a line of text can't have.
    pub(super) awkward: bool,
    /// The least and the greatest number.
    pub(super) range: Option<(f64, f64)>,
    /// Texts with a time in RFC 3339, and those without a zone.
    pub(super) moments: usize,
    pub(super) zoneless: usize,
    /// How far numbers would be from the message's own time, in years, for s, ms, us and ns: the
    /// furthest.
    pub(super) years_off: [f64; 4],
    /// In which messages it stood, for who needs something in each.
    pub(super) seen_in: BTreeSet<usize>,
}

impl Shape {
    /// Nothing seen, of documents of which these are some.
    pub(super) fn before(documents: &[Value<'_>], are_elements: bool) -> Self {
        let explode = if are_elements { Some(Vec::new()) } else { array(documents) };
        Self { explode, ..Self::default() }
    }

    /// Takes a document in.
    pub(super) fn take(&mut self, document: &Value<'_>, millis: i64) {
        let explode = self.explode.clone().filter(|keys| !keys.is_empty());
        let elements = explode.and_then(|keys| elements(document, &keys));
        let Some(elements) = elements else { return self.take_one(document, None, millis) };
        for element in elements.iter().take(MOST_ELEMENTS) {
            self.take_one(element, Some(document), millis);
        }
    }

    fn take_one(&mut self, document: &Value<'_>, around: Option<&Value<'_>>, millis: i64) {
        let at = |is_around| Place { is_around, keys: Vec::new() };
        if let Value::Map(_) = document {
            self.walk(document, &mut at(false), millis);
        } else {
            self.take_value(&at(false), document, millis);
        }
        if let Some(around) = around {
            self.walk(around, &mut at(true), millis);
        }
        self.messages += 1;
    }

    fn walk(&mut self, document: &Value<'_>, place: &mut Place, millis: i64) {
        let Value::Map(entries) = document else { return };
        for (key, value) in entries.iter().filter(|(_, value)| *value != Value::Null) {
            place.keys.push(key.to_string());
            // What is made points of is no value besides.
            if !place.is_around || self.explode.as_ref() != Some(&place.keys) {
                self.take_value(place, value, millis);
                if place.keys.len() < MOST_SEGMENTS {
                    self.walk(value, place, millis);
                }
            }
            place.keys.pop();
        }
    }

    fn take_value(&mut self, place: &Place, value: &Value<'_>, millis: i64) {
        if self.leaves.contains_key(place) || self.leaves.len() < MOST_PATHS {
            let leaf = self.leaves.entry(place.clone()).or_default();
            leaf.take(value, millis);
            leaf.seen_in.insert(self.messages);
        } else {
            self.left_out += 1;
        }
    }

    /// A place as a path of a connector file.
    pub(super) fn path(&self, place: &Place) -> String {
        let path = path(&place.keys);
        if place.is_around {
            return format!("$.{path}");
        }
        match &self.explode {
            Some(_) if place.keys.is_empty() => ".".into(),
            // It would be taken for one of the message.
            Some(_) if path.starts_with("$.") => bracketed(&place.keys),
            _ => path,
        }
    }
}

/// The one array that is there in each document and has nothing but objects in it, one at least with a number
/// or a boolean.
fn array(documents: &[Value<'_>]) -> Option<Vec<String>> {
    let mut all = documents.iter().map(|document| {
        let mut found = Vec::new();
        arrays(document, &mut Vec::new(), &mut found);
        found
    });
    let first = all.next()?;
    let [keys] = first.as_slice() else { return None };
    all.all(|found| found == first).then(|| keys.clone())
}

fn arrays(value: &Value<'_>, keys: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Value::Map(entries) = value else { return };
    for (key, value) in entries {
        keys.push(key.to_string());
        match value {
            Value::Array(elements) if are_points(elements) => found.push(keys.clone()),
            Value::Map(_) if keys.len() < MOST_SEGMENTS => arrays(value, keys, found),
            _ => {}
        }
        keys.pop();
    }
}

fn are_points(elements: &[Value<'_>]) -> bool {
    let has_value = |element: &Value<'_>| match element {
        Value::Map(entries) => entries.iter().any(|(_, value)| {
            !matches!(value, Value::Null | Value::Text(_) | Value::Array(_) | Value::Map(_))
        }),
        _ => false,
    };
    elements.iter().all(|element| matches!(element, Value::Map(_)))
        && elements.iter().any(has_value)
}

fn elements<'d, 'a>(document: &'d Value<'a>, keys: &[String]) -> Option<&'d [Value<'a>]> {
    let found = keys.iter().try_fold(document, |value, key| value.get(key))?;
    if let Value::Array(elements) = found { Some(elements) } else { None }
}

impl Leaf {
    fn take(&mut self, value: &Value<'_>, millis: i64) {
        self.messages += 1;
        self.value(value, millis);
    }

    fn value(&mut self, value: &Value<'_>, millis: i64) {
        match value {
            Value::Null => {}
            Value::Boolean(_) => self.booleans += 1,
            Value::Number(number) => self.value(&Value::typed(*number), millis),
            Value::Integer(number) => {
                self.whole += 1;
                self.keep(&number.to_string());
                #[expect(clippy::cast_precision_loss, reason = "of a time and a range only")]
                self.number(*number as f64, millis);
            }
            Value::Unsigned(number) => {
                self.unsigned += 1;
                #[expect(clippy::cast_precision_loss, reason = "of a range only")]
                self.number(*number as f64, millis);
            }
            Value::Float(number) => {
                self.fractions += 1;
                self.number(*number, millis);
            }
            Value::Text(text) | Value::Untyped(text) => self.text(text),
            Value::Time(time) => self.text(&time.to_string()),
            Value::Array(_) => self.arrays += 1,
            Value::Map(_) => self.objects += 1,
        }
    }

    fn number(&mut self, number: f64, millis: i64) {
        let (least, most) = self.range.unwrap_or((number, number));
        self.range = Some((least.min(number), most.max(number)));
        self.count_years(number, millis);
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        self.longest = self.longest.max(text.len());
        self.awkward |= text.contains(|c: char| c.is_control() || c == '\\');
        let moment = text.parse::<jiff::Timestamp>().ok();
        let moment = moment.and_then(|at| Timestamp::from_nanos(at.as_nanosecond()));
        self.moments += usize::from(moment.is_some());
        let civil = text.len() >= 10 && text.parse::<jiff::civil::DateTime>().is_ok();
        self.zoneless += usize::from(civil);
        self.keep(text);
    }

    fn count_years(&mut self, number: f64, millis: i64) {
        #[expect(clippy::cast_precision_loss, reason = "years are wanted")]
        let own = millis as f64 / 1e3;
        for (furthest, unit) in self.years_off.iter_mut().zip([1.0, 1e3, 1e6, 1e9]) {
            *furthest = furthest.max(((number / unit - own) / 31_556_952.0).abs());
        }
    }

    fn keep(&mut self, text: &str) {
        if self.values.len() < MOST_VALUES && text.len() <= LONGEST {
            self.values.insert(text.to_owned());
        } else if !self.values.contains(text) {
            self.many_values = true;
        }
    }

    pub(super) fn numbers(&self) -> usize {
        self.whole + self.unsigned + self.fractions
    }

    pub(super) fn containers(&self) -> usize {
        self.objects + self.arrays
    }

    /// Whether it is a value in every message where it is anything.
    pub(super) fn is_value(&self) -> bool {
        self.containers() == 0 && self.messages > 0
    }
}

fn bracketed(keys: &[String]) -> String {
    let mut written = String::new();
    for key in keys {
        // Writing to a String can't fail.
        let _ = write!(written, "[{}]", Json::from(key.as_str()));
    }
    written
}

/// The path as a connector file has it.
pub(super) fn path(keys: &[String]) -> String {
    if keys.is_empty() {
        return "$".into();
    }
    let written = bracketed(keys);
    // In the form that people write, where there is one.
    written.parse::<Path>().map_or(written, |path| {
        debug_assert!(path.segments().iter().all(|segment| matches!(segment, Segment::Key(_))));
        path.to_string()
    })
}
