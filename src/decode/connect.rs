//! Kafka Connect's JSON with its schema (`JsonConverter` with `schemas.enable`): an envelope of `schema`
//! and `payload`. The payload is the document; what its schema declares as a time, a date or a decimal
//! is read as such.
//!
//! The logical types are those of `org.apache.kafka.connect.data` and of Debezium's documentation
//! (`io.debezium.time`, `io.debezium.data`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::envelope::Envelopes;
use super::json::{self, Json};
use super::tree::{self, Value};
use super::{DecodeError, Slot};
use crate::path::PathTrie;

/// Decodes the messages of a topic.
#[derive(Debug, Default)]
pub struct Connect {
    envelopes: Envelopes,
    json: Json,
}

impl Connect {
    /// Fills `slots` with the values at the paths of a trie. Says no of a tombstone in an envelope.
    pub fn fill<'a>(
        &mut self,
        message: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<bool, DecodeError> {
        if let Some((payload, meanings)) = self.envelopes.open(message, paths) {
            if payload.trim_ascii() == b"null" {
                return Ok(false);
            }
            if meanings.fill(&mut self.json, payload, paths, slots).is_some() {
                return Ok(true);
            }
        }
        let document = document(self.envelopes.read(message, paths)?)?;
        Ok(document.map(|document| tree::fill(document, paths, slots)).is_some())
    }
}

/// Reads the document of an envelope; `None` of a tombstone in one.
pub fn decode(message: &[u8]) -> Result<Option<Value<'_>>, DecodeError> {
    document(read(message, |_| {})?)
}

fn document((payload, is_envelope): (Value<'_>, bool)) -> Result<Option<Value<'_>>, DecodeError> {
    match (payload, is_envelope) {
        (_, false) => Err(DecodeError::new(
            "no envelope with `schema` and `payload` (without one, this is `decode: json`)",
        )),
        (Value::Null, true) => Ok(None),
        (document, true) => Ok(Some(document)),
    }
}

/// The payload of an envelope, whose schema is shown, or what is no envelope as it is; says which.
pub(super) fn read<'a>(
    message: &'a [u8],
    learn: impl FnOnce(&Value<'a>),
) -> Result<(Value<'a>, bool), DecodeError> {
    let mut message = json::whole(message)?;
    let is_envelope = matches!(&message, Value::Map(entries) if entries.len() == 2)
        && message.get("schema").is_some()
        && message.get("payload").is_some();
    if !is_envelope {
        return Ok((message, false));
    }
    let schema = message.remove("schema").unwrap_or(Value::Null);
    let payload = message.remove("payload").unwrap_or(Value::Null);
    let payload = typed(payload, &schema)?;
    learn(&schema);
    Ok((payload, true))
}

/// A value as its schema means it.
fn typed<'a>(value: Value<'a>, schema: &Value<'_>) -> Result<Value<'a>, DecodeError> {
    if value == Value::Null {
        return Ok(value);
    }
    if let Some(logical) = Logical::of(schema) {
        return logical.read(value).ok_or_else(|| {
            let name = schema.get("name").and_then(Value::as_text).unwrap_or_default();
            DecodeError::new(format!("a value that its schema declares as {name} is none"))
        });
    }
    Ok(match (schema.get("type").and_then(Value::as_text), value) {
        (Some("struct"), Value::Map(entries)) => {
            let fields: &[_] = match schema.get("fields") {
                Some(Value::Array(fields)) => fields,
                _ => &[],
            };
            // The converter writes fields in their schema's order: the next one is mostly the one.
            let mut next = 0;
            let typed = entries.into_iter().map(|(key, value)| {
                let is_it = |field: &Value<'_>| {
                    field.get("field").and_then(Value::as_text) == Some(key.as_ref())
                };
                let ahead = fields.get(next).filter(|field| is_it(field));
                let field = ahead.or_else(|| fields.iter().find(|field| is_it(field)));
                next += 1;
                let value = match field {
                    Some(field) => typed(value, field).map_err(|error| error.under(&key))?,
                    None => value,
                };
                Ok((key, value))
            });
            Value::Map(typed.collect::<Result<_, DecodeError>>()?)
        }
        (Some("map"), Value::Map(entries)) => {
            let values = schema.get("values").unwrap_or(&Value::Null);
            let typed = entries.into_iter().map(|(key, value)| Ok((key, typed(value, values)?)));
            Value::Map(typed.collect::<Result<_, DecodeError>>()?)
        }
        (Some("map"), Value::Array(pairs)) if !has_text_for_keys(schema) => {
            let values = schema.get("values").unwrap_or(&Value::Null);
            Value::Map(pairs.into_iter().map(|pair| entry(pair, values)).collect::<Result<_, _>>()?)
        }
        (Some("array"), Value::Array(elements)) => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            let typed = elements.into_iter().map(|element| typed(element, items));
            Value::Array(typed.collect::<Result<_, _>>()?)
        }
        (_, value) => value,
    })
}

/// Whether a map is written as an object, and not as an array of pairs.
pub(super) fn has_text_for_keys(schema: &Value<'_>) -> bool {
    let kind = schema.get("keys").and_then(|keys| keys.get("type")?.as_text());
    kind == Some("string")
}

type Entry<'a> = (std::borrow::Cow<'a, str>, Value<'a>);

fn entry<'a>(pair: Value<'a>, values: &Value<'_>) -> Result<Entry<'a>, DecodeError> {
    let wrong = || DecodeError::new("an entry of a map is no pair of a key and a value");
    let Value::Array(pair) = pair else { return Err(wrong()) };
    let [key, value] = <[Value<'a>; 2]>::try_from(pair).map_err(|_| wrong())?;
    Ok((key.into_key().ok_or_else(wrong)?, typed(value, values)?))
}

/// What a schema says of a value by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    /// A point in time, in so many nanoseconds.
    Time(i64),
    /// Days since the epoch.
    Date,
    /// A time of day, in so many nanoseconds.
    TimeOfDay(i64),
    /// Bytes in base64, of this scale, or a number as it is.
    Decimal(Option<i32>),
    /// A decimal whose scale stands beside it.
    VariableScaleDecimal,
}

impl Logical {
    pub(super) fn of(schema: &Value<'_>) -> Option<Self> {
        Some(match schema.get("name")?.as_text()? {
            "org.apache.kafka.connect.data.Timestamp" | "io.debezium.time.Timestamp" => {
                Self::Time(1_000_000)
            }
            "io.debezium.time.MicroTimestamp" => Self::Time(1000),
            "io.debezium.time.NanoTimestamp" => Self::Time(1),
            "org.apache.kafka.connect.data.Date" | "io.debezium.time.Date" => Self::Date,
            "org.apache.kafka.connect.data.Time" | "io.debezium.time.Time" => {
                Self::TimeOfDay(1_000_000)
            }
            "io.debezium.time.MicroTime" => Self::TimeOfDay(1000),
            "io.debezium.time.NanoTime" => Self::TimeOfDay(1),
            "org.apache.kafka.connect.data.Decimal" => Self::Decimal(scale(schema)),
            "io.debezium.data.VariableScaleDecimal" => Self::VariableScaleDecimal,
            _ => return None,
        })
    }

    /// What a value means. None of one that can't be such a thing.
    pub(super) fn read(self, value: Value<'_>) -> Option<Value<'_>> {
        match self {
            Self::Time(unit) => Value::time(i128::from(value.as_integer()?) * i128::from(unit)),
            Self::Date => Value::date(value.as_integer()?),
            Self::TimeOfDay(unit) => Value::time_of_day(value.as_integer()?.checked_mul(unit)?),
            Self::Decimal(scale) => match value {
                Value::Text(text) => {
                    Value::decimal(&BASE64_STANDARD.decode(text.as_bytes()).ok()?, scale?)
                }
                // `decimal.format: NUMERIC`.
                Value::Number(_) => Some(value),
                _ => None,
            },
            Self::VariableScaleDecimal => {
                let scale = i32::try_from(value.get("scale")?.as_integer()?).ok()?;
                let unscaled = BASE64_STANDARD.decode(value.get("value")?.as_text()?).ok()?;
                Value::decimal(&unscaled, scale)
            }
        }
    }
}

fn scale(schema: &Value<'_>) -> Option<i32> {
    schema.get("parameters")?.get("scale")?.as_text()?.parse().ok()
}
