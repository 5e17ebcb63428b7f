//! Protobuf, by a schema from a registry or a file.
//!
//! Fields have the names of their `.proto` file. A field without presence that is not in the message has its
//! default value, as in every language: on the wire, a reading of 0 is no byte.

mod plan;
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FileDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage as _,
};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::input::{Input, MAX_DEPTH};
use super::tree::{self, Value};
use super::{DecodeError, Message, Refusal, Slot, frame};
use crate::config;
use crate::path::PathTrie;
use crate::registry::{Fetched, Registry};

use plan::Plans;

/// The name of a schema that is its registry's own text.
const FETCHED: &str = "schema.proto";

/// A registered file, whose messages a frame counts.
#[derive(Debug)]
pub struct Schema(FileDescriptor);

impl Schema {
    fn fetched(fetched: &Fetched) -> Result<Self, String> {
        fetched.check_kind("PROTOBUF")?;
        let mut files: HashMap<_, _> = fetched.references.iter().cloned().collect();
        files.insert(FETCHED.into(), fetched.text.clone());
        let mut resolver = ChainFileResolver::new();
        resolver.add(Registered(files));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).open_file(FETCHED).map_err(|error| error.to_string())?;
        let pool = compiler.descriptor_pool();
        pool.get_file_by_name(FETCHED).map(Self).ok_or_else(|| "the schema is empty".into())
    }

    fn message(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let (first, rest) = indexes.split_first()?;
        let outer = self.0.messages().nth(*first)?;
        rest.iter().try_fold(outer, |outer, index| outer.child_messages().nth(*index))
    }
}

/// Texts by the names that others import them by.
struct Registered(HashMap<String, String>);

impl FileResolver for Registered {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        // Some serialisers register a descriptor instead of text, in base64, and some registries give back
        // what they were given.
        let descriptor = BASE64_STANDARD.decode(text.trim()).ok();
        match descriptor.map(|bytes| FileDescriptorProto::decode(bytes.as_slice())) {
            Some(Ok(descriptor)) => Ok(File::from_file_descriptor_proto(FileDescriptorProto {
                name: Some(name.into()),
                ..descriptor
            })),
            _ => File::from_source(name, text),
        }
    }
}

/// The message of that name in a `.proto` file, or in a file with a set of descriptors.
///
/// # Errors
/// What is wrong with the file, or which names there are.
pub fn message(file: &Path, includes: &[PathBuf], name: &str) -> Result<MessageDescriptor, String> {
    let pool = if file.extension().is_some_and(|ending| ending == "proto") {
        let folder = file.parent().map(Path::to_owned);
        let includes = folder.into_iter().chain(includes.iter().cloned());
        let compiled = protox::Compiler::new(includes).and_then(|mut compiler| {
            compiler.include_imports(true).open_file(file)?;
            Ok(compiler.descriptor_pool())
        });
        compiled.map_err(|error| error.to_string())?
    } else {
        let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
        DescriptorPool::decode(bytes.as_slice()).map_err(|error| error.to_string())?
    };
    pool.get_message_by_name(name).ok_or_else(|| {
        let own = pool.all_messages().filter(|message| {
            !message.is_map_entry() && !message.full_name().starts_with("google.protobuf.")
        });
        let names: Vec<_> = own.take(20).map(|message| message.full_name().to_owned()).collect();
        format!("there is no message of that name; there are {}", names.join(", "))
    })
}

/// A decoder of messages, and how it reads each type for a mapping.
#[derive(Debug)]
pub struct Protobuf {
    types: Types,
    plans: Plans,
}

/// Where the type of a message is.
#[derive(Debug)]
enum Types {
    Registry(Box<Registry<Schema>>),
    File(MessageDescriptor),
}

impl Protobuf {
    /// What the configuration says.
    pub fn new(config: &config::Protobuf) -> Self {
        let types = match config {
            config::Protobuf::Registry(registry) => {
                Types::Registry(Box::new(Registry::new(registry.clone(), Schema::fetched)))
            }
            config::Protobuf::File(message) => Types::File(message.clone()),
        };
        Self { types, plans: Plans::default() }
    }

    /// Reads one message, whole.
    pub fn decode<'a>(&mut self, message: &Message<'a>) -> Result<Value<'a>, Refusal> {
        let (of, payload) = self.types.open(message)?;
        Ok(read(of, payload)?)
    }

    /// Fills `slots` with the values at the paths of a trie.
    ///
    /// # Panics
    /// When there are not exactly [`PathTrie::slots`] slots.
    pub fn fill<'a>(
        &mut self,
        message: &Message<'a>,
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
    ) -> Result<(), Refusal> {
        let (of, payload) = self.types.open(message)?;
        if self.plans.fill(&of, payload, paths, slots).is_none() {
            tree::fill(read(of, payload)?, paths, slots);
        }
        Ok(())
    }
}

impl Types {
    /// A message's type, and its own bytes.
    fn open<'a>(
        &mut self,
        message: &Message<'a>,
    ) -> Result<(MessageDescriptor, &'a [u8]), Refusal> {
        let payload = message.payload;
        match self {
            Self::File(descriptor) => Ok((descriptor.clone(), payload)),
            Self::Registry(registry) => {
                let mut frame = frame::read(message)?;
                let indexes = frame.message_indexes(payload)?;
                let schema = registry.schema(frame.id)?;
                let found = schema.message(&indexes);
                let wrong = || DecodeError::new(format!("the schema has no message {indexes:?}"));
                let rest = payload.get(frame.end..).unwrap_or_default();
                Ok((found.ok_or_else(wrong)?, rest))
            }
        }
    }
}

fn read(of: MessageDescriptor, payload: &[u8]) -> Result<Value<'static>, DecodeError> {
    let read = DynamicMessage::decode(of, payload);
    let read = read.map_err(|error| DecodeError::new(format!("no Protobuf: {error}")))?;
    document(&read, &mut Input::new(payload))
}

/// `input` is there for its limits alone.
fn document(
    message: &DynamicMessage,
    input: &mut Input<'_>,
) -> Result<Value<'static>, DecodeError> {
    let descriptor = message.descriptor();
    if let Some(known) = well_known(descriptor.full_name(), message, input)? {
        return Ok(known);
    }
    input.nested(|input| {
        let mut entries = Vec::new();
        for field in descriptor.fields() {
            if field.supports_presence() && !message.has_field(&field) {
                continue;
            }
            let value = value(&message.get_field(&field), &field.kind(), input)?;
            entries.push((Cow::Owned(field.name().to_owned()), value));
        }
        Ok(Value::Map(entries))
    })
}

fn value(
    value: &prost_reflect::Value,
    kind: &Kind,
    input: &mut Input<'_>,
) -> Result<Value<'static>, DecodeError> {
    use prost_reflect::Value as Read;
    input.value()?;
    Ok(match value {
        Read::Bool(boolean) => Value::Boolean(*boolean),
        Read::I32(number) => Value::Integer((*number).into()),
        Read::I64(number) => Value::Integer(*number),
        Read::U32(number) => Value::Integer((*number).into()),
        Read::U64(number) => Value::whole((*number).into()),
        Read::F32(number) => Value::Float((*number).into()),
        Read::F64(number) => Value::Float(*number),
        Read::String(text) => Value::Text(text.clone().into()),
        Read::Bytes(bytes) => Value::bytes(bytes),
        Read::EnumNumber(number) => match kind.as_enum().and_then(|kind| kind.get_value(*number)) {
            Some(known) => Value::Text(known.name().to_owned().into()),
            None => Value::Integer((*number).into()),
        },
        Read::Message(message) => document(message, input)?,
        Read::List(elements) => {
            let read = elements.iter().map(|element| self::value(element, kind, input));
            Value::Array(read.collect::<Result<_, _>>()?)
        }
        Read::Map(entries) => {
            let kind = kind.as_message().map(|entry| entry.map_entry_value_field().kind());
            let kind = kind.as_ref();
            let read = entries.iter().map(|(key, element)| {
                let value = match kind {
                    Some(kind) => self::value(element, kind, input)?,
                    None => Value::Null,
                };
                Ok((key_text(key), value))
            });
            Value::Map(read.collect::<Result<_, DecodeError>>()?)
        }
    })
}

fn key_text(key: &MapKey) -> Cow<'static, str> {
    Cow::Owned(match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    })
}

/// Whether a type of Protobuf's own is a scalar with presence.
fn is_wrapper(name: &str) -> bool {
    matches!(
        name,
        "DoubleValue"
            | "FloatValue"
            | "Int64Value"
            | "UInt64Value"
            | "Int32Value"
            | "UInt32Value"
            | "BoolValue"
            | "StringValue"
            | "BytesValue"
    )
}

/// A message that stands for a value (<https://protobuf.dev/reference/protobuf/google.protobuf/>).
fn well_known(
    name: &str,
    message: &DynamicMessage,
    input: &mut Input<'_>,
) -> Result<Option<Value<'static>>, DecodeError> {
    let Some(name) = name.strip_prefix("google.protobuf.") else { return Ok(None) };
    let number = |field: &str| {
        message
            .get_field_by_name(field)
            .and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from)))
    };
    Ok(match name {
        "Timestamp" => {
            let (seconds, nanos) = (number("seconds").unwrap_or(0), number("nanos").unwrap_or(0));
            let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            let time = Value::time(nanos);
            Some(time.ok_or_else(|| DecodeError::new("a Timestamp out of range"))?)
        }
        #[expect(clippy::cast_precision_loss, reason = "the seconds of a float")]
        "Duration" => Some(Value::Float(
            number("seconds").unwrap_or(0) as f64 + number("nanos").unwrap_or(0) as f64 / 1e9,
        )),
        wrapper if is_wrapper(wrapper) => inner(message, "value", input)?,
        "Struct" => inner(message, "fields", input)?,
        "ListValue" => inner(message, "values", input)?,
        "Value" => {
            let kind = message.descriptor().oneofs().next();
            let set = kind.and_then(|kind| kind.fields().find(|field| message.has_field(field)));
            Some(match set.filter(|field| field.name() != "null_value") {
                // It may hold itself, without a level of its own.
                Some(field) => {
                    input.nested(|input| value(&message.get_field(&field), &field.kind(), input))?
                }
                None => Value::Null,
            })
        }
        _ => None,
    })
}

fn inner(
    message: &DynamicMessage,
    field: &str,
    input: &mut Input<'_>,
) -> Result<Option<Value<'static>>, DecodeError> {
    let Some(field) = message.descriptor().get_field_by_name(field) else { return Ok(None) };
    input.nested(|input| value(&message.get_field(&field), &field.kind(), input)).map(Some)
}

// The reader of Protobuf itself stops at 100.
const _: () = assert!(MAX_DEPTH > 100);
