//! A filter: only points that a condition holds of go on.

use std::borrow::Cow;

use super::Next;
use crate::decode::Refusal;
use crate::map::{Condition, Input};
use crate::point::{Float, Point, Value};

/// Lets points pass that a condition holds of.
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Condition<Name>,
}

/// A part of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    Measurement,
    /// The field of this name, else the tag.
    Of(String),
}

impl Name {
    /// As it is written in a condition.
    pub fn new(written: &str) -> Self {
        match written {
            "measurement" => Self::Measurement,
            name => Self::Of(name.to_owned()),
        }
    }

    fn value<'a>(&self, point: &'a Point<'_>) -> Input<'a> {
        let name = match self {
            Self::Measurement => return Input::Text(Cow::Borrowed(&point.measurement)),
            Self::Of(name) => name,
        };
        if let Some((_, value)) = point.fields.iter().find(|(field, _)| field == name) {
            return input(value);
        }
        let tag = point.tags.iter().find(|(tag, _)| tag == name);
        // Text, because a tag has no type: beside a number, one that spells a number is that.
        tag.map_or(Input::Nothing, |(_, value)| Input::Untyped(Cow::Borrowed(value)))
    }
}

fn input<'a>(value: &'a Value<'_>) -> Input<'a> {
    match value {
        Value::Float(Float::Text(text)) => Input::Number(text),
        Value::Float(Float::Number(number)) => Input::Float(*number),
        Value::Integer(number) => Input::Integer(*number),
        Value::Unsigned(number) => Input::Unsigned(*number),
        Value::Boolean(boolean) => Input::Boolean(*boolean),
        Value::String(text) => Input::Text(Cow::Borrowed(text)),
        Value::NotFinite(number) => Input::Float(number.to_f64()),
        Value::Stale => Input::Nothing,
    }
}

impl Filter {
    /// Of points that this condition holds of.
    pub fn new(condition: Condition<Name>) -> Self {
        Self { condition }
    }

    pub(super) fn take(&self, point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        if self.condition.holds(&|name: &Name| Ok(name.value(&point))) {
            next(point)
        } else {
            Ok(())
        }
    }
}
