//! A document as a tree: what formats are read into, and the walk that fills a mapping's slots from it. JSON
//! has a walk of its own; so has Avro, but for what is wanted whole.
//!
//! One meaning for all formats:
//! - a point in time that a format or its schema declares is RFC 3339 text in UTC, with all its digits;
//!   a date is its midnight;
//! - a time of day is text such as `13:05:00.25`;
//! - a decimal is a whole number where it has no fraction and fits, and a float otherwise;
//! - bytes are text in base64;
//! - a key of a map that isn't text is written as text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Container, Rows, Slot, empty, joined};
use crate::path::{Node, Path, PathTrie};
use crate::point::Number;

/// A value of a document; borrows from the message where it can.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Boolean(bool),
    /// Of JSON, as the message spells it.
    Number(Number<'a>),
    Integer(i64),
    /// One that may be beyond `i64`.
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    /// What is text where text is wanted; most are only a point's time.
    Time(jiff::Timestamp),
    /// Text of a format that has nothing but text.
    Untyped(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// In the order of the message; of a repeated key the last value counts.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Bytes, which no point can carry, as text in base64.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Text(BASE64_STANDARD.encode(bytes).into())
    }

    /// A whole number of any size.
    pub fn whole(number: i128) -> Self {
        if let Ok(number) = i64::try_from(number) {
            return Self::Integer(number);
        }
        if let Ok(number) = u64::try_from(number) {
            return Self::Unsigned(number);
        }
        #[expect(clippy::cast_precision_loss, reason = "no integer of 64 bits: the nearest float")]
        let nearest = number as f64;
        Self::Float(nearest)
    }

    /// A point in time, in nanoseconds since the epoch. `None` beyond the year 9999.
    pub fn time(nanos: i128) -> Option<Self> {
        jiff::Timestamp::from_nanosecond(nanos).ok().map(Self::Time)
    }

    /// A day, counted from the epoch, as its midnight.
    pub fn date(days: i64) -> Option<Self> {
        Self::time(i128::from(days) * 86_400_000_000_000)
    }

    /// A time of day, in nanoseconds since midnight. `None` when that is no time of a day.
    pub fn time_of_day(nanos: i64) -> Option<Self> {
        let day = 0..86_400_000_000_000;
        let nanos = day.contains(&nanos).then_some(nanos)?;
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let mut text = format!("{hours:02}:{minutes:02}:{seconds:02}");
        if fraction > 0 {
            text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
        }
        Some(Self::Text(text.into()))
    }

    /// A decimal: a whole number in two's complement, the highest byte first, and how many of its
    /// digits are the fraction. `None` beyond 38 digits, the most that a database has.
    pub fn decimal(unscaled: &[u8], scale: i32) -> Option<Self> {
        let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
        let fill: u8 = if negative { 0xff } else { 0 };
        let excess = unscaled.len().saturating_sub(16);
        let (sign, digits) = unscaled.split_at(excess);
        if sign.iter().any(|byte| *byte != fill) {
            return None;
        }
        let mut bytes = [fill; 16];
        bytes[16 - digits.len()..].copy_from_slice(digits);
        let number = i128::from_be_bytes(bytes);
        if (number < 0) != negative {
            return None;
        }
        Some(match (scale, u32::try_from(scale)) {
            (0, _) => Self::whole(number),
            // A database's decimal has no more digits; the text of a hostile one could have millions.
            (_, Ok(scale)) if scale <= 400 => {
                Self::Float(format!("{number}e-{scale}").parse().ok()?)
            }
            (-38..0, _) => Self::whole(number.checked_mul(10i128.pow(scale.unsigned_abs()))?),
            _ => return None,
        })
    }

    /// What a number spells: a whole one where it is written as one and fits, and else the nearest float.
    pub fn typed(number: Number<'_>) -> Self {
        let text = number.text();
        let whole = text.parse().map(Self::Integer);
        let whole = whole.or_else(|_| text.parse().map(Self::Unsigned));
        // JSON's grammar is within that of floats.
        whole.unwrap_or_else(|_| Self::Float(text.parse().unwrap_or(f64::NAN)))
    }

    /// The same, borrowing from nothing; a number loses its spelling.
    pub fn into_owned(self) -> Value<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Value::Null,
            Self::Boolean(boolean) => Value::Boolean(boolean),
            Self::Number(number) => Value::typed(number),
            Self::Integer(number) => Value::Integer(number),
            Self::Unsigned(number) => Value::Unsigned(number),
            Self::Float(number) => Value::Float(number),
            Self::Text(text) => Value::Text(owned(text)),
            Self::Time(time) => Value::Time(time),
            Self::Untyped(text) => Value::Untyped(owned(text)),
            Self::Array(elements) => {
                Value::Array(elements.into_iter().map(Value::into_owned).collect())
            }
            Self::Map(entries) => Value::Map(
                entries.into_iter().map(|(key, value)| (owned(key), value.into_owned())).collect(),
            ),
        }
    }

    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().rfind(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Takes the value under a key out of a map.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        let Self::Map(entries) = self else { return None };
        let place = entries.iter().rposition(|(name, _)| name == key)?;
        Some(std::mem::replace(&mut entries[place].1, Self::Null))
    }

    /// The key that a value is in a map, if it can be one.
    pub fn into_key(self) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Text(text) | Self::Untyped(text) => text,
            Self::Number(number) if number.text().parse::<i128>().is_ok() => number.text().into(),
            Self::Time(time) => time.to_string().into(),
            Self::Integer(number) => number.to_string().into(),
            Self::Unsigned(number) => number.to_string().into(),
            Self::Boolean(boolean) => boolean.to_string().into(),
            Self::Null | Self::Number(_) | Self::Float(_) | Self::Array(_) | Self::Map(_) => {
                return None;
            }
        })
    }

    /// The text, of a value that is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, of a value that is a whole one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.text().parse().ok(),
            Self::Integer(number) => Some(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Fills `slots` with the values at the paths of `trie`; a path that the document doesn't have is
/// [`Slot::Missing`].
///
/// # Panics
/// When there are not exactly [`PathTrie::slots`] slots: a mistake of the caller, whatever the document.
pub fn fill<'a>(value: Value<'a>, trie: &PathTrie, slots: &mut [Slot<'a>]) {
    assert_eq!(slots.len(), trie.slots(), "one slot a path");
    empty(slots);
    fill_below(value, trie.root(), slots);
}

/// The same into new slots.
#[cfg(any(test, fuzzing))]
pub(crate) fn filled<'a>(value: Value<'a>, trie: &PathTrie) -> Vec<Slot<'a>> {
    let mut slots = vec![Slot::Null; trie.slots()];
    fill(value, trie, &mut slots);
    slots
}

/// The same from a place in the trie on. Its slots must be empty.
#[inline]
pub(super) fn fill_below<'a>(value: Value<'a>, node: &Node, slots: &mut [Slot<'a>]) {
    let found = if node.is_leaf() { value.into() } else { fill_container(value, node, slots) };
    if let Some(slot) = node.slot() {
        slots[slot].set(found);
    }
}

/// Fills the slots of what is inside a value, and gives what it is itself.
fn fill_container<'a>(value: Value<'a>, node: &Node, slots: &mut [Slot<'a>]) -> Slot<'a> {
    match value {
        Value::Array(elements) => {
            if let Some(wanted) = node.elements() {
                slots[wanted.slot] = Slot::Elements(Box::new(rows(&elements, &wanted.paths)));
            }
            let mut indexes = node.indexes();
            for (index, element) in elements.into_iter().enumerate() {
                if let Some(child) = indexes.find(index) {
                    fill_below(element, child, slots);
                }
            }
            Slot::Container(Container::Array)
        }
        Value::Map(entries) => {
            for wanted in node.entries() {
                let mut found = Vec::new();
                gather(&entries, "", wanted.depth, &mut found);
                slots[wanted.slot] = Slot::Entries(found.into());
            }
            let mut keys = node.keys();
            for (key, value) in entries {
                if let Some(child) = keys.find(key.as_bytes()) {
                    // The key may be here for the second time.
                    for &slot in child.below() {
                        slots[slot] = Slot::Missing;
                    }
                    fill_below(value, child, slots);
                }
            }
            Slot::Container(Container::Object)
        }
        scalar => scalar.into(),
    }
}

impl<'a> From<Value<'a>> for Slot<'a> {
    /// What a value is, whatever is inside.
    #[inline]
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(boolean) => Self::Boolean(boolean),
            Value::Number(number) => Self::Number(number),
            Value::Integer(number) => Self::Integer(number),
            Value::Unsigned(number) => Self::Unsigned(number),
            Value::Float(number) => Self::Float(number),
            Value::Text(text) => Self::Text(text),
            Value::Time(time) => Self::Time(time),
            Value::Untyped(text) => Self::Untyped(text),
            Value::Array(_) => Self::Container(Container::Array),
            Value::Map(_) => Self::Container(Container::Object),
        }
    }
}

/// The slots of each element.
fn rows<'a>(elements: &[Value<'a>], paths: &PathTrie) -> Rows<'a> {
    let mut rows = Rows { len: elements.len(), slots: Vec::new() };
    for element in elements {
        let row = rows.slots.len();
        rows.slots.resize(row + paths.slots(), Slot::Missing);
        fill_below(element.clone(), paths.root(), &mut rows.slots[row..]);
    }
    rows
}

/// Every value of an object, so many objects deep.
fn gather<'a>(
    entries: &[(Cow<'a, str>, Value<'a>)],
    outer: &str,
    depth: usize,
    found: &mut Vec<(Cow<'a, str>, Slot<'a>)>,
) {
    // The whole value, wherever it is to be put.
    let mut whole = PathTrie::new();
    whole.slot(&Path::default());
    for (key, value) in entries {
        let key = joined(outer, key.clone());
        match value {
            Value::Map(inner) if depth > 1 => gather(inner, &key, depth - 1, found),
            value => {
                let mut slot = [Slot::Missing];
                fill_below(value.clone(), whole.root(), &mut slot);
                let [slot] = slot;
                found.push((key, slot));
            }
        }
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
