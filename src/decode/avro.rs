//! Avro (<https://avro.apache.org/docs/1.12.0/specification/>), by a schema from a registry or a file.
//!
//! Schemas are read by `apache-avro`. The walk over a message is ours: that crate's own makes room for
//! lengths that a message only promises, and recurses as deep as a message wants.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::schema::{InnerDecimalSchema, Name, ResolvedSchema, Schema as Type, UuidSchema};

use super::input::Input;
use super::tree::{self, Value};
use super::{Container, DecodeError, Message, Refusal, Slot, empty, frame};
use crate::config;
use crate::path::{Node, PathTrie};
use crate::registry::{Fetched, Registry};

/// What begins a message in the encoding of single objects.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];

const MILLI: i64 = 1_000_000;
const MICRO: i64 = 1000;

/// A schema, ready to read messages by.
#[derive(Debug)]
pub struct Schema {
    root: Type,
    /// All types that have a name, by their full one.
    named: HashMap<Name, Type>,
    fingerprint: [u8; 8],
}

impl Schema {
    /// Reads a schema; `references` are those that it takes types from.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, references: &[&str]) -> Result<Self, String> {
        let (root, others) =
            Type::parse_str_with_list(text, references).map_err(|error| error.to_string())?;
        let all = others.iter().chain([&root]).collect();
        let named = ResolvedSchema::new_with_schemata(all).map_err(|error| error.to_string())?;
        let named = named.get_names().iter().map(|(name, of)| (name.clone(), (*of).clone()));
        let fingerprint = fingerprint(&root);
        let schema = Self { named: named.collect(), root, fingerprint };
        if schema.ends(&schema.root, &mut Vec::new()) {
            Ok(schema)
        } else {
            Err("a record holds itself, and so has no end".into())
        }
    }

    fn fetched(fetched: &Fetched) -> Result<Self, String> {
        fetched.check_kind("AVRO")?;
        let references: Vec<_> = fetched.references.iter().map(|(_, text)| text.as_str()).collect();
        Self::new(&fetched.text, &references)
    }

    /// Whether a value of this type can have an end; `open` are the records around it.
    fn ends<'s>(&'s self, of: &'s Type, open: &mut Vec<&'s Name>) -> bool {
        match of {
            Type::Ref { name } => {
                !open.contains(&name) && self.named.get(name).is_some_and(|of| self.ends(of, open))
            }
            Type::Record(record) => {
                open.push(&record.name);
                let ends = record.fields.iter().all(|field| self.ends(&field.schema, open));
                open.pop();
                ends
            }
            Type::Union(union) => union.variants().iter().any(|variant| self.ends(variant, open)),
            _ => true,
        }
    }

    /// Reads one value, from the next byte to the end.
    fn read<'a>(&self, mut input: Input<'a>) -> Result<Value<'a>, DecodeError> {
        let value = self.value(&self.root, &mut input)?;
        input.end()?;
        Ok(value)
    }

    /// The same for the paths of a trie: of what they don't name nothing is kept.
    ///
    /// # Panics
    /// When there are not exactly [`PathTrie::slots`] slots.
    fn fill<'a>(
        &self,
        mut input: Input<'a>,
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<(), DecodeError> {
        assert_eq!(slots.len(), paths.slots(), "one slot a path");
        empty(slots);
        self.fill_below(&self.root, Some(paths.root()), &mut input, slots)?;
        input.end()
    }

    /// Reads one value, of which nothing is wanted without a node.
    fn fill_below<'a>(
        &self,
        of: &Type,
        node: Option<&Node>,
        input: &mut Input<'a>,
        slots: &mut [Slot<'a>],
    ) -> Result<(), DecodeError> {
        match of {
            Type::Record(record) if node.is_none_or(|node| node.entries().is_empty()) => {
                input.value()?;
                let mut keys = node.filter(|node| !node.is_leaf()).map(Node::keys);
                input.nested(|input| {
                    record.fields.iter().try_for_each(|field| {
                        let name = field.name.as_bytes();
                        let child = keys.as_mut().and_then(|keys| keys.find(name));
                        self.fill_below(&field.schema, child, input, slots)
                    })
                })?;
                if let Some(slot) = node.and_then(Node::slot) {
                    slots[slot].set(Slot::Container(Container::Object));
                }
            }
            Type::Union(_) | Type::Ref { .. } => {
                input.value()?;
                let meant = self.meant(of, input)?;
                input.nested(|input| self.fill_below(meant, node, input, slots))?;
            }
            // A value that is moved is waited for: it was written in other pieces.
            _ => match self.value(of, input) {
                Err(error) => return Err(error),
                Ok(value) => {
                    if let Some(node) = node {
                        tree::fill_below(value, node, slots);
                    }
                }
            },
        }
        Ok(())
    }

    /// The type that a value has, of a union's or a named one's.
    fn meant<'s>(&'s self, of: &'s Type, input: &mut Input<'_>) -> Result<&'s Type, DecodeError> {
        match of {
            Type::Union(union) => {
                let index = usize::try_from(long(input)?).ok();
                match index.and_then(|index| union.variants().get(index)) {
                    Some(variant) => Ok(variant),
                    None => input.fail("a union's branch that the schema does not have"),
                }
            }
            Type::Ref { name } => match self.named.get(name) {
                Some(named) => Ok(named),
                None => input.fail("the schema has a type that it does not declare"),
            },
            other => Ok(other),
        }
    }

    fn value<'a>(&self, of: &Type, input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
        input.value()?;
        Ok(match of {
            Type::Null => Value::Null,
            Type::Boolean => match input.byte()? {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                _ => return input.fail("a boolean that is neither 0 nor 1"),
            },
            Type::Int | Type::Long => Value::Integer(long(input)?),
            Type::Float => Value::Float(f32::from_le_bytes(input.array()?).into()),
            Type::Double => Value::Float(f64::from_le_bytes(input.array()?)),
            Type::Bytes | Type::BigDecimal | Type::Uuid(UuidSchema::Bytes) => {
                Value::bytes(bytes(input)?)
            }
            Type::Fixed(fixed) | Type::Duration(fixed) | Type::Uuid(UuidSchema::Fixed(fixed)) => {
                Value::bytes(input.take(fixed.size)?)
            }
            Type::String | Type::Uuid(UuidSchema::String) => Value::Text(text(input)?),
            Type::Enum(symbols) => {
                let index = usize::try_from(long(input)?).ok();
                match index.and_then(|index| symbols.symbols.get(index)) {
                    Some(symbol) => Value::Text(symbol.clone().into()),
                    None => return input.fail("an enum's symbol that the schema does not have"),
                }
            }
            Type::Union(_) | Type::Ref { .. } => {
                let meant = self.meant(of, input)?;
                input.nested(|input| self.value(meant, input))?
            }
            Type::Record(record) => input.nested(|input| {
                let fields = record.fields.iter();
                let read = fields.map(|field| {
                    Ok((Cow::Owned(field.name.clone()), self.value(&field.schema, input)?))
                });
                read.collect::<Result<_, DecodeError>>().map(Value::Map)
            })?,
            Type::Array(array) => {
                Value::Array(blocks(input, |input| self.value(&array.items, input))?)
            }
            Type::Map(map) => Value::Map(blocks(input, |input| {
                Ok((text(input)?, self.value(&map.types, input)?))
            })?),
            logical => return logical_value(logical, input),
        })
    }
}

/// CRC-64-AVRO of the canonical form, as the specification's section on fingerprints defines both.
///
/// The crate's own canonical form keeps a decimal's precision and scale, and leaves `{"type":"int"}` of a
/// date, where the specification has `"int"`.
fn fingerprint(schema: &Type) -> [u8; 8] {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let mut form = schema.canonical_form();
    for attribute in [",\"precision\":", ",\"scale\":"] {
        while let Some(start) = form.find(attribute) {
            let value = start + attribute.len();
            let digits = form[value..].bytes().take_while(u8::is_ascii_digit).count();
            form.replace_range(start..value + digits, "");
        }
    }
    for of in ["null", "boolean", "int", "long", "float", "double", "bytes", "string"] {
        form = form.replace(&format!("{{\"type\":\"{of}\"}}"), &format!("\"{of}\""));
    }
    let crc = form.bytes().fold(EMPTY, |crc, byte| {
        (0..8).fold(crc ^ u64::from(byte), |crc, _| (crc >> 1) ^ (EMPTY & (crc & 1).wrapping_neg()))
    });
    crc.to_le_bytes()
}

/// A decimal, or a point in time.
fn logical_value<'a>(of: &Type, input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    let start = input.at();
    let (what, value) = match of {
        Type::Decimal(decimal) => {
            let unscaled = match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => input.take(fixed.size)?,
                InnerDecimalSchema::Bytes => bytes(input)?,
            };
            let scale = i32::try_from(decimal.scale).ok();
            ("decimal", scale.and_then(|scale| Value::decimal(unscaled, scale)))
        }
        Type::Date => ("date", Value::date(long(input)?)),
        Type::TimeMillis | Type::TimeMicros => {
            let unit = if *of == Type::TimeMillis { MILLI } else { MICRO };
            ("time", long(input)?.checked_mul(unit).and_then(Value::time_of_day))
        }
        _ => {
            let unit = match of {
                Type::TimestampMillis | Type::LocalTimestampMillis => MILLI,
                Type::TimestampMicros | Type::LocalTimestampMicros => MICRO,
                _ => 1,
            };
            ("timestamp", Value::time(i128::from(long(input)?) * i128::from(unit)))
        }
    };
    value.ok_or_else(|| DecodeError::at(start, format!("a {what} out of range")))
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

    /// Reads one message, whole.
    pub fn decode<'a>(&mut self, message: &Message<'a>) -> Result<Value<'a>, Refusal> {
        let (schema, input) = self.open(message)?;
        Ok(schema.read(input)?)
    }

    /// Fills `slots` with the values at the paths of a trie.
    pub fn fill<'a>(
        &mut self,
        message: &Message<'a>,
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<(), Refusal> {
        let (schema, input) = self.open(message)?;
        Ok(schema.fill(input, paths, slots)?)
    }

    /// A message's schema, and its value's bytes.
    fn open<'a>(&mut self, message: &Message<'a>) -> Result<(&Schema, Input<'a>), Refusal> {
        let payload = message.payload;
        match self {
            Self::Registry(registry) => {
                let frame = frame::read(message)?;
                Ok((registry.schema(frame.id)?, Input::from(payload, frame.end)))
            }
            Self::File { schema, framing: Framing::Raw } => Ok((schema, Input::new(payload))),
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
                Ok((schema, input))
            }
        }
    }
}

#[cfg(test)]
#[path = "avro_tests.rs"]
mod tests;
