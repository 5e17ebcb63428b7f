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
use crate::map::{Plan, Scratch};
use crate::point::{Point, Timestamp};
use crate::process::Chain;
use crate::record::Record;
use crate::route::{self, RouteError, Routing};

/// Decode, map, process and encode.
#[derive(Debug)]
pub struct Transform {
    /// Whether a record's value that is compressed is decompressed first.
    pub decompress: bool,
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
            decompress: true,
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
        let Self { decompress, decoder, plan, guard, encoder, routing, encoding, .. } = self;
        // Only while nothing else stands between the decoder and the encoder.
        let is_copied =
            plan.adds_nothing() && routing.is_none() && matches!(encoder, Encoder::LineProtocol(_));
        let mut outlet =
            Outlet::begin(record, index, guard, encoder, encoding, routing.as_ref(), open);
        let taken = if is_copied && let Some(lines) = decoder.line_protocol() {
            copied(*decompress, lines, record, scratch, &mut |text, line, timestamp| {
                outlet.take_line(text, line, timestamp)
            })
        } else {
            Reading::new(*decompress, decoder, plan)
                .points(record, scratch, &mut |point| outlet.take(point))
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
        each: EachPoint<'_>,
    ) -> Result<(), Refusal> {
        let Self { decompress, decoder, plan, process, routing, .. } = self;
        let mut reading = Reading::new(*decompress, decoder, plan);
        if process.is_empty() {
            reading.points(record, scratch, each)
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
        let Self { decompress, decoder, plan, process, guard, encoder, routing, encoding, .. } =
            self;
        // What comes of one point is not that of another where processors remember.
        let stand_together = !process.remembers();
        let mut outlet =
            Outlet::begin(record, index, guard, encoder, encoding, routing.as_ref(), open);
        let reading = Reading::new(*decompress, decoder, plan);
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
        let mut reading = Reading::new(self.decompress, &mut self.decoder, &self.plan);
        // What is refused is refused again, when it counts. The first pass makes the others alike: it is slower.
        let _ = reading.points(record, scratch, &mut |_| Ok(()));
        let begun = Instant::now();
        let _ = reading.only_decoded(record, scratch);
        let decode = begun.elapsed();
        let _ = reading.points(record, scratch, &mut |_| Ok(()));
        (decode, begun.elapsed().saturating_sub(2 * decode))
    }

    /// Looks at a record that has given points for what the mapping doesn't name. Gives what it names and
    /// messages no longer have.
    pub fn look<R: Record>(&mut self, record: &R, scratch: &mut Scratch) -> Vec<String> {
        let Self {
            decompress, decoder: Decoder::Documents(format), plan, drift: Some(drift), ..
        } = self
        else {
            return Vec::new();
        };
        let gone = opened(*decompress, record, scratch, |payload, _| {
            let document = format.document(&Message { payload, record })?;
            Ok(document.map(|document| drift.look(plan.paths(), &document)))
        });
        // It was read before; what can't be reached now is seen with the next record.
        gone.ok().flatten().flatten().unwrap_or_default()
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
    decompress: bool,
    decoder: &'t mut Decoder,
    plan: &'t Plan,
}

impl<'t> Reading<'t> {
    fn new(decompress: bool, decoder: &'t mut Decoder, plan: &'t Plan) -> Self {
        Self { decompress, decoder, plan }
    }

    /// Decompresses, decodes and maps.
    fn points<R: Record>(
        &mut self,
        record: &R,
        scratch: &mut Scratch,
        each: EachPoint<'_>,
    ) -> Result<(), Refusal> {
        let taken = opened(self.decompress, record, scratch, |payload, scratch| {
            self.decoded(payload, record, scratch, each)
        });
        taken.map(drop)
    }

    /// Decompresses and decodes, and looks at nothing.
    fn only_decoded<R: Record>(
        &mut self,
        record: &R,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let plan = self.plan;
        let taken = opened(self.decompress, record, scratch, |payload, scratch| {
            let message = Message { payload, record };
            match &mut *self.decoder {
                Decoder::Documents(format) => {
                    let mut slots = scratch.slots(plan);
                    let result = format.decode(&message, plan.paths(), &mut slots, &mut |_| Ok(()));
                    scratch.reclaim_slots(slots);
                    result
                }
                Decoder::Points(format) => format.decode(&message, &mut |_| Ok(())),
            }
        });
        taken.map(drop)
    }

    /// Decodes and maps.
    fn decoded<R: Record>(
        &mut self,
        payload: &[u8],
        record: &R,
        scratch: &mut Scratch,
        each: EachPoint<'_>,
    ) -> Result<(), Refusal> {
        let plan = self.plan;
        plan.ready()?;
        let message = Message { payload, record };
        match &mut *self.decoder {
            Decoder::Documents(format) => {
                let mut slots = scratch.slots(plan);
                let taken = format.decode(&message, plan.paths(), &mut slots, &mut |slots| {
                    plan.points(record, slots, scratch, each)
                });
                scratch.reclaim_slots(slots);
                taken
            }
            Decoder::Points(format) => {
                let mut to = std::mem::take(&mut scratch.destination);
                let told = plan.destination(record, &[], &mut to);
                let taken = told.map_err(Refusal::from).and_then(|()| {
                    format.decode(&message, &mut |point| each(&plan.complete(record, point, &to)?))
                });
                scratch.destination = to;
                taken
            }
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

    fn take(&mut self, point: &Point<'_>) -> Result<(), Refusal> {
        if self.encoding.is_some() {
            return self.take_timed(point);
        }
        self.put(point)
    }

    #[cold]
    fn take_timed(&mut self, point: &Point<'_>) -> Result<(), Refusal> {
        let begun = Instant::now();
        let taken = self.put(point);
        *self.encoding = self.encoding.map(|before| before + begun.elapsed());
        taken
    }

    fn put(&mut self, point: &Point<'_>) -> Result<(), Refusal> {
        self.place.index += 1;
        let changed = match self.guard {
            Some(guard) => guard.take(point, self.place)?,
            None => None,
        };
        let point = changed.as_ref().unwrap_or(point);
        match self.routing {
            Some(routing) => {
                let mut part = self.open.part(&point.to, routing, self.encoder)?;
                part.encode(point, self.index, self.from)?;
            }
            None => self.open.encode(point, self.index, self.encoder)?,
        }
        self.newest = self.newest.max(Some(point.timestamp));
        Ok(())
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
        return reading.points(record, scratch, &mut |point| {
            process.pass(at, point.clone(), &mut |point| each(&point))
        });
    }
    process.begin_record();
    let produced = record.timestamp_millis().and_then(Timestamp::from_millis);
    reading.points(record, scratch, &mut |point| {
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
    decompress: bool,
    lines: &mut LineProtocol,
    record: &R,
    scratch: &mut Scratch,
    each: &mut dyn FnMut(&str, &Line, Timestamp) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let Some(payload) = value(decompress, record, &mut scratch.decompressed)? else {
        return Ok(());
    };
    lines.lines(payload, record.timestamp_millis().and_then(Timestamp::from_millis), each)
}

/// A record's value, decompressed; none where there is nothing to say, as both a tombstone and an empty
/// value do.
fn value<'a, R: Record>(
    decompress: bool,
    record: &'a R,
    room: &'a mut Decompressed,
) -> Result<Option<&'a [u8]>, Refusal> {
    let Some(payload) = record.value().filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(if decompress { room.open(payload)? } else { payload }))
}

/// Hands a record's value, decompressed, to `then`, which may use the rest of the scratch. `None` where
/// there is nothing to say.
fn opened<R: Record, T>(
    decompress: bool,
    record: &R,
    scratch: &mut Scratch,
    then: impl FnOnce(&[u8], &mut Scratch) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    let mut room = std::mem::take(&mut scratch.decompressed);
    let taken = value(decompress, record, &mut room)
        .and_then(|payload| payload.map(|payload| then(payload, scratch)).transpose());
    scratch.decompressed = room;
    taken
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
