//! The transform: the stages that a record passes on its worker's thread.

use std::time::Duration;

use tokio::time::Instant;

use crate::batch::{OpenParts, RecordIndex};
use crate::cardinality::{Guard, Origin};
use crate::dead_letter::{ReasonKind, Reject, Stage};
use crate::decode::points::{Line, LineProtocol};
use crate::decode::{Decoder, Decompressed, Message, Refusal};
use crate::drift::Drift;
use crate::encode::{EncodeError, Encoder};
use crate::map::{Plan, Scratch, TakePoints};
use crate::point::{KnownValue, Point, Timestamp};
use crate::process::Chain;
use crate::record::Record;
use crate::route::{self, RouteError, Routing};
use crate::series::SeriesKey;

/// Decode, map, process and encode.
#[derive(Debug)]
pub struct Transform {
    /// Where a record's value that is compressed is decompressed to. `None` where it is taken as it is.
    pub decompressed: Option<Decompressed>,
    pub decoder: Decoder,
    pub plan: Plan,
    /// What is done with the points.
    pub process: Chain,
    /// What watches the points that pass; nobody, where they are only shown.
    pub guard: Option<Guard>,
    /// What is found of messages and the mapping; nowhere, where points are only shown.
    pub drift: Option<Drift>,
    pub encoder: Encoder,
    /// Where a record's points go, if it is not always the same place.
    pub routing: Option<Routing>,
    /// What encoding has taken, where that is measured.
    pub encoding: Option<Duration>,
}

/// Takes a point.
pub type EachPoint<'f> = &'f mut dyn FnMut(&Point<'_>) -> Result<(), Refusal>;

impl Transform {
    /// Decodes what may be compressed, maps and encodes, and nothing else: no processors, one destination,
    /// and nobody who watches.
    pub fn new(decoder: Decoder, plan: Plan, encoder: Encoder) -> Self {
        Self {
            decompressed: Some(Decompressed::default()),
            decoder,
            plan,
            process: Chain::default(),
            guard: None,
            drift: None,
            encoder,
            routing: None,
            encoding: None,
        }
    }

    /// Appends what is to be written of a record, and gives the time of its newest point. `None` when
    /// there is nothing to write, by the configuration. All points of a record stand or fall together:
    /// on an error the batch is as it was before.
    pub fn apply<R: Record>(
        &mut self,
        record: &R,
        index: RecordIndex,
        scratch: &mut Scratch,
        open: &mut OpenParts,
    ) -> Result<Option<Timestamp>, Refusal> {
        if !self.process.is_empty() {
            return self.apply_processed(record, index, scratch, open);
        }
        let Self { decompressed, decoder, plan, guard, encoder, routing, encoding, .. } = self;
        // Only while nothing else stands between the decoder and the encoder.
        let is_copied =
            plan.adds_nothing() && routing.is_none() && matches!(encoder, Encoder::LineProtocol(_));
        let mut outlet =
            Outlet::begin(record, index, guard, encoder, encoding, routing.as_ref(), open);
        let taken = if is_copied && let Some(lines) = decoder.line_protocol() {
            copied(decompressed, lines, record, &mut |text, line, timestamp| {
                outlet.take_line(text, line, timestamp)
            })
        } else {
            Reading { decompressed, decoder, plan }.points(record, scratch, &mut outlet)
        };
        if let Err(refusal) = taken {
            outlet.open.take_back_record();
            return Err(refusal);
        }
        Ok(outlet.newest)
    }

    /// Hands the points of a record to `each`, and encodes nothing: for whoever shows them.
    pub fn points<R: Record>(
        &mut self,
        record: &R,
        scratch: &mut Scratch,
        mut each: EachPoint<'_>,
    ) -> Result<(), Refusal> {
        let Self { decompressed, decoder, plan, process, routing, .. } = self;
        let mut reading = Reading { decompressed, decoder, plan };
        if process.is_empty() {
            reading.points(record, scratch, &mut each)
        } else {
            processed(reading, process, routing.as_ref(), record, scratch, each)
        }
    }

    /// The same as [`Transform::apply`], with processors.
    fn apply_processed<R: Record>(
        &mut self,
        record: &R,
        index: RecordIndex,
        scratch: &mut Scratch,
        open: &mut OpenParts,
    ) -> Result<Option<Timestamp>, Refusal> {
        let Self {
            decompressed, decoder, plan, process, guard, encoder, routing, encoding, ..
        } = self;
        // What comes of one point is not that of another where processors remember.
        let stand_together = !process.remembers();
        let mut outlet =
            Outlet::begin(record, index, guard, encoder, encoding, routing.as_ref(), open);
        let reading = Reading { decompressed, decoder, plan };
        let (routing, each): (_, EachPoint<'_>) = (outlet.routing, &mut |point| outlet.take(point));
        match processed(reading, process, routing, record, scratch, each) {
            Ok(()) => Ok(outlet.newest),
            Err(refusal) => {
                if stand_together {
                    outlet.open.take_back_record();
                }
                Err(refusal)
            }
        }
    }

    /// What decoding a record takes, and what mapping it takes, as far as they go; measured by doing them for
    /// nothing.
    pub fn time<R: Record>(&mut self, record: &R, scratch: &mut Scratch) -> (Duration, Duration) {
        let Self { decompressed, decoder, plan, .. } = self;
        let mut reading = Reading { decompressed, decoder, plan };
        // What is refused is refused again, when it counts. The first pass makes the others alike: it is slower.
        let _ = reading.points(record, scratch, &mut |_: &Point<'_>| Ok(()));
        let begun = Instant::now();
        let _ = reading.only_decoded(record, scratch);
        let decode = begun.elapsed();
        let _ = reading.points(record, scratch, &mut |_: &Point<'_>| Ok(()));
        (decode, begun.elapsed().saturating_sub(2 * decode))
    }

    /// Looks at a record that has given points for what the mapping doesn't name. Gives what it names and
    /// messages no longer have.
    pub fn look<R: Record>(&mut self, record: &R) -> Vec<String> {
        let Self {
            decompressed,
            decoder: Decoder::Documents(format),
            plan,
            drift: Some(drift),
            ..
        } = self
        else {
            return Vec::new();
        };
        // It was read before; what can't be reached now is seen with the next record.
        let payload = value(decompressed, record).ok().flatten();
        let document = payload
            .and_then(|payload| format.document(&Message { payload, record }).ok().flatten());
        document.map_or_else(Vec::new, |document| drift.look(plan.paths(), &document))
    }

    /// Takes a record whose points are written already, for what processors remember of it. What is
    /// refused was refused before.
    ///
    /// # Errors
    /// What it takes can't be reached now, for a reason.
    pub fn rebuild<R: Record>(&mut self, record: &R, scratch: &mut Scratch) -> Result<(), String> {
        match self.points(record, scratch, &mut |_| Ok(())) {
            Err(Refusal::Unavailable(reason)) => Err(reason),
            Ok(()) | Err(Refusal::Rejected(_)) => Ok(()),
        }
    }
}

/// The first stages, which make points of a record.
struct Reading<'t> {
    decompressed: &'t mut Option<Decompressed>,
    decoder: &'t mut Decoder,
    plan: &'t Plan,
}

impl Reading<'_> {
    /// Decompresses, decodes and maps.
    fn points<R: Record>(
        &mut self,
        record: &R,
        scratch: &mut Scratch,
        points: &mut impl TakePoints,
    ) -> Result<(), Refusal> {
        let Some(payload) = value(self.decompressed, record)? else { return Ok(()) };
        let (plan, message) = (self.plan, Message { payload, record });
        plan.ready()?;
        match &mut *self.decoder {
            Decoder::Documents(format) => scratch.with_slots(plan, |slots, scratch| {
                format.decode(&message, plan.paths(), slots, &mut |slots| {
                    plan.points(record, slots, scratch, points)
                })
            }),
            Decoder::Points(format) => {
                let mut to = std::mem::take(&mut scratch.destination);
                let told = plan.destination(record, &[], &mut to);
                let taken = told.map_err(Refusal::from).and_then(|()| {
                    format.decode(&message, &mut |point| {
                        points.take(&plan.complete(record, point, &to)?)
                    })
                });
                scratch.destination = to;
                taken
            }
        }
    }

    /// Decompresses and decodes, and looks at nothing.
    fn only_decoded<R: Record>(
        &mut self,
        record: &R,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let Some(payload) = value(self.decompressed, record)? else { return Ok(()) };
        let (plan, message) = (self.plan, Message { payload, record });
        match &mut *self.decoder {
            Decoder::Documents(format) => scratch.with_slots(plan, |slots, _| {
                format.decode(&message, plan.paths(), slots, &mut |_| Ok(()))
            }),
            Decoder::Points(format) => format.decode(&message, &mut |_| Ok(())),
        }
    }
}

/// The last stages of one record: what watches its points, and what encodes them.
struct Outlet<'a> {
    guard: &'a mut Option<Guard>,
    encoder: &'a mut Encoder,
    encoding: &'a mut Option<Duration>,
    routing: Option<&'a Routing>,
    open: &'a mut OpenParts,
    index: RecordIndex,
    /// The topic and partition.
    from: (&'a str, i32),
    /// Of the last point.
    place: Origin,
    newest: Option<Timestamp>,
}

impl<'a> Outlet<'a> {
    fn begin<R: Record>(
        record: &'a R,
        index: RecordIndex,
        guard: &'a mut Option<Guard>,
        encoder: &'a mut Encoder,
        encoding: &'a mut Option<Duration>,
        routing: Option<&'a Routing>,
        open: &'a mut OpenParts,
    ) -> Self {
        let from = (record.topic(), record.partition());
        open.begin_record();
        encoder.reads_from(from.0, from.1);
        let place = Origin { offset: record.offset(), index: 0 };
        Self { guard, encoder, encoding, routing, open, index, from, place, newest: None }
    }

    /// Does what is to be measured, if it is.
    #[inline]
    fn timed<T>(&mut self, put: impl FnOnce(&mut Self) -> T) -> T {
        let begun = self.encoding.is_some().then(Instant::now);
        let done = put(self);
        if let (Some(encoding), Some(begun)) = (&mut self.encoding, begun) {
            *encoding += begun.elapsed();
        }
        done
    }

    fn put(&mut self, key: Option<&SeriesKey>, point: &Point<'_>) -> Result<(), Refusal> {
        self.place.index += 1;
        let changed = match self.guard {
            Some(guard) => guard.take(point, self.place)?,
            None => None,
        };
        let (record, encoder) = (self.index, &mut *self.encoder);
        match (self.routing, key, &changed) {
            (Some(routing), ..) => {
                let point = changed.as_ref().unwrap_or(point);
                let mut part = self.open.part(&point.to, routing, encoder)?;
                part.encode(point, record, self.from)?;
            }
            (None, _, Some(changed)) => self.open.encode(changed, record, encoder)?,
            (None, None, None) => self.open.encode(point, record, encoder)?,
            (None, Some(key), None) => encoder.encode_new(key, point, record, self.open.only())?,
        }
        self.newest = self.newest.max(Some(point.timestamp));
        Ok(())
    }

    fn put_known<'v>(
        &mut self,
        key: &SeriesKey,
        values: impl Iterator<Item = KnownValue<'v>> + Clone,
        timestamp: Timestamp,
    ) -> bool {
        let Self { guard, encoder, open, index, place, newest, .. } = self;
        let place_of_point = Origin { index: place.index + 1, ..*place };
        let passes = |key| {
            guard.as_mut().is_none_or(|guard| guard.lets_pass(key, timestamp, place_of_point))
        };
        let taken = encoder.encode_known(key, values, timestamp, *index, open.only(), passes);
        if taken {
            *place = place_of_point;
            *newest = (*newest).max(Some(timestamp));
        }
        taken
    }

    /// Copies a line that stands there as it would be written.
    fn take_line(&mut self, text: &str, line: &Line, timestamp: Timestamp) -> Result<(), Refusal> {
        self.place.index += 1;
        let changed = match self.guard {
            Some(guard) => guard.take_line(text, line, timestamp, self.place)?,
            None => None,
        };
        match (changed, line.as_written(text), &mut *self.encoder) {
            (None, Some(line), Encoder::LineProtocol(encoder)) => {
                encoder.copy(line, timestamp, self.index, self.open.only());
            }
            (Some(point), ..) => self.open.encode(&point, self.index, self.encoder)?,
            _ => self.open.encode(&line.point(text, timestamp)?, self.index, self.encoder)?,
        }
        self.newest = self.newest.max(Some(timestamp));
        Ok(())
    }
}

impl TakePoints for Outlet<'_> {
    fn take(&mut self, point: &Point<'_>) -> Result<(), Refusal> {
        self.timed(|outlet| outlet.put(None, point))
    }

    fn keeps_series(&mut self) -> bool {
        self.routing.is_none() && self.encoder.keeps_series()
    }

    fn take_known<'v>(
        &mut self,
        key: &SeriesKey,
        values: impl Iterator<Item = KnownValue<'v>> + Clone,
        timestamp: Timestamp,
    ) -> bool {
        self.timed(|outlet| outlet.put_known(key, values, timestamp))
    }

    fn take_new(&mut self, key: &SeriesKey, point: &Point<'_>) -> Result<(), Refusal> {
        let key = key.get().is_some().then_some(key);
        self.timed(|outlet| outlet.put(key, point))
    }
}

/// Decompresses, decodes, maps and processes. Where processors remember, all points of a record are known
/// before the first of them is remembered, and that they may go where it says.
fn processed<R: Record>(
    mut reading: Reading<'_>,
    process: &mut Chain,
    routing: Option<&Routing>,
    record: &R,
    scratch: &mut Scratch,
    each: EachPoint<'_>,
) -> Result<(), Refusal> {
    process.ready()?;
    let at = record.place();
    if !process.remembers() {
        return reading.points(record, scratch, &mut |point: &Point<'_>| {
            process.pass(at, point.clone(), &mut |point| each(&point))
        });
    }
    process.begin_record();
    let produced = record.timestamp_millis().and_then(Timestamp::from_millis);
    reading.points(record, scratch, &mut |point: &Point<'_>| {
        // With a place that is still open it can only be one that the configuration has named.
        if let Some(routing) = routing
            && route::open_places(&point.to) == 0
        {
            routing.destination(&point.to)?;
        }
        process.gather(at, produced, point.clone())
    })?;
    process.end_record(at, &mut |point| each(&point))
}

/// Hands out the lines of a record of line protocol, without a look at what they say.
fn copied<R: Record>(
    decompressed: &mut Option<Decompressed>,
    lines: &mut LineProtocol,
    record: &R,
    each: &mut dyn FnMut(&str, &Line, Timestamp) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let Some(payload) = value(decompressed, record)? else { return Ok(()) };
    lines.lines(payload, record.timestamp_millis().and_then(Timestamp::from_millis), each)
}

/// A record's value, decompressed; none where there is nothing to say, as both a tombstone and an empty
/// value do.
fn value<'a, R: Record>(
    decompressed: &'a mut Option<Decompressed>,
    record: &'a R,
) -> Result<Option<&'a [u8]>, Refusal> {
    let Some(payload) = record.value().filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(match decompressed {
        Some(room) => room.open(payload)?,
        None => payload,
    }))
}

impl From<RouteError> for Refusal {
    fn from(error: RouteError) -> Self {
        Reject::new(Stage::Map, ReasonKind::BadDestination, error.to_string()).into()
    }
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        Reject::new(Stage::Encode, ReasonKind::NotRepresentable, error.to_string()).into()
    }
}
