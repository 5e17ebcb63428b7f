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
use crate::dead_letter::{Reject, Stage};
use crate::decode::{Refusal, Slot};
use crate::path::{Path, PathTrie};
use crate::point::{Float, Point, Timestamp, Value};
use crate::record::Record;
use crate::route::{self, Routing};

use convert::Input;

/// How a message becomes points, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mapping {
    /// Each gives a point of every document. None where messages are points already.
    pub points: Vec<PointRule>,
    /// Tags that are added to points which messages hold; they come from the record, not from its
    /// value. Sorted bytewise by name, names unique and not empty.
    pub tags: Vec<Tag>,
}

impl std::convert::From<PointRule> for Mapping {
    fn from(rule: PointRule) -> Self {
        Self { points: vec![rule], tags: Vec::new() }
    }
}

/// How a document becomes a point.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRule {
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

impl Source {
    /// Whether it takes a look into the message's value.
    pub fn is_of_the_value(&self) -> bool {
        match self {
            Self::Value(_) => true,
            Self::Template(template) => template
                .0
                .iter()
                .any(|piece| matches!(piece, Piece::Source(source) if source.is_of_the_value())),
            _ => false,
        }
    }
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
    points: Vec<PointPlan>,
    /// For points that messages hold.
    tags: Vec<(Tag, From)>,
    /// The name and the template of each of a [`Routing`]'s slots.
    destination: Vec<(String, CompiledTemplate)>,
    /// Whether a null in the place of a number ends its series.
    null_is_stale: bool,
}

/// A [`PointRule`], compiled.
#[derive(Debug)]
struct PointPlan {
    measurement: CompiledTemplate,
    tags: Vec<(Tag, From)>,
    fields: Vec<(Field, From)>,
    timestamp: CompiledTime,
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
    tags: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    fields: Vec<(Cow<'static, str>, Value<'static>)>,
    /// The key of a destination.
    pub(crate) destination: String,
}

impl std::convert::From<MapError> for Refusal {
    fn from(error: MapError) -> Self {
        Reject::new(Stage::Map, error.0).into()
    }
}

impl Plan {
    /// Compiles a mapping.
    pub fn new(mapping: &Mapping) -> Self {
        let mut paths = PathTrie::new();
        let points = mapping.points.iter().map(|rule| PointPlan::new(rule, &mut paths)).collect();
        let tags = compile_tags(&mapping.tags, &mut paths);
        Self { paths, points, tags, destination: Vec::new(), null_is_stale: false }
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

    /// Hands the points of one document to `each`, of whose message a decoder has filled the slots.
    pub fn points<R: Record + ?Sized>(
        &self,
        record: &R,
        slots: &[Slot<'_>],
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&Point<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let message = Message { plan: self, record, slots };
        for rule in &self.points {
            let point = message.point(rule, scratch)?;
            let taken = each(&point);
            scratch.reclaim(point);
            taken?;
        }
        Ok(())
    }

    /// Adds tags to a point that a message holds; one that it has already stays.
    pub fn complete<'a, R: Record + ?Sized>(
        &'a self,
        record: &'a R,
        mut point: Point<'a>,
    ) -> Result<Point<'a>, MapError> {
        let message = Message { plan: self, record, slots: &[] };
        for (tag, from) in &self.tags {
            let name = tag.name.as_str();
            let Err(place) = point.tags.binary_search_by(|(known, _)| known.as_ref().cmp(name))
            else {
                continue;
            };
            if let Some(text) = message.tag(tag, from)? {
                point.tags.insert(place, (Cow::Borrowed(name), text));
            }
        }
        Ok(point)
    }

    /// Writes the key of one document's destination: its values, as its [`Routing`] reads them.
    pub fn destination<R: Record + ?Sized>(
        &self,
        record: &R,
        slots: &[Slot<'_>],
        key: &mut String,
    ) -> Result<(), MapError> {
        let message = Message { plan: self, record, slots };
        key.clear();
        for (slot, (name, template)) in self.destination.iter().enumerate() {
            let what = |why: &str| MapError(format!("the {name}: {why}"));
            match message.template(template).map_err(|why| what(&why))? {
                Some(text) => route::push_value(key, slot, &text),
                None => return Err(what("its template has no value in this message")),
            }
        }
        Ok(())
    }

    fn missing(&self, what: &str, name: &str, from: &From) -> MapError {
        MapError(format!("{what} {name} is required: {}there is no value", self.place(from)))
    }

    fn no_field_left(&self, rule: &PointPlan) -> MapError {
        let places: Vec<_> = rule
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

impl PointPlan {
    fn new(rule: &PointRule, paths: &mut PathTrie) -> Self {
        let measurement = compile_template(&rule.measurement, paths);
        let tags = compile_tags(&rule.tags, paths);
        let fields = rule.fields.iter();
        let fields = fields.map(|field| (field.clone(), compile(&field.source, paths))).collect();
        let timestamp = match &rule.timestamp {
            TimeSource::Record => CompiledTime::Record,
            TimeSource::Number { source, unit } => {
                CompiledTime::Number(compile(source, paths), *unit)
            }
            TimeSource::Rfc3339 { source } => CompiledTime::Rfc3339(compile(source, paths)),
        };
        Self { measurement, tags, fields, timestamp }
    }
}

/// One document on its way to points.
struct Message<'a, R: ?Sized> {
    plan: &'a Plan,
    record: &'a R,
    slots: &'a [Slot<'a>],
}

impl<'a, R: Record + ?Sized> Message<'a, R> {
    fn point(&self, rule: &'a PointPlan, scratch: &mut Scratch) -> Result<Point<'a>, MapError> {
        let measurement = self.measurement(rule)?;
        let timestamp = self.timestamp(rule)?;
        let mut tags = emptied(std::mem::take(&mut scratch.tags));
        for (tag, from) in &rule.tags {
            // What nearly every tag is.
            if let Some(Slot::Text(text)) = self.slot(from)
                && !text.is_empty()
            {
                tags.push((Cow::Borrowed(tag.name.as_str()), Cow::Borrowed(&**text)));
            } else if let Some(text) = self.tag(tag, from)? {
                tags.push((Cow::Borrowed(tag.name.as_str()), text));
            }
        }
        let mut fields = emptied(std::mem::take(&mut scratch.fields));
        for (field, from) in &rule.fields {
            let name = Cow::Borrowed(field.name.as_str());
            // What nearly every field is.
            if let (FieldKind::Float, Some(Slot::Number(text))) = (field.kind, self.slot(from))
                && let Some(float) = Float::from_text(text)
            {
                fields.push((name, Value::Float(float)));
            } else if let Some(value) = self.field(field, from)? {
                fields.push((name, value));
            }
        }
        if fields.is_empty() {
            return Err(self.plan.no_field_left(rule));
        }
        Ok(Point { measurement, tags, fields, timestamp })
    }

    /// A tag's value; none is empty.
    fn tag(&self, tag: &Tag, from: &'a From) -> Result<Option<Cow<'a, str>>, MapError> {
        match self.text(from).map_err(|why| MapError(format!("tag {}: {why}", tag.name)))? {
            Some(text) if !text.is_empty() => Ok(Some(text)),
            _ if tag.required => Err(self.plan.missing("tag", &tag.name, from)),
            _ => Ok(None),
        }
    }

    fn field(&self, field: &Field, from: &'a From) -> Result<Option<Value<'a>>, MapError> {
        if self.plan.null_is_stale
            && field.kind != FieldKind::String
            && matches!(self.slot(from), Some(Slot::Null))
        {
            return Ok(Some(Value::Stale));
        }
        let input = self.input(from);
        let value = input.and_then(|input| convert::to_value(input, field.kind, field.coerce));
        let value = value.map_err(|why| {
            MapError(format!("field {}: {}{why}", field.name, self.plan.place(from)))
        })?;
        if value.is_none() && field.required {
            return Err(self.plan.missing("field", &field.name, from));
        }
        Ok(value)
    }

    fn measurement(&self, rule: &'a PointPlan) -> Result<Cow<'a, str>, MapError> {
        let text = self
            .template(&rule.measurement)
            .map_err(|why| MapError(format!("the measurement: {why}")))?;
        match text {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(MapError("the measurement: its template has no value in this message".into())),
        }
    }

    fn timestamp(&self, rule: &'a PointPlan) -> Result<Timestamp, MapError> {
        let (from, parsed) = match &rule.timestamp {
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
                Slot::Integer(number) => Input::Integer(*number),
                Slot::Unsigned(number) => Input::Unsigned(*number),
                Slot::Float(number) => Input::Float(*number),
                Slot::Text(text) => Input::Text(Cow::Borrowed(text)),
                Slot::Untyped(text) => Input::Untyped(Cow::Borrowed(text)),
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
                    Input::Integer(number) => Some(Cow::Owned(number.to_string())),
                    Input::Unsigned(number) => Some(Cow::Owned(number.to_string())),
                    Input::Float(number) => Some(Cow::Owned(number.to_string())),
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

fn compile_tags(tags: &[Tag], paths: &mut PathTrie) -> Vec<(Tag, From)> {
    tags.iter().map(|tag| (tag.clone(), compile(&tag.source, paths))).collect()
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
