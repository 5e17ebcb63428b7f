//! Steps: what is done with a value on its way from the message into a tag or field.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;

use super::Table;
use super::convert::{Input, excerpt};
use crate::point::Timestamp;
use crate::record::Offset;

/// One of them; they are done in the order in which they stand here.
#[derive(Debug, Clone)]
pub enum Step {
    /// The first group of the expression, or all that it finds. Nothing, where it finds nothing.
    Capture(Regex),
    /// What stands in this column of the table, in the row with this key. Nothing, where there is no
    /// such row.
    Lookup(Arc<Table>, usize),
    /// The value that stands for this text.
    Values(BTreeMap<String, String>),
    /// `value × scale + offset`.
    Scale { scale: f64, offset: f64 },
    /// Where there is nothing.
    Default(String),
}

impl Step {
    pub(super) fn take<'a>(&'a self, input: Input<'a>) -> Result<Input<'a>, String> {
        match (self, input) {
            (Self::Default(text), Input::Nothing) => Ok(Input::Untyped(text.into())),
            (_, Input::Nothing) => Ok(Input::Nothing),
            (Self::Default(_), input) => Ok(input),
            (Self::Capture(regex), input) => Ok(capture(regex, &input)),
            (Self::Lookup(table, column), input) => {
                let key = input.text().unwrap_or_default();
                let found = table.get(&key, *column);
                Ok(found.map_or(Input::Nothing, |value| Input::Untyped(value.into())))
            }
            (Self::Values(values), input) => {
                let text = input.text().unwrap_or_default();
                let value = values.get(&*text).map(|value| Input::Untyped(value.into()));
                value.ok_or_else(|| format!("{:?} is none of the `values`", excerpt(&text)))
            }
            (Self::Scale { scale, offset }, input) => match input.number() {
                Some(number) => Ok(Input::Float(number.mul_add(*scale, *offset))),
                None => Err(format!(
                    "found {:?}, which is no number to scale",
                    excerpt(&input.text().unwrap_or_default())
                )),
            },
        }
    }
}

/// How points of one series that have one time are kept apart: the record's offset goes into the digits
/// that the time doesn't use. A record has the same time again in every replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The nanoseconds between two times that messages can have.
    pub room: i64,
    /// The nanoseconds between two times that the database can have; less than `room`.
    pub step: i64,
}

impl Spread {
    /// Prime to every power of ten, so that as many offsets as there is room have a time each; and more
    /// than an array mostly has elements.
    const STRIDE: i64 = 1009;

    /// A time that uses more digits than it was said to stays as it is.
    pub(super) fn apart(self, time: Timestamp, offset: Offset, element: usize) -> Timestamp {
        if time.nanos() % self.room != 0 {
            return time;
        }
        let element = i64::try_from(element).unwrap_or(0);
        let number = offset.0.wrapping_mul(Self::STRIDE).wrapping_add(element);
        let places = self.room / self.step;
        let nanos = time.nanos() + number.rem_euclid(places) * self.step;
        Timestamp::from_nanos(i128::from(nanos)).unwrap_or(time)
    }
}

fn capture<'a>(regex: &Regex, input: &Input<'a>) -> Input<'a> {
    let Some(text) = input.text() else {
        return Input::Nothing;
    };
    let found = regex.captures(&text).and_then(|found| found.get(1).or_else(|| found.get(0)));
    match (found.map(|found| found.range()), text) {
        (None, _) => Input::Nothing,
        (Some(range), Cow::Borrowed(text)) => Input::Untyped(Cow::Borrowed(&text[range])),
        (Some(range), Cow::Owned(text)) => Input::Untyped(Cow::Owned(text[range].to_owned())),
    }
}

impl<'a> Input<'a> {
    /// The value as text, as it would be a tag's. `None` where there is nothing.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Nothing => None,
            Self::Boolean(boolean) => Some(Cow::Borrowed(if *boolean { "true" } else { "false" })),
            Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Unsigned(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) | Self::Untyped(text) => Some(text.clone()),
        }
    }

    /// The value as a number, where it is one, or text from where there are no types.
    pub(super) fn number(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for: the nearest")]
        match self {
            Self::Number(text) => text.parse().ok(),
            Self::Integer(number) => Some(*number as f64),
            Self::Unsigned(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Untyped(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Boolean(_) | Self::Text(_) => None,
        }
    }
}
