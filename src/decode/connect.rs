//! Kafka Connect's JSON with its schema (`JsonConverter` with `schemas.enable`): an envelope of `schema`
//! and `payload`. The payload is the document; what its schema declares as a time, a date or a decimal
//! is read as such.
//!
//! The logical types are those of `org.apache.kafka.connect.data` and of Debezium's documentation
//! (`io.debezium.time`, `io.debezium.data`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::DecodeError;
use super::tree::{self, Value};

/// Reads the document of an envelope; `None` of a tombstone in one.
pub fn decode(payload: &[u8]) -> Result<Option<Value<'_>>, DecodeError> {
    match unwrapped(tree::json(payload)?)? {
        (_, false) => Err(DecodeError::new(
            "no envelope with `schema` and `payload` (without one, this is `decode: json`)",
        )),
        (Value::Null, true) => Ok(None),
        (document, true) => Ok(Some(document)),
    }
}

/// The payload of an envelope, or what is no envelope as it is; says which.
pub(super) fn unwrapped(mut message: Value<'_>) -> Result<(Value<'_>, bool), DecodeError> {
    let is_envelope = matches!(&message, Value::Map(entries) if entries.len() == 2)
        && message.get("schema").is_some()
        && message.get("payload").is_some();
    if !is_envelope {
        return Ok((message, false));
    }
    let schema = message.remove("schema").unwrap_or(Value::Null);
    let payload = message.remove("payload").unwrap_or(Value::Null);
    Ok((typed(payload, &schema)?, true))
}

/// A value as its schema means it.
fn typed<'a>(value: Value<'a>, schema: &Value<'_>) -> Result<Value<'a>, DecodeError> {
    if value == Value::Null {
        return Ok(value);
    }
    if let Some(name) = schema.get("name").and_then(Value::as_text)
        && let Some(logical) = Logical::of(name)
    {
        return logical.read(value, schema).ok_or_else(|| {
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
        // How the converter writes a map whose keys are no text.
        (Some("map"), Value::Array(pairs)) => {
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

type Entry<'a> = (std::borrow::Cow<'a, str>, Value<'a>);

fn entry<'a>(pair: Value<'a>, values: &Value<'_>) -> Result<Entry<'a>, DecodeError> {
    let wrong = || DecodeError::new("an entry of a map is no pair of a key and a value");
    let Value::Array(pair) = pair else { return Err(wrong()) };
    let [key, value] = <[Value<'a>; 2]>::try_from(pair).map_err(|_| wrong())?;
    Ok((key.into_key().ok_or_else(wrong)?, typed(value, values)?))
}

/// What a schema's name says of a value.
#[derive(Clone, Copy)]
enum Logical {
    /// A point in time, in so many nanoseconds.
    Time(i64),
    /// Days since the epoch.
    Date,
    /// A time of day, in so many nanoseconds.
    TimeOfDay(i64),
    /// Bytes in base64, or a number as it is; the scale stands in the schema.
    Decimal,
    /// A decimal whose scale stands beside it.
    VariableScaleDecimal,
}

impl Logical {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
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
            "org.apache.kafka.connect.data.Decimal" => Self::Decimal,
            "io.debezium.data.VariableScaleDecimal" => Self::VariableScaleDecimal,
            _ => return None,
        })
    }

    fn read<'a>(self, value: Value<'a>, schema: &Value<'_>) -> Option<Value<'a>> {
        match self {
            Self::Time(unit) => Value::time(i128::from(value.as_integer()?) * i128::from(unit)),
            Self::Date => Value::date(value.as_integer()?),
            Self::TimeOfDay(unit) => Value::time_of_day(value.as_integer()?.checked_mul(unit)?),
            Self::Decimal => match value {
                Value::Text(text) => {
                    let scale = schema.get("parameters")?.get("scale")?.as_text()?.parse().ok()?;
                    Value::decimal(&BASE64_STANDARD.decode(text.as_bytes()).ok()?, scale)
                }
                // `decimal.format: NUMERIC`.
                Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) => Some(value),
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
