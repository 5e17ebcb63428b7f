//! The mapping: which parts of a message become a point's measurement, tags, fields and time.
//!
//! A checked [`Mapping`] says it in the user's terms; a [`Plan`] is the same compiled for the hot
//! path: all paths in one trie, each source a slot number.

mod condition;
mod convert;
#[cfg(test)]
pub(crate) mod documentation_tests;
mod message;
mod plan;
mod step;
mod table;
#[cfg(test)]
mod tests;
mod time;

use std::borrow::Cow;
use std::mem::ManuallyDrop;

use crate::config::raw::{FieldKind, TimeUnit};
use crate::dead_letter::{ReasonKind, Reject, Stage};
use crate::decode::{Refusal, Slot};
use crate::path::Path;
use crate::point::{KnownValue, Point, Timestamp, Value};
use crate::series::SeriesKey;

pub use condition::{Comparison, Condition, Literal, Operand};
pub(crate) use convert::{Input, cast};
pub use plan::Plan;
pub use step::{Spread, Step};
pub use table::Table;
pub(crate) use time::nanos_of;

/// How a message becomes points, checked.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// Each gives points of every document. None where messages are points already.
    pub points: Vec<PointRule>,
    /// Tags that are added to points which messages hold; they come from the record, not from its
    /// value. Sorted bytewise by name, names unique and not empty.
    pub tags: Vec<Tag>,
}

impl From<PointRule> for Mapping {
    fn from(rule: PointRule) -> Self {
        Self { points: vec![rule], tags: Vec::new() }
    }
}

/// How a document becomes a point, or several.
#[derive(Debug, Clone)]
pub struct PointRule {
    /// Documents, or elements of the array, that this rule makes a point of; all where it is unset.
    pub when: Option<Condition>,
    /// An array, each element of which gives a point: then [`Source::Element`] is a path in it.
    pub explode: Option<Path>,
    pub measurement: Template,
    /// Sorted bytewise by name, names unique and not empty.
    pub tags: Vec<Tag>,
    pub all_tags: Vec<Wildcard>,
    /// Names unique and not empty, and none is also a tag's. At least one of these or of `all_fields`.
    pub fields: Vec<Field>,
    pub all_fields: Vec<Wildcard>,
    pub timestamp: TimeSource,
    pub disambiguate: Option<Spread>,
}

impl PointRule {
    /// A point of each document, without tags, at the record's time.
    pub fn new(measurement: Template, fields: Vec<Field>) -> Self {
        Self {
            when: None,
            explode: None,
            measurement,
            tags: Vec::new(),
            all_tags: Vec::new(),
            fields,
            all_fields: Vec::new(),
            timestamp: TimeSource::Record,
            disambiguate: None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Tag {
    pub name: String,
    pub source: Source,
    pub steps: Vec<Step>,
    pub required: bool,
}

impl Tag {
    /// A tag that may be missing.
    pub fn new(name: impl Into<String>, source: Source) -> Self {
        Self { name: name.into(), source, steps: Vec::new(), required: false }
    }
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub source: Source,
    pub steps: Vec<Step>,
    pub kind: FieldKind,
    pub coerce: bool,
    pub required: bool,
}

impl Field {
    /// A field that may be missing, of values of its type only.
    pub fn new(name: impl Into<String>, source: Source, kind: FieldKind) -> Self {
        let (name, steps) = (name.into(), Vec::new());
        Self { name, source, steps, kind, coerce: false, required: false }
    }
}

/// Tags or fields from all values of an object, as many as there are.
#[derive(Debug, Clone)]
pub struct Wildcard {
    /// What stands before and behind the key in a name.
    pub before: String,
    pub after: String,
    /// The object; a [`Source::Value`] or [`Source::Element`].
    pub source: Source,
    /// How many objects deep; at least 1.
    pub depth: usize,
    /// A record with more values is rejected.
    pub limit: usize,
    pub steps: Vec<Step>,
    /// Of fields: values that are no such are left out.
    pub kind: FieldKind,
    pub coerce: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A path into the message.
    Value(Path),
    /// A path into the element of the array that is made points of.
    Element(Path),
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
            Self::Value(_) | Self::Element(_) => true,
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

impl Template {
    /// Whether nothing but a route's name is missing to know the text.
    pub fn is_known_by_route(&self) -> bool {
        !self.0.iter().any(|piece| matches!(piece, Piece::Source(_)))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    /// Never itself a template.
    Source(Source),
    /// What a `route` has named; only of a [`Routing`](crate::route::Routing).
    Route,
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
    /// Text in strftime's notation; without an offset in it, of this zone.
    Format { source: Source, format: String, zone: jiff::tz::TimeZone },
}

/// Why a message can't become a point: a rejected record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MapError {
    pub kind: ReasonKind,
    pub reason: String,
}

impl MapError {
    fn new(kind: ReasonKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

impl From<MapError> for Refusal {
    fn from(error: MapError) -> Self {
        Reject::new(Stage::Map, error.kind, error.reason).into()
    }
}

/// Takes the points that a mapping makes. A function that takes points is the simplest one.
pub trait TakePoints {
    /// Takes a point.
    ///
    /// # Errors
    /// A refused record, all of whose points are then taken back.
    fn take(&mut self, point: &Point<'_>) -> Result<(), Refusal>;

    /// Whether it keeps series, and [`TakePoints::take_known`] is worth a try with the next point.
    fn keeps_series(&mut self) -> bool {
        false
    }

    /// Takes a point that has not been made, if it has taken one with this key before; otherwise says `false`,
    /// and nothing has happened.
    fn take_known<'v>(
        &mut self,
        _key: &SeriesKey,
        _values: impl Iterator<Item = KnownValue<'v>> + Clone,
        _timestamp: Timestamp,
    ) -> bool {
        false
    }

    /// Takes a point whose key it has not known.
    ///
    /// # Errors
    /// As [`TakePoints::take`].
    fn take_new(&mut self, _key: &SeriesKey, point: &Point<'_>) -> Result<(), Refusal> {
        self.take(point)
    }
}

impl<F: FnMut(&Point<'_>) -> Result<(), Refusal>> TakePoints for F {
    fn take(&mut self, point: &Point<'_>) -> Result<(), Refusal> {
        self(point)
    }
}

/// As many as nearly every mapping has.
const FEW_SLOTS: usize = 16;

/// Memory that is used again from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    slots: Vec<Slot<'static>>,
    tags: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    fields: Vec<(Cow<'static, str>, Value<'static>)>,
    /// Of a point that is not made yet, where they are more than digits.
    values: Vec<Value<'static>>,
    series: SeriesKey,
    /// The key of a destination.
    pub(crate) destination: String,
}

impl Scratch {
    /// Lends slots for one message, all missing.
    #[inline]
    pub fn with_slots<'a, T>(
        &mut self,
        plan: &Plan,
        then: impl FnOnce(&mut [Slot<'a>], &mut Self) -> T,
    ) -> T {
        let wanted = plan.paths().slots();
        if wanted > FEW_SLOTS {
            let mut slots = std::mem::take(&mut self.slots);
            slots.resize_with(wanted, Slot::default);
            let done = then(&mut slots, self);
            self.slots = emptied(slots);
            return done;
        }
        // On the stack, and dropped one by one: the memory of a vector is taken back through a loop that costs
        // several times as much. By a function, since a constant would be copied whole, and not only what says that
        // a slot is missing.
        let slots = std::array::from_fn::<_, FEW_SLOTS, _>(|_| Slot::Missing);
        let mut slots = ManuallyDrop::new(slots);
        let slots = &mut slots[..wanted];
        let done = then(slots, self);
        slots.iter_mut().for_each(Slot::clear);
        done
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
