//! The mapping: which parts of a message become a point's measurement, tags, fields and time.
//!
//! A checked [`Mapping`] says it in the user's terms; a [`Plan`] is the same compiled for the hot
//! path: all paths in one trie, each source a slot number.

mod convert;
#[cfg(test)]
mod tests;
mod time;

use std::borrow::Cow;

use crate::config::raw::{FieldKind, TimeUnit};
use crate::decode::Slot;
use crate::path::{Path, PathTrie};
use crate::point::{Float, Point, Timestamp, Value};
use crate::record::Record;
use crate::route::{self, Routing};

use convert::Input;

/// How a message becomes a point, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    pub measurement: Template,
    /// Sorted bytewise by name, names unique and not empty.
    pub tags: Vec<Tag>,
    /// At least one; names unique and not empty, and none is also a tag's.
    pub fields: Vec<Field>,
    pub timestamp: TimeSource,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    pub name: String,
    pub source: Source,
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub source: Source,
    pub kind: FieldKind,
    pub coerce: bool,
    pub required: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A path into the message.
    Value(Path),
    /// Always the same, as the text that was written.
    Constant(String),
    /// A record header's value, by name.
    Header(String),
    Key,
    Topic,
    Partition,
    Offset,
    /// The record's own timestamp, in milliseconds.
    Timestamp,
    Template(Template),
}

/// Text with sources in it. A template whose source has no value has no value either.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(pub Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    /// Never itself a template.
    Source(Source),
}

/// Where a point's time comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeSource {
    /// The record's own timestamp.
    Record,
    /// `source` is a path or a header.
    Number { source: Source, unit: TimeUnit },
    /// `source` is a path or a header.
    Rfc3339 { source: Source },
}

/// The mapping, compiled: every path of it in one trie, so that a decoder walks a message once.
#[derive(Debug)]
pub struct Plan {
    paths: PathTrie,
    measurement: CompiledTemplate,
    tags: Vec<(Tag, From)>,
    fields: Vec<(Field, From)>,
    timestamp: CompiledTime,
    /// The name and the template of each of a [`Routing`]'s slots.
    destination: Vec<(String, CompiledTemplate)>,
    /// Whether a null in the place of a number ends its series.
    null_is_stale: bool,
}

/// A [`Source`] whose path has become a slot.
#[derive(Debug)]
enum From {
    Slot(usize),
    Constant(String),
    Header(String),
    Key,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Template(CompiledTemplate),
}

#[derive(Debug)]
struct CompiledTemplate(Vec<CompiledPiece>);

#[derive(Debug)]
enum CompiledPiece {
    Text(String),
    From(From),
}

#[derive(Debug)]
enum CompiledTime {
    Record,
    Number(From, TimeUnit),
    Rfc3339(From),
}

/// Why a message can't become a point: a rejected record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MapError(pub String);

/// Memory that is used again from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    slots: Vec<Slot<'static>>,
    tags: Vec<(&'static str, Cow<'static, str>)>,
    fields: Vec<(&'static str, Value<'static>)>,
    destination: String,
}

impl Plan {
    /// Compiles a mapping.
    pub fn new(mapping: &Mapping) -> Self {
        let mut paths = PathTrie::new();
        let measurement = compile_template(&mapping.measurement, &mut paths);
        let tags = mapping
            .tags
            .iter()
            .map(|tag| (tag.clone(), compile(&tag.source, &mut paths)))
            .collect();
        let fields = mapping
            .fields
            .iter()
            .map(|field| (field.clone(), compile(&field.source, &mut paths)))
            .collect();
        let timestamp = match &mapping.timestamp {
            TimeSource::Record => CompiledTime::Record,
            TimeSource::Number { source, unit } => {
                CompiledTime::Number(compile(source, &mut paths), *unit)
            }
            TimeSource::Rfc3339 { source } => CompiledTime::Rfc3339(compile(source, &mut paths)),
        };
        Self {
            paths,
            measurement,
            tags,
            fields,
            timestamp,
            destination: Vec::new(),
            null_is_stale: false,
        }
    }

    /// Tells the destination from a message as well.
    pub fn routed(mut self, routing: Option<&Routing>) -> Self {
        let slots = routing.into_iter().flat_map(Routing::templates);
        self.destination = slots
            .map(|(name, template)| (name.into(), compile_template(template, &mut self.paths)))
            .collect();
        self
    }

    /// Whether a null in the place of a number ends its series, or is as if it were missing.
    pub fn ending_series_by_null(self, null_is_stale: bool) -> Self {
        Self { null_is_stale, ..self }
    }

    /// What a decoder has to find.
    pub fn paths(&self) -> &PathTrie {
        &self.paths
    }

    /// The point of one message, of whose value a decoder has filled the slots.
    pub fn point<'a, R: Record>(
        &'a self,
        record: &'a R,
        slots: &'a [Slot<'a>],
        scratch: &mut Scratch,
    ) -> Result<Point<'a>, MapError> {
        let message = Message { plan: self, record, slots };
        let measurement = message.measurement()?;
        let timestamp = message.timestamp()?;
        let mut tags = emptied(std::mem::take(&mut scratch.tags));
        for (tag, from) in &self.tags {
            // What nearly every tag is.
            if let Some(Slot::Text(text)) = message.slot(from)
                && !text.is_empty()
            {
                tags.push((tag.name.as_str(), Cow::Borrowed(&**text)));
                continue;
            }
            match message.text(from).map_err(|why| MapError(format!("tag {}: {why}", tag.name)))? {
                Some(text) if !text.is_empty() => tags.push((tag.name.as_str(), text)),
                _ if tag.required => return Err(self.missing("tag", &tag.name, from)),
                _ => {}
            }
        }
        let mut fields = emptied(std::mem::take(&mut scratch.fields));
        for (field, from) in &self.fields {
            // What nearly every field is.
            if let (FieldKind::Float, Some(Slot::Number(text))) = (field.kind, message.slot(from))
                && let Some(float) = Float::from_text(text)
            {
                fields.push((field.name.as_str(), Value::Float(float)));
                continue;
            }
            if self.null_is_stale
                && field.kind != FieldKind::String
                && matches!(message.slot(from), Some(Slot::Null))
            {
                fields.push((field.name.as_str(), Value::Stale));
                continue;
            }
            let value = message
                .input(from)
                .and_then(|input| convert::to_value(input, field.kind, field.coerce));
            match value.map_err(|why| {
                MapError(format!("field {}: {}{why}", field.name, self.place(from)))
            })? {
                Some(value) => fields.push((field.name.as_str(), value)),
                None if field.required => return Err(self.missing("field", &field.name, from)),
                None => {}
            }
        }
        if fields.is_empty() {
            return Err(self.no_field_left());
        }
        Ok(Point { measurement, tags, fields, timestamp })
    }

    /// The key of one message's destination: its values, as its [`Routing`] reads them.
    pub fn destination<'s, R: Record>(
        &self,
        record: &R,
        slots: &[Slot<'_>],
        scratch: &'s mut Scratch,
    ) -> Result<&'s str, MapError> {
        let message = Message { plan: self, record, slots };
        scratch.destination.clear();
        for (slot, (name, template)) in self.destination.iter().enumerate() {
            let what = |why: &str| MapError(format!("the {name}: {why}"));
            match message.template(template).map_err(|why| what(&why))? {
                Some(text) => route::push_value(&mut scratch.destination, slot, &text),
                None => return Err(what("its template has no value in this message")),
            }
        }
        Ok(&scratch.destination)
    }

    fn missing(&self, what: &str, name: &str, from: &From) -> MapError {
        MapError(format!("{what} {name} is required: {}there is no value", self.place(from)))
    }

    fn no_field_left(&self) -> MapError {
        let places: Vec<_> = self
            .fields
            .iter()
            .map(|(_, from)| self.place(from).trim_end_matches(": ").to_owned())
            .collect();
        MapError(format!("no field has a value; looked at {}", places.join(", ")))
    }

    /// Where a value comes from, for an error: `path a.b: `.
    fn place(&self, from: &From) -> String {
        match from {
            From::Slot(slot) => format!("path {}: ", self.paths.paths()[*slot]),
            From::Header(name) => format!("header {name}: "),
            From::Key => "the key: ".into(),
            From::Template(_) => "the template: ".into(),
            From::Constant(_) => "the constant: ".into(),
            From::Topic | From::Partition | From::Offset | From::Timestamp => "the record: ".into(),
        }
    }
}

/// One message on its way to a point.
struct Message<'a, R> {
    plan: &'a Plan,
    record: &'a R,
    slots: &'a [Slot<'a>],
}

impl<'a, R: Record> Message<'a, R> {
    fn measurement(&self) -> Result<Cow<'a, str>, MapError> {
        let text = self
            .template(&self.plan.measurement)
            .map_err(|why| MapError(format!("the measurement: {why}")))?;
        match text {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(MapError("the measurement: its template has no value in this message".into())),
        }
    }

    fn timestamp(&self) -> Result<Timestamp, MapError> {
        let (from, parsed) = match &self.plan.timestamp {
            CompiledTime::Record => {
                return self
                    .record
                    .timestamp_millis()
                    .and_then(Timestamp::from_millis)
                    .ok_or_else(|| MapError("the timestamp: the record has none in range".into()));
            }
            CompiledTime::Number(from, unit) => {
                (from, self.input(from).and_then(|input| time::from_number(&input, *unit)))
            }
            CompiledTime::Rfc3339(from) => {
                (from, self.input(from).and_then(|input| time::from_rfc3339(&input)))
            }
        };
        parsed.map_err(|why| MapError(format!("the timestamp: {}{why}", self.plan.place(from))))
    }

    /// What a decoder has put into a slot, where this is one.
    #[inline]
    fn slot(&self, from: &From) -> Option<&'a Slot<'a>> {
        if let From::Slot(slot) = from { Some(&self.slots[*slot]) } else { None }
    }

    /// A value as it stands in the record.
    fn input(&self, from: &'a From) -> Result<Input<'a>, String> {
        Ok(match from {
            From::Slot(slot) => match &self.slots[*slot] {
                Slot::Missing | Slot::Null => Input::Nothing,
                Slot::Boolean(boolean) => Input::Boolean(*boolean),
                Slot::Number(text) => Input::Number(text),
                Slot::Text(text) => Input::Text(Cow::Borrowed(text)),
                Slot::Container(_) => return Err("found an object or array, not a value".into()),
            },
            From::Partition => Input::Integer(i64::from(self.record.partition())),
            From::Offset => Input::Integer(self.record.offset().0),
            From::Timestamp => {
                self.record.timestamp_millis().map_or(Input::Nothing, Input::Integer)
            }
            other => match self.text(other)? {
                Some(text) => Input::Untyped(text),
                None => Input::Nothing,
            },
        })
    }

    /// A value as text.
    fn text(&self, from: &'a From) -> Result<Option<Cow<'a, str>>, String> {
        Ok(match from {
            From::Slot(_) => {
                match self.input(from).map_err(|why| format!("{}{why}", self.plan.place(from)))? {
                    Input::Nothing => None,
                    Input::Boolean(boolean) => {
                        Some(Cow::Borrowed(if boolean { "true" } else { "false" }))
                    }
                    Input::Number(text) => Some(Cow::Borrowed(text)),
                    Input::Integer(integer) => Some(Cow::Owned(integer.to_string())),
                    Input::Text(text) | Input::Untyped(text) => Some(text),
                }
            }
            From::Constant(text) => Some(Cow::Borrowed(text)),
            From::Header(name) => utf8(self.record.header(name), name)?,
            From::Key => utf8(self.record.key(), "the key")?,
            From::Topic => Some(Cow::Borrowed(self.record.topic())),
            From::Partition => Some(Cow::Owned(self.record.partition().to_string())),
            From::Offset => Some(Cow::Owned(self.record.offset().to_string())),
            From::Timestamp => self.record.timestamp_millis().map(|ms| Cow::Owned(ms.to_string())),
            From::Template(template) => self.template(template)?,
        })
    }

    /// `None` as soon as one of its sources has no value.
    fn template(&self, template: &'a CompiledTemplate) -> Result<Option<Cow<'a, str>>, String> {
        match template.0.as_slice() {
            [CompiledPiece::Text(text)] => return Ok(Some(Cow::Borrowed(text))),
            [CompiledPiece::From(from)] => return self.text(from),
            _ => {}
        }
        let mut whole = String::new();
        for piece in &template.0 {
            match piece {
                CompiledPiece::Text(text) => whole.push_str(text),
                CompiledPiece::From(from) => match self.text(from)? {
                    Some(text) => whole.push_str(&text),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(Cow::Owned(whole)))
    }
}

fn utf8<'a>(bytes: Option<&'a [u8]>, what: &str) -> Result<Option<Cow<'a, str>>, String> {
    let text =
        bytes.map(std::str::from_utf8).transpose().map_err(|_| format!("{what} is not UTF-8"))?;
    Ok(text.map(Cow::Borrowed))
}

fn compile(source: &Source, paths: &mut PathTrie) -> From {
    match source {
        Source::Value(path) => From::Slot(paths.slot(path)),
        Source::Constant(text) => From::Constant(text.clone()),
        Source::Header(name) => From::Header(name.clone()),
        Source::Key => From::Key,
        Source::Topic => From::Topic,
        Source::Partition => From::Partition,
        Source::Offset => From::Offset,
        Source::Timestamp => From::Timestamp,
        Source::Template(template) => From::Template(compile_template(template, paths)),
    }
}

fn compile_template(template: &Template, paths: &mut PathTrie) -> CompiledTemplate {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => CompiledPiece::Text(text.clone()),
        Piece::Source(source) => CompiledPiece::From(compile(source, paths)),
    };
    CompiledTemplate(template.0.iter().map(piece).collect())
}

impl Scratch {
    /// Slots for one message, all missing.
    pub fn slots<'a>(&mut self, plan: &Plan) -> Vec<Slot<'a>> {
        let mut slots = emptied(std::mem::take(&mut self.slots));
        slots.resize(plan.paths.slots(), Slot::Missing);
        slots
    }

    /// Takes the memory of slots back.
    pub fn reclaim_slots(&mut self, slots: Vec<Slot<'_>>) {
        self.slots = emptied(slots);
    }

    /// Takes the memory of a point back.
    pub fn reclaim(&mut self, point: Point<'_>) {
        self.tags = emptied(point.tags);
        self.fields = emptied(point.fields);
    }
}

/// The vector's memory for elements of the same layout but another lifetime: the standard library
/// collects such an iterator in place, so nothing is allocated.
fn emptied<A, B>(mut vector: Vec<A>) -> Vec<B> {
    vector.clear();
    vector.into_iter().filter_map(|_| None).collect()
}
