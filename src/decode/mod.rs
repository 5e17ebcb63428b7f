//! Decoders: a record's value becomes documents, whose values fill the slots that the mapping asks for;
//! or it holds points already, which need no mapping.
//!
//! A new format is one file here, one arm of [`Documents`] or [`Points`], and one of
//! [`config::Decode`](crate::config::Decode).

pub mod avro;
pub mod cbor;
pub mod cloudevents;
pub mod compression;
pub mod connect;
pub mod csv;
pub mod debezium;
mod envelope;
pub mod frame;
#[cfg(test)]
pub(crate) mod golden_tests;
pub mod input;
pub mod json;
pub mod json_lines;
pub mod msgpack;
pub mod points;
pub mod protobuf;
pub mod text;
pub mod tree;
mod walk;
mod wire;

use std::borrow::Cow;

pub use compression::Decompressed;
pub use points::Points;

use self::avro::Avro;
use self::cbor::Cbor;
use self::cloudevents::CloudEvents;
use self::connect::Connect;
use self::csv::Csv;
use self::debezium::Debezium;
use self::json::Json;
use self::msgpack::MessagePack;
use self::protobuf::Protobuf;
use self::tree::Value;
use crate::config;
use crate::dead_letter::{ReasonKind, Reject, Stage};
use crate::path::PathTrie;
use crate::point::Number;
use crate::record::Record;

/// What a decoder found at one path of the mapping; borrows from the record's payload.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Slot<'a> {
    /// The path does not exist in this message.
    #[default]
    Missing,
    Null,
    Boolean(bool),
    Number(Number<'a>),
    /// A whole number of a format that has such a type.
    Integer(i64),
    /// One that may be beyond `i64`.
    Unsigned(u64),
    /// May be NaN or infinite: the mapping judges it.
    Float(f64),
    /// Text with escapes resolved.
    Text(Cow<'a, str>),
    /// A point in time of a format that has such a type. As text it is RFC 3339.
    Time(jiff::Timestamp),
    /// Text of a format that has nothing but text: what the mapping takes it for.
    Untyped(Cow<'a, str>),
    /// An object or an array stands where the mapping wants a value.
    Container(Container),
    /// Every element of an array, where the mapping wants that; missing where there is no array.
    Elements(Box<Rows<'a>>),
    /// Every value of an object, likewise, with its key.
    Entries(Box<[(Cow<'a, str>, Slot<'a>)]>),
}

// Each message fills and empties one for each path: what is rare is boxed, so that it costs the others nothing.
const _: () = assert!(size_of::<Slot<'_>>() <= size_of::<(usize, Cow<'_, str>)>());

impl Slot<'_> {
    /// Puts another in its place.
    ///
    /// Nearly all slots own nothing. Of these there is nothing to drop, and it costs no call to find that
    /// out: slots within slots keep a drop from being inlined, and there are some thirty of them a message.
    #[inline]
    pub fn set(&mut self, slot: Self) {
        if self.owns() {
            *self = slot;
        } else {
            std::mem::forget(std::mem::replace(self, slot));
        }
    }

    /// Drops what it owns, and needn't be dropped then.
    #[inline]
    pub fn clear(&mut self) {
        if self.owns() {
            *self = Self::Missing;
        }
    }

    #[inline]
    fn owns(&self) -> bool {
        matches!(
            self,
            Self::Text(Cow::Owned(_))
                | Self::Untyped(Cow::Owned(_))
                | Self::Elements(_)
                | Self::Entries(_)
        )
    }
}

/// As it is before a message.
fn empty(slots: &mut [Slot<'_>]) {
    for slot in slots {
        slot.set(Slot::Missing);
    }
}

/// The slots of the elements of an array, one row of them for each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows<'a> {
    /// How many elements there are.
    pub len: usize,
    /// One row after the other; all have one length.
    pub slots: Vec<Slot<'a>>,
}

/// More elements of an array are not made points of, nor more values of an object fields: the record is
/// rejected. A message must not be able to become a batch of any size.
pub const MAX_GATHERED: usize = 10_000;

impl<'a> Rows<'a> {
    /// The slots of each element.
    pub fn rows(&self) -> impl Iterator<Item = &[Slot<'a>]> {
        let width = self.slots.len() / self.len.max(1);
        (0..self.len).map(move |row| &self.slots[row * width..(row + 1) * width])
    }
}

/// A key of an object within another: `a` and `b` are `a_b`.
pub fn joined<'a>(outer: &str, key: Cow<'a, str>) -> Cow<'a, str> {
    if outer.is_empty() { key } else { Cow::Owned(format!("{outer}_{key}")) }
}

/// Which of the two kinds of container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Object,
    Array,
}

/// What a decoder sees of a record.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The record's value, never empty.
    pub payload: &'a [u8],
    /// The record that it came with, for its headers, its topic and its time.
    pub record: &'a dyn Record,
}

/// Why a payload is not a message of the declared format: a rejected record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", .offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default())]
pub struct DecodeError {
    /// Where in the payload, where the format's reader says so.
    pub offset: Option<usize>,
    pub what: Cow<'static, str>,
    pub kind: ReasonKind,
}

impl DecodeError {
    /// An error without a place.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { offset: None, what: what.into(), kind: ReasonKind::Malformed }
    }

    /// The same as another kind of reason.
    pub fn of_kind(self, kind: ReasonKind) -> Self {
        Self { kind, ..self }
    }

    /// The same in a payload that has so many bytes before.
    pub fn behind(self, start: usize) -> Self {
        Self { offset: self.offset.map(|offset| start + offset), ..self }
    }

    /// The same of the value under a key.
    pub fn under(self, key: &str) -> Self {
        Self { what: format!("{key}: {}", self.what).into(), ..self }
    }

    /// An error at a byte of the payload.
    pub fn at(offset: usize, what: impl Into<Cow<'static, str>>) -> Self {
        Self { offset: Some(offset), what: what.into(), kind: ReasonKind::Malformed }
    }
}

/// Why a record has not become points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It never will: it is for the dead-letter topic.
    Rejected(Reject),
    /// Something that it takes can't be reached now, such as a schema registry; the text says what and
    /// why. The record is good until the opposite is known: the worker keeps it, and asks again.
    Unavailable(String),
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self::Rejected(reject)
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        let DecodeError { offset, kind, .. } = error;
        Self::Rejected(Reject { stage: Stage::Decode, kind, reason: error.to_string(), offset })
    }
}

/// A decoder of one format, with what it keeps between messages, such as schemas.
#[derive(Debug)]
pub enum Decoder {
    /// Whose values the mapping makes points of.
    Documents(Documents),
    /// Which are points already.
    Points(Points),
}

/// Formats of documents.
#[derive(Debug)]
pub enum Documents {
    Json(Json),
    JsonLines(Json),
    ConnectJson(Connect),
    Debezium(Box<Debezium>),
    CloudEvents(Box<CloudEvents>),
    MessagePack,
    Cbor,
    Csv(Csv),
    Text,
    Avro(Avro),
    Protobuf(Protobuf),
    JsonSchema(Json),
    /// JSON whose decoder needs something that can't be reached in this time.
    #[cfg(test)]
    Unreachable(std::ops::Range<tokio::time::Instant>),
}

impl Decoder {
    /// The decoder that a configuration asks for.
    pub fn new(decode: &config::Decode) -> Self {
        match decode {
            config::Decode::Documents(format) => Self::Documents(Documents::new(format)),
            config::Decode::Points(format) => Self::Points(Points::new(format)),
        }
    }
}

impl Decoder {
    /// The reader of line protocol, whose lines may be copied as they are.
    pub fn line_protocol(&mut self) -> Option<&mut points::LineProtocol> {
        if let Self::Points(points) = self { points.line_protocol() } else { None }
    }

    /// Whether the sink takes samples that are no finite number, which some formats of points have; they
    /// are left out where it doesn't.
    pub fn keeping_not_finite(mut self, keep: bool) -> Self {
        if let Self::Points(points) = &mut self {
            points.keep_not_finite(keep);
        }
        self
    }
}

impl Documents {
    /// The decoder that a configuration asks for.
    pub(crate) fn new(format: &config::Documents) -> Self {
        match format {
            config::Documents::Json => Self::Json(Json::default()),
            config::Documents::JsonLines => Self::JsonLines(Json::default()),
            config::Documents::ConnectJson => Self::ConnectJson(Connect::default()),
            config::Documents::Debezium(deletes) => {
                Self::Debezium(Box::new(Debezium::new(*deletes)))
            }
            config::Documents::CloudEvents => Self::CloudEvents(Box::default()),
            config::Documents::MessagePack => Self::MessagePack,
            config::Documents::Cbor => Self::Cbor,
            config::Documents::Csv(csv) => Self::Csv(csv.clone()),
            config::Documents::Text => Self::Text,
            config::Documents::Avro(avro) => Self::Avro(Avro::new(avro)),
            config::Documents::Protobuf(protobuf) => Self::Protobuf(Protobuf::new(protobuf)),
            config::Documents::JsonSchema => Self::JsonSchema(Json::default()),
        }
    }

    /// Fills the slots of `paths` with what one document says, and hands them to `each`; a message may
    /// have several documents, or none.
    ///
    /// # Errors
    /// What `each` refuses, and a message that isn't one of this format, though some of its documents
    /// have been handed out: then all its points are to be taken back.
    pub fn decode<'a>(
        &mut self,
        message: &Message<'a>,
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
        each: &mut dyn FnMut(&[Slot<'a>]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let payload = message.payload;
        match self {
            Self::Json(json) => json.decode(payload, paths, slots)?,
            Self::JsonLines(json) => return json_lines::decode(json, payload, paths, slots, each),
            Self::Csv(csv) => return csv.decode(payload, paths, slots, each),
            Self::JsonSchema(json) => {
                let start = frame::read(message)?.end;
                let text = payload.get(start..).unwrap_or_default();
                json.decode(text, paths, slots).map_err(|error| error.behind(start))?;
            }
            #[cfg(test)]
            Self::Unreachable(time) if time.contains(&tokio::time::Instant::now()) => {
                return Err(Refusal::Unavailable("the registry is down".into()));
            }
            #[cfg(test)]
            Self::Unreachable(_) => {
                return Self::Json(Json::default()).decode(message, paths, slots, each);
            }
            Self::ConnectJson(connect) => {
                if !connect.fill(payload, paths, slots)? {
                    return Ok(());
                }
            }
            Self::Debezium(debezium) => {
                if !debezium.fill(payload, paths, slots)? {
                    return Ok(());
                }
            }
            Self::CloudEvents(events) => events.fill(message, paths, slots)?,
            Self::Text => tree::fill(text::decode(payload)?, paths, slots),
            Self::Avro(avro) => avro.fill(message, paths, slots)?,
            Self::Protobuf(protobuf) => protobuf.fill(message, paths, slots)?,
            Self::MessagePack => walk::fill::<MessagePack>(payload, paths, slots)?,
            Self::Cbor => walk::fill::<Cbor>(payload, paths, slots)?,
        }
        each(slots)
    }

    /// A message's document, whole; of several, the first, and of CSV, what its columns hold. `None` where
    /// there is none to take.
    ///
    /// # Errors
    /// As [`Documents::decode`].
    pub fn document<'a>(&mut self, message: &Message<'a>) -> Result<Option<Value<'a>>, Refusal> {
        let payload = message.payload;
        Ok(match self {
            Self::Json(_) => Some(json::whole(payload)?),
            Self::JsonSchema(_) => {
                let start = frame::read(message)?.end;
                Some(json::whole(payload.get(start..).unwrap_or_default())?)
            }
            Self::JsonLines(_) => {
                let mut lines = payload.split(|byte| *byte == b'\n');
                let line = lines.find(|line| !line.trim_ascii().is_empty());
                line.map(json::whole).transpose()?
            }
            Self::Csv(csv) => Some(csv.document(payload)?),
            Self::ConnectJson(_) => connect::decode(payload)?,
            Self::Debezium(debezium) => debezium.decode(payload)?,
            Self::CloudEvents(_) => Some(cloudevents::decode(message)?),
            Self::MessagePack => Some(walk::document::<MessagePack>(payload)?),
            Self::Cbor => Some(walk::document::<Cbor>(payload)?),
            Self::Text => Some(text::decode(payload)?),
            Self::Avro(avro) => Some(avro.decode(message)?),
            Self::Protobuf(protobuf) => Some(protobuf.decode(message)?),
            #[cfg(test)]
            Self::Unreachable(_) => None,
        })
    }
}
