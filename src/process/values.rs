//! What processors read of a point, and add to it.

use std::borrow::Cow;
use std::time::Duration;

use super::rejected;
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::point::{Point, Timestamp, Value};

/// A number's value; `None` of what is no finite number.
pub(super) fn number(value: &Value<'_>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a float was asked for: the nearest")]
    match value {
        Value::Float(float) => Some(float.to_f64()),
        Value::Integer(number) => Some(*number as f64),
        Value::Unsigned(number) => Some(*number as f64),
        Value::Boolean(_) | Value::String(_) | Value::Stale | Value::NotFinite(_) => None,
    }
}

/// The text of a tag or field of this name, as a tag would have it.
pub(super) fn text<'p>(point: &'p Point<'_>, name: &str) -> Option<Cow<'p, str>> {
    if let Some(tag) = point.tag(name) {
        return Some(Cow::Borrowed(tag));
    }
    match point.field(name)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Integer(number) => Some(Cow::Owned(number.to_string())),
        Value::Unsigned(number) => Some(Cow::Owned(number.to_string())),
        Value::Boolean(boolean) => Some(Cow::Owned(boolean.to_string())),
        Value::Float(float) => Some(Cow::Owned(float.to_f64().to_string())),
        Value::Stale | Value::NotFinite(_) => None,
    }
}

/// Gives the point a field; one of this name gets the new value.
///
/// # Errors
/// When a tag has the name: databases take it for one or the other.
pub(super) fn set_field<'p>(
    point: &mut Point<'p>,
    name: &'p str,
    value: Value<'p>,
) -> Result<(), Refusal> {
    if point.tag(name).is_some() {
        return Err(rejected(
            ReasonKind::NameTaken,
            format!("the field {name} can't be added: a tag has this name"),
        ));
    }
    match point.fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => point.fields.push((Cow::Borrowed(name), value)),
    }
    Ok(())
}

/// What happened by then is longer ago than `within`, in nanoseconds.
pub(super) fn expired(clock: Timestamp, within: Duration) -> i64 {
    let within = i64::try_from(within.as_nanos()).unwrap_or(i64::MAX);
    clock.nanos().saturating_sub(within)
}
