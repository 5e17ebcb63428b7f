//! The plan: a mapping, compiled.

use std::sync::Arc;

use super::condition::Condition;
use super::message::Message;
use super::{
    Field, MapError, Mapping, Piece, PointRule, Scratch, Source, Spread, Step, Table, Tag,
    TakePoints, Template, TimeSource, Wildcard,
};
use crate::config::raw::TimeUnit;
use crate::dead_letter::ReasonKind;
use crate::decode::{Refusal, Slot};
use crate::path::{Path, PathTrie};
use crate::point::Point;
use crate::record::Record;
use crate::route::{self, Routing};

/// The mapping, compiled: every path of it in one trie, so that a decoder walks a message once.
#[derive(Debug)]
pub struct Plan {
    paths: PathTrie,
    points: Vec<PointPlan>,
    /// For points that messages hold.
    tags: Vec<Planned<Tag>>,
    /// The name and the template of each of a [`Routing`]'s slots.
    destination: Vec<(String, CompiledTemplate)>,
    /// How many places these have for the name that a `route` gives.
    places_of_routes: usize,
    /// All that values are looked up in.
    tables: Vec<Arc<Table>>,
    /// Whether a null in the place of a number ends its series.
    pub(super) null_is_stale: bool,
}

/// A [`PointRule`], compiled.
#[derive(Debug)]
pub(super) struct PointPlan {
    pub number: usize,
    pub when: Option<Condition<From>>,
    pub explode: Option<Explode>,
    pub measurement: CompiledTemplate,
    pub tags: Vec<Planned<Tag>>,
    pub all_tags: Vec<(Wildcard, From)>,
    pub fields: Vec<Planned<Field>>,
    pub all_fields: Vec<(Wildcard, From)>,
    pub timestamp: CompiledTime,
    pub disambiguate: Option<Spread>,
}

/// A tag or a field, and where its value comes from.
#[derive(Debug)]
pub(super) struct Planned<T> {
    pub rule: T,
    pub from: From,
    /// The slot whose value is taken as it is; [`NO_SLOT`] where it comes from elsewhere, or through steps.
    pub slot: usize,
}

/// There is none of this number.
const NO_SLOT: usize = usize::MAX;

impl<T> Planned<T> {
    fn new(rule: T, steps: &[Step], from: From) -> Self {
        let slot = match from {
            From::Slot(slot) if steps.is_empty() => slot,
            _ => NO_SLOT,
        };
        Self { rule, from, slot }
    }
}

/// The array that is made points of.
#[derive(Debug)]
pub(super) struct Explode {
    pub path: Path,
    /// Its [`Slot::Elements`].
    pub elements: usize,
    /// Itself, whatever it is.
    pub value: usize,
}

/// A [`Source`] whose path has become a slot.
#[derive(Debug)]
pub(super) enum From {
    Slot(usize),
    /// In the row of the element at hand; with its path.
    Element(usize, Path),
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
pub(super) struct CompiledTemplate(pub Vec<CompiledPiece>);

#[derive(Debug)]
pub(super) enum CompiledPiece {
    Text(String),
    From(From),
}

#[derive(Debug)]
pub(super) enum CompiledTime {
    Record,
    Number(From, TimeUnit),
    Rfc3339(From),
    Format(From, String, jiff::tz::TimeZone),
}

impl Plan {
    /// Compiles a mapping.
    pub fn new(mapping: &Mapping) -> Self {
        let mut paths = PathTrie::new();
        let points = mapping.points.iter().enumerate();
        let points =
            points.map(|(number, rule)| PointPlan::new(number, rule, &mut paths)).collect();
        let tags = Compiler { paths: &mut paths, explode: None }.tags(&mapping.tags);
        let tables = tables(mapping);
        Self {
            paths,
            points,
            tags,
            destination: Vec::new(),
            places_of_routes: 0,
            tables,
            null_is_stale: false,
        }
    }

    /// Tells the destination from a message as well.
    pub fn routed(mut self, routing: Option<&Routing>) -> Self {
        let mut compiler = Compiler { paths: &mut self.paths, explode: None };
        let slots = routing.into_iter().flat_map(Routing::templates);
        self.destination =
            slots.map(|(name, text)| (name.into(), compiler.template(text))).collect();
        self.places_of_routes = routing.map_or(0, Routing::open_places);
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

    /// Whether all is there that values are looked up in; to be asked before each message.
    pub fn ready(&self) -> Result<(), Refusal> {
        self.tables.iter().try_for_each(|table| table.look()).map_err(Refusal::Unavailable)
    }

    /// Hands out the points of one document, of whose message a decoder has filled the slots.
    pub fn points<R: Record + ?Sized>(
        &self,
        record: &R,
        slots: &[Slot<'_>],
        scratch: &mut Scratch,
        points: &mut impl TakePoints,
    ) -> Result<(), Refusal> {
        let mut of_all = |to: &str, scratch: &mut Scratch| {
            let message = Message { plan: self, record, slots, element: &[], index: 0, to };
            self.points.iter().try_for_each(|rule| message.points(rule, scratch, points))
        };
        if self.is_for_one_place() {
            return of_all("", scratch);
        }
        let mut to = std::mem::take(&mut scratch.destination);
        let told = self.destination(record, slots, &mut to);
        let taken = told.map_err(Refusal::from).and_then(|()| of_all(&to, scratch));
        scratch.destination = to;
        taken
    }

    /// Whether no destination has to be told from a message.
    fn is_for_one_place(&self) -> bool {
        self.destination.is_empty() && self.places_of_routes == 0
    }

    /// Whether points that messages hold stay as they are.
    pub fn adds_nothing(&self) -> bool {
        self.tags.is_empty()
    }

    /// Adds tags to a point that a message holds, and its destination; a tag that it has already stays.
    pub fn complete<'a, R: Record + ?Sized>(
        &'a self,
        record: &'a R,
        mut point: Point<'a>,
        to: &'a str,
    ) -> Result<Point<'a>, MapError> {
        point.to = to.into();
        let message = Message { plan: self, record, slots: &[], element: &[], index: 0, to };
        for tag in &self.tags {
            let name = tag.rule.name.as_str();
            let Err(place) = point.tags.binary_search_by(|(known, _)| known.as_ref().cmp(name))
            else {
                continue;
            };
            if let Some(text) = message.tag(tag)? {
                point.tags.insert(place, (name.into(), text));
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
        let message = Message { plan: self, record, slots, element: &[], index: 0, to: "" };
        key.clear();
        for (slot, (name, template)) in self.destination.iter().enumerate() {
            let what =
                |why: &str| MapError::new(ReasonKind::BadDestination, format!("the {name}: {why}"));
            match message.template(template).map_err(|why| what(&why))? {
                Some(text) => route::push_value(key, slot, &text),
                None => return Err(what("its template has no value in this message")),
            }
        }
        if self.places_of_routes > 0 && route::open_places(key) != self.places_of_routes {
            return Err(MapError::new(
                ReasonKind::BadDestination,
                "the destination has a control character in it",
            ));
        }
        Ok(())
    }

    /// Where a value comes from, for an error: `path a.b: `.
    pub(super) fn place(&self, from: &From) -> String {
        match from {
            From::Slot(slot) => format!("path {}: ", self.paths.paths()[*slot]),
            From::Element(_, path) if path.is_root() => "the element: ".into(),
            From::Element(_, path) => format!("path {path} of the element: "),
            From::Header(name) => format!("header {name}: "),
            From::Key => "the key: ".into(),
            From::Template(_) => "the template: ".into(),
            From::Constant(_) => "the constant: ".into(),
            From::Topic | From::Partition | From::Offset | From::Timestamp => "the record: ".into(),
        }
    }
}

impl PointPlan {
    fn new(number: usize, rule: &PointRule, paths: &mut PathTrie) -> Self {
        let explode = rule.explode.as_ref().map(|path| Explode {
            path: path.clone(),
            elements: paths.elements(path).slot,
            value: paths.slot(path),
        });
        let mut compiler = Compiler { paths, explode: rule.explode.as_ref() };
        let fields = rule
            .fields
            .iter()
            .map(|field| Planned::new(field.clone(), &field.steps, compiler.source(&field.source)));
        let fields = fields.collect();
        let timestamp = match &rule.timestamp {
            TimeSource::Record => CompiledTime::Record,
            TimeSource::Number { source, unit } => {
                CompiledTime::Number(compiler.source(source), *unit)
            }
            TimeSource::Rfc3339 { source } => CompiledTime::Rfc3339(compiler.source(source)),
            TimeSource::Format { source, format, zone } => {
                CompiledTime::Format(compiler.source(source), format.clone(), zone.clone())
            }
        };
        Self {
            number,
            when: rule.when.as_ref().map(|when| when.map(&mut |source| compiler.source(source))),
            explode,
            measurement: compiler.template(&rule.measurement),
            tags: compiler.tags(&rule.tags),
            all_tags: compiler.wildcards(&rule.all_tags),
            fields,
            all_fields: compiler.wildcards(&rule.all_fields),
            timestamp,
            disambiguate: rule.disambiguate,
        }
    }
}

/// Each once.
fn tables(mapping: &Mapping) -> Vec<Arc<Table>> {
    let of_rule = |rule: &PointRule| {
        let tags = rule.tags.iter().map(|tag| tag.steps.clone());
        let fields = rule.fields.iter().map(|field| field.steps.clone());
        let all = rule.all_tags.iter().chain(&rule.all_fields).map(|all| all.steps.clone());
        tags.chain(fields).chain(all).flatten().collect::<Vec<_>>()
    };
    let added = mapping.tags.iter().flat_map(|tag| tag.steps.clone());
    let mut tables: Vec<Arc<Table>> = Vec::new();
    for step in mapping.points.iter().flat_map(of_rule).chain(added) {
        if let Step::Lookup(table, _) = step
            && !tables.iter().any(|known| known.name() == table.name())
        {
            tables.push(table);
        }
    }
    tables
}

/// Turns paths into slots.
struct Compiler<'p> {
    paths: &'p mut PathTrie,
    /// The array whose elements a rule makes points of.
    explode: Option<&'p Path>,
}

impl Compiler<'_> {
    fn tags(&mut self, tags: &[Tag]) -> Vec<Planned<Tag>> {
        let tags = tags.iter();
        tags.map(|tag| Planned::new(tag.clone(), &tag.steps, self.source(&tag.source))).collect()
    }

    fn wildcards(&mut self, all: &[Wildcard]) -> Vec<(Wildcard, From)> {
        let from = |wildcard: &Wildcard| {
            let slot = match (&wildcard.source, self.explode) {
                (Source::Element(path), Some(array)) => {
                    let paths = &mut self.paths.elements(array).paths;
                    From::Element(paths.entries(path, wildcard.depth), path.clone())
                }
                (Source::Value(path) | Source::Element(path), _) => {
                    From::Slot(self.paths.entries(path, wildcard.depth))
                }
                (other, _) => self.source(other),
            };
            (wildcard.clone(), slot)
        };
        all.iter().map(from).collect()
    }

    fn source(&mut self, source: &Source) -> From {
        match (source, self.explode) {
            (Source::Element(path), Some(array)) => {
                let slot = self.paths.elements(array).paths.slot(path);
                From::Element(slot, path.clone())
            }
            (Source::Value(path) | Source::Element(path), _) => From::Slot(self.paths.slot(path)),
            (Source::Constant(text), _) => From::Constant(text.clone()),
            (Source::Header(name), _) => From::Header(name.clone()),
            (Source::Key, _) => From::Key,
            (Source::Topic, _) => From::Topic,
            (Source::Partition, _) => From::Partition,
            (Source::Offset, _) => From::Offset,
            (Source::Timestamp, _) => From::Timestamp,
            (Source::Template(template), _) => From::Template(self.template(template)),
        }
    }

    fn template(&mut self, template: &Template) -> CompiledTemplate {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => CompiledPiece::Text(text.clone()),
            Piece::Source(source) => CompiledPiece::From(self.source(source)),
            Piece::Route => CompiledPiece::Text(route::OPEN_PLACE.into()),
        };
        CompiledTemplate(template.0.iter().map(piece).collect())
    }
}
