//! Avro (<https://avro.apache.org/docs/1.12.0/specification/>), by a schema from a registry or a file.
//!
//! Schemas are read by `serde_avro_fast`. The walk over a message is ours: that crate's own hands a
//! timestamp on as the number that it is written as, and doesn't say where a message is broken.

use std::borrow::Cow;
use std::sync::Arc;

use serde_avro_fast::schema::{LogicalType, RegularType, SchemaKey, SchemaMut, SchemaNode};

use super::input::Input;
use super::tree::Value;
use super::{DecodeError, Message, Refusal, frame};
use crate::config;
use crate::registry::{Fetched, Registry};

/// What begins a message in the encoding of single objects.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];

/// A schema, ready to read messages by.
#[derive(Debug)]
pub struct Schema {
    nodes: SchemaMut,
    fingerprint: [u8; 8],
}

impl Schema {
    /// Reads a schema; `references` are those that it takes types from.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, references: &[&str]) -> Result<Self, String> {
        let nodes =
            SchemaMut::from_schemata(text, references).map_err(|error| error.to_string())?;
        // Finds records that hold themselves, and so have no end.
        let whole = nodes.clone().freeze().map_err(|error| error.to_string())?;
        Ok(Self { nodes, fingerprint: *whole.rabin_fingerprint() })
    }

    fn fetched(fetched: &Fetched) -> Result<Self, String> {
        fetched.check_kind("AVRO")?;
        let references: Vec<_> = fetched.references.iter().map(|(_, text)| text.as_str()).collect();
        Self::new(&fetched.text, &references)
    }

    /// Reads one value, from the next byte to the end.
    fn read<'a>(&self, mut input: Input<'a>) -> Result<Value<'a>, DecodeError> {
        let value = self.value(self.nodes.root(), &mut input)?;
        input.end()?;
        Ok(value)
    }

    fn at<'a>(&self, key: SchemaKey, input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
        match self.nodes.get(key) {
            Some(node) => self.value(node, input),
            None => input.fail("the schema has a type that it does not declare"),
        }
    }

    fn value<'a>(
        &self,
        node: &SchemaNode,
        input: &mut Input<'a>,
    ) -> Result<Value<'a>, DecodeError> {
        input.value()?;
        if let Some(logical) = &node.logical_type
            && let Some(value) = logical_value(logical, &node.type_, input)?
        {
            return Ok(value);
        }
        Ok(match &node.type_ {
            RegularType::Null => Value::Null,
            RegularType::Boolean => match input.byte()? {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                _ => return input.fail("a boolean that is neither 0 nor 1"),
            },
            RegularType::Int | RegularType::Long => Value::Integer(long(input)?),
            RegularType::Float => Value::Float(f32::from_le_bytes(input.array()?).into()),
            RegularType::Double => Value::Float(f64::from_le_bytes(input.array()?)),
            RegularType::Bytes => Value::bytes(bytes(input)?),
            RegularType::Fixed(fixed) => Value::bytes(input.take(fixed.size)?),
            RegularType::String => Value::Text(text(input)?),
            RegularType::Enum(symbols) => {
                let index = usize::try_from(long(input)?).ok();
                match index.and_then(|index| symbols.symbols.get(index)) {
                    Some(symbol) => Value::Text(symbol.clone().into()),
                    None => return input.fail("an enum's symbol that the schema does not have"),
                }
            }
            RegularType::Union(union) => {
                let index = usize::try_from(long(input)?).ok();
                match index.and_then(|index| union.variants.get(index)) {
                    Some(variant) => input.nested(|input| self.at(*variant, input))?,
                    None => return input.fail("a union's branch that the schema does not have"),
                }
            }
            RegularType::Record(record) => input.nested(|input| {
                let fields = record.fields.iter();
                let read = fields.map(|field| {
                    Ok((Cow::Owned(field.name.clone()), self.at(field.type_, input)?))
                });
                read.collect::<Result<_, DecodeError>>().map(Value::Map)
            })?,
            RegularType::Array(array) => {
                Value::Array(blocks(input, |input| self.at(array.items, input))?)
            }
            RegularType::Map(map) => {
                Value::Map(blocks(input, |input| Ok((text(input)?, self.at(map.values, input)?)))?)
            }
        })
    }
}

/// The value of a logical type; `None` where the type is read as what it is written as.
fn logical_value<'a>(
    logical: &LogicalType,
    written: &RegularType,
    input: &mut Input<'a>,
) -> Result<Option<Value<'a>>, DecodeError> {
    const MILLI: i64 = 1_000_000;
    const MICRO: i64 = 1000;
    let start = input.at();
    let time = |input: &mut Input<'_>, unit: i64| {
        Ok::<_, DecodeError>(Value::time(i128::from(long(input)?) * i128::from(unit)))
    };
    let time_of_day = |input: &mut Input<'_>, unit: i64| {
        Ok::<_, DecodeError>(long(input)?.checked_mul(unit).and_then(Value::time_of_day))
    };
    let value = match (logical, logical.as_str()) {
        (LogicalType::Decimal(decimal), _) => {
            let unscaled = match written {
                RegularType::Fixed(fixed) => input.take(fixed.size)?,
                _ => bytes(input)?,
            };
            i32::try_from(decimal.scale).ok().and_then(|scale| Value::decimal(unscaled, scale))
        }
        (_, "date") => Value::date(long(input)?),
        (_, "time-millis") => time_of_day(input, MILLI)?,
        (_, "time-micros") => time_of_day(input, MICRO)?,
        (_, "timestamp-millis" | "local-timestamp-millis") => time(input, MILLI)?,
        (_, "timestamp-micros" | "local-timestamp-micros") => time(input, MICRO)?,
        (_, "timestamp-nanos" | "local-timestamp-nanos") => time(input, 1)?,
        _ => return Ok(None),
    };
    let wrong = || DecodeError::at(start, format!("a {} out of range", logical.as_str()));
    value.map(Some).ok_or_else(wrong)
}

/// A number of 64 bits, the sign in the lowest one.
pub(super) fn long(input: &mut Input<'_>) -> Result<i64, DecodeError> {
    let mut number: u64 = 0;
    for shift in (0..70).step_by(7) {
        let byte = input.byte()?;
        // Of the tenth byte there is room for one bit.
        if shift == 63 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    input.fail("a number of more than 64 bits")
}

fn bytes<'a>(input: &mut Input<'a>) -> Result<&'a [u8], DecodeError> {
    match usize::try_from(long(input)?) {
        Ok(length) => input.take(length),
        Err(_) => input.fail("a negative length"),
    }
}

fn text<'a>(input: &mut Input<'a>) -> Result<Cow<'a, str>, DecodeError> {
    match usize::try_from(long(input)?) {
        Ok(length) => input.text(length).map(Cow::Borrowed),
        Err(_) => input.fail("a negative length"),
    }
}

/// Items in blocks, of which the last is empty. No room is made in advance, and items without a byte
/// (nulls) count as well.
fn blocks<'a, T>(
    input: &mut Input<'a>,
    mut item: impl FnMut(&mut Input<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    input.nested(|input| {
        let mut items = Vec::new();
        loop {
            let count = long(input)?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                // The block's size in bytes, for whoever skips it.
                long(input)?;
            }
            for _ in 0..count.unsigned_abs() {
                items.push(item(input)?);
            }
        }
    })
}

/// How messages are framed that have no registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Not at all.
    Raw,
    /// By the encoding of single objects, with the schema's fingerprint.
    SingleObject,
}

/// Where the schema of a message is.
#[derive(Debug)]
pub enum Avro {
    Registry(Box<Registry<Schema>>),
    File { schema: Arc<Schema>, framing: Framing },
}

impl Avro {
    /// What the configuration says.
    pub fn new(config: &config::Avro) -> Self {
        match config {
            config::Avro::Registry(registry) => {
                Self::Registry(Box::new(Registry::new(registry.clone(), Schema::fetched)))
            }
            config::Avro::File(schema, framing) => {
                Self::File { schema: Arc::clone(schema), framing: *framing }
            }
        }
    }

    /// Reads one message.
    pub fn decode<'a>(&mut self, message: &Message<'a>) -> Result<Value<'a>, Refusal> {
        let payload = message.payload;
        match self {
            Self::Registry(registry) => {
                let frame = frame::read(message)?;
                let schema = registry.schema(frame.id)?;
                Ok(schema.read(Input::from(payload, frame.end))?)
            }
            Self::File { schema, framing: Framing::Raw } => Ok(schema.read(Input::new(payload))?),
            Self::File { schema, framing: Framing::SingleObject } => {
                let mut input = Input::new(payload);
                if input.array::<2>()? != SINGLE_OBJECT {
                    let what = "no single object of Avro: it does not begin with C3 01";
                    return Err(DecodeError::at(0, what).into());
                }
                if input.array::<8>()? != schema.fingerprint {
                    let what =
                        "a single object of another schema: its fingerprint is not the file's";
                    return Err(DecodeError::at(2, what).into());
                }
                Ok(schema.read(input)?)
            }
        }
    }
}

#[cfg(test)]
#[path = "avro_tests.rs"]
mod tests;
