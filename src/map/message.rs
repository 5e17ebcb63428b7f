//! One document on its way to points.

mod known;

use std::borrow::Cow;

use super::convert::{self, Input};
use super::plan::{CompiledPiece, CompiledTemplate, CompiledTime, From, Plan, Planned, PointPlan};
use super::{Field, MapError, Scratch, Spread, Step, Tag, TakePoints, Wildcard, time};
use crate::config::raw::FieldKind;
use crate::dead_letter::ReasonKind;
use crate::decode::{MAX_GATHERED, Refusal, Slot};
use crate::point::{Point, Timestamp, Value};
use crate::record::Record;

/// A document, or an element of an array in one.
pub(super) struct Message<'a, R: ?Sized> {
    pub plan: &'a Plan,
    pub record: &'a R,
    pub slots: &'a [Slot<'a>],
    /// The slots of the element; none where the whole document is meant.
    pub element: &'a [Slot<'a>],
    /// The element's place in its array.
    pub index: usize,
    /// The key of the points' destination.
    pub to: &'a str,
}

impl<'a, R: Record + ?Sized> Message<'a, R> {
    /// Hands out the points that a rule makes.
    pub(super) fn points(
        &self,
        rule: &'a PointPlan,
        scratch: &mut Scratch,
        points: &mut impl TakePoints,
    ) -> Result<(), Refusal> {
        let Some(explode) = &rule.explode else {
            return self.point_if_wanted(rule, scratch, points);
        };
        match (&self.slots[explode.elements], &self.slots[explode.value]) {
            (Slot::Elements(rows), _) if rows.len > MAX_GATHERED => Err(MapError::new(
                ReasonKind::TooLarge,
                format!(
                    "`explode`: path {} has {} elements, which is more than {MAX_GATHERED}",
                    explode.path, rows.len
                ),
            )
            .into()),
            (Slot::Elements(rows), _) => {
                for (index, element) in rows.rows().enumerate() {
                    let message = Message { element, index, ..*self };
                    let taken = message.point_if_wanted(rule, scratch, points);
                    taken.map_err(|error| within(error, &explode.path, index))?;
                }
                Ok(())
            }
            (_, Slot::Missing | Slot::Null) => Ok(()),
            _ => Err(MapError::new(
                ReasonKind::WrongType,
                format!("`explode`: path {} is no array", explode.path),
            )
            .into()),
        }
    }

    fn point_if_wanted(
        &self,
        rule: &'a PointPlan,
        scratch: &mut Scratch,
        points: &mut impl TakePoints,
    ) -> Result<(), Refusal> {
        if let Some(when) = &rule.when
            && !when.holds(&|from| self.input(from))
        {
            return Ok(());
        }
        let mut key = std::mem::take(&mut scratch.series);
        key.clear();
        let taken = if points.keeps_series() && self.take_known(rule, &mut key, scratch, points) {
            Ok(())
        } else {
            self.point(rule, scratch).map_err(Refusal::from).and_then(|point| {
                let taken = points.take_new(&key, &point);
                scratch.reclaim(point);
                taken
            })
        };
        scratch.series = key;
        taken
    }

    fn point(&self, rule: &'a PointPlan, scratch: &mut Scratch) -> Result<Point<'a>, MapError> {
        let measurement = self.measurement(rule)?;
        let timestamp = self.timestamp(rule)?;
        let mut tags = std::mem::take(&mut scratch.tags);
        for tag in &rule.tags {
            if let Some(text) = self.tag(tag)? {
                tags.push((Cow::Borrowed(tag.rule.name.as_str()), text));
            }
        }
        let mut fields = std::mem::take(&mut scratch.fields);
        for field in &rule.fields {
            if let Some(value) = self.field(field)? {
                fields.push((Cow::Borrowed(field.rule.name.as_str()), value));
            }
        }
        let mut point = Point { measurement, tags, fields, timestamp, to: Cow::Borrowed(self.to) };
        if !rule.all_tags.is_empty() || !rule.all_fields.is_empty() {
            self.add_all(rule, &mut point)?;
        }
        if point.fields.is_empty() {
            return Err(self.no_field_left(rule));
        }
        Ok(point)
    }

    /// Adds what stands under wildcards. A name that the point has already keeps its value.
    #[cold]
    fn add_all(&self, rule: &'a PointPlan, point: &mut Point<'a>) -> Result<(), MapError> {
        for (wildcard, from) in &rule.all_tags {
            for (key, slot) in self.entries(wildcard, from)? {
                let name = wildcard.name(key);
                let value = stepped(input_of(slot), &wildcard.steps);
                let value = value.map_err(|why| {
                    MapError::new(ReasonKind::WrongType, format!("tag {name}: {why}"))
                })?;
                let Some(text) = value.text().filter(|text| !text.is_empty()) else { continue };
                if let Err(place) = point.tags.binary_search_by(|(known, _)| known.cmp(&name)) {
                    point.tags.insert(place, (name, text));
                }
            }
        }
        for (wildcard, from) in &rule.all_fields {
            for (key, slot) in self.entries(wildcard, from)? {
                let name = wildcard.name(key);
                let known = point.fields.iter().any(|(known, _)| *known == name)
                    || point.tags.binary_search_by(|(known, _)| known.cmp(&name)).is_ok();
                let value = stepped(input_of(slot), &wildcard.steps);
                let value = value.map_err(|why| {
                    MapError::new(ReasonKind::WrongType, format!("field {name}: {why}"))
                })?;
                // What is of another type is another wildcard's, or nobody's.
                if let Ok(Some(value)) = convert::to_value(value, wildcard.kind, wildcard.coerce)
                    && !known
                {
                    point.fields.push((name, value));
                }
            }
        }
        Ok(())
    }

    /// The values of an object, each under its key once.
    fn entries(
        &self,
        wildcard: &Wildcard,
        from: &From,
    ) -> Result<Vec<&'a (Cow<'a, str>, Slot<'a>)>, MapError> {
        let Some(Slot::Entries(entries)) = self.slot(from) else {
            return Ok(Vec::new());
        };
        if entries.len() > wildcard.limit {
            return Err(MapError::new(
                ReasonKind::TooLarge,
                format!(
                    "{}{} values are more than its `limit` of {}",
                    self.plan.place(from),
                    entries.len(),
                    wildcard.limit
                ),
            ));
        }
        // A repeated key: the last value wins, as everywhere.
        let is_last = |(place, (key, _)): &(usize, &'a (Cow<'a, str>, Slot<'a>))| {
            entries[place + 1..].iter().all(|(later, _)| later != key)
        };
        Ok(entries.iter().enumerate().filter(is_last).map(|(_, entry)| entry).collect())
    }

    /// A tag's value; none is empty.
    #[inline]
    pub(super) fn tag(&self, tag: &'a Planned<Tag>) -> Result<Option<Cow<'a, str>>, MapError> {
        match self.slots.get(tag.slot) {
            // What nearly every tag is.
            Some(Slot::Text(text)) if !text.is_empty() => Ok(Some(Cow::Borrowed(text))),
            _ => self.rarer_tag(&tag.rule, &tag.from),
        }
    }

    #[inline(never)]
    fn rarer_tag(&self, tag: &'a Tag, from: &'a From) -> Result<Option<Cow<'a, str>>, MapError> {
        let text = if tag.steps.is_empty() {
            self.text(from)
        } else {
            let stepped = self.input(from).and_then(|input| stepped(input, &tag.steps));
            let stepped = stepped.map_err(|why| format!("{}{why}", self.plan.place(from)));
            stepped.map(|input| input.text())
        };
        match text.map_err(|why| {
            MapError::new(ReasonKind::WrongType, format!("tag {}: {why}", tag.name))
        })? {
            Some(text) if !text.is_empty() => Ok(Some(text)),
            _ if tag.required => Err(self.missing("tag", &tag.name, from)),
            _ => Ok(None),
        }
    }

    #[inline]
    fn field(&self, field: &'a Planned<Field>) -> Result<Option<Value<'a>>, MapError> {
        // What nearly every field is.
        if let Some(slot) = self.slots.get(field.slot)
            && let Some(value) = convert::plain_number(slot, field.rule.kind)
        {
            return Ok(Some(value));
        }
        self.rarer_field(&field.rule, &field.from)
    }

    #[inline(never)]
    fn rarer_field(&self, field: &'a Field, from: &'a From) -> Result<Option<Value<'a>>, MapError> {
        if self.plan.null_is_stale
            && field.kind != FieldKind::String
            && matches!(self.slot(from), Some(Slot::Null))
        {
            return Ok(Some(Value::Stale));
        }
        let input = self.input(from).and_then(|input| stepped(input, &field.steps));
        let value = input.and_then(|input| convert::to_value(input, field.kind, field.coerce));
        let value = value.map_err(|why| {
            MapError::new(
                ReasonKind::WrongType,
                format!("field {}: {}{why}", field.name, self.plan.place(from)),
            )
        })?;
        if value.is_none() && field.required {
            return Err(self.missing("field", &field.name, from));
        }
        Ok(value)
    }

    fn measurement(&self, rule: &'a PointPlan) -> Result<Cow<'a, str>, MapError> {
        let text = self.template(&rule.measurement).map_err(|why| {
            MapError::new(ReasonKind::WrongType, format!("the measurement: {why}"))
        })?;
        match text {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(MapError::new(
                ReasonKind::MissingValue,
                "the measurement: its template has no value in this message",
            )),
        }
    }

    fn timestamp(&self, rule: &'a PointPlan) -> Result<Timestamp, MapError> {
        let time = self.time(rule)?;
        let apart = |spread: Spread| spread.apart(time, self.record.offset(), self.index);
        Ok(rule.disambiguate.map_or(time, apart))
    }

    fn time(&self, rule: &'a PointPlan) -> Result<Timestamp, MapError> {
        let (from, parsed) = match &rule.timestamp {
            CompiledTime::Record => {
                return self.record.timestamp_millis().and_then(Timestamp::from_millis).ok_or_else(
                    || {
                        MapError::new(
                            ReasonKind::BadTimestamp,
                            "the timestamp: the record has none in range",
                        )
                    },
                );
            }
            CompiledTime::Number(from, unit) => {
                // What nearly every time is.
                if let Some(Slot::Number(number)) = self.slot(from)
                    && let Some(time) = time::from_digits(number.text(), *unit)
                {
                    return Ok(time);
                }
                (from, self.input(from).and_then(|input| time::from_number(&input, *unit)))
            }
            CompiledTime::Rfc3339(from) => {
                if let Some(Slot::Time(time)) = self.slot(from)
                    && let Some(time) = Timestamp::from_nanos(time.as_nanosecond())
                {
                    return Ok(time);
                }
                (from, self.input(from).and_then(|input| time::from_rfc3339(&input)))
            }
            CompiledTime::Format(from, format, zone) => {
                (from, self.input(from).and_then(|input| time::from_format(&input, format, zone)))
            }
        };
        parsed.map_err(|why| {
            MapError::new(
                ReasonKind::BadTimestamp,
                format!("the timestamp: {}{why}", self.plan.place(from)),
            )
        })
    }

    /// What a decoder has put into a slot, where this is one.
    #[inline]
    fn slot(&self, from: &From) -> Option<&'a Slot<'a>> {
        match from {
            From::Slot(slot) => Some(&self.slots[*slot]),
            From::Element(slot, _) => self.element.get(*slot),
            _ => None,
        }
    }

    /// A value as it stands in the record.
    fn input(&self, from: &'a From) -> Result<Input<'a>, String> {
        if let Some(slot) = self.slot(from) {
            return match input_of(slot) {
                Input::Nothing if matches!(slot, Slot::Container(_)) => {
                    Err("found an object or array, not a value".into())
                }
                input => Ok(input),
            };
        }
        Ok(match from {
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
            From::Slot(_) | From::Element(..) => {
                let input = self.input(from);
                input.map_err(|why| format!("{}{why}", self.plan.place(from)))?.text()
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
    pub(super) fn template(
        &self,
        template: &'a CompiledTemplate,
    ) -> Result<Option<Cow<'a, str>>, String> {
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

    fn missing(&self, what: &str, name: &str, from: &From) -> MapError {
        let place = self.plan.place(from);
        MapError::new(
            ReasonKind::MissingValue,
            format!("{what} {name} is required: {place}there is no value"),
        )
    }

    fn no_field_left(&self, rule: &PointPlan) -> MapError {
        let fields = rule.fields.iter().map(|field| &field.from);
        let all = rule.all_fields.iter().map(|(_, from)| from);
        let places: Vec<_> = fields
            .chain(all)
            .map(|from| self.plan.place(from).trim_end_matches(": ").to_owned())
            .collect();
        MapError::new(
            ReasonKind::MissingValue,
            format!("no field has a value; looked at {}", places.join(", ")),
        )
    }
}

impl Wildcard {
    fn name<'a>(&'a self, key: &'a str) -> Cow<'a, str> {
        if self.before.is_empty() && self.after.is_empty() {
            Cow::Borrowed(key)
        } else {
            Cow::Owned(format!("{}{key}{}", self.before, self.after))
        }
    }
}

/// A slot's value; nothing where it is none, such as an object.
fn input_of<'a>(slot: &'a Slot<'a>) -> Input<'a> {
    match slot {
        Slot::Boolean(boolean) => Input::Boolean(*boolean),
        Slot::Number(number) => Input::Number(number.text()),
        Slot::Integer(number) => Input::Integer(*number),
        Slot::Unsigned(number) => Input::Unsigned(*number),
        Slot::Float(number) => Input::Float(*number),
        Slot::Text(text) => Input::Text(Cow::Borrowed(text)),
        Slot::Time(time) => Input::Text(time.to_string().into()),
        Slot::Untyped(text) => Input::Untyped(Cow::Borrowed(text)),
        Slot::Missing | Slot::Null | Slot::Container(_) | Slot::Elements(_) | Slot::Entries(_) => {
            Input::Nothing
        }
    }
}

/// Says which element of an array is to blame.
fn within(refusal: Refusal, path: &crate::path::Path, index: usize) -> Refusal {
    match refusal {
        Refusal::Rejected(mut reject) => {
            reject.reason = format!("{path}[{index}]: {}", reject.reason);
            Refusal::Rejected(reject)
        }
        unavailable @ Refusal::Unavailable(_) => unavailable,
    }
}

fn stepped<'a>(input: Input<'a>, steps: &'a [Step]) -> Result<Input<'a>, String> {
    steps.iter().try_fold(input, |input, step| step.take(input))
}

fn utf8<'a>(bytes: Option<&'a [u8]>, what: &str) -> Result<Option<Cow<'a, str>>, String> {
    let text =
        bytes.map(std::str::from_utf8).transpose().map_err(|_| format!("{what} is not UTF-8"))?;
    Ok(text.map(Cow::Borrowed))
}
