//! Steps between a source and a tag or field, and constants.

use std::collections::BTreeMap;

use regex::Regex;

use crate::config::check::{At, Checker, canonical};
use crate::config::error::quoted;
use crate::config::expand::Expansion;
use crate::config::plain::Type;
use crate::config::raw::{FieldKind, FieldSource, Scalar, TagSource};
use crate::map::Step;

use super::tables::{self, Tables};

/// The keys of a tag or field that are steps.
pub(super) struct Raw<'r> {
    capture: Option<&'r str>,
    lookup: Option<&'r str>,
    values: &'r BTreeMap<String, Scalar>,
    scale: Option<f64>,
    offset: Option<f64>,
    default: bool,
}

impl<'r> From<&'r TagSource> for Raw<'r> {
    fn from(raw: &'r TagSource) -> Self {
        Self {
            capture: raw.capture.as_deref(),
            lookup: raw.lookup.as_deref(),
            values: &raw.values,
            scale: None,
            offset: None,
            default: raw.default.is_some(),
        }
    }
}

impl<'r> From<&'r FieldSource> for Raw<'r> {
    fn from(raw: &'r FieldSource) -> Self {
        Self {
            capture: raw.capture.as_deref(),
            lookup: raw.lookup.as_deref(),
            values: &raw.values,
            scale: raw.scale,
            offset: raw.offset,
            default: raw.default.is_some(),
        }
    }
}

pub(super) fn steps(
    raw: &Raw<'_>,
    tables: &Tables,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(text) = raw.capture {
        steps.push(Step::Capture(regex(text, checker, &[at, &["capture"]].concat())?));
    }
    if let Some(text) = raw.lookup {
        let at = [at, &["lookup"]].concat();
        steps.push(tables::step(text, tables, checker, &at)?);
    }
    if !raw.values.is_empty() {
        let value = |key: &String| {
            let at = [at, &["values", key]].concat();
            Some((key.clone(), canonical(checker.scalar(&at)?)))
        };
        steps.push(Step::Values(raw.values.keys().map(value).collect::<Option<_>>()?));
    }
    if raw.scale.is_some() || raw.offset.is_some() {
        let (scale, offset) = (raw.scale.unwrap_or(1.0), raw.offset.unwrap_or(0.0));
        if !scale.is_finite() || !offset.is_finite() {
            checker.wrong(at, "`scale` and `offset` must be finite numbers");
        }
        steps.push(Step::Scale { scale, offset });
    }
    if raw.default {
        let scalar = checker.scalar(&[at, &["default"]].concat())?;
        steps.push(Step::Default(canonical(scalar)));
    }
    Some(steps)
}

pub(super) fn regex(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Regex> {
    match Regex::new(text) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            let last = last.trim_start_matches("error: ");
            checker.wrong(at, format!("{} is no regular expression: {last}", quoted(text)));
            None
        }
    }
}

/// A field's constant, as text that its type takes.
pub(super) fn constant(kind: FieldKind, checker: &mut Checker<'_>, at: At<'_>) -> Option<String> {
    let scalar = checker.scalar(at)?;
    let unquoted = scalar.plain && scalar.expansion != Expansion::Part;
    let written = if unquoted { Type::of(&scalar.text) } else { Type::Text };
    let text = match (kind, written) {
        (FieldKind::String, _) => return Some(scalar.text.clone()),
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
        (FieldKind::Float, Type::Integer(number)) => Some((number as f64).to_string()),
        (FieldKind::Float, Type::Float(number)) if number.is_finite() => Some(number.to_string()),
        (FieldKind::Integer, Type::Integer(number)) => {
            i64::try_from(number).ok().map(|number| number.to_string())
        }
        (FieldKind::Unsigned, Type::Integer(number)) => {
            u64::try_from(number).ok().map(|number| number.to_string())
        }
        (FieldKind::Boolean, Type::Boolean(value)) => Some(value.to_string()),
        _ => None,
    };
    if text.is_none() {
        let message = format!("{} {}", scalar.shown(), misfit(kind, written));
        checker.wrong(at, message);
    }
    text
}

/// Why a constant is not of the declared type, and what to do.
fn misfit(kind: FieldKind, written: Type) -> &'static str {
    match (kind, written) {
        (FieldKind::Float, Type::Float(_)) => "can't be stored: no database holds NaN or infinity",
        (FieldKind::Float, Type::Boolean(_)) => "is no float; add `type: boolean`",
        (FieldKind::Float, _) => {
            "is no float; add `type: string`, or write a number without quotes"
        }
        (FieldKind::Integer, Type::Integer(_)) => "is out of the range of a 64-bit integer",
        (FieldKind::Integer, _) => "is no integer",
        (FieldKind::Unsigned, Type::Integer(_)) => "is out of the range of an unsigned integer",
        (FieldKind::Unsigned, _) => "is no unsigned integer",
        (FieldKind::Boolean, _) => "is no boolean; write `true` or `false`, without quotes",
        (FieldKind::String, _) => "is no text",
    }
}
