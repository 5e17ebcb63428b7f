//! A message's value as a field of the declared type.

use std::borrow::Cow;

use crate::config::raw::FieldKind;
use crate::decode::Slot;
use crate::point::{Float, Number, Value};
use crate::words::is_digits;

/// A value as it stands in the record.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// Missing, or null.
    Nothing,
    Boolean(bool),
    /// A number's text, in JSON's grammar.
    Number(&'a str),
    /// A whole number that is no text: of a format that has such a type, or of Kafka.
    Integer(i64),
    Unsigned(u64),
    /// May be NaN or infinite.
    Float(f64),
    Text(Cow<'a, str>),
    /// Text from where there are no types: a header, the key, a template, a constant.
    Untyped(Cow<'a, str>),
}

/// The largest integer up to which every integer has an f64 of its own: 2⁵³.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// `None` when there is nothing. The error says what was found and what is wanted.
pub(super) fn to_value(
    input: Input<'_>,
    kind: FieldKind,
    coerce: bool,
) -> Result<Option<Value<'_>>, String> {
    let coerce = coerce || matches!(input, Input::Untyped(_));
    if matches!(input, Input::Nothing) {
        return Ok(None);
    }
    let value = match kind {
        FieldKind::Float => float(&input, coerce).map(Value::Float),
        FieldKind::Integer => integer(&input, coerce).map(Value::Integer),
        FieldKind::Unsigned => unsigned(&input, coerce).map(Value::Unsigned),
        FieldKind::Boolean => boolean(&input, coerce).map(Value::Boolean),
        FieldKind::String => {
            return match string(input, coerce) {
                Ok(text) => Ok(Some(Value::String(text))),
                Err(input) => Err(mismatch(&input, kind, coerce)),
            };
        }
    };
    value.map(Some).ok_or_else(|| mismatch(&input, kind, coerce))
}

/// What [`to_value`] makes of nearly every number. `None` where it has to say.
#[inline]
pub(super) fn plain_number<'a>(slot: &Slot<'a>, kind: FieldKind) -> Option<Value<'a>> {
    match (slot, kind) {
        (Slot::Number(number), FieldKind::Float) => number.float().map(Value::Float),
        (Slot::Number(number), FieldKind::Integer) => {
            number.text().parse().ok().map(Value::Integer)
        }
        (Slot::Float(number), FieldKind::Float) => Float::from_number(*number).map(Value::Float),
        (Slot::Integer(number), FieldKind::Integer) => Some(Value::Integer(*number)),
        _ => None,
    }
}

/// Whether a number's text is what a database is to be told of a field of this type, as it stands there.
#[inline]
pub(super) fn is_spelled(number: Number<'_>, kind: FieldKind) -> bool {
    match kind {
        FieldKind::Float => number.float().is_some(),
        FieldKind::Integer => is_spelled_integer(number.text()),
        _ => false,
    }
}

fn is_spelled_integer(text: &str) -> bool {
    // Zero has no sign.
    let digits = text.strip_prefix('-').filter(|digits| *digits != "0").unwrap_or(text);
    // So many are within 64 bits.
    digits.len() <= 18 && is_digits(digits.as_bytes())
}

/// Gives a value that is there already another type, by the rules of `coerce`. What is no finite number,
/// and the end of a series, stay what they are.
pub(crate) fn cast(value: &mut Value<'_>, kind: FieldKind) -> Result<(), String> {
    let input = match std::mem::replace(value, Value::Stale) {
        Value::Float(Float::Text(text)) => Input::Number(text),
        Value::Float(Float::Number(number)) => Input::Float(number),
        Value::Integer(number) => Input::Integer(number),
        Value::Unsigned(number) => Input::Unsigned(number),
        Value::Boolean(boolean) => Input::Boolean(boolean),
        Value::String(text) => Input::Text(text),
        other @ (Value::Stale | Value::NotFinite(_)) => {
            *value = other;
            return Ok(());
        }
    };
    if let Some(cast) = to_value(input, kind, true)? {
        *value = cast;
    }
    Ok(())
}

fn float<'a>(input: &Input<'a>, coerce: bool) -> Option<Float<'a>> {
    match input {
        Input::Number(text) => Float::from_text(text),
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for: the nearest")]
        Input::Integer(number) => Float::from_number(*number as f64),
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for: the nearest")]
        Input::Unsigned(number) => Float::from_number(*number as f64),
        Input::Float(number) => Float::from_number(*number),
        Input::Text(text) | Input::Untyped(text) if coerce => {
            Float::from_number(text.trim().parse().ok()?)
        }
        Input::Boolean(boolean) if coerce => Float::from_number(f64::from(u8::from(*boolean))),
        _ => None,
    }
}

fn integer(input: &Input<'_>, coerce: bool) -> Option<i64> {
    match input {
        Input::Integer(number) => Some(*number),
        Input::Unsigned(number) => i64::try_from(*number).ok(),
        Input::Float(number) => whole(*number),
        Input::Boolean(boolean) if coerce => Some(i64::from(*boolean)),
        _ => {
            let text = number_text(input, coerce)?;
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
    }
}

fn unsigned(input: &Input<'_>, coerce: bool) -> Option<u64> {
    match input {
        Input::Integer(number) => u64::try_from(*number).ok(),
        Input::Unsigned(number) => Some(*number),
        Input::Float(number) => u64::try_from(whole(*number)?).ok(),
        Input::Boolean(boolean) if coerce => Some(u64::from(*boolean)),
        _ => {
            let text = number_text(input, coerce)?;
            text.parse().ok().or_else(|| u64::try_from(whole(text.parse().ok()?)?).ok())
        }
    }
}

fn boolean(input: &Input<'_>, coerce: bool) -> Option<bool> {
    match input {
        Input::Boolean(boolean) => Some(*boolean),
        Input::Text(text) | Input::Untyped(text) if coerce => match text.trim() {
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        },
        Input::Number(_) | Input::Integer(_) | Input::Unsigned(_) | Input::Float(_) if coerce => {
            match integer(input, coerce)? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Gives the input back where it is not text.
fn string(input: Input<'_>, coerce: bool) -> Result<Cow<'_, str>, Input<'_>> {
    match input {
        Input::Text(text) | Input::Untyped(text) => Ok(text),
        Input::Number(text) if coerce => Ok(Cow::Borrowed(text)),
        Input::Integer(number) if coerce => Ok(Cow::Owned(number.to_string())),
        Input::Unsigned(number) if coerce => Ok(Cow::Owned(number.to_string())),
        Input::Float(number) if coerce => Ok(Cow::Owned(number.to_string())),
        Input::Boolean(boolean) if coerce => {
            Ok(Cow::Borrowed(if boolean { "true" } else { "false" }))
        }
        other => Err(other),
    }
}

fn number_text<'a>(input: &'a Input<'_>, coerce: bool) -> Option<&'a str> {
    match input {
        Input::Number(text) => Some(text),
        Input::Text(text) | Input::Untyped(text) if coerce => Some(text.trim()),
        _ => None,
    }
}

/// A whole number that is a float, or is spelled with a fraction or an exponent (`5.0`, `1e3`): JSON has
/// one number type only, and some producers write every number so. Above 2⁵³ it might be another
/// number already.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn mismatch(input: &Input<'_>, kind: FieldKind, coerce: bool) -> String {
    let found = match input {
        Input::Nothing => "nothing".to_owned(),
        Input::Boolean(boolean) => format!("the boolean {boolean}"),
        Input::Number(text) => format!("the number {}", excerpt(text)),
        Input::Integer(number) => format!("the number {number}"),
        Input::Unsigned(number) => format!("the number {number}"),
        Input::Float(number) => format!("the number {number}"),
        Input::Text(text) | Input::Untyped(text) => format!("the text {:?}", excerpt(text)),
    };
    let wanted = match kind {
        FieldKind::Float => "a finite float",
        FieldKind::Integer => "a whole number of 64 bits",
        FieldKind::Unsigned => "a whole number of 64 bits, not negative",
        FieldKind::Boolean => "a boolean",
        FieldKind::String => "text",
    };
    let same_kind = match kind {
        FieldKind::Boolean => matches!(input, Input::Boolean(_)),
        FieldKind::String => matches!(input, Input::Text(_)),
        _ => !matches!(input, Input::Boolean(_) | Input::Text(_) | Input::Untyped(_)),
    };
    let mend = if coerce || same_kind { "" } else { " (declare another type, or coerce: true)" };
    format!("found {found}, not {wanted}{mend}")
}

/// The first characters: a reason is a header and a log line, not a place for a whole message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_short_way_for_numbers_is_the_long_way(
            text in "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,3})?([eE][+-]?[0-9]{1,3})?|-?(0|[1-9][0-9]{0,18})",
            (integer, float) in (any::<i64>(), any::<f64>()),
        ) {
            let kinds = [
                FieldKind::Float, FieldKind::Integer, FieldKind::Unsigned, FieldKind::Boolean,
                FieldKind::String,
            ];
            for kind in kinds {
                let number = Slot::Number(text.as_str().into());
                if let Some(value) = plain_number(&number, kind) {
                    prop_assert_eq!(to_value(Input::Number(&text), kind, false), Ok(Some(value)));
                }
                if let Some(value) = plain_number(&Slot::Integer(integer), kind) {
                    prop_assert_eq!(to_value(Input::Integer(integer), kind, false), Ok(Some(value)));
                }
                if let Some(value) = plain_number(&Slot::Float(float), kind) {
                    prop_assert_eq!(to_value(Input::Float(float), kind, false), Ok(Some(value)));
                }
                if is_spelled(text.as_str().into(), kind) {
                    let as_it_stands = match to_value(Input::Number(&text), kind, false) {
                        Ok(Some(Value::Float(Float::Text(spelled)))) => spelled == text,
                        Ok(Some(Value::Integer(number))) => number.to_string() == text,
                        _ => false,
                    };
                    prop_assert!(as_it_stands, "{text} {kind:?}");
                }
            }
        }
    }
}
